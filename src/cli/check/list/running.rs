//! Whether the operator is at work, and sees what it must.

use weir_core::usage::METERS;

use super::{Check, Ended, Entry, bad, few, known, skip, there, warn};
use crate::{
    api::{ControlPlaneStatus, ServerState, leases, marks::conditions, times::moment},
    cli::check::facts::Facts,
    view::check::Level,
};

/// The label that says who made a FlowSchema.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// All of them.
pub(super) fn checks() -> Vec<Check> {
    let operator = operator().map(|entry| entry.check("Operator", false));
    let servers = servers().map(|entry| entry.check("API servers", false));
    let meters = meters().map(|entry| entry.check("Meters", false));
    operator.chain(servers).chain(meters).collect()
}

fn operator() -> impl Iterator<Item = Entry> {
    [
        Entry {
            id: "lease",
            title: "A replica leads",
            about: "One replica holds Weir's Lease and writes; without it nothing is let through.",
            hint: "see that the operator runs (`kubectl get pods -n weir-system`) and what its log says; \
                   with --mode observe it takes no lease",
            ask: lease,
        },
        Entry {
            id: "control-plane",
            title: "Weir has written what it sees",
            about: "The ControlPlane `cluster` is where people and this program look.",
            hint: "see the operator's log: it says what it may not write",
            ask: |facts| status(facts).map(|_| String::new()),
        },
        Entry {
            id: "version",
            title: "The operator is of this program's version",
            about: "Checks and documents of one version need not fit another.",
            hint: "use the kubectl-weir of the operator's version, or upgrade the operator",
            ask: |facts| {
                let ours = env!("CARGO_PKG_VERSION");
                match status(facts)?.version.as_deref() {
                    Some(version) if version == ours => Ok(version.to_owned()),
                    Some(version) => warn(format!("it is {version}, and this program {ours}")),
                    None => warn("it has not said its version"),
                }
            },
        },
        Entry {
            id: "ready",
            title: "All that Weir watches is fresh, and nothing suffers",
            about: "The condition `Ready` of the ControlPlane sums it up.",
            hint: "the message says what is missing; `kubectl weir status` shows all of it",
            ask: |facts| {
                let mut all = status(facts)?.conditions.iter();
                match all.find(|one| one.type_ == conditions::READY) {
                    Some(one) if one.status == "True" => Ok(one.message.clone()),
                    Some(one) => bad(format!("{}: {}", one.reason, one.message)),
                    None => bad("it has not said so"),
                }
            },
        },
    ]
    .into_iter()
}

fn status(facts: &Facts) -> Result<&ControlPlaneStatus, (Level, String)> {
    let object = there(&facts.running.control_plane, "ControlPlane `cluster`")?;
    let status = object.status.as_ref();
    status.ok_or((Level::Trouble, "its status is empty".to_owned()))
}

fn lease(facts: &Facts) -> Ended {
    let lease = there(&facts.running.lease, "Lease of that name")?;
    let spec = lease.spec.clone().unwrap_or_default();
    let holder = spec.holder_identity.clone();
    let Some(holder) = holder.filter(|name| !name.is_empty()) else {
        return bad("nobody holds it: Weir was ended in good order, or only observes");
    };
    let lasts = leases::lasts(&spec);
    let Some(renewed) = spec.renew_time else {
        return bad(format!("{holder} never renewed it"));
    };
    let ago = facts.now.since(moment(renewed.0));
    if ago > lasts {
        return bad(format!(
            "{holder} last renewed it {} s ago",
            ago.as_millis() / 1000
        ));
    }
    Ok(holder)
}

