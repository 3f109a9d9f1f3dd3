//! Holds.

use strongroom_proto::hold;
use strongroom_proto::hold::hold_service_client::HoldServiceClient;
use strongroom_types::{Assent, HoldId, limits};

use super::{Page, present};
use crate::call::{Client, new_key};
use crate::error::ClientError;

/// A hold to place or to widen.
#[derive(Clone, Debug, PartialEq)]
pub struct NewHold {
    /// The matter's name.
    pub hold: HoldId,
    /// Authority that asks for it.
    pub authority: String,
    /// Number of its letter; may be empty.
    pub document: String,
    /// Why.
    pub reason: String,
    /// On what.
    pub scope: hold::Scope,
}

impl Client {
    /// Counts what a hold would cover.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn preview_hold(&self, scope: hold::Scope) -> Result<hold::Counts, ClientError> {
        let request = hold::PreviewHoldRequest { scope: Some(scope) };
        present("count", unary!(self, HoldServiceClient, preview_hold, request)?.counts)
    }

    /// Places a hold or widens it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn place_hold(&self, hold: NewHold) -> Result<hold::PlaceHoldResponse, ClientError> {
        let request = hold::PlaceHoldRequest {
            idempotency_key: new_key().to_string(),
            hold_id: hold.hold.to_string(),
            authority: hold.authority,
            document: hold.document,
            reason: hold.reason,
            scope: Some(hold.scope),
        };
        unary!(self, HoldServiceClient, place_hold, request)
    }

    /// Takes one of the two steps that release a hold.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn release_hold(&self, hold: &HoldId, reason: &str) -> Result<hold::ReleaseHoldResponse, ClientError> {
        let assent = Assent::release_hold(hold, reason);
        let request = hold::ReleaseHoldRequest {
            idempotency_key: new_key().to_string(),
            hold_id: hold.to_string(),
            reason: reason.to_owned(),
        };
        signed!(self, HoldServiceClient, release_hold, assent, request)
    }

    /// One hold.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show_hold(&self, hold: &HoldId) -> Result<hold::Hold, ClientError> {
        let request = hold::ShowHoldRequest { hold_id: hold.to_string() };
        present("hold", unary!(self, HoldServiceClient, show_hold, request)?.hold)
    }

    /// A page of holds, by name.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_holds(&self, released_too: bool, page: Page) -> Result<hold::ListHoldsResponse, ClientError> {
        let request = hold::ListHoldsRequest { released_too, page_size: page.size, page_token: page.token };
        unary!(self, HoldServiceClient, list_holds, request)
    }
}
