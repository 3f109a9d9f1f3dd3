//! Inspections: what a draw selects from, how it is drawn and who may look is decided in `custody::draw`.

use bytes::Bytes;
use strongroom_custody::{
    self as custody, Act,
    draw::{
        self, RecordDraw, TargetInspection,
        row::{DrawRow, DrawState, TargetRow, VoterRow},
    },
    hold::HoldQuery,
    inspection::{self, AnswerRectification, InspectionOf, RecordResult, ResultRow},
    item,
    tables::{DRAWS, TARGETS},
};
use strongroom_proto::{
    convert,
    inspection::{
        AnswerRectificationRequest, AnswerRectificationResponse, Draw, DrawQuery, DrawState as WireState, DrawVoter,
        FetchDrawProofRequest, FetchDrawProofResponse, HeadResult, InspectionHead, InspectionRef, ListDrawsRequest,
        ListDrawsResponse, ListTargetsRequest, ListTargetsResponse, PreviewDrawRequest, PreviewDrawResponse,
        RecordDrawRequest, RecordDrawResponse, RecordResultRequest, RecordResultResponse, Rectification, ResultEntry,
        SheetLine, ShowDrawRequest, ShowDrawResponse, ShowSheetRequest, ShowSheetResponse, Target, TargetItemsRequest,
        TargetItemsResponse, inspection_service_server::InspectionService,
    },
};
use strongroom_types::{DrawId, ItemId, NodeId, RecordSeq, Refusal, UnixMillis, limits, rows::Rows};
use tonic::{Request, Response, Status};

use crate::edge::{Edge, Reading, bound, page_size, page_token, parsed, unexpected};

pub(super) struct Inspections(pub(super) Edge);

