//! The world itself: it starts, does what it is told, and leaves nothing behind.
//!
//! These tests start real control planes; run them in a release build.

use std::time::Instant;

use anyhow::Result;
use weir_e2e::inside;
use weir_e2e::world::{World, WorldSpec};

#[test]
fn a_control_plane_starts_in_seconds() -> Result<()> {
    inside!(async {
        let started = Instant::now();
        let world = World::start(&WorldSpec::bare()).await?;
        let took = started.elapsed();
        println!("control plane: {took:?}");
        assert!(took.as_secs() < 30, "took {took:?}");
        println!("{}", world.kubectl(&["get", "endpointslices,ns"]).await?);
        world.check()
    })
}

#[test]
fn nodes_become_ready() -> Result<()> {
    inside!(async {
        let started = Instant::now();
        let world = World::start(&WorldSpec {
            nodes: 200,
            ..WorldSpec::bare()
        })
        .await?;
        println!("with 200 nodes: {:?}", started.elapsed());
        world.add_nodes(3).await?;
        let names = world.kubectl(&["get", "nodes", "-o", "name"]).await?;
        assert_eq!(names.lines().count(), 203);
        world.check()
    })
}
