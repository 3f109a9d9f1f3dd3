//! Outages of the compliance clock, and how one that a wrong clock recorded is put right (semantics C2).
//!
//! A tick books as an outage what the wall clocks of a majority say passed and nobody measured. Where those clocks were
//! wrong, so is the outage, and when they are right again the sum stays wrong and disposal stays frozen. A correction
//! (`crate::correction`) appends what is right, and only such as makes the sum fit what a majority of wall clocks says
//! now. It changes what T is compared with, never T: nothing ends by it, it only lets T decide again.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_types::{
    CorrectionId, Reason, RecordSeq, Refusal, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Fact, Value,
    access::Stop,
    apply::Decision,
    clock::{self, ClockRow},
    correction::{self, Mistake},
    tables::{CLOCK, OUTAGE_CORRECTION, OUTAGES, newest_first},
};

/// The longest that an outage lasts: a hundred years.
const LENGTH_MS_MAX: i64 = limits::CLOCK_ADVANCE_MS_MAX;

/// An outage that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct OutageRow {
    /// Its record.
    #[n(0)]
    pub seq: RecordSeq,
    /// Its length as it was recorded.
    #[n(1)]
    pub length_ms: i64,
    /// Where T stood.
    #[n(2)]
    pub t: UnixMillis,
    /// What the wall clocks of a majority said.
    #[n(3)]
    pub wall: UnixMillis,
    /// Its length as it counts: the recorded one until a correction is in force.
    #[n(4)]
    pub right_ms: i64,
    /// The newest correction that is in force.
    #[n(5)]
    pub corrected: Option<CorrectionId>,
}

/// What is right about an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RightOutage {
    /// The outage that this record found; none for time that no record names.
    #[n(0)]
    pub outage: Option<RecordSeq>,
    /// Its right length. Of time that no record names, how much more there was, or less.
    #[n(1)]
    pub right_ms: i64,
}

/// What a correction comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What outages explain now.
    pub before_ms: i64,
    /// What they would explain.
    pub after_ms: i64,
}

/// What these corrections would come to, whether they fit or not.
///
/// # Errors
/// [`Stop`] with `INVALID_ARGUMENT` or `NOT_FOUND` where they name no outages, one twice, or lengths that there are not.
pub fn plan(rows: &(impl Rows + ?Sized), right: &[RightOutage]) -> Result<Planned, Stop> {
    let distinct: BTreeSet<_> = right.iter().map(|one| one.outage).collect();
    if !(1..=limits::OUTAGES_CORRECTED_MAX).contains(&right.len()) || distinct.len() != right.len() {
        let max = limits::OUTAGES_CORRECTED_MAX;
        return Err(Refusal::invalid(format!("a correction names 1 to {max} outages, each once")).into());
    }
    let mut by_ms = 0;
    for one in right {
        let counts_ms = match one.outage {
            Some(seq) => read(rows, seq)?.right_ms,
            None => 0,
        };
        let lengths = if one.outage.is_some() { 0..=LENGTH_MS_MAX } else { -LENGTH_MS_MAX..=LENGTH_MS_MAX };
        if !lengths.contains(&one.right_ms) {
            return Err(Refusal::invalid("an outage lasts for 0 ms to 100 years").into());
        }
        by_ms += one.right_ms - counts_ms;
    }
    if by_ms == 0 {
        return Err(Refusal::invalid("these outages come to what is recorded already").into());
    }
    let before_ms = clock::read(rows)?.explained_ms();
    Ok(Planned { before_ms, after_ms: before_ms.saturating_add(by_ms) })
}

