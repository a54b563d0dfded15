//! The record of an incident: when it was seen, understood and mitigated, by what was found at each moment.
//!
//! After an outage of three hours in January 2025 nobody could say when each of these had been. Here they are no
//! person's memory: they follow from the findings of each judgement, whoever reads them, and whenever.
//!
//! ```text
//!        a sign: harm, a mask,        a finding names       no sign of it for
//!        or a neighbour's incident    what is at fault      `clear_after`
//!  ──────────────┬────────────────────────────┬──────────────────────┬────────▶
//!              seen                       understood             mitigated
//! ```
//!
//! Some signs say themselves what is at fault (a frozen replica, pods that crash), so that both moments are one.
//! Where nothing but the order of events tells, a rollout is taken for the cause once its meter had the time to
//! clear it of the harm; evidence that names another later goes before that.

use serde::{Deserialize, Serialize};

use crate::{
    history::{History, Standing},
    plan::{Finding, Kind, Rule, Severity},
    time::{Moment, Span},
    verdict::{Scene, Verdict},
};

/// How long harm that began once pods of a rollout were out must stand before that counts as its cause. By then its
/// meter would have cleared it: harm must be seen 15 s after the last start, and pages that tell of it read.
const WEIGHED: Span = Span::from_secs(30);

/// What is told where only the order of events names the rollout.
const BY_ORDER: &str =
    "it began once pods of this rollout were out, and nothing that is metered clears them of it";

/// One fault, as it was found when it mattered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The rule that found it.
    pub rule: Rule,
    /// What it was found on.
    pub subject: String,
    /// The evidence of that moment, in a sentence.
    pub evidence: String,
}

/// What was at fault, and when that was known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Understood {
    /// When the cause was first named.
    pub at: Moment,
    /// The cause. A rule that finds no more than a symptom means this rollout, by the order of events.
    pub cause: Fault,
}

/// One incident, as a rollout met it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// When its first sign was found.
    pub seen: Moment,
    /// That sign.
    pub sign: Fault,
    /// What was at fault, once something named it.
    pub understood: Option<Understood>,
    /// When it was over: nothing of it had been found for as long as a harm must be gone.
    pub mitigated: Option<Moment>,
    /// For how long, on fresh evidence, nothing of it has been found.
    pub quiet: Span,
}

/// What a rule's finding is to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// It shows that something suffers, and not from what.
    Symptom,
    /// It shows that something is wrong, and what.
    Itself,
    /// It says what those suffer from who suffer.
    Explains,
    /// It is none of it.
    Nothing,
}

const fn part(rule: Rule) -> Part {
    match rule {
        Rule::LatencyRegressed
        | Rule::QueueSaturated
        | Rule::Rejecting
        | Rule::MemoryClimbing
        | Rule::ServerRestarted
        | Rule::BurnFast
        | Rule::BurnSlow => Part::Symptom,
        Rule::RetryAmplification
        | Rule::PodsUnhealthy
        | Rule::ReleasedUnschedulable
        | Rule::NodesLost
        | Rule::EvidenceMasked
        | Rule::ReplicaFrozen
        | Rule::DependencyIncident => Part::Itself,
        Rule::NotTheCause
        | Rule::ForecastExceedsCapacity
        | Rule::UnisonExceedsCapacity
        | Rule::CostGrowsWithAge => Part::Explains,
        // What is merely not known harms nobody, nor does what is out of order.
        Rule::EvidenceInsufficient
        | Rule::EvidenceStale
        | Rule::EvidenceAbsent
        | Rule::BeaconLagging
        | Rule::OutsideWindow
        | Rule::PodsLeaked => Part::Nothing,
    }
}

impl Fault {
    fn of(finding: &Finding) -> Self {
        Self {
            rule: finding.rule,
            subject: finding.subject.clone(),
            evidence: finding.evidence.clone(),
        }
    }

    /// Whether it says more than that something suffers.
    fn is_proof(&self) -> bool {
        part(self.rule) != Part::Symptom
    }
}

/// What one judgement tells of incidents.
struct Look<'a> {
    findings: &'a [Finding],
    /// Harm that stands, if it holds the rollout: what only delays its beginning is none of its incidents.
    standing: &'a [Standing],
    first_out: Option<Moment>,
    /// Time since the last judgement that may count towards the end.
    quiet: Span,
    clear_after: Span,
    phase: Phase,
    now: Moment,
}

