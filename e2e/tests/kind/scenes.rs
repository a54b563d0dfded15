//! What several cases begin with.

use anyhow::{Result, ensure};
use weir::api::{GuardedRolloutStatus, State};
use weir_e2e::kind::{Cluster, NODE_PODS};
use weir_e2e::stage::{Logs, PATIENCE, all_the_while, policy_for};

/// Nodes of kwok's beside the real ones, where a rollout is to have a middle.
pub(crate) const FAKE: u32 = 9;

/// A policy under which API servers are missing, whatever there are: what it is for is held.
pub(crate) fn blind(name: &str, namespace: &str) -> String {
    let spec = format!("pace: Fast\nrequired: {{ apiServers: 2 }}\n{PATIENCE}");
    policy_for(name, &[namespace], &spec)
}

/// A policy under which waves take long enough to be met in their middle: 12 pods go out as 1, 3, 9, 12.
pub(crate) fn slow(namespace: &str) -> String {
    let waves = "waves: { growth: 3, maxStep: 50% }";
    let spec = format!("pace: Fast\nsoak: 20s\n{waves}\n{PATIENCE}");
    policy_for("slow", &[namespace], &spec)
}

/// A rollout in the soak of its second wave.
pub(crate) struct Midway {
    /// The DaemonSet.
    pub(crate) logs: Logs,
    /// Its revision.
    pub(crate) hash: String,
    /// How many pods it wants.
    pub(crate) full: u32,
    /// What was let through, as on record.
    pub(crate) target: u32,
    /// Its second wave.
    pub(crate) wave: u32,
}

impl Midway {
    /// Rolls out agents on real and other nodes, until it is there.
    pub(crate) async fn reached(cluster: &Cluster, namespace: &str) -> Result<Self> {
        cluster.apply(&slow(namespace)).await?;
        cluster.add_fake_nodes(FAKE).await?;
        let stage = cluster.stage();
        let logs = stage.agents(namespace, NODE_PODS).await?;
        let hash = logs.revision().await?;
        let full = cluster.real_nodes().await? + FAKE;
        let is_there = |status: &GuardedRolloutStatus| {
            status.state == Some(State::Soaking) && status.width > 1 && status.width < full
        };
        let status = logs.until(&hash, "the second wave soaks", is_there).await?;
        let target = logs.target(&hash).await?;
        ensure!(
            target > 0 && target < full,
            "{target} of {full} is no middle"
        );
        Ok(Self {
            logs,
            hash,
            full,
            target,
            wave: status.wave,
        })
    }

    /// For a while no more is let through than was.
    pub(crate) async fn rests(&self) -> Result<()> {
        all_the_while("nothing more is let through", async || {
            Ok(self.logs.count(&self.hash).await?.free <= self.target)
        })
        .await
    }

    /// It goes on from where it was, and comes to its end: no wave is lost, nor begun anew.
    pub(crate) async fn completes(&self, cluster: &Cluster) -> Result<()> {
        let stage = cluster.stage();
        // Controllers that lost their API server may need longer than anything else does.
        let mut ended = self.logs.completes(&stage).await;
        if ended.is_err() {
            ended = self.logs.completes(&stage).await;
        }
        let hash = ended?;
        ensure!(hash == self.hash, "another revision completed");
        let status = self.logs.status(&hash).await?;
        ensure!(
            status.wave > self.wave && status.full_width == self.full,
            "it did not go on from wave {}: {status:?}",
            self.wave
        );
        Ok(())
    }
}
