//! One sample of every command. Those that name a request, session or item name one that does not exist, so that the
//! roles are the only thing that a fresh cluster can hold against them.

use strongroom_custody::{
    Act, Command,
    clock::Reading,
    command::{
        AddDevice, AddUnit, ApproveRequest, BeginSession, EndSession, ExpireUploads, LabelItem, NoteRefusal,
        RegisterPrincipal, RejectRequest, ResumeUpload, RevokePrincipal, RotatePrincipal, Seal, Tick, Under,
    },
    disposal::{
        ApproveDisposal, DiskOfNode, ExecuteDisposal, ProposeDisposal, ProposedItem, SignDisposal, WithdrawDisposal,
    },
    erasure::{AttestKeys, CloseLost, Keeper, NoteErasure, SweepDisposed},
    profile::RequestAct,
    tables::{AbsentShard, DeviceType},
};
use strongroom_types::{BatchId, ChunkIndex, DiskId, NodeId, Reason, RecordSeq, Refusal, RequestId, Role, ShardIndex};

use crate::fixture::{GATEWAY, START, created, end, id, item, key, open, progress, session, small, submit};

pub(crate) const NO_REQUEST: RequestId = RequestId(999);
pub(crate) const NO_BATCH: BatchId = BatchId(999);

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
        }),
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
    ]
}

/// Commands that only the cluster itself sends.
pub(crate) fn of_nodes() -> Vec<Command> {
    let mut commit = progress(8, 2, 5, 1);
    commit.step.runs[0].absent.push(AbsentShard { chunk: ChunkIndex(5), slot: ShardIndex(1) });
    let reading = Reading { node: NodeId(1), boot_id: [1; 16], boottime_ms: 5, wall: START };
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
        Command::ProposeDisposal(_) => 71,
        Command::ApproveDisposal(_) => 72,
        Command::WithdrawDisposal(_) => 73,
        Command::ExecuteDisposal(_) => 74,
        Command::SignDisposal(_) => 75,
        Command::NoteErasure(_) => 76,
        Command::AttestKeys(_) => 77,
        Command::CloseLost(_) => 78,
        Command::SweepDisposed(_) => 79,
    }
}

#[test]
fn there_is_a_sample_of_every_command() {
    let mut numbers: Vec<_> = of_clients().iter().chain(&of_nodes()).map(number).collect();
    numbers.dedup();
    numbers.sort_unstable();
    let gone = 19;
    let known = (0..=20).filter(|number| *number != gone).chain(71..=79);
    assert_eq!(numbers, known.collect::<Vec<_>>());
}
