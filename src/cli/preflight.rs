//! `kubectl weir preflight`: no cluster, two files, one verdict.

mod files;
#[cfg(test)]
mod tests;

use std::{io::Read, path::PathBuf};

use clap::Args;
use weir_core::forecast::{Measured, Resource, Stated, Target, Verdict, elsewhere};

use self::files::{daemon_set, measured, record};
use super::{
    FINE, Outcome, TROUBLE,
    error::CliError,
    output::{Output, Shown, columns, show},
};
use crate::{
    template,
    view::preflight::{Asked, Origin, Preflight, preflight as shown, render},
};

/// Says from a measured cost whether another cluster would bear a DaemonSet; needs no cluster
///
/// A pod's cost may or may not grow with the pods in the cluster; one record cannot tell, so both
/// extremes are shown, and two records of clusters of different sizes settle it. Exits with 0 only if
/// even the upper ends of CPU, and of whatever else has a known capacity, are within budget or add less
/// than 2 % of the capacity, and ten times the widest width that was seen is not exceeded; with 1 if
/// not, or if too much cannot be excluded; with 2 if a file cannot be used; and with 4 if the cost
/// belongs to another pod template.
#[derive(Debug, Clone, Args)]
pub(super) struct PreflightArgs {
    /// The manifest with the DaemonSet; - reads standard input
    #[arg(short, long, value_name = "FILE")]
    filename: PathBuf,
    /// Nodes that it is to run on
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    nodes: u32,
    /// What `kubectl weir cost export` wrote; twice for two clusters with different numbers of pods
    #[arg(long, value_name = "FILE", required = true, num_args = 1)]
    cost: Vec<PathBuf>,
    /// Pods in that cluster; else as many for each node as where it was measured
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pods: Option<u32>,
    /// Cores of each API server; else as where it was measured
    #[arg(long, value_name = "CORES", value_parser = positive)]
    cpu: Option<f64>,
    /// Cores of the busiest API server that are in use without it; else as where it was measured
    #[arg(long, value_name = "CORES", value_parser = amount)]
    in_use: Option<f64>,
    /// Memory of each API server, such as 16Gi; else as where it was measured
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    memory: Option<f64>,
    /// Memory of an API server that is in use without it; else as where it was measured
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    memory_in_use: Option<f64>,
    /// Seats of its priority level at each API server; else as where it was measured
    #[arg(long, value_parser = positive)]
    seats: Option<f64>,
    /// API servers, of which all but one must bear it; else as many as where it was measured
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    api_servers: Option<u32>,
    /// The share of each capacity that may be in use
    #[arg(long, default_value = "50%", value_parser = share)]
    budget: f64,
    /// How long the start of all pods at once may keep the API servers busy
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = seconds)]
    unison: f64,
    /// How to show it
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// Reads the files, reckons and renders.
pub(super) fn preflight(
    args: &PreflightArgs,
    standard_input: &mut dyn Read,
) -> Result<Outcome, CliError> {
    let daemon_set = daemon_set(&args.filename, standard_input)?;
    let asked = template::hash(&daemon_set.template);
    let (origins, costs) = costs(args, &asked)?;
    let target = target(args);
    let answer = elsewhere(&costs, &target).map_err(CliError::Numbers)?;
    let document = shown(
        &answer,
        &Asked {
            name: daemon_set.name,
            template: asked,
            origins,
            target,
        },
    );
    Ok(Outcome {
        code: if answer.verdict == Verdict::Within {
            FINE
        } else {
            TROUBLE
        },
        text: show(&document, args.output)?,
    })
}

impl Shown for Preflight {
    /// Nothing is left out of it in the first place.
    fn text(&self, _: bool) -> String {
        render(self, columns())
    }

    fn names(&self) -> Vec<String> {
        vec![format!("daemonset.apps/{}", self.name)]
    }
}

/// The cluster that is asked about.
fn target(args: &PreflightArgs) -> Target {
    Target {
        nodes: f64::from(args.nodes),
        objects: args.pods.map(f64::from),
        servers: args.api_servers,
        cores: args.cpu,
        in_use: args.in_use,
        stated: vec![
            Stated {
                resource: Resource::Memory,
                capacity: args.memory,
                in_use: args.memory_in_use,
            },
            Stated {
                resource: Resource::Seats,
                capacity: args.seats,
                in_use: None,
            },
        ],
        budget: args.budget,
        unison: args.unison,
    }
}

/// The costs, all of the template that is asked about, and where they are from.
fn costs(args: &PreflightArgs, asked: &str) -> Result<(Vec<Origin>, Vec<Measured>), CliError> {
    if args.cost.len() > 2 {
        return Err(CliError::File {
            path: args.cost[2].clone(),
            why: "a third record: a line through two is all that can be drawn".to_owned(),
        });
    }
    let read = |path: &PathBuf| {
        let cost = record(path)?;
        let wrong = |why| CliError::File {
            path: path.clone(),
            why,
        };
        let (record, measured) = measured(&cost).map_err(wrong)?;
        if record.template == asked {
            return Ok((Origin::of(&cost, record), measured));
        }
        Err(CliError::OtherTemplate {
            cost: path.clone(),
            measured: record.template.clone(),
            manifest: args.filename.clone(),
            asked: asked.to_owned(),
        })
    };
    args.cost.iter().map(read).collect()
}

/// A number above zero.
fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if number.is_finite() && number > 0.0 {
        Ok(number)
    } else {
        Err("it must be more than 0".to_owned())
    }
}

/// A number, or nothing: a new cluster may have nothing in use.
fn amount(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(0.0) => Ok(0.0),
        _ => positive(text).map_err(|why| why.replace("more than 0", "0 or more")),
    }
}

/// `50%` as a share.
fn share(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').map(positive);
    match percent {
        Some(Ok(percent)) if percent <= 100.0 => Ok(percent / 100.0),
        _ => Err("write a percentage up to 100%, such as 50%".to_owned()),
    }
}

/// `16Gi` in bytes.
fn bytes(text: &str) -> Result<f64, String> {
    let units = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40)];
    let read = units.into_iter().find_map(|(unit, power)| {
        let number = positive(text.strip_suffix(unit)?).ok()?;
        Some(number * 2_f64.powi(power))
    });
    read.ok_or_else(|| "write a number and one of Ki, Mi, Gi, Ti, such as 16Gi".to_owned())
}

/// `30s` or `2m` in seconds.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let read = units.into_iter().find_map(|(unit, size)| {
        let number = positive(text.strip_suffix(unit)?).ok()?;
        Some(number * size)
    });
    match read {
        // Three years: what is far longer could not be reckoned with.
        Some(seconds) if seconds > 1e8 => {
            Err("nobody waits for that long: give three years at most".to_owned())
        }
        Some(seconds) => Ok(seconds),
        None => Err("write a number and one of ms, s, m, h, such as 30s".to_owned()),
    }
}
