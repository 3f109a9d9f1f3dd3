//! The device register 设备台账: who holds a device, without a gap and never two people at one instant.
//!
//! A device changes hands in two steps, the giver's and the receiver's (R-001-9); until the second it stays where it
//! is. Each step appends an entry; entries are corrected by further entries and never edited. What the register finds
//! odd it writes down, and it refuses a person's clearance while a device or its recordings are still owed (R-000-3).
//!
//! ```text
//!            issue + accept            hand-over + accept
//!   store ───────────────▶ person ─────────────────────▶ person
//!     ▲  ◀─────────────────  │
//!     │    return + accept    │ report-loss (from anywhere)
//!     │ repair                ▼
//!     ├────────▶ repair      lost
//!     └──────────── restore ──┘
//! ```
//!
//! What may hold a state secret is sealed by hand instead of being docked, from anywhere; the secrecy office alone brings
//! it back to the store (requirements B10).

mod row;

use std::collections::BTreeMap;

use strongroom_types::{
    DeviceId, PrincipalId, Reason, Refusal, Role, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{self, Stop, different_person, within_unit},
    activity,
    apply::Decision,
    disposal, keeper, leave, notice,
    profile::Topic,
    request::field_missing,
    tables::{DEVICE_CUSTODY, DEVICE_ENTRIES, DEVICES, DEVICES_OF, DeviceRow, PrincipalRow},
    upload::{check_label_name, check_text},
};

pub use row::{
    AnswerOffer, ClockOffset, Collected, ConfirmFault, CorrectEntry, DeviceCustodyRow, DeviceEntry, DockDevice,
    Docking, Interval, Offer, OfferDevice, OpenFault, Place, ReportFault, ReportLoss, RestoreDevice, SealDevice,
    SendToRepair, Tie, Way, What,
};

/// A clock that is off by more than this is a finding. Profiles set it once they have a value for it.
const CLOCK_OFFSET_MS_MAX: u64 = 60_000;

/// The giver's step: issue, hand-over or return.
pub(crate) fn offer(decision: &mut Decision<'_>, command: &OfferDevice) -> Result<Answer, Stop> {
    let giver = decision.authorize(command.way.act())?;
    check_text("accessories", &command.accessories)?;
    check_text("the content", &command.content)?;
    let (device, mut row) = own(decision, &giver, &command.device)?;
    let rule = activity::rule_of(decision.rows, &device.unit, Topic::DeviceCustody)?;
    if let Some(offer) = &row.offer {
        return Err(under_way(&command.device, offer, &rule).into());
    }
    check_way(decision, &giver, command, (&device, &row), &rule)?;
    let offer = Offer {
        way: command.way,
        by: giver.id.clone(),
        to: command.to.clone(),
        at: decision.wall,
        un_ingested: command.un_ingested,
    };
    let mut facts = facts(&command.device, &device);
    facts.insert(Fact::Holder, row.place.holder().into());
    if let Some(to) = &command.to {
        facts.insert(Fact::Receiver, to.as_str().into());
    }
    if let Some(count) = command.un_ingested {
        facts.insert(Fact::UnIngested, count.into());
    }
    row.offer = Some(offer.clone());
    let what = What::Offered(offer, command.accessories.clone(), command.content.clone());
    enter(decision, &command.device, &mut row, Some(giver.id), what);
    write(decision.rows, &command.device, &row);
    Ok(Answer::Recorded(decision.record(command.way.act(), &rule, Vec::new(), facts)))
}

/// The receiver's step: from here on the device is theirs.
pub(crate) fn answer(decision: &mut Decision<'_>, command: &AnswerOffer) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::DeviceAccept)?;
    let (device, mut row) = own(decision, &who, &command.device)?;
    let rule = activity::rule_of(decision.rows, &device.unit, Topic::DeviceCustody)?;
    let Some(offer) = row.offer.take() else {
        return Err(Refusal::new(
            Reason::WrongState,
            &rule,
            format!("nobody has handed device {} over", command.device),
            "the giver's step comes first: `strongroom device issue`, `hand-over` or `return`",
        )
        .into());
    };
    let mut facts = facts(&command.device, &device);
    facts.insert(Fact::Way, offer.way.name().into());
    facts.insert(Fact::Receiver, who.id.as_str().into());
    match &command.declined {
        Some(why) => {
            required("why it was not taken", why, &rule)?;
            refuse_bystander(decision, &who, (&device, &row), &offer, &rule)?;
            facts.insert(Fact::State, "declined".into());
            facts.insert(Fact::ReasonGiven, why.as_str().into());
            enter(decision, &command.device, &mut row, Some(who.id), What::Declined(why.clone()));
        }
        None => {
            check_receiver(decision, &who, (&device, &row), &offer, &rule)?;
            facts.insert(Fact::State, "taken".into());
            take(decision, &command.device, &mut row, &offer, &who, &rule)?;
        }
    }
    write(decision.rows, &command.device, &row);
    Ok(Answer::Recorded(decision.record(Act::DeviceAccept, &rule, Vec::new(), facts)))
}

