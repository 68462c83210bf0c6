//! Trunks on virtual time: who is let in, and when more is dialled.

use super::*;
use crate::ids::TrunkToken;
use crate::mesh::MeshSettings;

fn peer(token: u128, container: &str) -> TrunkPeer {
    TrunkPeer {
        container: container.to_owned(),
        address: "10.0.0.1:4711".to_owned(),
        token: TrunkToken(token),
    }
}

/// A trunk of up to three connections that the neighbour has dialled.
fn accepted() -> Trunks {
    let mut trunks = Trunks::new(1);
    trunks.opened(ConnectionId(1), ShardId(0), peer(5, "B"), 3, false);
    trunks
}

#[test]
fn who_has_the_token_and_the_name_is_let_in_until_the_trunk_is_full() {
    let mut trunks = accepted();
    let mut admit = |connection, token, name| {
        trunks.admit(ConnectionId(connection), ShardId(1), &peer(token, name))
    };
    assert_eq!(admit(2, 6, "B"), Err(UNKNOWN));
    assert_eq!(admit(2, 5, "C"), Err(UNKNOWN));
    assert_eq!(admit(2, 5, "B"), Ok(ConnectionId(1)));
    assert_eq!(admit(3, 5, "B"), Ok(ConnectionId(1)));
    assert_eq!(admit(4, 5, "B"), Err(FULL));
}

#[test]
fn a_token_dies_with_the_last_connection() {
    let mut trunks = accepted();
    let admit = |trunks: &mut Trunks, connection| {
        trunks.admit(ConnectionId(connection), ShardId(1), &peer(5, "B"))
    };
    assert!(admit(&mut trunks, 2).is_ok());
    assert_eq!(trunks.left(ConnectionId(1)), Some(ConnectionId(2)));
    assert_eq!(admit(&mut trunks, 3), Ok(ConnectionId(1)), "the name stays");
    assert_eq!(trunks.left(ConnectionId(2)), Some(ConnectionId(3)));
    assert_eq!(trunks.left(ConnectionId(3)), None);
    assert_eq!(admit(&mut trunks, 4), Err(UNKNOWN));
}

#[test]
fn who_dialled_is_not_joined_and_who_was_dialled_does_not_dial() {
    let mut trunks = Trunks::new(1);
    trunks.opened(ConnectionId(1), ShardId(0), peer(5, "B"), 3, true);
    let member = trunks.admit(ConnectionId(2), ShardId(1), &peer(5, "B"));
    assert_eq!(member, Err(UNKNOWN));
    let mut trunks = accepted();
    assert!(trunks.busy(ConnectionId(1)), "it asks the other one to");
    assert_eq!(trunks.next_deadline(), None);
}

/// What the shards are told when something happens to a connection.
fn told(trunks: &mut Trunks, connection: u64, what: TrunkEvent) -> Vec<Command> {
    let mut neighbors = Neighbors::new(ShardId(2), MeshSettings::new("A", 1));
    let mut out = Outboxes::new(ShardId(2), 3);
    let news = TrunkNews {
        connection: ConnectionId(connection),
        shard: ShardId(1),
        what,
    };
    let mut connectors = Connectors::new(1);
    trunks.take(news, Some(&mut neighbors), &mut connectors, &mut out);
    let mail = out.drain().flat_map(|(_, batch)| batch.mail);
    let commands = mail.filter_map(|mail| match mail {
        Mail::Command(command) => Some(*command),
        _ => None,
    });
    commands.collect()
}

#[test]
fn who_joins_a_trunk_that_is_gone_is_closed() {
    let mut trunks = Trunks::new(1);
    trunks.opened(ConnectionId(1), ShardId(0), peer(5, "B"), 3, true);
    let joined = || TrunkEvent::Joined(ConnectionId(1));
    assert!(told(&mut trunks, 2, joined()).is_empty());
    told(&mut trunks, 1, TrunkEvent::Left);
    told(&mut trunks, 2, TrunkEvent::Left);
    let late = told(&mut trunks, 3, joined());
    assert!(matches!(
        late[..],
        [Command::Connection(
            ConnectionId(3),
            ConnectionCommand::Close
        )]
    ));
}

#[test]
fn the_host_of_an_address_is_what_stands_before_the_port() {
    assert_eq!(host("[::1]:5672"), "[::1]");
    assert_eq!(host("b"), "b");
}
