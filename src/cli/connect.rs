//! Which cluster, and as whom: kubectl's flags and files.

use std::{error::Error, path::PathBuf, time::Duration};

use clap::Args;
use http::{HeaderName, HeaderValue};
use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::{error::CliError, preflight::seconds};
use crate::{
    client::{Budget, Clients, TimedOut, causes},
    clock::Clock,
    valve::NAMESPACE,
};

/// What it takes to read the rollouts of one namespace.
pub(super) const ROLLOUTS: &str = "ask for the right to get and list guardedrollouts.weir.dev in that namespace; check \
                                   with `kubectl auth can-i list guardedrollouts.weir.dev -n NAMESPACE`";
/// What it takes to read those of all.
pub(super) const ALL_ROLLOUTS: &str = "give -n NAMESPACE, or ask for the right to list guardedrollouts.weir.dev in \
                                       all namespaces";
/// What it takes to be told the API server's version.
pub(super) const VERSION: &str = "ask for the right to get /version, which everybody has by default (ClusterRole \
                                  system:public-info-viewer)";

/// The flags by which kubectl chooses a cluster and a namespace.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ClusterArgs {
    /// This namespace only; for what is named, or asked for by `get`, the context's is the default
    #[arg(short, long, global = true)]
    namespace: Option<String>,
    /// All namespaces, which is the default of whatever shows more than one rollout, but for `get`
    #[arg(short = 'A', long, global = true, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// The kubeconfig's context to use
    #[arg(long, global = true)]
    context: Option<String>,
    /// The kubeconfig to use
    #[arg(long, global = true)]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig's cluster to use, instead of the context's
    #[arg(long, global = true)]
    cluster: Option<String>,
    /// The kubeconfig's user to use, instead of the context's
    #[arg(long = "user", global = true, value_name = "LOGIN")]
    login: Option<String>,
    /// The user to act as
    #[arg(long = "as", global = true, value_name = "USER")]
    user: Option<String>,
    /// A group to act in, with --as; may be given several times
    #[arg(long = "as-group", global = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// How long one request may take, such as 1s, 2m or 3h; a number alone is seconds, and 0 is as without it: 10s
    // Of each request, as for kubectl. What asks again and again (`--watch`, `--wait`, a drill, lists of many
    // pages) does so by single requests, and goes on for as long as ever.
    #[arg(long, global = true, value_name = "DURATION", value_parser = request_timeout)]
    request_timeout: Option<Duration>,
}

/// Reads it as kubectl does; zero is no limit of the caller's.
fn request_timeout(text: &str) -> Result<Duration, String> {
    if ["0", "0ms", "0s", "0m", "0h"].contains(&text) {
        return Ok(Duration::ZERO);
    }
    let is_bare = text.ends_with(|last: char| last.is_ascii_digit());
    let read = if is_bare {
        seconds(&format!("{text}s"))
    } else {
        seconds(text)
    };
    match read {
        // Timers count milliseconds, and none at all would be no limit.
        Ok(seconds) => Ok(Duration::from_secs_f64(seconds).max(Duration::from_millis(1))),
        Err(why) => Err(format!(
            "{why}; a number alone is seconds, and 0 is as without it"
        )),
    }
}

/// Where Weir itself is.
#[derive(Debug, Clone, Args)]
pub(super) struct WeirArgs {
    /// The namespace that Weir runs in
    #[arg(long, env = "WEIR_NAMESPACE", default_value = NAMESPACE)]
    pub(super) weir_namespace: String,
    /// The Lease by which Weir's leader is known
    #[arg(long, env = "WEIR_LEASE_NAME", default_value = "weir")]
    pub(super) lease_name: String,
}

/// A way to a cluster.
pub(super) struct Connection {
    /// Its client, with Weir's budget and time limits.
    pub(super) client: kube::Client,
    /// The same with the budget for releases.
    pub(super) releases: kube::Client,
    /// Its address, for messages.
    pub(super) server: String,
    /// The namespace of one rollout that is named.
    pub(super) namespace: String,
    /// Reads the time.
    pub(super) clock: Clock,
}

impl ClusterArgs {
    /// The one namespace that was asked for.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Takes in the value of one of these flags, by its name, while somebody types.
    pub(super) fn note(&mut self, flag: &str, value: &str) {
        let value = value.to_owned();
        match flag {
            "namespace" => self.namespace = Some(value),
            "context" => self.context = Some(value),
            "kubeconfig" => self.kubeconfig = Some(value.into()),
            "cluster" => self.cluster = Some(value),
            "login" => self.login = Some(value),
            "user" => self.user = Some(value),
            "groups" => self.groups.push(value),
            "request_timeout" => self.request_timeout = request_timeout(&value).ok(),
            _ => {}
        }
    }

