//! `strongroom unit`: organisational units and what becomes of them.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_client::Client;
use strongroom_proto::organisation::moved::What;
use strongroom_proto::organisation::unit_change::Change;
use strongroom_proto::organisation::{
    self, Abolish, Merge, Moved, Rename, Share, Split, UnitChange, WaitingUnitChange,
};
use strongroom_proto::{admin, device};
use strongroom_types::{CaseId, DeviceId, PrincipalId, ProfileName, UnitId, UnixMillis};

use crate::failure::Failure;
use crate::session::{Globals, Usual};
use crate::shown::{self, done};

/// What can be done with units.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  strongroom unit rename U1 --name 综合执法一中队 --basis '编办〔2026〕3号'
  strongroom unit merge U1 U2 --into U9 --basis '编办〔2026〕4号' --dry-run     counts what would move
  strongroom unit merge U1 U2 --into U9 --from 2026-07-01T00:00:00 --basis '编办〔2026〕4号'
  strongroom unit split U9 --into U3 --into U4 --case C-7=U4 --device D5=U4 --person li=U4 --basis '编办〔2026〕5号'
  strongroom --as head unit approve 57
  strongroom unit withdraw 57 --reason '方案调整'")]
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
    /// All units, those that have ended too
    List,
    /// One unit: its names, whose powers it has, and who has its powers
    Show {
        /// Short name
        unit: UnitId,
    },
    /// Gives a unit a new full name; its short name is for good
    Rename {
        /// Short name
        unit: UnitId,
        /// The new full name
        #[arg(long, value_name = "TEXT")]
        name: String,
        #[command(flatten)]
        terms: Terms,
    },
    /// Makes units part of another, which is registered already: people, devices, cases and powers move
    Merge {
        /// Units that end
        #[arg(required = true)]
        units: Vec<UnitId>,
        /// The unit that has their powers afterwards
        #[arg(long)]
        into: UnitId,
        #[command(flatten)]
        terms: Terms,
    },
    /// Divides a unit among others; what is not named goes to the first of them
    Split {
        /// The unit that ends
        unit: UnitId,
        /// A successor, the main one first; say it again for each
        #[arg(long, required = true)]
        into: Vec<UnitId>,
        /// A case that goes to another than the main successor; say it again for each
        #[arg(long = "case", value_name = "CASE=UNIT", value_parser = pair::<CaseId>)]
        cases: Vec<(CaseId, UnitId)>,
        /// A device that does
        #[arg(long = "device", value_name = "DEVICE=UNIT", value_parser = pair::<DeviceId>)]
        devices: Vec<(DeviceId, UnitId)>,
        /// A person or station that does
        #[arg(long = "person", value_name = "NAME=UNIT", value_parser = pair::<PrincipalId>)]
        people: Vec<(PrincipalId, UnitId)>,
        #[command(flatten)]
        terms: Terms,
    },
    /// Ends a unit whose powers another has from then on
    Abolish {
        /// The unit that ends
        unit: UnitId,
        /// The unit that has its powers afterwards
        #[arg(long)]
        successor: UnitId,
        #[command(flatten)]
        terms: Terms,
    },
    /// Changes of units that wait for approval or for their date
    Waiting,
    /// Approves a change; it takes effect at its date, after 24 hours of compliance time at least
    Approve {
        /// Record of the proposal, as `unit waiting` names it
        record: u64,
    },
    /// Withdraws a change before it takes effect
    Withdraw {
        /// Record of the proposal
        record: u64,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
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

/// From when, on what decision, and whether it is only tried.
#[derive(Debug, Args)]
pub(crate) struct Terms {
    /// From when; without it, as soon as it may
    #[arg(long, value_name = "TIME")]
    from: Option<UnixMillis>,
    /// The decision that it rests on
    #[arg(long, value_name = "TEXT")]
    basis: String,
    /// Only counts what would move
    #[arg(long)]
    dry_run: bool,
}

/// `NAME=UNIT`. Numbers of cases may hold any sign, so the last one divides.
fn pair<T>(text: &str) -> Result<(T, UnitId), String>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let (name, unit) = text.rsplit_once('=').ok_or("say what and where: NAME=UNIT")?;
    let told = |error: &dyn std::fmt::Display| error.to_string();
    Ok((name.parse().map_err(|error| told(&error))?, unit.parse().map_err(|error| told(&error))?))
}

