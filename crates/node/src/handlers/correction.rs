//! Corrections: who may correct what, and when it takes effect, is decided in `custody::correction`.

use bytes::Bytes;
use strongroom_custody::{
    self as custody, Act,
    access::Stop,
    case::Archive,
    clock,
    correction::{self, ApproveCorrection, CorrectionRow, Mistake, ProposeCorrection, RoleStepRow, WithdrawCorrection},
    outage::{self, RightOutage},
    tables::CORRECTIONS,
};
use strongroom_engine::catalog::refusal_of;
use strongroom_proto::{
    convert,
    correction::{
        ApproveCorrectionRequest, ApproveCorrectionResponse, Archive as WireArchive, Binding, Correction,
        CorrectionState, ListCorrectionsRequest, ListCorrectionsResponse, Mark, Mistake as WireMistake, Outages,
        PlanOutagesRequest, PlanOutagesResponse, ProposeCorrectionRequest, ProposeCorrectionResponse,
        RightOutage as WireRightOutage, ShowCorrectionRequest, ShowCorrectionResponse, Step, WithdrawCorrectionRequest,
        WithdrawCorrectionResponse, correction_service_server::CorrectionService, mistake::Kind,
    },
};
use strongroom_types::{CorrectionId, ItemId, RecordSeq, Refusal, UnixMillis, rows::Rows};
use tonic::{Request, Response, Status};

use super::case::{term, wire_term};
use crate::edge::{Caller, Edge, Reading, answer, bound, fault, page_size, page_token, parsed, unexpected};

pub(super) struct Corrections(pub(super) Edge);

#[tonic::async_trait]
impl CorrectionService for Corrections {
    async fn propose_correction(
        &self,
        request: Request<ProposeCorrectionRequest>,
    ) -> Result<Response<ProposeCorrectionResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("ProposeCorrection", asked)?;
        let command = ProposeCorrection { mistake: parsed(mistake(asked.mistake))?, reason: asked.reason };
        let command = custody::Command::ProposeCorrection(command);
        let correction = self.decide(&caller, command, idempotency).await?;
        Ok(Response::new(ProposeCorrectionResponse { correction: Some(correction) }))
    }

    async fn approve_correction(
        &self,
        request: Request<ApproveCorrectionRequest>,
    ) -> Result<Response<ApproveCorrectionResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("ApproveCorrection", asked)?;
        let command = ApproveCorrection { correction: correction_id(&asked.correction_id)? };
        let command = custody::Command::ApproveCorrection(command);
        let correction = self.decide(&caller, command, idempotency).await?;
        Ok(Response::new(ApproveCorrectionResponse { correction: Some(correction) }))
    }

    async fn plan_outages(
        &self,
        request: Request<PlanOutagesRequest>,
    ) -> Result<Response<PlanOutagesResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let right = outages(request.into_inner().outages.unwrap_or_default());
        let planned = self.0.look(&caller, Reading::of(Act::ClockShow), |look| planned(&**look.rows, &right)).await?;
        Ok(Response::new(planned))
    }

    async fn withdraw_correction(
        &self,
        request: Request<WithdrawCorrectionRequest>,
    ) -> Result<Response<WithdrawCorrectionResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("WithdrawCorrection", asked)?;
        let command = WithdrawCorrection { correction: correction_id(&asked.correction_id)?, reason: asked.reason };
        let command = custody::Command::WithdrawCorrection(command);
        let correction = self.decide(&caller, command, idempotency).await?;
        Ok(Response::new(WithdrawCorrectionResponse { correction: Some(correction) }))
    }

    async fn show_correction(
        &self,
        request: Request<ShowCorrectionRequest>,
    ) -> Result<Response<ShowCorrectionResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = correction_id(&request.get_ref().correction_id)?;
        let shown = self
            .0
            .look(&caller, Reading::of(Act::CorrectionList), |look| {
                Ok(message(&correction::read(&**look.rows, id)?, clock::read(&**look.rows)?.t))
            })
            .await?;
        Ok(Response::new(ShowCorrectionResponse { correction: Some(shown) }))
    }

    async fn list_corrections(
        &self,
        request: Request<ListCorrectionsRequest>,
    ) -> Result<Response<ListCorrectionsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let (wanted, after) = (page_size(asked.page_size), page_token(&asked.page_token));
        let (page, t) = self
            .0
            .look(&caller, Reading::of(Act::CorrectionList), |look| {
                let page = CORRECTIONS.scan(&**look.rows, &(), after.as_deref(), wanted)?;
                Ok((page, clock::read(&**look.rows)?.t))
            })
            .await?;
        let next = page.last().filter(|_| page.len() == wanted).map_or_else(Bytes::new, |(key, _)| key.clone().into());
        let corrections = page.iter().map(|(_, row)| message(row, t)).collect();
        Ok(Response::new(ListCorrectionsResponse { corrections, next_page_token: next }))
    }
}

