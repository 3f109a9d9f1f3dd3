//! `strongroom verify`: receipts, files with their receipts, and copied-out folders. Needs no server and no network.
//!
//! What it proves starts at the station: from docking on. Of what happened between recording and docking it says nothing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use strongroom_engine::receipt::CustodyRecords;
use strongroom_ledger::Policy;
use strongroom_package::{
    Certificate, CertificateError, CertificateVerdict, FileDigests, REMOVAL_FORMAT, ReceiptVerdict, RemovalCertificate,
    RemovalVerdict, Trust,
};
use strongroom_types::{ItemDigest, ItemId, PrincipalId, RecordSeq, Sha256Digest, UnixMillis};

use crate::failure::Failure;
use crate::output::{Page, size};
use crate::receipts;
use crate::session::Globals;

/// How the name of a certificate ends.
const CERTIFICATE: &str = "certificate";

/// What to verify.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Receipts, files with FILE.receipt beside them, or copied-out folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Policy, got from somewhere else than what is verified: published, or printed on the stamped letter. Without
    /// one, the context's; without either, a receipt is only found to agree with itself
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// One thing that was looked at.
struct Checked {
    path: PathBuf,
    outcome: Result<Found, Failure>,
}

/// What was found good.
enum Found {
    /// A receipt, with its file or without.
    Receipt(Box<ReceiptVerdict>),
    /// A certificate of disposition.
    Certificate(Box<Certified<CertificateVerdict>>),
    /// A certificate of a removal to a classified carrier.
    Removal(Box<Certified<RemovalVerdict>>),
    /// A list of digests, and how many files it names.
    Sums(usize),
}

/// A certificate that holds, and under whose policy.
struct Certified<V> {
    verdict: V,
    trust: Trust,
}

impl Verify {
    /// Does it. Everything is looked at, also after something was found wrong.
    pub(crate) fn run(self, globals: &Globals) -> Result<(), Failure> {
        let policy = match (&self.policy, &globals.context) {
            (Some(path), _) => Some(receipts::read_policy(path)?),
            (None, Some(_)) => receipts::policy_of(&globals.context()?)?,
            (None, None) => None,
        };
        let mut all = Vec::new();
        for path in &self.paths {
            check(path, policy.as_deref(), &mut all)?;
        }
        let output = globals.output();
        output.show(&all.iter().map(json).collect(), |page| {
            for checked in &all {
                checked.show(page, output);
            }
            page.line(output.pick(
                "What is proved starts where the original was docked; between recording and docking nothing is.",
                "证明自接入采集站时起；录制至接入之间不在证明范围内。",
            ));
        })?;
        let bad = all.iter().filter(|checked| checked.outcome.is_err()).count();
        if bad == 0 { Ok(()) } else { Err(Failure::failed(format!("{bad} of {} could not be verified", all.len()))) }
    }
}

fn check(path: &Path, policy: Option<&str>, all: &mut Vec<Checked>) -> Result<(), Failure> {
    let metadata = fs::metadata(path).map_err(Failure::file("read", path))?;
    if metadata.is_dir() {
        return check_folder(path, policy, all);
    }
    if path.extension().is_some_and(|extension| extension == CERTIFICATE) {
        all.push(Checked { path: path.to_owned(), outcome: check_certificate(path, policy) });
        return Ok(());
    }
    let (receipt, original) = match original_of(path) {
        Some(original) => (path.to_owned(), Some(original).filter(|original| original.exists())),
        None => (receipts::path_of(path), Some(path.to_owned())),
    };
    if !receipt.exists() {
        let failure = Failure::failed(format!("there is no receipt beside {}", path.display()))
            .hint(format!("a file is verified with its receipt, {}", receipt.display()));
        all.push(Checked { path: path.to_owned(), outcome: Err(failure) });
        return Ok(());
    }
    let outcome =
        receipts::verify_files(&receipt, original.as_deref(), policy).map(|verdict| Found::Receipt(Box::new(verdict)));
    all.push(Checked { path: original.unwrap_or(receipt), outcome });
    Ok(())
}

