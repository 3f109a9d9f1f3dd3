//! A cluster in this process, for the client's own logic: real connections, no disks, and faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use strongroom_net::listen::{AcceptLimits, incoming};
use strongroom_net::pki::{Authority, AuthorityKind, Issued, Validity, write_private, write_public};
use strongroom_net::tls::{self, CertificateFiles, TlsTime, TrustedAuthority};
use strongroom_net::tuning::{NetTuning, tune_server};
use strongroom_proto::access::access_service_server::{AccessService, AccessServiceServer};
use strongroom_proto::access::{
    BeginCopyOutRequest, BeginCopyOutResponse, BeginViewRequest, BeginViewResponse, EndSessionRequest,
    EndSessionResponse, GrantedItem, ReadRequest, ReadResponse,
};
use strongroom_proto::ingest::ingest_service_server::{IngestService, IngestServiceServer};
use strongroom_proto::ingest::upload_request::Part as Sent;
use strongroom_proto::ingest::upload_response::Part as Told;
use strongroom_proto::ingest::{
    FetchReceiptRequest, FetchReceiptResponse, IngestOriginalRequest, IngestOriginalResponse, OpenUploadRequest,
    OpenUploadResponse, SealRequest, SealResponse, UploadAccepted, UploadProgress, UploadReceived, UploadRequest,
    UploadResponse,
};
use strongroom_proto::request;
use strongroom_proto::request::request_service_server::{RequestService, RequestServiceServer};
use strongroom_proto::request::{
    Act, Approval, ApproveRequestRequest, ApproveRequestResponse, ListRequestsRequest, ListRequestsResponse,
    RejectRequestRequest, RejectRequestResponse, Request as WireRequest, ShowRequestRequest, ShowRequestResponse,
    SubmitRequestRequest, SubmitRequestResponse,
};
use strongroom_proto::status::from_refusal;
use strongroom_types::{Clock, ClusterId, Reason, RecordSeq, Refusal, UnixMillis, limits};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::{Client, ClientSettings, Context, ContextFile, IdentityFiles, ReceiptFacts};

pub(crate) const NOW: UnixMillis = UnixMillis(1_780_000_000_000);
pub(crate) const CLUSTER: ClusterId = ClusterId::new([1; 16]);
/// Nothing in a test takes longer unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const MIB: u64 = 1 << 20;
/// The fake commits progress this often.
const COMMIT_BYTES: u64 = 2 * MIB;

struct FixedClock;

impl Clock for FixedClock {
    fn wall(&self) -> UnixMillis {
        NOW
    }

    fn boottime_ms(&self) -> i64 {
        0
    }

    fn boot_id(&self) -> [u8; 16] {
        [0; 16]
    }
}

/// What the cluster knows, and which faults it is to show.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) uploads: BTreeMap<String, Upload>,
    /// Position of the first byte of each upload stream, as it came.
    pub(crate) upload_starts: Vec<u64>,
    /// Upload streams whose sender broke off without an end.
    pub(crate) uploads_broken_off: usize,
    /// Each upload stream is cut after so many bytes.
    pub(crate) cut_uploads: VecDeque<u64>,
    /// Keys that are refused as expired.
    pub(crate) expired: Vec<String>,
    /// Receipts are answered as pending so often.
    pub(crate) pending: usize,
    /// The receipts that are issued speak of other bytes.
    pub(crate) wrong_receipts: bool,
    /// Received uploads are told with another digest.
    pub(crate) wrong_digests: bool,
    /// Opening is refused for this.
    pub(crate) refuse: Option<Reason>,

    pub(crate) granted: Vec<(GrantedItem, Bytes)>,
    /// Key to uses, by session key.
    pub(crate) sessions: Vec<String>,
    pub(crate) ended: Vec<bool>,
    /// First byte asked for by each read stream.
    pub(crate) reads: Vec<u64>,
    /// Each read stream is cut after so many bytes.
    pub(crate) cut_reads: VecDeque<u64>,
    /// So many read streams bring a wrong byte.
    pub(crate) corrupt_reads: usize,
}

#[derive(Default)]
pub(crate) struct Upload {
    pub(crate) item: [u8; 16],
    pub(crate) bytes: Vec<u8>,
    pub(crate) sealed: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<State>>);

