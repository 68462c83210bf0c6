//! A router made of a real control plane, a real agent and one shard that only answers questions.

use std::collections::VecDeque;
use std::sync::Arc;

use amqp_codec::{DeliveryState, Value};
use amqp_proto::Time;
use bytes::Bytes;
use management::client::{Call, Client, Query, Response, Table};
use management::schema::{Entity, ROUTER};
use management::settings::{LogSettings, ProfileSettings, router_settings};
use management::{Admissions, Agent, Failure, Host, LogRow, LogStats, ProfileState};
use router_core::control::{ControlConfig, ControlPlane, Effect};
use router_core::counters::{CounterWriter, Counters};
use router_core::ids::{
    AddressId, ConnectionId, Direction, InKey, InLinkKey, Key, LinkId, Origin, OutLinkKey, ShardId,
};
use router_core::inspect::{
    AddressCounters, Answer, ConnectionRow, LinkCounters, LinkRow, LinkType, PoolRow, Rows, Subject,
};
use router_core::mail::{
    Asker, Batch, Bind, BoundLink, Command, ConnectionCommand, Container, Forward, Mail, Target,
};
use router_core::notice::Notice;
use router_core::route::Treatment;
use router_core::settings::ManagementAccess;

/// Where answers go.
pub(crate) const REPLY_TO: &str = "amqp:/_topo/0/router/temp.me";

/// The program around the router.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) lines: Vec<LogRow>,
    pub(crate) settings: Vec<LogSettings>,
    pub(crate) refuses: Option<Failure>,
    pub(crate) profiles: Vec<String>,
}

impl Host for Program {
    fn set_profile(&mut self, profile: &ProfileSettings) -> Result<ProfileState, String> {
        if profile.cert_file.as_deref() == Some("missing.pem") {
            return Err("certFile: no such file".to_owned());
        }
        self.profiles.push(profile.name.clone());
        Ok(ProfileState {
            certificate_expires: Some("2030-01-01T00:00:00Z".to_owned()),
            ..ProfileState::default()
        })
    }

    fn reload_profile(&mut self, name: &str) -> Result<ProfileState, String> {
        Ok(ProfileState {
            certificate_expires: Some(format!("2031-01-01T00:00:00Z of {name}")),
            ..ProfileState::default()
        })
    }

    fn drop_profile(&mut self, name: &str) {
        self.profiles.retain(|known| known != name);
    }

    fn log_rows(&self, limit: Option<usize>, _: &mut Vec<Notice>) -> Vec<LogRow> {
        let skipped = limit.map_or(0, |limit| self.lines.len().saturating_sub(limit));
        self.lines[skipped..].to_vec()
    }

    fn update_log(&mut self, settings: &LogSettings) -> Result<(), Failure> {
        match &self.refuses {
            Some(failure) => Err(failure.clone()),
            None => {
                self.settings.push(settings.clone());
                Ok(())
            }
        }
    }

    fn log_stats(&self) -> Vec<LogStats> {
        vec![LogStats {
            module: "AGENT",
            lines: [1, 2, 3, 4, 5, 6, 7],
        }]
    }

    fn admissions(&self) -> Admissions {
        Admissions {
            admitted: 9,
            denied: 2,
            current: 3,
        }
    }

    fn memory_usage(&self) -> Option<u64> {
        Some(77)
    }

    fn host_name(&self) -> Option<String> {
        Some("machine".to_owned())
    }
}

