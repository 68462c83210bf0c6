//! One page of `causeway top`: rates from two samples, sorted, filtered and laid out.
//!
//! Owns what is chosen on the keyboard and what follows from it; it asks nobody and reads no clock.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use amqp_proto::Time;

use super::view::{Column, Figure, Part, Sample, View};
use crate::cli::quantity::three_digits;
use crate::cli::stat::sheet::matches;
use crate::cli::table::harmless;

/// Keys, in a line that fits 80 columns.
const HELP: &str =
    "c conns  l links  a addrs  r routers  s sort  o order  / filter  p pause  q quit";

/// Characters of a filter.
const FILTER_MAX: usize = 60;

/// What is shown, and how.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) view: View,
    sort: usize,
    is_up: bool,
    filter: String,
    /// A filter that is being typed.
    typing: Option<String>,
    pub(super) is_paused: bool,
    /// The counters of each part, and when they were taken.
    before: BTreeMap<String, (Time, Vec<u64>)>,
    lines: Vec<Line>,
}

/// An entity with its rates; none: there was nothing to compare with.
#[derive(Debug)]
struct Line {
    sample: Sample,
    rates: Vec<Option<f64>>,
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    Quit,
}

impl Page {
    pub(super) fn new(view: View) -> Self {
        let mut page = Self {
            view,
            sort: 0,
            is_up: false,
            filter: String::new(),
            typing: None,
            is_paused: false,
            before: BTreeMap::new(),
            lines: Vec::new(),
        };
        page.turn(view);
        page
    }

    /// Shows only what has this in one of its texts.
    pub(super) fn filter(&mut self, filter: &str) {
        filter.clone_into(&mut self.filter);
    }

    /// Sorts by the column of that head; after a `-` from the greatest down. The error names what
    /// columns there are.
    pub(super) fn sort(&mut self, by: &str) -> Result<(), String> {
        let (head, is_up) = match by.strip_prefix('-') {
            Some(head) => (head, false),
            None => (by, true),
        };
        let columns = self.view.columns();
        let place = columns.iter().position(|(known, _, _)| *known == head);
        let heads = || {
            columns
                .iter()
                .map(|(head, _, _)| *head)
                .collect::<Vec<_>>()
                .join(", ")
        };
        self.sort = place.ok_or_else(heads)?;
        self.is_up = is_up;
        Ok(())
    }

    /// Shows another view, the fastest first.
    fn turn(&mut self, view: View) {
        self.view = view;
        let is_rate = |(_, _, figure): &Column| matches!(figure, Figure::Rate(_));
        self.sort = view.columns().iter().position(is_rate).unwrap_or(0);
        self.is_up = false;
        self.before.clear();
        self.lines.clear();
    }

    /// Takes a round of samples.
    pub(super) fn take(&mut self, samples: Vec<Sample>) {
        let mut counted = BTreeMap::new();
        for sample in &samples {
            // Who is silent goes on where it was.
            if sample.parts.is_empty()
                && let Some(last) = self.before.remove(&sample.key)
            {
                counted.insert(sample.key.clone(), last);
            }
            let parts = sample.parts.iter();
            counted
                .extend(parts.map(|part| (part.key.clone(), (sample.at, part.counters.clone()))));
        }
        let lines = samples.into_iter().map(|sample| {
            let places = sample.parts.iter().map(|part| part.counters.len()).max();
            let rates = (0..places.unwrap_or(0))
                .map(|place| self.rate(&sample, place))
                .collect();
            Line { sample, rates }
        });
        self.lines = lines.collect();
        self.before = counted;
    }

    /// How fast a counter grows in all parts that have been there before; what is new has grown for
    /// nobody knows how long.
    fn rate(&self, sample: &Sample, place: usize) -> Option<f64> {
        let of_part = |part: &Part| {
            let (at, counters) = self.before.get(&part.key)?;
            let seconds = sample.at.saturating_sub(*at).as_secs_f64();
            let counter = part.counters.get(place)?;
            #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
            let grown = counter.saturating_sub(*counters.get(place)?) as f64;
            (seconds > 0.0).then_some(grown / seconds)
        };
        sample
            .parts
            .iter()
            .filter_map(of_part)
            .reduce(|sum, rate| sum + rate)
    }

    /// Does what a key asks for.
    pub(super) fn press(&mut self, key: char) -> Wish {
        if let Some(mut typed) = self.typing.take() {
            match key {
                '\r' | '\n' => self.filter = typed,
                '\x1b' => {}
                '\x08' | '\x7f' => {
                    typed.pop();
                    self.typing = Some(typed);
                }
                key => {
                    if !key.is_control() && typed.len() < FILTER_MAX {
                        typed.push(key);
                    }
                    self.typing = Some(typed);
                }
            }
            return Wish::Nothing;
        }
        match key {
            'q' | '\x04' => return Wish::Quit,
            'c' => self.turn(View::Connections),
            'l' => self.turn(View::Links),
            'a' => self.turn(View::Addresses),
            'r' => self.turn(View::Routers),
            's' => self.sort = (self.sort + 1) % self.view.columns().len().max(1),
            'o' => self.is_up = !self.is_up,
            'p' | ' ' => self.is_paused = !self.is_paused,
            '/' => self.typing = Some(String::new()),
            _ => {}
        }
        Wish::Nothing
    }

