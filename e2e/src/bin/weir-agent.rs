//! Plays the agent of the pod that it runs in, after the profile in the file that it is given: real
//! pods on real nodes, which make the calls that the swarm makes for pods that nobody runs.

use std::{
    env,
    ffi::OsString,
    fs,
    io::Write,
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use weir_e2e::{
    profile::Profile,
    swarm::{Counters, Pod, Swarm},
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
    swarm.play(pod()?);
    let counters = swarm.counters();
    while timeout(TOLD_EVERY, end.recv()).await.is_err() {
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

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| format!("{name} is not set"))
}
