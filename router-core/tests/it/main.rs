//! The router through its public face.

mod corpus;
