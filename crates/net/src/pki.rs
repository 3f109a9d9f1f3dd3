//! Certificates: two authorities per cluster, and what they issue.
//!
//! Keys are ECDSA P-256, which rustls, OpenSSL and gRPC in every language take. Each certificate is good for one use:
//! a client's cannot be shown by a server, and neither opens the other authority's port. Times come in as
//! parameters. Renewal issues a new certificate for the same key, so that the principal's row stays as it is.

mod certificate;
mod files;
mod statement;

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber, SubjectPublicKeyInfo,
};
use sha2::{Digest, Sha256};
use strongroom_types::{ClusterId, NodeId, UnixMillis};
use zeroize::Zeroizing;

pub use certificate::{
    CertificateFacts, CertificateUse, IssuedBy, inspect, key_hash_of_certificate, public_key_of_certificate,
};
pub use files::{write_private, write_public};
pub use statement::{StatementKey, statement_key_of};

/// How long an authority is good for, in days: twenty years, for what it signed must be explicable for as long as footage is kept.
pub const AUTHORITY_DAYS: u32 = 20 * 365 + 5;
/// A new certificate is good from this long before its issue, for machines whose clocks are behind.
const BACKDATED_MS: i64 = 10 * 60 * 1000;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// The last second of the year 9999, the end of X.509's calendar.
const CALENDAR_END: UnixMillis = UnixMillis(253_402_300_799_000);

/// What can go wrong with keys and certificates.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The bytes are no certificate.
    #[error("could not read the certificate: {0}")]
    NotACertificate(String),
    /// The bytes are no private key that we take.
    #[error("could not read the private key: {0}")]
    NotAKey(String),
    /// The certificate is not one of our authorities'.
    #[error("the certificate of {subject:?} is not that of a Strongroom authority")]
    NotAnAuthority {
        /// Its common name.
        subject: String,
    },
    /// The key belongs to another certificate.
    #[error("the private key does not belong to the certificate of {subject:?}")]
    KeyMismatch {
        /// The certificate's common name.
        subject: String,
    },
    /// The certificate was signed by somebody else.
    #[error("the certificate of {subject:?} was not issued by this authority")]
    IssuedByAnother {
        /// The certificate's common name.
        subject: String,
    },
    /// The other authority issues these.
    #[error("the {kind:?} authority does not issue {usage:?} certificates")]
    NotThisAuthority {
        /// Which authority was asked.
        kind: AuthorityKind,
        /// What for.
        usage: CertificateUse,
    },
    /// Bounds of validity that make no sense.
    #[error("could not issue from {not_before} to {not_after}: {why}")]
    Validity {
        /// Asked start.
        not_before: UnixMillis,
        /// Asked end.
        not_after: UnixMillis,
        /// What is wrong with them.
        why: &'static str,
    },
    /// A subject alternative name that is neither a DNS name nor an IP address.
    #[error("{name:?} is neither a host name nor an IP address")]
    AlternativeName {
        /// The name.
        name: String,
    },
    /// The library could not sign or encode.
    #[error("could not make the certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// A file could not be written.
    #[error("could not write {path}")]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Which of the two authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthorityKind {
    /// Signs people's, stations' and services' certificates, and what nodes show on their client port.
    Client,
    /// Signs what nodes show each other.
    Peer,
}

impl AuthorityKind {
    const fn common_name(self) -> &'static str {
        match self {
            Self::Client => "Strongroom client authority",
            Self::Peer => "Strongroom peer authority",
        }
    }

    fn from_common_name(name: &str) -> Option<Self> {
        [Self::Client, Self::Peer].into_iter().find(|kind| kind.common_name() == name)
    }
}

/// From when to when a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Good from here, to the second.
    pub not_before: UnixMillis,
    /// Good until here, to the second.
    pub not_after: UnixMillis,
}

impl Validity {
    /// Good from a few minutes before `now`, for machines whose clocks are behind, to `days` after it.
    #[must_use]
    pub fn days_from(now: UnixMillis, days: u32) -> Self {
        Self { not_before: now.plus_ms(-BACKDATED_MS), not_after: now.plus_ms(i64::from(days) * DAY_MS) }
    }

    fn checked(self) -> Result<Self, PkiError> {
        let refuse = |why| PkiError::Validity { not_before: self.not_before, not_after: self.not_after, why };
        if self.not_before < UnixMillis(0) || self.not_after > CALENDAR_END {
            return Err(refuse("certificates know the years 1970 to 9999"));
        }
        if self.not_before >= self.not_after {
            return Err(refuse("it ends before it begins"));
        }
        Ok(self)
    }
}