fn take(
    decision: &mut Decision<'_>,
    id: &DeviceId,
    row: &mut DeviceCustodyRow,
    offer: &Offer,
    receiver: &PrincipalRow,
    rule: &str,
) -> Result<(), Stop> {
    let to = match offer.way {
        Way::Issue | Way::HandOver => {
            check_room(decision.rows, &receiver.id)?;
            Place::Person(receiver.id.clone())
        }
        Way::Return => {
            row.collected = Some(Collected { at: decision.wall, by: receiver.id.clone() });
            Place::Store
        }
    };
    let mut findings = Vec::new();
    if let (Way::HandOver | Way::Return, Some(count)) = (offer.way, offer.un_ingested) {
        looked(decision, id, row, (count, Some(&offer.by)), rule)?;
        if count > 0 {
            findings.push("UN_INGESTED_AT_HAND_OVER".to_owned());
        }
    }
    let entry = (Some(receiver.id.clone()), What::Taken(offer.way));
    move_to(decision, id, row, entry, to, findings);
    Ok(())
}

pub(crate) fn report_loss(decision: &mut Decision<'_>, command: &ReportLoss) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::DeviceReportLoss)?;
    let (device, mut row) = own(decision, &who, &command.device)?;
    let rule = activity::rule_of(decision.rows, &device.unit, Topic::DeviceCustody)?;
    required("the circumstances", &command.circumstances, &rule)?;
    if let Place::Lost(_) = row.place {
        return Err(wrong_place(&command.device, &row, "it is lost already", &rule).into());
    }
    refuse_outsider(decision, &who, &device, &row, &rule)?;
    refuse_future(command.noticed_at, decision.wall)?;
    let holder = match &row.place {
        Place::Person(person) | Place::Sealed(Some(person), _) => Some(person.clone()),
        Place::Store | Place::Repair(_) | Place::Lost(_) | Place::Sealed(None, _) => None,
    };
    let mut facts = facts(&command.device, &device);
    facts.insert(Fact::Holder, row.place.holder().into());
    facts.insert(Fact::At, command.noticed_at.into());
    facts.insert(Fact::ReasonGiven, command.circumstances.as_str().into());
    let mut findings = vec!["DEVICE_LOST".to_owned()];
    if row.un_ingested != Some(0) {
        findings.push("RECORDINGS_MAY_BE_LOST".to_owned());
    }
    facts.insert(Fact::Finding, findings.join(" ").into());
    row.offer = None;
    notice::give(decision, &device.unit, "DEVICE_LOST", None, Some(&command.device))?;
    let what = What::Lost(command.noticed_at, command.circumstances.clone());
    move_to(decision, &command.device, &mut row, (Some(who.id), what), Place::Lost(holder), findings);
    write(decision.rows, &command.device, &row);
    Ok(Answer::Recorded(decision.record(Act::DeviceReportLoss, &rule, Vec::new(), facts)))
}