fn servers() -> impl Iterator<Item = Entry> {
    [
        Entry {
            id: "api-servers-expected",
            title: "It is known how many API servers there should be",
            about: "Only then one that is silent can be told from one that does not exist.",
            hint: "grant Weir the identity Leases in kube-system (deploy/rbac.yaml), or state the number in a \
                   RolloutPolicy (spec.required.apiServers)",
            ask: |facts| match status(facts)?.expected_servers {
                Some(expected) => Ok(format!("{expected}")),
                None => bad("neither identity Leases nor a policy say it"),
            },
        },
        Entry {
            id: "api-servers-seen",
            title: "All API servers are seen",
            about: "A rollout is held while one is missing.",
            hint: "see that Weir's pods reach each address of `kubectl get endpointslices -n default`",
            ask: |facts| {
                let status = status(facts)?;
                let seen = status.servers.len();
                match status.expected_servers {
                    Some(expected) if (seen as u64) < u64::from(expected) => {
                        bad(format!("{seen} of {expected}"))
                    }
                    Some(expected) => Ok(format!("{seen} of {expected}")),
                    None => warn(format!("{seen}; how many there should be is not known")),
                }
            },
        },
        Entry {
            id: "api-servers-agree",
            title: "Identity Leases and addresses agree",
            about: "More Leases than addresses mean a balancer, behind which Weir meets API servers by chance, \
                    or one that is gone.",
            hint: "behind a balancer this is as it has to be: state the number of API servers in a \
                   RolloutPolicy (spec.required.apiServers)",
            ask: |facts| {
                let (leases, addresses) = (*known(&facts.cluster.identities)?, *known(&facts.cluster.addresses)?);
                let said = format!("{leases} Leases, {addresses} addresses");
                if leases == addresses { Ok(said) } else { warn(said) }
            },
        },
        Entry {
            id: "api-servers-quiet",
            title: "No API server suffers",
            about: "What suffers holds rollouts that may have to do with it.",
            hint: "`kubectl weir status` says which rule found it; `kubectl get --raw \
                   /debug/api_priority_and_fairness/dump_requests` shows who asks so much",
            ask: |facts| servers_in(facts, ServerState::Suffering),
        },
        Entry {
            id: "api-servers-fresh",
            title: "Each API server is seen freshly",
            about: "What is not seen freshly holds every rollout.",
            hint: "the reason names what is missing: a right (/metrics), a route, or time",
            ask: |facts| servers_in(facts, ServerState::Unseen),
        },
    ]
    .into_iter()
}

fn servers_in(facts: &Facts, state: ServerState) -> Ended {
    let servers = status(facts)?.servers.iter();
    let found: Vec<String> = servers
        .filter(|server| server.state == state)
        .map(|server| {
            let why = server.why.as_deref().unwrap_or("no reason is told");
            format!("{}: {why}", server.address)
        })
        .collect();
    if found.is_empty() {
        Ok(String::new())
    } else {
        bad(found.join("\n"))
    }
}

fn meters() -> impl Iterator<Item = Entry> {
    [
        Entry {
            id: "meters-work",
            title: "Every meter's level is there",
            about: "API servers leave out a FlowSchema whose level does not exist.",
            hint: "delete the meter: Weir makes it anew for the level where the account is now",
            ask: |facts| {
                let dangling = |one: &&String| is_dangling(facts, one);
                let meters = meter_names(facts)?;
                let dangling: Vec<_> = meters.iter().filter(dangling).map(String::as_str).collect();
                if dangling.is_empty() {
                    Ok(format!("{} meters", meters.len()))
                } else {
                    bad(few(dangling))
                }
            },
        },
        Entry {
            id: "meters-attended",
            title: "No meter is left behind",
            about: "Meters cost API servers a comparison for each request; they are removed with Weir.",
            hint: "if Weir is not to come back: `kubectl delete flowschemas -l app.kubernetes.io/managed-by=weir`",
            ask: |facts| {
                let number = meter_names(facts)?.len();
                let lease = known(&facts.running.lease)?.as_ref();
                let holder = lease.and_then(|lease| lease.spec.as_ref()?.holder_identity.as_ref());
                let is_alone = holder.is_none_or(String::is_empty);
                if is_alone && number > 0 {
                    return warn(format!("{number} meters, and no Weir"));
                }
                Ok(format!("{number} meters"))
            },
        },
        Entry {
            id: "meters-few",
            title: "There are no more meters than are borne",
            about: "API servers compare each request with each FlowSchema; Weir makes at most 100.",
            hint: "enrol fewer workloads with accounts of their own, or look who else makes FlowSchemas",
            ask: |facts| {
                let number = meter_names(facts)?.len();
                if number > 100 {
                    return warn(format!("{number} meters"));
                }
                Ok(format!("{number} meters"))
            },
        },
    ]
    .into_iter()
}

fn meter_names(facts: &Facts) -> Result<Vec<String>, (Level, String)> {
    let schemas = known(&facts.cluster.flow_schemas)?;
    if schemas.is_empty() {
        return skip("there are no FlowSchemas");
    }
    let meters = schemas.iter().filter(|schema| {
        let labels = schema.metadata.labels.as_ref();
        labels
            .and_then(|labels| labels.get(MANAGED_BY))
            .is_some_and(|by| by == "weir")
    });
    let names = meters.filter_map(|schema| schema.metadata.name.clone());
    Ok(names.filter(|name| name.starts_with(METERS)).collect())
}

fn is_dangling(facts: &Facts, name: &str) -> bool {
    let schemas = facts.cluster.flow_schemas.iter().flatten();
    let mut named = schemas.filter(|schema| schema.metadata.name.as_deref() == Some(name));
    named.any(|schema| {
        let conditions = schema.status.iter().flat_map(|status| &status.conditions);
        conditions.flatten().any(|one| {
            one.type_.as_deref() == Some("Dangling") && one.status.as_deref() == Some("True")
        })
    })
}
