//! `strongroom copy-out`: the only command that writes footage to a file.

use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use strongroom_client::{CopiedItem, CopyOutProgress};
use strongroom_types::RequestId;

use crate::failure::Failure;
use crate::output::{Output, short_size};
use crate::session::{Globals, Usual};

/// What to copy out. Run again after it broke off, it goes on and spends no second use.
#[derive(Debug, Args)]
pub(crate) struct CopyOut {
    /// Such as REQ-1
    request: RequestId,
    /// Folder to write to
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

impl CopyOut {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let output = globals.output();
        let client = globals.client(Usual::Archivist)?;
        let mut bars = Bars::new(output);
        let copied = client.copy_out(self.request, &self.to, |progress| bars.tell(&progress)).await;
        bars.finish();
        let copied = copied?;
        let json = json!({
            "request": copied.request.to_string(),
            "session": copied.session.to_string(),
            "begun": copied.begun.0,
            "ended": copied.ended.0,
            "items": copied.items.iter().map(item_json).collect::<Vec<_>>(),
        });
        output.show(&json, |page| {
            let row = |item: &CopiedItem| {
                vec![item.item.to_string(), short_size(item.size_bytes), item.path.display().to_string()]
            };
            page.table(&["item", "size", "file"], &copied.items.iter().map(row).collect::<Vec<_>>());
        })
    }
}

/// A bar for each file, one after another.
pub(super) struct Bars {
    output: Output,
    current: Option<(usize, ProgressBar)>,
}

impl Bars {
    pub(super) const fn new(output: Output) -> Self {
        Self { output, current: None }
    }

    pub(super) fn tell(&mut self, progress: &CopyOutProgress) {
        let bar = match self.current.take() {
            Some((index, bar)) if index == progress.index => bar,
            earlier => {
                if let Some((_, bar)) = earlier {
                    bar.finish_and_clear();
                }
                let name = format!("{}/{} {}", progress.index + 1, progress.count, progress.name);
                self.output.bar(&name, progress.total_bytes)
            }
        };
        bar.set_position(progress.done_bytes);
        self.current = Some((progress.index, bar));
    }

    pub(super) fn finish(self) {
        if let Some((_, bar)) = self.current {
            bar.finish_and_clear();
        }
    }
}

pub(super) fn item_json(item: &CopiedItem) -> Value {
    json!({
        "item": item.item.to_string(),
        "path": item.path.display().to_string(),
        "size_bytes": item.size_bytes,
        "blake3": item.blake3.to_string(),
        "sha256": item.sha256.to_string(),
        "receipt": item.receipt.as_ref().map(|path| path.display().to_string()),
    })
}
