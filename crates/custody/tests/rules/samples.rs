//! One sample of every command. Those that name a request, session or item name one that does not exist, so that the
//! roles are the only thing that a fresh cluster can hold against them.

use std::collections::BTreeMap;

use strongroom_custody::{
    Act, Command,
    activity::{
        AddPhase, AttachItem, CorrectActivity, Corrected, DelayReason, Document, Moment, Officer, OpenActivity,
        SetMoment,
    },
    approval::{AttestPaper, ConfirmOral, EnterOral, FilePaper},
    case::{Archive, ArchiveCase, BindCase, CloseCase, OpenCase, Outcome, ReopenCase, Term},
    clearance::ClearPerson,
    clock::Reading,
    command::{
        AddDevice, AddUnit, AdvanceClock, ApproveProfile, ApproveRequest, BeginSession, EndSession, ExpireUploads,
        LabelItem, NoteRefusal, ProposeProfile, RegisterPrincipal, RejectRequest, ReleaseQuarantine, ResumeUpload,
        RevokePrincipal, RevokeRequest, RotatePrincipal, Seal, Tick, Under, WithdrawProfile, WithdrawRequest,
    },
    correction::{ApproveCorrection, Mistake, ProposeCorrection, WithdrawCorrection},
    device::{
        AnswerOffer, ConfirmFault, CorrectEntry, DockDevice, Docking, OfferDevice, ReportFault, ReportLoss,
        RestoreDevice, SealDevice, SendToRepair, Way,
    },
    disposal::{
        ApproveDisposal, DiskOfNode, ExecuteDisposal, ProposeDisposal, ProposedItem, SignDisposal, WithdrawDisposal,
    },
    draw::{CommitDraw, RecordDraw, RevealDraw, TargetInspection},
    erasure::{AttestKeys, CloseLost, Keeper, NoteErasure, SweepDisposed},
    exemption::{ConsentOffice, RecordExemption},
    hold::{HoldQuery, HoldScope, PlaceHold, ReleaseHold},
    inspection::{AnswerRectification, HeadResult, InspectionOf, RecordResult, Rectification},
    interruption::{RecordInterruption, VoiceNote},
    keeper::NameKeeper,
    keeping::{Class, ClassifyItem, ExtendItem, RestrictItem, RestrictionKind, TriggerItem},
    leave::{LeavePrincipal, StayPrincipal},
    mandate::{ConfirmMandate, GiveMandate, MandateKind, MandateScope, RevokeMandate},
    notice::AcknowledgeNotice,
    profile::RequestAct,
    removal::{CopyAt, ExecuteRemoval, ProposeRemoval, RemovalForm, RemovalStep, StepRemoval},
    statement::{FileStatement, StatementOf},
    tables::{AbsentShard, DeviceAsset, DeviceType},
    transfer::{AnswerCase, OfferCase},
    unit_change::{ApproveUnitChange, Moved, ProposeUnitChange, Subject, UnitChange, WithdrawUnitChange},
    viewlist::{CloseList, GiveList},
    voters::{ApproveVoter, ProposeVoter, VotersNow, WithdrawVoter},
};
use strongroom_types::{
    BatchId, ChunkIndex, CorrectionId, DiskId, DrawCommitment, DrawId, DrawShare, NodeId, Reason, RecordSeq, Refusal,
    RemovalId, RequestId, Role, ShardIndex,
};

use crate::fixture::{DAY, GATEWAY, HOUR, START, created, end, id, item, key, open, progress, session, small, submit};

pub(crate) const NO_REQUEST: RequestId = RequestId(999);
pub(crate) const NO_BATCH: BatchId = BatchId(999);
pub(crate) const NO_REMOVAL: RemovalId = RemovalId(999);
pub(crate) const NO_DRAW: DrawId = DrawId(999);
/// The shortest profile.
pub(crate) const PROPOSED: &str = "name = \"new\"\nagency = \"新局\"\n[floor]\nunspecified = true\n";

