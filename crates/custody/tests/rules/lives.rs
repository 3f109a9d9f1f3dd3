//! Long random lives of a cluster against the reference model: three replicas that crash, replay and take snapshots over,
//! leaders whose clocks are wrong, voters that reboot or lie, and people who extend, trigger, bind, archive, hold,
//! release, correct and remove to a classified carrier, the clock's outages too. After every step, for every item: the product and the model agree on whether anything
//! keeps it, all replicas hold the same bytes, and nothing is ever free before its floor has truly passed.
//!
//! A few seeds run with every test. `LIVES=FROM..TO` plays others (`make lives`); a failure prints the seed and the
//! shortest sequence of steps that still fails.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use strongroom_custody::{
    Actor, Answer, Applied, Command, Context,
    case::{Archive, ArchiveCase, BindCase, OpenCase, ReopenCase, Term},
    clock::{self, Reading},
    command::{AdvanceClock, BeginSession, EndSession, Tick, Under},
    correction::{ApproveCorrection, Mistake, ProposeCorrection, WithdrawCorrection},
    digest, disposal,
    erasure::{self, Tombstone},
    hold::{HoldQuery, HoldScope, PlaceHold, ReleaseHold},
    keeping::{self, ExtendItem, RestrictItem, RestrictionKind, TriggerItem},
    outage::RightOutage,
    removal::{self, ExecuteRemoval, ProposeRemoval, RemovalForm, RemovalStep, StepRemoval},
    replay::Replay,
    retention,
    tables::{CASES, CORRECTIONS, ITEMS, OUTAGES, REMOVALS, newest_first},
};
use strongroom_types::{
    ClusterId, CorrectionId, NodeId, RecordSeq, RemovalId, SessionId, UnixMillis, limits, rows::MemoryRows,
};

use crate::{
    fixture::{Cluster, DAY, GATEWAY, HOUR, MINUTE, START, id, item, key, signed, small},
    model::{Archived, Case, Hold, Item, Model, Said},
};

const STEPS: usize = 120;
const ITEMS_MAX: u8 = 6;
const CASES_MAX: u8 = 3;
const HOLDS_MAX: u8 = 3;
/// Floors of U1 to U3 in months: `dev`, `strict`, `unset`.
const UNITS: [(&str, Option<u32>); 3] = [("U1", Some(6)), ("U2", Some(12)), ("U3", None)];
const YEARS_MS: i64 = 3652 * DAY;

/// One step, from four small numbers: a sequence can be cut anywhere and still means something.
#[derive(Clone, Copy, Debug)]
struct Step {
    what: u8,
    which: u8,
    how: u8,
    who: u8,
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same seed gives the same life everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u8) -> u8 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u8::try_from((mixed ^ (mixed >> 31)) % u64::from(sides)).expect("fewer than 256 sides")
    }
}

fn life(seed: u64) -> Vec<Step> {
    let mut dice = Dice(seed);
    let mut step = || Step { what: dice.roll(27), which: dice.roll(6), how: dice.roll(8), who: dice.roll(8) };
    (0..STEPS).map(|_| step()).collect()
}

/// One cluster with its true time, which no rule ever sees.
struct World {
    replicas: Vec<MemoryRows>,
    /// What replica `n` last saved, and the entries since then.
    saved: MemoryRows,
    since: Vec<(Context, Command)>,
    records: u64,
    true_ms: i64,
    boots: [(u8, i64); 3],
    /// How much of the true time passed at once, as only a trial lets it.
    trial_ms: i64,
    /// Readings that a leader kept for later.
    old: Vec<Reading>,
    /// How far the leader's wall clock is off.
    leader_off_ms: i64,
    model: Model,
    /// Items that were removed to a carrier.
    removed: std::collections::BTreeSet<u8>,
    /// True time at which each item's floor is over, by the calendar.
    free_from: std::collections::BTreeMap<u8, UnixMillis>,
    /// What an auditor makes of the records alone.
    replay: Replay,
}

