//! The parts of a plan that are about routed links, as values: which link routes there are, the
//! hubs that they lead to, the devices whose links go there.

use amqp_codec::SenderSettleMode;
use router_core::control::LinkRule;
use router_core::ids::Direction;

use super::links::{ReceivePlan, SendPlan};

/// The container-id of all hubs.
pub(crate) const HUB: &str = "hub";

/// What the addresses of one link route are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    is_pattern: bool,
    text: &'static str,
    pub(super) addresses: [&'static str; 2],
}

pub(super) const SPACES: [Space; 2] = [
    Space {
        is_pattern: false,
        text: "hub",
        addresses: ["hub/a", "hub/b"],
    },
    Space {
        is_pattern: true,
        text: "devices.*.events",
        addresses: ["devices.7.events", "devices/8/events"],
    },
];

/// The routed links of a world.
#[derive(Clone, Debug)]
pub(crate) struct Hubs {
    pub(super) routes: Vec<RoutePlan>,
    /// How hubs name their addresses: what is added in front, what is taken away.
    pub(crate) add: Option<&'static str>,
    pub(crate) del: Option<&'static str>,
    /// The router that has a hub in the end.
    pub(crate) home: usize,
    /// The listener of hubs.
    pub(crate) listener: usize,
}

/// A link route at a router.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoutePlan {
    pub(super) node: usize,
    pub(super) space: Space,
    pub(super) serves: Serves,
}

/// Whom a link route leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    /// Containers of the hubs' id.
    Container,
    /// Whoever comes by the hubs' listener.
    Connection,
    /// Nobody here: it only catches addresses for other routers.
    Nobody,
}

/// What a hub does with the links that come to it.
#[derive(Clone, Debug)]
pub(crate) struct HubPlan {
    /// On those of devices that receive, each.
    pub(crate) send: SendPlan,
    /// On those of devices that send.
    pub(crate) receive: ReceivePlan,
    /// One attach in so many is refused, answered late or never; 0: none.
    pub(crate) odd: usize,
    /// So many at most.
    pub(crate) odds: u32,
    /// Detaches a link after so many deliveries; 0: never.
    pub(crate) detaches: u32,
}

/// A link of a device.
#[derive(Clone, Debug)]
pub(crate) struct DevicePlan {
    pub(crate) address: &'static str,
    pub(crate) work: Work,
    pub(crate) settles: SenderSettleMode,
    /// The receiver settles second.
    pub(crate) second: bool,
    /// Its terminus at the hub outlives a lost connection.
    pub(crate) survives: bool,
    /// Detaches after so many deliveries, and comes back; 0: never.
    pub(crate) detaches: u32,
}

/// What an end of a routed link does.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Send(SendPlan),
    Receive(ReceivePlan),
}

impl HubPlan {
    /// A hub that answers all, takes all and sends a little.
    pub(crate) fn steady() -> Self {
        Self {
            send: SendPlan::steady(""),
            receive: ReceivePlan::steady(""),
            odd: 0,
            odds: 0,
            detaches: 0,
        }
    }
}

impl Hubs {
    /// The link routes of a router.
    pub(crate) fn rules(&self, node: usize) -> impl Iterator<Item = LinkRule> {
        let here = self.routes.iter().filter(move |route| route.node == node);
        here.flat_map(|route| {
            [Direction::In, Direction::Out].map(|direction| {
                let Space {
                    is_pattern, text, ..
                } = route.space;
                let of = |wanted: Serves| (route.serves == wanted).then(|| HUB.to_owned());
                LinkRule {
                    name: None,
                    identity: 0,
                    prefix: (!is_pattern).then(|| text.to_owned()),
                    pattern: is_pattern.then(|| text.to_owned()),
                    direction,
                    container: of(Serves::Container),
                    connection: of(Serves::Connection),
                    add_prefix: self.add.map(str::to_owned),
                    del_prefix: self.del.map(str::to_owned),
                }
            })
        })
    }

    /// An address as hubs know it.
    pub(crate) fn outward(&self, address: &str) -> String {
        let del = self.del.unwrap_or_default();
        let rest = address.strip_prefix(del).unwrap_or(address);
        [self.add.unwrap_or_default(), rest].concat()
    }

    /// An address of hubs as devices hear of it.
    pub(crate) fn inward(&self, address: &str) -> String {
        let add = self.add.unwrap_or_default();
        let rest = address.strip_prefix(add).unwrap_or(address);
        [self.del.unwrap_or_default(), rest].concat()
    }
}
