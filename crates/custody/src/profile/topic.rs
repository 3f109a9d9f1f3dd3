//! What the cluster does for every agency, and by which article of its own text.
//!
//! No refusal, record or finding names an article of another agency's text. Where a text says nothing of a topic, the rule
//! is a general one: this is how people and offices work together, or the semantics of the cluster.

use super::{Profile, Source};

/// Something that a text may speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Topic {
    /// Who has which device: issue, hand-over, return, loss, clearance, the register of it.
    #[n(0)]
    DeviceCustody,
    /// Faults of devices and their repair.
    #[n(1)]
    DeviceFault,
    /// Checks of a device: its clock, battery and space.
    #[n(2)]
    DeviceCheck,
    /// Custodians and their deputies.
    #[n(3)]
    Custodian,
    /// What is written down of an activity: who, where, whom it concerned.
    #[n(4)]
    Archive,
    /// Phases of an activity, and what belongs to them.
    #[n(5)]
    Phases,
    /// Documents whose times are those of the recording.
    #[n(6)]
    Documents,
    /// Certificate numbers of officers.
    #[n(7)]
    Certificates,
}

impl Topic {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::DeviceCustody,
        Self::DeviceFault,
        Self::DeviceCheck,
        Self::Custodian,
        Self::Archive,
        Self::Phases,
        Self::Documents,
        Self::Certificates,
    ];

    /// The name in profiles.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeviceCustody => "device-custody",
            Self::DeviceFault => "device-fault",
            Self::DeviceCheck => "device-check",
            Self::Custodian => "custodian",
            Self::Archive => "archive",
            Self::Phases => "phases",
            Self::Documents => "documents",
            Self::Certificates => "certificates",
        }
    }

    /// In both languages: Chinese, English.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::DeviceCustody => ("设备领用、交接与清退", "who has which device"),
            Self::DeviceFault => ("设备故障与维修", "faults of devices and their repair"),
            Self::DeviceCheck => ("设备使用前检查", "checks of devices"),
            Self::Custodian => ("设备管理员", "custodians and deputies"),
            Self::Archive => ("音像资料管理档案", "what is written down of an activity"),
            Self::Phases => ("执法环节", "phases of an activity"),
            Self::Documents => ("文书起止时间", "documents whose times are those of the recording"),
            Self::Certificates => ("执法人员证件号", "certificate numbers of officers"),
        }
    }

    /// The rule where the agency's own text says nothing of it.
    #[must_use]
    pub const fn general(self) -> &'static str {
        match self {
            Self::DeviceCheck => "G4",
            Self::DeviceCustody
            | Self::DeviceFault
            | Self::Custodian
            | Self::Archive
            | Self::Phases
            | Self::Documents
            | Self::Certificates => "B10",
        }
    }
}

impl Profile {
    /// The rule by which this agency's text speaks of a topic, or the general one.
    #[must_use]
    pub fn rule_on(&self, topic: Topic) -> &str {
        cited(self.articles.get(&topic), topic.general())
    }

    /// The rule by which recordings are brought in.
    #[must_use]
    pub fn ingest_rule(&self) -> &str {
        cited(self.ingest.as_ref().map(|ingest| &ingest.source).or_else(|| self.open.get("ingest")), "C1")
    }

    /// The rule by which items are labelled.
    #[must_use]
    pub fn labels_rule(&self) -> &str {
        cited(self.labels.as_ref().map(|labels| &labels.source).or_else(|| self.open.get("labels")), "C1")
    }

    /// The rule by which recording may be left out, or must not be.
    #[must_use]
    pub fn exemption_rule(&self) -> &str {
        cited(self.exemption.as_ref().map(|exemption| &exemption.source).or_else(|| self.open.get("exemption")), "B10")
    }

    /// The rule by which recording may be interrupted.
    #[must_use]
    pub fn interruption_rule(&self) -> &str {
        let stated = self.interruption.as_ref().map(|interruption| &interruption.source);
        cited(stated.or_else(|| self.open.get("interruption")), "B10")
    }

    /// The rule that names the kinds of activity.
    #[must_use]
    pub fn kinds_rule(&self) -> &str {
        cited(self.activities.as_ref().map(|activities| &activities.source), "B10")
    }

    /// The rule by which everything is kept while no floor is named.
    #[must_use]
    pub fn open_floor_rule(&self) -> &str {
        cited(self.open.get("floor"), "G2")
    }
}

fn cited<'a>(source: Option<&'a Source>, general: &'static str) -> &'a str {
    source.map(|source| source.rule.as_str()).filter(|rule| !rule.is_empty()).unwrap_or(general)
}
