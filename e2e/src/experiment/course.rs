//! Watches a rollout from the idle time before it to its end: samples each second, takes in what Weir
//! says, and tells a person what happens.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use kube::Client;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    Patience,
    guard::{Guard, Mark},
    guarded::{self, Guarded, Sighting},
    outcome::{Course, End},
    sampler::{Sampler, round},
    story::Story,
    workload::{self, Workload},
};
use crate::{
    bystander::{
        Bystander,
        stats::{self, Latency, LatencyAt},
    },
    report::{ApiServer, FoundAt, SwarmUse, WidthAt, demo::millis},
    swarm::{
        Swarm,
        follow::{Fleet, Followed, follow},
    },
    world::World,
};

/// A line of figures is told this often when nothing else happens.
const FIGURES_EVERY: f64 = 10.0;
/// Harm is told of once this many whole seconds in a row are harmful, and its end likewise.
const RECENT: usize = 3;
/// Long enough to hold them.
const FELT: Duration = Duration::from_secs(RECENT as u64 + 1);

/// Watches one rollout.
pub(super) struct Watch<'a> {
    zero: Instant,
    course: Course,
    guarded: Guarded,
    sampler: Sampler,
    swarm: Arc<Swarm>,
    profile: String,
    world: &'a World,
    bystander: &'a Bystander,
    fleet: watch::Receiver<Fleet>,
    sightings: mpsc::UnboundedReceiver<Sighting>,
    /// Ends with the watch.
    tasks: JoinSet<Result<()>>,
    told: Told,
    /// When Weir had nothing more to do with it.
    completed: Option<Mark>,
}

/// What has been told already.
#[derive(Default)]
struct Told {
    all_run: bool,
    harmed: bool,
    figures: f64,
}

/// What was seen, once a watch has ended.
pub(super) struct Seen {
    pub(super) course: Course,
    pub(super) findings: Vec<FoundAt>,
    pub(super) api_server: ApiServer,
    pub(super) swarm: SwarmUse,
    pub(super) completed: Option<Mark>,
}

/// What is watched.
pub(super) struct Watched<'a> {
    pub(super) world: &'a World,
    pub(super) bystander: &'a Bystander,
    pub(super) swarm: Swarm,
    pub(super) admins: Vec<Client>,
    pub(super) profile: String,
    pub(super) namespace: String,
    pub(super) guarded: bool,
    pub(super) full_width: u32,
}

impl<'a> Watch<'a> {
    /// Begins to watch; the rollout will begin at `zero`.
    pub(super) fn begin(watched: Watched<'a>, zero: Instant) -> Self {
        let swarm = Arc::new(watched.swarm);
        let (tell_fleet, fleet) = watch::channel(Fleet::default());
        let (tell_sighting, sightings) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let followed = Followed {
            namespace: watched.namespace.clone(),
            selector: workload::selector(&watched.profile),
        };
        let client = watched.world.client();
        tasks.spawn(follow(
            client.clone(),
            followed,
            Arc::clone(&swarm),
            tell_fleet,
        ));
        if watched.guarded {
            tasks.spawn(guarded::follow(client, watched.namespace, tell_sighting));
        }
        Self {
            zero,
            course: Course {
                guarded: watched.guarded,
                full_width: watched.full_width,
                ..Course::default()
            },
            guarded: Guarded::default(),
            sampler: Sampler::start(watched.admins),
            swarm,
            profile: watched.profile,
            world: watched.world,
            bystander: watched.bystander,
            fleet,
            sightings,
            tasks,
            told: Told::default(),
            completed: None,
        }
    }

    /// The second that it is now.
    fn second(&self) -> f64 {
        let now = Instant::now();
        let since = now.saturating_duration_since(self.zero).as_secs_f64();
        since - self.zero.saturating_duration_since(now).as_secs_f64()
    }

