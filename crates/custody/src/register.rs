//! The registers of people, units and devices, and what the cluster itself notes.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_types::{KeyHash, PrincipalId, Reason, RecordSeq, Refusal, UnitId, limits};

use crate::{
    Act, Answer, Fact, Stamp,
    access::{Stop, within_unit},
    activity,
    apply::{Decision, principal_of},
    clock,
    command::{
        AddDevice, AddUnit, AdvanceClock, NoteRefusal, RegisterPrincipal, RevokePrincipal, RotatePrincipal, Tick,
    },
    device, digest, draw, inspection, keeper,
    keeping::check_given,
    leave, outage,
    profile::Topic,
    proposal,
    request::{self, field_missing},
    tables::{DEVICES, DeviceRow, PRINCIPALS, PRINCIPALS_BY_KEY, PrincipalRow, UNITS, UnitRow},
    unit, unit_change,
    upload::{check_text, newest_profile},
};

pub(crate) fn register_principal(decision: &mut Decision<'_>, command: &RegisterPrincipal) -> Result<Answer, Stop> {
    let security = decision.authorize(Act::PrincipalRegister)?;
    reaches(&security, command.unit.as_ref())?;
    Ok(Answer::Recorded(write_principal(decision, command)?))
}

/// Writes a new principal and its record, where it is sound. Genesis writes the first ones this way too.
pub(crate) fn write_principal(decision: &mut Decision<'_>, command: &RegisterPrincipal) -> Result<RecordSeq, Stop> {
    let distinct = command.roles.iter().enumerate().all(|(at, role)| !command.roles[..at].contains(role));
    if command.roles.is_empty() || !distinct {
        return Err(Refusal::invalid("a principal takes at least one role, and each once").into());
    }
    if PRINCIPALS.read(decision.rows, &command.principal)?.is_some() {
        return Err(Refusal::new(
            Reason::AlreadyExists,
            "",
            format!("principal {} exists already", command.principal),
            "a new key: `strongroom principal rotate`; another person: another name",
        )
        .into());
    }
    if let Some(unit) = &command.unit {
        unit::live(decision.rows, unit)?;
    }
    refuse_known_key(decision, &command.key)?;
    let row = PrincipalRow {
        id: command.principal.clone(),
        key: command.key,
        roles: command.roles.clone(),
        unit: command.unit.clone(),
        revoked_at: None,
        formers: BTreeSet::new(),
    };
    PRINCIPALS.write(decision.rows, &command.principal, &row);
    PRINCIPALS_BY_KEY.write(decision.rows, &command.key, &command.principal);
    let roles = command.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(" ");
    let mut facts = principal_facts(&command.principal, &command.key);
    facts.insert(Fact::Role, roles.into());
    if let Some(unit) = &command.unit {
        facts.insert(Fact::Unit, unit.as_str().into());
    }
    Ok(decision.record(Act::PrincipalRegister, "C5", Vec::new(), facts))
}

pub(crate) fn rotate_principal(decision: &mut Decision<'_>, command: &RotatePrincipal) -> Result<Answer, Stop> {
    let security = decision.authorize(Act::PrincipalRotate)?;
    let mut row = active(decision, &command.principal)?;
    reaches(&security, row.unit.as_ref())?;
    if row.key == command.key {
        return Err(Refusal::invalid(
            "this is the principal's key already: renewing a certificate for it needs nothing",
        )
        .into());
    }
    refuse_known_key(decision, &command.key)?;
    // The old key stays in the index, so that whoever still uses it is named in the refusal; the row no longer knows it.
    row.key = command.key;
    PRINCIPALS.write(decision.rows, &command.principal, &row);
    PRINCIPALS_BY_KEY.write(decision.rows, &command.key, &command.principal);
    let facts = principal_facts(&command.principal, &command.key);
    Ok(Answer::Recorded(decision.record(Act::PrincipalRotate, "C5", Vec::new(), facts)))
}

