//! What `causeway trace` prints: tables for people, or JSON.
//!
//! Owns the words and the layout; the conclusion comes from [`super::verdict`].

use serde_json::{Value as Json, json};

use super::network::{LinkSeen, Network, RouterSeen};
use super::verdict::{Flow, Verdict};
use crate::cli::table::{Layout, harmless};

/// For people.
pub(super) fn text(network: &Network, verdict: &Verdict) -> String {
    let mut parts = vec![format!("Address {}", harmless(&network.address))];
    let mut part = |title: &str, layout: &Layout| {
        let lines = layout.lines();
        if !lines.is_empty() {
            parts.push(format!("{title}\n{}", lines.join("\n")));
        }
    };
    part("Where it is known", &places(network));
    part("Consumers", &links(network, true));
    part("Producers", &links(network, false));
    part("Between routers", &hops(network));
    part("Link routes", &routes(network));
    part("Auto-links", &autos(network));
    let begin = match verdict.flow {
        Flow::Yes => "It flows",
        Flow::No => "It does not flow",
        Flow::Unknown => "Whether it flows is not known",
    };
    let reasons: Vec<String> = verdict
        .reasons
        .iter()
        .map(|reason| format!("  - {}", harmless(reason)))
        .collect();
    parts.push(format!("{begin}:\n{}", reasons.join("\n")));
    parts.join("\n\n")
}

fn places(network: &Network) -> Layout {
    let mut layout = Layout::new([
        "router",
        "phase",
        "distribution",
        "local",
        "remote",
        "in",
        "out",
        "thru",
    ]);
    for router in &network.routers {
        for place in &router.places {
            layout.add(vec![
                router.id.clone(),
                place.phase.clone(),
                place.distribution.clone(),
                (place.local + place.in_process).to_string(),
                place.remote.to_string(),
                place.ingress.to_string(),
                place.egress.to_string(),
                place.transit.to_string(),
            ]);
        }
    }
    layout
}

fn links(network: &Network, is_consumer: bool) -> Layout {
    let mut layout = Layout::new([
        "router",
        "phase",
        "container",
        "host",
        "conn",
        "link",
        "credit",
        "blocked",
        "undel",
        "unsett",
        "deliv",
        "stuck",
    ]);
    for (router, link) in network.links(is_consumer) {
        let blocked = match link.blocked {
            0 => "-".to_owned(),
            seconds => format!("{seconds} s"),
        };
        layout.add(vec![
            router.id.clone(),
            link.phase.clone(),
            link.peer.container.clone(),
            link.peer.host.clone(),
            link.peer.connection.clone(),
            link.identity.clone(),
            link.credit.to_string(),
            blocked,
            link.undelivered.to_string(),
            link.unsettled.to_string(),
            link.delivered.to_string(),
            link.stuck.to_string(),
        ]);
    }
    layout
}

/// The pairs of neighbours on the ways from producers to consumers; without a producer, from the
/// router that is connected to.
fn pairs(network: &Network) -> Vec<(String, String)> {
    let mut sources: Vec<&str> = network.links(false).map(|(at, _)| at.id.as_str()).collect();
    if sources.is_empty() {
        sources.extend(network.routers.first().map(|router| router.id.as_str()));
    }
    let mut pairs = Vec::new();
    for from in sources {
        for (to, _) in network.links(true) {
            let path = network.path(from, &to.id).unwrap_or_default();
            let steps = path.iter().zip(path.iter().skip(1));
            for (one, other) in steps {
                let pair = (one.clone(), other.clone());
                if !pairs.contains(&pair) {
                    pairs.push(pair);
                }
            }
        }
    }
    pairs
}

fn hops(network: &Network) -> Layout {
    let mut layout = Layout::new([
        "from",
        "to",
        "cost",
        "conn",
        "undel",
        "unsett",
        "blocked links",
    ]);
    for (from, to) in pairs(network) {
        let cost = network.cost(&from, &to);
        let trunks = network
            .router(&from)
            .into_iter()
            .flat_map(|router| &router.trunks);
        for trunk in trunks.filter(|trunk| trunk.to == to) {
            layout.add(vec![
                from.clone(),
                to.clone(),
                cost.map(|cost| cost.to_string()).unwrap_or_default(),
                trunk.connection.clone(),
                trunk.undelivered.to_string(),
                trunk.unsettled.to_string(),
                trunk.blocked_links.to_string(),
            ]);
        }
    }
    layout
}

