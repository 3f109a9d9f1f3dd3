//! This voter's shares of draws, kept on disk from before they are committed to until the draw has ended.
//!
//! A share that is lost makes a draw void in this voter's name, so it is durable before its commitment leaves; one that
//! is known early lets whoever knows it choose a sample, so only the node may read the folder.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use strongroom_types::{DrawDigest, DrawId, DrawShare};

/// A share that could not be kept.
#[derive(Debug, thiserror::Error)]
#[error("could not {act} {}: {source}", path.display())]
pub(crate) struct ShareError {
    act: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// The folder of the shares.
#[derive(Debug)]
pub(crate) struct DrawShares {
    folder: PathBuf,
}

impl DrawShares {
    /// Opens the folder, or makes it.
    pub(crate) fn open(folder: &Path) -> Result<Self, ShareError> {
        if !folder.is_dir() {
            DirBuilder::new().mode(0o700).recursive(true).create(folder).map_err(failed("create", folder))?;
            let parent = folder.parent().unwrap_or(folder);
            sync(parent).map_err(failed("sync", parent))?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// The share of a draw, where one is kept.
    pub(crate) fn share(&self, draw: DrawId, digest: DrawDigest) -> Result<Option<DrawShare>, ShareError> {
        let path = self.path(draw, digest);
        match fs::read_to_string(&path) {
            Ok(text) => {
                text.trim().parse().map(Some).map_err(|error| {
                    failed("read", &path)(io::Error::new(io::ErrorKind::InvalidData, format!("{error}")))
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Keeps a share that was just drawn, durable when this returns. A share that is kept already stays.
    pub(crate) fn keep(&self, draw: DrawId, digest: DrawDigest, fresh: DrawShare) -> Result<DrawShare, ShareError> {
        if let Some(kept) = self.share(draw, digest)? {
            return Ok(kept);
        }
        let path = self.path(draw, digest);
        let draft = path.with_extension("tmp");
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.write_all(format!("{fresh}\n").as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            sync(&self.folder)
        };
        write().map_err(failed("write", &path))?;
        Ok(fresh)
    }

    /// Draws whose shares are kept.
    pub(crate) fn kept(&self) -> Result<Vec<(DrawId, DrawDigest)>, ShareError> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed("read", &self.folder))? {
            let name = entry.map_err(failed("read", &self.folder))?.file_name();
            kept.extend(name.to_str().and_then(named));
        }
        Ok(kept)
    }

    /// Forgets the share of a draw that has ended.
    pub(crate) fn forget(&self, draw: DrawId, digest: DrawDigest) -> Result<(), ShareError> {
        let path = self.path(draw, digest);
        fs::remove_file(&path).map_err(failed("remove", &path))
    }

    /// The digest is in the name: a share is of one draw in one history, whatever number that has in another.
    fn path(&self, draw: DrawId, digest: DrawDigest) -> PathBuf {
        self.folder.join(format!("{draw}_{digest}"))
    }
}

fn named(name: &str) -> Option<(DrawId, DrawDigest)> {
    let (draw, digest) = name.split_once('_')?;
    Some((draw.parse().ok()?, digest.parse().ok()?))
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn failed(act: &'static str, path: &Path) -> impl Fn(io::Error) -> ShareError {
    let path = path.to_owned();
    move |source| ShareError { act, path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const DRAW: DrawId = DrawId(7);
    const DIGEST: DrawDigest = DrawDigest::new([0xd7; 32]);
    const SHARE: DrawShare = DrawShare::new([5; 32]);

    #[test]
    fn a_share_outlives_a_restart_and_is_never_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().join("data/draws");
        let shares = DrawShares::open(&at).expect("opens");
        assert_eq!(shares.share(DRAW, DIGEST).expect("reads"), None);
        assert_eq!(shares.keep(DRAW, DIGEST, SHARE).expect("keeps"), SHARE);
        drop(shares);
        let shares = DrawShares::open(&at).expect("opens again");
        assert_eq!(shares.keep(DRAW, DIGEST, DrawShare::new([6; 32])).expect("keeps"), SHARE);
        assert_eq!(shares.kept().expect("reads"), [(DRAW, DIGEST)]);
        let other = DrawDigest::new([0xd8; 32]);
        assert_eq!(shares.share(DRAW, other).expect("reads"), None, "of another history");
        shares.forget(DRAW, DIGEST).expect("forgets");
        assert_eq!((shares.kept().expect("reads"), shares.share(DRAW, DIGEST).expect("reads")), (vec![], None));
    }

    #[test]
    fn nobody_else_reads_a_share_and_a_torn_one_is_no_share() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().join("draws");
        let shares = DrawShares::open(&at).expect("opens");
        shares.keep(DRAW, DIGEST, SHARE).expect("keeps");
        let path = shares.path(DRAW, DIGEST);
        let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
        assert_eq!((mode(&at), mode(&path)), (0o700, 0o600));
        fs::write(&path, "0505").expect("writes");
        assert!(shares.share(DRAW, DIGEST).is_err(), "a share that does not read is not drawn anew");
        assert!(shares.keep(DRAW, DIGEST, SHARE).is_err());
    }
}
