//! Requests to an API server that are more than calls of a client: measured, timed, or sent once. Each is one
//! [`Request`], and what comes back is one [`Answer`], read to its end.

use http::{
    HeaderValue, Request, StatusCode,
    header::{CONTENT_TYPE, DATE},
};
use http_body_util::BodyExt;
use kube::{client::Body, core::Status};
use serde_json::Value;
use weir_core::time::Moment;

use crate::api::times::moment;

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
    /// The second that the API server's clock showed, if it says so.
    pub(super) date: Option<Moment>,
}

impl Answer {
    /// What an API server says in an answer that is not an object; its status where it says nothing.
    pub(super) fn said(&self) -> String {
        let status: Option<Status> = serde_json::from_slice(&self.body).ok();
        let message = status.map(|status| status.message);
        let message = message.filter(|message| !message.is_empty());
        message.unwrap_or_else(|| self.status.to_string())
    }
}

/// Sends a request, and reads the answer.
///
/// # Errors
/// None comes, or it breaks off.
pub(super) async fn send(
    client: &kube::Client,
    request: Request<Body>,
) -> Result<Answer, kube::Error> {
    let response = client.send(request).await?;
    let status = response.status();
    let date = response.headers().get(DATE).and_then(date);
    let body = response.into_body().collect().await?.to_bytes().to_vec();
    Ok(Answer { status, body, date })
}

/// A request to read.
pub(super) fn get(uri: &str) -> Request<Body> {
    Request::get(uri)
        .body(Body::empty())
        .expect("namespaces and names are DNS labels, fit for a path")
}

/// A request with a body of this kind.
pub(super) fn with_body(
    request: http::request::Builder,
    kind: &str,
    body: &Value,
) -> Request<Body> {
    request
        .header(CONTENT_TYPE, kind)
        .body(Body::from(body.to_string().into_bytes()))
        .expect("namespaces and names are DNS labels, fit for a path")
}

/// The moment in a header `Date` (RFC 9110, section 5.6.7).
fn date(header: &HeaderValue) -> Option<Moment> {
    let zoned = jiff::fmt::rfc2822::parse(header.to_str().ok()?).ok()?;
    Some(moment(zoned.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_clock_is_read_in_whole_seconds() {
        let read = |text| date(&HeaderValue::from_static(text));
        let told = read("Sat, 28 Nov 2026 10:00:03 GMT");
        assert_eq!(told, Some(Moment::from_millis(1_795_860_003_000)));
        assert_eq!(read("soon"), None);
    }

    #[test]
    fn what_is_no_object_is_told_by_its_message_or_else_by_its_status() {
        let answer = |body: &str| Answer {
            status: StatusCode::FORBIDDEN,
            body: body.as_bytes().to_vec(),
            date: None,
        };
        let status = r#"{"kind":"Status","status":"Failure","message":"no","reason":"Forbidden","code":403}"#;
        assert_eq!(answer(status).said(), "no");
        assert_eq!(answer("<html>").said(), "403 Forbidden");
    }
}
