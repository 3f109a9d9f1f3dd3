//! Every agency is cited its own text: what the cluster does for all of them is refused and recorded by the article of the
//! one that it is done for, or by a general rule where that text says nothing.

use std::collections::BTreeSet;

use strongroom_custody::{
    Command,
    activity::OpenActivity,
    citation,
    command::AddDevice,
    deadline,
    device::{DockDevice, Docking, ReportFault, ReportLoss},
    exemption::{ConsentOffice, RecordExemption},
    keeper::NameKeeper,
    profile::{Profile, Topic},
    tables::DeviceType,
};
use strongroom_types::{Reason, Refusal};

use crate::{
    fixture::{Cluster, START, id},
    interruptions::interrupted_under,
    samples::opening,
};

const QIDONG: &str = include_str!("../../../../profiles/qidong-chengguan.toml");
const RENFANG: &str = include_str!("../../../../profiles/renfang.toml");
const SHIER: &str = include_str!("../../../../profiles/shier-shi-zhujian.toml");
const XIAMEN: &str = include_str!("../../../../profiles/xiamen-chengguan.toml");
const NEIQIU: &str = include_str!("../../../../profiles/neiqiu-weijian.toml");
/// Each text with the beginning of its rule ids.
const TEXTS: [(&str, &str); 5] =
    [(QIDONG, "R-000-"), (RENFANG, "R-001-"), (SHIER, "R-002-"), (XIAMEN, "R-003-"), (NEIQIU, "R-004-")];

/// A cluster with unit U5 under a text, and a device of it.
fn under(toml: &str) -> Cluster {
    let mut cluster = Cluster::under(toml);
    let device = AddDevice {
        device: id("D5"),
        unit: id("U5"),
        device_type: DeviceType::Bwc,
        brand_model: "X1".to_owned(),
        asset: None,
    };
    cluster.done("custodian", Command::AddDevice(device));
    cluster
}

fn missing(cluster: &mut Cluster, by: &str, command: Command) -> String {
    cluster.refused(by, command, Reason::FieldMissing).rule
}

fn loss() -> Command {
    Command::ReportLoss(ReportLoss { device: id("D5"), noticed_at: START, circumstances: " ".to_owned() })
}

fn fault() -> Command {
    let (fault, reported_to) = (" ".to_owned(), "x".to_owned());
    Command::ReportFault(ReportFault { device: id("D5"), found_at: START, fault, reported_to })
}

fn docking() -> Command {
    let docking = Docking {
        offset_ms: 0,
        against: String::new(),
        battery_percent: None,
        free_bytes: None,
        un_ingested: 0,
        shows_time: None,
    };
    Command::DockDevice(DockDevice { device: id("D5"), docking })
}

fn keeper() -> Command {
    let (unit, principal) = (id("U5"), id("archivist"));
    Command::NameKeeper(NameKeeper { unit, principal, device: None, from: None, until: None })
}

#[test]
fn devices_are_refused_by_the_article_of_their_own_agency() {
    for (toml, custody, faults, check, custodian) in [
        (QIDONG, "R-000-3", "B10", "R-000-7", "R-000-3"),
        (RENFANG, "R-001-9", "R-001-16", "R-001-11", "R-001-9"),
        (SHIER, "B10", "B10", "R-002-5", "B10"),
        (XIAMEN, "R-003-6a", "B10", "G4", "B10"),
        (NEIQIU, "R-004-14", "R-004-13", "R-004-10", "R-004-9"),
    ] {
        let mut cluster = under(toml);
        assert_eq!(cluster.last_record().rule, custody, "the register begins by it");
        assert_eq!(missing(&mut cluster, "custodian", loss()), custody);
        assert_eq!(missing(&mut cluster, "custodian", fault()), faults);
        assert_eq!(missing(&mut cluster, "station", docking()), check);
        assert_eq!(cluster.refused("unit-head", keeper(), Reason::InvalidArgument).rule, custodian);
    }
}

#[test]
fn activities_are_refused_by_the_article_of_their_own_agency() {
    type Change = fn(&mut OpenActivity);
    let no_kind: Change = |opening| opening.kind = " ".to_owned();
    let no_place: Change = |opening| opening.place.clear();
    let no_number: Change = |opening| opening.officers[0].certificate.clear();
    for (toml, kind, kinds, archive, certificates) in [
        (QIDONG, "site_inspection", "R-000-14", "R-000-20", "B10"),
        (RENFANG, "any", "B10", "B10", "B10"),
        (SHIER, "service", "R-002-6", "B10", "R-002-8"),
        (XIAMEN, "service", "R-003-2", "B10", "R-003-4"),
        (NEIQIU, "complaint", "R-004-5", "B10", "B10"),
    ] {
        let mut cluster = under(toml);
        for (change, rule) in [(no_kind, kinds), (no_place, archive), (no_number, certificates)] {
            let mut opening = OpenActivity { kind: kind.to_owned(), ..opening("A-5", "U5") };
            change(&mut opening);
            assert_eq!(missing(&mut cluster, "recorder", Command::OpenActivity(Box::new(opening))), rule, "{kind}");
        }
    }
}

