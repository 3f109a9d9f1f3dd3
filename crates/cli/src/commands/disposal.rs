//! `strongroom disposal`: the only delete, from the proposal to the certificate.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_client::{Client, LostKeeper, Page as ListPage};
use strongroom_proto::disposal::{Disposal as Batch, DisposalPart, DisposalState, PlannedItem, Step, Verdict};
use strongroom_types::{BatchId, DiskId, ItemId, NodeId, PrincipalId};

use crate::failure::Failure;
use crate::output::Page;
use crate::session::{Globals, Usual};
use crate::shown;

/// What can be done with batches.
#[derive(Debug, Subcommand)]
pub(crate) enum Disposal {
    /// Proposes a batch; with --dry-run only says what each item would be told. Example: strongroom disposal propose
    /// --item 5f0c… --basis "到期鉴定"
    Propose(Propose),
    /// Approves a batch 7 days after its proposal: the legal office first, then the head. Example: strongroom --as head
    /// disposal approve DSP-1
    Approve {
        /// Such as DSP-1
        batch: BatchId,
    },
    /// Withdraws a batch that is not executed. Example: strongroom disposal withdraw DSP-1 --reason "异议"
    Withdraw {
        /// Such as DSP-1
        batch: BatchId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Executes an approved batch: from here on nothing brings its items back. Example: strongroom --as custodian disposal
    /// execute DSP-1 --supervisor inspector --supervisor unit-head
    Execute {
        /// Such as DSP-1
        batch: BatchId,
        /// Supervisor 监销人; two are named
        #[arg(long = "supervisor", required = true, value_name = "NAME")]
        supervisors: Vec<PrincipalId>,
    },
    /// Signs, as one of its supervisors, that a batch is gone; the second signature closes it. Example: strongroom --as
    /// inspector disposal sign DSP-1
    Sign {
        /// Such as DSP-1
        batch: BatchId,
    },
    /// One batch with its items and what each disk and replica did. Example: strongroom disposal show DSP-1
    Show {
        /// Such as DSP-1
        batch: BatchId,
    },
    /// Batches, newest first. Example: strongroom disposal list --open
    List {
        /// Only those that are not closed and not withdrawn
        #[arg(long)]
        open: bool,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        limit: usize,
    },
    /// Writes the certificate of a closed batch, which `strongroom verify` checks offline. Example: strongroom disposal
    /// certificate DSP-1 --to DSP-1.certificate
    Certificate {
        /// Such as DSP-1
        batch: BatchId,
        /// File to write; the batch's name with .certificate where none is given
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Closes a disk or a replica as lost; it takes two people. Example: strongroom disposal close-lost --disk 9a1b… --reason
    /// "burnt with the machine room"
    CloseLost(CloseLost),
}

/// A proposal.
#[derive(Debug, Args)]
pub(crate) struct Propose {
    /// Item, or ITEM=BASIS where its basis is its own; say it again for each
    #[arg(long = "item", required = true, value_parser = item_with_basis, value_name = "ITEM[=BASIS]")]
    items: Vec<(ItemId, String)>,
    /// Why they may go
    #[arg(long, value_name = "TEXT")]
    basis: String,
    /// Changes nothing: shows what the rules say to each item
    #[arg(long)]
    dry_run: bool,
}

/// What is lost.
#[derive(Debug, Args)]
pub(crate) struct CloseLost {
    /// Disk
    #[arg(long, value_name = "DISK", required_unless_present = "replica", conflicts_with = "replica")]
    disk: Option<DiskId>,
    /// Node whose replica of the metadata is lost, such as n3
    #[arg(long, value_name = "NODE")]
    replica: Option<NodeId>,
    /// Why nobody will see it again
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

fn item_with_basis(text: &str) -> Result<(ItemId, String), String> {
    let (item, basis) = text.split_once('=').unwrap_or((text, ""));
    Ok((item.parse().map_err(|error: strongroom_types::id::IdError| error.to_string())?, basis.to_owned()))
}

impl Disposal {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let usual = match &self {
            Self::Execute { .. } | Self::Certificate { .. } => Usual::Archivist,
            _ => Usual::Legal,
        };
        let client = globals.client(usual)?;
        let batch = match self {
            Self::Propose(propose) => return propose.run(globals, &client).await,
            Self::Approve { batch } => client.approve_disposal(batch).await?,
            Self::Withdraw { batch, reason } => client.withdraw_disposal(batch, &reason).await?,
            Self::Execute { batch, supervisors } => client.execute_disposal(batch, &supervisors).await?,
            Self::Sign { batch } => client.sign_disposal(batch).await?,
            Self::Show { batch } => return show(globals, &client, batch).await,
            Self::List { open, limit } => return list(globals, &client, open, limit).await,
            Self::Certificate { batch, to } => return certificate(globals, &client, batch, to).await,
            Self::CloseLost(lost) => return lost.run(globals, &client).await,
        };
        globals.output().show(&batch_json(&batch), |page| batch_page(page, &batch))
    }
}

impl Propose {
    async fn run(self, globals: &Globals, client: &Client) -> Result<(), Failure> {
        if !self.dry_run {
            let batch = client.propose_disposal(&self.items, &self.basis).await?;
            return globals.output().show(&batch_json(&batch), |page| batch_page(page, &batch));
        }
        let items: Vec<_> = self.items.iter().map(|(item, _)| *item).collect();
        let planned = client.plan_disposal(&items).await?;
        globals.output().show(&planned.iter().map(planned_json).collect(), |page| {
            let rows: Vec<_> = planned.iter().map(planned_row).collect();
            page.table(&["item", "verdict", "rule", "why"], &rows);
        })
    }
}

impl CloseLost {
    async fn run(self, globals: &Globals, client: &Client) -> Result<(), Failure> {
        let lost = match (self.disk, self.replica) {
            (Some(disk), None) => LostKeeper::Disk(disk),
            (None, Some(node)) => LostKeeper::Replica(node),
            (Some(_), Some(_)) | (None, None) => return Err(Failure::usage("name a disk or a replica")),
        };
        let record = client.close_lost(lost, &self.reason).await?;
        globals.output().show(&json!({ "record": record }), |page| page.line(format!("recorded as #{record}")))
    }
}

async fn show(globals: &Globals, client: &Client, batch: BatchId) -> Result<(), Failure> {
    let shown = client.show_disposal(batch).await?;
    let Some(batch) = shown.disposal else { return Err(Failure::failed("the node answered without the batch")) };
    let mut value = batch_json(&batch);
    let items = shown.items.iter().map(|item| {
        json!({
            "item": hex::encode(&item.item_id),
            "unit": item.unit_id,
            "basis": item.basis,
            "fate": item.fate,
            "dropped": item.dropped.as_ref().map(verdict_json),
        })
    });
    value["items"] = items.collect();
    value["parts"] = shown.parts.iter().map(part_json).collect();
    globals.output().show(&value, |page| {
        batch_page(page, &batch);
        let row = |item: &strongroom_proto::disposal::DisposalItem| {
            let why = item.dropped.as_ref().map_or_else(|| item.basis.clone(), |verdict| verdict.message.clone());
            vec![hex::encode(&item.item_id), item.unit_id.clone(), item.fate.clone(), why]
        };
        page.line("");
        page.table(&["item", "unit", "fate", "basis"], &shown.items.iter().map(row).collect::<Vec<_>>());
        if !shown.parts.is_empty() {
            page.line("");
            let rows: Vec<_> = shown.parts.iter().map(part_row).collect();
            page.table(&["node", "disk", "state", "shards", "record"], &rows);
        }
    })
}

async fn list(globals: &Globals, client: &Client, open: bool, limit: usize) -> Result<(), Failure> {
    let (mut batches, mut token) = (Vec::new(), Bytes::new());
    while batches.len() < limit {
        let size = u32::try_from((limit - batches.len()).min(100)).unwrap_or(100);
        let page = client.list_disposals(open, ListPage { size, token }).await?;
        batches.extend(page.disposals);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    batches.truncate(limit);
    globals.output().show(&batches.iter().map(batch_json).collect(), |page| {
        let row = |batch: &Batch| {
            vec![
                batch.disposal_id.clone(),
                state(batch.state()).to_owned(),
                batch.proposal.as_ref().map(|step| step.principal.clone()).unwrap_or_default(),
                batch.item_count.to_string(),
                batch.units.join(" "),
                batch.basis.clone(),
            ]
        };
        page.table(
            &["batch", "state", "proposed by", "items", "units", "basis"],
            &batches.iter().map(row).collect::<Vec<_>>(),
        );
    })
}

async fn certificate(globals: &Globals, client: &Client, batch: BatchId, to: Option<PathBuf>) -> Result<(), Failure> {
    let certificate = client.fetch_certificate(batch).await?;
    let path = to.unwrap_or_else(|| PathBuf::from(format!("{batch}.certificate")));
    fs::write(&path, &certificate).map_err(Failure::file("write", &path))?;
    let path = path.display().to_string();
    globals.output().show(&json!({ "batch": batch.to_string(), "certificate": path }), |page| {
        page.line(format!("wrote {path}; check it with: strongroom verify {path}"));
    })
}

const fn state(state: DisposalState) -> &'static str {
    match state {
        DisposalState::Unspecified => "unspecified",
        DisposalState::Proposed => "proposed",
        DisposalState::LegalApproved => "legal-approved",
        DisposalState::Approved => "approved",
        DisposalState::Executed => "executed",
        DisposalState::Closed => "closed",
        DisposalState::Withdrawn => "withdrawn",
    }
}

fn step_json(step: &Step) -> Value {
    json!({ "principal": step.principal, "at": shown::time(step.at_unix_ms), "record": step.record_seq })
}

fn batch_json(batch: &Batch) -> Value {
    let execution = batch.execution.as_ref().map(|execution| {
        json!({
            "step": execution.step.as_ref().map(step_json),
            "supervisors": execution.supervisors,
            "disposed": execution.disposed_count,
            "dropped": execution.dropped_count,
            "disks_pending": execution.disks_pending,
            "replicas_pending": execution.replicas_pending,
            "signatures": execution.signatures.iter().map(step_json).collect::<Vec<_>>(),
        })
    });
    json!({
        "batch": batch.disposal_id,
        "state": state(batch.state()),
        "proposal": batch.proposal.as_ref().map(step_json),
        "basis": batch.basis,
        "not_before": shown::time(batch.not_before_unix_ms),
        "units": batch.units,
        "item_count": batch.item_count,
        "approvals": batch.approvals.iter().map(step_json).collect::<Vec<_>>(),
        "execution": execution,
        "withdrawn_by": batch.withdrawn_by,
        "withdrawn_reason": batch.withdrawn_reason,
    })
}

fn batch_page(page: &mut Page, batch: &Batch) {
    let step = |step: &Step| format!("{} at {} (#{})", step.principal, shown::time(step.at_unix_ms), step.record_seq);
    let steps = |steps: &[Step]| steps.iter().map(step).collect::<Vec<_>>().join("; ");
    page.facts(&[
        ("batch", batch.disposal_id.clone()),
        ("state", state(batch.state()).to_owned()),
        ("basis", batch.basis.clone()),
        ("items", batch.item_count.to_string()),
        ("units", batch.units.join(" ")),
        ("proposed", batch.proposal.as_ref().map(step).unwrap_or_default()),
        ("not before", shown::time(batch.not_before_unix_ms)),
        ("approved", steps(&batch.approvals)),
        ("withdrawn", [batch.withdrawn_by.as_str(), batch.withdrawn_reason.as_str()].join(" ").trim().to_owned()),
    ]);
    let Some(execution) = &batch.execution else { return };
    page.facts(&[
        ("executed", execution.step.as_ref().map(step).unwrap_or_default()),
        ("supervisors", execution.supervisors.join(", ")),
        ("disposed", execution.disposed_count.to_string()),
        ("dropped out", execution.dropped_count.to_string()),
        ("disks to erase", execution.disks_pending.to_string()),
        ("replicas with keys", execution.replicas_pending.to_string()),
        ("signed", steps(&execution.signatures)),
    ]);
}

fn verdict_json(verdict: &Verdict) -> Value {
    json!({
        "reason": verdict.reason,
        "rule": verdict.rule,
        "message": verdict.message,
        "remedy": verdict.remedy,
    })
}

fn planned_json(planned: &PlannedItem) -> Value {
    let verdict = planned.verdict.clone().unwrap_or_default();
    json!({
        "item": hex::encode(&planned.item_id),
        "eligible": verdict.reason.is_empty(),
        "verdict": verdict_json(&verdict),
    })
}

fn planned_row(planned: &PlannedItem) -> Vec<String> {
    let verdict = planned.verdict.clone().unwrap_or_default();
    let reason = if verdict.reason.is_empty() { "may go".to_owned() } else { verdict.reason };
    vec![hex::encode(&planned.item_id), reason, verdict.rule, verdict.message]
}

fn part_json(part: &DisposalPart) -> Value {
    json!({
        "node": NodeId(part.node_id).to_string(),
        "disk": (!part.disk_id.is_empty()).then(|| hex::encode(&part.disk_id)),
        "state": part.state,
        "shards": part.shards,
        "purged_to": part.purged_to,
        "record": part.record_seq,
    })
}

fn part_row(part: &DisposalPart) -> Vec<String> {
    let disk = if part.disk_id.is_empty() { "(keys)".to_owned() } else { hex::encode(&part.disk_id) };
    vec![
        NodeId(part.node_id).to_string(),
        disk,
        part.state.clone(),
        part.shards.to_string(),
        part.record_seq.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_may_come_with_a_basis_of_its_own() {
        let id = "ab".repeat(16);
        let item: ItemId = id.parse().expect("an id");
        assert_eq!(item_with_basis(&id), Ok((item, String::new())));
        assert_eq!(item_with_basis(&format!("{id}=到期=二")), Ok((item, "到期=二".to_owned())));
        assert!(item_with_basis("x").is_err());
    }
}
