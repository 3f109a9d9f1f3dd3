//! One call: which node, how long, how often.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use strongroom_net::channel::{Channels, is_connection_failure, tls_fault};
use strongroom_net::tls::{self, CertificateFiles, TlsTime, TrustedAuthority};
use strongroom_net::tuning::NetTuning;
use strongroom_proto::{ASSENT_HEADER, TRIAL_HEADER, status};
use strongroom_types::{Assent, ClusterId, IdempotencyKey, Refusal};
use tokio::time::Instant;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use crate::context::Context;
use crate::error::ClientError;

/// How a client calls.
#[derive(Clone)]
pub struct ClientSettings {
    /// One attempt may take this long.
    pub call_deadline: Duration,
    /// Attempts go on for this long.
    pub patience: Duration,
    /// HTTP/2 settings.
    pub tuning: NetTuning,
    /// What certificates are judged by.
    pub time: TlsTime,
    /// Set where a cluster answers that it is only a trial.
    pub met_trial: Arc<AtomicBool>,
    /// Is shown what is about to be signed, and may refuse it.
    pub confirm: Option<Confirm>,
}

/// Shows somebody the text that they sign, and takes their word for it.
pub type Confirm = Arc<dyn Fn(&str) -> Result<(), Refusal> + Send + Sync>;

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            call_deadline: Duration::from_secs(15),
            patience: Duration::from_secs(30),
            tuning: NetTuning::LAN,
            time: TlsTime::system(),
            met_trial: Arc::default(),
            confirm: None,
        }
    }
}

/// A client of one cluster, with one identity. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    cluster: ClusterId,
    endpoints: Vec<String>,
    server_name: Option<String>,
    /// Index of the endpoint that answered last.
    preferred: AtomicUsize,
    channels: Channels,
    certificate: Arc<CertificateFiles>,
    settings: ClientSettings,
}

impl Client {
    /// A client of the context's cluster as `identity`, or as the context's default one. Connects when first used.
    ///
    /// # Errors
    /// [`ClientError`] where the context, its files or its addresses cannot be used.
    pub fn connect(context: &Context, identity: Option<&str>) -> Result<Self, ClientError> {
        Self::connect_with(context, identity, ClientSettings::default())
    }

    /// Like [`connect`](Self::connect), with settings.
    ///
    /// # Errors
    /// [`ClientError`] where the context, its files or its addresses cannot be used.
    pub fn connect_with(
        context: &Context,
        identity: Option<&str>,
        settings: ClientSettings,
    ) -> Result<Self, ClientError> {
        let (_, files) = context.identity(identity)?;
        let certificate = CertificateFiles::open(&files.certificate, &files.key)?;
        let authority = TrustedAuthority::from_file(&context.authority)?;
        let tls = tls::client(Arc::clone(&certificate), &authority, settings.time.clone())?;
        let client = Self {
            inner: Arc::new(Inner {
                cluster: context.cluster,
                endpoints: context.endpoints.clone(),
                server_name: context.server_name.clone(),
                preferred: AtomicUsize::new(0),
                channels: Channels::new(tls, settings.tuning),
                certificate,
                settings,
            }),
        };
        for index in 0..client.inner.endpoints.len() {
            client.endpoint_at(index)?;
        }
        Ok(client)
    }

