//! What stands in the cluster before a rollout begins, and is cleared away after it: the workload, the
//! revision that it updates, the workload beside it, and the account that is to loop.

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;
use tokio::task::JoinSet;
use weir::api::marks;

use super::{
    Before, Bench, Plan, guard::Guard, needs, setup, story::Story, track, workload,
    workload::Workload,
};
use crate::{profile::Profile, swarm::Swarm};

/// Workloads of one experiment.
pub(super) struct Scene {
    pub(super) workload: Workload,
    pub(super) beside: Option<Workload>,
    /// Its account loops; it has pods only if it is to have a meter.
    pub(super) loops: Option<Workload>,
    /// The agents of the revision before an update, which play until this is dropped.
    _before: JoinSet<Result<()>>,
}

impl Bench {
    /// Makes everything that must stand before the rollout.
    pub(super) async fn prepare(&self, plan: &Plan, story: Story) -> Result<Scene> {
        let mut before = JoinSet::new();
        let workload = self.workload("agents");
        let mut callers = vec![&plan.profile];
        if let Some(Before::Costly(old)) = &plan.before {
            callers.push(old);
        }
        self.provide(&workload, &callers, story).await?;
        if let Some(old) = &plan.before {
            self.runs_before(&workload, story).await?;
            if let Before::Costly(old) = old {
                let swarm = Arc::new(self.swarm(old, &workload).await?);
                let client = self.world.client();
                track::play(
                    &workload.namespace,
                    workload::BEFORE,
                    &swarm,
                    (&client, &mut before),
                );
                story.tell(&format!("they are agents of {}", old.name));
            }
        }
        let beside = match &plan.beside {
            Some(profile) => {
                let workload = self.workload("beside");
                self.provide(&workload, &[profile], story).await?;
                Some(workload)
            }
            None => None,
        };
        let loops = match &plan.loops {
            Some(loops) => {
                let workload = self.workload("loops");
                self.provide(&workload, &[&loops.profile], story).await?;
                if loops.metered {
                    self.runs_before(&workload, story).await?;
                }
                Some(workload)
            }
            None => None,
        };
        Ok(Scene {
            workload,
            beside,
            loops,
            _before: before,
        })
    }

    /// Starts Weir and enrols what it is to guard.
    pub(super) async fn guard(
        &self,
        plan: &Plan,
        scene: &Scene,
        story: Story,
    ) -> Result<Option<Guard>> {
        let Some(policy) = &plan.guard else {
            return Ok(None);
        };
        let client = self.world.client();
        let guard = Guard::start(&self.world, policy).await?;
        let metered = plan.loops.as_ref().is_some_and(|loops| loops.metered);
        let loops = scene.loops.as_ref().filter(|_| metered);
        let enrolled = [Some(&scene.workload), scene.beside.as_ref(), loops];
        for workload in enrolled.into_iter().flatten() {
            let labels = json!({marks::GUARD: "enforce"});
            setup::namespace(&client, &workload.namespace, labels).await?;
        }
        let updated = plan.before.is_some().then_some(&scene.workload);
        for workload in [updated, loops].into_iter().flatten() {
            let revision = workload.revision_key().await?;
            guard.adopted(&client, &revision).await?;
        }
        story.tell(&format!("Weir is ready; pace {:?}", policy.pace));
        Ok(Some(guard))
    }

    /// Clears away what was rolled out.
    pub(super) async fn clear(&self, plan: &Plan, scene: Scene) -> Result<()> {
        scene.workload.delete().await?;
        if let Some(beside) = scene.beside {
            beside.delete().await?;
        }
        let metered = plan.loops.as_ref().is_some_and(|loops| loops.metered);
        match scene.loops.filter(|_| metered) {
            Some(loops) => loops.delete().await,
            None => Ok(()),
        }
    }

    /// A swarm of these agents, with the workload's account.
    pub(super) async fn swarm(&self, profile: &Profile, workload: &Workload) -> Result<Swarm> {
        let token = self.world.token(&workload.namespace, setup::ACCOUNT);
        Swarm::start(profile.clone(), self.servers.clone(), token.await?.into())
    }

    fn workload(&self, what: &str) -> Workload {
        Workload::new(self.world.client(), &format!("{what}-{}", self.runs))
    }

    /// Makes the account that makes these agents' calls, and what they need.
    async fn provide(
        &self,
        workload: &Workload,
        profiles: &[&Profile],
        story: Story,
    ) -> Result<()> {
        let client = self.world.client();
        setup::agents(&client, &workload.namespace, profiles).await?;
        let mut made = 0;
        for profile in profiles {
            made += needs::provide(&client, &profile.needs, (self.nodes, self.pods)).await?;
        }
        if made > 0 {
            story.tell(&format!("made {made} objects that the agents need"));
        }
        Ok(())
    }

    async fn runs_before(&self, workload: &Workload, story: Story) -> Result<()> {
        workload.roll_out(workload::BEFORE).await?;
        workload.runs_everywhere(self.nodes).await?;
        story.tell(&format!(
            "a first revision runs on all {} nodes, in {}",
            self.nodes, workload.namespace
        ));
        Ok(())
    }
}
