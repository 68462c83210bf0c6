//! What a peer's refusals say to a person.
//!
//! Owns the words for detach, end and close; it decides nothing. One function for all events that
//! end something, so that send, recv and bench complain alike.

use amqp_codec::AmqpError;
use amqp_proto::Event;

use crate::cli::failure::Failure;

/// An error of the peer in words: `condition: description`.
#[must_use]
pub fn said(error: &AmqpError) -> String {
    match &error.description {
        Some(description) => format!("{}: {description}", error.condition),
        None => error.condition.to_string(),
    }
}

/// What `peer` has done, with its reason if it gave one.
#[must_use]
pub fn done(peer: &str, what: &str, error: Option<&AmqpError>) -> Failure {
    match error {
        Some(error) => Failure::new(format!("{peer} {what}: {}", said(error))),
        None => Failure::new(format!("{peer} {what} without giving a reason")),
    }
}

/// The failure in an event that ends a connection, session or link; `None` for others.
#[must_use]
pub fn of_event(peer: &str, event: &Event) -> Option<Failure> {
    match event {
        Event::Detached { error, .. } => Some(done(peer, "detached the link", error.as_deref())),
        Event::Ended { error, .. } => Some(done(peer, "ended the session", error.as_deref())),
        Event::Closed { error, .. } => Some(done(peer, "closed the connection", error.as_deref())),
        Event::LinkFailed { error, .. } => Some(Failure::new(format!(
            "{peer} broke the rules of a link: {error}"
        ))),
        Event::SessionFailed { error, .. } => Some(Failure::new(format!(
            "{peer} broke the rules of the session: {error}"
        ))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_passed_on() {
        let error = AmqpError::new("amqp:not-found", "no such node");
        let event = Event::Closed {
            error: Some(Box::new(error)),
            answer: false,
        };
        let failure = of_event("h:1", &event).unwrap();
        assert_eq!(
            failure.to_string(),
            "h:1 closed the connection: amqp:not-found: no such node"
        );
        let event = Event::Closed {
            error: None,
            answer: false,
        };
        assert!(
            of_event("h:1", &event)
                .unwrap()
                .to_string()
                .contains("without giving a reason")
        );
    }
}