/// Commands that people and stations send.
pub(crate) fn of_clients() -> Vec<Command> {
    let begin = |under| Command::BeginSession(BeginSession { session: session(9), under });
    vec![
        Command::OpenUpload(open(9, "U1")),
        Command::ResumeUpload(ResumeUpload { item: item(8), gateway: GATEWAY }),
        Command::Seal(Seal { item: item(8), size_bytes: 7, blake3: Some(end(7).blake3), sha256: None }),
        Command::SealOriginal(small(9, "U1")),
        Command::LabelItem(LabelItem { item: item(8), name: "place".to_owned(), value: "桥下".to_owned() }),
        Command::SubmitRequest(submit(RequestAct::Copy, &[7, 8], &[("reason", "case 5")])),
        Command::ApproveRequest(ApproveRequest { request: NO_REQUEST }),
        Command::RejectRequest(RejectRequest { request: NO_REQUEST, reason: "no basis".to_owned() }),
        begin(Under::CopyOut(NO_REQUEST)),
        begin(Under::View(NO_REQUEST, item(8))),
        begin(Under::StandingView(item(8), "own activity".to_owned())),
        Command::EndSession(EndSession { session: session(8), complete: true }),
        Command::RegisterPrincipal(RegisterPrincipal {
            principal: id("new"),
            key: key("new"),
            roles: vec![Role::Recorder, Role::Legal],
            unit: Some(id("U1")),
        }),
        Command::RotatePrincipal(RotatePrincipal { principal: id("legal-2"), key: key("legal-2 again") }),
        Command::RevokePrincipal(RevokePrincipal { principal: id("legal-2"), reason: "left".to_owned() }),
        Command::AddUnit(AddUnit { unit: id("U9"), full_name: "九中队".to_owned(), profile: id("dev") }),
        Command::AddDevice(AddDevice {
            device: id("D9"),
            unit: id("U1"),
            device_type: DeviceType::Camera,
            brand_model: "C1".to_owned(),
            asset: None,
        }),
        Command::AddDevice(AddDevice {
            device: id("D9"),
            unit: id("U1"),
            device_type: DeviceType::Camera,
            brand_model: "C1".to_owned(),
            asset: Some(DeviceAsset {
                asset_no: "GZ-001".to_owned(),
                accessories: "充电座".to_owned(),
                custodian: Some(id("custodian")),
            }),
        }),
        Command::ExtendItem(ExtendItem { item: item(8), until: START, reason: "trial".to_owned() }),
        Command::TriggerItem(TriggerItem { item: item(8), code: "t2".to_owned(), basis: "投诉 7 号".to_owned() }),
        Command::RestrictItem(RestrictItem {
            item: item(8),
            kind: Some(RestrictionKind::PersonalInformation),
            reason: "asked for".to_owned(),
        }),
        Command::RestrictItem(RestrictItem { item: item(8), kind: None, reason: "withdrawn".to_owned() }),
        Command::ClassifyItem(ClassifyItem { item: item(8), class: Class::TradeSecret, basis: "recipe".to_owned() }),
        Command::ReleaseQuarantine(ReleaseQuarantine { item: item(8), reason: "ours".to_owned() }),
        Command::OpenCase(OpenCase {
            case: id("城罚〔2026〕1号"), unit: id("U1"), title: "占道经营".to_owned()
        }),
        Command::BindCase(BindCase { case: id("C-9"), items: vec![item(7), item(8)] }),
        Command::CloseCase(CloseCase { case: id("C-9"), outcome: Outcome::Concluded, reason: "decision 5".to_owned() }),
        Command::ArchiveCase(ArchiveCase { case: id("C-9"), date: START, term: Some(Term::Months(360)) }),
        Command::ReopenCase(ReopenCase { case: id("C-9"), reason: "appeal".to_owned() }),
        Command::PlaceHold(Box::new(PlaceHold {
            hold: id("H-9"),
            authority: "公安局".to_owned(),
            document: "公函 3 号".to_owned(),
            reason: "inquiry".to_owned(),
            scope: HoldScope {
                items: Vec::new(),
                cases: Vec::new(),
                queries: vec![HoldQuery { device: Some(id("D1")), from: Some(START), ..HoldQuery::default() }],
            },
        })),
        Command::ReleaseHold(ReleaseHold { hold: id("H-9"), reason: "inquiry ended".to_owned() }),
        Command::ProposeCorrection(ProposeCorrection {
            mistake: Mistake::Archive(id("C-9"), RecordSeq(5), Archive { date: START, term: Term::Permanent }),
            reason: "wrong column".to_owned(),
        }),
        Command::ApproveCorrection(ApproveCorrection { correction: CorrectionId(999) }),
        Command::WithdrawCorrection(WithdrawCorrection {
            correction: CorrectionId(999),
            reason: "it was right".to_owned(),
        }),
        Command::AdvanceClock(AdvanceClock { by_ms: 1000, reason: "a trial".to_owned() }),
        Command::ProposeDisposal(ProposeDisposal {
            items: vec![
                ProposedItem { item: item(7), basis: String::new() },
                ProposedItem { item: item(8), basis: "期满鉴定".to_owned() },
            ],
            basis: "到期".to_owned(),
        }),
        Command::ApproveDisposal(ApproveDisposal { batch: NO_BATCH }),
        Command::WithdrawDisposal(WithdrawDisposal { batch: NO_BATCH, reason: "objection".to_owned() }),
        Command::ExecuteDisposal(Box::new(ExecuteDisposal {
            batch: NO_BATCH,
            supervisors: vec![id("inspector"), id("unit-head")],
            disks: vec![DiskOfNode { disk: DiskId::new([0xd1; 16]), node: NodeId(1) }],
            replicas: vec![NodeId(1), NodeId(2)],
        })),
        Command::SignDisposal(SignDisposal { batch: NO_BATCH }),
        Command::CloseLost(CloseLost { keeper: Keeper::Disk(DiskId::new([0xd1; 16])), reason: "burnt".to_owned() }),
        Command::RecordDraw(Box::new(RecordDraw {
            query: HoldQuery {
                unit: Some(id("U1")),
                from: Some(START),
                to: Some(START.plus_ms(DAY)),
                ..HoldQuery::default()
            },
            ratio_percent: Some(10),
            reason: "三季度抽查".to_owned(),
            voters: vec![NodeId(1), NodeId(2), NodeId(3)],
        })),
        Command::TargetInspection(TargetInspection {
            items: vec![item(8)],
            complaint: "12345-0077".to_owned(),
            reason: "投诉".to_owned(),
        }),
        Command::RecordResult(Box::new(RecordResult {
            of: InspectionOf::Draw(DrawId(1)),
            item: item(8),
            heads: BTreeMap::from([("conduct".to_owned(), HeadResult { met: false, note: "未亮证".to_owned() })]),
            problem: "未亮证".to_owned(),
            rectification: Some(Rectification { measure: "培训".to_owned(), responsible: id("li"), due: START }),
            report_period: "2026Q1".to_owned(),
            corrects: Some(RecordSeq(5)),
            reason: "复看".to_owned(),
        })),
        Command::AnswerRectification(AnswerRectification {
            of: InspectionOf::Target(RecordSeq(4)),
            item: item(8),
            entry: RecordSeq(5),
            done: "已培训".to_owned(),
        }),
    ]
    .into_iter()
    .chain(of_devices())
    .chain(of_activities())
    .chain(of_requests())
    .collect()
}

