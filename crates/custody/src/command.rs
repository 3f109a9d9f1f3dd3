//! What can be asked of custody, and what it answers. Both are stored in log entries: numbers are never reused.

use std::collections::BTreeMap;

use minicbor::bytes::ByteVec;
use strongroom_types::{
    ChunkIndex, CorrectionId, DeviceId, ItemId, KeyHash, NodeId, PrincipalId, ProfileName, RecordSeq, RemovalId,
    RequestId, Role, SessionId, UnitId, UnixMillis, UploadEpoch,
};

use crate::{
    Act,
    activity::{AddPhase, AttachItem, CorrectActivity, OpenActivity, SetMoment},
    approval::{AttestPaper, ConfirmOral, EnterOral, FilePaper},
    case::{ArchiveCase, BindCase, CloseCase, OpenCase, ReopenCase},
    clearance::ClearPerson,
    clock::Reading,
    correction::{ApproveCorrection, ProposeCorrection, WithdrawCorrection},
    device::{
        AnswerOffer, ConfirmFault, CorrectEntry, DockDevice, OfferDevice, ReportFault, ReportLoss, RestoreDevice,
        SealDevice, SendToRepair,
    },
    disposal::{ApproveDisposal, BatchRow, ExecuteDisposal, ProposeDisposal, SignDisposal, WithdrawDisposal},
    draw::{CommitDraw, RecordDraw, RevealDraw, TargetInspection, row::DrawRow},
    erasure::{AttestKeys, CloseLost, NoteErasure, SweepDisposed},
    exemption::RecordExemption,
    hold::{HoldRow, PlaceHold, ReleaseHold},
    inspection::{AnswerRectification, RecordResult},
    interruption::RecordInterruption,
    keeper::NameKeeper,
    keeping::{ClassifyItem, ExtendItem, RestrictItem, TriggerItem},
    leave::{LeavePrincipal, StayPrincipal},
    mandate::{ConfirmMandate, GiveMandate, RevokeMandate},
    notice::AcknowledgeNotice,
    profile::RequestAct,
    removal::{ExecuteRemoval, ProposeRemoval, RemovalRow, StepRemoval},
    request::RequestRow,
    statement::FileStatement,
    tables::{ClusterRow, Description, DeviceAsset, DeviceType, ManifestStep, UploadEnd},
    transfer::{AnswerCase, OfferCase},
    unit_change::{ApproveUnitChange, ProposeUnitChange, WithdrawUnitChange},
    viewlist::{CloseList, GiveList},
    voters::{ApproveVoter, ProposeVoter, WithdrawVoter},
};