fn check_certificate(path: &Path, policy: Option<&str>) -> Result<Found, Failure> {
    let bytes = fs::read(path).map_err(Failure::file("read", path))?;
    let bad = |error: CertificateError| Failure::caused_by(format!("{} does not verify", path.display()), &error);
    let is_removal = serde_json::from_slice::<Value>(&bytes).is_ok_and(|form| form["format"] == REMOVAL_FORMAT);
    if is_removal {
        let certificate = RemovalCertificate::parse_canonical(&bytes).map_err(bad)?;
        let verdict = certificate.verify(&CustodyRecords).map_err(bad)?;
        let trust = trust_in(path, certificate.policy(), policy)?;
        return Ok(Found::Removal(Box::new(Certified { verdict, trust })));
    }
    let certificate = Certificate::parse_canonical(&bytes).map_err(bad)?;
    let verdict = certificate.verify(&CustodyRecords).map_err(bad)?;
    let trust = trust_in(path, certificate.policy(), policy)?;
    Ok(Found::Certificate(Box::new(Certified { verdict, trust })))
}

fn trust_in(path: &Path, own: &Policy, given: Option<&str>) -> Result<Trust, Failure> {
    let policy = own.fingerprint();
    match given {
        None => Ok(Trust::SelfConsistent { policy }),
        Some(given) if given == own.to_string() => Ok(Trust::Trusted { policy, voter_changes: 0 }),
        Some(_) => Err(Failure::failed(format!("{} is under another policy than the given one", path.display()))),
    }
}