/// A device and an activity that there are none of.
const NO_DEVICE: &str = "D999";
const NO_ACTIVITY: &str = "A-999";

fn of_devices() -> Vec<Command> {
    let offer = |way, to: Option<&str>| {
        Command::OfferDevice(OfferDevice {
            device: id(NO_DEVICE),
            way,
            to: to.map(id),
            accessories: "充电座".to_owned(),
            content: "三起检查".to_owned(),
            un_ingested: Some(2),
        })
    };
    vec![
        offer(Way::Issue, Some("recorder")),
        offer(Way::HandOver, Some("recorder")),
        offer(Way::Return, None),
        Command::AnswerOffer(AnswerOffer { device: id(NO_DEVICE), declined: Some("坏的".to_owned()) }),
        Command::ReportLoss(ReportLoss {
            device: id(NO_DEVICE),
            noticed_at: START,
            circumstances: "执法途中遗失".to_owned(),
        }),
        Command::ReportFault(ReportFault {
            device: id(NO_DEVICE),
            found_at: START,
            fault: "不能开机".to_owned(),
            reported_to: "unit-head".to_owned(),
        }),
        Command::ConfirmFault(ConfirmFault { device: id(NO_DEVICE) }),
        Command::SendToRepair(SendToRepair {
            device: id(NO_DEVICE),
            repairer: "海康".to_owned(),
            un_ingested: Some(1),
            explanation: "不能开机".to_owned(),
        }),
        Command::RestoreDevice(RestoreDevice { device: id(NO_DEVICE), note: "换了主板".to_owned() }),
        Command::DockDevice(DockDevice { device: id(NO_DEVICE), docking: docking(-1500, 3) }),
        Command::CorrectEntry(CorrectEntry {
            device: id(NO_DEVICE),
            entry: 1,
            field: "accessories".to_owned(),
            value: "无".to_owned(),
            reason: "登记有误".to_owned(),
        }),
        Command::ClearPerson(ClearPerson { person: id("nobody") }),
        Command::NameKeeper(NameKeeper {
            unit: id("U99"),
            device: None,
            principal: id("custodian"),
            from: Some(START),
            until: Some(START.plus_ms(DAY)),
        }),
    ]
}

