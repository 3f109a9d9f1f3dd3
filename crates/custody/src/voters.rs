//! A voter 表决节点 is replaced (semantics C2, C3): one loses its vote, a node in service gets it, by two people.
//!
//! ```text
//!  propose(ops: old, new) ──▶ waits ──approve(security)──▶ decided ──a checkpoint of the voters before covers it──▶ counts
//!                               └──withdraw──▶ (as before)
//! ```
//! The record of the approval names the policy 验证策略 after it by its fingerprint, so that whoever believed the voters
//! before can be led to the ones after: disks, receipts, auditors. It counts once a majority of the voters before has
//! cosigned it; what reads the rows of nodes and writes policies does that (`engine::machine`). Neither of the two sees
//! footage or decides about it: ops run the machines, security says whom the cluster believes.

use std::collections::BTreeMap;

use strongroom_types::{
    NodeId, PrincipalId, Reason, RecordSeq, Refusal, UnixMillis,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Record, Value,
    access::{Stop, different_person, whole_agency},
    apply::Decision,
    keeping::check_given,
    tables::{PrincipalRow, VOTER_CHANGES, newest_first},
};

/// A replacement of a voter. Its number is the position of the record of its proposal.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct VoterChangeRow {
    /// Its number.
    #[n(0)]
    pub seq: RecordSeq,
    /// Who loses the vote.
    #[n(1)]
    pub old: NodeId,
    /// Who gets it.
    #[n(2)]
    pub new: NodeId,
    /// Why.
    #[n(3)]
    pub reason: String,
    /// Who proposed it.
    #[n(4)]
    pub proposed_by: PrincipalId,
    /// When.
    #[n(5)]
    pub proposed_at: UnixMillis,
    /// What became of it; none while it waits.
    #[n(6)]
    pub end: Option<VoterChangeEnd>,
}

/// What became of a replacement that was proposed.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct VoterChangeEnd {
    /// Who approved it, or withdrew it.
    #[n(0)]
    pub by: PrincipalId,
    /// When.
    #[n(1)]
    pub at: UnixMillis,
    /// Its record.
    #[n(2)]
    pub seq: RecordSeq,
    /// Why it was withdrawn; none where it was approved.
    #[n(3)]
    pub withdrawn: Option<String>,
}

/// What custody cannot know; the composition above fills it in.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct VotersNow {
    /// The voters, by id.
    #[n(0)]
    pub voters: Vec<NodeId>,
    /// Nodes in service, by id.
    #[n(1)]
    pub serving: Vec<NodeId>,
    /// Whether a replacement that was approved is not cosigned yet by the voters before it.
    #[n(2)]
    pub unsettled: bool,
    /// Text of the policy with the new voter in place of the old one; empty where there is none.
    #[n(3)]
    pub policy: String,
    /// SHA-256 of that text.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub policy_digest: [u8; 32],
}

/// Proposes to replace a voter.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ProposeVoter {
    /// Who loses the vote.
    #[n(0)]
    pub old: NodeId,
    /// Who gets it.
    #[n(1)]
    pub new: NodeId,
    /// Why.
    #[n(2)]
    pub reason: String,
    /// Filled in.
    #[n(3)]
    pub now: VotersNow,
}

/// Approves a replacement.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ApproveVoter {
    /// Record of its proposal.
    #[n(0)]
    pub change: RecordSeq,
    /// Filled in.
    #[n(1)]
    pub now: VotersNow,
}

/// Withdraws a replacement before it is approved.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct WithdrawVoter {
    /// Record of its proposal.
    #[n(0)]
    pub change: RecordSeq,
    /// Why.
    #[n(1)]
    pub reason: String,
}

/// The replacement that this record proposed.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn read(rows: &(impl Rows + ?Sized), seq: RecordSeq) -> Result<VoterChangeRow, Stop> {
    VOTER_CHANGES
        .read(rows, &newest_first(seq.0))?
        .ok_or_else(|| Refusal::not_found(format!("replacement of a voter that record {seq} proposed")).into())
}

/// The replacement that waits for its approval.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub fn waiting(rows: &(impl Rows + ?Sized)) -> Result<Option<VoterChangeRow>, RowError> {
    let newest = VOTER_CHANGES.scan(rows, &(), None, 1)?;
    Ok(newest.into_iter().map(|(_, row)| row).find(|row| row.end.is_none()))
}

/// Refuses a replacement that cannot be, whoever asks.
///
/// # Errors
/// `WRONG_STATE`, `ALREADY_EXISTS` or `NOT_FOUND`.
pub fn refuse_impossible(old: NodeId, new: NodeId, now: &VotersNow) -> Result<(), Refusal> {
    let wrong = |message: String, remedy: &str| Err(Refusal::new(Reason::WrongState, "C3", message, remedy));
    if !now.voters.contains(&old) {
        return wrong(format!("node {old} does not vote"), "see `strongroom cluster status`: only a voter is replaced");
    }
    if now.voters.contains(&new) {
        return wrong(format!("node {new} votes already"), "name a node that does not");
    }
    if !now.serving.contains(&new) {
        return wrong(format!("node {new} is not in service"), "take it in first: it registers when it starts");
    }
    // The topology takes voters in service only: what it would refuse then is refused here.
    if let Some(other) = now.voters.iter().find(|voter| **voter != old && !now.serving.contains(voter)) {
        return wrong(
            format!("voter {other} is not in service"),
            "replace that one first, or take it back into service",
        );
    }
    if now.unsettled {
        return wrong(
            "the replacement before is not cosigned yet by the voters before it".to_owned(),
            "ask again when a checkpoint covers it: `strongroom ledger checkpoint`",
        );
    }
    if now.policy.is_empty() {
        return wrong(
            format!("there is no policy with the key of {new} in place of that of {old}"),
            "the name and the key of a voter are its own: register the new node with a new cosigner key",
        );
    }
    Ok(())
}

