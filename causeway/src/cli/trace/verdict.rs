//! Whether messages to the address flow, and why not.
//!
//! Owns the conclusion; it asks nobody. Decision: what is said names the link, the connection and
//! the router that a person has to look at, and what is not known is said as well.

use std::collections::BTreeSet;

use super::network::{LinkSeen, Network, RouterSeen, UNKNOWN};
use super::outlook::{FALLBACK, Links, Outlook, has_credit, who};

/// Whether messages flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Yes,
    No,
    /// Who does not answer may know.
    Unknown,
}

impl Flow {
    fn of(flows: bool) -> Self {
        match flows {
            true => Self::Yes,
            false => Self::No,
        }
    }

    /// What is known of it.
    pub(super) fn known(self) -> Option<bool> {
        (self != Self::Unknown).then_some(self == Self::Yes)
    }
}

/// The conclusion.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) flow: Flow,
    pub(super) reasons: Vec<String>,
}

impl Verdict {
    fn no(reasons: Vec<String>) -> Self {
        Self {
            flow: Flow::No,
            reasons,
        }
    }
}

/// Draws it.
pub(super) fn judge(network: &Network) -> Verdict {
    let mut verdict = match network
        .routers
        .iter()
        .any(|router| !router.routes.is_empty())
    {
        true => routed(network),
        false => messages(network),
    };
    let silent = network
        .routers
        .iter()
        .filter_map(|router| Some((&router.id, router.silent.as_ref()?)));
    verdict.reasons.extend(silent.map(|(id, why)| {
        format!("router {id} cannot be reached: what is attached there is not known ({why})")
    }));
    verdict
}

/// Links to the address are routed to containers.
fn routed(network: &Network) -> Verdict {
    let mut reasons = Vec::new();
    let mut flows = true;
    for (direction, links) in [("in", "senders"), ("out", "receivers")] {
        let of = |router: &'_ RouterSeen| {
            let routes = router.routes.iter();
            routes
                .filter(|route| route.direction == direction)
                .map(|route| {
                    (
                        router.id.clone(),
                        route.pattern.clone(),
                        route.whom.clone(),
                        route.status.clone(),
                    )
                })
                .collect::<Vec<_>>()
        };
        let routes: Vec<_> = network.routers.iter().flat_map(of).collect();
        let active = routes.iter().find(|(_, _, _, status)| status == "active");
        if let Some((id, pattern, whom, _)) = active {
            reasons.push(format!(
                "links of {links} are routed to {whom} at router {id} (link route {pattern})"
            ));
            continue;
        }
        for (id, pattern, whom, status) in &routes {
            flows = false;
            reasons.push(format!(
                "links of {links} are refused: link route {pattern} at router {id} is {status}, \
                 {whom} is not connected there"
            ));
        }
    }
    Verdict {
        flow: Flow::of(flows),
        reasons,
    }
}

/// Messages to the address are routed.
fn messages(network: &Network) -> Verdict {
    let mut closed = closed(network);
    if let Some(verdict) = closed.take_if(|verdict| verdict.flow == Flow::No) {
        return verdict;
    }
    let mut verdict = open(network);
    verdict
        .reasons
        .extend(closed.into_iter().flat_map(|partly| partly.reasons));
    verdict.reasons.extend(stuck(network));
    verdict
}

/// Routers at which the address is configured as one that nobody may attach to.
fn closed(network: &Network) -> Option<Verdict> {
    let answering = network
        .routers
        .iter()
        .filter(|router| router.silent.is_none());
    let is_closed = |router: &&RouterSeen| router.configured == "unavailable";
    let at: Vec<&str> = answering
        .clone()
        .filter(is_closed)
        .map(|router| router.id.as_str())
        .collect();
    let is_everywhere = answering.count() == at.len();
    let text = format!(
        "the address is configured as unavailable at router {}: nobody may attach to it there",
        at.join(", ")
    );
    (!at.is_empty()).then(|| Verdict {
        flow: Flow::of(!is_everywhere),
        reasons: vec![text],
    })
}

