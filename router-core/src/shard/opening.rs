//! Open, begin, close: the life of a connection before and after its links.

use std::sync::Arc;

use amqp_codec::{AmqpError, Encoded, Map, Open, Str, Symbol, Value};
use amqp_proto::{Config, Limits, Mechanism, Sasl, SessionKey};

use super::conn::Phase;
use super::neighbors::int_property;
use super::neighbors::{HEARSAY, HEARSAY_VERSION};
use super::state::Shard;
use super::trunks::TrunkWords;
use super::vigil::{LOSS_DETECTION, wish};
use crate::ids::{ConnKey, ConnectionId};
use crate::limits;
use crate::mail::{Asker, Command, Container, Dialled};
use crate::notice::{NetworkNotice, Notice, Opened, cut};
use crate::settings::{ConnectionRole, ConnectionSettings, RouterSettings};

/// What the router offers and desires in its Open.
const CAPABILITIES: [&str; 2] = ["ANONYMOUS-RELAY", "qd.streaming-links"];

/// The `product` in the properties of the router's Open.
const PRODUCT: &str = "causeway";

/// The form of the router annotations that routers exchange.
const ANNOTATIONS_VERSION: i32 = 1;

/// The property of an Open that names it.
const ANNOTATIONS_PROPERTY: &str = "qd.annotations-version";

/// The mechanism for which nobody has to be asked.
const ANONYMOUS: &str = "ANONYMOUS";

/// Why a router cannot be a neighbour, as AMQP says it.
const NOT_ALLOWED: &str = "amqp:not-allowed";

impl Shard {
    /// The engine's settings for a listener's connections; made once, shared by all of them.
    pub(super) fn engine_config(&mut self, settings: &Arc<ConnectionSettings>) -> Arc<Config> {
        let known = self
            .configs
            .iter()
            .find(|(of, _)| Arc::ptr_eq(of, settings));
        if let Some((_, config)) = known {
            return Arc::clone(config);
        }
        self.configs.retain(|(of, _)| Arc::strong_count(of) > 1);
        let config = Arc::new(engine_config(&self.settings, settings));
        self.configs
            .push((Arc::clone(settings), Arc::clone(&config)));
        config
    }

    /// The engine's settings for a connection that was dialled: its Open does not wait for the
    /// peer's, so all that is in it must be known at the start.
    pub(super) fn initiator_config(
        &self,
        settings: &ConnectionSettings,
        hostname: Option<&str>,
        connection: ConnectionId,
        trunk: Map,
    ) -> Arc<Config> {
        Arc::new(Config {
            initiator: true,
            hostname: hostname.map(Str::copy),
            properties: Some(open_properties(&self.settings, settings, connection, trunk)),
            sasl: match &settings.sasl_mechanisms[..] {
                [only] if only == ANONYMOUS => Sasl::Client {
                    mechanism: Mechanism::Anonymous,
                },
                _ => Sasl::Asked,
            },
            ..engine_config(&self.settings, settings)
        })
    }

