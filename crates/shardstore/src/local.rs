//! All disks of one node.

use std::{collections::BTreeMap, path::PathBuf, thread};

use async_trait::async_trait;
use strongroom_ledger::{Policy, PolicyFingerprint, TreeHead};
use strongroom_types::DiskId;

use crate::{
    CheckpointProof, Disk, DiskConfig, DiskKeeper, DiskStat, DiskState, EraseError, ErasePermit, Erasure,
    ExpectedMarker, GetError, ListError, ListedShard, OpenError, PermitError, PermitProof, PutError, PutShard,
    RecoveryReport, ShardAddress, ShardHeader, ShardStore, StoreSettings, TrustError, VerifiedShard, VoterChangeProof,
};

/// The disks of a node by id. A disk whose files fail does not keep the others from serving; a wrong disk does.
pub struct LocalShards {
    disks: BTreeMap<DiskId, Slot>,
}

enum Slot {
    Open(Box<Disk>),
    /// It is ours, but it could not be opened.
    Unusable {
        path: PathBuf,
        why: String,
    },
}

impl LocalShards {
    /// Opens all disks at once. Blocks; see [`Disk::open`].
    ///
    /// # Errors
    /// [`OpenError`] where a marker is not what it must be, or two folders are the same disk.
    pub fn open(
        configs: &[DiskConfig],
        expected: &ExpectedMarker,
        settings: &StoreSettings,
    ) -> Result<Self, OpenError> {
        // Markers first: nothing is written to any disk of a node that is configured wrongly.
        let mut markers = BTreeMap::new();
        for config in configs {
            let disk = Disk::read_marker(&config.path)?.disk;
            if markers.insert(disk, config).is_some() {
                return Err(OpenError::Twice { disk });
            }
        }
        let opened: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> =
                configs.iter().map(|config| scope.spawn(|| Disk::open(config, expected, settings))).collect();
            threads.into_iter().map(|thread| thread.join().expect("opening a disk does not panic")).collect()
        });
        let mut disks = BTreeMap::new();
        for result in opened {
            match result {
                Ok(disk) => disks.insert(disk.id(), Slot::Open(Box::new(disk))),
                Err(OpenError::Unusable { disk, path, why }) => {
                    tracing::error!(%disk, path = %path.display(), error = why, "disk could not be opened");
                    disks.insert(disk, Slot::Unusable { path, why })
                }
                Err(error @ (OpenError::Marker(_) | OpenError::Twice { .. })) => return Err(error),
            };
        }
        Ok(Self { disks })
    }

    /// What opening the disks found.
    pub fn recovery(&self) -> impl Iterator<Item = (DiskId, &RecoveryReport)> {
        self.disks.iter().filter_map(|(id, slot)| match slot {
            Slot::Open(disk) => Some((*id, disk.recovery())),
            Slot::Unusable { .. } => None,
        })
    }

    /// Pins the voters of the cluster on every disk that is open; see [`Disk::pin`].
    ///
    /// # Errors
    /// The first [`TrustError`]; the others are pinned all the same.
    pub fn pin(&self, policy: &Policy) -> Result<(), TrustError> {
        let pinned: Vec<_> = self.open_disks().map(|disk| disk.pin(policy)).collect();
        pinned.into_iter().collect()
    }

    /// See [`Disk::trusted`].
    ///
    /// # Errors
    /// As there; [`PermitError`] where the disk is not here or could not be opened.
    pub fn trusted(&self, disk: DiskId) -> Result<TreeHead, PermitError> {
        Ok(self.open_disk(disk)?.trusted()?)
    }

    /// See [`Disk::policy`].
    ///
    /// # Errors
    /// As there; [`PermitError`] where the disk is not here or could not be opened.
    pub fn policy(&self, disk: DiskId) -> Result<PolicyFingerprint, PermitError> {
        Ok(self.open_disk(disk)?.policy()?)
    }

    /// See [`Disk::succeed`].
    ///
    /// # Errors
    /// As there; [`PermitError`] where the disk is not here or could not be opened.
    pub fn succeed(&self, disk: DiskId, change: &VoterChangeProof) -> Result<(), PermitError> {
        self.open_disk(disk)?.succeed(change)
    }

    /// See [`Disk::admit`].
    ///
    /// # Errors
    /// As there; [`PermitError`] where the disk is not here or could not be opened.
    pub fn admit(&self, disk: DiskId, proof: &PermitProof) -> Result<ErasePermit, PermitError> {
        self.open_disk(disk)?.admit(proof)
    }

    /// See [`Disk::follow`].
    ///
    /// # Errors
    /// As there; [`PermitError`] where the disk is not here or could not be opened.
    pub fn follow(&self, disk: DiskId, proof: &CheckpointProof) -> Result<(), PermitError> {
        self.open_disk(disk)?.follow(proof)
    }

    fn open_disks(&self) -> impl Iterator<Item = &Disk> {
        self.disks.values().filter_map(|slot| match slot {
            Slot::Open(disk) => Some(&**disk),
            Slot::Unusable { .. } => None,
        })
    }

    fn open_disk(&self, disk: DiskId) -> Result<&Disk, PermitError> {
        match self.disks.get(&disk) {
            Some(Slot::Open(open)) => Ok(open),
            Some(Slot::Unusable { why, .. }) => Err(PermitError::Unavailable { why: why.clone() }),
            None => Err(PermitError::UnknownDisk { disk }),
        }
    }

    /// Takes no more puts, writes those that wait, and closes all disks.
    pub async fn shutdown(&self) {
        self.open_disks().for_each(Disk::close);
        for disk in self.open_disks() {
            disk.shutdown().await;
        }
    }
}

