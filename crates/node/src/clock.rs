//! This machine's clocks and randomness: the one place that asks the system for either.

use std::{sync::Arc, time::SystemTime};

use strongroom_engine::System;
use strongroom_types::{Clock, UnixMillis};

/// Where the kernel says which boot this is.
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";

/// The real clocks.
#[derive(Debug)]
pub struct SystemClock {
    boot_id: [u8; 16],
}

impl SystemClock {
    /// Reads the boot id, which stays the same while this process lives.
    ///
    /// # Errors
    /// What the system said, where it has none.
    pub fn new() -> std::io::Result<Self> {
        let text = std::fs::read_to_string(BOOT_ID_FILE)?;
        let mut boot_id = [0; 16];
        hex::decode_to_slice(text.trim().replace('-', ""), &mut boot_id).map_err(|error| {
            std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{BOOT_ID_FILE} holds no boot id: {error}"))
        })?;
        Ok(Self { boot_id })
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the real side of the injected clock
    fn wall(&self) -> UnixMillis {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        UnixMillis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }

    fn boottime_ms(&self) -> i64 {
        boottime::now_ms()
    }

    fn boot_id(&self) -> [u8; 16] {
        self.boot_id
    }
}

/// This machine's clocks, and randomness fit for keys.
///
/// # Errors
/// Where the system has no boot id.
pub fn system() -> std::io::Result<System> {
    Ok(System { clock: Arc::new(SystemClock::new()?), random: Arc::new(fill) })
}

fn fill(bytes: &mut [u8]) {
    aws_lc_rs::rand::fill(bytes).expect("the system gives random bytes once it has booted");
}

#[allow(unsafe_code)] // std has no CLOCK_BOOTTIME
mod boottime {
    //! One libc call.

    pub(super) fn now_ms() -> i64 {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a timespec of ours that outlives the call; CLOCK_BOOTTIME is known to every Linux
        // since 2.6.39, and the call keeps nothing.
        let answer = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
        assert_eq!(answer, 0, "this kernel has CLOCK_BOOTTIME");
        now.tv_sec * 1000 + now.tv_nsec / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_runs_and_the_boot_has_an_id() {
        let clock = SystemClock::new().expect("a clock");
        let before = clock.boottime_ms();
        assert!(before > 0);
        assert!(clock.boottime_ms() >= before);
        assert_ne!(clock.boot_id(), [0; 16]);
        assert!(clock.wall() > UnixMillis(1_700_000_000_000), "{}", clock.wall());
    }

    #[test]
    fn two_draws_differ() {
        let system = system().expect("a system");
        assert_ne!(system.draw::<32>(), system.draw::<32>());
    }
}
