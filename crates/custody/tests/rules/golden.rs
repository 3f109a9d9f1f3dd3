//! The bytes of everything stored, written out: `UPDATE_GOLDEN=1 cargo test` writes them anew, and the change is
//! reviewed like code.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::PathBuf,
};

use strongroom_custody::{
    Act, Answer,
    approval::{ApprovalRow, OralApproval, PaperApproval, PaperRow},
    case::{Archive, ArchiveRow, BindingRow, CaseRow, CaseState, Outcome, Term},
    clock::{ClockRow, ReadingRow},
    correction::{ApprovedRow, CorrectionRow, Mistake, RoleStepRow},
    disposal::{self, BatchItemRow, BatchRow, BatchState, ExecutionRow, ItemFate},
    erasure::{DisposedItem, EraseOrderRow, LostRow, PartRow, PartState, Tombstone},
    floors::{VersionRow, VersionsRow},
    hold::{HoldQuery, HoldRow, HoldState},
    keeping::{Class, ClassRow, ExtensionRow, KeepingRow, RestrictionKind, RestrictionRow, TriggerRow},
    mandate::{Mandate, MandateEnd, MandateKind, MandateScope, MandatesRow, UnderMandate},
    outage::{OutageRow, RightOutage},
    profile::{Profile, RequestAct},
    proposal::{ProposalApproval, ProposalRow},
    request::{RequestRow, RequestState, RequestStep},
    session::SessionRow,
    tables::{
        AbsentShard, CountersRow, DeviceRow, DeviceType, ItemRow, LabelValue, ManifestStep, PrincipalRow, ProfileRow,
        Retention, UnitRow, UploadRow,
    },
    viewlist::{ListClosed, ViewListRow},
    voters::{VoterChangeEnd, VoterChangeRow},
};
use strongroom_types::{
    BatchId, ChunkIndex, CorrectionId, EraseList, EraseTarget, NodeId, Reason, RecordSeq, Refusal, RequestId, Role,
    ShardIndex, UnixMillis, UploadEpoch, rows::encode,
};

use crate::{
    fixture::{DAY, GATEWAY, START, created, description, end, fields, id, item, key, session, step, unit},
    samples,
};

/// Compares named lines with a golden file.
pub(crate) fn check(name: &str, lines: Vec<(String, String)>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    let text = lines.into_iter().fold(String::new(), |mut text, (name, value)| {
        writeln!(text, "{name}: {value}").expect("writes to memory");
        text
    });
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("the golden file is there: UPDATE_GOLDEN=1 writes it");
    for (expected, found) in expected.lines().zip(text.lines()) {
        assert_eq!(found, expected, "{name} changed: what is stored must stay readable");
    }
    assert_eq!(text.lines().count(), expected.lines().count(), "{name} has other lines");
}

/// Name and hex of a value, having checked that the bytes give it back.
pub(crate) fn line<V>(name: &str, value: &V) -> (String, String)
where
    V: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()> + PartialEq + std::fmt::Debug,
{
    let bytes = encode(value);
    assert_eq!(&minicbor::decode::<V>(&bytes).expect("decodes"), value);
    assert!(minicbor::decode::<V>(&bytes[..bytes.len() - 1]).is_err(), "{name} cut short was taken");
    let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writes to memory");
        hex
    });
    (name.to_owned(), hex)
}

#[test]
fn commands_are_stored_as_they_always_were() {
    let mut commands = [samples::of_clients(), samples::of_secrets(), samples::of_nodes()].concat();
    commands.sort_by_key(samples::number);
    let name = |command: &strongroom_custody::Command| {
        let text = format!("{command:?}");
        format!("{} {}", samples::number(command), text.split('(').next().unwrap_or_default())
    };
    check("commands", commands.iter().map(|command| line(&name(command), command)).collect());
}

#[test]
fn answers_are_stored_as_they_always_were() {
    let answers = [
        Answer::UploadOpened(item(1)),
        Answer::UploadResumed(UploadEpoch(2)),
        Answer::ProgressCommitted(1 << 40),
        Answer::Sealed(item(1), RecordSeq(3), START),
        Answer::Recorded(RecordSeq(4)),
        Answer::Request(Box::new(request(RequestState::Pending))),
        Answer::SessionBegun(session(5), RecordSeq(6)),
        Answer::Ticked(START),
        Answer::Expired(7),
        Answer::Hold(Box::new(hold(HoldState::Standing)), RecordSeq(8)),
        Answer::Correction(CorrectionId(1), RecordSeq(9)),
        Answer::Disposal(Box::new(batch(BatchState::Closed, Some(execution())))),
        Answer::Followed(RecordSeq(8)),
        Answer::Swept(9),
    ];
    let name = |answer: &Answer| format!("{answer:?}").split('(').next().unwrap_or_default().to_owned();
    check("answers", answers.iter().map(|answer| line(&name(answer), answer)).collect());
}

