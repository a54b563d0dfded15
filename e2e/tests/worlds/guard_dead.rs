//! What holds while Weir is dead, and that it goes on from where it was.
//!
//! The cases follow each other in one world: each does something to Weir itself.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Api;
use tokio::try_join;
use weir::api::{GuardedRolloutStatus, State};
use weir_e2e::inside;
use weir_e2e::stage::{Count, Logs, PATIENCE, Shape, Stage, all_the_while, eventually, policy_for};
use weir_e2e::world::{Ceiling, WeirProcess, World, WorldSpec};

/// Nodes at the start.
const NODES: u32 = 12;

/// Nodes that join while Weir is dead.
const JOIN: u32 = 2;

/// What `slow` soaks at each width: Weir is to die in its second, at the end of a look that takes a
/// while of it.
const SOAK: Duration = Duration::from_secs(20);

/// How long a container of Weir has to end before it is killed; Kubernetes' default is 30 s.
const GRACE: Duration = Duration::from_secs(20);

/// Less than what a lease that nobody hands back has left: 40 s from its last renewal, of which there
/// is one every 12 s.
const HANDED_BACK: Duration = Duration::from_secs(25);

/// `slow` can be killed in the middle of a soak: 12 pods go out as 1, 3, 9 and 12.
fn slow(soak: Duration) -> String {
    let soak = soak.as_secs();
    let waves = "waves: { growth: 3, maxStep: 50% }";
    let spec = format!("pace: Fast\nsoak: {soak}s\n{waves}\n{PATIENCE}");
    policy_for("slow", &["slow"], &spec)
}

/// `blind` wants to see more API servers than there are, and is held for ever.
fn blind() -> String {
    let spec = "pace: Fast\nrequired: { apiServers: 2 }";
    policy_for("blind", &["blind"], spec)
}

#[test]
fn nothing_depends_on_weir_but_what_it_holds() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: NODES,
            ..WorldSpec::bare()
        })
        .await?;
        let (stage, weir) = Stage::set(&world).await?;
        world.apply(&slow(SOAK)).await?;
        world.apply(&blind()).await?;
        let held = Box::pin(Held::made(&stage)).await?;
        weir.program.kill()?;
        held.nothing_moves_but_what_is_approved(&stage).await?;
        weir.program.restart()?;
        held.it_goes_on_from_there(&stage).await?;
        // What is left has been shown, and is to end soon.
        world.apply(&slow(Duration::from_secs(1))).await?;
        let replica = world.start_weir(Ceiling::Enforce, &[]);
        let (replica, ()) = try_join!(replica, held.completes(&stage))?;
        told_to_end_it_hands_over(&stage, weir, replica).await?;
        world.check()
    })
}

/// Rollouts as they are when Weir dies.
struct Held {
    /// Complete.
    steady: Logs,
    approved: String,
    /// Held before its first wave, with what its event tells a person to do.
    blind: Logs,
    unseen: String,
    note: String,
    /// In the middle of the second wave's soak.
    slow: Logs,
    hash: String,
    before: GuardedRolloutStatus,
}

impl Held {
    async fn made(stage: &Stage<'_>) -> Result<Self> {
        let steady = async {
            let steady = stage.logs("steady", &Shape::default()).await?;
            let approved = steady.completes(stage).await?;
            anyhow::Ok((steady, approved))
        };
        let blind = async {
            let blind = stage.logs("blind", &Shape::default()).await?;
            let hash = blind.revision().await?;
            blind.until_state(&hash, State::Held).await?;
            let note = stage.event("blind", "logs", "RolloutHeld").await?;
            anyhow::Ok((blind, hash, note))
        };
        let ((steady, approved), (blind, unseen, note)) = try_join!(steady, blind)?;
        // Last, so that its soak need not outlast what the others take on a busy machine.
        let slow = stage.logs("slow", &Shape::default()).await?;
        let hash = slow.revision().await?;
        let before = soaks_its_second_wave(&slow, &hash).await?;
        Ok(Self {
            steady,
            approved,
            blind,
            unseen,
            note,
            slow,
            hash,
            before,
        })
    }