pub(crate) fn report_fault(decision: &mut Decision<'_>, command: &ReportFault) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::DeviceReportFault)?;
    let (device, mut row) = own(decision, &who, &command.device)?;
    let rule = activity::rule_of(decision.rows, &device.unit, Topic::DeviceFault)?;
    required("the fault", &command.fault, &rule)?;
    required("reported-to", &command.reported_to, &rule)?;
    refuse_outsider(decision, &who, &device, &row, &rule)?;
    refuse_future(command.found_at, decision.wall)?;
    // A further report of a device whose fault is open belongs to that fault.
    if row.fault.is_none() {
        row.fault = Some(OpenFault { entry: row.entries, by: who.id.clone(), confirmed: false });
    }
    let mut facts = facts(&command.device, &device);
    facts.insert(Fact::Entry, row.entries.into());
    facts.insert(Fact::At, command.found_at.into());
    facts.insert(Fact::ReasonGiven, command.fault.as_str().into());
    facts.insert(Fact::ReportedTo, command.reported_to.as_str().into());
    let what = What::Fault(command.found_at, command.fault.clone(), command.reported_to.clone());
    enter(decision, &command.device, &mut row, Some(who.id), what);
    write(decision.rows, &command.device, &row);
    Ok(Answer::Recorded(decision.record(Act::DeviceReportFault, &rule, Vec::new(), facts)))
}

pub(crate) fn confirm_fault(decision: &mut Decision<'_>, command: &ConfirmFault) -> Result<Answer, Stop> {
    let head = decision.authorize(Act::DeviceConfirmFault)?;
    let (device, mut row) = own(decision, &head, &command.device)?;
    let rule = activity::rule_of(decision.rows, &device.unit, Topic::DeviceFault)?;
    let entry = match &mut row.fault {
        None => return Err(wrong_place(&command.device, &row, "no fault is reported", &rule).into()),
        Some(fault) if fault.confirmed => {
            return Err(wrong_place(&command.device, &row, "its fault is confirmed already", &rule).into());
        }
        Some(fault) => {
            different_person(&head.id, &fault.by, "who reports a fault does not confirm it")?;
            fault.confirmed = true;
            fault.entry
        }
    };
    let mut facts = facts(&command.device, &device);
    facts.insert(Fact::Entry, entry.into());
    enter(decision, &command.device, &mut row, Some(head.id), What::FaultConfirmed(entry));
    write(decision.rows, &command.device, &row);
    Ok(Answer::Recorded(decision.record(Act::DeviceConfirmFault, &rule, Vec::new(), facts)))
}

/// Hands a device to a repairer. Whether recordings are still on it is asked first and written down (R-001-16).
pub(crate) fn repair(decision: &mut Decision<'_>, command: &SendToRepair) -> Result<Answer, Stop> {
    let custodian = decision.authorize(Act::DeviceRepair)?;
    check_text("the explanation", &command.explanation)?;
    let (device, mut row) = own(decision, &custodian, &command.device)?;
    let rule = activity::rule_of(decision.rows, &device.unit, Topic::DeviceFault)?;
    required("the repairer", &command.repairer, &rule)?;
    keeper::require(decision.rows, &custodian, &device.unit, &row, decision.wall)?;
    if row.place != Place::Store || row.offer.is_some() {
        return Err(wrong_place(&command.device, &row, "only a device in the store goes to be mended", &rule).into());
    }
    if !row.fault.as_ref().is_some_and(|fault| fault.confirmed) {
        return Err(wrong_place(&command.device, &row, "no fault of it is confirmed by the unit's head", &rule).into());
    }
    let Some(count) = command.un_ingested else { return Err(recordings_not_said(&rule).into()) };
    let mut findings = Vec::new();
    if count > 0 {
        required("why recordings on it are not ingested first", &command.explanation, &rule)?;
        findings.push("UN_INGESTED_AT_REPAIR".to_owned());
    }
    looked(decision, &command.device, &mut row, (count, None), &rule)?;
    let mut facts = facts(&command.device, &device);
    facts.insert(Fact::UnIngested, count.into());
    facts.insert(Fact::Receiver, command.repairer.as_str().into());
    facts.insert(Fact::ReasonGiven, command.explanation.as_str().into());
    finding_fact(&mut facts, &findings);
    let what = What::Repair(count, command.explanation.clone());
    let to = Place::Repair(command.repairer.clone());
    move_to(decision, &command.device, &mut row, (Some(custodian.id), what), to, findings);
    write(decision.rows, &command.device, &row);
    Ok(Answer::Recorded(decision.record(Act::DeviceRepair, &rule, Vec::new(), facts)))
}