#[test]
fn rows_are_stored_as_they_always_were() {
    let toml = include_str!("strict.toml");
    let profile = Profile::from_toml(toml).expect("good");
    let mut manifest: ManifestStep = step(2, 5, 2);
    manifest.runs[0].absent.push(AbsentShard { chunk: ChunkIndex(6), slot: ShardIndex(3) });
    let lines = vec![
        line("principals", &principal()),
        line("principals revoked", &PrincipalRow { revoked_at: Some(START), unit: None, ..principal() }),
        line(
            "units",
            &UnitRow { id: unit("U1"), full_name: "一中队".to_owned(), profile: id("dev"), from: None, ended: None },
        ),
        line("devices", &device()),
        line("profiles", &ProfileRow { toml: toml.to_owned(), profile, seq: RecordSeq(1) }),
        line("uploads", &upload()),
        line("uploads received", &UploadRow { end: Some(end(9)), ..upload() }),
        line("manifest", &manifest),
        line("items", &sealed()),
        line("requests pending", &request(RequestState::Pending)),
        line("requests approved", &request(RequestState::Approved(START.plus_ms(DAY)))),
        line("requests rejected", &request(RequestState::Rejected(id("head"), "no basis".to_owned()))),
        line("requests withdrawn", &request(RequestState::Withdrawn(id("legal"), "not needed".to_owned()))),
        line("requests revoked", &request(RequestState::Revoked(id("head"), "mistaken".to_owned()))),
        line("requests lapsed", &request(RequestState::Lapsed(START))),
        line("requests with everything", &full_request()),
        line("mandates", &mandates()),
        line("view_lists", &view_list()),
        line("sessions", &reading(None)),
        line("sessions ended", &reading(Some(RecordSeq(12)))),
        line("clock", &clock()),
        line("counters", &CountersRow { requests: 1, items: 300, uploads: 70_000 }),
        line("cluster", &created().cluster),
        line("keeping", &said()),
        line("cases", &case(CaseState::Archived)),
        line("cases open", &case(CaseState::Open(RecordSeq(5)))),
        line("cases closed", &case(CaseState::Closed(Outcome::Transferred, RecordSeq(8)))),
        line("case_items", &BindingRow { by: id("custodian"), seq: RecordSeq(6), corrected: Some(CorrectionId(1)) }),
        line("holds", &hold(HoldState::Standing)),
        line("holds releasing", &hold(HoldState::Releasing(taken(Role::Legal), "ended".to_owned()))),
        line("holds released", &hold(HoldState::Released(taken(Role::Legal), taken(Role::Head), "ended".to_owned()))),
        line("corrections", &correction(Mistake::Extension(item(1), RecordSeq(3)))),
        line("corrections trigger", &correction(Mistake::Trigger(item(1), RecordSeq(3)))),
        line("corrections binding", &correction(Mistake::Binding(id("C-1"), item(1)))),
        line("corrections archive", &correction(Mistake::Archive(id("C-1"), RecordSeq(3), archive()))),
        line("corrections outages", &CorrectionRow { effected: Some(RecordSeq(12)), ..correction(outages()) }),
        line("outages", &outage()),
        line("voter_changes", &voter_change(None)),
        line("voter_changes approved", &voter_change(Some(None))),
        line("voter_changes withdrawn", &voter_change(Some(Some("it runs again".to_owned())))),
        line("quarantine_releases", &taken(Role::Custodian)),
        line("disposals proposed", &batch(BatchState::Proposed, None)),
        line("disposals withdrawn", &batch(BatchState::Withdrawn(id("legal"), "objection".to_owned()), None)),
        line("disposals executed", &batch(BatchState::Executed, Some(execution()))),
        line("disposal_items", &listed(ItemFate::Listed)),
        line("disposal_items disposed", &listed(ItemFate::Disposed)),
        line("disposal_items dropped", &listed(ItemFate::Dropped(Refusal::new(Reason::HoldActive, "C1", "held", "")))),
        line("tombstones disposed", &disposed()),
        line("tombstones expired", &Tombstone::Expired(unit("U1"), RecordSeq(4))),
        line("erase_orders", &order(Some(BatchId(2)), EraseTarget::Item(item(1)))),
        line("erase_orders debris", &order(None, EraseTarget::Upload(item(1), UploadEpoch(2), ChunkIndex(16)))),
        line("disk_progress", &RecordSeq(14)),
        line("disposal_parts", &part(PartState::Pending)),
        line(
            "disposal_parts erased",
            &part(PartState::Erased { seq: RecordSeq(15), shards: 6, payload_bytes: 6 << 20 }),
        ),
        line("disposal_parts keys gone", &part(PartState::KeysGone { seq: RecordSeq(16), purged_to: 300 })),
        line("disposal_parts lost", &part(PartState::Lost { seq: RecordSeq(17) })),
        line("lost_keepers", &LostRow { reason: "burnt".to_owned(), first: step_by("legal"), second: None }),
        line("profile_versions", &VersionsRow { versions: vec![version(Some(12)), version(None)] }),
        line("proposals", &proposal(None)),
        line("proposals approved", &proposal(Some(START.plus_ms(DAY)))),
    ];
    check("rows", lines);
}