impl Fake {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("unpoisoned")
    }

    fn receipt(&self, bytes: &[u8], item: [u8; 16]) -> Bytes {
        let mut blake3 = *blake3::hash(bytes).as_bytes();
        if self.state().wrong_receipts {
            blake3[0] ^= 1;
        }
        let facts = serde_json::json!({
            "item": hex::encode(item),
            "size": bytes.len(),
            "blake3": hex::encode(blake3),
            "sha256": hex::encode(Sha256::digest(bytes)),
        });
        facts.to_string().into()
    }

    /// None while it is pending.
    fn issue(&self, bytes: &[u8], item: [u8; 16]) -> Bytes {
        if self.state().pending > 0 { Bytes::new() } else { self.receipt(bytes, item) }
    }
}

/// The fake's own notion of a good receipt.
pub(crate) fn verify(receipt: &[u8]) -> Result<ReceiptFacts, String> {
    let facts: serde_json::Value = serde_json::from_slice(receipt).map_err(|error| error.to_string())?;
    let text = |name: &str| facts[name].as_str().unwrap_or_default();
    Ok(ReceiptFacts {
        item: text("item").parse().map_err(|_| "no item")?,
        size_bytes: facts["size"].as_u64().ok_or("no size")?,
        blake3: text("blake3").parse().map_err(|_| "no BLAKE3")?,
        sha256: text("sha256").parse().map_err(|_| "no SHA-256")?,
        sealed_at: NOW,
        record: RecordSeq(7),
    })
}

