//! Rows of activities as messages.

use bytes::Bytes;
use strongroom_custody::{
    activity::{self, ActivityRow},
    deadline,
    exemption::ExemptionRow,
    gaps,
    interruption::InterruptionRow,
    notice::NoticeRow,
    report::{ActivityReport, ItemReport, Preservation},
    statement::Filed,
};
use strongroom_proto::activity::{
    Activity, ActivityItem, ActivityReport as WireReport, Correction, Deadline, Document, Exemption, Gap, Interruption,
    Moment, Notice, Officer, Phase, Statement,
};
use strongroom_types::{ItemId, UnixMillis};

use super::Fixity;

pub(super) fn report(row: &ActivityRow, report: &ActivityReport, fixity: Fixity) -> WireReport {
    WireReport {
        activity: Some(activity(row)),
        items: report.items.iter().map(item).collect(),
        item_count: u32::try_from(report.items.len()).unwrap_or(u32::MAX),
        gaps: report.gaps.iter().map(|found| gap(row, found)).collect(),
        interruptions: report.interruptions.iter().map(|told| interruption(row.unit.as_str(), told)).collect(),
        exemptions: report.exemptions.iter().map(|told| exemption(row.unit.as_str(), told)).collect(),
        missing_angles: report.missing_angles.clone(),
        ingest_due: report.ingest_due.as_ref().map(deadline),
        label_due: report.label_due.as_ref().map(deadline),
        ingest: report.ingest.name().to_owned(),
        preservation: preservation(report.preservation, fixity).to_owned(),
        bad_shards: if let Fixity::Bad(count) = fixity { count } else { 0 },
        findings: report.findings.clone(),
    }
}

/// Complete is what has no open gap and good bytes, both (R-003-5c).
const fn preservation(times: Preservation, fixity: Fixity) -> &'static str {
    match (times, fixity) {
        (Preservation::Complete, Fixity::Bad(_)) => "fixity_bad",
        (Preservation::Complete, Fixity::Unknown) => "fixity_unknown",
        (times, _) => times.name(),
    }
}

fn activity(row: &ActivityRow) -> Activity {
    let moments = row.moments.iter().flat_map(|(name, values)| values.iter().map(|value| moment(*name, value)));
    Activity {
        activity_id: row.id.to_string(),
        unit_id: row.unit.to_string(),
        kind: row.kind.clone(),
        officers: row
            .officers
            .iter()
            .map(|officer| Officer { name: officer.name.clone(), certificate: officer.certificate.clone() })
            .collect(),
        place: row.place.clone(),
        started_unix_ms: row.started_at.0,
        matter: row.matter.clone(),
        party: row.party.clone(),
        document: row.document.as_ref().map(|document| Document {
            name: document.name.clone(),
            start_unix_ms: ms(document.start),
            end_unix_ms: ms(document.end),
        }),
        angles: row.angles.clone(),
        opened_by: row.opened_by.to_string(),
        opened_unix_ms: row.opened_at.0,
        record_seq: row.seq.0,
        phases: row.phases.iter().map(phase).collect(),
        moments: moments.collect(),
        corrections: row.corrections.iter().map(correction).collect(),
    }
}

fn phase(phase: &activity::Phase) -> Phase {
    Phase {
        name: phase.name.clone(),
        place: phase.place.clone(),
        started_unix_ms: phase.started_at.0,
        ended_unix_ms: ms(phase.ended_at),
        record_seq: phase.seq.0,
    }
}

fn moment(name: activity::Moment, value: &activity::MomentValue) -> Moment {
    Moment {
        name: name.name().to_owned(),
        at_unix_ms: value.at.0,
        by: value.by.to_string(),
        entered_unix_ms: value.entered_at.0,
        reason: value.reason.clone(),
        delay: value.delay.map_or_else(String::new, |delay| delay.name().to_owned()),
        record_seq: value.seq.0,
    }
}

fn correction(correction: &activity::Correction) -> Correction {
    Correction {
        field: correction.field.clone(),
        before: correction.before.clone(),
        after: correction.after.clone(),
        reason: correction.reason.clone(),
        by: correction.by.to_string(),
        at_unix_ms: correction.at.0,
        record_seq: correction.seq.0,
    }
}

