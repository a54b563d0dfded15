//! Turns evidence into findings: one function per fault, named for the fault. All rules run.
//!
//! A rule that finds harm holds until its fault has been seen to be gone for long enough
//! ([`standing`]); a rule that finds evidence missing holds for as long as it is missing. No rule
//! takes silence for health, and none decides what is done: that is [`crate::judge`]'s.

mod blame;
mod burn;
mod dns;
mod evidence;
mod foreseen;
mod nodes;
mod outside;
mod pods;
mod servers;
mod standing;

use std::{cmp::Ordering, collections::BTreeMap};

use self::servers::Server;
pub(crate) use self::servers::counted;
use crate::{
    census::Census,
    evidence::{Dns, Evidence, Reading, RolloutEvidence, ServerEvidence, ServerId},
    forecast::{Forecast, Outlook},
    history::{History, Standing},
    plan::{Finding, Kind, Rule, Severity},
    policy::Policy,
    soak::{self, Seen},
    time::{Moment, Span},
};

/// A fault of one API server.
type ServerRule = fn(&Scene<'_>, &Server<'_>) -> Option<Finding>;

/// A fault of the rollout, or of the evidence as a whole.
type RolloutRule = fn(&Scene<'_>) -> Vec<Finding>;

/// A fault that is foreseen, or seen in what the rollout's pods cost.
type CostRule = fn(&Scene<'_>, &History) -> Option<Finding>;

const SERVER_RULES: [ServerRule; 9] = [
    servers::latency_regressed,
    servers::queue_saturated,
    servers::rejecting,
    servers::memory_climbing,
    servers::server_restarted,
    burn::burn_fast,
    burn::burn_slow,
    evidence::server_stale,
    evidence::server_absent,
];

const ROLLOUT_RULES: [RolloutRule; 14] = [
    pods::pods_unhealthy,
    pods::released_unschedulable,
    nodes::nodes_lost,
    pods::pods_leaked,
    evidence::evidence_stale,
    evidence::evidence_absent,
    evidence::servers_missing,
    dns::evidence_masked,
    dns::replica_frozen,
    dns::beacon_lagging,
    dns::dns_absent,
    outside::dependency_incident,
    outside::dependency_silent,
    outside::outside_window,
];

const COST_RULES: [CostRule; 5] = [
    foreseen::forecast_exceeds_capacity,
    foreseen::unison_exceeds_capacity,
    foreseen::evidence_insufficient,
    foreseen::cost_grows_with_age,
    foreseen::retry_amplification,
];

/// How long harm that was seen goes on stopping a rollout that is let go, while it cannot be seen
/// whether it is gone: twice as long as the longest `clearAfter` of the built-in policies.
const REMEMBERED: Span = Span::from_secs(640);

/// How Weir stands to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stance {
    /// It holds it behind the valve, and lets it through in waves.
    Guards,
    /// It has held it, and nobody asks for that any longer.
    LetsGo,
    /// It looks on while the rollout rolls at its own pace.
    LooksOn,
}

/// What rules look at.
pub(crate) struct Scene<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) evidence: &'a Evidence,
    /// The API servers that count, in the order of their addresses and starts.
    pub(crate) servers: Vec<(&'a ServerId, &'a ServerEvidence)>,
    pub(crate) census: &'a Census<'a>,
    /// What is foreseen, once something was seen.
    pub(crate) outlook: Option<&'a Outlook>,
    /// The same, as it is told.
    pub(crate) forecast: Option<&'a Forecast>,
    pub(crate) stance: Stance,
    /// The width that the waves so far allow.
    pub(crate) target: u32,
    /// When the rollout began.
    pub(crate) begun: Moment,
    /// How long a harm must have been gone before it counts as cleared, after the holds so far.
    pub(crate) clear_after: Span,
    /// How many times as long as at the first hold that is.
    pub(crate) repeated: f64,
    pub(crate) now: Moment,
}

/// All findings of one moment, and what of them stands on.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The most severe first, then by rule and subject; one per rule and subject.
    pub(crate) findings: Vec<Finding>,
    /// Harm that holds now, found again or not yet gone for long enough.
    pub(crate) standing: Vec<Standing>,
    /// Some evidence is missing.
    pub(crate) blind: bool,
    /// Time since the last judgement that counts towards the end of a harm.
    pub(crate) quiet: Span,
}

impl Verdict {
    /// Something suffers, or did a short while ago.
    pub(crate) fn harmed(&self) -> bool {
        !self.standing.is_empty()
    }

    /// Something suffers whose end begins a new soak: a server that restarted is only waited for.
    pub(crate) fn begins_soak_anew(&self) -> bool {
        let mut standing = self.standing.iter();
        standing.any(|harm| harm.finding.rule != Rule::ServerRestarted)
    }

    /// Something was found to suffer at this moment.
    pub(crate) fn suffering(&self, now: Moment) -> bool {
        self.standing.iter().any(|harm| harm.seen == now)
    }

    /// Something suffers that began to suffer once pods of this rollout were out.
    ///
    /// Where neither meter nor dose and response clear it, the order of events has to do: harm that
    /// stood before the first pod was let through is not this rollout's, any later one may be.
    /// A pod that finds no place harms no one.
    pub(crate) fn blames(&self, first_out: Option<Moment>) -> bool {
        !self.cleared()
            && first_out.is_some_and(|first_out| {
                self.standing.iter().any(|harm| {
                    harm.since >= first_out && harm.finding.rule != Rule::ReleasedUnschedulable
                })
            })
    }

