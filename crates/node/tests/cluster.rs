//! Three nodes, real certificates, real disks: an original goes in at one node and comes out at another, approved.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Cluster, PATIENCE};
use futures::stream;
use sha2::{Digest, Sha256};
use strongroom_engine::receipt::CustodyRecords;
use strongroom_package::Receipt;
use strongroom_proto::{
    access::{BeginCopyOutRequest, EndSessionRequest, ReadRequest, access_service_client::AccessServiceClient},
    catalog::{
        ListItemRecordsRequest, ListItemsRequest, ShowItemRequest, catalog_service_client::CatalogServiceClient,
    },
    cluster::{ShowStatusRequest, ShowStatusResponse, cluster_service_client::ClusterServiceClient},
    ingest::{
        DeviceProof, IngestOriginalRequest, IngestOriginalResponse, OpenUploadRequest, OriginalDescription,
        SealRequest, UploadData, UploadHeader, UploadRequest, ingest_service_client::IngestServiceClient,
        upload_request, upload_response,
    },
    ledger::{ListRecordsRequest, ProveInclusionRequest, ledger_service_client::LedgerServiceClient},
    peer::{PingRequest, meta_service_client::MetaServiceClient},
    request::{
        Act, ApproveRequestRequest, RequestState, SubmitRequestRequest, request_service_client::RequestServiceClient,
    },
    status,
};
use strongroom_types::{Assent, Reason, limits};
use tonic::{Code, Status, transport::Channel};

#[tokio::test(flavor = "multi_thread")]
async fn an_original_goes_in_at_one_node_and_comes_out_approved_at_another() {
    let mut cluster = Cluster::start().await;
    for node in 0..3 {
        cluster.serving(node).await;
    }
    all_healthy(&mut cluster).await;

    let small = bytes_of(300_000);
    let item = ingests_a_small_original_once(&mut cluster, &small).await;
    let large = bytes_of(limits::CHUNK_BYTES * 2 + 123_457);
    let large_item = ingests_a_large_original_as_a_stream(&mut cluster, &large).await;
    shows_the_catalogue_to_those_who_may(&mut cluster, &item).await;

    let request = asks_and_approves(&mut cluster, &[&item, &large_item]).await;
    let session = copies_out(&mut cluster, 1, &request, &[(&item, &small), (&large_item, &large)]).await;
    reads_nothing_without_a_session(&mut cluster, &session, &item).await;
    answers_a_call_that_does_not_exist(&mut cluster).await;
    refusals_become_records(&mut cluster).await;
    turns_strangers_away(&mut cluster).await;

    // One node and its district gone: everything is still read; nothing new can be promised.
    cluster.stop(0).await;
    reads(&mut cluster, 2, &session, &large_item, &large).await;
    cluster.restart(0).await;
    cluster.serving(0).await;
    all_healthy(&mut cluster).await;
    let again = ingest(&mut cluster, 0, "after the restart", &bytes_of(1000)).await.expect("ingested");
    assert!(!again.receipt.is_empty());
    for node in 0..3 {
        cluster.stop(node).await;
    }
    checks_what_a_start_would_look_at(&cluster);
}

fn checks_what_a_start_would_look_at(cluster: &Cluster) {
    let file = cluster.node_folder(0).join("node.toml");
    let checked = strongroom_node::check(&file).expect("a good file");
    assert_eq!(checked.problems, Vec::<String>::new());
    // The clock key, the disk and the certificate of another node.
    let (own, other) = (cluster.node_folder(0), cluster.node_folder(1));
    for path in ["keys/clock.seed", "disk0/strongroom-disk.cbor", "tls/peer.pem"] {
        std::fs::copy(other.join(path), own.join(path)).expect("copies");
    }
    let problems = strongroom_node::check(&file).expect("a good file").problems;
    assert_eq!(problems.len(), 3, "{problems:?}");
    for named in ["tls/peer", "clock.seed", "disk0"] {
        assert!(problems.iter().any(|problem| problem.contains(named)), "{named}: {problems:?}");
    }
}

async fn ingests_a_small_original_once(cluster: &mut Cluster, data: &[u8]) -> Bytes {
    let first = ingest(cluster, 0, "small", data).await.expect("ingested");
    let again = ingest(cluster, 1, "small", data).await.expect("answered the same");
    assert_eq!((&again.item_id, again.record_seq), (&first.item_id, first.record_seq));
    let other = ingest(cluster, 1, "small", b"other bytes").await.expect_err("another original under the same key");
    assert_eq!(reason(&other), Reason::IdempotencyKeyReused);
    assert_eq!(first.blake3, *blake3::hash(data).as_bytes().as_slice());
    assert_eq!(first.sha256, Sha256::digest(data).as_slice());
    let receipt = Receipt::parse_canonical(&first.receipt, &CustodyRecords).expect("a receipt");
    let checkpoint = receipt.verify(&CustodyRecords).expect("verifies");
    assert_eq!(checkpoint.policy(), cluster.policy().fingerprint());
    assert!(checkpoint.head().size > first.record_seq);
    first.item_id
}

