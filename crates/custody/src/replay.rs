//! Makes what decides retention anew, from records alone: an auditor's way to see that the state is what was recorded.
//!
//! Written apart from the rules on purpose. Those decide; this only follows what was decided, so that a row that
//! changed without its record, or a record that changed, comes out as a difference at the next digest or row.

use strongroom_types::{
    BatchId, CaseId, CorrectionId, HoldId, ItemId, PrincipalId, ProfileName, Reason, RecordSeq, UnixMillis, limits,
    rows::{Key, MemoryRows, RowError, Rows, Table, TableId, encode},
};

use crate::{
    Act, Fact, Record, Value,
    case::{Archive, ArchiveRow, BindingRow, CaseState, Outcome, Term},
    correction::Mistake,
    digest::Sum,
    floors::VersionRow,
    keeping::{Class, ClassRow, ExtensionRow, KeepingRow, RestrictionKind, RestrictionRow, TriggerRow},
    removal,
    retained::{
        self, CASE_ITEMS, CASE_TRANSFERS, CASES, CASES_BY_ITEM, CORRECTIONS, DISPOSAL_BY_ITEM, DISPOSAL_ITEMS,
        DISPOSALS, HOLDS, HOLDS_BY_CASE, HOLDS_BY_ITEM, ITEMS, KEEPING, KeptBatch, KeptCase, KeptCorrection, KeptFate,
        KeptHold, KeptHoldState, KeptItem, KeptLabel, KeptProfile, KeptTombstone, KeptTransfer, KeptUnit,
        PROFILE_VERSIONS, PROFILES, QUERY_HOLDS, TOMBSTONES, UNITS,
    },
    tables::{Retention, newest_first},
    unit::UnitEnd,
};

/// Rows as the records so far give them.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    rows: MemoryRows,
    sum: Sum,
    /// The batch that was executed last, and how many records of items that dropped out of it are still to come.
    dropping: Option<(BatchId, u64)>,
}

/// A recorded digest beside what the records before it give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The record.
    pub seq: RecordSeq,
    /// Its compliance time.
    pub t: UnixMillis,
    /// The digest that it says.
    pub recorded: [u8; 32],
    /// The number of rows that it says.
    pub recorded_rows: u64,
    /// The digest of the rows that the records give.
    pub replayed: [u8; 32],
    /// How many those are.
    pub replayed_rows: u64,
}

impl Compared {
    /// Whether they are the same.
    #[must_use]
    pub fn agrees(&self) -> bool {
        (self.recorded, self.recorded_rows) == (self.replayed, self.replayed_rows)
    }
}

/// A record that cannot be followed.
#[derive(Debug, thiserror::Error)]
#[error("record {seq} ({act}) cannot be followed: {what}", act = .act.name())]
pub struct ReplayError {
    /// The record.
    pub seq: RecordSeq,
    /// Its act.
    pub act: Act,
    /// What is wrong with it.
    pub what: String,
}

/// A row that is not as the records say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowDifference {
    /// Its stored key: the table's number, then the key.
    pub key: Vec<u8>,
    /// What the records say; none where they know no such row.
    pub recorded: Option<Vec<u8>>,
    /// What was found; none where there is no such row.
    pub found: Option<Vec<u8>>,
}

