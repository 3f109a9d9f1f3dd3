//! `strongroom draw`: samples for spot checks, which nobody can steer and anybody can draw again.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_client::{Client, Page as ListPage};
use strongroom_engine::receipt::CustodyRecords;
use strongroom_package::{DrawError, DrawProof, DrawVerdict, Trust};
use strongroom_proto::inspection::{Draw as WireDraw, DrawQuery, DrawState, DrawVoter, PreviewDrawResponse};
use strongroom_types::{DrawId, NodeId, UnixMillis};

use crate::conditions::{Conditions, WireConditions};
use crate::failure::Failure;
use crate::output::Page;
use crate::receipts;
use crate::session::{Globals, Usual};
use crate::shown;

/// How the name of a proof ends.
const PROOF: &str = "draw";

/// What can be done with draws.
#[derive(Debug, Subcommand)]
pub(crate) enum Draw {
    /// Records a draw 抽样: what is inspected, how much of it, by whom. The voters make its seed afterwards, so whoever
    /// records it does not know what it will select; with --dry-run only counts what it would select from
    ///
    /// Example: strongroom draw record --unit U1 --from 2026-10-01T00:00:00 --to 2026-11-01T00:00:00 --ratio 10
    Record(Box<Record>),
    /// One draw: where it stands, who is waited for, and what it selected 抽中的资料
    ///
    /// Example: strongroom draw show DRAW-1
    Show {
        /// Such as DRAW-1
        draw: DrawId,
    },
    /// Draws, newest first; repetitions and void ones too
    ///
    /// Example: strongroom draw list
    List {
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        limit: usize,
    },
    /// Writes the proof of a completed draw, from which anybody can draw again offline
    ///
    /// Example: strongroom draw export DRAW-1 --to DRAW-1.draw
    Export {
        /// Such as DRAW-1
        draw: DrawId,
        /// File to write; the draw's name with .draw where none is given
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Draws again from the records alone and compares 复算: from a proof, without any server, or from the cluster's
    ///
    /// Example: strongroom draw verify DRAW-1.draw --policy policy.tlog-policy
    Verify {
        /// A proof, or a draw of the cluster such as DRAW-1
        #[arg(value_name = "FILE|DRAW")]
        what: Verified,
        /// Policy, got from somewhere else than the proof. Without one, the context's
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
}

/// What is verified.
#[derive(Clone, Debug)]
pub(crate) enum Verified {
    /// A draw, whose proof is fetched.
    Draw(DrawId),
    /// A proof.
    File(PathBuf),
}

impl FromStr for Verified {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::File(text.into()), Self::Draw))
    }
}

/// A draw to record.
#[derive(Debug, Args)]
pub(crate) struct Record {
    /// Start of the period: what was recorded or sealed at this time or later
    #[arg(long, value_name = "TIME")]
    from: UnixMillis,
    /// End of the period: what was recorded or sealed before this time
    #[arg(long, value_name = "TIME")]
    to: UnixMillis,
    /// How much is drawn, in percent 比例, rounded up; only where the profile leaves it open
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..=100))]
    ratio: Option<u32>,
    /// Why; a repetition of an earlier draw gives a reason
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
    /// Only counts what it would select from
    #[arg(long)]
    dry_run: bool,
    #[command(flatten, next_help_heading = "Only what fits all of these; without a unit, the whole agency's")]
    conditions: Conditions,
}

impl Draw {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        match self {
            Self::Record(record) => record.run(globals, &globals.client(Usual::Inspector)?).await,
            Self::Show { draw } => show(globals, &globals.client(Usual::Inspector)?, draw).await,
            Self::List { limit } => list(globals, &globals.client(Usual::Inspector)?, limit).await,
            Self::Export { draw, to } => export(globals, &globals.client(Usual::Inspector)?, draw, to).await,
            Self::Verify { what, policy } => verify(globals, what, policy.as_deref()).await,
        }
    }
}