/// A private key as PEM (PKCS #8). Wiped when dropped, and never shown by `Debug`.
#[derive(Clone)]
pub struct PrivateKeyPem(Zeroizing<String>);

impl PrivateKeyPem {
    /// The PEM text, for a file that only its owner may read.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PrivateKeyPem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKeyPem(..)")
    }
}

/// A new certificate with its new key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate as PEM.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: PrivateKeyPem,
}

/// An authority with its key in memory: it can issue.
pub struct Authority {
    kind: AuthorityKind,
    cluster: ClusterId,
    not_after: UnixMillis,
    certificate_pem: String,
    key_pem: PrivateKeyPem,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority of a cluster, good for [`AUTHORITY_DAYS`].
    ///
    /// # Errors
    /// [`PkiError`] where `now` is outside the calendar or the key could not be made.
    pub fn create(kind: AuthorityKind, cluster: ClusterId, now: UnixMillis) -> Result<Self, PkiError> {
        let validity = Validity::days_from(now, AUTHORITY_DAYS).checked()?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = params(kind.common_name(), validity, &key, &[])?;
        params.distinguished_name.push(DnType::OrganizationName, cluster.to_string());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = params.self_signed(&key)?.pem();
        Self::load(&certificate_pem, &key.serialize_pem())
    }

    /// An authority from its certificate and key.
    ///
    /// # Errors
    /// [`PkiError`] where either does not parse, they do not belong together, or it is no authority of ours.
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, PkiError> {
        let facts = inspect(certificate_pem.as_bytes())?;
        let not_an_authority = || PkiError::NotAnAuthority { subject: facts.subject.clone() };
        let kind = AuthorityKind::from_common_name(&facts.subject).ok_or_else(not_an_authority)?;
        let IssuedBy::Authority { kind: issuer_kind, cluster } = facts.issuer else { return Err(not_an_authority()) };
        if issuer_kind != kind || facts.usage != CertificateUse::Authority {
            return Err(not_an_authority());
        }
        let key = KeyPair::from_pem(key_pem).map_err(|error| PkiError::NotAKey(error.to_string()))?;
        if certificate::key_hash_of_spki(&key.subject_public_key_info()) != facts.key_hash {
            return Err(PkiError::KeyMismatch { subject: facts.subject });
        }
        Ok(Self {
            kind,
            cluster,
            not_after: facts.not_after,
            certificate_pem: certificate_pem.to_owned(),
            key_pem: PrivateKeyPem(Zeroizing::new(key_pem.to_owned())),
            issuer: Issuer::from_ca_cert_pem(certificate_pem, key)?,
        })
    }

    /// Which of the two it is.
    #[must_use]
    pub const fn kind(&self) -> AuthorityKind {
        self.kind
    }

    /// The cluster it belongs to.
    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Its certificate as PEM: what others are told to trust.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Its private key: whoever has it can issue.
    #[must_use]
    pub const fn key_pem(&self) -> &PrivateKeyPem {
        &self.key_pem
    }

    /// A certificate for a person, station or service; good for calling nodes, never for answering.
    ///
    /// # Errors
    /// [`PkiError`] where the validity makes no sense or the library fails.
    pub fn issue_client(&self, name: &str, validity: Validity) -> Result<Issued, PkiError> {
        self.issue(name, CertificateUse::Client, &[], validity)
    }

    /// The certificate that a node shows on its client port; good for answering, never for calling.
    ///
    /// # Errors
    /// [`PkiError`] where a name is no host name, the validity makes no sense or the library fails.
    pub fn issue_server(&self, name: &str, hosts: &[String], validity: Validity) -> Result<Issued, PkiError> {
        self.issue(name, CertificateUse::Server, hosts, validity)
    }

    /// The certificate that a node shows other nodes, calling and answering. It always carries [`peer_name`], which
    /// peers ask for whatever address they reach it at.
    ///
    /// # Errors
    /// [`PkiError`] where a name is no host name, the validity makes no sense or the library fails.
    pub fn issue_peer(&self, node: NodeId, hosts: &[String], validity: Validity) -> Result<Issued, PkiError> {
        let own = peer_name(node);
        let mut names = hosts.to_vec();
        names.retain(|host| *host != own);
        names.insert(0, own);
        self.issue(&node.to_string(), CertificateUse::Peer, &names, validity)
    }