    /// SIGKILL, nodes join, and a person releases what is held.
    async fn nothing_moves_but_what_is_approved(&self, stage: &Stage<'_>) -> Result<()> {
        stage.world.add_nodes(JOIN).await?;
        let all = NODES + JOIN;
        self.steady.until_runs(&self.approved, all).await?;
        let rest = Count {
            gated: all - 3,
            free: 3,
            running: 3,
        };
        self.slow.until_count(&self.hash, rest).await?;
        stage.world.commands().by_hand(&self.note).await?;
        self.blind.until_runs(&self.unseen, all).await?;
        let target = self.target()?;
        all_the_while("nothing is released", async || {
            let count = self.slow.count(&self.hash).await?;
            Ok(count == rest && self.slow.target(&self.hash).await? == target)
        })
        .await
    }

    /// With the same wave, and its whole soak anew.
    async fn it_goes_on_from_there(&self, stage: &Stage<'_>) -> Result<()> {
        let target = self.target()?;
        let is_wider = |status: &GuardedRolloutStatus| {
            let now = status.history.as_ref();
            now.is_some_and(|now| now.target > target)
        };
        let wider = self
            .slow
            .until(&self.hash, "the third wave", is_wider)
            .await?;
        // Before that nobody led.
        let acquired = lease(stage).await?.acquire_time;
        let acquired = acquired.context("the lease says since when it is held")?;
        let led = Duration::try_from(acquired.0.duration_until(Timestamp::now()))?;
        ensure!(
            led >= SOAK,
            "the soak was not repeated: wider after {led:?}"
        );
        ensure!(
            wider.wave == self.before.wave + 1,
            "waves were lost: {wider:?}"
        );
        Ok(())
    }

    async fn completes(&self, stage: &Stage<'_>) -> Result<()> {
        self.slow.completes(stage).await?;
        let blind = self.blind.until_state(&self.unseen, State::Complete).await;
        blind.map(drop)
    }

    /// The width of the wave that soaked.
    fn target(&self) -> Result<u32> {
        let history = self.before.history.as_ref();
        Ok(history.context("its history is on record")?.target)
    }
}

/// A part of that soak is done then, and will have to be done again.
async fn soaks_its_second_wave(slow: &Logs, hash: &str) -> Result<GuardedRolloutStatus> {
    let soaking = slow
        .until(hash, "the second wave soaks", |status| {
            status.state == Some(State::Soaking) && status.width == 3
        })
        .await?;
    all_the_while("the second wave soaks on", async || {
        Ok(slow.status(hash).await?.wave == soaking.wave)
    })
    .await?;
    Ok(soaking)
}

/// SIGTERM in the middle of a rollout, with a second replica waiting.
async fn told_to_end_it_hands_over(
    stage: &Stage<'_>,
    first: WeirProcess,
    second: WeirProcess,
) -> Result<()> {
    until_holds_the_lease(stage, first.program.name()).await?;
    let logs: Logs = stage.logs("handed", &Shape::default()).await?;
    let hash = logs.revision().await?;
    logs.until(&hash, "a first wave is out", |status| status.width > 0)
        .await?;
    let told = Instant::now();
    first.program.stop(GRACE).await?;
    let status = first.program.ended()?.context("it has ended")?;
    ensure!(
        status.success(),
        "it ended with {status}; the end of its log:\n{}",
        first.program.log_end()
    );
    until_holds_the_lease(stage, second.program.name()).await?;
    ensure!(
        told.elapsed() < HANDED_BACK,
        "the lease was not handed back: held after {:?}",
        told.elapsed()
    );
    logs.completes(stage).await?;
    second.program.check()
}

async fn until_holds_the_lease(stage: &Stage<'_>, replica: &str) -> Result<()> {
    let prefix = format!("{replica}-");
    eventually(&format!("{replica} holds the lease"), async || {
        let holder = lease(stage).await?.holder_identity;
        Ok(holder.is_some_and(|holder| holder.starts_with(&prefix)))
    })
    .await
}

async fn lease(stage: &Stage<'_>) -> Result<LeaseSpec> {
    let leases: Api<Lease> = Api::namespaced(stage.admin.clone(), "weir-system");
    Ok(leases.get("weir").await?.spec.unwrap_or_default())
}