fn taken(role: Role) -> RoleStepRow {
    RoleStepRow { by: id("legal"), role, at: START, seq: RecordSeq(9) }
}

fn archive() -> Archive {
    Archive { date: START, term: Term::Months(360) }
}

fn said() -> KeepingRow {
    KeepingRow {
        extensions: vec![ExtensionRow {
            until: START,
            by: id("legal"),
            reason: "appeal".to_owned(),
            seq: RecordSeq(3),
            corrected: None,
        }],
        triggers: vec![TriggerRow {
            code: "t2".to_owned(),
            basis: "投诉".to_owned(),
            by: id("legal"),
            seq: RecordSeq(4),
            corrected: Some(CorrectionId(2)),
        }],
        restriction: Some(RestrictionRow {
            kind: RestrictionKind::SuspectedSecret,
            reason: "a map".to_owned(),
            by: id("legal"),
            seq: RecordSeq(5),
        }),
        class: Some(ClassRow {
            class: Class::TradeSecret,
            basis: "a recipe".to_owned(),
            by: id("legal"),
            seq: RecordSeq(6),
        }),
    }
}

fn case(state: CaseState) -> CaseRow {
    CaseRow {
        id: id("城罚〔2026〕1号"),
        unit: unit("U1"),
        title: "占道经营".to_owned(),
        opened_by: id("recorder"),
        seq: RecordSeq(5),
        items: 2,
        state,
        archives: vec![ArchiveRow {
            archive: archive(),
            entered: START,
            by: id("archivist"),
            seq: RecordSeq(7),
            corrected: None,
        }],
    }
}

fn hold(state: HoldState) -> HoldRow {
    HoldRow {
        id: id("H-1"),
        authority: "公安局".to_owned(),
        document: "公函 3 号".to_owned(),
        reason: "inquiry".to_owned(),
        placed_by: id("legal"),
        unit: None,
        placed_at: START,
        seq: RecordSeq(8),
        items: 3,
        cases: vec![id("C-1")],
        queries: vec![HoldQuery {
            unit: Some(unit("U1")),
            device: Some(id("D1")),
            activity: Some(id("A-7")),
            labels: fields(&[("place", "gate")]),
            from: Some(START),
            to: Some(START.plus_ms(DAY)),
        }],
        state,
    }
}

fn correction(mistake: Mistake) -> CorrectionRow {
    CorrectionRow {
        id: CorrectionId(1),
        mistake,
        reason: "a wrong line".to_owned(),
        proposed: taken(Role::Legal),
        approved: Some(ApprovedRow { step: taken(Role::Head), in_force: START }),
        withdrawn: None,
        effected: None,
    }
}

fn voter_change(end: Option<Option<String>>) -> VoterChangeRow {
    let end = end.map(|withdrawn| VoterChangeEnd { by: id("security"), at: START, seq: RecordSeq(4), withdrawn });
    VoterChangeRow {
        seq: RecordSeq(3),
        old: NodeId(1),
        new: NodeId(4),
        reason: "broken".to_owned(),
        proposed_by: id("ops"),
        proposed_at: START,
        end,
    }
}

fn outages() -> Mistake {
    let right = |outage, right_ms| RightOutage { outage, right_ms };
    Mistake::Outages(vec![right(Some(RecordSeq(3)), 60_000), right(None, -5)])
}

