//! Decisions that whoever takes them signs: they end retention, open footage, or say who may do either. The node that passes a
//! command on tells whose it is, and would be believed; for these it has to show the decider's own signature (ADR 0020).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm,
};
use minicbor::bytes::ByteVec;
use strongroom_types::{
    Assent, IdempotencyKey, KeyHash, MandateTerms, Reason, Refusal, RemovalId, UnixMillis,
    rows::{RowError, Rows},
};

use crate::{
    Command,
    case::Term,
    clock::ClockRow,
    disposal,
    erasure::{self, Keeper},
    mandate::MandateKind,
    removal::{self, RemovalStep},
    tables::{CLUSTER, REMOVALS, REQUESTS, VOTER_CHANGES, newest_first},
    voters::VoterChangeRow,
};

/// An assent is good for an hour either way, so that clocks need not agree to the minute.
const ASSENT_MS_MAX: i64 = 3600 * 1000;

/// A decider's signature, as it came with a call.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Signature {
    /// The key of their certificate: SubjectPublicKeyInfo in DER.
    #[n(0)]
    pub public_key: ByteVec,
    /// Over the assent's text: ECDSA as DER, or Ed25519.
    #[n(1)]
    pub value: ByteVec,
    /// When it was made, by the signer's clock; the text names it.
    #[n(2)]
    pub at: UnixMillis,
}

/// A signature that was found to be the caller's over what they decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The call's idempotency key, which the text names.
    pub key: IdempotencyKey,
    /// The signature.
    pub signature: Signature,
}

/// SubjectPublicKeyInfo in DER before the key's own bytes (RFC 5480, RFC 8410), and how such a key signs.
const ALGORITHMS: [(&[u8], &dyn VerificationAlgorithm); 3] = [
    (
        &[
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
            0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ],
        &ECDSA_P256_SHA256_ASN1,
    ),
    (
        &[
            0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
            0x00, 0x22, 0x03, 0x62, 0x00,
        ],
        &ECDSA_P384_SHA384_ASN1,
    ),
    (&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00], &ED25519),
];

/// Whether a signature is that of the key with this hash over a text.
#[must_use]
pub fn is_signed(key: &KeyHash, text: &str, signature: &Signature) -> bool {
    let spki: &[u8] = &signature.public_key;
    let known = ALGORITHMS.iter().find_map(|(prefix, algorithm)| Some((spki.strip_prefix(*prefix)?, *algorithm)));
    let Some((public_key, algorithm)) = known else { return false };
    erasure::sha256(spki) == *key.as_bytes()
        && UnparsedPublicKey::new(algorithm, public_key).verify(text.as_bytes(), &signature.value).is_ok()
}

