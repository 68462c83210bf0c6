//! Who may look, and who may change something.

use amqp_codec::Value;
use router_core::ids::ConnectionId;
use router_core::mail::ConnectionCommand;
use router_core::notice::Notice;
use router_core::settings::ManagementAccess;

use crate::world::{World, connection};

const LISTENER: [(&str, &str); 2] = [("type", "listener"), ("name", "new")];

fn body(entries: &[(&'static str, &'static str)]) -> Value {
    let entry = |(name, text): &(&'static str, &'static str)| (*name, Value::from(*text));
    Value::Map(entries.iter().map(entry).collect())
}

fn create(world: &mut World) -> (i32, String) {
    let response = world.request("CREATE", &LISTENER, body(&[("port", "5999")]));
    (response.status, response.description)
}

#[test]
fn whoever_may_only_look_is_told_where_to_ask() {
    let mut world = World::new();
    world.admit(None, ManagementAccess::Read);
    for operation in ["CREATE", "UPDATE", "DELETE", "create", "WHATEVER"] {
        let response = world.request(operation, &LISTENER, body(&[("port", "5999")]));
        assert_eq!(response.status, 403, "{operation} {response:?}");
        let expected = "peers of 'public': ask at a listener whose managementAccess is full";
        assert!(response.description.ends_with(expected), "{response:?}");
    }
    assert!(world.query("listener").rows.is_empty());
    for operation in ["GET-TYPES", "GET-LOG", "GET-SCHEMA"] {
        assert_eq!(world.request(operation, &[], Value::Null).status, 200);
    }
    world.admit(None, ManagementAccess::None);
    let refused = world.request("GET-TYPES", &[], Value::Null);
    assert_eq!(refused.status, 403);
    world.admit(None, ManagementAccess::Full);
    assert_eq!(create(&mut world).0, 201);
}

#[test]
fn a_router_that_names_users_is_changed_by_no_other_and_by_nobody_unknown() {
    let mut world = World::of("interior", Some("alice, bob"));
    // As what comes by way of another router does, or by an anonymous link.
    let (status, text) = create(&mut world);
    assert_eq!(status, 403);
    assert!(text.contains("by way of another router"), "{text}");
    for (user, expected) in [(None, 403), (Some("eve"), 403), (Some("bob"), 201)] {
        world.admit(user, ManagementAccess::Full);
        assert_eq!(create(&mut world).0, expected, "{user:?}");
    }
    assert_eq!(world.query("listener").rows.len(), 1);
}

#[test]
fn who_comes_by_way_of_another_router_may_do_what_all_doors_allow() {
    let mut world = World::new();
    let door = |name: &'static str, access: &'static str| {
        let asked = [("type", "listener"), ("name", name)];
        (asked, body(&[("port", name), ("managementAccess", access)]))
    };
    let (asked, wide) = door("1", "full");
    assert_eq!(world.request("CREATE", &asked, wide).status, 201);
    let (asked, narrow) = door("2", "read");
    assert_eq!(world.request("CREATE", &asked, narrow).status, 201);
    assert_eq!(create(&mut world).0, 403);
    assert_eq!(world.query("listener").rows.len(), 2);
    world.admit(None, ManagementAccess::Full);
    let (asked, closed) = door("3", "none");
    assert_eq!(world.request("CREATE", &asked, closed).status, 201);
    let unknown = router_core::ids::InLinkKey(router_core::ids::Key::NONE);
    let known = std::mem::replace(&mut world.sender, unknown);
    assert_eq!(world.request("GET-TYPES", &[], Value::Null).status, 403);
    // Its connections stay where a listener goes.
    world.sender = known;
    for name in ["2", "3"] {
        let asked = [("type", "listener"), ("name", name)];
        assert_eq!(world.request("DELETE", &asked, Value::Null).status, 204);
    }
    world.sender = unknown;
    assert_eq!(world.request("GET-TYPES", &[], Value::Null).status, 403);
}

#[test]
fn the_log_says_who_changed_what_and_who_was_refused() {
    let mut world = World::of("standalone", Some("alice"));
    world.connections = vec![connection(4)];
    world.admit(Some("alice"), ManagementAccess::Full);
    let asked = [("type", "connection"), ("identity", "4")];
    let deleted = body(&[("adminStatus", "deleted")]);
    assert_eq!(world.request("UPDATE", &asked, deleted).status, 200);
    let by = Some(ConnectionId(12));
    let expected = [(ConnectionId(4), ConnectionCommand::Drop(by))];
    assert_eq!(world.commands, expected);
    assert_eq!(create(&mut world).0, 201);
    world.query("listener");
    let mut notices = Vec::new();
    world.control.drain_notices(&mut notices);
    let done: Vec<_> = notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::ManagementAsked {
                operation,
                target,
                connection,
                user,
                changed,
            } => Some((
                &**operation,
                &**target,
                *connection,
                user.as_deref(),
                *changed,
            )),
            _ => None,
        })
        .collect();
    let user = Some("alice");
    assert_eq!(
        done,
        [
            ("UPDATE", "type=connection identity=4", by, user, false),
            ("UPDATE", "type=connection identity=4", by, user, true),
            ("CREATE", "type=listener name=new", by, user, false),
            ("CREATE", "type=listener name=new", by, user, true),
            ("QUERY", "entityType=listener", by, user, false),
        ]
    );
}