    /// How long each request may take, if that was said.
    fn limit(&self) -> Option<Duration> {
        self.request_timeout.filter(|limit| !limit.is_zero())
    }

    /// Whether all namespaces were asked for.
    pub(super) const fn all_namespaces(&self) -> bool {
        self.all_namespaces
    }

    /// Refuses a namespace, and all of them, for a command that neither could narrow or widen: whoever gives
    /// one counts on it.
    pub(super) const fn without_namespaces(
        &self,
        command: &'static str,
        instead: &'static str,
    ) -> Result<(), CliError> {
        if self.namespace.is_some() || self.all_namespaces {
            return Err(CliError::NoNamespaces { command, instead });
        }
        Ok(())
    }

    /// Sets up a connection; nothing is sent yet.
    pub(super) async fn connect(&self) -> Result<Connection, CliError> {
        self.connect_within(Budget::standard()).await
    }

    /// The same with a budget of its own.
    pub(super) async fn connect_within(&self, budget: Budget) -> Result<Connection, CliError> {
        let kubeconfig = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let options = KubeConfigOptions {
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.login.clone(),
        };
        let config =
            Config::from_custom_kubeconfig(kubeconfig.map_err(CliError::Kubeconfig)?, &options)
                .await
                .map_err(CliError::Kubeconfig)?;
        self.connection(config, budget)
    }

    fn connection(&self, mut config: Config, budget: Budget) -> Result<Connection, CliError> {
        self.act_as(&mut config)?;
        let server = config.cluster_url.to_string();
        let namespace = self.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let clock = Clock::start();
        let clients =
            Clients::new(config, clock, budget, self.limit()).map_err(CliError::Client)?;
        Ok(Connection {
            client: clients.api(),
            releases: clients.releases(),
            server,
            namespace,
            clock,
        })
    }

    /// Has requests say as whom they are to be answered. kube leaves out what a kubeconfig says of it.
    fn act_as(&self, config: &mut Config) -> Result<(), CliError> {
        let known = &config.auth_info;
        let (user, groups) = match &self.user {
            Some(user) => (Some(user), self.groups.as_slice()),
            None if !self.groups.is_empty() => return Err(CliError::GroupsAlone),
            None => {
                let groups = known.impersonate_groups.as_deref();
                (known.impersonate.as_ref(), groups.unwrap_or_default())
            }
        };
        let Some(user) = user else {
            return Ok(());
        };
        let value = |text: &String| {
            HeaderValue::from_str(text).map_err(|_| CliError::NoName { name: text.clone() })
        };
        let mut said = vec![(HeaderName::from_static("impersonate-user"), value(user)?)];
        for group in groups {
            said.push((HeaderName::from_static("impersonate-group"), value(group)?));
        }
        config.headers.extend(said);
        Ok(())
    }

    /// The same for a command about one rollout, which is in one namespace.
    pub(super) async fn connect_to_one(&self) -> Result<Connection, CliError> {
        if self.all_namespaces {
            return Err(CliError::AllNamespaces);
        }
        self.connect().await
    }
}

