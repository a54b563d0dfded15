//! The steps of a drill, each with what it proves.

use std::{
    cell::{Cell, RefCell},
    io::Write,
    time::Duration,
};

use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{Namespace, Node, Pod},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    DrillArgs, LOOK_EVERY,
    objects::{self, NAME},
};
use crate::{
    api::{GuardedRollout, Mode, RolloutPolicy, State, marks},
    cli::{connect::Connection, output::Output},
    client::chain,
    view::{
        clean::screen,
        drill::{Step, line},
    },
};

/// Nodes that are looked through for some that take a pod.
const NODES: u32 = 200;
/// How long a pause is looked at.
const PAUSE: Duration = Duration::from_secs(5);
/// Seconds for what controllers do by themselves, and for what Weir does at its next look.
const SOON: u64 = 60;
/// Seconds for what is bounded by the time that all of it may take.
const LATE: u64 = 86_400;

/// An id, and what is to be proven.
type Title = (&'static str, &'static str);

/// A drill under way.
pub(super) struct Stage<'a> {
    pub(super) connection: &'a Connection,
    pub(super) namespace: String,
    args: &'a DrillArgs,
    mode: Mode,
    /// The step that is being taken.
    now: Cell<Option<Title>>,
    /// What Weir said last of the rollout.
    last: RefCell<Option<String>>,
}

impl<'a> Stage<'a> {
    /// Before its first step.
    pub(super) const fn new(
        connection: &'a Connection,
        args: &'a DrillArgs,
        namespace: String,
        mode: Mode,
    ) -> Self {
        Self {
            connection,
            namespace,
            args,
            mode,
            now: Cell::new(None),
            last: RefCell::new(None),
        }
    }

    /// Takes all steps, until one fails.
    pub(super) async fn run(&self, steps: &mut Vec<Step>) {
        const MADE: Title = ("made", "An enrolled DaemonSet can be made");
        const RECORD: Title = (
            "record",
            "Weir sees its revision, and makes a GuardedRollout",
        );
        const GATED: Title = ("gated", "Its pods are born gated");
        const FREE: Title = (
            "free",
            "Its pods are not gated, since Weir does not enforce",
        );
        const PAUSED: Title = ("paused", "A pause holds them");
        const THROUGH: Title = (
            "let-through",
            "Weir lets them through, and approves the revision",
        );
        const JUDGED: Title = ("judged", "Weir judges them");
        const APPROVED: Title = ("approved", "A pod that is made again is not gated");
        let enforces = self.mode == Mode::Enforce;
        let began = self.take(steps, MADE, self.make()).await
            && self.take(steps, RECORD, self.see_record(enforces)).await;
        if !began {
            return;
        }
        let born = if enforces { GATED } else { FREE };
        if !self.take(steps, born, self.see_gated(enforces)).await {
            return;
        }
        if !enforces {
            self.take(steps, JUDGED, self.see_complete(false)).await;
        } else if self.take(steps, PAUSED, self.see_pause()).await
            && self.take(steps, THROUGH, self.see_complete(true)).await
        {
            self.take(steps, APPROVED, self.see_approved()).await;
        }
    }

    /// The step that was not ended, for this reason.
    pub(super) fn broken_off(&self, why: &str) -> Step {
        let (id, title) = self.now.get().unwrap_or(("begun", "The drill begins"));
        let last = self.last.borrow().clone();
        let last = last.map(|last| format!("; Weir said last: {last}"));
        Step {
            id,
            title,
            proven: false,
            said: format!("{why}{}", last.unwrap_or_default()),
            seconds: 0,
        }
    }

    /// Takes one step, and says whether it proved what it should.
    async fn take(
        &self,
        steps: &mut Vec<Step>,
        (id, title): Title,
        step: impl Future<Output = Result<String, String>>,
    ) -> bool {
        self.now.set(Some((id, title)));
        let begun = self.connection.clock.elapsed();
        let outcome = step.await;
        let took = self.connection.clock.elapsed().saturating_sub(begun);
        let proven = outcome.is_ok();
        let step = Step {
            id,
            title,
            proven,
            said: outcome.unwrap_or_else(|why| why),
            seconds: took.as_secs(),
        };
        if matches!(self.args.output, Output::Text | Output::Wide) {
            // It takes minutes: whoever looks sees how far it is.
            drop(writeln!(anstream::stderr(), "{}", screen(&line(&step))));
        }
        steps.push(step);
        proven
    }

