//! Turns the intents of one plan into outcomes, in order, and tells the fate of each pod.
//!
//! It chooses nothing: which pods, in which order and whether at all was decided by the judgement
//! that the warrant stands for. What fails is told and left to the next judgement.

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use weir_core::plan::Intent;

use super::{
    failure::{is_over_budget, is_turned_away},
    permit::{Permit, Unwritten, WRITES_AT_ONCE, Warrant},
};
use crate::{
    api::MANAGER,
    client::is_missing,
    valve::{self, remote},
};

/// Releases under way at once for one rollout; the rest of [`WRITES_AT_ONCE`] is for what must not
/// wait for them.
const RELEASES_AT_ONCE: usize = WRITES_AT_ONCE as usize - 2;

/// What is to be done for one rollout.
#[derive(Debug, Clone)]
pub struct Order {
    /// The decision that asked for it.
    pub decision: String,
    /// The rollout's namespace.
    pub namespace: String,
    /// The revision's key in the valve.
    pub revision: String,
    /// The note beside the revision's approval.
    pub note: String,
    /// What to do, in order.
    pub intents: Vec<Intent>,
    /// The judgement's authority.
    pub warrant: Warrant,
}

/// What became of an order.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Whether the revision's approval was written.
    pub approved: bool,
    /// What became of each pod that was to be released.
    pub pods: Vec<(String, Fate)>,
    /// The error that says most of what was asked for: a refusal goes before silence, and that before
    /// an API server that sheds load. Of equals the first.
    pub error: Option<Unwritten>,
}

/// What became of a pod that was to be released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its gate is gone, or it is itself.
    Released,
    /// Nobody knows: the request was sent, and no answer came.
    Unknown,
    /// The API server refused.
    Failed,
    /// It was not done, and nothing was said against it: the API server sheds load, or somebody else
    /// was faster.
    TurnedAway,
    /// It was never asked for.
    NotBegun,
}

/// The clients that plans are enacted with.
#[derive(Clone)]
pub struct Hands {
    /// For approvals.
    pub api: Client,
    /// For releases, which have a budget of their own.
    pub releases: Client,
    /// Leave to write.
    pub permit: Permit,
}

/// Enacts one order. An intent is begun only when the one before it is done.
pub async fn enact(hands: &Hands, order: Order) -> Outcome {
    let mut outcome = Outcome::default();
    for intent in &order.intents {
        match intent {
            Intent::Approve => match approve(hands, &order).await {
                Ok(()) => outcome.approved = true,
                Err(error) => {
                    outcome.error = Some(error);
                    break;
                }
            },
            Intent::Release { pods, because: _ } => {
                release(hands, &order, pods, &mut outcome).await;
            }
        }
    }
    tell_the_rest(&order, &mut outcome);
    outcome
}

async fn approve(hands: &Hands, order: &Order) -> Result<(), Unwritten> {
    let request = remote::approve(&hands.api, &order.revision, &order.note);
    hands.permit.write(Some(&order.warrant), request).await
}

async fn release(hands: &Hands, order: &Order, pods: &[String], outcome: &mut Outcome) {
    let api: Api<Pod> = Api::namespaced(hands.releases.clone(), &order.namespace);
    let mut fates = stream::iter(pods.to_vec())
        .map(|pod| release_one(hands, &api, order, pod))
        .buffered(RELEASES_AT_ONCE);
    while let Some((pod, fate, error)) = fates.next().await {
        outcome.pods.push((pod, fate));
        let Some(error) = error else { continue };
        let known = outcome.error.as_ref().map(weight);
        if known.is_none_or(|known| known < weight(&error)) {
            outcome.error = Some(error);
        }
    }
}

/// How much an error says of what was asked for: a refusal most, and what was never asked for nothing.
fn weight(error: &Unwritten) -> u8 {
    match fate_after(error) {
        Fate::Failed => 3,
        Fate::Unknown => 2,
        Fate::TurnedAway => 1,
        Fate::NotBegun | Fate::Released => 0,
    }
}

async fn release_one(
    hands: &Hands,
    pods: &Api<Pod>,
    order: &Order,
    pod: String,
) -> (String, Fate, Option<Unwritten>) {
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Strategic(valve::release::gate_removal());
    // Only the metadata comes back: a pod is a hundred times as large, and nobody reads it.
    let request = pods.patch_metadata(&pod, &params, &patch);
    let (fate, error) = match hands.permit.write(Some(&order.warrant), request).await {
        Ok(_) => (Fate::Released, None),
        Err(error) => (fate_after(&error), Some(error)),
    };
    let error = error.filter(|_| fate != Fate::Released);
    (pod, fate, error)
}

fn fate_after(error: &Unwritten) -> Fate {
    if is_turned_away(error) {
        return Fate::TurnedAway;
    }
    match error {
        Unwritten::NotLeading | Unwritten::Revoked => Fate::NotBegun,
        Unwritten::Unanswered => Fate::Unknown,
        Unwritten::Failed(error) => match error.downcast_ref::<kube::Error>() {
            // A pod that is gone needs no release.
            Some(error) if is_missing(error) => Fate::Released,
            Some(kube::Error::Api(status)) if status.code < 500 => Fate::Failed,
            Some(other) if is_over_budget(other) => Fate::NotBegun,
            _ => Fate::Unknown,
        },
    }
}

/// Pods of intents that were never begun have a fate too.
fn tell_the_rest(order: &Order, outcome: &mut Outcome) {
    let told = outcome.pods.len();
    let asked = order.intents.iter().flat_map(|intent| match intent {
        Intent::Approve => &[][..],
        Intent::Release { pods, because: _ } => pods,
    });
    let rest: Vec<_> = asked
        .skip(told)
        .map(|pod| (pod.clone(), Fate::NotBegun))
        .collect();
    outcome.pods.extend(rest);
}

#[cfg(test)]
mod tests;
