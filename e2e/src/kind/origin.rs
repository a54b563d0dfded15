//! Where a cluster comes from, and how images get onto its nodes.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::engine::Engine;
use super::{repository, run};

/// What the cluster is called that is made here.
const NAME: &str = "weir-e2e";

/// The images, by their archives' names; `make image image-agent` writes them.
const IMAGES: [&str; 2] = ["weir.tar", "weir-agent.tar"];

/// Where a node keeps the audit log of its API server.
pub(super) const AUDIT_LOG: &str = "/var/log/kubernetes/audit.log";

/// Whose cluster it is.
pub(super) enum Origin {
    /// Somebody's.
    Given {
        kubeconfig: PathBuf,
        /// Puts the image archives on the nodes that are appended to it.
        load: String,
        /// Prints the audit log, if there is one.
        audit: Option<String>,
    },
    /// Made here.
    Kindlab {
        script: PathBuf,
        /// It is left as it is in the end, and taken as it is at the beginning.
        keeps: bool,
        /// The docker engine that its nodes are containers of, once it was looked for.
        engine: Option<Engine>,
    },
}

impl Origin {
    /// Looks where a cluster can be had.
    pub(super) fn find() -> Result<Self> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let script = repository().join("../shared/kindlab/kindlab");
        match (set("E2E_KUBECONFIG"), set("E2E_LOAD")) {
            (Some(kubeconfig), Some(load)) => Ok(Self::Given {
                kubeconfig: PathBuf::from(kubeconfig),
                load,
                audit: set("E2E_AUDIT_LOG"),
            }),
            (Some(_), None) => bail!(
                "E2E_KUBECONFIG is set and E2E_LOAD is not: set it to the command that puts image \
                 archives on the nodes, such as E2E_LOAD='kind load image-archive --name NAME'"
            ),
            (None, Some(_)) => bail!(
                "E2E_LOAD is set and E2E_KUBECONFIG is not: set it to the kubeconfig of the cluster"
            ),
            (None, None) if script.is_file() => Ok(Self::Kindlab {
                script,
                keeps: set("E2E_KEEP").is_some(),
                engine: None,
            }),
            (None, None) => bail!(
                "there is no cluster: make one (kind create cluster --name NAME), and set \
                 E2E_KUBECONFIG to its kubeconfig and E2E_LOAD to the command that puts image \
                 archives on its nodes (kind load image-archive --name NAME)"
            ),
        }
    }

    /// The kubeconfig of the cluster, once it is there.
    pub(super) async fn bring_up(&mut self, directory: &Path) -> Result<PathBuf> {
        let (script, keeps, engine) = match self {
            Self::Given { kubeconfig, .. } => {
                ensure!(
                    kubeconfig.is_file(),
                    "E2E_KUBECONFIG={} is no file",
                    kubeconfig.display()
                );
                return Ok(kubeconfig.clone());
            }
            Self::Kindlab {
                script,
                keeps,
                engine,
            } => (script, *keeps, engine),
        };
        let answers = run::run(Path::new("docker"), &["info"]).await.is_ok();
        // Whoever is interrupted from here on stops what was started.
        let engine = engine.insert(Engine::before(directory, answers)?);
        let policy = directory.join("audit-policy.yaml");
        std::fs::write(&policy, include_str!("../world/audit-policy.yaml"))?;
        let config = directory.join("cluster.yaml");
        std::fs::write(&config, cluster_config(&policy))?;
        let config = config.display().to_string();
        let mut arguments = vec!["up", NAME, "--config", config.as_str()];
        if keeps {
            arguments.push("--reuse");
        }
        let printed = run::shown(script, &arguments).await;
        engine.started()?;
        let printed = printed?;
        let path = printed
            .lines()
            .next_back()
            .context("kindlab names no file")?;
        Ok(PathBuf::from(path))
    }

    /// Puts image archives on every node.
    pub(super) async fn load(&self, archives: &[PathBuf]) -> Result<()> {
        let archives = archives.iter().map(|path| path.display().to_string());
        let archives: Vec<String> = archives.collect();
        match self {
            Self::Given { load, .. } => {
                let line = format!("{load} \"$@\"");
                let mut arguments = vec!["-c", line.as_str(), "load"];
                arguments.extend(archives.iter().map(String::as_str));
                run::run(Path::new("sh"), &arguments).await.map(drop)
            }
            Self::Kindlab { script, .. } => {
                for archive in &archives {
                    let docker = Path::new("docker");
                    let printed = run::run(docker, &["load", "--input", archive.as_str()]).await?;
                    let named = printed
                        .lines()
                        .find_map(|line| line.strip_prefix("Loaded image: "));
                    let name = named.with_context(|| format!("docker load says: {printed}"))?;
                    run::run(script, &["load", NAME, name]).await?;
                }
                Ok(())
            }
        }
    }

    /// The audit log's owner: a command that prints it, or none where nodes have it.
    pub(super) fn audit(&self) -> Audit<'_> {
        match self {
            Self::Given { audit, .. } => match audit {
                Some(line) => Audit::Printed(line),
                None => Audit::None,
            },
            Self::Kindlab { .. } => Audit::OnNodes,
        }
    }

    /// Whether somebody made it, who may have more in it than we know.
    pub(super) fn is_given(&self) -> bool {
        matches!(self, Self::Given { .. })
    }

    /// Whether it is still there after this is dropped.
    pub(super) fn stays(&self) -> bool {
        match self {
            Self::Given { .. } => true,
            Self::Kindlab { keeps, .. } => *keeps,
        }
    }
}

