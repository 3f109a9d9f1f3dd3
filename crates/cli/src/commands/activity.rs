//! `strongroom activity`: what was done, what of it was recorded, and what explains the rest.

mod shown;

use bytes::Bytes;
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use strongroom_client::{ActivityFilter, Client, Page};
use strongroom_custody::{
    activity::{DelayReason, Moment},
    exemption::ConsentOffice,
};
use strongroom_proto::activity;
use strongroom_types::{ActivityId, ItemId, PrincipalId, UnitId, UnixMillis};

use super::device::at;
use crate::failure::Failure;
use crate::session::{Globals, Usual};
use crate::shown::done;

/// What can be done with activities.
#[derive(Debug, Subcommand)]
pub(crate) enum Activity {
    /// Opens an activity; items that a station sent for it are waiting
    Open(Box<Open>),
    /// Adds a phase: `strongroom activity phase A-7 询问 --place 室内 --started 2026-03-01T09:40:00`
    Phase {
        /// The activity
        activity: ActivityId,
        /// The phase
        name: String,
        /// Where
        #[arg(long, default_value = "", value_name = "TEXT")]
        place: String,
        /// When it began
        #[arg(long, value_name = "TIME")]
        started: UnixMillis,
        /// When it ended
        #[arg(long, value_name = "TIME")]
        ended: Option<UnixMillis>,
    },
    /// Says when the activity, its matter or the working day ended; a second time takes a reason
    End {
        /// The activity
        activity: ActivityId,
        /// When; without it, now
        #[arg(long, value_name = "TIME")]
        at: Option<UnixMillis>,
        /// What ended
        #[arg(long, default_value = "activity_ended", value_name = "WHAT", value_parser = PossibleValuesParser::new(
            [Moment::ActivityEnded, Moment::MatterEnded, Moment::WorkDayEnded].map(Moment::name)))]
        what: String,
        /// Why it differs from what was said before
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
    /// Says when the officers returned to their unit, and why export was delayed
    Return {
        /// The activity
        activity: ActivityId,
        /// When; without it, now
        #[arg(long, value_name = "TIME")]
        at: Option<UnixMillis>,
        /// Why export was delayed
        #[arg(long, value_name = "REASON",
            value_parser = PossibleValuesParser::new(DelayReason::ALL.map(DelayReason::name)))]
        delay: Option<String>,
        /// Why it differs from what was said before
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
    /// Corrects what an activity was opened with; both values stay visible
    Correct(Correct),
    /// Gives an item its place in an activity, or takes it out with a reason
    Attach {
        /// The activity
        activity: ActivityId,
        /// The item
        item: ItemId,
        /// Phase, counted from 1
        #[arg(long, value_name = "NUMBER")]
        phase: Option<u32>,
        /// Angle
        #[arg(long, default_value = "", value_name = "NAME")]
        angle: String,
        /// It does not belong here after all: why
        #[arg(long, value_name = "TEXT")]
        detach: Option<String>,
    },
    /// One activity with its items, gaps, deadlines and registers
    Show {
        /// The activity
        activity: ActivityId,
    },
    /// Activities, newest first
    List(List),
    /// Open gaps, or all gaps of one activity
    Gaps {
        /// Only this activity, with its closed gaps too
        activity: Option<ActivityId>,
        #[command(flatten)]
        list: List,
    },
    /// What is overdue, by unit and person
    Overdue(List),
    /// Records an interruption: `strongroom activity interruption A-7 --from T --to T --cause battery_low
    /// --voice-note ITEM@3.5`
    Interruption(Box<Interruption>),
    /// Records that there is lawfully no recording
    Exempt(Box<Exempt>),
    /// Files a statement with an interruption or an exemption
    File {
        /// The activity
        activity: ActivityId,
        /// Number of the record in the register
        number: u64,
        /// The statement, ingested like any original
        #[arg(long)]
        item: ItemId,
        /// To whom it was reported
        #[arg(long, value_name = "NAME")]
        reported_to: String,
        /// The number is that of an exemption
        #[arg(long)]
        exemption: bool,
    },
}