pub(crate) fn restore(decision: &mut Decision<'_>, command: &RestoreDevice) -> Result<Answer, Stop> {
    let custodian = decision.authorize(Act::DeviceRestore)?;
    let (device, mut row) = own(decision, &custodian, &command.device)?;
    let rule = activity::rule_of(decision.rows, &device.unit, Topic::DeviceFault)?;
    required("the note", &command.note, &rule)?;
    match row.place {
        // What is secret about it is for the secrecy office to say, and for it alone.
        Place::Sealed(..) if custodian.roles.contains(&Role::Secrecy) => {}
        Place::Sealed(..) => {
            let message = format!("device {} is sealed: the secrecy office opens it", command.device);
            return Err(not_yours(message, "somebody of the secrecy office can".to_owned(), "B10").into());
        }
        Place::Store | Place::Person(_) | Place::Repair(_) | Place::Lost(_) => {
            if !custodian.roles.contains(&Role::Custodian) {
                let message = format!("device {} is not sealed: its custodian restores it", command.device);
                return Err(not_yours(message, "a custodian can".to_owned(), &rule).into());
            }
            keeper::require(decision.rows, &custodian, &device.unit, &row, decision.wall)?;
        }
    }
    match row.place {
        Place::Repair(_) => row.fault = None,
        Place::Lost(_) | Place::Sealed(..) => {}
        Place::Store | Place::Person(_) => {
            return Err(wrong_place(&command.device, &row, "it is neither lost nor being mended", &rule).into());
        }
    }
    let mut facts = facts(&command.device, &device);
    facts.insert(Fact::Holder, row.place.holder().into());
    facts.insert(Fact::ReasonGiven, command.note.as_str().into());
    let entry = (Some(custodian.id), What::Restored(command.note.clone()));
    move_to(decision, &command.device, &mut row, entry, Place::Store, Vec::new());
    write(decision.rows, &command.device, &row);
    Ok(Answer::Recorded(decision.record(Act::DeviceRestore, &rule, Vec::new(), facts)))
}

/// Records that a device was sealed instead of being docked: nothing on it comes here. What it holds is explained by this
/// from now on; nobody owes it any more, and the head of the unit is told.
pub(crate) fn seal(decision: &mut Decision<'_>, command: &SealDevice) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::SecretSealDevice)?;
    required("the number of the envelope's seal", &command.envelope, "B10")?;
    disposal::check_reason(&command.reason)?;
    let (device, mut row) = own(decision, &who, &command.device)?;
    if matches!(row.place, Place::Sealed(..) | Place::Lost(_)) {
        return Err(wrong_place(&command.device, &row, "only a device that is at hand is sealed", "B10").into());
    }
    // The station has no hands: whoever found it is named. Besides, it is said by whom a loss would be told.
    if ![Role::Station, Role::Legal, Role::Secrecy].iter().any(|role| who.roles.contains(role)) {
        refuse_outsider(decision, &who, &device, &row, "B10")?;
    }
    let finder = access::principal(decision.rows, &command.found_by)?.filter(|known| known.revoked_at.is_none());
    let finder = finder.ok_or_else(|| Refusal::not_found(format!("principal {} with access", command.found_by)))?;
    within_unit(&finder, &device.unit)?;
    let holder = match &row.place {
        Place::Person(person) => Some(person.clone()),
        Place::Store | Place::Repair(_) | Place::Lost(_) | Place::Sealed(..) => None,
    };
    let mut facts = facts(&command.device, &device);
    facts.insert(Fact::Envelope, command.envelope.as_str().into());
    facts.insert(Fact::Principal, command.found_by.as_str().into());
    facts.insert(Fact::Holder, row.place.holder().into());
    facts.insert(Fact::ReasonGiven, command.reason.as_str().into());
    let findings = vec!["DEVICE_SEALED_SECRET".to_owned()];
    finding_fact(&mut facts, &findings);
    if let Some(id) = &command.activity {
        activity::note_sealed(decision, &device.unit, id, &command.device)?;
        facts.insert(Fact::Activity, id.as_str().into());
    }
    row.offer = None;
    row.un_ingested = None;
    notice::give(decision, &device.unit, "DEVICE_SEALED_SECRET", None, Some(&command.device))?;
    let what = What::Sealed(command.envelope.clone(), command.found_by.clone(), command.reason.clone());
    let to = Place::Sealed(holder, command.envelope.clone());
    move_to(decision, &command.device, &mut row, (Some(who.id), what), to, findings);
    write(decision.rows, &command.device, &row);
    Ok(Answer::Recorded(decision.record(Act::SecretSealDevice, "B10", Vec::new(), facts)))
}

