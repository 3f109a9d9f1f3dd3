//! Segment files: one writer that appends whole blocks, many readers with a bounded set of descriptors.
//!
//! Writing goes past the page cache (`O_DIRECT`) from one aligned buffer. Measured on the machine of `roofline.md`
//! while it was busy, 1 MiB payloads, a sync per 1 / 4 / 8 / 24 records: 272 / 557 / 1088 / 759 MiB/s for 0.2 to
//! 0.5 CPU-s per GiB, the copy included; buffered writes gave 112 / 204 / 487 / 496 MiB/s for 0.8 to 3.3. Allocating
//! segments ahead (`fallocate`) made no difference beyond the noise, so it is not done: a file's length is then the
//! truth about how far writing came.
//!
//! Reading goes past the page cache too: footage is read rarely and then once, and a cold read cost 0.3 to 0.5 CPU-s
//! per GiB this way and 0.6 to 1.8 through the cache. So what is read is always what the medium holds: after a
//! failed sync no clean page in memory can pretend that the bytes are there. Where a file system knows no `O_DIRECT`,
//! ordinary reads and writes are made instead, and the cache is dropped where it matters.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use strongroom_types::limits::DISK_BLOCK_BYTES;

use crate::sys;

/// The writing side of a segment. A seam of this crate only: tests put failing files behind it.
pub(crate) trait SegmentFile: Send {
    /// Writes whole blocks at a block boundary.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when everything written is on the medium.
    fn sync(&self) -> io::Result<()>;
    /// Cuts off what a failed write left.
    fn truncate(&self, length: u64) -> io::Result<()>;
}

/// Makes segment files.
pub(crate) trait SegmentFiles: Send + Sync {
    /// Creates a file that must not be there yet.
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>>;
}

/// Real files.
#[derive(Debug)]
pub(crate) struct RealFiles;

impl SegmentFiles for RealFiles {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        // Created first and reopened then: a file system without O_DIRECT may refuse after having created.
        OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Box::new(open_past_cache(OpenOptions::new().write(true), path)?.0))
    }
}

impl SegmentFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// Opens with `O_DIRECT` where the file system knows it; says whether it does.
fn open_past_cache(options: &OpenOptions, path: &Path) -> io::Result<(File, bool)> {
    match options.clone().custom_flags(libc::O_DIRECT).open(path) {
        Ok(file) => Ok((file, true)),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok((options.open(path)?, false)),
        Err(error) => Err(error),
    }
}

/// A zeroed buffer whose bytes from `start` on lie as direct input and output want them.
struct Aligned {
    memory: Vec<u8>,
    start: usize,
}

impl Aligned {
    fn new(length: usize) -> Self {
        let block = block_bytes();
        let memory = vec![0; length + block];
        let start = memory.as_ptr().align_offset(block);
        Self { memory, start }
    }
}

fn block_bytes() -> usize {
    usize::try_from(DISK_BLOCK_BYTES).expect("a small constant")
}

/// Collects headers and payloads into blocks and writes them in large pieces.
pub(crate) struct Staging {
    buffer: Aligned,
    length: usize,
    filled: usize,
    offset: u64,
}

impl Staging {
    /// Bytes of one piece: large enough for the medium, small enough to stay in a core's cache.
    pub(crate) const BYTES: usize = 2 << 20;

    pub(crate) fn new(length: usize) -> Self {
        assert!(length > 0 && length.is_multiple_of(block_bytes()), "whole blocks are written");
        Self { buffer: Aligned::new(length), length, filled: 0, offset: 0 }
    }

    /// Starts anew at a block boundary of a file.
    pub(crate) fn start(&mut self, offset: u64) {
        self.filled = 0;
        self.offset = offset;
    }

    /// Appends bytes, writing whenever the buffer is full.
    pub(crate) fn push(&mut self, file: &dyn SegmentFile, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(self.length - self.filled));
            self.free()[..head.len()].copy_from_slice(head);
            self.advance(file, head.len())?;
            bytes = rest;
        }
        Ok(())
    }

    /// Appends zeros.
    pub(crate) fn push_zeros(&mut self, file: &dyn SegmentFile, mut count: usize) -> io::Result<()> {
        while count > 0 {
            let length = count.min(self.length - self.filled);
            self.free()[..length].fill(0);
            self.advance(file, length)?;
            count -= length;
        }
        Ok(())
    }

    /// Writes what is left; it must end a block.
    pub(crate) fn finish(&mut self, file: &dyn SegmentFile) -> io::Result<()> {
        assert!(self.filled.is_multiple_of(block_bytes()), "records end at block boundaries");
        if self.filled > 0 { self.write(file) } else { Ok(()) }
    }

    fn free(&mut self) -> &mut [u8] {
        let start = self.buffer.start;
        &mut self.buffer.memory[start + self.filled..start + self.length]
    }

    fn advance(&mut self, file: &dyn SegmentFile, length: usize) -> io::Result<()> {
        self.filled += length;
        if self.filled == self.length { self.write(file) } else { Ok(()) }
    }

    fn write(&mut self, file: &dyn SegmentFile) -> io::Result<()> {
        let start = self.buffer.start;
        file.write_at(&self.buffer.memory[start..start + self.filled], self.offset)?;
        self.offset += u64::try_from(self.filled).expect("a buffer's length fits");
        self.filled = 0;
        Ok(())
    }
}

