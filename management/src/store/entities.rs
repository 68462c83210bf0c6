//! The entities that configuration and requests have made, and what making or removing one does.
//!
//! Owns the entities of router, log, listeners and connectors; rules about addresses live in the
//! control plane, which is asked. Decision: the loader of a configuration file and CREATE requests
//! end in the same function here, so a file is nothing but requests made in advance.

use router_core::control::{ControlPlane, Listen};
use router_core::limits::CONFIGURED_ENTITIES;

use crate::host::{Host, ProfileState};
use crate::made::{Filed, Origin};
use crate::rows::Row;
use crate::schema::{
    AUTH_SERVICE, AUTO_LINK, CONFIG_ADDRESS, CONNECTOR, DUMMY, Entity, EntityType, LINK_ROUTE,
    LISTENER, LOG, MODULES, POLICY, ROUTER, SSL_PROFILE, refused_role, shortened, unusable_profile,
};
use crate::settings::{connect, listen, log_settings, mechanisms_without_users, profile_settings};
use crate::status::{Failure, Status};

/// Entities that do nothing, made by requests: enough for any script, and no memory worth
/// mentioning.
pub(crate) const DUMMIES: usize = 256;

/// What the configuration has made.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) router: Entity,
    /// What is let in.
    pub(crate) policy: Entity,
    logs: Vec<Entity>,
    pub(crate) auth_services: Vec<Entity>,
    pub(crate) listeners: Vec<Entity>,
    pub(crate) connectors: Vec<Entity>,
    /// Without their passwords.
    pub(crate) profiles: Vec<Entity>,
    /// What users try management with.
    pub(super) dummies: Vec<Entity>,
    /// Their identities count from 0.
    pub(super) dummies_made: u64,
    /// Entries about addresses that came from a file: their names count from 0.
    pub(super) addresses_named: u64,
    /// The same of link routes.
    pub(super) link_routes_named: u64,
    /// The same of auto-links.
    pub(super) auto_links_named: u64,
    /// What came from a file, and is there still.
    pub(crate) filed: Filed,
    /// How often requests have changed something.
    pub(crate) requests: u64,
}

