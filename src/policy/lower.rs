//! One RolloutPolicy's spec, over its preset, to the judge's policy; or everything wrong with it.
//!
//! The schema refuses most of this already. An object may be older than the schema, though, or
//! contradict a preset that its schema does not know of, so every bound is checked again.

use std::{borrow::Cow, ops::RangeInclusive};

use weir_core::{
    policy::{
        DnsRequired, Foresight, HarmLimits, PodLimits, Policy, Required, Servers, Stock,
        Undisturbed,
    },
    time::Span,
};

use super::forms::Form;
use crate::api::{
    self, BeyondUnison, Capacity, ForecastAct, ForecastLimits, Harm, Pace, Pods, RolloutPolicySpec,
    Waves, forms::Percent,
};

/// One thing that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("spec.{field}: {defect}")]
pub struct Problem {
    /// Path of the field below `spec`.
    pub field: Cow<'static, str>,
    /// What is wrong with it.
    pub defect: Defect,
}

/// What can be wrong with a field.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Defect {
    /// The text has no meaning.
    #[error("`{text}` is not {want}")]
    Malformed {
        /// What was written.
        text: String,
        /// What it should be, with an example.
        want: &'static str,
    },
    /// The value means something, but nothing that could work.
    #[error("{value} is not between {least} and {most}")]
    OutOfRange {
        /// What was written.
        value: String,
        /// The least that is allowed.
        least: String,
        /// The most that is allowed.
        most: String,
    },
    /// The value contradicts another one.
    #[error("{0}")]
    Contradictory(String),
    /// The selector cannot be evaluated.
    #[error("the selector cannot be evaluated: {0}")]
    Selector(String),
    /// What is asked of a dependency cannot be asked so; what was written is not repeated, as it may hold a secret.
    #[error("{0}")]
    Unaskable(String),
}

pub(super) const SECOND: Span = Span::from_secs(1);
const MINUTE: Span = Span::from_secs(60);
pub(super) const HOUR: Span = Span::from_secs(3600);
pub(super) const DAY: Span = Span::from_secs(24 * 3600);
const THREE_DAYS: Span = Span::from_secs(72 * 3600);
/// How wide a rollout may become before its soak has included what is demanded, where nobody says: as far as a
/// fleet can do without those pods.
const UNDISTURBED_BEFORE: f64 = 0.1;
/// No API server runs in less.
const LEAST_MEMORY: f64 = 67_108_864.0;
/// More than this is a mistake in the unit: no API server grows by a terabyte.
const MOST_BYTES: f64 = 1_099_511_627_776.0;

/// The judge's policy that a spec means, or all problems that it has.
pub fn lower(spec: &RolloutPolicySpec) -> Result<Policy, Vec<Problem>> {
    // Destructured without `..`: a field that is not lowered does not compile.
    let RolloutPolicySpec {
        workloads: _, // `select` reads the selectors
        pace,
        waves,
        soak,
        undisturbed,
        windows: _, // `windows` reads them
        spread_by,
        harm,
        forecast,
        capacity,
        pods,
        required,
        starving_nodes,
        dependencies: _, // lowered beside it: the judge is given what they say
    } = spec;
    let mut policy = preset(*pace);
    let mut reader = Reader::default();

    reader.waves(waves.as_ref(), &mut policy);
    let to = &mut policy.soak;
    reader.read("soak", soak.as_ref(), SECOND..=DAY, to);
    policy.undisturbed = reader.undisturbed(undisturbed.as_ref());
    if let Some(label) = spread_by {
        policy.spread_by.clone_from(label);
    }
    reader.harm(harm.as_ref(), &mut policy.harm);
    reader.forecast(forecast.as_ref(), &mut policy.forecast);
    reader.capacity(capacity.as_ref(), &mut policy.forecast);
    reader.pods(pods.as_ref(), &mut policy.pods);
    reader.required(required.as_ref(), &mut policy.required);
    let to = &mut policy.starving_per_ten_minutes;
    reader.read("starvingNodes", starving_nodes.as_ref(), 0.0..=1.0, to);

    reader.contradictions(*pace, &policy);
    match reader.problems.as_slice() {
        [] => Ok(policy),
        _ => Err(reader.problems),
    }
}

