//! The node's configuration: `node.toml` as it is written ([`RawConfig`]) and as it is used ([`Config`]).
//!
//! Unknown keys are refused, units are in the values (`"250ms"`, `"200GiB"`), secrets are only ever paths, and relative
//! paths are relative to the file. An error names the file, the key, and what would be right.

mod quantity;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use strongroom_metastore::RaftTiming;
use strongroom_shardstore::DiskConfig;
use strongroom_types::NodeId;

pub use quantity::{ByteSize, Span};

/// `node.toml`, as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawConfig {
    /// The node's number, from 1.
    pub node_id: u64,
    /// Folder of the metadata.
    pub data_dir: PathBuf,
    /// The cluster's genesis file.
    pub genesis: PathBuf,
    /// For a node that joined later: its registration (`topology::Registration` in stored form).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<PathBuf>,
    /// Where it listens.
    pub listen: RawListen,
    /// Certificates.
    pub tls: RawTls,
    /// Secrets.
    pub keys: RawKeys,
    /// Disks, already formatted; none for a node that only holds metadata.
    #[serde(rename = "disk", default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<RawDisk>,
    /// Raft's clocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raft: Option<RawRaft>,
}

/// Addresses to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawListen {
    /// For clients: gRPC under the client authority.
    pub client: String,
    /// For peers: gRPC under the peer authority.
    pub peer: String,
    /// For Prometheus: plain HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
}

/// Certificates and keys of connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawTls {
    /// Authority of clients' certificates.
    pub client_ca: PathBuf,
    /// Shown to clients; issued by the client authority.
    pub server_certificate: PathBuf,
    /// Its key.
    pub server_key: PathBuf,
    /// Authority of nodes' certificates.
    pub peer_ca: PathBuf,
    /// Shown to peers.
    pub peer_certificate: PathBuf,
    /// Its key.
    pub peer_key: PathBuf,
}

/// Secrets, kept off the data disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawKeys {
    /// Seed of the key that cosigns checkpoints: 64 hexadecimal digits.
    pub cosigner: PathBuf,
    /// Seed of the key that signs clock readings.
    pub clock: PathBuf,
    /// The key-encryption key; voters only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_encryption_key: Option<PathBuf>,
    /// Seed of the log's key; voters only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
    /// The rollback guard, written by the node.
    pub guard: PathBuf,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawDisk {
    /// Its folder.
    pub path: PathBuf,
    /// How much of it may be used, such as `200GiB`; all of it where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<String>,
}

/// Raft's clocks; what is absent has its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RawRaft {
    /// Such as `250ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<String>,
    /// Such as `1s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub election_min: Option<String>,
    /// Such as `2s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub election_max: Option<String>,
    /// Entries after which a snapshot is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_after_entries: Option<u64>,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, an unknown or missing key, or a value of the wrong kind; the text names line and key.
    #[error("could not use {}: {detail}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// What the parser said.
        detail: String,
    },
    /// A value that cannot be.
    #[error("could not use {}: {key}: {what}", file.display())]
    Value {
        /// The file.
        file: PathBuf,
        /// The key, with its table.
        key: String,
        /// What is wrong and what would be right.
        what: String,
    },
}

/// A checked configuration. Every path is absolute or relative to the working directory.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node.
    pub node: NodeId,
    /// Folder of the metadata: `data-dir`/meta.
    pub meta_dir: PathBuf,
    /// Folder of this voter's shares of draws, until they are revealed: `data-dir`/draws.
    pub draws_dir: PathBuf,
    /// The cluster's genesis file.
    pub genesis: PathBuf,
    /// Its registration, for a node that joined later.
    pub registration: Option<PathBuf>,
    /// Where it listens.
    pub listen: Listen,
    /// Certificates.
    pub tls: RawTls,
    /// Seeds that every node has.
    pub keys: KeyPaths,
    /// Disks.
    pub disks: Vec<DiskConfig>,
    /// Raft's clocks.
    pub raft: RaftTiming,
    /// Entries after which a snapshot is written.
    pub snapshot_after: u64,
}

/// Where a node listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// For clients.
    pub client: SocketAddr,
    /// For peers.
    pub peer: SocketAddr,
    /// For Prometheus.
    pub metrics: Option<SocketAddr>,
}

/// Where the secrets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPaths {
    /// Cosigns checkpoints.
    pub cosigner: PathBuf,
    /// Signs clock readings.
    pub clock: PathBuf,
    /// What voters have besides.
    pub voter: Option<VoterKeyPaths>,
    /// The rollback guard.
    pub guard: PathBuf,
}

/// Where a voter's secrets are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterKeyPaths {
    /// The key-encryption key.
    pub kek: PathBuf,
    /// Seed of the log's key.
    pub log: PathBuf,
}

impl RawConfig {
    /// Reads the file's text, before it is checked.
    ///
    /// # Errors
    /// [`ConfigError`] where it cannot be read, or is not of this form.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(file).map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        toml::from_str(&text)
            .map_err(|error| ConfigError::Syntax { file: file.to_owned(), detail: error.to_string().trim().to_owned() })
    }

    /// The file's text.
    ///
    /// # Panics
    /// Never: everything here has a TOML form.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("paths and texts have a TOML form")
    }

    /// Checks every value, as of `file`.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for the first that cannot be.
    pub fn check(self, file: &Path) -> Result<Config, ConfigError> {
        let check = Check { file };
        check.that(self.node_id > 0, "node-id", || "nodes are counted from 1".to_owned())?;
        let raft = self.raft.unwrap_or_default();
        Ok(Config {
            node: NodeId(self.node_id),
            meta_dir: check.path(&self.data_dir).join("meta"),
            draws_dir: check.path(&self.data_dir).join("draws"),
            genesis: check.path(&self.genesis),
            registration: self.registration.as_deref().map(|path| check.path(path)),
            listen: check.listen(&self.listen)?,
            tls: check.tls(&self.tls),
            keys: check.keys(&self.keys)?,
            disks: check.disks(&self.disks)?,
            raft: check.timing(&raft)?,
            snapshot_after: check.snapshot_after(&raft)?,
        })
    }
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        RawConfig::read(file)?.check(file)
    }
}

