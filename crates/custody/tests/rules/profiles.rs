//! The profiles of the five regulations: every word that they quote stands in the text, and every value is the one
//! that the register of requirements names.

use std::collections::BTreeSet;

use strongroom_custody::profile::{
    ActRule, Chain, Code, CustodianOf, Due, EvidenceTerm, Field, Left, Medium, NoRule, Over, Profile, RecipientKind,
    RequestAct, Start, explained, left_open,
};
use strongroom_types::Role;

const DEV: &str = include_str!("../../../../profiles/dev.toml");
/// Regulation number, profile file and the regulation's text.
const REGULATIONS: [(&str, &str, &str); 5] = [
    (
        "000",
        include_str!("../../../../profiles/qidong-chengguan.toml"),
        include_str!("../../../../profiles/texts/qidong-chengguan.txt"),
    ),
    ("001", include_str!("../../../../profiles/renfang.toml"), include_str!("../../../../profiles/texts/renfang.txt")),
    (
        "002",
        include_str!("../../../../profiles/shier-shi-zhujian.toml"),
        include_str!("../../../../profiles/texts/shier-shi-zhujian.txt"),
    ),
    (
        "003",
        include_str!("../../../../profiles/xiamen-chengguan.toml"),
        include_str!("../../../../profiles/texts/xiamen-chengguan.txt"),
    ),
    (
        "004",
        include_str!("../../../../profiles/neiqiu-weijian.toml"),
        include_str!("../../../../profiles/texts/neiqiu-weijian.txt"),
    ),
];

fn profile(number: &str) -> Profile {
    let (_, toml, _) = REGULATIONS.iter().find(|(own, ..)| *own == number).expect("a regulation");
    Profile::from_toml(toml).unwrap_or_else(|mistakes| panic!("{number}: {mistakes}"))
}

/// The text without what a line break or a web page adds.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_whitespace()).collect()
}

fn codes(codes: &[Code]) -> Vec<&str> {
    codes.iter().map(|code| code.code.as_str()).collect()
}

fn names(fields: &[Field]) -> Vec<&str> {
    fields.iter().map(|field| field.name.as_str()).collect()
}

#[track_caller]
fn rule<'a>(profile: &'a Profile, act: RequestAct, purpose: Option<&str>) -> &'a ActRule {
    profile.rule(act, purpose).unwrap_or_else(|none| panic!("{}: {none:?}", act.name()))
}

/// The act is left open, by this rule.
#[track_caller]
fn open(profile: &Profile, act: RequestAct, purpose: Option<&str>, by: &str) {
    match profile.rule(act, purpose) {
        Err(NoRule::Open(source)) => assert_eq!(source.rule, by, "{}", act.name()),
        other => panic!("{}: {other:?}", act.name()),
    }
}

#[track_caller]
fn floor(number: &str, months: Option<u32>, by: &str) {
    let profile = profile(number);
    let found = profile.floor.as_ref().map(|floor| (floor.months, floor.source.rule.as_str()));
    assert_eq!(found, months.map(|months| (months, by)));
    if months.is_none() {
        assert_eq!(profile.open["floor"].rule, by);
    }
}

#[test]
fn every_profile_of_the_folder_is_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../profiles");
    let mut known: BTreeSet<String> = REGULATIONS.map(|(_, toml, _)| toml.to_owned()).into();
    known.insert(DEV.to_owned());
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).expect("reads");
            assert!(known.remove(&text), "{} is checked by no test", path.display());
            let profile = Profile::from_toml(&text).unwrap_or_else(|mistakes| panic!("{}: {mistakes}", path.display()));
            assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(profile.name.as_str()));
        }
    }
    assert_eq!(known, BTreeSet::new());
}

#[test]
fn every_quoted_word_stands_in_the_regulation() {
    for (number, toml, text) in REGULATIONS {
        let text = plain(text);
        let profile = profile(number);
        let sources = explained(&profile).into_iter().map(|line| (line.place, line.source));
        let sources: Vec<_> = sources.chain(profile.open.clone()).collect();
        for (place, source) in &sources {
            let mut rest = text.as_str();
            for part in source.article.split("……") {
                let part = plain(part);
                let at = rest.find(&part).unwrap_or_else(|| panic!("{number} {place}: {part:?} is not in the text"));
                rest = &rest[at + part.len()..];
            }
            assert!(!source.article.is_empty() || source.interpreted || !source.note.is_empty(), "{number} {place}");
            let of_this = source.rule.starts_with(&format!("R-{number}"));
            assert!(
                of_this || (source.rule.is_empty() && !source.note.is_empty()),
                "{number} {place}: {}",
                source.rule
            );
        }
        // None is missed: every article of the file was looked at.
        let quoted = toml.lines().filter_map(|line| line.strip_prefix("article = \"")?.strip_suffix('"'));
        for article in quoted {
            assert!(
                sources.iter().any(|(_, source)| source.article == article),
                "{number}: {article} is not explained"
            );
        }
    }
}