/// What an activity is opened with.
#[derive(Debug, Args)]
pub(crate) struct Open {
    /// Its number
    activity: ActivityId,
    /// Whose it is
    #[arg(long)]
    unit: UnitId,
    /// Kind, from the profile's list where it has one
    #[arg(long, value_name = "TEXT")]
    kind: String,
    /// Officer and certificate number, the one who records first; say it again for each
    #[arg(long = "officer", required = true, value_parser = officer, value_name = "NAME:NUMBER")]
    officers: Vec<(String, String)>,
    /// Where
    #[arg(long, value_name = "TEXT")]
    place: String,
    /// When it began; without it, now
    #[arg(long, value_name = "TIME")]
    started: Option<UnixMillis>,
    /// Matter
    #[arg(long, default_value = "", value_name = "TEXT")]
    matter: String,
    /// Whom it concerned: a name, or 无特定相对人, 身份不明, 拒不提供
    #[arg(long, value_name = "TEXT")]
    party: String,
    /// Name of its document
    #[arg(long, value_name = "TEXT")]
    document: Option<String>,
    /// When the document says that it began
    #[arg(long, value_name = "TIME", requires = "document")]
    document_start: Option<UnixMillis>,
    /// When the document says that it ended
    #[arg(long, value_name = "TIME", requires = "document")]
    document_end: Option<UnixMillis>,
    /// Angle that is expected; say it again for each
    #[arg(long = "angle", value_name = "NAME")]
    angles: Vec<String>,
}

/// What is corrected.
#[derive(Debug, Args)]
pub(crate) struct Correct {
    /// The activity
    activity: ActivityId,
    /// What
    #[arg(long, value_name = "FIELD", value_parser = PossibleValuesParser::new(
        ["kind", "place", "matter", "party", "started_at", "document", "officers"]))]
    field: String,
    /// What it should be: a text, or a time for `started_at`
    #[arg(long, default_value = "", value_name = "TEXT")]
    value: String,
    /// For `document`: when it says that it began
    #[arg(long, value_name = "TIME")]
    document_start: Option<UnixMillis>,
    /// For `document`: when it says that it ended
    #[arg(long, value_name = "TIME")]
    document_end: Option<UnixMillis>,
    /// For `officers`: say it again for each
    #[arg(long = "officer", value_parser = officer, value_name = "NAME:NUMBER")]
    officers: Vec<(String, String)>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Which activities to list.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only this unit's; without one, the caller's
    #[arg(long)]
    unit: Option<UnitId>,
    /// Only of this officer, or opened by this principal
    #[arg(long, default_value = "", value_name = "NAME")]
    person: String,
    /// At most so many activities
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    limit: usize,
}

/// An interruption.
#[derive(Debug, Args)]
pub(crate) struct Interruption {
    /// The activity
    activity: ActivityId,
    /// When recording stopped
    #[arg(long, value_name = "TIME")]
    from: UnixMillis,
    /// When it resumed, or the activity ended
    #[arg(long, value_name = "TIME")]
    to: UnixMillis,
    /// Why: a cause of the unit's profile, such as `battery_low`; a wrong one is told with those that there are
    #[arg(long, value_name = "CAUSE")]
    cause: String,
    /// Why, in words
    #[arg(long, default_value = "", value_name = "TEXT")]
    text: String,
    /// Where the officer says why on the resumed recording
    #[arg(long, value_parser = voice_note, value_name = "ITEM@SECONDS")]
    voice_note: Option<(ItemId, u64)>,
    /// The written statement, ingested like any original
    #[arg(long, value_name = "ITEM")]
    statement: Option<ItemId>,
    /// To whom it was reported
    #[arg(long, default_value = "", value_name = "NAME")]
    reported_to: String,
    /// Custodian who keeps the report
    #[arg(long, value_name = "NAME")]
    kept_by: Option<PrincipalId>,
}

/// An exemption.
#[derive(Debug, Args)]
pub(crate) struct Exempt {
    /// The activity
    activity: ActivityId,
    /// Why: a reason of the unit's profile, such as `force_majeure`; a wrong one is told with those that there are
    #[arg(long, value_name = "REASON")]
    cause: String,
    /// Why, in words
    #[arg(long, value_name = "TEXT")]
    text: String,
    /// On what legal basis, where the text asks for it
    #[arg(long, default_value = "", value_name = "TEXT")]
    legal_basis: String,
    /// Who agreed, where the text asks for consent
    #[arg(long, default_value = "", value_name = "NAME")]
    consented_by: String,
    /// In which office
    #[arg(long, default_value = ConsentOffice::CaseUnit.name(), value_name = "OFFICE",
        value_parser = PossibleValuesParser::new(ConsentOffice::ALL.map(ConsentOffice::name)))]
    office: String,
    /// When they agreed; without it, now
    #[arg(long, value_name = "TIME")]
    consented: Option<UnixMillis>,
    /// The work record, ingested like any original
    #[arg(long, value_name = "ITEM")]
    work_record: Option<ItemId>,
    /// To whom it was reported
    #[arg(long, default_value = "", value_name = "NAME")]
    reported_to: String,
}

