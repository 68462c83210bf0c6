//! Listening sockets: binding them, and accepting what comes.
//!
//! When the process may open no more files, accepting stops for a moment and is tried again; the
//! connections that exist go on.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::Time;
use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use router_core::settings::ConnectionSettings;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::pipe::Delivered;
use crate::resolve::Addresses;
use crate::socket::error_text;
use crate::stream::Stream;

/// Connections that the operating system may have ready before they are accepted.
const BACKLOG: i32 = 1024;

/// Connections accepted from one listener before others have their turn.
const ACCEPTS_PER_TURN: usize = 64;

/// How long accepting rests when the process is out of files or memory.
const REST: Duration = Duration::from_millis(100);

/// The listeners that are open.
#[derive(Debug)]
pub(crate) struct Listeners {
    open: Vec<Listener>,
    /// The one that takes pipes: its identity and settings.
    for_pipes: Option<(Arc<str>, Arc<ConnectionSettings>)>,
    next_token: usize,
    /// Sockets for listeners that are about to be opened.
    staged: Vec<(Arc<str>, Vec<Listener>)>,
}

/// The sockets of a listener that is about to come or to change.
#[derive(Debug)]
pub(crate) struct Reserved {
    identity: Arc<str>,
    /// Open ones, which another listener has until then.
    kept: Vec<Token>,
    bound: Vec<Listener>,
}

#[derive(Debug)]
struct Listener {
    identity: Arc<str>,
    settings: Arc<ConnectionSettings>,
    socket: TcpListener,
    token: Token,
    /// Connections may be waiting.
    ready: bool,
    /// Nothing is accepted before.
    rests_until: Option<Time>,
}

/// A listener that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Its name; its host and port, if the configuration gives none.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
}

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The socket, not blocking.
    pub(crate) stream: Stream,
    /// The other end of it, as it is shown.
    pub(crate) peer: String,
    /// Its listener's settings.
    pub(crate) settings: Arc<ConnectionSettings>,
}

/// Why nothing is accepted for a moment.
#[derive(Debug)]
pub(crate) struct Rest {
    /// The listener's name.
    pub(crate) listener: String,
    /// What the operating system says.
    pub(crate) text: String,
}

impl Listeners {
    /// None yet; their tokens begin with `first_token`.
    pub(crate) fn new(first_token: usize) -> Self {
        Self {
            open: Vec::new(),
            for_pipes: None,
            next_token: first_token,
            staged: Vec::new(),
        }
    }

    /// Listens on addresses of one host; those that it could have, with their real ports. On
    /// `every_interface`, IPv6 leaves IPv4 to a socket of its own.
    ///
    /// # Errors
    ///
    /// What the operating system says, as a text; nothing is opened then.
    pub(crate) fn open(
        &mut self,
        identity: &Arc<str>,
        (wanted, every_interface): (&[SocketAddr], bool),
        settings: &Arc<ConnectionSettings>,
        registry: &Registry,
    ) -> Result<Vec<SocketAddr>, String> {
        if let Some(at) = self.staged.iter().position(|(of, _)| of == identity) {
            let (_, sockets) = self.staged.swap_remove(at);
            return Ok(self.take_over(sockets, identity, settings));
        }
        let bound = bind_all(wanted, |address| {
            bind(address, every_interface, false).and_then(listening)
        })?;
        let mut sockets = Vec::new();
        for socket in bound {
            sockets.push(self.register(socket, identity, settings, registry)?);
        }
        Ok(self.take_over(sockets, identity, settings))
    }

    fn register(
        &mut self,
        mut socket: TcpListener,
        identity: &Arc<str>,
        settings: &Arc<ConnectionSettings>,
        registry: &Registry,
    ) -> Result<Listener, String> {
        let token = Token(self.next_token);
        self.next_token += 1;
        registry
            .register(&mut socket, token, Interest::READABLE)
            .map_err(|error| error_text(&error))?;
        Ok(Listener {
            identity: Arc::clone(identity),
            settings: Arc::clone(settings),
            socket,
            token,
            ready: false,
            rests_until: None,
        })
    }

