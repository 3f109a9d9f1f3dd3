//! `strongroom cluster`: the machines, for operators. Never footage.

use clap::Subcommand;
use serde_json::{Value, json};
use strongroom_client::Client;
use strongroom_proto::cluster::{
    BadShard, DiskStatus, NodeStatus, Outage, PlanVoterResponse, ProposeVoterRequest, ShowClockResponse,
    ShowStatusResponse, VolumeStatus, VoterChange, WithdrawVoterRequest,
};
use strongroom_types::{NodeId, RecordSeq, limits};

use crate::failure::Failure;
use crate::output::{Output, short_size};
use crate::parse::length_text;
use crate::session::{Globals, Usual};
use crate::shown;

/// What can be asked about the machines.
#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Nodes, disks, volumes, Raft, ledger and bad shards as one node sees them
    Status,
    /// The compliance clock, how far it is from the wall clocks, and why
    Clock,
    /// Voters of the metadata group: one is replaced by two people
    #[command(subcommand)]
    Voter(Voter),
    /// Lets time pass, in a trial cluster only
    ///
    /// Example: strongroom cluster advance-clock --days 400 --reason 演练到期
    AdvanceClock {
        /// How many days
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_600))]
        days: u32,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// What can be done with voters.
#[derive(Debug, Subcommand)]
pub(crate) enum Voter {
    /// Proposes that one node takes another's vote, as ops; security approves. With --dry-run only shows what it would come to
    ///
    /// The new node is in service, holds the cluster's key-encryption key and log key, and has caught up. Disks, receipts
    /// and auditors are led from the voters before to those after by the record of it.
    ///
    /// Example: strongroom cluster voter replace n2 n7 --reason 主板损坏 --dry-run
    Replace {
        /// Who loses the vote
        old: NodeId,
        /// Who gets it
        new: NodeId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Only show what it would come to
        #[arg(long)]
        dry_run: bool,
    },
    /// Approves that a voter is replaced, as security
    ///
    /// Example: strongroom --as security cluster voter approve 57
    Approve {
        /// Record of the proposal
        record: u64,
    },
    /// Withdraws a replacement before it is approved
    Withdraw {
        /// Record of the proposal
        record: u64,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Replacements, newest first
    List,
}

const DAY_MS: i64 = 24 * 3600 * 1000;

impl Cluster {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let usual = if matches!(self, Self::Voter(Voter::Approve { .. })) { Usual::Security } else { Usual::Ops };
        let client = globals.client(usual)?;
        match self {
            Self::Voter(voter) => voter.run(globals, &client).await,
            Self::Status => show_status(globals, &client.show_status().await?),
            Self::Clock => show_clock(globals, &client.show_clock().await?),
            Self::AdvanceClock { days, reason } => {
                let record = client.advance_clock(i64::from(days) * DAY_MS, &reason).await?;
                globals.output().show(&json!({ "days": days, "record": record.0 }), |page| {
                    page.facts(&[("record", record.to_string())]);
                })
            }
        }
    }
}

impl Voter {
    async fn run(self, globals: &Globals, client: &Client) -> Result<(), Failure> {
        let (number, record) = match self {
            Self::Replace { old, new, dry_run: true, .. } => {
                return show_plan(globals, &client.plan_voter(old, new).await?);
            }
            Self::List => return list_voter_changes(globals, &client.list_voter_changes().await?),
            Self::Replace { old, new, reason, dry_run: false } => {
                let (old_node_id, new_node_id) = (old.0, new.0);
                let request = ProposeVoterRequest { old_node_id, new_node_id, reason, ..Default::default() };
                let record = client.propose_voter(request).await?;
                (record.0, record)
            }
            Self::Approve { record } => (record, client.approve_voter(RecordSeq(record)).await?),
            Self::Withdraw { record, reason } => {
                let request = WithdrawVoterRequest { proposal_record_seq: record, reason, ..Default::default() };
                (record, client.withdraw_voter(request).await?)
            }
        };
        shown::done(globals, "proposal", &number.to_string(), record)
    }
}