/// Records what was seen at docking. The device's own times stay as they are; the offset only explains them.
pub(crate) fn dock(decision: &mut Decision<'_>, command: &DockDevice) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::DeviceDock)?;
    let docking = &command.docking;
    if docking.battery_percent.is_some_and(|percent| percent > 100) {
        return Err(Refusal::invalid("a battery holds 0 to 100 percent").into());
    }
    let (device, mut row) = own(decision, &who, &command.device)?;
    let rule = activity::rule_of(decision.rows, &device.unit, Topic::DeviceCheck)?;
    required("against what its clock was measured", &docking.against, &rule)?;
    looked(decision, &command.device, &mut row, (docking.un_ingested, None), &rule)?;
    let mut findings = Vec::new();
    if docking.offset_ms.unsigned_abs() > CLOCK_OFFSET_MS_MAX {
        findings.push("CLOCK_OFFSET".to_owned());
    }
    if docking.shows_time == Some(false) {
        findings.push("TIME_NOT_SHOWN".to_owned());
    }
    let mut facts = facts(&command.device, &device);
    facts.insert(Fact::ClockOffset, docking.offset_ms.to_string().into());
    facts.insert(Fact::UnIngested, docking.un_ingested.into());
    finding_fact(&mut facts, &findings);
    row.clock = Some(ClockOffset {
        offset_ms: docking.offset_ms,
        measured_at: decision.wall,
        against: docking.against.clone(),
        entry: row.entries,
    });
    append(decision, &command.device, &mut row, (Some(who.id), What::Docked(docking.clone())), None, findings);
    write(decision.rows, &command.device, &row);
    Ok(Answer::Recorded(decision.record(Act::DeviceDock, &rule, Vec::new(), facts)))
}

/// Appends how an entry is to be read; the entry itself stays (R-001-9).
pub(crate) fn correct(decision: &mut Decision<'_>, command: &CorrectEntry) -> Result<Answer, Stop> {
    let custodian = decision.authorize(Act::DeviceCorrect)?;
    check_label_name(&command.field)?;
    let (device, mut row) = own(decision, &custodian, &command.device)?;
    let rule = activity::rule_of(decision.rows, &device.unit, Topic::DeviceCustody)?;
    required("the value", &command.value, &rule)?;
    required("the reason", &command.reason, &rule)?;
    keeper::require(decision.rows, &custodian, &device.unit, &row, decision.wall)?;
    if command.entry >= row.entries {
        return Err(Refusal::not_found(format!("entry {} of device {}", command.entry, command.device)).into());
    }
    let mut facts = facts(&command.device, &device);
    facts.insert(Fact::Entry, command.entry.into());
    facts.insert(Fact::Field, command.field.as_str().into());
    facts.insert(Fact::FieldValue, command.value.as_str().into());
    facts.insert(Fact::ReasonGiven, command.reason.as_str().into());
    let (field, value, reason) = (command.field.clone(), command.value.clone(), command.reason.clone());
    let what = What::Corrected(command.entry, field, value, reason);
    enter(decision, &command.device, &mut row, Some(custodian.id), what);
    write(decision.rows, &command.device, &row);
    Ok(Answer::Recorded(decision.record(Act::DeviceCorrect, &rule, Vec::new(), facts)))
}

/// Begins the register of a new device.
pub(crate) fn begin(decision: &mut Decision<'_>, id: &DeviceId, by: Option<PrincipalId>, keeper: Option<PrincipalId>) {
    let mut row = DeviceCustodyRow { custodian: keeper, ..unseen(decision.wall) };
    append(decision, id, &mut row, (by, What::Registered), Some(Place::Store), Vec::new());
    write(decision.rows, id, &row);
}

/// Where a device is and what is known of it.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub fn custody(rows: &(impl Rows + ?Sized), id: &DeviceId) -> Result<DeviceCustodyRow, RowError> {
    // Devices that were registered before there were registers have been in the store since then.
    Ok(DEVICE_CUSTODY.read(rows, id)?.unwrap_or_else(|| unseen(UnixMillis(0))))
}