    /// The last line: what is being typed, or what can be pressed.
    pub(super) fn foot(&self) -> String {
        match &self.typing {
            Some(typed) => format!("filter: {typed}"),
            None => HELP.to_owned(),
        }
    }

    /// The lines, at most so many.
    pub(super) fn lines(&self, of: &str, room: usize) -> Vec<String> {
        let columns = self.view.columns();
        let mut headline = format!("{of}: {}", self.view.name());
        let sort = columns.get(self.sort).map_or("", |(head, _, _)| head);
        let order = if self.is_up { "up" } else { "down" };
        headline += &format!(", by {sort} {order}");
        if !self.filter.is_empty() {
            headline += &format!(", only {}", self.filter);
        }
        if self.is_paused {
            headline += ", paused";
        }
        let mut shown: Vec<&Line> = self.lines.iter().filter(|line| self.has(line)).collect();
        shown.sort_by(|one, other| {
            let order = self.compare(one, other);
            let order = if self.is_up { order } else { order.reverse() };
            order.then_with(|| as_numbers(&one.sample.key, &other.sample.key))
        });
        let heads = columns
            .iter()
            .map(|(head, width, figure)| padded(head, *width, matches!(figure, Figure::Text(_))));
        let mut lines = vec![
            headline,
            heads.collect::<Vec<_>>().join(" ").trim_end().to_owned(),
        ];
        let rows = shown.into_iter().map(|line| {
            let cells = columns.iter().map(|(_, width, figure)| {
                padded(
                    &line.cell(*figure),
                    *width,
                    matches!(figure, Figure::Text(_)),
                )
            });
            cells.collect::<Vec<_>>().join(" ").trim_end().to_owned()
        });
        lines.extend(rows);
        lines.truncate(room);
        lines
    }

    fn has(&self, line: &Line) -> bool {
        let is_pattern = self.filter.contains(['*', '?']);
        let fits = |text: &String| match is_pattern {
            true => matches(&self.filter, text),
            false => text.contains(&self.filter),
        };
        line.sample.texts.iter().any(fits)
    }

    fn compare(&self, one: &Line, other: &Line) -> Ordering {
        let Some((_, _, figure)) = self.view.columns().get(self.sort) else {
            return Ordering::Equal;
        };
        match figure {
            Figure::Text(_) => {
                let (one, other) = (one.cell(*figure), other.cell(*figure));
                as_numbers(&one, &other)
            }
            Figure::Rate(place) => {
                let rate = |line: &Line| line.rates.get(*place).copied().flatten();
                rate(one)
                    .unwrap_or(-1.0)
                    .total_cmp(&rate(other).unwrap_or(-1.0))
            }
            Figure::Gauge(place) => one
                .sample
                .gauges
                .get(*place)
                .cmp(&other.sample.gauges.get(*place)),
        }
    }
}

impl Line {
    fn cell(&self, figure: Figure) -> String {
        let text = match figure {
            Figure::Text(place) => self.sample.texts.get(place).cloned(),
            Figure::Rate(place) => {
                let rate = self.rates.get(place).copied().flatten();
                rate.map(three_digits)
            }
            Figure::Gauge(place) => self.sample.gauges.get(place).map(u64::to_string),
        };
        text.unwrap_or_else(|| "-".to_owned())
    }
}

/// Identities are numbers.
fn as_numbers(one: &str, other: &str) -> Ordering {
    match (one.parse::<u64>(), other.parse::<u64>()) {
        (Ok(one), Ok(other)) => one.cmp(&other),
        _ => one.cmp(other),
    }
}

