//! What every handler of a client's call does: learn who calls and what they signed, look with their rights, submit with their
//! key, answer.

use std::{net::IpAddr, sync::Arc};

use prost::Message;
use sha2::{Digest, Sha256};
use strongroom_custody::{
    self as custody, Act, Actor,
    access::{self, Stop},
    assent::Signature,
    citation,
    tables::{PRINCIPALS_BY_KEY, PrincipalRow},
};
use strongroom_engine::{
    Answer, Catalog, Engine, Idempotency, Snapshot, System,
    catalog::{broken, refusal_of},
};
use strongroom_net::listen::{PeerIdentity, identity_of};
use strongroom_proto::{ASSENT_HEADER, convert, status};
use strongroom_types::{CommandDigest, ItemId, KeyHash, Reason, Refusal, UnixMillis};
use tonic::{Request, Status, metadata::MetadataValue};

use crate::{
    metrics,
    node::Settled,
    refusals::{AtEdge, Refusals},
    streams::Streams,
};

/// Longest signature of a caller: an ECDSA one over P-384 takes at most 104 bytes.
const SIGNATURE_BYTES_MAX: usize = 256;

/// The parts that handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Edge {
    engine: Engine,
    system: System,
    refusals: Arc<Refusals>,
    streams: Arc<Streams>,
    settled: Settled,
}

/// Who calls: a key that the handshake proved. Who that is and what they may do are rows.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) key: KeyHash,
    source: IpAddr,
    /// What they signed, where the call decides something.
    assent: Option<Signature>,
}

impl Caller {
    pub(crate) const fn actor(&self) -> Actor {
        Actor::Client(self.key)
    }
}

/// One consistent look at the rows, by a principal who may take it.
pub(crate) struct Look<'a> {
    pub(crate) rows: &'a Snapshot,
    pub(crate) principal: PrincipalRow,
}

/// A call that reads.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) act: Act,
    pub(crate) item: Option<ItemId>,
}

impl Reading {
    pub(crate) const fn of(act: Act) -> Self {
        Self { act, item: None }
    }

    pub(crate) const fn of_item(act: Act, item: ItemId) -> Self {
        Self { act, item: Some(item) }
    }
}

