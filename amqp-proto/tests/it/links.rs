//! Sessions and links between two engines: begun, attached, crossed, refused, detached, ended.

use amqp_codec::{AmqpError, DeliveryState, Detach, Performative, Role, Str, Symbol};
use amqp_proto::{Config, Event, LimitError};

use crate::pair::{Pair, Side, named};
use crate::raw::{Raw, begin, server};

fn error(condition: &'static str) -> AmqpError {
    AmqpError {
        condition: Symbol::from(condition),
        description: None,
        info: None,
    }
}

fn forget(side: &mut Side, link: amqp_proto::LinkKey) {
    side.connection
        .forget_link(link, &mut Vec::new(), &mut Vec::new());
}

//= amqp-1.0 §2.6.3
#[test]
fn both_ends_know_a_link_by_name_role_and_handles() {
    for role in [Role::Sender, Role::Receiver] {
        let (pair, link, other) = Pair::attached(role);
        let (client, server) = (&pair.client.connection, &pair.server.connection);
        assert!(client.is_attached(link) && server.is_attached(other));
        assert_eq!(client.link_name(link), server.link_name(other));
        assert_eq!(client.link_name(link).map(|name| &**name), Some("link"));
        let roles = (client.link_role(link), server.link_role(other));
        assert_eq!(roles, (Some(role), Some(role.peer())));
        assert_eq!(client.handles(link), Some((0, Some(0))));
        assert_eq!(client.session_of(link), Some(pair.client.session()));
        assert!(pair.client.events.iter().any(|event| {
            matches!(event, Event::Attached { answer: true, link: of, .. } if *of == link)
        }));
    }
}

#[test]
fn a_link_may_be_attached_before_its_session_is_answered() {
    let mut pair = Pair::opened();
    let out = &mut pair.client.out;
    let session = pair.client.connection.begin(out).unwrap();
    let attach = named("early", Role::Sender);
    let link = pair.client.connection.attach(session, attach, out).unwrap();
    assert!(!pair.client.connection.is_attached(link));
    pair.run();
    assert!(pair.client.connection.is_attached(link));
}

#[test]
fn attaches_of_both_ends_that_cross_make_one_link() {
    let mut pair = Pair::opened();
    let session = pair.client.connection.begin(&mut pair.client.out).unwrap();
    pair.run();
    let other_session = pair.server.session();
    let attach = named("crossed", Role::Sender);
    let link = pair
        .client
        .connection
        .attach(session, attach, &mut pair.client.out)
        .unwrap();
    let attach = named("crossed", Role::Receiver);
    let server = &mut pair.server;
    let other = server
        .connection
        .attach(other_session, attach, &mut server.out)
        .unwrap();
    pair.run();
    assert!(pair.client.connection.is_attached(link));
    assert!(pair.server.connection.is_attached(other));
    assert_eq!(
        (pair.client.connection.link_count(), pair.server.link()),
        (1, other)
    );
}

#[test]
fn detaches_that_cross_answer_each_other() {
    let (mut pair, link, other) = Pair::attached(Role::Sender);
    pair.client
        .connection
        .detach(link, true, None, &mut pair.client.out);
    pair.server
        .connection
        .detach(other, false, None, &mut pair.server.out);
    pair.run();
    for side in [&pair.client, &pair.server] {
        assert!(matches!(
            side.events.last(),
            Some(Event::Detached { answer: true, .. })
        ));
        assert_eq!((side.connection.link_count(), &side.error), (0, &None));
    }
}

#[test]
fn the_reason_of_a_detach_arrives_and_the_name_is_free_again() {
    let (mut pair, link, other) = Pair::attached(Role::Sender);
    let reason = error("amqp:resource-deleted");
    pair.client
        .connection
        .detach(link, false, Some(reason.clone()), &mut pair.client.out);
    pair.run();
    assert!(matches!(
        pair.server.events.last(),
        Some(Event::Detached { link, closed: false, error: Some(error), answer: false })
            if *link == other && **error == reason
    ));
    let session = pair.client.session();
    let attach = named("link", Role::Sender);
    let again = pair
        .client
        .connection
        .attach(session, attach, &mut pair.client.out)
        .unwrap();
    pair.run();
    assert!(pair.client.connection.is_attached(again));
    assert_ne!(again, link, "a key is not used twice");
    assert_eq!(pair.client.connection.link_name(link), None);
}

