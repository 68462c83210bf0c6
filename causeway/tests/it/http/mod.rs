//! What the router says by HTTP, and AMQP by WebSocket, to clients on loopback.

mod health;
mod metrics;
mod page;
mod probe;
mod site;
mod websocket;
