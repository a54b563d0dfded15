//! How often API servers are asked: from whether a rollout is in flight, and how many servers there
//! are, to the core's `Cadence`.

use std::time::Duration;

use tokio::sync::watch;
use weir_core::{
    servers::{Cadence, ProbeKind},
    time::Span,
};

use crate::clock::Clock;

/// How long a probe may take. Ten times what counts as a regressed median; beyond it more waiting
/// tells nothing more.
pub(super) const PROBE_TIMEOUT: Span = Span::from_secs(5);
/// How long a page may take that cost little so far: it must be done before the next is due.
const SCRAPE_TIMEOUT: Span = Span::from_secs(4);
/// Between pages where nothing is decided by them: no rollout is in flight, or this Weir does not
/// lead.
const IDLE_SCRAPE_EVERY: Span = Span::from_secs(60);

/// Bytes of pages a second, from each server. In flight that is 80 MiB every five seconds, or one of
/// 480 MiB in half a minute: an eighth of a gigabit link.
const BYTES_PER_SECOND: u64 = 16 << 20;
/// The same where nothing is decided by them: as much as a Prometheus that reads 120 MiB every half a
/// minute.
const IDLE_BYTES_PER_SECOND: u64 = 4 << 20;

/// Between probes of one server, idle.
const IDLE_PROBE_EVERY: Span = Span::from_secs(10);
/// The share of that which each server takes: at most one probe in two seconds, all together.
const IDLE_PROBE_SHARE: u64 = 2;

/// Whether anything is at stake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// No rollout is in flight: next to nothing is asked.
    #[default]
    Idle,
    /// A rollout is in flight: a probe a second, a page every five.
    InFlight,
}

/// How often, and with what, servers are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tempo {
    pub(super) pace: Pace,
    /// Only the leader writes, and reads pages often: several Weirs would be the load that they
    /// measure.
    pub(super) leading: bool,
    pub(super) servers: usize,
    /// The most servers that a policy says there are; 0 if none says.
    pub(super) stated: u32,
    /// There are more servers than addresses: a balancer chooses which one answers.
    pub(super) balanced: bool,
}

impl Tempo {
    /// Takes in how many addresses there are, and how many servers renew a Lease. Where there are no
    /// Leases, or none that may be read, what a policy states is all there is to go by: over one
    /// connection all but one of the servers would never be met.
    pub(super) fn found(&mut self, addresses: usize, leases: Option<u32>) {
        self.servers = addresses;
        self.balanced = leases.unwrap_or(0).max(self.stated) as usize > addresses;
    }

    pub(super) fn cadence(self) -> Cadence {
        let probe_every = match self.pace {
            Pace::Idle => {
                let share = Span::from_secs(IDLE_PROBE_SHARE.saturating_mul(self.servers as u64));
                share.max(IDLE_PROBE_EVERY)
            }
            Pace::InFlight => Span::from_secs(1),
        };
        let (scrape_every, page_bytes_per_second) = match self.pace {
            Pace::InFlight if self.leading => (Span::from_secs(5), BYTES_PER_SECOND),
            Pace::InFlight | Pace::Idle => (IDLE_SCRAPE_EVERY, IDLE_BYTES_PER_SECOND),
        };
        Cadence {
            probe_every,
            probe_timeout: PROBE_TIMEOUT,
            scrape_every,
            scrape_timeout: SCRAPE_TIMEOUT,
            page_bytes_per_second,
        }
    }

    /// The kinds of probes that take turns.
    pub(super) const fn kinds(self) -> &'static [ProbeKind] {
        match self.pace {
            Pace::InFlight if self.leading => &[ProbeKind::Get, ProbeKind::List, ProbeKind::Write],
            Pace::InFlight | Pace::Idle => &[ProbeKind::Get, ProbeKind::List],
        }
    }
}

/// Half as long to half as long again, as long on average. After each such rest every phase of a load
/// that comes that often is as likely as any other, so that probes see what a client sees that asks at
/// any time.
pub(super) fn uneven(rest: Duration) -> Duration {
    rest.mul_f64(0.5 + fastrand::f64())
}

