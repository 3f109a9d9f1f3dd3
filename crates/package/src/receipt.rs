//! The receipt 入库回执: one JSON file that shows an item to have been sealed.
//!
//! ```text
//!  format          strongroom-receipt/1
//!  cluster … unit  what people read; each equals what the record says
//!  record          base64 of the record's exact bytes        ┐
//!  salt            base64, opens the commitment              │ Evidence of the seal
//!  leaf            base64 of the leaf's CBOR                 │
//!  tlog_proof      a .tlog-proof file                        │
//!  tlog_policy     a .tlog-policy file                       ┘
//!  voter_changes   Evidence of each change of the voter set, oldest first; `tlog_policy` is the one before the change
//! ```
//!
//! A receipt's policies form a chain: each voter change is proved under the policy before it and names the policy after
//! it; the last one is that of the seal's checkpoint. So a policy that was published years ago still judges.
//!
//! The bytes are canonical: they are what [`Receipt::to_bytes`] writes for this evidence and these facts, or they are
//! refused. JSON has many spellings of one text; a receipt has one.

use std::io;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use strongroom_ledger::{
    KeyName, Leaf, Policy, PolicyFingerprint, ProofError, Salt, TlogProof, VerifiedCheckpoint, leaf::LeafError,
    policy::PolicyError,
};
use strongroom_types::ClusterId;

use crate::{Evidence, EvidenceError, FactsError, RecordFacts, SealFacts};

/// The `format` of the receipts that are written and read here.
pub const FORMAT: &str = "strongroom-receipt/1";
/// Largest receipt in bytes: hundreds of voter changes.
pub const RECEIPT_BYTES_MAX: usize = 4 << 20;

/// A receipt whose fields agree with its record. Whether its proofs hold is asked of [`Receipt::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    facts: SealFacts,
    seal: Evidence,
    voter_changes: Vec<Evidence>,
}

