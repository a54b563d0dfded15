//! A populated store, kept so that the next world of the same shape need not be populated again.
//!
//! It is what etcd held once the nodes were ready and the pods ran, on the same tmpfs as the worlds,
//! and gone with them: it never comes from another machine, version or program.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::Client;
use kube::api::{DeleteParams, ListParams};

use super::process::Program;
use super::{WorldSpec, enter};

/// etcd's own layout.
const DATA: &str = "etcd/member";

/// Where the store of worlds of this shape is kept.
pub(super) fn place(spec: &WorldSpec) -> Result<PathBuf> {
    let WorldSpec {
        nodes,
        pods,
        api_servers,
        ..
    } = spec;
    let name = format!("stock-{nodes}-nodes-{pods}-pods-{api_servers}-servers");
    Ok(enter::inside()?.directory.join(name))
}

/// Copies what etcd holds now. It is stopped meanwhile, so that its files are of one moment: as after
/// a crash of the process, which etcd's log is made for.
pub(super) fn keep(world: &Path, etcd: &Program, stock: &Path) -> Result<()> {
    etcd.pause()?;
    let unfinished = stock.with_extension("copying");
    let copied = copy(&world.join(DATA), &unfinished).context("copying the store");
    etcd.resume()?;
    copied?;
    fs::rename(&unfinished, stock).context("keeping the store")
}

/// Gives a world that has not started yet the store.
pub(super) fn restore(stock: &Path, world: &Path) -> Result<()> {
    copy(stock, &world.join(DATA)).context("taking over the store of an earlier world")
}

/// Nobody renews the Leases of the earlier world's nodes any more, and the new kubelets would wait
/// for them to expire.
pub(super) async fn forget_leases(client: Client) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(client, "kube-node-lease");
    leases
        .delete_collection(&DeleteParams::default(), &ListParams::default())
        .await
        .map(drop)
        .context("deleting the Leases of an earlier world's nodes")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
