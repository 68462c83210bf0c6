//! The body of the fuzz target: a stranger between the two ends of a connection, who changes,
//! repeats, leaves out, cuts and adds what he likes, before the handshake, in it and after it.
//!
//! Owns no logic of its own. The certificates are only good for this. Decision: the library's
//! random numbers are its own, so a run is not the same each time; what must hold does not depend
//! on them.

use std::sync::OnceLock;

use amqp_proto::{SendQueue, Transform as _};

use crate::profile::{ClientCertificate, Material, Profile};
use crate::session::{HANDSHAKE_BYTES_MAX, RECORD, RECORD_OVERHEAD};
use crate::transform::TlsTransform;

/// Operations of an input; the rest is given to both ends as it is.
const OPERATIONS: usize = 48;

/// Bytes that an end may keep of what has not become data, whatever it is told.
const KEPT_BYTES_MAX: usize = HANDSHAKE_BYTES_MAX + RECORD + RECORD_OVERHEAD;

/// Bytes that an end may have to say beside data.
const SAID_BYTES_MAX: usize = HANDSHAKE_BYTES_MAX;

/// A client and a server that each talk to the other, and somebody between them.
///
/// # Panics
/// If an end takes anything for data that the other did not say, or keeps more than it may, or the
/// two do not come to terms although nobody is in the way.
pub fn fuzz_tls(bytes: &[u8]) {
    let Some((&choice, script)) = bytes.split_first() else {
        return;
    };
    let Some(mut scene) = Scene::new(choice) else {
        unreachable!("the profiles have no errors");
    };
    if choice & 0x20 != 0 {
        scene.agree();
        let [client, server] = &scene.ends;
        let are_ready = client.transform.is_ready() && server.transform.is_ready();
        assert!(are_ready, "nobody was in the way");
    }
    let mut script = script;
    for _ in 0..OPERATIONS {
        let Some((&[what, how, much], rest)) = script.split_first_chunk() else {
            break;
        };
        script = scene.act(what, how, much, rest);
    }
    for end in [0, 1] {
        scene.hear(end, script, usize::from(choice) + 1);
    }
    scene.agree();
}

/// One end, what it has said and how much of that the other has heard.
struct End {
    transform: TlsTransform,
    output: SendQueue,
    wire: SendQueue,
    /// On their way to the other end.
    flight: Vec<u8>,
    last: Vec<u8>,
    said: Vec<u8>,
    heard: usize,
    has_failed: bool,
    /// It may speak plain text, so what it hears need not be what the other said.
    is_open: bool,
}

struct Scene {
    ends: [End; 2],
}

impl End {
    fn new(transform: TlsTransform, is_open: bool) -> Self {
        Self {
            transform,
            output: SendQueue::new(),
            wire: SendQueue::new(),
            flight: Vec::new(),
            last: Vec::new(),
            said: Vec::new(),
            heard: 0,
            has_failed: false,
            is_open,
        }
    }

    /// What it has to say goes on its way.
    fn seal(&mut self) {
        let kept = self.transform.kept();
        assert!(kept.1 <= SAID_BYTES_MAX, "{} bytes to say", kept.1);
        let sealed = self.transform.seal(&mut self.output, &mut self.wire);
        self.has_failed |= sealed.is_err();
        self.flight.extend(self.wire.to_bytes());
        self.wire.consume(self.wire.len());
    }
}

impl Scene {
    fn new(choice: u8) -> Option<Self> {
        let [any, old, new] = profiles().as_ref()?;
        let version = |choice: u8| match choice & 3 {
            1 => old,
            2 => new,
            _ => any,
        };
        let asked = match choice >> 2 & 1 {
            0 => ClientCertificate::No,
            _ => ClientCertificate::Required,
        };
        let is_required = choice & 8 == 0;
        let client = version(choice).connector("hub", true).ok()?;
        let server = any.acceptor(is_required, asked).ok()?;
        Some(Self {
            ends: [End::new(client, false), End::new(server, !is_required)],
        })
    }

    /// Nobody is in the way for a while.
    fn agree(&mut self) {
        for _ in 0..6 {
            for end in [0, 1] {
                self.pass(end, usize::MAX);
            }
        }
    }

