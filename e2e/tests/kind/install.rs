//! `helm install`, until Weir is ready and guards.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use weir_e2e::kind::Cluster;

/// What it is to take at most on a cluster like this. It is told, not judged: how busy a machine is
/// beside this is not Weir's doing.
const WANTED: Duration = Duration::from_mins(1);

/// What of that Weir's own start is to take: told as well.
const START: Duration = Duration::from_secs(2);

pub(crate) async fn it_is_ready(cluster: &Cluster) -> Result<()> {
    ensure!(
        !cluster.is_installed().await?,
        "Weir is installed already: helm uninstall weir -n weir-system"
    );
    let began = Instant::now();
    cluster.install().await?;
    cluster.weir_is_ready().await?;
    let ready = began.elapsed();
    cluster.tell(format!(
        "helm install to Ready: {:.1} s, of {} s that it may take",
        ready.as_secs_f64(),
        WANTED.as_secs()
    ));
    for (pod, seconds) in cluster.start_ups().await? {
        cluster.tell(format!(
            "{pod}: {seconds} s from its container's start to Ready, of {} s that Weir's own start may take; \
             the API tells whole seconds",
            START.as_secs()
        ));
    }
    cluster.guards().await?;
    cluster.tell(format!(
        "helm install to a gate that is known to be in force: {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    cluster.leader().await?;
    for replica in cluster.replicas().await? {
        ensure!(replica.restarts == 0, "{replica:?} was started again");
    }
    cluster.helm_test().await?;
    Ok(())
}
