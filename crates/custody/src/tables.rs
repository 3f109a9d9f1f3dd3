//! The tables of custody: number, key and row of each. Numbers are stored and never reused.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::ByteVec;
use strongroom_types::{
    ActivityId, BatchId, CaseId, ChunkDigest, ChunkIndex, ClusterId, CorrectionId, DeviceId, DiskId, DrawId, HoldId,
    IdempotencyKey, ItemDigest, ItemId, KeyHash, MediaType, NameDigest, NodeId, PlacementEpoch, PrincipalId,
    ProfileName, RecordSeq, RemovalId, RequestId, Role, SessionId, Sha256Digest, ShardIndex, SubtreeValue, UnitId,
    UnixMillis, UploadEpoch, VolumeId, rows::Table,
};

use crate::{
    activity::{ActivityRow, AttachedRow, ItemTimesRow},
    case::{BindingRow, CaseRow},
    clearance::ClearanceRow,
    clock::ClockRow,
    correction::{CorrectionRow, RoleStepRow},
    device::{DeviceCustodyRow, DeviceEntry, Tie},
    digest::DigestRow,
    disposal::{BatchItemRow, BatchRow},
    draw::row::{DrawRow, InspectedBy, TargetRow},
    erasure::{EraseOrderRow, Keeper, LostRow, PartRow, Tombstone},
    exemption::ExemptionRow,
    floors::VersionsRow,
    hold::HoldRow,
    inspection::{DueRow, InspectionOf, ResultRow},
    interruption::InterruptionRow,
    keeper::KeepersRow,
    keeping::KeepingRow,
    leave::LeaveRow,
    mandate::MandatesRow,
    naming::NameNumber,
    notice::NoticeRow,
    outage::OutageRow,
    profile::Profile,
    proposal::ProposalRow,
    removal::{CopyRow, RemovalItemRow, RemovalRow},
    request::RequestRow,
    session::SessionRow,
    transfer::TransferRow,
    unit::{FormerName, UnitEnd},
    unit_change::UnitChangeRow,
    viewlist::ViewListRow,
    voters::VoterChangeRow,
};