impl Record {
    async fn run(self, globals: &Globals, client: &Client) -> Result<(), Failure> {
        let WireConditions { unit_id, device_id, activity_id, labels } = self.conditions.wire();
        let query = DrawQuery {
            unit_id,
            device_id,
            activity_id,
            labels,
            from_unix_ms: Some(self.from.0),
            to_unix_ms: Some(self.to.0),
        };
        let ratio = self.ratio.unwrap_or_default();
        if self.dry_run {
            let preview = client.preview_draw(query, ratio).await?;
            return globals.output().show(&preview_json(&preview), |page| preview_page(page, &preview));
        }
        let draw = client.record_draw(query, ratio, &self.reason).await?;
        globals.output().show(&draw_json(&draw), |page| draw_page(page, &draw))
    }
}

async fn show(globals: &Globals, client: &Client, draw: DrawId) -> Result<(), Failure> {
    let shown = client.show_draw(draw).await?;
    let draw = shown.draw.ok_or_else(|| Failure::failed("the answer holds no draw"))?;
    let sample: Vec<_> = shown.sample_item_ids.iter().map(hex::encode).collect();
    let mut value = draw_json(&draw);
    value["sample"] = json!(sample);
    globals.output().show(&value, |page| {
        draw_page(page, &draw);
        page.line("");
        page.table(&["voter", "committed", "revealed"], &draw.voters.iter().map(voter_row).collect::<Vec<_>>());
        if !sample.is_empty() {
            page.line("");
            let row = |(rank, item): (usize, &String)| vec![(rank + 1).to_string(), item.clone()];
            page.table(&["rank", "item"], &sample.iter().enumerate().map(row).collect::<Vec<_>>());
        }
    })
}

