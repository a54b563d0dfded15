//! A cluster that is guarded by the real operator, as tests act on it and look at it.
//!
//! Everything goes through the API, as a person's kubectl would; nothing here knows how Weir works.
//! Every wait is on a state that must come, with a limit that only says that it never will.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::FutureExt;
use futures::future::{LocalBoxFuture, join_all};
use k8s_openapi::api::core::v1::{Event, Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use weir::api::{ControlPlane, RolloutPolicy, SINGLETON, State, marks};

use crate::kubectl::Kubectl;
use crate::world::approvals::Approvals;
use crate::world::{Ceiling, WeirProcess, World};

mod logs;
mod measured;

pub use logs::{Count, Logs, Shape};
pub use measured::{Measured, Server};

/// What a whole rollout may take on a machine that others use too.
pub const LIMIT: Duration = Duration::from_mins(3);

/// Long enough to see that nothing happens: Weir looks every five seconds when nothing rolls out,
/// and tells what it has seen within three more.
pub const A_WHILE: Duration = Duration::from_secs(8);

/// What an API server may do that shares one core with other people's work, and is not to be forecast
/// from. Of two policies the stricter applies: whatever applies beside `quick` says this too.
pub const PATIENCE: &str = "forecast: { act: Tell }\n\
                            harm: { latencyFloor: 1s, latencyFactor: 100, queued: 1000, \
                            rejectedPerSecond: 1000, restartQuiet: 1s, clearAfter: 1s }";

/// The label of what is made here, namespaces, policies and rights: by it alone they are told from what
/// somebody else has in a cluster. Its value is the namespace, or the policy's name.
pub const LABEL: &str = "e2e.weir.dev/stage";

/// The policy that applies to everything.
pub const QUICK: &str = "quick";

/// The policy [`QUICK`], for everything: two waves that take seconds. 10 pods go out as 1 and 10. What
/// a test wants to see in the middle has a policy of its own beside it, which is stricter.
#[must_use]
pub fn quick() -> String {
    format!(
        "
apiVersion: weir.dev/v1alpha1
kind: RolloutPolicy
metadata: {{ name: {QUICK}, labels: {{ {LABEL}: {QUICK} }} }}
spec:
  pace: Fast
  soak: 2s
  waves: {{ canary: 5%, growth: 10, maxStep: 100%, releasesPerSecond: 50 }}
  pods: {{ unhealthy: 20% }}
  required: {{ apiServers: 1 }}
  {}
",
        PATIENCE.replace('\n', "\n  ")
    )
}

/// Where a stage stands.
pub trait Ground {
    /// kubectl as the administrator.
    fn commands(&self) -> Kubectl;

    /// An error if something has ended that everything else stands on.
    fn stands(&self) -> Result<()>;
}

impl Ground for World {
    fn commands(&self) -> Kubectl {
        World::commands(self)
    }

    fn stands(&self) -> Result<()> {
        self.check()
    }
}

/// A world, or another cluster, with Weir in it.
pub struct Stage<'a, G = World> {
    /// The world.
    pub world: &'a G,
    /// The administrator.
    pub admin: Client,
}

/// One case of a test, by its name.
pub type Case<'a> = (&'static str, LocalBoxFuture<'a, Result<()>>);

impl<'a> Stage<'a, World> {
    /// Installs Weir with the policy `quick` for everything, and starts it with mode `enforce`.
    pub async fn set(world: &'a World) -> Result<(Self, WeirProcess)> {
        Self::set_with(world, &[]).await
    }

    /// The same, with these flags besides.
    pub async fn set_with(world: &'a World, flags: &[&str]) -> Result<(Self, WeirProcess)> {
        world.install_weir(Ceiling::Enforce).await?;
        world.apply(&quick()).await?;
        let weir = world.start_weir(Ceiling::Enforce, flags).await?;
        let admin = world.client();
        let stage = Self { world, admin };
        eventually("the valve is adopted", async || {
            Ok(stage.approvals().await?.adopted)
        })
        .await?;
        Ok((stage, weir))
    }
}

