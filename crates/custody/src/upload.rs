//! From the first byte to the seal: opening, resuming, committing progress, sealing, expiring.
//!
//! Only the newest stream of an upload (its epoch) can commit; the seal puts the item, its retention and its record
//! into one entry, and from there on the original is immutable.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::ByteVec;
use strongroom_types::{
    ChunkIndex, EraseList, EraseTarget, ItemId, NodeId, Reason, RecordSeq, Refusal, UnixMillis, UploadEpoch, VolumeId,
    limits,
    rows::{Key, RowError, Rows},
};

use crate::{
    Act, Answer, Fact,
    access::{Stop, within_unit},
    activity,
    apply::Decision,
    clock::{self, ClockRow},
    command::{CommitProgress, ExpireUploads, OpenUpload, ResumeUpload, Seal, SealOriginal},
    erasure::{self, Tombstone},
    naming,
    record::Value,
    retained, retention,
    tables::{
        COUNTERS, DEVICES, Description, DeviceRow, ITEM_KEYS, ITEMS, ITEMS_BY_UNIT, ItemRow, LabelValue, MANIFEST,
        ManifestRun, ManifestStep, PROFILE_VERSIONS, PROFILES, PrincipalRow, ProfileRow, UNITS, UPLOADS,
        UPLOADS_BY_PROGRESS, UploadEnd, UploadRow, newest_first,
    },
    unit,
};

/// Opens an upload for a station's unit.
pub(crate) fn open(decision: &mut Decision<'_>, command: &OpenUpload) -> Result<Answer, Stop> {
    let station = decision.authorize(Act::UploadOpen)?;
    check_open(decision, &station, command)?;
    let now = clock::read(decision.rows)?.t;
    let row = UploadRow {
        description: command.description.clone(),
        opened_by: station.id,
        epoch: UploadEpoch(0),
        gateway: command.gateway,
        chunks: ChunkIndex(0),
        committed_bytes: 0,
        sha256_midstate: ByteVec::from(Vec::new()),
        progress_at: now,
        end: None,
    };
    ITEM_KEYS.write(decision.rows, &command.item, &command.wrapped_key);
    write_upload(decision.rows, command.item, &row);
    count(decision.rows, |counters| counters.uploads += 1)?;
    let mut facts = stream_facts(&row);
    facts.insert(Fact::Device, row.description.device.as_str().into());
    decision.record(Act::UploadOpen, "C1", vec![command.item], facts);
    Ok(Answer::UploadOpened(command.item))
}

/// Gives the upload to a new stream; every older stream is cut off.
pub(crate) fn resume(decision: &mut Decision<'_>, command: &ResumeUpload) -> Result<Answer, Stop> {
    let station = decision.authorize(Act::UploadResume)?;
    let mut row = read_upload(decision.rows, command.item)?;
    within_unit(&station, &row.description.unit)?;
    let superseded = superseded_debris(command.item, &row);
    row.epoch =
        UploadEpoch(row.epoch.0.checked_add(1).ok_or_else(|| Refusal::invalid("this upload was resumed too often"))?);
    row.gateway = command.gateway;
    UPLOADS.write(decision.rows, &command.item, &row);
    let mut facts = stream_facts(&row);
    facts.insert(Fact::SizeBytes, row.committed_bytes.into());
    if let Some(debris) = superseded {
        facts.extend(erasure::permit_facts(decision, Fact::EraseRoot, &debris)?);
        let seq = decision.next_seq();
        erasure::order(decision.rows, seq, None, debris);
    }
    decision.record(Act::UploadResume, "C1", vec![command.item], facts);
    Ok(Answer::UploadResumed(row.epoch))
}

/// Commits chunks that are durable. Called by the gateway, which is a node of the cluster. It leaves no record: what
/// arrived is recorded whole by the seal, or by the expiry.
pub(crate) fn commit_progress(decision: &mut Decision<'_>, command: &CommitProgress) -> Result<Answer, Stop> {
    let gateway = decision.node()?;
    let mut row = read_upload(decision.rows, command.item)?;
    if row.epoch != command.epoch || row.gateway != gateway {
        return Err(superseded(command.item).into());
    }
    if row.chunks != command.first || row.end.is_some() {
        return Err(out_of_order(command, &row).into());
    }
    check_step(command, &row)?;
    remove_upload_index(decision.rows, command.item, &row);
    row.chunks = ChunkIndex(row.chunks.0 + command.step.chunk_count());
    row.committed_bytes += command.bytes;
    row.sha256_midstate = command.sha256_midstate.clone();
    row.end = command.end;
    row.progress_at = clock::read(decision.rows)?.t;
    if !command.step.runs.is_empty() {
        MANIFEST.write(decision.rows, &(command.item, command.first), &command.step);
    }
    write_upload(decision.rows, command.item, &row);
    Ok(Answer::ProgressCommitted(row.committed_bytes))
}

