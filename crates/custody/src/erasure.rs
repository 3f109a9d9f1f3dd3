//! What follows a decision to erase: orders to the disks, their receipts, the word of each replica that keys are
//! gone, and what is closed as lost.
//!
//! ```text
//!  record (permit) ─▶ order ─▶ every disk: verify, erase, remember ─▶ receipt, signed by its node ┐
//!                        └───▶ every replica: purge, compact ───────▶ word, signed by its node ───┴▶ parts
//! ```
//!
//! An order is named by its record. A disk follows orders in their order, and what it has followed is a row: a disk
//! that was away goes on where it stopped. Orders come from executed disposals, from uploads that expired and from
//! streams that were superseded, and from executed removals ([`crate::removal`]); each record commits to its list in the
//! same way ([`EraseList`]), and says of which kind it is.

use std::{collections::BTreeMap, fmt};

use minicbor::bytes::ByteVec;
use sha2::{Digest, Sha256};
use strongroom_types::{
    BatchId, ClusterId, DeviceId, DiskId, EraseList, ItemId, NodeId, Reason, RecordSeq, Refusal, RemovalId, TreeHash,
    UnitId, UnixMillis, limits,
    rows::{Key, RowError, Rows, encode},
};

use crate::{
    Act, Answer, Fact, Record, Value,
    access::{Stop, different_person},
    apply::Decision,
    disposal::{self, DiskOfNode, DisposalStepRow, ExecutionRow, check_reason},
    removal::{self, RemovalRow, Statement},
    tables::{
        DISK_PROGRESS, DISPOSALS, ERASE_ORDERS, ItemRow, LOST, MANIFEST, PARTS, PARTS_PENDING, REMOVALS, Retention,
        TOMBSTONES, UNSWEPT, UploadEnd,
    },
};

/// What a node signs of an erasure begins with this, so that it can be taken for nothing else.
const RECEIPT_DOMAIN: &[u8] = b"strongroom erasure receipt v1\n";
/// What a node signs of its keys begins with this.
const KEYS_DOMAIN: &[u8] = b"strongroom keys gone v1\n";

/// What one disk erased by one order, or by the orders without a batch up to this one. Proposed by the disk's node.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct NoteErasure {
    /// The disk.
    #[n(0)]
    pub disk: DiskId,
    /// The order.
    #[n(1)]
    pub order: RecordSeq,
    /// Shards that went; none where an earlier try, whose answer was lost in a crash, had done it.
    #[n(2)]
    pub shards: u64,
    /// Bytes of their payload.
    #[n(3)]
    pub payload_bytes: u64,
    /// Ed25519 of the node over [`receipt_message`].
    #[n(4)]
    pub signature: ByteVec,
    /// The node's registered key. Filled in, and the signature verified, by the composition above.
    #[n(5)]
    pub vkey: String,
}

/// A replica's word that it holds nothing any more by which the keys of a batch could be had. Proposed by its node.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AttestKeys {
    /// The batch.
    #[n(0)]
    pub batch: BatchId,
    /// Log index up to which its log is purged; the batch was executed before it.
    #[n(1)]
    pub purged_to: u64,
    /// Ed25519 of the node over [`keys_message`].
    #[n(2)]
    pub signature: ByteVec,
    /// The node's registered key. Filled in, and the signature verified, by the composition above.
    #[n(3)]
    pub vkey: String,
}

/// Closes a disk or a replica as lost. It takes two people, each with this command.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CloseLost {
    /// What is lost.
    #[n(0)]
    pub keeper: Keeper,
    /// Why nobody will see it again.
    #[n(1)]
    pub reason: String,
}

/// What keeps something of an item, and has a part in its disposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
pub enum Keeper {
    /// A disk: shards.
    #[n(0)]
    Disk(#[n(0)] DiskId),
    /// A node's replica of the metadata: wrapped keys.
    #[n(1)]
    Replica(#[n(0)] NodeId),
}

impl Key for Keeper {
    fn write_to(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Disk(disk) => {
                bytes.push(0);
                disk.write_to(bytes);
            }
            Self::Replica(node) => {
                bytes.push(1);
                node.write_to(bytes);
            }
        }
    }
}

impl fmt::Display for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(disk) => write!(f, "disk {disk}"),
            Self::Replica(node) => write!(f, "the replica of {node}"),
        }
    }
}

