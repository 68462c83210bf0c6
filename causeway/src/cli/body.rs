//! Where the bodies of `causeway send` come from: arguments, a file, standard input, whole or by
//! lines.
//!
//! Owns the order and the text of bodies; it builds no messages. Standard input by lines is read
//! on a thread of its own, because the connection has to be served (heartbeats, outcomes) while a
//! person thinks about the next line.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use bytes::Bytes;

use crate::cli::failure::Failure;

/// The largest file that is sent as one message: what a session of a typical peer takes whole.
const FILE_LENGTH_MAX: u64 = 1 << 30;
/// The longest line.
const LINE_LENGTH_MAX: u64 = 64 << 20;
/// Lines read ahead of the connection.
const LINES_AHEAD: usize = 256;

/// The source of the bodies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// These, in order.
    Given(Vec<Bytes>),
    /// A file as one body.
    Whole(PathBuf),
    /// A file, one body a line, without the line ends.
    Lines(PathBuf),
}

/// The bodies, one after the other.
#[derive(Debug)]
pub struct Bodies {
    given: Vec<Bytes>,
    next: u64,
    end: u64,
    lines: Option<Receiver<io::Result<Bytes>>>,
}

/// The next body, or why there is none.
#[derive(Debug, Eq, PartialEq)]
pub enum Next {
    /// A body.
    Body(Bytes),
    /// None yet; ask again.
    Pending,
    /// No more.
    End,
}

impl Bodies {
    /// Opens the source. The bodies that are known at once are given `count` times.
    ///
    /// # Errors
    /// If the file cannot be read, or is too long for one message.
    pub fn open(source: Source, count: u64) -> Result<Self, Failure> {
        let given = match source {
            Source::Given(bodies) => bodies,
            Source::Whole(path) => vec![read_whole(&path)?],
            Source::Lines(path) => {
                let lines = Some(read_lines(open(&path)?));
                return Ok(Self {
                    given: Vec::new(),
                    next: 0,
                    end: 0,
                    lines,
                });
            }
        };
        let end = count.saturating_mul(given.len() as u64);
        Ok(Self {
            given,
            next: 0,
            end,
            lines: None,
        })
    }

    /// The next body.
    ///
    /// # Errors
    /// If reading fails on the way.
    pub fn poll(&mut self) -> Result<Next, Failure> {
        if let Some(lines) = &self.lines {
            return match lines.try_recv() {
                Ok(Ok(line)) => Ok(Next::Body(line)),
                Ok(Err(error)) => Err(Failure::new(format!("cannot read the next line: {error}"))),
                Err(TryRecvError::Empty) => Ok(Next::Pending),
                Err(TryRecvError::Disconnected) => Ok(Next::End),
            };
        }
        if self.next == self.end {
            return Ok(Next::End);
        }
        let index = usize::try_from(self.next % self.given.len() as u64).unwrap_or(0);
        self.next += 1;
        Ok(Next::Body(self.given[index].clone()))
    }
}

/// A file, or standard input for `-`.
fn open(path: &PathBuf) -> Result<Box<dyn Read + Send>, Failure> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin()));
    }
    match File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(Failure::new(format!(
            "cannot open {}: {error}",
            path.display()
        ))),
    }
}

/// The whole file.
fn read_whole(path: &PathBuf) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    let read = open(path)?
        .take(FILE_LENGTH_MAX + 1)
        .read_to_end(&mut bytes);
    match read {
        Ok(length) if length as u64 > FILE_LENGTH_MAX => {
            let limit = FILE_LENGTH_MAX >> 30;
            Err(
                Failure::new(format!("{} is longer than {limit} GiB", path.display()))
                    .hint("--lines sends one message a line"),
            )
        }
        Ok(_) => Ok(bytes.into()),
        Err(error) => Err(Failure::new(format!(
            "cannot read {}: {error}",
            path.display()
        ))),
    }
}

/// Starts the thread that reads lines.
#[expect(
    clippy::disallowed_methods,
    reason = "waits for a person while the connection is served"
)]
fn read_lines(source: Box<dyn Read + Send>) -> Receiver<io::Result<Bytes>> {
    let (lines, receiver) = sync_channel(LINES_AHEAD);
    std::thread::spawn(move || {
        let mut source = BufReader::new(source);
        while let Some(line) = read_line(&mut source).transpose() {
            let last = line.is_err();
            if lines.send(line).is_err() || last {
                return;
            }
        }
    });
    receiver
}

/// One line without its end; `None` at the end of the file.
fn read_line(source: &mut BufReader<Box<dyn Read + Send>>) -> io::Result<Option<Bytes>> {
    let mut line = Vec::new();
    let read = source
        .by_ref()
        .take(LINE_LENGTH_MAX + 1)
        .read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if line.len() as u64 > LINE_LENGTH_MAX {
        return Err(io::Error::other(format!(
            "it is longer than {} MiB",
            LINE_LENGTH_MAX >> 20
        )));
    }
    Ok(Some(line.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(text: &'static [u8]) -> BufReader<Box<dyn Read + Send>> {
        BufReader::new(Box::new(text))
    }

    fn collect(bodies: &mut Bodies) -> Vec<Bytes> {
        let mut collected = Vec::new();
        loop {
            match bodies.poll().unwrap() {
                Next::Body(body) => collected.push(body),
                Next::Pending => std::thread::yield_now(),
                Next::End => return collected,
            }
        }
    }

    #[test]
    fn arguments_are_sent_in_order_and_again() {
        let given = Source::Given(vec!["a".into(), "b".into()]);
        assert_eq!(
            collect(&mut Bodies::open(given, 2).unwrap()),
            ["a", "b", "a", "b"]
        );
        assert_eq!(
            collect(&mut Bodies::open(Source::Given(vec![]), 5).unwrap()).len(),
            0
        );
    }

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        let mut source = reader(b"one\r\n\n two \nlast");
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut source).unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, ["one", "", " two ", "last"]);
    }

    #[test]
    fn a_file_is_one_body_or_many() {
        let manifest = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let text = std::fs::read_to_string(&manifest).unwrap();
        let whole = collect(&mut Bodies::open(Source::Whole(manifest.clone()), 1).unwrap());
        assert_eq!(whole, [text.as_bytes()]);
        let lines = collect(&mut Bodies::open(Source::Lines(manifest), 1).unwrap());
        assert_eq!(lines, text.lines().collect::<Vec<_>>());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let failure = Bodies::open(Source::Whole("no/such/file".into()), 1).unwrap_err();
        assert!(failure.to_string().contains("no/such/file"));
    }
}
