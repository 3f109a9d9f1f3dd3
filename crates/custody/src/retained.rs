//! What decides how long anything is kept, of every row that has a part in it: what records determine, and no more.
//!
//! The retention digest ([`crate::digest`]) is a digest of these. An auditor makes the same from the records alone
//! ([`crate::replay`]), so that here is only what a record says: who handles a case or what it is called decides nothing,
//! and is left out. A row that counts whole stands under its own type.
//!
//! A row of table `n` counts under the same number and key.

use strongroom_types::{
    ActivityId, BatchId, CaseId, DeviceId, HoldId, ItemId, ProfileName, RecordSeq, UnitId, UnixMillis,
    rows::{RowError, Rows, Table, TableId, encode},
};

use crate::{
    case::{ArchiveRow, BindingRow, CaseRow, CaseState},
    correction::{CorrectionRow, Mistake},
    disposal::{BatchItemRow, BatchRow, ItemFate},
    erasure::{Tombstone, sha256},
    floors::VersionsRow,
    hold::{self, HoldRow, HoldState},
    keeping::KeepingRow,
    tables::{self, ItemRow, ProfileRow, Retention, UnitRow},
    transfer::TransferRow,
    unit::UnitEnd,
};

/// Units.
pub const UNITS: Table<UnitId, KeptUnit> = of(&tables::UNITS);
/// Versions of profiles.
pub const PROFILES: Table<(ProfileName, u64), KeptProfile> = of(&tables::PROFILES);
/// Sealed items.
pub const ITEMS: Table<ItemId, KeptItem> = of(&tables::ITEMS);
/// What was said of an item.
pub const KEEPING: Table<ItemId, KeepingRow> = of(&tables::KEEPING);
/// Cases.
pub const CASES: Table<CaseId, KeptCase> = of(&tables::CASES);
/// Bindings.
pub const CASE_ITEMS: Table<(CaseId, ItemId), BindingRow> = of(&tables::CASE_ITEMS);
/// The index by which an item's cases are found.
pub const CASES_BY_ITEM: Table<(ItemId, CaseId), CaseId> = of(&tables::CASES_BY_ITEM);
/// Holds.
pub const HOLDS: Table<HoldId, KeptHold> = of(&tables::HOLDS);
/// Items that a hold names.
pub const HOLDS_BY_ITEM: Table<(ItemId, HoldId), HoldId> = of(&tables::HOLDS_BY_ITEM);
/// Cases that a hold names.
pub const HOLDS_BY_CASE: Table<(CaseId, HoldId), HoldId> = of(&tables::HOLDS_BY_CASE);
/// Holds by query that stand.
pub const QUERY_HOLDS: Table<HoldId, HoldId> = of(&tables::QUERY_HOLDS);
/// Corrections.
pub const CORRECTIONS: Table<u64, KeptCorrection> = of(&tables::CORRECTIONS);
/// Floors of each profile.
pub const PROFILE_VERSIONS: Table<ProfileName, VersionsRow> = of(&tables::PROFILE_VERSIONS);
/// Batches of disposal.
pub const DISPOSALS: Table<u64, KeptBatch> = of(&tables::DISPOSALS);
/// Their items.
pub const DISPOSAL_ITEMS: Table<(BatchId, ItemId), KeptFate> = of(&tables::DISPOSAL_ITEMS);
/// Items that went.
pub const TOMBSTONES: Table<ItemId, KeptTombstone> = of(&tables::TOMBSTONES);
/// Items in a batch that is not decided.
pub const DISPOSAL_BY_ITEM: Table<ItemId, BatchId> = of(&tables::DISPOSAL_BY_ITEM);
/// Cases that changed hands.
pub const CASE_TRANSFERS: Table<(CaseId, RecordSeq), KeptTransfer> = of(&tables::CASE_TRANSFERS);

/// Every table that counts, by number.
pub const TABLES: [TableId; 18] = [
    UNITS.id,
    PROFILES.id,
    ITEMS.id,
    KEEPING.id,
    CASES.id,
    CASE_ITEMS.id,
    CASES_BY_ITEM.id,
    HOLDS.id,
    HOLDS_BY_ITEM.id,
    HOLDS_BY_CASE.id,
    QUERY_HOLDS.id,
    CORRECTIONS.id,
    PROFILE_VERSIONS.id,
    DISPOSALS.id,
    DISPOSAL_ITEMS.id,
    TOMBSTONES.id,
    DISPOSAL_BY_ITEM.id,
    CASE_TRANSFERS.id,
];

