//! Credentials of `ServiceAccount`s, as their pods would have them.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use super::{World, components, kubeconfig};

/// Longer than any experiment: nothing renews these tokens.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

impl World {
    /// A token of the ServiceAccount, good for a day.
    ///
    /// # Errors
    /// There is no such ServiceAccount.
    pub async fn token(&self, namespace: &str, account: &str) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let spec = TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
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

    /// A kubeconfig file with such a token, pointing at the first API server.
    ///
    /// # Errors
    /// As [`World::token`].
    pub async fn account_kubeconfig(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let server = components::server_address(0);
        self.account_kubeconfig_at(namespace, account, server).await
    }

    /// A kubeconfig file with such a token, pointing at `server` (port 6443).
    ///
    /// # Errors
    /// As [`World::token`].
    pub async fn account_kubeconfig_at(
        &self,
        namespace: &str,
        account: &str,
        server: Ipv4Addr,
    ) -> Result<PathBuf> {
        let token = self.token(namespace, account).await?;
        let authority = self.directory().join("pki/ca.crt");
        let config = kubeconfig::kubeconfig(&authority, server, &json!({ "token": token }));
        kubeconfig::write(self.directory(), &format!("{namespace}-{account}"), &config)
    }
}
