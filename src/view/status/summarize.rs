//! From the API server's answers to the status, and to what is wrong.

use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::Time};
use weir_core::time::{Moment, Span};

use super::{
    Answer, Answers, ApiServer, ApiServers, Gate, Life, NameService, Page, Rollout, Rollouts,
    Status, Weir, dns,
};
use crate::{
    api::{
        ControlPlane, ControlPlaneStatus, GuardedRollout, Hold, Mode, ServerState, State, leases,
        marks::conditions, times::moment,
    },
    view::age::age,
};

/// What the answers add up to.
#[must_use]
pub fn summarize(answers: Answers, now: Moment) -> Status {
    let Answers {
        control_plane,
        rollouts,
        lease,
    } = answers;
    let is_defined = !matches!(rollouts, Answer::Missing);
    let weir = weir(&lease, is_defined, &control_plane, now);
    let dns = match &control_plane {
        Answer::Found(object) => dns::summarize(&object.status.clone().unwrap_or_default(), now),
        Answer::Missing | Answer::Refused(_) => NameService::default(),
    };
    let api_servers = api_servers(control_plane);
    let rollouts = all_rollouts(rollouts, now);
    let trouble = [
        trouble_with_weir(&weir),
        trouble_with_servers(&api_servers),
        dns::trouble(&dns),
        trouble_with_rollouts(&rollouts),
    ];
    Status {
        trouble: trouble.concat(),
        api_servers,
        dns,
        rollouts,
        weir,
    }
}

fn weir(
    lease: &Answer<Lease>,
    is_defined: bool,
    control_plane: &Answer<ControlPlane>,
    now: Moment,
) -> Weir {
    let status = match control_plane {
        Answer::Found(object) => object.status.clone().unwrap_or_default(),
        Answer::Missing | Answer::Refused(_) => ControlPlaneStatus::default(),
    };
    let (gate, gate_why) = gate(&status).unzip();
    let mut weir = Weir {
        state: Life::Unknown,
        gate,
        gate_why: gate_why.flatten(),
        version: status.version,
        mode: status.mode,
        leader: None,
        renewed_seconds_ago: None,
        unknown: None,
    };
    match lease {
        Answer::Refused(why) => weir.unknown = Some(why.clone()),
        Answer::Missing if is_defined => weir.state = Life::NoLease,
        Answer::Missing => weir.state = Life::NotInstalled,
        Answer::Found(lease) => {
            let spec = lease.spec.clone().unwrap_or_default();
            let lasts = leases::lasts(&spec);
            let renewed = spec.renew_time.map(|time| now.since(moment(time.0)));
            // A leader that goes in good order empties the holder's name.
            weir.leader = spec.holder_identity.filter(|name| !name.is_empty());
            weir.renewed_seconds_ago = renewed.map(seconds_of);
            let held = weir.leader.is_some() && renewed.is_some_and(|ago| ago <= lasts);
            weir.state = if held { Life::Running } else { Life::Silent };
        }
    }
    weir
}

/// Whether the gate is in force where it should be, and why not.
fn gate(status: &ControlPlaneStatus) -> Option<(Gate, Option<String>)> {
    let mut conditions = status.conditions.iter();
    let Some(gating) = conditions.find(|one| one.type_ == conditions::GATING) else {
        let is_wanted = status.mode == Some(Mode::Enforce);
        let why = "Weir has not asked for it yet".to_owned();
        return is_wanted.then_some((Gate::Unknown, Some(why)));
    };
    let why = Some(gating.message.clone());
    Some(match (gating.status.as_str(), gating.reason.as_str()) {
        ("True", _) => (Gate::InForce, None),
        ("False", conditions::PODS_STRANDED) => (Gate::Stranding, why),
        ("False", reason) if reason != conditions::GATING_NOT_KNOWN => (Gate::NotInForce, why),
        _ => (Gate::Unknown, why),
    })
}

