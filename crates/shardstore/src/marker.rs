//! A disk's marker: whose it is. Nothing else on a disk is touched before the marker was found to be the right one.
//!
//! `strongroom-disk.cbor` is a CBOR sequence of two items: the marker as an array, and the crc32c of the bytes of the
//! first item. It is written once, by [`write`] (temporary file, fsync, rename, fsync of the folder), and locked for as long
//! as a process has the disk open.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use strongroom_types::{ClusterId, DiskId, NodeId};

use crate::crc32c;

/// Name of the marker in a disk's folder.
pub(crate) const FILE_NAME: &str = "strongroom-disk.cbor";
const TEMPORARY_NAME: &str = "strongroom-disk.cbor.tmp";
/// Folder of the segments.
pub(crate) const SEGMENTS_FOLDER: &str = "segments";
/// Folder of the index.
pub(crate) const INDEX_FOLDER: &str = "index";
/// More than any marker has.
const MARKER_BYTES_MAX: u64 = 4096;
/// What a new file system holds of itself.
const LOST_AND_FOUND: &str = "lost+found";

/// Whose a disk is and what its files look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DiskMarker {
    /// Version of everything else on the disk.
    #[n(0)]
    pub format_version: u32,
    /// The cluster.
    #[n(1)]
    pub cluster: ClusterId,
    /// The node.
    #[n(2)]
    pub node: NodeId,
    /// The disk itself.
    #[n(3)]
    pub disk: DiskId,
    /// Digest of the cluster's genesis.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub genesis: [u8; 32],
    /// Whether the cluster is a trial, as its genesis says.
    #[n(5)]
    pub trial: bool,
}

impl DiskMarker {
    /// The version that this program writes and reads.
    pub const FORMAT_VERSION: u32 = 1;
}

/// What a marker must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedMarker {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// Digest of the cluster's genesis.
    pub genesis: [u8; 32],
}

/// Why a disk was not formatted or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum MarkerError {
    /// There is no marker: not a disk of ours, or not mounted.
    #[error("{} is not a formatted disk: it has no {FILE_NAME}", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A marker that cannot be read as one.
    #[error("the marker of {} is damaged: {why}", path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// A disk of another program version.
    #[error("{} has format version {found}, this program knows version {}", path.display(), DiskMarker::FORMAT_VERSION)]
    UnknownVersion {
        /// The folder.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A disk of somebody else.
    #[error("{} belongs elsewhere: its {field} is {found}, expected {expected}", path.display())]
    Mismatch {
        /// The folder.
        path: PathBuf,
        /// Which field differs.
        field: &'static str,
        /// What the marker says.
        found: String,
        /// What it must say.
        expected: String,
    },
    /// To be formatted, but it is a disk already.
    #[error("{} is a formatted disk already", path.display())]
    AlreadyFormatted {
        /// The folder.
        path: PathBuf,
    },
    /// To be formatted, but it holds files.
    #[error("{} is not empty: it holds {entry:?}", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// One of them.
        entry: String,
    },
    /// Another process has it open.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The file system failed.
    #[error("could not {what} in {}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

/// Makes an empty folder a disk. The folder is created if there is none.
pub(crate) fn format(path: &Path, marker: &DiskMarker) -> Result<(), MarkerError> {
    let failed = |what| move |source| MarkerError::Io { path: path.to_owned(), what, source };
    if marker.format_version != DiskMarker::FORMAT_VERSION {
        return Err(MarkerError::UnknownVersion { path: path.to_owned(), found: marker.format_version });
    }
    fs::create_dir_all(path).map_err(failed("create the folder"))?;
    refuse_a_folder_in_use(path)?;
    let segments = path.join(SEGMENTS_FOLDER);
    match fs::create_dir(&segments) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed("create the segments folder")(error));
        }
        Ok(()) | Err(_) => {}
    }
    sync_folder(&segments).map_err(failed("sync the segments folder"))?;
    write(path, marker).map_err(failed("write the marker"))?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_folder(parent).map_err(failed("sync the folder above"))?;
    }
    Ok(())
}

