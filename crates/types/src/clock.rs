//! The one place that time is asked of. Rules never ask it: time comes to them with the command.

use crate::UnixMillis;

/// Reads this machine's clocks. The real side is `SystemClock` in the node; tests set their own.
pub trait Clock: Send + Sync {
    /// Wall-clock time, which people and NTP may set.
    fn wall(&self) -> UnixMillis;

    /// Milliseconds since boot, suspended time included (`CLOCK_BOOTTIME`): never set, lost at a reboot.
    fn boottime_ms(&self) -> i64;

    /// The kernel's random id of this boot (`/proc/sys/kernel/random/boot_id`).
    fn boot_id(&self) -> [u8; 16];
}
