//! The life of a profile: proposed by the security officer, approved by a second person, in force a day later.
//!
//! A version waits for 24 hours of compliance time after its approval, so that anybody who may approve can still
//! withdraw it; a tick of the clock then puts it in force. One version of a profile waits at a time, so that whoever
//! approves knows what it follows.
//!
//! What is stored only gains (C1): a lower floor leaves stored items as they are and is taken only from somebody who
//! says that they know; a trigger or class that stored items may carry, and a rule on evidence, cannot be dropped.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_types::{
    PrincipalId, ProfileName, Reason, RecordSeq, Refusal, Role, UnitId, UnixMillis, limits,
    rows::{RowError, Rows},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{Stop, different_person, whole_agency},
    apply::Decision,
    clock,
    command::{ApproveProfile, ProposeProfile, WithdrawProfile},
    erasure::sha256,
    floors::{self, VersionRow, VersionsRow},
    profile::Profile,
    request::field_missing,
    tables::{ItemRow, PROFILE_VERSIONS, PROFILES, PROPOSALS, PROPOSALS_DUE, ProfileRow},
    upload::check_text,
};

/// How long an approved version can still be withdrawn, in compliance time.
pub(crate) const WITHDRAWABLE_MS: i64 = 24 * 3600 * 1000;
/// Most versions that one tick puts in force; the next tick goes on.
const PER_TICK: usize = 16;

/// A version that waits.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ProposalRow {
    /// The file's text, as it was given.
    #[n(0)]
    pub toml: String,
    /// What it says.
    #[n(1)]
    pub profile: Profile,
    /// The version that it becomes.
    #[n(2)]
    pub version: u64,
    /// Who proposed it.
    #[n(3)]
    pub proposed_by: PrincipalId,
    /// When.
    #[n(4)]
    pub proposed_at: UnixMillis,
    /// Record of the proposal, by which an approval names it.
    #[n(5)]
    pub seq: RecordSeq,
    /// Its approval.
    #[n(6)]
    pub approval: Option<ProposalApproval>,
}

/// The approval of a version.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ProposalApproval {
    /// By whom.
    #[n(0)]
    pub approver: PrincipalId,
    /// In which role.
    #[n(1)]
    pub role: Role,
    /// When.
    #[n(2)]
    pub at: UnixMillis,
    /// Its record.
    #[n(3)]
    pub seq: RecordSeq,
    /// Compliance time at which it takes effect.
    #[n(4)]
    pub effective_at: UnixMillis,
}

pub(crate) fn propose(decision: &mut Decision<'_>, command: &ProposeProfile) -> Result<Answer, Stop> {
    let security = decision.authorize(Act::ProfilePropose)?;
    whole_agency(&security)?;
    let profile = Profile::from_toml(&command.toml).map_err(|mistakes| Refusal::invalid(mistakes.to_string()))?;
    if let Some(waiting) = PROPOSALS.read(decision.rows, &profile.name)? {
        return Err(Refusal::new(
            Reason::WrongState,
            "C1",
            format!("{}@{} waits already, proposed by {}", profile.name, waiting.version, waiting.proposed_by),
            "withdraw it first: `strongroom profile withdraw`",
        )
        .into());
    }
    let version = check_next(decision.rows, &profile)?;
    let seq = decision.next_seq();
    let row = ProposalRow {
        toml: command.toml.clone(),
        profile,
        version,
        proposed_by: security.id,
        proposed_at: decision.wall,
        seq,
        approval: None,
    };
    PROPOSALS.write(decision.rows, &row.profile.name, &row);
    let mut facts = facts(&row);
    facts.insert(Fact::ProfileText, row.toml.as_str().into());
    decision.record(Act::ProfilePropose, "C1", Vec::new(), facts);
    Ok(Answer::Recorded(seq))
}

pub(crate) fn approve(decision: &mut Decision<'_>, command: &ApproveProfile) -> Result<Answer, Stop> {
    let approver = decision.authorize(Act::ProfileApprove)?;
    whole_agency(&approver)?;
    let mut row = waiting(decision.rows, &command.profile)?;
    if row.seq != command.proposal {
        return Err(Refusal::new(
            Reason::WrongState,
            "C1",
            format!("{} waits in the form of record {}, not {}", row.profile.name, row.seq, command.proposal),
            "read it again before you approve: `strongroom profile show --proposed`",
        )
        .into());
    }
    if let Some(approval) = &row.approval {
        return Err(Refusal::new(
            Reason::WrongState,
            "C1",
            format!("{} approved it before; it takes effect at {}", approval.approver, approval.effective_at),
            "",
        )
        .into());
    }
    different_person(&approver.id, &row.proposed_by, "who proposes a profile does not approve it")?;
    let able = |role: &Role| Act::ProfileApprove.roles().contains(role);
    let role =
        approver.roles.iter().copied().find(able).expect("the table of acts let somebody without a role through");
    let effective_at = clock::read(decision.rows)?.t.plus_ms(WITHDRAWABLE_MS);
    let seq = decision.next_seq();
    row.approval = Some(ProposalApproval { approver: approver.id, role, at: decision.wall, seq, effective_at });
    PROPOSALS.write(decision.rows, &row.profile.name, &row);
    PROPOSALS_DUE.write(decision.rows, &(effective_at, row.profile.name.clone()), &());
    let mut facts = facts(&row);
    facts.insert(Fact::Role, role.name().into());
    facts.insert(Fact::EffectiveAt, effective_at.into());
    decision.record(Act::ProfileApprove, "C1", Vec::new(), facts);
    Ok(Answer::Recorded(seq))
}