/// What whoever takes this decision signs; none for what takes no signature.
///
/// # Errors
/// [`RowError`] where what it is about cannot be read.
pub fn asked(rows: &(impl Rows + ?Sized), command: &Command) -> Result<Option<Assent>, RowError> {
    Ok(Some(match command {
        Command::ApproveRequest(approve) => {
            // Of what there is not, nothing can be signed: the refusal below says that it is not there.
            let Some(row) = REQUESTS.read(rows, &newest_first(approve.request.0))? else { return Ok(None) };
            let requester = row.requester.as_str();
            Assent::approve_request(approve.request, requester, row.act.name(), row.items, &row.fields)
        }
        Command::AttestPaper(attest) => Assent::attest_paper(attest.request, attest.paper),
        Command::EnterOral(oral) => {
            Assent::enter_oral(oral.request, &oral.approver, &oral.witness, oral.said_at, &oral.reason)
        }
        Command::ConfirmOral(confirm) => Assent::confirm_oral(confirm.request),
        Command::ReleaseHold(release) => Assent::release_hold(&release.hold, &release.reason),
        Command::ApproveCorrection(approve) => Assent::approve_correction(approve.correction),
        Command::ApproveDisposal(approve) => {
            let items = disposal::items(rows, approve.batch)?;
            Assent::approve_disposal(approve.batch, items.iter().map(|(item, row)| (*item, row.basis.as_str())))
        }
        Command::ExecuteDisposal(execute) => Assent::execute_disposal(execute.batch, &execute.supervisors),
        Command::SignDisposal(sign) => Assent::sign_disposal(sign.batch),
        Command::ApproveProfile(approve) => Assent::approve_profile(&approve.profile, approve.proposal),
        Command::RegisterPrincipal(new) => {
            Assent::register_principal(&new.principal, &new.key, &new.roles, new.unit.as_ref())
        }
        Command::RotatePrincipal(rotate) => Assent::rotate_principal(&rotate.principal, &rotate.key),
        Command::GiveMandate(give) => Assent::give_mandate(&MandateTerms {
            is_appointment: give.kind == MandateKind::Appointment,
            holder: &give.holder,
            role: give.role,
            acts: give.scope.acts.iter().map(|act| act.name()).collect(),
            unit: give.scope.unit.as_ref(),
            profile: give.scope.profile.as_ref(),
            from: give.from,
            until: give.until,
            document: &give.document,
        }),
        Command::ConfirmMandate(confirm) => Assent::confirm_mandate(&confirm.holder, confirm.mandate),
        Command::ApproveUnitChange(approve) => Assent::approve_unit_change(approve.proposal),
        Command::ApproveVoter(approve) => {
            let row = VOTER_CHANGES.read(rows, &newest_first(approve.change.0))?;
            let Some(VoterChangeRow { old, new, .. }) = row else { return Ok(None) };
            Assent::approve_voter(approve.change, old, new)
        }
        Command::StepRemoval(step) if step.step == RemovalStep::Approve => {
            let Some(Receiver { statement, key }) = receiver_of(rows, step.removal)? else { return Ok(None) };
            Assent::approve_removal(step.removal, &statement, &key)
        }
        Command::StepRemoval(step) if step.step == RemovalStep::Close => Assent::close_removal(step.removal),
        Command::ExecuteRemoval(execute) => {
            let Some(Receiver { statement, key }) = receiver_of(rows, execute.removal)? else { return Ok(None) };
            Assent::execute_removal(execute.removal, &statement, &key, &execute.supervisors)
        }
        Command::CloseLost(lost) => match lost.keeper {
            Keeper::Disk(disk) => Assent::lose_disk(disk, &lost.reason),
            Keeper::Replica(node) => Assent::lose_replica(node, &lost.reason),
        },
        Command::ArchiveCase(archive) => {
            // Without a term it is refused, signed or not.
            let Some(term) = archive.term else { return Ok(None) };
            let months = match term {
                Term::Months(months) => Some(months),
                Term::Permanent => None,
            };
            Assent::archive_case(&archive.case, archive.date, months)
        }
        Command::ReleaseQuarantine(release) => Assent::release_quarantine(release.item, &release.reason),
        _ => return Ok(None),
    }))
}

/// What the receiver of a removal signs, and with which key.
struct Receiver {
    statement: Vec<u8>,
    key: [u8; 32],
}

fn receiver_of(rows: &(impl Rows + ?Sized), id: RemovalId) -> Result<Option<Receiver>, RowError> {
    let (Some(row), Some(cluster)) = (REMOVALS.read(rows, &newest_first(id.0))?, CLUSTER.read(rows, &())?) else {
        return Ok(None);
    };
    let statement = removal::statement_of(rows, cluster.cluster, &row)?.to_bytes();
    Ok(Some(Receiver { statement, key: row.form.receiver_key }))
}

/// Whether an assent was made about now. T runs ahead of nobody's clock, and stands still where voters' clocks are wrong, so
/// that neither keeps people from deciding; what somebody kept to use it later is refused.
pub(crate) fn is_fresh(clock: &ClockRow, wall: UnixMillis, at: UnixMillis) -> bool {
    let (earliest, latest) = (clock.t.min(wall), clock.t.max(wall));
    let at = at.plus_ms(clock.trial_ms);
    at >= earliest.plus_ms(-ASSENT_MS_MAX) && at <= latest.plus_ms(ASSENT_MS_MAX)
}

