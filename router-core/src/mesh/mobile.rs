//! Which router has consumers of which address: what is told, and what is believed.
//!
//! Owns the sequence numbers of both. It sends nothing; it says what is to be sent. Decision: the
//! addresses of each router are a set of its own, ordered, since they are told and taken back by
//! router; the other way round, the routers of an address, is what routes are made of elsewhere.

use std::collections::BTreeMap;

use amqp_proto::Time;
use bytes::Bytes;

use crate::ids::AddressKey;
use crate::limits;
use crate::mesh::damp::Ask;
use crate::mesh::misdeed::Misdeed;
use crate::mesh::wire::{Change, Hints, texts};
use crate::mesh::write::Writer;
use crate::route::Treatment;

/// Whether routers tell each other of addresses of this class.
pub(super) fn is_told(key: &str) -> bool {
    matches!(
        key.as_bytes(),
        [b'M' | b'C' | b'D' | b'E' | b'F' | b'H', _, ..]
    )
}

/// The addresses that this router tells the others of.
#[derive(Debug, Default)]
pub(super) struct OwnAddresses {
    /// Grows by one with each batch.
    sequence: i64,
    /// What the others know at this sequence number.
    known: BTreeMap<AddressKey, Treatment>,
    /// What has changed since: what came, with its treatment, and what went.
    pending: BTreeMap<AddressKey, Option<Treatment>>,
    /// Bytes in a message of what is known and what came.
    bytes: usize,
    /// What would make the list of all larger than a message may be: it waits until others go.
    untold: BTreeMap<AddressKey, Treatment>,
    told_at: Option<Time>,
    /// The list of all, encoded, until it changes or nobody asks for it any more.
    list: Option<Bytes>,
    listed_at: Time,
    /// The router is about to end: nothing is told of any more, and that at once.
    leaving: bool,
}

impl OwnAddresses {
    pub(super) fn sequence(&self) -> i64 {
        self.sequence
    }

    /// Takes note that an address has consumers here, or has none any more. Whether it is the first
    /// for which there is no room.
    pub(super) fn set(&mut self, key: &AddressKey, hint: Treatment, present: bool) -> bool {
        if self.leaving {
            return false;
        }
        if self.known.contains_key(key) {
            match present {
                true => self.pending.remove(key),
                false => self.pending.insert(AddressKey::clone(key), None),
            };
        } else if !present {
            self.untold.remove(key);
            if self.pending.remove(key).is_some() {
                self.bytes -= bytes_of(key);
                self.make_up();
            }
        } else if !self.pending.contains_key(key) && !self.has_room(key) {
            self.untold.insert(AddressKey::clone(key), hint);
            return self.untold.len() == 1;
        } else if self
            .pending
            .insert(AddressKey::clone(key), Some(hint))
            .is_none()
        {
            self.bytes += bytes_of(key);
        }
        false
    }

