//! `strongroom hold`: named legal matters that forbid disposal of what they cover.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_client::{Client, NewHold};
use strongroom_proto::hold::{Counts, Hold as WireHold, HoldState, Query, Scope};
use strongroom_types::{CaseId, HoldId, UnixMillis, limits};

use crate::conditions::{Conditions, WireConditions};
use crate::failure::Failure;
use crate::items::{self, Items};
use crate::output::Page as Shown;
use crate::session::{Globals, Usual};
use crate::shown;

/// What can be done with holds.
#[derive(Debug, Subcommand)]
pub(crate) enum Hold {
    /// Places a hold, or widens one that stands; in force when answered
    ///
    /// Example: strongroom hold place 李某复议 --authority 市司法局 --document 复议函3号 --reason 行政复议 --case 城罚〔2026〕1号
    Place(Box<Place>),
    /// Takes one of the two steps that release a hold: legal and head, one of each
    ///
    /// Example: strongroom --as head hold release 李某复议 --reason 复议已结
    Release {
        /// The matter's name
        hold: HoldId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// One hold
    Show {
        /// The matter's name
        hold: HoldId,
    },
    /// Holds by name
    List {
        /// Released ones too
        #[arg(long)]
        all: bool,
    },
}

/// A hold to place.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The matter's name
    hold: HoldId,
    /// Authority that asks for it
    #[arg(long, value_name = "TEXT")]
    authority: String,
    /// Number of its letter
    #[arg(long, default_value = "", value_name = "TEXT")]
    document: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    covers: Covers,
    /// Only counts what it would cover
    #[arg(long)]
    dry_run: bool,
}

/// What a hold covers.
#[derive(Debug, Args)]
pub(crate) struct Covers {
    #[command(flatten)]
    items: Items,
    /// Case, with what is bound to it at any time; say it again for each
    #[arg(long = "case", value_name = "CASE")]
    cases: Vec<CaseId>,
    #[command(flatten, next_help_heading = "Whatever fits all of these, now or later")]
    conditions: Conditions,
    /// Whatever was recorded or sealed at this time or later
    #[arg(long, value_name = "TIME")]
    from: Option<UnixMillis>,
    /// Whatever was recorded or sealed before this time
    #[arg(long, value_name = "TIME")]
    to: Option<UnixMillis>,
}

impl Hold {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let client = globals.client(Usual::Legal)?;
        match self {
            Self::Place(place) if place.dry_run => preview(globals, &client, place.covers).await,
            Self::Place(place) => place.run(globals, &client).await,
            Self::Release { hold, reason } => {
                show(globals, client.release_hold(&hold, &reason).await?.hold.as_ref(), None)
            }
            Self::Show { hold } => show(globals, Some(&client.show_hold(&hold).await?), None),
            Self::List { all } => list(globals, &client, all).await,
        }
    }
}

impl Covers {
    /// What is to be covered, in calls that each take so many items.
    fn scopes(self) -> Result<Vec<Scope>, Failure> {
        let WireConditions { unit_id, device_id, activity_id, labels } = self.conditions.wire();
        let query = Query {
            unit_id,
            device_id,
            activity_id,
            labels,
            from_unix_ms: self.from.map(|from| from.0),
            to_unix_ms: self.to.map(|to| to.0),
        };
        let queries: Vec<_> = Some(query).filter(|query| *query != Query::default()).into_iter().collect();
        let first =
            Scope { item_ids: Vec::new(), case_ids: self.cases.iter().map(ToString::to_string).collect(), queries };
        let items = self.items.read_if_any()?;
        let mut scopes: Vec<_> = items
            .chunks(limits::BATCH_ITEMS_MAX)
            .map(|part| Scope { item_ids: part.iter().map(items::wire).collect(), ..Scope::default() })
            .collect();
        if first != Scope::default() {
            match scopes.first_mut() {
                Some(scope) => (scope.case_ids, scope.queries) = (first.case_ids, first.queries),
                None => scopes.push(first),
            }
        }
        if scopes.is_empty() {
            return Err(Failure::usage("nothing to hold is named")
                .hint("say --item, --items-from, --case, or a condition such as --device"));
        }
        Ok(scopes)
    }
}