#[async_trait]
impl ShardStore for LocalShards {
    async fn put(&self, shard: PutShard) -> Result<(), PutError> {
        let disk = shard.disk;
        match self.disks.get(&disk) {
            Some(Slot::Open(open)) => open.put(shard).await,
            Some(Slot::Unusable { why, .. }) => Err(PutError::DiskFailed { disk, why: why.clone() }),
            None => Err(PutError::UnknownDisk { disk }),
        }
    }

    async fn get(&self, disk: DiskId, address: &ShardAddress) -> Result<VerifiedShard, GetError> {
        match self.disks.get(&disk) {
            Some(Slot::Open(open)) => open.get(address).await,
            Some(Slot::Unusable { why, .. }) => Err(GetError::DiskUnavailable { disk, why: why.clone() }),
            None => Err(GetError::UnknownDisk { disk }),
        }
    }
}

#[async_trait]
impl DiskKeeper for LocalShards {
    async fn scrub(&self, disk: DiskId, address: &ShardAddress) -> Result<ShardHeader, GetError> {
        match self.disks.get(&disk) {
            Some(Slot::Open(open)) => open.scrub(address).await,
            Some(Slot::Unusable { why, .. }) => Err(GetError::DiskUnavailable { disk, why: why.clone() }),
            None => Err(GetError::UnknownDisk { disk }),
        }
    }

    async fn list(
        &self,
        disk: DiskId,
        after: Option<ShardAddress>,
        limit: usize,
    ) -> Result<Vec<ListedShard>, ListError> {
        match self.disks.get(&disk) {
            Some(Slot::Open(open)) => open.list(after, limit).await,
            Some(Slot::Unusable { why, .. }) => Err(ListError::DiskUnavailable { disk, why: why.clone() }),
            None => Err(ListError::UnknownDisk { disk }),
        }
    }

    fn stat(&self) -> Vec<DiskStat> {
        self.disks
            .iter()
            .map(|(id, slot)| match slot {
                Slot::Open(disk) => disk.stat(),
                Slot::Unusable { path, why } => DiskStat {
                    disk: *id,
                    path: path.clone(),
                    state: DiskState::Failed { why: why.clone() },
                    used_bytes: 0,
                    free_bytes: 0,
                    total_bytes: 0,
                    shards: 0,
                },
            })
            .collect()
    }

    async fn erase(&self, disk: DiskId, permit: &ErasePermit) -> Result<Erasure, EraseError> {
        match self.disks.get(&disk) {
            Some(Slot::Open(open)) => open.erase(permit).await,
            Some(Slot::Unusable { why, .. }) => Err(EraseError::DiskFailed { disk, why: why.clone() }),
            None => Err(EraseError::UnknownDisk { disk }),
        }
    }
}
