//! From the first byte to the seal, and what is refused on the way.

use strongroom_custody::{
    Act, Actor, Answer, Command, Fact,
    command::{CommitProgress, ExpireUploads, OpenUpload, ResumeUpload, Seal, SealOriginal},
    tables::{AbsentShard, COUNTERS, CountersRow, ITEM_KEYS, ITEMS, ITEMS_BY_UNIT, ManifestStep, newest_first},
    upload,
};
use strongroom_types::{
    ChunkIndex, ItemDigest, NodeId, Reason, Sha256Digest, ShardIndex, UnixMillis, UploadEpoch, limits,
};

use crate::fixture::{
    Cluster, DAY, GATEWAY, HOUR, START, description, end, id, item, open, progress, small, step, unit,
};

const CHUNK: u64 = limits::CHUNK_BYTES as u64;

fn opened() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.done("station", Command::OpenUpload(open(1, "U1")));
    cluster
}

fn resume(cluster: &mut Cluster, gateway: NodeId) -> UploadEpoch {
    match cluster.done("station", Command::ResumeUpload(ResumeUpload { item: item(1), gateway })) {
        Answer::UploadResumed(epoch) => epoch,
        other => panic!("{other:?}"),
    }
}

/// The last step: `chunks` of which the last is short by `short` bytes.
fn last(first: u64, chunks: usize, short: u64) -> CommitProgress {
    let full = progress(1, 0, first, chunks);
    let bytes = full.bytes - short;
    let end = Some(end(first * CHUNK + bytes));
    CommitProgress { bytes, sha256_midstate: Vec::new().into(), end, ..full }
}

/// Item 1, received completely: 17 chunks and a few bytes.
fn received() -> Cluster {
    let mut cluster = opened();
    cluster.by_node(Command::CommitProgress(progress(1, 0, 0, 16))).expect("commits");
    cluster.by_node(Command::CommitProgress(last(16, 2, CHUNK - 5))).expect("commits");
    cluster
}

fn seal_of(size_bytes: u64) -> Seal {
    let end = end(size_bytes);
    Seal { item: item(1), size_bytes, blake3: Some(end.blake3), sha256: Some(end.sha256) }
}

fn counters(cluster: &Cluster) -> CountersRow {
    COUNTERS.read(&cluster.rows, &()).expect("reads").unwrap_or_default()
}

/// AWS digital evidence archive: an object was there, and visible, before its lock was.
#[test]
fn an_item_is_kept_from_the_very_entry_on_in_which_it_appears() {
    for (door, mut cluster, seal) in [
        ("a stream", received(), Command::Seal(seal_of(17 * CHUNK + 5))),
        ("one call", Cluster::new(), Command::SealOriginal(small(1, "U1"))),
    ] {
        assert!(ITEMS.read(&cluster.rows, &item(1)).expect("reads").is_none(), "{door}: there before its seal");
        cluster.done("station", seal);
        let refusal = cluster.refusal_to_dispose(1).expect(door);
        assert_eq!((refusal.reason, refusal.rule.as_str()), (Reason::RetentionActive, "R-000-21a"), "{door}");
    }
}

