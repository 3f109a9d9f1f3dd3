//! Who may do what, against a real cluster: every role, every call, every certificate that may turn up, and the ledger
//! afterwards. Refusals are the product here, so each is looked at for its reason and for its record.
//!
//! One test, because all of it is asked of one cluster; it goes through its steps in order. The last step stops nodes.

mod calls;
mod certificates;
mod counted;
mod footage;
mod grants;
mod kept;
mod matrix;
mod peers;
mod people;
mod replays;
mod wire;
mod world;

use world::World;

/// G9: what was attempted is on the ledger, whoever attempted it.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_more_than_the_rules_give_and_every_refusal_is_on_the_ledger() {
    let world = World::up();
    let from = world.status().await.ledger_size;

    matrix::every_role_may_what_the_table_says_and_nothing_else(&world).await;
    people::a_profile_narrows_and_never_widens(&world).await;
    people::one_person_takes_one_step(&world).await;
    people::rights_end_at_the_unit(&world).await;

    let originals = footage::Originals::ingest(&world);
    footage::nobody_begins_without_approval(&world, &originals).await;
    footage::a_session_is_of_one_person_and_of_its_items(&world, &originals).await;
    footage::a_grant_is_for_one_act_and_for_its_uses(&world, &originals).await;
    footage::whoever_leaves_takes_their_access_along(&world, &originals).await;

    replays::a_key_answers_one_request_and_no_other(&world).await;
    replays::nobody_replays_after_they_were_revoked(&world).await;

    certificates::revocation_and_rotation_are_effective_at_once_everywhere(&world).await;
    certificates::nothing_of_the_peers_is_on_the_client_port(&world).await;
    peers::a_node_is_no_other_node(&world).await;
    let counted = [
        certificates::certificates_that_are_not_good_open_nothing(&world).await,
        certificates::keys_that_nobody_registered_get_nothing_and_cannot_flood_the_ledger(&world).await,
        peers::a_peer_certificate_that_no_node_has_gets_nothing(&world).await,
    ];
    counted::strangers_were_counted_and_recorded(&world, from, &counted).await;
}
