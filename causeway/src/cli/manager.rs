//! Asking a router about itself over AMQP management.
//!
//! Owns the two links and the waiting of one conversation with `$management`; what is asked and
//! how answers are read is the management crate's. Requests go one at a time: a person reads the
//! answers one at a time too.

use std::time::Duration;

use amqp_codec::{DeliveryState, DeliveryTag, Source, Value};
use amqp_proto::{Event, LinkKey, OutTransfer, Payload};
use management::client::{self, Call, ClientError, MANAGEMENT_ADDRESS, Query, Response, Table};

use crate::cli::client::fault;
use crate::cli::client::interrupt::Interrupt;
use crate::cli::client::{Client, ConnectOptions, container_name};
use crate::cli::failure::Failure;
use crate::cli::intake::{self, Intake};

/// Whose management node is asked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Node {
    /// That of the router which is connected to.
    #[default]
    Own,
    /// That of a router of the network.
    Router(String),
    /// That of an edge router.
    Edge(String),
    /// The one at an address.
    At(String),
}

impl Node {
    /// The one that options name; that of the router which is connected to if they name none.
    #[must_use]
    pub fn of(router: Option<&str>, edge_router: Option<&str>) -> Self {
        match (router, edge_router) {
            (Some(id), _) => Self::Router(id.to_owned()),
            (None, Some(id)) => Self::Edge(id.to_owned()),
            (None, None) => Self::Own,
        }
    }

    /// The address of its management node.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Own => MANAGEMENT_ADDRESS.to_owned(),
            Self::Router(id) => format!("_topo/0/{id}/{MANAGEMENT_ADDRESS}"),
            Self::Edge(id) => format!("_edge/{id}/{MANAGEMENT_ADDRESS}"),
            Self::At(address) => address.clone(),
        }
    }

    fn named(&self, client: &mut Client) -> String {
        match self {
            Self::Own => format!("the router at {}", client.wire().peer()),
            Self::Router(id) => format!("router `{id}`"),
            Self::Edge(id) => format!("edge router `{id}`"),
            Self::At(address) => format!("the node at `{address}`"),
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Trouble {
    /// The connection or a link of it is lost, or the person wants to stop.
    Lost(Failure),
    /// Nothing came in time.
    Silent {
        /// The same in words.
        failure: Failure,
        /// The request has been sent: only the answer is missing.
        sent: bool,
        /// Where it was, or was to be, sent to.
        address: String,
    },
    /// The request came back: there is no way to whom it was for.
    Unreachable(Failure),
    /// It answers that it will not.
    Refused {
        /// Who.
        what: String,
        /// The status code.
        status: i32,
        /// Its reason.
        description: String,
    },
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Lost(failure)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Lost(failure)
            | Trouble::Unreachable(failure)
            | Trouble::Silent { failure, .. } => failure,
            Trouble::Refused {
                what,
                status,
                description,
            } => Self::new(format!("{what} refuses: {description} ({status})")),
        }
    }
}

/// A conversation with the management node of a router.
pub struct Manager {
    client: Client,
    caller: client::Client,
    calls: u64,
    intake: Intake,
    /// To whom is asked; none after one that could not be attached.
    link: Option<LinkKey>,
    timeout: Duration,
    what: String,
    address: String,
}

impl Manager {
    /// Connects and attaches. `router` names another router of the network; none is the one that is
    /// connected to. An answer may take `timeout`.
    ///
    /// # Errors
    /// If the router cannot be reached or has no management node.
    pub fn connect(
        options: &ConnectOptions,
        router: Option<&str>,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        Self::connect_with(options, router, timeout, Interrupt::on_signals()?)
    }

    /// The same with an interrupt of one's own.
    ///
    /// # Errors
    /// As [`Manager::connect`].
    pub fn connect_with(
        options: &ConnectOptions,
        router: Option<&str>,
        timeout: Duration,
        interrupt: Interrupt,
    ) -> Result<Self, Failure> {
        let node = Node::of(router, None);
        Self::connect_to(options, &node, timeout, interrupt)
    }

