//! Sealing: AES-256-GCM over one chunk, in place, bound to where it belongs; and the sealed chunk's name.
//!
//! ```text
//! nonce            upload epoch u32 BE ‖ chunk index u64 BE                          12 bytes
//! associated data  item id ‖ chunk index u64 BE ‖ plain length u64 BE                32 bytes
//! name             BLAKE3(ciphertext ‖ tag)
//! ```
//!
//! A nonce is never used twice with a key: each opened or resumed upload stream has its own epoch, one stream seals an
//! index once, and each item has its own random key. The name covers the tag, which travels in the shard headers: a
//! node that lies about the tag is found like one that lies about bytes. Opening gives the plain bytes of exactly
//! this item, position and length, or an error and nothing.

use aws_lc_rs::aead::{Aad, Nonce};
use bytes::{Bytes, BytesMut};
use strongroom_types::{ChunkDigest, ChunkIndex, ErasureScheme, ItemId, UploadEpoch, limits::CHUNK_BYTES};

use crate::{erasure, secret};

/// Bytes of a [`GcmTag`].
pub const TAG_BYTES: usize = 16;

secret::secret_key! {
    /// The key that seals one item's chunks, random and unique to the item. Whoever destroys it disposes of the item.
    ItemKey
}

/// Where a sealed chunk belongs. The same position is never sealed twice under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPosition {
    /// The item.
    pub item: ItemId,
    /// The upload stream that sealed it.
    pub upload_epoch: UploadEpoch,
    /// Its position in the original.
    pub index: ChunkIndex,
}

/// The tag that authenticates a sealed chunk. Not secret; kept in each shard's header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct GcmTag(#[cbor(n(0), with = "minicbor::bytes")] [u8; TAG_BYTES]);

impl GcmTag {
    /// Wraps bytes that are already of the right length.
    #[must_use]
    pub const fn new(bytes: [u8; TAG_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; TAG_BYTES] {
        &self.0
    }
}

impl std::fmt::Debug for GcmTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GcmTag({})", hex::encode(self.0))
    }
}

/// Bytes that are no tag because they are not sixteen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tag takes {TAG_BYTES} bytes, found {found}")]
pub struct TagLength {
    /// How many there were.
    pub found: usize,
}

impl TryFrom<&[u8]> for GcmTag {
    type Error = TagLength;

    fn try_from(bytes: &[u8]) -> Result<Self, TagLength> {
        bytes.try_into().map(Self).map_err(|_| TagLength { found: bytes.len() })
    }
}

/// A chunk as it is stored: ciphertext, tag and name.
#[derive(Clone, Debug)]
pub struct SealedChunk {
    /// BLAKE3 of ciphertext and tag.
    pub name: ChunkDigest,
    /// Kept beside the ciphertext, in each shard's header.
    pub tag: GcmTag,
    /// The ciphertext, as long as the plain chunk.
    pub bytes: Bytes,
    // The same buffer with the zeros behind it, where there was room for them.
    padded: Bytes,
}

impl SealedChunk {
    /// Cuts the ciphertext into k + m shards, as [`erasure::encode`] does, but without copying any data shard if the
    /// buffer had room for padding (those of the chunker have).
    #[must_use]
    pub fn shards(&self, scheme: ErasureScheme) -> Vec<Bytes> {
        erasure::encode_padded(scheme, &self.padded, self.bytes.len())
    }
}

/// Bytes that are not the sealed chunk of this position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another length than the manifest says.
    #[error("could not open chunk {index} of item {item}: {found} sealed bytes instead of {expected}", item = at.item, index = at.index)]
    WrongLength {
        /// The position asked for.
        at: ChunkPosition,
        /// Plain length of the chunk, which is its sealed length.
        expected: usize,
        /// Sealed bytes that came.
        found: usize,
    },
    /// Other bytes, another key or another position.
    #[error("could not open chunk {index} of item {item}: it is not authentic", item = at.item, index = at.index)]
    NotAuthentic {
        /// The position asked for.
        at: ChunkPosition,
    },
}

