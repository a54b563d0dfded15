//! Reads each second what the API servers and the swarm use, and turns it into series.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use kube::Client;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    report::{ApiServer, ApiServerAt, SwarmAt, SwarmUse},
    swarm::{Counters, Counts},
    world::Program,
};

/// How often the servers' own metrics are read: as often as Weir does, since a page costs them tens of
/// milliseconds.
const METRICS_EVERY: Duration = Duration::from_secs(5);
/// What counts requests by their answer's code. Refusals by Priority and Fairness are counted here too.
const REQUESTS: &str = "apiserver_request_total{";
const REJECTED: &str = "code=\"429\"";
/// Evictions are refused with the same code, by disruption budgets.
const EVICTION: &str = "subresource=\"eviction\"";

const MIB: f64 = 1024.0 * 1024.0;

/// Series of what is used, a point for each call of [`Sampler::sample`].
pub(super) struct Sampler {
    rejections: Rejections,
    rejected_at_first: Option<u64>,
    rejected_so_far: u64,
    cpu_before: Option<(f64, f64)>,
    counts_before: Counts,
    pub(super) servers: Vec<ApiServerAt>,
    pub(super) agents: Vec<SwarmAt>,
}

impl Sampler {
    pub(super) fn start(clients: Vec<Client>) -> Self {
        Self {
            rejections: Rejections::follow(clients),
            rejected_at_first: None,
            rejected_so_far: 0,
            cpu_before: None,
            counts_before: Counts::default(),
            servers: vec![],
            agents: vec![],
        }
    }

    /// Adds a point at `second`.
    pub(super) fn sample(
        &mut self,
        second: f64,
        servers: &[Program],
        counters: &Counters,
    ) -> Result<()> {
        let sum =
            |value: fn(&Program) -> Result<f64>| servers.iter().map(value).sum::<Result<f64>>();
        let cpu = sum(Program::cpu_seconds)?;
        let rss = sum(|server| Ok(server.resident_bytes()? as f64))?;
        let cpu_cores = match self.cpu_before.replace((second, cpu)) {
            Some((then, before)) if second > then => (cpu - before) / (second - then),
            Some(_) | None => 0.0,
        };
        let rejected = self
            .rejections
            .latest
            .has_changed()
            .unwrap_or(false)
            .then(|| {
                let now = *self.rejections.latest.borrow_and_update();
                self.rejected_since(now)
            });
        self.servers.push(ApiServerAt {
            second: round(second, 10.0),
            // A restarted server counts its processor time anew.
            cpu_cores: round(cpu_cores.max(0.0), 100.0),
            rss_mib: round(rss / MIB, 10.0),
            rejected,
        });
        self.sample_agents(second, counters.now());
        Ok(())
    }

    fn rejected_since(&mut self, now: u64) -> u64 {
        let first = *self.rejected_at_first.get_or_insert(now);
        let so_far = now.saturating_sub(first);
        so_far - std::mem::replace(&mut self.rejected_so_far, so_far).min(so_far)
    }

    fn sample_agents(&mut self, second: f64, now: Counts) {
        let before = std::mem::replace(&mut self.counts_before, now);
        self.agents.push(SwarmAt {
            second: round(second, 10.0),
            agents: now.agents,
            watches: now.watches,
            requests: now.requests - before.requests,
            answered: now.answered - before.answered,
            rejected: now.refused - before.refused,
            errors: now.errors - before.errors,
            bytes: now.bytes - before.bytes,
        });
    }

    /// What the API servers used from the rollout's start on.
    pub(super) fn api_server(&self) -> ApiServer {
        let most = |value: fn(&ApiServerAt) -> f64| {
            let during = self.servers.iter().filter(|at| at.second >= 0.0);
            during.map(value).fold(0.0, f64::max)
        };
        ApiServer {
            peak_cpu_cores: most(|at| at.cpu_cores),
            peak_rss_mib: most(|at| at.rss_mib),
            rejected: self
                .servers
                .iter()
                .filter(|at| at.second >= 0.0)
                .filter_map(|at| at.rejected)
                .sum(),
            series: self.servers.clone(),
        }
    }

    /// What the agents did.
    pub(super) fn swarm(&self, counters: &Counters) -> SwarmUse {
        let total = counters.now();
        SwarmUse {
            requests: total.requests,
            answered: total.answered,
            rejected: total.refused,
            errors: total.errors,
            bytes: total.bytes,
            failures: counters.kinds(),
            series: self.agents.clone(),
        }
    }
}

/// Follows how many requests the API servers have refused, from their own metrics.
struct Rejections {
    latest: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Rejections {
    fn follow(clients: Vec<Client>) -> Self {
        let (tell, latest) = watch::channel(0);
        let clients = Arc::new(clients);
        let task = tokio::spawn(async move {
            let mut ticks = interval(METRICS_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                // A server that does not answer in time leaves the second without a reading.
                if let Ok(Some(rejected)) = timeout(METRICS_EVERY, read(&clients)).await {
                    tell.send_replace(rejected);
                }
            }
        });
        Self { latest, task }
    }
}

impl Drop for Rejections {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(clients: &[Client]) -> Option<u64> {
    let mut rejected = 0;
    for client in clients {
        let request = http::Request::get("/metrics").body(Vec::new()).ok()?;
        rejected += rejections(&client.request_text(request).await.ok()?);
    }
    Some(rejected)
}

fn rejections(page: &str) -> u64 {
    let values = page
        .lines()
        .filter(|line| line.starts_with(REQUESTS) && line.contains(REJECTED))
        .filter(|line| !line.contains(EVICTION))
        .filter_map(|line| {
            let value: f64 = line.rsplit(' ').next()?.parse().ok()?;
            Some(value)
        });
    let sum: f64 = values.sum();
    // Counters are whole and far below 2^53.
    format!("{sum:.0}").parse().unwrap_or_default()
}

pub(super) fn round(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_summed_whatever_was_refused() {
        let page = "# TYPE apiserver_request_total counter\n\
            apiserver_request_total{code=\"200\",resource=\"pods\",verb=\"LIST\"} 7\n\
            apiserver_request_total{code=\"429\",resource=\"pods\",verb=\"LIST\"} 12\n\
            apiserver_request_total{code=\"429\",resource=\"nodes\",verb=\"GET\"} 1.5e+03\n\
            apiserver_request_total{code=\"429\",resource=\"pods\",subresource=\"eviction\"} 9\n\
            apiserver_request_totals{code=\"429\"} 7\n";
        assert_eq!(rejections(page), 1512);
        assert_eq!(rejections(""), 0);
    }

    #[tokio::test]
    async fn refusals_before_the_first_reading_are_nobodys() {
        let mut sampler = Sampler::start(vec![]);
        assert_eq!(sampler.rejected_since(100), 0);
        assert_eq!(sampler.rejected_since(103), 3);
        assert_eq!(sampler.rejected_since(103), 0);
        // A restarted server counts anew; nothing negative comes of it.
        assert_eq!(sampler.rejected_since(1), 0);
    }

    #[tokio::test]
    async fn agents_are_counted_by_the_second() {
        let mut sampler = Sampler::start(vec![]);
        let counts = |requests, bytes| Counts {
            requests,
            bytes,
            agents: 2,
            ..Counts::default()
        };
        sampler.sample_agents(1.0, counts(10, 1000));
        sampler.sample_agents(2.0, counts(25, 1000));
        let series: Vec<_> = sampler
            .agents
            .iter()
            .map(|at| (at.agents, at.requests, at.bytes))
            .collect();
        assert_eq!(series, [(2, 10, 1000), (2, 15, 0)]);
    }
}
