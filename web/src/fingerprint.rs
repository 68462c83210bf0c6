//! What stands for a text that is too long to be shown.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

/// How much of the hash is written: nobody finds two texts that have the same.
const BYTES: usize = 16;

/// A text of 32 digits that no other text has.
#[must_use]
pub fn fingerprint(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    let mut digits = String::new();
    for byte in hash.as_ref().iter().take(BYTES) {
        write!(digits, "{byte:02x}").unwrap_or_default();
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_its_digits() {
        assert_eq!(fingerprint("abc"), "ba7816bf8f01cfea414140de5dae2223");
        assert_ne!(fingerprint("abc"), fingerprint("abd"));
    }
}
