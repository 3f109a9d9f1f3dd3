//! mTLS and gRPC over loopback with our certificates, acceptor, channels and tuning: 1 MiB messages to a server and
//! 1 MiB answers from it, some at once, as between a client and a gateway and between a gateway and a node.
//!
//! Client and server have a thread and a runtime each, so that the thread's clock tells what either end costs. What is sent no
//! cache holds, and what was received is kept for a while, as on the path, where a shard is sent once and then written.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use strongroom_net::{
    channel::Channels,
    listen::{AcceptLimits, incoming},
    pki::{Authority, AuthorityKind, Issued, Validity, write_private, write_public},
    tls::{self, CertificateFiles, TlsTime, TrustedAuthority},
    tuning::{NetTuning, tune_server},
};
use strongroom_proto::peer::{
    GetShardRequest, GetShardResponse, PutShardRequest, PutShardResponse,
    shard_service_client::ShardServiceClient,
    shard_service_server::{ShardService, ShardServiceServer},
};
use strongroom_types::{Clock, ClusterId, NodeId, UnixMillis, limits};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle},
    task::JoinSet,
};
use tonic::{
    Request, Response, Status,
    transport::{Channel, Server},
};

use super::{Stages, median, per_gib};
use crate::{Scale, sys};

const MESSAGE_BYTES: usize = 1 << 20;
const AT_ONCE: usize = 4;
/// Messages that are sent in turn: together they are larger than a processor's caches.
const IN_TURN: usize = 128;
/// Messages that either end keeps before it gives their memory back.
const KEPT: usize = 16;
const SERVER: NodeId = NodeId(1);
const CLIENT: NodeId = NodeId(2);

pub(super) fn measure(scale: Scale, stages: &mut Stages) -> Result<()> {
    let pki = Pki::new()?;
    let (tell, told) = mpsc::sync_channel(1);
    let tls = tls::server(pki.files(SERVER)?, &pki.trust()?, TlsTime::of(Arc::new(StillClock)))?;
    // Ends with the process: it serves nobody else.
    thread::spawn(move || serve(tls, &tell));
    let (address, server) = told.recv().context("the server did not start")?;
    let client = Builder::new_current_thread().enable_all().build()?;
    let measured = client.block_on(async {
        let tls = tls::client(pki.files(CLIENT)?, &pki.trust()?, TlsTime::of(Arc::new(StillClock)))?;
        let channel = Channels::new(tls, NetTuning::LAN).peer(SERVER, &address)?;
        measure_over(&channel, &server, scale).await
    })?;
    (stages.call_send, stages.call_receive) = measured.calls;
    (stages.answer_receive, stages.answer_send) = measured.answers;
    Ok(())
}

/// Client's end and server's end, CPU-seconds per GiB.
struct BothWays {
    calls: (f64, f64),
    answers: (f64, f64),
}

async fn measure_over(channel: &Channel, server: &Handle, scale: Scale) -> Result<BothWays> {
    let (payloads, kept) = (InTurn::new(1), Arc::new(Kept::default()));
    let (rounds, messages) = (scale.pick(5, 3), scale.pick(256, 64));
    // Connects, and warms up.
    all(16, || put(channel.clone(), payloads.next())).await?;
    let (mut calls, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let start = both_ends(server).await?;
        all(messages, || put(channel.clone(), payloads.next())).await?;
        let between = both_ends(server).await?;
        all(messages, || get(channel.clone(), Arc::clone(&kept))).await?;
        let end = both_ends(server).await?;
        let cost = |from: Duration, to: Duration| per_gib(to - from, messages * MESSAGE_BYTES);
        calls.push((cost(start.0, between.0), cost(start.1, between.1)));
        answers.push((cost(between.0, end.0), cost(between.1, end.1)));
    }
    Ok(BothWays { calls: medians(calls), answers: medians(answers) })
}

fn medians(rounds: Vec<(f64, f64)>) -> (f64, f64) {
    let (client, server) = rounds.into_iter().unzip();
    (median(client), median(server))
}

/// CPU time of the client's thread and of the server's.
async fn both_ends(server: &Handle) -> Result<(Duration, Duration)> {
    // The server's runtime has one thread, so its tasks run there.
    let theirs = server.spawn(async { sys::thread_cpu() }).await?;
    Ok((sys::thread_cpu(), theirs))
}