#[test]
fn the_words_of_codes_and_fields_are_those_of_the_text() {
    for (number, _, text) in REGULATIONS {
        let (text, profile) = (plain(text), profile(number));
        let kinds = profile.activities.iter().flat_map(|activities| &activities.kinds);
        let causes = profile.interruption.iter().flat_map(|interruption| &interruption.causes);
        // 电量不足 stands in the text as 电量、存储空间不足, and what is called 等 is called other.
        let whole = |code: &&Code| !matches!(code.code.as_str(), "battery_low" | "other");
        for code in kinds.chain(causes.filter(whole)) {
            assert!(text.contains(&plain(&code.words)), "{number}: {} is not in the text", code.words);
        }
    }
}

#[test]
fn floors_are_those_of_the_texts() {
    floor("000", Some(6), "R-000-21a");
    floor("001", Some(24), "R-001-14b");
    floor("002", Some(12), "R-002-14");
    floor("003", Some(12), "R-003-5e");
    floor("004", None, "R-004-RET");
}

#[test]
fn evidence_is_stated_inferred_or_open() {
    for (number, expected) in [
        ("000", Some(("R-000-22", false, ""))),
        ("001", Some(("R-001-14c", true, "行政处罚案件"))),
        ("002", Some(("R-002-14", true, ""))),
        ("003", Some(("R-003-5e", true, "城管处罚案件"))),
        ("004", None),
    ] {
        let profile = profile(number);
        let found = profile.evidence.as_ref().map(|evidence| {
            assert_eq!(evidence.term, EvidenceTerm::CaseFile);
            (evidence.source.rule.as_str(), evidence.stated, evidence.scope.as_str())
        });
        assert_eq!(found, expected, "{number}");
        assert_eq!(found.is_none(), profile.open.contains_key("evidence"));
    }
}

#[test]
fn long_term_triggers_are_those_of_r_000_21b_and_r_004_7() {
    let triggers = |number: &str| -> Vec<String> {
        profile(number).long_term.iter().flat_map(|long| &long.triggers).map(|trigger| trigger.code.clone()).collect()
    };
    assert_eq!(
        triggers("000"),
        [
            "hostile_or_prior_conflict",
            "objection_complaint_petition",
            "evade_refuse_obstruct_abuse_assault",
            "mass_or_sudden_incident",
            "other_important",
        ]
    );
    assert_eq!(
        triggers("004"),
        [
            "objection_complaint_petition",
            "evade_refuse_obstruct_abuse_assault",
            "mass_or_sudden_incident",
            "major_complex",
        ]
    );
    for number in ["001", "002", "003"] {
        assert!(triggers(number).is_empty() && profile(number).open.contains_key("long-term"), "{number}");
    }
    let media = |number: &str| profile(number).long_term.expect("triggers").media;
    assert_eq!(media("000"), [Medium::Cluster, Medium::OpticalDisc]);
    assert_eq!(media("004"), [Medium::Cluster]);
    let prompts: Vec<_> = profile("000").long_term.expect("triggers").triggers.remove(1).prompts;
    assert!(prompts.contains(&"投诉".to_owned()), "a label word prompts: {prompts:?}");
}

