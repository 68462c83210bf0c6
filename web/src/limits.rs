//! What a client of the HTTP listener may make the router hold, and how long it may take.
//!
//! All clients together: `CLIENTS` × (one request's head, `HEAD_BYTES`, what is queued for it,
//! `OUTPUT_BYTES`, and a TLS handshake). Metrics are made once for all who ask, and belong to
//! nobody: `TEXTS_BYTES` and the newest, however slowly they are read.

use std::time::Duration;

/// Bytes of a request's first line and headers.
pub const HEAD_BYTES: usize = 16 * 1024;

/// Bytes of a request's target.
pub const TARGET_BYTES: usize = 4 * 1024;

/// Headers of a request.
pub const HEADERS: usize = 64;

/// Bytes of a request's body; they are thrown away as they come.
pub const BODY_BYTES: u64 = 64 * 1024;

/// Requests on one connection; then it is closed, so that who asks without end makes place.
pub const REQUESTS: u32 = 10_000;

/// Bytes of a control frame's payload (RFC 6455 §5.5).
pub const CONTROL_BYTES: u64 = 125;

/// Data frames without data between two that bring some; beyond, the peer only keeps the router
/// busy. Control frames are not counted: none is kept but the last ping.
pub const IDLE_FRAMES: u32 = 1024;

/// Connections to HTTP listeners at the same time, those left out that have become WebSockets.
pub const CLIENTS: usize = 256;

/// Bytes queued for one client beyond which nothing is added.
pub const OUTPUT_BYTES: usize = 64 * 1024;

/// Bytes read from one client at once.
pub const READ_BYTES: usize = 16 * 1024;

/// Bytes of a file that is served.
pub const FILE_BYTES: u64 = 256 * 1024 * 1024;

/// Time for a request's head, and for the handshake of TLS before the first.
pub const HEAD_TIME: Duration = Duration::from_secs(10);

/// Time from one request to the next on a connection that stays open.
pub const KEEP_ALIVE_TIME: Duration = Duration::from_secs(75);

/// Time in which who is being answered has to take `STALL_BYTES`, or all that is left.
pub const STALL_TIME: Duration = Duration::from_secs(10);

/// Bytes that show that an answer is being read.
pub const STALL_BYTES: usize = 16 * 1024;

/// Time for a whole answer.
pub const ANSWER_TIME: Duration = Duration::from_secs(300);

/// Time for the threads of the router to say how they are doing.
pub const FACTS_TIME: Duration = Duration::from_secs(6);

/// What the threads have said answers further questions for so long.
pub const FACTS_AGE: Duration = Duration::from_millis(500);

/// The same where the workers have to go through all their links for it; less than the time between
/// two scrapes, so that each has figures of its own.
pub const SERIES_AGE: Duration = Duration::from_secs(4);

/// Bytes of metrics made since those that somebody still reads; beyond, that one has to stop.
pub const TEXTS_BYTES: u64 = 128 * 1024 * 1024;
