//! Owns the hand-tuned forms of transfer, flow and disposition.
//! It never reports an error: whatever it does not recognise at once it leaves to the table, which
//! reads everything. Decision: so the fast path cannot accept what the slow one refuses, and tests
//! compare the two on any bytes.

use super::fields::{Disposition, Flow, Transfer};
use crate::composite;
use crate::definitions::{DeliveryTag, ReceiverSettleMode, Role};
use crate::descriptor;
use crate::format;
use crate::state::DeliveryState;
use bytes::{BufMut as _, BytesMut};

/// Reads a transfer at the start of `bytes`; with it, the number of bytes it occupies.
#[inline]
pub(crate) fn transfer(bytes: &[u8]) -> Option<(Transfer, usize)> {
    let (mut fields, length) = Fields::open(bytes)?;
    let transfer = Transfer {
        handle: fields.uint()??,
        delivery_id: fields.uint()?,
        delivery_tag: fields.tag()?,
        message_format: fields.uint()?,
        settled: fields.boolean()?,
        more: fields.boolean()?.unwrap_or(false),
        rcv_settle_mode: fields.receiver_settle_mode()?,
        state: fields.state()?,
        resume: fields.boolean()?.unwrap_or(false),
        aborted: fields.boolean()?.unwrap_or(false),
        batchable: fields.boolean()?.unwrap_or(false),
    };
    fields.end().then_some((transfer, length))
}

/// Reads a flow without properties at the start of `bytes`; with it, its length in bytes.
#[inline]
pub(crate) fn flow(bytes: &[u8]) -> Option<(Flow, usize)> {
    let (mut fields, length) = Fields::open(bytes)?;
    let flow = Flow {
        next_incoming_id: fields.uint()?,
        incoming_window: fields.uint()??,
        next_outgoing_id: fields.uint()??,
        outgoing_window: fields.uint()??,
        handle: fields.uint()?,
        delivery_count: fields.uint()?,
        link_credit: fields.uint()?,
        available: fields.uint()?,
        drain: fields.boolean()?.unwrap_or(false),
        echo: fields.boolean()?.unwrap_or(false),
        properties: match fields.code()? {
            None => None,
            Some(_) => return None,
        },
    };
    fields.end().then_some((flow, length))
}

/// Reads a disposition at the start of `bytes`; with it, its length in bytes.
#[inline]
pub(crate) fn disposition(bytes: &[u8]) -> Option<(Disposition, usize)> {
    let (mut fields, length) = Fields::open(bytes)?;
    let disposition = Disposition {
        role: if fields.boolean()?? {
            Role::Receiver
        } else {
            Role::Sender
        },
        first: fields.uint()??,
        last: fields.uint()?,
        settled: fields.boolean()?.unwrap_or(false),
        state: fields.state()?,
        batchable: fields.boolean()?.unwrap_or(false),
    };
    fields.end().then_some((disposition, length))
}

/// The fields of a list. `None` outside means "leave it to the table"; inside, "null or absent".
struct Fields<'a> {
    bytes: &'a [u8],
    left: u32,
}

