//! Turns the API servers' audit logs into what Weir's account, and whoever looks at it, has asked of them.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde::Deserialize;

use super::World;
use super::weir::{ACCOUNT, NAMESPACE};

/// One request as an API server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedRequest {
    /// When it was received.
    pub at: Timestamp,
    /// Whose it was.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` …
    pub verb: String,
    /// The API group of the resource; empty for the oldest one, and for what is no resource.
    pub group: String,
    /// The namespace; empty for all of them, and for what has none.
    pub namespace: String,
    /// The resource, with its subresource after a slash; the path for what is not a resource.
    pub target: String,
    /// The HTTP status; 0 while the request is still being answered.
    pub code: u16,
    /// What the client calls itself.
    pub user_agent: String,
    /// It was asked for in thought only.
    pub dry_run: bool,
}

impl AuditedRequest {
    /// Whether it changes anything in the store.
    #[must_use]
    pub fn is_write(&self) -> bool {
        let changes = ["create", "update", "patch", "delete", "deletecollection"];
        changes.contains(&self.verb.as_str()) && !self.dry_run
    }
}

/// What was asked for within a time.
#[derive(Clone, Debug)]
pub struct Asked {
    /// How long that was, in seconds.
    pub seconds: f64,
    /// All of it.
    pub requests: Vec<AuditedRequest>,
}

impl Asked {
    /// Those of the requests that were received from one moment on, and before another.
    #[must_use]
    pub fn between(mut requests: Vec<AuditedRequest>, from: Timestamp, to: Timestamp) -> Self {
        requests.retain(|request| (from..to).contains(&request.at));
        let seconds = from.duration_until(to).as_secs_f64();
        Self { seconds, requests }
    }

    /// All requests, from the first to the last; `None` if there are none.
    #[must_use]
    pub fn whole(requests: Vec<AuditedRequest>) -> Option<Self> {
        let first = requests.iter().map(|request| request.at).min()?;
        let last = requests.iter().map(|request| request.at).max()?;
        let seconds = first.duration_until(last).as_secs_f64();
        Some(Self { seconds, requests })
    }

    /// How many of them are so.
    #[must_use]
    pub fn number(&self, is: impl Fn(&AuditedRequest) -> bool) -> f64 {
        self.requests.iter().filter(|request| is(request)).count() as f64
    }

