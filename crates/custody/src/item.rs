//! What can be done to a catalogue entry. Its original cannot be touched, and its first words stay.

use std::collections::BTreeMap;

use strongroom_types::{
    ItemId, Reason, Refusal, Role, UnitId, limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{Stop, different_person, within_unit},
    activity,
    apply::Decision,
    command::{LabelItem, ReleaseQuarantine},
    correction::RoleStepRow,
    erasure,
    keeping::check_given,
    naming,
    tables::{ITEMS, ItemRow, LabelValue, PrincipalRow, QUARANTINE_RELEASES},
    transfer::within_item,
    upload::{check_label_name, check_text, newest_profile},
};

/// Most values that one label keeps: a label that changes more often is misused.
const LABEL_VALUES_MAX: usize = 100;

/// Appends a label's new value; the old ones stay and are shown.
pub(crate) fn label(decision: &mut Decision<'_>, command: &LabelItem) -> Result<Answer, Stop> {
    let principal = decision.authorize(Act::ItemLabel)?;
    check_label_name(&command.name)?;
    check_text(&command.name, &command.value)?;
    let mut item = sealed(decision.rows, command.item)?;
    within_item(decision.rows, &principal, command.item, &item)?;
    refuse_quarantined(command.item, &item)?;
    if !item.labels.contains_key(&command.name) && item.labels.len() >= limits::LABELS_MAX {
        return Err(Refusal::invalid(format!("an item takes at most {} labels", limits::LABELS_MAX)).into());
    }
    let seq = decision.next_seq();
    let values = item.labels.entry(command.name.clone()).or_default();
    if values.len() >= LABEL_VALUES_MAX {
        return Err(Refusal::invalid(format!("a label keeps at most {LABEL_VALUES_MAX} values")).into());
    }
    values.push(LabelValue { value: command.value.clone(), by: principal.id, seq });
    ITEMS.write(decision.rows, &command.item, &item);
    activity::note_label(decision.rows, command.item, &item, decision.wall, seq)?;
    let (_, profile) = newest_profile(decision.rows, &item.retention.profile)?;
    naming::number(decision.rows, command.item, &item, &profile.profile)?;
    decision.record(
        Act::ItemLabel,
        profile.profile.labels_rule(),
        vec![command.item],
        BTreeMap::from([
            (Fact::LabelName, command.name.as_str().into()),
            (Fact::LabelValue, command.value.as_str().into()),
        ]),
    );
    Ok(Answer::Recorded(seq))
}

/// Takes an item out of quarantine when custodian and unit head have both said why (R-001-5): the first of them is noted,
/// the second, another person, releases it.
pub(crate) fn release_quarantine(decision: &mut Decision<'_>, command: &ReleaseQuarantine) -> Result<Answer, Stop> {
    let by = decision.authorize(Act::QuarantineRelease)?;
    check_given("the reason", &command.reason, "C1")?;
    let mut item = sealed(decision.rows, command.item)?;
    within_unit(&by, &item.description.unit)?;
    if !item.quarantined {
        let message = format!("item {} is not in quarantine", command.item);
        return Err(Refusal::new(Reason::WrongState, "C1", message, "nothing needs to be done").into());
    }
    let first = QUARANTINE_RELEASES.read(decision.rows, &command.item)?;
    let role = releasing_role(&by, first.as_ref())?;
    let facts = BTreeMap::from([
        (Fact::ReasonGiven, Value::from(command.reason.as_str())),
        (Fact::Role, role.name().into()),
        (Fact::Quarantined, first.is_none().into()),
    ]);
    let seq = decision.record(Act::QuarantineRelease, "C1", vec![command.item], facts);
    if first.is_some() {
        item.quarantined = false;
        ITEMS.write(decision.rows, &command.item, &item);
        QUARANTINE_RELEASES.remove(decision.rows, &command.item);
    } else {
        let step = RoleStepRow { by: by.id, role, at: decision.wall, seq };
        QUARANTINE_RELEASES.write(decision.rows, &command.item, &step);
    }
    Ok(Answer::Recorded(seq))
}

/// What is still missing before an item leaves quarantine, in words that name who can give it.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn release_missing(rows: &(impl Rows + ?Sized), item: ItemId) -> Result<Vec<String>, RowError> {
    if !ITEMS.read(rows, &item)?.is_some_and(|row| row.quarantined) {
        return Ok(Vec::new());
    }
    let first = QUARANTINE_RELEASES.read(rows, &item)?;
    let missing = |role: &&Role| first.as_ref().is_none_or(|first| first.role != **role);
    Ok(Act::QuarantineRelease.roles().iter().filter(missing).map(|role| format!("release by {role}")).collect())
}

/// The office that this person speaks for: not the one that has spoken already.
fn releasing_role(by: &PrincipalRow, first: Option<&RoleStepRow>) -> Result<Role, Refusal> {
    if let Some(first) = first {
        different_person(&by.id, &first.by, "custodian and unit head are two people")?;
    }
    let open = Act::QuarantineRelease
        .roles()
        .iter()
        .find(|role| by.roles.contains(role) && first.is_none_or(|first| first.role != **role));
    open.copied().ok_or_else(|| {
        let spoken = first.map_or("", |first| first.role.name());
        Refusal::new(
            Reason::ApprovalMissing,
            "C1",
            format!("a {spoken} has spoken for the release already; the other office has not"),
            "missing: release by custodian and unit-head, one of each",
        )
    })
}

/// The item, where it is sealed.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`, or `DISPOSED` where it was.
pub fn sealed(rows: &(impl Rows + ?Sized), item: ItemId) -> Result<ItemRow, Stop> {
    if let Some(row) = ITEMS.read(rows, &item)? {
        return Ok(row);
    }
    Err(match erasure::tombstone(rows, item)? {
        Some(tombstone) => tombstone.refusal(item),
        None => Refusal::not_found(format!("sealed item {item}")),
    }
    .into())
}

/// The unit of an item, also of one that is gone: whose rights reach it does not change.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn unit_of(rows: &(impl Rows + ?Sized), item: ItemId) -> Result<Option<UnitId>, RowError> {
    if let Some(row) = ITEMS.read(rows, &item)? {
        return Ok(Some(row.description.unit));
    }
    Ok(erasure::tombstone(rows, item)?.map(|tombstone| tombstone.unit().clone()))
}

/// Refuses acts on an item that is still in quarantine.
///
/// # Errors
/// `QUARANTINED`.
pub fn refuse_quarantined(id: ItemId, item: &ItemRow) -> Result<(), Refusal> {
    if !item.quarantined {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::Quarantined,
        "C1",
        format!(
            "item {id} came from device {}, which is not registered: it is kept in quarantine",
            item.description.device
        ),
        "custodian and unit head release it together, with a reason: `strongroom item release-quarantine`",
    ))
}
