//! Principals, units, devices and profiles.

use bytes::Bytes;
use strongroom_custody::{
    self as custody, Act,
    access::Stop,
    command::{AddDevice, AddUnit, RegisterPrincipal, RevokePrincipal, RotatePrincipal},
    profile::Profile,
    tables::{
        DEVICES, DeviceAsset, DeviceRow, DeviceType, PRINCIPALS, PROFILES, PrincipalRow, ProfileRow, UNITS, UnitRow,
    },
    unit::{self, FormerName},
    upload::newest_profile,
};
use strongroom_net::pki::key_hash_of_certificate;
use strongroom_proto::{
    admin::{
        AddDeviceRequest, AddDeviceResponse, AddUnitRequest, AddUnitResponse, Device, FormerName as WireName,
        ListDevicesRequest, ListDevicesResponse, ListPrincipalsRequest, ListPrincipalsResponse, ListProfilesRequest,
        ListProfilesResponse, ListUnitsRequest, ListUnitsResponse, Principal, ProfileSummary, RegisterPrincipalRequest,
        RegisterPrincipalResponse, RevokePrincipalRequest, RevokePrincipalResponse, RotatePrincipalRequest,
        RotatePrincipalResponse, ShowProfileRequest, ShowProfileResponse, ShowUnitRequest, ShowUnitResponse, Unit,
        admin_service_server::AdminService,
    },
    convert,
};
use strongroom_types::{
    KeyHash, PrincipalId, ProfileName, Refusal, UnitId, limits,
    rows::{Key, RowError, Rows, Table},
};
use tonic::{Request, Response, Status};

use crate::edge::{Edge, Reading, answer, digest, fault, idempotency};

pub(super) struct Admin(pub(super) Edge);

