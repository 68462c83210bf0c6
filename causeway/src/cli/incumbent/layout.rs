//! How the incumbent's tools lay a table out, and write numbers.
//!
//! Owns the two forms of a table: columns, all to the left, and comma-separated values. Scripts
//! compare this text, so blanks count.

use crate::cli::stat::sheet::{Line, Sheet};
use crate::cli::table::harmless;

/// Blanks between two columns.
const GAP: usize = 2;

/// What begins a line.
const PREFIX: &str = "  ";

/// The table with its title, a line each; an empty one has only the title.
pub(super) fn lines(sheet: &Sheet, is_csv: bool) -> Vec<String> {
    let mut lines = vec![sheet.title.clone()];
    if sheet.rows.is_empty() {
        return lines;
    }
    if is_csv {
        lines.extend(sheet.csv());
        return lines;
    }
    let texts = |row: &Line| row.cells.iter().map(|cell| harmless(cell)).collect();
    let rows: Vec<Vec<String>> = sheet.rows.iter().map(texts).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let longest = cells.map(|cell| cell.chars().count()).max();
        let head = sheet.heads.get(column).map_or(0, |head| head.len());
        longest.unwrap_or(0).max(head) + GAP
    };
    let widths: Vec<usize> = (0..sheet.heads.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = PREFIX.to_owned();
        for (place, (cell, width)) in cells.zip(&widths).enumerate() {
            line.push_str(cell);
            if place + 1 < widths.len() {
                let blanks = width - cell.chars().count();
                line.extend(std::iter::repeat_n(' ', blanks));
            }
        }
        line
    };
    lines.push(line(&mut sheet.heads.iter().copied()));
    let rule = "=".repeat(widths.iter().sum());
    lines.push(format!("{PREFIX}{rule}"));
    let rows = rows.iter();
    lines.extend(rows.map(|row| line(&mut row.iter().map(String::as_str))));
    lines
}

/// Digits in groups of three.
pub(super) fn with_commas(digits: &str) -> String {
    if !digits.chars().all(|digit| digit.is_ascii_digit()) {
        return digits.to_owned();
    }
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes with a binary unit: `249 MiB`, `1.31 MiB`.
pub(super) fn memory(bytes: u64) -> String {
    if bytes < 1024 {
        return bytes.to_string();
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64;
    let mut unit = "";
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        value /= 1024.0;
        unit = next;
        if value < 1024.0 {
            break;
        }
    }
    let decimals = match value {
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

/// Texts as a list in Python notation.
pub(super) fn list(texts: &[String]) -> String {
    let quoted = texts.iter().map(|text| match text.contains('\'') {
        true => format!("\"{text}\""),
        false => format!("'{text}'"),
    });
    format!("[{}]", quoted.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use amqp_codec::Value;
    use management::client::Table;

    use super::*;
    use crate::cli::stat::columns::Column;

    const COLUMNS: [Column; 3] = [
        ("router-id", |row| row.text("id")),
        ("hop", |row| row.text("hop")),
        ("link", |_| "0".into()),
    ];

    fn sheet(rows: &[(&str, &str)]) -> Sheet {
        let row = |(id, hop): &(&str, &str)| {
            vec![
                Value::from((*id).to_owned()),
                Value::from((*hop).to_owned()),
            ]
        };
        let table = Table {
            columns: vec!["id".into(), "hop".into()],
            rows: rows.iter().map(row).collect(),
        };
        Sheet::new("Routers", &COLUMNS, &table)
    }

    #[test]
    fn the_rule_is_as_wide_as_all_columns() {
        let lines = lines(&sheet(&[("A", "(self)"), ("longer than", "")]), false);
        let expected = [
            "Routers",
            "  router-id    hop     link",
            "  ===========================",
            "  A            (self)  0",
            "  longer than          0",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_empty_field_has_no_quotes() {
        let lines = lines(&sheet(&[("a\"b", "")]), true);
        let expected = [
            "Routers",
            "\"router-id\",\"hop\",\"link\"",
            "\"a\"\"b\",,\"0\"",
        ];
        assert_eq!(lines, expected);
        assert_eq!(super::lines(&sheet(&[]), true), ["Routers"]);
    }

    #[test]
    fn numbers_read_as_they_always_did() {
        assert_eq!(with_commas("2472"), "2,472");
        assert_eq!(with_commas("123"), "123");
        assert_eq!(with_commas("1234567"), "1,234,567");
        assert_eq!(with_commas("-"), "-");
        assert_eq!(memory(1023), "1023");
        assert_eq!(memory(261_095_424), "249 MiB");
        assert_eq!(memory(1_373_634), "1.31 MiB");
        assert_eq!(memory(50 * 1024), "50.0 KiB");
        assert_eq!(list(&["R.B".into(), "it's".into()]), "['R.B', \"it's\"]");
        assert_eq!(list(&[]), "[]");
    }
}
