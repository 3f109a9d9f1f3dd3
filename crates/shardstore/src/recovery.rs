//! Bringing the index up to the segments: after a crash for what lies past the watermark, or from nothing.
//!
//! **What is known to be synced.** A group of records is acknowledged after its fdatasync, and the next group is
//! written only after that. So three things, none of which costs a sync of its own, prove that a segment was on the
//! medium up to some offset:
//!
//! - the header of any record of a later group: its `synced_to` is where the group before it ended;
//! - the name block of the next segment: it says up to where the last one was proven when it was left;
//! - the watermark in the index: it is written after the sync, in one batch with the rows. The index itself is not
//!   synced, so after a crash the watermark may be older than the truth, and never newer.
//!
//! The greatest of these is *proven to*. It is a lower bound: at most the last group that was acknowledged lies past it.
//!
//! **What is done with a record.**
//!
//! ```text
//!              header good, payload good   header good, payload bad    header bad
//!  proven      indexed (payload unread)    indexed; reads say Corrupt  reported as damage, stepped over by blocks
//!  past it     indexed                     discarded: a copy row       discarded: debris, stepped over by blocks
//! ```
//!
//! Past the proven offset, payloads are read from the medium and not from the page cache, after an fdatasync: a
//! record that only memory holds is not one. An acknowledged record past it was synced whole, so it is good unless
//! the medium lost it. Nothing is ever truncated or written over: the segment is closed where its last good record
//! ends, and the next put creates a new segment, whose name block says so for good. Bytes of the old tail are thus
//! never used again, and no mistake made here could make an acknowledged record vanish.
//!
//! A tombstone found past the watermark makes its scopes pending: the holes are punched (again) before the disk opens.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use strongroom_types::{DiskId, limits::DISK_BLOCK_BYTES};

use crate::{
    EraseScope, ShardAddress, VerifiedShard, crc32c,
    index::{Change, Index, IndexError, Location, SegmentRow},
    layout::{self, Body, NAME_BLOCK_BYTES, Place, Previous, Record, SegmentName},
    marker,
    reading::{self, ReadFault, Source},
    segment::Segments,
};

/// A range that held acknowledged records and does not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedRange {
    /// The segment.
    pub segment: u64,
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

/// What opening a disk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Why the index was built anew, if it was.
    pub rebuilt: Option<String>,
    /// Segments that were scanned past their watermark.
    pub segments_scanned: u64,
    /// Shards that were indexed.
    pub shards_indexed: u64,
    /// Tombstones that were indexed.
    pub tombstones_indexed: u64,
    /// Bytes of writes that a crash interrupted; none of them was acknowledged.
    pub torn_bytes: u64,
    /// What is damaged: repair has to look for what was there.
    pub damaged: Vec<DamagedRange>,
    /// Segments that should be there and are not.
    pub segments_missing: Vec<u64>,
}

/// Why recovery stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoveryError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("could not {what}: {source}")]
    Io { what: &'static str, source: io::Error },
}

/// Where writing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resume {
    pub(crate) next_segment: u64,
    pub(crate) previous: Previous,
    pub(crate) used_bytes: u64,
}

/// Indexes whatever the segments hold and the index does not know.
pub(crate) fn recover(
    disk: DiskId,
    segments: &Segments,
    index: &Index,
    report: &mut RecoveryReport,
) -> Result<Resume, RecoveryError> {
    let numbers = segments.numbers().map_err(io_error("list the segments"))?;
    let mut rows = index.segments()?;
    let last = numbers.last().copied().max(rows.keys().last().copied()).unwrap_or(0);
    let present: BTreeSet<u64> = numbers.iter().copied().collect();
    report.segments_missing = (1..=last).filter(|number| !present.contains(number)).collect();

    let open = |number: &u64| !rows.get(number).is_some_and(|row| row.closed);
    let to_scan: Vec<u64> = numbers.iter().copied().filter(open).collect();
    let claims = match to_scan.first() {
        Some(first) => {
            // A killed process may have left a segment whose name only memory holds.
            marker::sync_folder(segments.folder()).map_err(io_error("sync the segments folder"))?;
            claims_on(disk, segments, numbers.iter().copied().filter(|number| number > first))?
        }
        None => BTreeMap::new(),
    };
    for number in to_scan {
        let row = rows.get(&number).copied().unwrap_or_default();
        let claim = claims.get(&number).copied().unwrap_or_default();
        let proven_to = row.proven_to.max(claim.proven_to);
        let scan =
            Scan { disk, segments, number, proven_to, end: claim.end.max(row.indexed_to) }.run(row.indexed_to)?;
        rows.insert(number, scan.row());
        index.commit(&scan.change(number))?;
        scan.tell(number, report);
    }
    for (number, row) in rows.iter().filter(|(number, _)| present.contains(number)) {
        report_what_was_cut_off(segments, *number, row, report)?;
    }
    let previous = rows.iter().rev().find(|(_, row)| row.indexed_to > NAME_BLOCK_BYTES).map(|(number, row)| Previous {
        segment: *number,
        proven_to: row.proven_to,
        end: row.indexed_to,
    });
    Ok(Resume {
        next_segment: last + 1,
        previous: previous.unwrap_or_default(),
        used_bytes: segments.used_bytes(&numbers).map_err(io_error("measure the segments"))?,
    })
}

