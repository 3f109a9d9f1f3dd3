//! Whom to believe (C2SP tlog-policy): the log's key, the voters of whom a majority must cosign, outside witnesses.
//!
//! ```text
//!  log VKEY
//!  witness NAME VKEY          one a voter, by name; NAME is the key's own name
//!  witness NAME VKEY          one an outside witness, by name
//!  group voters 2 NAME…       always the majority of the voters
//!  group witnesses any NAME…  only where outside witnesses are required
//!  group everyone all voters witnesses
//!  quorum voters              or `quorum everyone`
//! ```
//!
//! Other people's tools read this file as it is. We write and take this one form, so that a policy is its bytes and its
//! [`PolicyFingerprint`] can be printed, published and bound into records. [`Policy::verify`] is the only
//! maker of a [`VerifiedCheckpoint`].

use std::{collections::BTreeSet, fmt};

use sha2::{Digest, Sha256};
use strongroom_types::UnixMillis;

use crate::{
    Checkpoint, Cosignature, KeyKind, KeyName, SignedCheckpoint, TreeHead, VerifierKey, key::KeyError,
    signed::NoteError,
};

/// Largest policy file in bytes.
pub const POLICY_BYTES_MAX: usize = 32 << 10;
/// Most voters and outside witnesses together; what tlog-policy asks every tool to take.
pub const WITNESSES_MAX: usize = 32;

const VOTERS: &str = "voters";
const WITNESSES: &str = "witnesses";
const EVERYONE: &str = "everyone";
const NONE: &str = "none";

/// What the outside witnesses must do besides the voters' majority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutsideRule {
    /// Their cosignatures are verified where there are any, and none is required.
    Optional,
    /// At least one must have cosigned.
    Any,
    /// All must have cosigned.
    All,
}

/// A trust policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    log: VerifierKey,
    voters: Vec<VerifierKey>,
    outside: Vec<VerifierKey>,
    rule: OutsideRule,
}

/// SHA-256 of a policy file's bytes: what is printed on the transfer letter and bound in records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyFingerprint([u8; 32]);

/// Why a policy is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A line that our form does not have.
    #[error("could not read policy line {0}")]
    Line(usize),
    /// A key that does not parse.
    #[error("could not read the key on policy line {0}")]
    Key(usize, #[source] KeyError),
    /// A key that is not of the kind its place asks for.
    #[error("{name} is not a {kind:?} key")]
    WrongKind {
        /// The key's name.
        name: KeyName,
        /// What it should be.
        kind: KeyKind,
    },
    /// No voters, or too many witnesses.
    #[error("a policy has 1 to {WITNESSES_MAX} voters and witnesses, found {0}")]
    Count(usize),
    /// Two witnesses share a name, or it is the name of a group.
    #[error("the name {0} is taken")]
    NameTaken(KeyName),
    /// One key under two names would count twice.
    #[error("{0} has a key that is listed already")]
    KeyTaken(KeyName),
    /// A key that is no voter's.
    #[error("{0} is no voter of the policy")]
    NoVoter(KeyName),
    /// A rule for outside witnesses, and none of them.
    #[error("outside witnesses are required, but none is listed")]
    NoOutsideWitness,
    /// It reads, but would be written otherwise.
    #[error("the policy is not in canonical form")]
    NotCanonical,
}

/// A checkpoint that satisfied a policy. Only [`Policy::verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    checkpoint: Checkpoint,
    cosigned_by: Vec<CosignedBy>,
    policy: PolicyFingerprint,
}

/// Who cosigned, and when by their own clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignedBy {
    /// The cosigner's key name.
    pub name: KeyName,
    /// Whole seconds.
    pub time: UnixMillis,
    /// Whether it is one of the voters; outside witnesses are not.
    pub is_voter: bool,
}

