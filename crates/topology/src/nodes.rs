//! Nodes: registered once, in service → draining → drained → removed, and the voter set among them.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_types::{DiskId, NodeId, Reason, Refusal, UnitId, limits, rows::Rows};

use crate::{
    DISKS_PER_NODE_MAX, NODES_MAX,
    command::{Event, NodeUpdate, Registration},
    outcome::{Outcome, Stop, done},
    read,
    row::{DISK_USE, DiskRow, DiskState, NODES, NodeRow, NodeState},
    volumes,
};

/// Sizes that a voter set may have: a majority exists and survives one or two losses (one voter: none).
const VOTER_COUNTS: [usize; 3] = [1, 3, 5];

pub(crate) fn register(rows: &mut dyn Rows, registration: &Registration) -> Outcome {
    let node = checked_row(registration)?;
    let others = read::nodes(rows)?;
    if let Some(stored) = others.iter().find(|other| other.id == node.id) {
        return if is_same_registration(stored, &node) { done(Vec::new()) } else { Err(id_taken(stored).into()) };
    }
    if others.len() >= NODES_MAX {
        return Err(Refusal::invalid(format!("node {} would be one more than {NODES_MAX}", node.id)).into());
    }
    if let Some(other) = others.iter().find(|other| other.peer_key == node.peer_key) {
        let message = format!("the peer key {} belongs to node {}", node.peer_key.short(), other.id);
        return Err(Refusal::new(Reason::AlreadyExists, "", message, "make a new key for the new node").into());
    }
    refuse_disks_of_others(&others, node.id, &node.disks)?;
    NODES.write(rows, &node.id, &node);
    done(vec![Event::NodeRegistered {
        node: node.id,
        district: node.district,
        peer_key: node.peer_key,
        cosigner_vkey: node.cosigner_vkey,
        clock_vkey: node.clock_vkey,
    }])
}

pub(crate) fn update(rows: &mut dyn Rows, update: &NodeUpdate) -> Outcome {
    let stored = living(rows, update.node)?;
    let node = NodeRow {
        client_address: update.client_address.clone(),
        peer_address: update.peer_address.clone(),
        labels: update.labels.clone(),
        disks: by_id(update.disks.clone()),
        ..stored.clone()
    };
    refuse_bad_facts(&node)?;
    if node == stored {
        return done(Vec::new());
    }
    refuse_disks_of_others(&read::nodes(rows)?, node.id, &node.disks)?;
    refuse_lost_disks(rows, &stored, &node)?;
    NODES.write(rows, &node.id, &node);
    let stopped: Vec<DiskId> =
        node.disks.iter().filter(|disk| disk.state != DiskState::InService).map(|disk| disk.id).collect();
    volumes::close_where(rows, |slot| slot.node == node.id && stopped.contains(&slot.disk))?;
    done(vec![Event::NodeUpdated { node: node.id, disks: node.disks }])
}

pub(crate) fn set_state(rows: &mut dyn Rows, id: NodeId, state: NodeState) -> Outcome {
    let stored = NODES.read(rows, &id)?.ok_or_else(|| Refusal::not_found(format!("node {id}")))?;
    if stored.state == state {
        return done(Vec::new());
    }
    refuse_step(&stored, state)?;
    if matches!(state, NodeState::Drained | NodeState::Removed) {
        refuse_still_needed(rows, &stored, state)?;
    }
    let from = stored.state;
    NODES.write(rows, &id, &NodeRow { state, ..stored });
    if state != NodeState::InService {
        volumes::close_where(rows, |slot| slot.node == id)?;
    }
    done(vec![Event::NodeStateChanged { node: id, from, to: state }])
}

