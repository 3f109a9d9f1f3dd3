//! `strongroom inspection`: what a complaint names is looked into beside what is drawn, and so marked.

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_client::{Client, Page as ListPage};
use strongroom_proto::inspection::{
    AnswerRectificationRequest, HeadResult, InspectionRef, RecordResultRequest, Rectification, ResultEntry,
    ShowSheetResponse, Target,
};
use strongroom_types::{ItemId, PrincipalId, UnixMillis};

use crate::failure::Failure;
use crate::items::Items;
use crate::session::{Globals, Usual};
use crate::shown;

/// What can be done with targeted inspections.
#[derive(Debug, Subcommand)]
pub(crate) enum Inspection {
    /// Records that items are inspected because a complaint names them 定向检查: chosen, not drawn, and so marked
    ///
    /// Example: strongroom inspection target --item 5f0c… --complaint 12345热线-0077 --reason 投诉执法态度
    Target {
        #[command(flatten)]
        items: Items,
        /// The complaint that names them, by its number; the head of a unit looks into it without one where the text says so
        #[arg(long, default_value = "", value_name = "TEXT")]
        complaint: String,
        /// Why it is looked into
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Enters what was found of one item, under the heads of the agency's text
    ///
    /// Example: strongroom inspection result DRAW-1 --item 5f0c… --head recorded=met --head conduct='not met: 未亮证'
    /// --problem 未亮证 --measure 专题培训 --responsible li --due 2026-12-31T18:00:00
    Result(Box<Entered>),
    /// Says that what was found wrong is put right
    ///
    /// Example: strongroom inspection rectified DRAW-1 --item 5f0c… --entry 812 --done 已培训并抽考
    Rectified {
        /// The inspection: a draw, or `#` and the record of a targeted one
        inspection: String,
        /// The item
        #[arg(long, value_name = "ITEM")]
        item: ItemId,
        /// The record of the entry that asked for it
        #[arg(long, value_name = "SEQ")]
        entry: u64,
        /// What was done
        #[arg(long, value_name = "TEXT")]
        done: String,
    },
    /// The sheet 抽查记录: every item that was drawn or named, with what was found; also as CSV
    ///
    /// Example: strongroom inspection sheet DRAW-1 --output csv > sheet.csv
    Sheet {
        /// The inspection: a draw, or `#` and the record of a targeted one
        inspection: String,
    },
    /// Targeted inspections, newest first
    ///
    /// Example: strongroom inspection list
    List {
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        limit: usize,
    },
}

/// One entry.
#[derive(Debug, Args)]
pub(crate) struct Entered {
    /// The inspection: a draw, or `#` and the record of a targeted one
    inspection: String,
    /// The item
    #[arg(long, value_name = "ITEM")]
    item: ItemId,
    /// A head of the text with what was found: `CODE=met` or `CODE=not met`, and a note after a colon; say it for each head
    #[arg(long = "head", value_name = "CODE=FOUND", value_parser = crate::parse::pair)]
    heads: Vec<(String, String)>,
    /// What is wrong; needed where a head is not met
    #[arg(long, default_value = "", value_name = "TEXT")]
    problem: String,
    /// What is to be done about it
    #[arg(long, requires_all = ["responsible", "due"], value_name = "TEXT")]
    measure: Option<String>,
    /// Who answers for it
    #[arg(long, requires = "measure", value_name = "NAME")]
    responsible: Option<PrincipalId>,
    /// By when
    #[arg(long, requires = "measure", value_name = "TIME")]
    due: Option<UnixMillis>,
    /// Period of the report that it goes into
    #[arg(long, default_value = "", value_name = "TEXT")]
    report_period: String,
    /// The record of the entry that this one corrects; both stay
    #[arg(long, requires = "reason", value_name = "SEQ")]
    corrects: Option<u64>,
    /// Why it is corrected
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
}

impl Inspection {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let client = globals.client(Usual::Inspector)?;
        match self {
            Self::Target { items, complaint, reason } => {
                let record = client.target_items(&items.read()?, &complaint, &reason).await?;
                shown::done(globals, "complaint", &complaint, record)
            }
            Self::List { limit } => list(globals, &client, limit).await,
            Self::Result(entered) => {
                let name = entered.inspection.clone();
                let record = client.record_result(entered.request()?).await?;
                shown::done(globals, "inspection", &name, record)
            }
            Self::Rectified { inspection, item, entry, done } => {
                let asked = AnswerRectificationRequest {
                    inspection: Some(reference(&inspection)?),
                    item_id: Bytes::copy_from_slice(item.as_bytes()),
                    entry_record_seq: entry,
                    done,
                    ..Default::default()
                };
                let record = client.answer_rectification(asked).await?;
                shown::done(globals, "inspection", &inspection, record)
            }
            Self::Sheet { inspection } => {
                let sheet = client.show_sheet(reference(&inspection)?).await?;
                show_sheet(globals, &inspection, &sheet)
            }
        }
    }
}

