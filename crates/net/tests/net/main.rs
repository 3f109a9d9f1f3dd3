//! The crate as others use it, on real connections.

mod common;
mod loopback;
mod remote_shards;
