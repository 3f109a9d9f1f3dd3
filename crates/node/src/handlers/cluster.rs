//! The machines, as this node sees them.

use std::sync::Arc;

use bytes::Bytes;
use strongroom_custody::{
    self as custody, Act,
    access::{self, Stop},
    clock,
    command::AdvanceClock,
    outage::OutageRow,
    tables::{CLUSTER, COUNTERS, OUTAGE_CORRECTION, OUTAGES, VOTER_CHANGES},
    voters::{self, ApproveVoter, ProposeVoter, VoterChangeRow, VotersNow, WithdrawVoter},
};
use strongroom_engine::{
    machine::{self, CHECKPOINT},
    policies,
};
use strongroom_ledger::{Policy, tree};
use strongroom_metastore::MetastoreMetrics;
use strongroom_proto::cluster::{
    AdvanceClockRequest, AdvanceClockResponse, ApproveVoterRequest, ApproveVoterResponse, BadShard, DiskStatus,
    ListVoterChangesRequest, ListVoterChangesResponse, NodeStatus, Outage, PlanVoterRequest, PlanVoterResponse,
    ProposeVoterRequest, ProposeVoterResponse, ShowClockRequest, ShowClockResponse, ShowStatusRequest,
    ShowStatusResponse, VolumeStatus, VoterChange, WithdrawVoterRequest, WithdrawVoterResponse,
    cluster_service_server::ClusterService,
};
use strongroom_topology::{NodeRow, NodeState, RepairRow, VolumeRow, faults, read};
use strongroom_types::{
    NodeId, RecordSeq, Refusal, VolumeId, limits,
    rows::{RowError, Rows},
};
use tonic::{Request, Response, Status};

use super::change::{change, commit};
use crate::{
    edge::{Edge, Look, Reading, answer, bound},
    node::Node,
};

/// Volumes and bad shards in one answer.
const SHOWN_MAX: usize = 100;

pub(super) struct Cluster {
    pub(super) edge: Edge,
    pub(super) node: Arc<Node>,
}

change!(ApproveVoterRequest, "ApproveVoter", asked => custody::Command::ApproveVoter(Box::new(ApproveVoter {
    change: RecordSeq(asked.proposal_record_seq),
    now: VotersNow::default(),
})));
change!(WithdrawVoterRequest, "WithdrawVoter", asked => custody::Command::WithdrawVoter(WithdrawVoter {
    change: RecordSeq(asked.proposal_record_seq),
    reason: asked.reason,
}));
change!(ProposeVoterRequest, "ProposeVoter", asked => custody::Command::ProposeVoter(Box::new(ProposeVoter {
    old: NodeId(asked.old_node_id),
    new: NodeId(asked.new_node_id),
    reason: asked.reason,
    now: VotersNow::default(),
})));

#[tonic::async_trait]
impl ClusterService for Cluster {
    async fn plan_voter(&self, request: Request<PlanVoterRequest>) -> Result<Response<PlanVoterResponse>, Status> {
        let caller = self.edge.caller(&request).await?;
        let asked = request.get_ref();
        let (old, new) = (NodeId(asked.old_node_id), NodeId(asked.new_node_id));
        let look = |look: &Look<'_>| planned_voter(&**look.rows, old, new);
        let (mut planned, mut refusal) = self.edge.look(&caller, Reading::of(Act::ClusterStatus), look).await?;
        if refusal.is_none() {
            refusal = self.node.catalog.could_vote(new).await.err();
        }
        if let Some(refusal) = refusal {
            planned.reason = refusal.reason.name().to_owned();
            (planned.rule, planned.message, planned.remedy) = (refusal.rule, refusal.message, refusal.remedy);
        }
        Ok(Response::new(planned))
    }

    async fn propose_voter(
        &self,
        request: Request<ProposeVoterRequest>,
    ) -> Result<Response<ProposeVoterResponse>, Status> {
        Ok(Response::new(ProposeVoterResponse { record_seq: commit(&self.edge, request).await? }))
    }

    async fn approve_voter(
        &self,
        request: Request<ApproveVoterRequest>,
    ) -> Result<Response<ApproveVoterResponse>, Status> {
        // Whoever may not approve is told so by the rules; whoever may, where the new voter could not vote.
        let caller = self.edge.caller(&request).await?;
        let seq = RecordSeq(request.get_ref().proposal_record_seq);
        let new = {
            let rows = self.edge.rows().await?;
            let may = access::authorize(&*rows, &caller.key, Act::VoterApprove).is_ok();
            voters::read(&*rows, seq).ok().filter(|row| may && row.end.is_none()).map(|row| row.new)
        };
        if let Some(new) = new {
            self.node.catalog.could_vote(new).await.map_err(|refusal| answer(&refusal))?;
        }
        Ok(Response::new(ApproveVoterResponse { record_seq: commit(&self.edge, request).await? }))
    }

    async fn withdraw_voter(
        &self,
        request: Request<WithdrawVoterRequest>,
    ) -> Result<Response<WithdrawVoterResponse>, Status> {
        Ok(Response::new(WithdrawVoterResponse { record_seq: commit(&self.edge, request).await? }))
    }

