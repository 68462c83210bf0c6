//! Putting a prepared configuration in force, in one go on the control thread. What can still
//! fail – sockets, and the files of the log – comes first; behind it nothing does.

use management::schema::{Entity, EntityType};
use management::settings::{drain_time, log_settings};
use management::{Agent, Origin};
use mio::Registry;
use router_core::control::ControlPlane;

use super::compare::CHANGEABLE;
use super::in_force::InForce;
use super::prepare::{Place, Prepared, error};
use crate::config::{ConfigError, Placed};
use crate::create::create;
use crate::host::Process;
use crate::listen::{Listeners, Reserved};
use crate::log::{Level, Log, LogSettings, Module, ModuleSettings};

/// What goes first when sections go, so that nobody is without what it names; the rest before these
/// last two.
const GO_FIRST: [&str; 2] = ["listener", "connector"];
const GO_LAST: [&str; 2] = ["authServicePlugin", "sslProfile"];

/// The router that runs, as far as a configuration concerns it.
pub(crate) struct Site<'a> {
    pub(crate) agent: &'a mut Agent,
    pub(crate) plane: &'a mut ControlPlane,
    pub(crate) process: &'a mut Process,
    pub(crate) listeners: &'a mut Listeners,
    pub(crate) registry: &'a Registry,
    pub(crate) connections_max: &'a mut u64,
    pub(crate) log: &'a Log,
}

/// Keeps or binds the sockets of all listeners that came or have changed. Dropped, what was bound
/// is closed, and what was kept is as it was.
///
/// # Errors
///
/// Those that cannot be bound.
pub(super) fn reserve(
    prepared: &Prepared,
    in_force: &InForce,
    is_check: bool,
    site: &mut Site<'_>,
) -> Result<Vec<Reserved>, Vec<String>> {
    let differences = &prepared.differences;
    let changed = differences.changed.iter().map(|(was, _)| was);
    let going: Vec<&str> = changed
        .chain(&differences.removed)
        .filter(|was| in_force.configuration.entities[**was].is_of_type("listener"))
        .filter_map(|was| in_force.identities[*was].as_deref())
        .collect();
    let mut reserved = Vec::new();
    let mut errors = Vec::new();
    // Those that stay where they are have the first claim.
    let mut places: Vec<&Place> = prepared.places.iter().collect();
    places.sort_by_key(|place| place.old.is_none());
    for place in places {
        let was = place
            .old
            .and_then(|was| in_force.identities[was].as_deref());
        match site.listeners.reserve(
            &place.identity,
            (was, &going),
            &place.addresses,
            (is_check, &mut reserved),
            site.registry,
        ) {
            Ok(()) => {}
            Err(text) => {
                let placed = &prepared.configuration.entities[place.new];
                let entity = |name: &str| placed.entity.text(name).unwrap_or_default().to_owned();
                let at = format!("{}:{}", entity("host"), entity("port"));
                let text = format!("{at} cannot be listened on: {text}");
                let error = ConfigError {
                    remedy: Some("free the port, or name another".to_owned()),
                    ..error(&prepared.configuration, placed, "port", text)
                };
                errors.push(error.to_string());
            }
        }
    }
    site.listeners.end_sharing(&going);
    if errors.is_empty() {
        Ok(reserved)
    } else {
        Err(errors)
    }
}

