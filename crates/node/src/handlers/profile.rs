//! The life of a profile: proposals, approvals, and what a version would do.

use strongroom_custody::{
    self as custody, Act,
    access::{Stop, whole_agency},
    command::{ApproveProfile, ProposeProfile, WithdrawProfile},
    profile::{self, Profile},
    proposal::{self, Effects, Preview, ProposalRow},
    tables::{ITEMS, PROPOSALS},
};
use strongroom_engine::{Idempotency, Snapshot};
use strongroom_proto::{
    convert,
    profile::{
        ApproveProfileRequest, ApproveProfileResponse, ListProposalsRequest, ListProposalsResponse,
        PreviewProfileRequest, PreviewProfileResponse, Proposal, ProposeProfileRequest, ProposeProfileResponse,
        UnitEffects, WithdrawProfileRequest, WithdrawProfileResponse, profile_service_server::ProfileService,
    },
};
use strongroom_types::{
    ProfileName, RecordSeq, Refusal, UnitId, limits,
    rows::{RowError, Rows},
};
use tonic::{Request, Response, Status};

use super::admin::{all, small};
use crate::edge::{Caller, Edge, Reading, answer, digest, fault, idempotency, unexpected};

pub(super) struct Profiles(pub(super) Edge);

#[tonic::async_trait]
impl ProfileService for Profiles {
    async fn propose_profile(
        &self,
        request: Request<ProposeProfileRequest>,
    ) -> Result<Response<ProposeProfileResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut asked.idempotency_key), digest("ProposeProfile", &asked))?;
        // What is too long is refused here, before it is written to every voter's log.
        if asked.toml.len() > profile::TEXT_BYTES_MAX {
            let told = format!("toml takes at most {} bytes", profile::TEXT_BYTES_MAX);
            return Err(self.0.refuse(&caller, Reading::of(Act::ProfilePropose), &Refusal::invalid(told)).await);
        }
        let name = Profile::from_toml(&asked.toml).ok().map(|profile| profile.name);
        let command = custody::Command::ProposeProfile(ProposeProfile { toml: asked.toml });
        self.record(&caller, command, idempotency).await?;
        let name = name.ok_or_else(|| unexpected(&"a proposal without a name"))?;
        Ok(Response::new(ProposeProfileResponse { proposal: Some(self.waiting(&name).await?) }))
    }

    async fn approve_profile(
        &self,
        request: Request<ApproveProfileRequest>,
    ) -> Result<Response<ApproveProfileResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut asked.idempotency_key), digest("ApproveProfile", &asked))?;
        let profile = name(&asked.name)?;
        let proposal = RecordSeq(asked.proposal_record_seq);
        let command = ApproveProfile { profile: profile.clone(), proposal };
        self.record(&caller, custody::Command::ApproveProfile(command), idempotency).await?;
        Ok(Response::new(ApproveProfileResponse { proposal: Some(self.waiting(&profile).await?) }))
    }

    async fn withdraw_profile(
        &self,
        request: Request<WithdrawProfileRequest>,
    ) -> Result<Response<WithdrawProfileResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut asked.idempotency_key), digest("WithdrawProfile", &asked))?;
        let command = WithdrawProfile { profile: name(&asked.name)?, reason: asked.reason };
        let record_seq = self.record(&caller, custody::Command::WithdrawProfile(command), idempotency).await?;
        Ok(Response::new(WithdrawProfileResponse { record_seq }))
    }

    async fn preview_profile(
        &self,
        request: Request<PreviewProfileRequest>,
    ) -> Result<Response<PreviewProfileResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let text = request.into_inner().toml;
        let reading = Reading::of(Act::ProfilePreview);
        // What it counts is of every unit, so it is for those who are there for all of them.
        let profile = self
            .0
            .look(&caller, reading, |look| {
                whole_agency(&look.principal)?;
                Profile::from_toml(&text).map_err(|mistakes| Refusal::invalid(mistakes.to_string()).into())
            })
            .await?;
        let rows = self.0.rows().await?;
        let counted = tokio::task::spawn_blocking(move || preview(&rows, &profile)).await;
        let counted = counted.map_err(|error| fault(&error))?;
        Ok(Response::new(counted.map_err(|error| fault(&error))?))
    }

    async fn list_proposals(
        &self,
        request: Request<ListProposalsRequest>,
    ) -> Result<Response<ListProposalsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let rows =
            self.0.look(&caller, Reading::of(Act::ProfileShow), |look| Ok(all(&PROPOSALS, &**look.rows)?)).await?;
        Ok(Response::new(ListProposalsResponse { proposals: rows.iter().map(message).collect() }))
    }
}

impl Profiles {
    async fn record(
        &self,
        caller: &Caller,
        command: custody::Command,
        idempotency: Idempotency,
    ) -> Result<u64, Status> {
        match self.0.submit(caller, command, idempotency).await? {
            custody::Answer::Recorded(seq) => Ok(seq.0),
            other => Err(unexpected(&other)),
        }
    }

    async fn waiting(&self, profile: &ProfileName) -> Result<Proposal, Status> {
        let rows = self.0.rows().await?;
        match proposal::waiting(&*rows, profile) {
            Ok(row) => Ok(message(&row)),
            Err(Stop::Refused(refusal)) => Err(answer(&refusal)),
            Err(Stop::Rows(error)) => Err(fault(&error)),
        }
    }
}

/// Every stored item is looked at, page by page, in one consistent view of the rows.
fn preview(rows: &Snapshot, profile: &Profile) -> Result<PreviewProfileResponse, RowError> {
    let rows: &dyn Rows = &**rows;
    let mut preview = Preview::new(rows, profile)?;
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = ITEMS.scan(rows, &(), after.as_deref(), limits::PAGE_ROWS_MAX)?;
        page.iter().for_each(|(_, item)| preview.count(item));
        let last_page = page.len() < limits::PAGE_ROWS_MAX;
        after = page.into_iter().next_back().map(|(key, _)| key);
        if last_page {
            break;
        }
    }
    let (version, refusal) = match proposal::check_next(rows, profile) {
        Ok(version) => (small(version), String::new()),
        Err(Stop::Refused(refusal)) => (0, format!("{}: {}; {}", refusal.reason, refusal.message, refusal.remedy)),
        Err(Stop::Rows(error)) => return Err(error),
    };
    let effects = |(unit, effects): (UnitId, Effects)| UnitEffects {
        unit_id: unit.to_string(),
        lengthened_count: effects.lengthened,
        left_count: effects.left,
        unending_count: effects.unending,
        ending_count: effects.ending,
    };
    let units = preview.units.into_iter().map(effects).collect();
    Ok(PreviewProfileResponse { name: profile.name.to_string(), version, units, refusal })
}

fn name(text: &str) -> Result<ProfileName, Status> {
    convert::parsed("name", text).map_err(|refusal| answer(&refusal))
}

fn message(row: &ProposalRow) -> Proposal {
    let approval = row.approval.as_ref();
    Proposal {
        name: row.profile.name.to_string(),
        version: small(row.version),
        toml: row.toml.clone(),
        proposed_by: row.proposed_by.to_string(),
        proposed_at_unix_ms: row.proposed_at.0,
        record_seq: row.seq.0,
        approved_by: approval.map_or_else(String::new, |approval| approval.approver.to_string()),
        effective_at_unix_ms: approval.map(|approval| approval.effective_at.0),
    }
}
