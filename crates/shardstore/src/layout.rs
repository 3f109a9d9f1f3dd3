//! The bytes of a segment: a block that names it, then records, each a header and a payload that ends its last block.
//!
//! All numbers are big-endian. A block has 4096 bytes.
//!
//! ```text
//! segment    ┌──────────────┬──────────┬──────────┬───
//!            │ name block   │ record   │ record   │ …        append-only, records start at block boundaries
//!            └──────────────┴──────────┴──────────┴───
//!            0              4096
//!
//! name       0  "SRsegmnt"                       32  segment number           u64
//! block      8  version                u16       40  previous: its number     u64   0: there is none
//!           10  zeros                  6         48  previous: proven to      u64
//!           16  disk                   16        56  previous: end            u64
//!                                                64  crc32c of 0..64          u32   then zeros to 4096
//!
//! record     ┌────────┬─────────────┬─────────────────┐
//!            │ header │ zeros       │ payload         │      header + zeros + payload = n × 4096
//!            └────────┴─────────────┴─────────────────┘
//!            0        192
//!
//! header     0  "SRrecord"                       88  GCM tag                  16
//!            8  version                u16      104  sealed length            u64
//!           10  kind 1 shard 2 tomb.   u8       112  payload length           u32
//!           11  slot                   u8       116  crc32c of the payload    u32
//!           12  upload epoch           u32      120  disk                     16
//!           16  item                   16       136  segment number           u64
//!           32  chunk index            u64      144  offset in the segment    u64
//!           40  volume                 u64      152  synced to                u64
//!           48  placement epoch        u32      160  zeros                    28
//!           52  zeros                  4        188  crc32c of 0..188         u32
//!           56  chunk digest           32
//! ```
//!
//! In a tombstone what names a shard is zero, and the payload is a list of scopes: a kind byte, then 1 item ·
//! 2 item, upload epoch, first chunk · 3 volume, slot, placement epoch · 4 item, chunk index, upload epoch, volume,
//! placement epoch, slot.
//!
//! A header names its own disk, segment and offset, so that a block that was written or copied to a wrong place is
//! not taken for a record there. *Synced to* is what makes recovery exact; `recovery.rs` tells how.

use strongroom_types::{
    ChunkDigest, ChunkIndex, DiskId, ItemId, PlacementEpoch, ShardIndex, UploadEpoch, VolumeId,
    limits::DISK_BLOCK_BYTES,
};

use crate::{Corruption, EraseScope, PAYLOAD_BYTES_MAX, ShardAddress, ShardHeader, crc32c};

/// Bytes of a record header without the zeros that follow it.
pub(crate) const HEADER_BYTES: usize = 192;
/// Bytes of an address in keys and tombstones.
pub(crate) const ADDRESS_BYTES: usize = 41;
/// Bytes of the block that names a segment.
pub(crate) const NAME_BLOCK_BYTES: u64 = DISK_BLOCK_BYTES;

const RECORD_MAGIC: [u8; 8] = *b"SRrecord";
const RECORD_VERSION: u16 = 1;
const KIND_SHARD: u8 = 1;
const KIND_TOMBSTONE: u8 = 2;
const SEGMENT_MAGIC: [u8; 8] = *b"SRsegmnt";
const SEGMENT_VERSION: u16 = 1;
const HEADER_CRC_AT: usize = 188;
const NAME_CRC_AT: usize = 64;

const _: () = assert!(HEADER_BYTES == HEADER_CRC_AT + 4);

/// Where a record is, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) disk: DiskId,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Shard(ShardHeader),
    Tombstone { payload_bytes: u32, payload_crc32c: u32 },
}

impl Body {
    pub(crate) const fn payload_bytes(&self) -> u32 {
        match self {
            Self::Shard(header) => header.payload_bytes,
            Self::Tombstone { payload_bytes, .. } => *payload_bytes,
        }
    }

    pub(crate) const fn payload_crc32c(&self) -> u32 {
        match self {
            Self::Shard(header) => header.payload_crc32c,
            Self::Tombstone { payload_crc32c, .. } => *payload_crc32c,
        }
    }
}

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) place: Place,
    /// Everything in the segment before this offset was synced before this record's group was written.
    pub(crate) synced_to: u64,
    pub(crate) body: Body,
}

