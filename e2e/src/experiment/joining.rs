//! Nodes that join at once after a rollout: its pods start on all of them in unison, unless something
//! lets them through one by one.

use std::future::pending;

use anyhow::{Context, Result};
use futures::future::LocalBoxFuture;

use super::outcome::Course;
use crate::world::World;

/// The rollout is over for so many seconds before they join, so that both can be told apart.
const AFTER: f64 = 20.0;

/// Nodes that wait for their moment.
pub(super) struct Joining<'a> {
    world: &'a World,
    nodes: u32,
    adding: Option<LocalBoxFuture<'a, Result<()>>>,
}

impl<'a> Joining<'a> {
    pub(super) fn new(world: &'a World, nodes: u32) -> Self {
        Self {
            world,
            nodes,
            adding: None,
        }
    }

    /// Lets them join once the rollout has been over for a while; then tells that they do.
    pub(super) fn look(&mut self, second: f64, course: &mut Course) -> Option<String> {
        let over = course
            .completed()
            .is_some_and(|completed| second - completed >= AFTER);
        if course.joined.is_some() || !over {
            return None;
        }
        course.joined = Some(second);
        let (world, nodes) = (self.world, self.nodes);
        self.adding = Some(Box::pin(world.add_nodes(nodes)));
        Some(format!("{nodes} nodes join at once"))
    }

    /// When all of them are Ready; never, if that is not awaited.
    pub(super) async fn joined(joining: Option<&mut Self>) -> Result<String> {
        let Some(joining) = joining else {
            return pending().await;
        };
        let Some(adding) = &mut joining.adding else {
            return pending().await;
        };
        let added = adding.await;
        joining.adding = None;
        added.context("nodes were to join")?;
        Ok(format!("{} nodes that joined are Ready", joining.nodes))
    }
}