async fn ingests_a_large_original_as_a_stream(cluster: &mut Cluster, data: &[u8]) -> Bytes {
    let mut station = IngestServiceClient::new(cluster.channel("station", 1));
    let open = OpenUploadRequest {
        idempotency_key: "large".to_owned(),
        original: Some(description("large.mp4")),
        size_bytes: Some(data.len() as u64),
    };
    let item = station.open_upload(open).await.expect("opened").into_inner().item_id;
    let header = upload_request::Part::Header(UploadHeader { item_id: item.clone() });
    let pieces = data.chunks(limits::MESSAGE_DATA_BYTES).scan(0, |offset, piece| {
        let data = UploadData { offset_bytes: *offset, data: Bytes::copy_from_slice(piece) };
        *offset += piece.len() as u64;
        Some(upload_request::Part::Data(data))
    });
    let parts: Vec<_> = std::iter::once(header).chain(pieces).map(|part| UploadRequest { part: Some(part) }).collect();
    let mut answers = station.upload(stream::iter(parts)).await.expect("accepted").into_inner();
    let mut received = None;
    while let Some(answer) = answers.message().await.expect("uploads") {
        if let Some(upload_response::Part::Received(end)) = answer.part {
            received = Some(end);
        }
    }
    assert_eq!(received.expect("all is received").blake3, *blake3::hash(data).as_bytes().as_slice());
    let mut seal = SealRequest {
        idempotency_key: "seal large".to_owned(),
        item_id: item.clone(),
        size_bytes: data.len() as u64,
        blake3: Bytes::from_static(&[7; 32]),
        sha256: Bytes::new(),
    };
    let wrong = station.seal(seal.clone()).await.expect_err("another digest");
    assert_eq!(reason(&wrong), Reason::DigestMismatch);
    seal.blake3 = Bytes::copy_from_slice(blake3::hash(data).as_bytes());
    seal.idempotency_key = "seal large again".to_owned();
    assert!(!station.seal(seal).await.expect("sealed").into_inner().receipt.is_empty());
    item
}

async fn shows_the_catalogue_to_those_who_may(cluster: &mut Cluster, item: &Bytes) {
    let mut legal = CatalogServiceClient::new(cluster.channel("legal", 2));
    let shown = legal.show_item(ShowItemRequest { item_id: item.clone() }).await.expect("shown").into_inner();
    assert_eq!(shown.item.expect("there").file_name, "small");
    let first = legal.list_items(ListItemsRequest { page_size: 1, ..ListItemsRequest::default() });
    let first = first.await.expect("listed").into_inner();
    assert_eq!(first.items.len(), 1);
    assert_eq!(first.items[0].file_name, "large.mp4", "newest first");
    let rest = ListItemsRequest { page_token: first.next_page_token, ..ListItemsRequest::default() };
    let rest = legal.list_items(rest).await.expect("listed").into_inner();
    assert_eq!(rest.items.iter().map(|item| item.file_name.as_str()).collect::<Vec<_>>(), ["small"]);
    assert!(rest.next_page_token.is_empty());
    let records = legal.list_item_records(ListItemRecordsRequest { item_id: item.clone() }).await.expect("listed");
    assert!(records.get_ref().records.iter().any(|record| record.act == "item.seal" && record.actor == "station"));

    let mut station = CatalogServiceClient::new(cluster.channel("station", 2));
    let refused = station.list_items(ListItemsRequest::default()).await.expect_err("a station only writes");
    assert_eq!((refused.code(), reason(&refused)), (Code::PermissionDenied, Reason::RoleNotAllowed));
}