    /// The cluster as the context names it.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.inner.cluster
    }

    /// This client's certificate and key; a long-lived one reloads or watches them.
    #[must_use]
    pub fn certificate(&self) -> &Arc<CertificateFiles> {
        &self.inner.certificate
    }

    pub(crate) fn settings(&self) -> &ClientSettings {
        &self.inner.settings
    }

    /// The node to ask now.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, ClientError> {
        self.endpoint_at(self.inner.preferred.load(Ordering::Relaxed))
    }

    /// Turns to the next node, unless somebody has already turned away from this one.
    pub(crate) fn turn_from(&self, endpoint: &Endpoint) {
        let next = (endpoint.index + 1) % self.inner.endpoints.len();
        let preferred = &self.inner.preferred;
        // Where it fails, another call has moved on already.
        let _ = preferred.compare_exchange(endpoint.index, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn endpoint_at(&self, index: usize) -> Result<Endpoint, ClientError> {
        let address = &self.inner.endpoints[index];
        let channel = match &self.inner.server_name {
            Some(name) => self.inner.channels.channel_named(address, name)?,
            None => self.inner.channels.channel(address)?,
        };
        Ok(Endpoint { index, address: address.clone(), channel })
    }

    /// Calls until there is an answer, a final refusal, or patience ends. `request` is sent again as it is, its
    /// idempotency key included.
    pub(crate) async fn call<Q, A, F>(
        &self,
        request: Q,
        send: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, ClientError>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        self.call_patiently(self.inner.settings.patience, request, send).await
    }

    /// Like [`call`](Self::call), for what whoever decides it signs: with their signature over the assent, which names the
    /// call's idempotency key.
    pub(crate) async fn call_signed<Q, A, F>(
        &self,
        assent: &Assent,
        key: &str,
        request: Q,
        send: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, ClientError>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let key = key.parse().expect("a key that was drawn here");
        let time = self.inner.settings.time.now();
        let text = assent.text(self.inner.cluster, &key, time);
        if let Some(confirm) = &self.inner.settings.confirm {
            confirm(&text).map_err(ClientError::Refused)?;
        }
        let signature = self.inner.certificate.sign(text.as_bytes())?;
        let signature = MetadataValue::from_bytes(&[&time.0.to_be_bytes(), &signature[..]].concat());
        let send = |channel, mut message: Request<Q>| {
            message.metadata_mut().insert_bin(ASSENT_HEADER, signature.clone());
            send(channel, message)
        };
        self.call_patiently(self.inner.settings.patience, request, send).await
    }

    /// Like [`call`](Self::call), for as long as `patience`.
    pub(crate) async fn call_patiently<Q, A, F>(
        &self,
        patience: Duration,
        request: Q,
        send: impl Fn(Channel, Request<Q>) -> F,
    ) -> Result<A, ClientError>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut attempts = Attempts::new(patience, self.inner.endpoints.len());
        loop {
            let endpoint = self.endpoint()?;
            let deadline = self.inner.settings.call_deadline;
            let mut message = Request::new(request.clone());
            message.set_timeout(deadline);
            let status = match tokio::time::timeout(deadline, send(endpoint.channel.clone(), message)).await {
                Ok(Ok(response)) => {
                    self.notice_trial(response.metadata());
                    return Ok(response.into_inner());
                }
                Ok(Err(status)) => {
                    self.notice_trial(status.metadata());
                    status
                }
                Err(_) => Status::deadline_exceeded(format!("no answer within {deadline:?}")),
            };
            self.recover(&mut attempts, &endpoint, &status).await?;
        }
    }

    fn notice_trial(&self, headers: &MetadataMap) {
        if headers.contains_key(TRIAL_HEADER) {
            self.inner.settings.met_trial.store(true, Ordering::Relaxed);
        }
    }

    /// Waits as long as makes sense before the next attempt, at the next node.
    ///
    /// # Errors
    /// What to tell the caller where another attempt makes no sense, or patience has ended.
    pub(crate) async fn recover(
        &self,
        attempts: &mut Attempts,
        endpoint: &Endpoint,
        status: &Status,
    ) -> Result<(), ClientError> {
        let verdict = Verdict::of(status);
        tracing::debug!(endpoint = %endpoint.address, code = ?status.code(), error = status.message(), "call failed");
        match verdict {
            Verdict::Final => return Err(ClientError::Refused(status::to_refusal(status))),
            Verdict::NotTrusted(detail) => {
                return Err(ClientError::NotTrusted { endpoint: endpoint.address.clone(), detail });
            }
            Verdict::Elsewhere | Verdict::Later => {}
        }
        self.turn_from(endpoint);
        if attempts.pause(verdict == Verdict::Elsewhere).await {
            return Ok(());
        }
        Err(match verdict {
            Verdict::Elsewhere => ClientError::Unreachable {
                endpoint: endpoint.address.clone(),
                waited: attempts.waited(),
                detail: status.message().to_owned(),
            },
            Verdict::Later | Verdict::Final | Verdict::NotTrusted(_) => {
                ClientError::Refused(status::to_refusal(status))
            }
        })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("cluster", &self.inner.cluster)
            .field("endpoints", &self.inner.endpoints)
            .finish_non_exhaustive()
    }
}