fn refuse(reason: Reason) -> Status {
    from_refusal(&Refusal::new(reason, "", "as the test asked", ""))
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl IngestService for Fake {
    type UploadStream = Answers<UploadResponse>;

    async fn open_upload(&self, request: Request<OpenUploadRequest>) -> Result<Response<OpenUploadResponse>, Status> {
        let key = request.into_inner().idempotency_key;
        let mut state = self.state();
        if let Some(reason) = state.refuse {
            return Err(refuse(reason));
        }
        if state.expired.contains(&key) {
            return Err(refuse(Reason::UploadExpired));
        }
        let number = u8::try_from(state.uploads.len() + 1).expect("few uploads");
        let upload = state.uploads.entry(key).or_insert_with(|| Upload { item: [number; 16], ..Upload::default() });
        Ok(Response::new(OpenUploadResponse {
            item_id: Bytes::copy_from_slice(&upload.item),
            committed_bytes: upload.bytes.len() as u64,
            sealed: upload.sealed,
        }))
    }

    async fn upload(&self, request: Request<Streaming<UploadRequest>>) -> Result<Response<Self::UploadStream>, Status> {
        let (tell, answers) = mpsc::channel(16);
        let fake = self.clone();
        let messages = request.into_inner();
        tokio::spawn(async move {
            if let Err(status) = fake.receive(messages, &tell).await {
                let _ = tell.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn seal(&self, request: Request<SealRequest>) -> Result<Response<SealResponse>, Status> {
        let request = request.into_inner();
        let (bytes, item) = {
            let mut state = self.state();
            let upload = upload_of(&mut state, &request.item_id)?;
            if blake3::hash(&upload.bytes).as_bytes() != request.blake3.as_ref()
                || upload.bytes.len() as u64 != request.size_bytes
            {
                return Err(refuse(Reason::DigestMismatch));
            }
            upload.sealed = true;
            (upload.bytes.clone(), upload.item)
        };
        let receipt = self.issue(&bytes, item);
        Ok(Response::new(SealResponse { receipt, record_seq: 7, sealed_at_unix_ms: NOW.0 }))
    }

    async fn ingest_original(
        &self,
        request: Request<IngestOriginalRequest>,
    ) -> Result<Response<IngestOriginalResponse>, Status> {
        let request = request.into_inner();
        let item = [99; 16];
        let upload = Upload { item, bytes: request.data.to_vec(), sealed: true };
        self.state().uploads.insert(request.idempotency_key, upload);
        Ok(Response::new(IngestOriginalResponse {
            item_id: Bytes::copy_from_slice(&item),
            blake3: Bytes::copy_from_slice(blake3::hash(&request.data).as_bytes()),
            sha256: Bytes::copy_from_slice(&Sha256::digest(&request.data)),
            receipt: self.issue(&request.data, item),
            record_seq: 7,
            sealed_at_unix_ms: NOW.0,
        }))
    }

    async fn fetch_receipt(
        &self,
        request: Request<FetchReceiptRequest>,
    ) -> Result<Response<FetchReceiptResponse>, Status> {
        let (bytes, item) = {
            let mut state = self.state();
            if state.pending > 0 {
                state.pending -= 1;
                return Err(refuse(Reason::ReceiptPending));
            }
            let upload = upload_of(&mut state, &request.into_inner().item_id)?;
            (upload.bytes.clone(), upload.item)
        };
        Ok(Response::new(FetchReceiptResponse { receipt: self.receipt(&bytes, item) }))
    }
}

fn upload_of<'a>(state: &'a mut State, item: &Bytes) -> Result<&'a mut Upload, Status> {
    state.uploads.values_mut().find(|upload| upload.item == item.as_ref()).ok_or_else(|| refuse(Reason::NotFound))
}

impl Fake {
    async fn receive(
        &self,
        mut messages: Streaming<UploadRequest>,
        tell: &mpsc::Sender<Result<UploadResponse, Status>>,
    ) -> Result<(), Status> {
        let Some(Sent::Header(header)) = messages.message().await?.and_then(|message| message.part) else {
            return Err(refuse(Reason::InvalidArgument));
        };
        let (mut bytes, cut) = {
            let mut state = self.state();
            let cut = state.cut_uploads.pop_front();
            (upload_of(&mut state, &header.item_id)?.bytes.clone(), cut)
        };
        let start = bytes.len() as u64;
        let say = |part| async { tell.send(Ok(UploadResponse { part: Some(part) })).await };
        let _ = say(Told::Accepted(UploadAccepted { offset_bytes: start })).await;
        let mut first = true;
        loop {
            let message = match messages.message().await {
                Ok(message) => message,
                Err(status) => {
                    self.state().uploads_broken_off += 1;
                    return Err(status);
                }
            };
            let Some(message) = message else { break };
            let Some(Sent::Data(data)) = message.part else { return Err(refuse(Reason::InvalidArgument)) };
            if std::mem::take(&mut first) {
                self.state().upload_starts.push(data.offset_bytes);
            }
            if data.offset_bytes != bytes.len() as u64 {
                return Err(refuse(Reason::OutOfOrder));
            }
            bytes.extend_from_slice(&data.data);
            if cut.is_some_and(|cut| bytes.len() as u64 >= start + cut) {
                return Err(Status::unavailable("cut"));
            }
            if (bytes.len() as u64).is_multiple_of(COMMIT_BYTES) {
                upload_of(&mut self.state(), &header.item_id)?.bytes.clone_from(&bytes);
                let _ = say(Told::Progress(UploadProgress { committed_bytes: bytes.len() as u64 })).await;
            }
        }
        upload_of(&mut self.state(), &header.item_id)?.bytes.clone_from(&bytes);
        let mut blake3 = *blake3::hash(&bytes).as_bytes();
        if self.state().wrong_digests {
            blake3[31] ^= 1;
        }
        let received = UploadReceived {
            size_bytes: bytes.len() as u64,
            blake3: Bytes::copy_from_slice(&blake3),
            sha256: Bytes::copy_from_slice(&Sha256::digest(&bytes)),
        };
        let _ = say(Told::Received(received)).await;
        Ok(())
    }
}

#[tonic::async_trait]
impl AccessService for Fake {
    type ReadStream = Answers<ReadResponse>;

    async fn begin_copy_out(
        &self,
        request: Request<BeginCopyOutRequest>,
    ) -> Result<Response<BeginCopyOutResponse>, Status> {
        let key = request.into_inner().idempotency_key;
        let mut state = self.state();
        if !state.sessions.contains(&key) {
            state.sessions.push(key);
        }
        let items = state.granted.iter().map(|(item, _)| item.clone()).collect();
        Ok(Response::new(BeginCopyOutResponse { session_id: Bytes::from_static(&[5; 16]), items, record_seq: 40 }))
    }

    async fn begin_view(&self, _: Request<BeginViewRequest>) -> Result<Response<BeginViewResponse>, Status> {
        Err(refuse(Reason::NoSuchAct))
    }

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let request = request.into_inner();
        let mut state = self.state();
        let found = state.granted.iter().find(|(item, _)| item.item_id == request.item_id);
        let mut bytes = found.ok_or_else(|| refuse(Reason::OutsideGrant))?.1.clone();
        state.reads.push(request.offset_bytes);
        if state.corrupt_reads > 0 {
            state.corrupt_reads -= 1;
            let mut wrong = bytes.to_vec();
            *wrong.last_mut().expect("not empty") ^= 1;
            bytes = wrong.into();
        }
        let cut = state.cut_reads.pop_front().unwrap_or(u64::MAX);
        let mut answers = Vec::new();
        let mut at = request.offset_bytes;
        while at < bytes.len() as u64 {
            if at >= request.offset_bytes.saturating_add(cut) {
                answers.push(Err(Status::unavailable("cut")));
                break;
            }
            let end = (at + MIB).min(bytes.len() as u64);
            let data = bytes.slice(usize::try_from(at).expect("small")..usize::try_from(end).expect("small"));
            answers.push(Ok(ReadResponse { offset_bytes: at, data }));
            at = end;
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(answers))))
    }

    async fn end_session(&self, request: Request<EndSessionRequest>) -> Result<Response<EndSessionResponse>, Status> {
        self.state().ended.push(request.into_inner().complete);
        Ok(Response::new(EndSessionResponse { record_seq: 41 }))
    }
}

