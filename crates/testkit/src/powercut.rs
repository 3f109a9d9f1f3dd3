//! What a power cut leaves: plays the journals that `shim/shim.c` kept for a node backwards.
//!
//! The model is what POSIX lets a disk do, not what one file system does. Contents are safe once the file was synced,
//! names once their folder was. Of what is not safe any block may have reached the medium or not, in any order; a block
//! holds the bytes of some moment since it was safe; a file has a length that it had since. Entries of one folder reach
//! the medium in order. The node's process must be gone; it has journals from its first start or last cut on.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirEntryExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::random::Random;

/// What of the unsynced changes is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Everything.
    All,
    /// For each block and each folder as chance has it.
    Some,
    /// Each file's last write is cut short, all else has reached the medium.
    Torn,
}

/// How much a cut took back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// Files with contents that were not synced.
    pub files: usize,
    /// Names made, moved or removed in folders that were not synced.
    pub names: usize,
}

const HEADER_BYTES: usize = 88;
/// What reaches the medium whole or not at all.
const SECTOR: u64 = 512;
const BLOCK: u64 = 4096;

pub(crate) fn cut(journals: &Path, nodes: &Path, node: &str, loss: Loss, random: &mut Random) -> Undone {
    let own = own_files(journals, node);
    let mut records = Vec::new();
    for (_, path) in own.iter().filter(|(_, path)| path.extension().is_some_and(|it| it == "journal")) {
        records.extend(read_journal(&fs::read(path).expect("reads a journal")));
    }
    let pending = Pending::new(records);
    let mut cut = Cut { journals, node, places: HashMap::new(), root: nodes.join(node), random };
    cut.find_places(&own);
    let undone = Undone { files: cut.contents(&pending.changes, loss), names: cut.names(&pending.names, loss) };
    for (_, path) in own {
        fs::remove_file(path).expect("removes a journal");
    }
    undone
}

/// The journals and the kept names of a node, journals in the order of its starts.
fn own_files(journals: &Path, node: &str) -> Vec<(String, PathBuf)> {
    let mut files: Vec<_> = fs::read_dir(journals)
        .expect("lists the journals")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .filter(|(name, _)| name.strip_prefix(node).is_some_and(|rest| rest.starts_with('-')))
        .collect();
    files.sort();
    files
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Change,
    Create,
    MakeFolder,
    Unlink,
    RemoveFolder,
    Rename,
    Commit,
}

/// As `struct record` in `shim.c`.
#[derive(Clone, Debug)]
struct Record {
    kind: Kind,
    inode: u64,
    other: u64,
    subject: u64,
    saved: u64,
    offset: u64,
    length: u64,
    old_size: u64,
    new_size: u64,
    name: String,
    other_name: String,
    data: Vec<u8>,
}

/// All whole records. A last one that is cut off is of a change that was not made any more.
fn read_journal(bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let mut rest = bytes;
    while let Some((record, behind)) = read_record(rest) {
        records.push(record);
        rest = behind;
    }
    records
}

