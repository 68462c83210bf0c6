//! What may be held for a connection: what its settings say, and what may still come in the windows
//! that its sessions had been given before that was reached. Worked out from what the plan says of
//! the connection; only by how many links its sessions send is asked of the router.

use router_core::limits;
use router_core::settings::{ConnectionRole, ConnectionSettings};
use router_core::shard::Held;

/// What is held for a connection is what may be.
pub(crate) fn held(held: &Held, settings: &ConnectionSettings) {
    let most = most(held, settings);
    assert!(
        held.bytes <= most,
        "{} bytes are held for a connection that may have {most}: {held:?}",
        held.bytes
    );
}

/// Bytes that may be held for a connection with such sessions. Of one by which a single link sends
/// more is taken while consumers wait for it, a window at a time, whatever came by it before: what
/// has come whole and waits, and one stream after the other, until the link holds all that one may
/// and gets no more credit; what is under way by then may still come, and a window beyond. Where
/// several links send, the others may go on beside it until twice as much is held.
fn most(held: &Held, settings: &ConnectionSettings) -> u64 {
    let bound = match held.shared {
        0 => settings.held_bytes,
        _ => settings.held_bytes * 2,
    };
    let spared = held.alone as u64 * limits::LINK_BYTES + windows(settings, held.alone);
    bound + windows(settings, held.alone + held.shared) + spared
}

/// Bytes that come in the windows of so many sessions, with what each delivery counts besides.
fn windows(settings: &ConnectionSettings, sessions: usize) -> u64 {
    let frame = settings.max_frame_size;
    let usual = (limits::SESSION_WINDOW_BYTES / frame).max(limits::SESSION_WINDOW_FRAMES);
    let frames = u64::from(settings.max_session_frames.unwrap_or(usual));
    let crowded = frames.min(u64::from(limits::CROWDED_WINDOW_FRAMES));
    let roomy = sessions.min(match settings.role {
        ConnectionRole::InterRouter => limits::ROOMY_SESSIONS_BETWEEN_ROUTERS,
        _ => limits::ROOMY_SESSIONS,
    });
    let frames = roomy as u64 * frames + (sessions - roomy) as u64 * crowded;
    frames * (u64::from(frame) + limits::DELIVERY_OVERHEAD)
}

#[cfg(test)]
mod tests {
    use router_core::ids::ConnectionId;

    use super::*;

    fn of(bytes: u64, alone: usize, shared: usize) -> Held {
        Held {
            connection: ConnectionId(1),
            bytes,
            alone,
            shared,
        }
    }

    /// A connection that may have 10 000 bytes, and frames of 512.
    fn settings(frames: Option<u32>) -> ConnectionSettings {
        ConnectionSettings {
            held_bytes: 10_000,
            max_frame_size: 512,
            max_session_frames: frames,
            ..ConnectionSettings::default()
        }
    }

    #[test]
    fn what_was_under_way_in_the_windows_of_sessions_may_be_held_besides() {
        held(&of(10_000, 0, 0), &settings(Some(2)));
        held(&of(20_000 + 3 * 2 * 1024, 0, 3), &settings(Some(2)));
        held(
            &of(10_000 + 2 * 2048 + limits::LINK_BYTES, 1, 0),
            &settings(Some(2)),
        );
    }

    #[test]
    #[should_panic(expected = "8402705 bytes are held for a connection that may have 8402704")]
    fn a_byte_more_is_seen() {
        held(
            &of(10_001 + 2 * 2048 + limits::LINK_BYTES, 1, 0),
            &settings(Some(2)),
        );
    }

    #[test]
    fn windows_are_as_large_as_listeners_have_them_and_small_where_there_are_many() {
        assert_eq!(windows(&settings(Some(2)), 20), 20 * 2 * 1024);
        assert_eq!(windows(&settings(Some(100)), 20), (16 * 100 + 4 * 8) * 1024);
        assert_eq!(windows(&settings(None), 1), 4096 * 1024);
    }
}
