//! The tree as tiles (C2SP tlog-tiles), for monitors that fetch it: hash tiles and entry bundles of up to 256.
//!
//! Tiles are cut from the stored rows when asked for; a full one never changes again and may be cached for ever.

use strongroom_types::{RecordSeq, rows::Rows};
use tlog_tiles::Tile;

use crate::tree::{self, TreeError};

/// Hashes in a full tile and entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// Log2 of [`TILE_WIDTH`].
const TILE_HEIGHT: u8 = 8;
/// Levels of tiles that a tree can have.
const TILE_LEVELS: u8 = 7;

const _: () = assert!(1 << TILE_HEIGHT == TILE_WIDTH);
const _: () = assert!(1u64 << (TILE_HEIGHT * (TILE_LEVELS - 1)) >= crate::TREE_SIZE_MAX);

/// The hash tile `tile/LEVEL/INDEX` of the tree of `size` leaves: 32 bytes a hash, fewer than 256 of them at the
/// right edge; none where the tree has no such tile.
///
/// # Errors
/// [`TreeError`] where the tree is smaller than `size` or rows cannot be read.
pub fn hash_tile(rows: &dyn Rows, size: u64, level: u8, index: u64) -> Result<Option<Vec<u8>>, TreeError> {
    tree::check_size(rows, size)?;
    if level >= TILE_LEVELS {
        return Ok(None);
    }
    let hashes_of_level = size >> (TILE_HEIGHT * level);
    let Some(width) = width_at(hashes_of_level, index) else { return Ok(None) };
    let tile = Tile::new(TILE_HEIGHT, level, index, width, false);
    Ok(Some(tree::with_hashes(rows, |hashes| tile.read_data(hashes))?))
}

/// The entry bundle `tile/entries/INDEX` of the tree of `size` leaves: each leaf's bytes after their length as u16
/// big-endian; none where the tree has no such bundle.
///
/// # Errors
/// [`TreeError`] where the tree is smaller than `size` or rows cannot be read.
pub fn entry_bundle(rows: &dyn Rows, size: u64, index: u64) -> Result<Option<Vec<u8>>, TreeError> {
    tree::check_size(rows, size)?;
    let Some(width) = width_at(size, index) else { return Ok(None) };
    let first = index * TILE_WIDTH;
    let mut bundle = Vec::new();
    for seq in (first..first + u64::from(width)).map(RecordSeq) {
        let leaf = tree::stored_leaf(rows, seq)?.to_bytes();
        let size_bytes = u16::try_from(leaf.len()).expect("a leaf has at most LEAF_BYTES_MAX bytes");
        bundle.extend_from_slice(&size_bytes.to_be_bytes());
        bundle.extend_from_slice(&leaf);
    }
    Ok(Some(bundle))
}

/// How many of `count` things fall into tile `index`; none if not even one does.
fn width_at(count: u64, index: u64) -> Option<u32> {
    let rest = count.checked_sub(index.checked_mul(TILE_WIDTH)?)?;
    u32::try_from(rest.min(TILE_WIDTH)).ok().filter(|width| *width > 0)
}

#[cfg(test)]
mod tests {
    use strongroom_types::{TreeHash, UnixMillis, rows::MemoryRows};

    use super::*;
    use crate::{Commitment, Leaf};

    fn tree_of(leaves: u64) -> MemoryRows {
        let mut rows = MemoryRows::default();
        for seq in 0..leaves {
            let leaf = Leaf { seq: RecordSeq(seq), clock: UnixMillis(0), commitment: Commitment::new([1; 32]) };
            tree::append(&mut rows, &leaf).expect("appends");
        }
        rows
    }

    #[test]
    fn tiles_hold_the_hashes_of_their_level_and_end_where_the_tree_ends() {
        let rows = tree_of(600);
        let tile = |size, level, index| hash_tile(&rows, size, level, index).expect("reads");
        assert_eq!(tile(600, 0, 0).expect("full").len(), 256 * 32);
        assert_eq!(tile(600, 0, 2).expect("partial").len(), 88 * 32);
        assert_eq!(tile(300, 0, 1).expect("partial in the older tree").len(), 44 * 32);
        let upper = tile(600, 1, 0).expect("two full subtrees");
        assert_eq!(upper.len(), 2 * 32);
        assert_eq!(upper[..32], *tree::root(&rows, 256).expect("reads").as_bytes());
        for (level, index) in [(0, 3), (1, 1), (2, 0), (63, 0), (255, 0), (0, u64::MAX)] {
            assert_eq!(tile(600, level, index), None, "level {level} index {index}");
        }
        assert_eq!(tile(512, 0, 2), None, "no empty tile at a full edge");
        assert!(matches!(hash_tile(&rows, 601, 0, 0), Err(TreeError::BeyondSize { .. })));
    }

    #[test]
    fn a_bundle_gives_back_the_leaves_whose_hashes_the_tile_holds() {
        let rows = tree_of(300);
        let bundle = entry_bundle(&rows, 300, 1).expect("reads").expect("partial");
        let tile = hash_tile(&rows, 300, 0, 1).expect("reads").expect("partial");
        let mut rest = bundle.as_slice();
        for hash in tile.chunks_exact(32) {
            let (length, after) = rest.split_first_chunk::<2>().expect("a length");
            let (leaf, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
            let leaf = Leaf::parse_canonical(leaf).expect("a leaf");
            assert_eq!(TreeHash::try_from(hash), Ok(leaf.hash()));
            rest = after;
        }
        assert!(rest.is_empty());
        assert_eq!(entry_bundle(&rows, 300, 2).expect("reads"), None);
        assert!(matches!(entry_bundle(&rows, 301, 0), Err(TreeError::BeyondSize { .. })));
    }
}
