//! What is known of the API servers → the one ControlPlane.
//!
//! It changes with what people act on. A server that suffered suffers on for a while, so that one
//! which is now well and now not is not a write each second.

use std::collections::BTreeMap;

use weir_core::{
    evidence::{ServerEvidence, ServerId},
    plan::{Finding, Kind},
    policy::{Mode, Policy},
    time::{Moment, Span},
    verdict::survey,
};

use super::{
    conditions::{Said, timed},
    rollout::mode,
};
use crate::{
    api::{
        ControlPlane, ControlPlaneStatus, ServerState, ServerStatus,
        bounds::{self, clip},
        marks::conditions,
        times::time,
    },
    guard::world::World,
    valve::remote::Gate,
};

/// How long a finding about an API server is told after it was last made.
const TOLD_FOR: Span = Span::from_secs(30);

/// What was last found on each API server.
#[derive(Debug, Default)]
pub(in crate::guard) struct Survey {
    found: BTreeMap<ServerId, (Finding, Moment)>,
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
            if let Some(worst) = findings.into_iter().next() {
                self.found.insert(id.clone(), (worst, world.now));
            }
        }
        self.found.retain(|id, (_, at)| {
            world.servers.contains_key(id) && world.now.since(*at) < TOLD_FOR
        });
    }

    /// What the status should be.
    pub(super) fn status(
        &self,
        world: &World,
        rollouts: Count,
        record: &ControlPlane,
    ) -> ControlPlaneStatus {
        let servers: Vec<ServerStatus> = world
            .servers
            .iter()
            .take(bounds::SERVERS)
            .map(|(id, evidence)| self.server(id, evidence))
            .collect();
        let before = record
            .status
            .as_ref()
            .map(|status| status.conditions.as_slice());
        ControlPlaneStatus {
            observed_generation: record.metadata.generation,
            mode: Some(mode(world.ceiling)),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            expected_servers: world.expected_servers.last().copied(),
            conditions: timed(
                [self.ready(world)]
                    .into_iter()
                    .chain(gating(world))
                    .collect(),
                before.unwrap_or_default(),
                record.metadata.generation,
                world.now,
            ),
            servers,
            rollouts_in_flight: rollouts.in_flight,
            rollouts_held: rollouts.held,
        }
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
                Some(Kind::Harm | Kind::Order) => ServerState::Suffering,
            },
            latency_ms: latency.map(|latency| millis(latency.p50_ms)),
            usual_latency_ms: latency
                .and_then(|latency| latency.baseline_p50_ms)
                .map(millis),
            why: found.map(|finding| clip(&sentence(finding), bounds::TEXT)),
        }
    }

    fn ready(&self, world: &World) -> Said {
        let seen = world.servers.len();
        let expected = world.expected_servers.last().copied().unwrap_or(1).max(1) as usize;
        let worst = self
            .found
            .values()
            .map(|(finding, _)| finding)
            .max_by_key(|one| one.severity);
        let unread = world.unread();
        let (holds, reason, message) = match worst {
            _ if !unread.is_empty() => (false, "EvidenceAbsent", unread.join("; ")),
            Some(worst) => (false, worst.rule.name(), sentence(worst)),
            None if seen < expected => (
                false,
                "ServersMissing",
                format!("{seen} of {expected} API servers are seen"),
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

/// Whether pods of unapproved revisions come back gated, where they should.
fn gating(world: &World) -> Option<Said> {
    if world.ceiling < Mode::Enforce {
        return None;
    }
    let (holds, reason, message) = match world.gate.as_ref()? {
        Ok(Gate::InForce) => (
            true,
            "InForce",
            "pods of unapproved revisions come back gated".to_owned(),
        ),
        Ok(Gate::Open { .. }) => (
            false,
            "NotInForce",
            "pods of unapproved revisions come back ungated: see that the policy weir-gate, its \
             bindings and the Valve `cluster` exist (deploy/, deploy/enforce/)"
                .to_owned(),
        ),
        Err(why) => (false, "NotKnown", why.to_string()),
    };
    Some(Said {
        kind: conditions::GATING,
        holds,
        reason: reason.to_owned(),
        message,
    })
}

fn sentence(finding: &Finding) -> String {
    format!(
        "{} ({}): {}",
        finding.rule.name(),
        finding.subject,
        finding.evidence
    )
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
mod tests;
