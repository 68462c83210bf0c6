//! The management agent: takes requests from the control plane and answers every one of them.
//!
//! ```text
//!   request ─► read ─► begin ─┬─► done ────────────────────────► response
//!                             └─► work ─► ask shards ─► finish ─► response
//! ```
//!
//! It never waits and never touches a shard. Decision: one agent serves all entity types under all
//! spellings of their names. What cannot be done is answered, too: a request without an answer
//! looks like a router that is down.

use std::cell::OnceCell;
use std::collections::VecDeque;

use amqp_codec::{AmqpError, DeliveryState, Map, Str, Symbol, Value};
use amqp_proto::Time;
use router_core::control::{ControlPlane, Gathered, QueryId, Request as Delivery};
use router_core::inspect::Subject;
use router_core::mail::Asker;
use router_core::notice::{Notice, cut};

use crate::amend::Amend;
use crate::asked::{asked, done};
use crate::counted::counted;
use crate::create;
use crate::dummy::callme;
use crate::host::{Host, ProfileState, Ticket};
use crate::made::Origin;
use crate::node;
use crate::operate::{self, Operations, Reloaded};
use crate::pages::Pages;
use crate::permit;
use crate::query::{Plan, is_management};
use crate::schema::{
    CONNECTION, CONNECTION_LINK_ROUTE, DUMMY, Entity, EntityType, LOG, MANAGEMENT, ROUTER,
    ROUTER_ADDRESS, ROUTER_LINK, SSL_PROFILE, shortened,
};
use crate::settings::link_rule;
use crate::snapshot::Live;
use crate::status::{Failure, Status};
use crate::store::{Store, not_implemented};
use crate::target::Target;
use crate::wire::{Content, Reply, Request, Response, encode_response};
use crate::work::{ConnectionChange, View, Work};

/// Requests that may wait for shards at once; further ones stay with the control plane.
const PENDING: usize = 64;

/// Link routes that one connection may have of its own.
const SCOPED_ROUTES: usize = 1024;

/// Link routes that all connections together may make for themselves.
const SCOPED_ROUTES_IN_ALL: usize = 16 * SCOPED_ROUTES;

/// Requests begun in one turn, so that the rest of the control plane gets its turn, too.
const BEGUN_PER_TURN: usize = 16;

/// A request that waits for shards.
#[derive(Debug)]
struct Pending {
    reply: Reply,
    operation: String,
    work: Work,
    asked: Vec<QueryId>,
    live: Live,
    /// All shards have answered so far.
    complete: bool,
    /// What the log is told if it changes something.
    done: Notice,
}

/// The agent of one router.
#[derive(Debug)]
pub struct Agent {
    store: Store,
    pending: VecDeque<Pending>,
    pages: Pages,
    operations: Operations,
    /// A policy keeps requests from deleting connections.
    keeps_connections: bool,
}

/// What the agent works with.
struct Context<'a> {
    control: &'a mut ControlPlane,
    host: &'a mut dyn Host,
    now: Time,
    /// Who asks, as far as that is known.
    asker: Option<Asker>,
}

/// How far a request got at once.
enum Step {
    Done(Response),
    Wait(Work),
    /// The program is asked, and answers later.
    Reload(Ticket),
}

impl Agent {
    /// An agent for the router that the entity describes; it must have its id.
    #[must_use]
    pub fn new(router: Entity) -> Self {
        Self {
            store: Store::new(router),
            pending: VecDeque::new(),
            pages: Pages::default(),
            operations: Operations::default(),
            keeps_connections: false,
        }
    }

    /// Takes up a policy: the entity to show, and whether it keeps requests from deleting
    /// connections.
    pub fn obey(&mut self, policy: Entity, keeps_connections: bool) {
        self.store.policy = policy;
        self.keeps_connections = keeps_connections;
    }

