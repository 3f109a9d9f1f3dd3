use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

const NOW: UnixMillis = UnixMillis(1_780_000_000_000);

fn cluster() -> ClusterId {
    ClusterId::new([7; 16])
}

fn authority(kind: AuthorityKind) -> Authority {
    Authority::create(kind, cluster(), NOW).expect("an authority")
}

fn year() -> Validity {
    Validity::days_from(NOW, 365)
}

#[test]
fn each_certificate_is_good_for_its_one_use() {
    let (clients, peers) = (authority(AuthorityKind::Client), authority(AuthorityKind::Peer));
    let hosts = ["127.0.0.1".to_owned(), "node.example".to_owned()];
    for (issued, usage, kind, subject) in [
        (clients.issue_client("王 legal", year()), CertificateUse::Client, AuthorityKind::Client, "王 legal"),
        (clients.issue_server("n1", &hosts, year()), CertificateUse::Server, AuthorityKind::Client, "n1"),
        (peers.issue_peer(NodeId(3), &hosts, year()), CertificateUse::Peer, AuthorityKind::Peer, "n3"),
    ] {
        let facts = inspect(issued.expect("issued").certificate_pem.as_bytes()).expect("a certificate");
        assert_eq!(facts.usage, usage);
        assert_eq!(facts.subject, subject);
        assert_eq!(facts.issuer, IssuedBy::Authority { kind, cluster: cluster() });
        assert_eq!(facts.not_after, UnixMillis(NOW.0 + 365 * DAY_MS));
        assert_eq!(facts.not_before, UnixMillis(NOW.0 - 600_000));
    }
}

#[test]
fn renewal_keeps_the_key_the_name_and_the_hosts() {
    let peers = authority(AuthorityKind::Peer);
    let old = peers.issue_peer(NodeId(1), &["::1".to_owned(), "10.0.0.7".to_owned()], year()).expect("issued");
    let later = Validity::days_from(NOW.plus_ms(400 * DAY_MS), 365);
    let new = peers.renew(&old.certificate_pem, later).expect("renewed, although the old one has expired");

    let (old, new) = [&old.certificate_pem, &new].map(|pem| certificate::parse(pem.as_bytes()).expect("reads")).into();
    assert_eq!(new.facts.key_hash, old.facts.key_hash);
    assert_eq!(new.facts.subject, "n1");
    assert_eq!(new.facts.usage, CertificateUse::Peer);
    assert_eq!(new.hosts, ["n1.peer.strongroom.internal", "::1", "10.0.0.7"]);
    assert_eq!(new.facts.not_after, later.not_after);
}

#[test]
fn two_certificates_of_one_key_have_different_serials() {
    let clients = authority(AuthorityKind::Client);
    let old = clients.issue_client("a", year()).expect("issued").certificate_pem;
    let new = clients.renew(&old, Validity::days_from(NOW, 366)).expect("renewed");
    let serial = |pem: &str| {
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).expect("PEM");
        pem.parse_x509().expect("a certificate").raw_serial().to_vec()
    };
    assert_ne!(serial(&old), serial(&new));
}

#[test]
fn an_authority_renews_only_what_it_signed() {
    let clients = authority(AuthorityKind::Client);
    let namesake = authority(AuthorityKind::Client);
    for foreign in [
        namesake.issue_client("a", year()).expect("issued").certificate_pem,
        namesake.issue_server("n1", &["localhost".to_owned()], year()).expect("issued").certificate_pem,
        authority(AuthorityKind::Peer).issue_peer(NodeId(1), &[], year()).expect("issued").certificate_pem,
        clients.certificate_pem().to_owned(),
    ] {
        assert!(matches!(clients.renew(&foreign, year()), Err(PkiError::IssuedByAnother { .. })));
    }
}