/// Bytes of a record with this payload, a multiple of a block.
pub(crate) fn record_bytes(payload_bytes: u32) -> u64 {
    let header = u64::try_from(HEADER_BYTES).expect("a small constant");
    (header + u64::from(payload_bytes)).next_multiple_of(DISK_BLOCK_BYTES)
}

/// Bytes before the payload: the header and its zeros.
pub(crate) fn payload_offset(payload_bytes: u32) -> u64 {
    record_bytes(payload_bytes) - u64::from(payload_bytes)
}

impl Record {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        set(&mut bytes, 0, &RECORD_MAGIC);
        set(&mut bytes, 8, &RECORD_VERSION.to_be_bytes());
        match &self.body {
            Body::Shard(header) => {
                let address = &header.address;
                bytes[10] = KIND_SHARD;
                bytes[11] = address.slot.0;
                set(&mut bytes, 12, &address.upload_epoch.0.to_be_bytes());
                set(&mut bytes, 16, address.item.as_bytes());
                set(&mut bytes, 32, &address.index.0.to_be_bytes());
                set(&mut bytes, 40, &address.volume.0.to_be_bytes());
                set(&mut bytes, 48, &address.placement_epoch.0.to_be_bytes());
                set(&mut bytes, 56, header.chunk.as_bytes());
                set(&mut bytes, 88, &header.tag);
                set(&mut bytes, 104, &header.sealed_bytes.to_be_bytes());
            }
            Body::Tombstone { .. } => bytes[10] = KIND_TOMBSTONE,
        }
        set(&mut bytes, 112, &self.body.payload_bytes().to_be_bytes());
        set(&mut bytes, 116, &self.body.payload_crc32c().to_be_bytes());
        set(&mut bytes, 120, self.place.disk.as_bytes());
        set(&mut bytes, 136, &self.place.segment.to_be_bytes());
        set(&mut bytes, 144, &self.place.offset.to_be_bytes());
        set(&mut bytes, 152, &self.synced_to.to_be_bytes());
        let checksum = crc32c(&bytes[..HEADER_CRC_AT]);
        set(&mut bytes, HEADER_CRC_AT, &checksum.to_be_bytes());
        bytes
    }

    /// The header at `place`, if it is one that was written there.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES], place: Place) -> Result<Self, Corruption> {
        if array::<8>(bytes, 0) != RECORD_MAGIC {
            return Err(Corruption::NoHeader);
        }
        let (expected, found) = (u32_at(bytes, HEADER_CRC_AT), crc32c(&bytes[..HEADER_CRC_AT]));
        if expected != found {
            return Err(Corruption::HeaderChecksum { expected, found });
        }
        let version = u16::from_be_bytes(array(bytes, 8));
        if version != RECORD_VERSION {
            return Err(Corruption::UnknownVersion { found: version });
        }
        let named =
            Place { disk: DiskId::new(array(bytes, 120)), segment: u64_at(bytes, 136), offset: u64_at(bytes, 144) };
        if named != place {
            return Err(Corruption::Misplaced { segment: named.segment, offset: named.offset });
        }
        let (payload_bytes, payload_crc32c) = (u32_at(bytes, 112), u32_at(bytes, 116));
        if !usize::try_from(payload_bytes).is_ok_and(|length| (1..=PAYLOAD_BYTES_MAX).contains(&length)) {
            return Err(Corruption::BadField { field: "payload length" });
        }
        let body = match bytes[10] {
            KIND_SHARD => Body::Shard(ShardHeader {
                address: ShardAddress {
                    item: ItemId::new(array(bytes, 16)),
                    index: ChunkIndex(u64_at(bytes, 32)),
                    upload_epoch: UploadEpoch(u32_at(bytes, 12)),
                    volume: VolumeId(u64_at(bytes, 40)),
                    placement_epoch: PlacementEpoch(u32_at(bytes, 48)),
                    slot: ShardIndex(bytes[11]),
                },
                chunk: ChunkDigest::new(array(bytes, 56)),
                tag: array(bytes, 88),
                sealed_bytes: u64_at(bytes, 104),
                payload_bytes,
                payload_crc32c,
            }),
            KIND_TOMBSTONE => Body::Tombstone { payload_bytes, payload_crc32c },
            _ => return Err(Corruption::BadField { field: "kind" }),
        };
        Ok(Self { place, synced_to: u64_at(bytes, 152), body })
    }
}

