//! Typed client for people and tools: the only way in that this project offers, and one without any power of its own.
//!
//! It promises:
//! - A call is tried at every node in turn until it is answered or patience ends; its idempotency key stays the same, so
//!   that trying again never does a thing twice.
//! - [`Client::ingest_file`] ends only with a receipt that was verified against the very bytes that were read. It
//!   resumes after a broken connection, a dead node or its own death, and never sends again what is committed.
//! - [`Client::copy_out`] never leaves a wrong file under a final name, and resumes without spending a second use.

pub mod context;
pub mod error;

mod call;
mod services;

pub mod copy_out;
pub mod ingest;

mod file;

#[cfg(test)]
mod testing;

pub use call::{Client, ClientSettings, Confirm};
pub use context::{Context, ContextError, ContextFile, IdentityFiles};
pub use copy_out::{CopiedItem, CopiedOut, CopyOutError, CopyOutProgress, HandedOver};
pub use error::{ClientError, ExitKind};
pub use ingest::{
    IngestError, IngestOptions, IngestProgress, IngestedItem, Original, ReceiptFacts, ReceiptFile, VerifyReceipt,
};
pub use services::{
    ActivityFilter, DossierTerm, ItemFilter, LostKeeper, NewAsset, NewHold, NewPrincipal, NewRemoval, Page,
    SealedDevice,
};
