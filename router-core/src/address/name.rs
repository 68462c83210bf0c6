//! From the text of an address to the key of its record.
//!
//! Owns the syntax of addresses (`amqp:/_topo/0/router/x`, `_local/x`, `queue`) and of keys
//! (`M0queue`): a letter for the class, for mobile addresses a phase, then text. Decision: keys are
//! written into a buffer of the caller, since an anonymous sender names an address with each
//! message.

/// The area of all routers: the network is flat.
const AREA: &str = "0";

/// Characters of the random part of a generated name.
const RANDOM_CHARACTERS: usize = 15;

/// The keys of the addresses by which routers talk about the network.
const OF_ROUTERS: [&str; 5] = [
    "Lqdhello",
    "Lqdrouter",
    "Lqdrouter.ma",
    "Tqdrouter",
    "Tqdrouter.ma",
];

/// The 64 characters of generated names.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+_";

/// What kind of record an address names: the first letter of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum AddressClass {
    /// `A`: another area.
    Area,
    /// `H`: an edge router.
    Edge,
    /// `L`: of this router alone.
    Local,
    /// `M`: known to all routers.
    Mobile,
    /// `R`: another router.
    Router,
    /// `T`: the routers' own, in all of them.
    Topological,
}

impl AddressClass {
    /// The first letter of the keys of this class.
    const fn letter(self) -> char {
        match self {
            Self::Area => 'A',
            Self::Edge => 'H',
            Self::Local => 'L',
            Self::Mobile => 'M',
            Self::Router => 'R',
            Self::Topological => 'T',
        }
    }
}

/// The stage of a mobile address: messages pass waypoints from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// 0 to 9; more counts as 9.
    Digit(u8),
    /// Of those who serve an address when its consumers are gone.
    Fallback,
}

impl Phase {
    /// What an annotation says: 22 is the incumbent's number for fallback, more than 9 counts as 9.
    #[must_use]
    pub fn of_annotation(number: i32) -> Option<Self> {
        match number {
            22 => Some(Self::Fallback),
            _ => u8::try_from(number.clamp(-1, 9)).ok().map(Self::Digit),
        }
    }

    /// What an annotation says of it.
    #[must_use]
    pub fn annotation(self) -> i32 {
        match self {
            Self::Digit(digit) => i32::from(digit.min(9)),
            Self::Fallback => 22,
        }
    }

    /// That of a mobile address by its key.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        match key.as_bytes() {
            [b'M', digit @ b'0'..=b'9', ..] => Some(Self::Digit(digit - b'0')),
            [b'M', b'F', ..] => Some(Self::Fallback),
            _ => None,
        }
    }

    /// Whether a key is that of a fallback.
    #[must_use]
    pub fn is_fallback(key: &str) -> bool {
        Self::of_key(key) == Some(Self::Fallback)
    }

    /// The character in the key.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Digit(digit) => char::from(b'0' + digit.min(9)),
            Self::Fallback => 'F',
        }
    }
}

/// Whose point of view an address is read from.
#[derive(Clone, Debug)]
pub struct AddressContext {
    router_id: Box<str>,
}

impl AddressContext {
    /// That of an interior or standalone router.
    #[must_use]
    pub fn new(router_id: &str) -> Self {
        Self {
            router_id: router_id.into(),
        }
    }

    /// The class of a normalised text and what of it stands in the key.
    fn classify<'a>(&self, text: &'a str) -> (AddressClass, &'a str) {
        let mobile = (AddressClass::Mobile, text);
        if !text.starts_with('_') {
            return mobile;
        }
        match text.split_once('/') {
            Some(("_local", rest)) => (AddressClass::Local, rest),
            Some(("_topo", rest)) => self.classify_topological(rest),
            Some(("_edge", rest)) => match rest.split_once('/') {
                Some((edge, rest)) if *edge == *self.router_id => (AddressClass::Local, rest),
                Some((edge, _)) => (AddressClass::Edge, edge),
                None => (AddressClass::Edge, rest),
            },
            _ => mobile,
        }
    }

    /// The same for what follows `_topo/`: area, router, rest.
    fn classify_topological<'a>(&self, text: &'a str) -> (AddressClass, &'a str) {
        let Some((area, text)) = text.split_once('/') else {
            return (AddressClass::Area, text);
        };
        let (router, rest) = match text.split_once('/') {
            Some((router, rest)) => (router, Some(rest)),
            None => (text, None),
        };
        match (area, router, rest) {
            (AREA | "all", "all", Some(rest)) => (AddressClass::Topological, rest),
            (AREA | "all", _, Some(rest)) if *router == *self.router_id => {
                (AddressClass::Local, rest)
            }
            (AREA | "all", _, _) => (AddressClass::Router, router),
            _ => (AddressClass::Area, area),
        }
    }
}

