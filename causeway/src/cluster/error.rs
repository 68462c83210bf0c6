//! Why a cluster cannot do what it is asked for, in words for a person.

use std::fmt;
use std::io;
use std::time::Duration;

/// The most routers of a cluster; each has threads of its own.
pub const ROUTERS_MAX: usize = 64;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterError {
    /// More routers than [`ROUTERS_MAX`], or none.
    BadCount(usize),
    /// The text names no topology.
    UnknownTopology(String),
    /// A name that no router can have.
    BadName(String),
    /// There is a router of that name.
    RouterExists(String),
    /// There is no router of that name; the names that there are.
    UnknownRouter(String, Vec<String>),
    /// There is no link between these; the links that there are.
    UnknownLink(String, Vec<String>),
    /// A link that cannot be: between a router and itself, a second one between the same two, or
    /// of no cost.
    BadLink(String),
    /// The router runs.
    Running(String),
    /// The router was killed.
    NotRunning(String),
    /// A router could not start.
    NotStarted {
        /// Its name.
        router: String,
        /// Why.
        text: String,
    },
    /// A router's port is taken, or is none.
    PortTaken {
        /// Its name.
        router: String,
        /// The port.
        port: u32,
        /// What the operating system says.
        text: String,
    },
    /// A router does not tell of itself.
    NoAnswer {
        /// Its name.
        router: String,
        /// What happened instead.
        text: String,
    },
    /// Not all routers knew what they should after so long.
    NotConverged {
        /// How long that was.
        waited: Duration,
        /// What was wrong at the end, a router each.
        wrong: Vec<String>,
    },
    /// The operating system refuses.
    System(String),
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadCount(count) => write!(
                f,
                "a cluster of {count} routers cannot be: 1 to {} can",
                ROUTERS_MAX
            ),
            Self::UnknownTopology(text) => write!(
                f,
                "`{text}` is no topology: line, ring, star, full, or links such as A-B,B-C:5"
            ),
            Self::BadName(name) => write!(
                f,
                "`{name}` cannot be the name of a router: letters, digits, `_` and `.` can"
            ),
            Self::RouterExists(name) => write!(f, "there is a router `{name}` already"),
            Self::UnknownRouter(name, names) => {
                write!(f, "there is no router `{name}`, only {}", names.join(", "))
            }
            Self::UnknownLink(name, links) if links.is_empty() => {
                write!(f, "there is no link {name}, nor any other")
            }
            Self::UnknownLink(name, links) => {
                write!(f, "there is no link {name}, only {}", links.join(", "))
            }
            Self::BadLink(text) => f.write_str(text),
            Self::Running(name) => write!(f, "router {name} runs already"),
            Self::NotRunning(name) => write!(f, "router {name} does not run"),
            Self::NotStarted { router, text } => {
                write!(f, "router {router} could not start: {text}")
            }
            Self::PortTaken { router, port, text } => {
                write!(f, "router {router} cannot listen on port {port}: {text}")
            }
            Self::NoAnswer { router, text } => {
                write!(f, "router {router} does not tell of itself: {text}")
            }
            Self::NotConverged { waited, wrong } => write!(
                f,
                "after {} ms the routers do not know each other as they should: {}",
                waited.as_millis(),
                wrong.join("; ")
            ),
            Self::System(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ClusterError {}

impl From<io::Error> for ClusterError {
    fn from(error: io::Error) -> Self {
        Self::System(error.to_string())
    }
}
