//! The sections of a profile besides its acts: deadlines, labels, forms, classes, inspection and the rest.

use std::fmt;

use strongroom_types::Role;

use super::{Chain, RequestAct, Source};
use crate::tables::DeviceType;

/// The text that a profile is made from.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Regulation {
    /// Its title.
    #[n(0)]
    pub title: String,
    /// Its document number 文号.
    #[n(1)]
    pub number: Option<String>,
    /// When it was published, where that is known.
    #[n(2)]
    pub published: Option<Day>,
    /// From when it holds, where that is known.
    #[n(3)]
    pub effective: Option<Day>,
    /// Where it says so.
    #[n(4)]
    pub source: Source,
}

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
pub struct Day {
    /// Year.
    #[n(0)]
    pub year: u16,
    /// Month, from 1.
    #[n(1)]
    pub month: u8,
    /// Day of the month, from 1.
    #[n(2)]
    pub day: u8,
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// What the agency calls the holders of a role.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Office {
    /// Its name for them.
    #[n(0)]
    pub words: String,
    /// Where it says so.
    #[n(1)]
    pub source: Source,
}

/// A code with the words of the text.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Code {
    /// For programs.
    #[n(0)]
    pub code: String,
    /// In the language of the text.
    #[n(1)]
    pub words: String,
}

/// A field of a form or of an item's labels.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Field {
    /// For programs.
    #[n(0)]
    pub name: String,
    /// In the language of the text.
    #[n(1)]
    pub words: String,
}

/// How long evidence of a case is kept (G6).
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Evidence {
    /// As long as what.
    #[n(0)]
    pub term: EvidenceTerm,
    /// Of which cases, in the words of the text; empty means of all.
    #[n(1)]
    pub scope: String,
    /// False where the text does not say it and it was inferred from what the text does say.
    #[n(2)]
    pub stated: bool,
    /// Where it says so.
    #[n(3)]
    pub source: Source,
}

/// As long as what evidence is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum EvidenceTerm {
    /// As long as the dossier 与案卷保存期限相同.
    #[n(0)]
    CaseFile,
}

impl EvidenceTerm {
    /// Every one.
    pub const ALL: [Self; 1] = [Self::CaseFile];

    /// The name in profiles and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CaseFile => "case-file",
        }
    }
}

/// What is kept without an end (G7).
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct LongTerm {
    /// Circumstances that ask for it.
    #[n(0)]
    pub triggers: Vec<Trigger>,
    /// On what it is kept; the cluster always keeps it.
    #[n(1)]
    pub media: Vec<Medium>,
    /// Where it says so.
    #[n(2)]
    pub source: Source,
}

/// A circumstance 长期保存情形 that asks for keeping without an end.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Trigger {
    /// For programs.
    #[n(0)]
    pub code: String,
    /// In the words of the text.
    #[n(1)]
    pub words: String,
    /// Words in labels that prompt for it.
    #[n(2)]
    pub prompts: Vec<String>,
    /// Where it says so.
    #[n(3)]
    pub source: Source,
}

/// On what footage is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Medium {
    /// Here.
    #[n(0)]
    Cluster,
    /// On a burnt disc 刻录光盘, besides.
    #[n(1)]
    OpticalDisc,
}

impl Medium {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Cluster, Self::OpticalDisc];

    /// The name in profiles and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::OpticalDisc => "optical-disc",
        }
    }
}

/// Until when recordings are brought in.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Ingest {
    /// Usually.
    #[n(0)]
    pub deadline: Deadline,
    /// Where a reason is given.
    #[n(1)]
    pub exceptions: Vec<DeadlineException>,
    /// For activities that end late in the day.
    #[n(2)]
    pub evening: Option<Evening>,
    /// Where the text has them saved; here only a durable commit counts.
    #[n(3)]
    pub saved_to: String,
    /// From what recordings may be taken in; none named means any station.
    #[n(4)]
    pub sources: Vec<Code>,
    /// Where it says so.
    #[n(5)]
    pub source: Source,
}

