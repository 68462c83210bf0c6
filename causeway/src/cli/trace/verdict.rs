//! Whether messages to the address flow, and why not.
//!
//! Owns the conclusion; it asks nobody. Decision: what is said names the link, the connection and
//! the router that a person has to look at, and what is not known is said as well.

use std::collections::BTreeSet;

use super::network::{LinkSeen, Network, RouterSeen};

/// The conclusion.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) flows: bool,
    pub(super) reasons: Vec<String>,
}

impl Verdict {
    fn no(reasons: Vec<String>) -> Self {
        Self {
            flows: false,
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
    Verdict { flows, reasons }
}

/// Messages to the address are routed.
fn messages(network: &Network) -> Verdict {
    let places = network.routers.iter().flat_map(|router| &router.places);
    let is_unavailable = places
        .clone()
        .any(|place| place.distribution == "unavailable");
    let has_handler = places.clone().any(|place| place.in_process > 0);
    if is_unavailable {
        return Verdict::no(vec![
            "the address is configured as unavailable: nobody may attach to it".into(),
        ]);
    }
    if has_handler {
        return Verdict {
            flows: true,
            reasons: vec!["the router itself answers at this address".into()],
        };
    }
    let consumers: Vec<_> = network.links(true).collect();
    let producers: Vec<_> = network.links(false).collect();
    if consumers.is_empty() {
        let mut reasons = vec!["no consumer anywhere".to_owned()];
        if network.routers.iter().any(|router| router.silent.is_some()) {
            reasons = vec!["no consumer at any router that answers".to_owned()];
        }
        reasons.extend(lame_autos(network));
        return Verdict::no(reasons);
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
    Verdict { flows, reasons }
}

type Links<'a> = [(&'a RouterSeen, &'a LinkSeen)];

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

/// The phase of those who take what nobody else does.
const FALLBACK: &str = "F";

fn takes(consumer: &LinkSeen, phase: &str) -> bool {
    consumer.phase == phase || consumer.phase == FALLBACK
}

/// Whether what is sent in a phase finds a consumer; says how, or why not.
fn in_phase(network: &Network, phase: &str, reasons: &mut Vec<String>) -> bool {
    let consumers: Vec<_> = network
        .links(true)
        .filter(|(_, link)| takes(link, phase))
        .collect();
    let mut all_flow = true;
    let mut said: BTreeSet<(String, String)> = BTreeSet::new();
    for (from, producer) in network.links(false).filter(|(_, link)| link.phase == phase) {
        let ready = consumers.iter().find_map(|(at, consumer)| {
            let path = network.path(&from.id, &at.id)?;
            has_credit(consumer).then_some((at, consumer, path))
        });
        match ready {
            Some((at, consumer, path)) if said.insert((from.id.clone(), at.id.clone())) => {
                let cost = network.cost(&from.id, &at.id).unwrap_or(0);
                reasons.push(format!(
                    "producer {} reaches consumer {} by {} (cost {cost})",
                    who(from, producer),
                    who(at, consumer),
                    path.join(" → ")
                ));
            }
            Some(_) => {}
            None => {
                all_flow = false;
                for (at, consumer) in &consumers {
                    let reason = why_not(network, &from.id, at, consumer);
                    if !reasons.contains(&reason) {
                        reasons.push(reason);
                    }
                }
            }
        }
    }
    all_flow
}

/// Nobody sends: what would become of a message.
fn would_flow(network: &Network, consumers: &[(&RouterSeen, &LinkSeen)]) -> Verdict {
    let Some(entry) = network.routers.first() else {
        return Verdict::no(vec!["no router was asked".into()]);
    };
    let ready = consumers
        .iter()
        .find(|(at, consumer)| has_credit(consumer) && network.path(&entry.id, &at.id).is_some());
    match ready {
        Some((at, consumer)) => Verdict {
            flows: true,
            reasons: vec![format!(
                "no producer is attached; a message to router {} would reach consumer {}",
                entry.id,
                who(at, consumer)
            )],
        },
        None => {
            let mut reasons = vec!["no producer is attached".to_owned()];
            let all = consumers.iter();
            reasons.extend(all.map(|(at, consumer)| why_not(network, &entry.id, at, consumer)));
            Verdict::no(reasons)
        }
    }
}

/// Credit that was used up this very second is soon given again.
fn has_credit(link: &LinkSeen) -> bool {
    link.credit > 0 || link.blocked == 0
}

fn why_not(network: &Network, from: &str, at: &RouterSeen, consumer: &LinkSeen) -> String {
    if network.path(from, &at.id).is_none() {
        return format!(
            "router {} cannot be reached from router {from}: consumer {} is there",
            at.id,
            who(at, consumer)
        );
    }
    format!(
        "consumer {} has given no credit for {} s",
        who(at, consumer),
        consumer.blocked
    )
}

/// Who has a link, and where.
fn who(router: &RouterSeen, link: &LinkSeen) -> String {
    let name = match link.peer.container.as_str() {
        "" => link.peer.host.as_str(),
        container => container,
    };
    format!("{name} at router {}", router.id)
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
    use super::super::network::{Auto, Peer, Place, Route, Way};
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
        let Verdict { flows, reasons } = judge(network);
        (flows, reasons.join("; "))
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
        closed.routers[0].places = vec![Place {
            distribution: "unavailable".into(),
            ..Place::default()
        }];
        assert!(told(&closed).1.contains("configured as unavailable"));
    }
}
