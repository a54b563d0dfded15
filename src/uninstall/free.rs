//! All gates → none: paced by how the API server answers, and within the time that there is.

use std::time::Duration;

use super::{
    Removal,
    steps::{Steps, by_us},
};
use crate::{
    client::chain,
    valve::gates::{self, Gated, Removed, Which},
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Looks in a row that may come to nothing: no list, or no pod of it let through.
const BARREN: u32 = 3;
/// Pods per second to begin with; released by hand, that many were never felt.
const AT_FIRST: u32 = 10;
/// How long one pace is kept before it is looked at how it was borne.
const BATCH_SECONDS: u32 = 5;
/// How much longer than its pace a batch may take, for the pace to be borne.
const LATE: Duration = Duration::from_secs(1);
/// Pods that are named where many are left.
const NAMED: usize = 5;

/// How the releases come along.
struct Pace {
    rate: u32,
    most: u32,
    released: u32,
    /// What was refused at the last look.
    refused: Vec<String>,
    /// Whether a right is missing.
    forbidden: bool,
}

impl Pace {
    /// Takes in what became of a batch, and how long it took.
    fn take(&mut self, removed: &Removed, took: Duration) {
        self.released += removed.released;
        let tried = removed.refused.iter();
        self.refused.extend(tried.map(|(pod, error)| {
            let (namespace, name) = (&pod.namespace, &pod.name);
            format!("the gate of pod {namespace}/{name}: {}", chain(error))
        }));
        let mut errors = removed.refused.iter().map(|(_, error)| error);
        self.forbidden |=
            errors.any(|error| matches!(error, kube::Error::Api(status) if status.code == 403));
        let expected = Duration::from_secs(1) * removed.released / self.rate;
        let is_borne = removed.left() == 0 && took <= expected + LATE;
        self.rate = if is_borne {
            (self.rate * 2).min(self.most)
        } else {
            (self.rate / 2).max(1)
        };
    }
}

impl Steps<'_> {
    /// Removes all gates; says whether none is left. Two looks in a row must find none: pods that were
    /// born just before the end of the Role may show up late.
    pub(super) async fn free_pods(&self, removal: &mut Removal) -> bool {
        let mut pace = Pace {
            rate: AT_FIRST.min(self.args.rate),
            most: self.args.rate,
            released: 0,
            refused: Vec::new(),
            forbidden: false,
        };
        let why = self.free(&mut pace).await;
        if pace.released > 0 {
            let what = format!("the gates of {} pods", pace.released);
            removal.removed.push(what);
        }
        let is_free = why.is_none();
        if let Some(why) = why {
            let more = pace.refused.len().saturating_sub(NAMED);
            removal.failed.push(why);
            removal.failed.extend(pace.refused.into_iter().take(NAMED));
            if more > 0 {
                removal
                    .failed
                    .push(format!("the gates of {more} more pods"));
            }
        }
        is_free
    }

    /// Looks and releases until nothing is left; else says what stopped it.
    async fn free(&self, pace: &mut Pace) -> Option<String> {
        let (mut calm, mut barren) = (0, 0);
        let mut left = None;
        loop {
            if self.is_over() {
                let seconds = self.args.timeout;
                let left = left.map_or_else(String::new, |left| {
                    format!(", {left} of them at the last look")
                });
                return Some(format!(
                    "gates of pods{left}: time ran out after {seconds} s"
                ));
            }
            match gates::gated(&self.client, Which::All).await {
                Ok(found) if found.is_empty() => {
                    (calm, barren, left) = (calm + 1, 0, Some(0));
                    if calm == 2 {
                        return None;
                    }
                }
                Ok(found) => {
                    calm = 0;
                    let before = pace.released;
                    left = Some(found.len());
                    self.release(found, pace).await;
                    barren = if pace.released > before {
                        0
                    } else {
                        barren + 1
                    };
                    if barren > 0 && (pace.forbidden || barren == BARREN) {
                        let number = left.unwrap_or_default();
                        return Some(format!(
                            "gates of {number} pods, none of which could be removed"
                        ));
                    }
                }
                Err(error) => {
                    (calm, barren) = (0, barren + 1);
                    if barren == BARREN {
                        return Some(format!(
                            "gates of pods, which could not be listed: {}",
                            chain(&error)
                        ));
                    }
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Releases these pods, batch by batch, as fast as the API server keeps up.
    async fn release(&self, mut pods: Vec<Gated>, pace: &mut Pace) {
        pace.refused.clear();
        pace.forbidden = false;
        while !pods.is_empty() && !self.is_over() {
            let batch = (pace.rate * BATCH_SECONDS) as usize;
            let rest = pods.split_off(pods.len().min(batch));
            let begun = self.clock.elapsed();
            let removed = gates::remove(&self.releases, pods, pace.rate, &by_us()).await;
            pace.take(&removed, self.clock.elapsed().saturating_sub(begun));
            tracing::info!(
                released = pace.released,
                waiting = rest.len(),
                "let pods through"
            );
            if removed.released == 0 {
                return;
            }
            pods = rest;
        }
    }
}