/// The fingerprint of the policy that a record says follows, where it is the approval of a replacement.
///
/// # Errors
/// What does not fit.
pub fn next_policy(record: &[u8]) -> Result<[u8; 32], String> {
    let record = Record::from_bytes(record).map_err(|error| error.to_string())?;
    if record.act != Act::VoterApprove || record.refused.is_some() {
        return Err("the record is not of a voter that was replaced".to_owned());
    }
    let digest = record.bytes(Fact::Policy).and_then(|bytes| bytes.try_into().ok());
    digest.ok_or_else(|| "the record does not name a policy".to_owned())
}

pub(crate) fn propose(decision: &mut Decision<'_>, command: &ProposeVoter) -> Result<Answer, Stop> {
    let by = decision.authorize(Act::VoterPropose)?;
    whole_agency(&by)?;
    check_given("the reason", &command.reason, "C3")?;
    if let Some(row) = waiting(decision.rows)? {
        return Err(Refusal::new(
            Reason::AlreadyExists,
            "C3",
            format!("the replacement of {} by {} waits (record {})", row.old, row.new, row.seq),
            format!("approve it, or withdraw it first: `strongroom cluster voter withdraw {}`", row.seq.0),
        )
        .into());
    }
    refuse_impossible(command.old, command.new, &command.now)?;
    let row = VoterChangeRow {
        seq: decision.next_seq(),
        old: command.old,
        new: command.new,
        reason: command.reason.clone(),
        proposed_by: by.id,
        proposed_at: decision.wall,
        end: None,
    };
    VOTER_CHANGES.write(decision.rows, &newest_first(row.seq.0), &row);
    let mut facts = facts(&row, &command.now);
    facts.insert(Fact::ReasonGiven, row.reason.as_str().into());
    Ok(Answer::Recorded(decision.record(Act::VoterPropose, "C3", Vec::new(), facts)))
}

pub(crate) fn approve(decision: &mut Decision<'_>, command: &ApproveVoter) -> Result<Answer, Stop> {
    let (by, row) = deciding(decision, Act::VoterApprove, command.change)?;
    different_person(&by.id, &row.proposed_by, "one person proposes to replace a voter, another approves it")?;
    refuse_impossible(row.old, row.new, &command.now)?;
    let mut facts = facts(&row, &command.now);
    facts.insert(Fact::Proposal, row.seq.0.into());
    facts.insert(Fact::Policy, command.now.policy_digest.as_slice().into());
    facts.insert(Fact::PolicyText, command.now.policy.as_str().into());
    Ok(end(decision, by, row, Act::VoterApprove, None, facts))
}

pub(crate) fn withdraw(decision: &mut Decision<'_>, command: &WithdrawVoter) -> Result<Answer, Stop> {
    let (by, row) = deciding(decision, Act::VoterWithdraw, command.change)?;
    check_given("the reason", &command.reason, "C3")?;
    let facts = BTreeMap::from([
        (Fact::Node, Value::from(format!("{} {}", row.old, row.new))),
        (Fact::Proposal, row.seq.0.into()),
        (Fact::ReasonGiven, command.reason.as_str().into()),
    ]);
    Ok(end(decision, by, row, Act::VoterWithdraw, Some(command.reason.clone()), facts))
}

fn deciding(decision: &Decision<'_>, act: Act, seq: RecordSeq) -> Result<(PrincipalRow, VoterChangeRow), Stop> {
    let by = decision.authorize(act)?;
    whole_agency(&by)?;
    let row = read(&*decision.rows, seq)?;
    if row.end.is_some() {
        let message = format!("the replacement of {} by {} was approved or withdrawn", row.old, row.new);
        return Err(Refusal::new(Reason::WrongState, "C3", message, "propose it again where it is needed").into());
    }
    Ok((by, row))
}

fn end(
    decision: &mut Decision<'_>,
    by: PrincipalRow,
    row: VoterChangeRow,
    act: Act,
    withdrawn: Option<String>,
    facts: BTreeMap<Fact, Value>,
) -> Answer {
    let seq = decision.record(act, "C3", Vec::new(), facts);
    let end = Some(VoterChangeEnd { by: by.id, at: decision.wall, seq, withdrawn });
    VOTER_CHANGES.write(decision.rows, &newest_first(row.seq.0), &VoterChangeRow { end, ..row });
    Answer::Recorded(seq)
}

/// The voters before and after, so that the record reads by itself.
fn facts(row: &VoterChangeRow, now: &VotersNow) -> BTreeMap<Fact, Value> {
    let names = |voters: &mut dyn Iterator<Item = NodeId>| {
        let mut voters: Vec<_> = voters.collect();
        voters.sort_unstable();
        voters.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let after = |voter: &NodeId| if *voter == row.old { row.new } else { *voter };
    BTreeMap::from([
        (Fact::Node, format!("{} {}", row.old, row.new).into()),
        (Fact::Before, names(&mut now.voters.iter().copied()).into()),
        (Fact::After, names(&mut now.voters.iter().map(after)).into()),
    ])
}
