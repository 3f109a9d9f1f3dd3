//! What every use case works with.

use std::sync::Arc;

use strongroom_types::{Clock, NodeId, limits};
use tokio::sync::Semaphore;

use crate::{cache::Volumes, catalog::Catalog, faults::Faults, health::Health, shards::Shards};

/// Fills a buffer with random bytes fit for keys.
pub type Fill = dyn Fn(&mut [u8]) + Send + Sync;

/// Time and randomness, injected.
#[derive(Clone)]
pub struct System {
    /// Clocks of this machine.
    pub clock: Arc<dyn Clock>,
    /// Fills a buffer with random bytes fit for keys.
    pub random: Arc<Fill>,
}

impl System {
    /// Random bytes.
    #[must_use]
    pub fn draw<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }
}

/// Up to here, work on a chunk takes less time than handing it to another thread and back.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// Hashing, sealing and encoding take milliseconds of one core for a full chunk: not on the threads that serve
/// connections. For a small one they stay where they are.
pub(crate) async fn off_the_runtime<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= INLINE_BYTES_MAX {
        return work();
    }
    tokio::task::spawn_blocking(work).await.expect("hashing, sealing and encoding do not panic")
}

/// The use cases of one node.
#[derive(Clone)]
pub struct Engine {
    pub(crate) node: NodeId,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) shards: Arc<Shards>,
    pub(crate) system: System,
    pub(crate) health: Arc<Health>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) volumes: Arc<Volumes>,
    /// One permit for each chunk that this node holds in memory, whatever for.
    pub(crate) chunks: Arc<Semaphore>,
    /// One permit for each chunk that counts and is held for shards that come late.
    pub(crate) late_chunks: Arc<Semaphore>,
}

impl Engine {
    /// An engine for `node`.
    #[must_use]
    pub fn new(
        node: NodeId,
        catalog: Arc<dyn Catalog>,
        shards: Arc<Shards>,
        system: System,
        health: Arc<Health>,
    ) -> Self {
        Self {
            node,
            volumes: Arc::new(Volumes::new(Arc::clone(&catalog), Arc::clone(&health), node)),
            catalog,
            shards,
            system,
            health,
            faults: Arc::new(Faults::default()),
            chunks: Arc::new(Semaphore::new(limits::GATEWAY_CHUNKS_IN_FLIGHT)),
            late_chunks: Arc::new(Semaphore::new(limits::GATEWAY_LATE_CHUNKS)),
        }
    }

    /// Metadata.
    #[must_use]
    pub fn catalog(&self) -> &Arc<dyn Catalog> {
        &self.catalog
    }

    /// Shards that reading found bad.
    #[must_use]
    pub fn faults(&self) -> &Arc<Faults> {
        &self.faults
    }

    /// Which peers answer.
    #[must_use]
    pub fn health(&self) -> &Arc<Health> {
        &self.health
    }
}
