//! Trying a configuration on routers that never run: first on one that has nothing else, then on a
//! copy of the one that runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use management::schema::Entity;
use management::settings::{LogSettings as Asked, ProfileSettings};
use management::{Agent, Configured, Failure, Host, LogRow, LogStats, Origin, ProfileState};
use router_core::control::{ControlConfig, ControlPlane};
use router_core::counters::Counters;
use router_core::notice::Notice;
use router_core::settings::RouterSettings;

use super::in_force::InForce;
use super::plan::Plan;
use crate::config::{ConfigError, Configuration, Placed};
use crate::create::may_be_left_out;
use crate::log::ModuleSettings;
use crate::profiles::Loaded;

/// Attributes that name another section, and what that is.
const NEEDS: [(&str, &str); 2] = [
    ("sslProfile", "sslProfile"),
    ("saslPlugin", "authServicePlugin"),
];

/// The router that runs, as far as others are made like it.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// The router, with its id.
    pub(super) router: Entity,
    pub(super) settings: Arc<RouterSettings>,
    /// What there is.
    pub(super) configured: Configured,
}

/// What came of making a router of a file and nothing else.
#[derive(Debug, Default)]
pub(super) struct Alone {
    /// Its profiles for TLS, with what their files say.
    pub(super) loaded: Vec<Loaded>,
    /// Addresses that cannot be beside others of the file; reading it has warned of them.
    pub(super) ignored: BTreeSet<usize>,
}

impl Model {
    /// Makes a router of a file alone, as at the start.
    pub(super) fn alone(&self, new: &Configuration) -> Result<Alone, ConfigError> {
        let (mut agent, mut plane) = self.router();
        let mut host = Stand::default();
        let mut ignored = BTreeSet::new();
        for (is, placed) in new.entities.iter().enumerate() {
            let entity = placed.entity.clone();
            match agent.create(entity, Origin::Reload, &mut plane, &mut host) {
                Ok(_) => {}
                Err(_) if may_be_left_out(placed) => {
                    ignored.insert(is);
                }
                Err(failure) => return Err(whole(new, placed, &failure)),
            }
        }
        Ok(Alone {
            loaded: host.loaded,
            ignored,
        })
    }

    /// Does to a copy of the router that runs what is to be done to that; the identities of what
    /// the file has made.
    pub(super) fn together(
        &self,
        plan: &Plan,
        (in_force, new): (&InForce, &Configuration),
    ) -> Result<Vec<Option<String>>, Vec<ConfigError>> {
        let (mut agent, mut plane) = self.router();
        let mut host = Stand {
            is_silent: true,
            ..Stand::default()
        };
        agent.amend().restore(&self.configured, &mut plane);
        let lacking = agent.amend().lacking();
        let router = (&mut agent, &mut plane, &mut host as &mut dyn Host);
        let carried = plan.carry_out((in_force, new), router, &mut |_, _, _| {});
        let failures = carried.failures.iter();
        let mut errors: Vec<ConfigError> = failures
            .map(|(placed, failure)| ConfigError {
                remedy: Some(self.remedy(in_force, placed)),
                ..whole(new, placed, failure)
            })
            .collect();
        for (identity, failure) in agent.amend().lacking() {
            if !lacking.iter().any(|(other, _)| *other == identity) {
                let text = format!(
                    "{identity}, which a management request has made, could not be any more: {}",
                    failure.text
                );
                let error = ConfigError::of_file(&new.file(), text);
                errors.push(error.with_remedy("delete it, or leave in the file what it needs"));
            }
        }
        if errors.is_empty() {
            Ok(carried.identities)
        } else {
            Err(errors)
        }
    }

    /// A router that never runs.
    fn router(&self) -> (Agent, ControlPlane) {
        let plane = ControlPlane::new(ControlConfig {
            settings: Arc::clone(&self.settings),
            shards: 1,
            instance: 0,
            seed: 0,
            counters: Counters::new(1),
        });
        (Agent::new(self.router.clone()), plane)
    }

    /// What to do about a section that cannot be beside what requests have done.
    fn remedy(&self, in_force: &InForce, placed: &Placed) -> String {
        let sections = in_force.configuration.entities.iter();
        for (old, identity) in sections.zip(&in_force.identities) {
            let Some(identity) = identity else {
                continue;
            };
            let entity = &old.entity;
            let needs = |(attribute, short): &(&str, &str)| {
                let named = placed.entity.text(attribute);
                old.is_of_type(short) && named.is_some() && named == entity.name()
            };
            if NEEDS.iter().any(needs) && !self.configured.is_filed(entity.entity_type(), identity)
            {
                let name = &old.section.name;
                let called = entity.name().unwrap_or_default();
                return format!(
                    "the file has {name} '{called}', but a management request has deleted it: \
                     have another create it, or restart the router"
                );
            }
        }
        "delete what management requests have made, or call this something else".to_owned()
    }
}

fn whole(new: &Configuration, placed: &Placed, failure: &Failure) -> ConfigError {
    ConfigError {
        attribute: None,
        ..placed.error(&new.file(), "", failure.text.clone())
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
    fn log_rows(&self, _: Option<usize>, _: &mut Vec<Notice>) -> Vec<LogRow> {
        Vec::new()
    }

    fn log_stats(&self) -> Vec<LogStats> {
        Vec::new()
    }

    fn update_log(&mut self, asked: &Asked) -> Result<(), Failure> {
        ModuleSettings::asked(asked)
            .map(drop)
            .map_err(Failure::bad_request)
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
