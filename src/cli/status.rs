//! `kubectl weir status`: three requests, one screen.

mod watch;

use std::io::IsTerminal;

use clap::Args;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{ListParams, ObjectList},
};

use self::watch::{Paper, Watch};
use super::{
    FINE, Outcome, TROUBLE,
    connect::{ALL_ROLLOUTS, ClusterArgs, Connection, ROLLOUTS, WeirArgs},
    error::CliError,
    output::{Output, Shown, columns, rollout_name, show},
    preflight::seconds,
};
use crate::{
    api::{ControlPlane, GuardedRollout, SINGLETON},
    client::{PAGE, chain, is_missing, list_all},
    view::{
        status::{Answer, Answers, Detail, Page, Status, render},
        wrap::broken,
    },
};

/// Shows the API servers, the rollouts in flight, what is held and why, and Weir itself
///
/// Reads the cluster itself, so it works while the operator is down. Exits with 1 if anything is
/// wrong. With --wait it exits once no rollout has been on its way or held for ten seconds, with --watch when
/// it is interrupted.
#[derive(Debug, Clone, Args)]
pub(super) struct StatusArgs {
    /// How to show it
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    weir: WeirArgs,
    /// Show it again and again, in place on a terminal, else a line for whatever changes
    #[arg(short, long)]
    watch: bool,
    /// Wait until nothing is held or in flight
    #[arg(long)]
    wait: bool,
    /// How long to wait before it exits with 1
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = seconds, requires = "wait")]
    timeout: f64,
    /// How often to look
    #[arg(long, default_value = "5s", value_name = "DURATION", value_parser = interval)]
    interval: f64,
}

/// No more often than once a second: three requests each.
fn interval(text: &str) -> Result<f64, String> {
    let seconds = seconds(text)?;
    if seconds < 1.0 {
        return Err("look once a second at most: a guard must not be the load".to_owned());
    }
    Ok(seconds)
}

/// Asks, sums up and renders; again and again if it is to watch or to wait.
pub(super) async fn status(cluster: &ClusterArgs, args: &StatusArgs) -> Result<Outcome, CliError> {
    let connection = cluster.connect().await?;
    let watch = Watch {
        connection: &connection,
        namespace: cluster.namespace(),
        args,
    };
    let status = match (args.watch, args.wait) {
        (false, false) => watch.look().await?,
        (true, false) => watch.watch(&mut Paper::standard_output()).await?,
        (watches, true) => {
            let mut paper = watches.then(Paper::standard_output);
            watch.wait(paper.as_mut()).await?
        }
    };
    outcome(&status, args)
}

/// What is left to say, and the exit code.
fn outcome(status: &Status, args: &StatusArgs) -> Result<Outcome, CliError> {
    Ok(Outcome {
        code: if status.trouble.is_empty() {
            FINE
        } else {
            TROUBLE
        },
        // Whoever watched has seen it to its end.
        text: if args.watch {
            String::new()
        } else {
            show(status, args.output)?
        },
    })
}

impl Shown for Status {
    fn text(&self, wide: bool) -> String {
        let text = render(self, if wide { Detail::Wide } else { Detail::Screen });
        // Elsewhere a finding stays the line that somebody looks for.
        if std::io::stdout().is_terminal() {
            broken(&text, columns())
        } else {
            text
        }
    }

    fn names(&self) -> Vec<String> {
        let open = self.rollouts.open.iter();
        open.map(|rollout| rollout_name(&rollout.name)).collect()
    }
}