/// What segments say of those before them.
fn claims_on(
    disk: DiskId,
    segments: &Segments,
    numbers: impl Iterator<Item = u64>,
) -> Result<BTreeMap<u64, Previous>, RecoveryError> {
    let mut claims = BTreeMap::new();
    for number in numbers {
        match segments.read(number, 0, usize::try_from(NAME_BLOCK_BYTES).expect("a block")) {
            Ok(bytes) => {
                if let Some(name) = bytes.first_chunk().and_then(|bytes| SegmentName::decode(bytes, disk, number)) {
                    claims.insert(name.previous.segment, name.previous);
                }
            }
            // A segment that was created and never written, or a bad block: it says nothing.
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof) || is_medium_error(&error) => {}
            Err(source) => return Err(RecoveryError::Io { what: "read the name of a segment", source }),
        }
    }
    Ok(claims)
}

fn report_what_was_cut_off(
    segments: &Segments,
    number: u64,
    row: &SegmentRow,
    report: &mut RecoveryReport,
) -> Result<(), RecoveryError> {
    let length = segments.length(number).map_err(io_error("measure a segment"))?;
    if length < row.indexed_to {
        report.damaged.push(DamagedRange { segment: number, offset: length, length: row.indexed_to - length });
    }
    Ok(())
}

/// Offset and length.
type Span = (u64, u64);

/// One segment to be scanned.
struct Scan<'a> {
    disk: DiskId,
    segments: &'a Segments,
    number: u64,
    /// As far as is known before its headers are read.
    proven_to: u64,
    end: u64,
}

/// What a segment holds from some offset on.
#[derive(Debug, Default)]
struct Scanned {
    shards: Vec<(ShardAddress, Location)>,
    copies: Vec<(ShardAddress, Location)>,
    erased: Vec<EraseScope>,
    tombstones: u64,
    damaged: Vec<Span>,
    torn_bytes: u64,
    proven_to: u64,
    end: u64,
}

