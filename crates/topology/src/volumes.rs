//! Volumes: opened as wide as the nodes at hand allow, closed by size, by a dead slot or by a wider one.
//!
//! ```text
//!            ensure                   full · dead slot · superseded
//!   (none) ─────────► open ──────────────────────────────────────────► closed ──┐ slots move,
//!                      │ bytes are added                                  ▲─────┘ epoch + 1
//!                      └─◄┘
//! ```

use strongroom_types::{
    ErasureScheme, NodeId, PlacementEpoch, Reason, Refusal, ShardIndex, VolumeId, limits,
    rows::{RowError, Rows},
};

use crate::{
    ClassName, OPEN_VOLUMES_MAX, OPEN_VOLUMES_WANTED_MAX,
    command::{Answer, SlotMove},
    outcome::{Outcome, Stop, answered},
    place::{self, Candidates, Load},
    promise, read,
    row::{
        CLASSES, ClassRow, CloseReason, DISK_USE, DiskUseRow, META, MetaRow, NODES, OPEN_VOLUMES, Slot, VOLUMES,
        VolumeRow, VolumeState,
    },
};

/// Answers with the open volumes that new chunks can go to: all of the widest scheme that the reachable nodes can
/// carry, as many as those nodes can carry side by side. Repeating it with the same nodes opens nothing more.
pub(crate) fn ensure(rows: &mut dyn Rows, name: &ClassName, avoid: &[NodeId]) -> Outcome {
    let class = CLASSES.read(rows, name)?.ok_or_else(|| Refusal::not_found(format!("class {name}")))?;
    let nodes = read::nodes(rows)?;
    let candidates = Candidates::among(&nodes, avoid);
    let scheme = candidates.widest(&class).ok_or_else(|| place::promise_unmet(&class, &nodes, avoid))?;

    let wanted = (candidates.count() / scheme.total()).clamp(1, OPEN_VOLUMES_WANTED_MAX);
    let (mut fitting, others): (Vec<_>, Vec<_>) = read::open_volumes(rows, name)?
        .into_iter()
        .partition(|volume| volume.scheme == scheme && volume.slots.iter().all(|slot| candidates.hold(slot)));
    if fitting.len() < wanted {
        let mut load = Load::new(&read::all(&DISK_USE, rows, &())?, &read::open_volumes_of_all_classes(rows)?);
        while fitting.len() < wanted {
            let slots = candidates.choose(scheme, &load);
            let opened = open(rows, &class, scheme, slots)?;
            load.add(&opened);
            fitting.push(opened);
        }
        close_superseded(rows, scheme.data(), fitting.len(), others)?;
    }
    answered(Answer::Volumes(fitting))
}

pub(crate) fn close(rows: &mut dyn Rows, id: VolumeId, why: CloseReason) -> Outcome {
    let volume = existing(rows, id)?;
    match why {
        CloseReason::Full | CloseReason::Superseded => {}
        CloseReason::DeadSlot { slot } => refuse_no_such_slot(&volume, slot)?,
    }
    let volume = if volume.is_open() { close_row(rows, volume, why)? } else { volume };
    answered(Answer::Volume(volume))
}

/// Closed volumes take bytes too: chunks that were on their way when it closed still count.
pub(crate) fn add_bytes(rows: &mut dyn Rows, id: VolumeId, bytes: u64) -> Outcome {
    let before = existing(rows, id)?;
    let after = VolumeRow { user_bytes: before.user_bytes.saturating_add(bytes), ..before.clone() };
    VOLUMES.write(rows, &id, &after);
    let after = match after.state {
        VolumeState::Closed { .. } => {
            for slot in &after.slots {
                change_use(rows, slot, |disk| {
                    disk.closed_bytes =
                        disk.closed_bytes.saturating_sub(before.slot_bytes()).saturating_add(after.slot_bytes());
                })?;
            }
            after
        }
        VolumeState::Open if after.user_bytes >= limits::VOLUME_BYTES_MAX => close_row(rows, after, CloseReason::Full)?,
        VolumeState::Open => after,
    };
    answered(Answer::Volume(after))
}

