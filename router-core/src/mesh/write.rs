//! The control messages that routers exchange about the network, written.
//!
//! Owns every byte that is sent. Decision: what is sent equals the incumbent's byte for byte – wide
//! compounds, string keys and ints for hello and link state, symbol keys and longs for addresses –
//! since that is what all its versions understand.

use amqp_codec::message::{self, RouterAnnotations, UserEntries};
use bytes::{BufMut as _, Bytes, BytesMut};

use crate::mesh::wire::{VERSION, Wanted};
use crate::route::Treatment;

/// The one area there is.
const AREA: &str = "0";
const APPLICATION_PROPERTIES: u8 = 0x74;
const AMQP_VALUE: u8 = 0x77;
const LIST32: u8 = 0xd0;
const MAP32: u8 = 0xd1;

/// The router at the other end of a link, whoever that is.
const NEIGHBOR: &str = "amqp:/_local/qdrouter";

/// Whose link state and addresses are told of.
pub(super) struct Speaker<'a> {
    /// Its id.
    pub(super) id: &'a str,
    /// The second in which it began.
    pub(super) instance: i64,
}

/// Makes the control messages of one router.
#[derive(Debug)]
pub(super) struct Writer {
    id: Box<str>,
    instance: i64,
    /// Header and annotations, the same in all.
    head: Bytes,
}

impl Writer {
    pub(super) fn new(id: &str, instance: i64) -> Self {
        let mut head = BytesMut::new();
        head.put_slice(&[0x00, 0x53, 0x70]);
        compound(&mut head, LIST32, |head| {
            head.put_u8(0x42);
            1
        });
        let (user, router) = (UserEntries::default(), RouterAnnotations::default());
        let passed = format!("{AREA}/{id}");
        message::compose(user, &router, Some(&passed), &mut head);
        Self {
            id: id.into(),
            instance,
            head: head.freeze(),
        }
    }

