//! The replicated state: entries in, rows out, and snapshots of them.
//!
//! Promises that an entry is applied whole or not at all (its rows, the position and the digest are one write
//! batch), that a failed entry stops the node, and that a snapshot is durable before anybody hears of it.
//!
//! ```text
//! state/CURRENT         names the live folder
//! state/live-00000003/  the live database
//! state/live-00000004/  a snapshot that is being installed: becomes live when CURRENT names it, else removed at open
//! ```

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use bytes::Bytes;
use openraft::{OptionalSend, RaftSnapshotBuilder, Snapshot, storage::RaftStateMachine};
use strongroom_types::{
    NodeId,
    rows::{Overlay, Rows},
};
use tokio::sync::watch;

use crate::{
    applier::{Applier, EntryPosition, Members},
    digest::RecentDigests,
    durable,
    live::{Applied, Change, Live, StateView},
    raft::{
        Entry, LogId, Opaque, Outcomes, Payload, SnapshotData, SnapshotMeta, StorageError, StoredMembership, TypeConfig,
    },
    read_once::ReadOnce,
    snapshot::{SnapshotFolder, Snapshots},
    store_error::{StoreError, blocking, writing_snapshot, writing_state},
};

const POINTER_FILE: &str = "CURRENT";

/// The state of one node. Clones share it.
#[derive(Clone)]
pub(crate) struct StateMachine {
    state: Arc<State>,
}

struct State {
    folder: PathBuf,
    applier: Arc<dyn Applier>,
    live: RwLock<Arc<Live>>,
    /// How far the live database is. Changed only by apply and install, which openraft never runs at once.
    applied: Mutex<Applied>,
    recent: Mutex<RecentDigests>,
    applied_index: watch::Sender<u64>,
    snapshots: Snapshots,
}

impl StateMachine {
    /// Opens or creates the state in `folder` and its snapshots in `snapshot_folder`, which have been claimed.
    pub(crate) fn open(folder: &Path, snapshot_folder: &Path, applier: Arc<dyn Applier>) -> Result<Self, StoreError> {
        let snapshots = Snapshots::open(snapshot_folder)?;
        let live = Live::open(&open_live_folder(folder)?)?;
        let applied = live.applied()?;
        let (applied_index, _) = watch::channel(applied.index());
        let mut recent = RecentDigests::default();
        recent.push(applied.index(), applied.digest);
        let state = State {
            folder: folder.to_owned(),
            applier,
            live: RwLock::new(Arc::new(live)),
            applied: Mutex::new(applied),
            recent: Mutex::new(recent),
            applied_index,
            snapshots,
        };
        Ok(Self { state: Arc::new(state) })
    }

    /// What the rules say to a command from another node.
    pub(crate) fn admit(&self, from: NodeId, command: &Bytes) -> Result<(), String> {
        self.state.applier.admit(from, command)
    }

    /// Brings the state up to the newest snapshot where it is behind it, and gives that snapshot's last entry.
    ///
    /// A power cut can leave the state behind the purged log; and a received snapshot is durable before it is
    /// installed. openraft would never install one that is there already, so it must not find the state behind it.
    pub(crate) fn catch_up_with_snapshot(&self, purged: Option<LogId>) -> Result<Option<LogId>, StoreError> {
        let applied = self.last_applied();
        let text = |id: Option<LogId>| id.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
        let snapshot = self.state.snapshots.newest().filter(|newest| newest.manifest().last_log_id() > applied);
        let last = snapshot.as_ref().and_then(|snapshot| snapshot.manifest().last_log_id());
        if applied.max(last) < purged {
            return Err(StoreError::StateLost { applied: text(applied), purged: text(purged) });
        }
        if let Some(snapshot) = snapshot {
            tracing::info!(applied = text(applied), snapshot = text(last), "the state catches up with its snapshot");
            snapshot.verify()?;
            self.state.install(&snapshot)?;
        }
        Ok(last)
    }

    pub(crate) fn view(&self) -> StateView {
        StateView { live: self.state.live() }
    }

    pub(crate) fn last_applied(&self) -> Option<LogId> {
        self.state.applied().last
    }

    pub(crate) fn members(&self) -> Members {
        Members::from(self.state.applied().membership.membership())
    }

    pub(crate) fn applied_index(&self) -> watch::Receiver<u64> {
        self.state.applied_index.subscribe()
    }

    pub(crate) fn digest(&self) -> (u64, [u8; 64]) {
        let applied = self.state.applied();
        (applied.index(), applied.digest.to_bytes())
    }

    pub(crate) fn digest_at(&self, index: u64) -> Option<[u8; 64]> {
        self.state.recent.lock().unwrap_or_else(PoisonError::into_inner).at(index)
    }

    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.state.snapshots
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        let applied = self.state.applied();
        Ok((applied.last, applied.membership))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Outcomes>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries = entries.into_iter().collect::<Vec<_>>();
        let state = Arc::clone(&self.state);
        if std::env::var_os("X_INLINE").is_some() {
            return entries.into_iter().map(|entry| state.apply(entry)).collect::<Result<_, _>>().map_err(writing_state);
        }
        let applied = blocking(move || entries.into_iter().map(|entry| state.apply(entry)).collect()).await;
        applied.map_err(writing_state)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotData>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(&mut self, _: &SnapshotMeta, snapshot: Box<SnapshotData>) -> Result<(), StorageError> {
        let state = Arc::clone(&self.state);
        let installed = blocking(move || {
            let received = snapshot.folder.ok_or(StoreError::SnapshotAbsent)?;
            let own = if state.snapshots.owns(&received) { received } else { state.snapshots.import(&received)? };
            state.install(&own)
        });
        installed.await.map_err(writing_snapshot)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        Ok(self.state.snapshots.newest().map(as_snapshot))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for StateMachine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let state = Arc::clone(&self.state);
        let built = blocking(move || state.snapshots.build(&state.live())).await.map_err(writing_snapshot)?;
        tracing::info!(snapshot = built.manifest().snapshot_id, "snapshot written");
        Ok(as_snapshot(built))
    }
}

