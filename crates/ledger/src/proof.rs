//! Proofs that outsiders check alone: a record is in the tree, and one tree begins with another.
//!
//! ```text
//!  c2sp.org/tlog-proof@v1                strongroom.consistency-proof@v1
//!  extra BASE64      (optional)          old 5
//!  index 73894                           new 9
//!  HASH                                  HASH
//!  …                                     …
//!
//!  SIGNED CHECKPOINT
//! ```
//!
//! The left one is C2SP's tlog-proof. Its `extra` line is authenticated by nothing, so ours, where there is one,
//! must be the leaf's bytes: then the proof file needs no other to be checked but the policy.

use std::fmt;

use strongroom_types::{RecordSeq, TreeHash};
use tlog_tiles::Hash;

use crate::{
    Leaf, Policy, SignedCheckpoint, TREE_SIZE_MAX, TreeHead, VerifiedCheckpoint, VerifyError, signed::NoteError, text,
};

/// Largest proof file in bytes.
pub const PROOF_BYTES_MAX: usize = 64 << 10;
/// Most hashes in a proof: the depth of the largest tree, plus one for consistency.
const PROOF_HASHES_MAX: usize = 49;
/// First line of a tlog-proof.
const TLOG_PROOF: &str = "c2sp.org/tlog-proof@v1";
/// First line of a consistency proof. C2SP has no file form for these.
const CONSISTENCY_PROOF: &str = "strongroom.consistency-proof@v1";

const _: () = assert!(1u64 << (PROOF_HASHES_MAX - 1) >= TREE_SIZE_MAX);

/// The hashes that lead from one leaf to a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// Which leaf.
    pub seq: RecordSeq,
    /// From the leaf's sibling up.
    pub hashes: Vec<TreeHash>,
}

/// The hashes that show one tree to be the beginning of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// Leaves of the older tree.
    pub old_size: u64,
    /// Leaves of the newer tree.
    pub new_size: u64,
    /// In the order of RFC 6962; none where either is trivial.
    pub hashes: Vec<TreeHash>,
}

/// A `.tlog-proof` file: an inclusion proof with the checkpoint that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// The leaf's bytes, or nothing.
    pub extra: Option<Vec<u8>>,
    /// Which leaf, and its path.
    pub inclusion: InclusionProof,
    /// Of the tree that it is in.
    pub checkpoint: SignedCheckpoint,
}

