//! Calls about what becomes of units, and of people who leave.

use strongroom_proto::organisation::{self, organisation_service_client::OrganisationServiceClient};
use strongroom_types::{Assent, RecordSeq, limits};

use crate::call::Client;
use crate::error::ClientError;

changes! { OrganisationServiceClient,
    /// Proposes what becomes of units; the record names it to whoever approves it.
    propose_unit_change(organisation::ProposeUnitChangeRequest);
    /// Withdraws a change before it takes effect.
    withdraw_unit_change(organisation::WithdrawUnitChangeRequest);
    /// Notes that somebody leaves.
    leave_principal(organisation::LeavePrincipalRequest);
    /// Takes back that somebody leaves.
    stay_principal(organisation::StayPrincipalRequest);
}

decides! { OrganisationServiceClient,
    /// Approves a change that waits.
    approve_unit_change(organisation::ApproveUnitChangeRequest)
        |asked| Assent::approve_unit_change(RecordSeq(asked.proposal_record_seq));
}

/// What waits, and what it would move.
impl Client {
    /// Counts what a change would move.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn plan_unit_change(
        &self,
        change: organisation::UnitChange,
    ) -> Result<Vec<organisation::Share>, ClientError> {
        let request = organisation::PlanUnitChangeRequest { change: Some(change) };
        Ok(unary!(self, OrganisationServiceClient, plan_unit_change, request)?.shares)
    }

    /// All changes that wait, oldest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_unit_changes(&self) -> Result<Vec<organisation::WaitingUnitChange>, ClientError> {
        let request = organisation::ListUnitChangesRequest {};
        Ok(unary!(self, OrganisationServiceClient, list_unit_changes, request)?.changes)
    }

    /// What waits for somebody, and what stands against their leaving where a successor is named.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_tasks(
        &self,
        request: organisation::ListTasksRequest,
    ) -> Result<organisation::ListTasksResponse, ClientError> {
        unary!(self, OrganisationServiceClient, list_tasks, request)
    }
}
