//! Any call of any service by its path, as any certificate would make it. No retry and no other node: what one node
//! answers once is what is looked at.

use std::time::Duration;

use futures::stream;
use http::uri::PathAndQuery;
use prost::Message;
use strongroom_proto::access::{ReadRequest, ReadResponse};
use strongroom_proto::{ASSENT_HEADER, status::to_refusal};
use strongroom_types::{Reason, limits};
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// No answer takes longer than this unless something is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// Path of the call that hands out footage.
pub(crate) const READ: &str = "/strongroom.access.v1.AccessService/Read";

/// Everything that one message is answered.
pub(crate) async fn call<M, R>(channel: &Channel, path: &str, message: M) -> Result<Vec<R>, Status>
where
    M: Message + 'static,
    R: Message + Default + 'static,
{
    call_all(channel, path, vec![message]).await
}

/// The one answer to one message.
pub(crate) async fn ask<M, R>(channel: &Channel, path: &str, message: M) -> Result<R, Status>
where
    M: Message + 'static,
    R: Message + Default + 'static,
{
    let mut answers = call(channel, path, message).await?;
    assert_eq!(answers.len(), 1, "{path} answers once");
    Ok(answers.remove(0))
}

/// The one answer to one message with what its sender signed.
pub(crate) async fn ask_signed<M, R>(
    channel: &Channel,
    path: &str,
    message: M,
    signature: Option<&[u8]>,
) -> Result<R, Status>
where
    M: Message + 'static,
    R: Message + Default + 'static,
{
    let mut answers = call_all_signed(channel, path, vec![message], signature).await?;
    assert_eq!(answers.len(), 1, "{path} answers once");
    Ok(answers.remove(0))
}

/// Everything that a stream of messages is answered.
pub(crate) async fn call_all<M, R>(channel: &Channel, path: &str, messages: Vec<M>) -> Result<Vec<R>, Status>
where
    M: Message + 'static,
    R: Message + Default + 'static,
{
    call_all_signed(channel, path, messages, None).await
}

async fn call_all_signed<M, R>(
    channel: &Channel,
    path: &str,
    messages: Vec<M>,
    signature: Option<&[u8]>,
) -> Result<Vec<R>, Status>
where
    M: Message + 'static,
    R: Message + Default + 'static,
{
    let answered = async {
        let mut stream = open(channel, path, messages, signature).await?;
        let mut answers = Vec::new();
        while let Some(answer) = stream.message().await? {
            answers.push(answer);
        }
        Ok(answers)
    };
    tokio::time::timeout(PATIENCE, answered).await.unwrap_or_else(|_| panic!("{path} was not answered in time"))
}

/// What a read came to: every byte that arrived, also before a refusal.
#[derive(Debug)]
pub(crate) struct Footage {
    pub(crate) bytes: Vec<u8>,
    pub(crate) refused: Option<Status>,
}

/// Reads footage.
pub(crate) async fn read(channel: &Channel, wanted: ReadRequest) -> Footage {
    let mut bytes = Vec::new();
    let reading = async {
        let mut stream: Streaming<ReadResponse> = open(channel, READ, vec![wanted], None).await?;
        while let Some(piece) = stream.message().await? {
            bytes.extend_from_slice(&piece.data);
        }
        Ok(())
    };
    let ended: Result<(), Status> = tokio::time::timeout(PATIENCE, reading).await.expect("a read ends in time");
    Footage { bytes, refused: ended.err() }
}

async fn open<M, R>(
    channel: &Channel,
    path: &str,
    messages: Vec<M>,
    signature: Option<&[u8]>,
) -> Result<Streaming<R>, Status>
where
    M: Message + 'static,
    R: Message + Default + 'static,
{
    let mut client = Grpc::new(channel.clone()).max_decoding_message_size(limits::MESSAGE_BYTES_MAX);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let path: PathAndQuery = path.parse().expect("a path");
    let codec = ProstCodec::<M, R>::default();
    let mut request = Request::new(stream::iter(messages));
    if let Some(signature) = signature {
        request.metadata_mut().insert_bin(ASSENT_HEADER, MetadataValue::from_bytes(signature));
    }
    Ok(client.streaming(request, path, codec).await?.into_inner())
}

/// The stable reason that a status carries; a status that only looks like one of ours is none.
pub(crate) fn reason(status: &Status) -> Option<Reason> {
    let refusal = to_refusal(status);
    (!status.details().is_empty()).then_some(refusal.reason)
}

/// The reason of what must be refused.
pub(crate) fn refused<T>(what: &str, answer: Result<T, Status>) -> Reason {
    match answer {
        Ok(_) => panic!("{what} was not refused"),
        Err(status) => reason(&status).unwrap_or_else(|| panic!("{what}: {status:?}")),
    }
}
