//! Shards on another node's disks, and the one place where shards and their errors turn into messages and back.
//!
//! Small shards share calls: [`small_puts`]. Payloads are not copied. Each end compares crc32c with what it has in hand: the receiving store when a shard is
//! put, this side when one is read. Each call has a deadline; what does not answer by then counts as unreachable.
//!
//! Scrubbing, listing, statistics and erasing are not offered between nodes, on purpose: each node does these to its
//! own disks ([`strongroom_shardstore::DiskKeeper`]), and erases only against a permit that it has verified itself.

mod small_puts;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use strongroom_proto::convert::{fixed, required};
use strongroom_proto::peer::shard_service_client::ShardServiceClient;
use strongroom_proto::peer::{
    GetShardRequest, GetShardResponse, PutShardOutcome, PutShardRequest, PutShardsRequest, PutShardsResponse,
    ShardAddress as WireAddress,
};
use strongroom_proto::status;
use strongroom_shardstore::{
    Corruption, GetError, PutError, PutShard, ShardAddress, ShardHeader, ShardStore, VerifiedShard, crc32c,
};
use strongroom_types::{
    ChunkIndex, DiskId, PlacementEpoch, Reason, Refusal, ShardIndex, UploadEpoch, VolumeId, limits,
};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

use small_puts::SmallPuts;

const DOMAIN: &str = "strongroom";

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardDeadlines {
    /// For a put, its sync included.
    pub put: Duration,
    /// For a get.
    pub get: Duration,
}

impl Default for ShardDeadlines {
    fn default() -> Self {
        Self { put: Duration::from_secs(10), get: Duration::from_secs(5) }
    }
}

/// The shards of one other node.
#[derive(Clone, Debug)]
pub struct RemoteShards {
    client: ShardServiceClient<Channel>,
    deadlines: ShardDeadlines,
    small: SmallPuts,
}

impl RemoteShards {
    /// Over a channel to that node's peer port. Starts a task that sends small shards; it ends with the last clone.
    #[must_use]
    pub fn new(channel: Channel, deadlines: ShardDeadlines) -> Self {
        let client = ShardServiceClient::new(channel)
            .max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
            .max_encoding_message_size(limits::MESSAGE_BYTES_MAX);
        let small = SmallPuts::start(client.clone(), deadlines.put);
        Self { client, deadlines, small }
    }
}

#[async_trait]
impl ShardStore for RemoteShards {
    async fn put(&self, shard: PutShard) -> Result<(), PutError> {
        if shard.payload.len() <= limits::SMALL_SHARD_BYTES_MAX && std::env::var_os("X_NO_SMALL").is_none() {
            return self.small.put(shard).await;
        }
        let (disk, address) = (shard.disk, shard.address);
        let mut client = self.client.clone();
        answer_within(self.deadlines.put, put_request(shard), |request| async move { client.put_shard(request).await })
            .await
            .map(|_| ())
            .map_err(|status| put_error_from_status(disk, address, &status))
    }

    async fn get(&self, disk: DiskId, address: &ShardAddress) -> Result<VerifiedShard, GetError> {
        let request =
            GetShardRequest { disk_id: Bytes::copy_from_slice(disk.as_bytes()), address: Some(wire_address(address)) };
        let mut client = self.client.clone();
        let response =
            answer_within(self.deadlines.get, request, |request| async move { client.get_shard(request).await })
                .await
                .map_err(|status| get_error_from_status(disk, *address, &status))?;
        verified_from_proto(disk, address, response)
    }
}

/// The deadline goes along in the request, so that the other node can give up too.
async fn answer_within<Q, A, F>(deadline: Duration, message: Q, call: impl FnOnce(Request<Q>) -> F) -> Result<A, Status>
where
    F: Future<Output = Result<Response<A>, Status>>,
{
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    match tokio::time::timeout(deadline, call(request)).await {
        Ok(outcome) => outcome.map(Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded(format!("no answer within {deadline:?}"))),
    }
}

