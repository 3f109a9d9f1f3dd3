//! The acceptor: TCP to a verified caller.
//!
//! Handshakes run beside each other and each has a deadline, so that a caller who says nothing holds up nobody. Beyond
//! the limits new connections are closed at once. A refused handshake is told to the node, which counts it into the
//! ledger by source and minute. What comes out is a connection that knows whose key is at the other end.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use rustls::{CertificateError, ServerConfig};
use strongroom_proto::status;
use strongroom_types::{KeyHash, Reason, Refusal, UnixMillis};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::Status;
use tonic::transport::server::Connected;

use crate::pki::{PkiError, inspect, public_key_of_certificate};

/// Read ahead under TLS. rustls asks for 4 to 16 KiB at a time; this cuts the receive calls tenfold.
pub(crate) const READ_AHEAD_BYTES: usize = 256 << 10;
/// After `accept` failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptLimits {
    /// A handshake must be done within this.
    pub handshake_timeout: Duration,
    /// Handshakes under way at once.
    pub handshakes_max: usize,
    /// Handshakes under way at once from one address, so that one caller cannot use up all of them.
    pub handshakes_per_source_max: usize,
    /// Connections at once, handshakes included.
    pub connections_max: usize,
}

impl Default for AcceptLimits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            handshakes_max: 256,
            handshakes_per_source_max: 64,
            connections_max: 2048,
        }
    }
}

/// A caller who did not get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedHandshake {
    /// Where from.
    pub source: IpAddr,
    /// Why.
    pub why: HandshakeFault,
}

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandshakeFault {
    /// No certificate was shown.
    NoCertificate,
    /// The certificate is no longer good, or not yet.
    Expired,
    /// The certificate is not of this port's authority, or not good for calling.
    WrongAuthority,
    /// Nothing, or not enough, came in time.
    TimedOut,
    /// Too many connections or handshakes already.
    Overloaded,
    /// Anything else: no TLS at all, another version, a broken connection.
    Other(String),
}

impl std::fmt::Display for HandshakeFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("no certificate was shown"),
            Self::Expired => f.write_str("the certificate is not good at this time"),
            Self::WrongAuthority => f.write_str("the certificate is not of the authority of this port"),
            Self::TimedOut => f.write_str("the handshake took too long"),
            Self::Overloaded => f.write_str("there are too many connections"),
            Self::Other(detail) => f.write_str(detail),
        }
    }
}

/// Whose key is at the other end. Who that is and what they may do are rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The key that the certificate speaks for and that the handshake proved.
    pub key: KeyHash,
    /// The same key whole: SubjectPublicKeyInfo in DER.
    pub public_key: Bytes,
    /// The certificate's common name: for people to read, never for a decision.
    pub subject: String,
    /// Where from.
    pub address: SocketAddr,
    /// The certificate is good until here; a connection may outlive it, a request may not.
    pub certificate_not_after: UnixMillis,
}

/// Whose request this is.
///
/// # Errors
/// `UNAUTHENTICATED` where the request did not come through [`incoming`].
pub fn identity_of<T>(request: &tonic::Request<T>) -> Result<PeerIdentity, Status> {
    request.extensions().get::<PeerIdentity>().cloned().ok_or_else(|| {
        status::from_refusal(&Refusal::new(
            Reason::Unauthenticated,
            "",
            "the connection shows no certificate",
            "call with a client certificate of the cluster",
        ))
    })
}

/// The verified connections of a listener, for `serve_with_incoming_shutdown`. Ends only by being dropped, which
/// closes the listener and aborts handshakes under way. `refused` is called for each caller who did not get in, on
/// the acceptor's task: it must not block.
pub fn incoming(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    limits: AcceptLimits,
    refused: impl Fn(RefusedHandshake) + Send + Sync + 'static,
) -> impl Stream<Item = io::Result<TlsConnection>> + Send {
    let acceptor = Acceptor {
        listener,
        tls: TlsAcceptor::from(tls),
        limits,
        connections: Arc::new(Semaphore::new(limits.connections_max)),
        handshakes: JoinSet::new(),
        sources: Sources::default(),
        refused: Box::new(refused),
    };
    futures::stream::unfold(acceptor, |mut acceptor| async move {
        let connection = acceptor.next().await;
        Some((Ok(connection), acceptor))
    })
}

struct Acceptor {
    listener: TcpListener,
    tls: TlsAcceptor,
    limits: AcceptLimits,
    connections: Arc<Semaphore>,
    handshakes: JoinSet<Result<TlsConnection, HandshakeFault>>,
    sources: Sources,
    refused: Box<dyn Fn(RefusedHandshake) + Send + Sync>,
}

