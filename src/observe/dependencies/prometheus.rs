//! The answer of a Prometheus to an instant query → how the dependency is.

use http::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use weir_core::evidence::Health;

use super::{
    exchange::{self, Reply, SHOWN},
    json,
    kept::Trouble,
};
use crate::{
    api::bounds::clip,
    dependency::{Side, Threshold},
};

/// What every answer of the API is.
#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

/// What a query found.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    /// `vector`, `scalar`, `matrix` or `string`.
    result_type: String,
    result: Value,
}

#[derive(Deserialize)]
struct Sample {
    /// None if it is a histogram.
    value: Option<Point>,
}

/// When, and what; as text, since JSON has no infinity.
type Point = (f64, String);

/// How it is by this answer. Of several values the worst counts.
pub(super) fn health(
    reply: &Reply,
    threshold: Threshold,
    incident: Side,
) -> Result<Health, Trouble> {
    let values = values(reply)?;
    let worst = match incident {
        Side::Above => values.iter().copied().reduce(f64::max),
        Side::Below => values.iter().copied().reduce(f64::min),
    };
    let Some(worst) = worst else {
        let why = "the query has no result: nothing that it asks for is known there";
        return Err(Trouble::Absent(why.to_owned()));
    };
    let Threshold(threshold) = threshold;
    let (is_incident, side) = match incident {
        Side::Above => (worst > threshold, "above"),
        Side::Below => (worst < threshold, "below"),
    };
    if !is_incident {
        return Ok(Health::Well);
    }
    let of = match values.len() {
        1 => "the query's value".to_owned(),
        many => format!("the worst of the query's {many} values"),
    };
    let what = format!("{of} is {worst}, {side} {threshold}");
    Ok(Health::Incident { what })
}

fn values(reply: &Reply) -> Result<Vec<f64>, Trouble> {
    let answer = json::parse(&reply.body).and_then(understood::<Answer>);
    let answer = match answer {
        // What is wrong with a query comes with a status of its own, and says so.
        Ok(answer) if answer.status == "error" => {
            let error = clip(&answer.error, SHOWN);
            return Err(Trouble::Garbled(format!("the query fails: {error}")));
        }
        _ if reply.status != StatusCode::OK => return Err(exchange::refused(reply.status)),
        Ok(answer) => answer,
        Err(trouble) => return Err(trouble),
    };
    let Data {
        result_type,
        result,
    } = answer.data.unwrap_or_default();
    match result_type.as_str() {
        "scalar" => {
            let (_, text): Point = understood(result)?;
            Ok(vec![number(&text)?])
        }
        "vector" => {
            let samples: Vec<Sample> = understood(result)?;
            let values = samples.into_iter().map(|sample| {
                let (_, text) = sample.value.ok_or_else(not_a_number)?;
                number(&text)
            });
            values.collect()
        }
        _ => {
            let why = "the query's result is neither an instant vector nor a scalar";
            Err(Trouble::Garbled(why.to_owned()))
        }
    }
}

fn understood<T: DeserializeOwned>(answer: Value) -> Result<T, Trouble> {
    serde_json::from_value(answer).map_err(|error| {
        let error = clip(&error.to_string(), SHOWN);
        Trouble::Garbled(format!("it does not answer as a Prometheus does: {error}"))
    })
}

fn number(text: &str) -> Result<f64, Trouble> {
    let number = text.parse().ok().filter(|number: &f64| !number.is_nan());
    number.ok_or_else(not_a_number)
}

fn not_a_number() -> Trouble {
    Trouble::Garbled("a value of the query's result is not a number".to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn above(threshold: f64, status: u16, body: &str) -> Result<Health, Trouble> {
        compared(Side::Above, threshold, status, body)
    }

    fn compared(side: Side, threshold: f64, status: u16, body: &str) -> Result<Health, Trouble> {
        let reply = Reply {
            status: StatusCode::from_u16(status).unwrap(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        health(&reply, Threshold(threshold), side)
    }

    fn result(kind: &str, result: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#)
    }

    fn vector(values: &[&str]) -> String {
        let samples: Vec<_> = values
            .iter()
            .map(|value| format!(r#"{{"metric":{{"a":"b"}},"value":[1.5,"{value}"]}}"#))
            .collect();
        result("vector", &format!("[{}]", samples.join(",")))
    }

    fn incident(what: &str) -> Health {
        let what = what.to_owned();
        Health::Incident { what }
    }

    #[test]
    fn the_worst_value_counts() {
        assert_eq!(above(0.5, 200, &vector(&["0.5"])), Ok(Health::Well));
        assert_eq!(
            above(0.5, 200, &vector(&["0.6"])),
            Ok(incident("the query's value is 0.6, above 0.5"))
        );
        assert_eq!(
            above(0.5, 200, &vector(&["0.1", "+Inf", "0.7"])),
            Ok(incident(
                "the worst of the query's 3 values is inf, above 0.5"
            ))
        );
        assert_eq!(
            compared(Side::Below, 1.0, 200, &vector(&["1", "0"])),
            Ok(incident("the worst of the query's 2 values is 0, below 1"))
        );
        let scalar = result("scalar", r#"[1.5,"2"]"#);
        assert_eq!(
            above(1.0, 200, &scalar),
            Ok(incident("the query's value is 2, above 1"))
        );
    }

    #[test]
    fn no_result_is_no_health() {
        match above(0.5, 200, &vector(&[])) {
            Err(Trouble::Absent(why)) => assert!(why.contains("the query has no result")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_number_is_garbled() {
        let matrix = result("matrix", "[]");
        let histogram = result("vector", r#"[{"metric":{},"histogram":[1,{}]}]"#);
        for body in [
            vector(&["NaN"]),
            vector(&["1", "NaN"]),
            vector(&["x"]),
            matrix,
            histogram,
        ] {
            let answer = above(0.5, 200, &body);
            assert!(
                matches!(answer, Err(Trouble::Garbled(_))),
                "{body}: {answer:?}"
            );
        }
    }

    #[test]
    fn an_error_says_what_the_prometheus_says() {
        let body =
            r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected <by>"}"#;
        for status in [200, 400, 422] {
            let why = "the query fails: parse error: unexpected <by>".to_owned();
            assert_eq!(above(0.5, status, body), Err(Trouble::Garbled(why)));
        }
        let why = "it answers with 503 Service Unavailable".to_owned();
        assert_eq!(above(0.5, 503, "busy"), Err(Trouble::Absent(why)));
        for body in ["", "{}", "[]", r#"{"status":"success"}"#, "<html>"] {
            let answer = above(0.5, 200, body);
            assert!(
                matches!(answer, Err(Trouble::Garbled(_))),
                "{body}: {answer:?}"
            );
        }
    }
}
