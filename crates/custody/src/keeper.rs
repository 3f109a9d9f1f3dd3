//! Custodians 管理员: one responsible person for each unit, dated deputies, and where a text asks for it one person for
//! each device. Naming them narrows what the role of a custodian may do; it never widens it.

use std::collections::BTreeMap;

use strongroom_types::{
    DeviceId, PrincipalId, Reason, RecordSeq, Refusal, Role, UnitId, UnixMillis, limits, rows::Rows,
};

use crate::{
    Act, Answer, Fact, Value,
    access::{self, Stop, within_unit},
    activity,
    apply::Decision,
    device::{self, DeviceCustodyRow, What},
    leave,
    profile::Topic,
    tables::{DEVICES, KEEPERS, PrincipalRow},
    unit,
};

/// Who keeps the devices of a unit, now and from dates to come.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KeepersRow {
    /// Terms that run or are to come; those that have ended stay in the ledger.
    #[n(0)]
    pub terms: Vec<KeeperTerm>,
}

/// A term.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KeeperTerm {
    /// Who.
    #[n(0)]
    pub principal: PrincipalId,
    /// From when.
    #[n(1)]
    pub from: UnixMillis,
    /// Until when: a deputy's term ends, the custodian's only when another begins.
    #[n(2)]
    pub until: Option<UnixMillis>,
    /// Record that named them.
    #[n(3)]
    pub seq: RecordSeq,
}

/// Names the custodian or a deputy of a unit, or the custodian of one device.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct NameKeeper {
    /// The unit.
    #[n(0)]
    pub unit: UnitId,
    /// Only of this device.
    #[n(1)]
    pub device: Option<DeviceId>,
    /// Who.
    #[n(2)]
    pub principal: PrincipalId,
    /// From when; none means at once.
    #[n(3)]
    pub from: Option<UnixMillis>,
    /// Until when: given for a deputy, and only for one.
    #[n(4)]
    pub until: Option<UnixMillis>,
}

impl KeepersRow {
    /// The responsible custodian at `at`.
    #[must_use]
    pub fn custodian(&self, at: UnixMillis) -> Option<&KeeperTerm> {
        let begun = self.terms.iter().filter(|term| term.until.is_none() && term.from <= at);
        begun.max_by_key(|term| (term.from, term.seq))
    }

    /// Deputies at `at`.
    pub fn deputies(&self, at: UnixMillis) -> impl Iterator<Item = &KeeperTerm> {
        self.terms.iter().filter(move |term| term.from <= at && term.until.is_some_and(|until| at < until))
    }

    /// Terms of this person that run at `at` or are to come.
    pub fn held_by(&self, person: &PrincipalId, at: UnixMillis) -> impl Iterator<Item = &KeeperTerm> {
        let custodian = self.custodian(at).map(|term| term.seq);
        self.terms.iter().filter(move |term| {
            let matters = match term.until {
                Some(until) => at < until,
                None => term.from > at || Some(term.seq) == custodian,
            };
            matters && term.principal == *person
        })
    }

    /// Leaves out what can no longer matter at `at`.
    fn prune(&mut self, at: UnixMillis) {
        let custodian = self.custodian(at).map(|term| term.seq);
        self.terms.retain(|term| match term.until {
            Some(until) => at < until,
            None => term.from > at || Some(term.seq) == custodian,
        });
    }
}

pub(crate) fn name(decision: &mut Decision<'_>, command: &NameKeeper) -> Result<Answer, Stop> {
    let head = decision.authorize(Act::KeeperName)?;
    within_unit(&head, &command.unit)?;
    unit::known(decision.rows, &command.unit)?;
    let rule = activity::rule_of(decision.rows, &command.unit, Topic::Custodian)?;
    check_keeper(decision.rows, &command.principal, &command.unit)?;
    let from = check_dates(command, decision.wall, &rule)?;
    let mut facts = facts(command, from);
    match &command.device {
        Some(device) => name_for_device(decision, command, device, head.id)?,
        None => name_for_unit(decision, command, from)?,
    }
    facts.insert(Fact::Role, if command.until.is_some() { "deputy" } else { "custodian" }.into());
    Ok(Answer::Recorded(decision.record(Act::KeeperName, &rule, Vec::new(), facts)))
}

