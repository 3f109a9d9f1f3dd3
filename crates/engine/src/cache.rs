//! Open volumes as this node last saw them, so that a chunk does not cost a commit to find its place.

use std::sync::{Arc, PoisonError, RwLock};

use strongroom_custody::Actor;
use strongroom_topology::{self as topology, ClassName, Promise, VolumeRow, read};
use strongroom_types::{DistrictName, NodeId, Reason, Refusal};

use crate::{
    catalog::{Catalog, broken},
    health::{Avoided, Health},
    machine::Answer,
};

/// A volume with what is needed to judge which of its shards must be durable.
#[derive(Clone, Debug)]
pub struct OpenVolume {
    /// The volume.
    pub row: VolumeRow,
    /// Node and district of each slot.
    pub places: Vec<(NodeId, DistrictName)>,
    /// What its class promises.
    pub promise: Promise,
}

impl OpenVolume {
    /// Whether a chunk with these durable shards, in slot order, keeps the promise.
    #[must_use]
    pub fn counts(&self, durable: &[bool]) -> bool {
        topology::meets(self.promise, self.row.scheme, &self.places, durable)
    }
}

/// The open volumes of the class that new originals go to.
pub struct Volumes {
    catalog: Arc<dyn Catalog>,
    health: Arc<Health>,
    node: NodeId,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// The nodes that were to be avoided when these were asked for.
    avoided: Avoided,
    volumes: Vec<Arc<OpenVolume>>,
}

impl Volumes {
    pub(crate) fn new(catalog: Arc<dyn Catalog>, health: Arc<Health>, node: NodeId) -> Self {
        Self { catalog, health, node, known: RwLock::default() }
    }

    /// A volume for a new chunk, all of whose nodes seem to be up, and none of them slow unless there is no way
    /// without. `spread` chooses among several.
    ///
    /// # Errors
    /// `PROMISE_UNMET`, saying what is missing, where no reachable set of nodes keeps the class's promise.
    pub async fn open_volume(&self, spread: u64, boottime_ms: i64) -> Result<Arc<OpenVolume>, Refusal> {
        let avoided = self.health.avoided(boottime_ms);
        if let Some(volume) = self.known_volume(&avoided, spread)
            && self.still_open(&volume)?
        {
            return Ok(volume);
        }
        self.ask(&avoided).await?;
        self.known_volume(&avoided, spread).ok_or_else(|| {
            Refusal::new(Reason::PromiseUnmet, "C4", "no open volume could be found", "try again in a moment")
        })
    }

    /// Forgets what is known, so that the next chunk asks: a volume turned out to be closed or out of reach.
    pub fn forget(&self) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known::default();
    }

    fn known_volume(&self, avoided: &Avoided, spread: u64) -> Option<Arc<OpenVolume>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.avoided != *avoided || known.volumes.is_empty() {
            return None;
        }
        let count = u64::try_from(known.volumes.len()).ok()?;
        let position = usize::try_from(spread % count).ok()?;
        Some(Arc::clone(&known.volumes[position]))
    }

    /// Whether this node's rows still have the volume open and in its place. They may be behind: what is put into a
    /// volume that has just closed still counts.
    fn still_open(&self, volume: &OpenVolume) -> Result<bool, Refusal> {
        let rows = self.catalog.read_here()?;
        let row = read::volume(&*rows, volume.row.id).map_err(|error| broken(&error))?;
        Ok(row.is_some_and(|row| row.is_open() && row.placement_epoch == volume.row.placement_epoch))
    }

    /// Learns the open volumes without the avoided nodes. Where the promise cannot be kept without the slow ones, a late
    /// chunk is better than none.
    async fn ask(&self, avoided: &Avoided) -> Result<(), Refusal> {
        let volumes = match self.ensure(avoided.all()).await {
            Err(refusal) if refusal.reason == Reason::PromiseUnmet && !avoided.slow.is_empty() => {
                self.ensure(avoided.unable.iter().copied().collect()).await?
            }
            answer => answer?,
        };
        let known = Known { avoided: avoided.clone(), volumes };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    async fn ensure(&self, avoid: Vec<NodeId>) -> Result<Vec<Arc<OpenVolume>>, Refusal> {
        let class = self.class().await?;
        let command = topology::Command::EnsureVolume { class: class.clone(), avoid };
        let answer = self.catalog.submit(Actor::Node(self.node), command.into(), None).await?;
        let rows = self.catalog.read().await?;
        let promise = read::class(&*rows, &class)
            .map_err(|error| broken(&error))?
            .ok_or_else(|| Refusal::not_found(format!("class {class}")))?
            .promise;
        let volumes = match answer {
            Answer::Topology(topology::Answer::Volumes(volumes)) => volumes,
            Answer::Topology(topology::Answer::Volume(volume)) => vec![volume],
            Answer::Topology(topology::Answer::Done) | Answer::Custody(_) | Answer::Checkpoint(_) => Vec::new(),
        };
        let open = |row: VolumeRow| {
            let places = read::slot_places(&*rows, &row).map_err(|error| broken(&error))?;
            Ok(Arc::new(OpenVolume { row, places, promise }))
        };
        volumes.into_iter().map(open).collect()
    }

    async fn class(&self) -> Result<ClassName, Refusal> {
        let rows = self.catalog.read().await?;
        let cluster = strongroom_custody::tables::CLUSTER
            .read(&*rows, &())
            .map_err(|error| broken(&error))?
            .ok_or_else(|| Refusal::not_found("cluster: it is not created yet"))?;
        cluster.class.parse().map_err(|error| broken(&error))
    }
}