impl Place {
    async fn run(self, globals: &Globals, client: &Client) -> Result<(), Failure> {
        let scopes = self.covers.scopes()?;
        let bar = globals.output().counter("hold", scopes.len() as u64);
        let (mut placed, mut counts) = (None, Counts::default());
        for scope in scopes {
            let new = NewHold {
                hold: self.hold.clone(),
                authority: self.authority.clone(),
                document: self.document.clone(),
                reason: self.reason.clone(),
                scope,
            };
            let answer = client.place_hold(new).await?;
            add(&mut counts, &answer.counts.unwrap_or_default());
            placed = answer.hold;
            bar.inc(1);
        }
        bar.finish_and_clear();
        show(globals, placed.as_ref(), Some(&counts))
    }
}

async fn preview(globals: &Globals, client: &Client, covers: Covers) -> Result<(), Failure> {
    let mut counts = Counts::default();
    for scope in covers.scopes()? {
        add(&mut counts, &client.preview_hold(scope).await?);
    }
    globals.output().show(&counts_json(&counts), |page| page.facts(&counts_facts(&counts)))
}

fn add(sum: &mut Counts, more: &Counts) {
    sum.matched += more.matched;
    sum.already_held += more.already_held;
    sum.newly_held += more.newly_held;
    sum.at_least |= more.at_least;
}

async fn list(globals: &Globals, client: &Client, all: bool) -> Result<(), Failure> {
    let mut holds = Vec::new();
    let mut page = strongroom_client::Page::default();
    loop {
        let listed = client.list_holds(all, page.clone()).await?;
        holds.extend(listed.holds);
        page.token = listed.next_page_token;
        if page.token.is_empty() {
            break;
        }
    }
    globals.output().show(&holds.iter().map(hold_json).collect(), |page| {
        let row = |hold: &WireHold| {
            vec![
                hold.hold_id.clone(),
                state(hold.state()).to_owned(),
                hold.authority.clone(),
                shown::time(hold.placed_at_unix_ms),
                scope_text(hold),
                hold.missing.join("; "),
            ]
        };
        let rows: Vec<_> = holds.iter().map(row).collect();
        page.table(&["hold", "state", "authority", "placed at", "covers", "missing"], &rows);
    })
}

fn show(globals: &Globals, hold: Option<&WireHold>, counts: Option<&Counts>) -> Result<(), Failure> {
    let hold = hold.ok_or_else(|| Failure::failed("the answer holds no hold"))?;
    let mut json = hold_json(hold);
    if let (Some(counts), Some(object)) = (counts, json.as_object_mut()) {
        object.insert("counts".to_owned(), counts_json(counts));
    }
    globals.output().show(&json, |page| {
        hold_page(page, hold);
        if let Some(counts) = counts {
            page.facts(&counts_facts(counts));
        }
    })
}

fn hold_page(page: &mut Shown, hold: &WireHold) {
    let steps: Vec<_> =
        hold.release_steps.iter().map(|step| format!("{} ({})", step.principal_id, step.role)).collect();
    page.facts(&[
        ("hold", hold.hold_id.clone()),
        ("state", state(hold.state()).to_owned()),
        ("authority", hold.authority.clone()),
        ("document", hold.document.clone()),
        ("reason", hold.reason.clone()),
        ("placed by", hold.placed_by.clone()),
        ("placed at", shown::time(hold.placed_at_unix_ms)),
        ("record", format!("#{}", hold.record_seq)),
        ("covers", scope_text(hold)),
        ("released by", steps.join(", ")),
        ("release reason", hold.release_reason.clone()),
        ("missing for release", hold.missing.join("; ")),
        ("removed", hold.removed_items.iter().map(removed_text).collect::<Vec<_>>().join(", ")),
    ]);
}

fn removed_text(removed: &strongroom_proto::hold::RemovedItem) -> String {
    format!("{} ({})", hex::encode(&removed.item_id), removed.removal_id)
}

fn scope_text(hold: &WireHold) -> String {
    let mut parts = Vec::new();
    if hold.items > 0 {
        parts.push(format!("{} items", hold.items));
    }
    parts.extend(hold.case_ids.iter().map(|case| format!("case {case}")));
    parts.extend(hold.queries.iter().map(|query| format!("[{}]", query_text(query))));
    parts.join(", ")
}