pub(crate) fn docking(offset_ms: i64, un_ingested: u64) -> Docking {
    Docking {
        offset_ms,
        against: "station".to_owned(),
        battery_percent: Some(80),
        free_bytes: Some(1 << 33),
        un_ingested,
        shows_time: None,
    }
}

fn of_activities() -> Vec<Command> {
    vec![
        Command::OpenActivity(Box::new(opening(NO_ACTIVITY, "U1"))),
        Command::AddPhase(AddPhase {
            activity: id(NO_ACTIVITY),
            name: "现场检查".to_owned(),
            place: "南门".to_owned(),
            started_at: START,
            ended_at: Some(START.plus_ms(HOUR)),
        }),
        Command::SetMoment(SetMoment {
            activity: id(NO_ACTIVITY),
            moment: Moment::ReturnedToUnit,
            at: START,
            delay: Some(DelayReason::Remote),
            reason: "记错".to_owned(),
        }),
        Command::CorrectActivity(CorrectActivity {
            activity: id(NO_ACTIVITY),
            to: Corrected::Party("身份不明".to_owned()),
            reason: "核实".to_owned(),
        }),
        Command::AttachItem(AttachItem {
            activity: id(NO_ACTIVITY),
            item: item(8),
            phase: Some(1),
            angle: Some("left".to_owned()),
            detach: Some("另一起".to_owned()),
        }),
        Command::RecordInterruption(Box::new(RecordInterruption {
            activity: id(NO_ACTIVITY),
            from: START,
            to: START.plus_ms(HOUR),
            cause: "other".to_owned(),
            text: "停电".to_owned(),
            voice_note: Some(VoiceNote { item: item(8), offset_ms: 2500 }),
            statement: Some(item(7)),
            reported_to: "unit-head".to_owned(),
            kept_by: Some(id("custodian")),
        })),
        Command::RecordExemption(Box::new(RecordExemption {
            activity: id(NO_ACTIVITY),
            cause: "secrecy".to_owned(),
            text: "涉及商业秘密".to_owned(),
            legal_basis: "第七条".to_owned(),
            consented_by: "王五".to_owned(),
            consent_office: ConsentOffice::CaseUnit,
            consented_at: START,
            work_record: Some(item(8)),
            reported_to: "head".to_owned(),
        })),
        Command::FileStatement(FileStatement {
            activity: id(NO_ACTIVITY),
            of: StatementOf::Exemption,
            number: RecordSeq(999),
            item: item(8),
            reported_to: "head".to_owned(),
        }),
        Command::AcknowledgeNotice(AcknowledgeNotice {
            unit: id("U99"),
            notice: RecordSeq(999),
            opinion: "已阅".to_owned(),
        }),
        Command::ProposeProfile(ProposeProfile { toml: PROPOSED.to_owned() }),
        Command::ApproveProfile(ApproveProfile { profile: id("dev"), proposal: RecordSeq(9) }),
        Command::WithdrawProfile(WithdrawProfile { profile: id("dev"), reason: "not yet".to_owned() }),
        Command::ProposeUnitChange(Box::new(ProposeUnitChange {
            change: UnitChange::Split(
                id("U1"),
                vec![id("U2"), id("U4")],
                vec![Moved { what: Subject::Device(id("D1")), to: id("U4") }],
            ),
            from: Some(START.plus_ms(DAY)),
            basis: "编办〔2026〕4号".to_owned(),
        })),
        Command::ApproveUnitChange(ApproveUnitChange { proposal: RecordSeq(99_999) }),
        Command::WithdrawUnitChange(WithdrawUnitChange { proposal: RecordSeq(99_999), reason: "not yet".to_owned() }),
        Command::OfferCase(OfferCase {
            case: id("C-9"),
            to: id("U2"),
            reason: "管辖".to_owned(),
            document: "移字 3 号".to_owned(),
        }),
        Command::AnswerCase(AnswerCase { case: id("C-9"), offer: RecordSeq(99_999), declined: None }),
        Command::AnswerCase(AnswerCase {
            case: id("C-9"),
            offer: RecordSeq(99_999),
            declined: Some("not ours".to_owned()),
        }),
        Command::LeavePrincipal(LeavePrincipal {
            person: id("no-such-person"),
            on: Some(START.plus_ms(DAY)),
            to: id("legal-2"),
            reason: "调离".to_owned(),
        }),
        Command::StayPrincipal(StayPrincipal { person: id("no-such-person"), reason: "不调了".to_owned() }),
    ]
}

