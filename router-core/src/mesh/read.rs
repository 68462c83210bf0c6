//! Reading of encoded values in place: the bodies of control messages are walked, never built.
//!
//! Owns the little that those bodies need of the type system. It allocates nothing and never
//! recurses, so neither a list of a million addresses nor one of a million brackets costs more
//! than its bytes. The alternative, a tree of values, takes forty bytes for each null of a list.

/// Bytes that are no value, or not one of the kind that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAValue;

/// One value, as far as control messages tell them apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    /// An integer of any width, signed or not.
    Integer(i64),
    /// A string or a symbol.
    Text(&'a str),
    /// A list.
    List(Values<'a>),
    /// A map: keys and values in turn.
    Map(Values<'a>),
    /// Anything else.
    Other,
}

/// So many values, one behind the other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Values<'a> {
    bytes: &'a [u8],
    left: u32,
}

impl<'a> Values<'a> {
    /// How many values there should be.
    pub(super) fn count(&self) -> usize {
        self.left as usize
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Result<Item<'a>, NotAValue>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            let rest = std::mem::take(&mut self.bytes);
            return (!rest.is_empty()).then_some(Err(NotAValue));
        }
        match read(self.bytes) {
            Ok((item, rest)) => {
                self.left -= 1;
                self.bytes = rest;
                Some(Ok(item))
            }
            Err(NotAValue) => {
                *self = Self::default();
                Some(Err(NotAValue))
            }
        }
    }
}

/// The value of a section with this descriptor; bytes after it are not looked at.
pub(super) fn section(bytes: &[u8], code: u8) -> Result<Item<'_>, NotAValue> {
    let value = match bytes {
        [0x00, 0x53, found, value @ ..] | [0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, found, value @ ..]
            if *found == code =>
        {
            value
        }
        _ => return Err(NotAValue),
    };
    read(value).map(|(item, _)| item)
}

/// Reads one value; gives what follows it.
fn read(bytes: &[u8]) -> Result<(Item<'_>, &[u8]), NotAValue> {
    let (&code, rest) = bytes.split_first().ok_or(NotAValue)?;
    let (body, rest) = match code >> 4 {
        0x0 => return skip_described(bytes).map(|rest| (Item::Other, rest)),
        0x4 => (&[][..], rest),
        0x5 => take(rest, 1)?,
        0x6 => take(rest, 2)?,
        0x7 => take(rest, 4)?,
        0x8 => take(rest, 8)?,
        0x9 => take(rest, 16)?,
        0xa | 0xc | 0xe => {
            let (&size, rest) = rest.split_first().ok_or(NotAValue)?;
            take(rest, usize::from(size))?
        }
        0xb | 0xd | 0xf => {
            let (size, rest) = rest.split_first_chunk().ok_or(NotAValue)?;
            take(rest, u32::from_be_bytes(*size) as usize)?
        }
        _ => return Err(NotAValue),
    };
    Ok((item(code, body)?, rest))
}

fn take(bytes: &[u8], count: usize) -> Result<(&[u8], &[u8]), NotAValue> {
    bytes.split_at_checked(count).ok_or(NotAValue)
}

/// What a value without descriptor means.
fn item(code: u8, body: &[u8]) -> Result<Item<'_>, NotAValue> {
    Ok(match code {
        0x43 | 0x44 => Item::Integer(0),
        0x50 | 0x52 | 0x53 | 0x60 | 0x70 | 0x80 => {
            let unsigned = body.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
            i64::try_from(unsigned).map_or(Item::Other, Item::Integer)
        }
        0x51 | 0x54 | 0x55 | 0x61 | 0x71 | 0x81 => {
            let negative = body.first().is_some_and(|&byte| byte & 0x80 != 0);
            let start = if negative { -1 } else { 0 };
            Item::Integer(
                body.iter()
                    .fold(start, |sum, &byte| sum << 8 | i64::from(byte)),
            )
        }
        0xa1 | 0xb1 => Item::Text(std::str::from_utf8(body).map_err(|_| NotAValue)?),
        0xa3 | 0xb3 if body.is_ascii() => {
            Item::Text(std::str::from_utf8(body).map_err(|_| NotAValue)?)
        }
        0xa3 | 0xb3 => return Err(NotAValue),
        0x45 => Item::List(Values::default()),
        0xc0 => Item::List(narrow(body)?),
        0xd0 => Item::List(wide(body)?),
        0xc1 => Item::Map(even(narrow(body)?)?),
        0xd1 => Item::Map(even(wide(body)?)?),
        _ => Item::Other,
    })
}

fn narrow(body: &[u8]) -> Result<Values<'_>, NotAValue> {
    let (&count, bytes) = body.split_first().ok_or(NotAValue)?;
    bounded(bytes, u32::from(count))
}

