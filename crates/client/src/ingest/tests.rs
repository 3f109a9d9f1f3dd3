use std::fs;

use super::*;
use crate::testing::{MIB, NOW, PATIENCE, Running, footage, verify};

fn original() -> Original {
    Original {
        device: "DSJ-1".parse().expect("a name"),
        unit: "U1".parse().expect("a name"),
        file_name: "a.mp4".to_owned(),
        recorded_start: NOW,
        recorded_end: NOW,
        activity: None,
        labels: BTreeMap::new(),
        media_type: None,
        device_proof: None,
    }
}

fn write(running: &Running, bytes: &[u8]) -> PathBuf {
    let path = running.folder.path().join("a.mp4");
    fs::write(&path, bytes).expect("writes");
    path
}

async fn ingest(client: &Client, path: &Path, options: &IngestOptions) -> Result<IngestedItem, IngestError> {
    let (original, ignore) = (original(), |_| {});
    let job = client.ingest_file(path, &original, options, &verify, ignore);
    tokio::time::timeout(PATIENCE, job).await.expect("in time")
}

fn check(running: &Running, path: &Path, bytes: &[u8], done: &IngestedItem) {
    assert_eq!(done.blake3.as_bytes(), blake3::hash(bytes).as_bytes());
    assert_eq!(done.size_bytes, bytes.len() as u64);
    let receipt = file::beside(path, ".receipt");
    assert_eq!(done.receipt_path.as_ref(), Some(&receipt));
    assert_eq!(fs::read(&receipt).expect("a receipt"), done.receipt);
    assert!(!file::beside(path, ".strongroom-upload").exists(), "the state is gone");
    let state = running.fake.state();
    let upload = state.uploads.values().find(|upload| upload.sealed).expect("sealed");
    assert!(upload.bytes == bytes, "the cluster has other bytes");
}

#[tokio::test]
async fn files_of_every_size_arrive_with_their_receipts() {
    for size in [0, 1, MIB, MIB + 1, 9 * MIB + 17] {
        let running = Running::start().await;
        let bytes = footage(size);
        let path = write(&running, &bytes);
        let options = IngestOptions { sha256: size % 2 == 1, ..IngestOptions::default() };
        let done = ingest(&running.client(), &path, &options).await.expect("ingested");
        check(&running, &path, &bytes, &done);
        assert!(!done.already_ingested);
    }
}

#[tokio::test]
async fn a_cut_stream_goes_on_from_what_is_committed_and_never_before() {
    let running = Running::start().await;
    running.fake.state().cut_uploads = [3 * MIB, MIB, 5 * MIB].into();
    let bytes = footage(12 * MIB + 5);
    let path = write(&running, &bytes);
    let done = ingest(&running.client(), &path, &IngestOptions::default()).await.expect("ingested");
    check(&running, &path, &bytes, &done);
    let state = running.fake.state();
    assert_eq!(state.upload_starts, [0, 2 * MIB, 2 * MIB, 6 * MIB]);
    assert_eq!(state.uploads.len(), 1, "one key throughout");
}

#[tokio::test]
async fn a_killed_client_goes_on_with_the_same_upload() {
    let running = Running::start().await;
    let bytes = footage(16 * MIB);
    let path = write(&running, &bytes);
    let (committed, mut seen) = mpsc::channel(64);
    let (client, killed) = (running.client(), path.clone());
    let task = tokio::spawn(async move {
        let (original, options) = (original(), IngestOptions::default());
        let tell = move |progress| {
            if let IngestProgress::Committed { done_bytes, .. } = progress
                && done_bytes >= 2 * MIB
            {
                committed.try_send(done_bytes).expect("room");
            }
        };
        client.ingest_file(&killed, &original, &options, &verify, tell).await
    });
    seen.recv().await.expect("progress");
    task.abort();
    let killed = task.await;
    assert!(killed.is_err_and(|error| error.is_cancelled()), "killed on its way");
    let released = async {
        while fs::File::open(&path).expect("opens").try_lock().is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, released).await.expect("its thread ends too");

    let mut hashed = 0;
    let (original, options, client) = (original(), IngestOptions::default(), running.client());
    let note = |progress| {
        if let IngestProgress::Hashing { done_bytes, .. } = progress {
            hashed = done_bytes;
        }
    };
    let done = client.ingest_file(&path, &original, &options, &verify, note).await.expect("ingested");
    check(&running, &path, &bytes, &done);
    let state = running.fake.state();
    assert_eq!(state.uploads.len(), 1, "one key throughout");
    assert_eq!(state.upload_starts.len(), 2);
    assert!(state.upload_starts[1] >= 2 * MIB, "committed bytes are not sent again");
    assert_eq!(hashed, state.upload_starts[1], "but they are hashed");
}

