//! Operations on two ends of a connection that both keep the rules.
//!
//! Owns the body of the target `connection_ops`; never breaks a rule itself.
//!
//! Decision: nothing an owner can do, in whatever order and with whatever delay, may look like a
//! misdeed to the other end: windows, credit and ids are checked there. The books of both owners
//! must balance when it is over.

use amqp_codec::{Attach, DeliveryState, Role, Str, Symbol};
use bytes::Bytes;

use crate::config::{Config, Mechanism, Sasl};
use crate::fuzz::peer::Peer;
use crate::key::{LinkKey, SessionKey};

/// More operations than this are not carried out.
const OPERATIONS_MAX: usize = 400;

/// Incoming window of each session, in frames; small, so that it shuts.
const SESSION_WINDOW: u32 = 6;

/// The highest channel number of both ends.
const CHANNEL_MAX: u16 = 7;

/// Sessions an end begins: half of all, so that the other end has a channel for each answer even
/// if Begins cross.
const BEGUN_MAX: usize = (CHANNEL_MAX as usize).div_ceil(2);

/// Names of links; few, so that they meet.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A list of operations: three bytes each say what, on what and how.
///
/// # Panics
/// If an end blames the other, or if the books do not balance.
pub fn fuzz_connection_ops(bytes: &[u8]) {
    let (&kind, bytes) = bytes.split_first().unwrap_or((&0, &[]));
    let mut pair = Pair::new(kind);
    for operation in bytes.chunks_exact(3).take(OPERATIONS_MAX) {
        let &[what, on, how] = operation else {
            continue;
        };
        pair.operate(what, on, how);
    }
    pair.run();
    pair.check_agreement();
    let Pair { client, .. } = &mut pair;
    client.connection.close(None, &mut client.out);
    pair.run();
    for peer in [&mut pair.client, &mut pair.server] {
        assert!(peer.connection.is_closed(), "both have closed");
        for link in peer.links.clone() {
            peer.forget(link);
        }
        assert!(
            peer.incoming.is_empty() && peer.outgoing.is_empty(),
            "the books balance"
        );
    }
}

/// Two ends and the wire between them, which is what each has not yet written out.
struct Pair {
    client: Peer,
    server: Peer,
}

impl Pair {
    fn new(kind: u8) -> Self {
        let mechanisms = vec![Symbol::from_static("ANONYMOUS")];
        let client_sasl = match kind & 1 {
            0 => Sasl::ClientNone,
            _ => Sasl::Client {
                mechanism: Mechanism::Anonymous,
            },
        };
        let config = |initiator: bool, sasl: Sasl| Config {
            initiator,
            sasl,
            max_frame_size: 512,
            channel_max: CHANNEL_MAX,
            handle_max: 15,
            session_window: SESSION_WINDOW,
            ..Config::default()
        };
        let mut pair = Self {
            client: Peer::new(config(true, client_sasl), true),
            server: Peer::new(
                config(
                    false,
                    Sasl::Server {
                        mechanisms,
                        required: false,
                    },
                ),
                true,
            ),
        };
        pair.client.connection.start(&mut pair.client.out);
        pair.run();
        pair
    }

    /// Lets bytes pass until both ends are silent.
    fn run(&mut self) {
        while self.pass(true, usize::MAX) | self.pass(false, usize::MAX) {}
    }

    fn pass(&mut self, up: bool, count: usize) -> bool {
        let (from, to) = match up {
            true => (&mut self.client, &mut self.server),
            false => (&mut self.server, &mut self.client),
        };
        from.flush();
        let mut bytes = from.out.to_bytes();
        bytes.truncate(count);
        from.out.consume(bytes.len());
        let moved = !bytes.is_empty();
        to.input.push(Bytes::from(bytes));
        while to.poll().is_some() {}
        moved
    }

    fn operate(&mut self, what: u8, on: u8, how: u8) {
        let up = what & 0x80 == 0;
        if what & 0x0f < 4 {
            self.pass(up, (usize::from(on) + 1) * (usize::from(how & 3) + 1));
            return;
        }
        let peer = if up {
            &mut self.client
        } else {
            &mut self.server
        };
        match what & 0x0f {
            4 => operate_session(peer, on, how),
            5 | 6 => attach(peer, on, how),
            _ => {
                if let Some(&link) = peer.links.get(usize::from(on) % peer.links.len().max(1)) {
                    operate_link(peer, link, what & 0x0f, how);
                }
            }
        }
        let mut sessions = Vec::new();
        peer.connection.sessions(&mut sessions);
        for session in sessions {
            let window = peer.connection.session_window(session);
            assert!(
                window <= SESSION_WINDOW,
                "the window is what the other end granted"
            );
        }
    }

