//! Connectors on virtual time: what they dial when, and what they say of it.

use std::time::Duration;

use amqp_codec::{Encoded, Map, Value};

use super::*;
use crate::ids::Direction;
use crate::limits::{HANDSHAKE_TIME_OUT, RETRY_LEAST, RETRY_MOST};
use crate::settings::{ConnectionRole, ConnectionSettings, StripAnnotations};

const IDENTITY: &str = "connector/a:1";

fn connect() -> Connect {
    let strip_annotations = StripAnnotations {
        inbound: false,
        outbound: false,
    };
    let settings = ConnectionSettings {
        name: "a:1".to_owned(),
        connector: Some(IDENTITY.into()),
        role: ConnectionRole::InterRouter,
        handshake_time_out: Some(HANDSHAKE_TIME_OUT),
        strip_annotations,
        sasl_mechanisms: vec!["ANONYMOUS".to_owned()],
        ..ConnectionSettings::default()
    };
    Connect {
        identity: IDENTITY.into(),
        host: "a".to_owned(),
        port: "1".to_owned(),
        settings: Arc::new(settings),
    }
}

/// One connector, the time, and what it wants done.
struct World {
    connectors: Connectors,
    now: Time,
    numbers: u64,
}

impl World {
    fn new() -> Self {
        let mut connectors = Connectors::new(7);
        assert!(connectors.add(connect()));
        Self {
            connectors,
            now: Time::from_millis(1),
            numbers: 0,
        }
    }

    fn turn(&mut self) -> Vec<Effect> {
        let mut effects = VecDeque::new();
        let number = || {
            self.numbers += 1;
            ConnectionId(self.numbers)
        };
        self.connectors.turn(self.now, number, &mut effects);
        effects.into()
    }

    /// Lets time pass until something is dialled; how long that was, the number, the host.
    fn dial(&mut self) -> (Duration, ConnectionId, String) {
        let before = self.now;
        let due = self.connectors.next_deadline().expect("it never gives up");
        self.now = self.now.max(due);
        let effects = self.turn();
        let [Effect::Dial(dial)] = &*effects else {
            panic!("{effects:?}")
        };
        let waited = self.now.saturating_sub(before);
        (waited, dial.connection, dial.host.clone())
    }

    fn fail(&mut self, connection: ConnectionId) {
        let text = "Connection refused".to_owned();
        assert!(
            self.connectors
                .dial_failed(connection, text, self.now)
                .is_some()
        );
    }

    fn open(&mut self, connection: ConnectionId, properties: Option<Encoded>) {
        assert!(self.connectors.dialled(connection));
        let opened = Opened {
            connection,
            direction: Direction::Out,
            peer: "a:1".to_owned(),
            mechanism: None,
            user: None,
            encrypted: None,
            container: "peer".to_owned(),
            properties,
        };
        self.connectors.report(Dialled::Opened(Arc::new(opened)));
        assert!(self.connectors.take_reports(self.now).is_empty());
    }

    fn end(&mut self, connection: ConnectionId) {
        let failure = Some(("amqp:connection:forced".to_owned(), "bye".to_owned()));
        self.connectors.report(Dialled::Ended {
            connection,
            failure,
        });
        assert!(self.connectors.take_reports(self.now).is_empty());
    }

    fn row(&self) -> ConnectorRow {
        self.connectors.row(IDENTITY).unwrap()
    }
}

#[test]
fn a_server_that_does_not_answer_is_dialled_for_ever() {
    let mut world = World::new();
    assert_eq!(world.row().status, ConnectorStatus::Initializing);
    let mut bound = Duration::ZERO;
    for attempt in 1..=50 {
        let (waited, connection, _) = world.dial();
        assert!(
            waited <= bound && waited >= bound / 2,
            "attempt {attempt}: {waited:?}"
        );
        assert_eq!(
            connection,
            ConnectionId(attempt),
            "each attempt takes a number"
        );
        assert_eq!(world.row().status, ConnectorStatus::Connecting);
        world.fail(connection);
        assert_eq!(world.row().status, ConnectorStatus::Connecting);
        assert!(matches!(world.row().heard, Some(Heard::Failed { .. })));
        bound = (bound * 2).clamp(RETRY_LEAST, RETRY_MOST);
    }
    let Some(Heard::Failed { description, .. }) = world.row().heard else {
        panic!("why it failed")
    };
    assert_eq!(description, "Connection refused");
}