#[test]
fn an_attach_taken_back_before_its_answer_leaves_nothing() {
    let mut pair = Pair::opened();
    let session = pair.client.connection.begin(&mut pair.client.out).unwrap();
    let attach = named("hasty", Role::Receiver);
    let link = pair
        .client
        .connection
        .attach(session, attach, &mut pair.client.out)
        .unwrap();
    pair.client
        .connection
        .detach(link, true, None, &mut pair.client.out);
    forget(&mut pair.client, link);
    pair.run();
    assert_eq!(pair.client.connection.link_count(), 0);
    assert_eq!(pair.server.connection.link_count(), 0);
    assert!(pair.client.connection.is_open() && pair.server.connection.is_open());
}

//= amqp-1.0 §2.6.3
#[test]
fn a_link_detached_unanswered_is_refused_with_an_attach_without_termini() {
    let (mut raw, _) = Raw::begun(server());
    let attach = crate::raw::attach("unwanted", 4, Role::Receiver);
    raw.send(0, Performative::Attach(Box::new(attach)));
    let Some(Event::Attached { link, .. }) = raw.events.pop() else {
        panic!()
    };
    raw.connection
        .detach(link, true, Some(error("amqp:not-found")), &mut raw.out);
    let frames = raw.written();
    let [
        (0, Performative::Attach(attach), _),
        (0, Performative::Detach(detach), _),
    ] = &frames[..]
    else {
        panic!("{frames:?}");
    };
    assert_eq!((&*attach.name, attach.role), ("unwanted", Role::Sender));
    assert!(attach.source.is_none() && attach.target.is_none());
    assert_eq!(detach.handle, attach.handle);
    assert_eq!(
        detach.error.as_ref().unwrap().condition.as_str(),
        "amqp:not-found"
    );
}

#[test]
fn an_end_takes_its_links_along_and_frees_its_channel() {
    let (mut pair, link, other) = Pair::attached(Role::Sender);
    let session = pair.client.session();
    pair.client.connection.end(
        session,
        Some(error("amqp:internal-error")),
        &mut pair.client.out,
    );
    pair.run();
    assert!(matches!(
        pair.server.events.last(),
        Some(Event::Ended {
            error: Some(_),
            answer: false,
            ..
        })
    ));
    assert!(matches!(
        pair.client.events.last(),
        Some(Event::Ended { answer: true, .. })
    ));
    for side in [&pair.client, &pair.server] {
        assert_eq!(
            (
                side.connection.session_count(),
                side.connection.link_count()
            ),
            (0, 0)
        );
    }
    // Commands that come too late do nothing.
    pair.client
        .connection
        .set_credit(link, 1, false, &mut pair.client.out);
    pair.server
        .connection
        .set_credit(other, 1, false, &mut pair.server.out);
    pair.client
        .connection
        .detach(link, true, None, &mut pair.client.out);
    pair.client
        .connection
        .end(session, None, &mut pair.client.out);
    assert!(pair.client.out.is_empty() && pair.server.out.is_empty());
    let next = pair.client.connection.begin(&mut pair.client.out).unwrap();
    pair.run();
    assert_eq!(pair.client.connection.channels(next), Some((0, Some(0))));
}

#[test]
fn numbers_are_reused_however_often_links_come_and_go() {
    let (mut pair, _, _) = Pair::attached(Role::Sender);
    let session = pair.client.session();
    for _ in 0..1000 {
        let client = &mut pair.client;
        let attach = named("churn", Role::Receiver);
        let link = client
            .connection
            .attach(session, attach, &mut client.out)
            .unwrap();
        assert_eq!(client.connection.handles(link), Some((1, None)));
        pair.run();
        pair.client
            .connection
            .detach(link, true, None, &mut pair.client.out);
        pair.run();
    }
    assert_eq!(
        (
            pair.client.connection.link_count(),
            pair.server.connection.link_count()
        ),
        (1, 1)
    );
}

