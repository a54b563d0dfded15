//! The stricter of two policies, field by field: nothing that either of them forbids is allowed.

use weir_core::policy::{
    Foresight, HarmLimits, PodLimits, Policy, Required, Servers, Stock, Undisturbed,
};

/// The stricter of both in every field. Where no order exists (what waves are spread over), the
/// first one's value is kept; the caller says so.
///
/// Destructured without `..`: a new field does not compile until its stricter side is decided.
#[must_use]
pub(super) fn stricter(first: &Policy, second: &Policy) -> Policy {
    let Policy {
        canary,
        growth,
        max_step,
        soak,
        undisturbed,
        releases_per_second,
        spread_by: _, // has no order
        harm,
        forecast,
        pods,
        required,
        starving_per_ten_minutes,
    } = second;
    Policy {
        canary: first.canary.min(*canary),
        growth: first.growth.min(*growth),
        max_step: first.max_step.min(*max_step),
        soak: first.soak.max(*soak),
        undisturbed: both(first.undisturbed, *undisturbed),
        releases_per_second: first.releases_per_second.min(*releases_per_second),
        spread_by: first.spread_by.clone(),
        harm: stricter_harm(&first.harm, harm),
        forecast: stricter_foresight(&first.forecast, forecast),
        pods: stricter_pods(&first.pods, pods),
        required: stricter_required(&first.required, required),
        starving_per_ten_minutes: first
            .starving_per_ten_minutes
            .min(*starving_per_ten_minutes),
    }
}

/// The longer stretch, demanded of the narrower width.
fn both(first: Option<Undisturbed>, second: Option<Undisturbed>) -> Option<Undisturbed> {
    let narrower = |one: Undisturbed, other: Undisturbed| Undisturbed {
        stretch: one.stretch.max(other.stretch),
        before: one.before.min(other.before),
    };
    match (first, second) {
        (Some(one), Some(other)) => Some(narrower(one, other)),
        (one, other) => one.or(other),
    }
}

fn stricter_harm(first: &HarmLimits, second: &HarmLimits) -> HarmLimits {
    let HarmLimits {
        latency_floor_ms,
        latency_factor,
        queued,
        rejected_per_second,
        memory_growth,
        memory_growth_floor_bytes,
        objective,
        restart_quiet,
        clear_after,
    } = second;
    HarmLimits {
        latency_floor_ms: first.latency_floor_ms.min(*latency_floor_ms),
        latency_factor: first.latency_factor.min(*latency_factor),
        queued: first.queued.min(*queued),
        rejected_per_second: first.rejected_per_second.min(*rejected_per_second),
        memory_growth: first.memory_growth.min(*memory_growth),
        memory_growth_floor_bytes: first
            .memory_growth_floor_bytes
            .min(*memory_growth_floor_bytes),
        objective: first.objective.max(*objective),
        restart_quiet: first.restart_quiet.max(*restart_quiet),
        clear_after: first.clear_after.max(*clear_after),
    }
}

/// Patience has no stricter side of its own: the longer wait is.
fn stricter_foresight(first: &Foresight, second: &Foresight) -> Foresight {
    let Foresight {
        holds,
        budget,
        cores,
        memory_bytes,
        unison,
        paces,
        patience,
    } = second;
    Foresight {
        holds: first.holds || *holds,
        budget: first.budget.min(*budget),
        cores: less(first.cores, *cores),
        memory_bytes: less(first.memory_bytes, *memory_bytes),
        unison: first.unison.min(*unison),
        paces: first.paces && *paces,
        patience: first.patience.max(*patience),
    }
}

/// As with API servers below: what a person states counts for the policy that states it. Beside one that
/// goes by what the process says it must not be more than that.
fn less(first: Stock, second: Stock) -> Stock {
    use Stock::{AsFound, Stated};
    let least =
        |one: Option<f64>, other: Option<f64>| one.into_iter().chain(other).reduce(f64::min);
    match (first, second) {
        (Stated(one), Stated(other)) => Stated(one.min(other)),
        (AsFound { at_most: one }, AsFound { at_most: other }) => AsFound {
            at_most: least(one, other),
        },
        (AsFound { at_most }, Stated(stated)) | (Stated(stated), AsFound { at_most }) => AsFound {
            at_most: least(at_most, Some(stated)),
        },
    }
}

fn stricter_pods(first: &PodLimits, second: &PodLimits) -> PodLimits {
    let PodLimits {
        unhealthy,
        schedule_within,
        ready_within,
    } = second;
    PodLimits {
        unhealthy: first.unhealthy.min(*unhealthy),
        schedule_within: first.schedule_within.min(*schedule_within),
        ready_within: first.ready_within.min(*ready_within),
    }
}

fn stricter_required(first: &Required, second: &Required) -> Required {
    let Required { servers, dns } = second;
    Required {
        servers: stricter_servers(first.servers, *servers),
        dns: first.dns.max(*dns),
    }
}

/// A person's number counts for the policy that states it: beside one that wants as many as the
/// cluster says, both must be there.
fn stricter_servers(first: Servers, second: Servers) -> Servers {
    use Servers::{AsFound, Stated};
    match (first, second) {
        (Stated(one), Stated(other)) => Stated(one.max(other)),
        (AsFound { at_least: one }, AsFound { at_least: other } | Stated(other))
        | (Stated(one), AsFound { at_least: other }) => AsFound {
            at_least: one.max(other),
        },
    }
}