#[tonic::async_trait]
impl InspectionService for Inspections {
    async fn preview_draw(
        &self,
        request: Request<PreviewDrawRequest>,
    ) -> Result<Response<PreviewDrawResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let query = parsed(query(asked.query))?;
        let ratio = Some(asked.ratio_percent).filter(|ratio| *ratio != 0);
        let planned = |look: &crate::edge::Look<'_>| draw::plan(&**look.rows, &look.principal, &query, ratio);
        let plan = self.0.look(&caller, Reading::of(Act::DrawRecord), planned).await?;
        Ok(Response::new(PreviewDrawResponse {
            item_count: plan.items.len() as u64,
            sample_count: plan.sample as u64,
            ratio_percent: plan.ratio_percent,
            profile: plan.profile.to_string(),
            rule: plan.inspection.source.rule,
            role: plan.role.to_string(),
            repeats_draw_id: plan.repeats.map(|row| row.id.to_string()).unwrap_or_default(),
        }))
    }

    async fn record_draw(&self, request: Request<RecordDrawRequest>) -> Result<Response<RecordDrawResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("RecordDraw", asked)?;
        let command = RecordDraw {
            query: parsed(query(asked.query))?,
            ratio_percent: Some(asked.ratio_percent).filter(|ratio| *ratio != 0),
            reason: asked.reason,
            // The machine fills these in from the rows that the command meets.
            voters: Vec::new(),
        };
        match self.0.submit(&caller, custody::Command::RecordDraw(Box::new(command)), idempotency).await? {
            custody::Answer::Draw(row) => Ok(Response::new(RecordDrawResponse { draw: Some(message(&row)) })),
            other => Err(unexpected(&other)),
        }
    }

    async fn show_draw(&self, request: Request<ShowDrawRequest>) -> Result<Response<ShowDrawResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = draw_id(&request.get_ref().draw_id)?;
        let shown = self
            .0
            .look(&caller, Reading::of(Act::DrawShow), |look| {
                let row = draw::read(&**look.rows, id)?;
                draw::reaches(&look.principal, row.query.unit.as_ref())?;
                let sample = draw::drawn(&**look.rows, &row)?;
                Ok(ShowDrawResponse { draw: Some(message(&row)), sample_item_ids: wire_items(&sample) })
            })
            .await?;
        Ok(Response::new(shown))
    }

    async fn list_draws(&self, request: Request<ListDrawsRequest>) -> Result<Response<ListDrawsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let (wanted, after) = (page_size(asked.page_size), page_token(&asked.page_token));
        let (page, who) = self
            .0
            .look(&caller, Reading::of(Act::DrawList), |look| {
                Ok((DRAWS.scan(&**look.rows, &(), after.as_deref(), wanted)?, look.principal.clone()))
            })
            .await?;
        let next = page.last().filter(|_| page.len() == wanted).map_or_else(Bytes::new, |(key, _)| key.clone().into());
        let shown = page.iter().map(|(_, row)| row).filter(|row| draw::reaches(&who, row.query.unit.as_ref()).is_ok());
        Ok(Response::new(ListDrawsResponse { draws: shown.map(message).collect(), next_page_token: next }))
    }

    async fn fetch_draw_proof(
        &self,
        request: Request<FetchDrawProofRequest>,
    ) -> Result<Response<FetchDrawProofResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = draw_id(&request.get_ref().draw_id)?;
        let proof = self
            .0
            .look(&caller, Reading::of(Act::DrawShow), |look| {
                draw::reaches(&look.principal, draw::read(&**look.rows, id)?.query.unit.as_ref())?;
                Ok(strongroom_engine::draw::proof(&**look.rows, id)?)
            })
            .await?;
        Ok(Response::new(FetchDrawProofResponse { proof: proof.into() }))
    }

    async fn target_items(
        &self,
        request: Request<TargetItemsRequest>,
    ) -> Result<Response<TargetItemsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("TargetItems", asked)?;
        let items = asked.item_ids.iter().map(|id| convert::fixed("item_ids", id)).collect::<Result<_, _>>();
        let command = TargetInspection { items: parsed(items)?, complaint: asked.complaint, reason: asked.reason };
        let seq = self.0.record(&caller, custody::Command::TargetInspection(command), idempotency).await?;
        Ok(Response::new(TargetItemsResponse { record_seq: seq }))
    }

    async fn list_targets(
        &self,
        request: Request<ListTargetsRequest>,
    ) -> Result<Response<ListTargetsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let (wanted, after) = (page_size(asked.page_size), page_token(&asked.page_token));
        let (page, who) = self
            .0
            .look(&caller, Reading::of(Act::DrawList), |look| {
                Ok((TARGETS.scan(&**look.rows, &(), after.as_deref(), wanted)?, look.principal.clone()))
            })
            .await?;
        let next = page.last().filter(|_| page.len() == wanted).map_or_else(Bytes::new, |(key, _)| key.clone().into());
        let shown = page.iter().map(|(_, row)| row).filter(|row| draw::reaches(&who, row.unit.as_ref()).is_ok());
        Ok(Response::new(ListTargetsResponse { targets: shown.map(target).collect(), next_page_token: next }))
    }

    async fn record_result(
        &self,
        request: Request<RecordResultRequest>,
    ) -> Result<Response<RecordResultResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("RecordResult", asked)?;
        let command = parsed(result(asked))?;
        let seq = self.0.record(&caller, custody::Command::RecordResult(Box::new(command)), idempotency).await?;
        Ok(Response::new(RecordResultResponse { record_seq: seq }))
    }

    async fn answer_rectification(
        &self,
        request: Request<AnswerRectificationRequest>,
    ) -> Result<Response<AnswerRectificationResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("AnswerRectification", asked)?;
        let command = AnswerRectification {
            of: parsed(inspection_of(asked.inspection))?,
            item: parsed(convert::fixed("item_id", &asked.item_id))?,
            entry: RecordSeq(asked.entry_record_seq),
            done: asked.done,
        };
        let seq = self.0.record(&caller, custody::Command::AnswerRectification(command), idempotency).await?;
        Ok(Response::new(AnswerRectificationResponse { record_seq: seq }))
    }

    async fn show_sheet(&self, request: Request<ShowSheetRequest>) -> Result<Response<ShowSheetResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let of = parsed(inspection_of(request.into_inner().inspection))?;
        let reading = Reading::of(Act::InspectionSheet);
        let now = self.0.system().clock.wall();
        let sheet = self.0.look(&caller, reading, |look| sheet(&**look.rows, &look.principal, of, now)).await?;
        Ok(Response::new(sheet))
    }
}

fn inspection_of(of: Option<InspectionRef>) -> Result<InspectionOf, Refusal> {
    let of = convert::required("inspection", of)?;
    match (of.draw_id.is_empty(), of.target_record_seq) {
        (false, 0) => Ok(InspectionOf::Draw(convert::parsed("draw_id", &of.draw_id)?)),
        (true, seq) if seq > 0 => Ok(InspectionOf::Target(RecordSeq(seq))),
        (_, _) => Err(Refusal::invalid("an inspection is named by its draw or by its record, one of the two")),
    }
}

