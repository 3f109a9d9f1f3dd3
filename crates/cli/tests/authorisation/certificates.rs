//! Certificates that must not open the client port, and those that opened it until a moment ago.

use std::time::{Duration, Instant};

use strongroom_net::channel::is_connection_failure;
use strongroom_net::pki::{Authority, AuthorityKind, Validity, write_public};
use strongroom_proto::admin::{ListUnitsRequest, ListUnitsResponse};
use strongroom_proto::catalog::{LabelItemRequest, LabelItemResponse};
use strongroom_types::{NodeId, Reason, Role};
use tonic::Status;
use tonic::transport::Channel;

use crate::calls::{NOTHING, described};
use crate::counted::Counted;
use crate::wire::{ask, call, refused};
use crate::world::{Shown, World, wall};

/// Nodes are counted from 0. These are no voters. Each kind of refusal has a node of its own, so that its counts are its own as well.
const TLS_NODE: usize = 3;
const KEYS_NODE: usize = 4;

const DELETE: &str = "/strongroom.catalog.v1.CatalogService/DeleteItem";

const WRONG_AUTHORITY: &str = "the certificate is not of the authority of this port";
const NOT_GOOD_NOW: &str = "the certificate is not good at this time";

/// What everybody but a station may ask.
async fn units(channel: &Channel) -> Result<ListUnitsResponse, Status> {
    ask(channel, "/strongroom.admin.v1.AdminService/ListUnits", ListUnitsRequest {}).await
}

fn label(world: &World) -> LabelItemRequest {
    LabelItemRequest {
        idempotency_key: world.fresh("label"),
        item_id: NOTHING,
        name: "place".to_owned(),
        value: "gate".to_owned(),
    }
}

/// A certificate that nobody signed but its own key.
pub(crate) fn self_signed(world: &World) -> Shown {
    let made = rcgen::generate_simple_self_signed(["legal".to_owned()]).expect("made");
    let (certificate, key) = (world.cluster.path("self-signed.pem"), world.cluster.path("self-signed.key"));
    std::fs::write(&certificate, made.cert.pem()).expect("writes");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("writes");
    Shown { certificate, key }
}

/// An authority that looks exactly like the cluster's but has another key.
pub(crate) fn forger(world: &World, kind: AuthorityKind) -> Authority {
    Authority::create(kind, world.clients.cluster(), world.now).expect("an authority")
}

pub(crate) async fn certificates_that_are_not_good_open_nothing(world: &World) -> Counted {
    let hours = |from: i64, to: i64| Validity {
        not_before: world.now.plus_ms(from * 3_600_000),
        not_after: world.now.plus_ms(to * 3_600_000),
    };
    let issue =
        |authority: &Authority, validity| world.write(&authority.issue_client("legal", validity).expect("issued"));
    let mut counted = Counted::at(NodeId(TLS_NODE as u64 + 1));
    for (what, shown, fault) in [
        ("self-signed", self_signed(world), WRONG_AUTHORITY),
        (
            "of another authority of the same name",
            issue(&forger(world, AuthorityKind::Client), world.day()),
            WRONG_AUTHORITY,
        ),
        ("expired", issue(&world.clients, hours(-2, -1)), NOT_GOOD_NOW),
        ("not good yet", issue(&world.clients, hours(1, 2)), NOT_GOOD_NOW),
        ("a node's, for peers", world.of_node(NodeId(1)), WRONG_AUTHORITY),
        ("a node's, for answering clients", world.shown("nodes/n1/tls/server"), WRONG_AUTHORITY),
    ] {
        let status = units(&world.client(&shown, TLS_NODE)).await.expect_err(what);
        assert!(is_connection_failure(&status), "{what}: {status:?}");
        counted.expect(fault);
    }
    let status = units(&world.anonymous(TLS_NODE)).await.expect_err("no certificate");
    assert!(is_connection_failure(&status), "{status:?}");
    counted.expect("no certificate was shown");
    counted
}

