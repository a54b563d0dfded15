//! Text with `$(NAME)` in it, as Kubernetes writes it in container arguments: checked when a profile
//! is read, filled in for each request. It knows no other variables than those listed here.

use std::{fmt, str::FromStr};

use serde::Deserialize;
use serde_json::{Map, Value};

/// What a profile may ask to be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// The node that the agent's pod runs on.
    NodeName,
    /// The agent's own pod.
    PodName,
    /// The namespace of the agent's own pod.
    PodNamespace,
    /// How often this agent has made this call before; in `needs`, the number of the object.
    Index,
    /// The time of the request in UTC, as RFC 3339 with microseconds.
    Now,
}

impl Variable {
    const ALL: [(&'static str, Self); 5] = [
        ("NODE_NAME", Self::NodeName),
        ("POD_NAME", Self::PodName),
        ("POD_NAMESPACE", Self::PodNamespace),
        ("INDEX", Self::Index),
        ("NOW", Self::Now),
    ];
}

/// The values for one request.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The node that the agent's pod runs on.
    pub node: &'a str,
    /// The agent's own pod.
    pub pod: &'a str,
    /// The namespace of the agent's own pod.
    pub namespace: &'a str,
    /// How often this agent has made this call before.
    pub index: u64,
    /// The time of the request.
    pub now: jiff::Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Text(String),
    Variable(Variable),
}

/// Text in which variables stand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(Vec<Segment>);

impl Template {
    /// The text with its variables filled in.
    #[must_use]
    pub fn fill(&self, values: &Values<'_>) -> String {
        let mut text = String::new();
        for segment in &self.0 {
            let part = match segment {
                Segment::Text(part) => part,
                Segment::Variable(Variable::NodeName) => values.node,
                Segment::Variable(Variable::PodName) => values.pod,
                Segment::Variable(Variable::PodNamespace) => values.namespace,
                Segment::Variable(Variable::Index) => &values.index.to_string(),
                Segment::Variable(Variable::Now) => &format!("{:.6}", values.now),
            };
            text.push_str(part);
        }
        text
    }
}

/// A `$(NAME)` that cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownVariable(String);

impl fmt::Display for UnknownVariable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<_> = Variable::ALL
            .iter()
            .map(|(name, _)| format!("$({name})"))
            .collect();
        write!(
            out,
            "`{}` cannot be filled in; write one of {}, or $$( for a plain $(",
            self.0,
            known.join(", ")
        )
    }
}

impl std::error::Error for UnknownVariable {}

impl FromStr for Template {
    type Err = UnknownVariable;

    fn from_str(source: &str) -> Result<Self, Self::Err> {
        let mut segments = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(at) = rest.find("$(") {
            let (before, reference) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                text.push_str(before);
                text.push_str("$(");
                rest = &reference[2..];
                continue;
            }
            text.push_str(before);
            let name = reference[2..].split_once(')').map(|(name, after)| {
                rest = after;
                name
            });
            let variable = name
                .and_then(|name| Variable::ALL.iter().find(|(known, _)| *known == name))
                .ok_or_else(|| match name {
                    Some(name) => UnknownVariable(format!("$({name})")),
                    None => UnknownVariable(reference.to_owned()),
                })?;
            if !text.is_empty() {
                segments.push(Segment::Text(std::mem::take(&mut text)));
            }
            segments.push(Segment::Variable(variable.1));
        }
        text.push_str(rest);
        if !text.is_empty() {
            segments.push(Segment::Text(text));
        }
        Ok(Self(segments))
    }
}

impl TryFrom<String> for Template {
    type Error = UnknownVariable;

    fn try_from(source: String) -> Result<Self, Self::Error> {
        source.parse()
    }
}

/// An object in whose strings variables stand: the body of a write.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub enum Body {
    /// A string.
    Text(Template),
    /// A list.
    List(Vec<Body>),
    /// An object, in the order of its keys.
    Object(Vec<(String, Body)>),
    /// A number, a boolean or null.
    Plain(Value),
}

impl Body {
    /// The object with its variables filled in.
    #[must_use]
    pub fn fill(&self, values: &Values<'_>) -> Value {
        match self {
            Self::Text(template) => Value::String(template.fill(values)),
            Self::List(items) => items.iter().map(|item| item.fill(values)).collect(),
            Self::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(key, field)| (key.clone(), field.fill(values)))
                    .collect::<Map<_, _>>(),
            ),
            Self::Plain(value) => value.clone(),
        }
    }
}

impl TryFrom<Value> for Body {
    type Error = UnknownVariable;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        Ok(match value {
            Value::String(text) => Self::Text(text.parse()?),
            Value::Array(items) => Self::List(
                items
                    .into_iter()
                    .map(Self::try_from)
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(fields) => Self::Object(
                fields
                    .into_iter()
                    .map(|(key, field)| Ok((key, Self::try_from(field)?)))
                    .collect::<Result<_, UnknownVariable>>()?,
            ),
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => Self::Plain(plain),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values() -> Values<'static> {
        Values {
            node: "node-7",
            pod: "agent-x",
            namespace: "agents",
            index: 3,
            now: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn variables_are_filled_in_and_the_rest_is_left_alone() {
        let table = [
            ("spec.nodeName=$(NODE_NAME)", "spec.nodeName=node-7"),
            ("$(POD_NAMESPACE)/$(POD_NAME)-$(INDEX)", "agents/agent-x-3"),
            ("$(NOW)", "1970-01-01T00:00:00.000000Z"),
            ("$$(NODE_NAME) costs $5", "$(NODE_NAME) costs $5"),
            ("", ""),
        ];
        for (source, expected) in table {
            let template: Template = source.parse().expect("the table's sources are good");
            assert_eq!(template.fill(&values()), expected, "{source}");
        }
    }

    #[test]
    fn a_variable_that_nobody_fills_in_is_refused_with_those_that_are() {
        for source in ["$(HOSTNAME)", "a $(POD_NAME) and $(NODE", "$()"] {
            let error = source.parse::<Template>().expect_err(source).to_string();
            assert!(
                error.contains("$(NODE_NAME)") && error.contains("$$("),
                "{error}"
            );
        }
    }

    #[test]
    fn bodies_are_filled_in_at_every_depth() {
        let body = Body::try_from(json!({
            "metadata": {"name": "$(POD_NAME)", "generation": 1},
            "items": ["$(NODE_NAME)", true, null],
        }))
        .expect("a good body");
        assert_eq!(
            body.fill(&values()),
            json!({
                "metadata": {"name": "agent-x", "generation": 1},
                "items": ["node-7", true, null],
            })
        );
        assert!(Body::try_from(json!({"a": [{"b": "$(NOPE)"}]})).is_err());
    }
}
