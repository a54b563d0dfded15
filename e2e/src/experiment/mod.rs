//! One experiment: a rollout of a profile's agents in a world, guarded or not, from its preparation to
//! its report.
//!
//! ```text
//!  prepare ─▶ (Weir) ─▶ calm ─▶ idle, measured ─▶│ DaemonSet created or updated ─▶ … ─▶ held, complete
//!                                               zero                                  or timed out
//! ```

mod blame;
mod course;
mod expected;
mod forecasts;
mod guard;
mod guarded;
mod joining;
mod looper;
pub(crate) mod needs;
mod outcome;
mod plan;
mod record;
mod sampler;
mod scene;
pub(crate) mod setup;
pub mod story;
mod track;
mod workload;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use kube::Client;
use tokio::time::{Instant, sleep};

use self::{
    course::{Watch, Watched},
    guard::{Guard, Mark},
    looper::Looper,
    record::Measured,
    scene::Scene,
    story::{Story, heading},
    track::Cast,
};
pub use self::{
    outcome::Patience,
    plan::{Before, Loops, Plan, form, policy},
};
use crate::{
    bystander::{self, Bystander, stats::Latency},
    report::{Report, demo::millis, machine},
    wire::Servers,
    world::{Plugin, World},
};

/// Calm is a few seconds in which no call took longer than this …
const CALM_MS: f64 = 100.0;
const CALM: Duration = Duration::from_secs(4);
/// … and is not waited for longer than this.
const CALM_WITHIN: Duration = Duration::from_mins(2);

/// A world made ready for experiments, one after the other.
pub struct Bench {
    world: World,
    nodes: u32,
    pods: u32,
    servers: Servers,
    bystander_token: Arc<str>,
    commit: Option<String>,
    runs: u32,
}

impl Bench {
    /// Makes a world of this size ready.
    pub async fn set(world: World, nodes: u32, pods: u32) -> Result<Self> {
        setup::bystander(&world.client()).await?;
        let token = world
            .token(bystander::NAMESPACE, bystander::NAMESPACE)
            .await?;
        let servers = Servers::new(world.addresses(), &world.authority()?)?;
        Ok(Self {
            world,
            nodes,
            pods,
            servers,
            bystander_token: token.into(),
            commit: machine::commit(Path::new(env!("CARGO_MANIFEST_DIR"))),
            runs: 0,
        })
    }

    /// The plugin in the administrator's hands.
    pub fn plugin(&self) -> Result<Plugin> {
        self.world.plugin(self.world.kubeconfig())
    }

    /// Runs one experiment and clears away what it made, but for what its profile needed.
    pub async fn run(&mut self, plan: &Plan) -> Result<Report> {
        self.runs += 1;
        let how = if plan.guard.is_some() {
            "with Weir"
        } else {
            "without Weir"
        };
        heading(&format!(
            "{}, {how}: {}",
            plan.profile.name, plan.profile.about
        ));
        let story = Story::begin();
        let scene = self.prepare(plan, story).await?;
        let guard = self.guard(plan, &scene, story).await?;
        let report = self.measure(plan, &scene, guard.as_ref(), story).await;
        if let Some(guard) = guard {
            guard.stop().await?;
        }
        let report = report?;
        self.clear(plan, scene).await?;
        Ok(report)
    }

    async fn measure(
        &self,
        plan: &Plan,
        scene: &Scene,
        guard: Option<&Guard>,
        story: Story,
    ) -> Result<Report> {
        let bystander = Bystander::start(self.servers.clone(), Arc::clone(&self.bystander_token))?;
        let calm = calm(&bystander, story).await;
        let watched = self.watched(plan, scene, &bystander).await?;
        let lasts = Duration::from_secs_f64(plan.patience.idle);
        let zero = Instant::now() + lasts;
        let mut watch = Watch::begin(watched, zero);
        watch.idle().await?;
        let idle = Latency::of(&bystander.since(zero - lasts));
        story.tell(&format!(
            "idle: a quiet client's median is {}, its slowest hundredth takes {}",
            millis(idle.p50_ms),
            millis(idle.p99_ms)
        ));
        let before = mark(guard).await;
        let started = jiff::Timestamp::now();
        let end = watch.roll(guard, &idle, plan.patience).await?;
        let now = mark(guard).await;
        let watch = watch.end();
        let weir = match (guard, before, watch.completed.or(now)) {
            (Some(guard), Some(before), Some(after)) => {
                Some(guard.used(&self.world, before, after)?)
            }
            _ => None,
        };
        let samples = tokio::task::spawn_blocking(move || bystander.stop()).await?;
        Ok(self.report(
            plan,
            watch,
            Measured {
                started,
                zero,
                calm,
                idle,
                samples,
                weir,
                end,
            },
        ))
    }

    async fn watched<'a>(
        &'a self,
        plan: &Plan,
        scene: &Scene,
        bystander: &'a Bystander,
    ) -> Result<Watched<'a>> {
        let mut casts = vec![];
        let beside = plan.beside.as_ref().zip(scene.beside.as_ref());
        for (profile, workload) in [(&plan.profile, &scene.workload)].into_iter().chain(beside) {
            casts.push(Cast {
                profile: profile.name.clone(),
                workload: workload.clone(),
                swarm: self.swarm(profile, workload).await?,
                guarded: plan.guard.is_some(),
                full_width: self.nodes,
                joins: plan.joins,
            });
        }
        let looper = match (&plan.loops, &scene.loops) {
            (Some(loops), Some(workload)) => {
                let swarm = self.swarm(&loops.profile, workload).await?;
                Some(Looper::new(loops, &workload.namespace, swarm))
            }
            _ => None,
        };
        let mut casts = casts.into_iter();
        Ok(Watched {
            world: &self.world,
            bystander,
            main: casts.next().context("the rollout itself")?,
            beside: casts.next(),
            looper,
            admins: self.admins().await?,
        })
    }

    async fn admins(&self) -> Result<Vec<Client>> {
        let mut admins = vec![];
        for index in 0..self.servers.count() {
            let admin = self.world.client_at(index).await;
            admins.push(admin.context("a client of each API server")?);
        }
        Ok(admins)
    }
}

async fn mark(guard: Option<&Guard>) -> Option<Mark> {
    Some(guard?.mark().await)
}

/// Waits until the API servers have calmed down from what was before; says whether they have.
async fn calm(bystander: &Bystander, story: Story) -> bool {
    let began = Instant::now();
    sleep(CALM).await;
    loop {
        let recent = bystander.since(Instant::now() - CALM);
        if recent.len() > 20 && recent.iter().all(|sample| sample.ms < CALM_MS) {
            return true;
        }
        if began.elapsed() > CALM_WITHIN {
            let felt = millis(Latency::of(&recent).p50_ms);
            story.tell(&format!(
                "still no calm (median {felt}); measuring all the same"
            ));
            return false;
        }
        sleep(Duration::from_millis(500)).await;
    }
}
