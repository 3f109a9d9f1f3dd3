//! What a certificate says, and who signed it.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime, pem::PemObject};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use sha2::{Digest, Sha256};
use strongroom_types::{ClusterId, KeyHash, UnixMillis};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

use super::{AuthorityKind, PkiError};

/// What a certificate may be shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateUse {
    /// To sign others.
    Authority,
    /// Calling nodes.
    Client,
    /// Answering clients.
    Server,
    /// Calling and answering other nodes.
    Peer,
    /// Something that we do not issue.
    Other,
}

/// Who signed a certificate, by the name in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuedBy {
    /// One of a cluster's two authorities.
    Authority {
        /// Which of the two.
        kind: AuthorityKind,
        /// Its cluster.
        cluster: ClusterId,
    },
    /// Somebody else; the whole name as text.
    Other(String),
}

/// What a certificate says. Nothing here has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Its common name.
    pub subject: String,
    /// Good from here.
    pub not_before: UnixMillis,
    /// Good until here.
    pub not_after: UnixMillis,
    /// The key that it speaks for: what a principal's row names.
    pub key_hash: KeyHash,
    /// Who signed it, by name.
    pub issuer: IssuedBy,
    /// What it may be shown for.
    pub usage: CertificateUse,
}

/// Reads the first certificate of a PEM file, or one in DER.
///
/// # Errors
/// [`PkiError::NotACertificate`] where there is none.
pub fn inspect(pem_or_der: &[u8]) -> Result<CertificateFacts, PkiError> {
    parse(pem_or_der).map(|certificate| certificate.facts)
}

/// SHA-256 of the key in a certificate (its SubjectPublicKeyInfo in DER): the same for every certificate of that key.
///
/// # Errors
/// [`PkiError::NotACertificate`] where the bytes are none.
pub fn key_hash_of_certificate(pem_or_der: &[u8]) -> Result<KeyHash, PkiError> {
    inspect(pem_or_der).map(|facts| facts.key_hash)
}

/// The key in a certificate: its SubjectPublicKeyInfo in DER.
///
/// # Errors
/// [`PkiError::NotACertificate`] where the bytes are none.
pub fn public_key_of_certificate(pem_or_der: &[u8]) -> Result<Vec<u8>, PkiError> {
    parse(pem_or_der).map(|certificate| certificate.spki)
}

/// A certificate taken apart.
pub(super) struct Certificate {
    pub(super) facts: CertificateFacts,
    /// Host names and addresses it may be reached at.
    pub(super) hosts: Vec<String>,
    /// SubjectPublicKeyInfo in DER.
    pub(super) spki: Vec<u8>,
    der: CertificateDer<'static>,
}

pub(super) fn parse(pem_or_der: &[u8]) -> Result<Certificate, PkiError> {
    let der = der_of(pem_or_der)?;
    let (facts, hosts, spki) = {
        let (rest, x509) = X509Certificate::from_der(&der).map_err(not_a_certificate)?;
        if !rest.is_empty() {
            return Err(not_a_certificate("there are bytes behind it"));
        }
        let spki = x509.tbs_certificate.subject_pki.raw.to_vec();
        let facts = CertificateFacts {
            subject: common_name(x509.subject()).unwrap_or_default(),
            not_before: UnixMillis(x509.validity().not_before.timestamp().saturating_mul(1000)),
            not_after: UnixMillis(x509.validity().not_after.timestamp().saturating_mul(1000)),
            key_hash: key_hash_of_spki(&spki),
            issuer: issued_by(x509.issuer()),
            usage: usage(&x509)?,
        };
        (facts, hosts(&x509)?, spki)
    };
    Ok(Certificate { facts, hosts, spki, der })
}

pub(super) fn key_hash_of_spki(spki: &[u8]) -> KeyHash {
    KeyHash::new(Sha256::digest(spki).into())
}

/// Whether the authority's key made the signature, asked as of the certificate's own beginning, so that an expired one
/// can be renewed.
pub(super) fn is_signed_by(certificate: &Certificate, authority_pem: &[u8]) -> Result<bool, PkiError> {
    let mut roots = RootCertStore::empty();
    roots.add(der_of(authority_pem)?).map_err(not_a_certificate)?;
    let seconds = u64::try_from(certificate.facts.not_before.0 / 1000).map_err(not_a_certificate)?;
    let then = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(match certificate.facts.usage {
        CertificateUse::Client | CertificateUse::Peer => {
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(not_a_certificate)?
                .verify_client_cert(&certificate.der, &[], then)
                .is_ok()
        }
        CertificateUse::Server => {
            let parsed = ParsedCertificate::try_from(&certificate.der).map_err(not_a_certificate)?;
            let algorithms = provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], then, algorithms).is_ok()
        }
        CertificateUse::Authority | CertificateUse::Other => false,
    })
}

fn der_of(pem_or_der: &[u8]) -> Result<CertificateDer<'static>, PkiError> {
    if pem_or_der.first() == Some(&0x30) {
        Ok(CertificateDer::from(pem_or_der.to_vec()))
    } else {
        CertificateDer::from_pem_slice(pem_or_der).map_err(not_a_certificate)
    }
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name().next().and_then(|attribute| attribute.as_str().ok()).map(str::to_owned)
}

fn issued_by(name: &X509Name<'_>) -> IssuedBy {
    let kind = common_name(name).and_then(|text| AuthorityKind::from_common_name(&text));
    let cluster = name.iter_organization().next().and_then(|attribute| attribute.as_str().ok()?.parse().ok());
    match (kind, cluster) {
        (Some(kind), Some(cluster)) => IssuedBy::Authority { kind, cluster },
        (None, _) | (_, None) => IssuedBy::Other(name.to_string()),
    }
}

fn usage(x509: &X509Certificate<'_>) -> Result<CertificateUse, PkiError> {
    if x509.is_ca() {
        return Ok(CertificateUse::Authority);
    }
    let Some(extended) = x509.extended_key_usage().map_err(not_a_certificate)? else {
        return Ok(CertificateUse::Other);
    };
    Ok(match (extended.value.client_auth, extended.value.server_auth) {
        (true, true) => CertificateUse::Peer,
        (true, false) => CertificateUse::Client,
        (false, true) => CertificateUse::Server,
        (false, false) => CertificateUse::Other,
    })
}

fn hosts(x509: &X509Certificate<'_>) -> Result<Vec<String>, PkiError> {
    let Some(names) = x509.subject_alternative_name().map_err(not_a_certificate)? else { return Ok(Vec::new()) };
    names
        .value
        .general_names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(host) => Ok((*host).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            other => Err(not_a_certificate(format!("it has a name that we do not issue: {other}"))),
        })
        .collect()
}

fn address(bytes: &[u8]) -> Result<String, PkiError> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        Ok(std::net::Ipv4Addr::from(v4).to_string())
    } else if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        Ok(std::net::Ipv6Addr::from(v6).to_string())
    } else {
        Err(not_a_certificate("it has an IP address of a strange length"))
    }
}

fn not_a_certificate(why: impl std::fmt::Display) -> PkiError {
    PkiError::NotACertificate(why.to_string())
}
