//! The context file: which cluster, where, and as whom.
//!
//! TOML with kebab-case keys; unknown keys are refused, so that a misspelt one is not silently ignored. Relative paths
//! are relative to the file. It holds paths of keys, never keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_types::ClusterId;

/// Why a context cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The file could not be read.
    #[error("could not read the context file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not what a context file is.
    #[error("could not understand the context file {path}: {detail}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        detail: String,
    },
    /// No identity was asked for and the file has no default.
    #[error("the context names no default identity: say --as NAME, one of {known}", known = known.join(", "))]
    NoDefault {
        /// The names that it has.
        known: Vec<String>,
    },
    /// An identity that the file does not have.
    #[error("the context has no identity {name:?}: it has {known}", known = known.join(", "))]
    UnknownIdentity {
        /// As asked.
        name: String,
        /// The names that it has.
        known: Vec<String>,
    },
}

/// The file as it is written: for tools that make one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ContextFile {
    /// The cluster's id, 32 hexadecimal digits.
    pub cluster: String,
    /// Client ports of nodes, `HOST:PORT`; tried in this order.
    pub endpoints: Vec<String>,
    /// The client authority's certificate: what a node must show.
    pub ca: PathBuf,
    /// The `.tlog-policy` by which receipts are judged, got from somewhere else than the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PathBuf>,
    /// Who acts where nobody is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_identity: Option<String>,
    /// The name that nodes' certificates carry, where it is not the endpoint's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Certificates and keys by name.
    #[serde(default)]
    pub identities: BTreeMap<String, IdentityFiles>,
}

/// Where an identity's certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IdentityFiles {
    /// PEM file of the certificate.
    pub certificate: PathBuf,
    /// PEM file of the private key.
    pub key: PathBuf,
}

/// A context that makes sense, with its paths resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The cluster's id.
    pub cluster: ClusterId,
    /// Client ports of nodes; at least one.
    pub endpoints: Vec<String>,
    /// The client authority's certificate.
    pub authority: PathBuf,
    /// The policy file, where there is one.
    pub policy: Option<PathBuf>,
    /// The name that nodes' certificates carry, where it is not the endpoint's host.
    pub server_name: Option<String>,
    default_identity: Option<String>,
    identities: BTreeMap<String, IdentityFiles>,
}

impl Context {
    /// Reads a context file.
    ///
    /// # Errors
    /// [`ContextError`] where it cannot be read or makes no sense.
    pub fn load(path: &Path) -> Result<Self, ContextError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ContextError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// A context from the text of the file at `path`.
    ///
    /// # Errors
    /// [`ContextError::Malformed`] where it makes no sense.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ContextError> {
        let malformed = |detail: String| ContextError::Malformed { path: path.to_owned(), detail };
        let file: ContextFile = toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
        Self::resolve(file, path).map_err(malformed)
    }

    fn resolve(file: ContextFile, path: &Path) -> Result<Self, String> {
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        if file.endpoints.is_empty() {
            return Err("endpoints is empty: name the client port of at least one node".to_owned());
        }
        if let Some(name) = &file.default_identity
            && !file.identities.contains_key(name)
        {
            return Err(format!("default-identity {name:?} is not among the identities"));
        }
        let identities = file.identities.into_iter().map(|(name, files)| {
            (name, IdentityFiles { certificate: folder.join(files.certificate), key: folder.join(files.key) })
        });
        Ok(Self {
            cluster: file.cluster.parse().map_err(|error| format!("cluster: {error}"))?,
            endpoints: file.endpoints,
            authority: folder.join(file.ca),
            policy: file.policy.map(|policy| folder.join(policy)),
            server_name: file.server_name,
            default_identity: file.default_identity,
            identities: identities.collect(),
        })
    }

    /// The identity of this name, or the default one, with its name.
    ///
    /// # Errors
    /// [`ContextError::UnknownIdentity`] or [`ContextError::NoDefault`].
    pub fn identity(&self, name: Option<&str>) -> Result<(&str, &IdentityFiles), ContextError> {
        let known = || self.identities.keys().cloned().collect();
        let name =
            name.or(self.default_identity.as_deref()).ok_or_else(|| ContextError::NoDefault { known: known() })?;
        match self.identities.get_key_value(name) {
            Some((name, files)) => Ok((name, files)),
            None => Err(ContextError::UnknownIdentity { name: name.to_owned(), known: known() }),
        }
    }

    /// The names of all identities.
    pub fn identity_names(&self) -> impl Iterator<Item = &str> {
        self.identities.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
cluster = "01010101010101010101010101010101"
endpoints = ["127.0.0.1:7443", "node.example:7443"]
ca = "pki/client-ca.pem"
policy = "/etc/strongroom/city.tlog-policy"
default-identity = "legal"

[identities.legal]
certificate = "pki/legal.pem"
key = "pki/legal.key"

[identities.station]
certificate = "/run/station.pem"
key = "/run/station.key"
"#;

    fn parse(text: &str) -> Result<Context, ContextError> {
        Context::parse(text, Path::new("/srv/dev/context.toml"))
    }

    #[test]
    fn relative_paths_are_relative_to_the_file() {
        let context = parse(GOOD).expect("good");
        assert_eq!(context.cluster, ClusterId::new([1; 16]));
        assert_eq!(context.authority, Path::new("/srv/dev/pki/client-ca.pem"));
        assert_eq!(context.policy.as_deref(), Some(Path::new("/etc/strongroom/city.tlog-policy")));
        let (name, files) = context.identity(None).expect("the default");
        assert_eq!((name, files.key.as_path()), ("legal", Path::new("/srv/dev/pki/legal.key")));
        let (_, files) = context.identity(Some("station")).expect("named");
        assert_eq!(files.certificate, Path::new("/run/station.pem"));
    }

    #[test]
    fn a_file_that_a_tool_writes_reads_back() {
        let file: ContextFile = toml::from_str(GOOD).expect("good");
        let written = toml::to_string(&file).expect("writes");
        assert_eq!(parse(&written).expect("good"), parse(GOOD).expect("good"));
    }

    #[test]
    fn mistakes_are_refused_with_their_place() {
        for (from, to, says) in [
            ("default-identity", "default_identity", "unknown field"),
            ("\"legal\"", "\"boss\"", "boss"),
            ("0101\"", "01\"", "32 hexadecimal digits"),
            ("[\"127.0.0.1:7443\", \"node.example:7443\"]", "[]", "at least one node"),
            ("key = \"pki/legal.key\"", "", "missing field"),
        ] {
            let error = parse(&GOOD.replacen(from, to, 1)).expect_err(to).to_string();
            assert!(error.contains(says) && error.contains("/srv/dev/context.toml"), "{error}");
        }
    }

    #[test]
    fn an_unknown_identity_is_answered_with_the_known_ones() {
        let context = parse(GOOD).expect("good");
        let error = context.identity(Some("boss")).expect_err("unknown").to_string();
        assert!(error.contains("legal, station"), "{error}");
        let context = parse(&GOOD.replace("default-identity = \"legal\"", "")).expect("good");
        assert!(matches!(context.identity(None), Err(ContextError::NoDefault { .. })));
    }
}
