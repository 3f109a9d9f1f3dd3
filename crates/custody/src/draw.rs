//! Draws 抽样 for spot checks (semantics C7): nobody can steer one, everybody can recompute it.
//!
//! A draw is recorded first: what is inspected, how much of it, by whom. The items to select from are fixed in that
//! entry. Then each voter commits to a random share; when commitments stand, and not before, whoever committed reveals.
//! The seed is made of all these shares, and the sample is what ranks first under the seed ([`sample`]). One honest voter
//! among those who committed is enough for a seed that nobody chose. A voter that keeps its share back can only spoil a
//! draw, in its own name: the draw is void, and the next of the same items is marked as its repetition.
//!
//! Restricted items and those in quarantine are drawn like others: whoever could take an item out could steer.

pub mod row;
pub mod sample;

use std::collections::{BTreeMap, BTreeSet};

use minicbor::bytes::ByteVec;
use strongroom_types::{
    ClusterId, DrawCommitment, DrawId, DrawShare, ItemId, NodeId, PrincipalId, ProfileName, Reason, Refusal, Role,
    UnitId, UnixMillis, limits,
    rows::{RowError, Rows, encode},
};

use crate::{
    Act, Answer, Fact, Value,
    access::{Stop, role_refused, whole_agency, within_unit},
    apply::Decision,
    clock,
    draw::row::{DrawRow, DrawState, InspectedBy, SeedSource, TargetRow, VoterRow},
    hold::{self, HoldQuery},
    item::sealed,
    keeping::check_given,
    profile::{Inspection, Source},
    tables::{
        DRAW_POPULATION, DRAWS, DRAWS_OPEN, INSPECTED, ITEMS, ITEMS_BY_UNIT, PrincipalRow, TARGETS, UNITS, newest_first,
    },
    upload::{check_text, newest_profile},
};

const COMMIT_DOMAIN: &[u8] = b"strongroom draw commit 1\n";
/// Ids in one row of a draw's population: 64 KiB.
const PAGE_ITEMS: usize = 4096;
/// Earlier draws that a new one is compared with.
const COMPARED_MAX: usize = limits::PAGE_ROWS_MAX;

/// Records a draw.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RecordDraw {
    /// What is inspected; its period is named.
    #[n(0)]
    pub query: HoldQuery,
    /// How much of it, in percent; none where the profile says how much.
    #[n(1)]
    pub ratio_percent: Option<u32>,
    /// Why; a repetition gives a reason.
    #[n(2)]
    pub reason: String,
    /// The voters. Filled in by the composition above: what a proposer wrote here is not looked at.
    #[n(3)]
    pub voters: Vec<NodeId>,
}

/// A voter commits to its share. Proposed by its node.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct CommitDraw {
    /// The draw.
    #[n(0)]
    pub draw: DrawId,
    /// To what ([`sample::commitment`]).
    #[n(1)]
    pub commitment: DrawCommitment,
    /// Ed25519 of the node over [`commit_message`].
    #[n(2)]
    pub signature: ByteVec,
    /// The node's registered key. Filled in, and the signature verified, by the composition above.
    #[n(3)]
    pub vkey: String,
}

/// A voter reveals its share. Proposed by its node.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RevealDraw {
    /// The draw.
    #[n(0)]
    pub draw: DrawId,
    /// The share.
    #[n(1)]
    pub share: DrawShare,
}

/// Records that items are inspected because somebody named them: no draw, and so marked.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct TargetInspection {
    /// The items.
    #[n(0)]
    pub items: Vec<ItemId>,
    /// The complaint that names them, by its number.
    #[n(1)]
    pub complaint: String,
    /// Why it is looked into.
    #[n(2)]
    pub reason: String,
}

