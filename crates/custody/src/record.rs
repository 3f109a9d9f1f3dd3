//! What the ledger remembers of an act: who, what, to which items, with what result and by which rule.
//!
//! A record's bytes are the CBOR of [`Record`]; the tree commits to them with a salt. Facts have numbers, so that
//! a record written today reads the same in ten years.

use std::collections::BTreeMap;

use minicbor::bytes::ByteVec;
use strongroom_types::{
    BatchId, DrawId, ItemId, KeyHash, NodeId, PrincipalId, Reason, RemovalId, RequestId, UnixMillis,
};

use crate::Act;

/// Who asks. Resolved to a principal inside `apply`, so that a revocation is effective at once.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Actor {
    /// A client whose certificate key was verified by the node that took the call.
    #[n(0)]
    Client(#[n(0)] KeyHash),
    /// The cluster itself, by one of its nodes.
    #[n(1)]
    Node(#[n(0)] NodeId),
}

/// Who acted, as the record keeps it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Stamp {
    /// The principal, where one is registered for the key.
    #[n(0)]
    pub principal: Option<PrincipalId>,
    /// The key that the certificate proved.
    #[n(1)]
    pub key: Option<KeyHash>,
    /// The node, where the cluster itself acted.
    #[n(2)]
    pub node: Option<NodeId>,
}

