//! What a RolloutPolicy depends on, as it can be asked; or everything wrong with it.
//!
//! One that cannot be asked is not left out, since a rollout would then go on as if nothing depended on it: it holds
//! until the policy is mended. Nothing that was written as an address is repeated in a problem: it may hold what
//! should be in a Secret.

use std::{collections::BTreeMap, sync::Arc};

use http::Uri;
use jsonpath_rust::parser::parse_json_path;
use weir_core::time::Span;

use super::lower::{DAY, Defect, HOUR, Problem, Reader, SECOND};
use crate::{
    api::{self, HttpSource, PrometheusSource},
    dependency::{Dependency, Question, SecretKey, Side, Signal, Threshold, Tls},
};

/// Where the policy does not say so.
const EVERY: Span = Span::from_secs(60);
/// The rarest and the most often that may be asked for: others' servers are no place for a load.
const LEAST_EVERY: Span = Span::from_secs(10);
/// Where the policy does not say so.
const TIMEOUT: Span = Span::from_secs(5);
/// What an answer may take at most.
const MOST_TIMEOUT: Span = Span::from_secs(30);
/// Where the policy does not say so.
const SILENT_FOR: Span = Span::from_secs(600);

/// What is depended on, by name; what is wrong with it is added to the `problems`.
pub(super) fn lower(
    dependencies: &[api::Dependency],
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Dependency> {
    let lowered = dependencies.iter().map(|one| {
        let mut field = Field {
            path: format!("dependencies[{}]", one.name),
            reader: Reader::default(),
        };
        let (question, silent_for) = field.dependency(one);
        let found = field.reader.problems;
        let wrong: Vec<_> = found.iter().map(ToString::to_string).collect();
        let asks = match (question, wrong.is_empty()) {
            (Some(question), true) => Ok(Arc::new(question)),
            (Some(_) | None, _) => Err(wrong.join("; ")),
        };
        problems.extend(found);
        (one.name.clone(), Dependency { asks, silent_for })
    });
    lowered.collect()
}

/// Reads one dependency.
struct Field {
    /// Its path below `spec`.
    path: String,
    reader: Reader,
}

/// Where and what is asked, and whom to trust.
type Source = (String, Signal, Tls, Option<SecretKey>);

impl Field {
    fn dependency(&mut self, one: &api::Dependency) -> (Option<Question>, Span) {
        // Destructured without `..`: a field that is not lowered does not compile.
        let api::Dependency {
            name: _, // what it is kept by
            every,
            timeout,
            silent_for,
            http,
            prometheus,
        } = one;
        let mut asked_every = EVERY;
        let (field, to) = (self.at("every"), &mut asked_every);
        self.reader
            .read(field, every.as_ref(), LEAST_EVERY..=HOUR, to);
        let mut within = TIMEOUT;
        let (field, to) = (self.at("timeout"), &mut within);
        self.reader
            .read(field, timeout.as_ref(), SECOND..=MOST_TIMEOUT, to);
        let mut silence = SILENT_FOR;
        let (field, to) = (self.at("silentFor"), &mut silence);
        self.reader
            .read(field, silent_for.as_ref(), Span::ZERO..=DAY, to);
        let source = match (http, prometheus) {
            (Some(http), None) => Some(self.http(http)),
            (None, Some(prometheus)) => Some(self.prometheus(prometheus)),
            (Some(_), Some(_)) | (None, None) => {
                self.wrong("http", "it is asked either by http or by prometheus");
                None
            }
        };
        let question = source.map(|(url, signal, tls, bearer)| Question {
            every: asked_every,
            timeout: within,
            url,
            signal,
            tls,
            bearer,
        });
        (question, silence)
    }

    fn http(&mut self, source: &HttpSource) -> Source {
        let HttpSource {
            url,
            json_path,
            equals,
            one_of,
            tls,
            bearer_token,
        } = source;
        let well = match (equals, one_of.as_slice()) {
            (Some(value), []) => vec![value.clone()],
            (None, values @ [_, ..]) => values.to_vec(),
            (Some(_), [_, ..]) | (None, []) => {
                self.wrong(
                    "http.equals",
                    "what is well is said either by equals or by oneOf",
                );
                Vec::new()
            }
        };
        if let Err(why) = askable(json_path) {
            let defect = format!("`{json_path}` {why}");
            self.wrong("http.jsonPath", &defect);
        }
        let signal = Signal::Json {
            path: json_path.clone(),
            well,
        };
        let trust = (tls.as_ref(), bearer_token.as_ref());
        let (tls, bearer) = self.trust("http", url, trust);
        (url.clone(), signal, tls, bearer)
    }

    fn prometheus(&mut self, source: &PrometheusSource) -> Source {
        let PrometheusSource {
            url,
            query,
            threshold,
            comparison,
            tls,
            bearer_token,
        } = source;
        if url.contains('?') {
            self.wrong(
                "prometheus.url",
                "it must have no query: that is for `query`",
            );
        }
        if !threshold.is_finite() {
            self.wrong("prometheus.threshold", "it is not a number");
        }
        let signal = Signal::Prometheus {
            query: query.clone(),
            threshold: Threshold(*threshold),
            incident: match comparison {
                api::Comparison::Above => Side::Above,
                api::Comparison::Below => Side::Below,
            },
        };
        let trust = (tls.as_ref(), bearer_token.as_ref());
        let (tls, bearer) = self.trust("prometheus", url, trust);
        let url = url.trim_end_matches('/').to_owned();
        (url, signal, tls, bearer)
    }

    /// The address, and what goes with it.
    fn trust(
        &mut self,
        by: &str,
        url: &str,
        (tls, bearer): (Option<&api::SourceTls>, Option<&api::SecretKey>),
    ) -> (Tls, Option<SecretKey>) {
        let is_secure = match address(url) {
            Ok(is_secure) => is_secure,
            Err(why) => {
                self.wrong(&format!("{by}.url"), why);
                true
            }
        };
        if bearer.is_some() && !is_secure {
            let field = format!("{by}.bearerToken");
            self.wrong(&field, "a bearer token is sent by https only");
        }
        if tls.is_some() && !is_secure {
            self.wrong(&format!("{by}.tls"), "it is for https only");
        }
        let server_name = tls.and_then(|tls| tls.server_name.clone());
        let name = server_name.clone().unwrap_or_default();
        if server_name.is_some() && rustls::pki_types::ServerName::try_from(name).is_err() {
            let field = format!("{by}.tls.serverName");
            self.wrong(&field, "it is neither a host's name nor an address");
        }
        let tls = Tls {
            ca_secret: tls.and_then(|tls| tls.ca_secret.clone()),
            server_name,
        };
        let bearer = bearer.map(|token| SecretKey {
            name: token.name.clone(),
            key: token.key.clone(),
        });
        (tls, bearer)
    }

    fn at(&self, field: &str) -> String {
        format!("{}.{field}", self.path)
    }

    fn wrong(&mut self, field: &str, why: &str) {
        let field = self.at(field);
        self.reader.add(field, Defect::Unaskable(why.to_owned()));
    }
}

/// Whether the address is one that can be asked by https; else by http.
fn address(url: &str) -> Result<bool, &'static str> {
    let uri: Uri = url
        .parse()
        .map_err(|_| "it is no address such as `https://status.example.com/api/v2/status.json`")?;
    let authority = uri
        .authority()
        .ok_or("it names no host, as `https://status.example.com/` does")?;
    if authority.as_str().contains('@') {
        return Err("it must hold neither user nor password: bearerToken names a Secret");
    }
    if url.contains('#') {
        return Err("it must have no fragment (`#`): servers are never told of it");
    }
    match uri.scheme_str() {
        Some("https") => Ok(true),
        Some("http") => Ok(false),
        Some(_) | None => Err("it is to begin with https:// or http://"),
    }
}