impl World {
    fn new() -> Self {
        let cluster = Cluster::new();
        let (rows, replay) = (cluster.rows.clone(), cluster.replay.clone().expect("the records can be followed"));
        Self {
            replicas: vec![rows.clone(); 3],
            saved: rows,
            since: Vec::new(),
            records: 1000,
            true_ms: 0,
            boots: [(1, 0); 3],
            trial_ms: 0,
            old: Vec::new(),
            leader_off_ms: 0,
            model: Model::default(),
            removed: std::collections::BTreeSet::new(),
            free_from: std::collections::BTreeMap::new(),
            replay,
        }
    }

    fn rows(&self) -> &MemoryRows {
        &self.replicas[0]
    }

    fn t(&self) -> UnixMillis {
        clock::read(self.rows()).expect("reads").t
    }

    fn now(&self) -> UnixMillis {
        START.plus_ms(self.true_ms)
    }

    /// What a machine's own clock shows where it is right.
    fn machine_ms(&self) -> i64 {
        self.true_ms - self.trial_ms
    }

    /// What the leader's own clock shows.
    fn proposed(&self) -> UnixMillis {
        START.plus_ms(self.machine_ms() + self.leader_off_ms)
    }

    /// When a term starts that begins now.
    fn start(&self) -> UnixMillis {
        let clock = clock::read(self.rows()).expect("reads");
        (clock.t.plus_ms(limits::CLOCK_GAP_MS_MAX)).max(clock.bounded_wall(self.proposed()))
    }

    /// The wall time that a command is recorded at.
    fn wall(&self) -> UnixMillis {
        clock::read(self.rows()).expect("reads").bounded_wall(self.proposed())
    }

    /// Applies a command on every replica; they must come to the same.
    fn apply(&mut self, actor: Actor, command: Command) -> Option<Answer> {
        let context = Context {
            actor,
            wall: self.proposed(),
            next_seq: RecordSeq(self.records),
            signed: Some(signed(RecordSeq(self.records), self.wall().plus_ms(-self.trial_ms))),
        };
        let mut outcomes = self.replicas.iter_mut().map(|rows| {
            let Applied { outcome, records } =
                strongroom_custody::apply(rows, &context, &command).expect("rows can be read");
            (outcome.ok(), records)
        });
        let first = outcomes.next().expect("a replica");
        let others: Vec<_> = outcomes.collect();
        assert!(others.iter().all(|other| *other == first), "replicas answer differently: {command:?}");
        self.since.push((context, command));
        let (answer, records) = first;
        let t = self.t();
        for record in records {
            let compared = self.replay.follow(RecordSeq(self.records), t, &record).expect("it can be followed");
            assert!(
                compared.is_none_or(|compared| compared.agrees()),
                "the records come to another digest: {compared:?}"
            );
            self.records += 1;
        }
        answer
    }

    /// What must hold at the end of a life: on every replica, whatever it lived through, the sum that was kept row by row is
    /// that of all its rows, and that of the records.
    fn check_digests(&self) {
        for rows in &self.replicas {
            let kept = digest::sum(rows).expect("reads");
            assert_eq!(kept, digest::recompute(rows).expect("reads"), "a replica's kept sum is not that of its rows");
            assert_eq!(kept, *self.replay.sum(), "the records come to other rows");
        }
    }

    fn by(&mut self, name: &str, command: Command) -> bool {
        self.apply(Actor::Client(key(name)), command).is_some()
    }

    fn play(&mut self, step: Step) {
        let Step { what, which, how, who } = step;
        match what {
            0..=2 => self.seal(which, how),
            3..=8 => self.pass(which, how),
            9 => self.fault(which),
            10 => self.extend(which, how, who),
            11 => self.trigger(which, who),
            12 => self.open_case(which),
            13 | 14 => self.bind(which, how),
            15 => self.archive(which, how),
            16 => self.reopen(which),
            17 | 18 => self.hold(which, how),
            19 | 20 => self.release(which, who),
            21 => self.propose(which, how),
            22 => self.approve(which, who),
            23 => self.withdraw(which),
            24 => self.remove(which, how),
            _ => self.correct_clock(which, how),
        }
    }