/// What an interrupted format leaves does not count: without a marker nothing was ever stored.
fn refuse_a_folder_in_use(path: &Path) -> Result<(), MarkerError> {
    let failed = |source| MarkerError::Io { path: path.to_owned(), what: "list the folder", source };
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match name.as_str() {
            FILE_NAME => return Err(MarkerError::AlreadyFormatted { path: path.to_owned() }),
            LOST_AND_FOUND | TEMPORARY_NAME => {}
            SEGMENTS_FOLDER if fs::read_dir(entry.path()).map_err(failed)?.next().is_none() => {}
            _ => return Err(MarkerError::NotEmpty { path: path.to_owned(), entry: name }),
        }
    }
    Ok(())
}

fn write(path: &Path, marker: &DiskMarker) -> io::Result<()> {
    let temporary = path.join(TEMPORARY_NAME);
    let mut file = File::create(&temporary)?;
    file.write_all(&encode(marker))?;
    file.sync_all()?;
    fs::rename(&temporary, path.join(FILE_NAME))?;
    sync_folder(path)
}

/// Returns when the names in a folder are on the medium.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Reads a marker, locks it and compares it. The lock lasts as long as the file.
pub(crate) fn open(path: &Path, expected: &ExpectedMarker) -> Result<(DiskMarker, File), MarkerError> {
    let (marker, file) = read(path)?;
    compare(path, "cluster", &marker.cluster, &expected.cluster)?;
    compare(path, "node", &marker.node, &expected.node)?;
    compare(path, "genesis", &Hex(marker.genesis), &Hex(expected.genesis))?;
    match file.try_lock() {
        Ok(()) => Ok((marker, file)),
        Err(TryLockError::WouldBlock) => Err(MarkerError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => {
            Err(MarkerError::Io { path: path.to_owned(), what: "lock the marker", source })
        }
    }
}

/// Reads a marker whoever's it is.
pub(crate) fn read(path: &Path) -> Result<(DiskMarker, File), MarkerError> {
    let failed = |source| MarkerError::Io { path: path.to_owned(), what: "read the marker", source };
    let file = match File::open(path.join(FILE_NAME)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(MarkerError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    (&file).take(MARKER_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let marker = decode(&bytes).map_err(|why| MarkerError::Damaged { path: path.to_owned(), why })?;
    if marker.format_version != DiskMarker::FORMAT_VERSION {
        return Err(MarkerError::UnknownVersion { path: path.to_owned(), found: marker.format_version });
    }
    Ok((marker, file))
}

fn compare<T: PartialEq + fmt::Display>(
    path: &Path,
    field: &'static str,
    found: &T,
    expected: &T,
) -> Result<(), MarkerError> {
    if found == expected {
        return Ok(());
    }
    Err(MarkerError::Mismatch {
        path: path.to_owned(),
        field,
        found: found.to_string(),
        expected: expected.to_string(),
    })
}

#[derive(PartialEq)]
struct Hex([u8; 32]);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn encode(marker: &DiskMarker) -> Vec<u8> {
    let mut bytes = minicbor::to_vec(marker).expect("encoding into memory cannot fail");
    let checksum = crc32c(&bytes);
    bytes.extend(minicbor::to_vec(checksum).expect("encoding into memory cannot fail"));
    bytes
}

fn decode(bytes: &[u8]) -> Result<DiskMarker, String> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let marker = decoder.decode().map_err(|error| error.to_string())?;
    let length = decoder.position();
    let checksum = decoder.u32().map_err(|error| error.to_string())?;
    if decoder.position() != bytes.len() {
        return Err("bytes follow its end".to_owned());
    }
    if crc32c(&bytes[..length]) != checksum {
        return Err("its checksum does not fit".to_owned());
    }
    Ok(marker)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: DiskMarker = DiskMarker {
        format_version: 1,
        cluster: ClusterId::new([0xc1; 16]),
        node: NodeId(3),
        disk: DiskId::new([0xd1; 16]),
        genesis: [0x9e; 32],
        trial: true,
    };
    const EXPECTED: ExpectedMarker =
        ExpectedMarker { cluster: MARKER.cluster, node: MARKER.node, genesis: MARKER.genesis };

    #[test]
    fn the_bytes_of_a_marker_are_fixed() {
        let golden = [
            "86",                                                                   // array of six
            "01",                                                                   // format version
            "50c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1",                                   // cluster
            "03",                                                                   // node
            "50d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1",                                   // disk
            "58209e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e", // genesis
            "f5",                                                                   // trial
            "1aa24935d2",                                                           // crc32c
        ];
        let found: String = encode(&MARKER).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, golden.concat());
        assert_eq!(decode(&encode(&MARKER)), Ok(MARKER));
    }

    #[test]
    fn a_marker_with_any_flipped_bit_is_refused() {
        let good = encode(&MARKER);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad).is_err(), "bit {bit}");
        }
        assert!(decode(&good[..good.len() - 1]).is_err());
        assert!(decode(&[good.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn the_wrong_marker_is_refused_and_the_field_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("disk");
        assert!(matches!(open(&path, &EXPECTED), Err(MarkerError::Missing { .. })));
        format(&path, &MARKER).expect("formats");
        for (wrong, named) in [
            (ExpectedMarker { cluster: ClusterId::new([0; 16]), ..EXPECTED }, "cluster"),
            (ExpectedMarker { node: NodeId(4), ..EXPECTED }, "node"),
            (ExpectedMarker { genesis: [0; 32], ..EXPECTED }, "genesis"),
        ] {
            let error = open(&path, &wrong).expect_err("refused");
            assert!(matches!(error, MarkerError::Mismatch { field, .. } if field == named), "{error}");
        }
        assert_eq!(open(&path, &EXPECTED).expect("opens").0, MARKER);

        let later = DiskMarker { format_version: 2, ..MARKER };
        fs::write(path.join(FILE_NAME), encode(&later)).expect("writes");
        assert!(matches!(open(&path, &EXPECTED), Err(MarkerError::UnknownVersion { found: 2, .. })));
    }

    #[test]
    fn a_second_open_is_refused_while_the_first_lasts() {
        let folder = tempfile::tempdir().expect("a folder");
        format(folder.path(), &MARKER).expect("formats");
        let first = open(folder.path(), &EXPECTED).expect("opens");
        assert!(matches!(open(folder.path(), &EXPECTED), Err(MarkerError::InUse { .. })));
        drop(first);
        open(folder.path(), &EXPECTED).expect("opens again");
    }

    #[test]
    fn a_folder_with_anything_of_value_is_not_formatted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        fs::create_dir(path.join(LOST_AND_FOUND)).expect("creates");
        fs::write(path.join(TEMPORARY_NAME), "half").expect("writes");
        fs::create_dir(path.join(SEGMENTS_FOLDER)).expect("creates");
        let segment = path.join(SEGMENTS_FOLDER).join("00000001.seg");
        fs::write(&segment, "footage").expect("writes");
        assert!(matches!(format(path, &MARKER), Err(MarkerError::NotEmpty { entry, .. }) if entry == SEGMENTS_FOLDER));
        fs::remove_file(&segment).expect("removes");
        fs::write(path.join("holiday.jpg"), "").expect("writes");
        assert!(matches!(format(path, &MARKER), Err(MarkerError::NotEmpty { entry, .. }) if entry == "holiday.jpg"));
        fs::remove_file(path.join("holiday.jpg")).expect("removes");
        format(path, &MARKER).expect("an interrupted format is taken up");
        assert!(matches!(format(path, &MARKER), Err(MarkerError::AlreadyFormatted { .. })));
    }
}
