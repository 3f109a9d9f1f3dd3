//! `strongroom pki`: authorities and certificates, as files. Needs no cluster; the authorities' keys stay offline.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use strongroom_net::pki::{
    self, Authority, AuthorityKind, CertificateFacts, CertificateUse, Issued, IssuedBy, PrivateKeyPem, Validity,
};
use strongroom_types::{ClusterId, NodeId};

use crate::clock::{self, now};
use crate::failure::Failure;
use crate::session::Globals;

/// Days that a certificate is good for, where nobody says otherwise: a year and a month to renew it in.
pub(crate) const CERTIFICATE_DAYS: u32 = 397;

/// What can be done with keys and certificates.
#[derive(Debug, Subcommand)]
pub(crate) enum Pki {
    /// Makes the two authorities of a cluster: client-ca.{pem,key} and peer-ca.{pem,key}
    CreateAuthorities {
        /// Folder to write to
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// The cluster's id; drawn where none is given
        #[arg(long)]
        cluster: Option<ClusterId>,
    },
    /// Issues a certificate to a person, station or service
    IssueClient {
        /// Name in the certificate
        name: String,
        #[command(flatten)]
        issue: Issue,
    },
    /// Issues the certificate that a node shows on its client port
    IssueServer {
        /// Name in the certificate
        name: String,
        /// Host name or address that clients use; say it again for each
        #[arg(long = "host", required = true)]
        hosts: Vec<String>,
        #[command(flatten)]
        issue: Issue,
    },
    /// Issues the certificate that a node shows other nodes
    IssuePeer {
        /// Such as n1
        node: NodeId,
        /// Further host name or address; say it again for each
        #[arg(long = "host")]
        hosts: Vec<String>,
        #[command(flatten)]
        issue: Issue,
    },
    /// Says what a certificate says
    Inspect {
        /// PEM or DER
        file: PathBuf,
    },
    /// Issues a new certificate for the same key, in place of the old one
    Renew {
        /// The certificate
        file: PathBuf,
        /// Folder of the authorities
        #[arg(long, value_name = "DIR")]
        authorities: PathBuf,
        /// Days that it is good for
        #[arg(long, default_value_t = CERTIFICATE_DAYS)]
        days: u32,
    },
}

/// How to issue.
#[derive(Debug, Args)]
pub(crate) struct Issue {
    /// Folder of the authorities
    #[arg(long, value_name = "DIR")]
    authorities: PathBuf,
    /// Folder to write NAME.pem and NAME.key to
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Days that it is good for
    #[arg(long, default_value_t = CERTIFICATE_DAYS)]
    days: u32,
}

impl Pki {
    /// Does it.
    pub(crate) fn run(self, globals: &Globals) -> Result<(), Failure> {
        match self {
            Self::CreateAuthorities { to, cluster } => {
                let cluster = match cluster {
                    Some(cluster) => cluster,
                    None => ClusterId::new(clock::system()?.draw()),
                };
                create_folder(&to)?;
                for kind in [AuthorityKind::Client, AuthorityKind::Peer] {
                    let authority = Authority::create(kind, cluster, now()?)?;
                    write_new(&to, file_stem(kind), authority.certificate_pem(), authority.key_pem())?;
                }
                let json = json!({ "cluster": cluster.to_string(), "folder": to.display().to_string() });
                globals.output().show(&json, |page| {
                    page.facts(&[("cluster", cluster.to_string()), ("data", to.display().to_string())]);
                })
            }
            Self::IssueClient { name, issue } => {
                let authority = issue.authority(AuthorityKind::Client)?;
                let issued = authority.issue_client(&name, Validity::days_from(now()?, issue.days))?;
                issue.write(globals, &name, &issued)
            }
            Self::IssueServer { name, hosts, issue } => {
                let authority = issue.authority(AuthorityKind::Client)?;
                let issued = authority.issue_server(&name, &hosts, Validity::days_from(now()?, issue.days))?;
                issue.write(globals, &name, &issued)
            }
            Self::IssuePeer { node, hosts, issue } => {
                let authority = issue.authority(AuthorityKind::Peer)?;
                let issued = authority.issue_peer(node, &hosts, Validity::days_from(now()?, issue.days))?;
                issue.write(globals, &node.to_string(), &issued)
            }
            Self::Inspect { file } => {
                let bytes = std::fs::read(&file).map_err(Failure::file("read", &file))?;
                show(globals, &file, &pki::inspect(&bytes)?)
            }
            Self::Renew { file, authorities, days } => renew(globals, &file, &authorities, days),
        }
    }
}

impl Issue {
    fn authority(&self, kind: AuthorityKind) -> Result<Authority, Failure> {
        load_authority(&self.authorities, kind)
    }

