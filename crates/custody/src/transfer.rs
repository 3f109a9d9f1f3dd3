//! Cases that change hands 案件移交, between units and between agencies, by a receipt of two sides (requirements B10).
//!
//! ```text
//!  offer(giving side) ──▶ offered ──answer: take(receiving side, another person)──▶ taken: the receiver's case
//!                            └─────answer: decline(either side)──▶ declined: the giver's case, as before
//! ```
//! Until it is taken the giver handles the case. Afterwards the receiver does, and reaches the items that are bound to
//! it; who made them keeps them too. Items stay under the profile that sealed them and come under the receiver's besides:
//! the longer of both keeps them (G3), also when the case moves on or back.

use std::collections::BTreeMap;

use strongroom_types::{
    CaseId, ItemId, ProfileName, Reason, RecordSeq, Refusal, Role, UnitId, limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{Stop, different_person, within_unit},
    apply::Decision,
    case::{self, CaseRow},
    clock,
    correction::{self, RoleStepRow},
    keeping::check_given,
    tables::{CASE_OFFERS, CASE_TRANSFERS, CASES, ItemRow, PrincipalRow},
    unit,
    upload::{check_text, newest_profile},
};

/// The offices that speak for a side.
const OFFICES: [Role; 2] = [Role::Legal, Role::UnitHead];

/// A case that is offered, or changed hands.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct TransferRow {
    /// The case.
    #[n(0)]
    pub case: CaseId,
    /// Unit that gives it.
    #[n(1)]
    pub from: UnitId,
    /// Unit that is to have it.
    #[n(2)]
    pub to: UnitId,
    /// Why 移交事由.
    #[n(3)]
    pub reason: String,
    /// Number of the letter 文号; may be empty.
    #[n(4)]
    pub document: String,
    /// Items that were bound to it when it was offered.
    #[n(5)]
    pub items: u64,
    /// The giver's step.
    #[n(6)]
    pub offered: RoleStepRow,
    /// What became of it.
    #[n(7)]
    pub state: TransferState,
}

/// What became of an offer.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum TransferState {
    /// Nobody has answered.
    #[n(0)]
    Offered,
    /// Taken: the receiver's side of the receipt.
    #[n(1)]
    Taken(#[n(0)] Receipt),
    /// Not taken, or taken back: by whom, when and why.
    #[n(2)]
    Declined(#[n(0)] RoleStepRow, #[n(1)] String),
    /// Its unit was divided, and this case went with a part of it: proposed and approved by two people.
    #[n(3)]
    Divided(#[n(0)] Receipt),
}

impl TransferState {
    /// As one word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Taken(_) => "taken",
            Self::Declined(..) => "declined",
            Self::Divided(_) => "divided",
        }
    }

    /// The receipt, where the case changed hands.
    #[must_use]
    pub const fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Taken(receipt) | Self::Divided(receipt) => Some(receipt),
            Self::Offered | Self::Declined(..) => None,
        }
    }
}

/// The receiver's side.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Receipt {
    /// The receiver's step.
    #[n(0)]
    pub taken: RoleStepRow,
    /// Items that were bound to the case then: those that records up to the step bind.
    #[n(1)]
    pub items: u64,
    /// Profile of the receiver: its floor is one more that those items have.
    #[n(2)]
    pub profile: ProfileName,
    /// Its version.
    #[n(3)]
    pub version: u64,
}

/// Offers a case to another unit.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct OfferCase {
    /// The case.
    #[n(0)]
    pub case: CaseId,
    /// Unit that is to have it.
    #[n(1)]
    pub to: UnitId,
    /// Why.
    #[n(2)]
    pub reason: String,
    /// Number of the letter; may be empty.
    #[n(3)]
    pub document: String,
}

/// Takes a case that is offered, or ends the offer.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AnswerCase {
    /// The case.
    #[n(0)]
    pub case: CaseId,
    /// Record of the offer that was read.
    #[n(1)]
    pub offer: RecordSeq,
    /// Why it is not taken; none where it is.
    #[n(2)]
    pub declined: Option<String>,
}