#[tonic::async_trait]
impl RequestService for Fake {
    async fn submit_request(
        &self,
        _: Request<SubmitRequestRequest>,
    ) -> Result<Response<SubmitRequestResponse>, Status> {
        Err(refuse(Reason::NoSuchAct))
    }

    async fn approve_request(
        &self,
        _: Request<ApproveRequestRequest>,
    ) -> Result<Response<ApproveRequestResponse>, Status> {
        Err(refuse(Reason::SamePerson))
    }

    async fn reject_request(
        &self,
        _: Request<RejectRequestRequest>,
    ) -> Result<Response<RejectRequestResponse>, Status> {
        Err(refuse(Reason::NoSuchAct))
    }

    async fn show_request(
        &self,
        request: Request<ShowRequestRequest>,
    ) -> Result<Response<ShowRequestResponse>, Status> {
        let request = WireRequest {
            request_id: request.into_inner().request_id,
            act: Act::Copy.into(),
            requester: "li".to_owned(),
            fields: BTreeMap::from([("reason".to_owned(), "复议".to_owned())]),
            approvals: vec![Approval { approver: "wang".to_owned(), role: "legal".to_owned(), ..Approval::default() }],
            ..WireRequest::default()
        };
        Ok(Response::new(ShowRequestResponse { request: Some(request) }))
    }

    async fn list_requests(&self, _: Request<ListRequestsRequest>) -> Result<Response<ListRequestsResponse>, Status> {
        Err(refuse(Reason::NoSuchAct))
    }

    async fn withdraw_request(
        &self,
        _: Request<request::WithdrawRequestRequest>,
    ) -> Result<Response<request::WithdrawRequestResponse>, Status> {
        Err(refuse(Reason::NoSuchAct))
    }

    async fn revoke_request(
        &self,
        _: Request<request::RevokeRequestRequest>,
    ) -> Result<Response<request::RevokeRequestResponse>, Status> {
        Err(refuse(Reason::NoSuchAct))
    }

    async fn file_paper(
        &self,
        _: Request<request::FilePaperRequest>,
    ) -> Result<Response<request::FilePaperResponse>, Status> {
        Err(refuse(Reason::NoSuchAct))
    }

    async fn attest_paper(
        &self,
        _: Request<request::AttestPaperRequest>,
    ) -> Result<Response<request::AttestPaperResponse>, Status> {
        Err(refuse(Reason::NoSuchAct))
    }

    async fn enter_oral_approval(
        &self,
        _: Request<request::EnterOralApprovalRequest>,
    ) -> Result<Response<request::EnterOralApprovalResponse>, Status> {
        Err(refuse(Reason::NoSuchAct))
    }

