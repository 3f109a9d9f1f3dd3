//! The seam to the rules: what an entry does to the rows.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use strongroom_types::{
    NodeId,
    rows::{RowError, Rows},
};

use crate::raft::RaftMembership;

/// Position of an entry in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryPosition {
    /// Term of the leader that wrote it.
    pub term: u64,
    /// Its index.
    pub index: u64,
}

/// Who belongs to the Raft group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Voters; while a change is under way, those of the old and of the new set.
    pub voters: BTreeSet<NodeId>,
    /// Members without a vote.
    pub learners: BTreeSet<NodeId>,
    /// Where each member is reached.
    pub addresses: BTreeMap<NodeId, String>,
    /// Whether a change of voters is under way.
    pub changing: bool,
}

impl From<&RaftMembership> for Members {
    fn from(membership: &RaftMembership) -> Self {
        Self {
            voters: membership.voter_ids().map(NodeId).collect(),
            learners: membership.learner_ids().map(NodeId).collect(),
            addresses: membership.nodes().map(|(node, peer)| (NodeId(*node), peer.address.clone())).collect(),
            changing: membership.get_joint_config().len() > 1,
        }
    }
}

/// The rules as the log sees them. Everything here must depend on the rows and the arguments alone: each replica
/// calls it with the same and must come to the same.
pub trait Applier: Send + Sync + 'static {
    /// Applies the commands of one entry, in order, and gives one outcome for each.
    ///
    /// # Errors
    /// A [`RowError`] stops the node: nothing of the entry is written.
    fn apply(&self, rows: &mut dyn Rows, at: EntryPosition, commands: &[Bytes]) -> Result<Vec<Vec<u8>>, RowError>;

    /// Whether a command that node `from` sent may be written to the log. Asked of the leader alone, and only about
    /// commands of other nodes; what it says is not part of the state. Says yes unless overridden.
    ///
    /// # Errors
    /// Why not. A command that could not be applied must not get this far: it would stop every replica.
    fn admit(&self, from: NodeId, command: &Bytes) -> Result<(), String> {
        let _ = (from, command);
        Ok(())
    }

    /// Called once for each entry that changes the members. Does nothing unless overridden.
    ///
    /// # Errors
    /// A [`RowError`] stops the node: nothing of the entry is written.
    fn members_changed(&self, rows: &mut dyn Rows, at: EntryPosition, members: &Members) -> Result<(), RowError> {
        let _ = (rows, at, members);
        Ok(())
    }
}
