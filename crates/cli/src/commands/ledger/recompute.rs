//! `strongroom ledger recompute`: follows exported records from the first to the last, and needs no server.
//!
//! Every record has to open its leaf, the leaves have to be those of the checkpoint, and what the records come to has to have
//! the digest that each hourly record says. Rows of a node, where they are given, have to be the same one by one.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use strongroom_custody::{
    Record,
    replay::{Compared, Replay, RowDifference},
    retained,
};
use strongroom_ledger::{Frontier, Policy, SignedCheckpoint, TreeHead};
use strongroom_proto::ledger::LedgerRecord;
use strongroom_types::{RecordSeq, rows::TableId};

use super::check_record;
use super::export::{HeadLine, RecordLine, RowsLine};
use crate::failure::Failure;
use crate::receipts;
use crate::session::Globals;

/// What to recompute from.
#[derive(Debug, Args)]
#[command(after_help = "Example, by an auditor who keeps the policy from elsewhere:\n  \
                        strongroom ledger rows --to rows.jsonl\n  \
                        strongroom ledger export --to records.jsonl\n  \
                        strongroom ledger recompute records.jsonl --rows rows.jsonl --policy policy.tlog-policy")]
pub(crate) struct Recompute {
    /// Records, as `ledger export` wrote them
    #[arg(value_name = "FILE")]
    records: PathBuf,
    /// Rows of a node to compare with, as `ledger rows` wrote them
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// Policy, got from elsewhere. Without one, the context's; without either, the records are only found to agree with
    /// themselves
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// What came out where nothing differs.
struct Found {
    records: u64,
    digests: Vec<Compared>,
    rows: u64,
    compared: Option<u64>,
    checkpoint: u64,
    trusted: bool,
}

impl Recompute {
    /// Does it.
    pub(super) fn run(self, globals: &Globals) -> Result<(), Failure> {
        let policy = match (&self.policy, &globals.context) {
            (Some(path), _) => Some(receipts::read_policy(path)?),
            (None, Some(_)) => receipts::policy_of(&globals.context()?)?,
            (None, None) => None,
        };
        let found = recompute(&self.records, self.rows.as_deref(), policy.as_deref())?;
        let output = globals.output();
        output.show(&told(&found), |page| {
            let trust = if found.trusted { "trusted" } else { "self-consistent" };
            page.facts(&[
                ("records", found.records.to_string()),
                ("checkpoint", format!("{} ({trust})", found.checkpoint)),
                ("digests", found.digests.len().to_string()),
                ("rows", found.rows.to_string()),
                ("rows compared", found.compared.map_or_else(String::new, |count| count.to_string())),
            ]);
            page.line(output.pick(
                "Every digest is what the records before it come to.",
                "每一个保存状态摘要均与其之前的全部条目推算结果一致。",
            ));
            if found.compared.is_some() {
                page.line(output.pick(
                    "Every row of the node is what the records come to.",
                    "节点上每一行均与全部条目推算结果一致。",
                ));
            }
        })
    }
}

/// The audit under way.
struct Audit<'a> {
    records: JsonLines<'a>,
    replay: Replay,
    frontier: Frontier,
    next: u64,
    digests: Vec<Compared>,
    /// What the checkpoint says, and whether a policy from elsewhere confirms it.
    head: TreeHead,
    trusted: bool,
}

fn recompute(records: &Path, rows: Option<&Path>, policy: Option<&str>) -> Result<Found, Failure> {
    let mut audit = Audit::begin(records, policy)?;
    let mut compared = None;
    if let Some(path) = rows {
        let mut pages = JsonLines::open(path)?;
        let mut count = 0;
        while let Some(page) = pages.next::<RowsLine>()? {
            count += audit.compare(&page)?;
        }
        compared = Some(count);
    }
    while audit.follow_next()? {}
    if audit.next < audit.head.size {
        return Err(Failure::failed(format!(
            "the checkpoint covers {} records, and there are {}: the end is missing",
            audit.head.size, audit.next
        )));
    }
    Ok(Found {
        records: audit.next,
        rows: audit.replay.sum().rows,
        compared,
        checkpoint: audit.head.size,
        trusted: audit.trusted,
        digests: audit.digests,
    })
}

impl<'a> Audit<'a> {
    fn begin(path: &'a Path, policy: Option<&str>) -> Result<Self, Failure> {
        let mut records = JsonLines::open(path)?;
        let head: HeadLine = records.next()?.ok_or_else(|| Failure::failed(format!("{} is empty", path.display())))?;
        let unreadable = |error: &dyn std::error::Error| Failure::caused_by("could not verify the checkpoint", error);
        let head = match policy {
            Some(policy) => {
                let policy = Policy::parse_canonical(policy).map_err(|error| unreadable(&error))?;
                policy.verify(head.checkpoint.as_bytes()).map_err(|error| unreadable(&error))?.head()
            }
            None => {
                let signed = SignedCheckpoint::parse_canonical(head.checkpoint.as_bytes());
                signed.map_err(|error| unreadable(&error))?.checkpoint().head()
            }
        };
        let (replay, frontier) = (Replay::default(), Frontier::default());
        Ok(Self { records, replay, frontier, next: 0, digests: Vec::new(), head, trusted: policy.is_some() })
    }

