//! How answers are shown.

use clap::ValueEnum;
use serde::Serialize;

use super::error::CliError;
use crate::view::clean::screen;

/// Columns where nobody says how many there are.
const COLUMNS: usize = 80;

/// How to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    Text,
    /// Text, with nothing left out
    Wide,
    /// Everything, for programs
    Json,
    /// Everything, for programs and people
    Yaml,
    /// The names of the objects that it is about, for other commands
    Name,
}

/// What can be shown as text, as a document, or by its names.
pub(super) trait Shown: Serialize {
    /// As text, with nothing left out if it is `wide`.
    fn text(&self, wide: bool) -> String;
    /// The objects that it is about, each as kubectl names it.
    fn names(&self) -> Vec<String>;
}

/// The same in the form that was asked for.
pub(super) fn show<T: Shown>(answer: &T, output: Output) -> Result<String, CliError> {
    match output {
        Output::Text => Ok(screen(&answer.text(false))),
        Output::Wide => Ok(screen(&answer.text(true))),
        Output::Json => json(answer),
        Output::Yaml => yaml(answer),
        Output::Name => {
            let names = answer.names().into_iter();
            Ok(names.map(|name| name + "\n").collect())
        }
    }
}

/// A GuardedRollout as kubectl names it.
pub(super) fn rollout_name(name: &str) -> String {
    format!("guardedrollout.weir.dev/{name}")
}

/// A document in JSON.
pub(super) fn json<T: Serialize>(answer: &T) -> Result<String, CliError> {
    let text = serde_json::to_string_pretty(answer).map_err(CliError::Json)?;
    Ok(text + "\n")
}

/// A document in YAML.
pub(super) fn yaml<T: Serialize>(answer: &T) -> Result<String, CliError> {
    serde_saphyr::to_string(answer).map_err(CliError::Yaml)
}

/// Columns of the terminal that is written to.
pub(super) fn columns() -> usize {
    terminal_size::terminal_size_of(std::io::stdout())
        .map_or(COLUMNS, |(terminal_size::Width(columns), _)| {
            usize::from(columns)
        })
}
