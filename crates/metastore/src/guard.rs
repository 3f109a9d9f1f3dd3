//! The rollback guard: what this node has promised to others, kept outside its databases and their snapshots.
//!
//! A voter that forgets its vote can vote twice; one that forgets what it cosigned can cosign a fork. Both happen
//! when somebody puts an old disk image back. The guard remembers the newest vote, the checkpoint that was cosigned
//! last and the entry that had been applied by then. A node whose databases are behind that does not open: it is
//! wiped and rejoins under a new id. Applied state that is behind its own log is not a rollback but ordinary replay.
//!
//! Order: databases first, guard second, answer third. A crash in between leaves the databases ahead, which is fine.
//!
//! The file is two slots of two equal copies. A write goes to the slot that is not the newest, in place, so that syncing
//! it needs no entry in the file system's journal: a voter cosigns up to sixty times in a second. Of the copies that decode
//! the newest counts. A write that a power cut tore costs the slot it went to, which had not been answered for; one copy
//! that rots costs nothing.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use strongroom_types::{ErrorKind, NodeId};

use crate::{
    durable::{self, FileError},
    encoding::{self, CosignedRow, EncodingError, GuardRow},
    raft::{LogId, Vote},
};

const MAGIC: &[u8; 8] = b"SRGUARD2";

/// One copy: a length (u32, big-endian), the sealed row, zeros. No smaller than a sector of any disk, so that a torn
/// write of one copy leaves its neighbours alone.
const COPY_BYTES: usize = 4096;
/// Copies in a slot, written and synced together.
const SLOT_COPIES: usize = 2;
/// Slots, written in turn: the second after an odd number of writes.
const SLOTS: usize = 2;

const WHAT: &str = "the rollback guard";

/// Why the guard lets a node not open.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The databases are behind what this node has promised.
    #[error(
        "rollback suspected on node {node}: {what} stands at {found}, but this node has answered for {promised}; \
         wipe its metadata and let it rejoin under a new id"
    )]
    RollbackSuspected {
        /// The node.
        node: NodeId,
        /// What is behind: the vote or the log.
        what: &'static str,
        /// What the databases hold.
        found: String,
        /// What the guard remembers.
        promised: String,
    },
    /// There are databases but no guard.
    #[error("the databases of node {node} hold data, but {} is gone; wipe its metadata and let it rejoin under a new id", path.display())]
    Missing {
        /// The node.
        node: NodeId,
        /// Where the guard should be.
        path: PathBuf,
    },
    /// The guard is another node's.
    #[error("{} is the guard of node {found}, not of {expected}", path.display())]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: NodeId,
        /// Who asks.
        expected: NodeId,
    },
    /// The guard does not decode. It is never taken for absent.
    #[error(transparent)]
    Corrupt(#[from] EncodingError),
    /// The guard could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Why a checkpoint may not be cosigned.
#[derive(Debug, thiserror::Error)]
pub enum CosignError {
    /// A smaller tree than one that was cosigned before.
    #[error("this node has cosigned a tree of {cosigned} records and will not cosign one of {asked}")]
    Smaller {
        /// Size cosigned last.
        cosigned: u64,
        /// Size asked for.
        asked: u64,
    },
    /// The same size with another root: a fork.
    #[error("this node has cosigned another root for the tree of {size} records")]
    OtherRoot {
        /// The size.
        size: u64,
    },
    /// The guard could not be written, so nothing may be signed.
    #[error(transparent)]
    File(#[from] FileError),
}

impl CosignError {
    /// What the caller should do.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Smaller { .. } => ErrorKind::TryAgain,
            Self::OtherRoot { .. } | Self::File(_) => ErrorKind::WeAreBroken,
        }
    }
}

/// The guard of one node.
#[derive(Debug)]
pub(crate) struct Guard {
    path: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    file: File,
    row: GuardRow,
    /// A write or sync failed: what the disk holds is unknown until the guard is opened again.
    failed: bool,
}

