//! The committed table of instruction counts, and the comparison with it.
//!
//! Owns `benches/instructions.toml`: reading, writing, judging. It never measures. Decision: the
//! tolerance is symmetric, since a count that fell by much is either a success worth recording or
//! a workload that stopped doing its work.

use std::collections::BTreeMap;

/// Where the table stands, relative to the workspace's folder.
pub(crate) const PATH: &str = "benches/instructions.toml";

/// By how many percent a count may differ from the table.
const TOLERANCE_PERCENT: f64 = 3.0;

/// By how many instructions a count may differ whatever that is in percent: the same source built
/// in another folder is laid out differently, which moves short workloads by as much.
const LAYOUT_INSTRUCTIONS: u64 = 10;

/// Instructions for one unit of each workload, with the compiler that made them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) compiler: String,
    pub(crate) counts: BTreeMap<String, u64>,
}

impl Table {
    /// Reads the lines `compiler = "…"` and `workload = number`; others are comments or headers.
    pub(crate) fn parse(text: &str) -> Self {
        let mut table = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let (key, value) = (key.trim(), value.trim());
            if key == "compiler" {
                table.compiler = value.trim_matches('"').to_owned();
            } else if let Ok(count) = value.replace('_', "").parse() {
                table.counts.insert(key.to_owned(), count);
            }
        }
        table
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "# Instructions for one unit of each workload of the package `benches`, counted by\n\
             # callgrind. Written by `cargo xtask instructions --write`, compared by CI.\n\
             compiler = \"{}\"\n\n[counts]\n",
            self.compiler
        );
        for (name, count) in &self.counts {
            text.push_str(&format!("{name} = {count}\n"));
        }
        text
    }

    /// One line for each workload, and whether it agrees with this table.
    pub(crate) fn compare(&self, measured: &BTreeMap<String, u64>) -> Vec<(String, bool)> {
        let mut rows = Vec::new();
        for (name, count) in measured {
            let Some(known) = self.counts.get(name) else {
                rows.push((format!("{name:<28} {count:>12}  not in {PATH}"), false));
                continue;
            };
            let percent = percent(*count, *known);
            let row = format!("{name:<28} {count:>12}  {percent:>+7.2} % of {known}");
            let close = count.abs_diff(*known) <= LAYOUT_INSTRUCTIONS;
            rows.push((row, close || percent.abs() <= TOLERANCE_PERCENT));
        }
        for name in self
            .counts
            .keys()
            .filter(|name| !measured.contains_key(*name))
        {
            rows.push((
                format!("{name:<28} is in {PATH}, but no workload has this name"),
                false,
            ));
        }
        rows
    }
}

/// How far `count` is from `known`, in percent.
fn percent(count: u64, known: u64) -> f64 {
    let difference = count.abs_diff(known) as f64 * if count < known { -1.0 } else { 1.0 };
    difference * 100.0 / (known.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(counts: &[(&str, u64)]) -> Table {
        let counts = counts
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect();
        Table {
            compiler: "1.95.0".to_owned(),
            counts,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let table = table(&[("a.b", 12), ("c", 3_000_000_000)]);
        assert_eq!(Table::parse(&table.text()), table);
    }

    #[test]
    fn only_counts_within_the_tolerance_pass() {
        let known = table(&[("a", 1000), ("b", 1000), ("c", 1000), ("gone", 1)]);
        let measured = table(&[("a", 1030), ("b", 1031), ("c", 969), ("new", 5)]).counts;
        let passed: Vec<_> = known
            .compare(&measured)
            .into_iter()
            .map(|row| row.1)
            .collect();
        assert_eq!(passed, [true, false, false, false, false]);
    }

    #[test]
    fn short_workloads_may_move_by_a_few_instructions() {
        let known = table(&[("a", 100), ("b", 100)]);
        let rows = known.compare(&table(&[("a", 90), ("b", 111)]).counts);
        let passed: Vec<_> = rows.into_iter().map(|row| row.1).collect();
        assert_eq!(passed, [true, false]);
    }
}