/// A deadline. What comes later is taken in all the same: lateness is a finding.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Deadline {
    /// What it runs from.
    #[n(0)]
    pub start: Start,
    /// When it is due.
    #[n(1)]
    pub due: Due,
    /// What the warning runs from, where that is something else.
    #[n(2)]
    pub warn_start: Option<Start>,
    /// Hours after the start at which people are warned.
    #[n(3)]
    pub warn_hours: Vec<u32>,
}

/// What a deadline runs from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum Start {
    /// The end of the activity.
    #[n(0)]
    ActivityEnd,
    /// The end of the working day.
    #[n(1)]
    WorkDayEnd,
    /// The end of the matter 行政执法事项结束.
    #[n(2)]
    MatterEnd,
    /// The return to the unit.
    #[n(3)]
    ReturnedToUnit,
}

impl Start {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::ActivityEnd, Self::WorkDayEnd, Self::MatterEnd, Self::ReturnedToUnit];

    /// The name in profiles and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ActivityEnd => "activity-end",
            Self::WorkDayEnd => "work-day-end",
            Self::MatterEnd => "matter-end",
            Self::ReturnedToUnit => "returned-to-unit",
        }
    }
}

/// When something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum Due {
    /// At the end of the start's day in Beijing.
    #[n(0)]
    SameDay,
    /// So many hours after the start.
    #[n(1)]
    Hours(#[n(0)] u32),
}

/// Another deadline, where this reason is given.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DeadlineException {
    /// For programs.
    #[n(0)]
    pub code: String,
    /// In the words of the text.
    #[n(1)]
    pub words: String,
    /// What it runs from.
    #[n(2)]
    pub start: Start,
    /// Hours after it.
    #[n(3)]
    pub hours: u32,
    /// Where it says so.
    #[n(4)]
    pub source: Source,
}

/// A same-day deadline for what ends late in the day: in minutes after midnight.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Evening {
    /// Applies to what ends after this.
    #[n(0)]
    pub after_minute: u32,
    /// Due on the next day at this.
    #[n(1)]
    pub due_minute: u32,
    /// Where it says so.
    #[n(2)]
    pub source: Source,
}

/// When an item counts as labelled.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Labels {
    /// Until when it should be.
    #[n(0)]
    pub deadline: Option<Deadline>,
    /// Labels that must be there.
    #[n(1)]
    pub required: Vec<Field>,
    /// Values that are values and no gaps, such as 无特定相对人.
    #[n(2)]
    pub accepted: Vec<String>,
    /// Where it says so.
    #[n(3)]
    pub source: Source,
}

/// How an item's display name is made from its fields; never typed.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Naming {
    /// Text with fields in braces.
    #[n(0)]
    pub format: String,
    /// Where it says so.
    #[n(1)]
    pub source: Source,
}

/// Folders of the virtual tree, read only.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Layout {
    /// Folder names with `{year}`, `{month}`, `{day}` and `{case}`.
    #[n(0)]
    pub path: String,
    /// Where it says so.
    #[n(1)]
    pub source: Source,
}

/// Kinds of activity that must be recorded.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Activities {
    /// The kinds.
    #[n(0)]
    pub kinds: Vec<Code>,
    /// Where it says so.
    #[n(1)]
    pub source: Source,
}

/// When recording may be left out 免录.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Exemption {
    /// For which reasons.
    #[n(0)]
    pub reasons: Vec<Code>,
    /// Who agrees: any one of them; none where the text asks for no consent.
    #[n(1)]
    pub consent: Vec<Person>,
    /// To whom it is reported.
    #[n(2)]
    pub report_to: Option<Person>,
    /// What must be written down.
    #[n(3)]
    pub required: Vec<Field>,
    /// Where it says so.
    #[n(4)]
    pub source: Source,
}

/// Somebody whom the text names, with the role that stands for them where one does.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Person {
    /// In the words of the text.
    #[n(0)]
    pub words: String,
    /// The role; none where it is whoever is there.
    #[n(1)]
    pub role: Option<Role>,
}

