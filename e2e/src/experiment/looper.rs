//! An account that has nothing to do with a rollout, and begins to ask too much while it is in flight.

use super::{Loops, sampler::round};
use crate::{
    report::LoopsUse,
    swarm::{Pod, Swarm},
};

/// Clients of that account, which wait for their moment.
pub(super) struct Looper {
    namespace: String,
    profile: String,
    clients: u32,
    at_width: u32,
    metered: bool,
    swarm: Swarm,
    from: Option<f64>,
}

impl Looper {
    pub(super) fn new(loops: &Loops, namespace: &str, swarm: Swarm) -> Self {
        Self {
            namespace: namespace.to_owned(),
            profile: loops.profile.name.clone(),
            clients: loops.clients,
            at_width: loops.at_width,
            metered: loops.metered,
            swarm,
            from: None,
        }
    }

    /// Begins once the rollout is as wide as that; then tells that it did.
    pub(super) fn look(&mut self, width: u32, second: f64) -> Option<String> {
        if self.from.is_some() || width < self.at_width {
            return None;
        }
        self.from = Some(round(second, 10.0));
        for number in 0..self.clients {
            self.swarm.play(Pod {
                name: format!("client-{number}"),
                namespace: self.namespace.clone(),
                node: format!("node-{:05}", number + 1),
            });
        }
        Some(format!(
            "{} clients of another account ({}) begin to ask as {} does",
            self.clients, self.namespace, self.profile
        ))
    }

    /// What it did.
    pub(super) fn used(&self) -> LoopsUse {
        let counts = self.swarm.counters().now();
        LoopsUse {
            profile: self.profile.clone(),
            namespace: self.namespace.clone(),
            clients: self.clients,
            metered: self.metered,
            from_second: self.from,
            requests: counts.requests,
            errors: counts.errors + counts.refused,
        }
    }
}
