//! Plays crash points: `crash-points BINARY --seed S [--from POINT] [--count N]`; all of them without a count.
//! docs/fault-rounds.md says what a point is. Exits 1 at the first that fails and names the folder that it kept.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use strongroom_testkit::crashes;

const USAGE: &str = "usage: crash-points BINARY --seed SEED [--from POINT] [--count COUNT]";

struct Wanted {
    binary: PathBuf,
    seed: u64,
    from: usize,
    count: usize,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(wanted) = parse(&words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let seed = wanted.seed;
    let told = crashes::play(&wanted.binary, seed, wanted.from, wanted.count, |position, report| {
        println!("seed {seed} point {position}: {report}");
    });
    match told {
        Ok(summary) => {
            println!("{:?}", summary.areas);
            println!(
                "{} of {} points, {} reached, {} items acknowledged, 0 lost",
                summary.played, summary.points, summary.reached, summary.items
            );
            ExitCode::SUCCESS
        }
        Err(failed) => {
            eprintln!("seed {seed} point {}: {}", failed.round, failed.why);
            if let Some(folder) = failed.folder {
                eprintln!("kept: {}", folder.display());
            }
            ExitCode::FAILURE
        }
    }
}

fn parse(words: &[String]) -> Option<Wanted> {
    let (binary, options) = words.split_first()?;
    let mut wanted = Wanted { binary: std::path::absolute(binary).ok()?, seed: 1, from: 0, count: usize::MAX };
    for pair in options.chunks(2) {
        let [name, value] = pair else { return None };
        match name.as_str() {
            "--seed" => wanted.seed = value.parse().ok()?,
            "--from" => wanted.from = value.parse().ok()?,
            "--count" => wanted.count = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(wanted)
}
