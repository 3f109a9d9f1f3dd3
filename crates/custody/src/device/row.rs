//! What the register of devices stores, and the commands that change it. Numbers are stored and never reused.

use strongroom_types::{ActivityId, DeviceId, PrincipalId, RecordSeq, UnitId, UnixMillis};

use crate::Act;

/// Where a device is and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DeviceCustodyRow {
    /// Where it is.
    #[n(0)]
    pub place: Place,
    /// Since when.
    #[n(1)]
    pub since: UnixMillis,
    /// The giver's step, while the receiver's is missing.
    #[n(2)]
    pub offer: Option<Offer>,
    /// Entries of its register.
    #[n(3)]
    pub entries: u64,
    /// The fault that is not mended yet.
    #[n(4)]
    pub fault: Option<OpenFault>,
    /// Its clock as it was measured last.
    #[n(5)]
    pub clock: Option<ClockOffset>,
    /// Recordings on it that are not ingested; none while nobody has looked.
    #[n(6)]
    pub un_ingested: Option<u64>,
    /// Whose recordings those may be, besides the holder's.
    #[n(7)]
    pub owing: Vec<PrincipalId>,
    /// When a custodian took it back last (R-004-16).
    #[n(8)]
    pub collected: Option<Collected>,
    /// Its own custodian (R-004-9).
    #[n(9)]
    pub custodian: Option<PrincipalId>,
}

/// Where a device is.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Place {
    /// With its unit's custodian.
    #[n(0)]
    Store,
    /// With a person.
    #[n(1)]
    Person(#[n(0)] PrincipalId),
    /// With a repairer.
    #[n(2)]
    Repair(#[n(0)] String),
    /// Lost, and who held it then (R-001-17).
    #[n(3)]
    Lost(#[n(0)] Option<PrincipalId>),
    /// In a sealed envelope, because a state secret may be on it: who held it then, and the number of the seal (B10).
    #[n(4)]
    Sealed(#[n(0)] Option<PrincipalId>, #[n(1)] String),
}

impl Place {
    /// One word for lists.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Person(_) => "person",
            Self::Repair(_) => "repair",
            Self::Lost(_) => "lost",
            Self::Sealed(..) => "sealed",
        }
    }

    /// Who holds it, held it when it was lost or sealed, or mends it; empty in the store.
    #[must_use]
    pub fn holder(&self) -> &str {
        match self {
            Self::Store | Self::Lost(None) | Self::Sealed(None, _) => "",
            Self::Person(person) | Self::Lost(Some(person)) | Self::Sealed(Some(person), _) => person.as_str(),
            Self::Repair(repairer) => repairer,
        }
    }
}

/// The three ways in which a device changes hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Way {
    /// 领用: from the store to a person.
    #[n(0)]
    Issue,
    /// 交接: from one person to another.
    #[n(1)]
    HandOver,
    /// 上交: from a person to the store.
    #[n(2)]
    Return,
}

impl Way {
    /// The act that the giver's step is.
    #[must_use]
    pub const fn act(self) -> Act {
        match self {
            Self::Issue => Act::DeviceIssue,
            Self::HandOver => Act::DeviceHandOver,
            Self::Return => Act::DeviceReturn,
        }
    }

    /// The name in registers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::HandOver => "hand-over",
            Self::Return => "return",
        }
    }
}

/// The giver's step.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Offer {
    /// Which way.
    #[n(0)]
    pub way: Way,
    /// Who gives.
    #[n(1)]
    pub by: PrincipalId,
    /// Who is to receive it; none for the store.
    #[n(2)]
    pub to: Option<PrincipalId>,
    /// When.
    #[n(3)]
    pub at: UnixMillis,
    /// Recordings on it that are not ingested, as the giver says.
    #[n(4)]
    pub un_ingested: Option<u64>,
}

