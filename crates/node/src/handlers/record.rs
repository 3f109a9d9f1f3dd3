//! Records as people read them. The exact bytes and the salt go along, so that nobody has to believe the words.

use std::collections::BTreeMap;

use bytes::Bytes;
use strongroom_custody::{Record, Stamp};
use strongroom_ledger::tree::{self, StoredRecord};
use strongroom_proto::{catalog, ledger};
use strongroom_types::{
    RecordSeq,
    rows::{RowError, Rows},
};

/// A record of the ledger, decoded; the record itself may have been erased.
pub(super) struct Shown {
    seq: RecordSeq,
    decoded: Option<Record>,
    stored: Option<StoredRecord>,
}

impl Shown {
    pub(super) fn read(rows: &dyn Rows, seq: RecordSeq) -> Result<Self, RowError> {
        let stored = tree::record(rows, seq)?;
        let decode = |stored: &StoredRecord| {
            Record::from_bytes(&stored.record)
                .map_err(|error| RowError::Corrupt { table: "records", detail: format!("{seq}: {error}") })
        };
        Ok(Self { seq, decoded: stored.as_ref().map(decode).transpose()?, stored })
    }

    pub(super) fn of_item(&self) -> catalog::Record {
        catalog::Record {
            seq: self.seq.0,
            wall_unix_ms: self.wall_unix_ms(),
            actor: self.actor(),
            act: self.act(),
            result: self.result(),
            rule: self.rule(),
            facts: self.facts(),
            record: self.bytes(),
            salt: self.salt(),
        }
    }

    pub(super) fn of_ledger(&self, leaf: Vec<u8>) -> ledger::LedgerRecord {
        ledger::LedgerRecord {
            seq: self.seq.0,
            wall_unix_ms: self.wall_unix_ms(),
            actor: self.actor(),
            act: self.act(),
            result: self.result(),
            rule: self.rule(),
            facts: self.facts(),
            record: self.bytes(),
            salt: self.salt(),
            leaf: leaf.into(),
        }
    }

    fn wall_unix_ms(&self) -> i64 {
        self.decoded.as_ref().map_or(0, |record| record.wall.0)
    }

    /// Empty for the cluster itself; a key that nobody is registered for is shown as such.
    fn actor(&self) -> String {
        match self.decoded.as_ref().map(|record| &record.stamp) {
            Some(Stamp { principal: Some(principal), .. }) => principal.to_string(),
            Some(Stamp { principal: None, key: Some(key), .. }) => format!("key {}", key.short()),
            Some(Stamp { principal: None, key: None, .. }) | None => String::new(),
        }
    }

    fn act(&self) -> String {
        self.decoded.as_ref().map_or("erased", |record| record.act.name()).to_owned()
    }

    fn result(&self) -> String {
        self.decoded.as_ref().and_then(|record| record.refused).map_or("done", |reason| reason.name()).to_owned()
    }

    fn rule(&self) -> String {
        self.decoded.as_ref().map_or_else(String::new, |record| record.rule.clone())
    }

    fn facts(&self) -> BTreeMap<String, String> {
        let Some(record) = &self.decoded else { return BTreeMap::new() };
        let mut facts: BTreeMap<_, _> =
            record.facts.iter().map(|(fact, value)| (fact.name().to_owned(), value.to_string())).collect();
        if let Some(node) = record.stamp.node {
            facts.entry("by_node".to_owned()).or_insert_with(|| node.to_string());
        }
        if !record.items.is_empty() {
            let items: Vec<_> = record.items.iter().map(ToString::to_string).collect();
            facts.insert("items".to_owned(), items.join(" "));
        }
        facts
    }

    fn bytes(&self) -> Bytes {
        self.stored.as_ref().map_or_else(Bytes::new, |stored| Bytes::copy_from_slice(&stored.record))
    }

    fn salt(&self) -> Bytes {
        self.stored.as_ref().map_or_else(Bytes::new, |stored| Bytes::copy_from_slice(stored.salt.as_bytes()))
    }
}
