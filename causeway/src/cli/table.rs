//! Tables on a terminal.
//!
//! Owns their layout – the one operators of this kind of router know: two blanks before each row,
//! columns as wide as they must be, a rule under the heads. Numbers stand to the right, so that
//! their digits line up.

use comfy_table::{CellAlignment, Table, TableComponent, presets};

/// A text of somebody else as it can be shown: characters that would move the cursor, or do worse
/// to a terminal, are written out.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            harmful if harmful.is_control() => {
                shown.push_str(&format!("\\x{:02x}", u32::from(harmful)));
            }
            character => shown.push(character),
        }
    }
    shown
}

/// Blanks between two columns.
const GAP: u16 = 2;

/// A table of text.
#[derive(Debug, Default)]
pub(super) struct Layout {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Layout {
    /// A table with these heads.
    pub(super) fn new(heads: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            heads: heads.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; it has as many cells as there are heads.
    pub(super) fn add(&mut self, row: Vec<String>) {
        assert_eq!(row.len(), self.heads.len(), "a row fits its heads");
        self.rows
            .push(row.iter().map(|cell| harmless(cell)).collect());
    }

    /// The lines; none for an empty table.
    pub(super) fn lines(&self) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_style(TableComponent::HeaderLines, '=');
        table.set_header(&self.heads).add_rows(&self.rows);
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((GAP, 0));
            if self.is_numeric(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.trim_fmt().lines().map(str::to_owned).collect()
    }

    /// Whether a column holds numbers, and nothing else.
    fn is_numeric(&self, column: usize) -> bool {
        let number = |cell: &str| cell.chars().all(|c| c.is_ascii_digit() || c == '-');
        let mut cells = self.rows.iter().map(|row| row[column].as_str());
        cells.clone().all(number) && cells.any(|cell| !cell.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut layout = Layout::new(["name", "n", "note"]);
        layout.add(vec!["a".into(), "5".into(), "é".into()]);
        layout.add(vec!["longer".into(), "12".into(), String::new()]);
        let expected = [
            "  name     n  note",
            "==================",
            "  a        5  é",
            "  longer  12",
        ];
        assert_eq!(layout.lines(), expected);
    }

    #[test]
    fn texts_of_others_do_nothing_to_the_terminal() {
        let mut layout = Layout::new(["address"]);
        layout.add(vec!["a\x1b[2J\r\nb\u{9b}1mü".into()]);
        assert_eq!(layout.lines()[2], "  a\\x1b[2J\\r\\nb\\x9b1mü");
    }

    #[test]
    fn an_empty_table_has_no_lines() {
        assert_eq!(Layout::new(["a"]).lines(), Vec::<String>::new());
    }
}
