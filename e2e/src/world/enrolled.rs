//! A DaemonSet that Weir guards, and what Weir says of it, for tests that wait for what it does.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use weir::api::{Finding, GuardedRollout, GuardedRolloutStatus, RolloutPolicySpec, State, marks};

use super::approvals::Approvals;
use super::{WeirProcess, World, wait};
use crate::gates::is_gated;

/// Between two looks at what is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long Weir may take until it holds what is new: API servers need less than a second for the
/// gate, and a machine that others use too takes many times as long.
const ADOPTED_WITHIN: Duration = Duration::from_mins(2);

/// The DaemonSet's name.
const NAME: &str = "agent";

/// A guarded DaemonSet in a namespace of its own, which is also its name for people.
#[derive(Clone)]
pub struct Enrolled {
    client: Client,
    namespace: String,
}

impl World {
    /// Waits until Weir has adopted what runs and holds what is new.
    ///
    /// # Errors
    /// It has ended, or it takes too long; with the end of its log.
    pub async fn adopted(&self, weir: &WeirProcess) -> Result<()> {
        let began = Instant::now();
        while !Approvals::read(&self.client())
            .await?
            .is_some_and(|said| said.adopted)
        {
            weir.program.check()?;
            if began.elapsed() > ADOPTED_WITHIN {
                bail!("Weir has not adopted:\n{}", weir.program.log_end());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Says how all rollouts are paced and judged from now on.
    ///
    /// # Errors
    /// The API server refuses the policy.
    pub async fn policy(&self, spec: &RolloutPolicySpec) -> Result<()> {
        let policy = json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "RolloutPolicy",
            "metadata": { "name": "world" }, "spec": spec,
        });
        self.apply(&policy.to_string()).await
    }

    /// Creates a namespace that enforces, and, once pods can be created in it, a DaemonSet for all
    /// nodes.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn enrol(&self, namespace: &str) -> Result<Enrolled> {
        let labels = json!({ marks::GUARD: "enforce" });
        let made = json!({ "metadata": { "name": namespace, "labels": labels } });
        let made: Namespace = serde_json::from_value(made)?;
        Api::all(self.client())
            .create(&PostParams::default(), &made)
            .await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        wait::reach(1, "default ServiceAccounts", async || {
            Ok(usize::from(accounts.get_opt("default").await?.is_some()))
        })
        .await?;
        let enrolled = Enrolled {
            client: self.client(),
            namespace: namespace.to_owned(),
        };
        let daemon_set: DaemonSet = serde_json::from_value(json!({
            "metadata": { "name": NAME },
            "spec": {
                "selector": { "matchLabels": { "app": NAME } },
                "template": {
                    "metadata": { "labels": { "app": NAME } },
                    "spec": { "containers": [{ "name": NAME, "image": "none.invalid/agent:1" }] },
                },
            },
        }))?;
        enrolled
            .daemon_sets()
            .create(&PostParams::default(), &daemon_set)
            .await?;
        Ok(enrolled)
    }
}

impl Enrolled {
    /// Waits until what Weir says of the newest revision is as wanted, and returns that.
    ///
    /// # Errors
    /// Not within `limit`; the message has what Weir says instead.
    pub async fn until(
        &self,
        what: &str,
        limit: Duration,
        is: impl Fn(&GuardedRolloutStatus) -> bool,
    ) -> Result<GuardedRolloutStatus> {
        let began = Instant::now();
        loop {
            // An API server that restarts or hangs is what some tests are about.
            let status = self.status().await;
            if let Ok(Some(status)) = &status
                && is(status)
            {
                return Ok(status.clone());
            }
            if began.elapsed() > limit {
                bail!(
                    "{}: not within {limit:?}: {what}; {status:#?}",
                    self.namespace
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the rollout is held, with a finding by one of these rules whose subject or evidence
    /// contains `says`; returns the finding.
    ///
    /// # Errors
    /// As [`Enrolled::until`].
    pub async fn until_held(&self, rules: &[&str], says: &str, limit: Duration) -> Result<Finding> {
        let found = |status: &GuardedRolloutStatus| {
            let mut findings = status.findings.iter();
            findings
                .find(|finding| {
                    rules.contains(&finding.reason.as_str())
                        && (finding.subject.contains(says) || finding.evidence.contains(says))
                })
                .cloned()
        };
        let is = |status: &GuardedRolloutStatus| {
            status.state == Some(State::Held) && found(status).is_some()
        };
        let what = format!("held by {rules:?} that says `{says}`");
        let status = self.until(&what, limit, is).await?;
        found(&status).context("it has just been found")
    }

    /// Waits until more than `width` pods are let through.
    ///
    /// # Errors
    /// As [`Enrolled::until`].
    pub async fn until_wider(&self, width: u32, limit: Duration) -> Result<GuardedRolloutStatus> {
        let what = format!("wider than {width}");
        self.until(&what, limit, |status| status.width > width)
            .await
    }

    /// How many pods the gate does not hold, as the API server knows.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn let_through(&self) -> Result<usize> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let pods = pods.list(&ListParams::default()).await?;
        Ok(pods.iter().filter(|pod| !is_gated(pod)).count())
    }

    /// Deletes the DaemonSet, so that its rollout is no longer in flight.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn end(self) -> Result<()> {
        self.daemon_sets()
            .delete(NAME, &DeleteParams::background())
            .await?;
        Ok(())
    }

    /// What Weir says of the revision that is not superseded.
    async fn status(&self) -> Result<Option<GuardedRolloutStatus>> {
        let rollouts: Api<GuardedRollout> = Api::namespaced(self.client.clone(), &self.namespace);
        let rollouts = rollouts.list(&ListParams::default()).await?;
        let mut statuses = rollouts.into_iter().filter_map(|rollout| rollout.status);
        Ok(statuses.find(|status| status.state != Some(State::Superseded)))
    }

    fn daemon_sets(&self) -> Api<DaemonSet> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}