/// Puts a configuration in force. What was in force before is given back if it cannot be.
///
/// # Errors
///
/// An output of the log that cannot be opened; then nothing has changed.
pub(super) fn commit(
    prepared: Prepared,
    in_force: &InForce,
    reserved: Vec<Reserved>,
    site: &mut Site<'_>,
) -> Result<InForce, Vec<String>> {
    let settings = logging(&prepared, in_force, site.process.log_settings());
    let configured = site.process.configure_log(settings);
    configured.map_err(|text| vec![format!("{}: log: {text}", prepared.configuration.file())])?;
    let Prepared {
        configuration,
        differences,
        profiles,
        ..
    } = prepared;
    site.listeners.stage(reserved);
    for (name, state) in site.process.adopt_profiles(profiles) {
        site.agent.profile_changed(&name, &state);
    }
    let old = &in_force.configuration.entities;
    let mut going: Vec<usize> = differences.removed;
    // The log changes where it is: it has had its settings already.
    let changed = differences.changed.iter().map(|(was, _)| *was);
    going.extend(changed.filter(|was| !old[*was].is_of_type("log")));
    going.sort_by_key(|was| rank(&old[*was]));
    for was in going {
        let Some(identity) = &in_force.identities[was] else {
            continue;
        };
        withdraw(old[was].entity.entity_type(), identity, site);
    }
    let mut identities = vec![None; configuration.entities.len()];
    for (was, is) in differences.kept {
        identities[is].clone_from(&in_force.identities[was]);
    }
    let mut coming: Vec<usize> = differences.added;
    coming.extend(differences.changed.iter().map(|(_, is)| *is));
    coming.sort_unstable();
    for is in coming {
        identities[is] = make(&configuration.entities[is], site);
    }
    let changed: &Entity = &configuration.router;
    site.agent.amend().change_router(changed, CHANGEABLE);
    site.process.drain_time = drain_time(changed);
    let policy = &configuration.policy;
    site.agent.obey(policy.entity.clone(), !policy.admin_status);
    *site.connections_max = policy.connections_max;
    site.process.forget_prepared();
    Ok(InForce {
        configuration,
        identities,
    })
}

fn rank(placed: &Placed) -> usize {
    let short = placed.entity.entity_type().short;
    if GO_FIRST.contains(&short) {
        0
    } else {
        1 + GO_LAST
            .iter()
            .position(|of| *of == short)
            .map_or(0, |at| at + 1)
    }
}

fn withdraw(entity_type: &'static EntityType, identity: &str, site: &mut Site<'_>) {
    let (plane, process) = (&mut *site.plane, &mut *site.process);
    if let Err(failure) = site
        .agent
        .amend()
        .withdraw(entity_type, identity, plane, process)
    {
        broken(site.log, identity, &failure.text);
    }
}

fn make(placed: &Placed, site: &mut Site<'_>) -> Option<String> {
    let log = site.log;
    let router = (
        &mut *site.agent,
        &mut *site.plane,
        &mut *site.process as &mut dyn management::Host,
    );
    let mut tell = |module, level, text: String| log.line(module, level, text);
    let made = create(placed, Origin::Reload, router, &mut tell);
    made.unwrap_or_else(|failure| {
        broken(log, &placed.section.name, &failure.text);
        None
    })
}

/// What was tried before has failed now: a defect of the router.
fn broken(log: &Log, what: &str, text: &str) {
    let words = format!("Reload: {what} is not as the file says: {text}; restart the router");
    log.line(Module::Agent, Level::Critical, words);
}

/// The log's settings as they are, with what the file says differently.
fn logging(prepared: &Prepared, in_force: &InForce, now: &LogSettings) -> LogSettings {
    let mut settings = now.clone();
    settings.stamp = prepared.configuration.log.stamp.clone();
    let differences = &prepared.differences;
    let asked = |placed: &Placed| {
        let is_log = placed.is_of_type("log");
        is_log.then(|| ModuleSettings::asked(&log_settings(&placed.entity)).ok())?
    };
    for was in &differences.removed {
        if let Some((module, _)) = asked(&in_force.configuration.entities[*was]) {
            *settings.module_mut(module) = ModuleSettings::default();
        }
    }
    let changed = differences.changed.iter().map(|(_, is)| is);
    for is in changed.chain(&differences.added) {
        if let Some((module, own)) = asked(&prepared.configuration.entities[*is]) {
            *settings.module_mut(module) = own;
        }
    }
    settings
}