impl Store {
    /// What is there without any configuration but the router's.
    pub(crate) fn new(mut router: Entity) -> Self {
        let id = router.text("id").unwrap_or_default();
        let identity = format!("router/{id}");
        router.identify(identity);
        let log = |module: &&'static str| {
            let mut log = Entity::new(&LOG);
            log.set("module", Some((*module).into()));
            log.identify(format!("log/{module}"));
            log
        };
        let logs = MODULES.iter().map(log).collect();
        Self {
            router,
            policy: Entity::new(&POLICY),
            logs,
            auth_services: Vec::new(),
            listeners: Vec::new(),
            connectors: Vec::new(),
            profiles: Vec::new(),
            dummies: Vec::new(),
            dummies_made: 0,
            addresses_named: 0,
            link_routes_named: 0,
            auto_links_named: 0,
            filed: Filed::default(),
            requests: 0,
        }
    }

    pub(crate) fn router(&self) -> &Entity {
        &self.router
    }

    /// Makes an entity; gives its identity.
    pub(crate) fn create(
        &mut self,
        entity: Entity,
        origin: Origin,
        control: &mut ControlPlane,
        host: &mut dyn Host,
    ) -> Result<String, Failure> {
        let entity_type = entity.entity_type();
        if origin == Origin::Request {
            self.refuse_too_many(entity_type, control)?;
        }
        let identity = self.make(entity, origin, control, host)?;
        match origin {
            Origin::File | Origin::Reload => self.filed.note(entity_type, &identity),
            Origin::Request => self.requests += 1,
        }
        Ok(identity)
    }

    fn make(
        &mut self,
        entity: Entity,
        origin: Origin,
        control: &mut ControlPlane,
        host: &mut dyn Host,
    ) -> Result<String, Failure> {
        let entity_type = entity.entity_type();
        if *entity_type == SSL_PROFILE {
            self.create_profile(entity, control, host)
        } else if *entity_type == LISTENER {
            self.create_listener(entity, origin, control)
        } else if *entity_type == CONNECTOR {
            self.create_connector(entity, origin, control)
        } else if *entity_type == AUTH_SERVICE {
            self.create_auth_service(entity, control)
        } else if *entity_type == CONFIG_ADDRESS {
            self.create_address(entity, origin, control)
        } else if *entity_type == LINK_ROUTE {
            self.create_link_route(entity, origin, control)
        } else if *entity_type == AUTO_LINK {
            self.create_auto_link(entity, origin, control)
        } else if *entity_type == DUMMY {
            self.create_dummy(entity, control)
        } else if *entity_type == LOG && origin.is_file() {
            self.configure_log(&entity, host)
        } else if *entity_type == ROUTER && origin.is_file() {
            let text = format!(
                "Adding {} singleton: there is one already",
                ROUTER.full_name()
            );
            Err(Failure::bad_request(text))
        } else if *entity_type == ROUTER {
            Err(Status::Forbidden.into())
        } else {
            Err(not_implemented("CREATE", entity_type))
        }
    }

    fn create_profile(
        &mut self,
        mut profile: Entity,
        control: &ControlPlane,
        host: &mut dyn Host,
    ) -> Result<String, Failure> {
        let Some(name) = profile.name() else {
            return Err(Failure::bad_request("An sslProfile needs a name"));
        };
        let identity = format!("sslProfile/{name}");
        profile.identify(identity.clone());
        self.refuse_duplicate(&profile, control)?;
        let settings = profile_settings(&profile);
        let state = host.set_profile(&settings).map_err(Failure::bad_request)?;
        // What is not kept is not shown.
        profile.set("password", None);
        show_state(&mut profile, &state);
        self.profiles.push(profile);
        Ok(identity)
    }

    /// The files of a profile have been read anew.
    pub(crate) fn profile_changed(&mut self, name: &str, state: &ProfileState) {
        let mut profiles = self.profiles.iter_mut();
        if let Some(profile) = profiles.find(|profile| profile.name() == Some(name)) {
            show_state(profile, state);
        }
    }

    /// Whether a listener, a connector or a service can use the profile that it names.
    pub(crate) fn check_profile(&self, entity: &Entity) -> Result<(), Failure> {
        let named = entity.text("sslProfile");
        let find = |name: &str| {
            let mut profiles = self.profiles.iter();
            profiles.find(|profile| profile.name() == Some(name))
        };
        match unusable_profile(entity, named.and_then(find)) {
            Some(refusal) => Err(Failure::bad_request(refusal.text)),
            None => Ok(()),
        }
    }

    /// Listeners, connectors and services that are there keep the profile that they have, even when
    /// it was deleted, as listeners keep their service; with the last of them it goes.
    fn release_profile(&self, name: Option<&str>, control: &ControlPlane, host: &mut dyn Host) {
        let Some(name) = name else {
            return;
        };
        let users = self.listeners.iter().chain(&self.connectors);
        let mut users = users.chain(&self.auth_services);
        let mut services = control.listeners().filter_map(profile_of_service);
        if !self.profiles.iter().any(|p| p.name() == Some(name))
            && !users.any(|user| user.text("sslProfile") == Some(name))
            && !services.any(|used| used == name)
        {
            host.drop_profile(name);
        }
    }

    fn create_listener(
        &mut self,
        mut listener: Entity,
        origin: Origin,
        control: &mut ControlPlane,
    ) -> Result<String, Failure> {
        let identity = self.admit(&mut listener, control)?;
        let plugin = self.plugin_of(&listener)?;
        if let Some(mechanism) = mechanisms_without_users(&listener, &self.router).next() {
            let mechanism = shortened(mechanism);
            let text = format!("SASL mechanism '{mechanism}' needs the router's saslUserFile");
            return Err(Failure::bad_request(text));
        }
        let is_required = origin == Origin::File;
        if !control.listen(listen(&listener, &self.router, plugin, is_required)) {
            return Err(duplicate(&listener, "identity"));
        }
        self.listeners.push(listener);
        Ok(identity)
    }

    fn create_connector(
        &mut self,
        mut connector: Entity,
        origin: Origin,
        control: &mut ControlPlane,
    ) -> Result<String, Failure> {
        if origin == Origin::Request && connector.text("saslPassword").is_some_and(is_elsewhere) {
            // Whoever asks could have any file of the router's sent to a server of theirs.
            let text = "saslPassword: in a request it has to be the password itself; file: and \
                        env: are for the configuration file";
            return Err(Failure::bad_request(text));
        }
        let identity = self.admit(&mut connector, control)?;
        if !control.connect(connect(&connector)) {
            return Err(duplicate(&connector, "identity"));
        }
        self.connectors.push(connector);
        Ok(identity)
    }

    /// The service that a listener names for authentication.
    pub(crate) fn plugin_of(&self, listener: &Entity) -> Result<Option<&Entity>, Failure> {
        let Some(name) = listener.text("saslPlugin") else {
            return Ok(None);
        };
        let mut services = self.auth_services.iter();
        let named = services.find(|service| service.name() == Some(name));
        named.map(Some).ok_or_else(|| {
            let name = shortened(name);
            Failure::bad_request(format!("Cannot find sasl plugin {name}"))
        })
    }

    fn create_auth_service(
        &mut self,
        mut service: Entity,
        control: &ControlPlane,
    ) -> Result<String, Failure> {
        let place = service.name().map_or_else(
            || service.text("host").unwrap_or_default().to_owned(),
            str::to_owned,
        );
        let identity = format!("{}/{place}", AUTH_SERVICE.short);
        self.check_profile(&service)?;
        service.identify(identity.clone());
        self.refuse_duplicate(&service, control)?;
        self.auth_services.push(service);
        Ok(identity)
    }

    /// Gives a listener or connector its identity, if a router of this mode may have it.
    fn admit(&self, entity: &mut Entity, control: &ControlPlane) -> Result<String, Failure> {
        let text = |name| entity.text(name).unwrap_or_default();
        let short = entity.entity_type().short;
        let mode = control.settings().mode.name();
        if let Some(refusal) = refused_role(mode, short, text("role")) {
            return Err(Failure::bad_request(refusal));
        }
        self.check_profile(entity)?;
        let mut identity = format!("{short}/{}:{}", text("host"), text("port"));
        if let Some(name) = entity.name() {
            identity = format!("{identity}:{name}");
        }
        entity.identify(identity.clone());
        self.refuse_duplicate(entity, control)?;
        Ok(identity)
    }

    /// Gives a module of the log the settings in a file.
    pub(crate) fn configure_log(
        &mut self,
        log: &Entity,
        host: &mut dyn Host,
    ) -> Result<String, Failure> {
        let module = log.text("module").unwrap_or_default();
        let mut places = self.logs.iter();
        let place = places.position(|other| other.text("module") == Some(module));
        let place = place.expect("all modules in the table have an entity");
        let mut configured = log.clone();
        configured.identify(format!("log/{module}"));
        host.update_log(&log_settings(&configured))?;
        self.logs[place] = configured;
        Ok(format!("log/{module}"))
    }

    /// Reads the files of a profile anew.
    pub(crate) fn reload_profile(
        &mut self,
        identity: &str,
        attributes: &[(String, amqp_codec::Value)],
        host: &mut dyn Host,
    ) -> Result<(), Failure> {
        let mut profiles = self.profiles.iter_mut();
        let profile = profiles.find(|profile| profile.identity() == identity);
        let profile = profile.ok_or(Status::NotFound)?;
        profile
            .update(attributes)
            .map_err(|error| Failure::bad_request(error.text))?;
        let name = profile.name().unwrap_or_default();
        let state = host.reload_profile(name).map_err(Failure::bad_request)?;
        show_state(profile, &state);
        Ok(())
    }

    /// Changes an entity that is kept here.
    pub(crate) fn update(
        &mut self,
        identity: &str,
        attributes: &[(String, amqp_codec::Value)],
        host: &mut dyn Host,
    ) -> Result<&Entity, Failure> {
        let log = self.logs.iter_mut().find(|log| log.identity() == identity);
        let log = log.ok_or(Status::NotFound)?;
        let mut changed = log.clone();
        changed
            .update(attributes)
            .map_err(|error| Failure::bad_request(error.text))?;
        let result = host.update_log(&log_settings(&changed));
        result.map_err(|failure| match failure.status {
            // In the words that scripts know.
            Status::InternalError => Failure {
                text: format!("CError: Configuration: {failure}"),
                ..failure
            },
            _ => failure,
        })?;
        *log = changed;
        Ok(log)
    }

    /// Removes an entity.
    pub(crate) fn delete(
        &mut self,
        entity_type: &'static EntityType,
        identity: &str,
        control: &mut ControlPlane,
        host: &mut dyn Host,
    ) -> Result<(), Failure> {
        let number: Option<u64> = identity.parse().ok();
        let is_removed = if *entity_type == LISTENER {
            let removed = remove(&mut self.listeners, identity);
            let mut listeners = control.listeners();
            let listener = listeners.find(|listen| &*listen.identity == identity);
            let of_service = listener.and_then(profile_of_service).map(str::to_owned);
            drop(listeners);
            let is_removed = control.unlisten(identity);
            self.release_profile(named_profile(removed.as_ref()), control, host);
            self.release_profile(of_service.as_deref(), control, host);
            is_removed
        } else if *entity_type == CONNECTOR {
            let removed = remove(&mut self.connectors, identity);
            self.release_profile(named_profile(removed.as_ref()), control, host);
            control.disconnect(identity)
        } else if *entity_type == AUTH_SERVICE {
            let removed = remove(&mut self.auth_services, identity);
            self.release_profile(named_profile(removed.as_ref()), control, host);
            removed.is_some()
        } else if *entity_type == SSL_PROFILE {
            let removed = remove(&mut self.profiles, identity);
            let name = removed.as_ref().and_then(Entity::name);
            self.release_profile(name, control, host);
            removed.is_some()
        } else if *entity_type == DUMMY {
            remove(&mut self.dummies, identity).is_some()
        } else if *entity_type == CONFIG_ADDRESS {
            number.is_some_and(|number| control.remove_address(number))
        } else if *entity_type == LINK_ROUTE {
            number.is_some_and(|number| control.remove_link_route(number))
        } else if *entity_type == AUTO_LINK {
            number.is_some_and(|number| control.remove_auto_link(number))
        } else if *entity_type == ROUTER {
            return Err(Status::Forbidden.into());
        } else {
            return Err(not_implemented("DELETE", entity_type));
        };
        match is_removed {
            true => {
                self.filed.forget(entity_type, identity);
                self.requests += 1;
                Ok(())
            }
            false => Err(Status::NotFound.into()),
        }
    }

    /// Everything configured, as rows.
    pub(crate) fn rows<'a>(
        &'a self,
        control: &'a ControlPlane,
    ) -> impl Iterator<Item = Row<'a>> + use<'a> {
        self.kept(control)
            .chain(control.address_rules().map(Row::Rule))
            .chain(control.link_routes().map(Row::LinkRoute))
            .chain(control.auto_links().map(Row::AutoLink))
    }

    /// What is kept here, as rows; the router is the first.
    pub(super) fn kept<'a>(
        &'a self,
        control: &'a ControlPlane,
    ) -> impl Iterator<Item = Row<'a>> + use<'a> {
        let entities = std::iter::once(&self.router)
            .chain(&self.logs)
            .chain(&self.auth_services)
            .chain(&self.profiles)
            .chain(&self.listeners)
            .chain(&self.dummies);
        let connectors = self.connectors.iter();
        entities
            .map(Row::Entity)
            .chain(connectors.map(|connector| Row::Connector(connector, control)))
    }

    /// A request may not add to as many entities as there may be.
    fn refuse_too_many(
        &self,
        entity_type: &'static EntityType,
        control: &ControlPlane,
    ) -> Result<(), Failure> {
        let is = |other| std::ptr::eq(entity_type, other);
        let count = if is(&AUTH_SERVICE) {
            self.auth_services.len()
        } else if is(&LISTENER) {
            self.listeners.len()
        } else if is(&CONNECTOR) {
            self.connectors.len()
        } else if is(&SSL_PROFILE) {
            self.profiles.len()
        } else if is(&DUMMY) {
            self.dummies.len()
        } else if is(&CONFIG_ADDRESS) {
            control.address_rules().len()
        } else if is(&LINK_ROUTE) {
            control.link_routes().count()
        } else if is(&AUTO_LINK) {
            control.auto_links().len()
        } else {
            0
        };
        let limit = if is(&DUMMY) {
            DUMMIES
        } else {
            CONFIGURED_ENTITIES
        };
        if count < limit {
            return Ok(());
        }
        Err(Failure::bad_request(format!(
            "There are {count} entities of type {}, the limit is {limit}",
            entity_type.full_name()
        )))
    }

    /// Names and identities are unique over all types.
    pub(super) fn refuse_duplicate(
        &self,
        entity: &Entity,
        control: &ControlPlane,
    ) -> Result<(), Failure> {
        for row in self.rows(control) {
            if row.is_called(entity.name(), None) {
                return Err(duplicate(entity, "name"));
            }
            if row.is_called(None, Some(entity.identity())) {
                return Err(duplicate(entity, "identity"));
            }
        }
        Ok(())
    }
}

