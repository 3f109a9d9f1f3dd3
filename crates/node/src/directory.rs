//! Who the nodes are: rows where there are rows, the genesis file before that.
//!
//! A peer is who its certificate's key says, and nobody else; an address proves nothing.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use strongroom_engine::Genesis;
use strongroom_metastore::{ChannelError, PeerChannels};
use strongroom_net::channel::Channels;
use strongroom_topology::{DiskRow, DiskState, NodeRow, NodeState, Registration, read};
use strongroom_types::{
    KeyHash, NodeId,
    rows::{RowError, Rows},
};
use tonic::transport::Channel;

/// The nodes as this node knows them.
pub(crate) struct Directory {
    genesis: Vec<NodeRow>,
    known: RwLock<Arc<Vec<NodeRow>>>,
}

impl Directory {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        let genesis: Vec<_> =
            genesis.nodes.iter().map(|node| row_of(node, genesis.voters.contains(&node.id))).collect();
        Self { known: RwLock::new(Arc::new(genesis.clone())), genesis }
    }

    /// Takes the rows as they stand; true where anything changed. A node of the genesis file that has no row yet is
    /// known by that file, and so are the voters until rows name some: the last command of the genesis does, and comes
    /// from a voter to whom a follower must listen until then.
    pub(crate) fn refresh(&self, rows: &dyn Rows) -> Result<bool, RowError> {
        let mut nodes: BTreeMap<_, _> = self.genesis.iter().map(|node| (node.id, node.clone())).collect();
        let stored = read::nodes(rows)?;
        let rows_name_voters = stored.iter().any(|node| node.voter);
        for mut node in stored {
            if !rows_name_voters {
                node.voter = nodes.get(&node.id).is_some_and(|first| first.voter);
            }
            nodes.insert(node.id, node);
        }
        let nodes: Vec<_> = nodes.into_values().collect();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let changed = **known != nodes;
        if changed {
            *known = Arc::new(nodes);
        }
        Ok(changed)
    }

    /// Every node, removed ones included.
    pub(crate) fn nodes(&self) -> Arc<Vec<NodeRow>> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every node that has not been removed, but `own`.
    pub(crate) fn others(&self, own: NodeId) -> Vec<NodeRow> {
        let live = |node: &&NodeRow| node.id != own && node.state != NodeState::Removed;
        self.nodes().iter().filter(live).cloned().collect()
    }

    pub(crate) fn node(&self, id: NodeId) -> Option<NodeRow> {
        self.nodes().iter().find(|node| node.id == id).cloned()
    }

    /// The node whose peer certificate has this key, removed ones left out.
    pub(crate) fn by_key(&self, key: &KeyHash) -> Option<NodeId> {
        let nodes = self.nodes();
        nodes.iter().find(|node| node.peer_key == *key && node.state != NodeState::Removed).map(|node| node.id)
    }
}

/// A node's row as its registration will make it.
pub(crate) fn row_of(node: &Registration, voter: bool) -> NodeRow {
    NodeRow {
        id: node.id,
        district: node.district.clone(),
        state: NodeState::InService,
        client_address: node.client_address.clone(),
        peer_address: node.peer_address.clone(),
        peer_key: node.peer_key,
        labels: node.labels.clone(),
        disks: node.disks.iter().map(|disk| DiskRow { id: *disk, state: DiskState::InService }).collect(),
        voter,
        cosigner_vkey: node.cosigner_vkey.clone(),
        clock_vkey: node.clock_vkey.clone(),
    }
}

/// Raft's way to the other members: the node's own channels.
pub(crate) struct RaftChannels(pub(crate) Channels);

impl PeerChannels for RaftChannels {
    fn channel(&self, node: NodeId, address: &str) -> Result<Channel, ChannelError> {
        let failed = |error: strongroom_net::channel::AddressError| ChannelError {
            node,
            address: address.to_owned(),
            detail: error.to_string(),
        };
        self.0.peer(node, address).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use strongroom_types::rows::MemoryRows;

    use super::*;
    use crate::jobs::testing::{genesis, registration};

    #[test]
    fn the_first_voters_are_voters_until_rows_say_who_is() {
        let directory = Directory::new(&genesis(3));
        let first = |directory: &Directory| -> Vec<NodeId> {
            directory.nodes().iter().filter(|node| node.voter).map(|node| node.id).collect()
        };
        let voters = first(&directory);
        assert_eq!(voters, genesis(3).voters);
        // A follower may look at its rows after any of the genesis's commands: it must go on listening to the leader
        // that has the rest of them.
        let mut rows = MemoryRows::default();
        for command in genesis(3).commands().into_iter().map(|(command, _)| command) {
            if let strongroom_engine::Command::Topology(command) = command {
                strongroom_topology::apply(&mut rows, &command).expect("reads").expect("applied");
            }
            directory.refresh(&rows).expect("reads");
            assert_eq!(first(&directory), voters);
        }
        let command = strongroom_topology::Command::SetVoters { voters: vec![NodeId(3)] };
        strongroom_topology::apply(&mut rows, &command).expect("reads").expect("applied");
        directory.refresh(&rows).expect("reads");
        assert_eq!(first(&directory), [NodeId(3)]);
    }

    #[test]
    fn a_peer_is_known_by_its_key_until_it_is_removed() {
        let directory = Directory::new(&genesis(3));
        let key = registration(2).peer_key;
        assert_eq!(directory.by_key(&key), Some(NodeId(2)));
        assert_eq!(directory.by_key(&KeyHash::new([0xff; 32])), None);

        let mut rows = MemoryRows::default();
        assert!(!directory.refresh(&rows).expect("reads"), "no rows change nothing");
        for command in genesis(3).commands().into_iter().map(|(command, _)| command) {
            if let strongroom_engine::Command::Topology(command) = command {
                strongroom_topology::apply(&mut rows, &command).expect("reads").expect("applied");
            }
        }
        for state in [NodeState::Draining, NodeState::Drained, NodeState::Removed] {
            let command = strongroom_topology::Command::SetNodeState { node: NodeId(4), state };
            let joined = strongroom_topology::Command::RegisterNode(registration(4));
            strongroom_topology::apply(&mut rows, &joined).expect("reads").expect("applied");
            strongroom_topology::apply(&mut rows, &command).expect("reads").expect("applied");
        }
        assert!(directory.refresh(&rows).expect("reads"));
        assert_eq!(directory.by_key(&registration(4).peer_key), None, "removed");
        assert_eq!(directory.others(NodeId(1)).len(), 2);
    }
}
