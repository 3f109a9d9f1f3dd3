//! The only service that returns footage, and only through the engine's tickets.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use strongroom_custody::{Act, command::Under, tables::ITEMS};
use strongroom_engine::{Snapshot, read::Begun};
use strongroom_proto::{
    access::{
        BeginCopyOutRequest, BeginCopyOutResponse, BeginViewRequest, BeginViewResponse, EndSessionRequest,
        EndSessionResponse, GrantedItem, ReadRequest, ReadResponse, access_service_server::AccessService,
    },
    convert,
};
use strongroom_types::{ItemId, Reason, Refusal, RemovalId, RequestId, limits};
use tonic::{Request, Response, Status};

use crate::{
    edge::{Caller, Edge, Reading, answer, digest, fault, idempotency, parsed},
    metrics,
    streams::until_stalled,
};

/// A reader who takes nothing for this long has gone, or is paused: it can read on later.
const READ_STALL: Duration = Duration::from_millis(limits::READ_STALL_MS);

pub(super) struct Access(pub(super) Edge);

#[tonic::async_trait]
impl AccessService for Access {
    async fn begin_copy_out(
        &self,
        request: Request<BeginCopyOutRequest>,
    ) -> Result<Response<BeginCopyOutResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut begin = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut begin.idempotency_key), digest("BeginCopyOut", &begin))?;
        let request: Option<RequestId> = parsed(convert::optional_parsed("request_id", &begin.request_id))?;
        let removal: Option<RemovalId> = parsed(convert::optional_parsed("removal_id", &begin.removal_id))?;
        let under = match (request, removal) {
            (Some(request), None) => Under::CopyOut(request),
            (None, Some(removal)) => Under::Removal(removal),
            (Some(_), Some(_)) | (None, None) => {
                return Err(answer(&Refusal::invalid("a request or a removal must be named, and not both")));
            }
        };
        let begun = self.begin(&caller, under, idempotency).await?;
        let rows = self.0.rows().await?;
        let items = begun.items.iter().map(|item| self.granted(&rows, *item)).collect::<Result<_, _>>()?;
        Ok(Response::new(BeginCopyOutResponse {
            session_id: Bytes::copy_from_slice(begun.session.as_bytes()),
            items,
            record_seq: begun.seq.0,
        }))
    }

    async fn begin_view(&self, request: Request<BeginViewRequest>) -> Result<Response<BeginViewResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut begin = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut begin.idempotency_key), digest("BeginView", &begin))?;
        let item: ItemId = convert::fixed("item_id", &begin.item_id).map_err(|refusal| answer(&refusal))?;
        let request: Option<RequestId> =
            convert::optional_parsed("request_id", &begin.request_id).map_err(|refusal| answer(&refusal))?;
        let under = match request {
            Some(request) => Under::View(request, item),
            None => Under::StandingView(item, begin.reason),
        };
        let begun = self.begin(&caller, under, idempotency).await?;
        let rows = self.0.rows().await?;
        Ok(Response::new(BeginViewResponse {
            session_id: Bytes::copy_from_slice(begun.session.as_bytes()),
            item: Some(self.granted(&rows, item)?),
            record_seq: begun.seq.0,
        }))
    }

    type ReadStream = Pin<Box<dyn Stream<Item = Result<ReadResponse, Status>> + Send>>;

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let caller = self.0.caller(&request).await?;
        let read = request.into_inner();
        let session = convert::fixed("session_id", &read.session_id).map_err(|refusal| answer(&refusal))?;
        let item: ItemId = convert::fixed("item_id", &read.item_id).map_err(|refusal| answer(&refusal))?;
        let reading = Reading::of_item(Act::SessionRead, item);
        let engine = self.0.engine();
        let slot = self.0.streams().reads.take(caller.key).map_err(|refusal| answer(&refusal))?;
        let ticket = match engine.open_item(caller.key, session, item).await {
            Ok(ticket) => Arc::new(ticket),
            Err(refusal) => return Err(self.0.refuse(&caller, reading, &refusal).await),
        };
        let pieces =
            engine.read_range(ticket, read.offset_bytes, read.length_bytes).map_err(|refusal| answer(&refusal))?;
        let edge = self.0.clone();
        let messages = pieces.then(move |piece| {
            let (edge, caller, _slot) = (edge.clone(), caller.clone(), &slot);
            async move {
                match piece {
                    Ok((offset, bytes)) => Ok((offset, bytes)),
                    Err(refusal) => Err(edge.refuse(&caller, reading, &refusal).await),
                }
            }
        });
        Ok(Response::new(Box::pin(until_stalled(messages.flat_map(in_messages), READ_STALL))))
    }

    async fn end_session(&self, request: Request<EndSessionRequest>) -> Result<Response<EndSessionResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut end = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut end.idempotency_key), digest("EndSession", &end))?;
        let session = convert::fixed("session_id", &end.session_id).map_err(|refusal| answer(&refusal))?;
        let ended = self.0.engine().end(caller.actor(), session, end.complete, idempotency).await;
        Ok(Response::new(EndSessionResponse { record_seq: ended.map_err(|refusal| self.0.answer(refusal))?.0 }))
    }
}

