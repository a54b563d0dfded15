//! What the start of pods costs, wave by wave, above what running pods cost.
//!
//! ```text
//!  pods let through ──┐                 ┌── nothing starts any more
//!  windows   │  clean  │ start │ start │  clean  │
//!                      └── one wave ───┘
//! ```

use serde::{Deserialize, Serialize};

use super::{
    cost::Cost,
    estimate::Estimate,
    quantity::{OTHERS_STRAY, Quantity, RECALLED_SPREAD, USUAL_KAPPA, Values},
    student,
};

/// Waves kept apart; the last two of more are added up.
const MAX_WAVES: usize = 32;

/// Waves whose start may be an accident where others use the account too.
const WAVES_IF_SHARED: usize = 3;

/// CPU seconds that a pod costs the API servers from its placing to its being ready, whatever runs in
/// it (measured elsewhere: 0.11 for a pod's whole life; reference, control-plane, section 7).
const USUAL_START: f64 = 0.1;

/// So many pods must have started to say as much as what is usual.
const USUAL_PODS: f64 = 4.0;

/// What the account's running pods cost meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running<'a> {
    /// By width, in execution seconds per second.
    pub(super) steady: &'a Cost,
    /// What the account used before the first pod.
    pub(super) quiet: f64,
    /// How far single windows stray from these, to each side.
    pub(super) strays: f64,
}

/// What goes on beside a start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    /// CPU that is used without the account, in cores.
    pub(super) cores: f64,
    /// Whether the account's requests are counted.
    pub(super) is_metered: bool,
}

/// One wave's start, or all of it so far.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Wave {
    /// Pods that started.
    pods: u32,
    /// How long it was looked at, in seconds, and in how many windows.
    seconds: f64,
    windows: u32,
    /// Pods that ran meanwhile, times seconds.
    pod_seconds: f64,
    /// Execution seconds of the account.
    own: f64,
    /// CPU seconds of all API servers.
    cpu: f64,
    /// CPU seconds that are used without the account.
    rest: f64,
    /// Windows of these in which nothing counted the account's requests.
    unmetered: u32,
    /// Only CPU seconds of the account, above what running pods cost, are on record.
    is_recalled: bool,
}

/// The waves of a rollout.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Starts {
    waves: Vec<Wave>,
    open: Option<Wave>,
}

impl Starts {
    /// Takes back what is on record of one pod's start: CPU seconds of the account, and by how many waves
    /// that was told. No more is known afterwards than before: one wave may still be a leader's.
    pub(super) fn recall(&mut self, cpu: f64, waves: u32) {
        let wave = Wave {
            pods: 1,
            cpu,
            is_recalled: true,
            ..Wave::default()
        };
        // What is seen later is never added to one of these.
        let most = MAX_WAVES - 1;
        let waves = usize::try_from(waves).unwrap_or(most).min(most);
        self.waves.extend(std::iter::repeat_n(wave, waves));
    }

    /// Waves that tell what a start costs the account.
    pub(super) fn seen(&self) -> u32 {
        u32::try_from(self.metered().count()).unwrap_or(u32::MAX)
    }

    fn metered(&self) -> impl Iterator<Item = &Wave> {
        self.waves.iter().filter(|wave| wave.unmetered == 0)
    }

    /// So many more pods were let through.
    pub(super) fn begin(&mut self, pods: u32) {
        if pods == 0 {
            return;
        }
        self.open.get_or_insert_default().pods += pods;
    }

    /// Takes in a window in which pods of a wave started, with `width` pods out at its end. `rest` is
    /// the CPU that is used without the account, in cores.
    pub(super) fn add(&mut self, width: u32, seconds: f64, values: &Values, rest: Rest) {
        let Some(wave) = &mut self.open else { return };
        wave.seconds += seconds;
        wave.windows += 1;
        wave.pod_seconds += seconds * f64::from(width);
        wave.own += seconds * values.of(Quantity::Own);
        wave.cpu += seconds * values.of(Quantity::Cpu);
        wave.rest += seconds * rest.cores;
        wave.unmetered += u32::from(!rest.is_metered);
    }

    /// Nothing starts any more. A wave of which no window was seen tells nothing, and its pods are none
    /// of the next.
    pub(super) fn end(&mut self) {
        let Some(wave) = self.open.take().filter(|wave| wave.windows > 0) else {
            return;
        };
        let is_full = self.waves.len() >= MAX_WAVES;
        match self.waves.last_mut().filter(|_| is_full) {
            Some(last) if wave.unmetered == 0 => last.join(wave),
            Some(_) => {}
            None => self.waves.push(wave),
        }
    }

    /// CPU seconds of the account for one pod's start, without the floor; `None` before a wave was seen.
    ///
    /// The first wave alone may be a leader's start: as long as there is no other, the lower end is
    /// none at all. Where others use the account too (it used something before the first pod) that goes for
    /// the first three.
    pub(super) fn cost(&self, running: Running<'_>, kappa: Estimate) -> Option<Estimate> {
        let samples: Vec<Sample> = self
            .metered()
            .map(|wave| wave.sample(running, kappa.mid))
            .collect();
        let all = mean(&samples)?;
        let uncertain = if running.quiet > 0.0 {
            WAVES_IF_SHARED
        } else {
            1
        };
        let later = samples.get(uncertain..).unwrap_or_default();
        let low = match mean(later) {
            None => 0.0,
            Some(mean) => Estimate::around((mean, reach(later, mean))).low,
        };
        let estimate = Estimate::around((all, reach(&samples, all)));
        let seen = Estimate {
            low: low.min(estimate.mid),
            ..estimate
        };
        Some(seen.times_independent(self.converted(kappa)))
    }

