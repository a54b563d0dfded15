//! Tables of what was found, for a terminal and as Markdown.

/// A table: rows of cells, of which the first is its head.
pub(super) type Table = Vec<Vec<String>>;

/// A table with this head.
pub(super) fn headed<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Table {
    let head = head.map(str::to_owned).to_vec();
    std::iter::once(head).chain(rows).collect()
}

/// What stands where there is nothing to tell.
pub(super) fn none() -> String {
    "–".to_owned()
}

/// Whether something is as it must be.
pub(super) fn yes(is: bool) -> String {
    if is { "yes" } else { "NO" }.to_owned()
}

/// A table as Markdown.
pub(super) fn markdown(table: &[Vec<String>]) -> String {
    let row = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let Some((head, rows)) = table.split_first() else {
        return String::new();
    };
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let rows: String = rows.iter().map(|cells| row(cells)).collect();
    [row(head), rule, rows].concat()
}

/// A table for a terminal, its columns aligned.
pub(super) fn plain(table: &[Vec<String>]) -> String {
    let columns = table.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = table.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| {
                let padding = width.saturating_sub(cell.chars().count());
                format!("{cell}{}", " ".repeat(padding))
            })
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    table.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_written_for_both_readers() {
        let row = ["a|b", "– ×"].map(str::to_owned).to_vec();
        let table = headed(["name", "p99"], [row]);
        assert_eq!(
            markdown(&table),
            "| name | p99 |\n|---|---|\n| a\\|b | – × |\n"
        );
        assert_eq!(plain(&table), "name  p99\na|b   – ×");
    }
}