/// Principals by name.
pub const PRINCIPALS: Table<PrincipalId, PrincipalRow> = Table::new(1, "principals");
/// The principal that a key belongs to.
pub const PRINCIPALS_BY_KEY: Table<KeyHash, PrincipalId> = Table::new(2, "principals_by_key");
/// Units by short name.
pub const UNITS: Table<UnitId, UnitRow> = Table::new(3, "units");
/// Devices by register number.
pub const DEVICES: Table<DeviceId, DeviceRow> = Table::new(4, "devices");
/// Every version of every profile.
pub const PROFILES: Table<(ProfileName, u64), ProfileRow> = Table::new(5, "profiles");
/// Open uploads.
pub const UPLOADS: Table<ItemId, UploadRow> = Table::new(6, "uploads");
/// Where the chunks of an original are, by first chunk of each committed step. Sealing leaves these rows as they are.
pub const MANIFEST: Table<(ItemId, ChunkIndex), ManifestStep> = Table::new(7, "manifest");
/// Sealed items.
pub const ITEMS: Table<ItemId, ItemRow> = Table::new(8, "items");
/// Wrapped item keys. The metastore keeps this table in a column family of its own.
pub const ITEM_KEYS: Table<ItemId, ByteVec> = Table::new(9, "item_keys");
/// Items of a unit, newest first: the second part of the key is [`newest_first`] of the seal's sequence.
pub const ITEMS_BY_UNIT: Table<(UnitId, u64), ItemId> = Table::new(10, "items_by_unit");
/// Requests by number, newest first: the key is [`newest_first`] of the number.
pub const REQUESTS: Table<u64, RequestRow> = Table::new(11, "requests");
/// Sessions of reading.
pub const SESSIONS: Table<SessionId, SessionRow> = Table::new(13, "sessions");
/// The compliance clock.
pub const CLOCK: Table<(), ClockRow> = Table::new(14, "clock");
/// Records that speak of an item.
pub const RECORDS_BY_ITEM: Table<(ItemId, RecordSeq), ()> = Table::new(16, "records_by_item");
/// Counters.
pub const COUNTERS: Table<(), CountersRow> = Table::new(17, "counters");
/// What the cluster is.
pub const CLUSTER: Table<(), ClusterRow> = Table::new(18, "cluster");
/// Open uploads by the instant of their last progress.
pub const UPLOADS_BY_PROGRESS: Table<(UnixMillis, ItemId), ()> = Table::new(19, "uploads_by_progress");
/// Where each device is.
pub const DEVICE_CUSTODY: Table<DeviceId, DeviceCustodyRow> = Table::new(45, "device_custody");
/// The register of each device, by entry counted from 0. Entries are appended and stay.
pub const DEVICE_ENTRIES: Table<(DeviceId, u64), DeviceEntry> = Table::new(46, "device_entries");
/// What a person has to do with which devices.
pub const DEVICES_OF: Table<(PrincipalId, DeviceId), Tie> = Table::new(47, "devices_of");
/// Custodians and deputies of a unit.
pub const KEEPERS: Table<UnitId, KeepersRow> = Table::new(48, "keepers");
/// Activities.
pub const ACTIVITIES: Table<ActivityId, ActivityRow> = Table::new(49, "activities");
/// Items under the number of an activity, whether it is open or not.
pub const ACTIVITY_ITEMS: Table<(ActivityId, ItemId), AttachedRow> = Table::new(50, "activity_items");
/// What is known of an item's times besides those of its device.
pub const ITEM_TIMES: Table<ItemId, ItemTimesRow> = Table::new(51, "item_times");
/// How many items were given a name, by its digest.
pub const NAME_COUNTS: Table<NameDigest, u64> = Table::new(73, "name_counts");
/// The number of an item among those of its name.
pub const NAME_NUMBERS: Table<ItemId, NameNumber> = Table::new(74, "name_numbers");
/// Assents that were used, by whose and the call's key, with the record of the decision: none counts twice.
pub const ASSENTS: Table<(PrincipalId, IdempotencyKey), RecordSeq> = Table::new(89, "assents");
/// Interruption records of a unit, newest first: [`newest_first`] of the record's sequence.
pub const INTERRUPTIONS: Table<(UnitId, u64), InterruptionRow> = Table::new(52, "interruptions");
/// Exemptions of a unit, newest first.
pub const EXEMPTIONS: Table<(UnitId, u64), ExemptionRow> = Table::new(53, "exemptions");
/// Activities of a unit, newest first.
pub const ACTIVITIES_BY_UNIT: Table<(UnitId, u64), ActivityId> = Table::new(54, "activities_by_unit");
/// Notices to the head of a unit, newest first.
pub const NOTICES: Table<(UnitId, u64), NoticeRow> = Table::new(55, "notices");
/// Clearances of a person, newest first.
pub const CLEARANCES: Table<(PrincipalId, u64), ClearanceRow> = Table::new(56, "clearances");