    fn seal(&mut self, which: u8, how: u8) {
        let number = which % ITEMS_MAX + 1;
        let (unit, months) = UNITS[usize::from(how % 3)];
        let start = self.start();
        if self.by("station", Command::SealOriginal(small(number, unit))) {
            let floor = months.map(|months| start.plus_months_rounded_up(months));
            let of = Item {
                unit,
                floor,
                extensions: Vec::new(),
                triggers: Vec::new(),
                bound: std::collections::BTreeMap::new(),
            };
            self.model.items.insert(number, of);
            let truly = months.map_or(UnixMillis(i64::MAX), |months| self.now().plus_months_rounded_up(months));
            self.free_from.insert(number, truly);
        }
    }

    /// Time passes: at once, as a trial lets it, or by the machines' clocks, which voters read honestly or not, and a
    /// leader shows as they come, keeps back, or shows again.
    fn pass(&mut self, which: u8, how: u8) {
        let at_once = [DAY, 8 * DAY, 40 * DAY, 200 * DAY, 400 * DAY, 4 * 400 * DAY];
        if which == 0 {
            let by_ms = at_once[usize::from(how) % at_once.len()];
            let advance = AdvanceClock { by_ms, reason: "x".to_owned() };
            assert!(self.by("ops", Command::AdvanceClock(advance)));
            self.true_ms += by_ms;
            self.trial_ms += by_ms;
            return;
        }
        let measured = [1000, MINUTE / 2, MINUTE, 2 * MINUTE, HOUR, DAY, 40 * DAY, 400 * DAY];
        self.true_ms += measured[usize::from(how)];
        let off = match which {
            1 => [0, 0, YEARS_MS],
            2 => [0, 0, -YEARS_MS],
            3 => [YEARS_MS; 3],
            _ => [0; 3],
        };
        let mut readings = self.readings(off);
        match which {
            // Kept back, and others shown that were kept before.
            4 => std::mem::swap(&mut readings, &mut self.old),
            5 => readings.truncate(1 + usize::from(how % 2)),
            _ => {}
        }
        self.apply(Actor::Node(GATEWAY), Command::Tick(Tick { readings, voters: 3 }));
        let ahead_ms = self.t().since_ms(self.now());
        assert!(ahead_ms <= 0, "T is {ahead_ms} ms ahead of the true time");
    }

    fn readings(&self, off: [i64; 3]) -> Vec<Reading> {
        let tick = clock::read(self.rows()).expect("reads").ticks;
        let read = |node: usize| {
            let (boot, started_ms) = self.boots[node];
            Reading {
                node: NodeId(node as u64 + 1),
                boot_id: [boot; 16],
                boottime_ms: self.machine_ms() - started_ms,
                wall: START.plus_ms(self.machine_ms() + off[node]),
                tick,
            }
        };
        (0..3).map(read).collect()
    }

    /// Machines fail: a replica replays what it saved, takes another's snapshot, reboots; the leader changes.
    fn fault(&mut self, which: u8) {
        match which {
            0 => {
                self.saved = self.replicas[1].clone();
                self.since.clear();
            }
            1 => {
                let mut rows = self.saved.clone();
                for (context, command) in &self.since {
                    strongroom_custody::apply(&mut rows, context, command).expect("rows can be read");
                }
                self.replicas[1] = rows;
            }
            2 => self.replicas[2] = self.replicas[0].clone(),
            3 => self.boots = self.boots.map(|(boot, _)| (boot.wrapping_add(1), self.true_ms - self.trial_ms)),
            4 => self.boots[0] = (self.boots[0].0.wrapping_add(1), self.machine_ms()),
            _ => self.leader_off_ms = [0, YEARS_MS, -YEARS_MS, HOUR][usize::from(which) % 4],
        }
    }

