//! Removals 移交涉密载体: the copies that the ledger tells of, and certificates, from the rows of one replica.

use std::collections::BTreeSet;

use strongroom_custody::{
    Act, Fact, Record,
    erasure::{self, PermitKind},
    removal::{self as removals, CopyAt, Obligation, RemovalState, Statement},
    tables::{RECORDS_BY_ITEM, REQUESTS, newest_first},
};
use strongroom_ledger::tree;
use strongroom_package::{
    FactsError, RemovalCertificate, RemovalRecords,
    removal::{CertifiedObligation, RemovalExecution, RemovalFacts, RemovalStep, RemovedItem},
};
use strongroom_types::{
    ItemId, Reason, RecordSeq, Refusal, RemovalId, RequestId, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::{
    catalog::{broken, refusal_of},
    disposal,
    machine::CHECKPOINT,
    receipt::{CustodyRecords, evidence},
};

/// Copies of a removal's items that the ledger tells of, oldest first: the spool of the station that sent each, what was
/// handed out, and what another removal put on a carrier. What it cannot know, such as backups, people tell.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn copies(rows: &dyn Rows, id: RemovalId) -> Result<Vec<CopyAt>, RowError> {
    let items: Vec<ItemId> = removals::items(rows, id)?.into_iter().map(|(item, _)| item).collect();
    let mut seqs = BTreeSet::new();
    for item in &items {
        let mut after = None::<Vec<u8>>;
        loop {
            let page = RECORDS_BY_ITEM.scan(rows, item, after.as_deref(), limits::PAGE_ROWS_MAX)?;
            let Some((last, ())) = page.last() else { break };
            after = Some(last.clone());
            for (key, ()) in &page {
                let seq = key.last_chunk().map(|seq| RecordSeq(u64::from_be_bytes(*seq)));
                seqs.insert(seq.ok_or_else(|| corrupt("a key is too short"))?);
            }
        }
    }
    let (mut found, mut places) = (Vec::new(), BTreeSet::new());
    for seq in seqs {
        let Some(stored) = tree::record(rows, seq).map_err(|error| corrupt(&error.to_string()))? else { continue };
        let record = Record::from_bytes(&stored.record).map_err(|error| corrupt(&error.to_string()))?;
        if let Some(copy) = told_by(rows, &record, seq, id)?
            && places.insert(copy.place.clone())
        {
            found.push(copy);
        }
    }
    Ok(found)
}

/// The copy that a record tells of.
fn told_by(rows: &dyn Rows, record: &Record, seq: RecordSeq, own: RemovalId) -> Result<Option<CopyAt>, RowError> {
    if record.refused.is_some() {
        return Ok(None);
    }
    let who = record.stamp.principal.as_ref().map(ToString::to_string).unwrap_or_default();
    let copy = |place: String, keeper: String| Ok(Some(CopyAt { place, keeper, seq: Some(seq) }));
    match record.act {
        Act::ItemSeal => {
            let device = record.text(Fact::Device).unwrap_or_default();
            copy(format!("spool of station {who} and memory of device {device}"), who)
        }
        Act::CopyOutBegin => {
            let removal = record.text(Fact::Removal).and_then(|id| id.parse::<RemovalId>().ok());
            if let Some(other) = removal.filter(|id| *id != own) {
                let text = |fact| record.text(fact).unwrap_or_default().to_owned();
                return copy(format!("carrier {} of {other}", text(Fact::Carrier)), text(Fact::Authority));
            }
            let Some(request) = record.text(Fact::Request).and_then(|id| id.parse::<RequestId>().ok()) else {
                return Ok(None);
            };
            let Some(row) = REQUESTS.read(rows, &newest_first(request.0))? else { return Ok(None) };
            let named = |names: &[&str]| {
                names.iter().find_map(|name| row.fields.get(*name)).filter(|text| !text.trim().is_empty()).cloned()
            };
            let to = named(&["receiving_org", "viewer_org", "receiver"]);
            let disc = named(&["disc_no"]).map(|disc| format!(", disc {disc}")).unwrap_or_default();
            let place = format!("copied out by {who} under {request} ({}){disc}", row.act.name());
            copy(place, to.unwrap_or_else(|| row.requester.to_string()))
        }
        _ => Ok(None),
    }
}

fn corrupt(detail: &str) -> RowError {
    RowError::Corrupt { table: RECORDS_BY_ITEM.name, detail: detail.to_owned() }
}

/// The certificate of a closed removal. It is verified before it is given out.
///
/// # Errors
/// `DISPOSAL_INCOMPLETE` where it is not closed, `RECEIPT_PENDING` where its last record is not cosigned yet, or a fault of
/// ours.
pub fn certificate(rows: &dyn Rows, id: RemovalId) -> Result<Vec<u8>, Refusal> {
    let row = removals::read(rows, id).map_err(refusal_of)?;
    let (RemovalState::Closed, Some(execution), Some(signed)) = (&row.state, &row.execution, &row.signed) else {
        return Err(Refusal::new(
            Reason::DisposalIncomplete,
            "B10",
            format!("removal {id} is {}: its certificate comes when it is closed", row.state.name()),
            format!("missing: {}", row.still_missing().join(", ")),
        ));
    };
    let mut seqs = vec![row.seq, execution.step.seq, signed.step.seq];
    seqs.extend(row.approvals.iter().chain(&execution.signatures).map(|step| step.seq));
    seqs.extend(disposal::parts(rows, removals::number(id))?);
    let copies = removals::copies(rows, id).map_err(|error| broken(&error))?;
    seqs.extend(copies.into_iter().filter_map(|copy| copy.destroyed).map(|destroyed| destroyed.step.seq));
    seqs.sort_unstable();
    seqs.dedup();
    let last = seqs.last().map_or(0, |seq| seq.0);
    let checkpoint = CHECKPOINT.read(rows, &()).map_err(|error| broken(&error))?;
    let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.size > last) else {
        return Err(Refusal::new(
            Reason::ReceiptPending,
            "C3",
            format!("removal {id} is closed; its last record is not yet cosigned by a majority of the voters"),
            "ask again in a moment",
        ));
    };
    let proved = |seq| evidence(rows, seq, checkpoint.size, &checkpoint.note);
    let records = seqs.into_iter().map(proved).collect::<Result<_, _>>()?;
    let items = removals::items(rows, id).map_err(|error| broken(&error))?;
    let items = items
        .into_iter()
        .map(|(item, row)| RemovedItem { item, obligations: row.obligations.into_iter().map(certified).collect() });
    let issued = RemovalCertificate::issue(id, items.collect(), records, &CustodyRecords);
    Ok(issued.map_err(|error| broken(&error))?.to_bytes())
}

