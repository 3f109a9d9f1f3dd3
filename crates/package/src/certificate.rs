//! The certificate of disposition 销毁证明: one JSON file that shows what was disposed of, by whom, and that nothing is left.
//!
//! ```text
//!  format       strongroom-certificate/1
//!  batch        DSP-n
//!  items        every item that was proposed: id, basis, and whether it went
//!  records      the ledger records of the batch, each with record, salt, leaf and .tlog-proof:
//!                 proposal · approval by legal · approval by the head · execution · receipt of each disk ·
//!                 word of each replica · what was closed as lost · signatures of both supervisors
//!  tlog_policy  a .tlog-policy file
//! ```
//!
//! Each record is proved under the policy; the items are bound by the proposal (all of them, with their basis) and by
//! the execution (those that went). As many disks and replicas must have answered as the execution says, or two people
//! have closed them as lost. The bytes are canonical: what [`Certificate::to_bytes`] writes, or they are refused.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use strongroom_ledger::{Policy, VerifiedCheckpoint, VerifierKey};
use strongroom_types::{
    BatchId, ClusterId, DiskId, EraseList, EraseTarget, ItemId, NodeId, PrincipalId, RecordSeq, TreeHash, UnixMillis,
};

use crate::{Evidence, EvidenceError, FactsError, evidence::RecordForm};

/// The `format` of the certificates that are written and read here.
pub const FORMAT: &str = "strongroom-certificate/1";
/// Largest certificate in bytes: a thousand items, thousands of disks.
pub const CERTIFICATE_BYTES_MAX: usize = 64 << 20;

/// An item of the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedItem {
    /// The item.
    pub item: ItemId,
    /// Why it might go.
    pub basis: String,
    /// Whether it went; otherwise it dropped out.
    pub disposed: bool,
}

/// What a record of a disposal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisposalFacts {
    /// Its batch; none for what was closed as lost, which can be of many.
    pub batch: Option<BatchId>,
    /// Who acted, where a person did.
    pub by: Option<PrincipalId>,
    /// When.
    pub at: UnixMillis,
    /// What was done.
    pub step: DisposalStep,
}

/// A step of a disposal, as its record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisposalStep {
    /// It was proposed, with this digest of items and their basis.
    Proposed {
        /// SHA-256 of the list.
        basis_list: [u8; 32],
    },
    /// An office approved.
    Approved {
        /// Its role.
        role: String,
    },
    /// It was executed.
    Executed {
        /// In which cluster.
        cluster: ClusterId,
        /// Root of what went.
        root: TreeHash,
        /// How much went.
        count: u64,
        /// The two who supervise it.
        supervisors: String,
        /// Disks that have a part in it.
        disks: u64,
        /// Replicas that have a part in it.
        replicas: u64,
    },
    /// A disk erased.
    Erased {
        /// The disk.
        disk: DiskId,
        /// By which order.
        order: RecordSeq,
        /// What its node signed.
        signed: SignedStatement,
    },
    /// A replica lost the keys.
    KeysGone {
        /// The replica's node.
        node: NodeId,
        /// What it signed.
        signed: SignedStatement,
    },
    /// A disk or a replica was closed as lost, by the second of two people.
    Lost {
        /// The disk, where it is one.
        disk: Option<DiskId>,
        /// The replica, where it is one.
        replica: Option<NodeId>,
    },
    /// A supervisor signed.
    Signed {
        /// Whether this closed the batch.
        closed: bool,
    },
}

/// What a node signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedStatement {
    /// The exact bytes.
    pub message: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
    /// The node's registered key, as a C2SP vkey line.
    pub vkey: String,
}

/// Reads records of disposals; `custody` owns them.
pub trait DisposalRecords {
    /// What a record of a disposal says.
    ///
    /// # Errors
    /// [`FactsError`] where the bytes are not the record of a step that was done.
    fn disposal(&self, record: &[u8]) -> Result<DisposalFacts, FactsError>;

    /// The digest by which a proposal binds its items.
    fn basis_list(&self, items: &[(ItemId, String)]) -> [u8; 32];
}

/// A certificate. Whether its proofs hold is asked of [`Certificate::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    batch: BatchId,
    items: Vec<CertifiedItem>,
    records: Vec<Evidence>,
    policy: Policy,
}