fn query_text(query: &Query) -> String {
    let named = [("unit", &query.unit_id), ("device", &query.device_id), ("activity", &query.activity_id)];
    let mut parts: Vec<_> =
        named.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={value}")).collect();
    parts.extend(query.labels.iter().map(|(name, value)| format!("{name}={value}")));
    parts.extend(query.from_unix_ms.map(|from| format!("from={}", shown::time(from))));
    parts.extend(query.to_unix_ms.map(|to| format!("to={}", shown::time(to))));
    parts.join(" ")
}

fn hold_json(hold: &WireHold) -> Value {
    let query = |query: &Query| {
        json!({
            "unit": shown::some(&query.unit_id),
            "device": shown::some(&query.device_id),
            "activity": shown::some(&query.activity_id),
            "labels": query.labels,
            "from": query.from_unix_ms.map(shown::time),
            "to": query.to_unix_ms.map(shown::time),
        })
    };
    let step = |step: &strongroom_proto::hold::Step| {
        json!({
            "by": step.principal_id,
            "role": step.role,
            "at": shown::time(step.taken_at_unix_ms),
            "record": step.record_seq,
        })
    };
    json!({
        "hold": hold.hold_id,
        "state": state(hold.state()),
        "authority": hold.authority,
        "document": shown::some(&hold.document),
        "reason": hold.reason,
        "placed_by": hold.placed_by,
        "placed_at": shown::time(hold.placed_at_unix_ms),
        "record": hold.record_seq,
        "items": hold.items,
        "removed": hold.removed_items.iter().map(|removed| json!({
            "item": hex::encode(&removed.item_id),
            "removal": removed.removal_id,
        })).collect::<Vec<_>>(),
        "cases": hold.case_ids,
        "queries": hold.queries.iter().map(query).collect::<Vec<_>>(),
        "release_steps": hold.release_steps.iter().map(step).collect::<Vec<_>>(),
        "release_reason": shown::some(&hold.release_reason),
        "missing": hold.missing,
    })
}

fn counts_json(counts: &Counts) -> Value {
    json!({
        "matched": counts.matched,
        "already_held": counts.already_held,
        "newly_held": counts.newly_held,
        "at_least": counts.at_least,
    })
}

fn counts_facts(counts: &Counts) -> [(&'static str, String); 3] {
    let told = |count: u64| if counts.at_least { format!("{count}+") } else { count.to_string() };
    [
        ("matched", told(counts.matched)),
        ("already held", told(counts.already_held)),
        ("newly held", told(counts.newly_held)),
    ]
}

const fn state(state: HoldState) -> &'static str {
    match state {
        HoldState::Unspecified => "unspecified",
        HoldState::Standing => "standing",
        HoldState::Releasing => "releasing",
        HoldState::Released => "released",
    }
}

#[cfg(test)]
mod tests {
    use strongroom_types::ItemId;

    use super::*;

    fn covers() -> Covers {
        Covers { items: Items::default(), cases: Vec::new(), conditions: Conditions::default(), from: None, to: None }
    }

    #[test]
    fn a_long_list_of_items_is_taken_apart_and_the_rest_goes_with_its_first_part() {
        let item = |number: usize| ItemId::new((number as u128).to_be_bytes());
        let many = Items::of((0..limits::BATCH_ITEMS_MAX * 2 + 1).map(item).collect());
        let asked = Covers { items: many, cases: vec!["C-1".parse().expect("a case")], ..covers() };
        let scopes = asked.scopes().expect("scopes");
        let sizes: Vec<_> = scopes.iter().map(|scope| (scope.item_ids.len(), scope.case_ids.len())).collect();
        assert_eq!(sizes, [(1000, 1), (1000, 0), (1, 0)]);
    }

    #[test]
    fn a_hold_on_nothing_is_a_mistake_in_the_command_line() {
        assert_eq!(covers().scopes().expect_err("nothing").exit_code(), 2);
        let asked = Covers { conditions: Conditions::of_unit("U1"), ..covers() };
        assert_eq!(asked.scopes().expect("one").len(), 1);
    }
}
