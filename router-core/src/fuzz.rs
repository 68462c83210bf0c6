//! Bodies of the fuzz targets of this crate, as library functions, so that plain tests replay their
//! corpora.
//!
//! Owns what must hold whatever a peer does. It never ships anything a router needs. Decision: a
//! shard is attacked by a script of frames that are nearly right as well as by bytes, because bytes
//! alone hardly get beyond the first check.

mod mesh;
mod pattern;
mod rig;
mod script;

use std::time::Duration;

use rig::Rig;
use script::{Act, Script};

/// Peers that do as the script says, besides the honest pair.
const HOSTILE: usize = 3;
/// Acts of a script that are performed.
const ACTS_MAX: usize = 400;

/// Patterns of addresses, one a line, and an address in the last line.
///
/// # Panics
/// If the tree finds a pattern where trying every one by itself finds none, or the other way round,
/// or if a pattern taken out is still found.
pub fn fuzz_address_pattern(data: &[u8]) {
    pattern::compare(data);
}

/// What hostile neighbours send to a router on control links, as a script: messages, connections
/// that come and go, time that passes.
///
/// # Panics
/// If the engine panics, sends what is no message or tells what cannot be, or if it does not get to
/// know an honest neighbour afterwards.
pub fn fuzz_mesh_wire(data: &[u8]) {
    mesh::attack(data);
}

/// What hostile peers do to a router of one or two shards, as a script.
///
/// # Panics
/// If the router panics or does not come to rest, if an honest pair that stays connected all the
/// while cannot exchange a message afterwards, or if anything is left of the peers when all have
/// gone.
pub fn fuzz_shard_bytes(data: &[u8]) {
    let mut script = Script::new(data);
    let mut rig = Rig::new(script.shards());
    let addresses = rig.address_count();
    rig.connect_honest_pair();
    perform(&mut script, &mut rig);
    for peer in rig::FIRST_HOSTILE..rig::FIRST_HOSTILE + HOSTILE {
        rig.vanish(peer);
    }
    rig.run();
    assert!(
        rig.exchange(),
        "an honest pair is served whatever others did"
    );
    rig.vanish_all();
    rig.pass(Duration::from_secs(10));
    rig.run();
    assert_eq!(
        rig.left(),
        (0, 0),
        "connections and deliveries are gone with their peers"
    );
    assert_eq!(
        rig.address_count(),
        addresses,
        "addresses are gone with their links"
    );
}

/// Does what a script says.
fn perform(script: &mut Script<'_>, rig: &mut Rig) {
    for _ in 0..ACTS_MAX {
        let Some((peer, act)) = script.next() else {
            break;
        };
        let peer = rig::FIRST_HOSTILE + peer % HOSTILE;
        match act {
            Act::Connect { shard } => rig.connect_hostile(peer, shard),
            Act::Write(bytes) => rig.write(peer, &bytes, script.cut()),
            Act::Stall => rig.stall(peer),
            Act::Vanish => rig.vanish(peer),
            Act::Pass(millis) => rig.pass(Duration::from_millis(millis)),
        }
        rig.run();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts that never get beyond an attach would find nothing behind it.
    #[test]
    fn a_script_gets_a_message_through_and_its_outcome_back() {
        let data = include_bytes!("../../fuzz/corpus/shard_bytes/one-message");
        let mut script = Script::new(data);
        let mut rig = Rig::new(script.shards());
        perform(&mut script, &mut rig);
        assert_eq!(rig.accepted(), 1);
    }
}