    /// Makes a checked entity, as a configuration file or a request asks; gives its identity.
    ///
    /// # Errors
    /// Why it cannot be; then nothing has changed.
    pub fn create(
        &mut self,
        entity: Entity,
        origin: Origin,
        control: &mut ControlPlane,
        host: &mut dyn Host,
    ) -> Result<String, Failure> {
        self.store.create(entity, origin, control, host)
    }

    /// The entities, for whoever changes the configuration as a whole.
    pub fn amend(&mut self) -> Amend<'_> {
        Amend(&mut self.store)
    }

    /// The program has read its configuration file anew, or could not: everything that is wrong.
    pub fn answer_reload(
        &mut self,
        ticket: Ticket,
        outcome: Result<Reloaded, Vec<String>>,
        control: &mut ControlPlane,
    ) {
        let is_applied = outcome.as_ref().is_ok_and(|done| done.is_applied);
        if let Some((reply, done, response)) = self.operations.answer(ticket, outcome) {
            if is_applied {
                control.note(done);
            }
            respond(&reply, response, control);
        }
    }

    /// The files of a profile for TLS have been read anew.
    pub fn profile_changed(&mut self, name: &str, state: &ProfileState) {
        self.store.profile_changed(name, state);
    }

    /// Takes up requests and finishes those whose rows have come. To be called after the control
    /// plane's turn; what it sends goes out with the next one.
    pub fn turn(&mut self, control: &mut ControlPlane, host: &mut dyn Host, now: Time) {
        let mut context = Context {
            control,
            host,
            now,
            asker: None,
        };
        while let Some(gathered) = context.control.poll_gathered() {
            self.take(gathered, &mut context);
        }
        for _ in 0..BEGUN_PER_TURN {
            if self.pending.len() >= PENDING {
                break;
            }
            let Some(delivery) = context.control.poll_request() else {
                break;
            };
            self.begin(&delivery, &mut context);
        }
        self.pages.expire(now);
    }

    /// Whether a turn has something to do at once.
    #[must_use]
    pub fn is_runnable(&self, control: &ControlPlane) -> bool {
        control.has_requests() && self.pending.len() < PENDING
    }

    /// When a turn is needed without new mail.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.pages.next_deadline()
    }

    /// Reads a request and gives its delivery an outcome.
    fn begin(&mut self, delivery: &Delivery, context: &mut Context<'_>) {
        let Ok(request) = Request::read(&delivery.message) else {
            context.control.settle(delivery, unreadable());
            return;
        };
        context.control.settle(delivery, DeliveryState::Accepted);
        context.asker = context.control.asker(delivery);
        let reply = request.reply;
        let mut operation = String::new();
        let step = request.content.and_then(|content| {
            operation = operation_of(&content)?;
            let least = context.control.least_management();
            let (asker, router) = (context.asker.as_ref(), self.store.router());
            let asked = asked(&content, asker);
            context.control.note(asked.clone());
            permit::check(&operation, asker, router, least)?;
            let step = self.understand(&operation, &content, context)?;
            Ok((step, done(asked)))
        });
        match step {
            Ok((Step::Done(response), done)) => {
                if matches!(&*operation, "CREATE" | "UPDATE" | "DELETE" | "DRAIN") {
                    context.control.note(done);
                }
                respond(&reply, response, context.control);
            }
            Ok((Step::Wait(work), done)) => self.wait(reply, operation, (work, done), context),
            Ok((Step::Reload(ticket), done)) => self.operations.wait(ticket, reply, done),
            Err(failure) => fail(&reply, &operation, failure, context.control),
        }
    }

    /// Asks the shards, or finishes at once what needs no shard or what an earlier page has asked.
    fn wait(
        &mut self,
        reply: Reply,
        operation: String,
        (work, done): (Work, Notice),
        context: &mut Context<'_>,
    ) {
        let subjects = work.subjects();
        if let Work::Query(plan) = &work
            && plan.is_continued()
            && let Some(live) = self.pages.find(&reply, &subjects, context.now)
        {
            let result = work.finish(&view(&self.store, context), live);
            conclude(&reply, &operation, result, context.control);
            return;
        }
        let asked = subjects
            .iter()
            .map(|subject| context.control.ask(*subject))
            .collect();
        let pending = Pending {
            reply,
            operation,
            done,
            work,
            asked,
            live: Live::default(),
            complete: true,
        };
        if subjects.is_empty() {
            self.finish(pending, context);
        } else {
            self.pending.push_back(pending);
        }
    }

    /// Takes rows to the request that asked for them.
    fn take(&mut self, gathered: Gathered, context: &mut Context<'_>) {
        let asks = |pending: &Pending| pending.asked.contains(&gathered.id);
        let Some(at) = self.pending.iter().position(asks) else {
            return;
        };
        let pending = &mut self.pending[at];
        pending.asked.retain(|asked| *asked != gathered.id);
        pending.complete &= gathered.complete;
        pending.live.add(gathered);
        if pending.asked.is_empty()
            && let Some(pending) = self.pending.remove(at)
        {
            self.finish(pending, context);
        }
    }

    fn finish(&mut self, pending: Pending, context: &mut Context<'_>) {
        let Pending {
            reply,
            operation,
            work,
            mut live,
            complete,
            done,
            ..
        } = pending;
        if !complete {
            let text = "Timed out: not every shard of the router has answered";
            let failure = Failure::new(Status::InternalError, text);
            fail(&reply, &operation, failure, context.control);
            return;
        }
        let subjects = work.subjects();
        if subjects.contains(&Subject::Addresses) {
            let control = &*context.control;
            live.add_addresses(control.addresses(), |id| control.in_process_counters(id));
        }
        for (connection, command) in work.commands(&mut live) {
            context.control.command(connection, command);
        }
        let result = work.finish(&view(&self.store, context), &live);
        if work.changes() && result.is_ok() {
            context.control.note(done);
        }
        conclude(&reply, &operation, result, context.control);
        if let Work::Query(plan) = &work
            && plan.leaves_some(live.len())
        {
            self.pages.keep(reply, subjects, live, context.now);
        }
    }

    /// Does what can be done at once.
    fn understand(
        &mut self,
        operation: &str,
        content: &Content,
        context: &mut Context<'_>,
    ) -> Result<Step, Failure> {
        match operation {
            "CREATE" => {
                let entity = create::read(content)?;
                let entity_type = entity.entity_type();
                if *entity_type == CONNECTION_LINK_ROUTE {
                    return self.create_scoped(&entity, context);
                }
                let identity =
                    self.store
                        .create(entity, Origin::Request, context.control, context.host)?;
                self.show(entity_type, &identity, Status::Created, context)
            }
            "READ" => {
                let target = Target::read(content)?;
                if !target.is_management_node() {
                    target.check()?;
                }
                let of_addresses = target.entity_type() == Some(&ROUTER_ADDRESS);
                let key = target.key().unwrap_or_default();
                if of_addresses && context.control.address(key).is_none() {
                    return Err(target.not_found());
                }
                Ok(Step::Wait(Work::Read(target)))
            }
            "UPDATE" => self.update(content, context),
            "DELETE" => self.delete(content, context),
            "RELOAD" if content.text("type")?.is_none_or(is_management) => {
                let ticket = self.operations.reload(content, context.host)?;
                Ok(Step::Reload(ticket))
            }
            "CALLME" => {
                let target = Target::read(content)?;
                if target.is_management_node() {
                    return Err(not_implemented("CALLME", &MANAGEMENT));
                }
                let rows = self.store.rows(context.control);
                Ok(Step::Done(callme(content, &target, rows)?))
            }
            "DRAIN" if content.text("type")?.is_none_or(is_management) => {
                let keeps = self.keeps_connections;
                Ok(Step::Done(operate::drain(content, keeps, context.host)?))
            }
            _ => node_operation(operation, content, context),
        }
    }

    /// A link route for the connection by which it is asked for.
    fn create_scoped(&self, entity: &Entity, context: &mut Context<'_>) -> Result<Step, Failure> {
        let owner = context.asker.as_ref().map(|asker| asker.container.clone());
        let owner =
            owner.ok_or_else(|| Failure::bad_request("Parent connection no longer exists"))?;
        let own = context.control.scoped_routes(owner.connection).count();
        // Nobody takes all that is left: there is always room for a few of whoever comes.
        let left = SCOPED_ROUTES_IN_ALL.saturating_sub(context.control.scoped_count());
        let most = SCOPED_ROUTES.min(left / 4);
        if own >= most {
            let own = counted(own, "link route");
            let text = format!("This connection has {own} of its own, the limit is {most}");
            return Err(Failure::bad_request(text));
        }
        let identity = context.control.add_scoped_route(link_rule(entity), &owner);
        let identity = identity.map_err(|error| Failure::bad_request(error.to_string()))?;
        self.show(
            &CONNECTION_LINK_ROUTE,
            &identity.to_string(),
            Status::Created,
            context,
        )
    }

    /// Removes a link route of the connection by which that is asked.
    fn delete_scoped(&self, target: &Target, context: &mut Context<'_>) -> Result<Step, Failure> {
        let live = Live::default();
        let view = view(&self.store, context);
        let row = target.find(view.rows(&CONNECTION_LINK_ROUTE, &live))?;
        let identity = row.value("identity");
        let number = identity.as_str().and_then(|text| text.parse().ok());
        if let Some(number) = number {
            context.control.remove_link_route(number);
        }
        let body = Value::Map(Map::new());
        Ok(Step::Done(Response::new(Status::NoContent, body)))
    }

    fn update(&mut self, content: &Content, context: &mut Context<'_>) -> Result<Step, Failure> {
        let target = Target::read(content)?;
        let Some(entity_type) = target.entity_type() else {
            let row = target.find(self.store.rows(context.control))?;
            let (entity_type, identity) = (row.entity_type(), row.value("identity"));
            let identity = identity.as_str().unwrap_or_default().to_owned();
            return self.update_configured(entity_type, &identity, content, context);
        };
        if *entity_type == CONNECTION {
            let change = ConnectionChange::read(&content.body)?;
            if self.keeps_connections && change.deletes() {
                return Err(Failure::not_allowed());
            }
            target.identity().ok_or(Status::BadRequest)?;
            let by = context.asker.as_ref();
            let change = change.asked_by(by.map(|asker| asker.container.connection));
            return Ok(Step::Wait(Work::UpdateConnection(target, change)));
        }
        if *entity_type == ROUTER_LINK {
            let status = content.body.as_map().and_then(|map| map.get("adminStatus"));
            status.and(target.identity()).ok_or(Status::BadRequest)?;
            return Ok(Step::Wait(Work::UpdateLink(target)));
        }
        if !is_changed_here(entity_type) {
            return self.update_configured(entity_type, "", content, context);
        }
        target.check()?;
        let row = target.find(self.store.rows(context.control))?;
        let identity = row
            .value("identity")
            .as_str()
            .unwrap_or_default()
            .to_owned();
        self.update_configured(entity_type, &identity, content, context)
    }

    fn update_configured(
        &mut self,
        entity_type: &'static EntityType,
        identity: &str,
        content: &Content,
        context: &mut Context<'_>,
    ) -> Result<Step, Failure> {
        if *entity_type == ROUTER {
            return Err(Status::Forbidden.into());
        }
        if !is_changed_here(entity_type) {
            return Err(not_implemented("UPDATE", entity_type));
        }
        let attributes = create::attributes(&content.body)?;
        if *entity_type == SSL_PROFILE {
            self.store
                .reload_profile(identity, &attributes, context.host)?;
        } else if *entity_type == DUMMY {
            self.store.update_dummy(identity, &attributes)?;
        } else {
            self.store.update(identity, &attributes, context.host)?;
        }
        self.show(entity_type, identity, Status::Ok, context)
    }

    fn delete(&mut self, content: &Content, context: &mut Context<'_>) -> Result<Step, Failure> {
        let target = Target::read(content)?;
        if target.is_management_node() {
            return Err(not_implemented("DELETE", &MANAGEMENT));
        }
        if let Some(entity_type) = target.entity_type() {
            if *entity_type == ROUTER || *entity_type == CONNECTION {
                return Err(Status::Forbidden.into());
            }
            if !entity_type
                .all_operations()
                .any(|operation| operation == "DELETE")
            {
                return Err(not_implemented("DELETE", entity_type));
            }
        }
        target.check()?;
        if target.entity_type() == Some(&CONNECTION_LINK_ROUTE) {
            return self.delete_scoped(&target, context);
        }
        let row = target.find(self.store.rows(context.control))?;
        let (entity_type, identity) = (row.entity_type(), row.value("identity"));
        let identity = identity.as_str().unwrap_or_default().to_owned();
        self.store
            .delete(entity_type, &identity, context.control, context.host)?;
        Ok(Step::Done(Response::new(
            Status::NoContent,
            Value::Map(Map::new()),
        )))
    }

    /// A configured entity as the body of an answer.
    fn show(
        &self,
        entity_type: &'static EntityType,
        identity: &str,
        status: Status,
        context: &mut Context<'_>,
    ) -> Result<Step, Failure> {
        let live = Live::default();
        let view = view(&self.store, context);
        let row = view
            .rows(entity_type, &live)
            .find(|row| row.is_called(None, Some(identity)))
            .ok_or(Status::NotFound)?;
        Ok(Step::Done(Response::new(status, Value::Map(row.to_map()))))
    }
}

