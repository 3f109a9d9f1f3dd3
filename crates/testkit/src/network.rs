//! Faults between the nodes of a cluster: delay, loss, silence and resets, for each pair of nodes and each direction.
//!
//! Every connection between nodes goes through a relay in this process. The nodes know each other by the addresses of
//! the genesis file; there the relay listens, and the nodes listen at the same port of another loopback address. Who
//! connects is found in the kernel's table of sockets, so that a fault can be between two nodes and nobody else.
//! docs/adr/0010-network-faults-by-relay.md says why it is made this way.
//!
//! What TCP promises still holds: bytes come late or not at all, never changed, swapped or twice. What is held back by
//! silence passes when the link is open again, as what TCP sends again would.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::cluster::Cluster;
use crate::random::Random;

/// Where the nodes listen in truth; the relay listens at 127.0.0.1, where the genesis file says.
const BEHIND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const PIECE_BYTES: usize = 64 << 10;
/// So many pieces may be on their way in one direction of a connection.
const PIECES: usize = 64;
/// TCP sends again after this long at least.
const RETRANSMISSION: Duration = Duration::from_millis(200);

/// How one node's bytes get to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// At once.
    #[default]
    Open,
    /// Later by so much.
    Delay(Duration),
    /// Of a hundred pieces so many are lost, and come with TCP's next attempt.
    Lossy {
        /// How many of a hundred.
        percent: u64,
    },
    /// Not at all until the link is another one. Nobody is told.
    Silent,
    /// Connections break, and new ones are refused.
    Reset,
}

/// The links that are not open, by sender and receiver.
type Links = BTreeMap<(String, String), Link>;
/// The node that a connection comes from, by the address that it comes from.
type Who = dyn Fn(SocketAddr) -> Option<String> + Send + Sync;

/// The network between the nodes of a cluster. Faults end with the value, and so do all connections.
pub struct Network {
    runtime: tokio::runtime::Runtime,
    links: watch::Sender<Links>,
    shared: Arc<Shared>,
}

struct Shared {
    who: Box<Who>,
    connections: AtomicU64,
}

impl Network {
    /// Starts the nodes of a cluster again so that they reach each other through a network of this process.
    ///
    /// # Panics
    /// As all of it: where the machine does not do what must succeed.
    #[must_use]
    pub fn between(cluster: &Cluster) -> Self {
        let dir = cluster.dir();
        let status = cluster.json(&["dev", "status", "--dir", &dir]);
        cluster.done(&["dev", "down", "--dir", &dir]);
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        let nodes: Vec<(String, String)> = status["nodes"]
            .as_array()
            .expect("nodes")
            .iter()
            .map(|node| (text(&node["name"]), text(&node["peer"])))
            .collect();
        let pid_files: Vec<_> =
            nodes.iter().map(|(name, _)| (name.clone(), cluster.file(&format!("nodes/{name}/pid")))).collect();
        let network = Self::new(move |from| owner(from, &pid_files));
        for (name, peer) in nodes {
            let known: SocketAddrV4 = peer.parse().expect("an address");
            let behind = SocketAddrV4::new(BEHIND, known.port());
            let config = cluster.file(&format!("nodes/{name}/node.toml"));
            let before = fs::read_to_string(&config).expect("reads a configuration");
            let after = before.replace(&format!("peer = \"{known}\""), &format!("peer = \"{behind}\""));
            assert_ne!(before, after, "{name} does not listen where it is known");
            fs::write(&config, after).expect("writes a configuration");
            network.relay(&name, known.into(), behind.into());
        }
        cluster.bring_up();
        network
    }

    fn new(who: impl Fn(SocketAddr) -> Option<String> + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime for the relay");
        let shared = Arc::new(Shared { who: Box::new(who), connections: AtomicU64::new(0) });
        Self { runtime, links: watch::Sender::new(Links::new()), shared }
    }