/// Sweeps rows that disposed items left.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SweepDisposed {
    /// At most this many rows.
    #[n(0)]
    pub limit: u32,
}

/// What remains of an item or of an upload that is gone. Kept for good, and the id is never used again.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Tombstone {
    /// An item that was disposed of.
    #[n(0)]
    Disposed(#[n(0)] Box<DisposedItem>),
    /// An upload that expired before its seal, by this record.
    #[n(1)]
    Expired(#[n(0)] UnitId, #[n(1)] RecordSeq),
    /// An item that was transferred to a classified carrier.
    #[n(2)]
    Removed(#[n(0)] Box<RemovedItem>),
}

/// What a removed item was, and where it is. What kept it stands with its removal.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RemovedItem {
    /// Its unit.
    #[n(0)]
    pub unit: UnitId,
    /// Its device.
    #[n(1)]
    pub device: DeviceId,
    /// Length and digests.
    #[n(2)]
    pub original: UploadEnd,
    /// When it was sealed.
    #[n(3)]
    pub sealed_at: UnixMillis,
    /// Record of the seal.
    #[n(4)]
    pub sealed_by: RecordSeq,
    /// How long it was to be kept, and by which profile.
    #[n(5)]
    pub retention: Retention,
    /// The removal.
    #[n(6)]
    pub removal: RemovalId,
    /// The carrier that it is on.
    #[n(7)]
    pub carrier: String,
    /// The organ that has the carrier.
    #[n(8)]
    pub organ: String,
    /// Who received it.
    #[n(9)]
    pub receiver: String,
    /// When it went.
    #[n(10)]
    pub removed_at: UnixMillis,
    /// Record by which it went.
    #[n(11)]
    pub removed_by: RecordSeq,
}

/// What an item was: enough to prove what went, and nothing of what people wrote about it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DisposedItem {
    /// Its unit.
    #[n(0)]
    pub unit: UnitId,
    /// Its device.
    #[n(1)]
    pub device: DeviceId,
    /// Length and digests.
    #[n(2)]
    pub original: UploadEnd,
    /// When it was sealed.
    #[n(3)]
    pub sealed_at: UnixMillis,
    /// Record of the seal.
    #[n(4)]
    pub sealed_by: RecordSeq,
    /// How long it was kept, and by which profile.
    #[n(5)]
    pub retention: Retention,
    /// Batch in which it went.
    #[n(6)]
    pub batch: BatchId,
    /// When it went.
    #[n(7)]
    pub disposed_at: UnixMillis,
    /// Record by which it went.
    #[n(8)]
    pub disposed_by: RecordSeq,
}

/// An order to every disk, under the sequence of its record.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct EraseOrderRow {
    /// The number under which parts are kept: a batch's or a removal's; none for debris.
    #[n(0)]
    pub batch: Option<BatchId>,
    /// What goes.
    #[n(1)]
    pub list: EraseList,
    /// The removal, where it is one's.
    #[n(2)]
    pub removal: Option<RemovalId>,
}

impl EraseOrderRow {
    /// Which kind of permit this order takes.
    #[must_use]
    pub const fn kind(&self) -> PermitKind {
        match (self.removal, self.batch) {
            (Some(_), _) => PermitKind::Removal,
            (None, Some(_)) => PermitKind::Disposal,
            (None, None) => PermitKind::Debris,
        }
    }
}

/// What a keeper has to do, or did, for one batch.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct PartRow {
    /// The node that has the disk or replica.
    #[n(0)]
    pub node: NodeId,
    /// How far it is.
    #[n(1)]
    pub state: PartState,
}