#[test]
fn what_cannot_be_begun_or_attached_is_refused_without_a_frame() {
    let mut raw = Raw::new(server());
    assert_eq!(raw.connection.begin(&mut raw.out), Err(LimitError::Closed));

    let mut raw = Raw::opened(Config {
        channel_max: 0,
        ..server()
    });
    let session = raw.connection.begin(&mut raw.out).unwrap();
    raw.written();
    assert_eq!(
        raw.connection.begin(&mut raw.out),
        Err(LimitError::Channels)
    );
    let few = amqp_codec::Begin {
        handle_max: 0,
        ..begin(Some(0))
    };
    raw.send(0, Performative::Begin(Box::new(few)));

    let mut long = named("long", Role::Sender);
    long.name = Str::copy(&"n".repeat(5000));
    let mut attach = |attach| raw.connection.attach(session, attach, &mut raw.out);
    assert_eq!(attach(long), Err(LimitError::FrameSize));
    let link = attach(named("a", Role::Sender)).unwrap();
    assert_eq!(attach(named("a", Role::Sender)), Err(LimitError::NameInUse));
    assert_eq!(attach(named("b", Role::Sender)), Err(LimitError::Handles));
    assert_eq!(raw.written().len(), 1);
    assert_eq!(raw.connection.handles(link), Some((0, None)));

    raw.connection.close(None, &mut raw.out);
    let attached = raw
        .connection
        .attach(session, named("c", Role::Sender), &mut raw.out);
    assert_eq!(attached, Err(LimitError::Closed));
}

#[test]
fn a_close_is_answered_and_says_why() {
    let (mut pair, _, other) = Pair::attached(Role::Sender);
    let reason = error("amqp:connection:forced");
    pair.client
        .connection
        .close(Some(reason.clone()), &mut pair.client.out);
    // What was said before the Close arrived is not heard any more.
    pair.server
        .connection
        .set_credit(other, 9, false, &mut pair.server.out);
    pair.run();
    assert!(matches!(
        pair.server.events.last(),
        Some(Event::Closed { error: Some(error), answer: false }) if **error == reason
    ));
    assert!(matches!(
        pair.client.events.last(),
        Some(Event::Closed { answer: true, .. })
    ));
    assert!(pair.client.connection.is_closed() && pair.server.connection.is_closed());
}

#[test]
fn the_name_of_a_link_stays_taken_until_both_have_detached() {
    let (mut raw, session, link) = Raw::attached(server(), Role::Sender);
    let detach = Detach {
        handle: 0,
        closed: true,
        error: None,
    };
    raw.send(0, Performative::Detach(detach));
    let attach = || named("link", Role::Receiver);
    let ours = raw.connection.attach(session, attach(), &mut raw.out);
    assert_eq!(ours, Err(LimitError::NameInUse), "the peer knows it yet");
    raw.connection.detach(link, true, None, &mut raw.out);
    let ours = raw.connection.attach(session, attach(), &mut raw.out);
    assert!(ours.is_ok_and(|ours| ours != link));
}

#[test]
fn a_peer_may_use_a_name_again_before_its_detach_is_answered() {
    let (mut raw, _, link) = Raw::attached(server(), Role::Sender);
    let detach = Detach {
        handle: 0,
        closed: true,
        error: None,
    };
    raw.send(0, Performative::Detach(detach));
    let again = raw.attach(0, 0, "link", Role::Sender);
    assert_ne!(again, link);
    raw.connection.detach(link, true, None, &mut raw.out);
    assert!(raw.connection.is_attached(again));
    raw.send(
        0,
        Performative::Attach(Box::new(crate::raw::attach("link", 1, Role::Sender))),
    );
    assert!(raw.error.is_some(), "one of that name is there");
}

#[test]
fn outcomes_wait_for_room() {
    let (mut raw, session, link) = Raw::attached(server(), Role::Sender);
    raw.connection.set_credit(link, 1, false, &mut raw.out);
    raw.written();
    raw.out.push_shared(vec![0; 10_000_000].into());
    assert!(raw.out.is_full());
    let state = Some(DeliveryState::Accepted);
    raw.connection
        .queue_disposition(session, Role::Receiver, 0, true, state);
    let before = raw.out.len();
    assert!(raw.connection.flush_dispositions(session, &mut raw.out));
    assert_eq!(raw.out.len(), before);
    raw.out.consume(before);
    assert!(!raw.connection.flush_dispositions(session, &mut raw.out));
    let frames = raw.written();
    assert!(
        matches!(&frames[..], [(0, Performative::Disposition(_), _)]),
        "{frames:?}"
    );
}
