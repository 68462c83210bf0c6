//! Owns the frames of lists, maps and arrays (amqp-1.0 §1.6.22 to §1.6.24): field-by-field reading
//! and back-patched writing, and skipping of values whose meaning is of no interest.
//! It never builds a tree of values. Decision: sizes are written last; the narrow form is assumed
//! and the contents moved by six bytes in the rare case that they outgrow it.

use crate::cursor::Reader;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::format::{self, Layout};
use crate::primitive::{self, Read, Write};
use bytes::{BufMut as _, BytesMut};

/// How deep values may nest in one another, descriptors included.
pub const MAX_DEPTH: u8 = 16;

/// How many array elements that occupy no bytes one decoding call accepts.
pub const MAX_ZERO_WIDTH_ELEMENTS: u32 = 256;

/// What one decoding call may still spend.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    zero_width: u32,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self {
            zero_width: MAX_ZERO_WIDTH_ELEMENTS,
        }
    }

    /// Pays for `count` array elements without bytes.
    pub(crate) fn spend(&mut self, count: u32, reader: &Reader<'_>) -> Result<(), DecodeError> {
        match self.zero_width.checked_sub(count) {
            Some(left) => {
                self.zero_width = left;
                Ok(())
            }
            None => Err(reader.error(DecodeErrorKind::TooManyZeroWidth)),
        }
    }
}

/// The elements of a compound, or of an array from its constructor on.
#[derive(Clone)]
pub(crate) struct Items<'a> {
    pub(crate) reader: Reader<'a>,
    /// Elements not read yet; for a map, keys and values both count.
    pub(crate) left: u32,
}

impl<'a> Items<'a> {
    /// Reads size and count after `code`, which is a list's, map's or array's and already read.
    pub(crate) fn open(reader: &mut Reader<'a>, code: u8) -> Result<Self, DecodeError> {
        if code == format::LIST0 {
            return Ok(Self {
                reader: reader.part(0)?,
                left: 0,
            });
        }
        let wide = code & format::WIDE != 0;
        let size = if wide {
            reader.size32()?
        } else {
            usize::from(reader.u8()?)
        };
        let mut reader = reader.part(size)?;
        let left = if wide {
            reader.u32()?
        } else {
            u32::from(reader.u8()?)
        };
        Ok(Self { reader, left })
    }

    /// Opens the list that begins here and moves `reader` past it.
    pub(crate) fn open_list(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            code @ (format::LIST0 | format::LIST8 | format::LIST32) => {
                Self::open(reader, code)?.bounded()
            }
            code => Err(primitive::unexpected(reader, code)),
        }
    }

    /// Each element of a list or map has a constructor, so the bytes bound the count.
    pub(crate) fn bounded(self) -> Result<Self, DecodeError> {
        if self.left as usize > self.reader.remaining() {
            return Err(self.reader.error_before(DecodeErrorKind::InvalidCount));
        }
        Ok(self)
    }

    /// The next field; `None` if it is null or beyond the end.
    pub(crate) fn field<T: Read>(&mut self) -> Result<Option<T>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        if self.reader.peek()? == format::NULL {
            self.reader.u8()?;
            return Ok(None);
        }
        T::read(&mut self.reader).map(Some)
    }

    /// The next field, which must not be null.
    pub(crate) fn required<T: Read>(&mut self) -> Result<T, DecodeError> {
        let at = self.reader.at();
        match self.field()? {
            Some(value) => Ok(value),
            None => Err(DecodeError::new(DecodeErrorKind::MissingField, at)),
        }
    }

    /// Skips up to `count` fields.
    pub(crate) fn skip(&mut self, count: u32) -> Result<(), DecodeError> {
        let mut budget = Budget::new();
        for _ in 0..count.min(self.left) {
            self.left -= 1;
            skip_value(&mut self.reader, MAX_DEPTH, &mut budget)?;
        }
        Ok(())
    }

    /// Skips fields of a later version and checks that nothing follows them.
    pub(crate) fn finish(mut self) -> Result<(), DecodeError> {
        self.skip(self.left)?;
        if self.reader.is_empty() {
            Ok(())
        } else {
            Err(self.reader.error(DecodeErrorKind::InvalidLength))
        }
    }
}

/// Moves past one value of any type and checks that it is well formed: known format codes,
/// sizes that agree, counts that the bytes can hold, at most `depth` levels.
pub(crate) fn skip_value(
    reader: &mut Reader<'_>,
    depth: u8,
    budget: &mut Budget,
) -> Result<(), DecodeError> {
    let code = reader.u8()?;
    if code == format::DESCRIBED {
        let depth = deeper(reader, depth)?;
        skip_value(reader, depth, budget)?;
        return skip_value(reader, depth, budget);
    }
    skip_body(reader, code, depth, budget)
}

/// One level less to go.
pub(crate) fn deeper(reader: &Reader<'_>, depth: u8) -> Result<u8, DecodeError> {
    depth
        .checked_sub(1)
        .ok_or_else(|| reader.error_before(DecodeErrorKind::TooDeep))
}

/// Moves past what follows the format code `code`.
fn skip_body(
    reader: &mut Reader<'_>,
    code: u8,
    depth: u8,
    budget: &mut Budget,
) -> Result<(), DecodeError> {
    let Some(layout) = format::layout(code) else {
        return Err(reader.error_before(DecodeErrorKind::InvalidFormatCode));
    };
    let length = match layout {
        Layout::Fixed(width) => usize::from(width),
        Layout::Variable8 => usize::from(reader.u8()?),
        Layout::Variable32 => reader.size32()?,
        Layout::Compound => return skip_compound(reader, code, depth, budget),
        Layout::Array => return skip_array(reader, code, depth, budget),
    };
    reader.take(length).map(|_| ())
}

