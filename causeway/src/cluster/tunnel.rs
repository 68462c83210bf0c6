//! A connection that passes through the cluster's hands: two sockets, and what is between them.
//!
//! It copies bytes and knows nothing of AMQP. What comes in while the link swallows everything is
//! gone, and the tunnel is no good any more: to go on after a gap would show the routers something
//! that no network does.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Duration;

use amqp_proto::Time;
use mio::event::Event;

use super::link::LinkState;
use crate::socket::{Moved, Socket};

/// Bytes on their way in one direction before the sender must wait.
const ON_THE_WAY_MAX: usize = 1 << 20;

/// Bytes read at once.
const READ: usize = 64 * 1024;

/// Reads of one side before other tunnels have their turn.
const READS_PER_TURN: usize = 16;

/// Two sockets that are one connection to those at their other ends.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) link: usize,
    sides: [Side; 2],
    /// The link has swallowed what it carried.
    spoilt: bool,
}

#[derive(Debug)]
struct Side {
    socket: Socket,
    /// What is to be written here.
    coming: VecDeque<Chunk>,
    bytes: usize,
    /// Its peer has said all.
    ended: bool,
}

#[derive(Debug)]
struct Chunk {
    due: Time,
    bytes: Vec<u8>,
    written: usize,
}

/// How a tunnel is after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It waits for its sockets.
    Idle,
    /// It has more to do at once.
    More,
    /// It has something to write then.
    Until(Time),
    /// It has ended.
    Over,
}

impl Tunnel {
    pub(super) fn new(link: usize, accepted: Socket, dialled: Socket) -> Self {
        let side = |socket| Side {
            socket,
            coming: VecDeque::new(),
            bytes: 0,
            ended: false,
        };
        Self {
            link,
            sides: [side(accepted), side(dialled)],
            spoilt: false,
        }
    }

    /// Remembers what one of the sockets is ready for.
    pub(super) fn note_ready(&mut self, side: usize, event: &Event) {
        self.sides[side].socket.note_ready(event);
    }

    /// The link swallows everything from now on.
    pub(super) fn spoil(&mut self) {
        self.spoilt = true;
    }

    /// Whether it cannot go on as if nothing had happened.
    pub(super) fn is_spoilt(&self) -> bool {
        self.spoilt
    }

    /// Moves what can be moved. `buffer` is scratch.
    pub(super) fn turn(&mut self, state: LinkState, buffer: &mut [u8], now: Time) -> Turn {
        let mut more = false;
        for from in 0..2 {
            match self.read(from, state, buffer, now) {
                Some(again) => more |= again,
                None => return Turn::Over,
            }
        }
        if state == LinkState::Frozen {
            self.spoil();
            self.sides.iter_mut().for_each(Side::forget);
            let over = self.sides.iter().all(|side| side.ended);
            return if over {
                Turn::Over
            } else if more {
                Turn::More
            } else {
                Turn::Idle
            };
        }
        let mut until: Option<Time> = None;
        for to in 0..2 {
            if self.sides[to].write(now).is_none() {
                return Turn::Over;
            }
            let side = &self.sides[to];
            if side.coming.is_empty() && self.sides[1 - to].ended {
                return Turn::Over;
            }
            let due = side.coming.front().map(|chunk| chunk.due);
            let due = due.filter(|due| *due > now);
            until = until.into_iter().chain(due).min();
            more |= self.sides[1 - to].may_read() && self.sides[to].has_room();
        }
        match until {
            _ if more => Turn::More,
            Some(due) => Turn::Until(due),
            None => Turn::Idle,
        }
    }

    /// Reads one side; whether there is more, `None` if the socket has failed.
    fn read(
        &mut self,
        from: usize,
        state: LinkState,
        buffer: &mut [u8],
        now: Time,
    ) -> Option<bool> {
        let delay = match state {
            LinkState::Delayed(delay) => delay,
            LinkState::Up | LinkState::Cut | LinkState::Frozen => Duration::ZERO,
        };
        for _ in 0..READS_PER_TURN {
            if !self.sides[from].may_read() || !self.sides[1 - from].has_room() {
                return Some(false);
            }
            match self.sides[from].socket.read(buffer) {
                Moved::Bytes(_) if state == LinkState::Frozen => {}
                Moved::Bytes(count) => {
                    let to = &mut self.sides[1 - from];
                    to.bytes += count;
                    to.coming.push_back(Chunk {
                        due: now + delay,
                        bytes: buffer[..count].to_vec(),
                        written: 0,
                    });
                }
                Moved::Wait => return Some(false),
                Moved::End => {
                    self.sides[from].ended = true;
                    return Some(false);
                }
                Moved::Failed(_) if state == LinkState::Frozen => {
                    self.sides[from].ended = true;
                    return Some(false);
                }
                Moved::Failed(_) => return None,
            }
        }
        Some(true)
    }
}

impl Side {
    fn may_read(&self) -> bool {
        self.socket.is_readable() && !self.ended
    }

    fn has_room(&self) -> bool {
        self.bytes < ON_THE_WAY_MAX
    }

    fn forget(&mut self) {
        self.coming.clear();
        self.bytes = 0;
    }

    /// Writes what is due; `None` if the socket has failed.
    fn write(&mut self, now: Time) -> Option<()> {
        while self.socket.is_writable()
            && let Some(chunk) = self.coming.front_mut()
            && chunk.due <= now
        {
            let slice = IoSlice::new(&chunk.bytes[chunk.written..]);
            match self.socket.write(&[slice]) {
                Moved::Bytes(count) => {
                    self.bytes -= count;
                    chunk.written += count;
                    if chunk.written == chunk.bytes.len() {
                        self.coming.pop_front();
                    }
                }
                Moved::Wait => break,
                Moved::End | Moved::Failed(_) => return None,
            }
        }
        Some(())
    }
}

/// The scratch that [`Tunnel::turn`] wants.
pub(super) fn buffer() -> Vec<u8> {
    vec![0; READ]
}
