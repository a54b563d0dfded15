//! Versions of all that has to fit together.

use serde::Serialize;

use super::{
    style::WARN,
    table::{self, Cell},
    words::mode,
};
use crate::api::Mode;

/// The versions, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// This program's.
    pub client: String,
    /// The operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<Operator>,
    /// That of the API server that answered, with its platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_server: Option<String>,
    /// Why something is not known.
    pub unknown: Vec<String>,
}

/// The operator, as it last wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Operator {
    /// Its version.
    pub version: String,
    /// How far it may go in this cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// API servers that it has met.
    pub api_servers: usize,
}

/// As text, with colours, and a line break at its end.
#[must_use]
pub fn render(versions: &Versions) -> String {
    let Versions {
        client,
        operator,
        api_server,
        unknown,
    } = versions;
    let row = |title: &str, said: String| vec![Cell::from(title), Cell::from(said)];
    let mut rows = vec![row("kubectl-weir", client.clone())];
    rows.extend(operator.as_ref().map(|operator| {
        let mode = operator.mode.map(|it| format!(", mode {}", mode(it)));
        let servers = match operator.api_servers {
            1 => "1 API server".to_owned(),
            number => format!("{number} API servers"),
        };
        let said = format!(
            "{}{}, of {servers}",
            operator.version,
            mode.unwrap_or_default()
        );
        row("operator", said)
    }));
    rows.extend(api_server.clone().map(|version| row("API server", version)));
    let lines = table::lines(&rows).into_iter();
    let mut text: String = lines
        .map(|line| line.trim_start().to_owned() + "\n")
        .collect();
    let gap = |why: &String| format!("{WARN}not known{WARN:#}: {why}\n");
    text.extend(unknown.iter().map(gap));
    if let Some(operator) = operator.as_ref().filter(|one| one.version != *client) {
        text.extend([format!(
            "{WARN}note{WARN:#}: the operator is {}: use the kubectl-weir of its version\n",
            operator.version
        )]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_below_each_other_and_what_differs_is_noted() {
        let versions = Versions {
            client: "0.2.0".to_owned(),
            operator: Some(Operator {
                version: "0.1.0".to_owned(),
                mode: Some(Mode::Enforce),
                api_servers: 3,
            }),
            api_server: Some("v1.36.3 (linux/amd64)".to_owned()),
            unknown: vec!["the weather".to_owned()],
        };
        let text = anstream::adapter::strip_str(&render(&versions)).to_string();
        assert_eq!(
            text,
            "kubectl-weir  0.2.0\n\
             operator      0.1.0, mode Enforce, of 3 API servers\n\
             API server    v1.36.3 (linux/amd64)\n\
             not known: the weather\n\
             note: the operator is 0.1.0: use the kubectl-weir of its version\n"
        );
    }
}
