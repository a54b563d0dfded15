//! The swarm: plays the agents of a workload's running pods. It is told which pods run and which are
//! gone, and makes for each the calls of a profile, on a thread of its own that yields to the rest.

mod agent;
mod count;
mod flow;
pub mod follow;
mod request;
mod schedule;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc, thread};

use anyhow::{Context, Result};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, LocalSet},
    time::Instant,
};

pub use self::{
    agent::{Part, Pod},
    count::{Counters, Counts},
};
use crate::{
    profile::Profile,
    wire::{Caller, Servers},
};

/// How far the swarm steps back behind the programs that share its core: what is measured is the
/// API server, not its clients' hunger.
const NICE: i32 = 10;

/// Agents at work. Dropped, they stop.
pub struct Swarm {
    orders: Option<mpsc::UnboundedSender<Order>>,
    counters: Arc<Counters>,
    thread: Option<thread::JoinHandle<()>>,
}

enum Order {
    Play(Pod, Option<Part>),
    Stop(String),
}

impl Swarm {
    /// A swarm without agents, whose account's token is `token`.
    pub fn start(profile: Profile, servers: Servers, token: Arc<str>) -> Result<Self> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let counters = Arc::new(Counters::default());
        let shared = Arc::clone(&counters);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the swarm's runtime cannot start")?;
        let thread = thread::Builder::new()
            .name("swarm".to_owned())
            .spawn(move || {
                // Only a courtesy: where it is refused the swarm plays all the same.
                rustix::process::nice(NICE).ok();
                let caller = Caller {
                    token,
                    user_agent: profile.agent.user_agent.clone(),
                    gzip: profile.agent.gzip,
                    http: profile.agent.http,
                };
                let _inside = runtime.enter();
                let cast = agent::Cast {
                    profile,
                    servers,
                    caller,
                    counters: shared,
                    epoch: Instant::now(),
                    playing: RefCell::default(),
                };
                LocalSet::new().block_on(&runtime, conduct(Rc::new(cast), inbox));
            })
            .context("the swarm's thread cannot start")?;
        Ok(Self {
            orders: Some(orders),
            counters,
            thread: Some(thread),
        })
    }

    /// Plays this pod's agent, from its start.
    pub fn play(&self, pod: Pod) {
        self.order(Order::Play(pod, None));
    }

    /// The same for a pod whose fellows others play, so that its part is not known here.
    pub fn play_as(&self, pod: Pod, part: Part) {
        self.order(Order::Play(pod, Some(part)));
    }

    /// Stops the agent of the pod of this name.
    pub fn stop(&self, pod: &str) {
        self.order(Order::Stop(pod.to_owned()));
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // It is refused only when the thread has ended, and then nothing plays any more.
            orders.send(order).ok();
        }
    }

    /// Whether agents still play: a panic ends the thread that all of them share.
    #[must_use]
    pub fn plays(&self) -> bool {
        let thread = self.thread.as_ref();
        thread.is_some_and(|thread| !thread.is_finished())
    }

    /// What the agents have done so far.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed by the thread.
            thread.join().ok();
        }
    }
}

/// Starts and stops agents as ordered, until there are no more orders.
async fn conduct(cast: Rc<agent::Cast>, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut playing: BTreeMap<String, JoinHandle<()>> = BTreeMap::new();
    let mut number = 0;
    while let Some(order) = orders.recv().await {
        match order {
            Order::Play(pod, part) => {
                let name = pod.name.clone();
                let part = part.unwrap_or(Part {
                    number,
                    leads: None,
                });
                let task = tokio::task::spawn_local(agent::play(Rc::clone(&cast), pod, part));
                number += 1;
                if let Some(before) = playing.insert(name, task) {
                    before.abort();
                }
            }
            Order::Stop(name) => {
                if let Some(task) = playing.remove(&name) {
                    task.abort();
                }
            }
        }
    }
    for task in playing.into_values() {
        task.abort();
    }
}