/// What was said about the keeping of an item.
pub const KEEPING: Table<ItemId, KeepingRow> = Table::new(20, "keeping");
/// Cases by number.
pub const CASES: Table<CaseId, CaseRow> = Table::new(21, "cases");
/// Items that are or were evidence of a case.
pub const CASE_ITEMS: Table<(CaseId, ItemId), BindingRow> = Table::new(22, "case_items");
/// Cases that an item is or was evidence of.
pub const CASES_BY_ITEM: Table<(ItemId, CaseId), CaseId> = Table::new(23, "cases_by_item");
/// Holds by name.
pub const HOLDS: Table<HoldId, HoldRow> = Table::new(24, "holds");
/// Holds that name an item, released ones too.
pub const HOLDS_BY_ITEM: Table<(ItemId, HoldId), HoldId> = Table::new(25, "holds_by_item");
/// Holds that name a case, released ones too.
pub const HOLDS_BY_CASE: Table<(CaseId, HoldId), HoldId> = Table::new(26, "holds_by_case");
/// Holds by query that stand.
pub const QUERY_HOLDS: Table<HoldId, HoldId> = Table::new(27, "query_holds");
/// Corrections by number, newest first: the key is [`newest_first`] of the number.
pub const CORRECTIONS: Table<u64, CorrectionRow> = Table::new(28, "corrections");
/// First of the two steps that release an item from quarantine.
pub const QUARANTINE_RELEASES: Table<ItemId, RoleStepRow> = Table::new(29, "quarantine_releases");
/// Batches of disposal by number, newest first.
pub const DISPOSALS: Table<u64, BatchRow> = Table::new(60, "disposals");
/// The items of each batch.
pub const DISPOSAL_ITEMS: Table<(BatchId, ItemId), BatchItemRow> = Table::new(61, "disposal_items");
/// What remains of items and uploads that are gone.
pub const TOMBSTONES: Table<ItemId, Tombstone> = Table::new(62, "tombstones");
/// Orders to every disk, by their record.
pub const ERASE_ORDERS: Table<RecordSeq, EraseOrderRow> = Table::new(63, "erase_orders");
/// The last order that each disk has followed.
pub const DISK_PROGRESS: Table<DiskId, RecordSeq> = Table::new(64, "disk_progress");
/// What each disk and replica has to do, or did, for each batch.
pub const PARTS: Table<(BatchId, Keeper), PartRow> = Table::new(65, "disposal_parts");
/// Parts that are not done, by the order's record: an index over [`PARTS`].
pub const PARTS_PENDING: Table<(Keeper, RecordSeq), BatchId> = Table::new(66, "disposal_parts_pending");
/// The batch or removal that an item is in, while it is not decided.
pub const DISPOSAL_BY_ITEM: Table<ItemId, BatchId> = Table::new(67, "disposal_by_item");
/// Disks and replicas that were called lost.
pub const LOST: Table<Keeper, LostRow> = Table::new(68, "lost_keepers");
/// Items and uploads that are gone and whose manifests are not swept yet.
pub const UNSWEPT: Table<ItemId, ()> = Table::new(69, "unswept");

/// The versions of each profile with their floors.
pub const PROFILE_VERSIONS: Table<ProfileName, VersionsRow> = Table::new(40, "profile_versions");
/// The version of each profile that waits.
pub const PROPOSALS: Table<ProfileName, ProposalRow> = Table::new(41, "proposals");
/// Approved versions by the compliance time at which they take effect.
pub const PROPOSALS_DUE: Table<(UnixMillis, ProfileName), ()> = Table::new(42, "proposals_due");

/// Removals by number, newest first. They share the numbers of [`DISPOSALS`]: a number is of one or of the other.
pub const REMOVALS: Table<u64, RemovalRow> = Table::new(96, "removals");
/// The items of each removal.
pub const REMOVAL_ITEMS: Table<(RemovalId, ItemId), RemovalItemRow> = Table::new(97, "removal_items");
/// Copies that each removal lists, by position.
pub const SECRET_COPIES: Table<(RemovalId, u64), CopyRow> = Table::new(98, "secret_copies");

/// Mandates of a person.
pub const MANDATES: Table<PrincipalId, MandatesRow> = Table::new(90, "mandates");
/// Requests by the wall times at which time does something to them.
pub const REQUESTS_DUE: Table<(UnixMillis, RequestId), ()> = Table::new(91, "requests_due");
/// The request that a signed form speaks for.
pub const PAPER_FORMS: Table<ItemId, RequestId> = Table::new(92, "paper_forms");
/// Lists that were handed to a person to look at, newest first.
pub const VIEW_LISTS: Table<(PrincipalId, u64), ViewListRow> = Table::new(93, "view_lists");
/// Items on those lists: an index over [`VIEW_LISTS`].
pub const LISTED: Table<(PrincipalId, ItemId, u64), ()> = Table::new(94, "listed");
/// Names that a unit had, by the record that ended each.
pub const UNIT_NAMES: Table<(UnitId, RecordSeq), FormerName> = Table::new(75, "unit_names");
/// Units that a unit succeeded, whether at once or by way of others.
pub const UNIT_FORMERS: Table<(UnitId, UnitId), UnitId> = Table::new(76, "unit_formers");
/// Changes of units that wait, by the record of their proposal.
pub const UNIT_CHANGES: Table<RecordSeq, UnitChangeRow> = Table::new(77, "unit_changes");

