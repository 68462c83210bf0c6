//! What a configuration file that is read anew takes back, and what it must leave alone.

use router_core::control::ControlPlane;

use crate::configured::Configured;
use crate::host::Host;
use crate::schema::{Entity, EntityType, LOG};
use crate::status::Failure;
use crate::store::Store;

/// The entities of a router, for whoever changes its configuration as a whole.
#[derive(Debug)]
pub struct Amend<'a>(pub(crate) &'a mut Store);

impl Amend<'_> {
    /// Removes an entity that a file has made; nothing if a request has removed it before.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn withdraw(
        &mut self,
        entity_type: &'static EntityType,
        identity: &str,
        control: &mut ControlPlane,
        host: &mut dyn Host,
    ) -> Result<(), Failure> {
        if !self.0.filed.knows(entity_type, identity) {
            return Ok(());
        }
        match identity.strip_prefix("log/") {
            Some(module) if *entity_type == LOG => self.reset_log(module, host),
            _ => self.0.delete(entity_type, identity, control, host),
        }
    }

    /// Gives a module of the log that a file says nothing of any more the settings that it has
    /// without one.
    fn reset_log(&mut self, module: &str, host: &mut dyn Host) -> Result<(), Failure> {
        let mut log = Entity::new(&LOG);
        log.set("module", Some(module.to_owned().into()));
        let identity = self.0.configure_log(&log, host)?;
        self.0.filed.forget(&LOG, &identity);
        Ok(())
    }

    /// Shows attributes of the router that have changed while it runs.
    pub fn change_router(&mut self, changed: &Entity, attributes: &[&'static str]) {
        for name in attributes {
            self.0.router.set(name, changed.get(name).cloned());
        }
    }

    /// How often requests have changed something.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.0.requests
    }

    /// All that is configured.
    #[must_use]
    pub fn configured(&self, control: &ControlPlane) -> Configured {
        Configured::of(self.0, control)
    }

    /// Makes all that is configured in another router; here nothing may be yet.
    pub fn restore(&mut self, configured: &Configured, control: &mut ControlPlane) {
        configured.restore(self.0, control);
    }

    /// What requests have made that lacks something it names, by its identity, and what it lacks.
    #[must_use]
    pub fn lacking(&self) -> Vec<(String, Failure)> {
        let store = &*self.0;
        let services = store.auth_services.iter();
        let users = services.chain(&store.listeners).chain(&store.connectors);
        let made = users.filter(|user| !store.filed.knows(user.entity_type(), user.identity()));
        let lacking = made.filter_map(|user| {
            let failure = store.check_profile(user).err();
            let failure = failure.or_else(|| store.plugin_of(user).err())?;
            Some((user.identity().to_owned(), failure))
        });
        lacking.collect()
    }
}