impl Acceptor {
    async fn next(&mut self) -> TlsConnection {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, address)) => self.begin(stream, address),
                    Err(error) => pause_after(&error).await,
                },
                Some(done) = self.handshakes.join_next_with_id() => {
                    if let Some(connection) = self.finish(done) {
                        return connection;
                    }
                }
            }
        }
    }

    fn begin(&mut self, stream: TcpStream, address: SocketAddr) {
        let source = address.ip();
        let full = self.handshakes.len() >= self.limits.handshakes_max
            || self.sources.count(source) >= self.limits.handshakes_per_source_max;
        let permit = Arc::clone(&self.connections).try_acquire_owned();
        let (false, Ok(permit)) = (full, permit) else {
            self.refuse(source, HandshakeFault::Overloaded);
            return;
        };
        let handshake = shake_hands(self.tls.clone(), stream, address, permit);
        let task = self.handshakes.spawn(within(self.limits.handshake_timeout, handshake));
        self.sources.begin(task.id(), source);
    }

    fn finish(
        &mut self,
        done: Result<(Id, Result<TlsConnection, HandshakeFault>), JoinError>,
    ) -> Option<TlsConnection> {
        let (task, outcome) = match done {
            Ok(done) => done,
            Err(error) => (error.id(), Err(HandshakeFault::Other("the handshake was broken off".to_owned()))),
        };
        let source = self.sources.end(task)?;
        match outcome {
            Ok(connection) => Some(connection),
            Err(why) => {
                self.refuse(source, why);
                None
            }
        }
    }

    fn refuse(&self, source: IpAddr, why: HandshakeFault) {
        tracing::debug!(%source, %why, "connection refused");
        (self.refused)(RefusedHandshake { source, why });
    }
}

/// Where the handshakes under way come from.
#[derive(Default)]
struct Sources {
    by_task: HashMap<Id, IpAddr>,
    counts: HashMap<IpAddr, usize>,
}

impl Sources {
    fn count(&self, source: IpAddr) -> usize {
        self.counts.get(&source).copied().unwrap_or(0)
    }

    fn begin(&mut self, task: Id, source: IpAddr) {
        self.by_task.insert(task, source);
        *self.counts.entry(source).or_insert(0) += 1;
    }

    fn end(&mut self, task: Id) -> Option<IpAddr> {
        let source = self.by_task.remove(&task)?;
        if let Some(count) = self.counts.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&source);
            }
        }
        Some(source)
    }
}

async fn within(
    timeout: Duration,
    handshake: impl Future<Output = Result<TlsConnection, HandshakeFault>>,
) -> Result<TlsConnection, HandshakeFault> {
    tokio::time::timeout(timeout, handshake).await.unwrap_or(Err(HandshakeFault::TimedOut))
}

async fn shake_hands(
    tls: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    permit: OwnedSemaphorePermit,
) -> Result<TlsConnection, HandshakeFault> {
    stream.set_nodelay(true).map_err(|error| HandshakeFault::Other(error.to_string()))?;
    let stream = tls.accept(BufReader::with_capacity(READ_AHEAD_BYTES, stream)).await.map_err(|error| fault(&error))?;
    let identity = identify(&stream, address)?;
    Ok(TlsConnection { stream, identity, _permit: permit })
}

fn identify(stream: &TlsStream<BufReader<TcpStream>>, address: SocketAddr) -> Result<PeerIdentity, HandshakeFault> {
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificate = certificates.first().ok_or(HandshakeFault::NoCertificate)?;
    let facts = inspect(certificate).map_err(|error: PkiError| HandshakeFault::Other(error.to_string()))?;
    let public_key =
        public_key_of_certificate(certificate).map_err(|error: PkiError| HandshakeFault::Other(error.to_string()))?;
    Ok(PeerIdentity {
        key: facts.key_hash,
        public_key: public_key.into(),
        subject: facts.subject,
        address,
        certificate_not_after: facts.not_after,
    })
}

fn fault(error: &io::Error) -> HandshakeFault {
    use CertificateError as Certificate;

    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::NoCertificatesPresented) => HandshakeFault::NoCertificate,
        Some(rustls::Error::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        )) => HandshakeFault::Expired,
        Some(rustls::Error::InvalidCertificate(
            Certificate::UnknownIssuer
            | Certificate::BadSignature
            | Certificate::InvalidPurpose
            | Certificate::InvalidPurposeContext { .. },
        )) => HandshakeFault::WrongAuthority,
        // Somebody else's enum: whatever else it says is shown as it is.
        Some(other) => HandshakeFault::Other(other.to_string()),
        None => HandshakeFault::Other(error.to_string()),
    }
}

/// A caller that hung up before it was accepted is nothing; a want of descriptors passes when connections end.
async fn pause_after(error: &io::Error) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    tracing::warn!(%error, "could not accept a connection");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// A connection whose caller has proved a key.
#[derive(Debug)]
pub struct TlsConnection {
    stream: TlsStream<BufReader<TcpStream>>,
    identity: PeerIdentity,
    /// Held for as long as the connection stands.
    _permit: OwnedSemaphorePermit,
}

impl TlsConnection {
    /// Whose key is at the other end.
    #[must_use]
    pub const fn identity(&self) -> &PeerIdentity {
        &self.identity
    }
}

impl Connected for TlsConnection {
    type ConnectInfo = PeerIdentity;

    fn connect_info(&self) -> PeerIdentity {
        self.identity.clone()
    }
}

impl AsyncRead for TlsConnection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for TlsConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