/// What the rollout is about, which says what of incidents is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// On its way: what goes wrong meanwhile is its incident.
    OnItsWay,
    /// Nothing is to be done for now: no incident begins, and one that goes on is seen to its end.
    Rests,
    /// Nothing will be done for it any more: nobody looks for long enough to see that a fault stays away, so that
    /// what was not found at last is over.
    Done,
}

/// Takes in what a judgement found.
pub(crate) fn follow(scene: &Scene<'_>, verdict: &Verdict, phase: Phase, history: &mut History) {
    let is_held = history.hold.is_some();
    let look = Look {
        findings: &verdict.findings,
        standing: if is_held { &verdict.standing } else { &[] },
        first_out: history.first_out,
        quiet: verdict.quiet,
        clear_after: scene.clear_after,
        phase,
        now: scene.now,
    };
    history.incident = after(history.incident.take(), &look);
}

/// The last incident, after one more look.
fn after(before: Option<Incident>, look: &Look<'_>) -> Option<Incident> {
    match before {
        Some(open) if open.goes_on() => Some(open.followed(look)),
        over => look.begun().or(over),
    }
}

impl Incident {
    /// Whether its end was not seen yet.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.mitigated.is_none()
    }

    fn followed(mut self, look: &Look<'_>) -> Self {
        self.quiet = if look.is_found() {
            Span::ZERO
        } else {
            self.quiet + look.quiet
        };
        let named = match &self.understood {
            None => look.named_by_evidence().or_else(|| look.named_by_order()),
            Some(known) if known.cause.is_proof() => None,
            Some(_) => look.named_by_evidence(),
        };
        if let Some(cause) = named {
            let at = look.now;
            self.understood = Some(Understood { at, cause });
        }
        let is_quiet = self.quiet >= look.clear_after || look.phase == Phase::Done;
        let is_over = look.signs().next().is_none() && is_quiet;
        self.mitigated = is_over.then_some(look.now);
        self
    }
}

impl Look<'_> {
    fn begun(&self) -> Option<Incident> {
        let (first, seen) = self
            .signs()
            .filter(|_| self.phase == Phase::OnItsWay)
            .min_by_key(|(_, since)| *since)?;
        let incident = Incident {
            seen,
            sign: Fault::of(first),
            understood: None,
            mitigated: None,
            quiet: Span::ZERO,
        };
        Some(incident.followed(self))
    }

    /// What shows that something is wrong, and since when it was found.
    fn signs(&self) -> impl Iterator<Item = (&Finding, Moment)> {
        let holds = self
            .findings
            .iter()
            .filter(|finding| finding.severity == Severity::Hold);
        holds.filter_map(move |finding| match part(finding.rule) {
            Part::Symptom | Part::Itself if finding.rule.kind() == Kind::Harm => {
                self.harm(finding).map(|harm| (finding, harm.since))
            }
            Part::Symptom | Part::Itself => Some((finding, self.now)),
            Part::Explains | Part::Nothing => None,
        })
    }

    fn harm(&self, finding: &Finding) -> Option<&Standing> {
        let mut standing = self.standing.iter();
        standing.find(|harm| harm.finding.is_of(finding))
    }

    /// Whether a sign was found at this moment, and does not only linger.
    fn is_found(&self) -> bool {
        let lingers = |finding: &Finding| {
            let harm = self.harm(finding);
            harm.is_some_and(|harm| harm.seen < self.now)
        };
        self.signs().any(|(finding, _)| !lingers(finding))
    }

    /// What is at fault, as a finding says it. What explains harm goes before what shows beside it.
    fn named_by_evidence(&self) -> Option<Fault> {
        let is_harmed = self.signs().any(|(sign, _)| sign.rule.kind() == Kind::Harm);
        let explains = self
            .findings
            .iter()
            .filter(|finding| is_harmed && part(finding.rule) == Part::Explains)
            .min_by_key(|finding| finding.rule);
        let mut signs = self.signs().map(|(sign, _)| sign);
        let itself = || signs.find(|sign| part(sign.rule) == Part::Itself);
        explains.or_else(itself).map(Fault::of)
    }

    /// Harm that began once pods were out, and of which the rollout was not cleared in time. A server that restarts
    /// may do so for reasons of its own.
    fn named_by_order(&self) -> Option<Fault> {
        let first_out = self.first_out?;
        let blamed = |(sign, since): &(&Finding, Moment)| {
            sign.rule.kind() == Kind::Harm
                && sign.rule != Rule::ServerRestarted
                && *since >= first_out
                && self.now.since(*since) >= WEIGHED
        };
        let (sign, _) = self.signs().find(blamed)?;
        Some(Fault {
            evidence: BY_ORDER.to_owned(),
            ..Fault::of(sign)
        })
    }
}