pub(crate) fn withdraw(decision: &mut Decision<'_>, command: &WithdrawProfile) -> Result<Answer, Stop> {
    let who = decision.authorize(Act::ProfileWithdraw)?;
    whole_agency(&who)?;
    check_text("the reason", &command.reason)?;
    if command.reason.trim().is_empty() {
        return Err(field_missing("reason", "G9").into());
    }
    let row = waiting(decision.rows, &command.profile)?;
    remove(decision.rows, &row);
    let mut facts = facts(&row);
    facts.insert(Fact::ReasonGiven, command.reason.as_str().into());
    Ok(Answer::Recorded(decision.record(Act::ProfileWithdraw, "C1", Vec::new(), facts)))
}

/// Puts in force what has waited long enough. Every tick of the clock does this.
pub(crate) fn take_effect(decision: &mut Decision<'_>) -> Result<(), Stop> {
    let now = clock::read(decision.rows)?.t;
    for (key, ()) in PROPOSALS_DUE.scan(decision.rows, &(), None, PER_TICK)? {
        let (due, name) = due_of(&key)?;
        if due > now {
            break;
        }
        let row =
            PROPOSALS.read(decision.rows, &name)?.ok_or_else(|| corrupt(format!("{name} is due and not there")))?;
        remove(decision.rows, &row);
        activate(decision, row.toml, row.profile, row.version)?;
    }
    Ok(())
}

/// Puts a version in force, with its record. Genesis puts the first ones in force this way too.
pub(crate) fn activate(
    decision: &mut Decision<'_>,
    toml: String,
    profile: Profile,
    version: u64,
) -> Result<RecordSeq, Stop> {
    let name = profile.name.clone();
    let floor_months = profile.floor.as_ref().map(|floor| floor.months);
    let mut facts = BTreeMap::from([
        (Fact::Profile, Value::from(format!("{name}@{version}"))),
        (Fact::Digest, sha256(toml.as_bytes()).as_slice().into()),
    ]);
    if let Some(months) = floor_months {
        facts.insert(Fact::FloorMonths, u64::from(months).into());
    }
    let seq = decision.record(Act::ProfileActivate, "C1", Vec::new(), facts);
    let since = clock::read(decision.rows)?.t;
    floors::append(decision.rows, &name, VersionRow { version, since, seq, floor_months })?;
    PROFILES.write(decision.rows, &(name, version), &ProfileRow { toml, profile, seq });
    Ok(seq)
}

/// Number of the version that this profile would become.
///
/// # Errors
/// [`Stop`] with `POLICY_LOOSEN_REFUSED` where it would take something from items that are stored.
pub fn check_next(rows: &(impl Rows + ?Sized), profile: &Profile) -> Result<u64, Stop> {
    let Some(versions) = PROFILE_VERSIONS.read(rows, &profile.name)? else { return Ok(1) };
    let newest = versions.newest().ok_or_else(|| corrupt(format!("{} has no version", profile.name)))?.version;
    if versions.versions.len() >= limits::PROFILE_VERSIONS_MAX {
        return Err(
            Refusal::invalid(format!("a profile takes at most {} versions", limits::PROFILE_VERSIONS_MAX)).into()
        );
    }
    refuse_lower_floor(profile, &versions)?;
    let current = PROFILES.read(rows, &(profile.name.clone(), newest))?;
    let current = current.ok_or_else(|| corrupt(format!("there is no {}@{newest}", profile.name)))?.profile;
    refuse_loosening(profile, &current)?;
    Ok(newest + 1)
}

/// Stored items keep the highest floor that they ever had. A lower one must say that it is for later items only, so
/// that nobody believes to have shortened anything.
fn refuse_lower_floor(profile: &Profile, versions: &VersionsRow) -> Result<(), Refusal> {
    let (Some(floor), Some(highest)) = (&profile.floor, versions.highest()) else { return Ok(()) };
    if floor.months >= highest || floor.future_items_only {
        return Ok(());
    }
    Err(loosens(
        "G3",
        format!("floor: {} months are fewer than the {highest} that stored items have", floor.months),
        "stored items keep theirs: say `future-items-only = true` in [floor] to lower it for items sealed later",
    ))
}

