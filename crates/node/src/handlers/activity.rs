//! Activities and their registers: what is decided stands in `custody::activity` and `custody::interruption`, what an
//! activity comes to in `custody::report`.

mod shown;

use bytes::Bytes;
use prost::Message;
use strongroom_custody::{
    Act, Command,
    access::{Stop, within_unit},
    activity::{
        self, AddPhase, AttachItem, CorrectActivity, Corrected, DelayReason, Document, Moment, Officer, SetMoment,
    },
    clock,
    deadline::Standing,
    exemption::{ConsentOffice, RecordExemption},
    interruption::{RecordInterruption, VoiceNote},
    notice::AcknowledgeNotice,
    report::{self, ActivityReport, Preservation},
    statement::{FileStatement, StatementOf},
    tables::{ACTIVITIES_BY_UNIT, EXEMPTIONS, INTERRUPTIONS, NOTICES},
    upload,
};
use strongroom_proto::{
    activity::{
        AcknowledgeNoticeRequest, AcknowledgeNoticeResponse, ActivityReport as WireReport, AddPhaseRequest,
        AddPhaseResponse, AttachItemRequest, AttachItemResponse, CorrectActivityRequest, CorrectActivityResponse,
        Document as WireDocument, FileStatementRequest, FileStatementResponse, ListActivitiesRequest,
        ListActivitiesResponse, ListExemptionsRequest, ListExemptionsResponse, ListInterruptionsRequest,
        ListInterruptionsResponse, ListNoticesRequest, ListNoticesResponse, Officer as WireOfficer,
        OpenActivityRequest, OpenActivityResponse, RecordExemptionRequest, RecordExemptionResponse,
        RecordInterruptionRequest, RecordInterruptionResponse, SetMomentRequest, SetMomentResponse,
        ShowActivityRequest, ShowActivityResponse, activity_service_server::ActivityService,
    },
    convert,
};
use strongroom_types::{
    ActivityId, RecordSeq, Refusal, UnitId, UnixMillis, limits,
    rows::{Key, RowError, Rows, Table},
};
use tonic::{Request, Response, Status};

use super::change::{change, commit};
use crate::edge::{Edge, Look, Reading, answer, page_size};

/// Bytes of reports in one answer: the largest message, with room for what surrounds them.
const PAGE_BYTES_MAX: usize = limits::MESSAGE_BYTES_MAX / 2;
/// Items that one page of reports looks through; long activities give short pages.
const PAGE_ITEMS_MAX: usize = 5 * limits::ACTIVITY_ITEMS_MAX;
/// Steps of manifests that one look at fixity reads: of 64 MiB each.
const FIXITY_STEPS_MAX: usize = 10_000;

pub(super) struct Activities(pub(super) Edge);

