//! The two libc calls that std does not have: a session of one's own, and a signal to a process by its id.
#![allow(unsafe_code)] // libc only

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// What is sent to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ends in order.
    Terminate,
    /// Ends at once, as power loss would.
    Kill,
}

/// The command's process leads a session of its own: neither Ctrl-C nor the end of this terminal reaches it.
pub(crate) fn in_own_session(command: &mut Command) {
    let begin_session = || {
        // SAFETY: setsid takes no arguments, touches no memory of ours and is async-signal-safe, which is what may be
        // called between fork and exec.
        if unsafe { libc::setsid() } == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: the closure makes one async-signal-safe call and allocates nothing.
    unsafe { command.pre_exec(begin_session) };
}

/// Sends a signal. That the process has ended meanwhile is no error.
pub(crate) fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let number = match signal {
        Signal::Terminate => libc::SIGTERM,
        Signal::Kill => libc::SIGKILL,
    };
    let pid = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 1);
    let pid = pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "this is no process of ours"))?;
    // SAFETY: kill takes two integers and touches no memory of ours; the pid is of one process, never of a group.
    if unsafe { libc::kill(pid, number) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(error) }
}
