//! Calls of the register of devices.

use bytes::Bytes;
use strongroom_proto::device::{self, device_service_client::DeviceServiceClient};
use strongroom_types::{DeviceId, PrincipalId, RecordSeq, UnitId, limits};

use super::{Page, present, text};
use crate::call::Client;
use crate::error::ClientError;

changes! { DeviceServiceClient,
    /// The giver's step from the store to a person.
    issue_device(device::IssueDeviceRequest);
    /// The giver's step from one person to another.
    hand_over_device(device::HandOverDeviceRequest);
    /// The giver's step from a person to the store.
    return_device(device::ReturnDeviceRequest);
    /// The receiver's step, or the end of an offer.
    answer_offer(device::AnswerOfferRequest);
    /// Reports a device lost.
    report_loss(device::ReportLossRequest);
    /// Reports a fault.
    report_fault(device::ReportFaultRequest);
    /// Confirms the open fault.
    confirm_fault(device::ConfirmFaultRequest);
    /// Sends a device to be mended.
    send_to_repair(device::SendToRepairRequest);
    /// Takes a device back that was mended or found.
    restore_device(device::RestoreDeviceRequest);
    /// Records what was seen when a device was docked.
    dock_device(device::DockDeviceRequest);
    /// Appends how an entry is to be read.
    correct_entry(device::CorrectEntryRequest);
    /// Clears a person of devices.
    clear_person(device::ClearPersonRequest);
    /// Names a custodian or a deputy.
    name_keeper(device::NameKeeperRequest);
}

/// What the register of devices says.
impl Client {
    /// One device and where it is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show_device(&self, device: &DeviceId) -> Result<device::DeviceState, ClientError> {
        let request = device::ShowDeviceRequest { device_id: device.to_string() };
        present("device", unary!(self, DeviceServiceClient, show_device, request)?.device)
    }

    /// A page of a device's register, oldest entry first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_device_entries(
        &self,
        device: &DeviceId,
        page: Page,
    ) -> Result<(Vec<device::DeviceEntry>, Bytes), ClientError> {
        let request =
            device::ListEntriesRequest { device_id: device.to_string(), page_size: page.size, page_token: page.token };
        let answer = unary!(self, DeviceServiceClient, list_entries, request)?;
        Ok((answer.entries, answer.next_page_token))
    }

    /// Devices that are with people.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_uncollected(&self, unit: Option<&UnitId>) -> Result<Vec<device::DeviceState>, ClientError> {
        let request = device::ListUncollectedRequest { unit_id: text(unit.map(UnitId::as_str)) };
        Ok(unary!(self, DeviceServiceClient, list_uncollected, request)?.devices)
    }

    /// What a person has to do with which devices, and when they were cleared last.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_ties(&self, person: &PrincipalId) -> Result<device::ListTiesResponse, ClientError> {
        let request = device::ListTiesRequest { principal_id: person.to_string() };
        unary!(self, DeviceServiceClient, list_ties, request)
    }

    /// Custodian and deputies of a unit.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list_keepers(&self, unit: &UnitId) -> Result<Vec<device::KeeperTerm>, ClientError> {
        let request = device::ListKeepersRequest { unit_id: unit.to_string() };
        Ok(unary!(self, DeviceServiceClient, list_keepers, request)?.terms)
    }
}
