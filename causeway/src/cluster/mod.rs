//! Several routers and the links between them, in one process.
//!
//! Owns the routers and, between each two that are linked, a relay that can cut, freeze and delay
//! what passes; it decides nothing about messages. Clients connect to real sockets of the loopback
//! interface, and so do the routers, or they are joined by pipes within the process: what a client
//! or a test sees here is what it would see in a network of machines. The simulator is for what
//! must be repeatable; this is for looking, trying and measuring.
//!
//! ```text
//!   client ─► A ──dials──► relay ──► B ◄─ client
//!                            ▲
//!                     cut, freeze, delay, heal
//! ```

mod converge;
mod error;
mod link;
mod member;
mod relay;
mod report;
mod topology;
mod tunnel;
mod wires;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use converge::{Expected, Reports};
use member::{Common, Dial, Member};
use relay::Relay;
use wires::Entry;

pub use error::{ClusterError, ROUTERS_MAX};
pub use link::LinkState;
pub use report::{AddressReport, RouterReport, Way};
pub use topology::{Edge, Topology};
pub use wires::Wires;

use crate::clock::Clock;
use crate::log::Row;

/// How often routers are asked whether they know each other.
const LOOK: Duration = Duration::from_millis(25);

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// How many routers, named `A`, `B`, `C` and so on; at most [`ROUTERS_MAX`].
    pub routers: usize,
    /// Which of them are linked.
    pub topology: Topology,
    /// What the links are made of.
    pub wires: Wires,
    /// The first router's port for clients, the others' follow; `None`: any that are free.
    pub first_port: Option<u16>,
    /// Worker threads of each router.
    pub workers: u16,
    /// Lines for each router's section `router`, such as `helloMaxAgeSeconds: 1`.
    pub router_attributes: String,
    /// Sections for each router, such as `address { … }`.
    pub sections: String,
    /// A folder for the logs, `A.log` and so on; `None`: they are kept in memory alone.
    pub logs: Option<PathBuf>,
}

impl Default for ClusterSettings {
    /// Three routers in a ring of sockets, of a worker each, on any free ports.
    fn default() -> Self {
        Self {
            routers: 3,
            topology: Topology::Ring,
            wires: Wires::Sockets,
            first_port: None,
            workers: 1,
            router_attributes: String::new(),
            sections: String::new(),
            logs: None,
        }
    }
}

/// Routers in this process and the links between them. Dropped, all of them end in good order.
///
/// ```
/// use std::time::Duration;
///
/// use causeway::{Cluster, ClusterError, ClusterSettings, Topology};
///
/// # fn main() -> Result<(), ClusterError> {
/// let patience = Duration::from_secs(60);
/// let mut cluster = Cluster::start(ClusterSettings {
///     routers: 3,
///     topology: Topology::Ring,
///     ..ClusterSettings::default()
/// })?;
/// cluster.wait_converged(patience)?;
/// println!("send to {}, receive from {}", cluster.url("A")?, cluster.url("C")?);
///
/// // What went straight from A to C goes by way of B.
/// cluster.cut("A", "C")?;
/// cluster.wait_converged(patience)?;
/// let ways = cluster.report("A")?.routers;
/// assert!(ways.iter().all(|way| way.to == "B" || way.next.as_deref() == Some("B")));
///
/// // Without B they are apart; with it they meet again.
/// cluster.kill("B")?;
/// cluster.wait_converged(patience)?;
/// assert!(cluster.report("A")?.routers.is_empty());
/// cluster.restart("B")?;
/// cluster.heal("A", "C")?;
/// cluster.wait_converged(patience)?;
/// # Ok(())
/// # }
/// ```
///
/// With [`Wires::Pipes`] the routers need no ports of each other, and nobody else can join them;
/// all else is the same.
pub struct Cluster {
    common: Common,
    first_port: Option<u16>,
    clock: Clock,
    members: Vec<Member>,
    links: Vec<Link>,
    /// Last, so that it outlives the routers: they take their leave of each other through it.
    relay: Relay,
}

