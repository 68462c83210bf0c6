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