#[test]
fn an_original_goes_from_open_to_sealed_and_its_seal_is_said_again_the_same() {
    let mut cluster = received();
    assert_eq!(counters(&cluster), CountersRow { requests: 0, items: 0, uploads: 1 });
    let size = 17 * CHUNK + 5;
    let first = cluster.done("station", Command::Seal(seal_of(size)));
    let row = cluster.item(1);
    assert_eq!(first, Answer::Sealed(item(1), row.seq, START));
    assert_eq!((row.original, row.quarantined, row.findings.len()), (end(size), false, 0));
    assert_eq!(cluster.upload(1), None);
    assert_eq!(counters(&cluster), CountersRow { requests: 0, items: 1, uploads: 0 });
    let by_unit = ITEMS_BY_UNIT.read(&cluster.rows, &(unit("U1"), newest_first(row.seq.0))).expect("reads");
    assert_eq!(by_unit, Some(item(1)));
    let manifest = upload::manifest(&cluster.rows, item(1)).expect("reads");
    assert_eq!(manifest.iter().map(ManifestStep::chunk_count).collect::<Vec<_>>(), [16, 2]);
    let record = cluster.last_record().clone();
    assert_eq!((record.act, record.rule.as_str()), (Act::ItemSeal, "R-000-21a"));
    assert_eq!(record.number(Fact::SizeBytes), Some(size));
    assert_eq!(record.bytes(Fact::Policy), Some([0xdd; 32].as_slice()));
    assert_eq!(record.text(Fact::Profile), Some("dev@1"));
    cluster.pass(HOUR);
    assert_eq!(cluster.done("station", Command::Seal(seal_of(size))), first);
    let unsure = Seal { blake3: None, sha256: None, ..seal_of(size) };
    assert_eq!(cluster.done("station", Command::Seal(unsure)), first);
}

#[test]
fn a_sealed_original_never_becomes_other_bytes() {
    let mut cluster = received();
    let size = 17 * CHUNK + 5;
    cluster.done("station", Command::Seal(seal_of(size)));
    for other in [
        seal_of(size - 1),
        Seal { blake3: Some(ItemDigest::new([0; 32])), ..seal_of(size) },
        Seal { sha256: Some(Sha256Digest::new([0; 32])), ..seal_of(size) },
    ] {
        assert_eq!(cluster.refused("station", Command::Seal(other), Reason::OriginalImmutable).rule, "G1");
    }
    cluster.refused("station", Command::OpenUpload(open(1, "U1")), Reason::OriginalImmutable);
    cluster.refused("station", Command::SealOriginal(small(1, "U1")), Reason::OriginalImmutable);
    cluster.node_refused(Command::CommitProgress(progress(1, 0, 18, 1)), Reason::NotFound);
    let resume = ResumeUpload { item: item(1), gateway: GATEWAY };
    cluster.refused("station", Command::ResumeUpload(resume), Reason::NotFound);
}

#[test]
fn what_was_announced_is_compared_before_the_seal() {
    let mut cluster = received();
    let size = 17 * CHUNK + 5;
    for wrong in [
        seal_of(size + 1),
        Seal { blake3: Some(ItemDigest::new([0; 32])), ..seal_of(size) },
        Seal { sha256: Some(Sha256Digest::new([0; 32])), ..seal_of(size) },
    ] {
        cluster.refused("station", Command::Seal(wrong), Reason::DigestMismatch);
    }
    cluster.done("station", Command::Seal(Seal { blake3: None, sha256: None, ..seal_of(size) }));
}

#[test]
fn what_is_not_completely_received_is_not_sealed() {
    let mut cluster = opened();
    cluster.refused("station", Command::Seal(seal_of(0)), Reason::WrongState);
    cluster.by_node(Command::CommitProgress(progress(1, 0, 0, 16))).expect("commits");
    let refusal = cluster.refused("station", Command::Seal(seal_of(16 * CHUNK)), Reason::WrongState);
    assert!(refusal.message.contains(&(16 * CHUNK).to_string()), "{refusal:?}");
    cluster.refused("station", Command::Seal(Seal { item: item(2), ..seal_of(0) }), Reason::NotFound);
}