/// A link and the number that the relay knows it by.
struct Link {
    edge: Edge,
    /// The router that is dialled.
    target: String,
    number: usize,
    state: LinkState,
}

impl Cluster {
    /// Starts the routers and their links; they need not know each other yet.
    ///
    /// # Errors
    ///
    /// Settings that cannot be, or a router that cannot start.
    pub fn start(settings: ClusterSettings) -> Result<Self, ClusterError> {
        if settings.routers == 0 || settings.routers > ROUTERS_MAX {
            return Err(ClusterError::BadCount(settings.routers));
        }
        let names: Vec<String> = (0..settings.routers).map(topology::name).collect();
        let edges = settings.topology.edges(&names)?;
        let mut cluster = Self {
            common: Common {
                wires: settings.wires,
                workers: settings.workers,
                router_attributes: settings.router_attributes,
                sections: settings.sections,
                logs: settings.logs,
            },
            first_port: settings.first_port,
            clock: Clock::start(),
            members: Vec::new(),
            links: Vec::new(),
            relay: Relay::start()?,
        };
        let place = |name: &String| names.iter().position(|other| other == name);
        for name in &names {
            // Who comes later dials, so that nobody has to dial twice.
            let dials = |edge: &&Edge| {
                let last = edge.ends.iter().max_by_key(|end| place(end));
                last == Some(name)
            };
            let edges: Vec<Edge> = edges.iter().filter(dials).cloned().collect();
            cluster.admit(name.clone(), edges)?;
        }
        Ok(cluster)
    }

    /// Adds a router, linked to those at these costs, and starts it.
    ///
    /// # Errors
    ///
    /// A name that cannot be or is taken, a link that cannot be, or the router cannot start.
    pub fn add(&mut self, name: &str, links: &[(&str, u32)]) -> Result<(), ClusterError> {
        topology::check_name(name)?;
        if self.members.len() >= ROUTERS_MAX {
            return Err(ClusterError::BadCount(self.members.len() + 1));
        }
        let mut names = self.names();
        if names.iter().any(|other| other == name) {
            return Err(ClusterError::RouterExists(name.to_owned()));
        }
        names.push(name.to_owned());
        let mut edges: Vec<Edge> = Vec::new();
        for (peer, cost) in links {
            let edge = Edge::new(*peer, name).cost(*cost);
            topology::check(&edge, &names, &edges)?;
            edges.push(edge);
        }
        self.admit(name.to_owned(), edges)
    }

    /// Kills a router as if its process had died: its sockets end, without a word on them.
    ///
    /// # Errors
    ///
    /// There is no such router, or it does not run.
    pub fn kill(&mut self, name: &str) -> Result<(), ClusterError> {
        let at = self.member(name)?;
        self.members[at].kill()?;
        self.lead_to(name, None)
    }

    /// Starts a router that was killed, at the same port.
    ///
    /// # Errors
    ///
    /// There is no such router, it runs, or its port was taken meanwhile.
    pub fn restart(&mut self, name: &str) -> Result<(), ClusterError> {
        let at = self.member(name)?;
        self.members[at].start(&self.common)?;
        let routers = self.members[at].entry();
        self.lead_to(name, routers.as_ref())
    }

    /// Cuts the link between two routers: its connection ends, and so does any new one.
    ///
    /// # Errors
    ///
    /// There is no such link.
    pub fn cut(&mut self, one: &str, other: &str) -> Result<(), ClusterError> {
        self.set_link(one, other, LinkState::Cut)
    }

    /// Lets bytes pass a link again, at once.
    ///
    /// # Errors
    ///
    /// There is no such link.
    pub fn heal(&mut self, one: &str, other: &str) -> Result<(), ClusterError> {
        self.set_link(one, other, LinkState::Up)
    }

    /// Makes a link so. One that was frozen does not go on where it was: its connection ends, and
    /// the routers make a new one.
    ///
    /// # Errors
    ///
    /// There is no such link.
    pub fn set_link(
        &mut self,
        one: &str,
        other: &str,
        state: LinkState,
    ) -> Result<(), ClusterError> {
        let at = self.link(one, other)?;
        self.relay.set(self.links[at].number, state)?;
        self.links[at].state = state;
        Ok(())
    }

