//! Owns the names of the error conditions that the standard defines.
//! It never decides when one applies. Decision: plain texts, because a constant of a type with
//! shared storage would be made anew at each use; `Symbol::from` costs nothing for them.

/// The peer's bytes could not be decoded (amqp-1.0 §2.8.15).
pub const DECODE_ERROR: &str = "amqp:decode-error";
/// A frame smaller than the minimum the sender may send (amqp-1.0 §2.8.15).
pub const FRAME_SIZE_TOO_SMALL: &str = "amqp:frame-size-too-small";
/// The peer's state does not permit the operation (amqp-1.0 §2.8.15).
pub const ILLEGAL_STATE: &str = "amqp:illegal-state";
/// An internal error (amqp-1.0 §2.8.15).
pub const INTERNAL_ERROR: &str = "amqp:internal-error";
/// A field's value is not permitted (amqp-1.0 §2.8.15).
pub const INVALID_FIELD: &str = "amqp:invalid-field";
/// The operation is not allowed (amqp-1.0 §2.8.15).
pub const NOT_ALLOWED: &str = "amqp:not-allowed";
/// What was asked for does not exist (amqp-1.0 §2.8.15).
pub const NOT_FOUND: &str = "amqp:not-found";
/// The peer asked for something that is not implemented (amqp-1.0 §2.8.15).
pub const NOT_IMPLEMENTED: &str = "amqp:not-implemented";
/// A precondition failed (amqp-1.0 §2.8.15).
pub const PRECONDITION_FAILED: &str = "amqp:precondition-failed";
/// A server entity was deleted (amqp-1.0 §2.8.15).
pub const RESOURCE_DELETED: &str = "amqp:resource-deleted";
/// A limit was exceeded (amqp-1.0 §2.8.15).
pub const RESOURCE_LIMIT_EXCEEDED: &str = "amqp:resource-limit-exceeded";
/// Another peer holds the resource (amqp-1.0 §2.8.15).
pub const RESOURCE_LOCKED: &str = "amqp:resource-locked";
/// The peer lacks the right (amqp-1.0 §2.8.15).
pub const UNAUTHORIZED_ACCESS: &str = "amqp:unauthorized-access";
/// An operator closed the connection (amqp-1.0 §2.8.16).
pub const CONNECTION_FORCED: &str = "amqp:connection:forced";
/// The peer's frames are malformed (amqp-1.0 §2.8.16).
pub const CONNECTION_FRAMING_ERROR: &str = "amqp:connection:framing-error";
/// The container is elsewhere (amqp-1.0 §2.8.16).
pub const CONNECTION_REDIRECT: &str = "amqp:connection:redirect";
/// A frame names a link whose detach was an error (amqp-1.0 §2.8.17).
pub const SESSION_ERRANT_LINK: &str = "amqp:session:errant-link";
/// The handle is taken (amqp-1.0 §2.8.17).
pub const SESSION_HANDLE_IN_USE: &str = "amqp:session:handle-in-use";
/// The handle is not attached (amqp-1.0 §2.8.17).
pub const SESSION_UNATTACHED_HANDLE: &str = "amqp:session:unattached-handle";
/// More transfers than the window allows (amqp-1.0 §2.8.17).
pub const SESSION_WINDOW_VIOLATION: &str = "amqp:session:window-violation";
/// An operator detached the link (amqp-1.0 §2.8.18).
pub const LINK_DETACH_FORCED: &str = "amqp:link:detach-forced";
/// A message larger than the link allows (amqp-1.0 §2.8.18).
pub const LINK_MESSAGE_SIZE_EXCEEDED: &str = "amqp:link:message-size-exceeded";
/// The address is elsewhere (amqp-1.0 §2.8.18).
pub const LINK_REDIRECT: &str = "amqp:link:redirect";
/// The link was attached elsewhere (amqp-1.0 §2.8.18).
pub const LINK_STOLEN: &str = "amqp:link:stolen";
/// More transfers than the credit allows (amqp-1.0 §2.8.18).
pub const LINK_TRANSFER_LIMIT_EXCEEDED: &str = "amqp:link:transfer-limit-exceeded";
