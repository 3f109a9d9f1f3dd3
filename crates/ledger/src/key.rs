//! Keys of the log and of its cosigners, in the text forms of signed-note.
//!
//! Two kinds, never mixed: the log signs the note text itself (type 0x01); a cosigner signs
//! `cosignature/v1`, a time and the note text (type 0x04). A verifier key's id is a digest over name, kind and
//! key, so a changed name or bit does not parse.

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use strongroom_types::{ClusterId, NodeId, UnixMillis};
use zeroize::Zeroizing;

use crate::{Checkpoint, Cosignature, SignedCheckpoint, TreeHead, checkpoint::CheckpointError, text};

/// Longest key name in bytes.
pub const KEY_NAME_BYTES_MAX: usize = 160;

/// Name of a key or of a log: printable ASCII without spaces or plus, so that no two look alike.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(Box<str>);

/// What a key may sign; the byte is the signed-note signature type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Signs checkpoints as the log: Ed25519 over the note text.
    Log,
    /// Cosigns checkpoints that it compared with its own tree: timestamped Ed25519, `cosignature/v1`.
    Cosigner,
}

/// The public half of a key with its name and kind: a `vkey`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    kind: KeyKind,
    public: [u8; 32],
}

/// Why text is not a key or a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a key name.
    #[error("{0:?} is not a key name: 1 to {KEY_NAME_BYTES_MAX} printable ASCII characters without space or plus")]
    NotAName(String),
    /// Not `name+id+base64`.
    #[error("{0:?} is not a verifier key: name+id+base64")]
    NotAVerifierKey(String),
    /// A signature type that we do not verify.
    #[error(
        "could not use a key of signature type {0:#04x}: only Ed25519 (0x01) and its cosignatures (0x04) are known"
    )]
    UnknownKind(u8),
    /// The id is not the digest of name, kind and key.
    #[error("key {name} has id {found:08x}, but its bytes give {expected:08x}")]
    WrongId {
        /// The key's name.
        name: KeyName,
        /// What name, kind and key give.
        expected: u32,
        /// What the text says.
        found: u32,
    },
    /// The library below refused the seed.
    #[error("could not make a key pair from the seed")]
    Seed,
}

/// Why a checkpoint was not cosigned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not cosign at {0}: cosignatures count seconds from 1970")]
pub struct CosignError(pub UnixMillis);

impl KeyName {
    /// A log's name: `host/CLUSTERID`.
    ///
    /// # Errors
    /// [`KeyError::NotAName`] where `host` cannot be part of a name.
    pub fn of_cluster(host: &str, cluster: ClusterId) -> Result<Self, KeyError> {
        format!("{host}/{cluster}").parse()
    }

    /// A voter's name under its log: `ORIGIN/n1`.
    ///
    /// # Errors
    /// [`KeyError::NotAName`] where this grows too long.
    pub fn of_voter(&self, node: NodeId) -> Result<Self, KeyError> {
        format!("{self}/{node}").parse()
    }

    /// The cluster whose log has this name, where the name is of that form.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        let (_, id) = self.0.rsplit_once('/')?;
        id.parse::<ClusterId>().ok().filter(|cluster| cluster.to_string() == id)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let fits = (1..=KEY_NAME_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+') {
            Ok(Self(text.into()))
        } else {
            Err(KeyError::NotAName(text::excerpt(text)))
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyName({})", self.0)
    }
}

impl KeyKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Log => 0x01,
            Self::Cosigner => 0x04,
        }
    }

    const fn of_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Log),
            0x04 => Some(Self::Cosigner),
            _ => None,
        }
    }
}

impl VerifierKey {
    /// A verifier key of its parts.
    #[must_use]
    pub const fn new(name: KeyName, kind: KeyKind, public: [u8; 32]) -> Self {
        Self { name, kind, public }
    }

    /// The key's name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// What it may sign.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The raw Ed25519 public key.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The id in its signature lines: the first four bytes of SHA-256(name ‖ newline ‖ kind ‖ key).
    #[must_use]
    pub fn id(&self) -> u32 {
        signed_note::key_id(self.name.as_str(), &self.kind_and_key())
    }

