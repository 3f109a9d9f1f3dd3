//! What people say about the keeping of an item: longer than the rules ask, for good, restricted, of which class.
//!
//! All of it is one-way or kept with its history: an extension only lengthens, a long-term trigger 长期留存 has no
//! end, and a mistake in either is corrected by two offices ([`crate::correction`]), never edited.

use std::collections::BTreeMap;

use strongroom_types::{
    CorrectionId, ItemId, PrincipalId, Reason, RecordSeq, Refusal, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Value,
    access::Stop,
    apply::Decision,
    correction,
    item::sealed,
    profile::Profile,
    request::field_missing,
    retention,
    tables::{ItemRow, KEEPING, PrincipalRow},
    transfer::within_item,
    upload::{check_label_name, check_text, newest_profile},
};

/// What was said about one item; absent where nothing was.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KeepingRow {
    /// Extensions, oldest first.
    #[n(0)]
    pub extensions: Vec<ExtensionRow>,
    /// Long-term triggers, oldest first.
    #[n(1)]
    pub triggers: Vec<TriggerRow>,
    /// Present while the item is restricted.
    #[n(2)]
    pub restriction: Option<RestrictionRow>,
    /// Its class; none was set where absent.
    #[n(3)]
    pub class: Option<ClassRow>,
}

/// A later end of retention.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ExtensionRow {
    /// The later end.
    #[n(0)]
    pub until: UnixMillis,
    /// Who said so.
    #[n(1)]
    pub by: PrincipalId,
    /// Why.
    #[n(2)]
    pub reason: String,
    /// Its record.
    #[n(3)]
    pub seq: RecordSeq,
    /// The correction that takes it back, in force or not yet.
    #[n(4)]
    pub corrected: Option<CorrectionId>,
}

/// A reason to keep an item without end (G7).
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct TriggerRow {
    /// Its code in the profile.
    #[n(0)]
    pub code: String,
    /// What it rests on 依据.
    #[n(1)]
    pub basis: String,
    /// Who set it 设定人.
    #[n(2)]
    pub by: PrincipalId,
    /// Its record.
    #[n(3)]
    pub seq: RecordSeq,
    /// The correction that takes it back, in force or not yet.
    #[n(4)]
    pub corrected: Option<CorrectionId>,
}

/// Why an item is stored and shown in lawful chains only.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RestrictionRow {
    /// What kind.
    #[n(0)]
    pub kind: RestrictionKind,
    /// Why.
    #[n(1)]
    pub reason: String,
    /// Who restricted it.
    #[n(2)]
    pub by: PrincipalId,
    /// Its record.
    #[n(3)]
    pub seq: RecordSeq,
}

/// Kinds of restriction (requirements B10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum RestrictionKind {
    /// 个人信息: somebody asked that it be restricted.
    #[n(0)]
    PersonalInformation,
    /// 非执法内容: recorded off duty.
    #[n(1)]
    NonDuty,
    /// 疑似国家秘密.
    #[n(2)]
    SuspectedSecret,
}

impl RestrictionKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::PersonalInformation, Self::NonDuty, Self::SuspectedSecret];

    /// The name on the wire and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PersonalInformation => "personal-information",
            Self::NonDuty => "non-duty",
            Self::SuspectedSecret => "suspected-secret",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A class and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ClassRow {
    /// The class.
    #[n(0)]
    pub class: Class,
    /// What it rests on 依据.
    #[n(1)]
    pub basis: String,
    /// Who set it.
    #[n(2)]
    pub by: PrincipalId,
    /// Its record.
    #[n(3)]
    pub seq: RecordSeq,
}

/// Confidentiality of an item (G11), least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Class {
    /// 无.
    #[n(0)]
    Open,
    /// 个人隐私.
    #[n(1)]
    PersonalPrivacy,
    /// 商业秘密.
    #[n(2)]
    TradeSecret,
    /// 国家秘密.
    #[n(3)]
    StateSecret,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Open, Self::PersonalPrivacy, Self::TradeSecret, Self::StateSecret];

    /// The name on the wire and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::PersonalPrivacy => "personal-privacy",
            Self::TradeSecret => "trade-secret",
            Self::StateSecret => "state-secret",
        }
    }

    /// The class of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// Keeps an item until a later date.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ExtendItem {
    /// The item.
    #[n(0)]
    pub item: ItemId,
    /// The later end.
    #[n(1)]
    pub until: UnixMillis,
    /// Why.
    #[n(2)]
    pub reason: String,
}

/// Keeps an item without end.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct TriggerItem {
    /// The item.
    #[n(0)]
    pub item: ItemId,
    /// The trigger's code.
    #[n(1)]
    pub code: String,
    /// What it rests on.
    #[n(2)]
    pub basis: String,
}

/// Restricts an item, or ends its restriction.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RestrictItem {
    /// The item.
    #[n(0)]
    pub item: ItemId,
    /// What kind; none ends the restriction.
    #[n(1)]
    pub kind: Option<RestrictionKind>,
    /// Why.
    #[n(2)]
    pub reason: String,
}

