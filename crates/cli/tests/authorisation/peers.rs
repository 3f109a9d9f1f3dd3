//! The peer port: people do not get in at all, and a certificate of the peer authority gets no further than the node
//! whose row names its key.

use strongroom_net::channel::is_connection_failure;
use strongroom_net::pki::AuthorityKind;
use strongroom_proto::ingest::{
    OpenUploadRequest, OpenUploadResponse, UploadHeader, UploadRequest, UploadResponse, upload_request,
};
use strongroom_proto::peer::{JoinRequest, PingRequest, PingResponse, UnwrapUploadKeyRequest, UnwrapUploadKeyResponse};
use strongroom_topology::Registration;
use strongroom_types::{NodeId, Reason, Role};
use tonic::transport::Channel;

use crate::calls::{described, original};
use crate::certificates::{forger, self_signed};
use crate::counted::Counted;
use crate::wire::{ask, call, refused};
use crate::world::World;

/// The node whose peer port is tried; nodes are counted from 0.
const NODE: usize = 5;

const JOIN: &str = "/strongroom.peer.v1.MetaService/Join";
const PING: &str = "/strongroom.peer.v1.MetaService/Ping";
const UNWRAP: &str = "/strongroom.peer.v1.MetaService/UnwrapUploadKey";

pub(crate) async fn people_do_not_reach_the_peer_port(world: &World, counted: &mut Counted) {
    let forged = forger(world, AuthorityKind::Peer).issue_peer(NodeId(1), &[], world.day()).expect("issued");
    for (what, shown) in [
        ("a station", world.of_role(Role::Station)),
        ("ops", world.of_role(Role::Ops)),
        ("security", world.of_role(Role::Security)),
        ("what a node shows clients", world.shown("nodes/n1/tls/server")),
        ("a self-signed certificate", self_signed(world)),
        ("n1 of another authority of the same name", world.write(&forged)),
    ] {
        let status =
            ask::<_, PingResponse>(&world.peer(&shown, NODE), PING, PingRequest::default()).await.expect_err(what);
        assert!(is_connection_failure(&status), "{what}: {status:?}");
        counted.expect("the certificate is not of the authority of this port");
    }
}

pub(crate) async fn a_peer_certificate_that_no_node_has_gets_nothing(world: &World) -> Counted {
    let mut counted = Counted::at(NodeId(NODE as u64 + 1));
    people_do_not_reach_the_peer_port(world, &mut counted).await;
    // Of the right authority and with n1's very name, but with another key.
    let double = world.peers.issue_peer(NodeId(1), &[], world.day()).expect("issued");
    let double = world.peer(&world.write(&double), NODE);
    let calls: Vec<_> = described(true).into_iter().filter(|path| path != JOIN).collect();
    assert_eq!(calls.len(), 12, "{calls:?}");
    for path in &calls {
        assert_eq!(refused(path, call::<(), ()>(&double, path, ()).await), Reason::RoleNotAllowed);
        counted.expect("a peer certificate that no node has");
    }
    let first = world.genesis.nodes[0].clone();
    assert_eq!(join(&double, first).await, Reason::RoleNotAllowed, "a row with another key");
    counted.expect("a node that asks to join as another");
    counted
}

pub(crate) async fn a_node_is_no_other_node(world: &World) {
    let (second, third) = (&world.genesis.nodes[1], &world.genesis.nodes[2]);
    let as_third = world.peer(&world.of_node(third.id), NODE);
    ask::<_, PingResponse>(&as_third, PING, PingRequest::default()).await.expect("a node of the cluster");
    // With its own key under the other's number.
    let from = world.status().await.ledger_size;
    let taken = Registration { id: second.id, ..third.clone() };
    assert_eq!(join(&as_third, taken).await, Reason::AlreadyExists);
    world
        .recorded(from, |records| {
            let mut tried =
                records.iter().filter(|record| record.act == "node.change" && record.result == "ALREADY_EXISTS");
            tried.next().map(|_| ()).ok_or_else(|| "the attempt to take n2's number".to_owned())
        })
        .await;
    another_nodes_upload_stays_closed(world).await;
}

/// Item keys of an upload go to the node that its stream is at, and to no other.
async fn another_nodes_upload_stays_closed(world: &World) {
    let station = world.role(Role::Station, 0);
    let open = OpenUploadRequest {
        idempotency_key: world.fresh("open"),
        original: Some(original("U1")),
        ..Default::default()
    };
    let opened: OpenUploadResponse =
        ask(&station, "/strongroom.ingest.v1.IngestService/OpenUpload", open).await.expect("a station may");
    let header =
        UploadRequest { part: Some(upload_request::Part::Header(UploadHeader { item_id: opened.item_id.clone() })) };
    call::<_, UploadResponse>(&station, "/strongroom.ingest.v1.IngestService/Upload", header)
        .await
        .expect("taken over");

    let unwrap = UnwrapUploadKeyRequest { item_id: opened.item_id, upload_epoch: 1 };
    let voter = 1;
    let gateway = world.peer(&world.of_node(NodeId(1)), voter);
    let key: UnwrapUploadKeyResponse = ask(&gateway, UNWRAP, unwrap.clone()).await.expect("the upload's own node");
    assert_eq!(key.key.len(), 32);
    let other = world.peer(&world.of_node(NodeId(5)), voter);
    let answer = ask::<_, UnwrapUploadKeyResponse>(&other, UNWRAP, unwrap).await;
    assert_eq!(refused("another node", answer), Reason::UploadSuperseded);
}

async fn join(channel: &Channel, registration: Registration) -> Reason {
    let message = JoinRequest { node_row_cbor: minicbor::to_vec(&registration).expect("encodes").into() };
    refused("a registration", call::<_, ()>(channel, JOIN, message).await)
}
