//! Damage to stored shards, done to the segment files behind the store's back. It knows their format from
//! `docs/formats.md` alone. A running node reads what is written here at its next read.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use crate::Cluster;

const BLOCK_BYTES: usize = 4096;
const HEADER_BYTES: usize = 192;
const HEADER_CRC_AT: usize = 188;
const PAYLOAD_CRC_AT: usize = 116;

/// A shard's record in a segment of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredShard {
    /// Such as `n1`.
    pub node: String,
    /// Its slot in the volume.
    pub slot: u8,
    path: PathBuf,
    at: u64,
    record_bytes: usize,
    payload_bytes: usize,
}

/// The shards of an item on all nodes, by slot.
///
/// # Panics
/// Where segments cannot be read, as everything here.
#[must_use]
pub fn shards_of(cluster: &Cluster, item: &str) -> Vec<StoredShard> {
    let mut found = Vec::new();
    for node in cluster.names() {
        let folder = cluster.file(&format!("nodes/{node}/disk0/segments"));
        for entry in fs::read_dir(folder).expect("segments") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "seg") {
                found.extend(in_segment(&node, &path, item));
            }
        }
    }
    found.sort_by_key(|shard| shard.slot);
    found
}

fn in_segment(node: &str, path: &PathBuf, item: &str) -> Vec<StoredShard> {
    let file = File::open(path).expect("opens");
    let (mut at, mut found) = (BLOCK_BYTES as u64, Vec::new());
    let mut header = [0; HEADER_BYTES];
    while file.read_exact_at(&mut header, at).is_ok() && header.starts_with(b"SRrecord") {
        let payload_bytes = u32::from_be_bytes(header[112..116].try_into().expect("four")) as usize;
        let record_bytes = (HEADER_BYTES + payload_bytes).next_multiple_of(BLOCK_BYTES);
        let of_item: String = header[16..32].iter().map(|byte| format!("{byte:02x}")).collect();
        if header[10] == 1 && of_item == item {
            let (node, slot, path) = (node.to_owned(), header[11], path.clone());
            found.push(StoredShard { node, slot, path, at, record_bytes, payload_bytes });
        }
        at += record_bytes as u64;
    }
    found
}

impl StoredShard {
    /// The header of its record, as `docs/formats/shardstore.md` lays it out.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        read(&self.path, self.at, HEADER_BYTES)
    }

    /// Flips one bit of the payload.
    pub fn flip(&self) {
        let mut payload = self.payload();
        payload[1000] ^= 1;
        self.write(self.payload_at(), &payload);
    }

    /// Puts zeros in place of the payload.
    pub fn zero(&self) {
        self.write(self.payload_at(), &vec![0; self.payload_bytes]);
    }

    /// Cuts the file in the middle of the payload.
    pub fn truncate(&self) {
        let file = OpenOptions::new().write(true).open(&self.path).expect("opens");
        file.set_len(self.payload_at() + self.payload_bytes as u64 / 2).expect("cuts");
    }

    /// Puts the whole record of another shard of the same size in its place.
    pub fn replace_by(&self, other: &Self) {
        assert_eq!(self.record_bytes, other.record_bytes, "records of one size");
        self.write(self.at, &read(&other.path, other.at, other.record_bytes));
    }

    /// Alters the payload and makes all checksums fit: nothing on this disk tells that it was done.
    pub fn forge(&self) {
        let mut payload = self.payload();
        payload.iter_mut().step_by(997).for_each(|byte| *byte ^= 0x5a);
        let mut header = self.header();
        header[PAYLOAD_CRC_AT..PAYLOAD_CRC_AT + 4].copy_from_slice(&crc32c(&payload).to_be_bytes());
        let checksum = crc32c(&header[..HEADER_CRC_AT]);
        header[HEADER_CRC_AT..].copy_from_slice(&checksum.to_be_bytes());
        self.write(self.payload_at(), &payload);
        self.write(self.at, &header);
    }

    fn payload_at(&self) -> u64 {
        self.at + (self.record_bytes - self.payload_bytes) as u64
    }

    /// What it stores.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        read(&self.path, self.payload_at(), self.payload_bytes)
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let file = OpenOptions::new().write(true).open(&self.path).expect("opens");
        file.write_all_at(bytes, at).expect("writes");
        file.sync_all().expect("syncs");
    }
}

fn read(path: &PathBuf, at: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    File::open(path).expect("opens").read_exact_at(&mut bytes, at).expect("reads");
    bytes
}

/// CRC-32C (Castagnoli), bit by bit: small, and not the product's.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & 0_u32.wrapping_sub(crc & 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
