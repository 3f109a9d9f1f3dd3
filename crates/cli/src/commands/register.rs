//! `strongroom register`: interruptions, exemptions and notices, as table, CSV or JSON.

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_client::Page;
use strongroom_proto::activity::{AcknowledgeNoticeRequest, Exemption, Interruption, Notice, Statement};
use strongroom_types::UnitId;

use crate::failure::Failure;
use crate::output::Output;
use crate::session::{Globals, Usual};
use crate::shown::{done, item_id, some, time};

/// Registers.
#[derive(Debug, Subcommand)]
pub(crate) enum Register {
    /// Interruption records, newest first: `strongroom register interruptions --unit U1 --output csv`
    Interruptions(List),
    /// Exemptions, newest first
    Exemptions(List),
    /// Notices to the head of a unit, newest first
    Notices {
        #[command(flatten)]
        list: List,
        /// Answered ones too
        #[arg(long)]
        all: bool,
    },
    /// Says that a notice was seen, as the head
    Acknowledge {
        /// Unit of the notice
        unit: UnitId,
        /// Its number
        number: u64,
        /// What the head says to it
        #[arg(long, default_value = "", value_name = "TEXT")]
        opinion: String,
    },
}

/// Which rows to list.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only this unit's; without one, the caller's
    #[arg(long)]
    unit: Option<UnitId>,
    /// At most so many
    #[arg(long, default_value_t = 1000, value_name = "COUNT")]
    limit: usize,
}

impl Register {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let client = globals.client(Usual::UnitHead)?;
        match self {
            Self::Interruptions(list) => {
                let unit = list.unit.clone();
                let rows = list.fetch(async |page| client.list_interruptions(unit.as_ref(), page).await).await?;
                interruptions(globals, &rows)
            }
            Self::Exemptions(list) => {
                let unit = list.unit.clone();
                let rows = list.fetch(async |page| client.list_exemptions(unit.as_ref(), page).await).await?;
                exemptions(globals, &rows)
            }
            Self::Notices { list, all } => {
                let unit = list.unit.clone();
                let rows = list.fetch(async |page| client.list_notices(unit.as_ref(), !all, page).await).await?;
                notices(globals, &rows)
            }
            Self::Acknowledge { unit, number, opinion } => {
                let unit_id = unit.to_string();
                let request = AcknowledgeNoticeRequest { unit_id, number, opinion, ..Default::default() };
                done(globals, "notice", &number.to_string(), client.acknowledge_notice(request).await?)
            }
        }
    }
}

impl List {
    /// Page after page, up to the limit.
    async fn fetch<T>(
        self,
        page: impl AsyncFn(Page) -> Result<(Vec<T>, Bytes), strongroom_client::ClientError>,
    ) -> Result<Vec<T>, Failure> {
        let (mut rows, mut token) = (Vec::new(), Bytes::new());
        while rows.len() < self.limit {
            let size = u32::try_from((self.limit - rows.len()).min(100)).unwrap_or(100);
            let (more, next) = page(Page { size, token }).await?;
            rows.extend(more);
            token = next;
            if token.is_empty() {
                break;
            }
        }
        rows.truncate(self.limit);
        Ok(rows)
    }
}

fn interruptions(globals: &Globals, rows: &[Interruption]) -> Result<(), Failure> {
    let output = globals.output();
    let row = |row: &Interruption| {
        let explained = match (item_id(&row.voice_note_item_id), item_id(&row.statement_item_id)) {
            (Some(item), _) => format!("{item}@{}ms", row.voice_note_offset_ms),
            (None, Some(item)) => item,
            (None, None) => String::new(),
        };
        vec![
            row.record_seq.to_string(),
            row.activity_id.clone(),
            row.unit_id.clone(),
            time(row.from_unix_ms),
            time(row.to_unix_ms),
            cause(output, &row.cause, &row.cause_zh),
            row.text.clone(),
            explained,
            row.reported_to.clone(),
            row.kept_by.clone(),
            row.by.clone(),
        ]
    };
    let heads = [
        "number",
        "activity",
        "unit",
        "from",
        "to",
        "cause",
        "text",
        "explained by",
        "reported to",
        "kept by",
        "actor",
    ];
    let json = rows.iter().map(interruption_json).collect();
    output.list(&json, &heads, &rows.iter().map(row).collect::<Vec<_>>())
}

