//! The servers that a listener tells its clients of, as `failoverUrls` writes them.
//!
//! It resolves no name and dials nobody. Decision: what cannot be dialled is refused where it is
//! written rather than sent to clients, who could only give up.

use amqp_codec::{Map, Str, Value};
use router_core::limits::{FAILOVER_SERVERS, SERVER_NAME_BYTES};

/// The port where none is written.
const DEFAULT_PORT: &str = "5672";

/// The value of `failover-server-list` in an Open for `[SCHEME://]HOST[:PORT]`, separated by
/// commas.
///
/// # Errors
/// The first server that cannot be meant.
pub fn failover_list(text: &str) -> Result<Vec<Value>, String> {
    let text: String = text.split_whitespace().collect();
    let servers = text.split(',').map(server).collect::<Result<Vec<_>, _>>()?;
    if servers.len() > FAILOVER_SERVERS {
        return Err(format!(
            "more than {FAILOVER_SERVERS} servers in failoverUrls"
        ));
    }
    Ok(servers)
}

fn server(item: &str) -> Result<Value, String> {
    let (scheme, place) = match item.split_once("://") {
        Some((scheme, place)) => (Some(scheme), place),
        None => (None, item),
    };
    if let Some(scheme) = scheme
        && !matches!(scheme, "amqp" | "amqps")
    {
        return Err(format!(
            "failover item '{item}': the scheme is neither amqp nor amqps"
        ));
    }
    let (host, port) = host_and_port(place)
        .ok_or_else(|| format!("failover item '{item}': an address of IPv6 needs brackets"))?;
    if host.is_empty() {
        return Err("No network host in failover item".to_owned());
    }
    if host.len() > SERVER_NAME_BYTES || port.len() > SERVER_NAME_BYTES {
        return Err(format!(
            "a failover item is longer than {SERVER_NAME_BYTES} bytes"
        ));
    }
    let mut map = Map::new();
    let entries = [
        ("network-host", Some(host)),
        ("port", Some(port)),
        ("scheme", scheme),
    ];
    for (name, text) in entries {
        if let Some(text) = text {
            map.push(Value::symbol(name), Value::String(Str::copy(text)));
        }
    }
    Ok(Value::Map(map))
}

/// Host and port of `HOST`, `HOST:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT`.
fn host_and_port(place: &str) -> Option<(&str, &str)> {
    if let Some(bracketed) = place.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        let port = match rest {
            "" => DEFAULT_PORT,
            rest => rest.strip_prefix(':')?,
        };
        return Some((host, port));
    }
    match place.split_once(':') {
        None => Some((place, DEFAULT_PORT)),
        Some((_, port)) if port.contains(':') => None,
        Some((host, "")) => Some((host, DEFAULT_PORT)),
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<[Option<String>; 3]> {
        let list = failover_list(text).unwrap();
        let entry = |value: &Value| {
            let map = value.as_map().unwrap();
            ["network-host", "port", "scheme"]
                .map(|name| map.get(name).and_then(Value::as_str).map(str::to_owned))
        };
        list.iter().map(entry).collect()
    }

    #[test]
    fn servers_are_read_with_and_without_port_and_scheme() {
        let text = "second:25000, amqps://third : 5671,fourth, amqp://[::1]:1,[::2]";
        let some = |text: &str| Some(text.to_owned());
        let expected = [
            [some("second"), some("25000"), None],
            [some("third"), some("5671"), some("amqps")],
            [some("fourth"), some("5672"), None],
            [some("::1"), some("1"), some("amqp")],
            [some("::2"), some("5672"), None],
        ];
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn what_nobody_could_dial_is_refused() {
        let refused = |text: &str| failover_list(text).unwrap_err();
        for text in ["", "a,,b", ":5672", "amqp://", "[]:1"] {
            assert_eq!(refused(text), "No network host in failover item", "{text}");
        }
        assert!(refused("http://a").contains("'http://a'"));
        assert!(refused("::1").contains("brackets"));
        assert!(refused("[::1").contains("brackets"));
        assert!(refused(&"x".repeat(300)).contains("255"));
        assert!(refused(&"a,".repeat(100)).len() < 100);
        assert!(refused(&vec!["a"; 100].join(",")).contains("16"));
    }
}