fn view<'a>(store: &'a Store, context: &'a Context<'_>) -> View<'a> {
    View {
        nodes: OnceCell::new(),
        store,
        control: context.control,
        memory_usage: context.host.memory_usage(),
        host_name: context.host.host_name(),
        log_stats: context.host.log_stats(),
        admissions: context.host.admissions(),
        now: context.now,
        asker: context
            .asker
            .as_ref()
            .map(|asker| asker.container.connection),
    }
}

/// Whether what is configured of a type can be changed without making it anew.
fn is_changed_here(entity_type: &EntityType) -> bool {
    [&LOG, &SSL_PROFILE, &DUMMY].contains(&entity_type)
}

/// The operation in upper case.
fn operation_of(content: &Content) -> Result<String, Failure> {
    let operation = content.text("operation")?;
    let operation = operation.ok_or_else(|| Failure::bad_request("No 'operation' property"))?;
    Ok(operation.to_ascii_uppercase())
}

/// Operations of the management node.
fn node_operation(
    operation: &str,
    content: &Content,
    context: &mut Context<'_>,
) -> Result<Step, Failure> {
    if operation == "QUERY" {
        return Ok(Step::Wait(Work::Query(Plan::read(content)?)));
    }
    let body = node::body(operation, content, context.control, &*context.host)?;
    Ok(Step::Done(Response::new(Status::Ok, body)))
}

fn conclude(
    reply: &Reply,
    operation: &str,
    result: Result<Response, Failure>,
    control: &mut ControlPlane,
) {
    match result {
        Ok(response) => respond(reply, response, control),
        Err(failure) => fail(reply, operation, failure, control),
    }
}

fn fail(reply: &Reply, operation: &str, failure: Failure, control: &mut ControlPlane) {
    let operation = shortened(operation).into_owned();
    let description = cut(&failure.text);
    control.note(Notice::ManagementFailed {
        operation,
        description,
    });
    respond(reply, failure.into(), control);
}

/// Sends an answer to who gave an address for it.
fn respond(reply: &Reply, response: Response, control: &mut ControlPlane) {
    if let Some(to) = &reply.to {
        control.send(to, encode_response(reply, response));
    }
}

/// The outcome of a message that is no request.
fn unreadable() -> DeliveryState {
    DeliveryState::Rejected(Some(Box::new(AmqpError {
        condition: Symbol::from_static("amqp:decode-error"),
        description: Some(Str::from("Parse error in message content")),
        info: None,
    })))
}
