//! Turns users and servers of a world into kubeconfig files.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::PORT;
use super::pki::Pki;

/// Who the world's own programs are to the API server; RBAC's built-in roles know these names.
const USERS: [(&str, &str, Option<&str>); 4] = [
    ("admin", "kubernetes-admin", Some("system:masters")),
    ("controller-manager", "system:kube-controller-manager", None),
    ("scheduler", "system:kube-scheduler", None),
    // The kubelets of all nodes and whatever else kwok does for them.
    ("kwok", "system:kwok", Some("system:masters")),
];

/// Writes `<name>.kubeconfig` for each user, all pointing at the first server, and
/// `admin-<n>.kubeconfig` for each server.
pub(super) fn write_all(directory: &Path, pki: &Pki, servers: &[Ipv4Addr]) -> Result<()> {
    let first = servers
        .first()
        .context("a world has at least one API server")?;
    let authority = pki.file("ca.crt");
    for (name, user, group) in USERS {
        let (certificate, key) = pki.issue_client(user, group)?;
        let paths = ["crt", "key"].map(|suffix| pki.file(&format!("{name}.{suffix}")));
        fs::write(&paths[0], certificate)?;
        fs::write(&paths[1], key)?;
        let credentials = json!({ "client-certificate": paths[0], "client-key": paths[1] });
        write(
            directory,
            name,
            &kubeconfig(&authority, *first, &credentials),
        )?;
        if name == "admin" {
            for (at, server) in servers.iter().enumerate() {
                let name = format!("admin-{}", at + 1);
                write(
                    directory,
                    &name,
                    &kubeconfig(&authority, *server, &credentials),
                )?;
            }
        }
    }
    Ok(())
}

/// A kubeconfig with one server and one user. Certificates are given by path: it is of use only
/// where the paths are, inside.
pub(super) fn kubeconfig(authority: &Path, server: Ipv4Addr, credentials: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "world",
        "contexts": [{ "name": "world", "context": { "cluster": "world", "user": "user" } }],
        "clusters": [{ "name": "world", "cluster": {
            "server": format!("https://{server}:{PORT}"),
            "certificate-authority": authority,
        }}],
        "users": [{ "name": "user", "user": credentials }],
    })
}

/// Writes `<name>.kubeconfig`. JSON is YAML too.
pub(super) fn write(directory: &Path, name: &str, config: &Value) -> Result<PathBuf> {
    let path = directory.join(format!("{name}.kubeconfig"));
    fs::write(&path, serde_json::to_vec_pretty(config)?)
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}
