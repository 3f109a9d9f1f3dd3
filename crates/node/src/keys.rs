//! Secrets from their files, and the signing of clock readings and of what this node says of its disks and replica.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use strongroom_custody::clock::Reading;
use strongroom_engine::{System, readings};
use strongroom_ledger::VerifierKey;
use strongroom_types::NodeId;
use zeroize::Zeroizing;

/// Why a secret could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    #[error("could not read {}: {source}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("could not use {}: a key file holds 64 hexadecimal digits", path.display())]
    NotHex { path: PathBuf },
}

/// Reads a file of 64 hexadecimal digits.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
    let failed = |source| KeyFileError::Read { path: path.to_owned(), source };
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others than its owner may read this secret: chmod 600");
    }
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim(), &mut *bytes).map_err(|_| KeyFileError::NotHex { path: path.to_owned() })?;
    Ok(bytes)
}

/// Signs what this node's clocks say.
pub(crate) struct ClockKey {
    pair: Ed25519KeyPair,
}

impl ClockKey {
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(|pair| Self { pair })
    }

    /// Whether this is the key that `vkey` verifies.
    pub(crate) fn is_of(&self, vkey: &VerifierKey) -> bool {
        self.pair.public_key().as_ref() == vkey.public()
    }

    /// Signs a statement of this node. Its first bytes are a domain of its own, so that it passes for nothing else.
    pub(crate) fn sign(&self, statement: &[u8]) -> Vec<u8> {
        self.pair.sign(statement).as_ref().to_vec()
    }

    /// What the clocks say now, signed, for the tick that follows `tick` others.
    pub(crate) fn read(&self, node: NodeId, system: &System, tick: u64) -> Vec<u8> {
        let clock = &system.clock;
        let (boot_id, boottime_ms, wall) = (clock.boot_id(), clock.boottime_ms(), clock.wall());
        readings::sign(&self.pair, &Reading { node, boot_id, boottime_ms, wall, tick })
    }
}

#[cfg(test)]
mod tests {
    use strongroom_engine::readings::{ReadingError, verify};
    use strongroom_ledger::CosignerKey;

    use super::*;

    const SEED: [u8; 32] = [7; 32];

    fn vkey() -> VerifierKey {
        let name = "strongroom.local/test/n1".parse().expect("a name");
        CosignerKey::from_seed(name, Zeroizing::new(SEED)).expect("a key").verifier().clone()
    }

    #[test]
    fn a_reading_counts_only_as_it_was_signed_and_for_its_own_node() {
        let key = ClockKey::from_seed(&SEED).expect("a key");
        assert!(key.is_of(&vkey()));
        assert!(!ClockKey::from_seed(&[8; 32]).expect("a key").is_of(&vkey()));
        let bytes = key.read(NodeId(1), &crate::clock::system().expect("a system"), 7);
        assert_eq!(verify(NodeId(1), &vkey(), &bytes).expect("verifies").node, NodeId(1));
        assert!(matches!(verify(NodeId(2), &vkey(), &bytes), Err(ReadingError::OtherNode { .. })));
        for position in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[position] ^= 1;
            assert!(verify(NodeId(1), &vkey(), &bad).is_err(), "byte {position}");
        }
    }

    #[test]
    fn a_key_file_is_64_hexadecimal_digits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seed");
        std::fs::write(&path, format!("{}\n", hex::encode(SEED))).expect("writes");
        assert_eq!(*read_secret(&path).expect("reads"), SEED);
        std::fs::write(&path, "secret").expect("writes");
        let error = read_secret(&path).expect_err("refused").to_string();
        assert!(error.contains("64 hexadecimal digits") && !error.contains("secret\""), "{error}");
    }
}
