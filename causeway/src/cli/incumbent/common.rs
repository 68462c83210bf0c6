//! What `qdstat` and `qdmanage` have in common.
//!
//! Owns their options to reach a router, the words of their failures and their exit statuses: 1
//! with `<Class>: <text>` on standard output for what happens at run time, 2 with the usage on
//! standard error for a command line that makes no sense.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args, Command};

use crate::cli::client::endpoint::{Endpoint, PORT_SECURE};
use crate::cli::client::secure::TlsOptions;
use crate::cli::client::{ConnectOptions, container_name};
use crate::cli::failure::Failure;
use crate::cli::manager::{Node, Trouble};
use crate::cli::{screen, secret};

/// The version whose tools these stand in for.
const OFFERED_VERSION: &str = "1.19.0";

/// All mechanisms: these tools never minded who can see a password.
const ANY_MECHANISM: &str = "EXTERNAL SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN ANONYMOUS";

/// The longest time that is waited for anything.
const TIME_OUT_MAX_SECONDS: f64 = 366.0 * 24.0 * 3600.0;

/// Options that both tools have.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// Print the version that this program stands in for.
    #[arg(long)]
    pub(super) version: bool,
    /// Show more.
    #[arg(short, long, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// Ask this router of the network.
    #[arg(short, long, value_name = "ROUTER-ID", group = "target")]
    pub(super) router: Option<String>,
    /// Ask this edge router.
    #[arg(short = 'd', long, value_name = "EDGE-ROUTER-ID", group = "target")]
    pub(super) edge_router: Option<String>,
    /// Where a router listens.
    #[arg(
        short,
        long,
        value_name = "URL",
        default_value = "0.0.0.0",
        help_heading = "Connection"
    )]
    bus: String,
    /// The longest time to wait for anything, in seconds.
    #[arg(
        short,
        long,
        value_name = "SECS",
        default_value_t = 5.0,
        help_heading = "Connection"
    )]
    timeout: f64,
    /// The certificate to be known by (PEM).
    #[arg(long, value_name = "CERT", help_heading = "Connection")]
    ssl_certificate: Option<PathBuf>,
    /// The key of that certificate (PEM).
    #[arg(long, value_name = "KEY", help_heading = "Connection")]
    ssl_key: Option<PathBuf>,
    /// The authorities that are trusted (PEM).
    #[arg(long, value_name = "TRUSTED-CA-DB", help_heading = "Connection")]
    ssl_trustfile: Option<PathBuf>,
    /// The password of the key.
    #[arg(long, value_name = "PASSWORD", help_heading = "Connection")]
    ssl_password: Option<String>,
    /// A file with the password of the key.
    #[arg(long, value_name = "SSL-PASSWORD-FILE", help_heading = "Connection")]
    ssl_password_file: Option<PathBuf>,
    /// The mechanisms that may be used, separated by blanks.
    #[arg(long, value_name = "SASL-MECHANISMS", help_heading = "Connection")]
    sasl_mechanisms: Option<String>,
    /// The user.
    #[arg(long, value_name = "SASL-USERNAME", help_heading = "Connection")]
    sasl_username: Option<String>,
    /// The user's password.
    #[arg(long, value_name = "SASL-PASSWORD", help_heading = "Connection")]
    sasl_password: Option<String>,
    /// A file with the user's password.
    #[arg(long, value_name = "SASL-PASSWORD-FILE", help_heading = "Connection")]
    sasl_password_file: Option<PathBuf>,
    /// Do not check that the router's certificate is for its host: insecure.
    #[arg(long, help_heading = "Connection")]
    ssl_disable_peer_name_verify: bool,
}

/// What went wrong at run time, in the words of these tools.
pub(super) struct Complaint {
    class: String,
    text: String,
}

impl Complaint {
    pub(super) fn new(class: &str, text: impl Into<String>) -> Self {
        Self {
            class: class.to_owned(),
            text: text.into(),
        }
    }
}