#[test]
fn only_the_newest_stream_commits() {
    let mut cluster = opened();
    cluster.by_node(Command::CommitProgress(progress(1, 0, 0, 2))).expect("commits");
    assert_eq!(resume(&mut cluster, GATEWAY), UploadEpoch(1));
    assert_eq!(resume(&mut cluster, GATEWAY), UploadEpoch(2));
    assert_eq!(cluster.last_record().number(Fact::SizeBytes), Some(2 * CHUNK));
    for old in [0, 1, 3] {
        cluster.node_refused(Command::CommitProgress(progress(1, old, 2, 1)), Reason::UploadSuperseded);
        let end = CommitProgress { epoch: UploadEpoch(old), ..last(2, 1, 1) };
        cluster.node_refused(Command::CommitProgress(end), Reason::UploadSuperseded);
        assert!(upload::check_owner(&cluster.rows, item(1), UploadEpoch(old), GATEWAY).is_err());
    }
    assert!(upload::check_owner(&cluster.rows, item(1), UploadEpoch(2), GATEWAY).is_ok());
    let commit = Command::CommitProgress(progress(1, 2, 2, 1));
    let elsewhere = cluster.apply(&Actor::Node(NodeId(2)), &commit).expect_err("another gateway");
    assert_eq!(elsewhere.reason, Reason::UploadSuperseded);
    assert_eq!(cluster.by_node(commit), Ok(Answer::ProgressCommitted(3 * CHUNK)));
    assert_eq!(resume(&mut cluster, NodeId(2)), UploadEpoch(3));
    cluster.node_refused(Command::CommitProgress(progress(1, 3, 3, 1)), Reason::UploadSuperseded);
    let moved = Command::CommitProgress(progress(1, 3, 3, 1));
    assert_eq!(cluster.apply(&Actor::Node(NodeId(2)), &moved), Ok(Answer::ProgressCommitted(4 * CHUNK)));
}

#[test]
fn progress_has_no_gaps_and_only_the_last_chunk_is_short() {
    let good = progress(1, 0, 0, 2);
    let with = |change: &dyn Fn(&mut CommitProgress)| {
        let mut commit = good.clone();
        change(&mut commit);
        commit
    };
    let cases: &[(&str, CommitProgress, Reason)] = &[
        ("a gap", progress(1, 0, 1, 1), Reason::OutOfOrder),
        ("a ragged step in the middle", with(&|c| c.bytes -= 1), Reason::InvalidArgument),
        ("more bytes than chunks", with(&|c| c.bytes += 1), Reason::InvalidArgument),
        ("nothing at all", progress(1, 0, 0, 0), Reason::InvalidArgument),
        ("no midstate to go on from", with(&|c| c.sha256_midstate = Vec::new().into()), Reason::InvalidArgument),
        ("17 chunks", progress(1, 0, 0, 17), Reason::InvalidArgument),
        ("an end of another length", with(&|c| c.end = Some(end(1))), Reason::InvalidArgument),
        ("an end with an empty last chunk", last(0, 2, CHUNK), Reason::InvalidArgument),
        ("an end that misses chunks", last(0, 2, CHUNK + 1), Reason::InvalidArgument),
        ("a run that starts elsewhere", with(&|c| c.step = step(0, 1, 2)), Reason::InvalidArgument),
        ("a run of another stream", with(&|c| c.step = step(1, 0, 2)), Reason::InvalidArgument),
        ("an empty run", with(&|c| c.step.runs[0].chunks.clear()), Reason::InvalidArgument),
        ("a gap between runs", with(&|c| c.step.runs.extend(step(0, 3, 1).runs)), Reason::InvalidArgument),
        (
            "an absent shard of another step's chunk",
            with(&|c| c.step.runs[0].absent.push(AbsentShard { chunk: ChunkIndex(2), slot: ShardIndex(0) })),
            Reason::InvalidArgument,
        ),
        ("another upload", CommitProgress { item: item(9), ..good.clone() }, Reason::NotFound),
        ("as many bytes as can be counted", with(&|c| c.bytes = u64::MAX), Reason::InvalidArgument),
    ];
    for (name, commit, reason) in cases {
        let refusal = opened().by_node(Command::CommitProgress(commit.clone())).expect_err(name);
        assert_eq!(refusal.reason, *reason, "{name}: {refusal:?}");
    }
    let mut cluster = opened();
    cluster.by_node(Command::CommitProgress(good.clone())).expect("commits");
    cluster.node_refused(Command::CommitProgress(good), Reason::OutOfOrder);
}