/// Seals a chunk of 1 to [`CHUNK_BYTES`] bytes where it stands, and names it.
#[must_use]
pub fn seal(key: &ItemKey, at: ChunkPosition, mut plain: BytesMut) -> SealedChunk {
    assert!(!plain.is_empty(), "no chunk is empty");
    assert!(plain.len() <= CHUNK_BYTES, "a chunk is at most {CHUNK_BYTES} bytes");
    let sealed_bytes = plain.len();
    let tag = secret::aes_256_gcm(&key.0)
        .seal_in_place_separate_tag(nonce(at), associated_data(at, sealed_bytes), &mut plain)
        .expect("a chunk is far below what GCM takes");
    let tag = GcmTag(tag.as_ref().try_into().expect("AES-256-GCM gives tags of 16 bytes"));
    let name = name_of(&plain, &tag);
    let padded = erasure::pad_in_place(plain);
    SealedChunk { name, tag, bytes: padded.slice(..sealed_bytes), padded }
}

/// Opens the sealed chunk of this position where it stands.
///
/// # Errors
/// [`OpenError`] if the bytes are not the chunk that was sealed for this item, epoch, index and length with this key.
pub fn open(
    key: &ItemKey,
    at: ChunkPosition,
    plain_len: usize,
    mut sealed: BytesMut,
    tag: &GcmTag,
) -> Result<Bytes, OpenError> {
    if sealed.len() != plain_len {
        return Err(OpenError::WrongLength { at, expected: plain_len, found: sealed.len() });
    }
    secret::aes_256_gcm(&key.0)
        .open_in_place_separate_tag(nonce(at), associated_data(at, plain_len), &tag.0, &mut sealed)
        .map_err(|_| OpenError::NotAuthentic { at })?;
    Ok(sealed.freeze())
}

/// The name of a sealed chunk: BLAKE3 of its ciphertext, then its tag.
#[must_use]
pub fn name_of(ciphertext: &[u8], tag: &GcmTag) -> ChunkDigest {
    Namer::new(ciphertext).with(tag)
}

/// A ciphertext hashed once, to be named with one tag or another.
pub(crate) struct Namer(blake3::Hasher);

impl Namer {
    pub(crate) fn new(ciphertext: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(ciphertext);
        Self(hasher)
    }

    pub(crate) fn with(&self, tag: &GcmTag) -> ChunkDigest {
        ChunkDigest::new(*self.0.clone().update(&tag.0).finalize().as_bytes())
    }
}