fn result(asked: RecordResultRequest) -> Result<RecordResult, Refusal> {
    if asked.heads.len() > limits::LABELS_MAX {
        return Err(Refusal::invalid(format!("a result has at most {} heads", limits::LABELS_MAX)));
    }
    let head = |(code, head): (String, HeadResult)| (code, inspection::HeadResult { met: head.met, note: head.note });
    let rectification = |asked: Rectification| {
        Ok::<_, Refusal>(inspection::Rectification {
            measure: asked.measure,
            responsible: convert::parsed("responsible", &asked.responsible)?,
            due: convert::instant("due_unix_ms", asked.due_unix_ms)?,
        })
    };
    Ok(RecordResult {
        of: inspection_of(asked.inspection)?,
        item: convert::fixed("item_id", &asked.item_id)?,
        heads: asked.heads.into_iter().map(head).collect(),
        problem: asked.problem,
        rectification: asked.rectification.map(rectification).transpose()?,
        report_period: asked.report_period,
        corrects: Some(asked.corrects_record_seq).filter(|seq| *seq > 0).map(RecordSeq),
        reason: asked.reason,
    })
}

fn sheet(
    rows: &dyn Rows,
    who: &custody::tables::PrincipalRow,
    of: InspectionOf,
    now: UnixMillis,
) -> Result<ShowSheetResponse, custody::access::Stop> {
    let sheet = inspection::sheet(rows, of)?;
    draw::reaches(who, sheet.subject.unit.as_ref())?;
    let (ratio_percent, seed) = match of {
        InspectionOf::Draw(id) => {
            let row = draw::read(rows, id)?;
            let seed = match &row.state {
                DrawState::Completed(seed, _) => Bytes::copy_from_slice(seed.as_bytes()),
                _ => Bytes::new(),
            };
            (row.ratio_percent, seed)
        }
        InspectionOf::Target(_) => (0, Bytes::new()),
    };
    let mut heads: Vec<InspectionHead> = Vec::new();
    for id in &sheet.subject.items {
        // The heads of an item that is gone stand in its entries.
        let Ok(sealed) = item::sealed(rows, *id) else { continue };
        let (_, row) = custody::upload::newest_profile(rows, &sealed.retention.profile)?;
        for head in row.profile.inspection.into_iter().flat_map(|inspection| inspection.heads) {
            if heads.iter().all(|known| known.code != head.code) {
                heads.push(InspectionHead { code: head.code, words: head.words });
            }
        }
    }
    Ok(ShowSheetResponse {
        inspector: sheet.subject.inspector.to_string(),
        ratio_percent,
        seed,
        heads,
        missing_count: u32::try_from(sheet.missing()).unwrap_or(u32::MAX),
        lines: sheet
            .lines
            .iter()
            .map(|(item, entries)| SheetLine {
                item_id: Bytes::copy_from_slice(item.as_bytes()),
                entries: entries.iter().map(|row| entry(row, now)).collect(),
            })
            .collect(),
    })
}

fn entry(row: &ResultRow, now: UnixMillis) -> ResultEntry {
    let head = |(code, head): (&String, &inspection::HeadResult)| {
        (code.clone(), HeadResult { met: head.met, note: head.note.clone() })
    };
    let (corrects, reason) = row.corrects.clone().map_or((0, String::new()), |(seq, why)| (seq.0, why));
    let (done, done_by, done_at) = match &row.answered {
        Some(answered) => (answered.done.clone(), answered.by.to_string(), answered.at.0),
        None => (String::new(), String::new(), 0),
    };
    ResultEntry {
        heads: row.heads.iter().map(head).collect(),
        problem: row.problem.clone(),
        rectification: row.rectification.as_ref().map(|asked| Rectification {
            measure: asked.measure.clone(),
            responsible: asked.responsible.to_string(),
            due_unix_ms: asked.due.0,
        }),
        report_period: row.report_period.clone(),
        by: row.by.to_string(),
        at_unix_ms: row.at.0,
        record_seq: row.seq.0,
        corrects_record_seq: corrects,
        reason,
        done,
        done_by,
        done_at_unix_ms: done_at,
        state: row.state(now).unwrap_or_default().to_owned(),
        rule: row.rule.clone(),
    }
}

