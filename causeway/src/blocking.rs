//! A socket that blocks, with what stands between it and a protocol engine: TLS or nothing.
//!
//! Owns the socket, the stage and what is ready to be written; the engine and its buffers, the
//! clock and the words are its users'. Decision: output is written whole, so that what belongs
//! together leaves together, and a wait is always the caller's, who knows what it is for.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use amqp_proto::{RecvBuf, SendQueue, Transform, TransformError};

/// Bytes read at once.
const READ_LENGTH: usize = 16 * 1024;

/// Pieces of output written at once.
const SLICES: usize = 32;

/// The shortest wait: sockets take none for a wait without end.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Why a socket is of no use any more.
#[derive(Debug)]
pub enum Loss {
    /// The system says so.
    Socket(io::Error),
    /// The peer has hung up.
    HungUp,
    /// The stage cannot go on; what it has to tell the peer is written.
    Stage(TransformError),
}

/// A socket that blocks and its stage.
pub struct Blocking {
    /// Output that is ready for the socket.
    pub sealed: SendQueue,
    /// The socket.
    pub stream: TcpStream,
    /// What stands between engine and socket.
    pub stage: Box<dyn Transform>,
}

impl Blocking {
    /// A socket that is connected.
    pub fn new(stream: TcpStream, stage: Box<dyn Transform>) -> Self {
        Self {
            sealed: SendQueue::new(),
            stream,
            stage,
        }
    }

    /// Connects to the first of the addresses that answers. Each may take `patience` to answer, and
    /// as long to take what is written.
    ///
    /// # Errors
    /// Why the last of them did not; [`ErrorKind::AddrNotAvailable`] if there is none.
    pub fn connect(
        addresses: &[SocketAddr],
        patience: Duration,
        stage: Box<dyn Transform>,
    ) -> io::Result<Self> {
        let mut failed = io::Error::new(ErrorKind::AddrNotAvailable, "it has no address");
        for address in addresses {
            match TcpStream::connect_timeout(address, patience) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_write_timeout(Some(patience))?;
                    return Ok(Self::new(stream, stage));
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Writes all output, except what has to wait for the end of a handshake.
    ///
    /// # Errors
    /// The socket or its stage is of no use any more.
    pub fn flush(&mut self, output: &mut SendQueue) -> Result<(), Loss> {
        loop {
            let waiting = output.len();
            let sealed = self.stage.seal(output, &mut self.sealed);
            self.write()?;
            sealed.map_err(Loss::Stage)?;
            // What is large is sealed in rounds.
            if output.is_empty() || output.len() == waiting {
                return Ok(());
            }
        }
    }

    fn write(&mut self) -> Result<(), Loss> {
        while !self.sealed.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let used = self.sealed.io_slices(&mut slices);
            match self.stream.write_vectored(&slices[..used]) {
                Ok(0) => return Err(nothing_written()),
                Ok(written) => self.sealed.consume(written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Loss::Socket(error)),
            }
        }
        Ok(())
    }

    /// Reads once and returns whether there was anything to end the wait: bytes or a signal.
    /// `output` is written if the stage fails, for the peer may hear why.
    ///
    /// # Errors
    /// The socket or its stage is of no use any more.
    pub fn read(
        &mut self,
        wait: Duration,
        input: &mut RecvBuf,
        output: &mut SendQueue,
    ) -> Result<bool, Loss> {
        let mut window = [0; READ_LENGTH];
        let patience = Some(wait.max(WAIT_MIN));
        let read = self
            .stream
            .set_read_timeout(patience)
            .and_then(|()| self.stream.read(&mut window));
        match read {
            Ok(0) => Err(Loss::HungUp),
            Ok(length) => {
                if let Err(error) = self.stage.open(&mut window[..length], input) {
                    // Whether the peer hears why changes nothing.
                    drop(self.flush(output));
                    return Err(Loss::Stage(error));
                }
                Ok(true)
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => Ok(true),
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(false),
                _ => Err(Loss::Socket(error)),
            },
        }
    }

    /// Takes leave of the peer, after what is left of the output.
    pub fn finish(&mut self, output: &mut SendQueue) {
        self.stage.finish();
        // The connection is over; whether the peer hears it changes nothing.
        drop(self.flush(output));
    }
}

fn nothing_written() -> Loss {
    Loss::Socket(io::Error::new(
        ErrorKind::WriteZero,
        "nothing can be written",
    ))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use amqp_proto::Clear;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);

    #[test]
    fn the_next_address_is_tried_and_a_silent_wait_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [closed.local_addr().unwrap(), listener.local_addr().unwrap()];
        drop(closed);
        let patience = Duration::from_secs(10);
        let mut socket = Blocking::connect(&addresses, patience, Box::new(Clear)).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let (mut input, mut output) = (RecvBuf::new(), SendQueue::new());
        assert!(!socket.read(MOMENT, &mut input, &mut output).unwrap());
        peer.write_all(b"word").unwrap();
        assert!(socket.read(patience, &mut input, &mut output).unwrap());
        assert_eq!(input.len(), 4);
        drop(peer);
        let ended = socket.read(patience, &mut input, &mut output);
        assert!(matches!(ended, Err(Loss::HungUp)), "{ended:?}");
    }

    #[test]
    fn no_address_is_said_so() {
        let connected = Blocking::connect(&[], MOMENT, Box::new(Clear));
        let text = connected.map(|_| ()).unwrap_err().to_string();
        assert_eq!(text, "it has no address");
    }
}