    fn extend(&mut self, which: u8, how: u8, who: u8) {
        let number = which % ITEMS_MAX + 1;
        let until = self.t().plus_ms(i64::from(how) * 90 * DAY);
        let extend = ExtendItem { item: item(number), until, reason: "x".to_owned() };
        if self.by(["legal", "custodian"][usize::from(who % 2)], Command::ExtendItem(extend)) {
            self.model.items.get_mut(&number).expect("an item").extensions.push(Said::new(until));
        }
    }

    fn trigger(&mut self, which: u8, who: u8) {
        let number = which % ITEMS_MAX + 1;
        let set = TriggerItem { item: item(number), code: format!("t{who}"), basis: "x".to_owned() };
        if self.by("legal", Command::TriggerItem(set)) {
            self.model.items.get_mut(&number).expect("an item").triggers.push(Said::new(()));
        }
    }

    fn open_case(&mut self, which: u8) {
        let case = which % CASES_MAX;
        let open = OpenCase { case: id(&format!("C-{case}")), unit: id("U1"), title: "x".to_owned() };
        if self.by("legal", Command::OpenCase(open)) {
            self.model.cases.insert(case, Case::default());
        }
    }

    fn bind(&mut self, which: u8, how: u8) {
        let (number, case) = (which % ITEMS_MAX + 1, how % CASES_MAX);
        let t = self.t();
        let bind = BindCase { case: id(&format!("C-{case}")), items: vec![item(number)] };
        if self.by("legal", Command::BindCase(bind)) {
            let bound = &mut self.model.items.get_mut(&number).expect("an item").bound;
            let voided = bound.get(&case).is_none_or(|said| said.void_from.is_some_and(|from| from <= t));
            if voided {
                bound.insert(case, Said::new(()));
            }
        }
    }

    fn archive(&mut self, which: u8, how: u8) {
        let case = which % CASES_MAX;
        let entered = self.start();
        let date = self.t().plus_ms(i64::from(how) * 30 * DAY - 90 * DAY);
        let term = [Term::Months(1), Term::Months(12), Term::Months(36), Term::Permanent][usize::from(how % 4)];
        let archive = ArchiveCase { case: id(&format!("C-{case}")), date, term: Some(term) };
        if self.by("legal", Command::ArchiveCase(archive)) {
            let row = self.model.cases.get_mut(&case).expect("a case");
            row.archived = true;
            row.archives.push(Archived { end: term.end(date.max(entered)), corrected: None });
        }
    }

    fn reopen(&mut self, which: u8) {
        let case = which % CASES_MAX;
        let reopen = ReopenCase { case: id(&format!("C-{case}")), reason: "x".to_owned() };
        if self.by("legal", Command::ReopenCase(reopen)) {
            self.model.cases.get_mut(&case).expect("a case").archived = false;
        }
    }

    fn hold(&mut self, which: u8, how: u8) {
        let hold = which % HOLDS_MAX;
        let number = which % ITEMS_MAX + 1;
        let case = how % CASES_MAX;
        let (unit, _) = UNITS[usize::from(how % 3)];
        let mut scope = HoldScope::default();
        match how {
            0..=2 => scope.items = vec![item(number)],
            3..=5 => scope.cases = vec![id(&format!("C-{case}"))],
            _ => scope.queries = vec![HoldQuery { unit: Some(id(unit)), ..HoldQuery::default() }],
        }
        let place = PlaceHold {
            hold: id(&format!("H-{hold}")),
            authority: "x".to_owned(),
            document: String::new(),
            reason: "x".to_owned(),
            scope,
        };
        if self.by("legal", Command::PlaceHold(Box::new(place))) {
            let row: &mut Hold = self.model.holds.entry(hold).or_default();
            match how {
                0..=2 => row.items.insert(number),
                3..=5 => row.cases.insert(case),
                _ => row.units.insert(unit),
            };
        }
    }