/// A unit: under which profile items come with it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KeptUnit {
    /// Its profile.
    #[n(0)]
    pub profile: ProfileName,
    /// Its end.
    #[n(1)]
    pub ended: Option<UnitEnd>,
}

/// A version of a profile.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KeptProfile {
    /// SHA-256 of its text.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub text: [u8; 32],
    /// Record that activated it.
    #[n(1)]
    pub seq: RecordSeq,
}

/// A sealed item: its retention, and what a hold by query asks.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KeptItem {
    /// Retention as it was sealed.
    #[n(0)]
    pub retention: Retention,
    /// Record of the seal.
    #[n(1)]
    pub seq: RecordSeq,
    /// Wall time of the seal.
    #[n(2)]
    pub sealed_at: UnixMillis,
    /// Unit.
    #[n(3)]
    pub unit: UnitId,
    /// Device.
    #[n(4)]
    pub device: DeviceId,
    /// Activity that it was sealed with.
    #[n(5)]
    pub activity: Option<ActivityId>,
    /// Start by the device's clock.
    #[n(6)]
    pub recorded_start: UnixMillis,
    /// End by the device's clock.
    #[n(7)]
    pub recorded_end: UnixMillis,
    /// [`labels_digest`] of the labels that it was sealed with.
    #[cbor(n(8), with = "minicbor::bytes")]
    pub first_labels: [u8; 32],
    /// Labels that it was given later, in the order of their records.
    #[n(9)]
    pub labels: Vec<KeptLabel>,
    /// Whether nobody has released it from quarantine.
    #[n(10)]
    pub quarantined: bool,
}

/// A label that was appended.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KeptLabel {
    /// Record that set it.
    #[n(0)]
    pub seq: RecordSeq,
    /// Name.
    #[n(1)]
    pub name: String,
    /// Value.
    #[n(2)]
    pub value: String,
}

/// A case: how it stands and until when it keeps.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KeptCase {
    /// Record of its opening.
    #[n(0)]
    pub seq: RecordSeq,
    /// Items that were ever bound to it.
    #[n(1)]
    pub items: u64,
    /// Where it stands.
    #[n(2)]
    pub state: CaseState,
    /// Every time that its file was archived.
    #[n(3)]
    pub archives: Vec<ArchiveRow>,
}

/// A hold: what it covers and whether it stands.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KeptHold {
    /// Authority that asks for it.
    #[n(0)]
    pub authority: String,
    /// Record of its placing.
    #[n(1)]
    pub seq: RecordSeq,
    /// Items that were named one by one.
    #[n(2)]
    pub items: u64,
    /// Cases.
    #[n(3)]
    pub cases: Vec<CaseId>,
    /// Queries in the words of records ([`hold::told`]), each once.
    #[n(4)]
    pub queries: Vec<String>,
    /// Where it stands.
    #[n(5)]
    pub state: KeptHoldState,
}

/// Where a hold stands.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum KeptHoldState {
    /// It forbids disposal.
    #[n(0)]
    Standing,
    /// One office has asked for its release, by this record.
    #[n(1)]
    Releasing(#[n(0)] RecordSeq),
    /// Released by these two records.
    #[n(2)]
    Released(#[n(0)] RecordSeq, #[n(1)] RecordSeq),
}

/// A correction.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KeptCorrection {
    /// What is mistaken.
    #[n(0)]
    pub mistake: Mistake,
    /// Record of the proposal.
    #[n(1)]
    pub proposed: RecordSeq,
    /// Record of the approval.
    #[n(2)]
    pub approved: Option<RecordSeq>,
    /// Compliance time from which it is in force.
    #[n(3)]
    pub in_force: Option<UnixMillis>,
    /// Record by which it was withdrawn.
    #[n(4)]
    pub withdrawn: Option<RecordSeq>,
}

/// A batch of disposal.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KeptBatch {
    /// Record of the proposal.
    #[n(0)]
    pub seq: RecordSeq,
    /// Compliance time before which nobody approves it.
    #[n(1)]
    pub not_before: UnixMillis,
    /// Items in it.
    #[n(2)]
    pub items: u64,
    /// Where it stands, by name.
    #[n(3)]
    pub state: String,
    /// Records of its approvals.
    #[n(4)]
    pub approvals: Vec<RecordSeq>,
    /// Record of its execution.
    #[n(5)]
    pub executed: Option<RecordSeq>,
}

