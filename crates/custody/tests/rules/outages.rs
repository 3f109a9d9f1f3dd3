//! Outages that wrong wall clocks recorded, or did not: two offices correct them, the sum must fit, and T never moves.

use strongroom_custody::{
    Act, Command, Fact,
    clock::{self, ClockRow, Reading},
    command::Tick,
    correction::{self, ApproveCorrection, Mistake, ProposeCorrection, WithdrawCorrection},
    disposal,
    outage::{self, OutageRow, RightOutage},
    tables::{OUTAGE_CORRECTION, OUTAGES},
};
use strongroom_types::{CorrectionId, NodeId, Reason, RecordSeq, limits};

use crate::fixture::{Cluster, DAY, HOUR, MINUTE};

const YEARS: i64 = 3652 * DAY;

/// A cluster whose machines have clocks of their own: one that runs since their boot, and one that can be wrong.
#[derive(Clone)]
struct Lab {
    cluster: Cluster,
    boot: u8,
    up_ms: i64,
    off_ms: i64,
}

impl Lab {
    fn new() -> Self {
        Self { cluster: Cluster::with_items(), boot: 1, up_ms: 0, off_ms: 0 }
    }

    /// Ten years were booked: the machines started again while their clocks were that far ahead. Now they are right.
    fn ten_years_booked() -> (Self, RecordSeq) {
        let mut lab = Self::new();
        lab.reboot(0, YEARS);
        let [outage] = lab.outages()[..] else { panic!("one outage") };
        assert_eq!((outage.length_ms, outage.right_ms, outage.corrected), (YEARS, YEARS, None));
        assert!(!lab.is_frozen(), "while the clocks are wrong, the outage explains them");
        lab.set_clocks(0);
        (lab, outage.seq)
    }

    /// Every voter starts again after it was off for a time, with wall clocks that are wrong by so much.
    fn reboot(&mut self, away_ms: i64, wrong_ms: i64) {
        self.boot += 1;
        self.up_ms = 0;
        self.set_wall(away_ms, wrong_ms);
        self.tick();
    }

    /// All wall clocks are wrong by so much from now on.
    fn set_clocks(&mut self, wrong_ms: i64) {
        self.set_wall(0, wrong_ms);
        self.tick();
    }

    fn set_wall(&mut self, passed_ms: i64, wrong_ms: i64) {
        self.cluster.wall = self.cluster.wall.plus_ms(passed_ms + wrong_ms - self.off_ms);
        self.off_ms = wrong_ms;
    }

    fn minute(&mut self) {
        self.up_ms += MINUTE;
        self.cluster.wall = self.cluster.wall.plus_ms(MINUTE);
        self.tick();
    }

    fn pass(&mut self, ms: i64) {
        self.cluster.advance(ms);
        self.tick();
    }

    fn tick(&mut self) {
        let (boot_id, boottime_ms, wall) = ([self.boot; 16], self.up_ms, self.cluster.machine_wall());
        let tick = self.clock().ticks;
        let reading = |node| Reading { node: NodeId(node), boot_id, boottime_ms, wall, tick };
        let readings = (1..=3).map(reading).collect();
        self.cluster.by_node(Command::Tick(Tick { readings, voters: 3 })).expect("ticks");
        assert_eq!(self.clock().ticks, tick + 1, "it counted");
    }

    fn clock(&self) -> ClockRow {
        clock::read(&self.cluster.rows).expect("reads")
    }

    fn outages(&self) -> Vec<OutageRow> {
        OUTAGES.scan(&self.cluster.rows, &(), None, 9).expect("reads").into_iter().map(|(_, row)| row).collect()
    }

    fn state(&self, number: u64) -> &'static str {
        let row = correction::read(&self.cluster.rows, CorrectionId(number)).expect("a correction");
        correction::state_name(&row, self.clock().t)
    }

    fn is_frozen(&self) -> bool {
        disposal::now(&self.cluster.rows).is_err()
    }
}

fn right(lines: &[(Option<RecordSeq>, i64)]) -> Mistake {
    Mistake::Outages(
        lines.iter().map(|(outage, right_ms)| RightOutage { outage: *outage, right_ms: *right_ms }).collect(),
    )
}

fn propose(mistake: Mistake) -> Command {
    Command::ProposeCorrection(ProposeCorrection { mistake, reason: "the clocks were wrong".to_owned() })
}

fn approve(number: u64) -> Command {
    Command::ApproveCorrection(ApproveCorrection { correction: CorrectionId(number) })
}

fn withdraw(number: u64) -> Command {
    let reason = "not yet known".to_owned();
    Command::WithdrawCorrection(WithdrawCorrection { correction: CorrectionId(number), reason })
}

