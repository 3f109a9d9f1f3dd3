//! Background work. Every job has an owner that notices its end: one that panics, or ends although it should not, is
//! a mistake of ours, and the process aborts rather than go on without it.

mod bootstrap;
mod certificates;
mod compliance;
mod digests;
mod draws;
mod erasure;
mod expiry;
mod faults;
mod forgetting;
mod gauges;
mod join;
mod members;
mod pings;
mod rollback;
mod serving;
mod topology;

use std::{future::Future, sync::Arc};

use strongroom_metastore::FatalHook;
use tokio::sync::watch;
use tonic_health::server::HealthReporter;
use tracing::Instrument;

use crate::node::Node;

/// Starts jobs and tells them to stop.
#[derive(Clone)]
pub(crate) struct Jobs {
    stop: watch::Receiver<bool>,
    on_fatal: FatalHook,
}

impl Jobs {
    pub(crate) fn new(stop: watch::Receiver<bool>, on_fatal: FatalHook) -> Self {
        Self { stop, on_fatal }
    }

    /// For jobs that end in an orderly way of their own.
    pub(crate) fn stop_signal(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }

    /// Runs a job that never ends by itself; it is dropped where it stands when the node stops.
    pub(crate) fn spawn(&self, name: &'static str, job: impl Future<Output = ()> + Send + 'static) {
        self.start(name, false, job);
    }

    /// Runs a job that may come to its end.
    pub(crate) fn once(&self, name: &'static str, job: impl Future<Output = ()> + Send + 'static) {
        self.start(name, true, job);
    }

    fn start(&self, name: &'static str, may_end: bool, job: impl Future<Output = ()> + Send + 'static) {
        let mut stop = self.stop.clone();
        let running = tokio::spawn(
            async move {
                tokio::select! {
                    () = job => true,
                    _ = stop.wait_for(|stop| *stop) => false,
                }
            }
            .instrument(tracing::info_span!("job", name)),
        );
        let (stop, on_fatal) = (self.stop.clone(), Arc::clone(&self.on_fatal));
        tokio::spawn(async move {
            match running.await {
                Ok(ended) if ended && !may_end && !*stop.borrow() => on_fatal(&format!("background job {name} ended")),
                Err(error) if error.is_panic() => on_fatal(&format!("background job {name} panicked")),
                Ok(_) | Err(_) => {}
            }
        });
    }
}

/// Starts everything that a node does besides answering.
pub(crate) fn start(node: &Arc<Node>, jobs: &Jobs, health: HealthReporter) {
    jobs.once("bootstrap", bootstrap::run(Arc::clone(node), Arc::clone(&jobs.on_fatal)));
    jobs.once("rollback", rollback::run(Arc::clone(node), Arc::clone(&jobs.on_fatal)));
    jobs.once("join", join::run(Arc::clone(node)));
    jobs.spawn("topology", topology::run(Arc::clone(node)));
    jobs.spawn("pings", pings::run(Arc::clone(node)));
    jobs.spawn("members", members::run(Arc::clone(node)));
    jobs.spawn("compliance clock", compliance::run(Arc::clone(node)));
    jobs.spawn("expiry", expiry::run(Arc::clone(node)));
    jobs.spawn("digests", digests::run(Arc::clone(node), Arc::clone(&jobs.on_fatal)));
    jobs.spawn("draws", draws::run(Arc::clone(node)));
    jobs.spawn("faults", faults::run(Arc::clone(node)));
    jobs.spawn("erasure", erasure::run(Arc::clone(node)));
    jobs.spawn("forgetting", forgetting::run(Arc::clone(node)));
    jobs.spawn("gauges", gauges::run(Arc::clone(node)));
    jobs.spawn("certificates", certificates::run(Arc::clone(node)));
    jobs.spawn("serving", serving::run(Arc::clone(node), health));
    jobs.once("checkpoints", Arc::clone(&node.catalog).publish_checkpoints(jobs.stop_signal()));
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use super::*;

    async fn fatal_of(job: impl FnOnce(&Jobs)) -> Option<String> {
        let (stop, stopped) = watch::channel(false);
        let said = Arc::new(Mutex::new(None));
        let hook = Arc::clone(&said);
        let jobs =
            Jobs::new(stopped, Arc::new(move |why: &str| *hook.lock().expect("unpoisoned") = Some(why.to_owned())));
        job(&jobs);
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.send_replace(true);
        tokio::time::sleep(Duration::from_secs(1)).await;
        said.lock().expect("unpoisoned").clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_ends_or_panics_is_fatal_and_one_that_is_stopped_is_not() {
        assert_eq!(fatal_of(|jobs| jobs.spawn("a", async {})).await.as_deref(), Some("background job a ended"));
        let panics = fatal_of(|jobs| jobs.once("b", async { panic!("on purpose") })).await;
        assert_eq!(panics.as_deref(), Some("background job b panicked"));
        assert_eq!(fatal_of(|jobs| jobs.once("c", async {})).await, None);
        assert_eq!(fatal_of(|jobs| jobs.spawn("d", std::future::pending())).await, None);
    }
}
