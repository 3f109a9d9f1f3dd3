//! Everything that reads bytes from disks, networks or people is fed with damaged ones. Nothing panics, and nothing
//! takes memory by a length that it was told: the largest single allocation stays near the size of the input.
//!
//! The inputs are real: files of a cluster that has run, rows and commands of its genesis. The damage is seeded; a
//! failure names parser and round, and `ROUNDS=n` runs more of them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use strongroom_client::Context;
use strongroom_codec::shares::Share;
use strongroom_custody::profile::{Profile, RequestAct};
use strongroom_custody::{Actor, Command, command};
use strongroom_engine::machine::{self, Envelope, Machine};
use strongroom_engine::{Genesis, receipt::CustodyRecords};
use strongroom_ledger::proof::TlogProof;
use strongroom_ledger::{Policy, SignedCheckpoint};
use strongroom_net::{pki, tls::TrustedAuthority};
use strongroom_node::Config;
use strongroom_package::verify_receipt;
use strongroom_shardstore::{Disk, DiskConfig, ExpectedMarker, StoreSettings};
use strongroom_testkit::{Cluster, Shape, bytes};
use strongroom_types::rows::{MemoryRows, Rows as _, encode};
use strongroom_types::{NodeId, UnixMillis};

/// Reading may take this many times the input, and a fixed amount besides, in one piece.
const TIMES: usize = 64;
const BESIDES: usize = 256 << 10;

/// The system's allocator, which notes the largest piece that this thread asked for.
struct Meter;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    // A thread that ends may allocate after its variables are gone.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(size)));
}

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static METER: Meter = Meter;

/// Seeded choices (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end.max(1)).expect("fits")).expect("fits")
    }

    fn byte(&mut self) -> u8 {
        self.roll().to_le_bytes()[3]
    }

    /// A damaged copy: flipped bits, other bytes, huge lengths, pieces cut out, doubled, or put elsewhere.
    fn damage(&mut self, good: &[u8]) -> Vec<u8> {
        let mut bad = good.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bad.len());
            match self.below(7) {
                0 => bad.truncate(at),
                1 if !bad.is_empty() => bad[at] ^= 1 << self.below(8),
                2 if !bad.is_empty() => bad[at] = self.byte(),
                // What CBOR, protobuf, DER and our headers read as a very large length.
                3 => {
                    let end = bad.len().min(at + 9);
                    let huge = [[0x9b, 0x7f], [0xbb, 0xff], [0x5b, 0x7f], [0x84, 0xff], [0xff, 0xff]][self.below(5)];
                    let length = huge.into_iter().chain([0xff; 7]).take(end - at);
                    bad.splice(at..end, length);
                }
                4 => drop(bad.drain(at..(at + self.below(16)).min(good.len()).min(bad.len()).max(at))),
                5 => {
                    let piece = bad[at..(at + self.below(64)).min(bad.len())].to_vec();
                    let to = self.below(bad.len());
                    bad.splice(to..to, piece);
                }
                _ => bad.insert(at.min(bad.len()), self.byte()),
            }
        }
        bad
    }
}