/// Seals a received upload.
pub(crate) fn seal(decision: &mut Decision<'_>, command: &Seal) -> Result<Answer, Stop> {
    let station = decision.authorize(Act::ItemSeal)?;
    if let Some(item) = ITEMS.read(decision.rows, &command.item)? {
        within_unit(&station, &item.description.unit)?;
        return same_original(command, &item).map_err(Stop::from);
    }
    if let Some(tombstone) = erasure::tombstone(&*decision.rows, command.item)? {
        return Err(tombstone.refusal(command.item).into());
    }
    let row = read_upload(decision.rows, command.item)?;
    within_unit(&station, &row.description.unit)?;
    let end = row.end.ok_or_else(|| {
        Refusal::new(
            Reason::WrongState,
            "",
            format!("item {} is not completely received: {} bytes are committed", command.item, row.committed_bytes),
            "send the rest of it, then seal",
        )
    })?;
    compare(command, &end)?;
    let answer = seal_item(decision, command.item, row.description.clone(), end, &station)?;
    UPLOADS.remove(decision.rows, &command.item);
    remove_upload_index(decision.rows, command.item, &row);
    count(decision.rows, |counters| counters.uploads -= 1)?;
    Ok(answer)
}

/// Opens, fills and seals a small original in one entry.
pub(crate) fn seal_original(decision: &mut Decision<'_>, command: &SealOriginal) -> Result<Answer, Stop> {
    let station = decision.authorize(Act::ItemSeal)?;
    let item = command.open.item;
    check_open(decision, &station, &command.open)?;
    if command.end.size_bytes > limits::SMALL_ORIGINAL_BYTES_MAX as u64
        || command.step.chunk_count() != u64::from(command.end.size_bytes > 0)
    {
        return Err(Refusal::invalid("an original sealed in one call is one chunk of at most 1 MiB").into());
    }
    check_runs(&command.step, ChunkIndex(0), UploadEpoch(0))?;
    ITEM_KEYS.write(decision.rows, &item, &command.open.wrapped_key);
    if !command.step.runs.is_empty() {
        MANIFEST.write(decision.rows, &(item, ChunkIndex(0)), &command.step);
    }
    seal_item(decision, item, command.open.description.clone(), command.end, &station)
}

/// Expires uploads whose last progress is older than the limit, by the compliance clock. Each record is the permit by
/// which the disks erase what came of its upload; the key goes at once, and the id is never used again.
pub(crate) fn expire(decision: &mut Decision<'_>, command: &ExpireUploads) -> Result<Answer, Stop> {
    decision.node()?;
    let now = clock::read(decision.rows)?.t;
    let limit = usize::try_from(command.limit).unwrap_or(usize::MAX).min(limits::PAGE_ROWS_MAX);
    let mut expired = 0;
    for (key, ()) in UPLOADS_BY_PROGRESS.scan(decision.rows, &(), None, limit)? {
        let item = ItemId::try_from(&key[8..])
            .map_err(|error| RowError::Corrupt { table: UPLOADS_BY_PROGRESS.name, detail: error.to_string() })?;
        let row = read_upload(decision.rows, item)?;
        if now.since_ms(row.progress_at) < limits::UPLOAD_EXPIRY_MS {
            break;
        }
        UPLOADS.remove(decision.rows, &item);
        remove_upload_index(decision.rows, item, &row);
        count(decision.rows, |counters| counters.uploads -= 1)?;
        expire_upload(decision, item, &row)?;
        expired += 1;
    }
    Ok(Answer::Expired(expired))
}

