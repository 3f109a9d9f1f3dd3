//! `strongroom device`: the register of recording devices 设备台账.

use clap::{Subcommand, builder::PossibleValuesParser};
use serde_json::json;
use strongroom_custody::tables::DeviceType;
use strongroom_types::{DeviceId, UnitId};

use crate::failure::Failure;
use crate::session::{Globals, Usual};

/// What can be done with devices.
#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// Registers a device
    Add {
        /// Register number
        device: DeviceId,
        /// Unit that holds it
        #[arg(long)]
        unit: UnitId,
        /// Kind
        #[arg(long = "type", value_name = "KIND",
            value_parser = PossibleValuesParser::new(DeviceType::ALL.map(DeviceType::name)))]
        kind: String,
        /// Brand and model
        #[arg(long, default_value = "", value_name = "TEXT")]
        model: String,
    },
    /// All devices
    List,
}

impl Device {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let client = globals.client(Usual::Custodian)?;
        match self {
            Self::Add { device, unit, kind, model } => {
                let record = client.add_device(&device, &unit, &kind, &model).await?;
                let json = json!({ "device": device.as_str(), "record": record.0 });
                globals
                    .output()
                    .show(&json, |page| page.facts(&[("device", device.to_string()), ("record", record.to_string())]))
            }
            Self::List => {
                let devices = client.list_devices().await?;
                let json = devices
                    .iter()
                    .map(|device| {
                        json!({
                            "device": device.device_id,
                            "unit": device.unit_id,
                            "type": device.device_type,
                            "model": device.brand_model,
                        })
                    })
                    .collect();
                globals.output().show(&json, |page| {
                    let row = |device: &strongroom_proto::admin::Device| {
                        vec![
                            device.device_id.clone(),
                            device.unit_id.clone(),
                            device.device_type.clone(),
                            device.brand_model.clone(),
                        ]
                    };
                    let rows: Vec<_> = devices.iter().map(row).collect();
                    page.table(&["device", "unit", "kind", "brand and model"], &rows);
                })
            }
        }
    }
}
