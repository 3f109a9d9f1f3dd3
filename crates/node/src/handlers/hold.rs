//! Holds: what they cover and who ends them is decided in `custody::hold`. Counting is done here, because it is only told
//! and decides nothing.

use bytes::Bytes;
use strongroom_custody::{
    self as custody, Act,
    hold::{self, HoldQuery, HoldRow, HoldScope, HoldState, PlaceHold, ReleaseHold},
    removal,
    retention::Keepers,
    tables::{CASE_ITEMS, HOLDS, ITEMS, ITEMS_BY_UNIT, ItemRow, PrincipalRow},
};
use strongroom_engine::Snapshot;
use strongroom_proto::{
    convert,
    hold::{
        Counts, Hold, HoldState as WireState, ListHoldsRequest, ListHoldsResponse, PlaceHoldRequest, PlaceHoldResponse,
        PreviewHoldRequest, PreviewHoldResponse, Query, ReleaseHoldRequest, ReleaseHoldResponse, RemovedItem, Scope,
        ShowHoldRequest, ShowHoldResponse, Step, hold_service_server::HoldService,
    },
};
use strongroom_types::{HoldId, ItemId, Refusal, RemovalId, limits, rows::RowError};
use tonic::{Request, Response, Status};

use crate::edge::{Caller, Edge, Reading, bound, fault, page_size, page_token, parsed, unexpected};

/// Items that a query is counted over; what lies behind is covered and not counted.
const COUNTED_MAX: u64 = 2_000_000;

pub(super) struct Holds(pub(super) Edge);

#[tonic::async_trait]
impl HoldService for Holds {
    async fn preview_hold(
        &self,
        request: Request<PreviewHoldRequest>,
    ) -> Result<Response<PreviewHoldResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let scope = parsed(scope(request.into_inner().scope))?;
        let who = self.0.look(&caller, Reading::of(Act::HoldPlace), |look| Ok(look.principal.clone())).await?;
        let counts = self.count(scope, Some(who)).await?;
        Ok(Response::new(PreviewHoldResponse { counts: Some(counts) }))
    }

    async fn place_hold(&self, request: Request<PlaceHoldRequest>) -> Result<Response<PlaceHoldResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("PlaceHold", asked)?;
        let scope = parsed(scope(asked.scope))?;
        // As the rows stand before: afterwards everything is held.
        let before = self.0.rows().await?;
        let command = PlaceHold {
            hold: hold_id(&asked.hold_id)?,
            authority: asked.authority,
            document: asked.document,
            reason: asked.reason,
            scope: scope.clone(),
        };
        let (row, seq) = self.decide(&caller, custody::Command::PlaceHold(Box::new(command)), idempotency).await?;
        let counts = counted(before, scope, None).await?;
        Ok(Response::new(PlaceHoldResponse { hold: Some(message(&row)), counts: Some(counts), record_seq: seq }))
    }

    async fn release_hold(
        &self,
        request: Request<ReleaseHoldRequest>,
    ) -> Result<Response<ReleaseHoldResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("ReleaseHold", asked)?;
        let command = ReleaseHold { hold: hold_id(&asked.hold_id)?, reason: asked.reason };
        let (row, seq) = self.decide(&caller, custody::Command::ReleaseHold(command), idempotency).await?;
        Ok(Response::new(ReleaseHoldResponse { hold: Some(message(&row)), record_seq: seq }))
    }

    async fn show_hold(&self, request: Request<ShowHoldRequest>) -> Result<Response<ShowHoldResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = hold_id(&request.get_ref().hold_id)?;
        let shown = self
            .0
            .look(&caller, Reading::of(Act::HoldShow), |look| {
                let removed_items = removal::removed_under(&**look.rows, &id)?.into_iter().map(removed).collect();
                Ok(Hold { removed_items, ..message(&hold::read(&**look.rows, &id)?) })
            })
            .await?;
        Ok(Response::new(ShowHoldResponse { hold: Some(shown) }))
    }

    async fn list_holds(&self, request: Request<ListHoldsRequest>) -> Result<Response<ListHoldsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let wanted = page_size(asked.page_size);
        let after = page_token(&asked.page_token);
        let page = self
            .0
            .look(&caller, Reading::of(Act::HoldList), |look| {
                Ok(HOLDS.scan(&**look.rows, &(), after.as_deref(), wanted)?)
            })
            .await?;
        let next = page.last().filter(|_| page.len() == wanted).map_or_else(Bytes::new, |(key, _)| key.clone().into());
        let shown = page.iter().map(|(_, row)| row).filter(|row| asked.released_too || row.stands());
        Ok(Response::new(ListHoldsResponse { holds: shown.map(message).collect(), next_page_token: next }))
    }
}

