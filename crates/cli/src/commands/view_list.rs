//! `strongroom view-list`: items that are handed to a reviewer to look at.

use bytes::Bytes;
use clap::Subcommand;
use serde_json::json;
use strongroom_client::Page;
use strongroom_proto::request::{CloseViewListRequest, GiveViewListRequest, ViewList as WireList};
use strongroom_types::{ItemId, PrincipalId, UnixMillis};

use crate::failure::Failure;
use crate::session::{Globals, Usual};
use crate::shown::{done, some, time};

/// What can be done with such lists.
#[derive(Debug, Subcommand)]
pub(crate) enum ViewList {
    /// Hands items to somebody whose standing view is over such lists; no file goes with it
    ///
    /// Example: strongroom --as unit-head view-list give legal --item ITEM --document 厦城案〔2026〕7号
    /// --until 2026-04-01T00:00:00
    Give {
        /// Who may look
        viewer: PrincipalId,
        /// Item; say it again for each
        #[arg(long = "item", required = true, value_name = "ITEM")]
        items: Vec<ItemId>,
        /// Number of the dossier
        #[arg(long, value_name = "TEXT")]
        document: String,
        /// Until when it is open
        #[arg(long, value_name = "TIME")]
        until: UnixMillis,
    },
    /// Closes a list: whoever gave it, whoever looked, or legal
    ///
    /// Example: strongroom --as legal view-list close legal --record 57 --result 完整、规范
    Close {
        /// Whose
        viewer: PrincipalId,
        /// Its number
        #[arg(long, value_name = "RECORD")]
        record: u64,
        /// What came of it
        #[arg(long, value_name = "TEXT")]
        result: String,
    },
    /// Lists, by viewer, newest first
    List {
        /// Only those of this viewer
        #[arg(long, value_name = "NAME")]
        viewer: Option<PrincipalId>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        limit: u32,
    },
}

impl ViewList {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let usual = match &self {
            Self::Give { .. } => Usual::UnitHead,
            Self::Close { .. } | Self::List { .. } => Usual::Legal,
        };
        let client = globals.client(usual)?;
        match self {
            Self::Give { viewer, items, document, until } => {
                let request = GiveViewListRequest {
                    viewer: viewer.to_string(),
                    item_ids: items.iter().map(|item| Bytes::copy_from_slice(item.as_bytes())).collect(),
                    document,
                    until_unix_ms: until.0,
                    ..Default::default()
                };
                done(globals, "viewer", viewer.as_str(), client.give_view_list(request).await?)
            }
            Self::Close { viewer, record, result } => {
                let request = CloseViewListRequest {
                    viewer: viewer.to_string(),
                    list_record_seq: record,
                    result,
                    ..Default::default()
                };
                done(globals, "viewer", viewer.as_str(), client.close_view_list(request).await?)
            }
            Self::List { viewer, limit } => {
                let page = Page { size: limit, token: Bytes::new() };
                list(globals, &client.list_view_lists(viewer.as_ref(), page).await?.0)
            }
        }
    }
}

fn list(globals: &Globals, lists: &[WireList]) -> Result<(), Failure> {
    let state = |list: &WireList| if list.open { "open" } else { "closed" };
    let json = lists.iter().map(|list| {
        json!({
            "viewer": list.viewer,
            "record": list.record_seq,
            "items": list.item_ids.iter().map(hex::encode).collect::<Vec<_>>(),
            "document": list.document,
            "given_by": list.given_by,
            "given_at": time(list.given_at_unix_ms),
            "until": time(list.until_unix_ms),
            "state": state(list),
            "closed_by": some(&list.closed_by),
            "result": some(&list.result),
        })
    });
    let row = |list: &WireList| {
        vec![
            list.record_seq.to_string(),
            list.viewer.clone(),
            list.document.clone(),
            list.item_ids.len().to_string(),
            list.given_by.clone(),
            time(list.until_unix_ms),
            state(list).to_owned(),
            list.result.clone(),
        ]
    };
    let heads = ["number", "viewer", "document", "items", "given by", "good until", "state", "result"];
    globals.output().list(&json.collect(), &heads, &lists.iter().map(row).collect::<Vec<_>>())
}
