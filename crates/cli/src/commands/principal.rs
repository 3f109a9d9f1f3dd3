//! `strongroom principal`: people, stations and services, each with one certificate key.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Subcommand;
use serde_json::{Value, json};
use strongroom_client::NewPrincipal;
use strongroom_proto::admin;
use strongroom_types::{PrincipalId, Role, UnitId};

use crate::failure::Failure;
use crate::session::{Globals, Usual};
use crate::shown::some;

/// What can be done with principals.
#[derive(Debug, Subcommand)]
pub(crate) enum Principal {
    /// Registers a principal for a certificate's key
    Register {
        /// Name
        principal: PrincipalId,
        /// Its certificate, PEM or DER; only its key is registered
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// Role; say it again for each
        #[arg(long = "role", required = true)]
        roles: Vec<Role>,
        /// Its unit; without one, the whole agency
        #[arg(long)]
        unit: Option<UnitId>,
    },
    /// Replaces a principal's key; the old one ends at once
    Rotate {
        /// Name
        principal: PrincipalId,
        /// The new certificate, PEM or DER
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
    },
    /// Ends a principal's access at once and for good
    Revoke {
        /// Name
        principal: PrincipalId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// All principals
    List,
}

impl Principal {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let client = globals.client(Usual::Security)?;
        let principal = match self {
            Self::Register { principal, certificate, roles, unit } => {
                let certificate = read_certificate(&certificate)?;
                client.register_principal(NewPrincipal { principal, certificate, roles, unit }).await?
            }
            Self::Rotate { principal, certificate } => {
                client.rotate_principal(&principal, read_certificate(&certificate)?).await?
            }
            Self::Revoke { principal, reason } => client.revoke_principal(&principal, &reason).await?,
            Self::List => return show_all(globals, &client.list_principals().await?),
        };
        globals.output().show(&json(&principal), |page| {
            page.facts(&[
                ("name", principal.principal_id.clone()),
                ("roles", principal.roles.join(", ")),
                ("unit", principal.unit_id.clone()),
                ("key", hex::encode(&principal.key_hash)),
                ("state", state(&principal).to_owned()),
            ]);
        })
    }
}

fn show_all(globals: &Globals, principals: &[admin::Principal]) -> Result<(), Failure> {
    globals.output().show(&principals.iter().map(json).collect(), |page| {
        let row = |principal: &admin::Principal| {
            vec![
                principal.principal_id.clone(),
                principal.roles.join(", "),
                principal.unit_id.clone(),
                state(principal).to_owned(),
                hex::encode(&principal.key_hash),
            ]
        };
        let rows: Vec<_> = principals.iter().map(row).collect();
        page.table(&["name", "roles", "unit", "state", "key"], &rows);
    })
}

fn json(principal: &admin::Principal) -> Value {
    json!({
        "principal": principal.principal_id,
        "key_hash": hex::encode(&principal.key_hash),
        "roles": principal.roles,
        "unit": some(&principal.unit_id),
        "revoked": principal.revoked,
    })
}

const fn state(principal: &admin::Principal) -> &'static str {
    if principal.revoked { "revoked" } else { "registered" }
}

fn read_certificate(path: &Path) -> Result<Bytes, Failure> {
    std::fs::read(path).map(Bytes::from).map_err(Failure::file("read the certificate", path))
}
