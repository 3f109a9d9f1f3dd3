//! `strongroom correction`: how a mistake about the keeping of an item, or an outage that a wrong clock recorded, is made
//! good without editing anything.

use clap::Subcommand;
use serde_json::{Value, json};
use strongroom_client::{Client, Page};
use strongroom_proto::correction::{
    Archive, Binding, Correction as WireCorrection, CorrectionState, Mark, Outages, PlanOutagesResponse, RightOutage,
    Step, mistake::Kind,
};
use strongroom_types::{CaseId, CorrectionId, ItemId, UnixMillis};

use crate::failure::Failure;
use crate::items;
use crate::parse::{self, length_text};
use crate::session::{Globals, Usual};
use crate::shown;

/// What can be done with corrections.
#[derive(Debug, Subcommand)]
pub(crate) enum Correction {
    /// Proposes a correction, as legal or head
    #[command(subcommand)]
    Propose(Propose),
    /// Approves a correction, as the other office; it is in force seven days later
    Approve {
        /// Such as COR-1
        correction: CorrectionId,
    },
    /// Withdraws a correction that is not yet in force
    Withdraw {
        /// Such as COR-1
        correction: CorrectionId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// One correction
    Show {
        /// Such as COR-1
        correction: CorrectionId,
    },
    /// Corrections, newest first
    List,
}

/// What is mistaken.
#[derive(Debug, Subcommand)]
pub(crate) enum Propose {
    /// An extension of an item
    ///
    /// Example: strongroom correction propose extension ITEM --record 41 --reason 录入错误
    Extension {
        /// The item
        item: ItemId,
        /// Record that set it, as `item explain` shows
        #[arg(long, value_name = "SEQ")]
        record: u64,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// A long-term trigger of an item
    Trigger {
        /// The item
        item: ItemId,
        /// Record that set it, as `item explain` shows
        #[arg(long, value_name = "SEQ")]
        record: u64,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// That an item is evidence of a case
    Binding {
        /// The case's number
        case: CaseId,
        /// The item
        item: ItemId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Date and term of a case's file
    Archive {
        /// The case's number
        case: CaseId,
        /// Record that archived it, as `case show` shows
        #[arg(long, value_name = "SEQ")]
        record: u64,
        /// The right date
        #[arg(long, value_name = "TIME")]
        date: UnixMillis,
        /// The right term in calendar months
        #[arg(long, value_name = "MONTHS", conflicts_with = "permanent", required_unless_present = "permanent")]
        term_months: Option<u32>,
        /// 永久
        #[arg(long)]
        permanent: bool,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Outages of the compliance clock that wrong wall clocks recorded, or did not
    ///
    /// Taken only where all outages then explain the wall clocks as they are. Nothing ends by it: compliance time stays.
    ///
    /// Example: strongroom correction propose outages 41=0s --reason 断电后墙上时钟快十年 --dry-run
    Outages {
        /// Record of an outage, as `cluster clock` shows, and its right length, such as 41=0s or 41=3d4h
        #[arg(value_name = "RECORD=LENGTH", value_parser = parse::outage, required_unless_present = "unrecorded")]
        outages: Vec<(u64, i64)>,
        /// Time that no record names: how much more there was, such as 3d, or less, such as -3d
        #[arg(long, value_name = "LENGTH", value_parser = parse::length, allow_hyphen_values = true)]
        unrecorded: Option<i64>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Only show what it would come to
        #[arg(long)]
        dry_run: bool,
    },
}

impl Propose {
    fn wire(self) -> (Kind, String) {
        match self {
            Self::Extension { item, record, reason } => {
                (Kind::Extension(Mark { item_id: items::wire(&item), record_seq: record }), reason)
            }
            Self::Trigger { item, record, reason } => {
                (Kind::Trigger(Mark { item_id: items::wire(&item), record_seq: record }), reason)
            }
            Self::Binding { case, item, reason } => {
                (Kind::Binding(Binding { case_id: case.to_string(), item_id: items::wire(&item) }), reason)
            }
            Self::Archive { case, record, date, term_months, permanent, reason } => {
                let archive = Archive {
                    case_id: case.to_string(),
                    record_seq: record,
                    date_unix_ms: date.0,
                    term_months: term_months.unwrap_or_default(),
                    permanent,
                };
                (Kind::Archive(archive), reason)
            }
            Self::Outages { outages, unrecorded, reason, dry_run: _ } => {
                (Kind::Outages(wire_outages(&outages, unrecorded)), reason)
            }
        }
    }
}

impl Correction {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let client = globals.client(Usual::Legal)?;
        let shown = match self {
            Self::Propose(Propose::Outages { outages, unrecorded, dry_run: true, .. }) => {
                let planned = client.plan_outages(wire_outages(&outages, unrecorded)).await?;
                return show_plan(globals, &planned);
            }
            Self::Propose(propose) => {
                let (mistake, reason) = propose.wire();
                client.propose_correction(mistake, &reason).await?
            }
            Self::Approve { correction } => client.approve_correction(correction).await?,
            Self::Withdraw { correction, reason } => client.withdraw_correction(correction, &reason).await?,
            Self::Show { correction } => client.show_correction(correction).await?,
            Self::List => return list(globals, &client).await,
        };
        globals.output().show(&json(&shown), |page| {
            page.facts(&[
                ("correction", shown.correction_id.clone()),
                ("state", state(shown.state()).to_owned()),
                ("mistake", mistake_text(&shown)),
                ("reason", shown.reason.clone()),
                ("proposed by", step_text(shown.proposed.as_ref())),
                ("approved by", step_text(shown.approved.as_ref())),
                ("withdrawn by", step_text(shown.withdrawn.as_ref())),
                ("in force from", shown.in_force_unix_ms.map(shown::time).unwrap_or_default()),
            ]);
        })
    }
}

fn wire_outages(outages: &[(u64, i64)], unrecorded: Option<i64>) -> Outages {
    let recorded =
        outages.iter().map(|(record, right_ms)| RightOutage { record_seq: Some(*record), right_ms: *right_ms });
    let unrecorded = unrecorded.map(|right_ms| RightOutage { record_seq: None, right_ms });
    Outages { outages: recorded.chain(unrecorded).collect() }
}

fn show_plan(globals: &Globals, planned: &PlanOutagesResponse) -> Result<(), Failure> {
    let left_ms = |explained_ms: i64| planned.apart_ms.saturating_sub(explained_ms);
    let (before_ms, after_ms) = (planned.explained_before_ms, planned.explained_after_ms);
    let state = |explained_ms: i64| json!({ "explained_ms": explained_ms, "unexplained_ms": left_ms(explained_ms) });
    let json = json!({
        "behind_ms": planned.apart_ms,
        "before": state(before_ms),
        "after": state(after_ms),
        "fits": planned.reason.is_empty(),
        "reason": shown::some(&planned.reason),
        "rule": shown::some(&planned.rule),
        "message": shown::some(&planned.message),
        "remedy": shown::some(&planned.remedy),
    });
    let output = globals.output();
    output.show(&json, |page| {
        page.facts(&[("clock behind wall", length_text(planned.apart_ms))]);
        page.line("");
        let row = |what: &str, explained_ms: i64| {
            vec![what.to_owned(), length_text(explained_ms), length_text(left_ms(explained_ms))]
        };
        let rows = [
            row(output.pick("before", "更正前"), before_ms),
            row(output.pick("after", "更正后"), after_ms),
        ];
        page.table(&["correction", "explained by outages", "unexplained"], &rows);
        page.line("");
        if planned.reason.is_empty() {
            page.line(output.pick(
                "It fits. Once both offices want it and seven days have passed, disposal thaws; compliance time stays as it is.",
                "可以更正。两个岗位同意并满七天后解除冻结；合规时钟不变。",
            ));
        } else {
            page.line(format!("{} ({}): {}; {}", planned.reason, planned.rule, planned.message, planned.remedy));
        }
    })
}

async fn list(globals: &Globals, client: &Client) -> Result<(), Failure> {
    let (mut corrections, mut page) = (Vec::new(), Page::default());
    loop {
        let listed = client.list_corrections(page.clone()).await?;
        corrections.extend(listed.corrections);
        page.token = listed.next_page_token;
        if page.token.is_empty() {
            break;
        }
    }
    globals.output().show(&corrections.iter().map(json).collect(), |page| {
        let row = |one: &WireCorrection| {
            vec![
                one.correction_id.clone(),
                state(one.state()).to_owned(),
                mistake_text(one),
                step_text(one.proposed.as_ref()),
                one.in_force_unix_ms.map(shown::time).unwrap_or_default(),
            ]
        };
        let rows: Vec<_> = corrections.iter().map(row).collect();
        page.table(&["correction", "state", "mistake", "proposed by", "in force from"], &rows);
    })
}

fn mistake_text(correction: &WireCorrection) -> String {
    match correction.mistake.as_ref().and_then(|mistake| mistake.kind.as_ref()) {
        None => String::new(),
        Some(Kind::Extension(mark)) => format!("extension #{} {}", mark.record_seq, hex::encode(&mark.item_id)),
        Some(Kind::Trigger(mark)) => format!("trigger #{} {}", mark.record_seq, hex::encode(&mark.item_id)),
        Some(Kind::Binding(binding)) => format!("binding {} {}", binding.case_id, hex::encode(&binding.item_id)),
        Some(Kind::Archive(archive)) => {
            let term =
                if archive.permanent { "permanent".to_owned() } else { format!("{} months", archive.term_months) };
            let date = shown::time(archive.date_unix_ms);
            format!("archive #{} {} → {date} {term}", archive.record_seq, archive.case_id)
        }
        Some(Kind::Outages(wrong)) => {
            let one = |right: &RightOutage| {
                let name = right.record_seq.map_or_else(|| "unrecorded".to_owned(), |seq| format!("outage #{seq}"));
                format!("{name} → {}", length_text(right.right_ms))
            };
            wrong.outages.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}

fn step_text(step: Option<&Step>) -> String {
    step.map(|step| format!("{} ({}) #{}", step.principal_id, step.role, step.record_seq)).unwrap_or_default()
}

fn json(correction: &WireCorrection) -> Value {
    let step = |step: &Option<Step>| {
        step.as_ref().map(|step| {
            json!({
                "by": step.principal_id,
                "role": step.role,
                "at": shown::time(step.taken_at_unix_ms),
                "record": step.record_seq,
            })
        })
    };
    json!({
        "correction": correction.correction_id,
        "state": state(correction.state()),
        "mistake": mistake_text(correction),
        "reason": correction.reason,
        "proposed": step(&correction.proposed),
        "approved": step(&correction.approved),
        "withdrawn": step(&correction.withdrawn),
        "in_force": correction.in_force_unix_ms.map(shown::time),
        "in_force_record": correction.in_force_record_seq,
    })
}

const fn state(state: CorrectionState) -> &'static str {
    match state {
        CorrectionState::Unspecified => "unspecified",
        CorrectionState::Proposed => "proposed",
        CorrectionState::Approved => "approved",
        CorrectionState::InForce => "in-force",
        CorrectionState::Withdrawn => "withdrawn",
    }
}