async fn list(globals: &Globals, client: &Client, limit: usize) -> Result<(), Failure> {
    let (mut draws, mut token) = (Vec::new(), Bytes::new());
    while draws.len() < limit {
        let size = u32::try_from((limit - draws.len()).min(100)).unwrap_or(100);
        let page = client.list_draws(ListPage { size, token }).await?;
        draws.extend(page.draws);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    draws.truncate(limit);
    let row = |draw: &WireDraw| {
        vec![
            draw.draw_id.clone(),
            state(draw.state()).to_owned(),
            draw.inspector.clone(),
            query_text(draw),
            format!("{} %", draw.ratio_percent),
            draw.item_count.to_string(),
            draw.sample_count.to_string(),
            draw.repeats_draw_id.clone(),
            nodes(&draw.missing_node_ids),
        ]
    };
    let heads = ["draw", "state", "inspector", "covers", "ratio", "items", "sample", "repeats", "missing"];
    globals.output().list(&draws.iter().map(draw_json).collect(), &heads, &draws.iter().map(row).collect::<Vec<_>>())
}

async fn export(globals: &Globals, client: &Client, draw: DrawId, to: Option<PathBuf>) -> Result<(), Failure> {
    let proof = client.fetch_draw_proof(draw).await?;
    let path = to.unwrap_or_else(|| PathBuf::from(format!("{draw}.{PROOF}")));
    fs::write(&path, &proof).map_err(Failure::file("write", &path))?;
    let path = path.display().to_string();
    globals.output().show(&json!({ "draw": draw.to_string(), "proof": path }), |page| {
        page.line(format!("wrote {path}; draw again with: strongroom draw verify {path}"));
    })
}

async fn verify(globals: &Globals, what: Verified, policy: Option<&Path>) -> Result<(), Failure> {
    let policy = match (policy, &globals.context) {
        (Some(path), _) => Some(receipts::read_policy(path)?),
        (None, Some(_)) => receipts::policy_of(&globals.context()?)?,
        (None, None) => None,
    };
    let (name, bytes) = match what {
        Verified::Draw(draw) => (draw.to_string(), globals.client(Usual::Inspector)?.fetch_draw_proof(draw).await?),
        Verified::File(path) => {
            (path.display().to_string(), fs::read(&path).map_err(Failure::file("read", &path))?.into())
        }
    };
    let bad = |error: DrawError| Failure::caused_by(format!("{name} does not verify"), &error);
    let proof = DrawProof::parse_canonical(&bytes).map_err(bad)?;
    let verdict = proof.verify(&CustodyRecords).map_err(bad)?;
    let own = proof.policy().fingerprint();
    let trust = match policy {
        None => Trust::SelfConsistent { policy: own },
        Some(given) if given == proof.policy().to_string() => Trust::Trusted { policy: own, voter_changes: 0 },
        Some(_) => return Err(Failure::failed(format!("{name} is under another policy than the given one"))),
    };
    let output = globals.output();
    output.show(&verdict_json(&name, &verdict, trust), |page| {
        page.line(format!("✓ {name}: {}", output.pick("drawn again, with the same sample", "已复算，样本一致")));
        verdict_page(page, &verdict);
        page.line(trust.to_string());
        page.line(output.pick(
            "Proved: the items, the ratio and the voters stood before any share; every share was committed to and signed \
             before one was shown; these shares select this sample, unchosen if one of these voters is honest. Not proved: \
             that the list holds every item of the query; whoever has the ledger can compare it with the records of seals.",
            "已证明：待抽资料、比例和投票节点在任何份额之前已固定；每个份额都在公开之前承诺并签名；样本由这些份额唯一确定，\
             只要其中一个投票节点诚实，就无人能够选择样本。未证明：清单包含查询范围内的全部资料；可凭存证日志与入库条目核对。",
        ));
    })
}

fn preview_json(preview: &PreviewDrawResponse) -> Value {
    json!({
        "items": preview.item_count,
        "sample_size": preview.sample_count,
        "ratio_percent": preview.ratio_percent,
        "profile": preview.profile,
        "rule": preview.rule,
        "role": preview.role,
        "repeats": shown::some(&preview.repeats_draw_id),
    })
}

fn preview_page(page: &mut Page, preview: &PreviewDrawResponse) {
    page.facts(&[
        ("items", preview.item_count.to_string()),
        ("sample", preview.sample_count.to_string()),
        ("ratio", format!("{} %", preview.ratio_percent)),
        ("profile", preview.profile.clone()),
        ("rule", preview.rule.clone()),
        ("roles", preview.role.clone()),
        ("repeats", preview.repeats_draw_id.clone()),
    ]);
}

fn draw_json(draw: &WireDraw) -> Value {
    let query = draw.query.clone().unwrap_or_default();
    let voter = |voter: &DrawVoter| {
        json!({
            "node": NodeId(voter.node_id).to_string(),
            "commitment": given(&voter.commitment),
            "commitment_record": (!voter.commitment.is_empty()).then_some(voter.commitment_record_seq),
            "share": given(&voter.share),
            "share_record": (!voter.share.is_empty()).then_some(voter.share_record_seq),
        })
    };
    json!({
        "draw": draw.draw_id,
        "state": state(draw.state()),
        "inspector": draw.inspector,
        "role": draw.role,
        "query": {
            "unit": shown::some(&query.unit_id),
            "device": shown::some(&query.device_id),
            "activity": shown::some(&query.activity_id),
            "labels": query.labels,
            "from": query.from_unix_ms.map(shown::time),
            "to": query.to_unix_ms.map(shown::time),
        },
        "ratio_percent": draw.ratio_percent,
        "profile": draw.profile,
        "rule": draw.rule,
        "items": draw.item_count,
        "population": hex::encode(&draw.population_digest),
        "sample_size": draw.sample_count,
        "repeats": shown::some(&draw.repeats_draw_id),
        "reason": shown::some(&draw.reason),
        "recorded_at": shown::time(draw.recorded_at_unix_ms),
        "record": draw.record_seq,
        "digest": hex::encode(&draw.digest),
        "voters": draw.voters.iter().map(voter).collect::<Vec<_>>(),
        "missing": draw.missing_node_ids.iter().map(|node| NodeId(*node).to_string()).collect::<Vec<_>>(),
        "until": draw.until_unix_ms.map(shown::time),
        "seed": given(&draw.seed),
    })
}

fn draw_page(page: &mut Page, draw: &WireDraw) {
    page.facts(&[
        ("draw", draw.draw_id.clone()),
        ("state", state(draw.state()).to_owned()),
        ("inspector", format!("{} ({})", draw.inspector, draw.role)),
        ("covers", query_text(draw)),
        ("ratio", format!("{} %", draw.ratio_percent)),
        ("rule", draw.rule.clone()),
        ("items", draw.item_count.to_string()),
        ("sample", draw.sample_count.to_string()),
        ("repeats", draw.repeats_draw_id.clone()),
        ("reason", draw.reason.clone()),
        ("recorded", shown::time(draw.recorded_at_unix_ms)),
        ("record", format!("#{}", draw.record_seq)),
        ("missing", nodes(&draw.missing_node_ids)),
        ("waits until", draw.until_unix_ms.map(shown::time).unwrap_or_default()),
        ("seed", given(&draw.seed).unwrap_or_default()),
    ]);
}

fn verdict_json(name: &str, verdict: &DrawVerdict, trust: Trust) -> Value {
    let recorded = &verdict.recorded;
    let step = |(step, at, seq): &(String, UnixMillis, strongroom_types::RecordSeq)| json!({ "step": step, "at": at.to_string(), "record": seq.0 });
    json!({
        "path": name,
        "verified": true,
        "kind": "draw",
        "trust": receipts::trust_name(trust),
        "policy": verdict.checkpoint.policy().to_string(),
        "draw": verdict.draw.to_string(),
        "cluster": recorded.cluster.to_string(),
        "inspector": recorded.inspector.as_str(),
        "rule": recorded.rule,
        "query": recorded.query,
        "ratio_percent": recorded.ratio_percent,
        "items": recorded.items,
        "repeats": recorded.repeats.map(|draw| draw.to_string()),
        "voters": recorded.voters.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "shares": verdict.shares.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "seed": verdict.seed.to_string(),
        "sample": verdict.sample.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "steps": verdict.steps.iter().map(step).collect::<Vec<_>>(),
        "checkpoint_size": verdict.checkpoint.head().size,
    })
}

fn verdict_page(page: &mut Page, verdict: &DrawVerdict) {
    let recorded = &verdict.recorded;
    let names = |nodes: &[NodeId]| nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    page.facts(&[
        ("draw", verdict.draw.to_string()),
        ("inspector", recorded.inspector.to_string()),
        ("covers", recorded.query.clone()),
        ("ratio", format!("{} %", recorded.ratio_percent)),
        ("rule", recorded.rule.clone()),
        ("items", recorded.items.to_string()),
        ("sample", verdict.sample.len().to_string()),
        ("repeats", recorded.repeats.map(|draw| draw.to_string()).unwrap_or_default()),
        ("voter", names(&recorded.voters)),
        ("revealed", names(&verdict.shares)),
        ("seed", verdict.seed.to_string()),
        ("checkpoint", verdict.checkpoint.head().size.to_string()),
        ("cluster", recorded.cluster.to_string()),
    ]);
    for (step, at, seq) in &verdict.steps {
        page.line(format!("  {step} at {at} (#{})", seq.0));
    }
}

fn voter_row(voter: &DrawVoter) -> Vec<String> {
    let record = |given: &Bytes, seq: u64| if given.is_empty() { String::new() } else { format!("#{seq}") };
    vec![
        NodeId(voter.node_id).to_string(),
        record(&voter.commitment, voter.commitment_record_seq),
        record(&voter.share, voter.share_record_seq),
    ]
}

fn query_text(draw: &WireDraw) -> String {
    let query = draw.query.clone().unwrap_or_default();
    let named = [("unit", &query.unit_id), ("device", &query.device_id), ("activity", &query.activity_id)];
    let mut parts: Vec<_> =
        named.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={value}")).collect();
    parts.extend(query.labels.iter().map(|(name, value)| format!("{name}={value}")));
    parts.extend(query.from_unix_ms.map(|from| format!("from={}", shown::time(from))));
    parts.extend(query.to_unix_ms.map(|to| format!("to={}", shown::time(to))));
    parts.join(" ")
}

fn given(bytes: &Bytes) -> Option<String> {
    (!bytes.is_empty()).then(|| hex::encode(bytes))
}

fn nodes(ids: &[u64]) -> String {
    ids.iter().map(|node| NodeId(*node).to_string()).collect::<Vec<_>>().join(" ")
}

const fn state(state: DrawState) -> &'static str {
    match state {
        DrawState::Unspecified => "unspecified",
        DrawState::Committing => "committing",
        DrawState::Revealing => "revealing",
        DrawState::Overdue => "overdue",
        DrawState::Completed => "completed",
        DrawState::Void => "void",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_and_a_file_are_told_apart() {
        let read = |text: &str| text.parse::<Verified>().expect("never fails");
        assert!(matches!(read("DRAW-12"), Verified::Draw(DrawId(12))));
        assert!(matches!(read("DRAW-12.draw"), Verified::File(path) if path == Path::new("DRAW-12.draw")));
        assert!(matches!(read("./DRAW-12"), Verified::File(_)));
    }
}