/// A text in exactly so many columns.
fn padded(text: &str, width: usize, is_left: bool) -> String {
    let text = harmless(text);
    let count = text.chars().count();
    if count > width {
        let kept: String = text.chars().take(width.saturating_sub(1)).collect();
        return format!("{kept}…");
    }
    match is_left {
        true => format!("{text:<width$}"),
        false => format!("{text:>width$}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sample(address: &str, ingress: u64) -> Sample {
        Sample {
            key: format!("M0{address}"),
            at: Time::ZERO,
            texts: vec![address.to_owned(), "0".to_owned()],
            parts: vec![Part {
                key: format!("M0{address}"),
                counters: vec![ingress, 0, 0],
            }],
            gauges: vec![1, 0],
        }
    }

    fn take(page: &mut Page, samples: Vec<Sample>, at: Time) {
        page.take(
            samples
                .into_iter()
                .map(|sample| Sample { at, ..sample })
                .collect(),
        );
    }

    /// The rate in that line.
    fn rate(page: &Page, line: usize) -> String {
        let line = &page.lines("here", 80)[line + 2];
        line.split_whitespace().nth(2).unwrap().to_owned()
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn names(page: &Page) -> Vec<String> {
        let lines = page.lines("here", 80);
        let names = lines
            .iter()
            .skip(2)
            .map(|line| line.split(' ').next().unwrap().to_owned());
        names.collect()
    }

    #[test]
    fn rates_come_from_two_rounds() {
        let mut page = Page::new(View::Addresses);
        take(
            &mut page,
            vec![sample("slow", 1000), sample("fast", 0)],
            at(1),
        );
        assert!(
            page.lines("here", 9)[2].contains(" - "),
            "{:?}",
            page.lines("here", 9)
        );
        take(
            &mut page,
            vec![sample("slow", 1002), sample("fast", 500), sample("new", 4)],
            at(3),
        );
        let lines = page.lines("here", 9);
        assert_eq!(lines[0], "here: addresses, by in/s down");
        let cells: Vec<&str> = lines[2].split_whitespace().collect();
        assert_eq!(cells, ["fast", "0", "250", "0", "0", "1", "0"]);
        // What is new may have grown for long: it has no rate yet.
        assert_eq!(names(&page), ["fast", "slow", "new"]);
        assert_eq!(rate(&page, 2), "-");
        // A counter that began again is not as fast as that.
        take(&mut page, vec![sample("slow", 0)], at(4));
        assert_eq!(
            page.lines("here", 9)[2].split_whitespace().nth(2),
            Some("0")
        );
        assert_eq!(page.lines("here", 2).len(), 2);
    }

    #[test]
    fn who_was_silent_has_the_rate_of_the_whole_time() {
        let mut page = Page::new(View::Addresses);
        take(&mut page, vec![sample("a", 1000)], at(1));
        let silent = Sample {
            parts: Vec::new(),
            ..sample("a", 0)
        };
        take(&mut page, vec![silent], at(2));
        assert_eq!(rate(&page, 0), "-");
        take(&mut page, vec![sample("a", 1030)], at(4));
        assert_eq!(rate(&page, 0), "10");
    }

    #[test]
    fn links_that_come_and_go_are_not_traffic() {
        let part = |key: &str, count| Part {
            key: key.to_owned(),
            counters: vec![count, 0, 0],
        };
        let with = |parts| Sample {
            parts,
            ..sample("c", 0)
        };
        let mut page = Page::new(View::Addresses);
        let both = || vec![with(vec![part("1", 5_000_000), part("2", 10)])];
        take(&mut page, both(), at(1));
        // The busy one goes: what it carried before is not taken off, nor added when it is back.
        take(&mut page, vec![with(vec![part("2", 30)])], at(2));
        assert_eq!(rate(&page, 0), "20");
        take(&mut page, both(), at(3));
        assert_eq!(rate(&page, 0), "0");
    }

    #[test]
    fn keys_change_what_is_shown() {
        let mut page = Page::new(View::Addresses);
        let samples = || {
            vec![
                sample("orders.new", 9),
                sample("orders.old", 1),
                sample("x", 5),
            ]
        };
        take(&mut page, samples(), at(1));
        take(&mut page, samples(), at(2));
        let press = |page: &mut Page, keys: &str| {
            for key in keys.chars() {
                assert_eq!(page.press(key), Wish::Nothing);
            }
        };
        press(&mut page, "/ordxe");
        assert_eq!(page.foot(), "filter: ordxe");
        press(&mut page, "\x7f\x7f\n");
        assert_eq!(names(&page), ["orders.new", "orders.old"]);
        press(&mut page, "/*old\n");
        assert_eq!(names(&page), ["orders.old"]);
        press(&mut page, "/q\x1bp");
        assert!(page.is_paused);
        assert_eq!(page.foot(), HELP);
        assert_eq!(
            page.lines("here", 1),
            ["here: addresses, by in/s down, only *old, paused"]
        );
        press(&mut page, "so");
        assert!(page.lines("here", 1)[0].contains("by out/s up"));
        press(&mut page, "l");
        assert_eq!((page.view, names(&page).len()), (View::Links, 0));
        assert_eq!(page.press('q'), Wish::Quit);
    }

    #[test]
    fn a_column_is_sorted_by_when_asked_for() {
        let mut page = Page::new(View::Addresses);
        take(&mut page, vec![sample("b", 0), sample("a", 0)], at(1));
        page.sort("address").unwrap();
        assert_eq!(names(&page), ["a", "b"]);
        page.sort("-address").unwrap();
        assert_eq!(names(&page), ["b", "a"]);
        assert!(page.sort("colour").unwrap_err().contains("thru/s"));
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(padded("abcdef", 4, true), "abc…");
        assert_eq!(padded("ab", 4, false), "  ab");
    }
}
