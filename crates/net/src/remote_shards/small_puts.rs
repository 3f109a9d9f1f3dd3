//! Small shards on their way to one node: what comes while a call is under way goes in the next call, together.
//!
//! A call costs either end far more than a small shard does, and the store at the other end syncs once for all shards
//! that come together. Nothing is held back to wait for company: a shard that finds no call under way goes at once.
//! Each is answered for itself; a call that fails fails those that were in it. Whoever stopped waiting before its
//! shard was sent is left out.

use std::time::Duration;

use strongroom_proto::peer::{PutShardsRequest, shard_service_client::ShardServiceClient};
use strongroom_shardstore::{PutError, PutShard};
use strongroom_types::limits;
use tokio::sync::{mpsc, oneshot};
use tonic::transport::Channel;

use super::{answer_within, put_error_from_status, put_request, put_result};

/// Small shards that wait for one node; more wait outside.
const QUEUE: usize = 4 * limits::PUT_SHARDS_MAX;

/// The way in.
#[derive(Clone, Debug)]
pub(super) struct SmallPuts {
    queue: mpsc::Sender<Waiting>,
    deadline: Duration,
}

#[derive(Debug)]
struct Waiting {
    shard: PutShard,
    answer: oneshot::Sender<Result<(), PutError>>,
}

impl SmallPuts {
    /// Starts the sending task; it ends with the last clone of this.
    pub(super) fn start(client: ShardServiceClient<Channel>, deadline: Duration) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(send_in_turn(client, deadline, waiting));
        Self { queue, deadline }
    }

    /// Durable when `Ok`. What is not answered by the deadline, time in the queue included, counts as unreachable.
    pub(super) async fn put(&self, shard: PutShard) -> Result<(), PutError> {
        let unavailable = |why: String| Err(PutError::Unavailable { why });
        let (answer, answered) = oneshot::channel();
        let done = async {
            if self.queue.send(Waiting { shard, answer }).await.is_err() {
                return None;
            }
            answered.await.ok()
        };
        match tokio::time::timeout(self.deadline, done).await {
            Ok(Some(result)) => result,
            Ok(None) => unavailable("this node is shutting down".to_owned()),
            Err(_) => unavailable(format!("no answer within {:?}", self.deadline)),
        }
    }
}

async fn send_in_turn(client: ShardServiceClient<Channel>, deadline: Duration, mut waiting: mpsc::Receiver<Waiting>) {
    let mut group = Vec::new();
    while waiting.recv_many(&mut group, limits::PUT_SHARDS_MAX).await > 0 {
        group.retain(|waiting| !waiting.answer.is_closed());
        if !group.is_empty() {
            send(client.clone(), deadline, std::mem::take(&mut group)).await;
        }
    }
}

async fn send(mut client: ShardServiceClient<Channel>, deadline: Duration, group: Vec<Waiting>) {
    let shards = group.iter().map(|waiting| put_request(waiting.shard.clone())).collect();
    let request = PutShardsRequest { shards };
    let answer = answer_within(deadline, request, |request| async move { client.put_shards(request).await }).await;
    let mut outcomes = match &answer {
        Ok(answer) => answer.outcomes.iter(),
        Err(_) => [].iter(),
    };
    for Waiting { shard, answer: told } in group {
        let result = match (&answer, outcomes.next()) {
            (Err(status), _) => Err(put_error_from_status(shard.disk, shard.address, status)),
            (Ok(_), Some(outcome)) => put_result(shard.disk, shard.address, outcome.clone()),
            (Ok(_), None) => Err(PutError::Unavailable { why: "the node did not answer for every shard".to_owned() }),
        };
        // Whoever stopped waiting does not want to know.
        let _ = told.send(result);
    }
}
