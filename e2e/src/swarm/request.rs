//! A call of a profile, turned into an HTTP request: path, query, method and body.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;

use crate::{
    profile::{
        call::{Call, LISTED, Verb},
        template::Values,
    },
    wire::Trouble,
};

/// Where a list or a watch goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// The version that a watch goes on from.
    pub(super) version: Option<String>,
    /// What asks for a list's next page.
    pub(super) next: Option<String>,
}

/// The request for a call. It fails only where filled-in text is no path.
pub(super) fn build(
    call: &Call,
    values: &Values<'_>,
    page: &Page,
) -> Result<Request<Full<Bytes>>, Trouble> {
    let mut uri = path(call, values);
    let query = query(call, values, page);
    if !query.is_empty() {
        uri.push('?');
        uri.push_str(&query);
    }
    let body = call.body.as_ref().map_or_else(Bytes::new, |body| {
        Bytes::from(body.fill(values).to_string())
    });
    let mut request = Request::builder().method(method(call.verb)).uri(uri);
    if call.verb.sends_a_body() {
        let content_type = if call.verb == Verb::Patch {
            call.patch.content_type()
        } else {
            "application/json"
        };
        request = request.header(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    request.body(Full::new(body)).map_err(|_| Trouble::Broken)
}

const fn method(verb: Verb) -> Method {
    match verb {
        Verb::Get | Verb::List | Verb::Watch => Method::GET,
        Verb::Create => Method::POST,
        Verb::Update => Method::PUT,
        Verb::Patch => Method::PATCH,
        Verb::Delete => Method::DELETE,
    }
}

fn path(call: &Call, values: &Values<'_>) -> String {
    let namespace = call
        .namespace
        .as_ref()
        .map(|namespace| namespace.fill(values));
    let mut path = call.resource.path(namespace.as_deref());
    for part in [
        call.object.as_ref().map(|object| object.fill(values)),
        call.subresource.clone(),
    ]
    .into_iter()
    .flatten()
    {
        path.push('/');
        path.push_str(&part);
    }
    path
}

fn query(call: &Call, values: &Values<'_>, page: &Page) -> String {
    let query = &call.query;
    let mut pairs = form();
    for (key, selector) in [
        ("labelSelector", &query.label_selector),
        ("fieldSelector", &query.field_selector),
    ] {
        if let Some(selector) = selector {
            pairs.append_pair(key, &selector.fill(values));
        }
    }
    if let Some(limit) = query.limit {
        pairs.append_pair("limit", &limit.to_string());
    }
    // A continue token carries its version; the API server refuses both together.
    let stated = query
        .resource_version
        .as_deref()
        .filter(|version| *version != LISTED);
    match (&page.next, page.version.as_deref().or(stated)) {
        (Some(next), _) => {
            pairs.append_pair("continue", next);
        }
        (None, Some(version)) => {
            pairs.append_pair("resourceVersion", version);
        }
        (None, None) => {}
    }
    if call.verb == Verb::Watch {
        pairs.append_pair("watch", "true");
        pairs.append_pair("allowWatchBookmarks", "true");
        if let Some(lasts) = query.lasts {
            pairs.append_pair("timeoutSeconds", &lasts.as_secs().to_string());
        }
        if query.initial_events {
            pairs.append_pair("sendInitialEvents", "true");
            pairs.append_pair("resourceVersionMatch", "NotOlderThan");
        }
    }
    pairs.finish()
}

fn form() -> form_urlencoded::Serializer<'static, String> {
    form_urlencoded::Serializer::new(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    const VALUES: Values<'static> = Values {
        node: "node-7",
        pod: "agent-x",
        namespace: "agents",
        index: 3,
        now: jiff::Timestamp::UNIX_EPOCH,
    };

    fn built(call: &str, page: &Page) -> Request<Full<Bytes>> {
        let profile = Profile::parse(&format!("calls: [{call}]"), "test").expect("a good profile");
        let call = profile.calls.last().expect("one call");
        build(call, &VALUES, page).expect("a good request")
    }

    #[test]
    fn calls_become_the_requests_that_clients_send() {
        let table = [
            ("{verb: list, resource: v1/pods}", "GET", "/api/v1/pods"),
            (
                "{verb: list, resource: v1/pods, query: {fieldSelector: spec.nodeName=$(NODE_NAME), \
                 labelSelector: 'a in (b, c)', limit: 500, resourceVersion: '0'}}",
                "GET",
                "/api/v1/pods?labelSelector=a+in+%28b%2C+c%29&fieldSelector=spec.nodeName%3Dnode-7\
                 &limit=500&resourceVersion=0",
            ),
            (
                "{verb: get, resource: v1/pods, namespace: $(POD_NAMESPACE), object: $(POD_NAME)}",
                "GET",
                "/api/v1/namespaces/agents/pods/agent-x",
            ),
            (
                "{verb: watch, resource: apps/v1/replicasets, query: {lasts: 5m}}",
                "GET",
                "/apis/apps/v1/replicasets?watch=true&allowWatchBookmarks=true&timeoutSeconds=300",
            ),
            (
                "{verb: watch, resource: v1/pods, query: {initialEvents: true}}",
                "GET",
                "/api/v1/pods?watch=true&allowWatchBookmarks=true&sendInitialEvents=true\
                 &resourceVersionMatch=NotOlderThan",
            ),
            (
                "{verb: delete, resource: v1/configmaps, namespace: x, object: y-$(INDEX)}",
                "DELETE",
                "/api/v1/namespaces/x/configmaps/y-3",
            ),
        ];
        for (call, method, uri) in table {
            let request = built(call, &Page::default());
            assert_eq!(
                (
                    request.method().as_str(),
                    request.uri().to_string().as_str()
                ),
                (method, uri)
            );
        }
    }

    #[test]
    fn a_patch_says_how_it_is_to_be_merged_and_where() {
        for (kind, content_type) in [
            ("strategic", "application/strategic-merge-patch+json"),
            ("merge", "application/merge-patch+json"),
        ] {
            let call = format!(
                "{{verb: patch, resource: v1/nodes, subresource: status, object: $(NODE_NAME), \
                 patch: {kind}, body: {{status: {{x: $(INDEX)}}}}}}"
            );
            let request = built(&call, &Page::default());
            assert_eq!(request.method(), Method::PATCH);
            assert_eq!(request.uri().path(), "/api/v1/nodes/node-7/status");
            assert_eq!(request.headers()[header::CONTENT_TYPE], content_type);
        }
    }

    #[test]
    fn a_next_page_is_asked_for_without_a_version() {
        let page = Page {
            version: None,
            next: Some("abc==".to_owned()),
        };
        let call = "{verb: list, resource: v1/pods, query: {limit: 5, resourceVersion: '0'}}";
        let request = built(call, &page);
        assert_eq!(request.uri().query(), Some("limit=5&continue=abc%3D%3D"));
    }

    #[test]
    fn a_watch_goes_on_from_where_it_was() {
        let page = Page {
            version: Some("12".to_owned()),
            next: None,
        };
        let call = "{verb: list, resource: v1/pods}, \
                    {verb: watch, resource: v1/pods, query: {resourceVersion: listed}}";
        let query = built(call, &page).uri().query().map(str::to_owned);
        assert_eq!(
            query.as_deref(),
            Some("resourceVersion=12&watch=true&allowWatchBookmarks=true")
        );
    }
}
