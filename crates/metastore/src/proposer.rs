//! Proposals: many commands, few entries.
//!
//! In openraft 0.9 each entry costs an fsync of its own on every replica, so one task collects what is waiting into a
//! batch and keeps a few batches under way. Batches that other nodes send to the leader wait in the same queue and
//! share its entries; they are never sent on. It promises an answer to each command by its deadline, and that a command
//! whose fate is unknown is never proposed a second time: it answers [`ProposeError::Unknown`], and the caller asks again
//! under the same idempotency key. Only a batch that certainly reached nobody's log is tried elsewhere.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use strongroom_types::{ErrorKind, limits};
use tokio::{
    sync::{
        Semaphore,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::{Instant, timeout_at},
};

use crate::{
    core::{AttemptError, Core, Done, Leader, Pending},
    raft::Opaque,
};

/// Batches under way to a leader elsewhere at once. The leader itself has one entry under way at a time: what comes
/// meanwhile shares the next, and an entry costs every replica a sync, two calls and four changes of thread.
const BATCHES_IN_FLIGHT: u32 = 2;

/// A command that is committed and applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Index of its entry.
    pub log_index: u64,
    /// What it came to.
    pub outcome: Bytes,
}

/// Why there is no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// The command is larger than an entry.
    #[error("the command has {bytes} bytes, and {max} at most are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Too many commands were waiting for too long; this one was not proposed.
    #[error("too many commands are waiting")]
    Overloaded,
    /// No leader took the command in time; it was not proposed.
    #[error("no leader took the command within {} ms: {detail}", waited.as_millis())]
    NoLeader {
        /// How long it was tried.
        waited: Duration,
        /// What the last attempt came to.
        detail: String,
    },
    /// The command may have been committed, or may still be. Ask again under the same idempotency key.
    #[error("the fate of the command is unknown: {detail}")]
    Unknown {
        /// Where its trace was lost.
        detail: String,
    },
    /// This node's Raft has stopped; the command was not proposed.
    #[error("this node has stopped: {detail}")]
    Stopped {
        /// Why.
        detail: String,
    },
}

impl ProposeError {
    /// What the caller should do.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::FixYourRequest,
            Self::Overloaded | Self::NoLeader { .. } | Self::Unknown { .. } => ErrorKind::TryAgain,
            Self::Stopped { .. } => ErrorKind::WeAreBroken,
        }
    }
}

/// Commands that go into one entry together, and who waits for their outcomes.
struct Waiting {
    commands: Vec<Opaque>,
    deadline: Instant,
    origin: Origin,
    answer: oneshot::Sender<Result<Done, ProposeError>>,
}

/// Where commands come from, which decides where they may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// This node: to whoever leads.
    Own,
    /// Another node, which took this one for the leader: into this node's log or nowhere.
    Peer,
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.commands.iter().map(|command| command.0.len()).sum()
    }
}

/// The way in for commands.
pub(crate) struct Proposer {
    queue: mpsc::Sender<Waiting>,
    timeout: Duration,
}

impl Proposer {
    /// Starts the collecting task; it ends with this handle.
    pub(crate) fn start(core: Arc<Core>) -> Self {
        let (queue, waiting) = mpsc::channel(limits::PROPOSER_QUEUE);
        let timeout = core.propose_timeout;
        tokio::spawn(collect(core, waiting));
        Self { queue, timeout }
    }

    pub(crate) async fn propose(&self, command: Bytes) -> Result<Committed, ProposeError> {
        if command.len() > limits::BATCH_BYTES_MAX {
            return Err(ProposeError::TooLarge { bytes: command.len(), max: limits::BATCH_BYTES_MAX });
        }
        let done = self.enqueue(vec![Opaque(command)], Origin::Own).await?;
        match done.outcomes.into_iter().next() {
            Some(outcome) => Ok(Committed { log_index: done.log_index, outcome: outcome.0 }),
            None => Err(ProposeError::Unknown { detail: "an entry was applied without an outcome".to_owned() }),
        }
    }

    /// Places a batch that another node sent here; it is not sent on. Its size has been checked.
    pub(crate) async fn place_here(&self, commands: Vec<Opaque>) -> Result<Done, ProposeError> {
        self.enqueue(commands, Origin::Peer).await
    }

    async fn enqueue(&self, commands: Vec<Opaque>, origin: Origin) -> Result<Done, ProposeError> {
        let deadline = Instant::now() + self.timeout;
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting { commands, deadline, origin, answer };
        // Tried at once first: then commands enter the queue in the order in which they were first polled.
        match self.queue.try_send(waiting) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Err(stopped()),
            Err(TrySendError::Full(waiting)) => match timeout_at(deadline, self.queue.send(waiting)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(stopped()),
                Err(_) => return Err(ProposeError::Overloaded),
            },
        }
        // The collecting task answers by the deadline; if it is gone, the batch may or may not be.
        outcome.await.unwrap_or_else(|_| {
            Err(ProposeError::Unknown { detail: "the node stopped while the command was under way".to_owned() })
        })
    }
}