    async fn make(&self) -> Result<String, String> {
        let nodes = self.nodes().await?;
        let client = || self.connection.client.clone();
        let namespace = objects::namespace(&self.namespace, self.mode);
        create::<Namespace>(&Api::all(client()), namespace).await?;
        let policy = objects::policy(&self.namespace);
        create::<RolloutPolicy>(&Api::all(client()), policy).await?;
        let daemon_set = objects::daemon_set(&self.namespace, &self.args.image, &nodes);
        let api: Api<DaemonSet> = Api::namespaced(client(), &self.namespace);
        create(&api, daemon_set).await?;
        Ok(format!("on {}", nodes.join(", ")))
    }

    /// Some nodes that take any pod.
    async fn nodes(&self) -> Result<Vec<String>, String> {
        let api: Api<Node> = Api::all(self.connection.client.clone());
        let page = ListParams::default().limit(NODES);
        let list = api.list(&page).await;
        let list = list.map_err(|error| format!("nodes could not be listed: {}", chain(&error)))?;
        let willing = list.items.into_iter().filter(takes_pods);
        let names = willing.filter_map(|node| node.metadata.name);
        let names: Vec<String> = names.take(self.args.nodes as usize).collect();
        if names.is_empty() {
            return Err(format!(
                "none of the first {NODES} nodes is ready and takes any pod"
            ));
        }
        Ok(names)
    }

    /// Waits for the record, and pauses the rollout at once if it is to be held.
    async fn see_record(&self, pauses: bool) -> Result<String, String> {
        let look = async || {
            let record = self.record().await?;
            Ok::<_, String>(record.filter(|record| record.status.is_some()))
        };
        let record = self.until(SOON, "there was none", look).await?;
        if pauses {
            self.pause(&record, true).await?;
        }
        Ok(record.metadata.name.unwrap_or_default())
    }

    async fn see_gated(&self, are: bool) -> Result<String, String> {
        let wanted = self.wanted().await?;
        let look = async || {
            let pods = self.pods().await?;
            Ok::<_, String>((pods.len() >= wanted).then_some(pods))
        };
        let pods = self.until(SOON, "not all its pods were made", look).await?;
        let born = pods.iter().filter(|pod| was_gated(pod)).count();
        let all = if are { pods.len() } else { 0 };
        if born == all {
            return Ok(format!("{} pods", pods.len()));
        }
        Err(format!(
            "{born} of {} pods were born with the gate",
            pods.len()
        ))
    }

    async fn see_pause(&self) -> Result<String, String> {
        let look = async || {
            let record = self.record().await?;
            let state = record.and_then(|record| record.status?.state);
            Ok::<_, String>((state == Some(State::Paused)).then_some(()))
        };
        self.until(SOON, "Weir did not take it up", look).await?;
        let before = self.gated().await?;
        tokio::time::sleep(PAUSE).await;
        let after = self.gated().await?;
        if before == after {
            return Ok(format!("{after} pods stayed gated"));
        }
        Err(format!("{before} pods were gated, and then {after}"))
    }

    async fn see_complete(&self, resumes: bool) -> Result<String, String> {
        if resumes {
            let record = self.record().await?.ok_or("its record is gone")?;
            self.pause(&record, false).await?;
        }
        let look = async || {
            let status = self.record().await?.and_then(|record| record.status);
            Ok::<_, String>(status.filter(|status| status.state == Some(State::Complete)))
        };
        let status = self.until(LATE, "it did not end", look).await?;
        Ok(format!("{} pods in {} waves", status.width, status.wave))
    }

    async fn see_approved(&self) -> Result<String, String> {
        let old = self.pods().await?;
        let names: Vec<String> = old
            .into_iter()
            .filter_map(|pod| pod.metadata.name)
            .collect();
        let first = names.first().ok_or("there is no pod of it")?;
        let api: Api<Pod> = Api::namespaced(self.connection.client.clone(), &self.namespace);
        let deleted = api.delete(first, &DeleteParams::default()).await;
        deleted.map_err(|error| format!("{first} could not be deleted: {}", chain(&error)))?;
        let look = async || {
            let mut pods = self.pods().await?.into_iter();
            Ok::<_, String>(pods.find(|pod| {
                let name = pod.metadata.name.as_ref();
                name.is_some_and(|name| !names.contains(name))
            }))
        };
        let pod = self.until(SOON, "none was made", look).await?;
        let name = pod.metadata.name.clone().unwrap_or_default();
        if was_gated(&pod) {
            return Err(format!("{name} was gated"));
        }
        Ok(name)
    }