type Step = fn(&mut Replay, &Said<'_>) -> Result<(), String>;

/// What each act that changes a row does to it. Every other act changes none.
const STEPS: &[(Act, Step)] = &[
    (Act::ItemSeal, seal),
    (Act::ItemLabel, label),
    (Act::QuarantineRelease, release_quarantine),
    (Act::ItemExtend, extend),
    (Act::ItemTrigger, trigger),
    (Act::ItemRestrict, restrict),
    (Act::ItemUnrestrict, restrict),
    (Act::ItemClassify, classify),
    (Act::CaseOpen, open_case),
    (Act::CaseBind, bind_case),
    (Act::CaseClose, close_case),
    (Act::CaseArchive, archive_case),
    (Act::CaseReopen, reopen_case),
    (Act::CaseAccept, answer_case),
    (Act::HoldPlace, place_hold),
    (Act::HoldRelease, release_hold),
    (Act::CorrectionPropose, propose_correction),
    (Act::CorrectionApprove, approve_correction),
    (Act::CorrectionWithdraw, withdraw_correction),
    (Act::ProfileActivate, activate_profile),
    (Act::UnitAdd, add_unit),
    (Act::UnitChange, change_unit),
    (Act::DisposalPropose, propose_disposal),
    (Act::DisposalApprove, decide_disposal),
    (Act::DisposalWithdraw, withdraw_disposal),
    (Act::DisposalExecute, execute_disposal),
    (Act::DisposalSign, sign_disposal),
    (Act::SecretPropose, propose_removal),
    (Act::SecretWithdraw, withdraw_removal),
    (Act::SecretExecute, execute_removal),
];

impl Replay {
    /// Follows the next record, which was appended at compliance time `t`. A digest is compared and followed by nothing.
    ///
    /// # Errors
    /// [`ReplayError`] where the record does not say what its act has to say.
    pub fn follow(&mut self, seq: RecordSeq, t: UnixMillis, record: &Record) -> Result<Option<Compared>, ReplayError> {
        let said = Said { seq, t, record };
        let failed = |what| ReplayError { seq, act: record.act, what };
        if let Some(reason) = record.refused {
            self.drop_out(&said, reason).map_err(failed)?;
            return Ok(None);
        }
        if record.act == Act::LedgerDigest {
            return self.compare(&said).map(Some).map_err(failed);
        }
        if let Some((_, step)) = STEPS.iter().find(|(act, _)| *act == record.act) {
            step(self, &said).map_err(failed)?;
        }
        Ok(None)
    }

    /// How many rows there are, and their sum.
    #[must_use]
    pub const fn sum(&self) -> &Sum {
        &self.sum
    }

    /// The first row behind `after` and up to `last` that differs from what was found there; `found` is in order of the
    /// stored keys and complete. No `last` means up to the end.
    #[must_use]
    pub fn first_difference(
        &self,
        after: &[u8],
        last: Option<&[u8]>,
        found: &[(Vec<u8>, Vec<u8>)],
    ) -> Option<RowDifference> {
        let stored = |(table, key, value): (TableId, &[u8], &[u8])| ([&[table.0], key].concat(), value.to_vec());
        let inside = |key: &[u8]| key > after && last.is_none_or(|last| key <= last);
        let mut ours = self.rows.iter().map(stored).filter(|(key, _)| inside(key)).peekable();
        let mut theirs = found.iter().peekable();
        loop {
            let key = match (ours.peek(), theirs.peek()) {
                (None, None) => return None,
                (Some((key, _)), None) => key.clone(),
                (None, Some((key, _))) => key.clone(),
                (Some((ours, _)), Some((theirs, _))) => ours.min(theirs).clone(),
            };
            let recorded = ours.next_if(|(ours, _)| *ours == key).map(|(_, value)| value);
            let found = theirs.next_if(|(theirs, _)| *theirs == key).map(|(_, value)| value.clone());
            if recorded != found {
                return Some(RowDifference { key, recorded, found });
            }
        }
    }

    /// One item of a batch drops out at its execution, which has a record of its own behind that of the execution. A
    /// whole command that is refused changes nothing.
    fn drop_out(&mut self, said: &Said<'_>, reason: Reason) -> Result<(), String> {
        if said.record.act != Act::DisposalExecute {
            return Ok(());
        }
        let Some((batch, left)) = self.dropping else { return Ok(()) };
        self.dropping = left.checked_sub(1).filter(|left| *left > 0).map(|left| (batch, left));
        let item = said.item()?;
        self.remove(&DISPOSAL_BY_ITEM, &item)?;
        self.put(&DISPOSAL_ITEMS, &(batch, item), &KeptFate { fate: reason.name().to_owned() })
    }

    fn compare(&self, said: &Said<'_>) -> Result<Compared, String> {
        Ok(Compared {
            seq: said.seq,
            t: said.t,
            recorded: said.digest(Fact::Digest)?,
            recorded_rows: said.number(Fact::Count)?,
            replayed: self.sum.hash.digest(),
            replayed_rows: self.sum.rows,
        })
    }

    fn put<K: Key, V>(&mut self, table: &Table<K, V>, key: &K, value: &V) -> Result<(), String>
    where
        V: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
    {
        self.change(table.id, &key.to_bytes(), Some(encode(value)))
    }

    fn remove<K: Key, V>(&mut self, table: &Table<K, V>, key: &K) -> Result<(), String> {
        self.change(table.id, &key.to_bytes(), None)
    }

    fn change(&mut self, table: TableId, key: &[u8], new: Option<Vec<u8>>) -> Result<(), String> {
        let old = self.rows.read(table, key).map_err(|error| error.to_string())?;
        self.sum.change(table, key, old.as_deref(), new.as_deref());
        match new {
            Some(new) => self.rows.write(table, key, new),
            None => self.rows.remove(table, key),
        }
        Ok(())
    }

    /// A row that earlier records made.
    fn known<K: Key, V>(&self, table: &Table<K, V>, key: &K, what: impl std::fmt::Display) -> Result<V, String>
    where
        V: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
    {
        self.row(table, key)?.ok_or_else(|| format!("no record before it speaks of {what}"))
    }

    fn row<K: Key, V>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, String>
    where
        V: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
    {
        table.read(&self.rows, key).map_err(|error: RowError| error.to_string())
    }

    fn keeping(&self, item: ItemId) -> Result<KeepingRow, String> {
        Ok(self.row(&KEEPING, &item)?.unwrap_or_default())
    }

    fn case(&self, case: &CaseId) -> Result<KeptCase, String> {
        self.known(&CASES, case, format_args!("case {case}"))
    }

    /// Whether a correction is in force at compliance time `t`.
    fn in_force(&self, id: Option<CorrectionId>, t: UnixMillis) -> Result<bool, String> {
        let Some(id) = id else { return Ok(false) };
        let row = self.row(&CORRECTIONS, &newest_first(id.0))?;
        Ok(row.is_some_and(|row| row.withdrawn.is_none() && row.in_force.is_some_and(|from| from <= t)))
    }

    /// Lets what is mistaken name its correction, or no longer.
    fn mark(&mut self, mistake: &Mistake, id: Option<CorrectionId>) -> Result<(), String> {
        let unset = || "no record before it set what it corrects".to_owned();
        match mistake {
            Mistake::Extension(item, seq) => {
                let mut row = self.keeping(*item)?;
                row.extensions.iter_mut().find(|one| one.seq == *seq).ok_or_else(unset)?.corrected = id;
                self.put(&KEEPING, item, &row)
            }
            Mistake::Trigger(item, seq) => {
                let mut row = self.keeping(*item)?;
                row.triggers.iter_mut().find(|one| one.seq == *seq).ok_or_else(unset)?.corrected = id;
                self.put(&KEEPING, item, &row)
            }
            Mistake::Binding(case, item) => {
                let key = (case.clone(), *item);
                let mut row = self.row(&CASE_ITEMS, &key)?.ok_or_else(unset)?;
                row.corrected = id;
                self.put(&CASE_ITEMS, &key, &row)
            }
            Mistake::Archive(case, seq, _) => {
                let mut row = self.case(case)?;
                row.archives.iter_mut().find(|one| one.seq == *seq).ok_or_else(unset)?.corrected = id;
                self.put(&CASES, case, &row)
            }
            Mistake::Outages(_) => Ok(()),
        }
    }
}

/// A record and where it stands.
struct Said<'a> {
    seq: RecordSeq,
    t: UnixMillis,
    record: &'a Record,
}

