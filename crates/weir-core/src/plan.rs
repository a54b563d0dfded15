//! What is reported and what is to be done now, leaving no choice to whoever does it.

use serde::{
    Deserialize, Serialize,
    de::{IntoDeserializer, value::Error},
};

use crate::{
    forecast::Forecast,
    incident::Incident,
    still::Still,
    time::{Moment, Span},
};

/// The fault a rule found. The names are the reasons of conditions and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rule {
    /// Harm that this rollout's meter, dose and response clear it of.
    NotTheCause,
    /// Probes are much slower than in quiet times, or fail.
    LatencyRegressed,
    /// Requests wait in Priority and Fairness queues.
    QueueSaturated,
    /// An API server refuses requests with 429.
    Rejecting,
    /// An API server's memory grows fast.
    MemoryClimbing,
    /// An API server restarted a short while ago.
    ServerRestarted,
    /// An API server has been bad for so much of the last hour, and of the last minutes, that its error budget
    /// is spent far too fast.
    BurnFast,
    /// The same over hours and days.
    BurnSlow,
    /// Released pods restart, crash or do not become ready.
    PodsUnhealthy,
    /// Released pods are not placed on their nodes.
    ReleasedUnschedulable,
    /// Nodes stopped being ready once they had a pod of the rollout, more of them than elsewhere.
    NodesLost,
    /// The rollout's account asks ever more often, since it is refused or not answered.
    RetryAmplification,
    /// By what the first pods cost, full width would be more than a capacity.
    ForecastExceedsCapacity,
    /// By what the first pods' start cost, all pods' at once would take the API servers too long.
    UnisonExceedsCapacity,
    /// What was seen does not tell yet whether the next wave would be within budget.
    EvidenceInsufficient,
    /// What a pod costs grows while it runs.
    CostGrowsWithAge,
    /// DNS answers with what was, so that nothing would show a fault.
    EvidenceMasked,
    /// A DNS server answers, and hears of no change any longer.
    ReplicaFrozen,
    /// A source was last heard too long ago.
    EvidenceStale,
    /// A source says nothing, or nothing that can be understood.
    EvidenceAbsent,
    /// Nobody writes what shows how old the answers of DNS are.
    BeaconLagging,
    /// Something that the policy depends on has an incident of its own.
    DependencyIncident,
    /// No window of the policy is open.
    OutsideWindow,
    /// Pods of an unapproved revision run without having passed the valve.
    PodsLeaked,
}

/// What sort of fault a rule finds: it decides what a hold does and how it clears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Something suffers: soak begins anew, the step halves, and it clears only after a quiet time.
    Harm,
    /// Something is not known: soak stands still, and it clears as soon as it is known.
    Evidence,
    /// Something elsewhere suffers, and not from this: soak stands still, and it clears as soon as that is over.
    Elsewhere,
    /// Something is out of order that holding would not mend.
    Order,
    /// Nothing suffers yet: by what was seen it would. Soak goes on, and it clears when what was
    /// seen says so.
    Foreseen,
}

impl Rule {
    /// The name as conditions, events and metrics carry it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotTheCause => "NotTheCause",
            Self::ForecastExceedsCapacity => "ForecastExceedsCapacity",
            Self::UnisonExceedsCapacity => "UnisonExceedsCapacity",
            Self::EvidenceInsufficient => "EvidenceInsufficient",
            Self::CostGrowsWithAge => "CostGrowsWithAge",
            Self::RetryAmplification => "RetryAmplification",
            Self::LatencyRegressed => "LatencyRegressed",
            Self::QueueSaturated => "QueueSaturated",
            Self::Rejecting => "Rejecting",
            Self::MemoryClimbing => "MemoryClimbing",
            Self::ServerRestarted => "ServerRestarted",
            Self::BurnFast => "BurnFast",
            Self::BurnSlow => "BurnSlow",
            Self::PodsUnhealthy => "PodsUnhealthy",
            Self::ReleasedUnschedulable => "ReleasedUnschedulable",
            Self::NodesLost => "NodesLost",
            Self::EvidenceStale => "EvidenceStale",
            Self::EvidenceAbsent => "EvidenceAbsent",
            Self::EvidenceMasked => "EvidenceMasked",
            Self::ReplicaFrozen => "ReplicaFrozen",
            Self::BeaconLagging => "BeaconLagging",
            Self::DependencyIncident => "DependencyIncident",
            Self::OutsideWindow => "OutsideWindow",
            Self::PodsLeaked => "PodsLeaked",
        }
    }

    /// The rule of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = IntoDeserializer::<Error>::into_deserializer(name);
        Self::deserialize(name).ok()
    }

    /// Whether it is found on the rollout's own pods, and harms no one else.
    pub(crate) const fn is_of_own_pods(self) -> bool {
        matches!(self, Self::PodsUnhealthy | Self::ReleasedUnschedulable)
    }

    /// What sort of fault it finds.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::LatencyRegressed
            | Self::QueueSaturated
            | Self::Rejecting
            | Self::MemoryClimbing
            | Self::ServerRestarted
            | Self::BurnFast
            | Self::BurnSlow
            | Self::PodsUnhealthy
            | Self::ReleasedUnschedulable
            | Self::NodesLost
            | Self::RetryAmplification => Kind::Harm,
            Self::EvidenceStale
            | Self::EvidenceAbsent
            | Self::EvidenceMasked
            | Self::ReplicaFrozen
            | Self::BeaconLagging => Kind::Evidence,
            Self::DependencyIncident => Kind::Elsewhere,
            Self::PodsLeaked | Self::OutsideWindow | Self::NotTheCause => Kind::Order,
            Self::ForecastExceedsCapacity
            | Self::UnisonExceedsCapacity
            | Self::EvidenceInsufficient
            | Self::CostGrowsWithAge => Kind::Foreseen,
        }
    }
}

