//! A profile 管理制度配置: one agency's regulation as data. Values that a text leaves open stay unspecified, and the
//! system refuses to guess: an act without an approver is refused, a profile without a floor keeps everything.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use strongroom_types::{ProfileName, Role, limits};

use crate::Act;

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
    /// What each act needs; an act that is not here is refused.
    #[n(3)]
    pub acts: BTreeMap<RequestAct, ActRule>,
    /// Who may view without a request.
    #[n(4)]
    pub standing_view: Option<StandingView>,
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
}

/// Where a rule comes from.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Source {
    /// Requirement id, such as `R-000-21a`.
    #[n(0)]
    pub rule: String,
    /// The article's words, in the language of the text.
    #[n(1)]
    pub article: String,
}

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
    /// Every act.
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

    /// The act of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.name() == name)
    }
}

/// What one act needs.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ActRule {
    /// Roles that may ask.
    #[n(0)]
    pub requesters: Vec<Role>,
    /// Roles that must approve, each by another person.
    #[n(1)]
    pub approvers: Vec<Role>,
    /// Whether all of them must, or any one.
    #[n(2)]
    pub needed: Needed,
    /// Roles that carry it out.
    #[n(3)]
    pub executors: Vec<Role>,
    /// Fields that the form must hold.
    #[n(4)]
    pub fields: Vec<String>,
    /// How long a grant is good for, in days.
    #[n(5)]
    pub valid_days: u32,
    /// Sessions that a grant allows.
    #[n(6)]
    pub uses: u32,
    /// Where it says so.
    #[n(7)]
    pub source: Source,
}

/// Whether all approvers are needed, or any one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum Needed {
    /// One approval of each role.
    #[n(0)]
    All,
    /// One approval of any of the roles.
    #[n(1)]
    Any,
}

/// Who may view without a request (semantics C5).
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct StandingView {
    /// Roles.
    #[n(0)]
    pub roles: Vec<Role>,
    /// Where it says so.
    #[n(1)]
    pub source: Source,
}

/// What is wrong with a profile file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not TOML, an unknown key or a value of the wrong kind; the text names the line.
    #[error("could not read the profile: {0}")]
    Syntax(String),
    /// A value that cannot be.
    #[error("{place}: {what}")]
    Value {
        /// Where in the file.
        place: String,
        /// What is wrong and what would be right.
        what: String,
    },
}

