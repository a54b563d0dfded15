//! Labels of a namespace and of a pod template → how far Weir goes with the workload.
//!
//! It must say of each workload what the gate policy does with its pods: where the two differ, pods
//! are held that nobody releases. It reads the template, never pods.

use std::collections::BTreeMap;

use weir_core::policy::Mode;

use super::NEVER_GATED;
use crate::api::marks;

/// The value of [`marks::NODE_CRITICAL`] with which a workload's author takes the risk.
pub const ACKNOWLEDGED: &str = "acknowledged";

/// What enrolment is decided by.
#[derive(Debug, Clone, Copy)]
pub struct Membership<'a> {
    /// The workload's namespace.
    pub namespace: &'a str,
    /// The namespace's labels.
    pub namespace_labels: &'a BTreeMap<String, String>,
    /// The labels of the workload's pod template, which win over the namespace's.
    pub template_labels: &'a BTreeMap<String, String>,
    /// Why nodes depend on this workload, if they do (see [`super::node_critical()`]).
    pub node_critical: Option<&'a str>,
}

/// How far Weir goes with a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enrolment {
    /// Not at all: nobody asked for it, or what was asked for cannot be.
    Not {
        /// What is wrong with what was asked for, and what to do; `None` if nobody asked.
        why: Option<String>,
    },
    /// The label's value is no mode. It stays as it was before: a slip of the pen must not let
    /// through what is held.
    Unclear {
        /// What is wrong with the label, and what to do.
        why: String,
    },
    /// As far as this mode: what was asked for, but never beyond the installation's ceiling.
    Mode(Mode),
    /// It would be held, but nodes depend on it and nobody has acknowledged that.
    Refused {
        /// Why nodes depend on it.
        why: String,
        /// What to do to enrol it all the same.
        acknowledge: String,
    },
}

/// Decides how far Weir goes with a workload.
#[must_use]
pub fn enrolment(workload: &Membership<'_>, ceiling: Mode) -> Enrolment {
    let Some((source, value)) = asked(workload) else {
        return Enrolment::Not { why: None };
    };
    if NEVER_GATED.contains(&workload.namespace) {
        return Enrolment::Not {
            why: Some(format!(
                "workloads in {} are never guarded; remove the label {} from the {source}",
                workload.namespace,
                marks::GUARD
            )),
        };
    }
    let Some(mode) = mode(value) else {
        return Enrolment::Unclear {
            why: format!(
                "label {}={value} on the {source} is not a mode; use observe, shadow or enforce",
                marks::GUARD
            ),
        };
    };
    let mode = mode.min(ceiling);
    match workload.node_critical {
        Some(why) if mode == Mode::Enforce && !acknowledged(workload) => Enrolment::Refused {
            why: why.to_owned(),
            acknowledge: format!(
                "label the pod template {}={ACKNOWLEDGED} if nodes may wait for it",
                marks::NODE_CRITICAL
            ),
        },
        _ => Enrolment::Mode(mode),
    }
}

/// The label that counts, and what carries it.
fn asked<'a>(workload: &Membership<'a>) -> Option<(&'static str, &'a str)> {
    let template = workload.template_labels.get(marks::GUARD);
    let namespace = workload.namespace_labels.get(marks::GUARD);
    template
        .map(|value| ("pod template", value.as_str()))
        .or_else(|| namespace.map(|value| ("namespace", value.as_str())))
}

fn mode(value: &str) -> Option<Mode> {
    match value {
        "observe" => Some(Mode::Observe),
        "shadow" => Some(Mode::Shadow),
        "enforce" => Some(Mode::Enforce),
        _ => None,
    }
}