#[test]
fn a_stable_connection_is_dialled_again_soon_and_a_brief_one_later_and_later() {
    let mut world = World::new();
    let mut longest = Duration::ZERO;
    for _ in 0..8 {
        let (waited, connection, _) = world.dial();
        longest = longest.max(waited);
        world.open(connection, None);
        assert_eq!(world.row().status, ConnectorStatus::Success);
        assert_eq!(world.connectors.next_deadline(), None);
        world.end(connection);
        assert_eq!(world.row().status, ConnectorStatus::Connecting);
    }
    assert!(longest > RETRY_MOST / 2);
    let (_, connection, _) = world.dial();
    world.open(connection, None);
    world.now = world.now + STABLE_AFTER;
    world.end(connection);
    assert!(world.dial().0 <= RETRY_LEAST);
}

#[test]
fn an_attempt_that_takes_too_long_is_given_up() {
    let mut world = World::new();
    let (_, connection, _) = world.dial();
    let deadline = world.connectors.next_deadline().unwrap();
    assert_eq!(deadline, world.now + DIAL_TIME_OUT);
    world.now = deadline;
    let effects = world.turn();
    assert!(matches!(&*effects, [Effect::HangUp { connection: id }] if *id == connection));
    assert!(!world.connectors.dialled(connection), "too late");
    assert_eq!(world.row().status, ConnectorStatus::Connecting);
    world.dial();
}

#[test]
fn what_is_said_late_or_twice_is_not_heard() {
    let mut world = World::new();
    let (_, first, _) = world.dial();
    world.fail(first);
    let (_, second, _) = world.dial();
    world.end(first);
    assert_eq!(world.row().status, ConnectorStatus::Connecting);
    world.open(second, None);
    world.end(first);
    assert_eq!(world.row().status, ConnectorStatus::Success);
    world.end(second);
    world.end(second);
    let (_, third, _) = world.dial();
    assert_eq!(third, ConnectionId(3));
}

#[test]
fn servers_that_a_peer_has_named_are_tried_in_turn() {
    let mut world = World::new();
    let entry = |host: &'static str| {
        let mut map = Map::new();
        map.push(Value::symbol("network-host"), Value::from(host));
        Value::Map(map)
    };
    let mut properties = Map::new();
    let list = Value::List(vec![entry("b"), entry("c")]);
    properties.push(Value::symbol("failover-server-list"), list);
    let (_, connection, _) = world.dial();
    world.open(
        connection,
        Some(Encoded::from_value(&Value::Map(properties))),
    );
    assert_eq!(world.row().servers, ["a:1", "b:5672", "c:5672"]);
    world.now = world.now + STABLE_AFTER;
    world.end(connection);
    for host in ["a", "b", "c", "a", "b"] {
        let (waited, connection, dialled) = world.dial();
        assert_eq!(dialled, host);
        assert!(waited <= RETRY_LEAST * 2);
        world.fail(connection);
    }
}

#[test]
fn a_deleted_connector_leaves_nothing_behind() {
    let remove = |world: &mut World| {
        let mut effects = VecDeque::new();
        let connection = world.connectors.remove(IDENTITY, &mut effects);
        (connection, Vec::from(effects))
    };
    let mut world = World::new();
    let (_, connection, _) = world.dial();
    let (removed, effects) = remove(&mut world);
    assert_eq!(removed, Some(None));
    assert!(matches!(&*effects, [Effect::HangUp { .. }]));
    assert!(!world.connectors.dialled(connection));
    assert_eq!(world.connectors.next_deadline(), None);
    assert_eq!(remove(&mut world).0, None, "there is none");

    let mut world = World::new();
    assert!(!world.connectors.add(connect()), "there is one");
    let (_, connection, _) = world.dial();
    assert!(world.connectors.dialled(connection));
    assert_eq!(remove(&mut world).0, Some(Some(connection)));
    let opened = Opened {
        connection,
        direction: Direction::Out,
        peer: String::new(),
        mechanism: None,
        user: None,
        encrypted: None,
        container: String::new(),
        properties: None,
    };
    world.connectors.report(Dialled::Opened(Arc::new(opened)));
    let strays = world.connectors.take_reports(world.now);
    assert_eq!(strays, [connection], "closed when it opens after all");
}
