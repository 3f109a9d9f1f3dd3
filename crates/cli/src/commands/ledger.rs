//! `strongroom ledger`: for auditors. What is shown was verified first, where the context names a policy.

mod digest;
mod export;
mod recompute;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};
use strongroom_client::Client;
use strongroom_ledger::{
    ConsistencyProof, Leaf, Policy, Salt, SignedCheckpoint, TlogProof, TreeHead, VerifiedCheckpoint, commitment,
};
use strongroom_proto::ledger::LedgerRecord;
use strongroom_types::{RecordSeq, TreeHash};

use crate::failure::Failure;
use crate::receipts;
use crate::session::{Globals, Usual};
use crate::shown;

/// What can be asked of the ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// The newest cosigned checkpoint; keep it, and later prove that nothing before it was changed
    Checkpoint {
        /// An older checkpoint file: proves that the newest ledger begins with that one
        #[arg(long, value_name = "FILE")]
        since: Option<PathBuf>,
        /// Also write the signed note to a file
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Records from a position on, each checked against its leaf
    Records {
        /// First position
        #[arg(long, default_value_t = 0, value_name = "SEQ")]
        from: u64,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        limit: usize,
    },
    /// Proves that a record is under a checkpoint
    Prove {
        /// Position of the record
        seq: u64,
        /// Also write the tlog-proof to a file
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// The policy by which checkpoints are judged, compared with the context's
    Policy,
    /// Hourly digests of everything that decides retention
    #[command(subcommand)]
    Digest(digest::Digest),
    /// Writes all records with what binds them to the newest checkpoint into one file
    Export {
        /// The file
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Writes the rows that decide retention, as the node holds them, into one file; take them before the records
    Rows {
        /// The file
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Makes what decides retention anew from exported records, offline, and names the first difference
    Recompute(recompute::Recompute),
}

impl Ledger {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        if let Self::Recompute(command) = self {
            return command.run(globals);
        }
        let auditor = Auditor::of(globals)?;
        match self {
            Self::Checkpoint { since, to } => checkpoint(globals, &auditor, since.as_deref(), to.as_deref()).await,
            Self::Records { from, limit } => records(globals, &auditor, from, limit).await,
            Self::Prove { seq, to } => prove(globals, &auditor, RecordSeq(seq), to.as_deref()).await,
            Self::Policy => policy(globals, &auditor).await,
            Self::Digest(command) => command.run(globals, &auditor).await,
            Self::Export { to } => export::records(globals, &auditor, &to).await,
            Self::Rows { to } => export::rows(globals, &auditor, &to).await,
            Self::Recompute(_) => unreachable!("it was done above, without an auditor"),
        }
    }
}

/// A reader of the ledger who believes only what a policy from elsewhere confirms.
pub(super) struct Auditor {
    client: Client,
    /// None where the context names none: then the cluster's own is used, and said to be.
    policy: Option<Policy>,
}

impl Auditor {
    pub(super) fn of(globals: &Globals) -> Result<Self, Failure> {
        let context = globals.context()?;
        let policy = receipts::policy_of(&context)?
            .map(|text| Policy::parse_canonical(&text))
            .transpose()
            .map_err(|error| Failure::caused_by("could not read the context's policy", &error))?;
        let client = Client::connect(&context, globals.identity_in(&context, Usual::Auditor))?;
        Ok(Self { client, policy })
    }

    const fn trust(&self) -> &'static str {
        if self.policy.is_some() { "trusted" } else { "self-consistent" }
    }

    async fn policy(&self) -> Result<Policy, Failure> {
        match &self.policy {
            Some(policy) => Ok(policy.clone()),
            None => parse_policy(&self.client.fetch_policy().await?),
        }
    }

    /// The newest checkpoint, verified.
    pub(super) async fn newest(&self) -> Result<(Vec<u8>, VerifiedCheckpoint), Failure> {
        let note = self.client.fetch_checkpoint().await?;
        let verified = self
            .policy()
            .await?
            .verify(&note)
            .map_err(|error| Failure::caused_by("could not verify the checkpoint", &error))?;
        Ok((note.to_vec(), verified))
    }

    /// Proves that the tree of `new` begins with that of `old`.
    pub(super) async fn prove_consistency(&self, old: TreeHead, new: TreeHead) -> Result<(), Failure> {
        if new.size < old.size {
            return Err(Failure::failed(format!(
                "the cluster's newest checkpoint has {} records, the older one {}: it was rolled back or forked",
                new.size, old.size
            )));
        }
        let proof = self.client.prove_consistency(old.size, Some(new.size)).await?;
        let hashes = proof.hashes.iter().map(|hash| TreeHash::try_from(hash.as_ref())).collect::<Result<_, _>>();
        let hashes = hashes.map_err(|error| Failure::caused_by("could not read the proof", &error))?;
        ConsistencyProof { old_size: old.size, new_size: new.size, hashes }
            .verify(old, new)
            .map_err(|error| Failure::caused_by("could not verify that nothing before was changed", &error))
    }

    /// Proves that a record is in the ledger; answers its leaf, the proof file and the checkpoint.
    pub(super) async fn prove_inclusion(&self, seq: RecordSeq) -> Result<(Leaf, String, VerifiedCheckpoint), Failure> {
        let bytes = self.client.prove_inclusion(seq).await?;
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| Failure::failed("the proof is no text"))?;
        let unproved = |error| Failure::caused_by(format!("could not verify the proof of record {seq}"), &error);
        let proof = TlogProof::parse_canonical(&text).map_err(unproved)?;
        let leaf = proof.leaf().ok_or_else(|| Failure::failed("the proof carries no leaf"))?;
        if leaf.seq != seq {
            return Err(Failure::failed(format!("asked for record {seq}, got a proof of {}", leaf.seq)));
        }
        let checkpoint = proof.verify(&leaf, &self.policy().await?).map_err(unproved)?;
        Ok((leaf, text, checkpoint))
    }
}

