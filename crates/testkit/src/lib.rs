//! What tests of whole clusters share. It knows the product by its binary alone: a test names the binary, and everything
//! goes through its command line, real processes, TLS and disks.

pub mod cluster;

mod data;

pub use cluster::{Cluster, Shape};
pub use data::bytes;
