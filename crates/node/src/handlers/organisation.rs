//! What becomes of units, and of people who leave: what is asked for, and what it would come to.

use strongroom_custody::{
    self as custody, Act,
    access::{self, Stop},
    device::Tie,
    keeper::KeeperTerm,
    leave::{self, LeavePrincipal, StayPrincipal, Tasks},
    mandate::Mandate,
    register,
    tables::LEAVES,
    unit_change::{
        self, ApproveUnitChange, Moved, ProposeUnitChange, Share, Subject, UnitChange, UnitChangeRow,
        WithdrawUnitChange,
    },
};
use strongroom_proto::{
    convert,
    organisation::{
        Abolish, ApproveUnitChangeRequest, ApproveUnitChangeResponse, LeavePrincipalRequest, LeavePrincipalResponse,
        ListTasksRequest, ListTasksResponse, ListUnitChangesRequest, ListUnitChangesResponse, Merge,
        Moved as WireMoved, PlanUnitChangeRequest, PlanUnitChangeResponse, ProposeUnitChangeRequest,
        ProposeUnitChangeResponse, Rename, Share as WireShare, Split, StayPrincipalRequest, StayPrincipalResponse,
        Task, UnitChange as WireChange, WaitingUnitChange, WithdrawUnitChangeRequest, WithdrawUnitChangeResponse,
        moved::What, organisation_service_server::OrganisationService, unit_change::Change as WireKind,
    },
};
use strongroom_types::{DeviceId, PrincipalId, RecordSeq, Refusal, UnitId};
use tonic::{Request, Response, Status};

use super::change::{change, commit};
use crate::edge::{Edge, Look, Reading, parsed};

pub(super) struct Organisation(pub(super) Edge);

change!(ProposeUnitChangeRequest, "ProposeUnitChange", asked => custody::Command::ProposeUnitChange(Box::new(
    ProposeUnitChange {
        change: change_of(asked.change)?,
        from: convert::optional_instant("from_unix_ms", asked.from_unix_ms)?,
        basis: asked.basis,
    },
)));
change!(ApproveUnitChangeRequest, "ApproveUnitChange", asked => custody::Command::ApproveUnitChange(ApproveUnitChange {
    proposal: RecordSeq(asked.proposal_record_seq),
}));
change!(WithdrawUnitChangeRequest, "WithdrawUnitChange", asked => custody::Command::WithdrawUnitChange(
    WithdrawUnitChange { proposal: RecordSeq(asked.proposal_record_seq), reason: asked.reason },
));

change!(LeavePrincipalRequest, "LeavePrincipal", asked => custody::Command::LeavePrincipal(LeavePrincipal {
    person: convert::parsed("principal_id", &asked.principal_id)?,
    on: convert::optional_instant("on_unix_ms", asked.on_unix_ms)?,
    to: convert::parsed("to_principal_id", &asked.to_principal_id)?,
    reason: asked.reason,
}));
change!(StayPrincipalRequest, "StayPrincipal", asked => custody::Command::StayPrincipal(StayPrincipal {
    person: convert::parsed("principal_id", &asked.principal_id)?,
    reason: asked.reason,
}));