/// How far a keeper is with a batch.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum PartState {
    /// It has not answered.
    #[n(0)]
    Pending,
    /// The disk erased, by this record.
    #[n(1)]
    Erased {
        /// The receipt's record.
        #[n(0)]
        seq: RecordSeq,
        /// Shards that went.
        #[n(1)]
        shards: u64,
        /// Bytes of their payload.
        #[n(2)]
        payload_bytes: u64,
    },
    /// The replica gave its word, by this record.
    #[n(2)]
    KeysGone {
        /// The word's record.
        #[n(0)]
        seq: RecordSeq,
        /// Log index up to which its log is purged.
        #[n(1)]
        purged_to: u64,
    },
    /// It was closed as lost, by this record.
    #[n(3)]
    Lost {
        /// The second person's record.
        #[n(0)]
        seq: RecordSeq,
    },
}

impl PartState {
    /// Its name on the wire and on the command line.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Erased { .. } => "erased",
            Self::KeysGone { .. } => "keys-gone",
            Self::Lost { .. } => "lost",
        }
    }
}

/// A disk or replica that somebody called lost.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct LostRow {
    /// Why.
    #[n(0)]
    pub reason: String,
    /// Who said so first.
    #[n(1)]
    pub first: DisposalStepRow,
    /// Who agreed. Only then is it closed.
    #[n(2)]
    pub second: Option<DisposalStepRow>,
}

/// How many disks and replicas a batch waits for.
pub(crate) struct Pending {
    pub(crate) disks: u32,
    pub(crate) replicas: u32,
}

impl Tombstone {
    pub(crate) fn disposed(item: &ItemRow, batch: BatchId, step: &DisposalStepRow) -> Self {
        Self::Disposed(Box::new(DisposedItem {
            unit: item.description.unit.clone(),
            device: item.description.device.clone(),
            original: item.original,
            sealed_at: item.sealed_at,
            sealed_by: item.seq,
            retention: item.retention.clone(),
            batch,
            disposed_at: step.at,
            disposed_by: step.seq,
        }))
    }

    pub(crate) fn removed(item: &ItemRow, removal: &RemovalRow, step: &DisposalStepRow) -> Self {
        Self::Removed(Box::new(RemovedItem {
            unit: item.description.unit.clone(),
            device: item.description.device.clone(),
            original: item.original,
            sealed_at: item.sealed_at,
            sealed_by: item.seq,
            retention: item.retention.clone(),
            removal: removal.id,
            carrier: removal.form.carrier.clone(),
            organ: removal.form.organ.clone(),
            receiver: removal.form.receiver.clone(),
            removed_at: step.at,
            removed_by: step.seq,
        }))
    }

    /// The unit that it was of.
    #[must_use]
    pub const fn unit(&self) -> &UnitId {
        match self {
            Self::Disposed(was) => &was.unit,
            Self::Expired(unit, _) => unit,
            Self::Removed(was) => &was.unit,
        }
    }

    /// What became of it, in a few words.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Disposed(was) => format!("disposed of in {}", was.batch),
            Self::Expired(..) => "its upload expired".to_owned(),
            Self::Removed(was) => format!("transferred to carrier {} of {} in {}", was.carrier, was.organ, was.removal),
        }
    }

    /// `DISPOSED`, or `REMOVED` with where it is, for whoever asks for it; what expired before its seal never was an item.
    #[must_use]
    pub fn refusal(&self, id: ItemId) -> Refusal {
        match self {
            Self::Disposed(was) => Refusal::new(
                Reason::Disposed,
                "C4",
                format!(
                    "item {id} is already disposed of: in {} at {} by record {}",
                    was.batch, was.disposed_at, was.disposed_by
                ),
                format!("its certificate proves it: `strongroom disposal certificate {}`", was.batch),
            ),
            Self::Expired(..) => Refusal::not_found(format!("sealed item {id}: its upload expired")),
            Self::Removed(was) => Refusal::new(
                Reason::Removed,
                "B10",
                format!(
                    "item {id} is not here: it was transferred to carrier {} of {} in {} at {} by record {}",
                    was.carrier, was.organ, was.removal, was.removed_at, was.removed_by
                ),
                format!("ask {}, who has what follows it too: `strongroom secret show {}`", was.organ, was.removal),
            ),
        }
    }
}

