//! What a rollout's next judgement needs of its last ones: a value, returned anew by each judgement.
//!
//! The shell keeps it in memory, and what makes a [`Record`] in the status, so that how far the waves
//! have come, what harm stands and what pods cost survive a restart:
//!
//! ```text
//!  created ── begin ──▶ judge ──▶ judge ──✗ Weir dies, or loses the lease
//!                                   │ Record, in the status
//!                                   ▼
//!                                resumed ──▶ judge ──▶ …   (soak begins anew, buckets are empty,
//!                                                           harm stands as if it was just found)
//! ```

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    forecast::{Exceeded, Ledger, Recalled},
    incident::Incident,
    plan::{Finding, Hold, Rule, Severity},
    soak::{Begun, NodeSet, Seen, Stretch},
    time::{Moment, Span},
};

/// How far the waves have come: the part of the history that must survive a restart of Weir.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The width that the waves so far allow; 0 before the canary.
    pub target: u32,
    /// Waves begun.
    pub wave: u32,
    /// What a wave's step is multiplied by, in (0, 4]: halves at each hold for harm, recovers with
    /// each clean wave, and grows beyond one as long as the forecast has room.
    pub pace: f64,
    /// Whether soak time without deployments was ever as long as the policy demands.
    pub stretched: bool,
}

/// What of a rollout is on record: all that is left of its history once nobody remembers it.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it was created.
    pub begun: Moment,
    /// How far the waves had come; `None` where they begin anew.
    pub progress: Option<Progress>,
    /// The width as last seen.
    pub width: u32,
    /// What was found at last.
    pub findings: Vec<Finding>,
    /// What pods were seen to cost; `None` where nothing was foreseen.
    pub costs: Option<Recalled>,
    /// Whether it was let through one by one for ever.
    pub paced: bool,
    /// When the order was given that was last carried out, or that a newer revision ended.
    pub obeyed: Option<Moment>,
    /// The incident that goes on, or the last one.
    pub incident: Option<Incident>,
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
    /// Those of them that it began with, to see whether others took their place.
    pub soaked_from: Begun,
    /// The part of it without deployments in the workload's namespace.
    pub stretch: Stretch,
    /// The nodes, as far as a change of them disturbs.
    pub nodes: NodeSet,
    /// Harm that stands, ordered by rule and subject.
    pub standing: Vec<Standing>,
    /// The hold for harm that stands.
    pub hold: Option<Hold>,
    /// The incident that goes on, or the last one.
    pub incident: Option<Incident>,
    /// The pace before the hold that stands halved it, if it did.
    pub pace_before: Option<f64>,
    /// Whether a hold's harm that began with this rollout's own starts was found to be others' once: its
    /// pace was given back, which happens once.
    pub forgiven: bool,
    /// Whether it was found that all starts at once would be too much: it is let through one by one for
    /// ever, unless a person approves it.
    pub paced: bool,
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
    /// When the order was given that was last carried out, if a person gave one: none is obeyed twice.
    pub obeyed: Option<Moment>,
    /// Since when nothing is left to let through of the order that stands.
    pub order_rests: Option<Moment>,
    /// The part of a release that the pace has not yet allowed, less than one pod.
    pub release_carry: f64,
    /// Tokens for nodes that would starve.
    pub starving_tokens: f64,
    /// Pods that such tokens were taken for, and that were not yet seen let through.
    pub serving: BTreeSet<String>,
    /// What its pods were seen to cost.
    pub ledger: Ledger,
}

impl History {
    /// Before the first judgement of a rollout whose record was created at `begun`.
    #[must_use]
    pub fn begin(begun: Moment, now: Moment) -> Self {
        Self {
            begun,
            watched: now,
            informed: false,
            judged: now,
            seen: Seen::Blind,
            progress: Progress {
                target: 0,
                wave: 0,
                pace: 1.0,
                stretched: false,
            },
            soaked: Span::ZERO,
            soaked_width: 0,
            soaked_from: Begun::default(),
            stretch: Stretch::default(),
            nodes: NodeSet::default(),
            standing: Vec::new(),
            hold: None,
            incident: None,
            pace_before: None,
            forgiven: false,
            paced: false,
            holds: 0,
            width: 0,
            first_out: None,
            approved: None,
            let_go: None,
            obeyed: None,
            order_rests: None,
            release_carry: 0.0,
            starving_tokens: 0.0,
            serving: BTreeSet::new(),
            ledger: Ledger::default(),
        }
    }

