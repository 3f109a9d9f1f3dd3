//! The commands, one file each, and the runtime that each of them gets.

mod demo;
mod dev;
mod node;
mod pki;

mod activity;
mod device;
mod principal;
mod profile;
mod register;
mod unit;

mod case;
mod copy_out;
mod correction;
mod disposal;
mod draw;
mod hold;
mod ingest;
mod inspection;
mod item;
mod mandate;
mod request;
mod secret;
mod view;
mod view_list;

mod cluster;
mod ledger;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;

pub(crate) use pki::{CERTIFICATE_DAYS, file_stem, load_authority, write_new};

use crate::failure::Failure;
use crate::session::Globals;

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tells the whole story on this machine in under a minute: ingest, refusals, copies, lost nodes, proofs
    Demo(demo::Demo),
    /// Makes and runs a cluster of node processes on this machine
    #[command(subcommand)]
    Dev(dev::Dev),
    /// Runs a storage node
    #[command(subcommand)]
    Node(node::Node),
    /// Keys and certificates
    #[command(subcommand)]
    Pki(pki::Pki),
    /// People, stations and services
    #[command(subcommand)]
    Principal(principal::Principal),
    /// Organisational units
    #[command(subcommand)]
    Unit(unit::Unit),
    /// Recording devices
    #[command(subcommand)]
    Device(device::Device),
    /// Enforcement activities: phases, gaps, interruptions, exemptions, deadlines
    #[command(subcommand)]
    Activity(activity::Activity),
    /// Registers of interruptions, exemptions and notices
    #[command(subcommand)]
    Register(register::Register),
    /// Profiles: an agency's regulation as data
    #[command(subcommand)]
    Profile(profile::Profile),
    /// Uploads originals, and verifies and stores their receipts
    Ingest(ingest::Ingest),
    /// The catalogue
    #[command(subcommand)]
    Item(item::Item),
    /// Cases: items as evidence, kept as long as the case file
    #[command(subcommand)]
    Case(case::Case),
    /// Holds: legal matters that forbid disposal
    #[command(subcommand)]
    Hold(hold::Hold),
    /// Corrections of mistakes, by two offices
    #[command(subcommand)]
    Correction(correction::Correction),
    /// Requests for footage and their approvals
    #[command(subcommand)]
    Request(request::Request),
    /// Mandates 授权: deputies who are appointed to preside, and rights that were lent
    #[command(subcommand)]
    Mandate(mandate::Mandate),
    /// Lists of items that are handed to a reviewer or an inspector to look at
    #[command(subcommand)]
    ViewList(view_list::ViewList),
    /// Disposal 销毁: the only delete, from the proposal to the certificate
    #[command(subcommand)]
    Disposal(disposal::Disposal),
    /// State secrets 涉密: devices that were sealed, and removals to a classified carrier
    #[command(subcommand)]
    Secret(secret::Secret),
    /// Draws 抽样: samples for spot checks, which nobody can steer and anybody can draw again
    #[command(subcommand)]
    Draw(draw::Draw),
    /// Targeted inspections: what a complaint names
    #[command(subcommand)]
    Inspection(inspection::Inspection),
    /// Writes what an approved request grants into a folder
    CopyOut(copy_out::CopyOut),
    /// Shows an item of an approved request to a player on this machine, at an address of one session
    View(view::View),
    /// Verifies receipts, files and copied-out folders offline: needs no server and no network
    Verify(verify::Verify),
    /// The ledger, for auditors
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// The machines, for operators
    #[command(subcommand)]
    Cluster(cluster::Cluster),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self, globals: &Globals) -> Result<ExitCode, Failure> {
        match self {
            Self::Demo(command) => on_threads(command.run(globals)),
            Self::Dev(command) => on_one_thread(command.run(globals)),
            Self::Node(command) => command.run(globals),
            Self::Pki(command) => command.run(globals),
            Self::Principal(command) => on_one_thread(command.run(globals)),
            Self::Unit(command) => on_one_thread(command.run(globals)),
            Self::Device(command) => on_one_thread(command.run(globals)),
            Self::Activity(command) => on_one_thread(command.run(globals)),
            Self::Register(command) => on_one_thread(command.run(globals)),
            Self::Profile(command) => on_one_thread(command.run(globals)),
            Self::Ingest(command) => on_threads(command.run(globals)),
            Self::Item(command) => on_one_thread(command.run(globals)),
            Self::Case(command) => on_one_thread(command.run(globals)),
            Self::Hold(command) => on_one_thread(command.run(globals)),
            Self::Correction(command) => on_one_thread(command.run(globals)),
            Self::Request(command) => on_one_thread(command.run(globals)),
            Self::Mandate(command) => on_one_thread(command.run(globals)),
            Self::ViewList(command) => on_one_thread(command.run(globals)),
            Self::Disposal(command) => on_one_thread(command.run(globals)),
            Self::Secret(command) => on_one_thread(command.run(globals)),
            Self::Draw(command) => on_one_thread(command.run(globals)),
            Self::Inspection(command) => on_one_thread(command.run(globals)),
            Self::CopyOut(command) => on_threads(command.run(globals)),
            Self::View(command) => on_threads(command.run(globals)),
            Self::Verify(command) => command.run(globals),
            Self::Ledger(command) => on_one_thread(command.run(globals)),
            Self::Cluster(command) => on_one_thread(command.run(globals)),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

/// For commands that ask and show.
fn on_one_thread<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::caused_by("could not start", &error))?.block_on(work)
}

/// For commands that move footage: encryption of one connection and hashing of another share no thread.
fn on_threads<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| Failure::caused_by("could not start", &error))?.block_on(work)
}
