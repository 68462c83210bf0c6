//! One router of a cluster: its configuration, and its lives between start and kill.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::ClusterError;
use super::report::{Reporter, RouterReport};
use super::wires::{Entry, Wires};
use crate::config::{self, ConfigError, Configuration};
use crate::log::{Log, Module, Output, Row};
use crate::pipe::{Doors, PIPE};
use crate::router::{End, Router, RunSettings};

/// The names of its listeners.
const CLIENTS: &str = "clients";
const ROUTERS: &str = "routers";

/// Lines of the log in which the reason of a failure is looked for.
const LAST_LINES: usize = 50;

/// A link that the router dials.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    /// The router at its other end.
    pub(super) peer: String,
    /// Where the relay takes connections for it.
    pub(super) at: Entry,
    pub(super) cost: u32,
}

impl Dial {
    /// The name of its connector.
    fn name(&self) -> String {
        format!("to-{}", self.peer)
    }
}

/// What is the same for all routers of a cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Common {
    pub(super) wires: Wires,
    pub(super) workers: u16,
    pub(super) router_attributes: String,
    pub(super) sections: String,
    pub(super) logs: Option<PathBuf>,
}

pub(super) struct Member {
    pub(super) name: String,
    pub(super) dials: Vec<Dial>,
    /// The port for clients; 0 until the system has given one, then always the same.
    port: u16,
    log: Option<Log>,
    running: Option<Running>,
}

struct Running {
    router: Router,
    clients: SocketAddr,
    routers: Entry,
    reporter: Reporter,
}

impl Member {
    /// A router that does not run yet; port 0 is any.
    pub(super) fn new(name: String, port: u16, dials: Vec<Dial>) -> Self {
        Self {
            name,
            dials,
            port,
            log: None,
            running: None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| !running.router.has_ended())
    }

    /// The port for clients; 0 if it has never run and was given none.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Where other routers are to be led to.
    pub(super) fn entry(&self) -> Option<Entry> {
        let running = self.running.as_ref();
        running.map(|running| running.routers.clone())
    }

    /// Starts it.
    pub(super) fn start(&mut self, common: &Common) -> Result<(), ClusterError> {
        if self.is_running() {
            return Err(ClusterError::Running(self.name.clone()));
        }
        self.running = None;
        let file: Arc<str> = format!("{}.conf", self.name).into();
        let text = self.configuration(common);
        let mut configuration =
            config::parse(&file, &text).map_err(|errors| self.misconfigured(&errors))?;
        if common.wires == Wires::Pipes {
            self.connect_by_pipes(&mut configuration);
        }
        let output = match &common.logs {
            Some(folder) => Output::File(folder.join(format!("{}.log", self.name))),
            None => Output::named("/dev/null"),
        };
        configuration.log.module_mut(Module::Default).output = Some(output);
        let not_started = |text| ClusterError::NotStarted {
            router: self.name.clone(),
            text,
        };
        let log = Log::start(&configuration.log).map_err(not_started)?;
        let settings = RunSettings {
            workers: Some(common.workers),
            ..RunSettings::default()
        };
        let doors = self.doors(common.wires);
        let router = Router::start_among(&configuration, settings, log.clone(), doors)
            .map_err(not_started)?;
        let at = |name: &str| {
            let mut listening = router.listening().iter();
            listening
                .find(|listening| listening.name == name)
                .map(|listening| listening.address)
        };
        let routers = match common.wires {
            Wires::Sockets => at(ROUTERS).map(Entry::Port),
            Wires::Pipes => Some(Entry::Door(router.door().clone())),
        };
        let (Some(clients), Some(routers)) = (at(CLIENTS), routers) else {
            return Err(self.port_taken(&log));
        };
        self.port = clients.port();
        self.log = Some(log);
        self.running = Some(Running {
            router,
            clients,
            routers,
            reporter: Reporter::default(),
        });
        Ok(())
    }

    /// Ends it as if its process had been killed.
    pub(super) fn kill(&mut self) -> Result<(), ClusterError> {
        let Some(running) = self.running.take() else {
            return Err(ClusterError::NotRunning(self.name.clone()));
        };
        running.router.handle().kill();
        match running.router.wait() {
            End::Killed | End::Stopped | End::RequiredListener => Ok(()),
        }
    }

