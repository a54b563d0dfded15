//! Weir in an experiment: installed, told its pace, started, and asked what it used.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use kube::{Api, Client};
use serde_json::json;
use tokio::time::{Instant, sleep};
use weir::api::{RolloutPolicy, RolloutPolicySpec};

use super::{sampler::round, setup};
use crate::{
    report::{Use, WeirUse},
    world::{Ceiling, WeirProcess, World, approvals::Approvals},
};

/// How long Weir may take from its start until it has read whatever it watches.
const READY_WITHIN: Duration = Duration::from_mins(2);
/// How long a harmless revision may take to be approved once its namespace is enrolled.
const ADOPTED_WITHIN: Duration = Duration::from_mins(1);

/// A moment from or to which Weir's use is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    at: Timestamp,
    /// What it had received by then, by its own metrics; none if it did not say.
    bytes: Option<u64>,
}

/// A running Weir.
pub(super) struct Guard {
    process: WeirProcess,
    started: Mark,
    ready: Mark,
}

impl Guard {
    /// Installs Weir, sets the policy of all rollouts, starts it and waits until it is ready to hold.
    pub(super) async fn start(world: &World, policy: &RolloutPolicySpec) -> Result<Self> {
        world.install_weir(Ceiling::Enforce).await?;
        let policies: Api<RolloutPolicy> = Api::all(world.client());
        let policy = json!({"metadata": {"name": "lab"}, "spec": policy});
        setup::apply(&policies, setup::object::<RolloutPolicy>(policy)).await?;
        let started = Mark {
            at: Timestamp::now(),
            bytes: Some(0),
        };
        let process = world.start_weir(Ceiling::Enforce, &[]).await?;
        process.ready(READY_WITHIN).await?;
        world.adopted(&process).await?;
        Ok(Self {
            started,
            ready: mark(&process).await,
            process,
        })
    }

    /// Waits until this revision, which runs already, is approved.
    pub(super) async fn adopted(&self, client: &Client, revision: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            let said = Approvals::read(client).await?;
            if said.is_some_and(|said| said.approved.contains(revision)) {
                return Ok(());
            }
            ensure!(
                began.elapsed() < ADOPTED_WITHIN,
                "Weir has not approved the revision that runs ({revision}); the end of its log:\n{}",
                self.process.program.log_end()
            );
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// An error, with the end of its log, if Weir has ended.
    pub(super) fn check(&self) -> Result<()> {
        self.process.program.check()
    }

    /// Marks this moment.
    pub(super) async fn mark(&self) -> Mark {
        mark(&self.process).await
    }

    /// What Weir used until `zero`, when the rollout began, and from there to `end`.
    pub(super) fn used(&self, world: &World, zero: Mark, end: Mark) -> Result<WeirUse> {
        let requests = world.weir_requests().context("what Weir asked for")?;
        let within = |from: Mark, to: Mark| {
            let seconds = from.at.duration_until(to.at).as_secs_f64().max(0.001);
            let made: Vec<_> = requests
                .iter()
                .filter(|request| (from.at..to.at).contains(&request.at))
                .collect();
            let received = from.bytes.zip(to.bytes);
            Use {
                seconds: round(seconds, 10.0),
                requests_per_second: round(made.len() as f64 / seconds, 100.0),
                writes: made.iter().filter(|request| request.is_write()).count() as u64,
                bytes: received.map(|(before, after)| after.saturating_sub(before)),
            }
        };
        let all = within(self.started, end);
        let peak = self.process.program.peak_resident_bytes()? as f64;
        Ok(WeirUse {
            requests_per_second: all.requests_per_second,
            writes: all.writes,
            bytes: all.bytes,
            peak_rss_mib: round(peak / (1024.0 * 1024.0), 10.0),
            idle: within(self.ready, zero),
            in_flight: within(zero, end),
        })
    }

    /// Stops Weir as a node would: it is asked, and given its time.
    pub(super) async fn stop(self) -> Result<()> {
        self.process
            .program
            .stop(Duration::from_secs(30))
            .await
            .map(drop)
    }
}

async fn mark(process: &WeirProcess) -> Mark {
    Mark {
        at: Timestamp::now(),
        bytes: process.received_bytes().await,
    }
}
