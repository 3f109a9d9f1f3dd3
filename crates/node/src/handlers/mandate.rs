//! Mandates: who may give them and where they count is decided in `custody::mandate`.

use bytes::Bytes;
use strongroom_custody::{
    Act, Command, clock,
    mandate::{ConfirmMandate, GiveMandate, Mandate, MandateKind, MandateScope, MandatesRow, RevokeMandate},
    profile::RequestAct,
    tables::MANDATES,
};
use strongroom_proto::{
    convert,
    mandate::{
        AppointDeputyRequest, AppointDeputyResponse, ConfirmAppointmentRequest, ConfirmAppointmentResponse,
        DelegateRightRequest, DelegateRightResponse, ListMandatesRequest, ListMandatesResponse, Mandate as WireMandate,
        RevokeMandateRequest, RevokeMandateResponse, Scope, mandate_service_server::MandateService,
    },
};
use strongroom_types::{PrincipalId, RecordSeq, Refusal, Role, UnixMillis};
use tonic::{Request, Response, Status};

use super::change::{change, commit};
use crate::edge::{Edge, Reading, page_size, page_token, parsed};

pub(super) struct Mandates(pub(super) Edge);

change!(AppointDeputyRequest, "AppointDeputy", asked => Command::GiveMandate(GiveMandate {
    kind: MandateKind::Appointment,
    holder: convert::parsed("holder", &asked.holder)?,
    role: Role::Head,
    scope: scope(asked.scope)?,
    from: convert::optional_instant("from_unix_ms", asked.from_unix_ms)?,
    until: convert::instant("until_unix_ms", asked.until_unix_ms)?,
    document: asked.document,
}));
change!(DelegateRightRequest, "DelegateRight", asked => Command::GiveMandate(GiveMandate {
    kind: MandateKind::Delegation,
    holder: convert::parsed("holder", &asked.holder)?,
    role: convert::parsed("role", &asked.role)?,
    scope: scope(asked.scope)?,
    from: convert::optional_instant("from_unix_ms", asked.from_unix_ms)?,
    until: convert::instant("until_unix_ms", asked.until_unix_ms)?,
    document: asked.document,
}));
change!(ConfirmAppointmentRequest, "ConfirmAppointment", asked => Command::ConfirmMandate(ConfirmMandate {
    holder: convert::parsed("holder", &asked.holder)?,
    mandate: RecordSeq(asked.mandate_record_seq),
}));
change!(RevokeMandateRequest, "RevokeMandate", asked => Command::RevokeMandate(RevokeMandate {
    holder: convert::parsed("holder", &asked.holder)?,
    mandate: RecordSeq(asked.mandate_record_seq),
    reason: asked.reason,
}));

#[tonic::async_trait]
impl MandateService for Mandates {
    async fn appoint_deputy(
        &self,
        request: Request<AppointDeputyRequest>,
    ) -> Result<Response<AppointDeputyResponse>, Status> {
        Ok(Response::new(AppointDeputyResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn confirm_appointment(
        &self,
        request: Request<ConfirmAppointmentRequest>,
    ) -> Result<Response<ConfirmAppointmentResponse>, Status> {
        Ok(Response::new(ConfirmAppointmentResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn delegate_right(
        &self,
        request: Request<DelegateRightRequest>,
    ) -> Result<Response<DelegateRightResponse>, Status> {
        Ok(Response::new(DelegateRightResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn revoke_mandate(
        &self,
        request: Request<RevokeMandateRequest>,
    ) -> Result<Response<RevokeMandateResponse>, Status> {
        Ok(Response::new(RevokeMandateResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn list_mandates(
        &self,
        request: Request<ListMandatesRequest>,
    ) -> Result<Response<ListMandatesResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let holder: Option<PrincipalId> = parsed(convert::optional_parsed("holder", &asked.holder))?;
        let (wanted, after) = (page_size(asked.page_size), page_token(&asked.page_token));
        let wall = self.0.system().clock.wall();
        let listed = self
            .0
            .look(&caller, Reading::of(Act::MandateList), |look| {
                let rows = &**look.rows;
                let now = clock::read(rows)?.bounded_wall(wall);
                let page = match &holder {
                    Some(holder) => MANDATES.read(rows, holder)?.map(|row| (Vec::new(), row)).into_iter().collect(),
                    None => MANDATES.scan(rows, &(), after.as_deref(), wanted)?,
                };
                let full = holder.is_none() && page.len() == wanted;
                let next = page.last().filter(|_| full).map_or_else(Bytes::new, |(key, _)| key.clone().into());
                let mandates = page.iter().flat_map(|(key, row)| shown(&holder_of(holder.as_ref(), key), row, now));
                Ok(ListMandatesResponse { mandates: mandates.collect(), next_page_token: next })
            })
            .await?;
        Ok(Response::new(listed))
    }
}

/// Whose row it is: the one that was asked for, or the name that is its key, without the zero byte that ends it.
fn holder_of(asked: Option<&PrincipalId>, key: &[u8]) -> String {
    asked.map_or_else(|| String::from_utf8_lossy(key).trim_end_matches('\0').to_owned(), ToString::to_string)
}

fn scope(scope: Option<Scope>) -> Result<MandateScope, Refusal> {
    let scope = scope.unwrap_or_default();
    let act = |name: &String| {
        convert::one_of("scope.acts", name, RequestAct::from_name, &RequestAct::ALL.map(RequestAct::name))
    };
    Ok(MandateScope {
        acts: scope.acts.iter().map(act).collect::<Result<_, _>>()?,
        unit: convert::optional_parsed("scope.unit_id", &scope.unit_id)?,
        profile: convert::optional_parsed("scope.profile", &scope.profile)?,
    })
}

fn shown(holder: &str, row: &MandatesRow, now: UnixMillis) -> Vec<WireMandate> {
    let one = |mandate: &Mandate| {
        let MandateScope { acts, unit, profile } = &mandate.scope;
        WireMandate {
            holder: holder.to_owned(),
            record_seq: mandate.seq.0,
            kind: mandate.kind.name().to_owned(),
            role: mandate.role.to_string(),
            scope: Some(Scope {
                acts: acts.iter().map(|act| act.name().to_owned()).collect(),
                unit_id: unit.as_ref().map_or_else(String::new, ToString::to_string),
                profile: profile.as_ref().map_or_else(String::new, ToString::to_string),
            }),
            from_unix_ms: mandate.from.0,
            until_unix_ms: mandate.until.0,
            document: mandate.document.clone(),
            given_by: mandate.given_by.to_string(),
            state: mandate.state_name(now).to_owned(),
            confirmed_by: mandate.confirmed.as_ref().map_or_else(String::new, |step| step.by.to_string()),
            revoked_by: mandate.revoked.as_ref().map_or_else(String::new, |end| end.by.to_string()),
            revocation: mandate.revoked.as_ref().map_or_else(String::new, |end| end.reason.clone()),
        }
    };
    row.mandates.iter().map(one).collect()
}
