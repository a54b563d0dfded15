//! Asks now and then whether the gate is in force, and tells the loop.
//!
//! The gate lives in API servers: a policy or binding that somebody deleted, or that is not known
//! everywhere yet, shows only in what becomes of a pod. So pods are asked for, by dry run.
//!
//! ```text
//!  lease won ── 10 s ── 10 s ── … in force ──── 5 min ──── 5 min ──▶
//!                          └─── not after a minute: each minute
//! ```

use std::{sync::Arc, time::Duration};

use kube::Client;
use tokio::{sync::watch, time::sleep};
use tracing::{info, warn};

use crate::{
    act::permit::{Permit, Unwritten},
    tasks::TaskError,
    valve::remote::{Gate, check_active},
};

/// Between checks while the gate may still be on its way into force: that takes about ten seconds.
const SOON: Duration = Duration::from_secs(10);
/// Checks that are made so soon.
const SOON_AT_MOST: u32 = 6;
/// Between checks once it has not come into force.
const AGAIN: Duration = Duration::from_mins(1);
/// Between checks while it is in force. Each is two writes.
const SETTLED: Duration = Duration::from_mins(5);

/// What was found of the gate; the error as text.
pub(super) type Found = Result<Gate, Arc<str>>;

/// What was last found; `None` before the first check.
pub(super) type FoundView = watch::Receiver<Option<Found>>;

/// The task that asks.
pub(super) struct Inspector {
    client: Client,
    permit: Permit,
    view: watch::Sender<Option<Found>>,
}

impl Inspector {
    /// An inspector that has not asked yet, and what it will have found.
    pub(super) fn new(client: Client, permit: Permit) -> (Self, FoundView) {
        let (view, found) = watch::channel(None);
        let inspector = Self {
            client,
            permit,
            view,
        };
        (inspector, found)
    }

    /// Asks as long as the process lives, whenever it leads.
    pub(super) async fn run(self) -> Result<(), TaskError> {
        let mut in_vain = 0;
        loop {
            let wait = match self.look().await {
                None => SOON,
                Some(Ok(Gate::InForce)) => {
                    in_vain = 0;
                    SETTLED
                }
                Some(Ok(Gate::Open { .. }) | Err(_)) => {
                    in_vain += 1;
                    if in_vain <= SOON_AT_MOST { SOON } else { AGAIN }
                }
            };
            sleep(wait).await;
        }
    }

    /// One check; none if this process does not lead.
    async fn look(&self) -> Option<Found> {
        let found = match self.permit.write(None, check_active(&self.client)).await {
            Ok(gate) => Ok(gate),
            Err(Unwritten::NotLeading) => return None,
            Err(error) => Err(Arc::from(error.to_string())),
        };
        let is_new = self.view.send_if_modified(|last| {
            let is_new = last.as_ref() != Some(&found);
            *last = Some(found.clone());
            is_new
        });
        match &found {
            Ok(Gate::InForce) if is_new => info!("the gate is in force"),
            Ok(Gate::Open {
                namespaces,
                templates,
            }) if is_new => warn!(
                namespaces,
                templates,
                "the gate is not in force: pods of unapproved revisions come back ungated"
            ),
            Err(error) if is_new => warn!(%error, "whether the gate is in force is not known"),
            Ok(_) | Err(_) => {}
        }
        Some(found)
    }
}
