//! Key and certificate files: whole or absent, never half, and keys never readable by others, not for a moment.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{PkiError, PrivateKeyPem};

/// Writes a private key so that only its owner can read it (mode 0600), replacing what was there.
///
/// # Errors
/// [`PkiError::Write`] where the system refuses; the old file is then untouched.
pub fn write_private(path: &Path, key: &PrivateKeyPem) -> Result<(), PkiError> {
    replace(path, key.expose().as_bytes(), 0o600).map_err(|source| PkiError::Write { path: path.to_owned(), source })
}

/// Writes a certificate for all to read (mode 0644), replacing what was there.
///
/// # Errors
/// [`PkiError::Write`] where the system refuses; the old file is then untouched.
pub fn write_public(path: &Path, pem: &str) -> Result<(), PkiError> {
    replace(path, pem.as_bytes(), 0o644).map_err(|source| PkiError::Write { path: path.to_owned(), source })
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = beside(path);
    // A leftover of a crash may have another mode, and `mode` is heeded only where the file is made.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}
