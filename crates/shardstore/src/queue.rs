//! What waits for the writer thread: in order, bounded in bytes, taken in groups.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{EraseError, EraseScope, PutError, ShardHeader};

/// A shard on its way to the disk. Its room in the queue is given back when it is answered.
pub(crate) struct PutJob {
    pub(crate) header: ShardHeader,
    pub(crate) payload: bytes::Bytes,
    pub(crate) answer: oneshot::Sender<Result<(), PutError>>,
    pub(crate) room: OwnedSemaphorePermit,
}

/// Scopes whose tombstones are to be written.
pub(crate) struct EraseJob {
    pub(crate) scopes: Vec<EraseScope>,
    pub(crate) answer: oneshot::Sender<Result<(), EraseError>>,
}

pub(crate) enum Job {
    Put(PutJob),
    Erase(EraseJob),
}

/// What the writer does next.
pub(crate) enum Work {
    Puts(Vec<PutJob>),
    Erase(EraseJob),
}

/// The queue takes no more jobs.
#[derive(Debug)]
pub(crate) struct Closed;

/// The queue. Its callers bound it: a put enters only with room of the disk's semaphore.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    /// Takes a job unless it is closed.
    pub(crate) fn push(&self, job: Job) -> Result<(), Closed> {
        let mut state = self.lock();
        if state.closed {
            return Err(Closed);
        }
        state.jobs.push_back(job);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// No more jobs; what waits is still done.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    /// No more jobs, and nobody will do those that wait: their callers are told by the dropped answer.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        drop(jobs);
    }

    /// Waits for work: all puts at the front up to about `bytes_max`, or one erase; none when closed and empty.
    pub(crate) fn take(&self, bytes_max: usize) -> Option<Work> {
        let mut state = self.lock();
        loop {
            match state.jobs.pop_front() {
                Some(Job::Erase(job)) => return Some(Work::Erase(job)),
                Some(Job::Put(first)) => return Some(Work::Puts(gather(&mut state.jobs, first, bytes_max))),
                None if state.closed => return None,
                None => state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gather(jobs: &mut VecDeque<Job>, first: PutJob, bytes_max: usize) -> Vec<PutJob> {
    let mut bytes = first.payload.len();
    let mut group = vec![first];
    while bytes < bytes_max {
        match jobs.pop_front_if(|job| matches!(job, Job::Put(_))) {
            Some(Job::Put(job)) => {
                bytes += job.payload.len();
                group.push(job);
            }
            Some(Job::Erase(_)) | None => break,
        }
    }
    group
}
