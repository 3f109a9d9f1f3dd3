//! By which policy checkpoints are judged, now and before: each replacement of a voter leads from one to the next.
//!
//! ```text
//!  policy 0 ── record of the replacement ── a checkpoint that policy 0 takes covers it ──▶ policy 1 ── …
//!              (counts for nothing yet)     (kept here: it proves the step for good)
//! ```
//! Until that checkpoint is published the voters before decide, so that whoever believes them can follow: a disk, a
//! receipt, an auditor. The cluster's own row keeps the first policy, which is the genesis file's.

use strongroom_custody::tables::CLUSTER;
use strongroom_ledger::{ConsistencyProof, Policy, PolicyFingerprint, VerifierKey, tree};
use strongroom_package::Evidence;
use strongroom_shardstore::VoterChangeProof;
use strongroom_topology::read;
use strongroom_types::{
    NodeId, RecordSeq, Refusal, limits,
    rows::{RowError, Rows, Table},
};

use crate::{catalog::broken, machine::CheckpointRow};

/// Steps from one policy to the next, by the record that decided.
pub(crate) const POLICY_CHANGES: Table<RecordSeq, PolicyChangeRow> = Table::new(173, "policy_changes");

/// A step from one policy to the next.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct PolicyChangeRow {
    /// The record of the replacement.
    #[n(0)]
    pub seq: RecordSeq,
    /// Text of the policy before.
    #[n(1)]
    pub before: String,
    /// Text of the policy after.
    #[n(2)]
    pub after: String,
    /// The first checkpoint that covers the record, taken by the policy before; none until it is published.
    #[n(3)]
    pub settled: Option<CheckpointRow>,
}

/// Every step, oldest first.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn changes(rows: &(impl Rows + ?Sized)) -> Result<Vec<PolicyChangeRow>, RowError> {
    Ok(POLICY_CHANGES.scan(rows, &(), None, limits::PAGE_ROWS_MAX)?.into_iter().map(|(_, row)| row).collect())
}

/// Text of the policy by which the next checkpoint is judged; none before there is a cluster.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn current(rows: &(impl Rows + ?Sized)) -> Result<Option<String>, RowError> {
    let settled = changes(rows)?.into_iter().rfind(|change| change.settled.is_some());
    match settled {
        Some(change) => Ok(Some(change.after)),
        None => Ok(CLUSTER.read(rows, &())?.map(|cluster| cluster.policy)),
    }
}

/// The step that no checkpoint of the voters before it covers yet.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn unsettled(rows: &(impl Rows + ?Sized)) -> Result<Option<PolicyChangeRow>, RowError> {
    Ok(changes(rows)?.into_iter().rfind(|change| change.settled.is_none()))
}

/// The policy with the key of `new` in place of that of `old`; none where there is none.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn with_voter(rows: &dyn Rows, old: NodeId, new: NodeId) -> Result<Option<Policy>, RowError> {
    let (Some(policy), Some(old), Some(new)) = (current(rows)?, cosigner_of(rows, old)?, cosigner_of(rows, new)?)
    else {
        return Ok(None);
    };
    Ok(parsed(&policy)?.with_voter(&old, new).ok())
}

/// The policy that a published checkpoint satisfied, and the steps to it from the first one.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn of_checkpoint(
    rows: &(impl Rows + ?Sized),
    size: u64,
) -> Result<(Vec<PolicyChangeRow>, Option<Policy>), RowError> {
    let mut steps = changes(rows)?;
    // The checkpoint that settles a step is the last one of the voters before it.
    steps.retain(|step| step.settled.as_ref().is_some_and(|settled| settled.size < size));
    let text = match steps.last() {
        Some(step) => Some(step.after.clone()),
        None => CLUSTER.read(rows, &())?.map(|cluster| cluster.policy),
    };
    Ok((steps, text.map(|text| parsed(&text)).transpose()?))
}

/// What proves a step under the policy before it.
///
/// # Errors
/// A fault of ours, or `NOT_FOUND` where the record was erased.
pub fn evidence_of(rows: &dyn Rows, step: &PolicyChangeRow, settled: &CheckpointRow) -> Result<Evidence, Refusal> {
    let policy = parsed(&step.before).map_err(|error| broken(&error))?;
    crate::receipt::evidence_under(rows, step.seq, settled.size, &settled.note, policy)
}

/// The steps to the policy of a checkpoint, proved, oldest first.
///
/// # Errors
/// As [`evidence_of`].
pub fn chain(rows: &dyn Rows, size: u64) -> Result<Vec<Evidence>, Refusal> {
    let (steps, _) = of_checkpoint(rows, size).map_err(|error| broken(&error))?;
    steps
        .iter()
        .filter_map(|step| Some((step, step.settled.as_ref()?)))
        .map(|(step, at)| evidence_of(rows, step, at))
        .collect()
}

/// What leads a disk that believes the policy `pinned`, and has verified `newest` records, to the next policy; nothing
/// where there is none after it.
///
/// # Errors
/// A fault of ours.
pub fn next_for_disk(
    rows: &dyn Rows,
    pinned: PolicyFingerprint,
    newest: u64,
) -> Result<Option<VoterChangeProof>, Refusal> {
    for step in changes(rows).map_err(|error| broken(&error))? {
        let Some(settled) = &step.settled else { continue };
        if parsed(&step.before).map_err(|error| broken(&error))?.fingerprint() != pinned {
            continue;
        }
        let Evidence { record, salt, leaf, proof, policy: _ } = evidence_of(rows, &step, settled)?;
        let consistency: ConsistencyProof =
            tree::consistency_proof(rows, newest, settled.size).map_err(|error| broken(&error))?;
        return Ok(Some(VoterChangeProof { record, salt, leaf, proof, next: step.after, consistency }));
    }
    Ok(None)
}

/// Nodes whose cosignatures the next checkpoint takes, and how many of them it needs: the voters of the policy, of whom one
/// may be about to lose its vote, or to get it.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn cosigners(rows: &dyn Rows) -> Result<(Vec<NodeId>, usize), RowError> {
    let Some(policy) = current(rows)? else { return Ok((Vec::new(), 0)) };
    let policy = parsed(&policy)?;
    let is_listed = |vkey: &str| vkey.parse().is_ok_and(|key: VerifierKey| policy.voters().contains(&key));
    let nodes = read::nodes(rows)?.into_iter().filter(|node| is_listed(&node.cosigner_vkey));
    Ok((nodes.map(|node| node.id).collect(), policy.majority()))
}

/// The key by which a node cosigns, where it is registered.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn cosigner_of(rows: &dyn Rows, node: NodeId) -> Result<Option<VerifierKey>, RowError> {
    Ok(read::node(rows, node)?.and_then(|row| row.cosigner_vkey.parse().ok()))
}

fn parsed(text: &str) -> Result<Policy, RowError> {
    Policy::parse_canonical(text)
        .map_err(|error| RowError::Corrupt { table: POLICY_CHANGES.name, detail: error.to_string() })
}