fn expire_upload(decision: &mut Decision<'_>, item: ItemId, row: &UploadRow) -> Result<(), Stop> {
    let seq = decision.next_seq();
    let debris = EraseList::new([EraseTarget::Item(item)]).expect("one target is a list");
    let mut facts = BTreeMap::from([
        (Fact::Unit, row.description.unit.as_str().into()),
        (Fact::SizeBytes, row.committed_bytes.into()),
    ]);
    facts.extend(erasure::permit_facts(decision, Fact::EraseRoot, &debris)?);
    ITEM_KEYS.remove(decision.rows, &item);
    erasure::bury(decision.rows, item, &Tombstone::Expired(row.description.unit.clone(), seq));
    erasure::order(decision.rows, seq, None, debris);
    decision.record(Act::UploadExpire, "C4", vec![item], facts);
    Ok(())
}

/// What the stream that is cut off may have put beyond its committed progress: it can commit none of it any more.
fn superseded_debris(item: ItemId, row: &UploadRow) -> Option<EraseList> {
    if row.epoch == UploadEpoch(0) {
        return None;
    }
    let target = EraseTarget::Upload(item, row.epoch, row.chunks);
    Some(EraseList::new([target]).expect("one target is a list"))
}

/// The item's upload, where it is open.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn read_upload(rows: &(impl Rows + ?Sized), item: ItemId) -> Result<UploadRow, Stop> {
    UPLOADS.read(rows, &item)?.ok_or_else(|| {
        Refusal::new(
            Reason::NotFound,
            "",
            format!("there is no open upload of item {item}"),
            "open it again: an upload expires 7 days after its last progress",
        )
        .into()
    })
}

/// Whether `stream` still owns the upload.
///
/// # Errors
/// [`Stop`] with `UPLOAD_SUPERSEDED` where another does.
pub fn check_owner(
    rows: &(impl Rows + ?Sized),
    item: ItemId,
    epoch: UploadEpoch,
    gateway: NodeId,
) -> Result<UploadRow, Stop> {
    let row = read_upload(rows, item)?;
    if row.epoch == epoch && row.gateway == gateway { Ok(row) } else { Err(superseded(item).into()) }
}

fn check_open(decision: &Decision<'_>, station: &PrincipalRow, command: &OpenUpload) -> Result<(), Stop> {
    let description = &command.description;
    within_unit(station, &description.unit)?;
    if UNITS.read(decision.rows, &description.unit)?.is_none() {
        return Err(Refusal::new(
            Reason::NotFound,
            "C1",
            format!("there is no unit {}", description.unit),
            "the security officer can register it: `strongroom unit add`",
        )
        .into());
    }
    // A key's row says whether an id is in use, a tombstone whether it was.
    if ITEM_KEYS.read(decision.rows, &command.item)?.is_some()
        || ITEMS.read(decision.rows, &command.item)?.is_some()
        || erasure::tombstone(&*decision.rows, command.item)?.is_some()
    {
        return Err(Refusal::new(
            Reason::OriginalImmutable,
            "G1",
            format!("item {} exists already", command.item),
            "open a new upload: it gets an id of its own",
        )
        .into());
    }
    check_description(description).map_err(Stop::from)
}

fn check_description(description: &Description) -> Result<(), Refusal> {
    if description.recorded_end < description.recorded_start {
        return Err(Refusal::new(
            Reason::InvalidArgument,
            "C1",
            format!(
                "the recording ends at {} before it starts at {}",
                description.recorded_end, description.recorded_start
            ),
            "give the times as the device has them; they are kept as they are",
        ));
    }
    check_text("the file name", &description.file_name)?;
    if description.labels.len() > limits::LABELS_MAX {
        return Err(Refusal::invalid(format!("an item takes at most {} labels", limits::LABELS_MAX)));
    }
    for (name, value) in &description.labels {
        check_label_name(name)?;
        check_text(name, value)?;
    }
    if let Some(proof) = &description.device_proof {
        check_label_name(&proof.scheme)?;
        if proof.value.is_empty() || proof.value.len() > limits::TEXT_BYTES_MAX {
            return Err(Refusal::invalid(format!(
                "what the device signed is 1 to {} bytes, this is {}; ingest what is longer as an original of its own",
                limits::TEXT_BYTES_MAX,
                proof.value.len()
            )));
        }
    }
    Ok(())
}

pub(crate) fn check_label_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > limits::NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(Refusal::invalid(format!(
            "a label's name takes 1 to {} bytes without control characters",
            limits::NAME_BYTES_MAX
        )));
    }
    Ok(())
}

pub(crate) fn check_text(what: &str, text: &str) -> Result<(), Refusal> {
    if text.len() > limits::TEXT_BYTES_MAX {
        return Err(Refusal::invalid(format!("{what} takes at most {} bytes", limits::TEXT_BYTES_MAX)));
    }
    Ok(())
}

