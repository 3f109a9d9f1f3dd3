//! Statements 书面说明: ingested like any original, and filed with the interruption or exemption that they explain.

use strongroom_types::{ActivityId, ItemId, PrincipalId, Reason, RecordSeq, Refusal, UnixMillis, limits};

use crate::{
    Act, Answer, Fact,
    access::Stop,
    activity::{self, ActivityRow},
    apply::Decision,
    device::required,
    item::{refuse_quarantined, sealed},
    tables::{EXEMPTIONS, INTERRUPTIONS, newest_first},
    unit,
};

/// A statement that was filed afterwards.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Filed {
    /// The statement.
    #[n(0)]
    pub item: ItemId,
    /// To whom it was reported.
    #[n(1)]
    pub reported_to: String,
    /// Who filed it.
    #[n(2)]
    pub by: PrincipalId,
    /// When.
    #[n(3)]
    pub at: UnixMillis,
    /// Its record.
    #[n(4)]
    pub seq: RecordSeq,
}

/// Which of the two registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum StatementOf {
    /// An interruption's.
    #[n(0)]
    Interruption,
    /// An exemption's.
    #[n(1)]
    Exemption,
}

/// Files a statement with an interruption or an exemption.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct FileStatement {
    /// Activity.
    #[n(0)]
    pub activity: ActivityId,
    /// Which register.
    #[n(1)]
    pub of: StatementOf,
    /// Number of the interruption or exemption.
    #[n(2)]
    pub number: RecordSeq,
    /// The statement.
    #[n(3)]
    pub item: ItemId,
    /// To whom it was reported.
    #[n(4)]
    pub reported_to: String,
}

/// Appends a statement to what was recorded before it was written.
pub(crate) fn file(decision: &mut Decision<'_>, command: &FileStatement) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::ActivityFile)?;
    let activity = activity::own(decision, &who, &command.activity)?;
    let profile = activity::profile_of(&*decision.rows, &activity.unit)?;
    let rule = match command.of {
        StatementOf::Interruption => profile.interruption_rule(),
        StatementOf::Exemption => profile.exemption_rule(),
    };
    required("reported-to", &command.reported_to, rule)?;
    check(decision, &activity, command.item)?;
    let (seq, at) = (decision.next_seq(), decision.wall);
    let filed = Filed { item: command.item, reported_to: command.reported_to.clone(), by: who.id, at, seq };
    let key = (activity.unit.clone(), newest_first(command.number.0));
    let unknown = || Refusal::not_found(format!("record {} of activity {}", command.number, command.activity));
    match command.of {
        StatementOf::Interruption => {
            let row = INTERRUPTIONS.read(decision.rows, &key)?.filter(|row| row.activity == command.activity);
            let mut row = row.ok_or_else(unknown)?;
            push_filed(&mut row.filed, filed)?;
            INTERRUPTIONS.write(decision.rows, &key, &row);
        }
        StatementOf::Exemption => {
            let row = EXEMPTIONS.read(decision.rows, &key)?.filter(|row| row.activity == command.activity);
            let mut row = row.ok_or_else(unknown)?;
            push_filed(&mut row.filed, filed)?;
            EXEMPTIONS.write(decision.rows, &key, &row);
        }
    }
    let mut facts = activity::facts(&activity.id, &activity.unit);
    facts.insert(Fact::Entry, command.number.0.into());
    facts.insert(Fact::ReportedTo, command.reported_to.as_str().into());
    Ok(Answer::Recorded(decision.record(Act::ActivityFile, rule, vec![command.item], facts)))
}

/// A statement is an item like any other: sealed, of the same unit.
pub(crate) fn check(decision: &Decision<'_>, activity: &ActivityRow, id: ItemId) -> Result<(), Stop> {
    let item = sealed(&*decision.rows, id)?;
    refuse_quarantined(id, &item)?;
    if unit::same(&*decision.rows, &item.description.unit, &activity.unit)? {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::OutsideUnit,
        "C5",
        format!("item {id} is of unit {}, the activity of unit {}", item.description.unit, activity.unit),
        "ingest the statement for the unit whose activity it is",
    )
    .into())
}

fn push_filed(filed: &mut Vec<Filed>, new: Filed) -> Result<(), Refusal> {
    if filed.len() >= limits::STATEMENTS_MAX {
        return Err(Refusal::invalid(format!("a record takes at most {} statements", limits::STATEMENTS_MAX)));
    }
    filed.push(new);
    Ok(())
}
