//! Rights that are taken from Weir and given back.

use anyhow::{Result, ensure};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::*;

const ROLE: &str = "weir";

#[test]
fn a_read_that_weir_may_not_make_is_named_and_holds_until_it_may() -> Result<()> {
    inside!(async {
        let (world, weir) = guarded(WorldSpec::bare(), SOAK).await?;
        world.adopted(&weir).await?;
        without_nodes(&world).await?;
        without_metrics(&world).await
    })
}

/// Nodes are watched from when a rollout is in flight.
async fn without_nodes(world: &World) -> Result<()> {
    let role = Role::of(world).await?;
    role.without(|rule| {
        remove(&mut rule.resources, "nodes");
    })
    .await?;
    let agents = world.enrol("without-nodes").await?;
    let finding = agents
        .until_held(&["EvidenceAbsent"], "may not read nodes", LIMIT)
        .await?;
    ensure!(
        finding
            .evidence
            .contains("grant it the verbs list and watch"),
        "{finding:?}"
    );
    ensure!(agents.let_through().await? == 0, "it saw no node");
    role.restore().await?;
    goes_on(agents, 0).await
}

async fn without_metrics(world: &World) -> Result<()> {
    let agents = under_way(world, "without-metrics").await?;
    let role = Role::of(world).await?;
    role.without(|rule| {
        remove(&mut rule.non_resource_urls, "/metrics");
    })
    .await?;
    let grant = "grant Weir the verb get on the nonResourceURL /metrics";
    agents.until_held(&["EvidenceAbsent"], grant, LIMIT).await?;
    let width = agents.let_through().await?;
    role.restore().await?;
    goes_on(agents, width).await
}

/// Weir's ClusterRole, and what it was.
struct Role {
    api: Api<ClusterRole>,
    rules: Vec<PolicyRule>,
}

impl Role {
    async fn of(world: &World) -> Result<Self> {
        let api: Api<ClusterRole> = Api::all(world.client());
        let rules = api.get(ROLE).await?.rules.unwrap_or_default();
        Ok(Self { api, rules })
    }

    /// Changes each rule; one that allows nothing any more goes.
    async fn without(&self, change: impl Fn(&mut PolicyRule)) -> Result<()> {
        let mut rules = self.rules.clone();
        rules.iter_mut().for_each(change);
        rules.retain(|rule| {
            let resources = rule.resources.iter().flatten().count();
            resources + rule.non_resource_urls.iter().flatten().count() > 0
        });
        ensure!(rules != self.rules, "nothing was taken away");
        self.set(&rules).await
    }

    async fn restore(&self) -> Result<()> {
        self.set(&self.rules).await
    }

    async fn set(&self, rules: &[PolicyRule]) -> Result<()> {
        let patch = Patch::Merge(json!({ "rules": rules }));
        self.api
            .patch(ROLE, &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }
}

fn remove(list: &mut Option<Vec<String>>, name: &str) {
    if let Some(list) = list {
        list.retain(|one| one != name);
    }
}
