//! What YAML's types cannot say about a profile: which fields go together. All problems are found at
//! once, each with the field it is about and what to do.

use super::{
    Need, Profile,
    call::{By, Call, LISTED, OnTrouble, Verb},
};

/// Everything that is wrong with a profile, in the order of its fields.
pub(super) fn problems(profile: &Profile) -> Vec<String> {
    let mut problems = Vec::new();
    check_name(&profile.name, &mut problems);
    for (index, need) in profile.needs.iter().enumerate() {
        check_need(&format!("needs[{index}]"), need, &mut problems);
    }
    for (index, call) in profile.calls.iter().enumerate() {
        let at = format!("calls[{index}]");
        check_target(&at, call, &mut problems);
        check_query(&at, call, &profile.calls, &mut problems);
        check_time(&at, call, &mut problems);
    }
    problems
}

fn check_name(name: &str, problems: &mut Vec<String>) {
    let fits = !name.is_empty()
        && name.len() <= 50
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !fits {
        problems.push(format!(
            "name: `{name}` cannot be a label; use at most 50 of a-z, 0-9 and inner dashes"
        ));
    }
}

fn check_need(at: &str, need: &Need, problems: &mut Vec<String>) {
    if need.define && need.resource.group.is_empty() {
        problems.push(format!(
            "{at}.define: the core group cannot be defined; give the resource a group or leave \
             `define` out"
        ));
    }
    if need.count.of(1, 1) == 0 && !need.define {
        problems.push(format!(
            "{at}.count: asks for nothing; set fixed, perNode or perPod"
        ));
    }
    // 1.5 MB is etcd's limit for a request; an annotation alone is limited to 256 KiB.
    if need.bytes > 250_000 {
        problems.push(format!(
            "{at}.bytes: {} is more than an annotation may hold; use at most 250000",
            need.bytes
        ));
    }
}

fn check_target(at: &str, call: &Call, problems: &mut Vec<String>) {
    let verb = call.verb.name();
    if call.verb.names_an_object() && call.object.is_none() {
        problems.push(format!("{at}.object: {verb} needs the name of an object"));
    }
    if !call.verb.names_an_object() && call.object.is_some() {
        problems.push(format!(
            "{at}.object: {verb} takes no object; for one object alone use \
             query.fieldSelector: metadata.name=…"
        ));
    }
    if call.verb.sends_a_body() && call.body.is_none() {
        problems.push(format!(
            "{at}.body: {verb} needs the object or the patch that it sends"
        ));
    }
    if !call.verb.sends_a_body() && call.body.is_some() {
        problems.push(format!("{at}.body: {verb} sends nothing; leave `body` out"));
    }
}

fn check_query(at: &str, call: &Call, all: &[Call], problems: &mut Vec<String>) {
    let query = &call.query;
    if !call.verb.reads_a_collection() && *query != super::call::Query::default() {
        problems.push(format!(
            "{at}.query: only list and watch have one; leave it out of a {}",
            call.verb.name()
        ));
    }
    let watches = call.verb == Verb::Watch;
    if query.limit.is_some() && watches {
        problems.push(format!(
            "{at}.query.limit: a watch has no pages; leave it out"
        ));
    }
    if query.lasts.is_some() && call.verb == Verb::List {
        problems.push(format!(
            "{at}.query.lasts: a list does not last; leave it out"
        ));
    }
    if query.initial_events && call.verb == Verb::List {
        problems.push(format!(
            "{at}.query.initialEvents: only a watch has them; leave it out"
        ));
    }
    if query.resource_version.as_deref() == Some(LISTED) {
        let listed = all
            .iter()
            .any(|other| other.verb == Verb::List && other.resource == call.resource);
        if !watches || !listed {
            problems.push(format!(
                "{at}.query.resourceVersion: `listed` is for a watch of a resource that another \
                 call lists; add that call, or write \"0\", or leave it out"
            ));
        }
    }
}

fn check_time(at: &str, call: &Call, problems: &mut Vec<String>) {
    if !(0.0..=1.0).contains(&call.when.jitter) {
        problems.push(format!(
            "{at}.when.jitter: {} is no fraction of the period; use 0 to 1",
            call.when.jitter
        ));
    }
    if call.when.every.is_some() && call.verb == Verb::Watch {
        problems.push(format!(
            "{at}.when.every: a watch is held, and opened again when it ends; leave `every` out"
        ));
    }
    let is_periodic = call.when.every.is_some_and(|every| !every.is_zero());
    if call.by == By::Leader && !is_periodic {
        problems.push(format!(
            "{at}.by: who leads is looked at each time that a call is due, so that it needs a \
             when.every of more than 0s; for a watch list instead, or leave `by` out"
        ));
    }
    for (field, trouble) in [("onError", Some(call.on_error)), ("on429", call.on_429)] {
        if let Some(OnTrouble::BackOff { initial, max }) = trouble
            && (initial.is_zero() || initial > max)
        {
            problems.push(format!(
                "{at}.{field}.back-off: needs 0 < initial <= max; for no pause use retry-at-once"
            ));
        }
    }
}
