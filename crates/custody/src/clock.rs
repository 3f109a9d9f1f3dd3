//! The compliance clock T (semantics C2): committed, monotonic, and only good for deciding expiry.
//!
//! T follows what a majority of voters measured with clocks that nobody can set, and never runs ahead of the wall
//! clocks of a majority. What an outage of the majority costs is never repaid: everything is kept that much longer.

use strongroom_types::{
    NodeId, Reason, Refusal, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::tables::CLOCK;

/// The clock's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ClockRow {
    /// T.
    #[n(0)]
    pub t: UnixMillis,
    /// Lower median of the voters' wall clocks at the newest tick, as it was: it moves back where they are set back.
    #[n(1)]
    pub wall: UnixMillis,
    /// Newest reading of each voter.
    #[n(2)]
    pub readings: Vec<ReadingRow>,
    /// Sum of recorded outages.
    #[n(3)]
    pub outages_ms: i64,
    /// How far a trial cluster's clocks were set ahead of the voters'; 0 in every other.
    #[n(4)]
    pub trial_ms: i64,
    /// Ticks so far.
    #[n(5)]
    pub ticks: u64,
    /// What corrections in force add to the recorded outages, or take off.
    #[n(6)]
    pub corrected_ms: i64,
}

/// What a voter read last, and where T stood then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ReadingRow {
    /// Voter.
    #[n(0)]
    pub node: NodeId,
    /// Its boot.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub boot_id: [u8; 16],
    /// Its time since boot.
    #[n(2)]
    pub boottime_ms: i64,
    /// T when this reading was committed.
    #[n(3)]
    pub t: UnixMillis,
}

/// One voter's clocks, its signature already verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Reading {
    /// Voter.
    #[n(0)]
    pub node: NodeId,
    /// Its boot.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub boot_id: [u8; 16],
    /// Its time since boot.
    #[n(2)]
    pub boottime_ms: i64,
    /// Its wall clock.
    #[n(3)]
    pub wall: UnixMillis,
    /// Ticks that it knew of: a reading counts in the next one only, so that nobody can keep readings for later.
    #[n(4)]
    pub tick: u64,
}

/// The longest that one command's wall time may run ahead of the newest tick.
pub(crate) const WALL_AHEAD_MS_MAX: i64 = 10 * 60 * 1000;
/// An outage shorter than this is no event.
const OUTAGE_MS_MIN: i64 = 60 * 1000;

impl ClockRow {
    /// Where a term starts that begins now. No later tick credits time from before this instant: the next one may cover up to
    /// [`limits::CLOCK_GAP_MS_MAX`] of it, and that much is added.
    #[must_use]
    pub fn start(&self, wall: UnixMillis) -> UnixMillis {
        self.t.plus_ms(limits::CLOCK_GAP_MS_MAX).max(wall)
    }

    /// The wall time at the newest tick, as records and terms take it: what the voters' clocks say, and never before T.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.wall.max(self.t)
    }

    /// What outages explain of the distance to the wall clocks: the recorded ones, as they were corrected.
    #[must_use]
    pub const fn explained_ms(&self) -> i64 {
        self.outages_ms.saturating_add(self.corrected_ms)
    }

    /// How far the wall clocks are from T beyond what outages explain.
    #[must_use]
    pub fn unexplained_ms(&self) -> i64 {
        self.wall.since_ms(self.t).saturating_sub(self.explained_ms())
    }

    /// The wall time that a command is recorded at: the proposer's, held between the newest tick and a little
    /// after it, so that one bad clock moves nothing.
    #[must_use]
    pub fn bounded_wall(&self, proposed: UnixMillis) -> UnixMillis {
        let (proposed, now) = (proposed.plus_ms(self.trial_ms), self.now());
        // Before the first command there is nothing to hold it to.
        if now == UnixMillis(0) {
            return proposed;
        }
        proposed.clamp(now, now.plus_ms(WALL_AHEAD_MS_MAX))
    }
}

