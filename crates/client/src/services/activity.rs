//! Calls of activities and their registers.

use bytes::Bytes;
use strongroom_proto::activity::{self, activity_service_client::ActivityServiceClient};
use strongroom_types::{ActivityId, RecordSeq, UnitId, limits};

use super::{Page, present, text};
use crate::call::Client;
use crate::error::ClientError;

changes! { ActivityServiceClient,
    /// Opens an activity.
    open_activity(activity::OpenActivityRequest);
    /// Adds a phase.
    add_phase(activity::AddPhaseRequest);
    /// Says when something happened.
    set_moment(activity::SetMomentRequest);
    /// Corrects an activity.
    correct_activity(activity::CorrectActivityRequest);
    /// Gives an item its place in an activity, or takes it out.
    attach_item(activity::AttachItemRequest);
    /// Records why recording stopped.
    record_interruption(activity::RecordInterruptionRequest);
    /// Records why there is no recording at all.
    record_exemption(activity::RecordExemptionRequest);
    /// Files a statement with an interruption or an exemption.
    file_statement(activity::FileStatementRequest);
    /// Says that a notice was seen.
    acknowledge_notice(activity::AcknowledgeNoticeRequest);
}

/// Which activities to list. Empty filters take everything of the caller's unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActivityFilter {
    /// Only this unit's; none means the caller's.
    pub unit: Option<UnitId>,
    /// Only those with open gaps.
    pub with_gaps: bool,
    /// Only those that are overdue, or whose items are.
    pub overdue: bool,
    /// Only of this officer, or opened by this principal.
    pub person: String,
}

/// What activities come to.
impl Client {
    /// One activity.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show_activity(&self, activity: &ActivityId) -> Result<activity::ActivityReport, ClientError> {
        let request = activity::ShowActivityRequest { activity_id: activity.to_string() };
        present("report", unary!(self, ActivityServiceClient, show_activity, request)?.report)
    }

    /// A page of activities, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_activities(
        &self,
        filter: ActivityFilter,
        page: Page,
    ) -> Result<(Vec<activity::ActivityReport>, Bytes), ClientError> {
        let request = activity::ListActivitiesRequest {
            unit_id: text(filter.unit.as_ref().map(UnitId::as_str)),
            with_gaps: filter.with_gaps,
            overdue: filter.overdue,
            person: filter.person,
            page_size: page.size,
            page_token: page.token,
        };
        let answer = unary!(self, ActivityServiceClient, list_activities, request)?;
        Ok((answer.reports, answer.next_page_token))
    }

    /// A page of interruption records, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_interruptions(
        &self,
        unit: Option<&UnitId>,
        page: Page,
    ) -> Result<(Vec<activity::Interruption>, Bytes), ClientError> {
        let request = activity::ListInterruptionsRequest {
            unit_id: text(unit.map(UnitId::as_str)),
            page_size: page.size,
            page_token: page.token,
        };
        let answer = unary!(self, ActivityServiceClient, list_interruptions, request)?;
        Ok((answer.interruptions, answer.next_page_token))
    }

    /// A page of exemptions, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_exemptions(
        &self,
        unit: Option<&UnitId>,
        page: Page,
    ) -> Result<(Vec<activity::Exemption>, Bytes), ClientError> {
        let request = activity::ListExemptionsRequest {
            unit_id: text(unit.map(UnitId::as_str)),
            page_size: page.size,
            page_token: page.token,
        };
        let answer = unary!(self, ActivityServiceClient, list_exemptions, request)?;
        Ok((answer.exemptions, answer.next_page_token))
    }

    /// A page of notices, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_notices(
        &self,
        unit: Option<&UnitId>,
        unseen_only: bool,
        page: Page,
    ) -> Result<(Vec<activity::Notice>, Bytes), ClientError> {
        let request = activity::ListNoticesRequest {
            unit_id: text(unit.map(UnitId::as_str)),
            unseen_only,
            page_size: page.size,
            page_token: page.token,
        };
        let answer = unary!(self, ActivityServiceClient, list_notices, request)?;
        Ok((answer.notices, answer.next_page_token))
    }
}
