//! Silence: when a neighbour that says nothing is taken for lost.
//!
//! Between routers of our kind each side says in its Open after how long a silence it takes the
//! other for lost, and the other shows signs of life several times as often. Other routers are
//! heard once a second, by the protocol's hello; who misses it for too long is asked after here.
//!
//! Owns how long nothing came in. It never judges a neighbour by what it says. Decision: silence is
//! counted in the shard's waking time: what it slept, or spent on something else, is not its
//! neighbours' silence; and any byte counts, even half a frame.

use std::time::Duration;

use amqp_codec::{Encoded, Value};
use amqp_proto::Time;

use super::conn::Phase;
use super::state::Shard;
use crate::ids::{ConnKey, ConnectionId};
use crate::limits;
use crate::notice::{Notice, cut};
use crate::settings::{ConnectionSettings, RouterSettings};

/// The property of an Open by which routers of our kind know each other, and its value: the silence
/// in milliseconds after which its sender takes the other side for lost; 0: it does not.
pub(super) const LOSS_DETECTION: &str = "causeway.loss-detection";

/// What this router's Open says of silence.
pub(super) fn wish(router: &RouterSettings, settings: &ConnectionSettings) -> Value {
    let limit = own_limit(router, settings).unwrap_or_default();
    Value::Int(i32::try_from(limit.as_millis()).unwrap_or(i32::MAX))
}

fn own_limit(router: &RouterSettings, settings: &ConnectionSettings) -> Option<Duration> {
    let limit = settings.loss_detection.or(router.timers.loss_detection)?;
    Some(limit.clamp(limits::LOSS_DETECTION_LEAST, limits::LOSS_DETECTION_MOST))
}

/// What a peer's Open says of silence; `None` if it is no router of our kind.
fn peer_wish(properties: &Encoded) -> Option<Option<Duration>> {
    let Ok(Value::Map(map)) = properties.value() else {
        return None;
    };
    let Some(Value::Int(millis)) = map.get(LOSS_DETECTION) else {
        return None;
    };
    let millis = u64::try_from(*millis).ok().filter(|millis| *millis > 0);
    Some(millis.map(Duration::from_millis))
}

/// For how long, at most, a shard that comes too late is taken to have been awake before.
const AWAKE_AT_MOST: Duration = Duration::from_secs(1);

impl Shard {
    /// Both ends of a connection between routers have said how long the other may be silent.
    pub(super) fn begin_vigil(&mut self, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let Some(wish) = conn.properties.as_ref().and_then(peer_wish) else {
            return;
        };
        conn.vigil.is_ours = true;
        conn.vigil.limit = own_limit(&self.settings, &conn.settings);
        if let Some(wish) = wish {
            let wish = wish.max(limits::LOSS_DETECTION_LEAST);
            conn.engine.beat(wish / limits::SIGNS_OF_LIFE);
        }
    }

    /// The neighbour on a connection has said no hello for so long. One of our kind says hello from
    /// a thread that has little else to do: if nothing else came either, it is gone. Of another one
    /// it can only be expected that it keeps the idle time-out: it may be busy with paths.
    pub(super) fn doubt(&mut self, id: ConnectionId, age: Duration, now: Time) {
        let Some(&key) = self.by_id.get(&id) else {
            return;
        };
        let waking = self.waking(now);
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let promised = conn.settings.idle_time_out.map(|time_out| time_out / 2);
        let limit = match conn.vigil.is_ours {
            true => Some(age),
            false => promised.map(|promised| promised.max(age)),
        };
        conn.vigil.doubt = limit.map(|limit| (limit, waking));
        // Judged by the timer: what waits in the socket is read before.
        self.arm(key, now);
    }

    /// Whether a peer has been silent for too long; then its connection is gone, without a word,
    /// because nobody would hear it.
    pub(super) fn lose_if_silent(&mut self, key: ConnKey, now: Time) -> bool {
        let waking = self.waking(now);
        let Some(conn) = self.conns.get_mut(key) else {
            return false;
        };
        let vigil = &mut conn.vigil;
        if vigil.doubt.is_some_and(|(_, since)| vigil.heard > since) {
            vigil.doubt = None;
        }
        let overdue = vigil.deadline().is_some_and(|deadline| deadline <= waking);
        // Who is not read cannot be heard.
        if !overdue || conn.phase != Phase::Open || conn.paused {
            return false;
        }
        let who = cut(conn.container.as_deref().unwrap_or("unknown"));
        let silence = waking.saturating_sub(vigil.heard).as_millis();
        let why = match vigil.doubt {
            Some(_) => "its hello is overdue, too".to_owned(),
            None => {
                let limit = vigil.limit.unwrap_or_default().as_millis();
                format!("lossDetectionMilliseconds is {limit}")
            }
        };
        let condition = "amqp:resource-limit-exceeded".to_owned();
        let description = format!("router {who} has been silent for {silence} ms: {why}");
        self.notices.push(Notice::ConnectionFailed {
            connection: conn.id,
            listener: conn.listener_name(),
            peer: conn.peer.clone(),
            condition: condition.clone(),
            description: description.clone(),
        });
        self.tell_ended(key, Some((condition, description)));
        self.lose(key, None);
        true
    }

    /// Takes note that the shard's turn comes late.
    pub(super) fn note_sleep(&mut self, now: Time) {
        let noted = self.clock.noted;
        let late = |due: Option<Time>| due.map(|due| now.saturating_sub(due.max(noted)));
        let of_wheel = late(self.wheel.next_deadline());
        if let Some(late) = of_wheel.filter(|late| *late > limits::OVERSLEPT) {
            self.clock.asleep += late;
        }
        // To be called as late as that is rare, to ask for all that is due is not cheap.
        let is_long = |time: &Duration| *time > limits::STOOD_STILL;
        if is_long(&now.saturating_sub(noted))
            && late(self.next_deadline()).is_some_and(|late| is_long(&late))
        {
            // It may have fallen asleep long before it was to be called. But time goes on, if
            // slowly, for a shard that is late again and again.
            self.clock.stood += now.saturating_sub(noted + AWAKE_AT_MOST);
        }
    }

    /// The time without what the shard has slept.
    pub(super) fn waking(&self, now: Time) -> Time {
        Time::ZERO + now.saturating_sub(Time::ZERO + self.clock.asleep)
    }
}
