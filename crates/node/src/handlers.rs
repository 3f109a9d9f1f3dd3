//! The services of the client port, one file each. All are thin: parse, ask the engine or the rows, answer.

mod access;
mod activity;
mod admin;
mod case;
mod catalog;
mod change;
mod cluster;
mod correction;
mod device;
mod disposal;
mod hold;
mod ingest;
mod inspection;
mod ledger;
mod mandate;
mod organisation;
mod profile;
mod record;
mod request;
mod secret;

use std::sync::Arc;

use axum::{Router, http::HeaderValue, middleware, response::Response};
use strongroom_proto::{
    DESCRIPTORS, TRIAL_HEADER, access::access_service_server::AccessServiceServer,
    activity::activity_service_server::ActivityServiceServer, admin::admin_service_server::AdminServiceServer,
    case::case_service_server::CaseServiceServer, catalog::catalog_service_server::CatalogServiceServer,
    cluster::cluster_service_server::ClusterServiceServer,
    correction::correction_service_server::CorrectionServiceServer, device::device_service_server::DeviceServiceServer,
    disposal::disposal_service_server::DisposalServiceServer, hold::hold_service_server::HoldServiceServer,
    ingest::ingest_service_server::IngestServiceServer, inspection::inspection_service_server::InspectionServiceServer,
    ledger::ledger_service_server::LedgerServiceServer, mandate::mandate_service_server::MandateServiceServer,
    organisation::organisation_service_server::OrganisationServiceServer,
    profile::profile_service_server::ProfileServiceServer, request::request_service_server::RequestServiceServer,
    secret::secret_service_server::SecretServiceServer,
};
use strongroom_types::limits;
use tonic::service::Routes;
use tonic_health::pb::health_server::{Health, HealthServer};

use crate::{edge::Edge, node::Node, unknown};

/// Everything that the client port answers.
pub(crate) fn routes<H: Health>(node: &Arc<Node>, edge: Edge, health: HealthServer<H>) -> anyhow::Result<Routes> {
    let reflection =
        tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS).build_v1()?;
    macro_rules! sized {
        ($server:ident, $handlers:expr) => {
            $server::new($handlers)
                .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
                .max_encoding_message_size(limits::MESSAGE_BYTES_MAX)
        };
    }
    let router: Router = Routes::new(health)
        .add_service(reflection)
        .add_service(sized!(IngestServiceServer, ingest::Ingest(edge.clone())))
        .add_service(sized!(CatalogServiceServer, catalog::Catalogue(edge.clone())))
        .add_service(sized!(HoldServiceServer, hold::Holds(edge.clone())))
        .add_service(sized!(CaseServiceServer, case::Cases(edge.clone())))
        .add_service(sized!(CorrectionServiceServer, correction::Corrections(edge.clone())))
        .add_service(sized!(RequestServiceServer, request::Requests(edge.clone())))
        .add_service(sized!(MandateServiceServer, mandate::Mandates(edge.clone())))
        .add_service(sized!(DisposalServiceServer, disposal::Disposals(edge.clone())))
        .add_service(sized!(SecretServiceServer, secret::Secrets(edge.clone())))
        .add_service(sized!(InspectionServiceServer, inspection::Inspections(edge.clone())))
        .add_service(sized!(AccessServiceServer, access::Access(edge.clone())))
        .add_service(sized!(AdminServiceServer, admin::Admin(edge.clone())))
        .add_service(sized!(DeviceServiceServer, device::Devices(edge.clone())))
        .add_service(sized!(ActivityServiceServer, activity::Activities(edge.clone())))
        .add_service(sized!(ProfileServiceServer, profile::Profiles(edge.clone())))
        .add_service(sized!(OrganisationServiceServer, organisation::Organisation(edge.clone())))
        .add_service(sized!(LedgerServiceServer, ledger::Ledger(edge.clone())))
        .add_service(sized!(ClusterServiceServer, cluster::Cluster { edge: edge.clone(), node: Arc::clone(node) }))
        .into_axum_router();
    let router = router.layer(middleware::from_fn_with_state(edge, unknown::guard));
    let trial = node.genesis.create.cluster.trial;
    let router = router.layer(middleware::map_response(move |response| async move { marked(trial, response) }));
    Ok(Routes::from(router).prepare())
}

/// Every answer of a trial cluster says what it is.
fn marked(trial: bool, mut response: Response) -> Response {
    if trial {
        response.headers_mut().insert(TRIAL_HEADER, HeaderValue::from_static("1"));
    }
    response
}
