//! One workload of an experiment while it is rolled out: its agents at play, how wide it is, and what
//! Weir says of it.

use std::{future::pending, sync::Arc};

use anyhow::Result;
use kube::Client;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    guarded::{self, Guarded, Sighting},
    outcome::Course,
    sampler::round,
    workload::{self, Workload},
};
use crate::{
    report::WidthAt,
    swarm::{
        Swarm,
        follow::{Fleet, Followed, follow},
    },
};

/// A workload that is watched.
pub(super) struct Track {
    pub(super) profile: String,
    pub(super) course: Course,
    pub(super) guarded: Guarded,
    pub(super) swarm: Arc<Swarm>,
    workload: Workload,
    fleet: watch::Receiver<Fleet>,
    sightings: mpsc::UnboundedReceiver<Sighting>,
}

/// What is to be watched.
pub(super) struct Cast {
    pub(super) profile: String,
    pub(super) workload: Workload,
    pub(super) swarm: Swarm,
    pub(super) guarded: bool,
    pub(super) full_width: u32,
    /// Nodes that are to join after it.
    pub(super) joins: u32,
}

impl Track {
    /// Begins to watch; what it needs for that ends with `tasks`.
    pub(super) fn begin(cast: Cast, client: &Client, tasks: &mut JoinSet<Result<()>>) -> Self {
        let swarm = Arc::new(cast.swarm);
        let namespace = cast.workload.namespace.clone();
        let fleet = play(&namespace, &cast.profile, &swarm, (client, tasks));
        let (tell_sighting, sightings) = mpsc::unbounded_channel();
        if cast.guarded {
            tasks.spawn(guarded::follow(client.clone(), namespace, tell_sighting));
        }
        Self {
            profile: cast.profile,
            course: Course {
                guarded: cast.guarded,
                full_width: cast.full_width,
                joins: cast.joins,
                ..Course::default()
            },
            guarded: Guarded::default(),
            swarm,
            workload: cast.workload,
            fleet,
            sightings,
        }
    }

    /// Rolls it out.
    pub(super) async fn roll_out(&self) -> Result<()> {
        self.workload.roll_out(&self.profile).await
    }

    /// How wide it is now.
    pub(super) fn fleet(&self) -> Fleet {
        *self.fleet.borrow()
    }

    /// Adds a point to the width over time.
    pub(super) fn sample(&mut self, second: f64) {
        let fleet = self.fleet();
        self.course.widths.push(WidthAt {
            second: round(second, 10.0),
            width: fleet.released,
            running: fleet.running,
        });
    }

    /// What Weir says of it next; never, where nobody guards it.
    pub(super) async fn next(&mut self) -> Sighting {
        match self.sightings.recv().await {
            Some(sighting) => sighting,
            None => pending().await,
        }
    }

    /// Takes in what Weir says of it; what it said of others before `zero` is not about it. Returns what
    /// is new for a reader.
    pub(super) fn sight(&mut self, zero: Instant, sighting: &Sighting) -> Option<String> {
        if sighting.at < zero {
            return None;
        }
        let second = sighting.at.duration_since(zero).as_secs_f64();
        self.guarded
            .take(round(second, 10.0), sighting, &mut self.course)
    }
}

/// Plays the agents of a workload's pods that carry this profile's label, until `tasks` end.
pub(super) fn play(
    namespace: &str,
    profile: &str,
    swarm: &Arc<Swarm>,
    (client, tasks): (&Client, &mut JoinSet<Result<()>>),
) -> watch::Receiver<Fleet> {
    let (tell_fleet, fleet) = watch::channel(Fleet::default());
    let followed = Followed {
        namespace: namespace.to_owned(),
        selector: workload::selector(profile),
    };
    tasks.spawn(follow(
        client.clone(),
        followed,
        Arc::clone(swarm),
        tell_fleet,
    ));
    fleet
}