/// A committed step has no gaps, belongs to its stream, and only the last chunk of an original is short.
fn check_step(command: &CommitProgress, row: &UploadRow) -> Result<(), Refusal> {
    let chunks = command.step.chunk_count();
    check_runs(&command.step, command.first, command.epoch)?;
    let full = chunks * limits::CHUNK_BYTES as u64;
    let short_by = full.checked_sub(command.bytes);
    let fits = match command.end {
        None => short_by == Some(0) && chunks > 0 && !command.sha256_midstate.is_empty(),
        Some(end) => {
            short_by.is_some_and(|short| short < limits::CHUNK_BYTES as u64)
                && row.committed_bytes + command.bytes == end.size_bytes
        }
    };
    if !fits || chunks > limits::PROGRESS_CHUNKS as u64 {
        return Err(Refusal::invalid("the bytes of a step do not fit its chunks"));
    }
    if row.committed_bytes + command.bytes > limits::ORIGINAL_BYTES_MAX {
        return Err(Refusal::invalid(format!("an original takes at most {} bytes", limits::ORIGINAL_BYTES_MAX)));
    }
    Ok(())
}

fn check_runs(step: &ManifestStep, first: ChunkIndex, epoch: UploadEpoch) -> Result<(), Refusal> {
    let mut next = first.0;
    for run in &step.runs {
        let end = next + run.chunks.len() as u64;
        let absent_inside = run.absent.iter().all(|absent| (next..end).contains(&absent.chunk.0));
        if run.first.0 != next || run.chunks.is_empty() || run.epoch != epoch || !absent_inside {
            return Err(Refusal::invalid("the runs of a step follow one another and belong to its stream"));
        }
        next = end;
    }
    Ok(())
}

fn superseded(item: ItemId) -> Refusal {
    Refusal::new(
        Reason::UploadSuperseded,
        "",
        format!("another stream took over the upload of item {item}"),
        "go on with the newer stream, or resume",
    )
}

fn out_of_order(command: &CommitProgress, row: &UploadRow) -> Refusal {
    Refusal::new(
        Reason::OutOfOrder,
        "",
        format!(
            "progress of item {} starts at chunk {}, committed are {}",
            command.item, command.first.0, row.chunks.0
        ),
        "resume from what is committed",
    )
}

fn compare(command: &Seal, end: &UploadEnd) -> Result<(), Refusal> {
    let differs = if command.size_bytes != end.size_bytes {
        Some(format!("{} bytes were announced, {} arrived", command.size_bytes, end.size_bytes))
    } else if command.blake3.is_some_and(|blake3| blake3 != end.blake3) {
        Some(format!("the BLAKE3 announced is not that of what arrived, {}", end.blake3))
    } else if command.sha256.is_some_and(|sha256| sha256 != end.sha256) {
        Some(format!("the SHA-256 announced is not that of what arrived, {}", end.sha256))
    } else {
        None
    };
    differs.map_or(Ok(()), |message| {
        Err(Refusal::new(Reason::DigestMismatch, "G1", message, "open a new upload and send the file again"))
    })
}

fn same_original(command: &Seal, item: &ItemRow) -> Result<Answer, Refusal> {
    match compare(command, &item.original) {
        Ok(()) => Ok(Answer::Sealed(command.item, item.seq, item.sealed_at)),
        Err(difference) => Err(Refusal::new(
            Reason::OriginalImmutable,
            "G1",
            format!("item {} is sealed with other bytes: {}", command.item, difference.message),
            "an original is never changed; other bytes are another item",
        )),
    }
}

