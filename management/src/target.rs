//! Which entity a request is about: type, name, identity.
//! It never looks beyond the rows it is given.

use crate::query::{is_management, known};
use crate::rows::Row;
use crate::schema::{
    AUTO_LINK, CONFIG_ADDRESS, CONNECTION, CONNECTION_LINK_ROUTE, EntityType, LINK_ROUTE, PREFIX,
    ROUTER, ROUTER_ADDRESS, ROUTER_NODE, shortened,
};
use crate::snapshot::subject;
use crate::status::{Failure, Status};
use crate::wire::Content;

/// What the management node is called.
const SELF: &str = "self";

/// What a request says about its target.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// `None`: any type that is configured, or the management node.
    entity_type: Option<&'static EntityType>,
    name: Option<String>,
    identity: Option<String>,
    /// The type is given by its full name.
    in_full: bool,
}

impl Target {
    /// Reads the target; an unknown type is an error.
    pub(crate) fn read(content: &Content) -> Result<Self, Failure> {
        let named = content.text("type")?.filter(|name| !is_management(name));
        Ok(Self {
            entity_type: named.map(known).transpose()?,
            in_full: named.is_some_and(|name| name.starts_with(PREFIX)),
            name: content.text("name")?.map(str::to_owned),
            identity: content.text("identity")?.map(str::to_owned),
        })
    }

    pub(crate) fn entity_type(&self) -> Option<&'static EntityType> {
        self.entity_type
    }

    /// Whether its type is given by its full name.
    pub(crate) fn is_in_full(&self) -> bool {
        self.in_full
    }

    pub(crate) fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// The key of the address it asks for.
    pub(crate) fn key(&self) -> Option<&str> {
        self.identity.as_deref().or(self.name.as_deref())
    }

    /// Whether it is the management node itself.
    pub(crate) fn is_management_node(&self) -> bool {
        let is_self = |text: &Option<String>| text.as_deref().is_none_or(|text| text == SELF);
        self.entity_type.is_none() && is_self(&self.name) && is_self(&self.identity)
    }

    /// Whether it says enough to find an entity.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let is = |other| self.entity_type == Some(other);
        let refuse = |text: &str| Err(Failure::bad_request(text));
        match (&self.name, &self.identity) {
            _ if is(&ROUTER) => Ok(()),
            (None, None) if is(&ROUTER_ADDRESS) => Err(Status::NotFound.into()),
            (None, None) => refuse("No name or identity provided"),
            (Some(_), None) if is(&CONNECTION) => refuse("Name not supported. Identity required"),
            _ => Ok(()),
        }
    }

    /// The row that is meant, among all of the type. Names are unique over all types of what is
    /// configured, so who names one of another type is told which it is.
    pub(crate) fn find<'a>(&self, rows: impl Iterator<Item = Row<'a>>) -> Result<Row<'a>, Failure> {
        let (name, identity) = (self.name.as_deref(), self.identity.as_deref());
        let is_wanted = |row: &Row<'_>| match identity {
            Some(identity) => row.is_called(None, Some(identity)),
            None => row.is_called(name, None),
        };
        let mut other = None;
        let mut wanted = rows.filter(is_wanted);
        let found = wanted.find(|row| {
            let of_type = row.entity_type();
            let is_it = self.entity_type.is_none_or(|wanted| of_type.is_a(wanted));
            if !is_it {
                other = Some(of_type);
            }
            is_it
        });
        if let (None, Some(other), Some(wanted)) = (&found, other, self.entity_type)
            && self.is_named_among_all()
        {
            let (other, wanted) = (other.full_name(), wanted.full_name());
            return Err(Failure::bad_request(format!(
                "Entity type '{other}' does not extend requested type '{wanted}'"
            )));
        }
        let row = found.ok_or_else(|| self.not_found())?;
        if row.is_called(name, None) {
            return Ok(row);
        }
        let (name, identity) = (quote(name), quote(identity));
        Err(Failure::bad_request(format!(
            "Conflicting name={name} identity={identity}"
        )))
    }

    /// Whether its type is one that has always been told in fewer words what is wrong.
    fn is_of_core(&self) -> bool {
        let is_core = |of: &'static EntityType| subject(of).is_some() || *of == LINK_ROUTE;
        self.entity_type.is_some_and(is_core)
    }

    /// Whether a name could be that of anything configured: other tables count by themselves.
    pub(crate) fn is_named_among_all(&self) -> bool {
        let apart = [
            &CONFIG_ADDRESS,
            &AUTO_LINK,
            &CONNECTION_LINK_ROUTE,
            &ROUTER_NODE,
        ];
        !self.is_of_core() && self.entity_type.is_some_and(|of| !apart.contains(&of))
    }

    /// Nothing goes by that name.
    pub(crate) fn not_found(&self) -> Failure {
        if self.is_of_core() {
            return Status::NotFound.into();
        }
        let said = |what: &str, text: &Option<String>| {
            text.as_deref()
                .map(|text| format!("{what}={}", shortened(text)))
        };
        let said = [said("name", &self.name), said("identity", &self.identity)];
        let said: Vec<_> = said.into_iter().flatten().collect();
        Failure::new(
            Status::NotFound,
            format!("No entity with {}", said.join(" ")),
        )
    }
}

fn quote(text: Option<&str>) -> String {
    shortened(text.unwrap_or_default()).into_owned()
}
