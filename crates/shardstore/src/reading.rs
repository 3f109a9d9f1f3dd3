//! Reading one record: its bytes in one read, its header checked, its payload a slice of the same buffer.

use std::io;

use bytes::Bytes;
use strongroom_types::{DiskId, limits::DISK_BLOCK_BYTES};

use crate::{
    Corruption,
    index::Location,
    layout::{self, HEADER_BYTES, Place, Record},
    segment::Segments,
};

/// Where a read may take its bytes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The page cache, if the file system cannot do without and it has them.
    Any,
    /// The medium, always.
    Medium,
}

/// Why a record was not read.
#[derive(Debug)]
pub(crate) enum ReadFault {
    /// This record cannot be used; others may.
    Corrupt(Corruption),
    /// The disk could not be asked.
    Io(io::Error),
}

/// The record at `location`: a good header in its own place, and a payload that is **not** yet compared with it.
pub(crate) fn record(
    segments: &Segments,
    disk: DiskId,
    location: &Location,
    source: Source,
) -> Result<(Record, Bytes), ReadFault> {
    let Location { segment, offset, payload_bytes, .. } = *location;
    let length = usize::try_from(layout::record_bytes(payload_bytes)).expect("a record is a few MiB");
    let ready = match source {
        Source::Any => Ok(()),
        Source::Medium => segments.forget_cached(segment),
    };
    let bytes = ready.and_then(|()| segments.read(segment, offset, length)).map_err(|error| fault(error, segment))?;
    let header: &[u8; HEADER_BYTES] = bytes.first_chunk().expect("a record is longer than its header");
    let record = Record::decode(header, Place { disk, segment, offset }).map_err(ReadFault::Corrupt)?;
    let found = record.body.payload_bytes();
    if found != payload_bytes {
        let found = usize::try_from(found).expect("a payload is a few MiB");
        return Err(ReadFault::Corrupt(Corruption::PayloadLength { expected: payload_bytes, found }));
    }
    let payload = usize::try_from(layout::payload_offset(payload_bytes)).expect("less than two blocks");
    Ok((record, bytes.slice(payload..)))
}

/// The header at a place, if there is a good one.
pub(crate) fn header(segments: &Segments, place: Place) -> Result<Record, ReadFault> {
    let block = usize::try_from(DISK_BLOCK_BYTES).expect("a small constant");
    let bytes = segments.read(place.segment, place.offset, block).map_err(|error| fault(error, place.segment))?;
    Record::decode(bytes.first_chunk().expect("a block is longer than a header"), place).map_err(ReadFault::Corrupt)
}

/// What the medium says of single places is corruption; anything else says something of the disk or the process.
fn fault(error: io::Error, segment: u64) -> ReadFault {
    match error.raw_os_error() {
        Some(libc::ENOENT) => ReadFault::Corrupt(Corruption::SegmentMissing { segment }),
        Some(libc::EIO | libc::ENODATA | libc::EUCLEAN | libc::EILSEQ) => {
            ReadFault::Corrupt(Corruption::Unreadable { why: error.to_string() })
        }
        Some(_) | None if error.kind() == io::ErrorKind::UnexpectedEof => ReadFault::Corrupt(Corruption::Short),
        Some(_) | None => ReadFault::Io(error),
    }
}