/// The times that a device was in one place, from its entries in order. Each begins where the one before ends.
#[must_use]
pub fn intervals<'a>(entries: impl IntoIterator<Item = &'a DeviceEntry>) -> Vec<Interval> {
    let mut intervals: Vec<Interval> = Vec::new();
    for entry in entries {
        let Some(place) = &entry.moved_to else { continue };
        if let Some(last) = intervals.last_mut() {
            last.until = Some(entry.at);
        }
        intervals.push(Interval { place: place.clone(), from: entry.at, until: None });
    }
    intervals
}

pub(crate) fn write(rows: &mut dyn Rows, id: &DeviceId, row: &DeviceCustodyRow) {
    DEVICE_CUSTODY.write(rows, id, row);
}

/// Appends an entry that moves nothing and finds nothing. Its record must be the next one.
pub(crate) fn enter(
    decision: &mut Decision<'_>,
    id: &DeviceId,
    row: &mut DeviceCustodyRow,
    by: Option<PrincipalId>,
    what: What,
) {
    append(decision, id, row, (by, what), None, Vec::new());
}

fn append(
    decision: &mut Decision<'_>,
    id: &DeviceId,
    row: &mut DeviceCustodyRow,
    (by, what): (Option<PrincipalId>, What),
    moved_to: Option<Place>,
    findings: Vec<String>,
) {
    let entry = DeviceEntry { at: decision.wall, by, seq: decision.next_seq(), what, moved_to, findings };
    DEVICE_ENTRIES.write(decision.rows, &(id.clone(), row.entries), &entry);
    row.entries += 1;
}

/// Ends one interval and begins the next at the same instant.
fn move_to(
    decision: &mut Decision<'_>,
    id: &DeviceId,
    row: &mut DeviceCustodyRow,
    entry: (Option<PrincipalId>, What),
    to: Place,
    findings: Vec<String>,
) {
    append(decision, id, row, entry, Some(to.clone()), findings);
    let before = std::mem::replace(&mut row.place, to);
    row.since = decision.wall;
    let holders = [&before, &row.place].into_iter().filter_map(|place| match place {
        Place::Person(person) | Place::Lost(Some(person)) | Place::Sealed(Some(person), _) => Some(person),
        Place::Store | Place::Repair(_) | Place::Lost(None) | Place::Sealed(None, _) => None,
    });
    for person in holders.chain(&row.owing) {
        tie(decision.rows, person, id, row);
    }
}

/// Somebody has looked how many recordings on the device are not ingested. Without any, nobody owes any; else whoever
/// holds it does, or who gave it away.
fn looked(
    decision: &mut Decision<'_>,
    id: &DeviceId,
    row: &mut DeviceCustodyRow,
    (un_ingested, giver): (u64, Option<&PrincipalId>),
    rule: &str,
) -> Result<(), Stop> {
    row.un_ingested = Some(un_ingested);
    if un_ingested == 0 {
        for person in std::mem::take(&mut row.owing) {
            tie(decision.rows, &person, id, row);
        }
        return Ok(());
    }
    let holder = match &row.place {
        Place::Person(person) => Some(person),
        Place::Store | Place::Repair(_) | Place::Lost(_) | Place::Sealed(..) => None,
    };
    let Some(person) = giver.or(holder).cloned() else { return Ok(()) };
    if !row.owing.contains(&person) {
        if row.owing.len() >= limits::DEVICE_OWING_MAX {
            return Err(Refusal::new(
                Reason::WrongState,
                rule,
                format!("recordings of {} people are on device {id}", row.owing.len()),
                "dock it and ingest them before it changes hands again",
            )
            .into());
        }
        row.owing.push(person.clone());
        tie(decision.rows, &person, id, row);
    }
    Ok(())
}

/// Writes what a person has to do with a device now.
fn tie(rows: &mut dyn Rows, person: &PrincipalId, id: &DeviceId, row: &DeviceCustodyRow) {
    let owes = row.owing.contains(person);
    let with = |holder: &Option<PrincipalId>| owes || holder.as_ref() == Some(person);
    let tie = match &row.place {
        Place::Person(holder) if holder == person => Some(Tie::Holds),
        Place::Lost(holder) => with(holder).then_some(Tie::Lost),
        Place::Sealed(holder, _) => with(holder).then_some(Tie::Sealed),
        Place::Store | Place::Person(_) | Place::Repair(_) => owes.then_some(Tie::OwesRecordings),
    };
    let key = (person.clone(), id.clone());
    match tie {
        Some(tie) => DEVICES_OF.write(rows, &key, &tie),
        None => DEVICES_OF.remove(rows, &key),
    }
}