#[test]
fn an_end_fits_whatever_came_before_it() {
    for (name, steps, size) in [
        ("empty", vec![last(0, 0, 0)], 0),
        ("one byte", vec![last(0, 1, CHUNK - 1)], 1),
        ("one whole chunk", vec![last(0, 1, 0)], CHUNK),
        ("a whole step, then only the end", vec![progress(1, 0, 0, 16), last(16, 0, 0)], 16 * CHUNK),
        ("two steps", vec![progress(1, 0, 0, 3), last(3, 2, 1)], 5 * CHUNK - 1),
    ] {
        let mut cluster = opened();
        for step in &steps {
            cluster.by_node(Command::CommitProgress(step.clone())).expect(name);
        }
        let after = CommitProgress { first: cluster.upload(1).expect("open").chunks, ..last(0, 0, 0) };
        cluster.node_refused(Command::CommitProgress(after), Reason::OutOfOrder);
        cluster.done("station", Command::Seal(seal_of(size)));
        assert_eq!(cluster.item(1).original.size_bytes, size, "{name}");
    }
}

#[test]
fn an_upload_expires_after_seven_days_without_progress_and_not_before() {
    let mut cluster = opened();
    let expire = |cluster: &mut Cluster| cluster.by_node(Command::ExpireUploads(ExpireUploads { limit: 10 }));
    cluster.done("station", Command::OpenUpload(open(2, "U1")));
    cluster.pass(DAY);
    cluster.by_node(Command::CommitProgress(progress(1, 0, 0, 1))).expect("commits");
    cluster.pass(6 * DAY - 1);
    assert_eq!(expire(&mut cluster), Ok(Answer::Expired(0)));
    cluster.pass(1);
    assert_eq!(expire(&mut cluster), Ok(Answer::Expired(1)), "item 2 has waited for 7 days");
    assert_eq!((cluster.upload(2), cluster.upload(1).is_some()), (None, true));
    assert_eq!(cluster.last_record().items, [item(2)]);
    // A resumed stream that brings nothing is no progress.
    resume(&mut cluster, GATEWAY);
    cluster.pass(DAY - 1);
    assert_eq!(expire(&mut cluster), Ok(Answer::Expired(0)));
    cluster.pass(1);
    assert_eq!(expire(&mut cluster), Ok(Answer::Expired(1)));
    assert_eq!(cluster.last_record().number(Fact::SizeBytes), Some(CHUNK));
    assert_eq!(counters(&cluster).uploads, 0);
    cluster.node_refused(Command::CommitProgress(progress(1, 1, 1, 1)), Reason::NotFound);
    // Its key is gone and its chunks are debris: another upload must not stand on them.
    assert!(ITEM_KEYS.read(&cluster.rows, &item(1)).expect("reads").is_none());
    cluster.refused("station", Command::OpenUpload(open(1, "U1")), Reason::OriginalImmutable);
}

#[test]
fn expiry_follows_the_compliance_clock_and_its_limit() {
    let mut cluster = opened();
    cluster.done("station", Command::OpenUpload(open(2, "U1")));
    // Wall clocks that were set ahead expire nothing: T has not moved.
    cluster.wall = cluster.wall.plus_ms(3000 * DAY);
    let context = strongroom_custody::Context {
        actor: Actor::Node(GATEWAY),
        wall: cluster.wall,
        next_seq: strongroom_types::RecordSeq(0),
        signed: None,
    };
    let expire = |limit| Command::ExpireUploads(ExpireUploads { limit });
    let applied = strongroom_custody::apply(&mut cluster.rows, &context, &expire(10)).expect("reads");
    assert_eq!(applied.outcome, Ok(Answer::Expired(0)));
    cluster.wall = START;
    cluster.pass(8 * DAY);
    assert_eq!(cluster.by_node(expire(0)), Ok(Answer::Expired(0)));
    assert_eq!(cluster.by_node(expire(1)), Ok(Answer::Expired(1)));
    assert_eq!(cluster.by_node(expire(u32::MAX)), Ok(Answer::Expired(1)));
}

