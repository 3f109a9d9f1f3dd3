//! The rules of keeping once more, as plainly as they can be said: what the rows, indexes and lookups of the product are
//! compared with. It knows nothing of how they are stored.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_types::{UnixMillis, limits};

/// Somebody's statement, and when the correction that takes it back is in force; it may be withdrawn until then.
#[derive(Clone, Debug)]
pub(crate) struct Said<T> {
    pub(crate) what: T,
    pub(crate) void_from: Option<UnixMillis>,
}

impl<T> Said<T> {
    pub(crate) const fn new(what: T) -> Self {
        Self { what, void_from: None }
    }

    fn stands(&self, t: UnixMillis) -> bool {
        self.void_from.is_none_or(|from| t < from)
    }
}

/// An archived file: when its term ends; none where it is permanent. And what a correction puts in its place.
#[derive(Clone, Debug)]
pub(crate) struct Archived {
    pub(crate) end: Option<UnixMillis>,
    pub(crate) corrected: Option<(UnixMillis, Option<UnixMillis>)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) archived: bool,
    pub(crate) archives: Vec<Archived>,
}

#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) unit: &'static str,
    /// End of the floor; none where the profile names none.
    pub(crate) floor: Option<UnixMillis>,
    pub(crate) extensions: Vec<Said<UnixMillis>>,
    pub(crate) triggers: Vec<Said<()>>,
    /// The binding that counts now, by case. What was bound once stays in a hold on the case.
    pub(crate) bound: BTreeMap<u8, Said<()>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Hold {
    pub(crate) items: BTreeSet<u8>,
    pub(crate) cases: BTreeSet<u8>,
    pub(crate) units: BTreeSet<&'static str>,
    pub(crate) released: bool,
    /// Office that asked for its release, and when.
    pub(crate) asked: Option<(&'static str, UnixMillis)>,
}

/// What is kept, and by what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) items: BTreeMap<u8, Item>,
    pub(crate) cases: BTreeMap<u8, Case>,
    pub(crate) holds: BTreeMap<u8, Hold>,
}

impl Model {
    /// Whether nothing that stands at `t` keeps an item longer than `at`.
    pub(crate) fn may_be_disposed_of_at(&self, number: u8, t: UnixMillis, at: UnixMillis) -> bool {
        let item = &self.items[&number];
        let held = self.holds.values().filter(|hold| !hold.released).any(|hold| {
            hold.items.contains(&number)
                || hold.units.contains(item.unit)
                || item.bound.keys().any(|case| hold.cases.contains(case))
        });
        let over = |end: Option<UnixMillis>| end.is_some_and(|end| end <= at);
        let case_over = |case: &Case| {
            case.archived
                && case.archives.iter().all(|archived| match archived.corrected {
                    Some((from, right)) if from <= t => over(right),
                    Some(_) | None => over(archived.end),
                })
        };
        !held
            && over(item.floor)
            && item.extensions.iter().filter(|said| said.stands(t)).all(|said| over(Some(said.what)))
            && !item.triggers.iter().any(|said| said.stands(t))
            && item.bound.iter().filter(|(_, said)| said.stands(t)).all(|(case, _)| case_over(&self.cases[case]))
    }

    /// Whether an office's step ends a hold: it does where the other office asked in the last thirty days.
    pub(crate) fn step_of_release(&mut self, hold: u8, office: &'static str, now: UnixMillis) {
        let row = self.holds.get_mut(&hold).expect("a hold");
        match row.asked {
            Some((first, at)) if now.since_ms(at) < limits::SECOND_STEP_MS => row.released = first != office,
            Some(_) | None => row.asked = Some((office, now)),
        }
    }
}
