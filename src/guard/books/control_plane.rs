//! What is known of the API servers → the one ControlPlane.
//!
//! It changes with what people act on. A server that suffered suffers on for a while, so that one
//! which is now well and now not is not a write each second.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::{
    evidence::{Dns, Reading, ServerEvidence, ServerId},
    plan::{Finding, Kind, Rule, Severity},
    policy::{Mode, Policy, Servers},
    time::{Moment, Span},
    verdict::survey,
};

use super::{
    burn,
    conditions::{Said, timed},
    dns,
    rollout::mode,
};
use crate::{
    api::{
        ControlPlane, ControlPlaneStatus, ServerState, ServerStatus,
        bounds::{self, clip},
        marks::conditions,
        times::time,
    },
    guard::{
        adoption::Obstacles,
        held::Stranded,
        world::{Gap, World},
    },
    valve::remote::Gate,
};

/// How long a finding about an API server is told after it was last made.
const TOLD_FOR: Span = Span::from_secs(30);

/// What was last found on each API server.
#[derive(Debug, Default)]
pub(in crate::guard) struct Survey {
    found: BTreeMap<ServerId, (Finding, Moment)>,
    /// Those of which all that is needed was known before.
    seen: BTreeSet<ServerId>,
}

/// What follows the name of what keeps the valve from being adopted.
pub(in crate::guard) const ADOPTION_ADVICE: &str = ". Until they are read nothing new is gated: mend \
     what keeps them from being read, or take the label weir.dev/guard from the workload";

/// What to do where the gate is not in force.
pub(in crate::guard) const GATE_ADVICE: &str = "See that the policy weir-gate and its bindings exist \
     (deploy/, deploy/enforce/), and the RoleBinding and the Role weir-approved in weir-system; and \
     that no other binding lets its account do everything, as where every service account is a \
     cluster-admin: `kubectl auth can-i --list -n weir-system --as \
     system:serviceaccount:weir-system:weir-approved` must not have a line that begins with *.*";

/// What is known besides the world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// How many API servers policies require.
    pub(super) required: &'a [Servers],
    /// What keeps the valve from being in order.
    pub(super) obstacles: &'a Obstacles,
    /// Gated pods that Weir does not let through.
    pub(super) stranded: &'a [Stranded],
}

/// Rollouts, as the ControlPlane counts them.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::guard) struct Count {
    pub(in crate::guard) in_flight: u32,
    pub(in crate::guard) held: u32,
}

impl Survey {
    /// Takes in what is found now.
    pub(in crate::guard) fn look(&mut self, world: &World) {
        for (id, findings) in survey(&Policy::careful(), &world.servers, world.now) {
            let is_seen = findings
                .iter()
                .all(|finding| finding.rule.kind() != Kind::Evidence);
            // What is seen for the first time does not waver: it begins.
            if is_seen && self.seen.insert(id.clone()) {
                self.found.remove(id);
            }
            // What is only told is told by its figures.
            let mut holds = findings.into_iter();
            if let Some(worst) = holds.find(|finding| finding.severity == Severity::Hold) {
                self.found.insert(id.clone(), (worst, world.now));
            }
        }
        self.seen.retain(|id| world.servers.contains_key(id));
        self.found.retain(|id, (_, at)| {
            world.servers.contains_key(id) && world.now.since(*at) < TOLD_FOR
        });
    }

    /// What the status should be.
    pub(super) fn status(
        &self,
        world: &World,
        known: Known<'_>,
        rollouts: Count,
        record: &ControlPlane,
    ) -> ControlPlaneStatus {
        let expected = Expected::of(known.required, &world.expected_servers);
        let counted = self.counted(world, &expected);
        let servers = counted.iter().take(bounds::SERVERS);
        let servers = servers.map(|(id, evidence)| self.server(id, evidence));
        let before = record
            .status
            .as_ref()
            .map(|status| status.conditions.as_slice());
        let count = expected.count;
        let before = before.unwrap_or_default();
        let said = [self.ready(world, &counted, expected)];
        let said = said.into_iter().chain(dns::fresh(&world.dns));
        let said = said.chain(known.gating(world)).collect();
        let mut conditions = timed(said, before, record.metadata.generation, world.now);
        if matches!(world.dns, Dns::Awaited { .. }) {
            let mut before = before.iter();
            conditions.extend(
                before
                    .find(|one| one.type_ == conditions::DNS_FRESH)
                    .cloned(),
            );
        }
        ControlPlaneStatus {
            observed_generation: record.metadata.generation,
            mode: Some(mode(world.ceiling)),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            expected_servers: count,
            servers: servers.collect(),
            dns: dns::status(
                &world.dns,
                record
                    .status
                    .as_ref()
                    .and_then(|status| status.dns.as_ref()),
            ),
            conditions,
            rollouts_in_flight: rollouts.in_flight,
            rollouts_held: rollouts.held,
        }
    }

