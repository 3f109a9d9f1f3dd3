//! Activities as the command line shows them. Names of JSON fields are relied on by scripts.

use serde_json::{Value, json};
use strongroom_proto::activity::{Activity, ActivityItem, ActivityReport, Deadline, Gap};

use crate::commands::register;
use crate::failure::Failure;
use crate::session::Globals;
use crate::shown::{item_id, some, time};

/// One activity, whole.
pub(super) fn show(globals: &Globals, report: &ActivityReport) -> Result<(), Failure> {
    let activity = report.activity.clone().unwrap_or_default();
    globals.output().show(&report_json(report), |page| {
        let officers: Vec<_> =
            activity.officers.iter().map(|officer| format!("{} {}", officer.name, officer.certificate)).collect();
        let document = activity.document.as_ref().map(|document| document.name.clone()).unwrap_or_default();
        page.facts(&[
            ("activity", activity.activity_id.clone()),
            ("unit", activity.unit_id.clone()),
            ("kind", activity.kind.clone()),
            ("officers", officers.join(", ")),
            ("place", activity.place.clone()),
            ("matter", activity.matter.clone()),
            ("party", activity.party.clone()),
            ("document", document),
            ("started", time(activity.started_unix_ms)),
            ("preserved", report.preservation.clone()),
            ("ingest", standing(&report.ingest, report.ingest_due.as_ref())),
            ("labels due", report.label_due.as_ref().map(due).unwrap_or_default()),
            ("missing angles", report.missing_angles.join(", ")),
            ("findings", report.findings.join(" ")),
        ]);
        for moment in &activity.moments {
            let why = if moment.reason.is_empty() { String::new() } else { format!(" ({})", moment.reason) };
            page.line(format!("{} {} {}{why}", moment.name, time(moment.at_unix_ms), moment.by));
        }
        for phase in &activity.phases {
            page.line(format!("{} {} {}", phase.name, phase.place, time(phase.started_unix_ms)));
        }
        for correction in &activity.corrections {
            let (before, after) = (&correction.before, &correction.after);
            page.line(format!("{}: {before} → {after} ({}, {})", correction.field, correction.reason, correction.by));
        }
        let items: Vec<_> = report.items.iter().map(item_row).collect();
        page.table(&["item", "device", "corrected start", "corrected end", "ingest", "labels", "findings"], &items);
        page.table(&GAP_HEADS, &report.gaps.iter().map(|gap| gap_row(&activity, gap)).collect::<Vec<_>>());
    })
}

/// Activities as a list.
pub(super) fn list(globals: &Globals, reports: &[ActivityReport]) -> Result<(), Failure> {
    let row = |report: &ActivityReport| {
        let activity = report.activity.clone().unwrap_or_default();
        let officers: Vec<_> = activity.officers.iter().map(|officer| officer.name.clone()).collect();
        vec![
            activity.activity_id,
            activity.unit_id,
            activity.kind,
            time(activity.started_unix_ms),
            officers.join(", "),
            activity.place,
            report.item_count.to_string(),
            // Whether the bytes are good is looked at by `show` only.
            if report.preservation == "fixity_unknown" {
                "no open gap".to_owned()
            } else {
                report.preservation.clone()
            },
            report.ingest.clone(),
            report.findings.join(" "),
        ]
    };
    let rows: Vec<_> = reports.iter().map(row).collect();
    let json = reports.iter().map(report_json).collect();
    let heads =
        ["activity", "unit", "kind", "started", "officers", "place", "items", "preserved", "ingest", "findings"];
    globals.output().list(&json, &heads, &rows)
}

const GAP_HEADS: [&str; 5] = ["activity", "from", "to", "phase", "explained by"];

/// Gaps of activities, closed ones where asked for.
pub(super) fn gaps(globals: &Globals, reports: &[ActivityReport], closed: bool) -> Result<(), Failure> {
    let (mut rows, mut json) = (Vec::new(), Vec::new());
    for report in reports {
        let activity = report.activity.clone().unwrap_or_default();
        for gap in report.gaps.iter().filter(|gap| closed || gap.closed_by.is_none()) {
            rows.push(gap_row(&activity, gap));
            json.push(gap_json(gap));
        }
    }
    globals.output().list(&Value::Array(json), &GAP_HEADS, &rows)
}

/// What is overdue: activities of which nothing is ingested, and items that are not labelled.
pub(super) fn overdue(globals: &Globals, reports: &[ActivityReport]) -> Result<(), Failure> {
    let (mut rows, mut json) = (Vec::new(), Vec::new());
    for report in reports {
        let activity = report.activity.clone().unwrap_or_default();
        let person =
            activity.officers.first().map_or_else(|| activity.opened_by.clone(), |officer| officer.name.clone());
        let mut add = |what: &str, item: Option<&ActivityItem>, deadline: Option<&Deadline>| {
            let item = item.map(|item| hex::encode(&item.item_id)).unwrap_or_default();
            rows.push(vec![
                activity.unit_id.clone(),
                person.clone(),
                activity.activity_id.clone(),
                what.to_owned(),
                item.clone(),
                deadline.map(due).unwrap_or_default(),
            ]);
            json.push(json!({
                "unit": activity.unit_id,
                "person": person,
                "activity": activity.activity_id,
                "what": what,
                "item": some(&item),
                "due": deadline.map(deadline_json),
            }));
        };
        if report.ingest == "overdue" {
            add("ingest", None, report.ingest_due.as_ref());
        }
        for item in report.items.iter().filter(|item| item.counts && item.label == "overdue") {
            add("label", Some(item), report.label_due.as_ref());
        }
    }
    globals.output().list(&Value::Array(json), &["unit", "person", "activity", "what", "item", "due"], &rows)
}