pub(crate) fn offer(decision: &mut Decision<'_>, command: &OfferCase) -> Result<Answer, Stop> {
    let giver = decision.authorize(Act::CaseOffer)?;
    let case = case::read(decision.rows, &command.case)?;
    within_unit(&giver, &case.unit)?;
    check_given("the reason", &command.reason, "B10")?;
    check_text("the document", &command.document)?;
    unit::live(decision.rows, &command.to)?;
    if unit::same(&*decision.rows, &case.unit, &command.to)? {
        return Err(Refusal::invalid(format!("case {} is of unit {} already", case.id, command.to)).into());
    }
    if let Some(open) = CASE_OFFERS.read(decision.rows, &case.id)? {
        return Err(Refusal::new(
            Reason::WrongState,
            "B10",
            format!(
                "case {} was offered to unit {} by {} at {} (record {})",
                case.id, open.to, open.offered.by, open.offered.at, open.offered.seq
            ),
            "its legal office or head takes it, or either side ends the offer: `strongroom case decline`",
        )
        .into());
    }
    check_room(decision.rows, &case.id)?;
    let row = TransferRow {
        case: case.id.clone(),
        from: unit::current(decision.rows, &case.unit)?.id,
        to: command.to.clone(),
        reason: command.reason.clone(),
        document: command.document.clone(),
        items: case.items,
        offered: step(decision, &giver),
        state: TransferState::Offered,
    };
    CASE_OFFERS.write(decision.rows, &case.id, &row);
    let mut facts = facts(&row);
    facts.insert(Fact::Role, row.offered.role.name().into());
    facts.insert(Fact::ReasonGiven, row.reason.as_str().into());
    facts.insert(Fact::Count, row.items.into());
    if !row.document.is_empty() {
        facts.insert(Fact::Document, row.document.as_str().into());
    }
    Ok(Answer::Recorded(decision.record(Act::CaseOffer, "B10", Vec::new(), facts)))
}

/// The other side's step. Only the receiver takes a case; either side ends an offer.
pub(crate) fn answer(decision: &mut Decision<'_>, command: &AnswerCase) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::CaseAccept)?;
    let mut case = case::read(decision.rows, &command.case)?;
    let Some(mut row) = CASE_OFFERS.read(decision.rows, &case.id)? else {
        return Err(Refusal::new(
            Reason::WrongState,
            "B10",
            format!("nobody has offered case {}", case.id),
            "the giving side's step comes first: `strongroom case transfer`",
        )
        .into());
    };
    if row.offered.seq != command.offer {
        return Err(Refusal::new(
            Reason::WrongState,
            "B10",
            format!("case {} is offered by record {}, not {}", case.id, row.offered.seq, command.offer),
            "read it again before you answer: `strongroom case transfers`",
        )
        .into());
    }
    let mut facts = facts(&row);
    let taken = step(decision, &who);
    facts.insert(Fact::Role, taken.role.name().into());
    match &command.declined {
        Some(why) => {
            check_given("the reason", why, "B10")?;
            within_unit(&who, &row.to).or_else(|refusal| within_unit(&who, &row.from).map_err(|_| refusal))?;
            facts.insert(Fact::ReasonGiven, why.as_str().into());
            row.state = TransferState::Declined(taken, why.clone());
        }
        None => {
            within_unit(&who, &row.to)?;
            different_person(&who.id, &row.offered.by, "who offers a case does not take it")?;
            let receiver = unit::current(decision.rows, &row.to)?;
            let (version, _) = newest_profile(decision.rows, &receiver.profile)?;
            facts.insert(Fact::Count, case.items.into());
            facts.insert(Fact::Profile, format!("{}@{version}", receiver.profile).into());
            case.unit = receiver.id;
            CASES.write(decision.rows, &case.id, &case);
            row.state = TransferState::Taken(Receipt { taken, items: case.items, profile: receiver.profile, version });
        }
    }
    facts.insert(Fact::State, row.state.name().into());
    CASE_OFFERS.remove(decision.rows, &case.id);
    CASE_TRANSFERS.write(decision.rows, &(case.id, decision.next_seq()), &row);
    Ok(Answer::Recorded(decision.record(Act::CaseAccept, "B10", Vec::new(), facts)))
}