    /// The servers that count: as in the verdict, all but those that are spare once as many others are
    /// seen as there should be.
    fn counted<'w>(
        &self,
        world: &'w World,
        expected: &Expected,
    ) -> Vec<(&'w ServerId, &'w ServerEvidence)> {
        let is_unseen = |id: &ServerId| {
            let found = self.found.get(id);
            found.is_some_and(|(finding, _)| finding.rule.kind() == Kind::Evidence)
        };
        let servers = world.servers.iter();
        let seen = servers.filter(|(id, evidence)| !evidence.spare && !is_unseen(id));
        let wanted = expected.count.filter(|_| expected.gap.is_none());
        let is_enough = wanted.is_some_and(|wanted| seen.count() >= wanted.max(1) as usize);
        let servers = world.servers.iter();
        servers
            .filter(|(_, evidence)| !(evidence.spare && is_enough))
            .collect()
    }

    fn server(&self, id: &ServerId, evidence: &ServerEvidence) -> ServerStatus {
        let found = self.found.get(id).map(|(finding, _)| finding);
        let latency = evidence.latency.last();
        ServerStatus {
            address: clip(&id.address, bounds::WORD),
            started_at: id.started.map(Moment::from_millis).map(time),
            state: match found.map(|finding| finding.rule.kind()) {
                None => ServerState::Quiet,
                Some(Kind::Evidence) => ServerState::Unseen,
                Some(Kind::Harm | Kind::Elsewhere | Kind::Order | Kind::Foreseen) => {
                    ServerState::Suffering
                }
            },
            latency_ms: latency.map(|latency| millis(latency.p50_ms)),
            usual_latency_ms: latency
                .and_then(|latency| latency.baseline_p50_ms)
                .map(millis),
            burn: burn::status(&evidence.bad),
            why: found.map(|finding| clip(&finding.sentence(), bounds::TEXT)),
        }
    }

    fn ready(
        &self,
        world: &World,
        counted: &[(&ServerId, &ServerEvidence)],
        expected: Expected,
    ) -> Said {
        let seen = counted.len();
        let wanted = expected.count.unwrap_or(1).max(1) as usize;
        let found = counted.iter().filter_map(|(id, _)| self.found.get(id));
        let worst = found
            .map(|(finding, _)| finding)
            .max_by_key(|one| one.severity);
        let mut unread = world.unread();
        unread.extend(expected.gap);
        let (holds, reason, message) = match worst {
            _ if !unread.is_empty() => {
                let (rule, message) = told(&unread);
                (false, rule.name(), message)
            }
            Some(worst) => (false, worst.rule.name(), worst.sentence()),
            None if seen < wanted => (
                false,
                "ServersMissing",
                format!("{seen} of {wanted} API servers are seen"),
            ),
            None => (
                true,
                "Quiet",
                "all API servers are seen, and none suffers".to_owned(),
            ),
        };
        Said {
            kind: conditions::READY,
            holds,
            reason: reason.to_owned(),
            message,
        }
    }
}

/// How many API servers there should be.
struct Expected {
    /// By the last word of the cluster and of people; none if that of the cluster is needed, and
    /// there never was one.
    count: Option<u32>,
    /// What keeps that from being certain.
    gap: Option<Gap>,
}

impl Expected {
    fn of(required: &[Servers], found: &Reading<u32>) -> Self {
        let counts = required.iter().map(|required| match required {
            Servers::Stated(count) => Some(*count),
            Servers::AsFound { at_least } => found.last().map(|found| *found.max(at_least)),
        });
        // A person who stated the number has answered the question.
        let is_stated = |required: &Servers| matches!(required, Servers::Stated(_));
        let gap = (!required.iter().all(is_stated))
            .then(|| Gap::of("number of API servers", found))
            .flatten();
        Self {
            count: counts
                .collect::<Option<BTreeSet<_>>>()
                .and_then(|all| all.last().copied()),
            gap,
        }
    }
}

/// All gaps in one sentence, and the worse of their rules: what is absent is worse than what is old.
fn told(gaps: &[Gap]) -> (Rule, String) {
    let is_absent = gaps.iter().any(|gap| gap.rule == Rule::EvidenceAbsent);
    let all: Vec<_> = gaps.iter().map(|gap| gap.what.as_str()).collect();
    let rule = if is_absent {
        Rule::EvidenceAbsent
    } else {
        Rule::EvidenceStale
    };
    (rule, all.join("; "))
}

impl Known<'_> {
    /// Whether pods of unapproved revisions come back gated, where they should; where they should not,
    /// which are gated all the same.
    fn gating(&self, world: &World) -> Option<Said> {
        let (holds, reason, message) = if world.ceiling == Mode::Enforce {
            self.in_force(world)?
        } else {
            self.left_gated()?
        };
        Some(Said {
            kind: conditions::GATING,
            holds,
            reason: reason.to_owned(),
            message,
        })
    }

    fn left_gated(&self) -> Option<(bool, &'static str, String)> {
        let notes: Vec<&str> = self.stranded.iter().map(|one| one.note.as_str()).collect();
        (!notes.is_empty()).then(|| (false, conditions::PODS_STRANDED, notes.join("\n")))
    }

    fn in_force(&self, world: &World) -> Option<(bool, &'static str, String)> {
        let Obstacles { unread, unwritten } = self.obstacles;
        if !unread.is_empty() {
            let message = format!("{}{ADOPTION_ADVICE}", unread.join("; "));
            return Some((false, "AdoptionWaits", message));
        }
        if let Some(failure) = unwritten {
            return Some((false, "ValveNotWritten", failure.sentence()));
        }
        let role = world.cluster.role.last().and_then(Option::as_ref);
        if role.is_some_and(|role| role.approves_all) {
            let message = "a rule of the Role weir-approved in weir-system approves every revision: \
                           nothing is gated until Weir has written the Role anew";
            return Some((false, "EverythingApproved", message.to_owned()));
        }
        Some(match world.gate.as_ref()? {
            Ok(Gate::InForce) => (
                true,
                "InForce",
                "pods of unapproved revisions come back gated".to_owned(),
            ),
            Ok(Gate::Open { .. }) => (
                false,
                "NotInForce",
                format!("pods of unapproved revisions come back ungated. {GATE_ADVICE}"),
            ),
            Err(why) => (false, conditions::GATING_NOT_KNOWN, why.to_string()),
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a latency is not negative, and saturates long before it matters"
)]
const fn millis(latency: f64) -> u32 {
    latency.round() as u32
}

#[cfg(test)]
pub(super) mod tests;
