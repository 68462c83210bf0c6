//! A table of text: what is chosen of it, in which order, and how it is printed.
//!
//! Owns choosing and printing; it does not know what the columns mean.

use std::cmp::Ordering;

use management::client::Table;

use crate::cli::failure::Failure;
use crate::cli::manager::plain;
use crate::cli::stat::cells::Row;
use crate::cli::stat::columns::Column;
use crate::cli::table::{Layout, harmless};

/// A table of text; each row knows which entity it shows.
#[derive(Debug, Default)]
pub(in crate::cli) struct Sheet {
    pub(in crate::cli) title: String,
    pub(in crate::cli) heads: Vec<&'static str>,
    pub(in crate::cli) rows: Vec<Line>,
}

/// A row of it.
#[derive(Debug)]
pub(in crate::cli) struct Line {
    pub(in crate::cli) cells: Vec<String>,
    /// The place of the entity in its table.
    pub(super) entity: usize,
}

/// A condition: `COLUMN=PATTERN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Filter {
    column: String,
    pattern: String,
}

impl std::str::FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (column, pattern) = text
            .split_once('=')
            .ok_or("expected COLUMN=PATTERN, such as addr=orders*")?;
        Ok(Self {
            column: column.to_owned(),
            pattern: pattern.to_owned(),
        })
    }
}

/// What is chosen, and in which order.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Choice {
    pub(in crate::cli) filters: Vec<Filter>,
    /// A column; after a `-` from the greatest down.
    pub(in crate::cli) sort: Option<String>,
    pub(in crate::cli) limit: Option<usize>,
}

impl Choice {
    /// How many rows are worth asking for.
    pub(super) fn rows_to_ask(&self) -> Option<usize> {
        match self.filters.is_empty() && self.sort.is_none() {
            true => self.limit,
            false => None,
        }
    }
}

