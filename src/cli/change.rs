//! What all commands share that change a rollout: dry runs, the patch, and the Event that records it.
//!
//! They use the caller's own rights, and need no operator to be written.

use clap::{Args, ValueEnum};
use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::Time};
use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use serde_json::Value;

use super::{
    FINE, Outcome,
    connect::Connection,
    error::CliError,
    output::{Output, Shown, rollout_name, show},
};
use crate::{
    api::{GuardedRollout, bounds::REASON, marks},
    client::chain,
    view::change::{Changed, Done, render},
};

/// The name under which the plugin's writes are recorded.
const MANAGER: &str = "kubectl-weir";
/// What it takes to change a rollout.
const NEEDS: &str = "ask for the right to patch guardedrollouts.weir.dev in that namespace; check with \
                     `kubectl auth can-i patch guardedrollouts.weir.dev -n NAMESPACE`";

/// The flags of every command that changes a rollout.
#[derive(Debug, Clone, Args)]
pub(super) struct ChangeArgs {
    /// The GuardedRollout's name, or the DaemonSet's: NAME or daemonset/NAME
    pub(super) rollout: String,
    /// `server`: ask the API server what it would do, and change nothing
    #[arg(long, value_enum, default_value = "none")]
    pub(super) dry_run: DryRun,
    /// How to show what was changed
    #[arg(short, long, value_enum, default_value = "text")]
    pub(super) output: Output,
}

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DryRun {
    /// It is
    None,
    /// The API server checks it, and writes nothing
    Server,
}

/// Parses a reason: something, in one line, within what objects hold.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 {
        return Err("say why: whoever looks at it later will want to know".to_owned());
    }
    if text.contains(char::is_control) {
        return Err("a reason is one line".to_owned());
    }
    if length > REASON {
        return Err(format!("it has {length} characters, of which {REASON} fit"));
    }
    Ok(text.to_owned())
}

impl ChangeArgs {
    /// Whether nothing is to be written.
    pub(super) fn is_dry(&self) -> bool {
        self.dry_run == DryRun::Server
    }

    /// How writes are to be made.
    pub(super) fn params(&self) -> PatchParams {
        PatchParams {
            dry_run: self.is_dry(),
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        }
    }

    /// An answer about this rollout, in which nothing is said to have been changed yet.
    pub(super) fn changed(&self, rollout: &GuardedRollout, done: Done) -> Changed {
        Changed {
            namespace: rollout.metadata.namespace.clone().unwrap_or_default(),
            name: rollout.metadata.name.clone().unwrap_or_default(),
            done,
            dry_run: self.is_dry(),
            changes: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Writes a merge patch to the rollout, and gives back what the API server made of it.
    pub(super) async fn patch(
        &self,
        connection: &Connection,
        changed: &Changed,
        patch: &Value,
    ) -> Result<GuardedRollout, CliError> {
        let answer = patched(connection, changed, patch, &self.params()).await;
        answer.map_err(|source| unchanged(rollout_name(&changed.name), NEEDS, source, connection))
    }

    /// The same by dry run, whatever was asked for: nothing is written.
    pub(super) async fn try_patch(
        &self,
        connection: &Connection,
        changed: &Changed,
        patch: &Value,
        needs: &'static str,
    ) -> Result<GuardedRollout, CliError> {
        let params = PatchParams {
            dry_run: true,
            ..self.params()
        };
        let answer = patched(connection, changed, patch, &params).await;
        answer.map_err(|source| unchanged(rollout_name(&changed.name), needs, source, connection))
    }

    /// Leaves an Event beside the workload that says what was done and why. It is no failure if that
    /// cannot be: it is told.
    pub(super) async fn record(
        &self,
        connection: &Connection,
        rollout: &GuardedRollout,
        changed: &mut Changed,
        note: String,
    ) {
        if self.is_dry() || changed.changes.is_empty() {
            return;
        }
        let reporter = Reporter {
            controller: marks::PLUGIN.to_owned(),
            instance: Some("kubectl-weir".to_owned()),
        };
        let event = Event {
            type_: EventType::Normal,
            reason: event_reason(changed.done).to_owned(),
            note: Some(note),
            action: changed.done.word().to_owned(),
            secondary: Some(rollout.object_ref(&())),
        };
        let recorder = Recorder::new(connection.client.clone(), reporter);
        if let Err(error) = recorder.publish(&event, &workload(rollout)).await {
            let why = chain(&error);
            changed
                .notes
                .push(format!("no Event could be left that says so: {why}"));
        }
    }

    /// What is shown in the end.
    pub(super) fn outcome(&self, changed: &Changed) -> Result<Outcome, CliError> {
        Ok(Outcome {
            text: show(changed, self.output)?,
            code: FINE,
        })
    }
}

async fn patched(
    connection: &Connection,
    changed: &Changed,
    patch: &Value,
    params: &PatchParams,
) -> Result<GuardedRollout, kube::Error> {
    let client = connection.client.clone();
    let api: Api<GuardedRollout> = Api::namespaced(client, &changed.namespace);
    api.patch(&changed.name, params, &Patch::Merge(patch)).await
}

/// When this program last wrote the object, by the API server's clock.
pub(super) fn written_at(rollout: &GuardedRollout) -> Option<Time> {
    let fields = rollout.metadata.managed_fields.as_ref()?;
    let ours = fields.iter().filter(|one| {
        one.manager.as_deref() == Some(MANAGER)
            && one.subresource.as_deref().is_none_or(str::is_empty)
    });
    ours.filter_map(|one| one.time.clone()).max()
}

/// A write that failed, as an error that says what it takes.
pub(super) fn unchanged(
    what: String,
    needs: &'static str,
    source: kube::Error,
    connection: &Connection,
) -> CliError {
    match &source {
        kube::Error::Api(status) if status.code != 401 => CliError::Unchanged {
            what,
            needs,
            source,
        },
        _ => connection.unanswered(source, needs),
    }
}

/// The reasons of Events about what people did.
const fn event_reason(done: Done) -> &'static str {
    match done {
        Done::Paused => "PausedByPerson",
        Done::Resumed => "ResumedByPerson",
        Done::Approved => "ApprovedByPerson",
        Done::Released => "ReleasedByPerson",
        Done::Ungated => "UngatedByPerson",
    }
}

fn workload(rollout: &GuardedRollout) -> ObjectReference {
    let workload = &rollout.spec.workload;
    ObjectReference {
        api_version: Some("apps/v1".to_owned()),
        kind: Some("DaemonSet".to_owned()),
        namespace: rollout.metadata.namespace.clone(),
        name: Some(workload.name.clone()),
        uid: Some(workload.uid.clone()),
        ..ObjectReference::default()
    }
}

impl Shown for Changed {
    /// Nothing is left out of it in the first place.
    fn text(&self, _: bool) -> String {
        render(self)
    }

    fn names(&self) -> Vec<String> {
        vec![rollout_name(&self.name)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_fits() {
        assert_eq!(
            reason(" known to be harmless ").unwrap(),
            "known to be harmless"
        );
        for bad in ["", "  ", "a\nb", &"x".repeat(REASON + 1)] {
            assert!(reason(bad).is_err(), "{bad:?}");
        }
    }
}
