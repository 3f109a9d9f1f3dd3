//! Values that cannot be wrong once built: ids, digests, sizes, times, roles, limits, and the row seam.
//!
//! Everything else stands on this crate. It promises that a value in hand is a valid value: text is checked
//! where it is parsed, numbers where they are built. It does no I/O, reads no clock and starts no thread; the
//! two seams it owns ([`clock::Clock`], [`rows::Rows`]) are traits whose real sides live higher up.

pub mod assent;
pub mod clock;
pub mod digest;
pub mod erase;
pub mod id;
pub mod limits;
pub mod media_type;
pub mod reason;
pub mod role;
pub mod rows;
pub mod rule;
pub mod scheme;
pub mod time;

mod cbor;

pub use assent::{Assent, MandateTerms};
pub use clock::Clock;
pub use digest::{
    ChunkDigest, CommandDigest, DrawCommitment, DrawDigest, DrawSeed, DrawShare, ItemDigest, KeyHash, NameDigest,
    PopulationDigest, Sha256Digest, SubtreeValue, TreeHash,
};
pub use erase::{EraseList, EraseListError, EraseTarget};
pub use id::{
    ActivityId, BatchId, CaseId, ChunkIndex, ClusterId, CorrectionId, DeviceId, DiskId, DistrictName, DrawId, HoldId,
    IdempotencyKey, ItemId, NodeId, PlacementEpoch, PrincipalId, ProfileName, RecordSeq, RemovalId, RequestId,
    SessionId, ShardIndex, UnitId, UploadEpoch, VolumeId,
};
pub use media_type::MediaType;
pub use reason::{ErrorKind, Reason, Refusal};
pub use role::Role;
pub use scheme::ErasureScheme;
pub use time::{CHINA, UnixMillis};