impl Scan<'_> {
    fn run(mut self, indexed_to: u64) -> Result<Scanned, RecoveryError> {
        // What memory holds and the medium does not is made to be there, or else is not seen below.
        self.segments
            .open_to_punch(self.number)
            .and_then(|file| file.sync_data())
            .map_err(io_error("sync a segment"))?;
        let (records, gaps) = self.walk(indexed_to)?;
        let claimed = records.iter().map(|record| record.synced_to).max();
        self.proven_to = self.proven_to.max(claimed.unwrap_or(0));

        let end = self.end.max(self.proven_to);
        let mut scanned = Scanned { proven_to: self.proven_to, end, ..Scanned::default() };
        for record in &records {
            self.sort(record, &mut scanned)?;
        }
        for (offset, length) in gaps {
            let damaged = self.proven_to.saturating_sub(offset).min(length);
            if damaged > 0 {
                scanned.damaged.push((offset, damaged));
            }
            scanned.torn_bytes += length - damaged;
        }
        Ok(scanned)
    }

    /// Good headers, and the blocks between records where there is none (as offset and length).
    fn walk(&self, from: u64) -> Result<(Vec<Record>, Vec<Span>), RecoveryError> {
        let length = self.segments.length(self.number).map_err(io_error("measure a segment"))?;
        let (mut records, mut gaps) = (Vec::new(), Vec::<Span>::new());
        let mut offset = from.max(NAME_BLOCK_BYTES);
        while offset < length {
            let step = match reading::header(self.segments, self.place(offset)) {
                Ok(record) => {
                    let bytes = layout::record_bytes(record.body.payload_bytes());
                    records.push(record);
                    bytes
                }
                Err(ReadFault::Corrupt(_)) => {
                    let step = DISK_BLOCK_BYTES.min(length - offset);
                    match gaps.last_mut() {
                        Some((start, gap)) if *start + *gap == offset => *gap += step,
                        Some(_) | None => gaps.push((offset, step)),
                    }
                    step
                }
                Err(ReadFault::Io(source)) => return Err(RecoveryError::Io { what: "read a segment", source }),
            };
            offset += step;
        }
        Ok((records, gaps))
    }

    fn sort(&self, record: &Record, scanned: &mut Scanned) -> Result<(), RecoveryError> {
        let (payload_bytes, payload_crc32c) = (record.body.payload_bytes(), record.body.payload_crc32c());
        let offset = record.place.offset;
        let location = Location { segment: self.number, offset, payload_bytes, payload_crc32c };
        let bytes = layout::record_bytes(payload_bytes);
        let end = offset + bytes;
        let proven = end <= self.proven_to;
        match &record.body {
            Body::Shard(header) => {
                if proven || self.is_whole(&header.address, &location)? {
                    scanned.shards.push((header.address, location));
                    scanned.end = scanned.end.max(end);
                } else {
                    scanned.copies.push((header.address, location));
                    scanned.torn_bytes += bytes;
                }
            }
            Body::Tombstone { .. } => match self.scopes(&location)? {
                Some(scopes) => {
                    scanned.erased.extend(scopes);
                    scanned.tombstones += 1;
                    scanned.end = scanned.end.max(end);
                }
                None if proven => {
                    scanned.damaged.push((offset, bytes));
                    scanned.end = scanned.end.max(end);
                }
                None => scanned.torn_bytes += bytes,
            },
        }
        Ok(())
    }

    fn is_whole(&self, address: &ShardAddress, location: &Location) -> Result<bool, RecoveryError> {
        match reading::record(self.segments, self.disk, location, Source::Medium) {
            Ok((Record { body: Body::Shard(header), .. }, payload)) => {
                Ok(VerifiedShard::verify(address, header, payload).is_ok())
            }
            Ok((Record { body: Body::Tombstone { .. }, .. }, _)) | Err(ReadFault::Corrupt(_)) => Ok(false),
            Err(ReadFault::Io(source)) => Err(RecoveryError::Io { what: "read a record", source }),
        }
    }

    fn scopes(&self, location: &Location) -> Result<Option<Vec<EraseScope>>, RecoveryError> {
        match reading::record(self.segments, self.disk, location, Source::Medium) {
            Ok((_, payload)) if crc32c(&payload) == location.payload_crc32c => Ok(layout::decode_scopes(&payload)),
            Ok(_) | Err(ReadFault::Corrupt(_)) => Ok(None),
            Err(ReadFault::Io(source)) => Err(RecoveryError::Io { what: "read a tombstone", source }),
        }
    }

    fn place(&self, offset: u64) -> Place {
        Place { disk: self.disk, segment: self.number, offset }
    }
}

impl Scanned {
    fn row(&self) -> SegmentRow {
        SegmentRow { indexed_to: self.end, proven_to: self.proven_to, closed: true }
    }

    fn change(&self, number: u64) -> Change {
        Change {
            shards: self.shards.clone(),
            copies: self.copies.clone(),
            erased: self.erased.clone(),
            segments: vec![(number, self.row())],
            ..Change::default()
        }
    }

    fn tell(&self, number: u64, report: &mut RecoveryReport) {
        report.segments_scanned += 1;
        report.shards_indexed += count(self.shards.len());
        report.tombstones_indexed += self.tombstones;
        report.torn_bytes += self.torn_bytes;
        let damaged = self.damaged.iter();
        report.damaged.extend(damaged.map(|(offset, length)| DamagedRange {
            segment: number,
            offset: *offset,
            length: *length,
        }));
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).expect("a length in memory fits")
}

fn is_medium_error(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> RecoveryError {
    move |source| RecoveryError::Io { what, source }
}
