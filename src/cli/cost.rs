//! `kubectl weir cost`: what a rollout's pods were measured to cost, for elsewhere.

use clap::{Args, Subcommand, ValueEnum};

use super::{FINE, Outcome, connect::ClusterArgs, error::CliError, find, output};
use crate::api::{Cost, CostSource, EstimateStatus, ForecastStatus, GuardedRollout, Resource};

/// Widths from which fixed cost is told from what each pod adds.
const WIDTHS: usize = 3;

/// What the pods of a rollout were measured to cost
#[derive(Debug, Clone, Args)]
pub(super) struct CostArgs {
    #[command(subcommand)]
    command: CostCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum CostCommand {
    Export(ExportArgs),
}

/// Writes it as a file for `kubectl weir preflight`
///
/// Exits with 1 if what was measured is not enough to be used elsewhere.
#[derive(Debug, Clone, Args)]
struct ExportArgs {
    /// The GuardedRollout's name, or the DaemonSet's: NAME or daemonset/NAME
    rollout: String,
    /// The file's format
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// YAML
    Yaml,
    /// JSON
    Json,
}

/// Finds the rollout and writes what its status says of its cost.
pub(super) async fn cost(cluster: &ClusterArgs, args: &CostArgs) -> Result<Outcome, CliError> {
    let CostCommand::Export(args) = &args.command;
    let connection = cluster.connect_to_one().await?;
    let cost = exported(find::rollout(&connection, &args.rollout).await?)
        .map_err(|why| CliError::NoCost { why })?;
    Ok(Outcome {
        code: FINE,
        text: match args.output {
            Format::Yaml => output::yaml(&cost)?,
            Format::Json => output::json(&cost)?,
        },
    })
}

/// The file, or what is missing for it.
fn exported(rollout: GuardedRollout) -> Result<Cost, String> {
    let forecast = rollout.status.unwrap_or_default().forecast;
    let forecast = forecast.ok_or("the rollout has no forecast yet")?;
    if forecast.record.is_none() {
        return Err("no width was seen yet".to_owned());
    }
    let widths = forecast.points.iter().filter(|point| point.width > 0);
    let widths = widths.count();
    if widths < WIDTHS {
        return Err(format!(
            "it was measured at {widths} of at least {WIDTHS} widths, which does not tell what is \
             fixed from what each pod adds"
        ));
    }
    if !is_bounded(&forecast) {
        return Err("nothing bounds the CPU that a pod costs yet".to_owned());
    }
    let workload = rollout.spec.workload;
    let source = CostSource {
        namespace: rollout.metadata.namespace.unwrap_or_default(),
        kind: workload.kind,
        name: workload.name,
        revision: rollout.spec.revision,
    };
    Ok(Cost::new(source, forecast))
}

fn is_bounded(forecast: &ForecastStatus) -> bool {
    let mut resources = forecast.resources.iter();
    let cpu = resources.find(|one| one.resource == Resource::Cpu);
    let is_bounded = |estimate: &EstimateStatus| estimate.high.is_some();
    cpu.is_some_and(|cpu| is_bounded(&cpu.per_pod) && is_bounded(&cpu.fixed))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A rollout that was measured well, of pods of this template.
    pub(in crate::cli) fn measured(template: &str) -> GuardedRollout {
        let point =
            |width: u32| json!({ "width": width, "cpuCores": 0.1, "ownCores": 0.0, "windows": 6 });
        let estimate = |mid: f64| json!({ "low": mid * 0.7, "mid": mid, "high": mid * 1.3 });
        object(&json!({ "forecast": {
            "fullWidth": 200, "budget": 0.5,
            "resources": [{
                "resource": "Cpu", "base": 0.1, "fixed": estimate(0.0), "perPod": estimate(0.001),
                "atFull": estimate(0.3), "capacity": 2.0,
            }],
            "unison": { "start": estimate(0.02), "seconds": estimate(2.0), "budget": 30.0 },
            "points": [point(0), point(2), point(4), point(8)],
            "kappa": estimate(0.9), "metered": true, "meter": "FlowSchema weir-shop-logs", "servers": 1,
            "record": {
                "template": template, "weir": "0.1.0", "kubernetes": "v1.36.3", "pods": 3000,
                "leastWidth": 2, "mostWidth": 8,
            },
        } }))
    }

    fn object(status: &Value) -> GuardedRollout {
        serde_json::from_value(json!({
            "metadata": { "namespace": "shop", "name": "logs-5d4f" },
            "spec": {
                "workload": { "kind": "DaemonSet", "name": "logs", "uid": "u" }, "revision": "5d4f",
            },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn what_is_exported_is_read_again() {
        let cost = exported(measured("sha256:00ff")).unwrap();
        assert_eq!(cost.source.name, "logs");
        let text = output::yaml(&cost).unwrap();
        assert!(
            text.starts_with("apiVersion: weir.dev/v1alpha1\nkind: Cost\n"),
            "{text}"
        );
        assert_eq!(serde_saphyr::from_str::<Cost>(&text).unwrap(), cost);
    }

    #[test]
    fn what_tells_too_little_is_not_exported() {
        let with = |change: fn(&mut ForecastStatus)| {
            let mut object = measured("sha256:00ff");
            change(object.status.as_mut().unwrap().forecast.as_mut().unwrap());
            exported(object).unwrap_err()
        };
        assert!(
            exported(object(&json!(null)))
                .unwrap_err()
                .contains("no forecast")
        );
        assert!(with(|told| told.record = None).contains("no width"));
        assert!(with(|told| told.points.truncate(3)).contains("at 2 of at least 3 widths"));
        assert!(with(|told| told.resources[0].per_pod.high = None).contains("bounds"));
        assert!(with(|told| told.resources.clear()).contains("bounds"));
    }
}