    fn release(&mut self, which: u8, who: u8) {
        let hold = which % HOLDS_MAX;
        let (name, office) = [("legal", "legal"), ("head", "head"), ("legal-2", "legal")][usize::from(who % 3)];
        let now = self.wall();
        let release = ReleaseHold { hold: id(&format!("H-{hold}")), reason: "x".to_owned() };
        if self.by(name, Command::ReleaseHold(release)) {
            self.model.step_of_release(hold, office, now);
        }
    }

    /// Proposes to correct the first statement of a kind that there is.
    fn propose(&mut self, which: u8, how: u8) {
        let number = which % ITEMS_MAX + 1;
        let case = which % CASES_MAX;
        let said = keeping::read(self.rows(), item(number)).expect("reads");
        let mistake = match how % 4 {
            0 => said.extensions.first().map(|row| Mistake::Extension(item(number), row.seq)),
            1 => said.triggers.first().map(|row| Mistake::Trigger(item(number), row.seq)),
            2 => Some(Mistake::Binding(id(&format!("C-{case}")), item(number))),
            _ => {
                let row = CASES.read(self.rows(), &id(&format!("C-{case}"))).expect("reads");
                let archive = Archive { date: self.t().plus_ms(-400 * DAY), term: Term::Months(6) };
                row.and_then(|row| {
                    row.archives.first().map(|first| Mistake::Archive(row.id.clone(), first.seq, archive))
                })
            }
        };
        if let Some(mistake) = mistake {
            self.by("legal", Command::ProposeCorrection(ProposeCorrection { mistake, reason: "x".to_owned() }));
        }
    }

    fn approve(&mut self, which: u8, who: u8) {
        let correction = CorrectionId(u64::from(which) + 1);
        let in_force = self.t().plus_ms(limits::CORRECTION_MS);
        if self
            .by(["head", "legal-2"][usize::from(who % 2)], Command::ApproveCorrection(ApproveCorrection { correction }))
        {
            self.mark(correction, Some(in_force));
        }
    }

    fn withdraw(&mut self, which: u8) {
        let correction = CorrectionId(u64::from(which) + 1);
        let withdraw = WithdrawCorrection { correction, reason: "x".to_owned() };
        if self.by("head", Command::WithdrawCorrection(withdraw)) {
            self.mark(correction, None);
        }
    }

    /// Both offices correct outages as the wall clocks of this moment have it, right or wrong, or as nothing has it.
    fn correct_clock(&mut self, which: u8, how: u8) {
        let clock = clock::read(self.rows()).expect("reads");
        let newest = OUTAGES.scan(self.rows(), &(), None, 2).expect("reads");
        let newest = newest.get(usize::from(which % 2)).map(|(_, row)| *row);
        let (outage, right_ms) = match (how, newest) {
            (0..=3, Some(row)) => (Some(row.seq), (row.right_ms + clock.unexplained_ms()).max(0)),
            (4, Some(row)) => (Some(row.seq), 0),
            (0..=5, _) => (None, clock.unexplained_ms()),
            _ => (None, i64::from(which) * 300 * DAY - 700 * DAY),
        };
        let mistake = Mistake::Outages(vec![RightOutage { outage, right_ms }]);
        let propose = ProposeCorrection { mistake, reason: "x".to_owned() };
        let proposed = self.apply(Actor::Client(key("legal")), Command::ProposeCorrection(propose));
        if let Some(Answer::Correction(correction, _)) = proposed {
            self.by("head", Command::ApproveCorrection(ApproveCorrection { correction }));
        }
    }