/// Cases that are offered to another unit.
pub const CASE_OFFERS: Table<CaseId, TransferRow> = Table::new(78, "case_offers");
/// What became of offers of a case, by the record that decided.
pub const CASE_TRANSFERS: Table<(CaseId, RecordSeq), TransferRow> = Table::new(79, "case_transfers");

/// People who leave or have left.
pub const LEAVES: Table<PrincipalId, LeaveRow> = Table::new(80, "leaves");
/// People whose date has not come, by it.
pub const LEAVES_DUE: Table<(UnixMillis, PrincipalId), PrincipalId> = Table::new(81, "leaves_due");
/// Draws by number, newest first.
pub const DRAWS: Table<u64, DrawRow> = Table::new(82, "draws");
/// Sorted ids that a draw selects from, 16 bytes each, in pages.
pub const DRAW_POPULATION: Table<(DrawId, u64), ByteVec> = Table::new(83, "draw_population");
/// Draws that are under way.
pub const DRAWS_OPEN: Table<DrawId, DrawId> = Table::new(84, "draws_open");
/// What somebody inspects, and why.
pub const INSPECTED: Table<(PrincipalId, ItemId), InspectedBy> = Table::new(85, "inspected");
/// Targeted inspections, newest first: [`newest_first`] of the record's sequence.
pub const TARGETS: Table<u64, TargetRow> = Table::new(86, "inspection_targets");
/// Recorded outages of the compliance clock, newest first: [`newest_first`] of the record's sequence.
pub const OUTAGES: Table<u64, OutageRow> = Table::new(70, "outages");
/// The correction of outages that waits, where one does.
pub const OUTAGE_CORRECTION: Table<(), CorrectionId> = Table::new(71, "outage_correction");
/// Replacements of voters, newest first: [`newest_first`] of the proposal's record.
pub const VOTER_CHANGES: Table<u64, VoterChangeRow> = Table::new(72, "voter_changes");

/// What keeps the retention digest.
pub const RETENTION_DIGEST: Table<(), DigestRow> = Table::new(99, "retention_digest");
/// Results of inspections, by inspection, item and record.
pub const INSPECTION_RESULTS: Table<(InspectionOf, ItemId, RecordSeq), ResultRow> =
    Table::new(87, "inspection_results");
/// What inspections found that is to be put right, by its date and the record that asks for it.
pub const RECTIFICATIONS_DUE: Table<(UnixMillis, RecordSeq), DueRow> = Table::new(88, "rectifications_due");

/// A key part that sorts the greatest number first.
#[must_use]
pub const fn newest_first(number: u64) -> u64 {
    u64::MAX - number
}

/// A principal.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct PrincipalRow {
    /// Name.
    #[n(0)]
    pub id: PrincipalId,
    /// Its one key.
    #[n(1)]
    pub key: KeyHash,
    /// Its roles.
    #[n(2)]
    pub roles: Vec<Role>,
    /// Its unit; none means the whole agency.
    #[n(3)]
    pub unit: Option<UnitId>,
    /// When access ended.
    #[n(4)]
    pub revoked_at: Option<UnixMillis>,
    /// Units that its unit succeeded: looked up with the principal, never stored with it.
    #[cbor(skip)]
    pub formers: BTreeSet<UnitId>,
}

impl PrincipalRow {
    /// Whether its rights reach subjects of `unit`: its own, or one that its own succeeded.
    #[must_use]
    pub fn covers(&self, unit: &UnitId) -> bool {
        self.unit.as_ref().is_none_or(|own| own == unit || self.formers.contains(unit))
    }
}