/// What a finding does to the rollout. Later is more severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Told, and nothing else.
    Notice,
    /// Nothing more is let through while it stands.
    Hold,
}

/// What stands between how long harm was not seen, and what was seen before.
const BEFORE: &str = "; before: ";

/// One rule's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The fault.
    pub rule: Rule,
    /// What it does.
    pub severity: Severity,
    /// What it was found on: an API server's address, a pod, a source. Ordered and deduplicated
    /// by this and `rule`.
    pub subject: String,
    /// The evidence, in a sentence with figures.
    pub evidence: String,
    /// What would clear it, in a sentence.
    pub clears_when: String,
}

impl Finding {
    /// What was found on what, and by which figures.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!("{} ({}): {}", self.rule.name(), self.subject, self.evidence)
    }

    /// A finding that holds.
    pub(crate) fn hold(
        rule: Rule,
        subject: impl Into<String>,
        evidence: impl Into<String>,
        clears_when: impl Into<String>,
    ) -> Self {
        let (subject, evidence, clears_when) =
            (subject.into(), evidence.into(), clears_when.into());
        Self {
            rule,
            severity: Severity::Hold,
            subject,
            evidence,
            clears_when,
        }
    }

    /// Whether it is harm that stands until it was gone for long enough.
    pub(crate) fn holds_for_harm(&self) -> bool {
        self.rule.kind() == Kind::Harm && self.severity == Severity::Hold
    }

    /// Whether going on would do harm, by what was seen.
    pub(crate) fn holds_as_foreseen(&self) -> bool {
        self.rule.kind() == Kind::Foreseen && self.severity == Severity::Hold
    }

    /// Whether it is the same fault of the same thing.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        (self.rule, &self.subject) == (other.rule, &other.subject)
    }

    /// The same finding, as told when it was not found again for some time.
    pub(crate) fn not_seen_for(self, quiet: Span, clears_when: String) -> Self {
        Self {
            evidence: format!("not seen for {quiet}{BEFORE}{}", self.evidence),
            clears_when,
            ..self
        }
    }

    /// The same finding, as it was last found.
    pub(crate) fn last_found(self) -> Self {
        let evidence = self.evidence.rsplit(BEFORE).next();
        Self {
            evidence: evidence.unwrap_or_default().to_owned(),
            ..self
        }
    }

    /// The same finding, only told.
    pub(crate) fn only_told(self) -> Self {
        Self {
            severity: Severity::Notice,
            ..self
        }
    }
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Evidence or calm is awaited before anything is let through, or there is nothing to let
    /// through.
    Pending,
    /// A wave is being let through, or its pods are becoming ready.
    Progressing,
    /// The wave is out and ready; soak time is being added.
    Soaking,
    /// Nothing more is let through, for the findings' reasons.
    Held,
    /// A person has paused it.
    Paused,
    /// All pods are out and soaked; the revision is not approved, since its pods must never start all
    /// at once: each that comes later passes the valve.
    Paced,
    /// All pods are out and soaked; the revision is approved.
    Complete,
    /// No pod is gated, because nobody asks for the guard any longer: it was neither soaked to full
    /// width nor approved.
    LetGo,
}

impl State {
    /// The name as status, events and metrics carry it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Progressing => "Progressing",
            Self::Soaking => "Soaking",
            Self::Held => "Held",
            Self::Paused => "Paused",
            Self::Paced => "Paced",
            Self::Complete => "Complete",
            Self::LetGo => "LetGo",
        }
    }
}