#[test]
fn c2_an_outage_that_a_wrong_clock_recorded_is_corrected_and_t_stays() {
    let (mut lab, seq) = Lab::ten_years_booked();
    assert!(lab.is_frozen(), "ten years of outage, and the wall clocks say that there were none");
    lab.cluster.done("legal", propose(right(&[(Some(seq), 0)])));
    let record = lab.cluster.last_record();
    assert_eq!((record.act, record.rule.as_str()), (Act::CorrectionPropose, "C2"));
    assert_eq!(record.text(Fact::Mistake), Some("outages"));
    assert_eq!(record.text(Fact::Before), Some(&*format!("record {seq}: {YEARS} ms")));
    assert_eq!(record.text(Fact::After), Some(&*format!("record {seq}: 0 ms")));
    lab.cluster.done("head", approve(1));
    assert_eq!(lab.state(1), "approved");
    let before = lab.clock().t;
    lab.pass(limits::CORRECTION_MS - 1);
    assert!(lab.is_frozen(), "it can still be withdrawn");
    lab.pass(1);
    assert_eq!(lab.state(1), "in-force");
    let clock = lab.clock();
    assert_eq!(disposal::now(&lab.cluster.rows).expect("thawed"), clock.t.min(clock.wall));
    assert_eq!(clock.t.since_ms(before), limits::CORRECTION_MS, "compliance time is where it would be without");
    let [outage] = lab.outages()[..] else { panic!("one outage") };
    let kept = (outage.length_ms, outage.right_ms, outage.corrected);
    assert_eq!(kept, (YEARS, 0, Some(CorrectionId(1))), "both values stay");
    let record = lab.cluster.last_record();
    assert_eq!((record.act, record.stamp.principal.as_ref()), (Act::ClockCorrect, None), "a tick puts it in force");
    assert_eq!(record.number(Fact::Correction), Some(1));
    // Items are kept as long as before.
    assert_eq!(lab.cluster.refusal_to_dispose(1).map(|refusal| refusal.reason), Some(Reason::RetentionActive));
}

/// The clocks stood ten years back when the machines came up again after three days: the outage was not recorded.
#[test]
fn c2_an_outage_that_clocks_set_back_hid_is_added() {
    let mut lab = Lab::new();
    lab.reboot(3 * DAY, -YEARS);
    assert_eq!(lab.outages(), []);
    lab.cluster.refused("legal", propose(right(&[(None, -YEARS)])), Reason::ClockUntrusted);
    lab.set_clocks(0);
    assert!(lab.is_frozen(), "three days that nobody measured");
    let refusal = lab.cluster.refused("legal", propose(right(&[(None, DAY)])), Reason::ClockUntrusted);
    assert!(refusal.message.contains("1440 minutes") && refusal.remedy.contains("cluster clock"), "{refusal:?}");
    lab.cluster.done("head", propose(right(&[(None, 3 * DAY)])));
    lab.cluster.done("legal", approve(1));
    lab.pass(limits::CORRECTION_MS);
    assert!(!lab.is_frozen());
    assert_eq!(lab.clock().corrected_ms, 3 * DAY);
}

#[test]
fn c2_a_correction_is_refused_where_the_sum_would_not_fit_the_wall_clocks() {
    let (mut lab, seq) = Lab::ten_years_booked();
    for (right_ms, fits) in [(0, true), (DAY, true), (DAY + 1, false), (YEARS - DAY, false), (YEARS + DAY, false)] {
        let asked = lab.clone().cluster.by("legal", propose(right(&[(Some(seq), right_ms)])));
        assert_eq!(asked.is_ok(), fits, "{right_ms}: {asked:?}");
        assert!(fits || asked.is_err_and(|refusal| refusal.reason == Reason::ClockUntrusted && refusal.rule == "C2"));
    }
    // Clocks that are behind are set right first: nothing thaws while compliance time waits for them.
    lab.set_clocks(-2 * DAY);
    let refusal = lab.cluster.refused("legal", propose(right(&[(Some(seq), 0)])), Reason::ClockUntrusted);
    assert!(refusal.message.contains("waits") && refusal.rule == "C2", "{refusal:?}");
}