/// Why a checkpoint does not count under a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Not a canonical signed checkpoint.
    #[error("could not read the checkpoint")]
    Note(#[from] NoteError),
    /// A checkpoint of another log.
    #[error("the checkpoint is of log {found}, the policy of {expected}")]
    OtherLog {
        /// The policy's log.
        expected: KeyName,
        /// The checkpoint's origin.
        found: KeyName,
    },
    /// The log's signature is by another key, or does not fit.
    #[error("the signature of log {0} is not valid")]
    LogSignature(KeyName),
    /// A cosigner that the policy does not list.
    #[error("the policy does not list cosigner {name} with key {key_id:08x}")]
    UnknownCosigner {
        /// Its name.
        name: KeyName,
        /// Its key's id.
        key_id: u32,
    },
    /// A cosignature that does not fit.
    #[error("the cosignature of {0} is not valid")]
    Cosignature(KeyName),
    /// Too few voters.
    #[error("{found} voters cosigned, the policy asks for {needed}")]
    VotersMissing {
        /// How many cosigned.
        found: usize,
        /// The majority.
        needed: usize,
    },
    /// Too few outside witnesses.
    #[error("{found} outside witnesses cosigned, the policy asks for {needed}")]
    WitnessesMissing {
        /// How many cosigned.
        found: usize,
        /// How many must.
        needed: usize,
    },
}

impl Policy {
    /// A policy: one log, its voters, and outside witnesses under a rule. The order of keys does not matter.
    ///
    /// # Errors
    /// [`PolicyError`] where keys are of the wrong kind, listed twice, too many or missing.
    pub fn new(
        log: VerifierKey,
        voters: Vec<VerifierKey>,
        outside: Vec<VerifierKey>,
        rule: OutsideRule,
    ) -> Result<Self, PolicyError> {
        let mut policy = Self { log, voters, outside, rule };
        policy.voters.sort_by(|a, b| a.name().cmp(b.name()));
        policy.outside.sort_by(|a, b| a.name().cmp(b.name()));
        policy.check()?;
        Ok(policy)
    }

    /// This policy with another voter's key in place of one of its own.
    ///
    /// # Errors
    /// [`PolicyError`] where `old` is not a voter's, or `new` is listed already.
    pub fn with_voter(&self, old: &VerifierKey, new: VerifierKey) -> Result<Self, PolicyError> {
        let mut voters = self.voters.clone();
        let place =
            voters.iter_mut().find(|key| *key == old).ok_or_else(|| PolicyError::NoVoter(old.name().clone()))?;
        *place = new;
        Self::new(self.log.clone(), voters, self.outside.clone(), self.rule)
    }