impl Common {
    /// How the router is reached.
    pub(super) fn connect_options(&self) -> Result<ConnectOptions, Complaint> {
        let parsed: Result<Endpoint, String> = self.bus.parse();
        let url = parsed.map_err(|text| Complaint::new("ValueError", text))?;
        let wants_tls =
            url.is_secure || self.ssl_certificate.is_some() || self.ssl_trustfile.is_some();
        let password = match &self.sasl_password_file {
            Some(path) => Some(
                secret::from_file(path)
                    .map_err(|error| Complaint::new("OSError", error.to_string()))?,
            ),
            None => self.sasl_password.clone(),
        };
        let has_user = self.sasl_username.is_some() || url.login.credentials.is_some();
        let is_known = has_user || self.sasl_mechanisms.is_some() || password.is_some();
        let tls = match wants_tls {
            true => TlsOptions {
                ssl_trustfile: self.ssl_trustfile.clone(),
                ssl_certificate: self.ssl_certificate.clone(),
                ssl_key: self
                    .ssl_key
                    .clone()
                    .or_else(|| self.ssl_certificate.clone()),
                // The file wins where both are given.
                ssl_password: match self.ssl_password_file {
                    Some(_) => None,
                    None => self.ssl_password.clone(),
                },
                ssl_password_file: self.ssl_password_file.clone(),
                ssl_disable_peer_name_verify: self.ssl_disable_peer_name_verify,
            },
            false => TlsOptions::default(),
        };
        let port = match url.port {
            // A port that nobody named is that of TLS.
            _ if wants_tls && !url.names_port => PORT_SECURE,
            port => port,
        };
        let mechanisms = self.sasl_mechanisms.clone();
        Ok(ConnectOptions {
            sasl_username: self.sasl_username.clone(),
            sasl_password: password,
            sasl_mechanisms: mechanisms.or_else(|| has_user.then(|| ANY_MECHANISM.to_owned())),
            no_sasl: !wants_tls && !is_known,
            tls,
            asks_nobody: true,
            ..ConnectOptions::to(Endpoint { port, ..url })
        })
    }

    /// Whom to ask: an address in the URL wins.
    pub(super) fn node(&self, options: &ConnectOptions) -> Node {
        match &options.url.address {
            Some(address) => Node::At(address.clone()),
            None => Node::of(self.router.as_deref(), self.edge_router.as_deref()),
        }
    }

    pub(super) fn time_out(&self) -> Duration {
        let seconds = match self.timeout.is_nan() {
            true => 0.0,
            false => self.timeout.clamp(0.0, TIME_OUT_MAX_SECONDS),
        };
        Duration::from_secs_f64(seconds)
    }
}

/// A failure in the words of these tools.
pub(super) fn in_known_words(trouble: Trouble, options: &ConnectOptions) -> Complaint {
    let scheme = match options.url.is_secure || options.tls.ask() {
        true => "amqps",
        false => "amqp",
    };
    let bus = format!("{scheme}://{}", options.url);
    match trouble {
        Trouble::Lost(failure) => lost(&bus, &failure),
        Trouble::Unreachable(_) => Complaint::new("SendException", "RELEASED"),
        Trouble::Silent {
            failure,
            sent: true,
            ..
        } => Complaint::new("Timeout", format!("Connection {bus} timed out: {failure}")),
        Trouble::Silent {
            sent: false,
            address,
            ..
        } => {
            let sender = container_name("manager");
            let text = format!("Connection {bus} timed out: Sending on sender {sender}-{address}");
            Complaint::new("Timeout", text)
        }
        Trouble::Refused {
            status,
            description,
            ..
        } => {
            let class = match status {
                400 => "BadRequestStatus",
                401 => "UnauthorizedStatus",
                403 => "ForbiddenStatus",
                404 => "NotFoundStatus",
                500 => "InternalServerErrorStatus",
                501 => "NotImplementedStatus",
                _ => "ManagementError",
            };
            Complaint::new(class, description)
        }
    }
}

fn lost(bus: &str, failure: &Failure) -> Complaint {
    let said = failure.to_string();
    let is_late = said.contains(" within ") || said.contains("timed out");
    if is_late {
        let what = match said.contains("attach a link") {
            true => "Opening link",
            false => "Opening connection",
        };
        let text = format!("Connection {bus} timed out: {what}");
        return Complaint::new("Timeout", text);
    }
    let reason = if said.contains("Connection refused") {
        "Condition('proton.pythonio', 'Connection refused to all addresses')".to_owned()
    } else if said.starts_with("TLS with ") || said.starts_with("no TLS with ") {
        let verification = match said.contains("certificate") {
            true => "certificate verify failed: ",
            false => "",
        };
        format!("Condition('amqp:connection:framing-error', 'SSL Failure: {verification}{said}')")
    } else {
        said
    };
    let text = format!("Connection {bus} disconnected: {reason}");
    Complaint::new("ConnectionException", text)
}

