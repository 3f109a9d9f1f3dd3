//! `strongroom case`: items as evidence of one matter, kept as long as its file.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use strongroom_client::{Client, DossierTerm, Page};
use strongroom_proto::case::{self, Archive, Case as WireCase, CaseState, Outcome as WireOutcome};
use strongroom_types::{CaseId, RecordSeq, UnitId, UnixMillis, limits};

use crate::failure::Failure;
use crate::items::Items;
use crate::session::{Globals, Usual};
use crate::shown;

/// What can be done with cases.
#[derive(Debug, Subcommand)]
pub(crate) enum Case {
    /// Opens a case; it keeps its items without end until its file is archived
    ///
    /// Example: strongroom case open 城罚〔2026〕1号 --unit U1 --title 占道经营
    Open {
        /// Its number
        case: CaseId,
        /// Unit that handles it
        #[arg(long)]
        unit: UnitId,
        /// What it is about
        #[arg(long, value_name = "TEXT")]
        title: String,
    },
    /// Binds items to a case; those that are bound already stay as they are
    Bind {
        /// The case's number
        case: CaseId,
        #[command(flatten)]
        items: Items,
    },
    /// Says how a case ended; it goes on keeping its items until its file is archived
    Close {
        /// The case's number
        case: CaseId,
        /// How it ended
        #[arg(long, value_enum)]
        outcome: Outcome,
        /// Why, or on what decision
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Archives a case's file for a term: its items are kept as long
    ///
    /// Example: strongroom case archive 城罚〔2026〕1号 --date 2026-03-01T00:00:00 --term-months 360
    Archive {
        /// The case's number
        case: CaseId,
        /// Date of archiving
        #[arg(long, value_name = "TIME")]
        date: UnixMillis,
        /// Term in calendar months
        #[arg(long, value_name = "MONTHS", conflicts_with = "permanent")]
        term_months: Option<u32>,
        /// 永久
        #[arg(long)]
        permanent: bool,
    },
    /// Takes a closed or archived case up again
    Reopen {
        /// The case's number
        case: CaseId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// One case
    Show {
        /// Its number
        case: CaseId,
    },
    /// Items of a case
    Items {
        /// The case's number
        case: CaseId,
    },
    /// Cases by number
    List,
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Outcome {
    /// 不予立案
    #[value(alias = "不予立案")]
    NotFiled,
    /// 撤案
    #[value(alias = "撤案")]
    Withdrawn,
    /// 不予处罚
    #[value(alias = "不予处罚")]
    NotPunished,
    /// 移送
    #[value(alias = "移送")]
    Transferred,
    /// 结案
    #[value(alias = "结案")]
    Concluded,
}

impl Outcome {
    const fn wire(self) -> WireOutcome {
        match self {
            Self::NotFiled => WireOutcome::NotFiled,
            Self::Withdrawn => WireOutcome::Withdrawn,
            Self::NotPunished => WireOutcome::NotPunished,
            Self::Transferred => WireOutcome::Transferred,
            Self::Concluded => WireOutcome::Concluded,
        }
    }
}

impl Case {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let usual = if matches!(self, Self::Archive { .. }) { Usual::Archivist } else { Usual::Legal };
        let client = globals.client(usual)?;
        match self {
            Self::Open { case, unit, title } => recorded(globals, &case, client.open_case(&case, &unit, &title).await?),
            Self::Bind { case, items } => bind(globals, &client, &case, items).await,
            Self::Close { case, outcome, reason } => {
                recorded(globals, &case, client.close_case(&case, outcome.wire(), &reason).await?)
            }
            Self::Archive { case, date, term_months, permanent } => {
                let term = match (term_months, permanent) {
                    (Some(months), _) => Some(DossierTerm::Months(months)),
                    (None, true) => Some(DossierTerm::Permanent),
                    (None, false) => None,
                };
                recorded(globals, &case, client.archive_case(&case, date, term).await?)
            }
            Self::Reopen { case, reason } => recorded(globals, &case, client.reopen_case(&case, &reason).await?),
            Self::Show { case } => show(globals, &client.show_case(&case).await?),
            Self::Items { case } => items(globals, &client, &case).await,
            Self::List => list(globals, &client).await,
        }
    }
}

fn recorded(globals: &Globals, case: &CaseId, record: RecordSeq) -> Result<(), Failure> {
    globals.output().show(&json!({ "case": case.to_string(), "record": record.0 }), |page| {
        page.facts(&[("case", case.to_string()), ("record", record.to_string())]);
    })
}

async fn bind(globals: &Globals, client: &Client, case: &CaseId, items: Items) -> Result<(), Failure> {
    let items = items.read()?;
    let bar = globals.output().counter("bind", items.len() as u64);
    let mut records = Vec::new();
    for part in items.chunks(limits::BATCH_ITEMS_MAX) {
        records.push(client.bind_case(case, part).await?);
        bar.inc(part.len() as u64);
    }
    bar.finish_and_clear();
    let told: Vec<_> = records.iter().map(|record| record.0).collect();
    globals.output().show(&json!({ "case": case.to_string(), "items": items.len(), "records": told }), |page| {
        let records: Vec<_> = records.iter().map(ToString::to_string).collect();
        page.facts(&[("case", case.to_string()), ("items", items.len().to_string()), ("record", records.join(" "))]);
    })
}

async fn items(globals: &Globals, client: &Client, case: &CaseId) -> Result<(), Failure> {
    let (mut bindings, mut page) = (Vec::new(), Page::default());
    loop {
        let listed = client.list_case_items(case, page.clone()).await?;
        bindings.extend(listed.bindings);
        page.token = listed.next_page_token;
        if page.token.is_empty() {
            break;
        }
    }
    let json = bindings
        .iter()
        .map(|binding| {
            json!({
                "item": hex::encode(&binding.item_id),
                "by": binding.by,
                "record": binding.record_seq,
                "correction": shown::some(&binding.correction_id),
            })
        })
        .collect();
    globals.output().show(&json, |page| {
        let row = |binding: &case::Binding| {
            vec![
                hex::encode(&binding.item_id),
                binding.by.clone(),
                format!("#{}", binding.record_seq),
                binding.correction_id.clone(),
            ]
        };
        page.table(&["item", "bound by", "record", "correction"], &bindings.iter().map(row).collect::<Vec<_>>());
    })
}

async fn list(globals: &Globals, client: &Client) -> Result<(), Failure> {
    let (mut cases, mut page) = (Vec::new(), Page::default());
    loop {
        let listed = client.list_cases(page.clone()).await?;
        cases.extend(listed.cases);
        page.token = listed.next_page_token;
        if page.token.is_empty() {
            break;
        }
    }
    globals.output().show(&cases.iter().map(case_json).collect(), |page| {
        let row = |case: &WireCase| {
            vec![
                case.case_id.clone(),
                state(case).to_owned(),
                case.unit_id.clone(),
                case.title.clone(),
                case.items.to_string(),
                shown::end(case.kept_until_unix_ms),
            ]
        };
        let rows: Vec<_> = cases.iter().map(row).collect();
        page.table(&["case", "state", "unit", "title", "items", "kept until"], &rows);
    })
}

fn show(globals: &Globals, case: &WireCase) -> Result<(), Failure> {
    globals.output().show(&case_json(case), |page| {
        let archives: Vec<_> = case
            .archives
            .iter()
            .map(|archive| {
                let corrected = if archive.correction_id.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", archive.correction_id)
                };
                format!("{} {} #{}{corrected}", shown::time(archive.date_unix_ms), term(archive), archive.record_seq)
            })
            .collect();
        page.facts(&[
            ("case", case.case_id.clone()),
            ("state", state(case).to_owned()),
            ("outcome", outcome(case.outcome()).unwrap_or_default().to_owned()),
            ("unit", case.unit_id.clone()),
            ("title", case.title.clone()),
            ("opened by", case.opened_by.clone()),
            ("record", format!("#{}", case.record_seq)),
            ("items", case.items.to_string()),
            ("archived", archives.join(", ")),
            ("kept until", shown::end(case.kept_until_unix_ms)),
        ]);
    })
}

fn case_json(case: &WireCase) -> Value {
    let archive = |archive: &Archive| {
        json!({
            "date": shown::time(archive.date_unix_ms),
            "term_months": Some(archive.term_months).filter(|_| !archive.permanent),
            "permanent": archive.permanent,
            "entered": shown::time(archive.entered_unix_ms),
            "by": archive.by,
            "record": archive.record_seq,
            "correction": shown::some(&archive.correction_id),
        })
    };
    json!({
        "case": case.case_id,
        "state": state(case),
        "outcome": outcome(case.outcome()),
        "unit": case.unit_id,
        "title": case.title,
        "opened_by": case.opened_by,
        "record": case.record_seq,
        "items": case.items,
        "archives": case.archives.iter().map(archive).collect::<Vec<_>>(),
        "kept_until": case.kept_until_unix_ms.map(shown::time),
    })
}

fn term(archive: &Archive) -> String {
    if archive.permanent { "permanent".to_owned() } else { format!("{} months", archive.term_months) }
}

fn state(case: &WireCase) -> &'static str {
    match case.state() {
        CaseState::Unspecified => "unspecified",
        CaseState::Open => "open",
        CaseState::Closed => "closed",
        CaseState::Archived => "archived",
    }
}

const fn outcome(outcome: WireOutcome) -> Option<&'static str> {
    match outcome {
        WireOutcome::Unspecified => None,
        WireOutcome::NotFiled => Some("not-filed"),
        WireOutcome::Withdrawn => Some("withdrawn"),
        WireOutcome::NotPunished => Some("not-punished"),
        WireOutcome::Transferred => Some("transferred"),
        WireOutcome::Concluded => Some("concluded"),
    }
}
