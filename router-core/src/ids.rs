//! Names of things: every index and key that crosses a function is a type of its own.
//!
//! A slab key carries a generation, so that a key kept after its record is gone resolves to nothing
//! instead of to a stranger. The alternative, reference counts between records, would let two
//! shards share state; keys keep every record with one owner.

use std::fmt;
use std::sync::Arc;

/// Index of a shard; the control plane is the shard after the last worker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The index as a `usize`, for tables with one entry a shard.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The number of a connection since the start of the router, from 1: the `n` of `[Cn]` in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// What a router that was dialled gives the one that dialled: who has it may open further
/// connections that belong to the first. Nobody else can guess it, and it is not shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrunkToken(pub u128);

impl fmt::Debug for TrunkToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TrunkToken(…)")
    }
}

/// The number of a link since the start of the router: the `n` of `[Ln]` in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

impl fmt::Display for LinkId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// The number of an address record; never used twice, so counters of a dead record are not revived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressId(pub u64);

/// The text by which an address is looked up: class letter, phase, text (`M0queue`, `Ltemp.x`).
pub type AddressKey = Arc<str>;

/// Index and generation of a record in a [`Keyed`](crate::keyed::Keyed) slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Place in the slab.
    pub index: u32,
    /// How often that place had been used before.
    pub generation: u32,
}

impl Key {
    /// A key that no slab ever hands out.
    pub const NONE: Self = Self {
        index: u32::MAX,
        generation: u32::MAX,
    };

    /// Packs the key into the token that the protocol engine keeps for a delivery.
    #[must_use]
    pub fn token(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The key packed by [`Key::token`].
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of the token"
    )]
    pub fn from_token(token: u64) -> Self {
        Self {
            index: token as u32,
            generation: (token >> 32) as u32,
        }
    }
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Key);

        impl From<Key> for $name {
            fn from(key: Key) -> Self {
                Self(key)
            }
        }

        impl From<$name> for Key {
            fn from(key: $name) -> Self {
                key.0
            }
        }
    )*};
}

keys! {
    /// A connection of one shard.
    ConnKey,
    /// A link on which one shard receives.
    InLinkKey,
    /// A delivery that one shard has received and not yet finished with.
    InKey,
    /// A delivery that one shard has sent and that is not yet settled.
    OutKey,
    /// A set of copies that one shard sends of one multicast delivery.
    FanKey,
}

/// A link on which a shard sends, named from anywhere in the router; for the control plane's shard,
/// an in-process subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutLinkKey {
    /// The shard that owns the link.
    pub shard: ShardId,
    /// The link's key there.
    pub link: Key,
}

/// Where a delivery entered the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The shard that received it.
    pub shard: ShardId,
    /// Its record there; `None` for a delivery that was whole and settled, which leaves none.
    pub delivery: Option<InKey>,
}

/// Which way messages flow on a link, seen from the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The client sends.
    In,
    /// The client receives.
    Out,
}

/// SplitMix64's finisher: numbers that are near each other become far apart.
pub(crate) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// Who is at the other end of a connection, as its Open says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opener {
    /// The container-id: of a router, its id.
    pub container: Arc<str>,
    /// It says which product it is, as every router does.
    pub is_product: bool,
    /// It tells of others, and understands what is told of them.
    pub is_kin: bool,
}
