//! What is stored of activities, and the commands that change it. Numbers are stored and never reused.

use std::collections::BTreeMap;

use strongroom_types::{ActivityId, DeviceId, ItemId, PrincipalId, RecordSeq, UnitId, UnixMillis};

use crate::device::ClockOffset;

/// An activity.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ActivityRow {
    /// Its number.
    #[n(0)]
    pub id: ActivityId,
    /// Whose it is.
    #[n(1)]
    pub unit: UnitId,
    /// Kind, from the profile's list where it has one.
    #[n(2)]
    pub kind: String,
    /// Officers; the first one records.
    #[n(3)]
    pub officers: Vec<Officer>,
    /// Where.
    #[n(4)]
    pub place: String,
    /// When it began.
    #[n(5)]
    pub started_at: UnixMillis,
    /// Matter 执法事项.
    #[n(6)]
    pub matter: String,
    /// Whom it concerned 相对人: a name, or 无特定相对人, 身份不明, 拒不提供.
    #[n(7)]
    pub party: String,
    /// The document whose times the recordings must fit (R-000-10).
    #[n(8)]
    pub document: Option<Document>,
    /// Angles that special operations expect (R-000-17).
    #[n(9)]
    pub angles: Vec<String>,
    /// Who opened it.
    #[n(10)]
    pub opened_by: PrincipalId,
    /// When.
    #[n(11)]
    pub opened_at: UnixMillis,
    /// Its record.
    #[n(12)]
    pub seq: RecordSeq,
    /// Phases in order.
    #[n(13)]
    pub phases: Vec<Phase>,
    /// Instants that deadlines are counted from, each with every value that it was given.
    #[n(14)]
    pub moments: BTreeMap<Moment, Vec<MomentValue>>,
    /// Corrections, oldest first.
    #[n(15)]
    pub corrections: Vec<Correction>,
    /// Interruption records, oldest first.
    #[n(16)]
    pub interruptions: Vec<RecordSeq>,
    /// Exemptions, oldest first.
    #[n(17)]
    pub exemptions: Vec<RecordSeq>,
    /// The earliest start that it was ever given.
    #[n(18)]
    pub earliest_start: UnixMillis,
    /// Devices that recorded it and were sealed because a state secret may be on them, by the record of each.
    #[n(19)]
    #[cbor(default)]
    pub sealed: Vec<(DeviceId, RecordSeq)>,
}

/// An officer.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Officer {
    /// Name.
    #[n(0)]
    pub name: String,
    /// Number of the enforcement certificate 执法证号.
    #[n(1)]
    pub certificate: String,
}

/// The document that belongs to an activity.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Document {
    /// Its name 文书名称.
    #[n(0)]
    pub name: String,
    /// When it says that it began.
    #[n(1)]
    pub start: Option<UnixMillis>,
    /// When it says that it ended.
    #[n(2)]
    pub end: Option<UnixMillis>,
}

/// A phase 执法环节.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Phase {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// Where.
    #[n(1)]
    pub place: String,
    /// When it began.
    #[n(2)]
    pub started_at: UnixMillis,
    /// When it ended; none where the next one or the activity's end says so.
    #[n(3)]
    pub ended_at: Option<UnixMillis>,
    /// Its record.
    #[n(4)]
    pub seq: RecordSeq,
}

/// Instants that the texts count deadlines from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Moment {
    /// 执法活动结束.
    #[n(0)]
    ActivityEnded,
    /// 行政执法事项结束.
    #[n(1)]
    MatterEnded,
    /// 每天工作结束.
    #[n(2)]
    WorkDayEnded,
    /// 返回单位.
    #[n(3)]
    ReturnedToUnit,
}

impl Moment {
    /// All four.
    pub const ALL: [Self; 4] = [Self::ActivityEnded, Self::MatterEnded, Self::WorkDayEnded, Self::ReturnedToUnit];

    /// The name on the wire and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ActivityEnded => "activity_ended",
            Self::MatterEnded => "matter_ended",
            Self::WorkDayEnded => "work_day_ended",
            Self::ReturnedToUnit => "returned_to_unit",
        }
    }

    /// The instant of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|moment| moment.name() == name)
    }
}