/// Every receipt in the folder with its file, and the lists of digests that lie there.
fn check_folder(folder: &Path, policy: Option<&str>, all: &mut Vec<Checked>) -> Result<(), Failure> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(Failure::file("read", folder))? {
        paths.push(entry.map_err(Failure::file("read", folder))?.path());
    }
    paths.sort();
    let before = all.len();
    for receipt in paths.iter().filter(|path| path.is_file()) {
        let Some(original) = original_of(receipt) else { continue };
        let outcome = if original.is_file() {
            receipts::verify_files(receipt, Some(&original), policy).map(|verdict| Found::Receipt(Box::new(verdict)))
        } else {
            Err(Failure::failed(format!("{} is missing: only its receipt is there", original.display())))
        };
        all.push(Checked { path: original, outcome });
    }
    for (name, digest) in [("SHA256SUMS", Digest::Sha256), ("B3SUMS", Digest::Blake3)] {
        let path = folder.join(name);
        if path.is_file() {
            all.push(Checked { outcome: check_sums(&path, folder, digest), path });
        }
    }
    if all.len() == before {
        return Err(Failure::failed(format!("{} holds no receipt and no list of digests", folder.display())));
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Digest {
    Sha256,
    Blake3,
}

/// Lines as `sha256sum` and `b3sum` write them: digest, two spaces, name.
fn check_sums(list: &Path, folder: &Path, digest: Digest) -> Result<Found, Failure> {
    let text = fs::read_to_string(list).map_err(Failure::file("read", list))?;
    let mut count = 0;
    for line in text.lines() {
        let (listed, name) = line
            .split_once("  ")
            .ok_or_else(|| Failure::failed(format!("{}: {line:?} is no digest and name", list.display())))?;
        let path = folder.join(name);
        let mut file = File::open(&path).map_err(Failure::file("read", &path))?;
        let digests = FileDigests::of(&mut file).map_err(Failure::file("read", &path))?;
        let found = match digest {
            Digest::Sha256 => digests.sha256.to_string(),
            Digest::Blake3 => digests.blake3.to_string(),
        };
        if found != listed {
            return Err(Failure::failed(format!("{} is not what {} lists", path.display(), list.display())));
        }
        count += 1;
    }
    Ok(Found::Sums(count))
}

/// The file that a receipt's name speaks of.
fn original_of(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?.strip_suffix(".receipt")?;
    Some(path.with_file_name(name)).filter(|_| !name.is_empty())
}

impl Checked {
    fn show(&self, page: &mut Page, output: crate::output::Output) {
        let path = self.path.display();
        match &self.outcome {
            Ok(Found::Receipt(verdict)) => {
                let file = match verdict.file {
                    Some(_) => output.pick("verified, bit for bit the sealed original", "已验证，与入库原件逐位一致"),
                    None => output.pick("receipt verified; no file was given", "回执已验证；未提供文件"),
                };
                page.line(format!("✓ {path}: {file}"));
                receipt_facts(page, verdict);
                page.line(verdict.trust.to_string());
                page.line("");
            }
            Ok(Found::Certificate(certified)) => {
                page.line(format!("✓ {path}: {}", output.pick("disposed of, and nothing is left", "已销毁，无残留")));
                certificate_facts(page, &certified.verdict);
                page.line(certified.trust.to_string());
                page.line("");
            }
            Ok(Found::Removal(certified)) => {
                let verdict = &certified.verdict;
                let told =
                    output.pick("transferred to a classified carrier, and nothing is left", "已移交涉密载体，无残留");
                page.line(format!("✓ {path}: {told}"));
                removal_facts(page, output, verdict);
                page.line(certified.trust.to_string());
                page.line("");
            }
            Ok(Found::Sums(count)) => {
                page.line(format!("✓ {path}: {count} {}", output.pick("files as listed", "个文件与清单一致")));
            }
            Err(failure) => page.line(format!("✗ {}", failure.told(output.lang).trim_end())),
        }
    }
}

fn receipt_facts(page: &mut Page, verdict: &ReceiptVerdict) {
    let facts = &verdict.facts;
    let cosigners: Vec<_> = verdict
        .checkpoint
        .cosigned_by()
        .iter()
        .map(|by| format!("{} {}", by.name.as_str().rsplit('/').next().unwrap_or_default(), by.time))
        .collect();
    page.facts(&[
        ("item", facts.item.to_string()),
        ("file", facts.file_name.clone()),
        ("size", size(facts.size_bytes)),
        ("blake3", facts.blake3.to_string()),
        ("sha256", facts.sha256.to_string()),
        ("sealed at", facts.sealed_at.to_string()),
        ("device", facts.device.to_string()),
        ("unit", facts.unit.to_string()),
        ("record", verdict.seq.to_string()),
        ("checkpoint", verdict.checkpoint.head().size.to_string()),
        ("cosigned by", cosigners.join(", ")),
        ("cluster", facts.cluster.to_string()),
        ("trial", if facts.trial { "yes".to_owned() } else { String::new() }),
    ]);
}

fn certificate_facts(page: &mut Page, verdict: &CertificateVerdict) {
    page.facts(&[
        ("batch", verdict.batch.to_string()),
        ("items disposed of", verdict.disposed.to_string()),
        ("items that dropped out", verdict.dropped.to_string()),
        ("disks erased", verdict.disks_erased.to_string()),
        ("replicas without keys", verdict.replicas_clean.to_string()),
        ("closed as lost", verdict.lost.to_string()),
        ("checkpoint", verdict.checkpoint.head().size.to_string()),
        ("cluster", verdict.cluster.to_string()),
    ]);
    for (step, by, at, seq) in &verdict.steps {
        page.line(format!("  {step} by {by} at {at} (#{})", seq.0));
    }
}

fn removal_facts(page: &mut Page, output: crate::output::Output, verdict: &RemovalVerdict) {
    let execution = &verdict.execution;
    page.facts(&[
        ("removal", verdict.removal.to_string()),
        ("carrier", execution.carrier.clone()),
        ("receiving organ", execution.organ.clone()),
        ("receiver", execution.receiver.clone()),
        ("items", execution.items.len().to_string()),
        ("disks erased", verdict.disks_erased.to_string()),
        ("replicas without keys", verdict.replicas_clean.to_string()),
        ("closed as lost", verdict.lost.to_string()),
        ("copies", execution.copies.to_string()),
        ("checkpoint", verdict.checkpoint.head().size.to_string()),
        ("cluster", execution.cluster.to_string()),
    ]);
    for (item, _, sha256, _) in &execution.items {
        page.line(format!("  {item} sha256 {sha256}"));
    }
    for item in &verdict.items {
        for one in &item.obligations {
            let until = crate::shown::end(one.until_unix_ms);
            let words = output.pick(&one.text_en, &one.text_zh);
            page.line(format!("  {} {}: {words} ({until}, #{})", item.item, one.by, one.record));
        }
    }
    for (step, by, at, seq) in &verdict.steps {
        page.line(format!("  {step} by {by} at {at} (#{})", seq.0));
    }
}

fn removal_json(path: &str, certified: &Certified<RemovalVerdict>) -> Value {
    let (verdict, execution) = (&certified.verdict, &certified.verdict.execution);
    let item = |(item, size_bytes, sha256, blake3): &_| {
        let of = |of: &&strongroom_package::removal::RemovedItem| of.item == *item;
        let follows = verdict.items.iter().find(of).map(|of| json!(of.obligations));
        json!({
            "item": ItemId::to_string(item),
            "size_bytes": u64::clone(size_bytes),
            "sha256": Sha256Digest::to_string(sha256),
            "blake3": ItemDigest::to_string(blake3),
            "obligations": follows,
        })
    };
    let step = |(step, by, at, seq): &(String, PrincipalId, UnixMillis, RecordSeq)| json!({ "step": step, "by": by.as_str(), "at": at.to_string(), "record": seq.0 });
    json!({
        "path": path,
        "verified": true,
        "kind": "removal-certificate",
        "trust": receipts::trust_name(certified.trust),
        "policy": verdict.checkpoint.policy().to_string(),
        "removal": verdict.removal.to_string(),
        "cluster": execution.cluster.to_string(),
        "carrier": execution.carrier,
        "organ": execution.organ,
        "receiver": execution.receiver,
        "items": execution.items.iter().map(item).collect::<Vec<_>>(),
        "copies": execution.copies,
        "disks_erased": verdict.disks_erased,
        "replicas_clean": verdict.replicas_clean,
        "lost": verdict.lost,
        "steps": verdict.steps.iter().map(step).collect::<Vec<_>>(),
        "checkpoint_size": verdict.checkpoint.head().size,
    })
}

fn json(checked: &Checked) -> Value {
    let path = checked.path.display().to_string();
    match &checked.outcome {
        Ok(Found::Receipt(verdict)) => {
            let facts = &verdict.facts;
            let cosigned: Vec<_> = verdict
                .checkpoint
                .cosigned_by()
                .iter()
                .map(|by| json!({ "name": by.name.as_str(), "time": by.time.to_string(), "voter": by.is_voter }))
                .collect();
            json!({
                "path": path,
                "verified": true,
                "kind": "receipt",
                "file": verdict.file.is_some(),
                "trust": receipts::trust_name(verdict.trust),
                "policy": verdict.checkpoint.policy().to_string(),
                "item": facts.item.to_string(),
                "file_name": facts.file_name,
                "size_bytes": facts.size_bytes,
                "blake3": facts.blake3.to_string(),
                "sha256": facts.sha256.to_string(),
                "sealed_at": facts.sealed_at.to_string(),
                "device": facts.device.as_str(),
                "unit": facts.unit.as_str(),
                "cluster": facts.cluster.to_string(),
                "trial": facts.trial,
                "record": verdict.seq.0,
                "checkpoint_size": verdict.checkpoint.head().size,
                "cosigned_by": cosigned,
            })
        }
        Ok(Found::Certificate(certified)) => {
            let verdict = &certified.verdict;
            let steps: Vec<_> = verdict
                .steps
                .iter()
                .map(|(step, by, at, seq)| {
                    json!({ "step": step, "by": by.as_str(), "at": at.to_string(), "record": seq.0 })
                })
                .collect();
            json!({
                "path": path,
                "verified": true,
                "kind": "certificate",
                "trust": receipts::trust_name(certified.trust),
                "policy": verdict.checkpoint.policy().to_string(),
                "batch": verdict.batch.to_string(),
                "cluster": verdict.cluster.to_string(),
                "disposed": verdict.disposed,
                "dropped": verdict.dropped,
                "disks_erased": verdict.disks_erased,
                "replicas_clean": verdict.replicas_clean,
                "lost": verdict.lost,
                "steps": steps,
                "checkpoint_size": verdict.checkpoint.head().size,
            })
        }
        Ok(Found::Removal(certified)) => removal_json(&path, certified),
        Ok(Found::Sums(count)) => json!({ "path": path, "verified": true, "kind": "sums", "files": count }),
        Err(failure) => json!({ "path": path, "verified": false, "error": failure.message() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receipt_of_a_file_is_found_by_name() {
        assert_eq!(original_of(Path::new("/a/x.mp4.receipt")), Some(PathBuf::from("/a/x.mp4")));
        assert_eq!(original_of(Path::new("/a/x.mp4")), None);
        assert_eq!(original_of(Path::new("/a/.receipt")), None);
        assert_eq!(receipts::path_of(Path::new("/a/x.mp4")), PathBuf::from("/a/x.mp4.receipt"));
    }

    #[test]
    fn lists_of_digests_are_compared_with_the_files() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a"), b"abc").expect("writes");
        let list = folder.path().join("SHA256SUMS");
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        fs::write(&list, format!("{sum}  a\n")).expect("writes");
        assert!(matches!(check_sums(&list, folder.path(), Digest::Sha256), Ok(Found::Sums(1))));
        assert!(check_sums(&list, folder.path(), Digest::Blake3).is_err());
        fs::write(folder.path().join("a"), b"abd").expect("writes");
        assert!(check_sums(&list, folder.path(), Digest::Sha256).is_err());
    }

    #[test]
    fn a_file_without_a_receipt_is_not_verified() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.mp4");
        fs::write(&file, b"abc").expect("writes");
        let mut all = Vec::new();
        check(&file, None, &mut all).expect("it can be looked at");
        assert!(all[0].outcome.is_err());
        assert!(check(folder.path(), None, &mut all).is_err(), "an empty folder proves nothing");
    }
}