#[test]
fn deadlines_start_where_the_texts_start_them() {
    for (number, start, due, warn, by) in [
        ("000", Start::ActivityEnd, Due::SameDay, None, "R-000-19"),
        ("001", Start::ActivityEnd, Due::Hours(24), None, "R-001-14a"),
        ("002", Start::ActivityEnd, Due::SameDay, None, "R-002-13"),
        ("003", Start::WorkDayEnd, Due::Hours(24), Some(Start::ActivityEnd), "R-003-5a"),
        ("004", Start::MatterEnd, Due::Hours(24), None, "R-004-16"),
    ] {
        let ingest = profile(number).ingest.expect("a deadline");
        let deadline = &ingest.deadline;
        assert_eq!((deadline.start, deadline.due, deadline.warn_start), (start, due, warn), "{number}");
        assert_eq!(ingest.source.rule, by);
        let late: Vec<_> = ingest.exceptions.iter().map(|late| (late.words.as_str(), late.start, late.hours)).collect();
        if matches!(number, "000" | "002") {
            let back = Start::ReturnedToUnit;
            assert_eq!(late, [("连续工作", back, 24), ("异地执法", back, 24), ("偏远、交通不便地区", back, 24)]);
            let evening = ingest.evening.expect("activities that end late");
            assert_eq!((evening.after_minute, evening.due_minute), (22 * 60, 2 * 60));
            assert!(evening.source.interpreted, "no text says 22:00");
        } else {
            assert!(late.is_empty() && ingest.evening.is_none(), "{number}");
        }
    }
    assert_eq!(
        codes(&profile("002").ingest.expect("sources").sources),
        ["office_computer", "removable_disk", "collector"]
    );
    assert_eq!(profile("001").ingest.expect("a place").saved_to, "后台硬盘服务器");
}

#[test]
fn labelling_is_due_in_xiamen_within_48_hours_r_003_5a() {
    let labels = profile("003").labels.expect("labels");
    let deadline = labels.deadline.expect("a deadline");
    assert_eq!((deadline.start, deadline.due), (Start::ActivityEnd, Due::Hours(48)));
    assert_eq!(deadline.warn_hours, [36, 44]);
    assert!(labels.source.interpreted, "where the 48 hours begin is silent");
    for number in ["000", "002", "004"] {
        assert!(profile(number).labels.expect("labels").deadline.is_none(), "{number}");
    }
}

#[test]
fn labelled_takes_the_fields_of_r_000_20_r_002_8_r_003_5b_and_r_004_14() {
    for (number, by, expected) in [
        ("000", "R-000-20", &["department", "device_no", "officer", "rec_start", "rec_end", "content"][..]),
        ("002", "R-002-8", &["officers", "cert_numbers"]),
        ("003", "R-003-5a", &["party", "inspect_date", "inspect_content"]),
        ("004", "R-004-14", &["device_no", "user_identity"]),
    ] {
        let labels = profile(number).labels.expect("labels");
        assert_eq!((names(&labels.required).as_slice(), labels.source.rule.as_str()), (expected, by));
        assert_eq!(labels.accepted, ["无特定相对人", "身份不明", "拒不提供"], "{number}");
    }
    assert!(profile("001").open.contains_key("labels"));
}

#[test]
fn names_and_folders_are_those_of_r_003_5b_and_r_004_14() {
    let naming = profile("003").naming.expect("a format");
    assert_eq!(naming.format, "{unit}+{party}+{inspect_date}+{inspect_content}");
    assert_eq!(naming.source.rule, "R-003-5b");
    let layout = profile("004").layout.expect("folders");
    assert_eq!(layout.path, "现场执法记录设备影像资料/{year}/{month}/{day}/{case}");
    assert_eq!(layout.source.rule, "R-004-14");
    for number in ["000", "001", "002", "004"] {
        assert!(profile(number).naming.is_none(), "{number}");
    }
}

#[test]
fn kinds_of_activity_are_as_many_as_the_texts_list() {
    for (number, by, count) in
        [("000", "R-000-14", 12), ("002", "R-002-6", 5), ("003", "R-003-2", 8), ("004", "R-004-5", 5)]
    {
        let activities = profile(number).activities.expect("kinds");
        assert_eq!((activities.kinds.len(), activities.source.rule.as_str()), (count, by));
    }
    assert!(profile("001").activities.is_none());
}

