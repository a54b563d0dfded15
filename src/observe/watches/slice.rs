//! What is decoded of an EndpointSlice, whoever's it is.

use std::net::IpAddr;

use serde::Deserialize;

/// An EndpointSlice. API servers send `null` for a list without elements.
#[derive(Debug, Clone, Deserialize)]
pub(in crate::observe) struct Body {
    endpoints: Option<Vec<Endpoint>>,
    ports: Option<Vec<Port>>,
}

/// What answers at some addresses.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Endpoint {
    pub(super) addresses: Vec<IpAddr>,
    #[serde(default)]
    conditions: Conditions,
    target_ref: Option<Target>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Conditions {
    ready: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    name: Option<String>,
}

/// A port of all of them.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Port {
    pub(super) name: Option<String>,
    #[serde(rename = "port")]
    pub(super) number: Option<u16>,
    pub(super) protocol: Option<String>,
}

impl Body {
    /// Its endpoints and its ports.
    pub(super) fn into_parts(self) -> (Vec<Endpoint>, Vec<Port>) {
        (
            self.endpoints.unwrap_or_default(),
            self.ports.unwrap_or_default(),
        )
    }
}

impl Endpoint {
    /// Whether requests should go there; what says nothing of it is.
    pub(super) fn is_ready(&self) -> bool {
        self.conditions.ready != Some(false)
    }

    /// The name of the pod that answers, if it says so.
    pub(super) fn pod(self) -> Option<String> {
        self.target_ref?.name
    }
}
