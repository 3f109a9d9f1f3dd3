//! The folder of a local cluster: what lies where, and `dev.toml`, which says which nodes there are.
//!
//! ```text
//!  D/dev.toml context.toml genesis.cbor policy.tlog-policy
//!  D/pki/{client-ca,peer-ca}.{pem,key}      D/identities/NAME.{pem,key}      D/recovery-shares/share-N.txt
//!  D/nodes/nN/{node.toml,tls/,keys/,data/,disk0/,node.log,pid}
//! ```

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_client::Context;

use crate::failure::Failure;

const DEV_FILE: &str = "dev.toml";

/// `dev.toml`. Written last: where it is, the cluster was made completely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct DevFile {
    /// The cluster's id.
    pub(crate) cluster: String,
    /// The widest scheme.
    pub(crate) scheme: String,
    /// The nodes, in order.
    #[serde(rename = "node")]
    pub(crate) nodes: Vec<DevNode>,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct DevNode {
    /// Such as `n1`.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) district: String,
    /// Whether it began as a voter.
    pub(crate) voter: bool,
    /// Port for clients.
    pub(crate) client: String,
    /// Port for peers.
    pub(crate) peer: String,
    /// Port for Prometheus.
    pub(crate) metrics: String,
}

/// A local cluster, by its folder.
#[derive(Clone, Debug)]
pub(crate) struct DevFolder {
    root: PathBuf,
    /// What the folder's `dev.toml` says.
    pub(crate) file: DevFile,
}

impl DevFolder {
    /// Whether there is a complete cluster in `root`.
    pub(crate) fn exists(root: &Path) -> bool {
        root.join(DEV_FILE).exists()
    }

    /// The cluster in `root`.
    pub(crate) fn open(root: &Path) -> Result<Self, Failure> {
        let path = root.join(DEV_FILE);
        let hint = "`strongroom dev up --dir D` makes one";
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failure::file("read", &path)(error).hint(hint.to_owned()))?;
        let file = toml::from_str(&text)
            .map_err(|error| Failure::failed(format!("could not understand {}: {error}", path.display())))?;
        let root = root.canonicalize().map_err(Failure::file("open", root))?;
        Ok(Self { root, file })
    }

    /// Writes `dev.toml`, in place of one that is there: the cluster is complete.
    pub(crate) fn complete(root: &Path, file: DevFile) -> Result<Self, Failure> {
        let (path, draft) = (root.join(DEV_FILE), root.join("dev.toml.new"));
        let text = toml::to_string(&file).expect("names and addresses have a TOML form");
        std::fs::write(&draft, text).map_err(Failure::file("write", &draft))?;
        std::fs::rename(&draft, &path).map_err(Failure::file("write", &path))?;
        Ok(Self { root: root.to_owned(), file })
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The context file.
    pub(crate) fn context_file(&self) -> PathBuf {
        self.root.join("context.toml")
    }

    /// The policy file.
    pub(crate) fn policy_file(&self) -> PathBuf {
        self.root.join("policy.tlog-policy")
    }

    /// The context.
    pub(crate) fn context(&self) -> Result<Context, Failure> {
        Ok(Context::load(&self.context_file())?)
    }

    /// The nodes, in order.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeFolder<'_>> {
        self.file.nodes.iter().map(|node| NodeFolder { path: self.root.join("nodes").join(&node.name), node })
    }

    /// The node of this name.
    pub(crate) fn node(&self, name: &str) -> Result<NodeFolder<'_>, Failure> {
        self.nodes().find(|node| node.node.name == name).ok_or_else(|| {
            let known: Vec<_> = self.file.nodes.iter().map(|node| node.name.as_str()).collect();
            Failure::usage(format!("there is no node {name:?}: there are {}", known.join(", ")))
        })
    }
}

/// One node's folder.
#[derive(Clone, Debug)]
pub(crate) struct NodeFolder<'a> {
    /// The folder.
    pub(crate) path: PathBuf,
    /// What `dev.toml` says of it.
    pub(crate) node: &'a DevNode,
}

impl NodeFolder<'_> {
    /// Its configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.path.join("node.toml")
    }

    /// What it says on stdout and stderr.
    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("node.log")
    }

    /// Where its process id is.
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.path.join("pid")
    }

    /// Its disk.
    pub(crate) fn disk(&self) -> PathBuf {
        self.path.join("disk0")
    }

    /// The end of its log, for a message.
    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].iter().map(|line| format!("\n  {line}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let node = DevNode {
            name: "n1".to_owned(),
            district: "d1".to_owned(),
            voter: true,
            client: "127.0.0.1:1".to_owned(),
            peer: "127.0.0.1:2".to_owned(),
            metrics: "127.0.0.1:3".to_owned(),
        };
        let file = DevFile { cluster: "00".repeat(16), scheme: "4+2".to_owned(), nodes: vec![node] };
        assert!(!DevFolder::exists(folder.path()));
        assert_eq!(DevFolder::open(folder.path()).expect_err("nothing there").exit_code(), 1);
        DevFolder::complete(folder.path(), file.clone()).expect("writes");
        let opened = DevFolder::open(folder.path()).expect("opens");
        assert_eq!(opened.file, file);
        assert!(opened.node("n1").expect("there").config().ends_with("nodes/n1/node.toml"));
        assert_eq!(opened.node("n2").expect_err("absent").exit_code(), 2);
    }
}
