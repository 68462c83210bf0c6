//! Whose pages may speak here through the browser of whoever looks at them (RFC 6454, RFC 6455
//! §10.2), and under which names a listener answers.
//!
//! Decision: a browser says of each handshake from where the page is that asks for it, and lets any
//! page ask. So a handshake with an origin is judged, and one without is not from a browser. A name
//! that anybody can have lead here is worth nothing by itself: where no origins are listed, only
//! addresses, `localhost` and the listener's own name are taken for this router.

use std::net::IpAddr;

use crate::request::Request;

/// What a listener says of origins, and what is known of a connection to it.
#[derive(Clone, Copy, Debug)]
pub struct Door<'a> {
    /// The origins that are listed, in lower case; `*` stands for all. Empty: none are.
    pub origins: &'a [String],
    /// The host by which the listener is configured.
    pub host: &'a str,
    /// The connection is encrypted.
    pub is_tls: bool,
    /// Whoever speaks has to know a password: nothing lets it in that a browser adds by itself.
    pub asks_password: bool,
}

impl Door<'_> {
    /// Whether a handshake from this origin is taken; `None`: it came without one.
    #[must_use]
    pub fn admits(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        if !self.origins.is_empty() {
            return self.is_listed(origin);
        }
        let is_own = |host: &str| self.is_known(name(host)) && self.is_same(origin, host);
        self.asks_password || host.is_some_and(is_own)
    }

    /// Whether what is no handshake is answered: a listener for this machine alone is not asked by
    /// a name that somebody else has made lead here.
    #[must_use]
    pub fn answers(&self, request: &Request) -> bool {
        let Some(host) = request.host.as_deref() else {
            return true;
        };
        let of_origin = |origin: &String| {
            let host_there = origin.split_once("://").map(|(_, place)| name(place));
            origin == "*" || host_there.is_some_and(|there| there.eq_ignore_ascii_case(name(host)))
        };
        !is_loopback(self.host) || self.is_known(name(host)) || self.origins.iter().any(of_origin)
    }

    fn is_listed(&self, origin: &str) -> bool {
        let wanted = place(origin);
        let is_it = |listed: &String| {
            listed == "*"
                || listed.eq_ignore_ascii_case(origin)
                || wanted.is_some_and(|wanted| place(listed).is_some_and(|it| wanted.is(it)))
        };
        self.origins.iter().any(is_it)
    }

    /// Whether nobody else can have this name lead here.
    fn is_known(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case("localhost")
            || is_address(name)
            || (!name.is_empty() && name.eq_ignore_ascii_case(self.host))
    }

    /// Whether a page of this origin came from where it is connected to.
    fn is_same(&self, origin: &str, host: &str) -> bool {
        let scheme = if self.is_tls { "https" } else { "http" };
        let here = format!("{scheme}://{host}");
        match (place(origin), place(&here)) {
            (Some(origin), Some(here)) => origin.is(here),
            _ => false,
        }
    }
}

/// An origin in its parts.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    scheme: &'a str,
    name: &'a str,
    port: &'a str,
}

impl Place<'_> {
    fn is(self, other: Place<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.name.eq_ignore_ascii_case(other.name)
            && self.port == other.port
    }
}

/// The parts of `SCHEME://HOST[:PORT]`; a port that goes without saying is there, too.
fn place(origin: &str) -> Option<Place<'_>> {
    let (scheme, rest) = origin.split_once("://")?;
    let name = name(rest);
    let port = match rest[name.len()..].trim_start_matches(':') {
        "" if scheme.eq_ignore_ascii_case("http") => "80",
        "" if scheme.eq_ignore_ascii_case("https") => "443",
        port => port,
    };
    Some(Place { scheme, name, port })
}

/// The name in `HOST[:PORT]`; an address of IPv6 keeps its brackets.
fn name(place: &str) -> &str {
    let end = match place.starts_with('[') {
        true => place.find(']').map(|at| at + 1),
        false => place.find(':'),
    };
    &place[..end.unwrap_or(place.len())]
}

fn is_address(name: &str) -> bool {
    address(name).is_some()
}

