//! A profile: a YAML file that says which API calls one agent makes. Read and checked here; a file
//! from anywhere is as good as those in `e2e/profiles`, and nothing about them is compiled in.

pub mod call;
mod check;
pub mod resource;
pub mod rules;
pub mod template;

use std::{fmt, path::Path, time::Duration};

use anyhow::{Context, Result, anyhow};
use jiff::fmt::serde::unsigned_duration::friendly::compact;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{
    call::{By, Call},
    resource::Resource,
    template::Body,
};

/// Where the format is described, for messages.
const REFERENCE: &str = "docs/reference/lab-profile.md";

/// One kind of agent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// Its name; the file's, if not stated.
    #[serde(default)]
    pub name: String,
    /// What it is, in a line.
    #[serde(default)]
    pub about: String,
    /// How a rollout of it must end here.
    pub expect: Option<Expect>,
    /// How it connects.
    #[serde(default)]
    pub agent: Agent,
    /// What must exist in the cluster before it is rolled out.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// What it calls; nothing, for an agent that never asks the API server.
    #[serde(default)]
    pub calls: Vec<Call>,
}

/// How a rollout must end with 200 nodes, 3,000 pods and one API server on one core.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    /// How it must end.
    pub ends: Ending,
    /// Why.
    pub because: String,
    /// The soak that it takes under the guard; the pace's own, if not stated.
    #[serde(default, with = "compact::optional")]
    pub soak: Option<Duration>,
}

/// How a rollout must end under the guard, and whether it must harm without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Harms unguarded; held under the guard.
    Held,
    /// Harms unguarded; completes under the guard, which paces it.
    Paced,
    /// Harms neither way; completes and is never held.
    Harmless,
}

impl fmt::Display for Ending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Held => "held",
            Self::Paced => "paced",
            Self::Harmless => "harmless",
        })
    }
}

/// How an agent connects.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Agent {
    /// What it calls itself.
    pub user_agent: String,
    /// The protocol of its connection.
    pub http: Http,
    /// Whether it accepts compressed answers, as client-go does.
    pub gzip: bool,
    /// How long it waits for an answer; a watch is only timed until its headers.
    #[serde(with = "compact::required")]
    pub timeout: Duration,
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            user_agent: "lab-agent".to_owned(),
            http: Http::H2,
            gzip: true,
            timeout: Duration::from_mins(1),
        }
    }
}

/// The protocol of an agent's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Http {
    /// HTTP/2: one connection for all calls, as client-go and kube-rs do.
    #[serde(rename = "h2")]
    H2,
    /// HTTP/1.1: a connection for each call.
    #[serde(rename = "http1")]
    Http1,
}

/// Objects that must exist before the rollout.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Need {
    /// Of which resource.
    pub resource: Resource,
    /// Its kind, as objects write it.
    pub kind: String,
    /// Whether the resource is a custom one, whose definition is made too.
    #[serde(default)]
    pub define: bool,
    /// Whether its objects live in namespaces.
    #[serde(default = "yes")]
    pub namespaced: bool,
    /// How many objects.
    #[serde(default)]
    pub count: Count,
    /// How large each should be in bytes of JSON; made so by an annotation.
    #[serde(default)]
    pub bytes: u32,
    /// What each holds beside its `metadata`.
    pub body: Option<Body>,
}

const fn yes() -> bool {
    true
}

/// How many objects: the sum of the three.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Count {
    /// Whatever the cluster's size.
    pub fixed: u32,
    /// For each node.
    pub per_node: u32,
    /// For each background pod.
    pub per_pod: u32,
}

impl Count {
    /// The number in a cluster of this size.
    #[must_use]
    pub const fn of(self, nodes: u32, pods: u32) -> u32 {
        self.fixed
            .saturating_add(self.per_node.saturating_mul(nodes))
            .saturating_add(self.per_pod.saturating_mul(pods))
    }
}

impl Profile {
    /// Reads a profile. Every error names the file, the place in it and what to do.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("profile {shown} cannot be read; --profile takes the path of a YAML file")
        })?;
        let fallback = path
            .file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().to_lowercase());
        Self::parse(&text, &fallback).map_err(|error| anyhow!("profile {shown}: {error:#}"))
    }

    /// What each agent asks again and again, in calls a second; none if nothing. What only a leader asks is
    /// not counted, nor what is asked again as soon as it was answered.
    #[must_use]
    pub fn asks_per_second(&self) -> Option<f64> {
        let periods = self
            .calls
            .iter()
            .filter(|call| call.by == By::All)
            .filter_map(|call| call.when.every)
            .filter(|every| !every.is_zero());
        let rate: f64 = periods.map(|every| every.as_secs_f64().recip()).sum();
        (rate > 0.0).then_some(rate)
    }

    /// Parses and checks a profile's text; it is called `fallback` if it does not name itself.
    pub fn parse(text: &str, fallback: &str) -> Result<Self> {
        let mut profile: Self = serde_saphyr::from_str(text)
            .map_err(|error| anyhow!("{error}\nthe fields are described in {REFERENCE}"))?;
        if profile.name.is_empty() {
            fallback.clone_into(&mut profile.name);
        }
        let problems = check::problems(&profile);
        if problems.is_empty() {
            Ok(profile)
        } else {
            let lines: Vec<_> = problems
                .iter()
                .map(|problem| format!("\n  {problem}"))
                .collect();
            Err(anyhow!(
                "{}\nthe fields are described in {REFERENCE}",
                lines.concat()
            ))
        }
    }
}

#[cfg(test)]
mod tests;
