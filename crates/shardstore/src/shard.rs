//! A shard: where it belongs, what its header says of it, and the proof that its bytes are what they should be.

use std::fmt;

use bytes::Bytes;
use strongroom_types::{
    ChunkDigest, ChunkIndex, DiskId, ItemId, PlacementEpoch, ShardIndex, UploadEpoch, VolumeId, limits,
};

/// Largest payload of a shard in bytes: a 1+m shard is a whole sealed chunk.
pub const PAYLOAD_BYTES_MAX: usize = limits::CHUNK_BYTES + 65536;

/// Where a shard belongs. An address is written once; its order is the order of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardAddress {
    /// The item.
    pub item: ItemId,
    /// Position of the chunk in the original.
    pub index: ChunkIndex,
    /// The upload stream that wrote the chunk.
    pub upload_epoch: UploadEpoch,
    /// The volume that holds the chunk.
    pub volume: VolumeId,
    /// The placement that this shard was written under.
    pub placement_epoch: PlacementEpoch,
    /// Position of the shard in its stripe.
    pub slot: ShardIndex,
}

impl fmt::Display for ShardAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { item, index, upload_epoch, volume, placement_epoch, slot } = self;
        write!(f, "{item}/{index} (upload {}) {volume}.{slot} (placement {})", upload_epoch.0, placement_epoch.0)
    }
}

/// What is stored with a shard's payload and checked against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardHeader {
    /// Where it belongs.
    pub address: ShardAddress,
    /// Name of the sealed chunk.
    pub chunk: ChunkDigest,
    /// GCM tag of the sealed chunk.
    pub tag: [u8; 16],
    /// Length of the whole sealed chunk, without the padding of its last data shard.
    pub sealed_bytes: u64,
    /// Length of the payload.
    pub payload_bytes: u32,
    /// crc32c of the payload.
    pub payload_crc32c: u32,
}

/// A shard to be stored.
#[derive(Clone, Debug)]
pub struct PutShard {
    /// The disk that is to hold it.
    pub disk: DiskId,
    /// Where it belongs.
    pub address: ShardAddress,
    /// Name of the sealed chunk.
    pub chunk: ChunkDigest,
    /// GCM tag of the sealed chunk.
    pub tag: [u8; 16],
    /// Length of the whole sealed chunk, without the padding of its last data shard.
    pub sealed_bytes: u64,
    /// The bytes: 1 to 4 MiB and 64 KiB.
    pub payload: Bytes,
    /// crc32c as the sender computed it. It is compared with the bytes here, once, and then stored.
    pub payload_crc32c: Option<u32>,
}

/// Why a stored shard cannot be used. The bytes stay where they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Corruption {
    /// A whole segment is gone.
    #[error("segment {segment} is missing")]
    SegmentMissing {
        /// Its number.
        segment: u64,
    },
    /// The medium did not give the bytes.
    #[error("the medium could not be read: {why}")]
    Unreadable {
        /// What the system said.
        why: String,
    },
    /// The segment ends inside the record.
    #[error("its segment ends inside the record")]
    Short,
    /// No header begins where one should.
    #[error("there is no record header")]
    NoHeader,
    /// The header's own checksum does not fit.
    #[error("its header has checksum {found:08x} instead of {expected:08x}")]
    HeaderChecksum {
        /// As stored.
        expected: u32,
        /// As computed.
        found: u32,
    },
    /// A header of a later format.
    #[error("its record version {found} is unknown")]
    UnknownVersion {
        /// The version.
        found: u16,
    },
    /// A good header in a place that is not its own.
    #[error("its header was written for another place: segment {segment} offset {offset}")]
    Misplaced {
        /// The segment that it names.
        segment: u64,
        /// The offset that it names.
        offset: u64,
    },
    /// A header with values that none can have.
    #[error("its header has an impossible {field}")]
    BadField {
        /// Which value.
        field: &'static str,
    },
    /// A good header of another shard.
    #[error("its header is that of {found}")]
    OtherAddress {
        /// The shard that it is.
        found: Box<ShardAddress>,
    },
    /// The payload has another length than its header says.
    #[error("its payload has {found} bytes instead of {expected}")]
    PayloadLength {
        /// As the header says.
        expected: u32,
        /// As it came.
        found: usize,
    },
    /// The payload's checksum does not fit.
    #[error("its payload has checksum {found:08x} instead of {expected:08x}")]
    PayloadChecksum {
        /// As the header says.
        expected: u32,
        /// As computed.
        found: u32,
    },
}

/// A shard whose payload fits its header and whose header names the shard that was asked for.
///
/// That is no proof against a lying node: only decoding against the chunk's name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedShard {
    header: ShardHeader,
    payload: Bytes,
}

impl VerifiedShard {
    /// Checks what came from a disk or over the network for the shard `asked` for.
    ///
    /// # Errors
    /// What does not fit.
    pub fn verify(asked: &ShardAddress, header: ShardHeader, payload: Bytes) -> Result<Self, Corruption> {
        if header.address != *asked {
            return Err(Corruption::OtherAddress { found: Box::new(header.address) });
        }
        if u32::try_from(payload.len()) != Ok(header.payload_bytes) {
            return Err(Corruption::PayloadLength { expected: header.payload_bytes, found: payload.len() });
        }
        let found = crc32c(&payload);
        if found != header.payload_crc32c {
            return Err(Corruption::PayloadChecksum { expected: header.payload_crc32c, found });
        }
        Ok(Self { header, payload })
    }

    /// What is stored with it.
    #[must_use]
    pub const fn header(&self) -> &ShardHeader {
        &self.header
    }

    /// The bytes.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Header and bytes.
    #[must_use]
    pub fn into_parts(self) -> (ShardHeader, Bytes) {
        (self.header, self.payload)
    }
}

/// The checksum of records and of shards on their way: CRC-32C (Castagnoli).
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnoli() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_shard_is_verified_only_if_address_length_and_checksum_fit() {
        let address = ShardAddress {
            item: ItemId::new([1; 16]),
            index: ChunkIndex(2),
            upload_epoch: UploadEpoch(3),
            volume: VolumeId(4),
            placement_epoch: PlacementEpoch(5),
            slot: ShardIndex(6),
        };
        let payload = Bytes::from_static(b"payload");
        let header = ShardHeader {
            address,
            chunk: ChunkDigest::new([7; 32]),
            tag: [8; 16],
            sealed_bytes: 9,
            payload_bytes: 7,
            payload_crc32c: crc32c(&payload),
        };
        let good = VerifiedShard::verify(&address, header, payload.clone()).expect("verifies");
        assert_eq!(good.into_parts(), (header, payload.clone()));

        let other = ShardAddress { slot: ShardIndex(0), ..address };
        assert!(matches!(
            VerifiedShard::verify(&other, header, payload.clone()),
            Err(Corruption::OtherAddress { found }) if *found == address
        ));
        assert!(matches!(
            VerifiedShard::verify(&address, header, payload.slice(1..)),
            Err(Corruption::PayloadLength { expected: 7, found: 6 })
        ));
        assert!(matches!(
            VerifiedShard::verify(&address, header, Bytes::from_static(b"pazload")),
            Err(Corruption::PayloadChecksum { .. })
        ));
    }
}