/// The refusal of a decision that comes without its signature.
pub(crate) fn missing(assent: &Assent) -> Refusal {
    Refusal::new(
        Reason::AssentMissing,
        "C5",
        format!(
            "{} is signed by whoever decides it, and this is not, or it is another decision that was signed",
            assent.act()
        ),
        "look at what is decided and decide again; a client of your own signs the assent: docs/clients/python.md",
    )
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::{AsDer as _, PublicKeyX509Der},
        rand::SystemRandom,
        signature::{
            ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
            Ed25519KeyPair, KeyPair as _,
        },
    };

    use super::*;

    fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm, text: &str) -> Signature {
        let pair = EcdsaKeyPair::generate(algorithm).expect("a key");
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("encodes");
        let value = pair.sign(&SystemRandom::new(), text.as_bytes()).expect("signs");
        Signature {
            public_key: spki.as_ref().to_vec().into(),
            value: value.as_ref().to_vec().into(),
            at: UnixMillis(0),
        }
    }

    fn ed25519(text: &str) -> Signature {
        let pair = Ed25519KeyPair::generate().expect("a key");
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("encodes");
        let value = pair.sign(text.as_bytes()).as_ref().to_vec();
        Signature { public_key: spki.as_ref().to_vec().into(), value: value.into(), at: UnixMillis(0) }
    }

    fn hash(signature: &Signature) -> KeyHash {
        KeyHash::new(erasure::sha256(&signature.public_key))
    }

    #[test]
    fn an_assent_is_of_now_by_compliance_time_or_by_the_clock_on_the_wall() {
        const DAY: i64 = 24 * 3600 * 1000;
        let now = UnixMillis(1_780_000_000_000);
        let at = |t: i64, wall: i64, trial_ms: i64, at: i64| {
            let clock = ClockRow { t: now.plus_ms(t), trial_ms, ..ClockRow::default() };
            is_fresh(&clock, now.plus_ms(wall), now.plus_ms(at))
        };
        assert!(at(0, 0, 0, 0) && at(0, 0, 0, ASSENT_MS_MAX) && at(0, 0, 0, -ASSENT_MS_MAX));
        assert!(!at(0, 0, 0, ASSENT_MS_MAX + 1) && !at(0, 0, 0, -ASSENT_MS_MAX - 1));
        // All voters' clocks are ten years ahead, or T lags behind an outage: people go on deciding.
        assert!(at(0, 3650 * DAY, 0, 0) && at(-90 * DAY, 0, 0, 0));
        // A trial's clock was set ahead, the signer's was not.
        assert!(at(400 * DAY, 400 * DAY, 400 * DAY, 0));
        assert!(!at(400 * DAY, 400 * DAY, 0, 0));
    }

    #[test]
    fn the_signature_is_of_exactly_this_key_over_exactly_this_text() {
        let text = "strongroom assent v1\n";
        let made =
            [ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, text), ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING, text), ed25519(text)];
        for (at, signature) in made.iter().enumerate() {
            let key = hash(signature);
            assert!(is_signed(&key, text, signature), "{at}");
            assert!(!is_signed(&key, "strongroom assent v2\n", signature), "another text");
            assert!(!is_signed(&hash(&made[(at + 1) % 3]), text, signature), "another's key");
            for part in [true, false] {
                let length = if part { signature.public_key.len() } else { signature.value.len() };
                for byte in 0..length {
                    let mut other = signature.clone();
                    let bytes = if part { &mut other.public_key } else { &mut other.value };
                    bytes[byte] ^= 1;
                    assert!(!is_signed(&hash(&other), text, &other), "key {at}, part {part}, byte {byte}");
                }
            }
        }
        let none = Signature { public_key: Vec::new().into(), value: Vec::new().into(), at: UnixMillis(0) };
        assert!(!is_signed(&hash(&none), text, &none), "no key at all");
    }
}