async fn asks_and_approves(cluster: &mut Cluster, items: &[&Bytes]) -> String {
    let mut legal = RequestServiceClient::new(cluster.channel("legal", 0));
    let submit = SubmitRequestRequest {
        idempotency_key: "ask".to_owned(),
        act: Act::Copy.into(),
        item_ids: items.iter().map(|item| (*item).clone()).collect(),
        fields: [("reason".to_owned(), "案件办理".to_owned())].into(),
    };
    let asked = legal.submit_request(submit).await.expect("submitted").into_inner().request.expect("there");
    assert_eq!(asked.state(), RequestState::Pending);
    assert!(asked.missing[0].contains("approver"), "{:?}", asked.missing);
    let mut early = AccessServiceClient::new(cluster.channel("archivist", 0));
    let begin = BeginCopyOutRequest {
        idempotency_key: "early".to_owned(),
        request_id: asked.request_id.clone(),
        ..Default::default()
    };
    let refused = early.begin_copy_out(begin).await.expect_err("nobody approved");
    assert_eq!(reason(&refused), Reason::ApprovalMissing);
    let mut approver = RequestServiceClient::new(cluster.channel("approver", 2));
    let approve = ApproveRequestRequest { idempotency_key: "approve".to_owned(), request_id: asked.request_id.clone() };
    // Whoever decides signs it: a node cannot approve in somebody's name.
    let unsigned = approver.approve_request(approve.clone()).await.expect_err("nobody signed");
    assert_eq!(reason(&unsigned), Reason::AssentMissing);
    let named = asked.item_ids.iter().map(|item| item.as_ref().try_into().expect("an id"));
    let assent = Assent::approve_request(
        asked.request_id.parse().expect("a number"),
        &asked.requester,
        "copy",
        named,
        &asked.fields,
    );
    let stolen = cluster.signed("legal", &assent, "approve", approve.clone());
    let refused = approver.approve_request(stolen).await.expect_err("another person signed");
    assert_eq!(reason(&refused), Reason::AssentMissing);
    let signed = cluster.signed("approver", &assent, "approve", approve);
    let approved = approver.approve_request(signed).await.expect("approved").into_inner().request.expect("there");
    assert_eq!(approved.state(), RequestState::Approved);
    assert!(approved.missing.is_empty());
    asked.request_id
}

async fn copies_out(cluster: &mut Cluster, node: usize, request: &str, expected: &[(&Bytes, &[u8])]) -> Bytes {
    let mut archivist = AccessServiceClient::new(cluster.channel("archivist", node));
    let begin = BeginCopyOutRequest {
        idempotency_key: "copy".to_owned(),
        request_id: request.to_owned(),
        ..Default::default()
    };
    let begun = archivist.begin_copy_out(begin).await.expect("begun").into_inner();
    assert_eq!(begun.items.len(), expected.len());
    assert!(begun.items.iter().all(|item| !item.receipt.is_empty()));
    for (item, data) in expected {
        reads(cluster, node, &begun.session_id, item, data).await;
    }
    begun.session_id
}

async fn reads(cluster: &mut Cluster, node: usize, session: &Bytes, item: &Bytes, expected: &[u8]) {
    let mut archivist = AccessServiceClient::new(cluster.channel("archivist", node));
    for (offset, length) in [(0, 0), (1000, 0), (5, 10)] {
        let read = ReadRequest {
            session_id: session.clone(),
            item_id: item.clone(),
            offset_bytes: offset,
            length_bytes: length,
        };
        let mut pieces = archivist.read(read).await.expect("granted").into_inner();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.message().await.expect("reads") {
            assert_eq!(piece.offset_bytes, offset + bytes.len() as u64);
            assert!(piece.data.len() <= limits::MESSAGE_DATA_BYTES);
            bytes.extend_from_slice(&piece.data);
        }
        let from = usize::try_from(offset).expect("small");
        let to = if length == 0 { expected.len() } else { from + usize::try_from(length).expect("small") };
        assert!(bytes == expected[from..to], "the bytes differ from {offset} on");
    }
}

async fn reads_nothing_without_a_session(cluster: &mut Cluster, session: &Bytes, item: &Bytes) {
    let read = ReadRequest { session_id: session.clone(), item_id: item.clone(), offset_bytes: 0, length_bytes: 0 };
    for (person, expected) in [("auditor", Reason::RoleNotAllowed), ("legal", Reason::OutsideGrant)] {
        let mut other = AccessServiceClient::new(cluster.channel(person, 0));
        let refused = other.read(read.clone()).await.expect_err("not theirs");
        assert_eq!(reason(&refused), expected, "{person}");
    }
    let mut legal = AccessServiceClient::new(cluster.channel("legal", 0));
    let end = EndSessionRequest { idempotency_key: String::new(), session_id: session.clone(), complete: true };
    assert_eq!(reason(&legal.end_session(end).await.expect_err("no key")), Reason::FieldMissing);
}

