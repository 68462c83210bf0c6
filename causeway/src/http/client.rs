//! One client of an HTTP listener: its requests are read, answered one after the other, and timed.
//!
//! ```text
//!   Listening ──request──► Waiting (for facts) ──► Answering ──sent──► Listening …
//!       │                                              └──the last──► gone
//!       └──handshake──► a WebSocket: it leaves this thread
//! ```

use std::io::{IoSlice, Read as _};
use std::net::IpAddr;
use std::sync::Arc;

use amqp_proto::{RecvBuf, SendQueue, Time, Transform};
use bytes::Bytes;
use jiff::Timestamp;
use mio::event::Event;
use mio::{Registry, Token};
use router_core::settings::{ConnectionSettings, HttpSettings};
use web::limits::{FACTS_TIME, HEAD_TIME, KEEP_ALIVE_TIME, OUTPUT_BYTES, READ_BYTES};
use web::{Door, Exchange, Heard, Method, Request, Status, WebSocket};

use super::crowd::origin;
use super::facts::Scope;
use super::intake::{Arrived, Upgraded};
use super::pace::Pace;
use super::site::{Answer, Body, Wanted};
use crate::socket::{Moved, Socket};

/// Slices of output given to the operating system at once.
const SLICES: usize = 16;

/// Reads, and requests, for one client in one round.
const STEPS: usize = 16;

/// A client.
pub(super) struct Client {
    socket: Socket,
    transform: Box<dyn Transform>,
    pub(super) settings: Arc<ConnectionSettings>,
    pub(super) peer: String,
    /// Where that is.
    pub(super) from: Option<IpAddr>,
    opened: RecvBuf,
    exchange: Exchange,
    output: SendQueue,
    wire: SendQueue,
    state: State,
    deadline: Time,
    /// The peer has ended its side.
    is_ended: bool,
    /// After the present answer, or the next, it is over.
    is_last: bool,
    /// There was more to do than a round has time for.
    is_due: bool,
    /// How requests were answered since that was asked last.
    told: Vec<Told>,
    /// The metrics that it is being sent: how many bytes had been made when they were.
    reads: Option<u64>,
}

/// How a request was answered.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: Status,
    /// What it was for, if that was understood.
    pub(super) path: Option<String>,
}

/// What it is doing.
#[derive(Debug)]
enum State {
    /// Its next request is awaited; whether some of it has come.
    Listening { is_begun: bool },
    /// What is to be answered is being found out.
    Waiting(Request, Wanted),
    /// It is being answered.
    Answering {
        rest: Option<(std::fs::File, u64)>,
        keeps_alive: bool,
        pace: Pace,
    },
}

/// What a round leads to.
pub(super) enum Turn {
    /// It stays as it is.
    Stays,
    /// The router has to be asked; the answer goes to [`Client::answer`].
    Asks(Scope),
    /// It can be answered at once.
    Answers,
    /// It is over.
    Gone(Option<String>),
    /// It goes on as a WebSocket.
    Upgrades(Box<WebSocketHandshake>),
}

/// What is left to be done for a WebSocket.
pub(super) struct WebSocketHandshake {
    head: web::Head,
}

impl Client {
    pub(super) fn new(
        arrived: Arrived,
        registry: &Registry,
        token: Token,
        now: Time,
    ) -> std::io::Result<Self> {
        let Arrived {
            stream,
            peer,
            settings,
            transform,
        } = arrived;
        Ok(Self {
            socket: Socket::register(stream, registry, token)?,
            transform,
            settings,
            from: origin(&peer),
            peer,
            opened: RecvBuf::new(),
            exchange: Exchange::default(),
            output: SendQueue::new(),
            wire: SendQueue::new(),
            state: State::Listening { is_begun: true },
            deadline: now + HEAD_TIME,
            is_ended: false,
            is_last: false,
            is_due: false,
            told: Vec::new(),
            reads: None,
        })
    }

    pub(super) fn note_ready(&mut self, event: &Event) {
        self.socket.note_ready(event);
    }

