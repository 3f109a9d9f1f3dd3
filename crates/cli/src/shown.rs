//! Catalogue entries, requests and records as the command line shows them. Names of JSON fields are relied on by scripts.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use strongroom_proto::catalog::{Item, Removed};
use strongroom_proto::request::{Act, Approval, Request, RequestState, Step};
use strongroom_types::{RecordSeq, UnixMillis};

use crate::failure::Failure;
use crate::output::{Page, short_size, size};
use crate::session::Globals;

/// An instant as RFC 3339 in Beijing time.
pub(crate) fn time(unix_ms: i64) -> String {
    UnixMillis(unix_ms).to_string()
}

/// What was done to what, and the record of it.
pub(crate) fn done(globals: &Globals, what: &'static str, name: &str, record: RecordSeq) -> Result<(), Failure> {
    let json = json!({ what: name, "record": record.0 });
    globals.output().show(&json, |page| page.facts(&[(what, name.to_owned()), ("record", record.to_string())]))
}

/// An item's id, or nothing.
pub(crate) fn item_id(id: &Bytes) -> Option<String> {
    (!id.is_empty()).then(|| hex::encode(id))
}

/// An instant, or `never` where there is no end.
pub(crate) fn end(unix_ms: Option<i64>) -> String {
    unix_ms.map_or_else(|| "never".to_owned(), time)
}