    /// Listens at `known` for connections to the node `to`, which is at `behind`. Answers where it listens.
    fn relay(&self, to: &str, known: SocketAddr, behind: SocketAddr) -> SocketAddr {
        let listener = self.runtime.block_on(TcpListener::bind(known)).expect("the node's address is free");
        let at = listener.local_addr().expect("an address");
        let (to, links, shared) = (to.to_owned(), self.links.clone(), Arc::clone(&self.shared));
        self.runtime.spawn(async move {
            while let Ok((stream, from)) = listener.accept().await {
                // A connection from nobody that we know is closed: a test sees that its nodes do not come up.
                let Some(from) = (shared.who)(from) else { continue };
                let number = shared.connections.fetch_add(1, Ordering::Relaxed);
                let ways = (Way::new(&links, &from, &to, number), Way::new(&links, &to, &from, number));
                tokio::spawn(carry(stream, behind, ways));
            }
        });
        at
    }

    /// Sets the links that lead from each of these nodes to each of those, one way.
    pub fn set(&self, from: &[&str], to: &[&str], link: Link) {
        self.links.send_modify(|links| {
            for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
                links.insert(((*from).to_owned(), (*to).to_owned()), link);
            }
        });
    }

    /// Sets the links between each of these nodes and each of those, both ways.
    pub fn between_all(&self, these: &[&str], those: &[&str], link: Link) {
        self.set(these, those, link);
        self.set(those, these, link);
    }

    /// Opens every link.
    pub fn heal(&self) {
        self.links.send_modify(Links::clear);
    }

    /// How many connections nodes have made so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("links", &*self.links.borrow()).finish_non_exhaustive()
    }
}

/// One direction of a connection.
struct Way {
    key: (String, String),
    links: watch::Receiver<Links>,
    random: Random,
}

impl Way {
    fn new(links: &watch::Sender<Links>, from: &str, to: &str, number: u64) -> Self {
        Self { key: (from.to_owned(), to.to_owned()), links: links.subscribe(), random: Random::new(number) }
    }

    fn now(&self) -> Link {
        self.links.borrow().get(&self.key).copied().unwrap_or_default()
    }

    /// How much later the next piece comes.
    fn delay(&mut self) -> Duration {
        match self.now() {
            Link::Delay(delay) => delay,
            Link::Lossy { percent } if self.random.below(100) < percent => RETRANSMISSION,
            Link::Lossy { .. } | Link::Open | Link::Silent | Link::Reset => Duration::ZERO,
        }
    }

    /// Returns when something may pass.
    async fn speaks(&mut self) {
        let key = self.key.clone();
        // Where the network is gone, so is this task.
        let _ = self.links.wait_for(|links| links.get(&key) != Some(&Link::Silent)).await;
    }