/// Why a proof does not read or does not prove.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not the text form.
    #[error("could not read line {0} of the proof")]
    Line(usize),
    /// Too long, or it would be written otherwise.
    #[error("the proof is not in canonical form")]
    NotCanonical,
    /// The checkpoint in it does not read.
    #[error("could not read the checkpoint of the proof")]
    Checkpoint(#[source] NoteError),
    /// The checkpoint in it does not count under the policy.
    #[error("the checkpoint of the proof does not count under the policy")]
    Policy(#[from] VerifyError),
    /// The proof is for another leaf.
    #[error("the proof is for record {proved}, the leaf is {leaf}")]
    OtherLeaf {
        /// The proof's index.
        proved: RecordSeq,
        /// The leaf's own.
        leaf: RecordSeq,
    },
    /// The extra data are not the leaf.
    #[error("the proof carries extra data other than the leaf")]
    ExtraNotLeaf,
    /// The leaf is not in the tree by these hashes.
    #[error("the hashes do not lead from record {seq} to the root of {size} leaves")]
    NotIncluded {
        /// The leaf.
        seq: RecordSeq,
        /// The tree's size.
        size: u64,
    },
    /// The proof is between trees of other sizes.
    #[error("the proof is from {old_size} to {new_size} leaves, the trees have other sizes")]
    OtherSizes {
        /// The proof's old size.
        old_size: u64,
        /// The proof's new size.
        new_size: u64,
    },
    /// The older tree is not a beginning of the newer one: a fork, or damage.
    #[error("the tree of {new_size} leaves does not begin with the tree of {old_size}")]
    NotConsistent {
        /// The older size.
        old_size: u64,
        /// The newer size.
        new_size: u64,
    },
}

impl InclusionProof {
    /// Whether `leaf` is in the tree of `head`.
    ///
    /// # Errors
    /// [`ProofError::OtherLeaf`] or [`ProofError::NotIncluded`].
    pub fn verify(&self, leaf: &Leaf, head: TreeHead) -> Result<(), ProofError> {
        if leaf.seq != self.seq {
            return Err(ProofError::OtherLeaf { proved: self.seq, leaf: leaf.seq });
        }
        let root = Hash(*head.root.as_bytes());
        // The bounds keep the library's arithmetic in range; it checks the length of the path itself.
        let is_included = head.size <= TREE_SIZE_MAX
            && self.hashes.len() <= PROOF_HASHES_MAX
            && tlog_tiles::check_record(
                &theirs(&self.hashes),
                head.size,
                root,
                self.seq.0,
                Hash(*leaf.hash().as_bytes()),
            )
            .is_ok();
        if is_included { Ok(()) } else { Err(ProofError::NotIncluded { seq: self.seq, size: head.size }) }
    }
}

impl ConsistencyProof {
    /// Whether the tree of `new` begins with the tree of `old`.
    ///
    /// # Errors
    /// [`ProofError::OtherSizes`] or [`ProofError::NotConsistent`].
    pub fn verify(&self, old: TreeHead, new: TreeHead) -> Result<(), ProofError> {
        let Self { old_size, new_size, .. } = *self;
        if (old.size, new.size) != (old_size, new_size) {
            return Err(ProofError::OtherSizes { old_size, new_size });
        }
        if self.is_consistent(old, new) { Ok(()) } else { Err(ProofError::NotConsistent { old_size, new_size }) }
    }

    fn is_consistent(&self, old: TreeHead, new: TreeHead) -> bool {
        if old.size == 0 {
            return old == TreeHead::EMPTY && self.hashes.is_empty() && (new.size > 0 || new == TreeHead::EMPTY);
        }
        let (old_root, new_root) = (Hash(*old.root.as_bytes()), Hash(*new.root.as_bytes()));
        new.size <= TREE_SIZE_MAX
            && self.hashes.len() <= PROOF_HASHES_MAX
            && tlog_tiles::check_tree(&theirs(&self.hashes), new.size, new_root, old.size, old_root).is_ok()
    }

    /// Reads the text form; only the canonical one is taken.
    ///
    /// # Errors
    /// [`ProofError`] for anything that `to_string` does not write.
    pub fn parse_canonical(text: &str) -> Result<Self, ProofError> {
        let mut lines = Lines::new(text)?;
        lines.expect(CONSISTENCY_PROOF)?;
        let old_size = lines.number("old ")?;
        let new_size = lines.number("new ")?;
        let proof = Self { old_size, new_size, hashes: lines.hashes()? };
        if proof.to_string() == text { Ok(proof) } else { Err(ProofError::NotCanonical) }
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{CONSISTENCY_PROOF}\nold {}\nnew {}\n", self.old_size, self.new_size)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", text::hash_line(hash)))
    }
}

impl TlogProof {
    /// The proof that carries its leaf, so that it can be checked with nothing but the policy.
    #[must_use]
    pub fn with_leaf(leaf: &Leaf, inclusion: InclusionProof, checkpoint: SignedCheckpoint) -> Self {
        Self { extra: Some(leaf.to_bytes()), inclusion, checkpoint }
    }

    /// The leaf that the proof carries, if it does. It counts only after [`TlogProof::verify`].
    #[must_use]
    pub fn leaf(&self) -> Option<Leaf> {
        Leaf::parse_canonical(self.extra.as_ref()?).ok()
    }

    /// Whether `leaf` is in the log that `policy` speaks of.
    ///
    /// # Errors
    /// [`ProofError`] naming the first thing that is wrong.
    pub fn verify(&self, leaf: &Leaf, policy: &Policy) -> Result<VerifiedCheckpoint, ProofError> {
        if self.extra.as_ref().is_some_and(|extra| *extra != leaf.to_bytes()) {
            return Err(ProofError::ExtraNotLeaf);
        }
        let verified = policy.verify_signed(&self.checkpoint)?;
        self.inclusion.verify(leaf, verified.head())?;
        Ok(verified)
    }