/// Names and texts on one line.
pub(crate) fn one_line(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// A catalogue entry as JSON.
pub(crate) fn item_json(item: &Item) -> Value {
    json!({
        "item": hex::encode(&item.item_id),
        "file_name": item.file_name,
        "size_bytes": item.size_bytes,
        "blake3": hex::encode(&item.blake3),
        "sha256": hex::encode(&item.sha256),
        "sealed_at": time(item.sealed_at_unix_ms),
        "record": item.record_seq,
        "device": item.device_id,
        "device_type": some(&item.device_type),
        "media_type": some(&item.media_type),
        "device_proof": (!item.device_scheme.is_empty())
            .then(|| json!({ "scheme": item.device_scheme, "value_hex": hex::encode(&item.device_proof) })),
        "unit": item.unit_id,
        "recorded_start": time(item.recorded_start_unix_ms),
        "recorded_end": time(item.recorded_end_unix_ms),
        "activity": some(&item.activity_id),
        "labels": &item.labels,
        "labels_missing": &item.labels_missing,
        "display_name": some(&item.display_name),
        "folders": &item.folders,
        "retention": {
            "start": time(item.retention_start_unix_ms),
            "profile": item.profile,
            "kept_until": item.kept_until_unix_ms.map(time),
        },
        "holds": item.hold_ids,
        "restriction": some(&item.restriction),
        "class": some(&item.class),
        "quarantined": item.quarantined,
        "sent_by": item.sent_by,
        "findings": item.findings,
        "removed": item.removed.as_ref().map(removed_json),
    })
}

/// Where a removed item is, as JSON.
pub(crate) fn removed_json(removed: &Removed) -> Value {
    json!({
        "removal": removed.removal_id,
        "carrier": removed.carrier,
        "organ": removed.organ,
        "receiver": some(&removed.receiver),
        "at": time(removed.removed_unix_ms),
        "record": removed.record_seq,
    })
}

/// Where a removed item is, in words.
pub(crate) fn removed_text(removed: Option<&Removed>) -> String {
    let told = |removed: &Removed| {
        format!(
            "transferred to carrier {} of {} in {} at {} (#{})",
            removed.carrier,
            removed.organ,
            removed.removal_id,
            time(removed.removed_unix_ms),
            removed.record_seq
        )
    };
    removed.map(told).unwrap_or_default()
}

/// A catalogue entry for people.
pub(crate) fn item_page(page: &mut Page, item: &Item) {
    if item.removed.is_some() {
        // Of what is not here any more, digests are told and where it is.
        return page.facts(&[
            ("item", hex::encode(&item.item_id)),
            ("removed", removed_text(item.removed.as_ref())),
            ("size", size(item.size_bytes)),
            ("blake3", hex::encode(&item.blake3)),
            ("sha256", hex::encode(&item.sha256)),
            ("sealed at", time(item.sealed_at_unix_ms)),
            ("record", format!("#{}", item.record_seq)),
            ("device", item.device_id.clone()),
            ("unit", item.unit_id.clone()),
        ]);
    }
    page.facts(&[
        ("item", hex::encode(&item.item_id)),
        ("file", item.file_name.clone()),
        ("size", size(item.size_bytes)),
        ("blake3", hex::encode(&item.blake3)),
        ("sha256", hex::encode(&item.sha256)),
        ("sealed at", time(item.sealed_at_unix_ms)),
        ("record", format!("#{}", item.record_seq)),
        ("device", device(item)),
        ("media type", item.media_type.clone()),
        ("device signed", device_proof(item)),
        ("unit", item.unit_id.clone()),
        ("recorded", format!("{} – {}", time(item.recorded_start_unix_ms), time(item.recorded_end_unix_ms))),
        ("activity", item.activity_id.clone()),
        ("labels", one_line(&item.labels)),
        ("labels missing", item.labels_missing.join(" ")),
        ("display name", item.display_name.clone()),
        ("folders", item.folders.join(" ")),
        ("kept until", format!("{} ({})", end(item.kept_until_unix_ms), item.profile)),
        ("holds", item.hold_ids.join(" ")),
        ("restriction", item.restriction.clone()),
        ("class", item.class.clone()),
        ("quarantined", if item.quarantined { "yes".to_owned() } else { String::new() }),
        ("findings", item.findings.join(" ")),
    ]);
}

fn device(item: &Item) -> String {
    if item.device_type.is_empty() {
        item.device_id.clone()
    } else {
        format!("{} ({})", item.device_id, item.device_type)
    }
}

fn device_proof(item: &Item) -> String {
    if item.device_scheme.is_empty() {
        String::new()
    } else {
        format!("{} {}", item.device_scheme, hex::encode(&item.device_proof))
    }
}

/// Catalogue entries as a table.
pub(crate) fn items_page(page: &mut Page, items: &[Item]) {
    let rows: Vec<_> = items
        .iter()
        .map(|item| {
            vec![
                hex::encode(&item.item_id),
                time(item.sealed_at_unix_ms),
                short_size(item.size_bytes),
                item.device_id.clone(),
                item.unit_id.clone(),
                item.file_name.clone(),
            ]
        })
        .collect();
    page.table(&["item", "sealed at", "size", "device", "unit", "file"], &rows);
}

/// A request as JSON.
pub(crate) fn request_json(request: &Request) -> Value {
    let approvals: Vec<Value> = request.approvals.iter().map(approval_json).collect();
    let steps: Vec<Value> = request
        .steps
        .iter()
        .map(|step| {
            json!({
                "act": step.act,
                "by": some(&step.by),
                "at": time(step.at_unix_ms),
                "record": step.record_seq,
            })
        })
        .collect();
    let paper = request.paper.as_ref().map(|paper| {
        json!({
            "form": item_id(&paper.form_item_id),
            "approver": paper.approver,
            "filed_by": paper.filed_by,
            "record": paper.record_seq,
        })
    });
    json!({
        "request": request.request_id,
        "state": state(request.state()),
        "act": act(request.act()),
        "items": request.item_ids.iter().map(hex::encode).collect::<Vec<_>>(),
        "fields": &request.fields,
        "requester": request.requester,
        "submitted_at": time(request.submitted_at_unix_ms),
        "approvals": approvals,
        "missing": request.missing,
        "valid_until": request.valid_until_unix_ms.map(time),
        "uses": request.uses,
        "uses_max": request.uses_max,
        "executor": request.executor_role,
        "rejection": some(&request.rejection),
        "decide_by": time(request.decide_by_unix_ms),
        "next": request.next,
        "steps": steps,
        "paper": paper,
    })
}

fn approval_json(approval: &Approval) -> Value {
    json!({
        "approver": approval.approver,
        "role": approval.role,
        "approved_at": time(approval.approved_at_unix_ms),
        "record": approval.record_seq,
        "mandate": approval.mandate_record_seq,
        "mandate_kind": some(&approval.mandate_kind),
        "mandate_given_by": some(&approval.mandate_given_by),
        "form": item_id(&approval.form_item_id),
        "entered_by": some(&approval.entered_by),
        "witness": some(&approval.witness),
        "said_at": approval.said_at_unix_ms.map(time),
        "confirm_by": approval.confirm_by_unix_ms.map(time),
        "confirmed_by": some(&approval.confirmed_by),
    })
}

/// An approval on one line: by whom, in which role, and how where it was not by their own hand.
fn approval_line(approval: &Approval) -> String {
    let how = match (approval.mandate_record_seq, item_id(&approval.form_item_id), approval.said_at_unix_ms) {
        (_, Some(form), _) => format!(", paper {form} attested by {}", approval.witness),
        (_, None, Some(said)) => format!(", said at {}, heard by {}", time(said), approval.witness),
        (Some(mandate), None, None) => {
            format!(", {} #{mandate} by {}", approval.mandate_kind, approval.mandate_given_by)
        }
        (None, None, None) => String::new(),
    };
    format!("{} ({}{how})", approval.approver, approval.role)
}

/// A request for people.
pub(crate) fn request_page(page: &mut Page, request: &Request) {
    let approvals: Vec<_> = request.approvals.iter().map(approval_line).collect();
    page.facts(&[
        ("request", request.request_id.clone()),
        ("state", state(request.state()).to_owned()),
        ("act", act(request.act()).to_owned()),
        ("items", ids(&request.item_ids)),
        ("facts", one_line(&request.fields)),
        ("requester", request.requester.clone()),
        ("submitted", time(request.submitted_at_unix_ms)),
        ("approved by", approvals.join(", ")),
        ("missing", request.missing.join("; ")),
        ("valid until", request.valid_until_unix_ms.map(time).unwrap_or_default()),
        ("uses", format!("{}/{}", request.uses, request.uses_max)),
        ("executor", request.executor_role.clone()),
        ("rejection", request.rejection.clone()),
        ("next", request.next.join("; ")),
    ]);
    let step =
        |step: &Step| vec![step.act.clone(), step.by.clone(), time(step.at_unix_ms), step.record_seq.to_string()];
    page.table(&["act", "actor", "when", "record"], &request.steps.iter().map(step).collect::<Vec<_>>());
}

fn ids(items: &[Bytes]) -> String {
    items.iter().map(hex::encode).collect::<Vec<_>>().join(" ")
}

/// The name of an act.
pub(crate) const fn act(act: Act) -> &'static str {
    match act {
        Act::Unspecified => "unspecified",
        Act::View => "view",
        Act::Copy => "copy",
        Act::Transfer => "transfer",
        Act::Provide => "provide",
        Act::Publish => "publish",
    }
}