fn rounds(few: u64) -> u64 {
    std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// Feeds a parser with the good input, which it must take, and with damaged ones.
fn feed(name: &str, count: u64, good: &[u8], mut takes: impl FnMut(&[u8]) -> bool) {
    assert!(takes(good), "{name} refuses what is good");
    for round in 1..=count {
        let seed = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed;
        let bad = Dice(seed).damage(good);
        LARGEST.set(0);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| takes(&bad)));
        let largest = LARGEST.get();
        assert!(outcome.is_ok(), "{name}, round {round}: panicked on {}", hex::encode(&bad));
        let allowed = bad.len() * TIMES + BESIDES;
        assert!(largest <= allowed, "{name}, round {round}: took {largest} bytes for an input of {}", bad.len());
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A parser that reads a file by its path: damaged copies are put where the good one is.
fn feed_file(name: &str, count: u64, path: &Path, mut takes: impl FnMut() -> bool) {
    let good = fs::read(path).expect("reads");
    feed(name, count, &good, |bytes| {
        fs::write(path, bytes).expect("writes");
        takes()
    });
    fs::write(path, good).expect("writes");
}

/// A cluster that has run and is down, with an original and its receipt.
fn cluster_with_files() -> (Cluster, PathBuf) {
    let cluster = Cluster::up(
        env!("CARGO_BIN_EXE_strongroom"),
        Shape { nodes: 3, districts: 3, scheme: "1+2", ..Shape::default() },
    );
    let (original, item) = cluster.ingest_bytes("original.bin", &bytes(300_000, 5));
    let to = |name: &str| cluster.path(name).display().to_string();
    cluster.done(&["ledger", "checkpoint", "--to", &to("checkpoint")]);
    cluster.done(&["ledger", "prove", &item["record"].to_string(), "--to", &to("proof")]);
    cluster.done(&["dev", "down", "--dir", &cluster.dir()]);
    (cluster, original)
}

#[test]
fn damaged_files_are_refused_and_never_believed_about_lengths() {
    let (cluster, original) = cluster_with_files();
    let read = |path: &Path| fs::read(path).expect("reads");
    let many = rounds(2000);
    let few = rounds(200);

    let policy = read(&cluster.file("policy.tlog-policy"));
    feed("policy", many, &policy, |bytes| Policy::parse_canonical(&text(bytes)).is_ok());
    let trusted = Policy::parse_canonical(&text(&policy)).expect("the cluster's policy");
    let checkpoint = read(&cluster.path("checkpoint"));
    feed("checkpoint", many, &checkpoint, |bytes| SignedCheckpoint::parse_canonical(bytes).is_ok());
    feed("checkpoint under a policy", few, &checkpoint, |bytes| trusted.verify(bytes).is_ok());
    feed("proof", many, &read(&cluster.path("proof")), |bytes| TlogProof::parse_canonical(&text(bytes)).is_ok());
    let receipt = read(&PathBuf::from(format!("{}.receipt", original.display())));
    feed("receipt", many, &receipt, |bytes| verify_receipt(bytes, None, None, &CustodyRecords).is_ok());

    feed("genesis", many, &read(&cluster.file("genesis.cbor")), |bytes| Genesis::from_bytes(bytes).is_ok());
    let profile = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles/dev.toml")).expect("reads");
    feed("profile", many, &profile, |bytes| Profile::from_toml(&text(bytes)).is_ok());
    feed("recovery share", many, &read(&cluster.file("recovery-shares/share-1.txt")), |bytes| {
        text(bytes).parse::<Share>().is_ok()
    });
    let certificate = read(&cluster.file("identities/ops.pem"));
    feed("certificate", many, &certificate, |bytes| pki::inspect(bytes).is_ok());
    feed("authority", few, &read(&cluster.file("pki/client-ca.pem")), |bytes| {
        TrustedAuthority::from_pem(bytes).is_ok()
    });
    let context = cluster.file("context.toml");
    feed("context", many, &read(&context), |bytes| Context::parse(&text(bytes), &context).is_ok());
    let config = cluster.file("nodes/n1/node.toml");
    feed_file("node configuration", few, &config, || Config::load(&config).is_ok());

    let disk = cluster.file("nodes/n1/disk0");
    feed_file("disk marker", few, &disk.join("strongroom-disk.cbor"), || Disk::read_marker(&disk).is_ok());
    let marker = Disk::read_marker(&disk).expect("a marker");
    let expected = ExpectedMarker { cluster: marker.cluster, node: marker.node, genesis: marker.genesis };
    let config = DiskConfig { path: disk.clone(), capacity_bytes: None };
    let settings = StoreSettings::default();
    // An index that is lost is built from the segments: every header is read, whatever it says. Bounded buffers of
    // the size of a record come on top of what the input warrants.
    let segment = disk.join("segments/00000001.seg");
    let good = read(&segment);
    for round in 1..=rounds(30) {
        let bad = Dice(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)).damage(&good[..good.len().min(64 << 10)]);
        fs::write(&segment, [&bad[..], good.get(bad.len()..).unwrap_or_default()].concat()).expect("writes");
        drop(fs::remove_dir_all(disk.join("index")));
        // Whether the disk is usable with this damage is another test's question.
        drop(Disk::open(&config, &expected, &settings));
    }
}