/// A shard as a message. The checksum is computed here where the sender has not.
#[must_use]
pub fn put_request(shard: PutShard) -> PutShardRequest {
    PutShardRequest {
        disk_id: Bytes::copy_from_slice(shard.disk.as_bytes()),
        address: Some(wire_address(&shard.address)),
        chunk_digest: Bytes::copy_from_slice(shard.chunk.as_bytes()),
        tag: Bytes::copy_from_slice(&shard.tag),
        sealed_bytes: shard.sealed_bytes,
        payload_crc32c: shard.payload_crc32c.unwrap_or_else(|| crc32c(&shard.payload)),
        payload: shard.payload,
    }
}

/// The shard that a message asks to store. Its checksum is not compared here: the store does it, once.
///
/// # Errors
/// A refusal naming the field that is wrong.
pub fn put_request_from_proto(request: PutShardRequest) -> Result<PutShard, Refusal> {
    Ok(PutShard {
        disk: fixed("disk_id", &request.disk_id)?,
        address: address_from_proto(&required("address", request.address)?)?,
        chunk: fixed("chunk_digest", &request.chunk_digest)?,
        tag: tag_from_proto(&request.tag)?,
        sealed_bytes: request.sealed_bytes,
        payload: request.payload,
        payload_crc32c: Some(request.payload_crc32c),
    })
}

/// Puts the shards of a message into `store`, all at once, and says of each what became of it.
///
/// # Errors
/// `INVALID_ARGUMENT` where there are more than a call may hold; then none is stored.
pub async fn put_all(store: &impl ShardStore, request: PutShardsRequest) -> Result<PutShardsResponse, Refusal> {
    if request.shards.len() > limits::PUT_SHARDS_MAX {
        return Err(Refusal::invalid(format!("shards: a call stores at most {} shards", limits::PUT_SHARDS_MAX)));
    }
    let puts = request.shards.into_iter().map(|shard| async {
        let shard = put_request_from_proto(shard).map_err(|refusal| status::from_refusal(&refusal))?;
        store.put(shard).await.map_err(|error| status_from_put_error(&error))
    });
    let outcomes = join_all(puts).await.into_iter().map(|outcome| put_outcome(outcome.err())).collect();
    Ok(PutShardsResponse { outcomes })
}

fn put_outcome(failed: Option<Status>) -> PutShardOutcome {
    let Some(status) = failed else { return PutShardOutcome::default() };
    PutShardOutcome {
        code: i32::from(status.code()),
        message: status.message().to_owned(),
        details: Bytes::copy_from_slice(status.details()),
    }
}

fn put_result(disk: DiskId, address: ShardAddress, outcome: PutShardOutcome) -> Result<(), PutError> {
    match Code::from_i32(outcome.code) {
        Code::Ok => Ok(()),
        code => {
            let status = Status::with_details(code, outcome.message, outcome.details);
            Err(put_error_from_status(disk, address, &status))
        }
    }
}

/// The disk and the shard that a message asks for.
///
/// # Errors
/// A refusal naming the field that is wrong.
pub fn get_request_from_proto(request: GetShardRequest) -> Result<(DiskId, ShardAddress), Refusal> {
    Ok((fixed("disk_id", &request.disk_id)?, address_from_proto(&required("address", request.address)?)?))
}

/// A shard as an answer.
#[must_use]
pub fn get_response(shard: VerifiedShard) -> GetShardResponse {
    let (header, payload) = shard.into_parts();
    GetShardResponse {
        chunk_digest: Bytes::copy_from_slice(header.chunk.as_bytes()),
        tag: Bytes::copy_from_slice(&header.tag),
        sealed_bytes: header.sealed_bytes,
        payload_crc32c: header.payload_crc32c,
        payload,
    }
}

fn verified_from_proto(
    disk: DiskId,
    address: &ShardAddress,
    response: GetShardResponse,
) -> Result<VerifiedShard, GetError> {
    let unavailable = |refusal: Refusal| GetError::Unavailable { why: refusal.message };
    let header = ShardHeader {
        address: *address,
        chunk: fixed("chunk_digest", &response.chunk_digest).map_err(unavailable)?,
        tag: tag_from_proto(&response.tag).map_err(unavailable)?,
        sealed_bytes: response.sealed_bytes,
        payload_bytes: u32::try_from(response.payload.len())
            .map_err(|_| GetError::Unavailable { why: "the payload is longer than any shard".to_owned() })?,
        payload_crc32c: response.payload_crc32c,
    };
    VerifiedShard::verify(address, header, response.payload).map_err(|what| GetError::Corrupt {
        disk,
        address: *address,
        what,
    })
}

