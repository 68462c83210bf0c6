//! What is noted only while the log wants it, since there is much of it.

use crate::control::plane::ControlPlane;
use crate::mail::Command;

impl ControlPlane {
    /// Switches the protocol trace of all connections.
    pub fn trace_all(&mut self, on: bool) {
        self.broadcast(|| Command::TraceAll(on));
    }

    /// Switches the notices of what routers say to each other.
    pub fn trace_routing(&mut self, on: bool) {
        if let Some(neighbors) = &mut self.neighbors {
            neighbors.traced = on;
        }
    }

    /// Switches the notices of messages, of all connections that show any.
    pub fn show_messages(&mut self, on: bool) {
        self.broadcast(|| Command::ShowMessages(on));
    }
}
