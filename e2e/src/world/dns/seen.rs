//! Weir's own page of metrics → what it sees of each DNS server.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::Result;

use super::super::WeirProcess;

/// The masks that there are, by their names in metrics.
const MASKS: [&str; 4] = ["Cache", "FrozenReplica", "ControlPlane", "FrozenWatch"];

/// What Weir sees of DNS, by the servers' names: replicas by their pods, others by their role and address.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DnsSeen {
    /// Age of the newest beacon that it shows, in seconds, of each that was heard.
    pub lag: BTreeMap<String, f64>,
    /// Seconds since it last took in a change, of each that says.
    pub serial_age: BTreeMap<String, f64>,
    /// What masks it, of each that is masked.
    pub masked: BTreeMap<String, String>,
    /// For how many seconds a cache can go on hiding that.
    pub horizon: BTreeMap<String, f64>,
    /// How many times the load behind it would be without its cache, of each whose own count was read.
    pub leverage: BTreeMap<String, f64>,
}

impl DnsSeen {
    /// What a page tells.
    #[must_use]
    pub fn of(page: &str) -> Self {
        let mut seen = Self::default();
        for line in page.lines() {
            let Some((metric, labels, value)) = series(line) else {
                continue;
            };
            let Some(layer) = label(labels, "layer") else {
                continue;
            };
            // The API itself is told of as well, and is no server.
            let is_api = label(labels, "role").is_some_and(|role| role.starts_with("api-"));
            let into = match metric {
                "weir_dns_lag_seconds" if is_api => continue,
                "weir_dns_lag_seconds" => &mut seen.lag,
                "weir_dns_serial_age_seconds" => &mut seen.serial_age,
                "weir_dns_horizon_seconds" => &mut seen.horizon,
                "weir_dns_leverage" => &mut seen.leverage,
                "weir_dns_masked" => {
                    let by = label(labels, "by").filter(|by| MASKS.contains(&by.as_str()));
                    if value > 0.0 {
                        seen.masked.extend(by.map(|by| (layer, by)));
                    }
                    continue;
                }
                _ => continue,
            };
            into.insert(layer, value);
        }
        seen
    }

    /// Whether exactly these servers are masked, all by this; of a name its beginning is enough.
    #[must_use]
    pub fn is_only(&self, mask: &str, servers: &[&str]) -> bool {
        let begins = |name: &String, server: &&str| name.starts_with(*server);
        self.masked.len() == servers.len()
            && self
                .masked
                .iter()
                .all(|(name, by)| by == mask && servers.iter().any(|server| begins(name, server)))
    }

    /// Whether so many servers are heard, and none is masked.
    #[must_use]
    pub fn is_fresh(&self, servers: usize) -> bool {
        self.lag.len() == servers && self.masked.is_empty()
    }

    /// Of one thing what is told of the server at this address.
    #[must_use]
    pub fn at(of: &BTreeMap<String, f64>, address: IpAddr) -> Option<f64> {
        let ends = format!(" {address}");
        let mut found = of.iter().filter(|(name, _)| name.ends_with(&ends));
        found.next().map(|(_, value)| *value)
    }
}

impl WeirProcess {
    /// What Weir sees of DNS.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn dns_seen(&self) -> Result<DnsSeen> {
        Ok(DnsSeen::of(&self.get("/metrics").await?))
    }
}

/// One line's metric, labels and value.
fn series(line: &str) -> Option<(&str, &str, f64)> {
    let (metric, rest) = line.split_once('{')?;
    let (labels, value) = rest.rsplit_once('}')?;
    Some((metric, labels, value.trim().parse().ok()?))
}

fn label(labels: &str, name: &str) -> Option<String> {
    let before = format!("{name}=\"");
    let at = labels.match_indices(&before).find(|(at, _)| {
        // `layer` is no part of another label's name.
        *at == 0 || labels.as_bytes().get(at - 1) == Some(&b',')
    });
    let (at, _) = at?;
    let value = labels.get(at + before.len()..)?.split('"').next()?;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# TYPE weir_dns_masked gauge
weir_dns_lag_seconds{layer=\"coredns-1\",role=\"replica\"} 3.5
weir_dns_lag_seconds{layer=\"kube-dns 10.96.0.10\",role=\"service\"} 44.0
weir_dns_masked{layer=\"coredns-1\",role=\"replica\",by=\"Cache\"} 0.0
weir_dns_masked{layer=\"kube-dns 10.96.0.10\",role=\"service\",by=\"Cache\"} 1.0
weir_dns_masked{layer=\"kube-dns 10.96.0.10\",role=\"service\",by=\"ControlPlane\"} 0.0
weir_dns_horizon_seconds{layer=\"kube-dns 10.96.0.10\",role=\"service\"} 3590.0
weir_dns_leverage{layer=\"coredns-1\",role=\"replica\"} 1.5
weir_dns_measured 1.0
";

    #[test]
    fn each_server_is_read_with_its_mask() {
        let seen = DnsSeen::of(PAGE);
        assert_eq!(seen.lag.len(), 2);
        assert_eq!(seen.leverage.get("coredns-1"), Some(&1.5));
        assert!(seen.is_only("Cache", &["kube-dns"]));
        assert!(!seen.is_only("FrozenReplica", &["kube-dns"]));
        assert!(!seen.is_only("Cache", &["coredns-1"]) && !seen.is_fresh(2));
        let at = |of| DnsSeen::at(of, super::super::SERVICE.into());
        assert_eq!(at(&seen.horizon), Some(3590.0));
        assert_eq!(at(&seen.serial_age), None);
        assert!(DnsSeen::of("").is_fresh(0));
    }
}
