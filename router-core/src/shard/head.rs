//! What the leading sections of a message say, and those that leave instead of them. Values only:
//! nothing here knows links or routes.
//!
//! Decision: a link remembers the last ones. Whoever sends to one address says the same of each
//! message, and to compare that is cheaper than to read it and to write what follows from it.

use std::sync::Arc;

use amqp_codec::Str;
use amqp_codec::message::{Depth, RouterAnnotations, UserEntries, compose, room, scan_one, split};
use bytes::{Bytes, BytesMut};

use crate::address::Phase;
use crate::delivery::Journey;
use crate::limits;
use crate::mail::Heads;

/// The message annotations of a delivery, taken apart.
#[derive(Debug)]
pub(super) struct Annotations {
    /// The user's entries, encoded one after the other, and how many items they are.
    user: (Bytes, u32),
    /// What routers said, where that is honoured.
    pub(super) router: RouterAnnotations,
    /// The section has more than the user's entries.
    foreign: bool,
}

impl Annotations {
    /// Takes a section apart; `honour`: what routers say in it is to be believed. The error is for
    /// the producer.
    fn read(section: &Bytes, honour: bool) -> Result<Self, String> {
        let split = split(section, honour).map_err(|error| error.to_string())?;
        let user = (section.slice_ref(split.user.bytes), split.user.count);
        let foreign = user.0.as_ptr_range().end != section.as_ptr_range().end;
        Ok(Self {
            user,
            router: split.router,
            foreign,
        })
    }

    /// How many routers have sent the message.
    pub(super) fn hops(&self) -> usize {
        self.router.trace.len()
    }
}

/// What this router adds to the annotations of a message for other routers.
#[derive(Clone, Copy)]
pub(super) struct Mark<'a> {
    /// Its own id, as `0/<id>`.
    pub(super) own: &'a str,
    /// The address of the producer's link, and its phase.
    pub(super) to: Option<(&'a Str, Option<Phase>)>,
    /// It goes by a link for large messages.
    pub(super) large: bool,
}

/// Header, delivery annotations and message annotations of a message, read.
#[derive(Debug)]
pub(super) struct Head {
    /// As they came.
    bytes: Bytes,
    /// Where the message annotations begin.
    start: usize,
    /// The message annotations, if there are any.
    pub(super) annotations: Option<Annotations>,
    /// What they say of the message's way, as the paths were when it was read.
    pub(super) journey: Journey,
    /// Which paths those were.
    topology: u64,
    /// What leaves instead, for messages like the last one: whether they are marked, and large.
    rewritten: Option<(Option<bool>, Arc<Heads>)>,
}

impl Head {
    /// Reads them; `start`: where the message annotations begin, if there are any.
    pub(super) fn read(
        bytes: Bytes,
        start: u32,
        honour: bool,
        topology: u64,
    ) -> Result<Self, String> {
        let start = start as usize;
        let section = bytes.slice(start..);
        let annotations = match section.is_empty() {
            true => None,
            false => Some(Annotations::read(&section, honour)?),
        };
        Ok(Self {
            bytes,
            start,
            annotations,
            journey: Journey::default(),
            topology,
            rewritten: None,
        })
    }

    /// Whether they are those with which a message begins, read by these paths.
    pub(super) fn is_of(&self, message: &[Bytes], length: u32, topology: u64) -> bool {
        if self.topology != topology || self.bytes.len() != length as usize {
            return false;
        }
        // None have no place in memory, and processors take long to compare at no place.
        self.bytes.is_empty()
            || message
                .first()
                .and_then(|first| first.get(..self.bytes.len()))
                .is_some_and(|bytes| bytes == self.bytes)
    }

    /// Whether a link may remember them.
    pub(super) fn is_short(&self) -> bool {
        self.bytes.len() <= limits::HEAD_KEPT
    }

    /// What leaves instead, with this router's mark or with none; `None`: they leave as they came.
    pub(super) fn rewritten(&mut self, mark: Option<Mark<'_>>) -> Option<Arc<Heads>> {
        let foreign = self.annotations.as_ref().is_some_and(|of| of.foreign);
        if !foreign && mark.is_none() {
            return None;
        }
        let like = mark.map(|mark| mark.large);
        if let Some((known, heads)) = &self.rewritten
            && *known == like
        {
            return Some(Arc::clone(heads));
        }
        let heads = Arc::new(Heads {
            replaces: u32::try_from(self.bytes.len()).unwrap_or(u32::MAX),
            stripped: foreign.then(|| self.stripped()),
            annotated: mark.map(|mark| self.marked(mark)),
            label: None,
        });
        self.rewritten = Some((like, Arc::clone(&heads)));
        Some(heads)
    }

