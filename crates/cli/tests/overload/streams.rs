//! Readers who are slow or stand still, messages of any size, and more streams than a node takes.

use std::time::Duration;

use bytes::Bytes;
use futures::channel::oneshot;
use futures::{StreamExt, stream};
use strongroom_proto::ingest::{IngestOriginalRequest, UploadReceived, UploadRequest, upload_response};
use strongroom_testkit::{Cluster, bytes};
use strongroom_types::{Reason, limits};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::calls::{
    begin_copy_out, begin_view, connect, data, description, drain, header, ingest, open_upload, read, refused, upload,
};
use crate::{MIB, comes_back, memory_is_bounded, pids_of, up};

/// Twice as long as a node waits for a reader.
const STALL_PATIENCE: Duration = Duration::from_millis(2 * limits::READ_STALL_MS);

/// An original with its item, as the command line names it and as the wire does.
fn original(cluster: &Cluster, length: usize) -> (Vec<u8>, String, Bytes) {
    let content = bytes(length, 40);
    let (_, item) = cluster.ingest_bytes("read-slowly", &content);
    let item = item["item"].as_str().expect("an item").to_owned();
    let id = hex::decode(&item).expect("hexadecimal").into();
    (content, item, id)
}

async fn within<T>(patience: Duration, what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| panic!("{what}: not within {patience:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_who_stand_still_hold_little_take_nothing_from_others_and_are_ended() {
    let (cluster, _shim) = up();
    let pids = pids_of(&cluster);
    let (content, item, id) = original(&cluster, 24 * MIB + 7);
    let request = cluster.submit(&item);
    cluster.done(&["--as", "approver", "request", "approve", &request]);
    let archivist = connect(&cluster, "archivist", 0);
    let session = begin_copy_out(&archivist, &request).await;

    // Each takes its first piece, over a connection of its own, and then nothing.
    let mut still = Vec::new();
    for _ in 0..limits::READ_STREAMS_PER_CALLER_MAX {
        let channel = connect(&cluster, "archivist", 0);
        let mut messages = read(&channel, &session, &id, 0).await.expect("a stream");
        let first = messages.message().await.expect("goes on").expect("a piece");
        still.push((channel, messages, first.data.to_vec()));
    }
    assert_eq!(refused(read(&archivist, &session, &id, 0).await), Reason::Overloaded, "one caller's share is used up");

    // Others go on at the same node, however slowly, and so does the same caller at another one.
    let legal = connect(&cluster, "legal", 0);
    let view = begin_view(&legal, &id).await;
    let slow = async {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        let mut taken = Vec::new();
        let mut messages = read(&legal, &view, &id, 0).await.expect("a stream");
        while let Some(message) = messages.message().await.expect("goes on") {
            taken.extend_from_slice(&message.data);
            pace.tick().await;
        }
        assert!(taken == content, "a slow reader");
    };
    let elsewhere = async {
        let mut taken = Vec::new();
        let messages = read(&connect(&cluster, "archivist", 1), &session, &id, 0).await.expect("a stream");
        drain(messages, &mut taken).await.expect("everything");
        assert!(taken == content, "at another node");
    };
    within(STALL_PATIENCE, "others read", futures::future::join(slow, elsewhere)).await;
    let (file, client) = crate::start_ingest(&cluster, "meanwhile", &bytes(9 * MIB, 41));
    comes_back(&cluster, &crate::finish(client), &file, "meanwhile-copy");

    // What they held is given back although they still stand there.
    let again = async {
        let mut look = tokio::time::interval(Duration::from_millis(200));
        loop {
            look.tick().await;
            match read(&archivist, &session, &id, 0).await {
                Ok(messages) => return messages,
                Err(status) => assert_eq!(refused::<()>(Err(status)), Reason::Overloaded),
            }
        }
    };
    drop(within(STALL_PATIENCE, "a stream is ended", again).await);
    let (channel, messages, mut taken) = still.swap_remove(0);
    let ended: Status =
        within(STALL_PATIENCE, "a reader wakes up", drain(messages, &mut taken)).await.expect_err("ended");
    assert_eq!(ended.code(), Code::DeadlineExceeded, "{ended:?}");
    assert!(taken.len() < content.len());
    // It reads on from where it stopped.
    let rest = read(&channel, &session, &id, taken.len() as u64).await.expect("a stream");
    within(STALL_PATIENCE, "the rest", drain(rest, &mut taken)).await.expect("everything");
    assert!(taken == content, "the pieces make the whole");
    memory_is_bounded(&cluster, &pids);
}

/// How an upload of one stream of messages ended.
async fn uploaded(
    channel: &Channel,
    messages: impl futures::Stream<Item = UploadRequest> + Send + 'static,
) -> Result<UploadReceived, Status> {
    let mut answers = upload(channel, messages).await?;
    while let Some(answer) = answers.message().await? {
        if let Some(upload_response::Part::Received(received)) = answer.part {
            return Ok(received);
        }
    }
    Err(Status::internal("an upload ended without a word"))
}

#[tokio::test(flavor = "multi_thread")]
async fn giant_messages_are_refused_and_tiny_ones_cost_what_they_weigh() {
    let (cluster, _shim) = up();
    let pids = pids_of(&cluster);
    let station = connect(&cluster, "station", 0);

    // Beyond what is taken at all: refused by its announced length, before it is held in memory, many at once.
    let giant = Bytes::from(vec![7; 64 * MIB]);
    let sent = (0..8).map(|number| {
        let (channel, giant) = (connect(&cluster, "station", 0), giant.clone());
        async move {
            let message = IngestOriginalRequest {
                idempotency_key: format!("giant-{number}"),
                original: Some(description()),
                data: giant,
                ..IngestOriginalRequest::default()
            };
            ingest(&channel).ingest_original(message).await.map(drop).expect_err("refused")
        }
    });
    for status in within(STALL_PATIENCE, "giants", futures::future::join_all(sent)).await {
        assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
        let limit = limits::MESSAGE_BYTES_MAX.to_string();
        assert!(status.message().contains("too large") && status.message().contains(&limit), "{status:?}");
    }
    let item = open_upload(&station, "giants").await;
    for (length, code) in [(7 * MIB, Code::OutOfRange), (5 * MIB, Code::InvalidArgument)] {
        let messages = stream::iter([header(&item), data(0, giant.slice(..length))]);
        let status = within(STALL_PATIENCE, "a giant", uploaded(&station, messages)).await.expect_err("refused");
        assert_eq!(status.code(), code, "{length}: {status:?}");
    }

    // A byte in a message, and nothing at all in a message.
    let content = bytes(200_000, 42);
    let item = open_upload(&station, "tiny").await;
    let pieces = content.clone();
    let tiny = stream::iter(0..content.len()).flat_map(move |at| {
        let byte = Bytes::copy_from_slice(&pieces[at..=at]);
        stream::iter([data(at, Bytes::new()), data(at, byte)])
    });
    let messages = stream::once(std::future::ready(header(&item))).chain(tiny);
    let received = within(STALL_PATIENCE, "tiny messages", uploaded(&station, messages)).await.expect("received");
    assert_eq!(received.size_bytes, content.len() as u64);
    assert_eq!(received.blake3, blake3::hash(&content).as_bytes().as_slice());
    memory_is_bounded(&cluster, &pids);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_uploads_than_a_node_takes_are_sent_elsewhere_and_what_ends_makes_room() {
    let (cluster, _shim) = up();
    let pids = pids_of(&cluster);
    let station = connect(&cluster, "station", 0);
    // Each sends almost a chunk and then nothing: this is what a node must hold in memory for it.
    let almost = Bytes::from(vec![1; limits::CHUNK_BYTES - 1]);
    let mut open = Vec::new();
    for number in 0..limits::UPLOAD_STREAMS_PER_CALLER_MAX {
        let channel = connect(&cluster, "station", 0);
        let item = open_upload(&channel, &format!("open-{number}")).await;
        let (end, ended) = oneshot::channel::<UploadRequest>();
        let nothing = stream::once(ended).filter_map(|message| std::future::ready(message.ok()));
        let messages = stream::iter([header(&item), data(0, almost.clone())]).chain(nothing);
        let mut answers = upload(&channel, messages).await.expect("a stream");
        assert!(answers.message().await.expect("goes on").is_some(), "accepted");
        open.push((end, answers));
    }
    let item = open_upload(&station, "one-too-many").await;
    let once = || stream::iter([header(&item), data(0, Bytes::from_static(b"footage"))]);
    assert_eq!(refused(uploaded(&station, once()).await), Reason::Overloaded);
    // The command line turns to another node by itself.
    let (file, client) = crate::start_ingest(&cluster, "elsewhere", &bytes(9 * MIB, 43));
    comes_back(&cluster, &crate::finish(client), &file, "elsewhere-copy");
    memory_is_bounded(&cluster, &pids);

    // Each client says that this was all.
    drop(open);
    let makes_room = async {
        let mut look = tokio::time::interval(Duration::from_millis(200));
        loop {
            look.tick().await;
            match uploaded(&station, once()).await {
                Ok(received) => return received,
                Err(status) => assert_eq!(refused::<()>(Err(status)), Reason::Overloaded),
            }
        }
    };
    assert_eq!(within(STALL_PATIENCE, "room", makes_room).await.size_bytes, 7);
}
