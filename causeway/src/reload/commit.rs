//! Putting a prepared configuration in force, in one go on the control thread. What can still
//! fail – sockets, and the files of the log – comes first; behind it nothing does.

use management::schema::Entity;
use management::settings::{drain_time, log_settings};
use management::{Agent, Host};
use mio::Registry;
use router_core::control::ControlPlane;

use super::compare::CHANGEABLE;
use super::in_force::InForce;
use super::prepare::{Place, Prepared, error};
use crate::config::{ConfigError, Placed};
use crate::host::Process;
use crate::listen::{Listeners, Reserved};
use crate::log::{Log, LogSettings, ModuleSettings};

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
    let going = prepared.plan.going.iter();
    let going: Vec<&str> = going
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

/// Puts a configuration in force; that, and what has failed all the same.
///
/// # Errors
///
/// An output of the log that cannot be opened; then nothing has changed.
pub(super) fn commit(
    prepared: Prepared,
    in_force: &InForce,
    reserved: Vec<Reserved>,
    site: &mut Site<'_>,
) -> Result<(InForce, Vec<String>), Vec<String>> {
    let settings = logging(&prepared, in_force, site.process.log_settings());
    let configured = site.process.configure_log(settings);
    configured.map_err(|text| vec![format!("{}: log: {text}", prepared.configuration.file())])?;
    let Prepared {
        configuration,
        plan,
        profiles,
        ..
    } = prepared;
    site.listeners.stage(reserved);
    for (name, state) in site.process.adopt_profiles(profiles) {
        site.agent.profile_changed(&name, &state);
    }
    let log = site.log;
    let router = (
        &mut *site.agent,
        &mut *site.plane,
        &mut *site.process as &mut dyn Host,
    );
    let mut tell = |module, level, text: String| log.line(module, level, text);
    let carried = plan.carry_out((in_force, &configuration), router, &mut tell);
    let failures = carried.failures.iter();
    let failures = failures.map(|(placed, failure)| broken(placed, &failure.text));
    let failures: Vec<String> = failures.collect();
    let identities = carried.identities;
    let changed: &Entity = &configuration.router;
    site.agent.amend().change_router(changed, CHANGEABLE);
    site.process.drain_time = drain_time(changed);
    let policy = &configuration.policy;
    site.agent.obey(policy.entity.clone(), !policy.admin_status);
    *site.connections_max = policy.connections_max;
    site.process.forget_prepared();
    let in_force = InForce {
        configuration,
        identities,
    };
    Ok((in_force, failures))
}

/// What was tried before has failed now: a defect of the router.
fn broken(placed: &Placed, text: &str) -> String {
    let (line, name) = (placed.section.line, &placed.section.name);
    format!("{name} on line {line} is not as the file says: {text}")
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