/// Takes an entity out.
fn remove(entities: &mut Vec<Entity>, identity: &str) -> Option<Entity> {
    let place = entities
        .iter()
        .position(|entity| entity.identity() == identity)?;
    Some(entities.remove(place))
}

/// The profile that an entity names, which has just been removed.
fn named_profile(removed: Option<&Entity>) -> Option<&str> {
    removed?.text("sslProfile")
}

/// The profile of the service to which a listener leaves it who may connect.
fn profile_of_service(listen: &Listen) -> Option<&str> {
    let service = listen.settings.sasl.plugin.as_ref()?;
    Some(&service.tls.as_ref()?.profile)
}

/// Shows what a profile's files have told.
fn show_state(profile: &mut Entity, state: &ProfileState) {
    let text = |text: &Option<String>| text.clone().map(Into::into);
    profile.set("certificateExpires", text(&state.certificate_expires));
    profile.set("caCertificateExpires", text(&state.authorities_expire));
}

/// Whether requests may make entities of a type.
pub(crate) fn not_implemented(operation: &str, entity_type: &EntityType) -> Failure {
    let operations: Vec<_> = entity_type
        .all_operations()
        .map(|operation| format!("'{operation}'"))
        .collect();
    let (operation, name) = (shortened(operation), entity_type.full_name());
    let operations = operations.join(", ");
    let text = format!("Operation '{operation}' not implemented for '{name}' [{operations}]");
    Failure::new(Status::NotImplemented, text)
}

pub(super) fn duplicate(entity: &Entity, attribute: &str) -> Failure {
    let value = shortened(entity.text(attribute).unwrap_or_default()).into_owned();
    let name = entity.entity_type().full_name();
    Failure::bad_request(format!(
        "adding {name}({attribute}={value}) duplicates unique attribute '{attribute}' from \
         existing entity"
    ))
}

/// Whether a password is to be read from a file or from the environment.
fn is_elsewhere(password: &str) -> bool {
    ["file:", "env:"]
        .iter()
        .any(|form| password.starts_with(form))
}