/// What a draw would select from, and by which rule.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Profile that governs the items.
    pub profile: ProfileName,
    /// Its section on inspection.
    pub inspection: Inspection,
    /// In which role the inspector draws.
    pub role: Role,
    /// How much is drawn, in percent.
    pub ratio_percent: u32,
    /// The items, sorted.
    pub items: Vec<ItemId>,
    /// How many are drawn.
    pub sample: usize,
    /// The newest earlier draw of the same items or by the same query.
    pub repeats: Option<DrawRow>,
}

/// What a voter signs when it commits.
#[must_use]
pub fn commit_message(cluster: ClusterId, node: NodeId, commit: &CommitDraw) -> Vec<u8> {
    [COMMIT_DOMAIN, &encode(&(cluster, node, commit.draw.0, commit.commitment))].concat()
}

/// The draw of this number.
///
/// # Errors
/// [`Stop`] with `NOT_FOUND`.
pub fn read(rows: &(impl Rows + ?Sized), id: DrawId) -> Result<DrawRow, Stop> {
    DRAWS.read(rows, &newest_first(id.0))?.ok_or_else(|| Refusal::not_found(format!("draw {id}")).into())
}

/// The items that a draw selects from, sorted.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn population(rows: &(impl Rows + ?Sized), id: DrawId) -> Result<Vec<ItemId>, RowError> {
    let corrupt = || RowError::Corrupt { table: DRAW_POPULATION.name, detail: format!("the items of {id} are broken") };
    let (mut items, mut after) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let pages = DRAW_POPULATION.scan(rows, &id, after.as_deref(), 8)?;
        let Some((last, _)) = pages.last() else { return Ok(items) };
        after = Some(last.clone());
        for (_, page) in pages {
            let (ids, rest) = page.as_chunks::<16>();
            if !rest.is_empty() {
                return Err(corrupt());
            }
            items.extend(ids.iter().map(|id| ItemId::new(*id)));
        }
    }
}

/// What a completed draw selected, in the order of the ranks; nothing while it is not completed.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn drawn(rows: &(impl Rows + ?Sized), row: &DrawRow) -> Result<Vec<ItemId>, RowError> {
    let DrawState::Completed(seed, _) = row.state else { return Ok(Vec::new()) };
    let size = usize::try_from(row.sample).unwrap_or(usize::MAX);
    Ok(sample::select(seed, &population(rows, row.id)?, size))
}

/// Draws that may still be drawn.
///
/// # Errors
/// [`RowError`] where a row cannot be read.
pub fn open(rows: &(impl Rows + ?Sized)) -> Result<Vec<DrawRow>, RowError> {
    let listed = DRAWS_OPEN.scan(rows, &(), None, limits::DRAWS_OPEN_MAX)?;
    listed.into_iter().map(|(_, id)| known(rows, id)).collect()
}

/// Whether this inspector drew this item, or a complaint that they look into names it.
///
/// # Errors
/// [`RowError`] where the row cannot be read.
pub fn covers(rows: &(impl Rows + ?Sized), inspector: &PrincipalId, item: ItemId) -> Result<bool, RowError> {
    Ok(INSPECTED.read(rows, &(inspector.clone(), item))?.is_some())
}

/// Refuses a draw or a targeted inspection of this unit, or of the whole agency, to somebody of another.
///
/// # Errors
/// `OUTSIDE_UNIT`.
pub fn reaches(who: &PrincipalRow, unit: Option<&UnitId>) -> Result<(), Refusal> {
    match unit {
        Some(unit) => within_unit(who, unit),
        None => whole_agency(who),
    }
}

