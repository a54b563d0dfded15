//! The object is one of kube-apiserver 1.36.3, less what is not decoded.

use serde_json::{Value, json};
use weir_core::time::Moment;

use super::*;
use crate::observe::watches::slim::Slim;

fn read(endpoints: &Value, ports: &Value) -> Result<Vec<String>, String> {
    let object = json!({
        "addressType": "IPv4", "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": "kubernetes", "namespace": "default", "resourceVersion": "203" },
        "endpoints": endpoints, "ports": ports
    });
    let slim: Slim<Instances> = serde_json::from_str(&object.to_string()).unwrap();
    let seen = Seen {
        now: Moment::from_millis(0),
        before: None,
    };
    let addresses = Instances.row(&slim.meta, slim.body?, seen)?;
    Ok(addresses.into_iter().flatten().collect())
}

fn https() -> Value {
    json!([{ "name": "https", "port": 6443, "protocol": "TCP" }])
}

#[test]
fn each_ready_address_is_a_server() {
    let endpoints = json!([
        { "addresses": ["172.31.255.2"], "conditions": { "ready": true } },
        { "addresses": ["172.31.255.1"] },
        { "addresses": ["172.31.255.3"], "conditions": { "ready": false } }
    ]);
    let addresses = read(&endpoints, &https()).unwrap();
    assert_eq!(addresses, ["172.31.255.1:6443", "172.31.255.2:6443"]);
}

#[test]
fn an_ipv6_address_is_bracketed() {
    let endpoints = json!([{ "addresses": ["fd00::1"], "conditions": {} }]);
    assert_eq!(read(&endpoints, &https()).unwrap(), ["[fd00::1]:6443"]);
}

#[test]
fn no_endpoints_are_no_servers_but_no_port_makes_no_sense() {
    assert_eq!(read(&Value::Null, &https()), Ok(vec![]));
    let why = read(&Value::Null, &json!([{ "name": "http", "port": 80 }])).unwrap_err();
    assert_eq!(why, "it has no port named https");
}
