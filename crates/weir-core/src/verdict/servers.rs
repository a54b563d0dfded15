//! Faults of one API server. Each is judged by what was freshly read of it, and by nothing else.

use super::Scene;
use crate::{
    evidence::{Evidence, Flow, Latency, OBJECTIVE_MS, ServerEvidence, ServerId},
    plan::{Finding, Rule},
    policy::{HarmLimits, Policy, Servers},
};

/// So many refused probes of the last five are no accident.
const REFUSED_PROBES: u32 = 2;

/// So many of the last five that failed or missed the objective are no accident either. A median
/// sees only what lasts: 32 agents that start at once stalled others for three seconds.
const SLOW_PROBES: u32 = 2;

const MIB: f64 = 1024.0 * 1024.0;

/// An API server as rules look at it.
pub(super) struct Server<'a> {
    /// What findings call it: its address, and its process's start where several answer there.
    pub(super) name: String,
    /// Where it is reached.
    pub(super) address: &'a str,
    /// What is known of it.
    pub(super) known: &'a ServerEvidence,
}

/// The servers that count: all but those that are spare, once as many others are freshly heard as a
/// person states. (By the number that the cluster tells, spare ones have been left out already.)
pub(crate) fn counted<'e>(
    policy: &Policy,
    evidence: &'e Evidence,
) -> Vec<(&'e ServerId, &'e ServerEvidence)> {
    let is_heard = |known: &&ServerEvidence| {
        let read = known.flow.fresh().is_some() && known.process.fresh().is_some();
        !known.spare && read && known.latency.fresh().is_some()
    };
    let heard = evidence.servers.values().filter(is_heard).count();
    let is_enough = match policy.required.servers {
        Servers::Stated(stated) => heard >= stated.max(1) as usize,
        Servers::AsFound { .. } => false,
    };
    let servers = evidence.servers.iter();
    servers
        .filter(|(_, known)| !(known.spare && is_enough))
        .collect()
}

/// All servers, as rules look at them.
pub(super) fn all<'a>(servers: &[(&'a ServerId, &'a ServerEvidence)]) -> Vec<Server<'a>> {
    let name = |id: &ServerId| {
        let alone = servers
            .iter()
            .filter(|(other, _)| other.address == id.address)
            .count()
            == 1;
        match id.started {
            Some(started) if !alone => format!("{} started {}", id.address, started / 1000),
            Some(_) | None => id.address.clone(),
        }
    };
    servers
        .iter()
        .map(|(id, known)| Server {
            name: name(id),
            address: &id.address,
            known,
        })
        .collect()
}

/// Probes are much slower than in quiet times, or fail.
///
/// It is found on the address: whichever process answered there.
pub(super) fn latency_regressed(scene: &Scene<'_>, server: &Server<'_>) -> Option<Finding> {
    let latency = server.known.latency.fresh()?;
    let limit = latency_limit_ms(&scene.policy.harm, latency);
    if latency.slow < SLOW_PROBES && latency.p50_ms < limit {
        return None;
    }
    let quiet = said(latency.baseline_p50_ms, |ms| {
        format!(", in quiet times {ms:.0} ms")
    });
    let failure = said(latency.failure.as_ref(), |why| format!(" ({why})"));
    Some(Finding::hold(
        Rule::LatencyRegressed,
        server.address,
        format!(
            "median of the last {} probes {:.0} ms (limit {limit:.0} ms{quiet}), slowest {:.0} ms, \
             {} slower than a second or failed{failure}",
            latency.probes, latency.p50_ms, latency.max_ms, latency.slow
        ),
        clears(
            scene,
            &format!(
                "the median has been below {limit:.0} ms, with fewer than {SLOW_PROBES} probes \
                 slower than a second,"
            ),
        ),
    ))
}

/// What clears harm of a server, and what a person can do meanwhile.
fn clears(scene: &Scene<'_>, when: &str) -> String {
    let first = if scene.census.out() > 0 {
        "if the harm lasts, undo the rollout, or see"
    } else {
        "to see"
    };
    format!(
        "{when} for {}; {first} who asks so much: kubectl get --raw \
         /debug/api_priority_and_fairness/dump_requests",
        scene.clear_after
    )
}

fn said<T>(known: Option<T>, say: impl FnOnce(T) -> String) -> String {
    known.map_or_else(String::new, say)
}

fn latency_limit_ms(limits: &HarmLimits, latency: &Latency) -> f64 {
    let relative = latency
        .baseline_p50_ms
        .map_or(0.0, |baseline| limits.latency_factor * baseline);
    relative.max(limits.latency_floor_ms).min(OBJECTIVE_MS)
}