#[test]
fn exemptions_and_interruptions_are_agreed_to_and_reported_as_the_texts_say() {
    for (number, by) in [("000", "R-000-16"), ("004", "R-004-8")] {
        let exemption = profile(number).exemption.expect("exemptions");
        let consent: Vec<_> = exemption.consent.iter().map(|who| (who.words.as_str(), who.role)).collect();
        assert_eq!(consent, [("现场负责人", None), ("办案部门领导", Some(Role::UnitHead))]);
        assert_eq!(exemption.source.rule, by);
    }
    let exemption = profile("002").exemption.expect("R-002-7");
    assert!(exemption.consent.is_empty());
    assert_eq!(exemption.report_to.map(|who| who.words).as_deref(), Some("局主管领导"));
    assert_eq!(names(&exemption.required), ["exemption_reason", "legal_basis"]);
    assert!(profile("001").exemption.is_none());
    let causes = |number: &str| profile(number).interruption.expect("causes");
    for (number, by) in [("000", "R-000-13"), ("002", "R-002-11")] {
        let interruption = causes(number);
        assert_eq!(
            codes(&interruption.causes),
            ["device_fault", "bad_weather", "battery_low", "storage_full", "place_changed", "other"]
        );
        assert!(interruption.voice_note && interruption.statement);
        assert_eq!(interruption.report_to.and_then(|who| who.role), Some(Role::UnitHead));
        assert_eq!(interruption.source.rule, by);
    }
    assert_eq!(codes(&causes("000").gaps), ["art12_same_phase_different_place_time"], "R-000-11/12");
    assert_eq!(causes("001").kept_by.and_then(|who| who.role), Some(Role::Custodian), "R-001-10");
    assert_eq!(causes("003").source.rule, "R-003-6b");
    assert_eq!(codes(&causes("004").causes), ["technical"], "R-004-6");
}

#[test]
fn r_000_25_and_26_legal_asks_the_head_approves_and_the_owning_unit_provides() {
    let profile = profile("000");
    let judicial = rule(&profile, RequestAct::View, Some("judicial"));
    let transfer = rule(&profile, RequestAct::Transfer, None);
    for (rule, by) in [(judicial, "R-000-25a"), (transfer, "R-000-25b")] {
        assert_eq!((rule.requesters.as_slice(), &rule.approvers), ([Role::Legal].as_slice(), &Chain::Role(Role::Head)));
        assert!(rule.owning_unit && rule.appointment && !rule.delegation, "{by}");
        assert_eq!(rule.executors, [Role::Custodian, Role::UnitHead]);
        assert_eq!(rule.recipients, [RecipientKind::Police, RecipientKind::Procuratorate, RecipientKind::Court]);
        assert_eq!(rule.source.rule, by);
        assert!(!rule.urgent_oral, "off unless a profile turns it on");
    }
    assert_eq!(judicial.registered, ["viewer_org", "viewer", "reason", "viewed_at", "content_viewed"]);
    assert_eq!(transfer.registered, ["receiving_org", "receiver", "reason", "transferred_at"]);
    assert!(transfer.keep_copy && !judicial.keep_copy, "复制留存");
    let internal = rule(&profile, RequestAct::View, Some("internal_department"));
    assert!(internal.delegation && internal.keep_copy && internal.owning_unit);
    assert_eq!((&internal.approvers, internal.source.rule.as_str()), (&Chain::Role(Role::Head), "R-000-26"));
    assert_eq!(internal.registered, ["viewer_dept", "viewer", "reason", "viewed_at", "content_viewed"]);
    open(&profile, RequestAct::Copy, None, "R-000-22");
    for act in [RequestAct::Provide, RequestAct::Publish] {
        let rule = rule(&profile, act, None);
        assert_eq!((&rule.approvers, rule.source.interpreted), (&Chain::Role(Role::Head), true), "R-000-24");
    }
}

#[test]
fn r_001_15_names_no_approver_so_every_act_is_open() {
    let profile = profile("001");
    for act in RequestAct::ALL {
        open(&profile, act, None, "R-001-15");
    }
    assert!(profile.standing_views.is_empty());
}

#[test]
fn r_002_16_and_17_take_the_legal_office_and_the_leader_both() {
    let profile = profile("002");
    let both = Chain::All(vec![Chain::Role(Role::Legal), Chain::Role(Role::Approver)]);
    for (act, purpose, by) in [
        (RequestAct::View, "work", "R-002-16"),
        (RequestAct::View, "litigation", "R-002-17"),
        (RequestAct::View, "supervision", "R-002-17"),
        (RequestAct::View, "case_study", "R-002-17"),
        (RequestAct::Copy, "litigation", "R-002-17"),
        (RequestAct::Copy, "supervision", "R-002-17"),
        (RequestAct::Copy, "case_study", "R-002-17"),
    ] {
        let rule = rule(&profile, act, Some(purpose));
        assert_eq!((&rule.approvers, rule.source.rule.as_str()), (&both, by), "{purpose}");
        assert_eq!((rule.executors.as_slice(), rule.registered.len()), ([Role::Custodian].as_slice(), 3));
        assert_eq!(rule.registered, ["viewer", "reason", "viewed_at"]);
        assert!(!rule.approvers.satisfied_by(&[Role::Legal]) && !rule.approvers.satisfied_by(&[Role::Approver]));
    }
    open(&profile, RequestAct::Copy, Some("evidence"), "R-002-15");
    open(&profile, RequestAct::Provide, None, "R-002-18");
    assert!(profile.standing_views.is_empty() && profile.open["standing-view"].rule == "R-002-16");
}

