//! EndpointSlices of the cluster's DNS Service → the addresses of its replicas.

use std::{collections::BTreeMap, net::SocketAddr};

use k8s_openapi::{
    api::discovery::v1::EndpointSlice, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{
    slice::{Body, Port},
    slim::{Keep, Seen},
};

/// The port for UDP where there are several: CoreDNS's manifests call it so.
const PORT: &str = "dns";

/// How the DNS Service's EndpointSlices are read.
pub(in crate::observe) struct NameServers;

impl Keep for NameServers {
    type Kind = EndpointSlice;
    type Body = Body;
    type Key = String;
    /// Each replica by its pod's name, ready or not: one that is not may be cold, which is to be seen.
    type Row = BTreeMap<String, SocketAddr>;

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
        if endpoints.is_empty() {
            return Ok(None);
        }
        let by_udp = |port: &&Port| port.protocol.as_deref() == Some("UDP");
        let named = |port: &&Port| by_udp(port) && port.name.as_deref() == Some(PORT);
        let port = ports
            .iter()
            .find(named)
            .or_else(|| ports.iter().find(by_udp));
        let Some(port) = port.and_then(|port| port.number) else {
            return Ok(None);
        };
        let replicas = endpoints.into_iter().filter_map(|endpoint| {
            let address = SocketAddr::new(*endpoint.addresses.first()?, port);
            let pod = endpoint.pod();
            Some((pod.unwrap_or_else(|| address.ip().to_string()), address))
        });
        Ok(Some(replicas.collect()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_core::time::Moment;

    use super::*;

    fn row(slice: serde_json::Value) -> Result<Option<BTreeMap<String, SocketAddr>>, String> {
        let seen = Seen {
            now: Moment::from_millis(0),
            before: None,
        };
        let body = serde_json::from_value(slice).map_err(|error| error.to_string())?;
        NameServers.row(&ObjectMeta::default(), body, seen)
    }

    #[test]
    fn replicas_are_known_by_their_pods_at_the_port_for_udp() {
        let slice = json!({
            "endpoints": [
                { "addresses": ["10.244.0.2"], "targetRef": { "kind": "Pod", "name": "coredns-a" },
                  "conditions": { "ready": false } },
                { "addresses": ["10.244.0.3"] },
            ],
            "ports": [
                { "name": "metrics", "port": 9153, "protocol": "TCP" },
                { "name": "dns-tcp", "port": 5353, "protocol": "TCP" },
                { "name": "dns", "port": 5353, "protocol": "UDP" },
            ],
        });
        let replicas = [
            ("coredns-a", "10.244.0.2:5353"),
            ("10.244.0.3", "10.244.0.3:5353"),
        ];
        let replicas = replicas.map(|(name, address)| (name.to_owned(), address.parse().unwrap()));
        assert_eq!(row(slice), Ok(Some(replicas.into())));
    }

    #[test]
    fn one_without_replicas_or_without_a_port_has_none() {
        assert_eq!(row(json!({ "endpoints": null, "ports": null })), Ok(None));
        let odd = json!({ "endpoints": [{ "addresses": ["10.0.0.1"] }], "ports": [] });
        assert_eq!(row(odd), Ok(None));
    }
}
