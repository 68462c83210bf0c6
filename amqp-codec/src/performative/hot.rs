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
#[inline(always)]
pub(crate) fn transfer(bytes: &[u8]) -> Option<(Transfer, usize)> {
    let (mut fields, length) = Fields::open(bytes)?;
    let handle = fields.uint()??;
    let delivery_id = fields.uint()?;
    let tag = fields.tag()?;
    let message_format = fields.uint()?;
    let settled = fields.boolean()?;
    let more = fields.flag()?;
    let mode = fields.ubyte()?;
    let state = fields.state()?;
    let resume = fields.flag()?;
    let aborted = fields.flag()?;
    let batchable = fields.flag()?;
    if !fields.end() {
        return None;
    }
    let transfer = Transfer {
        handle,
        delivery_id,
        delivery_tag: match tag {
            None => None,
            Some(tag) => Some(DeliveryTag::new(tag)?),
        },
        message_format,
        settled,
        more,
        rcv_settle_mode: match mode {
            None => None,
            Some(mode) => Some(ReceiverSettleMode::from_byte(mode)?),
        },
        state: state.into_state(),
        resume,
        aborted,
        batchable,
    };
    Some((transfer, length))
}

/// Reads a flow without properties at the start of `bytes`; with it, its length in bytes.
#[inline(always)]
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
        drain: fields.flag()?,
        echo: fields.flag()?,
        properties: None,
    };
    let without_properties = fields.code()?.is_none();
    (without_properties && fields.end()).then_some((flow, length))
}

/// Reads a disposition at the start of `bytes`; with it, its length in bytes.
#[inline(always)]
pub(crate) fn disposition(bytes: &[u8]) -> Option<(Disposition, usize)> {
    let (mut fields, length) = Fields::open(bytes)?;
    let role = if fields.boolean()?? {
        Role::Receiver
    } else {
        Role::Sender
    };
    let first = fields.uint()??;
    let last = fields.uint()?;
    let settled = fields.flag()?;
    let state = fields.state()?;
    let batchable = fields.flag()?;
    if !fields.end() {
        return None;
    }
    let state = state.into_state();
    Some((
        Disposition {
            role,
            first,
            last,
            settled,
            state,
            batchable,
        },
        length,
    ))
}

/// A state that carries nothing. Kept apart from `DeliveryState` until all fields are read, so that
/// giving up on the way has nothing to drop.
#[derive(Clone, Copy)]
enum PlainState {
    None,
    Accepted,
    Rejected,
    Released,
}

impl PlainState {
    #[inline(always)]
    fn into_state(self) -> Option<DeliveryState> {
        match self {
            Self::None => None,
            Self::Accepted => Some(DeliveryState::Accepted),
            Self::Rejected => Some(DeliveryState::Rejected(None)),
            Self::Released => Some(DeliveryState::Released),
        }
    }
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

    /// A boolean that is false if null or absent.
    #[inline(always)]
    fn flag(&mut self) -> Option<bool> {
        match self.code()? {
            None | Some(format::FALSE) => Some(false),
            Some(format::TRUE) => Some(true),
            Some(_) => None,
        }
    }

    #[inline(always)]
    fn tag(&mut self) -> Option<Option<&'a [u8]>> {
        match self.code()? {
            None => Some(None),
            Some(format::VBIN8) => {
                let length = usize::from(self.byte()?);
                let (tag, rest) = self.bytes.split_at_checked(length)?;
                self.bytes = rest;
                Some(Some(tag))
            }
            Some(_) => None,
        }
    }

    #[inline(always)]
    fn ubyte(&mut self) -> Option<Option<u8>> {
        match self.code()? {
            None => Some(None),
            Some(format::UBYTE) => Some(Some(self.byte()?)),
            Some(_) => None,
        }
    }

    #[inline(always)]
    fn state(&mut self) -> Option<PlainState> {
        match self.code()? {
            None => return Some(PlainState::None),
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
            descriptor::ACCEPTED => Some(PlainState::Accepted),
            descriptor::REJECTED => Some(PlainState::Rejected),
            descriptor::RELEASED => Some(PlainState::Released),
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
        if let Some(settled) = self.settled {
            list.boolean(Some(settled));
        } else if self.is_plain_behind_settled() {
            // Most transfers end here; what is null at the end of a list is left out.
            return list.finish(out);
        } else {
            list.null();
        }
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

    /// Whether nothing is said by the fields behind `settled`.
    #[inline(always)]
    fn is_plain_behind_settled(&self) -> bool {
        let flags = self.more | self.resume | self.aborted | self.batchable;
        !flags & self.rcv_settle_mode.is_none() & self.state.is_none()
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
/// 2 of settle mode, 4 of state, 5 of booleans; and what `put` may write beyond a field.
const SCRATCH_BYTES: usize = 80;

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

    /// Appends the first `length` of `N` bytes. All are written, as a store of a fixed width costs
    /// less than a branch; what is beyond `length` is overwritten or left behind.
    #[inline(always)]
    fn put<const N: usize>(&mut self, field: [u8; N], length: usize) {
        self.bytes[self.length..self.length + N].copy_from_slice(&field);
        self.length += length;
    }

    #[inline(always)]
    fn keep(&mut self) {
        self.count += 1;
        self.kept_length = self.length;
        self.kept_count = self.count;
    }

    #[inline(always)]
    fn null(&mut self) {
        self.put([format::NULL], 1);
        self.count += 1;
    }

    #[inline(always)]
    fn uint(&mut self, value: Option<u32>) {
        let Some(number) = value else {
            return self.null();
        };
        let [a, b, c, d] = number.to_be_bytes();
        match number {
            0 => self.put([format::UINT0], 1),
            1..=255 => self.put([format::SMALL_UINT, d], 2),
            _ => self.put([format::UINT, a, b, c, d], 5),
        }
        self.keep();
    }

    #[inline(always)]
    fn boolean(&mut self, value: Option<bool>) {
        let Some(truth) = value else {
            return self.null();
        };
        self.put([if truth { format::TRUE } else { format::FALSE }], 1);
        self.keep();
    }

    #[inline(always)]
    fn ubyte(&mut self, value: Option<u8>) {
        let Some(byte) = value else {
            return self.null();
        };
        self.put([format::UBYTE, byte], 2);
        self.keep();
    }

    #[inline(always)]
    fn tag(&mut self, value: Option<&DeliveryTag>) {
        let Some(tag) = value else { return self.null() };
        let (length, bytes) = tag.parts();
        self.put([format::VBIN8, length], 2);
        self.put(*bytes, usize::from(length));
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
        self.put(
            [format::DESCRIBED, format::SMALL_ULONG, code, format::LIST0],
            4,
        );
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
