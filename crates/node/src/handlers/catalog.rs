//! The catalogue: what is kept, why and until when. Never footage.

use bytes::Bytes;
use prost::Message;
use strongroom_custody::{
    self as custody, Act,
    access::{Stop, within_unit},
    command::{LabelItem, ReleaseQuarantine},
    erasure::{self, Tombstone},
    item,
    keeping::{self, Class, ClassifyItem, ExtendItem, RestrictItem, RestrictionKind, TriggerItem},
    naming::Names,
    removal,
    retention::{self, Keeper, Keepers, Kept},
    tables::{DEVICES, ITEMS, ITEMS_BY_UNIT, ItemRow, RECORDS_BY_ITEM},
    transfer::{reaches_item, within_item},
};
use strongroom_proto::{
    catalog::{
        ClassifyItemRequest, ClassifyItemResponse, ExplainItemRequest, ExplainItemResponse, ExtendItemRequest,
        ExtendItemResponse, Item, LabelItemRequest, LabelItemResponse, ListItemRecordsRequest, ListItemRecordsResponse,
        ListItemsRequest, ListItemsResponse, ReleaseQuarantineRequest, ReleaseQuarantineResponse, Removed,
        RestrictItemRequest, RestrictItemResponse, RetentionReason, ShowItemRequest, ShowItemResponse,
        TriggerItemRequest, TriggerItemResponse, UnrestrictItemRequest, UnrestrictItemResponse,
        catalog_service_server::CatalogService,
    },
    convert,
};
use strongroom_types::{
    ActivityId, DeviceId, ItemId, MediaType, Reason, RecordSeq, Refusal, UnitId, UnixMillis, limits,
    rows::{Key, RowError, Rows},
};
use tonic::{Request, Response, Status};

use super::record::Shown;
use crate::edge::{Edge, Look, Reading, answer, bound, digest, fault, idempotency, page_size, parsed, unexpected};

/// Bytes of rows in one answer: the largest message, with room for what surrounds them.
const PAGE_BYTES_MAX: usize = limits::MESSAGE_BYTES_MAX / 2;
/// Rows that one page looks through; a filter that fits few of them gives short pages.
const SCAN_ROWS_MAX: usize = 10 * limits::PAGE_ROWS_MAX;

pub(super) struct Catalogue(pub(super) Edge);

