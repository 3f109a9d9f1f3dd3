//! Digests, sealing and erasure coding of 4 MiB chunks, on one thread. Buffers are made before the clock starts.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use strongroom_codec::{
    erasure,
    seal::{self, ChunkPosition, ItemKey, SealedChunk},
    sha::Sha256Stream,
    tree,
};
use strongroom_shardstore::crc32c;
use strongroom_testkit::bytes as pattern;
use strongroom_types::{ChunkIndex, ErasureScheme, ItemId, UploadEpoch, limits::CHUNK_BYTES};

use super::{Stages, median, per_gib};
use crate::{Scale, scheme, sys};

/// More than any cache holds, as on the path, where each chunk is new.
const CHUNKS: u64 = 24;
const SHARD_BYTES: usize = 1 << 20;

pub(super) fn measure(scale: Scale, stages: &mut Stages) {
    let plain: Vec<Bytes> = (0..CHUNKS).map(|seed| pattern(CHUNK_BYTES, seed).into()).collect();
    let key = ItemKey::from_bytes([7; 32]);
    let sealed: Vec<SealedChunk> =
        (0..).zip(&plain).map(|(index, chunk)| seal::seal(&key, position(index), buffer(chunk))).collect();
    let rounds = Rounds { count: scale.pick(5, 3) };

    stages.blake3_plain = rounds.run(&plain, |chunk| {
        black_box(tree::chunk_value(ChunkIndex(1), false, &chunk));
    });
    stages.blake3_sealed = rounds.run(&sealed, |chunk| {
        black_box(seal::name_of(&chunk.bytes, &chunk.tag));
    });
    let mut sha256 = Sha256Stream::new();
    stages.sha256 = rounds.run(&plain, |chunk| sha256.update(&chunk));
    black_box(sha256.finish());
    stages.crc32c = rounds.run(&sealed, |chunk| {
        chunk.bytes.chunks(SHARD_BYTES).for_each(|shard| {
            black_box(crc32c(shard));
        });
    });
    stages.rs_encode = rounds.run(&sealed, |chunk| {
        black_box(chunk.shards(scheme()));
    });
    // Sealing names the chunk as well: what is left is AES.
    let seal_and_name = rounds.run_on(
        || (0..).zip(&plain).map(|(index, chunk)| (position(index), buffer(chunk))).collect(),
        |(at, chunk)| {
            black_box(seal::seal(&key, at, chunk));
        },
    );
    stages.aes_seal = (seal_and_name - stages.blake3_sealed).max(0.0);
    stages.aes_open = rounds.run_on(
        || (0..).zip(&sealed).map(|(index, chunk)| (position(index), buffer(&chunk.bytes), chunk.tag)).collect(),
        |(at, chunk, tag)| {
            black_box(seal::open(&key, at, CHUNK_BYTES, chunk, &tag).expect("authentic"));
        },
    );
    stages.rs_join = rounds.run(&shards_without(&sealed, &[4, 5]), decode);
    stages.rs_reconstruct = rounds.run(&shards_without(&sealed, &[0, 2]), decode);
}

fn decode(shards: Vec<Option<Bytes>>) {
    black_box(erasure::reconstruct(scheme(), &shards, CHUNK_BYTES).expect("enough shards"));
}

fn shards_without(sealed: &[SealedChunk], lost: &[usize]) -> Vec<Vec<Option<Bytes>>> {
    let with_gaps = |chunk: &SealedChunk, scheme: ErasureScheme| {
        let shards = chunk.shards(scheme).into_iter().enumerate();
        shards.map(|(index, shard)| (!lost.contains(&index)).then_some(shard)).collect()
    };
    sealed.iter().map(|chunk| with_gaps(chunk, scheme())).collect()
}

const fn position(index: u64) -> ChunkPosition {
    ChunkPosition { item: ItemId::new([3; 16]), upload_epoch: UploadEpoch(1), index: ChunkIndex(index) }
}

/// A chunk in a buffer as the chunker makes it.
fn buffer(chunk: &[u8]) -> BytesMut {
    let mut buffer = erasure::chunk_buffer();
    buffer.extend_from_slice(chunk);
    buffer
}

struct Rounds {
    count: usize,
}

impl Rounds {
    /// The median over rounds of work on each of `chunks`, which are cheap to clone.
    fn run<T: Clone>(&self, chunks: &[T], work: impl FnMut(T)) -> f64 {
        self.run_on(|| chunks.to_vec(), work)
    }

    /// The same where each round needs inputs of its own.
    fn run_on<T>(&self, prepare: impl Fn() -> Vec<T>, mut work: impl FnMut(T)) -> f64 {
        let rounds = (0..self.count).map(|_| {
            let chunks = prepare();
            let bytes = chunks.len() * CHUNK_BYTES;
            let start = sys::thread_cpu();
            chunks.into_iter().for_each(&mut work);
            per_gib(sys::thread_cpu() - start, bytes)
        });
        median(rounds.collect())
    }
}