    /// A new certificate for the key, name, hosts and use of one that this authority issued.
    ///
    /// # Errors
    /// [`PkiError::IssuedByAnother`] where it did not, and the errors of issuing.
    pub fn renew(&self, certificate_pem: &str, validity: Validity) -> Result<String, PkiError> {
        let old = certificate::parse(certificate_pem.as_bytes())?;
        if !certificate::is_signed_by(&old, self.certificate_pem.as_bytes())? {
            return Err(PkiError::IssuedByAnother { subject: old.facts.subject });
        }
        let key = SubjectPublicKeyInfo::from_der(&old.spki)?;
        self.sign(&old.facts.subject, old.facts.usage, &old.hosts, validity, &key)
    }

    fn issue(
        &self,
        name: &str,
        usage: CertificateUse,
        hosts: &[String],
        validity: Validity,
    ) -> Result<Issued, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate_pem = self.sign(name, usage, hosts, validity, &key)?;
        Ok(Issued { certificate_pem, key_pem: PrivateKeyPem(Zeroizing::new(key.serialize_pem())) })
    }

    fn sign(
        &self,
        name: &str,
        usage: CertificateUse,
        hosts: &[String],
        validity: Validity,
        key: &impl PublicKeyData,
    ) -> Result<String, PkiError> {
        let Validity { not_before, not_after } = validity.checked()?;
        if not_after > self.not_after {
            let why = "it would outlive its authority";
            return Err(PkiError::Validity { not_before, not_after, why });
        }
        let mut params = params(name, validity, key, hosts)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = self.key_usages(usage)?;
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }
}

impl Authority {
    /// What a certificate of this use may be shown for; each authority issues only its own uses.
    fn key_usages(&self, usage: CertificateUse) -> Result<Vec<ExtendedKeyUsagePurpose>, PkiError> {
        match (self.kind, usage) {
            (AuthorityKind::Client, CertificateUse::Client) => Ok(vec![ExtendedKeyUsagePurpose::ClientAuth]),
            (AuthorityKind::Client, CertificateUse::Server) => Ok(vec![ExtendedKeyUsagePurpose::ServerAuth]),
            (AuthorityKind::Peer, CertificateUse::Peer) => {
                Ok(vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth])
            }
            (AuthorityKind::Client, CertificateUse::Peer)
            | (AuthorityKind::Peer, CertificateUse::Client | CertificateUse::Server)
            | (_, CertificateUse::Authority | CertificateUse::Other) => {
                Err(PkiError::NotThisAuthority { kind: self.kind, usage })
            }
        }
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("kind", &self.kind).field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

/// The DNS name in a node's peer certificate. It is looked up nowhere: it is how one node makes sure that the other end
/// is the node it meant, whatever its address is today.
#[must_use]
pub fn peer_name(node: NodeId) -> String {
    format!("{node}.peer.strongroom.internal")
}

fn params(
    name: &str,
    validity: Validity,
    key: &impl PublicKeyData,
    hosts: &[String],
) -> Result<CertificateParams, PkiError> {
    if let Some(bad) = hosts.iter().find(|host| rustls::pki_types::ServerName::try_from(host.as_str()).is_err()) {
        return Err(PkiError::AlternativeName { name: bad.clone() });
    }
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + since_1970(validity.not_before);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_1970(validity.not_after);
    params.serial_number = Some(serial(name, validity, key));
    Ok(params)
}

/// Whole seconds, which is all that X.509 knows; never negative after [`Validity::checked`].
const fn since_1970(instant: UnixMillis) -> Duration {
    Duration::from_secs((instant.0 / 1000).unsigned_abs())
}

/// Differs between certificates of one key: rcgen's own serial depends on the key alone, and an authority must not
/// issue one serial twice.
fn serial(name: &str, validity: Validity, key: &impl PublicKeyData) -> SerialNumber {
    let mut hash = Sha256::new();
    hash.update(key.subject_public_key_info());
    hash.update(validity.not_before.0.to_be_bytes());
    hash.update(validity.not_after.0.to_be_bytes());
    hash.update(name.as_bytes());
    let mut serial = hash.finalize()[..16].to_vec();
    // A positive number of full length, as RFC 5280 wants it.
    serial[0] = (serial[0] & 0x7f) | 0x40;
    SerialNumber::from(serial)
}

#[cfg(test)]
mod tests;