    /// By what factor a start's cost may be off because κ is: only what was converted by it.
    fn converted(&self, kappa: Estimate) -> Estimate {
        let of = |wave: &Wave| wave.cost(kappa.mid);
        let (own, bounded) = self.metered().map(of).fold((0.0, 0.0), |sums, cost| {
            let (own, bounded) = sums;
            match cost {
                Told::ByTime(cores) => (own + cores, bounded),
                Told::ByCpu(cores) => (own, bounded + cores),
            }
        });
        let share = if bounded > 0.0 {
            own / (own + bounded)
        } else {
            1.0
        };
        kappa.map(|factor| 1.0 + share * (factor / kappa.mid - 1.0))
    }

    /// CPU seconds of all API servers for one pod's start, whoever asked for them: the scheduler and
    /// the kubelet too. `base` is what is used without the rollout, and each pod out adds `each`.
    ///
    /// What one pod's start adds is lost in what else goes on. So what is usual counts as if some pods
    /// had shown it, and matters less the more pods have started.
    pub(super) fn by_all(&self, base: f64, each: f64) -> f64 {
        let seen = || self.waves.iter().filter(|wave| !wave.is_recalled);
        let sum = |of: fn(&Wave) -> f64| seen().map(of).sum::<f64>();
        let pods = sum(|wave| f64::from(wave.pods));
        let [seconds, pod_seconds] = [sum(|wave| wave.seconds), sum(|wave| wave.pod_seconds)];
        let excess = sum(|wave| wave.cpu) - base * seconds - each * pod_seconds;
        (USUAL_START * USUAL_PODS + excess.max(0.0)) / (USUAL_PODS + pods)
    }
}

impl Wave {
    /// CPU seconds of the account, those of running pods included.
    ///
    /// Requests that run at once share a core, and all of them run for longer than they cost; so they cost
    /// no more than the CPU that was used beyond others'. Others may have strayed: CPU bounds a start only
    /// beyond that. A wave is looked at as a whole, since requests are counted when they end, and CPU when
    /// it is used.
    fn cost(&self, kappa: f64) -> Told {
        if self.is_recalled {
            return Told::ByCpu(self.cpu);
        }
        let (by_time, left) = (kappa * self.own, (self.cpu - self.rest).max(0.0));
        if USUAL_KAPPA * self.own > left + OTHERS_STRAY * self.rest {
            Told::ByCpu(left)
        } else {
            Told::ByTime(by_time)
        }
    }

    /// CPU seconds of the account above what running pods cost.
    fn sample(&self, running: Running<'_>, kappa: f64) -> Sample {
        let (Told::ByTime(all) | Told::ByCpu(all)) = self.cost(kappa);
        let mean_width = self.pod_seconds / self.seconds.max(f64::MIN_POSITIVE);
        let usual = kappa * (running.quiet + running.steady.at(mean_width).mid);
        // A leader's list that comes every other window is in one of them as a whole.
        let windows = f64::from(self.windows.max(1));
        let strays = if self.is_recalled {
            RECALLED_SPREAD * all
        } else {
            kappa * running.strays * self.seconds / windows.sqrt()
        };
        Sample {
            pods: f64::from(self.pods),
            cost: (all - usual * self.seconds).max(0.0),
            strays,
        }
    }

    fn join(&mut self, other: Self) {
        self.pods += other.pods;
        self.seconds += other.seconds;
        self.windows += other.windows;
        self.pod_seconds += other.pod_seconds;
        self.own += other.own;
        self.cpu += other.cpu;
        self.rest += other.rest;
        self.unmetered += other.unmetered;
    }
}

/// CPU seconds, and what tells them.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// How long requests ran, by κ.
    ByTime(f64),
    /// The CPU that was used meanwhile.
    ByCpu(f64),
}

/// What one wave says.
#[derive(Debug, Clone, Copy)]
struct Sample {
    pods: f64,
    /// CPU seconds of all their starts.
    cost: f64,
    /// By how much of that running pods may have strayed from what is usual.
    strays: f64,
}

/// The mean for one pod.
fn mean(waves: &[Sample]) -> Option<f64> {
    let pods: f64 = waves.iter().map(|wave| wave.pods).sum();
    let cost: f64 = waves.iter().map(|wave| wave.cost).sum();
    (pods > 0.0).then(|| cost / pods)
}

/// How far the 95 % interval of the mean of waves reaches to each side: by how much they differ, and by
/// how much what ran beside them strays. One wave says no more than within a half.
fn reach(waves: &[Sample], mean: f64) -> f64 {
    let pods: f64 = waves.iter().map(|wave| wave.pods).sum();
    let strays: f64 = waves.iter().map(|wave| wave.strays.powi(2)).sum();
    let differ = match waves.len().checked_sub(1) {
        None | Some(0) => mean / 2.0,
        Some(degrees) => {
            let spread = |wave: &Sample| wave.pods * (wave.cost / wave.pods - mean).powi(2);
            let spread: f64 = waves.iter().map(spread).sum();
            student::quantile(degrees) * (spread / degrees as f64 / pods).sqrt()
        }
    };
    differ.hypot(strays.sqrt() / pods)
}

#[cfg(test)]
mod tests;
