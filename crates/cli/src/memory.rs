//! The process's memory: mimalloc, told to keep what is freed for a while.
//!
//! A node that works frees and takes buffers of megabytes all the time. By default mimalloc gives them back to the
//! kernel within milliseconds, and each new chunk then costs a page fault and the clearing of every page.
#![allow(unsafe_code)] // one call of the allocator that is linked in

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` in `mimalloc.h`.
const PURGE_DELAY: c_int = 15;
/// Memory that nobody took for this long goes back to the kernel.
const KEPT_MS: c_long = 5_000;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
}

/// Keeps freed memory for [`KEPT_MS`].
pub(crate) fn keep_freed() {
    // SAFETY: sets one integer of the allocator under its own synchronisation; an option that it does not know is
    // ignored by it.
    unsafe { mi_option_set(PURGE_DELAY, KEPT_MS) };
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn mi_option_get(option: c_int) -> c_long;
    }

    #[test]
    fn the_delay_is_the_option_that_the_environment_calls_purge_delay() {
        const NAME: &str = "MIMALLOC_PURGE_DELAY";
        if std::env::var_os(NAME).is_none() {
            let own = std::env::current_exe().expect("this program");
            let test = "memory::tests::the_delay_is_the_option_that_the_environment_calls_purge_delay";
            let again = std::process::Command::new(own).args(["--exact", test]).env(NAME, "4321").status();
            assert!(again.expect("runs").success());
            return;
        }
        // SAFETY: reads one integer of the allocator.
        let read = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(read(), 4321, "option {PURGE_DELAY} is another one in this version");
        keep_freed();
        assert_eq!(read(), KEPT_MS);
    }
}