fn api_servers(control_plane: Answer<ControlPlane>) -> ApiServers {
    let status = match control_plane {
        Answer::Found(object) => object.status,
        Answer::Missing => None,
        Answer::Refused(why) => {
            return ApiServers {
                unknown: Some(why),
                ..ApiServers::default()
            };
        }
    };
    let Some(status) = status else {
        return ApiServers {
            unknown: Some("Weir has not written what it sees of them".to_owned()),
            ..ApiServers::default()
        };
    };
    let seen = status.servers.into_iter().map(|server| ApiServer {
        address: server.address,
        state: server.state,
        latency_ms: server.latency_ms,
        usual_latency_ms: server.usual_latency_ms,
        burn: server.burn,
        why: server.why,
    });
    let not_ready = status
        .conditions
        .into_iter()
        .find(|condition| condition.type_ == conditions::READY && condition.status != "True")
        .map(|condition| format!("{}: {}", condition.reason, condition.message));
    ApiServers {
        expected: status.expected_servers,
        seen: seen.collect(),
        not_ready,
        unknown: None,
    }
}

fn all_rollouts(answer: Answer<Page>, now: Moment) -> Rollouts {
    let page = match answer {
        Answer::Found(page) => page,
        Answer::Missing => {
            return Rollouts {
                unknown: Some("GuardedRollouts are not defined: Weir is not installed".to_owned()),
                ..Rollouts::default()
            };
        }
        Answer::Refused(why) => {
            return Rollouts {
                unknown: Some(why),
                ..Rollouts::default()
            };
        }
    };
    // A superseded rollout is history: its successor is listed.
    let mut all: Vec<_> = page
        .rollouts
        .into_iter()
        .map(|object| rollout(object, now))
        .filter(|rollout| rollout.state != Some(State::Superseded))
        .collect();
    all.sort_by_cached_key(|one| (urgency(one), one.namespace.clone(), one.name.clone()));
    let (complete, open) = all
        .into_iter()
        .partition(|rollout| rollout.state == Some(State::Complete) && rollout.hold.is_none());
    Rollouts {
        open,
        complete,
        beyond: page.beyond,
        unknown: None,
    }
}

fn rollout(object: GuardedRollout, now: Moment) -> Rollout {
    let status = object.status.unwrap_or_default();
    let begun = object.metadata.creation_timestamp;
    Rollout {
        namespace: object.metadata.namespace.unwrap_or_default(),
        name: object.metadata.name.unwrap_or_default(),
        state: status.state,
        hold: Hold::of(&status),
        mode: status.mode,
        width: status.width,
        full_width: status.full_width,
        wave: status.wave,
        nodes_without_pod: status.nodes_without_pod,
        age_seconds: begun.map_or(0, |Time(begun)| seconds_of(now.since(moment(begun)))),
        summary: status.summary,
        findings: status.findings,
        findings_omitted: status.findings_omitted.unwrap_or_default(),
    }
}

/// What a person must look at first comes first.
const fn urgency(rollout: &Rollout) -> u8 {
    if rollout.hold.is_some() {
        return 0;
    }
    match rollout.state {
        Some(State::Held) => 0,
        Some(State::Refused) => 1,
        Some(State::Paused) => 2,
        None | Some(State::Pending) => 3,
        Some(State::Progressing | State::Soaking) => 4,
        Some(State::Paced | State::Complete | State::LetGo | State::Superseded) => 5,
    }
}