impl Guard {
    /// Opens the guard at `path`, or creates it for a node whose databases are empty.
    pub(crate) fn open(path: &Path, node: NodeId, databases_are_empty: bool) -> Result<Self, GuardError> {
        let row = match durable::read_file(path)? {
            Some(bytes) => newest(&bytes)?,
            None if databases_are_empty => {
                let row = GuardRow { node: node.0, vote: None, log_id: None, cosigned: None, turn: 0 };
                if let Some(parent) = path.parent() {
                    durable::create_folder(parent)?;
                }
                durable::replace_file(path, &slot(&row).repeat(SLOTS))?;
                row
            }
            None => return Err(GuardError::Missing { node, path: path.to_owned() }),
        };
        if row.node != node.0 {
            return Err(GuardError::OtherNode { path: path.to_owned(), found: NodeId(row.node), expected: node });
        }
        let file = OpenOptions::new().write(true).open(path);
        let file = file.map_err(|source| FileError { act: "open", path: path.to_owned(), source })?;
        let guard = Self { path: path.to_owned(), kept: Mutex::new(Kept { file, row, failed: false }) };
        // Where a copy of the newest slot was torn or has rotted, there are two again.
        guard.write(&mut guard.kept(), |_| ())?;
        Ok(guard)
    }

    /// Compares the databases with what was promised.
    pub(crate) fn check(&self, vote: Option<Vote>, last: Option<LogId>) -> Result<(), GuardError> {
        let row = self.row();
        let promised_vote = row.vote.map(Vote::from);
        let promised_log = row.log_id.map(LogId::from);
        let suspect = |what, found: Option<String>, promised: Option<String>| GuardError::RollbackSuspected {
            node: NodeId(row.node),
            what,
            found: found.unwrap_or_else(|| "nothing".to_owned()),
            promised: promised.unwrap_or_else(|| "nothing".to_owned()),
        };
        if vote < promised_vote {
            let text = |vote: Option<Vote>| vote.map(|vote| vote.to_string());
            return Err(suspect("its vote", text(vote), text(promised_vote)));
        }
        if last < promised_log {
            let text = |id: Option<LogId>| id.map(|id| id.to_string());
            return Err(suspect("its log", text(last), text(promised_log)));
        }
        Ok(())
    }

    /// Remembers a vote that the log store has saved. An older one changes nothing.
    pub(crate) fn record_vote(&self, vote: Vote) -> Result<(), FileError> {
        let mut kept = self.kept();
        if kept.row.vote.map(Vote::from) >= Some(vote) {
            return Ok(());
        }
        self.write(&mut kept, |row| row.vote = Some(vote.into()))
    }

    /// Remembers a checkpoint before its cosignature leaves, with the entry that this node has `applied`.
    pub(crate) fn record_cosigned(&self, size: u64, root: [u8; 32], applied: Option<LogId>) -> Result<(), CosignError> {
        let mut kept = self.kept();
        if let Some(cosigned) = kept.row.cosigned {
            if size < cosigned.size {
                return Err(CosignError::Smaller { cosigned: cosigned.size, asked: size });
            }
            if size == cosigned.size {
                return if root == cosigned.root { Ok(()) } else { Err(CosignError::OtherRoot { size }) };
            }
        }
        // Applied, not merely logged: the tail of a log may lawfully be cut, an applied entry never is.
        Ok(self.write(&mut kept, |row| {
            row.cosigned = Some(CosignedRow { size, root });
            row.log_id = row.log_id.map(LogId::from).max(applied).map(Into::into);
        })?)
    }

    /// The checkpoint that was cosigned last.
    pub(crate) fn cosigned(&self) -> Option<(u64, [u8; 32])> {
        self.row().cosigned.map(|cosigned| (cosigned.size, cosigned.root))
    }

    fn write(&self, kept: &mut Kept, change: impl FnOnce(&mut GuardRow)) -> Result<(), FileError> {
        let failed = |source| FileError { act: "write", path: self.path.clone(), source };
        if kept.failed {
            return Err(failed(io::Error::other("an earlier write failed; end this node and look at its disk")));
        }
        let mut next = kept.row.clone();
        change(&mut next);
        next.turn += 1;
        let slot = slot(&next);
        let offset = if next.turn.is_multiple_of(2) { 0 } else { slot.len() as u64 };
        let written = kept.file.write_all_at(&slot, offset).and_then(|()| kept.file.sync_data());
        kept.failed = written.is_err();
        written.map_err(failed)?;
        kept.row = next;
        Ok(())
    }