/// A unit.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct UnitRow {
    /// Short name.
    #[n(0)]
    pub id: UnitId,
    /// Full name.
    #[n(1)]
    pub full_name: String,
    /// Profile that governs it; always its newest version.
    #[n(2)]
    pub profile: ProfileName,
    /// Since when it is there; none for one that was registered before this was noted.
    #[n(3)]
    pub from: Option<UnixMillis>,
    /// When and to whom its powers went; none while it has them.
    #[n(4)]
    pub ended: Option<UnitEnd>,
}

/// A recording device.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DeviceRow {
    /// Register number.
    #[n(0)]
    pub id: DeviceId,
    /// Unit that holds it.
    #[n(1)]
    pub unit: UnitId,
    /// Kind (R-000-2).
    #[n(2)]
    pub device_type: DeviceType,
    /// Brand and model.
    #[n(3)]
    pub brand_model: String,
    /// What else its register begins with.
    #[n(4)]
    pub asset: Option<DeviceAsset>,
}

/// A device as a fixed asset (R-000-3).
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DeviceAsset {
    /// Asset number 资产编号; empty where it has none.
    #[n(0)]
    pub asset_no: String,
    /// Accessories 配件.
    #[n(1)]
    pub accessories: String,
    /// Its own custodian (R-004-9).
    #[n(2)]
    pub custodian: Option<PrincipalId>,
}

/// Kinds of device that the texts name (R-000-2, R-001-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum DeviceType {
    /// 照相机.
    #[n(0)]
    Camera,
    /// 摄像机.
    #[n(1)]
    Camcorder,
    /// 录音笔.
    #[n(2)]
    VoiceRecorder,
    /// 执法记录仪.
    #[n(3)]
    Bwc,
    /// 手持执法终端.
    #[n(4)]
    HandheldTerminal,
    /// 视频监控.
    #[n(5)]
    Surveillance,
    /// 录音机.
    #[n(6)]
    AudioRecorder,
    /// 数据采集工作站: collects what others recorded (R-001-2).
    #[n(7)]
    CollectionStation,
    /// 存储节点: keeps what others recorded (R-001-2).
    #[n(8)]
    StorageNode,
}

impl DeviceType {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Camera,
        Self::Camcorder,
        Self::VoiceRecorder,
        Self::Bwc,
        Self::HandheldTerminal,
        Self::Surveillance,
        Self::AudioRecorder,
        Self::CollectionStation,
        Self::StorageNode,
    ];

    /// The name on the wire and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Camcorder => "camcorder",
            Self::VoiceRecorder => "voice_recorder",
            Self::Bwc => "bwc",
            Self::HandheldTerminal => "handheld_terminal",
            Self::Surveillance => "surveillance",
            Self::AudioRecorder => "audio_recorder",
            Self::CollectionStation => "collection_station",
            Self::StorageNode => "storage_node",
        }
    }

    /// Whether it records. What only collects or stores is equipment as well, and no original is of it.
    #[must_use]
    pub const fn records(self) -> bool {
        !matches!(self, Self::CollectionStation | Self::StorageNode)
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One version of a profile.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ProfileRow {
    /// The file's text, as it was given.
    #[n(0)]
    pub toml: String,
    /// What it says.
    #[n(1)]
    pub profile: Profile,
    /// Record that activated it.
    #[n(2)]
    pub seq: RecordSeq,
}

/// What is known of an original before its bytes.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Description {
    /// Recording device.
    #[n(0)]
    pub device: DeviceId,
    /// Unit that recorded it.
    #[n(1)]
    pub unit: UnitId,
    /// File name on the device.
    #[n(2)]
    pub file_name: String,
    /// Start by the device's clock.
    #[n(3)]
    pub recorded_start: UnixMillis,
    /// End by the device's clock.
    #[n(4)]
    pub recorded_end: UnixMillis,
    /// Enforcement activity.
    #[n(5)]
    pub activity: Option<ActivityId>,
    /// Labels known at docking.
    #[n(6)]
    pub labels: BTreeMap<String, String>,
    /// What it is made of, where the station says so (R-000-2).
    #[n(7)]
    pub media_type: Option<MediaType>,
    /// What the device signed or computed of it, where it did (R-001-7).
    #[n(8)]
    pub device_proof: Option<DeviceProof>,
}

