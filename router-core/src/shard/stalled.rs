//! Links that wait for the window of their session, first come first served. A flow lets as many go
//! as it allows frames, so it costs what it moves and not what its connection has. A session that
//! has as many unsettled deliveries as it may is shut, too, until one is settled.

use std::collections::VecDeque;

use amqp_proto::SessionKey;

use super::state::Shard;
use crate::ids::{ConnKey, Key};

impl Shard {
    /// A link has to wait for its session's window.
    pub(super) fn stall(&mut self, key: ConnKey, out: Key) {
        let Some(link) = self.out_links.get_mut(out) else {
            return;
        };
        if std::mem::replace(&mut link.stalled, true) {
            return;
        }
        let session = link.session;
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        match conn.stalled.iter_mut().find(|(of, _)| *of == session) {
            Some((_, links)) => links.push_back(out),
            None => conn.stalled.push((session, VecDeque::from([out]))),
        }
    }

    /// A link that waits is gone: its session may never have room again.
    pub(super) fn leave_stalled(&mut self, key: ConnKey, session: SessionKey, gone: Key) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let place = conn.stalled.iter().position(|(of, _)| *of == session);
        if let Some(place) = place {
            let links = &mut conn.stalled[place].1;
            links.retain(|&of| of != gone);
            if links.is_empty() {
                conn.stalled.swap_remove(place);
            }
        }
    }

    /// A session has room again: as many of the links that wait for it try once more as it takes
    /// frames.
    pub(super) fn wake_session(&mut self, key: ConnKey, session: SessionKey) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        if conn.stalled.is_empty() {
            return;
        }
        for _ in 0..conn.engine.session_window(session) {
            if !self.wake_one(key, session) {
                return;
            }
        }
    }

    /// A link has stopped for want of something else: what it left of a window is another's.
    pub(super) fn wake_next(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        for place in (0..conn.stalled.len()).rev() {
            let Some(conn) = self.conns.get(key) else {
                return;
            };
            let session = conn.stalled[place].0;
            if conn.engine.session_window(session) > 0 {
                self.wake_one(key, session);
            }
        }
    }

    /// Lets the link that has waited longest for a session try again; `false` if none waits.
    fn wake_one(&mut self, key: ConnKey, session: SessionKey) -> bool {
        let Self {
            conns, out_links, ..
        } = self;
        let Some(conn) = conns.get_mut(key) else {
            return false;
        };
        let Some(place) = conn.stalled.iter().position(|(of, _)| *of == session) else {
            return false;
        };
        let links = &mut conn.stalled[place].1;
        let mut woken = None;
        while woken.is_none()
            && let Some(out) = links.pop_front()
        {
            // One that is gone has no use for its place.
            woken = out_links.get_mut(out).map(|link| {
                link.stalled = false;
                out
            });
        }
        if links.is_empty() {
            conn.stalled.swap_remove(place);
        }
        if let Some(out) = woken {
            self.mark_ready(out);
        }
        woken.is_some()
    }
}