impl Holds {
    async fn decide(
        &self,
        caller: &Caller,
        command: custody::Command,
        idempotency: strongroom_engine::Idempotency,
    ) -> Result<(HoldRow, u64), Status> {
        match self.0.submit(caller, command, idempotency).await? {
            custody::Answer::Hold(row, seq) => Ok((*row, seq.0)),
            other => Err(unexpected(&other)),
        }
    }

    async fn count(&self, scope: HoldScope, who: Option<PrincipalRow>) -> Result<Counts, Status> {
        counted(self.0.rows().await?, scope, who).await
    }
}

/// Counts on a thread of its own: a case may have a hundred thousand items.
async fn counted(rows: Snapshot, scope: HoldScope, who: Option<PrincipalRow>) -> Result<Counts, Status> {
    let counted = tokio::task::spawn_blocking(move || Count::over(&rows, &scope, who.as_ref())).await;
    counted.map_err(|error| fault(&error))?.map_err(|error| fault(&error))
}

/// Items of a scope, each once, and which of them are held already.
struct Count<'a> {
    rows: &'a Snapshot,
    /// Whose unit bounds what is counted; none counts everything.
    who: Option<&'a PrincipalRow>,
    seen: std::collections::BTreeSet<ItemId>,
    counts: Counts,
}

impl<'a> Count<'a> {
    fn over(rows: &'a Snapshot, scope: &HoldScope, who: Option<&'a PrincipalRow>) -> Result<Counts, RowError> {
        let keepers = Keepers::load(&**rows)?;
        let mut count = Self { rows, who, seen: std::collections::BTreeSet::new(), counts: Counts::default() };
        for item in &scope.items {
            count.item(&keepers, *item)?;
        }
        for case in &scope.cases {
            let mut after = None::<Vec<u8>>;
            loop {
                let page = CASE_ITEMS.scan(&**rows, case, after.as_deref(), limits::PAGE_ROWS_MAX)?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                for (key, _) in page {
                    count.item(&keepers, item_at_end_of(&key)?)?;
                }
            }
        }
        if !scope.queries.is_empty() {
            count.matching(&keepers, &scope.queries)?;
        }
        Ok(count.counts)
    }

    fn item(
        &mut self,
        keepers: &Keepers<'_, dyn strongroom_types::rows::Rows + Send + Sync>,
        id: ItemId,
    ) -> Result<(), RowError> {
        match ITEMS.read(&**self.rows, &id)? {
            Some(row) => self.add(keepers, id, &row),
            None => Ok(()),
        }
    }

    fn matching(
        &mut self,
        keepers: &Keepers<'_, dyn strongroom_types::rows::Rows + Send + Sync>,
        queries: &[HoldQuery],
    ) -> Result<(), RowError> {
        let (mut after, mut looked) = (None::<Vec<u8>>, 0_u64);
        loop {
            let page = ITEMS_BY_UNIT.scan(&**self.rows, &(), after.as_deref(), limits::PAGE_ROWS_MAX)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (_, id) in page {
                if looked == COUNTED_MAX {
                    self.counts.at_least = true;
                    return Ok(());
                }
                looked += 1;
                if let Some(row) = ITEMS.read(&**self.rows, &id)?
                    && queries.iter().any(|query| query.covers(&row))
                {
                    self.add(keepers, id, &row)?;
                }
            }
        }
    }