fn name_for_unit(decision: &mut Decision<'_>, command: &NameKeeper, from: UnixMillis) -> Result<(), Stop> {
    let mut row = KEEPERS.read(decision.rows, &command.unit)?.unwrap_or_default();
    row.prune(decision.wall);
    if row.terms.len() >= limits::KEEPER_TERMS_MAX {
        return Err(Refusal::invalid(format!(
            "a unit has at most {} terms of custodians and deputies that run or are to come",
            limits::KEEPER_TERMS_MAX
        ))
        .into());
    }
    let seq = decision.next_seq();
    row.terms.push(KeeperTerm { principal: command.principal.clone(), from, until: command.until, seq });
    KEEPERS.write(decision.rows, &command.unit, &row);
    Ok(())
}

/// One named custodian for each device (R-004-9): at once, because the device changes hands with it.
fn name_for_device(
    decision: &mut Decision<'_>,
    command: &NameKeeper,
    id: &DeviceId,
    by: PrincipalId,
) -> Result<(), Stop> {
    if command.from.is_some() || command.until.is_some() {
        return Err(Refusal::invalid("a device's custodian is named at once and until another is").into());
    }
    let device = DEVICES.read(decision.rows, id)?.ok_or_else(|| Refusal::not_found(format!("device {id}")))?;
    if !unit::same(&*decision.rows, &device.unit, &command.unit)? {
        return Err(Refusal::invalid(format!("device {id} belongs to unit {}", device.unit)).into());
    }
    let mut custody = device::custody(decision.rows, id)?;
    custody.custodian = Some(command.principal.clone());
    device::enter(decision, id, &mut custody, Some(by), What::Keeper(command.principal.clone()));
    device::write(decision.rows, id, &custody);
    Ok(())
}

/// Whether this person may take a custodian's step with this device.
///
/// # Errors
/// [`Stop`] with `NOT_YOUR_STEP` where another person was named.
pub(crate) fn require(
    rows: &(impl Rows + ?Sized),
    who: &PrincipalRow,
    unit: &UnitId,
    custody: &DeviceCustodyRow,
    now: UnixMillis,
) -> Result<(), Stop> {
    let keepers = KEEPERS.read(rows, unit)?.unwrap_or_default();
    let custodian = custody.custodian.as_ref().or_else(|| keepers.custodian(now).map(|term| &term.principal));
    let Some(custodian) = custodian else { return Ok(()) };
    if *custodian == who.id || keepers.deputies(now).any(|term| term.principal == who.id) {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::NotYourStep,
        &activity::rule_of(rows, unit, Topic::Custodian)?,
        format!("{} is not the custodian of this device: {custodian} is", who.id),
        format!("{custodian} or a deputy can; the unit's head names one: `strongroom unit deputy`"),
    )
    .into())
}

pub(crate) fn check_keeper(rows: &(impl Rows + ?Sized), id: &PrincipalId, unit: &UnitId) -> Result<(), Stop> {
    let row = access::principal(rows, id)?.ok_or_else(|| Refusal::not_found(format!("principal {id}")))?;
    within_unit(&row, unit)?;
    leave::refuse_leaving(rows, id)?;
    if row.revoked_at.is_some() || !row.roles.contains(&Role::Custodian) {
        return Err(Refusal::new(
            Reason::InvalidArgument,
            &activity::rule_of(rows, unit, Topic::Custodian)?,
            format!("{id} does not hold the role of a custodian"),
            "the security officer can register somebody with it: `strongroom principal register --role custodian`",
        )
        .into());
    }
    Ok(())
}

/// Nobody becomes responsible for a time that has passed.
fn check_dates(command: &NameKeeper, now: UnixMillis, rule: &str) -> Result<UnixMillis, Refusal> {
    let from = command.from.unwrap_or(now);
    if from < now {
        return Err(Refusal::new(
            Reason::InvalidArgument,
            rule,
            format!("a term that begins at {from} would begin in the past"),
            "leave the date out to begin at once",
        ));
    }
    match command.until {
        Some(until) if until <= from => Err(Refusal::invalid("a deputy's term ends after it begins")),
        Some(_) | None => Ok(from),
    }
}

fn facts(command: &NameKeeper, from: UnixMillis) -> BTreeMap<Fact, Value> {
    let mut facts = BTreeMap::from([
        (Fact::Unit, command.unit.as_str().into()),
        (Fact::Principal, command.principal.as_str().into()),
        (Fact::From, from.into()),
    ]);
    if let Some(until) = command.until {
        facts.insert(Fact::ValidUntil, until.into());
    }
    if let Some(device) = &command.device {
        facts.insert(Fact::Device, device.as_str().into());
    }
    facts
}