impl Activity {
    /// Does it.
    pub(crate) async fn run(self, globals: &Globals) -> Result<(), Failure> {
        let client = globals.client(Usual::Recorder)?;
        match self {
            Self::Show { activity } => shown::show(globals, &client.show_activity(&activity).await?),
            Self::List(list) => shown::list(globals, &list.fetch(&client, false, false).await?),
            Self::Gaps { activity: Some(activity), .. } => {
                shown::gaps(globals, &[client.show_activity(&activity).await?], true)
            }
            Self::Gaps { activity: None, list } => {
                shown::gaps(globals, &list.fetch(&client, true, false).await?, false)
            }
            Self::Overdue(list) => shown::overdue(globals, &list.fetch(&client, false, true).await?),
            step => step.take(globals, &client).await,
        }
    }

    /// Takes a step that changes something.
    async fn take(self, globals: &Globals, client: &Client) -> Result<(), Failure> {
        let (activity, record) = match self {
            Self::Open(open) => (open.activity.clone(), client.open_activity(open.request()?).await?),
            Self::Phase { activity, name, place, started, ended } => {
                let phase = activity::Phase {
                    name,
                    place,
                    started_unix_ms: started.0,
                    ended_unix_ms: ended.map(|ended| ended.0),
                    ..Default::default()
                };
                let (activity_id, phase) = (activity.to_string(), Some(phase));
                let request = activity::AddPhaseRequest { activity_id, phase, ..Default::default() };
                (activity, client.add_phase(request).await?)
            }
            Self::End { activity, at: when, what, reason } => {
                let request = activity::SetMomentRequest {
                    activity_id: activity.to_string(),
                    moment: what,
                    at_unix_ms: at(when)?,
                    reason,
                    ..Default::default()
                };
                (activity, client.set_moment(request).await?)
            }
            Self::Return { activity, at: when, delay, reason } => {
                let request = activity::SetMomentRequest {
                    activity_id: activity.to_string(),
                    moment: Moment::ReturnedToUnit.name().to_owned(),
                    at_unix_ms: at(when)?,
                    delay: delay.unwrap_or_default(),
                    reason,
                    ..Default::default()
                };
                (activity, client.set_moment(request).await?)
            }
            Self::Correct(correct) => (correct.activity.clone(), client.correct_activity(correct.request()?).await?),
            Self::Attach { activity, item, phase, angle, detach } => {
                let request = activity::AttachItemRequest {
                    activity_id: activity.to_string(),
                    item_id: bytes(item),
                    phase,
                    angle,
                    detach: detach.is_some(),
                    reason: detach.unwrap_or_default(),
                    ..Default::default()
                };
                (activity, client.attach_item(request).await?)
            }
            Self::Interruption(told) => (told.activity.clone(), client.record_interruption(told.request()).await?),
            Self::Exempt(told) => (told.activity.clone(), client.record_exemption(told.request()?).await?),
            Self::File { activity, number, item, reported_to, exemption } => {
                let request = activity::FileStatementRequest {
                    activity_id: activity.to_string(),
                    exemption,
                    number,
                    item_id: bytes(item),
                    reported_to,
                    ..Default::default()
                };
                (activity, client.file_statement(request).await?)
            }
            Self::Show { .. } | Self::List(_) | Self::Gaps { .. } | Self::Overdue(_) => unreachable!("these only show"),
        };
        done(globals, "activity", activity.as_str(), record)
    }
}

impl Open {
    fn request(self) -> Result<activity::OpenActivityRequest, Failure> {
        let (start, end) = (self.document_start, self.document_end);
        let told = activity::Activity {
            activity_id: self.activity.to_string(),
            unit_id: self.unit.to_string(),
            kind: self.kind,
            officers: officers(self.officers),
            place: self.place,
            started_unix_ms: at(self.started)?,
            matter: self.matter,
            party: self.party,
            document: self.document.map(|name| document(name, start, end)),
            angles: self.angles,
            ..Default::default()
        };
        Ok(activity::OpenActivityRequest { activity: Some(told), ..Default::default() })
    }
}

impl Correct {
    fn request(self) -> Result<activity::CorrectActivityRequest, Failure> {
        let started = match self.field.as_str() {
            "started_at" => {
                let at = self.value.parse::<UnixMillis>().map_err(|error| Failure::usage(error.to_string()))?;
                Some(at.0)
            }
            _ => None,
        };
        let named = (self.field == "document").then(|| self.value.clone());
        Ok(activity::CorrectActivityRequest {
            activity_id: self.activity.to_string(),
            document: named.map(|name| document(name, self.document_start, self.document_end)),
            started_unix_ms: started,
            officers: officers(self.officers),
            field: self.field,
            value: self.value,
            reason: self.reason,
            ..Default::default()
        })
    }
}

