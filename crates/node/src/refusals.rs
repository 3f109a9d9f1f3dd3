//! Refusals that are decided at the edge and so become records by way of a command (G9).
//!
//! Those of known callers go through a bounded queue: whoever floods it waits. Those of callers without a known key
//! are counted, and one record a minute says how many came from each address, so that nobody can flood the ledger.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use strongroom_custody::{Act, Actor, command::NoteRefusal};
use strongroom_engine::Catalog;
use strongroom_net::listen::{HandshakeFault, RefusedHandshake};
use strongroom_types::{ErrorKind, ItemId, KeyHash, NodeId, Reason, Refusal};
use tokio::sync::{mpsc, watch};

/// Refusals that wait to be recorded.
const QUEUE: usize = 1024;
/// Addresses that are counted apart in one minute; further ones are counted together.
const SOURCES_MAX: usize = 1024;
/// How often counts become records.
const MINUTE: Duration = Duration::from_secs(60);
/// A refusal that could not be committed is tried again after this, for as long as the node runs.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Longest name of a call in a record.
const CALL_CHARS_MAX: usize = 200;

/// The way in for refusals.
pub(crate) struct Refusals {
    queue: mpsc::Sender<NoteRefusal>,
    counted: Mutex<Counted>,
}

/// Refusals without a known caller since the last record, by address and fault.
#[derive(Default)]
struct Counted {
    sources: BTreeMap<String, BTreeMap<String, u64>>,
}

/// A refusal that a handler decided.
pub(crate) struct AtEdge<'a> {
    pub(crate) key: KeyHash,
    pub(crate) source: IpAddr,
    pub(crate) act: Act,
    pub(crate) call: &'a str,
    pub(crate) item: Option<ItemId>,
}

/// Why a call on the peer port was turned away.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PeerFault {
    /// The certificate is good, and no node has its key.
    Stranger,
    /// A node's registration came with another certificate.
    JoinsAsAnother,
}

impl PeerFault {
    const fn text(self) -> &'static str {
        match self {
            Self::Stranger => "a peer certificate that no node has",
            Self::JoinsAsAnother => "a node that asks to join as another",
        }
    }
}

