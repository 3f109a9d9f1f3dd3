//! The rules on a catalogue of the size that an agency has: a hold on a case of a hundred thousand items, and why an
//! item is kept, asked on a million.
//!
//! A million originals through the whole path would take an hour and measure the path again. The seals come as another
//! node would propose them: whole batches of `SealOriginal` over the peer port, under a node's own certificate, in the
//! name of the station. Every voter decides, writes and records each of them as any other; the originals are empty, so
//! no disk holds anything of them.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use minicbor::bytes::ByteVec;
use strongroom_client::{Client, Context, NewHold};
use strongroom_custody::{
    Actor,
    command::{OpenUpload, SealOriginal},
    tables::{Description, ManifestStep, UploadEnd},
};
use strongroom_engine::{Command, Envelope, Outcome};
use strongroom_net::{
    channel::Channels,
    pki::key_hash_of_certificate,
    tls::{self, CertificateFiles, TlsTime, TrustedAuthority},
    tuning::NetTuning,
};
use strongroom_proto::hold::Scope;
use strongroom_proto::peer::{ProposeRequest, meta_service_client::MetaServiceClient};
use strongroom_testkit::{Cluster, Shape};
use strongroom_types::{CaseId, HoldId, ItemDigest, ItemId, KeyHash, NodeId, Sha256Digest, UnixMillis, limits};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::{Scale, one_worker, say};

/// Batches under way at once: one is decided while the next is written and sent.
const UNDER_WAY: usize = 4;
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_PERIOD: Duration = Duration::from_millis(5);

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Custody {
    /// Items in the catalogue.
    pub(crate) items: usize,
    /// Items of the case that is held.
    pub(crate) case_items: usize,
    /// From the call that places the hold until the last node names it for an item of the case.
    pub(crate) hold_in_force: Duration,
    /// Until `item explain` was answered: half of the calls were faster.
    pub(crate) explain_median: Duration,
    /// All but one of a hundred were.
    pub(crate) explain_p99: Duration,
}

/// Brings a cluster up, fills its catalogue, measures, and takes it down.
pub(crate) fn measure(binary: &Path, scale: Scale) -> Result<Custody> {
    ensure!(binary.is_file(), "{} is not there: build strongroom-cli first", binary.display());
    let (count, case_count, explained) = scale.pick((1_000_000, 100_000, 2000), (20_000, 2000, 200));
    say("custody: six nodes come up");
    let cluster = Cluster::up(binary, Shape::default());
    one_worker()?.block_on(async {
        let items = fill(&cluster, count).await?;
        let context = Context::load(&cluster.file("context.toml"))?;
        let nodes = clients(&context)?;
        let case = bind(&nodes[0], &items[..case_count]).await?;
        let hold_in_force = hold(&nodes, &case, items[case_count - 1]).await?;
        let mut took = explain(&nodes, &items, explained).await?;
        took.sort_unstable();
        Ok(Custody {
            items: count,
            case_items: case_count,
            hold_in_force,
            explain_median: took[took.len() / 2],
            explain_p99: took[took.len() * 99 / 100],
        })
    })
}

/// One client of the legal office for each node, which it asks first.
fn clients(context: &Context) -> Result<Vec<Client>> {
    let of_node = |number| {
        let mut context = context.clone();
        context.endpoints.rotate_left(number);
        Ok(Client::connect(&context, Some("legal"))?)
    };
    (0..context.endpoints.len()).map(of_node).collect()
}

/// The stored form in which commands travel between nodes.
#[derive(minicbor::Encode, minicbor::Decode)]
struct Batch {
    #[n(0)]
    items: Vec<ByteVec>,
}

/// Seals `count` empty originals.
async fn fill(cluster: &Cluster, count: usize) -> Result<Vec<ItemId>> {
    let leader = Leader::find(cluster)?;
    let station = key_hash_of_certificate(&std::fs::read(cluster.file("identities/station.pem"))?)?;
    let items: Vec<ItemId> = (1..=count as u64).map(item).collect();
    let (start, mut done, mut said) = (Instant::now(), 0, 0);
    let mut running = JoinSet::new();
    for batch in items.chunks(limits::BATCH_COMMANDS_MAX) {
        if running.len() == UNDER_WAY
            && let Some(sealed) = running.join_next().await
        {
            done += sealed??;
        }
        if done * 10 / count > said {
            said = done * 10 / count;
            say(&format!("custody: {done} of {count} items, {:.0} s", start.elapsed().as_secs_f64()));
        }
        let commands = batch.iter().map(|item| seal(station, *item)).collect::<Result<_>>()?;
        let batch_cbor = minicbor::to_vec(Batch { items: commands })?;
        running.spawn(propose(leader.call(), batch_cbor));
    }
    while let Some(sealed) = running.join_next().await {
        done += sealed??;
    }
    ensure!(done == count, "{done} of {count} were sealed");
    let seconds = start.elapsed().as_secs_f64();
    say(&format!("custody: {count} items in {seconds:.0} s"));
    Ok(items)
}

/// Ids without repetition, spread as random ones are: an odd factor only changes the order of all numbers.
fn item(number: u64) -> ItemId {
    ItemId::new(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes())
}

/// The leader's peer port, called by another node.
struct Leader {
    node: NodeId,
    address: String,
    channels: Channels,
}