/// A fault that is not mended yet.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct OpenFault {
    /// The entry that reported it.
    #[n(0)]
    pub entry: u64,
    /// Who reported it.
    #[n(1)]
    pub by: PrincipalId,
    /// Whether the unit's head has confirmed it (R-001-16).
    #[n(2)]
    pub confirmed: bool,
}

/// How far a device's clock was off when somebody measured it (R-000-7).
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ClockOffset {
    /// The device's clock minus the reference, in milliseconds.
    #[n(0)]
    pub offset_ms: i64,
    /// When it was measured.
    #[n(1)]
    pub measured_at: UnixMillis,
    /// Against what.
    #[n(2)]
    pub against: String,
    /// The entry that says so.
    #[n(3)]
    pub entry: u64,
}

/// When and by whom a device was collected.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Collected {
    /// When.
    #[n(0)]
    pub at: UnixMillis,
    /// By whom.
    #[n(1)]
    pub by: PrincipalId,
}

/// One line of a device's register.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DeviceEntry {
    /// When.
    #[n(0)]
    pub at: UnixMillis,
    /// By whom; none where the cluster was created with it.
    #[n(1)]
    pub by: Option<PrincipalId>,
    /// Its record.
    #[n(2)]
    pub seq: RecordSeq,
    /// What.
    #[n(3)]
    pub what: What,
    /// Where the device is from then on, where this moved it.
    #[n(4)]
    pub moved_to: Option<Place>,
    /// Findings.
    #[n(5)]
    pub findings: Vec<String>,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum What {
    /// It was registered.
    #[n(0)]
    Registered,
    /// The giver's step: which way, to whom, with which accessories and which content 记录内容.
    #[n(1)]
    Offered(#[n(0)] Offer, #[n(1)] String, #[n(2)] String),
    /// The receiver's step.
    #[n(2)]
    Taken(#[n(0)] Way),
    /// The receiver did not take it, or the giver took it back.
    #[n(3)]
    Declined(#[n(0)] String),
    /// Lost: when it was noticed, and the circumstances.
    #[n(4)]
    Lost(#[n(0)] UnixMillis, #[n(1)] String),
    /// Mended or found: back in the store.
    #[n(5)]
    Restored(#[n(0)] String),
    /// A fault: when it was found, what it is, and to whom it was reported.
    #[n(6)]
    Fault(#[n(0)] UnixMillis, #[n(1)] String, #[n(2)] String),
    /// The head confirmed the fault of an entry.
    #[n(7)]
    FaultConfirmed(#[n(0)] u64),
    /// Sent to be mended: recordings on it that are not ingested, and why they stay on it.
    #[n(8)]
    Repair(#[n(0)] u64, #[n(1)] String),
    /// Docked and checked.
    #[n(9)]
    Docked(#[n(0)] Docking),
    /// An entry is to be read otherwise: which, what of it, how, and why.
    #[n(10)]
    Corrected(#[n(0)] u64, #[n(1)] String, #[n(2)] String, #[n(3)] String),
    /// Somebody became its custodian.
    #[n(11)]
    Keeper(#[n(0)] PrincipalId),
    /// Its unit was divided: whose it was, and whose it is.
    #[n(12)]
    UnitMoved(#[n(0)] UnitId, #[n(1)] UnitId),
    /// Sealed, and not uploaded, because a state secret may be on it: the number of the seal, who found it, and why,
    /// without content.
    #[n(13)]
    Sealed(#[n(0)] String, #[n(1)] PrincipalId, #[n(2)] String),
}

/// What was seen when a device was docked (R-000-7, R-002-5).
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Docking {
    /// The device's clock minus the reference, in milliseconds.
    #[n(0)]
    pub offset_ms: i64,
    /// Against what it was measured.
    #[n(1)]
    pub against: String,
    /// Charge of its battery in percent.
    #[n(2)]
    pub battery_percent: Option<u8>,
    /// Free space on it in bytes.
    #[n(3)]
    pub free_bytes: Option<u64>,
    /// Recordings on it that are not ingested.
    #[n(4)]
    pub un_ingested: u64,
    /// Whether its picture shows the time 影像同步显示摄录时间, where that was looked at (R-003-3).
    #[n(5)]
    pub shows_time: Option<bool>,
}

/// What a person has to do with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Tie {
    /// They hold it.
    #[n(0)]
    Holds,
    /// They gave it away with recordings on it that are not ingested.
    #[n(1)]
    OwesRecordings,
    /// It was lost while they held it, or with their recordings on it.
    #[n(2)]
    Lost,
    /// It was sealed while they held it, or with their recordings on it: nobody can ingest them any more.
    #[n(3)]
    Sealed,
}

impl Tie {
    /// Whether a device or recordings are owed: what is lost or sealed is a finding, and holds nobody for ever.
    #[must_use]
    pub const fn is_owed(self) -> bool {
        match self {
            Self::Holds | Self::OwesRecordings => true,
            Self::Lost | Self::Sealed => false,
        }
    }

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::OwesRecordings => "owes_recordings",
            Self::Lost => "lost",
            Self::Sealed => "sealed",
        }
    }
}

/// A time that a device was in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Where.
    pub place: Place,
    /// From when.
    pub from: UnixMillis,
    /// Until when; none where it still is.
    pub until: Option<UnixMillis>,
}

/// The giver's step.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct OfferDevice {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// Which way.
    #[n(1)]
    pub way: Way,
    /// To whom; none for the store.
    #[n(2)]
    pub to: Option<PrincipalId>,
    /// Accessories that go with it.
    #[n(3)]
    pub accessories: String,
    /// What was recorded with it 记录内容.
    #[n(4)]
    pub content: String,
    /// Recordings on it that are not ingested; asked of whoever held it.
    #[n(5)]
    pub un_ingested: Option<u64>,
}

/// The receiver's step, or the end of the offer.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct AnswerOffer {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// Why it was not taken; none where it was.
    #[n(1)]
    pub declined: Option<String>,
}

/// Reports a device lost.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ReportLoss {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// When it was noticed.
    #[n(1)]
    pub noticed_at: UnixMillis,
    /// How it came about.
    #[n(2)]
    pub circumstances: String,
}

/// Reports a fault.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ReportFault {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// When it was found.
    #[n(1)]
    pub found_at: UnixMillis,
    /// What it is.
    #[n(2)]
    pub fault: String,
    /// To whom it was reported.
    #[n(3)]
    pub reported_to: String,
}

/// Confirms the open fault.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ConfirmFault {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
}

/// Sends a device to be mended.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SendToRepair {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// Who mends it.
    #[n(1)]
    pub repairer: String,
    /// Recordings on it that are not ingested: the question must be answered.
    #[n(2)]
    pub un_ingested: Option<u64>,
    /// Why they cannot be ingested first, where there are any.
    #[n(3)]
    pub explanation: String,
}

/// Takes a device back into the store, mended or found.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RestoreDevice {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// What was mended, or how it was found.
    #[n(1)]
    pub note: String,
}

/// Records that a device was sealed by hand because a state secret may be on it, and was not uploaded (B10).
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct SealDevice {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// Number of the seal on its envelope.
    #[n(1)]
    pub envelope: String,
    /// Who found it.
    #[n(2)]
    pub found_by: PrincipalId,
    /// Why, without content.
    #[n(3)]
    pub reason: String,
    /// The activity that was recorded, where it is known: what is missing there is explained by this.
    #[n(4)]
    pub activity: Option<ActivityId>,
}

/// Records what was seen at docking.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DockDevice {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// What was seen.
    #[n(1)]
    pub docking: Docking,
}

/// Appends a correction to an entry.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CorrectEntry {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// The entry.
    #[n(1)]
    pub entry: u64,
    /// What of it.
    #[n(2)]
    pub field: String,
    /// How it is to be read.
    #[n(3)]
    pub value: String,
    /// Why.
    #[n(4)]
    pub reason: String,
}
