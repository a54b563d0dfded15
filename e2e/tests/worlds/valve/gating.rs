//! Which pods are gated.

use anyhow::{Context, Result, ensure};
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};
use weir::api::marks;
use weir_e2e::world::approvals::approval;

use super::NODES;
use weir_e2e::gates::{gates_of, is_gated};

use super::cluster::{A_WHILE, Cluster, Count, Probe, RELEASE};

const ALL: usize = NODES as usize;

pub(crate) async fn a_new_daemon_set_is_born_gated_and_marked(cluster: &Cluster<'_>) -> Result<()> {
    cluster.namespace("born", Some("enforce")).await?;
    cluster.logs("born", json!({})).await?;
    let hash = cluster.revision("born").await?;
    let key = cluster.key("born", &hash).await?;
    for pod in cluster.pods("born").list(&ListParams::default()).await? {
        ensure!(is_gated(&pod), "{:?} is not gated", pod.metadata.name);
        let labels = pod.metadata.labels.unwrap_or_default();
        let annotations = pod.metadata.annotations.unwrap_or_default();
        ensure!(
            labels
                .get(marks::ENROLLED)
                .is_some_and(|value| value == "true")
        );
        ensure!(annotations.get(marks::REVISION) == Some(&key));
        ensure!(pod.spec.is_some_and(|spec| spec.node_name.is_none()));
    }
    Ok(())
}

pub(crate) async fn a_gated_pod_is_released_by_a_plain_patch_alone(
    cluster: &Cluster<'_>,
) -> Result<()> {
    cluster.namespace("plain", Some("enforce")).await?;
    cluster.logs("plain", json!({})).await?;
    let hash = cluster.revision("plain").await?;
    let pods = cluster.pods("plain").list(&ListParams::default()).await?;
    let name = pods.items[0].metadata.name.clone().context("a name")?;
    cluster.release("plain", &name).await?;
    let one = |counts: &std::collections::BTreeMap<String, Count>| {
        counts.get(&hash)
            == Some(&Count {
                gated: ALL - 1,
                running: 1,
            })
    };
    cluster.until("plain", "one pod runs", one).await?;
    // Once more, on a pod that is placed: nothing to do, and no error.
    cluster.release("plain", &name).await
}

/// The lines of the runbook, as events and the status print them.
pub(crate) async fn the_runbook_opens_the_valve_for_a_revision(
    cluster: &Cluster<'_>,
) -> Result<()> {
    cluster.namespace("runbook", Some("enforce")).await?;
    cluster.logs("runbook", json!({})).await?;
    let hash = cluster.revision("runbook").await?;
    let key = cluster.key("runbook", &hash).await?;
    let approval = approval(&key).to_string();
    let world = cluster.world;
    world
        .kubectl(&[
            "patch",
            "role",
            "weir-approved",
            "-n",
            "weir-system",
            "--type=json",
            "-p",
            &approval,
        ])
        .await?;
    let selector = format!("controller-revision-hash={hash},weir.dev/enrolled=true");
    let names = world
        .kubectl(&[
            "get", "pods", "-n", "runbook", "-l", &selector, "-o", "name",
        ])
        .await?;
    ensure!(names.lines().count() == ALL, "{names}");
    for name in names.lines() {
        world
            .kubectl(&["patch", name, "-n", "runbook", "-p", RELEASE])
            .await?;
    }
    cluster
        .until("runbook", "all pods run", |counts| {
            counts.get(&hash)
                == Some(&Count {
                    gated: 0,
                    running: ALL,
                })
        })
        .await
}

pub(crate) async fn pods_of_an_approved_revision_are_born_free_on_new_nodes_too(
    cluster: &Cluster<'_>,
) -> Result<()> {
    let first = cluster.running_logs("approved").await?;
    cluster
        .world
        .kubectl(&["delete", "pods", "-n", "approved", "--all", "--wait=false"])
        .await?;
    cluster
        .until("approved", "replacements run", |counts| {
            counts.get(&first)
                == Some(&Count {
                    gated: 0,
                    running: ALL,
                })
        })
        .await?;
    let before: Vec<_> = node_names(cluster).await?;
    cluster.world.add_nodes(1).await?;
    let grown = cluster
        .until("approved", "the new node has its pod", |counts| {
            counts.get(&first)
                == Some(&Count {
                    gated: 0,
                    running: ALL + 1,
                })
        })
        .await;
    let after = node_names(cluster).await?;
    let new: Vec<_> = after
        .iter()
        .filter(|name| !before.contains(name))
        .map(String::as_str)
        .collect();
    cluster.world.delete_nodes(&new).await?;
    grown
}

async fn node_names(cluster: &Cluster<'_>) -> Result<Vec<String>> {
    let names = cluster
        .world
        .kubectl(&["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"])
        .await?;
    Ok(names.split(' ').map(str::to_owned).collect())
}