/// What lets something be erased. A permit of one kind is none of another, and a disk checks that it is of the kind that
/// it was ordered under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PermitKind {
    /// An executed disposal.
    Disposal,
    /// An executed removal, with what the receiver signed.
    Removal,
    /// An upload that expired, or a stream that was superseded.
    Debris,
}

impl PermitKind {
    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disposal => "disposal",
            Self::Removal => "removal",
            Self::Debris => "debris",
        }
    }
}

/// What a record permits to erase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permitted {
    /// In which cluster.
    pub cluster: ClusterId,
    /// What the list's root is.
    pub root: TreeHash,
    /// How long the list is.
    pub count: u64,
    /// Of which kind it is.
    pub kind: PermitKind,
}

/// Why a record permits nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPermit {
    /// Its bytes are no record.
    #[error(transparent)]
    Record(#[from] crate::record::RecordError),
    /// What was asked was refused.
    #[error("the record is of a refusal: {0}")]
    Refused(Reason),
    /// Its act lets nobody erase anything.
    #[error("the record is of {0}, which lets nobody erase anything")]
    OtherAct(&'static str),
    /// It lacks the cluster, root or count.
    #[error("the record commits to no list of what is erased")]
    NoList,
    /// It is of a removal, and nobody signed for exactly what it lets be erased.
    #[error("the record of a removal holds no signature of the receiver for exactly what is erased")]
    NotSigned,
}

/// Reads from a record's bytes what it permits to erase.
///
/// # Errors
/// [`NoPermit`] where it permits nothing.
pub fn permitted(record: &[u8]) -> Result<Permitted, NoPermit> {
    let record = Record::from_bytes(record)?;
    if let Some(reason) = record.refused {
        return Err(NoPermit::Refused(reason));
    }
    let (kind, root) = match record.act {
        Act::DisposalExecute => (PermitKind::Disposal, Fact::EraseRoot),
        Act::UploadExpire | Act::UploadResume => (PermitKind::Debris, Fact::EraseRoot),
        Act::SecretExecute => (PermitKind::Removal, Fact::RemovalRoot),
        other => return Err(NoPermit::OtherAct(other.name())),
    };
    let cluster = record.bytes(Fact::Cluster).and_then(|id| ClusterId::try_from(id).ok());
    let root = record.bytes(root).and_then(|root| TreeHash::try_from(root).ok());
    let (Some(cluster), Some(root), Some(count)) = (cluster, root, record.number(Fact::EraseCount)) else {
        return Err(NoPermit::NoList);
    };
    let permitted = Permitted { cluster, root, count, kind };
    if kind == PermitKind::Removal && !is_signed_for(&record, &permitted) {
        return Err(NoPermit::NotSigned);
    }
    Ok(permitted)
}

/// Whether the receiver signed for exactly what a removal's record lets be erased. Asked again by every disk.
fn is_signed_for(record: &Record, permitted: &Permitted) -> bool {
    let key = record.bytes(Fact::ReceiverKey).and_then(|key| <&[u8; 32]>::try_from(key).ok());
    let (Some(text), Some(key), Some(signature)) = (record.bytes(Fact::Statement), key, record.bytes(Fact::Signature))
    else {
        return false;
    };
    let Ok(statement) = Statement::parse_canonical(text) else { return false };
    let is_of = |list: EraseList| (list.root(), list.count()) == (permitted.root, permitted.count);
    statement.cluster == permitted.cluster
        && statement.erase_list().is_some_and(is_of)
        && removal::is_signed(key, text, signature)
}

/// What a node signs when a disk of it has erased.
#[must_use]
pub fn receipt_message(cluster: ClusterId, node: NodeId, note: &NoteErasure) -> Vec<u8> {
    [RECEIPT_DOMAIN, &encode(&(cluster, node, note.disk, note.order, note.shards, note.payload_bytes))].concat()
}

/// What a node signs when its replica holds no key of a batch any more.
#[must_use]
pub fn keys_message(cluster: ClusterId, node: NodeId, word: &AttestKeys) -> Vec<u8> {
    [KEYS_DOMAIN, &encode(&(cluster, node, word.batch, word.purged_to))].concat()
}

/// What remains of an item or upload that is gone.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub fn tombstone(rows: &(impl Rows + ?Sized), id: ItemId) -> Result<Option<Tombstone>, RowError> {
    TOMBSTONES.read(rows, &id)
}