/// What a device says of its own recording: a signature or a digest. It is kept as it came, and nothing here judges it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DeviceProof {
    /// In which form, such as `gb35114` or `sha256`.
    #[n(0)]
    pub scheme: String,
    /// Its bytes.
    #[n(1)]
    pub value: ByteVec,
}

/// An open upload.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct UploadRow {
    /// What is known of the original.
    #[n(0)]
    pub description: Description,
    /// Who opened it.
    #[n(1)]
    pub opened_by: PrincipalId,
    /// Newest stream; older ones can commit nothing more.
    #[n(2)]
    pub epoch: UploadEpoch,
    /// Node that serves the newest stream.
    #[n(3)]
    pub gateway: NodeId,
    /// Chunks committed.
    #[n(4)]
    pub chunks: ChunkIndex,
    /// Bytes committed.
    #[n(5)]
    pub committed_bytes: u64,
    /// SHA-256 midstate after the committed bytes, in `codec`'s stored form; empty at the start.
    #[n(6)]
    pub sha256_midstate: ByteVec,
    /// Compliance time of the last progress.
    #[n(7)]
    pub progress_at: UnixMillis,
    /// Present when every byte is received and durable.
    #[n(8)]
    pub end: Option<UploadEnd>,
}

/// The end of a completely received original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct UploadEnd {
    /// Length in bytes.
    #[n(0)]
    pub size_bytes: u64,
    /// BLAKE3, merged from the manifest's subtree values.
    #[n(1)]
    pub blake3: ItemDigest,
    /// SHA-256.
    #[n(2)]
    pub sha256: Sha256Digest,
}

/// Name and subtree value of one chunk: 64 bytes in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkEntry {
    /// Name of the sealed chunk.
    pub name: ChunkDigest,
    /// BLAKE3 subtree value of the plain chunk.
    pub value: SubtreeValue,
}

/// Consecutive chunks with one upload epoch in one volume.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ManifestRun {
    /// First chunk.
    #[n(0)]
    pub first: ChunkIndex,
    /// Stream that wrote them: part of their nonces.
    #[n(1)]
    pub epoch: UploadEpoch,
    /// Volume that holds their shards.
    #[n(2)]
    pub volume: VolumeId,
    /// Its placement epoch when they were written.
    #[n(3)]
    pub placement_epoch: PlacementEpoch,
    /// The chunks.
    #[n(4)]
    #[cbor(with = "chunk_entries")]
    pub chunks: Vec<ChunkEntry>,
    /// Shards that were not durable when the chunk counted: chunk and slot. Repair makes them good.
    #[n(5)]
    pub absent: Vec<AbsentShard>,
}

/// A shard that was not durable when its chunk counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AbsentShard {
    /// Chunk.
    #[n(0)]
    pub chunk: ChunkIndex,
    /// Slot.
    #[n(1)]
    pub slot: ShardIndex,
}

/// One committed step of progress: the chunks from its key on.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ManifestStep {
    /// Runs in order, without gaps.
    #[n(0)]
    pub runs: Vec<ManifestRun>,
}

impl ManifestStep {
    /// Number of chunks.
    #[must_use]
    pub fn chunk_count(&self) -> u64 {
        self.runs.iter().map(|run| run.chunks.len() as u64).sum()
    }
}

/// A sealed item.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ItemRow {
    /// What was known of it when it was sent.
    #[n(0)]
    pub description: Description,
    /// Length and digests.
    #[n(1)]
    pub original: UploadEnd,
    /// Who sent it.
    #[n(2)]
    pub sent_by: PrincipalId,
    /// Wall time of the seal.
    #[n(3)]
    pub sealed_at: UnixMillis,
    /// Record of the seal.
    #[n(4)]
    pub seq: RecordSeq,
    /// Why and how long it is kept.
    #[n(5)]
    pub retention: Retention,
    /// Labels with every value they had, oldest first.
    #[n(6)]
    pub labels: BTreeMap<String, Vec<LabelValue>>,
    /// True while nobody has released it from quarantine (R-001-5).
    #[n(7)]
    pub quarantined: bool,
    /// Findings, such as `CLOCK_FAULT` (G4).
    #[n(8)]
    pub findings: Vec<String>,
}