/// What everything else overrides.
fn preset(pace: Pace) -> Policy {
    match pace {
        Pace::Careful => Policy::careful(),
        Pace::Fast => Policy::fast(),
    }
}

/// Reads fields into a policy and keeps what is wrong with them, all of it.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) problems: Vec<Problem>,
}

impl Reader {
    fn waves(&mut self, waves: Option<&Waves>, policy: &mut Policy) {
        let Some(waves) = waves else { return };
        let Waves {
            canary,
            growth,
            max_step,
            releases_per_second,
        } = waves;
        let to = &mut policy.canary;
        self.read("waves.canary", canary.as_ref(), 0.0001..=1.0, to);
        let to = &mut policy.growth;
        self.read("waves.growth", growth.as_ref(), 1.01..=10.0, to);
        let to = &mut policy.max_step;
        self.read("waves.maxStep", max_step.as_ref(), 0.0001..=1.0, to);
        let (field, to) = ("waves.releasesPerSecond", &mut policy.releases_per_second);
        self.read(field, releases_per_second.as_ref(), 0.1..=100.0, to);
    }

    fn undisturbed(&mut self, demand: Option<&api::Undisturbed>) -> Option<Undisturbed> {
        let api::Undisturbed { stretch, before } = demand?;
        let mut demand = Undisturbed {
            stretch: MINUTE,
            before: UNDISTURBED_BEFORE,
        };
        let (field, to) = ("undisturbed.stretch", &mut demand.stretch);
        self.read(field, Some(stretch), MINUTE..=THREE_DAYS, to);
        let (field, to) = ("undisturbed.before", &mut demand.before);
        self.read(field, before.as_ref(), 0.0..=1.0, to);
        Some(demand)
    }

    fn harm(&mut self, harm: Option<&Harm>, limits: &mut HarmLimits) {
        let Some(harm) = harm else { return };
        let Harm {
            latency_floor,
            latency_factor,
            queued,
            rejected_per_second,
            memory_growth,
            memory_growth_floor,
            objective,
            restart_quiet,
            clear_after,
        } = harm;
        let least = Span::from_millis(1);
        let mut floor = Span::ZERO;
        self.read(
            "harm.latencyFloor",
            latency_floor.as_ref(),
            least..=SECOND,
            &mut floor,
        );
        if floor > Span::ZERO {
            limits.latency_floor_ms = floor.as_secs_f64() * 1000.0;
        }
        let to = &mut limits.latency_factor;
        self.read(
            "harm.latencyFactor",
            latency_factor.as_ref(),
            1.0..=100.0,
            to,
        );
        let to = &mut limits.queued;
        self.read("harm.queued", queued.as_ref(), 0.1..=1000.0, to);
        let (field, to) = ("harm.rejectedPerSecond", &mut limits.rejected_per_second);
        self.read(field, rejected_per_second.as_ref(), 0.1..=1000.0, to);
        let to = &mut limits.memory_growth;
        self.read(
            "harm.memoryGrowth",
            memory_growth.as_ref(),
            0.0001..=1.0,
            to,
        );
        let (field, to) = (
            "harm.memoryGrowthFloor",
            &mut limits.memory_growth_floor_bytes,
        );
        self.read(field, memory_growth_floor.as_ref(), 1024.0..=MOST_BYTES, to);
        let to = &mut limits.objective;
        self.read("harm.objective", objective.as_ref(), 0.5..=0.9999, to);
        let to = &mut limits.restart_quiet;
        self.read(
            "harm.restartQuiet",
            restart_quiet.as_ref(),
            least..=HOUR,
            to,
        );
        let to = &mut limits.clear_after;
        self.read("harm.clearAfter", clear_after.as_ref(), SECOND..=HOUR, to);
    }

    fn forecast(&mut self, forecast: Option<&ForecastLimits>, limits: &mut Foresight) {
        let Some(forecast) = forecast else { return };
        let ForecastLimits {
            act,
            budget,
            unison,
            beyond_unison,
            patience,
        } = forecast;
        if let Some(act) = act {
            limits.holds = *act == ForecastAct::Hold;
        }
        let to = &mut limits.budget;
        self.read("forecast.budget", budget.as_ref(), 0.0001..=1.0, to);
        let to = &mut limits.unison;
        self.read("forecast.unison", unison.as_ref(), SECOND..=HOUR, to);
        if let Some(beyond) = beyond_unison {
            limits.paces = *beyond == BeyondUnison::Pace;
        }
        let to = &mut limits.patience;
        self.read("forecast.patience", patience.as_ref(), SECOND..=DAY, to);
    }

