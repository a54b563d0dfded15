//! What is in Secrets of Weir's own namespace, where it was granted to read them.
//!
//! Each is read again a minute later, since tokens are rotated. What was read goes into one request and nowhere else:
//! it is in no log, status or message, and nothing here can be printed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use weir_core::time::{Moment, Span};

use crate::{
    client::{chain, is_missing},
    clock::Clock,
    dependency::SecretKey,
};

/// For how long what was read is used.
const KEPT_FOR: Span = Span::from_secs(60);

/// A value, and when it was read.
type Read = (Moment, Arc<[u8]>);

/// Reads Secrets, and keeps what it read for a while.
pub(super) struct Secrets {
    api: Api<Secret>,
    namespace: String,
    clock: Clock,
    read: Mutex<BTreeMap<SecretKey, Read>>,
}

impl Secrets {
    /// Those of a namespace.
    pub(super) fn new(client: kube::Client, namespace: &str, clock: Clock) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            clock,
            read: Mutex::default(),
        }
    }

    /// The value of a key; or a sentence that says which right, or which value, is missing.
    pub(super) async fn value(&self, of: &SecretKey) -> Result<Arc<[u8]>, String> {
        let now = self.clock.now();
        let before = self.kept(of);
        if let Some((at, value)) = &before
            && now.since(*at) < KEPT_FOR
        {
            return Ok(Arc::clone(value));
        }
        let namespace = &self.namespace;
        let SecretKey { name, key } = of;
        match self.api.get(name).await {
            Ok(secret) => {
                let value = secret.data.and_then(|mut data| data.remove(key));
                let value = value.ok_or_else(|| {
                    format!("the Secret `{name}` in `{namespace}` has no key `{key}`")
                });
                let value: Arc<[u8]> = value.inspect_err(|_| self.forget(of))?.0.into();
                self.keep(of, (now, Arc::clone(&value)));
                Ok(value)
            }
            Err(error) if is_missing(&error) => {
                self.forget(of);
                Err(format!("there is no Secret `{name}` in `{namespace}`"))
            }
            Err(error) if is_forbidden(&error) => {
                self.forget(of);
                Err(format!(
                    "Weir may not read the Secret `{name}` in `{namespace}`: name it in the chart's value \
                     dependencies.secrets, or grant `get` of it as deploy/dependencies/rbac.yaml does"
                ))
            }
            // An API server that says nothing takes no token away.
            Err(error) => match before {
                Some((_, value)) => Ok(value),
                None => Err(format!(
                    "the Secret `{name}` in `{namespace}` could not be read: {}",
                    chain(&error)
                )),
            },
        }
    }

    fn kept(&self, of: &SecretKey) -> Option<Read> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.get(of).cloned()
    }

    fn keep(&self, of: &SecretKey, value: Read) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        // Of policies that are gone nothing is kept.
        read.retain(|_, (at, _)| value.0.since(*at) < KEPT_FOR.times(60.0));
        read.insert(of.clone(), value);
    }

    fn forget(&self, of: &SecretKey) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.remove(of);
    }
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::fake::{Answer, Server};

    fn token() -> SecretKey {
        SecretKey {
            name: "prometheus".to_owned(),
            key: "token".to_owned(),
        }
    }

    fn secrets(server: &Server) -> Secrets {
        Secrets::new(server.client(), "weir-system", Clock::start())
    }

    fn secret(value: &str) -> Answer {
        // `aHVzaA==` is `hush`.
        let json = format!(
            r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"prometheus"}},"data":{{{value}}}}}"#
        );
        Answer::whole(200, json)
    }

    fn refusal(code: u16, reason: &str) -> Answer {
        let json = format!(
            r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"{reason}","code":{code}}}"#
        );
        Answer::whole(code, json)
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_kept_for_a_minute_and_over_an_api_server_s_silence() {
        let server = Server::that([
            secret(r#""token":"aHVzaA==""#),
            refusal(500, "InternalError"),
        ]);
        let secrets = secrets(&server);
        for _ in 0..3 {
            assert_eq!(&*secrets.value(&token()).await.unwrap(), b"hush");
        }
        assert_eq!(
            server.asked(),
            ["GET /api/v1/namespaces/weir-system/secrets/prometheus"]
        );
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(&*secrets.value(&token()).await.unwrap(), b"hush");
        assert_eq!(server.asked().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_be_read_says_what_is_missing() {
        for (answer, says) in [
            (refusal(403, "Forbidden"), "dependencies.secrets"),
            (
                refusal(404, "NotFound"),
                "there is no Secret `prometheus` in `weir-system`",
            ),
            (secret(r#""other":"aHVzaA==""#), "has no key `token`"),
            (refusal(500, "InternalError"), "could not be read: no"),
        ] {
            let server = Server::that([answer]);
            let said = secrets(&server).value(&token()).await.unwrap_err();
            assert!(said.contains(says), "{said}");
            assert!(!said.contains("hush"), "{said}");
        }
    }
}
