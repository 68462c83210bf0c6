//! A client that asks by HTTP, byte by byte if need be, and a router to ask.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use causeway::Router;
use causeway::log::Log;

use crate::harness::{PATIENCE, start_inside};

/// A router with a listener for AMQP and one for HTTP.
pub(crate) struct Scene {
    pub(crate) router: Router,
    _log: Log,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Scene {
    /// The attributes are those of the listener for HTTP.
    pub(crate) fn start(attributes: &str, more: &str) -> Self {
        Self::start_as("Tested", attributes, more)
    }

    /// The same with a name of its own.
    pub(crate) fn start_as(id: &str, attributes: &str, more: &str) -> Self {
        let text = format!(
            "router {{\n id: {id}\n mode: interior\n}}\nlistener {{\n name: amqp\n host: \
             127.0.0.1\n port: 0\n saslMechanisms: ANONYMOUS\n}}\nlistener {{\n name: web\n port: \
             0\n http: yes\n {attributes}\n}}\n{more}"
        );
        let (router, log) = start_inside(&text, 2);
        Self { router, _log: log }
    }

    pub(crate) fn place(&self, name: &str) -> SocketAddr {
        let mut listening = self.router.listening().iter();
        listening.find(|one| one.name == name).unwrap().address
    }

    /// A connection to the listener for HTTP.
    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.place("web"))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        ))
    }

    /// Says something on a connection of its own; the first answer.
    pub(crate) fn ask(&self, text: &str) -> Answer {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        read_answer(&mut stream)
    }

    /// The value of a series of the metrics.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        value(&self.get("/metrics").body, series)
    }
}

pub(crate) fn connect(place: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(place).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The value of a series in a text of metrics.
pub(crate) fn value(text: &str, series: &str) -> Option<f64> {
    let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    let (_, value) = lines.find(|(name, _)| *name == series)?;
    Some(value.parse().unwrap())
}

/// Reads one answer and leaves what follows it.
pub(crate) fn read_answer(stream: &mut impl std::io::Read) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
    let status = lines.next().unwrap();
    let code = status.split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_owned(), value.to_owned())
    });
    let mut answer = Answer {
        code,
        headers: headers.collect(),
        body: String::new(),
    };
    let length = answer.header("content-length").unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    answer.body = String::from_utf8(body).unwrap();
    answer
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(other, _)| other == name)?;
        Some(value)
    }
}