pub(crate) async fn an_update_stalls_at_max_unavailable(cluster: &Cluster<'_>) -> Result<()> {
    let first = cluster.running_logs("update").await?;
    let second = cluster.update("update", "none.invalid/logs:2").await?;
    stalled(cluster, "update", &first, &second).await
}

/// Two of the new revision wait, and all others run on.
async fn stalled(cluster: &Cluster<'_>, namespace: &str, old: &str, new: &str) -> Result<()> {
    let stall = |counts: &std::collections::BTreeMap<String, Count>| {
        counts.get(old)
            == Some(&Count {
                gated: 0,
                running: ALL - 2,
            })
            && counts.get(new)
                == Some(&Count {
                    gated: 2,
                    running: 0,
                })
    };
    cluster
        .until(namespace, "the update has begun", stall)
        .await?;
    tokio::time::sleep(A_WHILE).await;
    let counts = cluster.count(namespace).await?;
    ensure!(stall(&counts), "it went on: {counts:?}");
    Ok(())
}

pub(crate) async fn a_restart_passes_the_valve_and_a_rollback_flows(
    cluster: &Cluster<'_>,
) -> Result<()> {
    let first = cluster.running_logs("restart").await?;
    let world = cluster.world;
    world
        .kubectl(&["rollout", "restart", "ds/logs", "-n", "restart"])
        .await?;
    super::eventually("a new revision", super::cluster::SOON, async || {
        Ok(cluster.revision("restart").await? != first)
    })
    .await?;
    let second = cluster.revision("restart").await?;
    stalled(cluster, "restart", &first, &second).await?;
    world
        .kubectl(&["rollout", "undo", "ds/logs", "-n", "restart"])
        .await?;
    cluster
        .until(
            "restart",
            "the approved revision runs everywhere again",
            |counts| {
                counts.len() == 1
                    && counts.get(&first)
                        == Some(&Count {
                            gated: 0,
                            running: ALL,
                        })
            },
        )
        .await
}

pub(crate) async fn deleting_released_pods_brings_them_back_gated(
    cluster: &Cluster<'_>,
) -> Result<()> {
    cluster.namespace("eject", Some("enforce")).await?;
    cluster.logs("eject", json!({})).await?;
    let hash = cluster.revision("eject").await?;
    for pod in cluster
        .pods("eject")
        .list(&ListParams::default().limit(3))
        .await?
    {
        cluster
            .release("eject", pod.metadata.name.as_deref().context("a name")?)
            .await?;
    }
    cluster
        .until("eject", "three run", |counts| {
            counts.values().any(|count| count.running == 3)
        })
        .await?;
    let running = [
        "delete",
        "pods",
        "-n",
        "eject",
        "--field-selector=status.phase=Running",
        "--wait=false",
    ];
    cluster.world.kubectl(&running).await?;
    cluster
        .until("eject", "all wait again", |counts| {
            counts.get(&hash)
                == Some(&Count {
                    gated: ALL,
                    running: 0,
                })
        })
        .await
}

pub(crate) async fn pods_of_deployments_are_untouched(cluster: &Cluster<'_>) -> Result<()> {
    cluster.namespace("deployment", Some("enforce")).await?;
    let world = cluster.world;
    world
        .kubectl(&[
            "create",
            "deployment",
            "web",
            "-n",
            "deployment",
            "--image=none.invalid/web",
            "--replicas=3",
        ])
        .await?;
    let available = [
        "wait",
        "--for=condition=Available",
        "deployment/web",
        "-n",
        "deployment",
        "--timeout=30s",
    ];
    world.kubectl(&available).await.map(drop)
}

pub(crate) async fn kube_system_is_untouched_whatever_its_labels(
    cluster: &Cluster<'_>,
) -> Result<()> {
    for namespace in ["kube-system", "kube-node-lease", "weir-system"] {
        let world = cluster.world;
        world
            .kubectl(&["label", "namespace", namespace, "weir.dev/guard=enforce"])
            .await?;
        let by_namespace = cluster.gates(&Probe::of(namespace)).await;
        let labels = json!({ marks::GUARD: "enforce" });
        let by_template = cluster
            .gates(&Probe {
                labels,
                ..Probe::of(namespace)
            })
            .await;
        world
            .kubectl(&["label", "namespace", namespace, "weir.dev/guard-"])
            .await?;
        ensure!(
            !by_namespace? && !by_template?,
            "pods in {namespace} are gated"
        );
    }
    Ok(())
}

