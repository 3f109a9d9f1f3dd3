//! The register of devices: what is decided stands in `custody::device`, `custody::keeper` and `custody::clearance`.

use std::collections::BTreeMap;

use strongroom_custody::{
    Act, Command,
    access::{Stop, within_unit},
    clearance::{self, ClearPerson},
    clock,
    device::{
        self as register, AnswerOffer, ConfirmFault, CorrectEntry, DeviceCustodyRow, DockDevice, Docking, OfferDevice,
        Place, ReportFault, ReportLoss, RestoreDevice, SendToRepair, Way, What,
    },
    keeper::{KeeperTerm, NameKeeper},
    tables::{CLEARANCES, DEVICE_ENTRIES, DEVICES, DeviceRow, KEEPERS, PRINCIPALS},
};
use strongroom_proto::{
    convert,
    device::{
        AnswerOfferRequest, AnswerOfferResponse, ClearPersonRequest, ClearPersonResponse, ConfirmFaultRequest,
        ConfirmFaultResponse, CorrectEntryRequest, CorrectEntryResponse, DeviceEntry, DeviceState, DockDeviceRequest,
        DockDeviceResponse, HandOverDeviceRequest, HandOverDeviceResponse, IssueDeviceRequest, IssueDeviceResponse,
        KeeperTerm as WireTerm, ListEntriesRequest, ListEntriesResponse, ListKeepersRequest, ListKeepersResponse,
        ListTiesRequest, ListTiesResponse, ListUncollectedRequest, ListUncollectedResponse, NameKeeperRequest,
        NameKeeperResponse, ReportFaultRequest, ReportFaultResponse, ReportLossRequest, ReportLossResponse,
        RestoreDeviceRequest, RestoreDeviceResponse, ReturnDeviceRequest, ReturnDeviceResponse, SendToRepairRequest,
        SendToRepairResponse, ShowDeviceRequest, ShowDeviceResponse, Tie as WireTie,
        device_service_server::DeviceService,
    },
};
use strongroom_types::{
    DeviceId, PrincipalId, Refusal, UnitId, UnixMillis, limits,
    rows::{RowError, Rows},
};
use tonic::{Request, Response, Status};

use super::change::{change, commit};
use crate::edge::{Edge, Look, Reading, answer, page_size};

pub(super) struct Devices(pub(super) Edge);

