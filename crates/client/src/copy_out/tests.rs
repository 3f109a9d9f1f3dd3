use std::fs;
use std::process::Command;

use sha2::Digest;

use super::*;
use crate::testing::{MIB, NOW, PATIENCE, Running, footage};

const REQUEST: RequestId = RequestId(1);

fn grant(running: &Running, sizes: &[u64]) {
    let mut state = running.fake.state();
    state.granted = (1_u8..)
        .zip(sizes)
        .map(|(number, size)| {
            let bytes = Bytes::from(footage(*size));
            let item = GrantedItem {
                item_id: Bytes::from(vec![number; 16]),
                file_name: format!("片段 {number}.mp4"),
                size_bytes: *size,
                blake3: Bytes::copy_from_slice(blake3::hash(&bytes).as_bytes()),
                sha256: Bytes::copy_from_slice(&sha2::Sha256::digest(&bytes)),
                receipt: if number == 1 { Bytes::from_static(b"a receipt") } else { Bytes::new() },
                device_id: "DSJ-1".to_owned(),
                unit_id: "U1".to_owned(),
                recorded_start_unix_ms: NOW.0,
            };
            (item, bytes)
        })
        .collect();
}

async fn copy_out(client: &Client, folder: &Path) -> Result<CopiedOut, CopyOutError> {
    tokio::time::timeout(PATIENCE, client.copy_out(REQUEST, folder, |_| {})).await.expect("in time")
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("lists")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_copy_out_is_complete_readable_and_checkable_by_other_tools() {
    let running = Running::start().await.with_a_dead_node_first();
    grant(&running, &[5 * MIB + 3, 0, 100]);
    running.fake.state().cut_reads = [2 * MIB, MIB].into();
    let folder = running.folder.path().join("out");
    let done = copy_out(&running.client(), &folder).await.expect("copied");

    assert_eq!(
        names(&folder),
        [
            "B3SUMS",
            "DSJ-1_20260529T042640_片段 1.mp4",
            "DSJ-1_20260529T042640_片段 1.mp4.receipt",
            "DSJ-1_20260529T042640_片段 2.mp4",
            "DSJ-1_20260529T042640_片段 3.mp4",
            "SHA256SUMS",
            "request.json",
        ]
    );
    let state = running.fake.state();
    for (item, (_, bytes)) in done.items.iter().zip(&state.granted) {
        assert!(fs::read(&item.path).expect("reads") == *bytes, "{}", item.path.display());
    }
    assert_eq!(state.reads, [0, 2 * MIB, 3 * MIB, 0], "resumed, and nothing read for an empty item");
    assert_eq!((state.sessions.len(), state.ended.as_slice()), (1, [true].as_slice()));
    assert_eq!((done.begun, done.ended), (RecordSeq(40), RecordSeq(41)));
    let mut checker = Command::new("sha256sum");
    checker.args(["--check", "--strict", "--quiet", "SHA256SUMS"]).current_dir(&folder);
    assert!(checker.status().expect("coreutils is there").success());
    let request: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("request.json")).expect("reads")).expect("JSON");
    assert_eq!(request["approvals"][0]["approver"], "wang");
    assert_eq!(request["fields"]["reason"], "复议");
    assert_eq!(request["files"][0]["sha256"], done.items[0].sha256.to_string());
}

#[tokio::test]
async fn a_killed_copy_out_goes_on_and_spends_no_second_use() {
    let running = Running::start().await;
    grant(&running, &[MIB, 6 * MIB]);
    let folder = running.folder.path().join("out");
    let (tell, mut seen) = mpsc::channel(64);
    let (client, out) = (running.client(), folder.clone());
    let task = tokio::spawn(async move {
        let note = move |progress: CopyOutProgress| {
            if progress.index == 1 && progress.done_bytes >= 2 * MIB {
                // Nobody waits for more than the first.
                let _ = tell.try_send(());
            }
        };
        let stop = client.copy_out(REQUEST, &out, note);
        stop.await
    });
    running.fake.state().cut_reads = [u64::MAX, 3 * MIB].into();
    seen.recv().await.expect("progress");
    task.abort();
    let finished = task.await.is_ok();

    let folder_names = names(&folder);
    if !finished {
        assert!(folder_names.iter().any(|name| name == STATE_FILE), "{folder_names:?}");
        copy_out(&running.client(), &folder).await.expect("copied");
    }
    let state = running.fake.state();
    assert_eq!(state.sessions.len(), 1, "one use");
    assert_eq!(state.ended, [true]);
    assert_eq!(state.reads.iter().filter(|offset| **offset == 0).count(), 2, "each item began once: {:?}", state.reads);
}

#[tokio::test]
async fn wrong_bytes_never_get_a_name() {
    let running = Running::start().await;
    grant(&running, &[2 * MIB]);
    running.fake.state().corrupt_reads = usize::MAX;
    let folder = running.folder.path().join("out");
    let error = copy_out(&running.client(), &folder).await.expect_err("wrong bytes");
    assert!(matches!(error, CopyOutError::WrongBytes { .. }), "{error}");
    assert_eq!(names(&folder), [STATE_FILE], "nothing is left of them");
    assert!(running.fake.state().ended.is_empty());

    running.fake.state().corrupt_reads = 0;
    copy_out(&running.client(), &folder).await.expect("copied, now that they are right");
    assert_eq!(running.fake.state().sessions.len(), 1);
}

#[tokio::test]
async fn a_damaged_leftover_is_fetched_once_more() {
    for leftover in [vec![0; 1 << 20], vec![0; 3 << 20]] {
        let running = Running::start().await;
        grant(&running, &[2 * MIB]);
        let folder = running.folder.path().join("out");
        fs::create_dir(&folder).expect("creates");
        fs::write(folder.join("DSJ-1_20260529T042640_片段 1.mp4.part"), &leftover).expect("writes");
        let done = copy_out(&running.client(), &folder).await.expect("copied");
        assert!(fs::read(&done.items[0].path).expect("reads") == footage(2 * MIB));
    }
}

#[tokio::test]
async fn a_strange_file_under_a_final_name_is_left_alone() {
    let running = Running::start().await;
    grant(&running, &[2 * MIB]);
    let folder = running.folder.path().join("out");
    let path = folder.join("DSJ-1_20260529T042640_片段 1.mp4");
    fs::create_dir(&folder).expect("creates");
    fs::write(&path, "something else").expect("writes");
    let error = copy_out(&running.client(), &folder).await.expect_err("in the way");
    assert!(matches!(error, CopyOutError::InTheWay { .. }), "{error}");
    assert_eq!(fs::read(&path).expect("reads"), b"something else");
}

#[tokio::test]
async fn a_folder_holds_one_copy_out() {
    let running = Running::start().await;
    grant(&running, &[100]);
    let folder = running.folder.path().join("out");
    let client = running.client();
    copy_out(&client, &folder).await.expect("copied");
    let error = copy_out(&client, &folder).await.expect_err("complete already");
    assert!(matches!(error, CopyOutError::FolderTaken { .. }), "{error}");
    assert_eq!(running.fake.state().sessions.len(), 1, "no second use");

    let unfinished = running.folder.path().join("unfinished");
    running.fake.state().corrupt_reads = usize::MAX;
    copy_out(&client, &unfinished).await.expect_err("wrong bytes");
    let error = client.copy_out(RequestId(2), &unfinished, |_| {}).await.expect_err("another request's");
    assert!(matches!(&error, CopyOutError::FolderTaken { found, .. } if found == "REQ-1"), "{error}");
    assert_eq!(error.exit_kind().code(), 2);
}
