//! The repository as text: every file that people write, with its path from the root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// Folders below the root that hold what people write.
const FOLDERS: [&str; 13] = [
    ".cargo", ".ci", ".config", "benches", "crates", "deploy", "docs", "fuzz", "profiles", "proto", "scripts", "tests",
    "xtask",
];

/// A text file.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// From the root, with forward slashes.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl SourceFile {
    /// A file made up for a test.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The path's last part.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// Everything the checks look at.
#[derive(Debug)]
pub struct Repository {
    /// All text files, by path.
    pub files: Vec<SourceFile>,
    /// What `cargo metadata` says of the workspace's own packages.
    pub metadata: serde_json::Value,
}

impl Repository {
    /// The repository that this program was built from.
    ///
    /// # Errors
    /// Where a file cannot be read or `cargo metadata` fails.
    pub fn here() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the repository")?;
        let mut paths = files_of(root)?;
        for folder in FOLDERS {
            collect(&root.join(folder), &mut paths)?;
        }
        paths.sort();
        let mut files = Vec::new();
        for path in paths {
            let bytes = fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
            // What is not text (an image in the documentation) is none of ours.
            if let Ok(text) = String::from_utf8(bytes) {
                let path = path.strip_prefix(root).context("below the root")?;
                files.push(SourceFile { path: path.to_string_lossy().replace('\\', "/"), text });
            }
        }
        Ok(Self { files, metadata: metadata(root)? })
    }
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    paths.extend(files_of(folder)?);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name() != "target" {
            collect(&entry.path(), paths)?;
        }
    }
    Ok(())
}

fn metadata(root: &Path) -> Result<serde_json::Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output()
        .context("could not run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("could not read the answer of cargo metadata")
}