impl Edge {
    pub(crate) fn new(engine: Engine, system: System, refusals: Arc<Refusals>, settled: Settled) -> Self {
        Self { engine, system, refusals, streams: Arc::default(), settled }
    }

    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) const fn system(&self) -> &System {
        &self.system
    }

    pub(crate) const fn refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }

    pub(crate) const fn streams(&self) -> &Arc<Streams> {
        &self.streams
    }

    fn catalog(&self) -> &Arc<dyn Catalog> {
        self.engine.catalog()
    }

    /// Whose request this is. A connection may outlive its certificate, a request may not. Whoever has a key that
    /// nobody ever registered is counted and turned away here, before anything is decided for them: a command of
    /// theirs would be refused with a record of its own, and they could fill the ledger.
    pub(crate) fn caller<'a, T>(
        &'a self,
        request: &Request<T>,
    ) -> impl Future<Output = Result<Caller, Status>> + Send + use<'a, T> {
        let identity = identity_of(request);
        let signature = request.metadata().get_bin(ASSENT_HEADER).map(MetadataValue::to_bytes);
        async move {
            let identity = identity?;
            self.refuse_ended(&identity)?;
            self.refuse_unsettled()?;
            if self.is_registered(&identity.key).await.map_err(|refusal| answer(&refusal))? {
                // What is no signature is told as none: where one is needed, the call is refused for it.
                let assent =
                    signature.and_then(Result::ok).and_then(|bytes| signature_of(&identity.public_key, &bytes));
                return Ok(Caller { key: identity.key, source: identity.address.ip(), assent });
            }
            self.refusals.unknown_key(identity.address.ip());
            Err(answer(&access::unknown(&identity.key)))
        }
    }

    /// Whether a key is or was somebody's.
    pub(crate) async fn is_registered(&self, key: &KeyHash) -> Result<bool, Refusal> {
        let listed = |rows: &Snapshot| PRINCIPALS_BY_KEY.read(&**rows, key).map_err(|error| broken(&error));
        if listed(&self.catalog().read_here()?)?.is_some() {
            return Ok(true);
        }
        // Registered a moment ago, perhaps, and not yet applied here.
        Ok(listed(&self.catalog().read().await?)?.is_some())
    }

    fn refuse_ended(&self, identity: &PeerIdentity) -> Result<(), Status> {
        if identity.certificate_not_after < self.system.clock.wall() {
            self.refusals.unauthenticated(identity.address.ip(), "the certificate has ended");
            return Err(answer(&Refusal::new(
                Reason::Unauthenticated,
                "",
                format!("the certificate ended at {}", identity.certificate_not_after),
                "renew the certificate and connect again",
            )));
        }
        Ok(())
    }

    fn refuse_unsettled(&self) -> Result<(), Status> {
        if self.settled.is_known() {
            return Ok(());
        }
        Err(answer(&Refusal::new(
            Reason::NoLeader,
            "C3",
            "this node has not yet compared its metadata with what its disks have verified",
            "try again, or ask another node",
        )))
    }

    /// Looks at the rows where the caller's role allows `reading`. A refusal by the rules becomes a record.
    pub(crate) async fn look<T>(
        &self,
        caller: &Caller,
        reading: Reading,
        look: impl FnOnce(&Look<'_>) -> Result<T, Stop>,
    ) -> Result<T, Status> {
        let seen = {
            let rows = self.catalog().read().await.map_err(|refusal| answer(&refusal))?;
            access::authorize(&*rows, &caller.key, reading.act)
                .and_then(|principal| look(&Look { rows: &rows, principal }))
                .map_err(refusal_of)
        };
        match seen {
            Ok(seen) => Ok(seen),
            Err(refusal) => Err(self.refuse(caller, reading, &refusal).await),
        }
    }

    /// Answers a refusal that was decided here, and sees to it that it becomes a record.
    pub(crate) async fn refuse(&self, caller: &Caller, reading: Reading, refusal: &Refusal) -> Status {
        let call = reading.act.name();
        let at = AtEdge { key: caller.key, source: caller.source, act: reading.act, call, item: reading.item };
        self.refusals.note(at, refusal).await;
        self.answer(refusal.clone())
    }

    /// Answers a refusal by the rules, with the words of its article as the agencies' profiles have them.
    pub(crate) fn answer(&self, mut refusal: Refusal) -> Status {
        if refusal.rule.starts_with("R-") {
            // Where the words cannot be read, the id still says which article it is.
            refusal.article = self.article(&refusal.rule).unwrap_or_default();
        }
        answer(&refusal)
    }

    fn article(&self, rule: &str) -> Option<String> {
        let rows = self.catalog().read_here().ok()?;
        citation::article(&*rows, rule).ok()?
    }

    /// Commits a command of the caller's. Its refusal is a record already.
    pub(crate) async fn submit(
        &self,
        caller: &Caller,
        command: custody::Command,
        idempotency: Idempotency,
    ) -> Result<custody::Answer, Status> {
        let idempotency = Idempotency { assent: caller.assent.clone(), ..idempotency };
        let submitted = self.catalog().submit(caller.actor(), command.into(), Some(idempotency)).await;
        match submitted.map_err(|refusal| self.answer(refusal))? {
            Answer::Custody(given) => Ok(given),
            other => Err(unexpected(&other)),
        }
    }

    /// Commits a command whose answer is its record, and gives the record's position.
    pub(crate) async fn record(
        &self,
        caller: &Caller,
        command: custody::Command,
        idempotency: Idempotency,
    ) -> Result<u64, Status> {
        match self.submit(caller, command, idempotency).await? {
            custody::Answer::Recorded(seq) => Ok(seq.0),
            other => Err(unexpected(&other)),
        }
    }

    /// Rows that show what was just answered, for the answer's details. Nobody's rights are asked.
    pub(crate) async fn rows(&self) -> Result<Snapshot, Status> {
        self.catalog().read().await.map_err(|refusal| answer(&refusal))
    }
}

/// A caller's signature: eight bytes of the signer's time, then the signature (`ASSENT_HEADER`).
fn signature_of(public_key: &[u8], bytes: &[u8]) -> Option<Signature> {
    let (at, value) = bytes.split_first_chunk()?;
    (value.len() <= SIGNATURE_BYTES_MAX).then(|| Signature {
        public_key: public_key.to_vec().into(),
        value: value.to_vec().into(),
        at: UnixMillis(i64::from_be_bytes(*at)),
    })
}

