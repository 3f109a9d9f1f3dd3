//! Files that are there after a power cut, or not at all: synced writes, renames and folders.
//!
//! Also the data version: each folder says in a plain file what it holds and in which version, and that is read
//! before anything else in it is opened. An unknown version is refused, never guessed at.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A file or folder that could not be worked on.
#[derive(Debug, thiserror::Error)]
#[error("could not {act} {}: {source}", path.display())]
pub struct FileError {
    /// What was tried.
    pub act: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// A folder that this program may not open.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Written by a program that we do not know, or not by us.
    #[error("{} holds {found:?}, and this program reads only {expected:?}", path.display())]
    Unknown {
        /// The folder.
        path: PathBuf,
        /// Its header.
        found: String,
        /// The header that we read and write.
        expected: String,
    },
    /// Something is there, but no header.
    #[error("{} is not empty and has no FORMAT file", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// The folder could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Version of everything that this crate stores.
pub(crate) const DATA_VERSION: u32 = 1;

const FORMAT_FILE: &str = "FORMAT";

/// Checks the header of a folder of `kind`, or writes it where the folder is new.
pub(crate) fn claim_folder(folder: &Path, kind: &str) -> Result<(), FormatError> {
    let expected = format!("strongroom {kind} {DATA_VERSION}");
    create_folder(folder)?;
    let header = folder.join(FORMAT_FILE);
    match fs::read_to_string(&header) {
        Ok(found) if found.trim_end() == expected => Ok(()),
        Ok(found) => Err(FormatError::Unknown {
            path: folder.to_owned(),
            found: found.trim_end().chars().take(80).collect(),
            expected,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if names_in(folder)?.iter().any(|name| !name.ends_with(".tmp")) {
                return Err(FormatError::Missing { path: folder.to_owned() });
            }
            Ok(replace_file(&header, format!("{expected}\n").as_bytes())?)
        }
        Err(source) => Err(FileError { act: "read", path: header, source }.into()),
    }
}

/// Puts `bytes` under `path`, all of them or none, and durable when this returns.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".tmp");
    let draft = PathBuf::from(draft);
    let write = || {
        let mut file = File::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().map_err(|source| FileError { act: "write", path: path.to_owned(), source })?;
    sync_parent(path)
}

/// Makes `folder` and its parents, durably.
pub(crate) fn create_folder(folder: &Path) -> Result<(), FileError> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => sync_parent(folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(FileError { act: "create", path: folder.to_owned(), source }),
    }
}

/// Renames a folder whose contents are synced, durably.
pub(crate) fn rename_folder(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(|source| FileError { act: "rename", path: from.to_owned(), source })?;
    sync_parent(to)
}

/// Removes a folder with all that is in it. Its absence is fine.
pub(crate) fn remove_folder(folder: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError { act: "remove", path: folder.to_owned(), source: error })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The bytes of a file; none if there is no such file.
pub(crate) fn read_file(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError { act: "read", path: path.to_owned(), source }),
    }
}

/// Names in a folder, ascending.
pub(crate) fn names_in(folder: &Path) -> Result<Vec<String>, FileError> {
    let list = || {
        let mut names = fs::read_dir(folder)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    list().map_err(|source| FileError { act: "list", path: folder.to_owned(), source })
}

/// Gives the file `from` a second name, or a copy where the two folders are on different disks. Synced.
pub(crate) fn link_or_copy(from: &Path, to: &Path) -> Result<(), FileError> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    copy(from, to)
}

/// Copies and syncs a file.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::copy(from, to).map_err(|source| FileError { act: "copy", path: from.to_owned(), source })?;
    sync(to)
}

/// Syncs a file or a folder.
pub(crate) fn sync(path: &Path) -> Result<(), FileError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| FileError { act: "sync", path: path.to_owned(), source })
}

fn sync_parent(path: &Path) -> Result<(), FileError> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => sync(Path::new(".")),
        Some(parent) => sync(parent),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_another_version_or_without_a_header_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state");
        claim_folder(&folder, "state").unwrap();
        claim_folder(&folder, "state").unwrap();
        fs::write(folder.join("FORMAT"), "strongroom state 2\n").unwrap();
        let refused = claim_folder(&folder, "state").unwrap_err();
        assert!(matches!(&refused, FormatError::Unknown { found, .. } if found == "strongroom state 2"), "{refused}");
        fs::remove_file(folder.join("FORMAT")).unwrap();
        claim_folder(&folder, "state").unwrap();
        fs::remove_file(folder.join("FORMAT")).unwrap();
        fs::write(folder.join("CURRENT"), "x").unwrap();
        assert!(matches!(claim_folder(&folder, "state"), Err(FormatError::Missing { .. })));
    }

    #[test]
    fn a_replaced_file_holds_the_new_bytes_and_leaves_no_draft() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        replace_file(&path, b"one").unwrap();
        replace_file(&path, b"two").unwrap();
        assert_eq!(read_file(&path).unwrap().as_deref(), Some(b"two".as_slice()));
        assert_eq!(names_in(dir.path()).unwrap(), ["a"]);
    }
}
