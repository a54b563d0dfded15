//! Credentials of `ServiceAccount`s, as their pods would have them.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use super::{World, components, kubeconfig};
use crate::token::token;

impl World {
    /// A token of the ServiceAccount, good for a day.
    ///
    /// # Errors
    /// There is no such ServiceAccount.
    pub async fn token(&self, namespace: &str, account: &str) -> Result<String> {
        token(self.client(), namespace, account).await
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
