//! Originals to chunks to shards and back: digests, sealing, erasure coding.
//!
//! ```text
//!  pieces ─ chunker ─ plain chunk ┬ tree ── subtree value ─┐ merged: the item's BLAKE3
//!                                 ├ sha ─── midstate ──────┤ at the end: the item's SHA-256
//!                                 └ seal ── ciphertext + tag, named by BLAKE3
//!                                             └ erasure ── k data + m parity shards
//! ```
//!
//! Everything here is pure: bytes and keys in, bytes out. It reads no file, clock or random source, holds no lock
//! while it works and starts no thread; what must be random (keys, nonces, shares) comes from the caller. What comes
//! back from [`erasure::decode_verified`] has the name that was asked for, what comes back from [`seal::open`]
//! is authentic for its position, and neither ever returns bytes that are not.

#![forbid(unsafe_code)]

pub mod chunker;
pub mod erasure;
pub mod seal;
pub mod sha;
pub mod shares;
pub mod tree;
pub mod wrap;

mod secret;
#[cfg(test)]
mod testing;