/// Requests, mandates and lists of people whom nobody knows.
fn of_requests() -> Vec<Command> {
    let give = |kind, acts: Vec<RequestAct>, unit: Option<&str>| {
        Command::GiveMandate(GiveMandate {
            kind,
            holder: id("stranger"),
            role: Role::Head,
            scope: MandateScope { acts, unit: unit.map(id), profile: unit.map(|_| id("dev")) },
            from: unit.map(|_| START),
            until: START.plus_ms(DAY),
            document: "任字〔2026〕7号".to_owned(),
        })
    };
    let (holder, mandate, request, reason) = (id("stranger"), RecordSeq(999), NO_REQUEST, "x".to_owned());
    vec![
        give(MandateKind::Appointment, Vec::new(), None),
        give(MandateKind::Delegation, vec![RequestAct::View, RequestAct::Copy], Some("U1")),
        Command::ConfirmMandate(ConfirmMandate { holder, mandate }),
        Command::RevokeMandate(RevokeMandate { holder: id("stranger"), mandate, reason: reason.clone() }),
        Command::WithdrawRequest(WithdrawRequest { request, reason: reason.clone() }),
        Command::RevokeRequest(RevokeRequest { request, reason: reason.clone() }),
        Command::FilePaper(FilePaper { request, form: item(8), approver: id("head") }),
        Command::AttestPaper(AttestPaper { request, paper: RecordSeq(999) }),
        Command::EnterOral(EnterOral {
            request,
            approver: id("head"),
            witness: id("custodian"),
            said_at: START,
            reason,
        }),
        Command::ConfirmOral(ConfirmOral { request }),
        Command::GiveList(GiveList {
            viewer: id("stranger"),
            items: vec![item(7), item(8)],
            document: "案审7号".to_owned(),
            until: START.plus_ms(DAY),
        }),
        Command::CloseList(CloseList { viewer: id("stranger"), list: RecordSeq(999), result: "无问题".to_owned() }),
        Command::ProposeVoter(Box::new(ProposeVoter {
            old: NodeId(1),
            new: NodeId(4),
            reason: "broken".to_owned(),
            now: VotersNow {
                voters: vec![NodeId(1), NodeId(2), NodeId(3)],
                serving: vec![NodeId(2), NodeId(3), NodeId(4)],
                unsettled: true,
                policy: "log x".to_owned(),
                policy_digest: [0xdd; 32],
            },
        })),
        Command::ApproveVoter(Box::new(ApproveVoter { change: RecordSeq(999), now: VotersNow::default() })),
        Command::WithdrawVoter(WithdrawVoter { change: RecordSeq(999), reason: "it runs again".to_owned() }),
    ]
}

