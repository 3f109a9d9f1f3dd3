//! The head of the tree as text (C2SP tlog-checkpoint): origin, size, root; no extension lines.

use std::fmt;

use strongroom_types::TreeHash;

use crate::{KeyName, text};

/// Largest size of the tree. Far beyond any log, and far below where index arithmetic could overflow.
pub const TREE_SIZE_MAX: u64 = 1 << 48;

/// A tree by its size and root: what two proofs or two voters compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// Number of leaves.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: TreeHash,
}

impl TreeHead {
    /// The tree without leaves: its root is the hash of the empty string.
    pub const EMPTY: Self = Self { size: 0, root: TreeHash::new(tlog_tiles::EMPTY_HASH.0) };
}

/// A tree head under the name of its log. Unsigned: it says nothing yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: KeyName,
    head: TreeHead,
}

/// Why something is not a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not origin, size and root on three lines, in their one spelling.
    #[error("a checkpoint is an origin, a size and a base64 root on three lines")]
    Malformed,
    /// A size beyond [`TREE_SIZE_MAX`].
    #[error("tree size {0} is beyond {TREE_SIZE_MAX}")]
    TooLarge(u64),
    /// No leaves, but not the root of no leaves.
    #[error("a tree of no leaves has another root")]
    EmptyTree,
}

impl Checkpoint {
    /// A checkpoint of `head` in the log `origin`.
    ///
    /// # Errors
    /// [`CheckpointError`] where no tree can have this head.
    pub fn new(origin: KeyName, head: TreeHead) -> Result<Self, CheckpointError> {
        if head.size > TREE_SIZE_MAX {
            return Err(CheckpointError::TooLarge(head.size));
        }
        if head.size == 0 && head != TreeHead::EMPTY {
            return Err(CheckpointError::EmptyTree);
        }
        Ok(Self { origin, head })
    }

    /// Reads the text form; only the canonical one is taken.
    ///
    /// # Errors
    /// [`CheckpointError`] for anything that `to_string` does not write.
    pub fn parse_canonical(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<&str> = text.split('\n').take(5).collect();
        let &[origin, size, root, ""] = lines.as_slice() else { return Err(CheckpointError::Malformed) };
        let origin = origin.parse().map_err(|_| CheckpointError::Malformed)?;
        let size = text::from_decimal(size).ok_or(CheckpointError::Malformed)?;
        let root = text::from_hash_line(root).ok_or(CheckpointError::Malformed)?;
        let checkpoint = Self::new(origin, TreeHead { size, root })?;
        if checkpoint.to_string() == text { Ok(checkpoint) } else { Err(CheckpointError::Malformed) }
    }

    /// The log's name.
    #[must_use]
    pub const fn origin(&self) -> &KeyName {
        &self.origin
    }

    /// Size and root.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.head
    }
}

impl fmt::Display for Checkpoint {
    /// The note text: three lines, each with its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.head.size, text::hash_line(&self.head.root))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_example_of_the_specification_reads_and_writes_the_same() {
        let checkpoint = Checkpoint::parse_canonical(SAMPLE).expect("the example");
        assert_eq!((checkpoint.origin().as_str(), checkpoint.head().size), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(checkpoint.to_string(), SAMPLE);
        let theirs = tlog_tiles::Checkpoint::from_bytes(SAMPLE.as_bytes()).expect("a checkpoint to others too");
        assert_eq!((theirs.size(), theirs.hash().0), (20_852_163, *checkpoint.head().root.as_bytes()));
    }

    #[test]
    fn other_spellings_and_impossible_heads_are_refused() {
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        for bad in [
            String::new(),
            "\n\n\n".to_owned(),
            format!("o\n1\n{root}"),
            format!("o\n01\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n1\n{root}\n\n"),
            format!("o\n1\n{root}\nextension\n"),
            format!("o\r\n1\n{root}\n"),
            format!("o o\n1\n{root}\n"),
            format!("\n1\n{root}\n"),
            format!("o\n0\n{root}\n"),
            format!("o\n{}\n{root}\n", TREE_SIZE_MAX + 1),
            "o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n".to_owned(),
        ] {
            assert!(Checkpoint::parse_canonical(&bad).is_err(), "{bad:?} was taken");
        }
        assert!(Checkpoint::new("o".parse().expect("a name"), TreeHead::EMPTY).is_ok());
    }
}
