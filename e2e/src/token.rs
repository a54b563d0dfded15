//! Tokens of `ServiceAccount`s, as their pods would have them.

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};

/// Longer than any experiment: nothing renews these tokens.
const SECONDS: i64 = 24 * 60 * 60;

/// A token of the ServiceAccount, good for a day. `client` may ask for it.
///
/// # Errors
/// There is no such ServiceAccount.
pub(crate) async fn token(client: Client, namespace: &str, account: &str) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client, namespace);
    let spec = TokenRequestSpec {
        expiration_seconds: Some(SECONDS),
        ..TokenRequestSpec::default()
    };
    let request = TokenRequest {
        spec: Some(spec),
        ..TokenRequest::default()
    };
    let granted = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await
        .with_context(|| format!("asking for a token of {namespace}/{account}"))?;
    granted
        .status
        .and_then(|status| status.token)
        .context("a token request without a token")
}
