//! What tests of whole clusters share. It knows the product by its binary alone: a test names the binary, and everything
//! goes through its command line, real processes, TLS and disks.

pub mod boots;
pub mod cluster;
pub mod crashes;
pub mod damage;
pub mod network;
pub mod powercut;
pub mod rounds;
pub mod shim;
pub mod stations;

mod data;
mod history;
mod random;

pub use cluster::{Cluster, Shape};
pub use data::bytes;
pub use network::{Link, Network};
pub use powercut::Loss;
pub use random::Random;
pub use shim::Shim;
