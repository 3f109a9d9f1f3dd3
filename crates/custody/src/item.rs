//! What can be done to a catalogue entry. Its original cannot be touched, and its first words stay.

use std::collections::BTreeMap;

use strongroom_types::{ItemId, Reason, Refusal, limits, rows::Rows};

use crate::{
    Act, Answer, Fact,
    access::{Stop, within_unit},
    activity,
    apply::Decision,
    command::LabelItem,
    tables::{ITEMS, ItemRow, LabelValue},
    upload::{check_label_name, check_text},
};

/// Most values that one label keeps: a label that changes more often is misused.
const LABEL_VALUES_MAX: usize = 100;

/// Appends a label's new value; the old ones stay and are shown.
pub(crate) fn label(decision: &mut Decision<'_>, command: &LabelItem) -> Result<Answer, Stop> {
    let principal = decision.authorize(Act::ItemLabel)?;
    check_label_name(&command.name)?;
    check_text(&command.name, &command.value)?;
    let mut item = sealed(decision.rows, command.item)?;
    within_unit(&principal, &item.description.unit)?;
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
    decision.record(
        Act::ItemLabel,
        "R-000-20",
        vec![command.item],
        BTreeMap::from([
            (Fact::LabelName, command.name.as_str().into()),
            (Fact::LabelValue, command.value.as_str().into()),
        ]),
    );
    Ok(Answer::Recorded(seq))
}

/// The item, where it is sealed.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn sealed(rows: &(impl Rows + ?Sized), item: ItemId) -> Result<ItemRow, Stop> {
    ITEMS.read(rows, &item)?.ok_or_else(|| Refusal::not_found(format!("sealed item {item}")).into())
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
        "R-001-5",
        format!(
            "item {id} came from device {}, which is not registered: it is kept in quarantine",
            item.description.device
        ),
        "custodian and unit head release it together, with a reason",
    ))
}
