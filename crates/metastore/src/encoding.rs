//! Stored and sent forms: CBOR with numbered fields, one mirror type for each openraft type.
//!
//! Promises that the same value has one form, that a form is decoded whole or not at all, and that numbers are
//! never reused; golden bytes below hold it to that. Nothing here depends on how openraft lays out its types.

use bytes::Bytes;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use openraft::{
    CommittedLeaderId, LeaderId,
    raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse},
};

use crate::raft::{
    Batch, Entry, LogId, Opaque, Payload, PeerNode, RaftMembership, SnapshotMeta, StoredMembership, TypeConfig, Vote,
};

/// Bytes that are not the stored form they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not decode {what}: {detail}")]
pub struct EncodingError {
    /// What was expected.
    pub what: &'static str,
    /// What the decoder said.
    pub detail: String,
}

/// The stored form of a value.
pub(crate) fn to_bytes<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("encoding into memory cannot fail")
}

/// The value of a stored form, which must use up all bytes.
pub(crate) fn from_bytes<T: for<'b> Decode<'b, ()>>(what: &'static str, bytes: &[u8]) -> Result<T, EncodingError> {
    let fail = |detail: String| EncodingError { what, detail };
    let mut decoder = Decoder::new(bytes);
    let value = decoder.decode::<T>().map_err(|error| fail(error.to_string()))?;
    if decoder.position() == bytes.len() {
        Ok(value)
    } else {
        Err(fail(format!("{} bytes too many", bytes.len() - decoder.position())))
    }
}

/// A stored form in a file of its own: magic, form, BLAKE3 of both.
pub(crate) fn seal<T: Encode<()>>(magic: &[u8; 8], value: &T) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend(to_bytes(value));
    let digest = blake3::hash(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    bytes
}

/// The value of a file made by [`seal`].
pub(crate) fn unseal<T: for<'b> Decode<'b, ()>>(
    what: &'static str,
    magic: &[u8; 8],
    bytes: &[u8],
) -> Result<T, EncodingError> {
    let fail = |detail: &str| EncodingError { what, detail: detail.to_owned() };
    let (body, digest) = bytes.split_last_chunk::<32>().ok_or_else(|| fail("too short"))?;
    if blake3::hash(body) != blake3::Hash::from_bytes(*digest) {
        return Err(fail("its digest does not match"));
    }
    let form = body.strip_prefix(magic).ok_or_else(|| fail("it is of another kind or version"))?;
    from_bytes(what, form)
}

impl<C> Encode<C> for Opaque {
    fn encode<W: encode::Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        encoder.bytes(&self.0)?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Opaque {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        decoder.bytes().map(|bytes| Self(Bytes::copy_from_slice(bytes)))
    }
}

/// Position of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct LogIdRow {
    #[n(0)]
    term: u64,
    #[n(1)]
    node: u64,
    #[n(2)]
    index: u64,
}

impl From<LogId> for LogIdRow {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, node: id.leader_id.node_id, index: id.index }
    }
}

impl From<LogIdRow> for LogId {
    fn from(row: LogIdRow) -> Self {
        Self::new(CommittedLeaderId::new(row.term, row.node), row.index)
    }
}

/// A vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct VoteRow {
    #[n(0)]
    term: u64,
    #[n(1)]
    node: u64,
    #[n(2)]
    committed: bool,
}

impl From<Vote> for VoteRow {
    fn from(vote: Vote) -> Self {
        Self { term: vote.leader_id.term, node: vote.leader_id.node_id, committed: vote.committed }
    }
}

impl From<VoteRow> for Vote {
    fn from(row: VoteRow) -> Self {
        Self { leader_id: LeaderId::new(row.term, row.node), committed: row.committed }
    }
}

/// A member and its address.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct MemberRow {
    #[n(0)]
    node: u64,
    #[n(1)]
    address: String,
}

/// Voter sets (two while a change is under way) and all members, each ascending.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct MembershipRow {
    #[n(0)]
    voters: Vec<Vec<u64>>,
    #[n(1)]
    members: Vec<MemberRow>,
}

impl From<&RaftMembership> for MembershipRow {
    fn from(membership: &RaftMembership) -> Self {
        Self {
            voters: membership.get_joint_config().iter().map(|set| set.iter().copied().collect()).collect(),
            members: membership
                .nodes()
                .map(|(node, peer)| MemberRow { node: *node, address: peer.address.clone() })
                .collect(),
        }
    }
}

