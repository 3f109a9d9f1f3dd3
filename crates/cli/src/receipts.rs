//! Receipts, verified offline: by the ingest that got one, by `verify`, and by the demo.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use strongroom_client::{Context, ReceiptFacts};
use strongroom_engine::receipt::CustodyRecords;
use strongroom_package::{ReceiptError, ReceiptVerdict, Trust, verify_receipt};

use crate::failure::{Failure, chain};

/// The name of a file's receipt.
pub(crate) fn path_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".receipt");
    file.with_file_name(name)
}

/// The text of a policy file.
pub(crate) fn read_policy(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(Failure::file("read the policy", path))
}

/// The policy that the context names, if it names one.
pub(crate) fn policy_of(context: &Context) -> Result<Option<String>, Failure> {
    context.policy.as_deref().map(read_policy).transpose()
}

/// What a client accepts as a receipt: one that verifies under `policy`.
pub(crate) fn verifier(
    policy: Option<String>,
) -> impl Fn(&[u8]) -> Result<ReceiptFacts, String> + Send + Sync + 'static {
    move |receipt| {
        let verdict = verify(receipt, None, policy.as_deref()).map_err(|error| chain(&error))?;
        Ok(ReceiptFacts {
            item: verdict.facts.item,
            size_bytes: verdict.facts.size_bytes,
            blake3: verdict.facts.blake3,
            sha256: verdict.facts.sha256,
            sealed_at: verdict.facts.sealed_at,
            record: verdict.seq,
        })
    }
}

/// Verifies a receipt file, with the original where there is one.
pub(crate) fn verify_files(
    receipt: &Path,
    original: Option<&Path>,
    policy: Option<&str>,
) -> Result<ReceiptVerdict, Failure> {
    let bytes = fs::read(receipt).map_err(Failure::file("read", receipt))?;
    let mut file = original.map(|path| File::open(path).map_err(Failure::file("read", path))).transpose()?;
    let file = file.as_mut().map(|file| -> &mut dyn Read { file });
    let shown = original.unwrap_or(receipt).display();
    verify(&bytes, file, policy).map_err(|error| Failure::caused_by(format!("could not verify {shown}"), &error))
}

fn verify(receipt: &[u8], file: Option<&mut dyn Read>, policy: Option<&str>) -> Result<ReceiptVerdict, ReceiptError> {
    verify_receipt(receipt, file, policy, &CustodyRecords)
}

/// Whether a policy from elsewhere was met.
pub(crate) const fn trust_name(trust: Trust) -> &'static str {
    match trust {
        Trust::SelfConsistent { .. } => "self-consistent",
        Trust::Trusted { .. } => "trusted",
    }
}
