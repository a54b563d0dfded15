//! The validated form of a rollout policy. The custom resource is lowered to it by the shell.

use serde::{Deserialize, Serialize};

use crate::{burn, time::Span};

/// How far Weir may go with a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mode {
    /// Weir only reads.
    Observe,
    /// Weir judges what rolls at its own pace, and says what it would have done.
    Shadow,
    /// Weir holds the rollout and lets it through in waves.
    Enforce,
}

impl Mode {
    /// The name as flags, labels and metrics carry it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Shadow => "shadow",
            Self::Enforce => "enforce",
        }
    }
}

/// How a rollout is judged and paced. Every field is a decision: there is no `Default`, only
/// [`Policy::careful`] and [`Policy::fast`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Pods of the first wave, as a fraction of full width; at least one pod. Where forecasts hold it is
    /// one pod, whatever this says.
    pub canary: f64,
    /// How much wider each wave may make the rollout than the last: `2.0` doubles the width.
    pub growth: f64,
    /// The most that one wave may add, as a fraction of full width.
    pub max_step: f64,
    /// Fresh, undisturbed time at each width before the next wave.
    pub soak: Span,
    /// What soak must include before the rollout becomes wide; `None` where any soak will do.
    pub undisturbed: Option<Undisturbed>,
    /// Pods released per second at most.
    pub releases_per_second: f64,
    /// The node label that waves are spread over.
    pub spread_by: String,
    /// When the API servers are said to suffer.
    pub harm: HarmLimits,
    /// What may be forecast before it holds.
    pub forecast: Foresight,
    /// When the rollout's own pods are said to suffer.
    pub pods: PodLimits,
    /// What must be known, and how freshly, before anything is let through.
    pub required: Required,
    /// Nodes that would starve get their pod at this rate, as a fraction of nodes per ten minutes.
    pub starving_per_ten_minutes: f64,
}

/// A time without deployments that soak must include: what fails only in processes that have run for long is
/// masked by redeploys, and shows in a quiet night.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Undisturbed {
    /// How long nobody may have deployed in the workload's namespace, in one piece of soak.
    pub stretch: Span,
    /// How wide the rollout may become before that, as a fraction of full width; at least one pod.
    pub before: f64,
}

/// When the API servers are said to suffer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HarmLimits {
    /// The short median of probes is regressed above this many milliseconds …
    pub latency_floor_ms: f64,
    /// … and above this multiple of its quiet baseline.
    pub latency_factor: f64,
    /// Requests waiting in queues from which these count as saturated: others' that wait for the floor
    /// or longer, on average, or anybody's that wait from one look to the next.
    pub queued: f64,
    /// Requests refused per second from which the servers count as rejecting.
    pub rejected_per_second: f64,
    /// Growth of resident memory over its window, as a fraction, from which it is climbing …
    pub memory_growth: f64,
    /// … if it is also at least this many bytes.
    pub memory_growth_floor_bytes: f64,
    /// The share of time that an API server should be good, in (0, 1): what it may be bad is its error budget.
    pub objective: f64,
    /// How long after an API server's restart nothing is let through.
    pub restart_quiet: Span,
    /// How long a harm must have been gone before it counts as cleared, at the first hold; twice as
    /// long at each further one, up to 32 times, until clean waves have made up for it. Lost nodes
    /// want ten minutes where this is less, and as many times longer.
    pub clear_after: Span,
}

/// What may be forecast before it holds, and what each API server has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Foresight {
    /// A forecast decides how wide the next wave is, and holds; else it is only told.
    pub holds: bool,
    /// The share of each capacity that a rollout may bring its use to.
    pub budget: f64,
    /// Cores of each API server.
    pub cores: Stock,
    /// Bytes of memory of each API server.
    pub memory_bytes: Stock,
    /// How long the API servers may need to serve the start of all pods at once.
    pub unison: Span,
    /// Where they would need longer the rollout goes on and is never approved; else it is held.
    pub paces: bool,
    /// How long a rollout waits, after its soak, for evidence that does not suffice.
    pub patience: Span,
}

/// How much of something each API server has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Stock {
    /// As much as its process says, and no more than what a person states beside it.
    AsFound {
        /// At most this, whatever the process says; all that is known where it says nothing.
        at_most: Option<f64>,
    },
    /// As much as a person states, whatever the process says.
    Stated(f64),
}