pub(crate) fn revoke_principal(decision: &mut Decision<'_>, command: &RevokePrincipal) -> Result<Answer, Stop> {
    let security = decision.authorize(Act::PrincipalRevoke)?;
    check_text("the reason", &command.reason)?;
    if command.reason.trim().is_empty() {
        return Err(field_missing("reason", "G9").into());
    }
    let mut row = active(decision, &command.principal)?;
    reaches(&security, row.unit.as_ref())?;
    if security.id == row.id {
        return Err(Refusal::new(
            Reason::SamePerson,
            "C5",
            format!("{} cannot end their own access", row.id),
            "another security officer can",
        )
        .into());
    }
    row.revoked_at = Some(decision.wall);
    PRINCIPALS.write(decision.rows, &command.principal, &row);
    let mut facts = principal_facts(&command.principal, &row.key);
    facts.insert(Fact::ReasonGiven, command.reason.as_str().into());
    Ok(Answer::Recorded(decision.record(Act::PrincipalRevoke, "C5", Vec::new(), facts)))
}

pub(crate) fn add_unit(decision: &mut Decision<'_>, command: &AddUnit) -> Result<Answer, Stop> {
    let security = decision.authorize(Act::UnitAdd)?;
    reaches(&security, Some(&command.unit))?;
    Ok(Answer::Recorded(write_unit(decision, command)?))
}

/// Writes a new unit and its record, where it is sound. Genesis writes the first ones this way too.
pub(crate) fn write_unit(decision: &mut Decision<'_>, command: &AddUnit) -> Result<RecordSeq, Stop> {
    check_text("the full name", &command.full_name)?;
    newest_profile(decision.rows, &command.profile)?;
    if UNITS.read(decision.rows, &command.unit)?.is_some() {
        return Err(exists(format!("unit {}", command.unit)).into());
    }
    let row = UnitRow {
        id: command.unit.clone(),
        full_name: command.full_name.clone(),
        profile: command.profile.clone(),
        from: Some(decision.wall),
        ended: None,
    };
    UNITS.write(decision.rows, &command.unit, &row);
    let facts =
        BTreeMap::from([(Fact::Unit, command.unit.as_str().into()), (Fact::Profile, command.profile.as_str().into())]);
    Ok(decision.record(Act::UnitAdd, "", Vec::new(), facts))
}

pub(crate) fn add_device(decision: &mut Decision<'_>, command: &AddDevice) -> Result<Answer, Stop> {
    let custodian = decision.authorize(Act::DeviceAdd)?;
    within_unit(&custodian, &command.unit)?;
    Ok(Answer::Recorded(write_device(decision, command, Some(custodian.id))?))
}

/// Writes a new device and its record, where it is sound. Genesis writes the first ones this way too.
pub(crate) fn write_device(
    decision: &mut Decision<'_>,
    command: &AddDevice,
    by: Option<PrincipalId>,
) -> Result<RecordSeq, Stop> {
    check_text("brand and model", &command.brand_model)?;
    unit::live(decision.rows, &command.unit)?;
    let keeper = command.asset.as_ref().and_then(|asset| asset.custodian.clone());
    if let Some(asset) = &command.asset {
        check_text("the asset number", &asset.asset_no)?;
        check_text("accessories", &asset.accessories)?;
    }
    if let Some(keeper) = &keeper {
        keeper::check_keeper(decision.rows, keeper, &command.unit)?;
    }
    if DEVICES.read(decision.rows, &command.device)?.is_some() {
        return Err(exists(format!("device {}", command.device)).into());
    }
    let row = DeviceRow {
        id: command.device.clone(),
        unit: command.unit.clone(),
        device_type: command.device_type,
        brand_model: command.brand_model.clone(),
        asset: command.asset.clone(),
    };
    DEVICES.write(decision.rows, &command.device, &row);
    device::begin(decision, &command.device, by, keeper);
    let facts =
        BTreeMap::from([(Fact::Device, command.device.as_str().into()), (Fact::Unit, command.unit.as_str().into())]);
    let rule = activity::rule_of(decision.rows, &command.unit, Topic::DeviceCustody)?;
    Ok(decision.record(Act::DeviceAdd, &rule, Vec::new(), facts))
}

pub(crate) fn tick(decision: &mut Decision<'_>, command: &Tick) -> Result<Answer, Stop> {
    decision.node()?;
    let voters = usize::try_from(command.voters).unwrap_or(usize::MAX);
    let outage_ms = clock::tick(decision.rows, &command.readings, voters)?;
    // The wall time of this record is near what the voters say now, not near what they said before the outage.
    decision.rebound_wall()?;
    digest::record_hourly(decision)?;
    if let Some(outage_ms) = outage_ms {
        outage::found(decision, outage_ms)?;
    }
    outage::take_effect(decision)?;
    proposal::take_effect(decision)?;
    request::come_due(decision)?;
    unit_change::take_effect(decision)?;
    leave::take_effect(decision)?;
    draw::pass(decision)?;
    inspection::come_due(decision)?;
    Ok(Answer::Ticked(clock::read(decision.rows)?.t))
}