/// Names of facts. Numbers are stored and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Fact {
    /// Length in bytes.
    #[n(1)]
    SizeBytes,
    /// BLAKE3 of the original.
    #[n(2)]
    Blake3,
    /// SHA-256 of the original.
    #[n(3)]
    Sha256,
    /// Register number of the device.
    #[n(4)]
    Device,
    /// Unit.
    #[n(5)]
    Unit,
    /// File name on the device.
    #[n(6)]
    FileName,
    /// Start of the recording by the device's clock.
    #[n(7)]
    RecordedStart,
    /// End of the recording by the device's clock.
    #[n(8)]
    RecordedEnd,
    /// Start of retention.
    #[n(9)]
    RetentionStart,
    /// End of the floor; absent where it has none.
    #[n(10)]
    FloorUntil,
    /// Profile and version.
    #[n(11)]
    Profile,
    /// The item was put in quarantine.
    #[n(12)]
    Quarantined,
    /// Request.
    #[n(13)]
    Request,
    /// One of the five acts.
    #[n(14)]
    RequestAct,
    /// Reason given by a person.
    #[n(15)]
    ReasonGiven,
    /// Role in which somebody acted.
    #[n(16)]
    Role,
    /// Session.
    #[n(17)]
    Session,
    /// Whether a session ended complete.
    #[n(18)]
    Complete,
    /// Principal that was acted on.
    #[n(19)]
    Principal,
    /// Key that was registered or ended.
    #[n(20)]
    Key,
    /// Name of a label.
    #[n(21)]
    LabelName,
    /// Value of a label.
    #[n(22)]
    LabelValue,
    /// Message of a refusal.
    #[n(23)]
    Message,
    /// Where a connection came from.
    #[n(24)]
    Source,
    /// How many like it in the same minute.
    #[n(25)]
    Count,
    /// Node.
    #[n(26)]
    Node,
    /// District.
    #[n(27)]
    District,
    /// Length of an outage in milliseconds.
    #[n(28)]
    OutageMs,
    /// Digest of a file or configuration.
    #[n(29)]
    Digest,
    /// Cluster.
    #[n(30)]
    Cluster,
    /// A trial cluster.
    #[n(31)]
    Trial,
    /// End of a grant.
    #[n(32)]
    ValidUntil,
    /// A finding, such as `CLOCK_FAULT`.
    #[n(33)]
    Finding,
    /// Call that was made.
    #[n(34)]
    Call,
    /// When it was sealed.
    #[n(35)]
    SealedAt,
    /// State that something came to.
    #[n(36)]
    State,
    /// Enforcement activity.
    #[n(37)]
    Activity,
    /// SHA-256 of the policy file by which checkpoints of this cluster are judged.
    #[n(38)]
    Policy,
    /// Further fields of a form, one `name=value` a line; backslash, line end and a name's `=` are escaped.
    #[n(39)]
    Form,
    /// Hold, by the matter's name.
    #[n(40)]
    Hold,
    /// Case, or cases, one a line.
    #[n(41)]
    Case,
    /// A later end of retention.
    #[n(42)]
    Until,
    /// Long-term trigger.
    #[n(43)]
    Trigger,
    /// What something rests on 依据.
    #[n(44)]
    Basis,
    /// Authority that asked.
    #[n(45)]
    Authority,
    /// Number of a letter 文号.
    #[n(46)]
    Document,
    /// What a hold covers besides items and cases, one query a line.
    #[n(47)]
    Query,
    /// What a case is about 案由.
    #[n(48)]
    Title,
    /// How a case ended.
    #[n(49)]
    Outcome,
    /// Date on which a case file was archived 归档日期.
    #[n(50)]
    ArchiveDate,
    /// For how long a case file is kept 案卷保存期限.
    #[n(51)]
    Term,
    /// Number of a correction.
    #[n(52)]
    Correction,
    /// What a correction is about.
    #[n(53)]
    Mistake,
    /// Compliance time from which something is in force.
    #[n(54)]
    InForce,
    /// What it was before.
    #[n(55)]
    Before,
    /// What it is now.
    #[n(56)]
    After,
    /// How far a trial clock was set ahead, in milliseconds.
    #[n(150)]
    AdvancedMs,
    /// Who holds a device.
    #[n(90)]
    Holder,
    /// Who is to receive it, or did.
    #[n(91)]
    Receiver,
    /// Recordings on a device that are not ingested.
    #[n(92)]
    UnIngested,
    /// A device's clock minus the reference, in milliseconds with its sign.
    #[n(93)]
    ClockOffset,
    /// An entry of a register.
    #[n(94)]
    Entry,
    /// A field that was corrected, or an instant that was set.
    #[n(95)]
    Field,
    /// What it is from now on.
    #[n(96)]
    FieldValue,
    /// When something happened.
    #[n(98)]
    At,
    /// From when.
    #[n(99)]
    From,
    /// Until when.
    #[n(100)]
    To,
    /// How a device changes hands.
    #[n(101)]
    Way,
    /// To whom something was reported.
    #[n(102)]
    ReportedTo,
    /// Phase.
    #[n(103)]
    Phase,
    /// Cause, as one word.
    #[n(104)]
    Cause,
    /// How far into an item a voice note is, in milliseconds.
    #[n(105)]
    VoiceNoteMs,
    /// Who keeps a report.
    #[n(106)]
    KeptBy,
    /// Legal basis.
    #[n(107)]
    LegalBasis,
    /// Who agreed.
    #[n(108)]
    ConsentedBy,
    /// Kind of an activity.
    #[n(109)]
    ActivityKind,
    /// Batch of a disposal.
    #[n(130)]
    Batch,
    /// Root of the list of what is erased: with it a record is a permit.
    #[n(131)]
    EraseRoot,
    /// Length of that list.
    #[n(132)]
    EraseCount,
    /// SHA-256 of the CBOR of every item with its basis.
    #[n(133)]
    BasisList,
    /// Disk.
    #[n(134)]
    Disk,
    /// Shards that were erased.
    #[n(135)]
    Shards,
    /// Bytes of their payload.
    #[n(136)]
    PayloadBytes,
    /// Signature of a node.
    #[n(137)]
    Signature,
    /// Key by which it is verified, as a C2SP vkey line.
    #[n(138)]
    SignerKey,
    /// Log index up to which a replica's log is purged.
    #[n(139)]
    LogIndex,
    /// Who supervises a disposal.
    #[n(140)]
    Supervisors,
    /// Compliance time before which nobody can approve.
    #[n(141)]
    NotBefore,
    /// Record that ordered to erase.
    #[n(142)]
    Order,
    /// Items that dropped out.
    #[n(143)]
    Dropped,
    /// Disks that have a part in a disposal.
    #[n(144)]
    DiskCount,
    /// Replicas that have a part in a disposal.
    #[n(145)]
    ReplicaCount,
    /// Record of the proposal of a profile's version.
    #[n(80)]
    Proposal,
    /// Text of a profile file.
    #[n(81)]
    ProfileText,
    /// Compliance time at which something takes effect.
    #[n(82)]
    EffectiveAt,
    /// Floor in calendar months.
    #[n(83)]
    FloorMonths,
    /// Record that gave a mandate.
    #[n(170)]
    Mandate,
    /// Who heard what was said.
    #[n(171)]
    Witness,
    /// By when something has to be confirmed.
    #[n(172)]
    ConfirmBy,
    /// Units that have the powers of another from now on, the main one first, one a line.
    #[n(175)]
    Successor,
    /// What goes to another than the main successor: unit and what, one a line.
    #[n(176)]
    Moved,
    /// Unit that something is offered to.
    #[n(177)]
    ToUnit,
    /// Draw.
    #[n(180)]
    Draw,
    /// How much of something, in percent.
    #[n(181)]
    RatioPercent,
    /// Digest of the sorted ids that a draw selects from.
    #[n(182)]
    Population,
    /// Items that a draw selects.
    #[n(183)]
    SampleCount,
    /// Voters, by id.
    #[n(184)]
    Voters,
    /// The earlier draw that this one repeats.
    #[n(185)]
    Repeats,
    /// What a voter committed to.
    #[n(186)]
    Commitment,
    /// What a voter revealed.
    #[n(187)]
    Share,
    /// What all shares came to.
    #[n(188)]
    Seed,
    /// Voters that something waits for, or waited for in vain.
    #[n(189)]
    Missing,
    /// A complaint, by its number.
    #[n(190)]
    Complaint,
    /// SHA-256 of the labels that an item was sealed with.
    #[n(207)]
    LabelsDigest,
    /// The record that a correction is about.
    #[n(208)]
    Corrects,
    /// Cases that went with a part of a divided unit: profile and version, unit and case between tabs, one a line.
    #[n(209)]
    Divided,
    /// The record of the retention digest before this one.
    #[n(210)]
    EarlierDigest,
    /// What an inspection found wrong.
    #[n(211)]
    Problem,
    /// Mandates that ended with somebody's access: holder and record, one a line.
    #[n(212)]
    MandatesEnded,
    /// Text of the policy by which checkpoints are judged from then on.
    #[n(213)]
    PolicyText,
    /// What an original is made of.
    #[n(214)]
    MediaType,
    /// In which form a device signed or computed something of a recording.
    #[n(215)]
    DeviceScheme,
    /// What it signed or computed.
    #[n(216)]
    DeviceProof,
    /// Key of the call that an assent names.
    #[n(217)]
    AssentKey,
    /// The decider's key: SubjectPublicKeyInfo in DER.
    #[n(218)]
    AssentBy,
    /// Their signature over the assent.
    #[n(219)]
    AssentSignature,
    /// When they signed, by their own clock.
    #[n(220)]
    AssentTime,
    /// Removal to a classified carrier.
    #[n(200)]
    Removal,
    /// Number of a classified carrier.
    #[n(201)]
    Carrier,
    /// Root of the list of what a removal erases: read of its record alone, and of no disposal's.
    #[n(202)]
    RemovalRoot,
    /// What a receiver signs, byte for byte.
    #[n(203)]
    Statement,
    /// The receiver's key.
    #[n(204)]
    ReceiverKey,
    /// Seal number of an envelope with a device.
    #[n(205)]
    Envelope,
    /// SHA-256 of the CBOR of what follows each item to a carrier.
    #[n(206)]
    Obligations,
}