/// What a certificate that holds shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateVerdict {
    /// The cluster.
    pub cluster: ClusterId,
    /// The batch.
    pub batch: BatchId,
    /// Items that went.
    pub disposed: usize,
    /// Items that dropped out.
    pub dropped: usize,
    /// Disks that erased.
    pub disks_erased: usize,
    /// Replicas that lost the keys.
    pub replicas_clean: usize,
    /// Disks and replicas that were closed as lost.
    pub lost: usize,
    /// Who took the steps: what was done, by whom, when, by which record.
    pub steps: Vec<(String, PrincipalId, UnixMillis, RecordSeq)>,
    /// The newest checkpoint of its proofs.
    pub checkpoint: VerifiedCheckpoint,
}

/// Why a certificate does not read or does not prove.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// More than [`CERTIFICATE_BYTES_MAX`].
    #[error("a certificate of {0} bytes is beyond {CERTIFICATE_BYTES_MAX}")]
    TooLong(usize),
    /// Not the JSON of a certificate.
    #[error("not a certificate")]
    NotACertificate(#[source] serde_json::Error),
    /// A format that this program does not know.
    #[error("could not read a certificate of format {0:?}: {FORMAT:?} is known")]
    UnknownFormat(String),
    /// A field that does not decode.
    #[error("could not decode {0} of the certificate")]
    Field(&'static str),
    /// It reads, but would be written otherwise.
    #[error("the certificate is not in canonical form")]
    NotCanonical,
    /// A record that is not proved.
    #[error("record {seq} is not proved")]
    NotProved {
        /// The record.
        seq: RecordSeq,
        /// Why.
        #[source]
        source: EvidenceError,
    },
    /// A record that does not say what it should.
    #[error("could not read record {seq}")]
    Record {
        /// The record.
        seq: RecordSeq,
        /// Why.
        #[source]
        source: FactsError,
    },
    /// The records do not add up to a disposal that was done.
    #[error("{0}")]
    Story(String),
}

impl Certificate {
    /// Writes a certificate. It is verified before it is given out.
    ///
    /// # Errors
    /// [`CertificateError`] where the records do not prove the disposal.
    pub fn issue(
        batch: BatchId,
        items: Vec<CertifiedItem>,
        records: Vec<Evidence>,
        reader: &impl DisposalRecords,
    ) -> Result<Self, CertificateError> {
        let policy = records.first().map(|first| first.policy.clone());
        let policy = policy.ok_or_else(|| CertificateError::Story("there is no record".to_owned()))?;
        let certificate = Self { batch, items, records, policy };
        certificate.verify(reader)?;
        Ok(certificate)
    }

    /// Reads a certificate; only canonical bytes are taken.
    ///
    /// # Errors
    /// [`CertificateError`] naming what does not read.
    pub fn parse_canonical(bytes: &[u8]) -> Result<Self, CertificateError> {
        if bytes.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLong(bytes.len()));
        }
        let form: Form = serde_json::from_slice(bytes).map_err(CertificateError::NotACertificate)?;
        if form.format != FORMAT {
            return Err(CertificateError::UnknownFormat(form.format));
        }
        let certificate = form.read()?;
        if certificate.to_bytes() == bytes { Ok(certificate) } else { Err(CertificateError::NotCanonical) }
    }

    /// The file's bytes: indented JSON with fields in fixed order and a newline at the end.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(&self.form()).expect("a form of texts is always JSON");
        bytes.push(b'\n');
        bytes
    }

    /// The policy under which its records are proved.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether the certificate proves, under its own policy, that the batch was disposed of and nothing is left.
    ///
    /// # Errors
    /// [`CertificateError`] naming the first thing that is wrong.
    pub fn verify(&self, reader: &impl DisposalRecords) -> Result<CertificateVerdict, CertificateError> {
        let mut story = Story::default();
        let mut checkpoint: Option<VerifiedCheckpoint> = None;
        for evidence in &self.records {
            let seq = evidence.leaf.seq;
            if evidence.policy != self.policy {
                return Err(CertificateError::Story(format!("record {seq} is under another policy")));
            }
            let verified = evidence.verify().map_err(|source| CertificateError::NotProved { seq, source })?;
            if checkpoint.as_ref().is_none_or(|newest| newest.head().size < verified.head().size) {
                checkpoint = Some(verified);
            }
            let facts = reader.disposal(&evidence.record).map_err(|source| CertificateError::Record { seq, source })?;
            story.add(self.batch, seq, facts)?;
        }
        let checkpoint = checkpoint.ok_or_else(|| CertificateError::Story("there is no record".to_owned()))?;
        story.end(self, reader, checkpoint)
    }

    fn form(&self) -> Form {
        let item = |item: &CertifiedItem| ItemForm {
            item: item.item.to_string(),
            basis: item.basis.clone(),
            disposed: item.disposed,
        };
        Form {
            format: FORMAT.to_owned(),
            batch: self.batch.to_string(),
            items: self.items.iter().map(item).collect(),
            records: self.records.iter().map(RecordForm::of).collect(),
            tlog_policy: self.policy.to_string(),
        }
    }
}