    async fn confirm_oral_approval(
        &self,
        _: Request<request::ConfirmOralApprovalRequest>,
    ) -> Result<Response<request::ConfirmOralApprovalResponse>, Status> {
        Err(refuse(Reason::NoSuchAct))
    }

    async fn give_view_list(
        &self,
        _: Request<request::GiveViewListRequest>,
    ) -> Result<Response<request::GiveViewListResponse>, Status> {
        Err(refuse(Reason::NoSuchAct))
    }

    async fn close_view_list(
        &self,
        _: Request<request::CloseViewListRequest>,
    ) -> Result<Response<request::CloseViewListResponse>, Status> {
        Err(refuse(Reason::NoSuchAct))
    }

    async fn list_view_lists(
        &self,
        _: Request<request::ListViewListsRequest>,
    ) -> Result<Response<request::ListViewListsResponse>, Status> {
        Err(refuse(Reason::NoSuchAct))
    }
}

/// The fake on loopback, with a context that leads to it.
pub(crate) struct Running {
    pub(crate) folder: TempDir,
    pub(crate) fake: Fake,
    context: ContextFile,
}

impl Running {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::create(AuthorityKind::Client, CLUSTER, NOW).expect("an authority");
        let year = Validity::days_from(NOW, 365);
        let write = |name: &str, issued: &Issued| {
            let files = IdentityFiles {
                certificate: folder.path().join(format!("{name}.pem")),
                key: folder.path().join(format!("{name}.key")),
            };
            write_public(&files.certificate, &issued.certificate_pem).expect("writes");
            write_private(&files.key, &issued.key_pem).expect("writes");
            files
        };
        let hosts = ["127.0.0.1".to_owned()];
        let server = write("server", &authority.issue_server("n1", &hosts, year).expect("issued"));
        let station = write("station", &authority.issue_client("station", year).expect("issued"));
        let ca = folder.path().join("ca.pem");
        write_public(&ca, authority.certificate_pem()).expect("writes");

        let own = CertificateFiles::open(&server.certificate, &server.key).expect("opens");
        let trusted = TrustedAuthority::from_file(&ca).expect("an authority");
        let tls = tls::server(own, &trusted, time()).expect("a server");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound").to_string();
        let connections = incoming(listener, tls, AcceptLimits::default(), |_| {});
        let fake = Fake::default();
        let ingest = IngestServiceServer::new(fake.clone()).max_decoding_message_size(limits::MESSAGE_BYTES_MAX);
        let server = tune_server(Server::builder(), &NetTuning::LAN)
            .add_service(ingest)
            .add_service(AccessServiceServer::new(fake.clone()))
            .add_service(RequestServiceServer::new(fake.clone()));
        tokio::spawn(async move { server.serve_with_incoming(connections).await.expect("serves") });

        let context = ContextFile {
            cluster: CLUSTER.to_string(),
            endpoints: vec![address],
            ca,
            policy: None,
            default_identity: Some("station".to_owned()),
            server_name: None,
            identities: BTreeMap::from([("station".to_owned(), station)]),
        };
        Self { folder, fake, context }
    }

    /// Another node stands first in the context, and it does not answer.
    pub(crate) fn with_a_dead_node_first(mut self) -> Self {
        // Bound and dropped: nobody listens there.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        self.context.endpoints.insert(0, listener.local_addr().expect("bound").to_string());
        self
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with(PATIENCE)
    }

    pub(crate) fn client_with(&self, patience: Duration) -> Client {
        let text = toml::to_string(&self.context).expect("writes");
        let context = Context::parse(&text, &self.folder.path().join("context.toml")).expect("a context");
        let settings = ClientSettings { patience, time: time(), ..ClientSettings::default() };
        Client::connect_with(&context, None, settings).expect("a client")
    }
}

fn time() -> TlsTime {
    TlsTime::of(Arc::new(FixedClock))
}

/// Bytes without a pattern that a shifted or repeated piece could hide in.
pub(crate) fn footage(size: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(size).expect("small")];
    blake3::Hasher::new_derive_key("strongroom test footage").finalize_xof().fill(&mut bytes);
    bytes
}