    /// Reads a policy file; only the canonical bytes are taken.
    ///
    /// # Errors
    /// [`PolicyError`] for anything that `to_string` does not write.
    pub fn parse_canonical(text: &str) -> Result<Self, PolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::NotCanonical);
        }
        let policy = read_lines(text)?;
        if policy.to_string() == text { Ok(policy) } else { Err(PolicyError::NotCanonical) }
    }

    /// SHA-256 of the file's bytes.
    #[must_use]
    pub fn fingerprint(&self) -> PolicyFingerprint {
        PolicyFingerprint(Sha256::digest(self.to_string().as_bytes()).into())
    }

    /// The log's name.
    #[must_use]
    pub const fn origin(&self) -> &KeyName {
        self.log.name()
    }

    /// The voters' keys, by name.
    #[must_use]
    pub fn voters(&self) -> &[VerifierKey] {
        &self.voters
    }

    /// The outside witnesses' keys, by name.
    #[must_use]
    pub fn outside(&self) -> &[VerifierKey] {
        &self.outside
    }

    /// How many voters must cosign: more than half.
    #[must_use]
    pub const fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Whether one cosignature is good for `checkpoint`, for the one who collects them.
    ///
    /// # Errors
    /// [`VerifyError::UnknownCosigner`] or [`VerifyError::Cosignature`].
    pub fn check_cosignature(
        &self,
        checkpoint: &Checkpoint,
        cosignature: &Cosignature,
    ) -> Result<CosignedBy, VerifyError> {
        let is_it = |key: &&VerifierKey| key.name() == cosignature.name() && key.id() == cosignature.key_id();
        let voter = self.voters.iter().find(is_it);
        let key = voter.or_else(|| self.outside.iter().find(is_it)).ok_or_else(|| VerifyError::UnknownCosigner {
            name: cosignature.name().clone(),
            key_id: cosignature.key_id(),
        })?;
        if !key.verifies_cosignature(checkpoint, cosignature) {
            return Err(VerifyError::Cosignature(cosignature.name().clone()));
        }
        Ok(CosignedBy { name: cosignature.name().clone(), time: cosignature.time(), is_voter: voter.is_some() })
    }

    /// Whether a signed checkpoint counts: canonical, of this log, every signature line known and valid, and enough
    /// of them.
    ///
    /// # Errors
    /// [`VerifyError`] naming the first thing that is wrong.
    pub fn verify(&self, note: &[u8]) -> Result<VerifiedCheckpoint, VerifyError> {
        self.verify_signed(&SignedCheckpoint::parse_canonical(note)?)
    }

    /// [`Policy::verify`] for what is parsed already.
    ///
    /// # Errors
    /// [`VerifyError`] naming the first thing that is wrong.
    pub fn verify_signed(&self, signed: &SignedCheckpoint) -> Result<VerifiedCheckpoint, VerifyError> {
        self.check_log_signature(signed)?;
        let checkpoint = signed.checkpoint();
        let cosigned_by = signed
            .cosignatures()
            .iter()
            .map(|cosignature| self.check_cosignature(checkpoint, cosignature))
            .collect::<Result<Vec<_>, _>>()?;
        self.check_quorum(&cosigned_by)?;
        Ok(VerifiedCheckpoint { checkpoint: checkpoint.clone(), cosigned_by, policy: self.fingerprint() })
    }

    fn check_log_signature(&self, signed: &SignedCheckpoint) -> Result<(), VerifyError> {
        let checkpoint = signed.checkpoint();
        if checkpoint.origin() != self.origin() {
            return Err(VerifyError::OtherLog { expected: self.origin().clone(), found: checkpoint.origin().clone() });
        }
        let is_ours = signed.log_key_id() == self.log.id();
        if is_ours && self.log.signed(checkpoint.to_string().as_bytes(), signed.log_signature()) {
            Ok(())
        } else {
            Err(VerifyError::LogSignature(self.origin().clone()))
        }
    }

    // A signed checkpoint holds no cosigner twice and a policy no key twice, so that counting is enough.
    fn check_quorum(&self, cosigned_by: &[CosignedBy]) -> Result<(), VerifyError> {
        let voters = cosigned_by.iter().filter(|cosigner| cosigner.is_voter).count();
        let witnesses = cosigned_by.len() - voters;
        if voters < self.majority() {
            return Err(VerifyError::VotersMissing { found: voters, needed: self.majority() });
        }
        let needed = match self.rule {
            OutsideRule::Optional => 0,
            OutsideRule::Any => 1,
            OutsideRule::All => self.outside.len(),
        };
        if witnesses < needed {
            return Err(VerifyError::WitnessesMissing { found: witnesses, needed });
        }
        Ok(())
    }

    fn check(&self) -> Result<(), PolicyError> {
        check_kind(&self.log, KeyKind::Log)?;
        let count = self.voters.len() + self.outside.len();
        if self.voters.is_empty() || count > WITNESSES_MAX {
            return Err(PolicyError::Count(count));
        }
        if self.outside.is_empty() && self.rule != OutsideRule::Optional {
            return Err(PolicyError::NoOutsideWitness);
        }
        let mut names = BTreeSet::from([VOTERS, WITNESSES, EVERYONE, NONE]);
        let mut keys = BTreeSet::from([self.log.public()]);
        for key in self.voters.iter().chain(&self.outside) {
            check_kind(key, KeyKind::Cosigner)?;
            if !names.insert(key.name().as_str()) {
                return Err(PolicyError::NameTaken(key.name().clone()));
            }
            if !keys.insert(key.public()) {
                return Err(PolicyError::KeyTaken(key.name().clone()));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Policy {
    /// The policy file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "log {}", self.log)?;
        for key in self.voters.iter().chain(&self.outside) {
            writeln!(f, "witness {} {key}", key.name())?;
        }
        write_group(f, VOTERS, &self.majority().to_string(), &self.voters)?;
        let keyword = match self.rule {
            OutsideRule::Optional => return writeln!(f, "quorum {VOTERS}"),
            OutsideRule::Any => "any",
            OutsideRule::All => "all",
        };
        write_group(f, WITNESSES, keyword, &self.outside)?;
        writeln!(f, "group {EVERYONE} all {VOTERS} {WITNESSES}")?;
        writeln!(f, "quorum {EVERYONE}")
    }
}

fn write_group(f: &mut fmt::Formatter<'_>, name: &str, threshold: &str, members: &[VerifierKey]) -> fmt::Result {
    write!(f, "group {name} {threshold}")?;
    members.iter().try_for_each(|key| write!(f, " {}", key.name()))?;
    writeln!(f)
}

fn check_kind(key: &VerifierKey, kind: KeyKind) -> Result<(), PolicyError> {
    if key.kind() == kind { Ok(()) } else { Err(PolicyError::WrongKind { name: key.name().clone(), kind }) }
}

/// Reads what matters of each line; the caller compares the whole with what would be written.
fn read_lines(text: &str) -> Result<Policy, PolicyError> {
    let mut log = None;
    let mut witnesses: Vec<VerifierKey> = Vec::new();
    let mut voters: Option<BTreeSet<&str>> = None;
    let mut rule = OutsideRule::Optional;
    for (number, line) in (1..).zip(text.lines()) {
        let key = |text: &str| text.parse().map_err(|error| PolicyError::Key(number, error));
        let words: Vec<&str> = line.split(' ').take(WITNESSES_MAX + 4).collect();
        match words.as_slice() {
            ["log", vkey] => log = Some(key(vkey)?),
            ["witness", _, vkey] if witnesses.len() < WITNESSES_MAX => witnesses.push(key(vkey)?),
            ["group", VOTERS, _, names @ ..] => voters = Some(names.iter().copied().collect()),
            ["group", WITNESSES, "any", ..] => rule = OutsideRule::Any,
            ["group", WITNESSES, "all", ..] => rule = OutsideRule::All,
            ["group", EVERYONE, ..] | ["quorum", _] => {}
            _ => return Err(PolicyError::Line(number)),
        }
    }
    let (Some(log), Some(voters)) = (log, voters) else { return Err(PolicyError::NotCanonical) };
    let (voters, outside) = witnesses.into_iter().partition(|key| voters.contains(key.name().as_str()));
    Policy::new(log, voters, outside, rule)
}

impl PolicyFingerprint {
    /// Wraps a digest that was stored before.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PolicyFingerprint {
    /// Hex: what `sha256sum` prints of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PolicyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyFingerprint({self})")
    }
}

impl std::str::FromStr for PolicyFingerprint {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| PolicyError::NotCanonical)?;
        Ok(Self(bytes))
    }
}

