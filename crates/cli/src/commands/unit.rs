//! `strongroom unit`: organisational units.

use clap::Subcommand;
use serde_json::json;
use strongroom_types::{ProfileName, UnitId};

use crate::failure::Failure;
use crate::session::{Globals, Usual};

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
}

impl Unit {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let client = globals.client(Usual::Security)?;
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
        }
    }
}
