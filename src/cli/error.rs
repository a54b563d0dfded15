//! What can go wrong on the way to an answer: a kind, a hint, and an exit code.

use kube::config::KubeconfigError;

use crate::client::{ClientError, chain};

/// Kinds of failure, each with its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line or the kubeconfig it names is wrong.
    Usage,
    /// The cluster did not answer, or not to this user.
    Unreachable,
    /// The answer could not be shown.
    Output,
}

impl Kind {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Output => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The kubeconfig could not be read, or has no such context.
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[source] KubeconfigError),
    /// No client could be made from it.
    #[error("no connection could be set up")]
    Client(#[source] ClientError),
    /// The API server did not answer.
    #[error("the API server at {server} did not answer")]
    Unreachable {
        /// Its address.
        server: String,
        /// Why.
        source: kube::Error,
    },
    /// The API server does not know who asks.
    #[error("the API server at {server} does not accept these credentials")]
    Unauthorized {
        /// Its address.
        server: String,
    },
    /// The answer could not be written as JSON.
    #[error("the status could not be written as JSON")]
    Json(#[source] serde_json::Error),
    /// The answer could not be written as YAML.
    #[error("the status could not be written as YAML")]
    Yaml(#[source] serde_saphyr::ser::Error),
}

impl CliError {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Kubeconfig(_) | Self::Client(_) => Kind::Usage,
            Self::Unreachable { .. } | Self::Unauthorized { .. } => Kind::Unreachable,
            Self::Json(_) | Self::Yaml(_) => Kind::Output,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Kubeconfig(_) => "set KUBECONFIG, or give --kubeconfig FILE and --context NAME",
            Self::Client(_) => "check the certificates and credentials in the kubeconfig",
            Self::Unreachable { .. } => {
                "check with `kubectl get --raw /livez`; while the API server is away, what Weir \
                 holds stays held"
            }
            Self::Unauthorized { .. } => "log in again, then check with `kubectl auth whoami`",
            Self::Json(_) | Self::Yaml(_) => "show it as text: leave out -o",
        }
    }

    /// All of it for standard error: the chain of causes, then the hint.
    #[must_use]
    pub fn report(&self) -> String {
        format!("error: {}\nhint: {}\n", chain(self), self.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_to_do_once_each() {
        let source = kube::Error::Service("connection refused".into());
        let error = CliError::Unreachable {
            server: "https://10.0.0.1:6443/".to_owned(),
            source,
        };
        assert_eq!(
            error.report(),
            "error: the API server at https://10.0.0.1:6443/ did not answer: connection refused\n\
             hint: check with `kubectl get --raw /livez`; while the API server is away, what Weir \
             holds stays held\n"
        );
        assert_eq!(error.kind().code(), 3);
    }
}
