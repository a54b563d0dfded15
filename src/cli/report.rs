//! `kubectl weir report`: what Weir did, or in shadow would have done, lately.

use clap::Args;
use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::ListParams};
use weir_core::time::Moment;

use super::{
    FINE, Outcome,
    connect::{ClusterArgs, Connection},
    error::CliError,
    get,
    output::{Output, Shown, rollout_name, show},
    preflight::seconds,
};
use crate::{
    api::marks,
    client::{chain, list_all},
    view::report::{Report, render, report as reported},
};

/// Tells each hold, or in shadow each would-be hold, with its delay, and forecasts beside what was seen
///
/// From GuardedRollouts and Events. Clusters keep Events for an hour as a rule: what is older is told only
/// as far as the records hold it, which is said.
#[derive(Debug, Clone, Args)]
pub(super) struct ReportArgs {
    /// How far to look back, such as 90m, 24h or 7d
    #[arg(long, default_value = "24h", value_name = "DURATION", value_parser = since)]
    since: f64,
    /// How to show it
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

fn since(text: &str) -> Result<f64, String> {
    let Some(days) = text.strip_suffix('d') else {
        return seconds(text);
    };
    Ok(24.0 * seconds(&format!("{days}h"))?)
}

/// Asks, sums up and renders.
pub(super) async fn report(cluster: &ClusterArgs, args: &ReportArgs) -> Result<Outcome, CliError> {
    let connection = cluster.connect().await?;
    let report = summed_up(&connection, cluster.namespace(), args.since).await?;
    Ok(Outcome {
        text: show(&report, args.output)?,
        code: FINE,
    })
}

async fn summed_up(
    connection: &Connection,
    namespace: Option<&str>,
    since: f64,
) -> Result<Report, CliError> {
    let rollouts = get::all(connection, namespace.is_none()).await?;
    let mut unknown = Vec::new();
    let mut events = Vec::new();
    for reporter in [marks::OPERATOR, marks::PLUGIN] {
        match told(connection, namespace, reporter).await {
            Ok(told) => events.extend(told),
            Err(error) => unknown.push(format!("Events of {reporter}: {}", chain(&error))),
        }
    }
    let now = connection.clock.now();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is positive, and years of it are far from the end of u64"
    )]
    let millis = (since * 1000.0) as u64;
    let since = Moment::from_millis(now.as_millis().saturating_sub(millis));
    Ok(reported(&rollouts, &events, since, now, unknown))
}

/// All Events that one reporter has left. The core kind can be selected by it, the newer one cannot.
async fn told(
    connection: &Connection,
    namespace: Option<&str>,
    reporter: &str,
) -> Result<Vec<Event>, kube::Error> {
    let client = connection.client.clone();
    let api: Api<Event> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let selector = format!("reportingComponent={reporter}");
    list_all(&api, ListParams::default().fields(&selector)).await
}

impl Shown for Report {
    fn text(&self, _: bool) -> String {
        render(self)
    }

    fn names(&self) -> Vec<String> {
        let rollouts = self.rollouts.iter();
        rollouts.map(|one| rollout_name(&one.name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        cli::find::tests::{connection, refusal},
        client::fake::{Answer, Server},
    };

    #[test]
    fn days_are_understood_too() {
        assert_eq!(since("7d"), Ok(604_800.0));
        assert_eq!(since("90m"), Ok(5400.0));
        assert!(since("d").is_err() && since("a week").is_err());
    }

    #[tokio::test]
    async fn without_the_right_to_events_records_are_told_all_the_same() {
        let list = json!({ "metadata": {}, "items": [] }).to_string();
        let answers = [
            Answer::whole(200, list.clone()),
            Answer::whole(200, list),
            refusal(403),
        ];
        let server = Server::that(answers);
        let report = summed_up(&connection(&server), Some("shop"), 3600.0)
            .await
            .unwrap();
        assert_eq!(report.unknown, ["Events of weir.dev/kubectl-weir: no"]);
        let asked = &server.asked()[1];
        assert!(
            asked.contains("fieldSelector=reportingComponent%3Dweir.dev%2Fweir"),
            "{asked}"
        );
    }
}
