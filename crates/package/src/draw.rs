//! The proof of a draw 抽样: one JSON file from which anybody can draw again, and get the same sample.
//!
//! ```text
//!  format       strongroom-draw/1
//!  draw         DRAW-n
//!  items        what was selected from: every id, sorted
//!  records      the ledger records of the draw, each with record, salt, leaf and .tlog-proof:
//!                 draw · commitment of each voter · commitments stand · share of each voter · sample
//!  tlog_policy  a .tlog-policy file
//! ```
//!
//! Each record is proved under the policy. What is hashed is written out in `docs/formats.md`, and hashed here with the
//! plain library. The bytes are canonical: what [`DrawProof::to_bytes`] writes, or they are refused.
//!
//! It shows that items, ratio and voters stood before any share, that every share was committed to and signed before one
//! was shown, and what these shares select. That no item of the query is left out of the list is for whoever has the
//! ledger to see: each has the record of its seal.

use serde::{Deserialize, Serialize};
use strongroom_ledger::{Policy, VerifiedCheckpoint, VerifierKey};
use strongroom_types::{
    ClusterId, DrawCommitment, DrawDigest, DrawId, DrawSeed, DrawShare, ItemId, NodeId, PopulationDigest, PrincipalId,
    RecordSeq, UnixMillis,
};

use crate::{Evidence, EvidenceError, FactsError, certificate::SignedStatement, evidence::RecordForm};

/// The `format` of the proofs that are written and read here.
pub const FORMAT: &str = "strongroom-draw/1";
/// Largest proof in bytes: a hundred thousand items.
pub const PROOF_BYTES_MAX: usize = 16 << 20;

/// What a record of a draw says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawFacts {
    /// Its draw.
    pub draw: DrawId,
    /// When.
    pub at: UnixMillis,
    /// What was done.
    pub step: DrawStep,
}

/// A step of a draw, as its record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrawStep {
    /// It was recorded.
    Recorded(Box<RecordedDraw>),
    /// A voter committed.
    Committed {
        /// The voter.
        node: NodeId,
        /// To what.
        commitment: DrawCommitment,
        /// What it signed.
        signed: SignedStatement,
    },
    /// Commitments stand.
    Closed,
    /// Somebody was late.
    Overdue,
    /// A voter revealed.
    Revealed {
        /// The voter.
        node: NodeId,
        /// Its share.
        share: DrawShare,
    },
    /// It was drawn.
    Completed {
        /// With this seed.
        seed: DrawSeed,
        /// These items, by rank.
        sample: Vec<ItemId>,
    },
}

/// What was asked when a draw was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedDraw {
    /// In which cluster.
    pub cluster: ClusterId,
    /// By whom.
    pub inspector: PrincipalId,
    /// By which rule.
    pub rule: String,
    /// What is inspected, in one line.
    pub query: String,
    /// How much of it, in percent.
    pub ratio_percent: u64,
    /// Items to select from.
    pub items: u64,
    /// Digest of their sorted ids.
    pub population: PopulationDigest,
    /// Items to select.
    pub sample: u64,
    /// The voters, by id.
    pub voters: Vec<NodeId>,
    /// The earlier draw of the same items that this one repeats.
    pub repeats: Option<DrawId>,
    /// Why; may be empty.
    pub reason: String,
}

/// Reads records of draws; `custody` owns them.
pub trait DrawRecords {
    /// What a record of a draw says.
    ///
    /// # Errors
    /// [`FactsError`] where the bytes are not the record of a step that was done.
    fn draw(&self, record: &[u8]) -> Result<DrawFacts, FactsError>;
}

/// A proof. Whether it holds is asked of [`DrawProof::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawProof {
    draw: DrawId,
    items: Vec<ItemId>,
    records: Vec<Evidence>,
    policy: Policy,
}