/// A value that an instant was given.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct MomentValue {
    /// The instant.
    #[n(0)]
    pub at: UnixMillis,
    /// Who said so.
    #[n(1)]
    pub by: PrincipalId,
    /// When they said so.
    #[n(2)]
    pub entered_at: UnixMillis,
    /// Why it replaces the value before; empty for the first.
    #[n(3)]
    pub reason: String,
    /// Why export was delayed, with the return to the unit.
    #[n(4)]
    pub delay: Option<DelayReason>,
    /// Its record.
    #[n(5)]
    pub seq: RecordSeq,
}

/// Why export was delayed (R-000-19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum DelayReason {
    /// 连续工作.
    #[n(0)]
    ContinuousWork,
    /// 异地执法.
    #[n(1)]
    Elsewhere,
    /// 偏远、交通不便.
    #[n(2)]
    Remote,
}

impl DelayReason {
    /// All three.
    pub const ALL: [Self; 3] = [Self::ContinuousWork, Self::Elsewhere, Self::Remote];

    /// The name on the wire and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ContinuousWork => "continuous_work",
            Self::Elsewhere => "elsewhere",
            Self::Remote => "remote",
        }
    }

    /// The reason of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// A correction: both values are shown.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Correction {
    /// What was corrected.
    #[n(0)]
    pub field: String,
    /// What it was.
    #[n(1)]
    pub before: String,
    /// What it is.
    #[n(2)]
    pub after: String,
    /// Why.
    #[n(3)]
    pub reason: String,
    /// Who.
    #[n(4)]
    pub by: PrincipalId,
    /// When.
    #[n(5)]
    pub at: UnixMillis,
    /// Its record.
    #[n(6)]
    pub seq: RecordSeq,
}

/// An item's place in an activity.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AttachedRow {
    /// Phase, counted from 1.
    #[n(0)]
    pub phase: Option<u32>,
    /// Angle.
    #[n(1)]
    pub angle: Option<String>,
    /// Who attached it; none where the station sent it so.
    #[n(2)]
    pub by: Option<PrincipalId>,
    /// When.
    #[n(3)]
    pub at: UnixMillis,
    /// The record of it.
    #[n(4)]
    pub seq: RecordSeq,
    /// Where it turned out not to belong here.
    #[n(5)]
    pub detached: Option<Detached>,
}

/// That an item does not belong to an activity after all.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Detached {
    /// Why.
    #[n(0)]
    pub reason: String,
    /// Who said so.
    #[n(1)]
    pub by: PrincipalId,
    /// When.
    #[n(2)]
    pub at: UnixMillis,
    /// Its record.
    #[n(3)]
    pub seq: RecordSeq,
}

/// What is known of an item's times besides those of its device, which stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ItemTimesRow {
    /// How far the device's clock was off when it was measured last before the seal.
    #[n(0)]
    pub clock: Option<ClockOffset>,
    /// When it first had every label that it needs.
    #[n(1)]
    pub labelled_at: Option<UnixMillis>,
    /// The record of that.
    #[n(2)]
    pub labelled_seq: Option<RecordSeq>,
}

impl ItemTimesRow {
    /// A device time as it would be on a clock that is right 推算时间.
    #[must_use]
    pub fn corrected(&self, device_time: UnixMillis) -> UnixMillis {
        self.clock.as_ref().map_or(device_time, |clock| device_time.plus_ms(clock.offset_ms.saturating_neg()))
    }
}

/// Opens an activity.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct OpenActivity {
    /// Its number.
    #[n(0)]
    pub activity: ActivityId,
    /// Whose it is.
    #[n(1)]
    pub unit: UnitId,
    /// Kind.
    #[n(2)]
    pub kind: String,
    /// Officers; the first one records.
    #[n(3)]
    pub officers: Vec<Officer>,
    /// Where.
    #[n(4)]
    pub place: String,
    /// When it began.
    #[n(5)]
    pub started_at: UnixMillis,
    /// Matter.
    #[n(6)]
    pub matter: String,
    /// Whom it concerned.
    #[n(7)]
    pub party: String,
    /// Its document.
    #[n(8)]
    pub document: Option<Document>,
    /// Expected angles.
    #[n(9)]
    pub angles: Vec<String>,
}