fn refuse_loosening(profile: &Profile, current: &Profile) -> Result<(), Refusal> {
    let codes = |profile: &Profile| -> BTreeSet<String> {
        profile.long_term.iter().flat_map(|long| &long.triggers).map(|trigger| trigger.code.clone()).collect()
    };
    if let Some(code) = codes(current).difference(&codes(profile)).next() {
        return Err(loosens(
            "G7",
            format!("long-term.triggers: {code} is no longer there, and stored items may be kept for it"),
            "leave the trigger in; another may be added",
        ));
    }
    if current.evidence.is_some() && profile.evidence.is_none() {
        return Err(loosens(
            "G6",
            "evidence: evidence of stored cases is kept as long as their dossier, and this names no rule".to_owned(),
            "leave [evidence] in",
        ));
    }
    let class_gone = current
        .confidentiality
        .iter()
        .find(|class| profile.confidentiality.iter().all(|other| other.code != class.code));
    match class_gone {
        Some(class) => Err(loosens(
            "G11",
            format!("confidentiality: {} is no longer there, and stored items may carry it", class.code),
            "leave the class in; another may be added",
        )),
        None => Ok(()),
    }
}

fn loosens(rule: &str, message: String, remedy: &str) -> Refusal {
    Refusal::new(Reason::PolicyLoosenRefused, rule, message, remedy)
}

/// The version of this profile that waits.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn waiting(rows: &(impl Rows + ?Sized), profile: &ProfileName) -> Result<ProposalRow, Stop> {
    PROPOSALS.read(rows, profile)?.ok_or_else(|| Refusal::not_found(format!("version of {profile} that waits")).into())
}

fn remove(rows: &mut dyn Rows, row: &ProposalRow) {
    PROPOSALS.remove(rows, &row.profile.name);
    if let Some(approval) = &row.approval {
        PROPOSALS_DUE.remove(rows, &(approval.effective_at, row.profile.name.clone()));
    }
}

/// A key of [`PROPOSALS_DUE`]: the instant in offset binary, the name, and the zero byte that ends it.
fn due_of(key: &[u8]) -> Result<(UnixMillis, ProfileName), RowError> {
    let (due, name) = key.split_first_chunk::<8>().ok_or_else(|| corrupt("a due key is too short".to_owned()))?;
    let name = std::str::from_utf8(name).ok().and_then(|name| name.strip_suffix('\0')?.parse().ok());
    let name = name.ok_or_else(|| corrupt("a due key names no profile".to_owned()))?;
    Ok((UnixMillis(i64::from_be_bytes(*due) ^ i64::MIN), name))
}

fn corrupt(detail: String) -> RowError {
    RowError::Corrupt { table: PROPOSALS.name, detail }
}

fn facts(row: &ProposalRow) -> BTreeMap<Fact, Value> {
    BTreeMap::from([
        (Fact::Profile, format!("{}@{}", row.profile.name, row.version).into()),
        (Fact::Proposal, row.seq.0.into()),
    ])
}

/// What a version would do to stored items, counted item by item. Nothing is written.
#[derive(Clone, Debug)]
pub struct Preview {
    name: ProfileName,
    before: VersionsRow,
    after: VersionsRow,
    /// Counts by unit.
    pub units: BTreeMap<UnitId, Effects>,
}

/// Counts of stored items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Kept longer than before.
    pub lengthened: u64,
    /// Kept as long as before.
    pub left: u64,
    /// Kept without an end from now on, because the version names no floor.
    pub unending: u64,
    /// Given an end, because until now no floor was named.
    pub ending: u64,
}

impl Preview {
    /// A preview of this profile as the next version.
    ///
    /// # Errors
    /// [`RowError`] where the versions so far cannot be read.
    pub fn new(rows: &(impl Rows + ?Sized), profile: &Profile) -> Result<Self, RowError> {
        let before = PROFILE_VERSIONS.read(rows, &profile.name)?.unwrap_or_default();
        let mut after = before.clone();
        after.versions.push(VersionRow {
            version: before.newest().map_or(1, |newest| newest.version + 1),
            since: UnixMillis(0),
            seq: RecordSeq(0),
            floor_months: profile.floor.as_ref().map(|floor| floor.months),
        });
        Ok(Self { name: profile.name.clone(), before, after, units: BTreeMap::new() })
    }

    /// Counts one item, where it is this profile's.
    pub fn count(&mut self, item: &ItemRow) {
        if item.retention.profile != self.name {
            return;
        }
        let until = |versions: &VersionsRow| versions.governing(&item.retention).and_then(|governing| governing.until);
        let effects = self.units.entry(item.description.unit.clone()).or_default();
        let count = match (until(&self.before), until(&self.after)) {
            (Some(before), Some(after)) if after > before => &mut effects.lengthened,
            (Some(_), None) => &mut effects.unending,
            (None, Some(_)) => &mut effects.ending,
            (Some(_), Some(_)) | (None, None) => &mut effects.left,
        };
        *count += 1;
    }
}