impl Said<'_> {
    fn item(&self) -> Result<ItemId, String> {
        match self.record.items.as_slice() {
            [item] => Ok(*item),
            items => Err(format!("it names {} items, and is about one", items.len())),
        }
    }

    fn by(&self) -> Result<PrincipalId, String> {
        self.record.stamp.principal.clone().ok_or_else(|| "it does not say who acted".to_owned())
    }

    fn text(&self, fact: Fact) -> Result<&str, String> {
        self.record.text(fact).ok_or_else(|| missing(fact))
    }

    fn name<T: std::str::FromStr>(&self, fact: Fact) -> Result<T, String> {
        parsed(self.text(fact)?, fact.name())
    }

    /// The names of a list, one a line; none where the fact is not there.
    fn names<T: std::str::FromStr>(&self, fact: Fact) -> Result<Vec<T>, String> {
        self.record.text(fact).into_iter().flat_map(str::lines).map(|line| parsed(line, fact.name())).collect()
    }

    fn number(&self, fact: Fact) -> Result<u64, String> {
        self.record.number(fact).ok_or_else(|| missing(fact))
    }

    fn time(&self, fact: Fact) -> Result<UnixMillis, String> {
        self.record.time(fact).ok_or_else(|| missing(fact))
    }

    fn digest(&self, fact: Fact) -> Result<[u8; 32], String> {
        self.record.bytes(fact).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| missing(fact))
    }

    /// Whether a fact is there and says yes.
    fn flag(&self, fact: Fact) -> bool {
        self.record.facts.get(&fact) == Some(&Value::Flag(true))
    }

    /// The name and version of a profile.
    fn profile(&self) -> Result<(ProfileName, u64), String> {
        versioned(self.text(Fact::Profile)?)
    }

    fn archive(&self) -> Result<Archive, String> {
        Ok(Archive { date: self.time(Fact::ArchiveDate)?, term: term(self.text(Fact::Term)?)? })
    }

    fn correction(&self) -> Result<CorrectionId, String> {
        Ok(CorrectionId(self.number(Fact::Correction)?))
    }
}

