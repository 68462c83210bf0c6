//! What an entity type is made of: attributes, their kinds, defaults and permissions.
//!
//! It holds no table and checks no value. Decision: tables are `const` data written as one line an
//! attribute, so that validation, the agent, the configuration loader, the columns of the command
//! line and the documentation all read the same line.

/// The part of full type names before the short name.
pub const PREFIX: &str = "org.apache.qpid.dispatch.";

/// The type of an attribute's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// The name of a file or directory.
    Path,
    /// The identity of another entity.
    EntityId,
    /// A whole number.
    Integer,
    /// A list.
    List,
    /// A map.
    Map,
    /// A map that is merged into the properties of an Open.
    Properties,
    /// True or false.
    Boolean,
    /// One of these tags; their order counts, for a tag may be given by its index.
    Enum(&'static [&'static str]),
}

impl Kind {
    /// The name in the schema; an enum's is the list of its tags.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Path => "path",
            Self::EntityId => "entityId",
            Self::Integer => "integer",
            Self::List => "list",
            Self::Map => "map",
            Self::Properties => "properties",
            Self::Boolean => "boolean",
            Self::Enum(_) => "enum",
        }
    }
}

/// What an attribute is when nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// It has no value.
    Nothing,
    /// Text or an enum's tag.
    Text(&'static str),
    /// A number.
    Integer(i64),
    /// A truth value.
    Boolean(bool),
}

/// How far this version goes with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// It does what it says.
    Full,
    /// It is accepted, shown and has no effect.
    Inert,
    /// Any other value than the default is refused.
    Later,
    /// These tags of an enum are refused.
    LaterTags(&'static [&'static str]),
}

/// One attribute of an entity type.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// Its value when nothing is said.
    pub fallback: Fallback,
    /// Must be given.
    pub required: bool,
    /// No two entities may have the same value.
    pub unique: bool,
    /// May be given when the entity is created.
    pub create: bool,
    /// May be changed later.
    pub update: bool,
    /// A figure that is worth a curve.
    pub graph: bool,
    /// Nobody is shown its value.
    pub secret: bool,
    /// Another attribute says it better.
    pub deprecated: bool,
    /// A deprecated name that means the same.
    pub alias: Option<&'static str>,
    /// Numbers allowed, both ends included.
    pub range: Option<(i64, i64)>,
    /// How far this version goes with it.
    pub support: Support,
    /// One sentence for people.
    pub description: &'static str,
}

impl Attribute {
    /// An attribute that only the router sets.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self {
            name,
            kind,
            fallback: Fallback::Nothing,
            required: false,
            unique: false,
            create: false,
            update: false,
            graph: false,
            secret: false,
            deprecated: false,
            alias: None,
            range: None,
            support: Support::Full,
            description,
        }
    }

    /// A figure.
    #[must_use]
    pub const fn graph(name: &'static str, description: &'static str) -> Self {
        Self {
            graph: true,
            ..Self::new(name, Kind::Integer, description)
        }
    }

    /// Nobody is shown its value.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self {
            secret: true,
            ..self
        }
    }

    /// Another attribute says it better.
    #[must_use]
    pub const fn deprecated(self) -> Self {
        Self {
            deprecated: true,
            ..self
        }
    }

    /// May be given when the entity is created.
    #[must_use]
    pub const fn create(self) -> Self {
        Self {
            create: true,
            ..self
        }
    }

    /// May be changed later.
    #[must_use]
    pub const fn update(self) -> Self {
        Self {
            update: true,
            ..self
        }
    }

    /// Must be given.
    #[must_use]
    pub const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    /// No two entities may have the same value.
    #[must_use]
    pub const fn unique(self) -> Self {
        Self {
            unique: true,
            ..self
        }
    }

    /// Text or a tag when nothing is said.
    #[must_use]
    pub const fn text(self, text: &'static str) -> Self {
        Self {
            fallback: Fallback::Text(text),
            ..self
        }
    }

    /// A number when nothing is said.
    #[must_use]
    pub const fn integer(self, number: i64) -> Self {
        Self {
            fallback: Fallback::Integer(number),
            ..self
        }
    }

    /// A truth value when nothing is said.
    #[must_use]
    pub const fn boolean(self, truth: bool) -> Self {
        Self {
            fallback: Fallback::Boolean(truth),
            ..self
        }
    }

    /// A deprecated name.
    #[must_use]
    pub const fn alias(self, name: &'static str) -> Self {
        Self {
            alias: Some(name),
            ..self
        }
    }

    /// The numbers allowed, both ends included.
    #[must_use]
    pub const fn range(self, least: i64, most: i64) -> Self {
        Self {
            range: Some((least, most)),
            ..self
        }
    }

    /// How far this version goes with it.
    #[must_use]
    pub const fn support(self, support: Support) -> Self {
        Self { support, ..self }
    }
}

/// One type of entity.
#[derive(Debug)]
pub struct EntityType {
    /// Its name without the prefix.
    pub short: &'static str,
    /// The type it extends; only the root has none.
    pub extends: Option<&'static Self>,
    /// Operations beyond those of the type it extends, in the schema's order.
    pub operations: &'static [&'static str],
    /// There is only one.
    pub singleton: bool,
    /// It exists only to be extended.
    pub is_abstract: bool,
    /// Its attributes without those of the types it extends.
    pub attributes: &'static [Attribute],
    /// The columns of a query for all; empty: all attributes.
    pub columns: &'static [&'static str],
    /// Rows show attributes without a value, as the live tables of the incumbent do.
    pub shows_nulls: bool,
    /// The name of its section in a configuration file, if it may stand there.
    pub section: Option<&'static str>,
    /// What a request is told that leaves out what is required, where the incumbent has words of
    /// its own for that.
    pub missing: Option<&'static str>,
    /// One sentence for people.
    pub description: &'static str,
}

/// There is one of each, so it is the same where it is in the same place.
impl PartialEq for EntityType {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for EntityType {}

impl EntityType {
    /// A type without a name and without anything of its own.
    pub const PLAIN: Self = Self {
        short: "",
        extends: None,
        operations: &[],
        singleton: false,
        is_abstract: false,
        attributes: &[],
        columns: &[],
        shows_nulls: false,
        section: None,
        missing: None,
        description: "",
    };

    /// The name with the prefix.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{PREFIX}{}", self.short)
    }

    /// The types it extends, nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = &'static Self> {
        std::iter::successors(self.extends, |ancestor| ancestor.extends)
    }

    /// Whether it is that type or extends it.
    #[must_use]
    pub fn is_a(&self, other: &Self) -> bool {
        self == other || self.ancestors().any(|ancestor| ancestor == other)
    }

    /// All attributes, inherited ones last.
    pub fn all_attributes(&self) -> impl Iterator<Item = &'static Attribute> {
        self.attributes
            .iter()
            .chain(self.ancestors().flat_map(|ancestor| ancestor.attributes))
    }

    /// The attribute of that name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.all_attributes()
            .find(|attribute| attribute.name == name)
    }

    /// All operations, inherited ones last.
    pub fn all_operations(&self) -> impl Iterator<Item = &'static str> {
        let inherited = self.ancestors().flat_map(|ancestor| ancestor.operations);
        self.operations.iter().chain(inherited).copied()
    }

    /// The names of the columns of a query for all.
    #[must_use]
    pub fn all_columns(&self) -> Vec<&'static str> {
        if self.columns.is_empty() {
            self.all_attributes()
                .map(|attribute| attribute.name)
                .collect()
        } else {
            self.columns.to_vec()
        }
    }
}