change!(OpenActivityRequest, "OpenActivity", asked => {
    let told = convert::required("activity", asked.activity)?;
    Command::OpenActivity(Box::new(activity::OpenActivity {
        activity: activity_id(&told.activity_id)?,
        unit: convert::parsed("unit_id", &told.unit_id)?,
        kind: told.kind,
        officers: officers(told.officers),
        place: told.place,
        started_at: convert::instant("started_unix_ms", told.started_unix_ms)?,
        matter: told.matter,
        party: told.party,
        document: told.document.map(document).transpose()?,
        angles: told.angles,
    }))
});
change!(AddPhaseRequest, "AddPhase", asked => {
    let phase = convert::required("phase", asked.phase)?;
    Command::AddPhase(AddPhase {
        activity: activity_id(&asked.activity_id)?,
        name: phase.name,
        place: phase.place,
        started_at: convert::instant("phase.started_unix_ms", phase.started_unix_ms)?,
        ended_at: phase.ended_unix_ms.map(|at| convert::instant("phase.ended_unix_ms", at)).transpose()?,
    })
});
change!(SetMomentRequest, "SetMoment", asked => Command::SetMoment(SetMoment {
    activity: activity_id(&asked.activity_id)?,
    moment: named("moment", &asked.moment, Moment::from_name, &Moment::ALL.map(Moment::name))?,
    at: convert::instant("at_unix_ms", asked.at_unix_ms)?,
    delay: if asked.delay.is_empty() {
        None
    } else {
        Some(named("delay", &asked.delay, DelayReason::from_name, &DelayReason::ALL.map(DelayReason::name))?)
    },
    reason: asked.reason,
}));
change!(CorrectActivityRequest, "CorrectActivity", asked => Command::CorrectActivity(CorrectActivity {
    activity: activity_id(&asked.activity_id)?,
    to: match asked.field.as_str() {
        "kind" => Corrected::Kind(asked.value),
        "place" => Corrected::Place(asked.value),
        "matter" => Corrected::Matter(asked.value),
        "party" => Corrected::Party(asked.value),
        "started_at" => {
            let at = convert::required("started_unix_ms", asked.started_unix_ms)?;
            Corrected::StartedAt(convert::instant("started_unix_ms", at)?)
        }
        "document" => Corrected::Document(document(convert::required("document", asked.document)?)?),
        "officers" => Corrected::Officers(officers(asked.officers)),
        other => return Err(Refusal::invalid(format!("field: {other:?} cannot be corrected"))),
    },
    reason: asked.reason,
}));
change!(AttachItemRequest, "AttachItem", asked => Command::AttachItem(AttachItem {
    activity: activity_id(&asked.activity_id)?,
    item: convert::fixed("item_id", &asked.item_id)?,
    phase: asked.phase,
    angle: Some(asked.angle).filter(|angle| !angle.is_empty()),
    detach: asked.detach.then_some(asked.reason),
}));
change!(RecordInterruptionRequest, "RecordInterruption", asked => {
    let told = convert::required("interruption", asked.interruption)?;
    let voice_note = convert::optional_fixed("voice_note_item_id", &told.voice_note_item_id)?;
    Command::RecordInterruption(Box::new(RecordInterruption {
        activity: activity_id(&told.activity_id)?,
        from: convert::instant("from_unix_ms", told.from_unix_ms)?,
        to: convert::instant("to_unix_ms", told.to_unix_ms)?,
        cause: told.cause,
        text: told.text,
        voice_note: voice_note.map(|item| VoiceNote { item, offset_ms: told.voice_note_offset_ms }),
        statement: convert::optional_fixed("statement_item_id", &told.statement_item_id)?,
        reported_to: told.reported_to,
        kept_by: convert::optional_parsed("kept_by", &told.kept_by)?,
    }))
});
change!(RecordExemptionRequest, "RecordExemption", asked => {
    let told = convert::required("exemption", asked.exemption)?;
    let offices = ConsentOffice::ALL.map(ConsentOffice::name);
    Command::RecordExemption(Box::new(RecordExemption {
        activity: activity_id(&told.activity_id)?,
        cause: told.cause,
        text: told.text,
        legal_basis: told.legal_basis,
        consented_by: told.consented_by,
        consent_office: named("consent_office", &told.consent_office, ConsentOffice::from_name, &offices)?,
        consented_at: convert::instant("consented_unix_ms", told.consented_unix_ms)?,
        work_record: convert::optional_fixed("work_record_item_id", &told.work_record_item_id)?,
        reported_to: told.reported_to,
    }))
});
change!(FileStatementRequest, "FileStatement", asked => Command::FileStatement(FileStatement {
    activity: activity_id(&asked.activity_id)?,
    of: if asked.exemption { StatementOf::Exemption } else { StatementOf::Interruption },
    number: RecordSeq(asked.number),
    item: convert::fixed("item_id", &asked.item_id)?,
    reported_to: asked.reported_to,
}));
change!(AcknowledgeNoticeRequest, "AcknowledgeNotice", asked => Command::AcknowledgeNotice(AcknowledgeNotice {
    unit: convert::parsed("unit_id", &asked.unit_id)?,
    notice: RecordSeq(asked.number),
    opinion: asked.opinion,
}));