/// What a draw by `who` would select from. A draw is planned the same way when it is recorded.
///
/// # Errors
/// [`Stop`] with the first thing against it.
pub fn plan(
    rows: &(impl Rows + ?Sized),
    who: &PrincipalRow,
    query: &HoldQuery,
    ratio_percent: Option<u32>,
) -> Result<Plan, Stop> {
    hold::check_query(who, query)?;
    if query.from.is_none() || query.to.is_none() {
        return Err(Refusal::new(
            Reason::FieldMissing,
            "C7",
            "a draw names its period",
            "say from when until when: `--from 2026-10-01 --to 2026-11-01`",
        )
        .into());
    }
    let (items, profiles) = matching(rows, query)?;
    let profile = only(profiles)?;
    let inspection = inspection_of(rows, &profile)?;
    let role = role_of(who, &inspection, "draw samples")?;
    let ratio_percent = ratio(&profile, &inspection, ratio_percent)?;
    let sample = sample::size(items.len(), ratio_percent);
    if sample > limits::DRAW_SAMPLE_MAX {
        let max = limits::DRAW_SAMPLE_MAX;
        return Err(Refusal::new(
            Reason::InvalidArgument,
            "C7",
            format!("{ratio_percent} % of {} items are {sample}, and a draw selects at most {max}", items.len()),
            "draw for each unit, or for shorter periods: `--unit`, `--from`, `--to`",
        )
        .into());
    }
    let repeats = earlier(rows, query, &items)?;
    Ok(Plan { profile, inspection, role, ratio_percent, items, sample, repeats })
}

/// Records a draw. Its seed is of the future: nobody knows it, whoever proposed this entry and whoever voted for it.
pub(crate) fn record(decision: &mut Decision<'_>, command: &RecordDraw) -> Result<Answer, Stop> {
    let inspector = decision.authorize(Act::DrawRecord)?;
    check_text("the reason", &command.reason)?;
    let plan = plan(&*decision.rows, &inspector, &command.query, command.ratio_percent)?;
    check_repetition(&plan, command)?;
    let open = DRAWS_OPEN.scan(decision.rows, &(), None, limits::DRAWS_OPEN_MAX)?.len();
    if open >= limits::DRAWS_OPEN_MAX {
        let message = format!("{open} draws are under way, as many as may");
        return Err(Refusal::new(Reason::Overloaded, "C7", message, "try again when one of them is drawn").into());
    }
    let voters: BTreeSet<NodeId> = command.voters.iter().copied().collect();
    if voters.is_empty() {
        return Err(Refusal::invalid("the cluster names no voter, so nobody could make a seed").into());
    }
    let newest = DRAWS.scan(decision.rows, &(), None, 1)?;
    let id = DrawId(newest.first().map_or(1, |(_, row)| row.id.0 + 1));
    let until = clock::read(decision.rows)?.t.plus_ms(limits::DRAW_COMMIT_MS);
    let population = sample::population(&plan.items);
    let mut facts = BTreeMap::from([
        (Fact::Draw, id.into()),
        (Fact::Query, hold::told(&command.query).into()),
        (Fact::Profile, plan.profile.as_str().into()),
        (Fact::Role, plan.role.name().into()),
        (Fact::RatioPercent, u64::from(plan.ratio_percent).into()),
        (Fact::Count, (plan.items.len() as u64).into()),
        (Fact::Population, population.as_bytes().as_slice().into()),
        (Fact::SampleCount, (plan.sample as u64).into()),
        (Fact::Voters, named(voters.iter().copied()).into()),
        (Fact::Until, until.into()),
        (Fact::Cluster, decision.cluster()?.cluster.as_bytes().as_slice().into()),
    ]);
    if let Some(repeats) = &plan.repeats {
        facts.insert(Fact::Repeats, repeats.id.into());
        facts.insert(Fact::Before, repeats.state.name().into());
    }
    if !command.reason.is_empty() {
        facts.insert(Fact::ReasonGiven, command.reason.as_str().into());
    }
    let rule = plan.inspection.source.rule.clone();
    let seq = decision.record(Act::DrawRecord, &rule, Vec::new(), facts);
    let row = DrawRow {
        id,
        inspector: inspector.id,
        role: plan.role,
        query: command.query.clone(),
        ratio_percent: plan.ratio_percent,
        profile: plan.profile,
        rule,
        items: plan.items.len() as u64,
        population,
        sample: plan.sample as u64,
        repeats: plan.repeats.map(|row| row.id),
        reason: command.reason.clone(),
        recorded_at: decision.wall,
        seq,
        digest: sample::digest(&decision.newest_record()),
        source: SeedSource::Voters(voters.into_iter().map(voter).collect()),
        state: DrawState::Committing(until),
        steps: Vec::new(),
    };
    for (page, items) in (0_u64..).zip(plan.items.chunks(PAGE_ITEMS)) {
        let bytes: Vec<u8> = items.iter().flat_map(|item| *item.as_bytes()).collect();
        DRAW_POPULATION.write(decision.rows, &(id, page), &bytes.into());
    }
    DRAWS_OPEN.write(decision.rows, &id, &id);
    write(decision, &row);
    Ok(Answer::Draw(Box::new(row)))
}