    fn row(&self) -> GuardRow {
        self.kept().row.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of a slot that says `row`.
fn slot(row: &GuardRow) -> Vec<u8> {
    let sealed = encoding::seal(MAGIC, row);
    let length = u32::try_from(sealed.len()).expect("a row is some hundred bytes");
    let mut copy = length.to_be_bytes().to_vec();
    copy.extend(sealed);
    assert!(copy.len() <= COPY_BYTES, "a row fits into its copy");
    copy.resize(COPY_BYTES, 0);
    copy.repeat(SLOT_COPIES)
}

/// The newest row of all copies in `bytes` that decode.
fn newest(bytes: &[u8]) -> Result<GuardRow, EncodingError> {
    let mut refused = EncodingError { what: WHAT, detail: "it is empty".to_owned() };
    let mut found: Option<GuardRow> = None;
    for copy in bytes.chunks(COPY_BYTES) {
        match read_copy(copy) {
            Ok(row) if found.as_ref().is_none_or(|newest| newest.turn < row.turn) => found = Some(row),
            Ok(_) => {}
            Err(error) => refused = error,
        }
    }
    found.ok_or(refused)
}

fn read_copy(copy: &[u8]) -> Result<GuardRow, EncodingError> {
    let short = || EncodingError { what: WHAT, detail: "too short".to_owned() };
    let (length, rest) = copy.split_first_chunk::<4>().ok_or_else(short)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| short())?;
    encoding::unseal(WHAT, MAGIC, rest.get(..length).ok_or_else(short)?)
}

#[cfg(test)]
mod tests {
    use openraft::CommittedLeaderId;

    use super::*;

    const NODE: NodeId = NodeId(3);

    fn log_id(term: u64, index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(term, 1), index)
    }

    #[test]
    fn databases_behind_a_vote_or_a_cosigned_entry_are_a_rollback() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/guard");
        let guard = Guard::open(&path, NODE, true).unwrap();
        guard.check(None, None).unwrap();
        guard.record_vote(Vote::new(4, 2)).unwrap();
        guard.record_cosigned(10, [1; 32], Some(log_id(4, 20))).unwrap();
        drop(guard);
        let guard = Guard::open(&path, NODE, false).unwrap();
        guard.check(Some(Vote::new(4, 2)), Some(log_id(4, 20))).unwrap();
        guard.check(Some(Vote::new_committed(5, 1)), Some(log_id(4, 21))).unwrap();
        for (vote, last, what) in [
            (None, Some(log_id(4, 20)), "its vote"),
            (Some(Vote::new(3, 3)), Some(log_id(4, 20)), "its vote"),
            (Some(Vote::new(4, 1)), Some(log_id(4, 20)), "its vote"),
            (Some(Vote::new(4, 2)), Some(log_id(4, 19)), "its log"),
            (Some(Vote::new(4, 2)), Some(log_id(3, 30)), "its log"),
            (Some(Vote::new(4, 2)), None, "its log"),
        ] {
            let refused = guard.check(vote, last).unwrap_err();
            assert!(
                matches!(&refused, GuardError::RollbackSuspected { what: found, .. } if *found == what),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_smaller_tree_or_another_root_is_not_cosigned() {
        let dir = tempfile::tempdir().unwrap();
        let guard = Guard::open(&dir.path().join("guard"), NODE, true).unwrap();
        guard.record_cosigned(10, [1; 32], None).unwrap();
        guard.record_cosigned(10, [1; 32], None).unwrap();
        assert!(matches!(guard.record_cosigned(10, [2; 32], None), Err(CosignError::OtherRoot { size: 10 })));
        assert!(matches!(
            guard.record_cosigned(9, [1; 32], None),
            Err(CosignError::Smaller { cosigned: 10, asked: 9 })
        ));
        guard.record_cosigned(11, [2; 32], None).unwrap();
        assert_eq!(guard.cosigned(), Some((11, [2; 32])));
    }

    #[test]
    fn a_missing_corrupt_or_foreign_guard_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("guard");
        assert!(matches!(Guard::open(&path, NODE, false), Err(GuardError::Missing { .. })));
        Guard::open(&path, NODE, true).unwrap();
        assert!(matches!(Guard::open(&path, NodeId(4), true), Err(GuardError::OtherNode { found: NODE, .. })));
        let bytes = std::fs::read(&path).unwrap();
        let rotten = bytes.chunks(COPY_BYTES).flat_map(|copy| [&copy[..9], &[copy[9] ^ 1], &copy[10..]].concat());
        std::fs::write(&path, rotten.collect::<Vec<_>>()).unwrap();
        assert!(matches!(Guard::open(&path, NODE, true), Err(GuardError::Corrupt(_))));
        for length in [0, 3, 40] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(matches!(Guard::open(&path, NODE, true), Err(GuardError::Corrupt(_))), "{length} bytes");
        }
    }