fn nonce(at: ChunkPosition) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&at.upload_epoch.0.to_be_bytes());
    bytes[4..].copy_from_slice(&at.index.0.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn associated_data(at: ChunkPosition, plain_len: usize) -> Aad<[u8; 32]> {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(at.item.as_bytes());
    bytes[16..24].copy_from_slice(&at.index.0.to_be_bytes());
    bytes[24..].copy_from_slice(&(plain_len as u64).to_be_bytes());
    Aad::from(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::pattern;

    const AT: ChunkPosition = ChunkPosition {
        item: ItemId::new([
            0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
        ]),
        upload_epoch: UploadEpoch(7),
        index: ChunkIndex(258),
    };

    fn key() -> ItemKey {
        ItemKey::generate(std::array::from_fn(|at| u8::try_from(at).expect("below 32")))
    }

    fn seal_slice(plain: &[u8]) -> SealedChunk {
        seal(&key(), AT, BytesMut::from(plain))
    }

    #[test]
    fn a_sealed_chunk_has_the_bytes_that_another_implementation_gives() {
        // Computed with Python's `cryptography` from the layout above.
        let sealed = seal_slice(b"chunk 258 of an original");
        assert_eq!(hex::encode(&sealed.bytes), "5e45881db7b89870d06f4fae58f9b2dabea1f9b43264c510");
        assert_eq!(format!("{:?}", sealed.tag), "GcmTag(74d6aac014b3d132ec82dd1bdec9e0d7)");
        let all = [&sealed.bytes[..], sealed.tag.as_bytes()].concat();
        assert_eq!(sealed.name.as_bytes(), blake3::hash(&all).as_bytes());
        assert_eq!(sealed.name, name_of(&sealed.bytes, &sealed.tag));
    }

    #[test]
    fn a_chunk_opens_only_where_it_belongs() {
        let plain = pattern(1000);
        let sealed = seal_slice(&plain);
        let open_at = |key: &ItemKey, at, len| open(key, at, len, BytesMut::from(&sealed.bytes[..]), &sealed.tag);
        assert_eq!(open_at(&key(), AT, 1000), Ok(plain));
        for elsewhere in [
            ChunkPosition { item: ItemId::new([1; 16]), ..AT },
            ChunkPosition { upload_epoch: UploadEpoch(8), ..AT },
            ChunkPosition { index: ChunkIndex(259), ..AT },
        ] {
            assert_eq!(open_at(&key(), elsewhere, 1000), Err(OpenError::NotAuthentic { at: elsewhere }));
        }
        assert_eq!(open_at(&ItemKey::from_bytes([9; 32]), AT, 1000), Err(OpenError::NotAuthentic { at: AT }));
        let short = open_at(&key(), AT, 999).expect_err("another length");
        assert_eq!(short, OpenError::WrongLength { at: AT, expected: 999, found: 1000 });
        assert_eq!(
            short.to_string(),
            "could not open chunk 258 of item a0a1a2a3a4a5a6a7a8a9aaabacadaeaf: 1000 sealed bytes instead of 999"
        );
    }

    #[test]
    fn one_changed_bit_in_bytes_or_tag_is_not_authentic_and_changes_the_name() {
        let sealed = seal_slice(&pattern(100));
        for at in [0, 50, 99] {
            let mut bytes = BytesMut::from(&sealed.bytes[..]);
            bytes[at] ^= 0x80;
            assert_ne!(name_of(&bytes, &sealed.tag), sealed.name);
            assert_eq!(open(&key(), AT, 100, bytes, &sealed.tag), Err(OpenError::NotAuthentic { at: AT }));
        }
        let mut tag = *sealed.tag.as_bytes();
        tag[15] ^= 1;
        let tag = GcmTag::new(tag);
        assert_ne!(name_of(&sealed.bytes, &tag), sealed.name);
        let bytes = BytesMut::from(&sealed.bytes[..]);
        assert_eq!(open(&key(), AT, 100, bytes, &tag), Err(OpenError::NotAuthentic { at: AT }));
    }

    #[test]
    fn sealing_and_opening_stay_in_the_same_buffer() {
        let mut plain = erasure::chunk_buffer();
        plain.extend_from_slice(&pattern(CHUNK_BYTES));
        let place = plain.as_ptr();
        let SealedChunk { tag, bytes, padded, .. } = seal(&key(), AT, plain);
        assert_eq!((bytes.as_ptr(), bytes.len()), (place, CHUNK_BYTES));
        drop(padded);
        let sealed = bytes.try_into_mut().expect("nobody else holds it");
        let opened = open(&key(), AT, CHUNK_BYTES, sealed, &tag).expect("authentic");
        assert_eq!(opened.as_ptr(), place);
        assert!(opened == pattern(CHUNK_BYTES));
    }

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", key()), "ItemKey(redacted)");
    }

    #[test]
    fn a_tag_is_stored_as_sixteen_bytes() {
        let tag = GcmTag::new([0xab; TAG_BYTES]);
        let stored = minicbor::to_vec(tag).expect("encodes");
        assert_eq!(hex::encode(&stored), "50abababababababababababababababab");
        assert_eq!(minicbor::decode::<GcmTag>(&stored).expect("decodes"), tag);
        assert_eq!(GcmTag::try_from([0xab; 16].as_slice()), Ok(tag));
        assert_eq!(GcmTag::try_from([0xab; 17].as_slice()), Err(TagLength { found: 17 }));
        assert!(minicbor::decode::<GcmTag>(&hex::decode("4fababababababababababababababab").expect("hex")).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_sealed_opens_again(len in 1..70_000_usize, epoch: u32, index in 0..1_u64 << 40, secret: [u8; 32]) {
            let key = ItemKey::generate(secret);
            let at = ChunkPosition { upload_epoch: UploadEpoch(epoch), index: ChunkIndex(index), ..AT };
            let plain = pattern(len);
            let sealed = seal(&key, at, BytesMut::from(&plain[..]));
            prop_assert_ne!(&sealed.bytes, &plain);
            let opened = open(&key, at, len, BytesMut::from(&sealed.bytes[..]), &sealed.tag);
            prop_assert_eq!(opened, Ok(plain));
        }
    }
}