/// Nothing forbids the address.
fn open(network: &Network) -> Verdict {
    let mut places = network.routers.iter().flat_map(|router| &router.places);
    if places.any(|place| place.in_process > 0) {
        return Verdict {
            flow: Flow::Yes,
            reasons: vec!["the router itself answers at this address".into()],
        };
    }
    let consumers: Vec<_> = network.links(true).collect();
    let producers: Vec<_> = network.links(false).collect();
    if consumers.is_empty() {
        let (flow, text) = match network.is_partly_silent() {
            true => (Flow::Unknown, "no consumer at any router that answers"),
            false => (Flow::No, "no consumer anywhere"),
        };
        let mut reasons = vec![text.to_owned()];
        reasons.extend(lame_autos(network));
        return Verdict { flow, reasons };
    }
    if producers.is_empty() {
        return would_flow(network, &consumers);
    }
    let mut flows = true;
    let mut reasons = Vec::new();
    let phases: BTreeSet<&str> = network.phases();
    for phase in phases {
        let is_sent = producers.iter().any(|(_, link)| link.phase == phase);
        let is_here = consumers.iter().any(|(_, link)| link.phase == phase);
        let is_taken = consumers.iter().any(|(_, link)| takes(link, phase));
        if is_sent && is_taken {
            flows &= in_phase(network, phase, &mut reasons);
        } else if is_sent {
            flows = false;
            reasons.push(beside(
                "producer",
                &producers,
                "consumers",
                &consumers,
                phase,
            ));
        } else if is_here && phase != FALLBACK {
            flows = false;
            reasons.push(beside(
                "consumer",
                &consumers,
                "producers",
                &producers,
                phase,
            ));
        }
    }
    if !flows {
        reasons.extend(lame_autos(network));
    }
    Verdict {
        flow: Flow::of(flows),
        reasons,
    }
}

/// Somebody is at a phase at which nobody else is.
fn beside(one: &str, here: &Links<'_>, other: &str, others: &Links<'_>, phase: &str) -> String {
    let first = here.iter().find(|(_, link)| link.phase == phase);
    let first = first.map(|(router, link)| who(router, link));
    let others: BTreeSet<&str> = others.iter().map(|(_, link)| link.phase.as_str()).collect();
    let others: Vec<&str> = others.into_iter().collect();
    format!(
        "{one} {} is at phase {phase}, {other} only at {}",
        first.unwrap_or_default(),
        others.join(", ")
    )
}

fn takes(consumer: &LinkSeen, phase: &str) -> bool {
    consumer.phase == phase || consumer.phase == FALLBACK
}

/// Whether what is sent in a phase finds its consumers; says how, or why not.
fn in_phase(network: &Network, phase: &str, reasons: &mut Vec<String>) -> bool {
    let consumers: Vec<_> = network
        .links(true)
        .filter(|(_, link)| takes(link, phase))
        .collect();
    let mut all_flow = true;
    let mut asked: BTreeSet<&str> = BTreeSet::new();
    let mut troubles: Vec<String> = Vec::new();
    for (from, producer) in network.links(false).filter(|(_, link)| link.phase == phase) {
        if !has_credit(producer) {
            all_flow = false;
            troubles.push(format!(
                "producer {} has been given no credit for {} s",
                who(from, producer),
                producer.blocked
            ));
        }
        if !asked.insert(&from.id) {
            continue;
        }
        let outlook = Outlook::new(network, &from.id, &consumers);
        all_flow &= outlook.flows;
        for (at, consumer, path) in &outlook.ready {
            let cost = network.cost(&from.id, &at.id).unwrap_or(0);
            reasons.push(format!(
                "producer {} {}reaches consumer {} by {} (cost {cost})",
                who(from, producer),
                probably(path),
                who(at, consumer),
                path.join(" → ")
            ));
        }
        for trouble in outlook.troubles {
            if !troubles.contains(&trouble) {
                troubles.push(trouble);
            }
        }
    }
    reasons.extend(troubles);
    all_flow
}

/// Who is silent may lead elsewhere.
fn probably(path: &[String]) -> &'static str {
    match path.iter().any(|step| step == UNKNOWN) {
        true => "probably ",
        false => "",
    }
}

/// Nobody sends: what would become of a message.
fn would_flow(network: &Network, consumers: &Links<'_>) -> Verdict {
    let Some(entry) = network.routers.first() else {
        return Verdict::no(vec!["no router was asked".into()]);
    };
    let outlook = Outlook::new(network, &entry.id, consumers);
    let would = |(at, consumer, path): &(&RouterSeen, &LinkSeen, Vec<String>)| {
        format!(
            "no producer is attached; a message to router {} would {}reach consumer {}",
            entry.id,
            probably(path),
            who(at, consumer)
        )
    };
    let mut reasons: Vec<String> = outlook.ready.iter().map(would).collect();
    if reasons.is_empty() {
        reasons.push("no producer is attached".into());
    }
    reasons.extend(outlook.troubles);
    Verdict {
        flow: Flow::of(outlook.flows),
        reasons,
    }
}