fn read_record(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let short = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let long = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
    let size = |value: u64| usize::try_from(value).expect("fits in memory");
    let (name, rest) = rest.split_at_checked(size(short(4).into()))?;
    let (other_name, rest) = rest.split_at_checked(size(short(8).into()))?;
    let (data, rest) = rest.split_at_checked(size(long(80)))?;
    let kind = match short(0) {
        1 => Kind::Change,
        2 => Kind::Create,
        3 => Kind::MakeFolder,
        4 => Kind::Unlink,
        5 => Kind::RemoveFolder,
        6 => Kind::Rename,
        7 => Kind::Commit,
        other => panic!("a record of kind {other}: shim.c and powercut.rs differ"),
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("names are UTF-8");
    let record = Record {
        kind,
        inode: long(16),
        other: long(24),
        subject: long(32),
        saved: long(40),
        offset: long(48),
        length: long(56),
        old_size: long(64),
        new_size: long(72),
        name: text(name),
        other_name: text(other_name),
        data: data.to_vec(),
    };
    Some((record, rest))
}

/// What no sync has made durable, in the order in which it was done.
struct Pending {
    changes: BTreeMap<u64, Vec<Record>>,
    names: Vec<Record>,
}

impl Pending {
    fn new(records: Vec<Record>) -> Self {
        let mut committed = HashMap::new();
        for (position, record) in records.iter().enumerate().filter(|(_, record)| record.kind == Kind::Commit) {
            committed.insert(record.inode, position);
        }
        let is_safe =
            |position: usize, inode: u64| committed.get(&inode).is_some_and(|commit: &usize| *commit > position);
        let mut pending = Self { changes: BTreeMap::new(), names: Vec::new() };
        for (position, record) in records.into_iter().enumerate() {
            if is_safe(position, record.inode) || (record.kind == Kind::Rename && is_safe(position, record.other)) {
                continue;
            }
            match record.kind {
                Kind::Change => pending.changes.entry(record.inode).or_default().push(record),
                Kind::Create | Kind::MakeFolder | Kind::Unlink | Kind::RemoveFolder | Kind::Rename => {
                    pending.names.push(record);
                }
                Kind::Commit => (),
            }
        }
        pending
    }
}

struct Cut<'a> {
    journals: &'a Path,
    node: &'a str,
    /// Where each inode is to be found now.
    places: HashMap<u64, PathBuf>,
    root: PathBuf,
    random: &'a mut Random,
}

impl Cut<'_> {
    fn find_places(&mut self, own: &[(String, PathBuf)]) {
        for (_, path) in own {
            self.places.insert(inode_of(path).expect("a kept file"), path.clone());
        }
        let root = self.root.clone();
        self.find_below(&root);
    }

    fn find_below(&mut self, folder: &Path) {
        self.places.insert(inode_of(folder).expect("a folder"), folder.to_owned());
        for entry in fs::read_dir(folder).expect("lists a folder") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_dir() {
                self.find_below(&entry.path());
            } else {
                self.places.insert(entry.ino(), entry.path());
            }
        }
    }

    fn contents(&mut self, changes: &BTreeMap<u64, Vec<Record>>, loss: Loss) -> usize {
        let mut files = 0;
        for (inode, records) in changes {
            // What nobody can reach any more has no contents either.
            let Some(path) = self.places.get(inode).filter(|path| path.is_file()) else { continue };
            let file = OpenOptions::new().read(true).write(true).open(path).expect("opens what is taken back");
            let done = match loss {
                Loss::All => lose_all(&file, records),
                Loss::Some => lose_some(&file, records, self.random),
                Loss::Torn => tear_last(&file, records, self.random),
            };
            done.expect("takes contents back");
            files += 1;
        }
        files
    }

    fn names(&mut self, names: &[Record], loss: Loss) -> usize {
        let mut by_folder: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (position, record) in names.iter().enumerate() {
            by_folder.entry(folder_of(record)).or_default().push(position);
        }
        let mut lost: Vec<usize> = Vec::new();
        for positions in by_folder.values() {
            let kept = match loss {
                Loss::All => 0,
                Loss::Some => self.random.position(positions.len() + 1),
                Loss::Torn => positions.len(),
            };
            lost.extend(&positions[kept..]);
        }
        lost.sort_unstable();
        for position in lost.iter().rev() {
            self.take_name_back(&names[*position]).expect("takes a name back");
        }
        lost.len()
    }

    fn take_name_back(&mut self, record: &Record) -> io::Result<()> {
        // An unknown folder is one whose own making was taken back.
        let Some(folder) = self.places.get(&record.inode).filter(|folder| folder.is_dir()) else { return Ok(()) };
        let path = folder.join(&record.name);
        match record.kind {
            Kind::Create if path.exists() => fs::remove_file(path),
            Kind::MakeFolder if path.exists() => fs::remove_dir_all(path),
            Kind::Unlink => self.bring_back(record.saved, &path),
            Kind::RemoveFolder if !path.exists() => {
                fs::create_dir(&path)?;
                self.places.insert(record.subject, path);
                Ok(())
            }
            Kind::Rename => self.move_back(record, &path),
            // Journalled, but the kill came before it was done.
            Kind::Create | Kind::MakeFolder | Kind::RemoveFolder | Kind::Change | Kind::Commit => Ok(()),
        }
    }

    fn move_back(&mut self, record: &Record, path: &Path) -> io::Result<()> {
        let Some(folder) = self.places.get(&record.other).filter(|folder| folder.is_dir()) else { return Ok(()) };
        let moved = folder.join(&record.other_name);
        if inode_of(&moved) != Some(record.subject) {
            return Ok(());
        }
        fs::rename(&moved, path)?;
        if path.is_dir() {
            self.find_below(path);
        }
        self.bring_back(record.saved, &moved)
    }

    fn bring_back(&self, saved: u64, path: &Path) -> io::Result<()> {
        let kept = self.journals.join(format!("{}-{saved}.saved", self.node));
        if saved == 0 || path.exists() { Ok(()) } else { fs::hard_link(kept, path) }
    }
}