/// The three requests, at once.
async fn ask(
    connection: &Connection,
    namespace: Option<&str>,
    args: &StatusArgs,
) -> Result<Answers, CliError> {
    let client = || connection.client.clone();
    let control_planes: Api<ControlPlane> = Api::all(client());
    let leases: Api<Lease> = Api::namespaced(client(), &args.weir.weir_namespace);
    let (rollouts, needs): (Api<GuardedRollout>, _) = match namespace {
        Some(namespace) => (Api::namespaced(client(), namespace), ROLLOUTS),
        None => (Api::all(client()), ALL_ROLLOUTS),
    };
    let (control_plane, rollouts, lease) = futures::join!(
        control_planes.get(SINGLETON),
        listed(&rollouts, args.wait),
        leases.get(&args.weir.lease_name),
    );
    let rollouts = match rollouts {
        // Whoever waits would wait for nothing.
        Err(error) if args.wait && is_missing(&error) => return Err(CliError::NotInstalled),
        Err(kube::Error::Api(status)) if args.wait && status.code == 403 => {
            return Err(connection.unanswered(kube::Error::Api(status), needs));
        }
        rollouts => rollouts,
    };
    let answers = (answer(control_plane), answer(rollouts), answer(lease));
    if let (Err(source), Err(_), Err(_)) = answers {
        return Err(connection.unanswered(source, needs));
    }
    let (control_plane, rollouts, lease) = answers;
    Ok(Answers {
        control_plane: control_plane.unwrap_or_else(|error| silence(&error)),
        rollouts: rollouts.unwrap_or_else(|error| silence(&error)),
        lease: lease.unwrap_or_else(|error| silence(&error)),
    })
}

/// One page, or all of them for whoever waits: what lies beyond may be on its way.
async fn listed(api: &Api<GuardedRollout>, whole: bool) -> Result<Page, kube::Error> {
    // Not from a resourceVersion of 0, which would be served without a limit.
    let any = ListParams::default();
    if whole {
        let rollouts = list_all(api, any).await?;
        return Ok(Page {
            rollouts,
            beyond: 0,
        });
    }
    api.list(&any.limit(PAGE)).await.map(one_page)
}

fn one_page(list: ObjectList<GuardedRollout>) -> Page {
    let next = list
        .metadata
        .continue_
        .is_some_and(|token| !token.is_empty());
    let remaining = list.metadata.remaining_item_count.unwrap_or_default();
    Page {
        rollouts: list.items,
        beyond: u64::try_from(remaining)
            .unwrap_or_default()
            .max(u64::from(next)),
    }
}

/// What one request was answered, if it was. A refusal is an answer; to be nobody is not.
fn answer<T>(result: Result<T, kube::Error>) -> Result<Answer<T>, kube::Error> {
    match result {
        Ok(found) => Ok(Answer::Found(found)),
        Err(error) if is_missing(&error) => Ok(Answer::Missing),
        Err(kube::Error::Api(status)) if status.code != 401 => {
            Ok(Answer::Refused(status.message.clone()))
        }
        Err(error) => Err(error),
    }
}

/// What stands for one request that got no answer while others did: an API server that drowns may
/// still answer the small ones.
fn silence<T>(error: &kube::Error) -> Answer<T> {
    Answer::Refused(chain(error))
}

#[cfg(test)]
mod tests {
    use kube::core::Status as Refusal;

    use super::*;

    fn refusal(code: u16) -> Result<(), kube::Error> {
        let status = Refusal::failure("no", "Because").with_code(code);
        Err(kube::Error::Api(status.boxed()))
    }

    #[test]
    fn a_refusal_is_an_answer_and_silence_is_not() {
        assert!(matches!(answer(Ok(())), Ok(Answer::Found(()))));
        assert!(matches!(answer(refusal(404)), Ok(Answer::Missing)));
        for code in [403, 429, 500, 503] {
            assert!(matches!(answer(refusal(code)), Ok(Answer::Refused(why)) if why == "no"));
        }
        assert!(answer(refusal(401)).is_err());
        let silent = Err::<(), _>(kube::Error::Service("connection refused".into()));
        let why = answer(silent).map(|_| ()).unwrap_err();
        assert!(
            matches!(silence::<()>(&why), Answer::Refused(why) if why.contains("connection refused"))
        );
    }

    #[test]
    fn a_page_says_how_much_lies_beyond_it() {
        let page = |metadata: serde_json::Value| {
            let list = serde_json::json!({ "metadata": metadata, "items": [] });
            one_page(serde_json::from_value(list).unwrap()).beyond
        };
        assert_eq!(page(serde_json::json!({})), 0);
        assert_eq!(
            page(serde_json::json!({ "continue": "x", "remainingItemCount": 7 })),
            7
        );
        assert_eq!(page(serde_json::json!({ "continue": "x" })), 1);
    }
}
