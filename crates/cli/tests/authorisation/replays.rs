//! A repeated call is answered as it was, whichever node it reaches; a key that comes with another request is refused,
//! and so is whoever repeats a call after their access ended.

use std::fmt::Debug;
use std::fs;

use bytes::Bytes;
use prost::Message;
use strongroom_net::pki::key_hash_of_certificate;
use strongroom_proto::access::{
    BeginCopyOutRequest, BeginCopyOutResponse, BeginViewRequest, BeginViewResponse, EndSessionRequest,
    EndSessionResponse,
};
use strongroom_proto::admin::{
    AddDeviceRequest, AddDeviceResponse, AddUnitRequest, AddUnitResponse, Device, RegisterPrincipalRequest,
    RegisterPrincipalResponse, RevokePrincipalRequest, RevokePrincipalResponse, RotatePrincipalRequest,
    RotatePrincipalResponse, Unit,
};
use strongroom_proto::catalog::{LabelItemRequest, LabelItemResponse};
use strongroom_proto::ingest::{
    IngestOriginalRequest, IngestOriginalResponse, OpenUploadRequest, OpenUploadResponse, SealRequest, SealResponse,
    UploadData, UploadHeader, UploadRequest, UploadResponse, upload_request::Part,
};
use strongroom_proto::request::{
    Act, ApproveRequestRequest, ApproveRequestResponse, RejectRequestRequest, RejectRequestResponse,
    SubmitRequestResponse,
};
use strongroom_testkit::bytes;
use strongroom_types::{Assent, Reason, Role};
use tonic::transport::Channel;

use crate::calls::original;
use crate::grants::{APPROVE, COPY_OUT, END, REJECT, SUBMIT, VIEW, assent, granted, sign, submission, submit};
use crate::wire::{ask, ask_signed, call_all, refused};
use crate::world::World;

const ADMIN: &str = "/strongroom.admin.v1.AdminService";
const INGEST: &str = "/strongroom.ingest.v1.IngestService";
const LABEL: &str = "/strongroom.catalog.v1.CatalogService/LabelItem";

/// One person at two nodes.
struct Twice {
    here: Channel,
    there: Channel,
}

impl Twice {
    fn role(world: &World, role: Role) -> Self {
        Self { here: world.role(role, 0), there: world.role(role, 4) }
    }

    /// Makes the call twice with the same content and then, under the same key, with another.
    async fn calls<M, R, O>(&self, path: &str, same: M, other: M, outcome: impl Fn(&R) -> O) -> R
    where
        M: Message + Clone + 'static,
        R: Message + Default + 'static,
        O: PartialEq + Debug,
    {
        self.calls_signed(path, same, other, None, outcome).await
    }

    /// The same, with what the caller signed of the first.
    async fn calls_signed<M, R, O>(
        &self,
        path: &str,
        same: M,
        other: M,
        signature: Option<&[u8]>,
        outcome: impl Fn(&R) -> O,
    ) -> R
    where
        M: Message + Clone + 'static,
        R: Message + Default + 'static,
        O: PartialEq + Debug,
    {
        let asked = |channel, message| ask_signed::<M, R>(channel, path, message, signature);
        let first = asked(&self.here, same.clone()).await.unwrap_or_else(|status| panic!("{path}: {status:?}"));
        let again = asked(&self.there, same).await.unwrap_or_else(|status| panic!("{path} again: {status:?}"));
        assert_eq!(outcome(&first), outcome(&again), "{path}");
        for channel in [&self.here, &self.there] {
            let misused = asked(channel, other.clone()).await;
            assert_eq!(refused(path, misused), Reason::IdempotencyKeyReused, "{path}");
        }
        first
    }
}

