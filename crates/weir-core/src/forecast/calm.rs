//! What is looked at, and whether it is calm: no pod starts, none comes or goes, and clients are
//! answered as they ask.

use serde::{Deserialize, Serialize};

use super::window::Window;
use crate::{
    evidence::{ServerEvidence, ServerId},
    policy::HarmLimits,
    time::{Moment, Span},
    usage::Meter,
};

/// How long pods are taken to start after the last of them was ready. A list of everything takes
/// seconds, and the page that counts it is made once it has ended.
const STARTING: Span = Span::from_secs(3);

/// The share of an API server's cores above which cost is no longer in proportion to the dose
/// (measured: nearly linear up to there, design.md section 8).
pub(crate) const PROPORTIONAL: f64 = 0.6;

/// A rollout that adds less than this share of a capacity at full width is harmless, whatever others
/// use: a page of metrics every five seconds, as any monitoring reads it, costs about as much.
const NEGLIGIBLE: f64 = 0.02;

/// Whether so much more is next to nothing of a capacity.
pub(super) fn is_negligible(more: f64, capacity: f64) -> bool {
    more <= NEGLIGIBLE * capacity
}

/// What is looked at, at one moment.
pub(crate) struct Look<'a> {
    pub(crate) servers: &'a [(&'a ServerId, &'a ServerEvidence)],
    pub(crate) limits: &'a HarmLimits,
    pub(crate) meter: &'a Meter,
    /// Pods that run and cost something.
    pub(crate) width: u32,
    /// Pods that are let through, on whichever nodes.
    pub(crate) out: u32,
    /// Pods that exist.
    pub(crate) pods: usize,
    /// Pods at full width.
    pub(crate) full: u32,
    /// Some pod is being placed, or not ready yet.
    pub(crate) starting: bool,
    /// Cores of each API server, as a person states them.
    pub(crate) stated_cores: Option<f64>,
    pub(crate) now: Moment,
}

impl Look<'_> {
    /// For how many seconds a second the requests of one pod may run for the rollout to be harmless at full
    /// width, where it is known what API servers have. (They run for no less than they cost, and for longer
    /// where the CPU is short.)
    pub(super) fn negligible(&self) -> Option<f64> {
        let measured = self
            .servers
            .iter()
            .map(|(_, known)| known.counted.fresh().and_then(|page| page.cpu_limit_cores));
        let cores = cores(self.stated_cores, measured)?;
        Some(NEGLIGIBLE * cores / f64::from(self.full.max(1)))
    }
}

/// Whether pods come, start or go.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Calm {
    /// What was last seen; nothing before the first look.
    seen: Option<Seen>,
    /// When pods last started, came or went.
    disturbed: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    width: u32,
    out: u32,
    pods: usize,
}

/// What one look found changed.
pub(super) struct Followed {
    /// Pods that were let through since.
    pub(super) let_through: u32,
    pub(super) width_changed: bool,
}

impl Calm {
    /// Follows the pods. What the first look finds has not started now.
    pub(super) fn follow(&mut self, look: &Look<'_>) -> Followed {
        let now = Seen {
            width: look.width,
            out: look.out,
            pods: look.pods,
        };
        let before = self.seen.replace(now).unwrap_or(now);
        if before != now || look.starting {
            self.disturbed = Some(look.now);
        }
        Followed {
            let_through: now.out.saturating_sub(before.out),
            width_changed: now.width != before.width,
        }
    }

    /// Pods that cost something, when last looked at.
    pub(super) fn width(&self) -> u32 {
        self.seen.map_or(0, |seen| seen.width)
    }

    /// Whether nothing started for long enough before a window began, nor since.
    pub(super) fn is_calm_since(&self, began: Moment) -> bool {
        self.rested(STARTING, began)
    }

    /// Whether no pod started, came or went for so long before a moment, nor since.
    pub(super) fn rested(&self, span: Span, before: Moment) -> bool {
        self.disturbed.is_none_or(|at| at + span <= before)
    }
}

/// Why cost is not in proportion to the dose in a window, if it is not: clients back off, or wait.
pub(super) fn out_of_proportion(look: &Look<'_>, window: &Window) -> Option<&'static str> {
    let flows = || {
        let servers = look.servers.iter();
        servers.filter_map(|(_, known)| known.flow.fresh())
    };
    let limits = look.limits;
    let stated = look.stated_cores;
    let share = stated.map_or(window.busiest_share, |cores| window.busiest_cores / cores);
    if flows().any(|flow| flow.rejected_per_second >= limits.rejected_per_second) {
        Some("requests refused")
    } else if flows().any(|flow| flow.late(limits.latency_floor_ms) >= limits.queued) {
        Some("requests queued")
    } else if share > PROPORTIONAL {
        Some("CPU above 60 %")
    } else {
        None
    }
}

/// Cores of each API server: as stated, or else those of the one that has least.
pub(super) fn cores(
    stated: Option<f64>,
    measured: impl Iterator<Item = Option<f64>>,
) -> Option<f64> {
    stated.or_else(|| measured.reduce(|one, other| one.zip(other).map(|(a, b)| a.min(b)))?)
}
