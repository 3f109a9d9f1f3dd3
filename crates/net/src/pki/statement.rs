//! Ed25519 keys of people outside the cluster, who sign statements offline: PEM files that OpenSSL reads and writes too.

use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _, SigningKey as _};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, pem::PemObject};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{PkiError, PrivateKeyPem};

/// The object identifier of Ed25519 (RFC 8410).
const ED25519: &str = "1.3.101.112";

/// A key that signs statements.
pub struct StatementKey(KeyPair);

impl StatementKey {
    /// Draws one.
    ///
    /// # Errors
    /// [`PkiError`] where the library below cannot.
    pub fn create() -> Result<Self, PkiError> {
        Ok(Self(KeyPair::generate_for(&PKCS_ED25519)?))
    }

    /// Reads a private key in PEM, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// [`PkiError::NotAKey`] where it is none, or not of Ed25519.
    pub fn load(pem: &str) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(pem).map_err(|error| PkiError::NotAKey(error.to_string()))?;
        if key.algorithm() == &PKCS_ED25519 { Ok(Self(key)) } else { Err(not_ed25519()) }
    }

    /// The private half in PEM.
    #[must_use]
    pub fn private_pem(&self) -> PrivateKeyPem {
        PrivateKeyPem(zeroize::Zeroizing::new(self.0.serialize_pem()))
    }

    /// The public half in PEM.
    #[must_use]
    pub fn public_pem(&self) -> String {
        self.0.public_key_pem()
    }

    /// The public half.
    ///
    /// # Errors
    /// [`PkiError::NotAKey`] where it has not 32 bytes.
    pub fn public(&self) -> Result<[u8; 32], PkiError> {
        self.0.der_bytes().try_into().map_err(|_| not_ed25519())
    }

    /// Signs.
    ///
    /// # Errors
    /// [`PkiError`] where the library below cannot.
    pub fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, PkiError> {
        Ok(self.0.sign(statement)?)
    }
}

/// The Ed25519 key of a public key or a certificate, in PEM.
///
/// # Errors
/// [`PkiError::NotAKey`] where it is neither, or of another kind.
pub fn statement_key_of(pem: &[u8]) -> Result<[u8; 32], PkiError> {
    let wrong = |error: &dyn std::fmt::Display| PkiError::NotAKey(error.to_string());
    if let Ok(der) = CertificateDer::from_pem_slice(pem) {
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|error| wrong(&error))?;
        return key_of(&certificate.tbs_certificate.subject_pki);
    }
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|error| wrong(&error))?;
    let (_, spki) = SubjectPublicKeyInfo::from_der(&der).map_err(|error| wrong(&error))?;
    key_of(&spki)
}

fn key_of(spki: &SubjectPublicKeyInfo<'_>) -> Result<[u8; 32], PkiError> {
    if spki.algorithm.algorithm.to_id_string() != ED25519 {
        return Err(not_ed25519());
    }
    spki.subject_public_key.data[..].try_into().map_err(|_| not_ed25519())
}

fn not_ed25519() -> PkiError {
    PkiError::NotAKey("statements are signed with Ed25519 keys".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    // openssl genpkey -algorithm ed25519; openssl pkey -pubout; the seed is RFC 8032's first test.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn keys_of_openssl_are_read_and_sign() {
        let key = StatementKey::load(PRIVATE).expect("a key");
        let public = statement_key_of(PUBLIC.as_bytes()).expect("a key");
        assert_eq!((key.public().expect("32 bytes"), public[0]), (public, 0xd7));
        assert_eq!(key.sign(b"").expect("signs")[..4], [0xe5, 0x56, 0x43, 0x00], "RFC 8032, 7.1, TEST 1");
    }

    #[test]
    fn a_drawn_key_reads_back_and_others_are_refused() {
        let key = StatementKey::create().expect("draws");
        let again = StatementKey::load(key.private_pem().expose()).expect("reads");
        assert_eq!(again.public().expect("32"), statement_key_of(key.public_pem().as_bytes()).expect("reads"));
        let other = KeyPair::generate().expect("P-256");
        assert!(StatementKey::load(&other.serialize_pem()).is_err());
        assert!(statement_key_of(other.public_key_pem().as_bytes()).is_err());
        assert!(statement_key_of(b"nothing").is_err());
    }
}
