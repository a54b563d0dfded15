//! How fast a page is read: everything on it, only what Weir wants, and by the plain parser of the
//! tests. The page is a real one, its largest families made as large as in a big cluster.
//!
//! `cargo bench -p weir-core --bench exposition`

#[path = "../tests/reference/mod.rs"]
mod reference;

use std::{collections::BTreeSet, fmt::Write as _, hint::black_box};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use weir_core::{exposition::Parser, servers::Collector};

const REAL: &str = include_str!("../tests/fixtures/kube_apiserver_1_36_3_queued_and_refused_1.txt");

/// What a connection hands over at once.
const CHUNK: usize = 16 * 1024;

/// Custom resources that the page tells of, each with its verbs and buckets.
const RESOURCES: usize = 120;

const VERBS: [&str; 6] = ["GET", "LIST", "WATCH", "POST", "PUT", "PATCH"];

const BUCKETS: [&str; 20] = [
    "0.005", "0.025", "0.05", "0.1", "0.2", "0.4", "0.6", "0.8", "1", "1.25", "1.5", "2", "3", "4",
    "5", "6", "8", "10", "15", "+Inf",
];

/// About 6 MB: the real page, with histograms per resource and verb before `process_…`.
fn page() -> String {
    let at = REAL.find("# HELP etcd_").expect("the page tells of etcd");
    let mut page = REAL[..at].to_owned();
    for family in [
        "apiserver_request_duration_seconds",
        "apiserver_request_sli_duration_seconds",
    ] {
        writeln!(page, "# HELP {family} Latency\n# TYPE {family} histogram").expect("a string");
        for (resource, verb) in (0..RESOURCES).flat_map(|id| VERBS.map(|verb| (id, verb))) {
            let labels = format!(
                "component=\"apiserver\",dry_run=\"\",group=\"example{resource}.dev\",\
                 resource=\"things{resource}\",scope=\"cluster\",subresource=\"\",verb=\"{verb}\",\
                 version=\"v1\""
            );
            for (count, bucket) in BUCKETS.iter().enumerate() {
                writeln!(
                    page,
                    "{family}_bucket{{{labels},le=\"{bucket}\"}} {}",
                    count * 7
                )
                .expect("a string");
            }
            writeln!(
                page,
                "{family}_sum{{{labels}}} 12.345\n{family}_count{{{labels}}} 133"
            )
            .expect("a string");
        }
    }
    page + &REAL[at..]
}

fn names(page: &str) -> Vec<&str> {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let names: BTreeSet<&str> = samples
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    names.into_iter().collect()
}

fn read(criterion: &mut Criterion) {
    let page = page();
    let all = names(&page);
    let mut group = criterion.benchmark_group("exposition");
    group
        .sample_size(20)
        .throughput(Throughput::Bytes(page.len() as u64));

    group.bench_function(BenchmarkId::new("wanted", page.len()), |bencher| {
        bencher.iter(|| {
            let mut collector = Collector::default();
            page.as_bytes()
                .chunks(CHUNK)
                .for_each(|chunk| collector.push(chunk));
            collector.finish().expect("a real page")
        });
    });
    group.bench_function(BenchmarkId::new("all", page.len()), |bencher| {
        bencher.iter(|| {
            let mut parser = Parser::new(&all);
            let mut labels = 0;
            for chunk in page.as_bytes().chunks(CHUNK) {
                parser.push(chunk, |sample| {
                    labels += black_box(sample).labels.iter().count();
                });
            }
            (parser.finish(), labels)
        });
    });
    group.bench_function(BenchmarkId::new("plain", page.len()), |bencher| {
        bencher.iter(|| reference::parse(page.as_bytes(), &all));
    });
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