/// Writes the item, its retention and its record.
fn seal_item(
    decision: &mut Decision<'_>,
    item: ItemId,
    description: Description,
    original: UploadEnd,
    station: &PrincipalRow,
) -> Result<Answer, Stop> {
    let clock = clock::read(decision.rows)?;
    let sealed_at = decision.wall;
    let (version, profile) = profile_of(decision.rows, &description)?;
    let seq = decision.next_seq();
    let device = DEVICES.read(decision.rows, &description.device)?;
    let quarantined = device.is_none();
    let mut findings = findings(&description, &clock, sealed_at, device.as_ref());
    findings.extend(activity::findings_at_seal(decision.rows, &description, &profile.profile, sealed_at)?);
    let row = ItemRow {
        labels: first_labels(&description, station, seq),
        findings,
        retention: retention::at_seal(&profile, version, clock.start(sealed_at)),
        sent_by: station.id.clone(),
        description,
        original,
        sealed_at,
        seq,
        quarantined,
    };
    ITEMS.write(decision.rows, &item, &row);
    activity::note_seal(decision.rows, item, &row, &profile.profile)?;
    naming::number(decision.rows, item, &row, &profile.profile)?;
    ITEMS_BY_UNIT.write(decision.rows, &(row.description.unit.clone(), newest_first(seq.0)), &item);
    count(decision.rows, |counters| counters.items += 1)?;
    let floor = profile.profile.floor.as_ref();
    let rule = floor.map_or_else(|| profile.profile.open_floor_rule(), |floor| &floor.source.rule).to_owned();
    let facts = seal_facts(decision, &row)?;
    decision.record(Act::ItemSeal, &rule, vec![item], facts);
    Ok(Answer::Sealed(item, seq, sealed_at))
}

fn stream_facts(row: &UploadRow) -> BTreeMap<Fact, Value> {
    BTreeMap::from([
        (Fact::Unit, row.description.unit.as_str().into()),
        (Fact::Node, row.gateway.to_string().into()),
        (Fact::Count, u64::from(row.epoch.0).into()),
    ])
}

fn profile_of(rows: &dyn Rows, description: &Description) -> Result<(u64, ProfileRow), Stop> {
    // A station may name a unit that has ended since: its successor's profile governs what it sends.
    newest_profile(rows, &unit::current(rows, &description.unit)?.profile)
}

/// The newest version of a profile, with its number.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn newest_profile(
    rows: &(impl Rows + ?Sized),
    name: &strongroom_types::ProfileName,
) -> Result<(u64, ProfileRow), Stop> {
    let versions = PROFILE_VERSIONS.read(rows, name)?.unwrap_or_default();
    let version = versions.newest().ok_or_else(|| Refusal::not_found(format!("profile {name}")))?.version;
    let row = PROFILES
        .read(rows, &(name.clone(), version))?
        .ok_or_else(|| RowError::Corrupt { table: PROFILES.name, detail: format!("there is no {name}@{version}") })?;
    Ok((version, row))
}

fn first_labels(
    description: &Description,
    station: &PrincipalRow,
    seq: RecordSeq,
) -> BTreeMap<String, Vec<LabelValue>> {
    let value = |value: &String| vec![LabelValue { value: value.clone(), by: station.id.clone(), seq }];
    description.labels.iter().map(|(name, text)| (name.clone(), value(text))).collect()
}

/// Findings never refuse: footage is taken as it comes, and what is odd about it is written beside it.
fn findings(
    description: &Description,
    clock: &ClockRow,
    sealed_at: UnixMillis,
    device: Option<&DeviceRow>,
) -> Vec<String> {
    let mut findings = Vec::new();
    if description.recorded_end > sealed_at.max(clock.t) {
        findings.push("CLOCK_FAULT".to_owned());
    }
    match device {
        None => findings.push("UNREGISTERED_DEVICE".to_owned()),
        Some(device) if !device.device_type.records() => findings.push("DEVICE_DOES_NOT_RECORD".to_owned()),
        Some(_) => {}
    }
    findings
}

