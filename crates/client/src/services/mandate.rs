//! Mandates, and lists that are handed to somebody to look at.

use bytes::Bytes;
use strongroom_proto::mandate::{self, mandate_service_client::MandateServiceClient};
use strongroom_proto::request::{self, request_service_client::RequestServiceClient};
use strongroom_types::{Assent, MandateTerms, PrincipalId, RecordSeq, Role, UnixMillis, limits};

use super::{Page, parsed, text};
use crate::call::Client;
use crate::error::ClientError;

changes! { MandateServiceClient,
    /// Ends a mandate before its time.
    revoke_mandate(mandate::RevokeMandateRequest);
}

decides! { MandateServiceClient,
    /// Makes a deputy the head, by a document.
    appoint_deputy(mandate::AppointDeputyRequest) |asked| terms(
        None,
        &asked.holder,
        asked.scope.as_ref(),
        (asked.from_unix_ms, asked.until_unix_ms),
        &asked.document,
    )?;
    /// Says that an appointment is what its document says.
    confirm_appointment(mandate::ConfirmAppointmentRequest)
        |asked| Assent::confirm_mandate(&parsed("holder", &asked.holder)?, RecordSeq(asked.mandate_record_seq));
    /// Lends one's own right to decide.
    delegate_right(mandate::DelegateRightRequest) |asked| terms(
        Some(&asked.role),
        &asked.holder,
        asked.scope.as_ref(),
        (asked.from_unix_ms, asked.until_unix_ms),
        &asked.document,
    )?;
}

/// What is signed of a mandate; a role makes it a delegation.
fn terms(
    role: Option<&String>,
    holder: &str,
    scope: Option<&mandate::Scope>,
    (from, until): (Option<i64>, i64),
    document: &str,
) -> Result<Assent, ClientError> {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let unit = scope.and_then(|scope| some(&scope.unit_id)).map(|unit| parsed("scope.unit_id", &unit)).transpose()?;
    let profile = scope.and_then(|scope| some(&scope.profile));
    let profile = profile.map(|profile| parsed("scope.profile", &profile)).transpose()?;
    Ok(Assent::give_mandate(&MandateTerms {
        is_appointment: role.is_none(),
        holder: &parsed("holder", holder)?,
        role: role.map_or(Ok(Role::Head), |role| parsed("role", role))?,
        acts: scope.iter().flat_map(|scope| scope.acts.iter().map(String::as_str)).collect(),
        unit: unit.as_ref(),
        profile: profile.as_ref(),
        from: from.map(UnixMillis),
        until: UnixMillis(until),
        document,
    }))
}

changes! { RequestServiceClient,
    /// Hands items to somebody to look at.
    give_view_list(request::GiveViewListRequest);
    /// Closes such a list.
    close_view_list(request::CloseViewListRequest);
}

impl Client {
    /// A page of mandates, by holder.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_mandates(
        &self,
        holder: Option<&PrincipalId>,
        page: Page,
    ) -> Result<(Vec<mandate::Mandate>, Bytes), ClientError> {
        let request = mandate::ListMandatesRequest {
            holder: text(holder.map(PrincipalId::as_str)),
            page_size: page.size,
            page_token: page.token,
        };
        let answer = unary!(self, MandateServiceClient, list_mandates, request)?;
        Ok((answer.mandates, answer.next_page_token))
    }

    /// A page of lists that were handed to people, by viewer, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_view_lists(
        &self,
        viewer: Option<&PrincipalId>,
        page: Page,
    ) -> Result<(Vec<request::ViewList>, Bytes), ClientError> {
        let request = request::ListViewListsRequest {
            viewer: text(viewer.map(PrincipalId::as_str)),
            page_size: page.size,
            page_token: page.token,
        };
        let answer = unary!(self, RequestServiceClient, list_view_lists, request)?;
        Ok((answer.lists, answer.next_page_token))
    }
}
