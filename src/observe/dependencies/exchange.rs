//! One request → status and body, bounded in size; or why there is none.
//!
//! Each over a connection of its own, by HTTP/1.1, and never a second time: neither after an error nor by a redirect,
//! so that a token goes nowhere but where the policy says.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, LOCATION, USER_AGENT},
};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use super::kept::Trouble;
use crate::{api::bounds::clip, client::chain};

/// Bytes of an answer that are read at the most. Status pages have some kilobytes.
const LONGEST: usize = 1 << 20;
/// Characters that are shown of an address, or of a value, that others write.
pub(super) const SHOWN: usize = 120;

/// What is sent, and whom to trust.
pub(super) struct Call {
    pub(super) uri: Uri,
    pub(super) tls: ClientConfig,
    /// The name that the certificate must carry, where it is not the address' own.
    pub(super) server_name: Option<ServerName<'static>>,
    /// The whole value of the header `Authorization`.
    pub(super) authorization: Option<HeaderValue>,
}

/// What came back.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// Whom to trust: the authorities of a bundle, or those that browsers trust.
pub(super) fn trust(bundle: Option<&[u8]>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match bundle {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(bundle) => {
            for certificate in CertificateDer::pem_slice_iter(bundle) {
                let certificate = certificate.map_err(|error| error.to_string())?;
                roots.add(certificate).map_err(|error| error.to_string())?;
            }
            if roots.is_empty() {
                return Err("it holds no certificate".to_owned());
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Asks once. How long that may take is the caller's to say.
pub(super) async fn get(call: Call) -> Result<Reply, Trouble> {
    let Call {
        uri,
        tls,
        server_name,
        authorization,
    } = call;
    let mut request = Request::get(uri)
        .header(USER_AGENT, concat!("weir/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| Trouble::Absent(error.to_string()))?;
    if let Some(value) = authorization {
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .retry_canceled_requests(false)
        .build(connector(tls, server_name));
    let answer = client.request(request).await;
    let answer = answer.map_err(|error| Trouble::Absent(chain(&error)))?;
    let (head, body) = answer.into_parts();
    if head.status.is_redirection() {
        let to = head.headers.get(LOCATION).and_then(|to| to.to_str().ok());
        return Err(Trouble::Absent(redirected(head.status, to)));
    }
    match Limited::new(body, LONGEST).collect().await {
        Ok(body) => Ok(Reply {
            status: head.status,
            body: body.to_bytes(),
        }),
        Err(_) if head.status != StatusCode::OK => Err(refused(head.status)),
        Err(error) if error.is::<LengthLimitError>() => Err(Trouble::Garbled(
            "its answer is larger than 1 MiB, and was not read to its end".to_owned(),
        )),
        Err(error) => Err(Trouble::Absent(format!(
            "its answer broke off: {}",
            chain(error.as_ref())
        ))),
    }
}

/// An answer that says nothing but how the request went.
pub(super) fn refused(status: StatusCode) -> Trouble {
    Trouble::Absent(format!("it answers with {status}"))
}

/// Where a redirect leads, without what may be secret in it.
fn redirected(status: StatusCode, to: Option<&str>) -> String {
    let to = to.map_or_else(
        || "nowhere".to_owned(),
        |to| {
            let to = to.split(['?', '#']).next().unwrap_or_default();
            let to = match to.split_once("://") {
                Some((scheme, rest)) => {
                    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                    let host = host.rsplit('@').next().unwrap_or_default();
                    format!("{scheme}://{host}{path}")
                }
                None => to.to_owned(),
            };
            format!("to {}", clip(&to, SHOWN))
        },
    );
    format!(
        "it answers with a redirect ({}) {to}, which is not followed: the policy is to name where it leads",
        status.as_u16()
    )
}

fn connector(
    tls: ClientConfig,
    server_name: Option<ServerName<'static>>,
) -> HttpsConnector<HttpConnector> {
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http();
    let connector = match server_name {
        Some(name) => connector.with_server_name_resolver(FixedServerNameResolver::new(name)),
        None => connector,
    };
    connector.enable_http1().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_told_without_what_may_be_secret_in_it() {
        let told = |to| redirected(StatusCode::FOUND, Some(to));
        let login = told("https://me:hush@login.example.com/a/b?token=hush#c");
        assert!(
            login.contains("(302) to https://login.example.com/a/b,"),
            "{login}"
        );
        assert!(told("/elsewhere?hush").contains("to /elsewhere,"));
        let nowhere = redirected(StatusCode::FOUND, None);
        assert!(nowhere.contains("nowhere"), "{nowhere}");
    }

    #[test]
    fn a_bundle_without_a_certificate_trusts_nobody_and_says_so() {
        assert!(trust(None).is_ok());
        assert!(
            trust(Some(b"hello"))
                .unwrap_err()
                .contains("no certificate")
        );
        let broken = b"-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n";
        assert!(trust(Some(broken)).is_err());
    }
}