impl Fact {
    /// Its name where people and scripts read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SizeBytes => "size_bytes",
            Self::Blake3 => "blake3",
            Self::Sha256 => "sha256",
            Self::Device => "device",
            Self::Unit => "unit",
            Self::MediaType => "media_type",
            Self::DeviceScheme => "device_scheme",
            Self::DeviceProof => "device_proof",
            Self::AssentKey => "assent_key",
            Self::AssentBy => "assent_by",
            Self::AssentSignature => "assent_signature",
            Self::AssentTime => "assent_time",
            Self::FileName => "file_name",
            Self::RecordedStart => "recorded_start",
            Self::RecordedEnd => "recorded_end",
            Self::RetentionStart => "retention_start",
            Self::FloorUntil => "floor_until",
            Self::Profile => "profile",
            Self::Quarantined => "quarantined",
            Self::Request => "request",
            Self::RequestAct => "request_act",
            Self::ReasonGiven => "reason",
            Self::Role => "role",
            Self::Session => "session",
            Self::Complete => "complete",
            Self::Principal => "principal",
            Self::Key => "key",
            Self::LabelName => "label",
            Self::LabelValue => "value",
            Self::Message => "message",
            Self::Source => "source",
            Self::Count => "count",
            Self::Node => "node",
            Self::District => "district",
            Self::OutageMs => "outage_ms",
            Self::Digest => "digest",
            Self::Cluster => "cluster",
            Self::Trial => "trial",
            Self::ValidUntil => "valid_until",
            Self::Finding => "finding",
            Self::Call => "call",
            Self::SealedAt => "sealed_at",
            Self::State => "state",
            Self::Activity => "activity",
            Self::Policy => "policy",
            Self::Form => "form",
            Self::Hold => "hold",
            Self::Case => "case",
            Self::Until => "until",
            Self::Trigger => "trigger",
            Self::Basis => "basis",
            Self::Authority => "authority",
            Self::Document => "document",
            Self::Query => "query",
            Self::Title => "title",
            Self::Outcome => "outcome",
            Self::ArchiveDate => "archive_date",
            Self::Term => "term",
            Self::Correction => "correction",
            Self::Mistake => "mistake",
            Self::InForce => "in_force",
            Self::Before => "before",
            Self::After => "after",
            Self::AdvancedMs => "advanced_ms",
            Self::Holder => "holder",
            Self::Receiver => "receiver",
            Self::UnIngested => "un_ingested",
            Self::ClockOffset => "clock_offset_ms",
            Self::Entry => "entry",
            Self::Field => "field",
            Self::FieldValue => "field_value",
            Self::At => "at",
            Self::From => "from",
            Self::To => "to",
            Self::Way => "way",
            Self::ReportedTo => "reported_to",
            Self::Phase => "phase",
            Self::Cause => "cause",
            Self::VoiceNoteMs => "voice_note_ms",
            Self::KeptBy => "kept_by",
            Self::LegalBasis => "legal_basis",
            Self::ConsentedBy => "consented_by",
            Self::ActivityKind => "activity_kind",
            Self::Batch => "batch",
            Self::EraseRoot => "erase_root",
            Self::EraseCount => "erase_count",
            Self::BasisList => "basis_list",
            Self::Disk => "disk",
            Self::Shards => "shards",
            Self::PayloadBytes => "payload_bytes",
            Self::Signature => "signature",
            Self::SignerKey => "signer_key",
            Self::LogIndex => "log_index",
            Self::Supervisors => "supervisors",
            Self::NotBefore => "not_before",
            Self::Order => "order",
            Self::Dropped => "dropped",
            Self::DiskCount => "disk_count",
            Self::ReplicaCount => "replica_count",
            Self::Proposal => "proposal",
            Self::ProfileText => "profile_text",
            Self::EffectiveAt => "effective_at",
            Self::FloorMonths => "floor_months",
            Self::Mandate => "mandate",
            Self::Witness => "witness",
            Self::ConfirmBy => "confirm_by",
            Self::Successor => "successor",
            Self::Moved => "moved",
            Self::ToUnit => "to_unit",
            Self::Draw => "draw",
            Self::RatioPercent => "ratio_percent",
            Self::Population => "population",
            Self::SampleCount => "sample_count",
            Self::Voters => "voters",
            Self::Repeats => "repeats",
            Self::Commitment => "commitment",
            Self::Share => "share",
            Self::Seed => "seed",
            Self::Missing => "missing",
            Self::Complaint => "complaint",
            Self::LabelsDigest => "labels_sha256",
            Self::Corrects => "corrects_record",
            Self::Divided => "divided",
            Self::EarlierDigest => "earlier_digest",
            Self::Problem => "problem",
            Self::MandatesEnded => "mandates_ended",
            Self::PolicyText => "policy_text",
            Self::Removal => "removal",
            Self::Carrier => "carrier",
            Self::RemovalRoot => "removal_root",
            Self::Statement => "statement",
            Self::ReceiverKey => "receiver_key",
            Self::Envelope => "envelope",
            Self::Obligations => "obligations",
        }
    }
}

