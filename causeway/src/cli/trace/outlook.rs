//! What becomes of messages that come in at a router: who would get them, and what is in the way.
//!
//! Owns the choice among consumers that the distribution makes; [`super::verdict`] puts together
//! what follows for the address.

use std::collections::BTreeSet;

use management::counted;

use super::network::{LinkSeen, Network, RouterSeen};

/// Links, each with its router.
pub(super) type Links<'a> = [(&'a RouterSeen, &'a LinkSeen)];

/// A consumer, its router, and the routers on the way there.
type Way<'a> = (&'a RouterSeen, &'a LinkSeen, Vec<String>);

/// The phase of those who take what nobody else does.
pub(super) const FALLBACK: &str = "F";

/// What becomes of messages that come in at a router.
pub(super) struct Outlook<'a> {
    pub(super) flows: bool,
    /// Who would get one, and by which way: the first, or all where each gets a copy.
    pub(super) ready: Vec<Way<'a>>,
    pub(super) troubles: Vec<String>,
}

impl<'a> Outlook<'a> {
    pub(super) fn new(network: &Network, from: &str, consumers: &Links<'a>) -> Self {
        let mut away = Vec::new();
        let mut near = Vec::new();
        for (at, consumer) in consumers {
            match network.path(from, &at.id) {
                Some(path) => near.push((*at, *consumer, path)),
                None => away.push(format!(
                    "router {} cannot be reached from router {from}: consumer {} is there",
                    at.id,
                    who(at, consumer)
                )),
            }
        }
        // Those take what nobody else does.
        if near.iter().any(|(_, link, _)| link.phase != FALLBACK) {
            near.retain(|(_, link, _)| link.phase != FALLBACK);
        }
        let blocked = near.iter().filter(|(_, link, _)| !has_credit(link));
        let mut troubles: Vec<String> = blocked
            .map(|(at, link, _)| {
                let blocked = link.blocked;
                format!(
                    "consumer {} has given no credit for {blocked} s",
                    who(at, link)
                )
            })
            .collect();
        let distribution = network.distribution();
        if distribution == "closest" {
            near = closest(network, from, near, &mut troubles);
        }
        let mut is_jammed = BTreeSet::new();
        for (place, (.., path)) in near.iter().enumerate() {
            for (text, is_whole) in jams(network, path) {
                if is_whole {
                    is_jammed.insert(place);
                }
                if !troubles.contains(&text) {
                    troubles.push(text);
                }
            }
        }
        let all = near.len();
        let ready = near.into_iter().enumerate();
        let ready =
            ready.filter(|(place, (_, link, _))| has_credit(link) && !is_jammed.contains(place));
        let mut ready: Vec<_> = ready.map(|(_, one)| one).collect();
        let flows = match distribution {
            "multicast" => all > 0 && ready.len() == all,
            _ => {
                ready.truncate(1);
                !ready.is_empty()
            }
        };
        if !flows {
            troubles.extend(away);
        }
        Self {
            flows,
            ready,
            troubles,
        }
    }
}

/// Those that cost least to reach.
fn closest<'a>(
    network: &Network,
    from: &str,
    near: Vec<Way<'a>>,
    troubles: &mut Vec<String>,
) -> Vec<Way<'a>> {
    let cost = |at: &RouterSeen| network.cost(from, &at.id);
    let least = near.iter().filter_map(|(at, ..)| cost(at)).min();
    let (closest, farther): (Vec<_>, Vec<_>) =
        near.into_iter().partition(|(at, ..)| cost(at) == least);
    if !farther.is_empty() && !closest.iter().any(|(_, link, _)| has_credit(link)) {
        let text = "the distribution is closest: consumers farther away get nothing";
        troubles.push(text.into());
    }
    closest
}

/// Links between the routers of a path that have no credit, and whether nothing gets by.
fn jams(network: &Network, path: &[String]) -> Vec<(String, bool)> {
    let mut jams = Vec::new();
    for (one, other) in path.iter().zip(path.iter().skip(1)) {
        let trunks = network.router(one).into_iter();
        let trunks = trunks.flat_map(|router| &router.trunks);
        let (mut links, mut blocked, mut waiting) = (0, 0, 0);
        for trunk in trunks.filter(|trunk| trunk.to == *other) {
            links += trunk.links;
            blocked += trunk.blocked_links;
            waiting += trunk.undelivered;
        }
        if blocked > 0 {
            let all = counted(links, "link");
            let verb = if blocked == 1 { "has" } else { "have" };
            let text = format!(
                "{blocked} of {all} from router {one} to router {other} {verb} no credit; \
                 messages waiting there: {waiting}"
            );
            jams.push((text, blocked >= links));
        }
    }
    jams
}

/// Credit that was used up this very second is soon given again.
pub(super) fn has_credit(link: &LinkSeen) -> bool {
    link.credit > 0 || link.blocked == 0
}

/// Who has a link, and where.
pub(super) fn who(router: &RouterSeen, link: &LinkSeen) -> String {
    let name = match link.peer.container.as_str() {
        "" => link.peer.host.as_str(),
        container => container,
    };
    format!("{name} at router {}", router.id)
}