fn missing(fact: Fact) -> String {
    format!("it does not say `{}`", fact.name())
}

fn parsed<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no {what}"))
}

fn versioned(text: &str) -> Result<(ProfileName, u64), String> {
    let (name, version) = text.rsplit_once('@').ok_or_else(|| format!("{text:?} names no version of a profile"))?;
    Ok((parsed(name, "profile")?, parsed(version, "version")?))
}

fn term(text: &str) -> Result<Term, String> {
    match text.strip_suffix(" months") {
        Some(months) => Ok(Term::Months(parsed(months, "number of months")?)),
        None if text == Term::Permanent.to_string() => Ok(Term::Permanent),
        None => Err(format!("{text:?} is no term")),
    }
}

fn seal(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let (profile, version) = said.profile()?;
    let first_labels = match said.record.bytes(Fact::LabelsDigest) {
        Some(_) => said.digest(Fact::LabelsDigest)?,
        None => retained::labels_digest(&std::collections::BTreeMap::new()),
    };
    let row = KeptItem {
        retention: Retention {
            start: said.time(Fact::RetentionStart)?,
            profile,
            version,
            floor_until: said.record.time(Fact::FloorUntil),
        },
        seq: said.seq,
        sealed_at: said.time(Fact::SealedAt)?,
        unit: said.name(Fact::Unit)?,
        device: said.name(Fact::Device)?,
        activity: said.record.text(Fact::Activity).map(|text| parsed(text, "activity")).transpose()?,
        recorded_start: said.time(Fact::RecordedStart)?,
        recorded_end: said.time(Fact::RecordedEnd)?,
        first_labels,
        labels: Vec::new(),
        quarantined: said.flag(Fact::Quarantined),
    };
    replay.put(&ITEMS, &said.item()?, &row)
}

fn label(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let item = said.item()?;
    let mut row = replay.known(&ITEMS, &item, format_args!("item {item}"))?;
    let (name, value) = (said.text(Fact::LabelName)?.to_owned(), said.text(Fact::LabelValue)?.to_owned());
    row.labels.push(KeptLabel { seq: said.seq, name, value });
    replay.put(&ITEMS, &item, &row)
}

fn release_quarantine(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    // The first of two steps releases nothing.
    if said.flag(Fact::Quarantined) {
        return Ok(());
    }
    let item = said.item()?;
    let mut row = replay.known(&ITEMS, &item, format_args!("item {item}"))?;
    row.quarantined = false;
    replay.put(&ITEMS, &item, &row)
}

fn extend(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let item = said.item()?;
    let mut row = replay.keeping(item)?;
    row.extensions.push(ExtensionRow {
        until: said.time(Fact::Until)?,
        by: said.by()?,
        reason: said.text(Fact::ReasonGiven)?.to_owned(),
        seq: said.seq,
        corrected: None,
    });
    replay.put(&KEEPING, &item, &row)
}