fn item(report: &ItemReport) -> ActivityItem {
    let about = &report.item.description;
    ActivityItem {
        item_id: id(Some(report.id)),
        device_id: about.device.to_string(),
        recorded_start_unix_ms: about.recorded_start.0,
        recorded_end_unix_ms: about.recorded_end.0,
        corrected_start_unix_ms: report.times.corrected(about.recorded_start).0,
        corrected_end_unix_ms: report.times.corrected(about.recorded_end).0,
        clock_offset_ms: report.times.clock.as_ref().map(|clock| clock.offset_ms),
        sealed_unix_ms: report.item.sealed_at.0,
        labelled_unix_ms: ms(report.times.labelled_at),
        phase: report.attached.phase,
        angle: report.attached.angle.clone().unwrap_or_default(),
        counts: report.counts,
        detached_because: report.attached.detached.as_ref().map_or_else(String::new, |gone| gone.reason.clone()),
        ingest: report.ingest.name().to_owned(),
        label: report.label.name().to_owned(),
        findings: report.findings.clone(),
    }
}

fn gap(row: &ActivityRow, gap: &gaps::Gap) -> Gap {
    Gap {
        activity_id: row.id.to_string(),
        from_unix_ms: gap.from.0,
        to_unix_ms: gap.to.0,
        after_item_id: id(gap.after),
        before_item_id: id(gap.before),
        phase: row.phase_at(gap.from),
        closed_by: gap.closed_by.map(|seq| seq.0),
    }
}

fn deadline(deadline: &deadline::Deadline) -> Deadline {
    Deadline {
        first_unix_ms: deadline.first.0,
        current_unix_ms: deadline.current.0,
        earliest_unix_ms: deadline.earliest.0,
    }
}

pub(super) fn interruption(unit: &str, row: &InterruptionRow) -> Interruption {
    Interruption {
        record_seq: row.seq.0,
        activity_id: row.activity.to_string(),
        unit_id: unit.to_owned(),
        from_unix_ms: row.from.0,
        to_unix_ms: row.to.0,
        cause: row.cause.clone(),
        cause_zh: row.cause_words.clone(),
        text: row.text.clone(),
        voice_note_item_id: id(row.voice_note.map(|note| note.item)),
        voice_note_offset_ms: row.voice_note.map_or(0, |note| note.offset_ms),
        statement_item_id: id(row.statement),
        reported_to: row.reported_to.clone(),
        kept_by: row.kept_by.as_ref().map_or_else(String::new, ToString::to_string),
        by: row.by.to_string(),
        at_unix_ms: row.at.0,
        filed: row.filed.iter().map(statement).collect(),
    }
}

pub(super) fn exemption(unit: &str, row: &ExemptionRow) -> Exemption {
    Exemption {
        record_seq: row.seq.0,
        activity_id: row.activity.to_string(),
        unit_id: unit.to_owned(),
        cause: row.cause.clone(),
        cause_zh: row.cause_words.clone(),
        text: row.text.clone(),
        legal_basis: row.legal_basis.clone(),
        consented_by: row.consented_by.clone(),
        consent_office: row.consent_office.name().to_owned(),
        consented_unix_ms: row.consented_at.0,
        work_record_item_id: id(row.work_record),
        reported_to: row.reported_to.clone(),
        by: row.by.to_string(),
        at_unix_ms: row.at.0,
        findings: row.findings.clone(),
        filed: row.filed.iter().map(statement).collect(),
    }
}

fn statement(filed: &Filed) -> Statement {
    Statement {
        item_id: id(Some(filed.item)),
        reported_to: filed.reported_to.clone(),
        by: filed.by.to_string(),
        at_unix_ms: filed.at.0,
        record_seq: filed.seq.0,
    }
}

pub(super) fn notice(row: &NoticeRow) -> Notice {
    Notice {
        record_seq: row.seq.0,
        unit_id: row.unit.to_string(),
        finding: row.finding.clone(),
        activity_id: row.activity.as_ref().map_or_else(String::new, ToString::to_string),
        device_id: row.device.as_ref().map_or_else(String::new, ToString::to_string),
        at_unix_ms: row.at.0,
        seen_by: row.seen.as_ref().map_or_else(String::new, |seen| seen.by.to_string()),
        seen_unix_ms: row.seen.as_ref().map_or(0, |seen| seen.at.0),
        opinion: row.seen.as_ref().map_or_else(String::new, |seen| seen.opinion.clone()),
        request_id: row.request.as_ref().map_or_else(String::new, ToString::to_string),
    }
}

fn id(item: Option<ItemId>) -> Bytes {
    item.map_or_else(Bytes::new, |item| Bytes::copy_from_slice(item.as_bytes()))
}

fn ms(at: Option<UnixMillis>) -> Option<i64> {
    at.map(|at| at.0)
}
