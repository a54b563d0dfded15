//! How rollouts fare, and whether every gated pod has one.

use std::collections::BTreeSet;

use weir_core::time::Span;

use super::{Check, Ended, Entry, bad, few, known, warn};
use crate::{
    api::{GuardedRollout, Hold, State, leases},
    cli::check::facts::Facts,
    valve::{self, gates::Gated},
    view::check::Level,
};

/// How long Weir may take to make a rollout's record, seen by two lists that are not of one moment.
const TAKEN_UP_WITHIN: Span = Span::from_secs(60);

/// All of them.
pub(super) fn checks() -> Vec<Check> {
    rollouts()
        .map(|entry| entry.check("Rollouts", false))
        .collect()
}

fn rollouts() -> impl Iterator<Item = Entry> {
    [
        Entry {
            id: "nothing-is-held",
            title: "No rollout is held",
            about: "What is held waits at the gate; what runs goes on running.",
            hint: "`kubectl weir explain NAME` says why, and what would clear it",
            ask: held,
        },
        Entry {
            id: "nothing-is-refused",
            title: "No workload is refused",
            about: "A workload on which nodes depend is not guarded until its author acknowledges that.",
            hint: "label the pod template weir.dev/node-critical=acknowledged if nodes may wait for it, or \
                   take the enrolment away",
            ask: |facts| in_state(facts, State::Refused, Level::Warning),
        },
        Entry {
            id: "nothing-is-paused",
            title: "No rollout is paused",
            about: "A pause lasts until a person takes it back, and holds nodes that starve too.",
            hint: "`kubectl weir resume NAME`",
            ask: |facts| in_state(facts, State::Paused, Level::Warning),
        },
        Entry {
            id: "no-node-starves",
            title: "No node waits for a pod",
            about: "Nodes whose old pod is gone wait while their rollout is held.",
            hint: "`kubectl weir explain NAME`; in need `kubectl weir approve NAME --width N` lets some through",
            ask: |facts| {
                let starve = |status: &crate::api::GuardedRolloutStatus| {
                    status.nodes_without_pod > 0 && status.state != Some(State::Superseded)
                };
                let found = which(facts, |one| one.status.as_ref().is_some_and(starve))?;
                if found.is_empty() { Ok(String::new()) } else { warn(found) }
            },
        },
        Entry {
            id: "no-pod-is-stranded",
            title: "Every gated pod has a rollout",
            about: "A gated pod that no rollout accounts for waits for ever, unless somebody lets it through. One \
                    that was created within the last minute, or while Weir is not at work, is only on its way.",
            hint: "see that Weir is at work (check `lease`): it takes them up; where it has not for minutes, \
                   its log says why. To let a revision through for good: `kubectl weir release NAME`; where \
                   there is no GuardedRollout, ungate one pod by `kubectl patch pod NAME -n NAMESPACE -p \
                   '{\"spec\":{\"schedulingGates\":[{\"$patch\":\"delete\",\"name\":\"weir.dev/gate\"}]}}'`",
            ask: stranded,
        },
    ]
    .into_iter()
}

/// The names of the rollouts of which this is so.
fn which(facts: &Facts, is: impl Fn(&GuardedRollout) -> bool) -> Result<String, (Level, String)> {
    let rollouts = known(&facts.running.rollouts)?.iter();
    let names: Vec<String> = rollouts
        .filter(|one| is(one))
        .map(|one| {
            let namespace = one.metadata.namespace.as_deref().unwrap_or_default();
            format!(
                "{namespace}/{}",
                one.metadata.name.as_deref().unwrap_or_default()
            )
        })
        .collect();
    Ok(few(names.iter().map(String::as_str)))
}

/// Held by anything but a person, and in shadow what would be.
fn held(facts: &Facts) -> Ended {
    let is = |one: &GuardedRollout| one.status.as_ref().and_then(Hold::of).is_some();
    let found = which(facts, is)?;
    if found.is_empty() {
        Ok(String::new())
    } else {
        warn(found)
    }
}

fn in_state(facts: &Facts, state: State, level: Level) -> Ended {
    let is =
        |one: &GuardedRollout| one.status.as_ref().and_then(|status| status.state) == Some(state);
    let found = which(facts, is)?;
    if found.is_empty() {
        Ok(String::new())
    } else {
        Err((level, found))
    }
}

fn stranded(facts: &Facts) -> Ended {
    let known_keys: BTreeSet<String> = known(&facts.running.rollouts)?
        .iter()
        .filter(|one| {
            one.status.as_ref().and_then(|status| status.state) != Some(State::Superseded)
        })
        .map(|one| valve::revision_key(&one.spec.workload.uid, &one.spec.revision))
        .collect();
    let gated = known(&facts.running.gated)?;
    let is_new = |pod: &Gated| {
        pod.since
            .is_some_and(|since| facts.now.since(since) < TAKEN_UP_WITHIN)
    };
    let alone = gated.iter().filter(|pod| {
        let key = pod.revision.as_ref();
        key.is_none_or(|key| !known_keys.contains(key)) && !is_new(pod)
    });
    let alone: Vec<String> = alone
        .map(|pod| format!("{}/{}", pod.namespace, pod.name))
        .collect();
    if alone.is_empty() {
        return Ok(format!("{} pods are gated", gated.len()));
    }
    let said = format!(
        "{} have none: {}",
        alone.len(),
        few(alone.iter().map(String::as_str))
    );
    let lease = known(&facts.running.lease)?.as_ref();
    let lease = lease.and_then(|lease| lease.spec.as_ref());
    let leads = lease.is_some_and(|lease| leases::leader(lease, facts.now).is_some());
    if leads {
        bad(said)
    } else {
        warn(format!(
            "{said}; Weir is not at work, and takes them up once it is"
        ))
    }
}
