//! The thread through which all links of a cluster pass.
//!
//! A router dials a port of the relay instead of its neighbour, or makes a pipe to it, so that a
//! link can be cut without either router's doing. One thread serves all links: the relay is a stage
//! prop and must not compete with the routers for cores.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{self, Ipv4Addr};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use amqp_proto::Time;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::link::LinkState;
use super::tunnel::{Tunnel, Turn, buffer};
use super::wires::{Entry, Wires};
use crate::clock::Clock;
use crate::pipe::{Delivered, Door};
use crate::socket::Socket;
use crate::stream::Stream;

const WAKER: Token = Token(0);

/// Events taken from the operating system at once.
const EVENTS: usize = 256;

/// How long a router of this machine may take to be connected to.
const DIAL: Duration = Duration::from_millis(250);

/// The handle on the relay; dropped, it ends all links.
#[derive(Debug)]
pub(super) struct Relay {
    commands: Option<Sender<Command>>,
    waker: Arc<Waker>,
    door: Door,
    links: usize,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Command {
    /// There is a new link; what this listener accepts is for it.
    Open(Option<TcpListener>, Sender<io::Result<()>>),
    /// From now on a link leads there, or nowhere.
    Lead(usize, Option<Entry>, Sender<io::Result<()>>),
    /// From now on a link is like that.
    Set(usize, LinkState, Sender<io::Result<()>>),
    /// One connection of a link ends, counted from the oldest.
    Break(usize, usize, Sender<io::Result<()>>),
}

impl Relay {
    /// # Errors
    ///
    /// No thread, or no poll.
    pub(super) fn start() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let (commands, orders) = mpsc::channel();
        let door = Door::new(Arc::clone(&waker));
        let stage = Stage {
            poll,
            door: door.clone(),
            clock: Clock::start(),
            next_token: WAKER.0 + 1,
            links: Vec::new(),
            listeners: BTreeMap::new(),
            tunnels: BTreeMap::new(),
            busy: BTreeSet::new(),
            late: BTreeMap::new(),
            buffer: buffer(),
        };
        let thread = thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || stage.run(&orders))?;
        Ok(Self {
            commands: Some(commands),
            waker,
            door,
            links: 0,
            thread: Some(thread),
        })
    }

    /// A new link that leads nowhere yet: its number and where to connect to.
    ///
    /// # Errors
    ///
    /// No socket.
    pub(super) fn open(&mut self, wires: Wires) -> io::Result<(usize, Entry)> {
        let link = self.links;
        let (listener, entry) = match wires {
            Wires::Sockets => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
                let address = listener.local_addr()?;
                (Some(listener), Entry::Port(address))
            }
            Wires::Pipes => (None, Entry::Door(self.door.marked(link))),
        };
        self.ask(|answer| Command::Open(listener, answer))?;
        self.links += 1;
        Ok((link, entry))
    }

    /// Leads a link to its far end, or nowhere.
    ///
    /// # Errors
    ///
    /// The thread has gone.
    pub(super) fn lead(&self, link: usize, to: Option<Entry>) -> io::Result<()> {
        self.ask(|answer| Command::Lead(link, to, answer))
    }

    /// Makes a link so; when this returns, it is.
    ///
    /// # Errors
    ///
    /// The thread has gone.
    pub(super) fn set(&self, link: usize, state: LinkState) -> io::Result<()> {
        self.ask(|answer| Command::Set(link, state, answer))
    }

    /// Ends one connection of a link, counted from the oldest; the link stays as it is.
    ///
    /// # Errors
    ///
    /// There are not so many, or the thread has gone.
    pub(super) fn break_one(&self, link: usize, place: usize) -> io::Result<()> {
        self.ask(|answer| Command::Break(link, place, answer))
    }

    fn ask(&self, command: impl FnOnce(Sender<io::Result<()>>) -> Command) -> io::Result<()> {
        let gone = || io::Error::other("the relay between the routers has gone");
        let (answer, answered) = mpsc::channel();
        let commands = self.commands.as_ref().ok_or_else(gone)?;
        commands.send(command(answer)).map_err(|_| gone())?;
        self.waker.wake()?;
        answered.recv().map_err(|_| gone())?
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.commands = None;
        self.door.close();
        // The thread is there as long as its poll, so the wake-up cannot miss it.
        if self.waker.wake().is_ok()
            && let Some(thread) = self.thread.take()
        {
            thread.join().unwrap_or_default();
        }
    }
}

