//! Watches a rollout from the idle time before it to its end: samples each second, takes in what Weir
//! says, and tells a person what happens.

use std::{future::pending, time::Duration};

use anyhow::{Context, Result, bail};
use kube::Client;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    Patience,
    guard::{Guard, Mark},
    guarded::Sighting,
    joining::Joining,
    looper::Looper,
    outcome::{Course, End},
    sampler::Sampler,
    story::Story,
    track::{Cast, Track},
};
use crate::{
    bystander::{
        Bystander,
        stats::{self, Latency, LatencyAt},
    },
    report::{ApiServer, FoundAt, LoopsUse, SwarmUse, demo::millis, foreseen::ForecastAt},
    world::World,
};

/// A line of figures is told this often when nothing else happens.
const FIGURES_EVERY: f64 = 10.0;
/// Harm is told of once this many whole seconds in a row are harmful, and its end likewise.
const RECENT: usize = 3;
/// Long enough to hold them.
const FELT: Duration = Duration::from_secs(RECENT as u64 + 1);

/// Watches one rollout, and what is beside it.
pub(super) struct Watch<'a> {
    zero: Instant,
    main: Track,
    beside: Option<Track>,
    looper: Option<Looper>,
    joining: Option<Joining<'a>>,
    sampler: Sampler,
    world: &'a World,
    bystander: &'a Bystander,
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

/// What was seen of one workload, once a watch has ended.
pub(super) struct SeenTrack {
    pub(super) course: Course,
    pub(super) findings: Vec<FoundAt>,
    pub(super) forecasts: Vec<ForecastAt>,
    pub(super) swarm: SwarmUse,
}

/// What was seen, once a watch has ended.
pub(super) struct Seen {
    pub(super) main: SeenTrack,
    pub(super) beside: Option<SeenTrack>,
    pub(super) loops: Option<LoopsUse>,
    pub(super) api_server: ApiServer,
    pub(super) completed: Option<Mark>,
}

/// What is watched.
pub(super) struct Watched<'a> {
    pub(super) world: &'a World,
    pub(super) bystander: &'a Bystander,
    pub(super) main: Cast,
    pub(super) beside: Option<Cast>,
    pub(super) looper: Option<Looper>,
    pub(super) admins: Vec<Client>,
}

impl<'a> Watch<'a> {
    /// Begins to watch; the rollout will begin at `zero`.
    pub(super) fn begin(watched: Watched<'a>, zero: Instant) -> Self {
        let mut tasks = JoinSet::new();
        let client = watched.world.client();
        let mut track = |cast| Track::begin(cast, &client, &mut tasks);
        let joins = watched.main.joins;
        let main = track(watched.main);
        let beside = watched.beside.map(track);
        Self {
            zero,
            main,
            beside,
            looper: watched.looper,
            joining: (joins > 0).then(|| Joining::new(watched.world, joins)),
            sampler: Sampler::start(watched.admins),
            world: watched.world,
            bystander: watched.bystander,
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
        guard: Option<&Guard>,
        idle: &Latency,
        patience: Patience,
    ) -> Result<End> {
        let story = Story::begin();
        self.main.roll_out().await?;
        if let Some(beside) = &self.beside {
            beside.roll_out().await?;
        }
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
                    self.loop_beside(story);
                    self.let_join(story);
                    self.tell(story, idle);
                }
                sighting = self.main.next() => self.sight(&sighting, story),
                (sighting, beside) = next(self.beside.as_mut()) => {
                    if let Some(news) = beside.sight(self.zero, &sighting) {
                        story.tell(&format!("beside it, {}: {news}", beside.profile));
                    }
                }
                news = Joining::joined(self.joining.as_mut()) => story.tell(&news?),
                Some(ended) = self.tasks.join_next() => {
                    ended.context("a watch has panicked")??;
                    bail!("a watch has ended");
                }
            }
            if let Some(end) = self.ended(patience) {
                return Ok(end);
            }
        }
    }

    /// How the rollout has ended, once that beside it has too.
    fn ended(&self, patience: Patience) -> Option<End> {
        let now = self.second();
        let end = self.main.course.ended(now, patience)?;
        let beside = self.beside.as_ref();
        let goes_on = beside.is_some_and(|beside| beside.course.ended(now, patience).is_none());
        (!goes_on).then_some(end)
    }

    /// From its completion on the rollout is not in flight any more.
    async fn mark_completion(&mut self, guard: Option<&Guard>) {
        if let (Some(guard), None, Some(_)) = (guard, self.completed, self.main.course.completed())
        {
            self.completed = Some(guard.mark().await);
        }
    }

    /// Ends the watch, and with it the agents.
    pub(super) fn end(self) -> Seen {
        Seen {
            api_server: self.sampler.api_server(),
            loops: self.looper.as_ref().map(Looper::used),
            beside: self.beside.map(|track| {
                let mut seen = seen(track, &self.sampler);
                // The sampler's series is that of the rollout itself.
                seen.swarm.series.clear();
                seen
            }),
            main: seen(self.main, &self.sampler),
            completed: self.completed,
        }
    }

    fn sample(&mut self) -> Result<()> {
        let second = self.second();
        if second >= 0.0 {
            self.main.sample(second);
            if let Some(beside) = &mut self.beside {
                beside.sample(second);
            }
        }
        let counters = self.main.swarm.counters();
        self.sampler
            .sample(second, self.world.api_servers(), &counters)
    }

    /// Lets the other account begin once the rollout is wide enough.
    fn loop_beside(&mut self, story: Story) {
        let (width, second) = (self.main.fleet().released, self.second());
        let looper = self.looper.as_mut();
        if let Some(news) = looper.and_then(|looper| looper.look(width, second)) {
            story.tell(&news);
        }
    }

    /// Lets nodes join once the rollout is over.
    fn let_join(&mut self, story: Story) {
        let second = self.second();
        let (joining, course) = (self.joining.as_mut(), &mut self.main.course);
        if let Some(news) = joining.and_then(|joining| joining.look(second, course)) {
            story.tell(&news);
        }
    }

    /// Takes in what Weir says of this rollout.
    fn sight(&mut self, sighting: &Sighting, story: Story) {
        if let Some(news) = self.main.sight(self.zero, sighting) {
            story.tell(&news);
            self.told.figures = self.second();
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
        if !self.told.all_run && self.main.course.all_run_since().is_some() {
            self.told.all_run = true;
            story.tell(&format!("all {} pods run", self.main.course.full_width));
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
        let fleet = self.main.fleet();
        let server = self.sampler.servers.last().map_or_else(String::new, |at| {
            format!(
                "; API server: {:.2} cores, {:.0} MiB",
                at.cpu_cores, at.rss_mib
            )
        });
        format!(
            "{} of {} let through, {} run; a quiet client waits {}{server}",
            fleet.released,
            self.main.course.full_width,
            fleet.running,
            millis(felt(recent))
        )
    }
}

fn seen(track: Track, sampler: &Sampler) -> SeenTrack {
    SeenTrack {
        swarm: sampler.swarm(&track.swarm.counters()),
        course: track.course,
        findings: track.guarded.findings,
        forecasts: track.guarded.forecasts.series,
    }
}

/// The slowest median of these seconds, in milliseconds.
fn felt(seconds: &[LatencyAt]) -> f64 {
    seconds.iter().map(|at| at.p50_ms).fold(0.0, f64::max)
}

/// What Weir says next of the workload beside, if there is one.
async fn next(track: Option<&mut Track>) -> (Sighting, &mut Track) {
    match track {
        Some(track) => (track.next().await, track),
        None => pending().await,
    }
}