impl Drop for Origin {
    /// Removes what was made, as far as it can be.
    fn drop(&mut self) {
        let Self::Kindlab {
            script,
            keeps: false,
            engine,
        } = self
        else {
            return;
        };
        // Without one nothing was begun.
        if let Some(engine) = engine {
            blocking(script, &["down", NAME]);
            engine.stop(script);
        }
    }
}

/// Where the audit log is.
pub(super) enum Audit<'a> {
    /// Nobody keeps one.
    None,
    /// A command prints it.
    Printed(&'a str),
    /// At [`AUDIT_LOG`] of each control plane.
    OnNodes,
}

/// The archives that were built.
pub(super) fn images() -> Result<Vec<PathBuf>> {
    let given = std::env::var_os("E2E_IMAGES").filter(|value| !value.is_empty());
    let directory = given.map_or_else(|| repository().join("target/image"), PathBuf::from);
    let paths = IMAGES.map(|name| directory.join(name));
    for path in &paths {
        ensure!(
            path.is_file(),
            "{} does not exist: `make image image-agent` builds it",
            path.display()
        );
    }
    Ok(paths.to_vec())
}

/// Runs a program for what it does, where nothing can be awaited and nothing more can be done.
pub(super) fn blocking(program: &Path, arguments: &[&str]) {
    let ended = Command::new(program)
        .args(arguments)
        // Whoever presses Ctrl-C a second time wants it done, too.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    drop(ended);
}

/// One control plane that keeps an audit log, and two workers; the rest is what kindlab needs. kind turns
/// the map of `extraArgs` into what the version of kubeadm takes.
fn cluster_config(policy: &Path) -> String {
    let policy = policy.display();
    format!(
        "
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
networking: {{ disableDefaultCNI: true }}
featureGates: {{ KubeletInUserNamespace: true }}
nodes:
- role: control-plane
  extraMounts:
  - hostPath: {policy}
    containerPath: /etc/kubernetes/audit/policy.yaml
    readOnly: true
  kubeadmConfigPatches:
  - |
    kind: ClusterConfiguration
    apiServer:
      extraArgs:
        audit-policy-file: /etc/kubernetes/audit/policy.yaml
        audit-log-path: {AUDIT_LOG}
      extraVolumes:
      - name: audit-policy
        hostPath: /etc/kubernetes/audit
        mountPath: /etc/kubernetes/audit
        readOnly: true
        pathType: DirectoryOrCreate
      - name: audit-log
        hostPath: /var/log/kubernetes
        mountPath: /var/log/kubernetes
        readOnly: false
        pathType: DirectoryOrCreate
- role: worker
- role: worker
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  failCgroupV1: false
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_ours_keeps_what_kindlab_needs_and_an_audit_log() -> Result<()> {
        let text = cluster_config(Path::new("/somewhere/policy.yaml"));
        let config: serde_json::Value = serde_saphyr::from_str(&text)?;
        assert_eq!(config["networking"]["disableDefaultCNI"], true);
        assert_eq!(config["featureGates"]["KubeletInUserNamespace"], true);
        assert_eq!(config["nodes"].as_array().map(Vec::len), Some(3));
        let mount = &config["nodes"][0]["extraMounts"][0];
        assert_eq!(mount["hostPath"], "/somewhere/policy.yaml");
        let kubelet = config["kubeadmConfigPatches"][0].as_str();
        assert!(kubelet.is_some_and(|patch| patch.contains("failCgroupV1: false")));
        let server = config["nodes"][0]["kubeadmConfigPatches"][0].as_str();
        let server: serde_json::Value = serde_saphyr::from_str(server.context("a patch")?)?;
        let arguments = &server["apiServer"]["extraArgs"];
        assert_eq!(arguments["audit-log-path"], AUDIT_LOG);
        assert_eq!(arguments["audit-policy-file"], mount["containerPath"]);
        Ok(())
    }
}
