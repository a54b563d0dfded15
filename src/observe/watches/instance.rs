//! EndpointSlice `default/kubernetes` → the addresses of the API servers.

use std::{collections::BTreeSet, net::SocketAddr};

use k8s_openapi::{
    api::discovery::v1::EndpointSlice, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{
    slice::{Body, Endpoint},
    slim::{Keep, Seen},
};

/// The port that API servers publish themselves under.
const PORT: &str = "https";

/// How the API servers' own EndpointSlice is read.
pub(in crate::observe) struct Instances;

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
        let (endpoints, ports) = body.into_parts();
        let mut ports = ports.iter();
        let port = ports.find(|port| port.name.as_deref() == Some(PORT));
        let port = port
            .and_then(|port| port.number)
            .ok_or("it has no port named https")?;
        let ready = endpoints.into_iter().filter(Endpoint::is_ready);
        let addresses = ready.flat_map(|endpoint| endpoint.addresses);
        Ok(Some(
            addresses
                .map(|ip| SocketAddr::new(ip, port).to_string())
                .collect(),
        ))
    }
}

#[cfg(test)]
mod tests;