/// Adds a phase.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AddPhase {
    /// Activity.
    #[n(0)]
    pub activity: ActivityId,
    /// Name.
    #[n(1)]
    pub name: String,
    /// Where.
    #[n(2)]
    pub place: String,
    /// When it began.
    #[n(3)]
    pub started_at: UnixMillis,
    /// When it ended.
    #[n(4)]
    pub ended_at: Option<UnixMillis>,
}

/// Says when something happened, for the first time or otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SetMoment {
    /// Activity.
    #[n(0)]
    pub activity: ActivityId,
    /// What.
    #[n(1)]
    pub moment: Moment,
    /// When.
    #[n(2)]
    pub at: UnixMillis,
    /// Why export was delayed; only with the return.
    #[n(3)]
    pub delay: Option<DelayReason>,
    /// Why it differs from what was said before.
    #[n(4)]
    pub reason: String,
}

/// Corrects what an activity was opened with.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CorrectActivity {
    /// Activity.
    #[n(0)]
    pub activity: ActivityId,
    /// What, and what it should be.
    #[n(1)]
    pub to: Corrected,
    /// Why.
    #[n(2)]
    pub reason: String,
}

/// What a correction changes.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Corrected {
    /// Kind.
    #[n(0)]
    Kind(#[n(0)] String),
    /// Place.
    #[n(1)]
    Place(#[n(0)] String),
    /// Matter.
    #[n(2)]
    Matter(#[n(0)] String),
    /// Whom it concerned.
    #[n(3)]
    Party(#[n(0)] String),
    /// When it began.
    #[n(4)]
    StartedAt(#[n(0)] UnixMillis),
    /// Its document.
    #[n(5)]
    Document(#[n(0)] Document),
    /// Its officers.
    #[n(6)]
    Officers(#[n(0)] Vec<Officer>),
}

impl Corrected {
    /// The field's name.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Kind(_) => "kind",
            Self::Place(_) => "place",
            Self::Matter(_) => "matter",
            Self::Party(_) => "party",
            Self::StartedAt(_) => "started_at",
            Self::Document(_) => "document",
            Self::Officers(_) => "officers",
        }
    }
}

/// Attaches an item to an activity, changes its place in it, or takes it out again.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AttachItem {
    /// Activity.
    #[n(0)]
    pub activity: ActivityId,
    /// Item.
    #[n(1)]
    pub item: ItemId,
    /// Phase, counted from 1.
    #[n(2)]
    pub phase: Option<u32>,
    /// Angle.
    #[n(3)]
    pub angle: Option<String>,
    /// Why it does not belong here after all.
    #[n(4)]
    pub detach: Option<String>,
}

impl ActivityRow {
    /// Every value that an instant was given, oldest first.
    #[must_use]
    pub fn moments_of(&self, moment: Moment) -> &[MomentValue] {
        self.moments.get(&moment).map_or(&[], Vec::as_slice)
    }

    /// An instant as it stands.
    #[must_use]
    pub fn moment(&self, moment: Moment) -> Option<UnixMillis> {
        self.moments_of(moment).last().map(|value| value.at)
    }

    /// The phase at an instant, counted from 1.
    #[must_use]
    pub fn phase_at(&self, at: UnixMillis) -> Option<u32> {
        let holds = |phase: &Phase| phase.started_at <= at && phase.ended_at.is_none_or(|end| at <= end);
        let index = self.phases.iter().rposition(holds)?;
        u32::try_from(index + 1).ok()
    }

    /// Findings that the activity itself gives.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        if self.officers.len() < 2 {
            findings.push("SECOND_OFFICER_MISSING".to_owned());
        }
        let ended = self.moments_of(Moment::ActivityEnded);
        let latest_end = ended.iter().map(|value| value.at).max();
        if self.started_at > self.earliest_start || latest_end > ended.last().map(|value| value.at) {
            findings.push("SPAN_NARROWED".to_owned());
        }
        findings
    }
}