/// A cause in the words of the text, for those who read Chinese.
fn cause(output: Output, code: &str, words: &str) -> String {
    if words.is_empty() { code.to_owned() } else { output.pick(code, words).to_owned() }
}

fn exemptions(globals: &Globals, rows: &[Exemption]) -> Result<(), Failure> {
    let output = globals.output();
    let row = |row: &Exemption| {
        vec![
            row.record_seq.to_string(),
            row.activity_id.clone(),
            row.unit_id.clone(),
            cause(output, &row.cause, &row.cause_zh),
            row.text.clone(),
            row.legal_basis.clone(),
            format!("{} ({})", row.consented_by, row.consent_office),
            time(row.consented_unix_ms),
            row.reported_to.clone(),
            row.findings.join(" "),
        ]
    };
    let heads = [
        "number",
        "activity",
        "unit",
        "cause",
        "text",
        "legal basis",
        "consented by",
        "when",
        "reported to",
        "findings",
    ];
    let json = rows.iter().map(exemption_json).collect();
    output.list(&json, &heads, &rows.iter().map(row).collect::<Vec<_>>())
}

fn notices(globals: &Globals, rows: &[Notice]) -> Result<(), Failure> {
    let about = |row: &Notice| {
        let about = [&row.activity_id, &row.device_id, &row.request_id].into_iter().find(|about| !about.is_empty());
        about.cloned().unwrap_or_default()
    };
    let row = |row: &Notice| {
        vec![
            row.record_seq.to_string(),
            row.unit_id.clone(),
            row.finding.clone(),
            about(row),
            time(row.at_unix_ms),
            row.seen_by.clone(),
            row.opinion.clone(),
        ]
    };
    let json = rows
        .iter()
        .map(|row| {
            json!({
                "number": row.record_seq,
                "unit": row.unit_id,
                "finding": row.finding,
                "activity": some(&row.activity_id),
                "device": some(&row.device_id),
                "request": some(&row.request_id),
                "at": time(row.at_unix_ms),
                "seen_by": some(&row.seen_by),
                "opinion": some(&row.opinion),
            })
        })
        .collect();
    let heads = ["number", "unit", "findings", "about", "when", "seen by", "opinion"];
    globals.output().list(&json, &heads, &rows.iter().map(row).collect::<Vec<_>>())
}

/// An interruption record as JSON.
pub(super) fn interruption_json(row: &Interruption) -> Value {
    json!({
        "number": row.record_seq,
        "activity": row.activity_id,
        "unit": row.unit_id,
        "from": time(row.from_unix_ms),
        "to": time(row.to_unix_ms),
        "cause": row.cause,
        "cause_zh": some(&row.cause_zh),
        "text": some(&row.text),
        "voice_note": item_id(&row.voice_note_item_id),
        "voice_note_offset_ms": row.voice_note_offset_ms,
        "statement": item_id(&row.statement_item_id),
        "reported_to": some(&row.reported_to),
        "kept_by": some(&row.kept_by),
        "by": row.by,
        "at": time(row.at_unix_ms),
        "filed": row.filed.iter().map(statement_json).collect::<Vec<_>>(),
    })
}

/// An exemption as JSON.
pub(super) fn exemption_json(row: &Exemption) -> Value {
    json!({
        "number": row.record_seq,
        "activity": row.activity_id,
        "unit": row.unit_id,
        "cause": row.cause,
        "cause_zh": some(&row.cause_zh),
        "text": row.text,
        "legal_basis": row.legal_basis,
        "consented_by": row.consented_by,
        "consent_office": row.consent_office,
        "consented_at": time(row.consented_unix_ms),
        "work_record": item_id(&row.work_record_item_id),
        "reported_to": some(&row.reported_to),
        "by": row.by,
        "at": time(row.at_unix_ms),
        "findings": row.findings,
        "filed": row.filed.iter().map(statement_json).collect::<Vec<_>>(),
    })
}

fn statement_json(filed: &Statement) -> Value {
    json!({
        "item": item_id(&filed.item_id),
        "reported_to": filed.reported_to,
        "by": filed.by,
        "at": time(filed.at_unix_ms),
        "record": filed.record_seq,
    })
}
