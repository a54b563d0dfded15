//! An error and what caused it → one line for a person.

use std::error::Error;

use kube::runtime::watcher;

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
        // Some errors repeat their cause in their own text. A wrapper around nothing is all there is.
        if error.source().is_some() && is_wrapper(error) || text.contains(&cause) {
            continue;
        }
        text = if text.is_empty() {
            cause
        } else {
            format!("{text}: {cause}")
        };
    }
    text
}

fn is_wrapper(error: &(dyn Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(kube::Error::Service(_)))
        || matches!(
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
    fn what_a_cause_says_that_was_said_already_is_not_said_again() {
        #[derive(Debug, thiserror::Error)]
        #[error("no page came: {0}")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("connection refused"));
        assert_eq!(chain(&error), "no page came: connection refused");
    }
}
