//! `kubectl weir version`: two requests, or none.

use clap::Args;
use kube::Api;

use super::{
    FINE, Outcome,
    connect::{ClusterArgs, Connection, VERSION},
    error::{CliError, Kind},
    output::{Output, Shown, show},
};
use crate::{
    api::{ControlPlane, SINGLETON},
    client::chain,
    view::version::{Operator, Versions, render},
};

/// Shows the versions of this program, of the operator and of the API server that answers
///
/// Exits with 3 if the cluster could not be asked, with 2 if the kubeconfig cannot be used; what is known is
/// shown all the same.
#[derive(Debug, Clone, Args)]
pub(super) struct VersionArgs {
    /// This program's only; asks no cluster
    #[arg(long)]
    client: bool,
    /// How to show it
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// Asks, and renders.
pub(super) async fn version(
    cluster: &ClusterArgs,
    args: &VersionArgs,
) -> Result<Outcome, CliError> {
    let mut versions = Versions {
        client: env!("CARGO_PKG_VERSION").to_owned(),
        operator: None,
        api_server: None,
        unknown: Vec::new(),
    };
    let mut code = FINE;
    if !args.client {
        match cluster.connect().await {
            Ok(connection) => ask(&connection, &mut versions).await,
            Err(error) => {
                versions.unknown.push(chain(&error));
                code = error.kind().code();
            }
        }
        if versions.api_server.is_none() && code == FINE {
            code = Kind::Unreachable.code();
        }
    }
    Ok(Outcome {
        text: show(&versions, args.output)?,
        code,
    })
}

async fn ask(connection: &Connection, versions: &mut Versions) {
    let control_planes: Api<ControlPlane> = Api::all(connection.client.clone());
    let (server, operator) = futures::join!(
        connection.client.apiserver_version(),
        control_planes.get_opt(SINGLETON)
    );
    match server {
        Ok(info) => versions.api_server = Some(format!("{} ({})", info.git_version, info.platform)),
        Err(error) => {
            let why = chain(&connection.unanswered(error, VERSION));
            versions.unknown.push(why);
            return;
        }
    }
    match operator {
        Ok(Some(found)) => {
            let status = found.status.unwrap_or_default();
            match status.version {
                Some(version) => {
                    versions.operator = Some(Operator {
                        version,
                        mode: status.mode,
                        api_servers: status.servers.len(),
                    });
                }
                None => versions
                    .unknown
                    .push("the operator has not said its version".to_owned()),
            }
        }
        Ok(None) => versions
            .unknown
            .push("the operator has written nothing yet".to_owned()),
        Err(error) => versions
            .unknown
            .push(format!("the operator: {}", chain(&error))),
    }
}

impl Shown for Versions {
    fn text(&self, _: bool) -> String {
        render(self)
    }

    fn names(&self) -> Vec<String> {
        vec![format!("kubectl-weir/{}", self.client)]
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

    fn nothing() -> Versions {
        Versions {
            client: "0.1.0".to_owned(),
            operator: None,
            api_server: None,
            unknown: Vec::new(),
        }
    }

    #[tokio::test]
    async fn without_weir_the_api_server_s_is_shown() {
        let info = json!({
            "major": "1", "minor": "36", "gitVersion": "v1.36.3", "buildDate": "", "compiler": "",
            "gitCommit": "", "gitTreeState": "", "goVersion": "", "platform": "linux/amd64",
        });
        let server = Server::that([Answer::whole(200, info.to_string()), refusal(404)]);
        let mut versions = nothing();
        ask(&connection(&server), &mut versions).await;
        assert_eq!(
            versions.api_server.as_deref(),
            Some("v1.36.3 (linux/amd64)")
        );
        assert_eq!(versions.unknown, ["the operator has written nothing yet"]);
    }

    #[tokio::test]
    async fn a_cluster_that_does_not_know_the_caller_is_told_once() {
        let server = Server::that([refusal(401), refusal(401)]);
        let mut versions = nothing();
        ask(&connection(&server), &mut versions).await;
        assert_eq!(versions.api_server, None);
        assert_eq!(versions.unknown.len(), 1, "{:?}", versions.unknown);
    }
}