/// What a segment says of the last one before it that holds records: the only thing that outlives a lost index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Previous {
    /// Its number; 0 if there is none.
    pub(crate) segment: u64,
    /// Records that end here or before were synced: a bad one is corruption.
    pub(crate) proven_to: u64,
    /// End of its last good record; what follows is debris of a crash.
    pub(crate) end: u64,
}

/// The block that a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentName {
    pub(crate) disk: DiskId,
    pub(crate) segment: u64,
    pub(crate) previous: Previous,
}

impl SegmentName {
    /// Length of the bytes that matter; zeros follow to the end of the block.
    pub(crate) const BYTES: usize = NAME_CRC_AT + 4;

    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        set(&mut bytes, 0, &SEGMENT_MAGIC);
        set(&mut bytes, 8, &SEGMENT_VERSION.to_be_bytes());
        set(&mut bytes, 16, self.disk.as_bytes());
        set(&mut bytes, 32, &self.segment.to_be_bytes());
        set(&mut bytes, 40, &self.previous.segment.to_be_bytes());
        set(&mut bytes, 48, &self.previous.proven_to.to_be_bytes());
        set(&mut bytes, 56, &self.previous.end.to_be_bytes());
        let checksum = crc32c(&bytes[..NAME_CRC_AT]);
        set(&mut bytes, NAME_CRC_AT, &checksum.to_be_bytes());
        bytes
    }

    /// The name of `segment` on `disk`, if these bytes are it.
    pub(crate) fn decode(bytes: &[u8; Self::BYTES], disk: DiskId, segment: u64) -> Option<Self> {
        let name = Self {
            disk,
            segment,
            previous: Previous { segment: u64_at(bytes, 40), proven_to: u64_at(bytes, 48), end: u64_at(bytes, 56) },
        };
        (name.encode() == *bytes).then_some(name)
    }
}

/// Appends the fixed form of an address, whose byte order is the address's order.
pub(crate) fn write_address(address: &ShardAddress, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(address.item.as_bytes());
    bytes.extend_from_slice(&address.index.0.to_be_bytes());
    bytes.extend_from_slice(&address.upload_epoch.0.to_be_bytes());
    bytes.extend_from_slice(&address.volume.0.to_be_bytes());
    bytes.extend_from_slice(&address.placement_epoch.0.to_be_bytes());
    bytes.push(address.slot.0);
}

/// Reads the fixed form of an address.
pub(crate) fn read_address(bytes: &mut &[u8]) -> Option<ShardAddress> {
    Some(ShardAddress {
        item: ItemId::new(take(bytes)?),
        index: ChunkIndex(u64::from_be_bytes(take(bytes)?)),
        upload_epoch: UploadEpoch(u32::from_be_bytes(take(bytes)?)),
        volume: VolumeId(u64::from_be_bytes(take(bytes)?)),
        placement_epoch: PlacementEpoch(u32::from_be_bytes(take(bytes)?)),
        slot: ShardIndex(u8::from_be_bytes(take(bytes)?)),
    })
}

/// A tombstone's payload.
pub(crate) fn encode_scopes(scopes: &[EraseScope]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(scopes.len() * (ADDRESS_BYTES + 1));
    for scope in scopes {
        match scope {
            EraseScope::Item(item) => {
                bytes.push(1);
                bytes.extend_from_slice(item.as_bytes());
            }
            EraseScope::Upload { item, upload_epoch, chunks_from } => {
                bytes.push(2);
                bytes.extend_from_slice(item.as_bytes());
                bytes.extend_from_slice(&upload_epoch.0.to_be_bytes());
                bytes.extend_from_slice(&chunks_from.0.to_be_bytes());
            }
            EraseScope::Slot { volume, slot, placement_epoch } => {
                bytes.push(3);
                bytes.extend_from_slice(&volume.0.to_be_bytes());
                bytes.push(slot.0);
                bytes.extend_from_slice(&placement_epoch.0.to_be_bytes());
            }
            EraseScope::Shard(address) => {
                bytes.push(4);
                write_address(address, &mut bytes);
            }
        }
    }
    bytes
}

