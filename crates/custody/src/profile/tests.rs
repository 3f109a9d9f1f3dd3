use super::*;

const GOOD: &str = r#"
name = "city"
agency = "城管执法局"
[floor]
months = 12
rule = "R-003-5e"
[acts.copy]
requesters = ["legal"]
approvers = ["approver"]
executors = ["archivist"]
valid-days = 30
uses = 1
rule = "R-003-6c"
"#;

/// A file with two purposes of one act, one of them open, and a register.
const PURPOSES: &str = r#"
name = "purposes"
agency = "城管执法局"
[floor]
unspecified = true
[forms.view_register]
title = "查阅登记"
fields = [{ name = "viewer", words = "查阅人" }, { name = "viewed_at", words = "查阅时间" }]
rule = "R-000-25a"
[[acts.view]]
purpose = { code = "judicial", words = "办案机关查阅" }
requesters = ["legal"]
approvers = { all = ["legal", { any = ["approver", "head"] }] }
executors = ["custodian"]
register = "view_register"
recipients = ["police", "court"]
valid-days = 3
uses = 2
rule = "R-000-25a"
[[acts.view]]
purpose = { code = "other", words = "其他" }
unspecified = true
rule = "R-X"
article = "按规定审批"
[acts.publish]
unspecified = true
rule = "R-Y"
"#;

