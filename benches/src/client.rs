//! A client process: does one job through the client library and prints what it took as JSON.
//!
//! Times run from the first call to the last receipt or file. Each of several clients has connections of its own and
//! begins at another node, as stations do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use strongroom_client::{Client, Context, IngestOptions, Original, ReceiptFacts};
use strongroom_engine::receipt::CustodyRecords;
use strongroom_package::verify_receipt;
use strongroom_types::{ItemId, RequestId, UnixMillis};
use tokio::task::JoinSet;

use crate::{one_worker, sys};

/// What the process is to do.
#[derive(Debug, Args)]
pub(crate) struct Job {
    /// The cluster's context file
    #[arg(long)]
    context: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Ingest every file of a folder.
    Ingest {
        #[arg(long)]
        clients: usize,
        folder: PathBuf,
    },
    /// Copy out a granted request.
    CopyOut { request: RequestId, to: PathBuf },
    /// Label an item so many times, one after the other.
    Label { item: ItemId, count: usize },
}

/// What it took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: f64,
    pub(crate) bytes: u64,
    pub(crate) items: Vec<String>,
}

pub(crate) fn run(job: Job) -> Result<()> {
    let context = Context::load(&job.context)?;
    let runtime = one_worker()?;
    let (clock, cpu) = (Instant::now(), sys::process_cpu());
    let (bytes, items) = match job.what {
        What::Ingest { clients, folder } => runtime.block_on(ingest(&context, clients, &folder))?,
        What::CopyOut { request, to } => runtime.block_on(copy_out(&context, request, &to))?,
        What::Label { item, count } => runtime.block_on(label(&context, item, count))?,
    };
    let took = Took { wall_s: seconds(clock.elapsed()), cpu_s: seconds(sys::process_cpu() - cpu), bytes, items };
    println!("{}", serde_json::to_string(&took)?);
    Ok(())
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Answers one item for each label.
async fn label(context: &Context, item: ItemId, count: usize) -> Result<(u64, Vec<String>)> {
    let client = Client::connect(context, Some("legal"))?;
    // A label keeps a hundred values.
    for number in 0..count {
        client.label_item(item, &format!("place-{}", number / 50), &number.to_string()).await?;
    }
    Ok((0, vec![item.to_string(); count]))
}

async fn ingest(context: &Context, clients: usize, folder: &Path) -> Result<(u64, Vec<String>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    files.sort();
    let files = Arc::new(files);
    let next = Arc::new(AtomicUsize::new(0));
    let verify = Arc::new(verifier(context)?);
    let mut running = JoinSet::new();
    for number in 0..clients {
        let mut context = context.clone();
        let nodes = context.endpoints.len();
        context.endpoints.rotate_left(number % nodes);
        let client = Client::connect(&context, Some("station"))?;
        let (files, next, verify) = (Arc::clone(&files), Arc::clone(&next), Arc::clone(&verify));
        running.spawn(async move {
            let mut done = Vec::new();
            while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let options = IngestOptions::default();
                let item = client.ingest_file(file, &original(file)?, &options, &*verify, |_| {}).await?;
                done.push((item.size_bytes, item.item.to_string()));
            }
            Ok::<_, anyhow::Error>(done)
        });
    }
    let mut done = Vec::new();
    while let Some(ended) = running.join_next().await {
        done.extend(ended??);
    }
    Ok((done.iter().map(|(bytes, _)| bytes).sum(), done.into_iter().map(|(_, item)| item).collect()))
}

fn original(file: &Path) -> Result<Original> {
    let name = file.file_name().and_then(|name| name.to_str()).context("a file has a name")?;
    Ok(Original {
        device: "D1".parse()?,
        unit: "U1".parse()?,
        file_name: name.to_owned(),
        recorded_start: UnixMillis(1_780_000_000_000),
        recorded_end: UnixMillis(1_780_000_060_000),
        activity: None,
        labels: [("place".to_owned(), "gate".to_owned())].into(),
        media_type: None,
        device_proof: None,
    })
}

fn verifier(context: &Context) -> Result<impl Fn(&[u8]) -> Result<ReceiptFacts, String> + Send + Sync + 'static> {
    let policy = std::fs::read_to_string(context.policy.as_deref().context("the context names a policy")?)?;
    Ok(move |receipt: &[u8]| {
        let verdict =
            verify_receipt(receipt, None, Some(&policy), &CustodyRecords).map_err(|error| error.to_string())?;
        Ok(ReceiptFacts {
            item: verdict.facts.item,
            size_bytes: verdict.facts.size_bytes,
            blake3: verdict.facts.blake3,
            sha256: verdict.facts.sha256,
            sealed_at: verdict.facts.sealed_at,
            record: verdict.seq,
        })
    })
}

async fn copy_out(context: &Context, request: RequestId, to: &Path) -> Result<(u64, Vec<String>)> {
    let client = Client::connect(context, Some("archivist"))?;
    let copied = client.copy_out(request, to, |_| {}).await?;
    let bytes = copied.items.iter().map(|item| item.size_bytes).sum();
    Ok((bytes, copied.items.iter().map(|item| item.item.to_string()).collect()))
}