fn trigger(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let item = said.item()?;
    let mut row = replay.keeping(item)?;
    row.triggers.push(TriggerRow {
        code: said.text(Fact::Trigger)?.to_owned(),
        basis: said.text(Fact::Basis)?.to_owned(),
        by: said.by()?,
        seq: said.seq,
        corrected: None,
    });
    replay.put(&KEEPING, &item, &row)
}

fn restrict(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let item = said.item()?;
    let mut row = replay.keeping(item)?;
    row.restriction = match said.text(Fact::After)? {
        "none" => None,
        name => Some(RestrictionRow {
            kind: RestrictionKind::from_name(name).ok_or_else(|| format!("{name:?} is no restriction"))?,
            reason: said.text(Fact::ReasonGiven)?.to_owned(),
            by: said.by()?,
            seq: said.seq,
        }),
    };
    replay.put(&KEEPING, &item, &row)
}

fn classify(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let item = said.item()?;
    let mut row = replay.keeping(item)?;
    let name = said.text(Fact::After)?;
    row.class = Some(ClassRow {
        class: Class::from_name(name).ok_or_else(|| format!("{name:?} is no class"))?,
        basis: said.text(Fact::Basis)?.to_owned(),
        by: said.by()?,
        seq: said.seq,
    });
    replay.put(&KEEPING, &item, &row)
}

fn open_case(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let row = KeptCase { seq: said.seq, items: 0, state: CaseState::Open(said.seq), archives: Vec::new() };
    replay.put(&CASES, &said.name(Fact::Case)?, &row)
}

fn bind_case(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let case: CaseId = said.name(Fact::Case)?;
    let mut row = replay.case(&case)?;
    for item in &said.record.items {
        let key = (case.clone(), *item);
        let before = replay.row(&CASE_ITEMS, &key)?;
        if let Some(binding) = &before
            && !replay.in_force(binding.corrected, said.t)?
        {
            continue;
        }
        replay.put(&CASE_ITEMS, &key, &BindingRow { by: said.by()?, seq: said.seq, corrected: None })?;
        replay.put(&CASES_BY_ITEM, &(*item, case.clone()), &case)?;
        row.items += u64::from(before.is_none());
    }
    replay.put(&CASES, &case, &row)
}

fn close_case(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let case = said.name(Fact::Case)?;
    let mut row = replay.case(&case)?;
    let name = said.text(Fact::Outcome)?;
    let outcome = Outcome::from_name(name).ok_or_else(|| format!("{name:?} is no outcome"))?;
    row.state = CaseState::Closed(outcome, said.seq);
    replay.put(&CASES, &case, &row)
}

fn archive_case(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let case = said.name(Fact::Case)?;
    let mut row = replay.case(&case)?;
    row.archives.push(ArchiveRow {
        archive: said.archive()?,
        // As `ClockRow::start` has it: no later tick credits time from before.
        entered: said.t.plus_ms(limits::CLOCK_GAP_MS_MAX).max(said.record.wall),
        by: said.by()?,
        seq: said.seq,
        corrected: None,
    });
    row.state = CaseState::Archived;
    replay.put(&CASES, &case, &row)
}

fn reopen_case(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let case = said.name(Fact::Case)?;
    let mut row = replay.case(&case)?;
    row.state = CaseState::Open(said.seq);
    replay.put(&CASES, &case, &row)
}

fn answer_case(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    if said.text(Fact::State)? != "taken" {
        return Ok(());
    }
    let (profile, version) = said.profile()?;
    let row = KeptTransfer { to: said.name(Fact::ToUnit)?, profile, version };
    replay.put(&CASE_TRANSFERS, &(said.name(Fact::Case)?, said.seq), &row)
}

fn place_hold(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let hold: HoldId = said.name(Fact::Hold)?;
    let mut row = match replay.row(&HOLDS, &hold)? {
        Some(row) => row,
        None => KeptHold {
            authority: said.text(Fact::Authority)?.to_owned(),
            seq: said.seq,
            items: 0,
            cases: Vec::new(),
            queries: Vec::new(),
            state: KeptHoldState::Standing,
        },
    };
    for item in &said.record.items {
        let key = (*item, hold.clone());
        row.items += u64::from(replay.row(&HOLDS_BY_ITEM, &key)?.is_none());
        replay.put(&HOLDS_BY_ITEM, &key, &hold)?;
    }
    for case in said.names::<CaseId>(Fact::Case)? {
        if !row.cases.contains(&case) {
            replay.put(&HOLDS_BY_CASE, &(case.clone(), hold.clone()), &hold)?;
            row.cases.push(case);
        }
    }
    for query in said.names::<String>(Fact::Query)? {
        if !row.queries.contains(&query) {
            replay.put(&QUERY_HOLDS, &hold, &hold)?;
            row.queries.push(query);
        }
    }
    replay.put(&HOLDS, &hold, &row)
}

