//! An error and what caused it → one line for a person; and whether it only says that something is not there.

use std::error::Error;

use kube::runtime::watcher;

use super::budget::OverBudget;

/// An error, what caused it, what caused that, and so on.
pub fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// An error with its causes, in one line, without the wrappers that only say whose error it is.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for error in causes(error) {
        let cause = error.to_string();
        // A status without a reason ends in what would have led to it.
        let cause = cause.trim_end_matches([':', ' ']);
        // Some errors repeat their cause in their own text. A wrapper around nothing is all there is.
        if error.source().is_some() && is_wrapper(error) || holds(&text, cause) {
            continue;
        }
        text = if text.is_empty() {
            cause.to_owned()
        } else {
            format!("{text}: {cause}")
        };
    }
    text
}

/// Whether a text holds another as words of its own: an API server's `no` is not told by `not found`.
fn holds(text: &str, words: &str) -> bool {
    let is_part = |one: Option<char>| one.is_some_and(char::is_alphanumeric);
    text.match_indices(words).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + words.len()..]);
        !is_part(before.chars().next_back()) && !is_part(after.chars().next())
    })
}

/// Whether a request never left, since Weir's own budget was spent: that says nothing about the server.
#[must_use]
pub fn is_over_budget(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Service(error) if error.is::<OverBudget>())
}

/// The error of an API server, whether a chain holds it plain or boxed.
pub fn of_kube<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a kube::Error> {
    let boxed = || error.downcast_ref::<Box<kube::Error>>().map(AsRef::as_ref);
    error.downcast_ref::<kube::Error>().or_else(boxed)
}

/// Whether an API server answered that what was asked for is not there: an object, or its whole kind.
///
/// By the code: a path that the API server does not serve has no reason in words.
#[must_use]
pub fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

fn is_wrapper(error: &(dyn Error + 'static)) -> bool {
    // What an API server answered is shown by its own text and once more for machines.
    matches!(
        of_kube(error),
        Some(kube::Error::Service(_) | kube::Error::Api(_))
    ) || matches!(
        error.downcast_ref(),
        Some(
            watcher::Error::InitialListFailed(_)
                | watcher::Error::WatchStartFailed(_)
                | watcher::Error::WatchFailed(_)
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_by_its_causes_and_not_by_whose_it_is() {
        let reset = std::io::Error::other("connection reset by peer");
        let error = watcher::Error::WatchStartFailed(kube::Error::Service(Box::new(reset)));
        assert_eq!(chain(&error), "connection reset by peer");
    }

    #[test]
    fn what_an_api_server_answered_is_told_without_its_fields() {
        #[derive(Debug, thiserror::Error)]
        #[error("not approved")]
        struct Outer(#[source] Box<kube::Error>);
        let answer = || {
            kube::Error::Api(Box::new(kube::core::Status {
                code: 403,
                message: "pods is forbidden".to_owned(),
                reason: "Forbidden".to_owned(),
                ..kube::core::Status::default()
            }))
        };
        assert_eq!(chain(&answer()), "pods is forbidden: Forbidden");
        let boxed = Outer(Box::new(answer()));
        assert_eq!(chain(&boxed), "not approved: pods is forbidden: Forbidden");
    }

    #[test]
    fn what_a_cause_says_that_was_said_already_is_not_said_again() {
        #[derive(Debug, thiserror::Error)]
        #[error("no page came: {0}")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("connection refused"));
        assert_eq!(chain(&error), "no page came: connection refused");
    }

    #[test]
    fn only_an_api_server_s_404_says_that_something_is_not_there() {
        let answer = |code, reason: &str| {
            let status = kube::core::Status::failure("no", reason).with_code(code);
            is_missing(&kube::Error::Api(status.boxed()))
        };
        assert!(answer(404, "NotFound"));
        // As a path is answered that is not served.
        assert!(answer(404, ""));
        assert!(!answer(403, "Forbidden"));
        let silent = kube::Error::Service("404 connections refused".into());
        assert!(!is_missing(&silent));
    }

    #[test]
    fn a_short_cause_is_not_told_by_a_part_of_a_word() {
        assert!(holds("not written: no", "no"));
        assert!(!holds("not written", "no"));
        assert!(!holds("is known", "no"));
    }
}