    /// For every neighbour: who was heard of lately.
    pub(super) fn hello<'a>(&self, seen: impl Iterator<Item = &'a str>) -> Bytes {
        let mut out = self.begin("amqp:/_local/qdhello", "HELLO", Style::Strings);
        self.body(&mut out, Style::Strings, |out| {
            Style::Strings.integer(out, "instance", self.instance);
            Style::Strings.key(out, "seen");
            let mut seen = seen.peekable();
            if seen.peek().is_none() {
                out.put_u8(0x45);
            } else {
                compound(out, LIST32, |out| seen.map(|id| string(out, id)).count());
            }
            2
        });
        out.freeze()
    }

    /// For all: how far link state and addresses have got.
    pub(super) fn advertisement(&self, link_sequence: i64, mobile_sequence: i64) -> Bytes {
        let sequences = (link_sequence, mobile_sequence);
        self.advertise("amqp:/_topo/0/all/qdrouter", &self.own(), sequences)
    }

    /// For a neighbour: how far those of another router have got.
    pub(super) fn advertisement_of(
        &self,
        speaker: &Speaker<'_>,
        link_sequence: i64,
        mobile_sequence: i64,
    ) -> Bytes {
        self.advertise(NEIGHBOR, speaker, (link_sequence, mobile_sequence))
    }

    fn advertise(
        &self,
        to: &str,
        speaker: &Speaker<'_>,
        (link_sequence, mobile_sequence): (i64, i64),
    ) -> Bytes {
        let mut out = self.begin(to, "RA", Style::Strings);
        body(&mut out, speaker.id, Style::Strings, |out| {
            Style::Strings.integer(out, "instance", speaker.instance);
            Style::Strings.integer(out, "ls_seq", link_sequence);
            Style::Strings.integer(out, "mobile_seq", mobile_sequence);
            3
        });
        out.freeze()
    }

    /// Asks a router for its link state. Routers of our kind that pass it on are told which is
    /// wanted, so that they may answer.
    pub(super) fn link_state_request(&self, router: &str, wanted: Option<Wanted>) -> Bytes {
        let to = format!("amqp:/_topo/{AREA}/{router}/qdrouter");
        let mut out = self.begin(&to, "LSR", Style::Strings);
        self.body(&mut out, Style::Strings, |out| {
            let Some(wanted) = wanted else {
                return 0;
            };
            Style::Strings.integer(out, "life", wanted.life);
            Style::Strings.integer(out, "ls_seq", wanted.sequence);
            2
        });
        out.freeze()
    }

    /// Tells a router the own link state.
    pub(super) fn link_state<'a>(
        &self,
        router: &str,
        sequence: i64,
        peers: impl Iterator<Item = (&'a str, u32)>,
    ) -> Bytes {
        let to = format!("amqp:/_topo/{AREA}/{router}/qdrouter");
        self.tell_links(&to, &self.own(), sequence, peers)
    }

    /// Tells a neighbour the link state of another router.
    pub(super) fn link_state_of<'a>(
        &self,
        speaker: &Speaker<'_>,
        sequence: i64,
        peers: impl Iterator<Item = (&'a str, u32)>,
    ) -> Bytes {
        self.tell_links(NEIGHBOR, speaker, sequence, peers)
    }

    fn own(&self) -> Speaker<'_> {
        Speaker {
            id: &self.id,
            instance: self.instance,
        }
    }

    fn tell_links<'a>(
        &self,
        to: &str,
        speaker: &Speaker<'_>,
        sequence: i64,
        peers: impl Iterator<Item = (&'a str, u32)>,
    ) -> Bytes {
        let style = Style::Strings;
        let mut out = self.begin(to, "LSU", style);
        body(&mut out, speaker.id, style, |out| {
            style.integer(out, "instance", speaker.instance);
            style.integer(out, "ls_seq", sequence);
            style.key(out, "ls");
            compound(out, MAP32, |out| {
                style.text(out, "id", speaker.id);
                style.text(out, "area", AREA);
                style.integer(out, "ls_seq", sequence);
                style.key(out, "peers");
                compound(out, MAP32, |out| {
                    let written = peers.map(|(id, cost)| {
                        string(out, id);
                        int(out, i64::from(cost));
                    });
                    2 * written.count()
                });
                8
            });
            3
        });
        out.freeze()
    }

    /// Asks a router for its addresses. Routers of our kind that pass it on are told in which life,
    /// so that they may answer.
    pub(super) fn address_request(
        &self,
        router: &str,
        have_sequence: i64,
        life: Option<i64>,
    ) -> Bytes {
        let to = format!("amqp:/_topo/{AREA}/{router}/qdrouter.ma");
        let mut out = self.begin(&to, "MAR", Style::Symbols);
        self.body(&mut out, Style::Symbols, |out| {
            Style::Symbols.integer(out, "have_seq", have_sequence);
            if let Some(life) = life {
                Style::Symbols.integer(out, "life", life);
            }
            1 + usize::from(life.is_some())
        });
        out.freeze()
    }

    /// The body of a message with all addresses; it is the same for all who ask.
    pub(super) fn all_addresses<'a>(
        &self,
        sequence: i64,
        addresses: impl Iterator<Item = (&'a str, Treatment)> + Clone,
    ) -> Bytes {
        let mut out = BytesMut::new();
        self.body(&mut out, Style::Symbols, |out| {
            Style::Symbols.integer(out, "mobile_seq", sequence);
            Style::Symbols.keys(out, "exist", addresses.clone().map(|(key, _)| key));
            Style::Symbols.hints(out, addresses.map(|(_, treatment)| Some(treatment)));
            3
        });
        out.freeze()
    }

    /// Tells a neighbour all addresses of another router.
    pub(super) fn addresses_of<'a>(
        &self,
        speaker: &Speaker<'_>,
        sequence: i64,
        addresses: impl Iterator<Item = (&'a str, Option<Treatment>)> + Clone,
    ) -> Bytes {
        let style = Style::Symbols;
        let mut out = self.begin(NEIGHBOR, "MAU", style);
        body(&mut out, speaker.id, style, |out| {
            // Else a list of a former life could not be told from one of this.
            style.integer(out, "instance", speaker.instance);
            style.integer(out, "mobile_seq", sequence);
            style.keys(out, "exist", addresses.clone().map(|(key, _)| key));
            style.hints(out, addresses.map(|(_, treatment)| treatment));
            4
        });
        out.freeze()
    }

    /// Tells a router all addresses.
    pub(super) fn address_answer(&self, router: &str, body: &[u8]) -> Bytes {
        let to = format!("amqp:/_topo/{AREA}/{router}/qdrouter.ma");
        let mut out = self.begin(&to, "MAU", Style::Symbols);
        out.put_slice(body);
        out.freeze()
    }

    /// For all: which addresses came and went.
    pub(super) fn address_change<'a>(
        &self,
        sequence: i64,
        add: impl Iterator<Item = (&'a str, Treatment)> + Clone,
        del: impl Iterator<Item = &'a str>,
    ) -> Bytes {
        let mut out = self.begin("_topo/0/all/qdrouter.ma", "MAU", Style::Symbols);
        self.body(&mut out, Style::Symbols, |out| {
            Style::Symbols.integer(out, "mobile_seq", sequence);
            Style::Symbols.hints(out, add.clone().map(|(_, treatment)| Some(treatment)));
            Style::Symbols.keys(out, "add", add.map(|(key, _)| key));
            Style::Symbols.keys(out, "del", del);
            4
        });
        out.freeze()
    }

    /// All that stands before the body.
    fn begin(&self, to: &str, opcode: &str, style: Style) -> BytesMut {
        let mut out = BytesMut::with_capacity(self.head.len() + 512);
        out.put_slice(&self.head);
        out.put_slice(&[0x00, 0x53, 0x73]);
        compound(&mut out, LIST32, |out| {
            out.put_slice(&[0x40, 0x40]);
            string(out, to);
            out.put_slice(style.after_to());
            3 + style.after_to().len()
        });
        out.put_slice(&[0x00, 0x53, APPLICATION_PROPERTIES]);
        compound(&mut out, MAP32, |out| {
            style.text(out, "opcode", opcode);
            2
        });
        out
    }

    /// The body: what all have in common, then what `fields` writes; it says how many.
    fn body(&self, out: &mut BytesMut, style: Style, fields: impl FnOnce(&mut BytesMut) -> usize) {
        body(out, &self.id, style, fields);
    }
}