#[tokio::test]
async fn a_dead_node_is_passed_over() {
    let running = Running::start().await.with_a_dead_node_first();
    for size in [MIB / 2, 5 * MIB] {
        let bytes = footage(size);
        let path = write(&running, &bytes);
        let done = ingest(&running.client(), &path, &IngestOptions::default()).await.expect("ingested");
        check(&running, &path, &bytes, &done);
        running.fake.state().uploads.clear();
        fs::remove_file(file::beside(&path, ".receipt")).expect("removes");
    }
}

#[tokio::test]
async fn a_receipt_that_is_pending_is_waited_for() {
    for size in [100, 3 * MIB] {
        let running = Running::start().await;
        running.fake.state().pending = 2;
        let bytes = footage(size);
        let path = write(&running, &bytes);
        let done = ingest(&running.client(), &path, &IngestOptions::default()).await.expect("ingested");
        check(&running, &path, &bytes, &done);
    }
}

#[tokio::test]
async fn other_bytes_in_the_cluster_are_never_sealed() {
    let running = Running::start().await;
    running.fake.state().wrong_digests = true;
    let path = write(&running, &footage(3 * MIB));
    let error = ingest(&running.client(), &path, &IngestOptions::default()).await.expect_err("other bytes");
    assert!(matches!(&error, IngestError::DigestMismatch { what: "BLAKE3", .. }), "{error}");
    assert!(running.fake.state().uploads.values().all(|upload| !upload.sealed));
    assert!(!file::beside(&path, ".receipt").exists());
}