/// When recording may be interrupted.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Interruption {
    /// For which causes.
    #[n(0)]
    pub causes: Vec<Code>,
    /// Gaps that are none: they need no report.
    #[n(1)]
    pub gaps: Vec<Code>,
    /// The cause is spoken on resuming 语音说明.
    #[n(2)]
    pub voice_note: bool,
    /// What could not go on is explained in writing 书面说明.
    #[n(3)]
    pub statement: bool,
    /// To whom it is reported at once.
    #[n(4)]
    pub report_to: Option<Person>,
    /// Who keeps the written report.
    #[n(5)]
    pub kept_by: Option<Person>,
    /// Where it says so.
    #[n(6)]
    pub source: Source,
}

/// A register, to which lines are appended, or a form of one case.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Form {
    /// Its title.
    #[n(0)]
    pub title: String,
    /// What must be filled in.
    #[n(1)]
    pub fields: Vec<Field>,
    /// Roles that keep it.
    #[n(2)]
    pub kept_by: Vec<Role>,
    /// Who signs it.
    #[n(3)]
    pub signed_by: Vec<String>,
    /// Where it says so.
    #[n(4)]
    pub source: Source,
}

/// A class of confidentiality 密级 and what it lifts (G11).
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Confidentiality {
    /// For programs.
    #[n(0)]
    pub code: String,
    /// In the words of the text.
    #[n(1)]
    pub words: String,
    /// Acts that it forbids.
    #[n(2)]
    pub refuses: Vec<RequestAct>,
    /// Approvals that every act takes besides.
    #[n(3)]
    pub approvers: Option<Chain>,
    /// Where it says so.
    #[n(4)]
    pub source: Source,
}

/// Inspection by samples 抽查.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Inspection {
    /// Roles that inspect.
    #[n(0)]
    pub by: Vec<Role>,
    /// The offices, in the words of the text.
    #[n(1)]
    pub words: String,
    /// How much of the population; none where the text names no number.
    #[n(2)]
    pub ratio_percent: Option<u32>,
    /// What is looked at.
    #[n(3)]
    pub heads: Vec<Code>,
    /// What is reported, in the words of the text; may be empty.
    #[n(4)]
    pub report: String,
    /// Where it says so.
    #[n(5)]
    pub source: Source,
    /// Who looks into their own unit every day, besides.
    #[n(6)]
    pub daily: Option<DailyInspection>,
}

/// Inspection by the heads of units 日常检查, each of their own.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct DailyInspection {
    /// Roles that inspect.
    #[n(0)]
    pub by: Vec<Role>,
    /// Where it says so.
    #[n(1)]
    pub source: Source,
}

/// Review of a case's recordings by the legal office 案审.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CaseReview {
    /// Roles that review.
    #[n(0)]
    pub by: Vec<Role>,
    /// Who reviews, in the words of the text.
    #[n(1)]
    pub words: String,
    /// What is judged.
    #[n(2)]
    pub standards: Vec<Code>,
    /// The form whose lines are judged, by its name in `forms`.
    #[n(3)]
    pub form: Option<String>,
    /// Where it says so.
    #[n(4)]
    pub source: Source,
}

/// Devices, who keeps them, and what they may be connected to.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Devices {
    /// Kinds that the text names.
    #[n(0)]
    pub kinds: Vec<DeviceType>,
    /// Who keeps them.
    #[n(1)]
    pub custodian: Option<Person>,
    /// Of what there is one custodian.
    #[n(2)]
    pub custodian_of: CustodianOf,
    /// When they are collected.
    #[n(3)]
    pub collected: Option<Start>,
    /// Whether they may be connected to the Internet.
    #[n(4)]
    pub internet: bool,
    /// Where it says so.
    #[n(5)]
    pub source: Source,
}

/// Of what there is one custodian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum CustodianOf {
    /// Of the agency.
    #[n(0)]
    Agency,
    /// Of each unit.
    #[n(1)]
    Unit,
    /// Of each device.
    #[n(2)]
    Device,
}

impl CustodianOf {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Agency, Self::Unit, Self::Device];

    /// The name in profiles and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agency => "agency",
            Self::Unit => "unit",
            Self::Device => "device",
        }
    }
}