/// Gives a case to a part of its unit that was divided, under the record that comes next. An offer of the old unit's
/// ends with it.
pub(crate) fn divide(
    decision: &mut Decision<'_>,
    case: &mut CaseRow,
    to: &UnitId,
    (proposed, approved): (RoleStepRow, RoleStepRow),
    reason: &str,
) -> Result<Receipt, Stop> {
    let seq = decision.next_seq();
    if let Some(mut open) = CASE_OFFERS.read(decision.rows, &case.id)? {
        open.state = TransferState::Declined(approved.clone(), reason.to_owned());
        CASE_OFFERS.remove(decision.rows, &case.id);
        CASE_TRANSFERS.write(decision.rows, &(case.id.clone(), open.offered.seq), &open);
    }
    let profile = unit::known(decision.rows, to)?.profile;
    let (version, _) = newest_profile(decision.rows, &profile)?;
    let taken = RoleStepRow { at: decision.wall, seq, ..approved };
    let receipt = Receipt { taken, items: case.items, profile, version };
    let row = TransferRow {
        case: case.id.clone(),
        from: std::mem::replace(&mut case.unit, to.clone()),
        to: to.clone(),
        reason: reason.to_owned(),
        document: String::new(),
        items: case.items,
        offered: proposed,
        state: TransferState::Divided(receipt.clone()),
    };
    CASE_TRANSFERS.write(decision.rows, &(case.id.clone(), seq), &row);
    CASES.write(decision.rows, &case.id, case);
    Ok(receipt)
}

/// What became of every offer of a case, oldest first; the one that waits comes last.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn of_case(rows: &(impl Rows + ?Sized), case: &CaseId) -> Result<Vec<TransferRow>, RowError> {
    let (mut transfers, mut after) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let page = CASE_TRANSFERS.scan(rows, case, after.as_deref(), limits::PAGE_ROWS_MAX)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        transfers.extend(page.into_iter().map(|(_, row)| row));
    }
    transfers.extend(CASE_OFFERS.read(rows, case)?);
    Ok(transfers)
}

/// Refuses what concerns an item that this person's unit neither made nor handles.
///
/// # Errors
/// [`Stop`] with `OUTSIDE_UNIT`.
pub fn within_item(
    rows: &(impl Rows + ?Sized),
    principal: &PrincipalRow,
    id: ItemId,
    item: &ItemRow,
) -> Result<(), Stop> {
    reaches_item(rows, principal, id, &item.description.unit)
}

/// Like [`within_item`], of an item that may be gone and was of `unit`.
///
/// # Errors
/// [`Stop`] with `OUTSIDE_UNIT`.
pub fn reaches_item(
    rows: &(impl Rows + ?Sized),
    principal: &PrincipalRow,
    id: ItemId,
    unit: &UnitId,
) -> Result<(), Stop> {
    match within_unit(principal, unit) {
        Ok(()) => Ok(()),
        Err(_) if handles(rows, principal, id)? => Ok(()),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Whether the item is evidence of a case that was handed to this person's unit.
fn handles(rows: &(impl Rows + ?Sized), principal: &PrincipalRow, id: ItemId) -> Result<bool, RowError> {
    let t = clock::read(rows)?.t;
    for (case, binding) in case::ever_of_item(rows, id)? {
        if principal.covers(&case.unit) && !correction::in_force(rows, binding.corrected, t)? {
            let changed_hands = of_case(rows, &case.id)?.iter().any(|transfer| transfer.state.receipt().is_some());
            if changed_hands {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Offers are many only by mistake: whoever reads a case reads all of them.
fn check_room(rows: &(impl Rows + ?Sized), case: &CaseId) -> Result<(), Stop> {
    let max = limits::CASE_TRANSFERS_MAX;
    if of_case(rows, case)?.len() < max {
        return Ok(());
    }
    Err(Refusal::invalid(format!("a case is offered at most {max} times")).into())
}

/// A step of one of the two offices; the table lets no others in.
fn step(decision: &Decision<'_>, who: &PrincipalRow) -> RoleStepRow {
    let role = OFFICES.into_iter().find(|role| who.roles.contains(role)).expect("the table lets these in");
    RoleStepRow { by: who.id.clone(), role, at: decision.wall, seq: decision.next_seq() }
}

fn facts(row: &TransferRow) -> BTreeMap<Fact, Value> {
    BTreeMap::from([
        (Fact::Case, row.case.as_str().into()),
        (Fact::Unit, row.from.as_str().into()),
        (Fact::ToUnit, row.to.as_str().into()),
        (Fact::Proposal, row.offered.seq.0.into()),
    ])
}