/// The folder whose entries decide about the change.
fn folder_of(record: &Record) -> u64 {
    if record.kind == Kind::Rename { record.other } else { record.inode }
}

fn inode_of(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|found| found.ino())
}

fn lose_all(file: &File, records: &[Record]) -> io::Result<()> {
    for record in records.iter().rev() {
        file.set_len(record.old_size)?;
        file.write_all_at(&record.data, record.offset)?;
    }
    Ok(())
}

fn lose_some(file: &File, records: &[Record], random: &mut Random) -> io::Result<()> {
    let mut versions: BTreeMap<u64, u64> = BTreeMap::new();
    for block in records.iter().flat_map(blocks) {
        *versions.entry(block).or_default() += 1;
    }
    // How many versions of each block are lost, its newest first.
    let mut lost: BTreeMap<u64, u64> =
        versions.into_iter().map(|(block, count)| (block, random.below(count + 1))).collect();
    for record in records.iter().rev() {
        for block in blocks(record) {
            let left = lost.get_mut(&block).expect("counted above");
            if *left > 0 {
                *left -= 1;
                let start = record.offset.max(block * BLOCK);
                let end = (record.offset + record.length).min((block + 1) * BLOCK);
                restore(file, record, start, end)?;
            }
        }
    }
    let moment = random.position(records.len() + 1);
    file.set_len(if moment == 0 { records[0].old_size } else { records[moment - 1].new_size })
}

fn blocks(record: &Record) -> std::ops::Range<u64> {
    record.offset / BLOCK..(record.offset + record.length).div_ceil(BLOCK).max(record.offset / BLOCK)
}

/// Puts back what stood from `start` to `end`, which reads as zeros behind the old end.
fn restore(file: &File, record: &Record, start: u64, end: u64) -> io::Result<()> {
    let position = |at: u64| usize::try_from(at - record.offset).expect("fits in memory").min(record.data.len());
    let mut bytes = record.data[position(start)..position(end)].to_vec();
    bytes.resize(usize::try_from(end - start).expect("fits in memory"), 0);
    file.write_all_at(&bytes, start)
}

fn tear_last(file: &File, records: &[Record], random: &mut Random) -> io::Result<()> {
    let last = records.last().expect("a file without changes is not asked about");
    let end = last.offset + last.length;
    if last.new_size < last.old_size || last.length == 0 {
        return if random.below(2) == 0 { lose_all(file, std::slice::from_ref(last)) } else { Ok(()) };
    }
    // Whole sectors have reached the medium, from the front.
    let sectors = end.div_ceil(SECTOR) - last.offset / SECTOR;
    let torn = ((last.offset / SECTOR + random.below(sectors + 1)) * SECTOR).clamp(last.offset, end);
    restore(file, last, torn, end)?;
    file.set_len(torn.max(last.old_size))
}