fn wire_address(address: &ShardAddress) -> WireAddress {
    WireAddress {
        item_id: Bytes::copy_from_slice(address.item.as_bytes()),
        chunk_index: address.index.0,
        upload_epoch: address.upload_epoch.0,
        volume_id: address.volume.0,
        placement_epoch: address.placement_epoch.0,
        slot: u32::from(address.slot.0),
    }
}

fn address_from_proto(address: &WireAddress) -> Result<ShardAddress, Refusal> {
    Ok(ShardAddress {
        item: fixed("address.item_id", &address.item_id)?,
        index: ChunkIndex(address.chunk_index),
        upload_epoch: UploadEpoch(address.upload_epoch),
        volume: VolumeId(address.volume_id),
        placement_epoch: PlacementEpoch(address.placement_epoch),
        slot: u8::try_from(address.slot)
            .map(ShardIndex)
            .map_err(|_| Refusal::invalid(format!("address.slot: {} is no slot", address.slot)))?,
    })
}

fn tag_from_proto(tag: &Bytes) -> Result<[u8; 16], Refusal> {
    <[u8; 16]>::try_from(tag.as_ref())
        .map_err(|_| Refusal::invalid(format!("tag: a tag has 16 bytes, found {}", tag.len())))
}

/// The status that tells another node why its shard was not stored.
#[must_use]
pub fn status_from_put_error(error: &PutError) -> Status {
    let fault = match error {
        PutError::UnknownDisk { disk: _ } => Fault::new("unknown-disk"),
        PutError::PayloadSize { found, max } => Fault::new("payload-size").with("found", found).with("max", max),
        PutError::ChecksumMismatch { address: _, announced, found } => {
            Fault::new("checksum-mismatch").with("announced", announced).with("found", found)
        }
        PutError::Conflict { address: _ } => Fault::new("conflict"),
        PutError::Erased { address: _ } => Fault::new("erased"),
        PutError::DiskFull { disk: _, needed_bytes, free_bytes } => {
            Fault::new("disk-full").with("needed_bytes", needed_bytes).with("free_bytes", free_bytes)
        }
        PutError::DiskFailed { disk: _, why } => Fault::new("disk-failed").with("why", why),
        PutError::Unavailable { why } => Fault::new("unavailable").with("why", why),
    };
    fault.into_status(error.reason(), error)
}

/// The status that tells another node why its shard was not read.
#[must_use]
pub fn status_from_get_error(error: &GetError) -> Status {
    let fault = match error {
        GetError::UnknownDisk { disk: _ } => Fault::new("unknown-disk"),
        GetError::NotFound { disk: _, address: _ } => Fault::new("not-found"),
        GetError::Erased { disk: _, address: _ } => Fault::new("erased"),
        GetError::Corrupt { disk: _, address: _, what } => Fault::new("corrupt").with("what", what),
        GetError::DiskUnavailable { disk: _, why } => Fault::new("disk-unavailable").with("why", why),
        GetError::Unavailable { why } => Fault::new("unavailable").with("why", why),
    };
    fault.into_status(error.reason(), error)
}