    /// All that suffers began to before any pod of this rollout was out.
    pub(crate) fn stood_before(&self, first_out: Option<Moment>) -> bool {
        first_out.is_none_or(|first_out| {
            let mut standing = self.standing.iter();
            standing.all(|harm| harm.since < first_out)
        })
    }

    /// Harm to others than the rollout's own pods, which stops even a rollout that is let go.
    ///
    /// Nobody asks for the guard any longer, so that what is not known must stop nothing for ever:
    /// while evidence is missing, harm counts for a while after it was last seen.
    pub(crate) fn stops_letting_go(&self, now: Moment) -> Option<&Finding> {
        let stops = |harm: &&Standing| {
            let known = !self.blind || now.since(harm.seen) < REMEMBERED;
            known && !harm.finding.rule.is_of_own_pods()
        };
        self.standing.iter().find(stops).map(|harm| &harm.finding)
    }

    /// What suffers does not suffer from this rollout, by its meter, dose and response.
    pub(crate) fn cleared(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.rule == Rule::NotTheCause)
    }

    /// Something elsewhere suffers, so that nothing that is seen here counts.
    pub(crate) fn elsewhere(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| {
            finding.rule.kind() == Kind::Elsewhere && finding.severity == Severity::Hold
        })
    }

    /// By what was seen, going on would do harm.
    pub(crate) fn foreseen(&self) -> bool {
        self.findings.iter().any(Finding::holds_as_foreseen)
    }

    /// The finding that people are told first.
    pub(crate) fn worst(&self) -> Option<&Finding> {
        self.findings
            .first()
            .filter(|finding| finding.severity == Severity::Hold)
    }
}

/// Runs all rules.
pub(crate) fn examine(scene: &Scene<'_>, history: &History) -> Verdict {
    let servers = servers::all(&scene.servers);
    let of_servers = SERVER_RULES
        .iter()
        .flat_map(|rule| servers.iter().filter_map(|server| rule(scene, server)));
    let of_rollout = ROLLOUT_RULES.iter().flat_map(|rule| rule(scene));
    let of_cost = COST_RULES.iter().filter_map(|rule| rule(scene, history));
    let mut findings: Vec<Finding> = of_servers.chain(of_rollout).chain(of_cost).collect();

    let blind = findings
        .iter()
        .any(|finding| finding.rule.kind() == Kind::Evidence && finding.severity == Severity::Hold);
    let seen = if blind { Seen::Blind } else { Seen::Disturbed };
    let quiet = soak::quiet_since(history, seen, scene.now);

    let mut standing = standing::found(scene, &history.standing, &findings);
    let lingering = standing::lingering(scene, &history.standing, &findings, quiet);
    findings.extend(lingering.iter().map(|harm| standing::told(scene, harm)));
    standing.extend(lingering);
    standing.sort_by(|a, b| by_rule(&a.finding, &b.finding));
    let cleared = blame::not_the_cause(scene, history, &standing);
    // Whoever is cleared of what is felt is not cleared of what is foreseen.
    let foreseen = findings.iter().any(Finding::holds_as_foreseen);
    findings.extend(cleared.map(|cleared| {
        if foreseen {
            cleared.only_told()
        } else {
            cleared
        }
    }));
    Verdict {
        findings: most_severe_first(findings),
        standing,
        blind,
        quiet,
    }
}

/// What the rules about API servers find on each of them, whether or not anything is rolled out.
///
/// It speaks for one moment: harm is not held until it has been gone for long enough.
#[must_use]
pub fn survey<'a>(
    policy: &Policy,
    servers: &'a BTreeMap<ServerId, ServerEvidence>,
    now: Moment,
) -> BTreeMap<&'a ServerId, Vec<Finding>> {
    let rollout = RolloutEvidence::nothing();
    let census = Census::take(&rollout, &policy.pods, now);
    let evidence = Evidence {
        servers: BTreeMap::new(),
        expected_servers: Reading::Fresh(0),
        sources: BTreeMap::new(),
        dns: Dns::Unasked,
        dependencies: BTreeMap::new(),
        rollout: RolloutEvidence::nothing(),
    };
    let scene = Scene {
        policy,
        evidence: &evidence,
        servers: servers.iter().collect(),
        census: &census,
        outlook: None,
        forecast: None,
        stance: Stance::LooksOn,
        target: 0,
        begun: now,
        clear_after: policy.harm.clear_after,
        repeated: 1.0,
        now,
    };
    let found = |server: &Server<'_>| {
        let findings = SERVER_RULES.iter().filter_map(|rule| rule(&scene, server));
        most_severe_first(findings.collect())
    };
    let all = servers::all(&scene.servers);
    servers.keys().zip(all.iter().map(found)).collect()
}

/// One finding per rule and subject, the most severe first.
fn most_severe_first(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|a, b| by_rule(a, b).then(b.severity.cmp(&a.severity)));
    findings.dedup_by(|milder, kept| by_rule(milder, kept).is_eq());
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then(by_rule(a, b)));
    findings
}

fn by_rule(a: &Finding, b: &Finding) -> Ordering {
    (a.rule, &a.subject).cmp(&(b.rule, &b.subject))
}
