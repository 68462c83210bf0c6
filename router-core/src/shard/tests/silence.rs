//! Neighbours that fall silent, on virtual time.

use std::time::Duration;

use amqp_proto::Time;

use super::dialled::{Pair, shards};
use crate::ids::ConnectionId;
use crate::mail::{Batch, Command, ConnectionCommand, Mail};
use crate::notice::Notice;
use crate::settings::ConnectionSettings;

/// How often both routers look at what there is.
const STEP: u64 = 10;

/// Two routers, of which the one that dials and the one that is dialled have these settings.
fn pair(dialler: Option<u64>, listener: Option<u64>) -> Pair {
    Pair::between("There", |settings: &mut ConnectionSettings| {
        let millis = match settings.is_initiator() {
            true => dialler,
            false => listener,
        };
        settings.loss_detection = millis.map(Duration::from_millis);
        settings.idle_time_out = Some(Duration::from_secs(16));
    })
}

/// Lets time pass; when each router first said that it had lost the other.
fn pass(pair: &mut Pair, millis: std::ops::Range<u64>, passes: bool) -> [Option<u64>; 2] {
    let mut lost = [None; 2];
    for now in millis.step_by(usize::try_from(STEP).unwrap()) {
        pair.run_at(Time::from_millis(now), passes);
        for (notices, lost) in [&pair.dialler.notices, &pair.listener.notices]
            .into_iter()
            .zip(&mut lost)
        {
            if complaint(notices).is_some() {
                lost.get_or_insert(now);
            }
        }
    }
    lost
}

/// Why the other was given up.
fn complaint(notices: &[Notice]) -> Option<&str> {
    notices.iter().find_map(|notice| match notice {
        Notice::ConnectionFailed { description, .. } => Some(description.as_str()),
        _ => None,
    })
}

fn doubt(pair: &mut Pair, now: u64) {
    let age = Duration::from_secs(3);
    let command = Command::Connection(ConnectionId(7), ConnectionCommand::Doubt(age));
    let mail = vec![Mail::Command(Box::new(command))];
    pair.dialler.shards[0].take_mail(Batch { mail }, Time::from_millis(now));
}

#[test]
fn silence_is_loss_where_configured_and_quiet_neighbours_are_heard() {
    let mut pair = pair(Some(300), Some(1000));
    assert_eq!(pass(&mut pair, 10..20_000, true), [None, None]);
    let [Some(first), Some(second)] = pass(&mut pair, 20_000..22_000, false) else {
        panic!("nobody noticed")
    };
    assert!((20_100..20_400).contains(&first), "{first}");
    assert!((20_700..21_200).contains(&second), "{second}");
    let why = complaint(&pair.dialler.notices).unwrap();
    assert!(
        why.starts_with("router There has been silent for 3"),
        "{why}"
    );
    assert!(
        why.ends_with(" ms: lossDetectionMilliseconds is 300"),
        "{why}"
    );
    assert!(
        pair.dialler.shards[0].poll_closed().is_some(),
        "gone at once"
    );
}

#[test]
fn who_does_not_ask_for_it_shows_signs_of_life_all_the_same() {
    let mut pair = pair(None, Some(250));
    assert_eq!(pass(&mut pair, 10..10_000, true), [None, None]);
    let [None, Some(lost)] = pass(&mut pair, 10_000..12_000, false) else {
        panic!("the one that is dialled should notice, and it alone")
    };
    assert!(lost < 10_400, "{lost}");
}

#[test]
fn its_own_sleep_is_not_its_neighbours_silence() {
    let mut pair = pair(Some(300), Some(300));
    assert_eq!(pass(&mut pair, 10..5000, true), [None, None]);
    // Both stand still, as when their machine does.
    for wake in [15_000, 16_000, 28_000] {
        let lost = pass(&mut pair, wake..wake + 100, false);
        assert_eq!(lost, [None, None], "neither has said anything yet");
        assert_eq!(pass(&mut pair, wake + 100..wake + 300, true), [None, None]);
    }
    let lost = pass(&mut pair, 28_300..28_900, false);
    assert!(
        lost.iter().all(Option::is_some),
        "but silence is noticed again: {lost:?}"
    );
}

#[test]
fn a_router_that_is_always_late_notices_silence_in_the_end() {
    let mut pair = pair(Some(300), None);
    assert_eq!(pass(&mut pair, 10..5000, true), [None, None]);
    let mut late = (5000..20_000).step_by(400);
    let lost = late.find(|now| {
        pair.run_at(Time::from_millis(*now), false);
        complaint(&pair.dialler.notices).is_some()
    });
    assert!(lost.is_some());
}

#[test]
fn a_neighbour_without_hello_is_given_up_if_nothing_else_comes_from_it() {
    let mut pair = pair(None, None);
    pass(&mut pair, 10..5000, true);
    pass(&mut pair, 5000..8000, false);
    doubt(&mut pair, 8000);
    let [Some(lost), None] = pass(&mut pair, 8000..9000, false) else {
        panic!("it was not given up")
    };
    assert!(lost < 8100, "{lost}");
    let why = complaint(&pair.dialler.notices).unwrap();
    assert!(why.ends_with("its hello is overdue, too"), "{why}");
}

#[test]
fn a_neighbour_that_is_merely_slow_with_its_hello_is_kept() {
    let mut pair = pair(None, None);
    pass(&mut pair, 10..5000, true);
    doubt(&mut pair, 5000);
    // Empty frames alone: they come every four seconds.
    let every = |pair: &mut Pair, now: u64| {
        let [dialler, _] = shards(pair);
        dialler.window()[..8].copy_from_slice(&[0, 0, 0, 8, 2, 0, 0, 0]);
        (now, 8)
    };
    for now in [6000, 8000, 10_000] {
        let (_, count) = every(&mut pair, now);
        let key = pair.keys[0];
        pair.dialler.shards[0].received(key, count, Time::from_millis(now));
        assert_eq!(pass(&mut pair, now..now + 2000, false), [None, None]);
    }
    // Doubted again, and silent for longer.
    doubt(&mut pair, 12_000);
    assert!(pass(&mut pair, 12_000..14_000, false)[0].is_some());
}
