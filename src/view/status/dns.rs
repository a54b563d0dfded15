//! Whether DNS follows the API: from the ControlPlane's status to lines.

use serde::Serialize;
use weir_core::time::Moment;

use crate::{
    api::{
        ControlPlaneStatus, DnsLayerStatus, DnsMask, DnsRole, DnsState, marks::conditions,
        times::moment,
    },
    view::{
        clean::one_line,
        style::{BAD, FAINT, GOOD, HEAD, WARN},
        table::{self, Cell},
    },
};

/// DNS, as Weir last had it on record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NameService {
    /// Whether it follows the API; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_fresh: Option<bool>,
    /// Whether it can be measured at all.
    pub is_measured: bool,
    /// What Weir says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Each server that is asked.
    pub layers: Vec<Layer>,
}

/// One DNS server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// What it is known by.
    pub name: String,
    /// How it is asked.
    pub role: DnsRole,
    /// How fresh what it says is.
    pub state: DnsState,
    /// What hides that it does not follow the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<DnsMask>,
    /// For how many seconds that goes on yet, where it ends by itself; none left where it should have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_in_seconds: Option<u64>,
    /// CoreDNS replicas that still know the cluster's names, where it ends when the last restarts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_replicas: Option<u32>,
    /// Why nothing is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What the status says of DNS, at `now`.
pub(super) fn summarize(status: &ControlPlaneStatus, now: Moment) -> NameService {
    let Some(dns) = &status.dns else {
        return NameService::default();
    };
    let mut conditions = status.conditions.iter();
    let fresh = conditions.find(|one| one.type_ == conditions::DNS_FRESH);
    NameService {
        is_fresh: fresh
            .filter(|_| dns.not_measured.is_none())
            .map(|one| one.status == "True"),
        is_measured: dns.not_measured.is_none(),
        message: fresh.map(|one| one.message.clone()),
        layers: dns
            .layers
            .iter()
            .map(|layer| of_layer(layer, now))
            .collect(),
    }
}

fn of_layer(layer: &DnsLayerStatus, now: Moment) -> Layer {
    let ends_at = layer.ends_at.as_ref().map(|time| moment(time.0));
    Layer {
        name: layer.name.clone(),
        role: layer.role,
        state: layer.state,
        mask: layer.mask,
        ends_in_seconds: ends_at.map(|at| at.since(now).as_millis() / 1000),
        warm_replicas: layer.warm_replicas,
        why: layer.why.clone(),
    }
}

/// What is wrong with it, if something is.
pub(super) fn trouble(dns: &NameService) -> Vec<String> {
    let wrong = dns.message.as_ref().filter(|_| dns.is_fresh == Some(false));
    wrong
        .map(|message| format!("DNS: {message}"))
        .into_iter()
        .collect()
}

/// One line while all is well, and a table of what is not; nothing where nobody looked.
pub(super) fn lines(dns: &NameService) -> Vec<String> {
    if dns.message.is_none() {
        return Vec::new();
    }
    let rest = match (dns.is_measured, dns.is_fresh) {
        (true, Some(true)) => format!(
            "{GOOD}Fresh{GOOD:#}, {} of {} servers follow the API",
            servers(dns)
                .filter(|layer| layer.state == DnsState::Fresh)
                .count(),
            servers(dns).count()
        ),
        (true, Some(false)) => format!(
            "{BAD}Not fresh{BAD:#}, {} of {} servers follow the API",
            servers(dns)
                .filter(|layer| layer.state == DnsState::Fresh)
                .count(),
            servers(dns).count()
        ),
        (true, None) | (false, _) => {
            let why = dns.message.as_deref().map(one_line).unwrap_or_default();
            format!("{WARN}not measured{WARN:#}: {why}")
        }
    };
    let mut lines = vec![format!("{HEAD}DNS{HEAD:#}  {rest}")];
    let odd = dns
        .layers
        .iter()
        .filter(|layer| layer.state != DnsState::Fresh);
    let rows: Vec<_> = odd.map(row).collect();
    lines.extend(table::lines(&rows));
    lines
}

/// The DNS servers: the API itself is none.
fn servers(dns: &NameService) -> impl Iterator<Item = &Layer> {
    let is_api = |layer: &&Layer| matches!(layer.role, DnsRole::ApiRead | DnsRole::ApiWatch);
    dns.layers.iter().filter(move |layer| !is_api(layer))
}

fn row(layer: &Layer) -> Vec<Cell> {
    let (state, style) = match layer.state {
        DnsState::Fresh => ("Fresh", GOOD),
        DnsState::Masked => ("Masked", BAD),
        DnsState::Unseen => ("Unseen", WARN),
        DnsState::NotMeasured => ("Not measured", FAINT),
    };
    vec![
        layer.name.as_str().into(),
        Cell::styled(state, style),
        one_line(&hides(layer)).into(),
    ]
}

/// What hides it, and for how long yet.
fn hides(layer: &Layer) -> String {
    let by = layer.mask.map(|mask| match mask {
        DnsMask::Cache => "by a cache",
        DnsMask::FrozenReplica => "by a replica that hears of no change",
        DnsMask::ControlPlane => "while the API is silent",
        DnsMask::FrozenWatch => "by a watch that tells of no change",
    });
    let until = match (layer.ends_in_seconds, layer.warm_replicas) {
        (Some(0), _) => Some("for longer than it should be".to_owned()),
        (Some(seconds), _) => Some(format!("for {seconds} s yet")),
        (None, Some(1)) => Some("until the one replica that knows restarts".to_owned()),
        (None, Some(warm)) => Some(format!("until {warm} replicas that know restart")),
        (None, None) => None,
    };
    let parts = [by.map(str::to_owned), until, layer.why.clone()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