    /// Tells the model what a correction is about, in the model's own words.
    fn mark(&mut self, correction: CorrectionId, in_force: Option<UnixMillis>) {
        let row = CORRECTIONS.read(self.rows(), &newest_first(correction.0)).expect("reads").expect("a correction");
        let number = |of: &strongroom_types::ItemId| of.as_bytes()[0];
        let case_of = |of: &strongroom_types::CaseId| of.as_str()[2..].parse::<u8>().expect("a number");
        match &row.mistake {
            Mistake::Extension(of, seq) => {
                let said = keeping::read(self.rows(), *of).expect("reads");
                let at = said.extensions.iter().position(|one| one.seq == *seq).expect("there");
                if let Some(of) = self.model.items.get_mut(&number(of)) {
                    of.extensions[at].void_from = in_force;
                }
            }
            Mistake::Trigger(of, seq) => {
                let said = keeping::read(self.rows(), *of).expect("reads");
                let at = said.triggers.iter().position(|one| one.seq == *seq).expect("there");
                if let Some(of) = self.model.items.get_mut(&number(of)) {
                    of.triggers[at].void_from = in_force;
                }
            }
            Mistake::Binding(case, of) => {
                if let Some(of) = self.model.items.get_mut(&number(of)) {
                    of.bound.get_mut(&case_of(case)).expect("bound").void_from = in_force;
                }
            }
            Mistake::Archive(case, seq, right) => {
                let stored = CASES.read(self.rows(), case).expect("reads").expect("a case");
                let at = stored.archives.iter().position(|one| one.seq == *seq).expect("there");
                let end = right.term.end(right.date.max(stored.archives[at].entered));
                let archived = &mut self.model.cases.get_mut(&case_of(case)).expect("a case").archives[at];
                archived.corrected = in_force.map(|from| (from, end));
            }
            // What the clock is compared with keeps nothing and frees nothing.
            Mistake::Outages(_) => {}
        }
    }

    /// Tries to remove an item to a carrier and leaves one step out, or none: it goes when all were taken, and only then, whatever
    /// keeps it.
    fn remove(&mut self, which: u8, left_out: u8) {
        let number = which % ITEMS_MAX + 1;
        if !self.model.items.contains_key(&number) {
            return;
        }
        let was_restricted = keeping::read(self.rows(), item(number)).expect("reads").restriction.is_some();
        let removal =
            RemovalId(REMOVALS.scan(self.rows(), &(), None, 1).expect("reads").first().map_or(1, |row| row.1.id.0 + 1));
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        let step = |step| Command::StepRemoval(StepRemoval { removal, step });
        let sessions = u128::from(removal.0).to_be_bytes();
        let restrict =
            RestrictItem { item: item(number), kind: Some(RestrictionKind::SuspectedSecret), reason: "x".to_owned() };
        let propose = ProposeRemoval {
            items: vec![item(number)],
            form: RemovalForm {
                organ: "x".to_owned(),
                receiver: "x".to_owned(),
                receiver_key: pair.public_key().as_ref().try_into().expect("32 bytes"),
                carrier: "x".to_owned(),
                basis: "x".to_owned(),
            },
            executor: id("archivist"),
            copies: Vec::new(),
        };
        let execute = ExecuteRemoval {
            removal,
            supervisors: vec![id("inspector"), id("unit-head")],
            disks: Vec::new(),
            replicas: Vec::new(),
            copies: Vec::new(),
        };
        let session = SessionId::new(sessions);
        let begin = BeginSession { session, under: Under::Removal(removal) };
        let mut went = false;
        for at in 0..8 {
            if at == left_out && at < 7 {
                continue;
            }
            went = match at {
                0 => self.by("legal", Command::RestrictItem(restrict.clone())),
                1 => self.by("legal", Command::ProposeRemoval(Box::new(propose.clone()))),
                2 => self.by("secrecy", step(RemovalStep::Approve)),
                3 => self.by("head", step(RemovalStep::Approve)),
                4 => self.by("archivist", Command::BeginSession(begin.clone())),
                5 => self.by("archivist", Command::EndSession(EndSession { session, complete: true })),
                6 => {
                    let Ok(row) = removal::read(self.rows(), removal) else { continue };
                    let text = removal::statement_of(self.rows(), ClusterId::new([0xc1; 16]), &row).expect("reads");
                    let signature = pair.sign(&text.to_bytes()).as_ref().to_vec();
                    self.by("archivist", step(RemovalStep::FileSignature(signature.into())))
                }
                _ => self.by("archivist", Command::ExecuteRemoval(Box::new(execute.clone()))),
            };
        }
        let all_taken = left_out == 7 || (left_out == 0 && was_restricted);
        assert_eq!(went, all_taken, "item {number} with step {left_out} left out");
        if went {
            self.model.items.remove(&number);
            self.removed.insert(number);
        } else {
            self.by("legal", step(RemovalStep::Withdraw("x".to_owned())));
        }
    }