/// A command. Ids and random values were drawn by whoever proposed it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Command {
    /// Opens an upload.
    #[n(0)]
    OpenUpload(#[n(0)] OpenUpload),
    /// Gives an upload to a new stream.
    #[n(1)]
    ResumeUpload(#[n(0)] ResumeUpload),
    /// Commits durable chunks.
    #[n(2)]
    CommitProgress(#[n(0)] CommitProgress),
    /// Seals a received upload.
    #[n(3)]
    Seal(#[n(0)] Seal),
    /// Opens, fills and seals a small original.
    #[n(4)]
    SealOriginal(#[n(0)] SealOriginal),
    /// Appends a label.
    #[n(5)]
    LabelItem(#[n(0)] LabelItem),
    /// Submits a request.
    #[n(6)]
    SubmitRequest(#[n(0)] SubmitRequest),
    /// Approves a request.
    #[n(7)]
    ApproveRequest(#[n(0)] ApproveRequest),
    /// Rejects a request.
    #[n(8)]
    RejectRequest(#[n(0)] RejectRequest),
    /// Begins a session under a grant or a standing view.
    #[n(9)]
    BeginSession(#[n(0)] BeginSession),
    /// Ends a session.
    #[n(10)]
    EndSession(#[n(0)] EndSession),
    /// Registers a principal.
    #[n(11)]
    RegisterPrincipal(#[n(0)] RegisterPrincipal),
    /// Replaces a principal's key.
    #[n(12)]
    RotatePrincipal(#[n(0)] RotatePrincipal),
    /// Ends a principal's access.
    #[n(13)]
    RevokePrincipal(#[n(0)] RevokePrincipal),
    /// Registers a unit.
    #[n(14)]
    AddUnit(#[n(0)] AddUnit),
    /// Registers a device.
    #[n(15)]
    AddDevice(#[n(0)] AddDevice),
    /// Advances the compliance clock.
    #[n(16)]
    Tick(#[n(0)] Tick),
    /// Records a refusal that was decided at the edge.
    #[n(17)]
    NoteRefusal(#[n(0)] NoteRefusal),
    /// Expires uploads without progress.
    #[n(18)]
    ExpireUploads(#[n(0)] ExpireUploads),
    // 19 was a shard's fault in free words. The topology keeps faults, and the number stays free.
    /// Creates the cluster's custody state, once.
    #[n(20)]
    CreateCluster(#[n(0)] Box<CreateCluster>),
    /// Keeps an item until a later date.
    #[n(21)]
    ExtendItem(#[n(0)] ExtendItem),
    /// Keeps an item without end.
    #[n(22)]
    TriggerItem(#[n(0)] TriggerItem),
    /// Restricts an item, or ends its restriction.
    #[n(23)]
    RestrictItem(#[n(0)] RestrictItem),
    /// Sets the class of an item.
    #[n(24)]
    ClassifyItem(#[n(0)] ClassifyItem),
    /// Takes one of the two steps that release an item from quarantine.
    #[n(25)]
    ReleaseQuarantine(#[n(0)] ReleaseQuarantine),
    /// Opens a case.
    #[n(26)]
    OpenCase(#[n(0)] OpenCase),
    /// Binds items to a case.
    #[n(27)]
    BindCase(#[n(0)] BindCase),
    /// Says how a case ended.
    #[n(28)]
    CloseCase(#[n(0)] CloseCase),
    /// Archives a case's file.
    #[n(29)]
    ArchiveCase(#[n(0)] ArchiveCase),
    /// Takes a case up again.
    #[n(30)]
    ReopenCase(#[n(0)] ReopenCase),
    /// Places or widens a hold.
    #[n(31)]
    PlaceHold(#[n(0)] Box<PlaceHold>),
    /// Takes one of the two steps that release a hold.
    #[n(32)]
    ReleaseHold(#[n(0)] ReleaseHold),
    /// Proposes a correction.
    #[n(33)]
    ProposeCorrection(#[n(0)] ProposeCorrection),
    /// Approves a correction.
    #[n(34)]
    ApproveCorrection(#[n(0)] ApproveCorrection),
    /// Withdraws a correction.
    #[n(35)]
    WithdrawCorrection(#[n(0)] WithdrawCorrection),
    /// Lets time pass in a trial cluster.
    #[n(86)]
    AdvanceClock(#[n(0)] AdvanceClock),

    /// Gives a device away: the giver's step.
    #[n(46)]
    OfferDevice(#[n(0)] OfferDevice),
    /// Takes a device, or declines it: the receiver's step.
    #[n(47)]
    AnswerOffer(#[n(0)] AnswerOffer),
    /// Reports a device lost.
    #[n(48)]
    ReportLoss(#[n(0)] ReportLoss),
    /// Reports a device's fault.
    #[n(49)]
    ReportFault(#[n(0)] ReportFault),
    /// Confirms a device's fault.
    #[n(50)]
    ConfirmFault(#[n(0)] ConfirmFault),
    /// Sends a device to be mended.
    #[n(51)]
    SendToRepair(#[n(0)] SendToRepair),
    /// Takes a device back that was mended or found.
    #[n(52)]
    RestoreDevice(#[n(0)] RestoreDevice),
    /// Records what was seen when a device was docked.
    #[n(53)]
    DockDevice(#[n(0)] DockDevice),
    /// Appends a correction to a device's register.
    #[n(54)]
    CorrectEntry(#[n(0)] CorrectEntry),
    /// Clears a person of devices.
    #[n(55)]
    ClearPerson(#[n(0)] ClearPerson),
    /// Names a custodian or a deputy.
    #[n(56)]
    NameKeeper(#[n(0)] NameKeeper),
    /// Opens an activity.
    #[n(57)]
    OpenActivity(#[n(0)] Box<OpenActivity>),
    /// Adds a phase to an activity.
    #[n(58)]
    AddPhase(#[n(0)] AddPhase),
    /// Says when something of an activity happened.
    #[n(59)]
    SetMoment(#[n(0)] SetMoment),
    /// Corrects an activity.
    #[n(60)]
    CorrectActivity(#[n(0)] CorrectActivity),
    /// Attaches an item to an activity, or takes it out.
    #[n(61)]
    AttachItem(#[n(0)] AttachItem),
    /// Records an interruption.
    #[n(62)]
    RecordInterruption(#[n(0)] Box<RecordInterruption>),
    /// Records an exemption.
    #[n(63)]
    RecordExemption(#[n(0)] Box<RecordExemption>),
    /// Files a statement with an interruption or an exemption.
    #[n(64)]
    FileStatement(#[n(0)] FileStatement),
    /// Says that a notice was seen.
    #[n(65)]
    AcknowledgeNotice(#[n(0)] AcknowledgeNotice),
    /// Proposes a batch for disposal.
    #[n(71)]
    ProposeDisposal(#[n(0)] ProposeDisposal),
    /// Approves a batch.
    #[n(72)]
    ApproveDisposal(#[n(0)] ApproveDisposal),
    /// Withdraws a batch.
    #[n(73)]
    WithdrawDisposal(#[n(0)] WithdrawDisposal),
    /// Executes a batch.
    #[n(74)]
    ExecuteDisposal(#[n(0)] Box<ExecuteDisposal>),
    /// A supervisor signs a batch.
    #[n(75)]
    SignDisposal(#[n(0)] SignDisposal),
    /// Notes how far a disk has followed its orders.
    #[n(76)]
    NoteErasure(#[n(0)] Box<NoteErasure>),
    /// A replica's word that keys are gone.
    #[n(77)]
    AttestKeys(#[n(0)] Box<AttestKeys>),
    /// Closes a disk or replica as lost.
    #[n(78)]
    CloseLost(#[n(0)] CloseLost),
    /// Sweeps rows that disposed items left.
    #[n(79)]
    SweepDisposed(#[n(0)] SweepDisposed),
    /// Proposes a profile or a new version of one.
    #[n(41)]
    ProposeProfile(#[n(0)] ProposeProfile),
    /// Approves a version that was proposed.
    #[n(42)]
    ApproveProfile(#[n(0)] ApproveProfile),
    /// Withdraws a version before it takes effect.
    #[n(43)]
    WithdrawProfile(#[n(0)] WithdrawProfile),
    /// Gives a mandate.
    #[n(120)]
    GiveMandate(#[n(0)] GiveMandate),
    /// Confirms an appointment.
    #[n(121)]
    ConfirmMandate(#[n(0)] ConfirmMandate),
    /// Ends a mandate.
    #[n(122)]
    RevokeMandate(#[n(0)] RevokeMandate),
    /// Withdraws a request.
    #[n(123)]
    WithdrawRequest(#[n(0)] WithdrawRequest),
    /// Takes an approval or a grant back.
    #[n(124)]
    RevokeRequest(#[n(0)] RevokeRequest),
    /// Files a signed form.
    #[n(125)]
    FilePaper(#[n(0)] FilePaper),
    /// Attests to having seen a signed form.
    #[n(126)]
    AttestPaper(#[n(0)] AttestPaper),
    /// Enters an oral approval.
    #[n(127)]
    EnterOral(#[n(0)] EnterOral),
    /// Confirms an oral approval.
    #[n(128)]
    ConfirmOral(#[n(0)] ConfirmOral),
    /// Hands items to somebody to look at.
    #[n(129)]
    GiveList(#[n(0)] GiveList),
    /// Closes such a list.
    #[n(130)]
    CloseList(#[n(0)] CloseList),
    /// Proposes what becomes of units.
    #[n(110)]
    ProposeUnitChange(#[n(0)] Box<ProposeUnitChange>),
    /// Approves what becomes of units.
    #[n(111)]
    ApproveUnitChange(#[n(0)] ApproveUnitChange),
    /// Withdraws a change of units before it takes effect.
    #[n(112)]
    WithdrawUnitChange(#[n(0)] WithdrawUnitChange),
    /// Offers a case to another unit: the giver's step.
    #[n(113)]
    OfferCase(#[n(0)] OfferCase),
    /// Takes a case, or ends the offer: the other side's step.
    #[n(114)]
    AnswerCase(#[n(0)] AnswerCase),
    /// Notes that somebody leaves.
    #[n(115)]
    LeavePrincipal(#[n(0)] LeavePrincipal),
    /// Takes back that somebody leaves.
    #[n(116)]
    StayPrincipal(#[n(0)] StayPrincipal),
    /// Records a draw.
    #[n(131)]
    RecordDraw(#[n(0)] Box<RecordDraw>),
    /// Commits a voter to its share of a draw.
    #[n(132)]
    CommitDraw(#[n(0)] Box<CommitDraw>),
    /// Reveals a voter's share of a draw.
    #[n(133)]
    RevealDraw(#[n(0)] RevealDraw),
    /// Records a targeted inspection.
    #[n(134)]
    TargetInspection(#[n(0)] TargetInspection),
    /// Enters what was found of an item of an inspection.
    #[n(145)]
    RecordResult(#[n(0)] Box<RecordResult>),
    /// Says that what was found wrong is put right.
    #[n(146)]
    AnswerRectification(#[n(0)] AnswerRectification),
    /// Proposes to replace a voter.
    #[n(150)]
    ProposeVoter(#[n(0)] Box<ProposeVoter>),
    /// Approves that a voter is replaced.
    #[n(151)]
    ApproveVoter(#[n(0)] Box<ApproveVoter>),
    /// Withdraws the replacement of a voter.
    #[n(152)]
    WithdrawVoter(#[n(0)] WithdrawVoter),
    /// Records that a device was sealed because a state secret may be on it.
    #[n(140)]
    SealDevice(#[n(0)] SealDevice),
    /// Proposes a removal to a classified carrier.
    #[n(141)]
    ProposeRemoval(#[n(0)] Box<ProposeRemoval>),
    /// Takes a step of a removal besides its execution.
    #[n(142)]
    StepRemoval(#[n(0)] StepRemoval),
    /// Executes a removal.
    #[n(143)]
    ExecuteRemoval(#[n(0)] Box<ExecuteRemoval>),
}

/// Creates the cluster's custody state, once.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CreateCluster {
    /// What the cluster is.
    #[n(0)]
    pub cluster: ClusterRow,
    /// Texts of the first profiles.
    #[n(1)]
    pub profiles: Vec<String>,
    /// First units.
    #[n(2)]
    pub units: Vec<AddUnit>,
    /// First devices.
    #[n(3)]
    pub devices: Vec<AddDevice>,
    /// First principals: at least one security officer, who registers the others.
    #[n(4)]
    pub principals: Vec<RegisterPrincipal>,
    /// Digest of the genesis file, which every disk's marker holds too.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub genesis: [u8; 32],
}

/// Opens an upload.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct OpenUpload {
    /// The new item.
    #[n(0)]
    pub item: ItemId,
    /// What is known of it.
    #[n(1)]
    pub description: Description,
    /// Its wrapped key.
    #[n(2)]
    pub wrapped_key: ByteVec,
    /// Node that took the call.
    #[n(3)]
    pub gateway: NodeId,
}

/// Gives an upload to a new stream.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ResumeUpload {
    /// The item.
    #[n(0)]
    pub item: ItemId,
    /// Node that serves the stream.
    #[n(1)]
    pub gateway: NodeId,
}

/// Commits durable chunks.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CommitProgress {
    /// The item.
    #[n(0)]
    pub item: ItemId,
    /// Stream that wrote them.
    #[n(1)]
    pub epoch: UploadEpoch,
    /// First chunk; must follow what is committed.
    #[n(2)]
    pub first: ChunkIndex,
    /// The chunks.
    #[n(3)]
    pub step: ManifestStep,
    /// Plain bytes in them.
    #[n(4)]
    pub bytes: u64,
    /// SHA-256 midstate after them; empty with `end`.
    #[n(5)]
    pub sha256_midstate: ByteVec,
    /// Present where these are the last.
    #[n(6)]
    pub end: Option<UploadEnd>,
}

/// Seals a received upload.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Seal {
    /// The item.
    #[n(0)]
    pub item: ItemId,
    /// Length that the caller sent.
    #[n(1)]
    pub size_bytes: u64,
    /// BLAKE3 that the caller computed.
    #[n(2)]
    pub blake3: Option<strongroom_types::ItemDigest>,
    /// SHA-256 that the caller computed.
    #[n(3)]
    pub sha256: Option<strongroom_types::Sha256Digest>,
}

/// Opens, fills and seals a small original.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SealOriginal {
    /// Opens it.
    #[n(0)]
    pub open: OpenUpload,
    /// Its only chunk; no runs for an empty original.
    #[n(1)]
    pub step: ManifestStep,
    /// Length and digests, already compared with the caller's.
    #[n(2)]
    pub end: UploadEnd,
}

/// Appends a label.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct LabelItem {
    /// The item.
    #[n(0)]
    pub item: ItemId,
    /// Name of the label.
    #[n(1)]
    pub name: String,
    /// Its new value.
    #[n(2)]
    pub value: String,
}

/// Takes one of the two steps that release an item from quarantine.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ReleaseQuarantine {
    /// The item.
    #[n(0)]
    pub item: ItemId,
    /// Why.
    #[n(1)]
    pub reason: String,
}

/// Submits a request.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SubmitRequest {
    /// What is asked for.
    #[n(0)]
    pub act: RequestAct,
    /// Of which items.
    #[n(1)]
    pub items: Vec<ItemId>,
    /// The form.
    #[n(2)]
    pub fields: BTreeMap<String, String>,
}

/// Approves a request.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ApproveRequest {
    /// The request.
    #[n(0)]
    pub request: RequestId,
}

/// Rejects a request.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RejectRequest {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// Why.
    #[n(1)]
    pub reason: String,
}

/// Withdraws a request.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct WithdrawRequest {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// Why.
    #[n(1)]
    pub reason: String,
}

/// Takes an approval or a grant back.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RevokeRequest {
    /// The request.
    #[n(0)]
    pub request: RequestId,
    /// Why.
    #[n(1)]
    pub reason: String,
}

/// Begins a session.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct BeginSession {
    /// The new session.
    #[n(0)]
    pub session: SessionId,
    /// Under what.
    #[n(1)]
    pub under: Under,
}

/// What a session is begun under.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Under {
    /// A grant to hand out: copy, transfer or provide.
    #[n(0)]
    CopyOut(#[n(0)] RequestId),
    /// A grant to view one of its items.
    #[n(1)]
    View(#[n(0)] RequestId, #[n(1)] ItemId),
    /// A standing view of one item, with the reason given.
    #[n(2)]
    StandingView(#[n(0)] ItemId, #[n(1)] String),
    /// An approved removal, to hand its originals over.
    #[n(3)]
    Removal(#[n(0)] RemovalId),
}

/// Ends a session.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct EndSession {
    /// The session.
    #[n(0)]
    pub session: SessionId,
    /// Whether everything arrived.
    #[n(1)]
    pub complete: bool,
}

/// Registers a principal.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RegisterPrincipal {
    /// Name.
    #[n(0)]
    pub principal: PrincipalId,
    /// Key of its certificate.
    #[n(1)]
    pub key: KeyHash,
    /// Roles.
    #[n(2)]
    pub roles: Vec<Role>,
    /// Unit; none means the whole agency.
    #[n(3)]
    pub unit: Option<UnitId>,
}

/// Replaces a principal's key.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RotatePrincipal {
    /// Name.
    #[n(0)]
    pub principal: PrincipalId,
    /// The new key.
    #[n(1)]
    pub key: KeyHash,
}

/// Ends a principal's access.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RevokePrincipal {
    /// Name.
    #[n(0)]
    pub principal: PrincipalId,
    /// Why.
    #[n(1)]
    pub reason: String,
}

/// Registers a unit.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AddUnit {
    /// Short name.
    #[n(0)]
    pub unit: UnitId,
    /// Full name.
    #[n(1)]
    pub full_name: String,
    /// Profile that governs it.
    #[n(2)]
    pub profile: ProfileName,
}

/// Registers a device.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AddDevice {
    /// Register number.
    #[n(0)]
    pub device: DeviceId,
    /// Unit that holds it.
    #[n(1)]
    pub unit: UnitId,
    /// Kind.
    #[n(2)]
    pub device_type: DeviceType,
    /// Brand and model.
    #[n(3)]
    pub brand_model: String,
    /// What else its register begins with.
    #[n(4)]
    pub asset: Option<DeviceAsset>,
}

/// Advances the compliance clock. Signatures were verified, and voters counted, by the composition above.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Tick {
    /// Verified readings, one of each voter at most.
    #[n(0)]
    pub readings: Vec<Reading>,
    /// Number of voters.
    #[n(1)]
    pub voters: u32,
}

/// Lets time pass in a trial cluster, on every clock that decides anything.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AdvanceClock {
    /// How much, in milliseconds.
    #[n(0)]
    pub by_ms: i64,
    /// Why.
    #[n(1)]
    pub reason: String,
}

/// Records a refusal that was decided at the edge: a call that does not exist, a handshake, a read.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct NoteRefusal {
    /// Whose certificate, where there was one.
    #[n(0)]
    pub key: Option<KeyHash>,
    /// What was asked.
    #[n(1)]
    pub act: Act,
    /// The call's name or the handshake's fault.
    #[n(2)]
    pub call: String,
    /// Address that it came from, without the port.
    #[n(3)]
    pub source: String,
    /// How many like it are counted in this record.
    #[n(4)]
    pub count: u64,
    /// What it was answered.
    #[n(5)]
    pub refusal: strongroom_types::Refusal,
    /// Item that was asked for, where one was.
    #[n(6)]
    pub item: Option<ItemId>,
}

/// Expires uploads without progress.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ExpireUploads {
    /// At most this many.
    #[n(0)]
    pub limit: u32,
}

/// Proposes a profile or a new version of one.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ProposeProfile {
    /// The file's text, which names the profile.
    #[n(0)]
    pub toml: String,
}

/// Approves a version that was proposed.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ApproveProfile {
    /// The profile.
    #[n(0)]
    pub profile: ProfileName,
    /// Record of the proposal that the approver has read.
    #[n(1)]
    pub proposal: RecordSeq,
}

/// Withdraws a version before it takes effect.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct WithdrawProfile {
    /// The profile.
    #[n(0)]
    pub profile: ProfileName,
    /// Why.
    #[n(1)]
    pub reason: String,
}

/// What a command is answered.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Answer {
    /// The upload is open.
    #[n(0)]
    UploadOpened(#[n(0)] ItemId),
    /// The stream owns the upload.
    #[n(1)]
    UploadResumed(#[n(0)] UploadEpoch),
    /// Progress is committed.
    #[n(2)]
    ProgressCommitted(#[n(0)] u64),
    /// The item is sealed.
    #[n(3)]
    Sealed(#[n(0)] ItemId, #[n(1)] RecordSeq, #[n(2)] UnixMillis),
    /// Done; this is its record.
    #[n(4)]
    Recorded(#[n(0)] RecordSeq),
    /// The request as it now stands.
    #[n(5)]
    Request(#[n(0)] Box<RequestRow>),
    /// The session has begun.
    #[n(6)]
    SessionBegun(#[n(0)] SessionId, #[n(1)] RecordSeq),
    /// The clock was ticked.
    #[n(7)]
    Ticked(#[n(0)] UnixMillis),
    /// So many uploads were expired.
    #[n(8)]
    Expired(#[n(0)] u32),
    /// The hold as it now stands, and the record of this step.
    #[n(9)]
    Hold(#[n(0)] Box<HoldRow>, #[n(1)] RecordSeq),
    /// The correction, and the record of this step.
    #[n(10)]
    Correction(#[n(0)] CorrectionId, #[n(1)] RecordSeq),
    /// The batch as it now stands.
    #[n(21)]
    Disposal(#[n(0)] Box<BatchRow>),
    /// The disk has followed its orders up to this one.
    #[n(22)]
    Followed(#[n(0)] RecordSeq),
    /// So many rows were swept.
    #[n(23)]
    Swept(#[n(0)] u32),
    /// The draw as it now stands.
    #[n(60)]
    Draw(#[n(0)] Box<DrawRow>),
    /// The removal as it now stands.
    #[n(70)]
    Removal(#[n(0)] Box<RemovalRow>),
}
