//! Linearizable reads by read index: ask the leader how far a read must be, then wait until this node is there.
//!
//! Everybody who asks while a round is under way shares the next one: a round that begins after a question was put
//! answers it.

use std::{sync::Arc, time::Duration};

use strongroom_types::{ErrorKind, limits};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::core::{AttemptError, Core, Leader};

/// Why a read could not be ordered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No leader could confirm that it leads.
    #[error("no leader answered within {} ms: {detail}", waited.as_millis())]
    NoLeader {
        /// How long it was tried.
        waited: Duration,
        /// What the last attempt came to.
        detail: String,
    },
    /// This node did not catch up in time.
    #[error("this node stands at entry {applied} and did not reach {wanted} in time")]
    Behind {
        /// Where it stands.
        applied: u64,
        /// Where the read must be.
        wanted: u64,
    },
    /// Too many reads are waiting.
    #[error("too many reads are waiting")]
    Overloaded,
    /// This node's Raft has stopped.
    #[error("this node has stopped: {detail}")]
    Stopped {
        /// Why.
        detail: String,
    },
}

impl ReadError {
    /// What the caller should do.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NoLeader { .. } | Self::Behind { .. } | Self::Overloaded => ErrorKind::TryAgain,
            Self::Stopped { .. } => ErrorKind::WeAreBroken,
        }
    }
}

/// One attempt waits this long: a question may be asked again, so a peer that hangs is not waited for.
const ATTEMPT: Duration = Duration::from_secs(2);

type Question = oneshot::Sender<Result<u64, ReadError>>;

/// Whom a round asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Whoever leads.
    Leader,
    /// This node, once: for the questions of others, which are never asked on.
    Here,
}

/// The way in for reads.
pub(crate) struct Reader {
    queue: mpsc::Sender<Question>,
}

impl Reader {
    /// Starts the asking task; it ends with this handle.
    pub(crate) fn start(core: Arc<Core>, whom: Ask) -> Self {
        let (queue, questions) = mpsc::channel(limits::PROPOSER_QUEUE);
        tokio::spawn(ask_in_rounds(core, whom, questions));
        Self { queue }
    }

    pub(crate) async fn read_index(&self) -> Result<u64, ReadError> {
        let (question, answer) = oneshot::channel();
        self.queue.try_send(question).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ReadError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

async fn ask_in_rounds(core: Arc<Core>, whom: Ask, mut questions: mpsc::Receiver<Question>) {
    while let Some(first) = questions.recv().await {
        let mut round = vec![first];
        while let Ok(another) = questions.try_recv() {
            round.push(another);
        }
        let answer = match whom {
            Ask::Leader => ask(&core).await,
            Ask::Here => ask_here(&core).await,
        };
        for question in round {
            // Whoever stopped waiting is not missed.
            let _ = question.send(answer.clone());
        }
    }
}

async fn ask(core: &Core) -> Result<u64, ReadError> {
    let started = Instant::now();
    let deadline = started + core.leader_patience;
    loop {
        let attempt = match core.leader() {
            Leader::Here => core.read_index_here().await,
            Leader::There(node, address) => {
                core.read_index_there(node, &address, deadline.min(Instant::now() + ATTEMPT)).await
            }
            Leader::Nobody(why) => Err(AttemptError::NotTaken(why.to_owned())),
        };
        let detail = match attempt {
            Ok(index) => return Ok(index),
            Err(AttemptError::Stopped(detail)) => return Err(ReadError::Stopped { detail }),
            Err(AttemptError::NotTaken(detail) | AttemptError::Unknown(detail)) => detail,
        };
        if Instant::now() >= deadline {
            return Err(ReadError::NoLeader { waited: started.elapsed(), detail });
        }
        core.wait_for_news(deadline).await;
    }
}

async fn ask_here(core: &Core) -> Result<u64, ReadError> {
    let no_leader = |detail| ReadError::NoLeader { waited: Duration::ZERO, detail };
    match tokio::time::timeout(core.leader_patience, core.read_index_here()).await {
        Ok(Ok(index)) => Ok(index),
        Ok(Err(AttemptError::Stopped(detail))) => Err(ReadError::Stopped { detail }),
        Ok(Err(AttemptError::NotTaken(detail) | AttemptError::Unknown(detail))) => Err(no_leader(detail)),
        Err(_) => Err(no_leader("a majority did not confirm in time".to_owned())),
    }
}

fn stopped() -> ReadError {
    ReadError::Stopped { detail: "the node is shutting down".to_owned() }
}