#[tonic::async_trait]
impl OrganisationService for Organisation {
    async fn propose_unit_change(
        &self,
        request: Request<ProposeUnitChangeRequest>,
    ) -> Result<Response<ProposeUnitChangeResponse>, Status> {
        Ok(Response::new(ProposeUnitChangeResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn approve_unit_change(
        &self,
        request: Request<ApproveUnitChangeRequest>,
    ) -> Result<Response<ApproveUnitChangeResponse>, Status> {
        Ok(Response::new(ApproveUnitChangeResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn withdraw_unit_change(
        &self,
        request: Request<WithdrawUnitChangeRequest>,
    ) -> Result<Response<WithdrawUnitChangeResponse>, Status> {
        Ok(Response::new(WithdrawUnitChangeResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn plan_unit_change(
        &self,
        request: Request<PlanUnitChangeRequest>,
    ) -> Result<Response<PlanUnitChangeResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let change = parsed(change_of(request.into_inner().change))?;
        let shares =
            self.0.look(&caller, Reading::of(Act::UnitPlan), |look| unit_change::plan(&**look.rows, &change)).await?;
        Ok(Response::new(PlanUnitChangeResponse { shares: shares.iter().map(share_message).collect() }))
    }

    async fn list_unit_changes(
        &self,
        request: Request<ListUnitChangesRequest>,
    ) -> Result<Response<ListUnitChangesResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let waiting = self
            .0
            .look(&caller, Reading::of(Act::UnitList), |look| Ok(unit_change::all_waiting(&**look.rows)?))
            .await?;
        Ok(Response::new(ListUnitChangesResponse { changes: waiting.iter().map(waiting_message).collect() }))
    }

    async fn leave_principal(
        &self,
        request: Request<LeavePrincipalRequest>,
    ) -> Result<Response<LeavePrincipalResponse>, Status> {
        Ok(Response::new(LeavePrincipalResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn stay_principal(
        &self,
        request: Request<StayPrincipalRequest>,
    ) -> Result<Response<StayPrincipalResponse>, Status> {
        Ok(Response::new(StayPrincipalResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn list_tasks(&self, request: Request<ListTasksRequest>) -> Result<Response<ListTasksResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let person = parsed(convert::parsed("principal_id", &asked.principal_id))?;
        let to = parsed(convert::optional_parsed("to_principal_id", &asked.to_principal_id))?;
        let on = parsed(convert::optional_instant("on_unix_ms", asked.on_unix_ms))?;
        let leaving = |to| LeavePrincipal { person: PrincipalId::clone(&person), on, to, reason: String::new() };
        let look = |look: &Look<'_>| tasks(look, &person, to.map(leaving).as_ref());
        Ok(Response::new(self.0.look(&caller, Reading::of(Act::PrincipalTasks), look).await?))
    }
}

/// What waits for somebody of the caller's unit, and what stands against their leaving where a successor is named.
fn tasks(look: &Look<'_>, id: &PrincipalId, leaving: Option<&LeavePrincipal>) -> Result<ListTasksResponse, Stop> {
    let rows = &**look.rows;
    let person = access::principal(rows, id)?.ok_or_else(|| Refusal::not_found(format!("principal {id}")))?;
    register::reaches(&look.principal, person.unit.as_ref())?;
    let noted = LEAVES.read(rows, id)?;
    let decidable = leave::decidable(rows, &person)?.into_iter().map(|request| task("decide", &request, ""));
    let against = leaving.map(|leaving| leave::against(rows, &look.principal.id, leaving)).transpose()?.flatten();
    Ok(ListTasksResponse {
        tasks: by_name(&leave::tasks(rows, &person)?).into_iter().chain(decidable).collect(),
        refusal: against.map_or_else(String::new, |refusal| refusal.message),
        leaves_unix_ms: noted.as_ref().map(|row| row.on.0),
        successor_id: noted.as_ref().map_or_else(String::new, |row| row.to.to_string()),
        left: noted.is_some_and(|row| row.left.is_some()),
    })
}

fn by_name(tasks: &Tasks) -> Vec<Task> {
    let tie =
        |(device, tie): &(DeviceId, Tie)| Task { settle_first: tie.is_owed(), ..task("device", device, tie.name()) };
    let first = |task: Task| Task { settle_first: true, ..task };
    let post = |(unit, term): &(UnitId, KeeperTerm)| match term.until {
        Some(until) => task("deputy", unit, &until.to_string()),
        None => task("custodian", unit, ""),
    };
    let mandate = |(holder, mandate): &(PrincipalId, Mandate)| {
        task(mandate.kind.name(), holder, &format!("#{} {} {}", mandate.seq, mandate.role, mandate.until))
    };
    let mut told: Vec<_> = tasks.devices.iter().map(tie).collect();
    told.extend(tasks.batches.iter().map(|batch| first(task("supervise", batch, ""))));
    told.extend(tasks.removals.iter().map(|removal| first(task("removal", removal, ""))));
    told.extend(tasks.successor_of.iter().map(|person| first(task("successor", person, ""))));
    told.extend(tasks.posts.iter().map(post));
    told.extend(tasks.mandates.iter().map(mandate));
    told.extend(tasks.device_posts.iter().map(|device| task("device-custodian", device, "")));
    told
}

fn task(kind: &str, subject: &impl ToString, details: &str) -> Task {
    Task { kind: kind.to_owned(), subject: subject.to_string(), details: details.to_owned(), settle_first: false }
}

fn change_of(asked: Option<WireChange>) -> Result<UnitChange, Refusal> {
    let change = convert::required("change", asked)?;
    Ok(match convert::required("change.change", change.change)? {
        WireKind::Rename(rename) => UnitChange::Rename(unit(&rename.unit_id)?, rename.full_name),
        WireKind::Merge(merge) => UnitChange::Merge(units(&merge.unit_ids)?, unit(&merge.successor_id)?),
        WireKind::Split(split) => UnitChange::Split(
            unit(&split.unit_id)?,
            units(&split.successor_ids)?,
            split.moved.into_iter().map(moved_of).collect::<Result<_, _>>()?,
        ),
        WireKind::Abolish(abolish) => UnitChange::Abolish(unit(&abolish.unit_id)?, unit(&abolish.successor_id)?),
    })
}

fn moved_of(asked: WireMoved) -> Result<Moved, Refusal> {
    let what = match convert::required("moved.what", asked.what)? {
        What::CaseId(case) => Subject::Case(convert::parsed("moved.case_id", &case)?),
        What::DeviceId(device) => Subject::Device(convert::parsed("moved.device_id", &device)?),
        What::PrincipalId(person) => Subject::Person(convert::parsed("moved.principal_id", &person)?),
    };
    Ok(Moved { what, to: unit(&asked.unit_id)? })
}

fn unit(text: &str) -> Result<UnitId, Refusal> {
    convert::parsed("unit_id", text)
}

fn units(texts: &[String]) -> Result<Vec<UnitId>, Refusal> {
    texts.iter().map(|text| unit(text)).collect()
}

fn change_message(change: &UnitChange) -> WireChange {
    let names = |units: &[UnitId]| units.iter().map(ToString::to_string).collect();
    let kind = match change {
        UnitChange::Rename(unit, name) => {
            WireKind::Rename(Rename { unit_id: unit.to_string(), full_name: name.clone() })
        }
        UnitChange::Merge(units, to) => WireKind::Merge(Merge { unit_ids: names(units), successor_id: to.to_string() }),
        UnitChange::Split(unit, to, moved) => WireKind::Split(Split {
            unit_id: unit.to_string(),
            successor_ids: names(to),
            moved: moved.iter().map(moved_message).collect(),
        }),
        UnitChange::Abolish(unit, to) => {
            WireKind::Abolish(Abolish { unit_id: unit.to_string(), successor_id: to.to_string() })
        }
    };
    WireChange { change: Some(kind) }
}

fn moved_message(moved: &Moved) -> WireMoved {
    let what = match &moved.what {
        Subject::Case(case) => What::CaseId(case.to_string()),
        Subject::Device(device) => What::DeviceId(device.to_string()),
        Subject::Person(person) => What::PrincipalId(person.to_string()),
    };
    WireMoved { what: Some(what), unit_id: moved.to.to_string() }
}

fn waiting_message(row: &UnitChangeRow) -> WaitingUnitChange {
    WaitingUnitChange {
        change: Some(change_message(&row.change)),
        from_unix_ms: row.from.0,
        basis: row.basis.clone(),
        proposed_by: row.proposed_by.to_string(),
        proposed_at_unix_ms: row.proposed_at.0,
        record_seq: row.seq.0,
        approved_by: row.approval.as_ref().map_or_else(String::new, |approval| approval.approver.to_string()),
        effective_at_unix_ms: row.effective_at().map(|at| at.0),
    }
}

fn share_message(share: &Share) -> WireShare {
    WireShare {
        from_unit_id: share.from.to_string(),
        to_unit_id: share.to.to_string(),
        people_count: share.counts.people,
        device_count: share.counts.devices,
        case_count: share.counts.cases,
        request_count: share.counts.requests,
        notice_count: share.counts.notices,
    }
}
