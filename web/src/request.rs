//! One request's head: what of it matters to a server that only gives things out.

use std::fmt::Write as _;

use httparse::{Error, Header};

use crate::limits::{BODY_BYTES, HEAD_BYTES, HEADERS, TARGET_BYTES};
use crate::response::Status;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub method: Method,
    /// The path, decoded, beginning with a slash; without the query.
    pub path: String,
    /// The host that the client means, with its port if it has said one.
    pub host: Option<String>,
    /// The connection may stay open after the answer.
    pub keeps_alive: bool,
    /// Bytes of body that follow.
    pub body: u64,
    /// The entity tags that the client has copies of.
    pub if_none_match: Option<String>,
    /// The client wants to go on in another protocol.
    pub upgrade: Option<Upgrade>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Give it out.
    Get,
    /// Say what would be given out.
    Head,
    /// Anything else.
    Other,
}

/// The headers of a WebSocket handshake (RFC 6455 §4.2.1), not yet judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upgrade {
    /// `Origin`: from where the page is that asks, if a browser does.
    pub origin: Option<String>,
    /// `Sec-WebSocket-Version`.
    pub version: Option<String>,
    /// `Sec-WebSocket-Key`.
    pub key: Option<String>,
    /// `Sec-WebSocket-Protocol`, in the client's order.
    pub protocols: Vec<String>,
}

/// Reads a head from the beginning of `bytes`: the request and how long its head is; `None` if some
/// of it is still to come.
///
/// # Errors
/// With what it is to be answered; the connection is of no use after that.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Status> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES => length,
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_BYTES => {
            return match is_target_long(bytes) {
                true => Err(Status::UriTooLong),
                false => Ok(None),
            };
        }
        Ok(_) if is_target_long(bytes) => return Err(Status::UriTooLong),
        Ok(_) | Err(Error::TooManyHeaders) => return Err(Status::HeadersTooLarge),
        Err(Error::Version) => return Err(Status::VersionNotSupported),
        Err(_) => return Err(Status::BadRequest),
    };
    if is_target_long(bytes) {
        return Err(Status::UriTooLong);
    }
    let (Some(method), Some(target), Some(minor)) = (head.method, head.path, head.version) else {
        return Err(Status::BadRequest);
    };
    let is_old = minor == 0;
    let headers = Headers(head.headers);
    // RFC 9112 §3.2: one host, and exactly one.
    let host = headers.one("host")?.map(str::to_owned);
    if host.is_none() && !is_old {
        return Err(Status::BadRequest);
    }
    let request = Request {
        method: match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        },
        path: path(target)?,
        host,
        keeps_alive: match is_old {
            true => headers.has("connection", "keep-alive"),
            false => !headers.has("connection", "close"),
        },
        body: body(&headers)?,
        if_none_match: headers.one("if-none-match")?.map(str::to_owned),
        upgrade: upgrade(&headers, is_old)?,
    };
    Ok(Some((request, length)))
}

/// Whether the first line goes on for longer than a target may be.
fn is_target_long(bytes: &[u8]) -> bool {
    let mut words = bytes.splitn(3, |byte| *byte == b' ');
    let target = words.nth(1).unwrap_or_default();
    target.len() > TARGET_BYTES
}

/// How much follows the head (RFC 9112 §6). Two lengths, or a length and a coding, are how requests
/// are hidden in others: neither is taken.
fn body(headers: &Headers<'_>) -> Result<u64, Status> {
    let length = headers.one("content-length")?;
    if headers.all("transfer-encoding").next().is_some() {
        return Err(match length {
            Some(_) => Status::BadRequest,
            None => Status::NotImplemented,
        });
    }
    let Some(length) = length else { return Ok(0) };
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    match length.parse::<u64>() {
        Ok(length) if is_number && length <= BODY_BYTES => Ok(length),
        Ok(_) if is_number => Err(Status::ContentTooLarge),
        Err(_) if is_number => Err(Status::ContentTooLarge),
        _ => Err(Status::BadRequest),
    }
}

fn upgrade(headers: &Headers<'_>, is_old: bool) -> Result<Option<Upgrade>, Status> {
    if is_old || !headers.has("connection", "upgrade") || !headers.has("upgrade", "websocket") {
        return Ok(None);
    }
    let one = |name| Ok(headers.one(name)?.map(str::to_owned));
    Ok(Some(Upgrade {
        origin: one("origin")?,
        version: one("sec-websocket-version")?,
        key: one("sec-websocket-key")?,
        protocols: headers
            .list("sec-websocket-protocol")
            .map(str::to_owned)
            .collect(),
    }))
}

/// The path in a target, without its query and decoded.
fn path(target: &str) -> Result<String, Status> {
    let path = match target.find("://") {
        // To a proxy, in which form a server has to take it, too (RFC 9112 §3.2.2).
        Some(at) if !target.starts_with('/') => {
            let rest = &target[at + 3..];
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ if target == "*" => "/*",
        _ => target,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(Status::BadRequest);
    }
    decoded(path).ok_or(Status::BadRequest)
}

/// A text with its `%XX` replaced; `None` if one is none, or the result is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    let text = String::from_utf8(bytes).ok()?;
    let is_fine = !text.chars().any(char::is_control);
    is_fine.then_some(text)
}

