//! Whether Weir's power is confined, and whether the gate is as it should be.

use super::{Check, Ended, Entry, bad, known, same, skip, there, warn};
use crate::{
    api::{ControlPlaneStatus, Mode, bounds, marks::conditions},
    cli::check::{facts::Facts, manifest},
    valve::{Standing, gate, remote::Gate},
};

const CONFINE: &str = "apply deploy/confine.yaml and deploy/check.yaml of this version";
const ORDERS: &str = "apply deploy/orders.yaml of this version";

/// All of them.
pub(super) fn checks() -> Vec<Check> {
    let confined = confined().map(|entry| entry.check("Confinement", false));
    confined
        .chain(gates().map(|entry| entry.check("Gate", false)))
        .collect()
}

fn confined() -> impl Iterator<Item = Entry> {
    [
        Entry {
            id: "confined-pods",
            title: "Of pods, Weir may remove its gate only",
            about: "RBAC cannot say which field of a pod may be patched; this policy does.",
            hint: CONFINE,
            ask: |facts| confines(facts, "weir-only-removes-its-gate"),
        },
        Entry {
            id: "confined-roles",
            title: "Of roles, Weir may write its approvals only",
            about: "What Weir writes into the Role of the approvals must grant nothing else.",
            hint: CONFINE,
            ask: |facts| confines(facts, "weir-only-approves"),
        },
        Entry {
            id: "confined-flowschemas",
            title: "Of FlowSchemas, Weir may write its meters only",
            about: "A FlowSchema could throttle or exempt anybody; this policy leaves meters.",
            hint: CONFINE,
            ask: |facts| confines(facts, "weir-only-meters"),
        },
        Entry {
            id: "confined-check",
            title: "In the namespace for dry runs nothing can run",
            about: "Weir may create pods there to see whether they come back gated, and only in thought.",
            hint: CONFINE,
            ask: |facts| confines(facts, "weir-check-dry-run-only"),
        },
        Entry {
            id: "confined-orders",
            title: "Only who may `approve` lets through what Weir holds",
            about: "Whoever may pause a rollout may patch it, and RBAC cannot say which field; this policy asks \
                    for the verb `approve` where spec.letThrough is written.",
            hint: ORDERS,
            ask: |facts| confines(facts, "weir-orders-need-approval"),
        },
    ]
    .into_iter()
}

/// Whether a policy is there as it ships, and denies.
fn confines(facts: &Facts, name: &str) -> Ended {
    let mut policies = known(&facts.shipped.confining)?.iter();
    let named = |one: &Option<String>| one.as_deref() == Some(name);
    let Some(policy) = policies.find(|one| named(&one.metadata.name)) else {
        return bad(format!("there is no ValidatingAdmissionPolicy {name}"));
    };
    let mut bindings = known(&facts.shipped.confining_bindings)?.iter();
    let denies = bindings.any(|binding| {
        let spec = &binding.spec;
        spec.policy_name == name
            && spec.match_resources.is_none()
            && spec
                .validation_actions
                .iter()
                .any(|action| action == "Deny")
    });
    if !denies {
        return bad(format!(
            "no binding of {name} denies, everywhere, what it forbids"
        ));
    }
    let found = policy.spec.clone().unwrap_or_default();
    let shipped = manifest::confining(&facts.account)
        .remove(name)
        .unwrap_or_default();
    match same::validating(&found, &shipped) {
        Some(what) => bad(format!(
            "{name} is not as this version ships it: its {what} differ"
        )),
        None => Ok(String::new()),
    }
}

fn gates() -> impl Iterator<Item = Entry> {
    [
        Entry {
            id: "gate-policy",
            title: "The gate policy is as this version ships it",
            about: "It is the expression that decides which pods are born gated; enrolment and it must agree.",
            hint: "apply deploy/gate-policy.yaml of this version",
            ask: gate_policy,
        },
        Entry {
            id: "gate-bindings",
            title: "The gate is bound if Weir enforces, and only then",
            about: "Without the bindings nothing is gated; with them below `enforce` pods may be gated that \
                    nobody lets through.",
            hint: "apply deploy/enforce/ where Weir runs with --mode enforce, and delete what is in it elsewhere",
            ask: gate_bindings,
        },
        Entry {
            id: "gate-account",
            title: "The approvals are bound to the account that the gate asks about",
            about: "Without this RoleBinding no approval has an effect, and nothing is gated either.",
            hint: "apply deploy/valve.yaml of this version",
            ask: gate_account,
        },
        Entry {
            id: "gate-active",
            title: "Pods of unapproved revisions come back gated",
            about: "Asked by dry run of the API server that answers, as Weir does itself.",
            hint: "see the other checks of the gate; with all of them fine, an authorizer allows everything \
                   to everybody (not-all-is-approved), or an API server has not heard of the policy yet",
            ask: gate_active,
        },
        Entry {
            id: "gate-as-weir-sees-it",
            title: "Weir sees the gate as it should be",
            about: "Weir's own check, as its condition `Gating` tells it.",
            hint: "the message says what is missing; `kubectl describe controlplane cluster`",
            ask: gating,
        },
        Entry {
            id: "approvals",
            title: "The Role of the approvals is in order",
            about: "It lists the revisions whose pods are born free. A rule without names would mean all of \
                    them.",
            hint: "leave the Role to Weir, which puts it in order while it runs; remove rules without \
                   resourceNames on `revisions`",
            ask: approvals,
        },
        Entry {
            id: "approvals-room",
            title: "There is room for more approvals",
            about: "Weir keeps at most 2,048, and drops the longest superseded ones first.",
            hint: "lower revisionHistoryLimit of enrolled DaemonSets",
            ask: room,
        },
    ]
    .into_iter()
}

