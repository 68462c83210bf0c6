//! Where to connect: `amqp://host:port` and its shorter forms.
//!
//! Owns the reading of such text; it resolves no names and opens no sockets. `amqps` is kept as a
//! demand that whoever connects has to meet: dropping it silently would send in the clear what was
//! meant to be protected.

use std::fmt;
use std::str::FromStr;

use amqp_proto::{Mechanism, Sasl, Transform};
use sasl::Credentials;

use crate::cli::client::secure::{Secure, TlsOptions};
use crate::cli::failure::Failure;
use crate::dialogue::Terms;

/// The port of AMQP without TLS.
pub const PORT_DEFAULT: u16 = 5672;

/// The port of AMQP inside TLS.
pub const PORT_SECURE: u16 = 5671;

/// A host and a port; perhaps an address that followed them.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Somebody named the port: it is not the usual one for want of another.
    pub names_port: bool,
    /// What followed the port in the URL, without the first `/`.
    pub address: Option<String>,
    /// As whom.
    pub login: Login,
    /// TLS is asked for.
    pub is_secure: bool,
    /// The URL says `amqp://`: of several, this one is meant to be in the clear.
    pub says_clear: bool,
    /// How TLS is spoken; none before options have been looked at.
    pub secure: Option<Secure>,
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
    /// A port of this machine, in plain text, as nobody in particular.
    #[must_use]
    pub fn local(port: u16) -> Self {
        Self::plain("127.0.0.1", port)
    }

    /// A port of a host, in plain text, as nobody in particular.
    #[must_use]
    pub fn plain(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            names_port: true,
            address: None,
            login: Login::default(),
            is_secure: false,
            says_clear: false,
            secure: None,
        }
    }

    /// The same place without the address.
    #[must_use]
    pub fn without_address(&self) -> Self {
        Self {
            address: None,
            ..self.clone()
        }
    }

    /// Reads what is needed for TLS, if the URL or an option asks for that.
    ///
    /// # Errors
    /// Whatever is wrong with the files.
    pub fn prepare(&mut self, options: &TlsOptions) -> Result<(), Failure> {
        self.is_secure |= options.ask();
        if self.is_secure {
            self.secure = Some(options.read()?);
        }
        Ok(())
    }

    /// What stands between the engine and the socket of a connection there.
    ///
    /// # Errors
    /// If TLS is asked for and there can be none.
    pub fn stage(&self) -> Result<Box<dyn Transform>, Failure> {
        match &self.secure {
            Some(secure) => secure.stage(&self.host),
            None if self.is_secure => Err(Failure::new(format!("no TLS with {self}: no files"))),
            None => Ok(tls::plain()),
        }
    }

    /// The security layer that is asked for.
    #[must_use]
    pub fn sasl(&self) -> Sasl {
        match self.login == Login::default() && !self.has_certificate() {
            true => Sasl::Client {
                mechanism: Mechanism::Anonymous,
            },
            false => Sasl::Asked,
        }
    }

    fn has_certificate(&self) -> bool {
        self.secure.as_ref().is_some_and(Secure::has_certificate)
    }

    /// What is said in it.
    pub(crate) fn terms(&self) -> Terms {
        let mechanisms = self.login.mechanisms.clone();
        let names_plain = |names: &Vec<String>| names.iter().any(|name| name == "PLAIN");
        Terms {
            may_show_password: self.is_secure || mechanisms.as_ref().is_some_and(names_plain),
            mechanisms,
            credentials: self.login.credentials.clone(),
            missing: None,
            has_certificate: self.has_certificate(),
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (is_secure, rest) = match text.split_once("://") {
            Some(("amqp", rest)) => (false, rest),
            Some(("amqps", rest)) => (true, rest),
            Some((scheme, _)) => {
                return Err(format!("`{scheme}` is no scheme; use amqp:// or amqps://"));
            }
            None => (false, text),
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
        let usual = if is_secure { PORT_SECURE } else { PORT_DEFAULT };
        let host = if host.is_empty() { "127.0.0.1" } else { host };
        Ok(Self {
            host: host.to_owned(),
            port: port.unwrap_or(usual),
            names_port: port.is_some(),
            address: address.map(str::to_owned),
            login,
            is_secure,
            says_clear: text.starts_with("amqp://"),
            secure: None,
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
fn split_port(authority: &str) -> Result<(&str, Option<u16>), String> {
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
        None => Ok((host, None)),
        Some("amqp") => Ok((host, Some(PORT_DEFAULT))),
        Some("amqps") => Ok((host, Some(PORT_SECURE))),
        Some(port) => match port.parse() {
            Ok(0) | Err(_) => Err(format!("`{port}` is no port")),
            Ok(port) => Ok((host, Some(port))),
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
    fn a_secure_url_has_a_port_of_its_own_and_is_never_plain_text() {
        assert_eq!(endpoint("amqps://h"), ("h".into(), 5671, None));
        assert_eq!(endpoint("amqps://h:7/q"), ("h".into(), 7, Some("q".into())));
        assert_eq!(endpoint("h:amqps").1, 5671);
        let says_clear = |text: &str| text.parse::<Endpoint>().unwrap().says_clear;
        assert!(says_clear("amqp://h") && !says_clear("amqps://h") && !says_clear("h:1"));
        let secure: Endpoint = "amqps://h".parse().unwrap();
        assert!(secure.is_secure && !Endpoint::local(1).is_secure);
        assert!(secure.stage().is_err());
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        let refused = |text: &str| text.parse::<Endpoint>().unwrap_err();
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
