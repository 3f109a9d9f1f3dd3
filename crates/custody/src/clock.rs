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
    /// Lower median of the voters' wall clocks at the newest tick; never moves back.
    #[n(1)]
    pub wall: UnixMillis,
    /// Newest reading of each voter.
    #[n(2)]
    pub readings: Vec<ReadingRow>,
    /// Sum of recorded outages.
    #[n(3)]
    pub outages_ms: i64,
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
}

/// The longest that one command's wall time may run ahead of the newest tick.
const WALL_AHEAD_MS_MAX: i64 = 10 * 60 * 1000;
/// An outage shorter than this is no event.
const OUTAGE_MS_MIN: i64 = 60 * 1000;

impl ClockRow {
    /// The wall time that a command is recorded at: the proposer's, held between the newest tick and a little
    /// after it, so that one bad clock moves nothing.
    #[must_use]
    pub fn bounded_wall(&self, proposed: UnixMillis) -> UnixMillis {
        // Before the first command there is nothing to hold it to.
        if self.wall == UnixMillis(0) {
            return proposed;
        }
        proposed.clamp(self.wall, self.wall.plus_ms(WALL_AHEAD_MS_MAX))
    }
}

/// The clock as it stands.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub fn read(rows: &(impl Rows + ?Sized)) -> Result<ClockRow, RowError> {
    Ok(CLOCK.read(rows, &())?.unwrap_or_default())
}

/// Whether expiry may be decided by this clock (semantics C2): what the wall clocks say and what T says, the recorded
/// outages taken off, are within a day of each other.
///
/// # Errors
/// `CLOCK_UNTRUSTED`: disposal freezes; ingest, reading and handing out go on.
pub fn trusted(clock: &ClockRow) -> Result<(), Refusal> {
    let apart_ms = clock.wall.since_ms(clock.t).saturating_sub(clock.outages_ms);
    if apart_ms.saturating_abs() <= limits::CLOCK_APART_MS_MAX {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::ClockUntrusted,
        "C2",
        format!(
            "compliance time is {}, the voters' wall clocks say {}, and {} minutes of outage do not explain it",
            clock.t,
            clock.wall,
            clock.outages_ms / 60_000
        ),
        "an operator must find out which clock is wrong: nothing is disposed of until then",
    ))
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
    let mut outage_ms = None;
    if candidates.len() >= majority {
        clock.t = clock.t.max(lower_median(candidates).min(wall));
    } else {
        let lost_ms = wall.since_ms(clock.t) - clock.outages_ms;
        if lost_ms >= OUTAGE_MS_MIN {
            clock.outages_ms += lost_ms;
            outage_ms = Some(lost_ms);
        }
    }
    clock.wall = clock.wall.max(wall);
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
    Ok(outage_ms)
}

/// One reading of each voter, and none from before one that counted already in the same boot: shown again later, it
/// would be measured from twice and carry T ahead.
fn usable(clock: &ClockRow, readings: &[Reading]) -> Vec<Reading> {
    let replayed = |reading: &Reading| {
        clock.readings.iter().any(|last| {
            last.node == reading.node && last.boot_id == reading.boot_id && last.boottime_ms > reading.boottime_ms
        })
    };
    let mut usable: Vec<Reading> = Vec::new();
    for reading in readings {
        if !replayed(reading) && usable.iter().all(|other| other.node != reading.node) {
            usable.push(*reading);
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
    const HOUR: i64 = 3_600_000;

    fn reading(node: u64, boot: u8, boottime_ms: i64, wall: i64) -> Reading {
        Reading { node: NodeId(node), boot_id: [boot; 16], boottime_ms, wall: UnixMillis(wall) }
    }

    fn started() -> MemoryRows {
        let mut rows = MemoryRows::default();
        CLOCK.write(&mut rows, &(), &ClockRow { t: UnixMillis(START), wall: UnixMillis(START), ..ClockRow::default() });
        let first: Vec<_> = (1..=3).map(|node| reading(node, 1, 0, START)).collect();
        tick(&mut rows, &first, 3).expect("reads");
        rows
    }

    fn after(mut rows: MemoryRows, readings: &[Reading]) -> (i64, Option<i64>) {
        let outage = tick(&mut rows, readings, 3).expect("reads");
        (read(&rows).expect("reads").t.0 - START, outage)
    }

    #[test]
    fn t_follows_what_a_majority_measured() {
        let all: Vec<_> = (1..=3).map(|node| reading(node, 1, HOUR, START + HOUR)).collect();
        assert_eq!(after(started(), &all), (HOUR, None));
        assert_eq!(after(started(), &all[..2]), (HOUR, None));
        assert_eq!(after(started(), &all[..1]), (0, None), "one voter is no majority");
    }

    #[test]
    fn one_bad_clock_moves_nothing() {
        let ten_years = 10 * 365 * 24 * HOUR;
        for bad in
            [reading(3, 1, HOUR + ten_years, START + ten_years), reading(3, 1, HOUR - ten_years, START - ten_years)]
        {
            let readings = [reading(1, 1, HOUR, START + HOUR), reading(2, 1, HOUR, START + HOUR), bad];
            assert_eq!(after(started(), &readings).0, HOUR);
        }
    }

    #[test]
    fn all_wall_clocks_set_forward_move_nothing() {
        let readings: Vec<_> = (1..=3).map(|node| reading(node, 1, HOUR, START + 9000 * HOUR)).collect();
        assert_eq!(after(started(), &readings).0, HOUR);
    }

    #[test]
    fn wall_clocks_set_back_hold_t_and_never_turn_it() {
        let readings: Vec<_> = (1..=3).map(|node| reading(node, 1, HOUR, START - HOUR)).collect();
        assert_eq!(after(started(), &readings).0, 0);
    }

    #[test]
    fn an_outage_of_the_majority_is_recorded_and_never_repaid() {
        let rebooted: Vec<_> = (1..=3).map(|node| reading(node, 2, 1000, START + 5 * HOUR)).collect();
        let mut rows = started();
        assert_eq!(tick(&mut rows, &rebooted, 3).expect("reads"), Some(5 * HOUR));
        let later: Vec<_> = (1..=3).map(|node| reading(node, 2, 1000 + HOUR, START + 6 * HOUR)).collect();
        assert_eq!(after(rows, &later), (HOUR, None));
    }

    #[test]
    fn old_readings_shown_again_do_not_count_twice() {
        let at =
            |hours: i64| (1..=3).map(|node| reading(node, 1, hours * HOUR, START + hours * HOUR)).collect::<Vec<_>>();
        let mut rows = started();
        tick(&mut rows, &at(10), 3).expect("reads");
        tick(&mut rows, &at(1), 3).expect("reads");
        // Set ahead, the wall clocks would not hold T back: only the readings do.
        let later: Vec<_> = at(11).into_iter().map(|r| Reading { wall: UnixMillis(START + 900 * HOUR), ..r }).collect();
        assert_eq!(after(rows, &later), (11 * HOUR, None));
    }

    #[test]
    fn one_voter_counts_once() {
        let twice = [reading(1, 1, HOUR, START + HOUR), reading(1, 1, HOUR, START + HOUR)];
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