    /// Returns when connections of this way break.
    async fn breaks(mut links: watch::Receiver<Links>, key: (String, String)) {
        if links.wait_for(|links| links.get(&key) == Some(&Link::Reset)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Carries one connection until it ends at both sides, or breaks.
async fn carry(mut client: TcpStream, behind: SocketAddr, (there, back): (Way, Way)) {
    let broken = {
        let there = Way::breaks(there.links.clone(), there.key.clone());
        let back = Way::breaks(back.links.clone(), back.key.clone());
        async move {
            tokio::select! { () = there => (), () = back => () }
        }
    };
    let Ok(mut server) = TcpStream::connect(behind).await else {
        reset(&client);
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let is_broken = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let both = async { tokio::join!(pump(from_client, to_server, there), pump(from_server, to_client, back)) };
        tokio::select! { _ = both => false, () = broken => true }
    };
    if is_broken {
        reset(&client);
        reset(&server);
    }
}

/// What is closed with this set is told to the other side as a reset.
fn reset(stream: &TcpStream) {
    // One that is closed already needs none.
    let _ = stream.set_zero_linger();
}

/// Carries one direction to its end.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, way: Way) {
    let (queue, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let mut gate = Way { key: way.key.clone(), links: way.links.clone(), random: way.random.clone() };
    let reading = async move {
        let mut way = way;
        let mut last = Instant::now();
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let Ok(length @ 1..) = from.read(&mut piece).await else { return };
            piece.truncate(length);
            last = last.max(Instant::now() + way.delay());
            if queue.send((last, piece)).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((at, piece)) = due.recv().await {
            sleep_until(at).await;
            gate.speaks().await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        // The end of a stream is silenced like all of it.
        gate.speaks().await;
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}

/// The node whose process has the socket that is connected from `from`.
fn owner(from: SocketAddr, pid_files: &[(String, PathBuf)]) -> Option<String> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let socket = PathBuf::from(format!("socket:[{}]", inode_at(&table, from)?));
    let has_it = |pid_file: &PathBuf| -> io::Result<bool> {
        let pid = fs::read_to_string(pid_file)?;
        let descriptors = fs::read_dir(format!("/proc/{}/fd", pid.trim()))?;
        Ok(descriptors.flatten().any(|descriptor| fs::read_link(descriptor.path()).is_ok_and(|link| link == socket)))
    };
    pid_files.iter().find(|(_, pid_file)| has_it(pid_file).unwrap_or(false)).map(|(name, _)| name.clone())
}

/// The inode of the socket with this local address in the kernel's table.
fn inode_at(table: &str, local: SocketAddr) -> Option<&str> {
    let SocketAddr::V4(local) = local else { return None };
    // The address stands there as the machine's number, the port as people write it.
    let wanted = format!("{:08X}:{:04X}", u32::from_ne_bytes(local.ip().octets()), local.port());
    let row = table.lines().find(|row| row.split_whitespace().nth(1) == Some(&wanted))?;
    row.split_whitespace().nth(9)
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net;
    use std::thread;

    use super::*;

    const DELAY: Duration = Duration::from_secs(1);
    const PATIENCE: Duration = Duration::from_secs(10);
    /// What would have come by now, were it to come.
    const LITTLE: Duration = Duration::from_millis(150);

    /// Node `s` answers what it is sent; `a` and `b` call it.
    struct Stage {
        network: Network,
        at: SocketAddr,
    }

    impl Stage {
        fn new() -> Self {
            let server = net::TcpListener::bind("127.0.0.1:0").expect("listens");
            let behind = server.local_addr().expect("an address");
            thread::spawn(move || {
                for stream in server.incoming().flatten() {
                    thread::spawn(move || answer(stream));
                }
            });
            // Here the callers are known by the loopback address that they call from.
            let network = Network::new(|from| match from.ip().to_string().as_str() {
                "127.0.0.11" => Some("a".to_owned()),
                "127.0.0.12" => Some("b".to_owned()),
                _ => None,
            });
            let at = network.relay("s", "127.0.0.1:0".parse().expect("an address"), behind);
            Self { network, at }
        }

        fn call(&self, name: &str) -> net::TcpStream {
            self.try_call(name).expect("connects")
        }

        fn try_call(&self, name: &str) -> io::Result<net::TcpStream> {
            let from: Ipv4Addr = if name == "a" { "127.0.0.11" } else { "127.0.0.12" }.parse().expect("an address");
            let stream = self.network.runtime.block_on(async {
                let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
                socket.bind((from, 0).into()).expect("binds");
                socket.connect(self.at).await?.into_std()
            })?;
            stream.set_nonblocking(false).expect("blocks");
            stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
            Ok(stream)
        }
    }

    fn answer(mut stream: net::TcpStream) {
        let mut bytes = [0; 16];
        while let Ok(length @ 1..) = stream.read(&mut bytes) {
            if stream.write_all(&bytes[..length]).is_err() {
                return;
            }
        }
    }

    fn round_trip(stream: &mut net::TcpStream) -> Duration {
        let start = std::time::Instant::now();
        stream.write_all(b"word").expect("sends");
        hear(stream);
        start.elapsed()
    }

    fn hear(stream: &mut net::TcpStream) {
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).expect("an answer");
        assert_eq!(&bytes, b"word");
    }

    fn hears_nothing(stream: &net::TcpStream) -> bool {
        stream.set_read_timeout(Some(LITTLE)).expect("a deadline");
        let nothing = stream.peek(&mut [0; 4]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        nothing
    }

    #[test]
    fn a_delay_is_between_two_nodes_and_nobody_else() {
        let stage = Stage::new();
        let (mut a, mut b) = (stage.call("a"), stage.call("b"));
        round_trip(&mut a);
        stage.network.set(&["a"], &["s"], Link::Delay(DELAY));
        assert!(round_trip(&mut a) >= DELAY);
        assert!(round_trip(&mut b) < DELAY);
        stage.network.between_all(&["a"], &["s"], Link::Delay(DELAY));
        assert!(round_trip(&mut a) >= DELAY * 2);
        stage.network.heal();
        assert!(round_trip(&mut a) < DELAY);
        assert_eq!(stage.network.connections(), 2);
    }

    #[test]
    fn what_is_delayed_comes_in_one_delay_and_not_piece_after_piece() {
        let stage = Stage::new();
        let mut a = stage.call("a");
        stage.network.set(&["a"], &["s"], Link::Delay(DELAY));
        let start = std::time::Instant::now();
        for _ in 0..8 {
            a.write_all(b"word").expect("sends");
            thread::sleep(Duration::from_millis(5));
        }
        (0..8).for_each(|_| hear(&mut a));
        assert!(start.elapsed() < DELAY * 3, "{:?}", start.elapsed());
    }

    #[test]
    fn silence_holds_everything_back_until_it_ends() {
        let stage = Stage::new();
        let mut a = stage.call("a");
        stage.network.between_all(&["a"], &["s"], Link::Silent);
        let mut later = stage.call("a");
        for stream in [&mut a, &mut later] {
            stream.write_all(b"word").expect("sends");
            assert!(hears_nothing(stream));
        }
        round_trip(&mut stage.call("b"));
        stage.network.heal();
        hear(&mut a);
        hear(&mut later);
    }

    #[test]
    fn silence_may_be_one_way() {
        let stage = Stage::new();
        let mut a = stage.call("a");
        a.write_all(b"word").expect("sends");
        hear(&mut a);
        stage.network.set(&["s"], &["a"], Link::Silent);
        a.write_all(b"word").expect("sends");
        assert!(hears_nothing(&a));
        // It was heard and answered: with the other way silent instead, the answer comes, and the next word does not.
        stage.network.heal();
        stage.network.set(&["a"], &["s"], Link::Silent);
        hear(&mut a);
        a.write_all(b"word").expect("sends");
        assert!(hears_nothing(&a));
    }

    #[test]
    fn a_reset_breaks_connections_and_refuses_new_ones() {
        let stage = Stage::new();
        let (mut a, mut b) = (stage.call("a"), stage.call("b"));
        round_trip(&mut a);
        stage.network.set(&["a"], &["s"], Link::Reset);
        let broken = a.read(&mut [0; 4]).expect_err("a reset");
        assert_eq!(broken.kind(), ErrorKind::ConnectionReset);
        // The reset comes while it connects or when it reads.
        let refused = stage.try_call("a").and_then(|mut stream| stream.read(&mut [0; 4]));
        assert!(!matches!(refused, Ok(1..)), "{refused:?}");
        round_trip(&mut b);
        stage.network.heal();
        round_trip(&mut stage.call("a"));
    }

    #[test]
    fn what_is_lost_comes_with_the_next_attempt() {
        let stage = Stage::new();
        let mut a = stage.call("a");
        stage.network.set(&["a"], &["s"], Link::Lossy { percent: 100 });
        assert!(round_trip(&mut a) >= RETRANSMISSION);
        stage.network.set(&["a"], &["s"], Link::Lossy { percent: 50 });
        let late = (0..20).filter(|_| round_trip(&mut a) >= RETRANSMISSION).count();
        assert!((1..20).contains(&late), "{late} of 20 were lost");
    }

    #[test]
    fn the_kernels_table_names_the_socket_of_an_address() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:1F90 0200007F:1F91 01 00000000:00000000 00:00000000 00000000     0        0 4711 1 x\n";
        assert_eq!(inode_at(table, "127.0.0.1:8080".parse().expect("an address")), Some("4711"));
        assert_eq!(inode_at(table, "127.0.0.1:8081".parse().expect("an address")), None);
    }
}