/// The router, its program and one client.
pub(crate) struct World {
    pub(crate) control: ControlPlane,
    pub(crate) agent: Agent,
    pub(crate) program: Program,
    pub(crate) client: Client,
    pub(crate) counters: CounterWriter,
    pub(crate) connections: Vec<ConnectionRow>,
    pub(crate) links: Vec<LinkRow>,
    pub(crate) addresses: Vec<(AddressId, AddressCounters)>,
    /// The shard answers questions.
    pub(crate) answers: bool,
    /// How often each question came.
    pub(crate) asked: Vec<Subject>,
    pub(crate) commands: Vec<(ConnectionId, ConnectionCommand)>,
    pub(crate) outcomes: Vec<DeliveryState>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) now: Time,
    /// The link by which is asked; nobody's until somebody is admitted.
    pub(crate) sender: InLinkKey,
    replies: VecDeque<Bytes>,
    deliveries: u32,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::in_mode("standalone")
    }

    pub(crate) fn in_mode(mode: &'static str) -> Self {
        Self::of(mode, None)
    }

    /// The world of a router that names who may change it.
    pub(crate) fn of(mode: &'static str, users: Option<&'static str>) -> Self {
        let mut router = Entity::new(&ROUTER);
        router.set("managementUsers", users.map(Into::into));
        router.set("id", Some("router".into()));
        router.set("mode", Some(mode.into()));
        router.set("metadata", Some("a test".into()));
        let counters = Counters::new(1);
        let control = ControlPlane::new(ControlConfig {
            instance: 1,
            settings: Arc::new(router_settings(&router, "9.9")),
            shards: 1,
            seed: 3,
            counters: Arc::clone(&counters),
        });
        let mut world = Self {
            control,
            agent: Agent::new(router),
            program: Program::default(),
            client: Client::new(REPLY_TO),
            counters: counters.writer(ShardId(0)),
            connections: Vec::new(),
            links: Vec::new(),
            addresses: Vec::new(),
            answers: true,
            asked: Vec::new(),
            commands: Vec::new(),
            outcomes: Vec::new(),
            effects: Vec::new(),
            now: Time::ZERO,
            sender: InLinkKey(Key::NONE),
            replies: VecDeque::new(),
            deliveries: 0,
        };
        world.attach_receiver("Ltemp.me", 900);
        world
    }

    /// Binds a consumer on the shard.
    pub(crate) fn attach_receiver(&mut self, key: &str, index: u32) {
        let link = OutLinkKey {
            shard: ShardId(0),
            link: Key {
                index,
                generation: 0,
            },
        };
        let bind = Bind {
            key: key.into(),
            treatment: Treatment::AnycastBalanced,
            priority: None,
            link: BoundLink::Out {
                link,
                capacity: 250,
                annotated: false,
            },
            id: LinkId(u64::from(index)),
            from: None,
        };
        let mail = vec![Mail::Command(Box::new(Command::Bind(bind)))];
        self.control.handle_mail(Batch { mail });
        self.turn();
    }

    /// Attaches somebody's link to `$management`, by which is asked from now on.
    pub(crate) fn admit(&mut self, user: Option<&str>, access: ManagementAccess) {
        self.sender = InLinkKey(Key {
            index: 800,
            generation: self.sender.0.generation.wrapping_add(1),
        });
        let connection = ConnectionId(12);
        let asker = Asker {
            container: Container {
                connection,
                shard: ShardId(0),
                container: "client".into(),
                name: "public".into(),
            },
            user: user.map(Into::into),
            access,
        };
        let bind = Bind {
            key: "M0$management".into(),
            treatment: Treatment::AnycastClosest,
            priority: None,
            link: BoundLink::In(ShardId(0), self.sender),
            id: LinkId(800),
            from: Some(Box::new(asker)),
        };
        let mail = vec![Mail::Command(Box::new(Command::Bind(bind)))];
        self.control.handle_mail(Batch { mail });
        self.turn();
    }

    /// Sends a message to `$management`.
    pub(crate) fn send(&mut self, message: Bytes) {
        self.deliveries += 1;
        let route = self
            .control
            .table()
            .lookup("M0$management")
            .expect("always there");
        let key = InKey(Key {
            index: self.deliveries,
            generation: 0,
        });
        let mut forward = Forward::whole(
            Origin {
                shard: ShardId(0),
                delivery: Some(key),
            },
            Target::Link(route.in_process[0]),
            route.id,
            message.into(),
        );
        forward.sender = self.sender;
        self.control.handle_mail(Batch {
            mail: vec![Mail::Forward(forward)],
        });
    }

    /// Lets everything happen that is due.
    pub(crate) fn turn(&mut self) {
        for _ in 0..8 {
            self.control.turn(self.now);
            self.agent
                .turn(&mut self.control, &mut self.program, self.now);
            let batches: Vec<_> = self.control.outboxes().drain().collect();
            for (_, batch) in batches {
                for mail in batch.mail {
                    self.take(mail);
                }
            }
            while let Some(effect) = self.control.poll_effect() {
                self.effects.push(effect);
            }
        }
    }

    fn take(&mut self, mail: Mail) {
        match mail {
            Mail::Forward(forward) => {
                assert!(forward.settled, "answers are sent settled");
                self.replies.push_back(forward.payload.chunks()[0].clone());
            }
            Mail::Outcome { state, settled, .. } => {
                assert!(settled);
                self.outcomes.extend(state);
            }
            Mail::Inspect(query) => {
                self.asked.push(query.what);
                if self.answers {
                    let rows = match query.what {
                        Subject::Connections => Rows::Connections(self.connections.clone()),
                        Subject::Links => Rows::Links(self.links.clone()),
                        Subject::Addresses => Rows::Addresses(self.addresses.clone()),
                        Subject::Pools => Rows::Pools(vec![POOL]),
                        Subject::Presence => Rows::Presence,
                    };
                    let answer = Answer {
                        id: query.id,
                        shard: ShardId(0),
                        rows,
                    };
                    let mail = vec![Mail::Answer(Box::new(answer))];
                    self.control.handle_mail(Batch { mail });
                }
            }
            Mail::Command(command) => {
                if let Command::Connection(connection, command) = *command {
                    self.commands.push((connection, command));
                }
            }
            _ => {}
        }
    }

    /// The next answer, if there is one.
    pub(crate) fn reply(&mut self) -> Option<Response> {
        self.turn();
        let message = self.replies.pop_front()?;
        Some(Response::read(&message).expect("a response"))
    }

    /// The next answer as a message.
    pub(crate) fn reply_message(&mut self) -> Bytes {
        self.turn();
        self.replies.pop_front().expect("an answer")
    }

    /// Sends a request; gives its answer.
    pub(crate) fn ask(&mut self, call: Call) -> Response {
        self.send(call.message.clone());
        let response = self.reply().expect("an answer");
        assert!(response.answers(&call), "{response:?}");
        response
    }

    /// The same for an operation on an entity.
    pub(crate) fn request(
        &mut self,
        operation: &str,
        properties: &[(&'static str, &str)],
        body: Value,
    ) -> Response {
        let properties: Vec<_> = properties
            .iter()
            .map(|(name, text)| (*name, Value::from((*text).to_owned())))
            .collect();
        let call = self.client.call(operation, properties, body);
        self.ask(call)
    }

    /// All rows of a type, as the client's pages give them.
    pub(crate) fn query(&mut self, entity_type: &str) -> Table {
        let mut query = Query::new(entity_type, [], None);
        loop {
            let call = query.next_page(&mut self.client);
            let response = self.ask(call);
            if !query.take(response).expect("a page") {
                return query.into_table();
            }
        }
    }
}

/// What a shard says of its memory.
const POOL: PoolRow = PoolRow {
    name: "delivery",
    object_bytes: 96,
    kept: 682,
    held: 5,
    given_back: 10,
};

/// A connection with nothing remarkable.
pub(crate) fn connection(id: u64) -> ConnectionRow {
    ConnectionRow {
        id: ConnectionId(id),
        host: format!("127.0.0.1:{}", 40_000 + id),
        role: "normal",
        direction: Direction::In,
        container: Some("client".to_owned()),
        sasl: Some("ANONYMOUS".to_owned()),
        authenticated: false,
        user: Some("anonymous".to_owned()),
        properties: None,
        opened: true,
        deleted: false,
        uptime_seconds: 5,
        last_delivery_seconds: None,
        security: None,
        traced: false,
        trunk: None,
    }
}

/// A link with nothing remarkable.
pub(crate) fn link(id: u64) -> LinkRow {
    LinkRow {
        id: LinkId(id),
        name: format!("link-{id}").into(),
        kind: LinkType::Endpoint,
        direction: Direction::Out,
        connection: ConnectionId(1),
        address: Some("M0queue".into()),
        peer: None,
        capacity: 250,
        undelivered: 1,
        unsettled: 2,
        counters: LinkCounters {
            deliveries: id,
            ..LinkCounters::default()
        },
        zero_credit_seconds: 0,
        credit: 10,
        settle_rate: 0,
        stuck: 0,
        priority: 4,
        ingress: Some(vec![(0, 3), (2, 5)]),
    }
}