/// An activity of an hour that began two hours before the start of the test.
pub(crate) fn opening(name: &str, unit: &str) -> OpenActivity {
    let officer =
        |name: &str, certificate: &str| Officer { name: name.to_owned(), certificate: certificate.to_owned() };
    OpenActivity {
        activity: id(name),
        unit: id(unit),
        kind: "现场检查".to_owned(),
        officers: vec![officer("张三", "ZF001"), officer("李四", "ZF002")],
        place: "南门市场".to_owned(),
        started_at: START.plus_ms(-2 * HOUR),
        matter: "占道经营".to_owned(),
        party: "无特定相对人".to_owned(),
        document: Some(Document {
            name: "现场检查笔录".to_owned(),
            start: Some(START.plus_ms(-2 * HOUR)),
            end: Some(START.plus_ms(-HOUR)),
        }),
        angles: vec!["left".to_owned(), "right".to_owned()],
    }
}

/// Commands about state secrets.
pub(crate) fn of_secrets() -> Vec<Command> {
    let step = |step| Command::StepRemoval(StepRemoval { removal: NO_REMOVAL, step });
    let copy =
        CopyAt { place: "备份磁带 B12".to_owned(), keeper: "信息中心".to_owned(), seq: Some(RecordSeq(4)) };
    vec![
        Command::SealDevice(SealDevice {
            device: id("D1"),
            envelope: "MF-0031".to_owned(),
            found_by: id("recorder"),
            reason: "疑似国家秘密，未上传".to_owned(),
            activity: Some(id("A-none")),
        }),
        Command::ProposeRemoval(Box::new(ProposeRemoval {
            items: vec![item(8)],
            form: RemovalForm {
                organ: "市国家保密局".to_owned(),
                receiver: "李四".to_owned(),
                receiver_key: [7; 32],
                carrier: "JM-2026-014".to_owned(),
                basis: "保密审查意见".to_owned(),
            },
            executor: id("archivist-2"),
            copies: vec![copy.clone()],
        })),
        step(RemovalStep::Approve),
        step(RemovalStep::Withdraw("已解密".to_owned())),
        step(RemovalStep::FileSignature(vec![9; 64].into())),
        step(RemovalStep::DestroyCopy(0, START, "消磁".to_owned())),
        step(RemovalStep::Close),
        Command::ExecuteRemoval(Box::new(ExecuteRemoval {
            removal: NO_REMOVAL,
            supervisors: vec![id("inspector"), id("unit-head")],
            disks: vec![DiskOfNode { disk: DiskId::new([0xd1; 16]), node: NodeId(1) }],
            replicas: vec![NodeId(1)],
            copies: vec![copy],
        })),
        Command::BeginSession(BeginSession { session: session(9), under: Under::Removal(NO_REMOVAL) }),
    ]
}

