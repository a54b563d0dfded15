//! Which rollout a person means.

use std::fmt;

use kube::{Api, api::ListParams};

use super::{
    connect::{Connection, ROLLOUTS},
    error::CliError,
};
use crate::{
    api::{GuardedRollout, State},
    client::is_missing,
};

/// Rollouts of a namespace that are looked through at most.
const PAGE: u32 = 500;
/// Candidates that are named.
const NAMED: usize = 10;

/// What a person wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked<'a> {
    /// A GuardedRollout's name.
    Rollout(&'a str),
    /// A DaemonSet's.
    DaemonSet(&'a str),
    /// Either's.
    Any(&'a str),
}

/// Why it is not known which rollout is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    asked: String,
    namespace: String,
    why: Why,
    candidates: Vec<String>,
    is_cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Kind,
    None,
    Superseded,
    Several,
}

impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (asked, namespace) = (&self.asked, &self.namespace);
        match self.why {
            Why::Kind => write!(f, "`{asked}` is neither a DaemonSet nor a GuardedRollout")?,
            Why::None => write!(
                f,
                "there is no rollout of `{asked}` in namespace {namespace}"
            )?,
            Why::Superseded => write!(
                f,
                "all rollouts of `{asked}` in namespace {namespace} are superseded: name one of them"
            )?,
            Why::Several => write!(
                f,
                "`{asked}` has several rollouts in namespace {namespace}: name one of them"
            )?,
        }
        if !self.candidates.is_empty() {
            write!(f, " (there are {})", self.candidates.join(", "))?;
        }
        if self.is_cut {
            write!(f, "; only the first {PAGE} were looked at")?;
        }
        Ok(())
    }
}

/// The rollout that is meant, found by two requests at most.
pub(super) async fn rollout(
    connection: &Connection,
    asked: &str,
) -> Result<GuardedRollout, CliError> {
    let namespace = &connection.namespace;
    let what = parsed(asked, namespace)?;
    let api: Api<GuardedRollout> = Api::namespaced(connection.client.clone(), namespace);
    if let Asked::Rollout(name) | Asked::Any(name) = what {
        match api.get(name).await {
            Ok(found) => return Ok(found),
            // Also where the kind is not defined, which has no reason in words: the list will tell.
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(connection.unanswered(error, ROLLOUTS)),
        }
    }
    let list = match api.list(&ListParams::default().limit(PAGE)).await {
        Err(error) if is_missing(&error) => return Err(CliError::NotInstalled),
        list => list.map_err(|error| connection.unanswered(error, ROLLOUTS))?,
    };
    let is_cut = list
        .metadata
        .continue_
        .is_some_and(|token| !token.is_empty());
    let unnamed = |why, candidates| {
        CliError::Unnamed(Unnamed {
            asked: asked.to_owned(),
            namespace: namespace.clone(),
            why,
            candidates,
            is_cut,
        })
    };
    chosen(what, list.items).map_err(|(why, candidates)| unnamed(why, candidates))
}

fn parsed<'a>(asked: &'a str, namespace: &str) -> Result<Asked<'a>, CliError> {
    match asked.split_once('/') {
        None => Ok(Asked::Any(asked)),
        Some(("ds" | "daemonset" | "daemonsets" | "daemonset.apps" | "daemonsets.apps", name)) => {
            Ok(Asked::DaemonSet(name))
        }
        Some((
            "gro"
            | "guardedrollout"
            | "guardedrollouts"
            | "guardedrollout.weir.dev"
            | "guardedrollouts.weir.dev",
            name,
        )) => Ok(Asked::Rollout(name)),
        Some(_) => Err(CliError::Unnamed(Unnamed {
            asked: asked.to_owned(),
            namespace: namespace.to_owned(),
            why: Why::Kind,
            candidates: Vec::new(),
            is_cut: false,
        })),
    }
}

/// The current rollout of a DaemonSet, or why it is not known which that is.
fn chosen(
    asked: Asked<'_>,
    rollouts: Vec<GuardedRollout>,
) -> Result<GuardedRollout, (Why, Vec<String>)> {
    let (mut of_it, others): (Vec<_>, Vec<_>) = match asked {
        Asked::Rollout(_) => (Vec::new(), rollouts),
        Asked::DaemonSet(name) | Asked::Any(name) => rollouts
            .into_iter()
            .partition(|one| one.spec.workload.name == name),
    };
    if of_it.is_empty() {
        let current: Vec<_> = others.into_iter().filter(is_current).collect();
        return Err((Why::None, candidates(&current)));
    }
    let all = candidates(&of_it);
    of_it.retain(is_current);
    // Until Weir has closed the record of the revision before, the one that is on its way is meant.
    if of_it.len() > 1 && of_it.iter().filter(|one| is_under_way(one)).count() == 1 {
        of_it.retain(is_under_way);
    }
    match (of_it.pop(), of_it.len()) {
        (Some(one), 0) => Ok(one),
        (Some(last), _) => {
            of_it.push(last);
            Err((Why::Several, candidates(&of_it)))
        }
        (None, _) => Err((Why::Superseded, all)),
    }
}

fn state(rollout: &GuardedRollout) -> Option<State> {
    rollout.status.as_ref().and_then(|status| status.state)
}

fn is_current(rollout: &GuardedRollout) -> bool {
    state(rollout) != Some(State::Superseded)
}

fn is_under_way(rollout: &GuardedRollout) -> bool {
    !matches!(
        state(rollout),
        Some(State::Superseded | State::Complete | State::LetGo | State::Paced)
    )
}

fn candidates(rollouts: &[GuardedRollout]) -> Vec<String> {
    let named = rollouts.iter().take(NAMED).map(|one| {
        let name = one.metadata.name.as_deref().unwrap_or_default();
        format!("{name} of daemonset/{}", one.spec.workload.name)
    });
    let beyond = rollouts.len().saturating_sub(NAMED);
    let beyond = (beyond > 0).then(|| format!("{beyond} more"));
    named.chain(beyond).collect()
}

#[cfg(test)]
pub(super) mod tests;
