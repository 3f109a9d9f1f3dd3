//! Both digests of a file in one pass.

use std::io::{self, Read};

use sha2::{Digest, Sha256};
use strongroom_types::{ItemDigest, Sha256Digest};

/// Bytes read at once: enough for BLAKE3's widest vectors, little enough to stay in the cache.
const PIECE_BYTES: usize = 256 << 10;

/// Length and digests of a file as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileDigests {
    /// Length in bytes.
    pub size_bytes: u64,
    /// What `b3sum` prints.
    pub blake3: ItemDigest,
    /// What `sha256sum` prints.
    pub sha256: Sha256Digest,
}

impl FileDigests {
    /// Reads to the end, hashing as it goes.
    ///
    /// # Errors
    /// What the reader answers; an interrupted read is tried again.
    pub fn of(file: &mut dyn Read) -> io::Result<Self> {
        let mut piece = vec![0; PIECE_BYTES];
        let mut blake3 = blake3::Hasher::new();
        let mut sha256 = Sha256::new();
        let mut size_bytes = 0;
        loop {
            let count = match file.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let bytes = &piece[..count];
            blake3.update(bytes);
            sha256.update(bytes);
            size_bytes += u64::try_from(count).expect("a buffer's length fits 64 bits");
        }
        Ok(Self {
            size_bytes,
            blake3: ItemDigest::new(*blake3.finalize().as_bytes()),
            sha256: Sha256Digest::new(sha256.finalize().into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, interrupted before each.
    struct Halting<'a> {
        rest: &'a [u8],
        interrupted: bool,
    }

    impl Read for Halting<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.interrupted = !self.interrupted;
            if self.interrupted { Err(io::ErrorKind::Interrupted.into()) } else { self.rest.read(&mut buffer[..1]) }
        }
    }

    #[test]
    fn the_digests_are_those_that_b3sum_and_sha256sum_print() {
        let digests = FileDigests::of(&mut &b"abc"[..]).expect("reads");
        assert_eq!(digests.size_bytes, 3);
        assert_eq!(digests.blake3.to_string(), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
        assert_eq!(digests.sha256.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let empty = FileDigests::of(&mut io::empty()).expect("reads");
        assert_eq!(empty.sha256.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn how_the_reader_cuts_does_not_matter() {
        let bytes: Vec<u8> = (0..=250).cycle().take(PIECE_BYTES + 12_345).collect();
        let whole = FileDigests::of(&mut bytes.as_slice()).expect("reads");
        assert_eq!(whole.size_bytes, u64::try_from(bytes.len()).expect("fits"));
        assert_eq!(whole.blake3.as_bytes(), blake3::hash(&bytes).as_bytes());
        let cut = FileDigests::of(&mut Halting { rest: &bytes, interrupted: false }).expect("reads");
        assert_eq!(cut, whole);
    }

    #[test]
    fn a_failing_reader_fails_the_digest() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
        assert!(FileDigests::of(&mut Broken).is_err());
    }
}
