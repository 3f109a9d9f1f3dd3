//! The rollback guard: what this node has promised to others, kept outside its databases and their snapshots.
//!
//! A voter that forgets its vote can vote twice; one that forgets what it cosigned can cosign a fork. Both happen
//! when somebody puts an old disk image back. The guard remembers the newest vote, the checkpoint that was cosigned
//! last and the entry that had been applied by then. A node whose databases are behind that does not open: it is
//! wiped and rejoins under a new id. Applied state that is behind its own log is not a rollback but ordinary replay.
//!
//! Order: databases first, guard second, answer third. A crash in between leaves the databases ahead, which is fine.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use strongroom_types::{ErrorKind, NodeId};

use crate::{
    durable::{self, FileError},
    encoding::{self, CosignedRow, EncodingError, GuardRow},
    raft::{LogId, Vote},
};

const MAGIC: &[u8; 8] = b"SRGUARD1";

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
    row: Mutex<GuardRow>,
}

impl Guard {
    /// Opens the guard at `path`, or creates it for a node whose databases are empty.
    pub(crate) fn open(path: &Path, node: NodeId, databases_are_empty: bool) -> Result<Self, GuardError> {
        let row = match durable::read_file(path)? {
            Some(bytes) => encoding::unseal::<GuardRow>("the rollback guard", MAGIC, &bytes)?,
            None if databases_are_empty => {
                let row = GuardRow { node: node.0, vote: None, log_id: None, cosigned: None };
                if let Some(parent) = path.parent() {
                    durable::create_folder(parent)?;
                }
                durable::replace_file(path, &encoding::seal(MAGIC, &row))?;
                row
            }
            None => return Err(GuardError::Missing { node, path: path.to_owned() }),
        };
        if row.node != node.0 {
            return Err(GuardError::OtherNode { path: path.to_owned(), found: NodeId(row.node), expected: node });
        }
        Ok(Self { path: path.to_owned(), row: Mutex::new(row) })
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
        let mut row = self.row.lock().unwrap_or_else(PoisonError::into_inner);
        if row.vote.map(Vote::from) >= Some(vote) {
            return Ok(());
        }
        self.write(&mut row, |row| row.vote = Some(vote.into()))
    }

    /// Remembers a checkpoint before its cosignature leaves, with the entry that this node has `applied`.
    pub(crate) fn record_cosigned(&self, size: u64, root: [u8; 32], applied: Option<LogId>) -> Result<(), CosignError> {
        let mut row = self.row.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cosigned) = row.cosigned {
            if size < cosigned.size {
                return Err(CosignError::Smaller { cosigned: cosigned.size, asked: size });
            }
            if size == cosigned.size {
                return if root == cosigned.root { Ok(()) } else { Err(CosignError::OtherRoot { size }) };
            }
        }
        // Applied, not merely logged: the tail of a log may lawfully be cut, an applied entry never is.
        Ok(self.write(&mut row, |row| {
            row.cosigned = Some(CosignedRow { size, root });
            row.log_id = row.log_id.map(LogId::from).max(applied).map(Into::into);
        })?)
    }

    /// The checkpoint that was cosigned last.
    pub(crate) fn cosigned(&self) -> Option<(u64, [u8; 32])> {
        self.row().cosigned.map(|cosigned| (cosigned.size, cosigned.root))
    }

    fn write(&self, row: &mut GuardRow, change: impl FnOnce(&mut GuardRow)) -> Result<(), FileError> {
        let mut next = row.clone();
        change(&mut next);
        durable::replace_file(&self.path, &encoding::seal(MAGIC, &next))?;
        *row = next;
        Ok(())
    }

    fn row(&self) -> GuardRow {
        self.row.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
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
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[9] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(Guard::open(&path, NODE, true), Err(GuardError::Corrupt(_))));
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
        };
        let form = encoding::to_bytes(&row).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(form, format!("8403830402f583040114820a5820{}", "ab".repeat(32)));
    }
}