/// The records of one batch as they are read, in the ledger's order.
#[derive(Default)]
struct Story {
    last: Option<RecordSeq>,
    basis_list: Option<[u8; 32]>,
    approvals: Vec<String>,
    execution: Option<Execution>,
    disks: BTreeSet<DiskId>,
    replicas: BTreeSet<NodeId>,
    lost_disks: BTreeSet<DiskId>,
    lost_replicas: BTreeSet<NodeId>,
    signed: Vec<PrincipalId>,
    closed: bool,
    steps: Vec<(String, PrincipalId, UnixMillis, RecordSeq)>,
}

struct Execution {
    seq: RecordSeq,
    cluster: ClusterId,
    root: TreeHash,
    count: u64,
    supervisors: String,
    disks: u64,
    replicas: u64,
}

impl Story {
    fn add(&mut self, batch: BatchId, seq: RecordSeq, facts: DisposalFacts) -> Result<(), CertificateError> {
        let wrong = |what: String| Err(CertificateError::Story(what));
        if self.last.is_some_and(|last| last >= seq) {
            return wrong(format!("record {seq} is out of order"));
        }
        self.last = Some(seq);
        if facts.batch.is_some_and(|of| of != batch) {
            return wrong(format!("record {seq} is of another batch"));
        }
        let name = match facts.step {
            DisposalStep::Proposed { basis_list } => {
                if self.basis_list.replace(basis_list).is_some() {
                    return wrong("the batch was proposed twice".to_owned());
                }
                "proposed".to_owned()
            }
            DisposalStep::Approved { role } => {
                if self.basis_list.is_none() || self.execution.is_some() {
                    return wrong(format!("approval {seq} is in the wrong place"));
                }
                self.approvals.push(role.clone());
                format!("approved as {role}")
            }
            DisposalStep::Executed { cluster, root, count, supervisors, disks, replicas } => {
                let execution = Execution { seq, cluster, root, count, supervisors, disks, replicas };
                if self.execution.replace(execution).is_some() {
                    return wrong("the batch was executed twice".to_owned());
                }
                "executed".to_owned()
            }
            DisposalStep::Erased { disk, order, signed } => {
                if self.execution.as_ref().is_none_or(|execution| execution.seq != order) {
                    return wrong(format!("receipt {seq} is of another order"));
                }
                check_signed(seq, &signed)?;
                self.disks.insert(disk);
                return Ok(());
            }
            DisposalStep::KeysGone { node, signed } => {
                if self.execution.is_none() {
                    return wrong(format!("word {seq} was given before the execution"));
                }
                check_signed(seq, &signed)?;
                self.replicas.insert(node);
                return Ok(());
            }
            DisposalStep::Lost { disk, replica } => {
                self.lost_disks.extend(disk);
                self.lost_replicas.extend(replica);
                "closed as lost".to_owned()
            }
            DisposalStep::Signed { closed } => {
                self.closed = closed;
                self.signed.extend(facts.by.clone());
                "signed as supervisor".to_owned()
            }
        };
        let by = facts.by.ok_or_else(|| CertificateError::Story(format!("record {seq} names nobody")))?;
        self.steps.push((name, by, facts.at, seq));
        Ok(())
    }