    /// When nothing is on its way, both ends of a link count alike.
    fn check_agreement(&self) {
        for &link in &self.client.links {
            let Some(other) = self.other_end(link) else {
                continue;
            };
            let (client, server) = (&self.client.connection, &self.server.connection);
            let (ours, theirs) = (client.delivery_count(link), server.delivery_count(other));
            assert_eq!(ours, theirs, "both ends know the same delivery-count");
            assert_eq!(
                client.credit(link),
                server.credit(other),
                "both know the same credit"
            );
        }
    }

    fn other_end(&self, link: LinkKey) -> Option<LinkKey> {
        let place = |peer: &Peer, link: LinkKey| {
            let session = peer.connection.session_of(link)?;
            let attached = peer.connection.is_attached(link);
            let (channel, other_channel) = peer.connection.channels(session)?;
            let (handle, other_handle) = peer.connection.handles(link)?;
            attached.then_some(((channel, handle), (other_channel?, other_handle?)))
        };
        let (ours, theirs) = place(&self.client, link)?;
        let mut all = self.server.links.iter().copied();
        all.find(|&other| place(&self.server, other) == Some((theirs, ours)))
    }
}

fn session_at(peer: &Peer, on: u8) -> Option<SessionKey> {
    let mut sessions = Vec::new();
    peer.connection.sessions(&mut sessions);
    sessions
        .get(usize::from(on) % sessions.len().max(1))
        .copied()
}

fn operate_session(peer: &mut Peer, on: u8, how: u8) {
    if how & 7 < 3 {
        let mut sessions = Vec::new();
        peer.connection.sessions(&mut sessions);
        peer.begun.retain(|begun| sessions.contains(begun));
        if peer.begun.len() < BEGUN_MAX
            && let Ok(session) = peer.connection.begin(&mut peer.out)
        {
            peer.begun.push(session);
        }
        return;
    }
    let Some(session) = session_at(peer, on) else {
        return;
    };
    match how & 7 {
        3 => peer.connection.end(session, None, &mut peer.out),
        4 => {
            peer.connection.end(session, None, &mut peer.out);
            peer.forget_all(session);
        }
        5 => peer
            .connection
            .set_withheld(session, u32::from(how >> 3) % SESSION_WINDOW),
        _ => peer.connection.send_flow(session, None, &mut peer.out),
    }
}

fn attach(peer: &mut Peer, on: u8, how: u8) {
    let Some(session) = session_at(peer, on) else {
        return;
    };
    let role = if how & 4 == 0 {
        Role::Sender
    } else {
        Role::Receiver
    };
    let attach = Attach {
        name: Str::from_static(NAMES[usize::from(how & 3)]),
        role,
        initial_delivery_count: Some(u32::from(how).wrapping_sub(20)),
        ..Attach::default()
    };
    if let Ok(link) = peer.connection.attach(session, attach, &mut peer.out) {
        peer.links.push(link);
        if role == Role::Receiver {
            // Before the sender has said where it starts.
            peer.connection
                .set_credit(link, u32::from(how >> 4), false, &mut peer.out);
        }
    }
}

fn operate_link(peer: &mut Peer, link: LinkKey, what: u8, how: u8) {
    let out = &mut peer.out;
    match what {
        7 if how & 7 == 0 => {
            peer.connection.detach(link, how & 8 == 0, None, out);
            if how & 16 != 0 {
                peer.forget(link);
            }
        }
        7 | 8 => {
            let (credit, drain) = (u32::from(how & 15), how & 0x10 != 0);
            peer.connection.set_credit(link, credit, drain, out);
        }
        9..=12 if peer.connection.link_role(link) == Some(Role::Sender) => {
            let length = usize::from(how) * 20;
            let held = if how & 3 == 3 { length / 2 } else { 0 };
            peer.send(link, length, how & 4 != 0, held);
        }
        13 if how & 3 == 0 => peer.abort(link),
        _ => settle(peer, link, how),
    }
}

/// Settles, or merely judges, the oldest delivery of a link.
fn settle(peer: &mut Peer, link: LinkKey, how: u8) {
    let role = peer.connection.link_role(link).unwrap_or(Role::Receiver);
    let books = match role {
        Role::Receiver => &mut peer.incoming,
        Role::Sender => &mut peer.outgoing,
    };
    let mut of_link = books.iter().filter(|(_, entry)| entry.link == link);
    let Some((&token, entry)) = of_link.nth(usize::from(how >> 6)) else {
        return;
    };
    let (session, delivery_id) = (entry.session, entry.delivery_id);
    let settled = how & 1 == 0 || role == Role::Sender;
    if role == Role::Sender && peer.connection.is_delivering(link) {
        return;
    }
    if settled {
        books.remove(&token);
    }
    let state = Some(DeliveryState::Accepted);
    peer.connection
        .queue_disposition(session, role, delivery_id, settled, state);
}