fn release_hold(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let hold = said.name(Fact::Hold)?;
    let mut row = replay.known(&HOLDS, &hold, format_args!("hold {hold}"))?;
    row.state = match (said.text(Fact::State)?, &row.state) {
        ("released", KeptHoldState::Releasing(first)) => KeptHoldState::Released(*first, said.seq),
        ("releasing", KeptHoldState::Standing | KeptHoldState::Releasing(_)) => KeptHoldState::Releasing(said.seq),
        (state, _) => return Err(format!("hold {hold} cannot come to be {state}")),
    };
    if matches!(row.state, KeptHoldState::Released(..)) {
        replay.remove(&QUERY_HOLDS, &hold)?;
    }
    replay.put(&HOLDS, &hold, &row)
}

/// A correction of outages says what the clock is compared with, and nothing of any item.
fn is_about_outages(said: &Said<'_>) -> Result<bool, String> {
    Ok(said.text(Fact::Mistake)? == "outages")
}

fn propose_correction(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    if is_about_outages(said)? {
        return Ok(());
    }
    let id = said.correction()?;
    let corrects = || said.number(Fact::Corrects).map(RecordSeq);
    let mistake = match said.text(Fact::Mistake)? {
        "extension" => Mistake::Extension(said.item()?, corrects()?),
        "trigger" => Mistake::Trigger(said.item()?, corrects()?),
        "binding" => Mistake::Binding(said.name(Fact::Case)?, said.item()?),
        "archive" => Mistake::Archive(said.name(Fact::Case)?, corrects()?, said.archive()?),
        other => return Err(format!("{other:?} is no mistake")),
    };
    replay.mark(&mistake, Some(id))?;
    let row = KeptCorrection { mistake, proposed: said.seq, approved: None, in_force: None, withdrawn: None };
    replay.put(&CORRECTIONS, &newest_first(id.0), &row)
}

fn approve_correction(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    if is_about_outages(said)? {
        return Ok(());
    }
    let key = newest_first(said.correction()?.0);
    let mut row = replay.known(&CORRECTIONS, &key, "this correction")?;
    row.approved = Some(said.seq);
    row.in_force = Some(said.time(Fact::InForce)?);
    replay.put(&CORRECTIONS, &key, &row)
}

fn withdraw_correction(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    if is_about_outages(said)? {
        return Ok(());
    }
    let key = newest_first(said.correction()?.0);
    let mut row = replay.known(&CORRECTIONS, &key, "this correction")?;
    row.withdrawn = Some(said.seq);
    replay.mark(&row.mistake, None)?;
    replay.put(&CORRECTIONS, &key, &row)
}

fn activate_profile(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let (profile, version) = said.profile()?;
    let months = said.record.number(Fact::FloorMonths);
    let floor_months = months.map(u32::try_from).transpose().map_err(|error| error.to_string())?;
    let mut versions = replay.row(&PROFILE_VERSIONS, &profile)?.unwrap_or_default();
    versions.versions.push(VersionRow { version, since: said.t, seq: said.seq, floor_months });
    replay.put(&PROFILE_VERSIONS, &profile, &versions)?;
    let row = KeptProfile { text: said.digest(Fact::Digest)?, seq: said.seq };
    replay.put(&PROFILES, &(profile, version), &row)
}

fn add_unit(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let row = KeptUnit { profile: said.name(Fact::Profile)?, ended: None };
    replay.put(&UNITS, &said.name(Fact::Unit)?, &row)
}