#[test]
fn c2_neither_one_office_nor_those_who_run_the_machines_correct_the_clock() {
    let (mut lab, seq) = Lab::ten_years_booked();
    let wanted = || propose(right(&[(Some(seq), 0)]));
    for name in ["ops", "security", "auditor", "custodian"] {
        lab.cluster.refused(name, wanted(), Reason::RoleNotAllowed);
    }
    lab.cluster.refused("legal-u2", wanted(), Reason::OutsideUnit);
    lab.cluster.done("legal", wanted());
    lab.cluster.refused("legal-2", approve(1), Reason::ApprovalMissing);
    lab.cluster.refused("legal", approve(1), Reason::SamePerson);
    lab.cluster.refused("ops", approve(1), Reason::RoleNotAllowed);
    lab.cluster.refused("legal-u2", withdraw(1), Reason::OutsideUnit);
    let refusal = lab.cluster.refused("head", wanted(), Reason::AlreadyExists);
    assert!(refusal.remedy.contains("COR-1"), "{refusal:?}");
    lab.cluster.done("head", withdraw(1));
    assert_eq!(OUTAGE_CORRECTION.read(&lab.cluster.rows, &()).expect("reads"), None);
    lab.cluster.refused("head", approve(1), Reason::WrongState);
    lab.pass(2 * limits::CORRECTION_MS);
    assert!(lab.is_frozen(), "what was withdrawn corrects nothing");
    lab.cluster.done("head", wanted());
}

#[test]
fn c2_a_correction_names_outages_that_there_are_each_once_and_possible_lengths() {
    let (mut lab, seq) = Lab::ten_years_booked();
    let many: Vec<_> = (0..=limits::OUTAGES_CORRECTED_MAX as u64).map(|seq| (Some(RecordSeq(seq)), 0)).collect();
    for (lines, reason) in [
        (&[][..], Reason::InvalidArgument),
        (&[(Some(seq), 0), (Some(seq), 1)], Reason::InvalidArgument),
        (&[(None, 1), (None, 2)], Reason::InvalidArgument),
        (&[(Some(seq), -1)], Reason::InvalidArgument),
        (&[(Some(seq), i64::MAX)], Reason::InvalidArgument),
        (&[(None, i64::MIN)], Reason::InvalidArgument),
        (&[(Some(seq), YEARS)], Reason::InvalidArgument),
        (&[(None, 0)], Reason::InvalidArgument),
        (&many, Reason::InvalidArgument),
        (&[(Some(RecordSeq(0)), 0)], Reason::NotFound),
    ] {
        lab.cluster.refused("legal", propose(right(lines)), reason);
    }
}

#[test]
fn c2_a_correction_that_fits_no_more_waits_and_is_withdrawn_or_comes_into_force_when_it_fits() {
    let (mut lab, seq) = Lab::ten_years_booked();
    lab.cluster.done("legal", propose(right(&[(Some(seq), 0)])));
    lab.set_clocks(3 * DAY);
    lab.cluster.refused("head", approve(1), Reason::ClockUntrusted);
    lab.set_clocks(0);
    lab.cluster.done("head", approve(1));
    lab.set_clocks(3 * DAY);
    lab.pass(limits::CORRECTION_MS);
    assert_eq!(lab.state(1), "approved", "the wall clocks are three days ahead");
    let mut withdrawn = lab.clone();
    withdrawn.cluster.done("legal", withdraw(1));
    withdrawn.set_clocks(0);
    assert!(withdrawn.is_frozen());
    lab.set_clocks(0);
    assert_eq!(lab.state(1), "in-force");
    assert!(!lab.is_frozen());
    lab.minute();
    assert!(!lab.is_frozen(), "and it stays so");
}

#[test]
fn c2_several_outages_are_corrected_together_again_and_the_next_is_booked_by_the_corrected_sum() {
    let (mut lab, first) = Lab::ten_years_booked();
    lab.reboot(0, YEARS + 5 * DAY);
    lab.set_clocks(0);
    let second = lab.outages()[0].seq;
    assert_ne!(first, second);
    lab.cluster.refused("legal", propose(right(&[(Some(first), 0)])), Reason::ClockUntrusted);
    lab.cluster.done("legal", propose(right(&[(Some(first), 0), (Some(second), HOUR), (None, HOUR)])));
    lab.cluster.done("head", approve(1));
    lab.pass(limits::CORRECTION_MS);
    assert_eq!(lab.clock().explained_ms(), 2 * HOUR);
    // What was corrected can be wrong as well.
    let plan = outage::plan(&lab.cluster.rows, &[RightOutage { outage: Some(second), right_ms: 0 }]).expect("a plan");
    assert_eq!((plan.before_ms, plan.after_ms), (2 * HOUR, HOUR));
    lab.cluster.done("head", propose(right(&[(Some(second), 0), (None, -HOUR)])));
    lab.cluster.done("legal", approve(2));
    lab.pass(limits::CORRECTION_MS);
    assert_eq!(lab.clock().explained_ms(), 0);
    let [newest, oldest] = lab.outages()[..] else { panic!("two outages") };
    assert_eq!((newest.corrected, oldest.corrected), (Some(CorrectionId(2)), Some(CorrectionId(1))));
    // An honest outage is booked whole, although ten years too much stand in the recorded sum.
    lab.reboot(2 * DAY, 0);
    assert_eq!(lab.outages()[0].length_ms, 2 * DAY);
    assert!(!lab.is_frozen());
}