impl Sheet {
    /// The entities of a table in these columns.
    pub(in crate::cli) fn new<'a>(
        title: &str,
        columns: impl IntoIterator<Item = &'a Column>,
        table: &Table,
    ) -> Self {
        let columns: Vec<&Column> = columns.into_iter().collect();
        let rows = Row::all(table).enumerate().map(|(entity, row)| Line {
            cells: columns.iter().map(|(_, cell)| cell(&row)).collect(),
            entity,
        });
        Self {
            title: title.to_owned(),
            rows: rows.collect(),
            heads: columns.iter().map(|(head, _)| *head).collect(),
        }
    }

    /// A table that rows are added to.
    pub(in crate::cli) fn empty(title: &str, heads: &[&'static str]) -> Self {
        Self {
            title: title.to_owned(),
            heads: heads.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row that is of no entity in particular.
    pub(in crate::cli) fn add(&mut self, cells: Vec<String>) {
        self.rows.push(Line { cells, entity: 0 });
    }

    /// The attributes of an entity as lines instead of columns.
    pub(super) fn upright(title: &str, columns: &[Column], table: &Table) -> Self {
        let lines = Row::all(table).enumerate().flat_map(|(entity, row)| {
            columns.iter().map(move |(head, cell)| Line {
                cells: vec![(*head).to_owned(), cell(&row)],
                entity,
            })
        });
        Self {
            title: title.to_owned(),
            rows: lines.collect(),
            heads: vec!["attribute", "value"],
        }
    }

    /// Sorts by the column of that head, as text.
    pub(in crate::cli) fn sort_by_text(&mut self, head: &str) {
        if let Some(place) = self.heads.iter().position(|known| *known == head) {
            self.rows
                .sort_by(|one, other| one.cells.get(place).cmp(&other.cells.get(place)));
        }
    }

    /// Leaves what is chosen, in the order that is wanted. A column is named by its head, or by the
    /// attribute where the table has one of that name.
    ///
    /// # Errors
    /// If there is no such column.
    pub(super) fn choose(&mut self, choice: &Choice, table: &Table) -> Result<(), Failure> {
        for filter in &choice.filters {
            let column = self.column(&filter.column, table)?;
            self.rows
                .retain(|line| matches(&filter.pattern, &column.text(line, table)));
        }
        if let Some(sort) = &choice.sort {
            let (name, is_down) = match sort.strip_prefix('-') {
                Some(name) => (name, true),
                None => (sort.as_str(), false),
            };
            let column = self.column(name, table)?;
            self.rows.sort_by(|one, other| {
                let order = compare(&column.text(one, table), &column.text(other, table));
                if is_down { order.reverse() } else { order }
            });
        }
        self.rows.truncate(choice.limit.unwrap_or(usize::MAX));
        Ok(())
    }

    /// Whether it has the column of a filter.
    pub(super) fn has(&self, filter: &Filter, table: &Table) -> bool {
        self.knows(&filter.column, table)
    }

    /// Whether it has the column to sort by.
    pub(super) fn sorts(&self, sort: &str, table: &Table) -> bool {
        self.knows(sort.strip_prefix('-').unwrap_or(sort), table)
    }

    fn knows(&self, name: &str, table: &Table) -> bool {
        let mut heads = self.heads.iter();
        heads.any(|head| head.eq_ignore_ascii_case(name)) || table.column(name).is_some()
    }

    /// Puts a column in front that says the same in each row.
    pub(super) fn begin_with(&mut self, head: &'static str, text: &str) {
        self.heads.insert(0, head);
        for line in &mut self.rows {
            line.cells.insert(0, text.to_owned());
        }
    }

    /// Adds the rows of another table of its kind. Some columns are only there where a row fills
    /// them, so a column is found by its head.
    pub(super) fn join(&mut self, other: Self) {
        let mut places: Vec<usize> = Vec::new();
        for head in other.heads {
            let mut known = self.heads.iter().enumerate();
            let known = known.find(|(place, known)| **known == head && !places.contains(place));
            let place = known.map(|(place, _)| place);
            places.push(place.unwrap_or(self.heads.len()));
            if place.is_none() {
                self.heads.push(head);
            }
        }
        for line in &mut self.rows {
            line.cells.resize(self.heads.len(), String::new());
        }
        for line in other.rows {
            let mut cells = vec![String::new(); self.heads.len()];
            for (place, text) in places.iter().zip(line.cells) {
                if let Some(cell) = cells.get_mut(*place) {
                    *cell = text;
                }
            }
            self.rows.push(Line { cells, ..line });
        }
    }

    fn column(&self, name: &str, table: &Table) -> Result<Place, Failure> {
        let by_head = |known: &&str| known.eq_ignore_ascii_case(name);
        if let Some(place) = self.heads.iter().position(by_head) {
            return Ok(Place::Cell(place));
        }
        match table.column(name) {
            Some(place) => Ok(Place::Attribute(place)),
            // Nobody knows the attributes of what is not there.
            None if table.columns.is_empty() => Ok(Place::Cell(usize::MAX)),
            None => {
                let text = format!("there is no column `{name}` in {}", self.title);
                let heads = self.heads.join(", ");
                Err(Failure::new(text).hint(format!(
                    "its columns are {heads}; the names of attributes, as --json prints them, will \
                     do too"
                )))
            }
        }
    }

    /// The places of the entities that are left, each once.
    pub(super) fn entities(&self) -> Vec<usize> {
        let mut places: Vec<usize> = Vec::new();
        for line in &self.rows {
            if places.last() != Some(&line.entity) {
                places.push(line.entity);
            }
        }
        places
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut layout = Layout::new(self.heads.iter().copied());
        for line in &self.rows {
            layout.add(line.cells.clone());
        }
        let mut lines = layout.lines();
        if lines.is_empty() {
            lines.push("  none".into());
        }
        format!("{}\n{}", self.title, lines.join("\n"))
    }

    /// Heads and rows, each field in quotes unless it is empty.
    pub(in crate::cli) fn csv(&self) -> Vec<String> {
        let line = |fields: &mut dyn Iterator<Item = &str>| {
            let fields: Vec<String> = fields.map(quoted).collect();
            fields.join(",")
        };
        let heads = line(&mut self.heads.iter().copied());
        let rows = self
            .rows
            .iter()
            .map(|row| line(&mut row.cells.iter().map(String::as_str)));
        std::iter::once(heads).chain(rows).collect()
    }
}

/// Where the text of a column is.
#[derive(Clone, Copy)]
enum Place {
    Cell(usize),
    Attribute(usize),
}

impl Place {
    fn text(self, line: &Line, table: &Table) -> String {
        let text = match self {
            Self::Cell(place) => line.cells.get(place).cloned(),
            Self::Attribute(place) => {
                let row = table.rows.get(line.entity);
                row.and_then(|row| row.get(place)).map(plain)
            }
        };
        text.unwrap_or_default()
    }
}

fn quoted(field: &str) -> String {
    match field.is_empty() {
        true => String::new(),
        false => format!("\"{}\"", harmless(field).replace('"', "\"\"")),
    }
}

/// Numbers by their value, before all that is none.
fn compare(one: &str, other: &str) -> Ordering {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one.total_cmp(&other),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => one.cmp(other),
    }
}

/// Whether a text is what a pattern says: `*` is any text, `?` any character.
pub(in crate::cli) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut read) = (0, 0);
    // Where to go on if the rest does not fit: behind the last `*`, one character later.
    let mut again: Option<(usize, usize)> = None;
    while let Some(character) = text.get(read) {
        match pattern.get(at) {
            Some('*') => {
                again = Some((at + 1, read));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == character => {
                at += 1;
                read += 1;
            }
            _ => match again {
                Some((behind, from)) => {
                    again = Some((behind, from + 1));
                    at = behind;
                    read = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|left| *left == '*')
}

#[cfg(test)]
mod tests {
    use amqp_codec::Value;

    use super::*;

    const COLUMNS: [Column; 2] = [
        ("n", |row| row.text("count")),
        ("who", |row| row.text("id")),
    ];

    fn table() -> Table {
        let row = |count: u32, id: &str| {
            vec![Value::Uint(count), id.to_owned().into(), Value::Bool(true)]
        };
        Table {
            columns: vec!["count".into(), "id".into(), "up".into()],
            rows: vec![row(9, "b\"c"), row(10, "a"), row(1, "ab")],
        }
    }

    fn chosen(choice: &Choice) -> Result<Vec<String>, Failure> {
        let mut sheet = Sheet::new("Things", &COLUMNS, &table());
        sheet.choose(choice, &table())?;
        Ok(sheet.csv())
    }

    fn choice(filters: &[&str], sort: Option<&str>, limit: Option<usize>) -> Choice {
        Choice {
            filters: filters.iter().map(|text| text.parse().unwrap()).collect(),
            sort: sort.map(str::to_owned),
            limit,
        }
    }

    #[test]
    fn numbers_sort_as_numbers_and_text_as_text() {
        let sorted = chosen(&choice(&[], Some("-n"), Some(2))).unwrap();
        assert_eq!(
            sorted,
            ["\"n\",\"who\"", "\"10\",\"a\"", "\"9\",\"b\"\"c\""]
        );
        let sorted = chosen(&choice(&[], Some("who"), None)).unwrap();
        assert_eq!(sorted[1..3], ["\"10\",\"a\"", "\"1\",\"ab\""]);
    }

    #[test]
    fn tables_of_one_kind_are_joined_by_their_heads() {
        let mut one = Sheet::empty("Things", &["n", "n", "who"]);
        one.add(vec!["1".into(), "2".into(), "a".into()]);
        one.begin_with("router", "A");
        let mut other = Sheet::empty("Things", &["n", "more", "n", "who"]);
        other.add(vec!["3".into(), "x".into(), "4".into(), "b".into()]);
        other.begin_with("router", "B");
        one.join(other);
        let expected = [
            r#""router","n","n","who","more""#,
            r#""A","1","2","a","#,
            r#""B","3","4","b","x""#,
        ];
        assert_eq!(one.csv(), expected);
    }

    #[test]
    fn filters_name_columns_or_attributes() {
        let left = chosen(&choice(&["who=a*", "count=1?"], None, None)).unwrap();
        assert_eq!(left[1..], ["\"10\",\"a\""]);
        assert_eq!(chosen(&choice(&["up=true"], None, None)).unwrap().len(), 4);
        let unknown = chosen(&choice(&["nobody=x"], None, None)).unwrap_err();
        assert!(unknown.to_string().contains("no column `nobody` in Things"));
        assert!("nothing".parse::<Filter>().is_err());
    }

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("*.a.*", "x.a.a.y", true),
            ("?", "ä", true),
            ("?", "", false),
            ("a", "ab", false),
            ("*a*b", "aXbXaXb", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