fn seal_facts(decision: &Decision<'_>, row: &ItemRow) -> Result<BTreeMap<Fact, Value>, Stop> {
    let cluster = decision.cluster()?;
    let mut facts = BTreeMap::from([
        (Fact::Cluster, Value::from(cluster.cluster.as_bytes().as_slice())),
        (Fact::SizeBytes, row.original.size_bytes.into()),
        (Fact::Blake3, row.original.blake3.as_bytes().as_slice().into()),
        (Fact::Sha256, row.original.sha256.as_bytes().as_slice().into()),
        (Fact::Device, row.description.device.as_str().into()),
        (Fact::Unit, row.description.unit.as_str().into()),
        (Fact::FileName, row.description.file_name.as_str().into()),
        (Fact::RecordedStart, row.description.recorded_start.into()),
        (Fact::RecordedEnd, row.description.recorded_end.into()),
        (Fact::RetentionStart, row.retention.start.into()),
        (Fact::Profile, format!("{}@{}", row.retention.profile, row.retention.version).into()),
        (Fact::SealedAt, row.sealed_at.into()),
        (Fact::Policy, cluster.policy_digest.as_slice().into()),
    ]);
    if let Some(until) = row.retention.floor_until {
        facts.insert(Fact::FloorUntil, until.into());
    }
    if let Some(media_type) = row.description.media_type {
        facts.insert(Fact::MediaType, media_type.name().into());
    }
    if let Some(proof) = &row.description.device_proof {
        facts.insert(Fact::DeviceScheme, proof.scheme.as_str().into());
        facts.insert(Fact::DeviceProof, proof.value.as_slice().into());
    }
    if let Some(activity) = &row.description.activity {
        facts.insert(Fact::Activity, activity.as_str().into());
    }
    if !row.description.labels.is_empty() {
        // The digest alone: receipts carry this record, and labels name people.
        facts.insert(Fact::LabelsDigest, retained::labels_digest(&row.description.labels).as_slice().into());
    }
    if row.quarantined {
        facts.insert(Fact::Quarantined, true.into());
    }
    if cluster.trial {
        facts.insert(Fact::Trial, true.into());
    }
    if !row.findings.is_empty() {
        facts.insert(Fact::Finding, row.findings.join(" ").into());
    }
    Ok(facts)
}

fn write_upload(rows: &mut dyn Rows, item: ItemId, row: &UploadRow) {
    UPLOADS.write(rows, &item, row);
    UPLOADS_BY_PROGRESS.write(rows, &(row.progress_at, item), &());
}

fn remove_upload_index(rows: &mut dyn Rows, item: ItemId, row: &UploadRow) {
    UPLOADS_BY_PROGRESS.remove(rows, &(row.progress_at, item));
}

fn count(rows: &mut dyn Rows, change: impl FnOnce(&mut crate::tables::CountersRow)) -> Result<(), RowError> {
    let mut counters = COUNTERS.read(rows, &())?.unwrap_or_default();
    change(&mut counters);
    COUNTERS.write(rows, &(), &counters);
    Ok(())
}

/// The committed run that holds a chunk of an item, where there is one.
///
/// # Errors
/// [`RowError`] where a step cannot be read.
pub fn run_of(rows: &(impl Rows + ?Sized), item: ItemId, chunk: ChunkIndex) -> Result<Option<ManifestRun>, RowError> {
    // A step has at most so many chunks: one that begins this far before the chunk ends before it.
    let behind = chunk.0.checked_sub(limits::PROGRESS_CHUNKS as u64);
    let after = behind.map(|first| (item, ChunkIndex(first)).to_bytes());
    let steps = MANIFEST.scan(rows, &item, after.as_deref(), limits::PROGRESS_CHUNKS)?;
    let holds = |run: &ManifestRun| run.first <= chunk && chunk.0 - run.first.0 < run.chunks.len() as u64;
    Ok(steps.into_iter().flat_map(|(_, step)| step.runs).find(holds))
}

/// The volumes that hold an item, and how many steps say so; none where there are more steps than `steps_max`.
///
/// # Errors
/// [`RowError`] where a step cannot be read.
pub fn volumes_of(
    rows: &(impl Rows + ?Sized),
    item: ItemId,
    steps_max: usize,
) -> Result<Option<(BTreeSet<VolumeId>, usize)>, RowError> {
    let (mut volumes, mut steps, mut after) = (BTreeSet::new(), 0, None::<Vec<u8>>);
    loop {
        let page = MANIFEST.scan(rows, &item, after.as_deref(), limits::PAGE_ROWS_MAX)?;
        let last_page = page.len() < limits::PAGE_ROWS_MAX;
        steps += page.len();
        if steps > steps_max {
            return Ok(None);
        }
        for (key, step) in page {
            after = Some(key);
            volumes.extend(step.runs.iter().map(|run| run.volume));
        }
        if last_page {
            return Ok(Some((volumes, steps)));
        }
    }
}

/// The committed steps of an item, in order.
///
/// # Errors
/// [`RowError`] where one cannot be read.
pub fn manifest(rows: &(impl Rows + ?Sized), item: ItemId) -> Result<Vec<ManifestStep>, RowError> {
    let mut steps = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = MANIFEST.scan(rows, &item, after.as_deref(), limits::PAGE_ROWS_MAX)?;
        let Some((last, _)) = page.last() else { return Ok(steps) };
        after = Some(last.clone());
        steps.extend(page.into_iter().map(|(_, step)| step));
    }
}
