//! A router with more addresses than fit a message.

use super::network::Network;
use crate::limits;

#[test]
fn the_list_of_all_addresses_fits_a_message_whatever_clients_attach() {
    let key = |number: usize| format!("M0{number:04}{}", "x".repeat(4000));
    let bytes = key(0).len() + limits::MESH_ADDRESS_OVERHEAD;
    let fit = limits::MESH_OWN_ADDRESS_BYTES / bytes;
    let mut network = Network::of("A-B");
    for number in 0..fit + 5 {
        network.subscribe("A", &key(number), true);
    }
    network.run(3000);
    assert_eq!(
        network.mapped("B", "A").len(),
        fit,
        "the others are not told"
    );
    // Who comes later asks for all of them and is answered.
    network.start("C");
    network.connect("A", "C", 1);
    network.run(3000);
    assert_eq!(network.mapped("C", "A").len(), fit);
    let first = format!("{} untold", &key(fit)[..6]);
    assert_eq!(network.view("A").told, [first], "said once");
    // Where some go, others come in their place.
    for number in 0..3 {
        network.subscribe("A", &key(number), false);
    }
    network.run(5000);
    let mapped = network.mapped("C", "A");
    assert_eq!(mapped.len(), fit);
    for number in fit..fit + 3 {
        assert!(mapped.contains(&key(number)), "{number}");
    }
    assert!(!mapped.contains(&key(0)));
}

#[test]
fn that_the_topology_changes_is_told_once_and_once_that_it_is_at_rest() {
    let mut network = Network::of("A-B");
    network.run(1000);
    network.start("C");
    let wire = network.connect("B", "C", 1);
    network.run(1000);
    assert_eq!(
        network.view("A").flux,
        (true, 1),
        "one flux of many changes"
    );
    // Two intervals of advertisements in flux, and what it takes to look.
    network.run(10_000);
    assert_eq!(network.view("A").flux, (false, 2));
    network.cut(wire);
    network.run(1000);
    assert_eq!(network.view("A").flux, (true, 3));
    network.run(10_000);
    assert_eq!(network.view("A").flux, (false, 4));
}

#[test]
fn a_router_that_leaves_is_passed_by_and_can_still_be_reached() {
    let mut network = Network::of("A-B B-C A-D:2 D-C:2 C-E");
    network.subscribe("B", "M0here", true);
    network.subscribe("C", "M0there", true);
    network.run(3000);
    network.assert_settled();
    assert_eq!(network.verdicts("A")["C"].first, "B");
    assert!(network.mapped("A", "B").contains("M0here"));
    // Addresses that came just now are held back for a second; those that go are not.
    network.subscribe("B", "M0late", true);
    network.leave("B");
    network.subscribe("B", "M0later", true);
    network.run(200);
    for of in ["A", "C", "D", "E"] {
        assert!(network.mapped(of, "B").is_empty(), "{of}");
    }
    assert!(network.mapped("A", "C").contains("M0there"));
    assert_eq!(network.verdicts("A")["C"].first, "D");
    assert_eq!(
        network.verdicts("A")["B"].first,
        "B",
        "what is under way comes through"
    );
    assert_eq!(network.verdicts("B")["E"].first, "C", "and gets away");
    // Nobody goes round who cannot.
    network.connect("B", "F", 1);
    network.run(3000);
    assert_eq!(network.verdicts("A")["F"].first, "B");
}