async fn answers_a_call_that_does_not_exist(cluster: &mut Cluster) {
    let mut client = tonic::client::Grpc::new(cluster.channel("security", 1));
    client.ready().await.expect("connects");
    let path = "/strongroom.catalog.v1.CatalogService/DeleteItem".parse().expect("a path");
    let codec = tonic_prost::ProstCodec::<ShowItemRequest, ShowItemRequest>::default();
    let answer = client.unary(tonic::Request::new(ShowItemRequest::default()), path, codec).await;
    let refused = answer.expect_err("nobody deletes");
    assert_eq!((refused.code(), reason(&refused)), (Code::Unimplemented, Reason::NoSuchAct));
    assert_eq!(status::to_refusal(&refused).rule, "G2");
}

/// What was refused above, at the edge and in `apply`, is on the ledger before long.
async fn refusals_become_records(cluster: &mut Cluster) {
    let mut auditor = LedgerServiceClient::new(cluster.channel("auditor", 0));
    let wanted = [
        ("item.list", "ROLE_NOT_ALLOWED", "station"),
        ("session.read", "ROLE_NOT_ALLOWED", "auditor"),
        ("session.read", "OUTSIDE_GRANT", "legal"),
        ("copy-out.begin", "APPROVAL_MISSING", "archivist"),
        ("no-such-call", "NO_SUCH_ACT", "security"),
    ];
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let records = loop {
        let ask = ListRecordsRequest { from_seq: 0, page_size: 1000 };
        let records = auditor.list_records(ask).await.expect("listed").into_inner().records;
        let missing = wanted.iter().find(|(act, result, actor)| {
            !records.iter().any(|record| {
                (record.act.as_str(), record.result.as_str(), record.actor.as_str()) == (act, result, actor)
            })
        });
        match missing {
            None => break records,
            Some(missing) => assert!(tokio::time::Instant::now() < deadline, "no record of {missing:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let proof = auditor.prove_inclusion(ProveInclusionRequest { seq: 0 }).await.expect("proved").into_inner();
    let text = String::from_utf8(proof.tlog_proof.to_vec()).expect("text");
    let proof = strongroom_ledger::TlogProof::parse_canonical(&text).expect("a proof");
    let leaf = strongroom_ledger::Leaf::parse_canonical(&records[0].leaf).expect("a leaf");
    proof.verify(&leaf, &cluster.policy()).expect("verifies");
}

async fn turns_strangers_away(cluster: &mut Cluster) {
    let mut stranger = MetaServiceClient::new(cluster.stranger(0));
    let refused = stranger.ping(PingRequest::default()).await.expect_err("no row names its key");
    assert_eq!(refused.code(), Code::PermissionDenied);
}

async fn all_healthy(cluster: &mut Cluster) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let status = show_status(cluster.channel("ops", 2)).await;
        let healthy = status.nodes.iter().filter(|node| node.state == "healthy" && !node.disks.is_empty()).count();
        if healthy == 3 && !status.leader.is_empty() {
            assert!(status.trial);
            assert_eq!(status.nodes.iter().filter(|node| node.raft_role == "leader").count(), 1);
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{status:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn show_status(channel: Channel) -> ShowStatusResponse {
    ClusterServiceClient::new(channel).show_status(ShowStatusRequest {}).await.expect("shown").into_inner()
}

async fn ingest(cluster: &mut Cluster, node: usize, key: &str, data: &[u8]) -> Result<IngestOriginalResponse, Status> {
    let request = IngestOriginalRequest {
        idempotency_key: key.to_owned(),
        original: Some(description("small")),
        data: Bytes::copy_from_slice(data),
        blake3: Bytes::new(),
        sha256: Bytes::new(),
    };
    let mut station = IngestServiceClient::new(cluster.channel("station", node));
    station.ingest_original(request).await.map(tonic::Response::into_inner)
}

fn description(file_name: &str) -> OriginalDescription {
    OriginalDescription {
        device_id: "D1".to_owned(),
        unit_id: "U1".to_owned(),
        file_name: file_name.to_owned(),
        recorded_start_unix_ms: 1_780_000_000_000,
        recorded_end_unix_ms: 1_780_000_060_000,
        activity_id: "A1".to_owned(),
        labels: [("place".to_owned(), "东街".to_owned()), ("kind".to_owned(), "patrol".to_owned())].into(),
        media_type: "video".to_owned(),
        device_proof: Some(DeviceProof { scheme: "sha256".to_owned(), value: vec![7; 32].into() }),
    }
}

fn reason(status: &Status) -> Reason {
    status::to_refusal(status).reason
}

/// Bytes without a short period.
fn bytes_of(length: usize) -> Vec<u8> {
    let mut reader = blake3::Hasher::new().update(&(length as u64).to_be_bytes()).finalize_xof();
    let mut bytes = vec![0; length];
    reader.fill(&mut bytes);
    bytes
}