pub(crate) async fn keys_that_nobody_registered_get_nothing_and_cannot_flood_the_ledger(world: &World) -> Counted {
    let from = world.status().await.ledger_size;
    let stranger = world.client(&world.stranger(), KEYS_NODE);
    let mut counted = Counted::at(NodeId(KEYS_NODE as u64 + 1));
    for _ in 0..5 {
        assert_eq!(refused("a look", units(&stranger).await), Reason::UnknownPrincipal);
        let path = "/strongroom.catalog.v1.CatalogService/LabelItem";
        let labelled = ask::<_, LabelItemResponse>(&stranger, path, label(world)).await;
        assert_eq!(refused("a change", labelled), Reason::UnknownPrincipal);
        let deleted = call::<(), ()>(&stranger, DELETE, ()).await;
        assert_eq!(refused("a call that there is none of", deleted), Reason::NoSuchAct);
        for _ in 0..3 {
            counted.expect("a call by an unknown key");
        }
    }
    let alone = |record: &&crate::world::Record| ["UNKNOWN_PRINCIPAL", "NO_SUCH_ACT"].contains(&record.result.as_str());
    assert_eq!(world.records(from).iter().filter(alone).count(), 0, "they are counted, not recorded one by one");

    let (_, shown) = world.register(&[Role::Legal], None);
    let good = std::fs::read_to_string(&shown.certificate).expect("reads");
    let validity = Validity { not_before: world.now.plus_ms(-3_600_000), not_after: wall().plus_ms(3000) };
    let ending = world.clients.renew(&good, validity).expect("renewed");
    write_public(&shown.certificate, &ending).expect("writes");
    ends_while_it_is_connected(&world.client(&shown, KEYS_NODE)).await;
    counted.expect("the certificate has ended");
    counted
}

/// A connection may outlive its certificate, a request may not.
async fn ends_while_it_is_connected(channel: &Channel) {
    units(channel).await.expect("still good");
    let deadline = Instant::now() + Duration::from_secs(10);
    let status = loop {
        match units(channel).await {
            Ok(_) => assert!(Instant::now() < deadline, "the certificate has ended and still opens"),
            Err(status) => break status,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(crate::wire::reason(&status), Some(Reason::Unauthenticated), "{status:?}");
}

pub(crate) async fn revocation_and_rotation_are_effective_at_once_everywhere(world: &World) {
    let (name, old) = world.register(&[Role::Legal], None);
    let everywhere: Vec<_> = (0..world.nodes()).map(|node| world.client(&old, node)).collect();
    for channel in &everywhere {
        units(channel).await.expect("registered");
    }
    let from = world.status().await.ledger_size;
    let new = world.stranger();
    world.cluster.done(&["principal", "rotate", &name, "--certificate", &new.certificate.display().to_string()]);
    for channel in &everywhere {
        assert_eq!(refused("a replaced key", units(channel).await), Reason::UnknownPrincipal);
    }
    let label_path = "/strongroom.catalog.v1.CatalogService/LabelItem";
    let labelled = ask::<_, LabelItemResponse>(&everywhere[0], label_path, label(world)).await;
    assert_eq!(refused("a replaced key", labelled), Reason::UnknownPrincipal);

    let everywhere: Vec<_> = (0..world.nodes()).map(|node| world.client(&new, node)).collect();
    for channel in &everywhere {
        units(channel).await.expect("the key that it was replaced by");
    }
    world.revoke(&name);
    for channel in &everywhere {
        assert_eq!(refused("a revoked key", units(channel).await), Reason::PrincipalRevoked);
        let labelled = ask::<_, LabelItemResponse>(channel, label_path, label(world)).await;
        assert_eq!(refused("a revoked key", labelled), Reason::PrincipalRevoked);
    }
    let nodes = world.nodes();
    world
        .recorded(from, |records| {
            let of = |act: &str, result: &str| {
                let fits = |record: &&crate::world::Record| {
                    record.actor == name && record.act == act && record.result == result
                };
                records.iter().filter(fits).count()
            };
            let found = [
                of("unit.list", "UNKNOWN_PRINCIPAL"),
                of("item.label", "UNKNOWN_PRINCIPAL"),
                of("unit.list", "PRINCIPAL_REVOKED"),
                of("item.label", "PRINCIPAL_REVOKED"),
            ];
            if found == [nodes, 1, nodes, nodes] { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
}

pub(crate) async fn nothing_of_the_peers_is_on_the_client_port(world: &World) {
    let from = world.status().await.ledger_size;
    let ops = world.role(Role::Ops, 0);
    let mut paths = described(true);
    paths.push(DELETE.to_owned());
    for path in &paths {
        assert_eq!(refused(path, call::<(), ()>(&ops, path, ()).await), Reason::NoSuchAct);
    }
    world
        .recorded(from, |records| {
            let called = |path: &&String| {
                !records.iter().any(|record| {
                    record.actor == "ops" && record.result == "NO_SUCH_ACT" && record.facts.get("call") == Some(*path)
                })
            };
            let missing: Vec<_> = paths.iter().filter(called).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?}")) }
        })
        .await;
}
