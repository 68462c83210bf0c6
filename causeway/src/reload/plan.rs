//! What a difference between two files means for a router: what goes, what stays, and what comes,
//! in which order. It is carried out twice, by the same code: on a copy of the router that is
//! thrown away, and then on the router.

use management::{Agent, Failure, Host, Origin};
use router_core::control::ControlPlane;

use super::compare::Differences;
use super::in_force::InForce;
use crate::config::{Configuration, Placed};
use crate::create::{Tell, announce};

/// What goes first when sections go, so that nobody is without what it names; the rest before the
/// last two.
const GO_FIRST: [&str; 2] = ["listener", "connector"];
const GO_LAST: [&str; 2] = ["authServicePlugin", "sslProfile"];

/// Sections by their places in the two configurations, in the order in which they go and come.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) going: Vec<usize>,
    kept: Vec<(usize, usize)>,
    pub(super) coming: Vec<usize>,
}

/// What came of it.
pub(super) struct Carried<'a> {
    /// Of what the new sections have made.
    pub(super) identities: Vec<Option<String>>,
    /// What could not go or come.
    pub(super) failures: Vec<(&'a Placed, Failure)>,
}

impl Plan {
    /// `is_there` says of an old section whether what it has made is there still, `is_ignored` of a
    /// new one whether it is an address that the file has already.
    pub(super) fn new(
        differences: &Differences,
        in_force: &InForce,
        is_there: impl Fn(usize) -> bool,
        is_ignored: impl Fn(usize) -> bool,
    ) -> Self {
        let old = &in_force.configuration.entities;
        let mut plan = Self {
            going: differences.removed.clone(),
            kept: Vec::new(),
            coming: differences.added.clone(),
        };
        for &(was, is) in &differences.changed {
            // The log changes where it is.
            if !old[was].is_of_type("log") {
                plan.going.push(was);
            }
            plan.coming.push(is);
        }
        for &(was, is) in &differences.kept {
            match (in_force.identities[was].is_some(), is_ignored(is)) {
                // Of those that are the same another counts now.
                (true, true) => plan.going.push(was),
                (false, false) => plan.coming.push(is),
                _ => plan.kept.push((was, is)),
            }
        }
        plan.going.retain(|was| is_there(*was));
        plan.going.sort_by_key(|was| rank(&old[*was]));
        plan.coming.retain(|is| !is_ignored(*is));
        plan.coming.sort_unstable();
        plan
    }

    /// Takes back what goes and makes what comes.
    pub(super) fn carry_out<'a>(
        &self,
        (in_force, new): (&'a InForce, &'a Configuration),
        (agent, plane, host): (&mut Agent, &mut ControlPlane, &mut dyn Host),
        tell: &mut Tell<'_>,
    ) -> Carried<'a> {
        let mut failures = Vec::new();
        for &was in &self.going {
            let placed = &in_force.configuration.entities[was];
            let entity_type = placed.entity.entity_type();
            let identity = in_force.identities[was].as_deref().unwrap_or_default();
            let gone = agent.amend().withdraw(entity_type, identity, plane, host);
            failures.extend(gone.err().map(|failure| (placed, failure)));
        }
        let mut identities = vec![None; new.entities.len()];
        for &(was, is) in &self.kept {
            identities[is].clone_from(&in_force.identities[was]);
        }
        for &is in &self.coming {
            let placed = &new.entities[is];
            announce(placed, tell);
            match agent.create(placed.entity.clone(), Origin::Reload, plane, host) {
                Ok(identity) => identities[is] = Some(identity),
                Err(failure) => failures.push((placed, failure)),
            }
        }
        Carried {
            identities,
            failures,
        }
    }
}

fn rank(placed: &Placed) -> usize {
    let short = placed.entity.entity_type().short;
    if GO_FIRST.contains(&short) {
        return 0;
    }
    let last = GO_LAST.iter().position(|of| *of == short);
    1 + last.map_or(0, |at| at + 1)
}
