//! Real connections on loopback: who gets in, who does not, and what each side learns.

use std::sync::Arc;
use std::time::Duration;

use crate::common::{FixedClock, NOW, OneShard, PATIENCE, Pki, Running, channels, serve, time, trust, year};
use bytes::Bytes;
use rustls::ClientConfig;
use strongroom_net::channel::{Channels, is_connection_failure, tls_fault};
use strongroom_net::listen::{AcceptLimits, HandshakeFault};
use strongroom_net::pki::{Authority, AuthorityKind, Validity, key_hash_of_certificate, write_public};
use strongroom_net::tls::{self, CertificateFiles, Reloaded};
use strongroom_net::tuning::NetTuning;
use strongroom_proto::peer::shard_service_client::ShardServiceClient;
use strongroom_proto::peer::{GetShardRequest, PutShardRequest};
use strongroom_types::{ClusterId, NodeId, limits};
use tokio::net::{TcpListener, TcpStream};
use tonic::Status;
use tonic::transport::Channel;

async fn client_port(pki: &Pki, service: OneShard) -> Running {
    let tls = tls::server(pki.server(), &trust(&pki.clients), time()).expect("a server");
    serve(service, tls, AcceptLimits::default()).await
}

async fn peer_port(pki: &Pki, service: OneShard) -> Running {
    let tls = tls::server(pki.peer(NodeId(1)), &trust(&pki.peers), time()).expect("a server");
    serve(service, tls, AcceptLimits::default()).await
}

async fn put(channel: Channel, payload: Bytes) -> Result<(), Status> {
    let mut client = ShardServiceClient::new(channel).max_encoding_message_size(limits::MESSAGE_BYTES_MAX);
    let call = client.put_shard(PutShardRequest { payload, ..Default::default() });
    tokio::time::timeout(PATIENCE, call).await.expect("in time").map(|_| ())
}

#[tokio::test]
async fn a_caller_with_a_certificate_gets_in_and_is_known_by_its_key() {
    let pki = Pki::new();
    let service = OneShard::default();
    let running = client_port(&pki, service.clone()).await;
    let legal = pki.client("legal");
    let channel = channels(Arc::clone(&legal), &pki.clients).channel(&running.address.to_string()).expect("an address");
    put(channel, Bytes::from_static(b"x")).await.expect("put");

    let callers = service.callers.lock().expect("unpoisoned");
    let pem = std::fs::read(pki.paths("legal").0).expect("reads");
    assert_eq!(callers[0].key, key_hash_of_certificate(&pem).expect("a certificate"));
    assert_eq!(callers[0].subject, "legal");
    assert_eq!(callers[0].certificate_not_after, legal.facts().not_after);
    assert!(callers[0].address.ip().is_loopback());
}

#[tokio::test]
async fn a_mebibyte_goes_there_and_back_between_peers() {
    let pki = Pki::new();
    let running = peer_port(&pki, OneShard::default()).await;
    let channels = channels(pki.peer(NodeId(2)), &pki.peers);
    let channel = channels.peer(NodeId(1), &running.address.to_string()).expect("an address");
    let payload: Bytes = (0..1_u32 << 18).flat_map(u32::to_be_bytes).collect::<Vec<_>>().into();
    put(channel.clone(), payload.clone()).await.expect("put");
    let mut client = ShardServiceClient::new(channel).max_decoding_message_size(limits::MESSAGE_BYTES_MAX);
    let back = client.get_shard(GetShardRequest::default()).await.expect("got").into_inner();
    assert_eq!(back.payload, payload);
}

#[tokio::test]
async fn certificates_that_do_not_fit_the_port_are_refused_and_reported() {
    let pki = Pki::new();
    let stranger = Authority::create(AuthorityKind::Client, ClusterId::new([1; 16]), NOW).expect("an authority");
    let past = Validity { not_before: NOW.plus_ms(-2_000_000), not_after: NOW.plus_ms(-1000) };
    let future = Validity { not_before: NOW.plus_ms(1000), not_after: NOW.plus_ms(2_000_000) };
    let of_stranger = pki.write("stranger", &stranger.issue_client("legal", year()).expect("issued"));
    let expired = pki.write("expired", &pki.clients.issue_client("legal", past).expect("issued"));
    let early = pki.write("early", &pki.clients.issue_client("legal", future).expect("issued"));

    let mut clients = client_port(&pki, OneShard::default()).await;
    let mut peers = peer_port(&pki, OneShard::default()).await;
    let (legal, peer, server) = (pki.client("legal"), pki.peer(NodeId(2)), pki.server());
    for (what, on_peer_port, own, expected) in [
        ("wrong authority", false, of_stranger, HandshakeFault::WrongAuthority),
        ("expired", false, expired, HandshakeFault::Expired),
        ("not good yet", false, early, HandshakeFault::Expired),
        ("peer on client port", false, peer, HandshakeFault::WrongAuthority),
        ("server as client", false, server, HandshakeFault::WrongAuthority),
        ("client on peer port", true, legal, HandshakeFault::WrongAuthority),
    ] {
        let (port, channel) = if on_peer_port {
            let channel = channels(own, &pki.peers).peer(NodeId(1), &peers.address.to_string());
            (&mut peers, channel)
        } else {
            let channel = channels(own, &pki.clients).channel(&clients.address.to_string());
            (&mut clients, channel)
        };
        let status = put(channel.expect("an address"), Bytes::new()).await.expect_err(what);
        assert!(is_connection_failure(&status), "{what}: {status:?}");
        let (source, why) = port.next_refusal().await;
        assert_eq!(why, expected, "{what}");
        assert!(source.is_loopback());
    }
}

