//! What is kept of peers that begin to authenticate and do no more.

use std::net::TcpListener;
use std::sync::mpsc;

use mio::{Poll, Token, Waker};
use router_core::settings::{ConnectionSettings, SaslSettings};

use super::*;
use crate::log::LogSettings;

/// A judge without users, and what keeps its mail alive.
struct Court {
    judge: Judge,
    _poll: Poll,
    _questions: Sender<SaslQuestion>,
}

fn court() -> Court {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(poll.registry(), Token(0)).unwrap();
    let (sender, questions) = mpsc::channel();
    let waker = Arc::new(waker);
    let parts = AuthorityParts {
        offices: Arc::new(Offices::new([Arc::clone(&waker)])),
        orders: Arc::new(Orders::new(waker)),
        users: None,
        clock: Clock::start(),
        log: Log::start(&LogSettings::default()).unwrap(),
    };
    let judge = Judge::new(questions, parts, Random::new().unwrap());
    Court {
        judge: judge.unwrap(),
        _poll: poll,
        _questions: sender,
    }
}

impl Court {
    /// A peer takes a step, or is gone; what is due is judged.
    fn hear(
        &mut self,
        connection: u64,
        peer: &str,
        service: Option<&Arc<AuthService>>,
        step: Option<SaslStep>,
    ) {
        let sasl = SaslSettings {
            plugin: service.cloned(),
            ..SaslSettings::default()
        };
        let settings = ConnectionSettings {
            sasl,
            ..ConnectionSettings::default()
        };
        self.judge.take(SaslQuestion {
            connection: ConnectionId(connection),
            shard: ShardId(0),
            peer: peer.to_owned(),
            settings: Arc::new(settings),
            is_encrypted: true,
            has_certificate: false,
            step,
        });
        while let Some(question) = self.judge.queue.pop() {
            self.judge.judge(&question);
        }
    }
}

fn init() -> SaslStep {
    SaslStep::Init {
        mechanism: "SCRAM-SHA-256".into(),
        response: Some(Bytes::from_static(b"n,,n=alice,r=abcdef")),
        hostname: None,
    }
}

#[test]
fn an_exchange_that_is_left_keeps_nothing() {
    let mut court = court();
    for connection in 0..100 {
        court.hear(connection, "a:1", None, Some(init()));
    }
    assert_eq!(court.judge.exchanges.len(), 100);
    for connection in 0..100 {
        court.hear(connection, "a:1", None, None);
    }
    assert_eq!(court.judge.exchanges.len(), 0);
    assert_eq!(court.judge.late.len(), 0, "nobody has failed");
}

#[test]
fn exchanges_under_way_have_an_end() {
    let mut court = court();
    for connection in 0..EXCHANGES_MAX as u64 + 10 {
        court.hear(connection, "a:1", None, Some(init()));
    }
    assert_eq!(court.judge.exchanges.len(), EXCHANGES_MAX);
    assert_eq!(court.judge.late.len(), 10);
}

#[test]
fn nobody_alone_has_all_exchanges_with_a_service() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let service = Arc::new(AuthService {
        name: "silent".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: silent.local_addr().unwrap().port().to_string(),
        realm: None,
        tls: None,
    });
    let mut court = court();
    let mut connection = 0;
    let mut begin = |court: &mut Court, peer: &str| {
        connection += 1;
        let before = court.judge.relays.len();
        court.hear(connection, peer, Some(&service), Some(SaslStep::Started));
        court.judge.relays.len() > before
    };
    let of_one = (0..RELAYS_PER_PEER + 5).filter(|_| begin(&mut court, "10.0.0.1:1"));
    assert_eq!(of_one.count(), RELAYS_PER_PEER);
    assert!(begin(&mut court, "10.0.0.2:1"), "another has room");
    let of_many = (0..RELAYS_MAX).filter(|number| begin(&mut court, &format!("host{number}:1")));
    assert_eq!(of_many.count(), RELAYS_MAX - RELAYS_PER_PEER - 1);
    // Those that go make room once their threads have noticed.
    for connection in 1..=connection {
        court.hear(connection, "10.0.0.1:1", Some(&service), None);
    }
    assert_eq!(court.judge.relays.len(), 0);
    drop(silent);
    while !court.judge.leaving.is_empty() {
        thread::yield_now();
        court.judge.has_room_for_relay("10.0.0.1");
    }
}