/// What a proof that holds shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawVerdict {
    /// The draw.
    pub draw: DrawId,
    /// What was asked.
    pub recorded: RecordedDraw,
    /// When it was recorded.
    pub at: UnixMillis,
    /// Voters whose shares made the seed.
    pub shares: Vec<NodeId>,
    /// The seed.
    pub seed: DrawSeed,
    /// What it selects, by rank.
    pub sample: Vec<ItemId>,
    /// What happened when, by which record.
    pub steps: Vec<(String, UnixMillis, RecordSeq)>,
    /// The newest checkpoint of its proofs.
    pub checkpoint: VerifiedCheckpoint,
}

/// Why a proof does not read or does not hold.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// More than [`PROOF_BYTES_MAX`].
    #[error("the proof of a draw of {0} bytes is beyond {PROOF_BYTES_MAX}")]
    TooLong(usize),
    /// Not the JSON of a proof.
    #[error("not the proof of a draw")]
    NotAProof(#[source] serde_json::Error),
    /// A format that this program does not know.
    #[error("could not read the proof of a draw of format {0:?}: {FORMAT:?} is known")]
    UnknownFormat(String),
    /// A field that does not decode.
    #[error("could not decode {0} of the proof")]
    Field(&'static str),
    /// It reads, but would be written otherwise.
    #[error("the proof is not in canonical form")]
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
    /// The records do not add up to a draw.
    #[error("{0}")]
    Story(String),
}

impl DrawProof {
    /// Writes a proof. It is verified before it is given out.
    ///
    /// # Errors
    /// [`DrawError`] where the records do not prove the draw.
    pub fn issue(
        draw: DrawId,
        items: Vec<ItemId>,
        records: Vec<Evidence>,
        reader: &impl DrawRecords,
    ) -> Result<Self, DrawError> {
        let policy = records.first().map(|first| first.policy.clone());
        let policy = policy.ok_or_else(|| DrawError::Story("there is no record".to_owned()))?;
        let proof = Self { draw, items, records, policy };
        proof.verify(reader)?;
        Ok(proof)
    }

    /// Reads a proof; only canonical bytes are taken.
    ///
    /// # Errors
    /// [`DrawError`] naming what does not read.
    pub fn parse_canonical(bytes: &[u8]) -> Result<Self, DrawError> {
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(DrawError::TooLong(bytes.len()));
        }
        let form: Form = serde_json::from_slice(bytes).map_err(DrawError::NotAProof)?;
        if form.format != FORMAT {
            return Err(DrawError::UnknownFormat(form.format));
        }
        let proof = form.read()?;
        if proof.to_bytes() == bytes { Ok(proof) } else { Err(DrawError::NotCanonical) }
    }

    /// The file's bytes: indented JSON with fields in fixed order and a newline at the end.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let form = Form {
            format: FORMAT.to_owned(),
            draw: self.draw.to_string(),
            items: self.items.iter().map(ToString::to_string).collect(),
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

    /// Draws again, and compares: whether the proof holds under its own policy.
    ///
    /// # Errors
    /// [`DrawError`] naming the first thing that is wrong.
    pub fn verify(&self, reader: &impl DrawRecords) -> Result<DrawVerdict, DrawError> {
        let mut story = Story::default();
        let mut checkpoint: Option<VerifiedCheckpoint> = None;
        for evidence in &self.records {
            let seq = evidence.leaf.seq;
            if evidence.policy != self.policy {
                return Err(DrawError::Story(format!("record {seq} is under another policy")));
            }
            let verified = evidence.verify().map_err(|source| DrawError::NotProved { seq, source })?;
            if checkpoint.as_ref().is_none_or(|newest| newest.head().size < verified.head().size) {
                checkpoint = Some(verified);
            }
            let facts = reader.draw(&evidence.record).map_err(|source| DrawError::Record { seq, source })?;
            story.add(self.draw, seq, facts, &evidence.record)?;
        }
        let checkpoint = checkpoint.ok_or_else(|| DrawError::Story("there is no record".to_owned()))?;
        story.end(self, checkpoint)
    }
}