    /// What leaves for other routers, as this one has written it, with the fallback of the address
    /// with this text as where the message goes.
    pub(super) fn to_fallback(annotated: &Bytes, text: &Str) -> Option<Bytes> {
        let sections = scan_one(annotated, Depth::MessageAnnotations).ok()?;
        let start = sections.message_annotations?.start;
        let head = Self::read(Bytes::clone(annotated), start, true, 0).ok()?;
        let mut router = head.annotations.as_ref()?.router.clone();
        router.to = Some(Str::clone(text));
        router.phase = Some(Phase::Fallback.annotation());
        Some(head.with(&router, None))
    }

    /// Without what routers say.
    fn stripped(&self) -> Bytes {
        self.with(&RouterAnnotations::default(), None)
    }

    fn marked(&self, mark: Mark<'_>) -> Bytes {
        let router = self.annotations.as_ref().map(|of| of.router.clone());
        let mut router = router.unwrap_or_default();
        if let Some((to, phase)) = mark.to {
            router.to = Some(Str::clone(to));
            router.phase = phase.map(Phase::annotation);
        }
        router.stream |= mark.large;
        self.with(&router, Some(mark.own))
    }

    fn with(&self, router: &RouterAnnotations, own: Option<&str>) -> Bytes {
        let user = self.annotations.as_ref().map(|of| UserEntries {
            bytes: &of.user.0,
            count: of.user.1,
        });
        let user = user.unwrap_or_default();
        let before = &self.bytes[..self.start];
        let mut out = BytesMut::with_capacity(before.len() + room(user, router, own));
        out.extend_from_slice(before);
        compose(user, router, own, &mut out);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(routers: &[&str], before: &[u8]) -> Head {
        let router = RouterAnnotations {
            to: Some(Str::from("shop/orders")),
            trace: routers.iter().copied().collect(),
            ..RouterAnnotations::default()
        };
        let mut bytes = BytesMut::from(before);
        compose(UserEntries::default(), &router, None, &mut bytes);
        let start = u32::try_from(before.len()).unwrap();
        Head::read(bytes.freeze(), start, true, 1).unwrap()
    }

    fn mark(large: bool) -> Mark<'static> {
        Mark {
            own: "0/here",
            to: None,
            large,
        }
    }

    #[test]
    fn what_is_remembered_is_what_would_be_written_anew() {
        let header = [0, 0x53, 0x70, 0xc0, 2, 1, 0x41];
        let mut kept = head(&["0/there"], &header);
        let marks = [None, Some(mark(false)), Some(mark(true))];
        for before in marks {
            for now in marks {
                kept.rewritten(before);
                let fresh = head(&["0/there"], &header).rewritten(now);
                assert_eq!(kept.rewritten(now), fresh);
            }
        }
        let large = kept.rewritten(Some(mark(true))).unwrap();
        let section = large.annotated.as_ref().unwrap().slice(header.len()..);
        let router = split(&section, true).unwrap().router;
        assert!(router.stream);
        assert_eq!(
            router.trace.iter().collect::<Vec<_>>(),
            ["0/there", "0/here"]
        );
        assert_eq!(large.stripped.as_deref(), Some(&header[..]));
    }

    #[test]
    fn the_address_of_a_link_goes_along_with_its_phase() {
        let text = Str::from("shop/queue");
        for (phase, said) in [(Some(Phase::Digit(3)), Some(3)), (None, None)] {
            let mark = Mark {
                to: Some((&text, phase)),
                ..mark(false)
            };
            let heads = head(&["0/there"], &[]).rewritten(Some(mark)).unwrap();
            let section = heads.annotated.as_ref().unwrap();
            let router = split(section, true).unwrap().router;
            assert_eq!(router.to.as_deref(), Some("shop/queue"));
            assert_eq!(router.phase, said);
            let back = said.and_then(Phase::of_annotation);
            assert_eq!(back, phase);
        }
    }

    #[test]
    fn a_message_that_begins_otherwise_or_longer_is_another() {
        let kept = head(&["0/a"], &[]);
        let length = |head: &Head| u32::try_from(head.bytes.len()).unwrap();
        let is = |other: &Head, topology| {
            let message = [[&other.bytes[..], b"body"].concat().into()];
            kept.is_of(&message, length(other), topology)
        };
        assert!(is(&head(&["0/a"], &[]), 1));
        assert!(!is(&head(&["0/a"], &[]), 2));
        assert!(!is(&head(&["0/b"], &[]), 1));
        assert!(!is(&head(&["0/a", "0/b"], &[]), 1));
        let none = Head::read(Bytes::new(), 0, true, 1).unwrap();
        assert!(none.is_of(&[Bytes::from_static(b"body")], 0, 1));
        assert!(!none.is_of(&[Bytes::from_static(b"body")], 0, 2));
        assert!(!is(&none, 1));
        let halves = [kept.bytes.slice(..4), kept.bytes.slice(4..)];
        assert!(!kept.is_of(&halves, length(&kept), 1));
    }
}
