//! Whole control messages as they come in: for whom they are, which way they came, and the same
//! message as it is passed on.
//!
//! Owns what stands around a body. It never looks into one. Decision: what is passed on is cut out
//! of what came in, so everything but the trace leaves as it came.

use amqp_codec::message::{self, Depth, RouterAnnotations, Sections, UserEntries};
use bytes::{BufMut as _, Bytes, BytesMut};

use crate::address::{AddressContext, Phase, lookup_key};
use crate::limits;
use crate::mesh::misdeed::Misdeed;
use crate::mesh::read::{Item, section};
use crate::mesh::wire::{self, Control};

const PROPERTIES: u8 = 0x73;
/// Place of the address in the properties.
const TO: usize = 2;

/// For whom a control message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// The router at the other end of the link, whoever that is.
    Neighbor,
    /// This router.
    Own,
    /// All routers.
    All,
    /// Another router.
    Router(Box<str>),
}

/// A control message around its body.
#[derive(Clone, Debug)]
pub(super) struct Envelope<'a> {
    payload: &'a [u8],
    sections: Sections,
    user: Bytes,
    user_count: u32,
    annotations: RouterAnnotations,
    pub(super) destination: Destination,
}

impl<'a> Envelope<'a> {
    pub(super) fn read(payload: &'a [u8], context: &AddressContext) -> Result<Self, Misdeed> {
        if payload.len() > limits::MESH_MESSAGE_BYTES {
            return Err(Misdeed::Large);
        }
        let sections =
            message::scan_one(payload, Depth::ApplicationProperties).map_err(Misdeed::Decode)?;
        let mut user = Bytes::new();
        let mut user_count = 0;
        let mut annotations = RouterAnnotations::default();
        if let Some(range) = &sections.message_annotations {
            let section = Bytes::copy_from_slice(part(payload, range.start, range.end));
            let split = message::split(&section, true)
                .map_err(|_| Misdeed::Annotations("not well formed"))?;
            user = section.slice_ref(split.user.bytes);
            user_count = split.user.count;
            annotations = split.router;
        }
        let properties = sections.properties.as_ref();
        let properties = properties.map(|range| part(payload, range.start, range.end));
        let to = match &annotations.to {
            Some(to) => to.as_str(),
            None => properties.and_then(address).ok_or(Misdeed::Missing("to"))?,
        };
        let destination = destination(to, context)?;
        Ok(Self {
            payload,
            sections,
            user,
            user_count,
            annotations,
            destination,
        })
    }

    /// How many routers have sent it.
    pub(super) fn distance(&self) -> usize {
        self.annotations.trace.len()
    }

    /// The ids of the routers that have sent it, in order.
    pub(super) fn passed(&self) -> impl Iterator<Item = &str> {
        let trace = self.annotations.trace.iter();
        trace.map(|router| router.split_once('/').map_or(router, |(_, id)| id))
    }

    /// What it says.
    pub(super) fn control(&self) -> Result<Control<'a>, Misdeed> {
        let (rest, start) = self.said()?;
        wire::control(rest, (self.sections.rest - start) as usize)
    }

    /// Whether it may be told to all: a hello and a question may not, in whatever version. `said`
    /// is what it says.
    pub(super) fn is_for_all(&self, said: &[u8]) -> bool {
        !matches!(wire::opcode(said), Ok("HELLO" | "LSR" | "MAR"))
    }

    /// What it says, encoded, and where that begins: the same in every copy.
    pub(super) fn said(&self) -> Result<(&'a [u8], u32), Misdeed> {
        let properties = self.sections.application_properties.as_ref();
        let start = properties.ok_or(Misdeed::Missing("opcode"))?.start;
        let said = self.payload.get(start as usize..).unwrap_or_default();
        Ok((said, start))
    }

    /// The same message with another router, given as `0/<id>`, at the end of its trace.
    pub(super) fn passed_on(&self, own: &str) -> Bytes {
        let sections = &self.sections;
        let later = [&sections.properties, &sections.application_properties];
        let next = later.into_iter().flatten().map(|range| range.start);
        let at = next.min().unwrap_or(sections.rest);
        let (start, end) = match &sections.message_annotations {
            Some(range) => (range.start, range.end),
            None => (at, at),
        };
        let user = UserEntries {
            bytes: &self.user,
            count: self.user_count,
        };
        let mut out = BytesMut::with_capacity(self.payload.len() + own.len() + 64);
        out.put_slice(part(self.payload, 0, start));
        message::compose(user, &self.annotations, Some(own), &mut out);
        out.put_slice(self.payload.get(end as usize..).unwrap_or_default());
        out.freeze()
    }
}

fn part(payload: &[u8], start: u32, end: u32) -> &[u8] {
    payload
        .get(start as usize..end as usize)
        .unwrap_or_default()
}

/// The address in a properties section.
fn address(properties: &[u8]) -> Option<&str> {
    let Ok(Item::List(mut fields)) = section(properties, PROPERTIES) else {
        return None;
    };
    match fields.nth(TO) {
        Some(Ok(Item::Text(to))) => Some(to),
        _ => None,
    }
}

fn destination(to: &str, context: &AddressContext) -> Result<Destination, Misdeed> {
    let mut key = String::new();
    lookup_key(to, Phase::Digit(0), None, context, &mut key);
    match key.as_str() {
        "Lqdhello" => Ok(Destination::Neighbor),
        "Lqdrouter" | "Lqdrouter.ma" => Ok(Destination::Own),
        "Tqdrouter" | "Tqdrouter.ma" => Ok(Destination::All),
        key => match key.strip_prefix('R') {
            Some(router) => Ok(Destination::Router(router.into())),
            None => Err(Misdeed::Destination),
        },
    }
}
