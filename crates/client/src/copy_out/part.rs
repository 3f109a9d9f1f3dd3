//! A file on its way: it has no final name before its bytes are proved to be the granted ones.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use strongroom_types::{ItemDigest, ItemId, Sha256Digest};
use tokio::sync::mpsc;

use crate::file;

const READ_BYTES: usize = 1 << 20;

/// What the cluster granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) item: ItemId,
    pub(super) size_bytes: u64,
    pub(super) blake3: ItemDigest,
    pub(super) sha256: Sha256Digest,
}

/// `NAME.part` with the digests of what is in it.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    sums: Sums,
}

impl Part {
    /// Opens what an earlier run left and hashes it, or begins anew.
    pub(super) fn open(path: &Path, size_bytes: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        // A run that was given up may still be writing its last pieces: wait for it. Some file systems know no locks;
        // then the digests tell.
        let _ = file.lock();
        if file.metadata()?.len() > size_bytes {
            file.set_len(0)?;
        }
        let sums = Sums::of(&mut file)?;
        Ok(Self { path: path.to_owned(), file, sums })
    }

    pub(super) const fn written_bytes(&self) -> u64 {
        self.sums.bytes
    }

    /// Appends what comes until the sender is gone.
    pub(super) fn write_all(mut self, mut pieces: mpsc::Receiver<Bytes>) -> io::Result<Self> {
        self.file.seek(SeekFrom::Start(self.sums.bytes))?;
        while let Some(piece) = pieces.blocking_recv() {
            self.file.write_all(&piece)?;
            self.sums.update(&piece);
        }
        Ok(self)
    }

    /// Gives the file its name if it is what was wanted; otherwise throws it away and says how it differs. It is read
    /// once more after the sync: the digests so far are of what was written, these are of what is there.
    pub(super) fn finish(mut self, wanted: &Wanted, path: &Path) -> io::Result<Option<String>> {
        self.file.sync_all()?;
        let differs = match self.sums.difference(wanted) {
            None => Sums::of(&mut self.file)?.difference(wanted),
            differs => differs,
        };
        if differs.is_some() {
            fs::remove_file(&self.path)?;
            return Ok(differs);
        }
        fs::rename(&self.path, path)?;
        file::sync_folder(path)?;
        Ok(None)
    }
}

/// How a file differs from what was wanted; none where it does not.
pub(super) fn compare_file(path: &Path, wanted: &Wanted) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if size != wanted.size_bytes {
        return Ok(Some(format!("it has {size} bytes instead of {}", wanted.size_bytes)));
    }
    Ok(Sums::of(&mut file)?.difference(wanted))
}

struct Sums {
    bytes: u64,
    blake3: blake3::Hasher,
    sha256: Sha256,
}

impl Sums {
    fn of(file: &mut File) -> io::Result<Self> {
        let mut sums = Self { bytes: 0, blake3: blake3::Hasher::new(), sha256: Sha256::new() };
        let mut buffer = vec![0; READ_BYTES];
        file.seek(SeekFrom::Start(0))?;
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(sums),
                count => sums.update(&buffer[..count]),
            }
        }
    }

    fn update(&mut self, piece: &[u8]) {
        self.blake3.update(piece);
        self.sha256.update(piece);
        self.bytes += piece.len() as u64;
    }

    fn difference(&self, wanted: &Wanted) -> Option<String> {
        let blake3 = ItemDigest::new(self.blake3.finalize().into());
        let sha256 = Sha256Digest::new(self.sha256.clone().finalize().into());
        if self.bytes != wanted.size_bytes {
            Some(format!("it has {} bytes instead of {}", self.bytes, wanted.size_bytes))
        } else if blake3 != wanted.blake3 {
            Some(format!("its BLAKE3 is {blake3} instead of {}", wanted.blake3))
        } else if sha256 != wanted.sha256 {
            Some(format!("its SHA-256 is {sha256} instead of {}", wanted.sha256))
        } else {
            None
        }
    }
}