impl Profile {
    /// Reads and checks a profile file.
    ///
    /// # Errors
    /// [`ProfileError`] saying where and what.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let raw: RawProfile = toml::from_str(text).map_err(|error| ProfileError::Syntax(error.to_string()))?;
        let standing_view = raw.standing_view.map(RawStandingView::check).transpose()?;
        let acts = raw.acts.into_iter().map(|(name, act)| act.check(&name)).collect::<Result<_, _>>()?;
        Ok(Self {
            name: raw.name.parse().map_err(|error| value("name", format!("{error}")))?,
            agency: text_value("agency", raw.agency)?,
            floor: raw.floor.check()?,
            acts,
            standing_view,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawProfile {
    name: String,
    agency: String,
    floor: RawFloor,
    #[serde(default)]
    acts: BTreeMap<String, RawAct>,
    standing_view: Option<RawStandingView>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawFloor {
    months: Option<u32>,
    #[serde(default)]
    unspecified: bool,
    #[serde(default)]
    rule: String,
    #[serde(default)]
    article: String,
}

impl RawFloor {
    fn check(self) -> Result<Option<Floor>, ProfileError> {
        match (self.months, self.unspecified) {
            (Some(months @ 1..=1200), false) => {
                Ok(Some(Floor { months, source: Source { rule: self.rule, article: self.article } }))
            }
            (None, true) => Ok(None),
            (Some(_), false) => Err(value("floor.months", "takes 1 to 1200 calendar months".to_owned())),
            (Some(_), true) | (None, false) => {
                Err(value("floor", "takes either months = N or unspecified = true".to_owned()))
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawAct {
    requesters: Vec<String>,
    approvers: Vec<String>,
    #[serde(default = "all")]
    needed: Needed,
    executors: Vec<String>,
    #[serde(default)]
    fields: Vec<String>,
    valid_days: u32,
    uses: u32,
    #[serde(default)]
    rule: String,
    #[serde(default)]
    article: String,
}

const fn all() -> Needed {
    Needed::All
}

impl RawAct {
    fn check(self, name: &str) -> Result<(RequestAct, ActRule), ProfileError> {
        let place = format!("acts.{name}");
        let act = RequestAct::from_name(name).ok_or_else(|| {
            value(&place, format!("is no act; acts are {}", RequestAct::ALL.map(RequestAct::name).join(", ")))
        })?;
        if !(1..=3650).contains(&self.valid_days) {
            return Err(value(&format!("{place}.valid-days"), "takes 1 to 3650 days".to_owned()));
        }
        if !(1..=1000).contains(&self.uses) {
            return Err(value(&format!("{place}.uses"), "takes 1 to 1000 sessions".to_owned()));
        }
        // The reason is asked of everybody: a request without one cannot be judged.
        let fields: BTreeSet<String> = self.fields.into_iter().chain(["reason".to_owned()]).collect();
        if fields.iter().any(|name| crate::upload::check_label_name(name).is_err()) {
            let max = limits::NAME_BYTES_MAX;
            return Err(value(&format!("{place}.fields"), format!("takes names of 1 to {max} bytes in one line")));
        }
        if fields.len() > limits::LABELS_MAX {
            return Err(value(&format!("{place}.fields"), format!("takes at most {} fields", limits::LABELS_MAX)));
        }
        let begun = if act == RequestAct::View { Act::ViewBegin } else { Act::CopyOutBegin };
        let rule = ActRule {
            requesters: roles_within(&format!("{place}.requesters"), self.requesters, Act::RequestSubmit)?,
            approvers: roles_within(&format!("{place}.approvers"), self.approvers, Act::RequestApprove)?,
            needed: self.needed,
            executors: roles_within(&format!("{place}.executors"), self.executors, begun)?,
            fields: fields.into_iter().collect(),
            valid_days: self.valid_days,
            uses: self.uses,
            source: Source { rule: self.rule, article: self.article },
        };
        Ok((act, rule))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawStandingView {
    roles: Vec<String>,
    #[serde(default)]
    rule: String,
    #[serde(default)]
    article: String,
}

impl RawStandingView {
    fn check(self) -> Result<StandingView, ProfileError> {
        let roles = roles_within("standing-view.roles", self.roles, Act::ViewBegin)?;
        Ok(StandingView { roles, source: Source { rule: self.rule, article: self.article } })
    }
}

/// Roles that may take this step at all: a profile narrows the table of acts and never widens it.
fn roles_within(place: &str, names: Vec<String>, step: Act) -> Result<Vec<Role>, ProfileError> {
    let roles = roles(place, names)?;
    match roles.iter().find(|role| !step.roles().contains(role)) {
        Some(role) => Err(value(place, format!("{role} may never {}", step.name()))),
        None => Ok(roles),
    }
}

fn roles(place: &str, names: Vec<String>) -> Result<Vec<Role>, ProfileError> {
    if names.is_empty() {
        return Err(value(place, "names no role; leave the whole act out to refuse it".to_owned()));
    }
    let mut roles = Vec::new();
    for name in names {
        let role = name.parse::<Role>().map_err(|error| value(place, error.to_string()))?;
        if roles.contains(&role) {
            return Err(value(place, format!("names {role} twice")));
        }
        roles.push(role);
    }
    Ok(roles)
}

fn text_value(place: &str, text: String) -> Result<String, ProfileError> {
    if text.is_empty() || text.len() > limits::TEXT_BYTES_MAX {
        return Err(value(place, format!("takes 1 to {} bytes of text", limits::TEXT_BYTES_MAX)));
    }
    Ok(text)
}

fn value(place: &str, what: String) -> ProfileError {
    ProfileError::Value { place: place.to_owned(), what }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
name = "city"
agency = "城管执法局"
[floor]
months = 12
rule = "R-003-5e"
[acts.copy]
requesters = ["legal"]
approvers = ["approver"]
executors = ["archivist"]
valid-days = 30
uses = 1
"#;

    #[test]
    fn a_profile_reads_back_and_always_asks_a_reason() {
        let profile = Profile::from_toml(GOOD).expect("good");
        let copy = &profile.acts[&RequestAct::Copy];
        assert_eq!((copy.fields.as_slice(), copy.needed), (["reason".to_owned()].as_slice(), Needed::All));
        assert_eq!(profile.floor.expect("a floor").months, 12);
        assert!(!profile.acts.contains_key(&RequestAct::View), "an act that is not there is not guessed");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (from, to, expected) in [
            ("months = 12", "months = 0", "floor.months"),
            ("months = 12", "", "floor: takes either"),
            ("[\"archivist\"]", "[]", "acts.copy.executors: names no role"),
            ("[\"archivist\"]", "[\"king\"]", "\"king\" is not a role"),
            ("acts.copy", "acts.sell", "acts.sell: is no act"),
            ("[\"legal\"]", "[\"head\"]", "acts.copy.requesters: head may never request.submit"),
            ("[\"approver\"]", "[\"auditor\"]", "acts.copy.approvers: auditor may never request.approve"),
            ("[\"archivist\"]", "[\"recorder\"]", "acts.copy.executors: recorder may never copy-out.begin"),
            ("uses = 1", "uses = 1\nfields = [\"a\\nb\"]", "acts.copy.fields: takes names"),
            ("uses = 1", "uses = 0", "acts.copy.uses: takes 1 to 1000"),
            ("valid-days = 30", "valid-days = 0", "acts.copy.valid-days: takes 1 to 3650"),
            ("[\"legal\"]", "[\"legal\", \"legal\"]", "acts.copy.requesters: names legal twice"),
            ("uses = 1", "uses = 1\nuse = 2", "unknown field `use`"),
            (
                "uses = 1",
                "uses = 1\n[standing-view]\nroles = [\"ops\"]",
                "standing-view.roles: ops may never view.begin",
            ),
        ] {
            let error = Profile::from_toml(&GOOD.replace(from, to)).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
