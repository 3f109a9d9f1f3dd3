//! What each stage of the path costs alone, through our own crates, on this machine, now.
//!
//! A figure is CPU-seconds per GiB of what the stage works on, the median of several rounds. Nothing else runs in the
//! process meanwhile; what runs beside it on the machine moves these figures and the end-to-end ones alike, which is
//! why both are taken in one run and compared as a ratio.

mod codec;
mod disk;
mod transport;

use std::time::Duration;

use anyhow::Result;

use crate::{Scale, say};

/// One GiB in bytes, as a measure.
pub(crate) const GIB: f64 = (1_u64 << 30) as f64;

/// CPU-seconds per GiB of each stage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stages {
    /// SHA-256 of the original's bytes.
    pub(crate) sha256: f64,
    /// Subtree values of 4 MiB plain chunks.
    pub(crate) blake3_plain: f64,
    /// Names of sealed chunks.
    pub(crate) blake3_sealed: f64,
    /// AES-256-GCM, sealing.
    pub(crate) aes_seal: f64,
    /// AES-256-GCM, opening.
    pub(crate) aes_open: f64,
    /// Reed-Solomon 4+2 of sealed chunks.
    pub(crate) rs_encode: f64,
    /// A chunk from its four data shards: one copy.
    pub(crate) rs_join: f64,
    /// A chunk with two data shards missing.
    pub(crate) rs_reconstruct: f64,
    /// CRC-32C of 1 MiB shards.
    pub(crate) crc32c: f64,
    /// Shards into a store, durable, the store's checksum included.
    pub(crate) shard_append: f64,
    /// The same by the clock on the wall, in MiB/s.
    pub(crate) shard_append_mib_s: f64,
    /// Shards out of a store, verified, from the page cache.
    pub(crate) shard_read: f64,
    /// Sending 1 MiB messages over mTLS and gRPC as a client.
    pub(crate) call_send: f64,
    /// Receiving them as a server.
    pub(crate) call_receive: f64,
    /// Sending 1 MiB answers as a server.
    pub(crate) answer_send: f64,
    /// Receiving them as a client.
    pub(crate) answer_receive: f64,
}

impl Stages {
    /// Every CPU figure under its key.
    pub(crate) fn named(&self) -> [(&'static str, f64); 15] {
        [
            ("sha256", self.sha256),
            ("blake3_plain", self.blake3_plain),
            ("blake3_sealed", self.blake3_sealed),
            ("aes_seal", self.aes_seal),
            ("aes_open", self.aes_open),
            ("rs_encode", self.rs_encode),
            ("rs_join", self.rs_join),
            ("rs_reconstruct", self.rs_reconstruct),
            ("crc32c", self.crc32c),
            ("shard_append", self.shard_append),
            ("shard_read", self.shard_read),
            ("call_send", self.call_send),
            ("call_receive", self.call_receive),
            ("answer_send", self.answer_send),
            ("answer_receive", self.answer_receive),
        ]
    }
}

/// Measures all of them.
pub(crate) fn measure(scale: Scale) -> Result<Stages> {
    let mut stages = Stages::default();
    say("stages: codecs");
    codec::measure(scale, &mut stages);
    say("stages: shards on a disk");
    disk::measure(scale, &mut stages)?;
    say("stages: mTLS and gRPC");
    transport::measure(scale, &mut stages)?;
    Ok(stages)
}

/// CPU-seconds per GiB.
fn per_gib(cpu: Duration, bytes: usize) -> f64 {
    cpu.as_secs_f64() * GIB / f64::from(u32::try_from(bytes).expect("a round is below 4 GiB"))
}

/// The middle one; rounds are odd in number.
fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_not_moved_by_one_bad_round() {
        assert!((median(vec![9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn half_a_second_for_half_a_gibibyte_is_one_second_per_gibibyte() {
        assert!((per_gib(Duration::from_millis(500), 1 << 29) - 1.0).abs() < 1e-9);
    }
}
