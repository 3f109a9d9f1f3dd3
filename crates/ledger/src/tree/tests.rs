//! The tree against the definitions of RFC 6962, written down again as plain recursion.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use strongroom_types::rows::{MemoryRows, TableId};

use super::*;
use crate::commitment::Commitment;

const LEAVES_TRIED: u64 = 300;

fn sample_leaf(seq: u64) -> Leaf {
    let byte = u8::try_from(seq % 251).expect("below 251");
    Leaf { seq: RecordSeq(seq), clock: UnixMillis(1000), commitment: Commitment::new([byte; 32]) }
}

fn tree_of(leaves: u64) -> MemoryRows {
    let mut rows = MemoryRows::default();
    for seq in 0..leaves {
        append(&mut rows, &sample_leaf(seq)).expect("appends");
    }
    rows
}

/// MTH, PATH and PROOF of RFC 6962, section 2.1, over leaf hashes.
struct Model {
    leaves: Vec<TreeHash>,
    subtrees: RefCell<HashMap<(usize, usize), TreeHash>>,
}

impl Model {
    fn new(leaves: u64) -> Self {
        let leaves = (0..leaves)
            .map(|seq| {
                let mut data = vec![0x00];
                data.extend(sample_leaf(seq).to_bytes());
                TreeHash::new(Sha256::digest(data).into())
            })
            .collect();
        Self { leaves, subtrees: RefCell::default() }
    }

    fn mth(&self, lo: usize, hi: usize) -> TreeHash {
        match hi - lo {
            0 => TreeHash::new(Sha256::digest([]).into()),
            1 => self.leaves[lo],
            n => {
                if let Some(hash) = self.subtrees.borrow().get(&(lo, hi)) {
                    return *hash;
                }
                let k = split(n);
                let (left, right) = (self.mth(lo, lo + k), self.mth(lo + k, hi));
                let node = [&[0x01][..], left.as_bytes(), right.as_bytes()].concat();
                let hash = TreeHash::new(Sha256::digest(node).into());
                self.subtrees.borrow_mut().insert((lo, hi), hash);
                hash
            }
        }
    }

    fn path(&self, m: usize, lo: usize, hi: usize) -> Vec<TreeHash> {
        let n = hi - lo;
        if n == 1 {
            return Vec::new();
        }
        let k = split(n);
        let (mut path, sibling) = if m < k {
            (self.path(m, lo, lo + k), self.mth(lo + k, hi))
        } else {
            (self.path(m - k, lo + k, hi), self.mth(lo, lo + k))
        };
        path.push(sibling);
        path
    }

    fn proof(&self, m: usize, lo: usize, hi: usize, is_known: bool) -> Vec<TreeHash> {
        let n = hi - lo;
        if m == n {
            return if is_known { Vec::new() } else { vec![self.mth(lo, hi)] };
        }
        let k = split(n);
        let (mut proof, sibling) = if m <= k {
            (self.proof(m, lo, lo + k, is_known), self.mth(lo + k, hi))
        } else {
            (self.proof(m - k, lo + k, hi, false), self.mth(lo, lo + k))
        };
        proof.push(sibling);
        proof
    }
}

/// The largest power of two smaller than `n`.
fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).expect("small")
}

#[test]
fn the_roots_of_the_certificate_transparency_vectors_come_out() {
    let inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut rows = MemoryRows::default();
    assert_eq!(head(&rows).expect("reads"), TreeHead::EMPTY);
    for (size, input) in (0..).zip(inputs) {
        let data = hex::decode(input).expect("hex");
        let hash = TreeHash::new(tlog_tiles::record_hash(&data).0);
        append_hash(&mut rows, size, hash).expect("appends");
    }
    for (size, root) in (0..).zip(roots) {
        assert_eq!(super::root(&rows, size).expect("reads").to_string(), root, "of {size} leaves");
    }
}

#[test]
fn every_root_and_inclusion_proof_agrees_with_the_definition_and_verifies() {
    let (rows, model) = (tree_of(LEAVES_TRIED), Model::new(LEAVES_TRIED));
    for size in 0..=LEAVES_TRIED {
        let root = root(&rows, size).expect("reads");
        assert_eq!(root, model.mth(0, usize_of(size)), "root of {size}");
        for seq in 0..size {
            let proof = inclusion_proof(&rows, RecordSeq(seq), size).expect("proves");
            assert_eq!(proof.hashes, model.path(usize_of(seq), 0, usize_of(size)), "{seq} in {size}");
            let leaf = sample_leaf(seq);
            proof.verify(&leaf, TreeHead { size, root }).expect("verifies");
            assert!(proof.verify(&sample_leaf(seq + 1), TreeHead { size, root }).is_err(), "{seq} in {size}");
        }
    }
}

