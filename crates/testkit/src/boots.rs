//! Machines that start again, as far as a node can tell: it reads another boot id than before. A preloaded library gives it
//! the one that lies in its own folder; clients have none there and read the kernel's.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cluster::Cluster;
use crate::shim;

const SOURCE: &str = include_str!("../shim/boot.c");

/// Compiles the library to preload into `own`, a folder that is made.
///
/// # Panics
/// Where the machine has no C compiler, or the folder cannot be written.
#[must_use]
pub fn library(own: &Path) -> PathBuf {
    fs::create_dir_all(own).expect("a folder");
    shim::compile(&own.join("boot.c"), SOURCE, &own.join("boot.so"), &["-ldl"]);
    own.join("boot.so")
}

/// Gives a node the boot id of its `boot`th start, which it reads when it is started next.
///
/// # Panics
/// Where its folder cannot be written.
pub fn set_boot(cluster: &Cluster, node: &str, boot: u32) {
    let text = format!("{boot:08x}-0000-4000-8000-000000000000\n");
    fs::write(cluster.file(&format!("nodes/{node}/boot-id")), text).expect("writes a boot id");
}