#[test]
fn a_small_original_is_sealed_in_one_command() {
    let whole = limits::SMALL_ORIGINAL_BYTES_MAX as u64;
    let of = |chunks, size| SealOriginal { open: open(1, "U1"), step: step(0, 0, chunks), end: end(size) };
    for (chunks, size) in [(0, 0), (1, 1), (1, whole)] {
        let mut cluster = Cluster::new();
        let answer = cluster.done("station", Command::SealOriginal(of(chunks, size)));
        assert_eq!(answer, Answer::Sealed(item(1), cluster.item(1).seq, START));
        assert_eq!(counters(&cluster), CountersRow { requests: 0, items: 1, uploads: 0 });
        let manifest = upload::manifest(&cluster.rows, item(1)).expect("reads");
        assert_eq!(manifest.iter().map(ManifestStep::chunk_count).sum::<u64>(), chunks as u64);
        cluster.refused("station", Command::SealOriginal(of(chunks, size)), Reason::OriginalImmutable);
    }
    let elsewhere = |epoch, first| SealOriginal { step: step(epoch, first, 1), ..of(1, 9) };
    for (name, seal) in [
        ("too large", of(1, whole + 1)),
        ("bytes without a chunk", of(0, 1)),
        ("a chunk without bytes", of(1, 0)),
        ("two chunks", of(2, 9)),
        ("a chunk of another stream", elsewhere(1, 0)),
        ("a chunk that is not the first", elsewhere(0, 1)),
    ] {
        let refusal = Cluster::new().refused("station", Command::SealOriginal(seal), Reason::InvalidArgument);
        assert!(!refusal.message.is_empty(), "{name}");
    }
}

#[test]
fn footage_of_an_unknown_device_is_kept_in_quarantine() {
    let mut cluster = Cluster::new();
    let mut seal = small(1, "U1");
    seal.open.description.device = id("stranger");
    cluster.done("station", Command::SealOriginal(seal));
    let row = cluster.item(1);
    assert_eq!((row.quarantined, row.findings), (true, vec!["UNREGISTERED_DEVICE".to_owned()]));
    let record = cluster.last_record();
    assert_eq!(record.text(Fact::Finding), Some("UNREGISTERED_DEVICE"));
    assert_eq!(record.facts.get(&Fact::Quarantined), Some(&true.into()));
}

/// G4: what a device says of the time moves nothing.
/// Axon: retention was counted from a date that people can edit.
#[test]
fn a_recording_from_the_future_is_a_finding_and_changes_no_retention() {
    let mut cluster = Cluster::new();
    for (number, recorded_end, finding) in [
        (1, START, None),
        (2, START.plus_ms(1), Some("CLOCK_FAULT")),
        (3, START.plus_ms(9000 * DAY), Some("CLOCK_FAULT")),
    ] {
        let mut seal = small(number, "U1");
        seal.open.description.recorded_end = recorded_end;
        cluster.done("station", Command::SealOriginal(seal));
        let row = cluster.item(number);
        assert_eq!(row.findings.first().map(String::as_str), finding);
        assert_eq!(row.retention.start, RETAINED_FROM, "device time never enters");
    }
}

/// Where retention starts that T and the wall clocks see begin at [`START`]: no later tick credits time from before.
const RETAINED_FROM: UnixMillis = START.plus_ms(limits::CLOCK_GAP_MS_MAX);

/// G4: neither the device nor a person sets when retention starts.
#[test]
fn retention_starts_at_the_later_of_both_clocks_and_lasts_as_the_profile_says() {
    let mut cluster = Cluster::new();
    for (number, name, months) in [(1, "U1", Some(6)), (2, "U2", Some(12)), (3, "U3", None)] {
        cluster.done("station", Command::SealOriginal(small(number, name)));
        let retention = cluster.item(number).retention;
        assert_eq!(retention.start, RETAINED_FROM);
        assert_eq!(retention.floor_until, months.map(|months| START.plus_months_rounded_up(months)), "{name}");
    }
    // 2026-03-01T09:30 and six months, rounded up to the next midnight in Beijing.
    assert_eq!(cluster.item(1).retention.floor_until, Some(id("2026-09-02T00:00:00+08:00")));
    assert_eq!(cluster.last_record().rule, "G2");
    assert_eq!(cluster.last_record().time(Fact::FloorUntil), None);
}