    /// What must hold after every step.
    fn check(&self) {
        assert!(self.replicas.iter().all(|rows| *rows == self.replicas[0]), "replicas differ");
        if let Ok(now) = disposal::now(self.rows()) {
            assert!(
                now <= self.t() && now <= self.now(),
                "disposal is judged at {now}, the true time is {}",
                self.now()
            );
        }
        for number in &self.removed {
            assert_eq!(ITEMS.read(self.rows(), &item(*number)).expect("reads"), None);
            let tombstone = erasure::tombstone(self.rows(), item(*number)).expect("reads");
            assert!(matches!(tombstone, Some(Tombstone::Removed(_))), "item {number}: {tombstone:?}");
        }
        // The rules are asked at T and long after it: what T will come to must be agreed on, too.
        for t in [self.t(), self.t().plus_ms(700 * DAY)] {
            for number in self.model.items.keys().copied() {
                let row = ITEMS.read(self.rows(), &item(number)).expect("reads").expect("an item");
                let kept = retention::kept(self.rows(), item(number), &row).expect("reads");
                let product = retention::refuse_kept(self.rows(), item(number), &row, &kept, t);
                // Corrections come into force with T, not with the time that is asked about.
                let model = self.model.may_be_disposed_of_at(number, self.t(), t);
                assert_eq!(product.is_ok(), model, "item {number} at {t}: {product:?} {kept:?}");
                assert_eq!(retention::effective_until(&kept).is_some_and(|until| until <= t), model);
                if t == self.t() && product.is_ok() {
                    let free_from = self.free_from[&number];
                    assert!(self.now() >= free_from, "item {number} is free before {free_from}, at {}", self.now());
                }
            }
        }
    }
}

/// How a life came out: whether a correction thawed its clock, or why it failed.
fn outcome(steps: &[Step]) -> Result<bool, String> {
    let played = std::panic::catch_unwind(|| {
        let (mut world, mut thawed) = (World::new(), false);
        for step in steps {
            let corrected_ms = clock::read(world.rows()).expect("reads").corrected_ms;
            let was_frozen = disposal::now(world.rows()).is_err();
            world.play(*step);
            world.check();
            let clock = clock::read(world.rows()).expect("reads");
            thawed |= was_frozen && clock.corrected_ms != corrected_ms && clock::trusted(&clock).is_ok();
        }
        world.check_digests();
        thawed
    });
    played
        .map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic without words".to_owned()))
}

/// Leaves out whatever can be left out.
fn shortest(mut steps: Vec<Step>) -> Vec<Step> {
    let mut at = 0;
    while at < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(at);
        if outcome(&fewer).is_err() {
            steps = fewer;
        } else {
            at += 1;
        }
    }
    steps
}

#[test]
fn no_life_of_a_cluster_ends_an_item_early_or_disagrees_with_the_model() {
    let seeds = std::env::var("LIVES").ok().map_or(0..25, |text| {
        let (from, to) = text.split_once("..").expect("LIVES=FROM..TO");
        from.parse().expect("a number")..to.parse().expect("a number")
    });
    let mut thawed = 0;
    for seed in seeds {
        let steps = life(seed);
        match outcome(&steps) {
            Ok(has_thawed) => thawed += usize::from(has_thawed),
            Err(told) => panic!("seed {seed}: {told}\n{:#?}", shortest(steps)),
        }
    }
    assert!(thawed > 0, "no clock of these lives was thawed by a correction: nothing was tried");
}
