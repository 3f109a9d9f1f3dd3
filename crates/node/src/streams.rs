//! Streams of clients: how many a node has open, and for how long one may stand still.
//!
//! Each open stream can hold footage in memory: an upload the beginning of a chunk, a read the chunks that its reader has
//! not taken yet. So their number is bounded, for a node and for each caller, who cannot use up what is there for all.
//! A reader who takes nothing for too long loses the stream and what was read for it; reading on spends no second use.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, StreamExt};
use strongroom_types::{KeyHash, Reason, Refusal, limits};
use tokio::time::Instant;
use tonic::Status;

use crate::metrics;

/// What one node has open for its clients.
pub(crate) struct Streams {
    pub(crate) uploads: Arc<Slots>,
    pub(crate) reads: Arc<Slots>,
}

impl Default for Streams {
    fn default() -> Self {
        let uploads = Slots {
            kind: "upload",
            max: limits::UPLOAD_STREAMS_MAX,
            per_caller_max: limits::UPLOAD_STREAMS_PER_CALLER_MAX,
            open: Mutex::default(),
        };
        let reads = Slots {
            kind: "read",
            max: limits::READ_STREAMS_MAX,
            per_caller_max: limits::READ_STREAMS_PER_CALLER_MAX,
            open: Mutex::default(),
        };
        Self { uploads: Arc::new(uploads), reads: Arc::new(reads) }
    }
}

/// Room for streams of one kind.
pub(crate) struct Slots {
    kind: &'static str,
    max: usize,
    per_caller_max: usize,
    /// How many each caller has open; callers with none are not in it.
    open: Mutex<HashMap<KeyHash, usize>>,
}

/// The right to have one stream open, given back when it is dropped.
pub(crate) struct Slot {
    of: Arc<Slots>,
    caller: KeyHash,
    _counted: metrics::OpenStream,
}

impl Slots {
    /// Room for one more stream of a caller.
    ///
    /// # Errors
    /// `OVERLOADED`.
    pub(crate) fn take(self: &Arc<Self>, caller: KeyHash) -> Result<Slot, Refusal> {
        let mut open = self.lock();
        let (all, own) = (open.values().sum::<usize>(), open.get(&caller).copied().unwrap_or(0));
        if all >= self.max || own >= self.per_caller_max {
            let message = format!(
                "this node has {all} {kind} streams open, {own} of them with this key: it takes {} and {} of one key",
                self.max,
                self.per_caller_max,
                kind = self.kind
            );
            return Err(Refusal::new(Reason::Overloaded, "", message, "ask another node, or try again in a moment"));
        }
        open.insert(caller, own + 1);
        drop(open);
        Ok(Slot { of: Arc::clone(self), caller, _counted: metrics::OpenStream::begin(self.kind) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyHash, usize>> {
        // Whole after every step.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.of.lock();
        if let Some(own) = open.get_mut(&self.caller) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.caller);
            }
        }
    }
}

/// Ends `answers`, and gives back all that they hold, when the client has not taken one for `patience`. The transport
/// asks for an answer when it has room for it, so a stream that is not asked is one whose client stands still.
pub(crate) fn until_stalled<T: Send + 'static>(
    answers: impl Stream<Item = Result<T, Status>> + Send + 'static,
    patience: Duration,
) -> impl Stream<Item = Result<T, Status>> + Send {
    let state = Watched::Open { answers: answers.boxed(), ready_since: Some(Instant::now()) };
    let state = Arc::new(Mutex::new(state));
    tokio::spawn(watch(Arc::downgrade(&state), patience));
    UntilStalled(state)
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

enum Watched<T> {
    Open {
        answers: Answers<T>,
        /// Since when it is the client's turn; none while an answer is being made.
        ready_since: Option<Instant>,
    },
    Stalled,
    Over,
}

struct UntilStalled<T>(Arc<Mutex<Watched<T>>>);

impl<T> Stream for UntilStalled<T> {
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            Watched::Open { answers, ready_since } => {
                let polled = answers.as_mut().poll_next(cx);
                *ready_since = polled.is_ready().then(Instant::now);
                polled
            }
            Watched::Stalled => {
                *state = Watched::Over;
                let why = "nothing was taken for too long; read on from where it stopped";
                Poll::Ready(Some(Err(Status::deadline_exceeded(why))))
            }
            Watched::Over => Poll::Ready(None),
        }
    }
}

async fn watch<T>(state: Weak<Mutex<Watched<T>>>, patience: Duration) {
    while let Some(look_again_at) = look(&state, patience) {
        tokio::time::sleep_until(look_again_at).await;
    }
}

/// When to look again, where the stream goes on.
fn look<T>(state: &Weak<Mutex<Watched<T>>>, patience: Duration) -> Option<Instant> {
    let state = state.upgrade()?;
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    match &*state {
        Watched::Open { ready_since: Some(since), .. } if now >= *since + patience => {
            *state = Watched::Stalled;
            tracing::info!(elapsed_ms = patience.as_millis(), "stream ended, its client took nothing");
            None
        }
        Watched::Open { ready_since, .. } => Some(ready_since.unwrap_or(now) + patience),
        Watched::Stalled | Watched::Over => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn key(number: u8) -> KeyHash {
        KeyHash::new([number; 32])
    }

    #[test]
    fn a_caller_cannot_take_what_is_there_for_all_and_what_ends_is_given_back() {
        let slots = Arc::new(Slots { kind: "read", max: 3, per_caller_max: 2, open: Mutex::default() });
        let take = |number| slots.take(key(number));
        let first = [take(1).expect("room"), take(1).expect("room")];
        assert_eq!(take(1).err().expect("too many of one").reason, Reason::Overloaded);
        let second = take(2).expect("room for others");
        assert_eq!(take(3).err().expect("too many in all").reason, Reason::Overloaded);
        drop(first);
        drop((take(3).expect("room again"), second));
        assert!(slots.lock().is_empty(), "nothing is remembered of callers that have gone");
    }

    /// Answers, and something that they hold on to.
    fn counted(numbers: usize) -> (Arc<()>, impl Stream<Item = Result<usize, Status>> + Send + 'static) {
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        let answers = futures::stream::iter(0..numbers).map(move |number| {
            let _still_here = &inside;
            Ok(number)
        });
        (held, answers)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_loses_the_stream_and_hears_why() {
        let (held, answers) = counted(3);
        let mut answers = Box::pin(until_stalled(answers, PATIENCE));
        assert_eq!(answers.next().await.expect("goes on").expect("an answer"), 0);
        tokio::time::sleep(PATIENCE / 2).await;
        assert_eq!(answers.next().await.expect("goes on").expect("an answer"), 1);
        assert_eq!(Arc::strong_count(&held), 2);
        tokio::time::sleep(PATIENCE * 2).await;
        assert_eq!(Arc::strong_count(&held), 1, "given back although nobody asked");
        let status = answers.next().await.expect("says why").expect_err("ended");
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        assert!(answers.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_waits_for_us_is_not_standing_still() {
        let slow = futures::stream::iter(0..2).then(|number| async move {
            tokio::time::sleep(PATIENCE * 5).await;
            Ok::<_, Status>(number)
        });
        let answers: Vec<_> = until_stalled(slow, PATIENCE).collect().await;
        assert!(answers.len() == 2 && answers.iter().all(Result::is_ok), "{answers:?}");
    }
}