    /// Whether `signature` is this key's over `message`. The kind's message form is the caller's part.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(message, signature).is_ok()
    }

    /// Whether `signature` is this key's over a statement of its node. The statement's first bytes must be a domain of
    /// its own, so that a signature for one purpose is taken for no other.
    #[must_use]
    pub fn verifies_statement(&self, statement: &[u8], signature: &[u8]) -> bool {
        <&[u8; 64]>::try_from(signature).is_ok_and(|signature| self.signed(statement, signature))
    }

    /// Whether a cosignature of a checkpoint is this key's, under its name.
    #[must_use]
    pub fn verifies_cosignature(&self, checkpoint: &Checkpoint, cosignature: &Cosignature) -> bool {
        (cosignature.name(), cosignature.key_id()) == (self.name(), self.id())
            && self.signed(cosigned_message(checkpoint, cosignature.time_s()).as_bytes(), cosignature.signature())
    }

    fn kind_and_key(&self) -> [u8; 33] {
        let mut bytes = [self.kind.byte(); 33];
        bytes[1..].copy_from_slice(&self.public);
        bytes
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let malformed = || KeyError::NotAVerifierKey(text::excerpt(text));
        let (name, rest) = text.split_once('+').ok_or_else(malformed)?;
        let (id, key) = rest.split_once('+').ok_or_else(malformed)?;
        let name: KeyName = name.parse()?;
        let found = u32::from_str_radix(id, 16).map_err(|_| malformed())?;
        let key = text::from_base64(key).ok_or_else(malformed)?;
        let (kind, public) = key.split_first().ok_or_else(malformed)?;
        let kind = KeyKind::of_byte(*kind).ok_or(KeyError::UnknownKind(*kind))?;
        let public = <[u8; 32]>::try_from(public).map_err(|_| malformed())?;
        let verifier = Self { name, kind, public };
        let expected = verifier.id();
        if found != expected {
            return Err(KeyError::WrongId { name: verifier.name, expected, found });
        }
        if verifier.to_string() == text { Ok(verifier) } else { Err(malformed()) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}+{}", self.name, self.id(), text::base64(&self.kind_and_key()))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

/// The log's signing key. Its name is the origin of every checkpoint that it signs.
pub struct LogKey {
    verifier: VerifierKey,
    pair: Ed25519KeyPair,
}

impl LogKey {
    /// The log key of a 32-byte seed; the seed is wiped.
    ///
    /// # Errors
    /// [`KeyError::Seed`] where the library below refuses it.
    pub fn from_seed(origin: KeyName, seed: Zeroizing<[u8; 32]>) -> Result<Self, KeyError> {
        let (verifier, pair) = key_pair(origin, KeyKind::Log, seed)?;
        Ok(Self { verifier, pair })
    }

    /// The public half.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// A checkpoint of `head` with the log's signature and no cosignatures yet.
    ///
    /// The caller must never have signed a head that is inconsistent with this one.
    ///
    /// # Errors
    /// [`CheckpointError`] where no tree can have this head.
    pub fn sign(&self, head: TreeHead) -> Result<SignedCheckpoint, CheckpointError> {
        let checkpoint = Checkpoint::new(self.verifier.name.clone(), head)?;
        let signature = sign(&self.pair, checkpoint.to_string().as_bytes());
        Ok(SignedCheckpoint::new(checkpoint, self.verifier.id(), signature))
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogKey({})", self.verifier)
    }
}

/// A voter's or a witness's cosigning key.
pub struct CosignerKey {
    verifier: VerifierKey,
    pair: Ed25519KeyPair,
}

impl CosignerKey {
    /// The cosigner key of a 32-byte seed; the seed is wiped.
    ///
    /// # Errors
    /// [`KeyError::Seed`] where the library below refuses it.
    pub fn from_seed(name: KeyName, seed: Zeroizing<[u8; 32]>) -> Result<Self, KeyError> {
        let (verifier, pair) = key_pair(name, KeyKind::Cosigner, seed)?;
        Ok(Self { verifier, pair })
    }

    /// The public half.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Says that, at `at` (its whole seconds count), this checkpoint is the largest consistent one known.
    ///
    /// The caller must have compared size and root with its own tree first.
    ///
    /// # Errors
    /// [`CosignError`] for an instant before 1970.
    pub fn cosign(&self, checkpoint: &Checkpoint, at: UnixMillis) -> Result<Cosignature, CosignError> {
        let time_s = u64::try_from(at.0).map_err(|_| CosignError(at))? / 1000;
        let signature = sign(&self.pair, cosigned_message(checkpoint, time_s).as_bytes());
        Ok(Cosignature::new(self.verifier.name.clone(), self.verifier.id(), time_s, signature))
    }
}

impl fmt::Debug for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CosignerKey({})", self.verifier)
    }
}

/// What a cosigner signs: a header line, a time line, and the note text.
pub(crate) fn cosigned_message(checkpoint: &Checkpoint, time_s: u64) -> String {
    format!("cosignature/v1\ntime {time_s}\n{checkpoint}")
}

fn key_pair(
    name: KeyName,
    kind: KeyKind,
    seed: Zeroizing<[u8; 32]>,
) -> Result<(VerifierKey, Ed25519KeyPair), KeyError> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| KeyError::Seed)?;
    let public = <[u8; 32]>::try_from(pair.public_key().as_ref()).map_err(|_| KeyError::Seed)?;
    Ok((VerifierKey { name, kind, public }, pair))
}

