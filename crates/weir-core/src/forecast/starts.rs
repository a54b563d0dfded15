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
    quantity::{OTHERS_STRAY, Quantity, USUAL_KAPPA, Values},
    student,
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
    /// Execution seconds of the account, where CPU bears them out.
    own: f64,
    /// CPU seconds that it can have cost at most, where requests ran for longer than they cost.
    bounded: f64,
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

    /// Takes in a window in which pods of a wave started, with `width` pods out at its end. `rest` is
    /// the CPU that is used without the account, in cores.
    pub(super) fn add(&mut self, width: u32, seconds: f64, values: &Values, rest: f64) {
        let Some(wave) = &mut self.open else { return };
        let [own, cpu] = [Quantity::Own, Quantity::Cpu].map(|quantity| values.of(quantity));
        wave.seconds += seconds;
        wave.windows += 1;
        wave.pod_seconds += seconds * f64::from(width);
        wave.cpu += seconds * cpu;
        // Requests that run at once share a core, and all of them run for longer than they cost. What
        // others use may have strayed: CPU bounds a start only beyond that.
        let left = (cpu - rest).max(0.0);
        if USUAL_KAPPA * own > left + OTHERS_STRAY * rest {
            wave.bounded += seconds * left;
        } else {
            wave.own += seconds * own;
        }
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

    /// CPU seconds of the account for one pod's start, without the floor; `None` before a wave was seen.
    ///
    /// The first wave alone may be a leader's start: as long as there is no other, the lower end is
    /// none at all. Where others use the account too (it used something before the first pod) that goes for
    /// the first three.
    pub(super) fn cost(&self, running: Running<'_>, kappa: Estimate) -> Option<Estimate> {
        let samples: Vec<Sample> = self
            .waves
            .iter()
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
        let sum = |of: fn(&Wave) -> f64| self.waves.iter().map(of).sum::<f64>();
        let [own, bounded] = [kappa.mid * sum(|wave| wave.own), sum(|wave| wave.bounded)];
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
    /// CPU seconds of the account above what running pods cost.
    fn sample(&self, running: Running<'_>, kappa: f64) -> Sample {
        let all = kappa * self.own + self.bounded;
        let mean_width = self.pod_seconds / self.seconds.max(f64::MIN_POSITIVE);
        let usual = kappa * (running.quiet + running.steady.at(mean_width).mid);
        // A leader's list that comes every other window is in one of them as a whole.
        let windows = f64::from(self.windows.max(1));
        Sample {
            pods: f64::from(self.pods),
            cost: (all - usual * self.seconds).max(0.0),
            strays: kappa * running.strays * self.seconds / windows.sqrt(),
        }
    }

    fn join(&mut self, other: Self) {
        self.pods += other.pods;
        self.seconds += other.seconds;
        self.windows += other.windows;
        self.pod_seconds += other.pod_seconds;
        self.own += other.own;
        self.bounded += other.bounded;
        self.cpu += other.cpu;
    }
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
mod tests {
    use super::*;

    const SURE: Estimate = Estimate {
        low: 0.8,
        mid: 0.8,
        high: 0.8,
    };
    const UNSURE: Estimate = Estimate {
        low: 0.5,
        mid: 0.8,
        high: 1.0,
    };
    const FREE: Cost = Cost::Few {
        seen: 0.0,
        each: 0.0,
        dearest: 0.0,
    };

    const fn beside(steady: &Cost, strays: f64) -> Running<'_> {
        Running {
            steady,
            quiet: 0.0,
            strays,
        }
    }

    /// Waves of so many pods, seen in one window of five seconds each beside 0.2 cores of others.
    fn starts(waves: &[(u32, f64, f64)]) -> Starts {
        let mut starts = Starts::default();
        for (pods, own, cpu) in waves {
            let mut values = Values::default();
            values.set(Quantity::Own, *own);
            values.set(Quantity::Cpu, *cpu);
            starts.begin(*pods);
            starts.add(*pods, 5.0, &values, 0.2);
            starts.end();
        }
        starts
    }

    #[test]
    fn requests_that_have_the_core_to_themselves_cost_their_time_by_kappa() {
        let seen = starts(&[(1, 0.1, 0.28), (2, 0.2, 0.36), (4, 0.4, 0.52)]);
        let cost = seen.cost(beside(&FREE, 0.0), UNSURE).unwrap();
        assert!((cost.mid - 0.4).abs() < 1e-9, "{cost:?}");
        assert!((cost.low - 0.25).abs() < 1e-9, "{cost:?}");
    }

    /// Eight lists of half a CPU second, at once on one core, run for four seconds each.
    #[test]
    fn requests_that_share_the_core_cost_no_more_than_it_gives() {
        let seen = starts(&[(8, 8.0 * 4.0 / 5.0, 1.0); 3]);
        let cost = seen.cost(beside(&FREE, 0.0), UNSURE).unwrap();
        assert!((cost.mid - 0.5).abs() < 1e-9, "{cost:?}");
        assert!(
            cost.low > 0.49,
            "CPU was seen: κ says nothing of it: {cost:?}"
        );
    }

    /// What is used by others strays by more than one pod's start costs.
    #[test]
    fn a_quiet_moment_of_others_makes_no_start_cheap() {
        let seen = starts(&[(1, 0.1, 0.21), (1, 0.1, 0.21)]);
        let cost = seen.cost(beside(&FREE, 0.0), SURE).unwrap();
        assert!((cost.mid - 0.4).abs() < 1e-9, "{cost:?}");
    }

    #[test]
    fn the_first_wave_may_be_a_leader_s() {
        let seen = starts(&[(1, 0.1, 0.28)]);
        let cost = seen.cost(beside(&FREE, 0.0), SURE).unwrap();
        assert!(cost.low <= 0.0 && cost.mid > 0.39, "{cost:?}");
        assert!(starts(&[]).cost(beside(&FREE, 0.0), SURE).is_none());
    }

    #[test]
    fn what_running_pods_cost_is_no_start() {
        let running = Cost::Few {
            seen: 0.1,
            each: 0.1,
            dearest: 0.1,
        };
        let seen = starts(&[(1, 0.2, 0.36), (1, 0.2, 0.36)]);
        let cost = seen.cost(beside(&running, 0.0), SURE).unwrap();
        assert!((cost.mid - 0.4).abs() < 1e-9, "{cost:?}");
    }

    /// A leader lists every ten seconds; the windows of five in which others start hold all of a list, or
    /// nothing of it.
    #[test]
    fn a_list_that_runs_beside_a_start_is_not_taken_for_it() {
        let leader = Cost::Few {
            seen: 0.05,
            each: 0.05,
            dearest: 0.05,
        };
        let seen = starts(&[(1, 0.1, 0.28), (1, 0.1, 0.28)]);
        let calm = seen.cost(beside(&leader, 0.0), SURE).unwrap();
        assert!(calm.low > 0.0, "{calm:?}");
        let beside_lists = seen.cost(beside(&leader, 0.12), SURE).unwrap();
        assert!(
            beside_lists.low <= 0.0 && beside_lists.mid > 0.1,
            "{beside_lists:?}"
        );
    }
}
