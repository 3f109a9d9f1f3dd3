//! Writing originals. A stream takes the next message only when the engine has room: that is what slows a client down.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures::Stream;
use strongroom_custody::{
    self as custody, Act,
    access::within_unit,
    tables::{Description, DeviceProof},
};
use strongroom_engine::ingest::{Announced, Sealed, UploadStream};
use strongroom_proto::{
    convert,
    ingest::{
        FetchReceiptRequest, FetchReceiptResponse, IngestOriginalRequest, IngestOriginalResponse, OpenUploadRequest,
        OpenUploadResponse, OriginalDescription, SealRequest, SealResponse, UploadAccepted, UploadData, UploadProgress,
        UploadReceived, UploadRequest, UploadResponse, ingest_service_server::IngestService, upload_request,
        upload_response::Part,
    },
};
use strongroom_types::{ItemId, Reason, Refusal, limits};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    edge::{Caller, Edge, Reading, answer, digest, idempotency},
    metrics,
};

/// Answers of an upload stream that wait for the client. Progress that finds no room is left out: more will come.
const ANSWERS: usize = 8;
/// A client that says nothing for this long has gone; what is committed stays.
const SILENCE_MAX: Duration = Duration::from_secs(120);

pub(super) struct Ingest(pub(super) Edge);

#[tonic::async_trait]
impl IngestService for Ingest {
    async fn open_upload(&self, request: Request<OpenUploadRequest>) -> Result<Response<OpenUploadResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut open = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut open.idempotency_key), digest("OpenUpload", &open))?;
        if open.size_bytes.is_some_and(|size| size > limits::ORIGINAL_BYTES_MAX) {
            let refusal =
                Refusal::invalid(format!("size_bytes: an original takes at most {} bytes", limits::ORIGINAL_BYTES_MAX));
            return Err(answer(&refusal));
        }
        let description = description(open.original)?;
        let opened = self
            .0
            .engine()
            .open_upload(caller.actor(), description, idempotency)
            .await
            .map_err(|refusal| self.0.answer(refusal))?;
        Ok(Response::new(OpenUploadResponse {
            item_id: Bytes::copy_from_slice(opened.item.as_bytes()),
            committed_bytes: opened.committed_bytes,
            sealed: opened.sealed,
        }))
    }

    type UploadStream = Pin<Box<dyn Stream<Item = Result<UploadResponse, Status>> + Send>>;

    async fn upload(&self, request: Request<Streaming<UploadRequest>>) -> Result<Response<Self::UploadStream>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut messages = request.into_inner();
        let item = match next(&mut messages).await? {
            Some(upload_request::Part::Header(header)) => {
                convert::fixed::<ItemId>("header.item_id", &header.item_id).map_err(|refusal| answer(&refusal))?
            }
            Some(upload_request::Part::Data(_)) | None => {
                return Err(answer(&Refusal::invalid("the first message of an upload is its header")));
            }
        };
        let slot = self.0.streams().uploads.take(caller.key).map_err(|refusal| answer(&refusal))?;
        let stream =
            self.0.engine().resume_upload(caller.actor(), item).await.map_err(|refusal| self.0.answer(refusal))?;
        let (answers, queue) = mpsc::channel(ANSWERS);
        // Ends with the client's stream, with the first refusal, or when nobody is left to answer to.
        tokio::spawn(async move {
            let _slot = slot;
            let ended = tokio::select! {
                ended = receive(stream, messages, &answers) => ended,
                () = answers.closed() => return,
            };
            // Whoever hung up does not hear of the end.
            let _ = answers.send(ended).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(queue))))
    }

    async fn seal(&self, request: Request<SealRequest>) -> Result<Response<SealResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut seal = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut seal.idempotency_key), digest("Seal", &seal))?;
        let item = convert::fixed("item_id", &seal.item_id).map_err(|refusal| answer(&refusal))?;
        let announced = announced(&seal.blake3, &seal.sha256).map_err(|refusal| answer(&refusal))?;
        let sealed = self
            .0
            .engine()
            .seal(caller.actor(), item, seal.size_bytes, announced, idempotency)
            .await
            .map_err(|refusal| self.0.answer(refusal))?;
        metrics::sealed();
        Ok(Response::new(SealResponse {
            receipt: self.receipt(&sealed).await?,
            record_seq: sealed.seq.0,
            sealed_at_unix_ms: sealed.sealed_at.0,
        }))
    }

    async fn ingest_original(
        &self,
        request: Request<IngestOriginalRequest>,
    ) -> Result<Response<IngestOriginalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut ingest = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut ingest.idempotency_key), digest("IngestOriginal", &ingest))?;
        let description = description(ingest.original)?;
        let announced = announced(&ingest.blake3, &ingest.sha256).map_err(|refusal| answer(&refusal))?;
        metrics::bytes_in(ingest.data.len());
        let ingested =
            self.0.engine().ingest_original(caller.actor(), description, ingest.data, announced, idempotency).await;
        let (sealed, end) = match ingested {
            Ok(ingested) => ingested,
            Err(refusal) => return Err(self.refuse_small(&caller, &refusal).await),
        };
        metrics::sealed();
        Ok(Response::new(IngestOriginalResponse {
            item_id: Bytes::copy_from_slice(sealed.item.as_bytes()),
            blake3: Bytes::copy_from_slice(end.blake3.as_bytes()),
            sha256: Bytes::copy_from_slice(end.sha256.as_bytes()),
            receipt: self.receipt(&sealed).await?,
            record_seq: sealed.seq.0,
            sealed_at_unix_ms: sealed.sealed_at.0,
        }))
    }

    async fn fetch_receipt(
        &self,
        request: Request<FetchReceiptRequest>,
    ) -> Result<Response<FetchReceiptResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let item = convert::fixed("item_id", &request.get_ref().item_id).map_err(|refusal| answer(&refusal))?;
        let reading = Reading::of_item(Act::ReceiptFetch, item);
        let seq = self
            .0
            .look(&caller, reading, |look| {
                let row = custody::item::sealed(&**look.rows, item)?;
                within_unit(&look.principal, &row.description.unit)?;
                Ok(row.seq)
            })
            .await?;
        let receipt = self.0.engine().receipt(item, seq).await.map_err(|refusal| answer(&refusal))?;
        Ok(Response::new(FetchReceiptResponse { receipt: receipt.into() }))
    }
}

