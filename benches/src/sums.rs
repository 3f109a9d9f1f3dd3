//! What the nodes of a cluster must spend on one GiB of originals at 4+2 over six nodes: the sum of the stages.
//!
//! Each GiB of originals becomes 1.5 GiB of shards. The gateway is one of the six nodes of the volume and needs no
//! network for its own slot, which is one of six:
//!
//! | path | between nodes | because |
//! |---|---|---|
//! | ingest | 1.25 GiB | five of six shards of each chunk |
//! | read, degraded read | 0.75 GiB | four shards of each chunk, one of which is at the gateway |
//!
//! For two chunks in six the gateway's own shard is parity, and one data shard is calculated rather than fetched: a
//! sixth of what the reconstruction of two costs. With two nodes lost a chunk lacks 4/3 data shards on average: two thirds of what the reconstruction of two costs.
//! What the sum leaves out is what the code spends beyond it: copies, scheduling, metadata, the nodes' idle work.

use crate::stages::Stages;

/// Shards of a GiB of originals, in GiB.
const SHARDS: f64 = 1.5;
const INGEST_BETWEEN_NODES: f64 = SHARDS * 5.0 / 6.0;
const READ_BETWEEN_NODES: f64 = 0.75;
/// Parts of the reconstruction of two shards.
const RECONSTRUCTED: f64 = 1.0 / 6.0;
const DEGRADED_RECONSTRUCTED: f64 = 2.0 / 3.0;

/// A term of a sum: what it is called in the chart, and CPU-seconds per GiB of originals.
pub(crate) type Term = (&'static str, f64);

/// Ingest, without the client.
pub(crate) fn ingest(stages: &Stages) -> Vec<Term> {
    vec![
        ("from the client", stages.call_receive),
        ("SHA-256", stages.sha256),
        ("BLAKE3 of the original", stages.blake3_plain),
        ("AES-256-GCM", stages.aes_seal),
        ("BLAKE3 of sealed chunks", stages.blake3_sealed),
        ("Reed-Solomon", stages.rs_encode),
        ("sums before sending", stages.crc32c * INGEST_BETWEEN_NODES),
        ("between nodes", (stages.call_send + stages.call_receive) * INGEST_BETWEEN_NODES),
        ("appending shards", stages.shard_append * SHARDS),
    ]
}

/// Read, without the client.
pub(crate) fn read(stages: &Stages) -> Vec<Term> {
    reading(stages, RECONSTRUCTED)
}

/// Read with two nodes lost.
pub(crate) fn degraded_read(stages: &Stages) -> Vec<Term> {
    reading(stages, DEGRADED_RECONSTRUCTED)
}

fn reading(stages: &Stages, reconstructed: f64) -> Vec<Term> {
    let decoding = stages.rs_join + (stages.rs_reconstruct - stages.rs_join) * reconstructed;
    vec![
        ("reading shards", stages.shard_read),
        ("between nodes", (stages.answer_send + stages.answer_receive) * READ_BETWEEN_NODES),
        ("sums after receiving", stages.crc32c * READ_BETWEEN_NODES),
        ("Reed-Solomon", decoding),
        ("BLAKE3 of sealed chunks", stages.blake3_sealed),
        ("AES-256-GCM", stages.aes_open),
        ("BLAKE3 of the original", stages.blake3_plain),
        ("to the client", stages.answer_send),
    ]
}

/// All terms together.
pub(crate) fn total(terms: &[Term]) -> f64 {
    terms.iter().map(|(_, cost)| cost).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(terms: &[Term], expected: f64) {
        assert!((total(terms) - expected).abs() < 1e-9, "{terms:?}");
    }

    #[test]
    fn what_crosses_the_network_follows_from_six_slots_on_six_nodes() {
        let stages = Stages { call_send: 1.0, answer_send: 1.0, ..Stages::default() };
        check(&ingest(&stages), 1.25);
        check(&read(&stages), 1.0 + 0.75);
        check(&degraded_read(&stages), 1.0 + 0.75);
    }

    #[test]
    fn every_gibibyte_is_written_one_and_a_half_times_and_read_once() {
        let stages = Stages { shard_append: 1.0, shard_read: 10.0, ..Stages::default() };
        check(&ingest(&stages), 1.5);
        check(&read(&stages), 10.0);
        check(&degraded_read(&stages), 10.0);
    }

    #[test]
    fn a_read_decodes_a_third_of_a_shard_and_a_degraded_one_four_thirds() {
        let stages = Stages { rs_join: 1.0, rs_reconstruct: 7.0, ..Stages::default() };
        check(&read(&stages), 2.0);
        check(&degraded_read(&stages), 5.0);
    }
}
