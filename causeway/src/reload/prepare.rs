//! Reading a configuration file anew, on a thread of its own: all that may take time or fail
//! without the router that runs. The file is read, compared, and given to a router that is made for
//! the purpose and thrown away, together with what requests have made of the one that runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use management::schema::Entity;
use management::settings::{LogSettings as Asked, ProfileSettings};
use management::{Agent, Failure, Host, LogRow, LogStats, Made, Origin, ProfileState};
use router_core::control::{ControlConfig, ControlPlane};
use router_core::counters::Counters;
use router_core::settings::RouterSettings;

use super::compare::{Differences, compare};
use super::in_force::InForce;
use crate::config::{self, ConfigError, Configuration, Placed};
use crate::create::create;
use crate::log::ModuleSettings;
use crate::profiles::Loaded;
use crate::resolve;

/// What the thread is given.
pub(super) struct Task {
    pub(super) path: PathBuf,
    pub(super) in_force: Arc<InForce>,
    pub(super) made: Made,
    /// The router, with its id.
    pub(super) router: Entity,
    pub(super) settings: Arc<RouterSettings>,
}

/// A configuration that can be put in force, as far as that can be known without the router.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) configuration: Configuration,
    pub(super) differences: Differences,
    /// Its profiles for TLS, with what their files say.
    pub(super) profiles: Vec<Loaded>,
    /// Where listeners are to listen, by their places in the configuration.
    pub(super) places: Vec<Place>,
    /// What requests had made by then.
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
    let old = &task.in_force.configuration;
    let mut differences = compare(old, &new).map_err(|errors| lines(&errors))?;
    // One that was ignored beside another may be what is left.
    let kept = std::mem::take(&mut differences.kept).into_iter();
    let is_there = |(was, _): &(usize, usize)| task.in_force.identities[*was].is_some();
    let (kept, idle): (Vec<_>, Vec<_>) = kept.partition(is_there);
    differences.kept = kept;
    differences.changed.extend(idle);
    let rehearsal = rehearse(task, &new).map_err(|error| vec![error.to_string()])?;
    let places = places(old, &new, &differences, &rehearsal.identities);
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
        profiles: rehearsal.host.loaded,
        places,
        requests: task.made.requests,
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
    identities: &[Option<String>],
) -> Vec<Place> {
    let at = |placed: &Placed| {
        let text = |name: &str| placed.entity.text(name).unwrap_or_default().to_owned();
        (text("host"), text("port"))
    };
    let changed = differences
        .changed
        .iter()
        .map(|(was, is)| (Some(*was), *is));
    let renewed = changed.chain(differences.added.iter().map(|is| (None, *is)));
    let listeners = renewed.filter(|(_, is)| new.entities[*is].is_of_type("listener"));
    let place = |(was, is): (Option<usize>, usize)| {
        let (host, port) = at(&new.entities[is]);
        let old = was.filter(|was| at(&old.entities[*was]) == (host.clone(), port.clone()));
        Some(Place {
            new: is,
            old,
            identity: identities.get(is)?.clone()?,
            addresses: resolve::addresses(&host, &port),
        })
    };
    listeners.filter_map(place).collect()
}

/// What came of making a router of a configuration, only to see whether that can be.
struct Rehearsal {
    identities: Vec<Option<String>>,
    host: Stand,
}