/// Value of a fact.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Value {
    /// Text.
    #[n(0)]
    Text(#[n(0)] String),
    /// Bytes: a digest, key or id.
    #[n(1)]
    Bytes(#[n(0)] ByteVec),
    /// A count or a length.
    #[n(2)]
    Number(#[n(0)] u64),
    /// An instant.
    #[n(3)]
    Time(#[n(0)] UnixMillis),
    /// Yes or no.
    #[n(4)]
    Flag(#[n(0)] bool),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::Number(number) => number.fmt(f),
            Self::Time(time) => time.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}
impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}
impl From<UnixMillis> for Value {
    fn from(time: UnixMillis) -> Self {
        Self::Time(time)
    }
}
impl From<RequestId> for Value {
    fn from(request: RequestId) -> Self {
        Self::Text(request.to_string())
    }
}
impl From<BatchId> for Value {
    fn from(batch: BatchId) -> Self {
        Self::Text(batch.to_string())
    }
}
impl From<RemovalId> for Value {
    fn from(removal: RemovalId) -> Self {
        Self::Text(removal.to_string())
    }
}
impl From<DrawId> for Value {
    fn from(draw: DrawId) -> Self {
        Self::Text(draw.to_string())
    }
}
impl From<ByteVec> for Value {
    fn from(bytes: ByteVec) -> Self {
        Self::Bytes(bytes)
    }
}
impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec().into())
    }
}