/// What a status says of a put. A status of somebody else's making means that the node could not be reached.
#[must_use]
pub fn put_error_from_status(disk: DiskId, address: ShardAddress, status: &Status) -> PutError {
    let known = Fault::from_status(status).and_then(|fault| {
        Some(match fault.name.as_str() {
            "unknown-disk" => PutError::UnknownDisk { disk },
            "payload-size" => PutError::PayloadSize { found: fault.fact("found")?, max: fault.fact("max")? },
            "checksum-mismatch" => {
                PutError::ChecksumMismatch { address, announced: fault.fact("announced")?, found: fault.fact("found")? }
            }
            "conflict" => PutError::Conflict { address },
            "erased" => PutError::Erased { address },
            "disk-full" => PutError::DiskFull {
                disk,
                needed_bytes: fault.fact("needed_bytes")?,
                free_bytes: fault.fact("free_bytes")?,
            },
            "disk-failed" => PutError::DiskFailed { disk, why: fault.fact("why")? },
            "unavailable" => PutError::Unavailable { why: fault.fact("why")? },
            _ => return None,
        })
    });
    known.unwrap_or_else(|| PutError::Unavailable { why: unknown(status) })
}

/// What a status says of a get. Corruption arrives as text: only the node that holds the bytes can tell more.
/// A status of somebody else's making means that the node could not be reached.
#[must_use]
pub fn get_error_from_status(disk: DiskId, address: ShardAddress, status: &Status) -> GetError {
    let known = Fault::from_status(status).and_then(|fault| {
        Some(match fault.name.as_str() {
            "unknown-disk" => GetError::UnknownDisk { disk },
            "not-found" => GetError::NotFound { disk, address },
            "erased" => GetError::Erased { disk, address },
            "corrupt" => GetError::Corrupt { disk, address, what: Corruption::Unreadable { why: fault.fact("what")? } },
            "disk-unavailable" => GetError::DiskUnavailable { disk, why: fault.fact("why")? },
            "unavailable" => GetError::Unavailable { why: fault.fact("why")? },
            _ => return None,
        })
    });
    known.unwrap_or_else(|| GetError::Unavailable { why: unknown(status) })
}

fn unknown(status: &Status) -> String {
    format!("{} ({:?})", status.message(), status.code())
}

/// What went wrong, by name and facts, in the metadata of `google.rpc.ErrorInfo`. Disk and address stay behind: the
/// caller knows which it asked for.
struct Fault {
    name: String,
    facts: HashMap<String, String>,
}

