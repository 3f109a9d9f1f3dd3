//! More than a cluster can take: connections that say nothing or nonsense, clients that stop or stand still in the middle
//! of an upload or a read, messages of any size, disks that are full or slow. Memory stays bounded, other clients go on,
//! nothing is acknowledged that is not kept, and afterwards the cluster is as before.

mod calls;
mod disks;
mod streams;

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use strongroom_testkit::{Cluster, Shape, Shim, bytes};

const BINARY: &str = env!("CARGO_BIN_EXE_strongroom");
const MIB: usize = 1 << 20;
/// What a node may have used at its worst, on a machine of any size.
const NODE_MEMORY_KIB_MAX: u64 = 512 << 10;
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_PERIOD: Duration = Duration::from_millis(50);

fn up() -> (Cluster, Shim) {
    let folder = tempfile::tempdir().expect("a folder");
    let shim = Shim::new(&folder.path().join("shim"), &folder.path().join("cluster/nodes"));
    let cluster = Cluster::up_in(folder, BINARY, Shape::default(), shim.environment(Some("node run")));
    (cluster, shim)
}

fn start_ingest(cluster: &Cluster, name: &str, content: &[u8]) -> (PathBuf, Child) {
    let file = cluster.path(name);
    fs::write(&file, content).expect("writes");
    let words = ["ingest", file.to_str().expect("UTF-8"), "--device", "D1", "--unit", "U1", "--output", "json"];
    let times = ["--recorded-start", "2026-03-01T09:30:00+08:00", "--recorded-end", "2026-03-01T09:31:00+08:00"];
    let mut command = cluster.command(&[&words[..], &times].concat());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a client starts");
    (file, child)
}

/// The item of a client that must come to its end by itself.
fn finish(mut client: Child) -> Value {
    let start = Instant::now();
    while client.try_wait().expect("asks").is_none() {
        if start.elapsed() > PATIENCE {
            client.kill().expect("kills");
            panic!("a client is stalled");
        }
        thread::sleep(LOOK_PERIOD);
    }
    let output = client.wait_with_output().expect("its output");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Value>(&output.stdout).expect("JSON")[0].clone()
}

fn comes_back(cluster: &Cluster, item: &Value, file: &Path, to: &str) {
    let copy = cluster.copy_out(item["item"].as_str().expect("an item"), to);
    assert!(fs::read(copy).expect("reads") == fs::read(file).expect("reads"), "{}", file.display());
}

fn signal(name: &str, pid: &str) {
    let done = Command::new("kill").args(["-s", name, pid]).status().expect("kill runs");
    assert!(done.success());
}

/// Every node is the process that it was, and has never used more memory than it may.
fn memory_is_bounded(cluster: &Cluster, pids: &[String]) {
    assert_eq!(pids_of(cluster), pids, "a node was started again");
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the node runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("its peak");
        let kib: u64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
        assert!(kib < NODE_MEMORY_KIB_MAX, "a node used {kib} KiB");
    }
}

fn pids_of(cluster: &Cluster) -> Vec<String> {
    let pid = |name: String| fs::read_to_string(cluster.file(&format!("nodes/{name}/pid"))).expect("a pid file");
    cluster.names().into_iter().map(|name| pid(name).trim().to_owned()).collect()
}

/// The client port of each node.
fn addresses(cluster: &Cluster) -> Vec<String> {
    let status = cluster.json(&["dev", "status", "--dir", &cluster.dir()]);
    let address = |node: &Value| node["client"].as_str().expect("an address").to_owned();
    status["nodes"].as_array().expect("nodes").iter().map(address).collect()
}

#[test]
fn connections_and_clients_that_go_wrong_take_nothing_from_the_others() {
    let (cluster, _shim) = up();
    let pids = pids_of(&cluster);
    let addresses = addresses(&cluster);

    // Connections that say nothing, a word, or a megabyte of nonsense, and stay as long as they are let.
    let nonsense = bytes(MIB, 5);
    let mut connections = Vec::new();
    for number in 0..600 {
        let Ok(mut stream) = TcpStream::connect(&addresses[number % addresses.len()]) else { continue };
        stream.set_write_timeout(Some(LOOK_PERIOD)).expect("a deadline");
        // The node may have closed it by now: that is its right.
        let _ = match number % 3 {
            0 => Ok(()),
            1 => stream.write_all(b"\x16\x03\x01"),
            _ => stream.write_all(&nonsense),
        };
        connections.push(stream);
    }
    assert!(connections.len() > 300, "hardly anything was connected");

    // Clients that end, and clients that stand still, in the middle of what they send.
    let long = bytes(48 * MIB, 6);
    let mut stalled = Vec::new();
    for number in 0..12 {
        let (_, client) = start_ingest(&cluster, &format!("stopped-{number}"), &[&long[..], &[number]].concat());
        stalled.push(client);
    }
    thread::sleep(Duration::from_millis(300));
    for (number, client) in stalled.iter_mut().enumerate() {
        if number % 2 == 0 {
            client.kill().expect("kills");
        } else if client.try_wait().expect("asks").is_none() {
            signal("STOP", &client.id().to_string());
        }
    }
    for number in 0..3 {
        let (file, client) = start_ingest(&cluster, &format!("other-{number}"), &bytes(9 * MIB, 20 + number));
        comes_back(&cluster, &finish(client), &file, &format!("other-copy-{number}"));
    }
    for client in &mut stalled {
        if client.try_wait().expect("asks").is_none() {
            signal("CONT", &client.id().to_string());
        }
    }
    let (ended, going_on): (Vec<_>, Vec<_>) = stalled.into_iter().enumerate().partition(|(number, _)| number % 2 == 0);
    going_on.into_iter().for_each(|(_, client)| drop(finish(client)));
    ended.into_iter().for_each(|(_, mut client)| drop(client.wait()));
    drop(connections);

    // What a client that ended had begun, another one finishes.
    let (file, client) = start_ingest(&cluster, "stopped-0", &[&long[..], &[0]].concat());
    comes_back(&cluster, &finish(client), &file, "finished-copy");
    memory_is_bounded(&cluster, &pids);
    cluster.bring_up();
}