async fn all<F>(count: usize, call: impl Fn() -> F) -> Result<()>
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for _ in 0..count {
        if running.len() == AT_ONCE {
            running.join_next().await.context("some run")???;
        }
        running.spawn(call());
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}

async fn put(channel: Channel, payload: Bytes) -> Result<(), Status> {
    let mut client = ShardServiceClient::new(channel).max_encoding_message_size(limits::MESSAGE_BYTES_MAX);
    client.put_shard(PutShardRequest { payload, ..Default::default() }).await.map(|_| ())
}

async fn get(channel: Channel, kept: Arc<Kept>) -> Result<(), Status> {
    let mut client = ShardServiceClient::new(channel).max_decoding_message_size(limits::MESSAGE_BYTES_MAX);
    let answer = client.get_shard(GetShardRequest::default()).await?.into_inner();
    assert_eq!(answer.payload.len(), MESSAGE_BYTES);
    kept.keep(answer.payload);
    Ok(())
}

/// Payloads, one after the other.
struct InTurn {
    payloads: Vec<Bytes>,
    sent: AtomicUsize,
}

impl InTurn {
    fn new(seed: u64) -> Self {
        let payload = |turn| Bytes::from(strongroom_testkit::bytes(MESSAGE_BYTES, seed + turn as u64));
        Self { payloads: (0..IN_TURN).map(payload).collect(), sent: AtomicUsize::new(0) }
    }

    fn next(&self) -> Bytes {
        self.payloads[self.sent.fetch_add(1, Ordering::Relaxed) % IN_TURN].clone()
    }
}

/// What was received last.
#[derive(Default)]
struct Kept(Mutex<VecDeque<Bytes>>);

impl Kept {
    fn keep(&self, payload: Bytes) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(payload);
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }
}

/// Takes what comes, and answers with something else.
struct Echo {
    answers: InTurn,
    kept: Kept,
}

#[tonic::async_trait]
impl ShardService for Echo {
    async fn put_shard(&self, request: Request<PutShardRequest>) -> Result<Response<PutShardResponse>, Status> {
        let payload = request.into_inner().payload;
        assert_eq!(payload.len(), MESSAGE_BYTES);
        self.kept.keep(payload);
        Ok(Response::new(PutShardResponse {}))
    }

    async fn get_shard(&self, _: Request<GetShardRequest>) -> Result<Response<GetShardResponse>, Status> {
        Ok(Response::new(GetShardResponse { payload: self.answers.next(), ..Default::default() }))
    }
}

fn serve(tls: Arc<rustls::ServerConfig>, tell: &mpsc::SyncSender<(String, Handle)>) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        tell.send((address, Handle::current())).expect("somebody waits for it");
        let connections = incoming(listener, tls, AcceptLimits::default(), |_| {});
        let service = ShardServiceServer::new(Echo { answers: InTurn::new(1000), kept: Kept::default() })
            .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
            .max_encoding_message_size(limits::MESSAGE_BYTES_MAX);
        let server = tune_server(Server::builder(), &NetTuning::LAN).add_service(service);
        server.serve_with_incoming(connections).await.expect("it serves until the process ends");
    });
}

struct Pki {
    folder: TempDir,
    authority: Authority,
}

impl Pki {
    fn new() -> Result<Self> {
        let authority = Authority::create(AuthorityKind::Peer, ClusterId::new([1; 16]), StillClock.wall())?;
        Ok(Self { folder: tempfile::tempdir()?, authority })
    }

    fn trust(&self) -> Result<TrustedAuthority> {
        Ok(TrustedAuthority::from_pem(self.authority.certificate_pem().as_bytes())?)
    }

    fn files(&self, node: NodeId) -> Result<Arc<CertificateFiles>> {
        let Issued { certificate_pem, key_pem, .. } =
            self.authority.issue_peer(node, &[], Validity::days_from(StillClock.wall(), 1))?;
        let path = |kind| self.folder.path().join(format!("{node}.{kind}"));
        write_public(&path("pem"), &certificate_pem)?;
        write_private(&path("key"), &key_pem)?;
        Ok(CertificateFiles::open(&path("pem"), &path("key"))?)
    }
}

/// Certificates are made for this moment and judged at it.
#[derive(Debug)]
struct StillClock;

impl Clock for StillClock {
    fn wall(&self) -> UnixMillis {
        UnixMillis(1_780_000_000_000)
    }

    fn boottime_ms(&self) -> i64 {
        0
    }

    fn boot_id(&self) -> [u8; 16] {
        [0; 16]
    }
}
