//! Router annotations at the producer's end: what a client may not say is removed, what routers say
//! to each other is composed. The user's entries stay as they came; so does every other section.
//!
//! Both forms of the leading sections are made here, because only here the address and the trace
//! are known; the consumer's link decides which of them goes out.

use amqp_codec::message::{
    Depth, RouterAnnotations, Sections, UserEntries, compose, gather, scan, split,
};
use amqp_codec::{DecodeErrorKind, Str};
use amqp_proto::Payload;
use bytes::{Bytes, BytesMut};

use super::link::InTarget;
use super::parcel::{Parcel, is_large};
use super::state::Shard;
use crate::ids::{ConnKey, InLinkKey};
use crate::inspect::LinkType;
use crate::mail::Heads;

/// The message annotations of a delivery, taken apart.
pub(super) struct Annotations {
    /// The user's entries, encoded one after the other, and how many items they are.
    user: (Bytes, u32),
    /// What routers said, where that is honoured.
    pub(super) router: RouterAnnotations,
    /// The section has more than the user's entries.
    foreign: bool,
}

impl Annotations {
    /// How many routers have sent the message.
    pub(super) fn hops(&self) -> usize {
        self.router.trace.len()
    }
}

impl Shard {
    /// Whether what comes by a link may say what routers say to each other.
    pub(super) fn honours(&self, conn: ConnKey, link: Option<InLinkKey>) -> bool {
        let conn = self.conns.get(conn);
        let link = link.and_then(|key| self.in_links.get(key));
        conn.is_some_and(|conn| !conn.settings.strip_annotations.inbound)
            || link.is_some_and(|link| link.kind != LinkType::Endpoint)
    }

    /// Takes a message's annotations apart; `None` if it has none. The error is for the producer.
    pub(super) fn read_annotations(
        &self,
        parcel: &Parcel,
        sections: &Sections,
    ) -> Result<Option<Annotations>, String> {
        let Some(range) = &sections.message_annotations else {
            return Ok(None);
        };
        let honour = self.honours(parcel.conn, parcel.link);
        let section = gather(parcel.payload.chunks(), range);
        let split = split(&section, honour).map_err(|error| error.to_string())?;
        let user = (section.slice_ref(split.user.bytes), split.user.count);
        let foreign = user.0.as_ptr_range().end != section.as_ptr_range().end;
        Ok(Some(Annotations {
            user,
            router: split.router,
            foreign,
        }))
    }

    /// Composes the annotations of a message that was meant for consumers without: it may meet any.
    pub(super) fn annotate(&self, parcel: &mut Parcel) {
        let heads = parcel.heads.as_ref();
        if heads.is_some_and(|heads| heads.annotated.is_some()) {
            return;
        }
        let Ok(sections) = scan(parcel.payload.chunks(), Depth::MessageAnnotations) else {
            return;
        };
        if let Ok(annotations) = self.read_annotations(parcel, &sections) {
            self.rewrite_head(parcel, &sections, annotations, true);
        }
    }

    /// Replaces the leading sections where they may not go out as they came in.
    pub(super) fn rewrite_head(
        &self,
        parcel: &mut Parcel,
        sections: &Sections,
        annotations: Option<Annotations>,
        annotated: bool,
    ) {
        let foreign = annotations
            .as_ref()
            .is_some_and(|annotations| annotations.foreign);
        if !foreign && !annotated {
            return;
        }
        let (user, mut router) = match annotations {
            Some(Annotations { user, router, .. }) => (user, router),
            None => ((Bytes::new(), 0), RouterAnnotations::default()),
        };
        let start = leading_end(sections);
        let replaces = sections
            .message_annotations
            .as_ref()
            .map_or(start, |range| range.end);
        let before = gather(parcel.payload.chunks(), &(0..start));
        let stripped = foreign.then(|| {
            let mut head = BytesMut::from(&before[..]);
            head.extend_from_slice(&user_only(&user));
            head.freeze()
        });
        let annotated = annotated.then(|| {
            if let Some(InTarget::Address { text, .. }) = parcel
                .link
                .and_then(|key| self.in_links.get(key))
                .map(|link| &link.target)
            {
                router.to = Some(Str::clone(text));
            }
            router.stream |= is_large(parcel.complete, &parcel.payload);
            let own = format!("0/{}", self.settings.id);
            let mut head = BytesMut::from(&before[..]);
            let entries = UserEntries {
                bytes: &user.0,
                count: user.1,
            };
            compose(entries, &router, Some(&own), &mut head);
            head.freeze()
        });
        parcel.heads = Some(Box::new(Heads {
            replaces,
            stripped,
            annotated,
        }));
    }
}

/// How far a message has to be read to be routed.
pub(super) fn depth_of(anonymous: bool) -> Depth {
    match anonymous {
        true => Depth::Properties,
        false => Depth::MessageAnnotations,
    }
}

/// What the beginning of a message says of how it is to be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// It does not yet go as far as whoever routes it has to read.
    Unclear,
    /// Like any other, whatever follows.
    Plain,
    /// As a stream.
    Stream,
}

/// Reads the beginning of a message; `honour`: what routers say in it is to be believed.
pub(super) fn opening(payload: &Payload, depth: Depth, honour: bool) -> Opening {
    let sections = match scan(payload.chunks(), depth) {
        Ok(sections) if !sections.undecided => sections,
        Ok(_) => return Opening::Unclear,
        Err(error) => match error.kind {
            DecodeErrorKind::Empty | DecodeErrorKind::Truncated => return Opening::Unclear,
            _ => return Opening::Plain,
        },
    };
    let Some(range) = sections.message_annotations.filter(|_| honour) else {
        return Opening::Plain;
    };
    let section = gather(payload.chunks(), &range);
    match split(&section, true) {
        Ok(split) if split.router.stream => Opening::Stream,
        _ => Opening::Plain,
    }
}

/// Where header and delivery annotations end.
fn leading_end(sections: &Sections) -> u32 {
    let ends = [&sections.header, &sections.delivery_annotations];
    ends.into_iter()
        .flatten()
        .map(|range| range.end)
        .max()
        .unwrap_or(0)
}

/// A section of the user's entries alone; nothing if there are none.
fn user_only(user: &(Bytes, u32)) -> Bytes {
    let mut section = BytesMut::new();
    let entries = UserEntries {
        bytes: &user.0,
        count: user.1,
    };
    compose(entries, &RouterAnnotations::default(), None, &mut section);
    section.freeze()
}
