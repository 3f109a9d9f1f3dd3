//! Structured logs to stderr. Audit is not logging: custody records come from `apply`, never from here.
//!
//! `STRONGROOM_LOG` filters as `tracing` does (default `info` without openraft's own), `STRONGROOM_LOG_FORMAT` is `text` or `json`. ERROR means
//! that a human must look.

use tracing_subscriber::{EnvFilter, fmt};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

impl LogFormat {
    /// As `STRONGROOM_LOG_FORMAT` says; text where it says nothing.
    #[must_use]
    pub fn from_env() -> Self {
        match std::env::var("STRONGROOM_LOG_FORMAT").as_deref() {
            Ok("json") => Self::Json,
            Ok(_) | Err(_) => Self::Text,
        }
    }
}

/// openraft calls each message to a node that is down an error; pings tell of such nodes once, and what is fatal to
/// Raft comes through the metastore.
const DEFAULT_FILTER: &str = "info,openraft=off";

/// Starts logging, once in a process; a second call changes nothing.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_env("STRONGROOM_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Whoever set a subscriber before keeps it.
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}