#[tokio::test]
async fn a_receipt_of_other_bytes_is_not_kept() {
    for size in [100, 3 * MIB] {
        let running = Running::start().await;
        running.fake.state().wrong_receipts = true;
        let path = write(&running, &footage(size));
        let error = ingest(&running.client(), &path, &IngestOptions::default()).await.expect_err("rejected");
        assert!(matches!(error, IngestError::ReceiptRejected { .. }), "{error}");
        assert!(!file::beside(&path, ".receipt").exists());
        assert!(file::beside(&path, ".strongroom-upload").exists(), "a later run asks again");
    }
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_not_sealed_and_its_stream_does_not_look_finished() {
    let running = Running::start().await;
    let bytes = footage(24 * MIB);
    let path = write(&running, &bytes);
    let (original, options, client) = (original(), IngestOptions::default(), running.client());
    let spoil = |progress| {
        if progress == (IngestProgress::Committed { done_bytes: 2 * MIB, total_bytes: 24 * MIB }) {
            fs::OpenOptions::new()
                .append(true)
                .open(&path)
                .and_then(|mut file| io::Write::write_all(&mut file, b"x"))
                .expect("appends");
        }
    };
    let error = client.ingest_file(&path, &original, &options, &verify, spoil).await.expect_err("changed");
    assert!(matches!(error, IngestError::FileChanged { .. }), "{error}");
    let broken_off = async {
        while running.fake.state().uploads_broken_off == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, broken_off).await.expect("the node sees a reset, not an end");
    assert!(running.fake.state().uploads.values().all(|upload| !upload.sealed));
    assert!(!file::beside(&path, ".receipt").exists());
}

#[tokio::test]
async fn an_ingested_file_is_not_sent_again() {
    let running = Running::start().await;
    let path = write(&running, &footage(3 * MIB));
    let client = running.client();
    let first = ingest(&client, &path, &IngestOptions::default()).await.expect("ingested");
    let again = ingest(&client, &path, &IngestOptions::default()).await.expect("known");
    assert_eq!(again, IngestedItem { already_ingested: true, ..first });
    assert_eq!(running.fake.state().upload_starts.len(), 1);

    fs::write(&path, footage(3 * MIB + 1)).expect("writes");
    let error = ingest(&client, &path, &IngestOptions::default()).await.expect_err("another file's receipt");
    assert!(matches!(error, IngestError::ReceiptInTheWay { .. }), "{error}");
}

#[tokio::test]
async fn a_sealed_upload_whose_receipt_was_lost_gets_it_without_sending() {
    let running = Running::start().await;
    let bytes = footage(3 * MIB);
    let path = write(&running, &bytes);
    let client = running.client();
    let nowhere = IngestOptions { receipt: ReceiptFile::Nowhere, ..IngestOptions::default() };
    let first = ingest(&client, &path, &nowhere).await.expect("ingested");
    assert_eq!(first.receipt_path, None);
    let second = ingest(&client, &path, &IngestOptions::default()).await.expect("found");
    assert_eq!(second.item, first.item);
    check(&running, &path, &bytes, &second);
    assert_eq!(running.fake.state().upload_starts.len(), 1, "sent once");
}

#[tokio::test]
async fn an_expired_upload_begins_anew() {
    let running = Running::start().await;
    let bytes = footage(3 * MIB);
    let path = write(&running, &bytes);
    let client = running.client();
    running.fake.state().wrong_digests = true;
    ingest(&client, &path, &IngestOptions::default()).await.expect_err("not sealed");
    {
        let mut state = running.fake.state();
        state.wrong_digests = false;
        state.expired = state.uploads.keys().cloned().collect();
        state.uploads.clear();
    }
    let done = ingest(&client, &path, &IngestOptions::default()).await.expect("ingested");
    check(&running, &path, &bytes, &done);
}

#[tokio::test]
async fn another_description_is_another_upload() {
    let running = Running::start().await;
    let path = write(&running, &footage(3 * MIB));
    let client = running.client();
    running.fake.state().wrong_digests = true;
    ingest(&client, &path, &IngestOptions::default()).await.expect_err("not sealed");
    let other = Original { device: "DSJ-2".parse().expect("a name"), ..original() };
    client.ingest_file(&path, &other, &IngestOptions::default(), &verify, |_| {}).await.expect_err("not sealed");
    assert_eq!(running.fake.state().uploads.len(), 2);
}

#[tokio::test]
async fn a_refusal_is_final_and_has_its_exit_code() {
    let running = Running::start().await;
    running.fake.state().refuse = Some(Reason::RoleNotAllowed);
    let path = write(&running, &footage(3 * MIB));
    let error = ingest(&running.client(), &path, &IngestOptions::default()).await.expect_err("refused");
    assert_eq!(error.exit_kind().code(), 3);
    let IngestError::Client(error) = error else { panic!("{error}") };
    assert!(error.is(Reason::RoleNotAllowed));
}

#[tokio::test]
async fn a_cluster_that_asks_to_try_again_is_tried_until_patience_ends() {
    let running = Running::start().await;
    running.fake.state().refuse = Some(Reason::NoLeader);
    let path = write(&running, &footage(3 * MIB));
    let client = running.client_with(Duration::from_millis(300));
    let error = ingest(&client, &path, &IngestOptions::default()).await.expect_err("no leader");
    assert_eq!(error.exit_kind().code(), 1);
    running.fake.state().refuse = None;
    ingest(&client, &path, &IngestOptions::default()).await.expect("ingested, with a leader");
}

#[tokio::test]
async fn nothing_but_a_regular_file_is_ingested() {
    let running = Running::start().await;
    let folder = running.folder.path().to_owned();
    for path in [folder.join("absent.mp4"), folder] {
        let error = ingest(&running.client(), &path, &IngestOptions::default()).await.expect_err("no file");
        assert!(matches!(error, IngestError::File { doing: "read", .. }), "{error}");
    }
}

#[test]
fn a_state_folder_keeps_the_originals_folder_clean() {
    let options = IngestOptions { state_folder: Some("/var/lib/station".into()), ..IngestOptions::default() };
    let (one, other) =
        (state::path_of(Path::new("/a/x.mp4"), &options), state::path_of(Path::new("/b/x.mp4"), &options));
    assert!(one.starts_with("/var/lib/station") && other.starts_with("/var/lib/station"));
    assert_ne!(one, other);
}
