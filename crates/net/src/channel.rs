//! Channels to other nodes: connected when first used, kept, reconnected by themselves.
//!
//! A dead machine is noticed by unanswered pings, and calls to it fail quickly: after a failed connect, calls are
//! answered with that failure at once for a moment, instead of each waiting for an attempt of its own.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use strongroom_types::NodeId;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::listen::READ_AHEAD_BYTES;
use crate::pki::peer_name;
use crate::tuning::{NetTuning, tune_endpoint};

/// An address or name that cannot be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not `HOST:PORT`.
    #[error("{address:?} is not an address: write HOST:PORT, such as 10.0.0.7:7443 or [::1]:7443")]
    NotAnAddress {
        /// The text that came.
        address: String,
    },
    /// Not a name that a certificate can carry.
    #[error("{name:?} is neither a host name nor an IP address")]
    NotAName {
        /// The text that came.
        name: String,
    },
}

/// Makes channels to any node with one certificate, and keeps them: one per address and expected name.
#[derive(Clone)]
pub struct Channels {
    inner: Arc<Inner>,
}

struct Inner {
    tls: TlsConnector,
    tuning: NetTuning,
    open: Mutex<HashMap<(String, String), Channel>>,
}

impl Channels {
    /// No channels yet.
    #[must_use]
    pub fn new(tls: Arc<ClientConfig>, tuning: NetTuning) -> Self {
        Self { inner: Arc::new(Inner { tls: TlsConnector::from(tls), tuning, open: Mutex::new(HashMap::new()) }) }
    }

    /// The channel to `HOST:PORT`, whose certificate must carry that host.
    ///
    /// # Errors
    /// [`AddressError`] where the text is no address.
    pub fn channel(&self, address: &str) -> Result<Channel, AddressError> {
        let host = split(address)?.0.to_owned();
        self.channel_named(address, &host)
    }

    /// The channel to a node's peer port: whatever answers at the address must be that very node.
    ///
    /// # Errors
    /// [`AddressError`] where the text is no address.
    pub fn peer(&self, node: NodeId, address: &str) -> Result<Channel, AddressError> {
        self.channel_named(address, &peer_name(node))
    }

    /// The channel to `HOST:PORT`, whose certificate must carry `name`.
    ///
    /// # Errors
    /// [`AddressError`] where the text is no address or the name is none.
    pub fn channel_named(&self, address: &str, name: &str) -> Result<Channel, AddressError> {
        let mut open = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address.to_owned(), name.to_owned());
        if let Some(channel) = open.get(&key) {
            return Ok(channel.clone());
        }
        let channel = self.connect_lazily(address, name)?;
        open.insert(key, channel.clone());
        Ok(channel)
    }

    /// Forgets the channels to an address, such as that of a node that was removed. Calls under way go on.
    pub fn forget(&self, address: &str) {
        let mut open = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(other, _), _| other != address);
    }

    fn connect_lazily(&self, address: &str, name: &str) -> Result<Channel, AddressError> {
        split(address)?;
        let not_an_address = |_| AddressError::NotAnAddress { address: address.to_owned() };
        // TLS is ours and below tonic, which therefore sees plain `http`; the origin tells the server the truth.
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(not_an_address)?;
        let origin = format!("https://{address}")
            .parse()
            .map_err(|_| AddressError::NotAnAddress { address: address.to_owned() })?;
        let connector = Arc::new(Connector {
            address: address.to_owned(),
            name: ServerName::try_from(name.to_owned())
                .map_err(|_| AddressError::NotAName { name: name.to_owned() })?,
            tls: self.inner.tls.clone(),
            tuning: self.inner.tuning,
            failed: Mutex::new(None),
        });
        let connect = tower::service_fn(move |_| {
            let connector = Arc::clone(&connector);
            async move { connector.connect().await.map(TokioIo::new) }
        });
        Ok(tune_endpoint(endpoint, &self.inner.tuning).origin(origin).connect_with_connector_lazy(connect))
    }
}

impl std::fmt::Debug for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channels").field("tuning", &self.inner.tuning).finish_non_exhaustive()
    }
}

/// Whether a call failed because the connection did, so that another node may well answer it. A status that the other
/// end sent carries no local cause.
#[must_use]
pub fn is_connection_failure(status: &Status) -> bool {
    std::error::Error::source(status).is_some() || status.code() == Code::Unavailable
}

/// What TLS had against the connection, where that is why a call failed: trying again will not mend a certificate.
#[must_use]
pub fn tls_fault(status: &Status) -> Option<String> {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let tls = error.downcast_ref::<io::Error>().and_then(|io| io.get_ref()?.downcast_ref::<rustls::Error>());
        if let Some(fault @ (rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_))) = tls {
            return Some(fault.to_string());
        }
        cause = error.source();
    }
    None
}

struct Connector {
    address: String,
    name: ServerName<'static>,
    tls: TlsConnector,
    tuning: NetTuning,
    failed: Mutex<Option<Failure>>,
}

struct Failure {
    at: Instant,
    kind: io::ErrorKind,
    text: String,
}

impl Connector {
    async fn connect(&self) -> io::Result<TlsStream<BufReader<TcpStream>>> {
        if let Some(error) = self.recent_failure() {
            return Err(error);
        }
        let outcome = match tokio::time::timeout(self.tuning.connect_timeout, self.try_connect()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{} did not answer within {:?}", self.address, self.tuning.connect_timeout),
            )),
        };
        self.remember(outcome.as_ref().err());
        outcome
    }

    async fn try_connect(&self) -> io::Result<TlsStream<BufReader<TcpStream>>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        self.tls.connect(self.name.clone(), BufReader::with_capacity(READ_AHEAD_BYTES, stream)).await
    }

    fn recent_failure(&self) -> Option<io::Error> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = failed.as_ref().filter(|failure| failure.at.elapsed() < self.tuning.reconnect_pause)?;
        Some(io::Error::new(failure.kind, failure.text.clone()))
    }

    fn remember(&self, error: Option<&io::Error>) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) =
            error.map(|error| Failure { at: Instant::now(), kind: error.kind(), text: error.to_string() });
    }
}

/// Host (without brackets) and port of `HOST:PORT`.
fn split(address: &str) -> Result<(&str, u16), AddressError> {
    let parts = || {
        let (host, port) = address.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']')?,
            None if host.contains(':') => return None,
            None => host,
        };
        if host.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some((host, port.parse().ok()?))
    };
    parts().ok_or_else(|| AddressError::NotAnAddress { address: address.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (text, expected) in [
            ("127.0.0.1:7443", Some(("127.0.0.1", 7443))),
            ("node.example:1", Some(("node.example", 1))),
            ("[::1]:7443", Some(("::1", 7443))),
            ("::1:7443", None),
            ("node", None),
            (":7443", None),
            ("node:", None),
            ("node:+1", None),
            ("node:70000", None),
        ] {
            assert_eq!(split(text).ok(), expected, "{text}");
        }
    }
}