    /// Takes all of them back.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.untold.clear();
        let untold = self.pending.iter().filter(|(_, hint)| hint.is_some());
        self.bytes -= untold.map(|(key, _)| bytes_of(key)).sum::<usize>();
        let known = self.known.keys().cloned();
        self.pending = known.map(|key| (key, None)).collect();
    }

    fn has_room(&self, key: &str) -> bool {
        key.len() <= limits::MESH_ADDRESS_BYTES
            && self.bytes + bytes_of(key) <= limits::MESH_OWN_ADDRESS_BYTES
    }

    /// Takes up what waits, as far as there is room now.
    fn make_up(&mut self) {
        while let Some(waiting) = self.untold.first_entry() {
            let bytes = bytes_of(waiting.key());
            if self.bytes + bytes > limits::MESH_OWN_ADDRESS_BYTES {
                return;
            }
            let (key, hint) = waiting.remove_entry();
            self.bytes += bytes;
            self.pending.insert(key, Some(hint));
        }
    }

    /// When the changes are to be told.
    pub(super) fn due(&self) -> Option<Time> {
        let told_at = self.told_at.filter(|_| !self.leaving);
        let ready = told_at.map_or(Time::ZERO, |told| told + limits::MESH_ADDRESS_HOLD);
        (!self.pending.is_empty()).then_some(ready)
    }

    /// The message that tells the changes.
    pub(super) fn tell(&mut self, writer: &Writer, now: Time) -> Bytes {
        self.sequence += 1;
        self.told_at = Some(now);
        self.list = None;
        let add = self.pending.iter();
        let add = add.filter_map(|(key, hint)| hint.map(|hint| (key.as_ref(), hint)));
        let del = self.pending.iter().filter(|(_, hint)| hint.is_none());
        let del = del.map(|(key, _)| key.as_ref());
        let message = writer.address_change(self.sequence, add, del);
        for (key, hint) in std::mem::take(&mut self.pending) {
            match hint {
                Some(hint) => drop(self.known.insert(key, hint)),
                None => {
                    self.known.remove(&key);
                    self.bytes -= bytes_of(&key);
                }
            }
        }
        self.make_up();
        message
    }

    /// Gives back the memory of a list that nobody has asked for lately.
    pub(super) fn tidy_up(&mut self, now: Time) {
        if now.saturating_sub(self.listed_at) >= limits::MESH_ASK_TIME_OUT_MAX {
            self.list = None;
        }
    }

    /// The message that tells one router all addresses, as they are at the sequence number.
    pub(super) fn tell_all(&mut self, writer: &Writer, router: &str, now: Time) -> Bytes {
        self.listed_at = now;
        let known = &self.known;
        let list = self.list.get_or_insert_with(|| {
            let known = known.iter().map(|(key, hint)| (key.as_ref(), *hint));
            writer.all_addresses(self.sequence, known)
        });
        writer.address_answer(router, list)
    }
}

/// The addresses that another router has told of.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// How far what it told is known.
    sequence: i64,
    /// How far it says that it has got.
    advertised: i64,
    keys: BTreeMap<AddressKey, Row>,
    /// The number of the latest full list.
    lists: u8,
    /// There was no room for all that it has.
    is_cut: bool,
    /// The question for all of them.
    pub(super) ask: Ask,
}

/// An address of another router.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// The number of the full list that last named it.
    list: u8,
    hint: Option<Treatment>,
}

/// What an update changed.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Addresses that came.
    pub(super) mapped: Vec<(AddressKey, Option<Treatment>)>,
    /// Addresses that went.
    pub(super) unmapped: Vec<AddressKey>,
    /// There was no room for all.
    pub(super) full: bool,
}

impl Addresses {
    pub(super) fn sequence(&self) -> i64 {
        self.sequence
    }

    /// How far it has got, as far as is known.
    pub(super) fn known_of(&self) -> i64 {
        self.sequence.max(self.advertised)
    }

