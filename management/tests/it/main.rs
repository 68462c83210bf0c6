//! The management agent as its clients see it: messages in, messages out, with a control plane and
//! shards that answer from lists.

mod access;
mod autolinks;
mod configuration;
mod corpus;
mod describe;
mod dummy;
mod live;
mod misdeeds;
mod page;
mod tables;
mod world;
