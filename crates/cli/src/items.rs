//! Items as many commands take them: one by one, or from a file with one id a line.

use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use strongroom_types::ItemId;

use crate::failure::Failure;

/// Items of a command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct Items {
    /// Item; say it again for each
    #[arg(long = "item", value_name = "ITEM")]
    items: Vec<ItemId>,
    /// File with one item a line; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    items_from: Option<PathBuf>,
}

impl Items {
    #[cfg(test)]
    pub(crate) const fn of(items: Vec<ItemId>) -> Self {
        Self { items, items_from: None }
    }

    /// All of them, in order and each once; at least one.
    pub(crate) fn read(self) -> Result<Vec<ItemId>, Failure> {
        let items = self.read_if_any()?;
        if items.is_empty() {
            return Err(Failure::usage("no item is named").hint("say --item ITEM or --items-from FILE"));
        }
        Ok(items)
    }

    /// All of them, in order and each once; there may be none.
    pub(crate) fn read_if_any(self) -> Result<Vec<ItemId>, Failure> {
        let mut items = self.items;
        if let Some(path) = self.items_from {
            let reader: Box<dyn io::Read> = if path.as_os_str() == "-" {
                Box::new(io::stdin())
            } else {
                Box::new(std::fs::File::open(&path).map_err(Failure::file("read", &path))?)
            };
            for (line, number) in BufReader::new(reader).lines().zip(1..) {
                let line = line.map_err(Failure::file("read", &path))?;
                if line.trim().is_empty() {
                    continue;
                }
                let item = line.trim().parse();
                items.push(item.map_err(|error| Failure::usage(format!("{}:{number}: {error}", path.display())))?);
            }
        }
        let mut seen = std::collections::HashSet::new();
        items.retain(|item| seen.insert(*item));
        Ok(items)
    }
}

/// An item's id as it goes on the wire.
pub(crate) fn wire(item: &ItemId) -> Bytes {
    Bytes::copy_from_slice(item.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_from_options_and_files_each_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("items");
        let item = |number| ItemId::new([number; 16]);
        std::fs::write(&path, format!("{}\n\n {} \n", item(2), item(1))).expect("writes");
        let named = Items { items: vec![item(1)], items_from: Some(path.clone()) };
        assert_eq!(named.read().expect("items"), [item(1), item(2)]);
        std::fs::write(&path, "not an item\n").expect("writes");
        let failure = Items { items: Vec::new(), items_from: Some(path) }.read().expect_err("no item");
        assert_eq!(failure.exit_code(), 2);
        assert_eq!(Items::default().read().expect_err("none").exit_code(), 2);
    }
}
