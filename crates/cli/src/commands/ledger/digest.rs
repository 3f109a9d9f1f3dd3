//! `strongroom ledger digest`: the hourly digests. Each is shown only after its record was found to open its leaf.

use clap::Subcommand;
use serde_json::{Value, json};
use strongroom_proto::ledger::RetentionDigest;
use strongroom_types::RecordSeq;

use super::{Auditor, check_record};
use crate::failure::Failure;
use crate::session::Globals;
use crate::shown;

/// Which digests.
#[derive(Debug, Subcommand)]
pub(crate) enum Digest {
    /// The newest ones, newest first
    #[command(after_help = "Example:\n  strongroom ledger digest list --limit 24")]
    List {
        /// At most so many
        #[arg(long, default_value_t = 24, value_name = "COUNT")]
        limit: usize,
    },
    /// The newest one
    Latest,
}

impl Digest {
    /// Shows them.
    pub(super) async fn run(self, globals: &Globals, auditor: &Auditor) -> Result<(), Failure> {
        match self {
            Self::List { limit } => list(globals, auditor, limit).await,
            Self::Latest => {
                let newest = auditor.client.list_digests(None, 1).await?;
                let newest = newest.first().ok_or_else(|| {
                    Failure::failed("no digest was recorded yet")
                        .hint("the first tick of the compliance clock records one")
                })?;
                check(auditor, newest).await?;
                globals.output().show(&told(newest), |page| {
                    page.facts(&[
                        ("record", format!("#{}", newest.seq)),
                        ("when", shown::time(newest.wall_unix_ms)),
                        ("compliance clock", shown::time(newest.clock_unix_ms)),
                        ("rows", newest.rows.to_string()),
                        ("digest", hex::encode(&newest.digest)),
                    ]);
                })
            }
        }
    }
}

async fn list(globals: &Globals, auditor: &Auditor, limit: usize) -> Result<(), Failure> {
    let mut digests: Vec<RetentionDigest> = Vec::new();
    while digests.len() < limit {
        let size = u32::try_from((limit - digests.len()).min(500)).unwrap_or(500);
        let before = digests.last().map(|last| RecordSeq(last.seq));
        let page = auditor.client.list_digests(before, size).await?;
        if page.is_empty() {
            break;
        }
        digests.extend(page);
    }
    let row = |digest: &RetentionDigest| {
        vec![
            format!("#{}", digest.seq),
            shown::time(digest.wall_unix_ms),
            digest.rows.to_string(),
            hex::encode(&digest.digest),
        ]
    };
    let rows: Vec<_> = digests.iter().map(row).collect();
    globals.output().list(&digests.iter().map(told).collect(), &["record", "when", "rows", "digest"], &rows)
}

/// Compares what the node says with the record itself, where the caller may read records.
async fn check(auditor: &Auditor, digest: &RetentionDigest) -> Result<(), Failure> {
    let page = match auditor.client.list_records(RecordSeq(digest.seq), 1).await {
        Ok(page) => page,
        // Whoever may only prove sees the digest all the same: `ledger prove` shows its record's leaf.
        Err(_) => return Ok(()),
    };
    let record = page.records.first().ok_or_else(|| Failure::failed("the node has no record of its digest"))?;
    check_record(record)?;
    let said = record.facts.get("digest").map(String::as_str);
    if record.seq == digest.seq && record.act == "ledger.digest" && said == Some(&hex::encode(&digest.digest)) {
        Ok(())
    } else {
        Err(Failure::failed(format!("record #{} does not say this digest", digest.seq)))
    }
}

fn told(digest: &RetentionDigest) -> Value {
    json!({
        "seq": digest.seq,
        "when": shown::time(digest.wall_unix_ms),
        "clock": shown::time(digest.clock_unix_ms),
        "rows": digest.rows,
        "digest": hex::encode(&digest.digest),
    })
}