#[test]
fn every_consistency_proof_agrees_with_the_definition_and_verifies() {
    let (rows, model) = (tree_of(LEAVES_TRIED), Model::new(LEAVES_TRIED));
    let head = |size: u64| TreeHead { size, root: model.mth(0, usize_of(size)) };
    let forged = |size: u64| TreeHead { size, root: TreeHash::new([1; 32]) };
    for new_size in 0..=LEAVES_TRIED {
        for old_size in 0..=new_size {
            let proof = consistency_proof(&rows, old_size, new_size).expect("proves");
            let expected = match old_size {
                0 => Vec::new(),
                old_size => model.proof(usize_of(old_size), 0, usize_of(new_size), true),
            };
            assert_eq!(proof.hashes, expected, "{old_size} to {new_size}");
            proof.verify(head(old_size), head(new_size)).expect("verifies");
            assert!(proof.verify(forged(old_size), head(new_size)).is_err(), "{old_size} to {new_size}");
            // The empty tree begins every tree, a forged one too: what proves nothing claims nothing.
            assert_eq!(proof.verify(head(old_size), forged(new_size)).is_ok(), old_size == 0 && new_size > 0);
        }
    }
}

#[test]
fn nothing_that_was_written_is_written_again_but_the_size() {
    let mut rows = MemoryRows::default();
    for seq in 0..64 {
        let before = rows.clone();
        append(&mut rows, &sample_leaf(seq)).expect("appends");
        for (table, key, value) in before.iter().filter(|(table, ..)| *table != SIZE.id) {
            assert_eq!(rows.read(table, key).expect("reads").as_deref(), Some(value));
        }
    }
    let count = |id: TableId| rows.iter().filter(|(table, ..)| *table == id).count();
    assert_eq!(count(HASHES.id), 127);
    assert_eq!(count(LEAVES.id), 64);
}

#[test]
fn rows_have_fixed_bytes() {
    let mut rows = MemoryRows::default();
    let leaf = append_record(&mut rows, UnixMillis(1000), &[0x11; 32], b"record".to_vec()).expect("appends");
    append_record(&mut rows, UnixMillis(1001), &[0x11; 32], b"next".to_vec()).expect("appends");
    let shown: Vec<String> = rows
        .iter()
        .filter(|(_, key, _)| !key.ends_with(&[1]) && !key.ends_with(&[2]))
        .map(|(table, key, value)| format!("{} {} {}", table.0, hex::encode(key), hex::encode(value)))
        .collect();
    let (salt, hash) = (commitment::salt(&[0x11; 32], RecordSeq(0)), leaf.hash());
    assert_eq!(
        shown,
        [
            "150  02".to_owned(),
            format!("151 0000000000000000 5820{hash}"),
            format!("152 0000000000000000 83001903e85820{}", hex::encode(leaf.commitment.as_bytes())),
            format!("153 0000000000000000 825820{}467265636f7264", hex::encode(salt.as_bytes())),
        ]
    );
}

#[test]
fn a_leaf_out_of_order_is_refused_and_writes_nothing() {
    let mut rows = tree_of(3);
    let before = rows.clone();
    for seq in [0, 2, 4, u64::MAX] {
        let error = append(&mut rows, &sample_leaf(seq)).expect_err("out of order");
        assert!(matches!(error, AppendError::OutOfOrder { size: 3, found } if found == RecordSeq(seq)));
    }
    assert_eq!(rows, before);
}

#[test]
fn questions_beyond_the_tree_are_refused() {
    let rows = tree_of(5);
    assert!(matches!(root(&rows, 6), Err(TreeError::BeyondSize { asked: 6, size: 5 })));
    assert!(matches!(root(&rows, u64::MAX), Err(TreeError::BeyondSize { .. })));
    assert!(matches!(inclusion_proof(&rows, RecordSeq(0), 6), Err(TreeError::BeyondSize { .. })));
    assert!(matches!(inclusion_proof(&rows, RecordSeq(3), 3), Err(TreeError::NotInTree { .. })));
    assert!(matches!(inclusion_proof(&rows, RecordSeq(0), 0), Err(TreeError::NotInTree { .. })));
    assert!(matches!(consistency_proof(&rows, 1, 6), Err(TreeError::BeyondSize { .. })));
    assert!(matches!(consistency_proof(&rows, 4, 3), Err(TreeError::NotOlder { .. })));
}

