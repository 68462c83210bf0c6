//! Reading a configuration file anew, on a thread of its own: all that may take time or fail
//! without the router that runs. The file is read, compared, and tried on routers that are made for
//! the purpose and thrown away.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::compare::{Differences, compare};
use super::in_force::InForce;
use super::plan::Plan;
use super::rehearse::Model;
use crate::config::{self, ConfigError, Configuration, Placed};
use crate::profiles::Loaded;
use crate::resolve;

/// What the thread is given.
pub(super) struct Task {
    pub(super) path: PathBuf,
    pub(super) in_force: Arc<InForce>,
    /// The router that runs.
    pub(super) model: Model,
}

/// A configuration that can be put in force, as far as that can be known without the router.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) configuration: Configuration,
    pub(super) differences: Differences,
    pub(super) plan: Plan,
    /// Its profiles for TLS, with what their files say.
    pub(super) profiles: Vec<Loaded>,
    /// Where listeners are to listen, by their places in the configuration.
    pub(super) places: Vec<Place>,
    /// How often requests had changed something by then.
    pub(super) requests: u64,
}

/// Where a listener that came or has changed is to listen.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) new: usize,
    /// What it was called before, if it is where it was.
    pub(super) old: Option<usize>,
    pub(super) identity: String,
    pub(super) addresses: Result<Vec<SocketAddr>, String>,
}

/// Prepares what a file says now.
///
/// # Errors
///
/// Everything that is wrong, in lines.
pub(super) fn prepare(task: &Task) -> Result<Prepared, Vec<String>> {
    let new = config::load(&task.path).map_err(|errors| lines(&errors))?;
    let (in_force, model) = (&*task.in_force, &task.model);
    let old = &in_force.configuration;
    // What a request has deleted stays deleted.
    let is_there = |was: usize| {
        let identity = in_force.identities[was].as_deref();
        let entity_type = old.entities[was].entity.entity_type();
        identity.is_some_and(|identity| model.configured.is_filed(entity_type, identity))
    };
    let differences = compare(old, &new, is_there).map_err(|errors| lines(&errors))?;
    let alone = model.alone(&new).map_err(|error| lines(&[error]))?;
    let is_ignored = |is: usize| alone.ignored.contains(&is);
    let plan = Plan::new(&differences, in_force, is_there, is_ignored);
    let identities = model.together(&plan, (in_force, &new));
    let identities = identities.map_err(|errors| lines(&errors))?;
    let places = places(old, &new, &differences, &plan, &identities);
    let unknown = |place: &Place| {
        let text = place
            .addresses
            .as_ref()
            .err()
            .filter(|_| place.old.is_none())?;
        let placed = &new.entities[place.new];
        let host = placed.entity.text("host").unwrap_or_default();
        let text = format!("The address of host '{host}' cannot be found: {text}");
        Some(error(&new, placed, "host", text).to_string())
    };
    let unknown: Vec<String> = places.iter().filter_map(unknown).collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    Ok(Prepared {
        differences,
        plan,
        profiles: alone.loaded,
        places,
        requests: model.configured.requests(),
        configuration: new,
    })
}

fn lines(errors: &[ConfigError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// A complaint about an attribute of a section.
pub(super) fn error(
    configuration: &Configuration,
    placed: &Placed,
    attribute: &str,
    text: String,
) -> ConfigError {
    placed.error(&configuration.file(), attribute, text)
}

/// Looks up where listeners are to listen that came or have changed.
fn places(
    old: &Configuration,
    new: &Configuration,
    differences: &Differences,
    plan: &Plan,
    identities: &[Option<String>],
) -> Vec<Place> {
    let at = |placed: &Placed| {
        let text = |name: &str| placed.entity.text(name).unwrap_or_default().to_owned();
        (text("host"), text("port"))
    };
    let coming = plan.coming.iter().copied();
    let listeners = coming.filter(|is| new.entities[*is].is_of_type("listener"));
    let place = |is: usize| {
        let (host, port) = at(&new.entities[is]);
        let was = differences.changed.iter().find(|(_, of)| *of == is);
        let was = was.map(|(was, _)| *was);
        let old = was.filter(|was| {
            plan.going.contains(was) && at(&old.entities[*was]) == (host.clone(), port.clone())
        });
        Some(Place {
            new: is,
            old,
            identity: identities.get(is)?.clone()?,
            addresses: resolve::addresses(&host, &port),
        })
    };
    listeners.filter_map(place).collect()
}