/// The one way in which a refusal leaves the node.
pub(crate) fn answer(refusal: &Refusal) -> Status {
    metrics::refused(refusal.reason);
    if refusal.reason.kind() == strongroom_types::ErrorKind::WeAreBroken {
        tracing::error!(error = %refusal, reason = %refusal.reason, "a call failed by a fault of ours");
    }
    status::from_refusal(refusal)
}

/// A row that could not be read, as an answer.
pub(crate) fn fault(error: &dyn std::error::Error) -> Status {
    answer(&broken(error))
}

/// An answer that does not fit its question: a mistake of ours.
pub(crate) fn unexpected(found: &impl std::fmt::Debug) -> Status {
    answer(&Refusal::new(Reason::Internal, "", format!("unexpected answer {found:?}"), "an operator must look"))
}

/// The caller's idempotency key, bound to the rest of the request.
pub(crate) fn idempotency(key: &str, request: CommandDigest) -> Result<Idempotency, Status> {
    if key.is_empty() {
        return Err(answer(&Refusal::new(
            Reason::FieldMissing,
            "",
            "idempotency_key is empty",
            "draw a random key, and use it again only to repeat this very call",
        )));
    }
    let key = convert::parsed("idempotency_key", key).map_err(|refusal| answer(&refusal))?;
    Ok(Idempotency { key, request, assent: None })
}

/// Takes the idempotency key out of a request and binds it to the rest.
macro_rules! bound {
    ($name:literal, $request:ident) => {{
        let key = std::mem::take(&mut $request.idempotency_key);
        $crate::edge::idempotency(&key, $crate::edge::digest($name, &$request))
    }};
}
pub(crate) use bound;

/// Digest of a request whose idempotency key was taken out. Its maps are ordered, so that equal requests are equal
/// bytes.
pub(crate) fn digest(name: &str, request: &impl Message) -> CommandDigest {
    let mut hash = Sha256::new();
    hash.update((name.len() as u64).to_be_bytes());
    hash.update(name.as_bytes());
    hash.update(request.encode_to_vec());
    CommandDigest::new(hash.finalize().into())
}

/// A value of a request that its parser refused, as an answer.
pub(crate) fn parsed<T>(parsed: Result<T, Refusal>) -> Result<T, Status> {
    parsed.map_err(|refusal| answer(&refusal))
}

/// The token of a page, where one was given.
pub(crate) fn page_token(token: &[u8]) -> Option<Vec<u8>> {
    Some(token.to_vec()).filter(|token| !token.is_empty())
}

/// Page size as asked, within its limit.
pub(crate) fn page_size(asked: u32) -> usize {
    const DEFAULT: usize = 100;
    match usize::try_from(asked) {
        Ok(0) => DEFAULT,
        Ok(asked) => asked.min(strongroom_types::limits::PAGE_ROWS_MAX),
        Err(_) => strongroom_types::limits::PAGE_ROWS_MAX,
    }
}

#[cfg(test)]
mod tests {
    use strongroom_proto::request::SubmitRequestRequest;

    use super::*;

    #[test]
    fn the_digest_of_a_request_does_not_depend_on_the_order_of_its_maps() {
        let request = |names: &[&str]| SubmitRequestRequest {
            fields: names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect(),
            ..SubmitRequestRequest::default()
        };
        let forward = digest("submit", &request(&["a", "b", "c", "d", "e"]));
        assert_eq!(digest("submit", &request(&["e", "d", "c", "b", "a"])), forward);
        assert_ne!(digest("submit", &request(&["a", "b", "c", "d"])), forward);
        assert_ne!(digest("approve", &request(&["a", "b", "c", "d", "e"])), forward);
    }

    #[test]
    fn an_empty_idempotency_key_is_refused() {
        let status = idempotency("", CommandDigest::new([0; 32])).expect_err("refused");
        assert_eq!(status::to_refusal(&status).reason, Reason::FieldMissing);
        assert!(idempotency("k1", CommandDigest::new([0; 32])).is_ok());
    }
}
