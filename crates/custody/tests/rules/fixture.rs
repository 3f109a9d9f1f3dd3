//! A cluster of three profiles with somebody of every role, and the laws that hold of every command.

use std::collections::BTreeMap;

use strongroom_custody::{
    Act, Actor, Answer, Applied, Command, Context, Fact, Record,
    access::Stop,
    assent::{Signature, Signed},
    clock::{self, Reading},
    command::{
        AddDevice, AddUnit, AdvanceClock, ApproveRequest, CommitProgress, CreateCluster, OpenUpload, RegisterPrincipal,
        SealOriginal, SubmitRequest, Tick, Under,
    },
    device::Way,
    digest,
    mandate::MandateKind,
    profile::{Profile, RequestAct},
    removal::RemovalStep,
    replay::Replay,
    request::RequestRow,
    retained,
    retention::{self, Kept},
    tables::{
        CLOCK, ChunkEntry, ClusterRow, Description, DeviceType, ITEMS, ItemRow, ManifestRun, ManifestStep, UPLOADS,
        UploadEnd, UploadRow,
    },
};
use strongroom_types::{
    ChunkDigest, ChunkIndex, ClusterId, ErrorKind, ItemDigest, ItemId, KeyHash, NodeId, PlacementEpoch, PrincipalId,
    Reason, RecordSeq, Refusal, RequestId, Role, SessionId, Sha256Digest, SubtreeValue, UnitId, UnixMillis,
    UploadEpoch, VolumeId, limits, rows::MemoryRows,
};

/// 2026-03-01T09:30 in Beijing.
pub(crate) const START: UnixMillis = UnixMillis(1_772_328_600_000);
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const GATEWAY: NodeId = NodeId(1);
/// U1 is under `dev`, U2 under `strict`, U3 under `unset`, U4 under `dev` again.
const UNITS: [(&str, &str); 4] = [("U1", "dev"), ("U2", "strict"), ("U3", "unset"), ("U4", "dev")];
/// People besides the one of each role that is called after it.
const PEOPLE: [(&str, &[Role], Option<&str>); 9] = [
    ("station-u2", &[Role::Station], Some("U2")),
    ("legal-2", &[Role::Legal], None),
    ("legal-u2", &[Role::Legal], Some("U2")),
    ("approver-2", &[Role::Approver], None),
    ("archivist-2", &[Role::Archivist], None),
    ("archivist-u2", &[Role::Archivist], Some("U2")),
    ("security-2", &[Role::Security], None),
    ("security-u2", &[Role::Security], Some("U2")),
    ("jack", &[Role::UnitHead, Role::Legal, Role::Approver, Role::Archivist], None),
];

pub(crate) fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

