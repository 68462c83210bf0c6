//! The messages against those of the incumbent, and engines among their like.

mod messages;
mod vectors;