/// Takes what is waiting, as much as fits into an entry, whenever there is room for another batch.
async fn collect(core: Arc<Core>, mut waiting: mpsc::Receiver<Waiting>) {
    let in_flight = Arc::new(Semaphore::new(usize::try_from(BATCHES_IN_FLIGHT).expect("a few")));
    let mut held_over = None;
    let gap = Duration::from_millis(knob("X_ENTRY_GAP", 0));
    let mut next_entry = Instant::now();
    loop {
        let Ok(mut permit) = Arc::clone(&in_flight).acquire_owned().await else { return };
        let first = match held_over.take() {
            Some(first) => first,
            None => match waiting.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        if matches!(core.leader(), Leader::Here) {
            let Ok(others) = Arc::clone(&in_flight).acquire_many_owned(BATCHES_IN_FLIGHT - 1).await else { return };
            permit.merge(others);
            tokio::time::sleep_until(next_entry).await;
            next_entry = Instant::now() + gap;
        }
        let mut batch = fill(first, &mut waiting, &mut held_over);
        let leads = matches!(core.leader(), Leader::Here);
        if !leads {
            batch = without_peers(batch);
        }
        let Some(earliest) = batch.iter().map(|waiting| waiting.deadline).min() else { continue };
        // Given to Raft here and not in the spawned task, so that entries keep the order of the queue.
        let begun = if leads { Some(core.begin(commands_of(&batch)).await) } else { None };
        let core = Arc::clone(&core);
        tokio::spawn(async move {
            settle(&core, batch, begun, earliest).await;
            drop(permit);
        });
    }
}


fn knob(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
/// A batch that begins with `first`. What waited past its deadline is answered instead; what does not fit is held over.
fn fill(first: Waiting, waiting: &mut mpsc::Receiver<Waiting>, held_over: &mut Option<Waiting>) -> Vec<Waiting> {
    let now = Instant::now();
    let mut batch = Vec::new();
    let (mut commands, mut bytes) = (0, 0);
    let mut next = Some(first);
    while let Some(candidate) = next {
        let (more_commands, more_bytes) = (candidate.commands.len(), candidate.bytes());
        let fits =
            commands + more_commands <= limits::BATCH_COMMANDS_MAX && bytes + more_bytes <= limits::BATCH_BYTES_MAX;
        if candidate.deadline <= now {
            // Nobody may be listening any more, which is fine.
            let _ = candidate.answer.send(Err(ProposeError::Overloaded));
        } else if !batch.is_empty() && !fits {
            *held_over = Some(candidate);
            break;
        } else {
            commands += more_commands;
            bytes += more_bytes;
            batch.push(candidate);
        }
        next = if commands < limits::BATCH_COMMANDS_MAX { waiting.try_recv().ok() } else { None };
    }
    batch
}

/// Brings a batch to its end: what this node's Raft did not take goes to whoever leads, where it may.
async fn settle(core: &Core, mut batch: Vec<Waiting>, begun: Option<Result<Pending, AttemptError>>, deadline: Instant) {
    if let Some(begun) = begun {
        let attempt = match begun {
            Ok(pending) => core.finish(pending, deadline).await,
            Err(error) => Err(error),
        };
        match attempt {
            Ok(done) => return answer(batch, Ok(done)),
            Err(AttemptError::Unknown(detail)) => return answer(batch, Err(ProposeError::Unknown { detail })),
            Err(AttemptError::Stopped(detail)) => return answer(batch, Err(ProposeError::Stopped { detail })),
            Err(AttemptError::NotTaken(_)) => batch = without_peers(batch),
        }
    }
    if !batch.is_empty() {
        let placed = place(core, commands_of(&batch), deadline).await;
        answer(batch, placed);
    }
}

/// Gives batches of other nodes back to them: this node does not lead, and nothing of theirs was proposed.
fn without_peers(batch: Vec<Waiting>) -> Vec<Waiting> {
    let (peers, own) = batch.into_iter().partition(|waiting| waiting.origin == Origin::Peer);
    let detail = "this node does not lead".to_owned();
    answer(peers, Err(ProposeError::NoLeader { waited: Duration::ZERO, detail }));
    own
}

/// Finds a leader that takes the batch.
async fn place(core: &Core, commands: Vec<Opaque>, deadline: Instant) -> Result<Done, ProposeError> {
    let started = Instant::now();
    let patience = deadline.min(started + core.leader_patience);
    loop {
        let attempt = match core.leader() {
            Leader::Here => match core.begin(commands.clone()).await {
                Ok(pending) => core.finish(pending, deadline).await,
                Err(error) => Err(error),
            },
            Leader::There(node, address) => core.forward(node, &address, commands.clone(), deadline).await,
            Leader::Nobody(why) => Err(AttemptError::NotTaken(why.to_owned())),
        };
        let detail = match attempt {
            Ok(done) => return Ok(done),
            Err(AttemptError::Unknown(detail)) => return Err(ProposeError::Unknown { detail }),
            Err(AttemptError::Stopped(detail)) => return Err(ProposeError::Stopped { detail }),
            Err(AttemptError::NotTaken(detail)) => detail,
        };
        if Instant::now() >= patience {
            return Err(ProposeError::NoLeader { waited: started.elapsed(), detail });
        }
        core.wait_for_news(patience).await;
    }
}

fn answer(batch: Vec<Waiting>, placed: Result<Done, ProposeError>) {
    match placed {
        Ok(Done { log_index, outcomes }) => {
            let mut outcomes = outcomes.into_iter();
            for waiting in batch {
                let outcomes = outcomes.by_ref().take(waiting.commands.len()).collect();
                let _ = waiting.answer.send(Ok(Done { log_index, outcomes }));
            }
        }
        Err(error) => {
            for waiting in batch {
                let _ = waiting.answer.send(Err(error.clone()));
            }
        }
    }
}

fn commands_of(batch: &[Waiting]) -> Vec<Opaque> {
    batch.iter().flat_map(|waiting| waiting.commands.iter().cloned()).collect()
}

fn stopped() -> ProposeError {
    ProposeError::Stopped { detail: "the node is shutting down".to_owned() }
}
