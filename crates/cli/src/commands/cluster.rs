//! `strongroom cluster`: the machines, for operators. Never footage.

use clap::Subcommand;
use serde_json::{Value, json};
use strongroom_proto::cluster::{
    BadShard, DiskStatus, NodeStatus, Outage, ShowClockResponse, ShowStatusResponse, VolumeStatus,
};
use strongroom_types::limits;

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

const DAY_MS: i64 = 24 * 3600 * 1000;

impl Cluster {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let client = globals.client(Usual::Ops)?;
        match self {
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