impl Ingest {
    /// The receipt; empty while its checkpoint is not yet cosigned.
    async fn receipt(&self, sealed: &Sealed) -> Result<Bytes, Status> {
        match self.0.engine().receipt(sealed.item, sealed.seq).await {
            Ok(receipt) => Ok(receipt.into()),
            Err(refusal) if refusal.reason == Reason::ReceiptPending => Ok(Bytes::new()),
            Err(refusal) => Err(answer(&refusal)),
        }
    }

    /// Who may not ingest at all is refused before any byte is stored, so there is no record of it yet. The same
    /// reasons from `apply` need a revocation in the same moment; they would be recorded twice, which harms nobody.
    async fn refuse_small(&self, caller: &Caller, refusal: &Refusal) -> Status {
        let at_edge =
            matches!(refusal.reason, Reason::UnknownPrincipal | Reason::PrincipalRevoked | Reason::RoleNotAllowed);
        if at_edge {
            self.0.refuse(caller, Reading::of(Act::ItemSeal), refusal).await
        } else {
            self.0.answer(refusal.clone())
        }
    }
}

/// Takes the bytes of one stream and says how it ended.
async fn receive(
    mut stream: UploadStream,
    mut messages: Streaming<UploadRequest>,
    answers: &mpsc::Sender<Result<UploadResponse, Status>>,
) -> Result<UploadResponse, Status> {
    let accepted = Part::Accepted(UploadAccepted { offset_bytes: stream.offset() });
    if answers.send(Ok(response(accepted))).await.is_err() {
        return Err(Status::cancelled("the client has gone"));
    }
    let mut told = stream.committed_bytes();
    while let Some(part) = next(&mut messages).await? {
        let data = match part {
            upload_request::Part::Data(data) => within_message(data)?,
            upload_request::Part::Header(_) => {
                return Err(answer(&Refusal::invalid("an upload has one header, and it comes first")));
            }
        };
        metrics::bytes_in(data.data.len());
        stream.push(data.offset_bytes, data.data).await.map_err(|refusal| answer(&refusal))?;
        if stream.committed_bytes() > told {
            told = stream.committed_bytes();
            let _ = answers.try_send(Ok(response(Part::Progress(UploadProgress { committed_bytes: told }))));
        }
    }
    let end = stream.finish().await.map_err(|refusal| answer(&refusal))?;
    Ok(response(Part::Received(UploadReceived {
        size_bytes: end.size_bytes,
        blake3: Bytes::copy_from_slice(end.blake3.as_bytes()),
        sha256: Bytes::copy_from_slice(end.sha256.as_bytes()),
    })))
}

const fn response(part: Part) -> UploadResponse {
    UploadResponse { part: Some(part) }
}

/// The next part, none at the orderly end of the stream.
async fn next(messages: &mut Streaming<UploadRequest>) -> Result<Option<upload_request::Part>, Status> {
    let message = tokio::time::timeout(SILENCE_MAX, messages.message())
        .await
        .map_err(|_| Status::deadline_exceeded("nothing came for too long; resume from what is committed"))??;
    match message {
        None => Ok(None),
        Some(UploadRequest { part: Some(part) }) => Ok(Some(part)),
        Some(UploadRequest { part: None }) => Err(answer(&Refusal::invalid("a message has neither header nor data"))),
    }
}

fn within_message(data: UploadData) -> Result<UploadData, Status> {
    if data.data.len() <= limits::CHUNK_BYTES {
        return Ok(data);
    }
    let refusal = Refusal::invalid(format!(
        "data: a message holds at most {} bytes, this one {}",
        limits::CHUNK_BYTES,
        data.data.len()
    ));
    Err(answer(&refusal))
}

fn description(original: Option<OriginalDescription>) -> Result<Description, Status> {
    convert::required("original", original).and_then(described).map_err(|refusal| answer(&refusal))
}

fn described(original: OriginalDescription) -> Result<Description, Refusal> {
    Ok(Description {
        device: convert::parsed("original.device_id", &original.device_id)?,
        unit: convert::parsed("original.unit_id", &original.unit_id)?,
        file_name: original.file_name,
        recorded_start: convert::instant("original.recorded_start_unix_ms", original.recorded_start_unix_ms)?,
        recorded_end: convert::instant("original.recorded_end_unix_ms", original.recorded_end_unix_ms)?,
        activity: convert::optional_parsed("original.activity_id", &original.activity_id)?,
        labels: original.labels,
        media_type: convert::optional_parsed("original.media_type", &original.media_type)?,
        device_proof: original
            .device_proof
            .map(|proof| DeviceProof { scheme: proof.scheme, value: proof.value.to_vec().into() }),
    })
}

fn announced(blake3: &Bytes, sha256: &Bytes) -> Result<Announced, Refusal> {
    Ok(Announced {
        blake3: convert::optional_fixed("blake3", blake3)?,
        sha256: convert::optional_fixed("sha256", sha256)?,
    })
}
