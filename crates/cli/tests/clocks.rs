//! A real cluster whose clocks are attacked (semantics C2): wall clocks that are ten years off on one node and on all, that
//! jump by hours, machines that start again and again, a majority that is away for 90 days. Nothing becomes eligible early,
//! compliance time never goes back and never runs ahead, outages only add, what cannot be explained freezes disposal
//! and nothing else, and what was recorded by wrong clocks is corrected by two offices.
//!
//! Wall clocks are moved by libfaketime under running nodes, by a file in the node's own folder, and boot ids by a
//! library of the testkit. Where libfaketime is not installed (`scripts/bootstrap.sh --test` tries to), the test says so
//! and checks nothing. Certificates are issued anew for long enough that TLS has no part in it.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use strongroom_net::pki::{Authority, Validity, write_public};
use strongroom_testkit::{Cluster, Shape, boots, bytes};
use strongroom_types::{Role, UnixMillis};

/// A command's wall time may run ahead of the newest tick by ten minutes (`custody::clock`), and tests take a while.
const LATEST_MS: i64 = 12 * 60 * 1000;
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_PERIOD: Duration = Duration::from_millis(200);
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const NODES: [&str; 3] = ["n1", "n2", "n3"];

fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path().join("faketime"));
    let places = folders.chain([PathBuf::from("/usr/lib/faketime"), PathBuf::from("/usr/local/lib/faketime")]);
    places.map(|folder| folder.join("libfaketimeMT.so.1")).find(|path| path.exists())
}

/// What is preloaded into nodes, and how it is told what to do.
fn preloaded(faketime: &Path, boot: &Path) -> Vec<(OsString, OsString)> {
    let variables: [(&str, OsString); 4] = [
        ("LD_PRELOAD", format!("{}:{}", faketime.display(), boot.display()).into()),
        // Looked for in the folder that a process runs in: each node has its own, and clients have none.
        ("FAKETIME_TIMESTAMP_FILE", "clock-offset".into()),
        ("FAKETIME_NO_CACHE", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ];
    variables.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

/// This machine's own clock, which nothing here moves.
#[expect(clippy::disallowed_methods, reason = "there is nobody to inject a clock here")]
fn now_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since_1970.as_millis()).expect("before the year 292 million")
}

/// Milliseconds since 1970 of a time such as `2026-11-24T03:15:21.123+08:00`.
fn ms(time: &str) -> i64 {
    let number = |from: usize, to: usize| time[from..to].parse::<i64>().expect("a number");
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    assert!(time.ends_with("+08:00"), "{time}");
    // Days before a date, the year beginning in March so that a leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469;
    let seconds = ((days * 24 + number(11, 13) - 8) * 60 + number(14, 16)) * 60 + number(17, 19);
    seconds * 1000 + time.get(20..23).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("a text {name:?} in {value:#}"))
}

#[track_caller]
fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come about");
        thread::sleep(LOOK_PERIOD);
    }
}

/// What `cluster clock` says.
#[derive(Debug)]
struct Clock {
    t: i64,
    wall: i64,
    outages_ms: i64,
    trial_ms: i64,
    trusted: bool,
}

/// A cluster of three voters, with an item that is due within a day.
struct Lab {
    cluster: Cluster,
    due: String,
    newest_t: Cell<i64>,
    most_outages_ms: Cell<i64>,
    boots: Cell<u32>,
    ingested: Cell<u64>,
}

impl Lab {
    /// None where this machine has no libfaketime.
    fn up() -> Option<Self> {
        let faketime = faketime()?;
        let folder = tempfile::tempdir().expect("a folder");
        let boot = boots::library(&folder.path().join("boot"));
        let profile = folder.path().join("month.toml");
        let short = include_str!("../../../profiles/dev.toml").replace("months = 6", "months = 1");
        fs::write(&profile, short).expect("writes");
        let shape = Shape { nodes: 3, scheme: "1+2", profile: Some(profile), ..Shape::default() };
        let cluster = Cluster::up_in(folder, env!("CARGO_BIN_EXE_strongroom"), shape, preloaded(&faketime, &boot));
        certify_for_decades(&cluster);
        let (_, item) = cluster.ingest_bytes("due", &bytes(5000, 1));
        let due = text(&item, "item").to_owned();
        let lab = Self {
            cluster,
            due,
            newest_t: Cell::new(0),
            most_outages_ms: Cell::new(0),
            boots: Cell::new(0),
            ingested: Cell::new(1),
        };
        let kept = lab.cluster.json(&["item", "show", &lab.due]);
        let left_ms = ms(text(&kept["retention"], "kept_until")) - lab.look().t;
        // A day before its end, and not so late that it ends while the test runs.
        lab.let_pass((left_ms - 2 * HOUR_MS) / DAY_MS);
        Some(lab)
    }