impl Interruption {
    fn request(self) -> activity::RecordInterruptionRequest {
        let told = activity::Interruption {
            activity_id: self.activity.to_string(),
            from_unix_ms: self.from.0,
            to_unix_ms: self.to.0,
            cause: self.cause,
            text: self.text,
            voice_note_item_id: self.voice_note.map_or_else(Bytes::new, |(item, _)| bytes(item)),
            voice_note_offset_ms: self.voice_note.map_or(0, |(_, offset_ms)| offset_ms),
            statement_item_id: self.statement.map_or_else(Bytes::new, bytes),
            reported_to: self.reported_to,
            kept_by: self.kept_by.map_or_else(String::new, |keeper| keeper.to_string()),
            ..Default::default()
        };
        activity::RecordInterruptionRequest { interruption: Some(told), ..Default::default() }
    }
}

impl Exempt {
    fn request(self) -> Result<activity::RecordExemptionRequest, Failure> {
        let told = activity::Exemption {
            activity_id: self.activity.to_string(),
            cause: self.cause,
            text: self.text,
            legal_basis: self.legal_basis,
            consented_by: self.consented_by,
            consent_office: self.office,
            consented_unix_ms: at(self.consented)?,
            work_record_item_id: self.work_record.map_or_else(Bytes::new, bytes),
            reported_to: self.reported_to,
            ..Default::default()
        };
        Ok(activity::RecordExemptionRequest { exemption: Some(told), ..Default::default() })
    }
}

impl List {
    async fn fetch(
        self,
        client: &Client,
        with_gaps: bool,
        overdue: bool,
    ) -> Result<Vec<activity::ActivityReport>, Failure> {
        let filter = ActivityFilter { unit: self.unit, with_gaps, overdue, person: self.person };
        let (mut reports, mut token) = (Vec::new(), Bytes::new());
        while reports.len() < self.limit {
            let size = u32::try_from((self.limit - reports.len()).min(100)).unwrap_or(100);
            let (page, next) = client.list_activities(filter.clone(), Page { size, token }).await?;
            reports.extend(page);
            token = next;
            if token.is_empty() {
                break;
            }
        }
        reports.truncate(self.limit);
        Ok(reports)
    }
}

fn bytes(item: ItemId) -> Bytes {
    Bytes::copy_from_slice(item.as_bytes())
}

fn officers(officers: Vec<(String, String)>) -> Vec<activity::Officer> {
    officers.into_iter().map(|(name, certificate)| activity::Officer { name, certificate }).collect()
}

fn document(name: String, start: Option<UnixMillis>, end: Option<UnixMillis>) -> activity::Document {
    activity::Document { name, start_unix_ms: start.map(|at| at.0), end_unix_ms: end.map(|at| at.0) }
}

/// `name:number`, cut at the last colon: no certificate number holds one.
fn officer(text: &str) -> Result<(String, String), String> {
    let cut = text.rsplit_once([':', '：']).map(|(name, number)| (name.trim().to_owned(), number.trim().to_owned()));
    cut.filter(|(name, number)| !name.is_empty() && !number.is_empty()).ok_or_else(|| "write NAME:NUMBER".to_owned())
}

/// `item@seconds`, with up to three decimals.
fn voice_note(text: &str) -> Result<(ItemId, u64), String> {
    let form = || "write ITEM@SECONDS, such as 3f…@12.5".to_owned();
    let (item, seconds) = text.split_once('@').ok_or_else(form)?;
    let (whole, decimals) = seconds.split_once('.').unwrap_or((seconds, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 3 || !digits(whole) || !digits(decimals) {
        return Err(form());
    }
    let ms = format!("{whole}{decimals:0<3}").parse().map_err(|_| form())?;
    Ok((item.parse().map_err(|error| format!("{error}"))?, ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_officer_is_a_name_and_a_number() {
        assert_eq!(officer("张三:ZF001"), Ok(("张三".to_owned(), "ZF001".to_owned())));
        assert_eq!(officer("阿依:古丽：ZF2"), Ok(("阿依:古丽".to_owned(), "ZF2".to_owned())));
        assert!(officer("张三").is_err() && officer(":1").is_err() && officer("张三:").is_err());
    }

    #[test]
    fn a_voice_note_is_so_far_into_an_item() {
        let item = "ab".repeat(16);
        for (seconds, ms) in [("0", 0), ("12", 12_000), ("12.5", 12_500), ("0.001", 1)] {
            let (_, found) = voice_note(&format!("{item}@{seconds}")).expect(seconds);
            assert_eq!(found, ms);
        }
        for bad in ["", "@1", "12@1", &item, &format!("{item}@"), &format!("{item}@-1"), &format!("{item}@1.2345")] {
            assert!(voice_note(bad).is_err(), "{bad} was taken");
        }
    }
}