fn draw_id(text: &str) -> Result<DrawId, Status> {
    parsed(convert::parsed("draw_id", text))
}

fn query(query: Option<DrawQuery>) -> Result<HoldQuery, Refusal> {
    let query = convert::required("query", query)?;
    if query.labels.len() > limits::LABELS_MAX {
        return Err(Refusal::invalid(format!("a query names at most {} labels", limits::LABELS_MAX)));
    }
    Ok(HoldQuery {
        unit: convert::optional_parsed("unit_id", &query.unit_id)?,
        device: convert::optional_parsed("device_id", &query.device_id)?,
        activity: convert::optional_parsed("activity_id", &query.activity_id)?,
        labels: query.labels,
        from: convert::optional_instant("from_unix_ms", query.from_unix_ms)?,
        to: convert::optional_instant("to_unix_ms", query.to_unix_ms)?,
    })
}

fn wire_query(query: &HoldQuery) -> DrawQuery {
    let text = |name: Option<String>| name.unwrap_or_default();
    DrawQuery {
        unit_id: text(query.unit.as_ref().map(ToString::to_string)),
        device_id: text(query.device.as_ref().map(ToString::to_string)),
        activity_id: text(query.activity.as_ref().map(ToString::to_string)),
        labels: query.labels.clone(),
        from_unix_ms: query.from.map(|from| from.0),
        to_unix_ms: query.to.map(|to| to.0),
    }
}

fn message(row: &DrawRow) -> Draw {
    let (state, until, seed) = match &row.state {
        DrawState::Committing(until) => (WireState::Committing, Some(until.0), Bytes::new()),
        DrawState::Revealing(_, until) => (WireState::Revealing, Some(until.0), Bytes::new()),
        DrawState::Overdue(_, until) => (WireState::Overdue, Some(until.0), Bytes::new()),
        DrawState::Completed(seed, _) => (WireState::Completed, None, Bytes::copy_from_slice(seed.as_bytes())),
        DrawState::Void(..) => (WireState::Void, None, Bytes::new()),
    };
    let missing = match &row.state {
        DrawState::Void(missing, _) => missing.clone(),
        DrawState::Committing(_) | DrawState::Revealing(..) | DrawState::Overdue(..) | DrawState::Completed(..) => {
            row.missing()
        }
    };
    Draw {
        draw_id: row.id.to_string(),
        state: state.into(),
        inspector: row.inspector.to_string(),
        role: row.role.to_string(),
        query: Some(wire_query(&row.query)),
        ratio_percent: row.ratio_percent,
        profile: row.profile.to_string(),
        rule: row.rule.clone(),
        item_count: row.items,
        population_digest: Bytes::copy_from_slice(row.population.as_bytes()),
        sample_count: row.sample,
        repeats_draw_id: row.repeats.map(|draw| draw.to_string()).unwrap_or_default(),
        reason: row.reason.clone(),
        recorded_at_unix_ms: row.recorded_at.0,
        record_seq: row.seq.0,
        digest: Bytes::copy_from_slice(row.digest.as_bytes()),
        voters: row.voters().iter().map(voter).collect(),
        missing_node_ids: missing.into_iter().map(|NodeId(node)| node).collect(),
        until_unix_ms: until,
        seed,
    }
}

fn voter(row: &VoterRow) -> DrawVoter {
    let (commitment, commitment_record_seq) =
        row.committed.map(|(given, seq)| (Bytes::copy_from_slice(given.as_bytes()), seq.0)).unwrap_or_default();
    let (share, share_record_seq) =
        row.revealed.map(|(given, seq)| (Bytes::copy_from_slice(given.as_bytes()), seq.0)).unwrap_or_default();
    DrawVoter { node_id: row.node.0, commitment, commitment_record_seq, share, share_record_seq }
}

fn target(row: &TargetRow) -> Target {
    Target {
        inspector: row.inspector.to_string(),
        item_ids: wire_items(&row.items),
        complaint: row.complaint.clone(),
        reason: row.reason.clone(),
        recorded_at_unix_ms: row.recorded_at.0,
        record_seq: row.seq.0,
    }
}

fn wire_items(items: &[ItemId]) -> Vec<Bytes> {
    items.iter().map(|item| Bytes::copy_from_slice(item.as_bytes())).collect()
}