    /// An end's words arrive at the other, in pieces.
    fn pass(&mut self, from: usize, piece: usize) {
        self.ends[from].seal();
        let flight = std::mem::take(&mut self.ends[from].flight);
        self.hear(1 - from, &flight, piece);
        self.ends[from].last = flight;
    }

    /// One thing that is done; what is left of the script.
    fn act<'a>(&mut self, what: u8, how: u8, much: u8, rest: &'a [u8]) -> &'a [u8] {
        let from = usize::from(what & 1);
        let end = &mut self.ends[from];
        let place = usize::from(how) << 8 | usize::from(much);
        match what >> 1 & 15 {
            0..=2 => self.pass(from, usize::from(how) + 1),
            3 => end.seal(),
            4 | 5 => {
                end.seal();
                let length = end.flight.len().max(1);
                if let Some(byte) = end.flight.get_mut(place % length) {
                    *byte ^= 1 << (what >> 5);
                }
            }
            6 => {
                end.seal();
                let length = end.flight.len();
                end.flight.truncate(place % (length + 1));
            }
            7 => {
                end.seal();
                let length = end.flight.len();
                drop(end.flight.drain(..place % (length + 1)));
            }
            8 => {
                let last = end.last.clone();
                self.hear(1 - from, &last, usize::from(how) + 1);
            }
            9 | 10 => {
                let said = vec![what; place.min(3 * RECORD)];
                end.output.inline().extend_from_slice(&said);
                end.said.extend_from_slice(&said);
            }
            11 | 12 => {
                let (added, rest) = rest.split_at(usize::from(how).min(rest.len()));
                self.hear(1 - from, added, usize::from(much) + 1);
                return rest;
            }
            13 => {
                // A record of this type, with a length of its own.
                let record = [what >> 5 | 20, 3, 3, how, much];
                end.flight.extend_from_slice(&record);
            }
            14 => self.flood(1 - from, how, usize::from(much) + 1),
            _ => end.transform.finish(),
        }
        rest
    }

    /// An end is told the same small record many times.
    fn flood(&mut self, to: usize, kind: u8, times: usize) {
        let record = [20 + kind % 4, 3, 3, 0, 1, 1];
        self.hear(to, &record.repeat(times), usize::from(kind) + 1);
    }

    fn hear(&mut self, to: usize, bytes: &[u8], piece: usize) {
        let (one, other) = self.ends.split_at_mut(1);
        let (Some(client), Some(server)) = (one.first_mut(), other.first_mut()) else {
            return;
        };
        let (end, peer) = match to {
            0 => (client, server),
            _ => (server, client),
        };
        for piece in bytes.chunks(piece.max(1)) {
            let had_failed = end.has_failed;
            let opened = end.transform.opened(&mut piece.to_vec());
            end.has_failed |= opened.is_err();
            let data = opened.unwrap_or_default();
            let kept = end.transform.kept();
            assert!(kept.0 <= KEPT_BYTES_MAX, "{} bytes are kept", kept.0);
            assert!(kept.1 <= SAID_BYTES_MAX, "{} bytes to say", kept.1);
            assert!(
                data.is_empty() || !had_failed,
                "data from a session that has failed"
            );
            if !(end.is_open && end.transform.is_clear()) {
                let told = peer.said.get(end.heard..end.heard + data.len());
                assert!(told == Some(&data[..]), "data that nobody said: {data:?}");
                end.heard += data.len();
            }
            let _ = (end.transform.is_cut_here(), end.transform.has_output());
            assert!(!end.has_failed || !end.transform.is_ready());
        }
    }
}

/// The profiles of all versions, of the older one and of the newer one.
fn profiles() -> &'static Option<[Profile; 3]> {
    static PROFILES: OnceLock<Option<[Profile; 3]>> = OnceLock::new();
    PROFILES.get_or_init(|| {
        let profile = |protocols: Option<&str>| {
            Profile::new(Material {
                certificate: Some(include_bytes!("fuzz/certificate.pem").to_vec()),
                private_key: Some(include_bytes!("fuzz/key.pem").to_vec()),
                authorities: Some(include_bytes!("fuzz/authority.pem").to_vec()),
                protocols: protocols.map(str::to_owned),
                ..Material::default()
            })
            .ok()
        };
        Some([
            profile(None)?,
            profile(Some("TLSv1.2"))?,
            profile(Some("TLSv1.3"))?,
        ])
    })
}
