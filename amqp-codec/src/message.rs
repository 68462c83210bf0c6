//! Messages: scanning what passes through, rewriting router annotations, making and parsing whole
//! messages.
//!
//! Owns nothing itself; it joins the parts. It never looks at the body of a message that only
//! passes through. Decision: relayed messages are scanned for offsets and stay bytes; only the
//! router's own messages exist as structs.

mod annotations;
mod build;
mod describe;
mod parse;
mod properties;
mod scan;
mod whole;

pub use annotations::{
    AnnotationError, RouterAnnotations, Split, Trace, TraceIter, UserEntries, compose, room, split,
};
pub use build::MessageBuilder;
pub use describe::{MessageParts, describe_message};
pub use parse::parse;
pub use properties::{application_properties, properties, subject, to_address, user_id};
pub use scan::{Depth, Sections, gather, scan, scan_one};
pub use whole::{Body, Header, Message, Properties};
