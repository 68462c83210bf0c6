//! Numbers that nobody can guess, from the operating system.

use std::fs::File;
use std::io::{self, Read as _};

/// The operating system's source of numbers that nobody can guess.
#[derive(Debug)]
pub(crate) struct Random(File);

impl Random {
    /// # Errors
    ///
    /// The system has none.
    pub(crate) fn new() -> io::Result<Self> {
        File::open("/dev/urandom").map(Self)
    }

    /// One number.
    ///
    /// # Errors
    ///
    /// The system gives none.
    pub(crate) fn number(&self) -> io::Result<u64> {
        self.bytes().map(u64::from_ne_bytes)
    }

    /// So many bytes.
    ///
    /// # Errors
    ///
    /// The system gives none.
    pub(crate) fn bytes<const N: usize>(&self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        (&self.0).read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
