//! `strongroom unit`: organisational units.

use clap::Subcommand;
use serde_json::json;
use strongroom_proto::device;
use strongroom_types::{DeviceId, PrincipalId, ProfileName, UnitId, UnixMillis};

use crate::failure::Failure;
use crate::session::{Globals, Usual};
use crate::shown::{self, done};

/// What can be done with units.
#[derive(Debug, Subcommand)]
pub(crate) enum Unit {
    /// Registers a unit under a profile
    Add {
        /// Short name
        unit: UnitId,
        /// Full name
        #[arg(long, value_name = "TEXT")]
        name: String,
        /// Profile that governs it
        #[arg(long)]
        profile: ProfileName,
    },
    /// All units
    List,
    /// Names the unit's custodian, or that of one device: `strongroom unit custodian U1 wang`
    Custodian {
        /// The unit
        unit: UnitId,
        /// Who keeps its devices
        principal: PrincipalId,
        /// Only of this device
        #[arg(long)]
        device: Option<DeviceId>,
        /// From when; without it, at once
        #[arg(long, value_name = "TIME")]
        from: Option<UnixMillis>,
    },
    /// Names a deputy: `strongroom unit deputy U1 li --from 2026-03-01T00:00:00 --until 2026-03-08T00:00:00`
    Deputy {
        /// The unit
        unit: UnitId,
        /// Who stands in
        principal: PrincipalId,
        /// From when; without it, at once
        #[arg(long, value_name = "TIME")]
        from: Option<UnixMillis>,
        /// Until when
        #[arg(long, value_name = "TIME")]
        until: UnixMillis,
    },
    /// Custodian and deputies of a unit
    Keepers {
        /// The unit
        unit: UnitId,
    },
}

impl Unit {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let usual = match &self {
            Self::Add { .. } | Self::List => Usual::Security,
            Self::Custodian { .. } | Self::Deputy { .. } | Self::Keepers { .. } => Usual::UnitHead,
        };
        let client = globals.client(usual)?;
        match self {
            Self::Add { unit, name, profile } => {
                let record = client.add_unit(&unit, &name, &profile).await?;
                let json = json!({ "unit": unit.as_str(), "record": record.0 });
                globals
                    .output()
                    .show(&json, |page| page.facts(&[("unit", unit.to_string()), ("record", record.to_string())]))
            }
            Self::List => {
                let units = client.list_units().await?;
                let json = units
                    .iter()
                    .map(|unit| json!({ "unit": unit.unit_id, "name": unit.full_name, "profile": unit.profile }))
                    .collect();
                globals.output().show(&json, |page| {
                    let row = |unit: &strongroom_proto::admin::Unit| {
                        vec![unit.unit_id.clone(), unit.full_name.clone(), unit.profile.clone()]
                    };
                    page.table(&["unit", "full name", "profile"], &units.iter().map(row).collect::<Vec<_>>());
                })
            }
            Self::Custodian { unit, principal, device, from } => {
                let request = device::NameKeeperRequest {
                    unit_id: unit.to_string(),
                    device_id: device.map_or_else(String::new, |device| device.to_string()),
                    principal_id: principal.to_string(),
                    from_unix_ms: from.map(|from| from.0),
                    ..device::NameKeeperRequest::default()
                };
                done(globals, "custodian", principal.as_str(), client.name_keeper(request).await?)
            }
            Self::Deputy { unit, principal, from, until } => {
                let request = device::NameKeeperRequest {
                    unit_id: unit.to_string(),
                    principal_id: principal.to_string(),
                    from_unix_ms: from.map(|from| from.0),
                    until_unix_ms: Some(until.0),
                    ..device::NameKeeperRequest::default()
                };
                done(globals, "deputy", principal.as_str(), client.name_keeper(request).await?)
            }
            Self::Keepers { unit } => keepers(globals, &client.list_keepers(&unit).await?),
        }
    }
}

fn keepers(globals: &Globals, terms: &[device::KeeperTerm]) -> Result<(), Failure> {
    let office = |term: &device::KeeperTerm| if term.deputy { "deputy" } else { "custodian" };
    let json = terms
        .iter()
        .map(|term| {
            json!({
                "principal": term.principal_id,
                "office": office(term),
                "from": shown::time(term.from_unix_ms),
                "until": term.until_unix_ms.map(shown::time),
                "current": term.current,
                "record": term.record_seq,
            })
        })
        .collect();
    let row = |term: &device::KeeperTerm| {
        vec![
            term.principal_id.clone(),
            office(term).to_owned(),
            shown::time(term.from_unix_ms),
            term.until_unix_ms.map(shown::time).unwrap_or_default(),
            if term.current { "yes" } else { "" }.to_owned(),
        ]
    };
    let rows: Vec<_> = terms.iter().map(row).collect();
    globals.output().list(&json, &["name", "office", "good from", "good until", "current"], &rows)
}
