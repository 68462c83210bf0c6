//! Router annotations at the producer's end: what a client may not say is removed, what routers say
//! to each other is composed. The user's entries stay as they came; so does every other section.
//!
//! Both forms of the leading sections are made here, because only here the address and the trace
//! are known; the consumer's link decides which of them goes out.

use amqp_codec::DecodeErrorKind;
use amqp_codec::message::{Depth, Sections, gather, scan, split};
use amqp_proto::Payload;
use bytes::Bytes;

use super::head::{Head, Mark};
use super::link::InTarget;
use super::parcel::{Parcel, is_large};
use super::state::Shard;
use crate::address::Phase;
use crate::ids::{ConnKey, InLinkKey};
use crate::inspect::LinkType;

impl Shard {
    /// Whether what comes by a link may say what routers say to each other.
    pub(super) fn honours(&self, conn: ConnKey, link: Option<InLinkKey>) -> bool {
        let conn = self.conns.get(conn);
        let link = link.and_then(|key| self.in_links.get(key));
        conn.is_some_and(|conn| !conn.settings.strip_annotations.inbound)
            || link.is_some_and(|link| link.kind != LinkType::Endpoint)
    }

    /// What the leading sections of a message say that has come by a link; `None`: nothing that
    /// matters. They are read only if those of the message before were others. The error is for
    /// the producer.
    pub(super) fn head_by(
        &mut self,
        key: InLinkKey,
        parcel: &Parcel,
        sections: &Sections,
    ) -> Result<Option<Box<Head>>, String> {
        if sections.message_annotations.is_none() && self.paths.neighbors().is_empty() {
            return Ok(None);
        }
        let last = self
            .in_links
            .get_mut(key)
            .and_then(|link| link.last_head.take());
        let length = length_of(sections);
        if let Some(head) = last
            && head.is_of(parcel.payload.chunks(), length, self.topology)
        {
            return Ok(Some(head));
        }
        let head = self.read_head(parcel, sections)?;
        Ok(Some(Box::new(head)))
    }

    /// Remembers what the leading sections of a link's last message were.
    pub(super) fn keep_head(&mut self, key: InLinkKey, head: Box<Head>) {
        if head.is_short()
            && let Some(link) = self.in_links.get_mut(key)
        {
            link.last_head = Some(head);
        }
    }

    /// Reads the leading sections of a message. The error is for the producer.
    pub(super) fn read_head(&self, parcel: &Parcel, sections: &Sections) -> Result<Head, String> {
        let bytes = gather(parcel.payload.chunks(), &(0..length_of(sections)));
        // In memory of its own: it may be kept for longer than the window it was read into.
        let bytes = Bytes::copy_from_slice(&bytes);
        let honour = self.honours(parcel.conn, parcel.link);
        let mut head = Head::read(bytes, leading_end(sections), honour, self.topology)?;
        head.journey = self.journey(sections, head.annotations.as_ref());
        Ok(head)
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
        if let Ok(mut head) = self.read_head(parcel, &sections) {
            self.rewrite_head(parcel, &mut head, true);
        }
    }

    /// Replaces the leading sections where they may not go out as they came in.
    pub(super) fn rewrite_head(&self, parcel: &mut Parcel, head: &mut Head, annotated: bool) {
        let link = parcel.link.and_then(|key| self.in_links.get(key));
        let to = link.and_then(|link| match &link.target {
            InTarget::Address { text, key, .. } => Some((text, Phase::of_key(key))),
            InTarget::Anonymous { .. } | InTarget::Control | InTarget::Routed(_) => None,
        });
        let mark = annotated.then(|| Mark {
            own: &self.trace_id,
            to,
            large: is_large(parcel.complete, &parcel.payload),
        });
        parcel.heads = head.rewritten(mark);
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

/// Whether more of a message has to come before it is known to begin like one.
pub(super) fn is_unclear(payload: &Payload) -> bool {
    match scan(payload.chunks(), Depth::Header) {
        Ok(sections) => sections.undecided,
        Err(error) => matches!(
            error.kind,
            DecodeErrorKind::Empty | DecodeErrorKind::Truncated
        ),
    }
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

/// Where the message annotations end, or would begin if there were any.
fn length_of(sections: &Sections) -> u32 {
    let annotations = sections.message_annotations.as_ref();
    annotations.map_or_else(|| leading_end(sections), |range| range.end)
}
