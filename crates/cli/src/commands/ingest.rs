//! `strongroom ingest`: originals into the cluster, each with its verified receipt beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};
use strongroom_client::{Client, IngestOptions, IngestProgress, IngestedItem, Original, VerifyReceipt};
use strongroom_types::{ActivityId, DeviceId, MediaType, UnitId, UnixMillis};

use crate::failure::Failure;
use crate::output::{Output, short_size};
use crate::session::{Globals, Usual};
use crate::{parse, receipts};

/// Originals to upload. Done twice, it is done once: a file whose receipt is there is not sent again.
#[derive(Debug, Args)]
pub(crate) struct Ingest {
    /// Files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Register number of the recording device
    #[arg(long)]
    device: DeviceId,
    /// Unit that recorded
    #[arg(long)]
    unit: UnitId,
    /// Start of the recording by the device's clock: 2026-03-01T09:30:00+08:00, or without an offset in Beijing time
    #[arg(long, value_name = "TIME")]
    recorded_start: UnixMillis,
    /// End of the recording by the device's clock
    #[arg(long, value_name = "TIME")]
    recorded_end: UnixMillis,
    /// Enforcement activity
    #[arg(long)]
    activity: Option<ActivityId>,
    /// Label; say it again for each
    #[arg(long = "label", value_parser = parse::pair, value_name = "NAME=VALUE")]
    labels: Vec<(String, String)>,
    /// What the files are: `video`, `audio`, `photo` or `document`. Without it the ending of each name tells, where it is
    /// a known one
    #[arg(long)]
    media_type: Option<MediaType>,
    /// The device's own signature or digest of each file lies beside it under this ending: `--device-proof gb35114=.sig`
    #[arg(long, value_parser = parse::pair, value_name = "SCHEME=ENDING")]
    device_proof: Option<(String, String)>,
    /// Also compute SHA-256 here and have the cluster compare it
    #[arg(long)]
    announce_sha256: bool,
}

impl Ingest {
    /// Does it. A file that fails does not keep the others from being tried.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let output = globals.output();
        let context = globals.context()?;
        let policy = receipts::policy_of(&context)?;
        if policy.is_none() {
            output.talk(output.pick(
                "note: the context names no policy; receipts are only checked to be self-consistent",
                "注意：上下文未指定信任策略，入库回执仅核对自身一致性",
            ));
        }
        let client = Client::connect(&context, globals.identity_in(&context, Usual::Station))?;
        let verify = receipts::verifier(policy);
        let (mut done, mut failures) = (Vec::new(), Vec::new());
        for file in &self.files {
            match self.one(&client, file, &verify, output).await {
                Ok(item) => done.push((file, item)),
                Err(failure) => {
                    if self.files.len() > 1 {
                        output.talk(format!("{}: {}", file.display(), failure.told(output.lang).trim_end()));
                    }
                    failures.push(failure);
                }
            }
        }
        show(output, &done)?;
        let failed = failures.len();
        match failures.into_iter().next() {
            None => Ok(()),
            Some(first) if self.files.len() == 1 => Err(first),
            Some(first) => Err(first.of_several(failed, self.files.len())),
        }
    }

    async fn one(
        &self,
        client: &Client,
        file: &Path,
        verify: &VerifyReceipt,
        output: Output,
    ) -> Result<IngestedItem, Failure> {
        let original = self.original(file)?;
        let total = std::fs::metadata(file).map_err(Failure::file("read", file))?.len();
        let bar = output.bar(&original.file_name, total);
        let options = IngestOptions { sha256: self.announce_sha256, ..IngestOptions::default() };
        let ingested = client
            .ingest_file(file, &original, &options, verify, |progress| match progress {
                IngestProgress::Hashing { done_bytes, .. } | IngestProgress::Committed { done_bytes, .. } => {
                    bar.set_position(done_bytes);
                }
                IngestProgress::Sealing => {
                    bar.set_position(total);
                    bar.set_message(format!("{} {}", original.file_name, output.pick("sealing", "封存中")));
                }
            })
            .await;
        bar.finish_and_clear();
        Ok(ingested?)
    }

    fn original(&self, file: &Path) -> Result<Original, Failure> {
        let name = file.file_name().and_then(|name| name.to_str());
        let file_name =
            name.ok_or_else(|| Failure::usage(format!("{} has no file name in UTF-8", file.display())))?.to_owned();
        Ok(Original {
            device: self.device.clone(),
            unit: self.unit.clone(),
            file_name,
            recorded_start: self.recorded_start,
            recorded_end: self.recorded_end,
            activity: self.activity.clone(),
            labels: self.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
            media_type: self.media_type.or_else(|| media_type_of(file)),
            device_proof: self.device_proof(file)?,
        })
    }

    fn device_proof(&self, file: &Path) -> Result<Option<(String, Bytes)>, Failure> {
        let Some((scheme, ending)) = &self.device_proof else { return Ok(None) };
        let mut beside = file.as_os_str().to_owned();
        beside.push(ending);
        let beside = PathBuf::from(beside);
        let value = std::fs::read(&beside).map_err(Failure::file("read", &beside))?;
        Ok(Some((scheme.clone(), value.into())))
    }
}

/// What the ending of a file's name says.
fn media_type_of(file: &Path) -> Option<MediaType> {
    let ending = file.extension()?.to_str()?.to_ascii_lowercase();
    match ending.as_str() {
        "mp4" | "mov" | "avi" | "mkv" | "ts" | "m2ts" | "mpg" | "mpeg" | "wmv" | "3gp" | "dav" => {
            Some(MediaType::Video)
        }
        "wav" | "mp3" | "m4a" | "aac" | "amr" | "flac" | "ogg" | "wma" => Some(MediaType::Audio),
        "jpg" | "jpeg" | "png" | "heic" | "tif" | "tiff" | "bmp" | "dng" => Some(MediaType::Photo),
        "pdf" | "ofd" | "doc" | "docx" | "txt" => Some(MediaType::Document),
        _ => None,
    }
}

fn show(output: Output, done: &[(&PathBuf, IngestedItem)]) -> Result<(), Failure> {
    let json: Value = done.iter().map(|(file, item)| item_json(file, item)).collect();
    output.show(&json, |page| {
        let rows: Vec<_> = done
            .iter()
            .map(|(file, item)| {
                vec![
                    item.item.to_string(),
                    short_size(item.size_bytes),
                    item.sealed_at.to_string(),
                    item.record.to_string(),
                    receipt_path(item).unwrap_or_else(|| file.display().to_string()),
                ]
            })
            .collect();
        page.table(&["item", "size", "sealed at", "record", "receipt"], &rows);
    })
}

fn item_json(file: &Path, item: &IngestedItem) -> Value {
    json!({
        "file": file.display().to_string(),
        "item": item.item.to_string(),
        "size_bytes": item.size_bytes,
        "blake3": item.blake3.to_string(),
        "sha256": item.sha256.to_string(),
        "sealed_at": item.sealed_at.to_string(),
        "record": item.record.0,
        "receipt": receipt_path(item),
        "already_ingested": item.already_ingested,
    })
}

fn receipt_path(item: &IngestedItem) -> Option<String> {
    item.receipt_path.as_ref().map(|path| path.display().to_string())
}
