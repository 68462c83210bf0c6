//! One client's requests, one after the other: heads, and bodies that nobody wants.
//!
//! ```text
//!   Head ──whole──► Body ──all of it thrown away──► answered by the caller ──► Head …
//!     └──no request──► Over
//! ```

use bytes::{Buf as _, BytesMut};

use crate::limits::{HEAD_BYTES, REQUESTS};
use crate::request::{Request, parse};
use crate::response::Status;

/// The requests on one connection.
#[derive(Debug, Default)]
pub struct Exchange {
    input: BytesMut,
    /// The request whose body is being thrown away, and how much of that is to come.
    body: Option<(Request, u64)>,
    requests: u32,
    is_over: bool,
}

/// What has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Something to be answered.
    Request(Request),
    /// Something that is no request; after this answer the connection has to end.
    Refused(Status),
}

impl Exchange {
    /// Takes bytes as they come.
    pub fn receive(&mut self, bytes: &[u8]) {
        if !self.is_over {
            self.input.extend_from_slice(bytes);
        }
    }

    /// Whether so much waits to be understood that nothing more should be read.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.input.len() > HEAD_BYTES
    }

    /// Whether a request has begun and is not whole.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.body.is_some() || !self.input.is_empty()
    }

    /// Whether bytes have come that belong to no request yet.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.input.is_empty()
    }

    /// Bytes that are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.input.len()
    }

    /// The next request; to be called only when the one before has been answered.
    pub fn poll(&mut self) -> Option<Heard> {
        if self.is_over {
            return None;
        }
        if self.body.is_none() {
            // An empty line before a request does not count (RFC 9112 §2.2).
            while self.input.starts_with(b"\r\n") {
                self.input.advance(2);
            }
            match parse(&self.input) {
                Ok(None) => return None,
                Ok(Some((request, length))) => {
                    self.input.advance(length);
                    let body = request.body;
                    self.body = Some((request, body));
                }
                Err(status) => {
                    self.end();
                    return Some(Heard::Refused(status));
                }
            }
        }
        let (mut request, left) = self.body.take()?;
        let here = self
            .input
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        self.input.advance(here);
        let left = left - here as u64;
        if left > 0 {
            self.body = Some((request, left));
            return None;
        }
        self.requests += 1;
        request.keeps_alive &= self.requests < REQUESTS;
        if !request.keeps_alive {
            self.end();
        }
        Some(Heard::Request(request))
    }

    /// Nothing that comes from now on counts.
    pub fn end(&mut self) {
        self.is_over = true;
        self.input = BytesMut::new();
        self.body = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(heard: Option<Heard>) -> String {
        match heard {
            Some(Heard::Request(request)) => request.path,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn requests_come_one_after_the_other_whatever_the_pieces() {
        let text = "\r\nPOST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nGETGET /b \
                    HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /c HTTP/1.1\r\nHost: \
                    h\r\n\r\n";
        for size in [1, 2, 7, text.len()] {
            let mut exchange = Exchange::default();
            let mut paths = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                exchange.receive(piece);
                while let Some(heard) = exchange.poll() {
                    paths.push(path(Some(heard)));
                }
            }
            // The second has said that it is the last.
            assert_eq!(paths, ["/a", "/b"], "{size}");
            assert_eq!(exchange.kept(), 0);
        }
    }

    #[test]
    fn after_what_is_no_request_nothing_counts() {
        let mut exchange = Exchange::default();
        exchange.receive(b"AMQP\x00\x01\x00\x00GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let heard = exchange.poll();
        assert_eq!(heard, Some(Heard::Refused(Status::BadRequest)));
        exchange.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(exchange.poll(), None);
        assert_eq!(exchange.kept(), 0);
    }

    #[test]
    fn the_last_of_many_requests_ends_the_connection() {
        let mut exchange = Exchange::default();
        for number in 1..=REQUESTS {
            exchange.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            let Some(Heard::Request(request)) = exchange.poll() else {
                panic!("{number}")
            };
            assert_eq!(request.keeps_alive, number < REQUESTS);
        }
    }
}
