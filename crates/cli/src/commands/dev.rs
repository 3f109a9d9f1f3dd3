//! `strongroom dev`: a cluster of real node processes on this machine, with its own authorities and identities.

use std::path::{Path, PathBuf};
use std::slice;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_custody::profile::Profile;
use strongroom_proto::cluster::ShowStatusResponse;
use strongroom_types::ErasureScheme;

use super::profile;
use crate::clock;
use crate::failure::Failure;
use crate::local::create::{self, Plan};
use crate::local::folder::{DevFolder, NodeFolder};
use crate::local::{health, node, process, process::Signal};
use crate::output::Output;
use crate::session::Globals;

/// A cluster must be in service after this long.
const UP_PATIENCE: Duration = Duration::from_secs(90);
/// A node that was told to end gets this long.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// A killed process is gone after this long, or the machine is in trouble.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// What can be done with a local cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum Dev {
    /// Makes a cluster, or starts what does not run of one that was made; returns when it is in service
    Up {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        shape: Shape,
    },
    /// Which processes run, and how the cluster sees them
    Status {
        #[command(flatten)]
        at: At,
    },
    /// Ends nodes in order
    Stop {
        #[command(flatten)]
        which: Which,
    },
    /// Starts nodes, and returns when they are in service
    Start {
        #[command(flatten)]
        which: Which,
    },
    /// Ends nodes at once, as power loss would
    Kill {
        #[command(flatten)]
        which: Which,
    },
    /// Makes and starts one more node, which joins the cluster; returns when it is in service
    AddNode {
        #[command(flatten)]
        at: At,
        /// District that it stands in; the one with the fewest nodes without
        #[arg(long)]
        district: Option<String>,
        /// Gives it a voter's keys as well, so that it can take a voter's place
        #[arg(long)]
        can_vote: bool,
    },
    /// Ends all nodes; their data stays
    Down {
        #[command(flatten)]
        at: At,
        /// Also delete the folder, with everything that was kept in it
        #[arg(long)]
        delete: bool,
    },
}

/// Where the cluster is.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// Folder of the cluster
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// Which nodes of it.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Nodes, such as n1
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
    /// Folder of the cluster
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// What a new cluster looks like.
#[derive(Debug, Args)]
pub(crate) struct Shape {
    /// How many nodes
    #[arg(long, default_value_t = 6, value_name = "COUNT")]
    nodes: u64,
    /// Over how many districts
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    districts: u64,
    /// Data and parity shards of each chunk; narrower ones of the same parity are used when nodes are missing
    #[arg(long, default_value = "4+2", value_name = "K+M")]
    scheme: ErasureScheme,
    /// Profile of the first unit, and with more of them of a second unit and so on; a built-in one without
    #[arg(long = "profile", value_name = "FILE")]
    profiles: Vec<PathBuf>,
}

impl Dev {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let output = globals.output();
        match self {
            Self::Up { at, shape } => {
                let cluster = up(&at.dir, &shape, output).await?;
                show_places(&cluster, output)
            }
            Self::Status { at } => show_status(&DevFolder::open(&at.dir)?, output).await,
            Self::Stop { which } => end(&which, Signal::Terminate, STOP_PATIENCE, output).await,
            Self::Kill { which } => end(&which, Signal::Kill, KILL_PATIENCE, output).await,
            Self::Start { which } => start_again(&which, output).await,
            Self::AddNode { at, district, can_vote } => {
                add_node(&at.dir, node::NewNode { district, can_vote }, output).await
            }
            Self::Down { at, delete } => down(&at.dir, delete, output).await,
        }
    }
}

async fn up(dir: &Path, shape: &Shape, output: Output) -> Result<DevFolder, Failure> {
    let cluster = if DevFolder::exists(dir) {
        DevFolder::open(dir)?
    } else {
        let plan = Plan::new(shape.nodes, shape.districts, shape.scheme, profiles(&shape.profiles)?)?;
        create::create(dir, &plan, &clock::system()?)?
    };
    bring_up(&cluster, output).await?;
    Ok(cluster)
}

fn profiles(files: &[PathBuf]) -> Result<Vec<(Profile, String)>, Failure> {
    if files.is_empty() {
        return Ok(create::default_profiles());
    }
    files.iter().map(|file| profile::checked(file).map(|(text, profile)| (profile, text))).collect()
}

/// Starts what does not run and waits until all is in service. What this started and could not bring up, it ends.
pub(super) async fn bring_up(cluster: &DevFolder, output: Output) -> Result<(), Failure> {
    let down: Vec<_> = cluster.nodes().filter(|node| process::running(node).is_none()).collect();
    let names: Vec<_> = cluster.nodes().map(|node| node.node.name.clone()).collect();
    output.talk(format!(
        "{}: {} {}",
        output.pick("starting", "正在启动"),
        down.len(),
        output.pick("node processes", "个节点进程")
    ));
    let started = down.iter().try_for_each(|node| process::start(node).map(|_| ()));
    let outcome = match started {
        Ok(()) => health::wait(cluster, &names, UP_PATIENCE).await,
        Err(failure) => Err(failure),
    };
    if outcome.is_err() {
        process::kill_now(down.into_iter());
    }
    outcome
}

async fn start_again(which: &Which, output: Output) -> Result<(), Failure> {
    let cluster = DevFolder::open(&which.dir)?;
    for name in &which.nodes {
        process::start(&cluster.node(name)?)?;
    }
    if quorum_runs(&cluster) {
        health::wait(&cluster, &which.nodes, UP_PATIENCE).await?;
        output.talk(format!("{}: {}", output.pick("in service", "已就绪"), which.nodes.join(" ")));
    } else {
        output.talk(output.pick(
            "started; there is no majority of voters yet, so the cluster is not in service",
            "已启动；投票节点尚不足半数，集群未就绪",
        ));
    }
    Ok(())
}