/// Refuses what does not make the sum fit the wall clocks of a majority as they are now.
///
/// # Errors
/// `CLOCK_UNTRUSTED`.
pub fn refuse_unfit(clock: &ClockRow, planned: Planned) -> Result<(), Refusal> {
    let apart_ms = clock.wall.since_ms(clock.t);
    if apart_ms < -limits::CLOCK_APART_MS_MAX {
        return Err(Refusal::new(
            Reason::ClockUntrusted,
            "C2",
            format!("the voters' wall clocks say {}, and compliance time {} waits for them", clock.wall, clock.t),
            "set the wall clocks right first; where they are right, nothing is due before they come to compliance time, and no \
             outage has to be corrected",
        ));
    }
    let left_ms = apart_ms.saturating_sub(planned.after_ms);
    if left_ms.saturating_abs() <= limits::CLOCK_APART_MS_MAX {
        return Ok(());
    }
    let minutes = |ms: i64| ms / 60_000;
    let (least, most) =
        (apart_ms.saturating_sub(limits::CLOCK_APART_MS_MAX), apart_ms.saturating_add(limits::CLOCK_APART_MS_MAX));
    Err(Refusal::new(
        Reason::ClockUntrusted,
        "C2",
        format!(
            "with this correction outages come to {} minutes, the wall clocks are {} minutes ahead of compliance time, and {} \
             minutes are unexplained",
            minutes(planned.after_ms),
            minutes(apart_ms),
            minutes(left_ms)
        ),
        format!(
            "all outages together must come to {} to {} minutes while the wall clocks say what they say: see \
             `strongroom cluster clock`",
            minutes(least),
            minutes(most)
        ),
    ))
}

/// The outage that this record found.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn read(rows: &(impl Rows + ?Sized), seq: RecordSeq) -> Result<OutageRow, Stop> {
    OUTAGES
        .read(rows, &newest_first(seq.0))?
        .ok_or_else(|| Refusal::not_found(format!("outage that record {seq} found")).into())
}

/// Records an outage that a tick found.
pub(crate) fn found(decision: &mut Decision<'_>, length_ms: i64) -> Result<(), RowError> {
    let clock = clock::read(decision.rows)?;
    let facts = BTreeMap::from([(Fact::OutageMs, Value::from(length_ms.unsigned_abs()))]);
    let seq = decision.record(Act::ClockOutage, "C2", Vec::new(), facts);
    let row = OutageRow { seq, length_ms, t: clock.t, wall: clock.wall, right_ms: length_ms, corrected: None };
    OUTAGES.write(decision.rows, &newest_first(seq.0), &row);
    Ok(())
}

/// Puts the correction that waits in force, where its time has come and it fits. Every tick of the clock does this; one
/// that does not fit any more waits on, and can be withdrawn.
pub(crate) fn take_effect(decision: &mut Decision<'_>) -> Result<(), Stop> {
    let Some(id) = OUTAGE_CORRECTION.read(decision.rows, &())? else { return Ok(()) };
    let mut row = correction::read(decision.rows, id)?;
    let clock = clock::read(decision.rows)?;
    let is_due = row.approved.as_ref().is_some_and(|approved| clock.t >= approved.in_force);
    let Mistake::Outages(right) = &row.mistake else { return Ok(()) };
    let planned = plan(decision.rows, right)?;
    if !is_due || refuse_unfit(&clock, planned).is_err() {
        return Ok(());
    }
    for one in right {
        let Some(seq) = one.outage else { continue };
        let outage = OutageRow { right_ms: one.right_ms, corrected: Some(id), ..read(decision.rows, seq)? };
        OUTAGES.write(decision.rows, &newest_first(seq.0), &outage);
    }
    let corrected_ms = planned.after_ms - clock.outages_ms;
    CLOCK.write(decision.rows, &(), &ClockRow { corrected_ms, ..clock });
    OUTAGE_CORRECTION.remove(decision.rows, &());
    let facts = BTreeMap::from([
        (Fact::Correction, Value::from(id.0)),
        (Fact::Before, format!("{} ms", planned.before_ms).into()),
        (Fact::After, format!("{} ms", planned.after_ms).into()),
    ]);
    row.effected = Some(decision.record(Act::ClockCorrect, "C2", Vec::new(), facts));
    correction::write(decision.rows, &row);
    Ok(())
}

/// Outages with their lengths, one a line, as records tell them.
pub(crate) fn told(
    right: &[RightOutage],
    length_ms: impl Fn(&RightOutage) -> Result<i64, Stop>,
) -> Result<String, Stop> {
    let line = |one: &RightOutage| {
        let name = one.outage.map_or_else(|| "no record".to_owned(), |seq| format!("record {seq}"));
        Ok(format!("{name}: {} ms", length_ms(one)?))
    };
    Ok(right.iter().map(line).collect::<Result<Vec<_>, Stop>>()?.join("\n"))
}