pub(crate) async fn a_key_answers_one_request_and_no_other(world: &World) {
    let item = ingests(world).await;
    requests(world, &item).await;
    sessions(world, &item).await;
    registers(world).await;
    // A key is its caller's own: somebody else may draw the same one.
    let label = |value: &str| labelled("shared", &item, value);
    let mine: LabelItemResponse = ask(&world.role(Role::Legal, 0), LABEL, label("mine")).await.expect("legal may");
    let theirs: LabelItemResponse =
        ask(&world.role(Role::Custodian, 0), LABEL, label("theirs")).await.expect("they may");
    assert!(theirs.record_seq > mine.record_seq);
}

async fn ingests(world: &World) -> Bytes {
    let station = Twice::role(world, Role::Station);
    let content = Bytes::from(bytes(10_000, 31));
    let original_of = |name: &str| {
        Some(strongroom_proto::ingest::OriginalDescription { file_name: name.to_owned(), ..original("U1") })
    };
    let key = world.fresh("ingest");
    let small = |name: &str, data: &Bytes| IngestOriginalRequest {
        idempotency_key: key.clone(),
        original: original_of(name),
        data: data.clone(),
        ..Default::default()
    };
    let (same, other) = (small("a.mp4", &content), small("a.mp4", &Bytes::from(bytes(10_000, 32))));
    let path = format!("{INGEST}/IngestOriginal");
    let outcome = |answer: &IngestOriginalResponse| (answer.item_id.clone(), answer.record_seq, answer.blake3.clone());
    station.calls(&path, same, other, outcome).await;

    let key = world.fresh("open");
    let open =
        |name: &str| OpenUploadRequest { idempotency_key: key.clone(), original: original_of(name), size_bytes: None };
    let path = format!("{INGEST}/OpenUpload");
    let opened: OpenUploadResponse =
        station.calls(&path, open("b.mp4"), open("c.mp4"), |answer: &OpenUploadResponse| answer.item_id.clone()).await;
    let item = opened.item_id;
    let parts = vec![
        UploadRequest { part: Some(Part::Header(UploadHeader { item_id: item.clone() })) },
        UploadRequest { part: Some(Part::Data(UploadData { offset_bytes: 0, data: content.clone() })) },
    ];
    call_all::<_, UploadResponse>(&station.here, &format!("{INGEST}/Upload"), parts).await.expect("received");
    let key = world.fresh("seal");
    let seal = |size_bytes: usize| SealRequest {
        idempotency_key: key.clone(),
        item_id: item.clone(),
        size_bytes: size_bytes as u64,
        ..Default::default()
    };
    let path = format!("{INGEST}/Seal");
    let outcome = |answer: &SealResponse| (answer.record_seq, answer.sealed_at_unix_ms);
    station.calls(&path, seal(content.len()), seal(content.len() + 1), outcome).await;
    item
}

fn labelled(key: &str, item: &Bytes, value: &str) -> LabelItemRequest {
    LabelItemRequest {
        idempotency_key: key.to_owned(),
        item_id: item.clone(),
        name: "place".to_owned(),
        value: value.to_owned(),
    }
}

async fn requests(world: &World, item: &Bytes) {
    let (legal, approver) = (Twice::role(world, Role::Legal), Twice::role(world, Role::Approver));
    let key = world.fresh("label");
    let label = |value: &str| labelled(&key, item, value);
    legal.calls(LABEL, label("gate"), label("yard"), |answer: &LabelItemResponse| answer.record_seq).await;
    let key = world.fresh("submit");
    let ask_for = |act| submission(key.clone(), act, item);
    let number = |answer: &SubmitRequestResponse| answer.request.as_ref().map(|request| request.request_id.clone());
    let submitted: SubmitRequestResponse = legal.calls(SUBMIT, ask_for(Act::Copy), ask_for(Act::View), number).await;
    let request = number(&submitted).expect("a request");
    let another = submit(world, &legal.here, Act::Copy, item).await.expect("legal may ask");

    let key = world.fresh("approve");
    let approve =
        |request: &str| ApproveRequestRequest { idempotency_key: key.clone(), request_id: request.to_owned() };
    let approvals = |answer: &ApproveRequestResponse| answer.request.as_ref().map(|request| request.approvals.clone());
    let signature = assent(world, &world.of_role(Role::Approver), &key, &request);
    approver.calls_signed(APPROVE, approve(&request), approve(&another), Some(&signature), approvals).await;
    let key = world.fresh("reject");
    let reject = |reason: &str| RejectRequestRequest {
        idempotency_key: key.clone(),
        request_id: another.clone(),
        reason: reason.to_owned(),
    };
    let rejection = |answer: &RejectRequestResponse| answer.request.as_ref().map(|request| request.rejection.clone());
    approver.calls(REJECT, reject("too late"), reject("too early"), rejection).await;
}