fn routes(network: &Network) -> Layout {
    let mut layout = Layout::new(["router", "address", "dir", "to", "status"]);
    for router in &network.routers {
        for route in &router.routes {
            layout.add(vec![
                router.id.clone(),
                route.pattern.clone(),
                route.direction.clone(),
                route.whom.clone(),
                route.status.clone(),
            ]);
        }
    }
    layout
}

fn autos(network: &Network) -> Layout {
    let mut layout = Layout::new([
        "router", "dir", "phase", "to", "extAddr", "status", "lastErr",
    ]);
    for router in &network.routers {
        for auto in &router.autos {
            layout.add(vec![
                router.id.clone(),
                auto.direction.clone(),
                auto.phase.clone(),
                auto.whom.clone(),
                auto.external.clone(),
                auto.status.clone(),
                auto.error.clone(),
            ]);
        }
    }
    layout
}

/// For programs.
pub(super) fn json(network: &Network, verdict: &Verdict) -> Json {
    let links = |is_consumer| -> Json {
        let links = network.links(is_consumer);
        links
            .map(|(router, link)| link_json(router, link))
            .collect()
    };
    let sources = network.links(false).map(|(at, _)| at.id.clone());
    let sources: std::collections::BTreeSet<String> = sources.collect();
    let targets = network.links(true).map(|(at, _)| at.id.clone());
    let targets: std::collections::BTreeSet<String> = targets.collect();
    let paths: Vec<Json> = sources
        .iter()
        .flat_map(|from| targets.iter().map(move |to| (from, to)))
        .map(|(from, to)| {
            json!({
                "from": from, "to": to, "cost": network.cost(from, to),
                "routers": network.path(from, to),
            })
        })
        .collect();
    let routers: Vec<Json> = network.routers.iter().map(router_json).collect();
    json!({
        "address": network.address,
        "flows": verdict.flow.known(),
        "reasons": verdict.reasons,
        "consumers": links(true),
        "producers": links(false),
        "paths": paths,
        "routers": routers,
    })
}

fn link_json(router: &RouterSeen, link: &LinkSeen) -> Json {
    json!({
        "router": router.id, "phase": link.phase.parse::<u8>().ok(),
        "connection": link.peer.connection, "container": link.peer.container,
        "host": link.peer.host, "role": link.peer.role,
        "link": link.identity, "name": link.name,
        "credit": link.credit, "zeroCreditSeconds": link.blocked,
        "undelivered": link.undelivered, "unsettled": link.unsettled,
        "delivered": link.delivered, "stuck": link.stuck,
    })
}

fn router_json(router: &RouterSeen) -> Json {
    let places: Vec<Json> = router
        .places
        .iter()
        .map(|place| {
            json!({
                "phase": place.phase.parse::<u8>().ok(), "distribution": place.distribution,
                "local": place.local, "inProcess": place.in_process, "remote": place.remote,
                "ingress": place.ingress, "egress": place.egress, "transit": place.transit,
            })
        })
        .collect();
    let trunks: Vec<Json> = router
        .trunks
        .iter()
        .map(|trunk| {
            json!({
                "to": trunk.to, "connection": trunk.connection,
                "undelivered": trunk.undelivered, "unsettled": trunk.unsettled,
                "links": trunk.links, "blockedLinks": trunk.blocked_links,
            })
        })
        .collect();
    let routes: Vec<Json> = router
        .routes
        .iter()
        .map(|route| {
            json!({
                "address": route.pattern, "direction": route.direction, "to": route.whom,
                "operStatus": route.status,
            })
        })
        .collect();
    let autos: Vec<Json> = router
        .autos
        .iter()
        .map(|auto| {
            json!({
                "direction": auto.direction, "phase": auto.phase.parse::<u8>().ok(),
                "to": auto.whom, "externalAddress": auto.external,
                "operStatus": auto.status, "lastError": auto.error,
            })
        })
        .collect();
    json!({
        "id": router.id, "silent": router.silent, "phases": places, "trunks": trunks,
        "linkRoutes": routes, "autoLinks": autos,
    })
}
