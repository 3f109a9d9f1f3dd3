//! `strongroom node`: the storage node itself. Everything that it does is in the `node` crate.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use strongroom_node::Config;
use strongroom_node::check::Checked;
use strongroom_node::logging::{self, LogFormat};

use crate::failure::Failure;
use crate::session::Globals;
use crate::signals;

/// Threads that a node has at least: one that waits for a disk must not stop the others.
const THREADS_LEAST: usize = 2;

/// What can be done with a node.
#[derive(Debug, Subcommand)]
pub(crate) enum Node {
    /// Runs a node until it is told to end (SIGTERM) or cannot be trusted any more
    Run {
        /// Its configuration
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Log one JSON object a line
        #[arg(long)]
        log_json: bool,
    },
    /// Checks a configuration, and the files that it names
    CheckConfig {
        /// The configuration
        file: PathBuf,
    },
}

impl Node {
    /// Does it.
    pub(crate) fn run(self, globals: &Globals) -> Result<(), Failure> {
        match self {
            Self::Run { config, log_json } => run(&config, if log_json { LogFormat::Json } else { LogFormat::Text }),
            Self::CheckConfig { file } => check(globals, &file),
        }
    }
}

fn run(file: &Path, log: LogFormat) -> Result<(), Failure> {
    let config = Config::load(file).map_err(|error| Failure::caused_by("could not start", &error))?;
    logging::start(log);
    let threads = std::thread::available_parallelism().map_or(THREADS_LEAST, usize::from);
    let forced: Option<usize> = std::env::var("X_WORKERS").ok().and_then(|text| text.parse().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(forced.unwrap_or_else(|| threads.max(THREADS_LEAST)))
        .enable_all()
        .build()
        .map_err(|error| Failure::caused_by("could not start", &error))?;
    let ended = runtime.block_on(strongroom_node::run(config, signals::told_to_end()));
    ended.map_err(|error| Failure::failed(format!("the node ended: {error:#}")))
}

fn check(globals: &Globals, file: &Path) -> Result<(), Failure> {
    let Checked { problems, warnings } =
        strongroom_node::check(file).map_err(|error| Failure::failed(error.to_string()))?;
    let json = json!({
        "file": file.display().to_string(),
        "good": problems.is_empty(),
        "problems": problems,
        "warnings": warnings,
    });
    let output = globals.output();
    output.show(&json, |page| {
        for problem in &problems {
            page.line(format!("✗ {problem}"));
        }
        for warning in &warnings {
            page.line(format!("! {warning}"));
        }
        if problems.is_empty() {
            page.line(format!("✓ {}: {}", file.display(), output.pick("a node can run with it", "节点可据此运行")));
        }
    })?;
    match problems.len() {
        0 => Ok(()),
        count => Err(Failure::failed(format!("{}: {count} problems", file.display()))),
    }
}