#[tonic::async_trait]
impl ActivityService for Activities {
    async fn open_activity(
        &self,
        request: Request<OpenActivityRequest>,
    ) -> Result<Response<OpenActivityResponse>, Status> {
        Ok(Response::new(OpenActivityResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn add_phase(&self, request: Request<AddPhaseRequest>) -> Result<Response<AddPhaseResponse>, Status> {
        Ok(Response::new(AddPhaseResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn set_moment(&self, request: Request<SetMomentRequest>) -> Result<Response<SetMomentResponse>, Status> {
        Ok(Response::new(SetMomentResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn correct_activity(
        &self,
        request: Request<CorrectActivityRequest>,
    ) -> Result<Response<CorrectActivityResponse>, Status> {
        Ok(Response::new(CorrectActivityResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn attach_item(&self, request: Request<AttachItemRequest>) -> Result<Response<AttachItemResponse>, Status> {
        Ok(Response::new(AttachItemResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn record_interruption(
        &self,
        request: Request<RecordInterruptionRequest>,
    ) -> Result<Response<RecordInterruptionResponse>, Status> {
        Ok(Response::new(RecordInterruptionResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn record_exemption(
        &self,
        request: Request<RecordExemptionRequest>,
    ) -> Result<Response<RecordExemptionResponse>, Status> {
        Ok(Response::new(RecordExemptionResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn file_statement(
        &self,
        request: Request<FileStatementRequest>,
    ) -> Result<Response<FileStatementResponse>, Status> {
        Ok(Response::new(FileStatementResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn acknowledge_notice(
        &self,
        request: Request<AcknowledgeNoticeRequest>,
    ) -> Result<Response<AcknowledgeNoticeResponse>, Status> {
        Ok(Response::new(AcknowledgeNoticeResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn show_activity(
        &self,
        request: Request<ShowActivityRequest>,
    ) -> Result<Response<ShowActivityResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = activity_id(&request.get_ref().activity_id).map_err(|refusal| answer(&refusal))?;
        let wall = self.0.system().clock.wall();
        let shown = self.0.look(&caller, Reading::of(Act::ActivityShow), |look| show(look, &id, wall)).await?;
        Ok(Response::new(ShowActivityResponse { report: Some(shown) }))
    }

    async fn list_activities(
        &self,
        request: Request<ListActivitiesRequest>,
    ) -> Result<Response<ListActivitiesResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let unit = unit_id(&asked.unit_id)?;
        let wall = self.0.system().clock.wall();
        let reading = Reading::of(Act::ActivityShow);
        let listed = self.0.look(&caller, reading, |look| list(look, unit.as_ref(), &asked, wall)).await?;
        Ok(Response::new(listed))
    }

    async fn list_interruptions(
        &self,
        request: Request<ListInterruptionsRequest>,
    ) -> Result<Response<ListInterruptionsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let unit = unit_id(&asked.unit_id)?;
        let (interruptions, next_page_token) = self
            .0
            .look(&caller, Reading::of(Act::ActivityShow), |look| {
                let page = Wanted { unit: unit.as_ref(), size: asked.page_size, token: &asked.page_token };
                register(look, &INTERRUPTIONS, &page, |unit, row| Some(shown::interruption(unit, &row)))
            })
            .await?;
        Ok(Response::new(ListInterruptionsResponse { interruptions, next_page_token }))
    }

    async fn list_exemptions(
        &self,
        request: Request<ListExemptionsRequest>,
    ) -> Result<Response<ListExemptionsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let unit = unit_id(&asked.unit_id)?;
        let (exemptions, next_page_token) = self
            .0
            .look(&caller, Reading::of(Act::ActivityShow), |look| {
                let page = Wanted { unit: unit.as_ref(), size: asked.page_size, token: &asked.page_token };
                register(look, &EXEMPTIONS, &page, |unit, row| Some(shown::exemption(unit, &row)))
            })
            .await?;
        Ok(Response::new(ListExemptionsResponse { exemptions, next_page_token }))
    }

    async fn list_notices(
        &self,
        request: Request<ListNoticesRequest>,
    ) -> Result<Response<ListNoticesResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let unit = unit_id(&asked.unit_id)?;
        let (notices, next_page_token) = self
            .0
            .look(&caller, Reading::of(Act::ActivityShow), |look| {
                let page = Wanted { unit: unit.as_ref(), size: asked.page_size, token: &asked.page_token };
                register(look, &NOTICES, &page, |_, row| {
                    let wanted = !asked.unseen_only || row.seen.is_none();
                    wanted.then(|| shown::notice(&row))
                })
            })
            .await?;
        Ok(Response::new(ListNoticesResponse { notices, next_page_token }))
    }
}

fn activity_id(text: &str) -> Result<ActivityId, Refusal> {
    convert::parsed("activity_id", text)
}

fn unit_id(text: &str) -> Result<Option<UnitId>, Status> {
    convert::optional_parsed("unit_id", text).map_err(|refusal| answer(&refusal))
}

/// One of a few words.
fn named<T>(field: &str, text: &str, from_name: fn(&str) -> Option<T>, names: &[&str]) -> Result<T, Refusal> {
    from_name(text).ok_or_else(|| Refusal::invalid(format!("{field}: {text:?} is not one of {}", names.join(", "))))
}

fn officers(officers: Vec<WireOfficer>) -> Vec<Officer> {
    officers.into_iter().map(|officer| Officer { name: officer.name, certificate: officer.certificate }).collect()
}

fn document(document: WireDocument) -> Result<Document, Refusal> {
    Ok(Document {
        name: document.name,
        start: document.start_unix_ms.map(|at| convert::instant("document.start_unix_ms", at)).transpose()?,
        end: document.end_unix_ms.map(|at| convert::instant("document.end_unix_ms", at)).transpose()?,
    })
}

fn show(look: &Look<'_>, id: &ActivityId, wall: UnixMillis) -> Result<WireReport, Stop> {
    let rows: &dyn Rows = &**look.rows;
    let row = activity::read(rows, id)?;
    within_unit(&look.principal, &row.unit)?;
    let now = clock::read(rows)?.bounded_wall(wall);
    let report = report::of(rows, &row, now)?;
    let fixity = fixity(rows, &report)?;
    Ok(shown::report(&row, &report, fixity))
}

/// What is known of the bytes of an activity's items.
#[derive(Clone, Copy)]
enum Fixity {
    /// No shard of theirs waits for repair.
    Good,
    /// So many do.
    Bad(u32),
    /// They are too many to be looked at together.
    Unknown,
}

/// An activity is complete only while nothing of it waits for repair (R-003-5c).
fn fixity(rows: &dyn Rows, report: &ActivityReport) -> Result<Fixity, RowError> {
    let (mut steps_left, mut bad) = (FIXITY_STEPS_MAX, 0);
    for item in report.items.iter().filter(|item| item.counts) {
        let Some((volumes, steps)) = upload::volumes_of(rows, item.id, steps_left)? else { return Ok(Fixity::Unknown) };
        steps_left -= steps;
        for volume in volumes {
            bad += strongroom_topology::read::bad_shards_of(rows, volume, item.id)?;
        }
    }
    Ok(u32::try_from(bad).map_or(Fixity::Bad(u32::MAX), |bad| if bad == 0 { Fixity::Good } else { Fixity::Bad(bad) }))
}

/// Newest first within a unit; somebody of the whole agency who names no unit gets unit after unit.
fn list(
    look: &Look<'_>,
    unit: Option<&UnitId>,
    asked: &ListActivitiesRequest,
    wall: UnixMillis,
) -> Result<ListActivitiesResponse, Stop> {
    let rows: &dyn Rows = &**look.rows;
    let now = clock::read(rows)?.bounded_wall(wall);
    let wanted = page_size(asked.page_size);
    let page = Wanted { unit, size: asked.page_size, token: &asked.page_token };
    let (unit, mut after) = page.begin(look)?;
    let (mut reports, mut bytes, mut items) = (Vec::new(), 0, 0);
    loop {
        let page = scan(rows, &ACTIVITIES_BY_UNIT, unit, after.as_deref(), wanted)?;
        let last_page = page.len() < wanted;
        for (key, id) in page {
            if reports.len() == wanted || bytes > PAGE_BYTES_MAX || items > PAGE_ITEMS_MAX {
                return Ok(ListActivitiesResponse { reports, next_page_token: after.unwrap_or_default().into() });
            }
            let row = activity::read(rows, &id)?;
            let mut report = report::of(rows, &row, now)?;
            // An activity without items costs something too.
            let item_count = report.items.len();
            items += item_count + 1;
            if fits(asked, &row, &report) {
                report.items.retain(|item| asked.overdue && item.counts && item.label == Standing::Overdue);
                let item_count = u32::try_from(item_count).unwrap_or(u32::MAX);
                let message = WireReport { item_count, ..shown::report(&row, &report, Fixity::Unknown) };
                bytes += message.encoded_len();
                reports.push(message);
            }
            after = Some(key);
        }
        if last_page {
            return Ok(ListActivitiesResponse { reports, next_page_token: Bytes::new() });
        }
    }
}

fn fits(asked: &ListActivitiesRequest, row: &activity::ActivityRow, report: &ActivityReport) -> bool {
    let open = matches!(report.preservation, Preservation::Gaps(_) | Preservation::NoFootage)
        || report.gaps.iter().any(strongroom_custody::gaps::Gap::is_open);
    let late = |item: &report::ItemReport| item.counts && item.label == Standing::Overdue;
    let overdue = report.ingest == Standing::Overdue || report.items.iter().any(late);
    let of = |officer: &Officer| officer.name == asked.person;
    let person = asked.person.is_empty() || row.opened_by.as_str() == asked.person || row.officers.iter().any(of);
    person && (!asked.with_gaps || open) && (!asked.overdue || overdue)
}

/// Which page of which unit.
struct Wanted<'a> {
    unit: Option<&'a UnitId>,
    size: u32,
    token: &'a Bytes,
}

impl<'a> Wanted<'a> {
    /// The unit whose rows are listed, and where to go on.
    fn begin<'b>(&self, look: &'b Look<'_>) -> Result<(Option<&'b UnitId>, Option<Vec<u8>>), Refusal>
    where
        'a: 'b,
    {
        let unit = self.unit.or(look.principal.unit.as_ref());
        if let Some(unit) = unit {
            within_unit(&look.principal, unit)?;
        }
        let prefix = unit.map_or_else(Vec::new, Key::to_bytes);
        let after = Some(self.token.to_vec()).filter(|token| !token.is_empty());
        if after.as_ref().is_some_and(|token| !token.starts_with(&prefix)) {
            return Err(Refusal::invalid("page_token: it is of another list"));
        }
        Ok((unit, after))
    }
}

fn scan<V>(
    rows: &dyn Rows,
    table: &Table<(UnitId, u64), V>,
    unit: Option<&UnitId>,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<(Vec<u8>, V)>, RowError>
where
    V: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    match unit {
        Some(unit) => table.scan(rows, unit, after, limit),
        None => table.scan(rows, &(), after, limit),
    }
}

/// One page of a register; rows that are not shown make it shorter, not longer to find.
fn register<V, M: Message>(
    look: &Look<'_>,
    table: &Table<(UnitId, u64), V>,
    wanted: &Wanted<'_>,
    show: impl Fn(&str, V) -> Option<M>,
) -> Result<(Vec<M>, Bytes), Stop>
where
    V: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    let (unit, after) = wanted.begin(look)?;
    let size = page_size(wanted.size);
    let page = scan(&**look.rows, table, unit, after.as_deref(), size)?;
    let full = page.len() == size;
    let (mut shown, mut bytes, mut last) = (Vec::new(), 0, None);
    for (key, row) in page {
        if bytes > PAGE_BYTES_MAX {
            return Ok((shown, last.unwrap_or_default()));
        }
        if let Some(message) = show(&unit_of(table, &key)?, row) {
            bytes += message.encoded_len();
            shown.push(message);
        }
        last = Some(Bytes::from(key));
    }
    Ok((shown, last.filter(|_| full).unwrap_or_default()))
}

/// A register's key begins with the unit's name and ends with a number of eight bytes.
fn unit_of<V>(table: &Table<(UnitId, u64), V>, key: &[u8]) -> Result<String, RowError> {
    let name = key.len().checked_sub(9).and_then(|end| key.get(..end));
    let text = name.and_then(|name| std::str::from_utf8(name).ok());
    text.map(str::to_owned)
        .ok_or_else(|| RowError::Corrupt { table: table.name, detail: "a key does not begin with a name".to_owned() })
}