impl<'a> Fields<'a> {
    /// Opens the list after a descriptor of three bytes; with it, where the list ends.
    #[inline(always)]
    fn open(bytes: &'a [u8]) -> Option<(Self, usize)> {
        match *bytes.get(3)? {
            format::LIST8 => {
                let end = 5 + usize::from(*bytes.get(4)?);
                let left = u32::from(*bytes.get(5)?);
                Some((
                    Self {
                        bytes: bytes.get(6..end)?,
                        left,
                    },
                    end,
                ))
            }
            format::LIST32 => {
                let size = u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?);
                let left = u32::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
                let end = usize::try_from(size).ok()?.checked_add(8)?;
                Some((
                    Self {
                        bytes: bytes.get(12..end)?,
                        left,
                    },
                    end,
                ))
            }
            _ => None,
        }
    }

    /// Whether every field was read and no byte is left.
    #[inline(always)]
    fn end(&self) -> bool {
        self.left == 0 && self.bytes.is_empty()
    }

    /// The format code of the next field.
    #[inline(always)]
    fn code(&mut self) -> Option<Option<u8>> {
        if self.left == 0 {
            return Some(None);
        }
        self.left -= 1;
        let (&code, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(if code == format::NULL {
            None
        } else {
            Some(code)
        })
    }

    #[inline(always)]
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(byte)
    }

    #[inline(always)]
    fn uint(&mut self) -> Option<Option<u32>> {
        Some(match self.code()? {
            None => None,
            Some(format::UINT0) => Some(0),
            Some(format::SMALL_UINT) => Some(u32::from(self.byte()?)),
            Some(format::UINT) => {
                let (number, rest) = self.bytes.split_first_chunk::<4>()?;
                self.bytes = rest;
                Some(u32::from_be_bytes(*number))
            }
            Some(_) => return None,
        })
    }

    #[inline(always)]
    fn boolean(&mut self) -> Option<Option<bool>> {
        Some(match self.code()? {
            None => None,
            Some(format::TRUE) => Some(true),
            Some(format::FALSE) => Some(false),
            Some(_) => return None,
        })
    }

    #[inline(always)]
    fn tag(&mut self) -> Option<Option<DeliveryTag>> {
        match self.code()? {
            None => Some(None),
            Some(format::VBIN8) => {
                let length = usize::from(self.byte()?);
                let (tag, rest) = self.bytes.split_at_checked(length)?;
                self.bytes = rest;
                DeliveryTag::new(tag).map(Some)
            }
            Some(_) => None,
        }
    }

    #[inline(always)]
    fn receiver_settle_mode(&mut self) -> Option<Option<ReceiverSettleMode>> {
        match self.code()? {
            None => Some(None),
            Some(format::UBYTE) => ReceiverSettleMode::from_byte(self.byte()?).map(Some),
            Some(_) => None,
        }
    }

    /// One of the states that carry nothing.
    #[inline(always)]
    fn state(&mut self) -> Option<Option<DeliveryState>> {
        match self.code()? {
            None => return Some(None),
            Some(format::DESCRIBED) => {}
            Some(_) => return None,
        }
        let (&[format::SMALL_ULONG, code], rest) = self.bytes.split_first_chunk()? else {
            return None;
        };
        let ([format::LIST0, rest @ ..] | [format::LIST8, 1, 0, rest @ ..]) = rest else {
            return None;
        };
        self.bytes = rest;
        match code {
            descriptor::ACCEPTED => Some(Some(DeliveryState::Accepted)),
            descriptor::REJECTED => Some(Some(DeliveryState::Rejected(None))),
            descriptor::RELEASED => Some(Some(DeliveryState::Released)),
            _ => None,
        }
    }
}

impl Transfer {
    /// Appends the performative; the payload follows it.
    pub fn encode(&self, out: &mut BytesMut) {
        let mut list = Scratch::begin(descriptor::TRANSFER);
        list.uint(Some(self.handle));
        list.uint(self.delivery_id);
        list.tag(self.delivery_tag.as_ref());
        list.uint(self.message_format);
        list.boolean(self.settled);
        list.boolean(self.more.then_some(true));
        list.ubyte(self.rcv_settle_mode.map(ReceiverSettleMode::byte));
        if !list.state(self.state.as_ref()) {
            return composite::write(self, out);
        }
        list.boolean(self.resume.then_some(true));
        list.boolean(self.aborted.then_some(true));
        list.boolean(self.batchable.then_some(true));
        list.finish(out);
    }
}

impl Flow {
    /// Appends the performative.
    pub fn encode(&self, out: &mut BytesMut) {
        if self.properties.is_some() {
            return composite::write(self, out);
        }
        let mut list = Scratch::begin(descriptor::FLOW);
        list.uint(self.next_incoming_id);
        list.uint(Some(self.incoming_window));
        list.uint(Some(self.next_outgoing_id));
        list.uint(Some(self.outgoing_window));
        list.uint(self.handle);
        list.uint(self.delivery_count);
        list.uint(self.link_credit);
        list.uint(self.available);
        list.boolean(self.drain.then_some(true));
        list.boolean(self.echo.then_some(true));
        list.finish(out);
    }
}

