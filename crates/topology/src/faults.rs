//! Shards that were found bad, and the queue that repair works from.
//!
//! A reporter says which shard and what is wrong. Whose fault that is comes from the volume's own row, so that nobody
//! can blame a node that does not hold the slot. A fault that is queued already changes nothing, and what one reporter
//! can queue is bounded for each volume and in all: a node of bad will fills neither the queue nor the ledger.

use strongroom_types::{
    NodeId, Reason, Refusal, VolumeId, limits,
    rows::{RowError, Rows},
};

use crate::{
    REPAIRS_PER_REPORTER_MAX, REPAIRS_PER_VOLUME_AND_REPORTER_MAX, REPAIRS_PER_VOLUME_MAX,
    command::{Event, ShardFault},
    outcome::{Outcome, Stop, done},
    read,
    row::{
        BAD_ON_NODE, NODES, NodeState, QUEUED_BY, QUEUED_IN_VOLUME, REPAIRS, RepairKey, RepairRow, Slot, VOLUMES,
        VolumeRow,
    },
};

pub(crate) fn note(rows: &mut dyn Rows, fault: &ShardFault) -> Outcome {
    refuse_unknown_reporter(rows, fault.reporter)?;
    let volume = VOLUMES.read(rows, &fault.volume)?;
    let volume = volume.ok_or_else(|| Refusal::not_found(format!("volume {}", fault.volume)))?;
    let slot = slot_of(&volume, fault)?;
    let key = RepairKey { volume: fault.volume, slot: fault.slot, item: fault.item, chunk: fault.chunk };
    match REPAIRS.read(rows, &key)? {
        Some(queued) if queued.disk == slot.disk => return done(Vec::new()),
        // The slot has moved since: the old place no longer matters.
        Some(queued) => take_out(rows, &key, &queued)?,
        None => {}
    }
    let (by_reporter, in_volume) = ((fault.volume, fault.reporter), total_in_volume(rows, fault.volume)?);
    refuse_over(in_volume, REPAIRS_PER_VOLUME_MAX, "the volume's repair queue")?;
    let of_reporter = QUEUED_IN_VOLUME.read(rows, &by_reporter)?.unwrap_or(0);
    refuse_over(of_reporter, REPAIRS_PER_VOLUME_AND_REPORTER_MAX, "the reporter's share of the volume's queue")?;
    let in_all = QUEUED_BY.read(rows, &fault.reporter)?.unwrap_or(0);
    refuse_over(in_all, REPAIRS_PER_REPORTER_MAX, "the reporter's share of all queues")?;

    QUEUED_IN_VOLUME.write(rows, &by_reporter, &(of_reporter + 1));
    QUEUED_BY.write(rows, &fault.reporter, &(in_all + 1));
    let on_node = BAD_ON_NODE.read(rows, &slot.node)?.unwrap_or(0);
    BAD_ON_NODE.write(rows, &slot.node, &(on_node + 1));
    let row = RepairRow {
        volume: fault.volume,
        slot: fault.slot,
        item: fault.item,
        chunk: fault.chunk,
        node: slot.node,
        disk: slot.disk,
        kind: fault.kind,
        reporter: fault.reporter,
        first_seen: fault.seen_at,
    };
    REPAIRS.write(rows, &key, &row);
    done(vec![Event::ShardFaultFound(row)])
}

/// The slot, where the report is of the place that the volume has now.
fn slot_of(volume: &VolumeRow, fault: &ShardFault) -> Result<Slot, Refusal> {
    let slot = volume.slots.get(usize::from(fault.slot.0));
    let slot = slot.ok_or_else(|| Refusal::not_found(format!("slot {} in volume {}", fault.slot, volume.id)))?;
    if slot.disk == fault.disk {
        return Ok(*slot);
    }
    let message = format!("slot {} of volume {} is not on disk {}", fault.slot, volume.id, fault.disk.short());
    Err(Refusal::new(Reason::WrongState, "", message, "read the shard where it lives now"))
}

fn refuse_unknown_reporter(rows: &dyn Rows, reporter: NodeId) -> Result<(), Stop> {
    match NODES.read(rows, &reporter)? {
        Some(node) if node.state != NodeState::Removed => Ok(()),
        Some(_) | None => Err(Refusal::not_found(format!("node {reporter}")).into()),
    }
}

fn refuse_over(queued: u64, most: u64, what: &str) -> Result<(), Refusal> {
    if queued < most {
        return Ok(());
    }
    let message = format!("{what} is full: {queued} shards wait");
    Err(Refusal::new(Reason::WrongState, "", message, "repair what is queued first"))
}

fn total_in_volume(rows: &dyn Rows, volume: VolumeId) -> Result<u64, RowError> {
    Ok(read::all(&QUEUED_IN_VOLUME, rows, &volume)?.into_iter().sum())
}

fn take_out(rows: &mut dyn Rows, key: &RepairKey, queued: &RepairRow) -> Result<(), RowError> {
    let less = |count: Option<u64>| count.unwrap_or(0).saturating_sub(1);
    let by_reporter = (queued.volume, queued.reporter);
    let in_volume = less(QUEUED_IN_VOLUME.read(rows, &by_reporter)?);
    QUEUED_IN_VOLUME.write(rows, &by_reporter, &in_volume);
    let in_all = less(QUEUED_BY.read(rows, &queued.reporter)?);
    QUEUED_BY.write(rows, &queued.reporter, &in_all);
    let on_node = less(BAD_ON_NODE.read(rows, &queued.node)?);
    BAD_ON_NODE.write(rows, &queued.node, &on_node);
    REPAIRS.remove(rows, key);
    Ok(())
}

/// Up to `limit` shards that wait for repair, by volume, slot, item and chunk.
///
/// # Errors
/// [`RowError`] where the rows cannot be read.
pub fn queue(rows: &dyn Rows, limit: usize) -> Result<Vec<RepairRow>, RowError> {
    let limit = limit.min(limits::PAGE_ROWS_MAX);
    Ok(REPAIRS.scan(rows, &(), None, limit)?.into_iter().map(|(_, row)| row).collect())
}

/// Shards of a node that wait for repair.
///
/// # Errors
/// [`RowError`] where the rows cannot be read.
pub fn bad_on_node(rows: &dyn Rows, node: NodeId) -> Result<u64, RowError> {
    Ok(BAD_ON_NODE.read(rows, &node)?.unwrap_or(0))
}

/// Shards that wait for repair, whatever node they are on.
///
/// # Errors
/// [`RowError`] where the rows cannot be read.
pub fn queued(rows: &dyn Rows) -> Result<u64, RowError> {
    Ok(read::all(&BAD_ON_NODE, rows, &())?.into_iter().sum())
}