/// One entry of the ledger 存证日志条目.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Record {
    /// Wall time of the command, bounded by the voters' median.
    #[n(0)]
    pub wall: UnixMillis,
    /// Who acted.
    #[n(1)]
    pub stamp: Stamp,
    /// What was done or asked.
    #[n(2)]
    pub act: Act,
    /// Absent where it was done; the reason where it was refused.
    #[n(3)]
    pub refused: Option<Reason>,
    /// Rule that decided, or empty.
    #[n(4)]
    pub rule: String,
    /// Items that it speaks of.
    #[n(5)]
    pub items: Vec<ItemId>,
    /// With what.
    #[n(6)]
    pub facts: BTreeMap<Fact, Value>,
}

impl Record {
    /// The bytes that the ledger commits to.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        strongroom_types::rows::encode(self)
    }

    /// Reads a record from its bytes, and only from exactly the bytes that [`Self::to_bytes`] gives.
    ///
    /// # Errors
    /// [`RecordError`] where the bytes are not a record in its one form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let record: Self = minicbor::decode(bytes).map_err(|error| RecordError::NotARecord(error.to_string()))?;
        if record.to_bytes() == bytes { Ok(record) } else { Err(RecordError::NotCanonical) }
    }

    /// Looks a fact up as bytes.
    #[must_use]
    pub fn bytes(&self, fact: Fact) -> Option<&[u8]> {
        match self.facts.get(&fact) {
            Some(Value::Bytes(bytes)) => Some(bytes.as_slice()),
            Some(Value::Text(_) | Value::Number(_) | Value::Time(_) | Value::Flag(_)) | None => None,
        }
    }

    /// Looks a fact up as a number.
    #[must_use]
    pub fn number(&self, fact: Fact) -> Option<u64> {
        match self.facts.get(&fact) {
            Some(Value::Number(number)) => Some(*number),
            Some(Value::Text(_) | Value::Bytes(_) | Value::Time(_) | Value::Flag(_)) | None => None,
        }
    }

    /// Looks a fact up as an instant.
    #[must_use]
    pub fn time(&self, fact: Fact) -> Option<UnixMillis> {
        match self.facts.get(&fact) {
            Some(Value::Time(time)) => Some(*time),
            Some(Value::Text(_) | Value::Bytes(_) | Value::Number(_) | Value::Flag(_)) | None => None,
        }
    }

    /// Looks a fact up as text.
    #[must_use]
    pub fn text(&self, fact: Fact) -> Option<&str> {
        match self.facts.get(&fact) {
            Some(Value::Text(text)) => Some(text),
            Some(Value::Bytes(_) | Value::Number(_) | Value::Time(_) | Value::Flag(_)) | None => None,
        }
    }
}

/// Bytes that are no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// They do not decode.
    #[error("these bytes are no record: {0}")]
    NotARecord(String),
    /// They decode, but are not the one form of that record.
    #[error("these bytes are not the canonical form of their record")]
    NotCanonical,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        Record {
            wall: UnixMillis(1_700_000_000_000),
            stamp: Stamp { principal: Some("legal".parse().expect("a name")), key: None, node: None },
            act: Act::RequestSubmit,
            refused: None,
            rule: "R-000-25a".to_owned(),
            items: vec![ItemId::new([7; 16])],
            facts: BTreeMap::from([(Fact::Request, RequestId(3).into()), (Fact::SizeBytes, 9.into())]),
        }
    }

    #[test]
    fn bytes_are_fixed() {
        let hex: String = sample().to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "871b0000018bcfe5680081656c6567616c0bf669522d3030302d323561815007070707070707070707070707070707\
             a201820281090d820081655245512d33"
                .replace(' ', "")
        );
        assert_eq!(Record::from_bytes(&sample().to_bytes()), Ok(sample()));
    }

    #[test]
    fn another_spelling_of_the_same_record_is_refused() {
        let mut bytes = sample().to_bytes();
        bytes.push(0);
        assert_eq!(Record::from_bytes(&bytes), Err(RecordError::NotCanonical));
        let mut long_form = sample().to_bytes();
        // The act's small integer, spelt in two bytes.
        let position = long_form.iter().position(|byte| *byte == 0x0b).expect("the act");
        long_form.splice(position..=position, [0x18, 0x0b]);
        assert_eq!(Record::from_bytes(&long_form), Err(RecordError::NotCanonical));
    }
}