/// Requests wait in Priority and Fairness queues: those of others than the rollout's pods for long, or
/// anybody's in a queue that hardly moves. What its own requests wait is what fair queueing is for, and short
/// waits of many are no harm.
pub(super) fn queue_saturated(scene: &Scene<'_>, server: &Server<'_>) -> Option<Finding> {
    let flow = server.known.flow.fresh()?;
    let harm = &scene.policy.harm;
    let limit = harm.queued;
    let (evidence, cleared) = if flow.standing >= limit {
        let cleared = "have waited from one look to the next";
        (standing(flow, limit), cleared)
    } else {
        let late = Late::of(flow, scene.evidence.rollout.meter.own(), harm);
        let evidence = late.filter(|late| late.queued >= limit)?.tell(harm);
        (evidence, "have been queued for so long")
    };
    Some(Finding::hold(
        Rule::QueueSaturated,
        server.name.as_str(),
        evidence,
        clears(scene, &format!("fewer than {limit:.1} {cleared}")),
    ))
}

fn standing(flow: &Flow, limit: f64) -> String {
    let level = said(flow.worst_level.as_ref(), |level| {
        format!(", most at level {level}")
    });
    format!(
        "{:.0} requests wait in queues, {:.0} of them at least since the look before (limit \
         {limit:.1}){level}",
        flow.in_queue, flow.standing
    )
}

/// Clients that wait for long.
struct Late<'a> {
    /// Their requests that wait at a time, on average.
    queued: f64,
    /// The FlowSchema with most of them.
    schema: &'a str,
    /// How long one of its requests waits, in milliseconds.
    mean_ms: f64,
}

impl<'a> Late<'a> {
    /// Those whose requests wait for long on average, without the rollout's own.
    fn of(flow: &'a Flow, own: Option<&str>, harm: &HarmLimits) -> Option<Self> {
        let late = || flow.late_schemas(own, harm.latency_floor_ms);
        let (schema, worst) =
            late().max_by(|one, other| one.1.queued.total_cmp(&other.1.queued))?;
        Some(Self {
            queued: late().map(|(_, wait)| wait.queued).sum(),
            schema,
            mean_ms: worst.mean_ms(),
        })
    }

    fn tell(&self, harm: &HarmLimits) -> String {
        format!(
            "{:.1} requests were queued on average (limit {:.1}), most from {}: {:.0} ms each (limit \
             {:.0} ms)",
            self.queued,
            harm.queued,
            super::blame::named(self.schema),
            self.mean_ms,
            harm.latency_floor_ms
        )
    }
}

/// An API server refuses requests with 429: as it tells itself, or as Weir's probes meet it.
pub(super) fn rejecting(scene: &Scene<'_>, server: &Server<'_>) -> Option<Finding> {
    let limit = scene.policy.harm.rejected_per_second;
    let told = server
        .known
        .flow
        .fresh()
        .map_or(0.0, |flow| flow.rejected_per_second);
    let (met, probes) = server
        .known
        .latency
        .fresh()
        .map_or((0, 0), |latency| (latency.refused, latency.probes));
    if told < limit && met < REFUSED_PROBES {
        return None;
    }
    Some(Finding::hold(
        Rule::Rejecting,
        server.name.as_str(),
        format!(
            "{told:.1} requests a second refused with 429 (limit {limit:.1}), and {met} of the last \
             {probes} probes"
        ),
        clears(
            scene,
            &format!(
                "fewer than {limit:.1} a second, and fewer than {REFUSED_PROBES} probes, have been \
                 refused"
            ),
        ),
    ))
}

/// An API server's memory grows fast.
pub(super) fn memory_climbing(scene: &Scene<'_>, server: &Server<'_>) -> Option<Finding> {
    let process = server.known.process.fresh()?;
    let limits = &scene.policy.harm;
    let before = process.resident_before_bytes;
    let grown = process.resident_bytes - before;
    let limit = (limits.memory_growth * before).max(limits.memory_growth_floor_bytes);
    (grown >= limit).then(|| {
        Finding::hold(
            Rule::MemoryClimbing,
            server.name.as_str(),
            format!(
                "resident memory grew by {:.0} MiB to {:.0} MiB (limit {:.0} MiB), now by {:.1} MiB a \
                 second",
                grown / MIB,
                process.resident_bytes / MIB,
                limit / MIB,
                process.resident_growth_per_second / MIB
            ),
            clears(
                scene,
                &format!(
                    "it has grown by less than {:.0} MiB over the memory window",
                    limit / MIB
                ),
            ),
        )
    })
}

/// An API server restarted a short while ago.
pub(super) fn server_restarted(scene: &Scene<'_>, server: &Server<'_>) -> Option<Finding> {
    let quiet = scene.policy.harm.restart_quiet;
    let ago = scene.now.since(server.known.restarted?);
    (ago < quiet).then(|| {
        Finding::hold(
            Rule::ServerRestarted,
            server.name.as_str(),
            format!("the process restarted {ago} ago: its clients are reconnecting and relisting"),
            format!(
                "it has run for {quiet}; if it restarts ever again, its last log says why (kubectl -n \
                 kube-system logs --previous, where it is a pod)"
            ),
        )
    })
}