/// Takes a voter's commitment. Said again it is answered again; another is refused.
pub(crate) fn commit(decision: &mut Decision<'_>, command: &CommitDraw) -> Result<Answer, Stop> {
    let node = decision.node()?;
    let mut row = read(&*decision.rows, command.draw)?;
    match voter_of(&row, node)?.committed {
        Some((given, _)) if given == command.commitment => return Ok(Answer::Draw(Box::new(row))),
        Some(_) => {
            return Err(Refusal::new(
                Reason::AlreadyExists,
                "C7",
                format!("{node} has committed to another share of {}, and a commitment stands", row.id),
                "reveal what was committed to",
            )
            .into());
        }
        None => {}
    }
    if !matches!(row.state, DrawState::Committing(_)) {
        return Err(wrong_state(&row, "commitments are closed", "take part in the next draw").into());
    }
    let facts = BTreeMap::from([
        (Fact::Draw, Value::from(row.id)),
        (Fact::Node, node.to_string().into()),
        (Fact::Commitment, command.commitment.as_bytes().as_slice().into()),
        (Fact::Cluster, decision.cluster()?.cluster.as_bytes().as_slice().into()),
        (Fact::Signature, command.signature.as_slice().into()),
        (Fact::SignerKey, command.vkey.as_str().into()),
    ]);
    let seq = decision.record(Act::DrawCommit, "C7", Vec::new(), facts);
    row.voter_mut(node).expect("it is a voter of this draw").committed = Some((command.commitment, seq));
    advance(decision, &mut row)?;
    write(decision, &row);
    Ok(Answer::Draw(Box::new(row)))
}

/// Takes a voter's share, when commitments stand and it is what was committed to.
pub(crate) fn reveal(decision: &mut Decision<'_>, command: &RevealDraw) -> Result<Answer, Stop> {
    let node = decision.node()?;
    let mut row = read(&*decision.rows, command.draw)?;
    let voter = voter_of(&row, node)?;
    if voter.revealed.is_some_and(|(given, _)| given == command.share) {
        return Ok(Answer::Draw(Box::new(row)));
    }
    if let DrawState::Committing(_) = row.state {
        let remedy = "reveal when commitments stand: whoever commits later must not know it";
        return Err(wrong_state(&row, "commitments do not stand yet", remedy).into());
    }
    let Some((committed, _)) = voter.committed else {
        return Err(wrong_state(&row, &format!("{node} has committed to nothing"), "take part in the next draw").into());
    };
    if sample::commitment(row.digest, node, command.share) != committed {
        return Err(Refusal::new(
            Reason::DigestMismatch,
            "C7",
            format!("what {node} reveals of {} is not what it committed to", row.id),
            "reveal what was committed to, or the draw will be void in this voter's name",
        )
        .into());
    }
    if row.state.reveals_after().is_none() {
        return Err(wrong_state(&row, "nothing is revealed any more", "take part in the next draw").into());
    }
    let facts = BTreeMap::from([
        (Fact::Draw, Value::from(row.id)),
        (Fact::Node, node.to_string().into()),
        (Fact::Share, command.share.as_bytes().as_slice().into()),
    ]);
    let seq = decision.record(Act::DrawReveal, "C7", Vec::new(), facts);
    row.voter_mut(node).expect("it is a voter of this draw").revealed = Some((command.share, seq));
    advance(decision, &mut row)?;
    write(decision, &row);
    Ok(Answer::Draw(Box::new(row)))
}