    fn write(&self, globals: &Globals, name: &str, issued: &Issued) -> Result<(), Failure> {
        create_folder(&self.to)?;
        let path = write_new(&self.to, name, &issued.certificate_pem, &issued.key_pem)?;
        show(globals, &path, &pki::inspect(issued.certificate_pem.as_bytes())?)
    }
}

fn renew(globals: &Globals, file: &Path, authorities: &Path, days: u32) -> Result<(), Failure> {
    let pem = std::fs::read_to_string(file).map_err(Failure::file("read", file))?;
    let kind = match pki::inspect(pem.as_bytes())?.issuer {
        IssuedBy::Authority { kind, .. } => kind,
        IssuedBy::Other(name) => {
            return Err(Failure::failed(format!(
                "{} was issued by {name}, not by an authority of ours",
                file.display()
            )));
        }
    };
    let renewed = load_authority(authorities, kind)?.renew(&pem, Validity::days_from(now()?, days))?;
    pki::write_public(file, &renewed)?;
    show(globals, file, &pki::inspect(renewed.as_bytes())?)
}

/// An authority from its two files in `folder`.
pub(crate) fn load_authority(folder: &Path, kind: AuthorityKind) -> Result<Authority, Failure> {
    let read = |extension: &str| {
        let path = folder.join(format!("{}.{extension}", file_stem(kind)));
        std::fs::read_to_string(&path).map_err(Failure::file("read", &path))
    };
    Ok(Authority::load(&read("pem")?, &read("key")?)?)
}

/// The name of an authority's files, without their extension.
pub(crate) const fn file_stem(kind: AuthorityKind) -> &'static str {
    match kind {
        AuthorityKind::Client => "client-ca",
        AuthorityKind::Peer => "peer-ca",
    }
}

fn create_folder(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(Failure::file("create", path))
}

/// Writes certificate and key, and never over a key that is there: it may be the only one.
pub(crate) fn write_new(
    folder: &Path,
    name: &str,
    certificate_pem: &str,
    key_pem: &PrivateKeyPem,
) -> Result<PathBuf, Failure> {
    check_name(name)?;
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    if key.exists() {
        return Err(Failure::failed(format!("{} is there already", key.display()))
            .hint("choose another folder, or renew the certificate with `strongroom pki renew`"));
    }
    pki::write_private(&key, key_pem)?;
    pki::write_public(&certificate, certificate_pem)?;
    Ok(certificate)
}

/// Refuses what cannot be the name of a file here.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.contains(['/', '\0']) || name.starts_with('.') {
        return Err(Failure::usage(format!("{name:?} cannot be the name of a file")));
    }
    Ok(())
}

fn show(globals: &Globals, file: &Path, facts: &CertificateFacts) -> Result<(), Failure> {
    let issuer = match &facts.issuer {
        IssuedBy::Authority { kind: AuthorityKind::Client, cluster } => format!("client authority of {cluster}"),
        IssuedBy::Authority { kind: AuthorityKind::Peer, cluster } => format!("peer authority of {cluster}"),
        IssuedBy::Other(name) => name.clone(),
    };
    let json = json!({
        "file": file.display().to_string(),
        "subject": facts.subject,
        "use": usage(facts.usage),
        "issuer": issuer,
        "not_before": facts.not_before.to_string(),
        "not_after": facts.not_after.to_string(),
        "key_hash": facts.key_hash.to_string(),
    });
    globals.output().show(&json, |page| {
        page.facts(&[
            ("file", file.display().to_string()),
            ("subject", facts.subject.clone()),
            ("kind", usage(facts.usage).to_owned()),
            ("issuer", issuer.clone()),
            ("good from", facts.not_before.to_string()),
            ("good until", facts.not_after.to_string()),
            ("key", facts.key_hash.to_string()),
        ]);
    })
}

const fn usage(usage: CertificateUse) -> &'static str {
    match usage {
        CertificateUse::Authority => "authority",
        CertificateUse::Client => "client",
        CertificateUse::Server => "server",
        CertificateUse::Peer => "peer",
        CertificateUse::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let authority =
            Authority::create(AuthorityKind::Client, ClusterId::new([1; 16]), now().expect("a clock")).expect("made");
        let issued = authority.issue_client("legal", Validity::days_from(now().expect("a clock"), 1)).expect("issued");
        let write = || write_new(folder.path(), "legal", &issued.certificate_pem, &issued.key_pem);
        write().expect("writes");
        assert!(write().expect_err("a key is there").told(crate::lang::Lang::En).contains("is there already"));
        for name in ["", "../x", ".hidden"] {
            assert_eq!(write_new(folder.path(), name, "", &issued.key_pem).expect_err(name).exit_code(), 2);
        }
    }
}