fn sign(pair: &Ed25519KeyPair, message: &[u8]) -> [u8; 64] {
    let signature = pair.sign(message);
    <[u8; 64]>::try_from(signature.as_ref()).expect("an Ed25519 signature has 64 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    // The sample key pair and note of Go's golang.org/x/mod/sumdb/note, which signed-note's documentation repeats.
    const SAMPLE_SKEY_DATA: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const SAMPLE_VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const SAMPLE_TEXT: &str =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const SAMPLE_SIGNATURE: &str =
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";

    fn sample_key() -> LogKey {
        let data = text::from_base64(SAMPLE_SKEY_DATA).expect("base64");
        let seed = <[u8; 32]>::try_from(&data[1..]).expect("32 bytes after the type");
        LogKey::from_seed("PeterNeumann".parse().expect("a name"), Zeroizing::new(seed)).expect("a key")
    }

    #[test]
    fn the_sample_key_of_go_gives_the_sample_verifier_key_and_signature() {
        let key = sample_key();
        assert_eq!(key.verifier().to_string(), SAMPLE_VKEY);
        assert_eq!(SAMPLE_VKEY.parse::<VerifierKey>().as_ref(), Ok(key.verifier()));
        let signature = sign(&key.pair, SAMPLE_TEXT.as_bytes());
        let with_id = [&key.verifier().id().to_be_bytes()[..], &signature].concat();
        assert_eq!(text::base64(&with_id), SAMPLE_SIGNATURE);
        assert!(key.verifier().signed(SAMPLE_TEXT.as_bytes(), &signature));
    }

    #[test]
    fn a_published_cosigner_key_reads_as_one() {
        let text = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";
        let key: VerifierKey = text.parse().expect("a cosigner of the witness network");
        assert_eq!((key.kind(), key.id()), (KeyKind::Cosigner, 0xda77_ade7));
        assert_eq!(key.to_string(), text);
    }

    #[test]
    fn a_verifier_key_has_one_spelling_and_every_flipped_bit_is_refused() {
        for bad in [
            "PeterNeumann",
            "PeterNeumann+c74f20a3",
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+0c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann++c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
            "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+00000000+",
        ] {
            assert!(bad.parse::<VerifierKey>().is_err(), "{bad:?} was taken");
        }
        crate::testing::each_flip(SAMPLE_VKEY.as_bytes(), |bytes| {
            std::str::from_utf8(bytes).map_or(true, |text| text.parse::<VerifierKey>().is_err())
        });
        assert_eq!("a+00000000+BgAA".parse::<VerifierKey>(), Err(KeyError::UnknownKind(6)));
    }

    #[test]
    fn one_key_has_another_id_for_each_kind() {
        let name: KeyName = "log.example".parse().expect("a name");
        let log = VerifierKey::new(name.clone(), KeyKind::Log, [9; 32]);
        let cosigner = VerifierKey::new(name, KeyKind::Cosigner, [9; 32]);
        assert_ne!(log.id(), cosigner.id());
    }

    #[test]
    fn names_carry_the_cluster_and_the_voter() {
        let cluster = ClusterId::new([0xab; 16]);
        let origin = KeyName::of_cluster("strongroom.example", cluster).expect("a name");
        assert_eq!(origin.as_str(), format!("strongroom.example/{}", "ab".repeat(16)));
        assert_eq!(origin.cluster(), Some(cluster));
        let voter = origin.of_voter(NodeId(3)).expect("a name");
        assert_eq!(voter.as_str(), format!("{origin}/n3"));
        assert_eq!(voter.cluster(), None);
        assert_eq!(format!("h/{}", "AB".repeat(16)).parse::<KeyName>().expect("a name").cluster(), None);
        for bad in ["", "a b", "a+b", "é", "a\n", &"x".repeat(KEY_NAME_BYTES_MAX + 1)] {
            assert!(bad.parse::<KeyName>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn a_key_prints_its_public_half_only() {
        let shown = format!("{:?}", sample_key());
        assert!(shown.contains(SAMPLE_VKEY) && !shown.contains(&SAMPLE_SKEY_DATA[1..20]), "{shown}");
    }

    #[test]
    fn an_instant_before_1970_is_not_cosigned() {
        let key = CosignerKey::from_seed("w".parse().expect("a name"), Zeroizing::new([1; 32])).expect("a key");
        let checkpoint = Checkpoint::new("o".parse().expect("a name"), TreeHead::EMPTY).expect("a checkpoint");
        assert_eq!(key.cosign(&checkpoint, UnixMillis(-1)), Err(CosignError(UnixMillis(-1))));
        assert_eq!(key.cosign(&checkpoint, UnixMillis(1999)).expect("cosigned").time(), UnixMillis(1000));
    }
}