    /// The peer's Open has come: the router's follows, unless it went first (amqp-1.0 §2.4.1).
    pub(super) fn open(&mut self, key: ConnKey, open: Open) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let words = TrunkWords::read(open.properties.as_ref());
        conn.container = Some(open.container_id.to_string());
        conn.properties = open
            .properties
            .map(|properties| words.hide_token(properties));
        if let Some(answer) = self.negotiate(key, &words) {
            self.finish_open(key, answer);
        }
    }

    /// The router's Open, if the peer's came first, and what follows from both; `trunk` is what the
    /// answer says of trunks.
    pub(super) fn finish_open(&mut self, key: ConnKey, trunk: Map) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if !conn.settings.is_initiator() {
            let properties = open_properties(&self.settings, &conn.settings, conn.id, trunk);
            conn.engine.open(Some(properties), &mut conn.output);
        }
        conn.phase = Phase::Open;
        let opened = Arc::new(Opened {
            connection: conn.id,
            direction: conn.direction(),
            peer: conn.peer.clone(),
            mechanism: conn.engine.mechanism().map(ToString::to_string),
            user: conn.engine.user().map(ToString::to_string),
            encrypted: conn.transform.security().map(|security| security.protocol),
            container: conn.container.clone().unwrap_or_default(),
            properties: conn.properties.clone(),
        });
        let is_dialled = conn.settings.is_initiator();
        let is_router = conn.settings.role == ConnectionRole::InterRouter;
        self.notices
            .push(Notice::ConnectionOpened(Arc::clone(&opened)));
        if is_router && *opened.container == *self.settings.id {
            self.refuse_namesake(key);
            return;
        }
        self.note_annotations(&opened);
        if is_dialled {
            self.tell_control(Command::Dialled(Dialled::Opened(opened)), 0);
        }
        if is_router {
            self.begin_vigil(key);
        }
        if is_dialled && is_router {
            self.attach_pairs(key);
        }
        self.note_container(key);
        self.touch(key);
    }

    /// Tells the control plane of a connection that link routes may lead to.
    fn note_container(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if conn.settings.role != ConnectionRole::RouteContainer {
            return;
        }
        conn.is_container = true;
        let Some(container) = self.container(key) else {
            return;
        };
        let bytes = container.container.len() + container.name.len();
        self.tell_control(Command::ContainerUp(container), bytes);
    }

    /// A connection as one that link routes may lead to.
    pub(super) fn container(&self, key: ConnKey) -> Option<Container> {
        let conn = self.conns.get(key)?;
        Some(Container {
            connection: conn.id,
            shard: self.id,
            container: conn.container.as_deref().unwrap_or_default().into(),
            name: conn.settings.name.as_str().into(),
        })
    }

    /// Whose a link is by which management may be asked: link routes can belong to a connection,
    /// and not everybody may change the router.
    pub(super) fn asker(&mut self, key: ConnKey, address: &str) -> Option<Box<Asker>> {
        let is_management = matches!(
            address,
            "M0$management" | "L$management" | "L$_management_internal"
        );
        if !is_management {
            return None;
        }
        self.conns.get_mut(key)?.is_container = true;
        let container = self.container(key)?;
        let conn = self.conns.get(key)?;
        Some(Box::new(Asker {
            container,
            user: conn.engine.user().map(|user| Arc::from(&**user)),
            access: conn.settings.management,
        }))
    }

    /// Tells it of the end of one.
    pub(super) fn forget_container(&mut self, key: ConnKey) {
        if let Some(conn) = self.conns.get_mut(key)
            && std::mem::take(&mut conn.is_container)
        {
            let id = conn.id;
            self.tell_control(Command::ContainerDown(id), 0);
        }
    }

    /// Another router has this one's id, or is this one: both would be lost in a network that knows
    /// only one of them, so they are told and parted.
    fn refuse_namesake(&mut self, key: ConnKey) {
        let id = Arc::clone(&self.settings.id);
        let connection = self.conns.get(key).map(|conn| conn.id);
        let description =
            format!("router id '{id}' is that of the router it connects to: give one another id");
        self.notices
            .push(Notice::Network(NetworkNotice::DuplicateRouter {
                connection,
                id,
                neighbor: None,
            }));
        self.part_with(key, description);
    }

    /// The other end of a connection of ours refuses the links between routers, without which the
    /// connection is of no use.
    pub(super) fn refused_as_router(&mut self, key: ConnKey, error: &AmqpError) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let said = cut(error.description.as_deref().unwrap_or_default());
        let description = format!(
            "links between routers are refused ({} {said}): a connector of role inter-router needs \
             a listener of that role",
            cut(error.condition.as_str())
        );
        self.notices.push(Notice::ConnectionFailed {
            connection: conn.id,
            listener: None,
            peer: conn.peer.clone(),
            condition: NOT_ALLOWED.to_owned(),
            description: description.clone(),
        });
        self.part_with(key, description);
    }

    /// Closes a connection to a router that cannot be a neighbour, and says why.
    fn part_with(&mut self, key: ConnKey, description: String) {
        let error = AmqpError {
            condition: Symbol::from(NOT_ALLOWED),
            description: Some(Str::copy(&description)),
            info: None,
        };
        if let Some(conn) = self.conns.get_mut(key) {
            conn.engine.close(Some(error), &mut conn.output);
        }
        self.tell_ended(key, Some((NOT_ALLOWED.to_owned(), description)));
        self.close(key);
    }

    /// Tells in which form another router annotates messages.
    fn note_annotations(&mut self, opened: &Opened) {
        let properties = opened.properties.as_ref();
        let version =
            properties.and_then(|properties| int_property(properties, ANNOTATIONS_PROPERTY));
        if let Some(version) = version {
            self.notices
                .push(Notice::Network(NetworkNotice::AnnotationsVersion {
                    connection: opened.connection,
                    version: version.into(),
                }));
        }
    }

    /// A session begins; one that the peer began is answered.
    pub(super) fn begin(&mut self, key: ConnKey, session: SessionKey, answer: bool) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if !answer {
            conn.engine.answer_begin(session, &mut conn.output);
        }
        if conn.sessions.len() >= limits::SESSIONS_PER_CONNECTION {
            let error = AmqpError {
                condition: Symbol::from("amqp:resource-limit-exceeded"),
                description: Some(Str::from("too many sessions on one connection")),
                info: None,
            };
            conn.engine.end(session, Some(error), &mut conn.output);
        } else {
            conn.add_session(session);
        }
        self.touch(key);
    }

    /// The peer has ended a session.
    pub(super) fn ended(&mut self, key: ConnKey, session: SessionKey, answer: bool) {
        self.drop_session(key, session);
        if let Some(conn) = self.conns.get_mut(key)
            && !answer
        {
            conn.engine.end(session, None, &mut conn.output);
        }
        self.touch(key);
    }

    /// The peer has closed the connection.
    pub(super) fn closed_by_peer(&mut self, key: ConnKey, answer: bool, error: Option<&AmqpError>) {
        let failure = error.map(|error| {
            let description = error.description.as_deref().unwrap_or_default();
            (cut(error.condition.as_str()), cut(description))
        });
        if let Some(conn) = self.conns.get(key)
            && conn.settings.is_initiator()
            && let Some((condition, description)) = &failure
        {
            self.notices.push(Notice::ConnectionFailed {
                connection: conn.id,
                listener: None,
                peer: conn.peer.clone(),
                condition: condition.clone(),
                description: description.clone(),
            });
        }
        self.tell_ended(key, failure);
        if let Some(conn) = self.conns.get_mut(key)
            && !answer
        {
            conn.engine.close(None, &mut conn.output);
        }
        self.close(key);
    }

    /// The program ends.
    pub(super) fn close_for_shutdown(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if conn.phase == Phase::Open {
            let error = AmqpError {
                condition: Symbol::from("amqp:connection:forced"),
                description: Some(Str::from("the router is shutting down")),
                info: None,
            };
            conn.engine.close(Some(error), &mut conn.output);
        }
        self.close(key);
    }

    /// The connector of a connection was deleted.
    pub(super) fn close_connection(&mut self, id: ConnectionId) {
        let Some(&key) = self.by_id.get(&id) else {
            return;
        };
        if let Some(conn) = self.conns.get_mut(key)
            && conn.phase == Phase::Open
        {
            conn.engine.close(None, &mut conn.output);
        }
        self.close(key);
    }

    /// Tells the control plane of the end of a connection, if its connector waits for it.
    pub(super) fn tell_ended(&mut self, key: ConnKey, failure: Option<(String, String)>) {
        if let Some(conn) = self.conns.get(key)
            && conn.settings.is_initiator()
            && conn.phase != Phase::Closing
        {
            let connection = conn.id;
            let ended = Dialled::Ended {
                connection,
                failure,
            };
            self.tell_control(Command::Dialled(ended), 0);
        }
    }

    /// An administrator wants the connection gone: no Close, just an end.
    pub(super) fn drop_connection(&mut self, id: ConnectionId, by: Option<ConnectionId>) {
        let Some(&key) = self.by_id.get(&id) else {
            return;
        };
        if let Some(conn) = self.conns.get_mut(key) {
            conn.deleted = true;
            let connection = id;
            self.notices
                .push(Notice::ConnectionForced { connection, by });
        }
        let text = "deleted by an administrator".to_owned();
        self.tell_ended(key, Some(("amqp:connection:forced".to_owned(), text)));
        self.lose(key, None);
    }
}