fn show_plan(globals: &Globals, planned: &PlanVoterResponse) -> Result<(), Failure> {
    let json = json!({
        "voters_before": names(&planned.voters_before),
        "voters_after": names(&planned.voters_after),
        "policy_before": hex::encode(&planned.policy_before),
        "policy_after": shown::some(&hex::encode(&planned.policy_after)),
        "possible": planned.reason.is_empty(),
        "reason": shown::some(&planned.reason),
        "rule": shown::some(&planned.rule),
        "message": shown::some(&planned.message),
        "remedy": shown::some(&planned.remedy),
    });
    let output = globals.output();
    output.show(&json, |page| {
        let row = |what: &str, voters: &[u64], policy: &[u8]| {
            vec![what.to_owned(), names(voters).join(" "), hex::encode(policy)]
        };
        page.table(
            &["voter", "nodes", "policy"],
            &[
                row(output.pick("before", "更换前"), &planned.voters_before, &planned.policy_before),
                row(output.pick("after", "更换后"), &planned.voters_after, &planned.policy_after),
            ],
        );
        page.line("");
        if planned.reason.is_empty() {
            page.line(output.pick(
                "It can be done: the new node holds what a voter holds and has caught up. Security approves; the voters of now cosign \
                 the record, then the vote moves. Receipts from before stay good under the policy of before.",
                "可以更换：新节点已具备投票节点的密钥并已追上进度。由安全管理员批准；现任投票节点联署该记录后，表决权移交。此前的回执仍按原策略有效。",
            ));
        } else {
            page.line(format!("{} ({}): {}; {}", planned.reason, planned.rule, planned.message, planned.remedy));
        }
    })
}

fn list_voter_changes(globals: &Globals, changes: &[VoterChange]) -> Result<(), Failure> {
    let json = changes.iter().map(|change| {
        json!({
            "record": change.record_seq,
            "old": NodeId(change.old_node_id).to_string(),
            "new": NodeId(change.new_node_id).to_string(),
            "reason": change.reason,
            "proposed_by": change.proposed_by,
            "proposed_at": shown::time(change.proposed_at_unix_ms),
            "state": change.state,
            "ended_by": shown::some(&change.ended_by),
            "ended_record": change.ended_record_seq,
        })
    });
    let row = |change: &VoterChange| {
        vec![
            change.record_seq.to_string(),
            format!("{} → {}", NodeId(change.old_node_id), NodeId(change.new_node_id)),
            change.state.clone(),
            change.reason.clone(),
            change.proposed_by.clone(),
            change.ended_by.clone(),
        ]
    };
    let heads = ["proposal", "voter", "state", "reason", "proposed by", "answered by"];
    globals.output().list(&json.collect(), &heads, &changes.iter().map(row).collect::<Vec<_>>())
}

fn names(nodes: &[u64]) -> Vec<String> {
    nodes.iter().map(|node| NodeId(*node).to_string()).collect()
}

fn show_status(globals: &Globals, status: &ShowStatusResponse) -> Result<(), Failure> {
    globals.output().show(&status_json(status), |page| {
        page.facts(&[
            ("cluster", hex::encode(&status.cluster_id)),
            ("trial", if status.trial { "yes".to_owned() } else { String::new() }),
            ("leader", status.leader.clone()),
            ("term", status.term.to_string()),
            ("items", status.items.to_string()),
            ("ledger", status.ledger_size.to_string()),
            ("checkpoint", status.checkpoint_size.to_string()),
            ("compliance clock", shown::time(status.clock_unix_ms)),
            ("repair queue", status.repair_queue.to_string()),
        ]);
        page.line("");
        page.table(
            &["node", "district", "state", "raft role", "applied", "bad shards", "disks", "address"],
            &status.nodes.iter().map(node_row).collect::<Vec<_>>(),
        );
        page.line("");
        page.table(
            &["volume", "scheme", "state", "size", "slots"],
            &status.volumes.iter().map(volume_row).collect::<Vec<_>>(),
        );
        if !status.bad_shards.is_empty() {
            page.line("");
            page.table(
                &["bad shard", "item", "volume", "node", "disk", "first seen"],
                &status.bad_shards.iter().map(bad_shard_row).collect::<Vec<_>>(),
            );
        }
    })
}

