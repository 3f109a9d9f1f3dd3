//! Repository chores, as a library so that the test suite runs them too.
//!
//! Nothing here writes: what it finds, a person mends.

pub mod requirements;
pub mod tidy;

mod repository;

pub use repository::{Repository, SourceFile};