fn skip_compound(
    reader: &mut Reader<'_>,
    code: u8,
    depth: u8,
    budget: &mut Budget,
) -> Result<(), DecodeError> {
    let depth = deeper(reader, depth)?;
    let mut items = Items::open(reader, code)?.bounded()?;
    if matches!(code, format::MAP8 | format::MAP32) && items.left % 2 != 0 {
        return Err(items.reader.error_before(DecodeErrorKind::InvalidCount));
    }
    for _ in 0..items.left {
        skip_value(&mut items.reader, depth, budget)?;
    }
    items.left = 0;
    items.finish()
}

fn skip_array(
    reader: &mut Reader<'_>,
    code: u8,
    depth: u8,
    budget: &mut Budget,
) -> Result<(), DecodeError> {
    let depth = deeper(reader, depth)?;
    let mut items = Items::open(reader, code)?;
    let element = skip_descriptors(&mut items.reader, depth, budget)?;
    check_array_count(&items, element, budget)?;
    if !matches!(format::layout(element), Some(Layout::Fixed(0))) {
        for _ in 0..items.left {
            skip_body(&mut items.reader, element, depth, budget)?;
        }
    }
    items.left = 0;
    items.finish()
}

/// Moves past the descriptors of an array's element constructor and returns its format code.
fn skip_descriptors(
    reader: &mut Reader<'_>,
    depth: u8,
    budget: &mut Budget,
) -> Result<u8, DecodeError> {
    let mut depth = depth;
    loop {
        match reader.u8()? {
            format::DESCRIBED => {
                depth = deeper(reader, depth)?;
                skip_value(reader, depth, budget)?;
            }
            code => return Ok(code),
        }
    }
}

/// Checks an array's count against its bytes, or the budget where elements have no bytes.
pub(crate) fn check_array_count(
    items: &Items<'_>,
    element: u8,
    budget: &mut Budget,
) -> Result<(), DecodeError> {
    match format::layout(element) {
        None => Err(items
            .reader
            .error_before(DecodeErrorKind::InvalidFormatCode)),
        Some(Layout::Fixed(0)) => budget.spend(items.left, &items.reader),
        Some(_) if items.left as usize > items.reader.remaining() => {
            Err(items.reader.error_before(DecodeErrorKind::InvalidCount))
        }
        Some(_) => Ok(()),
    }
}

/// Begins a compound or array with its narrow code; give the result to [`close`].
pub(crate) fn begin(out: &mut BytesMut, narrow: u8) -> usize {
    let start = out.len();
    out.put_slice(&[narrow, 0, 0]);
    start
}

/// Ends what [`begin`] began: writes size and count, in the wide form if they need it.
///
/// # Panics
/// If the contents reach 4 GiB: no frame could carry them.
pub(crate) fn close(out: &mut BytesMut, start: usize, count: usize) {
    let body = out.len() - start - 3;
    if let (Ok(size), Ok(count)) = (u8::try_from(body + 1), u8::try_from(count)) {
        out[start + 1] = size;
        out[start + 2] = count;
        return;
    }
    out.put_bytes(0, 6);
    out.copy_within(start + 3..start + 3 + body, start + 9);
    let size = u32::try_from(body + 4).expect("compounds are shorter than 4 GiB");
    let count = u32::try_from(count).expect("counts are below the size in bytes or a small cap");
    out[start] |= format::WIDE;
    out[start + 1..start + 5].copy_from_slice(&size.to_be_bytes());
    out[start + 5..start + 9].copy_from_slice(&count.to_be_bytes());
}

/// Writes a list whose trailing nulls are left out.
pub(crate) struct ListWriter<'a> {
    out: &'a mut BytesMut,
    start: usize,
    count: usize,
    /// Count and length up to the last field that is not null.
    kept: (usize, usize),
}

impl<'a> ListWriter<'a> {
    pub(crate) fn begin(out: &'a mut BytesMut) -> Self {
        let start = begin(out, format::LIST8);
        let kept = (0, out.len());
        Self {
            out,
            start,
            count: 0,
            kept,
        }
    }

    /// Begins a described list.
    pub(crate) fn begin_described(out: &'a mut BytesMut, descriptor: u8) -> Self {
        out.put_slice(&[format::DESCRIBED, format::SMALL_ULONG, descriptor]);
        Self::begin(out)
    }

    pub(crate) fn null(&mut self) {
        self.out.put_u8(format::NULL);
        self.count += 1;
    }

    pub(crate) fn required<T: Write>(&mut self, value: &T) {
        value.write(self.out);
        self.count += 1;
        self.kept = (self.count, self.out.len());
    }

    pub(crate) fn optional<T: Write>(&mut self, value: Option<&T>) {
        match value {
            Some(value) => self.required(value),
            None => self.null(),
        }
    }

    pub(crate) fn finish(self) {
        let (count, length) = self.kept;
        if count == 0 {
            self.out.truncate(self.start);
            self.out.put_u8(format::LIST0);
        } else {
            self.out.truncate(length);
            close(self.out, self.start, count);
        }
    }
}
