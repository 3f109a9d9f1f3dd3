//! Random histories against a map: what a store answers, a map with a list of erased scopes answers too.

use std::collections::HashMap;

use proptest::prelude::*;
use tokio::runtime;

use super::*;
use crate::PutError;

#[derive(Clone, Debug)]
enum Step {
    /// Items, chunks and contents are few, so that repeats and conflicts are many.
    Put {
        n: u8,
        index: u64,
        size: usize,
        content: u8,
    },
    Get {
        n: u8,
        index: u64,
    },
    EraseItem {
        n: u8,
    },
    EraseFrom {
        n: u8,
        index: u64,
    },
    Restart,
    Kill,
    LoseIndex,
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![Just(10_usize), Just(4000), Just(8192), Just(30_000)];
    prop_oneof![
        12 => (0..6_u8, 0..4_u64, size, 0..2_u8).prop_map(|(n, index, size, content)| {
            Step::Put { n, index, size, content }
        }),
        6 => (0..6_u8, 0..4_u64).prop_map(|(n, index)| Step::Get { n, index }),
        1 => (0..6_u8).prop_map(|n| Step::EraseItem { n }),
        1 => (0..6_u8, 0..4_u64).prop_map(|(n, index)| Step::EraseFrom { n, index }),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
        1 => Just(Step::LoseIndex),
    ]
}

#[derive(Default)]
struct Model {
    shards: HashMap<ShardAddress, PutShard>,
    erased: Vec<EraseScope>,
}

impl Model {
    fn is_erased(&self, address: &ShardAddress) -> bool {
        self.erased.iter().any(|scope| scope.covers(address))
    }

    fn put(&mut self, shard: PutShard) -> Result<(), PutError> {
        let address = shard.address;
        if self.is_erased(&address) {
            return Err(PutError::Erased { address });
        }
        match self.shards.get(&address) {
            Some(before) if before.payload != shard.payload => Err(PutError::Conflict { address }),
            Some(_) => Ok(()),
            None => {
                self.shards.insert(address, shard);
                Ok(())
            }
        }
    }

    fn get(&self, address: &ShardAddress) -> Result<Bytes, GetError> {
        match self.shards.get(address) {
            _ if self.is_erased(address) => Err(GetError::Erased { disk: DISK, address: *address }),
            Some(shard) => Ok(shard.payload.clone()),
            None => Err(GetError::NotFound { disk: DISK, address: *address }),
        }
    }

    fn erase(&mut self, scope: EraseScope) -> u64 {
        let before = self.shards.len();
        self.shards.retain(|address, _| !scope.covers(address));
        self.erased.push(scope);
        u64::try_from(before - self.shards.len()).expect("small")
    }
}

async fn run(steps: Vec<Step>) {
    let mut lab = Lab::with_small_segments();
    let mut disk = lab.open();
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Put { n, index, size, content } => {
                let shard = PutShard { address: address(n, index), ..shard(content, size) };
                assert_eq!(disk.put(shard.clone()).await, model.put(shard));
            }
            Step::Get { n, index } => {
                assert_eq!(payload(&disk, &address(n, index)).await, model.get(&address(n, index)));
            }
            Step::EraseItem { n } => {
                let scope = EraseScope::Item(address(n, 0).item);
                assert_eq!(disk.erase(&permit(&[scope])).await.expect("erases").shards, model.erase(scope));
            }
            Step::EraseFrom { n, index } => {
                let ShardAddress { item, upload_epoch, .. } = address(n, 0);
                let scope = EraseScope::Upload { item, upload_epoch, chunks_from: ChunkIndex(index) };
                assert_eq!(disk.erase(&permit(&[scope])).await.expect("erases").shards, model.erase(scope));
            }
            Step::Restart => {
                disk.shutdown().await;
                drop(disk);
                disk = lab.open();
            }
            Step::Kill => {
                let killed = lab.copy();
                disk.shutdown().await;
                drop(disk);
                lab = killed;
                disk = lab.open();
            }
            Step::LoseIndex => {
                disk.shutdown().await;
                drop(disk);
                lab.lose_index();
                disk = lab.open();
            }
        }
        assert_eq!(disk.recovery().damaged, []);
        assert_eq!(disk.stat().shards, u64::try_from(model.shards.len()).expect("small"));
    }
    let mut listed: Vec<_> = disk.list(None, 1000).await.expect("lists").iter().map(|shard| shard.address).collect();
    let mut expected: Vec<_> = model.shards.keys().copied().collect();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    for address in expected {
        assert_eq!(payload(&disk, &address).await, model.get(&address));
    }
    disk.shutdown().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn any_history_reads_as_the_model_says(steps in prop::collection::vec(step(), 1..50)) {
        runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(run(steps));
    }
}