#[tonic::async_trait]
impl CatalogService for Catalogue {
    async fn show_item(&self, request: Request<ShowItemRequest>) -> Result<Response<ShowItemResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = item_id(&request.get_ref().item_id)?;
        let shown = self
            .0
            .look(&caller, Reading::of_item(Act::ItemShow, id), |look| {
                if let Some(gone) = removed_item(look, id)? {
                    return Ok(removed_message(look, id, &gone));
                }
                let row = own_item(look, id)?;
                item_message(look, &Keepers::load(&**look.rows)?, &mut Names::default(), id, &row)
            })
            .await?;
        Ok(Response::new(ShowItemResponse { item: Some(shown) }))
    }

    async fn list_items(&self, request: Request<ListItemsRequest>) -> Result<Response<ListItemsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let filter = Filter::parse(&asked).map_err(|refusal| answer(&refusal))?;
        let page = self.0.look(&caller, Reading::of(Act::ItemList), |look| list(look, &filter, &asked)).await?;
        Ok(Response::new(page))
    }

    async fn explain_item(
        &self,
        request: Request<ExplainItemRequest>,
    ) -> Result<Response<ExplainItemResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = item_id(&request.get_ref().item_id)?;
        let explained = self
            .0
            .look(&caller, Reading::of_item(Act::ItemExplain, id), |look| {
                if let Some(gone) = removed_item(look, id)? {
                    return followed(look, id, &gone);
                }
                let row = own_item(look, id)?;
                let kept = retention::kept(&**look.rows, id, &row)?;
                let until = retention::effective_until(&kept);
                Ok((retention::explain(&**look.rows, &row, kept)?, until, None))
            })
            .await?;
        let (reasons, until, removed) = explained;
        let reasons = reasons.into_iter().map(|reason| RetentionReason {
            rule: reason.rule,
            text_zh: reason.text_zh,
            text_en: reason.text_en,
            until_unix_ms: reason.until.map(|until| until.0),
            record_seq: reason.seq.0,
        });
        Ok(Response::new(ExplainItemResponse {
            reasons: reasons.collect(),
            kept_until_unix_ms: until.map(|until| until.0),
            removed,
        }))
    }

    async fn label_item(&self, request: Request<LabelItemRequest>) -> Result<Response<LabelItemResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut label = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut label.idempotency_key), digest("LabelItem", &label))?;
        let command = LabelItem { item: item_id(&label.item_id)?, name: label.name, value: label.value };
        match self.0.submit(&caller, custody::Command::LabelItem(command), idempotency).await? {
            custody::Answer::Recorded(seq) => Ok(Response::new(LabelItemResponse { record_seq: seq.0 })),
            other => Err(unexpected(&other)),
        }
    }

    async fn list_item_records(
        &self,
        request: Request<ListItemRecordsRequest>,
    ) -> Result<Response<ListItemRecordsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = item_id(&request.get_ref().item_id)?;
        let records = self.0.look(&caller, Reading::of_item(Act::ItemRecords, id), |look| history(look, id)).await?;
        Ok(Response::new(records))
    }

    async fn extend_item(&self, request: Request<ExtendItemRequest>) -> Result<Response<ExtendItemResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("ExtendItem", asked)?;
        let until = parsed(convert::instant("until_unix_ms", asked.until_unix_ms))?;
        let command = ExtendItem { item: item_id(&asked.item_id)?, until, reason: asked.reason };
        let record_seq = self.0.record(&caller, custody::Command::ExtendItem(command), idempotency).await?;
        Ok(Response::new(ExtendItemResponse { record_seq }))
    }

    async fn trigger_item(
        &self,
        request: Request<TriggerItemRequest>,
    ) -> Result<Response<TriggerItemResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("TriggerItem", asked)?;
        let command = TriggerItem { item: item_id(&asked.item_id)?, code: asked.code, basis: asked.basis };
        let record_seq = self.0.record(&caller, custody::Command::TriggerItem(command), idempotency).await?;
        Ok(Response::new(TriggerItemResponse { record_seq }))
    }

    async fn restrict_item(
        &self,
        request: Request<RestrictItemRequest>,
    ) -> Result<Response<RestrictItemResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("RestrictItem", asked)?;
        let names = RestrictionKind::ALL.map(RestrictionKind::name);
        let kind = parsed(convert::one_of("kind", &asked.kind, RestrictionKind::from_name, &names))?;
        let command = RestrictItem { item: item_id(&asked.item_id)?, kind: Some(kind), reason: asked.reason };
        let record_seq = self.0.record(&caller, custody::Command::RestrictItem(command), idempotency).await?;
        Ok(Response::new(RestrictItemResponse { record_seq }))
    }

    async fn unrestrict_item(
        &self,
        request: Request<UnrestrictItemRequest>,
    ) -> Result<Response<UnrestrictItemResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("UnrestrictItem", asked)?;
        let command = RestrictItem { item: item_id(&asked.item_id)?, kind: None, reason: asked.reason };
        let record_seq = self.0.record(&caller, custody::Command::RestrictItem(command), idempotency).await?;
        Ok(Response::new(UnrestrictItemResponse { record_seq }))
    }

    async fn classify_item(
        &self,
        request: Request<ClassifyItemRequest>,
    ) -> Result<Response<ClassifyItemResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("ClassifyItem", asked)?;
        let class = parsed(convert::one_of("class", &asked.class, Class::from_name, &Class::ALL.map(Class::name)))?;
        let command = ClassifyItem { item: item_id(&asked.item_id)?, class, basis: asked.basis };
        let record_seq = self.0.record(&caller, custody::Command::ClassifyItem(command), idempotency).await?;
        Ok(Response::new(ClassifyItemResponse { record_seq }))
    }

    async fn release_quarantine(
        &self,
        request: Request<ReleaseQuarantineRequest>,
    ) -> Result<Response<ReleaseQuarantineResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = bound!("ReleaseQuarantine", asked)?;
        let item = item_id(&asked.item_id)?;
        let command = ReleaseQuarantine { item, reason: asked.reason };
        let record_seq = self.0.record(&caller, custody::Command::ReleaseQuarantine(command), idempotency).await?;
        let missing = item::release_missing(&*self.0.rows().await?, item).map_err(|error| fault(&error))?;
        Ok(Response::new(ReleaseQuarantineResponse { record_seq, missing }))
    }
}