fn engine_config(router: &RouterSettings, settings: &ConnectionSettings) -> Config {
    let channel_max = u16::try_from(settings.max_sessions.clamp(1, 32_768) - 1).unwrap_or(32_767);
    let mechanisms = settings.sasl_mechanisms.iter();
    Config {
        initiator: false,
        container_id: Str::copy(&router.id),
        max_frame_size: settings.max_frame_size,
        channel_max,
        handle_max: limits::HANDLES_PER_SESSION - 1,
        idle_time_out: settings.idle_time_out,
        handshake_time_out: settings.handshake_time_out,
        session_window: settings.max_session_frames.unwrap_or_else(|| {
            let frames = limits::SESSION_WINDOW_BYTES / settings.max_frame_size.max(1);
            frames.max(limits::SESSION_WINDOW_FRAMES)
        }),
        offered_capabilities: CAPABILITIES.map(Symbol::from).to_vec(),
        desired_capabilities: CAPABILITIES.map(Symbol::from).to_vec(),
        sasl: match &settings.sasl.plugin {
            None => Sasl::Server {
                mechanisms: mechanisms
                    .filter_map(|name| Symbol::try_copy(name))
                    .collect(),
                required: settings.authenticate_peer,
            },
            Some(_) => Sasl::Relayed {
                required: settings.authenticate_peer,
            },
        },
        plain_in_clear: settings.sasl.plain_in_clear,
        limits: Limits {
            transfers_per_delivery: limits::TRANSFERS_PER_DELIVERY,
            ..Limits::default()
        },
        ..Config::default()
    }
}