    /// The same to any management node.
    ///
    /// # Errors
    /// As [`Manager::connect`].
    pub fn connect_to(
        options: &ConnectOptions,
        node: &Node,
        timeout: Duration,
        interrupt: Interrupt,
    ) -> Result<Self, Failure> {
        let name = container_name("manager");
        let options = ConnectOptions {
            time_out: Some(timeout),
            ..options.clone()
        };
        let mut client = Client::connect(&options, &name, interrupt)?;
        let what = node.named(&mut client);
        let address = node.address();
        let link = client.attach_sender(Some(&address), false)?.key;
        let source = Source {
            dynamic: true,
            ..Source::default()
        };
        let receiver = client.attach_receiver(source, false)?;
        let Some(reply_to) = receiver.attach.source.and_then(|source| source.address) else {
            return Err(Failure::new(format!(
                "{what} gave no address for its answers"
            )));
        };
        let intake = Intake::new(receiver.key, u64::MAX);
        intake.renew(&mut client);
        let caller = client::Client::new(reply_to.to_string());
        Ok(Self {
            client,
            caller,
            calls: 0,
            intake,
            link: Some(link),
            timeout,
            what,
            address,
        })
    }

    /// Asks another management node from now on, over the same connection.
    ///
    /// # Errors
    /// If the link to it cannot be attached.
    pub fn turn_to(&mut self, node: &Node) -> Result<(), Failure> {
        let address = node.address();
        if address == self.address && self.link.is_some() {
            return Ok(());
        }
        if let Some(link) = self.link.take() {
            self.client.detach(link)?;
        }
        self.what = node.named(&mut self.client);
        self.link = Some(self.client.attach_sender(Some(&address), false)?.key);
        self.address = address;
        Ok(())
    }

