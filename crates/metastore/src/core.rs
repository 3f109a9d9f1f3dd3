//! One node's Raft with what belongs to it, and the two questions that others put to the leader.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use openraft::error::{CheckIsLeaderError, ClientWriteError, RaftError};
use strongroom_proto::{
    peer::{ProposeRequest, ReadIndexRequest},
    status,
};
use strongroom_types::{NodeId, Reason};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout_at},
};
use tonic::{Code, Request, Status};

use crate::{
    encoding::{self, OpaquesRow},
    guard::Guard,
    log_store::LogStore,
    network::{self, PeerChannels},
    raft::{Batch, LoggedMark, Opaque, PeerNode, Raft, TypeConfig},
    state_machine::StateMachine,
};

/// A round of asking the leader waits this long for news before it asks again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Whoever waits for a majority looks this often whether it is still there.
const LOOK_AROUND_AFTER: Duration = Duration::from_millis(250);

/// What the tasks of one node share.
pub(crate) struct Core {
    pub(crate) node: NodeId,
    pub(crate) raft: Raft,
    pub(crate) state: StateMachine,
    pub(crate) log: LogStore,
    pub(crate) guard: Arc<Guard>,
    pub(crate) channels: Arc<dyn PeerChannels>,
    pub(crate) propose_timeout: Duration,
    pub(crate) leader_patience: Duration,
    /// A leader that no majority has answered for this long takes nothing more: the others may have elected another.
    pub(crate) lease: Duration,
    pub(crate) stopping: AtomicBool,
}

/// A committed entry and what its commands came to.
pub(crate) struct Done {
    pub(crate) log_index: u64,
    pub(crate) outcomes: Vec<Opaque>,
}

/// Why an attempt to place a batch, or to learn a read index, gave nothing.
#[derive(Debug)]
pub(crate) enum AttemptError {
    /// Nothing was proposed: it may be tried again.
    NotTaken(String),
    /// It may have been proposed, and may still be committed.
    Unknown(String),
    /// This node's Raft has stopped, and nothing was proposed.
    Stopped(String),
}

/// A batch that openraft was given.
pub(crate) struct Pending {
    mark: LoggedMark,
    answer: oneshot::Receiver<openraft::raft::ClientWriteResult<TypeConfig>>,
}

/// Who leads, as far as this node knows.
pub(crate) enum Leader {
    /// This node.
    Here,
    /// Another, and where.
    There(NodeId, String),
    /// Nobody that is known, and what is known instead.
    Nobody(&'static str),
}

impl Core {
    pub(crate) fn leader(&self) -> Leader {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow();
        match metrics.current_leader {
            Some(leader) if leader == self.node.0 => {
                // A leader that has lost its vote gives up its place; see `Metastore::change_voters`.
                let votes = metrics.membership_config.voter_ids().any(|voter| voter == leader);
                if !votes {
                    Leader::Nobody("the leader has lost its vote")
                } else if self.since_majority() > self.lease {
                    Leader::Nobody("no majority answers the leader of the last term")
                } else {
                    Leader::Here
                }
            }
            Some(leader) => match metrics.membership_config.membership().get_node(&leader) {
                Some(PeerNode { address }) => Leader::There(NodeId(leader), address.clone()),
                None => Leader::Nobody("the leader is not a member"),
            },
            None => Leader::Nobody("there is no leader"),
        }
    }

    /// How long ago a majority last answered this node, which leads. Raft says so at least with each heartbeat.
    fn since_majority(&self) -> Duration {
        let metrics = self.raft.data_metrics();
        let since = metrics.borrow().millis_since_quorum_ack;
        since.map_or(Duration::ZERO, Duration::from_millis)
    }

    /// Ends when no majority has answered this node, which leads, for as long as patience lasts.
    async fn deserted(&self) {
        while self.since_majority() < self.leader_patience {
            sleep(LOOK_AROUND_AFTER).await;
        }
    }

    /// Waits until the leader may be another one, but not for long.
    pub(crate) async fn wait_for_news(&self, deadline: Instant) {
        let mut metrics = self.raft.server_metrics();
        metrics.borrow_and_update();
        let until = deadline.min(Instant::now() + ASK_AGAIN_AFTER);
        // Either way it is time to look again.
        let _ = timeout_at(until, metrics.changed()).await;
    }

    /// Hands a batch to this node's Raft. Batches are appended in the order in which this is called.
    pub(crate) async fn begin(&self, commands: Vec<Opaque>) -> Result<Pending, AttemptError> {
        if !matches!(self.leader(), Leader::Here) {
            return Err(AttemptError::NotTaken("this node does not lead".to_owned()));
        }
        let batch = Batch::new(commands);
        let mark = batch.logged.clone();
        let answer = self.raft.client_write_ff(batch).await;
        answer.map(|answer| Pending { mark, answer }).map_err(|fatal| AttemptError::Stopped(fatal.to_string()))
    }