/// The clock as it stands.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub fn read(rows: &(impl Rows + ?Sized)) -> Result<ClockRow, RowError> {
    Ok(CLOCK.read(rows, &())?.unwrap_or_default())
}

/// Whether expiry may be decided by this clock (semantics C2): what the wall clocks say and what T says, the outages taken
/// off as they are recorded and corrected, are within a day of each other.
///
/// # Errors
/// `CLOCK_UNTRUSTED`: disposal freezes; ingest, reading and handing out go on.
pub fn trusted(clock: &ClockRow) -> Result<(), Refusal> {
    let apart_ms = clock.unexplained_ms();
    if apart_ms.saturating_abs() <= limits::CLOCK_APART_MS_MAX {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::ClockUntrusted,
        "C2",
        format!(
            "compliance time is {}, the voters' wall clocks say {}, and {} minutes of outage leave {} minutes unexplained",
            clock.t,
            clock.wall,
            clock.explained_ms() / 60_000,
            apart_ms / 60_000
        ),
        "an operator must find out which clock is wrong, and set it right; where an outage was recorded by a wrong clock, legal and \
         head correct it: `strongroom correction propose outages`. Nothing is disposed of until then",
    ))
}

/// Whether what lasts `term_ms` and ends at `end` is over `now`, by wall time. What ends further away than it lasts began
/// under wall clocks that were set ahead and are right again: it would last for as long as they were off, so it is over.
#[must_use]
pub fn is_over(end: UnixMillis, term_ms: i64, now: UnixMillis) -> bool {
    now >= end || end.since_ms(now) > term_ms.saturating_add(limits::CLOCK_APART_MS_MAX)
}

/// Advances T by the readings of voters. Returns the length of an outage that this tick found, if it found one.
///
/// `readings` holds at most one verified reading of each voter; others must have been left out.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub fn tick(rows: &mut dyn Rows, readings: &[Reading], voters: usize) -> Result<Option<i64>, RowError> {
    let mut clock = read(rows)?;
    let majority = voters / 2 + 1;
    let readings = usable(&clock, readings);
    if readings.len() < majority {
        return Ok(None);
    }
    let wall = lower_median(readings.iter().map(|reading| reading.wall).collect());
    let candidates: Vec<_> = readings.iter().filter_map(|reading| candidate(&clock, reading)).collect();
    let lost_ms = if candidates.len() >= majority {
        let measured = clock.t.max(lower_median(candidates).min(wall));
        clock.t = measured.min(clock.t.plus_ms(limits::CLOCK_GAP_MS_MAX));
        measured.since_ms(clock.t)
    } else {
        // Less than this is how far a clock that is ticked now and then is always behind.
        Some(wall.since_ms(clock.t) - clock.explained_ms()).filter(|lost| *lost >= OUTAGE_MS_MIN).unwrap_or(0)
    };
    clock.outages_ms += lost_ms;
    clock.ticks += 1;
    clock.wall = wall;
    for reading in &readings {
        clock.readings.retain(|row| row.node != reading.node);
        clock.readings.push(ReadingRow {
            node: reading.node,
            boot_id: reading.boot_id,
            boottime_ms: reading.boottime_ms,
            t: clock.t,
        });
    }
    clock.readings.sort_by_key(|row| row.node);
    CLOCK.write(rows, &(), &clock);
    Ok(Some(lost_ms).filter(|lost| *lost >= OUTAGE_MS_MIN))
}

/// Lets `by_ms` pass at once, for the cluster whose clocks are only tried out. Every reading moves along, so that
/// the next tick measures no more than what really passed.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub(crate) fn advance(rows: &mut dyn Rows, by_ms: i64) -> Result<(), RowError> {
    let mut clock = read(rows)?;
    clock.t = clock.t.plus_ms(by_ms);
    clock.wall = clock.wall.plus_ms(by_ms);
    clock.trial_ms = clock.trial_ms.saturating_add(by_ms);
    for reading in &mut clock.readings {
        reading.t = reading.t.plus_ms(by_ms);
    }
    CLOCK.write(rows, &(), &clock);
    Ok(())
}

