//! One person takes one step, rights end at the unit, and a profile narrows the table but never widens it.

use std::fs;

use bytes::Bytes;
use strongroom_proto::catalog::{ListItemsRequest, ListItemsResponse, ShowItemRequest, ShowItemResponse};
use strongroom_proto::ingest::{
    FetchReceiptRequest, FetchReceiptResponse, IngestOriginalRequest, IngestOriginalResponse, OpenUploadRequest,
    OpenUploadResponse,
};
use strongroom_proto::request::{Act, SubmitRequestResponse};
use strongroom_proto::status::to_refusal;
use strongroom_testkit::bytes;
use strongroom_types::{Reason, Role};

use crate::calls::original;
use crate::grants::{SUBMIT, approve, copy_out, granted, reject, submission, submit, view};
use crate::wire::{ask, refused};
use crate::world::World;

const PROFILE: &str = include_str!("../../../../profiles/dev.toml");

pub(crate) async fn one_person_takes_one_step(world: &World) {
    let item = world.ingest(&bytes(1000, 21));
    let (_, shown) = world.register(&[Role::Legal, Role::Approver, Role::Head, Role::Archivist, Role::UnitHead], None);
    let jack = world.client(&shown, 5);
    for act in [Act::Copy, Act::View] {
        let own = submit(world, &jack, act, &item).await.expect("legal may ask");
        assert_eq!(refused("own request approved", approve(world, &shown, 5, &own).await), Reason::SamePerson);
        assert_eq!(refused("own request rejected", reject(world, &jack, &own).await), Reason::SamePerson);
        approve(world, &world.of_role(Role::Head), 0, &own).await.expect("another may");
        let request = submit(world, &world.role(Role::Legal, 1), act, &item).await.expect("legal may ask");
        approve(world, &shown, 5, &request).await.expect("an approver");
        for (what, id) in [("own request", &own), ("own approval", &request)] {
            let begun = match act {
                Act::View => view(world, &jack, id, &item).await,
                _ => copy_out(world, &jack, id).await,
            };
            assert_eq!(refused(what, begun), Reason::SamePerson, "{what}, {act:?}");
        }
    }
}

pub(crate) async fn rights_end_at_the_unit(world: &World) {
    let item = world.ingest(&bytes(1000, 22));
    let unit = world.fresh("unit");
    world.cluster.done(&["unit", "add", &unit, "--name", "another", "--profile", "dev"]);
    let shown = |role| world.register(&[role], Some(&unit)).1;
    let of_unit = |role| world.client(&shown(role), 4);
    let outside = Reason::OutsideUnit;

    let (archivist, legal, approver) = (of_unit(Role::Archivist), of_unit(Role::Legal), shown(Role::Approver));
    let request = granted(world, Act::Copy, &item).await;
    assert_eq!(refused("copy", copy_out(world, &archivist, &request).await), outside);
    assert_eq!(refused("standing view", view(world, &legal, "", &item).await), outside);
    assert_eq!(refused("submit", submit(world, &legal, Act::Copy, &item).await), outside);
    let pending = submit(world, &world.role(Role::Legal, 0), Act::Copy, &item).await.expect("legal may ask");
    assert_eq!(refused("approve", approve(world, &approver, 4, &pending).await), outside);
    let show = ShowItemRequest { item_id: item.clone() };
    let shown: Result<ShowItemResponse, _> = ask(&legal, "/strongroom.catalog.v1.CatalogService/ShowItem", show).await;
    assert_eq!(refused("show", shown), outside);
    let path = "/strongroom.catalog.v1.CatalogService/ListItems";
    let listed: ListItemsResponse = ask(&legal, path, ListItemsRequest::default()).await.expect("their own unit's");
    assert_eq!(listed.items.len(), 0, "another unit's items are not listed");
    let all = ListItemsRequest { unit_id: "U1".to_owned(), ..Default::default() };
    assert_eq!(refused("list", ask::<_, ListItemsResponse>(&legal, path, all).await), outside);

    a_station_serves_its_unit(world, &unit, &item).await;
}

async fn a_station_serves_its_unit(world: &World, unit: &str, item: &Bytes) {
    let station = world.client(&world.register(&[Role::Station], Some(unit)).1, 2);
    let open = OpenUploadRequest {
        idempotency_key: world.fresh("open"),
        original: Some(original("U1")),
        ..Default::default()
    };
    let opened: Result<OpenUploadResponse, _> =
        ask(&station, "/strongroom.ingest.v1.IngestService/OpenUpload", open).await;
    assert_eq!(refused("open", opened), Reason::OutsideUnit);
    let small = IngestOriginalRequest {
        idempotency_key: world.fresh("ingest"),
        original: Some(original("U1")),
        data: Bytes::from_static(b"footage"),
        ..Default::default()
    };
    let path = "/strongroom.ingest.v1.IngestService/IngestOriginal";
    assert_eq!(refused("ingest", ask::<_, IngestOriginalResponse>(&station, path, small).await), Reason::OutsideUnit);
    let fetch = FetchReceiptRequest { item_id: item.clone() };
    let path = "/strongroom.ingest.v1.IngestService/FetchReceipt";
    assert_eq!(refused("receipt", ask::<_, FetchReceiptResponse>(&station, path, fetch).await), Reason::OutsideUnit);
}

pub(crate) async fn a_profile_narrows_and_never_widens(world: &World) {
    let item = world.ingest(&bytes(1000, 23));
    // The table lets both ask; the profile's chain for copies names one of them.
    for (role, may) in [(Role::UnitHead, true), (Role::Custodian, false), (Role::Recorder, false)] {
        let message = submission(world.fresh("submit"), Act::Copy, &item);
        match ask::<_, SubmitRequestResponse>(&world.role(role, 3), SUBMIT, message).await {
            Ok(_) => assert!(may, "{role} may not ask for a copy"),
            Err(status) => {
                assert!(!may, "{role}: {status:?}");
                let refusal = to_refusal(&status);
                assert_eq!((refusal.reason, refusal.rule.as_str()), (Reason::RoleNotAllowed, "R-003-6c"));
            }
        }
    }
    for (from, to) in [
        ("executors = [\"archivist\"]", "executors = [\"archivist\", \"ops\"]"),
        ("executors = [\"archivist\"]", "executors = [\"station\"]"),
        ("requesters = [\"legal\", \"unit-head\"]", "requesters = [\"legal\", \"auditor\"]"),
        ("any = [\"approver\", \"head\"]", "any = [\"approver\", \"security\"]"),
        ("roles = [\"recorder\", \"unit-head\", \"legal\"]", "roles = [\"recorder\", \"ops\"]"),
    ] {
        let widened = PROFILE.replacen(from, to, 1);
        assert_ne!(widened, PROFILE, "{from} is in the built-in profile");
        let (profile, dir) = (world.cluster.path("widened.toml"), world.cluster.path("widened"));
        fs::write(&profile, widened).expect("writes");
        let (profile, dir) = (profile.display().to_string(), dir.display().to_string());
        let said = world.cluster.refused(1, &["dev", "up", "--dir", &dir, "--nodes", "2", "--profile", &profile]);
        assert!(said.contains("profile"), "{to}: {said}");
        assert!(!fs::exists(&dir).expect("reads"), "{to} made a cluster");
    }
}
