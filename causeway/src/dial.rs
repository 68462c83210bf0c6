//! Sockets on their way to being connected.
//!
//! A host may have several addresses, and the first may lead nowhere: another is tried as soon as
//! one has failed, or has not answered for a moment, and the first that connects is taken. What is
//! dialled, how long it may take and when again is the control plane's business.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use amqp_proto::Time;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use router_core::control::Dial;
use router_core::ids::ConnectionId;

use crate::resolve::{Addresses, Place};
use crate::socket::error_text;
use crate::stream::Stream;

/// How long one address may take before the next is tried as well.
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 8;

/// What is being dialled.
#[derive(Debug)]
pub(crate) struct Dialler {
    attempts: Vec<Attempt>,
    first_token: usize,
    next_token: usize,
}

#[derive(Debug)]
struct Attempt {
    dial: Dial,
    /// Addresses not yet tried; `None` until they are known.
    addresses: Option<VecDeque<SocketAddr>>,
    tries: Vec<Try>,
    /// When the next address is tried at the latest.
    next_at: Time,
    /// Why the first of its addresses could not be connected.
    error: Option<String>,
}

#[derive(Debug)]
struct Try {
    stream: TcpStream,
    token: Token,
    /// The operating system has something to say about it.
    ready: bool,
}

/// How an attempt has ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// With a socket that is registered nowhere.
    Connected(Dial, Stream),
    /// With a reason.
    Failed(Dial, String),
}

impl Dialler {
    /// Nothing is being dialled; tokens begin with `first_token`.
    pub(crate) fn new(first_token: usize) -> Self {
        Self {
            attempts: Vec::new(),
            first_token,
            next_token: first_token,
        }
    }

    /// Begins an attempt; its addresses may come later.
    pub(crate) fn dial(&mut self, dial: Dial, addresses: Option<Vec<SocketAddr>>) {
        self.attempts.push(Attempt {
            dial,
            addresses: addresses.map(|addresses| addresses.into_iter().collect()),
            tries: Vec::new(),
            next_at: Time::ZERO,
            error: None,
        });
    }

    /// The addresses of a place have come, or will not.
    pub(crate) fn resolved(&mut self, place: &Place, answer: &Addresses) {
        for attempt in &mut self.attempts {
            let Dial { host, port, .. } = &attempt.dial;
            if attempt.addresses.is_some() || (host, port) != (&place.0, &place.1) {
                continue;
            }
            let addresses = answer.iter().flatten().copied();
            attempt.addresses = Some(addresses.take(ADDRESSES_MAX).collect());
            if let Err(text) = answer {
                attempt.error = Some(format!("{text} - connect to {host}:{port}"));
            }
        }
    }

    /// Gives up one attempt.
    pub(crate) fn hang_up(&mut self, connection: ConnectionId) {
        self.attempts
            .retain(|attempt| attempt.dial.connection != connection);
    }

    /// Gives up all attempts.
    pub(crate) fn hang_up_all(&mut self) {
        self.attempts.clear();
    }

    /// Remembers an event; false if it is about nothing of this.
    pub(crate) fn note_ready(&mut self, token: Token) -> bool {
        let tries = self.attempts.iter_mut().flat_map(|a| &mut a.tries);
        for tried in tries.filter(|tried| tried.token == token) {
            tried.ready = true;
        }
        token.0 >= self.first_token
    }

    /// Goes on with everything; what has ended is taken out.
    pub(crate) fn turn(&mut self, now: Time, registry: &Registry) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for mut attempt in std::mem::take(&mut self.attempts) {
            let connected = attempt.finish_tries(registry);
            if let Some(stream) = connected {
                outcomes.push(Outcome::Connected(attempt.dial, stream.into()));
                continue;
            }
            attempt.begin_tries(now, registry, &mut self.next_token);
            let is_hopeless = attempt.tries.is_empty()
                && attempt.addresses.as_ref().is_some_and(VecDeque::is_empty);
            if is_hopeless {
                let text = attempt.error.unwrap_or_else(|| "no address".to_owned());
                outcomes.push(Outcome::Failed(attempt.dial, text));
            } else {
                self.attempts.push(attempt);
            }
        }
        outcomes
    }

    /// When [`Dialler::turn`] has something to do without an event.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let due = |attempt: &Attempt| {
            let more = attempt.addresses.as_ref().is_some_and(|a| !a.is_empty());
            more.then_some(attempt.next_at)
        };
        self.attempts.iter().filter_map(due).min()
    }
}