impl State {
    /// Applies one entry: rules, then one write batch, then everybody who waits for it.
    fn apply(&self, entry: Entry) -> Result<Outcomes, StoreError> {
        let view = StateView { live: self.live() };
        let mut applied = self.applied();
        let index = entry.log_id.index;
        let at = EntryPosition { term: entry.log_id.leader_id.term, index };
        let rows = view.rows();
        let rows = ReadOnce::new(&*rows);
        let mut overlay = Overlay::new(&rows);
        let failed = |source| StoreError::Apply { index, source };
        let outcomes = match entry.payload {
            Payload::Blank => Vec::new(),
            Payload::Normal(batch) => {
                let commands = batch.commands.into_iter().map(|command| command.0).collect::<Vec<_>>();
                let outcomes = self.applier.apply(&mut overlay, at, &commands).map_err(failed)?;
                if outcomes.len() != commands.len() {
                    return Err(StoreError::OutcomeCount { index, commands: commands.len(), outcomes: outcomes.len() });
                }
                outcomes
            }
            Payload::Membership(membership) => {
                let members = Members::from(&membership);
                self.applier.members_changed(&mut overlay, at, &members).map_err(failed)?;
                applied.membership = StoredMembership::new(Some(entry.log_id), membership);
                Vec::new()
            }
        };
        let mut changes = Vec::new();
        for ((table, key), new) in overlay.into_changes() {
            let old = rows.read(table, &key).map_err(failed)?;
            if old != new {
                changes.push(Change { table, key, old, new });
            }
        }
        for change in &changes {
            if let Some(old) = &change.old {
                applied.digest.subtract(change.table, &change.key, old);
            }
            if let Some(new) = &change.new {
                applied.digest.add(change.table, &change.key, new);
            }
        }
        applied.last = Some(entry.log_id);
        view.live.write(&changes, &applied)?;
        self.stands_at(applied);
        Ok(Outcomes(outcomes.into_iter().map(|outcome| Opaque(Bytes::from(outcome))).collect()))
    }

    /// Puts a snapshot in the place of the live database. Readers of the old one keep it until they are done.
    fn install(&self, snapshot: &SnapshotFolder) -> Result<(), StoreError> {
        let name = self.next_live_name()?;
        let path = self.folder.join(&name);
        snapshot.unpack(&path)?;
        let live = Live::open(&path)?;
        let applied = live.applied()?;
        let manifest = snapshot.manifest();
        if applied.last != manifest.last_log_id() || applied.digest.to_bytes() != manifest.digest {
            return Err(StoreError::SnapshotState { snapshot_id: manifest.snapshot_id.clone() });
        }
        durable::sync(&self.folder)?;
        durable::replace_file(&self.folder.join(POINTER_FILE), format!("{name}\n").as_bytes())?;
        let old = {
            let mut current = self.live.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, Arc::new(live))
        };
        old.mark_replaced();
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).clear();
        tracing::info!(snapshot = manifest.snapshot_id, "snapshot installed");
        self.stands_at(applied);
        Ok(())
    }

    fn stands_at(&self, applied: Applied) {
        let index = applied.index();
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).push(index, applied.digest);
        *self.applied.lock().unwrap_or_else(PoisonError::into_inner) = applied;
        self.applied_index.send_replace(index);
    }

    fn next_live_name(&self) -> Result<String, StoreError> {
        let names = durable::names_in(&self.folder)?;
        let last = names.iter().filter_map(|name| live_number(name)).max().unwrap_or(0);
        Ok(live_name(last + 1))
    }

    fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn applied(&self) -> Applied {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The folder that the pointer names; others, left over from a crash, are removed. A new state gets its pointer
/// before its folder, so that a folder without a pointer is never taken for a new state.
fn open_live_folder(folder: &Path) -> Result<PathBuf, StoreError> {
    let pointer = folder.join(POINTER_FILE);
    let others = durable::names_in(folder)?.into_iter().filter(|name| live_number(name).is_some());
    let others = others.collect::<Vec<_>>();
    let current = match durable::read_file(&pointer)? {
        Some(bytes) => {
            let name = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            if live_number(&name).is_none() {
                return Err(StoreError::Pointer { path: pointer });
            }
            name
        }
        None if others.is_empty() => {
            let name = live_name(1);
            durable::replace_file(&pointer, format!("{name}\n").as_bytes())?;
            name
        }
        None => return Err(StoreError::Pointer { path: pointer }),
    };
    for leftover in others.iter().filter(|name| **name != current) {
        durable::remove_folder(&folder.join(leftover))?;
    }
    let path = folder.join(current);
    durable::create_folder(&path)?;
    Ok(path)
}

fn live_name(number: u64) -> String {
    format!("live-{number:08}")
}

fn live_number(name: &str) -> Option<u64> {
    name.strip_prefix("live-")?.parse().ok()
}

fn as_snapshot(folder: Arc<SnapshotFolder>) -> Snapshot<TypeConfig> {
    Snapshot { meta: folder.manifest().meta(), snapshot: Box::new(SnapshotData { folder: Some(folder) }) }
}