/// Ends a tool: what happened at run time goes where its result would.
pub(super) fn ended(result: Result<(), Complaint>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Where even that cannot be written nobody is left to be told.
        Err(Complaint { class, text }) => {
            drop(screen::say(&format!("{class}: {text}")));
            ExitCode::FAILURE
        }
    }
}

impl From<std::io::Error> for Complaint {
    fn from(error: std::io::Error) -> Self {
        Self::new("OSError", error.to_string())
    }
}

/// A command line that makes no sense.
pub(super) fn misused(program: &str, command: &mut Command, text: &str) -> ExitCode {
    let usage = command.render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    screen::complain(&format!("usage: {usage}\n{program}: error: {text}"));
    ExitCode::from(2)
}

/// What the parser of the command line has to say: help, or what makes no sense.
pub(super) fn unparsed(program: &str, command: &mut Command, error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match error.print() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let said = error.to_string();
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    let said = said.split("\n\n").next().unwrap_or(said);
    misused(program, command, said)
}

pub(super) fn say_version() -> Result<(), Complaint> {
    Ok(screen::say(OFFERED_VERSION)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Alone {
        #[command(flatten)]
        common: Common,
    }

    fn common(arguments: &[&str]) -> Common {
        let all = std::iter::once("tool").chain(arguments.iter().copied());
        Alone::try_parse_from(all).unwrap().common
    }

    fn options(arguments: &[&str]) -> ConnectOptions {
        let options = common(arguments).connect_options();
        options.unwrap_or_else(|complaint| panic!("{}", complaint.text))
    }

    #[test]
    fn sasl_is_spoken_only_where_it_is_asked_for() {
        assert!(options(&[]).no_sasl);
        assert_eq!(options(&[]).url.to_string(), "0.0.0.0:5672");
        for arguments in [
            &["--sasl-username", "u"][..],
            &["--sasl-mechanisms", "ANONYMOUS"],
            &["-b", "amqp://u:p@h"],
            &["-b", "amqps://h"],
            &["--ssl-trustfile", "f"],
        ] {
            assert!(!options(arguments).no_sasl, "{arguments:?}");
        }
        assert_eq!(options(&["--ssl-trustfile", "f"]).url.port, 5671);
        for (bus, port) in [("h:amqp", 5672), ("h:5672", 5672), ("u:5672@h", 5671)] {
            let named = options(&["--ssl-trustfile", "f", "-b", bus]);
            assert_eq!(named.url.port, port, "{bus}");
        }
        assert!(!options(&["--ssl-disable-peer-name-verify"]).tls.ask());
    }

    #[test]
    fn an_address_in_the_url_is_whom_to_ask() {
        let node = |arguments: &[&str]| {
            let common = common(arguments);
            common.node(&options(arguments))
        };
        assert_eq!(node(&[]).address(), "$management");
        assert_eq!(node(&["-r", "A"]).address(), "_topo/0/A/$management");
        assert_eq!(node(&["-d", "E"]).address(), "_edge/E/$management");
        assert_eq!(node(&["-r", "A", "-b", "h:1/x/y"]).address(), "x/y");
    }

    #[test]
    fn failures_are_in_the_words_that_scripts_look_for() {
        let words = |trouble: Trouble| {
            let options = ConnectOptions::to("amqp://127.0.0.1:7".parse().unwrap());
            let Complaint { class, text } = in_known_words(trouble, &options);
            format!("{class}: {text}")
        };
        let refused = Trouble::Refused {
            what: "the router".into(),
            status: 404,
            description: "No entity with name=nosuch".into(),
        };
        assert_eq!(words(refused), "NotFoundStatus: No entity with name=nosuch");
        let nobody =
            Failure::new("cannot connect to 127.0.0.1:7: Connection refused (os error 111)");
        assert_eq!(
            words(nobody.into()),
            "ConnectionException: Connection amqp://127.0.0.1:7 disconnected: \
             Condition('proton.pythonio', 'Connection refused to all addresses')"
        );
        let silent = Trouble::Silent {
            failure: Failure::new("no credit"),
            sent: false,
            address: "_topo/0/NOSUCH/$management".into(),
        };
        let said = words(silent);
        let begins = "Timeout: Connection amqp://127.0.0.1:7 timed out: Sending on sender ";
        assert!(said.starts_with(begins), "{said}");
        assert!(said.ends_with("-_topo/0/NOSUCH/$management"), "{said}");
    }
}
