//! The rules of placement: nodes, disks, districts, classes and volumes.
//!
//! A *class* is a promise ("survives the loss of a district") with the widest erasure scheme to keep it by. A
//! *volume* is a placement group: k+m slots, each on its own disk and node, chosen so that the promise holds when
//! every slot is durable. This crate decides which volume a chunk goes to, opens and closes volumes, and says in a
//! refusal what is missing where no set of nodes can keep the promise.
//!
//! It promises:
//! - **Determinism.** The same rows and the same command give the same rows, answer and events, byte for byte. No
//!   clock, randomness, thread or file is used.
//! - **All or nothing.** A refused command has written no row.
//! - **One truth about "safe enough".** [`promise::meets`] is the predicate that placement aims at and that the
//!   engine asks of the shards that became durable.
//!
//! It never erases anything: a closed volume keeps its row for good, as does a removed node, whose id is not reused.

pub mod command;
pub mod faults;
pub mod name;
pub mod promise;
pub mod read;
pub mod row;

mod classes;
mod nodes;
mod outcome;
mod place;
mod volumes;

#[cfg(test)]
mod tests;

use strongroom_types::{
    Refusal,
    rows::{RowError, Rows},
};

pub use command::{Answer, Applied, Command, Event, NodeUpdate, Registration, ShardFault, SlotMove};
pub use name::ClassName;
pub use promise::{Promise, meets};
pub use row::{
    ClassRow, CloseReason, DiskRow, DiskState, FaultKind, NodeRow, NodeState, RepairRow, Slot, VolumeRow, VolumeState,
};

/// Nodes that a cluster may ever have registered, removed ones included.
pub const NODES_MAX: usize = 1024;
/// Disks of one node.
pub const DISKS_PER_NODE_MAX: usize = 64;
/// Classes of a cluster.
pub const CLASSES_MAX: usize = 64;
/// Volumes of one class that stand open at once. Beyond it the oldest that the caller cannot use are closed.
pub const OPEN_VOLUMES_MAX: usize = 64;
/// Volumes that one `EnsureVolume` keeps open to spread the load of a large cluster.
pub const OPEN_VOLUMES_WANTED_MAX: usize = 32;

/// Shards of one volume that wait for repair at once.
pub const REPAIRS_PER_VOLUME_MAX: u64 = 1024;
/// Those of them that one node may have reported, so that no node alone can fill the queue.
pub const REPAIRS_PER_VOLUME_AND_REPORTER_MAX: u64 = 256;
/// Shards that wait for repair on the word of one node.
pub const REPAIRS_PER_REPORTER_MAX: u64 = 8192;

const _: () = assert!(REPAIRS_PER_VOLUME_AND_REPORTER_MAX < REPAIRS_PER_VOLUME_MAX);
const _: () = assert!(REPAIRS_PER_VOLUME_AND_REPORTER_MAX < REPAIRS_PER_REPORTER_MAX);
const _: () = assert!(OPEN_VOLUMES_WANTED_MAX <= OPEN_VOLUMES_MAX);

/// Applies one command: the only way that topology rows change.
///
/// # Errors
/// [`RowError`] where the rows cannot be read or contradict each other; the node that sees it must stop.
/// A [`Refusal`] inside is an ordinary answer, and nothing was written.
pub fn apply(rows: &mut dyn Rows, command: &Command) -> Result<Result<Applied, Refusal>, RowError> {
    let outcome = match command {
        Command::RegisterNode(registration) => nodes::register(rows, registration),
        Command::UpdateNode(update) => nodes::update(rows, update),
        Command::SetNodeState { node, state } => nodes::set_state(rows, *node, *state),
        Command::SetVoters { voters } => nodes::set_voters(rows, voters),
        Command::DefineClass(class) => classes::define(rows, class),
        Command::EnsureVolume { class, avoid } => volumes::ensure(rows, class, avoid),
        Command::CloseVolume { volume, why } => volumes::close(rows, *volume, *why),
        Command::AddVolumeBytes { volume, bytes } => volumes::add_bytes(rows, *volume, *bytes),
        Command::MoveSlot(slot_move) => volumes::move_slot(rows, slot_move),
        Command::NoteShardFault(fault) => faults::note(rows, fault),
    };
    outcome::split(outcome)
}