#[tonic::async_trait]
impl AdminService for Admin {
    async fn register_principal(
        &self,
        request: Request<RegisterPrincipalRequest>,
    ) -> Result<Response<RegisterPrincipalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency =
            idempotency(&std::mem::take(&mut asked.idempotency_key), digest("RegisterPrincipal", &asked))?;
        let command = registration(&asked).map_err(|refusal| answer(&refusal))?;
        let id = command.principal.clone();
        self.0.record(&caller, custody::Command::RegisterPrincipal(command), idempotency).await?;
        Ok(Response::new(RegisterPrincipalResponse { principal: Some(self.principal(&id).await?) }))
    }

    async fn rotate_principal(
        &self,
        request: Request<RotatePrincipalRequest>,
    ) -> Result<Response<RotatePrincipalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut asked.idempotency_key), digest("RotatePrincipal", &asked))?;
        let principal = principal_id(&asked.principal_id)?;
        let key = key_hash(&asked.certificate).map_err(|refusal| answer(&refusal))?;
        let command = RotatePrincipal { principal: principal.clone(), key };
        self.0.record(&caller, custody::Command::RotatePrincipal(command), idempotency).await?;
        Ok(Response::new(RotatePrincipalResponse { principal: Some(self.principal(&principal).await?) }))
    }

    async fn revoke_principal(
        &self,
        request: Request<RevokePrincipalRequest>,
    ) -> Result<Response<RevokePrincipalResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut asked.idempotency_key), digest("RevokePrincipal", &asked))?;
        let principal = principal_id(&asked.principal_id)?;
        let command = RevokePrincipal { principal: principal.clone(), reason: asked.reason };
        self.0.record(&caller, custody::Command::RevokePrincipal(command), idempotency).await?;
        Ok(Response::new(RevokePrincipalResponse { principal: Some(self.principal(&principal).await?) }))
    }

    async fn list_principals(
        &self,
        request: Request<ListPrincipalsRequest>,
    ) -> Result<Response<ListPrincipalsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let rows =
            self.0.look(&caller, Reading::of(Act::PrincipalList), |look| Ok(all(&PRINCIPALS, &**look.rows)?)).await?;
        Ok(Response::new(ListPrincipalsResponse { principals: rows.iter().map(principal_message).collect() }))
    }

    async fn add_unit(&self, request: Request<AddUnitRequest>) -> Result<Response<AddUnitResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut asked.idempotency_key), digest("AddUnit", &asked))?;
        let command = new_unit(asked.unit).map_err(|refusal| answer(&refusal))?;
        let record_seq = self.0.record(&caller, custody::Command::AddUnit(command), idempotency).await?;
        Ok(Response::new(AddUnitResponse { record_seq }))
    }

    async fn list_units(&self, request: Request<ListUnitsRequest>) -> Result<Response<ListUnitsResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let units = self
            .0
            .look(&caller, Reading::of(Act::UnitList), |look| {
                let rows = &**look.rows;
                all(&UNITS, rows)?.iter().map(|row| unit_message(rows, row)).collect::<Result<_, _>>()
            })
            .await?;
        Ok(Response::new(ListUnitsResponse { units }))
    }

    async fn show_unit(&self, request: Request<ShowUnitRequest>) -> Result<Response<ShowUnitResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let id: UnitId = convert::parsed("unit_id", &request.get_ref().unit_id).map_err(|refusal| answer(&refusal))?;
        let shown = self.0.look(&caller, Reading::of(Act::UnitList), |look| shown_unit(&**look.rows, &id)).await?;
        Ok(Response::new(shown))
    }

    async fn add_device(&self, request: Request<AddDeviceRequest>) -> Result<Response<AddDeviceResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let mut asked = request.into_inner();
        let idempotency = idempotency(&std::mem::take(&mut asked.idempotency_key), digest("AddDevice", &asked))?;
        let command = device(asked.device).map_err(|refusal| answer(&refusal))?;
        let record_seq = self.0.record(&caller, custody::Command::AddDevice(command), idempotency).await?;
        Ok(Response::new(AddDeviceResponse { record_seq }))
    }

    async fn list_devices(
        &self,
        request: Request<ListDevicesRequest>,
    ) -> Result<Response<ListDevicesResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let rows = self
            .0
            .look(&caller, Reading::of(Act::DeviceList), |look| {
                let devices = all(&DEVICES, &**look.rows)?;
                Ok(devices.into_iter().filter(|device| look.principal.covers(&device.unit)).collect::<Vec<_>>())
            })
            .await?;
        Ok(Response::new(ListDevicesResponse { devices: rows.iter().map(device_message).collect() }))
    }

    async fn show_profile(
        &self,
        request: Request<ShowProfileRequest>,
    ) -> Result<Response<ShowProfileResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let name: ProfileName = convert::parsed("name", &request.get_ref().name).map_err(|refusal| answer(&refusal))?;
        let (version, row) =
            self.0.look(&caller, Reading::of(Act::ProfileShow), |look| newest_profile(&**look.rows, &name)).await?;
        Ok(Response::new(ShowProfileResponse { name: name.to_string(), version: small(version), toml: row.toml }))
    }

    async fn list_profiles(
        &self,
        request: Request<ListProfilesRequest>,
    ) -> Result<Response<ListProfilesResponse>, Status> {
        let caller = self.0.caller(&request).await?;
        let profiles = self.0.look(&caller, Reading::of(Act::ProfileShow), |look| profiles(&**look.rows)).await?;
        Ok(Response::new(ListProfilesResponse { profiles }))
    }
}

impl Admin {
    async fn principal(&self, id: &PrincipalId) -> Result<Principal, Status> {
        let rows = self.0.rows().await?;
        let row = PRINCIPALS.read(&*rows, id).map_err(|error| fault(&error))?;
        let row = row.ok_or_else(|| answer(&Refusal::not_found(format!("principal {id}"))))?;
        Ok(principal_message(&row))
    }
}

/// Registers are small: a whole one fits an answer.
pub(super) fn all<K: Key, V>(table: &Table<K, V>, rows: &dyn Rows) -> Result<Vec<V>, RowError>
where
    V: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    let (mut found, mut after) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let page = table.scan(rows, &(), after.as_deref(), limits::PAGE_ROWS_MAX)?;
        let last_page = page.len() < limits::PAGE_ROWS_MAX;
        for (key, row) in page {
            after = Some(key);
            found.push(row);
        }
        if last_page {
            return Ok(found);
        }
    }
}

fn profiles(rows: &dyn Rows) -> Result<Vec<ProfileSummary>, Stop> {
    let mut names: Vec<ProfileName> =
        all(&PROFILES, rows)?.into_iter().map(|row: ProfileRow| row.profile.name).collect();
    names.dedup();
    let summary = |name: &ProfileName| {
        let (version, row) = newest_profile(rows, name)?;
        Ok(ProfileSummary {
            name: name.to_string(),
            version: small(version),
            floor: floor(&row.profile),
            agency: row.profile.agency,
        })
    };
    names.iter().map(summary).collect()
}

fn floor(profile: &Profile) -> String {
    profile.floor.as_ref().map_or_else(|| "unspecified".to_owned(), |floor| format!("P{}M", floor.months))
}