/// A device in the store that nobody has looked at.
const fn unseen(since: UnixMillis) -> DeviceCustodyRow {
    DeviceCustodyRow {
        place: Place::Store,
        since,
        offer: None,
        entries: 0,
        fault: None,
        clock: None,
        un_ingested: None,
        owing: Vec::new(),
        collected: None,
        custodian: None,
    }
}

fn own(decision: &Decision<'_>, who: &PrincipalRow, id: &DeviceId) -> Result<(DeviceRow, DeviceCustodyRow), Stop> {
    let device = DEVICES.read(&*decision.rows, id)?.ok_or_else(|| Refusal::not_found(format!("device {id}")))?;
    within_unit(who, &device.unit)?;
    let row = custody(&*decision.rows, id)?;
    Ok((device, row))
}

fn check_way(
    decision: &Decision<'_>,
    giver: &PrincipalRow,
    command: &OfferDevice,
    (device, row): (&DeviceRow, &DeviceCustodyRow),
    rule: &str,
) -> Result<(), Stop> {
    let id = &command.device;
    match command.way {
        Way::Issue => {
            keeper::require(&*decision.rows, giver, &device.unit, row, decision.wall)?;
            if row.place != Place::Store {
                return Err(wrong_place(id, row, "only a device in the store is issued", rule).into());
            }
        }
        Way::HandOver | Way::Return => {
            if row.place != Place::Person(giver.id.clone()) {
                return Err(not_yours(
                    format!("{} does not hold device {id}", giver.id),
                    holder_remedy(row, "only its holder gives it away"),
                    rule,
                )
                .into());
            }
            if command.un_ingested.is_none() {
                return Err(recordings_not_said(rule).into());
            }
        }
    }
    match (command.way, &command.to) {
        (Way::Return, None) => Ok(()),
        (Way::Return, Some(_)) => {
            Err(Refusal::invalid("a device is returned to the store: whoever keeps it accepts it").into())
        }
        (Way::Issue | Way::HandOver, None) => Err(field_missing("to", rule).into()),
        (Way::Issue | Way::HandOver, Some(to)) => {
            different_person(&giver.id, to, "giver and receiver differ")?;
            known_receiver(&*decision.rows, to, device)
        }
    }
}

fn known_receiver(rows: &(impl Rows + ?Sized), id: &PrincipalId, device: &DeviceRow) -> Result<(), Stop> {
    let row = access::principal(rows, id)?.ok_or_else(|| Refusal::not_found(format!("principal {id}")))?;
    within_unit(&row, &device.unit)?;
    leave::refuse_leaving(rows, id)?;
    let may = row.roles.iter().any(|role| Act::DeviceAccept.roles().contains(role));
    if row.revoked_at.is_some() || !may {
        return Err(Refusal::invalid(format!(
            "{id} cannot hold a device: their access ended or no role of theirs may"
        ))
        .into());
    }
    Ok(())
}

fn check_receiver(
    decision: &Decision<'_>,
    who: &PrincipalRow,
    (device, row): (&DeviceRow, &DeviceCustodyRow),
    offer: &Offer,
    rule: &str,
) -> Result<(), Stop> {
    different_person(&who.id, &offer.by, "giver and receiver differ")?;
    match &offer.to {
        Some(to) if *to == who.id => Ok(()),
        Some(to) => Err(not_yours(
            format!("device {} was handed over to {to}, not to {}", device.id, who.id),
            format!("{to} accepts it: `strongroom device accept`"),
            rule,
        )
        .into()),
        None if who.roles.contains(&Role::Custodian) => {
            keeper::require(&*decision.rows, who, &device.unit, row, decision.wall)
        }
        None => Err(not_yours(
            format!("device {} was returned to the store", device.id),
            "a custodian accepts it: `strongroom device accept`".to_owned(),
            rule,
        )
        .into()),
    }
}

/// An offer is ended by either side.
fn refuse_bystander(
    decision: &Decision<'_>,
    who: &PrincipalRow,
    (device, row): (&DeviceRow, &DeviceCustodyRow),
    offer: &Offer,
    rule: &str,
) -> Result<(), Stop> {
    if who.id == offer.by { Ok(()) } else { check_receiver(decision, who, (device, row), offer, rule) }
}