impl Unit {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let usual = match &self {
            Self::Add { .. }
            | Self::List
            | Self::Show { .. }
            | Self::Rename { .. }
            | Self::Merge { .. }
            | Self::Split { .. }
            | Self::Abolish { .. }
            | Self::Waiting
            | Self::Withdraw { .. } => Usual::Security,
            Self::Approve { .. } => Usual::Legal,
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
            Self::List => list(globals, &client.list_units().await?),
            Self::Show { unit } => show(globals, &client.show_unit(&unit).await?),
            Self::Rename { unit, name, terms } => {
                let change = Change::Rename(Rename { unit_id: unit.to_string(), full_name: name });
                propose(globals, &client, change, terms).await
            }
            Self::Merge { units, into, terms } => {
                let change = Change::Merge(Merge { unit_ids: names(&units), successor_id: into.to_string() });
                propose(globals, &client, change, terms).await
            }
            Self::Split { unit, into, cases, devices, people, terms } => {
                let moved = |what, unit: UnitId| Moved { what: Some(what), unit_id: unit.to_string() };
                let cases = cases.into_iter().map(|(case, unit)| moved(What::CaseId(case.to_string()), unit));
                let devices = devices.into_iter().map(|(device, unit)| moved(What::DeviceId(device.to_string()), unit));
                let people = people.into_iter().map(|(name, unit)| moved(What::PrincipalId(name.to_string()), unit));
                let change = Change::Split(Split {
                    unit_id: unit.to_string(),
                    successor_ids: names(&into),
                    moved: cases.chain(devices).chain(people).collect(),
                });
                propose(globals, &client, change, terms).await
            }
            Self::Abolish { unit, successor, terms } => {
                let change =
                    Change::Abolish(Abolish { unit_id: unit.to_string(), successor_id: successor.to_string() });
                propose(globals, &client, change, terms).await
            }
            Self::Waiting => waiting(globals, &client.list_unit_changes().await?),
            Self::Approve { record } => {
                let request =
                    organisation::ApproveUnitChangeRequest { proposal_record_seq: record, ..Default::default() };
                done(globals, "proposal", &record.to_string(), client.approve_unit_change(request).await?)
            }
            Self::Withdraw { record, reason } => {
                let request = organisation::WithdrawUnitChangeRequest {
                    proposal_record_seq: record,
                    reason,
                    ..Default::default()
                };
                done(globals, "proposal", &record.to_string(), client.withdraw_unit_change(request).await?)
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

fn names(units: &[UnitId]) -> Vec<String> {
    units.iter().map(ToString::to_string).collect()
}

/// Proposes a change, or counts what it would move.
async fn propose(globals: &Globals, client: &Client, change: Change, terms: Terms) -> Result<(), Failure> {
    let needs_approval = !matches!(change, Change::Rename(_));
    let change = UnitChange { change: Some(change) };
    if terms.dry_run {
        return plan(globals, &client.plan_unit_change(change).await?);
    }
    let record = client
        .propose_unit_change(organisation::ProposeUnitChangeRequest {
            change: Some(change),
            from_unix_ms: terms.from.map(|from| from.0),
            basis: terms.basis,
            ..Default::default()
        })
        .await?;
    let output = globals.output();
    if needs_approval {
        output.talk(format!(
            "{} `strongroom unit approve {}`",
            output.pick("legal or the head, another person, approves it:", "由法制部门或主要领导（另一人）批准："),
            record.0
        ));
    }
    done(globals, "proposal", &record.0.to_string(), record)
}

fn plan(globals: &Globals, shares: &[Share]) -> Result<(), Failure> {
    let json = shares
        .iter()
        .map(|share| {
            json!({
                "from": share.from_unit_id,
                "to": share.to_unit_id,
                "people": share.people_count,
                "devices": share.device_count,
                "cases": share.case_count,
                "requests": share.request_count,
                "notices": share.notice_count,
            })
        })
        .collect();
    let row = |share: &Share| {
        let counts =
            [share.people_count, share.device_count, share.case_count, share.request_count, share.notice_count];
        let units = [share.from_unit_id.clone(), share.to_unit_id.clone()];
        units.into_iter().chain(counts.map(|count| count.to_string())).collect()
    };
    let rows: Vec<Vec<_>> = shares.iter().map(row).collect();
    let heads = ["unit that ends", "successor", "people", "devices", "open cases", "pending requests", "open notices"];
    globals.output().list(&json, &heads, &rows)
}

fn list(globals: &Globals, units: &[admin::Unit]) -> Result<(), Failure> {
    let row = |unit: &admin::Unit| {
        vec![
            unit.unit_id.clone(),
            unit.full_name.clone(),
            unit.agency.clone(),
            unit.profile.clone(),
            unit.from_unix_ms.map(shown::time).unwrap_or_default(),
            unit.ended_unix_ms.map(shown::time).unwrap_or_default(),
            unit.successor_ids.join(" "),
        ]
    };
    let rows: Vec<_> = units.iter().map(row).collect();
    let heads = ["unit", "full name", "agency", "profile", "good from", "good until", "successor"];
    globals.output().list(&units.iter().map(unit_json).collect(), &heads, &rows)
}

fn unit_json(unit: &admin::Unit) -> Value {
    json!({
        "unit": unit.unit_id,
        "name": unit.full_name,
        "agency": unit.agency,
        "profile": unit.profile,
        "from": unit.from_unix_ms.map(shown::time),
        "until": unit.ended_unix_ms.map(shown::time),
        "successors": unit.successor_ids,
    })
}

fn show(globals: &Globals, shown: &admin::ShowUnitResponse) -> Result<(), Failure> {
    let unit = shown.unit.clone().unwrap_or_default();
    let former = |name: &admin::FormerName| json!({ "name": name.full_name, "until": shown::time(name.until_unix_ms), "record": name.record_seq });
    let mut json = unit_json(&unit);
    json["former_names"] = shown.former_names.iter().map(former).collect();
    json["former_units"] = shown.former_unit_ids.clone().into();
    let former = |name: &admin::FormerName| format!("{} ({})", name.full_name, shown::time(name.until_unix_ms));
    globals.output().show(&json, |page| {
        page.facts(&[
            ("unit", unit.unit_id.clone()),
            ("full name", unit.full_name.clone()),
            ("former names", shown.former_names.iter().map(former).collect::<Vec<_>>().join(", ")),
            ("agency", unit.agency.clone()),
            ("profile", unit.profile.clone()),
            ("good from", unit.from_unix_ms.map(shown::time).unwrap_or_default()),
            ("good until", unit.ended_unix_ms.map(shown::time).unwrap_or_default()),
            ("successor", unit.successor_ids.join(" ")),
            ("has the powers of", shown.former_unit_ids.join(" ")),
        ]);
    })
}

/// The change as one word, the units that it is about, their successors, and what else there is to say.
fn told(change: Option<&UnitChange>) -> [String; 4] {
    let moved = |moved: &Moved| {
        let what = match &moved.what {
            Some(What::CaseId(case)) => format!("case {case}"),
            Some(What::DeviceId(device)) => format!("device {device}"),
            Some(What::PrincipalId(person)) => format!("person {person}"),
            None => String::new(),
        };
        format!("{what} → {}", moved.unit_id)
    };
    match change.and_then(|change| change.change.as_ref()) {
        Some(Change::Rename(rename)) => ["rename", &rename.unit_id, "", &rename.full_name].map(str::to_owned),
        Some(Change::Merge(merge)) => {
            ["merge".to_owned(), merge.unit_ids.join(" "), merge.successor_id.clone(), String::new()]
        }
        Some(Change::Split(split)) => [
            "split".to_owned(),
            split.unit_id.clone(),
            split.successor_ids.join(" "),
            split.moved.iter().map(moved).collect::<Vec<_>>().join("; "),
        ],
        Some(Change::Abolish(abolish)) => ["abolish", &abolish.unit_id, &abolish.successor_id, ""].map(str::to_owned),
        None => Default::default(),
    }
}

fn waiting(globals: &Globals, changes: &[WaitingUnitChange]) -> Result<(), Failure> {
    let json = changes
        .iter()
        .map(|waiting| {
            let [kind, units, successors, details] = told(waiting.change.as_ref());
            json!({
                "record": waiting.record_seq,
                "change": kind,
                "units": units,
                "successors": shown::some(&successors),
                "details": shown::some(&details),
                "from": shown::time(waiting.from_unix_ms),
                "basis": waiting.basis,
                "proposed_by": waiting.proposed_by,
                "proposed_at": shown::time(waiting.proposed_at_unix_ms),
                "approved_by": shown::some(&waiting.approved_by),
                "effective_at": waiting.effective_at_unix_ms.map(shown::time),
            })
        })
        .collect();
    let row = |waiting: &WaitingUnitChange| {
        let [kind, units, successors, details] = told(waiting.change.as_ref());
        vec![
            waiting.record_seq.to_string(),
            kind,
            units,
            successors,
            details,
            waiting.basis.clone(),
            waiting.proposed_by.clone(),
            waiting.approved_by.clone(),
            waiting.effective_at_unix_ms.map(shown::time).unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = changes.iter().map(row).collect();
    let heads = ["record", "what", "unit", "successor", "facts", "why", "proposed by", "approved by", "in force from"];
    globals.output().list(&json, &heads, &rows)
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
