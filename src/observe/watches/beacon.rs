//! The beacon's EndpointSlice → the epoch that its addresses stand for.

use std::net::{IpAddr, Ipv4Addr};

use k8s_openapi::{
    api::discovery::v1::EndpointSlice, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use weir_core::dns::Epoch;

use super::{
    slice::Body,
    slim::{Keep, Seen},
};

/// How the beacon is read.
pub(in crate::observe) struct Beacons;

impl Keep for Beacons {
    type Kind = EndpointSlice;
    type Body = Body;
    type Key = String;
    type Row = Epoch;

    fn key(meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn row(
        &self,
        _: &ObjectMeta,
        body: Body,
        seen: Seen<'_, Epoch>,
    ) -> Result<Option<Epoch>, String> {
        let (endpoints, _) = body.into_parts();
        let addresses = endpoints
            .into_iter()
            .flat_map(|endpoint| endpoint.addresses);
        let addresses: Vec<_> = addresses.filter_map(ipv4).collect();
        // Somebody may have edited it: that it shows no epoch is told of what the API has.
        Ok(Epoch::read(&addresses, seen.now).ok())
    }
}

const fn ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}