/// Losses and faults are told by the holder, by a custodian, or by the unit's head.
fn refuse_outsider(
    decision: &Decision<'_>,
    who: &PrincipalRow,
    device: &DeviceRow,
    row: &DeviceCustodyRow,
    rule: &str,
) -> Result<(), Stop> {
    if row.place == Place::Person(who.id.clone()) || who.roles.contains(&Role::UnitHead) {
        return Ok(());
    }
    if who.roles.contains(&Role::Custodian) {
        return keeper::require(&*decision.rows, who, &device.unit, row, decision.wall);
    }
    Err(not_yours(
        format!("{} does not hold device {}", who.id, device.id),
        holder_remedy(row, "its holder, its custodian or the unit's head reports it"),
        rule,
    )
    .into())
}

/// Nobody collects devices without end: a person's clearance looks at all of theirs at once.
fn check_room(rows: &(impl Rows + ?Sized), person: &PrincipalId) -> Result<(), Stop> {
    if DEVICES_OF.scan(rows, person, None, limits::DEVICES_OF_PERSON_MAX)?.len() < limits::DEVICES_OF_PERSON_MAX {
        return Ok(());
    }
    let most = limits::DEVICES_OF_PERSON_MAX;
    Err(Refusal::invalid(format!("{person} has {most} devices: return some or settle what is owed on them")).into())
}

pub(crate) fn required(name: &str, text: &str, rule: &str) -> Result<(), Refusal> {
    check_text(name, text)?;
    if text.trim().is_empty() {
        return Err(Refusal::new(Reason::FieldMissing, rule, format!("{name} is empty"), "fill it in"));
    }
    Ok(())
}

/// What a person saw cannot lie in the future; a clock may be a little ahead.
pub(crate) fn refuse_future(at: UnixMillis, now: UnixMillis) -> Result<(), Refusal> {
    const AHEAD_MS_MAX: i64 = 10 * 60 * 1000;
    if at.since_ms(now) <= AHEAD_MS_MAX {
        return Ok(());
    }
    Err(Refusal::invalid(format!("{at} is in the future: it is {now}")))
}

fn recordings_not_said(rule: &str) -> Refusal {
    Refusal::new(
        Reason::FieldMissing,
        rule,
        "it is not said how many recordings on the device are not ingested",
        "look, and say it: `--un-ingested 0`",
    )
}

fn under_way(id: &DeviceId, offer: &Offer, rule: &str) -> Refusal {
    let to = offer.to.as_ref().map_or("the store", PrincipalId::as_str);
    Refusal::new(
        Reason::WrongState,
        rule,
        format!("device {id} is on its way from {} to {to} since {}", offer.by, offer.at),
        "the receiver accepts it, or either side declines: `strongroom device accept`, `strongroom device decline`",
    )
}

fn not_yours(message: String, remedy: String, rule: &str) -> Refusal {
    Refusal::new(Reason::NotYourStep, rule, message, remedy)
}

fn holder_remedy(row: &DeviceCustodyRow, what: &str) -> String {
    match &row.place {
        Place::Person(holder) => format!("{what}: {holder}"),
        Place::Store | Place::Repair(_) | Place::Lost(_) | Place::Sealed(..) => {
            format!("{what}; it is with nobody now: {}", row.place.name())
        }
    }
}

fn wrong_place(id: &DeviceId, row: &DeviceCustodyRow, what: &str, rule: &str) -> Refusal {
    let state = match row.place.holder() {
        "" => row.place.name().to_owned(),
        holder => format!("{} ({holder})", row.place.name()),
    };
    Refusal::new(
        Reason::WrongState,
        rule,
        format!("device {id}: {what}"),
        format!("it is now: {state}; `strongroom device ledger {id}` tells how it came there"),
    )
}

fn facts(id: &DeviceId, device: &DeviceRow) -> BTreeMap<Fact, Value> {
    BTreeMap::from([(Fact::Device, id.as_str().into()), (Fact::Unit, device.unit.as_str().into())])
}

pub(crate) fn finding_fact(facts: &mut BTreeMap<Fact, Value>, findings: &[String]) {
    if !findings.is_empty() {
        facts.insert(Fact::Finding, findings.join(" ").into());
    }
}