/// What a tick of the compliance clock means for draws that are under way.
pub(crate) fn pass(decision: &mut Decision<'_>) -> Result<(), Stop> {
    for mut row in open(&*decision.rows)? {
        if advance(decision, &mut row)? {
            write(decision, &row);
        }
    }
    Ok(())
}

/// Records a targeted inspection: what a complaint names is chosen, not drawn, and never counts as a sample.
pub(crate) fn target(decision: &mut Decision<'_>, command: &TargetInspection) -> Result<Answer, Stop> {
    let inspector = decision.authorize(Act::InspectionTarget)?;
    check_text("the complaint", &command.complaint)?;
    check_given("the reason", &command.reason, "C5")?;
    let (items, max) = (command.items.iter().collect::<BTreeSet<_>>(), limits::TARGET_ITEMS_MAX);
    if items.is_empty() || items.len() != command.items.len() || items.len() > max {
        return Err(Refusal::invalid(format!("a targeted inspection names 1 to {max} items, each once")).into());
    }
    let mut rules = BTreeSet::new();
    for item in &command.items {
        let sealed = sealed(&*decision.rows, *item)?;
        within_unit(&inspector, &sealed.description.unit)?;
        let inspection = inspection_of(&*decision.rows, &sealed.retention.profile)?;
        let (_, rule) = role_in(&inspector, &inspection, "inspect what a complaint names")?;
        // Heads of units look into their own unit without any complaint; everybody else has one that names the items.
        if rule == inspection.source.rule {
            check_given("the complaint", &command.complaint, "C5")?;
        }
        rules.insert(rule);
    }
    let facts = BTreeMap::from([
        (Fact::Complaint, Value::from(command.complaint.as_str())),
        (Fact::ReasonGiven, command.reason.as_str().into()),
        (Fact::Way, "targeted".into()),
    ]);
    let rule = rules.into_iter().collect::<Vec<_>>().join(" ");
    let seq = decision.record(Act::InspectionTarget, &rule, command.items.clone(), facts);
    for item in &command.items {
        INSPECTED.write(decision.rows, &(inspector.id.clone(), *item), &InspectedBy::Target(seq));
    }
    let row = TargetRow {
        inspector: inspector.id,
        unit: inspector.unit,
        items: command.items.clone(),
        complaint: command.complaint.clone(),
        reason: command.reason.clone(),
        recorded_at: decision.wall,
        seq,
    };
    TARGETS.write(decision.rows, &newest_first(seq.0), &row);
    Ok(Answer::Recorded(seq))
}

/// Takes a draw as far as what was given and the time let it go. Says whether it went.
fn advance(decision: &mut Decision<'_>, row: &mut DrawRow) -> Result<bool, Stop> {
    let t = clock::read(decision.rows)?.t;
    let missing = row.missing();
    let committed = row.voters().iter().filter(|voter| voter.committed.is_some()).count();
    match row.state {
        DrawState::Committing(until) if missing.is_empty() || (t >= until && committed * 2 > row.voters().len()) => {
            let until = t.plus_ms(limits::DRAW_REVEAL_MS);
            row.state = DrawState::Revealing(decision.next_seq(), until);
            step(decision, row, &missing, Some(until));
        }
        // A minority alone could all be of one mind.
        DrawState::Committing(until) if t >= until => end_void(decision, row, missing),
        DrawState::Revealing(..) | DrawState::Overdue(..) if missing.is_empty() => complete(decision, row)?,
        DrawState::Revealing(closed, until) if t >= until => {
            let until = t.plus_ms(limits::DRAW_OVERDUE_MS);
            row.state = DrawState::Overdue(closed, until);
            step(decision, row, &missing, Some(until));
        }
        DrawState::Overdue(_, until) if t >= until => end_void(decision, row, missing),
        DrawState::Committing(_)
        | DrawState::Revealing(..)
        | DrawState::Overdue(..)
        | DrawState::Completed(..)
        | DrawState::Void(..) => return Ok(false),
    }
    Ok(true)
}