async fn checkpoint(
    globals: &Globals,
    auditor: &Auditor,
    since: Option<&Path>,
    to: Option<&Path>,
) -> Result<(), Failure> {
    let (note, verified) = auditor.newest().await?;
    let head = verified.head();
    let mut since_size = None;
    if let Some(path) = since {
        let older = std::fs::read(path).map_err(Failure::file("read", path))?;
        let older = SignedCheckpoint::parse_canonical(&older)
            .map_err(|error| Failure::caused_by(format!("could not read {}", path.display()), &error))?;
        let older = auditor
            .policy()
            .await?
            .verify_signed(&older)
            .map_err(|error| Failure::caused_by(format!("could not verify {}", path.display()), &error))?;
        auditor.prove_consistency(older.head(), head).await?;
        since_size = Some(older.head().size);
    }
    if let Some(path) = to {
        std::fs::write(path, &note).map_err(Failure::file("write", path))?;
    }
    let text = String::from_utf8_lossy(&note);
    let cosigned: Vec<_> = verified
        .cosigned_by()
        .iter()
        .map(|by| json!({ "name": by.name.as_str(), "time": by.time.to_string(), "voter": by.is_voter }))
        .collect();
    let json = json!({
        "origin": verified.origin().as_str(),
        "size": head.size,
        "root": head.root.to_string(),
        "cosigned_by": cosigned,
        "policy": verified.policy().to_string(),
        "trust": auditor.trust(),
        "consistent_since": since_size,
        "note": text,
    });
    let output = globals.output();
    output.show(&json, |page| {
        page.line(text.trim_end());
        page.line("");
        page.line(format!(
            "{} ({}, {} {})",
            output.pick("verified", "已验证"),
            auditor.trust(),
            output.pick("policy", "信任策略"),
            verified.policy()
        ));
        if let Some(size) = since_size {
            let says = output.pick("the ledger begins with the older one, of size", "日志以旧校验点为前缀，其条目数");
            page.line(format!("{says} {size}"));
        }
    })
}

async fn records(globals: &Globals, auditor: &Auditor, from: u64, limit: usize) -> Result<(), Failure> {
    let mut records: Vec<LedgerRecord> = Vec::new();
    let mut next = RecordSeq(from);
    while records.len() < limit {
        let size = u32::try_from((limit - records.len()).min(500)).unwrap_or(500);
        let page = auditor.client.list_records(next, size).await?.records;
        let Some(last) = page.last() else { break };
        next = RecordSeq(last.seq + 1);
        for record in &page {
            check_record(record)?;
        }
        records.extend(page);
    }
    records.truncate(limit);
    globals.output().show(&records.iter().map(record_json).collect(), |page| {
        let row = |record: &LedgerRecord| {
            vec![
                format!("#{}", record.seq),
                shown::time(record.wall_unix_ms),
                record.actor.clone(),
                record.act.clone(),
                record.result.clone(),
                record.rule.clone(),
                shown::one_line(&record.facts),
            ]
        };
        let rows: Vec<_> = records.iter().map(row).collect();
        page.table(&["seq", "when", "actor", "act", "result", "rule", "facts"], &rows);
    })
}