    /// By what its listener judges from where it is asked, on this connection.
    fn door<'a>(&self, site: &'a HttpSettings) -> Door<'a> {
        let security = self.transform.security();
        // A browser shows a certificate for whatever page asks.
        let is_known = security.is_some_and(|security| security.identity.is_some());
        Door {
            origins: &site.origins,
            host: &site.host,
            is_tls: security.is_some(),
            asks_password: self.settings.authenticate_peer && !is_known,
        }
    }

    /// Whether it waits for something that the router has to say.
    pub(super) fn waits_for(&self) -> Option<Scope> {
        match &self.state {
            State::Waiting(_, wanted) => wanted.scope(self.settings.http.as_ref()?),
            _ => None,
        }
    }

    /// Of which age the metrics are that it is being sent, if it is.
    pub(super) fn reads(&self) -> Option<u64> {
        self.reads
    }

    /// Whether nothing is being done for it: who comes new may have its place.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Listening { is_begun: false })
    }

    /// Whether it has been asking, and its request is not whole.
    pub(super) fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening { .. })
    }

    /// Its listener is gone, or has other settings now.
    pub(super) fn note_last(&mut self) {
        self.is_last = true;
        if let State::Answering { keeps_alive, .. } = &mut self.state {
            *keeps_alive = false;
        }
    }

    /// Whether it is.
    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }

    /// When its time is up.
    pub(super) fn deadline(&self) -> Time {
        match &self.state {
            State::Answering { pace, .. } => pace.deadline(),
            _ => self.deadline,
        }
    }

    /// Whether it can do something without a further event.
    pub(super) fn is_runnable(&self) -> bool {
        if self.is_due {
            return true;
        }
        match &self.state {
            State::Listening { .. } => self.socket.is_readable() && !self.exchange.is_full(),
            State::Waiting(..) => false,
            State::Answering { .. } => self.socket.is_writable(),
        }
    }

    /// Reads, writes and goes on, as far as it can be done now.
    pub(super) fn turn(&mut self, now: Time) -> Turn {
        self.is_due = false;
        for _ in 0..STEPS {
            if let Err(text) = self.write(now) {
                return Turn::Gone(Some(text));
            }
            match &self.state {
                State::Waiting(..) => return Turn::Stays,
                State::Answering { rest: Some(_), .. } if !self.output.is_full() => {
                    if let Err(text) = self.read_file() {
                        return Turn::Gone(Some(text));
                    }
                }
                State::Answering { rest: None, .. } if self.is_flushed() => {
                    if let Some(turn) = self.end_answer(now) {
                        return turn;
                    }
                }
                State::Answering { .. } if self.socket.is_writable() => {}
                State::Answering { .. } => return Turn::Stays,
                State::Listening { .. } => {
                    if let Some(turn) = self.listen(now) {
                        return turn;
                    }
                }
            }
        }
        self.is_due = true;
        Turn::Stays
    }

    /// The answer is sent: the next request, or the end.
    fn end_answer(&mut self, now: Time) -> Option<Turn> {
        let State::Answering { keeps_alive, .. } = self.state else {
            return None;
        };
        self.reads = None;
        if !keeps_alive {
            return Some(Turn::Gone(None));
        }
        // Some of the next may have come with it.
        let is_begun = self.exchange.is_begun();
        self.state = State::Listening { is_begun };
        self.deadline = match is_begun {
            true => now + HEAD_TIME,
            false => now + KEEP_ALIVE_TIME,
        };
        None
    }

    /// Looks for a request in what has come, or reads more; `None` to be called again.
    fn listen(&mut self, now: Time) -> Option<Turn> {
        match self.exchange.poll() {
            Some(Heard::Request(request)) => Some(self.begin(request, now)),
            Some(Heard::Refused(status)) => {
                self.respond(Answer::plain(status), false, false, now);
                None
            }
            None if self.is_ended => Some(Turn::Gone(None)),
            None => match self.read(now) {
                Ok(true) => {
                    self.note_begun(now);
                    None
                }
                Ok(false) => Some(Turn::Stays),
                Err(text) => Some(Turn::Gone(text)),
            },
        }
    }

    /// The first bytes of a request set its time.
    fn note_begun(&mut self, now: Time) {
        let State::Listening { is_begun } = &mut self.state else {
            return;
        };
        if !*is_begun && self.exchange.is_begun() {
            *is_begun = true;
            self.deadline = now + HEAD_TIME;
        }
    }

    /// Begins to answer a request.
    fn begin(&mut self, request: Request, now: Time) -> Turn {
        let settings = Arc::clone(&self.settings);
        let nothing = HttpSettings::default();
        let site = settings.http.as_ref().unwrap_or(&nothing);
        let wanted = match self.door(site) {
            door if request.upgrade.is_none() && !door.answers(&request) => {
                Wanted::Nothing(Status::Misdirected)
            }
            _ => Wanted::of(&request, site),
        };
        if wanted == Wanted::WebSocket {
            return self.upgrade(&request, site, now);
        }
        let scope = wanted.scope(site);
        self.state = State::Waiting(request, wanted);
        self.deadline = now + FACTS_TIME;
        scope.map_or(Turn::Answers, Turn::Asks)
    }

    /// Answers a handshake, or says why not.
    fn upgrade(&mut self, request: &Request, site: &HttpSettings, now: Time) -> Turn {
        let upgrade = request.upgrade.clone().unwrap_or_default();
        let is_get = request.method == Method::Get && request.body == 0;
        let origin = upgrade.origin.as_deref();
        let refuse = |status, text| Err(web::Refusal { status, text });
        let answered = if !is_get || self.exchange.has_more() {
            // What comes before the answer cannot be meant for the WebSocket.
            let text = "the handshake is not a request by itself".to_owned();
            refuse(Status::BadRequest, text)
        } else if !self.door(site).admits(origin, request.host.as_deref()) {
            let origin = web::shown(origin.unwrap_or_default());
            let name = &self.settings.name;
            let text = format!("origin {origin} is not in httpOrigins of listener {name}");
            refuse(Status::Forbidden, text)
        } else {
            web::answer(&upgrade)
        };
        match answered {
            Ok(head) => Turn::Upgrades(Box::new(WebSocketHandshake { head })),
            Err(refusal) => {
                self.respond(Answer::plain(refusal.status), false, false, now);
                Turn::Gone(Some(refusal.to_string()))
            }
        }
    }

    /// Refuses it what it could have.
    pub(super) fn refuse(&mut self, status: Status, now: Time) {
        self.respond(Answer::plain(status), false, false, now);
        self.is_due = true;
    }

    /// Leaves this thread as a WebSocket.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn leave(
        self,
        handshake: WebSocketHandshake,
        registry: &Registry,
    ) -> std::io::Result<Upgraded> {
        let peer = self.peer.rsplit_once(':').map_or(&*self.peer, |(ip, _)| ip);
        let peer = peer.trim_matches(['[', ']']).to_owned();
        Ok(Upgraded {
            stream: self.socket.release(registry)?,
            peer,
            settings: self.settings,
            transform: Box::new(WebSocket::new(self.transform, handshake.head)),
        })
    }

    /// Answers the request that it waits for.
    pub(super) fn answer(
        &mut self,
        make: impl FnOnce(&Wanted, &Request, &HttpSettings) -> Answer,
        now: Time,
    ) {
        let State::Waiting(request, wanted) = &mut self.state else {
            return;
        };
        let nothing = HttpSettings::default();
        let site = self.settings.http.as_ref().unwrap_or(&nothing);
        let answer = make(wanted, request, site);
        let (is_head, keeps_alive) = (request.method == Method::Head, request.keeps_alive);
        let path = std::mem::take(&mut request.path);
        self.respond(answer, is_head, keeps_alive, now);
        if let Some(told) = self.told.last_mut() {
            told.path = Some(path);
        }
    }

    /// How requests were answered since this was called last.
    pub(super) fn take_told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    /// Its time is up: what is to be said of that, if it can still be said.
    pub(super) fn expire(&mut self, now: Time) -> bool {
        match self.state {
            State::Listening { is_begun: true } if self.exchange.is_begun() => {
                self.exchange.end();
                self.respond(Answer::plain(Status::RequestTimeout), false, false, now);
                true
            }
            _ => false,
        }
    }

    fn respond(&mut self, answer: Answer, is_head: bool, keeps_alive: bool, now: Time) {
        let keeps_alive = keeps_alive && !self.is_last;
        self.told.push(Told {
            status: answer.status,
            path: None,
        });
        let time = Timestamp::try_from(crate::clock::time_of_day()).unwrap_or_default();
        let head = answer.head(keeps_alive, time).finish();
        self.output.inline().extend_from_slice(head.as_bytes());
        let rest = match answer.body {
            _ if is_head => None,
            Body::Text(text) => {
                self.output.push_shared(Bytes::from(text));
                None
            }
            Body::Metrics(text) => {
                self.reads = Some(text.made);
                self.output.push_shared(text.bytes);
                None
            }
            Body::File(file, length) => Some((file, length)),
            Body::Nothing => None,
        };
        self.state = State::Answering {
            rest,
            keeps_alive,
            pace: Pace::begin(now),
        };
    }

    /// Queues the next part of a file.
    fn read_file(&mut self) -> Result<(), String> {
        let State::Answering { rest, .. } = &mut self.state else {
            return Ok(());
        };
        let Some((file, left)) = rest else {
            return Ok(());
        };
        let most = (*left).min(OUTPUT_BYTES as u64);
        let mut part = Vec::new();
        let read = file.take(most).read_to_end(&mut part);
        let read = read.map_err(|error| error.to_string())? as u64;
        *left -= read;
        if *left == 0 {
            *rest = None;
        } else if read == 0 {
            return Err("a file has become shorter while it was given out".to_owned());
        }
        self.output.push_shared(part.into());
        Ok(())
    }

    /// Reads once; false if nothing is there.
    fn read(&mut self, now: Time) -> Result<bool, Option<String>> {
        if !self.socket.is_readable() || self.exchange.is_full() {
            return Ok(false);
        }
        let mut bytes = [0; READ_BYTES];
        match self.socket.read(&mut bytes) {
            Moved::Wait => Ok(false),
            Moved::End => {
                self.is_ended = true;
                Ok(true)
            }
            Moved::Failed(error) => Err(Some(error.to_string())),
            Moved::Bytes(count) => {
                let bytes = &mut bytes[..count];
                if let Err(error) = self.transform.open(bytes, &mut self.opened) {
                    // What TLS has to say of it goes out if it goes at once.
                    drop(self.write(now));
                    return Err(Some(error.to_string()));
                }
                while let Some(bytes) = self.opened.pop() {
                    self.exchange.receive(&bytes);
                }
                Ok(true)
            }
        }
    }

    fn is_flushed(&self) -> bool {
        self.output.is_empty() && self.wire.is_empty() && !self.transform.has_output()
    }

    /// Writes what is queued, as far as the socket takes it.
    fn write(&mut self, now: Time) -> Result<(), String> {
        let is_last = matches!(
            self.state,
            State::Answering {
                rest: None,
                keeps_alive: false,
                ..
            }
        );
        if is_last && self.transform.is_ready() {
            self.transform.finish();
        }
        while self.socket.is_writable() && !self.is_flushed() {
            let sealed = self.transform.seal(&mut self.output, &mut self.wire);
            sealed.map_err(|error| error.to_string())?;
            if self.wire.is_empty() {
                break;
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.wire.io_slices(&mut slices);
            match self.socket.write(&slices[..count]) {
                Moved::Bytes(count) => {
                    self.wire.consume(count);
                    if let State::Answering { pace, .. } = &mut self.state {
                        pace.note_taken(count, now);
                    }
                }
                Moved::Wait | Moved::End => break,
                Moved::Failed(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// The socket, to be closed when its peer has heard all.
    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }
}