fn acknowledged(workload: &Membership<'_>) -> bool {
    let label = workload.template_labels.get(marks::NODE_CRITICAL);
    label.is_some_and(|value| value == ACKNOWLEDGED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn enrol(namespace: &[(&str, &str)], template: &[(&str, &str)], ceiling: Mode) -> Enrolment {
        let workload = Membership {
            namespace: "shop",
            namespace_labels: &labels(namespace),
            template_labels: &labels(template),
            node_critical: None,
        };
        enrolment(&workload, ceiling)
    }

    #[test]
    fn nothing_is_enrolled_unless_asked_for() {
        let nothing = enrol(&[("team", "shop")], &[("app", "logs")], Mode::Enforce);
        assert_eq!(nothing, Enrolment::Not { why: None });
    }

    #[test]
    fn the_template_wins_over_the_namespace_in_both_directions() {
        let enforce: &[(&str, &str)] = &[(marks::GUARD, "enforce")];
        let observe: &[(&str, &str)] = &[(marks::GUARD, "observe")];
        for (namespace, template, expected) in [
            (enforce, &[][..], Mode::Enforce),
            (&[], enforce, Mode::Enforce),
            (enforce, observe, Mode::Observe),
            (observe, enforce, Mode::Enforce),
        ] {
            let found = enrol(namespace, template, Mode::Enforce);
            assert_eq!(found, Enrolment::Mode(expected));
        }
    }

    #[test]
    fn the_ceiling_lowers_and_never_raises() {
        let all = [Mode::Observe, Mode::Shadow, Mode::Enforce];
        for (value, asked) in ["observe", "shadow", "enforce"].iter().zip(all) {
            for ceiling in all {
                let found = enrol(&[(marks::GUARD, value)], &[], ceiling);
                assert_eq!(found, Enrolment::Mode(asked.min(ceiling)));
            }
        }
    }

    #[test]
    fn a_value_that_is_no_mode_is_neither_a_mode_nor_taken_for_none_and_says_so() {
        for value in ["Enforce", "true", "", "enforce "] {
            // Also where the namespace asks properly: the template's label is the one that counts.
            let namespace = &[(marks::GUARD, "enforce")];
            let found = enrol(namespace, &[(marks::GUARD, value)], Mode::Enforce);
            let Enrolment::Unclear { why } = found else {
                panic!("{value} was taken for a mode: {found:?}");
            };
            assert!(why.contains("pod template") && why.contains("observe, shadow or enforce"));
        }
    }

    #[test]
    fn namespaces_that_are_never_gated_are_never_enrolled() {
        for namespace in NEVER_GATED {
            let workload = Membership {
                namespace,
                namespace_labels: &labels(&[(marks::GUARD, "enforce")]),
                template_labels: &BTreeMap::new(),
                node_critical: None,
            };
            let found = enrolment(&workload, Mode::Enforce);
            assert!(
                matches!(found, Enrolment::Not { why: Some(_) }),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_node_critical_workload_is_refused_until_acknowledged_and_only_where_it_would_be_held() {
        let guard = labels(&[(marks::GUARD, "enforce")]);
        let critical = |template_labels, ceiling| {
            let workload = Membership {
                namespace: "shop",
                namespace_labels: &guard,
                template_labels,
                node_critical: Some("it mounts /etc/cni/net.d from the node"),
            };
            enrolment(&workload, ceiling)
        };
        let none = BTreeMap::new();
        let wrong = labels(&[(marks::NODE_CRITICAL, "yes")]);
        let right = labels(&[(marks::NODE_CRITICAL, ACKNOWLEDGED)]);
        for template in [&none, &wrong] {
            let found = critical(template, Mode::Enforce);
            assert!(
                matches!(&found, Enrolment::Refused { why, acknowledge }
                    if why.contains("/etc/cni") && acknowledge.contains("=acknowledged")),
                "{found:?}"
            );
        }
        assert_eq!(
            critical(&right, Mode::Enforce),
            Enrolment::Mode(Mode::Enforce)
        );
        assert_eq!(critical(&none, Mode::Shadow), Enrolment::Mode(Mode::Shadow));
    }
}
