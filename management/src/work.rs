//! Requests that have been understood and wait for what the shards say.
//!
//! Owns what is left to do once the rows are there. Decision: all operations on live tables go
//! through the same wait, so that an UPDATE answers with rows as fresh as those of a READ.

use std::cell::OnceCell;

use amqp_codec::Value;
use amqp_proto::Time;
use router_core::control::ControlPlane;
use router_core::ids::ConnectionId;
use router_core::inspect::{ConnectionRow, Subject};
use router_core::mail::ConnectionCommand;
use router_core::mesh::NodeRow;

use crate::host::{Admissions, LogStats};
use crate::query::Plan;
use crate::rows::{RouterView, Row};
use crate::schema::{
    ALLOCATOR, CONNECTION, CONNECTION_LINK_ROUTE, EntityType, LOG_STATS, MANAGEMENT, POLICY,
    ROUTER, ROUTER_ADDRESS, ROUTER_LINK, ROUTER_NODE, coerce,
};
use crate::snapshot::{Live, subject};
use crate::status::{Failure, Status};
use crate::store::Store;
use crate::target::Target;
use crate::wire::Response;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Query(Plan),
    Read(Target),
    UpdateConnection(Target, ConnectionChange),
    UpdateLink(Target),
}

/// What is wanted of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionChange {
    delete: bool,
    trace: Option<bool>,
    /// The connection by which it is asked for, if that is known.
    by: Option<ConnectionId>,
}

impl ConnectionChange {
    /// Whether the connection is to be deleted.
    pub(crate) fn deletes(self) -> bool {
        self.delete
    }

    /// The same, asked for by a connection.
    pub(crate) fn asked_by(self, by: Option<ConnectionId>) -> Self {
        Self { by, ..self }
    }

    /// A connection between routers is not for deleting: it would come back, and meanwhile routes
    /// would change all over the network. Who wants it gone deletes its connector.
    fn is_forbidden(self, row: &ConnectionRow) -> bool {
        self.delete && matches!(row.role, "inter-router" | "edge")
    }

    /// Reads the body of an UPDATE; one that says nothing known is an error.
    pub(crate) fn read(body: &Value) -> Result<Self, Failure> {
        let map = body
            .as_map()
            .ok_or_else(|| Failure::bad_request("Body of request must be a map"))?;
        let value = |name| {
            let kind = CONNECTION.attribute(name).expect("in the table").kind;
            let value = map.get(name).map(|value| coerce(kind, value));
            value
                .transpose()
                .map(Option::flatten)
                .map_err(|_| Failure::from(Status::BadRequest))
        };
        let (status, trace) = (value("adminStatus")?, value("enableProtocolTrace")?);
        if status.is_none() && trace.is_none() {
            return Err(Status::BadRequest.into());
        }
        Ok(Self {
            delete: status.as_ref().and_then(Value::as_str) == Some("deleted"),
            trace: trace.as_ref().and_then(Value::as_bool),
            by: None,
        })
    }
}

/// Everything that can be seen when the rows are there.
pub(crate) struct View<'a> {
    pub(crate) store: &'a Store,
    pub(crate) control: &'a ControlPlane,
    pub(crate) memory_usage: Option<u64>,
    pub(crate) host_name: Option<String>,
    pub(crate) log_stats: Vec<LogStats>,
    pub(crate) admissions: Admissions,
    pub(crate) now: Time,
    /// The connection by which is asked, as far as that is known.
    pub(crate) asker: Option<ConnectionId>,
    /// The routers of the network, once they have been asked for.
    pub(crate) nodes: OnceCell<Vec<NodeRow>>,
}

