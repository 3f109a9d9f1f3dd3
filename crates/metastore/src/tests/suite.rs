//! openraft's storage test suite on our log and state.

use std::sync::Arc;

use openraft::testing::{StoreBuilder, Suite};
use strongroom_types::NodeId;
use tempfile::TempDir;

use super::harness::Ledger;
use crate::{
    guard::Guard,
    log_store::LogStore,
    raft::{StorageError, TypeConfig},
    state_machine::StateMachine,
};

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError> {
        let dir = tempfile::tempdir().unwrap();
        let guard = Arc::new(Guard::open(&dir.path().join("guard"), NodeId(0), true).unwrap());
        let folder = |name| dir.path().join(name);
        crate::durable::create_folder(&folder("state")).unwrap();
        let state = StateMachine::open(&folder("state"), &folder("snapshots"), Arc::new(Ledger)).unwrap();
        // The suite purges without snapshots, so nothing holds it back here.
        let log = LogStore::open(&folder("log"), NodeId(0), guard, None).unwrap();
        Ok((dir, log, state))
    }
}

#[test]
fn openrafts_storage_suite_passes() {
    Suite::test_all(Builder).unwrap();
}