    /// Asks it to end in good order, without waiting for it.
    pub(super) fn stop(&self) {
        if let Some(running) = &self.running {
            running.router.handle().stop();
        }
    }

    /// What it says.
    pub(super) fn report(&mut self) -> Result<RouterReport, ClusterError> {
        let Some(running) = &mut self.running else {
            return Err(ClusterError::NotRunning(self.name.clone()));
        };
        let report = running.reporter.report(&self.name, running.clients);
        report.map_err(|failure| ClusterError::NoAnswer {
            router: self.name.clone(),
            text: failure.to_string(),
        })
    }

    /// The newest lines of its log, of its life now or of the last one.
    pub(super) fn log(&self, count: usize) -> Vec<Row> {
        let Some(log) = &self.log else {
            return Vec::new();
        };
        log.flush();
        log.recent(count)
    }

    fn configuration(&self, common: &Common) -> String {
        let Self { name, port, .. } = self;
        let Common {
            router_attributes,
            sections,
            ..
        } = common;
        let mut text = format!(
            "router {{\n mode: interior\n id: {name}\n{router_attributes}\n}}\n\
             listener {{\n name: {CLIENTS}\n host: 127.0.0.1\n port: {port}\n role: normal\n \
             saslMechanisms: ANONYMOUS\n authenticatePeer: no\n}}\n\
             listener {{\n name: {ROUTERS}\n host: 127.0.0.1\n port: 0\n role: inter-router\n \
             saslMechanisms: ANONYMOUS\n authenticatePeer: no\n}}\n"
        );
        for dial in &self.dials {
            let (Dial { peer, at, cost }, name) = (dial, dial.name());
            let (host, port) = match at {
                Entry::Port(at) => (at.ip().to_string(), at.port()),
                Entry::Door(_) => (peer.clone(), 0),
            };
            let section = format_args!(
                "connector {{\n name: {name}\n host: {host}\n port: {port}\n \
                 role: inter-router\n cost: {cost}\n}}\n"
            );
            text.write_fmt(section).expect("a string takes everything");
        }
        text + sections
    }

    /// Puts pipes where the configuration has ports, as no text of one can.
    fn connect_by_pipes(&self, configuration: &mut Configuration) {
        let dials: Vec<String> = self.dials.iter().map(Dial::name).collect();
        for placed in &mut configuration.entities {
            let [listens, connects] = ["listener", "connector"].map(|of| placed.is_of_type(of));
            let entity = &mut placed.entity;
            let name = entity.text("name").unwrap_or_default();
            if listens && name == ROUTERS {
                entity.set("host", Some(self.name.clone().into()));
                entity.set("port", Some(PIPE.to_owned().into()));
            } else if connects && dials.iter().any(|dial| dial == name) {
                entity.set("port", Some(PIPE.to_owned().into()));
            }
        }
    }

    /// The doors of the links that it dials.
    fn doors(&self, wires: Wires) -> Doors {
        let door = |dial: &Dial| match &dial.at {
            Entry::Door(door) => Some((dial.peer.clone(), door.clone())),
            Entry::Port(_) => None,
        };
        let doors: BTreeMap<_, _> = self.dials.iter().filter_map(door).collect();
        (wires == Wires::Pipes).then_some(doors)
    }

    fn misconfigured(&self, errors: &[ConfigError]) -> ClusterError {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        ClusterError::NotStarted {
            router: self.name.clone(),
            text: errors.join("; "),
        }
    }

    fn port_taken(&self, log: &Log) -> ClusterError {
        log.flush();
        let rows = log.recent(LAST_LINES);
        let said = rows.iter().rev().find_map(|row| {
            let (_, reason) = row
                .text
                .strip_prefix("Listener error on ")?
                .split_once(": ")?;
            Some(reason.split(" - ").next().unwrap_or(reason).to_owned())
        });
        ClusterError::PortTaken {
            router: self.name.clone(),
            port: self.port.into(),
            text: said.unwrap_or_else(|| "the router says nothing of it".to_owned()),
        }
    }
}
