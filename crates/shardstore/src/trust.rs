//! Whom a disk believes: the voters of its cluster, and the newest checkpoint that it has verified.
//!
//! `strongroom-trust.cbor` lies beside the marker and is a CBOR sequence of two items, like it: the trust as an array, and
//! the crc32c of the first item's bytes. The policy is pinned once, from the genesis file whose digest the marker
//! holds, and moves on only by records of replaced voters that a majority of the voters before cosigned; the checkpoint
//! only moves to a newer one that was proved to continue it, and has moved, durably, before anything is erased under it.
//! So a disk that was shown the ledger once cannot be shown a shorter or another one.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use strongroom_custody::voters::next_policy;
use strongroom_ledger::{ConsistencyProof, Policy, PolicyFingerprint, ProofError, TreeHead, commitment};
use strongroom_types::{ClusterId, DiskId, TreeHash};

use crate::{
    crc32c,
    marker::sync_folder,
    permit::{CheckpointProof, PermitError, VoterChangeProof},
};

/// Name of the file in a disk's folder.
pub(crate) const FILE_NAME: &str = "strongroom-trust.cbor";
const TEMPORARY_NAME: &str = "strongroom-trust.cbor.tmp";
/// More than any trust has.
const TRUST_BYTES_MAX: u64 = 128 << 10;

/// Whom one disk believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskTrust {
    /// The disk.
    pub disk: DiskId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// The voters of whom a majority must have cosigned.
    pub policy: Policy,
    /// The newest checkpoint that it has verified; before the first, the empty tree.
    pub newest: TreeHead,
    /// The policy that was pinned first.
    pub pinned: PolicyFingerprint,
}

/// Why a disk's trust could not be read or kept. Nothing is erased then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Nobody has told the disk yet whom to believe.
    #[error("disk {disk} has no voters pinned")]
    NotPinned {
        /// The disk.
        disk: DiskId,
    },
    /// What is there is not a trust, or not this disk's.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// Another set of voters is pinned.
    #[error("disk {disk} has another policy pinned than the genesis file holds")]
    OtherPolicy {
        /// The disk.
        disk: DiskId,
    },
    /// The file system failed.
    #[error("could not {what} {}: {why}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What it said.
        why: String,
    },
}

/// The stored form.
#[derive(minicbor::Encode, minicbor::Decode)]
struct Stored {
    #[n(0)]
    disk: DiskId,
    #[n(1)]
    cluster: ClusterId,
    #[n(2)]
    policy: String,
    #[n(3)]
    size: u64,
    #[n(4)]
    root: TreeHash,
    #[cbor(n(5), with = "minicbor::bytes")]
    pinned: [u8; 32],
}

impl DiskTrust {
    /// The trust of a disk that has verified no checkpoint yet.
    #[must_use]
    pub fn pinned(disk: DiskId, cluster: ClusterId, policy: Policy) -> Self {
        let pinned = policy.fingerprint();
        Self { disk, cluster, policy, newest: TreeHead::EMPTY, pinned }
    }

    /// The trust once the disk has been shown a checkpoint, where a majority of its voters cosigned it and it continues the
    /// newest one.
    pub(crate) fn followed(&self, proof: &CheckpointProof) -> Result<Self, PermitError> {
        let verified = self.policy.verify(&proof.note).map_err(ProofError::Policy).map_err(PermitError::NotProved)?;
        self.check_continued(verified.head(), &proof.consistency)?;
        Ok(Self { newest: verified.head(), ..self.clone() })
    }

    /// The trust once a voter was replaced, where a majority of the voters before cosigned the record of it.
    pub(crate) fn succeeded(&self, change: &VoterChangeProof) -> Result<Self, PermitError> {
        let seq = change.leaf.seq;
        let wrong = |why: String| PermitError::NoVoterChange { seq, why };
        if commitment::commit(&change.salt, &change.record) != change.leaf.commitment {
            return Err(PermitError::OtherRecord { seq });
        }
        let verified = change.proof.verify(&change.leaf, &self.policy).map_err(PermitError::NotProved)?;
        self.check_continued(verified.head(), &change.consistency)?;
        let says = next_policy(&change.record).map_err(wrong)?;
        let next = Policy::parse_canonical(&change.next).map_err(|error| wrong(error.to_string()))?;
        if *next.fingerprint().as_bytes() != says || next.origin() != self.policy.origin() {
            return Err(wrong("it names another policy".to_owned()));
        }
        Ok(Self { policy: next, newest: verified.head(), ..self.clone() })
    }

