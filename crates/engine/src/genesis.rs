//! The genesis file: everything a cluster begins with, written once by whoever creates it and given to every node.
//!
//! Its digest is in the marker of every disk, so that a disk of another cluster, or of another life of this one, is
//! never taken for ours. The first voter proposes [`Genesis::commands`] in order; every one of them may be proposed
//! again after a crash without changing anything.

use minicbor::bytes::ByteVec;
use sha2::{Digest, Sha256};
use strongroom_custody::command::CreateCluster;
use strongroom_topology::{self as topology, ClassRow, Registration};
use strongroom_types::{CommandDigest, NodeId, rows::encode};

use crate::machine::{Command, Idempotency};

/// What a cluster begins with.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Genesis {
    /// Custody's part; its `genesis` digest is zero in the file and filled in from the file's own digest.
    #[n(0)]
    pub create: CreateCluster,
    /// The storage class of new originals.
    #[n(1)]
    pub class: ClassRow,
    /// The first nodes.
    #[n(2)]
    pub nodes: Vec<Registration>,
    /// Which of them vote: 1, 3 or 5.
    #[n(3)]
    pub voters: Vec<NodeId>,
    /// Kept for later parts of the format.
    #[n(4)]
    pub extension: Option<ByteVec>,
}

impl Genesis {
    /// The file's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// The decoder's words where it is no genesis file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        minicbor::decode(bytes).map_err(|error| format!("this is no genesis file: {error}"))
    }

    /// SHA-256 of the file.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }

    /// The commands that create the cluster, in order, each with its own idempotency key.
    #[must_use]
    pub fn commands(&self) -> Vec<(Command, Idempotency)> {
        let genesis = self.digest();
        let create = Box::new(CreateCluster { genesis, ..self.create.clone() });
        let mut commands = vec![strongroom_custody::Command::CreateCluster(create).into()];
        commands.push(topology::Command::DefineClass(self.class.clone()).into());
        commands.extend(self.nodes.iter().map(|node| topology::Command::RegisterNode(node.clone()).into()));
        commands.push(topology::Command::SetVoters { voters: self.voters.clone() }.into());
        commands.into_iter().enumerate().map(|(step, command)| (command, idempotency(genesis, step))).collect()
    }
}

fn idempotency(genesis: [u8; 32], step: usize) -> Idempotency {
    let key = format!("genesis-{step}").parse().expect("a short name without control characters");
    Idempotency { key, request: CommandDigest::new(genesis), assent: None }
}