/// One reading of each voter, made for this tick, and none from before one that counted already in the same boot: shown
/// again later, it would be measured from twice and carry T ahead.
fn usable(clock: &ClockRow, readings: &[Reading]) -> Vec<Reading> {
    let replayed = |reading: &Reading| {
        clock.readings.iter().any(|last| {
            last.node == reading.node && last.boot_id == reading.boot_id && last.boottime_ms > reading.boottime_ms
        })
    };
    let mut usable: Vec<Reading> = Vec::new();
    for reading in readings {
        if reading.tick == clock.ticks && !replayed(reading) && usable.iter().all(|other| other.node != reading.node) {
            usable.push(Reading { wall: reading.wall.plus_ms(clock.trial_ms), ..*reading });
        }
    }
    usable
}

/// T at this voter's last reading in the same boot, plus what its boot clock measured since.
fn candidate(clock: &ClockRow, reading: &Reading) -> Option<UnixMillis> {
    let last = clock.readings.iter().find(|row| row.node == reading.node && row.boot_id == reading.boot_id)?;
    let passed_ms = reading.boottime_ms.checked_sub(last.boottime_ms).filter(|passed| *passed >= 0)?;
    Some(last.t.plus_ms(passed_ms))
}

/// The middle value, the earlier of the two middle ones where there are two. Never called with nothing.
fn lower_median(mut times: Vec<UnixMillis>) -> UnixMillis {
    times.sort_unstable();
    times[(times.len() - 1) / 2]
}

#[cfg(test)]
mod tests {
    use strongroom_types::rows::MemoryRows;

    use super::*;

    const START: i64 = 1_700_000_000_000;
    /// As much as one tick credits.
    const MINUTE: i64 = limits::CLOCK_GAP_MS_MAX;

    /// A reading for the second tick.
    fn reading(node: u64, boot: u8, boottime_ms: i64, wall: i64) -> Reading {
        Reading { node: NodeId(node), boot_id: [boot; 16], boottime_ms, wall: UnixMillis(wall), tick: 1 }
    }

    fn at_tick(tick: u64, readings: &[Reading]) -> Vec<Reading> {
        readings.iter().map(|reading| Reading { tick, ..*reading }).collect()
    }

    fn started() -> MemoryRows {
        let mut rows = MemoryRows::default();
        CLOCK.write(&mut rows, &(), &ClockRow { t: UnixMillis(START), wall: UnixMillis(START), ..ClockRow::default() });
        let first: Vec<_> = (1..=3).map(|node| reading(node, 1, 0, START)).collect();
        tick(&mut rows, &at_tick(0, &first), 3).expect("reads");
        rows
    }

    fn after(mut rows: MemoryRows, readings: &[Reading]) -> (i64, Option<i64>) {
        let outage = tick(&mut rows, readings, 3).expect("reads");
        (read(&rows).expect("reads").t.0 - START, outage)
    }

    #[test]
    fn t_follows_what_a_majority_measured() {
        let all: Vec<_> = (1..=3).map(|node| reading(node, 1, MINUTE, START + MINUTE)).collect();
        assert_eq!(after(started(), &all), (MINUTE, None));
        assert_eq!(after(started(), &all[..2]), (MINUTE, None));
        assert_eq!(after(started(), &all[..1]), (0, None), "one voter is no majority");
    }

    /// MinIO: the local clock, or one NTP server, decided expiry.
    #[test]
    fn one_bad_clock_moves_nothing() {
        let ten_years = 10 * 365 * 24 * MINUTE;
        for bad in
            [reading(3, 1, MINUTE + ten_years, START + ten_years), reading(3, 1, MINUTE - ten_years, START - ten_years)]
        {
            let readings = [reading(1, 1, MINUTE, START + MINUTE), reading(2, 1, MINUTE, START + MINUTE), bad];
            assert_eq!(after(started(), &readings).0, MINUTE);
        }
    }