    async fn list_voter_changes(
        &self,
        request: Request<ListVoterChangesRequest>,
    ) -> Result<Response<ListVoterChangesResponse>, Status> {
        let caller = self.edge.caller(&request).await?;
        let changes =
            self.edge.look(&caller, Reading::of(Act::ClusterStatus), |look| Ok(voter_changes(&**look.rows)?)).await?;
        Ok(Response::new(ListVoterChangesResponse { changes }))
    }

    async fn show_status(&self, request: Request<ShowStatusRequest>) -> Result<Response<ShowStatusResponse>, Status> {
        let caller = self.edge.caller(&request).await?;
        let status = self.edge.look(&caller, Reading::of(Act::ClusterStatus), |look| self.status(&**look.rows)).await?;
        Ok(Response::new(status))
    }

    async fn show_clock(&self, request: Request<ShowClockRequest>) -> Result<Response<ShowClockResponse>, Status> {
        let caller = self.edge.caller(&request).await?;
        let shown = self.edge.look(&caller, Reading::of(Act::ClockShow), |look| shown_clock(&**look.rows)).await?;
        Ok(Response::new(shown))
    }

    async fn advance_clock(
        &self,
        request: Request<AdvanceClockRequest>,
    ) -> Result<Response<AdvanceClockResponse>, Status> {
        let caller = self.edge.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("AdvanceClock", asked)?;
        let command = AdvanceClock { by_ms: asked.advance_ms, reason: asked.reason };
        let command = strongroom_custody::Command::AdvanceClock(command);
        let record_seq = self.edge.record(&caller, command, idempotency).await?;
        Ok(Response::new(AdvanceClockResponse { record_seq }))
    }
}

impl Cluster {
    fn status(&self, rows: &dyn Rows) -> Result<ShowStatusResponse, Stop> {
        let raft = self.node.metastore.metrics();
        let cluster = CLUSTER.read(rows, &())?.ok_or_else(|| Refusal::not_found("cluster"))?;
        let clock = clock::read(rows)?;
        let counters = COUNTERS.read(rows, &())?.unwrap_or_default();
        let nodes = read::nodes(rows)?;
        let shown = nodes.iter().filter(|node| node.state != NodeState::Removed);
        Ok(ShowStatusResponse {
            cluster_id: Bytes::copy_from_slice(cluster.cluster.as_bytes()),
            nodes: shown.map(|node| self.node_status(rows, node, &raft)).collect::<Result<_, _>>()?,
            volumes: newest_volumes(rows)?.iter().map(volume_status).collect(),
            leader: raft.leader.map_or_else(String::new, |leader| leader.to_string()),
            term: raft.term,
            clock_unix_ms: clock.t.0,
            wall_unix_ms: clock.wall.0,
            ledger_size: tree::size(rows)?,
            checkpoint_size: CHECKPOINT.read(rows, &())?.map_or(0, |row| row.size),
            items: counters.items,
            uploads: counters.uploads,
            bad_shards: faults::queue(rows, SHOWN_MAX)?.iter().map(bad_shard).collect(),
            trial: cluster.trial,
            repair_queue: faults::queued(rows)?,
        })
    }

    fn node_status(&self, rows: &dyn Rows, row: &NodeRow, raft: &MetastoreMetrics) -> Result<NodeStatus, RowError> {
        let answer = self.node.beats.fresh(row.id, self.node.boottime_ms());
        let disks = answer.iter().flat_map(|answer| &answer.disks).map(|disk| DiskStatus {
            disk_id: disk.disk_id.clone(),
            state: disk.state.clone(),
            used_bytes: disk.used_bytes,
            total_bytes: disk.total_bytes,
            shards: disk.shards,
        });
        Ok(NodeStatus {
            name: row.id.to_string(),
            district: row.district.to_string(),
            state: node_state(row.state, answer.is_some()).to_owned(),
            raft_role: raft_role(row.id, raft).to_owned(),
            address: row.client_address.clone(),
            disks: disks.collect(),
            applied_index: answer.as_ref().map_or(0, |answer| answer.applied_index),
            version: answer.map_or_else(String::new, |answer| answer.version),
            bad_shards: faults::bad_on_node(rows, row.id)?,
        })
    }
}

/// What a replacement would come to, and what the rules say to it.
fn planned_voter(rows: &dyn Rows, old: NodeId, new: NodeId) -> Result<(PlanVoterResponse, Option<Refusal>), Stop> {
    let now = machine::voters_now(rows, old, new)?;
    let after = |voter: &NodeId| if *voter == old { new } else { *voter };
    let mut voters_after: Vec<_> = now.voters.iter().map(|voter| after(voter).0).collect();
    voters_after.sort_unstable();
    let before = policies::current(rows)?.ok_or_else(|| Refusal::not_found("cluster"))?;
    let before = Policy::parse_canonical(&before).map_err(|error| Refusal::invalid(error.to_string()))?;
    let planned = PlanVoterResponse {
        voters_before: now.voters.iter().map(|voter| voter.0).collect(),
        voters_after,
        policy_before: Bytes::copy_from_slice(before.fingerprint().as_bytes()),
        policy_after: if now.policy.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(&now.policy_digest) },
        ..PlanVoterResponse::default()
    };
    Ok((planned, voters::refuse_impossible(old, new, &now).err()))
}