/// The key of whoever is called so.
pub(crate) fn key(name: &str) -> KeyHash {
    let mut bytes = [0xee; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    KeyHash::new(bytes)
}

/// The caller's signature over whatever they decide, as the composition above would have verified it.
pub(crate) fn signed(seq: RecordSeq, at: UnixMillis) -> Signed {
    let signature = Signature { public_key: vec![0x30].into(), value: vec![0x31].into(), at };
    Signed { key: id(&format!("k{}", seq.0)), signature }
}

pub(crate) fn item(number: u8) -> ItemId {
    ItemId::new([number; 16])
}

pub(crate) fn session(number: u8) -> SessionId {
    SessionId::new([number; 16])
}

pub(crate) fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

pub(crate) fn description(unit: &str) -> Description {
    Description {
        device: id("D1"),
        unit: id(unit),
        file_name: "MOV0001.mp4".to_owned(),
        recorded_start: START.plus_ms(-2 * HOUR),
        recorded_end: START.plus_ms(-HOUR),
        activity: Some(id("A-7")),
        labels: fields(&[("place", "north gate")]),
        media_type: None,
        device_proof: None,
    }
}

pub(crate) fn open(number: u8, unit: &str) -> OpenUpload {
    OpenUpload {
        item: item(number),
        description: description(unit),
        wrapped_key: vec![number; 4].into(),
        gateway: GATEWAY,
    }
}

/// A step of `chunks` full chunks in one run.
pub(crate) fn step(epoch: u32, first: u64, chunks: usize) -> ManifestStep {
    let entry = ChunkEntry { name: ChunkDigest::new([3; 32]), value: SubtreeValue::new([4; 32]) };
    let run = ManifestRun {
        first: ChunkIndex(first),
        epoch: UploadEpoch(epoch),
        volume: VolumeId(1),
        placement_epoch: PlacementEpoch(0),
        chunks: vec![entry; chunks],
        absent: Vec::new(),
    };
    ManifestStep { runs: if chunks == 0 { Vec::new() } else { vec![run] } }
}

pub(crate) fn end(size_bytes: u64) -> UploadEnd {
    UploadEnd { size_bytes, blake3: ItemDigest::new([5; 32]), sha256: Sha256Digest::new([6; 32]) }
}

/// Full chunks and nothing odd.
pub(crate) fn progress(number: u8, epoch: u32, first: u64, chunks: usize) -> CommitProgress {
    CommitProgress {
        item: item(number),
        epoch: UploadEpoch(epoch),
        first: ChunkIndex(first),
        step: step(epoch, first, chunks),
        bytes: (chunks * limits::CHUNK_BYTES) as u64,
        sha256_midstate: vec![9; 8].into(),
        end: None,
    }
}

pub(crate) fn small(number: u8, unit: &str) -> SealOriginal {
    SealOriginal { open: open(number, unit), step: step(0, 0, 1), end: end(1000) }
}

pub(crate) fn submit(act: RequestAct, items: &[u8], pairs: &[(&str, &str)]) -> SubmitRequest {
    SubmitRequest { act, items: items.iter().map(|number| item(*number)).collect(), fields: fields(pairs) }
}

pub(crate) fn created() -> CreateCluster {
    let principal = |(name, roles, unit): (&str, &[Role], Option<&str>)| RegisterPrincipal {
        principal: id(name),
        key: key(name),
        roles: roles.to_vec(),
        unit: unit.map(id),
    };
    let one_of_each = Role::ALL.into_iter().map(|role| principal((role.name(), &[role], None)));
    CreateCluster {
        cluster: ClusterRow {
            cluster: ClusterId::new([0xc1; 16]),
            trial: true,
            created_at: START,
            policy: "policy".to_owned(),
            policy_digest: [0xdd; 32],
            class: "standard".to_owned(),
            origin: "strongroom.example/test".to_owned(),
        },
        profiles: vec![
            include_str!("../../../../profiles/dev.toml").to_owned(),
            include_str!("strict.toml").to_owned(),
            include_str!("unset.toml").to_owned(),
        ],
        units: UNITS
            .into_iter()
            .map(|(unit, profile)| AddUnit {
                unit: id(unit), full_name: format!("{unit} 中队"), profile: id(profile)
            })
            .collect(),
        devices: vec![AddDevice {
            device: id("D1"),
            unit: id("U1"),
            device_type: DeviceType::Bwc,
            brand_model: "X1".to_owned(),
            asset: None,
        }],
        principals: one_of_each.chain(PEOPLE.into_iter().map(principal)).collect(),
        genesis: [0xaa; 32],
    }
}

/// State, ledger and clocks of one cluster.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) rows: MemoryRows,
    pub(crate) records: Vec<Record>,
    /// What every clock shows.
    pub(crate) wall: UnixMillis,
    /// How much of that was let pass at once.
    trial_ms: i64,
    /// What the records alone come to; none where a test wrote rows of its own.
    pub(crate) replay: Option<Replay>,
    /// With what callers sign.
    pub(crate) signing: Signing,
}

/// With what callers sign what they decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    /// Each call with a key of its own.
    Each,
    /// Always the same call's.
    Again(Signed),
    /// They do not.
    Never,
}

/// Whatever a test did: the sum that was kept row by row is that of all rows.
impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.replay.is_some() {
            let kept = digest::sum(&self.rows).expect("reads");
            assert_eq!(kept, digest::recompute(&self.rows).expect("reads"), "the kept sum is not that of the rows");
        }
    }
}

