//! A genesis without keys, for unit tests.

use std::collections::BTreeMap;

use strongroom_custody::{command::CreateCluster, tables::ClusterRow};
use strongroom_engine::Genesis;
use strongroom_topology::{ClassRow, Promise, Registration};
use strongroom_types::{ClusterId, DiskId, KeyHash, NodeId, UnixMillis};

pub(crate) fn registration(node: u8) -> Registration {
    Registration {
        id: NodeId(u64::from(node)),
        district: format!("d{node}").parse().expect("a name"),
        client_address: format!("10.0.0.{node}:1"),
        peer_address: format!("10.0.0.{node}:2"),
        peer_key: KeyHash::new([node; 32]),
        labels: BTreeMap::new(),
        disks: vec![DiskId::new([node; 16])],
        cosigner_vkey: format!("cosigner{node}"),
        clock_vkey: format!("clock{node}"),
    }
}

pub(crate) fn genesis(nodes: u8) -> Genesis {
    let cluster = ClusterRow {
        cluster: ClusterId::new([1; 16]),
        trial: true,
        created_at: UnixMillis(0),
        policy: String::new(),
        policy_digest: [0; 32],
        class: "default".to_owned(),
        origin: "test".to_owned(),
    };
    let create = CreateCluster {
        cluster,
        profiles: Vec::new(),
        units: Vec::new(),
        devices: Vec::new(),
        principals: Vec::new(),
        genesis: [0; 32],
    };
    let class = ClassRow {
        name: "default".parse().expect("a name"),
        promise: Promise::SurviveNode,
        widest: "2+1".parse().expect("a scheme"),
    };
    let voters = (1..=nodes).map(|node| NodeId(u64::from(node))).collect();
    Genesis { create, class, nodes: (1..=nodes).map(registration).collect(), voters, extension: None }
}
