//! `strongroom ledger export` and `ledger rows`: what an auditor takes home. Both are lines of JSON, so that a file may be
//! longer than memory.
//!
//! ```text
//!  records:  {"checkpoint": note}          then, for each record from 0 on, {"seq", "leaf", "record", "salt"}
//!  rows:     {"ledger_size", "after", "last", "rows": [[key, value], …]}, page by page in order of the keys
//! ```
//! A page of rows is of one moment, and says of which; the next one may be of a later one.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use strongroom_types::RecordSeq;

use super::{Auditor, check_record};
use crate::failure::Failure;
use crate::session::Globals;

/// Records and rows that are asked for at once.
const PAGE: u32 = 500;

/// First line of exported records.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadLine {
    /// The signed note.
    pub(super) checkpoint: String,
}

/// One record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordLine {
    pub(super) seq: u64,
    /// In hexadecimal, as all that follows.
    pub(super) leaf: String,
    pub(super) record: String,
    pub(super) salt: String,
}

/// One page of rows.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RowsLine {
    /// Records that the rows are of.
    pub(super) ledger_size: u64,
    /// The page begins behind this key.
    pub(super) after: String,
    /// It ends with this one; absent on the last page.
    pub(super) last: Option<String>,
    /// Keys and values.
    pub(super) rows: Vec<(String, String)>,
}

/// Lines into a file.
struct Lines<'a> {
    path: &'a Path,
    file: BufWriter<File>,
}

impl<'a> Lines<'a> {
    fn create(path: &'a Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(Failure::file("create", path))?;
        Ok(Self { path, file: BufWriter::new(file) })
    }

    fn write(&mut self, line: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(line).expect("a line has a text form");
        writeln!(self.file, "{text}").map_err(Failure::file("write", self.path))
    }

    fn finish(self) -> Result<(), Failure> {
        let failed = Failure::file("write", self.path);
        let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error);
        file.and_then(|file| file.sync_all()).map_err(failed)
    }
}

/// Exports every record.
pub(super) async fn records(globals: &Globals, auditor: &Auditor, to: &Path) -> Result<(), Failure> {
    let (note, verified) = auditor.newest().await?;
    let mut lines = Lines::create(to)?;
    let checkpoint = String::from_utf8(note).map_err(|_| Failure::failed("the checkpoint is no text"))?;
    lines.write(&HeadLine { checkpoint })?;
    let bar = globals.output().counter("records", verified.head().size);
    let mut next = 0;
    loop {
        let page = auditor.client.list_records(RecordSeq(next), PAGE).await?.records;
        if page.is_empty() {
            break;
        }
        for record in &page {
            check_record(record)?;
            if record.seq != next {
                return Err(Failure::failed(format!("asked for record #{next}, got #{}", record.seq)));
            }
            next += 1;
            lines.write(&RecordLine {
                seq: record.seq,
                leaf: hex::encode(&record.leaf),
                record: hex::encode(&record.record),
                salt: hex::encode(&record.salt),
            })?;
        }
        bar.set_position(next);
    }
    bar.finish_and_clear();
    lines.finish()?;
    let size = verified.head().size;
    if next < size {
        return Err(Failure::failed(format!("the checkpoint covers {size} records, the node gave {next}")));
    }
    let output = globals.output();
    output.show(&json!({ "to": to.display().to_string(), "records": next, "checkpoint_size": size }), |page| {
        page.facts(&[
            ("file", to.display().to_string()),
            ("records", next.to_string()),
            ("checkpoint", size.to_string()),
        ]);
    })
}

/// Exports the rows that decide retention.
pub(super) async fn rows(globals: &Globals, auditor: &Auditor, to: &Path) -> Result<(), Failure> {
    let mut lines = Lines::create(to)?;
    let (mut after, mut count, mut size) = (Bytes::new(), 0_u64, 0);
    loop {
        let page = auditor.client.list_retained(after.clone(), PAGE).await?;
        if page.ledger_size < size {
            return Err(Failure::failed("a node answered that is behind the one before it").hint("ask again"));
        }
        size = page.ledger_size;
        let last = page.rows.last().map(|row| row.key.clone()).filter(|_| !page.is_last);
        lines.write(&RowsLine {
            ledger_size: size,
            after: hex::encode(&after),
            last: last.as_ref().map(hex::encode),
            rows: page.rows.iter().map(|row| (hex::encode(&row.key), hex::encode(&row.value))).collect(),
        })?;
        count += page.rows.len() as u64;
        match last {
            Some(last) => after = last,
            None => break,
        }
    }
    lines.finish()?;
    let output = globals.output();
    output.show(&json!({ "to": to.display().to_string(), "rows": count, "ledger_size": size }), |page| {
        page.facts(&[("file", to.display().to_string()), ("rows", count.to_string()), ("records", size.to_string())]);
    })
}
