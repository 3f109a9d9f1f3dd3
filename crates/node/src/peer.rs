//! The services of the peer port. A caller is the node whose row names its certificate's key; anybody else is turned
//! away, except from asking to be taken in.

mod meta;
mod shards;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request as HttpRequest, State},
    middleware::{self, Next},
    response::Response,
};
use strongroom_net::listen::PeerIdentity;
use strongroom_proto::{
    peer::{meta_service_server::MetaServiceServer, shard_service_server::ShardServiceServer},
    status,
};
use strongroom_types::{NodeId, Reason, Refusal, limits};
use tonic::{Request, Status, service::Routes};
use tracing::Instrument;

use crate::{
    node::Node,
    refusals::{PeerFault, Refusals},
};

const JOIN: &str = "/strongroom.peer.v1.MetaService/Join";

/// Everything that the peer port answers.
pub(crate) fn routes(node: &Arc<Node>, refusals: &Arc<Refusals>) -> Routes {
    macro_rules! sized {
        ($server:ident, $handlers:expr) => {
            $server::new($handlers)
                .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
                .max_encoding_message_size(limits::MESSAGE_BYTES_MAX)
        };
    }
    let router: Router = Routes::new(sized!(ShardServiceServer, shards::Shards(Arc::clone(node))))
        .add_service(sized!(MetaServiceServer, meta::Meta { node: Arc::clone(node), refusals: Arc::clone(refusals) }))
        .into_axum_router();
    Routes::from(router.layer(middleware::from_fn_with_state((Arc::clone(node), Arc::clone(refusals)), who_is_it)))
        .prepare()
}

/// The node that calls, where it is one.
#[derive(Clone, Copy, Debug)]
struct CallingNode(NodeId);

async fn who_is_it(
    State((node, refusals)): State<(Arc<Node>, Arc<Refusals>)>,
    mut request: HttpRequest,
    next: Next,
) -> Response {
    let shown = request.extensions().get::<PeerIdentity>().map(|identity| (identity.key, identity.address.ip()));
    let caller = shown.and_then(|(key, _)| node.directory.by_key(&key).or_else(|| known_by_rows(&node, &key)));
    match caller {
        Some(caller) => {
            request.extensions_mut().insert(CallingNode(caller));
        }
        None if request.uri().path() == JOIN => {}
        None => {
            if let Some((_, source)) = shown {
                refusals.peer(source, PeerFault::Stranger);
            }
            return stranger().into_http();
        }
    }
    let span = tracing::debug_span!("peer rpc", method = request.uri().path(), peer_id = caller.map(|caller| caller.0));
    next.run(request).instrument(span).await
}

/// A node that was registered a moment ago may call before this node's cache has seen its row.
fn known_by_rows(node: &Node, key: &strongroom_types::KeyHash) -> Option<NodeId> {
    let view = node.metastore.view();
    if let Err(error) = node.directory.refresh(&*view.rows()) {
        tracing::error!(%error, "rows of nodes could not be read");
    }
    node.directory.by_key(key)
}

fn stranger() -> Status {
    let refusal = Refusal::new(
        Reason::RoleNotAllowed,
        "",
        "no node of the cluster has this certificate's key",
        "register the node: it asks by Join",
    );
    tracing::warn!(error = %refusal, "peer turned away");
    status::from_refusal(&refusal)
}

fn caller<T>(request: &Request<T>) -> Result<NodeId, Status> {
    request.extensions().get::<CallingNode>().map(|caller| caller.0).ok_or_else(stranger)
}
