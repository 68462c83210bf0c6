//! Entries as they are checked and shown, and how often shards are asked for their links.

use super::*;

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

fn rule(direction: Direction) -> AutoLinkRule {
    AutoLinkRule {
        name: None,
        identity: 1,
        address: "queue".to_owned(),
        direction,
        phase: None,
        container: Some("broker".to_owned()),
        connection: None,
        external_address: None,
        fallback: false,
    }
}

fn container(number: u64) -> Container {
    Container {
        connection: ConnectionId(number),
        shard: ShardId(0),
        container: "broker".into(),
        name: "listener".into(),
    }
}

fn rules() -> Rules {
    Rules::new(Treatment::Unavailable)
}

/// What is asked for in a turn: how many attaches, how many detaches.
fn asked(links: &mut AutoLinks, now: Time) -> (usize, usize) {
    let errands = links.turn(now, &rules());
    let is_attach = |errand: &&(ShardId, Errand)| matches!(errand.1, Errand::Attach(_));
    let attaches = errands.iter().filter(is_attach).count();
    (attaches, errands.len() - attaches)
}

fn of(connection: u64) -> AutoLinkKey {
    AutoLinkKey {
        entry: 1,
        connection: ConnectionId(connection),
    }
}

fn ended(links: &mut AutoLinks, connection: u64) {
    links.report(of(connection), AutoLinkEvent::Ended("no".to_owned()));
}

#[test]
fn each_mistake_has_its_text() {
    let mut links = AutoLinks::new("R");
    let named = |name: &str| AutoLinkRule {
        name: Some(name.to_owned()),
        ..rule(Direction::In)
    };
    links.add(named("taken")).unwrap();
    let phase = |phase| AutoLinkRule {
        phase: Some(phase),
        ..rule(Direction::In)
    };
    let address = |address: &str| AutoLinkRule {
        address: address.to_owned(),
        ..rule(Direction::Out)
    };
    let both = AutoLinkRule {
        connection: Some("c".to_owned()),
        ..rule(Direction::Out)
    };
    let wrong = [
        (named("taken"), "Name conflicts with an existing entity"),
        (phase(10), "autoLink phase must be between 0 and 9"),
        (phase(-1), "autoLink phase must be between 0 and 9"),
        (
            both,
            "Both connection and containerId cannot be specified. Specify only one",
        ),
        (address(""), "address and direction fields are mandatory"),
        (address("/"), "address and direction fields are mandatory"),
        (
            address("_local/x"),
            "The address of an autoLink must not be a router's own: one that begins with \
             '_local/', '_topo/' or '_edge/'",
        ),
        (
            address(&"x".repeat(limits::MESH_ADDRESS_BYTES)),
            "The address of the autoLink is too long",
        ),
    ];
    for (rule, text) in wrong {
        let error = links
            .add(AutoLinkRule {
                identity: 2,
                ..rule
            })
            .unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(links.rows().len(), 1);
}

#[test]
fn what_is_not_said_follows_from_the_direction() {
    let fallback = |direction| AutoLinkRule {
        fallback: true,
        ..rule(direction)
    };
    let given = AutoLinkRule {
        phase: Some(4),
        ..rule(Direction::Out)
    };
    let wanted = [
        (rule(Direction::In), 1, "M1queue"),
        (rule(Direction::Out), 0, "M0queue"),
        (fallback(Direction::In), 0, "M0queue"),
        (fallback(Direction::Out), 0, "MFqueue"),
        (given, 4, "M4queue"),
    ];
    for (rule, phase, key) in wanted {
        let mut links = AutoLinks::new("R");
        links.container_up(container(1));
        links.add(rule).unwrap();
        assert_eq!(links.rows().next().unwrap().rule.phase, Some(phase));
        let errands = links.turn(Time::ZERO, &rules());
        let [(_, Errand::Attach(ask))] = &errands[..] else {
            panic!("{errands:?}");
        };
        assert_eq!(&*ask.key, key);
        // What is closed to clients is open to whom the configuration names.
        assert_eq!(ask.treatment, Treatment::AnycastBalanced);
    }
}

#[test]
fn a_container_that_refuses_for_a_day_costs_an_attach_each_five_seconds() {
    let mut links = AutoLinks::new("R");
    links.add(rule(Direction::Out)).unwrap();
    links.container_up(container(1));
    let (mut attaches, mut notices) = (0, Vec::new());
    for second in 0..86_400 {
        let now = Time::ZERO + SECOND * second;
        attaches += asked(&mut links, now).0;
        if links.rows().next().unwrap().status == AutoLinkStatus::Attaching {
            ended(&mut links, 1);
            assert_eq!(asked(&mut links, now), (0, 0), "not at once");
        }
        assert!(links.waiting.len() == 1 && !links.is_waiting());
        links.drain_notices(&mut notices);
    }
    assert_eq!(attaches, 86_400 / 5 + 1);
    links.container_down(ConnectionId(1));
    assert_eq!(links.next_deadline(), None);
    assert_eq!(
        links.rows().next().unwrap().status,
        AutoLinkStatus::Inactive
    );
}

#[test]
fn the_best_of_several_connections_is_shown() {
    let mut links = AutoLinks::new("R");
    links.add(rule(Direction::Out)).unwrap();
    for number in 1..4 {
        links.container_up(container(number));
    }
    assert_eq!(asked(&mut links, Time::ZERO), (3, 0));
    let status = |links: &AutoLinks| links.rows().next().unwrap().status;
    for number in 1..4 {
        assert_eq!(status(&links), AutoLinkStatus::Attaching);
        ended(&mut links, number);
        links.turn(Time::ZERO, &rules());
    }
    assert_eq!(status(&links), AutoLinkStatus::Failed);
    assert_eq!(asked(&mut links, Time::ZERO + SECOND * 2), (3, 0));
    links.report(of(2), AutoLinkEvent::Active(LinkId(7)));
    links.turn(Time::ZERO + SECOND * 3, &rules());
    let row = links.rows().next().unwrap();
    assert_eq!(
        (row.status, row.link),
        (AutoLinkStatus::Active, Some(LinkId(7)))
    );
    assert_eq!(row.last_error, None);
    // Those that wait, and those that are asked, are forgotten with their entry.
    ended(&mut links, 3);
    links.turn(Time::ZERO + SECOND * 3, &rules());
    assert!(links.remove(1));
    assert_eq!(asked(&mut links, Time::ZERO + SECOND * 9), (0, 2));
    // What is said of it now comes too late.
    links.report(of(2), AutoLinkEvent::Active(LinkId(8)));
    assert_eq!(asked(&mut links, Time::ZERO + SECOND * 9), (0, 0));
    assert_eq!(links.next_deadline(), None);
}
