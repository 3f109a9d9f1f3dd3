//! Random lives of requests and mandates against the rules of approval said once more, as plainly as they can be: after
//! every step the product did it or refused it as the model says. The model knows nothing of how anything is stored.
//!
//! A few seeds run with every test; `ASKING=FROM..TO` plays others. A failure prints the seed and the step.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_custody::{
    Answer, Command,
    command::{
        AddUnit, ApproveRequest, BeginSession, RegisterPrincipal, RejectRequest, RevokeRequest, Under, WithdrawRequest,
    },
    mandate::{ConfirmMandate, GiveMandate, MandateKind, MandateScope, RevokeMandate},
    profile::RequestAct,
    session::check_read,
};
use strongroom_types::{RecordSeq, RequestId, Role, UnixMillis};

use crate::fixture::{Cluster, DAY, HOUR, created, id, item, key, session, small, submit};

const PROFILE: &str = r#"
name = "asked"
agency = "局"
[floor]
unspecified = true
[acts.view]
requesters = ["recorder", "unit-head"]
approvers = ["legal", "head"]
executors = ["custodian", "archivist"]
delegation = true
appointment = true
valid-days = 3
uses = 2
rule = "C5"
"#;
const VALID: i64 = 3 * DAY;
const USES: u32 = 2;
const STEPS: usize = 150;
const PEOPLE: [(&str, &[Role]); 11] = [
    ("recorder", &[Role::Recorder]),
    ("unit-head", &[Role::UnitHead]),
    ("legal", &[Role::Legal]),
    ("legal-2", &[Role::Legal]),
    ("head", &[Role::Head]),
    ("approver", &[Role::Approver]),
    ("security", &[Role::Security]),
    ("custodian", &[Role::Custodian]),
    ("archivist", &[Role::Archivist]),
    ("jack", &[Role::UnitHead, Role::Legal, Role::Approver, Role::Archivist]),
    ("chief", &[Role::Head, Role::Legal, Role::Custodian]),
];
type Who = &'static str;

fn holds(who: Who, roles: &[Role]) -> bool {
    PEOPLE.iter().any(|(name, own)| *name == who && own.iter().any(|role| roles.contains(role)))
}

#[derive(Debug, PartialEq)]
enum Stands {
    Waits,
    Granted(UnixMillis),
    Over,
}

#[derive(Debug)]
struct Request {
    by: Who,
    at: UnixMillis,
    stands: Stands,
    /// Who spoke, for which office, and whose right it was where that was lent.
    given: Vec<(Who, Role, Option<Who>)>,
    uses: u32,
}

#[derive(Debug)]
struct Mandate {
    lent: bool,
    by: Who,
    holder: Who,
    from: UnixMillis,
    until: UnixMillis,
    confirmed: bool,
    revoked: bool,
}

#[derive(Debug, Default)]
struct Model {
    requests: BTreeMap<u64, Request>,
    mandates: BTreeMap<u64, Mandate>,
    /// Who reads under which request, until when.
    sessions: BTreeMap<u8, (Who, u64, UnixMillis)>,
}

impl Request {
    fn waits(&self, now: UnixMillis) -> bool {
        self.stands == Stands::Waits && now < self.at.plus_ms(VALID)
    }

    fn granted_until(&self, now: UnixMillis) -> Option<UnixMillis> {
        match self.stands {
            Stands::Granted(until) if now < until => Some(until),
            _ => None,
        }
    }

    fn took_part(&self, who: Who) -> bool {
        self.given.iter().any(|(spoke, _, lender)| *spoke == who || *lender == Some(who))
    }

    fn misses(&self, office: Role) -> bool {
        self.given.iter().all(|(_, given, _)| *given != office)
    }
}

impl Model {
    /// The office for which somebody may speak, and who lent it.
    fn office(&self, who: Who, request: &Request, now: UnixMillis) -> Option<(Role, Option<Who>)> {
        if !request.waits(now) || request.by == who || request.took_part(who) {
            return None;
        }
        let own =
            [Role::Legal, Role::Head].into_iter().find(|office| request.misses(*office) && holds(who, &[*office]));
        if let Some(office) = own {
            return Some((office, None));
        }
        let serves = |mandate: &&Mandate| {
            mandate.holder == who
                && !mandate.revoked
                && (mandate.lent || mandate.confirmed)
                && mandate.from <= now
                && now < mandate.until
                && !(mandate.lent && mandate.by == request.by)
        };
        let mandate = self.mandates.values().rev().find(serves).filter(|_| request.misses(Role::Head))?;
        Some((Role::Head, mandate.lent.then_some(mandate.by)))
    }

    fn may_begin(&self, who: Who, request: &Request, now: UnixMillis) -> bool {
        request.granted_until(now).is_some()
            && request.uses < USES
            && holds(who, &[Role::Custodian, Role::Archivist])
            && request.by != who
            && !request.took_part(who)
    }