    /// Looks at the clock, and that it kept its promises since it was looked at last.
    #[track_caller]
    fn look(&self) -> Clock {
        let shown = self.cluster.json(&["cluster", "clock"]);
        let number = |name: &str| shown[name].as_i64().expect("a number");
        let clock = Clock {
            t: ms(text(&shown, "clock")),
            wall: ms(text(&shown, "wall")),
            outages_ms: number("outages_ms"),
            trial_ms: number("trial_ms"),
            trusted: shown["trusted"].as_bool().expect("yes or no"),
        };
        assert!(clock.t >= self.newest_t.replace(clock.t), "compliance time went back: {clock:?}");
        assert!(clock.t <= now_ms() + clock.trial_ms, "compliance time runs ahead: {clock:?}");
        assert!(clock.outages_ms >= self.most_outages_ms.replace(clock.outages_ms), "outages only add: {clock:?}");
        clock
    }

    fn let_pass(&self, days: i64) {
        self.cluster.done(&["cluster", "advance-clock", "--days", &days.to_string(), "--reason", "a test"]);
    }

    fn leader(&self) -> String {
        let status = self.cluster.json(&["dev", "status", "--dir", &self.cluster.dir()]);
        text(&status, "leader").to_owned()
    }

    /// Sets wall clocks off, by what libfaketime calls it.
    fn set(&self, nodes: &[&str], offset: &str) {
        for node in nodes {
            fs::write(self.cluster.file(&format!("nodes/{node}/clock-offset")), offset).expect("writes");
        }
    }

    /// Waits until the clock was ticked after what was done before this. The wall clocks that the cluster shows are those at its newest tick.
    #[track_caller]
    fn tick(&self) {
        // The first new one may have been read before.
        for _ in 0..2 {
            let before = self.look().wall;
            wait_for("a tick", || self.look().wall != before);
        }
    }

    /// Waits until a tick has seen that the wall clocks of a majority are this far off.
    #[track_caller]
    fn tick_with_walls_off(&self, offset_ms: i64) {
        wait_for("the jump of the wall clocks", || {
            let clock = self.look();
            (clock.wall - now_ms() - clock.trial_ms - offset_ms).abs() < HOUR_MS
        });
    }

    /// Nobody is told that the item that is due may go; where the clock is not trusted, nobody is told of any.
    #[track_caller]
    fn nothing_may_go(&self, trusted: bool, why: &str) {
        let clock = self.look();
        assert_eq!(clock.trusted, trusted, "{why}: {clock:?}");
        let plan =
            ["--as", "archivist", "disposal", "propose", "--item", &self.due, "--basis", "it is due", "--dry-run"];
        if trusted {
            let planned = self.cluster.json(&plan);
            assert_eq!(text(&planned[0]["verdict"], "reason"), "RETENTION_ACTIVE", "{why}: {planned:#}");
        } else {
            let said = self.cluster.refused(3, &plan);
            assert!(said.contains("CLOCK_UNTRUSTED") && said.contains("minutes unexplained"), "{why}: {said}");
            let said = self.cluster.refused(3, &plan[..plan.len() - 1]);
            assert!(said.contains("CLOCK_UNTRUSTED"), "{why}: {said}");
        }
        let explained = self.cluster.json(&["item", "explain", &self.due]);
        assert!(explained["kept_until"].is_string(), "{why}: {explained:#}");
    }

    /// Footage is taken, and handed out, byte for byte.
    #[track_caller]
    fn takes_and_hands_out(&self, why: &str) -> Value {
        let number = self.ingested.replace(self.ingested.get() + 1) + 1;
        let (file, item) = self.cluster.ingest_bytes(&format!("original-{number}"), &bytes(5000, number));
        let copy = self.cluster.copy_out(text(&item, "item"), &format!("copy-{number}"));
        assert_eq!(fs::read(copy).expect("reads"), fs::read(file).expect("reads"), "{why}");
        item
    }

    /// The machine of a node starts again.
    fn reboot(&self, node: &str) {
        self.cluster.on("kill", &[node]);
        self.boots.set(self.boots.get() + 1);
        boots::set_boot(&self.cluster, node, self.boots.get());
    }
}

