//! One question → how the dependency is, or why that is not known.

use std::time::Duration;

use form_urlencoded::Serializer;
use http::{HeaderValue, StatusCode, Uri};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::time::timeout;
use weir_core::evidence::Health;

use super::{
    exchange::{self, Call, Reply},
    json,
    kept::Trouble,
    prometheus,
    secrets::Secrets,
};
use crate::dependency::{Question, SecretKey, Signal, Tls};

/// The key of a Secret that holds authorities.
const AUTHORITIES: &str = "ca.crt";

/// Asks once.
pub(super) async fn ask(question: &Question, secrets: &Secrets) -> Result<Health, Trouble> {
    let call = prepare(question, secrets).await.map_err(Trouble::Absent)?;
    let within = Duration::from_millis(question.timeout.as_millis());
    let reply = match timeout(within, exchange::get(call)).await {
        Ok(reply) => reply,
        Err(_) => Err(Trouble::Absent(format!(
            "no whole answer within {}",
            question.timeout
        ))),
    };
    let health = reply.and_then(|reply| read(&reply, &question.signal));
    health.map_err(|trouble| trouble.at(question.place()))
}

/// What its answer says.
fn read(reply: &Reply, signal: &Signal) -> Result<Health, Trouble> {
    match signal {
        Signal::Json { .. } if reply.status != StatusCode::OK => {
            Err(exchange::refused(reply.status))
        }
        Signal::Json { path, well } => json::health(&reply.body, path, well),
        Signal::Prometheus {
            query: _, // it was sent
            threshold,
            incident,
        } => prometheus::health(reply, *threshold, *incident),
    }
}

/// Everything that goes into the request.
async fn prepare(question: &Question, secrets: &Secrets) -> Result<Call, String> {
    let Tls {
        ca_secret,
        server_name,
    } = &question.tls;
    let server_name = server_name.clone().map(ServerName::try_from).transpose();
    Ok(Call {
        uri: uri(question)?,
        tls: trust(ca_secret.as_deref(), secrets).await?,
        server_name: server_name.map_err(|error| error.to_string())?,
        authorization: match &question.bearer {
            Some(key) => Some(bearer(key, secrets).await?),
            None => None,
        },
    })
}

/// Where the question goes.
fn uri(question: &Question) -> Result<Uri, String> {
    let uri = match &question.signal {
        Signal::Json { .. } => question.url.parse::<Uri>(),
        Signal::Prometheus { query, .. } => {
            // It stops by itself what nobody waits for any longer.
            let within = format!("{}ms", question.timeout.as_millis());
            let pairs = Serializer::new(String::new())
                .append_pair("query", query)
                .append_pair("timeout", &within)
                .finish();
            format!("{}/api/v1/query?{pairs}", question.url).parse::<Uri>()
        }
    };
    uri.map_err(|error| error.to_string())
}

async fn trust(ca_secret: Option<&str>, secrets: &Secrets) -> Result<ClientConfig, String> {
    let Some(name) = ca_secret else {
        return exchange::trust(None);
    };
    let key = SecretKey {
        name: name.to_owned(),
        key: AUTHORITIES.to_owned(),
    };
    let bundle = secrets.value(&key).await?;
    exchange::trust(Some(&bundle))
        .map_err(|why| format!("`{AUTHORITIES}` of the Secret `{name}`: {why}"))
}

/// The header's value, marked so that nothing prints it.
async fn bearer(key: &SecretKey, secrets: &Secrets) -> Result<HeaderValue, String> {
    let token = secrets.value(key).await?;
    let token = token.trim_ascii();
    let value = HeaderValue::from_bytes(&[b"Bearer ".as_slice(), token].concat());
    let mut value = value.ok().filter(|_| !token.is_empty()).ok_or_else(|| {
        let SecretKey { name, key } = key;
        format!("what is at `{key}` in the Secret `{name}` is no bearer token")
    })?;
    value.set_sensitive(true);
    Ok(value)
}