impl Stock {
    /// What counts in the place of what was measured; `None` where that itself does.
    pub(crate) fn stated(self, measured: Option<f64>) -> Option<f64> {
        match self {
            Self::Stated(stated) => Some(stated),
            Self::AsFound { at_most } => {
                at_most.map(|most| measured.map_or(most, |found| found.min(most)))
            }
        }
    }
}

/// When the rollout's own pods are said to suffer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PodLimits {
    /// Released pods that may be unhealthy, as a fraction of the released; one pod is always allowed
    /// once the width is 20 or more.
    pub unhealthy: f64,
    /// How long a released pod may take to be placed on its node.
    pub schedule_within: Span,
    /// How long a placed pod may take to be ready.
    pub ready_within: Span,
}

/// What must be known, and how freshly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Required {
    /// API server instances that must be seen.
    pub servers: Servers,
    /// How fresh DNS must be.
    pub dns: DnsRequired,
}

/// Whether DNS must be seen to be fresh. Later is stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DnsRequired {
    /// Nowhere.
    Never,
    /// Where it can be measured.
    WhereMeasured,
    /// Everywhere: where it cannot be measured nothing is let through.
    Always,
}

/// How many API server instances must be seen; one always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Servers {
    /// As many as the cluster says there are, which must be known, and no fewer than this.
    AsFound {
        /// Instances, whatever the cluster says.
        at_least: u32,
    },
    /// As many as a person says there are.
    Stated(u32),
}

impl Policy {
    /// The default pace: at least ten minutes for the last 90 %, since agents relist every few
    /// minutes and what only shows then must have its chance to show.
    #[must_use]
    pub fn careful() -> Self {
        Self {
            growth: 1.5,
            max_step: 0.09,
            soak: Span::from_secs(60),
            forecast: Foresight {
                patience: Span::from_secs(120),
                ..Self::fast().forecast
            },
            ..Self::fast()
        }
    }

    /// For workloads that are known: the width doubles, with a short soak at each width.
    #[must_use]
    pub fn fast() -> Self {
        Self {
            canary: 0.01,
            growth: 2.0,
            max_step: 0.5,
            soak: Span::from_secs(10),
            undisturbed: None,
            releases_per_second: 20.0,
            spread_by: "topology.kubernetes.io/zone".to_owned(),
            harm: HarmLimits {
                // A plain DaemonSet's creation burst took a quiet client's p99 to 55 ms on one
                // core; a median of 100 ms is a tenth of the API latency objective of 1 s.
                latency_floor_ms: 100.0,
                latency_factor: 5.0,
                queued: 1.0,
                rejected_per_second: 1.0,
                memory_growth: 0.5,
                memory_growth_floor_bytes: 512.0 * 1024.0 * 1024.0,
                objective: burn::OBJECTIVE,
                restart_quiet: Span::from_secs(60),
                clear_after: Span::from_secs(10),
            },
            forecast: Foresight {
                holds: true,
                budget: 0.5,
                cores: Stock::AsFound { at_most: None },
                memory_bytes: Stock::AsFound { at_most: None },
                // A request is cut off after 60 s (kube-apiserver --request-timeout): what takes
                // longer never ends, since its client asks again. Half of it, as of any capacity.
                unison: Span::from_secs(30),
                paces: false,
                patience: Span::from_secs(30),
            },
            pods: PodLimits {
                unhealthy: 0.05,
                schedule_within: Span::from_secs(120),
                ready_within: Span::from_secs(300),
            },
            required: Required {
                servers: Servers::AsFound { at_least: 1 },
                dns: DnsRequired::WhereMeasured,
            },
            starving_per_ten_minutes: 0.01,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stated_beside_what_is_found_only_lowers_it() {
        let found = |at_most, measured| Stock::AsFound { at_most }.stated(measured);
        assert_eq!(found(None, Some(2.0)), None);
        assert_eq!(found(Some(8.0), Some(2.0)), Some(2.0));
        assert_eq!(found(Some(1.0), Some(2.0)), Some(1.0));
        assert_eq!(found(Some(8.0), None), Some(8.0));
        assert_eq!(Stock::Stated(8.0).stated(Some(2.0)), Some(8.0));
    }
}