#[test]
fn an_authority_is_the_same_after_loading() {
    let made = authority(AuthorityKind::Peer);
    let loaded = Authority::load(made.certificate_pem(), made.key_pem().expose()).expect("loads");
    assert_eq!((loaded.kind(), loaded.cluster()), (AuthorityKind::Peer, cluster()));
    let issued = loaded.issue_peer(NodeId(2), &[], year()).expect("issued");
    made.renew(&issued.certificate_pem, year()).expect("both have one key");
}

#[test]
fn an_authority_with_another_key_or_a_mere_certificate_does_not_load() {
    let (one, other) = (authority(AuthorityKind::Client), authority(AuthorityKind::Client));
    assert!(matches!(
        Authority::load(one.certificate_pem(), other.key_pem().expose()),
        Err(PkiError::KeyMismatch { .. })
    ));
    let leaf = one.issue_client("Strongroom client authority", year()).expect("issued");
    assert!(matches!(
        Authority::load(&leaf.certificate_pem, leaf.key_pem.expose()),
        Err(PkiError::NotAnAuthority { .. })
    ));
}

#[test]
fn each_authority_issues_only_its_own_uses() {
    let (clients, peers) = (authority(AuthorityKind::Client), authority(AuthorityKind::Peer));
    for refused in [
        peers.issue_client("a", year()),
        peers.issue_server("n1", &["localhost".to_owned()], year()),
        clients.issue_peer(NodeId(1), &[], year()),
    ] {
        assert!(matches!(refused, Err(PkiError::NotThisAuthority { .. })));
    }
}

#[test]
fn validity_that_makes_no_sense_is_refused() {
    let clients = authority(AuthorityKind::Client);
    for (not_before, not_after) in [
        (NOW, NOW),
        (UnixMillis(-1), NOW),
        (NOW, UnixMillis(i64::MAX)),
        // Longer than the authority.
        (NOW, NOW.plus_ms(i64::from(AUTHORITY_DAYS + 1) * DAY_MS)),
    ] {
        let validity = Validity { not_before, not_after };
        assert!(matches!(clients.issue_client("a", validity), Err(PkiError::Validity { .. })), "{validity:?}");
    }
}

#[test]
fn a_host_that_is_no_host_is_refused() {
    let clients = authority(AuthorityKind::Client);
    for bad in ["", "two words", "a/b", "汉字"] {
        let refused = clients.issue_server("n1", &[bad.to_owned()], year());
        assert!(matches!(refused, Err(PkiError::AlternativeName { .. })), "{bad:?}");
    }
}

#[test]
fn the_key_hash_is_that_of_the_public_key_as_openssl_prints_it() {
    // openssl req -x509 -newkey ec … | openssl x509 -noout -pubkey | openssl pkey -pubin -outform der | sha256sum
    let facts = inspect(include_bytes!("testdata/openssl.pem")).expect("a certificate");
    assert_eq!(facts.key_hash.to_string(), include_str!("testdata/openssl.sha256").trim());
    assert!(matches!(facts.issuer, IssuedBy::Other(_)));
}

#[test]
fn bytes_that_are_no_certificate_are_refused() {
    for bad in
        [&b""[..], b"hello", b"\x30\x03\x02\x01\x01", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    {
        assert!(matches!(key_hash_of_certificate(bad), Err(PkiError::NotACertificate(_))), "{bad:?}");
    }
}

#[test]
fn a_key_file_is_readable_by_its_owner_alone_even_where_another_stood() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("legal.key");
    fs::write(&path, "old and open").expect("writes");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("sets");
    let issued = authority(AuthorityKind::Client).issue_client("legal", year()).expect("issued");
    write_private(&path, &issued.key_pem).expect("writes");
    write_public(&folder.path().join("legal.pem"), &issued.certificate_pem).expect("writes");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&path).expect("reads"), issued.key_pem.expose());
    assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 2, "no leftovers");
}

#[test]
fn a_private_key_is_not_shown_by_debug() {
    let issued = authority(AuthorityKind::Client).issue_client("legal", year()).expect("issued");
    assert!(!format!("{issued:?}").contains("PRIVATE"));
}