impl Entered {
    fn request(self) -> Result<RecordResultRequest, Failure> {
        let heads = self.heads.into_iter().map(|(code, found)| Ok((code, head(&found)?)));
        let rectification = self.measure.zip(self.responsible).zip(self.due);
        Ok(RecordResultRequest {
            inspection: Some(reference(&self.inspection)?),
            item_id: Bytes::copy_from_slice(self.item.as_bytes()),
            heads: heads.collect::<Result<_, Failure>>()?,
            problem: self.problem,
            rectification: rectification.map(|((measure, responsible), due)| Rectification {
                measure,
                responsible: responsible.to_string(),
                due_unix_ms: due.0,
            }),
            report_period: self.report_period,
            corrects_record_seq: self.corrects.unwrap_or_default(),
            reason: self.reason,
            ..Default::default()
        })
    }
}

/// `met` or `not met`, with a note after a colon.
fn head(found: &str) -> Result<HeadResult, Failure> {
    let (word, note) = found.split_once(':').map_or((found, ""), |(word, note)| (word, note.trim()));
    let met = match word.trim() {
        "met" | "符合" => true,
        "not met" | "不符合" => false,
        other => {
            return Err(Failure::usage(format!("{other:?} says neither `met` nor `not met`"))
                .hint("write --head CODE=met, or --head CODE='not met: what was seen'"));
        }
    };
    Ok(HeadResult { met, note: note.to_owned() })
}

fn reference(text: &str) -> Result<InspectionRef, Failure> {
    match text.strip_prefix('#') {
        Some(seq) => {
            let wrong = |_| Failure::usage(format!("{text:?} names no inspection")).hint("DRAW-1, or #812");
            Ok(InspectionRef { draw_id: String::new(), target_record_seq: seq.parse().map_err(wrong)? })
        }
        None => Ok(InspectionRef { draw_id: text.to_owned(), target_record_seq: 0 }),
    }
}

fn show_sheet(globals: &Globals, name: &str, sheet: &ShowSheetResponse) -> Result<(), Failure> {
    let output = globals.output();
    let found = |head: Option<&HeadResult>| match head {
        None => String::new(),
        Some(head) => {
            let word = if head.met { output.pick("met", "符合") } else { output.pick("not met", "不符合") };
            if head.note.is_empty() { word.to_owned() } else { format!("{word}: {}", head.note) }
        }
    };
    let told = |entry: &ResultEntry| {
        let heads = sheet.heads.iter().map(|head| (head, entry.heads.get(&head.code)));
        let heads = heads.map(|(head, result)| format!("{} {}", head.words, found(result)));
        heads.collect::<Vec<_>>().join("; ")
    };
    let mut rows = Vec::new();
    for line in &sheet.lines {
        let item = hex::encode(&line.item_id);
        if line.entries.is_empty() {
            let none = output.pick("no result yet", "尚无结果").to_owned();
            rows.push([vec![item.clone(), none], vec![String::new(); 7]].concat());
        }
        for entry in &line.entries {
            let asked = entry.rectification.as_ref();
            rows.push(vec![
                item.clone(),
                told(entry),
                entry.problem.clone(),
                asked.map_or_else(String::new, |asked| asked.measure.clone()),
                asked.map_or_else(String::new, |asked| asked.responsible.clone()),
                asked.map_or_else(String::new, |asked| shown::time(asked.due_unix_ms)),
                entry.state.clone(),
                entry.report_period.clone(),
                format!("#{}", entry.record_seq),
            ]);
        }
    }
    let json = sheet_json(name, sheet);
    let heads = ["item", "found", "problem", "measure", "responsible", "due", "state", "report period", "record"];
    match output.format {
        crate::output::Format::Text => output.show(&json, |page| {
            page.facts(&[
                ("inspection", name.to_owned()),
                ("inspector", sheet.inspector.clone()),
                ("ratio", if sheet.ratio_percent == 0 { String::new() } else { format!("{} %", sheet.ratio_percent) }),
                ("seed", hex::encode(&sheet.seed)),
            ]);
            page.table(&heads, &rows);
            page.line(match sheet.missing_count {
                0 => output.pick("complete: every item has a result", "已完成：每件均有结果").to_owned(),
                missing => format!("{missing} {}", output.pick("items have no result yet", "件尚无结果")),
            });
        }),
        crate::output::Format::Json | crate::output::Format::Csv => output.list(&json, &heads, &rows),
    }
}