impl VerifiedCheckpoint {
    /// The log's name.
    #[must_use]
    pub const fn origin(&self) -> &KeyName {
        self.checkpoint.origin()
    }

    /// Size and root.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.checkpoint.head()
    }

    /// Who cosigned, by name.
    #[must_use]
    pub fn cosigned_by(&self) -> &[CosignedBy] {
        &self.cosigned_by
    }

    /// The fingerprint of the policy that it satisfied.
    #[must_use]
    pub const fn policy(&self) -> PolicyFingerprint {
        self.policy
    }

    /// The latest of the cosigners' times: if any one of them is honest, the tree existed by then.
    #[must_use]
    pub fn existed_by(&self) -> UnixMillis {
        self.cosigned_by.iter().map(|cosigner| cosigner.time).max().expect("a majority is at least one")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Cluster, cosigner, each_flip, golden};

    #[test]
    fn a_policy_has_the_fixed_bytes_that_other_tools_read() {
        let policy = Cluster::golden().policy();
        assert_eq!(policy.to_string(), golden::POLICY);
        assert_eq!(Policy::parse_canonical(golden::POLICY).as_ref(), Ok(&policy));
        assert_eq!(policy.fingerprint().to_string(), golden::POLICY_SHA256);
        assert_eq!(golden::POLICY_SHA256.parse(), Ok(policy.fingerprint()));
    }

    #[test]
    fn the_golden_checkpoint_verifies_and_says_who_cosigned() {
        let policy = Policy::parse_canonical(golden::POLICY).expect("the policy");
        let verified = policy.verify(golden::SIGNED_CHECKPOINT.as_bytes()).expect("verifies");
        assert_eq!(verified.head(), golden::HEAD);
        assert_eq!(verified.policy(), policy.fingerprint());
        let who: Vec<_> = verified.cosigned_by().iter().map(|by| (by.name.as_str(), by.time.0, by.is_voter)).collect();
        assert_eq!(
            who,
            [
                ("strongroom.example/golden/n1", 1_767_225_600_000, true),
                ("strongroom.example/golden/n2", 1_767_225_601_000, true),
                ("strongroom.example/golden/n3", 1_767_225_602_000, true),
            ]
        );
        assert_eq!(verified.existed_by(), UnixMillis(1_767_225_602_000));
    }

    #[test]
    fn every_flipped_bit_of_a_signed_checkpoint_is_refused() {
        let policy = Cluster::golden().policy();
        each_flip(golden::SIGNED_CHECKPOINT.as_bytes(), |bytes| policy.verify(bytes).is_err());
    }

    #[test]
    fn every_flipped_bit_of_a_policy_is_refused() {
        each_flip(golden::POLICY.as_bytes(), |bytes| {
            std::str::from_utf8(bytes).map_or(true, |text| Policy::parse_canonical(text).is_err())
        });
        let witnessed = Cluster::golden().policy_with(&[cosigner("archive.example", 90)], OutsideRule::Any).to_string();
        each_flip(witnessed.as_bytes(), |bytes| {
            std::str::from_utf8(bytes).map_or(true, |text| Policy::parse_canonical(text).is_err())
        });
    }

    #[test]
    fn a_majority_of_the_voters_is_needed_and_enough() {
        for (voters, needed) in [(1u8, 1usize), (2, 2), (3, 2), (4, 3), (5, 3)] {
            let cluster = Cluster::new("log.example/c", voters);
            let policy = cluster.policy();
            assert_eq!(policy.majority(), needed);
            for found in 0..=usize::from(voters) {
                let result = policy.verify_signed(&cluster.cosigned_by_first(golden::HEAD, found));
                if found < needed {
                    assert_eq!(result, Err(VerifyError::VotersMissing { found, needed }));
                } else {
                    assert_eq!(result.expect("a majority").cosigned_by().len(), found);
                }
            }
        }
    }

    #[test]
    fn outside_witnesses_count_by_their_rule_and_never_as_voters() {
        let cluster = Cluster::new("log.example/c", 3);
        let outside = [cosigner("archive.example", 90), cosigner("court.example", 91)];
        let by = |witnesses: usize, voters: usize| {
            let signed = cluster.cosigned_by_first(golden::HEAD, voters);
            outside[..witnesses].iter().fold(signed, |signed, witness| {
                let line = witness.cosign(signed.checkpoint(), UnixMillis(5000)).expect("cosigns");
                signed.with_cosignature(line).expect("joins")
            })
        };
        let missing = |found, needed| Err(VerifyError::WitnessesMissing { found, needed });
        for (rule, witnesses, expected) in [
            (OutsideRule::Optional, 0, Ok(2)),
            (OutsideRule::Optional, 2, Ok(4)),
            (OutsideRule::Any, 0, missing(0, 1)),
            (OutsideRule::Any, 1, Ok(3)),
            (OutsideRule::All, 1, missing(1, 2)),
            (OutsideRule::All, 2, Ok(4)),
        ] {
            let policy = cluster.policy_with(&outside, rule);
            assert_eq!(Policy::parse_canonical(&policy.to_string()).as_ref(), Ok(&policy), "{rule:?}");
            let result = policy.verify_signed(&by(witnesses, 2)).map(|verified| verified.cosigned_by().len());
            assert_eq!(result, expected, "{rule:?} with {witnesses} witnesses");
            let too_few = policy.verify_signed(&by(2, 1));
            assert_eq!(too_few, Err(VerifyError::VotersMissing { found: 1, needed: 2 }), "{rule:?}");
        }
    }

    #[test]
    fn a_voter_is_replaced_by_one_that_is_not_listed_and_the_others_stay() {
        let ours = Cluster::new("log.example/c", 3);
        let policy = ours.policy();
        let old = policy.voters()[1].clone();
        let new = cosigner("log.example/c/n9", 99).verifier().clone();
        let next = policy.with_voter(&old, new.clone()).expect("a policy");
        let kept = [policy.voters()[0].clone(), policy.voters()[2].clone(), new.clone()];
        assert!(kept.iter().all(|key| next.voters().contains(key)) && next.voters().len() == 3);
        assert_eq!((next.majority(), next.origin()), (policy.majority(), policy.origin()));
        assert_ne!(next.fingerprint(), policy.fingerprint());
        assert_eq!(policy.with_voter(&new, old.clone()), Err(PolicyError::NoVoter(new.name().clone())));
        let twice = policy.with_voter(&old, policy.voters()[0].clone());
        assert!(matches!(twice, Err(PolicyError::NameTaken(_))), "{twice:?}");
    }

    #[test]
    fn another_log_another_key_or_an_unlisted_cosigner_is_refused() {
        let ours = Cluster::new("log.example/c", 3);
        let policy = ours.policy();
        let other_origin = Cluster::new("log.example/d", 3).signed_checkpoint(golden::HEAD);
        assert!(matches!(policy.verify_signed(&other_origin), Err(VerifyError::OtherLog { .. })));

        let other_key = Cluster::with_seeds("log.example/c", 3, 100).signed_checkpoint(golden::HEAD);
        assert!(matches!(policy.verify_signed(&other_key), Err(VerifyError::LogSignature(_))));

        let signed = ours.signed_checkpoint(golden::HEAD);
        let stranger = cosigner("stranger.example", 99).cosign(signed.checkpoint(), UnixMillis(0)).expect("cosigns");
        let with_stranger = signed.clone().with_cosignature(stranger).expect("joins");
        assert!(matches!(policy.verify_signed(&with_stranger), Err(VerifyError::UnknownCosigner { .. })));

        let other_head = ours.signed_checkpoint(TreeHead { size: 4, ..golden::HEAD });
        let moved = ours.log.sign(golden::HEAD).expect("signs");
        let moved = moved.with_cosignature(other_head.cosignatures()[0].clone()).expect("joins");
        assert!(matches!(policy.verify_signed(&moved), Err(VerifyError::Cosignature(_))));
    }

    #[test]
    fn a_policy_that_could_count_a_key_twice_is_refused() {
        let cluster = Cluster::with_seeds("log.example/c", 1, 200);
        let log = cluster.log.verifier().clone();
        let key = |name: &str, seed| cosigner(name, seed).verifier().clone();
        let build = |voters: Vec<VerifierKey>, outside: Vec<VerifierKey>, rule| {
            Policy::new(log.clone(), voters, outside, rule).map(|_| ())
        };
        let name = |text: &str| text.parse::<KeyName>().expect("a name");
        let optional = OutsideRule::Optional;
        let same_as_log = VerifierKey::new(name("v"), KeyKind::Cosigner, *log.public());
        for (result, error) in [
            (build(vec![], vec![], optional), PolicyError::Count(0)),
            (build(vec![key("a", 1), key("a", 2)], vec![], optional), PolicyError::NameTaken(name("a"))),
            (build(vec![key("a", 1), key("b", 1)], vec![], optional), PolicyError::KeyTaken(name("b"))),
            (build(vec![key("a", 1)], vec![key("b", 1)], optional), PolicyError::KeyTaken(name("b"))),
            (build(vec![same_as_log], vec![], optional), PolicyError::KeyTaken(name("v"))),
            (build(vec![key("none", 1)], vec![], optional), PolicyError::NameTaken(name("none"))),
            (build(vec![key("voters", 1)], vec![], optional), PolicyError::NameTaken(name("voters"))),
            (build(vec![key("a", 1)], vec![], OutsideRule::Any), PolicyError::NoOutsideWitness),
            (
                build(vec![log.clone()], vec![], optional),
                PolicyError::WrongKind { name: log.name().clone(), kind: KeyKind::Cosigner },
            ),
            (build((0..33).map(|n| key(&format!("k{n}"), n)).collect(), vec![], optional), PolicyError::Count(33)),
        ] {
            assert_eq!(result, Err(error));
        }
    }

    #[test]
    fn other_spellings_of_a_policy_are_refused() {
        let text = golden::POLICY;
        for bad in [
            String::new(),
            format!("# comment\n{text}"),
            format!("{text}\n"),
            format!(" {text}"),
            text.trim_end().to_owned(),
            text.replace('\n', "\r\n"),
            text.replace("group voters 2", "group voters any"),
            text.replace("group voters 2", "group voters 02"),
            text.replace("group voters 2", "group voters 1"),
            text.replace("quorum voters", "quorum none"),
            text.replace("quorum voters\n", ""),
            text.replacen("witness", "witness  ", 1),
            format!("{text}{}", text.lines().next().expect("a line")),
        ] {
            assert!(Policy::parse_canonical(&bad).is_err(), "{bad:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn foreign_text_is_a_policy_only_if_it_is_its_text(
            text in "((log|witness|group|quorum|voters|any|[a-z0-9+=/]{1,8})[ \n]){0,30}",
        ) {
            if let Ok(policy) = Policy::parse_canonical(&text) {
                prop_assert_eq!(policy.to_string(), text);
            }
        }
    }
}