    /// Reads a `.tlog-proof` file; only the canonical text is taken.
    ///
    /// # Errors
    /// [`ProofError`] for anything that `to_string` does not write.
    pub fn parse_canonical(text: &str) -> Result<Self, ProofError> {
        let (proof, checkpoint) = text.split_once("\n\n").ok_or(ProofError::NotCanonical)?;
        let mut lines = Lines::new(proof)?;
        lines.expect(TLOG_PROOF)?;
        let extra = lines.extra()?;
        let seq = RecordSeq(lines.number("index ")?);
        let inclusion = InclusionProof { seq, hashes: lines.hashes()? };
        let checkpoint = SignedCheckpoint::parse_canonical(checkpoint.as_bytes()).map_err(ProofError::Checkpoint)?;
        let proof = Self { extra, inclusion, checkpoint };
        if proof.to_string() == text { Ok(proof) } else { Err(ProofError::NotCanonical) }
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TLOG_PROOF}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", text::base64(extra))?;
        }
        writeln!(f, "index {}", self.inclusion.seq.0)?;
        self.inclusion.hashes.iter().try_for_each(|hash| writeln!(f, "{}", text::hash_line(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

fn theirs(hashes: &[TreeHash]) -> Vec<Hash> {
    hashes.iter().map(|hash| Hash(*hash.as_bytes())).collect()
}

/// The lines of a proof, with the number of the one at hand for errors.
struct Lines<'a> {
    lines: std::iter::Peekable<std::str::Lines<'a>>,
    number: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Result<Self, ProofError> {
        if text.len() > PROOF_BYTES_MAX {
            return Err(ProofError::NotCanonical);
        }
        Ok(Self { lines: text.lines().peekable(), number: 0 })
    }

    fn next(&mut self) -> Result<&'a str, ProofError> {
        self.number += 1;
        self.lines.next().ok_or(ProofError::Line(self.number))
    }

    fn expect(&mut self, line: &str) -> Result<(), ProofError> {
        if self.next()? == line { Ok(()) } else { Err(ProofError::Line(self.number)) }
    }

    fn extra(&mut self) -> Result<Option<Vec<u8>>, ProofError> {
        let Some(base64) = self.lines.peek().and_then(|line| line.strip_prefix("extra ")) else { return Ok(None) };
        self.next()?;
        text::from_base64(base64).map(Some).ok_or(ProofError::Line(self.number))
    }

    fn number(&mut self, prefix: &str) -> Result<u64, ProofError> {
        self.next()?.strip_prefix(prefix).and_then(text::from_decimal).ok_or(ProofError::Line(self.number))
    }

    fn hashes(&mut self) -> Result<Vec<TreeHash>, ProofError> {
        let mut hashes = Vec::new();
        while self.lines.peek().is_some() {
            if hashes.len() == PROOF_HASHES_MAX {
                return Err(ProofError::Line(self.number + 1));
            }
            hashes.push(text::from_hash_line(self.next()?).ok_or(ProofError::Line(self.number))?);
        }
        Ok(hashes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strongroom_types::{UnixMillis, rows::MemoryRows};

    use super::*;
    use crate::{
        commitment::Commitment,
        testing::{Cluster, each_flip},
        tree,
    };

    fn leaf(seq: u64) -> Leaf {
        let commitment = Commitment::new([u8::try_from(seq).expect("small"); 32]);
        Leaf { seq: RecordSeq(seq), clock: UnixMillis(1_767_225_600_000), commitment }
    }

    fn rows() -> MemoryRows {
        let mut rows = MemoryRows::default();
        for seq in 0..7 {
            tree::append(&mut rows, &leaf(seq)).expect("appends");
        }
        rows
    }

    fn head(size: u64) -> TreeHead {
        TreeHead { size, root: tree::root(&rows(), size).expect("reads") }
    }

    fn sample() -> TlogProof {
        let inclusion = tree::inclusion_proof(&rows(), RecordSeq(2), 7).expect("proves");
        TlogProof { extra: None, inclusion, checkpoint: Cluster::golden().signed_checkpoint(head(7)) }
    }

    fn sample_with_leaf() -> TlogProof {
        let TlogProof { inclusion, checkpoint, .. } = sample();
        TlogProof::with_leaf(&leaf(2), inclusion, checkpoint)
    }

    #[test]
    fn a_proof_file_has_the_form_of_the_specification() {
        let proof = sample();
        let hashes: String = proof.inclusion.hashes.iter().map(|hash| text::hash_line(hash) + "\n").collect();
        let expected = format!("c2sp.org/tlog-proof@v1\nindex 2\n{hashes}\n{}", proof.checkpoint);
        assert_eq!(proof.to_string(), expected);
        assert_eq!(TlogProof::parse_canonical(&expected), Ok(proof));
        let with_leaf = sample_with_leaf().to_string();
        let extra = format!("@v1\nextra {}\nindex 2", text::base64(&leaf(2).to_bytes()));
        assert_eq!(with_leaf, expected.replacen("@v1\nindex 2", &extra, 1));
        assert_eq!(TlogProof::parse_canonical(&with_leaf).expect("reads").leaf(), Some(leaf(2)));
    }

    #[test]
    fn a_proof_holds_for_its_own_leaf_and_policy_only() {
        let policy = Cluster::golden().policy();
        for proof in [sample(), sample_with_leaf()] {
            let verified = proof.verify(&leaf(2), &policy).expect("verifies");
            assert_eq!(verified.head(), head(7));
            let others = Cluster::with_seeds("strongroom.example/golden", 3, 50).policy();
            assert!(matches!(proof.verify(&leaf(2), &others), Err(ProofError::Policy(_))));
        }
        let other = Leaf { clock: UnixMillis(0), ..leaf(2) };
        assert_eq!(sample().verify(&other, &policy), Err(ProofError::NotIncluded { seq: RecordSeq(2), size: 7 }));
        assert_eq!(sample_with_leaf().verify(&other, &policy), Err(ProofError::ExtraNotLeaf));
        let other_leaf = ProofError::OtherLeaf { proved: RecordSeq(2), leaf: RecordSeq(3) };
        assert_eq!(sample().verify(&leaf(3), &policy), Err(other_leaf));
    }

    #[test]
    fn every_flipped_bit_of_a_proof_file_is_refused() {
        let policy = Cluster::golden().policy();
        for proof in [sample(), sample_with_leaf()] {
            each_flip(proof.to_string().as_bytes(), |bytes| {
                let Ok(text) = std::str::from_utf8(bytes) else { return true };
                TlogProof::parse_canonical(text).map_or(true, |proof| proof.verify(&leaf(2), &policy).is_err())
            });
        }
    }

    #[test]
    fn every_flipped_bit_of_the_leaf_is_refused() {
        let policy = Cluster::golden().policy();
        each_flip(&leaf(2).to_bytes(), |bytes| {
            Leaf::parse_canonical(bytes).map_or(true, |leaf| sample().verify(&leaf, &policy).is_err())
        });
    }

    #[test]
    fn every_flipped_bit_of_a_consistency_proof_is_refused() {
        let rows = rows();
        for (old_size, new_size) in [(0, 0), (0, 7), (1, 7), (3, 7), (4, 7), (7, 7)] {
            let proof = tree::consistency_proof(&rows, old_size, new_size).expect("proves");
            let text = proof.to_string();
            assert_eq!(ConsistencyProof::parse_canonical(&text).as_ref(), Ok(&proof));
            each_flip(text.as_bytes(), |bytes| {
                let Ok(text) = std::str::from_utf8(bytes) else { return true };
                ConsistencyProof::parse_canonical(text)
                    .map_or(true, |proof| proof.verify(head(old_size), head(new_size)).is_err())
            });
        }
    }

    #[test]
    fn a_consistency_proof_has_fixed_text() {
        let proof = ConsistencyProof { old_size: 5, new_size: 9, hashes: vec![TreeHash::new([0; 32])] };
        let text = "strongroom.consistency-proof@v1\nold 5\nnew 9\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
        assert_eq!(proof.to_string(), text);
        assert_eq!(ConsistencyProof::parse_canonical(text), Ok(proof));
    }

    #[test]
    fn a_fork_and_a_rollback_are_not_consistent() {
        let proof = tree::consistency_proof(&rows(), 3, 7).expect("proves");
        let forked = TreeHead { root: TreeHash::new([9; 32]), ..head(3) };
        let error = ProofError::NotConsistent { old_size: 3, new_size: 7 };
        assert_eq!(proof.verify(forked, head(7)), Err(error));
        let other_sizes = ProofError::OtherSizes { old_size: 3, new_size: 7 };
        assert_eq!(proof.verify(head(7), head(3)), Err(other_sizes.clone()));
        assert_eq!(proof.verify(head(2), head(7)), Err(other_sizes));
        let same_size = ConsistencyProof { old_size: 3, new_size: 3, hashes: vec![] };
        assert!(same_size.verify(head(3), head(3)).is_ok());
        assert!(same_size.verify(forked, head(3)).is_err());
        let backwards = ConsistencyProof { old_size: 7, new_size: 3, hashes: vec![] };
        assert!(backwards.verify(head(7), head(3)).is_err());
    }

    #[test]
    fn impossible_sizes_and_lengths_are_refused_without_trouble() {
        let root = TreeHash::new([0; 32]);
        for (seq, size) in [(0, 0), (5, 5), (0, u64::MAX), (u64::MAX - 1, u64::MAX), (0, TREE_SIZE_MAX + 1)] {
            for count in [0, 1, 48, 64, 10_000] {
                let proof = InclusionProof { seq: RecordSeq(seq), hashes: vec![root; count] };
                let leaf = Leaf { seq: RecordSeq(seq), ..leaf(0) };
                assert!(proof.verify(&leaf, TreeHead { size, root }).is_err(), "{seq} in {size} by {count}");
                let proof = ConsistencyProof { old_size: seq, new_size: size, hashes: vec![root; count] };
                let (old, new) = (TreeHead { size: seq, root: TreeHash::new([1; 32]) }, TreeHead { size, root });
                assert!(proof.verify(old, new).is_err(), "{seq} to {size} by {count}");
            }
        }
        let many = format!("{CONSISTENCY_PROOF}\nold 1\nnew 2\n{}", (text::hash_line(&root) + "\n").repeat(50));
        assert_eq!(ConsistencyProof::parse_canonical(&many), Err(ProofError::Line(53)));
    }

    #[test]
    fn other_spellings_of_a_proof_file_are_refused() {
        let text = sample().to_string();
        for bad in [
            String::new(),
            text.trim_end().to_owned(),
            format!("{text}\n"),
            text.replace("\nindex 2\n", "\nindex 02\n"),
            text.replace("\nindex 2\n", "\nextra \nextra \nindex 2\n"),
            text.replace("\nindex 2\n", "\nindex 2\n\n"),
            text.replacen('\n', "\r\n", 1),
            text.replace("@v1", "@v2"),
        ] {
            assert!(TlogProof::parse_canonical(&bad).is_err(), "{bad:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn foreign_text_is_a_proof_only_if_it_is_its_text(
            text in "(c2sp.org/tlog-proof@v1\n|strongroom.consistency-proof@v1\n)?((extra|index|old|new|—|[a-z0-9+=/]{1,44})[ \n]){0,20}",
        ) {
            if let Ok(proof) = TlogProof::parse_canonical(&text) {
                prop_assert_eq!(proof.to_string(), text.clone());
            }
            if let Ok(proof) = ConsistencyProof::parse_canonical(&text) {
                prop_assert_eq!(proof.to_string(), text);
            }
        }

        #[test]
        fn damaged_proof_files_do_not_panic(
            at in 0usize..900,
            len in 0usize..60,
            with in "[a-zA-Z0-9+/= \n—]{0,60}",
        ) {
            let original = sample_with_leaf().to_string();
            let mut bytes = original.clone().into_bytes();
            let at = at.min(bytes.len());
            let end = (at + len).min(bytes.len());
            bytes.splice(at..end, with.into_bytes());
            if let Ok(proof) = TlogProof::parse_canonical(&String::from_utf8_lossy(&bytes)) {
                let holds = proof.verify(&leaf(2), &Cluster::golden().policy()).is_ok();
                prop_assert_eq!(holds, proof.to_string() == original);
            }
        }
    }
}
