//! People of tests: somebody of each role with a key as their certificate would hold it, who signs what they decide.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest, Sha256};
use strongroom_custody::{
    Actor,
    assent::{self, Signature},
    clock,
    tables::CLUSTER,
};
use strongroom_engine::{Command, Idempotency};
use strongroom_types::{CommandDigest, KeyHash, Role, rows::Rows};

/// SubjectPublicKeyInfo of an Ed25519 key before the key's own bytes (RFC 8410).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

fn pair(role: Role) -> Ed25519KeyPair {
    let number = Role::ALL.iter().position(|other| *other == role).expect("a role");
    Ed25519KeyPair::from_seed_unchecked(&[u8::try_from(number).expect("few"); 32]).expect("a key")
}

fn public_key(role: Role) -> Vec<u8> {
    [&ED25519_SPKI, pair(role).public_key().as_ref()].concat()
}

/// The key of whoever has this role.
pub(crate) fn key(role: Role) -> KeyHash {
    KeyHash::new(Sha256::digest(public_key(role)).into())
}

/// The call's idempotency, with its caller's signature where they decide something. Where none was given, `fresh` names one.
pub(crate) fn signing(
    rows: &(impl Rows + ?Sized),
    actor: &Actor,
    command: &Command,
    idempotency: Option<Idempotency>,
    fresh: &str,
) -> Option<Idempotency> {
    let (Actor::Client(by), Command::Custody(command)) = (actor, command) else { return idempotency };
    let Some(role) = Role::ALL.into_iter().find(|role| key(*role) == *by) else { return idempotency };
    let Some(asked) = assent::asked(rows, command).expect("reads") else { return idempotency };
    let given = idempotency.unwrap_or_else(|| Idempotency {
        key: fresh.parse().expect("a key"),
        request: CommandDigest::new([0x77; 32]),
        assent: None,
    });
    let cluster = CLUSTER.read(rows, &()).expect("reads").expect("a cluster").cluster;
    let at = clock::read(rows).expect("reads");
    let at = at.t.plus_ms(-at.trial_ms);
    let text = asked.text(cluster, &given.key, at);
    let value = pair(role).sign(text.as_bytes()).as_ref().to_vec();
    Some(Idempotency {
        assent: Some(Signature { public_key: public_key(role).into(), value: value.into(), at }),
        ..given
    })
}
