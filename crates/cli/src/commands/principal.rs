//! `strongroom principal`: people, stations and services, each with one certificate key.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Subcommand;
use serde_json::{Value, json};
use strongroom_client::NewPrincipal;
use strongroom_proto::{admin, organisation};
use strongroom_types::{PrincipalId, Role, UnitId, UnixMillis};

use crate::failure::Failure;
use crate::session::{Globals, Usual};
use crate::shown::{self, done, some};

/// What can be done with principals.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  strongroom principal tasks wang                                            what waits for somebody
  strongroom principal leave wang --to li --reason 调离 --dry-run              what stands against it
  strongroom principal leave wang --on 2026-07-01T00:00:00 --to li --reason 调离
  strongroom principal stay wang --reason 暂缓调动")]
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
    /// Notes that somebody leaves: at the date their posts go to another, mandates and access end; names stay
    Leave {
        /// Who
        principal: PrincipalId,
        /// The date; without it, at once
        #[arg(long, value_name = "TIME")]
        on: Option<UnixMillis>,
        /// Who has their posts afterwards
        #[arg(long, value_name = "NAME")]
        to: PrincipalId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Only shows what waits for them and what stands against it
        #[arg(long)]
        dry_run: bool,
    },
    /// Takes back that somebody leaves, before the date
    Stay {
        /// Who
        principal: PrincipalId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// What waits for somebody: devices, posts, mandates, requests to decide, disposals to sign
    Tasks {
        /// Who
        principal: PrincipalId,
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
            Self::Leave { principal, on, to, reason: _, dry_run: true } => {
                let asked = asked(&principal, Some(&to), on);
                return tasks(globals, &principal, &client.list_tasks(asked).await?);
            }
            Self::Leave { principal, on, to, reason, dry_run: false } => {
                let request = organisation::LeavePrincipalRequest {
                    principal_id: principal.to_string(),
                    on_unix_ms: on.map(|on| on.0),
                    to_principal_id: to.to_string(),
                    reason,
                    ..Default::default()
                };
                return done(globals, "person", principal.as_str(), client.leave_principal(request).await?);
            }
            Self::Stay { principal, reason } => {
                let request = organisation::StayPrincipalRequest {
                    principal_id: principal.to_string(),
                    reason,
                    ..Default::default()
                };
                return done(globals, "person", principal.as_str(), client.stay_principal(request).await?);
            }
            Self::Tasks { principal } => {
                return tasks(globals, &principal, &client.list_tasks(asked(&principal, None, None)).await?);
            }
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

fn asked(person: &PrincipalId, to: Option<&PrincipalId>, on: Option<UnixMillis>) -> organisation::ListTasksRequest {
    organisation::ListTasksRequest {
        principal_id: person.to_string(),
        to_principal_id: to.map_or_else(String::new, ToString::to_string),
        on_unix_ms: on.map(|on| on.0),
    }
}

fn tasks(globals: &Globals, person: &PrincipalId, told: &organisation::ListTasksResponse) -> Result<(), Failure> {
    let task = |task: &organisation::Task| {
        json!({
            "task": task.kind,
            "subject": task.subject,
            "details": some(&task.details),
            "settle_first": task.settle_first,
        })
    };
    let json = json!({
        "person": person.as_str(),
        "tasks": told.tasks.iter().map(task).collect::<Vec<_>>(),
        "refusal": some(&told.refusal),
        "leaves_on": told.leaves_unix_ms.map(shown::time),
        "successor": some(&told.successor_id),
        "left": told.left,
    });
    let output = globals.output();
    let words = |kind: &'static str| output.lang.word(kind).to_owned();
    let named = |kind: &str| match kind {
        "device" => words("device"),
        "custodian" => words("custodian"),
        "deputy" => words("deputy"),
        "device-custodian" => words("custodian of a device"),
        "appointment" => output.pick("appointment, ends", "主持工作任命，随之终止").to_owned(),
        "delegation" => output.pick("delegation, ends", "授权，随之终止").to_owned(),
        "decide" => words("request to decide"),
        "supervise" => words("disposal to sign"),
        "removal" => words("removal to finish"),
        "successor" => words("successor of"),
        other => other.to_owned(),
    };
    let row = |task: &organisation::Task| {
        let first = if task.settle_first { output.pick("yes", "是") } else { "" };
        vec![named(&task.kind), task.subject.clone(), task.details.clone(), first.to_owned()]
    };
    let rows: Vec<_> = told.tasks.iter().map(row).collect();
    output.show(&json, |page| {
        page.facts(&[
            ("person", person.to_string()),
            ("leaves on", told.leaves_unix_ms.map(shown::time).unwrap_or_default()),
            ("posts go to", told.successor_id.clone()),
            ("would be refused", told.refusal.clone()),
        ]);
        page.table(&["task", "about", "facts", "to settle first"], &rows);
    })
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
