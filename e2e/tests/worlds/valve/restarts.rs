//! The gate on an API server that has just started.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use weir_e2e::gates::is_gated;

use super::cluster::{Cluster, Probe, SOON};

/// A policy that reads a custom resource would fail in half of the restarts, for half a minute.
const RESTARTS: usize = 5;

/// How often pods are tried.
const EVERY: Duration = Duration::from_millis(10);

/// For how long they are, from the first answer on: longer than API servers take to be ready.
const WATCHED: Duration = Duration::from_secs(6);

/// Pods that are tried after each restart at the very least.
const FEWEST: usize = 20;

pub(crate) async fn from_a_restarted_api_server_s_first_answer_on_no_unapproved_pod_slips_through(
    cluster: &Cluster<'_>,
) -> Result<()> {
    let server = &cluster.world.api_servers()[0];
    let (mut gated, mut refused) = (0, 0);
    for restart in 1..=RESTARTS {
        server.kill()?;
        server.restart()?;
        let restarted = Instant::now();
        let mut first = None;
        while first.is_none_or(|first: Instant| first.elapsed() < WATCHED) {
            server.check()?;
            ensure!(restarted.elapsed() < SOON + WATCHED, "it does not answer");
            match cluster.dry_run(&Probe::of("weir-check")).await {
                Ok(pod) => {
                    let since = first.get_or_insert_with(Instant::now).elapsed();
                    ensure!(
                        is_gated(&pod),
                        "restart {restart}: a pod was let through {since:?} after the first answer"
                    );
                    gated += 1;
                }
                Err(error) if is_answer(&error) => {
                    first.get_or_insert_with(Instant::now);
                    refused += 1;
                }
                Err(_) => {}
            }
            tokio::time::sleep(EVERY).await;
        }
        cluster.in_force().await.context("after the restart")?;
    }
    ensure!(
        gated >= RESTARTS * FEWEST,
        "too few pods were tried to tell: {gated} gated, {refused} refused"
    );
    Ok(())
}

/// Whether the server has answered, with a refusal.
fn is_answer(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(kube::Error::Api(_)))
}