    /// How often each thing was asked for.
    #[must_use]
    pub fn told(&self) -> String {
        let mut counts = BTreeMap::<String, u32>::new();
        for request in &self.requests {
            let what = format!("{} {}", request.verb, request.target);
            *counts.entry(what).or_default() += 1;
        }
        let counts: Vec<_> = counts
            .iter()
            .map(|(what, number)| format!("{what}: {number}"))
            .collect();
        format!("in {:.0} s: {}", self.seconds, counts.join(", "))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    stage: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    #[serde(default)]
    user: User,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<ObjectRef>,
    response_status: Option<ResponseStatus>,
    request_received_timestamp: Timestamp,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObjectRef {
    resource: Option<String>,
    subresource: Option<String>,
    api_group: String,
    namespace: String,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

impl World {
    /// Every request that Weir's ServiceAccount has made of any API server, in the servers' order.
    /// A watch is counted when it is opened.
    ///
    /// # Errors
    /// The world keeps no audit log ([`super::WorldSpec::audit`]), or a line of it is not understood.
    pub fn weir_requests(&self) -> Result<Vec<AuditedRequest>> {
        self.requests_of(NAMESPACE, ACCOUNT)
    }

    /// The same of another ServiceAccount of which the servers keep a log (`audit-policy.yaml`).
    ///
    /// # Errors
    /// As [`World::weir_requests`].
    pub fn requests_of(&self, namespace: &str, account: &str) -> Result<Vec<AuditedRequest>> {
        let user = format!("system:serviceaccount:{namespace}:{account}");
        let mut requests = Vec::new();
        for server in self.api_servers() {
            let path = self.directory().join(format!("{}.audit", server.name()));
            ensure!(
                path.exists(),
                "{} keeps no audit log: set WorldSpec::audit",
                server.name()
            );
            requests.extend(audited(&fs::read_to_string(&path)?)?);
        }
        requests.retain(|request| request.user == user);
        Ok(requests)
    }
}

/// Every request in an API server's audit log, in its order. A watch is counted when it is opened.
///
/// # Errors
/// A line is not understood.
pub fn audited(log: &str) -> Result<Vec<AuditedRequest>> {
    // The last line may still be being written.
    let complete = log.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let mut requests = Vec::new();
    for line in complete.lines() {
        requests.extend(parse(line).with_context(|| format!("audit entry {line}"))?);
    }
    Ok(requests)
}

/// The request of one entry; none for the second entry of a watch, which is written at its end.
fn parse(line: &str) -> Result<Option<AuditedRequest>> {
    let entry: Entry = serde_json::from_str(line)?;
    let counted = if entry.verb == "watch" {
        "ResponseStarted"
    } else {
        "ResponseComplete"
    };
    if entry.stage != counted {
        return Ok(None);
    }
    let uri = &entry.request_uri;
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let dry_run = query.split('&').any(|pair| pair == "dryRun=All");
    let path = path.to_owned();
    let object = entry.object_ref.unwrap_or_default();
    let target = object.resource.map(|resource| {
        let sub = object.subresource;
        sub.map_or(resource.clone(), |sub| format!("{resource}/{sub}"))
    });
    Ok(Some(AuditedRequest {
        at: entry.request_received_timestamp,
        user: entry.user.username,
        verb: entry.verb,
        group: object.api_group,
        namespace: object.namespace,
        target: target.unwrap_or(path),
        code: entry.response_status.map_or(0, |status| status.code),
        user_agent: entry.user_agent,
        dry_run,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = r#"{"kind":"Event","level":"Metadata","auditID":"1",
        "stage":"ResponseComplete","requestURI":"/api/v1/namespaces/a/pods/b/status?x=y",
        "verb":"patch","user":{"username":"u"},"sourceIPs":["::1"],"userAgent":"weir/0.1.0",
        "objectRef":{"resource":"pods","apiGroup":"apps","namespace":"a","name":"b","subresource":"status"},
        "responseStatus":{"metadata":{},"code":200},
        "requestReceivedTimestamp":"2026-11-21T21:00:00.123456Z",
        "stageTimestamp":"2026-11-21T21:00:00.125Z"}"#;

    #[test]
    fn a_write_is_told_by_its_verb() -> Result<()> {
        let request = parse(PATCH)?.context("a finished request")?;
        assert_eq!(
            (request.target.as_str(), request.code),
            ("pods/status", 200)
        );
        assert_eq!(
            (request.group.as_str(), request.namespace.as_str()),
            ("apps", "a")
        );
        assert!(request.is_write() && request.user_agent == "weir/0.1.0");
        assert_eq!(request.user, "u");
        Ok(())
    }

    #[test]
    fn what_is_asked_for_in_thought_is_no_write() -> Result<()> {
        let thought = PATCH.replace("x=y", "x=y&dryRun=All");
        let request = parse(&thought)?.context("a finished request")?;
        assert!(request.dry_run && !request.is_write());
        Ok(())
    }

    #[test]
    fn a_line_that_is_still_being_written_waits() -> Result<()> {
        let whole = PATCH.replace('\n', "");
        let log = format!("{whole}\n{whole}\n{{\"kind\":");
        assert_eq!(audited(&log)?.len(), 2);
        assert!(audited(&format!("{log}\n")).is_err());
        Ok(())
    }

    #[test]
    fn what_was_asked_for_is_counted_within_its_time() -> Result<()> {
        let first = parse(PATCH)?.context("a finished request")?;
        let second = AuditedRequest {
            at: first.at + jiff::SignedDuration::from_secs(2),
            verb: "get".to_owned(),
            ..first.clone()
        };
        let requests = vec![first.clone(), second.clone()];
        let asked = Asked::between(requests.clone(), first.at, second.at);
        assert_eq!(asked.requests, [first]);
        let asked = Asked::whole(requests).context("two requests")?;
        assert_eq!(
            asked.told(),
            "in 2 s: get pods/status: 1, patch pods/status: 1"
        );
        assert!((asked.number(AuditedRequest::is_write) - 1.0).abs() < f64::EPSILON);
        assert!(Asked::whole(Vec::new()).is_none());
        Ok(())
    }

    #[test]
    fn a_watch_counts_once() -> Result<()> {
        let watch = PATCH.replace(r#""verb":"patch""#, r#""verb":"watch""#);
        assert_eq!(parse(&watch)?, None);
        let opened = parse(&watch.replace("ResponseComplete", "ResponseStarted"))?;
        assert!(opened.is_some_and(|request| !request.is_write()));
        Ok(())
    }

    #[test]
    fn what_is_not_a_resource_goes_by_its_path() -> Result<()> {
        let scrape = r#"{"stage":"ResponseComplete","requestURI":"/metrics?a=b","verb":"get",
            "responseStatus":{"code":403},"requestReceivedTimestamp":"2026-11-21T21:00:00Z"}"#;
        let request = parse(scrape)?.context("a finished request")?;
        assert_eq!((request.target.as_str(), request.code), ("/metrics", 403));
        Ok(())
    }
}
