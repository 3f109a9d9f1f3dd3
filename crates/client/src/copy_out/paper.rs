//! What lies beside the files: the request as it was decided, and sums that other people's tools check.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use strongroom_proto::request::{Act, Request};
use strongroom_types::{RecordSeq, RemovalId, SessionId, UnixMillis};

use super::{CopiedItem, CopyOutError};
use crate::file;

pub(super) const REQUEST_FILE: &str = "request.json";
pub(super) const SUMS_FILE: &str = "SHA256SUMS";

/// Writes `SHA256SUMS`, `B3SUMS` and `request.json`, the last one last: it says that the folder is complete.
pub(super) fn write(
    folder: &Path,
    request: &Request,
    session: SessionId,
    begun: RecordSeq,
    items: &[CopiedItem],
) -> Result<(), CopyOutError> {
    let request = request_json(request, session, begun, items);
    let text = serde_json::to_string_pretty(&request).expect("a JSON value has a text form") + "\n";
    for (name, content) in [
        (SUMS_FILE, sums(items, |item| item.sha256.to_string())),
        ("B3SUMS", sums(items, |item| item.blake3.to_string())),
        (REQUEST_FILE, text),
    ] {
        let path = folder.join(name);
        file::replace(&path, content.as_bytes()).map_err(CopyOutError::file("write", &path))?;
    }
    Ok(())
}

/// Writes the statement that the receiver signs, `B3SUMS` and `SHA256SUMS`, the last one last: it says that the folder is
/// complete. Answers where the statement is.
pub(super) fn write_removal(
    folder: &Path,
    removal: RemovalId,
    statement: &[u8],
    items: &[CopiedItem],
) -> Result<PathBuf, CopyOutError> {
    let path = folder.join(format!("{removal}.statement"));
    file::replace(&path, statement).map_err(CopyOutError::file("write", &path))?;
    for (name, content) in [
        ("B3SUMS", sums(items, |item| item.blake3.to_string())),
        (SUMS_FILE, sums(items, |item| item.sha256.to_string())),
    ] {
        let path = folder.join(name);
        file::replace(&path, content.as_bytes()).map_err(CopyOutError::file("write", &path))?;
    }
    Ok(path)
}

/// Lines that `sha256sum -c` and `b3sum -c` take.
fn sums(items: &[CopiedItem], digest: impl Fn(&CopiedItem) -> String) -> String {
    items.iter().map(|item| format!("{}  {}\n", digest(item), name_of(item))).collect()
}

fn name_of(item: &CopiedItem) -> String {
    item.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn request_json(request: &Request, session: SessionId, begun: RecordSeq, items: &[CopiedItem]) -> Value {
    let approvals: Vec<Value> = request
        .approvals
        .iter()
        .map(|approval| {
            json!({
                "approver": approval.approver,
                "role": approval.role,
                "approved_at": UnixMillis(approval.approved_at_unix_ms).to_string(),
                "record": approval.record_seq,
            })
        })
        .collect();
    let files: Vec<Value> = items
        .iter()
        .map(|item| {
            json!({
                "item": item.item.to_string(),
                "file": name_of(item),
                "size_bytes": item.size_bytes,
                "blake3": item.blake3.to_string(),
                "sha256": item.sha256.to_string(),
                "has_receipt": item.receipt.is_some(),
            })
        })
        .collect();
    json!({
        "request": request.request_id,
        "act": act_name(request.act()),
        "requester": request.requester,
        "submitted_at": UnixMillis(request.submitted_at_unix_ms).to_string(),
        "fields": request.fields.iter().collect::<std::collections::BTreeMap<_, _>>(),
        "approvals": approvals,
        "session": session.to_string(),
        "session_record": begun.0,
        "files": files,
    })
}

pub(crate) const fn act_name(act: Act) -> &'static str {
    match act {
        Act::Unspecified => "unspecified",
        Act::View => "view",
        Act::Copy => "copy",
        Act::Transfer => "transfer",
        Act::Provide => "provide",
        Act::Publish => "publish",
    }
}
