//! Message bytes by reference.
//!
//! Owns [`Payload`]; never copies, except where [`Payload::settle`] is asked to.
//!
//! Decision: opaque, with one chunk as the common form and a list only for messages that came in
//! several frames, so that a form with cheaper counting can replace it without touching callers.

use bytes::Bytes;

/// Slices below this size keep a whole read window alive, so [`Payload::settle`] copies them out:
/// half of a block of 64 KiB.
const SETTLE_BELOW: usize = 32 * 1024;

/// Slices below this size are copied where more and more of them has to wait: they are no frames of
/// a peer that has much to say, and a window for each would be theirs.
const CRUMB_BELOW: usize = 8 * 1024;

/// A sequence of byte chunks; cheap to clone and to cut.
#[derive(Debug, Clone)]
pub struct Payload(Chunks);

#[derive(Debug, Clone)]
enum Chunks {
    One(Bytes),
    Many(Vec<Bytes>),
}

impl Payload {
    /// A payload without bytes.
    pub const fn new() -> Self {
        Self(Chunks::One(Bytes::new()))
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        match &self.0 {
            Chunks::One(chunk) => chunk.len(),
            Chunks::Many(chunks) => chunks.iter().map(Bytes::len).sum(),
        }
    }

    /// Whether there is not a single byte.
    pub fn is_empty(&self) -> bool {
        self.chunks().iter().all(Bytes::is_empty)
    }

    /// The chunks in order.
    pub fn chunks(&self) -> &[Bytes] {
        match &self.0 {
            Chunks::One(chunk) if chunk.is_empty() => &[],
            Chunks::One(chunk) => std::slice::from_ref(chunk),
            Chunks::Many(chunks) => chunks,
        }
    }

