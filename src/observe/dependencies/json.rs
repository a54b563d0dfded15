//! A JSON answer, where the value is in it and which are well → how the dependency is.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jsonpath_rust::JsonPath;
use serde_json::Value;
use weir_core::evidence::Health;

use super::{exchange::SHOWN, kept::Trouble};
use crate::api::bounds::clip;

/// How it is by this answer. Of several values the first that is not well is told.
pub(super) fn health(body: &[u8], path: &str, well: &[String]) -> Result<Health, Trouble> {
    let answer = parse(body)?;
    // Others write the answer: a defect of what searches it must not end the process, over and over.
    let found = catch_unwind(AssertUnwindSafe(|| answer.query(path)));
    let values = match found {
        Ok(Ok(values)) => values,
        Ok(Err(error)) => return Err(Trouble::Garbled(format!("`{path}`: {error}"))),
        Err(_) => {
            return Err(Trouble::Garbled(format!(
                "`{path}` cannot be looked for in it"
            )));
        }
    };
    if values.is_empty() {
        let why = format!("nothing is at `{path}` in its answer");
        return Err(Trouble::Garbled(why));
    }
    for value in values {
        let said = scalar(value).ok_or_else(|| {
            let kind = if value.is_array() {
                "a list"
            } else {
                "an object"
            };
            Trouble::Garbled(format!("at `{path}` its answer has {kind}, not a value"))
        })?;
        if !well.iter().any(|one| is_same(one, &said, value)) {
            let should = match well {
                [one] => format!("not `{one}`"),
                many => format!("none of `{}`", many.join("`, `")),
            };
            let what = format!("{path} is `{}`, {should}", clip(&said, SHOWN));
            return Ok(Health::Incident { what });
        }
    }
    Ok(Health::Well)
}

/// What an answer's text is.
pub(super) fn parse(body: &[u8]) -> Result<Value, Trouble> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Trouble::Garbled("its answer is empty".to_owned()));
    }
    serde_json::from_slice(body)
        .map_err(|error| Trouble::Garbled(format!("its answer is not JSON: {error}")))
}

/// A value as text, if it is one.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("null".to_owned()),
        Value::Bool(is_so) => Some(is_so.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a value is what the policy says; numbers by what they are, however they are written.
fn is_same(wanted: &str, said: &str, value: &Value) -> bool {
    let as_number = || {
        let number = value.as_f64()?;
        let wanted: f64 = wanted.parse().ok()?;
        Some(wanted.total_cmp(&number).is_eq())
    };
    wanted == said || value.is_number() && as_number().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"{
        "status": { "indicator": "major", "open": 2.0, "degraded": false, "since": null },
        "components": [ { "name": "API", "status": "operational" }, { "name": "Web", "status": "down" } ]
    }"#;

    fn of(path: &str, well: &[&str]) -> Result<Health, Trouble> {
        let well: Vec<_> = well.iter().map(|one| (*one).to_owned()).collect();
        health(PAGE.as_bytes(), path, &well)
    }

    fn garbled(answer: Result<Health, Trouble>) -> String {
        match answer {
            Err(Trouble::Garbled(why)) => why,
            other => format!("not garbled: {other:?}"),
        }
    }

    #[test]
    fn texts_numbers_and_truths_are_compared_by_what_they_are() {
        for (path, well) in [
            ("$.status.indicator", "major"),
            ("$.status.open", "2"),
            ("$.status.open", "2.0"),
            ("$.status.degraded", "false"),
            ("$.status.since", "null"),
            ("$.components[?@.name == 'API'].status", "operational"),
        ] {
            assert_eq!(of(path, &[well]), Ok(Health::Well), "{path}");
        }
        assert_eq!(
            of("$.status.indicator", &["none", "major"]),
            Ok(Health::Well)
        );
    }

    #[test]
    fn an_incident_says_what_is_and_what_should_be() {
        let what = "$.status.indicator is `major`, not `none`".to_owned();
        assert_eq!(
            of("$.status.indicator", &["none"]),
            Ok(Health::Incident { what })
        );
        let what = "$.components[*].status is `down`, none of `operational`, `up`".to_owned();
        let all = of("$.components[*].status", &["operational", "up"]);
        assert_eq!(all, Ok(Health::Incident { what }));
        // A text is no number.
        assert!(matches!(
            of("$.status.indicator", &["0"]),
            Ok(Health::Incident { .. })
        ));
    }

    #[test]
    fn what_is_not_where_it_should_be_is_garbled() {
        let nothing = garbled(of("$.status.level", &["none"]));
        assert_eq!(nothing, "nothing is at `$.status.level` in its answer");
        let object = garbled(of("$.status", &["none"]));
        assert_eq!(
            object,
            "at `$.status` its answer has an object, not a value"
        );
        let list = garbled(of("$.components", &["none"]));
        assert!(list.contains("a list"), "{list}");
    }

    #[test]
    fn what_is_no_json_is_garbled_and_never_repeated() {
        let of = |body: &str| garbled(health(body.as_bytes(), "$.a", &["b".to_owned()]));
        assert_eq!(of(""), "its answer is empty");
        assert_eq!(of(" \n"), "its answer is empty");
        let html = of("<html>hush</html>");
        assert!(html.starts_with("its answer is not JSON: "), "{html}");
        assert!(!html.contains("hush"), "{html}");
        let cut = of(r#"{"a": "#);
        assert!(cut.starts_with("its answer is not JSON: "), "{cut}");
        let deep = of(&"[".repeat(100_000));
        assert!(deep.starts_with("its answer is not JSON: "), "{deep}");
    }

    #[test]
    fn a_long_value_is_cut() {
        let page = format!(r#"{{"a": "{}"}}"#, "x".repeat(10_000));
        match health(page.as_bytes(), "$.a", &["b".to_owned()]) {
            Ok(Health::Incident { what }) => assert!(what.len() < 200, "{}", what.len()),
            other => panic!("{other:?}"),
        }
    }
}
