//! All checks, in reading order. Another one is another entry of its category's file.

mod dns;
mod enrolled;
mod gate;
mod install;
mod rollouts;
mod running;
mod same;

use super::{
    facts::{Fact, Facts, Part},
    manifest::{self, Right},
};
use crate::view::check::Level;

/// How a check ended: what was seen where all is well, or how it is not.
pub(super) type Ended = Result<String, (Level, String)>;

/// One thing that can be wrong.
pub(super) struct Check {
    /// It never changes: scripts go by it, and it is the anchor of its description.
    pub(super) id: String,
    /// What it is about.
    pub(super) category: &'static str,
    /// What should be so.
    pub(super) title: String,
    /// Why it matters.
    pub(super) about: &'static str,
    /// What to do if it is not so.
    pub(super) hint: &'static str,
    /// Whether it says if Weir can be installed.
    pub(super) pre: bool,
    ask: Ask,
}

enum Ask {
    One(fn(&Facts) -> Ended),
    /// Of all rights the one at this place.
    Right(usize),
}

impl Check {
    /// What it looks at.
    pub(super) fn needs(&self) -> &'static [Part] {
        match self.category {
            "Cluster" | "Installer" => &[Part::Cluster],
            "Kinds" | "Account" | "Confinement" => &[Part::Shipped],
            "Rights" => &[Part::Rights],
            "DNS" => &[Part::Dns, Part::State],
            "Gate" => &[Part::Shipped, Part::State, Part::Gate],
            "Operator" => &[Part::State],
            "API servers" | "Meters" => &[Part::Cluster, Part::State],
            "Enrolment" => &[Part::Enrolled, Part::Rollouts],
            "Rollouts" => &[Part::Rollouts, Part::State],
            // A test sees to it that there is no other.
            _ => &[],
        }
    }

    /// Finds out.
    pub(super) fn run(&self, facts: &Facts) -> Ended {
        match self.ask {
            Ask::One(ask) => ask(facts),
            Ask::Right(at) => install::right(facts, at),
        }
    }
}

/// What an installation creates, and the group of each.
pub(super) const MAY_INSTALL: [(&str, &str); 8] = [
    ("customresourcedefinitions", "apiextensions.k8s.io"),
    ("mutatingadmissionpolicies", "admissionregistration.k8s.io"),
    (
        "mutatingadmissionpolicybindings",
        "admissionregistration.k8s.io",
    ),
    (
        "validatingadmissionpolicies",
        "admissionregistration.k8s.io",
    ),
    (
        "validatingadmissionpolicybindings",
        "admissionregistration.k8s.io",
    ),
    ("clusterroles", "rbac.authorization.k8s.io"),
    ("clusterrolebindings", "rbac.authorization.k8s.io"),
    ("namespaces", ""),
];

/// All rights of Weir's account that are checked.
pub(super) fn rights() -> Vec<Right> {
    manifest::rights()
}

/// All checks.
pub(super) fn checks() -> Vec<Check> {
    [
        install::checks(),
        dns::checks(),
        gate::checks(),
        running::checks(),
        enrolled::checks(),
        rollouts::checks(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The parts of a check that are written down.
struct Entry {
    id: &'static str,
    title: &'static str,
    about: &'static str,
    hint: &'static str,
    ask: fn(&Facts) -> Ended,
}

impl Entry {
    fn check(self, category: &'static str, pre: bool) -> Check {
        let Self {
            id,
            title,
            about,
            hint,
            ask,
        } = self;
        Check {
            id: id.to_owned(),
            category,
            title: title.to_owned(),
            about,
            hint,
            pre,
            ask: Ask::One(ask),
        }
    }
}

fn bad<T>(said: impl Into<String>) -> Result<T, (Level, String)> {
    Err((Level::Trouble, said.into()))
}

fn warn<T>(said: impl Into<String>) -> Result<T, (Level, String)> {
    Err((Level::Warning, said.into()))
}

fn skip<T>(said: impl Into<String>) -> Result<T, (Level, String)> {
    Err((Level::Skipped, said.into()))
}

/// What is known.
fn known<T>(fact: &Fact<T>) -> Result<&T, (Level, String)> {
    fact.as_ref().map_err(|why| (Level::Unknown, why.clone()))
}

/// What there must be.
fn there<'a, T>(fact: &'a Fact<Option<T>>, what: &str) -> Result<&'a T, (Level, String)> {
    match known(fact)? {
        Some(found) => Ok(found),
        None => bad(format!("there is no {what}")),
    }
}

/// So many names of many, in one line.
fn few<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const NAMED: usize = 5;
    let names: Vec<_> = names.into_iter().collect();
    let said = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => said,
        more => format!("{said} and {more} more"),
    }
}