/// How far Weir may go, as it last said.
fn mode(facts: &Facts) -> Option<Mode> {
    status(facts)?.mode
}

fn status(facts: &Facts) -> Option<&ControlPlaneStatus> {
    facts
        .running
        .control_plane
        .as_ref()
        .ok()?
        .as_ref()?
        .status
        .as_ref()
}

fn gate_policy(facts: &Facts) -> Ended {
    let policy = there(
        &facts.shipped.gate_policy,
        "MutatingAdmissionPolicy weir-gate",
    )?;
    let shipped = gate::policy().spec.unwrap_or_default();
    let spec = policy.spec.clone().unwrap_or_default();
    match same::mutating(&spec, &shipped) {
        Some(what) => bad(format!(
            "it is of another version, or was edited: its {what} differ"
        )),
        None => Ok(String::new()),
    }
}

fn gate_bindings(facts: &Facts) -> Ended {
    let mut number = 0;
    for binding in &facts.shipped.gate_bindings {
        number += usize::from(known(binding)?.is_some());
    }
    match (mode(facts), number) {
        (Some(Mode::Enforce), 2) => Ok("both are there".to_owned()),
        (Some(Mode::Enforce), number) => bad(format!("{number} of 2 are there, and Weir enforces")),
        (Some(_), 0) => Ok("none is there".to_owned()),
        (Some(mode), number) => warn(format!("{number} are there, and Weir's mode is {mode:?}")),
        (None, number) => skip(format!(
            "{number} are there; Weir has not said its mode yet"
        )),
    }
}

fn gate_account(facts: &Facts) -> Ended {
    let binding = there(
        &facts.shipped.role_binding,
        "RoleBinding weir-approved in weir-system",
    )?;
    let shipped = gate::role_binding();
    if binding.role_ref == shipped.role_ref && binding.subjects == shipped.subjects {
        Ok(String::new())
    } else {
        bad("it binds something else")
    }
}

fn gate_active(facts: &Facts) -> Ended {
    let gate = *known(&facts.running.gate)?;
    match (mode(facts), gate) {
        (Some(Mode::Enforce), Gate::InForce) => Ok("they do".to_owned()),
        (
            Some(Mode::Enforce),
            Gate::Open {
                namespaces,
                templates,
            },
        ) => {
            let of = |is: bool| if is { "do" } else { "do not" };
            bad(format!(
                "in enrolled namespaces they {}, with enrolled templates they {}",
                of(namespaces),
                of(templates)
            ))
        }
        (
            Some(Mode::Shadow | Mode::Observe),
            Gate::Open {
                namespaces: false,
                templates: false,
            },
        ) => Ok("they do not, and Weir does not enforce".to_owned()),
        (Some(Mode::Shadow | Mode::Observe), _) => {
            bad("they do, though Weir does not enforce: nobody lets them through")
        }
        (None, _) => skip("Weir has not said its mode yet"),
    }
}

fn gating(facts: &Facts) -> Ended {
    let Some(status) = status(facts) else {
        return skip("Weir has not written what it sees yet");
    };
    let mut all = status.conditions.iter();
    match all.find(|one| one.type_ == conditions::GATING) {
        None => skip("Weir does not enforce"),
        Some(one) if one.status == "True" => Ok(one.message.clone()),
        Some(one) => bad(format!("{}: {}", one.reason, one.message)),
    }
}

fn standing(facts: &Facts) -> Result<Option<Standing>, (crate::view::check::Level, String)> {
    let role = known(&facts.running.role)?.as_ref();
    Ok(role.map(|role| Standing::read(&role.metadata, role.rules.as_deref().unwrap_or_default())))
}

fn approvals(facts: &Facts) -> Ended {
    let enforces = mode(facts) == Some(Mode::Enforce);
    match standing(facts)? {
        None if enforces => bad("there is no Role weir-approved: nothing is gated"),
        None => skip("there is none, and Weir does not enforce"),
        Some(standing) if standing.approves_all => bad("it approves every revision there is"),
        Some(standing) if enforces && !standing.says.adopted => {
            bad("the valve is not adopted: nothing is gated")
        }
        Some(standing) => Ok(format!(
            "{} revisions are approved",
            standing.says.approved.len()
        )),
    }
}

fn room(facts: &Facts) -> Ended {
    let Some(standing) = standing(facts)? else {
        return skip("there is no list of approvals");
    };
    let number = standing.says.approved.len();
    // As many as Weir keeps free for the next.
    if number + 64 >= bounds::APPROVED {
        return warn(format!("{number} of {} are taken", bounds::APPROVED));
    }
    Ok(format!("{number} of {} are taken", bounds::APPROVED))
}
