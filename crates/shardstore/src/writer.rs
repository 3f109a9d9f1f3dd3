//! Group commit: one thread per disk writes everything that waits, syncs once, indexes, and answers.
//!
//! ```text
//!  take the queue ─ decide each ─ write records ─ fdatasync ─ (new segment: fsync the folder) ─ index rows ─ answer
//! ```
//!
//! A group lies in one segment, and the next group is not written before this one is synced. So a record that is
//! found on the disk proves that all groups before its own were synced; its header says up to where. A write that finds
//! no space, in the segment or in the index, is cut off again and refused; any other failure stops the disk, because
//! after a failed sync nobody knows what is on the medium. The segment that a run appends to was created by that run.

use std::{
    collections::HashMap,
    io, mem,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{
    EraseError, EraseScope, GetError, PutError, ShardAddress, ShardHeader,
    index::{Change, IndexError, Location, SegmentRow},
    layout::{self, Body, HEADER_BYTES, NAME_BLOCK_BYTES, Place, Previous, Record, SegmentName},
    marker,
    queue::{EraseJob, PutJob, Queue, Work},
    reading::{ReadFault, Source},
    segment::{SegmentFile, SegmentFiles, Staging},
    shared::Shared,
};

/// Scopes in one tombstone record: it stays below 1 MiB.
const SCOPES_PER_TOMBSTONE: usize = 16_384;

/// The writing side of a disk.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    files: Arc<dyn SegmentFiles>,
    staging: Staging,
    active: Option<Active>,
    next_segment: u64,
    /// The last segment with records before the active one.
    previous: Previous,
    segment_bytes: u64,
    group_bytes: usize,
}

/// The segment that is appended to.
struct Active {
    number: u64,
    file: Box<dyn SegmentFile>,
    /// End of what is synced and indexed; 0: not even its name is written.
    end: u64,
    folder_synced: bool,
}

/// Where recovery left off and how large things may get.
pub(crate) struct Start {
    pub(crate) next_segment: u64,
    pub(crate) previous: Previous,
    pub(crate) segment_bytes: u64,
    pub(crate) group_bytes: usize,
}

/// A record to be appended.
struct Outgoing {
    body: Body,
    payload: Bytes,
}

/// A shard that will be written, and everyone who waits for it.
struct Pending {
    header: ShardHeader,
    payload: Bytes,
    waiting: Vec<Waiting>,
}

struct Waiting {
    answer: oneshot::Sender<Result<(), PutError>>,
    /// Room in the queue, given back with the answer.
    _room: OwnedSemaphorePermit,
}

impl Waiting {
    fn answer(self, result: Result<(), PutError>) {
        // A caller that went away does not want to know.
        let _ = self.answer.send(result);
    }
}

/// What becomes of a put.
enum Decision {
    Write,
    /// The same shard is in this group already, at this position.
    Join(usize),
    Answer(Result<(), PutError>),
}

/// Why nothing was appended.
enum AppendError {
    /// What was written is cut off again; the disk goes on.
    NoSpace,
    /// The disk stopped, and why.
    Failed(String),
}

/// Tells those who wait when the thread ends, however it ends.
struct EndOfService(Arc<Queue>);

