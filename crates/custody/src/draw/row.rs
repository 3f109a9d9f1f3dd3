//! A draw as it is stored: what was asked, what the voters gave, and where it stands.

use strongroom_types::{
    DrawCommitment, DrawDigest, DrawId, DrawSeed, DrawShare, ItemId, NodeId, PopulationDigest, PrincipalId,
    ProfileName, RecordSeq, Role, UnitId, UnixMillis,
};

use crate::hold::HoldQuery;

/// A draw.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DrawRow {
    /// Its number.
    #[n(0)]
    pub id: DrawId,
    /// Who draws, and inspects.
    #[n(1)]
    pub inspector: PrincipalId,
    /// In which role.
    #[n(2)]
    pub role: Role,
    /// What is inspected.
    #[n(3)]
    pub query: HoldQuery,
    /// How much of it, in percent.
    #[n(4)]
    pub ratio_percent: u32,
    /// Profile that governs the items.
    #[n(5)]
    pub profile: ProfileName,
    /// Its requirement, such as `R-000-27`.
    #[n(6)]
    pub rule: String,
    /// Items to select from, as they were when it was recorded.
    #[n(7)]
    pub items: u64,
    /// Digest of their sorted ids.
    #[n(8)]
    pub population: PopulationDigest,
    /// Items to select.
    #[n(9)]
    pub sample: u64,
    /// The newest earlier draw of the same items or by the same query: this one repeats it.
    #[n(10)]
    pub repeats: Option<DrawId>,
    /// Why; a repetition gives a reason.
    #[n(11)]
    pub reason: String,
    /// When, by the wall clock.
    #[n(12)]
    pub recorded_at: UnixMillis,
    /// Its record.
    #[n(13)]
    pub seq: RecordSeq,
    /// Digest of that record's bytes: shares, seed and sample are bound to it.
    #[n(14)]
    pub digest: DrawDigest,
    /// What its seed is made of.
    #[n(15)]
    pub source: SeedSource,
    /// Where it stands.
    #[n(16)]
    pub state: DrawState,
    /// The records by which it came there from its beginning.
    #[n(17)]
    pub steps: Vec<RecordSeq>,
}

/// What the seed of a draw is made of.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum SeedSource {
    /// Shares of the voters as they were when it was recorded, by id. Number 1 waits for an outside witness.
    #[n(0)]
    Voters(#[n(0)] Vec<VoterRow>),
}

/// What one voter gave.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct VoterRow {
    /// The voter.
    #[n(0)]
    pub node: NodeId,
    /// What it committed to, and the record.
    #[n(1)]
    pub committed: Option<(DrawCommitment, RecordSeq)>,
    /// What it revealed, and the record.
    #[n(2)]
    pub revealed: Option<(DrawShare, RecordSeq)>,
}

/// Where a draw stands.
///
/// ```text
///  Committing ── all, or a majority at the end of its time ──▶ Revealing ── all who committed ──▶ Completed
///      └── less ──▶ Void ◀── a day more ── Overdue ◀── after an hour ──┘           ▲
///                                             └── all who committed ───────────────┘
/// ```
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum DrawState {
    /// Voters commit, until this compliance time.
    #[n(0)]
    Committing(#[n(0)] UnixMillis),
    /// Commitments stand since this record; whoever committed reveals, until this compliance time.
    #[n(1)]
    Revealing(#[n(0)] RecordSeq, #[n(1)] UnixMillis),
    /// Somebody who committed has not revealed in time. It is void at this compliance time. The record is that by which
    /// commitments stand.
    #[n(2)]
    Overdue(#[n(0)] RecordSeq, #[n(1)] UnixMillis),
    /// Drawn with this seed, by this record.
    #[n(3)]
    Completed(#[n(0)] DrawSeed, #[n(1)] RecordSeq),
    /// Nothing is drawn. These voters were missing; the record says so.
    #[n(4)]
    Void(#[n(0)] Vec<NodeId>, #[n(1)] RecordSeq),
}

impl DrawState {
    /// Its name on the wire, in records and on the command line.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Committing(_) => "committing",
            Self::Revealing(..) => "revealing",
            Self::Overdue(..) => "overdue",
            Self::Completed(..) => "completed",
            Self::Void(..) => "void",
        }
    }

    /// Whether it may still be drawn.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        match self {
            Self::Committing(_) | Self::Revealing(..) | Self::Overdue(..) => true,
            Self::Completed(..) | Self::Void(..) => false,
        }
    }

    /// The record since which commitments stand, while whoever committed is to reveal.
    #[must_use]
    pub const fn reveals_after(&self) -> Option<RecordSeq> {
        match self {
            Self::Revealing(closed, _) | Self::Overdue(closed, _) => Some(*closed),
            Self::Committing(_) | Self::Completed(..) | Self::Void(..) => None,
        }
    }
}

impl DrawRow {
    /// What its voters gave, by id.
    #[must_use]
    pub fn voters(&self) -> &[VoterRow] {
        match &self.source {
            SeedSource::Voters(voters) => voters,
        }
    }

    pub(super) fn voter_mut(&mut self, node: NodeId) -> Option<&mut VoterRow> {
        match &mut self.source {
            SeedSource::Voters(voters) => voters.iter_mut().find(|voter| voter.node == node),
        }
    }

    /// Voters that it still waits for.
    #[must_use]
    pub fn missing(&self) -> Vec<NodeId> {
        let waits_for = |voter: &&VoterRow| match self.state {
            DrawState::Committing(_) => voter.committed.is_none(),
            DrawState::Revealing(..) | DrawState::Overdue(..) => voter.committed.is_some() && voter.revealed.is_none(),
            DrawState::Completed(..) | DrawState::Void(..) => false,
        };
        self.voters().iter().filter(waits_for).map(|voter| voter.node).collect()
    }

    /// Every record of it, in the ledger's order.
    #[must_use]
    pub fn records(&self) -> Vec<RecordSeq> {
        let given = |voter: &VoterRow| {
            [voter.committed.map(|(_, seq)| seq), voter.revealed.map(|(_, seq)| seq)].into_iter().flatten()
        };
        let mut records = [vec![self.seq], self.steps.clone()].concat();
        records.extend(self.voters().iter().flat_map(given));
        records.sort_unstable();
        records
    }

    /// Shares that were revealed, by voter.
    #[must_use]
    pub fn shares(&self) -> Vec<(NodeId, DrawShare)> {
        let share = |voter: &VoterRow| voter.revealed.map(|(share, _)| (voter.node, share));
        self.voters().iter().filter_map(share).collect()
    }
}

/// Why somebody may look at an item that they inspect.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum InspectedBy {
    /// It was drawn.
    #[n(0)]
    Draw(#[n(0)] DrawId),
    /// Somebody's complaint names it: nothing was drawn. The record says which.
    #[n(1)]
    Target(#[n(0)] RecordSeq),
}

/// A targeted inspection: what a complaint names, chosen and so marked.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct TargetRow {
    /// Who inspects.
    #[n(0)]
    pub inspector: PrincipalId,
    /// What was named.
    #[n(1)]
    pub items: Vec<ItemId>,
    /// The complaint, by its number.
    #[n(2)]
    pub complaint: String,
    /// Why it is looked into.
    #[n(3)]
    pub reason: String,
    /// When, by the wall clock.
    #[n(4)]
    pub recorded_at: UnixMillis,
    /// Its record.
    #[n(5)]
    pub seq: RecordSeq,
    /// Unit of whoever inspects; none means the whole agency.
    #[n(6)]
    pub unit: Option<UnitId>,
}
