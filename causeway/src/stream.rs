//! What the bytes of a connection pass through: a TCP socket, or one end of a pipe within this
//! process. Either never blocks, and the operating system tells when it is ready.
//!
//! Decision: a pipe is a pair of Unix stream sockets. It has no port, no address and no place in
//! the file system, and the network's stack is not in its way; yet a worker waits for it as for
//! any socket. A ring in memory would want a second kind of readiness in every worker, for a
//! connection that only programs with several routers have.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

/// A connected, non-blocking stream of bytes.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Through the network, or as if.
    Tcp(TcpStream),
    /// Within the process.
    Pipe(UnixStream),
}

macro_rules! either {
    ($self:expr, $stream:ident => $done:expr) => {
        match $self {
            Self::Tcp($stream) => $done,
            Self::Pipe($stream) => $done,
        }
    };
}

impl Stream {
    /// Both ends of a pipe.
    ///
    /// # Errors
    ///
    /// No more files can be opened.
    pub(crate) fn pipe() -> io::Result<(Self, Self)> {
        let (one, other) = UnixStream::pair()?;
        Ok((Self::Pipe(one), Self::Pipe(other)))
    }

    /// What is written leaves at once.
    pub(crate) fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(true),
            Self::Pipe(_) => Ok(()),
        }
    }

    /// Ends one direction, or both.
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        either!(self, stream => stream.shutdown(how))
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        either!(self, stream => stream.read(into))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, stream => stream.write(bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        either!(self, stream => stream.write_vectored(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        either!(self, stream => stream.flush())
    }
}

impl Source for Stream {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        either!(self, stream => stream.register(registry, token, interests))
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        either!(self, stream => stream.reregister(registry, token, interests))
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        either!(self, stream => stream.deregister(registry))
    }
}
