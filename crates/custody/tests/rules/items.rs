//! Labels: they grow and are never taken back. And why an item is kept.

use strongroom_custody::{
    Answer, Command, Fact,
    case::{BindCase, OpenCase},
    command::{AddDevice, LabelItem},
    naming::{Named, Names},
    retention,
    tables::{DeviceProof, DeviceType},
};
use strongroom_types::{MediaType, Reason, limits};

use crate::fixture::{Cluster, START, fields, id, item, small};

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

/// R-003-5b: recordings of one inspection bear one name; from the second on it has a number, which stays.
#[test]
fn items_of_the_same_name_are_numbered_in_the_order_in_which_they_were_given_it() {
    const XIAMEN: &str = include_str!("../../../../profiles/xiamen-chengguan.toml");
    let mut cluster = Cluster::under(XIAMEN);
    let name = |cluster: &Cluster, number| {
        let named = Names::default().of(&cluster.rows, item(number), &cluster.item(number)).expect("reads");
        named.display_name.expect("every part is there")
    };
    let labels = [("party", "商行"), ("inspect_date", "2026-02-28"), ("inspect_content", "占道经营")];
    // One is sealed with its labels, the others are labelled afterwards, the third before the second.
    let mut first = small(1, "U5");
    first.open.description.labels = fields(&labels);
    cluster.done("station", Command::SealOriginal(first));
    for number in [2, 3] {
        cluster.done("station", Command::SealOriginal(small(number, "U5")));
    }
    for number in [3, 2] {
        for (label_name, value) in labels {
            cluster.done("legal", label(number, label_name, value));
        }
    }
    let base = "U5 中队+商行+20260228+占道经营";
    let names = |cluster: &Cluster| [1, 2, 3].map(|number| name(cluster, number));
    assert_eq!(names(&cluster), [base.to_owned(), format!("{base}-03"), format!("{base}-02")]);
    // What makes no other name gives no other number; another name counts for itself, and no number is given twice.
    cluster.done("legal", label(3, "place", "南门"));
    cluster.done("legal", label(2, "party", "货栈"));
    let other = "U5 中队+货栈+20260228+占道经营".to_owned();
    assert_eq!(names(&cluster), [base.to_owned(), other, format!("{base}-02")]);
    cluster.done("legal", label(2, "party", "商行"));
    assert_eq!(name(&cluster, 2), format!("{base}-04"));
}

/// R-001-7: what the device signed is kept as it came, and the record of the seal commits to it.
#[test]
fn what_the_device_signed_is_kept_with_the_item_and_in_the_record_r_001_7() {
    let mut cluster = Cluster::new();
    let signed = |scheme: &str, value: Vec<u8>| {
        let mut seal = small(1, "U1");
        seal.open.description.device_proof = Some(DeviceProof { scheme: scheme.to_owned(), value: value.into() });
        Command::SealOriginal(seal)
    };
    for (scheme, value) in [("", vec![1]), ("gb35114", Vec::new()), ("gb35114", vec![1; limits::TEXT_BYTES_MAX + 1])] {
        cluster.refused("station", signed(scheme, value), Reason::InvalidArgument);
    }
    cluster.done("station", signed("gb35114", vec![7; 64]));
    let record = cluster.last_record();
    assert_eq!(
        (record.text(Fact::DeviceScheme), record.bytes(Fact::DeviceProof)),
        (Some("gb35114"), Some(&[7; 64][..]))
    );
    let kept = cluster.item(1).description.device_proof.expect("is kept");
    assert_eq!((kept.scheme.as_str(), &kept.value[..]), ("gb35114", &[7; 64][..]));
}

/// R-001-2: what collects and what stores is in the ledger of equipment too; an original that names one of them as its
/// recorder is taken and marked.
#[test]
fn stations_and_storage_nodes_are_equipment_and_record_nothing_r_001_2() {
    let mut cluster = Cluster::under(include_str!("../../../../profiles/renfang.toml"));
    for (device, device_type, marked) in [
        ("REC-1", DeviceType::AudioRecorder, false),
        ("STN-1", DeviceType::CollectionStation, true),
        ("NODE-1", DeviceType::StorageNode, true),
    ] {
        let (brand_model, asset) = ("M1".to_owned(), None);
        let add = AddDevice { device: id(device), unit: id("U5"), device_type, brand_model, asset };
        cluster.done("custodian", Command::AddDevice(add));
        let number = device.as_bytes()[0];
        let mut seal = small(number, "U5");
        seal.open.description.device = id(device);
        cluster.done("station", Command::SealOriginal(seal));
        let findings = cluster.item(number).findings;
        assert_eq!(findings.contains(&"DEVICE_DOES_NOT_RECORD".to_owned()), marked, "{device}: {findings:?}");
        assert_eq!(DeviceType::from_name(device_type.name()), Some(device_type));
    }
}

/// R-000-2: video, audio and photos are taken alike, kept alike, and the record of the seal says what each is.
#[test]
fn every_media_type_of_r_000_2_is_kept_by_the_same_rules() {
    let mut cluster = Cluster::new();
    for (number, media_type) in (1..).zip(MediaType::ALL) {
        let mut seal = small(number, "U1");
        seal.open.description.media_type = Some(media_type);
        cluster.done("station", Command::SealOriginal(seal));
        assert_eq!(cluster.last_record().text(Fact::MediaType), Some(media_type.name()));
        let row = cluster.item(number);
        assert_eq!(row.description.media_type, Some(media_type));
        assert_eq!(row.retention, cluster.item(1).retention);
        assert_eq!(media_type.name().parse(), Ok(media_type));
    }
    assert!("film".parse::<MediaType>().expect_err("is none").to_string().contains("video, audio, photo, document"));
    cluster.done("station", Command::SealOriginal(small(9, "U1")));
    assert_eq!(cluster.last_record().text(Fact::MediaType), None, "nothing is made up where the station cannot say");
}
