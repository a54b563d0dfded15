//! Follows a workload's pods: which run, for the swarm to play, and which are let through, for the
//! width. It reads what the API server says and writes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::{Result, bail};
use futures::StreamExt;
use k8s_openapi::api::core::v1 as core;
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use tokio::sync::watch;

use super::{Pod, Swarm};
use crate::gates::is_gated;

/// Which pods to follow.
#[derive(Debug, Clone)]
pub struct Followed {
    /// Their namespace.
    pub namespace: String,
    /// Their label selector.
    pub selector: String,
}

/// A workload's pods at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Pods that exist.
    pub pods: u32,
    /// Of those, without Weir's gate: the width.
    pub released: u32,
    /// Of those, running.
    pub running: u32,
}

/// Follows pods until it is dropped; tells the swarm and `fleet` of every change.
pub async fn follow(
    client: Client,
    followed: Followed,
    swarm: Arc<Swarm>,
    fleet: watch::Sender<Fleet>,
) -> Result<()> {
    let pods: Api<core::Pod> = Api::namespaced(client, &followed.namespace);
    let config = watcher::Config::default().labels(&followed.selector);
    let mut events = std::pin::pin!(watcher(pods, config).default_backoff());
    let mut roster = Roster::default();
    while let Some(event) = events.next().await {
        // A watch fails while an API server drowns; the back-off opens it again.
        let Ok(event) = event else { continue };
        for change in roster.take(event) {
            match change {
                Change::Runs(pod) => swarm.play(pod),
                Change::Gone(name) => swarm.stop(&name),
            }
        }
        fleet.send_replace(roster.fleet());
    }
    bail!("the watch of {}'s pods ended", followed.namespace)
}

/// What a change of the pods means for the swarm.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Runs(Pod),
    Gone(String),
}

#[derive(Debug, Clone, Copy)]
struct Row {
    released: bool,
    running: bool,
}

/// The pods as far as they are known.
#[derive(Debug, Default)]
struct Roster {
    rows: BTreeMap<String, Row>,
    /// While the watch begins anew: what it has named so far.
    named: BTreeSet<String>,
}

impl Roster {
    fn take(&mut self, event: Event<core::Pod>) -> Vec<Change> {
        match event {
            Event::Init => {
                self.named.clear();
                Vec::new()
            }
            Event::InitApply(pod) => {
                self.named.insert(pod.name_any());
                self.apply(&pod).into_iter().collect()
            }
            Event::InitDone => self.drop_unnamed(),
            Event::Apply(pod) => self.apply(&pod).into_iter().collect(),
            Event::Delete(pod) => self.remove(&pod.name_any()).into_iter().collect(),
        }
    }

    fn apply(&mut self, pod: &core::Pod) -> Option<Change> {
        let name = pod.name_any();
        let row = Row {
            released: !is_gated(pod),
            running: is_running(pod),
        };
        let before = self.rows.insert(name.clone(), row);
        match (before.is_some_and(|row| row.running), row.running) {
            (false, true) => Some(Change::Runs(Pod {
                namespace: pod.namespace().unwrap_or_default(),
                node: node(pod).unwrap_or_default(),
                name,
            })),
            (true, false) => Some(Change::Gone(name)),
            (true, true) | (false, false) => None,
        }
    }

    fn remove(&mut self, name: &str) -> Option<Change> {
        let row = self.rows.remove(name)?;
        row.running.then(|| Change::Gone(name.to_owned()))
    }

    fn drop_unnamed(&mut self) -> Vec<Change> {
        let unnamed: Vec<String> = self
            .rows
            .keys()
            .filter(|name| !self.named.contains(*name))
            .cloned()
            .collect();
        unnamed
            .iter()
            .filter_map(|name| self.remove(name))
            .collect()
    }

    fn fleet(&self) -> Fleet {
        let count = |what: fn(&Row) -> bool| {
            u32::try_from(self.rows.values().filter(|row| what(row)).count()).unwrap_or(u32::MAX)
        };
        Fleet {
            pods: count(|_| true),
            released: count(|row| row.released),
            running: count(|row| row.running),
        }
    }
}

fn is_running(pod: &core::Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
}

fn node(pod: &core::Pod) -> Option<String> {
    pod.spec.as_ref()?.node_name.clone()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, held: bool, phase: &str) -> core::Pod {
        let gates = if held {
            json!([{"name": "weir.dev/gate"}, {"name": "x"}])
        } else {
            json!([])
        };
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "agents"},
            "spec": {"containers": [], "nodeName": format!("node-{name}"), "schedulingGates": gates},
            "status": {"phase": phase},
        }))
        .expect("a pod")
    }

    fn fleet(pods: u32, released: u32, running: u32) -> Fleet {
        Fleet {
            pods,
            released,
            running,
        }
    }

    #[test]
    fn an_agent_plays_from_when_its_pod_runs_until_it_is_gone() {
        let mut roster = Roster::default();
        assert_eq!(roster.take(Event::Apply(pod("a", true, "Pending"))), []);
        assert_eq!(roster.fleet(), fleet(1, 0, 0));
        assert_eq!(roster.take(Event::Apply(pod("a", false, "Pending"))), []);
        assert_eq!(roster.fleet(), fleet(1, 1, 0));
        let runs = Change::Runs(Pod {
            name: "a".to_owned(),
            namespace: "agents".to_owned(),
            node: "node-a".to_owned(),
        });
        assert_eq!(
            roster.take(Event::Apply(pod("a", false, "Running"))),
            [runs]
        );
        assert_eq!(roster.take(Event::Apply(pod("a", false, "Running"))), []);
        assert_eq!(roster.fleet(), fleet(1, 1, 1));
        let gone = Change::Gone("a".to_owned());
        assert_eq!(
            roster.take(Event::Delete(pod("a", false, "Running"))),
            [gone]
        );
        assert_eq!(roster.fleet(), Fleet::default());
    }

    #[test]
    fn a_pod_on_its_way_out_no_longer_plays() {
        let mut roster = Roster::default();
        roster.take(Event::Apply(pod("a", false, "Running")));
        let mut leaving = pod("a", false, "Running");
        leaving.metadata.deletion_timestamp = Some(
            k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH),
        );
        assert_eq!(
            roster.take(Event::Apply(leaving.clone())),
            [Change::Gone("a".to_owned())]
        );
        assert_eq!(roster.take(Event::Delete(leaving)), []);
    }

    #[test]
    fn pods_that_vanished_while_the_watch_was_broken_stop() {
        let mut roster = Roster::default();
        for name in ["a", "b"] {
            roster.take(Event::Apply(pod(name, false, "Running")));
        }
        assert_eq!(roster.take(Event::Init), []);
        assert_eq!(
            roster.take(Event::InitApply(pod("b", false, "Running"))),
            []
        );
        assert_eq!(roster.take(Event::InitDone), [Change::Gone("a".to_owned())]);
        assert_eq!(roster.fleet(), fleet(1, 1, 1));
    }
}
