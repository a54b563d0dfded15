//! `kubectl weir explain`: two requests at most, one screen.

use clap::Args;

use super::{
    FINE, Outcome, TROUBLE,
    connect::ClusterArgs,
    error::CliError,
    find,
    output::{Output, Shown, columns, rollout_name, show},
};
use crate::view::explain::{Explanation, explain as explained, render};

/// Says why a rollout stands where it stands, and what full width would cost
///
/// Each finding with its evidence and what would clear it; the forecast as a table and a plot; what it
/// was made from. Exits with 1 if the rollout is held, or in shadow would be, else with 0.
#[derive(Debug, Clone, Args)]
pub(super) struct ExplainArgs {
    /// The GuardedRollout's name, or the DaemonSet's: NAME or daemonset/NAME
    rollout: String,
    /// How to show it
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// Finds the rollout and renders what its status says.
pub(super) async fn explain(
    cluster: &ClusterArgs,
    args: &ExplainArgs,
) -> Result<Outcome, CliError> {
    let connection = cluster.connect_to_one().await?;
    let explanation = explained(find::rollout(&connection, &args.rollout).await?);
    Ok(Outcome {
        code: if explanation.held { TROUBLE } else { FINE },
        text: show(&explanation, args.output)?,
    })
}

impl Shown for Explanation {
    /// Nothing is left out of it in the first place.
    fn text(&self, _: bool) -> String {
        render(self, columns())
    }

    fn names(&self) -> Vec<String> {
        vec![rollout_name(&self.name)]
    }
}
