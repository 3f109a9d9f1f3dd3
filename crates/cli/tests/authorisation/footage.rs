//! No byte of footage without an approved request or a standing view that the profile gives, whoever asks and however.

use bytes::Bytes;
use strongroom_proto::access::ReadRequest;
use strongroom_proto::request::Act;
use strongroom_testkit::bytes;
use strongroom_types::{Reason, Role};
use tonic::transport::Channel;

use crate::calls::NOTHING;
use crate::grants::{approve, copy_out, end, granted, part, reject, submit, view, whole};
use crate::wire::{read, reason, refused};
use crate::world::World;

/// More than a chunk, so that ranges mean something.
const LENGTH: usize = (4 << 20) + 12_345;
/// Whom the built-in profile lets view without a request.
const STANDING: [Role; 3] = [Role::Recorder, Role::UnitHead, Role::Legal];
/// How often the built-in profile lets a grant be used.
const USES: usize = 10;

/// Two originals, one of them the subject of the requests.
pub(crate) struct Originals {
    content: Vec<u8>,
    item: Bytes,
    other: Bytes,
}

impl Originals {
    pub(crate) fn ingest(world: &World) -> Self {
        let content = bytes(LENGTH, 7);
        Self { item: world.ingest(&content), other: world.ingest(&bytes(100, 8)), content }
    }

    /// All of it arrives: the measure of every refusal here.
    async fn arrive(&self, channel: &Channel, session: &Bytes) {
        let footage = read(channel, whole(session, &self.item)).await;
        assert!(footage.refused.is_none(), "{:?}", footage.refused);
        assert!(footage.bytes == self.content, "other bytes arrived");
    }
}

/// Not one byte arrives, for this reason.
async fn nothing(what: &str, channel: &Channel, wanted: ReadRequest, why: Reason) {
    let footage = read(channel, wanted).await;
    assert_eq!(footage.bytes.len(), 0, "{what}: footage came out");
    let status = footage.refused.unwrap_or_else(|| panic!("{what} was not refused"));
    assert_eq!(reason(&status), Some(why), "{what}: {status:?}");
}

pub(crate) async fn nobody_begins_without_approval(world: &World, originals: &Originals) {
    let legal = world.role(Role::Legal, 0);
    let copy = submit(world, &legal, Act::Copy, &originals.item).await.expect("legal may ask");
    let view_request = submit(world, &legal, Act::View, &originals.item).await.expect("legal may ask");
    for (number, role) in Role::ALL.into_iter().enumerate() {
        let channel = world.role(role, number % world.nodes());
        let expected = |act: strongroom_custody::Act| {
            if act.roles().contains(&role) { Reason::ApprovalMissing } else { Reason::RoleNotAllowed }
        };
        let what = format!("{role} under a request that nobody approved");
        let copied = refused(&what, copy_out(world, &channel, &copy).await);
        assert_eq!(copied, expected(strongroom_custody::Act::CopyOutBegin), "{what}");
        let viewed = refused(&what, view(world, &channel, &view_request, &originals.item).await);
        assert_eq!(viewed, expected(strongroom_custody::Act::ViewBegin), "{what}");

        match view(world, &channel, "", &originals.item).await {
            Ok(session) => {
                assert!(STANDING.contains(&role), "{role} has no standing view");
                originals.arrive(&channel, &session).await;
                nothing(
                    "an item beside the viewed one",
                    &channel,
                    whole(&session, &originals.other),
                    Reason::OutsideGrant,
                )
                .await;
            }
            Err(status) => {
                assert!(!STANDING.contains(&role), "{role} has a standing view: {status:?}");
                assert_eq!(reason(&status), Some(expected(strongroom_custody::Act::ViewBegin)), "{role}");
            }
        }
    }
    let approver = world.role(Role::Approver, 3);
    reject(world, &approver, &copy).await.expect("the approver may reject");
    let archivist = world.role(Role::Archivist, 2);
    assert_eq!(refused("rejected", copy_out(world, &archivist, &copy).await), Reason::GrantEnded);
}

