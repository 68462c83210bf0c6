//! A socket that never blocks, and the wait until it is ready again.
//!
//! Owns reading into and writing from the engine's buffers for one thread of the load generator; it
//! knows no protocol. One selector a socket: a thread of the generator serves one connection, so a
//! wake-up never has to ask whom it is for.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::time::Duration;

use amqp_proto::{RecvBuf, SendQueue, Transform, TransformError};
use bytes::Bytes;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::blocking::Blocking;

/// Bytes read at once.
const READ_LENGTH: usize = 64 * 1024;
/// Pieces of output written at once.
const SLICES: usize = 64;

/// A TCP connection of the load generator.
pub(super) struct Socket {
    events: Events,
    poll: Poll,
    readable: bool,
    /// Output inside TLS that the stream has not taken.
    sealed: SendQueue,
    stream: TcpStream,
    transform: Box<dyn Transform>,
    window: Vec<u8>,
    writable: bool,
}

impl Socket {
    /// Takes over a connected socket, with what stands before it and what that has for it.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub(super) fn new(
        Blocking {
            sealed,
            stream,
            stage: transform,
        }: Blocking,
    ) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let mut stream = TcpStream::from_std(stream);
        let poll = Poll::new()?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(0), interest)?;
        let events = Events::with_capacity(4);
        let window = vec![0; READ_LENGTH];
        Ok(Self {
            events,
            poll,
            readable: true,
            sealed,
            stream,
            transform,
            window,
            writable: true,
        })
    }

    /// Reads once if there may be something; gives the number of bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` if the peer has hung up; the stream's errors.
    pub(super) fn read(&mut self, input: &mut RecvBuf) -> io::Result<usize> {
        if !self.readable {
            return Ok(0);
        }
        match self.stream.read(&mut self.window) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                let bytes = &mut self.window[..length];
                if self.transform.is_clear() {
                    input.push(Bytes::copy_from_slice(bytes));
                } else {
                    let opened = self.transform.open(bytes, input);
                    opened.map_err(as_io)?;
                }
                Ok(length)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(0)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Reads once even if no wait has said that something came: for a thread that sleeps by the
    /// clock and not by the selector.
    ///
    /// # Errors
    /// As [`Socket::read`].
    pub(super) fn read_unasked(&mut self, input: &mut RecvBuf) -> io::Result<usize> {
        self.readable = true;
        self.read(input)
    }

    /// Writes what the socket takes.
    ///
    /// # Errors
    /// The stream's errors.
    pub(super) fn write(&mut self, output: &mut SendQueue) -> io::Result<()> {
        if self.transform.is_clear() {
            return drain(&mut self.stream, &mut self.writable, output);
        }
        // What is large is sealed in rounds, and a stream that was never full has no news.
        while self.writable {
            if self.sealed.is_empty() {
                let sealed = self.transform.seal(output, &mut self.sealed);
                sealed.map_err(as_io)?;
            }
            if self.sealed.is_empty() {
                break;
            }
            drain(&mut self.stream, &mut self.writable, &mut self.sealed)?;
        }
        Ok(())
    }

    /// Whether the last read may have left something.
    #[must_use]
    pub(super) fn is_readable(&self) -> bool {
        self.readable
    }

    /// Waits until there is something to do, at most `time_out` (whole milliseconds).
    ///
    /// # Errors
    /// The selector's errors.
    pub(super) fn wait(&mut self, time_out: Duration) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(time_out)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        for event in &self.events {
            self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
            self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
        }
        Ok(())
    }
}

/// Writes what the stream takes.
fn drain(stream: &mut TcpStream, writable: &mut bool, output: &mut SendQueue) -> io::Result<()> {
    while *writable && !output.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let used = output.io_slices(&mut slices);
        match stream.write_vectored(&slices[..used]) {
            Ok(written) => output.consume(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => *writable = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn as_io(error: TransformError) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::net::TcpListener;

    use amqp_proto::Security;

    use super::*;

    /// A stage that passes one byte in a round.
    struct Dribble;

    impl Transform for Dribble {
        fn open(&mut self, _: &mut [u8], _: &mut RecvBuf) -> Result<(), TransformError> {
            let text = Cow::Borrowed("nothing comes");
            Err(TransformError { text })
        }

        fn seal(
            &mut self,
            plain: &mut SendQueue,
            wire: &mut SendQueue,
        ) -> Result<(), TransformError> {
            if let Some(byte) = plain.to_bytes().first() {
                wire.inline().extend_from_slice(&[*byte]);
                plain.consume(1);
            }
            Ok(())
        }

        fn security(&self) -> Option<&Security> {
            None
        }

        fn is_clear(&self) -> bool {
            false
        }
    }

    #[test]
    fn what_is_sealed_in_rounds_is_written_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stream = std::net::TcpStream::connect(address).unwrap();
        let mut socket = Socket::new(Blocking::new(stream, Box::new(Dribble))).unwrap();
        let mut output = SendQueue::new();
        output.inline().extend_from_slice(b"whole");
        socket.write(&mut output).unwrap();
        assert!(output.is_empty());
        let mut heard = [0; 5];
        listener.accept().unwrap().0.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"whole");
    }
}