    fn end(
        self,
        certificate: &Certificate,
        reader: &impl DisposalRecords,
        checkpoint: VerifiedCheckpoint,
    ) -> Result<CertificateVerdict, CertificateError> {
        let holds = |holds: bool, what: &str| {
            if holds { Ok(()) } else { Err(CertificateError::Story(what.to_owned())) }
        };
        let Some(execution) = &self.execution else {
            return Err(CertificateError::Story("the batch was not executed".to_owned()));
        };
        let origin = checkpoint.origin().cluster();
        holds(origin == Some(execution.cluster), "the execution is of another cluster than the ledger")?;

        let listed: Vec<_> = certificate.items.iter().map(|item| (item.item, item.basis.clone())).collect();
        let bound = self.basis_list == Some(reader.basis_list(&listed));
        holds(bound, "the items and their basis are not those that were proposed")?;
        let gone = certificate.items.iter().filter(|item| item.disposed).map(|item| EraseTarget::Item(item.item));
        let list = EraseList::new(gone).map_err(|error| CertificateError::Story(error.to_string()))?;
        let matches = (list.root(), list.count()) == (execution.root, execution.count);
        holds(matches, "the items that went are not those that the execution commits to")?;

        holds(self.approvals == ["legal", "head"], "it was not approved by legal and then by the head")?;
        let deciding: Vec<_> = self.steps.iter().filter(|step| step.0 != "signed as supervisor").collect();
        let decided = deciding.iter().filter(|step| step.0 != "closed as lost");
        let people: BTreeSet<_> = decided.clone().map(|step| &step.1).collect();
        holds(people.len() == decided.count(), "one person took two steps")?;

        let disks = self.disks.union(&self.lost_disks).count() as u64;
        let replicas = self.replicas.union(&self.lost_replicas).count() as u64;
        holds(disks >= execution.disks, "not every disk has erased or was closed as lost")?;
        holds(replicas >= execution.replicas, "not every replica has lost the keys or was closed as lost")?;

        let signed: BTreeSet<_> = self.signed.iter().map(PrincipalId::as_str).collect();
        let named: BTreeSet<_> = execution.supervisors.split(" / ").collect();
        holds(self.closed && signed.len() == 2 && signed == named, "it was not signed by its two supervisors")?;
        Ok(CertificateVerdict {
            cluster: execution.cluster,
            batch: certificate.batch,
            disposed: list.targets().len(),
            dropped: certificate.items.len() - list.targets().len(),
            disks_erased: self.disks.len(),
            replicas_clean: self.replicas.len(),
            lost: self.lost_disks.difference(&self.disks).count()
                + self.lost_replicas.difference(&self.replicas).count(),
            steps: self.steps,
            checkpoint,
        })
    }
}

pub(crate) fn check_signed(seq: RecordSeq, signed: &SignedStatement) -> Result<(), CertificateError> {
    let holds =
        signed.vkey.parse::<VerifierKey>().is_ok_and(|key| key.verifies_statement(&signed.message, &signed.signature));
    if holds {
        Ok(())
    } else {
        Err(CertificateError::Story(format!("the node's signature in record {seq} is not valid")))
    }
}

/// The JSON of a certificate. The order of the fields is the order in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    format: String,
    batch: String,
    items: Vec<ItemForm>,
    records: Vec<RecordForm>,
    tlog_policy: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemForm {
    item: String,
    basis: String,
    disposed: bool,
}

impl Form {
    fn read(&self) -> Result<Certificate, CertificateError> {
        let policy = Policy::parse_canonical(&self.tlog_policy).map_err(|_| CertificateError::Field("tlog_policy"))?;
        let item = |form: &ItemForm| {
            let item = form.item.parse().map_err(|_| CertificateError::Field("item"))?;
            Ok(CertifiedItem { item, basis: form.basis.clone(), disposed: form.disposed })
        };
        let items = self.items.iter().map(item).collect::<Result<_, CertificateError>>()?;
        let records = self.records.iter().map(|form| form.read(&policy).map_err(CertificateError::Field));
        let records = records.collect::<Result<_, _>>()?;
        let batch = self.batch.parse().map_err(|_| CertificateError::Field("batch"))?;
        Ok(Certificate { batch, items, records, policy })
    }
}