impl From<MembershipRow> for RaftMembership {
    fn from(row: MembershipRow) -> Self {
        let voters = row.voters.into_iter().map(|set| set.into_iter().collect()).collect();
        let members = row.members.into_iter().map(|member| (member.node, PeerNode { address: member.address }));
        Self::new(voters, members.collect::<std::collections::BTreeMap<_, _>>())
    }
}

/// A membership and the entry that brought it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct StoredMembershipRow {
    #[n(0)]
    log_id: Option<LogIdRow>,
    #[n(1)]
    membership: MembershipRow,
}

impl From<&StoredMembership> for StoredMembershipRow {
    fn from(stored: &StoredMembership) -> Self {
        Self { log_id: stored.log_id().map(Into::into), membership: stored.membership().into() }
    }
}

impl From<StoredMembershipRow> for StoredMembership {
    fn from(row: StoredMembershipRow) -> Self {
        Self::new(row.log_id.map(Into::into), row.membership.into())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum PayloadRow {
    #[n(0)]
    Blank,
    #[n(1)]
    Normal(#[n(0)] Vec<Opaque>),
    #[n(2)]
    Membership(#[n(0)] MembershipRow),
}

/// A log entry.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct EntryRow {
    #[n(0)]
    log_id: LogIdRow,
    #[n(1)]
    payload: PayloadRow,
}

impl From<&Entry> for EntryRow {
    fn from(entry: &Entry) -> Self {
        let payload = match &entry.payload {
            Payload::Blank => PayloadRow::Blank,
            Payload::Normal(batch) => PayloadRow::Normal(batch.commands.clone()),
            Payload::Membership(membership) => PayloadRow::Membership(membership.into()),
        };
        Self { log_id: entry.log_id.into(), payload }
    }
}

impl From<EntryRow> for Entry {
    fn from(row: EntryRow) -> Self {
        let payload = match row.payload {
            PayloadRow::Blank => Payload::Blank,
            PayloadRow::Normal(commands) => Payload::Normal(Batch::new(commands)),
            PayloadRow::Membership(membership) => Payload::Membership(membership.into()),
        };
        Self { log_id: row.log_id.into(), payload }
    }
}

/// What the state database knows of itself, written with the rows of each entry.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct AppliedRow {
    #[n(0)]
    pub(crate) last: Option<LogIdRow>,
    #[n(1)]
    pub(crate) membership: StoredMembershipRow,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) digest: [u8; 64],
}

/// Raft AppendEntries.
#[derive(Debug, Encode, Decode)]
pub(crate) struct AppendRow {
    #[n(0)]
    vote: VoteRow,
    #[n(1)]
    previous: Option<LogIdRow>,
    #[n(2)]
    entries: Vec<EntryRow>,
    #[n(3)]
    leader_commit: Option<LogIdRow>,
}

impl From<&AppendEntriesRequest<TypeConfig>> for AppendRow {
    fn from(request: &AppendEntriesRequest<TypeConfig>) -> Self {
        Self {
            vote: request.vote.into(),
            previous: request.prev_log_id.map(Into::into),
            entries: request.entries.iter().map(Into::into).collect(),
            leader_commit: request.leader_commit.map(Into::into),
        }
    }
}

impl From<AppendRow> for AppendEntriesRequest<TypeConfig> {
    fn from(row: AppendRow) -> Self {
        Self {
            vote: row.vote.into(),
            prev_log_id: row.previous.map(Into::into),
            entries: row.entries.into_iter().map(Into::into).collect(),
            leader_commit: row.leader_commit.map(Into::into),
        }
    }
}

/// Answer to AppendEntries.
#[derive(Debug, Encode, Decode)]
pub(crate) enum AppendAnswerRow {
    #[n(0)]
    Success,
    #[n(1)]
    PartialSuccess(#[n(0)] Option<LogIdRow>),
    #[n(2)]
    Conflict,
    #[n(3)]
    HigherVote(#[n(0)] VoteRow),
}

impl From<AppendEntriesResponse<u64>> for AppendAnswerRow {
    fn from(answer: AppendEntriesResponse<u64>) -> Self {
        match answer {
            AppendEntriesResponse::Success => Self::Success,
            AppendEntriesResponse::PartialSuccess(matching) => Self::PartialSuccess(matching.map(Into::into)),
            AppendEntriesResponse::Conflict => Self::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<AppendAnswerRow> for AppendEntriesResponse<u64> {
    fn from(row: AppendAnswerRow) -> Self {
        match row {
            AppendAnswerRow::Success => Self::Success,
            AppendAnswerRow::PartialSuccess(matching) => Self::PartialSuccess(matching.map(Into::into)),
            AppendAnswerRow::Conflict => Self::Conflict,
            AppendAnswerRow::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

/// Raft RequestVote.
#[derive(Debug, Encode, Decode)]
pub(crate) struct VoteAskRow {
    #[n(0)]
    vote: VoteRow,
    #[n(1)]
    last: Option<LogIdRow>,
}

impl From<&VoteRequest<u64>> for VoteAskRow {
    fn from(request: &VoteRequest<u64>) -> Self {
        Self { vote: request.vote.into(), last: request.last_log_id.map(Into::into) }
    }
}

impl From<VoteAskRow> for VoteRequest<u64> {
    fn from(row: VoteAskRow) -> Self {
        Self { vote: row.vote.into(), last_log_id: row.last.map(Into::into) }
    }
}

/// Answer to RequestVote.
#[derive(Debug, Encode, Decode)]
pub(crate) struct VoteAnswerRow {
    #[n(0)]
    vote: VoteRow,
    #[n(1)]
    granted: bool,
    #[n(2)]
    last: Option<LogIdRow>,
}

impl From<VoteResponse<u64>> for VoteAnswerRow {
    fn from(answer: VoteResponse<u64>) -> Self {
        Self { vote: answer.vote.into(), granted: answer.vote_granted, last: answer.last_log_id.map(Into::into) }
    }
}

impl From<VoteAnswerRow> for VoteResponse<u64> {
    fn from(row: VoteAnswerRow) -> Self {
        Self { vote: row.vote.into(), vote_granted: row.granted, last_log_id: row.last.map(Into::into) }
    }
}

/// First message of a snapshot.
#[derive(Debug, Encode, Decode)]
pub(crate) struct SnapshotHeaderRow {
    #[n(0)]
    pub(crate) vote: VoteRow,
    /// The sealed manifest.
    #[n(1)]
    pub(crate) manifest: Opaque,
}

/// Answer to a snapshot.
#[derive(Debug, Encode, Decode)]
pub(crate) struct SnapshotAnswerRow {
    #[n(0)]
    pub(crate) vote: VoteRow,
}

/// Commands of one entry, or outcomes of one entry, between nodes.
#[derive(Debug, Encode, Decode)]
pub(crate) struct OpaquesRow {
    #[n(0)]
    pub(crate) items: Vec<Opaque>,
}

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct FileRow {
    #[n(0)]
    pub(crate) name: String,
    #[n(1)]
    pub(crate) size_bytes: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) blake3: [u8; 32],
}

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ManifestRow {
    #[n(0)]
    pub(crate) snapshot_id: String,
    #[n(1)]
    pub(crate) last: Option<LogIdRow>,
    #[n(2)]
    pub(crate) membership: StoredMembershipRow,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) digest: [u8; 64],
    #[n(4)]
    pub(crate) files: Vec<FileRow>,
}

impl ManifestRow {
    pub(crate) fn last_log_id(&self) -> Option<LogId> {
        self.last.map(Into::into)
    }

    pub(crate) fn meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.last_log_id(),
            last_membership: self.membership.clone().into(),
            snapshot_id: self.snapshot_id.clone(),
        }
    }
}

/// What a voter must never fall behind.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct GuardRow {
    #[n(0)]
    pub(crate) node: u64,
    #[n(1)]
    pub(crate) vote: Option<VoteRow>,
    #[n(2)]
    pub(crate) log_id: Option<LogIdRow>,
    #[n(3)]
    pub(crate) cosigned: Option<CosignedRow>,
    /// How many times it has been written.
    #[n(4)]
    pub(crate) turn: u64,
}

/// A checkpoint that was cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct CosignedRow {
    #[n(0)]
    pub(crate) size: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) root: [u8; 32],
}

#[cfg(test)]
mod tests;
