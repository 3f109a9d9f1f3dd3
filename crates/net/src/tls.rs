//! TLS 1.3 with certificates on both sides, and certificates that renew while the process runs.
//!
//! A server takes only certificates of exactly the authority it was given; a client takes only servers of exactly its
//! own. Nothing else is trusted, the machine's authorities least of all. Sessions are never resumed, so that each
//! connection shows a certificate that is good now. Revocation is not decided here: the node asks its rows for each request.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};
use strongroom_types::{Clock, UnixMillis};

use crate::pki::{CertificateFacts, PkiError, inspect};

/// What ALPN names HTTP/2.
const ALPN_HTTP2: &[u8] = b"h2";

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("could not read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file holds no certificate.
    #[error("could not find a certificate in {path}")]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: PkiError,
    },
    /// A file holds no private key.
    #[error("could not find a private key in {path}")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together, or are of a kind that rustls does not take.
    #[error("could not use the key in {key} with the certificate in {certificate}: {detail}")]
    Pair {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What rustls said.
        detail: String,
    },
    /// A key that signs no assent.
    #[error("could not sign with the key in {path}: {detail}")]
    Sign {
        /// The key file.
        path: PathBuf,
        /// What rustls said.
        detail: String,
    },
    /// An authority that rustls does not take.
    #[error("could not use the authority's certificate: {detail}")]
    Authority {
        /// What rustls said.
        detail: String,
    },
    /// A configuration that rustls does not take.
    #[error("could not set up TLS: {detail}")]
    Setup {
        /// What rustls said.
        detail: String,
    },
}

/// Where the time that certificates are judged by comes from.
#[derive(Clone)]
pub struct TlsTime(Arc<dyn TimeProvider>);

impl TlsTime {
    /// This machine's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(DefaultTimeProvider))
    }

    /// An injected clock's wall time.
    #[must_use]
    pub fn of(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(ClockTime(clock)))
    }

    /// The time now; the beginning of 1970 where the machine's clock stands before it.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        let seconds = self.0.current_time().map_or(0, |time| time.as_secs());
        UnixMillis(i64::try_from(seconds).unwrap_or(i64::MAX / 1000).saturating_mul(1000))
    }
}

struct ClockTime(Arc<dyn Clock>);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        let UnixMillis(wall) = self.0.wall();
        Some(UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(wall).ok()?)))
    }
}

impl fmt::Debug for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClockTime")
    }
}

/// The authority whose certificates the other end must show.
#[derive(Clone, Debug)]
pub struct TrustedAuthority(Arc<RootCertStore>);

impl TrustedAuthority {
    /// From PEM. More than one certificate may be in it while an authority is being replaced.
    ///
    /// # Errors
    /// [`TlsError::Authority`] where there is none, or one does not parse.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| TlsError::Authority { detail: error.to_string() })?;
            roots.add(certificate).map_err(|error| TlsError::Authority { detail: error.to_string() })?;
        }
        if roots.is_empty() {
            return Err(TlsError::Authority { detail: "there is no certificate in it".to_owned() });
        }
        Ok(Self(Arc::new(roots)))
    }

    /// From a PEM file.
    ///
    /// # Errors
    /// [`TlsError`] where the file cannot be read or holds no certificate.
    pub fn from_file(path: &Path) -> Result<Self, TlsError> {
        Self::from_pem(&read(path)?)
    }
}

/// This process's certificate and key on disk, and in memory as they were last read. Connections made after
/// [`reload`](Self::reload) show the new certificate; standing ones are left alone.
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Current>,
}

struct Current {
    /// The certificate file's bytes: the key file's never stay longer than it takes to read them.
    certificate_pem: Vec<u8>,
    facts: CertificateFacts,
    signing: Arc<CertifiedKey>,
}

/// What a look at the files came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// They are as they were.
    Unchanged,
    /// A new certificate is shown from now on.
    Renewed(CertificateFacts),
}

impl CertificateFiles {
    /// Reads a certificate (with its chain, if any) and its key.
    ///
    /// # Errors
    /// [`TlsError`] where a file cannot be read, does not parse, or the two do not belong together.
    pub fn open(certificate: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let current = load(certificate, key)?;
        Ok(Arc::new(Self { certificate: certificate.to_owned(), key: key.to_owned(), current: RwLock::new(current) }))
    }