#[derive(Debug, Default)]
struct Link {
    state: LinkState,
    target: Option<Entry>,
}

/// What the thread has.
struct Stage {
    poll: Poll,
    /// Pipes come through it, marked with their link.
    door: Door,
    clock: Clock,
    next_token: usize,
    links: Vec<Link>,
    /// By token; the link.
    listeners: BTreeMap<usize, (usize, TcpListener)>,
    /// By the token of the side that was accepted; the other side has the next one.
    tunnels: BTreeMap<usize, Tunnel>,
    /// Tunnels that have something to do.
    busy: BTreeSet<usize>,
    /// Tunnels that have something to do then.
    late: BTreeMap<usize, Time>,
    buffer: Vec<u8>,
}

impl Stage {
    fn run(mut self, orders: &Receiver<Command>) {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let now = self.clock.now();
            let wait = if self.busy.is_empty() {
                self.late.values().min().map(|due| due.saturating_sub(now))
            } else {
                Some(Duration::ZERO)
            };
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
                _ => {}
            }
            loop {
                match orders.try_recv() {
                    Ok(command) => self.obey(command),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
            for event in &events {
                self.note(event);
            }
            while let Some(Delivered { stream, mark, from }) = self.door.take() {
                self.join(mark, stream, &from);
            }
            self.turn();
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Open(listener, answer) => {
                let result = listener.map_or(Ok(()), |listener| self.listen(listener));
                if result.is_ok() {
                    self.links.push(Link::default());
                }
                answer.send(result).unwrap_or_default();
            }
            Command::Lead(link, to, answer) => {
                self.links[link].target = to;
                answer.send(Ok(())).unwrap_or_default();
            }
            Command::Set(link, state, answer) => {
                self.links[link].state = state;
                self.tunnels.retain(|_, tunnel| match state {
                    _ if tunnel.link != link => true,
                    LinkState::Cut => false,
                    LinkState::Frozen => {
                        tunnel.spoil();
                        true
                    }
                    LinkState::Up | LinkState::Delayed(_) => !tunnel.is_spoilt(),
                });
                self.busy.extend(self.tunnels.keys());
                answer.send(Ok(())).unwrap_or_default();
            }
            Command::Break(link, place, answer) => {
                let mut tunnels = self.tunnels.iter();
                let of_link = tunnels.by_ref().filter(|(_, tunnel)| tunnel.link == link);
                let token = of_link.map(|(token, _)| *token).nth(place);
                let found = token.and_then(|token| self.tunnels.remove(&token));
                let none = || io::Error::other("the link has no such connection");
                let result = found.map(drop).ok_or_else(none);
                answer.send(result).unwrap_or_default();
            }
        }
    }

    /// Accepts connections of the link that is next.
    fn listen(&mut self, mut listener: TcpListener) -> io::Result<()> {
        let token = self.next_token;
        self.next_token += 1;
        let registry = self.poll.registry();
        registry.register(&mut listener, Token(token), Interest::READABLE)?;
        self.listeners.insert(token, (self.links.len(), listener));
        Ok(())
    }

    fn note(&mut self, event: &mio::event::Event) {
        let token = event.token().0;
        if let Some((link, _)) = self.listeners.get(&token) {
            let link = *link;
            self.accept(token, link);
            return;
        }
        for (first, side) in [(token, 0), (token.wrapping_sub(1), 1)] {
            if let Some(tunnel) = self.tunnels.get_mut(&first) {
                tunnel.note_ready(side, event);
                self.busy.insert(first);
            }
        }
    }

    fn accept(&mut self, token: usize, link: usize) {
        while let Some((_, listener)) = self.listeners.get(&token)
            && let Ok((accepted, from)) = listener.accept()
        {
            self.join(link, accepted.into(), &from.to_string());
        }
    }

    /// Makes a tunnel of what has come for a link, unless that is cut or leads nowhere.
    fn join(&mut self, link: usize, accepted: Stream, from: &str) {
        let first = self.next_token;
        // One that cannot be made ends, and the router will dial again.
        if let Ok(Some(tunnel)) = self.tunnel(link, accepted, from, first) {
            self.next_token += 2;
            self.tunnels.insert(first, tunnel);
            self.busy.insert(first);
        }
    }