fn show_clock(globals: &Globals, clock: &ShowClockResponse) -> Result<(), Failure> {
    let behind_ms = clock.wall_unix_ms.saturating_sub(clock.clock_unix_ms);
    let unexplained_ms = behind_ms.saturating_sub(clock.outages_ms).saturating_sub(clock.corrected_ms);
    let json = json!({
        "clock": shown::time(clock.clock_unix_ms),
        "wall": shown::time(clock.wall_unix_ms),
        "behind_ms": behind_ms,
        "outages_ms": clock.outages_ms,
        "corrected_ms": clock.corrected_ms,
        "unexplained_ms": unexplained_ms,
        "trusted": clock.trusted,
        "trial": clock.trial,
        "trial_ms": clock.trial_ms,
        "outages": clock.outages.iter().map(outage_json).collect::<Vec<_>>(),
        "waiting_correction": shown::some(&clock.waiting_correction_id),
    });
    let output = globals.output();
    output.show(&json, |page| {
        let unless_0 = |ms: i64| if ms == 0 { String::new() } else { length_text(ms) };
        page.facts(&[
            ("compliance clock", shown::time(clock.clock_unix_ms)),
            ("wall clock", shown::time(clock.wall_unix_ms)),
            ("clock behind wall", length_text(behind_ms)),
            ("recorded outages", length_text(clock.outages_ms)),
            ("corrected by", unless_0(clock.corrected_ms)),
            ("unexplained", length_text(unexplained_ms)),
            ("set ahead", unless_0(clock.trial_ms)),
            ("waiting correction", clock.waiting_correction_id.clone()),
        ]);
        if !clock.outages.is_empty() {
            page.line("");
            page.table(
                &["outage", "recorded length", "counted length", "compliance clock", "wall clock", "correction"],
                &clock.outages.iter().map(outage_row).collect::<Vec<_>>(),
            );
            page.line("");
        }
        if !clock.trusted {
            page.line(output.pick(
                "CLOCK_UNTRUSTED (C2): more than 24 hours are unexplained, so nothing is disposed of. Footage is taken, read and handed \
                 out as always.",
                "CLOCK_UNTRUSTED（C2）：超过24小时的差异无法解释，销毁已冻结；入库、查阅和提供照常进行。",
            ));
            page.line(what_mends(output, clock, behind_ms, unexplained_ms));
        }
        page.line(output.pick(
            "The clock never runs ahead of a majority of the voters; behind only keeps evidence longer.",
            "合规时钟不会快于多数投票节点；落后只会延长保存。",
        ));
    })
}

/// What thaws a clock that is not trusted, if the wall clocks are right as they are now.
fn what_mends(output: Output, clock: &ShowClockResponse, behind_ms: i64, unexplained_ms: i64) -> String {
    let waits = &clock.waiting_correction_id;
    if !waits.is_empty() {
        return output
            .pick("A correction waits: strongroom correction show ", "已有更正待生效：strongroom correction show ")
            .to_owned()
            + waits;
    }
    if behind_ms < -limits::CLOCK_APART_MS_MAX {
        return output
            .pick(
                "The wall clocks of a majority are behind the compliance clock, which waits for them. Set them right; where they are \
                 right, nothing is due before they have come to it.",
                "多数投票节点的墙上时钟落后于合规时钟，合规时钟在等待。请校准墙上时钟；若墙上时钟无误，在追上之前没有资料到期。",
            )
            .to_owned();
    }
    let told = output.pick(
        "Find out which clocks are wrong and set them right. If the wall clocks are right as they are now, legal and head correct \
         what was recorded: ",
        "请查明并校准有误的时钟。若墙上时钟现已无误，由法制与主要负责人更正已记录的中断：",
    );
    // What an outage was recorded too long by, or what no record names.
    let is_false = |outage: &&Outage| outage.right_ms >= -unexplained_ms;
    let which = match clock.outages.iter().find(is_false).filter(|_| unexplained_ms < 0) {
        Some(outage) => format!("{}={}", outage.record_seq, length_text(outage.right_ms + unexplained_ms)),
        None => format!("--unrecorded={}", length_text(unexplained_ms)),
    };
    format!("{told}strongroom correction propose outages {which} --reason …")
}