impl Cluster {
    pub(crate) fn empty() -> Self {
        let replay = Some(Replay::default());
        Self {
            rows: MemoryRows::default(),
            records: Vec::new(),
            wall: START,
            trial_ms: 0,
            replay,
            signing: Signing::Each,
        }
    }

    pub(crate) fn new() -> Self {
        Self::from(created())
    }

    pub(crate) fn from(create: CreateCluster) -> Self {
        let mut cluster = Self::empty();
        cluster.by_node(Command::CreateCluster(Box::new(create))).expect("a cluster");
        cluster.pass(0);
        cluster
    }

    /// With a unit U5 under one more profile.
    pub(crate) fn under(toml: &str) -> Self {
        let mut create = created();
        let profile = Profile::from_toml(toml).expect("a profile").name;
        create.profiles.push(toml.to_owned());
        create.units.push(AddUnit { unit: id("U5"), full_name: "U5 中队".to_owned(), profile });
        Self::from(create)
    }

    /// With sealed items 1 and 2 of U1 (`dev`), 3 and 4 of U2 (`strict`), 5 of U3 (`unset`).
    pub(crate) fn with_items() -> Self {
        let mut cluster = Self::new();
        for (number, unit) in [(1, "U1"), (2, "U1"), (3, "U2"), (4, "U2"), (5, "U3")] {
            cluster.done("station", Command::SealOriginal(small(number, unit)));
        }
        cluster
    }

    /// Lets this much time pass on every clock, and ticks. More than a tick credits is let pass at once.
    pub(crate) fn pass(&mut self, ms: i64) {
        if ms > limits::CLOCK_GAP_MS_MAX {
            self.advance(ms);
        } else {
            self.wall = self.wall.plus_ms(ms);
        }
        let tick = clock::read(&self.rows).expect("reads").ticks;
        let (wall, boottime_ms) = (self.machine_wall(), self.machine_wall().since_ms(START));
        let reading = |node| Reading { node: NodeId(node), boot_id: [1; 16], boottime_ms, wall, tick };
        let tick = Tick { readings: (1..=3).map(reading).collect(), voters: 3 };
        self.by_node(Command::Tick(tick)).expect("ticks");
    }

    /// Lets this much time pass at once, without a tick.
    pub(crate) fn advance(&mut self, ms: i64) {
        self.done("ops", Command::AdvanceClock(AdvanceClock { by_ms: ms, reason: "a test".to_owned() }));
        self.trial_ms += ms;
        self.wall = self.wall.plus_ms(ms);
    }

    /// What the machines' own clocks show.
    pub(crate) fn machine_wall(&self) -> UnixMillis {
        self.wall.plus_ms(-self.trial_ms)
    }

    pub(crate) fn by(&mut self, name: &str, command: Command) -> Result<Answer, Refusal> {
        self.apply(&Actor::Client(key(name)), &command)
    }

    pub(crate) fn by_node(&mut self, command: Command) -> Result<Answer, Refusal> {
        self.apply(&Actor::Node(GATEWAY), &command)
    }

    #[track_caller]
    pub(crate) fn done(&mut self, name: &str, command: Command) -> Answer {
        let told = format!("{name}: {command:?}");
        self.by(name, command).unwrap_or_else(|refusal| panic!("{told}: {refusal:?}"))
    }

    #[track_caller]
    pub(crate) fn refused(&mut self, name: &str, command: Command, reason: Reason) -> Refusal {
        let told = format!("{name}: {command:?}");
        let refusal = self.by(name, command).expect_err(&told);
        assert_eq!(refusal.reason, reason, "{told}: {refusal:?}");
        refusal
    }

    #[track_caller]
    pub(crate) fn node_refused(&mut self, command: Command, reason: Reason) -> Refusal {
        let told = format!("{command:?}");
        let refusal = self.by_node(command).expect_err(&told);
        assert_eq!(refusal.reason, reason, "{told}: {refusal:?}");
        refusal
    }

    #[track_caller]
    pub(crate) fn request(&mut self, name: &str, submit: SubmitRequest) -> RequestId {
        self.requested(name, Command::SubmitRequest(submit)).id
    }

