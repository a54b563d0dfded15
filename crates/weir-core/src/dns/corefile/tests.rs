//! Corefiles as they are shipped.

use super::*;

const KUBEADM_OLD: &str = "\
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
";

const KUBEADM_NEW_CACHE: &str = "\
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
";

const NODELOCAL: &str = "\
cluster.local:53 {
    errors
    cache {
            success 9984 30
            denial 9984 5
    }
    reload
    loop
    bind 169.254.20.10 10.96.0.10
    forward . 10.96.0.11 {
            force_tcp
    }
    prometheus :9253
    health 169.254.20.10:8080
    }
in-addr.arpa:53 ip6.arpa:53 {
    cache 30
    }
.:53 {
    cache 30
    forward . /etc/resolv.conf
    }
";

const AKS_LIKE: &str = "\
# LocalDNS
.:53 {
    cache 3600 {
        success 9984
        serve_stale 3600s immediate
    }
    forward . 10.0.0.10
}
";

const OPENSHIFT_LIKE: &str = "\
.:5353 {
    bufsize 1232
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }
    cache 900 {
        denial 9984 30
    }
}
";

fn only(text: &str) -> ServerBlock {
    let mut blocks = parse(text).unwrap();
    assert_eq!(blocks.len(), 1, "{blocks:?}");
    blocks.remove(0)
}

#[test]
fn kubeadms_says_thirty_seconds_and_caches_its_own_zone() {
    let block = only(KUBEADM_OLD);
    let kubernetes = block.kubernetes.clone().unwrap();
    assert_eq!(
        kubernetes.zones,
        ["cluster.local", "in-addr.arpa", "ip6.arpa"]
    );
    assert_eq!(kubernetes.ttl, Span::from_secs(30));
    assert_eq!((block.port, block.zones.clone()), (53, vec![String::new()]));
    assert_eq!(block.serve_stale("cluster.local"), Span::ZERO);
}

#[test]
fn the_newer_one_passes_its_own_zone_by() {
    let block = only(&KUBEADM_OLD.replace("    cache 30\n", KUBEADM_NEW_CACHE));
    assert_eq!(block.cache.unwrap().passes, ["cluster.local"]);
}

#[test]
fn nodelocals_block_is_found_by_the_zone() {
    let blocks = parse(NODELOCAL).unwrap();
    assert_eq!(blocks.len(), 3);
    let of = |zone| answering(&blocks, zone).unwrap().zones.clone();
    assert_eq!(of("cluster.local."), ["cluster.local"]);
    assert_eq!(of("svc.Cluster.Local"), ["cluster.local"]);
    assert_eq!(of("1.10.in-addr.arpa"), ["in-addr.arpa", "ip6.arpa"]);
    assert_eq!(of("mycluster.local"), [""]);
    assert_eq!(answering(&blocks[..1], "example.org"), None);
}

#[test]
fn stale_answers_last_as_long_as_it_says() {
    let stale = |text: &str| only(text).serve_stale("cluster.local");
    assert_eq!(stale(AKS_LIKE), Span::from_secs(3600));
    let of = |words: &str| {
        stale(&format!(
            ".:53 {{\n cache {{\n  serve_stale {words}\n }}\n}}\n"
        ))
    };
    assert_eq!(of(""), Span::from_secs(3600));
    assert_eq!(of("1h30m verify 1s"), Span::from_secs(5400));
    assert_eq!(of("90s"), Span::from_secs(90));
    let passed = AKS_LIKE.replace("success 9984\n", "disable success cluster.local\n");
    assert_eq!(stale(&passed), Span::ZERO);
}

#[test]
fn openshifts_listens_elsewhere_and_says_nothing_of_its_ttl() {
    let block = only(OPENSHIFT_LIKE);
    assert_eq!(block.port, 5353);
    assert_eq!(block.kubernetes.unwrap().ttl, Span::from_secs(5));
}

#[test]
fn snippets_are_followed_and_never_for_ever() {
    let text = "(common) {\n cache 30 {\n  serve_stale 10m\n }\n import common\n}\n\
                dns://example.org:1053, example.net {\n import common\n import /etc/coredns/*.conf\n}\n";
    let block = only(text);
    assert_eq!(block.zones, ["example.org", "example.net"]);
    assert_eq!(
        (block.port, block.serve_stale("example.org")),
        (1053, Span::from_secs(600))
    );
}

#[test]
fn without_zones_of_its_own_it_has_those_of_the_block() {
    let block = only("cluster.local {\n kubernetes {\n  ttl 10\n }\n}\n");
    let kubernetes = block.kubernetes.unwrap();
    assert_eq!(kubernetes.zones, ["cluster.local"]);
    assert_eq!(kubernetes.ttl, Span::from_secs(10));
}

#[test]
fn what_is_no_corefile_is_an_error_with_its_line() {
    assert_eq!(
        parse(".:53 {\n cache 30\n"),
        Err(CorefileError::Braces { line: 2 })
    );
    assert_eq!(
        parse(".:53 {\n}\n}\n"),
        Err(CorefileError::Braces { line: 3 })
    );
    assert_eq!(
        parse(&"# nothing\n".repeat(10_001)),
        Err(CorefileError::TooLong)
    );
    assert_eq!(parse(""), Ok(Vec::new()));
    assert_eq!(parse("import ../etc/*\n"), Ok(Vec::new()));
}
