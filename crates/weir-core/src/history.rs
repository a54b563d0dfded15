//! What a rollout's next judgement needs of its last ones: a value, returned anew by each judgement.
//!
//! The shell keeps it in memory, and [`Progress`] in the status, so that it survives a restart:
//!
//! ```text
//!  created ── begin ──▶ judge ──▶ judge ──✗ Weir dies
//!                                   │ Progress, in the status
//!                                   ▼
//!                                resumed ──▶ judge ──▶ …   (soak begins anew, buckets are empty)
//! ```

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    plan::{Finding, Hold},
    soak::Seen,
    time::{Moment, Span},
};

/// How far the waves have come: the part of the history that must survive a restart of Weir.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The width that the waves so far allow; 0 before the canary.
    pub target: u32,
    /// Waves begun.
    pub wave: u32,
    /// What a wave's step is multiplied by, in (0, 1]: halves at each hold for harm, recovers with
    /// each clean wave.
    pub pace: f64,
}

/// A finding of harm that stands until it has been seen to be gone for long enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The finding as last found.
    pub finding: Finding,
    /// When it was first found.
    pub since: Moment,
    /// When it was last found.
    pub seen: Moment,
    /// For how long, on fresh evidence, it has not been found again.
    pub quiet: Span,
    /// The pods that it was found on, if it was found on pods: those that are so now, and those that
    /// were when their node stopped being ready.
    pub pods: BTreeSet<String>,
}

/// What a rollout's next judgement needs of its last ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// When the rollout began (its record was created): nodes that joined later joined during it.
    pub begun: Moment,
    /// When this process first judged it.
    pub watched: Moment,
    /// Whether all evidence was fresh at once since then: sources need a moment before they speak.
    pub informed: bool,
    /// When it was last judged.
    pub judged: Moment,
    /// What that judgement saw, which decides whether the time after it can count.
    pub seen: Seen,
    /// How far the waves have come.
    pub progress: Progress,
    /// Soak time added at `soaked_width`.
    pub soaked: Span,
    /// The pods that ran and could be judged when that soak began; nodes served because they starved
    /// add to it.
    pub soaked_width: u32,
    /// Harm that stands, ordered by rule and subject.
    pub standing: Vec<Standing>,
    /// The hold for harm that stands.
    pub hold: Option<Hold>,
    /// Holds for harm so far.
    pub holds: u32,
    /// The width as last seen.
    pub width: u32,
    /// When a pod of this revision was first seen let through.
    pub first_out: Option<Moment>,
    /// When the revision was first seen to be approved.
    pub approved: Option<Moment>,
    /// Since when nobody asks for the guard any longer, if nobody does.
    pub let_go: Option<Moment>,
    /// The part of a release that the pace has not yet allowed, less than one pod.
    pub release_carry: f64,
    /// Tokens for nodes that would starve.
    pub starving_tokens: f64,
    /// Pods that such tokens were taken for, and that were not yet seen let through.
    pub serving: BTreeSet<String>,
}

impl History {
    /// Before the first judgement of a rollout whose record was created at `begun`.
    #[must_use]
    pub const fn begin(begun: Moment, now: Moment) -> Self {
        Self::resumed(
            begun,
            Progress {
                target: 0,
                wave: 0,
                pace: 1.0,
            },
            now,
        )
    }

    /// After a restart: the waves go on from `progress`. Soak is repeated, and the bucket for
    /// starving nodes begins empty, so that restarting often lets nothing more through.
    #[must_use]
    pub const fn resumed(begun: Moment, progress: Progress, now: Moment) -> Self {
        Self {
            begun,
            watched: now,
            informed: false,
            judged: now,
            seen: Seen::Blind,
            progress,
            soaked: Span::ZERO,
            soaked_width: 0,
            standing: Vec::new(),
            hold: None,
            holds: 0,
            width: 0,
            first_out: if progress.target > 0 { Some(now) } else { None },
            approved: None,
            let_go: None,
            release_carry: 0.0,
            starving_tokens: 0.0,
            serving: BTreeSet::new(),
        }
    }
}
