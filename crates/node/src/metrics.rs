//! What operators watch, as Prometheus text on a port of its own. Names and labels hold no content of evidence.

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use axum::{Router, routing};
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use strongroom_metastore::{MetastoreMetrics, RaftRole};
use strongroom_shardstore::{DiskStat, DiskState};
use strongroom_topology::FaultKind;
use strongroom_types::{NodeId, Reason};
use tokio::{net::TcpListener, sync::watch};

/// Seconds, for durations of shard operations.
const SECONDS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// The recorder of this process, installed by the first node in it.
pub(crate) fn install() -> Option<PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let builder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
                .ok()?;
            builder.install_recorder().ok()
        })
        .clone()
}

/// Folds samples together: without it they pile up where nobody scrapes.
pub(crate) fn upkeep() {
    if let Some(handle) = install() {
        handle.run_upkeep();
    }
}

/// Answers `/metrics` until the node stops.
pub(crate) async fn serve(listener: TcpListener, handle: PrometheusHandle, mut stop: watch::Receiver<bool>) {
    let page = handle.clone();
    let router = Router::new().route("/metrics", routing::get(move || std::future::ready(page.render())));
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "metrics are no longer served");
    }
}

pub(crate) fn refused(reason: Reason) {
    counter!("strongroom_refusals_total", "reason" => reason.name()).increment(1);
}

pub(crate) fn bytes_in(bytes: usize) {
    counter!("strongroom_original_bytes_in_total").increment(bytes as u64);
}

pub(crate) fn bytes_out(bytes: usize) {
    counter!("strongroom_original_bytes_out_total").increment(bytes as u64);
}

pub(crate) fn permit_refused() {
    counter!("strongroom_erase_permits_refused_total").increment(1);
}

pub(crate) fn sealed() {
    counter!("strongroom_seals_total").increment(1);
}

pub(crate) fn shard_put(took: Duration, bytes: usize, stored: bool) {
    histogram!("strongroom_shard_put_seconds").record(took.as_secs_f64());
    if stored {
        counter!("strongroom_shards_put_total").increment(1);
        counter!("strongroom_shard_bytes_put_total").increment(bytes as u64);
    } else {
        counter!("strongroom_shard_put_failures_total").increment(1);
    }
}

pub(crate) fn shard_get(took: Duration, found: bool) {
    histogram!("strongroom_shard_get_seconds").record(took.as_secs_f64());
    if !found {
        counter!("strongroom_shard_get_failures_total").increment(1);
    }
}

/// Bad shards that reading found on this node, by kind.
pub(crate) fn shard_faults(counts: &BTreeMap<FaultKind, u64>) {
    for (kind, count) in counts {
        counter!("strongroom_shard_faults_total", "kind" => kind.name()).absolute(*count);
    }
}

/// Shards of the cluster that wait for repair.
#[allow(clippy::cast_precision_loss)] // a gauge is a float; this stays far below 2^53
pub(crate) fn repair_queue(queued: u64) {
    gauge!("strongroom_repair_queue_shards").set(queued as f64);
}

/// Counts a stream while it lasts.
pub(crate) struct OpenStream(&'static str);

impl OpenStream {
    pub(crate) fn begin(kind: &'static str) -> Self {
        gauge!("strongroom_open_streams", "kind" => kind).increment(1.0);
        Self(kind)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        gauge!("strongroom_open_streams", "kind" => self.0).decrement(1.0);
    }
}

#[allow(clippy::cast_precision_loss)] // a gauge is a float; these stay far below 2^53
pub(crate) fn raft(node: NodeId, raft: &MetastoreMetrics) {
    let node = node.to_string();
    let set = |name: &'static str, value: u64| gauge!(name, "node" => node.clone()).set(value as f64);
    set("strongroom_raft_applied_index", raft.last_applied);
    set("strongroom_raft_log_index", raft.last_log_index);
    set("strongroom_raft_term", raft.term);
    set("strongroom_raft_is_leader", u64::from(raft.role == RaftRole::Leader));
    set("strongroom_raft_leader", raft.leader.map_or(0, |leader| leader.0));
}

#[allow(clippy::cast_precision_loss)] // as above
pub(crate) fn disk(stat: &DiskStat) {
    let disk = stat.disk.to_string();
    let set = |name: &'static str, value: u64| gauge!(name, "disk" => disk.clone()).set(value as f64);
    set("strongroom_disk_used_bytes", stat.used_bytes);
    set("strongroom_disk_free_bytes", stat.free_bytes);
    set("strongroom_disk_total_bytes", stat.total_bytes);
    set("strongroom_disk_shards", stat.shards);
    set("strongroom_disk_in_service", u64::from(stat.state == DiskState::InService));
}