/// R-001-15, R-002-12: only machines that were let in are answered.
#[tokio::test]
async fn a_caller_without_a_certificate_or_without_tls_is_refused_and_reported() {
    let pki = Pki::new();
    let mut running = client_port(&pki, OneShard::default()).await;

    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls::pki_types::pem::PemObject::pem_slice_iter(pki.clients.certificate_pem().as_bytes()) {
        roots.add(certificate.expect("a certificate")).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let anonymous = ClientConfig::builder_with_details(provider, Arc::new(FixedClock))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let channels = Channels::new(Arc::new(anonymous), NetTuning::LAN);
    let channel = channels.channel(&running.address.to_string()).expect("an address");
    put(channel, Bytes::new()).await.expect_err("no certificate");
    let (_, why) = running.next_refusal().await;
    assert_eq!(why, HandshakeFault::NoCertificate);

    let stream = TcpStream::connect(running.address).await.expect("connects");
    stream.writable().await.expect("connected");
    stream.try_write(b"GET / HTTP/1.1\r\n\r\n").expect("writes");
    let (_, why) = running.next_refusal().await;
    assert!(matches!(why, HandshakeFault::Other(_)), "{why:?}");
}

#[tokio::test]
async fn a_client_refuses_a_server_of_another_authority_or_another_node() {
    let pki = Pki::new();
    let running = client_port(&pki, OneShard::default()).await;
    let address = running.address.to_string();
    let stranger = Authority::create(AuthorityKind::Client, ClusterId::new([1; 16]), NOW).expect("an authority");
    let channel = channels(pki.client("legal"), &stranger).channel(&address).expect("an address");
    let status = put(channel, Bytes::new()).await.expect_err("another authority");
    assert!(is_connection_failure(&status));
    assert!(tls_fault(&status).expect("TLS says why").contains("BadSignature"), "{status:?}");
    let channel = channels(pki.client("legal"), &pki.clients).channel_named(&address, "localhost").expect("an address");
    assert!(is_connection_failure(&put(channel, Bytes::new()).await.expect_err("another name")));

    let peers = peer_port(&pki, OneShard::default()).await;
    let channels = channels(pki.peer(NodeId(3)), &pki.peers);
    let channel = channels.peer(NodeId(2), &peers.address.to_string()).expect("an address");
    assert!(is_connection_failure(&put(channel, Bytes::new()).await.expect_err("n1 answers where n2 was meant")));
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart_by_both_sides() {
    let pki = Pki::new();
    let service = OneShard::default();
    let server_files = pki.server();
    let tls = tls::server(Arc::clone(&server_files), &trust(&pki.clients), time()).expect("a server");
    let running = serve(service.clone(), tls, AcceptLimits::default()).await;
    let client_files = pki.client("legal");
    let client = tls::client(Arc::clone(&client_files), &trust(&pki.clients), time()).expect("a client");
    let fresh = |client: &Arc<ClientConfig>| {
        Channels::new(Arc::clone(client), NetTuning::LAN).channel(&running.address.to_string()).expect("an address")
    };
    put(fresh(&client), Bytes::new()).await.expect("put");
    assert_eq!(client_files.reload().expect("reads"), Reloaded::Unchanged);

    let later = Validity::days_from(NOW, 700);
    for (name, files) in [("legal", &client_files), ("server", &server_files)] {
        let (path, _) = pki.paths(name);
        let old = std::fs::read_to_string(&path).expect("reads");
        write_public(&path, &pki.clients.renew(&old, later).expect("renewed")).expect("writes");
        assert!(
            matches!(files.reload().expect("reads"), Reloaded::Renewed(facts) if facts.not_after == later.not_after)
        );
    }
    put(fresh(&client), Bytes::new()).await.expect("put");

    let callers = service.callers.lock().expect("unpoisoned");
    assert_eq!(callers[1].certificate_not_after, later.not_after);
    assert_eq!(callers[1].key, callers[0].key, "renewal keeps the key");
}

#[tokio::test]
async fn a_half_replaced_pair_leaves_the_old_certificate_in_use() {
    let pki = Pki::new();
    let files = pki.client("legal");
    let before = files.facts();
    let (path, _) = pki.paths("legal");
    let other = pki.clients.issue_client("legal", year()).expect("issued");
    write_public(&path, &other.certificate_pem).expect("writes");
    assert!(files.reload().is_err());
    assert_eq!(files.facts(), before);
    std::fs::remove_file(&path).expect("removes");
    assert!(files.reload().is_err());
    assert_eq!(files.facts(), before);
    assert!(CertificateFiles::open(&path, &path).is_err());
}

#[tokio::test]
async fn silent_callers_hold_up_nobody_and_are_cut_off() {
    let pki = Pki::new();
    let tls = tls::server(pki.server(), &trust(&pki.clients), time()).expect("a server");
    let limits = AcceptLimits { handshake_timeout: Duration::from_millis(300), ..AcceptLimits::default() };
    let mut running = serve(OneShard::default(), tls, limits).await;
    let silent = TcpStream::connect(running.address).await.expect("connects");
    let channel =
        channels(pki.client("legal"), &pki.clients).channel(&running.address.to_string()).expect("an address");
    put(channel, Bytes::new()).await.expect("put, with a silent caller beside");
    assert_eq!(running.next_refusal().await.1, HandshakeFault::TimedOut);
    drop(silent);
}

#[tokio::test]
async fn beyond_the_limits_callers_are_turned_away_at_once() {
    let pki = Pki::new();
    let tls = tls::server(pki.server(), &trust(&pki.clients), time()).expect("a server");
    let limits = AcceptLimits { handshakes_per_source_max: 2, ..AcceptLimits::default() };
    let mut running = serve(OneShard::default(), tls, limits).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(running.address).await.expect("connects"));
    }
    assert_eq!(running.next_refusal().await.1, HandshakeFault::Overloaded);

    let tls = tls::server(pki.server(), &trust(&pki.clients), time()).expect("a server");
    let mut running =
        serve(OneShard::default(), tls, AcceptLimits { connections_max: 1, ..AcceptLimits::default() }).await;
    let address = running.address.to_string();
    let first = channels(pki.client("legal"), &pki.clients).channel(&address).expect("an address");
    put(first.clone(), Bytes::new()).await.expect("the only connection");
    let second = channels(pki.client("legal"), &pki.clients).channel(&address).expect("an address");
    put(second, Bytes::new()).await.expect_err("one too many");
    assert_eq!(running.next_refusal().await.1, HandshakeFault::Overloaded);
    put(first, Bytes::new()).await.expect("the first goes on");
}