/// The records of one draw as they are read, in the ledger's order.
#[derive(Default)]
struct Story {
    last: Option<RecordSeq>,
    recorded: Option<(RecordedDraw, DrawDigest, UnixMillis)>,
    committed: Vec<(NodeId, DrawCommitment)>,
    closed: bool,
    revealed: Vec<(NodeId, DrawShare)>,
    completed: Option<(DrawSeed, Vec<ItemId>)>,
    steps: Vec<(String, UnixMillis, RecordSeq)>,
}

impl Story {
    fn add(&mut self, draw: DrawId, seq: RecordSeq, facts: DrawFacts, record: &[u8]) -> Result<(), DrawError> {
        let holds = |holds: bool, what: &str| {
            if holds { Ok(()) } else { Err(DrawError::Story(format!("record {seq}: {what}"))) }
        };
        holds(self.last.is_none_or(|last| last < seq), "it is out of order")?;
        self.last = Some(seq);
        holds(facts.draw == draw, "it is of another draw")?;
        holds(self.completed.is_none(), "it comes after the draw was completed")?;
        let step = match facts.step {
            DrawStep::Recorded(recorded) => {
                holds(self.recorded.is_none(), "the draw was recorded before")?;
                let step = format!("recorded by {}", recorded.inspector);
                let digest = DrawDigest::new(hashed(&[b"strongroom draw record 1\n", record]));
                self.recorded = Some((*recorded, digest, facts.at));
                step
            }
            DrawStep::Committed { node, commitment, signed } => {
                holds(!self.closed, "a voter committed when commitments stood already")?;
                self.is_voter(node, seq)?;
                holds(self.committed.iter().all(|(voter, _)| *voter != node), "the voter committed before")?;
                let key = signed.vkey.parse::<VerifierKey>();
                let is_signed = key.is_ok_and(|key| key.verifies_statement(&signed.message, &signed.signature));
                holds(is_signed, "the voter's signature is not valid")?;
                self.committed.push((node, commitment));
                format!("{node} committed")
            }
            DrawStep::Closed => {
                holds(!self.closed, "commitments stood before")?;
                self.closed = true;
                "commitments stand".to_owned()
            }
            DrawStep::Overdue => "overdue".to_owned(),
            DrawStep::Revealed { node, share } => {
                holds(self.closed, "a voter revealed before commitments stood")?;
                holds(self.revealed.iter().all(|(voter, _)| *voter != node), "the voter revealed before")?;
                let committed = self.committed.iter().find(|(voter, _)| *voter == node).map(|(_, given)| *given);
                holds(
                    committed == Some(commitment(self.digest(seq)?, node, share)),
                    "it is not what was committed to",
                )?;
                self.revealed.push((node, share));
                format!("{node} revealed")
            }
            DrawStep::Completed { seed, sample } => {
                self.completed = Some((seed, sample));
                "drawn".to_owned()
            }
        };
        self.steps.push((step, facts.at, seq));
        Ok(())
    }

    fn is_voter(&self, node: NodeId, seq: RecordSeq) -> Result<(), DrawError> {
        let known = self.recorded.as_ref().is_some_and(|(recorded, ..)| recorded.voters.contains(&node));
        if known { Ok(()) } else { Err(DrawError::Story(format!("record {seq}: {node} is no voter of this draw"))) }
    }

    fn digest(&self, seq: RecordSeq) -> Result<DrawDigest, DrawError> {
        let digest = self.recorded.as_ref().map(|(_, digest, _)| *digest);
        digest.ok_or_else(|| DrawError::Story(format!("record {seq}: the draw was not recorded before")))
    }

