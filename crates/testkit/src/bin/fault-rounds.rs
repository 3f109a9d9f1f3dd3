//! Plays fault rounds: `fault-rounds BINARY --seed S (--rounds N | --from A --to B)`. docs/fault-rounds.md says what a
//! round is. Exits 1 at the first that fails and names the folder that it kept.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use strongroom_testkit::rounds;

const USAGE: &str = "usage: fault-rounds BINARY --seed SEED (--rounds COUNT | --from ROUND --to ROUND)";

struct Wanted {
    binary: PathBuf,
    seed: u64,
    from: u64,
    to: u64,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(wanted) = parse(&words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let seed = wanted.seed;
    let told = rounds::play(&wanted.binary, seed, wanted.from..=wanted.to, |round, report| {
        println!("seed {seed} round {round}: {report}");
    });
    match told {
        Ok(summary) => {
            println!(
                "{} rounds, {} items acknowledged, {} times read back, 0 lost",
                summary.rounds, summary.items, summary.read
            );
            ExitCode::SUCCESS
        }
        Err(failed) => {
            eprintln!("seed {seed} round {}: {}", failed.round, failed.why);
            if let Some(folder) = failed.folder {
                eprintln!("kept: {}", folder.display());
            }
            ExitCode::FAILURE
        }
    }
}

fn parse(words: &[String]) -> Option<Wanted> {
    let (binary, options) = words.split_first().filter(|(binary, _)| !binary.starts_with('-'))?;
    let mut wanted = Wanted { binary: std::path::absolute(binary).ok()?, seed: 1, from: 1, to: 10 };
    for pair in options.chunks(2) {
        let [name, value] = pair else { return None };
        let value = value.parse().ok()?;
        match name.as_str() {
            "--seed" => wanted.seed = value,
            "--rounds" => (wanted.from, wanted.to) = (1, value),
            "--from" => wanted.from = value,
            "--to" => wanted.to = value,
            _ => return None,
        }
    }
    Some(wanted)
}
