//! Every role against every call: the table of `custody::Act` is what the cluster does, no more and no less.

use std::collections::BTreeMap;
use std::fs;

use futures::future::join_all;
use strongroom_proto::status::to_refusal;
use strongroom_types::{ErrorKind, Reason, Role};
use tonic::{Code, Status};

use crate::calls::{Call, described, table};
use crate::world::{Record, World};

/// Calls of the client port times roles, written out so that a change of either is seen.
const CELLS: usize = 164 * 13;

#[expect(clippy::print_stdout, reason = "how much was tried is what a reader of the log asks first")]
pub(crate) async fn every_role_may_what_the_table_says_and_nothing_else(world: &World) {
    let certificate = fs::read(world.of_role(Role::Legal).certificate).expect("reads");
    let calls = table(certificate.into());
    let mut paths: Vec<_> = calls.iter().map(|call| call.path.to_owned()).collect();
    paths.sort();
    assert_eq!(paths, described(false), "every call of the client port has one row");
    stations_only_ingest(&calls);

    let from = world.status().await.ledger_size;
    let by_role = Role::ALL.into_iter().enumerate().map(|(number, role)| try_all(world, role, number, &calls));
    let cells: Vec<_> = join_all(by_role).await.into_iter().flatten().collect();
    let wrong: Vec<_> = cells.iter().filter_map(|cell| cell.fault.as_deref()).collect();
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));

    let mut refused = BTreeMap::new();
    for cell in cells.iter().filter(|cell| !cell.allowed) {
        *refused.entry((cell.role.name().to_owned(), cell.act.to_owned())).or_insert(0) += 1;
    }
    world.recorded(from, |records| same(&refusals(records), &refused)).await;
    let refused: usize = refused.values().sum();
    println!("{} cells: {} allowed, {refused} refused and recorded", cells.len(), cells.len() - refused);
    assert_eq!(cells.len(), CELLS);
}

struct Cell {
    role: Role,
    act: &'static str,
    allowed: bool,
    fault: Option<String>,
}

/// Everything in turn by one role, each role at another node.
async fn try_all(world: &World, role: Role, number: usize, calls: &[Call]) -> Vec<Cell> {
    let channel = world.role(role, number % world.nodes());
    let mut cells = Vec::new();
    for call in calls {
        let allowed = call.act.roles().contains(&role);
        let answer = call.by(&channel, &world.fresh("matrix")).await;
        let right = if allowed { is_no_question_of_roles(&answer) } else { is_refused_to_the_role(&answer) };
        let may = if allowed { "may" } else { "may not" };
        let fault = (!right).then(|| format!("{role} {may} call {}, and was answered {answer:?}", call.path));
        cells.push(Cell { role, act: call.act.name(), allowed, fault });
    }
    cells
}

fn is_refused_to_the_role(answer: &Result<(), Status>) -> bool {
    let Err(status) = answer else { return false };
    let refusal = to_refusal(status);
    status.code() == Code::PermissionDenied
        && refusal.reason == Reason::RoleNotAllowed
        && refusal.rule == "C5"
        && !refusal.remedy.is_empty()
}

/// Done, or refused for a reason that has nothing to do with who asks.
fn is_no_question_of_roles(answer: &Result<(), Status>) -> bool {
    let Err(status) = answer else { return true };
    let refusal = to_refusal(status);
    match refusal.reason.kind() {
        ErrorKind::FixYourRequest => true,
        ErrorKind::RefusedByPolicy => {
            matches!(refusal.reason, Reason::ApprovalMissing | Reason::WrongState | Reason::AssentMissing)
        }
        ErrorKind::TryAgain => refusal.reason == Reason::ReceiptPending,
        ErrorKind::WeAreBroken => false,
    }
}

/// What a station does besides: it looks at the devices that are docked to it.
const DOCK: &str = "/strongroom.device.v1.DeviceService/DockDevice";
/// A station says that a device was sealed instead of being docked.
const SEAL_DEVICE: &str = "/strongroom.secret.v1.SecretService/SealDevice";

fn stations_only_ingest(calls: &[Call]) {
    let may = calls.iter().filter(|call| call.act.roles().contains(&Role::Station)).map(|call| call.path);
    let ingest = |path: &&str| path.starts_with("/strongroom.ingest.v1.") || [DOCK, SEAL_DEVICE].contains(path);
    assert_eq!(may.collect::<Vec<_>>(), calls.iter().map(|call| call.path).filter(ingest).collect::<Vec<_>>());
}

/// How often each act was refused to each principal for its roles.
fn refusals(records: &[Record]) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for record in records.iter().filter(|record| record.result == "ROLE_NOT_ALLOWED") {
        *counts.entry((record.actor.clone(), record.act.clone())).or_insert(0) += 1;
    }
    counts
}

fn same(found: &BTreeMap<(String, String), usize>, expected: &BTreeMap<(String, String), usize>) -> Result<(), String> {
    let differ = |(key, count): &(&(String, String), &usize)| found.get(*key) != Some(*count);
    let missing: Vec<_> = expected.iter().filter(differ).collect();
    let strange: Vec<_> = found.iter().filter(|(key, _)| !expected.contains_key(*key)).collect();
    if missing.is_empty() && strange.is_empty() {
        return Ok(());
    }
    Err(format!("missing {missing:?}, not expected {strange:?}"))
}
