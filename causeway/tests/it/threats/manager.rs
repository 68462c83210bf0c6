//! Asking the router about itself, by requests of any form.

use amqp_codec::message::{MessageBuilder, Properties};
use amqp_codec::{Map, Performative, Role, Source, Str, Target, Value};
use bytes::{Bytes, BytesMut};
use management::client::{Client, Query, Response};

use super::peer::{Peer, attach, flow_of_link, open};
use crate::harness::Router;

/// Handles of the two links.
const REPLIES: u32 = 0;
const REQUESTS: u32 = 1;

/// A conversation with `$management`.
pub(crate) struct Manager {
    peer: Peer,
    client: Client,
    reply_to: Str,
    asked: u32,
    answered: u32,
}

impl Manager {
    pub(crate) fn start(router: &Router) -> Self {
        Self::start_at(router.port)
    }

    /// The same with the router that listens there.
    pub(crate) fn start_at(port: u16) -> Self {
        Self::start_by(port, "$management")
    }

    /// The same by another address; by none, requests have to say where they go.
    pub(crate) fn start_by(port: u16, address: &str) -> Self {
        let mut peer = Peer::opened_at(port, open());
        peer.begin(0);
        let source = Source {
            dynamic: true,
            ..Source::default()
        };
        let attach = attach(REPLIES, Role::Receiver, source, Target::default());
        peer.send(0, &Performative::Attach(Box::new(attach)));
        let (_, answer, _) =
            peer.until(|performative| matches!(performative, Performative::Attach(_)));
        let Performative::Attach(answer) = answer else {
            panic!("{answer:?}");
        };
        let reply_to = answer.source.and_then(|source| source.address).unwrap();
        peer.send(0, &flow_of_link(REPLIES, 0, 1));
        peer.produce(REQUESTS, address);
        Self {
            peer,
            client: Client::new(reply_to.to_string()),
            reply_to,
            asked: 0,
            answered: 0,
        }
    }

    /// Sends a message, whatever it is, and does not wait.
    pub(crate) fn send(&mut self, message: &[u8]) {
        self.peer.deliver(REQUESTS, self.asked, message);
        self.asked += 1;
    }

    /// Sends a request and waits for the answer.
    pub(crate) fn ask(&mut self, message: &[u8]) -> Response {
        self.send(message);
        let (id, answer) = self.peer.message();
        self.answered += 1;
        self.peer.accept(id);
        self.peer.send(0, &flow_of_link(REPLIES, self.answered, 1));
        Response::read(&Bytes::from(answer)).unwrap()
    }

    /// A request with any application properties, and a body of these bytes.
    pub(crate) fn request(&self, properties: &[(&'static str, &str)], body: &[u8]) -> Bytes {
        let mut application_properties = Map::new();
        for &(name, value) in properties {
            application_properties.push(name, value.to_owned());
        }
        let builder = MessageBuilder::new()
            .properties(self.properties())
            .application_properties(application_properties);
        let mut message = BytesMut::from(&builder.build()[..]);
        message.extend_from_slice(body);
        message.freeze()
    }

    /// The properties by which an answer finds its way.
    pub(crate) fn properties(&self) -> Properties {
        Properties {
            reply_to: Some(Str::clone(&self.reply_to)),
            correlation_id: Some(Value::from("c")),
            ..Properties::default()
        }
    }

    /// Management answers as if nothing had been.
    pub(crate) fn answers(&mut self) {
        let call = self.client.node_call("GET-MGMT-NODES", []);
        assert_eq!(self.ask(&call.message).status, 200);
    }

    /// A figure of the router as a whole.
    pub(crate) fn figure(&mut self, name: &'static str) -> u64 {
        let query = Query::new("org.apache.qpid.dispatch.router", [name], None);
        let value = &self.query(query)[0][0];
        value
            .as_u64()
            .unwrap_or_else(|| panic!("{name} is {value:?}"))
    }

    /// The rows of a query that fit on one page.
    pub(crate) fn query(&mut self, mut query: Query) -> Vec<Vec<Value>> {
        let call = query.next_page(&mut self.client);
        let response = self.ask(&call.message);
        query.take(response).unwrap();
        query.into_table().rows
    }

    /// Asks the router to end, with so much time; the status.
    pub(crate) fn drain(&mut self, seconds: u32) -> i32 {
        let seconds = vec![("seconds", Value::Uint(seconds))];
        let call = self.client.node_call("DRAIN", seconds);
        self.ask(&call.message).status
    }

    /// The status of a request for an entity, with its attributes in the body.
    pub(crate) fn change(
        &mut self,
        operation: &str,
        asked: &[(&'static str, &str)],
        attributes: &[(&'static str, &str)],
    ) -> i32 {
        self.response(operation, asked, attributes).status
    }

    /// The answer to such a request.
    pub(crate) fn response(
        &mut self,
        operation: &str,
        asked: &[(&'static str, &str)],
        attributes: &[(&'static str, &str)],
    ) -> Response {
        let mut body = Map::new();
        for &(name, value) in attributes {
            body.push(name, value.to_owned());
        }
        let asked = asked
            .iter()
            .map(|&(name, value)| (name, Value::from(value.to_owned())));
        let call = self.client.call(operation, asked, Value::Map(body));
        self.ask(&call.message)
    }
}
