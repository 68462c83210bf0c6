//! What a configuration file that is read anew takes back, and what it must leave alone.

use router_core::control::ControlPlane;

use crate::host::Host;
use crate::made::Made;
use crate::schema::{AUTO_LINK, CONFIG_ADDRESS, Entity, EntityType, LINK_ROUTE, LOG};
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

    /// What requests have made so far.
    #[must_use]
    pub fn made(&self, control: &ControlPlane) -> Made {
        let store = &*self.0;
        let kept = [&store.profiles, &store.auth_services];
        let kept = kept
            .into_iter()
            .chain([&store.listeners, &store.connectors]);
        let is_made = |of: &'static EntityType, identity: &str| !store.filed.knows(of, identity);
        let is_new = |of: &'static EntityType, number: u64| is_made(of, &number.to_string());
        let entities = kept.flatten();
        let addresses = control.address_rules();
        let routes = control.link_routes().filter(|row| row.scope.is_none());
        let auto_links = control.auto_links();
        Made {
            entities: entities
                .filter(|entity| is_made(entity.entity_type(), entity.identity()))
                .cloned()
                .collect(),
            addresses: addresses
                .filter(|rule| is_new(&CONFIG_ADDRESS, rule.identity))
                .cloned()
                .collect(),
            link_routes: routes
                .filter(|row| is_new(&LINK_ROUTE, row.rule.identity))
                .map(|row| row.rule.clone())
                .collect(),
            auto_links: auto_links
                .filter(|row| is_new(&AUTO_LINK, row.rule.identity))
                .map(|row| row.rule.clone())
                .collect(),
            requests: store.requests,
        }
    }
}