/// Commands that only the cluster itself sends.
pub(crate) fn of_nodes() -> Vec<Command> {
    let mut commit = progress(8, 2, 5, 1);
    commit.step.runs[0].absent.push(AbsentShard { chunk: ChunkIndex(5), slot: ShardIndex(1) });
    let reading = Reading { node: NodeId(1), boot_id: [1; 16], boottime_ms: 5, wall: START, tick: 4 };
    vec![
        Command::CommitProgress(commit),
        Command::Tick(Tick { readings: vec![reading], voters: 3 }),
        Command::NoteRefusal(NoteRefusal {
            key: Some(key("legal")),
            act: Act::NoSuchCall,
            call: "DeleteItem".to_owned(),
            source: "192.0.2.7".to_owned(),
            count: 3,
            refusal: Refusal::new(Reason::NoSuchAct, "G1", "nobody deletes an item", ""),
            item: Some(item(8)),
        }),
        Command::ExpireUploads(ExpireUploads { limit: 10 }),
        Command::CreateCluster(Box::new(created())),
        Command::NoteErasure(Box::new(NoteErasure {
            disk: DiskId::new([0xd1; 16]),
            order: RecordSeq(99_999),
            shards: 3,
            payload_bytes: 3 << 20,
            signature: vec![5; 64].into(),
            vkey: "n1+key".to_owned(),
        })),
        Command::AttestKeys(Box::new(AttestKeys {
            batch: NO_BATCH,
            purged_to: 70_000,
            signature: vec![6; 64].into(),
            vkey: "n1+key".to_owned(),
        })),
        Command::SweepDisposed(SweepDisposed { limit: 500 }),
        Command::CommitDraw(Box::new(CommitDraw {
            draw: NO_DRAW,
            commitment: DrawCommitment::new([0xc0; 32]),
            signature: vec![5; 64].into(),
            vkey: "n1+key".to_owned(),
        })),
        Command::RevealDraw(RevealDraw { draw: NO_DRAW, share: DrawShare::new([0x5a; 32]) }),
    ]
}