/// Value that a label had.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct LabelValue {
    /// The value.
    #[n(0)]
    pub value: String,
    /// Who set it.
    #[n(1)]
    pub by: PrincipalId,
    /// Record that set it.
    #[n(2)]
    pub seq: RecordSeq,
}

/// Retention as it stands (semantics C1).
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Retention {
    /// The later of the voters' wall clock and the compliance clock at the seal ([`crate::clock::ClockRow::start`]).
    #[n(0)]
    pub start: UnixMillis,
    /// Profile that sealed it.
    #[n(1)]
    pub profile: ProfileName,
    /// Its version.
    #[n(2)]
    pub version: u64,
    /// End of the floor; none where the profile names no floor.
    #[n(3)]
    pub floor_until: Option<UnixMillis>,
}

/// Counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CountersRow {
    /// Number of the newest request.
    #[n(0)]
    pub requests: u64,
    /// Sealed items.
    #[n(1)]
    pub items: u64,
    /// Open uploads.
    #[n(2)]
    pub uploads: u64,
}

/// What the cluster is, from its genesis.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ClusterRow {
    /// Its id.
    #[n(0)]
    pub cluster: ClusterId,
    /// A trial cluster accepts a test clock and says so everywhere.
    #[n(1)]
    pub trial: bool,
    /// When it was created.
    #[n(2)]
    pub created_at: UnixMillis,
    /// The policy file by which checkpoints are judged.
    #[n(3)]
    pub policy: String,
    /// SHA-256 of the policy file: every seal's record binds it.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub policy_digest: [u8; 32],
    /// Storage class of new originals.
    #[n(4)]
    pub class: String,
    /// First line of every checkpoint.
    #[n(5)]
    pub origin: String,
}

/// [`ChunkEntry`]s as one byte string, 64 bytes each.
mod chunk_entries {
    use minicbor::{Decoder, Encoder};

    use super::{ChunkDigest, ChunkEntry, SubtreeValue};

    pub(super) fn encode<C, W: minicbor::encode::Write>(
        entries: &[ChunkEntry],
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let mut bytes = Vec::with_capacity(entries.len() * 64);
        for entry in entries {
            bytes.extend_from_slice(entry.name.as_bytes());
            bytes.extend_from_slice(entry.value.as_bytes());
        }
        encoder.bytes(&bytes)?;
        Ok(())
    }

    pub(super) fn decode<C>(decoder: &mut Decoder<'_>, _: &mut C) -> Result<Vec<ChunkEntry>, minicbor::decode::Error> {
        let position = decoder.position();
        let (entries, rest) = decoder.bytes()?.as_chunks::<64>();
        if !rest.is_empty() {
            return Err(minicbor::decode::Error::message("chunk entries are 64 bytes each").at(position));
        }
        Ok(entries.iter().map(entry).collect())
    }

    fn entry(bytes: &[u8; 64]) -> ChunkEntry {
        let (halves, _) = bytes.as_chunks::<32>();
        ChunkEntry { name: ChunkDigest::new(halves[0]), value: SubtreeValue::new(halves[1]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_costs_64_bytes_in_the_manifest() {
        let entry = ChunkEntry { name: ChunkDigest::new([1; 32]), value: SubtreeValue::new([2; 32]) };
        let run = |count| ManifestRun {
            first: ChunkIndex(0),
            epoch: UploadEpoch(1),
            volume: VolumeId(1),
            placement_epoch: PlacementEpoch(0),
            chunks: vec![entry; count],
            absent: Vec::new(),
        };
        let bytes = |count| strongroom_types::rows::encode(&run(count)).len();
        assert_eq!(bytes(16) - bytes(8), 8 * 64);
        let stored = strongroom_types::rows::encode(&run(3));
        assert_eq!(minicbor::decode::<ManifestRun>(&stored).expect("decodes"), run(3));
        assert!(minicbor::decode::<ManifestRun>(&stored[..stored.len() - 1]).is_err());
    }
}
