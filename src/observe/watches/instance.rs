//! EndpointSlice `default/kubernetes` → the addresses of the API servers.

use std::{collections::BTreeSet, net::IpAddr};

use k8s_openapi::{
    api::discovery::v1::EndpointSlice, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Deserialize;

use super::slim::{Keep, Seen};

/// The port that API servers publish themselves under.
const PORT: &str = "https";

/// How the API servers' own EndpointSlice is read.
pub(in crate::observe) struct Instances;

#[derive(Debug, Clone, Deserialize)]
pub(in crate::observe) struct Body {
    endpoints: Option<Vec<Endpoint>>,
    ports: Option<Vec<Port>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Endpoint {
    addresses: Vec<IpAddr>,
    #[serde(default)]
    conditions: Conditions,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Conditions {
    ready: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
struct Port {
    name: Option<String>,
    port: Option<u16>,
}

impl Keep for Instances {
    type Kind = EndpointSlice;
    type Body = Body;
    type Key = String;
    type Row = BTreeSet<String>;

    fn key(meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn row(
        &self,
        _: &ObjectMeta,
        body: Body,
        _: Seen<'_, Self::Row>,
    ) -> Result<Option<Self::Row>, String> {
        let mut ports = body.ports.into_iter().flatten();
        let port = ports.find(|port| port.name.as_deref() == Some(PORT));
        let port = port
            .and_then(|port| port.port)
            .ok_or("it has no port named https")?;
        let endpoints = body.endpoints.into_iter().flatten();
        let ready = endpoints.filter(|endpoint| endpoint.conditions.ready != Some(false));
        let addresses = ready.flat_map(|endpoint| endpoint.addresses);
        Ok(Some(
            addresses
                .map(|ip| std::net::SocketAddr::new(ip, port).to_string())
                .collect(),
        ))
    }
}

#[cfg(test)]
mod tests;
