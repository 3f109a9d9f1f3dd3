//! What a metastore is told when it is opened.

use std::{path::PathBuf, sync::Arc, time::Duration};

use openraft::SnapshotPolicy;
use strongroom_types::NodeId;

/// Raft's clocks. Defaults suit districts a few milliseconds apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftTiming {
    /// The leader lets itself be heard this often; also the time that one append to a follower may take.
    pub heartbeat: Duration,
    /// A follower that hears nothing stands for election after at least this.
    pub election_min: Duration,
    /// And at most this.
    pub election_max: Duration,
}

impl Default for RaftTiming {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(250),
            election_min: Duration::from_millis(1000),
            election_max: Duration::from_millis(2000),
        }
    }
}

/// Called once with the reason when Raft, the log or the state fails for good. Must not return to business.
pub type FatalHook = Arc<dyn Fn(&str) + Send + Sync>;

/// Configuration of one node's metastore.
#[derive(Clone)]
pub struct MetastoreConfig {
    /// Folder of the databases and snapshots.
    pub dir: PathBuf,
    /// This node, and its Raft id.
    pub node: NodeId,
    /// The rollback guard: a file outside `dir`, and outside whatever is backed up or cloned with it.
    pub guard_file: PathBuf,
    /// Raft's clocks.
    pub timing: RaftTiming,
    /// Entries after which a snapshot is written.
    pub snapshot_after: u64,
    /// Entries kept in the log although the snapshot holds them, for followers that are a little behind.
    pub log_entries_kept: u64,
    /// A command, or the question for a read index, is answered within this.
    pub propose_timeout: Duration,
    /// Without a leader that a majority answers, it is refused after this: well before callers give up, so that they
    /// learn why and turn to another node.
    pub leader_patience: Duration,
    /// What to do when the node has failed for good: [`abort_process`] unless a test watches.
    pub on_fatal: FatalHook,
}

impl MetastoreConfig {
    /// The defaults, for a node with its folder and guard.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, node: NodeId, guard_file: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            node,
            guard_file: guard_file.into(),
            timing: RaftTiming::default(),
            snapshot_after: 5000,
            log_entries_kept: 1000,
            propose_timeout: Duration::from_secs(15),
            leader_patience: Duration::from_secs(5),
            on_fatal: Arc::new(abort_process),
        }
    }

    pub(crate) fn raft(&self) -> Result<openraft::Config, String> {
        let config = openraft::Config {
            cluster_name: "strongroom".to_owned(),
            heartbeat_interval: millis(self.timing.heartbeat)?,
            election_timeout_min: millis(self.timing.election_min)?,
            election_timeout_max: millis(self.timing.election_max)?,
            max_payload_entries: 64,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_after),
            replication_lag_threshold: self.snapshot_after.saturating_mul(2),
            max_in_snapshot_log_to_keep: self.log_entries_kept,
            ..openraft::Config::default()
        };
        config.validate().map_err(|error| error.to_string())
    }
}

/// Ends the process at once: a node that cannot trust its log or state must neither answer nor write.
pub fn abort_process(reason: &str) {
    tracing::error!(reason, "the metadata of this node has failed; the process aborts");
    std::process::abort();
}

fn millis(duration: Duration) -> Result<u64, String> {
    u64::try_from(duration.as_millis()).map_err(|_| format!("{duration:?} is too long for a Raft clock"))
}