    /// Reads the files again. Where they cannot be used, or are half replaced, the old certificate goes on being shown.
    ///
    /// # Errors
    /// [`TlsError`] as for [`open`](Self::open).
    pub fn reload(&self) -> Result<Reloaded, TlsError> {
        let new = load(&self.certificate, &self.key)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.certificate_pem == new.certificate_pem {
            return Ok(Reloaded::Unchanged);
        }
        let facts = new.facts.clone();
        *current = new;
        Ok(Reloaded::Renewed(facts))
    }

    /// Looks at the files every `period`, for ever; the node runs this beside its other jobs.
    pub async fn watch(self: Arc<Self>, period: Duration) {
        loop {
            tokio::time::sleep(period).await;
            let files = Arc::clone(&self);
            // A panic in reading would be reported by the panic hook; the old certificate goes on being shown.
            let Ok(outcome) = tokio::task::spawn_blocking(move || files.reload()).await else { continue };
            match outcome {
                Ok(Reloaded::Unchanged) => {}
                Ok(Reloaded::Renewed(facts)) => {
                    tracing::info!(path = %self.certificate.display(), not_after = %facts.not_after, "certificate renewed");
                }
                Err(error) => {
                    tracing::warn!(path = %self.certificate.display(), %error, "certificate not reloaded; the old one stays");
                }
            }
        }
    }

    /// What the certificate in use says.
    #[must_use]
    pub fn facts(&self) -> CertificateFacts {
        self.current.read().unwrap_or_else(PoisonError::into_inner).facts.clone()
    }

    /// Signs with the certificate's key: ECDSA as DER, or Ed25519.
    ///
    /// # Errors
    /// [`TlsError`] where the key is of another kind, or does not sign.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TlsError> {
        const SCHEMES: [SignatureScheme; 3] =
            [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ECDSA_NISTP384_SHA384, SignatureScheme::ED25519];
        let failed = |detail: String| TlsError::Sign { path: self.key.clone(), detail };
        let signing = self.signing();
        let signer =
            signing.key.choose_scheme(&SCHEMES).ok_or_else(|| failed("its kind signs nothing here".to_owned()))?;
        signer.sign(message).map_err(|error| failed(error.to_string()))
    }

    fn signing(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).signing)
    }
}

impl fmt::Debug for CertificateFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateFiles").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for CertificateFiles {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.signing())
    }
}

impl ResolvesClientCert for CertificateFiles {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.signing())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A server that shows `own` and asks every caller for a certificate of `callers`.
///
/// # Errors
/// [`TlsError`] where rustls does not take the authority.
pub fn server(
    own: Arc<CertificateFiles>,
    callers: &TrustedAuthority,
    time: TlsTime,
) -> Result<Arc<ServerConfig>, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&callers.0), provider())
        .build()
        .map_err(|error| TlsError::Authority { detail: error.to_string() })?;
    let mut config = ServerConfig::builder_with_details(provider(), time.0)
        .with_protocol_versions(&[&TLS13])
        .map_err(setup)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(own);
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// A client that shows `own` and takes only servers of `servers`.
///
/// # Errors
/// [`TlsError`] where rustls does not take the authority.
pub fn client(
    own: Arc<CertificateFiles>,
    servers: &TrustedAuthority,
    time: TlsTime,
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut config = ClientConfig::builder_with_details(provider(), time.0)
        .with_protocol_versions(&[&TLS13])
        .map_err(setup)?
        .with_root_certificates(Arc::clone(&servers.0))
        .with_client_cert_resolver(own);
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn setup(error: rustls::Error) -> TlsError {
    TlsError::Setup { detail: error.to_string() }
}

fn load(certificate: &Path, key: &Path) -> Result<Current, TlsError> {
    let certificate_pem = read(certificate)?;
    let facts =
        inspect(&certificate_pem).map_err(|source| TlsError::NoCertificate { path: certificate.to_owned(), source })?;
    let pair = |detail: String| TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), detail };
    let chain = CertificateDer::pem_slice_iter(&certificate_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pair(error.to_string()))?;
    let key_pem = zeroize::Zeroizing::new(read(key)?);
    let key_der = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| TlsError::NoKey { path: key.to_owned() })?;
    let signing = CertifiedKey::from_der(chain, key_der, &provider()).map_err(|error| pair(error.to_string()))?;
    Ok(Current { certificate_pem, facts, signing: Arc::new(signing) })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}