/// Orders after `after`, in order.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn orders(
    rows: &(impl Rows + ?Sized),
    after: Option<RecordSeq>,
    limit: usize,
) -> Result<Vec<(RecordSeq, EraseOrderRow)>, RowError> {
    let after = after.map(|seq| seq.to_bytes());
    let stored = ERASE_ORDERS.scan(rows, &(), after.as_deref(), limit)?;
    stored.into_iter().map(|(key, row)| Ok((RecordSeq(last_number(ERASE_ORDERS.name, &key)?), row))).collect()
}

/// The last order that a disk has followed.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub fn followed(rows: &(impl Rows + ?Sized), disk: DiskId) -> Result<Option<RecordSeq>, RowError> {
    DISK_PROGRESS.read(rows, &disk)
}

/// What each keeper did for a batch: disks by id, then replicas.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn parts(
    rows: &(impl Rows + ?Sized),
    batch: BatchId,
    after: Option<Keeper>,
    limit: usize,
) -> Result<Vec<(Keeper, PartRow)>, RowError> {
    let after = after.map(|keeper| (batch, keeper).to_bytes());
    let stored = PARTS.scan(rows, &batch, after.as_deref(), limit)?;
    stored.into_iter().map(|(key, row)| Ok((keeper_of(&key[8..])?, row))).collect()
}

/// What a keeper has not done, oldest first: orders and their batches.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn pending(
    rows: &(impl Rows + ?Sized),
    keeper: Keeper,
    limit: usize,
) -> Result<Vec<(RecordSeq, BatchId)>, RowError> {
    let stored = PARTS_PENDING.scan(rows, &keeper, None, limit)?;
    stored.into_iter().map(|(key, batch)| Ok((RecordSeq(last_number(PARTS_PENDING.name, &key)?), batch))).collect()
}

/// The facts by which a record commits to a list.
pub(crate) fn permit_facts(
    decision: &Decision<'_>,
    root: Fact,
    list: &EraseList,
) -> Result<BTreeMap<Fact, Value>, Stop> {
    let cluster = decision.cluster()?.cluster;
    Ok(BTreeMap::from([
        (Fact::Cluster, cluster.as_bytes().as_slice().into()),
        (root, list.root().as_bytes().as_slice().into()),
        (Fact::EraseCount, list.count().into()),
    ]))
}

/// Orders every disk to erase what record `seq` commits to.
pub(crate) fn order(rows: &mut dyn Rows, seq: RecordSeq, batch: Option<BatchId>, list: EraseList) {
    ERASE_ORDERS.write(rows, &seq, &EraseOrderRow { batch, list, removal: None });
}

/// As [`order`], of a removal.
pub(crate) fn order_removal(rows: &mut dyn Rows, seq: RecordSeq, removal: RemovalId, list: EraseList) {
    let row = EraseOrderRow { batch: Some(removal::number(removal)), list, removal: Some(removal) };
    ERASE_ORDERS.write(rows, &seq, &row);
}

/// The next number of the sequence that batches and removals share.
pub(crate) fn next_number(rows: &dyn Rows) -> Result<u64, RowError> {
    let batch = DISPOSALS.scan(rows, &(), None, 1)?.first().map_or(0, |(_, row)| row.id.0);
    let removal = REMOVALS.scan(rows, &(), None, 1)?.first().map_or(0, |(_, row)| row.id.0);
    Ok(batch.max(removal) + 1)
}