pub(crate) fn set_voters(rows: &mut dyn Rows, voters: &[NodeId]) -> Outcome {
    let wanted: BTreeSet<NodeId> = voters.iter().copied().collect();
    if wanted.len() != voters.len() || !VOTER_COUNTS.contains(&wanted.len()) {
        let message = format!("a voter set is 1, 3 or 5 different nodes, not {}", voters.len());
        return Err(Refusal::new(Reason::InvalidArgument, "", message, "name 3 or 5 nodes in service").into());
    }
    let nodes = read::nodes(rows)?;
    for id in &wanted {
        let node = nodes.iter().find(|node| node.id == *id);
        let node = node.ok_or_else(|| Refusal::not_found(format!("node {id}")))?;
        if node.state != NodeState::InService {
            let message = format!("node {id} is {} and cannot vote", node.state);
            return Err(Refusal::new(Reason::WrongState, "", message, "name nodes in service").into());
        }
    }
    let from: Vec<NodeId> = nodes.iter().filter(|node| node.voter).map(|node| node.id).collect();
    let to: Vec<NodeId> = wanted.iter().copied().collect();
    if from == to {
        return done(Vec::new());
    }
    for node in nodes {
        let voter = wanted.contains(&node.id);
        if voter != node.voter {
            NODES.write(rows, &node.id, &NodeRow { voter, ..node.clone() });
        }
    }
    done(vec![Event::VoterSetChanged { from, to }])
}

fn checked_row(registration: &Registration) -> Result<NodeRow, Refusal> {
    let node = NodeRow {
        id: registration.id,
        district: registration.district.clone(),
        state: NodeState::InService,
        client_address: registration.client_address.clone(),
        peer_address: registration.peer_address.clone(),
        peer_key: registration.peer_key,
        labels: registration.labels.clone(),
        disks: by_id(registration.disks.iter().map(|id| DiskRow { id: *id, state: DiskState::InService }).collect()),
        voter: false,
        cosigner_vkey: registration.cosigner_vkey.clone(),
        clock_vkey: registration.clock_vkey.clone(),
    };
    if node.id == NodeId(0) {
        return Err(Refusal::invalid("node ids count from 1"));
    }
    refuse_bad_key("cosigner", &node.cosigner_vkey)?;
    refuse_bad_key("clock", &node.clock_vkey)?;
    refuse_bad_facts(&node)?;
    Ok(node)
}

/// Whether the stored node came from the same registration, wherever its life has led it since, short of removal.
fn is_same_registration(stored: &NodeRow, asked: &NodeRow) -> bool {
    let ids = |node: &NodeRow| node.disks.iter().map(|disk| disk.id).collect::<Vec<_>>();
    let lived = NodeRow { state: stored.state, voter: stored.voter, disks: stored.disks.clone(), ..asked.clone() };
    stored.state != NodeState::Removed && *stored == lived && ids(stored) == ids(asked)
}

/// One order for the same disks, whatever order they were named in.
fn by_id(mut disks: Vec<DiskRow>) -> Vec<DiskRow> {
    disks.sort_by_key(|disk| disk.id);
    disks
}

fn living(rows: &dyn Rows, id: NodeId) -> Result<NodeRow, Stop> {
    let node = NODES.read(rows, &id)?.ok_or_else(|| Refusal::not_found(format!("node {id}")))?;
    if node.state == NodeState::Removed {
        let message = format!("node {id} is removed for good");
        return Err(Refusal::new(Reason::WrongState, "", message, "register it anew under a new id").into());
    }
    Ok(node)
}

fn id_taken(stored: &NodeRow) -> Refusal {
    Refusal::new(
        Reason::AlreadyExists,
        "",
        format!("node id {} was used before ({}, district {})", stored.id, stored.state, stored.district),
        "node ids are never reused: register under a new one",
    )
}

fn refuse_step(stored: &NodeRow, to: NodeState) -> Result<(), Refusal> {
    let allowed = match (stored.state, to) {
        (NodeState::InService, NodeState::Draining)
        | (NodeState::Draining, NodeState::InService | NodeState::Drained)
        | (NodeState::Drained, NodeState::InService | NodeState::Removed) => true,
        (
            NodeState::InService | NodeState::Draining | NodeState::Drained | NodeState::Removed,
            NodeState::InService | NodeState::Draining | NodeState::Drained | NodeState::Removed,
        ) => false,
    };
    if allowed {
        return Ok(());
    }
    let remedy = match stored.state {
        NodeState::InService => "drain it first",
        NodeState::Draining => "wait until it is drained, or put it back in service",
        NodeState::Drained => "put it back in service, or remove it",
        NodeState::Removed => "removed is for good: register a node under a new id",
    };
    let message = format!("node {} is {} and cannot become {to}", stored.id, stored.state);
    Err(Refusal::new(Reason::WrongState, "", message, remedy))
}