/// Writes the key of an address, in place of what `key` holds.
///
/// The tenant's name and a slash go before the text of mobile addresses, unless they begin with an
/// underscore; other classes have neither tenant nor phase.
pub fn lookup_key(
    address: &str,
    phase: Phase,
    tenant: Option<&str>,
    context: &AddressContext,
    key: &mut String,
) {
    let (class, text) = context.classify(normalise(address));
    key.clear();
    key.push(class.letter());
    if class == AddressClass::Mobile {
        key.push(phase.letter());
        if let Some(tenant) = tenant
            && !text.starts_with('_')
        {
            key.push_str(tenant);
            key.push('/');
        }
    }
    key.push_str(text);
}

/// Writes the key of an address's fallback, in place of what `fallback` holds; false if it can have
/// none. Only phase 0 has one.
pub fn fallback_key(key: &str, fallback: &mut String) -> bool {
    change_phase(key, Phase::Digit(0), Phase::Fallback, fallback)
}

/// Writes the key of the address whose fallback this is, in place of what `primary` holds; false if
/// it is none.
pub fn primary_key(key: &str, primary: &mut String) -> bool {
    change_phase(key, Phase::Fallback, Phase::Digit(0), primary)
}

/// Writes the key of the same mobile address in another phase; false if it is not in this one.
fn change_phase(key: &str, from: Phase, to: Phase, changed: &mut String) -> bool {
    changed.clear();
    let text = key.get(2..).filter(|_| Phase::of_key(key) == Some(from));
    let Some(text) = text else {
        return false;
    };
    changed.push(AddressClass::Mobile.letter());
    changed.push(to.letter());
    changed.push_str(text);
    true
}

/// Whether a key is that of an address by which routers talk about the network.
#[must_use]
pub fn is_of_routers(key: &str) -> bool {
    OF_ROUTERS.contains(&key)
}

/// The address without scheme, host and leading slash, and without *one* trailing `.` or `/`.
#[must_use]
pub fn normalise(address: &str) -> &str {
    let text = path(address);
    text.strip_suffix(['.', '/']).unwrap_or(text)
}

/// What follows `scheme://host/`, `//host/`, `scheme:/` or `/`; all of a text without these.
fn path(address: &str) -> &str {
    let rest = match address.strip_prefix('/') {
        Some(rest) => rest,
        None => match address.split_once(":/") {
            Some((_, rest)) => rest,
            None => return address,
        },
    };
    match rest.strip_prefix('/') {
        Some(host) => host.split_once('/').map_or(address, |(_, path)| path),
        None if rest.is_empty() => address,
        None => rest,
    }
}

/// The address of a node created for a receiver, `amqp:/_topo/0/router/temp.…`: local to the
/// router.
#[must_use]
pub fn dynamic_source(context: &AddressContext, random: &[u64; 2]) -> String {
    let mut address = format!("amqp:/_topo/{AREA}/{}/temp.", context.router_id);
    push_random(random, &mut address);
    address
}

/// The address of a node created for a sender, `amqp:/_$temp.…`: known to all routers.
#[must_use]
pub fn dynamic_target(random: &[u64; 2]) -> String {
    let mut address = "amqp:/_$temp.".to_owned();
    push_random(random, &mut address);
    address
}

