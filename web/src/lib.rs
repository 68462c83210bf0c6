//! HTTP/1.1 and WebSocket, bytes to bytes: what a client asks for, what it is answered, and the
//! stage that carries the bytes of AMQP in WebSocket frames. Never does I/O, never reads a clock.
//!
//! Decision: request heads are read by `httparse`, headers of frames by `tungstenite`; what stands
//! here is what a server makes of them. Frames are passed on as they arrive instead of message by
//! message: AMQP has its own frames, so nobody here has to keep a message until it is whole.
#![forbid(unsafe_code)]

pub mod fuzz;
pub mod limits;

mod exchange;
mod fingerprint;
mod frames;
mod handshake;
mod origin;
mod request;
mod response;
mod websocket;

pub use exchange::{Exchange, Heard};
pub use fingerprint::fingerprint;
pub use handshake::{Refusal, answer};
pub use origin::Door;
pub use request::{Method, Request, Upgrade, shown};
pub use response::{Head, Status};
pub use websocket::WebSocket;