/// Makes a router of the file alone, then one of the file and of what requests have made. What can
/// be in neither order fails.
fn rehearse(task: &Task, new: &Configuration) -> Result<Rehearsal, ConfigError> {
    let mut alone = Stage::new(task);
    let mut ignored = Vec::new();
    for placed in &new.entities {
        let made = alone
            .make(placed)
            .map_err(|failure| whole(new, placed, &failure))?;
        ignored.push(made.is_none());
    }
    let mut both = Stage::new(task);
    both.host.is_silent = true;
    both.make_rules(&task.made);
    let is_named = |entity: &&Entity| {
        matches!(
            entity.entity_type().short,
            "sslProfile" | "authServicePlugin"
        )
    };
    let (named, users): (Vec<_>, Vec<_>) = task.made.entities.iter().partition(is_named);
    let taken = |placed: &Placed, failure: &Failure| ConfigError {
        remedy: Some(
            "delete what management requests have made, or call this something else".to_owned(),
        ),
        ..whole(new, placed, failure)
    };
    for entity in named {
        // It is there: that it can be is known, and what it needs may have gone with the file.
        drop(both.request(entity));
    }
    let mut identities = Vec::new();
    for (placed, ignored) in new.entities.iter().zip(ignored) {
        let made = match ignored {
            true => Ok(None),
            false => both.make_strictly(placed).map(Some),
        };
        identities.push(made.map_err(|failure| taken(placed, &failure))?);
    }
    for entity in users {
        both.request(entity).map_err(|failure| {
            let name = entity.name().unwrap_or_default();
            let text = format!(
                "{name}, which a management request has made, could not be any more: {}",
                failure.text
            );
            ConfigError::of_file(&new.file(), text)
                .with_remedy("delete it, or leave in the file what it needs")
        })?;
    }
    Ok(Rehearsal {
        identities,
        host: alone.host,
    })
}

fn whole(new: &Configuration, placed: &Placed, failure: &Failure) -> ConfigError {
    ConfigError {
        attribute: None,
        ..error(new, placed, "", failure.text.clone())
    }
}

/// A router that never runs.
struct Stage {
    agent: Agent,
    plane: ControlPlane,
    host: Stand,
}

impl Stage {
    fn new(task: &Task) -> Self {
        let plane = ControlPlane::new(ControlConfig {
            settings: Arc::clone(&task.settings),
            shards: 1,
            instance: 0,
            seed: 0,
            counters: Counters::new(1),
        });
        Self {
            agent: Agent::new(task.router.clone()),
            plane,
            host: Stand::default(),
        }
    }

    /// Makes what a section says, as at the start; nothing of an address that would be ignored.
    fn make(&mut self, placed: &Placed) -> Result<Option<String>, Failure> {
        let Self { agent, plane, host } = self;
        create(
            placed,
            Origin::Reload,
            (agent, plane, host),
            &mut |_, _, _| {},
        )
    }

    /// The same; an address that would be ignored is an error.
    fn make_strictly(&mut self, placed: &Placed) -> Result<String, Failure> {
        let Self { agent, plane, host } = self;
        agent.create(placed.entity.clone(), Origin::Reload, plane, host)
    }

    fn request(&mut self, entity: &Entity) -> Result<String, Failure> {
        let Self { agent, plane, host } = self;
        agent.create(entity.clone(), Origin::Reload, plane, host)
    }

    fn make_rules(&mut self, made: &Made) {
        // They are there: nothing can be wrong with them.
        for rule in &made.addresses {
            self.plane.add_address(rule.clone()).unwrap_or_default();
        }
        for rule in &made.link_routes {
            self.plane.add_link_route(rule.clone()).unwrap_or_default();
        }
        for rule in &made.auto_links {
            self.plane.add_auto_link(rule.clone()).unwrap_or_default();
        }
    }
}

/// A program that is none, but reads the files of profiles for TLS.
#[derive(Default)]
struct Stand {
    loaded: Vec<Loaded>,
    /// It does not even do that.
    is_silent: bool,
}

impl Host for Stand {
    fn log_rows(&self, _: Option<usize>) -> Vec<LogRow> {
        Vec::new()
    }

    fn log_stats(&self) -> Vec<LogStats> {
        Vec::new()
    }

    fn update_log(&mut self, asked: &Asked) -> Result<(), String> {
        ModuleSettings::asked(asked).map(drop)
    }

    fn set_profile(&mut self, settings: &ProfileSettings) -> Result<ProfileState, String> {
        if !self.is_silent {
            self.loaded.push(Loaded::read(settings)?);
        }
        Ok(ProfileState::default())
    }

    fn reload_profile(&mut self, _: &str) -> Result<ProfileState, String> {
        Ok(ProfileState::default())
    }

    fn drop_profile(&mut self, _: &str) {}

    fn memory_usage(&self) -> Option<u64> {
        None
    }

    fn host_name(&self) -> Option<String> {
        None
    }
}
