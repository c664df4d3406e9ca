//! Tables for people.

use std::fmt;

/// A table of text cells with a line of headings. The first column is aligned to the left, as are
/// columns whose heading says so; the others, which hold numbers, to the right.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    left: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings; one that ends in `<` is of a column of words.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        let left = headings.iter().enumerate().map(|(i, heading)| i == 0 || heading.ends_with('<'));
        let left = left.collect();
        let headings = headings.iter().map(|heading| heading.trim_end_matches('<')).collect();
        Self { headings, left, rows: Vec::new() }
    }

    /// Adds a row; cells beyond the headings are not shown.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            widest.max(self.headings[column].chars().count())
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        let line = |f: &mut fmt::Formatter<'_>, cells: &mut dyn Iterator<Item = &str>| {
            let mut text = String::new();
            for ((cell, width), left) in cells.zip(&widths).zip(&self.left) {
                if !text.is_empty() {
                    text.push_str("  ");
                }
                let padding = " ".repeat(width - cell.chars().count().min(*width));
                let (before, after) =
                    if *left { ("", padding.as_str()) } else { (padding.as_str(), "") };
                text.extend([before, cell, after]);
            }
            f.write_str(text.trim_end())
        };
        line(f, &mut self.headings.iter().copied())?;
        for row in &self.rows {
            f.write_str("\n")?;
            line(f, &mut row.iter().map(String::as_str))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let mut table = Table::new(&["tape", "events", "verdict<"]);
        table.row(["smc".to_owned(), "12".to_owned(), "ok".to_owned()]);
        table.row(["a long name".to_owned(), "1234567".to_owned(), "invalid".to_owned()]);
        insta::assert_snapshot!(table, @r"
        tape          events  verdict
        smc               12  ok
        a long name  1234567  invalid
        ");
    }
}
