//! What a policy asks of a source outside the cluster, valid as it stands.
//!
//! Made by `policy`, asked by `observe`, told by `guard`: so it belongs to none of them. It holds names of Secrets,
//! never what is in them.

use std::{cmp::Ordering, sync::Arc};

use weir_core::time::Span;

/// What a policy depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// What is asked; or what is wrong with how the policy asks it, so that it cannot be.
    pub asks: Result<Arc<Question>, String>,
    /// For how long nothing is let through while it says nothing.
    pub silent_for: Span,
}

/// One question to one address. Policies that ask the same share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// How often it is asked while a rollout is in flight.
    pub every: Span,
    /// How long the whole answer may take, from the look-up of the name to its last byte.
    pub timeout: Span,
    /// Where: `http` or `https`, without user, password and fragment.
    pub url: String,
    /// What is asked there, and how well it is by which answer.
    pub signal: Signal,
    /// Whom to trust.
    pub tls: Tls,
    /// The Secret's key whose value is sent as a bearer token.
    pub bearer: Option<SecretKey>,
}

/// What tells how a dependency is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// A value in an answer that is JSON.
    Json {
        /// Where in it, after RFC 9535.
        path: String,
        /// The values by which it is well; never empty.
        well: Vec<String>,
    },
    /// A query of a Prometheus' API.
    Prometheus {
        /// The query, in `PromQL`.
        query: String,
        /// What its value is compared with.
        threshold: Threshold,
        /// On which side of that is an incident.
        incident: Side,
    },
}

/// On which side of a threshold an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Values that are greater.
    Above,
    /// Values that are less.
    Below,
}

/// A finite number, in the order of IEEE 754's total order.
#[derive(Debug, Clone, Copy)]
pub struct Threshold(pub f64);

impl Ord for Threshold {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Threshold {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Threshold {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Threshold {}

/// Whom to trust, where the address is `https`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tls {
    /// The Secret whose `ca.crt` holds the only authorities to trust; none for those that browsers trust.
    pub ca_secret: Option<String>,
    /// The name that the certificate must carry, where it is not the address' own.
    pub server_name: Option<String>,
}

/// One key of a Secret in Weir's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretKey {
    /// The Secret.
    pub name: String,
    /// The key in it.
    pub key: String,
}

impl Question {
    /// Where it is asked, for people: without the query, which may hold what nobody else should see.
    #[must_use]
    pub fn place(&self) -> &str {
        let end = self.url.find(['?', '#']).unwrap_or(self.url.len());
        &self.url[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_its_query() {
        let mut question = Question {
            every: Span::from_secs(60),
            timeout: Span::from_secs(5),
            url: "https://status.example.com/api/v2/status.json?key=hush".to_owned(),
            signal: Signal::Json {
                path: "$".to_owned(),
                well: vec!["none".to_owned()],
            },
            tls: Tls::default(),
            bearer: None,
        };
        assert_eq!(
            question.place(),
            "https://status.example.com/api/v2/status.json"
        );
        question.url = "http://prometheus:9090".to_owned();
        assert_eq!(question.place(), "http://prometheus:9090");
    }

    #[test]
    fn thresholds_have_an_order() {
        assert!(Threshold(-1.0) < Threshold(0.5));
        assert_eq!(Threshold(0.5), Threshold(0.5));
    }
}