    fn end(mut self, proof: &DrawProof, checkpoint: VerifiedCheckpoint) -> Result<DrawVerdict, DrawError> {
        let holds = |holds: bool, what: &str| if holds { Ok(()) } else { Err(DrawError::Story(what.to_owned())) };
        let Some((recorded, digest, at)) = self.recorded else {
            return Err(DrawError::Story("the draw was not recorded".to_owned()));
        };
        let Some((seed, sample)) = self.completed else {
            return Err(DrawError::Story("the draw was not completed".to_owned()));
        };
        let origin = checkpoint.origin().cluster();
        holds(origin == Some(recorded.cluster), "the draw is of another cluster than the ledger")?;
        holds(proof.items.is_sorted_by(|one, next| one < next), "the items are not sorted, or one is listed twice")?;
        let count = proof.items.len() as u64;
        let is_population = (recorded.items, recorded.population) == (count, population(&proof.items));
        holds(is_population, "the items are not those that were recorded")?;
        holds(self.committed.len() * 2 > recorded.voters.len(), "no majority of the voters committed")?;
        holds(self.committed.len() == self.revealed.len(), "a voter that committed has not revealed")?;
        self.revealed.sort_unstable();
        holds(seed == seed_of(digest, &self.revealed), "the seed is not what the shares come to")?;
        let size = (count * recorded.ratio_percent).div_ceil(100).max(1);
        holds(recorded.sample == size, "the size of the sample is not the ratio of the items")?;
        let size = usize::try_from(size).map_err(|_| DrawError::Field("sample"))?;
        holds(sample == select(seed, &proof.items, size), "the sample is not what the seed selects")?;
        Ok(DrawVerdict {
            draw: proof.draw,
            recorded,
            at,
            shares: self.revealed.into_iter().map(|(node, _)| node).collect(),
            seed,
            sample,
            steps: self.steps,
            checkpoint,
        })
    }
}

fn population(items: &[ItemId]) -> PopulationDigest {
    let ids: Vec<u8> = items.iter().flat_map(|item| *item.as_bytes()).collect();
    let count = (items.len() as u64).to_be_bytes();
    PopulationDigest::new(hashed(&[b"strongroom draw population 1\n", &count, &ids]))
}

fn commitment(draw: DrawDigest, voter: NodeId, share: DrawShare) -> DrawCommitment {
    let voter = voter.0.to_be_bytes();
    DrawCommitment::new(hashed(&[b"strongroom draw commitment 1\n", draw.as_bytes(), &voter, share.as_bytes()]))
}

fn seed_of(draw: DrawDigest, shares: &[(NodeId, DrawShare)]) -> DrawSeed {
    let shares: Vec<u8> =
        shares.iter().flat_map(|(voter, share)| voter.0.to_be_bytes().into_iter().chain(*share.as_bytes())).collect();
    DrawSeed::new(hashed(&[b"strongroom draw seed 1\n", draw.as_bytes(), &shares]))
}

fn select(seed: DrawSeed, items: &[ItemId], size: usize) -> Vec<ItemId> {
    let rank = |item: &ItemId| hashed(&[b"strongroom draw rank 1\n", seed.as_bytes(), item.as_bytes()]);
    let mut ranked: Vec<_> = items.iter().map(|item| (rank(item), *item)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(size).map(|(_, item)| item).collect()
}

fn hashed(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// The JSON of a proof. The order of the fields is the order in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    format: String,
    draw: String,
    items: Vec<String>,
    records: Vec<RecordForm>,
    tlog_policy: String,
}

impl Form {
    fn read(&self) -> Result<DrawProof, DrawError> {
        let policy = Policy::parse_canonical(&self.tlog_policy).map_err(|_| DrawError::Field("tlog_policy"))?;
        let item = |text: &String| text.parse().map_err(|_| DrawError::Field("items"));
        let items = self.items.iter().map(item).collect::<Result<_, _>>()?;
        let record = |form: &RecordForm| form.read(&policy).map_err(DrawError::Field);
        let records = self.records.iter().map(record).collect::<Result<_, _>>()?;
        let draw = self.draw.parse().map_err(|_| DrawError::Field("draw"))?;
        Ok(DrawProof { draw, items, records, policy })
    }
}
