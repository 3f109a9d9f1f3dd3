//! The way to a session, call by call: asking, approving, beginning, ending.

use std::collections::BTreeMap;

use bytes::Bytes;
use strongroom_net::tls::{CertificateFiles, TlsTime};
use strongroom_proto::access::{
    BeginCopyOutRequest, BeginCopyOutResponse, BeginViewRequest, BeginViewResponse, EndSessionRequest,
    EndSessionResponse, ReadRequest,
};
use strongroom_proto::request::{
    Act, ApproveRequestRequest, ApproveRequestResponse, RejectRequestRequest, RejectRequestResponse,
    SubmitRequestRequest, SubmitRequestResponse,
};
use strongroom_types::{Assent, Role};
use tonic::Status;
use tonic::transport::Channel;

use crate::wire::{ask, ask_signed};
use crate::world::{Shown, World};

pub(crate) const SUBMIT: &str = "/strongroom.request.v1.RequestService/SubmitRequest";
pub(crate) const APPROVE: &str = "/strongroom.request.v1.RequestService/ApproveRequest";
pub(crate) const REJECT: &str = "/strongroom.request.v1.RequestService/RejectRequest";
pub(crate) const COPY_OUT: &str = "/strongroom.access.v1.AccessService/BeginCopyOut";
pub(crate) const VIEW: &str = "/strongroom.access.v1.AccessService/BeginView";
pub(crate) const END: &str = "/strongroom.access.v1.AccessService/EndSession";

pub(crate) fn submission(key: String, act: Act, item: &Bytes) -> SubmitRequestRequest {
    SubmitRequestRequest {
        idempotency_key: key,
        act: act.into(),
        item_ids: vec![item.clone()],
        fields: BTreeMap::from([("reason".to_owned(), "a test".to_owned())]),
    }
}

/// Asks for footage; answers the request's number.
pub(crate) async fn submit(world: &World, who: &Channel, act: Act, item: &Bytes) -> Result<String, Status> {
    let answer: SubmitRequestResponse = ask(who, SUBMIT, submission(world.fresh("submit"), act, item)).await?;
    Ok(answer.request.expect("a request").request_id)
}

pub(crate) async fn approve(world: &World, who: &Shown, node: usize, request: &str) -> Result<(), Status> {
    let key = world.fresh("approve");
    let signature = assent(world, who, &key, request);
    let message = ApproveRequestRequest { idempotency_key: key, request_id: request.to_owned() };
    let channel = world.client(who, node);
    ask_signed::<_, ApproveRequestResponse>(&channel, APPROVE, message, Some(&signature)).await.map(|_| ())
}

/// What somebody signs who approves a request in the call with this key.
pub(crate) fn assent(world: &World, who: &Shown, key: &str, request: &str) -> Vec<u8> {
    let shown = world.cluster.json(&["request", "show", request]);
    let items = shown["items"].as_array().expect("items").iter();
    let items = items.map(|item| item.as_str().expect("an id").parse().expect("an id"));
    let act = shown["act"].as_str().expect("an act");
    let fields = shown["fields"].as_object().expect("fields").iter();
    let fields = fields.map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned())).collect();
    let requester = shown["requester"].as_str().expect("somebody");
    let number = request.parse().expect("a number");
    sign(world, who, key, &Assent::approve_request(number, requester, act, items, &fields))
}

/// Somebody's signature over what they decide in the call with this key.
pub(crate) fn sign(world: &World, who: &Shown, key: &str, asked: &Assent) -> Vec<u8> {
    let now = TlsTime::system().now();
    let text = asked.text(world.genesis.create.cluster.cluster, &key.parse().expect("a key"), now);
    let own = CertificateFiles::open(&who.certificate, &who.key).expect("opens");
    [&now.0.to_be_bytes(), &own.sign(text.as_bytes()).expect("signs")[..]].concat()
}

pub(crate) async fn reject(world: &World, who: &Channel, request: &str) -> Result<(), Status> {
    let (idempotency_key, request_id) = (world.fresh("reject"), request.to_owned());
    let message = RejectRequestRequest { idempotency_key, request_id, reason: "a test".to_owned() };
    ask::<_, RejectRequestResponse>(who, REJECT, message).await.map(|_| ())
}

/// A request of legal's that the approver approved.
pub(crate) async fn granted(world: &World, act: Act, item: &Bytes) -> String {
    let request = submit(world, &world.role(Role::Legal, 0), act, item).await.expect("legal may ask");
    approve(world, &world.of_role(Role::Approver), 1, &request).await.expect("the approver may approve");
    request
}

/// Begins a copy-out; answers the session.
pub(crate) async fn copy_out(world: &World, who: &Channel, request: &str) -> Result<Bytes, Status> {
    let message = BeginCopyOutRequest {
        idempotency_key: world.fresh("begin"),
        request_id: request.to_owned(),
        ..Default::default()
    };
    Ok(ask::<_, BeginCopyOutResponse>(who, COPY_OUT, message).await?.session_id)
}

/// Begins a view under a request, or a standing one where `request` is empty; answers the session.
pub(crate) async fn view(world: &World, who: &Channel, request: &str, item: &Bytes) -> Result<Bytes, Status> {
    let message = BeginViewRequest {
        idempotency_key: world.fresh("begin"),
        request_id: request.to_owned(),
        item_id: item.clone(),
        reason: "a test".to_owned(),
    };
    Ok(ask::<_, BeginViewResponse>(who, VIEW, message).await?.session_id)
}

pub(crate) async fn end(world: &World, who: &Channel, session: &Bytes) -> Result<(), Status> {
    let (idempotency_key, session_id) = (world.fresh("end"), session.clone());
    let message = EndSessionRequest { idempotency_key, session_id, complete: true };
    ask::<_, EndSessionResponse>(who, END, message).await.map(|_| ())
}

/// All of an item.
pub(crate) fn whole(session: &Bytes, item: &Bytes) -> ReadRequest {
    part(session, item, 0, 0)
}

pub(crate) fn part(session: &Bytes, item: &Bytes, offset_bytes: u64, length_bytes: u64) -> ReadRequest {
    ReadRequest { session_id: session.clone(), item_id: item.clone(), offset_bytes, length_bytes }
}