/// Issues every certificate anew, for as long before and after today as a clock here is ever off, and starts the nodes
/// with them.
fn certify_for_decades(cluster: &Cluster) {
    let authority = |name: &str| {
        let read = |end: &str| fs::read_to_string(cluster.file(&format!("pki/{name}.{end}"))).expect("reads");
        Authority::load(&read("pem"), &read("key")).expect("an authority")
    };
    let (clients, peers) = (authority("client-ca"), authority("peer-ca"));
    let years_ms = 15 * 365 * DAY_MS;
    let validity = Validity { not_before: UnixMillis(now_ms() - years_ms), not_after: UnixMillis(now_ms() + years_ms) };
    let renew = |authority: &Authority, stem: &str| {
        let path = cluster.file(&format!("{stem}.pem"));
        let old = fs::read_to_string(&path).expect("reads");
        write_public(&path, &authority.renew(&old, validity).expect("renewed")).expect("writes");
    };
    cluster.done(&["dev", "down", "--dir", &cluster.dir()]);
    for node in NODES {
        renew(&peers, &format!("nodes/{node}/tls/peer"));
        renew(&clients, &format!("nodes/{node}/tls/server"));
    }
    Role::ALL.iter().for_each(|role| renew(&clients, &format!("identities/{role}")));
    cluster.bring_up();
}

fn one_clock_moves_nothing(lab: &Lab) {
    let begin = lab.look();
    let started = now_ms() + begin.trial_ms;
    let leader = lab.leader();
    let follower = *NODES.iter().find(|node| **node != leader).expect("a follower");
    let mut sealed = Vec::new();
    for (node, offset) in [(follower, "+3650d"), (&*leader, "-3650d"), (&*leader, "+3650d"), (follower, "-3650d")] {
        let why = format!("the clock of {node}, led by {leader}, set {offset}");
        lab.set(&[node], offset);
        lab.tick();
        sealed.push(lab.takes_and_hands_out(&why));
        lab.nothing_may_go(true, &why);
        lab.set(&[node], "+0");
    }
    for item in &sealed {
        let off = ms(text(item, "sealed_at")) - started;
        assert!((-LATEST_MS..=LATEST_MS).contains(&off), "sealed {off} ms off: {item:#}");
        let shown = lab.cluster.json(&["item", "show", text(item, "item")]);
        let kept = ms(text(&shown["retention"], "kept_until")) - started;
        assert!((28 * DAY_MS..33 * DAY_MS).contains(&kept), "kept for {kept} ms: {shown:#}");
    }
    let records = lab.cluster.json(&["ledger", "records", "--limit", "10000"]);
    let advanced = |record: &&Value| record["act"] == "clock.advance" && record["result"] == "done";
    let records = records.as_array().expect("records");
    let from = records.iter().find(advanced).expect("the clock was set ahead")["seq"].as_u64();
    for record in records.iter().filter(|record| record["seq"].as_u64() > from) {
        let off = ms(text(record, "when")) - started;
        assert!((-LATEST_MS..=LATEST_MS).contains(&off), "recorded {off} ms off: {record:#}");
    }
}

/// Whoever sets all clocks decides neither what is due nor for how long disposal is frozen.
fn all_clocks_together_freeze_disposal_and_nothing_else(lab: &Lab) {
    for (offset, offset_ms, trusted) in [
        ("+6h", 6 * HOUR_MS, true),
        ("-6h", -6 * HOUR_MS, true),
        ("+2d", 2 * DAY_MS, false),
        ("-3650d", -3650 * DAY_MS, false),
        ("+3650d", 3650 * DAY_MS, false),
        ("+0", 0, true),
    ] {
        let why = format!("all clocks set {offset}");
        lab.set(&NODES, offset);
        lab.tick_with_walls_off(offset_ms);
        lab.nothing_may_go(trusted, &why);
        lab.takes_and_hands_out(&why);
    }
    let (item, clock) = (lab.takes_and_hands_out("the clocks are right again"), lab.look());
    let off = ms(text(&item, "sealed_at")) - now_ms() - clock.trial_ms;
    assert!((-LATEST_MS..=LATEST_MS).contains(&off), "sealed {off} ms off after the clocks are right again: {item:#}");
}

fn machines_that_start_again_and_again_gain_no_time(lab: &Lab) {
    let before = lab.look();
    for node in NODES {
        lab.reboot(node);
        lab.cluster.on("start", &[node]);
        // The next one goes down when this one's new boot has been seen.
        lab.tick();
    }
    let rolled = lab.look();
    assert_eq!(rolled.outages_ms, before.outages_ms, "a majority ran all the time");
    assert!(rolled.t > before.t, "and measured it");
    for _ in 0..2 {
        lab.cluster.on("kill", &NODES);
        NODES.iter().for_each(|node| lab.reboot(node));
        lab.cluster.bring_up();
        lab.look();
    }
    lab.nothing_may_go(true, "reboots");
}

