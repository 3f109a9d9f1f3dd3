//! Notices 待办提示: what the head of a unit has to look at, because a text says that they are told. A notice changes
//! nothing and blocks nothing; it stays on the list until somebody answers for having seen it.

use std::collections::BTreeMap;

use strongroom_types::{
    ActivityId, DeviceId, PrincipalId, Reason, RecordSeq, Refusal, RequestId, Role, UnitId, UnixMillis, rows::Rows,
};

use crate::{
    Act, Answer, Fact,
    access::{Stop, role_refused, within_unit},
    activity,
    apply::Decision,
    profile::Topic,
    tables::{NOTICES, newest_first},
    unit,
    upload::check_text,
};

/// A notice. Its number is the position of the record that gave rise to it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct NoticeRow {
    /// Unit whose head is told.
    #[n(0)]
    pub unit: UnitId,
    /// The finding, such as `EXEMPTION_LATE`.
    #[n(1)]
    pub finding: String,
    /// Activity that it is about.
    #[n(2)]
    pub activity: Option<ActivityId>,
    /// Device that it is about.
    #[n(3)]
    pub device: Option<DeviceId>,
    /// When.
    #[n(4)]
    pub at: UnixMillis,
    /// Record that gave rise to it.
    #[n(5)]
    pub seq: RecordSeq,
    /// Who has seen it.
    #[n(6)]
    pub seen: Option<Seen>,
    /// Request that it is about: such a notice is for the head of the agency.
    #[n(7)]
    pub request: Option<RequestId>,
}

/// Who has seen a notice, and what they say to it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Seen {
    /// Who.
    #[n(0)]
    pub by: PrincipalId,
    /// When.
    #[n(1)]
    pub at: UnixMillis,
    /// What they say to it.
    #[n(2)]
    pub opinion: String,
    /// Its record.
    #[n(3)]
    pub seq: RecordSeq,
}

/// Says that a notice was seen.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AcknowledgeNotice {
    /// Unit of the notice.
    #[n(0)]
    pub unit: UnitId,
    /// Its number.
    #[n(1)]
    pub notice: RecordSeq,
    /// What the head says to it; may be empty.
    #[n(2)]
    pub opinion: String,
}

/// Puts a notice on the list, under the record that comes next.
pub(crate) fn give(
    decision: &mut Decision<'_>,
    unit: &UnitId,
    finding: &str,
    activity: Option<&ActivityId>,
    device: Option<&DeviceId>,
) -> Result<(), Stop> {
    let (activity, device) = (activity.cloned(), device.cloned());
    let row = NoticeRow { activity, device, ..about_nothing(decision, unit, finding)? };
    NOTICES.write(decision.rows, &(row.unit.clone(), newest_first(row.seq.0)), &row);
    Ok(())
}

/// Puts a notice about a request on the list of the head, under the record that comes next.
pub(crate) fn give_of_request(
    decision: &mut Decision<'_>,
    unit: &UnitId,
    finding: &str,
    request: RequestId,
) -> Result<(), Stop> {
    let row = NoticeRow { request: Some(request), ..about_nothing(decision, unit, finding)? };
    NOTICES.write(decision.rows, &(row.unit.clone(), newest_first(row.seq.0)), &row);
    Ok(())
}

fn about_nothing(decision: &Decision<'_>, unit: &UnitId, finding: &str) -> Result<NoticeRow, Stop> {
    Ok(NoticeRow {
        // Whoever heads the unit that has its powers now is told.
        unit: unit::current(&*decision.rows, unit)?.id,
        finding: finding.to_owned(),
        activity: None,
        device: None,
        at: decision.wall,
        seq: decision.next_seq(),
        seen: None,
        request: None,
    })
}

pub(crate) fn acknowledge(decision: &mut Decision<'_>, command: &AcknowledgeNotice) -> Result<Answer, Stop> {
    let head = decision.authorize(Act::NoticeAcknowledge)?;
    within_unit(&head, &command.unit)?;
    check_text("the opinion", &command.opinion)?;
    let mut row = read(decision.rows, &command.unit, command.notice)?;
    let profile = activity::profile_of(&*decision.rows, &command.unit)?;
    let rule = match (&row.request, &row.device) {
        (Some(_), _) => "C5",
        (None, Some(_)) => profile.rule_on(Topic::DeviceCustody),
        (None, None) => profile.exemption_rule(),
    };
    if row.request.is_some() && !head.roles.contains(&Role::Head) {
        return Err(role_refused(&head, "answer for what the head was told of", &[Role::Head], rule).into());
    }
    if let Some(seen) = &row.seen {
        return Err(Refusal::new(
            Reason::WrongState,
            rule,
            format!("notice {} was seen by {} at {}", command.notice, seen.by, seen.at),
            "there is nothing left to do",
        )
        .into());
    }
    let facts = BTreeMap::from([
        (Fact::Unit, command.unit.as_str().into()),
        (Fact::Entry, command.notice.0.into()),
        (Fact::Finding, row.finding.as_str().into()),
        (Fact::ReasonGiven, command.opinion.as_str().into()),
    ]);
    let seq = decision.record(Act::NoticeAcknowledge, rule, Vec::new(), facts);
    row.seen = Some(Seen { by: head.id, at: decision.wall, opinion: command.opinion.clone(), seq });
    NOTICES.write(decision.rows, &(command.unit.clone(), newest_first(command.notice.0)), &row);
    Ok(Answer::Recorded(seq))
}

fn read(rows: &(impl Rows + ?Sized), unit: &UnitId, notice: RecordSeq) -> Result<NoticeRow, Stop> {
    NOTICES
        .read(rows, &(unit.clone(), newest_first(notice.0)))?
        .ok_or_else(|| Refusal::not_found(format!("notice {notice} of unit {unit}")).into())
}
