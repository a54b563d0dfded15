//! A control plane whose Priority and Fairness is switched off: nothing counts an account apart.

use super::*;
use weir_e2e::stage::{Shape, policy_for};

/// The widths 1, 2 and 4 tell what each pod adds, by the CPU of everybody.
const WIDTHS: u32 = 4;

#[test]
fn without_priority_and_fairness_weir_judges_by_everybodys_cpu_and_says_so() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: WIDTHS,
            priority_and_fairness: false,
            ..WorldSpec::bare()
        })
        .await?;
        let (stage, weir) = Stage::set(&world).await?;
        let watched = "pace: Fast\nsoak: 12s\nwaves: { canary: 1%, growth: 2 }";
        world
            .apply(&policy_for("watched", &["uncounted"], watched))
            .await?;
        let logs = stage.logs("uncounted", &Shape::default()).await?;
        let hash = logs.completes(&stage).await?;
        let forecast = logs.status(&hash).await?.forecast;
        let forecast = forecast.context("it was forecast")?;
        ensure!(!forecast.metered, "{forecast:?}");
        ensure!(
            forecast.meter.contains("is it switched off?"),
            "{forecast:?}"
        );
        let widths = forecast.points.iter().filter(|point| point.width > 0);
        ensure!(widths.count() >= 3, "{forecast:?}");
        weir.program.check()
    })
}
