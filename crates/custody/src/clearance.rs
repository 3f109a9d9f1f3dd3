//! Clearance 离岗清退证明: that somebody who leaves or changes posts owes neither a device nor recordings (R-000-3).

use std::collections::BTreeMap;

use strongroom_types::{DeviceId, PrincipalId, Reason, RecordSeq, Refusal, UnitId, UnixMillis, limits, rows::Rows};

use crate::{
    Act, Answer, Fact,
    access::{Stop, different_person, within_unit},
    activity,
    apply::Decision,
    device::{Tie, finding_fact},
    profile::Topic,
    tables::{CLEARANCES, DEVICES, DEVICES_OF, PRINCIPALS, newest_first},
};

/// A clearance that was given.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ClearanceRow {
    /// By whom.
    #[n(0)]
    pub by: PrincipalId,
    /// When.
    #[n(1)]
    pub at: UnixMillis,
    /// Its record.
    #[n(2)]
    pub seq: RecordSeq,
    /// Devices that were reported lost: findings that go with it.
    #[n(3)]
    pub lost: Vec<DeviceId>,
    /// Devices that were sealed because a state secret may be on them: findings as well.
    #[n(4)]
    #[cbor(default)]
    pub sealed: Vec<DeviceId>,
}

/// Clears a person.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ClearPerson {
    /// Who leaves.
    #[n(0)]
    pub person: PrincipalId,
}

pub(crate) fn clear(decision: &mut Decision<'_>, command: &ClearPerson) -> Result<Answer, Stop> {
    let custodian = decision.authorize(Act::DeviceClearance)?;
    let person = &command.person;
    different_person(&custodian.id, person, "nobody clears themselves")?;
    let row =
        PRINCIPALS.read(decision.rows, person)?.ok_or_else(|| Refusal::not_found(format!("principal {person}")))?;
    if let Some(unit) = &row.unit {
        within_unit(&custodian, unit)?;
    }
    let rule = custody_rule(decision.rows, row.unit.as_ref())?;
    let found = refuse_owing(decision.rows, person, "be cleared")?;
    let mut facts = BTreeMap::from([(Fact::Principal, person.as_str().into())]);
    if !found.is_empty() {
        let names: Vec<_> = found.iter().map(|(device, _)| device.as_str()).collect();
        facts.insert(Fact::Device, names.join(" ").into());
    }
    let of = |wanted: Tie| found.iter().filter(|(_, tie)| *tie == wanted).map(|(device, _)| device.clone()).collect();
    let (lost, sealed): (Vec<_>, Vec<_>) = (of(Tie::Lost), of(Tie::Sealed));
    let findings = [(lost.is_empty(), "DEVICE_LOST"), (sealed.is_empty(), "DEVICE_SEALED_SECRET")];
    let findings: Vec<_> = findings.iter().filter(|(none, _)| !none).map(|(_, name)| (*name).to_owned()).collect();
    finding_fact(&mut facts, &findings);
    let seq = decision.record(Act::DeviceClearance, &rule, Vec::new(), facts);
    let row = ClearanceRow { by: custodian.id, at: decision.wall, seq, lost, sealed };
    CLEARANCES.write(decision.rows, &(person.clone(), newest_first(seq.0)), &row);
    Ok(Answer::Recorded(seq))
}

/// Refuses what nobody does who owes a device or recordings; else the devices that were lost or sealed with them.
pub(crate) fn refuse_owing(
    rows: &(impl Rows + ?Sized),
    person: &PrincipalId,
    what: &str,
) -> Result<Vec<(DeviceId, Tie)>, Stop> {
    let ties = ties(rows, person)?;
    let owed: Vec<_> = ties.iter().filter(|(_, tie)| tie.is_owed()).collect();
    if !owed.is_empty() {
        let device = DEVICES.read(rows, &owed[0].0)?.map(|device| device.unit);
        return Err(outstanding(person, &owed, what, &custody_rule(rows, device.as_ref())?).into());
    }
    Ok(ties)
}

/// What a person has to do with which devices.
///
/// # Errors
/// [`Stop`] where a row cannot be read.
pub fn ties(rows: &(impl Rows + ?Sized), person: &PrincipalId) -> Result<Vec<(DeviceId, Tie)>, Stop> {
    let found = DEVICES_OF.scan(rows, person, None, limits::DEVICES_OF_PERSON_MAX)?;
    found.into_iter().map(|(key, tie)| Ok((device_of(person, &key)?, tie))).collect()
}

/// The second name of a key of [`DEVICES_OF`].
fn device_of(person: &PrincipalId, key: &[u8]) -> Result<DeviceId, strongroom_types::rows::RowError> {
    let corrupt = || strongroom_types::rows::RowError::Corrupt {
        table: DEVICES_OF.name,
        detail: "a key does not hold two names".to_owned(),
    };
    let name = key.get(person.as_str().len() + 1..).and_then(|rest| rest.strip_suffix(&[0])).ok_or_else(corrupt)?;
    std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()).ok_or_else(corrupt)
}

/// The rule on who has which device, of this unit; the general one for the whole agency.
fn custody_rule(rows: &(impl Rows + ?Sized), unit: Option<&UnitId>) -> Result<String, Stop> {
    match unit {
        Some(unit) => activity::rule_of(rows, unit, Topic::DeviceCustody),
        None => Ok(Topic::DeviceCustody.general().to_owned()),
    }
}

fn outstanding(person: &PrincipalId, owed: &[&(DeviceId, Tie)], what: &str, rule: &str) -> Refusal {
    let told = |(device, tie): &&(DeviceId, Tie)| match tie {
        Tie::Holds => format!("{device} is not returned"),
        Tie::OwesRecordings => format!("recordings on {device} are not ingested"),
        Tie::Lost => format!("{device} is lost"),
        Tie::Sealed => format!("{device} is sealed"),
    };
    let shown: Vec<_> = owed.iter().take(10).map(told).collect();
    let more = if owed.len() > 10 { format!(" and {} more", owed.len() - 10) } else { String::new() };
    Refusal::new(
        Reason::DevicesOutstanding,
        rule,
        format!("{person} cannot {what}: {}{more}", shown.join("; ")),
        "return and dock the devices, or report them lost: `strongroom device return`, `strongroom device report-loss`",
    )
}
