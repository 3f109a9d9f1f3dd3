//! A short slice of the fault rounds on the real binary, and the proof that they would notice. docs/fault-rounds.md
//! says what a round is and how to play more of them.

use std::path::Path;

use strongroom_testkit::rounds;

const BINARY: &str = env!("CARGO_BIN_EXE_strongroom");

#[test]
fn what_was_acknowledged_survives_kills_and_power_cuts() {
    // The first rounds of this seed hold kills of all nodes, and cuts with full loss and with torn writes.
    if let Err(failed) = rounds::play(Path::new(BINARY), 1, 1..=8, |round, report| eprintln!("round {round}: {report}"))
    {
        panic!("seed 1 round {}: {}; kept: {:?}", failed.round, failed.why, failed.folder);
    }
}

/// RustFS "relaxed", Garage by default: writes were acknowledged before they were synced.
#[test]
fn an_item_is_lost_in_a_power_cut_where_syncs_do_nothing_and_kept_where_they_count() {
    assert!(rounds::is_kept_through_cut(Path::new(BINARY), true));
    assert!(!rounds::is_kept_through_cut(Path::new(BINARY), false), "the rounds would not notice a missing sync");
}
