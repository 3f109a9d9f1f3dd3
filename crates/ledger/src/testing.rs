//! Keys, clusters and damage for the tests of this crate.

use strongroom_types::{NodeId, UnixMillis};
use zeroize::Zeroizing;

use crate::{CosignerKey, KeyName, LogKey, OutsideRule, Policy, SignedCheckpoint, TreeHead};

/// Fixed bytes, written by a Python program (`cryptography`, `hashlib`) from the text of the specifications.
/// The log's seed is 32 bytes of 0x01, that of voter `n1` 0x02, and so on.
pub(crate) mod golden {
    use strongroom_types::TreeHash;

    use crate::TreeHead;

    pub(crate) const HEAD: TreeHead = TreeHead {
        size: 3,
        root: TreeHash::new([
            0xae, 0xb6, 0xbc, 0xfe, 0x27, 0x4b, 0x70, 0xa1, 0x4f, 0xb0, 0x67, 0xa5, 0xe5, 0x57, 0x82, 0x64, 0xdb, 0x0f,
            0xa9, 0xb5, 0x1a, 0xf5, 0xe0, 0xba, 0x15, 0x91, 0x58, 0xf3, 0x29, 0xe0, 0x6e, 0x77,
        ]),
    };

    pub(crate) const SIGNED_CHECKPOINT: &str = "\
strongroom.example/golden\n\
3\n\
rra8/idLcKFPsGel5VeCZNsPqbUa9eC6FZFY8yngbnc=\n\
\n\
— strongroom.example/golden LH+YdHgbuuQhsAmAlrcTYSqTBMkwMwYYuzgaTzsL89fNRSPtYZDN5xbmw4+gUE2L5xSa0quNS4lWX0j9kT7omxdhiw4=\n\
— strongroom.example/golden/n1 w924rAAAAABpVbkAMnu8MQfg7yKquPRilLkUzVB/IABAVC4qmWH+9bOR2zFLJrj9t3P5mYoO6GBs+1vKTcKsVqY7AOI/38c1jtUaDQ==\n\
— strongroom.example/golden/n2 VFDefQAAAABpVbkBRwnluwRnYln/T9J97yvy0ErPBIl+tdgQnqNUWLC3rO+BFEzaf5qtX7+2cG+0PUZPDMOoHgxeKwH5DeAwZw6gAQ==\n\
— strongroom.example/golden/n3 E6hMywAAAABpVbkCgq/iXcGjw4RRA7WWDsZinyM7nBLpyfU57aCx6w19f16EWC963t0ngbxS//WFV9awsUhahzDU73HOEfW8Od9lBQ==\n";

    pub(crate) const POLICY: &str = "\
log strongroom.example/golden+2c7f9874+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c\n\
witness strongroom.example/golden/n1 strongroom.example/golden/n1+c3ddb8ac+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU\n\
witness strongroom.example/golden/n2 strongroom.example/golden/n2+5450de7d+BO1JKMYo0cLG6ukDOJBZlWEpWSc6XGP5NjbBRhSshzfR\n\
witness strongroom.example/golden/n3 strongroom.example/golden/n3+13a84ccb+BMqTrBcFGHBx1nuDx/8O/oEI6OxFMFdddyaHkzPb2r58\n\
group voters 2 strongroom.example/golden/n1 strongroom.example/golden/n2 strongroom.example/golden/n3\n\
quorum voters\n";

    pub(crate) const POLICY_SHA256: &str = "7f80f70742e9be550044b1de1c67a4391a81775fa744445c784e2b2ea1ccb70d";
}

/// A log and its voters.
pub(crate) struct Cluster {
    pub(crate) log: LogKey,
    pub(crate) voters: Vec<CosignerKey>,
}

impl Cluster {
    /// The cluster of the golden files.
    pub(crate) fn golden() -> Self {
        Self::new("strongroom.example/golden", 3)
    }

    pub(crate) fn new(origin: &str, voters: u8) -> Self {
        Self::with_seeds(origin, voters, 1)
    }

    pub(crate) fn with_seeds(origin: &str, voters: u8, first_seed: u8) -> Self {
        let origin: KeyName = origin.parse().expect("a name");
        let voters = (1..=voters)
            .map(|n| cosigner(origin.of_voter(NodeId(n.into())).expect("a name").as_str(), first_seed + n))
            .collect();
        let log = LogKey::from_seed(origin, Zeroizing::new([first_seed; 32])).expect("a key");
        Self { log, voters }
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy_with(&[], OutsideRule::Optional)
    }

    pub(crate) fn policy_with(&self, outside: &[CosignerKey], rule: OutsideRule) -> Policy {
        let keys = |keys: &[CosignerKey]| keys.iter().map(|key| key.verifier().clone()).collect();
        Policy::new(self.log.verifier().clone(), keys(&self.voters), keys(outside), rule).expect("a policy")
    }

    /// Signed by the log and cosigned by every voter, one second apart.
    pub(crate) fn signed_checkpoint(&self, head: TreeHead) -> SignedCheckpoint {
        self.cosigned_by_first(head, self.voters.len())
    }

    pub(crate) fn cosigned_by_first(&self, head: TreeHead, count: usize) -> SignedCheckpoint {
        let signed = self.log.sign(head).expect("signs");
        let times = (0..).map(|n| UnixMillis(1_767_225_600_000 + n * 1000));
        self.voters.iter().zip(times).take(count).fold(signed, |signed, (voter, time)| {
            let cosignature = voter.cosign(signed.checkpoint(), time).expect("cosigns");
            signed.with_cosignature(cosignature).expect("joins")
        })
    }
}

pub(crate) fn cosigner(name: &str, seed: u8) -> CosignerKey {
    CosignerKey::from_seed(name.parse().expect("a name"), Zeroizing::new([seed; 32])).expect("a key")
}

/// Hands `check` the bytes with each single bit flipped in turn, and fails where it does not answer true.
pub(crate) fn each_flip(bytes: &[u8], check: impl Fn(&[u8]) -> bool) {
    let mut damaged = bytes.to_vec();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            damaged[at] ^= 1 << bit;
            assert!(check(&damaged), "bit {bit} of byte {at} ({:?}) could be flipped", char::from(bytes[at]));
            damaged[at] ^= 1 << bit;
        }
    }
}