    #[test]
    fn all_wall_clocks_set_forward_move_nothing() {
        let readings: Vec<_> = (1..=3).map(|node| reading(node, 1, MINUTE, START + 9000 * MINUTE)).collect();
        assert_eq!(after(started(), &readings).0, MINUTE);
    }

    #[test]
    fn wall_clocks_set_back_hold_t_and_never_turn_it() {
        let readings: Vec<_> = (1..=3).map(|node| reading(node, 1, MINUTE, START - MINUTE)).collect();
        assert_eq!(after(started(), &readings).0, 0);
    }

    #[test]
    fn c2_wall_clocks_of_all_set_back_or_ahead_are_not_trusted_until_they_are_right_again() {
        let two_days = 2 * limits::CLOCK_APART_MS_MAX;
        for off in [two_days, -two_days] {
            let mut rows = started();
            let at = |minutes: i64, off: i64| {
                let wall = START + minutes * MINUTE + off;
                let readings: Vec<_> = (1..=3).map(|node| reading(node, 1, minutes * MINUTE, wall)).collect();
                at_tick(u64::try_from(minutes).expect("small"), &readings)
            };
            tick(&mut rows, &at(1, off), 3).expect("reads");
            let clock = read(&rows).expect("reads");
            let refusal = trusted(&clock).expect_err("two days apart");
            assert_eq!((refusal.reason, refusal.rule.as_str()), (Reason::ClockUntrusted, "C2"), "{refusal}");
            assert!(clock.now() >= clock.t, "records are never dated before compliance time");
            tick(&mut rows, &at(2, 0), 3).expect("reads");
            let clock = read(&rows).expect("reads");
            trusted(&clock).expect("they are right again");
            assert!(clock.t <= UnixMillis(START + 2 * MINUTE), "{off}: no time is gained");
            let now = UnixMillis(START + 2 * MINUTE);
            assert_eq!(clock.bounded_wall(now), now, "{off}: records are dated rightly again");
        }
    }

    #[test]
    fn c2_reboots_one_after_the_other_and_a_new_voter_change_nothing_while_a_majority_runs() {
        let mut rows = started();
        let mut boots = [(1, 1), (2, 1), (3, 1)];
        for minutes in 1..=9_i64 {
            // Each minute another one has rebooted, and in the last a new voter has come in the place of one.
            let at = usize::try_from(minutes % 3).expect("small");
            boots[at] = if minutes == 9 { (4, 1) } else { (boots[at].0, boots[at].1 + 1) };
            let wall = START + minutes * MINUTE;
            let readings: Vec<_> = (0..3_i64)
                .zip(boots)
                .map(|(place, (node, boot))| {
                    let since = (minutes - place).rem_euclid(3);
                    let has_rebooted = since < minutes;
                    let boottime_ms = if has_rebooted { 1000 + since * MINUTE } else { minutes * MINUTE };
                    reading(node, boot, boottime_ms, wall)
                })
                .collect();
            let outage = tick(&mut rows, &at_tick(u64::try_from(minutes).expect("small"), &readings), 3);
            assert_eq!(outage.expect("reads"), None, "minute {minutes}");
            assert_eq!(read(&rows).expect("reads").t, UnixMillis(START + minutes * MINUTE), "minute {minutes}");
        }
    }

    #[test]
    fn a_term_that_began_under_clocks_set_ahead_ends_when_they_are_right_again() {
        let (day, now) = (24 * 60 * MINUTE, UnixMillis(START));
        for (end_ms, over) in [(-1, true), (0, true), (1, false), (day, false), (2 * day, false), (2 * day + 1, true)] {
            assert_eq!(is_over(now.plus_ms(end_ms), day, now), over, "{end_ms}");
        }
    }