/// Lets time pass. Only a cluster that is a trial from its genesis on takes this: everything it ever proves says so.
pub(crate) fn advance_clock(decision: &mut Decision<'_>, command: &AdvanceClock) -> Result<Answer, Stop> {
    decision.authorize(Act::ClockAdvance)?;
    if !decision.cluster()?.trial {
        return Err(Refusal::new(
            Reason::NotATrial,
            "C2",
            "nobody sets the clock of a cluster that keeps evidence",
            "only a cluster whose genesis says `trial = true` can be tried out with other times",
        )
        .into());
    }
    check_given("the reason", &command.reason, "C2")?;
    if !(1..=limits::CLOCK_ADVANCE_MS_MAX).contains(&command.by_ms) {
        return Err(Refusal::invalid("a trial clock is set ahead by 1 ms to 100 years, and never back").into());
    }
    let facts = BTreeMap::from([
        (Fact::AdvancedMs, crate::Value::from(command.by_ms.unsigned_abs())),
        (Fact::ReasonGiven, command.reason.as_str().into()),
        (Fact::Trial, true.into()),
    ]);
    let seq = decision.record(Act::ClockAdvance, "C2", Vec::new(), facts);
    clock::advance(decision.rows, command.by_ms)?;
    Ok(Answer::Recorded(seq))
}

pub(crate) fn note_refusal(decision: &mut Decision<'_>, command: &NoteRefusal) -> Result<Answer, Stop> {
    let by = decision.node()?;
    let principal = command.key.as_ref().map(|key| principal_of(decision.rows, key)).transpose()?.flatten();
    let stamp = Stamp { principal, key: command.key, node: Some(by) };
    let facts = BTreeMap::from([
        (Fact::Call, command.call.as_str().into()),
        (Fact::Source, command.source.as_str().into()),
        (Fact::Count, command.count.into()),
    ]);
    let items = command.item.into_iter().collect();
    Ok(Answer::Recorded(decision.record_refused(stamp, command.act, &command.refusal, items, facts)))
}

/// Rights are scoped by unit: an officer of one unit registers nobody for another, or for the whole agency.
///
/// # Errors
/// `OUTSIDE_UNIT`.
pub fn reaches(officer: &PrincipalRow, unit: Option<&UnitId>) -> Result<(), Refusal> {
    match (unit, &officer.unit) {
        (Some(unit), _) => within_unit(officer, unit),
        (None, None) => Ok(()),
        (None, Some(own)) => Err(Refusal::new(
            Reason::OutsideUnit,
            "C5",
            format!("{} belongs to unit {own}, this concerns the whole agency", officer.id),
            "ask a security officer of the agency",
        )),
    }
}

pub(crate) fn active(decision: &Decision<'_>, principal: &PrincipalId) -> Result<PrincipalRow, Stop> {
    let row = PRINCIPALS
        .read(&*decision.rows, principal)?
        .ok_or_else(|| Refusal::not_found(format!("principal {principal}")))?;
    match row.revoked_at {
        None => Ok(row),
        Some(at) => Err(Refusal::new(
            Reason::WrongState,
            "C5",
            format!("access of {principal} ended at {at}"),
            "register the person under a new name",
        )
        .into()),
    }
}

/// One key belongs to one principal for ever, also after it was replaced or revoked.
fn refuse_known_key(decision: &Decision<'_>, key: &KeyHash) -> Result<(), Stop> {
    match principal_of(&*decision.rows, key)? {
        None => Ok(()),
        Some(owner) => Err(Refusal::new(
            Reason::AlreadyExists,
            "C5",
            format!("key {} belongs or belonged to {owner}", key.short()),
            "issue a certificate with a new key",
        )
        .into()),
    }
}

fn principal_facts(principal: &PrincipalId, key: &KeyHash) -> BTreeMap<Fact, crate::Value> {
    BTreeMap::from([(Fact::Principal, principal.as_str().into()), (Fact::Key, key.as_bytes().as_slice().into())])
}

fn exists(what: String) -> Refusal {
    Refusal::new(Reason::AlreadyExists, "", format!("{what} exists already"), "choose another name")
}
