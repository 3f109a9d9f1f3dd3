//! The first command of a cluster: its own row, the first profiles, units, devices and people.

use std::collections::BTreeMap;

use strongroom_types::{Reason, Refusal, Role};

use crate::{
    Act, Answer, Fact,
    access::Stop,
    apply::Decision,
    clock::ClockRow,
    command::CreateCluster,
    profile::Profile,
    proposal, register,
    tables::{CLOCK, CLUSTER, PROFILES},
};

/// Creates the cluster. A second time it is refused: what is there is not to be overwritten.
pub(crate) fn create(decision: &mut Decision<'_>, command: &CreateCluster) -> Result<Answer, Stop> {
    decision.node()?;
    if CLUSTER.read(decision.rows, &())?.is_some() {
        return Err(Refusal::new(Reason::AlreadyExists, "C3", "the cluster was created before", "").into());
    }
    if !command.principals.iter().any(|principal| principal.roles.contains(&Role::Security)) {
        return Err(Refusal::invalid("a cluster begins with at least one security officer").into());
    }
    CLUSTER.write(decision.rows, &(), &command.cluster);
    let start = ClockRow { t: command.cluster.created_at, wall: command.cluster.created_at, ..ClockRow::default() };
    CLOCK.write(decision.rows, &(), &start);
    let facts = BTreeMap::from([
        (Fact::Cluster, command.cluster.cluster.as_bytes().as_slice().into()),
        (Fact::Trial, command.cluster.trial.into()),
        (Fact::Digest, command.genesis.as_slice().into()),
        (Fact::Policy, command.cluster.policy_digest.as_slice().into()),
    ]);
    let seq = decision.record(Act::ClusterCreate, "C3", Vec::new(), facts);
    for toml in &command.profiles {
        write_profile(decision, toml)?;
    }
    for unit in &command.units {
        register::write_unit(decision, unit)?;
    }
    for device in &command.devices {
        register::write_device(decision, device, None)?;
    }
    for principal in &command.principals {
        register::write_principal(decision, principal)?;
    }
    Ok(Answer::Recorded(seq))
}

fn write_profile(decision: &mut Decision<'_>, toml: &str) -> Result<(), Stop> {
    let profile = Profile::from_toml(toml).map_err(|error| Refusal::invalid(error.to_string()))?;
    let key = (profile.name.clone(), 1);
    if PROFILES.read(decision.rows, &key)?.is_some() {
        return Err(Refusal::invalid(format!("profile {} is given twice", profile.name)).into());
    }
    proposal::activate(decision, toml.to_owned(), profile, 1)?;
    Ok(())
}