    #[test]
    fn an_outage_of_the_majority_is_recorded_and_never_repaid() {
        let rebooted: Vec<_> = (1..=3).map(|node| reading(node, 2, 1000, START + 5 * MINUTE)).collect();
        let mut rows = started();
        assert_eq!(tick(&mut rows, &rebooted, 3).expect("reads"), Some(5 * MINUTE));
        let later: Vec<_> = (1..=3).map(|node| reading(node, 2, 1000 + MINUTE, START + 6 * MINUTE)).collect();
        assert_eq!(after(rows, &at_tick(2, &later)), (MINUTE, None));
    }

    #[test]
    fn old_readings_shown_again_do_not_count_twice() {
        let at = |minutes: i64| {
            let (passed, wall) = (minutes * MINUTE, START + minutes * MINUTE);
            (1..=3).map(|node| reading(node, 1, passed, wall)).collect::<Vec<_>>()
        };
        let mut rows = started();
        tick(&mut rows, &at(1), 3).expect("reads");
        // Said to be of this tick, they are from before what counted already.
        tick(&mut rows, &at_tick(2, &at(0)), 3).expect("reads");
        // Set ahead, the wall clocks would not hold T back: only the readings do.
        let ahead = UnixMillis(START + 900 * MINUTE);
        let later: Vec<_> = at(2).into_iter().map(|reading| Reading { wall: ahead, tick: 2, ..reading }).collect();
        assert_eq!(after(rows, &later), (2 * MINUTE, None));
    }

    #[test]
    fn c2_a_leader_that_keeps_ticks_and_readings_back_gains_no_time_by_it() {
        let mut rows = started();
        let of = |minutes: i64, tick| {
            let (passed, wall) = (minutes * MINUTE, START + minutes * MINUTE);
            at_tick(tick, &(1..=3).map(|node| reading(node, 1, passed, wall)).collect::<Vec<_>>())
        };
        // No tick for a thousand minutes, in which it seals what it likes.
        let sealed = read(&rows).expect("reads").start(UnixMillis(START));
        assert_eq!(tick(&mut rows, &of(1000, 1), 3).expect("reads"), Some(999 * MINUTE), "the rest is an outage");
        // Readings from in between, made for the tick that is over, count no more.
        for minutes in [1001, 1002, 1003] {
            tick(&mut rows, &of(minutes, 1), 3).expect("reads");
        }
        assert_eq!(read(&rows).expect("reads").t, UnixMillis(START + MINUTE));
        assert!(sealed >= read(&rows).expect("reads").t, "what was sealed meanwhile is not yet a moment old");
        tick(&mut rows, &of(1001, 2), 3).expect("reads");
        assert_eq!(read(&rows).expect("reads").t, UnixMillis(START + 2 * MINUTE));
    }

    #[test]
    fn a_clock_that_was_set_ahead_goes_on_from_there_at_the_same_pace() {
        let mut rows = started();
        advance(&mut rows, 9000 * MINUTE).expect("writes");
        let later: Vec<_> = (1..=3).map(|node| reading(node, 1, MINUTE, START + MINUTE)).collect();
        assert_eq!(after(rows.clone(), &later), (9001 * MINUTE, None));
        let clock = read(&rows).expect("reads");
        assert_eq!(clock.bounded_wall(UnixMillis(START)), UnixMillis(START + 9000 * MINUTE));
    }

    #[test]
    fn one_voter_counts_once() {
        let twice = [reading(1, 1, MINUTE, START + MINUTE), reading(1, 1, MINUTE, START + MINUTE)];
        assert_eq!(after(started(), &twice), (0, None));
    }

    #[test]
    fn the_wall_time_of_a_record_stays_near_the_voters_median() {
        let clock = ClockRow { wall: UnixMillis(START), ..ClockRow::default() };
        assert_eq!(clock.bounded_wall(UnixMillis(START - 1)), UnixMillis(START));
        assert_eq!(clock.bounded_wall(UnixMillis(START + 1)), UnixMillis(START + 1));
        assert_eq!(clock.bounded_wall(UnixMillis(i64::MAX)), UnixMillis(START + WALL_AHEAD_MS_MAX));
    }
}
