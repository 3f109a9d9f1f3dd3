//! The state file: which idempotency key a file's upload goes by, so that a killed client goes on with the same one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use strongroom_types::{ClusterId, IdempotencyKey};

use super::{IngestError, IngestOptions, Original};
use crate::call::new_key;
use crate::file::{self, Look};

const SUFFIX: &str = ".strongroom-upload";

/// An upload that was begun.
pub(super) struct UploadState {
    pub(super) key: IdempotencyKey,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Stored {
    cluster: String,
    key: String,
    file: Look,
    /// SHA-256 of what was said of the original: another description is another upload.
    original: String,
}

impl UploadState {
    /// The state of this very upload: as it stands, or new and durable.
    pub(super) fn begin(path: &Path, cluster: ClusterId, look: Look, original: &Original) -> Result<Self, IngestError> {
        let original = fingerprint(original);
        let there = file::read_durable(path).map_err(IngestError::file("read", path))?;
        // One that does not parse is of no use to anybody: what it knew is a key that costs sending again.
        let stored = there.and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok());
        let same = stored.filter(|stored| {
            stored.cluster == cluster.to_string() && stored.file == look && stored.original == original
        });
        if let Some(key) = same.and_then(|stored| stored.key.parse().ok()) {
            return Ok(Self { key });
        }
        let key = new_key();
        let stored = Stored { cluster: cluster.to_string(), key: key.to_string(), file: look, original };
        let bytes = serde_json::to_vec_pretty(&stored).expect("strings and numbers have a JSON form");
        file::replace(path, &bytes).map_err(IngestError::file("write", path))?;
        Ok(Self { key })
    }

    /// The seal is an operation of its own, and also the same after a restart.
    pub(super) fn seal_key(&self) -> IdempotencyKey {
        format!("{}-seal", self.key).parse().expect("a name and a suffix are a name")
    }

    pub(super) fn remove(path: &Path) -> Result<(), IngestError> {
        file::remove(path).map_err(IngestError::file("remove", path))
    }
}

/// Where the state of a file's upload is kept.
pub(super) fn path_of(path: &Path, options: &IngestOptions) -> PathBuf {
    match &options.state_folder {
        None => file::beside(path, SUFFIX),
        Some(folder) => {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let name = hex::encode(&Sha256::digest(absolute.as_os_str().as_encoded_bytes())[..16]);
            folder.join(name + SUFFIX)
        }
    }
}

fn fingerprint(original: &Original) -> String {
    let Original { device, unit, file_name, recorded_start, recorded_end, activity, labels, media_type, device_proof } =
        original;
    let facts = serde_json::json!([
        device.as_str(),
        unit.as_str(),
        file_name,
        recorded_start.0,
        recorded_end.0,
        activity.as_ref().map(strongroom_types::ActivityId::as_str),
        labels,
        media_type.map(strongroom_types::MediaType::name),
        device_proof.as_ref().map(|(scheme, value)| (scheme, hex::encode(value))),
    ]);
    hex::encode(Sha256::digest(facts.to_string()))
}
