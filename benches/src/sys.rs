//! CPU time that the kernel counted, exact to the microsecond: of this process, of this thread, of other processes.
#![allow(unsafe_code)] // one libc call

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// CPU time of all threads of this process so far.
pub(crate) fn process_cpu() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU time of the calling thread so far.
pub(crate) fn thread_cpu() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live, writable timespec, and both clocks exist on every Linux.
    let failed = unsafe { libc::clock_gettime(id, &raw mut time) };
    assert_eq!(failed, 0, "this system has no clock for CPU time");
    let seconds = u64::try_from(time.tv_sec).expect("CPU time is not negative");
    Duration::new(seconds, u32::try_from(time.tv_nsec).expect("below a second"))
}

/// CPU time of another process and of its ended threads, in ticks of 10 ms.
pub(crate) fn cpu_of(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    ticks_in(&stat).map(|ticks| Duration::from_millis(ticks * 10)).context("could not understand /proc/PID/stat")
}

/// User and system ticks. The name before them is in parentheses and may hold anything.
fn ticks_in(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// The most memory that a process ever had resident, in bytes.
pub(crate) fn resident_max_of(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    resident_max_in(&status).context("could not understand /proc/PID/status")
}

fn resident_max_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 9";
        assert_eq!(ticks_in(stat), Some(300));
        assert_eq!(ticks_in("7 (a) S 1"), None);
    }

    #[test]
    fn the_high_water_mark_is_in_bytes() {
        assert_eq!(resident_max_in("VmPeak:\t 9 kB\nVmHWM:\t  12 kB\n"), Some(12 * 1024));
        assert_eq!(resident_max_in("VmPeak:\t 9 kB\n"), None);
    }

    #[test]
    fn work_costs_cpu_time_on_every_clock() {
        let (process, thread) = (process_cpu(), thread_cpu());
        let mut sum = 0_u64;
        while thread_cpu() - thread < Duration::from_millis(30) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(process_cpu() - process >= Duration::from_millis(30));
        assert!(cpu_of(std::process::id()).expect("this process") >= Duration::from_millis(20));
        assert!(resident_max_of(std::process::id()).expect("this process") > 1 << 20);
    }
}
