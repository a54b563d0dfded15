//! One experiment: a rollout of a profile's agents in a world, guarded or not, from its preparation to
//! its report.
//!
//! ```text
//!  prepare ─▶ (Weir) ─▶ calm ─▶ idle, measured ─▶│ DaemonSet created or updated ─▶ … ─▶ held, complete
//!                                               zero                                  or timed out
//! ```

mod course;
mod expected;
mod guard;
mod guarded;
mod needs;
mod outcome;
mod sampler;
mod setup;
pub mod story;
mod workload;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use kube::Client;
use serde_json::json;
use tokio::time::{Instant, sleep};
use weir::api::{Pace, marks};

pub use self::outcome::Patience;
use self::{
    course::{Watch, Watched},
    expected::{Ran, expected},
    guard::{Guard, Mark},
    outcome::End,
    story::{Story, heading},
    workload::Workload,
};
use crate::{
    bystander::{
        self, Bystander, Sample,
        stats::{self, Latency},
    },
    profile::Profile,
    report::{
        self, Report, WeirUse,
        demo::millis,
        machine::{self, Machine},
    },
    swarm::Swarm,
    wire::Servers,
    world::World,
};

/// Calm is a few seconds in which no call took longer than this …
const CALM_MS: f64 = 100.0;
const CALM: Duration = Duration::from_secs(4);
/// … and is not waited for longer than this.
const CALM_WITHIN: Duration = Duration::from_mins(2);

/// What is to be run.
pub struct Plan {
    /// The agents.
    pub profile: Profile,
    /// Whether a harmless revision runs everywhere first, and is updated.
    pub update: bool,
    /// The pace at which Weir lets the rollout through; none if nobody guards it.
    pub guard: Option<Pace>,
    /// How long things are watched.
    pub patience: Patience,
}

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

/// What was measured beside the course of events.
struct Measured {
    started: jiff::Timestamp,
    zero: Instant,
    calm: bool,
    idle: Latency,
    samples: Vec<Sample>,
    weir: Option<WeirUse>,
    end: End,
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

    /// Runs one experiment and clears away what it made, but for what its profile needed.
    pub async fn run(&mut self, plan: &Plan) -> Result<Report> {
        self.runs += 1;
        let namespace = format!("agents-{}", self.runs);
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
        let workload = self.prepare(plan, &namespace, story).await?;
        let guard = match plan.guard {
            Some(pace) => Some(self.guard(plan, pace, &workload, story).await?),
            None => None,
        };
        let report = self.measure(plan, &workload, guard.as_ref(), story).await;
        if let Some(guard) = guard {
            guard.stop().await?;
        }
        let report = report?;
        workload.delete().await?;
        Ok(report)
    }

    async fn prepare(&self, plan: &Plan, namespace: &str, story: Story) -> Result<Workload> {
        let client = self.world.client();
        setup::agents(&client, namespace, &plan.profile).await?;
        let made = needs::provide(&client, &plan.profile.needs, (self.nodes, self.pods)).await?;
        if made > 0 {
            story.tell(&format!("made {made} objects that the profile needs"));
        }
        let workload = Workload::new(client, namespace);
        if plan.update {
            workload.roll_out(workload::BEFORE).await?;
            workload.runs_everywhere(self.nodes).await?;
            story.tell(&format!(
                "a harmless revision runs on all {} nodes",
                self.nodes
            ));
        }
        Ok(workload)
    }

    /// Starts Weir and enrols the workload's namespace.
    async fn guard(
        &self,
        plan: &Plan,
        pace: Pace,
        workload: &Workload,
        story: Story,
    ) -> Result<Guard> {
        let client = self.world.client();
        let guard = Guard::start(&self.world, pace).await?;
        setup::namespace(
            &client,
            &workload.namespace,
            json!({marks::GUARD: "enforce"}),
        )
        .await?;
        if plan.update {
            guard
                .adopted(&client, &workload.revision_key().await?)
                .await?;
        }
        story.tell(&format!("Weir is ready and lets through at pace {pace:?}"));
        Ok(guard)
    }

    async fn measure(
        &self,
        plan: &Plan,
        workload: &Workload,
        guard: Option<&Guard>,
        story: Story,
    ) -> Result<Report> {
        let bystander = Bystander::start(self.servers.clone(), Arc::clone(&self.bystander_token))?;
        let calm = calm(&bystander, story).await;
        let token = self
            .world
            .token(&workload.namespace, setup::ACCOUNT)
            .await?;
        let swarm = Swarm::start(plan.profile.clone(), self.servers.clone(), token.into())?;
        let watched = Watched {
            world: &self.world,
            bystander: &bystander,
            swarm,
            admins: self.admins().await?,
            profile: plan.profile.name.clone(),
            namespace: workload.namespace.clone(),
            guarded: guard.is_some(),
            full_width: self.nodes,
        };
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
        let end = watch.roll(workload, guard, &idle, plan.patience).await?;
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

    async fn admins(&self) -> Result<Vec<Client>> {
        let mut admins = vec![];
        for index in 0..self.servers.count() {
            let admin = self.world.client_at(index).await;
            admins.push(admin.context("a client of each API server")?);
        }
        Ok(admins)
    }

    fn report(&self, plan: &Plan, seen: course::Seen, measured: Measured) -> Report {
        let Measured {
            started,
            zero,
            calm,
            idle,
            samples,
            weir,
            end,
        } = measured;
        let series = stats::by_second(&samples, zero);
        let harm = stats::harm(&idle, &series, seen.course.agents_from());
        let during: Vec<_> = samples
            .into_iter()
            .filter(|sample| sample.due >= zero)
            .collect();
        let course = &seen.course;
        let ran = Ran {
            course,
            harm: &harm,
            swarm: &seen.swarm,
            calm,
        };
        let expected = expected(&plan.profile, &ran);
        let course = seen.course;
        Report {
            started,
            commit: self.commit.clone(),
            machine: Machine::here(),
            nodes: self.nodes,
            pods: self.pods,
            api_servers: u32::try_from(self.servers.count()).unwrap_or(u32::MAX),
            profile: plan.profile.name.clone(),
            about: plan.profile.about.clone(),
            guarded: course.guarded,
            update: plan.update,
            pace: plan.guard.map(|pace| format!("{pace:?}")),
            state: course.state(),
            timed_out: end == End::TimedOut,
            full_width: course.full_width,
            held_at_width: course.held_at_width(),
            seconds_to_hold: course.seconds_to_hold(&harm),
            seconds_to_complete: course.completed(),
            expected,
            width: course.widths,
            states: course.states,
            findings: seen.findings,
            harm,
            bystander: report::Bystander {
                idle,
                calm,
                during: Latency::of(&during),
                worst_p99_ms: stats::worst_p99_ms(&during),
                series,
            },
            api_server: seen.api_server,
            swarm: seen.swarm,
            weir,
        }
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