/// What came of an item of a batch: `listed`, `disposed`, or the reason for which it dropped out.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KeptFate {
    /// As one word.
    #[n(0)]
    pub fate: String,
}

/// An item that went.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KeptTombstone {
    /// In which batch; none where it was removed to a carrier.
    #[n(0)]
    pub batch: Option<BatchId>,
    /// By which record.
    #[n(1)]
    pub seq: RecordSeq,
}

/// A case that changed hands: the profile that its items came under.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct KeptTransfer {
    /// Unit that has it now.
    #[n(0)]
    pub to: UnitId,
    /// The profile.
    #[n(1)]
    pub profile: ProfileName,
    /// Its version.
    #[n(2)]
    pub version: u64,
}

/// What a stored row says of retention; none where it says nothing, or its table does not count.
///
/// # Errors
/// [`RowError`] where the row does not decode.
pub fn of_row(table: TableId, bytes: &[u8]) -> Result<Option<Vec<u8>>, RowError> {
    Ok(match table.0 {
        n if n == UNITS.id.0 => Some(encode(&unit(&tables::UNITS.decode(bytes)?))),
        n if n == PROFILES.id.0 => Some(encode(&profile(&tables::PROFILES.decode(bytes)?))),
        n if n == ITEMS.id.0 => Some(encode(&item(&tables::ITEMS.decode(bytes)?))),
        n if n == CASES.id.0 => Some(encode(&case(&tables::CASES.decode(bytes)?))),
        n if n == HOLDS.id.0 => Some(encode(&hold(&tables::HOLDS.decode(bytes)?))),
        n if n == CORRECTIONS.id.0 => correction(tables::CORRECTIONS.decode(bytes)?).map(|kept| encode(&kept)),
        n if n == DISPOSALS.id.0 => Some(encode(&batch(&tables::DISPOSALS.decode(bytes)?))),
        n if n == DISPOSAL_ITEMS.id.0 => Some(encode(&fate(&tables::DISPOSAL_ITEMS.decode(bytes)?))),
        n if n == TOMBSTONES.id.0 => tombstone(&tables::TOMBSTONES.decode(bytes)?).map(|kept| encode(&kept)),
        n if n == CASE_TRANSFERS.id.0 => transfer(&tables::CASE_TRANSFERS.decode(bytes)?).map(|kept| encode(&kept)),
        // These count whole.
        _ if counts(table) => Some(bytes.to_vec()),
        _ => None,
    })
}

/// Whether rows of this table count.
#[must_use]
pub fn counts(table: TableId) -> bool {
    TABLES.contains(&table)
}

/// The name of a table that counts, where people read it.
#[must_use]
pub fn name(table: TableId) -> &'static str {
    let names = [
        (UNITS.id, UNITS.name),
        (PROFILES.id, PROFILES.name),
        (ITEMS.id, ITEMS.name),
        (KEEPING.id, KEEPING.name),
        (CASES.id, CASES.name),
        (CASE_ITEMS.id, CASE_ITEMS.name),
        (CASES_BY_ITEM.id, CASES_BY_ITEM.name),
        (HOLDS.id, HOLDS.name),
        (HOLDS_BY_ITEM.id, HOLDS_BY_ITEM.name),
        (HOLDS_BY_CASE.id, HOLDS_BY_CASE.name),
        (QUERY_HOLDS.id, QUERY_HOLDS.name),
        (CORRECTIONS.id, CORRECTIONS.name),
        (PROFILE_VERSIONS.id, PROFILE_VERSIONS.name),
        (DISPOSALS.id, DISPOSALS.name),
        (DISPOSAL_ITEMS.id, DISPOSAL_ITEMS.name),
        (TOMBSTONES.id, TOMBSTONES.name),
        (DISPOSAL_BY_ITEM.id, DISPOSAL_BY_ITEM.name),
        (CASE_TRANSFERS.id, CASE_TRANSFERS.name),
    ];
    names.into_iter().find(|(id, _)| *id == table).map_or("other", |(_, name)| name)
}

