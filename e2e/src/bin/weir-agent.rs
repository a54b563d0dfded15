//! Plays the agent of the pod that it runs in, after the profile in the file that it is given: real
//! pods on real nodes, which make the calls that the swarm makes for pods that nobody runs.
//!
//! No pod knows the others, so that each takes its number, which decides its jitter, from its own
//! name; and of those that would be led by the holder of a lease the one on the node leads that
//! `LEADER_NODE` names: at most one of a DaemonSet's pods, as with a lease, and none if it is not set.

use std::{
    env,
    ffi::OsString,
    fs,
    io::Write,
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use weir_e2e::{
    profile::Profile,
    swarm::{Counters, Part, Pod, Swarm},
    wire::Servers,
};

/// Where a kubelet puts what a pod's account needs.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How often its log says what it did.
const TOLD_EVERY: Duration = Duration::from_secs(10);

// The swarm has a thread of its own; this one only waits to be told to end.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let path: OsString = env::args_os().nth(1).context("usage: weir-agent PROFILE")?;
    let account = Path::new(ACCOUNT);
    let token = fs::read_to_string(account.join("token")).context("reading the account's token")?;
    let ca = fs::read(account.join("ca.crt")).context("reading the cluster's CA")?;
    // Process 1 has no signal handlers but its own: without one every pod would outlast its grace.
    let mut end = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let profile = Profile::read(Path::new(&path))?;
    let swarm = Swarm::start(
        profile,
        Servers::new(vec![server()?], &ca)?,
        token.trim().into(),
    )?;
    let pod = pod()?;
    let part = part(&pod, env::var("LEADER_NODE").ok().as_deref());
    swarm.play_as(pod, part);
    let counters = swarm.counters();
    while timeout(TOLD_EVERY, end.recv()).await.is_err() {
        // A pod that does nothing must not look as if it were well.
        ensure!(swarm.plays(), "the agent has ended; its log says why");
        tell(&counters);
    }
    tell(&counters);
    Ok(())
}

/// A line of what was asked, and what went wrong.
fn tell(counters: &Counters) {
    let now = counters.now();
    let mut out = std::io::stdout().lock();
    // A log that nobody reads must not end the agent.
    writeln!(
        out,
        "{} requests: {} answered, {} refused, {} failed {:?}",
        now.requests,
        now.answered,
        now.refused,
        now.errors,
        counters.kinds()
    )
    .ok();
}

/// The address of the cluster's API servers, as every pod is told it.
fn server() -> Result<SocketAddr> {
    let host = variable("KUBERNETES_SERVICE_HOST")?;
    let port = variable("KUBERNETES_SERVICE_PORT")?;
    let address: IpAddr = host
        .parse()
        .with_context(|| format!("`{host}` is no address"))?;
    let port: u16 = port
        .parse()
        .with_context(|| format!("`{port}` is no port"))?;
    Ok(SocketAddr::new(address, port))
}

/// The pod that this is, by what its template takes from its own fields.
fn pod() -> Result<Pod> {
    Ok(Pod {
        name: variable("POD_NAME")?,
        namespace: variable("POD_NAMESPACE")?,
        node: variable("NODE_NAME")?,
    })
}

/// Which of the workload's agents this pod is.
fn part(pod: &Pod, leader_node: Option<&str>) -> Part {
    // FNV-1a: names that differ in one character must not give numbers that are alike.
    let hash = pod
        .name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    Part {
        number: usize::try_from(hash >> 33).unwrap_or_default(),
        leads: Some(leader_node == Some(pod.node.as_str())),
    }
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is not set"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, node: &str) -> Pod {
        Pod {
            name: name.to_owned(),
            namespace: "agents".to_owned(),
            node: node.to_owned(),
        }
    }

    #[test]
    fn each_pod_is_an_agent_of_its_own() {
        let numbers: std::collections::BTreeSet<_> = (0..100)
            .map(|at| part(&pod(&format!("agent-{at}"), "node"), None).number)
            .collect();
        assert_eq!(numbers.len(), 100);
        let again = || part(&pod("agent-0", "node"), None);
        assert_eq!(again(), again());
    }

    #[test]
    fn only_the_pod_of_the_leader_s_node_leads() {
        let leads = |node: &str, leader| part(&pod("agent-0", node), leader).leads;
        assert_eq!(leads("node-1", Some("node-1")), Some(true));
        assert_eq!(leads("node-2", Some("node-1")), Some(false));
        assert_eq!(leads("node-1", None), Some(false));
    }
}
