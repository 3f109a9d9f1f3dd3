//! Labels: they grow and are never taken back. And why an item is kept.

use strongroom_custody::{
    Answer, Command, Fact,
    case::{BindCase, OpenCase},
    command::LabelItem,
    naming::{Named, Names},
    retention,
};
use strongroom_types::{Reason, limits};

use crate::fixture::{Cluster, START, id, item, small};

fn label(number: u8, name: &str, value: &str) -> Command {
    Command::LabelItem(LabelItem { item: item(number), name: name.to_owned(), value: value.to_owned() })
}

#[test]
fn a_label_keeps_every_value_with_who_said_it() {
    let mut cluster = Cluster::with_items();
    let Answer::Recorded(seq) = cluster.done("recorder", label(1, "place", "南门")) else { panic!("no record") };
    let values = cluster.item(1).labels["place"].clone();
    let told: Vec<_> = values.iter().map(|value| (value.value.as_str(), value.by.as_str())).collect();
    assert_eq!(told, [("north gate", "station"), ("南门", "recorder")]);
    assert_eq!(values[1].seq, seq);
    assert_eq!(cluster.last_record().text(Fact::LabelValue), Some("南门"));
}

#[test]
fn a_label_that_cannot_be_is_refused() {
    let long = "x".repeat(limits::TEXT_BYTES_MAX + 1);
    let mut cluster = Cluster::with_items();
    for (name, value) in [("", "x"), ("a\nb", "x"), (&"n".repeat(limits::NAME_BYTES_MAX + 1), "x"), ("a", &long)] {
        cluster.refused("legal", label(1, name, value), Reason::InvalidArgument);
    }
    cluster.refused("legal", label(9, "place", "x"), Reason::NotFound);
    cluster.refused("legal-u2", label(1, "place", "x"), Reason::OutsideUnit);
    cluster.done("legal-u2", label(3, "place", "x"));
}

#[test]
fn labels_and_their_values_have_a_limit() {
    let mut cluster = Cluster::with_items();
    for count in 1..limits::LABELS_MAX {
        cluster.done("legal", label(1, &format!("label {count}"), "x"));
    }
    cluster.refused("legal", label(1, "one more", "x"), Reason::InvalidArgument);
    for _ in 1..100 {
        cluster.done("legal", label(1, "place", "x"));
    }
    cluster.refused("legal", label(1, "place", "x"), Reason::InvalidArgument);
}

#[test]
fn an_item_in_quarantine_takes_no_label() {
    let mut cluster = Cluster::new();
    let mut seal = small(1, "U1");
    seal.open.description.device = id("stranger");
    cluster.done("station", Command::SealOriginal(seal));
    let refusal = cluster.refused("legal", label(1, "place", "x"), Reason::Quarantined);
    assert_eq!(refusal.rule, "C1");
}

#[test]
fn an_item_says_why_and_until_when_it_is_kept() {
    let cluster = Cluster::with_items();
    for (number, rule, months) in [(1, "R-000-21a", Some(6)), (3, "R-002-14", Some(12)), (5, "G2", None)] {
        let row = cluster.item(number);
        let until = months.map(|months| START.plus_months_rounded_up(months));
        let reasons = retention::explain(&cluster.rows, &row, cluster.kept(number)).expect("reads");
        let told: Vec<_> = reasons.iter().map(|reason| (reason.rule.as_str(), reason.until, reason.seq)).collect();
        assert_eq!(told, [(rule, until, row.seq)]);
        assert_eq!(retention::effective_until(&cluster.kept(number)), until);
    }
}

/// R-003-5b and R-004-14: names and folders are made from fields; what is missing is named and nothing is made up.
#[test]
fn an_item_is_called_what_its_labels_say_and_stands_where_its_day_and_case_say() {
    const XIAMEN: &str = include_str!("../../../../profiles/xiamen-chengguan.toml");
    const NEIQIU: &str = include_str!("../../../../profiles/neiqiu-weijian.toml");
    let named = |cluster: &Cluster| Names::default().of(&cluster.rows, item(1), &cluster.item(1)).expect("reads");
    let mut cluster = Cluster::under(XIAMEN);
    cluster.done("station", Command::SealOriginal(small(1, "U5")));
    assert_eq!(named(&cluster).display_name, None);
    assert_eq!(named(&cluster).labels_missing, ["party", "inspect_date", "inspect_content"]);
    cluster.done("legal", label(1, "party", "A+B 商行"));
    cluster.done("legal", label(1, "inspect_date", "2026-02-28"));
    cluster.done("legal", label(1, "inspect_content", " "));
    assert_eq!(named(&cluster).display_name, None, "a blank is no value");
    assert_eq!(named(&cluster).labels_missing, ["inspect_content"]);
    cluster.done("legal", label(1, "inspect_content", "占道经营"));
    let name = Some("U5 中队+A%2BB 商行+20260228+占道经营".to_owned());
    assert_eq!(named(&cluster), Named { display_name: name, ..Named::default() });

    let mut cluster = Cluster::under(NEIQIU);
    cluster.done("station", Command::SealOriginal(small(1, "U5")));
    assert_eq!(named(&cluster).folders, ["现场执法记录设备影像资料/2026/03/01/未立案"]);
    for case in ["C-1", "C-2"] {
        let title = "x".to_owned();
        cluster.done("legal", Command::OpenCase(OpenCase { case: id(case), unit: id("U5"), title }));
        cluster.done("legal", Command::BindCase(BindCase { case: id(case), items: vec![item(1)] }));
    }
    let folder = |case| format!("现场执法记录设备影像资料/2026/03/01/{case}");
    assert_eq!(named(&cluster).folders, [folder("C-1"), folder("C-2")]);
}
