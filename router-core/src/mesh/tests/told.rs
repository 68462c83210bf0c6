//! What the log shows of messages.

use crate::mesh::tests::lone::{Lone, TO_B, writer_of};
use crate::notice::{Few, Said};

fn few<T>(first: Vec<T>) -> Few<T> {
    Few { first, more: 0 }
}

#[test]
fn what_is_sent_and_received_is_told_and_what_is_passed_on_is_not() {
    let mut lone = Lone::with_neighbors();
    lone.sent.clear();
    lone.pass(1000);
    lone.take();
    let told: Vec<_> = lone
        .sent
        .iter()
        .filter_map(|(_, message)| lone.engine.describe_sent(message))
        .collect();
    let seen = |ids: &[&str]| Said::Hello {
        seen: few(ids.iter().map(|&id| id.to_owned()).collect()),
    };
    assert!(told.iter().any(|text| text.said == seen(&["B", "C"])));
    assert!(told.iter().all(|text| text.id == "A"));
    let writer = writer_of("B", 100);
    let hello = writer.hello(["A"].into_iter());
    let text = lone.engine.describe_received(&hello).unwrap();
    assert_eq!(
        (&*text.id, text.instance, &text.said),
        ("B", Some(100), &seen(&["A"]))
    );
    let own = writer.link_state("A", 3, [("A", 1), ("C", 2)].into_iter());
    let peers = few(vec![("A".to_owned(), 1), ("C".to_owned(), 2)]);
    let text = lone.engine.describe_received(&own).unwrap();
    assert_eq!(text.said, Said::LinkState { sequence: 3, peers });
    assert_eq!(text.to, None);
    let others = writer.link_state("C", 3, [("A", 1)].into_iter());
    assert_eq!(lone.engine.describe_received(&others), None);
    lone.sent.clear();
    lone.hear(TO_B, &others).unwrap();
    lone.take();
    let (_, passed_on) = lone.sent.last().unwrap();
    assert_eq!(lone.engine.describe_sent(passed_on), None);
    assert_eq!(lone.engine.describe_received(b"not a message"), None);
}

#[test]
fn a_long_list_is_told_by_its_beginning_and_its_length() {
    let lone = Lone::with_neighbors();
    let ids: Vec<String> = (0..100).map(|number| format!("R{number}")).collect();
    let hello = writer_of("B", 100).hello(ids.iter().map(String::as_str));
    let Some(Said::Hello { seen }) = lone.engine.describe_received(&hello).map(|text| text.said)
    else {
        panic!("a hello");
    };
    assert_eq!((seen.first.len(), seen.more), (32, 68));
}