fn certified(one: Obligation) -> CertifiedObligation {
    CertifiedObligation {
        by: one.by,
        rule: one.rule,
        text_zh: one.text_zh,
        text_en: one.text_en,
        until_unix_ms: one.until.map(|until| until.0),
        record: one.seq.0,
    }
}

fn as_stored(one: &CertifiedObligation) -> Obligation {
    Obligation {
        by: one.by.clone(),
        rule: one.rule.clone(),
        text_zh: one.text_zh.clone(),
        text_en: one.text_en.clone(),
        until: one.until_unix_ms.map(UnixMillis),
        seq: RecordSeq(one.record),
    }
}

impl RemovalRecords for CustodyRecords {
    fn removal(&self, bytes: &[u8]) -> Result<RemovalFacts, FactsError> {
        let record = Record::from_bytes(bytes).map_err(|error| FactsError(error.to_string()))?;
        if let Some(reason) = record.refused {
            return Err(FactsError(format!("the record is of a refusal: {reason}")));
        }
        let removal = record.text(Fact::Removal).and_then(|id| id.parse().ok());
        let step = step(&record, bytes, removal)?;
        Ok(RemovalFacts { removal, by: record.stamp.principal, at: record.wall, step })
    }

    fn obligations(&self, items: &[RemovedItem]) -> [u8; 32] {
        removals::obligations_digest(
            items.iter().map(|item| (item.item, item.obligations.iter().map(as_stored).collect())),
        )
    }
}

fn step(record: &Record, bytes: &[u8], removal: Option<RemovalId>) -> Result<RemovalStep, FactsError> {
    let missing = |what: &str| FactsError(format!("the record does not name {what}"));
    let bytes_of = |fact: Fact| record.bytes(fact).map(<[u8]>::to_vec).ok_or_else(|| missing(fact.name()));
    // Every removal but what is lost has one, and every record of it says which.
    if removal.is_none() && record.act != Act::DisposalCloseLost {
        return Err(missing("a removal"));
    }
    Ok(match record.act {
        Act::SecretPropose => RemovalStep::Proposed { receiver_key: bytes_of(Fact::ReceiverKey)? },
        Act::SecretApprove => {
            let role = record.text(Fact::Role).ok_or_else(|| missing("a role"))?;
            RemovalStep::Approved { role: role.to_owned() }
        }
        Act::SecretSign => RemovalStep::SignedFor { statement: bytes_of(Fact::Statement)? },
        Act::SecretExecute => RemovalStep::Executed(Box::new(executed(record, bytes)?)),
        Act::SecretCopy => {
            RemovalStep::CopyDestroyed { copy: record.number(Fact::Entry).ok_or_else(|| missing("a copy"))? }
        }
        Act::DisposalErase | Act::DisposalAttest | Act::DisposalCloseLost | Act::DisposalSign => {
            RemovalStep::Part(disposal::step(record, removal.map(removals::number))?)
        }
        other => return Err(FactsError(format!("the record is of {}, no step of a removal", other.name()))),
    })
}

/// Reads an execution, where it is a permit: the receiver signed for exactly what goes.
fn executed(record: &Record, bytes: &[u8]) -> Result<RemovalExecution, FactsError> {
    let missing = |what: &str| FactsError(format!("the record does not name {what}"));
    let number = |fact: Fact| record.number(fact).ok_or_else(|| missing(fact.name()));
    let permitted = erasure::permitted(bytes).map_err(|error| FactsError(error.to_string()))?;
    if permitted.kind != PermitKind::Removal {
        return Err(FactsError(format!("the record permits a {}", permitted.kind.name())));
    }
    let text = record.bytes(Fact::Statement).ok_or_else(|| missing("a statement"))?;
    let statement = Statement::parse_canonical(text).map_err(|error| FactsError(error.to_string()))?;
    let obligations = record.bytes(Fact::Obligations).and_then(|digest| digest.try_into().ok());
    Ok(RemovalExecution {
        cluster: permitted.cluster,
        statement: text.to_vec(),
        receiver_key: record.bytes(Fact::ReceiverKey).ok_or_else(|| missing("a key"))?.to_vec(),
        items: statement.items.iter().map(|one| (one.item, one.size_bytes, one.sha256, one.blake3)).collect(),
        carrier: statement.carrier,
        organ: statement.organ,
        receiver: statement.receiver,
        obligations: obligations.ok_or_else(|| missing("what follows the items"))?,
        supervisors: record.text(Fact::Supervisors).ok_or_else(|| missing("supervisors"))?.to_owned(),
        disks: number(Fact::DiskCount)?,
        replicas: number(Fact::ReplicaCount)?,
        copies: number(Fact::Count)?,
    })
}