#[test]
fn r_003_6c_takes_the_leader_the_slip_and_the_archivist() {
    let profile = profile("003");
    let copy = rule(&profile, RequestAct::Copy, None);
    assert_eq!(
        (&copy.approvers, copy.executors.as_slice()),
        (&Chain::Role(Role::Approver), [Role::Archivist].as_slice())
    );
    assert!(copy.fields.contains(&"slip_no".to_owned()) && copy.registered.contains(&"slip_no".to_owned()));
    assert!(rule(&profile, RequestAct::View, None).source.interpreted, "no article speaks of viewing alone");
    for act in [RequestAct::Transfer, RequestAct::Provide, RequestAct::Publish] {
        open(&profile, act, None, "R-003-6e");
    }
    let review = profile.review.as_ref().expect("R-003-5d");
    assert_eq!((codes(&review.standards), review.form.as_deref()), (vec!["complete", "regular"], Some("matters_list")));
    assert_eq!(
        names(&profile.forms["matters_list"].fields),
        [
            "seq",
            "category",
            "matter",
            "record_item",
            "department",
            "recorder",
            "place",
            "start",
            "end",
            "preservation_status",
        ]
    );
}

#[test]
fn r_004_17_and_18_take_the_heads_named_there() {
    let profile = profile("004");
    let judicial = rule(&profile, RequestAct::View, Some("judicial"));
    assert_eq!((&judicial.approvers, judicial.source.rule.as_str()), (&Chain::Role(Role::Head), "R-004-18"));
    assert_eq!((judicial.executors.as_slice(), judicial.registered.len()), ([Role::Custodian].as_slice(), 3));
    let publish = rule(&profile, RequestAct::Publish, None);
    assert_eq!(publish.approvers, Chain::Any(vec![Chain::Role(Role::Approver), Chain::Role(Role::Head)]));
    for act in [RequestAct::Copy, RequestAct::Transfer, RequestAct::Provide] {
        open(&profile, act, None, "R-004-15");
    }
    let devices = profile.devices.expect("R-004-16");
    assert_eq!((devices.collected, devices.custodian_of), (Some(Start::WorkDayEnd), CustodianOf::Device));
}

#[test]
fn standing_views_reach_what_the_texts_let_them_reach() {
    let views = |number: &str| -> Vec<(Role, Over)> {
        profile(number)
            .standing_views
            .iter()
            .flat_map(|view| view.roles.iter().map(|role| (*role, view.over)))
            .collect()
    };
    let (recorder, inspector) = ((Role::Recorder, Over::OwnActivity), (Role::Inspector, Over::Draw));
    assert_eq!(views("000"), [recorder, (Role::UnitHead, Over::Unit), inspector]);
    assert_eq!(views("003"), [recorder, inspector, (Role::Legal, Over::HandedOver)]);
    assert_eq!(views("004"), [(Role::Legal, Over::Agency), (Role::UnitHead, Over::Unit), recorder], "R-004-22");
    for number in ["001", "002"] {
        assert!(views(number).is_empty() && profile(number).open.contains_key("standing-view"), "{number}");
    }
}

