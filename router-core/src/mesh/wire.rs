//! The control messages that routers exchange about the network, read: bodies as typed views.
//!
//! Owns what each message must have and which types mean the same. It never judges what a message
//! says. Decision: older routers encode the same with other types and widths, so anything that
//! means the same is taken; fields and entries that nobody knows are skipped.

use crate::limits;
use crate::mesh::misdeed::Misdeed;
use crate::mesh::read::{Item, Values, section};
use crate::route::Treatment;

/// The version of the protocol that is spoken, and the newest that is understood.
pub const VERSION: i64 = 1;
const APPLICATION_PROPERTIES: u8 = 0x74;
const AMQP_VALUE: u8 = 0x77;

/// A control message as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Control<'a> {
    /// The router that made it.
    pub(super) id: &'a str,
    /// The version of the protocol that it speaks; 0 if it does not say.
    pub(super) version: i64,
    /// Which life of that router made it; `None` if it does not say.
    pub(super) instance: Option<i64>,
    /// A neighbour tells it in that router's name.
    pub(super) is_hearsay: bool,
    /// What it says.
    pub(super) body: Body<'a>,
}

/// What a control message says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body<'a> {
    /// Who was heard of lately, on any connection.
    Hello { seen: Values<'a> },
    /// How far the sender's link state and addresses have got.
    Advertisement {
        link_sequence: i64,
        mobile_sequence: i64,
    },
    /// A question for the link state; of our kind, what is known of it.
    LinkStateRequest { wanted: Option<Wanted> },
    /// The answer: neighbours and costs.
    LinkState { sequence: i64, peers: Values<'a> },
    /// A question for the addresses.
    AddressRequest {
        have_sequence: i64,
        life: Option<i64>,
    },
    /// All addresses, or what changed.
    Addresses {
        sequence: i64,
        change: Change<'a>,
        hints: Hints<'a>,
    },
}

/// Which link state a router of our kind asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The life that it knows of; 0 for none.
    pub(super) life: i64,
    /// The number that was advertised, or a later one.
    pub(super) sequence: i64,
}

/// What an update of addresses holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change<'a> {
    /// All there are.
    All { exist: Values<'a> },
    /// Those that came and those that went since the update before.
    Some { add: Values<'a>, del: Values<'a> },
}

/// The treatments of addresses, in the same order as the addresses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hints<'a>(Option<Values<'a>>);

impl Hints<'_> {
    /// The treatments of `count` addresses; none where there is not one for each.
    pub(super) fn for_each_of(self, count: usize) -> impl Iterator<Item = Option<Treatment>> {
        let hints = self.0.filter(|hints| hints.count() == count);
        let known = hints.into_iter().flatten().map(|hint| match hint {
            Ok(Item::Integer(number)) => treatment(number),
            _ => None,
        });
        known.chain(std::iter::repeat(None))
    }
}

/// The texts of a list; an error at the first thing that is none.
pub(super) fn texts<'a>(
    values: Values<'a>,
    field: &'static str,
) -> impl Iterator<Item = Result<&'a str, Misdeed>> {
    values.map(move |value| match value {
        Ok(Item::Text(text)) => Ok(text),
        _ => Err(Misdeed::WrongType(field)),
    })
}

/// The neighbours of a link state with what the way to each costs.
pub(super) fn peers<'a>(
    mut values: Values<'a>,
) -> impl Iterator<Item = Result<(&'a str, u32), Misdeed>> {
    std::iter::from_fn(move || {
        let Ok(Item::Text(id)) = values.next()? else {
            return Some(Err(Misdeed::WrongType("peers")));
        };
        let Some(Ok(Item::Integer(cost))) = values.next() else {
            return Some(Err(Misdeed::WrongType("peers")));
        };
        let cost = u32::try_from(cost)
            .ok()
            .filter(|cost| *cost <= limits::MESH_COST);
        Some(cost.map(|cost| (id, cost)).ok_or(Misdeed::Cost))
    })
}

/// Reads what follows the properties: the opcode and the body.
pub(super) fn control(bytes: &[u8], body_at: usize) -> Result<Control<'_>, Misdeed> {
    let opcode = opcode(bytes)?;
    let body = bytes.get(body_at..).unwrap_or_default();
    let Ok(Item::Map(entries)) = section(body, AMQP_VALUE) else {
        return Err(Misdeed::WrongType("body"));
    };
    let fields = Fields::read(entries)?;
    let id = fields.id.ok_or(Misdeed::Missing("id"))?;
    if id.is_empty() || id.len() > limits::MESH_ID_BYTES {
        return Err(Misdeed::TooLong("id"));
    }
    if fields.version > VERSION {
        return Err(Misdeed::Version {
            id: id.into(),
            version: fields.version,
        });
    }
    Ok(Control {
        id,
        version: fields.version,
        instance: fields.instance.filter(|instance| *instance != 0),
        is_hearsay: false,
        body: fields.body(opcode)?,
    })
}

/// The value of `opcode` in the application properties, which `bytes` begin with.
pub(super) fn opcode(bytes: &[u8]) -> Result<&str, Misdeed> {
    let Ok(Item::Map(mut entries)) = section(bytes, APPLICATION_PROPERTIES) else {
        return Err(Misdeed::Missing("opcode"));
    };
    while let (Some(Ok(key)), Some(Ok(value))) = (entries.next(), entries.next()) {
        if let (Item::Text("opcode"), Item::Text(opcode)) = (key, value) {
            return Ok(opcode);
        }
    }
    Err(Misdeed::Missing("opcode"))
}

