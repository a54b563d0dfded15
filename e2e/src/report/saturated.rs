//! What an unguarded rollout proves of a forecast: how many pods the API servers can bear, by what they
//! answered when they had nothing left.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Report, WidthAt};

/// The start of the last pods is over after this many seconds.
const SETTLES: f64 = 10.0;
/// What is watched for less says nothing of calls that take seconds.
const LEAST: f64 = 15.0;
/// From this many cores on, all of the one that API servers share is in use.
const USED_UP: f64 = 0.9;
/// The share of all pods whose start is waited for.
const NEARLY_ALL: f64 = 0.95;

/// What API servers bear.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Borne {
    /// Calls of the agents that were answered each second, while nothing was left.
    pub answered_per_second: f64,
    /// Calls that one agent asks each second.
    pub asked_per_second: f64,
    /// So many agents they can answer.
    pub pods: f64,
    /// How long that was watched, in seconds.
    pub seconds: f64,
}

/// What API servers bear of these agents; none where they ask nothing again and again, or the core was
/// not used up by those that started.
#[must_use]
pub fn borne(report: &Report) -> Option<Borne> {
    let asked_per_second = report.asks_per_second?;
    let from = all_started(report)? + SETTLES;
    let series = &report.swarm.series;
    let within: Vec<_> = series.iter().filter(|at| at.second >= from).collect();
    let (first, rest) = within.split_first()?;
    let seconds = rest.last()?.second - first.second;
    let servers = report.api_server.series.iter();
    let cores: Vec<f64> = servers
        .filter(|at| at.second >= from)
        .map(|at| at.cpu_cores)
        .collect();
    let mean = cores.iter().sum::<f64>() / cores.len().max(1) as f64;
    if seconds < LEAST || mean < USED_UP {
        return None;
    }
    // What a point counts came since the one before it.
    let answered: u64 = rest.iter().map(|at| at.answered).sum();
    let answered_per_second = answered as f64 / seconds;
    Some(Borne {
        answered_per_second,
        asked_per_second,
        pods: answered_per_second / asked_per_second,
        seconds,
    })
}

/// When nearly all pods that ever ran were running: a drowned control plane does not start them all, and
/// starts the last ones by and by.
fn all_started(report: &Report) -> Option<f64> {
    let most = report.width.iter().map(|at| at.running).max()?;
    let nearly = |at: &&WidthAt| f64::from(at.running) >= NEARLY_ALL * f64::from(most);
    let first = report.width.iter().find(nearly)?;
    (most > 0).then_some(first.second)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::report::{ApiServerAt, State, SwarmAt, tests::report};

    /// So many pods run from that second on, and half of them before.
    fn running_from(second: f64, running: u32) -> Vec<WidthAt> {
        let at = |second, running| WidthAt {
            second,
            width: 200,
            running,
        };
        vec![at(0.0, running / 2), at(second, running)]
    }

    /// A run without Weir, all of whose 200 agents ask every ten seconds from second 20 on, on an API
    /// server that answers so many of them each second.
    pub(crate) fn drowned(answered: u64) -> Report {
        let mut run = report("pod-lister", false, State::Complete);
        run.width = running_from(20.0, 200);
        run.seconds_to_complete = Some(20.0);
        run.asks_per_second = Some(0.1);
        let seconds = || (0..70_u32).map(f64::from);
        run.swarm.series = seconds()
            .map(|second| SwarmAt {
                second,
                agents: 200,
                watches: 0,
                requests: 20,
                answered: if second < 25.0 { 50 } else { answered },
                rejected: 0,
                errors: 0,
                bytes: 0,
            })
            .collect();
        run.api_server.series = seconds()
            .map(|second| ApiServerAt {
                second,
                cpu_cores: 0.98,
                rss_mib: 900.0,
                rejected: None,
            })
            .collect();
        run
    }

    #[test]
    fn as_many_are_borne_as_are_answered() {
        let borne = borne(&drowned(2)).expect("it drowned");
        assert!((borne.pods - 20.0).abs() < 0.01, "{borne:?}");
        assert!((borne.seconds - 39.0).abs() < 0.01, "{borne:?}");
    }

    #[test]
    fn a_server_that_had_something_left_and_agents_that_ask_once_prove_nothing() {
        let mut calm = drowned(20);
        for at in &mut calm.api_server.series {
            at.cpu_cores = 0.5;
        }
        assert_eq!(borne(&calm), None);
        let mut once = drowned(2);
        once.asks_per_second = None;
        assert_eq!(borne(&once), None);
        let mut short = drowned(2);
        short.width = running_from(50.0, 200);
        assert_eq!(borne(&short), None);
    }

    #[test]
    fn a_control_plane_that_cannot_start_all_pods_proves_as_much() {
        let mut stuck = drowned(2);
        stuck.state = State::Progressing;
        stuck.seconds_to_complete = None;
        stuck.width = running_from(30.0, 137);
        let found = borne(&stuck).expect("it drowned");
        assert!((found.pods - 20.0).abs() < 0.01, "{found:?}");
        // One that starts at the very end is not waited for.
        stuck.width.push(WidthAt {
            second: 65.0,
            width: 200,
            running: 138,
        });
        assert_eq!(borne(&stuck), Some(found));
    }
}