    #[track_caller]
    pub(crate) fn requested(&mut self, name: &str, command: Command) -> RequestRow {
        match self.done(name, command) {
            Answer::Request(row) => *row,
            other => panic!("no request but {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn approve(&mut self, name: &str, request: RequestId) -> RequestRow {
        self.requested(name, Command::ApproveRequest(ApproveRequest { request }))
    }

    pub(crate) fn item(&self, number: u8) -> ItemRow {
        ITEMS.read(&self.rows, &item(number)).expect("reads").expect("is sealed")
    }

    /// What keeps an item.
    pub(crate) fn kept(&self, number: u8) -> Vec<Kept> {
        retention::kept(&self.rows, item(number), &self.item(number)).expect("reads")
    }

    /// The reason for which an item may not be disposed of now, if there is one.
    pub(crate) fn refusal_to_dispose(&self, number: u8) -> Option<Refusal> {
        let now = clock::read(&self.rows).expect("reads").t;
        match retention::refuse_kept(&self.rows, item(number), &self.item(number), &self.kept(number), now) {
            Ok(()) => None,
            Err(Stop::Refused(refusal)) => Some(refusal),
            Err(Stop::Rows(error)) => panic!("{error}"),
        }
    }

    /// Lets so many months pass, and some days.
    pub(crate) fn pass_months(&mut self, months: i64) {
        self.pass(months * 31 * DAY);
    }

    pub(crate) fn upload(&self, number: u8) -> Option<UploadRow> {
        UPLOADS.read(&self.rows, &item(number)).expect("reads")
    }

    pub(crate) fn last_record(&self) -> &Record {
        self.records.last().expect("a record")
    }

    /// Applies a command and checks what holds of every command.
    #[track_caller]
    pub(crate) fn apply(&mut self, actor: &Actor, command: &Command) -> Result<Answer, Refusal> {
        let before = self.rows.clone();
        let next_seq = RecordSeq(self.records.len() as u64);
        let signed = match &self.signing {
            Signing::Each => Some(signed(next_seq, self.machine_wall())),
            Signing::Again(signed) => Some(signed.clone()),
            Signing::Never => None,
        };
        let context = Context { actor: actor.clone(), wall: self.machine_wall(), next_seq, signed };
        let Applied { outcome, records } =
            strongroom_custody::apply(&mut self.rows, &context, command).expect("rows can be read");
        match &outcome {
            Ok(answer) => check_granted(command, answer, actor, next_seq, &records),
            Err(refusal) => {
                assert_eq!(self.rows, before, "a refused command changed a row: {command:?}");
                check_refused(command, refusal, actor, &records);
            }
        }
        for record in &records {
            assert_eq!(Record::from_bytes(&record.to_bytes()).as_ref(), Ok(record), "a record reads back");
            let t = CLOCK.read(&before, &()).expect("reads").unwrap_or_default().t;
            assert_eq!(record.wall, self.wall.max(t), "the proposer's time stands, and never before compliance time");
        }
        self.follow(next_seq, &records);
        self.records.extend(records);
        outcome
    }

    /// After every command, what the records come to is what the rows say of retention.
    fn follow(&mut self, first: RecordSeq, records: &[Record]) {
        let Some(replay) = &mut self.replay else { return };
        let t = clock::read(&self.rows).expect("reads").t;
        for (seq, record) in (first.0..).zip(records) {
            let compared = replay.follow(RecordSeq(seq), t, record).expect("every record can be followed");
            assert!(compared.is_none_or(|compared| compared.agrees()), "{compared:?}");
        }
        if *replay.sum() != digest::sum(&self.rows).expect("reads") {
            let rows = retained::page(&self.rows, &[], usize::MAX).expect("reads");
            let difference = replay.first_difference(&[], None, &rows).expect("the sums differ");
            let table = strongroom_types::rows::TableId(difference.key[0]);
            let words = |value: &Option<Vec<u8>>| value.as_ref().map(|value| retained::words(table, value));
            panic!(
                "{}: the records say {:?}, the row says {:?}\n{records:?}",
                retained::key_words(&difference.key),
                words(&difference.recorded),
                words(&difference.found)
            );
        }
    }
}

#[track_caller]
fn check_refused(command: &Command, refusal: &Refusal, actor: &Actor, records: &[Record]) {
    assert!(!refusal.message.is_empty());
    if refusal.reason.kind() == ErrorKind::TryAgain {
        assert_eq!(records, [], "\"try again\" is no event: {command:?}");
        return;
    }
    let [record] = records else { panic!("{} records of one refusal: {command:?}", records.len()) };
    assert_eq!((record.refused, &record.rule), (Some(refusal.reason), &refusal.rule));
    assert_eq!(record.text(Fact::Message), Some(refusal.message.as_str()));
    assert_eq!(record.act, act_of(command));
    check_stamp(actor, record);
    for item in named_items(command) {
        assert!(record.items.contains(&item), "the refusal of {command:?} does not name {item}");
    }
}

#[track_caller]
fn check_granted(command: &Command, answer: &Answer, actor: &Actor, next_seq: RecordSeq, records: &[Record]) {
    let count = match (command, answer) {
        // Progress is recorded by the seal or the expiry, T in every leaf.
        (Command::CommitProgress(_), _) => 0,
        (Command::Tick(_), _) => records.len(),
        (Command::ExpireUploads(_), Answer::Expired(count)) => usize::try_from(*count).expect("few"),
        // Besides the disposal, one refusal of each item that dropped out.
        (Command::ExecuteDisposal(_), Answer::Disposal(row)) => {
            1 + row.execution.as_ref().map_or(0, |execution| usize::try_from(execution.dropped).expect("few"))
        }
        // Progress through debris is no event, and neither is a word that was given before.
        (Command::NoteErasure(_) | Command::SweepDisposed(_), _) => records.len().min(1),
        (Command::AttestKeys(_), Answer::Recorded(seq)) => usize::from(*seq >= next_seq),
        // Said again, nothing is done; the last voter's word takes the draw further, which is a record of its own.
        (Command::CommitDraw(_) | Command::RevealDraw(_), _) => records.len().min(2),
        (Command::CreateCluster(create), _) => {
            1 + create.profiles.len() + create.units.len() + create.devices.len() + create.principals.len()
        }
        // Said again, it is answered again and nothing is done.
        (Command::Seal(_), Answer::Sealed(_, seq, _)) | (Command::EndSession(_), Answer::Recorded(seq)) => {
            usize::from(*seq >= next_seq)
        }
        _ => 1,
    };
    assert_eq!(records.len(), count, "{command:?}: {records:?}");
    let Some(first) = records.first() else { return };
    check_stamp(actor, first);
    if matches!(command, Command::NoteRefusal(_)) {
        assert!(first.refused.is_some());
    } else {
        assert_eq!(first.refused, None);
    }
    if !matches!(command, Command::Tick(_)) {
        assert_eq!(first.act, act_of(command));
    }
    for item in named_items(command) {
        assert!(first.items.contains(&item), "the record of {command:?} does not name {item}");
    }
    if let Answer::Recorded(seq)
    | Answer::Sealed(_, seq, _)
    | Answer::SessionBegun(_, seq)
    | Answer::Hold(_, seq)
    | Answer::Correction(_, seq) = answer
    {
        assert_eq!(*seq, next_seq, "the answer names its record");
    }
}

#[track_caller]
fn check_stamp(actor: &Actor, record: &Record) {
    let stamp = &record.stamp;
    match actor {
        Actor::Node(node) => assert_eq!(stamp.node, Some(*node)),
        Actor::Client(key) => {
            assert_eq!((stamp.key, stamp.node), (Some(*key), None));
            let known: Option<&PrincipalId> = stamp.principal.as_ref();
            // Keys of the fixture begin with their owner's name.
            assert!(known.is_none_or(|name| key.as_bytes().starts_with(name.as_str().as_bytes())), "{stamp:?}");
        }
    }
}

/// Written out a second time, so that a mistake in one place shows.
fn act_of(command: &Command) -> Act {
    match command {
        Command::OpenUpload(_) => Act::UploadOpen,
        Command::ResumeUpload(_) => Act::UploadResume,
        Command::CommitProgress(_) => Act::UploadProgress,
        Command::Seal(_) | Command::SealOriginal(_) => Act::ItemSeal,
        Command::LabelItem(_) => Act::ItemLabel,
        Command::SubmitRequest(_) => Act::RequestSubmit,
        Command::ApproveRequest(_) => Act::RequestApprove,
        Command::RejectRequest(_) => Act::RequestReject,
        Command::BeginSession(begin) => match begin.under {
            Under::CopyOut(_) | Under::Removal(_) => Act::CopyOutBegin,
            Under::View(..) | Under::StandingView(..) => Act::ViewBegin,
        },
        Command::EndSession(_) => Act::SessionEnd,
        Command::RegisterPrincipal(_) => Act::PrincipalRegister,
        Command::RotatePrincipal(_) => Act::PrincipalRotate,
        Command::RevokePrincipal(_) => Act::PrincipalRevoke,
        Command::AddUnit(_) => Act::UnitAdd,
        Command::AddDevice(_) => Act::DeviceAdd,
        Command::Tick(_) => Act::ClockTick,
        Command::NoteRefusal(note) => note.act,
        Command::ExpireUploads(_) => Act::UploadExpire,
        Command::ProposeDisposal(_) => Act::DisposalPropose,
        Command::ApproveDisposal(_) => Act::DisposalApprove,
        Command::WithdrawDisposal(_) => Act::DisposalWithdraw,
        Command::ExecuteDisposal(_) => Act::DisposalExecute,
        Command::SignDisposal(_) => Act::DisposalSign,
        Command::NoteErasure(_) => Act::DisposalErase,
        Command::AttestKeys(_) => Act::DisposalAttest,
        Command::CloseLost(_) => Act::DisposalCloseLost,
        Command::SweepDisposed(_) => Act::DisposalSweep,
        Command::CreateCluster(_) => Act::ClusterCreate,
        Command::ExtendItem(_) => Act::ItemExtend,
        Command::TriggerItem(_) => Act::ItemTrigger,
        Command::RestrictItem(restrict) if restrict.kind.is_some() => Act::ItemRestrict,
        Command::RestrictItem(_) => Act::ItemUnrestrict,
        Command::ClassifyItem(_) => Act::ItemClassify,
        Command::ReleaseQuarantine(_) => Act::QuarantineRelease,
        Command::OpenCase(_) => Act::CaseOpen,
        Command::BindCase(_) => Act::CaseBind,
        Command::CloseCase(_) => Act::CaseClose,
        Command::ArchiveCase(_) => Act::CaseArchive,
        Command::ReopenCase(_) => Act::CaseReopen,
        Command::PlaceHold(_) => Act::HoldPlace,
        Command::ReleaseHold(_) => Act::HoldRelease,
        Command::ProposeCorrection(_) => Act::CorrectionPropose,
        Command::ApproveCorrection(_) => Act::CorrectionApprove,
        Command::WithdrawCorrection(_) => Act::CorrectionWithdraw,
        Command::AdvanceClock(_) => Act::ClockAdvance,
        Command::OfferDevice(offer) => match offer.way {
            Way::Issue => Act::DeviceIssue,
            Way::HandOver => Act::DeviceHandOver,
            Way::Return => Act::DeviceReturn,
        },
        Command::AnswerOffer(_) => Act::DeviceAccept,
        Command::ReportLoss(_) => Act::DeviceReportLoss,
        Command::ReportFault(_) => Act::DeviceReportFault,
        Command::ConfirmFault(_) => Act::DeviceConfirmFault,
        Command::SendToRepair(_) => Act::DeviceRepair,
        Command::RestoreDevice(_) => Act::DeviceRestore,
        Command::DockDevice(_) => Act::DeviceDock,
        Command::CorrectEntry(_) => Act::DeviceCorrect,
        Command::ClearPerson(_) => Act::DeviceClearance,
        Command::NameKeeper(_) => Act::KeeperName,
        Command::OpenActivity(_) => Act::ActivityOpen,
        Command::AddPhase(_) => Act::ActivityPhase,
        Command::SetMoment(_) => Act::ActivityMoment,
        Command::CorrectActivity(_) => Act::ActivityCorrect,
        Command::AttachItem(_) => Act::ActivityAttach,
        Command::RecordInterruption(_) => Act::ActivityInterruption,
        Command::RecordExemption(_) => Act::ActivityExempt,
        Command::FileStatement(_) => Act::ActivityFile,
        Command::AcknowledgeNotice(_) => Act::NoticeAcknowledge,
        Command::ProposeProfile(_) => Act::ProfilePropose,
        Command::ApproveProfile(_) => Act::ProfileApprove,
        Command::WithdrawProfile(_) => Act::ProfileWithdraw,
        Command::GiveMandate(give) => match give.kind {
            MandateKind::Appointment => Act::MandateAppoint,
            MandateKind::Delegation => Act::MandateDelegate,
        },
        Command::ConfirmMandate(_) => Act::MandateConfirm,
        Command::RevokeMandate(_) => Act::MandateRevoke,
        Command::WithdrawRequest(_) => Act::RequestWithdraw,
        Command::RevokeRequest(_) => Act::RequestRevoke,
        Command::FilePaper(_) => Act::PaperFile,
        Command::AttestPaper(_) => Act::PaperAttest,
        Command::EnterOral(_) => Act::OralEnter,
        Command::ConfirmOral(_) => Act::OralConfirm,
        Command::GiveList(_) => Act::ListGive,
        Command::CloseList(_) => Act::ListClose,
        Command::ProposeUnitChange(_) => Act::UnitPropose,
        Command::ApproveUnitChange(_) => Act::UnitApprove,
        Command::WithdrawUnitChange(_) => Act::UnitWithdraw,
        Command::OfferCase(_) => Act::CaseOffer,
        Command::AnswerCase(_) => Act::CaseAccept,
        Command::LeavePrincipal(_) | Command::StayPrincipal(_) => Act::PrincipalLeave,
        Command::RecordDraw(_) => Act::DrawRecord,
        Command::CommitDraw(_) => Act::DrawCommit,
        Command::RevealDraw(_) => Act::DrawReveal,
        Command::TargetInspection(_) => Act::InspectionTarget,
        Command::RecordResult(_) => Act::InspectionResult,
        Command::AnswerRectification(_) => Act::InspectionRectify,
        Command::ProposeVoter(_) => Act::VoterPropose,
        Command::ApproveVoter(_) => Act::VoterApprove,
        Command::WithdrawVoter(_) => Act::VoterWithdraw,
        Command::SealDevice(_) => Act::SecretSealDevice,
        Command::ProposeRemoval(_) => Act::SecretPropose,
        Command::StepRemoval(step) => match step.step {
            RemovalStep::Approve => Act::SecretApprove,
            RemovalStep::Withdraw(_) => Act::SecretWithdraw,
            RemovalStep::FileSignature(_) => Act::SecretSign,
            RemovalStep::DestroyCopy(..) => Act::SecretCopy,
            RemovalStep::Close => Act::DisposalSign,
        },
        Command::ExecuteRemoval(_) => Act::SecretExecute,
    }
}

/// Items that stand in the command itself.
fn named_items(command: &Command) -> Vec<ItemId> {
    match command {
        Command::OpenUpload(open) => vec![open.item],
        Command::ResumeUpload(resume) => vec![resume.item],
        Command::CommitProgress(progress) => vec![progress.item],
        Command::Seal(seal) => vec![seal.item],
        Command::SealOriginal(seal) => vec![seal.open.item],
        Command::LabelItem(label) => vec![label.item],
        Command::SubmitRequest(submit) => submit.items.iter().take(limits::REQUEST_ITEMS_MAX).copied().collect(),
        Command::BeginSession(begin) => match begin.under {
            Under::CopyOut(_) | Under::Removal(_) => Vec::new(),
            Under::View(_, item) | Under::StandingView(item, _) => vec![item],
        },
        Command::NoteRefusal(note) => note.item.into_iter().collect(),
        Command::ExtendItem(extend) => vec![extend.item],
        Command::TriggerItem(trigger) => vec![trigger.item],
        Command::RestrictItem(restrict) => vec![restrict.item],
        Command::ClassifyItem(classify) => vec![classify.item],
        Command::ReleaseQuarantine(release) => vec![release.item],
        Command::BindCase(bind) => bind.items.iter().take(limits::BATCH_ITEMS_MAX).copied().collect(),
        Command::PlaceHold(place) => place.scope.items.iter().take(limits::BATCH_ITEMS_MAX).copied().collect(),
        Command::ProposeCorrection(propose) => propose.mistake.item().into_iter().collect(),
        Command::ProposeDisposal(propose) => {
            propose.items.iter().take(limits::DISPOSAL_ITEMS_MAX).map(|proposed| proposed.item).collect()
        }
        Command::ApproveDisposal(_)
        | Command::WithdrawDisposal(_)
        | Command::ExecuteDisposal(_)
        | Command::SignDisposal(_)
        | Command::NoteErasure(_)
        | Command::AttestKeys(_)
        | Command::CloseLost(_)
        | Command::SweepDisposed(_)
        | Command::ApproveRequest(_)
        | Command::RejectRequest(_)
        | Command::EndSession(_)
        | Command::RegisterPrincipal(_)
        | Command::RotatePrincipal(_)
        | Command::RevokePrincipal(_)
        | Command::AddUnit(_)
        | Command::AddDevice(_)
        | Command::Tick(_)
        | Command::ExpireUploads(_)
        | Command::CreateCluster(_)
        | Command::OpenCase(_)
        | Command::CloseCase(_)
        | Command::ArchiveCase(_)
        | Command::ReopenCase(_)
        | Command::ReleaseHold(_)
        | Command::ApproveCorrection(_)
        | Command::WithdrawCorrection(_)
        | Command::AdvanceClock(_) => Vec::new(),
        Command::OfferDevice(_)
        | Command::AnswerOffer(_)
        | Command::ReportLoss(_)
        | Command::ReportFault(_)
        | Command::ConfirmFault(_)
        | Command::SendToRepair(_)
        | Command::RestoreDevice(_)
        | Command::DockDevice(_)
        | Command::CorrectEntry(_)
        | Command::ClearPerson(_)
        | Command::NameKeeper(_)
        | Command::OpenActivity(_)
        | Command::AddPhase(_)
        | Command::SetMoment(_)
        | Command::CorrectActivity(_)
        | Command::AcknowledgeNotice(_) => Vec::new(),
        Command::AttachItem(attach) => vec![attach.item],
        Command::RecordInterruption(record) => {
            record.statement.into_iter().chain(record.voice_note.map(|note| note.item)).collect()
        }
        Command::RecordExemption(exempt) => exempt.work_record.into_iter().collect(),
        Command::FileStatement(file) => vec![file.item],
        Command::ProposeProfile(_) | Command::ApproveProfile(_) | Command::WithdrawProfile(_) => Vec::new(),
        Command::GiveMandate(_)
        | Command::ConfirmMandate(_)
        | Command::RevokeMandate(_)
        | Command::WithdrawRequest(_)
        | Command::RevokeRequest(_)
        | Command::AttestPaper(_)
        | Command::EnterOral(_)
        | Command::ConfirmOral(_)
        | Command::CloseList(_) => Vec::new(),
        Command::FilePaper(file) => vec![file.form],
        Command::GiveList(give) => give.items.clone(),
        Command::ProposeUnitChange(_) | Command::ApproveUnitChange(_) | Command::WithdrawUnitChange(_) => Vec::new(),
        Command::OfferCase(_) | Command::AnswerCase(_) => Vec::new(),
        Command::LeavePrincipal(_) | Command::StayPrincipal(_) => Vec::new(),
        Command::RecordDraw(_) | Command::CommitDraw(_) | Command::RevealDraw(_) => Vec::new(),
        Command::TargetInspection(target) => target.items.clone(),
        Command::RecordResult(result) => vec![result.item],
        Command::AnswerRectification(answer) => vec![answer.item],
        Command::ProposeVoter(_) | Command::ApproveVoter(_) | Command::WithdrawVoter(_) => Vec::new(),
        Command::ProposeRemoval(propose) => propose.items.iter().take(limits::REMOVAL_ITEMS_MAX).copied().collect(),
        Command::SealDevice(_) | Command::StepRemoval(_) | Command::ExecuteRemoval(_) => Vec::new(),
    }
}

/// A unit by its short name.
pub(crate) fn unit(name: &str) -> UnitId {
    id(name)
}