/// Versions count activations of one regulation.
pub(super) fn small(version: u64) -> u32 {
    u32::try_from(version).unwrap_or(u32::MAX)
}

fn registration(asked: &RegisterPrincipalRequest) -> Result<RegisterPrincipal, Refusal> {
    Ok(RegisterPrincipal {
        principal: convert::parsed("principal_id", &asked.principal_id)?,
        key: key_hash(&asked.certificate)?,
        roles: asked.roles.iter().map(|role| convert::parsed("roles", role)).collect::<Result<_, _>>()?,
        unit: convert::optional_parsed("unit_id", &asked.unit_id)?,
    })
}

fn key_hash(certificate: &Bytes) -> Result<KeyHash, Refusal> {
    key_hash_of_certificate(certificate).map_err(|error| Refusal::invalid(format!("certificate: {error}")))
}

fn principal_id(text: &str) -> Result<PrincipalId, Status> {
    convert::parsed("principal_id", text).map_err(|refusal| answer(&refusal))
}

fn new_unit(asked: Option<Unit>) -> Result<AddUnit, Refusal> {
    let asked = convert::required("unit", asked)?;
    Ok(AddUnit {
        unit: convert::parsed("unit.unit_id", &asked.unit_id)?,
        full_name: asked.full_name,
        profile: convert::parsed("unit.profile", &asked.profile)?,
    })
}

fn device(asked: Option<Device>) -> Result<AddDevice, Refusal> {
    let asked = convert::required("device", asked)?;
    let kinds = || DeviceType::ALL.map(DeviceType::name).join(", ");
    let device_type = DeviceType::from_name(&asked.device_type).ok_or_else(|| {
        Refusal::invalid(format!("device.device_type: {:?} is not one of {}", asked.device_type, kinds()))
    })?;
    Ok(AddDevice {
        device: convert::parsed("device.device_id", &asked.device_id)?,
        unit: convert::parsed("device.unit_id", &asked.unit_id)?,
        device_type,
        brand_model: asked.brand_model,
        asset: asset(
            asked.asset_no,
            asked.accessories,
            convert::optional_parsed("device.custodian", &asked.custodian)?,
        ),
    })
}

/// What a register begins with besides; nothing of it is nothing.
fn asset(asset_no: String, accessories: String, custodian: Option<PrincipalId>) -> Option<DeviceAsset> {
    let asset = DeviceAsset { asset_no, accessories, custodian };
    (asset != DeviceAsset::default()).then_some(asset)
}

fn principal_message(row: &PrincipalRow) -> Principal {
    Principal {
        principal_id: row.id.to_string(),
        key_hash: Bytes::copy_from_slice(row.key.as_bytes()),
        roles: row.roles.iter().map(ToString::to_string).collect(),
        unit_id: row.unit.as_ref().map_or_else(String::new, ToString::to_string),
        revoked: row.revoked_at.is_some(),
    }
}

fn unit_message(rows: &dyn Rows, row: &UnitRow) -> Result<Unit, Stop> {
    let end = row.ended.as_ref();
    Ok(Unit {
        unit_id: row.id.to_string(),
        full_name: row.full_name.clone(),
        profile: row.profile.to_string(),
        agency: newest_profile(rows, &row.profile)?.1.profile.agency,
        from_unix_ms: row.from.map(|from| from.0),
        ended_unix_ms: end.map(|end| end.at.0),
        successor_ids: end.map_or_else(Vec::new, |end| end.successors.iter().map(ToString::to_string).collect()),
    })
}

fn shown_unit(rows: &dyn Rows, id: &UnitId) -> Result<ShowUnitResponse, Stop> {
    let former =
        |name: FormerName| WireName { full_name: name.name, until_unix_ms: name.until.0, record_seq: name.seq.0 };
    Ok(ShowUnitResponse {
        unit: Some(unit_message(rows, &unit::known(rows, id)?)?),
        former_names: unit::former_names(rows, id)?.into_iter().map(former).collect(),
        former_unit_ids: unit::formers(rows, id)?.iter().map(ToString::to_string).collect(),
    })
}

fn device_message(row: &DeviceRow) -> Device {
    let asset = row.asset.clone().unwrap_or_default();
    Device {
        device_id: row.id.to_string(),
        unit_id: row.unit.to_string(),
        device_type: row.device_type.name().to_owned(),
        brand_model: row.brand_model.clone(),
        asset_no: asset.asset_no,
        accessories: asset.accessories,
        custodian: asset.custodian.as_ref().map_or_else(String::new, ToString::to_string),
    }
}