fn complete(decision: &mut Decision<'_>, row: &mut DrawRow) -> Result<(), Stop> {
    let seed = sample::seed(row.digest, &row.shares());
    let seq = decision.next_seq();
    row.state = DrawState::Completed(seed, seq);
    let drawn = drawn(&*decision.rows, row)?;
    for item in &drawn {
        INSPECTED.write(decision.rows, &(row.inspector.clone(), *item), &InspectedBy::Draw(row.id));
    }
    DRAWS_OPEN.remove(decision.rows, &row.id);
    row.steps.push(seq);
    let facts = BTreeMap::from([
        (Fact::Draw, Value::from(row.id)),
        (Fact::State, row.state.name().into()),
        (Fact::Seed, seed.as_bytes().as_slice().into()),
        (Fact::SampleCount, row.sample.into()),
        (Fact::Principal, row.inspector.as_str().into()),
    ]);
    decision.record(Act::DrawAdvance, &row.rule, drawn, facts);
    Ok(())
}

fn end_void(decision: &mut Decision<'_>, row: &mut DrawRow, missing: Vec<NodeId>) {
    row.state = DrawState::Void(missing.clone(), decision.next_seq());
    DRAWS_OPEN.remove(decision.rows, &row.id);
    step(decision, row, &missing, None);
}

/// The record of what a draw came to, in the name of the voters that are missing.
fn step(decision: &mut Decision<'_>, row: &mut DrawRow, missing: &[NodeId], until: Option<UnixMillis>) {
    let mut facts = BTreeMap::from([(Fact::Draw, Value::from(row.id)), (Fact::State, row.state.name().into())]);
    if !missing.is_empty() {
        facts.insert(Fact::Missing, named(missing.iter().copied()).into());
    }
    if let Some(until) = until {
        facts.insert(Fact::Until, until.into());
    }
    row.steps.push(decision.record(Act::DrawAdvance, "C7", Vec::new(), facts));
}

/// Items that a query covers, sorted, and the profiles that they were sealed under.
///
/// An item that was sealed before the period begins was not recorded in it, whatever its device says: so a unit's items,
/// newest first, are looked at only back to there.
fn matching(
    rows: &(impl Rows + ?Sized),
    query: &HoldQuery,
) -> Result<(Vec<ItemId>, BTreeMap<ProfileName, UnitId>), Stop> {
    let from = query.from.unwrap_or_default();
    let (mut items, mut profiles, mut looked) = (Vec::new(), BTreeMap::new(), 0);
    for unit in units(rows, query)? {
        let mut after = None::<Vec<u8>>;
        'unit: loop {
            let page = ITEMS_BY_UNIT.scan(rows, &unit, after.as_deref(), limits::PAGE_ROWS_MAX)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (_, id) in page {
                let Some(item) = ITEMS.read(rows, &id)? else { continue };
                // Two seals can be out of order by as much as a proposer's clock may be ahead.
                if item.sealed_at.plus_ms(clock::WALL_AHEAD_MS_MAX) < from {
                    break 'unit;
                }
                looked += 1;
                if looked > limits::DRAW_LOOKED_MAX || items.len() > limits::DRAW_ITEMS_MAX {
                    return Err(too_many(items.len()).into());
                }
                if item.sealed_at >= from && query.covers(&item) {
                    profiles.entry(item.retention.profile).or_insert_with(|| unit.clone());
                    items.push(id);
                }
            }
        }
    }
    if items.len() > limits::DRAW_ITEMS_MAX {
        return Err(too_many(items.len()).into());
    }
    items.sort_unstable();
    Ok((items, profiles))
}