fn item_id(bytes: &Bytes) -> Result<ItemId, Status> {
    convert::fixed("item_id", bytes).map_err(|refusal| answer(&refusal))
}

/// The item, where the caller's unit covers it.
fn own_item(look: &Look<'_>, id: ItemId) -> Result<ItemRow, Stop> {
    let row = item::sealed(&**look.rows, id)?;
    within_item(&**look.rows, &look.principal, id, &row)?;
    Ok(row)
}

/// The item as it was, where it was transferred to a classified carrier and the caller's unit covers it.
fn removed_item(look: &Look<'_>, id: ItemId) -> Result<Option<Box<erasure::RemovedItem>>, Stop> {
    let Some(Tombstone::Removed(gone)) = erasure::tombstone(&**look.rows, id)? else { return Ok(None) };
    reaches_item(&**look.rows, &look.principal, id, &gone.unit)?;
    Ok(Some(gone))
}

/// What is told of a removed item: digests, and where it is; who received it is for those of the lawful chains.
fn removed_message(look: &Look<'_>, id: ItemId, gone: &erasure::RemovedItem) -> Item {
    Item {
        item_id: Bytes::copy_from_slice(id.as_bytes()),
        device_id: gone.device.to_string(),
        unit_id: gone.unit.to_string(),
        size_bytes: gone.original.size_bytes,
        blake3: Bytes::copy_from_slice(gone.original.blake3.as_bytes()),
        sha256: Bytes::copy_from_slice(gone.original.sha256.as_bytes()),
        sealed_at_unix_ms: gone.sealed_at.0,
        record_seq: gone.sealed_by.0,
        retention_start_unix_ms: gone.retention.start.0,
        profile: format!("{}@{}", gone.retention.profile, gone.retention.version),
        removed: Some(removed(look, gone)),
        ..Item::default()
    }
}

fn removed(look: &Look<'_>, gone: &erasure::RemovedItem) -> Removed {
    let sees = keeping::sees_restricted(&look.principal);
    Removed {
        removal_id: gone.removal.to_string(),
        carrier: gone.carrier.clone(),
        organ: gone.organ.clone(),
        receiver: if sees { gone.receiver.clone() } else { String::new() },
        removed_unix_ms: gone.removed_at.0,
        record_seq: gone.removed_by.0,
    }
}

type Explained = (Vec<retention::KeepReason>, Option<UnixMillis>, Option<Removed>);

/// What followed a removed item: everything that kept it when it went.
fn followed(look: &Look<'_>, id: ItemId, gone: &erasure::RemovedItem) -> Result<Explained, Stop> {
    let listed = removal::items(&**look.rows, gone.removal)?;
    let obligations = listed.into_iter().find(|(item, _)| *item == id).map(|(_, row)| row.obligations);
    let sees = keeping::sees_restricted(&look.principal);
    let reasons: Vec<_> = obligations
        .unwrap_or_default()
        .into_iter()
        .filter(|_| sees)
        .map(|one| retention::KeepReason {
            rule: one.rule,
            text_zh: one.text_zh,
            text_en: one.text_en,
            until: one.until,
            seq: one.seq,
        })
        .collect();
    let until = reasons.iter().map(|one| one.until).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    Ok((reasons, until, Some(removed(look, gone))))
}

/// What a list is narrowed to.
struct Filter {
    unit: Option<UnitId>,
    device: Option<DeviceId>,
    activity: Option<ActivityId>,
    /// In lower case; empty fits everything.
    text: String,
}