    /// Ends one connection of a link, counted from the oldest. Routers that are busy with each
    /// other may have several; the others stay, and the link does.
    ///
    /// # Errors
    ///
    /// There is no such link, or it has no such connection.
    pub fn break_connection(
        &mut self,
        one: &str,
        other: &str,
        place: usize,
    ) -> Result<(), ClusterError> {
        let at = self.link(one, other)?;
        Ok(self.relay.break_one(self.links[at].number, place)?)
    }

    /// The names of all routers, in the order in which they came.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let names = self.members.iter().map(|member| member.name.clone());
        names.collect()
    }

    /// All links and how they are.
    pub fn links(&self) -> impl Iterator<Item = (&Edge, LinkState)> {
        self.links.iter().map(|link| (&link.edge, link.state))
    }

    /// Whether a router runs.
    ///
    /// # Errors
    ///
    /// There is no such router.
    pub fn is_running(&self, name: &str) -> Result<bool, ClusterError> {
        let at = self.member(name)?;
        Ok(self.members[at].is_running())
    }

    /// Where clients connect to a router, whether it runs or not.
    ///
    /// # Errors
    ///
    /// There is no such router.
    pub fn address(&self, name: &str) -> Result<SocketAddr, ClusterError> {
        let at = self.member(name)?;
        Ok((Ipv4Addr::LOCALHOST, self.members[at].port()).into())
    }

    /// The same as a URL for the client commands.
    ///
    /// # Errors
    ///
    /// There is no such router.
    pub fn url(&self, name: &str) -> Result<String, ClusterError> {
        Ok(format!("amqp://{}", self.address(name)?))
    }

    /// The newest lines of a router's log.
    ///
    /// # Errors
    ///
    /// There is no such router.
    pub fn log(&self, name: &str, count: usize) -> Result<Vec<Row>, ClusterError> {
        let at = self.member(name)?;
        Ok(self.members[at].log(count))
    }

    /// What a router says of itself and of the others.
    ///
    /// # Errors
    ///
    /// There is no such router, it does not run, or it does not answer.
    pub fn report(&mut self, name: &str) -> Result<RouterReport, ClusterError> {
        let at = self.member(name)?;
        self.members[at].report()
    }

    /// The routers that a router should have a way to, with what the cheapest one costs: those that
    /// run and that a path of running routers and of links that pass leads to.
    ///
    /// # Errors
    ///
    /// There is no such router.
    pub fn reachable(&self, name: &str) -> Result<BTreeMap<String, u64>, ClusterError> {
        self.member(name)?;
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        let mut seen = BTreeMap::from([(name.to_owned(), 0)]);
        while let Some((at, cost)) = cheapest(&seen) {
            seen.remove(&at);
            for link in self.links.iter().filter(|link| link.state.passes()) {
                let Some(far) = link.edge.other_end(&at) else {
                    continue;
                };
                if found.contains_key(far) || !self.is_running(far)? {
                    continue;
                }
                let cost = cost + u64::from(link.edge.cost);
                let known = seen.entry(far.to_owned()).or_insert(cost);
                *known = cost.min(*known);
            }
            found.insert(at, cost);
        }
        found.remove(name);
        Ok(found)
    }

    /// Waits until every router that runs has the cheapest way to each that it can reach and to no
    /// other, and the routers on that way would pass on what it sends.
    ///
    /// # Errors
    ///
    /// They do not within that time; the error names each router and what it lacks.
    pub fn wait_converged(&mut self, patience: Duration) -> Result<(), ClusterError> {
        self.wait(patience, converge::disagreements)
    }

    /// Waits until an address has receivers, and every router that runs knows of all those that it
    /// can reach. A message sent earlier can arrive at a router that does not know where to go on.
    ///
    /// # Errors
    ///
    /// They do not within that time; the error names each router and what it lacks.
    pub fn wait_address(&mut self, address: &str, patience: Duration) -> Result<(), ClusterError> {
        self.wait(patience, |reports, expected| {
            converge::unaware(address, reports, expected)
        })
    }

    /// Waits until nothing is wrong any more.
    fn wait(
        &mut self,
        patience: Duration,
        complaints: impl Fn(&Reports, &Expected) -> Vec<String>,
    ) -> Result<(), ClusterError> {
        let deadline = self.clock.now() + patience;
        loop {
            let (reports, expected, mut wrong) = self.ask_all()?;
            wrong.extend(complaints(&reports, &expected));
            if wrong.is_empty() {
                return Ok(());
            }
            if self.clock.now() >= deadline {
                return Err(ClusterError::NotConverged {
                    waited: patience,
                    wrong,
                });
            }
            thread::sleep(LOOK);
        }
    }

    /// What each router that runs says, and what it should have a way to. One that does not answer
    /// is a complaint by itself.
    fn ask_all(&mut self) -> Result<(Reports, Expected, Vec<String>), ClusterError> {
        let (mut reports, mut expected) = (Reports::new(), Expected::new());
        let mut silent = Vec::new();
        for at in 0..self.members.len() {
            let member = &mut self.members[at];
            if !member.is_running() {
                continue;
            }
            let name = member.name.clone();
            match member.report() {
                Ok(report) => drop(reports.insert(name.clone(), report)),
                Err(error) => silent.push(error.to_string()),
            }
            expected.insert(name.clone(), self.reachable(&name)?);
        }
        Ok((reports, expected, silent))
    }

    /// Takes a router in, with the links that it dials, and starts it.
    fn admit(&mut self, name: String, edges: Vec<Edge>) -> Result<(), ClusterError> {
        let port = match (self.first_port, self.members.len()) {
            (None, _) => 0,
            (Some(first), beyond) => {
                let port = usize::from(first) + beyond;
                u16::try_from(port).map_err(|_| ClusterError::PortTaken {
                    router: name.clone(),
                    port: u32::try_from(port).unwrap_or(u32::MAX),
                    text: "ports end at 65535".to_owned(),
                })?
            }
        };
        let mut links = Vec::new();
        let mut dials = Vec::new();
        for edge in edges {
            let (number, at) = self.relay.open(self.common.wires)?;
            let [one, other] = &edge.ends;
            let target = if *one == name { other } else { one }.clone();
            let place = self.member(&target)?;
            self.relay.lead(number, self.members[place].entry())?;
            dials.push(Dial {
                peer: target.clone(),
                at,
                cost: edge.cost,
            });
            links.push(Link {
                edge,
                target,
                number,
                state: LinkState::Up,
            });
        }
        let mut member = Member::new(name, port, dials);
        member.start(&self.common)?;
        self.members.push(member);
        self.links.extend(links);
        Ok(())
    }

    /// Leads all links to a router there.
    fn lead_to(&self, name: &str, to: Option<&Entry>) -> Result<(), ClusterError> {
        for link in self.links.iter().filter(|link| link.target == name) {
            self.relay.lead(link.number, to.cloned())?;
        }
        Ok(())
    }

    fn link(&self, one: &str, other: &str) -> Result<usize, ClusterError> {
        let mut links = self.links.iter();
        let place = links.position(|link| link.edge.joins(one, other));
        place.ok_or_else(|| {
            let edges = self.links.iter().map(|link| link.edge.to_string());
            ClusterError::UnknownLink(format!("{one}-{other}"), edges.collect())
        })
    }

    fn member(&self, name: &str) -> Result<usize, ClusterError> {
        let mut members = self.members.iter();
        members
            .position(|member| member.name == name)
            .ok_or_else(|| ClusterError::UnknownRouter(name.to_owned(), self.names()))
    }
}

/// The router that costs least.
fn cheapest(seen: &BTreeMap<String, u64>) -> Option<(String, u64)> {
    let least = seen.iter().min_by_key(|(_, cost)| **cost)?;
    Some((least.0.clone(), *least.1))
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // All at once; then each is waited for.
        self.members.iter().for_each(Member::stop);
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let links = self.links().map(|(edge, state)| format!("{edge} {state}"));
        f.debug_struct("Cluster")
            .field("routers", &self.names())
            .field("links", &links.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
