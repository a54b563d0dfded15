//! The world itself: it starts, and does what it is told.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use weir_e2e::inside;
use weir_e2e::world::{Ceiling, World, WorldSpec};

/// What a state that must come may take on a machine that others use too; it only says that it
/// never will.
const LIMIT: Duration = Duration::from_mins(3);

/// After how many seconds of silence the controllers take a node for gone, where they are told so.
const GRACE: u32 = 20;

/// And where they are not.
const USUAL_GRACE: u32 = 50;

#[test]
fn nodes_are_ready_and_more_can_join() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: 200,
            ..WorldSpec::bare()
        })
        .await?;
        world.add_nodes(3).await?;
        let names = world.kubectl(&["get", "nodes", "-o", "name"]).await?;
        assert_eq!(names.lines().count(), 203);
        let zone = [
            "get",
            "nodes",
            "-o",
            "name",
            "-l",
            "topology.kubernetes.io/zone=z3",
        ];
        assert_eq!(world.kubectl(&zone).await?.lines().count(), 67);
        world.delete_nodes(&["node-00000", "node-00202"]).await?;
        world.add_nodes(1).await?;
        let names = world.kubectl(&["get", "nodes", "-o", "name"]).await?;
        assert_eq!(names.lines().count(), 202);
        world.check()
    })
}

#[test]
fn a_world_of_the_same_shape_takes_over_nodes_and_pods() -> Result<()> {
    inside!(async {
        let spec = WorldSpec {
            nodes: 20,
            pods: 300,
            reuse: true,
            ..WorldSpec::bare()
        };
        let first = World::start(&spec).await?;
        let pods = [
            "get",
            "pods",
            "-A",
            "-o",
            "jsonpath={.items[*].metadata.uid}",
        ];
        let uids = first.kubectl(&pods).await?;
        drop(first);
        let second = World::start(&spec).await?;
        assert_eq!(second.kubectl(&pods).await?, uids);
        // Controllers and kubelets work: a pod that goes is replaced and runs.
        second
            .kubectl(&["delete", "pods", "-n", "team-001", "--all", "--wait=false"])
            .await?;
        let rollout = [
            "rollout",
            "status",
            "deploy/service-001",
            "-n",
            "team-001",
            "--timeout=60s",
        ];
        second.kubectl(&rollout).await?;
        assert_ne!(second.kubectl(&pods).await?, uids);
        second.add_nodes(1).await?;
        second.check()
    })
}

#[test]
fn two_api_servers_are_two_and_each_can_be_paused_killed_and_restarted() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            api_servers: 2,
            ..WorldSpec::bare()
        })
        .await?;
        let slices: Api<EndpointSlice> = Api::namespaced(world.client(), "default");
        let endpoints = slices
            .get("kubernetes")
            .await?
            .endpoints
            .unwrap_or_default();
        let addresses: Vec<_> = endpoints
            .into_iter()
            .flat_map(|endpoint| endpoint.addresses)
            .collect();
        assert_eq!(addresses, ["172.31.255.1", "172.31.255.2"]);
        let identity = ListParams::default().labels("apiserver.kubernetes.io/identity");
        let leases: Api<Lease> = Api::namespaced(world.client(), "kube-system");
        assert_eq!(leases.list(&identity).await?.items.len(), 2);

        let second = &world.api_servers()[1];
        let through_second = world.client_at(1).await?;
        second.pause()?;
        let answer = through_second.apiserver_version();
        let answer = tokio::time::timeout(Duration::from_secs(2), answer).await;
        assert!(answer.is_err(), "a paused server answered");
        world.client().apiserver_version().await?;
        second.resume()?;
        through_second.apiserver_version().await?;

        let first_life = second.pid();
        second.kill()?;
        assert!(
            through_second.apiserver_version().await.is_err(),
            "a dead server answered"
        );
        second.restart()?;
        world.api_server_ready(1).await?;
        assert_ne!(second.pid(), first_life);
        assert!(second.cpu_seconds()? > 0.1 && second.resident_bytes()? > 50 << 20);
        world.check()
    })
}

#[test]
fn a_failed_node_is_tainted_a_silent_one_unknown_and_both_come_back() -> Result<()> {
    inside!(async {
        let spec = WorldSpec {
            nodes: 3,
            pods: 30,
            node_grace_seconds: Some(GRACE),
            ..WorldSpec::bare()
        };
        let world = World::start(&spec).await?;
        world.fail_node("node-00000").await?;
        world.silence_node("node-00001").await?;
        ready_status(&world, "node-00000", "False").await?;
        let unknown = ready_status(&world, "node-00001", "Unknown").await?;
        // By what is on record, and not by when this test came to look. The controllers look each
        // second, and times are cut to seconds.
        let silent = silent_seconds(&world, "node-00001", &unknown).await?;
        assert!(
            (i64::from(GRACE) - 1..i64::from(USUAL_GRACE)).contains(&silent),
            "unknown after {silent} s of silence"
        );
        let pods: Api<Pod> = Api::all(world.client());
        let not_ready = |pods: Vec<Pod>| pods.iter().filter(|pod| !is_ready(pod)).count();
        assert!(not_ready(pods.list(&ListParams::default()).await?.items) > 0);
        world.recover_node("node-00000").await?;
        world.wake_node("node-00001").await?;
        assert_eq!(not_ready(pods.list(&ListParams::default()).await?.items), 0);
        world.check()
    })
}