/// The body of what a router says.
fn body(out: &mut BytesMut, id: &str, style: Style, fields: impl FnOnce(&mut BytesMut) -> usize) {
    out.put_slice(&[0x00, 0x53, AMQP_VALUE]);
    compound(out, MAP32, |out| {
        style.text(out, "id", id);
        style.integer(out, "pv", VERSION);
        style.text(out, "area", AREA);
        2 * (3 + fields(out))
    });
}

/// The two ways in which the incumbent writes: that of its routing engine and that of its core.
#[derive(Clone, Copy)]
enum Style {
    /// String keys, ints.
    Strings,
    /// Symbol keys, longs.
    Symbols,
}

impl Style {
    /// What follows the address in the properties.
    fn after_to(self) -> &'static [u8] {
        match self {
            Self::Strings => &[0x40, 0x40, 0x40],
            Self::Symbols => &[],
        }
    }

    fn key(self, out: &mut BytesMut, key: &str) {
        match self {
            Self::Strings => string(out, key),
            Self::Symbols => variable(out, 0xa3, key),
        }
    }

    fn text(self, out: &mut BytesMut, key: &str, text: &str) {
        self.key(out, key);
        string(out, text);
    }

    fn integer(self, out: &mut BytesMut, key: &str, number: i64) {
        self.key(out, key);
        match self {
            Self::Strings => int(out, number),
            Self::Symbols => long(out, number),
        }
    }

    fn keys<'a>(self, out: &mut BytesMut, key: &str, keys: impl Iterator<Item = &'a str>) {
        self.key(out, key);
        compound(out, LIST32, |out| keys.map(|key| string(out, key)).count());
    }

    fn hints(self, out: &mut BytesMut, hints: impl Iterator<Item = Option<Treatment>>) {
        self.key(out, "hints");
        compound(out, LIST32, |out| {
            hints
                .map(|treatment| int(out, treatment.map_or(UNKNOWN, hint)))
                .count()
        });
    }
}

/// Appends a wide compound; `contents` says how many elements it wrote.
fn compound(out: &mut BytesMut, code: u8, contents: impl FnOnce(&mut BytesMut) -> usize) {
    out.put_u8(code);
    let start = out.len();
    out.put_u64(0);
    let count = contents(out);
    let size = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
    out[start + 4..start + 8].copy_from_slice(&count.to_be_bytes());
}

fn string(out: &mut BytesMut, text: &str) {
    variable(out, 0xa1, text);
}

fn variable(out: &mut BytesMut, narrow: u8, text: &str) {
    if let Ok(length) = u8::try_from(text.len()) {
        out.put_slice(&[narrow, length]);
    } else {
        out.put_u8(narrow | 0x10);
        out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    }
    out.put_slice(text.as_bytes());
}

/// An int, or a long where it does not fit.
fn int(out: &mut BytesMut, number: i64) {
    if let Ok(small) = i8::try_from(number) {
        out.put_u8(0x54);
        out.put_i8(small);
    } else if let Ok(int) = i32::try_from(number) {
        out.put_u8(0x71);
        out.put_i32(int);
    } else {
        long(out, number);
    }
}

fn long(out: &mut BytesMut, number: i64) {
    if let Ok(small) = i8::try_from(number) {
        out.put_u8(0x55);
        out.put_i8(small);
    } else {
        out.put_u8(0x81);
        out.put_i64(number);
    }
}

/// A hint that says nothing.
const UNKNOWN: i64 = 0;

/// The number of a treatment as a hint.
fn hint(treatment: Treatment) -> i64 {
    match treatment {
        Treatment::MulticastFlood => 0,
        Treatment::Multicast => 1,
        Treatment::AnycastClosest => 2,
        Treatment::AnycastBalanced => 3,
        Treatment::LinkBalanced => 4,
        Treatment::Unavailable => 5,
    }
}
