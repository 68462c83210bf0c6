//! Owns `Reader`, the bounded view of input bytes that every slow-path decoder works on.
//! It never interprets a byte. Decision: a reader of a part keeps the offsets of the whole, so
//! that errors name the byte counted from where the caller's input began, and a part's reader
//! cannot see beyond its end whatever sizes are written inside it.

use crate::error::{DecodeError, DecodeErrorKind};
use bytes::Bytes;

/// A position in some bytes, and an end it cannot pass.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    source: &'a Bytes,
    /// The visible prefix of `source`.
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Bytes) -> Self {
        Self {
            source,
            bytes: source,
            at: 0,
        }
    }

    /// Offset from the start of the source.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// An error at the current position.
    #[cold]
    pub(crate) fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.at)
    }

    /// An error at the byte before the current position: the format code just read.
    #[cold]
    pub(crate) fn error_before(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.at.saturating_sub(1))
    }

    pub(crate) fn peek(&self) -> Result<u8, DecodeError> {
        match self.bytes.get(self.at) {
            Some(&byte) => Ok(byte),
            None => Err(self.error(DecodeErrorKind::Truncated)),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.bytes[self.at..].first_chunk::<N>() {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => Err(self.error(DecodeErrorKind::Truncated)),
        }
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A size on the wire; bounded by `u32`, so it never exceeds the address space.
    pub(crate) fn size32(&mut self) -> Result<usize, DecodeError> {
        self.u32()
            .map(|size| usize::try_from(size).unwrap_or(usize::MAX))
    }

    /// The next `length` bytes, borrowed.
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        if length > self.remaining() {
            return Err(self.error(DecodeErrorKind::Truncated));
        }
        let taken = &self.bytes[self.at..self.at + length];
        self.at += length;
        Ok(taken)
    }

    /// The next `length` bytes, sharing the source's storage.
    pub(crate) fn share(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        self.take(length)?;
        Ok(self.source.slice(self.at - length..self.at))
    }

    /// The bytes from `start` up to here, sharing the source's storage.
    pub(crate) fn share_from(&self, start: usize) -> Bytes {
        self.source.slice(start..self.at)
    }

    /// A reader of the next `length` bytes; this one moves past them.
    pub(crate) fn part(&mut self, length: usize) -> Result<Self, DecodeError> {
        let at = self.at;
        self.take(length)?;
        Ok(Self {
            source: self.source,
            bytes: &self.bytes[..self.at],
            at,
        })
    }
}