    fn may_revoke(&self, who: Who, request: &Request, now: UnixMillis) -> bool {
        let granted = request.granted_until(now).is_some();
        (granted || request.waits(now)) && (request.took_part(who) || granted && holds(who, &[Role::Legal]))
    }

    fn may_read(&self, who: Who, number: u8, now: UnixMillis) -> bool {
        let Some((reader, request, until)) = self.sessions.get(&number) else { return false };
        *reader == who && now < *until && self.requests[request].stands != Stands::Over
    }

    /// Only the head lends, only security appoints; to somebody in charge who is not head already.
    fn may_give(by: Who, holder: Who, lent: bool) -> bool {
        holds(by, &[if lent { Role::Head } else { Role::Security }])
            && by != holder
            && holds(holder, &[Role::UnitHead, Role::Legal, Role::Approver])
            && !holds(holder, &[Role::Head])
    }

    fn may_confirm(who: Who, mandate: &Mandate, now: UnixMillis) -> bool {
        let waits = !mandate.lent && !mandate.confirmed && !mandate.revoked && now < mandate.until;
        waits && holds(who, &[Role::Legal, Role::Head]) && who != mandate.holder
    }

    fn may_end(who: Who, mandate: &Mandate, now: UnixMillis) -> bool {
        let stands = !mandate.revoked && now < mandate.until;
        stands && (who == mandate.by || holds(who, &[Role::Legal, Role::Head, Role::Security]))
    }
}

struct Dice(u64);

impl Dice {
    /// SplitMix64: the same seed gives the same life everywhere.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.roll(of.len() as u64)).expect("few")]
    }

    fn key<K: Copy, V>(&mut self, of: &BTreeMap<K, V>) -> Option<K> {
        // The newest few are what is under way.
        let newest: Vec<K> = of.keys().rev().take(4).copied().collect();
        (!newest.is_empty()).then(|| self.one_of(&newest))
    }
}

fn cluster() -> Cluster {
    let mut create = created();
    create.profiles.push(PROFILE.to_owned());
    create.units.push(AddUnit { unit: id("G1"), full_name: "G1".to_owned(), profile: id("asked") });
    let (name, roles) = PEOPLE[10];
    let chief = RegisterPrincipal { principal: id(name), key: key(name), roles: roles.to_vec(), unit: None };
    create.principals.push(chief);
    let mut cluster = Cluster::from(create);
    cluster.done("station", Command::SealOriginal(small(1, "G1")));
    cluster
}

