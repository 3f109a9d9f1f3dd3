//! `strongroom case`: items as evidence of one matter, kept as long as its file.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use strongroom_client::{Client, DossierTerm, Page};
use strongroom_proto::case::{
    self, Archive, Case as WireCase, CaseState, Outcome as WireOutcome, Transfer, TransferStep,
};
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
    /// Offers a case to another unit; the giver keeps it until the other side takes it
    ///
    /// Example: strongroom case transfer 城罚〔2026〕1号 --to U2 --reason 管辖变更 --document 移字〔2026〕3号
    Transfer {
        /// The case's number
        case: CaseId,
        /// Unit that is to have it
        #[arg(long)]
        to: UnitId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Number of the letter
        #[arg(long, value_name = "TEXT", default_value = "")]
        document: String,
    },
    /// Takes a case that is offered: from here on it is the unit's that it was offered to
    ///
    /// Example: strongroom --as unit-head case accept 城罚〔2026〕1号 --record 57
    Accept {
        /// The case's number
        case: CaseId,
        /// Record of the offer, as `case transfers` names it
        #[arg(long, value_name = "SEQ")]
        record: u64,
    },
    /// Does not take a case that is offered, or takes the offer back
    Decline {
        /// The case's number
        case: CaseId,
        /// Record of the offer
        #[arg(long, value_name = "SEQ")]
        record: u64,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// The receipts of a case with both sides; without a number, every offer that waits for an answer
    Transfers {
        /// The case's number
        case: Option<CaseId>,
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
            Self::Transfer { case, to, reason, document } => {
                let request = case::OfferCaseRequest {
                    case_id: case.to_string(),
                    to_unit_id: to.to_string(),
                    reason,
                    document,
                    ..Default::default()
                };
                recorded(globals, &case, client.offer_case(request).await?)
            }
            Self::Accept { case, record } => {
                let request = case::AnswerCaseRequest {
                    case_id: case.to_string(),
                    offer_record_seq: record,
                    ..Default::default()
                };
                recorded(globals, &case, client.answer_case(request).await?)
            }
            Self::Decline { case, record, reason } => {
                let request = case::AnswerCaseRequest {
                    case_id: case.to_string(),
                    offer_record_seq: record,
                    declined: true,
                    reason,
                    ..Default::default()
                };
                recorded(globals, &case, client.answer_case(request).await?)
            }
            Self::Transfers { case } => transfers(globals, &client.list_transfers(case.as_ref()).await?),
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
                "gone": shown::some(&binding.gone),
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
                binding.gone.clone(),
            ]
        };
        page.table(
            &["item", "bound by", "record", "correction", "not here"],
            &bindings.iter().map(row).collect::<Vec<_>>(),
        );
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

fn transfers(globals: &Globals, transfers: &[Transfer]) -> Result<(), Failure> {
    let step = |step: &TransferStep| {
        json!({
            "by": step.by,
            "role": step.role,
            "at": shown::time(step.at_unix_ms),
            "record": step.record_seq,
            "items": step.item_count,
        })
    };
    let json = transfers
        .iter()
        .map(|transfer| {
            json!({
                "case": transfer.case_id,
                "state": transfer.state,
                "from": transfer.from_unit_id,
                "to": transfer.to_unit_id,
                "reason": transfer.reason,
                "document": shown::some(&transfer.document),
                "offered": transfer.offered.as_ref().map(step),
                "answered": transfer.answered.as_ref().map(step),
                "declined_reason": shown::some(&transfer.declined_reason),
                "profile": shown::some(&transfer.profile),
            })
        })
        .collect();
    let told = |step: Option<&TransferStep>| {
        step.map_or_else(String::new, |step| {
            format!("{} {} #{}", step.by, shown::time(step.at_unix_ms), step.record_seq)
        })
    };
    let row = |transfer: &Transfer| {
        let signed = transfer.answered.as_ref().or(transfer.offered.as_ref());
        vec![
            transfer.case_id.clone(),
            transfer.state.clone(),
            transfer.from_unit_id.clone(),
            transfer.to_unit_id.clone(),
            told(transfer.offered.as_ref()),
            told(transfer.answered.as_ref()),
            signed.map_or_else(String::new, |step| step.item_count.to_string()),
            transfer.document.clone(),
            transfer.profile.clone(),
        ]
    };
    let rows: Vec<_> = transfers.iter().map(row).collect();
    let heads =
        ["case", "state", "giving unit", "receiving unit", "giver", "answered by", "items", "letter", "profile"];
    globals.output().list(&json, &heads, &rows)
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