impl Refusals {
    /// An empty queue, and its other end for [`record`].
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<NoteRefusal>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        (Arc::new(Self { queue, counted: Mutex::default() }), waiting)
    }

    /// Notes a refusal of a caller whose key was proved. Waits where too many are waiting. What only asks for another
    /// try or a mended request is no event of custody.
    pub(crate) async fn note(&self, at: AtEdge<'_>, refusal: &Refusal) {
        if refusal.reason.kind() != ErrorKind::RefusedByPolicy {
            return;
        }
        let note = NoteRefusal {
            key: Some(at.key),
            act: at.act,
            call: at.call.chars().take(CALL_CHARS_MAX).collect(),
            source: at.source.to_string(),
            count: 1,
            refusal: refusal.clone(),
            item: at.item,
        };
        if self.queue.send(note).await.is_err() {
            tracing::error!(act = at.act.name(), reason = %refusal.reason, "refusal not recorded: the node is stopping");
        }
    }

    /// Counts a connection that did not come about.
    pub(crate) fn handshake(&self, refused: &RefusedHandshake) {
        let fault = match &refused.why {
            HandshakeFault::NoCertificate
            | HandshakeFault::Expired
            | HandshakeFault::WrongAuthority
            | HandshakeFault::TimedOut
            | HandshakeFault::Overloaded => refused.why.to_string(),
            // Foreign text, of which there may be any amount.
            HandshakeFault::Other(_) => "the handshake failed".to_owned(),
        };
        self.count(&refused.source.to_string(), &fault);
    }

    /// Counts a call with a key that nobody ever registered.
    pub(crate) fn unknown_key(&self, source: IpAddr) {
        self.count(&source.to_string(), "a call by an unknown key");
    }

    /// Counts a call that a certificate of a peer made which is no node's, or not the node's that it speaks of.
    pub(crate) fn peer(&self, source: IpAddr, fault: PeerFault) {
        self.count(&source.to_string(), fault.text());
    }

    /// Counts a call without a certificate that is good now.
    pub(crate) fn unauthenticated(&self, source: IpAddr, fault: &str) {
        self.count(&source.to_string(), fault);
    }

    fn count(&self, source: &str, fault: &str) {
        let mut counted = self.lock();
        let known = counted.sources.contains_key(source) || counted.sources.len() < SOURCES_MAX;
        let source = if known { source } else { "further addresses" };
        *counted.sources.entry(source.to_owned()).or_default().entry(fault.to_owned()).or_default() += 1;
    }

    /// One note for each address since the last time.
    fn take_counted(&self) -> Vec<NoteRefusal> {
        let sources = std::mem::take(&mut self.lock().sources);
        sources.into_iter().map(|(source, faults)| counted_note(source, &faults)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn counted_note(source: String, faults: &BTreeMap<String, u64>) -> NoteRefusal {
    let words: Vec<_> = faults.iter().map(|(fault, count)| format!("{fault} ×{count}")).collect();
    NoteRefusal {
        key: None,
        act: Act::Connect,
        call: words.join("; ").chars().take(CALL_CHARS_MAX).collect(),
        source,
        count: faults.values().sum(),
        refusal: Refusal::new(
            Reason::Unauthenticated,
            "C3",
            "callers without a certificate or key that we know",
            "call with a client certificate of the cluster whose key is registered",
        ),
        item: None,
    }
}

/// Makes records of refusals. When the node stops, what waits is recorded before this returns.
pub(crate) async fn record(
    catalog: Arc<dyn Catalog>,
    node: NodeId,
    refusals: Arc<Refusals>,
    mut waiting: mpsc::Receiver<NoteRefusal>,
    mut stop: watch::Receiver<bool>,
) {
    let mut minute = tokio::time::interval(MINUTE);
    loop {
        tokio::select! {
            Some(note) = waiting.recv() => commit(&*catalog, node, note).await,
            _ = minute.tick() => {
                for note in refusals.take_counted() {
                    commit(&*catalog, node, note).await;
                }
            }
            () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
        }
    }
    waiting.close();
    while let Some(note) = waiting.recv().await {
        commit(&*catalog, node, note).await;
    }
    for note in refusals.take_counted() {
        commit(&*catalog, node, note).await;
    }
}

async fn commit(catalog: &dyn Catalog, node: NodeId, note: NoteRefusal) {
    let command = strongroom_engine::Command::from(strongroom_custody::Command::NoteRefusal(note));
    while let Err(refusal) = catalog.submit(Actor::Node(node), command.clone(), None).await {
        if refusal.reason.kind() != ErrorKind::TryAgain {
            tracing::error!(error = %refusal, "refusal not recorded");
            return;
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(act: Act) -> AtEdge<'static> {
        AtEdge { key: KeyHash::new([1; 32]), source: [10, 0, 0, 1].into(), act, call: "ShowItem", item: None }
    }

    fn refusal(reason: Reason) -> Refusal {
        Refusal::new(reason, "C5", "no", "")
    }

    #[tokio::test]
    async fn a_refusal_by_the_rules_is_queued_and_a_mistake_is_not() {
        let (refusals, mut waiting) = Refusals::new();
        refusals.note(at(Act::ItemShow), &refusal(Reason::NotFound)).await;
        refusals.note(at(Act::ItemShow), &refusal(Reason::NoLeader)).await;
        refusals.note(at(Act::ItemShow), &refusal(Reason::OutsideUnit)).await;
        let note = waiting.try_recv().expect("one");
        assert_eq!((note.act, note.count, note.refusal.reason), (Act::ItemShow, 1, Reason::OutsideUnit));
        assert!(waiting.try_recv().is_err());
    }

    #[tokio::test]
    async fn callers_that_nobody_knows_are_counted_by_address() {
        let (refusals, mut waiting) = Refusals::new();
        for last in [1, 1, 2] {
            let source = IpAddr::from([10, 0, 0, last]);
            refusals.handshake(&RefusedHandshake { source, why: HandshakeFault::NoCertificate });
            refusals.handshake(&RefusedHandshake { source, why: HandshakeFault::Other(format!("noise {last}")) });
        }
        refusals.unknown_key([10, 0, 0, 1].into());
        assert!(waiting.try_recv().is_err(), "not one by one");
        let notes = refusals.take_counted();
        let seen: Vec<_> = notes.iter().map(|note| (note.source.as_str(), note.count)).collect();
        assert_eq!(seen, [("10.0.0.1", 5), ("10.0.0.2", 2)]);
        assert!(notes[0].call.contains("no certificate was shown ×2"), "{}", notes[0].call);
        assert!(refusals.take_counted().is_empty());
    }

    #[test]
    fn more_addresses_than_there_is_room_for_are_counted_together() {
        let (refusals, _waiting) = Refusals::new();
        for number in 0..u32::try_from(SOURCES_MAX).expect("small") + 10 {
            let source = IpAddr::from(number.to_be_bytes());
            refusals.handshake(&RefusedHandshake { source, why: HandshakeFault::Expired });
        }
        let notes = refusals.take_counted();
        assert_eq!(notes.len(), SOURCES_MAX + 1);
        assert_eq!(notes.iter().find(|note| note.source == "further addresses").expect("there").count, 10);
    }
}