impl<G: Ground> Stage<'_, G> {
    /// What is approved; nothing, and not adopted, where no Role says so.
    pub async fn approvals(&self) -> Result<Approvals> {
        Ok(Approvals::read(&self.admin).await?.unwrap_or_default())
    }

    /// Creates a namespace with this enrolment, and waits until pods can be created in it.
    pub async fn namespace(&self, name: &str, guard: Option<&str>) -> Result<()> {
        let mut labels: BTreeMap<_, _> = guard.iter().map(|mode| (marks::GUARD, *mode)).collect();
        labels.insert(LABEL, name);
        let namespace = json!({ "metadata": { "name": name, "labels": labels } });
        let namespace: Namespace = serde_json::from_value(namespace)?;
        Api::all(self.admin.clone())
            .create(&PostParams::default(), &namespace)
            .await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin.clone(), name);
        eventually("a default ServiceAccount", async || {
            Ok(accounts.get_opt("default").await?.is_some())
        })
        .await
    }

    /// The DaemonSet `logs` in a new namespace that enforces.
    pub async fn logs(&self, namespace: &str, shape: &Shape) -> Result<Logs> {
        self.namespace(namespace, Some("enforce")).await?;
        Logs::create(self, namespace, shape).await
    }

    /// The same once its first wave is out and soaks, `below` so many pods; its revision, too.
    ///
    /// # Errors
    /// That does not happen.
    pub async fn soaking(&self, namespace: &str, below: u32) -> Result<(Logs, String)> {
        let logs = self.logs(namespace, &Shape::default()).await?;
        let revision = logs.revision().await?;
        logs.until(&revision, "its first wave soaks", |status| {
            status.state == Some(State::Soaking) && status.width < below
        })
        .await?;
        Ok((logs, revision))
    }

    /// Waits until a policy's condition has this reason; returns its status and message.
    pub async fn policy_says(
        &self,
        policy: &str,
        condition: &str,
        reason: &str,
    ) -> Result<(String, String)> {
        let policies: Api<RolloutPolicy> = Api::all(self.admin.clone());
        said(&format!("policy {policy}"), condition, reason, async || {
            let status = policies.get(policy).await?.status;
            Ok(status.unwrap_or_default().conditions)
        })
        .await
    }

    /// Waits until the ControlPlane's condition has this reason; returns its status and message.
    pub async fn control_plane_says(
        &self,
        condition: &str,
        reason: &str,
    ) -> Result<(String, String)> {
        let control_planes: Api<ControlPlane> = Api::all(self.admin.clone());
        said("the ControlPlane", condition, reason, async || {
            let status = control_planes.get(SINGLETON).await?.status;
            Ok(status.unwrap_or_default().conditions)
        })
        .await
    }

    /// How often an event with this reason about an object of this name was told so far.
    pub async fn times_told(&self, namespace: &str, name: &str, reason: &str) -> Result<i32> {
        let events: Api<Event> = Api::namespaced(self.admin.clone(), namespace);
        let fields = format!("reason={reason},involvedObject.name={name}");
        let events = events.list(&ListParams::default().fields(&fields)).await?;
        // What is told again soon is the same event, which counts itself.
        let times = events.into_iter().map(|event| {
            let series = event.series.and_then(|series| series.count);
            series.unwrap_or(1)
        });
        Ok(times.sum())
    }

    /// Waits for an event with this reason about an object of this name; returns its note.
    pub async fn event(&self, namespace: &str, name: &str, reason: &str) -> Result<String> {
        let events: Api<Event> = Api::namespaced(self.admin.clone(), namespace);
        let fields = format!("reason={reason},involvedObject.name={name}");
        let fields = ListParams::default().fields(&fields);
        let mut found = None;
        eventually(
            &format!("an event {reason} about {namespace}/{name}"),
            async || {
                found = events.list(&fields).await?.items.pop();
                Ok(found.is_some())
            },
        )
        .await?;
        let event = found.context("there is one")?;
        event.message.context("an event without a note")
    }

    /// Runs cases beside each other, each in namespaces of its own.
    ///
    /// # Errors
    /// All that failed, with what the cluster looked like.
    pub async fn run(&self, cases: Vec<Case<'_>>) -> Result<()> {
        let run = cases.into_iter().map(|(name, case)| async move {
            let failed = case.await.err()?;
            Some(format!("{name}: {failed:?}"))
        });
        let failed: Vec<_> = join_all(run).await.into_iter().flatten().collect();
        if failed.is_empty() {
            return self.world.stands();
        }
        let look = [
            "get",
            "guardedrollouts,daemonsets,events",
            "-A",
            "-o",
            "wide",
        ];
        let seen = self.world.commands().run(&look).await;
        let seen = seen.unwrap_or_default();
        bail!(
            "{} cases failed:\n{}\n\n{seen}",
            failed.len(),
            failed.join("\n")
        )
    }
}