    #[test]
    fn a_torn_write_leaves_what_was_answered_for_and_a_rotten_copy_costs_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("guard");
        let guard = Guard::open(&path, NODE, true).unwrap();
        for size in 1..=4 {
            let before = std::fs::read(&path).unwrap();
            let answered = guard.row();
            guard.record_cosigned(size, [1; 32], None).unwrap();
            let after = std::fs::read(&path).unwrap();
            let written = guard.row();
            for copy in 0..4 {
                let mut rotten = after.clone();
                rotten[copy * COPY_BYTES + 20] ^= 1;
                assert_eq!(newest(&rotten).unwrap(), written, "copy {copy} of the file has rotted");
            }
            for cut in (0..after.len()).filter(|byte| before[*byte] != after[*byte]) {
                let front = [&after[..=cut], &before[cut + 1..]].concat();
                let back = [&before[..cut], &after[cut..]].concat();
                for torn in [front, back] {
                    let found = newest(&torn).unwrap();
                    assert!(found == answered || found == written, "torn at {cut}: {found:?}");
                }
            }
        }
        drop(guard);
        let mut rotten = std::fs::read(&path).unwrap();
        rotten.iter_mut().step_by(COPY_BYTES).step_by(SLOT_COPIES).for_each(|byte| *byte ^= 1);
        std::fs::write(&path, rotten).unwrap();
        let guard = Guard::open(&path, NODE, false).unwrap();
        assert_eq!(guard.cosigned(), Some((4, [1; 32])));
        let copies = std::fs::read(&path).unwrap();
        let (first, second) = copies.split_at(COPY_BYTES * SLOT_COPIES);
        let newest_slot = if guard.row().turn.is_multiple_of(2) { first } else { second };
        assert_eq!(newest_slot, slot(&guard.row()), "opened again, there are two good copies");
    }

    #[test]
    fn after_a_failed_write_nothing_is_promised_until_the_guard_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("guard");
        let guard = Guard::open(&path, NODE, true).unwrap();
        guard.record_cosigned(1, [1; 32], None).unwrap();
        let writable = std::mem::replace(&mut guard.kept().file, File::open(&path).unwrap());
        assert!(matches!(guard.record_cosigned(2, [2; 32], None), Err(CosignError::File(_))));
        guard.kept().file = writable;
        assert!(matches!(guard.record_cosigned(2, [2; 32], None), Err(CosignError::File(_))));
        assert_eq!(guard.cosigned(), Some((1, [1; 32])));
        drop(guard);
        Guard::open(&path, NODE, false).unwrap().record_cosigned(2, [2; 32], None).unwrap();
    }

    #[test]
    fn an_older_vote_does_not_replace_a_newer_one() {
        let dir = tempfile::tempdir().unwrap();
        let guard = Guard::open(&dir.path().join("guard"), NODE, true).unwrap();
        guard.record_vote(Vote::new_committed(7, 1)).unwrap();
        guard.record_vote(Vote::new(6, 1)).unwrap();
        assert!(guard.check(Some(Vote::new(7, 1)), None).is_err(), "an uncommitted vote is older");
    }

    #[test]
    fn golden_bytes_of_the_guard() {
        let row = GuardRow {
            node: 3,
            vote: Some(Vote::new_committed(4, 2).into()),
            log_id: Some(log_id(4, 20).into()),
            cosigned: Some(CosignedRow { size: 10, root: [0xab; 32] }),
            turn: 7,
        };
        let form = encoding::to_bytes(&row).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(form, format!("8503830402f583040114820a5820{}07", "ab".repeat(32)));
        let slot = slot(&row);
        assert_eq!(slot.len(), 8192);
        assert_eq!(slot[..12], *b"\0\0\0\x57SRGUARD2");
        assert_eq!(slot[..4096], slot[4096..]);
    }
}
