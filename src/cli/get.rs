//! `kubectl weir get`: Weir's objects as tables, or as they are.

use std::io::Write;

use clap::{Args, Subcommand};
use kube::{Api, api::ListParams};
use serde::Serialize;

use super::{
    FINE, Outcome,
    connect::{ALL_ROLLOUTS, ClusterArgs, Connection, ROLLOUTS},
    error::CliError,
    find,
    output::{Output, Shown, json, rollout_name, show, yaml},
};
use crate::{
    api::GuardedRollout,
    client::{is_missing, list_all},
    view::rollouts::{Row, Scope, rows, table},
};

/// Lists Weir's objects as `kubectl get` does, in a fixed order
#[derive(Debug, Clone, Args)]
pub(super) struct GetArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    Rollouts(RolloutsArgs),
}

/// Lists GuardedRollouts by namespace and name
///
/// Of one namespace, the context's if none is given, or of all with -A. The columns are those of
/// `kubectl get guardedrollouts`.
#[derive(Debug, Clone, Args)]
#[command(alias = "rollout", alias = "gro", alias = "guardedrollouts")]
struct RolloutsArgs {
    /// Only these: names of GuardedRollouts, or of DaemonSets: NAME or daemonset/NAME
    names: Vec<String>,
    /// How to show it
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    /// Keep `metadata.managedFields` in JSON and YAML
    #[arg(long)]
    show_managed_fields: bool,
}

/// GuardedRollouts, as kubectl prints several objects.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<GuardedRollout>,
    #[serde(skip)]
    rows: Vec<Row>,
    #[serde(skip)]
    scope: Scope,
}

impl Shown for List {
    fn text(&self, wide: bool) -> String {
        table(&self.rows, self.scope, wide)
    }

    fn names(&self) -> Vec<String> {
        let names = self.rows.iter();
        names.map(|row| rollout_name(&row.name)).collect()
    }
}

/// Asks, sorts and renders.
pub(super) async fn get(cluster: &ClusterArgs, args: &GetArgs) -> Result<Outcome, CliError> {
    let What::Rollouts(args) = &args.what;
    let (connection, items) = if args.names.is_empty() {
        let connection = cluster.connect().await?;
        let items = all(&connection, cluster.all_namespaces()).await?;
        (connection, items)
    } else {
        let connection = cluster.connect_to_one().await?;
        let mut items = Vec::new();
        for name in &args.names {
            items.push(find::rollout(&connection, name).await?);
        }
        (connection, items)
    };
    let scope = if cluster.all_namespaces() {
        Scope::Cluster
    } else {
        Scope::Namespace
    };
    if items.is_empty() && matches!(args.output, Output::Text | Output::Wide) {
        // As for kubectl: whoever reads rows reads none.
        drop(anstream::stderr().write_all(nothing(scope, &connection.namespace).as_bytes()));
        return Ok(Outcome {
            text: String::new(),
            code: FINE,
        });
    }
    Ok(Outcome {
        text: shown(list(items, scope, &connection), args)?,
        code: FINE,
    })
}

/// The list in the form that was asked for.
fn shown(mut list: List, args: &RolloutsArgs) -> Result<String, CliError> {
    if !args.show_managed_fields {
        for one in &mut list.items {
            one.metadata.managed_fields = None;
        }
    }
    match (args.names.len(), list.items.as_slice(), args.output) {
        // One that is named is no list, as for kubectl.
        (1, [one], Output::Json) => json(one),
        (1, [one], Output::Yaml) => yaml(one),
        _ => show(&list, args.output),
    }
}

fn nothing(scope: Scope, namespace: &str) -> String {
    match scope {
        Scope::Cluster => {
            "No rollouts found: no enrolled DaemonSet has a new revision.\n".to_owned()
        }
        Scope::Namespace => {
            format!("No rollouts found in namespace {namespace}; -A looks in all.\n")
        }
    }
}

fn list(mut items: Vec<GuardedRollout>, scope: Scope, connection: &Connection) -> List {
    items.sort_by_cached_key(|one| (one.metadata.namespace.clone(), one.metadata.name.clone()));
    items.dedup_by_key(|one| (one.metadata.namespace.clone(), one.metadata.name.clone()));
    List {
        api_version: "v1",
        kind: "List",
        rows: rows(&items, connection.clock.now()),
        items,
        scope,
    }
}

/// All of them, page by page.
pub(super) async fn all(
    connection: &Connection,
    all_namespaces: bool,
) -> Result<Vec<GuardedRollout>, CliError> {
    let client = connection.client.clone();
    let (api, needs): (Api<GuardedRollout>, _) = if all_namespaces {
        (Api::all(client), ALL_ROLLOUTS)
    } else {
        (Api::namespaced(client, &connection.namespace), ROLLOUTS)
    };
    match list_all(&api, ListParams::default()).await {
        Err(error) if is_missing(&error) => Err(CliError::NotInstalled),
        list => list.map_err(|error| connection.unanswered(error, needs)),
    }
}

#[cfg(test)]
mod tests;
