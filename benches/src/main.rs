//! What the path costs: each stage alone, then all of it over a cluster of real processes, in one run on one machine.
//!
//! `make bench`, or `cargo run --release -p strongroom-benches -- [--quick] [--only stages,e2e,seals,custody] [--binary FILE]`. The
//! table goes to stdout, talk to stderr; `bench/summary.json` and `bench/cpu.svg` go to the target folder.
//! `docs/performance.md` says how the figures are defined.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its terminal")]

mod client;
mod cluster;
mod custody;
mod report;
mod stages;
mod sums;
mod sys;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use strongroom_types::ErasureScheme;
use tokio::runtime::{Builder, Runtime};

/// As in the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the stages and the whole path of Strongroom.
#[derive(Debug, Parser)]
struct Arguments {
    /// Less of everything: to see that it runs, not to compare
    #[arg(long)]
    quick: bool,
    /// These parts only, in one run: `stages,e2e` has the ratios and leaves the large catalogue out
    #[arg(long, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    /// The binary under test, in place of the one beside this one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Stages,
    E2e,
    /// Small originals alone, over a cluster of their own; nothing is written to the target folder.
    Seals,
    /// Holds and explanations over a large catalogue, on a cluster of its own.
    Custody,
}

/// What this program does as a process of its own, so that a client's CPU time is apart from the bench's.
#[derive(Debug, Subcommand)]
enum Role {
    #[command(hide = true)]
    Client(client::Job),
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Full,
    Quick,
}

impl Scale {
    fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.role {
        Some(Role::Client(job)) => client::run(job),
        None => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let scale = if arguments.quick { Scale::Quick } else { Scale::Full };
    let own = std::env::current_exe().context("could not find this program")?;
    let beside = own.parent().context("a program lies in a folder")?;
    let binary = arguments.binary.clone().unwrap_or_else(|| beside.join("strongroom"));
    let mut measured = Measured::default();
    let is_asked = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    if arguments.only.contains(&Part::Seals) {
        report::print_seals(&cluster::measure_seals(&binary, scale)?);
    }
    if arguments.only == [Part::Seals] {
        return Ok(());
    }
    if is_asked(Part::Stages) {
        measured.stages = Some(stages::measure(scale)?);
    }
    if is_asked(Part::E2e) {
        measured.whole = Some(cluster::measure(&binary, scale)?);
    }
    if is_asked(Part::Custody) {
        measured.custody = Some(custody::measure(&binary, scale)?);
    }
    let folder = beside.parent().unwrap_or_else(|| Path::new(".")).join("bench");
    report::write(&folder, &measured)
}

/// What was measured: all parts, or those that were asked for.
#[derive(Clone, Debug, Default)]
struct Measured {
    stages: Option<stages::Stages>,
    whole: Option<cluster::Whole>,
    custody: Option<custody::Custody>,
}

fn say(text: &str) {
    eprintln!("bench: {text}");
}

/// The scheme that everything is measured with.
fn scheme() -> ErasureScheme {
    ErasureScheme::new(4, 2).expect("4+2 is a scheme")
}

/// One worker costs less than two on machines with few cores.
fn one_worker() -> Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().context("could not start a runtime")
}
