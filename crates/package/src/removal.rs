//! The certificate of a removal 移交证明: one JSON file that shows what left the cluster, to which carrier, by whom, with
//! what followed it, and that nothing is left here.
//!
//! ```text
//!  format       strongroom-removal-certificate/1
//!  removal      RMV-n
//!  items        every item that went: id, and what kept it: that goes with it
//!  records      the ledger records of the removal, each with record, salt, leaf and .tlog-proof:
//!                 proposal · approval by the secrecy office · approval by the head · the receiver's signature ·
//!                 execution · receipt of each disk · word of each replica · what was closed as lost · copies that were
//!                 destroyed · signatures of both supervisors
//!  tlog_policy  a .tlog-policy file
//! ```
//!
//! The execution's record holds what the receiver signed, with the digest of every original, and binds what follows them.
//! A certificate of a disposal is none of a removal, nor the other way round. The bytes are canonical.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use strongroom_ledger::{Policy, VerifiedCheckpoint};
use strongroom_types::{
    ClusterId, DiskId, ItemDigest, ItemId, NodeId, PrincipalId, RecordSeq, RemovalId, Sha256Digest, UnixMillis,
};

use crate::{
    CertificateError, Evidence, FactsError,
    certificate::{CERTIFICATE_BYTES_MAX, DisposalStep, check_signed},
    evidence::RecordForm,
};

/// The `format` of the certificates that are written and read here.
pub const REMOVAL_FORMAT: &str = "strongroom-removal-certificate/1";

/// An item that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedItem {
    /// The item.
    pub item: ItemId,
    /// What kept it, and goes with it.
    pub obligations: Vec<CertifiedObligation>,
}

/// Something that kept an item, and follows the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertifiedObligation {
    /// What it is, such as `hold 专案一`.
    pub by: String,
    /// Rule or article id.
    pub rule: String,
    /// In Chinese.
    pub text_zh: String,
    /// In English.
    pub text_en: String,
    /// Until when, milliseconds since 1970 UTC; none where it has no end.
    pub until_unix_ms: Option<i64>,
    /// Record that set it.
    pub record: u64,
}

/// What a record of a removal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovalFacts {
    /// Its removal; none for what was closed as lost, which can be of many.
    pub removal: Option<RemovalId>,
    /// Who acted, where a person did.
    pub by: Option<PrincipalId>,
    /// When.
    pub at: UnixMillis,
    /// What was done.
    pub step: RemovalStep,
}

/// A step of a removal, as its record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemovalStep {
    /// It was proposed, for this receiver's key.
    Proposed {
        /// The key.
        receiver_key: Vec<u8>,
    },
    /// An office approved.
    Approved {
        /// Its role.
        role: String,
    },
    /// What the receiver signed was filed.
    SignedFor {
        /// The statement's bytes.
        statement: Vec<u8>,
    },
    /// It was executed; the reader has verified the receiver's signature.
    Executed(Box<RemovalExecution>),
    /// A copy was destroyed.
    CopyDestroyed {
        /// Its position in the list.
        copy: u64,
    },
    /// What a disk, a replica or a supervisor did, as for a disposal.
    Part(DisposalStep),
}

/// The execution of a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovalExecution {
    /// In which cluster.
    pub cluster: ClusterId,
    /// The statement's bytes.
    pub statement: Vec<u8>,
    /// The receiver's key.
    pub receiver_key: Vec<u8>,
    /// The carrier.
    pub carrier: String,
    /// The receiving organ.
    pub organ: String,
    /// Who received it.
    pub receiver: String,
    /// What went: exactly what was signed for and what disks erase.
    pub items: Vec<(ItemId, u64, Sha256Digest, ItemDigest)>,
    /// Digest of what follows the items.
    pub obligations: [u8; 32],
    /// The two who supervise it.
    pub supervisors: String,
    /// Disks that have a part in it.
    pub disks: u64,
    /// Replicas that have a part in it.
    pub replicas: u64,
    /// Copies that it lists.
    pub copies: u64,
}

/// Reads records of removals; `custody` owns them.
pub trait RemovalRecords {
    /// What a record of a removal says.
    ///
    /// # Errors
    /// [`FactsError`] where the bytes are not the record of a step that was done.
    fn removal(&self, record: &[u8]) -> Result<RemovalFacts, FactsError>;

    /// The digest by which an execution binds what follows its items.
    fn obligations(&self, items: &[RemovedItem]) -> [u8; 32];
}

/// A certificate. Whether its proofs hold is asked of [`RemovalCertificate::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovalCertificate {
    removal: RemovalId,
    items: Vec<RemovedItem>,
    records: Vec<Evidence>,
    policy: Policy,
}

/// What a certificate that holds shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovalVerdict {
    /// The removal.
    pub removal: RemovalId,
    /// What was executed: carrier, receiver, items with their digests.
    pub execution: RemovalExecution,
    /// What follows each item.
    pub items: Vec<RemovedItem>,
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