    fn capacity(&mut self, capacity: Option<&Capacity>, limits: &mut Foresight) {
        let Some(Capacity { cpu, memory }) = capacity else {
            return;
        };
        let mut cores = 0.0;
        self.read("capacity.cpu", cpu.as_ref(), 0.1..=1024.0, &mut cores);
        if cores > 0.0 {
            limits.cores = Stock::Stated(cores);
        }
        let mut bytes = 0.0;
        let allowed = LEAST_MEMORY..=MOST_BYTES * 16.0;
        self.read("capacity.memory", memory.as_ref(), allowed, &mut bytes);
        if bytes > 0.0 {
            limits.memory_bytes = Stock::Stated(bytes);
        }
    }

    fn pods(&mut self, pods: Option<&Pods>, limits: &mut PodLimits) {
        let Some(pods) = pods else { return };
        let Pods {
            unhealthy,
            schedule_within,
            ready_within,
        } = pods;
        let to = &mut limits.unhealthy;
        self.read("pods.unhealthy", unhealthy.as_ref(), 0.0..=1.0, to);
        let (field, to) = ("pods.scheduleWithin", &mut limits.schedule_within);
        self.read(field, schedule_within.as_ref(), SECOND..=HOUR, to);
        let to = &mut limits.ready_within;
        self.read("pods.readyWithin", ready_within.as_ref(), SECOND..=DAY, to);
    }

    fn required(&mut self, required: Option<&api::Required>, limits: &mut Required) {
        let Some(api::Required { api_servers, dns }) = required else {
            return;
        };
        if let Some(servers) = api_servers
            && self.allows("required.apiServers", servers, &(1..=32), u32::to_string)
        {
            limits.servers = Servers::Stated(*servers);
        }
        if let Some(dns) = dns {
            limits.dns = match dns {
                api::DnsRequired::WhereMeasured => DnsRequired::WhereMeasured,
                api::DnsRequired::Always => DnsRequired::Always,
                api::DnsRequired::Never => DnsRequired::Never,
            };
        }
    }

    /// What only shows once the preset is filled in.
    fn contradictions(&mut self, pace: Pace, policy: &Policy) {
        if policy.canary > policy.max_step {
            let [canary, step] =
                [policy.canary, policy.max_step].map(|share| Percent::show(&share));
            let defect = Defect::Contradictory(format!(
                "a canary of {canary} is larger than the largest step of {step} (by preset {pace:?} \
                 where not stated): the first wave is a step too"
            ));
            self.add("waves.canary", defect);
        }
    }

    /// Keeps what is wrong with a field.
    pub(super) fn add(&mut self, field: impl Into<Cow<'static, str>>, defect: Defect) {
        let field = field.into();
        self.problems.push(Problem { field, defect });
    }

    /// Reads one field, if it is stated; whatever is wrong with it leaves the preset's value.
    pub(super) fn read<F: Form>(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        form: Option<&F>,
        allowed: RangeInclusive<F::Meaning>,
        to: &mut F::Meaning,
    ) {
        let Some(form) = form else { return };
        match form.meaning() {
            None => {
                let defect = Defect::Malformed {
                    text: form.to_string(),
                    want: F::WANT,
                };
                self.add(field, defect);
            }
            Some(meaning) => {
                if self.allows(field, &meaning, &allowed, F::show) {
                    *to = meaning;
                }
            }
        }
    }

    /// Whether the value is in range; if not, that is a problem.
    fn allows<T: PartialOrd>(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        value: &T,
        allowed: &RangeInclusive<T>,
        show: impl Fn(&T) -> String,
    ) -> bool {
        let inside = allowed.contains(value);
        if !inside {
            let [value, least, most] = [value, allowed.start(), allowed.end()].map(show);
            self.add(field, Defect::OutOfRange { value, least, most });
        }
        inside
    }
}
