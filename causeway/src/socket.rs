//! A socket as the worker sees it: what it is ready for, and reads and writes that never block.
//!
//! The operating system tells of readiness once, when it begins; so it is remembered here until a
//! read or write finds that it has ended.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::Shutdown;

use mio::event::Event;
use mio::{Interest, Registry, Token};

use crate::stream::Stream;

/// A connected, non-blocking socket.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Stream,
    readable: bool,
    writable: bool,
    /// The peer has ended its side, or the socket has failed: only a read tells which.
    hung_up: bool,
}

/// What became of a read or a write.
#[derive(Debug)]
pub(crate) enum Moved {
    /// So many bytes were moved; more than none.
    Bytes(usize),
    /// Nothing can be moved before the operating system says so.
    Wait,
    /// The peer has ended its side.
    End,
    /// The connection is lost.
    Failed(io::Error),
}

impl Socket {
    /// Watches a socket with the poll that `registry` belongs to. What is written leaves at once: a
    /// worker writes once a turn, so small pieces are already together, and a flow that waited for
    /// an acknowledgement would stop a sender for the 40 ms that a peer delays it.
    pub(crate) fn register(
        mut stream: Stream,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        stream.set_nodelay()?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            readable: false,
            writable: true,
            hung_up: false,
        })
    }

    /// Watches it under another token, and for what the peer does alone.
    pub(crate) fn watch_as(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.reregister(&mut self.stream, token, Interest::READABLE)
    }

    /// Watches it no longer: another thread goes on with it.
    pub(crate) fn release(mut self, registry: &Registry) -> io::Result<Stream> {
        registry.deregister(&mut self.stream)?;
        Ok(self.stream)
    }

    /// Remembers what an event tells.
    pub(crate) fn note_ready(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
        self.hung_up |= event.is_read_closed() || event.is_error();
    }

    /// Whether a read may give something.
    pub(crate) fn is_readable(&self) -> bool {
        self.readable
    }

    /// Whether a write may take something.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Reads what is there, up to the length of `into`, which must not be empty.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Moved {
        loop {
            match self.stream.read(into) {
                Ok(0) => return Moved::End,
                Ok(count) => {
                    // A short read has emptied the socket: whatever comes later is a new event.
                    self.readable = count == into.len() || self.hung_up;
                    return Moved::Bytes(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Moved::Wait;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Moved::Failed(error),
            }
        }
    }

    /// Writes from the slices, in order; they must not all be empty.
    pub(crate) fn write(&mut self, slices: &[IoSlice<'_>]) -> Moved {
        loop {
            match self.stream.write_vectored(slices) {
                Ok(0) => return Moved::Failed(io::ErrorKind::WriteZero.into()),
                Ok(count) => return Moved::Bytes(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.writable = false;
                    return Moved::Wait;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Moved::Failed(error),
            }
        }
    }

    /// Ends our side and throws away what the peer has sent, so that the system does not answer
    /// unread bytes with a reset that could overtake our last words. True if there is nothing left
    /// to wait for: the peer has ended its side, too.
    pub(crate) fn end(&mut self, scratch: &mut [u8]) -> bool {
        if self.stream.shutdown(Shutdown::Write).is_err() {
            return true;
        }
        self.discard(scratch)
    }

    /// Throws away what the peer has sent; true if it has ended its side.
    pub(crate) fn discard(&mut self, scratch: &mut [u8]) -> bool {
        for _ in 0..DISCARDS_PER_TURN {
            match self.read(scratch) {
                Moved::Bytes(_) => {}
                Moved::Wait => return false,
                Moved::End | Moved::Failed(_) => return true,
            }
        }
        false
    }
}

/// Reads that throw away, for one socket in one round.
const DISCARDS_PER_TURN: usize = 4;

/// What the operating system says of an error, without its number.
pub(crate) fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::net::TcpStream;
    use mio::{Events, Poll};
    use std::net;
    use std::time::Duration;

    /// A watched socket and the peer's end of it.
    fn pair(poll: &Poll) -> (Socket, net::TcpStream) {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let stream = TcpStream::from_std(stream).into();
        let socket = Socket::register(stream, poll.registry(), Token(7));
        (socket.unwrap(), peer)
    }

    fn wait_readable(poll: &mut Poll, socket: &mut Socket) {
        let mut events = Events::with_capacity(4);
        while !socket.is_readable() {
            poll.poll(&mut events, Some(Duration::from_secs(5)))
                .unwrap();
            events.iter().for_each(|event| socket.note_ready(event));
        }
    }

    #[test]
    fn what_is_written_does_not_wait_for_an_acknowledgement() {
        let poll = Poll::new().unwrap();
        let (socket, _peer) = pair(&poll);
        assert!(matches!(socket.stream, Stream::Tcp(tcp) if tcp.nodelay().unwrap()));
    }

    #[test]
    fn a_short_read_ends_readiness_and_the_end_is_seen() {
        let mut poll = Poll::new().unwrap();
        let (mut socket, mut peer) = pair(&poll);
        let mut buffer = [0; 16];
        assert!(matches!(socket.read(&mut buffer), Moved::Wait));
        peer.write_all(b"hello").unwrap();
        wait_readable(&mut poll, &mut socket);
        assert!(matches!(socket.read(&mut buffer), Moved::Bytes(5)));
        assert!(!socket.is_readable());
        peer.write_all(b"bye").unwrap();
        drop(peer);
        let mut read = 0;
        loop {
            wait_readable(&mut poll, &mut socket);
            match socket.read(&mut buffer) {
                Moved::Bytes(count) => read += count,
                Moved::End => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(read, 3);
    }

    #[test]
    fn a_full_socket_waits_and_is_remembered() {
        let poll = Poll::new().unwrap();
        let (mut socket, peer) = pair(&poll);
        let bytes = vec![0; 65_536];
        let slices = [IoSlice::new(&bytes), IoSlice::new(&bytes)];
        while let Moved::Bytes(_) = socket.write(&slices) {}
        assert!(!socket.is_writable());
        drop(peer);
    }

    #[test]
    fn the_last_words_arrive_although_the_peer_went_on_sending() {
        let poll = Poll::new().unwrap();
        let (mut socket, mut peer) = pair(&poll);
        peer.write_all(&[1; 1000]).unwrap();
        assert!(matches!(
            socket.write(&[IoSlice::new(b"last words")]),
            Moved::Bytes(10)
        ));
        let mut scratch = [0; 4096];
        assert!(!socket.end(&mut scratch));
        let mut heard = Vec::new();
        peer.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"last words");
        drop(peer);
        while !socket.discard(&mut scratch) {}
    }
}
