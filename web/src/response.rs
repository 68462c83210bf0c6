//! The head of an answer.

use std::fmt::Write as _;

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The connection goes on as a WebSocket.
    SwitchingProtocols,
    /// Here it is.
    Ok,
    /// The client's copy is still good.
    NotModified,
    /// This is no request.
    BadRequest,
    /// It is there and not for giving out.
    Forbidden,
    /// It is not there.
    NotFound,
    /// This cannot be done to it.
    MethodNotAllowed,
    /// The request took too long to come.
    RequestTimeout,
    /// The body is too large.
    ContentTooLarge,
    /// The target is too long.
    UriTooLong,
    /// The host that is meant is none of this listener.
    Misdirected,
    /// Only another version of WebSocket is spoken.
    UpgradeRequired,
    /// First line and headers are too large.
    HeadersTooLarge,
    /// Something went wrong here.
    InternalError,
    /// The coding of the body is not known.
    NotImplemented,
    /// Not as things are.
    Unavailable,
    /// A version of HTTP that is not spoken.
    VersionNotSupported,
}

impl Status {
    /// Its number.
    #[must_use]
    pub fn code(self) -> u16 {
        self.parts().0
    }

    /// What it means, in words.
    #[must_use]
    pub fn reason(self) -> &'static str {
        self.parts().1
    }

    fn parts(self) -> (u16, &'static str) {
        match self {
            Self::SwitchingProtocols => (101, "Switching Protocols"),
            Self::Ok => (200, "OK"),
            Self::NotModified => (304, "Not Modified"),
            Self::BadRequest => (400, "Bad Request"),
            Self::Forbidden => (403, "Forbidden"),
            Self::NotFound => (404, "Not Found"),
            Self::MethodNotAllowed => (405, "Method Not Allowed"),
            Self::RequestTimeout => (408, "Request Timeout"),
            Self::ContentTooLarge => (413, "Content Too Large"),
            Self::UriTooLong => (414, "URI Too Long"),
            Self::Misdirected => (421, "Misdirected Request"),
            Self::UpgradeRequired => (426, "Upgrade Required"),
            Self::HeadersTooLarge => (431, "Request Header Fields Too Large"),
            Self::InternalError => (500, "Internal Server Error"),
            Self::NotImplemented => (501, "Not Implemented"),
            Self::Unavailable => (503, "Service Unavailable"),
            Self::VersionNotSupported => (505, "HTTP Version Not Supported"),
        }
    }
}

/// A head in the making: status line, then headers.
///
/// Values come from this program alone: nothing that a client has sent is ever put into an answer.
#[derive(Clone, Debug)]
pub struct Head(String);

impl Head {
    /// The status line, and what every answer has.
    #[must_use]
    pub fn new(status: Status) -> Self {
        let (code, reason) = status.parts();
        let mut head = Self(format!("HTTP/1.1 {code} {reason}\r\n"));
        head.set("server", "causeway");
        head
    }

    /// Adds a header.
    pub fn set(&mut self, name: &str, value: &str) {
        debug_assert!(!value.contains(['\r', '\n']), "{name}: {value:?}");
        write!(self.0, "{name}: {value}\r\n").unwrap_or_default();
    }

    /// All of it, with the empty line at its end.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.0.push_str("\r\n");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_what_a_client_reads() {
        let mut head = Head::new(Status::NotFound);
        head.set("content-length", "0");
        let text = head.finish();
        let mut headers = [httparse::EMPTY_HEADER; 4];
        let mut read = httparse::Response::new(&mut headers);
        assert!(read.parse(text.as_bytes()).unwrap().is_complete());
        assert_eq!((read.code, read.reason), (Some(404), Some("Not Found")));
        assert_eq!(read.headers.len(), 2);
    }
}