#[tokio::test]
async fn after_a_failed_connect_calls_fail_at_once_without_another_attempt() {
    let pki = Pki::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound").to_string();
    let attempts = tokio::spawn(async move {
        let mut attempts = 0;
        while let Ok(Ok((stream, _))) = tokio::time::timeout(Duration::from_millis(500), listener.accept()).await {
            attempts += 1;
            drop(stream);
        }
        attempts
    });
    let client = tls::client(pki.client("legal"), &trust(&pki.clients), time()).expect("a client");
    let tuning = NetTuning { reconnect_pause: PATIENCE, ..NetTuning::LAN };
    let channel = Channels::new(client, tuning).channel(&address).expect("an address");
    for _ in 0..5 {
        assert!(is_connection_failure(&put(channel.clone(), Bytes::new()).await.expect_err("nobody there")));
    }
    assert_eq!(attempts.await.expect("counts"), 1);
}

#[tokio::test]
async fn one_channel_is_kept_per_address_until_it_is_forgotten() {
    let pki = Pki::new();
    let service = OneShard::default();
    let running = client_port(&pki, service.clone()).await;
    let address = running.address.to_string();
    let channels = channels(pki.client("legal"), &pki.clients);
    for _ in 0..2 {
        put(channels.channel(&address).expect("an address"), Bytes::new()).await.expect("put");
    }
    channels.forget(&address);
    put(channels.channel(&address).expect("an address"), Bytes::new()).await.expect("put");
    let callers = service.callers.lock().expect("unpoisoned");
    let ports: Vec<u16> = callers.iter().map(|caller| caller.address.port()).collect();
    assert_eq!(ports[0], ports[1], "one connection");
    assert_ne!(ports[1], ports[2], "another after it was forgotten");
}