async fn sessions(world: &World, item: &Bytes) {
    let (to_copy, to_view) = (granted(world, Act::Copy, item).await, granted(world, Act::View, item).await);
    let archivist = Twice::role(world, Role::Archivist);
    let key = world.fresh("begin");
    let begin = |request: &str| BeginCopyOutRequest {
        idempotency_key: key.clone(),
        request_id: request.to_owned(),
        ..Default::default()
    };
    let session = |answer: &BeginCopyOutResponse| (answer.session_id.clone(), answer.record_seq);
    let begun: BeginCopyOutResponse = archivist.calls(COPY_OUT, begin(&to_copy), begin(&to_view), session).await;
    let key = world.fresh("view");
    let view = |reason: &str| BeginViewRequest {
        idempotency_key: key.clone(),
        request_id: to_view.clone(),
        item_id: item.clone(),
        reason: reason.to_owned(),
    };
    let session = |answer: &BeginViewResponse| (answer.session_id.clone(), answer.record_seq);
    archivist.calls(VIEW, view("one"), view("another"), session).await;
    let key = world.fresh("end");
    let end =
        |complete| EndSessionRequest { idempotency_key: key.clone(), session_id: begun.session_id.clone(), complete };
    archivist.calls(END, end(true), end(false), |answer: &EndSessionResponse| answer.record_seq).await;
}

async fn registers(world: &World) {
    let (security, custodian) = (Twice::role(world, Role::Security), Twice::role(world, Role::Custodian));
    let certificate = || Bytes::from(fs::read(world.stranger().certificate).expect("reads"));
    let (name, first, second) = (world.fresh("person"), certificate(), certificate());
    let key = world.fresh("register");
    let register = |role: Role| RegisterPrincipalRequest {
        idempotency_key: key.clone(),
        principal_id: name.clone(),
        certificate: first.clone(),
        roles: vec![role.to_string()],
        unit_id: String::new(),
    };
    let path = format!("{ADMIN}/RegisterPrincipal");
    let (same, other) = (register(Role::Legal), register(Role::Head));
    let (by, person) = (world.of_role(Role::Security), name.parse().expect("a name"));
    let hash = |certificate: &Bytes| key_hash_of_certificate(certificate).expect("a key");
    let asked = Assent::register_principal(&person, &hash(&first), &[Role::Legal], None);
    let signature = sign(world, &by, &key, &asked);
    let registered = |answer: &RegisterPrincipalResponse| answer.principal.clone();
    security.calls_signed(&path, same, other, Some(&signature), registered).await;
    let key = world.fresh("rotate");
    let rotate = |certificate: &Bytes| RotatePrincipalRequest {
        idempotency_key: key.clone(),
        principal_id: name.clone(),
        certificate: certificate.clone(),
    };
    let path = format!("{ADMIN}/RotatePrincipal");
    let (same, other) = (rotate(&second), rotate(&certificate()));
    let signature = sign(world, &by, &key, &Assent::rotate_principal(&person, &hash(&second)));
    let rotated = |answer: &RotatePrincipalResponse| answer.principal.clone();
    security.calls_signed(&path, same, other, Some(&signature), rotated).await;
    let key = world.fresh("revoke");
    let revoke = |name: &str| RevokePrincipalRequest {
        idempotency_key: key.clone(),
        principal_id: name.to_owned(),
        reason: "a test".to_owned(),
    };
    let path = format!("{ADMIN}/RevokePrincipal");
    let revoked = |answer: &RevokePrincipalResponse| answer.principal.clone();
    security.calls(&path, revoke(&name), revoke("legal"), revoked).await;

    let (key, unit_id) = (world.fresh("unit"), world.fresh("U"));
    let unit = |full_name: &str| AddUnitRequest {
        idempotency_key: key.clone(),
        unit: Some(Unit {
            unit_id: unit_id.clone(),
            full_name: full_name.to_owned(),
            profile: "dev".to_owned(),
            ..Default::default()
        }),
    };
    let path = format!("{ADMIN}/AddUnit");
    security.calls(&path, unit("one"), unit("two"), |answer: &AddUnitResponse| answer.record_seq).await;
    let (key, device_id) = (world.fresh("device"), world.fresh("D"));
    let device = |brand_model: &str| AddDeviceRequest {
        idempotency_key: key.clone(),
        device: Some(Device {
            device_id: device_id.clone(),
            unit_id: "U1".to_owned(),
            device_type: "bwc".to_owned(),
            brand_model: brand_model.to_owned(),
            ..Device::default()
        }),
    };
    let path = format!("{ADMIN}/AddDevice");
    custodian.calls(&path, device("one"), device("two"), |answer: &AddDeviceResponse| answer.record_seq).await;
}

