//! Messages that come and go, as far as they are to be shown.

use amqp_codec::message::describe_message;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use router_core::ids::Direction;
use router_core::notice::MessageText;

use crate::log::sink::TEXT_MAX;

/// Room for the end of a message that is not shown to its end: its last character, quotes, and what
/// says so.
const CUT: usize = "\\e9\"...}".len();

/// A message in the words that scripts look for.
pub(super) fn say_of_message(message: &MessageText) -> String {
    say(message, &TimeZone::system())
}

fn say(message: &MessageText, zone: &TimeZone) -> String {
    let MessageText {
        connection,
        direction,
        link,
        ..
    } = message;
    let done = match direction {
        Direction::In => "Received",
        Direction::Out => "Sent",
    };
    let before = format!("[C{connection}]: {done} ");
    let behind = format!(
        " on link '{}' ({} -> {})",
        link.name, link.source, link.target
    );
    let room = TEXT_MAX.saturating_sub(before.len() + behind.len() + CUT);
    let what = match message.aborted {
        true => "aborted message".to_owned(),
        false => describe_message(
            message.parts,
            &message.properties,
            &message.application_properties,
            room,
            &|millis| local(millis, zone),
        ),
    };
    before + &what + &behind
}

/// Milliseconds since 1970 as a local time; as a number where a calendar ends.
fn local(millis: i64, zone: &TimeZone) -> String {
    let Ok(time) = Timestamp::from_millisecond(millis) else {
        return millis.to_string();
    };
    let zoned = Zoned::new(time, zone.clone());
    strtime::format("%Y-%m-%d %H:%M:%S.%3f %z", &zoned).unwrap_or_else(|_| millis.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use amqp_codec::message::{Depth, MessageBuilder, MessageParts, Properties, gather, scan};
    use bytes::Bytes;
    use router_core::ids::ConnectionId;
    use router_core::notice::LinkText;

    use super::*;

    fn message(properties: Properties) -> MessageText {
        let chunks = [MessageBuilder::new().properties(properties).build()];
        let range = scan(&chunks, Depth::Properties)
            .unwrap()
            .properties
            .unwrap();
        MessageText {
            connection: ConnectionId(3),
            direction: Direction::Out,
            link: Arc::new(LinkText {
                name: "sub-1".to_owned(),
                source: "orders".to_owned(),
                target: String::new(),
            }),
            parts: MessageParts::ALL,
            properties: gather(&chunks, &range),
            application_properties: Bytes::new(),
            aborted: false,
        }
    }

    #[test]
    fn a_row_says_which_way_a_message_went_and_by_which_link() {
        let properties = Properties {
            subject: Some("news".into()),
            creation_time: Some(amqp_codec::Timestamp(100_500)),
            absolute_expiry_time: Some(amqp_codec::Timestamp(i64::MAX)),
            ..Properties::default()
        };
        let mut sent = message(properties);
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(
            say(&sent, &zone),
            "[C3]: Sent Message{subject=\"news\", absolute-expiry-time=\"9223372036854775807\", \
             creation-time=\"1970-01-01 02:01:40.500 +0200\"} on link 'sub-1' (orders -> )"
        );
        sent.direction = Direction::In;
        sent.aborted = true;
        assert_eq!(
            say_of_message(&sent),
            "[C3]: Received aborted message on link 'sub-1' (orders -> )"
        );
    }

    #[test]
    fn a_row_is_no_longer_than_a_row_of_the_log_and_ends_with_its_link() {
        let properties = Properties {
            subject: Some("s".repeat(100_000).into()),
            ..Properties::default()
        };
        let mut message = message(properties);
        let row = say_of_message(&message);
        assert!(
            row.ends_with("sss\"...} on link 'sub-1' (orders -> )"),
            "{row}"
        );
        assert!(
            (TEXT_MAX - 20..=TEXT_MAX).contains(&row.len()),
            "{}",
            row.len()
        );
        let name = "n".repeat(512);
        message.link = Arc::new(LinkText {
            name: name.clone(),
            source: name.clone(),
            target: name.clone(),
        });
        let row = say_of_message(&message);
        assert!(
            row.contains("sss\"...} on link 'nnn") && row.ends_with("nnn)"),
            "{row}"
        );
        assert!(row.len() <= TEXT_MAX);
    }
}
