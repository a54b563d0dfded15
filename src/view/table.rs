//! Rows of cells, aligned; a cell may have a colour, which takes no room.

use anstyle::Style;

use super::clean::one_line;

/// One cell.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text in a colour.
    pub(super) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: one_line(&text.into()),
            style,
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::new())
    }
}

/// One line for each row, indented by two, each column as wide as its widest cell.
pub(super) fn lines(rows: &[Vec<Cell>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<_> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(width)
                .max()
                .unwrap_or(0)
        })
        .collect();
    rows.iter()
        .map(|row| {
            let cells: Vec<_> = row
                .iter()
                .zip(&widths)
                .map(|(cell, widest)| {
                    let Cell { text, style } = cell;
                    let room = " ".repeat(widest - width(cell));
                    format!("{style}{text}{style:#}{room}")
                })
                .collect();
            format!("  {}", cells.join("  ")).trim_end().to_owned()
        })
        .collect()
}

fn width(cell: &Cell) -> usize {
    cell.text.chars().count()
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    #[test]
    fn a_cell_is_of_one_line_and_moves_nothing() {
        assert_eq!(lines(&[vec![Cell::from("a\n\x1b[2Jb")]]), ["  a ^[[2Jb"]);
    }

    #[test]
    fn columns_are_aligned_whatever_their_colour() {
        let red = AnsiColor::Red.on_default();
        let rows = [
            vec![Cell::from("A"), Cell::from("B"), Cell::from("C")],
            vec![Cell::styled("länger", red), Cell::from(""), Cell::from("c")],
        ];
        let plain: Vec<_> = lines(&rows)
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect();
        assert_eq!(plain, ["  A       B  C", "  länger     c"]);
    }
}