impl View<'_> {
    /// All entities of a type.
    pub(crate) fn rows<'b>(
        &'b self,
        entity_type: &'static EntityType,
        live: &'b Live,
    ) -> Box<dyn Iterator<Item = Row<'b>> + 'b> {
        if *entity_type == CONNECTION {
            Box::new(live.connections())
        } else if *entity_type == ROUTER_LINK {
            Box::new(live.links())
        } else if *entity_type == ROUTER_ADDRESS {
            Box::new(live.addresses())
        } else if *entity_type == ROUTER_NODE {
            Box::new(self.nodes())
        } else if *entity_type == ROUTER {
            Box::new(std::iter::once(Row::Router(self.router())))
        } else if *entity_type == CONNECTION_LINK_ROUTE {
            let routes = self.asker.map(|asker| self.control.scoped_routes(asker));
            Box::new(routes.into_iter().flatten().map(Row::LinkRoute))
        } else if *entity_type == MANAGEMENT {
            Box::new(std::iter::once(Row::Management))
        } else if *entity_type == LOG_STATS {
            Box::new(self.log_stats())
        } else if *entity_type == POLICY {
            Box::new(std::iter::once(self.policy()))
        } else if *entity_type == ALLOCATOR {
            Box::new(live.pools())
        } else {
            let configured = self.store.rows(self.control);
            Box::new(configured.filter(move |row| row.entity_type() == entity_type))
        }
    }

    /// What a target may be: the entities of its type, or all that are configured, the routers of
    /// the network and the figures of the log.
    fn candidates<'b>(
        &'b self,
        target: &Target,
        live: &'b Live,
    ) -> Box<dyn Iterator<Item = Row<'b>> + 'b> {
        match target.entity_type() {
            Some(entity_type) if !entity_type.is_abstract => {
                let others = target.is_named_among_all();
                let others = others.then(|| self.store.rows(self.control));
                let rows = self.rows(entity_type, live);
                Box::new(rows.chain(others.into_iter().flatten()))
            }
            _ => {
                let router = std::iter::once(Row::Router(self.router()).as_configured());
                let others = self.store.rows(self.control).skip(1);
                let single = [Row::Management, self.policy()];
                let configured = router.chain(others).chain(single);
                Box::new(configured.chain(self.nodes()).chain(self.log_stats()))
            }
        }
    }

    fn nodes(&self) -> impl Iterator<Item = Row<'_>> {
        let nodes = self.nodes.get_or_init(|| self.control.nodes());
        nodes.iter().map(Row::Node)
    }

    fn log_stats(&self) -> impl Iterator<Item = Row<'_>> {
        self.log_stats.iter().map(Row::LogStats)
    }

    fn policy(&self) -> Row<'_> {
        Row::Policy(&self.store.policy, self.admissions)
    }

    fn router(&self) -> RouterView<'_> {
        RouterView {
            control: self.control,
            entity: self.store.router(),
            memory_usage: self.memory_usage,
            host_name: self.host_name.as_deref(),
            now: self.now,
            as_configured: false,
        }
    }
}

impl Work {
    /// What must be asked of the shards first.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        match self {
            Self::Query(plan) => plan.types().iter().copied().filter_map(subject).collect(),
            Self::Read(target) => target.entity_type().and_then(subject).into_iter().collect(),
            Self::UpdateConnection(..) => vec![Subject::Connections],
            Self::UpdateLink(_) => vec![Subject::Links],
        }
    }

    /// Does it, with what the shards have said; commands go to the control plane afterwards.
    pub(crate) fn finish(&self, view: &View<'_>, live: &Live) -> Result<Response, Failure> {
        match self {
            Self::Query(plan) => plan.answer(
                plan.types()
                    .iter()
                    .flat_map(|of_type| view.rows(of_type, live)),
            ),
            Self::Read(target) if target.is_management_node() => Ok(shown(Row::Management)),
            Self::Read(target) if target.entity_type() == Some(&ROUTER) => {
                let row = Row::Router(view.router());
                Ok(shown(match target.is_in_full() {
                    true => row,
                    false => row.as_configured(),
                }))
            }
            Self::Read(target) | Self::UpdateLink(target) => {
                target.find(view.candidates(target, live)).map(shown)
            }
            Self::UpdateConnection(target, change) => {
                let row = target
                    .find(live.connections())
                    .map_err(|_| Status::BadRequest)?;
                if let Row::Connection(row) = row
                    && change.is_forbidden(row)
                {
                    return Err(Failure::not_allowed());
                }
                Ok(shown(row))
            }
        }
    }

    /// Whether it changes something once it is done.
    pub(crate) fn changes(&self) -> bool {
        matches!(self, Self::UpdateConnection(..))
    }

    /// What the shards are told to do, once the answer is known to be a good one; the rows then
    /// show what they will be.
    pub(crate) fn commands(&self, live: &mut Live) -> Vec<(ConnectionId, ConnectionCommand)> {
        let Self::UpdateConnection(target, change) = self else {
            return Vec::new();
        };
        let identity = target.identity().unwrap_or_default();
        let row = live
            .connections_mut()
            .find(|row| row.id.to_string() == identity);
        let Some(row) = row.filter(|row| !change.is_forbidden(row)) else {
            return Vec::new();
        };
        let mut commands = Vec::new();
        if let Some(on) = change.trace {
            row.traced = on;
            commands.push((row.id, ConnectionCommand::Trace(on)));
        }
        if change.delete {
            row.deleted = true;
            commands.push((row.id, ConnectionCommand::Drop(change.by)));
        }
        commands
    }
}

/// A row as the body of an answer.
pub(crate) fn shown(row: Row<'_>) -> Response {
    Response::new(Status::Ok, Value::Map(row.to_map()))
}
