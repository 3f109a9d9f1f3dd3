//! The catalog in memory: the same machine over [`MemoryRows`]. For tests of the use cases, and as a reference.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use strongroom_codec::{
    seal::ItemKey,
    wrap::{self, KeyEncryptionKey, WrappedKey},
};
use strongroom_custody::{Actor, session, tables::ITEM_KEYS, upload};
use strongroom_ledger::{CosignerKey, LogKey, tree};
use strongroom_types::{ItemId, NodeId, Refusal, SessionId, UploadEpoch, rows::MemoryRows};

use crate::{
    catalog::{Catalog, Snapshot, broken, refusal_of},
    machine::{Answer, CHECKPOINT, Command, Envelope, Idempotency, Machine},
    system::System,
};

/// Metadata of one process, gone with it.
pub struct MemoryCatalog {
    rows: Mutex<MemoryRows>,
    kek: KeyEncryptionKey,
    log: LogKey,
    cosigners: Vec<CosignerKey>,
    system: System,
    node: NodeId,
}

impl MemoryCatalog {
    /// An empty catalog whose checkpoints are signed and cosigned with these keys.
    #[must_use]
    pub fn new(node: NodeId, system: System, log: LogKey, cosigners: Vec<CosignerKey>) -> Arc<Self> {
        let kek = KeyEncryptionKey::generate(system.draw());
        Arc::new(Self { rows: Mutex::default(), kek, log, cosigners, system, node })
    }

    /// The whole state.
    #[must_use]
    pub fn state(&self) -> MemoryRows {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn apply(&self, actor: Actor, command: Command, idempotency: Option<Idempotency>) -> Result<Answer, Refusal> {
        let envelope =
            Envelope { command, actor, wall: self.system.clock.wall(), seed: self.system.draw(), idempotency };
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        Machine.apply(&mut *rows, &envelope).map_err(|error| broken(&error))?.into_result()
    }

    fn publish(&self) -> Result<(), Refusal> {
        let rows = self.state();
        let head = tree::head(&rows).map_err(|error| broken(&error))?;
        let mut signed = self.log.sign(head).map_err(|error| broken(&error))?;
        for cosigner in &self.cosigners {
            let cosignature =
                cosigner.cosign(signed.checkpoint(), self.system.clock.wall()).map_err(|error| broken(&error))?;
            signed = signed.with_cosignature(cosignature).map_err(|error| broken(&error))?;
        }
        self.apply(Actor::Node(self.node), Command::PublishCheckpoint(signed.to_bytes().into()), None).map(|_| ())
    }

    fn unwrapped(&self, rows: &MemoryRows, item: ItemId) -> Result<ItemKey, Refusal> {
        let bytes = ITEM_KEYS
            .read(rows, &item)
            .map_err(|error| broken(&error))?
            .ok_or_else(|| Refusal::not_found(format!("key of item {item}")))?;
        let wrapped: WrappedKey = minicbor::decode(&bytes).map_err(|error| broken(&error))?;
        wrap::unwrap(&self.kek, item, &wrapped).map_err(|error| broken(&error))
    }
}

#[async_trait]
impl Catalog for MemoryCatalog {
    async fn submit(
        &self,
        actor: Actor,
        command: Command,
        idempotency: Option<Idempotency>,
    ) -> Result<Answer, Refusal> {
        self.apply(actor, command, idempotency)
    }

    async fn read(&self) -> Result<Snapshot, Refusal> {
        self.read_here()
    }

    fn read_here(&self) -> Result<Snapshot, Refusal> {
        Ok(Snapshot::new(self.state()))
    }

    async fn new_item_key(&self, item: ItemId) -> Result<(ItemKey, WrappedKey), Refusal> {
        let key = ItemKey::generate(self.system.draw());
        let wrapped = wrap::wrap(&self.kek, item, &key, self.system.draw());
        Ok((key, wrapped))
    }

    async fn upload_key(&self, item: ItemId, epoch: UploadEpoch) -> Result<ItemKey, Refusal> {
        let rows = self.state();
        upload::check_owner(&rows, item, epoch, self.node).map_err(refusal_of)?;
        self.unwrapped(&rows, item)
    }

    async fn session_key(&self, session: SessionId, item: ItemId) -> Result<ItemKey, Refusal> {
        let rows = self.state();
        session::check_session(&rows, session, item).map_err(refusal_of)?;
        self.unwrapped(&rows, item)
    }

    async fn checkpoint_covers(&self, size: u64, _: u64) -> bool {
        let covered = |rows: &MemoryRows| CHECKPOINT.read(rows, &()).ok().flatten().is_some_and(|row| row.size >= size);
        covered(&self.state()) || (self.publish().is_ok() && covered(&self.state()))
    }
}