fn outage_json(outage: &Outage) -> Value {
    json!({
        "record": outage.record_seq,
        "length_ms": outage.length_ms,
        "right_ms": outage.right_ms,
        "clock": shown::time(outage.clock_unix_ms),
        "wall": shown::time(outage.wall_unix_ms),
        "correction": shown::some(&outage.correction_id),
    })
}

fn outage_row(outage: &Outage) -> Vec<String> {
    vec![
        format!("#{}", outage.record_seq),
        length_text(outage.length_ms),
        length_text(outage.right_ms),
        shown::time(outage.clock_unix_ms),
        shown::time(outage.wall_unix_ms),
        outage.correction_id.clone(),
    ]
}

/// The status as JSON; scripts rely on `nodes[].{name,district,state,raft_role}` and `leader`.
pub(super) fn status_json(status: &ShowStatusResponse) -> Value {
    json!({
        "cluster": hex::encode(&status.cluster_id),
        "trial": status.trial,
        "leader": shown::some(&status.leader),
        "term": status.term,
        "clock": shown::time(status.clock_unix_ms),
        "wall": shown::time(status.wall_unix_ms),
        "ledger_size": status.ledger_size,
        "checkpoint_size": status.checkpoint_size,
        "items": status.items,
        "uploads": status.uploads,
        "nodes": status.nodes.iter().map(node_json).collect::<Vec<_>>(),
        "volumes": status.volumes.iter().map(volume_json).collect::<Vec<_>>(),
        "repair_queue": status.repair_queue,
        "bad_shards": status.bad_shards.iter().map(bad_shard_json).collect::<Vec<_>>(),
    })
}

fn node_json(node: &NodeStatus) -> Value {
    json!({
        "name": node.name,
        "district": node.district,
        "state": node.state,
        "raft_role": node.raft_role,
        "address": node.address,
        "applied_index": node.applied_index,
        "version": node.version,
        "bad_shards": node.bad_shards,
        "disks": node.disks.iter().map(disk_json).collect::<Vec<_>>(),
    })
}

fn disk_json(disk: &DiskStatus) -> Value {
    json!({
        "disk": hex::encode(&disk.disk_id),
        "state": disk.state,
        "used_bytes": disk.used_bytes,
        "total_bytes": disk.total_bytes,
        "shards": disk.shards,
    })
}

fn volume_json(volume: &VolumeStatus) -> Value {
    json!({
        "volume": volume.volume_id,
        "scheme": volume.scheme,
        "state": volume.state,
        "nodes": volume.nodes,
        "user_bytes": volume.user_bytes,
    })
}

fn bad_shard_json(shard: &BadShard) -> Value {
    json!({
        "item": hex::encode(&shard.item_id),
        "chunk": shard.chunk_index,
        "volume": shard.volume_id,
        "slot": shard.slot,
        "node": shard.node,
        "fault": shard.fault,
        "disk": hex::encode(&shard.disk_id),
        "found_by": shard.found_by,
        "first_seen": shown::time(shard.first_seen_unix_ms),
    })
}

fn node_row(node: &NodeStatus) -> Vec<String> {
    let disks: Vec<_> = node
        .disks
        .iter()
        .map(|disk| format!("{} {}/{}", disk.state, short_size(disk.used_bytes), short_size(disk.total_bytes)))
        .collect();
    vec![
        node.name.clone(),
        node.district.clone(),
        node.state.clone(),
        node.raft_role.clone(),
        node.applied_index.to_string(),
        node.bad_shards.to_string(),
        disks.join(", "),
        node.address.clone(),
    ]
}

fn volume_row(volume: &VolumeStatus) -> Vec<String> {
    vec![
        volume.volume_id.clone(),
        volume.scheme.clone(),
        volume.state.clone(),
        short_size(volume.user_bytes),
        volume.nodes.join(" "),
    ]
}

fn bad_shard_row(shard: &BadShard) -> Vec<String> {
    vec![
        shard.fault.clone(),
        format!("{} [{}]", hex::encode(&shard.item_id), shard.chunk_index),
        format!("{}/{}", shard.volume_id, shard.slot),
        shard.node.clone(),
        hex::encode(shard.disk_id.get(..4).unwrap_or_default()),
        shown::time(shard.first_seen_unix_ms),
    ]
}