async fn add_node(dir: &Path, new: node::NewNode, output: Output) -> Result<(), Failure> {
    let mut cluster = DevFolder::open(dir)?;
    let name = node::add(&mut cluster, new, &clock::system()?)?;
    process::start(&cluster.node(&name)?)?;
    health::wait(&cluster, slice::from_ref(&name), UP_PATIENCE).await?;
    let node = cluster.node(&name)?;
    let status = health::status(&cluster).await?;
    output.show(&node_json(&node, status.as_ref()), |page| {
        page.table(NODE_HEADS, &[node_row(&node, status.as_ref())]);
    })
}

fn quorum_runs(cluster: &DevFolder) -> bool {
    let voters: Vec<NodeFolder<'_>> = cluster.nodes().filter(|node| node.node.voter).collect();
    let running = voters.iter().filter(|node| process::running(node).is_some()).count();
    running > voters.len() / 2
}

async fn end(which: &Which, signal: Signal, patience: Duration, output: Output) -> Result<(), Failure> {
    let cluster = DevFolder::open(&which.dir)?;
    for name in &which.nodes {
        let ran = process::end(&cluster.node(name)?, signal, patience).await?;
        let says = if ran { output.pick("ended", "已停止") } else { output.pick("did not run", "未在运行") };
        output.talk(format!("{name}: {says}"));
    }
    Ok(())
}

async fn down(dir: &Path, delete: bool, output: Output) -> Result<(), Failure> {
    let cluster = DevFolder::open(dir)?;
    for node in cluster.nodes() {
        // One after the other would hold elections among those that are about to end.
        if let Some(pid) = process::running(&node) {
            process::signal(&node, pid, Signal::Terminate)?;
        }
    }
    for node in cluster.nodes() {
        if process::end(&node, Signal::Terminate, STOP_PATIENCE).await.is_err() {
            process::end(&node, Signal::Kill, KILL_PATIENCE).await?;
        }
    }
    if delete {
        std::fs::remove_dir_all(cluster.root()).map_err(Failure::file("delete", cluster.root()))?;
    }
    output.talk(if delete {
        output.pick("down, and deleted", "已停止并删除")
    } else {
        output.pick("down", "已停止")
    });
    Ok(())
}

fn show_places(cluster: &DevFolder, output: Output) -> Result<(), Failure> {
    let context = cluster.context_file().display().to_string();
    let json = json!({
        "dir": cluster.root().display().to_string(),
        "cluster": cluster.file.cluster,
        "context": context,
        "policy": cluster.policy_file().display().to_string(),
        "unit": create::UNIT,
        "device": create::DEVICE,
        "nodes": cluster.nodes().map(|node| node_json(&node, None)).collect::<Vec<_>>(),
    });
    output.show(&json, |page| {
        page.facts(&[
            ("cluster", cluster.file.cluster.clone()),
            ("data", cluster.root().display().to_string()),
            ("policy", cluster.policy_file().display().to_string()),
            ("unit", create::UNIT.to_owned()),
            ("device", create::DEVICE.to_owned()),
        ]);
        page.line("");
        let rows: Vec<_> = cluster.nodes().map(|node| node_row(&node, None)).collect();
        page.table(NODE_HEADS, &rows);
        page.line("");
        page.line(format!("export STRONGROOM_CONTEXT={context}"));
    })
}

async fn show_status(cluster: &DevFolder, output: Output) -> Result<(), Failure> {
    let status = health::status(cluster).await?;
    let json = json!({
        "dir": cluster.root().display().to_string(),
        "cluster": cluster.file.cluster,
        "context": cluster.context_file().display().to_string(),
        "leader": status.as_ref().map(|status| status.leader.as_str()).filter(|leader| !leader.is_empty()),
        "nodes": cluster.nodes().map(|node| node_json(&node, status.as_ref())).collect::<Vec<_>>(),
    });
    output.show(&json, |page| {
        let rows: Vec<_> = cluster.nodes().map(|node| node_row(&node, status.as_ref())).collect();
        page.table(NODE_HEADS, &rows);
        if status.is_none() {
            page.line(output.pick("no node answers", "没有节点应答"));
        }
    })
}

const NODE_HEADS: &[&str] = &["node", "district", "process", "pid", "state", "raft role", "client port"];

fn seen<'a>(node: &NodeFolder<'_>, status: Option<&'a ShowStatusResponse>) -> Option<(&'a str, &'a str)> {
    let seen = status?.nodes.iter().find(|seen| seen.name == node.node.name)?;
    Some((&seen.state, &seen.raft_role))
}

fn node_json(node: &NodeFolder<'_>, status: Option<&ShowStatusResponse>) -> Value {
    let pid = process::running(node);
    let seen = seen(node, status);
    json!({
        "name": node.node.name,
        "district": node.node.district,
        "voter": node.node.voter,
        "running": pid.is_some(),
        "pid": pid,
        "state": seen.map(|(state, _)| state),
        "raft_role": seen.map(|(_, role)| role),
        "client": node.node.client,
        "peer": node.node.peer,
        "metrics": node.node.metrics,
        "log": node.log().display().to_string(),
    })
}

fn node_row(node: &NodeFolder<'_>, status: Option<&ShowStatusResponse>) -> Vec<String> {
    let pid = process::running(node);
    let (state, role) = seen(node, status).unwrap_or_default();
    vec![
        node.node.name.clone(),
        node.node.district.clone(),
        if pid.is_some() { "running".to_owned() } else { "down".to_owned() },
        pid.map(|pid| pid.to_string()).unwrap_or_default(),
        state.to_owned(),
        role.to_owned(),
        node.node.client.clone(),
    ]
}