    /// After a restart: the waves go on from where the record says, and the harm among its findings
    /// stands as if it had just been found, since nobody watched. Soak is repeated, and the bucket for
    /// starving nodes begins empty, so that restarting often lets nothing more through.
    #[must_use]
    pub fn resumed(record: Record, now: Moment) -> Self {
        let Record {
            begun,
            progress,
            width,
            findings,
            costs,
            paced,
            obeyed,
            incident,
        } = record;
        // Waves may begin anew, but no order is obeyed twice, and no incident is forgotten.
        let anew = Self {
            incident,
            obeyed,
            ..Self::begin(begun, now)
        };
        let Some(progress) = progress else {
            return anew;
        };
        let ledger = costs.map(|costs| Ledger::recalled(&costs, exceeded(&costs, &findings)));
        let standing: Vec<Standing> = in_order(findings.into_iter().filter_map(|finding| {
            let holds = finding.holds_for_harm();
            holds.then(|| Standing::recalled(finding, now))
        }));
        // The hold that `progress` has already paid for with its pace: it must not pay twice. Where
        // nothing was out there was none, or one that cost nothing.
        let is_held = progress.target > 0 && !standing.is_empty();
        let hold = is_held.then_some(Hold {
            since: now,
            width: progress.target,
        });
        Self {
            progress,
            // Until pods are seen again it is told as it was, not as none.
            width,
            standing,
            holds: u32::from(hold.is_some()),
            hold,
            paced,
            first_out: if progress.target > 0 { Some(now) } else { None },
            ledger: ledger.unwrap_or_default(),
            ..anew
        }
    }

    /// The same, by a process that went on looking meanwhile: what it saw suffer `before` stands, with
    /// the quiet that it saw since. Whatever only the record knows stands too.
    #[must_use]
    pub fn remembering(self, before: Self) -> Self {
        let mut standing = before.standing;
        let unknown = |harm: &Standing| !standing.iter().any(|own| own.is_of(harm));
        let recalled: Vec<_> = self.standing.into_iter().filter(unknown).collect();
        standing.extend(recalled);
        Self {
            standing: in_order(standing),
            // One that the record does not know was not paid for in the record's pace: it begins anew.
            hold: self.hold.map(|known| before.hold.unwrap_or(known)),
            holds: before.holds.max(self.holds),
            // Whether harm is this rollout's goes by which of the two came first.
            first_out: before.first_out.or(self.first_out),
            ledger: self.ledger.richer(before.ledger),
            obeyed: self.obeyed.max(before.obeyed),
            // One that goes on by the record was told by whoever led.
            incident: match (self.incident, before.incident) {
                (Some(told), _) if told.mitigated.is_none() => Some(told),
                (told, own) => own.or(told),
            },
            ..self
        }
    }
}

impl Standing {
    /// Harm that was found by a process that is gone: how long it was quiet, and on which pods it was
    /// found, went with it.
    fn recalled(finding: Finding, now: Moment) -> Self {
        Self {
            finding: finding.last_found(),
            since: now,
            seen: now,
            quiet: Span::ZERO,
            pods: BTreeSet::new(),
        }
    }

    fn is_of(&self, other: &Self) -> bool {
        self.finding.is_of(&other.finding)
    }
}

fn in_order(standing: impl IntoIterator<Item = Standing>) -> Vec<Standing> {
    let mut standing: Vec<Standing> = standing.into_iter().collect();
    standing.sort_by_cached_key(|harm| (harm.finding.rule, harm.finding.subject.clone()));
    standing
}

/// What was exceeded by these costs: whatever it was found to hold the rollout for.
fn exceeded(costs: &Recalled, findings: &[Finding]) -> Exceeded {
    let held_by = |rule: Rule| {
        let mut findings = findings.iter();
        findings.any(|finding| finding.rule == rule && finding.severity == Severity::Hold)
    };
    Exceeded {
        capacity: held_by(Rule::ForecastExceedsCapacity).then(|| costs.exceeded()),
        unison: held_by(Rule::UnisonExceedsCapacity),
    }
}
