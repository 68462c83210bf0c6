//! Names of hosts and services, made into addresses off the control thread: a resolver that does
//! not answer must not keep anybody else waiting.
//!
//! The system's resolver can only be called and waited for, so each name that is looked up has a
//! thread for as long as that takes; a name that is being looked up is not looked up again, and
//! there is a limit to the number of names. Decision: threads rather than a resolver of our own,
//! because operators expect `/etc/hosts` and whatever else their system asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::thread;

use crossbeam_queue::SegQueue;
use mio::Waker;

use crate::socket::error_text;

/// Names that may be looked up at the same time.
const LOOK_UPS_MAX: usize = 64;

/// What the port of a host that cannot be is called by the system.
const NO_SERVICE: &str = "Servname not supported for ai_socktype";

/// A host and a port as they are written.
pub(crate) type Place = (String, String);

/// The addresses of a place, or why there are none.
pub(crate) type Addresses = Result<Vec<SocketAddr>, String>;

/// Looks names up, several at a time.
#[derive(Debug)]
pub(crate) struct Resolver {
    look_up: fn(&str, &str) -> Addresses,
    under_way: Vec<Place>,
    found: Arc<SegQueue<(Place, Addresses)>>,
    waker: Arc<Waker>,
}

impl Resolver {
    /// Wakes somebody whenever there is an answer.
    pub(crate) fn new(waker: Arc<Waker>) -> Self {
        Self::with(waker, addresses)
    }

    fn with(waker: Arc<Waker>, look_up: fn(&str, &str) -> Addresses) -> Self {
        Self {
            look_up,
            under_way: Vec::new(),
            found: Arc::new(SegQueue::new()),
            waker,
        }
    }

    /// The addresses of a place that is written in numbers; `None` if they will come, for it is
    /// being looked up now.
    ///
    /// # Errors
    ///
    /// Why it cannot be looked up now.
    pub(crate) fn ask(
        &mut self,
        host: &str,
        port: &str,
    ) -> Result<Option<Vec<SocketAddr>>, String> {
        if let Some(addresses) = literal(host, port) {
            return Ok(Some(addresses));
        }
        let place = (host.to_owned(), port.to_owned());
        if self.under_way.contains(&place) {
            return Ok(None);
        }
        if self.under_way.len() >= LOOK_UPS_MAX {
            return Err("too many names are being looked up".to_owned());
        }
        let (look_up, asked) = (self.look_up, place.clone());
        let (found, waker) = (Arc::clone(&self.found), Arc::clone(&self.waker));
        let work = move || {
            let answer = look_up(&asked.0, &asked.1);
            found.push((asked, answer));
            // The router may have ended meanwhile; then nobody is waiting.
            drop(waker.wake());
        };
        let thread = thread::Builder::new().name("resolver".to_owned());
        thread.spawn(work).map_err(|error| error_text(&error))?;
        self.under_way.push(place);
        Ok(None)
    }

    /// The next answer.
    pub(crate) fn poll(&mut self) -> Option<(Place, Addresses)> {
        let (place, answer) = self.found.pop()?;
        self.under_way.retain(|other| *other != place);
        Some((place, answer))
    }
}

/// The addresses of a place that is written in numbers; `None` if somebody has to be asked.
pub(crate) fn literal(host: &str, port: &str) -> Option<Vec<SocketAddr>> {
    let port = well_known_port(port)?;
    if host.is_empty() {
        return Some(vec![
            SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
            SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
        ]);
    }
    let address = without_brackets(host).parse().ok()?;
    Some(vec![SocketAddr::new(address, port)])
}

