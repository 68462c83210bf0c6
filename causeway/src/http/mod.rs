//! What the router says by HTTP: how it is doing, metrics, files; and AMQP by WebSocket.
//!
//! ```text
//!   control thread ──a socket that was accepted──► HTTP thread ──question──► control thread
//!                                                      ▲                          │ workers
//!                                                      └────────── facts ◄────────┘
//!                  ◄──a socket that has become a WebSocket── HTTP thread
//! ```
//!
//! One thread serves all listeners that speak HTTP; it begins with the first. Nothing of it runs on
//! a worker. A connection moves once: as a WebSocket, before the first byte of AMQP, by way of the
//! control thread to a worker, as a connection does that was accepted for AMQP.

pub(crate) mod clerk;
pub(crate) mod desk;
pub(crate) mod facts;
pub(crate) mod intake;

mod client;
mod crowd;
mod families;
mod files;
mod health;
mod pace;
mod process;
mod seldom;
mod series;
mod server;
mod site;
mod slots;
mod table;