fn units(rows: &(impl Rows + ?Sized), query: &HoldQuery) -> Result<Vec<UnitId>, Stop> {
    if let Some(unit) = &query.unit {
        return match UNITS.read(rows, unit)? {
            Some(_) => Ok(vec![unit.clone()]),
            None => Err(Refusal::not_found(format!("unit {unit}")).into()),
        };
    }
    let (mut units, mut after) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let page = UNITS.scan(rows, &(), after.as_deref(), limits::PAGE_ROWS_MAX)?;
        let Some((last, _)) = page.last() else { return Ok(units) };
        after = Some(last.clone());
        units.extend(page.into_iter().map(|(_, unit)| unit.id));
    }
}

fn too_many(found: usize) -> Refusal {
    let (items, looked) = (limits::DRAW_ITEMS_MAX, limits::DRAW_LOOKED_MAX);
    Refusal::new(
        Reason::InvalidArgument,
        "C7",
        format!(
            "a draw looks at most at {looked} items and selects from at most {items}; {found} were found until then"
        ),
        "draw for each unit, or for shorter periods: `--unit`, `--from`, `--to`",
    )
}

/// The one profile that governs what is drawn from.
fn only(profiles: BTreeMap<ProfileName, UnitId>) -> Result<ProfileName, Refusal> {
    let mut each = profiles.iter();
    match (each.next(), each.next()) {
        (None, _) => Err(Refusal::new(
            Reason::NotFound,
            "C7",
            "no item was recorded or sealed in this period that meets the conditions",
            "name a wider period or fewer conditions; `--dry-run` counts",
        )),
        (Some((profile, _)), None) => Ok(profile.clone()),
        (Some((one, unit)), Some((other, _))) => Err(Refusal::new(
            Reason::InvalidArgument,
            "C7",
            format!("these items are under profiles {one} and {other}, and a draw follows one regulation"),
            format!("draw for each unit: `--unit {unit}`"),
        )),
    }
}

pub(crate) fn inspection_of(rows: &(impl Rows + ?Sized), profile: &ProfileName) -> Result<Inspection, Stop> {
    let (_, row) = newest_profile(rows, profile)?;
    if let Some(inspection) = row.profile.inspection {
        return Ok(inspection);
    }
    let open = row.profile.open.get("inspection");
    let rule = open.map(|source| source.rule.as_str()).filter(|rule| !rule.is_empty()).unwrap_or("C7");
    Err(Refusal::new(
        Reason::ActUnspecified,
        rule,
        format!("profile {profile} says of nobody that they inspect{}", open.map(words).unwrap_or_default()),
        "the agency must name who inspects in its profile, under [inspection]",
    )
    .into())
}

fn role_of(who: &PrincipalRow, inspection: &Inspection, what: &str) -> Result<Role, Refusal> {
    let inspects = who.roles.iter().copied().find(|role| inspection.by.contains(role));
    inspects.ok_or_else(|| {
        let what = format!("{what}{}", words(&inspection.source));
        role_refused(who, &what, &inspection.by, &inspection.source.rule)
    })
}

/// In which role somebody inspects, and by which rule: as the offices of the text do, or as the head of their own unit where
/// the text has heads look into it.
pub(crate) fn role_in(who: &PrincipalRow, inspection: &Inspection, what: &str) -> Result<(Role, String), Refusal> {
    let daily = inspection.daily.as_ref().filter(|_| who.unit.is_some());
    let head = daily.and_then(|daily| Some((*who.roles.iter().find(|role| daily.by.contains(role))?, daily)));
    match (role_of(who, inspection, what), head) {
        (Ok(role), _) => Ok((role, inspection.source.rule.clone())),
        (Err(_), Some((role, daily))) => Ok((role, daily.source.rule.clone())),
        (Err(refusal), None) => Err(refusal),
    }
}