/// The machines are off for 90 days, and nobody knows but their clocks.
fn an_outage_of_the_majority_is_added_and_never_repaid(lab: &Lab) {
    let before = lab.look();
    lab.cluster.on("kill", &NODES);
    NODES.iter().for_each(|node| lab.reboot(node));
    lab.set(&NODES, "+90d");
    lab.cluster.bring_up();
    wait_for("the record of the outage", || lab.look().outages_ms - before.outages_ms > 89 * DAY_MS);
    lab.nothing_may_go(true, "90 days of outage");
    let records = lab.cluster.json(&["ledger", "records", "--limit", "10000"]);
    let is_outage = |record: &&Value| record["act"] == "clock.outage";
    assert!(records.as_array().expect("records").iter().any(|record| is_outage(&record)), "the outage is a record");
    lab.takes_and_hands_out("after an outage");

    // When its time is really over it may go: what was asked all along was no empty question.
    lab.let_pass(2);
    let plan = ["--as", "archivist", "disposal", "propose", "--item", &lab.due, "--basis", "it is due", "--dry-run"];
    let planned = lab.cluster.json(&plan);
    assert_eq!(planned[0]["eligible"], true, "{planned:#}");

    // There was no outage: so one of the two clocks lied, and until people know which, nothing goes.
    lab.set(&NODES, "+0");
    lab.tick_with_walls_off(0);
    lab.nothing_may_go(false, "an outage that the wall clocks take back");
    lab.takes_and_hands_out("a clock that is not trusted");
}

/// Two offices correct what the wrong clocks recorded: the clock is believed again, and stands where it stood.
fn a_false_outage_is_corrected_by_two_offices(lab: &Lab) {
    let shown = lab.cluster.json(&["cluster", "clock"]);
    let outages = shown["outages"].as_array().expect("outages");
    let false_one = outages.iter().find(|one| one["length_ms"].as_i64() > Some(89 * DAY_MS)).expect("the outage");
    let record = false_one["record"].as_u64().expect("a record");
    let told = String::from_utf8(lab.cluster.run(&["--lang", "zh", "cluster", "clock"]).stdout).expect("UTF-8");
    assert!(told.contains(&format!("correction propose outages {record}=")) && told.contains("销毁已冻结"), "{told}");

    let (whole, half) = (format!("{record}=0s"), format!("{record}=45d"));
    let propose = |right: &str, more: &[&str]| {
        let mut words = vec!["correction", "propose", "outages", right, "--reason", "the clocks were 90 days ahead"];
        words.extend(more);
        lab.cluster.json(&words)
    };
    assert_eq!(propose(&half, &["--dry-run"])["fits"], false);
    let planned = propose(&whole, &["--dry-run"]);
    assert_eq!((&planned["fits"], &planned["before"]["explained_ms"]), (&Value::Bool(true), &shown["outages_ms"]));
    let said = lab.cluster.refused(3, &["correction", "propose", "outages", &half, "--reason", "half of it"]);
    assert!(said.contains("CLOCK_UNTRUSTED"), "{said}");
    let correction = propose(&whole, &[]);
    let correction = text(&correction, "correction").to_owned();
    lab.cluster.refused(3, &["--as", "ops", "correction", "approve", &correction]);
    lab.cluster.done(&["--as", "head", "correction", "approve", &correction]);
    lab.nothing_may_go(false, "a correction that can still be withdrawn");
    let before = lab.look();
    lab.let_pass(7);
    wait_for("the correction", || lab.look().trusted);
    let after = lab.look();
    let passed = after.t - before.t - 7 * DAY_MS;
    assert!((0..LATEST_MS).contains(&passed), "compliance time moved by {passed} ms besides");
    assert_eq!(after.outages_ms, before.outages_ms, "what was recorded stays");
    let records = lab.cluster.json(&["ledger", "records", "--limit", "10000"]);
    assert!(records.as_array().expect("records").iter().any(|record| record["act"] == "clock.correct"));
    let plan = ["--as", "archivist", "disposal", "propose", "--item", &lab.due, "--basis", "it is due", "--dry-run"];
    assert_eq!(lab.cluster.json(&plan)[0]["eligible"], true, "it was due before");
    let fresh = lab.takes_and_hands_out("a clock that was corrected");
    let plan =
        ["--as", "archivist", "disposal", "propose", "--item", text(&fresh, "item"), "--basis", "x", "--dry-run"];
    assert_eq!(lab.cluster.json(&plan)[0]["verdict"]["reason"], "RETENTION_ACTIVE");
}

/// C2, and G2: a period ends when it has passed. MinIO: the local clock of one node decides expiry.
#[test]
fn c2_no_clock_that_is_set_ends_a_period_early_or_turns_compliance_time_back() {
    let Some(lab) = Lab::up() else {
        eprintln!("SKIPPED: libfaketime is not installed (Debian: apt-get install faketime)");
        return;
    };
    one_clock_moves_nothing(&lab);
    all_clocks_together_freeze_disposal_and_nothing_else(&lab);
    machines_that_start_again_and_again_gain_no_time(&lab);
    an_outage_of_the_majority_is_added_and_never_repaid(&lab);
    a_false_outage_is_corrected_by_two_offices(&lab);
}