    fn tunnel(
        &self,
        link: usize,
        accepted: Stream,
        from: &str,
        first: usize,
    ) -> io::Result<Option<Tunnel>> {
        let Link { state, target } = &self.links[link];
        let Some(target) = target.as_ref().filter(|_| *state != LinkState::Cut) else {
            return Ok(None);
        };
        let registry = self.poll.registry();
        let accepted = Socket::register(accepted, registry, Token(first))?;
        let dialled = match target {
            Entry::Port(address) => {
                let dialled = net::TcpStream::connect_timeout(address, DIAL)?;
                dialled.set_nonblocking(true)?;
                TcpStream::from_std(dialled).into()
            }
            Entry::Door(door) => door.connect(from)?,
        };
        let dialled = Socket::register(dialled, registry, Token(first + 1))?;
        Ok(Some(Tunnel::new(link, accepted, dialled)))
    }

    fn turn(&mut self) {
        let now = self.clock.now();
        let due = self.late.iter().filter(|(_, due)| **due <= now);
        self.busy.extend(due.map(|(token, _)| *token));
        for token in std::mem::take(&mut self.busy) {
            self.late.remove(&token);
            let Some(tunnel) = self.tunnels.get_mut(&token) else {
                continue;
            };
            let state = self.links[tunnel.link].state;
            match tunnel.turn(state, &mut self.buffer, now) {
                Turn::Idle => {}
                Turn::More => drop(self.busy.insert(token)),
                Turn::Until(due) => drop(self.late.insert(token, due)),
                Turn::Over => drop(self.tunnels.remove(&token)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    /// What a router has of a connection.
    trait End: Read + Write + Send {
        fn wait_at_most(&self, time: Option<Duration>);
    }

    impl End for net::TcpStream {
        fn wait_at_most(&self, time: Option<Duration>) {
            self.set_read_timeout(time).unwrap();
        }
    }

    impl End for UnixStream {
        fn wait_at_most(&self, time: Option<Duration>) {
            self.set_read_timeout(time).unwrap();
        }
    }

    type Ends = [Box<dyn End>; 2];

    /// What takes connections at the far end.
    enum Far {
        Listener(net::TcpListener),
        Door(Door, Poll),
    }

    impl Far {
        fn new(wires: Wires) -> Self {
            match wires {
                Wires::Sockets => {
                    Self::Listener(net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
                }
                Wires::Pipes => {
                    let poll = Poll::new().unwrap();
                    let waker = Waker::new(poll.registry(), WAKER).unwrap();
                    Self::Door(Door::new(Arc::new(waker)), poll)
                }
            }
        }

        fn entry(&self) -> Entry {
            match self {
                Self::Listener(listener) => Entry::Port(listener.local_addr().unwrap()),
                Self::Door(door, _) => Entry::Door(door.clone()),
            }
        }

        fn accept(&mut self) -> Box<dyn End> {
            match self {
                Self::Listener(listener) => Box::new(listener.accept().unwrap().0),
                Self::Door(door, poll) => loop {
                    if let Some(delivered) = door.take() {
                        assert_eq!(delivered.from, "A:pipe");
                        return blocking(delivered.stream);
                    }
                    poll.poll(&mut Events::with_capacity(1), None).unwrap();
                },
            }
        }
    }

    /// A relay with one link, and what is at both ends of that.
    struct Scene {
        relay: Relay,
        at: Entry,
        far: Far,
    }

    impl Scene {
        fn new(wires: Wires) -> Self {
            let far = Far::new(wires);
            let mut relay = Relay::start().unwrap();
            let (link, at) = relay.open(wires).unwrap();
            assert_eq!(link, 0);
            relay.lead(link, Some(far.entry())).unwrap();
            Self { relay, at, far }
        }

        fn connect(&self) -> io::Result<Box<dyn End>> {
            connect(&self.at)
        }

        fn pair(&mut self) -> Ends {
            let one = self.connect().unwrap();
            [one, self.far.accept()]
        }
    }

    fn connect(at: &Entry) -> io::Result<Box<dyn End>> {
        Ok(match at {
            Entry::Port(address) => Box::new(net::TcpStream::connect(address)?),
            Entry::Door(door) => blocking(door.connect("A:pipe")?),
        })
    }

    fn blocking(stream: Stream) -> Box<dyn End> {
        let Stream::Pipe(stream) = stream else {
            panic!("not a pipe")
        };
        let stream = UnixStream::from(stream);
        stream.set_nonblocking(false).unwrap();
        Box::new(stream)
    }

    fn passes(ends: &mut Ends) {
        for from in 0..2 {
            ends[from].write_all(b"hello").unwrap();
            let mut read = [0; 5];
            ends[1 - from].read_exact(&mut read).unwrap();
            assert_eq!(&read, b"hello");
        }
    }

    /// Whether nothing comes any more, neatly or not.
    fn has_ended(end: &mut Box<dyn End>) -> bool {
        matches!(end.read(&mut [0]), Ok(0) | Err(_))
    }

    const BOTH: [Wires; 2] = [Wires::Sockets, Wires::Pipes];

    #[test]
    fn what_is_more_than_sockets_hold_passes_whole() {
        for wires in BOTH {
            let mut scene = Scene::new(wires);
            let [mut one, mut other] = scene.pair();
            let sent: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
            let expected = sent.clone();
            let sender = thread::Builder::new();
            let sender = sender.spawn(move || one.write_all(&sent).unwrap()).unwrap();
            let mut read = Vec::new();
            other.read_to_end(&mut read).unwrap();
            sender.join().unwrap();
            assert!(read == expected, "{} bytes came", read.len());
        }
    }

    #[test]
    fn a_cut_link_ends_its_connections_until_it_is_healed() {
        for wires in BOTH {
            let mut scene = Scene::new(wires);
            let mut ends = scene.pair();
            passes(&mut ends);
            scene.relay.set(0, LinkState::Cut).unwrap();
            assert!(ends.iter_mut().all(has_ended));
            assert!(has_ended(&mut scene.connect().unwrap()));
            scene.relay.set(0, LinkState::Up).unwrap();
            passes(&mut scene.pair());
        }
    }

    #[test]
    fn one_connection_of_a_link_ends_and_the_others_stay() {
        for wires in BOTH {
            let mut scene = Scene::new(wires);
            let mut ends = [scene.pair(), scene.pair()];
            ends.iter_mut().for_each(passes);
            scene.relay.break_one(0, 0).unwrap();
            assert!(ends[0].iter_mut().all(has_ended));
            passes(&mut ends[1]);
            assert!(scene.relay.break_one(0, 1).is_err());
            passes(&mut scene.pair());
        }
    }

    #[test]
    fn a_frozen_link_swallows_and_is_made_anew_when_it_is_healed() {
        for wires in BOTH {
            let mut scene = Scene::new(wires);
            let mut ends = scene.pair();
            passes(&mut ends);
            scene.relay.set(0, LinkState::Frozen).unwrap();
            ends[0].write_all(b"lost").unwrap();
            ends[1].wait_at_most(Some(Duration::from_millis(50)));
            let nothing = ends[1].read(&mut [0]).unwrap_err();
            assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
            scene.relay.set(0, LinkState::Up).unwrap();
            ends[1].wait_at_most(None);
            assert!(ends.iter_mut().all(has_ended));
            passes(&mut scene.pair());
        }
    }

    #[test]
    fn a_late_link_keeps_bytes_for_its_delay() {
        for wires in BOTH {
            let mut scene = Scene::new(wires);
            let mut ends = scene.pair();
            let delay = Duration::from_millis(30);
            scene.relay.set(0, LinkState::Delayed(delay)).unwrap();
            let clock = Clock::start();
            passes(&mut ends);
            assert!(clock.now() >= Time::ZERO + delay * 2);
        }
    }

    #[test]
    fn one_end_s_end_is_the_other_s() {
        for wires in BOTH {
            let mut scene = Scene::new(wires);
            let [one, mut other] = scene.pair();
            drop(one);
            assert!(has_ended(&mut other));
            scene.relay.lead(0, None).unwrap();
            assert!(has_ended(&mut scene.connect().unwrap()));
            let Scene { relay, at, .. } = scene;
            drop(relay);
            assert!(connect(&at).is_err());
        }
    }
}