/// Appends fifteen characters from 90 random bits.
fn push_random(random: &[u64; 2], name: &mut String) {
    let mut bits = u128::from(random[0]) << 64 | u128::from(random[1]);
    for _ in 0..RANDOM_CHARACTERS {
        let character = ALPHABET[usize::from(bits.to_le_bytes()[0] & 63)];
        name.push(char::from(character));
        bits >>= 6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str, phase: Phase, tenant: Option<&str>) -> String {
        let mut key = "left over".to_owned();
        let context = AddressContext::new("me");
        lookup_key(address, phase, tenant, &context, &mut key);
        key
    }

    #[test]
    fn scheme_and_host_do_not_count() {
        for (address, text) in [
            ("amqp://host/rest", "rest"),
            ("amqp://host:5672/a/b", "a/b"),
            ("//host/rest", "rest"),
            ("amqp:/rest", "rest"),
            ("/rest", "rest"),
            ("foo", "foo"),
            ("foo/bar", "foo/bar"),
            ("foo.bar", "foo.bar"),
            ("queue://x", "queue://x"),
            ("//host", "//host"),
            ("a:b", "a:b"),
            ("", ""),
        ] {
            assert_eq!(normalise(address), text, "of {address:?}");
        }
    }

    #[test]
    fn one_separator_at_the_end_does_not_count() {
        for (address, text) in [
            ("foo/", "foo"),
            ("foo.", "foo"),
            ("foo//", "foo/"),
            ("foo./", "foo."),
            ("amqp://host/foo/", "foo"),
            ("/", ""),
            (".", ""),
        ] {
            assert_eq!(normalise(address), text, "of {address:?}");
        }
    }

    #[test]
    fn each_class_has_its_key() {
        for (address, expected) in [
            ("queue", "M0queue"),
            ("amqp:/queue/sub", "M0queue/sub"),
            ("_local/x/y", "Lx/y"),
            ("_topo/0/me/x", "Lx"),
            ("amqp:/_topo/0/me/$management", "L$management"),
            ("_topo/0/all/qdrouter", "Tqdrouter"),
            ("_topo/all/all/x", "Tx"),
            ("_topo/all/me/$management", "L$management"),
            ("_topo/all/other/$management", "Rother"),
            ("_topo/0/other/x/y", "Rother"),
            ("_topo/0/other", "Rother"),
            ("_topo/1/other/x", "A1"),
            ("_edge/me/x", "Lx"),
            ("_edge/other/x", "Hother"),
            ("_edge/other", "Hother"),
            ("_foo/x", "M0_foo/x"),
            ("_$temp.abc", "M0_$temp.abc"),
            ("_local", "M0_local"),
            ("_localhost/x", "M0_localhost/x"),
            ("", "M0"),
        ] {
            assert_eq!(
                key(address, Phase::Digit(0), None),
                expected,
                "of {address:?}"
            );
        }
    }

    #[test]
    fn mobile_addresses_have_a_phase_and_a_tenant() {
        assert_eq!(key("q", Phase::Digit(9), None), "M9q");
        assert_eq!(key("q", Phase::Digit(200), None), "M9q");
        assert_eq!(key("q", Phase::Fallback, None), "MFq");
        assert_eq!(key("/q", Phase::Digit(1), Some("acme")), "M1acme/q");
        assert_eq!(key("_$temp.a", Phase::Digit(0), Some("acme")), "M0_$temp.a");
        assert_eq!(key("_local/q", Phase::Digit(3), Some("acme")), "Lq");
    }

    #[test]
    fn dynamic_nodes_have_names_of_their_own() {
        let context = AddressContext::new("me");
        let name = dynamic_source(&context, &[u64::MAX, 0]);
        assert_eq!(key(&name, Phase::Digit(0), None), "Ltemp.AAAAAAAAAAw____");
        let name = dynamic_target(&[0, 1]);
        assert_eq!(name, "amqp:/_$temp.BAAAAAAAAAAAAAA");
        assert_eq!(
            key(&name, Phase::Digit(0), Some("acme")),
            "M0_$temp.BAAAAAAAAAAAAAA"
        );
        assert_ne!(dynamic_target(&[0, 1]), dynamic_target(&[1, 1]));
    }
}