fn address(name: &str) -> Option<IpAddr> {
    name.trim_matches(['[', ']']).parse().ok()
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || address(host).is_some_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Method;

    const OPEN: Door<'static> = Door {
        origins: &[],
        host: "router.example",
        is_tls: false,
        asks_password: false,
    };

    #[test]
    fn who_is_no_browser_is_not_asked() {
        assert!(OPEN.admits(None, Some("anything")));
        let listed = ["https://console.example".to_owned()];
        let door = Door {
            origins: &listed,
            ..OPEN
        };
        assert!(door.admits(None, Some("anything")));
    }

    #[test]
    fn without_a_list_a_page_speaks_only_to_where_it_came_from() {
        for (origin, host, is_tls) in [
            ("http://127.0.0.1:8672", "127.0.0.1:8672", false),
            ("http://[::1]:8672", "[::1]:8672", false),
            ("HTTP://LocalHost:8672", "localhost:8672", false),
            ("http://router.example:1", "Router.Example:1", false),
            ("http://10.0.0.1", "10.0.0.1:80", false),
            ("https://10.0.0.1:443", "10.0.0.1", true),
        ] {
            let door = Door { is_tls, ..OPEN };
            assert!(door.admits(Some(origin), Some(host)), "{origin}");
            assert!(!door.admits(Some(origin), None), "{origin}");
            let other = Door {
                is_tls: !is_tls,
                ..OPEN
            };
            assert!(!other.admits(Some(origin), Some(host)), "{origin}");
        }
        for (origin, host) in [
            ("http://evil.example", "127.0.0.1:8672"),
            // The page's own name has been made to lead here.
            ("http://evil.example:8672", "evil.example:8672"),
            ("http://127.0.0.1:8673", "127.0.0.1:8672"),
            ("http://127.0.0.1.evil.example", "127.0.0.1.evil.example"),
            ("null", "127.0.0.1:8672"),
            ("", "127.0.0.1:8672"),
            ("http://", ""),
            ("http://[", "["),
        ] {
            assert!(!OPEN.admits(Some(origin), Some(host)), "{origin}");
        }
    }

    #[test]
    fn a_page_that_has_to_know_a_password_may_come_from_anywhere() {
        let door = Door {
            asks_password: true,
            ..OPEN
        };
        assert!(door.admits(Some("https://any.example"), Some("h")));
    }

    #[test]
    fn what_is_listed_is_taken_and_nothing_else() {
        let listed = ["https://console.example", "http://localhost:3000"];
        let listed = listed.map(str::to_owned);
        let door = Door {
            origins: &listed,
            asks_password: true,
            ..OPEN
        };
        let admits = |origin: &str| door.admits(Some(origin), Some("router.example"));
        assert!(admits("https://console.example") && admits("https://Console.example:443"));
        assert!(admits("http://localhost:3000"));
        for origin in [
            "http://console.example",
            "https://console.example:444",
            "https://console.example.evil.example",
            "http://router.example",
            "null",
        ] {
            assert!(!admits(origin), "{origin}");
        }
        for (list, origin) in [("null", "null"), ("*", "null"), ("*", "http://any.example")] {
            let list = [list.to_owned()];
            let door = Door {
                origins: &list,
                ..OPEN
            };
            assert!(door.admits(Some(origin), Some("h")), "{list:?}");
        }
    }

    #[test]
    fn a_listener_for_this_machine_answers_to_no_name_that_was_made_to_lead_here() {
        let request = |host: Option<&str>| Request {
            method: Method::Get,
            path: "/metrics".to_owned(),
            host: host.map(str::to_owned),
            keeps_alive: true,
            body: 0,
            if_none_match: None,
            upgrade: None,
        };
        let listed = ["https://behind.example".to_owned()];
        let door = Door {
            origins: &listed,
            host: "127.0.0.1",
            ..OPEN
        };
        let here = [
            "127.0.0.1:8672",
            "localhost",
            "[::1]:1",
            "10.1.2.3",
            "behind.example",
        ];
        for host in here {
            assert!(door.answers(&request(Some(host))), "{host}");
        }
        assert!(door.answers(&request(None)));
        for host in ["evil.example:8672", "localhost.evil.example", ""] {
            assert!(!door.answers(&request(Some(host))), "{host}");
        }
        // Others are reached by names, and have to be.
        for host in ["", "0.0.0.0", "router.example"] {
            let door = Door { host, ..OPEN };
            assert!(door.answers(&request(Some("other.example"))), "{host}");
        }
        let any = ["*".to_owned()];
        let door = Door {
            origins: &any,
            host: "localhost",
            ..OPEN
        };
        assert!(door.answers(&request(Some("other.example"))));
    }
}