fn open_properties(
    router: &RouterSettings,
    settings: &ConnectionSettings,
    connection: ConnectionId,
    trunk: Map,
) -> Encoded {
    let mut map = Map(Vec::with_capacity(7 + settings.open_properties.len()));
    map.push(Value::symbol("product"), Value::String(Str::from(PRODUCT)));
    map.push(
        Value::symbol("version"),
        Value::String(Str::from(router.version)),
    );
    let number = i32::try_from(connection.0).unwrap_or(i32::MAX);
    map.push(Value::symbol("qd.conn-id"), Value::Int(number));
    if settings.cost > 1 {
        // Peers take note of an `int` alone.
        let cost = i32::try_from(settings.cost).unwrap_or(i32::MAX);
        map.push(Value::symbol("qd.inter-router-cost"), Value::Int(cost));
    }
    if settings.role.is_between_routers() {
        let version = Value::Int(ANNOTATIONS_VERSION);
        map.push(Value::symbol(ANNOTATIONS_PROPERTY), version);
    }
    for (key, value) in &settings.open_properties {
        if let Some(key) = Symbol::try_copy(key) {
            map.push(Value::Symbol(key), value.clone());
        }
    }
    if settings.role == ConnectionRole::InterRouter {
        // Whatever others do with a property that they do not know: those they know stand before.
        map.push(Value::symbol(LOSS_DETECTION), wish(router, settings));
        map.push(Value::symbol(HEARSAY), Value::Int(HEARSAY_VERSION));
    }
    map.0.extend(trunk.0);
    Encoded::from_value(&Value::Map(map))
}
