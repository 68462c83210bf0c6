//! Tables on a terminal.
//!
//! Owns their layout – the one operators of this kind of router know: two blanks before each row,
//! columns as wide as they must be, a rule under the heads. Numbers stand to the right, so that their
//! digits line up.

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
        self.rows.push(row);
    }

    /// The lines; none for an empty table.
    pub(super) fn lines(&self) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let columns: Vec<(usize, bool)> = (0..self.heads.len())
            .map(|column| self.measure(column))
            .collect();
        let heads: Vec<String> = self.heads.iter().map(|&head| head.to_owned()).collect();
        let rule = columns.iter().map(|(width, _)| width + 2).sum::<usize>() - 2;
        let mut lines = vec![line(&heads, &columns), format!("  {}", "=".repeat(rule))];
        lines.extend(self.rows.iter().map(|row| line(row, &columns)));
        lines
    }

    /// The width of a column, and whether it holds numbers.
    fn measure(&self, column: usize) -> (usize, bool) {
        let cells = || self.rows.iter().map(|row| &row[column]);
        let widest = cells().map(|cell| cell.chars().count()).max().unwrap_or(0);
        let width = widest.max(self.heads[column].chars().count());
        let number = |cell: &String| cell.chars().all(|c| c.is_ascii_digit() || c == '-');
        (
            width,
            cells().all(number) && cells().any(|cell| !cell.is_empty()),
        )
    }
}

fn line(cells: &[String], columns: &[(usize, bool)]) -> String {
    let mut line = String::new();
    for (cell, (width, right)) in cells.iter().zip(columns) {
        let blank = " ".repeat(width - cell.chars().count());
        line.push_str("  ");
        if *right {
            line.push_str(&blank);
        }
        line.push_str(cell);
        if !*right {
            line.push_str(&blank);
        }
    }
    line.truncate(line.trim_end().len());
    line
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
            "  ================",
            "  a        5  é",
            "  longer  12",
        ];
        assert_eq!(layout.lines(), expected);
    }

    #[test]
    fn an_empty_table_has_no_lines() {
        assert_eq!(Layout::new(["a"]).lines(), Vec::<String>::new());
    }
}
