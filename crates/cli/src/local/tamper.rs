//! What an intruder with root on one machine could do: change one byte of a stored shard, behind the store's back.
//!
//! It reads segments as their documented format says (`docs/formats/shardstore.md`), not through the store's code.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use strongroom_types::ItemId;

const BLOCK_BYTES: u64 = 4096;
const HEADER_BYTES: u64 = 192;
const MAGIC: &[u8; 8] = b"SRrecord";
const KIND_SHARD: u8 = 1;

/// A byte that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tampered {
    /// The segment.
    pub(crate) path: PathBuf,
    /// Where in it.
    pub(crate) offset: u64,
    /// As it was.
    pub(crate) before: u8,
    /// As it is.
    pub(crate) after: u8,
}

/// Flips one bit in the middle of the item's shard in `slot` on this disk, if the disk holds one.
pub(crate) fn flip(disk: &Path, item: ItemId, slot: u8) -> io::Result<Option<Tampered>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(disk.join("segments"))? {
        segments.push(entry?.path());
    }
    segments.sort();
    for path in segments.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "seg")) {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        if let Some(offset) = find(&file, item, slot)? {
            let mut byte = [0];
            file.read_exact_at(&mut byte, offset)?;
            let (before, after) = (byte[0], byte[0] ^ 1);
            file.write_all_at(&[after], offset)?;
            file.sync_all()?;
            return Ok(Some(Tampered { path, offset, before, after }));
        }
    }
    Ok(None)
}

/// Where the middle of the shard's payload is.
fn find(file: &File, item: ItemId, slot: u8) -> io::Result<Option<u64>> {
    let length = file.metadata()?.len();
    let mut at = BLOCK_BYTES;
    while at + HEADER_BYTES <= length {
        let mut header = [0; 120];
        file.read_exact_at(&mut header, at)?;
        if header[..8] != *MAGIC {
            at += BLOCK_BYTES;
            continue;
        }
        let payload_bytes = u64::from(u32::from_be_bytes([header[112], header[113], header[114], header[115]]));
        let record_bytes = (HEADER_BYTES + payload_bytes).next_multiple_of(BLOCK_BYTES);
        if header[10] == KIND_SHARD && header[11] == slot && header[16..32] == *item.as_bytes() {
            return Ok(Some(at + record_bytes - payload_bytes + payload_bytes / 2));
        }
        at += record_bytes;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A segment of a name block and two shard records, by the format's words.
    fn segment(item: ItemId) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        for (slot, payload) in [(0_u8, 5000_u32), (3, 100)] {
            let start = bytes.len();
            let record =
                usize::try_from((HEADER_BYTES + u64::from(payload)).next_multiple_of(BLOCK_BYTES)).expect("small");
            bytes.resize(start + record, 0xee);
            bytes[start..start + 8].copy_from_slice(MAGIC);
            bytes[start + 10] = KIND_SHARD;
            bytes[start + 11] = slot;
            bytes[start + 16..start + 32].copy_from_slice(item.as_bytes());
            bytes[start + 112..start + 116].copy_from_slice(&payload.to_be_bytes());
        }
        bytes
    }

    #[test]
    fn one_byte_in_the_middle_of_the_shard_is_changed() {
        let disk = tempfile::tempdir().expect("a folder");
        fs::create_dir(disk.path().join("segments")).expect("made");
        let path = disk.path().join("segments/00000001.seg");
        let item = ItemId::new([7; 16]);
        let before = segment(item);
        fs::write(&path, &before).expect("writes");

        assert_eq!(flip(disk.path(), ItemId::new([8; 16]), 0).expect("reads"), None);
        assert_eq!(flip(disk.path(), item, 1).expect("reads"), None);
        let tampered = flip(disk.path(), item, 3).expect("reads").expect("found");
        assert_eq!(tampered.offset, 4096 + 8192 + 4096 - 50);

        let after = fs::read(&path).expect("reads");
        let changed: Vec<_> = (0..before.len()).filter(|at| before[*at] != after[*at]).collect();
        assert_eq!(changed, [usize::try_from(tampered.offset).expect("small")]);
    }
}
