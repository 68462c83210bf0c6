//! What the control thread is made of. What it does is in `control.rs`.

use std::sync::Arc;

use management::Agent;
use mio::{Poll, Waker};
use router_core::control::{ControlPlane, Listen};
use router_core::ids::ShardId;
use router_core::notice::Notice;

use crate::clock::Clock;
use crate::deal::Dealer;
use crate::dial::Dialler;
use crate::drain::Drain;
use crate::host::Process;
use crate::http::desk::Desk;
use crate::listen::{Listeners, Listening};
use crate::log::Log;
use crate::orders::Orders;
use crate::pipe::Pipes;
use crate::post::{Intake, Offices};
use crate::readiness::Stage;
use crate::reload::Reloads;
use crate::resolve::Resolver;
use crate::service::Service;

const FIRST_LISTENER: usize = 1;

/// Listeners never come so far.
const FIRST_DIALLED: usize = usize::MAX / 2;

/// Why the router has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its owner asked for it.
    Stopped,
    /// Its owner killed it.
    Killed,
    /// A listener that it cannot do without could not be opened.
    RequiredListener,
}

/// The control plane with all it needs to run.
pub(crate) struct Control {
    pub(super) plane: ControlPlane,
    pub(super) agent: Agent,
    pub(super) process: Process,
    pub(super) own: ShardId,
    pub(super) poll: Poll,
    pub(super) orders: Arc<Orders>,
    pub(super) offices: Arc<Offices>,
    pub(super) intakes: Vec<Arc<Intake>>,
    pub(super) dealer: Dealer,
    pub(super) listeners: Listeners,
    /// Listeners whose host is being looked up.
    pub(super) unresolved: Vec<Listen>,
    pub(super) dialler: Dialler,
    pub(super) resolver: Resolver,
    pub(super) pipes: Pipes,
    /// The HTTP thread, if a listener needs it.
    pub(super) desk: Desk,
    pub(super) clock: Clock,
    pub(super) log: Log,
    pub(super) connections_max: u64,
    /// The log wants the frames of all connections.
    pub(super) tracing: bool,
    /// It wants messages, of connections that show any.
    pub(super) showing: bool,
    pub(super) notices: Vec<Notice>,
    /// What is open, until the router has started.
    pub(super) listening: Option<Vec<Listening>>,
    pub(super) reloads: Reloads,
    /// What is told how the router is doing.
    pub(super) service: Service,
    /// It has been told that the configuration is being read.
    pub(super) is_reloading: bool,
    pub(super) stage: Arc<Stage>,
    pub(super) end: Option<(End, Drain)>,
}

/// What the control thread is made of.
pub(crate) struct ControlParts {
    pub(crate) plane: ControlPlane,
    pub(crate) agent: Agent,
    pub(crate) process: Process,
    pub(crate) poll: Poll,
    /// Of that poll.
    pub(crate) waker: Arc<Waker>,
    pub(crate) orders: Arc<Orders>,
    pub(crate) offices: Arc<Offices>,
    pub(crate) intakes: Vec<Arc<Intake>>,
    pub(crate) pipes: Pipes,
    pub(crate) reloads: Reloads,
    pub(crate) service: Service,
    pub(crate) stage: Arc<Stage>,
    pub(crate) clock: Clock,
    pub(crate) log: Log,
    /// Connections taken at the same time.
    pub(crate) connections_max: u64,
}

impl Control {
    pub(crate) fn new(parts: ControlParts) -> Self {
        let ControlParts {
            plane,
            agent,
            process,
            poll,
            waker,
            orders,
            offices,
            intakes,
            pipes,
            reloads,
            service,
            stage,
            clock,
            log,
            connections_max,
        } = parts;
        Self {
            own: ShardId(plane.shards()),
            plane,
            agent,
            process,
            poll,
            desk: Desk::new(Arc::clone(&orders), clock, log.clone()),
            orders,
            offices,
            dealer: Dealer::new(intakes.len()),
            intakes,
            listeners: Listeners::new(FIRST_LISTENER),
            unresolved: Vec::new(),
            dialler: Dialler::new(FIRST_DIALLED),
            resolver: Resolver::new(waker),
            pipes,
            clock,
            log,
            connections_max,
            tracing: false,
            showing: false,
            notices: Vec::new(),
            listening: Some(Vec::new()),
            reloads,
            service,
            is_reloading: false,
            stage,
            end: None,
        }
    }
}
