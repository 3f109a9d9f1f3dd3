//! Every bound in one place. Two that depend on each other are checked when this crate compiles.

/// Plain bytes of an original in one chunk. A power of two, so that a chunk is a whole BLAKE3 subtree.
pub const CHUNK_BYTES: usize = 4 << 20;
/// Bytes of an original between two committed steps of progress.
pub const PROGRESS_BYTES: u64 = 64 << 20;
/// Chunks between two committed steps of progress.
pub const PROGRESS_CHUNKS: usize = 16;
/// Largest original in bytes: 1 TiB.
pub const ORIGINAL_BYTES_MAX: u64 = 1 << 40;
/// Largest original that may open, upload and seal in one call.
pub const SMALL_ORIGINAL_BYTES_MAX: usize = 1 << 20;
/// Footage bytes in one message of a stream.
pub const MESSAGE_DATA_BYTES: usize = 1 << 20;
/// Largest gRPC message that a server or client takes.
pub const MESSAGE_BYTES_MAX: usize = 6 << 20;
/// Largest name in bytes (a unit's or person's name, a case number).
pub const NAME_BYTES_MAX: usize = 128;
/// Largest label value, reason or field text in bytes.
pub const TEXT_BYTES_MAX: usize = 4096;
/// Most labels on an item and most fields on a request.
pub const LABELS_MAX: usize = 64;
/// Most items in one request.
pub const REQUEST_ITEMS_MAX: usize = 1000;
/// Most items that one command binds, holds or corrects; a client takes a longer list apart.
pub const BATCH_ITEMS_MAX: usize = 1000;
/// Most extensions, and most long-term triggers, that one item keeps.
pub const ITEM_MARKS_MAX: usize = 100;
/// Most times that one case is archived.
pub const CASE_ARCHIVES_MAX: usize = 100;
/// Most cases, and most queries, in the scope of one hold.
pub const HOLD_SCOPES_MAX: usize = 100;
/// Most holds by query that stand at once: each is asked about every item that is looked at.
pub const QUERY_HOLDS_MAX: usize = 200;
/// A first of two steps waits this long for the second.
pub const SECOND_STEP_MS: i64 = 30 * 24 * 3600 * 1000;
/// An approved correction can be withdrawn for this long, by the compliance clock.
pub const CORRECTION_MS: i64 = 7 * 24 * 3600 * 1000;
/// Most outages of the compliance clock that one correction names.
pub const OUTAGES_CORRECTED_MAX: usize = 16;
/// Most time that one tick of the compliance clock credits; what passed beyond it counts as an outage.
pub const CLOCK_GAP_MS_MAX: i64 = 60 * 1000;
/// Most by which a trial clock is set ahead at once: a hundred years.
pub const CLOCK_ADVANCE_MS_MAX: i64 = 100 * 366 * 24 * 3600 * 1000;
/// Most items in one batch of a disposal.
pub const DISPOSAL_ITEMS_MAX: usize = 1000;
/// Most things that one committed decision lets disks erase.
pub const ERASE_TARGETS_MAX: usize = 1000;
/// Largest basis of one item in a batch in bytes.
pub const BASIS_BYTES_MAX: usize = 512;
/// Compliance time that a proposed disposal waits for objections before it can be approved.
pub const DISPOSAL_COOLING_MS: i64 = 7 * 24 * 3600 * 1000;
/// Most items in one removal: its record holds the digests of all of them.
pub const REMOVAL_ITEMS_MAX: usize = 100;
/// Most copies that one removal lists.
pub const COPIES_MAX: usize = 500;
/// The furthest that compliance time and wall clocks may be apart, outages taken off, before disposal freezes.
pub const CLOCK_APART_MS_MAX: i64 = 24 * 3600 * 1000;
/// Most rows of disposed items that one command sweeps.
pub const SWEEP_ROWS_MAX: usize = 1000;
/// Most versions of one profile.
pub const PROFILE_VERSIONS_MAX: usize = 200;
/// Most rows in one page of a list.
pub const PAGE_ROWS_MAX: usize = 1000;
/// Most data shards of a scheme.
pub const DATA_SHARDS_MAX: u8 = 16;
/// Most parity shards of a scheme.
pub const PARITY_SHARDS_MAX: u8 = 4;
/// Records in a shard store and reads past its cache are aligned to this.
pub const DISK_BLOCK_BYTES: u64 = 4096;
/// Size of a segment file.
pub const SEGMENT_BYTES: u64 = 1 << 30;
/// Share of a disk, in percent, kept back for tombstones, index and erase.
pub const DISK_RESERVE_PERCENT: u64 = 5;
/// User bytes after which a volume is closed.
pub const VOLUME_BYTES_MAX: u64 = 256 << 30;
/// Chunks of one upload that a gateway holds at once.
pub const UPLOAD_CHUNKS_IN_FLIGHT: usize = 4;
/// Chunks that one gateway holds at once for all uploads and reads.
pub const GATEWAY_CHUNKS_IN_FLIGHT: usize = 24;
/// Chunks that count already and that one gateway holds for shards which come late.
pub const GATEWAY_LATE_CHUNKS: usize = 8;
/// Uploads that one node has open at once. Each may hold the beginning of a chunk.
pub const UPLOAD_STREAMS_MAX: usize = 48;
/// Those of one caller.
pub const UPLOAD_STREAMS_PER_CALLER_MAX: usize = 32;
/// Reads of footage that one node has open at once. Each may hold three chunks that its reader has not taken yet.
pub const READ_STREAMS_MAX: usize = 24;
/// Those of one caller.
pub const READ_STREAMS_PER_CALLER_MAX: usize = 12;
/// A read ends when its reader takes nothing for this long.
pub const READ_STALL_MS: u64 = 60 * 1000;
/// An upload without progress for this long is expired.
pub const UPLOAD_EXPIRY_MS: i64 = 7 * 24 * 3600 * 1000;
/// An idempotency key is remembered for this long.
pub const IDEMPOTENCY_MS: i64 = 7 * 24 * 3600 * 1000;
/// A ticket to read is good for this long on one node.
pub const TICKET_MS: i64 = 15 * 60 * 1000;
/// A ticket rechecks revocation this often.
pub const TICKET_RECHECK_MS: i64 = 30 * 1000;
/// Commands in one Raft entry.
pub const BATCH_COMMANDS_MAX: usize = 256;
/// Bytes of commands in one Raft entry.
pub const BATCH_BYTES_MAX: usize = 2 << 20;
/// Commands waiting for the proposer of one node.
pub const PROPOSER_QUEUE: usize = 4096;
/// Most items of an activity that are looked at together.
pub const ACTIVITY_ITEMS_MAX: usize = 1000;
/// Most officers of an activity.
pub const ACTIVITY_OFFICERS_MAX: usize = 64;
/// Most expected angles of an activity.
pub const ACTIVITY_ANGLES_MAX: usize = 32;
/// Most phases of an activity.
pub const ACTIVITY_PHASES_MAX: usize = 64;
/// Most corrections of an activity, and most values that one of its instants is given.
pub const ACTIVITY_CORRECTIONS_MAX: usize = 64;
/// Most interruption records of an activity.
pub const ACTIVITY_INTERRUPTIONS_MAX: usize = 200;
/// Most exemptions of an activity.
pub const ACTIVITY_EXEMPTIONS_MAX: usize = 16;
/// Most statements that are filed afterwards with one interruption or exemption.
pub const STATEMENTS_MAX: usize = 16;
/// Most devices that a person holds, owes recordings on or lost.
pub const DEVICES_OF_PERSON_MAX: usize = 200;
/// Most people whose recordings are on one device.
pub const DEVICE_OWING_MAX: usize = 16;
/// Most terms of custodians and deputies of a unit that run or are to come.
pub const KEEPER_TERMS_MAX: usize = 64;
/// Most mandates that one person holds at once.
pub const MANDATES_MAX: usize = 64;
/// Longest mandate: a year, and a day for the leap.
pub const MANDATE_MS_MAX: i64 = 366 * 24 * 3600 * 1000;
/// An oral approval is confirmed within this time of being said.
pub const ORAL_CONFIRM_MS: i64 = 24 * 3600 * 1000;
/// Most changes of units that wait at once.
pub const UNIT_CHANGES_MAX: usize = 64;
/// Most units that one change names, and most that one unit succeeds.
pub const UNITS_OF_CHANGE_MAX: usize = 64;
/// Most cases, devices and people that one change names.
pub const UNIT_MOVES_MAX: usize = 1000;
/// Most times that one case is offered to another unit.
pub const CASE_TRANSFERS_MAX: usize = 100;
/// Most entries of one item in one inspection.
pub const INSPECTION_ENTRIES_MAX: usize = 100;
/// Most items that a draw selects from.
pub const DRAW_ITEMS_MAX: usize = 100_000;
/// Most items that a draw looks at to find those it selects from.
pub const DRAW_LOOKED_MAX: usize = 200_000;
/// Most items that a draw selects.
pub const DRAW_SAMPLE_MAX: usize = 1000;
/// Most draws that are under way at once: each tick of the clock looks at them.
pub const DRAWS_OPEN_MAX: usize = 16;
/// Compliance time in which every voter may commit; after it a majority is enough.
pub const DRAW_COMMIT_MS: i64 = 10 * 60 * 1000;
/// Compliance time in which whoever committed reveals; after it the draw is overdue.
pub const DRAW_REVEAL_MS: i64 = 3600 * 1000;
/// Compliance time for which an overdue draw still waits; after it the draw is void.
pub const DRAW_OVERDUE_MS: i64 = 24 * 3600 * 1000;
/// Most items of one targeted inspection.
pub const TARGET_ITEMS_MAX: usize = 100;

