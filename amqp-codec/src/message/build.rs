//! Owns the encoding of whole messages (amqp-1.0 §3.2).
//! It never adds what it was not given. Decision: a builder that collects a `Message` and encodes
//! it at the end, since the messages a router makes are few and small.

use super::whole::{Body, Header, Message, Properties};
use crate::descriptor;
use crate::format;
use crate::primitive::Write as _;
use crate::value::{Map, Value};
use bytes::{BufMut as _, Bytes, BytesMut};

/// Makes a message, part by part.
#[derive(Clone, Debug, Default)]
pub struct MessageBuilder(Message);

impl MessageBuilder {
    /// A message without any section.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the header.
    #[must_use]
    pub fn header(mut self, header: Header) -> Self {
        self.0.header = Some(header);
        self
    }

    /// Sets the message annotations.
    #[must_use]
    pub fn message_annotations(mut self, annotations: Map) -> Self {
        self.0.message_annotations = annotations;
        self
    }

    /// Sets the properties.
    #[must_use]
    pub fn properties(mut self, properties: Properties) -> Self {
        self.0.properties = properties;
        self
    }

    /// Sets the application properties.
    #[must_use]
    pub fn application_properties(mut self, properties: Map) -> Self {
        self.0.application_properties = properties;
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.0.body = body;
        self
    }

    /// Sets the body to one value.
    #[must_use]
    pub fn value(self, value: impl Into<Value>) -> Self {
        self.body(Body::Value(value.into()))
    }

    /// Sets the body to one section of bytes.
    #[must_use]
    pub fn data(self, data: impl Into<Bytes>) -> Self {
        self.body(Body::Data(vec![data.into()]))
    }

    /// The message as bytes.
    #[must_use]
    pub fn build(self) -> Bytes {
        self.0.encode()
    }
}

impl Message {
    /// The message as bytes; empty sections are left out.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        if let Some(header) = &self.header {
            header.write(&mut out);
        }
        put_map(
            descriptor::DELIVERY_ANNOTATIONS,
            &self.delivery_annotations,
            &mut out,
        );
        put_map(
            descriptor::MESSAGE_ANNOTATIONS,
            &self.message_annotations,
            &mut out,
        );
        if self.properties != Properties::default() {
            self.properties.write(&mut out);
        }
        put_map(
            descriptor::APPLICATION_PROPERTIES,
            &self.application_properties,
            &mut out,
        );
        match &self.body {
            Body::None => {}
            Body::Data(sections) => {
                for data in sections {
                    put_descriptor(descriptor::DATA, &mut out);
                    data.write(&mut out);
                }
            }
            Body::Sequence(sections) => {
                for sequence in sections {
                    put_descriptor(descriptor::AMQP_SEQUENCE, &mut out);
                    Value::List(sequence.clone()).encode(&mut out);
                }
            }
            Body::Value(value) => {
                put_descriptor(descriptor::AMQP_VALUE, &mut out);
                value.encode(&mut out);
            }
        }
        put_map(descriptor::FOOTER, &self.footer, &mut out);
        out.freeze()
    }
}

fn put_descriptor(code: u8, out: &mut BytesMut) {
    out.put_slice(&[format::DESCRIBED, format::SMALL_ULONG, code]);
}

fn put_map(code: u8, map: &Map, out: &mut BytesMut) {
    if !map.is_empty() {
        put_descriptor(code, out);
        map.encode(out);
    }
}
