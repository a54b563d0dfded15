//! A snapshot → Prometheus text (`OpenMetrics`), made anew for each scrape.
//!
//! Labels come from closed sets, from API servers and DNS servers (at most a hundred of these), and from the
//! names of what people wrote: workloads that they enrolled, policies and what these depend on. Never from other
//! pods, messages or errors.

mod burn;
mod dependencies;
mod dns;
mod evidence;
mod foreseen;
mod found;
mod soak;

use std::{fmt, sync::atomic::AtomicU64};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use weir_core::{
    evidence::{ServerEvidence, ServerId},
    plan::Report,
    policy::Mode,
};

use self::found::findings;
use crate::snapshot::Snapshot;

/// The media type of [`page`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// A gauge's name, its help, and its value if there is one.
type Gauged<T> = (&'static str, &'static str, fn(&T) -> Option<f64>);

/// The page for one snapshot.
pub fn page(snapshot: &Snapshot) -> Result<String, fmt::Error> {
    let mut page = Page(Registry::with_prefix("weir"));
    guard(&mut page, snapshot);
    valve(&mut page, snapshot);
    cost(&mut page, snapshot);
    for_servers(&mut page, snapshot);
    burn::add(&mut page, snapshot);
    dns::add(&mut page, snapshot);
    dependencies::add(&mut page, snapshot);
    evidence::add(&mut page, snapshot);
    for_rollouts(&mut page, snapshot);
    soak::add(&mut page, snapshot);
    foreseen::add(&mut page, snapshot);
    let mut text = String::new();
    encode(&mut text, &page.0)?;
    Ok(text)
}

/// Families that are filled as they are registered.
struct Page(Registry);