fn outage() -> OutageRow {
    let wall = START.plus_ms(70_000);
    OutageRow {
        seq: RecordSeq(3),
        length_ms: 70_000,
        t: START,
        wall,
        right_ms: 60_000,
        corrected: Some(CorrectionId(1)),
    }
}

fn version(floor_months: Option<u32>) -> VersionRow {
    VersionRow { version: 2, since: START, seq: RecordSeq(9), floor_months }
}

fn proposal(effective_at: Option<UnixMillis>) -> ProposalRow {
    let approved = |effective_at| ProposalApproval {
        approver: id("head"),
        role: Role::Head,
        at: START,
        seq: RecordSeq(9),
        effective_at,
    };
    ProposalRow {
        toml: samples::PROPOSED.to_owned(),
        profile: Profile::from_toml(samples::PROPOSED).expect("good"),
        version: 1,
        proposed_by: id("security"),
        proposed_at: START,
        seq: RecordSeq(8),
        approval: effective_at.map(approved),
    }
}

fn principal() -> PrincipalRow {
    PrincipalRow {
        id: id("legal"),
        key: key("legal"),
        roles: vec![Role::Legal, Role::Auditor],
        unit: Some(unit("U1")),
        revoked_at: None,
        formers: BTreeSet::new(),
    }
}

fn device() -> DeviceRow {
    DeviceRow {
        id: id("D1"),
        unit: unit("U1"),
        device_type: DeviceType::Surveillance,
        brand_model: "海康 X1".to_owned(),
        asset: None,
    }
}

fn upload() -> UploadRow {
    UploadRow {
        description: description("U1"),
        opened_by: id("station"),
        epoch: UploadEpoch(2),
        gateway: GATEWAY,
        chunks: ChunkIndex(16),
        committed_bytes: 64 << 20,
        sha256_midstate: vec![1, 2, 3].into(),
        progress_at: START,
        end: None,
    }
}

fn sealed() -> ItemRow {
    let value = |text: &str, seq| LabelValue { value: text.to_owned(), by: id("recorder"), seq: RecordSeq(seq) };
    ItemRow {
        description: description("U1"),
        original: end(1 << 33),
        sent_by: id("station"),
        sealed_at: START,
        seq: RecordSeq(7),
        retention: Retention {
            start: START,
            profile: id("dev"),
            version: 1,
            floor_until: Some(START.plus_months_rounded_up(6)),
        },
        labels: BTreeMap::from([("place".to_owned(), vec![value("gate", 7), value("north gate", 9)])]),
        quarantined: true,
        findings: vec!["UNREGISTERED_DEVICE".to_owned()],
    }
}

fn request(state: RequestState) -> RequestRow {
    RequestRow {
        id: RequestId(3),
        act: RequestAct::Copy,
        items: vec![item(1), item(2)],
        fields: fields(&[("reason", "案件5")]),
        requester: id("legal"),
        submitted_at: START,
        profile: id("dev"),
        version: 1,
        state,
        approvals: vec![approval()],
        uses: 1,
        steps: Vec::new(),
        paper: None,
    }
}

fn approval() -> ApprovalRow {
    ApprovalRow {
        approver: id("head"),
        role: Role::Head,
        at: START,
        seq: RecordSeq(8),
        mandate: None,
        paper: None,
        oral: None,
    }
}

/// A request with everything that one can hold.
fn full_request() -> RequestRow {
    let under = UnderMandate { mandate: RecordSeq(5), kind: MandateKind::Delegation, given_by: id("head") };
    let paper = PaperApproval { form: item(4), filed_by: id("legal-2"), attested_by: id("archivist") };
    let oral = OralApproval {
        entered_by: id("legal-2"),
        witness: id("custodian"),
        said_at: START,
        reason: "急".to_owned(),
        confirm_by: START.plus_ms(DAY),
        confirmed: Some(taken(Role::Head)),
    };
    let waits = PaperRow { form: item(4), approver: id("head"), filed_by: id("legal-2"), at: START, seq: RecordSeq(6) };
    let step = |act, by: Option<&str>| RequestStep { act, by: by.map(id), at: START, seq: RecordSeq(7) };
    RequestRow {
        approvals: vec![
            ApprovalRow { mandate: Some(under), ..approval() },
            ApprovalRow { paper: Some(paper), ..approval() },
            ApprovalRow { oral: Some(oral), ..approval() },
        ],
        steps: vec![step(Act::RequestSubmit, Some("legal")), step(Act::RequestLapse, None)],
        paper: Some(waits),
        ..request(RequestState::Pending)
    }
}

