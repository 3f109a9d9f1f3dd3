//! Mandates, and lists that are handed to somebody to look at.

use bytes::Bytes;
use strongroom_proto::mandate::{self, mandate_service_client::MandateServiceClient};
use strongroom_proto::request::{self, request_service_client::RequestServiceClient};
use strongroom_types::{PrincipalId, RecordSeq, limits};

use super::{Page, text};
use crate::call::Client;
use crate::error::ClientError;

changes! { MandateServiceClient,
    /// Makes a deputy the head, by a document.
    appoint_deputy(mandate::AppointDeputyRequest);
    /// Says that an appointment is what its document says.
    confirm_appointment(mandate::ConfirmAppointmentRequest);
    /// Lends one's own right to decide.
    delegate_right(mandate::DelegateRightRequest);
    /// Ends a mandate before its time.
    revoke_mandate(mandate::RevokeMandateRequest);
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