/// What a call was answered once is not answered again to somebody who may not ask any more.
pub(crate) async fn nobody_replays_after_they_were_revoked(world: &World) {
    let item = world.ingest(&bytes(1000, 33));
    let request = granted(world, Act::Copy, &item).await;
    let (name, shown) = world.register(&[Role::Archivist], None);
    let archivist = world.client(&shown, 1);
    let begin = BeginCopyOutRequest {
        idempotency_key: world.fresh("begin"),
        request_id: request.clone(),
        ..Default::default()
    };
    ask::<_, BeginCopyOutResponse>(&archivist, COPY_OUT, begin.clone()).await.expect("approved");
    let (station_name, shown) = world.register(&[Role::Station], Some("U1"));
    let station = world.client(&shown, 2);
    let open =
        OpenUploadRequest { idempotency_key: world.fresh("open"), original: Some(original("U1")), size_bytes: None };
    let small = IngestOriginalRequest {
        idempotency_key: world.fresh("ingest"),
        original: Some(original("U1")),
        data: Bytes::from_static(b"footage"),
        ..Default::default()
    };
    let (open_path, small_path) = (format!("{INGEST}/OpenUpload"), format!("{INGEST}/IngestOriginal"));
    ask::<_, OpenUploadResponse>(&station, &open_path, open.clone()).await.expect("a station may");
    ask::<_, IngestOriginalResponse>(&station, &small_path, small.clone()).await.expect("a station may");

    let from = world.status().await.ledger_size;
    world.revoke(&name);
    world.revoke(&station_name);
    let replayed = ask::<_, BeginCopyOutResponse>(&archivist, COPY_OUT, begin).await;
    assert_eq!(refused("a copy-out begun again", replayed), Reason::PrincipalRevoked);
    let replayed = ask::<_, OpenUploadResponse>(&station, &open_path, open).await;
    assert_eq!(refused("an upload opened again", replayed), Reason::PrincipalRevoked);
    let replayed = ask::<_, IngestOriginalResponse>(&station, &small_path, small).await;
    assert_eq!(refused("an original sent again", replayed), Reason::PrincipalRevoked);
    world
        .recorded(from, |records| {
            let tried = [(&name, "copy-out.begin"), (&station_name, "upload.open"), (&station_name, "item.seal")];
            let missing = |(who, act): &(&String, &str)| {
                !records
                    .iter()
                    .any(|record| record.actor == **who && record.act == *act && record.result == "PRINCIPAL_REVOKED")
            };
            let missing: Vec<_> = tried.into_iter().filter(missing).collect();
            if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?}")) }
        })
        .await;
}