/// Waits until a condition of an object has this reason; returns its status and message.
async fn said(
    whose: &str,
    condition: &str,
    reason: &str,
    mut conditions: impl AsyncFnMut() -> Result<Vec<Condition>>,
) -> Result<(String, String)> {
    let mut said = None;
    eventually(&format!("{whose} is {reason}"), async || {
        let mut all = conditions().await?.into_iter();
        said = all.find(|one| one.type_ == condition && one.reason == reason);
        Ok(said.is_some())
    })
    .await?;
    let said = said.context("it was said")?;
    Ok((said.status, said.message))
}

/// A case, for [`Stage::run`].
pub fn case<'a>(name: &'static str, run: impl Future<Output = Result<()>> + 'a) -> Case<'a> {
    (name, run.boxed_local())
}

/// Names cases by their functions, each of which takes the stage.
///
/// ```ignore
/// stage.run(cases!(&stage; waves::canary_first, ends::deleted)).await
/// ```
#[macro_export]
macro_rules! cases {
    ($stage:expr; $($module:ident :: $case:ident),+ $(,)?) => {
        vec![$($crate::stage::case(stringify!($case), $module::$case($stage))),+]
    };
}

/// A RolloutPolicy beside `quick`, for the namespaces of these names; `spec` is more lines of it, such
/// as `soak: 1m`.
#[must_use]
pub fn policy_for(name: &str, namespaces: &[&str], spec: &str) -> String {
    let namespaces = namespaces.join(", ");
    let spec = spec.replace('\n', "\n  ");
    format!(
        "
apiVersion: weir.dev/v1alpha1
kind: RolloutPolicy
metadata: {{ name: {name}, labels: {{ {LABEL}: {name} }} }}
spec:
  workloads:
    namespaceSelector:
      matchExpressions: [{{ key: {LABEL}, operator: In, values: [{namespaces}] }}]
  {spec}
"
    )
}

/// Asks until the answer is yes. What an API server did not answer is asked again.
///
/// # Errors
/// Not within [`LIMIT`]; or whatever else went wrong, at once.
pub async fn eventually(what: &str, mut ask: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    loop {
        let answer = ask().await;
        match &answer {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.is::<kube::Error>() => {}
            Err(_) => return answer.map(drop).context(what.to_owned()),
        }
        if started.elapsed() > LIMIT {
            return answer
                .and_then(|_| bail!("the answer is still no"))
                .with_context(|| format!("not within {LIMIT:?}: {what}"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Asks for a while; each answer must be yes.
///
/// # Errors
/// As [`all_for`].
pub async fn all_the_while(what: &str, ask: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    all_for(A_WHILE, what, ask).await
}

/// Asks for so long; each answer must be yes. One that an API server did not give is asked for
/// again, and must then be had: a connection may break, but no more than that goes unseen.
///
/// # Errors
/// An answer was no, or could not be had twice in a row; or whatever else went wrong.
pub async fn all_for(
    time: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let started = Instant::now();
    let mut unseen = false;
    while unseen || started.elapsed() < time {
        match ask().await {
            Ok(true) => unseen = false,
            Ok(false) => bail!("no longer: {what}"),
            Err(error) if error.is::<kube::Error>() && !unseen => unseen = true,
            Err(error) => return Err(error.context(what.to_owned())),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_bear_the_label_by_which_they_are_removed_and_apply_by_it() {
        for (text, name) in [
            (quick(), QUICK),
            (policy_for("slow", &["a", "b"], "pace: Fast"), "slow"),
        ] {
            let policy: RolloutPolicy = serde_saphyr::from_str(&text).expect("a policy");
            let labels = policy.metadata.labels.unwrap_or_default();
            assert_eq!(labels.get(LABEL).map(String::as_str), Some(name));
        }
        let text = policy_for("slow", &["a", "b"], "pace: Fast");
        let policy: serde_json::Value = serde_saphyr::from_str(&text).expect("a policy");
        let selector = &policy["spec"]["workloads"]["namespaceSelector"];
        let expression = &selector["matchExpressions"][0];
        assert_eq!(expression["key"], LABEL);
        assert_eq!(expression["values"], json!(["a", "b"]));
    }
}