/// Leaves a tombstone, and the rows behind it to be swept.
pub(crate) fn bury(rows: &mut dyn Rows, id: ItemId, tombstone: &Tombstone) {
    TOMBSTONES.write(rows, &id, tombstone);
    UNSWEPT.write(rows, &id, &());
}

/// Lists what a batch waits for. What was closed as lost before is not waited for.
pub(crate) fn expect(
    rows: &mut dyn Rows,
    order: RecordSeq,
    batch: BatchId,
    disks: &[DiskOfNode],
    replicas: &[NodeId],
) -> Result<Pending, RowError> {
    let disks = disks.iter().map(|of| (Keeper::Disk(of.disk), of.node));
    let replicas = replicas.iter().map(|node| (Keeper::Replica(*node), *node));
    let mut waits = Pending { disks: 0, replicas: 0 };
    for (keeper, node) in disks.chain(replicas) {
        let lost = LOST.read(rows, &keeper)?.and_then(|row| row.second);
        let state = lost.map_or(PartState::Pending, |step| PartState::Lost { seq: step.seq });
        if state == PartState::Pending {
            match keeper {
                Keeper::Disk(_) => waits.disks += 1,
                Keeper::Replica(_) => waits.replicas += 1,
            }
            PARTS_PENDING.write(rows, &(keeper, order), &batch);
        }
        PARTS.write(rows, &(batch, keeper), &PartRow { node, state });
    }
    Ok(waits)
}

/// Notes how far a disk has followed its orders. What it did for a batch is a record; debris is not.
pub(crate) fn note(decision: &mut Decision<'_>, command: &NoteErasure) -> Result<Answer, Stop> {
    let node = decision.node()?;
    let Some(order) = ERASE_ORDERS.read(&*decision.rows, &command.order)? else {
        return Err(Refusal::not_found(format!("order {} to erase", command.order)).into());
    };
    if followed(&*decision.rows, command.disk)?.is_some_and(|done| done >= command.order) {
        return Ok(Answer::Followed(command.order));
    }
    let keeper = Keeper::Disk(command.disk);
    let first = pending(&*decision.rows, keeper, 1)?.first().map(|(order, _)| *order);
    if let Some(skipped) = first.filter(|first| *first < command.order) {
        return Err(Refusal::new(
            Reason::OutOfOrder,
            "C4",
            format!("disk {} has not followed order {skipped} yet", command.disk),
            "follow the orders as they come",
        )
        .into());
    }
    DISK_PROGRESS.write(decision.rows, &command.disk, &command.order);
    // A disk that erases is not lost.
    LOST.remove(decision.rows, &keeper);
    if let Some(batch) = order.batch {
        note_batch(decision, node, command, batch)?;
    }
    Ok(Answer::Followed(command.order))
}

fn note_batch(decision: &mut Decision<'_>, node: NodeId, command: &NoteErasure, batch: BatchId) -> Result<(), Stop> {
    let seq = decision.next_seq();
    let state = PartState::Erased { seq, shards: command.shards, payload_bytes: command.payload_bytes };
    let keeper = Keeper::Disk(command.disk);
    if PARTS.read(&*decision.rows, &(batch, keeper))?.is_none() {
        // A disk that came to the cluster after the batch was executed never held anything of it.
        return Ok(());
    }
    finish(decision.rows, batch, keeper, &PartRow { node, state })?;
    let facts = BTreeMap::from([
        (Fact::Cluster, decision.cluster()?.cluster.as_bytes().as_slice().into()),
        named(&*decision.rows, batch)?,
        (Fact::Order, command.order.0.into()),
        (Fact::Node, node.to_string().into()),
        (Fact::Disk, command.disk.as_bytes().as_slice().into()),
        (Fact::Shards, command.shards.into()),
        (Fact::PayloadBytes, command.payload_bytes.into()),
        (Fact::Signature, command.signature.as_slice().into()),
        (Fact::SignerKey, command.vkey.as_str().into()),
    ]);
    decision.record(Act::DisposalErase, "C4", Vec::new(), facts);
    Ok(())
}

