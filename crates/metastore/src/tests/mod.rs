//! Tests of the whole crate: openraft's own storage suite, the stores alone, and clusters on loopback.

mod cluster;
mod crash;
mod harness;
mod stores;
mod suite;