fn refuse_still_needed(rows: &dyn Rows, node: &NodeRow, to: NodeState) -> Result<(), Stop> {
    if node.voter {
        let message = format!("node {} is a voter and cannot become {to}", node.id);
        return Err(Refusal::new(Reason::WrongState, "", message, "make another node a voter first").into());
    }
    let carried: u64 = read::all(&DISK_USE, rows, &node.id)?.iter().map(|disk| disk.volumes).sum();
    if carried > 0 {
        let message = format!("node {} still holds {carried} slots of volumes", node.id);
        return Err(Refusal::new(Reason::WrongState, "", message, "wait until they have moved").into());
    }
    Ok(())
}

fn refuse_disks_of_others(nodes: &[NodeRow], id: NodeId, disks: &[DiskRow]) -> Result<(), Refusal> {
    let owners: BTreeMap<DiskId, NodeId> = nodes
        .iter()
        .filter(|node| node.id != id)
        .flat_map(|node| node.disks.iter().map(|disk| (disk.id, node.id)))
        .collect();
    match disks.iter().find_map(|disk| Some((disk.id, owners.get(&disk.id)?))) {
        None => Ok(()),
        Some((disk, owner)) => Err(Refusal::new(
            Reason::AlreadyExists,
            "",
            format!("disk {} belongs to node {owner}", disk.short()),
            "format the disk anew for this node, if what it holds is not needed",
        )),
    }
}

fn refuse_lost_disks(rows: &dyn Rows, stored: &NodeRow, node: &NodeRow) -> Result<(), Stop> {
    for disk in &stored.disks {
        let kept = node.disks.iter().any(|other| other.id == disk.id);
        if let (false, Some(carried)) = (kept, DISK_USE.read(rows, &(node.id, disk.id))?) {
            let message = format!(
                "disk {} of node {} still holds {} slots of volumes",
                disk.id.short(),
                node.id,
                carried.volumes
            );
            return Err(Refusal::new(Reason::WrongState, "", message, "drain the disk first").into());
        }
    }
    Ok(())
}

fn refuse_bad_facts(node: &NodeRow) -> Result<(), Refusal> {
    for address in [&node.client_address, &node.peer_address] {
        if !is_address(address) {
            return Err(Refusal::invalid(format!("{address:?} is not an address of the form HOST:PORT")));
        }
    }
    if node.labels.len() > limits::LABELS_MAX {
        return Err(Refusal::invalid(format!("a node takes at most {} labels", limits::LABELS_MAX)));
    }
    for (key, value) in &node.labels {
        if key.parse::<UnitId>().is_err() || value.len() > limits::TEXT_BYTES_MAX {
            return Err(Refusal::invalid(format!("label {key:?} is not a name, or its value is too long")));
        }
    }
    if node.disks.len() > DISKS_PER_NODE_MAX {
        return Err(Refusal::invalid(format!("a node takes at most {DISKS_PER_NODE_MAX} disks")));
    }
    match node.disks.windows(2).find(|pair| pair[0].id == pair[1].id) {
        None => Ok(()),
        Some(pair) => Err(Refusal::invalid(format!("disk {} is named twice", pair[0].id.short()))),
    }
}

fn refuse_bad_key(what: &str, vkey: &str) -> Result<(), Refusal> {
    // The edge parses it; here it only must not be able to break a line of a policy file.
    let odd = vkey.is_empty()
        || vkey.len() > limits::TEXT_BYTES_MAX
        || vkey.chars().any(|c| c.is_whitespace() || c.is_control());
    if odd { Err(Refusal::invalid(format!("the {what} key is not a verifier key line"))) } else { Ok(()) }
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    !host.is_empty()
        && text.len() <= 2 * limits::NAME_BYTES_MAX
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/')
        && port.bytes().all(|digit| digit.is_ascii_digit())
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}