/// Plays one step; says its name, what the model says and what the product did.
fn play(model: &mut Model, cluster: &mut Cluster, dice: &mut Dice) -> (&'static str, bool, bool) {
    let who = dice.one_of(&PEOPLE.map(|(name, _)| name));
    let now = cluster.wall;
    let reason = || "x".to_owned();
    let what = dice.roll(16);
    if what == 0 || model.requests.is_empty() {
        let by = dice.one_of(&["recorder", "unit-head", "jack", "legal"]);
        let allowed = holds(by, &[Role::Recorder, Role::UnitHead]);
        let asked = Command::SubmitRequest(submit(RequestAct::View, &[1], &[("reason", "x")]));
        let answer = cluster.by(by, asked);
        if let Ok(Answer::Request(row)) = &answer {
            let request = Request { by, at: now, stands: Stands::Waits, given: Vec::new(), uses: 0 };
            model.requests.insert(row.id.0, request);
        }
        return ("submit", allowed, answer.is_ok());
    }
    let number = dice.key(&model.requests).expect("there is one");
    let request = RequestId(number);
    match what {
        1..=4 => {
            let office = model.office(who, &model.requests[&number], now);
            let done = cluster.by(who, Command::ApproveRequest(ApproveRequest { request })).is_ok();
            if let Some((office, lender)) = office {
                let row = model.requests.get_mut(&number).expect("there");
                row.given.push((who, office, lender));
                if !row.misses(Role::Legal) && !row.misses(Role::Head) {
                    row.stands = Stands::Granted(now.plus_ms(VALID));
                }
            }
            ("approve", office.is_some(), done)
        }
        5 => {
            let allowed = model.office(who, &model.requests[&number], now).is_some();
            let done = cluster.by(who, Command::RejectRequest(RejectRequest { request, reason: reason() })).is_ok();
            over(model, number, allowed);
            ("reject", allowed, done)
        }
        6 => {
            let row = &model.requests[&number];
            let allowed = row.waits(now) && row.by == who;
            let done = cluster.by(who, Command::WithdrawRequest(WithdrawRequest { request, reason: reason() })).is_ok();
            over(model, number, allowed);
            ("withdraw", allowed, done)
        }
        7 => {
            let allowed = model.may_revoke(who, &model.requests[&number], now);
            let done = cluster.by(who, Command::RevokeRequest(RevokeRequest { request, reason: reason() })).is_ok();
            over(model, number, allowed);
            ("revoke", allowed, done)
        }
        8 | 9 => {
            let allowed = model.may_begin(who, &model.requests[&number], now);
            let next = u8::try_from(model.sessions.len() + 1).expect("few sessions");
            let under = Under::View(request, item(1));
            let done = cluster.by(who, Command::BeginSession(BeginSession { session: session(next), under })).is_ok();
            if allowed {
                let row = model.requests.get_mut(&number).expect("there");
                row.uses += 1;
                let until = row.granted_until(now).expect("granted").min(now.plus_ms(DAY));
                model.sessions.insert(next, (who, number, until));
            }
            ("begin", allowed, done)
        }
        10 => {
            let Some(number) = dice.key(&model.sessions) else { return ("read", false, false) };
            let reader = model.sessions[&number].0;
            let who = dice.one_of(&[reader, reader, who]);
            let done = check_read(&cluster.rows, &key(who), session(number), item(1)).is_ok();
            ("read", model.may_read(who, number, now), done)
        }
        11 => {
            let lent = dice.roll(2) == 0;
            let by = dice.one_of(&[who, "head", "chief", "security"]);
            let holder = dice.one_of(&PEOPLE.map(|(name, _)| name));
            let from = now.plus_ms(dice.one_of(&[0, 0, 0, DAY]));
            let until = from.plus_ms(dice.one_of(&[HOUR, 2 * DAY, 9 * DAY]));
            let allowed = Model::may_give(by, holder, lent);
            let give = GiveMandate {
                kind: if lent { MandateKind::Delegation } else { MandateKind::Appointment },
                holder: id(holder),
                role: Role::Head,
                scope: MandateScope {
                    acts: if lent { vec![RequestAct::View] } else { Vec::new() },
                    ..MandateScope::default()
                },
                from: Some(from),
                until,
                document: "文7号".to_owned(),
            };
            let answer = cluster.by(by, Command::GiveMandate(give));
            if let Ok(Answer::Recorded(seq)) = &answer {
                let mandate = Mandate { lent, by, holder, from, until, confirmed: false, revoked: false };
                model.mandates.insert(seq.0, mandate);
            }
            (if lent { "delegate" } else { "appoint" }, allowed, answer.is_ok())
        }
        12 | 13 => {
            let Some(number) = dice.key(&model.mandates) else { return ("confirm", false, false) };
            let mandate = model.mandates.get_mut(&number).expect("there");
            let holder = id(mandate.holder);
            let seq = RecordSeq(number);
            if what == 12 {
                let allowed = Model::may_confirm(who, mandate, now);
                mandate.confirmed |= allowed;
                let confirm = ConfirmMandate { holder, mandate: seq };
                return ("confirm", allowed, cluster.by(who, Command::ConfirmMandate(confirm)).is_ok());
            }
            let allowed = Model::may_end(who, mandate, now);
            mandate.revoked |= allowed;
            let revoke = RevokeMandate { holder, mandate: seq, reason: reason() };
            ("end mandate", allowed, cluster.by(who, Command::RevokeMandate(revoke)).is_ok())
        }
        _ => {
            cluster.pass(dice.one_of(&[1000, HOUR, 9 * HOUR, DAY, VALID]));
            ("pass", true, true)
        }
    }
}

fn over(model: &mut Model, number: u64, allowed: bool) {
    if allowed {
        model.requests.get_mut(&number).expect("there").stands = Stands::Over;
    }
}

#[test]
fn no_life_of_a_request_disagrees_with_the_model_of_approvals() {
    let seeds = std::env::var("ASKING").ok().map_or(0..60, |text| {
        let (from, to) = text.split_once("..").expect("ASKING=FROM..TO");
        from.parse().expect("a number")..to.parse().expect("a number")
    });
    let (mut done, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for seed in seeds {
        let (mut model, mut cluster, mut dice) = (Model::default(), cluster(), Dice(seed));
        for at in 0..STEPS {
            let (name, allowed, did) = play(&mut model, &mut cluster, &mut dice);
            let record = cluster.records.last();
            assert_eq!(did, allowed, "seed {seed}, step {at}: {name}: {record:?}\n{model:#?}");
            if did {
                done.insert(name)
            } else {
                refused.insert(name)
            };
        }
    }
    let names = [
        "appoint",
        "approve",
        "begin",
        "confirm",
        "delegate",
        "end mandate",
        "read",
        "reject",
        "revoke",
        "submit",
        "withdraw",
    ];
    // A generator that gets only one answer is no test.
    assert!(names.iter().all(|name| done.contains(name) && refused.contains(name)), "{done:?}\n{refused:?}");
}