/// A hold for harm, from the judgement that began it to the one that cleared it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// When it began.
    pub since: Moment,
    /// Pods of the revision that were let through at that moment.
    pub width: u32,
}

/// What a judgement says, for people and for status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where the rollout stands.
    pub state: State,
    /// All findings, the most severe first.
    pub findings: Vec<Finding>,
    /// The hold for harm that stands, if one does.
    pub hold: Option<Hold>,
    /// Pods of this revision that are let through, as last seen.
    pub width: u32,
    /// Full width: pods that the workload wants, as last seen.
    pub full_width: u32,
    /// The width that the waves so far allow.
    pub target: u32,
    /// Waves begun.
    pub wave: u32,
    /// Soak time at this width so far.
    pub soaked: Span,
    /// Soak time that each width needs.
    pub soak_needed: Span,
    /// Why none is being added, if none is.
    pub soak_stands_still: Option<Still>,
    /// The incident that goes on, or the last one.
    pub incident: Option<Incident>,
    /// What full width would cost, once something was seen to tell it from.
    pub forecast: Option<Forecast>,
    /// Nodes that wait for a pod of this workload.
    pub nodes_without_pod: u32,
    /// One sentence for a tired person.
    pub summary: String,
}

impl Report {
    /// The most severe of what holds it.
    #[must_use]
    pub fn worst(&self) -> Option<&Finding> {
        let mut findings = self.findings.iter();
        findings.find(|finding| finding.severity == Severity::Hold)
    }

    /// Whether the rollout needs close watching: not once it is complete or let go, nor while no
    /// node wants a pod of it, nor while it is paced and all its pods are out.
    #[must_use]
    pub fn in_flight(&self) -> bool {
        match self.state {
            State::Complete | State::LetGo => false,
            State::Paced => self.width < self.full_width,
            State::Pending | State::Progressing | State::Soaking | State::Held | State::Paused => {
                self.full_width > 0
            }
        }
    }
}

/// Why a pod is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Because {
    /// It belongs to the current wave.
    Wave,
    /// Its node would otherwise stay without any revision of an approved workload.
    Starving,
    /// Its revision is approved.
    Approved,
    /// Its revision is everywhere, and is let through one by one for ever.
    Paced,
    /// Nobody asks for the guard any longer.
    LetGo,
    /// A person ordered it, once.
    Ordered,
}

/// One thing to do. The executor checks lease and judgement before each, and has no choice left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Intent {
    /// Add the revision to the approved ones: its pods are born ungated from then on.
    Approve,
    /// Remove the gate from these pods, in this order, at no more than the policy's pace.
    Release {
        /// Names of pods in the rollout's namespace.
        pods: Vec<String>,
        /// Why.
        because: Because,
    },
}

/// What to do now, and when to look again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// In order; an intent is only begun when the one before it is done.
    pub intents: Vec<Intent>,
    /// Judge again no later than this.
    pub look_again: Moment,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_known_by_the_name_that_records_carry() {
        for rule in [
            Rule::NotTheCause,
            Rule::ForecastExceedsCapacity,
            Rule::UnisonExceedsCapacity,
            Rule::EvidenceInsufficient,
            Rule::CostGrowsWithAge,
            Rule::RetryAmplification,
            Rule::LatencyRegressed,
            Rule::QueueSaturated,
            Rule::Rejecting,
            Rule::MemoryClimbing,
            Rule::ServerRestarted,
            Rule::BurnFast,
            Rule::BurnSlow,
            Rule::PodsUnhealthy,
            Rule::ReleasedUnschedulable,
            Rule::NodesLost,
            Rule::EvidenceStale,
            Rule::EvidenceAbsent,
            Rule::EvidenceMasked,
            Rule::ReplicaFrozen,
            Rule::BeaconLagging,
            Rule::DependencyIncident,
            Rule::OutsideWindow,
            Rule::PodsLeaked,
        ] {
            assert_eq!(Rule::named(rule.name()), Some(rule));
        }
        assert_eq!(Rule::named("WriteFailed"), None);
    }

    #[test]
    fn what_was_last_found_is_told_once_however_often_weir_restarts() {
        let found = Finding::hold(Rule::Rejecting, "api-a", "9 a second", "fewer");
        let mut finding = found.clone();
        for seconds in [3, 5] {
            let told = finding.not_seen_for(Span::from_secs(seconds), String::new());
            finding = told.last_found();
            assert_eq!(finding.evidence, found.evidence);
        }
        assert_eq!(found.clone().last_found(), found);
    }
}
