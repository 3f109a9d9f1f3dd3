//! What people say about the keeping of an item.

use strongroom_proto::catalog;
use strongroom_proto::catalog::catalog_service_client::CatalogServiceClient;
use strongroom_types::{Assent, ItemId, RecordSeq, UnixMillis, limits};

use super::id;
use crate::call::{Client, new_key};
use crate::error::ClientError;

impl Client {
    /// Keeps an item until a later date.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn extend_item(&self, item: ItemId, until: UnixMillis, reason: &str) -> Result<RecordSeq, ClientError> {
        let request = catalog::ExtendItemRequest {
            idempotency_key: new_key().to_string(),
            item_id: id(item.as_bytes()),
            until_unix_ms: until.0,
            reason: reason.to_owned(),
        };
        Ok(RecordSeq(unary!(self, CatalogServiceClient, extend_item, request)?.record_seq))
    }

    /// Keeps an item without end, for the profile's reason of this code.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn trigger_item(&self, item: ItemId, code: &str, basis: &str) -> Result<RecordSeq, ClientError> {
        let request = catalog::TriggerItemRequest {
            idempotency_key: new_key().to_string(),
            item_id: id(item.as_bytes()),
            code: code.to_owned(),
            basis: basis.to_owned(),
        };
        Ok(RecordSeq(unary!(self, CatalogServiceClient, trigger_item, request)?.record_seq))
    }

    /// Leaves an item to lawful chains only; `kind` is one of `custody::keeping::RestrictionKind`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn restrict_item(&self, item: ItemId, kind: &str, reason: &str) -> Result<RecordSeq, ClientError> {
        let request = catalog::RestrictItemRequest {
            idempotency_key: new_key().to_string(),
            item_id: id(item.as_bytes()),
            kind: kind.to_owned(),
            reason: reason.to_owned(),
        };
        Ok(RecordSeq(unary!(self, CatalogServiceClient, restrict_item, request)?.record_seq))
    }

    /// Ends the restriction of an item.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn unrestrict_item(&self, item: ItemId, reason: &str) -> Result<RecordSeq, ClientError> {
        let request = catalog::UnrestrictItemRequest {
            idempotency_key: new_key().to_string(),
            item_id: id(item.as_bytes()),
            reason: reason.to_owned(),
        };
        Ok(RecordSeq(unary!(self, CatalogServiceClient, unrestrict_item, request)?.record_seq))
    }

    /// Sets the confidentiality of an item; `class` is one of `custody::keeping::Class`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn classify_item(&self, item: ItemId, class: &str, basis: &str) -> Result<RecordSeq, ClientError> {
        let request = catalog::ClassifyItemRequest {
            idempotency_key: new_key().to_string(),
            item_id: id(item.as_bytes()),
            class: class.to_owned(),
            basis: basis.to_owned(),
        };
        Ok(RecordSeq(unary!(self, CatalogServiceClient, classify_item, request)?.record_seq))
    }

    /// Takes one of the two steps that release an item from quarantine. Answers what is still missing.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn release_quarantine(
        &self,
        item: ItemId,
        reason: &str,
    ) -> Result<catalog::ReleaseQuarantineResponse, ClientError> {
        let assent = Assent::release_quarantine(item, reason);
        let request = catalog::ReleaseQuarantineRequest {
            idempotency_key: new_key().to_string(),
            item_id: id(item.as_bytes()),
            reason: reason.to_owned(),
        };
        signed!(self, CatalogServiceClient, release_quarantine, assent, request)
    }
}