pub(crate) fn move_slot(rows: &mut dyn Rows, asked: &SlotMove) -> Outcome {
    let before = existing(rows, asked.volume)?;
    refuse_no_such_slot(&before, asked.slot)?;
    refuse_unmovable(&before, asked)?;
    refuse_bad_target(rows, &before, asked)?;
    let position = usize::from(asked.slot.0);
    let mut after = before.clone();
    after.slots[position] = asked.to;
    after.placement_epoch = PlacementEpoch(before.placement_epoch.0 + 1);
    refuse_broken_promise(rows, &before, &after)?;

    let bytes = before.slot_bytes();
    change_use(rows, &before.slots[position], |disk| {
        disk.volumes = disk.volumes.saturating_sub(1);
        disk.closed_bytes = disk.closed_bytes.saturating_sub(bytes);
    })?;
    change_use(rows, &asked.to, |disk| {
        disk.volumes += 1;
        disk.closed_bytes = disk.closed_bytes.saturating_add(bytes);
    })?;
    VOLUMES.write(rows, &after.id, &after);
    answered(Answer::Volume(after))
}

/// Closes every open volume with a slot that the caller has just taken out of use.
pub(crate) fn close_where(rows: &mut dyn Rows, is_dead: impl Fn(&Slot) -> bool) -> Result<(), RowError> {
    for volume in read::open_volumes_of_all_classes(rows)? {
        if let Some(position) = volume.slots.iter().position(&is_dead) {
            let slot = ShardIndex(u8::try_from(position).expect("at most 20 slots"));
            close_row(rows, volume, CloseReason::DeadSlot { slot })?;
        }
    }
    Ok(())
}

/// Closes a volume that stands open. From here its bytes are part of what its disks are known to carry.
pub(crate) fn close_row(rows: &mut dyn Rows, open: VolumeRow, why: CloseReason) -> Result<VolumeRow, RowError> {
    assert!(open.is_open(), "only an open volume is closed");
    let closed = VolumeRow { state: VolumeState::Closed { why }, ..open };
    let bytes = closed.slot_bytes();
    for slot in &closed.slots {
        change_use(rows, slot, |disk| disk.closed_bytes = disk.closed_bytes.saturating_add(bytes))?;
    }
    OPEN_VOLUMES.remove(rows, &(closed.class.clone(), closed.id));
    VOLUMES.write(rows, &closed.id, &closed);
    Ok(closed)
}

fn open(
    rows: &mut dyn Rows,
    class: &ClassRow,
    scheme: ErasureScheme,
    mut slots: Vec<Slot>,
) -> Result<VolumeRow, RowError> {
    let meta = META.read(rows, &())?.unwrap_or(MetaRow { next_volume: VolumeId(1) });
    // Reads ask the data slots first: each volume starts elsewhere, so that no node only ever holds parity.
    let start = meta.next_volume.0 % u64::try_from(slots.len()).expect("at most 20 slots");
    slots.rotate_left(usize::try_from(start).expect("less than 20"));
    let volume = VolumeRow {
        id: meta.next_volume,
        class: class.name.clone(),
        scheme,
        slots,
        state: VolumeState::Open,
        placement_epoch: PlacementEpoch(0),
        user_bytes: 0,
    };
    for slot in &volume.slots {
        change_use(rows, slot, |disk| disk.volumes += 1)?;
    }
    META.write(rows, &(), &MetaRow { next_volume: VolumeId(volume.id.0 + 1) });
    OPEN_VOLUMES.write(rows, &(class.name.clone(), volume.id), &volume.id);
    VOLUMES.write(rows, &volume.id, &volume);
    Ok(volume)
}

