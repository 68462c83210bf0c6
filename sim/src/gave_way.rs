//! What may have had to give way to others on a full connection between routers.

use amqp_proto::Time;
use router_core::limits;

use crate::books::{Books, LinkBook, MessageBook};
use crate::rests::may_give_way;

impl Books {
    /// A consumer gets something.
    pub(crate) fn took(&mut self, link: usize, now: Time) {
        let rests = &mut self.links[link].rests;
        rests.end(now);
        rests.begin(now);
    }

    /// Whether a message may have had to give way to others on a full connection between routers:
    /// it has waited for as long as one must have that is cut or called back, and meanwhile a
    /// consumer of its address got nothing for as long.
    pub(crate) fn gave_way(&self, message: &MessageBook) -> bool {
        self.map.ids.len() > 1 && self.rested(message)
    }

    /// Whether a large message for all may have had to give way to another in the lane of one of
    /// its consumers: the same holds, and it is more than may be taken before it leaves.
    pub(crate) fn crossed(&self, message: &MessageBook) -> bool {
        let is_large = message.bytes.len() as u64 > limits::STREAM_WINDOW;
        is_large && self.rested(message)
    }

    fn rested(&self, message: &MessageBook) -> bool {
        let (begun, told) = (message.begun, message.heard.at.unwrap_or(message.begun));
        let rested = |link: &LinkBook| {
            let is_its = !link.sends && link.address == message.address;
            let until = link.ended.map_or(told, |ended| ended.min(told));
            is_its && link.rests.was_long(begun, until)
        };
        let waited = told.saturating_sub(begun) + self.ahead;
        may_give_way(waited) && self.links.iter().any(rested)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::tests::{line, send};

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    /// Whether a message that was sent in second 20 may have had to give way in a later one.
    fn gave_way(books: &mut Books, told: u64) -> bool {
        send(books, at(20));
        let mut message = books.messages.pop().unwrap();
        message.heard.at = Some(at(told));
        books.gave_way(&message)
    }

    #[test]
    fn what_waits_gives_way_only_where_a_consumer_gets_nothing_meanwhile() {
        let mut books = line();
        assert!(gave_way(&mut books, 35), "nobody got anything");
        assert!(!gave_way(&mut books, 29), "it has not waited");
        for second in (0..60).step_by(6) {
            books.took(1, at(second));
            books.took(2, at(second));
        }
        assert!(!gave_way(&mut books, 35), "consumers were merely slow");
        books.took(2, at(70));
        assert!(!gave_way(&mut books, 35), "that was later");
        assert!(gave_way(&mut books, 65));
        assert!(gave_way(&mut books, 75));
    }
}