pub(crate) async fn a_session_is_of_one_person_and_of_its_items(world: &World, originals: &Originals) {
    let request = granted(world, Act::Copy, &originals.item).await;
    let archivist = world.role(Role::Archivist, 0);
    let session = copy_out(world, &archivist, &request).await.expect("approved");
    originals.arrive(&archivist, &session).await;
    // It is the person's, not the node's.
    originals.arrive(&world.role(Role::Archivist, 4), &session).await;

    let (_, colleague) = world.register(&[Role::Archivist], None);
    let mut others: Vec<_> = Role::ALL.into_iter().filter(|role| *role != Role::Archivist).collect();
    others.sort_unstable();
    let mut people: Vec<_> = others
        .into_iter()
        .map(|role| {
            let may = strongroom_custody::Act::SessionRead.roles().contains(&role);
            let why = if may { Reason::OutsideGrant } else { Reason::RoleNotAllowed };
            (role.to_string(), world.of_role(role), why)
        })
        .collect();
    people.push(("another archivist".to_owned(), colleague, Reason::OutsideGrant));
    people.push(("a stranger".to_owned(), world.stranger(), Reason::UnknownPrincipal));
    for (name, shown, why) in &people {
        // Voter or not; the last nodes are left to `certificates`, which counts strangers there.
        for node in [0, 2] {
            let channel = world.client(shown, node);
            nothing(&format!("{name} in somebody's session"), &channel, whole(&session, &originals.item), *why).await;
        }
        let channel = world.client(shown, 1);
        let why = if *why == Reason::OutsideGrant { Reason::NotFound } else { *why };
        nothing(&format!("{name} in no session"), &channel, whole(&NOTHING, &originals.item), why).await;
        let ended = refused(name, end(world, &channel, &session).await);
        assert_ne!(ended, Reason::NotFound, "{name} cannot end somebody's session");
    }
    originals.arrive(&archivist, &session).await;

    let length = LENGTH as u64;
    for (what, wanted, why) in [
        ("an item outside the grant", whole(&session, &originals.other), Reason::OutsideGrant),
        ("an item that is not there", whole(&session, &NOTHING), Reason::OutsideGrant),
        ("a made-up session", whole(&NOTHING, &originals.item), Reason::NotFound),
        ("no session", whole(&Bytes::new(), &originals.item), Reason::InvalidArgument),
        ("a range that ends behind the end", part(&session, &originals.item, 0, length + 1), Reason::InvalidArgument),
        ("a range behind the end", part(&session, &originals.item, length + 1, 0), Reason::InvalidArgument),
        ("a range around the end of numbers", part(&session, &originals.item, 1, u64::MAX), Reason::InvalidArgument),
    ] {
        nothing(what, &archivist, wanted, why).await;
    }
    end(world, &archivist, &session).await.expect("their own");
    nothing("an ended session", &archivist, whole(&session, &originals.item), Reason::GrantEnded).await;
}

pub(crate) async fn a_grant_is_for_one_act_and_for_its_uses(world: &World, originals: &Originals) {
    let archivist = world.role(Role::Archivist, 1);
    let to_view = granted(world, Act::View, &originals.item).await;
    assert_eq!(refused("a copy under a view", copy_out(world, &archivist, &to_view).await), Reason::OutsideGrant);
    let to_copy = granted(world, Act::Copy, &originals.item).await;
    let viewed = view(world, &archivist, &to_copy, &originals.item).await;
    assert_eq!(refused("a view under a copy", viewed), Reason::OutsideGrant);
    let beside = view(world, &archivist, &to_view, &originals.other).await;
    assert_eq!(refused("a view of another item", beside), Reason::OutsideGrant);
    for _ in 0..USES {
        copy_out(world, &archivist, &to_copy).await.expect("within its uses");
    }
    assert_eq!(refused("a use too many", copy_out(world, &archivist, &to_copy).await), Reason::GrantEnded);
}

pub(crate) async fn whoever_leaves_takes_their_access_along(world: &World, originals: &Originals) {
    // The executor, on a connection that stands.
    let request = granted(world, Act::Copy, &originals.item).await;
    let (name, shown) = world.register(&[Role::Archivist], None);
    let channel = world.client(&shown, 2);
    let session = copy_out(world, &channel, &request).await.expect("approved");
    originals.arrive(&channel, &session).await;
    world.revoke(&name);
    nothing("a revoked executor", &channel, whole(&session, &originals.item), Reason::PrincipalRevoked).await;
    let again = copy_out(world, &channel, &request).await;
    assert_eq!(refused("a revoked executor", again), Reason::PrincipalRevoked);

    // The requester: nobody is left for whom the footage would be fetched.
    let (name, shown) = world.register(&[Role::Legal], None);
    let request = submit(world, &world.client(&shown, 3), Act::Copy, &originals.item).await.expect("legal may ask");
    approve(world, &world.of_role(Role::Approver), 0, &request).await.expect("the approver may approve");
    let archivist = world.role(Role::Archivist, 4);
    let session = copy_out(world, &archivist, &request).await.expect("approved");
    originals.arrive(&archivist, &session).await;
    world.revoke(&name);
    nothing("a revoked requester's session", &archivist, whole(&session, &originals.item), Reason::GrantEnded).await;
    let again = copy_out(world, &archivist, &request).await;
    assert_eq!(refused("a revoked requester's grant", again), Reason::GrantEnded);
}
