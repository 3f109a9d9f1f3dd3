//! A cluster of real node processes on this machine: its folder, its creation, its processes and their health.
//!
//! What it starts it can stop again from another process: pids are in the folder, and no process is ever signalled
//! that does not carry this folder's configuration file on its command line. It never looks for processes by name.

pub(crate) mod create;
pub(crate) mod folder;
pub(crate) mod footage;
pub(crate) mod health;
pub(crate) mod node;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod tamper;

mod sys;
