//! Gaps: times within an activity of which there is no recording. They are computed from the items whenever somebody
//! looks, so that none can be missed or left over; a gap is closed while an interruption record covers all of it.

use strongroom_types::{ItemId, RecordSeq, UnixMillis};

/// A pause shorter than this is no gap: devices cut their recordings into files.
pub const GAP_TOLERANCE_MS: i64 = 10_000;

/// What one item recorded, by corrected time 推算时间.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The item.
    pub item: ItemId,
    /// Its start.
    pub start: UnixMillis,
    /// Its end.
    pub end: UnixMillis,
}

/// What an interruption record covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The record.
    pub seq: RecordSeq,
    /// From when.
    pub from: UnixMillis,
    /// Until when.
    pub to: UnixMillis,
}

/// A time without a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// From when.
    pub from: UnixMillis,
    /// Until when.
    pub to: UnixMillis,
    /// The item before it; none at the start of the activity.
    pub after: Option<ItemId>,
    /// The item after it; none where recording never resumed.
    pub before: Option<ItemId>,
    /// The interruption record that covers all of it.
    pub closed_by: Option<RecordSeq>,
}

impl Gap {
    /// Whether nothing explains it yet.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.closed_by.is_none()
    }
}

/// Every gap longer than `tolerance_ms` between `started` and `ended`. Without an end, what is missing at the end is not
/// known yet. Recordings of several devices count together: what one of them saw is no gap.
#[must_use]
pub fn find(
    started: UnixMillis,
    ended: Option<UnixMillis>,
    recordings: &[Recording],
    covered: &[Covered],
    tolerance_ms: i64,
) -> Vec<Gap> {
    let mut sorted = recordings.to_vec();
    sorted.sort_by_key(|recording| (recording.start, recording.end, recording.item));
    let (mut gaps, mut seen_until, mut last) = (Vec::new(), started, None);
    let mut note = |from: UnixMillis, to: UnixMillis, after, before| {
        let to = ended.map_or(to, |ended| to.min(ended));
        if to.since_ms(from) > tolerance_ms {
            gaps.push(Gap { from, to, after, before, closed_by: closing(covered, from, to, tolerance_ms) });
        }
    };
    for recording in &sorted {
        note(seen_until, recording.start, last, Some(recording.item));
        if recording.end > seen_until {
            seen_until = recording.end;
            last = Some(recording.item);
        }
    }
    if let Some(ended) = ended {
        note(seen_until, ended, last, None);
    }
    gaps
}

/// A record may be off by what no gap is long enough for: people write down minutes.
fn closing(covered: &[Covered], from: UnixMillis, to: UnixMillis, tolerance_ms: i64) -> Option<RecordSeq> {
    let covers =
        |record: &&Covered| record.from.since_ms(from) <= tolerance_ms && to.since_ms(record.to) <= tolerance_ms;
    covered.iter().rev().find(covers).map(|record| record.seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recordings(times: &[(i64, i64)]) -> Vec<Recording> {
        let recording = |(number, (start, end)): (usize, &(i64, i64))| Recording {
            item: ItemId::new([u8::try_from(number).expect("few"); 16]),
            start: UnixMillis(start * 1000),
            end: UnixMillis(end * 1000),
        };
        times.iter().enumerate().map(recording).collect()
    }

    fn found(ended: Option<i64>, times: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let ended = ended.map(|ended| UnixMillis(ended * 1000));
        let gaps = find(UnixMillis(0), ended, &recordings(times), &[], GAP_TOLERANCE_MS);
        gaps.into_iter().map(|gap| (gap.from.0 / 1000, gap.to.0 / 1000)).collect()
    }

    #[test]
    fn every_pause_longer_than_the_tolerance_is_a_gap() {
        type Case<'a> = (&'a str, Option<i64>, &'a [(i64, i64)], &'a [(i64, i64)]);
        let cases: [Case<'_>; 12] = [
            ("whole", Some(100), &[(0, 100)], &[]),
            ("files that follow one another", Some(100), &[(0, 50), (51, 100)], &[]),
            ("a pause as long as the tolerance", Some(100), &[(0, 40), (50, 100)], &[]),
            ("a pause in the middle", Some(100), &[(0, 40), (60, 100)], &[(40, 60)]),
            ("late start and early end", Some(100), &[(20, 70)], &[(0, 20), (70, 100)]),
            ("in any order", Some(100), &[(60, 100), (0, 40)], &[(40, 60)]),
            ("another angle covers the pause", Some(100), &[(0, 40), (60, 100), (30, 70)], &[]),
            ("one within another", Some(100), &[(0, 90), (10, 20)], &[]),
            ("nothing at all", Some(100), &[], &[(0, 100)]),
            ("nothing at all, and no end", None, &[], &[]),
            ("no end yet", None, &[(0, 40), (60, 80)], &[(40, 60)]),
            ("recorded after the end", Some(50), &[(0, 30), (90, 99)], &[(30, 50)]),
        ];
        for (name, ended, times, expected) in cases {
            assert_eq!(found(ended, times), expected, "R-000-11, R-000-13: {name}");
        }
    }

    #[test]
    fn a_gap_is_closed_by_a_record_that_covers_all_of_it() {
        let record = |from: i64, to: i64| Covered {
            seq: RecordSeq(7),
            from: UnixMillis(from * 1000),
            to: UnixMillis(to * 1000),
        };
        for (name, covered, open) in [
            ("exactly", record(40, 90), false),
            ("more", record(30, 100), false),
            ("to the minute", record(49, 81), false),
            ("its beginning only", record(40, 60), true),
            ("its end only", record(60, 90), true),
            ("something else", record(200, 300), true),
        ] {
            let times = recordings(&[(0, 40), (90, 100)]);
            let gaps = find(UnixMillis(0), Some(UnixMillis(100_000)), &times, &[covered], GAP_TOLERANCE_MS);
            assert_eq!(gaps.len(), 1, "{name}");
            assert_eq!(gaps[0].is_open(), open, "R-000-13: {name}");
        }
    }

    #[test]
    fn two_records_close_a_gap_only_where_one_of_them_covers_it() {
        let half = |from: i64, to: i64| Covered { seq: RecordSeq(1), from: UnixMillis(from), to: UnixMillis(to) };
        let covered = [half(0, 50_000), half(50_000, 100_000)];
        let gaps = find(UnixMillis(0), Some(UnixMillis(100_000)), &[], &covered, GAP_TOLERANCE_MS);
        assert!(gaps[0].is_open(), "R-000-13: each gap has its one explanation");
    }
}
