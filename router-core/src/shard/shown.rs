//! Messages for the log: as they come, and as they begin to go. Only where the log wants them, and
//! only of connections whose listener or connector shows parts of them.
//!
//! Decision: the bytes of the sections that are shown are copied, up to a bound, and put into words
//! by whoever writes the log.

use std::sync::Arc;

use amqp_codec::message::{Depth, Sections, gather, scan};
use amqp_proto::{LinkKey, Payload};
use bytes::Bytes;

use super::conn::Conn;
use super::state::Shard;
use crate::ids::{ConnKey, Direction, InLinkKey};
use crate::limits::NOTICE_SECTION_BYTES;
use crate::notice::{MessageText, Notice};

impl Shard {
    /// A message has come, or enough of it to be sent on.
    #[cold]
    pub(super) fn show_received(&mut self, key: InLinkKey, payload: &Payload) {
        if let Some((conn, link)) = self.link_of(key)
            && let Some(conn) = self.conns.get(conn)
        {
            let notice = shown(conn, link, Direction::In, payload);
            self.notices.extend(notice);
        }
    }

    /// The peer has taken a message back before all of it had come.
    #[cold]
    pub(super) fn show_aborted(&mut self, key: InLinkKey) {
        if let Some((conn, link)) = self.link_of(key)
            && let Some(conn) = self.conns.get(conn)
        {
            let text = text(conn, link, Direction::In);
            let aborted = text.map(|text| MessageText {
                aborted: true,
                ..text
            });
            let notice = aborted.map(|text| Notice::Message(Box::new(text)));
            self.notices.extend(notice);
        }
    }

    /// Whether messages of a connection are shown: all others wait for no more of a message because
    /// some are.
    pub(super) fn shows_messages_of(&self, conn: ConnKey) -> bool {
        let shows = |conn: &Conn| !conn.settings.shown_parts.is_empty();
        self.wanted.messages && self.conns.get(conn).is_some_and(shows)
    }

    fn link_of(&self, key: InLinkKey) -> Option<(ConnKey, LinkKey)> {
        let link = self.in_links.get(key)?;
        Some((link.conn, link.link))
    }
}

/// A message that comes or goes by a link, if its connection shows any.
#[cold]
pub(super) fn shown(
    conn: &Conn,
    link: LinkKey,
    direction: Direction,
    payload: &Payload,
) -> Option<Notice> {
    let text = text(conn, link, direction)?;
    let chunks = payload.chunks();
    // What cannot be read is nobody's fault here, and less may be known of what is still coming.
    let sections = [Depth::ApplicationProperties, Depth::Properties]
        .into_iter()
        .find_map(|depth| scan(chunks, depth).ok())
        .unwrap_or_default();
    let Sections {
        properties,
        application_properties,
        ..
    } = sections;
    let copied = |range: Option<std::ops::Range<u32>>| {
        range.map_or_else(Bytes::new, |range| {
            let most = range.start.saturating_add(NOTICE_SECTION_BYTES);
            // In memory of its own: the log may be slow, and what was read into is larger.
            Bytes::copy_from_slice(&gather(chunks, &(range.start..range.end.min(most))))
        })
    };
    Some(Notice::Message(Box::new(MessageText {
        properties: copied(properties),
        application_properties: copied(application_properties),
        ..text
    })))
}

fn text(conn: &Conn, link: LinkKey, direction: Direction) -> Option<MessageText> {
    let parts = conn.settings.shown_parts;
    if parts.is_empty() {
        return None;
    }
    Some(MessageText {
        connection: conn.id,
        direction,
        link: Arc::clone(conn.shown.of(link)?),
        parts,
        properties: Bytes::new(),
        application_properties: Bytes::new(),
        aborted: false,
    })
}
