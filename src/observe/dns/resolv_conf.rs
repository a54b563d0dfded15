//! A resolv.conf → the servers that it names, and the cluster's zone (resolv.conf(5)).

use std::net::{IpAddr, SocketAddr};

/// The port of DNS.
const PORT: u16 = 53;

/// Servers that are taken: a resolver of libc's asks three at most.
const SERVERS: usize = 3;

/// What Weir's own process was given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ResolvConf {
    /// The servers, in order.
    pub(super) servers: Vec<SocketAddr>,
    /// The zone of the cluster, if a search list has one: what follows `svc.`.
    pub(super) zone: Option<String>,
}

/// Reads one. Whatever is not understood is passed over, as resolvers do.
pub(super) fn parse(text: &str) -> ResolvConf {
    let mut found = ResolvConf::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => {
                let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                found
                    .servers
                    .extend(address.map(|ip| SocketAddr::new(ip, PORT)));
            }
            // The last list counts.
            Some("search") => {
                let zone = words.find_map(|domain| domain.strip_prefix("svc."));
                found.zone = zone.map(|zone| zone.trim_end_matches('.').to_owned());
            }
            _ => {}
        }
    }
    found.servers.truncate(SERVERS);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_names_its_server_and_zone() {
        let text = "search weir-system.svc.cluster.local svc.cluster.local cluster.local\n\
                    nameserver 10.96.0.10\noptions ndots:5\n";
        let found = parse(text);
        assert_eq!(found.servers, ["10.96.0.10:53".parse().unwrap()]);
        assert_eq!(found.zone.as_deref(), Some("cluster.local"));
    }

    #[test]
    fn what_is_none_of_a_cluster_has_no_zone() {
        let text = "# none\nsearch example.org\nnameserver fe80::1%eth0\nnameserver ::1\nnameserver\n\
                    nameserver 127.0.0.53\nnameserver 1.1.1.1\nnameserver 8.8.8.8\n";
        let found = parse(text);
        let servers = ["[::1]:53", "127.0.0.53:53", "1.1.1.1:53"].map(|one| one.parse().unwrap());
        assert_eq!(found.servers, servers);
        assert_eq!(found.zone, None);
        assert_eq!(parse(""), ResolvConf::default());
    }
}