/// How much is drawn: what the text says, or what the inspector says where it leaves that open.
fn ratio(profile: &ProfileName, inspection: &Inspection, stated: Option<u32>) -> Result<u32, Refusal> {
    let rule = inspection.source.rule.as_str();
    match (inspection.ratio_percent, stated) {
        (Some(text), None) => Ok(text),
        (Some(text), Some(stated)) if text == stated => Ok(text),
        (Some(text), Some(stated)) => Err(Refusal::new(
            Reason::InvalidArgument,
            rule,
            format!("profile {profile} draws {text} %, not {stated} %{}", words(&inspection.source)),
            "leave the ratio away",
        )),
        (None, Some(stated)) if (1..=100).contains(&stated) => Ok(stated),
        (None, Some(_)) => Err(Refusal::invalid("a ratio is 1 to 100 percent")),
        (None, None) => Err(Refusal::new(
            Reason::FieldMissing,
            rule,
            format!("profile {profile} names no ratio, so each draw says its own{}", words(&inspection.source)),
            "say how much: `--ratio 10`",
        )),
    }
}

fn words(source: &Source) -> String {
    if source.article.is_empty() { String::new() } else { format!("; the text: {}", source.article) }
}

/// The newest earlier draw of the same items, or by the same query.
fn earlier(rows: &(impl Rows + ?Sized), query: &HoldQuery, items: &[ItemId]) -> Result<Option<DrawRow>, RowError> {
    let population = sample::population(items);
    let rows = DRAWS.scan(rows, &(), None, COMPARED_MAX)?;
    let same = |row: &DrawRow| row.population == population || row.query == *query;
    Ok(rows.into_iter().map(|(_, row)| row).find(same))
}

fn check_repetition(plan: &Plan, command: &RecordDraw) -> Result<(), Refusal> {
    let Some(earlier) = &plan.repeats else { return Ok(()) };
    if earlier.state.is_open() {
        let remedy = format!("wait until it is drawn or void: `strongroom draw show {}`", earlier.id);
        return Err(wrong_state(earlier, "it selects from the same items", &remedy));
    }
    if command.reason.trim().is_empty() {
        return Err(Refusal::new(
            Reason::FieldMissing,
            "C7",
            format!(
                "{} ({}) selected from the same items, and a repetition gives a reason",
                earlier.id,
                earlier.state.name()
            ),
            "say why it is drawn again: `--reason`; the record will name the earlier draw",
        ));
    }
    Ok(())
}

fn voter_of(row: &DrawRow, node: NodeId) -> Result<VoterRow, Refusal> {
    row.voters().iter().find(|voter| voter.node == node).cloned().ok_or_else(|| {
        Refusal::new(
            Reason::RoleNotAllowed,
            "C7",
            format!("{node} was no voter when {} was recorded", row.id),
            format!("its voters can: {}", named(row.voters().iter().map(|voter| voter.node))),
        )
    })
}

fn wrong_state(row: &DrawRow, why: &str, remedy: &str) -> Refusal {
    Refusal::new(Reason::WrongState, "C7", format!("{} is {}: {why}", row.id, row.state.name()), remedy)
}

const fn voter(node: NodeId) -> VoterRow {
    VoterRow { node, committed: None, revealed: None }
}

fn named(nodes: impl Iterator<Item = NodeId>) -> String {
    nodes.map(|node| node.to_string()).collect::<Vec<_>>().join(" ")
}

fn write(decision: &mut Decision<'_>, row: &DrawRow) {
    DRAWS.write(decision.rows, &newest_first(row.id.0), row);
}

fn known(rows: &(impl Rows + ?Sized), id: DrawId) -> Result<DrawRow, RowError> {
    DRAWS
        .read(rows, &newest_first(id.0))?
        .ok_or_else(|| RowError::Corrupt { table: DRAWS.name, detail: format!("draw {id} is listed but is not there") })
}
