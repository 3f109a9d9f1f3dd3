//! Digests, each with a name of its own so that one cannot be passed for another.

use crate::cbor::fixed_bytes;

/// BLAKE3 of a whole original: what `b3sum` prints.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemDigest([u8; 32]);
fixed_bytes!(ItemDigest, 32);

/// SHA-256 of a whole original: what `sha256sum` prints and courts ask for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest([u8; 32]);
fixed_bytes!(Sha256Digest, 32);

/// BLAKE3 of a sealed chunk (ciphertext, then its GCM tag): the chunk's name, independent of its position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkDigest([u8; 32]);
fixed_bytes!(ChunkDigest, 32);

/// Chaining value of one chunk of the original in its BLAKE3 tree; merged, these give the [`ItemDigest`].
/// For an original of a single chunk it is the plain BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubtreeValue([u8; 32]);
fixed_bytes!(SubtreeValue, 32);

/// A node or root of the ledger's Merkle tree (RFC 6962 hashing with SHA-256).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash([u8; 32]);
fixed_bytes!(TreeHash, 32);

/// SHA-256 of a certificate's SubjectPublicKeyInfo: the identity that a principal's row names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);
fixed_bytes!(KeyHash, 32);

/// SHA-256 of a command's canonical bytes: binds an idempotency key to what it was first used for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandDigest([u8; 32]);
fixed_bytes!(CommandDigest, 32);

/// BLAKE3 of the record that a draw begins with: everything that the draw comes to is bound to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrawDigest([u8; 32]);
fixed_bytes!(DrawDigest, 32);

/// BLAKE3 of the sorted ids that a draw selects from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PopulationDigest([u8; 32]);
fixed_bytes!(PopulationDigest, 32);

/// SHA-256 of the display name that is made for an item: equal names are counted by it, and no table holds the name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameDigest([u8; 32]);
fixed_bytes!(NameDigest, 32);

/// What a voter commits to before a draw: BLAKE3 of its share, its id and the draw.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrawCommitment([u8; 32]);
fixed_bytes!(DrawCommitment, 32);

/// A voter's random share of a draw, secret until every commitment stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrawShare([u8; 32]);
fixed_bytes!(DrawShare, 32);

/// What all shares of a draw come to, and what selects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrawSeed([u8; 32]);
fixed_bytes!(DrawSeed, 32);
