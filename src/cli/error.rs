//! What can go wrong on the way to an answer: a kind, a hint, and an exit code.

use std::path::PathBuf;

use kube::config::KubeconfigError;
use weir_core::forecast::Mismatch;

use super::find::Unnamed;
use crate::client::{ClientError, chain};

/// Kinds of failure, each with its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line or the kubeconfig it names is wrong.
    Usage,
    /// The cluster did not answer, or not to this user.
    Unreachable,
    /// There is nothing to show, or it could not be shown.
    Output,
    /// Done, it would mislead: refused for safety.
    Refused,
}

impl Kind {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Output => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Refused => 4,
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
    /// The API server answered, but not what was asked.
    #[error("the API server at {server} answered with {code}")]
    Failed {
        /// Its address.
        server: String,
        /// The HTTP status.
        code: u16,
        /// In its words.
        source: kube::Error,
    },
    /// The API server's answer took longer than a request may.
    #[error("the API server at {server} did not answer in time (--request-timeout)")]
    Late {
        /// Its address.
        server: String,
        /// What took how long.
        source: kube::Error,
    },
    /// A wait was over while the API server was still asked.
    #[error("the API server at {server} had not answered when the wait was over (--timeout)")]
    Unseen {
        /// Its address.
        server: String,
    },
    /// The API server does not know who asks.
    #[error("the API server at {server} does not accept these credentials")]
    Unauthorized {
        /// Its address.
        server: String,
    },
    /// The API server will not let this user ask.
    #[error("the API server refuses: {why}")]
    Forbidden {
        /// In its words.
        why: String,
        /// What it takes to ask that, or what to ask instead.
        hint: &'static str,
    },
    /// Weir's kinds are not defined in this cluster.
    #[error("GuardedRollouts are not defined in this cluster: Weir is not installed")]
    NotInstalled,
    /// A command about one rollout was asked for all namespaces.
    #[error("one rollout is in one namespace: -A cannot be used here")]
    AllNamespaces,
    /// A namespace was given for what none could narrow.
    #[error("`{command}` is not about one namespace or another: -n and -A cannot be used here")]
    NoNamespaces {
        /// What was asked for.
        command: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// Groups to act in were given, but nobody to act as.
    #[error("--as-group needs --as: only a user can be in groups")]
    GroupsAlone,
    /// A user's or a group's name cannot be one.
    #[error("`{}` cannot be the name of a user or a group", name.escape_debug())]
    NoName {
        /// What was given.
        name: String,
    },
    /// A change was not made.
    #[error("{what} was not changed")]
    Unchanged {
        /// What was to be changed.
        what: String,
        /// What it takes to change it.
        needs: &'static str,
        /// Why it was not.
        source: kube::Error,
    },
    /// The cluster's definition of a kind is older than this program.
    #[error(
        "the API server dropped `{field}`: the cluster's definition of GuardedRollouts is older"
    )]
    OldKind {
        /// What it does not know.
        field: &'static str,
    },
    /// A file could not be written.
    #[error("{} could not be written", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such check.
    #[error("there is no check or category `{name}`")]
    NoCheck {
        /// What was asked for.
        name: String,
    },
    /// A check is asked for that `--pre` leaves out.
    #[error("`{name}` is no part of --pre: it looks at what is installed")]
    NotPre {
        /// What was asked for.
        name: String,
    },
    /// The command would do what nobody can have meant.
    #[error("{why}")]
    Unsafe {
        /// Why.
        why: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// The rollout's name does not say which.
    #[error("{0}")]
    Unnamed(Unnamed),
    /// What was measured is not enough to be used elsewhere.
    #[error("there is no cost to export: {why}")]
    NoCost {
        /// What is missing.
        why: String,
    },
    /// A file cannot be used.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The numbers given cannot be reckoned with.
    #[error("these numbers tell nothing")]
    Numbers(#[source] Mismatch),
    /// The cost belongs to another template.
    #[error(
        "{} holds the cost of another pod template: it is of {measured}, and {} has {asked}",
        cost.display(), manifest.display()
    )]
    OtherTemplate {
        /// The file with the cost.
        cost: PathBuf,
        /// The template that was measured.
        measured: String,
        /// The file with the DaemonSet.
        manifest: PathBuf,
        /// Its template.
        asked: String,
    },
    /// The answer could not be written as JSON.
    #[error("the answer could not be written as JSON")]
    Json(#[source] serde_json::Error),
    /// The answer could not be written as YAML.
    #[error("the answer could not be written as YAML")]
    Yaml(#[source] serde_saphyr::ser::Error),
}

impl CliError {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            // Whoever asked was heard, and may do it.
            Self::Unchanged {
                source: kube::Error::Api(status),
                ..
            } if matches!(status.code, 409 | 422) => Kind::Output,
            Self::Kubeconfig(_)
            | Self::Client(_)
            | Self::NotInstalled
            | Self::AllNamespaces
            | Self::NoNamespaces { .. }
            | Self::GroupsAlone
            | Self::NoName { .. }
            | Self::NoCheck { .. }
            | Self::NotPre { .. }
            | Self::Unwritten { .. }
            | Self::Unnamed(_)
            | Self::File { .. }
            | Self::Numbers(_) => Kind::Usage,
            Self::Unreachable { .. }
            | Self::Failed { .. }
            | Self::Late { .. }
            | Self::Unseen { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::Unchanged { .. } => Kind::Unreachable,
            Self::NoCost { .. } | Self::OldKind { .. } | Self::Json(_) | Self::Yaml(_) => {
                Kind::Output
            }
            Self::OtherTemplate { .. } | Self::Unsafe { .. } => Kind::Refused,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Kubeconfig(_) => "set KUBECONFIG, or give --kubeconfig FILE and --context NAME",
            Self::Client(_) => "check the certificates and credentials in the kubeconfig",
            Self::Unreachable { .. } => {
                "check with `kubectl get --raw /livez`; while the API server is away, what Weir \
                 holds stays held"
            }
            Self::Late { .. } => {
                "give it longer, such as --request-timeout=1m, or see what takes it so long with \
                 `kubectl get --raw '/readyz?verbose'`"
            }
            Self::Unseen { .. } => {
                "wait for longer with --timeout, or see what takes it so long with `kubectl get --raw \
                 '/readyz?verbose'`"
            }
            Self::Unauthorized { .. } => "log in again, then check with `kubectl auth whoami`",
            Self::Failed { code, .. } => after(*code),
            Self::Forbidden { hint, .. } => hint,
            Self::NotInstalled => "apply crds/ and deploy/, or choose another --context",
            Self::AllNamespaces => "give -n NAMESPACE",
            Self::GroupsAlone => "give --as USER too, as for kubectl",
            Self::NoName { .. } => "give --as and --as-group names without line breaks",
            Self::Unwritten { .. } => "choose another file with -f FILE",
            Self::NoCheck { .. } => "`kubectl weir check -o json` shows the ids of all",
            Self::NotPre { .. } => {
                "leave out --pre, or name what docs/reference/checks.md calls part of it"
            }
            // A right is not what is missing where an API server sheds load, or something else came first.
            Self::Unchanged {
                source: kube::Error::Api(status),
                ..
            } if matches!(status.code, 404 | 409 | 429 | 500..) => after(status.code),
            Self::Unchanged { needs, .. } => needs,
            Self::OldKind { .. } => "apply the crds/ of this version, then try again",
            Self::Unsafe { instead, .. } | Self::NoNamespaces { instead, .. } => instead,
            Self::Unnamed(_) => "`kubectl get guardedrollouts -A` lists what there is",
            Self::NoCost { .. } => {
                "wait until the rollout has soaked at three widths; `kubectl weir explain` shows \
                 what is known"
            }
            Self::File { .. } => {
                "give the DaemonSet's manifest with -f, and with --cost what `kubectl weir cost \
                 export` wrote"
            }
            Self::Numbers(Mismatch::ObjectsUnknown) => {
                "leave out --pods, or measure again: the record then says how many pods there were"
            }
            Self::Numbers(Mismatch::ObjectsOfOneUnknown) => {
                "give the record that says it alone, or measure the other one again"
            }
            Self::Numbers(Mismatch::Nothing | Mismatch::SameObjects | Mismatch::Contradiction) => {
                "give one record alone, or two of clusters with different numbers of pods"
            }
            Self::OtherTemplate { .. } => {
                "a cost belongs to its template: measure this one on a small cluster first, then \
                 export it; if only webhooks or defaults of an API server made the difference, ask \
                 with what it makes of the file: `kubectl apply --dry-run=server -o yaml -f ds.yaml | \
                 kubectl weir preflight -f - --nodes N --cost FILE`"
            }
            Self::Json(_) | Self::Yaml(_) => "show it as text: leave out -o",
        }
    }

    /// All of it for standard error: the chain of causes, then the hint.
    #[must_use]
    pub fn report(&self) -> String {
        format!("error: {}\nhint: {}\n", chain(self), self.hint())
    }
}

/// What to do after an API server's answer that is no answer.
const fn after(code: u16) -> &'static str {
    match code {
        404 | 409 => "it has changed in the meantime: look at it again, and then try again",
        410 => "try again: the list was read for longer than the API server keeps one",
        429 | 500.. => {
            "the API server sheds load or is not well: try again in a moment, and see `kubectl get --raw \
             '/readyz?verbose'`; meanwhile what Weir holds stays held"
        }
        _ => {
            "see what `kubectl get guardedrollouts -v=8` is answered, and what stands between it and you"
        }
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

    #[test]
    fn a_refusal_of_what_was_asked_is_no_unreachable_cluster() {
        for (code, expected) in [(409, 1), (422, 1), (403, 3), (500, 3)] {
            let status = kube::core::Status::failure("no", "Because").with_code(code);
            let error = CliError::Unchanged {
                what: "it".to_owned(),
                needs: "ask",
                source: kube::Error::Api(status.boxed()),
            };
            assert_eq!(error.kind().code(), expected, "{code}");
            let is_about_rights = error.hint() == "ask";
            assert_eq!(is_about_rights, matches!(code, 403 | 422), "{code}");
        }
    }
}