/// The name of a request's state.
pub(crate) const fn state(state: RequestState) -> &'static str {
    match state {
        RequestState::Unspecified => "unspecified",
        RequestState::Pending => "pending",
        RequestState::Approved => "approved",
        RequestState::Rejected => "rejected",
        RequestState::Expired => "expired",
        RequestState::Spent => "spent",
        RequestState::Withdrawn => "withdrawn",
        RequestState::Revoked => "revoked",
        RequestState::Lapsed => "lapsed",
    }
}

/// A text, or nothing where it is empty.
pub(crate) fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_what_scripts_read() {
        let request = Request {
            request_id: "REQ-1".to_owned(),
            act: Act::Copy.into(),
            item_ids: vec![Bytes::from_static(&[1; 16])],
            state: RequestState::Pending.into(),
            requester: "legal".to_owned(),
            missing: vec!["one approval of approver or head".to_owned()],
            ..Request::default()
        };
        let json = request_json(&request);
        assert_eq!(json["request"], "REQ-1");
        assert_eq!(json["state"], "pending");
        assert_eq!(json["items"], json!(["01".repeat(16)]));
        assert_eq!(json["missing"], json!(["one approval of approver or head"]));
        assert_eq!(json["valid_until"], Value::Null);
        assert_eq!(json["rejection"], Value::Null);
    }

    #[test]
    fn an_item_shows_what_scripts_read() {
        let item = Item {
            item_id: Bytes::from_static(&[0xab; 16]),
            blake3: Bytes::from_static(&[1; 32]),
            sha256: Bytes::from_static(&[2; 32]),
            size_bytes: 7,
            labels: BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())]),
            ..Item::default()
        };
        let json = item_json(&item);
        assert_eq!(json["item"], "ab".repeat(16));
        assert_eq!(json["blake3"], "01".repeat(32));
        assert_eq!(json["sealed_at"], "1970-01-01T08:00:00.000+08:00");
        assert_eq!(json["retention"]["kept_until"], Value::Null);
        assert_eq!(one_line(&item.labels), "a=1 b=2");
    }
}