    /// Appends a chunk.
    pub fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        match &mut self.0 {
            Chunks::One(first) if first.is_empty() => *first = chunk,
            Chunks::One(first) => self.0 = Chunks::Many(vec![std::mem::take(first), chunk]),
            Chunks::Many(chunks) => chunks.push(chunk),
        }
    }

    /// Appends all chunks of another payload.
    pub fn append(&mut self, other: Self) {
        match other.0 {
            Chunks::One(chunk) => self.push(chunk),
            Chunks::Many(chunks) => chunks.into_iter().for_each(|chunk| self.push(chunk)),
        }
    }

    /// Appends what is not going to leave soon. Crumbs are copied, neighbours together, so that a
    /// message in many of them holds about the memory that it is long.
    pub fn append_waiting(&mut self, other: Self) {
        for chunk in other.chunks() {
            if chunk.len() >= CRUMB_BELOW {
                self.push(chunk.clone());
                continue;
            }
            let last = match &mut self.0 {
                Chunks::Many(chunks) => chunks.last_mut(),
                Chunks::One(last) => Some(last),
            };
            match last {
                Some(last) if last.len() < CRUMB_BELOW => {
                    *last = Bytes::from([&last[..], chunk].concat());
                }
                _ => self.push(Bytes::copy_from_slice(chunk)),
            }
        }
    }

    /// Drops the first `count` bytes, or all if there are fewer.
    pub fn advance(&mut self, mut count: usize) {
        match &mut self.0 {
            Chunks::One(chunk) => drop(chunk.split_to(count.min(chunk.len()))),
            Chunks::Many(chunks) => {
                let mut whole = 0;
                for chunk in chunks.iter_mut() {
                    if count < chunk.len() {
                        drop(chunk.split_to(count));
                        break;
                    }
                    count -= chunk.len();
                    whole += 1;
                }
                chunks.drain(..whole);
                if chunks.len() <= 1 {
                    self.0 = Chunks::One(chunks.pop().unwrap_or_default());
                }
            }
        }
    }

    /// Copies small slices into memory of their own, so that a payload that has to wait does not
    /// keep the window alive that it was read into. Neighbouring small slices share one copy.
    pub fn settle(&mut self) {
        match &mut self.0 {
            Chunks::One(chunk) if chunk.is_empty() || chunk.len() >= SETTLE_BELOW => {}
            Chunks::One(chunk) => *chunk = Bytes::copy_from_slice(chunk),
            Chunks::Many(chunks) => {
                let mut settled = Vec::with_capacity(chunks.len());
                let mut small = Vec::new();
                for chunk in chunks.drain(..) {
                    if chunk.len() < SETTLE_BELOW {
                        small.extend_from_slice(&chunk);
                        continue;
                    }
                    if !small.is_empty() {
                        settled.push(Bytes::from(std::mem::take(&mut small)));
                    }
                    settled.push(chunk);
                }
                if !small.is_empty() {
                    settled.push(Bytes::from(small));
                }
                *chunks = settled;
                if chunks.len() == 1 {
                    self.0 = Chunks::One(chunks.pop().unwrap_or_default());
                }
            }
        }
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Bytes> for Payload {
    fn from(chunk: Bytes) -> Self {
        Self(Chunks::One(chunk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(payload: &Payload) -> Vec<u8> {
        payload.chunks().concat()
    }

    #[test]
    fn the_common_form_is_small() {
        assert!(size_of::<Payload>() <= 40);
        assert!(size_of::<Option<Payload>>() <= 40);
    }

    #[test]
    fn an_empty_payload_has_no_chunks() {
        let mut payload = Payload::default();
        payload.push(Bytes::new());
        payload.append(Payload::new());
        assert!(payload.is_empty());
        assert_eq!(payload.chunks().len(), 0);
    }

    #[test]
    fn advance_crosses_chunks_and_stops_at_the_end() {
        let mut payload = Payload::from(Bytes::from_static(b"abc"));
        payload.push(Bytes::from_static(b"de"));
        payload.push(Bytes::from_static(b"f"));
        assert_eq!(payload.len(), 6);
        payload.advance(4);
        assert_eq!(bytes_of(&payload), b"ef");
        payload.advance(1);
        assert_eq!(bytes_of(&payload), b"f");
        payload.advance(99);
        assert!(payload.is_empty());
    }

    #[test]
    fn crumbs_that_wait_are_copied_together_and_large_slices_stay() {
        let window = Bytes::from(vec![7; 256 * 1024]);
        let mut payload = Payload::new();
        let lengths = [3, CRUMB_BELOW, 1, 1, CRUMB_BELOW - 1, 1, 0, CRUMB_BELOW];
        for length in lengths {
            payload.append_waiting(Payload::from(window.slice(..length)));
        }
        assert_eq!(payload.len(), lengths.iter().sum::<usize>());
        let lengths: Vec<_> = payload.chunks().iter().map(Bytes::len).collect();
        assert_eq!(lengths, [3, CRUMB_BELOW, CRUMB_BELOW + 1, 1, CRUMB_BELOW]);
        let held = |chunk: &Bytes| window.as_ptr_range().contains(&chunk.as_ptr());
        let held: Vec<_> = payload.chunks().iter().map(held).collect();
        assert_eq!(held, [false, true, false, false, true]);
    }

    #[test]
    fn settle_moves_small_slices_out_of_their_window() {
        let window = Bytes::from(vec![7; 256 * 1024]);
        let mut payload = Payload::from(window.slice(0..100));
        payload.push(window.slice(100..200));
        payload.push(window.slice(1000..101_000));
        payload.push(window.slice(0..1));
        let before = bytes_of(&payload);
        payload.settle();
        assert_eq!(bytes_of(&payload), before);
        let lengths: Vec<_> = payload.chunks().iter().map(Bytes::len).collect();
        assert_eq!(lengths, [200, 100_000, 1]);
        assert!(
            !window
                .as_ptr_range()
                .contains(&payload.chunks()[0].as_ptr())
        );
        assert!(
            window
                .as_ptr_range()
                .contains(&payload.chunks()[1].as_ptr())
        );
    }
}