    /// Refuses a tree that does not continue the newest one: an older one, or one of a fork.
    pub(crate) fn check_continued(&self, head: TreeHead, consistency: &ConsistencyProof) -> Result<(), PermitError> {
        let (newest, found) = (self.newest.size, head.size);
        let continued = consistency.verify(self.newest, head);
        continued.map_err(|source| PermitError::NotContinued { newest, found, source })
    }

    fn encode(&self) -> Vec<u8> {
        let TreeHead { size, root } = self.newest;
        let (disk, cluster, policy) = (self.disk, self.cluster, self.policy.to_string());
        let stored = Stored { disk, cluster, policy, size, root, pinned: *self.pinned.as_bytes() };
        let mut bytes = minicbor::to_vec(stored).expect("encoding into memory cannot fail");
        let checksum = crc32c(&bytes);
        bytes.extend(minicbor::to_vec(checksum).expect("encoding into memory cannot fail"));
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let stored: Stored = decoder.decode().map_err(|error| error.to_string())?;
        let length = decoder.position();
        let checksum = decoder.u32().map_err(|error| error.to_string())?;
        if decoder.position() != bytes.len() {
            return Err("there are bytes after it".to_owned());
        }
        if crc32c(&bytes[..length]) != checksum {
            return Err("its checksum does not fit".to_owned());
        }
        let policy = Policy::parse_canonical(&stored.policy).map_err(|error| error.to_string())?;
        let newest = TreeHead { size: stored.size, root: stored.root };
        let pinned = PolicyFingerprint::new(stored.pinned);
        Ok(Self { disk: stored.disk, cluster: stored.cluster, policy, newest, pinned })
    }
}

/// Reads a disk's trust; none where nothing was pinned.
pub(crate) fn read(folder: &Path, disk: DiskId, cluster: ClusterId) -> Result<Option<DiskTrust>, TrustError> {
    let path = folder.join(FILE_NAME);
    let failed = |error: io::Error| TrustError::Io { path: path.clone(), what: "read", why: error.to_string() };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(TRUST_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let damaged = |why: String| TrustError::Damaged { path: path.clone(), why };
    let trust = DiskTrust::decode(&bytes).map_err(damaged)?;
    if (trust.disk, trust.cluster) == (disk, cluster) {
        Ok(Some(trust))
    } else {
        Err(damaged(format!("it is that of disk {} of cluster {}", trust.disk, trust.cluster)))
    }
}

/// Keeps a disk's trust; durable when it returns.
pub(crate) fn write(folder: &Path, trust: &DiskTrust) -> Result<(), TrustError> {
    let path = folder.join(FILE_NAME);
    let replace = || -> io::Result<()> {
        let temporary = folder.join(TEMPORARY_NAME);
        let mut file = File::create(&temporary)?;
        file.write_all(&trust.encode())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        sync_folder(folder)
    };
    replace().map_err(|error| TrustError::Io { path: path.clone(), what: "write", why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::voters;

    fn sample() -> DiskTrust {
        let newest = TreeHead { size: 9, root: TreeHash::new([7; 32]) };
        DiskTrust { newest, ..DiskTrust::pinned(DiskId::new([1; 16]), ClusterId::new([2; 16]), voters::policy()) }
    }

    #[test]
    fn what_is_kept_is_read_again_and_any_flipped_bit_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let trust = sample();
        let read = || read(folder.path(), trust.disk, trust.cluster);
        assert_eq!(read(), Ok(None));
        write(folder.path(), &trust).expect("writes");
        assert_eq!(read(), Ok(Some(trust.clone())));
        let path = folder.path().join(FILE_NAME);
        let good = fs::read(&path).expect("reads");
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 4;
            fs::write(&path, &bad).expect("writes");
            assert!(matches!(read(), Err(TrustError::Damaged { .. })), "byte {position}");
        }
        for cut in [0, 1, good.len() - 1] {
            fs::write(&path, &good[..cut]).expect("writes");
            assert!(matches!(read(), Err(TrustError::Damaged { .. })), "{cut} bytes");
        }
    }

    #[test]
    fn the_trust_of_another_disk_or_cluster_is_not_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let trust = sample();
        write(folder.path(), &trust).expect("writes");
        assert!(read(folder.path(), DiskId::new([9; 16]), trust.cluster).is_err());
        assert!(read(folder.path(), trust.disk, ClusterId::new([9; 16])).is_err());
    }
}
