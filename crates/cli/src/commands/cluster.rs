//! `strongroom cluster`: the machines, for operators. Never footage.

use clap::Subcommand;
use serde_json::{Value, json};
use strongroom_proto::cluster::{BadShard, DiskStatus, NodeStatus, ShowStatusResponse, VolumeStatus};
use strongroom_types::limits;

use crate::failure::Failure;
use crate::output::short_size;
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
        if let Self::AdvanceClock { days, reason } = &self {
            let record = client.advance_clock(i64::from(*days) * DAY_MS, reason).await?;
            return globals.output().show(&json!({ "days": days, "record": record.0 }), |page| {
                page.facts(&[("record", record.to_string())]);
            });
        }
        let status = client.show_status().await?;
        match self {
            Self::Status => globals.output().show(&status_json(&status), |page| {
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
            }),
            Self::Clock | Self::AdvanceClock { .. } => show_clock(globals, &status),
        }
    }
}

fn show_clock(globals: &Globals, status: &ShowStatusResponse) -> Result<(), Failure> {
    let behind_ms = status.wall_unix_ms.saturating_sub(status.clock_unix_ms);
    let unexplained_ms = behind_ms.saturating_sub(status.outages_ms);
    let trusted = unexplained_ms.saturating_abs() <= limits::CLOCK_APART_MS_MAX;
    let json = json!({
        "clock": shown::time(status.clock_unix_ms),
        "wall": shown::time(status.wall_unix_ms),
        "behind_ms": behind_ms,
        "outages_ms": status.outages_ms,
        "unexplained_ms": unexplained_ms,
        "trusted": trusted,
        "trial": status.trial,
        "trial_ms": status.trial_ms,
    });
    let output = globals.output();
    output.show(&json, |page| {
        page.facts(&[
            ("compliance clock", shown::time(status.clock_unix_ms)),
            ("wall clock", shown::time(status.wall_unix_ms)),
            ("clock behind wall", format!("{behind_ms} ms")),
            ("recorded outages", format!("{} ms", status.outages_ms)),
            ("unexplained", format!("{unexplained_ms} ms")),
            ("set ahead", if status.trial_ms == 0 { String::new() } else { format!("{} ms", status.trial_ms) }),
        ]);
        if !trusted {
            page.line(output.pick(
                "CLOCK_UNTRUSTED (C2): more than 24 hours are unexplained, so nothing is disposed of. Find out which clock is wrong; \
                 footage is taken, read and handed out as always.",
                "CLOCK_UNTRUSTED（C2）：超过24小时的差异无法解释，销毁已冻结。请查明哪个时钟有误；入库、查阅和提供照常进行。",
            ));
        }
        page.line(output.pick(
            "The clock never runs ahead of a majority of the voters; behind only keeps evidence longer.",
            "合规时钟不会快于多数投票节点；落后只会延长保存。",
        ));
    })
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
