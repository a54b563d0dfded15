use serde_json::json;

use super::*;

const COREFILE_TEXT: &str = "\
.:53 {
    kubernetes cluster.example in-addr.arpa ip6.arpa {
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    cache 30
}
";

const NODE_TEXT: &str = "\
cluster.example:53 {
    cache {
        success 9984 30
        serve_stale 1h
    }
}
.:53 {
    cache 30
}
";

fn service(ip: &str) -> Service {
    serde_json::from_value(json!({ "spec": { "clusterIP": ip } })).unwrap()
}

fn given(text: &str) -> resolv_conf::ResolvConf {
    resolv_conf::parse(text)
}

fn blocks(text: &str) -> Vec<ServerBlock> {
    corefile::parse(text).unwrap()
}

#[test]
fn each_server_is_known_with_its_role_and_for_how_long_it_serves_stale_answers() {
    let pod = given("search a.svc.cluster.example svc.cluster.example\nnameserver 169.254.20.10\n");
    let service = service("10.96.0.10");
    let facts = gather(
        &blocks(COREFILE_TEXT),
        &blocks(NODE_TEXT),
        Some(&service),
        pod,
    );
    assert_eq!(facts.zone, "cluster.example");
    assert_eq!(facts.ttl, Some(Span::from_secs(30)));
    let replica = "10.244.0.2:53".parse().unwrap();
    let servers = facts.servers("kube-dns", &[("coredns-a".to_owned(), replica)].into());
    let known: Vec<_> = servers
        .iter()
        .map(|(name, server)| {
            let Placed { role, serve_stale } = server.placed;
            (name.as_str(), role, serve_stale)
        })
        .collect();
    assert_eq!(
        known,
        [
            ("coredns-a", Role::Replica, Some(Span::ZERO)),
            ("kube-dns 10.96.0.10", Role::Service, Some(Span::ZERO)),
            (
                "resolver 169.254.20.10",
                Role::Resolver,
                Some(Span::from_secs(3600))
            ),
        ]
    );
}

#[test]
fn a_resolver_that_is_the_service_is_asked_once() {
    let pod = given("search svc.cluster.local\nnameserver 10.96.0.10\n");
    let facts = gather(&[], &[], Some(&service("10.96.0.10")), pod);
    let servers = facts.servers("kube-dns", &BTreeMap::new());
    assert_eq!(servers.keys().collect::<Vec<_>>(), ["kube-dns 10.96.0.10"]);
    assert_eq!((facts.zone.as_str(), facts.ttl), ("cluster.local", None));
}

#[test]
fn the_machines_own_servers_know_nothing_of_the_cluster() {
    let machine = given("nameserver 192.0.2.53\n");
    let facts = gather(&[], &[], None, machine);
    assert_eq!(facts.servers("kube-dns", &BTreeMap::new()), BTreeMap::new());
    assert_eq!(facts.zone, ZONE);
    let headless = gather(&[], &[], Some(&service("None")), given(""));
    assert_eq!(
        headless.servers("kube-dns", &BTreeMap::new()),
        BTreeMap::new()
    );
}

fn forbidden() -> kube::Error {
    kube::Error::Service("forbidden".into())
}

#[test]
fn a_corefile_that_cannot_be_read_is_told_and_known_of_nothing() {
    let mut trouble = Trouble::default();
    let map: ConfigMap =
        serde_json::from_value(json!({ "data": { "Corefile": ".:53 {" } })).unwrap();
    assert_eq!(trouble.blocks(CORE_DNS, Ok(Some(map))), []);
    assert_eq!(trouble.blocks(NODE_LOCAL, Ok(None)), []);
    assert_eq!(trouble.blocks(NODE_LOCAL, Err(forbidden())), []);
    assert_eq!(
        trouble.0,
        "the Corefile in ConfigMap coredns: line 1: braces do not match; ConfigMap node-local-dns: forbidden"
    );
}

#[test]
fn what_cannot_be_read_is_as_it_was() {
    let known = gather(
        &blocks(COREFILE_TEXT),
        &blocks(NODE_TEXT),
        Some(&service("10.96.0.10")),
        given(""),
    );
    let unread = Unread {
        service: true,
        core: true,
        node: true,
    };
    assert_eq!(
        unread.keep(gather(&[], &[], None, given("")), &known),
        known
    );
    // What is gone is gone.
    let read = Unread {
        service: false,
        core: false,
        node: false,
    };
    let gone = gather(&[], &[], None, given(""));
    assert_eq!(read.keep(gone.clone(), &known), gone);
}
