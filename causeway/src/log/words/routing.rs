//! What routers say to each other, in the words that scripts look for.

use std::fmt::Display;

use router_core::ids::Direction;
use router_core::notice::{Computed, Few, RoutingText, Said};

use crate::log::module::Module;

/// Whose business a message is.
pub(super) fn module_of(text: &RoutingText) -> Module {
    match text.said {
        Said::Hello { .. } => Module::RouterHello,
        Said::Advertisement { .. } | Said::LinkStateRequest | Said::LinkState { .. } => {
            Module::RouterLs
        }
        Said::AddressRequest { .. } | Said::Addresses { .. } => Module::RouterMa,
    }
}

/// A message of the routing protocol, its area always 0.
pub(super) fn say_of_routing(direction: Direction, text: &RoutingText) -> String {
    let done = match direction {
        Direction::In => "RCVD",
        Direction::Out => "SENT",
    };
    let to = text.to.as_ref().map(|id| format!(" to: {id}"));
    let (name, rest) = body(text);
    let instance = match (&text.said, text.instance) {
        (Said::LinkStateRequest | Said::AddressRequest { .. } | Said::Addresses { .. }, _)
        | (_, None) => String::new(),
        (_, Some(instance)) => format!(" inst={instance}"),
    };
    format!(
        "{done}: {name}(id={} pv={} area=0{instance}{rest}){}",
        text.id,
        text.version,
        to.unwrap_or_default()
    )
}

fn body(text: &RoutingText) -> (&'static str, String) {
    match &text.said {
        Said::Hello { seen } => ("HELLO", format!(" seen={}", names(seen))),
        Said::Advertisement {
            link_sequence,
            mobile_sequence,
        } => (
            "RA",
            format!(" ls_seq={link_sequence} mobile_seq={mobile_sequence}"),
        ),
        Said::LinkStateRequest => ("LSR", String::new()),
        Said::LinkState { sequence, peers } => {
            let peers = list(peers, "{", |(id, cost)| format!("'{id}': {cost}"), "}");
            let id = &text.id;
            let state = format!("LS(id={id} area=0 ls_seq={sequence} peers={peers})");
            ("LSU", format!(" ls_seq={sequence} ls={state}"))
        }
        Said::AddressRequest { have_sequence } => ("MAR", format!(" have_seq={have_sequence}")),
        Said::Addresses {
            sequence,
            exist,
            add,
            del,
        } => {
            let part = |name, few: &Option<Few<String>>| {
                few.as_ref()
                    .map(|few| format!(" {name}={}", names(few)))
                    .unwrap_or_default()
            };
            let parts = [part("add", add), part("del", del), part("exist", exist)];
            ("MAU", format!(" mobile_seq={sequence}{}", parts.concat()))
        }
    }
}

/// What the paths say of the routers that can be reached.
pub(super) fn say_of_paths(computed: &Computed) -> String {
    match computed {
        Computed::NextHops(few) => {
            let hops = list(few, "{", |(id, first)| format!("'{id}': '{first}'"), "}");
            format!("Computed next hops: {hops}")
        }
        Computed::Costs(few) => {
            let costs = list(few, "{", |(id, cost)| format!("'{id}': {cost}"), "}");
            format!("Computed costs: {costs}")
        }
        Computed::ValidOrigins(few) => {
            let origins = |(id, few): &(_, _)| format!("'{id}': {}", names(few));
            format!("Computed valid origins: {}", list(few, "{", origins, "}"))
        }
        Computed::Radius(radius) => format!("Computed radius: {radius}"),
    }
}

fn names<T: Display>(few: &Few<T>) -> String {
    list(few, "[", |name| format!("'{name}'"), "]")
}

fn list<T, D: Display>(few: &Few<T>, open: &str, one: impl Fn(&T) -> D, close: &str) -> String {
    let mut all: Vec<_> = few.first.iter().map(|of| one(of).to_string()).collect();
    if few.more > 0 {
        all.push(format!("... {} more", few.more));
    }
    format!("{open}{}{close}", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(direction: Direction, to: Option<&str>, said: Said) -> String {
        let text = RoutingText {
            id: "R.A".to_owned(),
            version: 1,
            instance: Some(1_795_218_235),
            to: to.map(str::to_owned),
            said,
        };
        say_of_routing(direction, &text)
    }

    fn few<T>(first: Vec<T>, more: usize) -> Few<T> {
        Few { first, more }
    }

    #[test]
    fn paths_have_the_words_that_are_looked_for() {
        let id = |id: &str| std::sync::Arc::<str>::from(id);
        let hops = vec![(id("R.B"), id("R.B")), (id("R.C"), id("R.B"))];
        assert_eq!(
            say_of_paths(&Computed::NextHops(few(hops, 0))),
            "Computed next hops: {'R.B': 'R.B', 'R.C': 'R.B'}"
        );
        let costs = vec![(id("R.B"), 2)];
        assert_eq!(
            say_of_paths(&Computed::Costs(few(costs, 3))),
            "Computed costs: {'R.B': 2, ... 3 more}"
        );
        let origins = vec![
            (id("R.B"), few(Vec::new(), 0)),
            (id("R.C"), few(vec![id("R.D")], 1)),
        ];
        assert_eq!(
            say_of_paths(&Computed::ValidOrigins(few(origins, 0))),
            "Computed valid origins: {'R.B': [], 'R.C': ['R.D', ... 1 more]}"
        );
        assert_eq!(say_of_paths(&Computed::Radius(1)), "Computed radius: 1");
    }

    #[test]
    fn messages_have_the_words_that_are_looked_for() {
        let one = || few(vec!["R.B".to_owned()], 0);
        let (received, sent) = (Direction::In, Direction::Out);
        assert_eq!(
            line(sent, None, Said::Hello { seen: one() }),
            "SENT: HELLO(id=R.A pv=1 area=0 inst=1795218235 seen=['R.B'])"
        );
        let advertisement = Said::Advertisement {
            link_sequence: 2,
            mobile_sequence: 3,
        };
        assert_eq!(
            line(received, None, advertisement),
            "RCVD: RA(id=R.A pv=1 area=0 inst=1795218235 ls_seq=2 mobile_seq=3)"
        );
        assert_eq!(
            line(sent, Some("R.B"), Said::LinkStateRequest),
            "SENT: LSR(id=R.A pv=1 area=0) to: R.B"
        );
        let state = Said::LinkState {
            sequence: 7,
            peers: few(vec![("R.B".to_owned(), 1)], 2),
        };
        assert_eq!(
            line(received, None, state),
            "RCVD: LSU(id=R.A pv=1 area=0 inst=1795218235 ls_seq=7 \
             ls=LS(id=R.A area=0 ls_seq=7 peers={'R.B': 1, ... 2 more}))"
        );
        let request = Said::AddressRequest { have_sequence: 4 };
        assert_eq!(
            line(sent, Some("R.B"), request),
            "SENT: MAR(id=R.A pv=1 area=0 have_seq=4) to: R.B"
        );
        let addresses = Said::Addresses {
            sequence: 5,
            exist: None,
            add: Some(few(vec!["M0a".to_owned()], 0)),
            del: Some(few(Vec::new(), 0)),
        };
        assert_eq!(
            line(received, None, addresses),
            "RCVD: MAU(id=R.A pv=1 area=0 mobile_seq=5 add=['M0a'] del=[])"
        );
    }
}
