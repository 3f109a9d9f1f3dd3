//! Reading the topology. Nothing here writes.

use strongroom_types::{
    DistrictName, ItemId, NodeId, ShardIndex, VolumeId, limits,
    rows::{Key, RowError, Rows, Table},
};

use crate::{
    name::ClassName,
    row::{CLASSES, ClassRow, NODES, NodeRow, OPEN_VOLUMES, REPAIRS, VOLUMES, VolumeRow},
};

/// One node, removed ones included.
///
/// # Errors
/// [`RowError`] where the rows cannot be read.
pub fn node(rows: &dyn Rows, node: NodeId) -> Result<Option<NodeRow>, RowError> {
    NODES.read(rows, &node)
}

/// Every node that was ever registered, by id.
///
/// # Errors
/// [`RowError`] where the rows cannot be read.
pub fn nodes(rows: &dyn Rows) -> Result<Vec<NodeRow>, RowError> {
    all(&NODES, rows, &())
}

/// The voters of the metadata group, by id.
///
/// # Errors
/// [`RowError`] where the rows cannot be read.
pub fn voters(rows: &dyn Rows) -> Result<Vec<NodeId>, RowError> {
    Ok(nodes(rows)?.into_iter().filter(|node| node.voter).map(|node| node.id).collect())
}

/// One class.
///
/// # Errors
/// [`RowError`] where the rows cannot be read.
pub fn class(rows: &dyn Rows, name: &ClassName) -> Result<Option<ClassRow>, RowError> {
    CLASSES.read(rows, name)
}

/// Every class, by name.
///
/// # Errors
/// [`RowError`] where the rows cannot be read.
pub fn classes(rows: &dyn Rows) -> Result<Vec<ClassRow>, RowError> {
    all(&CLASSES, rows, &())
}

/// One volume, open or closed.
///
/// # Errors
/// [`RowError`] where the rows cannot be read.
pub fn volume(rows: &dyn Rows, volume: VolumeId) -> Result<Option<VolumeRow>, RowError> {
    VOLUMES.read(rows, &volume)
}

/// Up to `limit` volumes by id, after the one given.
///
/// # Errors
/// [`RowError`] where the rows cannot be read.
pub fn volumes(rows: &dyn Rows, after: Option<VolumeId>, limit: usize) -> Result<Vec<VolumeRow>, RowError> {
    let after = after.map(|volume| volume.to_bytes());
    Ok(VOLUMES.scan(rows, &(), after.as_deref(), limit)?.into_iter().map(|(_, volume)| volume).collect())
}

/// The open volumes of a class, by id.
///
/// # Errors
/// [`RowError`] where the rows cannot be read, or the index names a volume that is not there.
pub fn open_volumes(rows: &dyn Rows, class: &ClassName) -> Result<Vec<VolumeRow>, RowError> {
    indexed(rows, all(&OPEN_VOLUMES, rows, class)?)
}

/// The open volumes of all classes, by class, then id.
///
/// # Errors
/// [`RowError`] where the rows cannot be read, or the index names a volume that is not there.
pub fn open_volumes_of_all_classes(rows: &dyn Rows) -> Result<Vec<VolumeRow>, RowError> {
    indexed(rows, all(&OPEN_VOLUMES, rows, &())?)
}

/// How many shards of an item in a volume wait for repair; counting ends at a page for each slot.
///
/// # Errors
/// [`RowError`] where the rows cannot be read.
pub fn bad_shards_of(rows: &dyn Rows, volume: VolumeId, item: ItemId) -> Result<usize, RowError> {
    let Some(row) = VOLUMES.read(rows, &volume)? else { return Ok(0) };
    let mut bad = 0;
    for slot in (0_u8..).map(ShardIndex).take(row.slots.len()) {
        bad += REPAIRS.scan(rows, &OfItem { volume, slot, item }, None, limits::PAGE_ROWS_MAX)?.len();
    }
    Ok(bad)
}

/// What the keys of an item's bad shards in a slot begin with.
struct OfItem {
    volume: VolumeId,
    slot: ShardIndex,
    item: ItemId,
}

impl Key for OfItem {
    fn write_to(&self, bytes: &mut Vec<u8>) {
        self.volume.write_to(bytes);
        bytes.push(self.slot.0);
        self.item.write_to(bytes);
    }
}

/// The node and district of each slot of a volume, in slot order: what [`crate::meets`] takes.
///
/// # Errors
/// [`RowError`] where the rows cannot be read, or a slot's node is not there.
pub fn slot_places(rows: &dyn Rows, volume: &VolumeRow) -> Result<Vec<(NodeId, DistrictName)>, RowError> {
    volume
        .slots
        .iter()
        .map(|slot| {
            let node = NODES.read(rows, &slot.node)?.ok_or_else(|| RowError::Corrupt {
                table: VOLUMES.name,
                detail: format!("volume {} has a slot on {}, which is not registered", volume.id, slot.node),
            })?;
            Ok((node.id, node.district))
        })
        .collect()
}

fn indexed(rows: &dyn Rows, ids: Vec<VolumeId>) -> Result<Vec<VolumeRow>, RowError> {
    ids.into_iter()
        .map(|id| {
            VOLUMES.read(rows, &id)?.ok_or_else(|| RowError::Corrupt {
                table: OPEN_VOLUMES.name,
                detail: format!("volume {id} is listed as open but is not there"),
            })
        })
        .collect()
}

/// Every row under a prefix, read page by page.
pub(crate) fn all<K: Key, V>(table: &Table<K, V>, rows: &dyn Rows, prefix: &impl Key) -> Result<Vec<V>, RowError>
where
    V: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    let mut found = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = table.scan(rows, prefix, after.as_deref(), limits::PAGE_ROWS_MAX)?;
        let full = page.len() == limits::PAGE_ROWS_MAX;
        for (key, value) in page {
            after = Some(key);
            found.push(value);
        }
        if !full {
            return Ok(found);
        }
    }
}
