//! Repository chores: `cargo xtask tidy`, `cargo xtask requirements`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its terminal")]

use std::process::ExitCode;

use anyhow::Result;
use xtask::{Repository, requirements, tidy};

const USAGE: &str = "usage: cargo xtask tidy\n       cargo xtask requirements > docs/requirements.md";

fn main() -> Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => run_tidy(),
        ["requirements"] => {
            print!("{}", requirements::page(&Repository::here()?.files));
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    }
}

fn run_tidy() -> Result<ExitCode> {
    let report = tidy::run(&Repository::here()?)?;
    for remark in &report.remarks {
        println!("remark: {remark}");
    }
    for finding in &report.findings {
        eprintln!("{finding}");
    }
    println!("tidy: findings {}, remarks {}", report.findings.len(), report.remarks.len());
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