/// Takes a replica's word that it holds no key of a batch any more.
pub(crate) fn attest(decision: &mut Decision<'_>, command: &AttestKeys) -> Result<Answer, Stop> {
    let node = decision.node()?;
    let keeper = Keeper::Replica(node);
    let Some(part) = PARTS.read(&*decision.rows, &(command.batch, keeper))? else {
        return Err(Refusal::not_found(format!("replica {node} in what batch {} waits for", command.batch)).into());
    };
    if let PartState::KeysGone { seq, .. } = part.state {
        return Ok(Answer::Recorded(seq));
    }
    let seq = decision.next_seq();
    let state = PartState::KeysGone { seq, purged_to: command.purged_to };
    finish(decision.rows, command.batch, keeper, &PartRow { state, ..part })?;
    LOST.remove(decision.rows, &keeper);
    let facts = BTreeMap::from([
        (Fact::Cluster, decision.cluster()?.cluster.as_bytes().as_slice().into()),
        named(&*decision.rows, command.batch)?,
        (Fact::Node, node.to_string().into()),
        (Fact::LogIndex, command.purged_to.into()),
        (Fact::Signature, command.signature.as_slice().into()),
        (Fact::SignerKey, command.vkey.as_str().into()),
    ]);
    decision.record(Act::DisposalAttest, "C4", Vec::new(), facts);
    Ok(Answer::Recorded(seq))
}

/// Calls a disk or replica lost; the second person closes what waits for it. It still erases if it comes back.
pub(crate) fn close_lost(decision: &mut Decision<'_>, command: &CloseLost) -> Result<Answer, Stop> {
    let by = decision.authorize(Act::DisposalCloseLost)?;
    check_reason(&command.reason)?;
    let seq = decision.next_seq();
    let step = DisposalStepRow { by: by.id, at: decision.wall, seq };
    let keeper = command.keeper;
    if pending(&*decision.rows, keeper, 1)?.is_empty() {
        return Err(Refusal::new(
            Reason::WrongState,
            "C4",
            format!("no disposal waits for {keeper}"),
            "only what a disposal waits for is closed as lost",
        )
        .into());
    }
    let row = match LOST.read(&*decision.rows, &keeper)? {
        None => LostRow { reason: command.reason.clone(), first: step, second: None },
        Some(row) if row.second.is_some() => row,
        Some(row) => {
            different_person(&step.by, &row.first.by, "two people close what is lost")?;
            LostRow { second: Some(step), ..row }
        }
    };
    LOST.write(decision.rows, &keeper, &row);
    let closed = if row.second.is_some() { close_pending(decision.rows, keeper, seq)? } else { 0 };
    let mut facts = BTreeMap::from([
        (Fact::ReasonGiven, command.reason.as_str().into()),
        (Fact::State, if row.second.is_some() { "closed" } else { "called lost" }.into()),
        (Fact::Count, closed.into()),
    ]);
    match keeper {
        Keeper::Disk(disk) => facts.insert(Fact::Disk, disk.as_bytes().as_slice().into()),
        Keeper::Replica(node) => facts.insert(Fact::Node, node.to_string().into()),
    };
    decision.record(Act::DisposalCloseLost, "C4", Vec::new(), facts);
    Ok(Answer::Recorded(seq))
}

/// Closes a bounded number of what waits; said again, it goes on.
fn close_pending(rows: &mut dyn Rows, keeper: Keeper, seq: RecordSeq) -> Result<u64, Stop> {
    let waiting = pending(rows, keeper, limits::PAGE_ROWS_MAX)?;
    for (_, batch) in &waiting {
        if let Some(part) = PARTS.read(rows, &(*batch, keeper))? {
            finish(rows, *batch, keeper, &PartRow { state: PartState::Lost { seq }, ..part })?;
        }
    }
    Ok(waiting.len() as u64)
}

