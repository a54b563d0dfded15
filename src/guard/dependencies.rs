//! What a policy depends on, and what is known of it → what the judge is given, and what is on record.
//!
//! A replica that does not lead asks nobody: it leaves dependencies out, as it writes nothing that could be wrong by
//! that. Since when one is silent is on record, so that its deadline outlives a change of the leader; what was said
//! of an earlier question starts no deadline of the one that took its place.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weir_core::{
    evidence::{self, Health, Reading},
    time::Moment,
};

use super::world::World;
use crate::{
    api::{DependencyState, DependencyStatus, RolloutPolicy, times::moment},
    dependency::{Dependency, Question},
    observe::{DependencyView, MOST_QUESTIONS},
    policy::{Choice, Policies},
};

/// What is known of one dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// What it says.
    pub(super) reading: Reading<Health>,
    /// Until when its silence holds rollouts; none where the policy has to be mended first.
    pub(super) awaited_until: Option<Moment>,
    /// Why it says nothing, if that is so.
    pub(super) why: Option<String>,
    /// Whether any look has ended yet.
    pub(super) is_asked: bool,
}

/// Since when questions are wanted of which nothing is known: their deadlines have a start that does not move.
#[derive(Debug, Default)]
pub(super) struct Unheard {
    since: BTreeMap<Arc<Question>, Moment>,
}

impl Unheard {
    /// Takes in one look at the world. Where nobody asks it begins anew, as whoever asks does.
    pub(super) fn look(&mut self, policies: &Policies, world: &World) {
        let Some(views) = &world.dependencies else {
            self.since.clear();
            return;
        };
        let mut unheard = questions(policies);
        unheard.retain(|question| !views.contains_key(question));
        self.since.retain(|question, _| unheard.contains(question));
        for question in unheard {
            self.since.entry(question).or_insert(world.now);
        }
    }

    fn since(&self, question: &Arc<Question>, now: Moment) -> Moment {
        self.since.get(question).copied().unwrap_or(now)
    }
}

/// What is known of a dependency, which may be on record as silent since then; none where nobody asks.
pub(super) fn known(
    dependency: &Dependency,
    on_record: Option<Moment>,
    unheard: &Unheard,
    world: &World,
) -> Option<Known> {
    let views = world.dependencies.as_ref()?;
    let question = match &dependency.asks {
        Ok(question) => question,
        Err(why) => return Some(wrong(why)),
    };
    let view = views.get(question);
    let since = view.map_or_else(
        || unheard.since(question, world.now),
        |view| view.silent_since,
    );
    let awaited_until = on_record.map_or(since, |told| told.min(since)) + dependency.silent_for;
    Some(match view {
        Some(view) => seen(view, awaited_until),
        None => without_view(views.len() >= MOST_QUESTIONS, awaited_until),
    })
}

fn seen(view: &DependencyView, awaited_until: Moment) -> Known {
    let why = match &view.reading {
        Reading::Fresh(_) => None,
        Reading::Stale { .. } | Reading::Masked { .. } => view.trouble.clone(),
        Reading::Absent { why } | Reading::Garbled { why } => Some(why.clone()),
    };
    Known {
        reading: view.reading.clone(),
        awaited_until: Some(awaited_until),
        why,
        is_asked: view.is_asked,
    }
}

/// What nobody asks, for the while or because there are too many: that is no fault of its policy, and so it is as
/// silent as any source, and for no longer.
fn without_view(are_too_many: bool, awaited_until: Moment) -> Known {
    let why = if are_too_many {
        format!(
            "it is not asked: all policies together may ask {MOST_QUESTIONS} different questions"
        )
    } else {
        "it was not asked yet".to_owned()
    };
    Known {
        reading: Reading::Absent { why: why.clone() },
        awaited_until: Some(awaited_until),
        why: are_too_many.then_some(why),
        is_asked: are_too_many,
    }
}

/// What cannot be asked says nothing until somebody mends the policy.
fn wrong(why: &str) -> Known {
    Known {
        reading: Reading::Absent {
            why: why.to_owned(),
        },
        awaited_until: None,
        why: Some(why.to_owned()),
        is_asked: true,
    }
}

/// What a policy's status says of what it depends on, if it says so of the policy as it is now: another generation
/// may have asked something else by the same name.
pub(super) fn on_record(policy: &RolloutPolicy) -> &[DependencyStatus] {
    match &policy.status {
        Some(status) if status.observed_generation == policy.metadata.generation => {
            &status.dependencies
        }
        Some(_) | None => &[],
    }
}

/// Since when a policy's status says that one of its dependencies is silent, if it does. What could not be asked, and
/// so has no deadline, was never silent.
pub(super) fn silent_on_record(policy: &str, name: &str, world: &World) -> Option<Moment> {
    let mut all = on_record(world.cluster.policies.last()?.get(policy)?).iter();
    let is_silent =
        |one: &DependencyStatus| one.state == DependencyState::Silent && one.holds_until.is_some();
    let told = all.find(|one| one.name == name && is_silent(one))?;
    Some(moment(told.since.as_ref()?.0))
}

/// The same of what the choice of several policies calls so, by the one that has said it for longest.
fn told_silent(called: &str, policies: &[String], world: &World) -> Option<Moment> {
    let (of, name) = called.split_once('/').unzip();
    let named = policies
        .iter()
        .filter(|policy| of.is_none_or(|of| of == policy.as_str()));
    named
        .filter_map(|policy| silent_on_record(policy, name.unwrap_or(called), world))
        .min()
}

/// What a rollout is judged by that depends on what these policies name.
pub(super) fn evidence(
    choice: &Choice,
    unheard: &Unheard,
    world: &World,
) -> BTreeMap<String, evidence::Dependency> {
    let known = choice.dependencies.iter().filter_map(|(name, one)| {
        let on_record = told_silent(name, &choice.names, world);
        let Known {
            reading,
            awaited_until,
            ..
        } = known(one, on_record, unheard, world)?;
        let dependency = evidence::Dependency {
            reading,
            awaited_until: awaited_until.unwrap_or(Moment::from_millis(u64::MAX)),
        };
        Some((name.clone(), dependency))
    });
    known.collect()
}

/// What is to be asked for all policies.
pub(super) fn questions(policies: &Policies) -> BTreeSet<Arc<Question>> {
    let all = policies.dependencies();
    let asked = all.filter_map(|(_, _, one)| one.asks.as_ref().ok());
    asked.cloned().collect()
}

/// How everything is that policies depend on, by the policy's name and its own; nothing where nobody asks.
pub(super) fn readings(
    policies: &Policies,
    unheard: &Unheard,
    world: &World,
) -> BTreeMap<(String, String), Reading<Health>> {
    let all = policies.dependencies();
    let known = all.filter_map(|(policy, name, one)| {
        let name = (policy.to_owned(), name.to_owned());
        Some((name, known(one, None, unheard, world)?.reading))
    });
    known.collect()
}
