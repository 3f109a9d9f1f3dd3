//! The newest entries of the log, in memory: what was appended a moment ago is asked for once by each replication
//! stream and once by the state machine, and none of them needs the disk or another thread for it.
//!
//! Holds only what the log store has synced, without gaps, up to a bound in bytes; an entry that is cut from the log or
//! purged is gone from here before that is answered. What is not here is on the disk.

use std::collections::VecDeque;

use crate::raft::Entry;

/// Stored bytes of the entries that are kept.
const BYTES_MAX: usize = 4 << 20;

/// The newest entries, by index.
#[derive(Debug, Default)]
pub(crate) struct RecentEntries {
    entries: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    entry: Entry,
    stored_bytes: usize,
}

impl RecentEntries {
    /// Takes an entry that was appended, and lets the oldest go.
    pub(crate) fn push(&mut self, entry: Entry, stored_bytes: usize) {
        let index = entry.log_id.index;
        if self.entries.back().is_some_and(|last| last.entry.log_id.index + 1 != index) {
            self.clear();
        }
        self.bytes += stored_bytes;
        self.entries.push_back(Kept { entry, stored_bytes });
        while self.bytes > BYTES_MAX {
            self.drop_first();
        }
    }

    /// Lets go of what is cut off: everything from `from` on.
    pub(crate) fn truncate(&mut self, from: u64) {
        while let Some(last) = self.entries.pop_back_if(|last| last.entry.log_id.index >= from) {
            self.bytes -= last.stored_bytes;
        }
    }

    /// Lets go of what is purged: everything up to `upto`.
    pub(crate) fn purge(&mut self, upto: u64) {
        while self.first_index().is_some_and(|first| first <= upto) {
            self.drop_first();
        }
    }

    /// The entries with index in `[start, end)`, as many as fit into `bytes_max` but at least one; none where the
    /// first of them is not here.
    pub(crate) fn range(&self, start: u64, end: u64, bytes_max: usize) -> Option<Vec<Entry>> {
        let skipped = usize::try_from(start.checked_sub(self.first_index()?)?).ok()?;
        let mut bytes_total = 0_usize;
        let mut entries = Vec::new();
        for Kept { entry, stored_bytes } in self.entries.iter().skip(skipped) {
            bytes_total = bytes_total.saturating_add(*stored_bytes);
            if entry.log_id.index >= end || (bytes_total > bytes_max && !entries.is_empty()) {
                break;
            }
            entries.push(entry.clone());
        }
        (!entries.is_empty()).then_some(entries)
    }

    fn first_index(&self) -> Option<u64> {
        self.entries.front().map(|first| first.entry.log_id.index)
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.entries.pop_front() {
            self.bytes -= first.stored_bytes;
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use openraft::CommittedLeaderId;

    use super::*;
    use crate::raft::{Batch, LogId, Opaque, Payload};

    fn entry(index: u64, term: u64) -> Entry {
        let command = Opaque(Bytes::copy_from_slice(&index.to_be_bytes()));
        Entry {
            log_id: LogId::new(CommittedLeaderId::new(term, 1), index),
            payload: Payload::Normal(Batch::new(vec![command])),
        }
    }

    fn range(recent: &RecentEntries, start: u64, end: u64, bytes_max: usize) -> Option<Vec<(u64, u64)>> {
        let entries = recent.range(start, end, bytes_max)?;
        Some(entries.iter().map(|entry| (entry.log_id.index, entry.log_id.leader_id.term)).collect())
    }

    #[test]
    fn a_range_is_served_whole_from_its_first_entry_on_or_not_at_all() {
        let mut recent = RecentEntries::default();
        (5..9).for_each(|index| recent.push(entry(index, 1), 10));
        for (start, end, bytes_max, expected) in [
            (5, 9, usize::MAX, Some(vec![5, 6, 7, 8])),
            (6, 8, usize::MAX, Some(vec![6, 7])),
            (7, 99, usize::MAX, Some(vec![7, 8])),
            (5, 9, 20, Some(vec![5, 6])),
            (5, 9, 1, Some(vec![5])),
            (4, 9, usize::MAX, None),
            (9, 12, usize::MAX, None),
            (6, 6, usize::MAX, None),
        ] {
            let found = range(&recent, start, end, bytes_max);
            let found = found.map(|found| found.into_iter().map(|(index, _)| index).collect::<Vec<_>>());
            assert_eq!(found, expected, "{start} to {end}, {bytes_max} bytes");
        }
    }

    #[test]
    fn what_is_cut_off_or_purged_is_gone_and_its_place_can_be_taken() {
        let mut recent = RecentEntries::default();
        (1..6).for_each(|index| recent.push(entry(index, 1), 10));
        recent.truncate(4);
        recent.push(entry(4, 2), 10);
        assert_eq!(range(&recent, 3, 9, usize::MAX), Some(vec![(3, 1), (4, 2)]));
        recent.purge(3);
        assert_eq!(range(&recent, 3, 9, usize::MAX), None);
        assert_eq!(range(&recent, 4, 9, usize::MAX), Some(vec![(4, 2)]));
        recent.purge(9);
        assert_eq!((recent.entries.len(), recent.bytes), (0, 0));
    }

    #[test]
    fn a_gap_and_the_bound_let_older_entries_go() {
        let mut recent = RecentEntries::default();
        recent.push(entry(1, 1), 10);
        recent.push(entry(7, 1), 10);
        assert_eq!(range(&recent, 1, 9, usize::MAX), None);
        recent.push(entry(8, 1), BYTES_MAX);
        assert_eq!(range(&recent, 7, 9, usize::MAX), None);
        assert_eq!(range(&recent, 8, 9, usize::MAX), Some(vec![(8, 1)]));
    }
}
