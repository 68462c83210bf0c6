//! The program from outside: as a process with a configuration, sockets, signals and a log.
#![cfg(test)]

mod authentication;
mod clients;
mod cluster;
mod connectors;
mod corpus;
mod deploy;
mod drains;
mod ends;
mod harness;
mod http;
mod losses;
mod management;
mod names;
mod reloads;
mod requests;
mod routers;
mod serves;
mod services;
mod starts;
mod threats;
mod tools;
mod trunks;