/// Checks values and says which key is wrong.
struct Check<'a> {
    file: &'a Path,
}

impl Check<'_> {
    fn wrong(&self, key: impl Into<String>, what: impl Into<String>) -> ConfigError {
        ConfigError::Value { file: self.file.to_owned(), key: key.into(), what: what.into() }
    }

    fn that(&self, right: bool, key: &str, what: impl FnOnce() -> String) -> Result<(), ConfigError> {
        if right { Ok(()) } else { Err(self.wrong(key, what())) }
    }

    /// Relative paths are relative to the file.
    fn path(&self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or_else(|| Path::new("")).join(path)
    }

    fn listen(&self, raw: &RawListen) -> Result<Listen, ConfigError> {
        let address = |key: &str, text: &str| {
            text.parse::<SocketAddr>().map_err(|_| {
                self.wrong(key, format!("{text:?} is not an address to listen on: write IP:PORT, such as 0.0.0.0:7443"))
            })
        };
        let listen = Listen {
            client: address("listen.client", &raw.client)?,
            peer: address("listen.peer", &raw.peer)?,
            metrics: raw.metrics.as_deref().map(|text| address("listen.metrics", text)).transpose()?,
        };
        let used: Vec<_> = [Some(listen.client), Some(listen.peer), listen.metrics].into_iter().flatten().collect();
        let fixed: Vec<_> = used.iter().filter(|address| address.port() != 0).collect();
        let distinct: BTreeSet<_> = fixed.iter().collect();
        self.that(distinct.len() == fixed.len(), "listen", || "each port takes an address of its own".to_owned())?;
        Ok(listen)
    }

    fn tls(&self, raw: &RawTls) -> RawTls {
        RawTls {
            client_ca: self.path(&raw.client_ca),
            server_certificate: self.path(&raw.server_certificate),
            server_key: self.path(&raw.server_key),
            peer_ca: self.path(&raw.peer_ca),
            peer_certificate: self.path(&raw.peer_certificate),
            peer_key: self.path(&raw.peer_key),
        }
    }

    fn keys(&self, raw: &RawKeys) -> Result<KeyPaths, ConfigError> {
        let voter = match (&raw.key_encryption_key, &raw.log) {
            (Some(kek), Some(log)) => Some(VoterKeyPaths { kek: self.path(kek), log: self.path(log) }),
            (None, None) => None,
            (Some(_), None) => return Err(self.wrong("keys.log", "a voter has both key-encryption-key and log")),
            (None, Some(_)) => {
                return Err(self.wrong("keys.key-encryption-key", "a voter has both key-encryption-key and log"));
            }
        };
        Ok(KeyPaths {
            cosigner: self.path(&raw.cosigner),
            clock: self.path(&raw.clock),
            voter,
            guard: self.path(&raw.guard),
        })
    }

    fn disks(&self, raw: &[RawDisk]) -> Result<Vec<DiskConfig>, ConfigError> {
        let mut seen = BTreeSet::new();
        raw.iter()
            .enumerate()
            .map(|(position, disk)| {
                let key = |name: &str| format!("disk[{position}].{name}");
                let path = self.path(&disk.path);
                if !seen.insert(path.clone()) {
                    return Err(self.wrong(key("path"), "the same folder stands twice"));
                }
                let size = |text: &String| {
                    text.parse::<ByteSize>().map_err(|error| self.wrong(key("capacity"), error.to_string()))
                };
                let capacity = disk.capacity.as_ref().map(size).transpose()?;
                Ok(DiskConfig { path, capacity_bytes: capacity.map(|size| size.0) })
            })
            .collect()
    }

    fn timing(&self, raw: &RawRaft) -> Result<RaftTiming, ConfigError> {
        let default = RaftTiming::default();
        let span = |key: &str, text: &Option<String>, default: Duration| match text {
            None => Ok(default),
            Some(text) => match text.parse::<Span>() {
                Ok(Span(span)) if !span.is_zero() => Ok(span),
                Ok(_) => Err(self.wrong(key, "takes more than nothing")),
                Err(error) => Err(self.wrong(key, error.to_string())),
            },
        };
        let timing = RaftTiming {
            heartbeat: span("raft.heartbeat", &raw.heartbeat, default.heartbeat)?,
            election_min: span("raft.election-min", &raw.election_min, default.election_min)?,
            election_max: span("raft.election-max", &raw.election_max, default.election_max)?,
        };
        self.that(timing.election_min >= timing.heartbeat * 2, "raft.election-min", || {
            "must be at least two heartbeats: one late message is no reason for an election".to_owned()
        })?;
        self.that(timing.election_max > timing.election_min, "raft.election-max", || {
            "must be more than election-min: voters that stand at the same time split the vote".to_owned()
        })?;
        Ok(timing)
    }

    fn snapshot_after(&self, raw: &RawRaft) -> Result<u64, ConfigError> {
        let entries = raw.snapshot_after_entries.unwrap_or(5000);
        self.that((100..=1_000_000).contains(&entries), "raft.snapshot-after-entries", || {
            format!("{entries} is not between 100 and 1000000")
        })?;
        Ok(entries)
    }
}

#[cfg(test)]
mod tests;