impl Drop for EndOfService {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, queue: Arc<Queue>, files: Arc<dyn SegmentFiles>, start: &Start) -> Self {
        Self {
            shared,
            queue,
            files,
            staging: Staging::new(Staging::BYTES),
            active: None,
            next_segment: start.next_segment,
            previous: start.previous,
            segment_bytes: start.segment_bytes,
            group_bytes: start.group_bytes,
        }
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let _end = EndOfService(Arc::clone(&self.queue));
        while let Some(work) = self.queue.take(self.group_bytes) {
            match work {
                Work::Puts(jobs) => self.put_group(jobs),
                Work::Erase(job) => self.erase(job),
            }
        }
    }

    fn put_group(&mut self, jobs: Vec<PutJob>) {
        let mut group: Vec<Pending> = Vec::with_capacity(jobs.len());
        let mut positions: HashMap<ShardAddress, usize> = HashMap::with_capacity(jobs.len());
        for PutJob { header, payload, answer, room } in jobs {
            let waiting = Waiting { answer, _room: room };
            let before = positions.get(&header.address).map(|position| (*position, &group[*position].header));
            match self.decide(&header, before) {
                Decision::Answer(result) => waiting.answer(result),
                Decision::Join(position) => group[position].waiting.push(waiting),
                Decision::Write => {
                    positions.insert(header.address, group.len());
                    group.push(Pending { header, payload, waiting: vec![waiting] });
                }
            }
        }
        let group = self.refuse_without_room(group);
        self.write_puts(group);
    }

    fn decide(&self, header: &ShardHeader, in_group: Option<(usize, &ShardHeader)>) -> Decision {
        let (disk, address) = (self.shared.disk, header.address);
        if let Some(why) = self.shared.failed.get().cloned() {
            return Decision::Answer(Err(PutError::DiskFailed { disk, why }));
        }
        match in_group {
            Some((position, before)) if before == header => return Decision::Join(position),
            Some(_) => return Decision::Answer(Err(PutError::Conflict { address })),
            None => {}
        }
        match self.compare_with_stored(header) {
            Ok(Some(result)) => Decision::Answer(result),
            Ok(None) => Decision::Write,
            Err(error) => {
                Decision::Answer(Err(PutError::DiskFailed { disk, why: self.shared.fail(error.to_string()) }))
            }
        }
    }

    /// The answer, if what is stored already decides it.
    fn compare_with_stored(&self, header: &ShardHeader) -> Result<Option<Result<(), PutError>>, IndexError> {
        let address = header.address;
        if self.shared.index.is_erased(&address)? {
            return Ok(Some(Err(PutError::Erased { address })));
        }
        let Some(location) = self.shared.index.location(&address)? else { return Ok(None) };
        if (location.payload_bytes, location.payload_crc32c) != (header.payload_bytes, header.payload_crc32c) {
            return Ok(Some(Err(PutError::Conflict { address })));
        }
        // "Stored already" is only said of what the medium still holds; a bad copy is written anew, which is how
        // repair mends a shard in place.
        Ok(match self.shared.read_at(&address, &location, Source::Medium) {
            Ok(stored) if stored.header() == header => Some(Ok(())),
            Ok(_) => Some(Err(PutError::Conflict { address })),
            Err(ReadFault::Corrupt(what)) => {
                tracing::warn!(disk = %self.shared.disk, shard = %address, error = %what, "corrupt shard is written anew");
                None
            }
            Err(ReadFault::Io(error)) => {
                let error = GetError::DiskUnavailable { disk: self.shared.disk, why: error.to_string() };
                Some(Err(PutError::Unavailable { why: error.to_string() }))
            }
        })
    }

    /// Keeps what fits above the reserve.
    fn refuse_without_room(&self, group: Vec<Pending>) -> Vec<Pending> {
        if group.is_empty() {
            return group;
        }
        let disk = self.shared.disk;
        let mut free_bytes = match self.shared.room() {
            Ok(room) => room.free_bytes,
            Err(error) => {
                let why = self.shared.fail(format!("could not ask for its free space: {error}"));
                group.into_iter().for_each(|one| one.answer(Err(PutError::DiskFailed { disk, why: why.clone() })));
                return Vec::new();
            }
        };
        let mut kept = Vec::with_capacity(group.len());
        for pending in group {
            let needed_bytes = layout::record_bytes(pending.header.payload_bytes);
            if needed_bytes <= free_bytes {
                free_bytes -= needed_bytes;
                kept.push(pending);
            } else {
                self.refuse_full(pending, PutError::DiskFull { disk, needed_bytes, free_bytes });
            }
        }
        kept
    }

    fn refuse_full(&self, pending: Pending, error: PutError) {
        let needed = layout::record_bytes(pending.header.payload_bytes);
        if self.shared.refused_bytes.swap(needed, Ordering::Relaxed) == 0 {
            tracing::warn!(disk = %self.shared.disk, %error, "disk is full");
        }
        pending.answer(Err(error));
    }

    fn write_puts(&mut self, group: Vec<Pending>) {
        let mut rest = group.into_iter().peekable();
        while rest.peek().is_some() {
            // As many as the segment has room for; an empty segment takes at least one.
            let mut room = self.room_in_segment();
            let mut piece: Vec<Pending> = Vec::new();
            while let Some(next) = rest.next_if(|next| piece.is_empty() || fits(next, room)) {
                if piece.is_empty() && !fits(&next, room) {
                    self.close_segment();
                    room = self.room_in_segment();
                }
                room = room.saturating_sub(layout::record_bytes(next.header.payload_bytes));
                piece.push(next);
            }
            self.write_piece(piece);
        }
    }

    fn write_piece(&mut self, piece: Vec<Pending>) {
        let records: Vec<Outgoing> = piece
            .iter()
            .map(|pending| Outgoing { body: Body::Shard(pending.header), payload: pending.payload.clone() })
            .collect();
        match self.append(&records, Change::default()) {
            Ok(()) => {
                self.shared.refused_bytes.store(0, Ordering::Relaxed);
                piece.into_iter().for_each(|pending| pending.answer(Ok(())));
            }
            Err(AppendError::NoSpace) => {
                for pending in piece {
                    let needed_bytes = layout::record_bytes(pending.header.payload_bytes);
                    let error = PutError::DiskFull { disk: self.shared.disk, needed_bytes, free_bytes: 0 };
                    self.refuse_full(pending, error);
                }
            }
            Err(AppendError::Failed(why)) => {
                let disk = self.shared.disk;
                piece.into_iter().for_each(|one| one.answer(Err(PutError::DiskFailed { disk, why: why.clone() })));
            }
        }
    }

    /// Writes the tombstones of what is not remembered yet. The bytes go later, outside this thread: from here on no
    /// put of what the scopes cover is taken.
    fn erase(&mut self, job: EraseJob) {
        let result = self.write_tombstones(&job.scopes);
        let _ = job.answer.send(result);
    }

    fn write_tombstones(&mut self, scopes: &[EraseScope]) -> Result<(), EraseError> {
        let disk = self.shared.disk;
        let mut news = Vec::new();
        for scope in scopes {
            match self.shared.index.remembers(scope) {
                Ok(true) => {}
                Ok(false) => news.push(*scope),
                Err(error) => return Err(EraseError::DiskFailed { disk, why: self.shared.fail(error.to_string()) }),
            }
        }
        for erased in news.chunks(SCOPES_PER_TOMBSTONE) {
            let payload = Bytes::from(layout::encode_scopes(erased));
            let payload_bytes = u32::try_from(payload.len()).expect("a tombstone is below 1 MiB");
            if layout::record_bytes(payload_bytes) > self.room_in_segment() {
                self.close_segment();
            }
            let body = Body::Tombstone { payload_bytes, payload_crc32c: crate::crc32c(&payload) };
            let change = Change { erased: erased.to_vec(), ..Change::default() };
            self.append(&[Outgoing { body, payload }], change).map_err(|error| match error {
                AppendError::NoSpace => EraseError::DiskFull { disk },
                AppendError::Failed(why) => EraseError::DiskFailed { disk, why },
            })?;
        }
        Ok(())
    }

    /// Appends records as one group: durable and indexed when `Ok`.
    fn append(&mut self, records: &[Outgoing], mut change: Change) -> Result<(), AppendError> {
        if let Some(why) = self.shared.failed.get() {
            return Err(AppendError::Failed(why.clone()));
        }
        let mut active = match self.active.take() {
            Some(active) => active,
            None => self.create_segment()?,
        };
        let result = self.append_to(&mut active, records, &mut change);
        self.active = Some(active);
        result
    }

    fn append_to(&mut self, active: &mut Active, records: &[Outgoing], change: &mut Change) -> Result<(), AppendError> {
        let (number, start) = (active.number, active.end);
        let end = match self.write(active, records) {
            Ok(end) => end,
            Err(error) if is_no_space(&error) => return Err(self.cut_off(active)),
            Err(error) => return Err(failed(&self.shared, "write a segment", &error)),
        };
        active.file.sync().map_err(|error| failed(&self.shared, "sync a segment", &error))?;
        if !active.folder_synced {
            marker::sync_folder(self.shared.segments.folder())
                .map_err(|error| failed(&self.shared, "sync the segments folder", &error))?;
            active.folder_synced = true;
        }
        let mut offset = start.max(NAME_BLOCK_BYTES);
        for Outgoing { body, .. } in records {
            let (payload_bytes, payload_crc32c) = (body.payload_bytes(), body.payload_crc32c());
            if let Body::Shard(header) = body {
                let location = Location { segment: number, offset, payload_bytes, payload_crc32c };
                change.shards.push((header.address, location));
            }
            offset += layout::record_bytes(payload_bytes);
        }
        change.segments.push((number, SegmentRow { indexed_to: end, proven_to: end, closed: false }));
        if start == 0 && self.previous.segment > 0 {
            let Previous { segment, proven_to, end } = self.previous;
            change.segments.push((segment, SegmentRow { indexed_to: end, proven_to, closed: true }));
        }
        match self.shared.index.commit(change) {
            Ok(()) => {}
            // Somebody else filled the file system, the reserve included. The group is durable, but nobody will hear of
            // it and no index knows it: it goes, and the disk goes on when there is space.
            Err(IndexError::NoSpace { .. }) => return Err(self.cut_off(active)),
            Err(error) => return Err(AppendError::Failed(self.shared.fail(error.to_string()))),
        }
        active.end = end;
        self.shared.used_bytes.fetch_add(end - start, Ordering::Relaxed);
        Ok(())
    }

    /// Takes back what was appended to the active segment and is not counted yet, for want of space.
    fn cut_off(&self, active: &Active) -> AppendError {
        match active.file.truncate(active.end) {
            Ok(()) => AppendError::NoSpace,
            Err(error) => failed(&self.shared, "cut off a refused write", &error),
        }
    }

    /// Writes records at the end of the active segment, its name first if it is new. Answers the new end.
    fn write(&mut self, active: &Active, records: &[Outgoing]) -> io::Result<u64> {
        let (disk, segment, file) = (self.shared.disk, active.number, &*active.file);
        self.staging.start(active.end);
        let mut offset = active.end;
        if offset == 0 {
            let name = SegmentName { disk, segment, previous: self.previous }.encode();
            self.staging.push(file, &name)?;
            self.staging.push_zeros(file, usize::try_from(NAME_BLOCK_BYTES).expect("a block") - name.len())?;
            offset = NAME_BLOCK_BYTES;
        }
        for Outgoing { body, payload } in records {
            let record = Record { place: Place { disk, segment, offset }, synced_to: active.end, body: *body };
            let zeros = usize::try_from(layout::payload_offset(body.payload_bytes())).expect("less than two blocks");
            self.staging.push(file, &record.encode())?;
            self.staging.push_zeros(file, zeros - HEADER_BYTES)?;
            self.staging.push(file, payload)?;
            offset += layout::record_bytes(body.payload_bytes());
        }
        self.staging.finish(file)?;
        Ok(offset)
    }

    fn create_segment(&mut self) -> Result<Active, AppendError> {
        let number = self.next_segment;
        match self.files.create(&self.shared.segments.path(number)) {
            Ok(file) => {
                self.next_segment += 1;
                Ok(Active { number, file, end: 0, folder_synced: false })
            }
            Err(error) if is_no_space(&error) => Err(AppendError::NoSpace),
            Err(error) => Err(failed(&self.shared, "create a segment", &error)),
        }
    }

    /// Bytes of records that the active segment still takes. A new one takes at least one record, however small
    /// segments are.
    fn room_in_segment(&self) -> u64 {
        match &self.active {
            Some(active) if active.end > NAME_BLOCK_BYTES => self.segment_bytes.saturating_sub(active.end),
            Some(_) | None => self.segment_bytes.saturating_sub(NAME_BLOCK_BYTES),
        }
    }

    /// The next record goes to a new segment, unless this one has no record yet.
    fn close_segment(&mut self) {
        if let Some(active) = self.active.take_if(|active| active.end > NAME_BLOCK_BYTES) {
            let Active { number, end, .. } = active;
            self.previous = Previous { segment: number, proven_to: end, end };
        }
    }
}

impl Pending {
    fn answer(mut self, result: Result<(), PutError>) {
        for waiting in mem::take(&mut self.waiting) {
            waiting.answer(result.clone());
        }
    }
}

fn fits(pending: &Pending, room: u64) -> bool {
    layout::record_bytes(pending.header.payload_bytes) <= room
}

fn failed(shared: &Shared, what: &str, error: &io::Error) -> AppendError {
    AppendError::Failed(shared.fail(format!("could not {what}: {error}")))
}

/// A sync that finds no space is not among these: after it nobody knows what is on the medium.
fn is_no_space(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}
