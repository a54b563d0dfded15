//! What `kubectl weir check` found, as text or as a document.

use serde::Serialize;

use super::{
    style::{BAD, FAINT, GOOD, HEAD, WARN},
    wrap::{used, wrapped},
};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Fine,
    /// It works, but somebody should look.
    Warning,
    /// It does not work, or not as it should.
    Trouble,
    /// It could not be found out.
    Unknown,
    /// It does not apply here.
    Skipped,
}

/// One check and its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// It never changes.
    pub id: String,
    /// What should be so.
    pub description: String,
    /// Whether it is.
    pub result: Level,
    /// What was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// What to do, where it is not as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where to read on.
    pub docs: String,
}

/// Checks about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Category {
    /// Its name.
    pub name: String,
    /// Its checks.
    pub checks: Vec<Checked>,
}

/// All that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checks {
    /// Whether nothing is wrong, as far as could be found out.
    pub success: bool,
    /// In reading order.
    pub categories: Vec<Category>,
}

impl Checks {
    /// Sums up.
    #[must_use]
    pub fn of(categories: Vec<Category>) -> Self {
        let mut all = categories.iter().flat_map(|one| &one.checks);
        Self {
            success: !all.any(|one| matches!(one.result, Level::Trouble | Level::Unknown)),
            categories,
        }
    }

    fn count(&self, level: Level) -> usize {
        let all = self.categories.iter().flat_map(|one| &one.checks);
        all.filter(|one| one.result == level).count()
    }
}

/// As text for so many columns, with colours, and a line break at its end. What is fine is one line each;
/// what was skipped is left out unless it is `wide`.
#[must_use]
pub fn render(checks: &Checks, columns: usize, wide: bool) -> String {
    let mut lines = Vec::new();
    for Category { name, checks } in &checks.categories {
        let shown = |one: &&Checked| wide || one.result != Level::Skipped;
        let shown: Vec<_> = checks.iter().filter(shown).collect();
        if shown.is_empty() {
            continue;
        }
        lines.push(format!("{HEAD}{name}{HEAD:#}"));
        for one in shown {
            lines.extend(check(one, used(columns), wide));
        }
        lines.push(String::new());
    }
    let mut hints = checks.categories.iter().flat_map(|one| &one.checks);
    if hints.any(names_a_manifest) {
        let note =
            "Where Helm installed Weir, `helm upgrade` does what a hint says to apply of deploy/.";
        lines.extend(wrapped(note, used(columns), "", ""));
    }
    lines.push(conclusion(checks));
    lines.join("\n") + "\n"
}

/// Whether its hint is shown, and says to apply what Helm renders itself.
fn names_a_manifest(one: &Checked) -> bool {
    let hint = one.hint.as_ref();
    !matches!(one.result, Level::Fine | Level::Skipped)
        && hint.is_some_and(|hint| hint.contains("deploy/"))
}

fn check(one: &Checked, columns: usize, wide: bool) -> Vec<String> {
    let (glyph, style) = match one.result {
        Level::Fine => ("√", GOOD),
        Level::Warning => ("‼", WARN),
        Level::Trouble => ("×", BAD),
        Level::Unknown => ("?", WARN),
        Level::Skipped => ("-", FAINT),
    };
    let is_well = matches!(one.result, Level::Fine | Level::Skipped);
    let mut lines = vec![format!("  {style}{glyph}{style:#} {}", one.description)];
    if !is_well || wide {
        let said = one.said.iter().flat_map(|said| said.lines());
        lines.extend(said.flat_map(|said| wrapped(said, columns, "      ", "      ")));
    }
    if !is_well {
        let hint = one.hint.iter();
        lines.extend(
            hint.flat_map(|hint| {
                wrapped(&format!("hint: {hint}"), columns, "      ", "            ")
            }),
        );
        lines.push(format!("      {FAINT}see {}{FAINT:#}", one.docs));
    }
    lines
}

fn conclusion(checks: &Checks) -> String {
    let parts = [
        (Level::Fine, "fine"),
        (Level::Warning, "to look at"),
        (Level::Trouble, "wrong"),
        (Level::Unknown, "not found out"),
        (Level::Skipped, "that do not apply here"),
    ];
    let counts = parts.map(|(level, word)| (checks.count(level), word));
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<_> = counts
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let counts = counts.join(", ");
    if checks.success {
        format!("{GOOD}Nothing is wrong{GOOD:#}: {counts}.")
    } else {
        format!("{BAD}Not fine{BAD:#}: {counts}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(id: &str, result: Level, said: Option<&str>) -> Checked {
        Checked {
            id: id.to_owned(),
            description: format!("{id} is there"),
            result,
            said: said.map(ToOwned::to_owned),
            hint: Some("apply deploy/".to_owned()),
            docs: format!("https://example.org/checks.md#{id}"),
        }
    }

    fn plain(checks: Vec<Checked>, wide: bool) -> String {
        let name = "Gate".to_owned();
        let checks = Checks::of(vec![Category { name, checks }]);
        let text = render(&checks, 80, wide);
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_do() {
        let checks = vec![
            checked("a", Level::Fine, Some("seen")),
            checked("b", Level::Trouble, Some("it is not")),
            checked("c", Level::Skipped, None),
        ];
        assert_eq!(
            plain(checks, false),
            "Gate\n  √ a is there\n  × b is there\n      it is not\n      hint: apply deploy/\n      \
             see https://example.org/checks.md#b\n\nWhere Helm installed Weir, `helm upgrade` does what a hint \
             says to apply of\ndeploy/.\nNot fine: 1 fine, 1 wrong, 1 that do not apply here.\n"
        );
    }

    #[test]
    fn a_warning_is_no_trouble_and_what_is_not_known_is() {
        let warned = vec![checked("a", Level::Warning, None)];
        assert!(plain(warned, false).ends_with("Nothing is wrong: 1 to look at.\n"));
        let unknown = vec![checked("a", Level::Unknown, None)];
        assert!(plain(unknown, false).ends_with("Not fine: 1 not found out.\n"));
        let fine = vec![checked("a", Level::Fine, Some("seen"))];
        assert!(plain(fine, true).contains("      seen\n"));
    }
}