impl Connection {
    /// What was asked for was not given, for this reason. `needs` is what to do for whoever may not ask.
    pub(super) fn unanswered(&self, source: kube::Error, needs: &'static str) -> CliError {
        let server = self.server.clone();
        match &source {
            kube::Error::Api(status) if status.code == 401 => CliError::Unauthorized { server },
            kube::Error::Api(status) if status.code == 403 => CliError::Forbidden {
                why: status.message.clone(),
                hint: needs,
            },
            kube::Error::Api(status) => CliError::Failed {
                server,
                code: status.code,
                source,
            },
            late if causes(late).any(<dyn Error>::is::<TimedOut>) => {
                CliError::Late { server, source }
            }
            _ => CliError::Unreachable { server, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::{
        cli::find::tests::{connection, refusal},
        client::fake::Server,
    };

    fn args(user: Option<&str>, groups: &[&str]) -> ClusterArgs {
        ClusterArgs {
            user: user.map(ToOwned::to_owned),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            ..ClusterArgs::default()
        }
    }

    fn config(user: Option<&str>) -> Config {
        let mut config = Config::new("https://10.0.0.1:6443".parse().unwrap());
        config.auth_info.impersonate = user.map(ToOwned::to_owned);
        config.auth_info.impersonate_groups = user.map(|_| vec!["all".to_owned()]);
        config
    }

    fn said(config: &Config) -> Vec<(&str, &str)> {
        let headers = config.headers.iter();
        headers
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect()
    }

    #[test]
    fn a_request_s_time_is_read_as_by_kubectl() {
        let limit = |text: &str| {
            let mut args = ClusterArgs::default();
            args.note("request_timeout", text);
            args.limit()
        };
        for (text, seconds) in [("1s", 1), ("2m", 120), ("3h", 10_800), ("30", 30)] {
            assert_eq!(limit(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(limit("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(limit("0.01ms"), Some(Duration::from_millis(1)));
        for text in ["0", "0s", "0h"] {
            assert_eq!(limit(text), None, "{text}");
        }
        for wrong in ["", "soon", "-1", "-1s", "1d", "1 s", "1e30h", "inf"] {
            let why = request_timeout(wrong).unwrap_err();
            let how = "; a number alone is seconds, and 0 is as without it";
            assert!(why.ends_with(how), "{wrong}: {why}");
        }
    }

    #[tokio::test]
    async fn a_kubeconfig_without_such_a_context_is_told_with_what_to_give() {
        let path = std::env::temp_dir().join(format!("weir-no-context-{}", std::process::id()));
        for current in ["", "current-context: gone"] {
            let text = format!("apiVersion: v1\nkind: Config\ncontexts: []\n{current}\n");
            std::fs::write(&path, text).unwrap();
            let args = ClusterArgs {
                kubeconfig: Some(path.clone()),
                ..ClusterArgs::default()
            };
            let error = args.connect().await.map(drop).unwrap_err();
            assert_eq!(error.kind().code(), 2, "{error}");
            let report = error.report();
            assert!(report.contains("current context"), "{report}");
            assert!(report.contains("--context NAME"), "{report}");
        }
        std::fs::remove_file(path).unwrap();
    }

    /// What is said of a request that an API server never answers.
    async fn unanswered(limit: &str) -> CliError {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let mut config = Config::new(url.parse().unwrap());
        // None is needed, and none of this machine's is looked for.
        config.root_cert = Some(Vec::new());
        let mut args = ClusterArgs::default();
        args.note("request_timeout", limit);
        let connection = args.connection(config, Budget::standard()).unwrap();
        let error = connection.client.apiserver_version().await.unwrap_err();
        connection.unanswered(error, VERSION)
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_is_told_with_the_flag_that_gives_it_longer() {
        // Shorter than the limits below it, and longer than all of them.
        for (limit, within) in [("500ms", "0.5 s"), ("2m", "120 s")] {
            let error = unanswered(limit).await;
            assert_eq!(error.kind().code(), 3, "{error}");
            let report = error.report();
            let said = format!("(--request-timeout): no answer to GET /version within {within}\n");
            assert!(report.contains(&said), "{report}");
            assert!(report.contains("hint: give it longer"), "{report}");
        }
    }

    #[tokio::test]
    async fn an_api_server_that_answered_is_not_told_as_silent() {
        for code in [410, 429, 500, 503] {
            let server = Server::that([refusal(code)]);
            let connection = connection(&server);
            let error = connection.client.apiserver_version().await.unwrap_err();
            let error = connection.unanswered(error, VERSION);
            assert_eq!(error.kind().code(), 3);
            let said = format!("answered with {code}: no\n");
            assert!(error.report().contains(&said), "{}", error.report());
        }
    }

    #[test]
    fn whom_a_request_is_made_as_goes_before_what_the_kubeconfig_says() {
        let mut told = config(Some("else"));
        args(Some("jane"), &["ops", "dev"])
            .act_as(&mut told)
            .unwrap();
        let expected = [
            ("impersonate-user", "jane"),
            ("impersonate-group", "ops"),
            ("impersonate-group", "dev"),
        ];
        assert_eq!(said(&told), expected);

        let mut of_file = config(Some("else"));
        args(None, &[]).act_as(&mut of_file).unwrap();
        let expected = [("impersonate-user", "else"), ("impersonate-group", "all")];
        assert_eq!(said(&of_file), expected);
    }

    #[test]
    fn groups_without_a_user_and_names_that_are_none_are_refused() {
        for args in [args(None, &["ops"]), args(Some("a\nb"), &[])] {
            let error = args.act_as(&mut config(None)).unwrap_err();
            assert_eq!(error.kind().code(), 2, "{error}");
        }
        args(None, &[]).act_as(&mut config(None)).unwrap();
    }
}
