//! Plays crash points: `crash-points BINARY --seed S [--of voters|stations] [--from POINT] [--count N]`, all of them without
//! a count; or `--only TOLD`, as it is told, once for each, and `--times N`. docs/fault-rounds.md says what a point is.
//! Exits 1 at the first that fails and names the folder that it kept.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use strongroom_testkit::{crashes, stations};

const USAGE: &str = "usage: crash-points BINARY --seed SEED [--of voters|stations] [--from POINT] [--count COUNT] \
                     [--only POINT]... [--times COUNT]";

/// Whose process ends.
#[derive(Clone, Copy)]
enum Whose {
    Voters,
    Stations,
}

struct Wanted {
    binary: PathBuf,
    whose: Whose,
    slice: crashes::Slice,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(wanted) = parse(&words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let seed = wanted.slice.seed;
    let tell = |position: usize, report: &str| println!("seed {seed} point {position}: {report}");
    let told = match wanted.whose {
        Whose::Voters => crashes::play(&wanted.binary, &wanted.slice, tell),
        Whose::Stations => stations::play(&wanted.binary, &wanted.slice, tell),
    };
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
    let (binary, options) = words.split_first().filter(|(binary, _)| !binary.starts_with('-'))?;
    let binary = std::path::absolute(binary).ok()?;
    let mut wanted = Wanted { binary, whose: Whose::Voters, slice: crashes::Slice::default() };
    let slice = &mut wanted.slice;
    for pair in options.chunks(2) {
        let [name, value] = pair else { return None };
        match name.as_str() {
            "--seed" => slice.seed = value.parse().ok()?,
            "--of" if value == "voters" => wanted.whose = Whose::Voters,
            "--of" if value == "stations" => wanted.whose = Whose::Stations,
            "--from" => slice.from = value.parse().ok()?,
            "--count" => slice.count = value.parse().ok()?,
            "--only" => slice.only.push(value.clone()),
            "--times" => slice.times = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(wanted)
}
