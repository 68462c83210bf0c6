//! Bytes of any kind into either end of a connection.
//!
//! Owns the body of the target `connection_bytes`; never produces valid input itself.
//!
//! Decision: the same bytes go in whole and in pieces. Where they are cut must not matter, and
//! what is held between two pieces stays below one frame.

use amqp_codec::{Role, Symbol};
use bytes::Bytes;

use crate::config::{Config, Limits, Mechanism, Sasl};
use crate::error::Violation;
use crate::event::Event;
use crate::fuzz::peer::Peer;

/// More than any one frame of ours, and answers to one frame of the peer.
const WRITTEN_MAX: usize = 64 * 1024;

/// The deliveries a sender may have unsettled.
const UNSETTLED_MAX: u32 = 16;

/// What became of a connection.
#[derive(Debug, PartialEq)]
struct Story {
    events: Vec<String>,
    written: Vec<u8>,
    violation: Option<Violation>,
}

/// What a peer may send, of any kind, in one piece and in several.
///
/// # Panics
/// If memory grows with what is announced, or if it matters where the bytes are cut.
pub fn fuzz_connection_bytes(bytes: &[u8]) {
    let anonymous = || vec![Symbol::from_static("ANONYMOUS")];
    let ends = [
        (
            false,
            Sasl::Server {
                mechanisms: anonymous(),
                required: false,
            },
        ),
        (true, Sasl::ClientNone),
        (
            true,
            Sasl::Client {
                mechanism: Mechanism::Anonymous,
            },
        ),
        (
            false,
            Sasl::Server {
                mechanisms: ["PLAIN", "EXTERNAL"].map(Symbol::from_static).to_vec(),
                required: true,
            },
        ),
        (false, Sasl::Relayed { required: false }),
        (true, Sasl::Asked),
    ];
    for (initiator, sasl) in ends {
        let limits = Limits {
            unsettled_per_session: UNSETTLED_MAX,
            ..Limits::default()
        };
        let config = Config {
            initiator,
            sasl,
            plain_in_clear: true,
            max_frame_size: 4096,
            channel_max: 7,
            handle_max: 7,
            session_window: 20,
            limits,
            ..Config::default()
        };
        let mut whole = tell(&config, [bytes].into_iter());
        let mut parts = tell(&config, Pieces::of(bytes));
        if whole.violation == Some(Violation::UnknownProtocol) {
            // As much as has arrived is quoted.
            whole.written.clear();
            parts.written.clear();
        }
        assert_eq!(whole, parts, "it does not matter where bytes are cut");
    }
}

/// Bytes cut where a generator seeded by them says.
struct Pieces<'a> {
    rest: &'a [u8],
    state: u32,
}

impl<'a> Pieces<'a> {
    fn of(rest: &'a [u8]) -> Self {
        let mix = |state: u32, &byte: &u8| (state ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        Self {
            rest,
            state: rest.iter().fold(0x811c_9dc5, mix),
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.state = self
            .state
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let length = 1 + (self.state >> 24) as usize % 40;
        let (piece, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        Some(piece)
    }
}

fn tell<'a>(config: &Config, pieces: impl Iterator<Item = &'a [u8]>) -> Story {
    let mut peer = Peer::new(config.clone(), false);
    let mut story = Story {
        events: Vec::new(),
        written: Vec::new(),
        violation: None,
    };
    peer.connection.start(&mut peer.out);
    take(&mut peer, &mut story);
    for piece in pieces {
        peer.input.push(Bytes::copy_from_slice(piece));
        while let Some(event) = peer.poll() {
            story.events.push(format!("{event:?}"));
            join_in(&mut peer, &event);
            peer.flush();
            take(&mut peer, &mut story);
        }
        take(&mut peer, &mut story);
        check(&peer, config);
        if peer.error.is_some() || peer.connection.is_closed() {
            break;
        }
    }
    story.violation = peer.error.and_then(|error| error.violation());
    story
}

/// Lets deliveries happen: credit for whoever sends, and a delivery for whoever gives credit.
fn join_in(peer: &mut Peer, event: &Event) {
    match *event {
        Event::Opened(_) => {
            // An acceptor that begins sessions of its own finds out what answers them.
            peer.connection.begin(&mut peer.out).ok();
        }
        Event::Attached { link, .. } if peer.connection.link_role(link) == Some(Role::Receiver) => {
            peer.connection.set_credit(link, 5, false, &mut peer.out);
        }
        Event::Flow {
            link: Some(link), ..
        } if peer.connection.link_role(link) == Some(Role::Sender)
            && peer.connection.is_attached(link) =>
        {
            peer.send(link, 700, false, 0);
        }
        _ => {}
    }
}

fn take(peer: &mut Peer, story: &mut Story) {
    let written = peer.out.to_bytes();
    assert!(
        written.len() <= WRITTEN_MAX,
        "one frame does not make us write much"
    );
    peer.out.consume(written.len());
    story.written.extend(written);
}

fn check(peer: &Peer, config: &Config) {
    let frame = config.max_frame_size as usize;
    let over = peer.error.is_some() || peer.connection.is_closed();
    assert!(
        over || peer.input.len() < frame,
        "less than one frame waits for its end"
    );
    let sessions = usize::from(config.channel_max) + 1;
    let links = sessions * (config.handle_max as usize + 1);
    assert!(
        peer.connection.session_count() <= sessions,
        "no more sessions than advertised"
    );
    assert!(
        peer.connection.link_count() <= links,
        "no more links than advertised"
    );
    let unsettled = sessions * UNSETTLED_MAX as usize;
    assert!(
        peer.incoming.len() <= unsettled,
        "no more unsettled deliveries than allowed"
    );
}