#[test]
fn what_may_go_unrecorded_is_what_each_text_names() {
    let exempt = |cause: &str, legal_basis: &str, consented_by: &str| {
        Command::RecordExemption(Box::new(RecordExemption {
            activity: id("A-9"),
            text: "x".to_owned(),
            legal_basis: legal_basis.to_owned(),
            consented_by: consented_by.to_owned(),
            consent_office: ConsentOffice::CaseUnit,
            consented_at: START,
            work_record: None,
            reported_to: String::new(),
            cause: cause.to_owned(),
        }))
    };
    for (toml, kind, cause, basis, consent, expected, rule) in [
        (QIDONG, "site_inspection", "evidence_need", "", "王五", None, "R-000-16"),
        (QIDONG, "site_inspection", "evidence_need", "", "", Some(Reason::FieldMissing), "R-000-16"),
        (QIDONG, "site_inspection", "secrecy", "x", "王五", Some(Reason::InvalidArgument), "R-000-16"),
        (RENFANG, "巡查", "force_majeure", "x", "王五", Some(Reason::InvalidArgument), "R-001-10"),
        (SHIER, "service", "secrecy", "第七条（一）", "", None, "R-002-7"),
        (SHIER, "service", "secrecy", "", "", Some(Reason::FieldMissing), "R-002-7"),
        (SHIER, "service", "force_majeure", "x", "", Some(Reason::InvalidArgument), "R-002-7"),
        (XIAMEN, "service", "bad_weather", "", "", None, "R-003-6b"),
        (XIAMEN, "service", "evidence_need", "", "", Some(Reason::InvalidArgument), "R-003-6b"),
        (NEIQIU, "complaint", "force_majeure", "", "王五", None, "R-004-8"),
        (NEIQIU, "complaint", "urgent", "", "王五", Some(Reason::InvalidArgument), "R-004-8"),
    ] {
        let mut cluster = interrupted_under(toml, kind);
        let command = exempt(cause, basis, consent);
        match expected {
            None => {
                cluster.done("recorder", command);
                assert_eq!(cluster.last_record().rule, rule, "{cause}");
            }
            Some(reason) => {
                let refusal: Refusal = cluster.refused("recorder", command, reason);
                assert_eq!(refusal.rule, rule, "{cause}: {refusal:?}");
            }
        }
    }
}

/// Whoever is refused by an article can read it: the words are found for every id that a profile cites.
#[test]
fn the_words_of_every_article_that_is_cited_are_found_by_its_id() {
    for (toml, own) in TEXTS {
        let cluster = Cluster::under(toml);
        let cited: BTreeSet<_> =
            toml.lines().filter_map(|line| line.strip_prefix("rule = \"")?.strip_suffix('"')).collect();
        assert!(cited.len() > 5, "{own}");
        for rule in cited.into_iter().filter(|rule| rule.starts_with("R-")) {
            let words = citation::article(&cluster.rows, rule).expect("reads").unwrap_or_default();
            assert!(!words.is_empty(), "{rule} is cited and has no words");
        }
    }
    assert_eq!(citation::article(&Cluster::new().rows, "R-999-1").expect("reads"), None);
}

/// What a general rule says is known for every id of one that our code cites.
#[test]
fn every_general_rule_has_its_words_in_both_languages() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut waiting = vec![sources];
    let mut cited = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source");
        let quoted = text.split('"').skip(1).step_by(2);
        let is_rule = |word: &&str| {
            let mut letters = word.chars();
            letters.next().is_some_and(|first| "GBC".contains(first))
                && word.len() > 1
                && letters.all(|c| c.is_ascii_digit())
        };
        cited.extend(quoted.filter(is_rule).map(str::to_owned));
    }
    assert!(cited.len() > 10, "{cited:?}");
    for rule in cited {
        assert!(strongroom_types::rule::words(&rule).is_some(), "{rule} has no words");
    }
}

/// Whatever a profile cites is of its own text.
#[test]
fn no_profile_cites_the_text_of_another_agency() {
    for (toml, own) in TEXTS {
        let profile = Profile::from_toml(toml).expect("a profile");
        let deadlines = deadline::of_profile(&profile);
        let sections = [
            deadlines.rule.as_str(),
            profile.ingest_rule(),
            profile.labels_rule(),
            profile.exemption_rule(),
            profile.interruption_rule(),
            profile.kinds_rule(),
            profile.open_floor_rule(),
        ];
        for rule in sections.into_iter().chain(Topic::ALL.map(|topic| profile.rule_on(topic))) {
            assert!(rule.starts_with(own) || !rule.starts_with("R-"), "{} cites {rule}", profile.name);
        }
    }
    let silent =
        Profile::from_toml("name = \"silent\"\nagency = \"某局\"\n[floor]\nunspecified = true\n").expect("a profile");
    assert_eq!(deadline::of_profile(&silent).rule, "C1", "what no text says is not cited from one that does");
}

#[test]
fn a_topic_that_there_is_not_is_told_by_its_line() {
    let toml = format!("{RENFANG}\n[articles.weather]\nrule = \"R-001-1\"\narticle = \"\"\n");
    let mistakes = Profile::from_toml(&toml).expect_err("there is no such topic").to_string();
    assert!(mistakes.contains("articles.weather") && mistakes.contains("device-custody"), "{mistakes}");
}