/// Sets the class of an item.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ClassifyItem {
    /// The item.
    #[n(0)]
    pub item: ItemId,
    /// The class.
    #[n(1)]
    pub class: Class,
    /// What it rests on.
    #[n(2)]
    pub basis: String,
}

/// What was said about an item.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub fn read(rows: &(impl Rows + ?Sized), item: ItemId) -> Result<KeepingRow, RowError> {
    Ok(KEEPING.read(rows, &item)?.unwrap_or_default())
}

/// Adds an extension.
pub(crate) fn extend(decision: &mut Decision<'_>, command: &ExtendItem) -> Result<Answer, Stop> {
    let (by, item, mut row) = subject(decision, Act::ItemExtend, command.item)?;
    check_given("the reason", &command.reason, "C1")?;
    let dated = retention::kept(decision.rows, command.item, &item)?.into_iter().filter_map(|kept| kept.until).max();
    if let Some(latest) = dated.filter(|latest| command.until <= *latest) {
        return Err(Refusal::new(
            Reason::RetentionShortenRefused,
            "G3",
            format!("item {} is kept until {latest} already: {} is no later", command.item, command.until),
            "give a later date; a mistaken extension is corrected by two offices: `strongroom correction propose`",
        )
        .into());
    }
    room(row.extensions.len(), "extensions")?;
    let seq = decision.next_seq();
    row.extensions.push(ExtensionRow {
        until: command.until,
        by: by.id,
        reason: command.reason.clone(),
        seq,
        corrected: None,
    });
    KEEPING.write(decision.rows, &command.item, &row);
    let facts =
        BTreeMap::from([(Fact::Until, command.until.into()), (Fact::ReasonGiven, command.reason.as_str().into())]);
    Ok(Answer::Recorded(decision.record(Act::ItemExtend, "C1", vec![command.item], facts)))
}

/// Sets a long-term trigger. It has no end.
pub(crate) fn trigger(decision: &mut Decision<'_>, command: &TriggerItem) -> Result<Answer, Stop> {
    let (by, item, mut row) = subject(decision, Act::ItemTrigger, command.item)?;
    check_label_name(&command.code)?;
    check_given("the basis", &command.basis, "G7")?;
    let (_, profile) = newest_profile(decision.rows, &item.retention.profile)?;
    let rule = check_trigger(&profile.profile, &command.code)?;
    if let Some(standing) = row.triggers.iter().find(|set| set.code == command.code && set.corrected.is_none()) {
        return Err(Refusal::new(
            Reason::AlreadyExists,
            "G7",
            format!("item {} has trigger {} already, since record {}", command.item, command.code, standing.seq),
            "",
        )
        .into());
    }
    room(row.triggers.len(), "triggers")?;
    let seq = decision.next_seq();
    row.triggers.push(TriggerRow {
        code: command.code.clone(),
        basis: command.basis.clone(),
        by: by.id,
        seq,
        corrected: None,
    });
    KEEPING.write(decision.rows, &command.item, &row);
    let facts =
        BTreeMap::from([(Fact::Trigger, command.code.as_str().into()), (Fact::Basis, command.basis.as_str().into())]);
    Ok(Answer::Recorded(decision.record(Act::ItemTrigger, &rule, vec![command.item], facts)))
}

/// The rule that a trigger rests on. Where a text names its circumstances, one of them is given; where it names none, a
/// reason of the office's own keeps longer, and is taken.
fn check_trigger(profile: &Profile, code: &str) -> Result<String, Refusal> {
    let Some(long_term) = &profile.long_term else { return Ok("G7".to_owned()) };
    if let Some(trigger) = long_term.triggers.iter().find(|trigger| trigger.code == code) {
        return Ok(trigger.source.rule.clone());
    }
    let known: Vec<_> = long_term.triggers.iter().map(|known| format!("{} {}", known.code, known.words)).collect();
    Err(Refusal::new(
        Reason::InvalidArgument,
        &long_term.source.rule,
        format!("profile {} knows no long-term trigger {code:?}", profile.name),
        format!("one of: {}", known.join("; ")),
    ))
}

/// Restricts an item or ends its restriction, at once.
pub(crate) fn restrict(decision: &mut Decision<'_>, command: &RestrictItem) -> Result<Answer, Stop> {
    let act = restrict_act(command);
    let (by, _, mut row) = subject(decision, act, command.item)?;
    check_given("the reason", &command.reason, "C1")?;
    if row.restriction.is_none() && command.kind.is_none() {
        return Err(Refusal::new(
            Reason::WrongState,
            "C1",
            format!("item {} is not restricted", command.item),
            "nothing needs to be done",
        )
        .into());
    }
    let before = row.restriction.as_ref().map_or("none", |restriction| restriction.kind.name());
    let after = command.kind.map_or("none", RestrictionKind::name);
    let facts = BTreeMap::from([
        (Fact::Before, Value::from(before)),
        (Fact::After, after.into()),
        (Fact::ReasonGiven, command.reason.as_str().into()),
    ]);
    let seq = decision.record(act, "C1", vec![command.item], facts);
    row.restriction = command.kind.map(|kind| RestrictionRow { kind, reason: command.reason.clone(), by: by.id, seq });
    KEEPING.write(decision.rows, &command.item, &row);
    Ok(Answer::Recorded(seq))
}

