//! What leaves the cluster and is checked without it: receipts, and the offline verifier.
//!
//! What it promises:
//! - A receipt is one file that proves, with the original and a policy and nothing else, that these bytes were
//!   sealed: the record, its place in the ledger, and a checkpoint that a majority of the voters cosigned.
//! - **Every field is bound.** What people read in a receipt is compared with what the record's bytes say, and the
//!   file with the one spelling that it can have; changing any one bit of receipt, original or policy is found.
//! - **It says what was proved, and no more.** Without a policy from somewhere else a receipt can only be
//!   [`Trust::SelfConsistent`]: whoever made it up could have made up its keys too.
//!
//! It needs no server, no network and no clock, and reads of the file system only what the caller opened. It hashes
//! with the plain libraries rather than through our own codec, so that it does not share that one's mistakes. What a
//! record says is `custody`'s to define: it comes in through [`RecordFacts`].

pub mod certificate;
pub mod digests;
pub mod draw;
pub mod evidence;
pub mod facts;
pub mod receipt;
pub mod removal;
pub mod verify;

pub use certificate::{Certificate, CertificateError, CertificateVerdict, DisposalRecords};
pub use digests::FileDigests;
pub use draw::{DrawError, DrawProof, DrawRecords, DrawVerdict};
pub use evidence::{Evidence, EvidenceError};
pub use facts::{FactsError, RecordFacts, SealFacts, VoterChangeFacts};
pub use receipt::{Receipt, ReceiptError};
pub use removal::{REMOVAL_FORMAT, RemovalCertificate, RemovalRecords, RemovalVerdict};
pub use verify::{ReceiptVerdict, Trust, verify_receipt};

#[cfg(test)]
mod testing;