    /// Follows one record; false where there is none left.
    fn follow_next(&mut self) -> Result<bool, Failure> {
        self.check_head()?;
        let Some(line) = self.records.next::<RecordLine>()? else { return Ok(false) };
        if line.seq != self.next {
            return Err(Failure::failed(format!("record #{} is missing: #{} comes instead", self.next, line.seq)));
        }
        let bytes = |text: &str| {
            let decoded = hex::decode(text);
            decoded.map_err(|error| Failure::caused_by(format!("could not read record #{}", line.seq), &error))
        };
        let record = LedgerRecord {
            seq: line.seq,
            leaf: bytes(&line.leaf)?.into(),
            record: bytes(&line.record)?.into(),
            salt: bytes(&line.salt)?.into(),
            ..LedgerRecord::default()
        };
        let leaf = check_record(&record)?;
        if record.record.is_empty() {
            return Err(Failure::failed(format!(
                "record #{} was erased: what decides retention cannot be followed past it",
                line.seq
            )));
        }
        self.frontier.push(leaf.hash());
        let record = Record::from_bytes(&record.record)
            .map_err(|error| Failure::caused_by(format!("could not read record #{}", line.seq), &error))?;
        let compared = self
            .replay
            .follow(RecordSeq(line.seq), leaf.clock, &record)
            .map_err(|error| Failure::caused_by("could not recompute", &error))?;
        if let Some(compared) = compared {
            if !compared.agrees() {
                return Err(self.differs(&compared));
            }
            self.digests.push(compared);
        }
        self.next += 1;
        Ok(true)
    }

    /// The leaves so far have to be those of the checkpoint, where it is of so many.
    fn check_head(&self) -> Result<(), Failure> {
        let ours = self.frontier.head();
        if self.next == self.head.size && ours.root != self.head.root {
            return Err(Failure::failed(format!(
                "the first {} records are not those of the checkpoint: its root is {}, theirs {}",
                self.next, self.head.root, ours.root
            )));
        }
        Ok(())
    }

    /// Compares one page of rows with what as many records as it is of come to; how many rows it has.
    fn compare(&mut self, page: &RowsLine) -> Result<u64, Failure> {
        while self.next < page.ledger_size && self.follow_next()? {}
        if self.next != page.ledger_size {
            return Err(Failure::failed(format!(
                "the rows are of {} records, and the records end with {}",
                page.ledger_size, self.next
            ))
            .hint("export the records after the rows: `strongroom ledger export`"));
        }
        let bytes =
            |text: &str| hex::decode(text).map_err(|error| Failure::caused_by("could not read the rows", &error));
        let (after, last) = (bytes(&page.after)?, page.last.as_deref().map(bytes).transpose()?);
        let rows = page.rows.iter().map(|(key, value)| Ok((bytes(key)?, bytes(value)?)));
        let rows = rows.collect::<Result<Vec<_>, Failure>>()?;
        match self.replay.first_difference(&after, last.as_deref(), &rows) {
            None => Ok(rows.len() as u64),
            Some(difference) => Err(row_differs(&difference, self.next)),
        }
    }

    fn differs(&self, compared: &Compared) -> Failure {
        let since = self.digests.last().map_or_else(
            || "it is the first digest".to_owned(),
            |agreed| format!("that of record #{} agrees", agreed.seq.0),
        );
        Failure::failed(format!(
            "the digest of record #{} is not what the records before it come to; {since}. It says {} rows, {}; they come to \
             {}, {}",
            compared.seq.0,
            compared.recorded_rows,
            hex::encode(compared.recorded),
            compared.replayed_rows,
            hex::encode(compared.replayed)
        ))
        .hint("take the rows of each node and compare them: `strongroom ledger rows`, then `--rows`; they name the row")
    }
}

fn row_differs(difference: &RowDifference, size: u64) -> Failure {
    let table = TableId(difference.key.first().copied().unwrap_or_default());
    let told = |value: &Option<Vec<u8>>| {
        value.as_ref().map_or_else(|| "no such row".to_owned(), |value| retained::words(table, value))
    };
    Failure::failed(format!(
        "row {} differs after {size} records. The records say: {}. The node holds: {}",
        retained::key_words(&difference.key),
        told(&difference.recorded),
        told(&difference.found)
    ))
}

fn told(found: &Found) -> Value {
    let digests = found.digests.iter().map(|compared| {
        json!({ "seq": compared.seq.0, "rows": compared.recorded_rows, "digest": hex::encode(compared.recorded) })
    });
    json!({
        "records": found.records,
        "checkpoint_size": found.checkpoint,
        "trust": if found.trusted { "trusted" } else { "self-consistent" },
        "digests": digests.collect::<Vec<_>>(),
        "rows": found.rows,
        "rows_compared": found.compared,
    })
}

/// Lines of JSON out of a file.
struct JsonLines<'a> {
    path: &'a Path,
    lines: Lines<BufReader<File>>,
    line: usize,
}

impl<'a> JsonLines<'a> {
    fn open(path: &'a Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(Failure::file("read", path))?;
        Ok(Self { path, lines: BufReader::new(file).lines(), line: 0 })
    }

    fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
        let Some(line) = self.lines.next() else { return Ok(None) };
        self.line += 1;
        let line = line.map_err(Failure::file("read", self.path))?;
        let read = serde_json::from_str(&line);
        read.map(Some).map_err(|error| {
            Failure::caused_by(format!("could not read {}, line {}", self.path.display(), self.line), &error)
        })
    }
}
