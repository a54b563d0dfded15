//! How answers are shown.

use clap::ValueEnum;
use serde::Serialize;

use super::error::CliError;

/// Columns where nobody says how many there are.
const COLUMNS: usize = 80;

/// How to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    Text,
    /// Everything, for programs
    Json,
    /// Everything, for programs and people
    Yaml,
}

/// The same as text or as a document.
pub(super) fn show<T: Serialize>(
    answer: &T,
    output: Output,
    text: impl FnOnce(&T) -> String,
) -> Result<String, CliError> {
    match output {
        Output::Text => Ok(text(answer)),
        Output::Json => json(answer),
        Output::Yaml => yaml(answer),
    }
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