/// The reading side of a disk's segments.
#[derive(Debug)]
pub(crate) struct Segments {
    folder: PathBuf,
    open_max: usize,
    open: Mutex<OpenFiles>,
}

/// Descriptors by segment with the tick of their last use.
#[derive(Debug, Default)]
struct OpenFiles {
    files: HashMap<u64, (Arc<OpenFile>, u64)>,
    tick: u64,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    direct: bool,
}

impl Segments {
    pub(crate) fn new(folder: PathBuf, open_max: usize) -> Self {
        Self { folder, open_max: open_max.max(1), open: Mutex::default() }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn path(&self, segment: u64) -> PathBuf {
        self.folder.join(format!("{segment:08}.seg"))
    }

    /// Numbers of the segments that are there, in order. What has no segment's name is left alone.
    pub(crate) fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            match name.to_str().and_then(number_of) {
                Some(number) => numbers.push(number),
                None => tracing::warn!(folder = %self.folder.display(), ?name, "file is not a segment"),
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Bytes that the segments take on the medium.
    pub(crate) fn used_bytes(&self, numbers: &[u64]) -> io::Result<u64> {
        use std::os::unix::fs::MetadataExt;
        numbers.iter().try_fold(0, |sum, number| Ok(sum + fs::metadata(self.path(*number))?.blocks() * 512))
    }

    pub(crate) fn length(&self, segment: u64) -> io::Result<u64> {
        Ok(self.file(segment)?.file.metadata()?.len())
    }

    /// Reads exactly these whole blocks.
    pub(crate) fn read(&self, segment: u64, offset: u64, length: usize) -> io::Result<Bytes> {
        let open = self.file(segment)?;
        // Direct reads that end inside a block fail in a way of their own; a short file is only short.
        let end = offset + u64::try_from(length).expect("a record's length fits");
        if open.file.metadata()?.len() < end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Aligned { mut memory, start } = Aligned::new(length);
        open.file.read_exact_at(&mut memory[start..start + length], offset)?;
        Ok(Bytes::from(memory).slice(start..start + length))
    }

    /// Makes the next read of a segment see what the medium holds. Direct reads always do.
    pub(crate) fn forget_cached(&self, segment: u64) -> io::Result<()> {
        let open = self.file(segment)?;
        if !open.direct {
            open.file.sync_data()?;
            sys::forget_cached(&open.file)?;
        }
        Ok(())
    }

    /// A segment opened for punching holes and for syncing; never for writing bytes.
    pub(crate) fn open_to_punch(&self, segment: u64) -> io::Result<File> {
        OpenOptions::new().write(true).open(self.path(segment))
    }

    fn file(&self, segment: u64) -> io::Result<Arc<OpenFile>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.tick += 1;
        let tick = open.tick;
        if let Some((file, used)) = open.files.get_mut(&segment) {
            *used = tick;
            return Ok(Arc::clone(file));
        }
        let (file, direct) = open_past_cache(OpenOptions::new().read(true), &self.path(segment))?;
        let file = Arc::new(OpenFile { file, direct });
        if open.files.len() >= self.open_max {
            let oldest = open.files.iter().min_by_key(|(_, (_, used))| *used).map(|(number, _)| *number);
            oldest.and_then(|number| open.files.remove(&number));
        }
        open.files.insert(segment, (Arc::clone(&file), tick));
        Ok(file)
    }
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let number = digits.parse().ok()?;
    (format!("{number:08}") == digits && number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staging_writes_what_was_pushed_whatever_the_pieces() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("00000001.seg");
        let file = RealFiles.create(&path).expect("creates");
        let mut staging = Staging::new(8192);
        staging.start(4096);
        let bytes: Vec<u8> = (0..30_000_u32).map(|n| u8::try_from(n % 251).expect("small")).collect();
        for piece in bytes.chunks(7000) {
            staging.push(&*file, piece).expect("writes");
        }
        staging.push_zeros(&*file, 32768 - 30_000).expect("writes");
        staging.finish(&*file).expect("writes");
        let found = fs::read(&path).expect("reads");
        assert_eq!(found.len(), 4096 + 32768);
        assert_eq!(found[4096..34096], bytes);
        assert!(found[34096..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn only_a_bounded_number_of_segments_is_open_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let segments = Segments::new(folder.path().to_owned(), 2);
        for number in 1..=5 {
            fs::write(segments.path(number), [u8::try_from(number).expect("small"); 4096]).expect("writes");
        }
        for number in [1, 2, 3, 1, 4, 5, 1] {
            let bytes = segments.read(number, 0, 4096).expect("reads");
            assert_eq!(u64::from(bytes[7]), number);
            assert!(segments.open.lock().expect("lock").files.len() <= 2);
        }
    }

    #[test]
    fn names_that_are_no_segments_are_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in
            ["00000002.seg", "00000010.seg", "1.seg", "00000000.seg", "x.seg", "00000003.seg.bak", "123456789.seg"]
        {
            fs::write(folder.path().join(name), "").expect("writes");
        }
        assert_eq!(Segments::new(folder.path().to_owned(), 2).numbers().expect("lists"), [2, 10, 123_456_789]);
    }
}