/// The machine after a genesis, and an envelope for each of a few commands that it would take.
fn machine_and_commands() -> (MemoryRows, Vec<Vec<u8>>) {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("cluster");
    let dir = dir.to_str().expect("UTF-8");
    let run = |words: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_strongroom")).args(words).output().expect("runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["dev", "up", "--dir", dir, "--nodes", "2", "--districts", "2", "--scheme", "1+1"]);
    let genesis = fs::read(Path::new(dir).join("genesis.cbor"));
    let station = fs::read(Path::new(dir).join("identities/station.pem")).expect("reads");
    let legal = fs::read(Path::new(dir).join("identities/legal.pem")).expect("reads");
    run(&["dev", "down", "--delete", "--dir", dir]);
    let genesis = Genesis::from_bytes(&genesis.expect("reads")).expect("a genesis");

    let mut rows = MemoryRows::default();
    let mut envelopes = Vec::new();
    let envelope = |actor: Actor, command: machine::Command, idempotency| {
        encode(&Envelope { command, actor, wall: UnixMillis(1_790_000_000_000), seed: [3; 32], idempotency })
    };
    for (command, idempotency) in genesis.commands() {
        let bytes = envelope(Actor::Node(NodeId(1)), command, Some(idempotency));
        Machine.apply_bytes(&mut rows, &bytes).expect("applies");
        envelopes.push(bytes);
    }
    let client = |pem: &[u8]| Actor::Client(pki::key_hash_of_certificate(pem).expect("a key"));
    let description = strongroom_custody::tables::Description {
        device: "D1".parse().expect("a name"),
        unit: "U1".parse().expect("a name"),
        file_name: "现场.mp4".to_owned(),
        recorded_start: UnixMillis(1_789_999_000_000),
        recorded_end: UnixMillis(1_789_999_900_000),
        activity: None,
        labels: [("place".to_owned(), "gate".to_owned())].into(),
        media_type: None,
        device_proof: None,
    };
    let item = strongroom_types::ItemId::new([9; 16]);
    let open = command::OpenUpload { item, description, wrapped_key: vec![1; 60].into(), gateway: NodeId(1) };
    let submit = command::SubmitRequest {
        act: RequestAct::Copy,
        items: vec![item],
        fields: [("reason".to_owned(), "复议".to_owned())].into(),
    };
    let resume = command::ResumeUpload { item, gateway: NodeId(1) };
    for (pem, command) in [
        (&station, Command::OpenUpload(open)),
        (&station, Command::ResumeUpload(resume)),
        (&legal, Command::SubmitRequest(submit)),
    ] {
        envelopes.push(envelope(client(pem), command.into(), None));
    }
    (rows, envelopes)
}

#[test]
fn damaged_commands_and_rows_stop_a_replica_and_never_crash_it() {
    let (rows, envelopes) = machine_and_commands();
    for (position, good) in envelopes.iter().enumerate() {
        feed(&format!("command {position}"), rounds(300), good, |bytes| {
            let mut rows = rows.clone();
            Machine.apply_bytes(&mut rows, bytes).is_ok()
        });
    }

    let stored: Vec<_> = rows.iter().map(|(table, key, value)| (table, key.to_vec(), value.to_vec())).collect();
    for (table, key, value) in &stored {
        feed(&format!("row {} of table {}", hex::encode(key), table.0), rounds(20), value, |bytes| {
            let mut rows = rows.clone();
            rows.write(*table, key, bytes.to_vec());
            envelopes.iter().all(|envelope| Machine.apply_bytes(&mut rows, envelope).is_ok())
        });
    }
}
