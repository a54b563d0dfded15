//! What people's roles let them do, by an API server's own word.

use anyhow::{Context, Result, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use weir_e2e::world::approvals::{ROLE, approval};

use super::cluster::{Cluster, SOON};

/// Two people, and a rollout that they could do something with.
const PEOPLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: people-approver }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: weir-approver }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: User, name: approver }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: people-operator }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: weir-operator }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: User, name: operator }]
---
apiVersion: weir.dev/v1alpha1
kind: GuardedRollout
metadata: { name: people, namespace: default }
spec:
  workload: { kind: DaemonSet, name: people, uid: people }
  revision: 5d4f
";

pub(crate) async fn an_approver_may_add_to_the_approvals_and_an_operator_may_only_pause(
    cluster: &Cluster<'_>,
) -> Result<()> {
    let world = cluster.world;
    world.apply(PEOPLE).await?;
    let before = cluster.roles().get(ROLE).await?;
    let patch_role = async |user: &str, patch: &str| {
        let user = format!("--as={user}");
        let words = [
            "patch",
            "role",
            ROLE,
            "-n",
            "weir-system",
            "--type=json",
            "-p",
            patch,
            &user,
        ];
        world.kubectl(&words).await
    };
    let approval = approval("people.5d4f").to_string();
    // Rights take a moment to be known.
    super::eventually("the approver's right", SOON, async || {
        Ok(patch_role("approver", &approval).await.is_ok())
    })
    .await?;
    let secrets = json!({ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] });
    let secrets = json!([{ "op": "add", "path": "/rules/-", "value": secrets }]).to_string();
    for (user, patch) in [("approver", &secrets), ("operator", &approval)] {
        let refused = patch_role(user, patch).await.err();
        let said = refused.with_context(|| format!("the {user} may write {patch}"))?;
        ensure!(format!("{said:#}").contains("orbidden"), "{said:#}");
    }

    let words = ["patch", "guardedrollout", "people", "-n", "default"];
    let pause = r#"{"spec":{"paused":true}}"#;
    let pause = [&words[..], &["--type=merge", "-p", pause, "--as=operator"]].concat();
    super::eventually("the operator's right", SOON, async || {
        Ok(world.kubectl(&pause).await.is_ok())
    })
    .await?;

    let patch = Patch::Merge(json!({ "rules": before.rules }));
    let roles = cluster.roles();
    roles.patch(ROLE, &PatchParams::default(), &patch).await?;
    let words = ["delete", "guardedrollout", "people", "-n", "default"];
    world.kubectl(&words).await?;
    cluster.in_force().await
}