change!(IssueDeviceRequest, "IssueDevice", asked => Command::OfferDevice(OfferDevice {
    device: device_id(&asked.device_id)?,
    way: Way::Issue,
    to: convert::optional_parsed("to", &asked.to)?,
    accessories: asked.accessories,
    content: asked.content,
    un_ingested: None,
}));
change!(HandOverDeviceRequest, "HandOverDevice", asked => Command::OfferDevice(OfferDevice {
    device: device_id(&asked.device_id)?,
    way: Way::HandOver,
    to: convert::optional_parsed("to", &asked.to)?,
    accessories: asked.accessories,
    content: asked.content,
    un_ingested: asked.un_ingested,
}));
change!(ReturnDeviceRequest, "ReturnDevice", asked => Command::OfferDevice(OfferDevice {
    device: device_id(&asked.device_id)?,
    way: Way::Return,
    to: None,
    accessories: asked.accessories,
    content: asked.content,
    un_ingested: asked.un_ingested,
}));
change!(AnswerOfferRequest, "AnswerOffer", asked => Command::AnswerOffer(AnswerOffer {
    device: device_id(&asked.device_id)?,
    declined: asked.declined.then_some(asked.reason),
}));
change!(ReportLossRequest, "ReportLoss", asked => Command::ReportLoss(ReportLoss {
    device: device_id(&asked.device_id)?,
    noticed_at: convert::instant("noticed_unix_ms", asked.noticed_unix_ms)?,
    circumstances: asked.circumstances,
}));
change!(ReportFaultRequest, "ReportFault", asked => Command::ReportFault(ReportFault {
    device: device_id(&asked.device_id)?,
    found_at: convert::instant("found_unix_ms", asked.found_unix_ms)?,
    fault: asked.fault,
    reported_to: asked.reported_to,
}));
change!(ConfirmFaultRequest, "ConfirmFault", asked => Command::ConfirmFault(ConfirmFault {
    device: device_id(&asked.device_id)?,
}));
change!(SendToRepairRequest, "SendToRepair", asked => Command::SendToRepair(SendToRepair {
    device: device_id(&asked.device_id)?,
    repairer: asked.repairer,
    un_ingested: asked.un_ingested,
    explanation: asked.explanation,
}));
change!(RestoreDeviceRequest, "RestoreDevice", asked => Command::RestoreDevice(RestoreDevice {
    device: device_id(&asked.device_id)?,
    note: asked.note,
}));
change!(DockDeviceRequest, "DockDevice", asked => Command::DockDevice(DockDevice {
    device: device_id(&asked.device_id)?,
    docking: Docking {
        offset_ms: asked.offset_ms,
        against: asked.against,
        battery_percent: asked.battery_percent.map(percent).transpose()?,
        free_bytes: asked.free_bytes,
        un_ingested: asked.un_ingested,
        shows_time: asked.shows_time,
    },
}));
change!(CorrectEntryRequest, "CorrectEntry", asked => Command::CorrectEntry(CorrectEntry {
    device: device_id(&asked.device_id)?,
    entry: asked.entry,
    field: asked.field,
    value: asked.value,
    reason: asked.reason,
}));
change!(ClearPersonRequest, "ClearPerson", asked => Command::ClearPerson(ClearPerson {
    person: convert::parsed("principal_id", &asked.principal_id)?,
}));
change!(NameKeeperRequest, "NameKeeper", asked => Command::NameKeeper(NameKeeper {
    unit: convert::parsed("unit_id", &asked.unit_id)?,
    device: convert::optional_parsed("device_id", &asked.device_id)?,
    principal: convert::parsed("principal_id", &asked.principal_id)?,
    from: asked.from_unix_ms.map(|at| convert::instant("from_unix_ms", at)).transpose()?,
    until: asked.until_unix_ms.map(|at| convert::instant("until_unix_ms", at)).transpose()?,
}));