impl Disposition {
    /// Appends the performative.
    pub fn encode(&self, out: &mut BytesMut) {
        let mut list = Scratch::begin(descriptor::DISPOSITION);
        list.boolean(Some(self.role == Role::Receiver));
        list.uint(Some(self.first));
        list.uint(self.last);
        list.boolean(self.settled.then_some(true));
        if !list.state(self.state.as_ref()) {
            return composite::write(self, out);
        }
        list.boolean(self.batchable.then_some(true));
        list.finish(out);
    }
}

/// Room for the largest of the three, a transfer: 6 bytes of head, 3 × 5 of numbers, 34 of tag,
/// 2 of settle mode, 4 of state, 5 of booleans.
const SCRATCH_BYTES: usize = 72;

/// A described list under construction, copied out once.
struct Scratch {
    bytes: [u8; SCRATCH_BYTES],
    length: usize,
    count: u8,
    /// Length and count up to the last field that is not null.
    kept_length: usize,
    kept_count: u8,
}

impl Scratch {
    #[inline(always)]
    fn begin(code: u8) -> Self {
        let mut bytes = [0; SCRATCH_BYTES];
        let head = [
            format::DESCRIBED,
            format::SMALL_ULONG,
            code,
            format::LIST8,
            0,
            0,
        ];
        bytes[..6].copy_from_slice(&head);
        Self {
            bytes,
            length: 6,
            count: 0,
            kept_length: 6,
            kept_count: 0,
        }
    }

    #[inline(always)]
    fn put(&mut self, field: &[u8]) {
        self.bytes[self.length..self.length + field.len()].copy_from_slice(field);
        self.length += field.len();
    }

    #[inline(always)]
    fn keep(&mut self) {
        self.count += 1;
        self.kept_length = self.length;
        self.kept_count = self.count;
    }

    #[inline(always)]
    fn null(&mut self) {
        self.put(&[format::NULL]);
        self.count += 1;
    }

    #[inline(always)]
    fn uint(&mut self, value: Option<u32>) {
        let Some(number) = value else {
            return self.null();
        };
        match u8::try_from(number) {
            Ok(0) => self.put(&[format::UINT0]),
            Ok(small) => self.put(&[format::SMALL_UINT, small]),
            Err(_) => {
                let [a, b, c, d] = number.to_be_bytes();
                self.put(&[format::UINT, a, b, c, d]);
            }
        }
        self.keep();
    }

    #[inline(always)]
    fn boolean(&mut self, value: Option<bool>) {
        let Some(truth) = value else {
            return self.null();
        };
        self.put(&[if truth { format::TRUE } else { format::FALSE }]);
        self.keep();
    }

    #[inline(always)]
    fn ubyte(&mut self, value: Option<u8>) {
        let Some(byte) = value else {
            return self.null();
        };
        self.put(&[format::UBYTE, byte]);
        self.keep();
    }

    #[inline(always)]
    fn tag(&mut self, value: Option<&DeliveryTag>) {
        let Some(tag) = value else { return self.null() };
        let tag = tag.as_slice();
        self.put(&[
            format::VBIN8,
            u8::try_from(tag.len()).expect("a tag has at most 32 bytes"),
        ]);
        self.put(tag);
        self.keep();
    }

    /// False for a state that carries something: the table writes those.
    #[inline(always)]
    fn state(&mut self, value: Option<&DeliveryState>) -> bool {
        let code = match value {
            None => {
                self.null();
                return true;
            }
            Some(DeliveryState::Accepted) => descriptor::ACCEPTED,
            Some(DeliveryState::Rejected(None)) => descriptor::REJECTED,
            Some(DeliveryState::Released) => descriptor::RELEASED,
            Some(_) => return false,
        };
        self.put(&[format::DESCRIBED, format::SMALL_ULONG, code, format::LIST0]);
        self.keep();
        true
    }

    #[inline(always)]
    fn finish(mut self, out: &mut BytesMut) {
        self.bytes[4] = u8::try_from(self.kept_length - 5).expect("scratch is below 255 bytes");
        self.bytes[5] = self.kept_count;
        out.put_slice(&self.bytes[..self.kept_length]);
    }
}
