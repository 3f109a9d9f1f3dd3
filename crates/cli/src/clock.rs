//! This machine's clocks and randomness, for the edge: from here on, both are passed along.

use strongroom_engine::System;
use strongroom_types::UnixMillis;

use crate::failure::Failure;

/// The clocks and the random source.
pub(crate) fn system() -> Result<System, Failure> {
    strongroom_node::clock::system().map_err(|error| Failure::caused_by("could not use this machine's clock", &error))
}

/// Now, by the wall clock.
pub(crate) fn now() -> Result<UnixMillis, Failure> {
    Ok(system()?.clock.wall())
}
