//! A short slice of the crash points on the real binary. docs/fault-rounds.md says what a point is and how to play all
//! of them.

use std::path::Path;

use strongroom_testkit::crashes::{self, Slice};
use strongroom_testkit::stations;

const BINARY: &str = env!("CARGO_BIN_EXE_strongroom");

#[test]
fn a_voter_that_ends_at_any_write_or_sync_opens_again_and_nothing_acknowledged_is_lost() {
    let slice = Slice { count: 8, ..Slice::default() };
    let played = crashes::play(Path::new(BINARY), &slice, |position, report| eprintln!("point {position}: {report}"));
    match played {
        Ok(summary) => {
            assert!(summary.points > 100, "the workload reaches hardly any point: {summary:?}");
            assert!(summary.reached * 2 > summary.played, "hardly any process ended: {summary:?}");
        }
        Err(failed) => panic!("seed 1 point {}: {}; kept: {:?}", failed.round, failed.why, failed.folder),
    }
}

/// G10: a receipt stands only for what is durable.
#[test]
fn a_station_that_ends_at_any_write_or_sync_makes_one_item_with_a_receipt_that_stays() {
    let slice = Slice { count: 24, ..Slice::default() };
    let played = stations::play(Path::new(BINARY), &slice, |position, report| eprintln!("point {position}: {report}"));
    match played {
        Ok(summary) => {
            assert!(summary.points > 100, "an ingest changes hardly anything: {summary:?}");
            // A slow ingest, which is looked at first, writes its state more often than the quick ones that are played.
            assert!(summary.reached >= 3, "hardly any process ended: {summary:?}");
        }
        Err(failed) => panic!("seed 1 point {}: {}; kept: {:?}", failed.round, failed.why, failed.folder),
    }
}