/// The scopes of a tombstone's payload; none if it is not one.
pub(crate) fn decode_scopes(mut bytes: &[u8]) -> Option<Vec<EraseScope>> {
    let mut scopes = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        bytes = rest;
        scopes.push(match kind {
            1 => EraseScope::Item(ItemId::new(take(&mut bytes)?)),
            2 => EraseScope::Upload {
                item: ItemId::new(take(&mut bytes)?),
                upload_epoch: UploadEpoch(u32::from_be_bytes(take(&mut bytes)?)),
                chunks_from: ChunkIndex(u64::from_be_bytes(take(&mut bytes)?)),
            },
            3 => EraseScope::Slot {
                volume: VolumeId(u64::from_be_bytes(take(&mut bytes)?)),
                slot: ShardIndex(u8::from_be_bytes(take(&mut bytes)?)),
                placement_epoch: PlacementEpoch(u32::from_be_bytes(take(&mut bytes)?)),
            },
            4 => EraseScope::Shard(read_address(&mut bytes)?),
            _ => return None,
        });
    }
    Some(scopes)
}

/// Takes the next `N` bytes off the front.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

fn set(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("offsets lie inside the fixed header")
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(array(bytes, at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place = Place { disk: DiskId::new([0xd1; 16]), segment: 7, offset: 4096 };

    fn shard() -> ShardHeader {
        ShardHeader {
            address: ShardAddress {
                item: ItemId::new([0xa1; 16]),
                index: ChunkIndex(2),
                upload_epoch: UploadEpoch(3),
                volume: VolumeId(4),
                placement_epoch: PlacementEpoch(5),
                slot: ShardIndex(6),
            },
            chunk: ChunkDigest::new([0xc1; 32]),
            tag: [0x71; 16],
            sealed_bytes: 0x0040_0000,
            payload_bytes: 0x0010_0000,
            payload_crc32c: 0xdead_beef,
        }
    }

    #[test]
    fn the_bytes_of_a_shard_header_are_fixed() {
        let bytes = Record { place: PLACE, synced_to: 0x1000, body: Body::Shard(shard()) }.encode();
        let golden = [
            "53527265636f7264",                                                 // magic
            "0001",                                                             // version
            "01",                                                               // kind
            "06",                                                               // slot
            "00000003",                                                         // upload epoch
            "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",                                 // item
            "0000000000000002",                                                 // chunk index
            "0000000000000004",                                                 // volume
            "00000005",                                                         // placement epoch
            "00000000",                                                         // zeros
            "c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1", // chunk digest
            "71717171717171717171717171717171",                                 // tag
            "0000000000400000",                                                 // sealed length
            "00100000",                                                         // payload length
            "deadbeef",                                                         // payload crc
            "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",                                 // disk
            "0000000000000007",                                                 // segment
            "0000000000001000",                                                 // offset
            "0000000000001000",                                                 // synced to
            "00000000000000000000000000000000000000000000000000000000",         // zeros
            "09088a67",                                                         // header crc
        ];
        assert_eq!(hex(&bytes), golden.concat());
    }

    #[test]
    fn the_bytes_of_a_tombstone_header_are_fixed() {
        let body = Body::Tombstone { payload_bytes: 17, payload_crc32c: 0x0102_0304 };
        let bytes = Record { place: PLACE, synced_to: 0, body }.encode();
        let golden = [
            "53527265636f7264",                 // magic
            "0001",                             // version
            "02",                               // kind
            &"00".repeat(101),                  // what names a shard
            "00000011",                         // payload length
            "01020304",                         // payload crc
            "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1", // disk
            "0000000000000007",                 // segment
            "0000000000001000",                 // offset
            "0000000000000000",                 // synced to
            &"00".repeat(28),                   // zeros
            "562aa9a3",                         // header crc
        ];
        assert_eq!(hex(&bytes), golden.concat());
    }

    #[test]
    fn the_bytes_of_a_segment_name_are_fixed() {
        let name = SegmentName {
            disk: DiskId::new([0xd1; 16]),
            segment: 8,
            previous: Previous { segment: 7, proven_to: 0x2000, end: 0x3000 },
        };
        let golden = [
            "53527365676d6e74",                 // magic
            "0001",                             // version
            "000000000000",                     // zeros
            "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1", // disk
            "0000000000000008",                 // segment
            "0000000000000007",                 // previous
            "0000000000002000",                 // proven to
            "0000000000003000",                 // end
            "893aa095",                         // crc
        ];
        assert_eq!(hex(&name.encode()), golden.concat());
    }

    #[test]
    fn the_bytes_of_scopes_are_fixed() {
        let address = shard().address;
        let scopes = [
            EraseScope::Item(address.item),
            EraseScope::Upload { item: address.item, upload_epoch: UploadEpoch(3), chunks_from: ChunkIndex(9) },
            EraseScope::Slot { volume: VolumeId(4), slot: ShardIndex(6), placement_epoch: PlacementEpoch(5) },
            EraseScope::Shard(address),
        ];
        let bytes = encode_scopes(&scopes);
        let item = "a1".repeat(16);
        let golden = [
            format!("01{item}"),
            format!("02{item}000000030000000000000009"),
            "0300000000000000040600000005".to_owned(),
            format!("04{item}00000000000000020000000300000000000000040000000506"),
        ];
        assert_eq!(hex(&bytes), golden.concat());
        assert_eq!(decode_scopes(&bytes).as_deref(), Some(scopes.as_slice()));
        assert_eq!(decode_scopes(&bytes[..bytes.len() - 1]), None);
        assert_eq!(decode_scopes(&[9]), None);
    }

    #[test]
    fn any_flipped_bit_of_a_header_is_found() {
        let good = Record { place: PLACE, synced_to: 1, body: Body::Shard(shard()) };
        let bytes = good.encode();
        assert_eq!(Record::decode(&bytes, PLACE), Ok(good));
        for bit in 0..HEADER_BYTES * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::decode(&bad, PLACE).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_header_is_good_only_in_its_own_place() {
        let bytes = Record { place: PLACE, synced_to: 1, body: Body::Shard(shard()) }.encode();
        for other in [
            Place { offset: 8192, ..PLACE },
            Place { segment: 8, ..PLACE },
            Place { disk: DiskId::new([0xd2; 16]), ..PLACE },
        ] {
            assert!(matches!(Record::decode(&bytes, other), Err(Corruption::Misplaced { segment: 7, offset: 4096 })));
        }
        let name = SegmentName { disk: PLACE.disk, segment: 8, previous: Previous::default() };
        assert_eq!(SegmentName::decode(&name.encode(), PLACE.disk, 8), Some(name));
        assert_eq!(SegmentName::decode(&name.encode(), PLACE.disk, 9), None);
    }

    #[test]
    fn a_header_of_a_later_version_is_not_guessed_at() {
        let mut bytes = Record { place: PLACE, synced_to: 1, body: Body::Shard(shard()) }.encode();
        bytes[9] = 2;
        let checksum = crc32c(&bytes[..HEADER_CRC_AT]);
        set(&mut bytes, HEADER_CRC_AT, &checksum.to_be_bytes());
        assert_eq!(Record::decode(&bytes, PLACE), Err(Corruption::UnknownVersion { found: 2 }));
    }

    #[test]
    fn records_fill_whole_blocks_and_payloads_end_them() {
        for (payload, record) in [(1, 4096), (3904, 4096), (3905, 8192), (4096, 8192), (1 << 20, (1 << 20) + 4096)] {
            assert_eq!(record_bytes(payload), record, "{payload}");
            assert_eq!(payload_offset(payload) + u64::from(payload), record, "{payload}");
            assert!(payload_offset(payload) >= 192, "{payload}");
        }
    }

    proptest! {
        #[test]
        fn headers_round_trip(item: [u8; 16], index: u64, upload: u32, volume: u64, placement: u32, slot: u8,
            chunk: [u8; 32], tag: [u8; 16], sealed_bytes: u64, payload_bytes in 1_u32..4 << 20, payload_crc32c: u32,
            disk: [u8; 16], segment: u64, offset: u64, synced_to: u64) {
            let place = Place { disk: DiskId::new(disk), segment, offset };
            let address = ShardAddress {
                item: ItemId::new(item), index: ChunkIndex(index), upload_epoch: UploadEpoch(upload),
                volume: VolumeId(volume), placement_epoch: PlacementEpoch(placement), slot: ShardIndex(slot),
            };
            let body = Body::Shard(ShardHeader {
                address, chunk: ChunkDigest::new(chunk), tag, sealed_bytes, payload_bytes, payload_crc32c,
            });
            let record = Record { place, synced_to, body };
            prop_assert_eq!(Record::decode(&record.encode(), place), Ok(record));
            let mut key = Vec::new();
            write_address(&address, &mut key);
            prop_assert_eq!(key.len(), ADDRESS_BYTES);
            prop_assert_eq!(read_address(&mut key.as_slice()), Some(address));
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