fn trouble_with_weir(weir: &Weir) -> Vec<String> {
    let life = match weir.state {
        Life::Running => None,
        Life::Silent => Some(silent(weir)),
        Life::NotInstalled => Some(
            "Weir is not installed here: its kinds are not defined, and there is no lease of it"
                .to_owned(),
        ),
        Life::NoLease => Some(
            "Weir is not at work here, as far as can be seen: there is no lease of it. It was not \
             started, or keeps its lease elsewhere (--weir-namespace, --lease-name), or runs with \
             --mode observe, in which it writes nothing and tells by its log and /metrics only"
                .to_owned(),
        ),
        Life::Unknown => Some(format!(
            "whether Weir is at work is not known: {}",
            weir.unknown.as_deref().unwrap_or("its lease was not read")
        )),
    };
    let why = weir.gate_why.as_deref().unwrap_or_default();
    let why = why.replace('\n', "; ");
    let gate = match weir.gate {
        None | Some(Gate::InForce) => None,
        Some(Gate::NotInForce) => Some(format!("the gate is not in force: {why}")),
        Some(Gate::Stranding) => Some(format!("nobody lets gated pods through: {why}")),
        Some(Gate::Unknown) => Some(format!("whether the gate is in force is not known: {why}")),
    };
    life.into_iter().chain(gate).collect()
}

fn silent(weir: &Weir) -> String {
    let last = weir.renewed_seconds_ago.map(|seconds| {
        let ago = age(Span::from_secs(seconds));
        format!("its lease was last renewed {ago} ago")
    });
    // A leader that is killed leaves its name behind.
    let given_up = weir.leader.is_none().then(|| {
        "nobody holds it: Weir was ended in good order, or runs with --mode observe, in which it writes \
         nothing"
            .to_owned()
    });
    let said: Vec<_> = last.into_iter().chain(given_up).collect();
    format!(
        "Weir is silent: {}. Approved revisions run and scale on, unapproved ones wait; what is \
         shown here is what it last knew",
        said.join(", and ")
    )
}

fn trouble_with_servers(servers: &ApiServers) -> Vec<String> {
    let mut trouble = Vec::new();
    if let Some(why) = &servers.unknown {
        trouble.push(format!("nothing is known of the API servers: {why}"));
    }
    let bad = servers
        .seen
        .iter()
        .filter(|one| one.state != ServerState::Quiet);
    trouble.extend(bad.map(|server| {
        let state = match server.state {
            ServerState::Suffering => "suffers",
            ServerState::Unseen | ServerState::Quiet => "is not seen",
        };
        let why = server
            .why
            .as_deref()
            .map(|why| format!(": {why}"))
            .unwrap_or_default();
        format!("API server {} {state}{why}", server.address)
    }));
    if let Some(expected) = servers.expected
        && (servers.seen.len() as u64) < u64::from(expected)
    {
        let seen = servers.seen.len();
        trouble.push(format!("only {seen} of {expected} API servers are seen"));
    }
    // The condition sums up what the servers say; alone it is news.
    if trouble.is_empty() {
        let why = servers.not_ready.iter();
        trouble.extend(why.map(|why| format!("the control plane is not ready: {why}")));
    }
    trouble
}

fn trouble_with_rollouts(rollouts: &Rollouts) -> Vec<String> {
    let mut trouble = Vec::new();
    if let Some(why) = &rollouts.unknown {
        trouble.push(format!("nothing is known of rollouts: {why}"));
    }
    for rollout in &rollouts.open {
        let what = match &rollout.hold {
            Some(hold) => held(hold),
            None if rollout.state == Some(State::Refused) => "is refused",
            None => continue,
        };
        let (namespace, name) = (&rollout.namespace, &rollout.name);
        trouble.push(format!("rollout {namespace}/{name} {what}"));
    }
    if rollouts.beyond > 0 {
        trouble.push(format!(
            "{} more rollouts were not looked at",
            rollouts.beyond
        ));
    }
    trouble
}

/// That it is held. What was found is said beside the rollout; what is not a finding is said here.
fn held(hold: &Hold) -> &'static str {
    if hold.is_unwritten() {
        "is held, since Weir cannot write (WriteFailed)"
    } else if hold.is_stranded() {
        "is held: Weir may not let its gated pods through (PodsStranded)"
    } else if hold.enforced {
        "is held"
    } else {
        "would be held, if it were enforced"
    }
}

const fn seconds_of(span: Span) -> u64 {
    span.as_millis() / 1000
}