    /// Gives sockets to a listener; where they listen.
    fn take_over(
        &mut self,
        sockets: Vec<Listener>,
        identity: &Arc<str>,
        settings: &Arc<ConnectionSettings>,
    ) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        for socket in sockets {
            addresses.extend(socket.socket.local_addr());
            self.open.push(Listener {
                identity: Arc::clone(identity),
                settings: Arc::clone(settings),
                ..socket
            });
        }
        addresses
    }

    /// Finds sockets for a listener that is about to come or to change: those that it has where it
    /// stays where it `was`, those of others that are `going` where the address is the same, else
    /// new ones, which listen already unless this `is_check`. Nothing changes before
    /// [`Listeners::stage`].
    ///
    /// # Errors
    ///
    /// What the operating system says, as a text.
    pub(crate) fn reserve(
        &mut self,
        identity: &str,
        (was, going): (Option<&str>, &[&str]),
        wanted: &Addresses,
        (is_check, reserved): (bool, &mut Vec<Reserved>),
        registry: &Registry,
    ) -> Result<(), String> {
        let identity: Arc<str> = identity.into();
        let own = self.open.iter().filter(|open| was == Some(&*open.identity));
        let mut kept: Vec<Token> = own.map(|open| open.token).collect();
        let mut bound = Vec::new();
        if kept.is_empty() {
            let wanted = wanted.as_ref().map_err(String::clone)?;
            // On every interface, there is a socket for each family.
            let every_interface =
                wanted.len() > 1 && wanted.iter().all(|at| at.ip().is_unspecified());
            let found = bind_all(wanted, |address| {
                let goes = |open: &&Listener| going.contains(&&*open.identity);
                let is_free = |token| !reserved.iter().any(|other| other.kept.contains(&token));
                let mut going = self.open.iter().filter(goes);
                let same = going.find(|open| {
                    is_free(open.token) && serves(&open.socket, address, every_interface)
                });
                if let Some(open) = same {
                    kept.push(open.token);
                    return Ok(None);
                }
                let is_shared = self.share(address.port(), goes);
                let socket = bind(address, every_interface, is_shared)?;
                match is_check {
                    true => Ok(None),
                    false => listening(socket).map(Some),
                }
            })?;
            bound.extend(found.into_iter().flatten());
        }
        let nobodys = Arc::new(ConnectionSettings::default());
        let mut sockets = Vec::new();
        for socket in bound {
            drop(SockRef::from(&socket).set_reuse_port(false));
            sockets.push(self.register(socket, &identity, &nobodys, registry)?);
        }
        reserved.push(Reserved {
            identity,
            kept,
            bound: sockets,
        });
        Ok(())
    }

    /// Lets another socket of this process have a port together with one that is about to close:
    /// so the port changes hands without a moment in which nobody listens. Whether there is one.
    fn share(&self, port: u16, goes: impl Fn(&&Listener) -> bool) -> bool {
        let mut is_shared = false;
        for open in self.open.iter().filter(goes) {
            if port != 0 && open.socket.local_addr().is_ok_and(|at| at.port() == port) {
                // Where that cannot be, binding fails, and says so.
                is_shared |= SockRef::from(&open.socket).set_reuse_port(true).is_ok();
            }
        }
        is_shared
    }

    /// Nobody else may have the ports of these any more.
    pub(crate) fn end_sharing(&self, going: &[&str]) {
        for open in &self.open {
            if going.contains(&&*open.identity) {
                drop(SockRef::from(&open.socket).set_reuse_port(false));
            }
        }
    }

    /// Puts sockets aside for the listeners that are about to be opened.
    pub(crate) fn stage(&mut self, reserved: Vec<Reserved>) {
        self.staged.clear();
        for Reserved {
            identity,
            kept,
            mut bound,
        } in reserved
        {
            let taken = self.open.extract_if(.., |open| kept.contains(&open.token));
            bound.extend(taken);
            self.staged.push((identity, bound));
        }
    }

    /// Closes sockets that no listener has taken.
    pub(crate) fn forget_staged(&mut self) {
        self.staged.clear();
    }

    /// Whether there are sockets for a listener that is about to be opened.
    pub(crate) fn is_staged(&self, identity: &str) -> bool {
        self.staged.iter().any(|(of, _)| **of == *identity)
    }

    /// Whether a listener has sockets.
    pub(crate) fn is_open(&self, identity: &str) -> bool {
        self.open.iter().any(|open| *open.identity == *identity)
    }

    /// Connections may be waiting anywhere.
    pub(crate) fn look_everywhere(&mut self) {
        for listener in &mut self.open {
            listener.ready = true;
        }
    }

    /// Takes the pipes that come.
    ///
    /// # Errors
    ///
    /// Another listener does, in the words that the system would have for it.
    pub(crate) fn open_for_pipes(
        &mut self,
        identity: &Arc<str>,
        settings: &Arc<ConnectionSettings>,
    ) -> Result<(), String> {
        if self.for_pipes.is_some() {
            return Err("Address already in use".to_owned());
        }
        self.for_pipes = Some((Arc::clone(identity), Arc::clone(settings)));
        Ok(())
    }

    /// Accepts a pipe; without a listener for such it ends.
    pub(crate) fn accept_pipe(&self, pipe: Delivered) -> Option<Arrival> {
        let (_, settings) = self.for_pipes.as_ref()?;
        Some(Arrival {
            stream: pipe.stream,
            peer: pipe.from,
            settings: Arc::clone(settings),
        })
    }

    /// The settings of those that speak HTTP.
    pub(crate) fn http(&self) -> Vec<Arc<ConnectionSettings>> {
        let open = self.open.iter().map(|listener| &listener.settings);
        let pipes = self.for_pipes.iter().map(|(_, settings)| settings);
        let speak = open.chain(pipes).filter(|settings| settings.http.is_some());
        speak.cloned().collect()
    }

    /// Stops listening; connections that were accepted stay.
    pub(crate) fn close(&mut self, identity: &str) {
        self.open.retain(|listener| &*listener.identity != identity);
        self.for_pipes.take_if(|(open, _)| **open == *identity);
    }

    /// Stops listening everywhere but where the router says by HTTP how it is doing.
    pub(crate) fn close_for_messages(&mut self) {
        self.open
            .retain(|listener| listener.settings.http.is_some());
        self.for_pipes = None;
    }

    /// Remembers that connections are waiting.
    pub(crate) fn note_ready(&mut self, token: Token) {
        for listener in &mut self.open {
            listener.ready |= listener.token == token;
        }
    }

    /// Accepts what is waiting, within a budget for each listener, into `arrivals`; what went wrong
    /// is appended to `rests`, once for each rest that begins.
    pub(crate) fn accept(&mut self, now: Time, arrivals: &mut Vec<Arrival>, rests: &mut Vec<Rest>) {
        for listener in &mut self.open {
            if listener.rests_until.is_some_and(|until| now < until) {
                continue;
            }
            let rested = listener.rests_until.take().is_some();
            for _ in 0..ACCEPTS_PER_TURN {
                if !(listener.ready || rested) {
                    break;
                }
                match listener.socket.accept() {
                    Ok((stream, peer)) => {
                        let settings = Arc::clone(&listener.settings);
                        arrivals.push(Arrival {
                            stream: stream.into(),
                            peer: peer.to_string(),
                            settings,
                        });
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        listener.ready = false;
                        break;
                    }
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        listener.rests_until = Some(now + REST);
                        if !rested {
                            let name = listener.settings.name.clone();
                            rests.push(Rest {
                                listener: name,
                                text: error_text(&error),
                            });
                        }
                        break;
                    }
                }
            }
        }
    }

    /// When [`Listeners::accept`] has something to do, if not before.
    pub(crate) fn next_deadline(&self, now: Time) -> Option<Time> {
        let due = |listener: &Listener| {
            listener
                .rests_until
                .or_else(|| listener.ready.then_some(now))
        };
        self.open.iter().filter_map(due).min()
    }
}