#[test]
fn a_missing_or_corrupt_row_is_an_error_and_not_another_root() {
    let mut missing = tree_of(5);
    HASHES.remove(&mut missing, &tlog_tiles::stored_hash_index(2, 0));
    let error = head(&missing).expect_err("a hash is gone");
    assert!(matches!(error, RowError::Corrupt { table: "ledger-hashes", .. }), "{error}");

    let mut corrupt = tree_of(3);
    corrupt.write(HASHES.id, &0u64.to_be_bytes(), vec![0x41, 0]);
    assert!(inclusion_proof(&corrupt, RecordSeq(1), 3).is_err());

    let mut absurd = MemoryRows::default();
    SIZE.write(&mut absurd, &(), &u64::MAX);
    assert!(matches!(size(&absurd), Err(RowError::Corrupt { table: "ledger-size", .. })));
}

#[test]
fn a_full_tree_takes_no_more() {
    let mut rows = MemoryRows::default();
    SIZE.write(&mut rows, &(), &TREE_SIZE_MAX);
    assert!(matches!(append(&mut rows, &sample_leaf(TREE_SIZE_MAX)), Err(AppendError::Full)));
}

/// Rows whose every read fails.
struct Broken;

impl Rows for Broken {
    fn read(&self, _: TableId, _: &[u8]) -> Result<Option<Vec<u8>>, RowError> {
        Err(RowError::Store("gone".to_owned()))
    }

    fn scan(
        &self,
        _: TableId,
        _: &[u8],
        _: std::ops::Bound<&[u8]>,
        _: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, RowError> {
        Err(RowError::Store("gone".to_owned()))
    }

    fn write(&mut self, _: TableId, _: &[u8], _: Vec<u8>) {
        panic!("written to after a failed read");
    }

    fn remove(&mut self, _: TableId, _: &[u8]) {}
}

#[test]
fn a_failing_store_is_passed_on_and_nothing_is_written() {
    assert!(matches!(size(&Broken), Err(RowError::Store(_))));
    let error = append(&mut Broken, &sample_leaf(0)).expect_err("fails");
    assert!(matches!(error, AppendError::Rows(RowError::Store(_))));
    assert!(matches!(with_hashes(&Broken, |hashes| tlog_tiles::tree_hash(3, hashes)), Err(RowError::Store(_))));
}

#[test]
fn a_record_opens_its_leaf_until_it_is_erased_and_the_tree_stays() {
    let mut rows = MemoryRows::default();
    for text in ["seal", "view", "hold"] {
        append_record(&mut rows, UnixMillis(7), &[9; 32], text.as_bytes().to_vec()).expect("appends");
    }
    let stored = record(&rows, RecordSeq(1)).expect("reads").expect("is there");
    assert_eq!(stored.record, b"view");
    let head_before = head(&rows).expect("reads");

    erase_record(&mut rows, RecordSeq(1));
    assert_eq!(record(&rows, RecordSeq(1)).expect("reads"), None);
    assert_eq!(head(&rows).expect("reads"), head_before);
    let leaf = leaf(&rows, RecordSeq(1)).expect("reads").expect("stays");
    inclusion_proof(&rows, RecordSeq(1), 3).expect("proves").verify(&leaf, head_before).expect("verifies");
}

#[test]
fn a_record_that_no_longer_opens_its_leaf_is_corruption() {
    let mut rows = MemoryRows::default();
    append_record(&mut rows, UnixMillis(7), &[9; 32], b"seal".to_vec()).expect("appends");
    let stored = record(&rows, RecordSeq(0)).expect("reads").expect("is there");
    let altered = StoredRecord { record: b"sale".to_vec(), ..stored };
    RECORDS.write(&mut rows, &RecordSeq(0), &altered);
    assert!(matches!(record(&rows, RecordSeq(0)), Err(RowError::Corrupt { table: "ledger-records", .. })));
}
