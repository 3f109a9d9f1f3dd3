//! `strongroom inspection`: what a complaint names is looked into beside what is drawn, and so marked.

use bytes::Bytes;
use clap::Subcommand;
use serde_json::{Value, json};
use strongroom_client::{Client, Page as ListPage};
use strongroom_proto::inspection::Target;

use crate::failure::Failure;
use crate::items::Items;
use crate::session::{Globals, Usual};
use crate::shown;

/// What can be done with targeted inspections.
#[derive(Debug, Subcommand)]
pub(crate) enum Inspection {
    /// Records that items are inspected because a complaint names them 定向检查: chosen, not drawn, and so marked
    ///
    /// Example: strongroom inspection target --item 5f0c… --complaint 12345热线-0077 --reason 投诉执法态度
    Target {
        #[command(flatten)]
        items: Items,
        /// The complaint that names them, by its number
        #[arg(long, value_name = "TEXT")]
        complaint: String,
        /// Why it is looked into
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Targeted inspections, newest first
    ///
    /// Example: strongroom inspection list
    List {
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "COUNT")]
        limit: usize,
    },
}

impl Inspection {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let client = globals.client(Usual::Inspector)?;
        match self {
            Self::Target { items, complaint, reason } => {
                let record = client.target_items(&items.read()?, &complaint, &reason).await?;
                shown::done(globals, "complaint", &complaint, record)
            }
            Self::List { limit } => list(globals, &client, limit).await,
        }
    }
}

async fn list(globals: &Globals, client: &Client, limit: usize) -> Result<(), Failure> {
    let (mut targets, mut token) = (Vec::new(), Bytes::new());
    while targets.len() < limit {
        let size = u32::try_from((limit - targets.len()).min(100)).unwrap_or(100);
        let page = client.list_targets(ListPage { size, token }).await?;
        targets.extend(page.targets);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    targets.truncate(limit);
    let row = |target: &Target| {
        vec![
            shown::time(target.recorded_at_unix_ms),
            target.inspector.clone(),
            target.complaint.clone(),
            target.reason.clone(),
            target.item_ids.iter().map(hex::encode).collect::<Vec<_>>().join(" "),
            format!("#{}", target.record_seq),
        ]
    };
    let heads = ["when", "inspector", "complaint", "reason", "items", "record"];
    globals.output().list(
        &targets.iter().map(target_json).collect(),
        &heads,
        &targets.iter().map(row).collect::<Vec<_>>(),
    )
}

fn target_json(target: &Target) -> Value {
    json!({
        "way": "targeted",
        "inspector": target.inspector,
        "items": target.item_ids.iter().map(hex::encode).collect::<Vec<_>>(),
        "complaint": target.complaint,
        "reason": target.reason,
        "recorded_at": shown::time(target.recorded_at_unix_ms),
        "record": target.record_seq,
    })
}
