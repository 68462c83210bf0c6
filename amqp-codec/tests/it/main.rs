//! The codec against the standard's bytes, against itself, and against bytes meant to harm it.
#![cfg(test)]

mod annotations;
mod corpus;
mod generate;
mod messages;
mod misdeeds;
mod roundtrip;
mod scan;
mod trace;
mod vectors;

use bytes::Bytes;

/// Bytes from hexadecimal digits; blanks are ignored. Braces enclose what a size of one byte
/// counts, and stand for that size: `c0{02 43 41}` is `c0 03 02 43 41`.
fn hex(text: &str) -> Bytes {
    let mut digits = text.chars().filter(|letter| !letter.is_whitespace());
    let bytes = group(&mut digits);
    assert_eq!(digits.next(), None, "unbalanced braces in {text}");
    bytes.into()
}

fn group(digits: &mut impl Iterator<Item = char>) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        match digits.next() {
            None | Some('}') => return bytes,
            Some('{') => {
                let inner = group(digits);
                bytes.push(u8::try_from(inner.len()).unwrap());
                bytes.extend(inner);
            }
            Some(high) => {
                let digit = |letter: char| u8::try_from(letter.to_digit(16).unwrap()).unwrap();
                bytes.push(digit(high) * 16 + digit(digits.next().unwrap()));
            }
        }
    }
}

/// What an encoding function appends.
fn encoded(encode: impl FnOnce(&mut bytes::BytesMut)) -> Bytes {
    let mut out = bytes::BytesMut::new();
    encode(&mut out);
    out.freeze()
}