/// A stored key (the table's number, then the key) in words.
#[must_use]
pub fn key_words(stored: &[u8]) -> String {
    let Some((table, key)) = stored.split_first() else { return String::new() };
    let table = TableId(*table);
    let item = |bytes: &[u8]| ItemId::try_from(bytes).map_or_else(|_| plain(bytes), |item| item.to_string());
    let (first, last) = (key.split_at_checked(16), key.len().checked_sub(16).and_then(|at| key.split_at_checked(at)));
    let told = match (first, last) {
        (Some((head, rest)), _) if [CASES_BY_ITEM.id, HOLDS_BY_ITEM.id].contains(&table) => {
            format!("{} {}", item(head), plain(rest))
        }
        (_, Some((rest, tail))) if [CASE_ITEMS.id, DISPOSAL_ITEMS.id].contains(&table) => {
            format!("{} {}", plain(rest), item(tail))
        }
        _ if [ITEMS.id, KEEPING.id, TOMBSTONES.id, DISPOSAL_BY_ITEM.id].contains(&table) => item(key),
        _ => plain(key),
    };
    format!("{} {told}", name(table))
}

/// Names as they are, with a space between them; other bytes in hexadecimal.
fn plain(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(|c| c.is_control() && c != '\0'));
    match text {
        Some(text) => text.trim_end_matches('\0').replace('\0', " "),
        None => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// What one row says, in words that a person can compare.
#[must_use]
pub fn words(table: TableId, value: &[u8]) -> String {
    fn told<V: std::fmt::Debug + for<'b> minicbor::Decode<'b, ()>>(value: &[u8]) -> String {
        minicbor::decode::<V>(value).map_or_else(|_| "bytes that are no such row".to_owned(), |row| format!("{row:?}"))
    }
    match table.0 {
        n if n == UNITS.id.0 => told::<KeptUnit>(value),
        n if n == PROFILES.id.0 => told::<KeptProfile>(value),
        n if n == ITEMS.id.0 => told::<KeptItem>(value),
        n if n == KEEPING.id.0 => told::<KeepingRow>(value),
        n if n == CASES.id.0 => told::<KeptCase>(value),
        n if n == CASE_ITEMS.id.0 => told::<BindingRow>(value),
        n if n == CASES_BY_ITEM.id.0 => told::<CaseId>(value),
        n if n == HOLDS.id.0 => told::<KeptHold>(value),
        n if n == CORRECTIONS.id.0 => told::<KeptCorrection>(value),
        n if n == PROFILE_VERSIONS.id.0 => told::<VersionsRow>(value),
        n if n == DISPOSALS.id.0 => told::<KeptBatch>(value),
        n if n == DISPOSAL_ITEMS.id.0 => told::<KeptFate>(value),
        n if n == TOMBSTONES.id.0 => told::<KeptTombstone>(value),
        n if n == DISPOSAL_BY_ITEM.id.0 => told::<BatchId>(value),
        n if n == CASE_TRANSFERS.id.0 => told::<KeptTransfer>(value),
        _ => told::<HoldId>(value),
    }
}

/// SHA-256 of the labels that an item was sealed with: of the CBOR of the map from name to value.
#[must_use]
pub fn labels_digest(labels: &std::collections::BTreeMap<String, String>) -> [u8; 32] {
    sha256(&encode(labels))
}

/// A row that counts: its stored key, which is the table's number and the key, and what counts of it.
pub type StoredRow = (Vec<u8>, Vec<u8>);

/// Up to `limit` rows that count, with stored keys (table, then key) behind `after`.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn page(rows: &(impl Rows + ?Sized), after: &[u8], limit: usize) -> Result<Vec<StoredRow>, RowError> {
    let mut found = Vec::new();
    let mut tables = TABLES;
    tables.sort_unstable();
    let (first, mut last) = match after.split_first() {
        Some((table, key)) => (TableId(*table), Some(key.to_vec())),
        None => (TableId(0), None),
    };
    for table in tables.into_iter().filter(|table| *table >= first) {
        let mut behind = last.take().filter(|_| table == first);
        while found.len() < limit {
            let from = behind.as_ref().map_or_else(Vec::new, |key| [key.as_slice(), &[0]].concat());
            let stored = rows.scan(table, &from, std::ops::Bound::Unbounded, limit - found.len())?;
            let Some((newest, _)) = stored.last() else { break };
            behind = Some(newest.clone());
            for (key, value) in stored {
                if let Some(kept) = of_row(table, &value)? {
                    found.push(([&[table.0], key.as_slice()].concat(), kept));
                }
            }
        }
    }
    Ok(found)
}

const fn of<K, V, S>(table: &Table<K, S>) -> Table<K, V>
where
    K: strongroom_types::rows::Key,
    V: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    Table::new(table.id.0, table.name)
}