/// Every field that any control message has.
#[derive(Default)]
struct Fields<'a> {
    id: Option<&'a str>,
    version: i64,
    instance: Option<i64>,
    life: Option<i64>,
    seen: Option<Values<'a>>,
    link_sequence: Option<i64>,
    mobile_sequence: Option<i64>,
    have_sequence: Option<i64>,
    link_state: Option<Values<'a>>,
    peers: Option<Values<'a>>,
    exist: Option<Values<'a>>,
    add: Option<Values<'a>>,
    del: Option<Values<'a>>,
    hints: Option<Values<'a>>,
}

impl<'a> Fields<'a> {
    /// Reads a body, or the link state within one; unknown keys are skipped.
    fn read(mut entries: Values<'a>) -> Result<Self, Misdeed> {
        let mut fields = Self::default();
        while let Some(key) = entries.next() {
            let (Ok(key), Some(Ok(value))) = (key, entries.next()) else {
                return Err(Misdeed::WrongType("body"));
            };
            let Item::Text(key) = key else {
                continue;
            };
            match key {
                "id" => fields.id = Some(text(value, "id")?),
                "pv" => fields.version = integer(value, "pv")?,
                "instance" => fields.instance = Some(integer(value, "instance")?),
                // Of the router that is asked; only routers of our kind say it.
                "life" => fields.life = Some(integer(value, "life")?),
                "seen" => fields.seen = Some(list(value, "seen")?),
                "ls_seq" => fields.link_sequence = Some(sequence(value, "ls_seq")?),
                "mobile_seq" => fields.mobile_sequence = Some(sequence(value, "mobile_seq")?),
                "have_seq" => fields.have_sequence = Some(sequence(value, "have_seq")?),
                "ls" => fields.link_state = Some(map(value, "ls")?),
                "peers" => fields.peers = Some(map(value, "peers")?),
                "exist" => fields.exist = Some(list(value, "exist")?),
                "add" => fields.add = Some(list(value, "add")?),
                "del" => fields.del = Some(list(value, "del")?),
                "hints" => fields.hints = list(value, "hints").ok(),
                _ => {}
            }
        }
        Ok(fields)
    }

    fn body(&self, opcode: &str) -> Result<Body<'a>, Misdeed> {
        match opcode {
            "HELLO" => Ok(Body::Hello {
                seen: given(self.seen, "seen")?,
            }),
            "RA" => Ok(Body::Advertisement {
                link_sequence: given(self.link_sequence, "ls_seq")?,
                mobile_sequence: given(self.mobile_sequence, "mobile_seq")?,
            }),
            "LSR" => Ok(Body::LinkStateRequest {
                wanted: self
                    .life
                    .zip(self.link_sequence)
                    .map(|(life, sequence)| Wanted { life, sequence }),
            }),
            "LSU" => {
                let inner = Self::read(given(self.link_state, "ls")?)?;
                Ok(Body::LinkState {
                    sequence: given(inner.link_sequence, "ls_seq")?,
                    peers: given(inner.peers, "peers")?,
                })
            }
            "MAR" => Ok(Body::AddressRequest {
                have_sequence: given(self.have_sequence, "have_seq")?,
                life: self.life,
            }),
            "MAU" => Ok(Body::Addresses {
                sequence: given(self.mobile_sequence, "mobile_seq")?,
                change: self.change()?,
                hints: Hints(self.hints),
            }),
            _ => Err(Misdeed::Opcode),
        }
    }

    fn change(&self) -> Result<Change<'a>, Misdeed> {
        match (self.exist, self.add, self.del) {
            (Some(exist), None, None) => Ok(Change::All { exist }),
            (None, Some(add), Some(del)) => Ok(Change::Some { add, del }),
            (None, None, _) => Err(Misdeed::Missing("add")),
            (None, Some(_), None) => Err(Misdeed::Missing("del")),
            (Some(_), _, _) => Err(Misdeed::WrongType("exist")),
        }
    }
}

fn given<T: Copy>(value: Option<T>, field: &'static str) -> Result<T, Misdeed> {
    value.ok_or(Misdeed::Missing(field))
}

fn text<'a>(value: Item<'a>, field: &'static str) -> Result<&'a str, Misdeed> {
    match value {
        Item::Text(text) => Ok(text),
        _ => Err(Misdeed::WrongType(field)),
    }
}

fn integer(value: Item<'_>, field: &'static str) -> Result<i64, Misdeed> {
    match value {
        Item::Integer(number) => Ok(number),
        _ => Err(Misdeed::WrongType(field)),
    }
}

fn sequence(value: Item<'_>, field: &'static str) -> Result<i64, Misdeed> {
    integer(value, field).and_then(|number| {
        if number < 0 || number == i64::MAX {
            return Err(Misdeed::Sequence(field));
        }
        Ok(number)
    })
}

fn list<'a>(value: Item<'a>, field: &'static str) -> Result<Values<'a>, Misdeed> {
    match value {
        Item::List(values) => Ok(values),
        _ => Err(Misdeed::WrongType(field)),
    }
}

fn map<'a>(value: Item<'a>, field: &'static str) -> Result<Values<'a>, Misdeed> {
    match value {
        Item::Map(values) => Ok(values),
        _ => Err(Misdeed::WrongType(field)),
    }
}

/// What the number of a hint means.
fn treatment(number: i64) -> Option<Treatment> {
    Some(match number {
        1 => Treatment::Multicast,
        2 => Treatment::AnycastClosest,
        3 => Treatment::AnycastBalanced,
        4 => Treatment::LinkBalanced,
        5 => Treatment::Unavailable,
        _ => return None,
    })
}
