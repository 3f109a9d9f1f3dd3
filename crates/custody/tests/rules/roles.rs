//! Who may ask for what: every command against every role, and keys that nobody holds any more.

use strongroom_custody::{
    Act, Command,
    access::{self, Stop},
    command::{LabelItem, RevokePrincipal, RotatePrincipal},
    request, session,
};
use strongroom_types::{Reason, Role};

use crate::{
    fixture::{Cluster, id, item, key, session as session_id},
    golden, samples,
};

fn act_of(command: &Command) -> Act {
    // What a role-less principal is refused is recorded under the act that was asked for.
    let mut cluster = Cluster::new();
    cluster.by("nobody", command.clone()).expect_err("nobody");
    cluster.last_record().act
}

#[test]
fn a_role_gets_through_exactly_where_the_table_names_it() {
    let cluster = Cluster::new();
    for command in [samples::of_clients(), samples::of_secrets()].concat() {
        let act = act_of(&command);
        for role in Role::ALL {
            let outcome = cluster.clone().by(role.name(), command.clone());
            let stopped = outcome.as_ref().err().map(|refusal| refusal.reason) == Some(Reason::RoleNotAllowed);
            assert_eq!(!stopped, act.roles().contains(&role), "{role}, {}: {outcome:?}", act.name());
            if let Err(refusal) = outcome
                && stopped
            {
                assert!(refusal.message.contains(role.name()), "{refusal:?}");
                assert!(act.roles().iter().all(|able| refusal.remedy.contains(able.name())), "{refusal:?}");
            }
        }
    }
}

#[test]
fn the_table_of_acts_and_roles_is_the_one_that_was_agreed() {
    let line = |act: &Act| {
        let roles: Vec<_> = act.roles().iter().map(|role| role.name()).collect();
        (act.name().to_owned(), roles.join(" "))
    };
    golden::check("roles", Act::ALL.iter().map(line).collect());
}

#[test]
fn reading_is_authorized_by_the_same_table() {
    let cluster = Cluster::new();
    for act in Act::ALL {
        for role in Role::ALL {
            let stopped = match access::authorize(&cluster.rows, &key(role.name()), *act) {
                Ok(principal) => {
                    assert_eq!(principal.id.as_str(), role.name());
                    false
                }
                Err(Stop::Refused(refusal)) => {
                    assert_eq!(refusal.reason, Reason::RoleNotAllowed, "{refusal:?}");
                    true
                }
                Err(Stop::Rows(error)) => panic!("{error}"),
            };
            assert_eq!(!stopped, act.roles().contains(&role), "{role}, {}", act.name());
        }
    }
}

#[test]
fn what_the_cluster_does_itself_nobody_else_does() {
    for command in samples::of_nodes() {
        for role in Role::ALL {
            Cluster::new().refused(role.name(), command.clone(), Reason::RoleNotAllowed);
        }
        Cluster::new().refused("nobody", command, Reason::RoleNotAllowed);
    }
}

#[test]
fn a_node_does_nothing_that_takes_a_person() {
    for command in samples::of_clients() {
        let refusal = Cluster::new().by_node(command.clone()).expect_err("a node is no person");
        assert_eq!(refusal.reason, Reason::RoleNotAllowed, "{command:?}");
    }
}

#[test]
fn an_unknown_key_gets_nothing_and_is_recorded_by_its_hash() {
    for command in samples::of_clients() {
        let mut cluster = Cluster::new();
        let refusal = cluster.refused("nobody", command, Reason::UnknownPrincipal);
        assert!(refusal.remedy.contains("principal register"), "{refusal:?}");
        let stamp = &cluster.last_record().stamp;
        assert_eq!((&stamp.principal, stamp.key), (&None, Some(key("nobody"))));
    }
}

#[test]
fn a_revoked_principal_gets_nothing_and_is_recorded_by_name() {
    for command in samples::of_clients() {
        let mut cluster = Cluster::new();
        for name in ["station", "legal", "security"] {
            let revoke = RevokePrincipal { principal: id(name), reason: "left".to_owned() };
            cluster.done("security-2", Command::RevokePrincipal(revoke));
            cluster.refused(name, command.clone(), Reason::PrincipalRevoked);
            assert_eq!(cluster.last_record().stamp.principal, Some(id(name)));
        }
    }
}

#[test]
fn a_replaced_key_is_refused_by_its_owners_name_and_the_new_one_works() {
    let mut cluster = Cluster::with_items();
    let rotate = RotatePrincipal { principal: id("legal"), key: key("legal again") };
    cluster.done("security", Command::RotatePrincipal(rotate));
    let label = || Command::LabelItem(LabelItem { item: item(1), name: "place".to_owned(), value: "gate".to_owned() });
    let refusal = cluster.refused("legal", label(), Reason::UnknownPrincipal);
    assert!(refusal.message.contains("of legal was replaced"), "{refusal:?}");
    assert_eq!(cluster.last_record().stamp.principal, Some(id("legal")), "the record knows whose key it was");
    cluster.done("legal again", label());
    assert_eq!(cluster.last_record().stamp.principal, Some(id("legal")));
}

#[test]
fn a_refused_role_leaves_what_was_attempted_in_the_record() {
    let mut cluster = Cluster::with_items();
    let commands = samples::of_clients();
    for command in commands {
        if act_of(&command).roles().contains(&Role::Ops) {
            continue;
        }
        cluster.refused("ops", command.clone(), Reason::RoleNotAllowed);
        let record = cluster.last_record();
        assert!(record.facts.len() > 1 || !record.items.is_empty(), "{command:?} left no trace: {record:?}");
    }
}

#[test]
fn what_does_not_exist_is_not_found_by_any_reader() {
    let cluster = Cluster::new();
    assert!(
        matches!(request::read(&cluster.rows, samples::NO_REQUEST), Err(Stop::Refused(r)) if r.reason == Reason::NotFound)
    );
    let read = session::check_read(&cluster.rows, &key("archivist"), session_id(1), item(1));
    assert!(matches!(read, Err(Stop::Refused(r)) if r.reason == Reason::NotFound));
}