#[tonic::async_trait]
impl DeviceService for Devices {
    async fn issue_device(
        &self,
        request: Request<IssueDeviceRequest>,
    ) -> Result<Response<IssueDeviceResponse>, Status> {
        Ok(Response::new(IssueDeviceResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn hand_over_device(
        &self,
        request: Request<HandOverDeviceRequest>,
    ) -> Result<Response<HandOverDeviceResponse>, Status> {
        Ok(Response::new(HandOverDeviceResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn return_device(
        &self,
        request: Request<ReturnDeviceRequest>,
    ) -> Result<Response<ReturnDeviceResponse>, Status> {
        Ok(Response::new(ReturnDeviceResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn answer_offer(
        &self,
        request: Request<AnswerOfferRequest>,
    ) -> Result<Response<AnswerOfferResponse>, Status> {
        Ok(Response::new(AnswerOfferResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn report_loss(&self, request: Request<ReportLossRequest>) -> Result<Response<ReportLossResponse>, Status> {
        Ok(Response::new(ReportLossResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn report_fault(
        &self,
        request: Request<ReportFaultRequest>,
    ) -> Result<Response<ReportFaultResponse>, Status> {
        Ok(Response::new(ReportFaultResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn confirm_fault(
        &self,
        request: Request<ConfirmFaultRequest>,
    ) -> Result<Response<ConfirmFaultResponse>, Status> {
        Ok(Response::new(ConfirmFaultResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn send_to_repair(
        &self,
        request: Request<SendToRepairRequest>,
    ) -> Result<Response<SendToRepairResponse>, Status> {
        Ok(Response::new(SendToRepairResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn restore_device(
        &self,
        request: Request<RestoreDeviceRequest>,
    ) -> Result<Response<RestoreDeviceResponse>, Status> {
        Ok(Response::new(RestoreDeviceResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn dock_device(&self, request: Request<DockDeviceRequest>) -> Result<Response<DockDeviceResponse>, Status> {
        Ok(Response::new(DockDeviceResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn correct_entry(
        &self,
        request: Request<CorrectEntryRequest>,
    ) -> Result<Response<CorrectEntryResponse>, Status> {
        Ok(Response::new(CorrectEntryResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn clear_person(
        &self,
        request: Request<ClearPersonRequest>,
    ) -> Result<Response<ClearPersonResponse>, Status> {
        Ok(Response::new(ClearPersonResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn name_keeper(&self, request: Request<NameKeeperRequest>) -> Result<Response<NameKeeperResponse>, Status> {
        Ok(Response::new(NameKeeperResponse { record_seq: commit(&self.0, request).await? }))
    }

    async fn show_device(&self, request: Request<ShowDeviceRequest>) -> Result<Response<ShowDeviceResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id = device_id(&request.get_ref().device_id).map_err(|refusal| answer(&refusal))?;
        let device = self
            .0
            .look(&caller, Reading::of(Act::DeviceLedger), |look| {
                let row = own(look, &id)?;
                Ok(state(&row, register::custody(&**look.rows, &id)?))
            })
            .await?;
        Ok(Response::new(ShowDeviceResponse { device: Some(device) }))
    }

    async fn list_entries(
        &self,
        request: Request<ListEntriesRequest>,
    ) -> Result<Response<ListEntriesResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let asked = request.into_inner();
        let id = device_id(&asked.device_id).map_err(|refusal| answer(&refusal))?;
        let page = self.0.look(&caller, Reading::of(Act::DeviceLedger), |look| entries(look, &id, &asked)).await?;
        Ok(Response::new(page))
    }

    async fn list_uncollected(
        &self,
        request: Request<ListUncollectedRequest>,
    ) -> Result<Response<ListUncollectedResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let unit: Option<UnitId> =
            convert::optional_parsed("unit_id", &request.get_ref().unit_id).map_err(|refusal| answer(&refusal))?;
        let devices =
            self.0.look(&caller, Reading::of(Act::DeviceLedger), |look| uncollected(look, unit.as_ref())).await?;
        Ok(Response::new(ListUncollectedResponse { devices }))
    }

    async fn list_ties(&self, request: Request<ListTiesRequest>) -> Result<Response<ListTiesResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let person =
            convert::parsed("principal_id", &request.get_ref().principal_id).map_err(|refusal| answer(&refusal))?;
        let ties = self.0.look(&caller, Reading::of(Act::DeviceLedger), |look| ties(look, &person)).await?;
        Ok(Response::new(ties))
    }

    async fn list_keepers(
        &self,
        request: Request<ListKeepersRequest>,
    ) -> Result<Response<ListKeepersResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let unit: UnitId =
            convert::parsed("unit_id", &request.get_ref().unit_id).map_err(|refusal| answer(&refusal))?;
        let wall = self.0.system().clock.wall();
        let terms = self
            .0
            .look(&caller, Reading::of(Act::UnitList), |look| {
                let rows = &**look.rows;
                let now = clock::read(rows)?.bounded_wall(wall);
                let row = KEEPERS.read(rows, &unit)?.unwrap_or_default();
                let custodian = row.custodian(now).map(|term| term.seq);
                Ok(row.terms.iter().map(|term| term_message(term, custodian == Some(term.seq), now)).collect())
            })
            .await?;
        Ok(Response::new(ListKeepersResponse { terms }))
    }
}

fn device_id(text: &str) -> Result<DeviceId, Refusal> {
    convert::parsed("device_id", text)
}

fn percent(number: u32) -> Result<u8, Refusal> {
    u8::try_from(number).map_err(|_| Refusal::invalid("battery_percent: a battery holds 0 to 100 percent"))
}

/// The device, where the caller's unit covers it.
fn own(look: &Look<'_>, id: &DeviceId) -> Result<DeviceRow, Stop> {
    let row = DEVICES.read(&**look.rows, id)?.ok_or_else(|| Refusal::not_found(format!("device {id}")))?;
    within_unit(&look.principal, &row.unit)?;
    Ok(row)
}

fn entries(look: &Look<'_>, id: &DeviceId, asked: &ListEntriesRequest) -> Result<ListEntriesResponse, Stop> {
    own(look, id)?;
    let after = Some(asked.page_token.to_vec()).filter(|token| !token.is_empty());
    let wanted = page_size(asked.page_size);
    let page = DEVICE_ENTRIES.scan(&**look.rows, id, after.as_deref(), wanted)?;
    let next = page.last().filter(|_| page.len() == wanted).map(|(key, _)| key.clone()).unwrap_or_default();
    let entries = page.iter().map(|(key, entry)| Ok(entry_message(number_of(key)?, entry)));
    Ok(ListEntriesResponse { entries: entries.collect::<Result<_, RowError>>()?, next_page_token: next.into() })
}

/// The end of a key of [`DEVICE_ENTRIES`] is the entry's number.
fn number_of(key: &[u8]) -> Result<u64, RowError> {
    let corrupt = || RowError::Corrupt { table: DEVICE_ENTRIES.name, detail: "a key is too short".to_owned() };
    Ok(u64::from_be_bytes(*key.last_chunk().ok_or_else(corrupt)?))
}

/// Devices with people (R-004-16): a device that was collected is in the store.
fn uncollected(look: &Look<'_>, unit: Option<&UnitId>) -> Result<Vec<DeviceState>, Stop> {
    let rows: &dyn Rows = &**look.rows;
    if let Some(unit) = unit {
        within_unit(&look.principal, unit)?;
    }
    let (mut found, mut after) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let page = DEVICES.scan(rows, &(), after.as_deref(), limits::PAGE_ROWS_MAX)?;
        let last_page = page.len() < limits::PAGE_ROWS_MAX;
        for (key, row) in page {
            after = Some(key);
            if look.principal.covers(&row.unit) && unit.is_none_or(|unit| row.unit == *unit) {
                let custody = register::custody(rows, &row.id)?;
                if let Place::Person(_) = custody.place {
                    found.push(state(&row, custody));
                }
            }
        }
        if last_page {
            return Ok(found);
        }
    }
}

fn ties(look: &Look<'_>, person: &PrincipalId) -> Result<ListTiesResponse, Stop> {
    let rows: &dyn Rows = &**look.rows;
    let row = PRINCIPALS.read(rows, person)?.ok_or_else(|| Refusal::not_found(format!("principal {person}")))?;
    if let Some(unit) = row.unit.as_ref().filter(|_| look.principal.id != *person) {
        within_unit(&look.principal, unit)?;
    }
    let ties = clearance::ties(rows, person)?;
    let cleared = CLEARANCES.scan(rows, person, None, 1)?.into_iter().next().map(|(_, row)| row);
    Ok(ListTiesResponse {
        ties: ties
            .into_iter()
            .map(|(device, tie)| WireTie { device_id: device.to_string(), kind: tie.name().to_owned() })
            .collect(),
        cleared_unix_ms: cleared.as_ref().map(|row| row.at.0),
        cleared_by: cleared.as_ref().map_or_else(String::new, |row| row.by.to_string()),
        cleared_record_seq: cleared.map_or(0, |row| row.seq.0),
    })
}

fn text(id: Option<&PrincipalId>) -> String {
    id.map_or_else(String::new, ToString::to_string)
}

pub(super) fn state(device: &DeviceRow, row: DeviceCustodyRow) -> DeviceState {
    let asset = device.asset.clone().unwrap_or_default();
    DeviceState {
        device_id: device.id.to_string(),
        unit_id: device.unit.to_string(),
        device_type: device.device_type.name().to_owned(),
        brand_model: device.brand_model.clone(),
        asset_no: asset.asset_no,
        accessories: asset.accessories,
        custodian: text(row.custodian.as_ref()),
        place: row.place.name().to_owned(),
        holder: row.place.holder().to_owned(),
        since_unix_ms: row.since.0,
        offer_way: row.offer.as_ref().map_or_else(String::new, |offer| offer.way.name().to_owned()),
        offer_by: text(row.offer.as_ref().map(|offer| &offer.by)),
        offer_to: text(row.offer.as_ref().and_then(|offer| offer.to.as_ref())),
        fault_open: row.fault.is_some(),
        fault_confirmed: row.fault.is_some_and(|fault| fault.confirmed),
        clock_offset_ms: row.clock.as_ref().map(|clock| clock.offset_ms),
        clock_measured_unix_ms: row.clock.as_ref().map(|clock| clock.measured_at.0),
        clock_against: row.clock.map_or_else(String::new, |clock| clock.against),
        un_ingested: row.un_ingested,
        owing: row.owing.iter().map(ToString::to_string).collect(),
        collected_unix_ms: row.collected.as_ref().map(|collected| collected.at.0),
        collected_by: text(row.collected.as_ref().map(|collected| &collected.by)),
    }
}

fn entry_message(number: u64, entry: &register::DeviceEntry) -> DeviceEntry {
    let (kind, details) = told(&entry.what);
    DeviceEntry {
        number,
        at_unix_ms: entry.at.0,
        by: text(entry.by.as_ref()),
        record_seq: entry.seq.0,
        kind: kind.to_owned(),
        place: entry.moved_to.as_ref().map_or_else(String::new, |place| place.name().to_owned()),
        holder: entry.moved_to.as_ref().map_or_else(String::new, |place| place.holder().to_owned()),
        details: details
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| (name.to_owned(), text))
            .collect(),
        findings: entry.findings.clone(),
    }
}

fn told(what: &What) -> (&'static str, BTreeMap<&'static str, String>) {
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    match what {
        What::Registered => ("registered", BTreeMap::new()),
        What::Offered(offer, accessories, content) => (
            offer.way.name(),
            BTreeMap::from([
                ("to", text(offer.to.as_ref())),
                ("accessories", accessories.clone()),
                ("content", content.clone()),
                ("un_ingested", number(offer.un_ingested)),
            ]),
        ),
        What::Taken(way) => ("accepted", BTreeMap::from([("way", way.name().to_owned())])),
        What::Declined(why) => ("declined", BTreeMap::from([("reason", why.clone())])),
        What::Lost(at, how) => {
            ("lost", BTreeMap::from([("noticed_at", at.to_string()), ("circumstances", how.clone())]))
        }
        What::Restored(note) => ("restored", BTreeMap::from([("note", note.clone())])),
        What::Fault(at, fault, reported_to) => (
            "fault",
            BTreeMap::from([
                ("found_at", at.to_string()),
                ("fault", fault.clone()),
                ("reported_to", reported_to.clone()),
            ]),
        ),
        What::FaultConfirmed(entry) => ("fault-confirmed", BTreeMap::from([("entry", entry.to_string())])),
        What::Repair(count, why) => {
            ("repair", BTreeMap::from([("un_ingested", count.to_string()), ("explanation", why.clone())]))
        }
        What::Docked(docking) => (
            "docked",
            BTreeMap::from([
                ("clock_offset_ms", docking.offset_ms.to_string()),
                ("against", docking.against.clone()),
                ("battery_percent", number(docking.battery_percent.map(u64::from))),
                ("free_bytes", number(docking.free_bytes)),
                ("un_ingested", docking.un_ingested.to_string()),
                ("shows_time", docking.shows_time.map_or_else(String::new, |shows| shows.to_string())),
            ]),
        ),
        What::Corrected(entry, field, value, reason) => (
            "corrected",
            BTreeMap::from([
                ("entry", entry.to_string()),
                ("field", field.clone()),
                ("value", value.clone()),
                ("reason", reason.clone()),
            ]),
        ),
        What::Keeper(principal) => ("custodian", BTreeMap::from([("custodian", principal.to_string())])),
        What::Sealed(envelope, found_by, reason) => (
            "sealed-secret",
            BTreeMap::from([
                ("envelope", envelope.clone()),
                ("found_by", found_by.to_string()),
                ("reason", reason.clone()),
            ]),
        ),
        What::UnitMoved(from, to) => {
            ("unit-moved", BTreeMap::from([("from", from.to_string()), ("to", to.to_string())]))
        }
    }
}

fn term_message(term: &KeeperTerm, custodian: bool, now: UnixMillis) -> WireTerm {
    let runs = |until: UnixMillis| term.from <= now && now < until;
    WireTerm {
        principal_id: term.principal.to_string(),
        deputy: term.until.is_some(),
        from_unix_ms: term.from.0,
        until_unix_ms: term.until.map(|until| until.0),
        current: term.until.map_or(custodian, runs),
        record_seq: term.seq.0,
    }
}