#[test]
fn weir_is_installed_and_runs_under_its_own_account() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            audit: true,
            ..WorldSpec::bare()
        })
        .await?;
        let early = world.start_weir(Ceiling::Shadow, &[]).await;
        let early = format!("{:#}", early.expect_err("it is not installed").root_cause());
        assert!(early.contains("not found"), "{early}");
        world.install_weir(Ceiling::Shadow).await?;
        its_account_has_its_own_rights_and_its_requests_are_recorded(&world).await?;
        it_is_killed_stopped_and_restarted(&world).await?;
        it_gates_only_where_it_may_enforce(&world).await?;
        world.check()
    })
}

async fn its_account_has_its_own_rights_and_its_requests_are_recorded(world: &World) -> Result<()> {
    let kubeconfig = world.account_kubeconfig("weir-system", "weir").await?;
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    let weir = Client::try_from(config)?;
    let refused = Api::<Node>::all(weir)
        .delete("any", &DeleteParams::default())
        .await;
    assert!(matches!(refused, Err(kube::Error::Api(status)) if status.code == 403));
    // The administrator's requests are not recorded, so this is the only one.
    let requests = world.weir_requests()?;
    let seen: Vec<_> = requests
        .iter()
        .map(|one| (&*one.verb, &*one.target, one.code, one.is_write()))
        .collect();
    assert_eq!(seen, [("delete", "nodes", 403, true)]);
    assert!(world.token("weir-system", "nobody").await.is_err());
    Ok(())
}

async fn it_is_killed_stopped_and_restarted(world: &World) -> Result<()> {
    let by_others = world.weir_requests()?.len();
    let weir = world.start_weir(Ceiling::Shadow, &[]).await?;
    let second = world.start_weir(Ceiling::Shadow, &[]).await?;
    assert_ne!(weir.listen, second.listen);
    assert!(weir.program.peak_resident_bytes()? > 1 << 20);
    weir.program.kill()?;
    assert!(!weir.program.is_running()?);
    weir.program.restart()?;
    weir.listening().await?;
    second.program.stop(Duration::from_secs(20)).await?;
    let requests = world.weir_requests()?.split_off(by_others);
    assert!(
        requests
            .iter()
            .all(|one| one.user_agent.starts_with("weir/")),
        "{requests:?}"
    );
    assert!(
        !requests.is_empty(),
        "Weir has asked the API servers nothing"
    );
    let wrong = world.start_weir(Ceiling::Shadow, &["--no-such-flag"]).await;
    let wrong = wrong.expect_err("the flag is unknown").to_string();
    assert!(wrong.contains("--no-such-flag"), "{wrong}");
    Ok(())
}

async fn it_gates_only_where_it_may_enforce(world: &World) -> Result<()> {
    let bindings = ["get", "mutatingadmissionpolicybindings", "-o", "name"];
    assert_eq!(
        world.kubectl(&bindings).await?,
        "",
        "without the ceiling nothing is gated"
    );
    world.install_weir(Ceiling::Enforce).await?;
    assert_ne!(world.kubectl(&bindings).await?, "");
    let refused = world
        .apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: UPPER}")
        .await;
    let refused = refused.expect_err("the name is invalid").to_string();
    assert!(refused.contains("UPPER"), "{refused}");
    Ok(())
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|one| one.type_ == "Ready" && one.status == "True")
}

/// Waits until a node's condition `Ready` has this status; returns it.
async fn ready_status(world: &World, node: &str, wanted: &str) -> Result<NodeCondition> {
    let nodes: Api<Node> = Api::all(world.client());
    let started = Instant::now();
    loop {
        let status = nodes.get(node).await?.status.unwrap_or_default();
        let mut conditions = status.conditions.unwrap_or_default().into_iter();
        let ready = conditions.find(|one| one.type_ == "Ready");
        if let Some(ready) = &ready
            && ready.status == wanted
        {
            return Ok(ready.clone());
        }
        ensure!(
            started.elapsed() < LIMIT,
            "{node} is {ready:?} after {LIMIT:?}, not {wanted}"
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// How long a node had said nothing when it got this condition.
async fn silent_seconds(world: &World, node: &str, condition: &NodeCondition) -> Result<i64> {
    let leases: Api<Lease> = Api::namespaced(world.client(), "kube-node-lease");
    let lease = leases.get(node).await?.spec.unwrap_or_default();
    let last = lease.renew_time.context("the Lease was renewed")?.0;
    let since = condition.last_transition_time.as_ref();
    let since = since.context("the condition says since when")?.0;
    Ok(last.duration_until(since).as_secs())
}
