//! How a rollout is guarded and how long it is watched: options of every command that runs one.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;
use weir::api::{self, RolloutPolicySpec};

use crate::{
    experiment::{self, Patience},
    profile::Profile,
};

/// How the rollout is guarded and how long it is watched.
#[derive(Debug, Clone, Args)]
pub(super) struct WatchArgs {
    /// The pace at which Weir lets the rollout through
    #[arg(long, value_enum, ignore_case = true, default_value_t = Pace::Fast)]
    pace: Pace,
    /// How long Weir soaks at each width [default: what the profile expects, else the pace's]
    #[arg(long, value_parser = duration)]
    soak: Option<Duration>,
    /// What else its policy says: the spec of a RolloutPolicy, as YAML
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// When the experiment ends at the latest, such as 10m; counted from the rollout's start
    /// [default: 10m at pace Fast, 60m at pace Careful]
    #[arg(long, value_parser = duration)]
    timeout: Option<Duration>,
    /// How long a quiet client is measured, and Weir watched, before the rollout
    #[arg(long, value_parser = duration, default_value = "15s")]
    idle: Duration,
    /// How long a hold must last to be how the rollout ends
    #[arg(long, value_parser = duration, default_value = "30s")]
    steady: Duration,
    /// How long others are watched after completion; agents have periods
    #[arg(long, value_parser = duration, default_value = "45s")]
    observe: Duration,
}

impl WatchArgs {
    pub(super) fn patience(&self) -> Patience {
        let usual = match self.pace {
            Pace::Fast => Duration::from_mins(10),
            Pace::Careful => Duration::from_hours(1),
        };
        Patience {
            idle: self.idle.as_secs_f64(),
            steady: self.steady.as_secs_f64(),
            observe: self.observe.as_secs_f64(),
            timeout: self.timeout.unwrap_or(usual).as_secs_f64(),
            until_width: None,
        }
    }

    /// The policy for a rollout of these agents.
    pub(super) fn policy(&self, profile: &Profile) -> Result<RolloutPolicySpec> {
        let usual = experiment::policy(self.pace.into(), profile);
        let given = match &self.policy {
            Some(path) => read_policy(path)?,
            None => RolloutPolicySpec::default(),
        };
        Ok(RolloutPolicySpec {
            pace: self.pace.into(),
            soak: self
                .soak
                .map(experiment::form)
                .or(given.soak)
                .or(usual.soak),
            ..given
        })
    }
}

fn read_policy(path: &PathBuf) -> Result<RolloutPolicySpec> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("--policy {shown}"))?;
    parse_policy(&text).map_err(|error| anyhow!("--policy {shown}: {error:#}"))
}

/// What the API server would ignore is a mistake here.
fn parse_policy(text: &str) -> Result<RolloutPolicySpec> {
    let given: Value = serde_saphyr::from_str(text)?;
    let spec: RolloutPolicySpec = serde_json::from_value(given.clone())?;
    let unknown = unknown(&given, &serde_json::to_value(&spec)?);
    ensure!(
        unknown.is_none(),
        "{} is no field of a RolloutPolicy's spec",
        unknown.unwrap_or_default()
    );
    Ok(spec)
}

/// The first field that was given and not understood.
fn unknown(given: &Value, understood: &Value) -> Option<String> {
    let given = given.as_object()?;
    given.iter().find_map(|(key, value)| {
        let Some(known) = understood.get(key) else {
            return Some(key.clone());
        };
        let within = unknown(value, known)?;
        Some(format!("{key}.{within}"))
    })
}

/// The presets of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Pace {
    /// For agents that are known: the width doubles, with a short soak at each width
    #[value(name = "Fast")]
    Fast,
    /// The default of a policy: at least ten minutes for the last 90 %
    #[value(name = "Careful")]
    Careful,
}

impl From<Pace> for api::Pace {
    fn from(pace: Pace) -> Self {
        match pace {
            Pace::Fast => Self::Fast,
            Pace::Careful => Self::Careful,
        }
    }
}

/// A length of time as people write it.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "write a number with its unit, such as 90s, 10m or 1h".to_owned())?;
    Duration::try_from(span).map_err(|_| "time runs forwards; leave the minus out".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_as_the_api_server_would() {
        let spec = parse_policy("forecast: {beyondUnison: Pace, budget: 40%}\nsoak: 20s")
            .expect("a good policy");
        assert_eq!(spec.soak, Some("20s".into()));
        let forecast = spec.forecast.expect("what may be forecast");
        assert_eq!(forecast.beyond_unison, Some(api::BeyondUnison::Pace));
    }

    #[test]
    fn what_a_policy_does_not_know_is_named() {
        for (text, named) in [
            ("forecasts: {}", "forecasts"),
            ("forecast: {unision: 3s}", "forecast.unision"),
            ("forecast: {act: Shout}", "Shout"),
        ] {
            let error = parse_policy(text).expect_err(text);
            assert!(format!("{error:#}").contains(named), "{error:#}");
        }
    }
}
