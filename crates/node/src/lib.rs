//! The storage node: configuration, wiring, thin gRPC handlers, background jobs, metrics, shutdown.
//!
//! It has no rules of its own. What may be done is decided in `apply` (custody and topology), what may be read by
//! `custody::access`; how bytes come in and go out is the engine's. This crate parses what comes over the wire, passes
//! it on, and answers. It promises that every refusal becomes a record, that every loop it starts has an owner which
//! notices its end, and that a node whose state cannot be trusted aborts instead of answering.
//!
//! ```text
//!  client port ─ unknown-call guard ─ handlers ─ engine ─┬─ shards: own disks, peers over mTLS
//!  peer port ─── who-is-it guard ──── peer handlers ─────┴─ metastore: Raft, rows, keys
//!  jobs: pings · clock ticks · members · checkpoints · expiry · digests · gauges · certificates
//! ```

mod run;

pub mod check;
pub mod config;
pub mod logging;

mod handlers;
mod peer;

mod edge;
mod streams;
mod unknown;

mod jobs;
mod node;

mod beats;
mod directory;
mod draw_shares;
mod keys;
mod measured;
mod metrics;
mod refusals;

pub mod clock;

pub use check::check;
pub use config::{Config, ConfigError, RawConfig};
pub use run::{Listeners, run, run_on};
