//! The metadata seam: commands go in and are committed; rows come out of one consistent snapshot.

use async_trait::async_trait;
use strongroom_codec::{seal::ItemKey, wrap::WrappedKey};
use strongroom_custody::Actor;
use strongroom_types::{ItemId, Refusal, SessionId, UploadEpoch, rows::Rows};

use crate::machine::{Answer, Command, Idempotency};

/// Rows as they stood at one log index. Handed out for reading only: nothing can be written through it.
pub struct Snapshot(Box<dyn Rows + Send + Sync>);

impl Snapshot {
    /// Wraps rows of a store.
    #[must_use]
    pub fn new(rows: impl Rows + Send + Sync + 'static) -> Self {
        Self(Box::new(rows))
    }
}

impl std::ops::Deref for Snapshot {
    type Target = dyn Rows + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// Metadata, replicated (in `metastore`) or in memory ([`crate::memory::MemoryCatalog`]).
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Commits a command and answers when it is applied. A proposal whose fate is unknown is made again under the
    /// same idempotency key until it is known or a deadline passes.
    ///
    /// # Errors
    /// The refusal by the rules, or `NO_LEADER`.
    async fn submit(&self, actor: Actor, command: Command, idempotency: Option<Idempotency>)
    -> Result<Answer, Refusal>;

    /// Rows that show every command answered before this call, on any node.
    ///
    /// # Errors
    /// `NO_LEADER` where that cannot be known.
    async fn read(&self) -> Result<Snapshot, Refusal>;

    /// Rows as this node has them, perhaps behind.
    ///
    /// # Errors
    /// `INTERNAL` where the store fails.
    fn read_here(&self) -> Result<Snapshot, Refusal>;

    /// A new item key, raw and wrapped, from a voter that holds the key-encryption key.
    ///
    /// # Errors
    /// `NO_LEADER` where none can be reached.
    async fn new_item_key(&self, item: ItemId) -> Result<(ItemKey, WrappedKey), Refusal>;

    /// The key of an open upload, for the node whose stream owns it.
    ///
    /// # Errors
    /// `UPLOAD_SUPERSEDED` where another stream does; `NO_LEADER`.
    async fn upload_key(&self, item: ItemId, epoch: UploadEpoch) -> Result<ItemKey, Refusal>;

    /// The key of an item for a committed session.
    ///
    /// # Errors
    /// What `custody::session::check_session` refuses; `NO_LEADER`.
    async fn session_key(&self, session: SessionId, item: ItemId) -> Result<ItemKey, Refusal>;

    /// Waits until the newest published checkpoint covers `size` records, at most `wait_ms`. Says whether it does.
    async fn checkpoint_covers(&self, size: u64, wait_ms: u64) -> bool;
}

/// Turns what stops a decision into what a caller is told.
#[must_use]
pub fn refusal_of(stop: strongroom_custody::access::Stop) -> Refusal {
    match stop {
        strongroom_custody::access::Stop::Refused(refusal) => refusal,
        strongroom_custody::access::Stop::Rows(error) => broken(&error),
    }
}

/// A fault of ours, as a caller is told of it.
#[must_use]
pub fn broken(error: &dyn std::error::Error) -> Refusal {
    Refusal::new(strongroom_types::Reason::Internal, "", error.to_string(), "an operator must look at this node's log")
}