/// Number that a command is stored under.
pub(crate) const fn number(command: &Command) -> u8 {
    match command {
        Command::OpenUpload(_) => 0,
        Command::ResumeUpload(_) => 1,
        Command::CommitProgress(_) => 2,
        Command::Seal(_) => 3,
        Command::SealOriginal(_) => 4,
        Command::LabelItem(_) => 5,
        Command::SubmitRequest(_) => 6,
        Command::ApproveRequest(_) => 7,
        Command::RejectRequest(_) => 8,
        Command::BeginSession(_) => 9,
        Command::EndSession(_) => 10,
        Command::RegisterPrincipal(_) => 11,
        Command::RotatePrincipal(_) => 12,
        Command::RevokePrincipal(_) => 13,
        Command::AddUnit(_) => 14,
        Command::AddDevice(_) => 15,
        Command::Tick(_) => 16,
        Command::NoteRefusal(_) => 17,
        Command::ExpireUploads(_) => 18,
        Command::CreateCluster(_) => 20,
        Command::ExtendItem(_) => 21,
        Command::TriggerItem(_) => 22,
        Command::RestrictItem(_) => 23,
        Command::ClassifyItem(_) => 24,
        Command::ReleaseQuarantine(_) => 25,
        Command::OpenCase(_) => 26,
        Command::BindCase(_) => 27,
        Command::CloseCase(_) => 28,
        Command::ArchiveCase(_) => 29,
        Command::ReopenCase(_) => 30,
        Command::PlaceHold(_) => 31,
        Command::ReleaseHold(_) => 32,
        Command::ProposeCorrection(_) => 33,
        Command::ApproveCorrection(_) => 34,
        Command::WithdrawCorrection(_) => 35,
        Command::AdvanceClock(_) => 86,
        Command::OfferDevice(_) => 46,
        Command::AnswerOffer(_) => 47,
        Command::ReportLoss(_) => 48,
        Command::ReportFault(_) => 49,
        Command::ConfirmFault(_) => 50,
        Command::SendToRepair(_) => 51,
        Command::RestoreDevice(_) => 52,
        Command::DockDevice(_) => 53,
        Command::CorrectEntry(_) => 54,
        Command::ClearPerson(_) => 55,
        Command::NameKeeper(_) => 56,
        Command::OpenActivity(_) => 57,
        Command::AddPhase(_) => 58,
        Command::SetMoment(_) => 59,
        Command::CorrectActivity(_) => 60,
        Command::AttachItem(_) => 61,
        Command::RecordInterruption(_) => 62,
        Command::RecordExemption(_) => 63,
        Command::FileStatement(_) => 64,
        Command::AcknowledgeNotice(_) => 65,
        Command::ProposeDisposal(_) => 71,
        Command::ApproveDisposal(_) => 72,
        Command::WithdrawDisposal(_) => 73,
        Command::ExecuteDisposal(_) => 74,
        Command::SignDisposal(_) => 75,
        Command::NoteErasure(_) => 76,
        Command::AttestKeys(_) => 77,
        Command::CloseLost(_) => 78,
        Command::SweepDisposed(_) => 79,
        Command::ProposeProfile(_) => 41,
        Command::ApproveProfile(_) => 42,
        Command::WithdrawProfile(_) => 43,
        Command::GiveMandate(_) => 120,
        Command::ConfirmMandate(_) => 121,
        Command::RevokeMandate(_) => 122,
        Command::WithdrawRequest(_) => 123,
        Command::RevokeRequest(_) => 124,
        Command::FilePaper(_) => 125,
        Command::AttestPaper(_) => 126,
        Command::EnterOral(_) => 127,
        Command::ConfirmOral(_) => 128,
        Command::GiveList(_) => 129,
        Command::CloseList(_) => 130,
        Command::ProposeUnitChange(_) => 110,
        Command::ApproveUnitChange(_) => 111,
        Command::WithdrawUnitChange(_) => 112,
        Command::OfferCase(_) => 113,
        Command::AnswerCase(_) => 114,
        Command::LeavePrincipal(_) => 115,
        Command::StayPrincipal(_) => 116,
        Command::RecordDraw(_) => 131,
        Command::CommitDraw(_) => 132,
        Command::RevealDraw(_) => 133,
        Command::TargetInspection(_) => 134,
        Command::RecordResult(_) => 145,
        Command::AnswerRectification(_) => 146,
        Command::ProposeVoter(_) => 150,
        Command::ApproveVoter(_) => 151,
        Command::WithdrawVoter(_) => 152,
        Command::SealDevice(_) => 140,
        Command::ProposeRemoval(_) => 141,
        Command::StepRemoval(_) => 142,
        Command::ExecuteRemoval(_) => 143,
    }
}

#[test]
fn there_is_a_sample_of_every_command() {
    let mut numbers: Vec<_> = of_clients().iter().chain(&of_secrets()).chain(&of_nodes()).map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let gone = 19;
    let kept = (0..=35).filter(|number| *number != gone);
    assert_eq!(
        numbers,
        kept.chain(41..=43)
            .chain(46..=65)
            .chain(71..=79)
            .chain([86])
            .chain(110..=116)
            .chain(120..=134)
            .chain(140..=143)
            .chain(145..=146)
            .chain(150..=152)
            .collect::<Vec<_>>()
    );
}