/// Which act a [`RestrictItem`] is.
pub(crate) const fn restrict_act(command: &RestrictItem) -> Act {
    if command.kind.is_some() { Act::ItemRestrict } else { Act::ItemUnrestrict }
}

/// Sets a class. Only the legal office lowers one.
pub(crate) fn classify(decision: &mut Decision<'_>, command: &ClassifyItem) -> Result<Answer, Stop> {
    let (by, _, mut row) = subject(decision, Act::ItemClassify, command.item)?;
    check_given("the basis", &command.basis, "G11")?;
    let before = row.class.as_ref().map_or(Class::Open, |set| set.class);
    if command.class < before && !by.roles.contains(&strongroom_types::Role::Legal) {
        let what = format!("lower the class of item {} from {}", command.item, before.name());
        return Err(crate::access::role_refused(&by, &what, &[strongroom_types::Role::Legal], "G11").into());
    }
    let facts = BTreeMap::from([
        (Fact::Before, Value::from(before.name())),
        (Fact::After, command.class.name().into()),
        (Fact::Basis, command.basis.as_str().into()),
    ]);
    let seq = decision.record(Act::ItemClassify, "G11", vec![command.item], facts);
    row.class = Some(ClassRow { class: command.class, basis: command.basis.clone(), by: by.id, seq });
    KEEPING.write(decision.rows, &command.item, &row);
    Ok(Answer::Recorded(seq))
}

/// Refuses what no lawful chain asks for on an item that is restricted.
///
/// # Errors
/// [`Stop`] with `RESTRICTED`.
pub fn refuse_restricted(rows: &(impl Rows + ?Sized), item: ItemId) -> Result<(), Stop> {
    let Some(restriction) = read(rows, item)?.restriction else { return Ok(()) };
    Err(Refusal::new(
        Reason::Restricted,
        "C1",
        format!("item {item} is restricted ({}) by record {}", restriction.kind.name(), restriction.seq),
        "submit a request: `strongroom request submit`; legal or custodian can end a restriction",
    )
    .into())
}

/// Whether somebody sees the words of a restricted item: only those who take part in the lawful chains.
#[must_use]
pub fn sees_restricted(principal: &PrincipalRow) -> bool {
    use strongroom_types::Role::{Approver, Archivist, Custodian, Head, Legal, Secrecy};
    principal.roles.iter().any(|role| [Legal, Custodian, Archivist, Approver, Head, Secrecy].contains(role))
}

/// Extensions that are in force at `t`.
pub(crate) fn extensions<'a>(
    rows: &(impl Rows + ?Sized),
    row: &'a KeepingRow,
    t: UnixMillis,
) -> Result<Vec<&'a ExtensionRow>, RowError> {
    standing(rows, &row.extensions, t, |extension| extension.corrected)
}

/// Triggers that are in force at `t`.
pub(crate) fn triggers<'a>(
    rows: &(impl Rows + ?Sized),
    row: &'a KeepingRow,
    t: UnixMillis,
) -> Result<Vec<&'a TriggerRow>, RowError> {
    standing(rows, &row.triggers, t, |trigger| trigger.corrected)
}

fn standing<'a, T>(
    rows: &(impl Rows + ?Sized),
    all: &'a [T],
    t: UnixMillis,
    corrected: impl Fn(&T) -> Option<CorrectionId>,
) -> Result<Vec<&'a T>, RowError> {
    let mut standing = Vec::new();
    for one in all {
        if !correction::in_force(rows, corrected(one), t)? {
            standing.push(one);
        }
    }
    Ok(standing)
}

/// Who asks, the item and what was said about it before.
fn subject(decision: &mut Decision<'_>, act: Act, id: ItemId) -> Result<(PrincipalRow, ItemRow, KeepingRow), Stop> {
    let by = decision.authorize(act)?;
    let item = sealed(decision.rows, id)?;
    within_item(decision.rows, &by, id, &item)?;
    let row = read(decision.rows, id)?;
    Ok((by, item, row))
}

/// Refuses an empty or too long text that an act must give.
pub(crate) fn check_given(what: &str, text: &str, rule: &str) -> Result<(), Refusal> {
    check_text(what, text)?;
    if text.trim().is_empty() { Err(field_missing(what.trim_start_matches("the "), rule)) } else { Ok(()) }
}

fn room(count: usize, what: &str) -> Result<(), Refusal> {
    if count < limits::ITEM_MARKS_MAX {
        return Ok(());
    }
    Err(Refusal::invalid(format!("an item keeps at most {} {what}", limits::ITEM_MARKS_MAX)))
}
