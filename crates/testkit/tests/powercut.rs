//! The shim bites: what a process did not sync is gone after a cut, and what it synced is not.
//!
//! The process is this test binary, started again under the shim to play one of the scenes below.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use strongroom_testkit::shim::{Call, Moment, Rule};
use strongroom_testkit::{Loss, Random, Shim, bytes};

const SCENE: &str = "SCENE";
const PLACE: &str = "PLACE";
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// One of so many new files has the inode of a folder that was removed, where inodes are used again at all.
const NEW_FILES: usize = 64;

struct Stage {
    folder: tempfile::TempDir,
    shim: Shim,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let nodes = folder.path().join("nodes");
        fs::create_dir_all(nodes.join("n1")).expect("creates");
        Self { shim: Shim::new(&folder.path().join("shim"), &nodes), folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join("nodes/n1").join(name)
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.at(name)).ok()
    }

    fn output(&self, scene: &str) -> Output {
        Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "one_scene", "--ignored", "--nocapture"])
            .env(SCENE, scene)
            .env(PLACE, self.at(""))
            .envs(self.shim.environment(None))
            .output()
            .expect("runs")
    }

    fn play(&self, scene: &str) {
        let output = self.output(scene);
        assert!(output.status.success(), "{scene}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn cut(&self, loss: Loss, seed: u64) {
        self.shim.cut("n1", loss, &mut Random::new(seed));
    }
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn keep(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(folder.join(name))?;
    file.write_all(content)?;
    file.sync_all()?;
    sync(folder)
}

fn if_absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn old() -> Vec<u8> {
    bytes(100_000, 1)
}

fn new() -> Vec<u8> {
    bytes(100_000, 2)
}

#[test]
#[ignore = "is started by the other tests, under the shim"]
fn one_scene() {
    let place = PathBuf::from(std::env::var_os(PLACE).expect("a place"));
    let scene = std::env::var(SCENE).expect("a scene");
    play(&scene, &place).expect("the scene plays");
}

fn play(scene: &str, at: &Path) -> io::Result<()> {
    let open = |name: &str| OpenOptions::new().write(true).open(at.join(name));
    match scene {
        "keep" => keep(at, "a", &old()),
        "overwrite" => open("a")?.write_all_at(&new(), 0),
        "append" => OpenOptions::new().append(true).open(at.join("a"))?.write_all(&new()),
        "append with O_DSYNC" => {
            OpenOptions::new().append(true).custom_flags(0o10000).open(at.join("a"))?.write_all(&new())
        }
        "append behind a gap" => {
            let mut file = open("a")?;
            file.seek(SeekFrom::Start(150_000))?;
            file.write_all(b"far away")
        }
        "truncate" => open("a")?.set_len(10),
        "truncate by opening" => File::create(at.join("a")).map(|_| ()),
        "copy over" => fs::write(at.join("b"), new()).and_then(|()| fs::copy(at.join("b"), at.join("a")).map(|_| ())),
        "unlink" => fs::remove_file(at.join("a")),
        "rename" => fs::rename(at.join("a"), at.join("b")),
        "link" => fs::hard_link(at.join("a"), at.join("b")),
        "replace without syncing the folder" => {
            let mut file = File::create(at.join("a.tmp"))?;
            file.write_all(&new())?;
            file.sync_all()?;
            fs::rename(at.join("a.tmp"), at.join("a"))
        }
        "replace without syncing the file" => {
            fs::write(at.join("a.tmp"), new())?;
            fs::rename(at.join("a.tmp"), at.join("a"))?;
            sync(at)
        }
        "replace" => {
            play("replace without syncing the folder", at)?;
            sync(at)
        }
        "a folder that is filled and moved" => {
            fs::create_dir(at.join("draft"))?;
            keep(&at.join("draft"), "b", &new())?;
            fs::rename(at.join("draft"), at.join("final"))
        }
        "a folder that is removed" => {
            fs::create_dir(at.join("d"))?;
            keep(&at.join("d"), "b", &new())?;
            sync(at)?;
            fs::remove_dir_all(at.join("d"))
        }
        "a socket has the number of a folder that was listed" => {
            let (folder, file) = (at.join("d"), at.join("a"));
            fs::create_dir(&folder)?;
            keep(&folder, "b", &new())?;
            let inode = fs::metadata(&folder)?.ino();
            fs::remove_dir_all(&folder)?;
            let (socket, _other) = UnixStream::pair()?;
            // Most file systems give the folder's inode to the next file.
            for _ in 0..NEW_FILES {
                fs::remove_file(&file).or_else(if_absent)?;
                keep(at, "a", &old())?;
                if fs::metadata(&file)?.ino() == inode {
                    break;
                }
            }
            // As RocksDB does before it closes a table.
            open("a")?.set_len(old().len() as u64)?;
            File::from(OwnedFd::from(socket)).write_all(b"sent")
        }
        "sync what another process wrote" => sync(&at.join("a")),
        other => Err(io::Error::other(format!("no scene {other}"))),
    }
}

#[test]
fn what_was_not_synced_is_taken_back() {
    for scene in [
        "overwrite",
        "append",
        "append behind a gap",
        "truncate",
        "truncate by opening",
        "copy over",
        "unlink",
        "rename",
        "link",
        "replace without syncing the folder",
        "a folder that is filled and moved",
    ] {
        let stage = Stage::new();
        stage.play("keep");
        stage.play(scene);
        stage.cut(Loss::All, 1);
        assert!(stage.read("a") == Some(old()), "{scene}");
        let left: Vec<_> =
            fs::read_dir(stage.at("")).expect("lists").map(|it| it.expect("entry").file_name()).collect();
        assert_eq!(left, ["a"], "{scene}");
    }
}

#[test]
fn what_was_synced_stays() {
    for loss in [Loss::All, Loss::Some, Loss::Torn] {
        for seed in 0..4 {
            let stage = Stage::new();
            stage.play("keep");
            stage.cut(loss, seed);
            assert!(stage.read("a") == Some(old()), "{loss:?}");
            stage.play("append with O_DSYNC");
            stage.cut(loss, seed);
            assert!(stage.read("a") == Some([old(), new()].concat()), "{loss:?}");
            stage.play("replace");
            stage.cut(loss, seed);
            assert!(stage.read("a") == Some(new()), "{loss:?}");
        }
    }
}

#[test]
fn a_name_is_safe_with_its_folder_and_contents_with_their_file() {
    let stage = Stage::new();
    stage.play("keep");
    stage.play("replace without syncing the file");
    stage.cut(Loss::All, 1);
    assert_eq!(stage.read("a"), Some(Vec::new()));
}

#[test]
fn a_removed_folder_comes_back_with_what_was_in_it() {
    let stage = Stage::new();
    stage.play("a folder that is removed");
    stage.cut(Loss::All, 1);
    assert!(stage.read("d/b") == Some(new()));
}

#[test]
fn what_is_sent_is_no_change_of_a_file_that_has_the_inode_of_a_folder_which_had_the_sockets_number() {
    let stage = Stage::new();
    stage.shim.set_rules(&[Rule::Trace]);
    stage.play("a socket has the number of a folder that was listed");
    let trace = stage.shim.take_trace("n1");
    // It was made, synced and removed, and nothing else.
    assert_eq!(trace.iter().filter(|path| path.ends_with("n1/d")).count(), 3, "{trace:?}");
    stage.cut(Loss::All, 1);
    assert!(stage.read("a") == Some(old()));
}

#[test]
fn one_process_syncs_what_another_wrote() {
    let stage = Stage::new();
    stage.play("keep");
    stage.play("overwrite");
    stage.play("sync what another process wrote");
    stage.cut(Loss::All, 1);
    assert!(stage.read("a") == Some(new()));
}

#[test]
fn syncs_that_are_ignored_make_nothing_durable() {
    let stage = Stage::new();
    stage.shim.set_rules(&[Rule::IgnoreSync]);
    stage.play("keep");
    stage.cut(Loss::All, 1);
    assert_eq!(stage.read("a"), None);
}

#[test]
fn with_some_loss_each_block_is_old_or_new() {
    let (old, new) = (old(), new());
    let mut kept = 0;
    for seed in 0..5 {
        let stage = Stage::new();
        stage.play("keep");
        stage.play("overwrite");
        stage.cut(Loss::Some, seed);
        let found = stage.read("a").expect("there");
        assert_eq!(found.len(), old.len());
        for ((block, old), new) in found.chunks(4096).zip(old.chunks(4096)).zip(new.chunks(4096)) {
            assert!(block == old || block == new, "seed {seed}");
            kept += usize::from(block == new);
        }
    }
    let blocks = 5 * old.len().div_ceil(4096);
    assert!(kept > blocks / 4 && kept < blocks * 3 / 4, "{kept} of {blocks}");
}

#[test]
fn a_torn_write_is_new_up_to_a_sector_and_old_behind() {
    let (old, new) = (old(), new());
    let mut lengths = Vec::new();
    for seed in 0..5 {
        let stage = Stage::new();
        stage.play("keep");
        stage.play("overwrite");
        stage.cut(Loss::Torn, seed);
        let found = stage.read("a").expect("there");
        let torn = found.iter().zip(&new).take_while(|(one, two)| one == two).count();
        assert!(found[torn..] == old[torn..], "seed {seed}");
        stage.play("append");
        stage.cut(Loss::Torn, seed);
        let longer = stage.read("a").expect("there");
        assert!(longer[..old.len()] == found && new.starts_with(&longer[old.len()..]), "seed {seed}");
        lengths.push((torn, longer.len()));
    }
    lengths.dedup();
    assert!(lengths.len() > 2, "{lengths:?}");
}

#[test]
fn calls_fail_where_a_rule_says_so_and_only_there() {
    let stage = Stage::new();
    stage.play("keep");
    stage.shim.set_rules(&[Rule::Fail { call: Call::Write, error: ENOSPC, path: "n1/a" }]);
    let output = stage.output("append");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left"), "{output:?}");
    stage.shim.set_rules(&[Rule::Fail { call: Call::Sync, error: EIO, path: "n1/a" }]);
    stage.play("append");
    assert!(!stage.output("sync what another process wrote").status.success());
    stage.shim.set_rules(&[
        Rule::Fail { call: Call::Write, error: ENOSPC, path: "n2/" },
        Rule::Delay { call: Call::Write, microseconds: 1000, path: "n1/" },
    ]);
    stage.play("append");
}

#[test]
fn a_process_ends_at_the_change_that_a_rule_names_and_on_the_side_that_it_names() {
    // The scene makes a file, writes it, syncs it and syncs the folder, where nothing is counted.
    for (number, moment, kept) in [
        (1, Moment::Before, None),
        (1, Moment::After, Some(Vec::new())),
        (2, Moment::Before, Some(Vec::new())),
        (2, Moment::After, Some(old())),
        (3, Moment::Before, Some(old())),
        (3, Moment::After, Some(old())),
    ] {
        let stage = Stage::new();
        stage.shim.set_rules(&[Rule::Kill { number, moment, path: "n1/a" }]);
        assert!(!stage.output("keep").status.success(), "{number} {moment:?}");
        assert!(stage.read("a") == kept, "{number} {moment:?}");
    }
    let stage = Stage::new();
    stage.shim.set_rules(&[Rule::Kill { number: 4, moment: Moment::Before, path: "n1/a" }, Rule::Trace]);
    stage.play("keep");
    let trace = stage.shim.take_trace("n1");
    assert_eq!(trace.iter().filter(|path| path.ends_with("n1/a")).count(), 3, "{trace:?}");
    assert!(stage.shim.take_trace("n1").is_empty());
}
