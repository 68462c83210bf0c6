//! The servers that a connector may dial: the configured one, then those that its peers have named.
//! It never resolves a name. Decision: what a peer names is bounded and only ever dialled by a
//! connector that the operator has pointed at that peer; what it would have to be dialled with TLS
//! is left out rather than dialled in clear.

use std::fmt;

use amqp_codec::{Encoded, Value};

use crate::limits::{FAILOVER_SERVERS, SERVER_NAME_BYTES};

/// The property of an Open that names servers.
const PROPERTY: &str = "failover-server-list";

/// The port where a server's has none.
const DEFAULT_PORT: &str = "5672";

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: String,
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

/// The servers of one connector, and which is its turn. Never empty: the first is configured.
#[derive(Debug)]
pub(super) struct Servers {
    list: Vec<Server>,
    at: usize,
}

impl Servers {
    /// The configured one alone.
    pub(super) fn new(configured: Server) -> Self {
        Self {
            list: vec![configured],
            at: 0,
        }
    }

    /// Whose turn it is.
    pub(super) fn current(&self) -> &Server {
        &self.list[self.at]
    }

    /// On to the next; true if that is the first again.
    pub(super) fn advance(&mut self) -> bool {
        self.at = (self.at + 1) % self.list.len();
        self.at == 0
    }

    /// Learns from the properties of a peer's Open. Without a list nothing changes; a new list
    /// replaces all but the configured server and the current one.
    pub(super) fn learn(&mut self, properties: Option<&Encoded>) {
        let Some(named) = properties.and_then(named_servers) else {
            return;
        };
        let current = self.list[self.at].clone();
        self.list.truncate(1);
        if current != self.list[0] {
            self.list.push(current);
        }
        self.at = self.list.len() - 1;
        for server in named {
            if self.list.len() <= FAILOVER_SERVERS && !self.list.contains(&server) {
                self.list.push(server);
            }
        }
    }

    /// All of them, beginning with the current one and wrapping round.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = &Server> {
        let (before, from) = self.list.split_at(self.at);
        from.iter().chain(before)
    }
}

/// The servers in the properties of an Open; `None` if they have no list.
fn named_servers(properties: &Encoded) -> Option<Vec<Server>> {
    let properties = properties.value().ok()?;
    let list = properties.as_map()?.get(PROPERTY)?.as_list()?;
    Some(list.iter().filter_map(named_server).collect())
}

fn named_server(element: &Value) -> Option<Server> {
    let map = element.as_map()?;
    let text = |name| map.get(name).and_then(Value::as_str);
    if !matches!(text("scheme"), None | Some("amqp")) {
        return None;
    }
    let server = Server {
        host: text("network-host")?.to_owned(),
        port: text("port").unwrap_or(DEFAULT_PORT).to_owned(),
    };
    (is_a_name(&server.host) && is_a_name(&server.port)).then_some(server)
}

fn is_a_name(text: &str) -> bool {
    let is_odd = |c: char| c.is_control() || c.is_whitespace();
    !text.is_empty() && text.len() <= SERVER_NAME_BYTES && !text.contains(is_odd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use amqp_codec::{Map, Str};

    fn server(host: &str) -> Server {
        Server {
            host: host.to_owned(),
            port: "1".to_owned(),
        }
    }

    fn entry(fields: &[(&'static str, &str)]) -> Value {
        let mut map = Map::new();
        for (name, text) in fields {
            map.push(Value::symbol(name), Value::String(Str::copy(text)));
        }
        Value::Map(map)
    }

    fn open(list: Vec<Value>) -> Encoded {
        let mut map = Map::new();
        map.push(Value::symbol("product"), Value::from("x"));
        map.push(Value::symbol(PROPERTY), Value::List(list));
        Encoded::from_value(&Value::Map(map))
    }

    fn shown(servers: &Servers) -> Vec<String> {
        servers.in_turn().map(ToString::to_string).collect()
    }

    #[test]
    fn a_peer_names_servers_and_takes_them_back() {
        let mut servers = Servers::new(server("a"));
        let list = vec![
            entry(&[("network-host", "b"), ("port", "2"), ("scheme", "amqp")]),
            entry(&[("network-host", "c")]),
            entry(&[("network-host", "c"), ("port", "5672")]),
            entry(&[("network-host", "a"), ("port", "1")]),
        ];
        servers.learn(Some(&open(list)));
        assert_eq!(shown(&servers), ["a:1", "b:2", "c:5672"]);
        assert!(!servers.advance());
        servers.learn(None);
        assert_eq!(shown(&servers), ["b:2", "c:5672", "a:1"]);
        servers.learn(Some(&open(Vec::new())));
        assert_eq!(shown(&servers), ["b:2", "a:1"], "the one in use stays");
        assert!(servers.advance());
        servers.learn(Some(&open(Vec::new())));
        assert_eq!(shown(&servers), ["a:1"]);
    }

    #[test]
    fn what_cannot_be_dialled_is_left_out() {
        let mut servers = Servers::new(server("a"));
        let long = "x".repeat(SERVER_NAME_BYTES + 1);
        let list = vec![
            Value::Null,
            entry(&[("port", "2")]),
            entry(&[("network-host", "")]),
            entry(&[("network-host", "b\nc")]),
            entry(&[("network-host", &long)]),
            entry(&[("network-host", "b"), ("scheme", "amqps")]),
        ];
        servers.learn(Some(&open(list)));
        assert_eq!(shown(&servers), ["a:1"]);
    }

    #[test]
    fn a_long_list_is_cut() {
        let mut servers = Servers::new(server("a"));
        let many = (0..1000).map(|n| entry(&[("network-host", &format!("h{n}"))]));
        servers.learn(Some(&open(many.collect())));
        assert_eq!(shown(&servers).len(), FAILOVER_SERVERS + 1);
    }
}
