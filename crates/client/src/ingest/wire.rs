//! The upload stream on the wire, with one thing that the generated client lacks: a stream that is broken off here
//! never looks finished there.
//!
//! A request stream that simply ends tells the node that the original is complete. If reading fails half-way, or a
//! stalled stream is given up, the end must be a reset instead. So the end has to be said; a channel that closes without
//! it makes the encoder fail, which resets the stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use prost::Message;
use strongroom_proto::ingest::{UploadRequest, UploadResponse};
use strongroom_types::limits;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// What goes into the stream.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// A message.
    Message(UploadRequest),
    /// Everything was sent: the stream ends well.
    Finished,
}

/// Begins an upload stream.
pub(super) async fn upload(
    channel: Channel,
    messages: mpsc::Receiver<Outgoing>,
) -> Result<Streaming<UploadResponse>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel)
        .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
        .max_encoding_message_size(limits::MESSAGE_BYTES_MAX);
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::from_static("/strongroom.ingest.v1.IngestService/Upload");
    let body = Body { messages, finished: false };
    Ok(grpc.streaming(Request::new(body), path, UploadCodec).await?.into_inner())
}

/// A message, or the word that there will be none although the end was not reached.
enum Frame {
    Message(UploadRequest),
    Broken,
}

struct Body {
    messages: mpsc::Receiver<Outgoing>,
    finished: bool,
}

impl Stream for Body {
    type Item = Frame;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        if self.finished {
            return Poll::Ready(None);
        }
        self.messages.poll_recv(cx).map(|outgoing| match outgoing {
            Some(Outgoing::Message(message)) => Some(Frame::Message(message)),
            Some(Outgoing::Finished) => {
                self.finished = true;
                None
            }
            None => {
                self.finished = true;
                Some(Frame::Broken)
            }
        })
    }
}

struct UploadCodec;

impl Codec for UploadCodec {
    type Encode = Frame;
    type Decode = UploadResponse;
    type Encoder = FrameEncoder;
    type Decoder = <ProstCodec<UploadRequest, UploadResponse> as Codec>::Decoder;

    fn encoder(&mut self) -> FrameEncoder {
        FrameEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<UploadRequest, UploadResponse>::default().decoder()
    }
}

struct FrameEncoder;

impl Encoder for FrameEncoder {
    type Item = Frame;
    type Error = Status;

    fn encode(&mut self, frame: Frame, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        match frame {
            Frame::Message(message) => {
                message.encode(buffer).map_err(|error| Status::internal(format!("could not encode: {error}")))
            }
            Frame::Broken => Err(Status::cancelled("the upload was broken off")),
        }
    }
}