impl Attempt {
    /// Looks at the sockets that have something to say; one that is connected.
    fn finish_tries(&mut self, registry: &Registry) -> Option<TcpStream> {
        let mut at = 0;
        while let Some(tried) = self.tries.get_mut(at) {
            if !std::mem::take(&mut tried.ready) {
                at += 1;
                continue;
            }
            match state(&tried.stream) {
                Ok(false) => at += 1,
                Ok(true) => {
                    let mut stream = self.tries.swap_remove(at).stream;
                    match registry.deregister(&mut stream) {
                        Ok(()) => return Some(stream),
                        Err(error) => self.note(&error),
                    }
                }
                Err(error) => {
                    self.tries.swap_remove(at);
                    self.note(&error);
                }
            }
        }
        None
    }

    /// Tries the next address, and more if that fails at once.
    fn begin_tries(&mut self, now: Time, registry: &Registry, next_token: &mut usize) {
        while self.tries.is_empty() || now >= self.next_at {
            let Some(address) = self.addresses.as_mut().and_then(VecDeque::pop_front) else {
                return;
            };
            let token = Token(*next_token);
            *next_token += 1;
            match begin(address, registry, token) {
                Ok(stream) => {
                    self.next_at = now + STAGGER;
                    self.tries.push(Try {
                        stream,
                        token,
                        ready: false,
                    });
                }
                Err(error) => self.note(&error),
            }
        }
    }

    fn note(&mut self, error: &io::Error) {
        let Dial { host, port, .. } = &self.dial;
        let text = || format!("{} - disconnected {host}:{port}", error_text(error));
        self.error.get_or_insert_with(text);
    }
}

fn begin(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    registry.register(&mut stream, token, Interest::WRITABLE)?;
    Ok(stream)
}

/// Whether a socket is connected; false if that is still open.
fn state(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::tests::settings;
    use mio::{Events, Poll};
    use socket2::{Domain, Socket, Type};
    use std::net;

    fn dial() -> Dial {
        Dial {
            connection: ConnectionId(1),
            host: "b".to_owned(),
            port: "5".to_owned(),
            settings: settings(),
            join: None,
        }
    }

    /// An address on which nobody listens, nor can as long as the socket is there.
    fn nobody() -> (Socket, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).unwrap();
        let place = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, place)
    }

    fn run(dialler: &mut Dialler, poll: &mut Poll) -> Outcome {
        let mut events = Events::with_capacity(8);
        loop {
            if let Some(outcome) = dialler.turn(Time::ZERO, poll.registry()).pop() {
                return outcome;
            }
            poll.poll(&mut events, None).unwrap();
            for event in &events {
                assert!(dialler.note_ready(event.token()));
            }
        }
    }

    #[test]
    fn the_first_address_that_answers_is_taken() {
        let mut poll = Poll::new().unwrap();
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap();
        let (_held, refuses) = nobody();
        let mut dialler = Dialler::new(100);
        dialler.dial(dial(), Some(vec![refuses, place]));
        let Outcome::Connected(_, Stream::Tcp(stream)) = run(&mut dialler, &mut poll) else {
            panic!("not connected")
        };
        assert_eq!(stream.peer_addr().unwrap(), place);
        assert_eq!(dialler.next_deadline(), None);
        assert!(!dialler.note_ready(Token(7)), "a listener's");
    }

    #[test]
    fn a_refusal_is_told_in_the_system_s_words() {
        let mut poll = Poll::new().unwrap();
        let mut dialler = Dialler::new(0);
        let (_held, refuses) = nobody();
        dialler.dial(dial(), Some(vec![refuses]));
        let Outcome::Failed(dial, text) = run(&mut dialler, &mut poll) else {
            panic!("connected")
        };
        assert_eq!(dial.connection, ConnectionId(1));
        assert_eq!(text, "Connection refused - disconnected b:5");
    }

    #[test]
    fn a_name_without_address_fails_and_one_without_answer_waits() {
        let poll = Poll::new().unwrap();
        let mut dialler = Dialler::new(0);
        dialler.dial(dial(), None);
        assert!(dialler.turn(Time::ZERO, poll.registry()).is_empty());
        let other = ("c".to_owned(), "5".to_owned());
        dialler.resolved(&other, &Err("unknown".to_owned()));
        assert!(dialler.turn(Time::ZERO, poll.registry()).is_empty());
        let place = ("b".to_owned(), "5".to_owned());
        dialler.resolved(&place, &Err("Name or service not known".to_owned()));
        let outcomes = dialler.turn(Time::ZERO, poll.registry());
        let [Outcome::Failed(_, text)] = &*outcomes else {
            panic!("{outcomes:?}")
        };
        assert_eq!(text, "Name or service not known - connect to b:5");
    }

    #[test]
    fn what_was_given_up_says_nothing() {
        let poll = Poll::new().unwrap();
        let mut dialler = Dialler::new(0);
        let (_held, refuses) = nobody();
        dialler.dial(dial(), Some(vec![refuses]));
        dialler.hang_up(ConnectionId(1));
        assert!(dialler.turn(Time::ZERO, poll.registry()).is_empty());
    }
}