fn change_unit(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let successors = said.names(Fact::Successor)?;
    // A new name decides nothing.
    if successors.is_empty() {
        return Ok(());
    }
    let (profile, version) = said.profile()?;
    let end = UnitEnd { at: said.time(Fact::At)?, successors, seq: said.seq, profile, version };
    for unit in said.names(Fact::Unit)? {
        let mut row = replay.known(&UNITS, &unit, format_args!("unit {unit}"))?;
        row.ended = Some(end.clone());
        replay.put(&UNITS, &unit, &row)?;
    }
    for line in said.record.text(Fact::Divided).into_iter().flat_map(str::lines) {
        let mut parts = line.splitn(3, '\t');
        let (Some(profile), Some(to), Some(case)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(format!("{line:?} is no case that went with a part of a unit"));
        };
        let (profile, version) = versioned(profile)?;
        let row = KeptTransfer { to: parsed(to, "unit")?, profile, version };
        replay.put(&CASE_TRANSFERS, &(parsed(case, "case")?, said.seq), &row)?;
    }
    Ok(())
}

fn propose_disposal(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let batch: BatchId = said.name(Fact::Batch)?;
    for item in &said.record.items {
        replay.put(&DISPOSAL_ITEMS, &(batch, *item), &KeptFate { fate: "listed".to_owned() })?;
        replay.put(&DISPOSAL_BY_ITEM, item, &batch)?;
    }
    let row = KeptBatch {
        seq: said.seq,
        not_before: said.time(Fact::NotBefore)?,
        items: said.record.items.len() as u64,
        state: said.text(Fact::State)?.to_owned(),
        approvals: Vec::new(),
        executed: None,
    };
    replay.put(&DISPOSALS, &newest_first(batch.0), &row)
}

/// An approval, or a supervisor's signature: only the former leaves more than the state.
fn decide_disposal(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let (key, mut row) = batch(replay, said)?;
    row.state = said.text(Fact::State)?.to_owned();
    if said.record.act == Act::DisposalApprove {
        row.approvals.push(said.seq);
    }
    replay.put(&DISPOSALS, &key, &row)
}

fn withdraw_disposal(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    for item in &said.record.items {
        replay.remove(&DISPOSAL_BY_ITEM, item)?;
    }
    decide_disposal(replay, said)
}

fn execute_disposal(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let (key, mut row) = batch(replay, said)?;
    let id: BatchId = said.name(Fact::Batch)?;
    for item in &said.record.items {
        replay.remove(&ITEMS, item)?;
        replay.remove(&DISPOSAL_BY_ITEM, item)?;
        replay.put(&DISPOSAL_ITEMS, &(id, *item), &KeptFate { fate: "disposed".to_owned() })?;
        replay.put(&TOMBSTONES, item, &KeptTombstone { batch: Some(id), seq: said.seq })?;
    }
    row.state = said.text(Fact::State)?.to_owned();
    row.executed = Some(said.seq);
    let dropped = said.number(Fact::Dropped)?;
    replay.dropping = Some((id, dropped)).filter(|_| dropped > 0);
    replay.put(&DISPOSALS, &key, &row)
}

/// Supervisors close batches and removals by the same act; only a batch has a row here.
fn sign_disposal(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    if said.record.text(Fact::Removal).is_some() { Ok(()) } else { decide_disposal(replay, said) }
}

fn propose_removal(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    let number = removal::number(said.name(Fact::Removal)?);
    said.record.items.iter().try_for_each(|item| replay.put(&DISPOSAL_BY_ITEM, item, &number))
}

fn withdraw_removal(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    said.record.items.iter().try_for_each(|item| replay.remove(&DISPOSAL_BY_ITEM, item))
}

fn execute_removal(replay: &mut Replay, said: &Said<'_>) -> Result<(), String> {
    for item in &said.record.items {
        replay.remove(&ITEMS, item)?;
        replay.remove(&DISPOSAL_BY_ITEM, item)?;
        replay.put(&TOMBSTONES, item, &KeptTombstone { batch: None, seq: said.seq })?;
    }
    Ok(())
}

fn batch(replay: &Replay, said: &Said<'_>) -> Result<(u64, KeptBatch), String> {
    let id: BatchId = said.name(Fact::Batch)?;
    let key = newest_first(id.0);
    let row = replay.known(&DISPOSALS, &key, format_args!("batch {id}"))?;
    Ok((key, row))
}