/// Links with messages that have not moved for long.
fn stuck(network: &Network) -> Vec<String> {
    let mut texts = Vec::new();
    for (what, is_consumer) in [("consumer", true), ("producer", false)] {
        for (at, link) in network
            .links(is_consumer)
            .filter(|(_, link)| link.stuck > 0)
        {
            texts.push(format!(
                "{what} {} has deliveries that have been stuck for long: {}",
                who(at, link),
                link.stuck
            ));
        }
    }
    texts
}

/// Auto-links that should have brought somebody and have not.
fn lame_autos(network: &Network) -> impl Iterator<Item = String> {
    network.routers.iter().flat_map(|router| {
        let lame = router.autos.iter().filter(|auto| auto.status != "active");
        lame.map(move |auto| {
            let why = match auto.error.as_str() {
                "" => String::new(),
                error => format!(": {error}"),
            };
            format!(
                "auto-link {} (phase {}) to {} at router {} is {}{why}",
                auto.direction, auto.phase, auto.whom, router.id, auto.status
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::network::{Auto, Peer, Place, Route, Trunk, Way};
    use super::*;

    fn link(is_consumer: bool, phase: &str, container: &str, credit: u64) -> LinkSeen {
        LinkSeen {
            is_consumer,
            phase: phase.into(),
            credit,
            blocked: if credit == 0 { 12 } else { 0 },
            peer: Peer {
                container: container.into(),
                ..Peer::default()
            },
            ..LinkSeen::default()
        }
    }

    fn router(id: &str, other: &str, cost: Option<u64>, links: Vec<LinkSeen>) -> RouterSeen {
        let next = other.to_owned();
        RouterSeen {
            id: id.into(),
            ways: [(other.to_owned(), Way { next, cost })].into(),
            links,
            ..RouterSeen::default()
        }
    }

    fn network(cost: Option<u64>, a: Vec<LinkSeen>, b: Vec<LinkSeen>) -> Network {
        Network {
            address: "q".into(),
            routers: vec![router("A", "B", cost, a), router("B", "A", cost, b)],
        }
    }

    fn told(network: &Network) -> (bool, String) {
        let Verdict { flow, reasons } = judge(network);
        (flow == Flow::Yes, reasons.join("; "))
    }

    #[test]
    fn a_way_to_a_consumer_with_credit_is_told() {
        let network = network(
            Some(3),
            vec![link(false, "0", "P", 250)],
            vec![link(true, "0", "C", 10)],
        );
        let expected = "producer P at router A reaches consumer C at router B by A → B (cost 3)";
        assert_eq!(told(&network), (true, expected.into()));
    }

    #[test]
    fn what_is_missing_is_named() {
        let producer = || vec![link(false, "0", "P", 250)];
        assert_eq!(
            told(&network(Some(1), producer(), vec![])),
            (false, "no consumer anywhere".into())
        );
        assert_eq!(
            told(&network(Some(1), producer(), vec![link(true, "0", "C", 0)])),
            (
                false,
                "consumer C at router B has given no credit for 12 s".into()
            )
        );
        assert_eq!(
            told(&network(None, producer(), vec![link(true, "0", "C", 9)])),
            (
                false,
                "router B cannot be reached from router A: consumer C at router B is there".into()
            )
        );
        assert_eq!(
            told(&network(Some(1), producer(), vec![link(true, "1", "C", 9)])),
            (
                false,
                "producer P at router A is at phase 0, consumers only at 1; consumer C at router B \
                 is at phase 1, producers only at 0"
                    .into()
            )
        );
    }

    #[test]
    fn a_fallback_takes_what_is_sent_in_any_phase() {
        let fallback = link(true, "F", "C", 9);
        let network = network(Some(1), vec![link(false, "0", "P", 250)], vec![fallback]);
        let (flows, reasons) = told(&network);
        assert!(
            flows && reasons.contains("reaches consumer C at router B"),
            "{reasons}"
        );
    }

    #[test]
    fn a_router_that_is_silent_is_named_and_leaves_a_doubt() {
        let mut network = network(Some(1), vec![link(false, "0", "P", 250)], vec![]);
        network.routers[1].silent = Some("no answer within 1 s".into());
        assert_eq!(judge(&network).flow, Flow::Unknown);
        assert_eq!(
            told(&network),
            (
                false,
                "no consumer at any router that answers; router B cannot be reached: what is \
                 attached there is not known (no answer within 1 s)"
                    .into()
            )
        );
    }

    #[test]
    fn link_routes_and_auto_links_are_what_is_looked_at_first() {
        let mut network = network(Some(1), vec![], vec![]);
        network.routers[1].autos = vec![Auto {
            direction: "out".into(),
            phase: "0".into(),
            whom: "broker".into(),
            status: "failed".into(),
            error: "no such queue".into(),
            ..Auto::default()
        }];
        assert_eq!(
            told(&network),
            (
                false,
                "no consumer anywhere; auto-link out (phase 0) to broker at router B is failed: \
                 no such queue"
                    .into()
            )
        );
        let route = |direction: &str, status: &str| Route {
            pattern: "q".into(),
            direction: direction.into(),
            whom: "broker".into(),
            status: status.into(),
        };
        network.routers[0].routes = vec![route("in", "active")];
        network.routers[1].routes = vec![route("out", "inactive")];
        let (flows, reasons) = told(&network);
        assert!(!flows && reasons.contains("links of senders are routed to broker at router A"));
        assert!(reasons.contains("links of receivers are refused: link route q at router B"));
    }

    #[test]
    fn without_a_producer_it_is_told_what_would_happen() {
        let ready = network(Some(1), vec![], vec![link(true, "0", "C", 1)]);
        let (flows, reasons) = told(&ready);
        assert!(
            flows && reasons.contains("would reach consumer C at router B"),
            "{reasons}"
        );
        let mut closed = network(Some(1), vec![], vec![]);
        for router in &mut closed.routers {
            router.configured = "unavailable".into();
        }
        let (flows, reasons) = told(&closed);
        assert!(!flows && reasons.contains("configured as unavailable at router A, B"));
    }

    fn distributed(distribution: &str, network: Network) -> Network {
        let mut network = network;
        network.routers[0].places = vec![Place {
            distribution: distribution.into(),
            ..Place::default()
        }];
        network
    }

    #[test]
    fn only_the_closest_consumers_count_where_only_they_get_messages() {
        let far_is_ready = || {
            network(
                Some(1),
                vec![link(false, "0", "P", 250), link(true, "0", "near", 0)],
                vec![link(true, "0", "far", 10)],
            )
        };
        let (flows, reasons) = told(&distributed("closest", far_is_ready()));
        assert!(!flows, "{reasons}");
        assert!(
            reasons.contains("consumer near at router A has given no credit for 12 s")
                && reasons.contains("closest: consumers farther away get nothing"),
            "{reasons}"
        );
        // One that is shared out goes to who can take it; who cannot is named.
        let (flows, reasons) = told(&distributed("balanced", far_is_ready()));
        assert!(flows && reasons.contains("near at router A has given no credit"));
        // Everybody gets a copy, or nobody is done.
        let (flows, reasons) = told(&distributed("multicast", far_is_ready()));
        assert!(
            !flows && reasons.contains("reaches consumer far"),
            "{reasons}"
        );
    }

    #[test]
    fn what_holds_messages_up_on_the_way_is_named() {
        let mut jammed = network(
            Some(1),
            vec![link(false, "0", "P", 250)],
            vec![link(true, "0", "C", 10)],
        );
        jammed.routers[1].links[0].stuck = 4;
        let trunk = |blocked_links| Trunk {
            to: "B".into(),
            links: 2,
            blocked_links,
            undelivered: 7,
            ..Trunk::default()
        };
        jammed.routers[0].trunks = vec![trunk(1)];
        let (flows, reasons) = told(&jammed);
        assert!(flows, "{reasons}");
        assert!(reasons.contains("consumer C at router B has deliveries that have been stuck"));
        jammed.routers[0].trunks = vec![trunk(2)];
        let (flows, reasons) = told(&jammed);
        assert!(!flows, "{reasons}");
        assert!(
            reasons.contains(
                "2 of 2 links from router A to router B have no credit; messages waiting there: 7"
            ),
            "{reasons}"
        );
        let mut starved = network(
            Some(1),
            vec![link(false, "0", "P", 0)],
            vec![link(true, "0", "C", 10)],
        );
        starved.routers[0].links[0].blocked = 5;
        let (flows, reasons) = told(&starved);
        assert!(
            !flows && reasons.contains("producer P at router A has been given no credit for 5 s")
        );
    }
}
