//! Numbers of things in texts for people.

use std::fmt::Display;

/// So many of that: `1 connection`, `2 connections`, `no entries` is for whoever asks to say.
#[must_use]
pub fn counted(count: impl Display, noun: &str) -> String {
    let count = count.to_string();
    if count == "1" {
        return format!("1 {noun}");
    }
    match (noun.strip_suffix('y'), noun.ends_with('s')) {
        (Some(stem), _) => format!("{count} {stem}ies"),
        (None, true) => format!("{count} {noun}es"),
        (None, false) => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        let of = |noun| [counted(0, noun), counted(1_u64, noun), counted(2, noun)];
        assert_eq!(of("error"), ["0 errors", "1 error", "2 errors"]);
        assert_eq!(
            of("delivery"),
            ["0 deliveries", "1 delivery", "2 deliveries"]
        );
        assert_eq!(of("address"), ["0 addresses", "1 address", "2 addresses"]);
        assert_eq!(counted("1 000", "message"), "1 000 messages");
    }
}