fn unit(row: &UnitRow) -> KeptUnit {
    KeptUnit { profile: row.profile.clone(), ended: row.ended.clone() }
}

fn profile(row: &ProfileRow) -> KeptProfile {
    KeptProfile { text: sha256(row.toml.as_bytes()), seq: row.seq }
}

fn item(row: &ItemRow) -> KeptItem {
    let mut labels = Vec::new();
    for (name, values) in &row.labels {
        let later = values.iter().filter(|value| value.seq != row.seq);
        labels.extend(later.map(|value| KeptLabel { seq: value.seq, name: name.clone(), value: value.value.clone() }));
    }
    labels.sort_by_key(|label| label.seq);
    let first = row.labels.iter().filter_map(|(name, values)| {
        let first = values.iter().find(|value| value.seq == row.seq)?;
        Some((name.clone(), first.value.clone()))
    });
    KeptItem {
        retention: row.retention.clone(),
        seq: row.seq,
        sealed_at: row.sealed_at,
        unit: row.description.unit.clone(),
        device: row.description.device.clone(),
        activity: row.description.activity.clone(),
        recorded_start: row.description.recorded_start,
        recorded_end: row.description.recorded_end,
        first_labels: labels_digest(&first.collect()),
        labels,
        quarantined: row.quarantined,
    }
}

fn case(row: &CaseRow) -> KeptCase {
    KeptCase { seq: row.seq, items: row.items, state: row.state.clone(), archives: row.archives.clone() }
}

fn hold(row: &HoldRow) -> KeptHold {
    let mut queries: Vec<String> = Vec::new();
    for query in row.queries.iter().map(hold::told) {
        if !queries.contains(&query) {
            queries.push(query);
        }
    }
    KeptHold {
        authority: row.authority.clone(),
        seq: row.seq,
        items: row.items,
        cases: row.cases.clone(),
        queries,
        state: match &row.state {
            HoldState::Standing => KeptHoldState::Standing,
            HoldState::Releasing(first, _) => KeptHoldState::Releasing(first.seq),
            HoldState::Released(first, second, _) => KeptHoldState::Released(first.seq, second.seq),
        },
    }
}

/// None for outages: what the clock is compared with keeps no item, and ends the keeping of none.
fn correction(row: CorrectionRow) -> Option<KeptCorrection> {
    match row.mistake {
        Mistake::Outages(_) => return None,
        Mistake::Extension(..) | Mistake::Trigger(..) | Mistake::Binding(..) | Mistake::Archive(..) => {}
    }
    Some(KeptCorrection {
        mistake: row.mistake,
        proposed: row.proposed.seq,
        approved: row.approved.as_ref().map(|approved| approved.step.seq),
        in_force: row.approved.as_ref().map(|approved| approved.in_force),
        withdrawn: row.withdrawn.map(|step| step.seq),
    })
}

fn batch(row: &BatchRow) -> KeptBatch {
    KeptBatch {
        seq: row.seq,
        not_before: row.not_before,
        items: u64::from(row.items),
        state: row.state.name().to_owned(),
        approvals: row.approvals.iter().map(|step| step.seq).collect(),
        executed: row.execution.as_ref().map(|execution| execution.step.seq),
    }
}

fn fate(row: &BatchItemRow) -> KeptFate {
    let fate = match &row.fate {
        ItemFate::Listed => "listed",
        ItemFate::Disposed => "disposed",
        ItemFate::Dropped(refusal) => refusal.reason.name(),
    };
    KeptFate { fate: fate.to_owned() }
}

fn tombstone(row: &Tombstone) -> Option<KeptTombstone> {
    match row {
        Tombstone::Disposed(item) => Some(KeptTombstone { batch: Some(item.batch), seq: item.disposed_by }),
        Tombstone::Removed(item) => Some(KeptTombstone { batch: None, seq: item.removed_by }),
        // An upload that was never sealed was never kept.
        Tombstone::Expired(..) => None,
    }
}

fn transfer(row: &TransferRow) -> Option<KeptTransfer> {
    let receipt = row.state.receipt()?;
    Some(KeptTransfer { to: row.to.clone(), profile: receipt.profile.clone(), version: receipt.version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_that_counts_has_a_name() {
        for table in TABLES {
            assert_ne!(name(table), "other", "{table:?}");
        }
        assert_eq!(name(tables::REQUESTS.id), "other");
    }
}