    /// Whether the person wants to stop.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.client.interrupted()
    }

    /// Waits, and keeps the connection alive meanwhile; less long if the person wants to stop.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn rest(&mut self, time: Duration) -> Result<(), Failure> {
        let deadline = Some(self.client.deadline(time));
        while let Some(event) = self.client.next_event(deadline)? {
            match self.handle(event) {
                // What comes of an earlier request does not matter any more.
                Ok(_) | Err(Trouble::Unreachable(_)) => {}
                Err(trouble) => return Err(trouble.into()),
            }
        }
        Ok(())
    }

    /// All entities of a type (its full name), or the first `limit`.
    ///
    /// # Errors
    /// If the router refuses or does not answer in time.
    pub fn query(&mut self, entity_type: &str, limit: Option<usize>) -> Result<Table, Failure> {
        self.table(entity_type, &[], limit)
            .map_err(|trouble| match trouble {
                Trouble::Refused {
                    what,
                    status,
                    description,
                } => Failure::new(format!(
                    "{what} does not tell its `{entity_type}`: {description} ({status})"
                )),
                trouble => trouble.into(),
            })
    }

    /// The same with chosen attributes, if any are named; an empty type is all types.
    ///
    /// # Errors
    /// If the router refuses or does not answer in time.
    pub fn table(
        &mut self,
        entity_type: &str,
        attributes: &[&str],
        limit: Option<usize>,
    ) -> Result<Table, Trouble> {
        let mut query = Query::new(entity_type, attributes.iter().copied(), limit);
        loop {
            let call = query.next_page(&mut self.caller);
            let response = self.ask(&call)?;
            let more = query.take(response).map_err(|error| self.refusal(error))?;
            if !more {
                return Ok(query.into_table());
            }
        }
    }

    /// Any operation; its result.
    ///
    /// # Errors
    /// If the router refuses or does not answer in time.
    pub fn call(
        &mut self,
        operation: &str,
        properties: &[(String, Value)],
        body: Value,
    ) -> Result<Value, Trouble> {
        let properties = properties.iter();
        let properties = properties.map(|(name, value)| (name.as_str(), value.clone()));
        let call = self.caller.call(operation, properties, body);
        let response = self.ask(&call)?;
        response.result().map_err(|error| self.refusal(error))
    }

    /// An operation of the management node itself; its result.
    ///
    /// # Errors
    /// If the router refuses or does not answer in time.
    pub fn call_node(
        &mut self,
        operation: &str,
        properties: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<Value, Trouble> {
        let call = self.caller.node_call(operation, properties);
        let response = self.ask(&call)?;
        response.result().map_err(|error| self.refusal(error))
    }

    fn refusal(&self, error: ClientError) -> Trouble {
        match error {
            ClientError::Refused {
                status,
                description,
            } => Trouble::Refused {
                what: self.what.clone(),
                status,
                description,
            },
            error => Failure::new(format!("{}: {error}", self.what)).into(),
        }
    }

    /// Has the management node itself do something; whatever it answers.
    ///
    /// # Errors
    /// If the router does not answer in time.
    pub fn operate(
        &mut self,
        operation: &str,
        properties: Vec<(&'static str, Value)>,
    ) -> Result<Response, Failure> {
        let call = self.caller.node_call(operation, properties);
        Ok(self.ask(&call)?)
    }

    /// Waits until the router closes the connection; whether it does in that time.
    ///
    /// # Errors
    /// The person wants to stop.
    pub fn is_left_within(mut self, time: Duration) -> Result<bool, Failure> {
        let deadline = Some(self.client.deadline(time));
        loop {
            match self.client.next_event(deadline) {
                Ok(Some(_)) => {}
                Ok(None) if self.client.interrupted() => return Err(Failure::new("stopped")),
                Ok(None) => return Ok(false),
                // Whatever it says: the connection is no more.
                Err(_) => return Ok(true),
            }
        }
    }

    /// Ends the conversation.
    pub fn close(self) {
        self.client.close();
    }

    /// Sends a request and waits for its answer.
    fn ask(&mut self, call: &Call) -> Result<Response, Trouble> {
        let deadline = Some(self.client.deadline(self.timeout));
        self.calls += 1;
        let tag = DeliveryTag::new(&self.calls.to_be_bytes()).expect("eight bytes are a tag");
        let transfer = OutTransfer::new(self.calls, tag);
        let mut sent = false;
        loop {
            if !sent {
                let message = Payload::from(call.message.clone());
                let Some(link) = self.link else {
                    let failure = Failure::new(format!("there is no link to {}", self.what));
                    return Err(Trouble::Unreachable(failure));
                };
                sent = self.client.send(link, &transfer, message)?;
            }
            let Some(event) = self.client.next_event(deadline)? else {
                if self.client.interrupted() {
                    return Err(Failure::new("stopped").into());
                }
                return Err(self.silence(sent));
            };
            if let Some(response) = self.handle(event)?
                && response.answers(call)
            {
                return Ok(response);
            }
        }
    }

    fn handle(&mut self, event: Event) -> Result<Option<Response>, Trouble> {
        match event {
            Event::Transfer {
                link,
                delivery,
                payload,
            } if link == self.intake.link() => {
                let Some(arrival) = self.intake.take(&delivery, payload)? else {
                    return Ok(None);
                };
                intake::settle(&mut self.client, &arrival, DeliveryState::Accepted);
                self.intake.renew(&mut self.client);
                let response = Response::read(&arrival.bytes)
                    .map_err(|error| Failure::new(format!("{}: {error}", self.what)))?;
                Ok(Some(response))
            }
            Event::Disposition {
                session,
                disposition,
            } => {
                let mut tokens = Vec::new();
                self.client
                    .wire()
                    .connection
                    .disposed(session, &disposition, &mut tokens);
                match disposition.state {
                    // The last request is the only one that is waited for.
                    _ if !tokens.contains(&self.calls) => Ok(None),
                    Some(DeliveryState::Accepted) | None => Ok(None),
                    Some(DeliveryState::Rejected(Some(error))) => {
                        Err(Trouble::Unreachable(Failure::new(format!(
                            "{} rejected the request: {}",
                            self.what,
                            fault::said(&error)
                        ))))
                    }
                    Some(_) => {
                        let text = format!("{} cannot be reached", self.what);
                        Err(Trouble::Unreachable(Failure::new(text)))
                    }
                }
            }
            Event::Detached { link, error, .. } => {
                let failure = fault::done(&self.what, "detached the link", error.as_deref());
                if self.link == Some(link) {
                    // The connection may still lead to others.
                    self.link = None;
                    self.client.forget(link);
                    return Err(Trouble::Unreachable(failure));
                }
                Err(failure.into())
            }
            _ => Ok(None),
        }
    }

    /// The router does not answer.
    fn silence(&self, sent: bool) -> Trouble {
        let seconds = self.timeout.as_secs_f64();
        let failure = if sent {
            Failure::new(format!("no answer from {} within {seconds} s", self.what))
        } else {
            Failure::new(format!("no credit from {} within {seconds} s", self.what))
                .hint("is there a router of that name, and is management allowed to this client?")
        };
        Trouble::Silent {
            failure,
            sent,
            address: self.address.clone(),
        }
    }
}

/// An attribute as text for a table; nothing where there is none.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        value => value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned),
    }
}
