//! A good file, and every mistake with the key that its error names.

use super::*;

const GOOD: &str = r#"
node-id = 2
data-dir = "data"
genesis = "../../genesis.cbor"

[listen]
client = "127.0.0.1:41001"
peer = "127.0.0.1:41002"
metrics = "127.0.0.1:41003"

[tls]
client-ca = "../../pki/client-ca.pem"
server-certificate = "tls/server.pem"
server-key = "tls/server.key"
peer-ca = "../../pki/peer-ca.pem"
peer-certificate = "tls/peer.pem"
peer-key = "/etc/strongroom/peer.key"

[keys]
cosigner = "keys/cosigner.seed"
clock = "keys/clock.seed"
key-encryption-key = "keys/kek"
log = "keys/log.seed"
guard = "keys/guard.cbor"

[[disk]]
path = "disk0"
capacity = "200GiB"

[[disk]]
path = "disk1"

[raft]
heartbeat = "100ms"
election-max = "3s"
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("node.toml");
    std::fs::write(&file, text).expect("writes");
    Config::load(&file)
}

#[test]
fn a_good_file_is_read_with_paths_relative_to_it() {
    let raw: RawConfig = toml::from_str(GOOD).expect("parses");
    let config = raw.check(Path::new("/srv/n2/node.toml")).expect("good");
    assert_eq!(config.node, NodeId(2));
    assert_eq!(config.meta_dir, Path::new("/srv/n2/data/meta"));
    assert_eq!(config.genesis, Path::new("/srv/n2/../../genesis.cbor"));
    assert_eq!(config.tls.peer_key, Path::new("/etc/strongroom/peer.key"));
    assert_eq!(config.keys.voter.expect("a voter").kek, Path::new("/srv/n2/keys/kek"));
    let capacities: Vec<_> = config.disks.iter().map(|disk| disk.capacity_bytes).collect();
    assert_eq!(capacities, [Some(200 << 30), None]);
    assert_eq!(config.raft.heartbeat, Duration::from_millis(100));
    assert_eq!(config.raft.election_min, Duration::from_secs(1));
    assert_eq!(config.snapshot_after, 5000);
}

#[test]
fn what_is_written_is_what_is_read() {
    let raw: RawConfig = toml::from_str(GOOD).expect("parses");
    assert_eq!(toml::from_str::<RawConfig>(&raw.to_toml()).expect("parses"), raw);
}

#[test]
fn each_mistake_is_refused_by_the_name_of_its_key() {
    for (from, to, named) in [
        ("node-id = 2", "node-id = 0", "node-id"),
        ("node-id = 2", "node-id = \"two\"", "node-id"),
        ("node-id = 2", "node-id = 2\nnodeid = 3", "nodeid"),
        ("data-dir = \"data\"", "", "data-dir"),
        ("client = \"127.0.0.1:41001\"", "client = \"localhost\"", "listen.client"),
        ("peer = \"127.0.0.1:41002\"", "peer = \"127.0.0.1:41001\"", "listen"),
        ("metrics = \"127.0.0.1:41003\"", "metrics = \"9100\"", "listen.metrics"),
        ("log = \"keys/log.seed\"", "", "keys.log"),
        ("key-encryption-key = \"keys/kek\"", "", "keys.key-encryption-key"),
        ("capacity = \"200GiB\"", "capacity = \"200GB\"", "disk[0].capacity"),
        ("path = \"disk1\"", "path = \"disk0\"", "disk[1].path"),
        ("path = \"disk1\"", "path = \"disk1\"\nsize = 5", "size"),
        ("heartbeat = \"100ms\"", "heartbeat = \"100\"", "raft.heartbeat"),
        ("heartbeat = \"100ms\"", "heartbeat = \"600ms\"", "raft.election-min"),
        ("election-max = \"3s\"", "election-max = \"1s\"", "raft.election-max"),
        ("election-max = \"3s\"", "snapshot-after-entries = 5", "raft.snapshot-after-entries"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let error = parse(&GOOD.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(error.contains(named) && error.contains("node.toml"), "{to}: {error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Path::new("/nowhere/node.toml")).expect_err("absent");
    assert!(error.to_string().contains("/nowhere/node.toml"), "{error}");
}