fn wide(body: &[u8]) -> Result<Values<'_>, NotAValue> {
    let (count, bytes) = body.split_first_chunk().ok_or(NotAValue)?;
    bounded(bytes, u32::from_be_bytes(*count))
}

/// Every value takes a byte at least.
fn bounded(bytes: &[u8], left: u32) -> Result<Values<'_>, NotAValue> {
    if left as usize > bytes.len() {
        return Err(NotAValue);
    }
    Ok(Values { bytes, left })
}

fn even(values: Values<'_>) -> Result<Values<'_>, NotAValue> {
    if values.left.is_multiple_of(2) {
        Ok(values)
    } else {
        Err(NotAValue)
    }
}

/// Moves past a described value. A descriptor may be described itself: what is still to be passed
/// is counted, not kept.
fn skip_described(bytes: &[u8]) -> Result<&[u8], NotAValue> {
    let (mut rest, mut to_skip) = (bytes, 1_usize);
    while to_skip > 0 {
        if let [0x00, inner @ ..] = rest {
            rest = inner;
            to_skip += 1;
        } else {
            if rest.first().is_some_and(|code| code >> 4 == 0) {
                return Err(NotAValue);
            }
            rest = read(rest)?.1;
            to_skip -= 1;
        }
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use amqp_codec::Value;
    use bytes::BytesMut;

    fn only(bytes: &[u8]) -> Result<Item<'_>, NotAValue> {
        read(bytes).and_then(|(item, rest)| rest.is_empty().then_some(item).ok_or(NotAValue))
    }

    fn integer(bytes: &[u8]) -> Option<i64> {
        match only(bytes) {
            Ok(Item::Integer(number)) => Some(number),
            _ => None,
        }
    }

    #[test]
    fn integers_of_every_width_are_read() {
        for (value, expected) in [
            (Value::Ubyte(200), 200),
            (Value::Ushort(40_000), 40_000),
            (Value::Uint(0), 0),
            (Value::Uint(9), 9),
            (Value::Uint(4_000_000_000), 4_000_000_000),
            (Value::Ulong(0), 0),
            (Value::Ulong(9), 9),
            (Value::Ulong(1 << 40), 1 << 40),
            (Value::Byte(-1), -1),
            (Value::Short(-300), -300),
            (Value::Int(-7), -7),
            (Value::Int(i32::MIN), i64::from(i32::MIN)),
            (Value::Long(-7), -7),
            (Value::Long(i64::MAX), i64::MAX),
        ] {
            let mut bytes = BytesMut::new();
            value.encode(&mut bytes);
            assert_eq!(integer(&bytes), Some(expected), "{value:?}");
        }
        let mut bytes = BytesMut::new();
        Value::Ulong(u64::MAX).encode(&mut bytes);
        assert!(matches!(only(&bytes), Ok(Item::Other)));
        assert!(
            matches!(only(&[0x41]), Ok(Item::Other)),
            "truth is no number"
        );
    }

    #[test]
    fn a_million_brackets_cost_their_bytes() {
        let mut nested = vec![0x45];
        for _ in 0..100_000 {
            let size = u32::try_from(nested.len() + 4).unwrap();
            let mut outer = vec![0xd0];
            outer.extend(size.to_be_bytes());
            outer.extend(1_u32.to_be_bytes());
            if nested.len() > 2000 {
                break;
            }
            outer.extend(&nested);
            nested = outer;
        }
        assert!(matches!(only(&nested), Ok(Item::List(_))));
        assert!(only(&[0x00; 1_000_000]).is_err());
        let mut described = vec![0x00; 1_000_000];
        described.extend(vec![0x40; 1_000_001]);
        assert!(matches!(only(&described), Ok(Item::Other)));
    }

    #[test]
    fn counts_and_sizes_are_held_against_the_bytes() {
        for bytes in [
            &[0xc0, 0x01, 0x05][..],
            &[0xc0, 0x00],
            &[0xd0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
            &[0xd0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff],
            &[0xc1, 0x02, 0x01, 0x40],
            &[0xa1, 0x05, b'a'],
            &[0xa1, 0x01, 0xff],
            &[0xa3, 0x01, 0xc3],
            &[0x3f],
            &[],
        ] {
            assert!(only(bytes).is_err(), "{bytes:x?}");
        }
        let Ok(Item::List(mut values)) = only(&[0xc0, 0x03, 0x01, 0x40, 0x40]) else {
            panic!("its frame is right");
        };
        assert!(values.next().unwrap().is_ok());
        assert!(values.next().unwrap().is_err(), "one value too many");
        assert!(values.next().is_none());
    }

    proptest::proptest! {
        #[test]
        fn bytes_of_any_kind_are_walked_to_an_end(bytes: Vec<u8>) {
            if let Ok((Item::List(values) | Item::Map(values), _)) = read(&bytes) {
                proptest::prop_assert!(values.take(1000).count() < 1000);
            }
        }
    }
}
