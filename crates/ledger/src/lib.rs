//! The ledger 存证日志: a Merkle log of commitments to custody records, its signed heads, and their proofs.
//!
//! What it promises:
//! - **Append-only.** [`tree`] stores RFC 6962 hashes as rows, once each, and never rewrites one. Any two sizes can be
//!   proved consistent, any leaf can be proved included.
//! - **No content in the tree.** A [`Leaf`] holds a sequence number, the compliance clock and a salted
//!   [`commitment`]; the record and its salt are rows that may be erased while every proof stays whole.
//! - **One node alone says nothing.** A [`SignedCheckpoint`] counts only as a [`VerifiedCheckpoint`], which only
//!   [`Policy::verify`] makes: the log's signature and the cosignatures of a majority of the voters.
//! - **One spelling.** Files are those of C2SP (`tlog-checkpoint`, `tlog-cosignature`, `tlog-proof`, `tlog-policy`,
//!   `signed-note`), so other people's tools read them; what is read here must be canonical to the byte, with
//!   every signature line known and valid. Changing any one bit makes verification fail.
//!
//! It does no I/O, reads no clock and draws no randomness; keys and times come in. Decoders never panic on
//! foreign bytes and never allocate by a length that these announce.
//!
//! ```text
//!  record ──commit(salt)──▶ Leaf ──append──▶ tree (rows)
//!                                              │ root(size)
//!                             LogKey ──sign──▶ SignedCheckpoint ◀──cosign── CosignerKey (each voter)
//!                                              │ Policy::verify
//!     TlogProof (index, hashes, checkpoint) ──▶ VerifiedCheckpoint ◀── ConsistencyProof (old, new)
//! ```

pub mod checkpoint;
pub mod commitment;
pub mod frontier;
pub mod key;
pub mod leaf;
pub mod policy;
pub mod proof;
pub mod signed;
pub mod tiles;
pub mod tree;

mod text;

#[cfg(test)]
mod testing;

pub use checkpoint::{Checkpoint, TREE_SIZE_MAX, TreeHead};
pub use commitment::{Commitment, Salt};
pub use frontier::Frontier;
pub use key::{CosignerKey, KeyKind, KeyName, LogKey, VerifierKey};
pub use leaf::Leaf;
pub use policy::{CosignedBy, OutsideRule, Policy, PolicyFingerprint, VerifiedCheckpoint, VerifyError};
pub use proof::{ConsistencyProof, InclusionProof, ProofError, TlogProof};
pub use signed::{Cosignature, SignedCheckpoint};