    /// The rollout's record; what it says is kept for whoever asks why it took so long.
    async fn record(&self) -> Result<Option<GuardedRollout>, String> {
        let client = self.connection.client.clone();
        let api: Api<GuardedRollout> = Api::namespaced(client, &self.namespace);
        let list = api.list(&ListParams::default().limit(NODES)).await;
        let list = list.map_err(|error| chain(&error))?;
        let record = list.items.into_iter().next();
        let status = record.as_ref().and_then(|record| record.status.as_ref());
        if let Some(summary) = status.and_then(|status| status.summary.clone()) {
            self.last.replace(Some(summary));
        }
        Ok(record)
    }

    async fn pods(&self) -> Result<Vec<Pod>, String> {
        let api: Api<Pod> = Api::namespaced(self.connection.client.clone(), &self.namespace);
        let ours = ListParams::default().labels(&format!("app={NAME}"));
        let list = api.list(&ours.limit(NODES)).await;
        let list = list.map_err(|error| chain(&error))?;
        let pods = list.items.into_iter();
        Ok(pods
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .collect())
    }

    /// Pods that the gate holds.
    async fn gated(&self) -> Result<usize, String> {
        let pods = self.pods().await?;
        Ok(pods.iter().filter(|pod| is_gated(pod)).count())
    }

    /// Pods that the DaemonSet's controller wants.
    async fn wanted(&self) -> Result<usize, String> {
        let api: Api<DaemonSet> = Api::namespaced(self.connection.client.clone(), &self.namespace);
        let look = async || {
            let found = api.get(NAME).await.map_err(|error| chain(&error))?;
            let wanted = found.status.unwrap_or_default().desired_number_scheduled;
            Ok::<_, String>(usize::try_from(wanted).ok().filter(|wanted| *wanted > 0))
        };
        self.until(SOON, "its controller wanted no pod", look).await
    }

    async fn pause(&self, record: &GuardedRollout, paused: bool) -> Result<(), String> {
        let client = self.connection.client.clone();
        let api: Api<GuardedRollout> = Api::namespaced(client, &self.namespace);
        let patch = json!({ "spec": { "paused": paused } });
        let name = record.metadata.name.as_deref().unwrap_or_default();
        let params = PatchParams::default();
        let answer = api.patch(name, &params, &Patch::Merge(&patch)).await;
        answer
            .map(drop)
            .map_err(|error| format!("spec.paused of {name} was not changed: {}", chain(&error)))
    }

    /// Looks once a second until something is found, for so many seconds; then says `what`, and what the
    /// API server said against it.
    async fn until<T>(
        &self,
        seconds: u64,
        what: &str,
        look: impl AsyncFn() -> Result<Option<T>, String>,
    ) -> Result<T, String> {
        let begun = self.connection.clock.elapsed();
        loop {
            let why = match look().await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => None,
                Err(why) => Some(why),
            };
            let waited = self.connection.clock.elapsed().saturating_sub(begun);
            if waited >= Duration::from_secs(seconds) {
                let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
                return Err(format!("{what} within {seconds} s{why}"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

async fn create<K>(api: &Api<K>, object: Value) -> Result<(), String>
where
    K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let what = format!("{} {}", object["kind"], object["metadata"]["name"]);
    let made: K = serde_json::from_value(object).map_err(|error| error.to_string())?;
    let answer = api.create(&PostParams::default(), &made).await;
    answer
        .map(drop)
        .map_err(|error| format!("{what} could not be made: {}", chain(&error)))
}

/// Whether a node is ready, and nothing keeps pods away from it.
fn takes_pods(node: &Node) -> bool {
    let spec = node.spec.as_ref();
    let is_open = spec.is_none_or(|spec| {
        let mut taints = spec.taints.iter().flatten();
        !spec.unschedulable.unwrap_or_default()
            && !taints.any(|taint| taint.effect != "PreferNoSchedule")
    });
    let conditions = node.status.iter().flat_map(|status| &status.conditions);
    let mut conditions = conditions.flatten();
    is_open && conditions.any(|one| one.type_ == "Ready" && one.status == "True")
}

fn is_gated(pod: &Pod) -> bool {
    let gates = pod.spec.iter().flat_map(|spec| &spec.scheduling_gates);
    gates.flatten().any(|gate| gate.name == marks::GATE)
}

/// Whether it was gated at birth: the gate policy leaves a mark.
fn was_gated(pod: &Pod) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    is_gated(pod) || annotations.is_some_and(|all| all.contains_key(marks::REVISION))
}