/// Waits, or less if the pace changes: a rollout that takes off is not kept waiting.
pub(super) async fn rest(tempo: &mut watch::Receiver<Tempo>, pace: Pace, at_most: Duration) {
    let other_pace = async {
        if tempo.wait_for(|tempo| tempo.pace != pace).await.is_err() {
            // Nobody is left who could change it.
            std::future::pending::<()>().await;
        }
    };
    drop(tokio::time::timeout(at_most, other_pace).await);
}

/// Waits until what `due` says of the present tempo, by the clock's elapsed time.
pub(super) async fn until(
    tempo: &mut watch::Receiver<Tempo>,
    clock: Clock,
    due: impl Fn(Tempo) -> Duration,
) {
    loop {
        let now = *tempo.borrow_and_update();
        let left = due(now).saturating_sub(clock.elapsed());
        if left.is_zero() {
            return;
        }
        if let Ok(Err(_)) = tokio::time::timeout(left, tempo.changed()).await {
            // Nobody is left who could change it.
            tokio::time::sleep(left).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tempo(pace: Pace, servers: usize) -> Tempo {
        Tempo {
            pace,
            leading: true,
            servers,
            stated: 0,
            balanced: false,
        }
    }

    #[test]
    fn idle_probes_are_at_most_half_a_request_a_second_however_many_servers() {
        for servers in [1, 3, 5, 9, 100] {
            let every = tempo(Pace::Idle, servers)
                .cadence()
                .probe_every
                .as_secs_f64();
            assert!(
                every >= 10.0 && servers as f64 / every <= 0.5,
                "{servers}: {every}"
            );
        }
    }

    #[test]
    fn more_servers_than_addresses_are_behind_a_balancer_whoever_counts_them() {
        let cases = [
            // addresses, Leases, stated
            (1, None, 0, false),
            (1, Some(1), 0, false),
            (1, Some(3), 0, true),
            (1, None, 3, true),
            (1, Some(0), 3, true),
            (3, Some(3), 2, false),
            (3, None, 3, false),
        ];
        for (addresses, leases, stated, balanced) in cases {
            let mut tempo = Tempo {
                stated,
                ..tempo(Pace::InFlight, 0)
            };
            tempo.found(addresses, leases);
            assert_eq!(
                tempo.balanced, balanced,
                "{addresses}, {leases:?}, {stated}"
            );
        }
    }

    #[test]
    fn a_replica_that_does_not_lead_reads_pages_at_the_idle_pace() {
        let leader = tempo(Pace::InFlight, 3).cadence();
        let follower = Tempo {
            leading: false,
            ..tempo(Pace::InFlight, 3)
        };
        let (follower, idle) = (follower.cadence(), tempo(Pace::Idle, 3).cadence());
        let pages = |cadence: Cadence| (cadence.scrape_every, cadence.page_bytes_per_second);
        assert_eq!(pages(follower), pages(idle));
        assert!(pages(leader).0 < pages(idle).0);
        assert_eq!(follower.probe_every, leader.probe_every);
    }

    #[test]
    fn uneven_rests_keep_step_with_nothing() {
        const RESTS: u32 = 10_000;
        fastrand::seed(1);
        let mut met = [0_u32; 10];
        let mut time = Duration::ZERO;
        for _ in 0..RESTS {
            let rest = uneven(Duration::from_secs(1));
            assert!((500..=1500).contains(&rest.as_millis()), "{rest:?}");
            time += rest;
            met[time.subsec_millis() as usize / 100] += 1;
        }
        assert!(
            (time.as_secs_f64() / f64::from(RESTS) - 1.0).abs() < 0.02,
            "{time:?}"
        );
        assert!(met.iter().all(|met| (900..1100).contains(met)), "{met:?}");
    }

    #[test]
    fn only_a_leader_with_a_rollout_in_flight_writes() {
        assert!(tempo(Pace::InFlight, 1).kinds().contains(&ProbeKind::Write));
        assert!(!tempo(Pace::Idle, 1).kinds().contains(&ProbeKind::Write));
        let follower = Tempo {
            leading: false,
            ..tempo(Pace::InFlight, 1)
        };
        assert!(!follower.kinds().contains(&ProbeKind::Write));
    }
}