/// The addresses of a place, however long that takes.
pub(crate) fn addresses(host: &str, port: &str) -> Addresses {
    let port = service_port(port).ok_or_else(|| NO_SERVICE.to_owned())?;
    if let Some(addresses) = literal(host, &port.to_string()) {
        return Ok(addresses);
    }
    match (without_brackets(host), port).to_socket_addrs() {
        Ok(addresses) => {
            let mut unique: Vec<SocketAddr> = Vec::new();
            for address in addresses {
                if !unique.contains(&address) {
                    unique.push(address);
                }
            }
            Ok(unique)
        }
        Err(error) => {
            let text = error_text(&error);
            let reason = text.strip_prefix("failed to lookup address information: ");
            Err(reason.unwrap_or(&text).to_owned())
        }
    }
}

fn without_brackets(host: &str) -> &str {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host)
}

fn well_known_port(port: &str) -> Option<u16> {
    match port {
        "amqp" => Some(5672),
        "amqps" => Some(5671),
        _ => port.parse().ok(),
    }
}

/// A port by its number or the name of its service.
pub(crate) fn service_port(port: &str) -> Option<u16> {
    well_known_port(port).or_else(|| {
        let services = std::fs::read_to_string("/etc/services").ok()?;
        services
            .lines()
            .find_map(|line| service_in_line(line, port))
    })
}

/// Reads a line of the list of services: name, `port/protocol`, other names, a comment.
fn service_in_line(line: &str, wanted: &str) -> Option<u16> {
    let mut words = line.split('#').next()?.split_whitespace();
    let name = words.next()?;
    let port = words.next()?.strip_suffix("/tcp")?.parse().ok()?;
    (name == wanted || words.any(|alias| alias == wanted)).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll, Token};

    #[test]
    fn ports_may_have_names() {
        assert_eq!(service_port("amqp"), Some(5672));
        assert_eq!(service_port("amqps"), Some(5671));
        assert_eq!(service_port("31000"), Some(31000));
        assert_eq!(service_port("70000"), None);
        assert_eq!(
            service_in_line("amqp2 99/tcp mq broker # x", "broker"),
            Some(99)
        );
        assert_eq!(service_in_line("amqp2 99/udp mq # broker", "mq"), None);
    }

    #[test]
    fn nobody_is_asked_about_numbers() {
        let shown = |host, port| {
            let addresses = literal(host, port)?;
            let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            Some(texts.join(" "))
        };
        assert_eq!(
            shown("127.0.0.1", "amqp").as_deref(),
            Some("127.0.0.1:5672")
        );
        assert_eq!(shown("[::1]", "1").as_deref(), Some("[::1]:1"));
        assert_eq!(shown("", "1").as_deref(), Some("[::]:1 0.0.0.0:1"));
        assert_eq!(shown("localhost", "1"), None);
        assert_eq!(shown("127.0.0.1", "nosuchsvc"), None);
        assert_eq!(
            addresses("127.0.0.1", "nosuchsvc"),
            Err(NO_SERVICE.to_owned())
        );
        // No server can be asked about a name with nothing between two dots.
        assert!(addresses("no..such.host", "1").is_err());
    }

    /// Answers only for hosts that are not slow.
    fn slow_for_some(host: &str, _: &str) -> Addresses {
        while host.starts_with("slow") {
            thread::park();
        }
        Err(host.to_owned())
    }

    #[test]
    fn a_name_that_takes_for_ever_delays_no_other() {
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let mut resolver = Resolver::with(waker, slow_for_some);
        for _ in 0..3 {
            assert_eq!(resolver.ask("slow", "1"), Ok(None));
        }
        assert_eq!(resolver.under_way.len(), 1, "it is asked for once");
        assert_eq!(resolver.ask("quick", "1"), Ok(None));
        let mut events = Events::with_capacity(1);
        let (answered, _) = loop {
            poll.poll(&mut events, None).unwrap();
            if let Some(answer) = resolver.poll() {
                break answer;
            }
        };
        assert_eq!(answered, ("quick".to_owned(), "1".to_owned()));
        for n in 1..LOOK_UPS_MAX {
            resolver.ask(&format!("slow{n}"), "1").unwrap();
        }
        assert!(resolver.ask("quick", "1").is_err(), "there is a limit");
    }
}