fn voter_changes(rows: &dyn Rows) -> Result<Vec<VoterChange>, RowError> {
    let unsettled = policies::unsettled(rows)?.map(|change| change.seq);
    let page = VOTER_CHANGES.scan(rows, &(), None, SHOWN_MAX)?;
    Ok(page.iter().map(|(_, row)| voter_change(row, unsettled)).collect())
}

fn voter_change(row: &VoterChangeRow, unsettled: Option<RecordSeq>) -> VoterChange {
    let state = match &row.end {
        None => "waits",
        Some(end) if end.withdrawn.is_some() => "withdrawn",
        Some(end) if unsettled == Some(end.seq) => "approved",
        Some(_) => "settled",
    };
    VoterChange {
        record_seq: row.seq.0,
        old_node_id: row.old.0,
        new_node_id: row.new.0,
        reason: row.reason.clone(),
        proposed_by: row.proposed_by.to_string(),
        proposed_at_unix_ms: row.proposed_at.0,
        state: state.to_owned(),
        ended_by: row.end.as_ref().map_or_else(String::new, |end| end.by.to_string()),
        ended_record_seq: row.end.as_ref().map(|end| end.seq.0),
    }
}

fn shown_clock(rows: &dyn Rows) -> Result<ShowClockResponse, Stop> {
    let cluster = CLUSTER.read(rows, &())?.ok_or_else(|| Refusal::not_found("cluster"))?;
    let clock = clock::read(rows)?;
    let outages = OUTAGES.scan(rows, &(), None, SHOWN_MAX)?;
    Ok(ShowClockResponse {
        clock_unix_ms: clock.t.0,
        wall_unix_ms: clock.wall.0,
        outages_ms: clock.outages_ms,
        corrected_ms: clock.corrected_ms,
        trial_ms: clock.trial_ms,
        outages: outages.iter().map(|(_, row)| shown_outage(row)).collect(),
        waiting_correction_id: OUTAGE_CORRECTION.read(rows, &())?.map_or_else(String::new, |id| id.to_string()),
        trusted: clock::trusted(&clock).is_ok(),
        trial: cluster.trial,
    })
}

fn shown_outage(row: &OutageRow) -> Outage {
    Outage {
        record_seq: row.seq.0,
        length_ms: row.length_ms,
        clock_unix_ms: row.t.0,
        wall_unix_ms: row.wall.0,
        right_ms: row.right_ms,
        correction_id: row.corrected.map_or_else(String::new, |id| id.to_string()),
    }
}

/// Whether a node answers comes before where it is in its life: somebody must look at a node that does not.
const fn node_state(state: NodeState, answers: bool) -> &'static str {
    match (state, answers) {
        (NodeState::Removed, _) => "removed",
        (NodeState::InService | NodeState::Draining | NodeState::Drained, false) => "unreachable",
        (NodeState::InService, true) => "healthy",
        (NodeState::Draining, true) => "draining",
        (NodeState::Drained, true) => "drained",
    }
}

fn raft_role(node: NodeId, raft: &MetastoreMetrics) -> &'static str {
    if raft.leader == Some(node) {
        "leader"
    } else if raft.members.voters.contains(&node) {
        "voter"
    } else {
        "learner"
    }
}

/// The newest volumes, newest first. Ids are counted from 1 without gaps.
fn newest_volumes(rows: &dyn Rows) -> Result<Vec<VolumeRow>, Stop> {
    let mut newest: Vec<VolumeRow> = Vec::new();
    let mut after: Option<VolumeId> = None;
    loop {
        let page = read::volumes(rows, after, limits::PAGE_ROWS_MAX)?;
        let last_page = page.len() < limits::PAGE_ROWS_MAX;
        after = page.last().map(|volume| volume.id);
        newest.extend(page);
        newest.drain(..newest.len().saturating_sub(SHOWN_MAX));
        if last_page {
            newest.reverse();
            return Ok(newest);
        }
    }
}

fn volume_status(volume: &VolumeRow) -> VolumeStatus {
    VolumeStatus {
        volume_id: volume.id.to_string(),
        scheme: volume.scheme.to_string(),
        state: if volume.is_open() { "open" } else { "closed" }.to_owned(),
        nodes: volume.slots.iter().map(|slot| slot.node.to_string()).collect(),
        user_bytes: volume.user_bytes,
    }
}

fn bad_shard(bad: &RepairRow) -> BadShard {
    BadShard {
        item_id: Bytes::copy_from_slice(bad.item.as_bytes()),
        chunk_index: bad.chunk.0,
        volume_id: bad.volume.to_string(),
        slot: u32::from(bad.slot.0),
        node: bad.node.to_string(),
        fault: bad.kind.name().to_owned(),
        disk_id: Bytes::copy_from_slice(bad.disk.as_bytes()),
        found_by: bad.reporter.to_string(),
        first_seen_unix_ms: bad.first_seen.0,
    }
}