#[test]
fn a_proposers_bad_clock_moves_retention_by_minutes_and_never_back() {
    for (wall, start) in
        [(START.plus_ms(-9000 * DAY), RETAINED_FROM), (UnixMillis(i64::MAX), START.plus_ms(10 * 60_000))]
    {
        let mut cluster = Cluster::new();
        let context = strongroom_custody::Context {
            actor: Actor::Client(crate::fixture::key("station")),
            wall,
            next_seq: strongroom_types::RecordSeq(cluster.records.len() as u64),
            signed: None,
        };
        let seal = Command::SealOriginal(small(1, "U1"));
        strongroom_custody::apply(&mut cluster.rows, &context, &seal).expect("reads").outcome.expect("seals");
        assert_eq!(cluster.item(1).retention.start, start);
    }
}

#[test]
fn a_station_writes_for_its_own_unit_only() {
    let mut cluster = Cluster::new();
    cluster.refused("station-u2", Command::OpenUpload(open(1, "U1")), Reason::OutsideUnit);
    cluster.refused("station-u2", Command::SealOriginal(small(1, "U1")), Reason::OutsideUnit);
    cluster.done("station", Command::OpenUpload(open(1, "U1")));
    let resume = ResumeUpload { item: item(1), gateway: GATEWAY };
    cluster.refused("station-u2", Command::ResumeUpload(resume), Reason::OutsideUnit);
    cluster.by_node(Command::CommitProgress(last(0, 1, 0))).expect("commits");
    cluster.refused("station-u2", Command::Seal(seal_of(CHUNK)), Reason::OutsideUnit);
    cluster.done("station", Command::Seal(seal_of(CHUNK)));
    cluster.refused("station-u2", Command::Seal(seal_of(CHUNK)), Reason::OutsideUnit);
    cluster.done("station-u2", Command::OpenUpload(open(2, "U2")));
}

#[test]
fn a_description_that_cannot_be_is_refused_at_both_doors() {
    let with = |change: &dyn Fn(&mut strongroom_custody::tables::Description)| {
        let mut description = description("U1");
        change(&mut description);
        description
    };
    let long = "x".repeat(limits::TEXT_BYTES_MAX + 1);
    let many = (0..=limits::LABELS_MAX).map(|n| (n.to_string(), String::new())).collect();
    let label = |name: &str, text: &str| [(name.to_owned(), text.to_owned())].into();
    for (description, reason) in [
        (with(&|d| d.recorded_start = d.recorded_end.plus_ms(1)), Reason::InvalidArgument),
        (with(&|d| d.file_name.clone_from(&long)), Reason::InvalidArgument),
        (with(&|d| d.labels = std::collections::BTreeMap::clone(&many)), Reason::InvalidArgument),
        (with(&|d| d.labels = label("", "x")), Reason::InvalidArgument),
        (with(&|d| d.labels = label("a\nb", "x")), Reason::InvalidArgument),
        (with(&|d| d.labels = label("a", &long)), Reason::InvalidArgument),
        (with(&|d| d.unit = unit("U99")), Reason::NotFound),
    ] {
        let open = OpenUpload { description, ..open(1, "U1") };
        let seal = SealOriginal { open: open.clone(), ..small(1, "U1") };
        Cluster::new().refused("station", Command::OpenUpload(open), reason);
        Cluster::new().refused("station", Command::SealOriginal(seal), reason);
    }
}

#[test]
fn opening_and_resuming_are_on_the_ledger() {
    let mut cluster = opened();
    let record = cluster.last_record();
    assert_eq!((record.text(Fact::Unit), record.text(Fact::Device)), (Some("U1"), Some("D1")));
    resume(&mut cluster, NodeId(3));
    let record = cluster.last_record();
    assert_eq!((record.text(Fact::Node), record.number(Fact::Count)), (Some("n3"), Some(1)));
}
