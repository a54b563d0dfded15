//! `kubectl weir resume`: a person's pause is over.

use clap::Args;

use super::{
    Outcome,
    change::{ChangeArgs, reason},
    connect::ClusterArgs,
    error::CliError,
    pause,
};

/// Clears a person's pause, and nothing else: what Weir itself holds stays held
#[derive(Debug, Clone, Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Why, for the Event that records it
    #[arg(long, value_parser = reason)]
    reason: Option<String>,
}

/// Clears `spec.paused`.
pub(super) async fn resume(cluster: &ClusterArgs, args: &ResumeArgs) -> Result<Outcome, CliError> {
    let connection = cluster.connect_to_one().await?;
    let reason = args.reason.as_deref();
    let changed = pause::set(&connection, &args.change, false, reason).await?;
    args.change.outcome(&changed)
}
