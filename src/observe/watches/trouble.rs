//! Turns what went wrong with a watch into what a person can do about it.

use kube::{core::Status, runtime::watcher};
use weir_core::time::{Moment, Span};

use super::{kept::what, slim::Keep};
use crate::client::chain;

/// How long an API server must refuse before it is believed: one that has just started refuses
/// everybody until it knows the roles and bindings (3 s on an idle 1.36.3).
pub(in crate::observe) const REFUSAL_LASTS: Span = Span::from_secs(30);

/// What is wrong with a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It may not be, or there is nothing to watch: a person must act.
    Refused(String),
    /// It sent what is not an object: what is kept may lack something that nobody can name.
    Unreadable(String),
    /// It failed, and will be tried again.
    Failed(String),
}

/// A trouble, and since when there has been none other.
#[derive(Debug, Clone)]
pub(super) struct Troubled {
    pub(super) what: Trouble,
    first: Moment,
    pub(super) last: Moment,
}

impl Troubled {
    /// `what` happened `now` to the watch on `watch`, after `before` and nothing good in between.
    pub(super) fn after(before: Option<Self>, what: Trouble, now: Moment, watch: &str) -> Self {
        let same = before.filter(|before| before.what == what);
        if same.is_none() {
            what.log(watch);
        }
        Self {
            first: same.map_or(now, |same| same.first),
            what,
            last: now,
        }
    }

    /// Whether it has gone on for long enough to be believed, on a watch that last spoke at `alive`.
    pub(super) fn lasts(&self, alive: Moment, now: Moment) -> bool {
        alive <= self.last && now.since(self.first) >= REFUSAL_LASTS
    }
}

impl Trouble {
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Refused(why) | Self::Unreadable(why) | Self::Failed(why) => why,
        }
    }

    fn log(&self, watch: &str) {
        let why = self.why();
        match self {
            Self::Refused(_) | Self::Unreadable(_) => tracing::warn!(watch, why, "a watch failed"),
            // Each restart of an API server ends all watches; what matters is whether they return.
            Self::Failed(_) => tracing::info!(watch, why, "a watch failed and is tried again"),
        }
    }

    /// What an error means for a person.
    pub(super) fn of<K: Keep>(error: &watcher::Error) -> Self {
        let what = what::<K>();
        if let Some(status) = status(error) {
            let said = &status.message;
            return match status.code {
                401 => Self::Refused(format!(
                    "Weir's credentials are not accepted for {what}: check its ServiceAccount's token \
                     ({said})"
                )),
                403 => Self::Refused(format!(
                    "Weir may not read {what}: grant it the verbs list and watch on them ({said})"
                )),
                404 => Self::Refused(format!(
                    "the API server does not know {what}: apply Weir's CRDs ({said})"
                )),
                code => Self::Failed(format!("{code} {said}")),
            };
        }
        match error {
            watcher::Error::WatchFailed(kube::Error::SerdeError(error))
            | watcher::Error::InitialListFailed(kube::Error::SerdeError(error)) => {
                Self::Unreadable(format!(
                    "the watch on {what} sent something that is not an object: {error}"
                ))
            }
            watcher::Error::NoResourceVersion => Self::Unreadable(format!(
                "the watch on {what} sent objects without a version"
            )),
            error => Self::Failed(chain(error)),
        }
    }
}

/// Whether the server refuses to stream lists: 422, with the name of the parameter.
pub(super) fn is_unstreamed(error: &watcher::Error) -> bool {
    status(error)
        .is_some_and(|status| status.code == 422 && status.message.contains("sendInitialEvents"))
}

fn status(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status),
        _ => None,
    }
}