impl Access {
    async fn begin(
        &self,
        caller: &Caller,
        under: Under,
        idempotency: strongroom_engine::Idempotency,
    ) -> Result<Begun, Status> {
        self.0.engine().begin(caller.actor(), under, idempotency).await.map_err(|refusal| self.0.answer(refusal))
    }

    fn granted(&self, rows: &Snapshot, item: ItemId) -> Result<GrantedItem, Status> {
        let row = ITEMS
            .read(&**rows, &item)
            .map_err(|error| fault(&error))?
            .ok_or_else(|| answer(&Refusal::not_found(format!("sealed item {item}"))))?;
        let receipt = match self.0.engine().receipt_now(rows, item) {
            Ok(receipt) => receipt.into(),
            Err(refusal) if refusal.reason == Reason::ReceiptPending => Bytes::new(),
            Err(refusal) => return Err(answer(&refusal)),
        };
        Ok(GrantedItem {
            item_id: Bytes::copy_from_slice(item.as_bytes()),
            file_name: row.description.file_name,
            size_bytes: row.original.size_bytes,
            blake3: Bytes::copy_from_slice(row.original.blake3.as_bytes()),
            sha256: Bytes::copy_from_slice(row.original.sha256.as_bytes()),
            receipt,
            device_id: row.description.device.to_string(),
            unit_id: row.description.unit.to_string(),
            recorded_start_unix_ms: row.description.recorded_start.0,
        })
    }
}

/// A verified piece, cut to messages.
fn in_messages(piece: Result<(u64, Bytes), Status>) -> impl Stream<Item = Result<ReadResponse, Status>> + Send + use<> {
    let messages: Vec<_> = match piece {
        Err(status) => vec![Err(status)],
        Ok((mut offset_bytes, mut bytes)) => {
            metrics::bytes_out(bytes.len());
            let mut messages = Vec::with_capacity(bytes.len().div_ceil(limits::MESSAGE_DATA_BYTES));
            while !bytes.is_empty() {
                let data = bytes.split_to(bytes.len().min(limits::MESSAGE_DATA_BYTES));
                let next = offset_bytes + data.len() as u64;
                messages.push(Ok(ReadResponse { offset_bytes, data }));
                offset_bytes = next;
            }
            messages
        }
    };
    stream::iter(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_piece_is_cut_to_messages_that_follow_each_other() {
        let bytes = Bytes::from(vec![7; limits::MESSAGE_DATA_BYTES * 2 + 5]);
        let messages: Vec<_> = in_messages(Ok((100, bytes))).collect().await;
        let cut: Vec<_> = messages
            .iter()
            .map(|message| message.as_ref().expect("data"))
            .map(|m| (m.offset_bytes, m.data.len()))
            .collect();
        let full = limits::MESSAGE_DATA_BYTES as u64;
        assert_eq!(cut, [(100, 1 << 20), (100 + full, 1 << 20), (100 + 2 * full, 5)]);
        assert!(in_messages(Ok((0, Bytes::new()))).collect::<Vec<_>>().await.is_empty());
    }
}
