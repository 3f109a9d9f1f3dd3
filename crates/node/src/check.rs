//! `strongroom node check-config`: everything that a start would look at, without starting.

use std::path::Path;

use strongroom_net::{
    pki::CertificateUse,
    tls::{CertificateFiles, TrustedAuthority},
};
use strongroom_shardstore::Disk;
use strongroom_types::{Clock, UnixMillis};

use crate::{
    clock::SystemClock,
    config::{Config, ConfigError},
    run,
};

/// A certificate that ends sooner than this is worth a word.
const SOON_MS: i64 = 14 * 24 * 3600 * 1000;

/// What checking came to. A node with problems would not start, or not work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What is wrong, each with its file.
    pub problems: Vec<String>,
    /// What deserves attention before long.
    pub warnings: Vec<String>,
}

/// Checks a configuration file and everything that it refers to.
///
/// # Errors
/// [`ConfigError`] where the file itself is wrong: then nothing else was looked at.
pub fn check(path: &Path) -> Result<Checked, ConfigError> {
    let config = Config::load(path)?;
    let mut checked = Checked::default();
    let clock = SystemClock::new();
    match &clock {
        Ok(clock) => certificates(&config, clock.wall(), &mut checked),
        Err(error) => checked.problems.push(format!("could not read this machine's clocks: {error}")),
    }
    authorities(&config, &mut checked);
    match run::read_genesis(&config.genesis) {
        Ok(genesis) => identity(&config, &genesis, &mut checked),
        Err(error) => checked.problems.push(format!("{error:#}")),
    }
    if config.disks.is_empty() {
        checked.warnings.push("there is no disk: this node only holds metadata".to_owned());
    }
    Ok(checked)
}

fn authorities(config: &Config, checked: &mut Checked) {
    for file in [&config.tls.client_ca, &config.tls.peer_ca] {
        if let Err(error) = TrustedAuthority::from_file(file) {
            checked.problems.push(format!("{}: {error}", file.display()));
        }
    }
}

fn certificates(config: &Config, now: UnixMillis, checked: &mut Checked) {
    let tls = &config.tls;
    for (certificate, key, usage) in [
        (&tls.server_certificate, &tls.server_key, CertificateUse::Server),
        (&tls.peer_certificate, &tls.peer_key, CertificateUse::Peer),
    ] {
        let name = certificate.display();
        let facts = match CertificateFiles::open(certificate, key) {
            Ok(files) => files.facts(),
            Err(error) => {
                checked.problems.push(format!("{error}"));
                continue;
            }
        };
        if facts.usage != usage {
            checked.problems.push(format!("{name}: it is good for {:?}, not for {usage:?}", facts.usage));
        }
        if now < facts.not_before || now > facts.not_after {
            checked.problems.push(format!("{name}: it is good from {} to {}", facts.not_before, facts.not_after));
        } else if facts.not_after.since_ms(now) < SOON_MS {
            checked.warnings.push(format!("{name}: it ends at {}", facts.not_after));
        }
    }
}

/// Keys and disks, which must be those of this node in this cluster.
fn identity(config: &Config, genesis: &strongroom_engine::Genesis, checked: &mut Checked) {
    let mut note = |outcome: anyhow::Result<()>| {
        if let Err(error) = outcome {
            checked.problems.push(format!("{error:#}"));
        }
    };
    let registration = config.registration.as_deref().map(run::read_registration).transpose();
    let own = registration.and_then(|registration| run::own_row(config, genesis, registration.as_ref()));
    match own {
        Ok(own) => {
            note(run::open_clock_key(config, &own).map(|_| ()));
            note(run::open_secrets(config, genesis, &own).map(|_| ()));
        }
        Err(error) => note(Err(error)),
    }
    let expected = run::expected_marker(config, genesis);
    for disk in &config.disks {
        note(disk_is_ours(&disk.path, &expected));
    }
}

fn disk_is_ours(path: &Path, expected: &strongroom_shardstore::ExpectedMarker) -> anyhow::Result<()> {
    let marker = Disk::read_marker(path)?;
    let same = (marker.cluster, marker.node, marker.genesis) == (expected.cluster, expected.node, expected.genesis);
    anyhow::ensure!(
        same,
        "{} is a disk of {} in cluster {}, not of {} in cluster {} with this genesis",
        path.display(),
        marker.node,
        marker.cluster,
        expected.node,
        expected.cluster
    );
    Ok(())
}
