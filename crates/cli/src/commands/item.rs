//! `strongroom item`: what is kept, why and until when. Never footage, and never the end of any.

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use strongroom_client::{ItemFilter, Page};
use strongroom_net::channel::Channels;
use strongroom_net::tls::{self, CertificateFiles, TlsTime, TrustedAuthority};
use strongroom_net::tuning::NetTuning;
use strongroom_proto::catalog::{self, ShowItemRequest, ShowItemResponse};
use strongroom_proto::status;
use strongroom_types::{ActivityId, DeviceId, ItemId, RecordSeq, UnitId, UnixMillis};

use crate::failure::Failure;
use crate::parse;
use crate::session::{Globals, Usual};
use crate::shown;

/// A call that no node offers. It is made all the same, so that its refusal can be seen.
const DELETE_ITEM: &str = "/strongroom.catalog.v1.CatalogService/DeleteItem";

/// What can be done with items.
#[derive(Debug, Subcommand)]
pub(crate) enum Item {
    /// One item
    Show {
        /// The item
        item: ItemId,
    },
    /// Items, newest first
    List(List),
    /// Items whose labels, file name or ids hold a text
    Search {
        /// The text
        text: String,
        #[command(flatten)]
        list: List,
    },
    /// Why an item is kept and until when
    Explain {
        /// The item
        item: ItemId,
    },
    /// Appends a label; earlier values stay visible
    Label {
        /// The item
        item: ItemId,
        /// Label and value
        #[arg(value_parser = parse::pair, value_name = "NAME=VALUE")]
        label: (String, String),
    },
    /// The records that speak of an item, in ledger order
    History {
        /// The item
        item: ItemId,
    },
    /// Keeps an item until a later date
    ///
    /// Example: strongroom item extend ITEM --until 2030-01-01T00:00:00 --reason 行政诉讼
    Extend {
        /// The item
        item: ItemId,
        /// The later end
        #[arg(long, value_name = "TIME")]
        until: UnixMillis,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Keeps an item without end, for one of the profile's long-term reasons
    Trigger {
        /// The item
        item: ItemId,
        /// The reason's code in the profile
        code: String,
        /// What it rests on
        #[arg(long, value_name = "TEXT")]
        basis: String,
    },
    /// Leaves an item to lawful chains only, at once
    Restrict {
        /// The item
        item: ItemId,
        /// personal-information, non-duty or suspected-secret
        #[arg(long, value_name = "KIND")]
        kind: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Ends the restriction of an item
    Unrestrict {
        /// The item
        item: ItemId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Sets the confidentiality of an item
    Classify {
        /// The item
        item: ItemId,
        /// open, personal-privacy, trade-secret or state-secret
        class: String,
        /// What it rests on
        #[arg(long, value_name = "TEXT")]
        basis: String,
    },
    /// Takes one of the two steps that release an item from quarantine: custodian and unit head, one of each
    ReleaseQuarantine {
        /// The item
        item: ItemId,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Asks for what does not exist: every node refuses it
    #[command(hide = true)]
    Delete {
        /// The item
        item: ItemId,
    },
}

/// Which items to list.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only this unit's; without one, the caller's
    #[arg(long)]
    unit: Option<UnitId>,
    /// Only this device's
    #[arg(long)]
    device: Option<DeviceId>,
    /// Only this activity's
    #[arg(long)]
    activity: Option<ActivityId>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    limit: usize,
}

impl Item {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let output = globals.output();
        match self {
            Self::Show { item } => {
                let item = globals.client(Usual::Legal)?.show_item(item).await?;
                output.show(&shown::item_json(&item), |page| shown::item_page(page, &item))
            }
            Self::List(list) => list.show(globals, String::new()).await,
            Self::Search { text, list } => list.show(globals, text).await,
            Self::Explain { item } => explain(globals, item).await,
            Self::Label { item, label: (name, value) } => {
                let record = globals.client(Usual::Legal)?.label_item(item, &name, &value).await?;
                let json = json!({ "item": item.to_string(), "label": name, "value": value, "record": record.0 });
                output.show(&json, |page| {
                    page.facts(&[
                        ("item", item.to_string()),
                        ("labels", format!("{name}={value}")),
                        ("record", record.to_string()),
                    ]);
                })
            }
            Self::History { item } => history(globals, item).await,
            Self::Extend { item, until, reason } => {
                recorded(globals, item, globals.client(Usual::Legal)?.extend_item(item, until, &reason).await?)
            }
            Self::Trigger { item, code, basis } => {
                recorded(globals, item, globals.client(Usual::Legal)?.trigger_item(item, &code, &basis).await?)
            }
            Self::Restrict { item, kind, reason } => {
                recorded(globals, item, globals.client(Usual::Legal)?.restrict_item(item, &kind, &reason).await?)
            }
            Self::Unrestrict { item, reason } => {
                recorded(globals, item, globals.client(Usual::Legal)?.unrestrict_item(item, &reason).await?)
            }
            Self::Classify { item, class, basis } => {
                recorded(globals, item, globals.client(Usual::Legal)?.classify_item(item, &class, &basis).await?)
            }
            Self::ReleaseQuarantine { item, reason } => release_quarantine(globals, item, &reason).await,
            Self::Delete { item } => Err(delete(globals, item).await?),
        }
    }
}

impl List {
    async fn show(self, globals: &Globals, text: String) -> Result<(), Failure> {
        let client = globals.client(Usual::Legal)?;
        let filter = ItemFilter { unit: self.unit, device: self.device, activity: self.activity, text };
        let (mut items, mut token) = (Vec::new(), Bytes::new());
        while items.len() < self.limit {
            let size = u32::try_from((self.limit - items.len()).min(100)).unwrap_or(100);
            let page = client.list_items(filter.clone(), Page { size, token }).await?;
            items.extend(page.items);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        items.truncate(self.limit);
        globals.output().show(&items.iter().map(shown::item_json).collect(), |page| shown::items_page(page, &items))
    }
}

fn recorded(globals: &Globals, item: ItemId, record: RecordSeq) -> Result<(), Failure> {
    globals.output().show(&json!({ "item": item.to_string(), "record": record.0 }), |page| {
        page.facts(&[("item", item.to_string()), ("record", record.to_string())]);
    })
}

async fn release_quarantine(globals: &Globals, item: ItemId, reason: &str) -> Result<(), Failure> {
    let step = globals.client(Usual::Custodian)?.release_quarantine(item, reason).await?;
    let json = json!({ "item": item.to_string(), "record": step.record_seq, "missing": step.missing });
    globals.output().show(&json, |page| {
        page.facts(&[
            ("item", item.to_string()),
            ("record", format!("#{}", step.record_seq)),
            ("missing", step.missing.join("; ")),
        ]);
    })
}

async fn explain(globals: &Globals, item: ItemId) -> Result<(), Failure> {
    let explained = globals.client(Usual::Legal)?.explain_item(item).await?;
    let reasons: Vec<Value> = explained
        .reasons
        .iter()
        .map(|reason| {
            json!({
                "rule": reason.rule,
                "text_zh": reason.text_zh,
                "text_en": reason.text_en,
                "until": reason.until_unix_ms.map(shown::time),
                "record": reason.record_seq,
            })
        })
        .collect();
    let json = json!({
        "item": item.to_string(),
        "kept_until": explained.kept_until_unix_ms.map(shown::time),
        "reasons": reasons,
        "removed": explained.removed.as_ref().map(shown::removed_json),
    });
    let output = globals.output();
    output.show(&json, |page| {
        page.facts(&[
            ("item", item.to_string()),
            ("removed", shown::removed_text(explained.removed.as_ref())),
            ("kept until", shown::end(explained.kept_until_unix_ms)),
        ]);
        let row = |reason: &catalog::RetentionReason| {
            vec![
                reason.rule.clone(),
                output.pick(&reason.text_en, &reason.text_zh).to_owned(),
                shown::end(reason.until_unix_ms),
                format!("#{}", reason.record_seq),
            ]
        };
        page.table(&["rule", "why", "kept until", "record"], &explained.reasons.iter().map(row).collect::<Vec<_>>());
    })
}

async fn history(globals: &Globals, item: ItemId) -> Result<(), Failure> {
    let records = globals.client(Usual::Legal)?.list_item_records(item).await?;
    let json = records
        .iter()
        .map(|record| {
            json!({
                "seq": record.seq,
                "when": shown::time(record.wall_unix_ms),
                "actor": shown::some(&record.actor),
                "act": record.act,
                "result": record.result,
                "rule": shown::some(&record.rule),
                "facts": record.facts,
            })
        })
        .collect();
    globals.output().show(&json, |page| {
        let row = |record: &catalog::Record| {
            vec![
                format!("#{}", record.seq),
                shown::time(record.wall_unix_ms),
                record.actor.clone(),
                record.act.clone(),
                record.result.clone(),
                record.rule.clone(),
            ]
        };
        let rows: Vec<_> = records.iter().map(row).collect();
        page.table(&["seq", "when", "actor", "act", "result", "rule"], &rows);
    })
}

/// The refusal that asking to delete an item is answered with.
///
/// # Errors
/// Where it could not even be asked.
pub(super) async fn delete(globals: &Globals, item: ItemId) -> Result<Failure, Failure> {
    let context = globals.context()?;
    let (_, files) = context.identity(globals.identity_in(&context, Usual::Legal))?;
    let unusable = |error: tls::TlsError| Failure::usage(crate::failure::chain(&error));
    let certificate = CertificateFiles::open(&files.certificate, &files.key).map_err(unusable)?;
    let authority = TrustedAuthority::from_file(&context.authority).map_err(unusable)?;
    let config = tls::client(certificate, &authority, TlsTime::system()).map_err(unusable)?;
    let channels = Channels::new(config, NetTuning::LAN);
    let mut last = Failure::failed("no node was asked");
    for endpoint in &context.endpoints {
        let channel = match &context.server_name {
            Some(name) => channels.channel_named(endpoint, name),
            None => channels.channel(endpoint),
        }
        .map_err(|error| Failure::usage(error.to_string()))?;
        let mut grpc = tonic::client::Grpc::new(channel);
        if let Err(error) = grpc.ready().await {
            last = Failure::caused_by(format!("could not reach {endpoint}"), &error);
            continue;
        }
        let request = ShowItemRequest { item_id: Bytes::copy_from_slice(item.as_bytes()) };
        let codec = tonic_prost::ProstCodec::<ShowItemRequest, ShowItemResponse>::default();
        let path = http::uri::PathAndQuery::from_static(DELETE_ITEM);
        match grpc.unary(tonic::Request::new(request), path, codec).await {
            Ok(_) => return Ok(Failure::failed("the node answered a call that must not exist")),
            Err(status) if strongroom_net::channel::is_connection_failure(&status) => {
                last = Failure::failed(format!("could not reach {endpoint}: {}", status.message()));
            }
            Err(status) => return Ok(status::to_refusal(&status).into()),
        }
    }
    Err(last)
}
