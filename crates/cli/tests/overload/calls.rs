//! Calls to one node as any program would make them: no retry, no other node, and as fast or slow as a test likes.

use std::fmt::Debug;

use bytes::Bytes;
use strongroom_net::channel::Channels;
use strongroom_net::tls::{self, CertificateFiles, TlsTime, TrustedAuthority};
use strongroom_net::tuning::NetTuning;
use strongroom_proto::access::access_service_client::AccessServiceClient;
use strongroom_proto::access::{BeginCopyOutRequest, BeginViewRequest, ReadRequest, ReadResponse};
use strongroom_proto::ingest::ingest_service_client::IngestServiceClient;
use strongroom_proto::ingest::upload_request::Part;
use strongroom_proto::ingest::{
    OpenUploadRequest, OriginalDescription, UploadData, UploadHeader, UploadRequest, UploadResponse,
};
use strongroom_proto::status::to_refusal;
use strongroom_testkit::Cluster;
use strongroom_types::{Reason, limits};
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// A new connection to a node's client port as one of the cluster's people; nodes are counted from 0.
pub(crate) fn connect(cluster: &Cluster, who: &str, node: usize) -> Channel {
    let file = |kind: &str| cluster.file(&format!("identities/{who}.{kind}"));
    let own = CertificateFiles::open(&file("pem"), &file("key")).expect("a certificate and its key");
    let authority = TrustedAuthority::from_file(&cluster.file("pki/client-ca.pem")).expect("an authority");
    let channels = Channels::new(tls::client(own, &authority, TlsTime::system()).expect("a client"), NetTuning::LAN);
    channels.channel(&super::addresses(cluster)[node]).expect("an address")
}

/// Begins the copy-out of an approved request; answers the session.
pub(crate) async fn begin_copy_out(channel: &Channel, request: &str) -> Bytes {
    let begin = BeginCopyOutRequest {
        idempotency_key: format!("begin-{request}"),
        request_id: request.to_owned(),
        removal_id: String::new(),
    };
    AccessServiceClient::new(channel.clone()).begin_copy_out(begin).await.expect("approved").into_inner().session_id
}

/// Begins a standing view; answers the session.
pub(crate) async fn begin_view(channel: &Channel, item: &Bytes) -> Bytes {
    let begin = BeginViewRequest {
        idempotency_key: "view".to_owned(),
        request_id: String::new(),
        item_id: item.clone(),
        reason: "a test".to_owned(),
    };
    AccessServiceClient::new(channel.clone()).begin_view(begin).await.expect("may view").into_inner().session_id
}

/// Reads an item from an offset to its end, at the pace of whoever takes the messages.
pub(crate) async fn read(
    channel: &Channel,
    session: &Bytes,
    item: &Bytes,
    offset_bytes: u64,
) -> Result<Streaming<ReadResponse>, Status> {
    let wanted = ReadRequest { session_id: session.clone(), item_id: item.clone(), offset_bytes, length_bytes: 0 };
    let mut client = AccessServiceClient::new(channel.clone()).max_decoding_message_size(limits::MESSAGE_BYTES_MAX);
    Ok(client.read(wanted).await?.into_inner())
}

/// Takes everything that a read still gives, and how it ended.
pub(crate) async fn drain(mut messages: Streaming<ReadResponse>, into: &mut Vec<u8>) -> Result<(), Status> {
    while let Some(message) = messages.message().await? {
        assert_eq!(message.offset_bytes, into.len() as u64, "pieces follow each other");
        into.extend_from_slice(&message.data);
    }
    Ok(())
}

/// A client for writing that sends messages of any size.
pub(crate) fn ingest(channel: &Channel) -> IngestServiceClient<Channel> {
    IngestServiceClient::new(channel.clone()).max_encoding_message_size(usize::MAX)
}

pub(crate) fn description() -> OriginalDescription {
    OriginalDescription {
        device_id: "D1".to_owned(),
        unit_id: "U1".to_owned(),
        file_name: "clip.mp4".to_owned(),
        recorded_start_unix_ms: 1_772_328_600_000,
        recorded_end_unix_ms: 1_772_328_660_000,
        ..OriginalDescription::default()
    }
}

/// Opens an upload; answers the item.
pub(crate) async fn open_upload(channel: &Channel, key: &str) -> Bytes {
    let open = OpenUploadRequest { idempotency_key: key.to_owned(), original: Some(description()), size_bytes: None };
    ingest(channel).open_upload(open).await.expect("opens").into_inner().item_id
}

pub(crate) fn header(item: &Bytes) -> UploadRequest {
    UploadRequest { part: Some(Part::Header(UploadHeader { item_id: item.clone() })) }
}

pub(crate) fn data(offset_bytes: usize, data: Bytes) -> UploadRequest {
    UploadRequest { part: Some(Part::Data(UploadData { offset_bytes: offset_bytes as u64, data })) }
}

/// Sends a stream of messages for an upload.
pub(crate) async fn upload(
    channel: &Channel,
    messages: impl futures::Stream<Item = UploadRequest> + Send + 'static,
) -> Result<Streaming<UploadResponse>, Status> {
    Ok(ingest(channel).upload(messages).await?.into_inner())
}

/// The stable reason of what must be refused.
pub(crate) fn refused<T: Debug>(answer: Result<T, Status>) -> Reason {
    to_refusal(&answer.expect_err("refused")).reason
}