/// Whether a path is one by RFC 9535 whose cost an answer of a megabyte cannot blow up: how much there is below
/// something is the answer's to say, not the policy's.
fn askable(path: &str) -> Result<(), String> {
    parse_json_path(path)
        .map_err(|_| "is no JSONPath such as `$.status.indicator` (RFC 9535)".to_owned())?;
    let plain = without_texts(path);
    if plain.contains("..") {
        return Err("looks through all of an answer (`..`): name the way down".to_owned());
    }
    if plain.trim_start().trim_start_matches('$').contains('$') {
        return Err(
            "looks at the whole answer for each of its parts (`$` in a filter): use `@`".to_owned(),
        );
    }
    if calls(&plain) {
        return Err(
            "calls a function (such as `match` or `length`): compare by `==`, `!=`, `<` or `>`, or name \
             the values that are well by oneOf"
                .to_owned(),
        );
    }
    if plain.contains(',') {
        return Err(
            "looks at several parts of an answer at once (`,`), which multiplies: use `*` or a filter"
                .to_owned(),
        );
    }
    Ok(())
}

/// Whether a valid path without its texts calls a function: nothing else has a name before a parenthesis. Some make
/// a pattern anew for each part of an answer, and of what the answer says; no time-out ends that.
fn calls(plain: &str) -> bool {
    plain.match_indices('(').any(|(at, _)| {
        let before = plain[..at].trim_end();
        before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
    })
}

/// A path without what stands in quotes.
fn without_texts(path: &str) -> String {
    let mut plain = String::new();
    let (mut quote, mut escaped) = (None, false);
    for letter in path.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if letter == '\\' => escaped = true,
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if letter == '\'' || letter == '"' => quote = Some(letter),
            None => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests;
