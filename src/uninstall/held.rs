//! Records and gated pods → what would be let through by removing Weir, although something holds it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    api::{GuardedRollout, Mode, State, marks},
    valve::{gates::Gated, revision_key},
};

/// How a rollout's record stands to the removal of Weir.
enum Standing {
    /// It is being let through: removing Weir does so a little faster.
    OnItsWay,
    /// Something holds it.
    Held(String),
    /// Nobody has judged it yet, or any more: what is gated of it is held.
    Unjudged,
}

/// What is held, each with by what, for people.
pub(super) fn in_the_way(rollouts: &[GuardedRollout], gated: &[Gated]) -> Vec<String> {
    let mut told = Vec::new();
    let mut known = BTreeSet::new();
    let mut unjudged = BTreeMap::new();
    for rollout in rollouts {
        let key = revision_key(&rollout.spec.workload.uid, &rollout.spec.revision);
        match standing(rollout) {
            Standing::OnItsWay => {}
            Standing::Held(what) => told.push(what),
            Standing::Unjudged => {
                unjudged.insert(key, name(rollout));
                continue;
            }
        }
        known.insert(key);
    }
    let mut strays: BTreeMap<String, usize> = BTreeMap::new();
    for pod in gated {
        let key = pod.revision.as_deref().unwrap_or_default();
        if !known.contains(key) {
            let of_record = unjudged.get(key).map(|name| format!("of {name}"));
            let whose =
                of_record.unwrap_or_else(|| format!("in {} without a rollout", pod.namespace));
            *strays.entry(whose).or_default() += 1;
        }
    }
    let strays = strays.into_iter();
    told.extend(strays.map(|(whose, number)| format!("{number} gated pods {whose}")));
    told
}

fn standing(rollout: &GuardedRollout) -> Standing {
    let status = rollout.status.clone().unwrap_or_default();
    let by = status.held_by.as_deref().unwrap_or("a hold");
    let is_stranded = by == marks::conditions::PODS_STRANDED;
    let behind_valve = status.mode.is_none_or(|mode| mode == Mode::Enforce) || is_stranded;
    match status.state {
        Some(State::Held | State::Paused) if behind_valve => {
            Standing::Held(format!("{} by {by}", name(rollout)))
        }
        Some(State::Paced) if behind_valve => Standing::Held(format!(
            "{}, whose pods must never start all at once",
            name(rollout)
        )),
        Some(State::Soaking | State::Progressing | State::Complete | State::LetGo) => {
            Standing::OnItsWay
        }
        _ => Standing::Unjudged,
    }
}

fn name(rollout: &GuardedRollout) -> String {
    let meta = &rollout.metadata;
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    format!("{namespace}/{}", meta.name.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rollout(state: &str, mode: &str, held_by: Option<&str>) -> GuardedRollout {
        serde_json::from_value(json!({
            "metadata": { "namespace": "shop", "name": "logs-5d4f" },
            "spec": { "workload": { "kind": "DaemonSet", "name": "logs", "uid": "u" }, "revision": "5d4f" },
            "status": { "state": state, "mode": mode, "heldBy": held_by },
        }))
        .unwrap()
    }

    fn gated(revision: Option<&str>) -> Gated {
        Gated {
            namespace: "shop".to_owned(),
            name: "logs-a".to_owned(),
            revision: revision.map(ToOwned::to_owned),
            since: None,
        }
    }

    #[test]
    fn whatever_nobody_lets_through_is_held() {
        let pods = [gated(Some("u.5d4f")), gated(Some("u.5d4f"))];
        for (state, mode, held_by, expected) in [
            (
                "Held",
                "Enforce",
                Some("Rejecting"),
                "shop/logs-5d4f by Rejecting",
            ),
            (
                "Paused",
                "Enforce",
                Some("Paused"),
                "shop/logs-5d4f by Paused",
            ),
            (
                "Held",
                "Observe",
                Some("PodsStranded"),
                "shop/logs-5d4f by PodsStranded",
            ),
            (
                "Paced",
                "Enforce",
                None,
                "shop/logs-5d4f, whose pods must never start all at once",
            ),
            ("Pending", "Enforce", None, "2 gated pods of shop/logs-5d4f"),
            (
                "Superseded",
                "Enforce",
                None,
                "2 gated pods of shop/logs-5d4f",
            ),
        ] {
            let found = in_the_way(&[rollout(state, mode, held_by)], &pods);
            assert_eq!(found, [expected], "{state}");
        }
        assert_eq!(
            in_the_way(&[], &pods),
            ["2 gated pods in shop without a rollout"]
        );
        assert_eq!(
            in_the_way(&[], &[gated(None)]),
            ["1 gated pods in shop without a rollout"]
        );
    }

    #[test]
    fn what_is_let_through_anyway_or_was_never_gated_is_not() {
        let pods = [gated(Some("u.5d4f"))];
        for state in ["Soaking", "Progressing", "Complete", "LetGo"] {
            let found = in_the_way(&[rollout(state, "Enforce", None)], &pods);
            assert_eq!(found, [""; 0], "{state}");
        }
        for (state, mode) in [
            ("Held", "Shadow"),
            ("Pending", "Enforce"),
            ("Superseded", "Enforce"),
        ] {
            let found = in_the_way(&[rollout(state, mode, None)], &[]);
            assert_eq!(found, [""; 0], "{state}");
        }
    }
}