impl Filter {
    fn parse(asked: &ListItemsRequest) -> Result<Self, Refusal> {
        Ok(Self {
            unit: convert::optional_parsed("unit_id", &asked.unit_id)?,
            device: convert::optional_parsed("device_id", &asked.device_id)?,
            activity: convert::optional_parsed("activity_id", &asked.activity_id)?,
            text: asked.text.to_lowercase(),
        })
    }

    fn fits(&self, id: ItemId, row: &ItemRow) -> bool {
        let about = &row.description;
        self.device.as_ref().is_none_or(|device| about.device == *device)
            && self.activity.as_ref().is_none_or(|activity| about.activity.as_ref() == Some(activity))
            && (self.text.is_empty() || self.speaks_of(id, row))
    }

    fn speaks_of(&self, id: ItemId, row: &ItemRow) -> bool {
        let has = |text: &str| text.to_lowercase().contains(&self.text);
        let about = &row.description;
        has(&id.to_string())
            || has(&about.file_name)
            || has(about.device.as_str())
            || about.activity.as_ref().is_some_and(|activity| has(activity.as_str()))
            || row.labels.values().filter_map(|values| values.last()).any(|label| has(&label.value))
    }
}

/// Newest first within a unit; somebody of the whole agency who names no unit gets unit after unit.
fn list(look: &Look<'_>, filter: &Filter, asked: &ListItemsRequest) -> Result<ListItemsResponse, Stop> {
    let rows = &**look.rows;
    let unit = filter.unit.as_ref().or(look.principal.unit.as_ref());
    if let Some(unit) = unit {
        within_unit(&look.principal, unit)?;
    }
    let prefix = unit.map_or_else(Vec::new, Key::to_bytes);
    let mut after = Some(asked.page_token.to_vec()).filter(|token| !token.is_empty());
    if after.as_ref().is_some_and(|token| !token.starts_with(&prefix)) {
        return Err(Refusal::invalid("page_token: it is of another list").into());
    }
    let (keepers, mut names) = (Keepers::load(rows)?, Names::default());
    let (wanted, mut items, mut bytes, mut looked) = (page_size(asked.page_size), Vec::new(), 0, 0);
    loop {
        let page = match unit {
            Some(unit) => ITEMS_BY_UNIT.scan(rows, unit, after.as_deref(), wanted)?,
            None => ITEMS_BY_UNIT.scan(rows, &(), after.as_deref(), wanted)?,
        };
        let last_page = page.len() < wanted;
        for (key, id) in page {
            if items.len() == wanted || bytes > PAGE_BYTES_MAX || looked == SCAN_ROWS_MAX {
                return Ok(ListItemsResponse { items, next_page_token: after.unwrap_or_default().into() });
            }
            looked += 1;
            let row = ITEMS.read(rows, &id)?.ok_or_else(|| missing(id))?;
            if filter.fits(id, &row) {
                let message = item_message(look, &keepers, &mut names, id, &row)?;
                bytes += message.encoded_len();
                items.push(message);
            }
            after = Some(key);
        }
        if last_page {
            return Ok(ListItemsResponse { items, next_page_token: Bytes::new() });
        }
    }
}

fn missing(id: ItemId) -> RowError {
    RowError::Corrupt { table: ITEMS_BY_UNIT.name, detail: format!("item {id} is listed but is not there") }
}

/// Every record of the item, or a refusal: a history that was cut would mislead.
fn history(look: &Look<'_>, id: ItemId) -> Result<ListItemRecordsResponse, Stop> {
    let rows = &**look.rows;
    // What was done to an item can be read for good, also when the item is gone.
    let unit = item::unit_of(rows, id)?.ok_or_else(|| Refusal::not_found(format!("sealed item {id}")))?;
    reaches_item(rows, &look.principal, id, &unit)?;
    let (mut records, mut bytes, mut after) = (Vec::new(), 0, None::<Vec<u8>>);
    loop {
        let page = RECORDS_BY_ITEM.scan(rows, &id, after.as_deref(), limits::PAGE_ROWS_MAX)?;
        let last_page = page.len() < limits::PAGE_ROWS_MAX;
        for (key, ()) in page {
            let message = Shown::read(rows, seq_of(&key)?)?.of_item();
            bytes += message.encoded_len();
            if bytes > PAGE_BYTES_MAX {
                return Err(Refusal::new(
                    Reason::Overloaded,
                    "",
                    format!("the history of item {id} does not fit one answer"),
                    "an auditor can read it from the ledger: `strongroom ledger records`",
                )
                .into());
            }
            records.push(message);
            after = Some(key);
        }
        if last_page {
            return Ok(ListItemRecordsResponse { records });
        }
    }
}