const _: () = assert!(CHUNK_BYTES.is_power_of_two());
const _: () = assert!(CHUNK_BYTES as u64 * PROGRESS_CHUNKS as u64 == PROGRESS_BYTES);
const _: () = assert!(SMALL_ORIGINAL_BYTES_MAX <= CHUNK_BYTES);
const _: () = assert!(MESSAGE_DATA_BYTES < MESSAGE_BYTES_MAX);
const _: () = assert!(CHUNK_BYTES + 65536 < MESSAGE_BYTES_MAX, "a 1+m shard is a whole chunk");
const _: () = assert!(UPLOAD_CHUNKS_IN_FLIGHT <= GATEWAY_CHUNKS_IN_FLIGHT);
const _: () =
    assert!(UPLOAD_STREAMS_PER_CALLER_MAX < UPLOAD_STREAMS_MAX && READ_STREAMS_PER_CALLER_MAX < READ_STREAMS_MAX);
const _: () = assert!(DISPOSAL_ITEMS_MAX <= ERASE_TARGETS_MAX && REMOVAL_ITEMS_MAX <= ERASE_TARGETS_MAX);
const _: () = assert!(DISPOSAL_ITEMS_MAX * (BASIS_BYTES_MAX + 32) < BATCH_BYTES_MAX, "a proposal fits one entry");
const _: () = assert!(TICKET_RECHECK_MS < TICKET_MS);
const _: () = assert!(DISK_RESERVE_PERCENT < 100);
const _: () = assert!(ACTIVITY_ITEMS_MAX <= PAGE_ROWS_MAX, "an activity's items are one page");
const _: () = assert!(SEGMENT_BYTES > 16 * CHUNK_BYTES as u64);
const _: () = assert!(DRAW_SAMPLE_MAX <= PAGE_ROWS_MAX && DRAW_ITEMS_MAX <= DRAW_LOOKED_MAX);