/// A node to call.
pub(crate) struct Endpoint {
    index: usize,
    pub(crate) address: String,
    pub(crate) channel: Channel,
}

/// What a failed attempt means for the next.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The answer will not change.
    Final,
    /// A certificate is not good.
    NotTrusted(String),
    /// The node did not answer; another one may.
    Elsewhere,
    /// The cluster asks to try again.
    Later,
}

impl Verdict {
    fn of(status: &Status) -> Self {
        if let Some(detail) = tls_fault(status) {
            return Self::NotTrusted(detail);
        }
        // A node that answers `UNAVAILABLE` with a reason of ours is there.
        let local = std::error::Error::source(status).is_some() || status.details().is_empty();
        if status.code() == Code::DeadlineExceeded || (local && is_connection_failure(status)) {
            Self::Elsewhere
        } else if status::may_retry(status) {
            Self::Later
        } else {
            Self::Final
        }
    }
}

/// Bounds the attempts of one operation: growing pauses with jitter, until patience ends. The first round over the
/// nodes is not paused where they do not answer at all.
pub(crate) struct Attempts {
    started: Instant,
    patience: Duration,
    free: usize,
    next_pause: Duration,
}

const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);

impl Attempts {
    pub(crate) fn new(patience: Duration, nodes: usize) -> Self {
        Self { started: Instant::now(), patience, free: nodes.saturating_sub(1), next_pause: PAUSE_FIRST }
    }

    /// Progress was made: patience begins anew.
    pub(crate) fn refresh(&mut self) {
        self.started = Instant::now();
        self.next_pause = PAUSE_FIRST;
    }

    fn waited(&self) -> Duration {
        self.started.elapsed()
    }

    /// False where patience has ended.
    async fn pause(&mut self, unanswered: bool) -> bool {
        if unanswered && self.free > 0 {
            self.free -= 1;
            return true;
        }
        let pause = self.next_pause.mul_f64(rand::random_range(0.5..=1.0));
        if self.waited() + pause > self.patience {
            return false;
        }
        self.next_pause = (self.next_pause * 2).min(PAUSE_LONGEST);
        tokio::time::sleep(pause).await;
        true
    }
}

/// A new key for one logical operation.
pub(crate) fn new_key() -> IdempotencyKey {
    hex::encode(rand::random::<[u8; 16]>()).parse().expect("32 hexadecimal digits are a name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_types::{Reason, Refusal};

    #[test]
    fn an_answer_is_told_from_a_failed_connection() {
        let refused = |reason| status::from_refusal(&Refusal::new(reason, "", "x", ""));
        for (status, expected) in [
            (refused(Reason::HoldActive), Verdict::Final),
            (refused(Reason::NotFound), Verdict::Final),
            (refused(Reason::Internal), Verdict::Final),
            (refused(Reason::NoLeader), Verdict::Later),
            (refused(Reason::PromiseUnmet), Verdict::Later),
            (refused(Reason::Overloaded), Verdict::Later),
            (Status::unavailable("connection refused"), Verdict::Elsewhere),
            (Status::deadline_exceeded("x"), Verdict::Elsewhere),
            (Status::unimplemented("x"), Verdict::Final),
            (Status::from_error("broken pipe".into()), Verdict::Elsewhere),
        ] {
            assert_eq!(Verdict::of(&status), expected, "{status:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_end_with_patience_and_begin_anew_with_progress() {
        let mut attempts = Attempts::new(Duration::from_secs(10), 3);
        let begun = Instant::now();
        assert!(attempts.pause(true).await && attempts.pause(true).await);
        assert_eq!(begun.elapsed(), Duration::ZERO, "the other nodes are tried at once");
        while attempts.pause(true).await {}
        let tried = begun.elapsed();
        assert!(tried > Duration::from_secs(5) && tried <= Duration::from_secs(10), "{tried:?}");
        attempts.refresh();
        assert!(attempts.pause(false).await);
    }

    #[test]
    fn keys_differ() {
        assert_ne!(new_key(), new_key());
    }
}