impl Leader {
    fn find(cluster: &Cluster) -> Result<Self> {
        let status = cluster.json(&["dev", "status", "--dir", &cluster.dir()]);
        let name = status["leader"].as_str().context("there is a leader")?.to_owned();
        let other = cluster.names().into_iter().find(|other| *other != name).context("there are others")?;
        let folder = cluster.file(&format!("nodes/{other}/tls"));
        let own = CertificateFiles::open(&folder.join("peer.pem"), &folder.join("peer.key"))?;
        let authority = TrustedAuthority::from_file(&cluster.file("pki/peer-ca.pem"))?;
        let channels = Channels::new(tls::client(own, &authority, TlsTime::system())?, NetTuning::LAN);
        let file: toml::Value = toml::from_str(&std::fs::read_to_string(cluster.file("dev.toml"))?)?;
        let nodes = file.get("node").and_then(toml::Value::as_array).context("dev.toml lists nodes")?;
        let of_leader = |node: &&toml::Value| node.get("name").and_then(toml::Value::as_str) == Some(&name);
        let row = nodes.iter().find(of_leader).context("dev.toml lists the leader")?;
        let address = row.get("peer").and_then(toml::Value::as_str).context("a node has a peer port")?.to_owned();
        let number = name.strip_prefix('n').context("nodes of dev clusters are n1, n2, …")?.parse()?;
        Ok(Self { node: NodeId(number), address, channels })
    }

    fn call(&self) -> Result<MetaServiceClient<Channel>> {
        let channel = self.channels.peer(self.node, &self.address)?;
        Ok(MetaServiceClient::new(channel)
            .max_encoding_message_size(limits::MESSAGE_BYTES_MAX)
            .max_decoding_message_size(limits::MESSAGE_BYTES_MAX))
    }
}

/// One empty original of the station, sealed in one command.
#[expect(clippy::disallowed_methods, reason = "a bench proposes as a node does, at the time of this machine")]
fn seal(station: KeyHash, item: ItemId) -> Result<ByteVec> {
    let wall = UnixMillis(i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis())?);
    let open = OpenUpload {
        item,
        description: Description {
            device: "D1".parse()?,
            unit: "U1".parse()?,
            file_name: format!("{item}.mp4"),
            recorded_start: UnixMillis(1_780_000_000_000),
            recorded_end: UnixMillis(1_780_000_060_000),
            activity: None,
            labels: [("place".to_owned(), "gate".to_owned())].into(),
            media_type: None,
            device_proof: None,
        },
        wrapped_key: ByteVec::from(vec![1; 72]),
        gateway: NodeId(1),
    };
    let end = UploadEnd { size_bytes: 0, blake3: ItemDigest::new([1; 32]), sha256: Sha256Digest::new([1; 32]) };
    let command =
        strongroom_custody::Command::SealOriginal(SealOriginal { open, step: ManifestStep { runs: Vec::new() }, end });
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(item.as_bytes());
    let envelope =
        Envelope { command: Command::Custody(command), actor: Actor::Client(station), wall, seed, idempotency: None };
    Ok(minicbor::to_vec(envelope)?.into())
}

/// Proposes a batch; answers how many it sealed.
async fn propose(leader: Result<MetaServiceClient<Channel>>, batch_cbor: Vec<u8>) -> Result<usize> {
    let answer = leader?.propose(ProposeRequest { batch_cbor: batch_cbor.into() }).await?.into_inner();
    let outcomes: Batch = minicbor::decode(&answer.outcomes_cbor)?;
    for outcome in &outcomes.items {
        if let Outcome::Refused(refusal) = minicbor::decode(outcome)? {
            bail!("a seal was refused: {refusal}");
        }
    }
    Ok(outcomes.items.len())
}

/// Opens a case and binds the items to it.
async fn bind(legal: &Client, items: &[ItemId]) -> Result<CaseId> {
    let case: CaseId = "2026-0001".parse()?;
    say(&format!("custody: {} items are bound to a case", items.len()));
    legal.open_case(&case, &"U1".parse()?, "a case of many items").await?;
    for batch in items.chunks(limits::BATCH_ITEMS_MAX) {
        legal.bind_case(&case, batch).await?;
    }
    Ok(case)
}

/// Places a hold on the case and waits until every node names it where it says why `item` is kept.
async fn hold(nodes: &[Client], case: &CaseId, item: ItemId) -> Result<Duration> {
    let hold: HoldId = "matter-1".parse()?;
    say("custody: the case is held");
    let start = Instant::now();
    let placed = nodes[0]
        .place_hold(NewHold {
            hold: hold.clone(),
            authority: "the court of the district".to_owned(),
            document: "2026-17".to_owned(),
            reason: "a suit was filed".to_owned(),
            scope: Scope { case_ids: vec![case.to_string()], ..Scope::default() },
        })
        .await?;
    ensure!(placed.hold.is_some(), "the hold was placed");
    for node in nodes {
        while !node.explain_item(item).await?.reasons.iter().any(|reason| reason.text_en.contains(hold.as_str())) {
            ensure!(start.elapsed() < PATIENCE, "the hold is not in force on every node");
            tokio::time::sleep(LOOK_PERIOD).await;
        }
    }
    Ok(start.elapsed())
}

/// Asks each node in turn why items all over the catalogue are kept.
async fn explain(nodes: &[Client], items: &[ItemId], count: usize) -> Result<Vec<Duration>> {
    say(&format!("custody: {count} items are explained"));
    let step = items.len() / count;
    let mut took = Vec::with_capacity(count);
    for (number, item) in items.iter().step_by(step).take(count).enumerate() {
        let start = Instant::now();
        let explained = nodes[number % nodes.len()].explain_item(*item).await?;
        took.push(start.elapsed());
        ensure!(!explained.reasons.is_empty(), "item {item} is kept for no reason");
    }
    Ok(took)
}
