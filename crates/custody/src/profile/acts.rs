//! The five acts, what each needs, and who may view without asking.

use strongroom_types::Role;

use super::{Chain, Code, Source};

/// The five acts (G8): none implies another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum RequestAct {
    /// 查阅.
    #[n(0)]
    View,
    /// 复制调取.
    #[n(1)]
    Copy,
    /// 移送.
    #[n(2)]
    Transfer,
    /// 对外提供.
    #[n(3)]
    Provide,
    /// 公开.
    #[n(4)]
    Publish,
}

impl RequestAct {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::View, Self::Copy, Self::Transfer, Self::Provide, Self::Publish];

    /// The name in profiles and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Copy => "copy",
            Self::Transfer => "transfer",
            Self::Provide => "provide",
            Self::Publish => "publish",
        }
    }
}

impl RequestAct {
    /// The act of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.name() == name)
    }
}

/// What one act needs, for one purpose.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ActRule {
    /// Roles that may ask.
    #[n(0)]
    pub requesters: Vec<Role>,
    /// Who must approve, each by another person.
    #[n(1)]
    pub approvers: Chain,
    /// Roles that carry it out.
    #[n(2)]
    pub executors: Vec<Role>,
    /// Fields that the form must hold.
    #[n(3)]
    pub fields: Vec<String>,
    /// How long a grant is good for, in days.
    #[n(4)]
    pub valid_days: u32,
    /// Sessions that a grant allows.
    #[n(5)]
    pub uses: u32,
    /// Where it says so.
    #[n(6)]
    pub source: Source,
    /// For which purpose; none where the text tells no purposes apart.
    #[n(7)]
    pub purpose: Option<Code>,
    /// Register that is filled in before the first byte, by its name in `forms`.
    #[n(8)]
    pub register: Option<String>,
    /// Fields of that register.
    #[n(9)]
    pub registered: Vec<String>,
    /// To whom it may go; none named means anybody whom the approvers accept.
    #[n(10)]
    pub recipients: Vec<RecipientKind>,
    /// What was given is kept with the request 复制留存.
    #[n(11)]
    pub keep_copy: bool,
    /// An approver may have delegated the right 经授权的负责人.
    #[n(12)]
    pub delegation: bool,
    /// A deputy who is appointed to preside 主持工作的副职 counts as the approver.
    #[n(13)]
    pub appointment: bool,
    /// A signed form, attested by a second person, is an approval.
    #[n(14)]
    pub paper: bool,
    /// An approval may be given orally in urgent cases.
    #[n(15)]
    pub urgent_oral: bool,
    /// The executor belongs to the unit that owns the footage 使用部门.
    #[n(16)]
    pub owning_unit: bool,
}

/// To whom footage may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum RecipientKind {
    /// 公安机关.
    #[n(0)]
    Police,
    /// 人民检察院.
    #[n(1)]
    Procuratorate,
    /// 人民法院.
    #[n(2)]
    Court,
    /// Another department of the agency 局各部门.
    #[n(3)]
    Department,
    /// 上级机关.
    #[n(4)]
    Superior,
    /// 行政复议机关.
    #[n(5)]
    Reconsideration,
    /// 监察委员会.
    #[n(6)]
    Supervision,
    /// 当事人.
    #[n(7)]
    Party,
    /// 代理人.
    #[n(8)]
    Lawyer,
    /// 社会公众.
    #[n(9)]
    Society,
}

impl RecipientKind {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Police,
        Self::Procuratorate,
        Self::Court,
        Self::Department,
        Self::Superior,
        Self::Reconsideration,
        Self::Supervision,
        Self::Party,
        Self::Lawyer,
        Self::Society,
    ];

    /// The name in profiles and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Police => "police",
            Self::Procuratorate => "procuratorate",
            Self::Court => "court",
            Self::Department => "department",
            Self::Superior => "superior",
            Self::Reconsideration => "reconsideration",
            Self::Supervision => "supervision",
            Self::Party => "party",
            Self::Lawyer => "lawyer",
            Self::Society => "society",
        }
    }
}

/// Who may view without a request, and what (semantics C5).
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct StandingView {
    /// Roles.
    #[n(0)]
    pub roles: Vec<Role>,
    /// What they may view.
    #[n(1)]
    pub over: Over,
    /// Where it says so.
    #[n(2)]
    pub source: Source,
}

/// What a standing view reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Over {
    /// Recordings of one's own activity.
    #[n(0)]
    OwnActivity,
    /// Recordings of one's own case.
    #[n(1)]
    OwnCase,
    /// Recordings of one's unit.
    #[n(2)]
    Unit,
    /// Items of a recorded draw or a named complaint.
    #[n(3)]
    Draw,
    /// Items of a list that was handed over for review.
    #[n(4)]
    HandedOver,
    /// All recordings of the agency.
    #[n(5)]
    Agency,
}

impl Over {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::OwnActivity, Self::OwnCase, Self::Unit, Self::Draw, Self::HandedOver, Self::Agency];

    /// The name in profiles and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OwnActivity => "own-activity",
            Self::OwnCase => "own-case",
            Self::Unit => "unit",
            Self::Draw => "draw",
            Self::HandedOver => "handed-over",
            Self::Agency => "agency",
        }
    }
}

/// Why there is no rule for an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRule {
    /// The text, which says this, leaves it open.
    Open(Source),
    /// The text tells these purposes apart, and none of them was named.
    Purpose(Vec<String>),
}