impl RemovalCertificate {
    /// Writes a certificate. It is verified before it is given out.
    ///
    /// # Errors
    /// [`CertificateError`] where the records do not prove the removal.
    pub fn issue(
        removal: RemovalId,
        items: Vec<RemovedItem>,
        records: Vec<Evidence>,
        reader: &impl RemovalRecords,
    ) -> Result<Self, CertificateError> {
        let policy = records.first().map(|first| first.policy.clone());
        let policy = policy.ok_or_else(|| CertificateError::Story("there is no record".to_owned()))?;
        let certificate = Self { removal, items, records, policy };
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
        if form.format != REMOVAL_FORMAT {
            return Err(CertificateError::UnknownFormat(form.format));
        }
        let certificate = form.read()?;
        if certificate.to_bytes() == bytes { Ok(certificate) } else { Err(CertificateError::NotCanonical) }
    }

    /// The file's bytes: indented JSON with fields in fixed order and a newline at the end.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let form = Form {
            format: REMOVAL_FORMAT.to_owned(),
            removal: self.removal.to_string(),
            items: self.items.iter().map(ItemForm::of).collect(),
            records: self.records.iter().map(RecordForm::of).collect(),
            tlog_policy: self.policy.to_string(),
        };
        let mut bytes = serde_json::to_vec_pretty(&form).expect("a form of texts is always JSON");
        bytes.push(b'\n');
        bytes
    }

    /// The policy under which its records are proved.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether the certificate proves, under its own policy, that the items went to the carrier and nothing is left here.
    ///
    /// # Errors
    /// [`CertificateError`] naming the first thing that is wrong.
    pub fn verify(&self, reader: &impl RemovalRecords) -> Result<RemovalVerdict, CertificateError> {
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
            let facts = reader.removal(&evidence.record).map_err(|source| CertificateError::Record { seq, source })?;
            story.add(self.removal, seq, facts)?;
        }
        let checkpoint = checkpoint.ok_or_else(|| CertificateError::Story("there is no record".to_owned()))?;
        story.end(self, reader, checkpoint)
    }
}

/// The records of one removal as they are read, in the ledger's order.
#[derive(Default)]
struct Story {
    last: Option<RecordSeq>,
    receiver_key: Option<Vec<u8>>,
    approvals: Vec<String>,
    statement: Option<Vec<u8>>,
    execution: Option<(RecordSeq, RemovalExecution)>,
    disks: BTreeSet<DiskId>,
    replicas: BTreeSet<NodeId>,
    lost_disks: BTreeSet<DiskId>,
    lost_replicas: BTreeSet<NodeId>,
    copies: BTreeSet<u64>,
    signed: Vec<PrincipalId>,
    closed: bool,
    /// Everybody who decided or executed.
    decided: Vec<PrincipalId>,
    steps: Vec<(String, PrincipalId, UnixMillis, RecordSeq)>,
}

impl Story {
    fn add(&mut self, removal: RemovalId, seq: RecordSeq, facts: RemovalFacts) -> Result<(), CertificateError> {
        let wrong = |what: String| Err(CertificateError::Story(what));
        if self.last.is_some_and(|last| last >= seq) {
            return wrong(format!("record {seq} is out of order"));
        }
        self.last = Some(seq);
        if facts.removal.is_some_and(|of| of != removal) {
            return wrong(format!("record {seq} is of another removal"));
        }
        let mut decides = false;
        let name = match facts.step {
            RemovalStep::Proposed { receiver_key } => {
                if self.receiver_key.replace(receiver_key).is_some() {
                    return wrong("the removal was proposed twice".to_owned());
                }
                decides = true;
                "proposed".to_owned()
            }
            RemovalStep::Approved { role } => {
                if self.receiver_key.is_none() || self.statement.is_some() {
                    return wrong(format!("approval {seq} is in the wrong place"));
                }
                decides = true;
                self.approvals.push(role.clone());
                format!("approved as {role}")
            }
            RemovalStep::SignedFor { statement } => {
                if self.approvals.len() < 2 || self.execution.is_some() {
                    return wrong(format!("the receiver's signature {seq} is in the wrong place"));
                }
                self.statement = Some(statement);
                "signed for by the receiver, filed".to_owned()
            }
            RemovalStep::Executed(execution) => {
                if self.execution.replace((seq, *execution)).is_some() {
                    return wrong("the removal was executed twice".to_owned());
                }
                decides = true;
                "executed".to_owned()
            }
            RemovalStep::CopyDestroyed { copy } => {
                self.copies.insert(copy);
                format!("copy {copy} destroyed")
            }
            RemovalStep::Part(part) => match self.part(seq, part, facts.by.as_ref())? {
                Some(name) => name.to_owned(),
                None => return Ok(()),
            },
        };
        let by = facts.by.ok_or_else(|| CertificateError::Story(format!("record {seq} names nobody")))?;
        if decides {
            self.decided.push(by.clone());
        }
        self.steps.push((name, by, facts.at, seq));
        Ok(())
    }