pub(crate) async fn the_templates_label_wins_over_the_namespaces(
    cluster: &Cluster<'_>,
) -> Result<()> {
    for mode in [
        None,
        Some("observe"),
        Some("shadow"),
        Some("enforce"),
        Some("Enforce"),
    ] {
        let namespace = format!(
            "wins-{}",
            mode.unwrap_or("none").to_lowercase()
                + if mode == Some("Enforce") { "-typo" } else { "" }
        );
        cluster.namespace(&namespace, mode).await?;
        for template in [
            None,
            Some("observe"),
            Some("enforce"),
            Some("Enforce"),
            Some(""),
        ] {
            let labels = template.map_or(json!({}), |value| json!({ marks::GUARD: value }));
            let gated = cluster
                .gates(&Probe {
                    labels,
                    ..Probe::of(&namespace)
                })
                .await?;
            let wanted = template.or(mode) == Some("enforce");
            ensure!(
                gated == wanted,
                "namespace {mode:?}, template {template:?}: gated {gated}"
            );
        }
    }
    Ok(())
}

pub(crate) async fn a_pod_that_names_its_node_is_let_through(cluster: &Cluster<'_>) -> Result<()> {
    cluster.namespace("placed", Some("enforce")).await?;
    let spec = json!({ "nodeName": "node-00000" });
    ensure!(
        !cluster
            .gates(&Probe {
                spec,
                ..Probe::of("placed")
            })
            .await?
    );
    Ok(())
}

pub(crate) async fn what_nodes_depend_on_is_not_held_until_acknowledged(
    cluster: &Cluster<'_>,
) -> Result<()> {
    cluster.namespace("critical", Some("enforce")).await?;
    let mount =
        |path: &str| json!({ "volumes": [{ "name": "host", "hostPath": { "path": path } }] });
    let tolerate = |key: &str| json!({ "tolerations": [{ "key": key, "operator": "Exists" }] });
    let critical = [
        json!({ "priorityClassName": "system-node-critical" }),
        mount("/etc/cni/net.d"),
        mount("/opt/cni/bin"),
        mount("/var/lib/kubelet/plugins/ebs.csi.aws.com"),
        mount("/var/lib/kubelet/plugins_registry/"),
        mount("/var/lib/kubelet/device-plugins"),
        mount("/var/lib/rancher/k3s/agent/etc//cni/net.d"),
        tolerate("node.cilium.io/agent-not-ready"),
        tolerate("readiness.k8s.io/network"),
    ];
    for spec in critical {
        let probe = Probe {
            spec,
            ..Probe::of("critical")
        };
        ensure!(!cluster.gates(&probe).await?, "held: {}", probe.spec);
        let labels = json!({ marks::NODE_CRITICAL: "acknowledged" });
        let acknowledged = Probe { labels, ..probe };
        ensure!(
            cluster.gates(&acknowledged).await?,
            "not held: {}",
            acknowledged.spec
        );
    }
    let ordinary = [
        json!({ "priorityClassName": "system-cluster-critical" }),
        mount("/"),
        mount("/var/lib/kubelet/pods"),
        tolerate("node.kubernetes.io/not-ready"),
        json!({ "tolerations": [{ "operator": "Exists" }] }),
    ];
    for spec in ordinary {
        let probe = Probe {
            spec,
            ..Probe::of("critical")
        };
        ensure!(cluster.gates(&probe).await?, "not held: {}", probe.spec);
    }
    Ok(())
}

pub(crate) async fn others_gates_are_kept_and_left_alone(cluster: &Cluster<'_>) -> Result<()> {
    cluster.namespace("gates", Some("enforce")).await?;
    let spec = json!({ "schedulingGates": [{ "name": "example.com/theirs" }] });
    let probe = Probe {
        spec,
        ..Probe::of("gates")
    };
    let pods = cluster.pods("gates");
    let mut pod = probe.pod()?;
    // No owner exists, and the garbage collector would take the pod away.
    let made = cluster.dry_run(&probe).await?;
    ensure!(
        gates_of(&made) == ["example.com/theirs", marks::GATE],
        "{:?}",
        gates_of(&made)
    );
    pod.spec = made.spec;
    pod.metadata.owner_references = None;
    pods.create(&PostParams::default(), &pod).await?;
    cluster.release("gates", "probe").await?;
    let left = pods.get("probe").await?;
    ensure!(
        gates_of(&left) == ["example.com/theirs"],
        "{:?}",
        gates_of(&left)
    );
    Ok(())
}

/// The expressions must stay within the cost that API servers allow them, or such pods slip through.
pub(crate) async fn a_pod_of_unusual_size_is_gated_like_any_other(
    cluster: &Cluster<'_>,
) -> Result<()> {
    cluster.namespace("unusual", Some("enforce")).await?;
    let long = format!("/{}", "directory/".repeat(40));
    let volumes: Vec<Value> = (0..200)
        .map(|n| json!({ "name": format!("v{n}"), "hostPath": { "path": format!("{long}{n}") } }))
        .collect();
    let tolerations: Vec<Value> = (0..200)
        .map(|n| json!({ "key": format!("example.com/{}{n}", "long".repeat(12)), "operator": "Exists" }))
        .collect();
    let spec = json!({ "volumes": volumes, "tolerations": tolerations });
    ensure!(
        cluster
            .gates(&Probe {
                spec,
                ..Probe::of("unusual")
            })
            .await?
    );
    Ok(())
}
