//! `strongroom device`: the register of recording devices 设备台账. A device changes hands in two steps, and entries of
//! its register are corrected by further entries.

use bytes::Bytes;
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde_json::{Value, json};
use strongroom_client::{Client, NewAsset, Page};
use strongroom_custody::tables::DeviceType;
use strongroom_proto::device;
use strongroom_types::{DeviceId, PrincipalId, UnitId, UnixMillis};

use crate::clock;
use crate::failure::Failure;
use crate::session::{Globals, Usual};
use crate::shown::{self, done, one_line, some};

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
        /// Asset number
        #[arg(long, default_value = "", value_name = "TEXT")]
        asset: String,
        /// Accessories
        #[arg(long, default_value = "", value_name = "TEXT")]
        accessories: String,
        /// Its own custodian, where it has one besides its unit's
        #[arg(long, value_name = "NAME")]
        custodian: Option<PrincipalId>,
    },
    /// All devices
    List,
    /// One device and where it is
    Show {
        /// The device
        device: DeviceId,
    },
    /// Gives a device out: `strongroom device issue D1 --to zhang`; zhang accepts it
    Issue {
        /// The device
        device: DeviceId,
        /// Who is to receive it
        #[arg(long)]
        to: PrincipalId,
        #[command(flatten)]
        along: Along,
    },
    /// Hands a device over to another person, who accepts it
    HandOver {
        /// The device
        device: DeviceId,
        /// Who is to receive it
        #[arg(long)]
        to: PrincipalId,
        /// Recordings on it that are not ingested
        #[arg(long, value_name = "COUNT")]
        un_ingested: u64,
        #[command(flatten)]
        along: Along,
    },
    /// Returns a device to the store, where a custodian accepts it
    Return {
        /// The device
        device: DeviceId,
        /// Recordings on it that are not ingested
        #[arg(long, value_name = "COUNT")]
        un_ingested: u64,
        #[command(flatten)]
        along: Along,
    },
    /// Accepts a device that was issued, handed over or returned
    Accept {
        /// The device
        device: DeviceId,
    },
    /// Does not accept it, or takes one's own offer back
    Decline {
        /// The device
        device: DeviceId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Reports a device lost 挂失
    ReportLoss {
        /// The device
        device: DeviceId,
        /// When it was noticed; without it, now
        #[arg(long, value_name = "TIME")]
        noticed: Option<UnixMillis>,
        /// How it came about
        #[arg(long, value_name = "TEXT")]
        circumstances: String,
    },
    /// Reports a fault
    ReportFault {
        /// The device
        device: DeviceId,
        /// When it was found; without it, now
        #[arg(long, value_name = "TIME")]
        found: Option<UnixMillis>,
        /// What it is
        #[arg(long, value_name = "TEXT")]
        fault: String,
        /// To whom it was reported
        #[arg(long, value_name = "NAME")]
        reported_to: String,
    },
    /// Confirms the open fault, as the unit's head
    ConfirmFault {
        /// The device
        device: DeviceId,
    },
    /// Sends a device to be mended; says first how many recordings are still on it
    Repair {
        /// The device
        device: DeviceId,
        /// Who mends it
        #[arg(long, value_name = "TEXT")]
        repairer: String,
        /// Recordings on it that are not ingested
        #[arg(long, value_name = "COUNT")]
        un_ingested: Option<u64>,
        /// Why they are not ingested first, where there are any
        #[arg(long, default_value = "", value_name = "TEXT")]
        explanation: String,
    },
    /// Takes a device back into the store, mended or found
    Restore {
        /// The device
        device: DeviceId,
        /// What was mended, or how it was found
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
    /// Records what was seen at docking: `strongroom device dock-check D1 --offset-ms=-1500 --un-ingested 0`
    DockCheck {
        /// The device
        device: DeviceId,
        /// The device's clock minus the reference, in milliseconds
        #[arg(long, allow_hyphen_values = true, value_name = "MS")]
        offset_ms: i64,
        /// Against what its clock was measured
        #[arg(long, default_value = "station", value_name = "TEXT")]
        against: String,
        /// Charge of its battery in percent
        #[arg(long, value_name = "PERCENT")]
        battery: Option<u32>,
        /// Free space on it in bytes
        #[arg(long, value_name = "BYTES")]
        free_bytes: Option<u64>,
        /// Recordings on it that are not ingested
        #[arg(long, value_name = "COUNT")]
        un_ingested: u64,
        /// Whether its picture shows the time: true or false; left out where nobody looked
        #[arg(long, value_name = "BOOL")]
        shows_time: Option<bool>,
    },
    /// Appends how an entry of the register is to be read; the entry itself stays
    Correct {
        /// The device
        device: DeviceId,
        /// Number of the entry
        entry: u64,
        /// What of it
        #[arg(long, value_name = "NAME")]
        field: String,
        /// How it is to be read
        #[arg(long, value_name = "TEXT")]
        value: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// The register of a device: `strongroom device ledger D1 --output csv > D1.csv`
    Ledger {
        /// The device
        device: DeviceId,
        /// At most so many
        #[arg(long, default_value_t = 1000, value_name = "COUNT")]
        limit: usize,
    },
    /// Devices that are still with people: not collected today
    NotCollected {
        /// Only this unit's; without one, the caller's
        #[arg(long)]
        unit: Option<UnitId>,
    },
    /// Clears a person who leaves; refused while they hold a device or owe recordings 离岗清退证明
    Clearance {
        /// Who leaves
        person: PrincipalId,
        /// Only show what they hold or owe
        #[arg(long)]
        check: bool,
    },
}

/// What goes along with a device.
#[derive(Debug, Args)]
pub(crate) struct Along {
    /// Accessories that go with it
    #[arg(long, default_value = "", value_name = "TEXT")]
    accessories: String,
    /// What was recorded with it
    #[arg(long, default_value = "", value_name = "TEXT")]
    content: String,
}

impl Device {
    const fn usual(&self) -> Usual {
        match self {
            Self::HandOver { .. } | Self::Return { .. } => Usual::Recorder,
            Self::ConfirmFault { .. } => Usual::UnitHead,
            Self::DockCheck { .. } => Usual::Station,
            Self::Add { .. }
            | Self::List
            | Self::Show { .. }
            | Self::Issue { .. }
            | Self::Accept { .. }
            | Self::Decline { .. }
            | Self::ReportLoss { .. }
            | Self::ReportFault { .. }
            | Self::Repair { .. }
            | Self::Restore { .. }
            | Self::Correct { .. }
            | Self::Ledger { .. }
            | Self::NotCollected { .. }
            | Self::Clearance { .. } => Usual::Custodian,
        }
    }

    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let client = globals.client(self.usual())?;
        match self {
            Self::List => list(globals, &client).await,
            Self::Show { device } => show(globals, &client.show_device(&device).await?),
            Self::Ledger { device, limit } => ledger(globals, &client, &device, limit).await,
            Self::NotCollected { unit } => not_collected(globals, &client.list_uncollected(unit.as_ref()).await?),
            Self::Clearance { person, check: true } => ties(globals, &person, &client.list_ties(&person).await?),
            Self::Clearance { person, check: false } => {
                let request = device::ClearPersonRequest { principal_id: person.to_string(), ..Default::default() };
                done(globals, "cleared", person.as_str(), client.clear_person(request).await?)
            }
            step => step.take(globals, &client).await,
        }
    }

    /// Takes a step that leaves an entry.
    async fn take(self, globals: &Globals, client: &Client) -> Result<(), Failure> {
        let (device, record) = match self {
            Self::Add { device, unit, kind, model, asset, accessories, custodian } => {
                let asset = NewAsset { asset_no: asset, accessories, custodian };
                let record = client.add_device(&device, &unit, &kind, &model, asset).await?;
                (device, record)
            }
            Self::Issue { device, to, along } => {
                let request = device::IssueDeviceRequest {
                    device_id: device.to_string(),
                    to: to.to_string(),
                    accessories: along.accessories,
                    content: along.content,
                    ..Default::default()
                };
                (device, client.issue_device(request).await?)
            }
            Self::HandOver { device, to, un_ingested, along } => {
                let request = device::HandOverDeviceRequest {
                    device_id: device.to_string(),
                    to: to.to_string(),
                    accessories: along.accessories,
                    content: along.content,
                    un_ingested: Some(un_ingested),
                    ..Default::default()
                };
                (device, client.hand_over_device(request).await?)
            }
            Self::Return { device, un_ingested, along } => {
                let request = device::ReturnDeviceRequest {
                    device_id: device.to_string(),
                    accessories: along.accessories,
                    content: along.content,
                    un_ingested: Some(un_ingested),
                    ..Default::default()
                };
                (device, client.return_device(request).await?)
            }
            Self::Accept { device } => {
                let request = device::AnswerOfferRequest { device_id: device.to_string(), ..Default::default() };
                (device, client.answer_offer(request).await?)
            }
            Self::Decline { device, reason } => {
                let request = device::AnswerOfferRequest {
                    device_id: device.to_string(),
                    declined: true,
                    reason,
                    ..Default::default()
                };
                (device, client.answer_offer(request).await?)
            }
            Self::ReportLoss { device, noticed, circumstances } => {
                let request = device::ReportLossRequest {
                    device_id: device.to_string(),
                    noticed_unix_ms: at(noticed)?,
                    circumstances,
                    ..Default::default()
                };
                (device, client.report_loss(request).await?)
            }
            Self::ReportFault { device, found, fault, reported_to } => {
                let request = device::ReportFaultRequest {
                    device_id: device.to_string(),
                    found_unix_ms: at(found)?,
                    fault,
                    reported_to,
                    ..Default::default()
                };
                (device, client.report_fault(request).await?)
            }
            Self::ConfirmFault { device } => {
                let request = device::ConfirmFaultRequest { device_id: device.to_string(), ..Default::default() };
                (device, client.confirm_fault(request).await?)
            }
            Self::Repair { device, repairer, un_ingested, explanation } => {
                let request = device::SendToRepairRequest {
                    device_id: device.to_string(),
                    repairer,
                    un_ingested,
                    explanation,
                    ..Default::default()
                };
                (device, client.send_to_repair(request).await?)
            }
            Self::Restore { device, note } => {
                let request =
                    device::RestoreDeviceRequest { device_id: device.to_string(), note, ..Default::default() };
                (device, client.restore_device(request).await?)
            }
            Self::DockCheck { device, offset_ms, against, battery, free_bytes, un_ingested, shows_time } => {
                let request = device::DockDeviceRequest {
                    device_id: device.to_string(),
                    offset_ms,
                    against,
                    battery_percent: battery,
                    free_bytes,
                    un_ingested,
                    shows_time,
                    ..Default::default()
                };
                (device, client.dock_device(request).await?)
            }
            Self::Correct { device, entry, field, value, reason } => {
                let request = device::CorrectEntryRequest {
                    device_id: device.to_string(),
                    entry,
                    field,
                    value,
                    reason,
                    ..Default::default()
                };
                (device, client.correct_entry(request).await?)
            }
            Self::List
            | Self::Show { .. }
            | Self::Ledger { .. }
            | Self::NotCollected { .. }
            | Self::Clearance { .. } => unreachable!("these only show"),
        };
        done(globals, "device", device.as_str(), record)
    }
}

/// An instant that was given, or now.
pub(super) fn at(given: Option<UnixMillis>) -> Result<i64, Failure> {
    Ok(given.map_or_else(clock::now, Ok)?.0)
}

async fn list(globals: &Globals, client: &Client) -> Result<(), Failure> {
    let devices = client.list_devices().await?;
    let json = devices
        .iter()
        .map(|device| {
            json!({
                "device": device.device_id,
                "unit": device.unit_id,
                "type": device.device_type,
                "model": device.brand_model,
                "asset": some(&device.asset_no),
                "accessories": some(&device.accessories),
                "custodian": some(&device.custodian),
            })
        })
        .collect();
    let row = |device: &strongroom_proto::admin::Device| {
        vec![
            device.device_id.clone(),
            device.unit_id.clone(),
            device.device_type.clone(),
            device.brand_model.clone(),
            device.asset_no.clone(),
        ]
    };
    let rows: Vec<_> = devices.iter().map(row).collect();
    globals.output().list(&json, &["device", "unit", "kind", "brand and model", "asset number"], &rows)
}

fn state_json(device: &device::DeviceState) -> Value {
    let offer =
        some(&device.offer_way).map(|way| json!({ "way": way, "by": device.offer_by, "to": some(&device.offer_to) }));
    json!({
        "device": device.device_id,
        "unit": device.unit_id,
        "type": device.device_type,
        "model": device.brand_model,
        "asset": some(&device.asset_no),
        "accessories": some(&device.accessories),
        "custodian": some(&device.custodian),
        "place": device.place,
        "holder": some(&device.holder),
        "since": shown::time(device.since_unix_ms),
        "offer": offer,
        "fault_open": device.fault_open,
        "fault_confirmed": device.fault_confirmed,
        "clock_offset_ms": device.clock_offset_ms,
        "clock_measured_at": device.clock_measured_unix_ms.map(shown::time),
        "clock_against": some(&device.clock_against),
        "un_ingested": device.un_ingested,
        "owing": device.owing,
        "collected_at": device.collected_unix_ms.map(shown::time),
        "collected_by": some(&device.collected_by),
    })
}

fn show(globals: &Globals, device: &device::DeviceState) -> Result<(), Failure> {
    let offer = match device.offer_way.as_str() {
        "" => String::new(),
        way => format!("{way}: {} → {}", device.offer_by, some(&device.offer_to).unwrap_or("store")),
    };
    let fault = match (device.fault_open, device.fault_confirmed) {
        (false, _) => "",
        (true, false) => "reported",
        (true, true) => "confirmed",
    };
    globals.output().show(&state_json(device), |page| {
        page.facts(&[
            ("device", device.device_id.clone()),
            ("unit", device.unit_id.clone()),
            ("kind", device.device_type.clone()),
            ("brand and model", device.brand_model.clone()),
            ("asset number", device.asset_no.clone()),
            ("accessories", device.accessories.clone()),
            ("custodian", device.custodian.clone()),
            ("place", device.place.clone()),
            ("holder", device.holder.clone()),
            ("since", shown::time(device.since_unix_ms)),
            ("on its way", offer),
            ("fault", fault.to_owned()),
            ("clock offset", device.clock_offset_ms.map(|offset| format!("{offset} ms")).unwrap_or_default()),
            ("not ingested", device.un_ingested.map(|count| count.to_string()).unwrap_or_default()),
            ("owing", device.owing.join(" ")),
            ("collected", device.collected_unix_ms.map(shown::time).unwrap_or_default()),
        ]);
    })
}

async fn ledger(globals: &Globals, client: &Client, device: &DeviceId, limit: usize) -> Result<(), Failure> {
    let (mut entries, mut token) = (Vec::new(), Bytes::new());
    while entries.len() < limit {
        let size = u32::try_from((limit - entries.len()).min(100)).unwrap_or(100);
        let (page, next) = client.list_device_entries(device, Page { size, token }).await?;
        entries.extend(page);
        token = next;
        if token.is_empty() {
            break;
        }
    }
    let json = entries
        .iter()
        .map(|entry| {
            json!({
                "entry": entry.number,
                "at": shown::time(entry.at_unix_ms),
                "by": some(&entry.by),
                "what": entry.kind,
                "place": some(&entry.place),
                "holder": some(&entry.holder),
                "details": entry.details,
                "findings": entry.findings,
                "record": entry.record_seq,
            })
        })
        .collect();
    let row = |entry: &device::DeviceEntry| {
        vec![
            entry.number.to_string(),
            shown::time(entry.at_unix_ms),
            entry.by.clone(),
            entry.kind.clone(),
            entry.place.clone(),
            entry.holder.clone(),
            one_line(&entry.details),
            entry.findings.join(" "),
        ]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    let heads = ["entry", "when", "actor", "what", "place", "holder", "facts", "findings"];
    globals.output().list(&json, &heads, &rows)
}

fn not_collected(globals: &Globals, devices: &[device::DeviceState]) -> Result<(), Failure> {
    let json = devices.iter().map(state_json).collect();
    let row = |device: &device::DeviceState| {
        vec![
            device.device_id.clone(),
            device.unit_id.clone(),
            device.holder.clone(),
            shown::time(device.since_unix_ms),
            device.collected_unix_ms.map(shown::time).unwrap_or_default(),
            device.un_ingested.map(|count| count.to_string()).unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = devices.iter().map(row).collect();
    globals.output().list(&json, &["device", "unit", "holder", "since", "collected", "not ingested"], &rows)
}

fn ties(globals: &Globals, person: &PrincipalId, told: &device::ListTiesResponse) -> Result<(), Failure> {
    let json = json!({
        "person": person.as_str(),
        "devices": told.ties.iter().map(|tie| json!({ "device": tie.device_id, "state": tie.kind })).collect::<Vec<_>>(),
        "cleared_at": told.cleared_unix_ms.map(shown::time),
        "cleared_by": some(&told.cleared_by),
    });
    let rows: Vec<_> = told.ties.iter().map(|tie| vec![tie.device_id.clone(), tie.kind.clone()]).collect();
    globals.output().show(&json, |page| {
        page.facts(&[
            ("person", person.to_string()),
            ("cleared", told.cleared_unix_ms.map(shown::time).unwrap_or_default()),
        ]);
        page.table(&["device", "state"], &rows);
    })
}
