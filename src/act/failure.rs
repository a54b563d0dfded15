//! A write that failed → what a person is told of it, and what they can do.

use std::error::Error;

use kube::core::Status;

use super::permit::Unwritten;
use crate::{
    client::{OverBudget, causes, of_kube},
    valve::remote::ValveError,
};

/// A write that failed, as a person is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What could not be done, as a clause: `a pod's gate could not be removed`.
    pub what: &'static str,
    /// What the API server, or the way to it, said.
    pub error: String,
    /// What to grant or to mend.
    pub advice: &'static str,
    /// The API server only had no time for it.
    pub passing: bool,
}

impl Failure {
    /// What is to be told of an error; nothing if it is only that this process was not to write now,
    /// or that somebody else was faster.
    #[must_use]
    pub fn of(what: &'static str, error: &Unwritten) -> Option<Self> {
        let advice = match error {
            Unwritten::NotLeading | Unwritten::Revoked => return None,
            Unwritten::Unanswered => SLOW,
            Unwritten::Failed(cause) if is_over_budget(cause.as_ref()) => return None,
            // Putting it in order is another write, which has failures of its own.
            Unwritten::Failed(cause) if matches!(cause.downcast_ref(), Some(ValveError::Lost)) => {
                return None;
            }
            Unwritten::Failed(cause) => match status(cause.as_ref()) {
                Some(status) if is_conflict(status) => return None,
                Some(status) => advice(status),
                None => UNREACHED,
            },
        };
        Some(Self {
            what,
            error: error.to_string(),
            advice,
            passing: is_turned_away(error),
        })
    }

    /// Of what was written, again and again, and does not stay so.
    #[must_use]
    pub fn undone() -> Self {
        Self {
            what: "it does not stay as it is written",
            error: "somebody changes it back".to_owned(),
            advice: "see who does in its metadata.managedFields (kubectl get --show-managed-fields \
                     -o yaml), or, if it is deleted, in the API servers' audit log",
            passing: false,
        }
    }

    /// It as a sentence or two.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self {
            what,
            error,
            advice,
            passing: _,
        } = self;
        format!("{what}: {error}. To mend it, {advice}; it is tried again by itself.")
    }
}

const SLOW: &str = "see that the API servers, etcd and their admission webhooks answer";
const BUSY: &str = "see who asks so much of the API servers (kubectl get --raw \
                    /debug/api_priority_and_fairness/dump_requests)";
const UNREACHED: &str = "see that Weir's pod can reach the API server";

/// How a denial begins by a policy that confines Weir. It comes with Weir: it is an older one.
const OWN_POLICY: &str = "ValidatingAdmissionPolicy 'weir-only-";

/// What helps against what an API server answered. Webhooks choose their codes, so that what they
/// say comes first.
fn advice(status: &Status) -> &'static str {
    let said = status.message.as_str();
    if said.contains(OWN_POLICY) {
        "apply the deploy/confine.yaml of this version of Weir"
    } else if said.contains("ValidatingAdmissionPolicy") {
        "exempt the account system:serviceaccount:weir-system:weir from the policy that it names"
    } else if is_of_webhook(status) {
        "mend the webhook that it names, or exempt the account \
         system:serviceaccount:weir-system:weir from it"
    } else if said.contains("metadata.annotations: Too long") {
        "remove annotations that are not Weir's from the Role `weir-approved` in weir-system"
    } else {
        match status.code {
            401 => "check the token of Weir's ServiceAccount",
            403 => {
                "grant it to the account system:serviceaccount:weir-system:weir: apply deploy/rbac.yaml"
            }
            404 => "apply Weir's CRDs and manifests (crds/, deploy/)",
            429 => BUSY,
            code if code >= 500 => SLOW,
            _ => "see what the API server says",
        }
    }
}

/// What an API server answered, if that is what the error is about.
fn status<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Status> {
    causes(error).find_map(|cause| match of_kube(cause)? {
        kube::Error::Api(status) => Some(&**status),
        _ => None,
    })
}