/// The end of a key of [`RECORDS_BY_ITEM`] is the record's position.
fn seq_of(key: &[u8]) -> Result<RecordSeq, RowError> {
    let corrupt = || RowError::Corrupt { table: RECORDS_BY_ITEM.name, detail: "a key is too short".to_owned() };
    Ok(RecordSeq(u64::from_be_bytes(*key.last_chunk().ok_or_else(corrupt)?)))
}

/// The entry as this caller may see it: the words of a restricted item are for those of the lawful chains.
fn item_message<R: Rows + ?Sized>(
    look: &Look<'_>,
    keepers: &Keepers<'_, R>,
    names: &mut Names,
    id: ItemId,
    row: &ItemRow,
) -> Result<Item, Stop> {
    let about = &row.description;
    let said = keeping::read(&**look.rows, id)?;
    let hides = said.restriction.is_some() && !keeping::sees_restricted(&look.principal);
    let kept = keepers.of(id, row)?;
    let named = names.of(&**look.rows, id, row)?;
    let device = DEVICES.read(&**look.rows, &about.device)?;
    let current = |(name, values): (&String, &Vec<custody::tables::LabelValue>)| {
        values.last().map(|label| (name.clone(), label.value.clone()))
    };
    Ok(Item {
        item_id: Bytes::copy_from_slice(id.as_bytes()),
        device_id: about.device.to_string(),
        unit_id: about.unit.to_string(),
        file_name: if hides { String::new() } else { about.file_name.clone() },
        recorded_start_unix_ms: about.recorded_start.0,
        recorded_end_unix_ms: about.recorded_end.0,
        activity_id: about.activity.as_ref().map_or_else(String::new, ToString::to_string),
        labels: row.labels.iter().filter(|_| !hides).filter_map(current).collect(),
        size_bytes: row.original.size_bytes,
        blake3: Bytes::copy_from_slice(row.original.blake3.as_bytes()),
        sha256: Bytes::copy_from_slice(row.original.sha256.as_bytes()),
        sealed_at_unix_ms: row.sealed_at.0,
        record_seq: row.seq.0,
        retention_start_unix_ms: row.retention.start.0,
        kept_until_unix_ms: retention::effective_until(&kept).map(|until| until.0),
        quarantined: row.quarantined,
        profile: format!("{}@{}", row.retention.profile, row.retention.version),
        sent_by: row.sent_by.to_string(),
        findings: row.findings.clone(),
        hold_ids: kept.iter().filter_map(hold_of).collect(),
        restriction: said.restriction.map_or_else(String::new, |restriction| restriction.kind.name().to_owned()),
        class: said.class.map_or_else(String::new, |set| set.class.name().to_owned()),
        display_name: named.display_name.filter(|_| !hides).unwrap_or_default(),
        folders: if hides { Vec::new() } else { named.folders },
        labels_missing: named.labels_missing,
        removed: None,
        media_type: about.media_type.map_or("", MediaType::name).to_owned(),
        device_scheme: about.device_proof.as_ref().map_or_else(String::new, |proof| proof.scheme.clone()),
        device_proof: about.device_proof.as_ref().map_or_else(Bytes::new, |proof| Bytes::copy_from_slice(&proof.value)),
        device_type: device.map_or("", |device| device.device_type.name()).to_owned(),
    })
}

fn hold_of(kept: &Kept) -> Option<String> {
    match &kept.by {
        Keeper::Hold(hold, _) => Some(hold.to_string()),
        Keeper::Floor
        | Keeper::Extension(..)
        | Keeper::Trigger(..)
        | Keeper::OpenCase(_)
        | Keeper::ArchivedCase(_)
        | Keeper::Taken(..) => None,
    }
}
