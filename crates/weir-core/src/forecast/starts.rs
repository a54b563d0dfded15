//! What the start of pods costs, wave by wave, above what running pods cost.
//!
//! ```text
//!  pods let through ──┐                 ┌── nothing starts any more
//!  windows   │  clean  │ start │ start │  clean  │
//!                      └── one wave ───┘
//! ```

use serde::{Deserialize, Serialize};

use super::{
    cost::{Cost, around},
    quantity::{Quantity, Values},
    student,
    told::Estimate,
};

/// Waves kept apart; the last two of more are added up.
const MAX_WAVES: usize = 32;

/// Waves whose start may be an accident where others use the account too.
const WAVES_IF_SHARED: usize = 3;

/// As few waves as tell a start from a leader's, with an interval.
const WAVES_RECALLED: usize = 5;

/// CPU seconds that a pod costs the API servers from its placing to its being ready, whatever runs in
/// it (measured elsewhere: 0.11 for a pod's whole life; reference, control-plane, section 7).
const USUAL_START: f64 = 0.1;

/// So many pods must have started to say as much as what is usual.
const USUAL_PODS: f64 = 4.0;

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
    /// Execution seconds of the account, as far as CPU bears them out.
    own: f64,
    /// CPU seconds of all API servers.
    cpu: f64,
    /// Only the account's part is on record.
    is_recalled: bool,
}

/// The waves of a rollout.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Starts {
    waves: Vec<Wave>,
    open: Option<Wave>,
}

impl Starts {
    /// Takes back what is on record of one pod's start, as if waves had shown it alike.
    pub(super) fn recall(&mut self, own: f64) {
        let wave = Wave {
            pods: 1,
            own,
            is_recalled: true,
            ..Wave::default()
        };
        self.waves.extend([wave; WAVES_RECALLED]);
    }

    /// So many more pods were let through.
    pub(super) fn begin(&mut self, pods: u32) {
        if pods == 0 {
            return;
        }
        self.open.get_or_insert_default().pods += pods;
    }

    /// Takes in a window in which pods of a wave started, with `width` pods out at its end. `spare` is
    /// the CPU that is used without the rollout, in cores.
    pub(super) fn add(&mut self, width: u32, seconds: f64, values: &Values, spare: f64) {
        let Some(wave) = &mut self.open else { return };
        let cpu = values.of(Quantity::Cpu);
        // While the CPU is short of supply requests run for longer than they cost.
        let own = values.of(Quantity::Own).min((cpu - spare).max(0.0));
        wave.seconds += seconds;
        wave.windows += 1;
        wave.pod_seconds += seconds * f64::from(width);
        wave.own += seconds * own;
        wave.cpu += seconds * cpu;
    }

    /// Nothing starts any more.
    pub(super) fn end(&mut self) {
        let Some(wave) = self.open.take_if(|wave| wave.windows > 0) else {
            return;
        };
        let is_full = self.waves.len() >= MAX_WAVES;
        match self.waves.last_mut().filter(|_| is_full) {
            Some(last) => last.join(wave),
            None => self.waves.push(wave),
        }
    }

    /// Execution seconds of the account for one pod's start; `None` before a wave was seen.
    ///
    /// The first wave alone may be a leader's start: as long as there is no other, the lower end is
    /// none at all. Where others use the account too (`quiet` is what it used before the first pod) that
    /// goes for the first three.
    pub(super) fn own(&self, steady: &Cost, quiet: f64) -> Option<Estimate> {
        let samples: Vec<(f64, f64)> = self
            .waves
            .iter()
            .map(|wave| (f64::from(wave.pods), wave.excess(steady, quiet)))
            .collect();
        let all = mean(&samples)?;
        let uncertain = if quiet > 0.0 { WAVES_IF_SHARED } else { 1 };
        let later = samples.get(uncertain..).unwrap_or_default();
        let low = match mean(later) {
            None => 0.0,
            Some(mean) => around((mean, reach(later, mean))).low,
        };
        let estimate = around((all, reach(&samples, all)));
        Some(Estimate {
            low: low.min(estimate.mid),
            ..estimate
        })
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
    /// Execution seconds above what running pods cost.
    fn excess(&self, steady: &Cost, quiet: f64) -> f64 {
        if self.seconds <= 0.0 {
            return self.own;
        }
        let mean_width = self.pod_seconds / self.seconds;
        let running = steady.at(mean_width).mid;
        (self.own - (quiet + running) * self.seconds).max(0.0)
    }

    fn join(&mut self, other: Self) {
        self.pods += other.pods;
        self.seconds += other.seconds;
        self.windows += other.windows;
        self.pod_seconds += other.pod_seconds;
        self.own += other.own;
        self.cpu += other.cpu;
    }
}

/// The mean for one pod of waves of so many pods and so much cost.
fn mean(waves: &[(f64, f64)]) -> Option<f64> {
    let pods: f64 = waves.iter().map(|(pods, _)| pods).sum();
    let cost: f64 = waves.iter().map(|(_, cost)| cost).sum();
    (pods > 0.0).then(|| cost / pods)
}

/// How far the 95 % interval of the mean of waves reaches to each side. One wave says no more than
/// within a half.
fn reach(waves: &[(f64, f64)], mean: f64) -> f64 {
    let Some(degrees) = waves.len().checked_sub(1).filter(|degrees| *degrees > 0) else {
        return mean / 2.0;
    };
    let pods: f64 = waves.iter().map(|(pods, _)| pods).sum();
    let spread: f64 = waves
        .iter()
        .map(|(pods, cost)| pods * (cost / pods - mean).powi(2))
        .sum();
    student::quantile(degrees) * (spread / degrees as f64 / pods).sqrt()
}