impl Page {
    fn gauges(&mut self, name: &str, help: &str, series: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in series {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        self.0.register(name, help, gauge);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        self.0.register(name, help, counter);
    }
}

fn guard(page: &mut Page, snapshot: &Snapshot) {
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    page.gauges("build_info", "The version of Weir", [(version, 1.0)]);
    let mode = vec![("mode", snapshot.ceiling.name().to_owned())];
    page.gauges(
        "guard_ceiling",
        "How far Weir may go in this cluster",
        [(mode, 1.0)],
    );
    page.gauge(
        "guard_leader",
        "Whether this replica may write",
        truth(snapshot.leads),
    );
    page.gauge(
        "guard_ready",
        "Whether all watches have been read once",
        truth(snapshot.ready),
    );
    page.counter("guard_ticks", "Ticks of the loop", snapshot.ticks);
    page.counter(
        "guard_judgements",
        "Judgements made",
        snapshot.done.judgements,
    );
    let enrolled = f64::from(snapshot.enrolled);
    page.gauge(
        "guard_enrolled_workloads",
        "Workloads that are enrolled",
        enrolled,
    );
    let ages = snapshot.watches.iter();
    let ages = ages.map(|(what, age)| (vec![("resource", what.clone())], age.as_secs_f64()));
    page.gauges(
        "watch_age_seconds",
        "Since a watch last said something; no series where one never did",
        ages,
    );
}

fn valve(page: &mut Page, snapshot: &Snapshot) {
    if let Some(in_order) = snapshot.valve_in_order {
        page.gauge(
            "valve_in_order",
            "Whether the Role of the approvals is in order, and says that the gate is adopted",
            truth(in_order),
        );
    }
    if let Some(in_force) = snapshot.gate_in_force {
        page.gauge(
            "gate_in_force",
            "Whether pods of unapproved revisions come back gated; no series where it is not known, \
             on replicas that do not lead, and below mode enforce",
            truth(in_force),
        );
    }
    let approved = f64::from(snapshot.approved);
    page.gauge(
        "valve_approved_revisions",
        "Revisions whose pods start freely",
        approved,
    );
}

fn cost(page: &mut Page, snapshot: &Snapshot) {
    let (spent, done) = (snapshot.spent, snapshot.done);
    for (name, help, value) in [
        (
            "client_requests",
            "Requests sent to API servers",
            spent.requests,
        ),
        ("client_writes", "Of those, writes", spent.writes),
        ("client_retries", "Of those, second tries", spent.retries),
        (
            "client_received_bytes",
            "Bytes of answers received",
            spent.bytes,
        ),
        (
            "client_refused_requests",
            "Requests not sent, since the budget was spent",
            spent.refused,
        ),
        (
            "client_timeouts",
            "Requests given up without an answer",
            spent.timed_out,
        ),
        ("release_pods", "Pods let through", done.released),
        (
            "release_failures",
            "Releases that failed; tried again",
            done.release_failures,
        ),
        (
            "record_writes",
            "Statuses and objects written",
            done.records,
        ),
        (
            "record_failures",
            "Statuses and objects not written; tried again",
            done.record_failures,
        ),
        ("events_sent", "Events sent", done.events),
        ("events_dropped", "Events dropped", done.events_dropped),
    ] {
        page.counter(name, help, value);
    }
}

/// What is shown of each API server: the last value known, however old.
const SERVER_GAUGES: [Gauged<ServerEvidence>; 8] = [
    (
        "apiserver_probe_p50_seconds",
        "Median of the last probes",
        |server| Some(server.latency.last()?.p50_ms / 1000.0),
    ),
    (
        "apiserver_probe_max_seconds",
        "Slowest of the last probes",
        |server| Some(server.latency.last()?.max_ms / 1000.0),
    ),
    (
        "apiserver_probe_usual_seconds",
        "Median of probes in quiet times",
        |server| Some(server.latency.last()?.baseline_p50_ms? / 1000.0),
    ),
    (
        "apiserver_queued_requests",
        "Requests waiting in queues, on average",
        |server| Some(server.flow.last()?.queued),
    ),
    (
        "apiserver_rejected_requests_per_second",
        "Requests refused with 429",
        |server| Some(server.flow.last()?.rejected_per_second),
    ),
    ("apiserver_cpu_cores", "Cores used", |server| {
        Some(server.process.last()?.cpu_cores)
    }),
    ("apiserver_resident_bytes", "Resident memory", |server| {
        Some(server.process.last()?.resident_bytes)
    }),
    (
        "apiserver_inflight_requests",
        "Requests executing",
        |server| Some(server.process.last()?.inflight),
    ),
];

fn for_servers(page: &mut Page, snapshot: &Snapshot) {
    let seen = u32::try_from(snapshot.servers.len()).unwrap_or(u32::MAX);
    page.gauge(
        "apiserver_seen_instances",
        "API servers that are known",
        f64::from(seen),
    );
    if let Some(expected) = snapshot.expected_servers.last() {
        let help = "API servers that there should be";
        page.gauge("apiserver_expected_instances", help, f64::from(*expected));
    }
    for (name, help, value) in SERVER_GAUGES {
        let servers = snapshot.servers.iter();
        let series = servers.filter_map(|(id, server)| Some((of_server(id), value(server)?)));
        page.gauges(name, help, series);
    }
}

/// Several processes may answer at one address.
fn of_server(id: &ServerId) -> Labels {
    let started = id
        .started
        .map_or_else(String::new, |millis| (millis / 1000).to_string());
    vec![("server", id.address.clone()), ("started", started)]
}

/// What is shown of each rollout.
const ROLLOUT_GAUGES: [Gauged<Report>; 5] = [
    (
        "rollout_width_pods",
        "Pods that are let through",
        |report| Some(report.width.into()),
    ),
    (
        "rollout_full_width_pods",
        "Pods that the workload wants",
        |report| Some(report.full_width.into()),
    ),
    (
        "rollout_target_pods",
        "Width that the waves so far allow",
        |report| Some(report.target.into()),
    ),
    ("rollout_wave", "Waves begun", |report| {
        Some(report.wave.into())
    }),
    (
        "nodes_without_pod",
        "Nodes that wait for a pod of the workload",
        |report| Some(report.nodes_without_pod.into()),
    ),
];

fn for_rollouts(page: &mut Page, snapshot: &Snapshot) {
    for (name, help, value) in ROLLOUT_GAUGES {
        let rollouts = snapshot.rollouts.iter();
        let series =
            rollouts.filter_map(|(name, view)| Some((of_rollout(name), value(&view.report)?)));
        page.gauges(name, help, series);
    }
    let states = snapshot.rollouts.iter().map(|(name, view)| {
        let mut labels = of_rollout(name);
        labels.push(("state", view.report.state.name().to_owned()));
        labels.push(("mode", view.mode.map_or("none", Mode::name).to_owned()));
        (labels, 1.0)
    });
    page.gauges(
        "rollout_state",
        "1 for the state that the rollout is in",
        states,
    );
    let stranded = snapshot.stranded.iter();
    page.gauges(
        "stranded_pods",
        "Gated pods that Weir does not let through; its events say why",
        stranded.map(|(name, pods)| (of_rollout(name), f64::from(*pods))),
    );
    let unwritten = snapshot.unwritten.iter();
    page.gauges(
        "write_failed",
        "1 where Weir cannot write what it has to, so that pods stay gated; its events say why",
        unwritten.map(|(namespace, kind, name)| (of_object(namespace, kind, name), 1.0)),
    );
    let metered = snapshot.metered.iter();
    page.gauges(
        "metered_accounts",
        "Accounts of enrolled workloads, by what counts their requests; where nothing does (awaited, \
         none) each workload counts, and the log says why",
        metered.map(|(state, number)| (vec![("state", (*state).to_owned())], f64::from(*number))),
    );
    let findings = snapshot.rollouts.iter().flat_map(findings);
    page.gauges(
        "rollout_findings",
        "Findings of the last judgement",
        findings.collect::<Vec<_>>(),
    );
}

fn of_rollout((namespace, name): &(String, String)) -> Labels {
    of_object(namespace, "DaemonSet", name)
}

fn of_object(namespace: &str, kind: &str, name: &str) -> Labels {
    vec![
        ("namespace", namespace.to_owned()),
        ("kind", kind.to_owned()),
        ("name", name.to_owned()),
    ]
}

const fn truth(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests;
