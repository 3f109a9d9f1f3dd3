//! The processes of a local cluster: started detached, found again by their pid file, signalled only when they are ours.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub(crate) use super::sys::Signal;

use super::folder::NodeFolder;
use super::sys;
use crate::failure::Failure;

const LOOK_PERIOD: Duration = Duration::from_millis(20);

/// The node's process, if it runs.
pub(crate) fn running(node: &NodeFolder<'_>) -> Option<u32> {
    let pid = fs::read_to_string(node.pid_file()).ok()?.trim().parse().ok()?;
    is_ours(pid, &node.config()).then_some(pid)
}

/// Starts the node, unless it runs. It outlives this process.
pub(crate) fn start(node: &NodeFolder<'_>) -> Result<u32, Failure> {
    if let Some(pid) = running(node) {
        return Ok(pid);
    }
    let program = program()?;
    let log_path = node.log();
    let log = OpenOptions::new().create(true).append(true).open(&log_path).map_err(Failure::file("open", &log_path))?;
    let same_log = log.try_clone().map_err(Failure::file("open", &log_path))?;
    let mut command = Command::new(&program);
    command.args(["node", "run", "--config"]).arg(node.config()).current_dir(&node.path);
    // The log is a file, whatever this terminal can show.
    command.env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(log).stderr(same_log);
    sys::in_own_session(&mut command);
    let child = command.spawn().map_err(Failure::file("start", &program))?;
    let pid_path = node.pid_file();
    fs::write(&pid_path, format!("{}\n", child.id())).map_err(Failure::file("write", &pid_path))?;
    Ok(child.id())
}

/// Signals the node and waits until its process is gone. Answers whether it ran.
pub(crate) async fn end(node: &NodeFolder<'_>, signal: Signal, patience: Duration) -> Result<bool, Failure> {
    let Some(pid) = running(node) else { return Ok(false) };
    self::signal(node, pid, signal)?;
    let deadline = Instant::now() + patience;
    while !is_gone(pid) {
        if Instant::now() > deadline {
            let name = &node.node.name;
            return Err(Failure::failed(format!("{name} (process {pid}) did not end within {patience:?}"))
                .hint(format!("`strongroom dev kill {name}` ends it at once")));
        }
        sleep(LOOK_PERIOD).await;
    }
    Ok(true)
}

/// Ends every node at once, without waiting long: for cleaning up on the way out.
pub(crate) fn kill_now<'a>(nodes: impl Iterator<Item = NodeFolder<'a>>) {
    let pids: Vec<u32> = nodes
        .filter_map(|node| {
            let pid = running(&node)?;
            signal(&node, pid, Signal::Kill).ok().map(|()| pid)
        })
        .collect();
    for _ in 0..250 {
        if pids.iter().all(|pid| is_gone(*pid)) {
            break;
        }
        std::thread::sleep(LOOK_PERIOD);
    }
}

/// Signals the node's process.
pub(crate) fn signal(node: &NodeFolder<'_>, pid: u32, which: Signal) -> Result<(), Failure> {
    sys::send(pid, which)
        .map_err(|error| Failure::caused_by(format!("could not signal {} (process {pid})", node.node.name), &error))
}

/// This program. One that was rebuilt meanwhile is started as it is now.
fn program() -> Result<PathBuf, Failure> {
    let path = std::env::current_exe().map_err(|error| Failure::caused_by("could not find this program", &error))?;
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map_or_else(|| path.clone(), PathBuf::from))
}

/// Whether the process runs a node with this configuration: a pid alone may be somebody else's by now.
fn is_ours(pid: u32, config: &Path) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let expected: [&[u8]; 4] = [b"node", b"run", b"--config", config.as_os_str().as_encoded_bytes()];
    arguments.get(1..5).is_some_and(|found| found == expected)
}

/// Whether the process has ended and given back its files and ports. One that waits for its parent to ask has.
fn is_gone(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    let has_ended = matches!(state_of(&stat), None | Some('Z' | 'X'));
    // Files stay open until the last thread has ended.
    has_ended && fs::read_dir(format!("/proc/{pid}/task")).map_or(true, |tasks| tasks.count() <= 1)
}

/// The state in `/proc/PID/stat`: after the name, which may hold anything.
fn state_of(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_stands_behind_the_name() {
        assert_eq!(state_of("12 (a) b) S 1 2"), Some('S'));
        assert_eq!(state_of("12 (strongroom) Z 1 2"), Some('Z'));
        assert_eq!(state_of(""), None);
    }

    #[test]
    fn a_process_with_another_command_line_is_not_ours() {
        assert!(!is_ours(std::process::id(), Path::new("/nowhere/node.toml")));
        assert!(!is_gone(std::process::id()));
        assert!(is_gone(u32::MAX));
    }
}