impl Fault {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), facts: HashMap::new() }
    }

    fn with(mut self, fact: &str, value: impl ToString) -> Self {
        self.facts.insert(fact.to_owned(), value.to_string());
        self
    }

    fn fact<T: std::str::FromStr>(&self, fact: &str) -> Option<T> {
        self.facts.get(fact)?.parse().ok()
    }

    fn into_status(mut self, reason: Reason, error: &impl std::fmt::Display) -> Status {
        self.facts.insert("fault".to_owned(), self.name);
        let details = ErrorDetails::with_error_info(reason.name(), DOMAIN, self.facts);
        Status::with_error_details(status::code(reason), error.to_string(), details)
    }

    fn from_status(status: &Status) -> Option<Self> {
        let info = status.get_details_error_info().filter(|info| info.domain == DOMAIN)?;
        let mut facts = info.metadata;
        Some(Self { name: facts.remove("fault")?, facts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_types::{ChunkDigest, ItemId};

    const DISK: DiskId = DiskId::new([9; 16]);

    fn address() -> ShardAddress {
        ShardAddress {
            item: ItemId::new([1; 16]),
            index: ChunkIndex(u64::MAX),
            upload_epoch: UploadEpoch(u32::MAX),
            volume: VolumeId(4),
            placement_epoch: PlacementEpoch(5),
            slot: ShardIndex(u8::MAX),
        }
    }

    fn shard() -> PutShard {
        PutShard {
            disk: DISK,
            address: address(),
            chunk: ChunkDigest::new([2; 32]),
            tag: [3; 16],
            sealed_bytes: 8,
            payload: Bytes::from_static(b"payload"),
            payload_crc32c: None,
        }
    }

    #[test]
    fn every_put_error_survives_the_wire() {
        let (disk, address) = (DISK, address());
        for error in [
            PutError::UnknownDisk { disk },
            PutError::PayloadSize { found: 0, max: 4 << 20 },
            PutError::ChecksumMismatch { address, announced: u32::MAX, found: 0 },
            PutError::Conflict { address },
            PutError::Erased { address },
            PutError::DiskFull { disk, needed_bytes: u64::MAX, free_bytes: 0 },
            PutError::DiskFailed { disk, why: "fdatasync: 输入/输出错误".to_owned() },
            PutError::Unavailable { why: "shutting down".to_owned() },
        ] {
            let status = status_from_put_error(&error);
            assert_eq!(put_error_from_status(disk, address, &status), error);
            assert_eq!(strongroom_proto::status::to_refusal(&status).reason, error.reason());
        }
    }

    #[test]
    fn every_get_error_survives_the_wire() {
        let (disk, address) = (DISK, address());
        let unreadable = Corruption::Unreadable { why: "the segment ends inside the record".to_owned() };
        for error in [
            GetError::UnknownDisk { disk },
            GetError::NotFound { disk, address },
            GetError::Erased { disk, address },
            GetError::DiskUnavailable { disk, why: "gone".to_owned() },
            GetError::Unavailable { why: "shutting down".to_owned() },
        ] {
            let status = status_from_get_error(&error);
            assert_eq!(get_error_from_status(disk, address, &status), error);
            assert_eq!(strongroom_proto::status::to_refusal(&status).reason, error.reason());
        }
        let corrupt = GetError::Corrupt { disk, address, what: unreadable };
        let back = get_error_from_status(disk, address, &status_from_get_error(&corrupt));
        assert!(back.to_string().contains("the segment ends inside the record"), "{back}");
        assert_eq!(back.reason(), Reason::Corrupt);
    }

    #[test]
    fn a_strange_status_means_that_the_node_cannot_be_reached() {
        for status in [Status::unavailable("x"), Status::not_found("x"), Status::data_loss("x"), Status::ok("x")] {
            assert!(matches!(put_error_from_status(DISK, address(), &status), PutError::Unavailable { .. }));
            assert!(matches!(get_error_from_status(DISK, address(), &status), GetError::Unavailable { .. }));
        }
    }

    #[test]
    fn a_put_survives_the_wire_with_its_bytes_in_place() {
        let sent = shard();
        let (at, crc) = (sent.payload.as_ptr(), crc32c(&sent.payload));
        let back = put_request_from_proto(put_request(sent.clone())).expect("reads");
        assert_eq!((back.disk, back.address, back.chunk, back.tag), (sent.disk, sent.address, sent.chunk, sent.tag));
        assert_eq!((back.sealed_bytes, back.payload_crc32c), (8, Some(crc)));
        assert_eq!(back.payload.as_ptr(), at, "not copied");
    }

    #[test]
    fn a_put_with_a_wrong_field_is_refused_by_its_name() {
        type Spoil = fn(&mut PutShardRequest);
        let spoilt: [(&str, Spoil); 5] = [
            ("disk_id", |request| request.disk_id = Bytes::new()),
            ("address", |request| request.address = None),
            ("chunk_digest", |request| request.chunk_digest = Bytes::from_static(b"short")),
            ("tag", |request| request.tag = Bytes::from_static(&[0; 17])),
            ("address.slot", |request| request.address.as_mut().expect("there").slot = 256),
        ];
        for (field, spoil) in spoilt {
            let mut request = put_request(shard());
            spoil(&mut request);
            let refusal = put_request_from_proto(request).expect_err(field);
            assert!(refusal.message.starts_with(field), "{field}: {}", refusal.message);
        }
    }

    #[test]
    fn bytes_that_changed_on_the_way_are_corrupt() {
        let sent = shard();
        let header = ShardHeader {
            address: sent.address,
            chunk: sent.chunk,
            tag: sent.tag,
            sealed_bytes: sent.sealed_bytes,
            payload_bytes: 7,
            payload_crc32c: crc32c(&sent.payload),
        };
        let shard = VerifiedShard::verify(&sent.address, header, sent.payload).expect("good");
        let mut response = get_response(shard.clone());
        assert_eq!(verified_from_proto(DISK, &address(), response.clone()), Ok(shard));
        response.payload = Bytes::from_static(b"pazload");
        assert!(matches!(verified_from_proto(DISK, &address(), response), Err(GetError::Corrupt { .. })));
    }
}
