//! Calls that do not exist, on purpose: nobody deletes or overwrites an item, drops a volume or a tenant (C1, G2). The
//! answer says so, and the attempt is a record.

use std::{collections::HashSet, sync::OnceLock};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use prost::Message;
use prost_types::FileDescriptorSet;
use strongroom_custody::Act;
use strongroom_net::listen::PeerIdentity;
use strongroom_proto::{DESCRIPTORS, status};
use strongroom_types::{Reason, Refusal};
use tracing::Instrument;

use crate::{edge::Edge, metrics, refusals::AtEdge};

/// Packages of ours begin with this.
const OURS: &str = "/strongroom.";
/// Between nodes; nothing of it is on the client port.
const PEERS: &str = "strongroom.peer.";

/// Answers calls that do not exist; others go on.
pub(crate) async fn guard(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !path.starts_with(OURS) || known().contains(path) {
        let span = tracing::info_span!("rpc", method = path);
        return next.run(request).instrument(span).await;
    }
    let refusal = no_such_call(path);
    metrics::refused(refusal.reason);
    if let Some(caller) = request.extensions().get::<PeerIdentity>() {
        note(&edge, caller, path, &refusal).await;
    }
    status::from_refusal(&refusal).into_http()
}

/// By name where the key is known; otherwise it is counted only, so that strangers cannot fill the ledger.
async fn note(edge: &Edge, caller: &PeerIdentity, path: &str, refusal: &Refusal) {
    let source = caller.address.ip();
    match edge.is_registered(&caller.key).await {
        Ok(false) => edge.refusals().unknown_key(source),
        // Who it is will be looked up again by the command that makes the record.
        Ok(true) | Err(_) => {
            let at = AtEdge { key: caller.key, source, act: Act::NoSuchCall, call: path, item: None };
            edge.refusals().note(at, refusal).await;
        }
    }
}

fn no_such_call(path: &str) -> Refusal {
    let call: String = path.chars().take(200).collect();
    Refusal::new(
        Reason::NoSuchAct,
        "G2",
        format!(
            "there is no call {call}: originals are never deleted or changed by a call; disposal is a reviewed batch"
        ),
        "an expired item is proposed for disposal, reviewed and approved by two offices",
    )
}

/// `/package.Service/Method` of every call on the client port.
fn known() -> &'static HashSet<String> {
    static KNOWN: OnceLock<HashSet<String>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let files = FileDescriptorSet::decode(DESCRIPTORS).expect("the build wrote these descriptors");
        let paths =
            files.file.iter().filter(|file| !format!("{}.", file.package()).starts_with(PEERS)).flat_map(|file| {
                file.service.iter().flat_map(move |service| {
                    let path = move |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
                    service.method.iter().map(move |method| path(method.name()))
                })
            });
        paths.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RustFS #4293: there is no other path.
    #[test]
    fn the_calls_of_clients_are_known_and_those_of_peers_and_deleters_are_not() {
        for call in ["/strongroom.ingest.v1.IngestService/Seal", "/strongroom.cluster.v1.ClusterService/ShowStatus"] {
            assert!(known().contains(call), "{call}");
        }
        for call in [
            "/strongroom.catalog.v1.CatalogService/DeleteItem",
            "/strongroom.peer.v1.MetaService/Propose",
            "/strongroom.cluster.v1.ClusterService/Format",
        ] {
            assert!(!known().contains(call), "{call}");
        }
        assert!(known().iter().all(|call| call.starts_with(OURS)));
    }
}