/// Whether accepting failed for one connection alone: it went away before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::PermissionDenied
    )
}

/// Whether a socket listens just there.
fn serves(socket: &TcpListener, address: SocketAddr, every_interface: bool) -> bool {
    let is_v6_alone = || SockRef::from(socket).only_v6().ok();
    socket.local_addr().is_ok_and(|at| at == address)
        && (address.is_ipv4() || is_v6_alone() == Some(every_interface))
}

fn listening(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// What can be had of the addresses of one host: one is enough, and where the system chooses the
/// port, there is one.
///
/// # Errors
///
/// Why none can be had, in the words for the first.
fn bind_all<T>(
    wanted: &[SocketAddr],
    mut have: impl FnMut(SocketAddr) -> io::Result<T>,
) -> Result<Vec<T>, String> {
    let (mut had, mut failure) = (Vec::new(), None);
    for &address in wanted {
        match have(address) {
            Ok(one) => had.push(one),
            Err(error) => failure = failure.or(Some(error_text(&error))),
        }
        if address.port() == 0 && !had.is_empty() {
            break;
        }
    }
    match failure {
        Some(text) if had.is_empty() => Err(text),
        _ => Ok(had),
    }
}

fn bind(address: SocketAddr, every_interface: bool, is_shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // For all interfaces there is an IPv4 socket of its own; it fails only if there is no IPv4.
        socket.set_only_v6(every_interface)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::resolve::literal;
    use mio::Poll;
    use std::net;

    /// Settings with nothing remarkable.
    pub(crate) fn settings() -> Arc<ConnectionSettings> {
        Arc::new(ConnectionSettings {
            name: "test".to_owned(),
            ..ConnectionSettings::default()
        })
    }

    fn open(listeners: &mut Listeners, poll: &Poll, host: &str, port: &str) -> Result<u16, String> {
        let identity = Arc::from(format!("listener/{host}:{port}"));
        let wanted = literal(host, port).unwrap();
        let place = (&*wanted, host.is_empty());
        let bound = listeners.open(&identity, place, &settings(), poll.registry())?;
        Ok(bound[0].port())
    }

    #[test]
    fn connections_are_accepted_until_the_listener_is_closed() {
        let poll = Poll::new().unwrap();
        let mut listeners = Listeners::new(2);
        let port = open(&mut listeners, &poll, "127.0.0.1", "0").unwrap();
        let _peer = net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        listeners.note_ready(Token(2));
        let (mut rests, mut arrivals) = (Vec::new(), Vec::new());
        listeners.accept(Time::ZERO, &mut arrivals, &mut rests);
        assert_eq!((arrivals.len(), rests.len()), (1, 0));
        assert_eq!(listeners.next_deadline(Time::ZERO), None);
        listeners.close("listener/127.0.0.1:0");
        assert!(net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }

    #[test]
    fn an_empty_host_means_every_interface() {
        let poll = Poll::new().unwrap();
        let mut listeners = Listeners::new(2);
        let port = open(&mut listeners, &poll, "", "0").unwrap();
        assert!(
            listeners.open[0]
                .socket
                .local_addr()
                .unwrap()
                .ip()
                .is_unspecified()
        );
        assert!(port > 0);
    }

    #[test]
    fn what_cannot_be_bound_is_told_in_the_system_s_words() {
        let poll = Poll::new().unwrap();
        let mut listeners = Listeners::new(2);
        let port = open(&mut listeners, &poll, "127.0.0.1", "0")
            .unwrap()
            .to_string();
        let busy = open(&mut listeners, &poll, "127.0.0.1", &port).unwrap_err();
        assert_eq!(busy, "Address already in use");
    }
}