fn read(text: &str) -> Profile {
    Profile::from_toml(text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[test]
fn a_profile_reads_back_and_always_asks_a_reason() {
    let profile = read(GOOD);
    let copy = profile.rule(RequestAct::Copy, None).expect("a rule");
    assert_eq!(copy.fields, ["reason"]);
    assert_eq!(copy.approvers, Chain::Role(Role::Approver));
    assert_eq!(profile.floor.as_ref().expect("a floor").months, 12);
    assert_eq!(profile.rule(RequestAct::View, None), Err(NoRule::Open(Source::default())), "nothing is guessed");
    let bytes = strongroom_types::rows::encode(&profile);
    assert_eq!(minicbor::decode::<Profile>(&bytes).expect("decodes"), profile);
}

#[test]
fn purposes_are_told_apart_and_each_is_stated_or_open() {
    let profile = read(PURPOSES);
    let view = |purpose| profile.rule(RequestAct::View, purpose);
    let judicial = view(Some("judicial")).expect("a rule");
    assert_eq!(judicial.approvers.to_string(), "legal and (approver or head)");
    assert_eq!(judicial.registered, ["viewer", "viewed_at"]);
    let both = vec!["judicial".to_owned(), "other".to_owned()];
    for named in [None, Some("private")] {
        assert_eq!(view(named), Err(NoRule::Purpose(both.clone())));
    }
    for (act, purpose, rule) in [(RequestAct::View, Some("other"), "R-X"), (RequestAct::Publish, None, "R-Y")] {
        match profile.rule(act, purpose) {
            Err(NoRule::Open(source)) => assert_eq!(source.rule, rule),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_mistake_is_named_with_its_line_and_what_would_be_right() {
    for (from, to, expected) in [
        ("months = 12", "months = 0", "line 5, column 10: floor.months: takes 1 to 1200 calendar months"),
        ("months = 12", "months = \"12\"", "line 5, column 10: floor.months: takes 1 to 1200"),
        ("months = 12", "", "line 4, column 1: floor: takes either"),
        (
            "months = 12",
            "months = 12\nunspecified = true",
            "floor.months: unknown key `months`: a section that is unspec",
        ),
        ("name = \"city\"", "name = \"ci\\nty\"", "line 2, column 8: name: "),
        ("[\"archivist\"]", "[]", "line 10, column 13: acts.copy.executors: names no role"),
        ("[\"archivist\"]", "[\"king\"]", "line 10, column 14: acts.copy.executors: \"king\" is not a role"),
        ("[\"archivist\"]", "\"archivist\"", "acts.copy.executors: takes a list in brackets, not text"),
        ("acts.copy", "acts.sell", "line 7, column 7: acts.sell: is no act; acts are view, copy"),
        ("[\"legal\"]", "[\"head\"]", "line 8, column 14: acts.copy.requesters: head may never request.submit"),
        ("[\"approver\"]", "[\"auditor\"]", "acts.copy.approvers: auditor may never request.approve"),
        (
            "[\"approver\"]",
            "{ any = [\"head\", { all = [\"legal\", \"head\"] }] }",
            "acts.copy.approvers: names head twice",
        ),
        ("[\"approver\"]", "{ some = [\"head\"] }", "acts.copy.approvers: takes a role, a list of roles"),
        ("[\"approver\"]", "[[[[[\"head\"]]]]]", "nested at most three deep"),
        ("[\"approver\"]", "[]", "acts.copy.approvers: names no role"),
        ("approvers = [\"approver\"]\n", "", "acts.copy.approvers: is missing"),
        (
            "[\"archivist\"]",
            "[\"recorder\"]",
            "acts.copy.executors: recorder may never copy-out.begin; these may: custod",
        ),
        ("uses = 1", "uses = 1\nfields = [\"a\\nb\"]", "line 13, column 10: acts.copy.fields: takes names"),
        ("uses = 1", "uses = 0", "line 12, column 8: acts.copy.uses: takes 1 to 1000 sessions"),
        ("uses = 1\n", "", "acts.copy.uses: is missing"),
        ("valid-days = 30", "valid-days = 0", "acts.copy.valid-days: takes 1 to 3650"),
        ("[\"legal\"]", "[\"legal\", \"legal\"]", "line 8, column 24: acts.copy.requesters: names legal twice"),
        (
            "uses = 1",
            "uses = 1\nuse = 2",
            "line 13, column 1: acts.copy.use: unknown key `use`; known here are appointment, approvers",
        ),
        ("uses = 1", "uses = 1\nregister = \"x\"", "acts.copy.register: there is no [forms.x]"),
        ("uses = 1", "uses = 1\nrecipients = [\"friends\"]", "acts.copy.recipients: \"friends\" is none of police"),
        ("uses = 1", "uses = 1\nrule = 5", "duplicate key"),
        ("rule = \"R-003-5e\"\n", "", "line 4, column 1: floor: names no rule"),
        ("uses = 1", "uses = 1\n[x]", "x: unknown key `x`; known here are activities, acts"),
        ("uses = 1", "uses =", "line 12, column 7: "),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        let error = Profile::from_toml(&text).expect_err(expected).to_string();
        assert!(error.contains(expected), "expected {expected}, found {error}");
    }
    for (section, expected) in [
        ("[standing-view]\nroles = [\"ops\"]\nover = \"unit\"", "standing-view.roles: ops may never view.begin"),
        ("[standing-view]\nroles = [\"legal\"]", "standing-view.over: is missing"),
        ("[naming]\nformat = \"{party}\"", "naming.format: {party} is neither of unit, inspect_date nor a label"),
        ("[naming]\nformat = \"x\"", "naming.format: names no field in braces"),
        ("[layout]\npath = \"/{year}\"", "layout.path: takes folder names"),
        ("[layout]\npath = \"{decade}\"", "layout.path: {decade} is none of year, month, day, case"),
        ("[evidence]\nterm = \"case-file\"\ninferred = true", "evidence.inferred: what is inferred is interpreted too"),
        (
            "[long-term]\nmedia = [\"optical-disc\"]",
            "takes \"cluster\" at least: a disc is kept besides and never instead (G12)",
        ),
        ("[long-term]\nmedia = [\"cluster\"]", "long-term: names no trigger"),
        ("[ingest]\nstart = \"activity-end\"", "ingest: takes either hours = N or due"),
        ("[ingest]\nstart = \"some-day\"\nhours = 24", "ingest.start: \"some-day\" is none of activity-end"),
        ("[ingest]\nstart = \"activity-end\"\nhours = 24\nwarn-hours = [9, 8]", "takes numbers in ascending order"),
        ("[regulation]\ntitle = \"x\"\neffective = \"2017\"", "regulation.effective: takes a date such as"),
        ("[regulation]\ntitle = \"x\"", "regulation: takes effective = YYYY-MM-DD, or a note"),
        ("[roles.king]\nwords = \"王\"", "roles.king: \"king\" is not a role"),
        ("[activities]\nkinds = [{ code = \"A\", words = \"x\" }]", "takes small letters, digits and underscores"),
        (
            "[interruption]\ncauses = [{ code = \"午休\", words = \"x\" }]",
            "takes small letters, digits and underscores",
        ),
        ("[[acts.view]]\nunspecified = true\n[[acts.view]]\nunspecified = true", "takes a purpose"),
    ] {
        let text = format!("{GOOD}{section}\nrule = \"R-X\"\n");
        let error = Profile::from_toml(&text).expect_err(expected).to_string();
        assert!(error.contains(expected), "expected {expected}, found {error}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_text() {
    let text =
        GOOD.replace("months = 12", "months = 0").replace("uses = 1", "uses = 0").replace("\"legal\"", "\"king\"");
    let Mistakes(mistakes) = Profile::from_toml(&text).expect_err("three");
    let lines: Vec<_> = mistakes.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [5, 8, 12]);
    let Mistakes(syntax) = Profile::from_toml("name = \nagency = \"x\n[floor\n").expect_err("several");
    assert!(syntax.len() > 1 && syntax.is_sorted_by_key(|mistake| mistake.line), "{syntax:?}");
}

#[test]
fn what_is_left_open_is_told_with_what_follows() {
    let left = left_open(&read(PURPOSES));
    let of = |place: &str| left.iter().find(|left| left.place == place).unwrap_or_else(|| panic!("{place}: {left:?}"));
    assert!(of("floor").en.contains("FLOOR_UNSPECIFIED") && of("floor").source.is_some());
    assert_eq!(of("acts.view.other").source.as_ref().map(|source| source.rule.as_str()), Some("R-X"));
    assert!(of("acts.copy").en.contains("ACT_UNSPECIFIED") && of("acts.copy").source.is_none());
    assert!(left.iter().all(|left| left.place != "acts.view"), "one purpose is stated");
}

#[test]
fn what_is_told_of_a_file_is_bounded() {
    let junk: String = (0..2000).map(|number| format!("k{number} = \"{}\"\n", "x".repeat(20))).collect();
    let Mistakes(mistakes) = Profile::from_toml(&junk).expect_err("junk");
    assert_eq!(mistakes.len(), 50);
    let long = GOOD.replace("[\"legal\"]", &format!("[\"{}\"]", "x".repeat(4000)));
    let error = Profile::from_toml(&long).expect_err("no role").to_string();
    assert!(error.chars().count() < 600, "{error}");
}

#[test]
fn a_file_that_is_too_long_is_refused() {
    let text = format!("{GOOD}#{}\n", "x".repeat(TEXT_BYTES_MAX));
    let error = Profile::from_toml(&text).expect_err("too long").to_string();
    assert!(error.contains("takes at most 65536 bytes"), "{error}");
}