fn mandates() -> MandatesRow {
    let mandate = Mandate {
        kind: MandateKind::Appointment,
        role: Role::Head,
        scope: MandateScope { acts: vec![RequestAct::View], unit: Some(unit("U1")), profile: Some(id("dev")) },
        from: START,
        until: START.plus_ms(DAY),
        document: "任字7号".to_owned(),
        given_by: id("security"),
        at: START,
        seq: RecordSeq(4),
        confirmed: Some(taken(Role::Legal)),
        revoked: Some(MandateEnd { by: id("head"), at: START, reason: "回任".to_owned(), seq: RecordSeq(9) }),
    };
    MandatesRow { mandates: vec![mandate] }
}

fn view_list() -> ViewListRow {
    ViewListRow {
        viewer: id("inspector"),
        items: vec![item(1)],
        document: "案审7号".to_owned(),
        given_by: id("legal"),
        at: START,
        until: START.plus_ms(DAY),
        seq: RecordSeq(4),
        closed: Some(ListClosed { by: id("inspector"), at: START, result: "无问题".to_owned(), seq: RecordSeq(9) }),
    }
}

fn step_by(name: &str) -> disposal::DisposalStepRow {
    disposal::DisposalStepRow { by: id(name), at: START, seq: RecordSeq(13) }
}

fn batch(state: BatchState, execution: Option<Box<ExecutionRow>>) -> BatchRow {
    BatchRow {
        id: BatchId(2),
        proposer: id("archivist"),
        basis: "到期鉴定".to_owned(),
        proposed_at: START,
        not_before: START.plus_ms(7 * DAY),
        units: vec![unit("U1")],
        items: 2,
        state,
        approvals: vec![step_by("legal"), step_by("head")],
        seq: RecordSeq(10),
        execution,
    }
}

fn execution() -> Box<ExecutionRow> {
    Box::new(ExecutionRow {
        step: step_by("custodian"),
        supervisors: vec![id("inspector"), id("unit-head")],
        disposed: 1,
        dropped: 1,
        disks_pending: 6,
        replicas_pending: 3,
        signatures: vec![step_by("inspector")],
    })
}

fn listed(fate: ItemFate) -> BatchItemRow {
    BatchItemRow { basis: "到期鉴定".to_owned(), unit: unit("U1"), fate }
}

fn disposed() -> Tombstone {
    let was = sealed();
    Tombstone::Disposed(Box::new(DisposedItem {
        unit: was.description.unit,
        device: was.description.device,
        original: was.original,
        sealed_at: was.sealed_at,
        sealed_by: was.seq,
        retention: was.retention,
        batch: BatchId(2),
        disposed_at: START.plus_ms(DAY),
        disposed_by: RecordSeq(13),
    }))
}

fn order(batch: Option<BatchId>, target: EraseTarget) -> EraseOrderRow {
    EraseOrderRow { batch, list: EraseList::new([target]).expect("a list"), removal: None }
}

const fn part(state: PartState) -> PartRow {
    PartRow { node: NodeId(3), state }
}

fn reading(ended: Option<RecordSeq>) -> SessionRow {
    SessionRow {
        items: vec![item(1)],
        principal: id("archivist"),
        request: ended.map(|_| RequestId(3)),
        seq: RecordSeq(11),
        ends_at: START.plus_ms(DAY),
        ended,
        removal: None,
    }
}

fn clock() -> ClockRow {
    let reading = ReadingRow { node: NodeId(1), boot_id: [7; 16], boottime_ms: 90_000, t: START };
    ClockRow {
        t: START,
        wall: START.plus_ms(5),
        readings: vec![reading],
        outages_ms: 60_000,
        ticks: 7,
        corrected_ms: -5,
        ..ClockRow::default()
    }
}

#[test]
fn a_request_that_was_stored_before_its_steps_were_is_still_read() {
    let hex = "8b03018250010101010101010101010101010101015002020202020202020202020202020202a166726561736f\
         6e67e6a188e4bbb635656c6567616c1b0000019ca70441c063646576018201811b0000019cac2a9dc081846468\
         656164071b0000019ca70441c00801";
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal digits"))
        .collect();
    let row: RequestRow = minicbor::decode(&bytes).expect("decodes");
    assert_eq!(row, request(RequestState::Approved(START.plus_ms(DAY))));
}