fn standing(standing: &str, deadline: Option<&Deadline>) -> String {
    deadline.map_or_else(|| standing.to_owned(), |deadline| format!("{standing}, {}", due(deadline)))
}

/// A deadline, and the one from the first value where they differ.
fn due(deadline: &Deadline) -> String {
    let current = time(deadline.current_unix_ms);
    if deadline.first_unix_ms == deadline.current_unix_ms {
        return current;
    }
    format!("{current} ← {}", time(deadline.first_unix_ms))
}

fn deadline_json(deadline: &Deadline) -> Value {
    json!({
        "first": time(deadline.first_unix_ms),
        "current": time(deadline.current_unix_ms),
        "decides": time(deadline.earliest_unix_ms),
    })
}

fn item_row(item: &ActivityItem) -> Vec<String> {
    let mut findings = item.findings.join(" ");
    if !item.detached_because.is_empty() {
        findings = format!("detached: {}", item.detached_because);
    }
    vec![
        hex::encode(&item.item_id),
        item.device_id.clone(),
        time(item.corrected_start_unix_ms),
        time(item.corrected_end_unix_ms),
        item.ingest.clone(),
        item.label.clone(),
        findings,
    ]
}

fn gap_row(activity: &Activity, gap: &Gap) -> Vec<String> {
    let phase = gap.phase.and_then(|phase| {
        let index = usize::try_from(phase).ok()?.checked_sub(1)?;
        activity.phases.get(index).map(|phase| phase.name.clone())
    });
    vec![
        gap.activity_id.clone(),
        time(gap.from_unix_ms),
        time(gap.to_unix_ms),
        phase.unwrap_or_default(),
        gap.closed_by.map(|seq| format!("#{seq}")).unwrap_or_default(),
    ]
}

fn gap_json(gap: &Gap) -> Value {
    json!({
        "activity": gap.activity_id,
        "from": time(gap.from_unix_ms),
        "to": time(gap.to_unix_ms),
        "after": item_id(&gap.after_item_id),
        "before": item_id(&gap.before_item_id),
        "phase": gap.phase,
        "closed_by": gap.closed_by,
    })
}

fn item_json(item: &ActivityItem) -> Value {
    json!({
        "item": hex::encode(&item.item_id),
        "device": item.device_id,
        "recorded_start": time(item.recorded_start_unix_ms),
        "recorded_end": time(item.recorded_end_unix_ms),
        "corrected_start": time(item.corrected_start_unix_ms),
        "corrected_end": time(item.corrected_end_unix_ms),
        "clock_offset_ms": item.clock_offset_ms,
        "sealed_at": time(item.sealed_unix_ms),
        "labelled_at": item.labelled_unix_ms.map(time),
        "phase": item.phase,
        "angle": some(&item.angle),
        "counts": item.counts,
        "detached_because": some(&item.detached_because),
        "ingest": item.ingest,
        "label": item.label,
        "findings": item.findings,
    })
}

fn report_json(report: &ActivityReport) -> Value {
    let activity = report.activity.clone().unwrap_or_default();
    let officers: Vec<_> = activity
        .officers
        .iter()
        .map(|officer| json!({ "name": officer.name, "certificate": officer.certificate }))
        .collect();
    let document = activity.document.as_ref().map(|document| {
        json!({
            "name": document.name,
            "start": document.start_unix_ms.map(time),
            "end": document.end_unix_ms.map(time),
        })
    });
    let moments: Vec<_> = activity
        .moments
        .iter()
        .map(|moment| {
            json!({
                "what": moment.name,
                "at": time(moment.at_unix_ms),
                "by": moment.by,
                "entered_at": time(moment.entered_unix_ms),
                "reason": some(&moment.reason),
                "delay": some(&moment.delay),
                "record": moment.record_seq,
            })
        })
        .collect();
    let phases: Vec<_> = activity
        .phases
        .iter()
        .map(|phase| {
            json!({
                "name": phase.name,
                "place": phase.place,
                "started": time(phase.started_unix_ms),
                "ended": phase.ended_unix_ms.map(time),
            })
        })
        .collect();
    let corrections: Vec<_> = activity
        .corrections
        .iter()
        .map(|correction| {
            json!({
                "field": correction.field,
                "before": correction.before,
                "after": correction.after,
                "reason": correction.reason,
                "by": correction.by,
                "at": time(correction.at_unix_ms),
                "record": correction.record_seq,
            })
        })
        .collect();
    json!({
        "activity": activity.activity_id,
        "unit": activity.unit_id,
        "kind": activity.kind,
        "officers": officers,
        "place": activity.place,
        "started": time(activity.started_unix_ms),
        "matter": some(&activity.matter),
        "party": activity.party,
        "document": document,
        "angles": activity.angles,
        "opened_by": activity.opened_by,
        "record": activity.record_seq,
        "moments": moments,
        "phases": phases,
        "corrections": corrections,
        "items": report.items.iter().map(item_json).collect::<Vec<_>>(),
        "item_count": report.item_count,
        "gaps": report.gaps.iter().map(gap_json).collect::<Vec<_>>(),
        "interruptions": report.interruptions.iter().map(register::interruption_json).collect::<Vec<_>>(),
        "exemptions": report.exemptions.iter().map(register::exemption_json).collect::<Vec<_>>(),
        "missing_angles": report.missing_angles,
        "ingest_due": report.ingest_due.as_ref().map(deadline_json),
        "label_due": report.label_due.as_ref().map(deadline_json),
        "ingest": report.ingest,
        "preservation": report.preservation,
        "bad_shards": report.bad_shards,
        "findings": report.findings,
    })
}