/// Whether the record's bytes open the leaf that the tree holds. An erased record has no bytes; its leaf stays.
fn check_record(record: &LedgerRecord) -> Result<Leaf, Failure> {
    let wrong = |what: &str| Failure::failed(format!("record #{} is not what its leaf commits to: {what}", record.seq));
    let leaf = Leaf::parse_canonical(&record.leaf).map_err(|error| wrong(&error.to_string()))?;
    if leaf.seq.0 != record.seq {
        return Err(wrong("it is another position"));
    }
    if record.record.is_empty() {
        return Ok(leaf);
    }
    let salt = <[u8; 32]>::try_from(record.salt.as_ref()).map_err(|_| wrong("the salt is not 32 bytes"))?;
    if commitment::commit(&Salt::new(salt), &record.record) == leaf.commitment {
        Ok(leaf)
    } else {
        Err(wrong("the bytes differ"))
    }
}

fn record_json(record: &LedgerRecord) -> Value {
    json!({
        "seq": record.seq,
        "when": shown::time(record.wall_unix_ms),
        "actor": shown::some(&record.actor),
        "act": record.act,
        "result": record.result,
        "rule": shown::some(&record.rule),
        "facts": record.facts,
        "record": hex::encode(&record.record),
        "salt": hex::encode(&record.salt),
        "leaf": hex::encode(&record.leaf),
    })
}

async fn prove(globals: &Globals, auditor: &Auditor, seq: RecordSeq, to: Option<&Path>) -> Result<(), Failure> {
    let (leaf, text, checkpoint) = auditor.prove_inclusion(seq).await?;
    if let Some(path) = to {
        std::fs::write(path, &text).map_err(Failure::file("write", path))?;
    }
    let json = json!({
        "seq": seq.0,
        "clock": leaf.clock.to_string(),
        "leaf_hash": leaf.hash().to_string(),
        "checkpoint_size": checkpoint.head().size,
        "root": checkpoint.head().root.to_string(),
        "trust": auditor.trust(),
        "policy": checkpoint.policy().to_string(),
        "tlog_proof": text,
    });
    let output = globals.output();
    output.show(&json, |page| {
        page.line(text.trim_end());
        page.line("");
        page.line(format!(
            "{} #{} / {} ({})",
            output.pick("verified: the record is in the ledger,", "已验证：该条目在存证日志中，"),
            seq.0,
            checkpoint.head().size,
            auditor.trust()
        ));
    })
}

async fn policy(globals: &Globals, auditor: &Auditor) -> Result<(), Failure> {
    let told = parse_policy(&auditor.client.fetch_policy().await?)?;
    let same = auditor.policy.as_ref().map(|own| *own == told);
    let json = json!({
        "fingerprint": told.fingerprint().to_string(),
        "origin": told.origin().as_str(),
        "voters": told.voters().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "majority": told.majority(),
        "same_as_context": same,
        "tlog_policy": told.to_string(),
    });
    let output = globals.output();
    output.show(&json, |page| {
        page.line(told.to_string().trim_end());
        page.line("");
        page.facts(&[("fingerprint", told.fingerprint().to_string())]);
        page.line(match same {
            Some(true) => output.pick("the same as the context's", "与上下文中的信任策略一致"),
            Some(false) => output.pick("NOT the context's", "与上下文中的信任策略不一致"),
            None => output.pick("the context names none to compare with", "上下文未指定信任策略，无从比对"),
        });
    })?;
    if same == Some(false) {
        return Err(Failure::failed("the cluster's policy is not the one that the context names").hint(
            "after a change of the voters, get the new one from where the old one came from, and compare fingerprints",
        ));
    }
    Ok(())
}

fn parse_policy(bytes: &[u8]) -> Result<Policy, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::failed("the policy is no text"))?;
    Policy::parse_canonical(text).map_err(|error| Failure::caused_by("could not read the cluster's policy", &error))
}
