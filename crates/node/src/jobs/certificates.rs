//! Shows renewed certificates without a restart.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;

use crate::node::Node;

const PACE: Duration = Duration::from_secs(60);

pub(super) async fn run(node: Arc<Node>) {
    join_all(node.certificates.iter().map(|files| Arc::clone(files).watch(PACE))).await;
}
