//! Where to connect: `amqp://host:port` and its shorter forms.
//!
//! Owns the reading of such text; it resolves no names and opens no sockets. Parts of a URL that
//! this client cannot honour (`amqps`) are errors: dropping them silently would send in the clear
//! what was meant to be protected.

use std::fmt;
use std::str::FromStr;

use amqp_proto::{Mechanism, Sasl};
use sasl::Credentials;

use crate::dialogue::Terms;

/// The port of AMQP without TLS.
pub const PORT_DEFAULT: u16 = 5672;

/// A host and a port; perhaps an address that followed them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// What followed the port in the URL, without the first `/`.
    pub address: Option<String>,
    /// As whom.
    pub login: Login,
}

/// Who authenticates, and how.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Login {
    /// Name and password; `None`: nobody.
    pub credentials: Option<Credentials>,
    /// The mechanisms consented to; `None`: all that keep the password to those who know it.
    pub mechanisms: Option<Vec<String>>,
}

impl Endpoint {
    /// The same place without the address.
    #[must_use]
    pub fn without_address(&self) -> Self {
        Self {
            host: self.host.clone(),
            port: self.port,
            address: None,
            login: self.login.clone(),
        }
    }

    /// The security layer that is asked for.
    #[must_use]
    pub fn sasl(&self) -> Sasl {
        match self.login == Login::default() {
            true => Sasl::Client {
                mechanism: Mechanism::Anonymous,
            },
            false => Sasl::Asked,
        }
    }

    /// What is said in it.
    pub(crate) fn terms(&self) -> Terms {
        let mechanisms = self.login.mechanisms.clone();
        let names_plain = |names: &Vec<String>| names.iter().any(|name| name == "PLAIN");
        Terms {
            may_show_password: mechanisms.as_ref().is_some_and(names_plain),
            mechanisms,
            credentials: self.login.credentials.clone(),
            missing: None,
            has_certificate: false,
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = match text.split_once("://") {
            Some(("amqp", rest)) => rest,
            Some(("amqps", _)) => return Err("TLS (amqps) is not supported here yet".into()),
            Some((scheme, _)) => return Err(format!("`{scheme}` is no scheme; use amqp://")),
            None => text,
        };
        let (authority, address) = match rest.split_once('/') {
            Some((authority, address)) if !address.is_empty() => (authority, Some(address)),
            Some((authority, _)) => (authority, None),
            None => (rest, None),
        };
        // A password that is not encoded may have an `@` in it.
        let (login, authority) = match authority.rsplit_once('@') {
            Some((login, authority)) => (self::login(login)?, authority),
            None => (Login::default(), authority),
        };
        let (host, port) = split_port(authority)?;
        let host = if host.is_empty() { "127.0.0.1" } else { host };
        Ok(Self {
            host: host.to_owned(),
            port,
            address: address.map(str::to_owned),
            login,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Reads `user` or `user:password`.
fn login(text: &str) -> Result<Login, String> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let credentials = Credentials {
        user: decoded(user)?,
        password: decoded(password)?,
    };
    Ok(Login {
        credentials: Some(credentials),
        mechanisms: None,
    })
}

/// A part of a URL without its percent encoding.
fn decoded(text: &str) -> Result<String, String> {
    let odd = || "user name or password: `%` stands before two hexadecimal digits".to_owned();
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or_else(odd)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| odd())?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| odd())
}

/// Splits `host`, `host:port`, `:port`, `[v6]`, `[v6]:port`.
fn split_port(authority: &str) -> Result<(&str, u16), String> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest
            .split_once(']')
            .ok_or_else(|| format!("`{authority}` lacks the closing bracket"))?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(format!("`{rest}` after the closing bracket is no port")),
        }
    } else if authority.matches(':').count() > 1 {
        return Err("an IPv6 address stands in brackets: [::1]:5672".into());
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    match port {
        None | Some("amqp") => Ok((host, PORT_DEFAULT)),
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => Err(format!("`{port}` is no port")),
            Ok(port) => Ok((host, port)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> (String, u16, Option<String>) {
        let endpoint: Endpoint = text.parse().unwrap();
        (endpoint.host, endpoint.port, endpoint.address)
    }

    #[test]
    fn short_forms_mean_the_default_port_and_this_machine() {
        assert_eq!(endpoint("amqp://h:1"), ("h".into(), 1, None));
        assert_eq!(endpoint("h"), ("h".into(), 5672, None));
        assert_eq!(endpoint(":7"), ("127.0.0.1".into(), 7, None));
        assert_eq!(endpoint("[::1]"), ("::1".into(), 5672, None));
        assert_eq!(endpoint("amqp://[::1]:9/"), ("::1".into(), 9, None));
        assert_eq!(
            endpoint("amqp://h/a/b"),
            ("h".into(), 5672, Some("a/b".into()))
        );
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        let refused = |text: &str| text.parse::<Endpoint>().unwrap_err();
        assert!(refused("amqps://h").contains("TLS"));
        assert!(refused("http://h").contains("no scheme"));
        assert!(refused("amqp://me:%zz@h").contains("hexadecimal"));
        assert!(refused("amqp://me:%a@h").contains("hexadecimal"));
        assert!(refused("h:0").contains("no port"));
        assert!(refused("h:70000").contains("no port"));
        assert!(refused("::1").contains("brackets"));
        assert!(refused("[::1").contains("bracket"));
        assert!(refused("[::1]x").contains("no port"));
    }

    #[test]
    fn who_connects_stands_before_the_host_and_is_not_printed() {
        let endpoint: Endpoint = "amqp://me:p%40ss%3a@word@h:7/q".parse().unwrap();
        assert_eq!(endpoint.to_string(), "h:7");
        assert!(!format!("{endpoint:?}").contains("word"));
        let credentials = endpoint.login.credentials.unwrap();
        assert_eq!(credentials.user, "me");
        assert_eq!(credentials.password, "p@ss:@word");
        let nobody: Endpoint = "h".parse().unwrap();
        assert_eq!(nobody.login, Login::default());
    }

    #[test]
    fn it_prints_as_it_is_connected_to() {
        let endpoint: Endpoint = "[::1]:9".parse().unwrap();
        assert_eq!(endpoint.to_string(), "[::1]:9");
    }
}