#[test]
fn registers_hold_the_fields_that_the_articles_name() {
    for (number, form, by, expected) in [
        (
            "000",
            "disc_burn_record",
            "R-000-23",
            &[
                "officers",
                "recorder",
                "rec_start",
                "rec_end",
                "place",
                "brand_model",
                "device_no",
                "format",
                "duration",
            ][..],
        ),
        (
            "000",
            "production_note",
            "R-000-22",
            &["production_method", "produced_at", "produced_by", "purpose_of_proof", "transcript"],
        ),
        ("001", "device_ledger", "R-001-9", &["user", "handover_at", "content"]),
        ("001", "interruption_report", "R-001-10", &["interruption_reason"]),
        ("002", "production_note", "R-002-15", &["produced_by", "extracted_by", "extracted_at"]),
        ("002", "work_record", "R-002-7", &["exemption_reason", "legal_basis"]),
        ("004", "view_register", "R-004-18", &["viewer", "reason", "viewed_at"]),
    ] {
        let found = &profile(number).forms[form];
        assert_eq!((names(&found.fields).as_slice(), found.source.rule.as_str()), (expected, by), "{form}");
    }
    assert_eq!(
        profile("000").forms["disc_burn_record"].signed_by,
        ["参与案件办理的所有执法人员", "使用部门室主要负责人"]
    );
    for form in ["matters_list", "retrieval_slip", "ledger", "duty_log", "disc_label"] {
        assert!(profile("003").forms.contains_key(form), "{form}");
    }
    assert!(profile("001").forms.contains_key("fault_register"), "R-001-16");
}

#[test]
fn classes_inspection_and_devices_are_those_of_the_texts() {
    let classes = |number: &str| -> Vec<String> {
        profile(number).confidentiality.iter().map(|class| class.code.clone()).collect()
    };
    assert_eq!(classes("000"), ["state_secret", "trade_secret", "personal_privacy"], "R-000-24");
    assert_eq!(classes("002"), ["state_secret", "trade_secret"], "R-002-19");
    assert_eq!(classes("004"), ["state_secret", "trade_secret"], "R-004-19");
    for number in ["000", "002", "004"] {
        let secret = profile(number).confidentiality.remove(0);
        assert_eq!(secret.refuses, [RequestAct::Publish], "{number}: no state secret is published");
    }
    let inspection = profile("000").inspection.expect("R-000-27");
    assert_eq!((inspection.heads.len(), inspection.ratio_percent), (5, None));
    assert_eq!(inspection.by, [Role::Inspector, Role::Legal]);
    assert!(profile("000").open.contains_key("inspection.ratio-percent"), "按一定比例");
    assert_eq!(profile("003").inspection.expect("R-003-6d").by, [Role::Inspector]);
    assert_eq!(profile("004").inspection.expect("R-004-22").by, [Role::Legal]);
    for (number, ..) in REGULATIONS {
        assert!(!profile(number).devices.expect("devices").internet, "{number}: R-001-15, and nobody else says more");
    }
    assert_eq!(profile("001").devices.expect("R-001-9").custodian_of, CustodianOf::Unit);
}

/// R-000-30, R-001-19, R-002-22, R-004-24: a day that a text does not give is open, never guessed.
#[test]
fn the_texts_hold_from_the_days_that_they_name() {
    for (number, published, effective) in [
        ("000", Some("2017-09-28"), Some("2017-10-01")),
        ("001", None, None),
        ("002", None, None),
        ("003", Some("2021-04-02"), Some("2021-04-02")),
        ("004", Some("2020-04-17"), Some("2019-07-01")),
    ] {
        let text = profile(number).regulation.expect("a text");
        let days = (text.published.map(|day| day.to_string()), text.effective.map(|day| day.to_string()));
        assert_eq!((days.0.as_deref(), days.1.as_deref()), (published, effective), "{number}");
        assert_eq!(effective.is_none(), text.source.note.contains("原文未载"), "{number}: null and a note");
    }
}

#[test]
fn offices_have_the_names_that_the_texts_give_them() {
    for (number, role, words) in [
        ("000", Role::Legal, "局法制科"),
        ("000", Role::Head, "局主要领导"),
        ("001", Role::Custodian, "执法记录仪管理员"),
        ("002", Role::Approver, "主管领导"),
        ("003", Role::Archivist, "档案管理员"),
        ("004", Role::Head, "局主要负责人"),
    ] {
        assert_eq!(profile(number).roles[&role].words, words, "{number}");
    }
}

#[test]
fn what_is_left_open_is_told_with_what_is_refused_for_it() {
    let left = |number: &str| left_open(&profile(number));
    let has = |left: &[Left], place: &str| left.iter().any(|left| left.place == place);
    assert!(has(&left("004"), "floor") && has(&left("000"), "acts.copy") && has(&left("002"), "acts.copy.evidence"));
    let all = left("001");
    for act in RequestAct::ALL {
        let place = format!("acts.{}", act.name());
        let found = all.iter().find(|left| left.place == place).expect("every act is open");
        assert!(found.en.contains("ACT_UNSPECIFIED") && found.zh.contains("拒绝"), "{found:?}");
    }
}