    /// Whether a list has come, or none is advertised.
    pub(super) fn is_heard(&self) -> bool {
        self.sequence > 0 || self.advertised <= 0
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// All of them with their treatments, unless some are not known, or they are too many to be
    /// told in somebody else's name.
    pub(super) fn to_tell(
        &self,
    ) -> Option<impl Iterator<Item = (&str, Option<Treatment>)> + Clone> {
        let is_whole = self.sequence > 0 && self.advertised <= self.sequence && !self.is_cut;
        let is_short = || {
            self.len() <= limits::MESH_TOLD_ADDRESSES
                && self.keys.keys().map(|key| bytes_of(key)).sum::<usize>()
                    <= limits::MESH_TOLD_ADDRESS_BYTES
        };
        let all = || self.keys.iter().map(|(key, row)| (key.as_ref(), row.hint));
        (is_whole && is_short()).then(all)
    }

    /// Its addresses have got this far; if that is further than known, all must be asked for. A
    /// list that was asked for may be on its way for long: that it has changed is no reason to ask
    /// for another meanwhile.
    pub(super) fn advertised(&mut self, sequence: i64) {
        if sequence > self.sequence {
            self.ask.want();
        }
        self.advertised = sequence;
    }

    /// Forgets all, and how far it said that it had got.
    pub(super) fn forget(&mut self) -> Vec<AddressKey> {
        let keys = std::mem::take(self).keys;
        keys.into_keys().collect()
    }

    /// Takes an update, if it is the one that comes next, or a newer list of all. `room` is how
    /// many addresses may be added.
    ///
    /// A copy of something older is passed over in silence: rings of routers make copies. A gap
    /// means that something was lost; then nothing but the next in order or a list of all helps.
    pub(super) fn update(
        &mut self,
        sequence: i64,
        change: Change<'_>,
        hints: Hints<'_>,
        room: usize,
        now: Time,
    ) -> Result<Changed, Misdeed> {
        match change {
            Change::Some { add, del } => {
                check(add, "add")?;
                check(del, "del")?;
                if sequence <= self.sequence {
                    return Ok(Changed::default());
                }
                if sequence > self.sequence + 1 {
                    self.ask.want();
                    return Ok(Changed::default());
                }
            }
            Change::All { exist } => {
                check(exist, "exist")?;
                let repeated = sequence == self.sequence && !self.ask.is_asked();
                if sequence < self.sequence || repeated {
                    return Ok(Changed::default());
                }
            }
        }
        let room = room.min(limits::MESH_ADDRESSES_PER_ROUTER.saturating_sub(self.keys.len()));
        let mut changed = Changed::default();
        match change {
            Change::Some { add, del } => {
                for key in texts(del, "del") {
                    self.remove(key?, &mut changed);
                }
                let hints = hints.for_each_of(add.count());
                for (key, hint) in texts(add, "add").zip(hints) {
                    self.insert(key?, hint, room, &mut changed);
                }
            }
            Change::All { exist } => {
                self.lists = self.lists.wrapping_add(1);
                let hints = hints.for_each_of(exist.count());
                for (key, hint) in texts(exist, "exist").zip(hints) {
                    self.insert(key?, hint, room, &mut changed);
                }
                self.sweep(&mut changed);
            }
        }
        self.sequence = sequence;
        let is_all = matches!(change, Change::All { .. });
        self.is_cut = changed.full || (self.is_cut && !is_all);
        if is_all || self.ask.due().is_none() {
            self.ask.answered(now);
        }
        if self.advertised > self.sequence {
            self.ask.want();
        }
        Ok(changed)
    }

    fn insert(&mut self, key: &str, hint: Option<Treatment>, room: usize, changed: &mut Changed) {
        if !is_told(key) || key.len() > limits::MESH_ADDRESS_BYTES {
            return;
        }
        let row = Row {
            list: self.lists,
            hint,
        };
        if let Some(known) = self.keys.get_mut(key) {
            *known = row;
        } else if changed.mapped.len() >= room {
            changed.full = true;
        } else {
            let key = AddressKey::from(key);
            self.keys.insert(AddressKey::clone(&key), row);
            changed.mapped.push((key, hint));
        }
    }

    fn remove(&mut self, key: &str, changed: &mut Changed) {
        if let Some((key, _)) = self.keys.remove_entry(key) {
            changed.unmapped.push(key);
        }
    }

    /// Removes what the latest list of all does not name.
    fn sweep(&mut self, changed: &mut Changed) {
        let list = self.lists;
        self.keys.retain(|key, row| {
            let keep = row.list == list;
            if !keep {
                changed.unmapped.push(AddressKey::clone(key));
            }
            keep
        });
    }
}

/// What an address takes in a message.
fn bytes_of(key: &str) -> usize {
    key.len() + limits::MESH_ADDRESS_OVERHEAD
}

/// A list with anything wrong in it is not taken at all.
fn check(values: crate::mesh::read::Values<'_>, field: &'static str) -> Result<(), Misdeed> {
    texts(values, field).try_for_each(|text| text.map(|_| ()))
}