/// Writes what a keeper came to, and takes it off what its batch waits for where it was on it.
fn finish(rows: &mut dyn Rows, batch: BatchId, keeper: Keeper, part: &PartRow) -> Result<(), Stop> {
    PARTS.write(rows, &(batch, keeper), part);
    if let Some(mut row) = removal::numbered(rows, batch)? {
        if count_down(rows, keeper, row.execution.as_deref_mut())? {
            removal::write(rows, &row);
        }
        return Ok(());
    }
    let mut row = disposal::read(rows, batch)?;
    if count_down(rows, keeper, row.execution.as_deref_mut())? {
        disposal::write(rows, &row);
    }
    Ok(())
}

/// Takes a keeper off what an execution waits for; whether it was on it.
fn count_down(rows: &mut dyn Rows, keeper: Keeper, execution: Option<&mut ExecutionRow>) -> Result<bool, RowError> {
    let Some(execution) = execution else { return Ok(false) };
    let waiting = (keeper, execution.step.seq);
    if PARTS_PENDING.read(rows, &waiting)?.is_none() {
        return Ok(false);
    }
    match keeper {
        Keeper::Disk(_) => execution.disks_pending -= 1,
        Keeper::Replica(_) => execution.replicas_pending -= 1,
    }
    PARTS_PENDING.remove(rows, &waiting);
    Ok(true)
}

/// The fact by which a record names the batch or the removal that has a number.
fn named(rows: &dyn Rows, number: BatchId) -> Result<(Fact, Value), RowError> {
    Ok(match removal::numbered(rows, number)? {
        Some(removal) => (Fact::Removal, removal.id.into()),
        None => (Fact::Batch, number.into()),
    })
}

/// Removes a bounded number of the rows that disposed items and expired uploads left. It leaves no record: what
/// went was recorded by the execution or the expiry.
pub(crate) fn sweep(decision: &mut Decision<'_>, command: &SweepDisposed) -> Result<Answer, Stop> {
    decision.node()?;
    let mut left = usize::try_from(command.limit).unwrap_or(usize::MAX).min(limits::SWEEP_ROWS_MAX);
    let mut swept = 0;
    for (key, ()) in UNSWEPT.scan(&*decision.rows, &(), None, left)? {
        let item = last_item(UNSWEPT.name, &key)?;
        let steps = MANIFEST.scan(&*decision.rows, &item, None, left)?;
        steps.iter().for_each(|(key, _)| decision.rows.remove(MANIFEST.id, key));
        swept += u32::try_from(steps.len()).expect("at most SWEEP_ROWS_MAX");
        left -= steps.len();
        if left == 0 {
            break;
        }
        UNSWEPT.remove(decision.rows, &item);
    }
    Ok(Answer::Swept(swept))
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The item id at the end of a key.
pub(crate) fn last_item(table: &'static str, key: &[u8]) -> Result<ItemId, RowError> {
    let tail = key.len().checked_sub(16).map_or(key, |start| &key[start..]);
    ItemId::try_from(tail).map_err(|error| RowError::Corrupt { table, detail: error.to_string() })
}

fn last_number(table: &'static str, key: &[u8]) -> Result<u64, RowError> {
    let number = key.last_chunk::<8>().copied().map(u64::from_be_bytes);
    number.ok_or_else(|| RowError::Corrupt { table, detail: "a key without its number".to_owned() })
}

/// The keeper that bytes are the key of.
fn keeper_of(key: &[u8]) -> Result<Keeper, RowError> {
    let corrupt = |detail: String| RowError::Corrupt { table: PARTS.name, detail };
    match key {
        [0, disk @ ..] => DiskId::try_from(disk).map(Keeper::Disk).map_err(|error| corrupt(error.to_string())),
        [1, ..] => Ok(Keeper::Replica(NodeId(last_number(PARTS.name, key)?))),
        _ => Err(corrupt("a key that names no disk and no replica".to_owned())),
    }
}