/// Why a receipt does not read or does not prove.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// More than [`RECEIPT_BYTES_MAX`].
    #[error("a receipt of {0} bytes is beyond {RECEIPT_BYTES_MAX}")]
    TooLong(usize),
    /// Not the JSON of a receipt.
    #[error("not a receipt")]
    NotAReceipt(#[source] serde_json::Error),
    /// A format that this program does not know.
    #[error("could not read a receipt of format {0:?}: {FORMAT:?} is known")]
    UnknownFormat(String),
    /// A field that does not decode.
    #[error("could not decode {field} of the receipt")]
    Field {
        /// The field.
        field: &'static str,
        /// Why.
        #[source]
        source: FieldError,
    },
    /// The record does not say what it should.
    #[error("could not read the record in the receipt")]
    Record(#[source] FactsError),
    /// A field says something else than the record.
    #[error("{field} is {says:?} in the receipt and {record:?} in the record")]
    FieldDiffers {
        /// The field.
        field: &'static str,
        /// In the receipt.
        says: String,
        /// In the record.
        record: String,
    },
    /// It reads, but would be written otherwise.
    #[error("the receipt is not in canonical form")]
    NotCanonical,
    /// The record of the seal is not proved.
    #[error("the seal is not proved")]
    Seal(#[source] EvidenceError),
    /// The log of the policy is not that of the cluster.
    #[error("log {origin} is not that of cluster {cluster}")]
    OtherCluster {
        /// The policy's log.
        origin: KeyName,
        /// The record's cluster.
        cluster: ClusterId,
    },
    /// The record names a policy that the receipt's chain does not hold.
    #[error("the seal was recorded under policy {0}, which the receipt does not hold")]
    PolicyMissing(PolicyFingerprint),
    /// A voter change does not lead from its policy to the next.
    #[error("voter change {number} does not hold")]
    VoterChange {
        /// From 1.
        number: usize,
        /// Why.
        #[source]
        source: VoterChangeError,
    },
    /// The policy that was given does not read.
    #[error("could not read the given policy")]
    GivenPolicy(#[source] PolicyError),
    /// The policy that was given is not of the receipt's chain.
    #[error("the receipt is under policy {receipt}, not under the given {given}")]
    OtherPolicy {
        /// Fingerprint of the given policy.
        given: PolicyFingerprint,
        /// Fingerprint of the receipt's policy.
        receipt: PolicyFingerprint,
    },
    /// The file could not be read.
    #[error("could not read the file")]
    ReadFile(#[source] io::Error),
    /// The file has another length.
    #[error("the file has {found} bytes or more, the sealed original {sealed}")]
    FileSize {
        /// What the record says.
        sealed: u64,
        /// What was read, at most one byte more.
        found: u64,
    },
    /// The file has other content.
    #[error("the file's {digest} is {found}, that of the sealed original {sealed}")]
    FileDigest {
        /// Which digest.
        digest: &'static str,
        /// What the record says.
        sealed: String,
        /// What the file gives.
        found: String,
    },
}

/// Why a field of the receipt does not decode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Not base64.
    #[error("not base64")]
    Base64,
    /// Not of the right length.
    #[error("takes 32 bytes")]
    Length,
    /// Not a leaf.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// Not a proof file.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Not a policy file.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Why a voter change does not lead from its policy to the next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VoterChangeError {
    /// Its record is not proved under the policy before it.
    #[error("its record is not proved")]
    Evidence(#[from] EvidenceError),
    /// Its record does not say what it should.
    #[error("could not read its record")]
    Record(#[source] FactsError),
    /// It leads to another policy than the one that follows.
    #[error("it leads to policy {says}, the receipt goes on with {follows}")]
    OtherNext {
        /// What the record says.
        says: PolicyFingerprint,
        /// What follows in the receipt.
        follows: PolicyFingerprint,
    },
    /// It is of another log, or not later than the one before.
    #[error("it does not follow the one before in the same log")]
    OutOfOrder,
}

impl Receipt {
    /// Writes a receipt for a proved seal. It is verified before it is given out.
    ///
    /// `voter_changes` come oldest first, each under the policy before it; none where the voters never changed.
    ///
    /// # Errors
    /// [`ReceiptError`] where the evidence does not prove the seal.
    pub fn issue(
        seal: Evidence,
        voter_changes: Vec<Evidence>,
        reader: &impl RecordFacts,
    ) -> Result<Self, ReceiptError> {
        let facts = reader.seal(&seal.record).map_err(ReceiptError::Record)?;
        let receipt = Self { facts, seal, voter_changes };
        receipt.verify(reader)?;
        Ok(receipt)
    }

    /// Reads a receipt; only canonical bytes that agree with their record are taken.
    ///
    /// # Errors
    /// [`ReceiptError`] naming what does not read or does not agree.
    pub fn parse_canonical(bytes: &[u8], reader: &impl RecordFacts) -> Result<Self, ReceiptError> {
        if bytes.len() > RECEIPT_BYTES_MAX {
            return Err(ReceiptError::TooLong(bytes.len()));
        }
        let form: Form = serde_json::from_slice(bytes).map_err(ReceiptError::NotAReceipt)?;
        if form.format != FORMAT {
            return Err(ReceiptError::UnknownFormat(form.format));
        }
        let receipt = form.read(reader)?;
        form.check_equal(&receipt.form())?;
        if receipt.to_bytes() == bytes { Ok(receipt) } else { Err(ReceiptError::NotCanonical) }
    }

    /// The file's bytes: indented JSON with fields in fixed order and a newline at the end.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(&self.form()).expect("a form of texts and numbers is always JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Whether the receipt proves, under its own policies, that the item was sealed.
    ///
    /// # Errors
    /// [`ReceiptError`] naming the first thing that is wrong.
    pub fn verify(&self, reader: &impl RecordFacts) -> Result<VerifiedCheckpoint, ReceiptError> {
        let SealFacts { cluster, policy, .. } = self.facts;
        let checkpoint = self.seal.verify().map_err(ReceiptError::Seal)?;
        if checkpoint.origin().cluster() != Some(cluster) {
            return Err(ReceiptError::OtherCluster { origin: checkpoint.origin().clone(), cluster });
        }
        if self.policies().all(|held| held.fingerprint() != policy) {
            return Err(ReceiptError::PolicyMissing(policy));
        }
        self.check_voter_changes(reader)?;
        Ok(checkpoint)
    }

    /// What the record says.
    #[must_use]
    pub const fn facts(&self) -> &SealFacts {
        &self.facts
    }

    /// The seal's record and what proves it: also the `.tlog-proof` and `.tlog-policy` files for other tools.
    #[must_use]
    pub const fn seal(&self) -> &Evidence {
        &self.seal
    }

    /// The policies of the chain, oldest first; the last is that of the seal's checkpoint.
    pub fn policies(&self) -> impl DoubleEndedIterator<Item = &Policy> {
        self.voter_changes.iter().chain([&self.seal]).map(|evidence| &evidence.policy)
    }

    fn check_voter_changes(&self, reader: &impl RecordFacts) -> Result<(), ReceiptError> {
        let mut before: Option<&Evidence> = None;
        for (number, (change, next)) in (1..).zip(self.voter_changes.iter().zip(self.policies().skip(1))) {
            check_voter_change(before, change, next, reader)
                .map_err(|source| ReceiptError::VoterChange { number, source })?;
            before = Some(change);
        }
        Ok(())
    }

    fn form(&self) -> Form {
        let Self { facts, seal, voter_changes } = self;
        Form {
            format: FORMAT.to_owned(),
            cluster: facts.cluster.to_string(),
            trial: facts.trial,
            item: facts.item.to_string(),
            file_name: facts.file_name.clone(),
            size_bytes: facts.size_bytes,
            blake3: facts.blake3.to_string(),
            sha256: facts.sha256.to_string(),
            sealed_at: facts.sealed_at.to_string(),
            device: facts.device.to_string(),
            unit: facts.unit.to_string(),
            record: BASE64_STANDARD.encode(&seal.record),
            salt: BASE64_STANDARD.encode(seal.salt.as_bytes()),
            leaf: BASE64_STANDARD.encode(seal.leaf.to_bytes()),
            tlog_proof: seal.proof.to_string(),
            tlog_policy: seal.policy.to_string(),
            voter_changes: voter_changes.iter().map(ChangeForm::of).collect(),
        }
    }
}

fn check_voter_change(
    before: Option<&Evidence>,
    change: &Evidence,
    next: &Policy,
    reader: &impl RecordFacts,
) -> Result<(), VoterChangeError> {
    change.verify()?;
    let says = reader.voter_change(&change.record).map_err(VoterChangeError::Record)?.next_policy;
    let follows = next.fingerprint();
    if says != follows {
        return Err(VoterChangeError::OtherNext { says, follows });
    }
    let is_later = before.is_none_or(|before| before.leaf.seq < change.leaf.seq);
    if is_later && change.policy.origin() == next.origin() { Ok(()) } else { Err(VoterChangeError::OutOfOrder) }
}

/// The JSON of a receipt. The order of the fields is the order in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    format: String,
    cluster: String,
    trial: bool,
    item: String,
    file_name: String,
    size_bytes: u64,
    blake3: String,
    sha256: String,
    sealed_at: String,
    device: String,
    unit: String,
    record: String,
    salt: String,
    leaf: String,
    tlog_proof: String,
    tlog_policy: String,
    voter_changes: Vec<ChangeForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeForm {
    record: String,
    salt: String,
    leaf: String,
    tlog_proof: String,
    tlog_policy: String,
}

impl Form {
    /// The evidence of the form with the facts of its record; the texts for people are not looked at.
    fn read(&self, reader: &impl RecordFacts) -> Result<Receipt, ReceiptError> {
        let seal = read_evidence(&self.record, &self.salt, &self.leaf, &self.tlog_proof, &self.tlog_policy)?;
        let facts = reader.seal(&seal.record).map_err(ReceiptError::Record)?;
        let voter_changes = self.voter_changes.iter().map(ChangeForm::read).collect::<Result<_, _>>()?;
        Ok(Receipt { facts, seal, voter_changes })
    }

    /// Compares the texts for people with what the record gives, so that a difference has a name.
    fn check_equal(&self, from_record: &Self) -> Result<(), ReceiptError> {
        let fields = |form: &Self| {
            [
                ("cluster", form.cluster.clone()),
                ("trial", form.trial.to_string()),
                ("item", form.item.clone()),
                ("file_name", form.file_name.clone()),
                ("size_bytes", form.size_bytes.to_string()),
                ("blake3", form.blake3.clone()),
                ("sha256", form.sha256.clone()),
                ("sealed_at", form.sealed_at.clone()),
                ("device", form.device.clone()),
                ("unit", form.unit.clone()),
            ]
        };
        match fields(self).into_iter().zip(fields(from_record)).find(|((_, says), (_, record))| says != record) {
            Some(((field, says), (_, record))) => Err(ReceiptError::FieldDiffers { field, says, record }),
            None => Ok(()),
        }
    }
}

impl ChangeForm {
    fn of(evidence: &Evidence) -> Self {
        Self {
            record: BASE64_STANDARD.encode(&evidence.record),
            salt: BASE64_STANDARD.encode(evidence.salt.as_bytes()),
            leaf: BASE64_STANDARD.encode(evidence.leaf.to_bytes()),
            tlog_proof: evidence.proof.to_string(),
            tlog_policy: evidence.policy.to_string(),
        }
    }

    fn read(&self) -> Result<Evidence, ReceiptError> {
        read_evidence(&self.record, &self.salt, &self.leaf, &self.tlog_proof, &self.tlog_policy)
    }
}

fn read_evidence(
    record: &str,
    salt: &str,
    leaf: &str,
    tlog_proof: &str,
    tlog_policy: &str,
) -> Result<Evidence, ReceiptError> {
    let salt = from_base64("salt", salt)?;
    let salt = <[u8; 32]>::try_from(salt).map_err(|_| in_field("salt")(FieldError::Length))?;
    let leaf = from_base64("leaf", leaf)?;
    let leaf = Leaf::parse_canonical(&leaf).map_err(FieldError::from).map_err(in_field("leaf"))?;
    let proof = TlogProof::parse_canonical(tlog_proof).map_err(FieldError::from).map_err(in_field("tlog_proof"))?;
    let policy = Policy::parse_canonical(tlog_policy).map_err(FieldError::from).map_err(in_field("tlog_policy"))?;
    Ok(Evidence { record: from_base64("record", record)?, salt: Salt::new(salt), leaf, proof, policy })
}

fn from_base64(field: &'static str, text: &str) -> Result<Vec<u8>, ReceiptError> {
    BASE64_STANDARD.decode(text).map_err(|_| in_field(field)(FieldError::Base64))
}

fn in_field(field: &'static str) -> impl FnOnce(FieldError) -> ReceiptError {
    move |source| ReceiptError::Field { field, source }
}

#[cfg(test)]
mod tests;
