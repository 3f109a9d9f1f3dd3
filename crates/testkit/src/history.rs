//! What a cluster has acknowledged, and the comparison with what it says later: nothing lost, nothing changed, nothing
//! twice, the ledger without a gap and the same as before, grants used once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cluster::Cluster;
use crate::random::Random;

/// Every promise since the cluster was made.
#[derive(Debug, Default)]
pub(crate) struct History {
    items: BTreeMap<String, Kept>,
    checkpoints: usize,
    /// Records up to here have been looked at.
    records: u64,
    seals: BTreeSet<String>,
    /// Copy-outs begun, by request.
    begun: BTreeMap<String, u64>,
}

/// An item with a receipt.
#[derive(Clone, Debug)]
struct Kept {
    file: PathBuf,
    record: u64,
    blake3: String,
}

impl History {
    /// Remembers what `ingest` printed for a file; the same file always answers with the same item.
    pub(crate) fn acknowledge(&mut self, file: &Path, item: &Value) {
        let text = |name: &str| item[name].as_str().expect("a text").to_owned();
        let kept =
            Kept { file: file.to_owned(), record: item["record"].as_u64().expect("a record"), blake3: text("blake3") };
        let before = self.items.insert(text("item"), kept.clone());
        assert!(before.is_none_or(|before| before.file == file && before.record == kept.record), "{item:#}");
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// The items of these files and `others` more.
    pub(crate) fn some(&self, files: &[PathBuf], others: usize, random: &mut Random) -> Vec<String> {
        let mut chosen: BTreeSet<&String> =
            self.items.iter().filter(|(_, kept)| files.contains(&kept.file)).map(|(item, _)| item).collect();
        let all: Vec<&String> = self.items.keys().collect();
        chosen.extend((0..others.min(all.len())).map(|_| *random.one_of(&all)));
        chosen.into_iter().cloned().collect()
    }

    /// Compares files of a copy-out, as it printed them, with what was ingested.
    pub(crate) fn compare_copies(&self, copied: &Value, expected: &[String]) {
        let copied = copied["items"].as_array().expect("items");
        let found: BTreeSet<&str> = copied.iter().map(|item| item["item"].as_str().expect("an item")).collect();
        assert_eq!(found, expected.iter().map(String::as_str).collect(), "other items came back");
        for item in copied {
            let original = &self.items[item["item"].as_str().expect("an item")].file;
            let copy = fs::read(item["path"].as_str().expect("a path")).expect("reads a copy");
            assert!(copy == fs::read(original).expect("reads"), "{} came back different", original.display());
        }
    }

    /// Every item is listed once, with its digest.
    pub(crate) fn check_catalogue(&self, cluster: &Cluster) {
        let listed = cluster.json(&["item", "list", "--limit", "100000"]);
        let mut by_digest = BTreeMap::new();
        let mut found = BTreeMap::new();
        for item in listed.as_array().expect("items") {
            let text = |name: &str| item[name].as_str().expect("a text").to_owned();
            let twin = by_digest.insert(text("blake3"), text("item"));
            assert!(twin.is_none(), "one original, two items: {twin:?} and {item:#}");
            found.insert(text("item"), text("blake3"));
        }
        for (item, kept) in &self.items {
            assert_eq!(found.get(item), Some(&kept.blake3), "item {item} of {}", kept.file.display());
        }
    }

    /// The receipts of these files verify offline.
    pub(crate) fn check_receipts(&self, cluster: &Cluster, files: &[PathBuf]) {
        for file in files {
            let verified = cluster.json(&["verify", file.to_str().expect("UTF-8")]);
            assert_eq!(verified[0]["verified"], true, "{}: {verified:#}", file.display());
            assert_eq!(verified[0]["trust"], "trusted", "{}: {verified:#}", file.display());
        }
    }

    /// The ledger begins with what it was, has no gap, holds every seal, and no grant was used more than once.
    pub(crate) fn check_ledger(&mut self, cluster: &Cluster) {
        let newest = cluster.path(&format!("checkpoint-{}", self.checkpoints));
        let mut words = vec!["ledger".to_owned(), "checkpoint".to_owned(), "--to".to_owned()];
        words.push(newest.display().to_string());
        if let Some(before) = self.checkpoints.checked_sub(1) {
            let before = cluster.path(&format!("checkpoint-{before}"));
            words.extend(["--since".to_owned(), before.display().to_string()]);
        }
        let checkpoint = cluster.json(&words.iter().map(String::as_str).collect::<Vec<_>>());
        self.checkpoints += 1;
        let size = checkpoint["size"].as_u64().expect("a size");
        let (from, limit) = (self.records.to_string(), (size - self.records).max(1).to_string());
        let records = cluster.json(&["ledger", "records", "--from", &from, "--limit", &limit]);
        for record in
            records.as_array().expect("records").iter().take_while(|record| record["seq"].as_u64() < Some(size))
        {
            assert_eq!(record["seq"].as_u64(), Some(self.records), "a gap in the ledger");
            self.records += 1;
            self.look_at(record);
        }
        assert_eq!(self.records, size, "records under the checkpoint are missing");
        for (item, kept) in &self.items {
            assert!(self.seals.contains(&format!("{item} {}", kept.record)), "no record {} of {item}", kept.record);
        }
    }

    fn look_at(&mut self, record: &Value) {
        if record["result"] != "done" {
            return;
        }
        let fact = |name: &str| record["facts"][name].as_str().unwrap_or_default().to_owned();
        match record["act"].as_str() {
            Some("item.seal") => {
                let seal = format!("{} {}", fact("items"), record["seq"]);
                assert!(self.seals.insert(seal), "sealed twice: {record:#}");
            }
            Some("copy-out.begin") => {
                let uses = self.begun.entry(fact("request")).or_default();
                *uses += 1;
                assert!(
                    !fact("request").is_empty() && *uses == 1,
                    "a grant of one use was used {uses} times: {record:#}"
                );
            }
            _ => (),
        }
    }
}