    fn add(
        &mut self,
        keepers: &Keepers<'_, dyn strongroom_types::rows::Rows + Send + Sync>,
        id: ItemId,
        row: &ItemRow,
    ) -> Result<(), RowError> {
        if self.who.is_some_and(|who| !who.covers(&row.description.unit)) || !self.seen.insert(id) {
            return Ok(());
        }
        self.counts.matched += 1;
        if keepers.holds(id, row)?.is_empty() {
            self.counts.newly_held += 1;
        } else {
            self.counts.already_held += 1;
        }
        Ok(())
    }
}

fn item_at_end_of(key: &[u8]) -> Result<ItemId, RowError> {
    let corrupt = |detail: String| RowError::Corrupt { table: CASE_ITEMS.name, detail };
    let id = key.last_chunk::<16>().ok_or_else(|| corrupt("a key is too short".to_owned()))?;
    ItemId::try_from(id.as_slice()).map_err(|error| corrupt(error.to_string()))
}

fn hold_id(text: &str) -> Result<HoldId, Status> {
    parsed(convert::parsed("hold_id", text))
}

fn scope(scope: Option<Scope>) -> Result<HoldScope, Refusal> {
    let scope = convert::required("scope", scope)?;
    Ok(HoldScope {
        items: scope.item_ids.iter().map(|id| convert::fixed("scope.item_ids", id)).collect::<Result<_, _>>()?,
        cases: scope.case_ids.iter().map(|id| convert::parsed("scope.case_ids", id)).collect::<Result<_, _>>()?,
        queries: scope.queries.into_iter().map(query).collect::<Result<_, _>>()?,
    })
}

fn query(query: Query) -> Result<HoldQuery, Refusal> {
    Ok(HoldQuery {
        unit: convert::optional_parsed("unit_id", &query.unit_id)?,
        device: convert::optional_parsed("device_id", &query.device_id)?,
        activity: convert::optional_parsed("activity_id", &query.activity_id)?,
        labels: query.labels,
        from: convert::optional_instant("from_unix_ms", query.from_unix_ms)?,
        to: convert::optional_instant("to_unix_ms", query.to_unix_ms)?,
    })
}

fn message(row: &HoldRow) -> Hold {
    let (state, steps, reason) = match &row.state {
        HoldState::Standing => (WireState::Standing, vec![], String::new()),
        HoldState::Releasing(first, why) => (WireState::Releasing, vec![step(first)], why.clone()),
        HoldState::Released(first, second, why) => (WireState::Released, vec![step(first), step(second)], why.clone()),
    };
    Hold {
        hold_id: row.id.to_string(),
        authority: row.authority.clone(),
        document: row.document.clone(),
        reason: row.reason.clone(),
        placed_by: row.placed_by.to_string(),
        placed_at_unix_ms: row.placed_at.0,
        record_seq: row.seq.0,
        items: row.items,
        case_ids: row.cases.iter().map(ToString::to_string).collect(),
        queries: row.queries.iter().map(wire_query).collect(),
        state: state.into(),
        release_steps: steps,
        release_reason: reason,
        missing: hold::still_missing(row),
        removed_items: Vec::new(),
    }
}

fn removed((item, removal): (ItemId, RemovalId)) -> RemovedItem {
    RemovedItem { item_id: Bytes::copy_from_slice(item.as_bytes()), removal_id: removal.to_string() }
}

fn step(step: &custody::correction::RoleStepRow) -> Step {
    Step {
        principal_id: step.by.to_string(),
        role: step.role.to_string(),
        taken_at_unix_ms: step.at.0,
        record_seq: step.seq.0,
    }
}

fn wire_query(query: &HoldQuery) -> Query {
    let text = |name: Option<String>| name.unwrap_or_default();
    Query {
        unit_id: text(query.unit.as_ref().map(ToString::to_string)),
        device_id: text(query.device.as_ref().map(ToString::to_string)),
        activity_id: text(query.activity.as_ref().map(ToString::to_string)),
        labels: query.labels.clone(),
        from_unix_ms: query.from.map(|from| from.0),
        to_unix_ms: query.to.map(|to| to.0),
    }
}
