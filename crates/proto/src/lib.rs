//! Generated gRPC code and the checked conversions between wire types and ours; nothing else.
//!
//! Wire types stay at the edge: a handler turns them into `types` once, through [`convert`], and hands those on.

pub mod convert;
pub mod status;

/// Writing originals.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod ingest {
    tonic::include_proto!("strongroom.ingest.v1");
}

/// The catalogue.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod catalog {
    tonic::include_proto!("strongroom.catalog.v1");
}

/// Requests and approvals.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod request {
    tonic::include_proto!("strongroom.request.v1");
}

/// Mandates.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod mandate {
    tonic::include_proto!("strongroom.mandate.v1");
}

/// Holds.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod hold {
    tonic::include_proto!("strongroom.hold.v1");
}

/// Cases.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod case {
    tonic::include_proto!("strongroom.case.v1");
}

/// Corrections.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod correction {
    tonic::include_proto!("strongroom.correction.v1");
}

/// Disposal.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod disposal {
    tonic::include_proto!("strongroom.disposal.v1");
}

/// What may be a state secret.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod secret {
    tonic::include_proto!("strongroom.secret.v1");
}

/// Inspections.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod inspection {
    tonic::include_proto!("strongroom.inspection.v1");
}

/// Footage, under a grant.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod access {
    tonic::include_proto!("strongroom.access.v1");
}

/// Principals, units, devices, profiles.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod admin {
    tonic::include_proto!("strongroom.admin.v1");
}

/// The register of devices.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod device {
    tonic::include_proto!("strongroom.device.v1");
}

/// Activities.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod activity {
    tonic::include_proto!("strongroom.activity.v1");
}

/// The life of a profile.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod profile {
    tonic::include_proto!("strongroom.profile.v1");
}

/// What becomes of units.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod organisation {
    tonic::include_proto!("strongroom.organisation.v1");
}

/// The ledger.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod ledger {
    tonic::include_proto!("strongroom.ledger.v1");
}

/// The machines.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod cluster {
    tonic::include_proto!("strongroom.cluster.v1");
}

/// Between nodes.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)] // generated from commented `.proto` files
pub mod peer {
    tonic::include_proto!("strongroom.peer.v1");
}

/// Header of every answer of a trial cluster: whoever looks at it is told that it keeps no evidence.
pub const TRIAL_HEADER: &str = "strongroom-trial";

/// Metadata of a call that decides something: the caller's time (milliseconds since 1970, eight bytes, big-endian), then their
/// signature over the [`strongroom_types::Assent`] of that time by the key of their certificate.
pub const ASSENT_HEADER: &str = "strongroom-assent-bin";

/// The descriptors of every service, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/strongroom.bin"));