    /// What a disk, a replica or a supervisor did; the step's name where a person took it.
    fn part(
        &mut self,
        seq: RecordSeq,
        part: DisposalStep,
        by: Option<&PrincipalId>,
    ) -> Result<Option<&'static str>, CertificateError> {
        let wrong = |what: String| Err(CertificateError::Story(what));
        let Some((executed, _)) = &self.execution else {
            return wrong(format!("record {seq} comes before the execution"));
        };
        match part {
            DisposalStep::Erased { disk, order, signed } => {
                if order != *executed {
                    return wrong(format!("receipt {seq} is of another order"));
                }
                check_signed(seq, &signed)?;
                self.disks.insert(disk);
                Ok(None)
            }
            DisposalStep::KeysGone { node, signed } => {
                check_signed(seq, &signed)?;
                self.replicas.insert(node);
                Ok(None)
            }
            DisposalStep::Lost { disk, replica } => {
                self.lost_disks.extend(disk);
                self.lost_replicas.extend(replica);
                Ok(Some("closed as lost"))
            }
            DisposalStep::Signed { closed } => {
                self.closed = closed;
                self.signed.extend(by.cloned());
                Ok(Some("signed as supervisor"))
            }
            DisposalStep::Proposed { .. } | DisposalStep::Approved { .. } | DisposalStep::Executed { .. } => {
                wrong(format!("record {seq} is of a disposal"))
            }
        }
    }

    fn end(
        self,
        certificate: &RemovalCertificate,
        reader: &impl RemovalRecords,
        checkpoint: VerifiedCheckpoint,
    ) -> Result<RemovalVerdict, CertificateError> {
        let holds = |holds: bool, what: &str| {
            if holds { Ok(()) } else { Err(CertificateError::Story(what.to_owned())) }
        };
        let Some((_, execution)) = self.execution else {
            return Err(CertificateError::Story("the removal was not executed".to_owned()));
        };
        let origin = checkpoint.origin().cluster();
        holds(origin == Some(execution.cluster), "the execution is of another cluster than the ledger")?;
        let key = self.receiver_key.as_ref() == Some(&execution.receiver_key);
        holds(key, "it was signed for with another key than the one that was proposed")?;
        let statement = self.statement.as_ref() == Some(&execution.statement);
        holds(statement, "what was executed is not what the receiver's signature was filed for")?;

        let went = certificate.items.iter().map(|item| item.item).eq(execution.items.iter().map(|item| item.0));
        holds(went, "the items are not those that the receiver signed for")?;
        let bound = reader.obligations(&certificate.items) == execution.obligations;
        holds(bound, "what follows the items is not what the execution binds")?;

        holds(self.approvals == ["secrecy", "head"], "it was not approved by the secrecy office and then by the head")?;
        let people: BTreeSet<_> = self.decided.iter().collect();
        holds(people.len() == self.decided.len(), "one person took two steps")?;

        let disks = self.disks.union(&self.lost_disks).count() as u64;
        let replicas = self.replicas.union(&self.lost_replicas).count() as u64;
        holds(disks >= execution.disks, "not every disk has erased or was closed as lost")?;
        holds(replicas >= execution.replicas, "not every replica has lost the keys or was closed as lost")?;
        let copies = (0..execution.copies).all(|copy| self.copies.contains(&copy));
        holds(copies, "a copy that it lists was not destroyed")?;

        let signed: BTreeSet<_> = self.signed.iter().map(PrincipalId::as_str).collect();
        let named: BTreeSet<_> = execution.supervisors.split(" / ").collect();
        holds(self.closed && signed.len() == 2 && signed == named, "it was not signed by its two supervisors")?;
        Ok(RemovalVerdict {
            removal: certificate.removal,
            items: certificate.items.clone(),
            execution,
            disks_erased: self.disks.len(),
            replicas_clean: self.replicas.len(),
            lost: self.lost_disks.difference(&self.disks).count()
                + self.lost_replicas.difference(&self.replicas).count(),
            steps: self.steps,
            checkpoint,
        })
    }
}

/// The JSON of a certificate. The order of the fields is the order in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    format: String,
    removal: String,
    items: Vec<ItemForm>,
    records: Vec<RecordForm>,
    tlog_policy: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemForm {
    item: String,
    obligations: Vec<CertifiedObligation>,
}

impl ItemForm {
    fn of(item: &RemovedItem) -> Self {
        Self { item: item.item.to_string(), obligations: item.obligations.clone() }
    }
}

impl Form {
    fn read(&self) -> Result<RemovalCertificate, CertificateError> {
        let policy = Policy::parse_canonical(&self.tlog_policy).map_err(|_| CertificateError::Field("tlog_policy"))?;
        let item = |form: &ItemForm| {
            let item = form.item.parse().map_err(|_| CertificateError::Field("item"))?;
            Ok(RemovedItem { item, obligations: form.obligations.clone() })
        };
        let items = self.items.iter().map(item).collect::<Result<_, CertificateError>>()?;
        let records = self.records.iter().map(|form| form.read(&policy).map_err(CertificateError::Field));
        let records = records.collect::<Result<_, _>>()?;
        let removal = self.removal.parse().map_err(|_| CertificateError::Field("removal"))?;
        Ok(RemovalCertificate { removal, items, records, policy })
    }
}