fn sheet_json(name: &str, sheet: &ShowSheetResponse) -> Value {
    let heads = |entry: &ResultEntry| -> serde_json::Map<String, Value> {
        let told = entry.heads.iter();
        told.map(|(code, head)| (code.clone(), json!({ "met": head.met, "note": head.note }))).collect()
    };
    let entry = |entry: &ResultEntry| {
        json!({
            "heads": heads(entry),
            "problem": shown::some(&entry.problem),
            "rectification": entry.rectification.as_ref().map(|asked| json!({
                "measure": asked.measure,
                "responsible": asked.responsible,
                "due": shown::time(asked.due_unix_ms),
                "state": entry.state,
                "done": shown::some(&entry.done),
                "done_by": shown::some(&entry.done_by),
            })),
            "report_period": shown::some(&entry.report_period),
            "by": entry.by,
            "at": shown::time(entry.at_unix_ms),
            "record": entry.record_seq,
            "corrects": Some(entry.corrects_record_seq).filter(|seq| *seq > 0),
            "reason": shown::some(&entry.reason),
            "rule": entry.rule,
        })
    };
    let line = |line: &strongroom_proto::inspection::SheetLine| json!({ "item": hex::encode(&line.item_id), "entries": line.entries.iter().map(entry).collect::<Vec<_>>() });
    json!({
        "form": "inspection_sheet",
        "inspection": name,
        "inspector": sheet.inspector,
        "ratio_percent": sheet.ratio_percent,
        "seed": hex::encode(&sheet.seed),
        "heads": sheet.heads.iter().map(|head| json!({ "code": head.code, "words": head.words })).collect::<Vec<_>>(),
        "lines": sheet.lines.iter().map(line).collect::<Vec<_>>(),
        "missing": sheet.missing_count,
        "complete": sheet.missing_count == 0,
    })
}

async fn list(globals: &Globals, client: &Client, limit: usize) -> Result<(), Failure> {
    let (mut targets, mut token) = (Vec::new(), Bytes::new());
    while targets.len() < limit {
        let size = u32::try_from((limit - targets.len()).min(100)).unwrap_or(100);
        let page = client.list_targets(ListPage { size, token }).await?;
        targets.extend(page.targets);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    targets.truncate(limit);
    let row = |target: &Target| {
        vec![
            shown::time(target.recorded_at_unix_ms),
            target.inspector.clone(),
            target.complaint.clone(),
            target.reason.clone(),
            target.item_ids.iter().map(hex::encode).collect::<Vec<_>>().join(" "),
            format!("#{}", target.record_seq),
        ]
    };
    let heads = ["when", "inspector", "complaint", "reason", "items", "record"];
    globals.output().list(
        &targets.iter().map(target_json).collect(),
        &heads,
        &targets.iter().map(row).collect::<Vec<_>>(),
    )
}

fn target_json(target: &Target) -> Value {
    json!({
        "way": "targeted",
        "inspector": target.inspector,
        "items": target.item_ids.iter().map(hex::encode).collect::<Vec<_>>(),
        "complaint": target.complaint,
        "reason": target.reason,
        "recorded_at": shown::time(target.recorded_at_unix_ms),
        "record": target.record_seq,
    })
}
