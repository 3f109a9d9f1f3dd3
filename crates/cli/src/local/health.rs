//! Waiting until nodes are in service: by condition, with a deadline, and with the node's own words where it ended.

use std::time::Duration;

use strongroom_client::{Client, ClientSettings, Context};
use strongroom_proto::cluster::ShowStatusResponse;
use tokio::time::{Instant, sleep};

use super::folder::DevFolder;
use super::process;
use crate::failure::Failure;

const LOOK_PERIOD: Duration = Duration::from_millis(100);
/// One look may take this long.
const LOOK_DEADLINE: Duration = Duration::from_secs(2);

/// Waits until every node that runs answers, knows a leader and all nodes, and sees the named ones healthy.
pub(crate) async fn wait(cluster: &DevFolder, names: &[String], patience: Duration) -> Result<(), Failure> {
    let context = cluster.context()?;
    let deadline = Instant::now() + patience;
    for observer in cluster.nodes() {
        let client = look_at(&context, &observer.node.client)?;
        while process::running(&observer).is_some() {
            let why = match client.show_status().await {
                Ok(status) => match fault(&status, cluster.file.nodes.len(), names) {
                    None => break,
                    Some(why) => why,
                },
                Err(error) => crate::failure::chain(&error),
            };
            ensure_running(cluster, names)?;
            if Instant::now() > deadline {
                let name = &observer.node.name;
                return Err(Failure::failed(format!("{name} saw no service after {patience:?}: {why}"))
                    .hint(format!("its log is {}", observer.log().display())));
            }
            sleep(LOOK_PERIOD).await;
        }
    }
    ensure_running(cluster, names)
}

fn ensure_running(cluster: &DevFolder, names: &[String]) -> Result<(), Failure> {
    for name in names {
        let node = cluster.node(name)?;
        if process::running(&node).is_none() {
            return Err(Failure::failed(format!("{name} ended; the end of its log:{}", node.log_tail()))
                .hint(format!("all of it is in {}", node.log().display())));
        }
    }
    Ok(())
}

/// The cluster as any node that runs sees it; none where none answers.
pub(crate) async fn status(cluster: &DevFolder) -> Result<Option<ShowStatusResponse>, Failure> {
    let context = cluster.context()?;
    for node in cluster.nodes().filter(|node| process::running(node).is_some()) {
        if let Ok(status) = look_at(&context, &node.node.client)?.show_status().await {
            return Ok(Some(status));
        }
    }
    Ok(None)
}

/// What is missing, as far as one node sees.
fn fault(status: &ShowStatusResponse, nodes: usize, healthy: &[String]) -> Option<String> {
    if status.leader.is_empty() {
        return Some("there is no leader".to_owned());
    }
    if status.nodes.len() < nodes {
        return Some(format!("{} of {nodes} nodes are registered", status.nodes.len()));
    }
    let bad = status.nodes.iter().find(|node| node.state != "healthy" && healthy.contains(&node.name));
    bad.map(|node| format!("{} is {}", node.name, node.state))
}

/// A client of one node alone, with little patience.
fn look_at(context: &Context, endpoint: &str) -> Result<Client, Failure> {
    let mut context = context.clone();
    context.endpoints = vec![endpoint.to_owned()];
    let settings =
        ClientSettings { call_deadline: LOOK_DEADLINE, patience: Duration::ZERO, ..ClientSettings::default() };
    Ok(Client::connect_with(&context, Some("ops"), settings)?)
}

#[cfg(test)]
mod tests {
    use strongroom_proto::cluster::NodeStatus;

    use super::*;

    #[test]
    fn a_cluster_is_in_service_when_the_wanted_nodes_are_healthy() {
        let node = |name: &str, state: &str| NodeStatus {
            name: name.to_owned(),
            state: state.to_owned(),
            ..NodeStatus::default()
        };
        let both = ["n1".to_owned(), "n2".to_owned()];
        let mut status = ShowStatusResponse { nodes: vec![node("n1", "healthy")], ..ShowStatusResponse::default() };
        assert_eq!(fault(&status, 2, &both).as_deref(), Some("there is no leader"));
        status.leader = "n1".to_owned();
        assert_eq!(fault(&status, 2, &both).as_deref(), Some("1 of 2 nodes are registered"));
        status.nodes.push(node("n2", "unreachable"));
        assert_eq!(fault(&status, 2, &both).as_deref(), Some("n2 is unreachable"));
        assert_eq!(fault(&status, 2, &both[..1]), None, "nobody asked for n2");
    }
}