    /// Samples until the rollout is to begin.
    pub(super) async fn idle(&mut self) -> Result<()> {
        let mut ticks = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = sleep_until(self.zero) => return Ok(()),
                _ = ticks.tick() => self.sample()?,
            }
        }
    }

    /// Begins the rollout and watches it to its end.
    pub(super) async fn roll(
        &mut self,
        workload: &Workload,
        guard: Option<&Guard>,
        idle: &Latency,
        patience: Patience,
    ) -> Result<End> {
        let story = Story::begin();
        workload.roll_out(&self.profile).await?;
        story.tell("the DaemonSet is rolled out");
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    self.sample()?;
                    self.world.check()?;
                    guard.map_or(Ok(()), Guard::check)?;
                    self.mark_completion(guard).await;
                    self.tell(story, idle);
                }
                Some(sighting) = self.sightings.recv() => self.sight(&sighting, story),
                Some(ended) = self.tasks.join_next() => {
                    ended.context("a watch has panicked")??;
                    bail!("a watch has ended");
                }
            }
            if let Some(end) = self.course.ended(self.second(), patience) {
                return Ok(end);
            }
        }
    }

    /// From its completion on the rollout is not in flight any more.
    async fn mark_completion(&mut self, guard: Option<&Guard>) {
        if let (Some(guard), None, Some(_)) = (guard, self.completed, self.course.completed()) {
            self.completed = Some(guard.mark().await);
        }
    }

    /// Ends the watch, and with it the agents.
    pub(super) fn end(self) -> Seen {
        Seen {
            api_server: self.sampler.api_server(),
            swarm: self.sampler.swarm(&self.swarm.counters()),
            course: self.course,
            findings: self.guarded.findings,
            completed: self.completed,
        }
    }

    fn sample(&mut self) -> Result<()> {
        let second = self.second();
        let fleet = *self.fleet.borrow();
        if second >= 0.0 {
            self.course.widths.push(WidthAt {
                second: round(second, 10.0),
                width: fleet.released,
                running: fleet.running,
            });
        }
        let counters = self.swarm.counters();
        self.sampler
            .sample(second, self.world.api_servers(), &counters)
    }

    /// Takes in what Weir says of this rollout; what it said of others before is not about it.
    fn sight(&mut self, sighting: &Sighting, story: Story) {
        if sighting.at < self.zero {
            return;
        }
        let second = sighting.at.duration_since(self.zero).as_secs_f64();
        if let Some(news) = self
            .guarded
            .take(round(second, 10.0), sighting, &mut self.course)
        {
            story.tell(&news);
            self.told.figures = second;
        }
    }

    fn tell(&mut self, story: Story, idle: &Latency) {
        let second = self.second();
        let recent = self.recent();
        let above_ms = stats::harmful_above(idle);
        let is_harmful = |at: &LatencyAt| stats::is_harmful(at, above_ms);
        let changed =
            recent.len() >= RECENT && recent.iter().all(|at| is_harmful(at) != self.told.harmed);
        if changed {
            self.told.harmed = !self.told.harmed;
            let waits = millis(felt(&recent));
            story.tell(&if self.told.harmed {
                let idle = millis(idle.p50_ms);
                format!("others are harmed: a quiet client waits {waits}, when idle {idle}")
            } else {
                format!("others are well again: a quiet client waits {waits}")
            });
        }
        if !self.told.all_run && self.course.all_run_since().is_some() {
            self.told.all_run = true;
            story.tell(&format!("all {} pods run", self.course.full_width));
        }
        if second - self.told.figures >= FIGURES_EVERY {
            self.told.figures = second;
            story.tell(&self.figures(&recent));
        }
    }

    /// The last whole seconds before the present one; calls under way count with what they have
    /// taken so far, so that the older of them say more.
    fn recent(&self) -> Vec<LatencyAt> {
        let present = stats::second_of(Instant::now(), self.zero);
        let felt = self.bystander.felt_since(Instant::now() - FELT);
        let mut seconds = stats::by_second(&felt, self.zero);
        seconds.retain(|at| at.second < present);
        let before = seconds.len().saturating_sub(RECENT);
        seconds.split_off(before)
    }

    fn figures(&self, recent: &[LatencyAt]) -> String {
        let fleet = *self.fleet.borrow();
        let server = self.sampler.servers.last().map_or_else(String::new, |at| {
            format!(
                "; API server: {:.2} cores, {:.0} MiB",
                at.cpu_cores, at.rss_mib
            )
        });
        format!(
            "{} of {} let through, {} run; a quiet client waits {}{server}",
            fleet.released,
            self.course.full_width,
            fleet.running,
            millis(felt(recent))
        )
    }
}

/// The slowest median of these seconds, in milliseconds.
fn felt(seconds: &[LatencyAt]) -> f64 {
    seconds.iter().map(|at| at.p50_ms).fold(0.0, f64::max)
}