/// After a volume was opened, the narrower ones end. Others as wide, on nodes that the caller cannot reach, stay
/// open for others, up to a bound: callers that see different nodes must not close each other's volumes in turn.
fn close_superseded(rows: &mut dyn Rows, data: usize, fitting: usize, others: Vec<VolumeRow>) -> Result<(), RowError> {
    let (narrower, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(|volume| volume.scheme.data() < data);
    let over = (fitting + rest.len()).saturating_sub(OPEN_VOLUMES_MAX);
    for volume in narrower.into_iter().chain(rest.into_iter().take(over)) {
        close_row(rows, volume, CloseReason::Superseded)?;
    }
    Ok(())
}

fn change_use(rows: &mut dyn Rows, slot: &Slot, change: impl FnOnce(&mut DiskUseRow)) -> Result<(), RowError> {
    let key = (slot.node, slot.disk);
    let mut row = DISK_USE.read(rows, &key)?.unwrap_or(DiskUseRow { disk: slot.disk, volumes: 0, closed_bytes: 0 });
    change(&mut row);
    if row.volumes == 0 {
        DISK_USE.remove(rows, &key);
    } else {
        DISK_USE.write(rows, &key, &row);
    }
    Ok(())
}

fn existing(rows: &dyn Rows, id: VolumeId) -> Result<VolumeRow, Stop> {
    Ok(VOLUMES.read(rows, &id)?.ok_or_else(|| Refusal::not_found(format!("volume {id}")))?)
}

fn refuse_no_such_slot(volume: &VolumeRow, slot: ShardIndex) -> Result<(), Refusal> {
    if usize::from(slot.0) < volume.slots.len() {
        return Ok(());
    }
    Err(Refusal::not_found(format!("slot {slot} in volume {} ({})", volume.id, volume.scheme)))
}

fn refuse_unmovable(volume: &VolumeRow, asked: &SlotMove) -> Result<(), Refusal> {
    if volume.is_open() {
        // Shards are still being written to the old place.
        let message = format!("volume {} is open", volume.id);
        return Err(Refusal::new(Reason::WrongState, "", message, "close the volume, then move its slot"));
    }
    if volume.placement_epoch != asked.planned_epoch {
        let message = format!(
            "volume {} is at placement epoch {}, the move was planned at {}",
            volume.id, volume.placement_epoch.0, asked.planned_epoch.0
        );
        return Err(Refusal::new(Reason::OutOfOrder, "", message, "plan the move anew"));
    }
    Ok(())
}

fn refuse_bad_target(rows: &dyn Rows, volume: &VolumeRow, asked: &SlotMove) -> Result<(), Stop> {
    let node = NODES.read(rows, &asked.to.node)?;
    let node = node.ok_or_else(|| Refusal::not_found(format!("node {}", asked.to.node)))?;
    if !Candidates::among(std::slice::from_ref(&node), &[]).hold(&asked.to) {
        let message = format!("disk {} of node {} is not in service", asked.to.disk.short(), node.id);
        return Err(Refusal::new(Reason::WrongState, "", message, "choose a disk in service").into());
    }
    let position = usize::from(asked.slot.0);
    let taken = |(other, slot): (usize, &Slot)| *slot == asked.to || (other != position && slot.node == node.id);
    if volume.slots.iter().enumerate().any(taken) {
        let message = format!("volume {} already has a slot on node {}", volume.id, node.id);
        return Err(Refusal::new(Reason::InvalidArgument, "", message, "choose another node").into());
    }
    Ok(())
}

/// A move may not cost the promise. One that finds it broken already may still mend the volume step by step.
fn refuse_broken_promise(rows: &dyn Rows, before: &VolumeRow, after: &VolumeRow) -> Result<(), Stop> {
    let class = CLASSES.read(rows, &before.class)?.ok_or_else(|| RowError::Corrupt {
        table: VOLUMES.name,
        detail: format!("volume {} is of class {}, which is not there", before.id, before.class),
    })?;
    let kept = |volume: &VolumeRow| -> Result<bool, RowError> {
        let places = read::slot_places(rows, volume)?;
        Ok(promise::meets(class.promise, volume.scheme, &places, &vec![true; places.len()]))
    };
    if kept(after)? || !kept(before)? {
        return Ok(());
    }
    let message = format!("with this move volume {} would no longer keep {}", before.id, class.promise);
    Err(Refusal::new(Reason::PromiseUnmet, "", message, "choose a node in another district").into())
}