/// The headers of a request, by name.
struct Headers<'a>(&'a [Header<'a>]);

impl<'a> Headers<'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.0.iter();
        let named = named.filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value)
    }

    /// The value of a header that may be there once.
    fn one(&self, name: &str) -> Result<Option<&'a str>, Status> {
        let mut values = self.all(name);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Status::BadRequest);
        }
        let text = str::from_utf8(value).map_err(|_| Status::BadRequest)?;
        Ok(Some(text.trim()))
    }

    /// The elements of all headers of a name, separated by commas.
    fn list(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let texts = self
            .all(name)
            .filter_map(|value| str::from_utf8(value).ok());
        let elements = texts.flat_map(|text| text.split(','));
        elements
            .map(str::trim)
            .filter(|element| !element.is_empty())
    }

    fn has(&self, name: &str, element: &str) -> bool {
        self.list(name)
            .any(|other| other.eq_ignore_ascii_case(element))
    }
}

/// A text as it may stand in the log: nothing of it is a line or a control sequence.
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars().take(64) {
        match letter {
            ' '..='~' => shown.push(letter),
            _ => write!(shown, "{}", letter.escape_unicode()).unwrap_or_default(),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, Status> {
        let bytes = text.replace('\n', "\r\n");
        let whole = parse(bytes.as_bytes())?;
        let (request, length) = whole.expect("it is whole");
        assert_eq!(length, bytes.len());
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes.as_bytes()[..cut]), Ok(None), "cut at {cut}");
        }
        Ok(request)
    }

    #[test]
    fn a_request_is_read_whole_or_not_at_all() {
        let request = read("GET /metrics?x=1 HTTP/1.1\nHost: h\n\n").unwrap();
        assert_eq!(request.method, Method::Get);
        assert_eq!(request.path, "/metrics");
        assert!(request.keeps_alive && request.upgrade.is_none());
        let request = read("HEAD http://h:80/a%20b HTTP/1.1\nHost: h\nConnection: close\n\n");
        let request = request.unwrap();
        assert_eq!(
            (request.method, &*request.path, request.keeps_alive),
            (Method::Head, "/a b", false)
        );
        assert!(!read("GET / HTTP/1.0\n\n").unwrap().keeps_alive);
        assert!(
            read("GET / HTTP/1.0\nConnection: Keep-Alive\n\n")
                .unwrap()
                .keeps_alive
        );
    }

    #[test]
    fn what_is_no_request_has_its_status() {
        let host = "\nHost: h\n";
        let long = format!("GET /{} HTTP/1.1{host}\n", "x".repeat(TARGET_BYTES));
        let large = format!("GET / HTTP/1.1{host}X: {}\n\n", "x".repeat(HEAD_BYTES));
        let many = format!("GET / HTTP/1.1{host}{}\n", "X: y\n".repeat(HEADERS));
        let cases = [
            ("GET / HTTP/1.1\n\n".to_owned(), Status::BadRequest),
            (
                format!("GET / HTTP/1.1{host}Host: i\n\n"),
                Status::BadRequest,
            ),
            (
                format!(
                    "GET / HTTP/1.1{host}Connection: upgrade\nUpgrade: websocket\nOrigin: \
                     null\nOrigin: http://h\n\n"
                ),
                Status::BadRequest,
            ),
            (format!("GET x HTTP/1.1{host}\n"), Status::BadRequest),
            (format!("GET /%0a HTTP/1.1{host}\n"), Status::BadRequest),
            (format!("GET /%zz HTTP/1.1{host}\n"), Status::BadRequest),
            (format!("GET /%ff HTTP/1.1{host}\n"), Status::BadRequest),
            (format!("G\0T / HTTP/1.1{host}\n"), Status::BadRequest),
            (
                format!("PRI * HTTP/2.0{host}\n"),
                Status::VersionNotSupported,
            ),
            (long, Status::UriTooLong),
            (large, Status::HeadersTooLarge),
            (many, Status::HeadersTooLarge),
            (
                format!("POST / HTTP/1.1{host}Content-Length: +1\n\n"),
                Status::BadRequest,
            ),
            (
                format!("POST / HTTP/1.1{host}Content-Length: 1\nContent-Length: 1\n\n"),
                Status::BadRequest,
            ),
            (
                format!("POST / HTTP/1.1{host}Content-Length: 99999999999999999999\n\n"),
                Status::ContentTooLarge,
            ),
            (
                format!("POST / HTTP/1.1{host}Transfer-Encoding: chunked\n\n"),
                Status::NotImplemented,
            ),
            (
                format!("POST / HTTP/1.1{host}Content-Length: 1\nTransfer-Encoding: chunked\n\n"),
                Status::BadRequest,
            ),
        ];
        for (text, status) in cases {
            let bytes = text.replace('\n', "\r\n");
            assert_eq!(parse(bytes.as_bytes()), Err(status), "{text}");
        }
    }

    #[test]
    fn a_target_without_end_is_refused_before_its_end() {
        let endless = format!("GET /{}", "x".repeat(TARGET_BYTES));
        assert_eq!(parse(endless.as_bytes()), Err(Status::UriTooLong));
        let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(HEAD_BYTES));
        assert_eq!(parse(endless.as_bytes()), Err(Status::HeadersTooLarge));
    }

    #[test]
    fn the_log_is_shown_no_control_sequence() {
        assert_eq!(shown("a\u{1b}[2J\n"), "a\\u{1b}[2J\\u{a}");
        assert!(shown(&"\n".repeat(1000)).len() <= 64 * 10);
    }
}
