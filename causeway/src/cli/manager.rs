//! Asking a router about itself over AMQP management.
//!
//! Owns the two links and the waiting of one conversation with `$management`; what is asked and
//! how answers are read is the management crate's. Requests go one at a time: a person reads the
//! answers one at a time too.

use std::time::Duration;

use amqp_codec::{DeliveryState, DeliveryTag, Source, Value};
use amqp_proto::{Event, LinkKey, OutTransfer, Payload};
use management::client::{self, Call, MANAGEMENT_ADDRESS, Query, Response, Table};

use crate::cli::client::fault;
use crate::cli::client::interrupt::Interrupt;
use crate::cli::client::{Client, ConnectOptions, container_name};
use crate::cli::failure::Failure;
use crate::cli::intake::{self, Intake};

/// A conversation with the management node of a router.
pub struct Manager {
    client: Client,
    caller: client::Client,
    calls: u64,
    intake: Intake,
    link: LinkKey,
    timeout: Duration,
    what: String,
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
        let name = container_name("manager");
        let mut client = Client::connect(options, &name, interrupt)?;
        let (what, address) = match router {
            Some(id) => (
                format!("router `{id}`"),
                format!("_topo/0/{id}/{MANAGEMENT_ADDRESS}"),
            ),
            None => (
                format!("the router at {}", client.wire().peer()),
                MANAGEMENT_ADDRESS.to_owned(),
            ),
        };
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
        let link = client.attach_sender(Some(&address), false)?.key;
        let caller = client::Client::new(reply_to.to_string());
        Ok(Self {
            client,
            caller,
            calls: 0,
            intake,
            link,
            timeout,
            what,
        })
    }

    /// All entities of a type (its full name), or the first `limit`.
    ///
    /// # Errors
    /// If the router refuses or does not answer in time.
    pub fn query(&mut self, entity_type: &str, limit: Option<usize>) -> Result<Table, Failure> {
        let mut query = Query::new(entity_type, [], limit);
        loop {
            let call = query.next_page(&mut self.caller);
            let response = self.ask(&call)?;
            let more = query.take(response).map_err(|error| {
                Failure::new(format!(
                    "{} does not tell its `{entity_type}`: {error}",
                    self.what
                ))
            })?;
            if !more {
                return Ok(query.into_table());
            }
        }
    }

    /// Ends the conversation.
    pub fn close(self) {
        self.client.close();
    }

    /// Sends a request and waits for its answer.
    fn ask(&mut self, call: &Call) -> Result<Response, Failure> {
        let deadline = Some(self.client.deadline(self.timeout));
        self.calls += 1;
        let tag = DeliveryTag::new(&self.calls.to_be_bytes()).expect("eight bytes are a tag");
        let transfer = OutTransfer::new(self.calls, tag);
        let mut sent = false;
        loop {
            if !sent {
                let message = Payload::from(call.message.clone());
                sent = self.client.send(self.link, &transfer, message)?;
            }
            let Some(event) = self.client.next_event(deadline)? else {
                if self.client.interrupted() {
                    return Err(Failure::new("stopped"));
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

    fn handle(&mut self, event: Event) -> Result<Option<Response>, Failure> {
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
                    Some(DeliveryState::Accepted) | None => Ok(None),
                    Some(DeliveryState::Rejected(Some(error))) => Err(Failure::new(format!(
                        "{} rejected the request: {}",
                        self.what,
                        fault::said(&error)
                    ))),
                    Some(_) => Err(Failure::new(format!("{} cannot be reached", self.what))),
                }
            }
            Event::Detached { error, .. } => Err(fault::done(
                &self.what,
                "detached the link",
                error.as_deref(),
            )),
            _ => Ok(None),
        }
    }

    /// The router does not answer.
    fn silence(&self, sent: bool) -> Failure {
        let seconds = self.timeout.as_secs_f64();
        if sent {
            return Failure::new(format!("no answer from {} within {seconds} s", self.what));
        }
        Failure::new(format!("no credit from {} within {seconds} s", self.what))
            .hint("is there a router of that name, and is management allowed to this client?")
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
