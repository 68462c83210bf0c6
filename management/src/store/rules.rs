//! Entries about addresses, link routes and auto-links: the control plane has them, here is what
//! they are called.

use router_core::control::ControlPlane;

use crate::made::Origin;
use crate::rows::Row;
use crate::schema::Entity;
use crate::settings::{address_rule, auto_link_rule, link_rule};
use crate::status::Failure;
use crate::store::entities::{Store, duplicate};

impl Store {
    pub(super) fn create_address(
        &mut self,
        mut address: Entity,
        origin: Origin,
        control: &mut ControlPlane,
    ) -> Result<String, Failure> {
        if origin.is_file() && address.name().is_none() {
            let is_taken = |name: &str| {
                let mut rules = control.address_rules();
                rules.any(|rule| rule.name.as_deref() == Some(name))
            };
            let name = next_name("address", &mut self.addresses_named, is_taken);
            address.set("name", Some(name.into()));
        }
        self.refuse_name(&address, control)?;
        let identity = control.add_address(address_rule(&address));
        let identity = identity.map_err(|error| Failure::bad_request(error.to_string()))?;
        Ok(identity.to_string())
    }

    pub(super) fn create_link_route(
        &mut self,
        mut route: Entity,
        origin: Origin,
        control: &mut ControlPlane,
    ) -> Result<String, Failure> {
        if origin.is_file() && route.name().is_none() {
            let is_taken = |name: &str| {
                let mut routes = control.link_routes();
                routes.any(|row| row.rule.name.as_deref() == Some(name))
            };
            let name = next_name("linkRoute", &mut self.link_routes_named, is_taken);
            route.set("name", Some(name.into()));
        }
        self.refuse_name(&route, control)?;
        let identity = control.add_link_route(link_rule(&route));
        let identity = identity.map_err(|error| Failure::bad_request(error.to_string()))?;
        Ok(identity.to_string())
    }

    pub(super) fn create_auto_link(
        &mut self,
        mut link: Entity,
        origin: Origin,
        control: &mut ControlPlane,
    ) -> Result<String, Failure> {
        if origin.is_file() && link.name().is_none() {
            let is_taken = |name: &str| {
                let mut links = control.auto_links();
                links.any(|row| row.rule.name.as_deref() == Some(name))
            };
            let name = next_name("autoLink", &mut self.auto_links_named, is_taken);
            link.set("name", Some(name.into()));
        }
        self.refuse_name(&link, control)?;
        let identity = control.add_auto_link(auto_link_rule(&link));
        let identity = identity.map_err(|error| Failure::bad_request(error.to_string()))?;
        Ok(identity.to_string())
    }

    /// Entries about addresses, link routes and auto-links share their names with nobody but each
    /// other; two of a kind are told apart by the control plane.
    fn refuse_name(&self, entity: &Entity, control: &ControlPlane) -> Result<(), Failure> {
        let name = entity.name();
        let is_taken = |row: Row<'_>| name.is_some() && row.is_called(name, None);
        match self.kept(control).any(is_taken) {
            true => Err(duplicate(entity, "name")),
            false => Ok(()),
        }
    }
}

/// A name for an entry of a file that has none; one that a request has taken is passed over.
pub(super) fn next_name(kind: &str, named: &mut u64, is_taken: impl Fn(&str) -> bool) -> String {
    loop {
        let name = format!("{kind}/{named}");
        *named += 1;
        if !is_taken(&name) {
            return name;
        }
    }
}