/// Whether an API server did not do it, and said nothing against it: it had no time (429), or somebody
/// else was faster (409). Of what was asked for that says nothing; it is tried again as it is.
pub(super) fn is_turned_away(error: &Unwritten) -> bool {
    let Unwritten::Failed(cause) = error else {
        return false;
    };
    status(cause.as_ref()).is_some_and(|status| is_conflict(status) || is_shed(status))
}

fn is_conflict(status: &Status) -> bool {
    status.code == 409 && !is_of_webhook(status)
}

fn is_shed(status: &Status) -> bool {
    status.code == 429 && !is_of_webhook(status)
}

/// Whether the code is a webhook's, which chooses it as it likes.
fn is_of_webhook(status: &Status) -> bool {
    status.message.contains("webhook")
}

/// Whether the request was not sent, since Weir's own budget was spent.
pub(super) fn is_over_budget(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<OverBudget>)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status {
            code,
            message: message.to_owned(),
            ..Status::default()
        }))
    }

    fn told(error: impl Error + Send + Sync + 'static) -> String {
        let failure = Failure::of(
            "a pod's gate could not be removed",
            &Unwritten::Failed(error.into()),
        );
        failure.unwrap().sentence()
    }

    #[test]
    fn each_failure_says_what_to_grant_or_mend() {
        for (code, said, help) in [
            (
                403,
                "pods \"x\" is forbidden: User cannot patch",
                "deploy/rbac.yaml",
            ),
            (
                403,
                "admission webhook \"a.b\" denied the request",
                "mend the webhook",
            ),
            (500, "failed calling webhook \"a.b\"", "mend the webhook"),
            (
                422,
                "ValidatingAdmissionPolicy 'x' denied request",
                "exempt the account",
            ),
            (
                422,
                "ValidatingAdmissionPolicy 'weir-only-meters' with binding 'x' denied request",
                "deploy/confine.yaml",
            ),
            (
                422,
                "metadata.annotations: Too long: may not be more than 262144 bytes",
                "remove annotations",
            ),
            (
                404,
                "the server could not find the requested resource",
                "crds/",
            ),
            (503, "etcd has no leader", "etcd"),
            (
                429,
                "too many requests, please try again later",
                "dump_requests",
            ),
        ] {
            let sentence = told(api(code, said));
            assert!(
                sentence.contains(help) && sentence.contains(said),
                "{sentence}"
            );
            assert!(!sentence.contains("Status {"), "{sentence}");
        }
    }

    #[test]
    fn what_the_valve_wraps_is_found() {
        let source = || api(403, "roles.rbac.authorization.k8s.io is forbidden");
        let approve = ValveError::Approve {
            key: "a.b".to_owned(),
            source: Box::new(source()),
        };
        for error in [approve, ValveError::Write(source())] {
            let sentence = told(error);
            assert!(sentence.contains("deploy/rbac.yaml"), "{sentence}");
            assert!(!sentence.contains("Status {"), "{sentence}");
        }
    }

    #[test]
    fn what_was_not_to_be_written_is_no_failure() {
        let lost = Unwritten::Failed(ValveError::Lost.into());
        let outrun = Unwritten::Failed(api(409, "the object has been modified").into());
        for error in [Unwritten::NotLeading, Unwritten::Revoked, lost, outrun] {
            assert_eq!(Failure::of("it could not be written", &error), None);
        }
        assert!(Failure::of("it could not be written", &Unwritten::Unanswered).is_some());
    }

    #[test]
    fn a_server_that_has_no_time_refuses_nothing_but_a_webhook_may() {
        for (code, said, turned_away) in [
            (429, "too many requests, please try again later", true),
            (409, "the object has been modified", true),
            (429, "admission webhook \"a.b\" denied the request", false),
            (409, "admission webhook \"a.b\" denied the request", false),
            (403, "pods \"x\" is forbidden", false),
            (503, "etcd has no leader", false),
        ] {
            let error = Unwritten::Failed(api(code, said).into());
            assert_eq!(is_turned_away(&error), turned_away, "{code} {said}");
            if let Some(failure) = Failure::of("it could not be written", &error) {
                assert_eq!(failure.passing, turned_away, "{code} {said}");
            }
        }
        assert!(!is_turned_away(&Unwritten::Unanswered));
    }
}
