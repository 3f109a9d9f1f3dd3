//! A profile 管理制度配置: one agency's regulation as data. Values that a text leaves open stay unspecified, and the
//! system refuses to guess: an act without an approver is refused, a profile without a floor keeps everything.
//!
//! `docs/profiles.md` says field by field how an agency writes one.

mod acts;
mod chain;
mod explain;
mod parts;
mod read;
mod reader;
mod topic;

use std::collections::BTreeMap;

use strongroom_types::{ProfileName, Role};

pub use acts::{ActRule, NoRule, Over, RecipientKind, RequestAct, StandingView};
pub use chain::Chain;
pub use explain::{Explained, Left, article, explained, left_open};
pub use parts::{
    Activities, CaseReview, Code, Confidentiality, CustodianOf, DailyInspection, Day, Deadline, DeadlineException,
    Devices, Due, Evening, Evidence, EvidenceTerm, Exemption, Field, Form, Ingest, Inspection, Interruption, Labels,
    Layout, LongTerm, Medium, Naming, Office, Person, Regulation, Start, Trigger,
};
pub use reader::{Mistake, Mistakes};
pub use topic::Topic;

/// Longest profile file in bytes.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// A checked profile.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Profile {
    /// Its name.
    #[n(0)]
    pub name: ProfileName,
    /// Agency that it binds.
    #[n(1)]
    pub agency: String,
    /// Least retention; none where the text gives no number.
    #[n(2)]
    pub floor: Option<Floor>,
    /// What each act needs, one rule for each purpose that the text tells apart; an act that is not here is refused.
    #[n(3)]
    pub acts: BTreeMap<RequestAct, Vec<ActRule>>,
    /// Who may view without a request.
    #[n(4)]
    pub standing_views: Vec<StandingView>,
    /// The text that it is made from.
    #[n(5)]
    pub regulation: Option<Regulation>,
    /// What the agency itself calls the holders of roles.
    #[n(6)]
    pub roles: BTreeMap<Role, Office>,
    /// How long evidence of a case is kept.
    #[n(7)]
    pub evidence: Option<Evidence>,
    /// What is kept without an end.
    #[n(8)]
    pub long_term: Option<LongTerm>,
    /// Until when recordings are brought in.
    #[n(9)]
    pub ingest: Option<Ingest>,
    /// When an item counts as labelled, and until when it should be.
    #[n(10)]
    pub labels: Option<Labels>,
    /// How an item's display name is made.
    #[n(11)]
    pub naming: Option<Naming>,
    /// Folders of the virtual tree.
    #[n(12)]
    pub layout: Option<Layout>,
    /// Kinds of activity that must be recorded.
    #[n(13)]
    pub activities: Option<Activities>,
    /// When recording may be left out.
    #[n(14)]
    pub exemption: Option<Exemption>,
    /// When recording may be interrupted.
    #[n(15)]
    pub interruption: Option<Interruption>,
    /// Registers and forms by name.
    #[n(16)]
    pub forms: BTreeMap<String, Form>,
    /// Classes of confidentiality.
    #[n(17)]
    pub confidentiality: Vec<Confidentiality>,
    /// Inspection by samples.
    #[n(18)]
    pub inspection: Option<Inspection>,
    /// Review of a case's recordings by the legal office.
    #[n(19)]
    pub review: Option<CaseReview>,
    /// Devices, who keeps them, and what they may be connected to.
    #[n(20)]
    pub devices: Option<Devices>,
    /// What the text leaves open, by place in the file: nothing is guessed for it.
    #[n(21)]
    pub open: BTreeMap<String, Source>,
    /// By which article it asks for what the cluster does for every agency.
    #[n(22)]
    pub articles: BTreeMap<Topic, Source>,
}

/// Where a rule comes from.
#[derive(Clone, Debug, PartialEq, Eq, Default, minicbor::Encode, minicbor::Decode)]
pub struct Source {
    /// Requirement id, such as `R-000-21a`.
    #[n(0)]
    pub rule: String,
    /// The article's words, in the language of the text; `……` stands for words left out.
    #[n(1)]
    pub article: String,
    /// True where the text is silent and the stricter reading was taken.
    #[n(2)]
    pub interpreted: bool,
    /// What a reader should know besides; may be empty.
    #[n(3)]
    pub note: String,
}

/// Least retention in calendar months of Beijing time (G5).
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Floor {
    /// Months.
    #[n(0)]
    pub months: u32,
    /// Where it says so.
    #[n(1)]
    pub source: Source,
    /// True where the agency knows that a lower floor leaves stored items as they are.
    #[n(2)]
    pub future_items_only: bool,
}

impl Profile {
    /// Reads and checks a profile file.
    ///
    /// # Errors
    /// [`Mistakes`]: every one that was found, each with its line and what would be right.
    pub fn from_toml(text: &str) -> Result<Self, Mistakes> {
        read::profile(text)
    }

    /// The rule for an act and purpose. A purpose is named where the text tells several apart.
    ///
    /// # Errors
    /// [`NoRule`] saying what is missing.
    pub fn rule(&self, act: RequestAct, purpose: Option<&str>) -> Result<&ActRule, NoRule> {
        let rules = self.acts.get(&act).map_or(&[][..], Vec::as_slice);
        let purposes = self.purposes(act);
        let open = |place: &str| NoRule::Open(self.open.get(place).cloned().unwrap_or_default());
        if purposes.is_empty() {
            return rules.first().ok_or_else(|| open(&format!("acts.{}", act.name())));
        }
        let Some(purpose) = purpose.filter(|purpose| purposes.iter().any(|known| known == purpose)) else {
            return Err(NoRule::Purpose(purposes));
        };
        let of_purpose = |rule: &&ActRule| rule.purpose.as_ref().is_some_and(|own| own.code == purpose);
        rules.iter().find(of_purpose).ok_or_else(|| open(&format!("acts.{}.{purpose}", act.name())))
    }

    /// Purposes that the text tells apart for an act, those that it leaves open too.
    #[must_use]
    pub fn purposes(&self, act: RequestAct) -> Vec<String> {
        let stated = self.acts.get(&act).into_iter().flatten().filter_map(|rule| rule.purpose.as_ref());
        let prefix = format!("acts.{}.", act.name());
        let open = self.open.keys().filter_map(|key| key.strip_prefix(&prefix));
        stated.map(|code| code.code.as_str()).chain(open).map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests;