    /// Waits for a batch to be applied.
    pub(crate) async fn finish(&self, pending: Pending, deadline: Instant) -> Result<Done, AttemptError> {
        let Pending { mark, answer } = pending;
        let unless_logged = |otherwise: fn(String) -> AttemptError, detail: String| {
            if mark.is_raised() { AttemptError::Unknown(detail) } else { otherwise(detail) }
        };
        let answer = tokio::select! {
            answer = timeout_at(deadline, answer) => answer,
            () = self.deserted() => return Err(AttemptError::Unknown("no majority answers the leader".to_owned())),
        };
        match answer {
            Ok(Ok(Ok(written))) => Ok(Done { log_index: written.log_id.index, outcomes: written.data.0 }),
            Ok(Ok(Err(error @ ClientWriteError::ForwardToLeader(_)))) => {
                Err(unless_logged(AttemptError::NotTaken, error.to_string()))
            }
            Ok(Ok(Err(error @ ClientWriteError::ChangeMembershipError(_)))) => {
                Err(unless_logged(AttemptError::Stopped, error.to_string()))
            }
            Ok(Err(_)) => Err(unless_logged(AttemptError::Stopped, "raft has stopped".to_owned())),
            Err(_) => Err(AttemptError::Unknown("it was not committed in time".to_owned())),
        }
    }

    /// Sends a batch to the leader and waits for its outcomes.
    pub(crate) async fn forward(
        &self,
        leader: NodeId,
        address: &str,
        commands: Vec<Opaque>,
        deadline: Instant,
    ) -> Result<Done, AttemptError> {
        let mut client = network::client(&*self.channels, leader, address)
            .map_err(|error| AttemptError::NotTaken(error.to_string()))?;
        let count = commands.len();
        let batch_cbor = Bytes::from(encoding::to_bytes(&OpaquesRow { items: commands }));
        let mut request = Request::new(ProposeRequest { batch_cbor });
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        let answer = match timeout_at(deadline, client.propose(request)).await {
            Err(_) => return Err(AttemptError::Unknown(format!("{leader} did not answer in time"))),
            Ok(Err(status)) if was_not_taken(&status) => {
                return Err(AttemptError::NotTaken(status.message().to_owned()));
            }
            Ok(Err(status)) => return Err(AttemptError::Unknown(format!("{leader}: {}", status.message()))),
            Ok(Ok(answer)) => answer.into_inner(),
        };
        let row = encoding::from_bytes::<OpaquesRow>("the outcomes of a batch", &answer.outcomes_cbor);
        let outcomes = row.map_err(|error| AttemptError::Unknown(error.to_string()))?.items;
        if outcomes.len() == count {
            Ok(Done { log_index: answer.log_index, outcomes })
        } else {
            Err(AttemptError::Unknown(format!("{leader} gave {} outcomes for {count} commands", outcomes.len())))
        }
    }

    /// The index that a read must wait for, if this node leads: a majority confirms that it does.
    pub(crate) async fn read_index_here(&self) -> Result<u64, AttemptError> {
        match self.raft.get_read_log_id().await {
            Ok((read, _)) => Ok(read.map_or(0, |id| id.index)),
            Err(RaftError::APIError(
                error @ (CheckIsLeaderError::ForwardToLeader(_) | CheckIsLeaderError::QuorumNotEnough(_)),
            )) => Err(AttemptError::NotTaken(error.to_string())),
            Err(RaftError::Fatal(fatal)) => Err(AttemptError::Stopped(fatal.to_string())),
        }
    }

    /// Asks the leader for the index that a read must wait for.
    pub(crate) async fn read_index_there(
        &self,
        leader: NodeId,
        address: &str,
        deadline: Instant,
    ) -> Result<u64, AttemptError> {
        // A question changes nothing: whatever goes wrong, it may be asked again.
        let mut client = network::client(&*self.channels, leader, address)
            .map_err(|error| AttemptError::NotTaken(error.to_string()))?;
        let mut request = Request::new(ReadIndexRequest {});
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        match timeout_at(deadline, client.read_index(request)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner().log_index),
            Ok(Err(status)) => Err(AttemptError::NotTaken(status.message().to_owned())),
            Err(_) => Err(AttemptError::NotTaken(format!("{leader} did not answer in time"))),
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// Whether a failed call certainly left no batch at the peer: it was never sent, or the peer says so itself.
fn was_not_taken(failure: &Status) -> bool {
    let refused_before_the_handler =
        matches!(failure.code(), Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented);
    let said_so = !failure.details().is_empty() && status::to_refusal(failure).reason == Reason::NoLeader;
    refused_before_the_handler || said_so || never_connected(failure)
}

fn never_connected(failure: &Status) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = failure.source();
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
