//! What ranges of addresses have in common, whatever is configured for them.

use crate::schema::definition::Attribute;
use crate::schema::definition::Kind::{Enum, String};

pub(super) const PREFIX: Attribute =
    Attribute::new("prefix", String, "Tokens that the addresses begin with.").create();

pub(super) const PATTERN: Attribute = Attribute::new(
    "pattern",
    String,
    "Tokens, * for one and # for any number of them.",
)
.create();

/// Which way links are routed.
pub(super) const DIRECTION: Attribute = Attribute::new(
    "direction",
    Enum(&["in", "out"]),
    "in: clients that send; out: clients that receive.",
)
.required()
.create();
