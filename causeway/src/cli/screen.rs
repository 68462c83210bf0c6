//! The terminal: results on standard output, everything else on standard error.
//!
//! Owns the two streams for the client verbs; it formats nothing. Standard output is flushed after
//! each piece so that a pipeline sees a message when it comes, not when a buffer is full.

use std::io::{self, IsTerminal as _, Write as _};

/// Writes a piece of the result to standard output, followed by a line end.
///
/// # Errors
/// The stream's error; `BrokenPipe` if the reader has gone.
pub fn say(text: &str) -> io::Result<()> {
    raw(text.as_bytes(), true)
}

/// Writes bytes of the result to standard output as they are.
///
/// # Errors
/// The stream's error; `BrokenPipe` if the reader has gone.
pub fn raw(bytes: &[u8], line_end: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    if line_end {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Writes a line to standard error. Where even that fails nobody is left to be told.
pub fn complain(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// One line on the terminal that is written over again and again.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    width: usize,
}

impl Progress {
    /// A progress line; it shows nothing where standard error is not a terminal or `wanted` is not.
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        Self {
            shown: wanted && io::stderr().is_terminal(),
            width: 0,
        }
    }

    /// Replaces the line.
    pub fn show(&mut self, text: &str) {
        if self.shown {
            let width = text.chars().count();
            let blank = self.width.saturating_sub(width);
            self.width = width;
            let mut out = io::stderr().lock();
            drop(write!(out, "\r{text}{:blank$}", ""));
            drop(out.flush());
        }
    }

    /// Removes the line.
    pub fn clear(&mut self) {
        if self.shown && self.width > 0 {
            self.show("");
            drop(write!(io::stderr().lock(), "\r"));
            self.width = 0;
        }
    }
}