impl Corrections {
    /// Commits one step and answers with the correction as it then stands.
    async fn decide(
        &self,
        caller: &Caller,
        command: custody::Command,
        idempotency: strongroom_engine::Idempotency,
    ) -> Result<Correction, Status> {
        let id = match self.0.submit(caller, command, idempotency).await? {
            custody::Answer::Correction(id, _) => id,
            other => return Err(unexpected(&other)),
        };
        let rows = self.0.rows().await?;
        let row = correction::read(&*rows, id).map_err(|stop| answer(&refusal_of(stop)))?;
        Ok(message(&row, clock::read(&*rows).map_err(|error| fault(&error))?.t))
    }
}

fn planned(rows: &dyn Rows, right: &[RightOutage]) -> Result<PlanOutagesResponse, Stop> {
    let clock = clock::read(rows)?;
    let planned = outage::plan(rows, right)?;
    let shown = PlanOutagesResponse {
        explained_before_ms: planned.before_ms,
        explained_after_ms: planned.after_ms,
        apart_ms: clock.wall.since_ms(clock.t),
        ..PlanOutagesResponse::default()
    };
    Ok(match outage::refuse_unfit(&clock, planned) {
        Ok(()) => shown,
        Err(refusal) => PlanOutagesResponse {
            reason: refusal.reason.name().to_owned(),
            rule: refusal.rule,
            message: refusal.message,
            remedy: refusal.remedy,
            ..shown
        },
    })
}

fn outages(outages: Outages) -> Vec<RightOutage> {
    let right = |one: &WireRightOutage| RightOutage { outage: one.record_seq.map(RecordSeq), right_ms: one.right_ms };
    outages.outages.iter().map(right).collect()
}

fn correction_id(text: &str) -> Result<CorrectionId, Status> {
    parsed(convert::parsed("correction_id", text))
}

fn mistake(mistake: Option<WireMistake>) -> Result<Mistake, Refusal> {
    let item = |bytes| convert::fixed::<ItemId>("item_id", bytes);
    match convert::required("mistake", mistake.and_then(|mistake| mistake.kind))? {
        Kind::Extension(mark) => Ok(Mistake::Extension(item(&mark.item_id)?, RecordSeq(mark.record_seq))),
        Kind::Trigger(mark) => Ok(Mistake::Trigger(item(&mark.item_id)?, RecordSeq(mark.record_seq))),
        Kind::Binding(binding) => {
            Ok(Mistake::Binding(convert::parsed("case_id", &binding.case_id)?, item(&binding.item_id)?))
        }
        Kind::Archive(archive) => {
            let date = convert::instant("date_unix_ms", archive.date_unix_ms)?;
            let term = custody::case::checked_term(term(archive.term_months, archive.permanent)?)?;
            let case = convert::parsed("case_id", &archive.case_id)?;
            Ok(Mistake::Archive(case, RecordSeq(archive.record_seq), Archive { date, term }))
        }
        Kind::Outages(wrong) => Ok(Mistake::Outages(outages(wrong))),
    }
}

fn message(row: &CorrectionRow, t: UnixMillis) -> Correction {
    Correction {
        correction_id: row.id.to_string(),
        mistake: Some(WireMistake { kind: Some(wire_mistake(&row.mistake)) }),
        reason: row.reason.clone(),
        state: state(correction::state_name(row, t)).into(),
        proposed: Some(step(&row.proposed)),
        approved: row.approved.as_ref().map(|approved| step(&approved.step)),
        withdrawn: row.withdrawn.as_ref().map(step),
        in_force_unix_ms: row.approved.as_ref().map(|approved| approved.in_force.0),
        in_force_record_seq: row.effected.map(|seq| seq.0),
    }
}

fn wire_mistake(mistake: &Mistake) -> Kind {
    let id = |item: &ItemId| Bytes::copy_from_slice(item.as_bytes());
    match mistake {
        Mistake::Extension(item, seq) => Kind::Extension(Mark { item_id: id(item), record_seq: seq.0 }),
        Mistake::Trigger(item, seq) => Kind::Trigger(Mark { item_id: id(item), record_seq: seq.0 }),
        Mistake::Binding(case, item) => Kind::Binding(Binding { case_id: case.to_string(), item_id: id(item) }),
        Mistake::Archive(case, seq, right) => {
            let (term_months, permanent) = wire_term(right.term);
            Kind::Archive(WireArchive {
                case_id: case.to_string(),
                record_seq: seq.0,
                date_unix_ms: right.date.0,
                term_months,
                permanent,
            })
        }
        Mistake::Outages(right) => {
            let line =
                |one: &RightOutage| WireRightOutage { record_seq: one.outage.map(|seq| seq.0), right_ms: one.right_ms };
            Kind::Outages(Outages { outages: right.iter().map(line).collect() })
        }
    }
}

fn step(step: &RoleStepRow) -> Step {
    Step {
        principal_id: step.by.to_string(),
        role: step.role.to_string(),
        taken_at_unix_ms: step.at.0,
        record_seq: step.seq.0,
    }
}

/// From the one word of `custody::correction::state_name`.
fn state(name: &str) -> CorrectionState {
    match name {
        "proposed" => CorrectionState::Proposed,
        "approved" => CorrectionState::Approved,
        "in-force" => CorrectionState::InForce,
        "withdrawn" => CorrectionState::Withdrawn,
        other => unreachable!("custody has no state {other}"),
    }
}
