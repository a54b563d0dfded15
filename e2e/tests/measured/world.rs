//! The world itself, by the clock.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use weir_e2e::inside;
use weir_e2e::world::{Beside, World, WorldSpec};

/// Far above what is measured on two idle cores (2 s), and still "seconds".
const CONTROL_PLANE_LIMIT: Duration = Duration::from_secs(20);

/// Background pods that go and are replaced each second.
const CHURN_PER_SECOND: f64 = 5.0;

#[test]
fn a_control_plane_starts_in_seconds() -> Result<()> {
    inside!(Beside::Nobody, async {
        let started = Instant::now();
        let world = World::start(&WorldSpec::bare()).await?;
        let took = started.elapsed();
        println!("control plane: {took:?}");
        ensure!(took < CONTROL_PLANE_LIMIT, "took {took:?}");
        world.check()
    })
}

#[test]
fn background_pods_run_have_a_usual_size_and_come_and_go() -> Result<()> {
    inside!(Beside::Nobody, async {
        let spec = WorldSpec {
            nodes: 10,
            pods: 300,
            churn_per_second: CHURN_PER_SECOND,
            ..WorldSpec::bare()
        };
        let world = World::start(&spec).await?;
        let began = Instant::now();
        let bytes = world
            .kubectl(&["get", "--raw", "/api/v1/pods"])
            .await?
            .len()
            / 300;
        assert!((6_500..8_500).contains(&bytes), "{bytes} bytes per pod");
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (deleted, failed) = world
            .churn()
            .map_or((0, 0), |churn| (churn.deleted(), churn.failed()));
        // Of the time that has really passed, however long this test was kept waiting: fewer as far
        // as lists take turns too, more by what came before it looked at the clock.
        let due = CHURN_PER_SECOND * began.elapsed().as_secs_f64();
        let usual = 0.6 * due..=due + CHURN_PER_SECOND;
        assert!(
            usual.contains(&(deleted as f64)) && failed == 0,
            "{deleted} of {due} deleted, {failed} failed"
        );
        let running = [
            "get",
            "pods",
            "-A",
            "--field-selector=status.phase=Running",
            "-o",
            "name",
        ];
        let running = world.kubectl(&running).await?.lines().count();
        assert!((250..=320).contains(&running), "{running} pods run");
        world.check()
    })
}
