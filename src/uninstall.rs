//! The end of an installation: what Weir made in a cluster is removed, and what its gate holds goes free.
//!
//! ```text
//!  nothing is held? ──▶ the operator ends ──▶ still nothing? ──▶ bindings, Role ──▶ gates, paced ──▶ meters
//!        │ no                │ it does not         │ no           nothing is gated       │ some are left    │
//!        ▼                   ▼                     ▼              at birth any more      ▼                  ▼
//!     refused (4)      it runs again; refused (4)               records stay; 1              records, Leases
//! ```
//!
//! It runs once, for example before a Helm release is deleted. Each step may be repeated: whatever is left
//! is told, and a second run goes on from there. What people made (RolloutPolicies, labels) and what the
//! installation itself is made of (kinds, policies, rights) is left to whoever applied it.

mod free;
mod held;
mod operator;
mod steps;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use clap::Args;

use self::steps::Steps;
use crate::{
    client::{Budget, ClientError, Clients, chain},
    clock::Clock,
};

/// How an installation is ended.
#[derive(Debug, Clone, Args)]
pub struct UninstallArgs {
    /// Let through what is held too, whatever it was held for
    #[arg(
        long, env = "WEIR_RELEASE_HELD", default_value = "false", action = clap::ArgAction::Set,
        num_args = 0..=1, default_missing_value = "true", require_equals = true
    )]
    pub release_held: bool,
    /// The Deployment of the operator, which is scaled to zero first; without it the operator must have
    /// ended
    #[arg(long, env = "WEIR_DEPLOYMENT", value_name = "NAME")]
    pub deployment: Option<String>,
    /// The namespace that Weir runs in
    #[arg(long, env = "WEIR_NAMESPACE", default_value = crate::valve::NAMESPACE)]
    pub namespace: String,
    /// The Lease by which Weir's leader is known
    #[arg(long, env = "WEIR_LEASE_NAME", default_value = "weir")]
    pub lease_name: String,
    /// Pods let through per second at most; it begins with 10, and goes faster while the API server keeps up
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rate: u32,
    /// Seconds that all of it may take; what is left then is told. Helm gives a hook 300
    #[arg(
        long, env = "WEIR_TIMEOUT", default_value = "270", value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(60..=86_400)
    )]
    pub timeout: u64,
    /// What can be done where something is held, told instead of `--release-held=true`
    #[arg(long, value_name = "TEXT")]
    pub advice: Option<String>,
}

/// What can be done where something is held, unless it is said otherwise.
const ADVICE: &str = "Undo these rollouts first, or say that they may run: `--release-held=true`.";

/// How long the operator may take to end: the time that its pods have to stop, and its lease to run out.
const ENDS_WITHIN: Duration = Duration::from_mins(2);

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// What was removed, in order.
    pub removed: Vec<String>,
    /// What could not be, each with why.
    pub failed: Vec<String>,
    /// What is left on purpose, and whose business it is.
    pub left: Vec<String>,
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for what in &self.removed {
            writeln!(f, "removed: {what}")?;
        }
        for what in &self.failed {
            writeln!(f, "not removed: {what}")?;
        }
        for what in &self.left {
            writeln!(f, "left: {what}")?;
        }
        if !self.failed.is_empty() {
            writeln!(
                f,
                "Not all is removed. What was removed stays so: run it again to go on (Helm: uninstall again, \
                 with a larger --timeout if time ran out)."
            )?;
        }
        Ok(())
    }
}

/// Why nothing was removed.
#[derive(Debug, thiserror::Error)]
pub enum UninstallError {
    /// There is no way to the cluster.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The API server did not say what has to be known first.
    #[error(
        "could not read or change {what} (which rights it takes: docs/reference/plugin.md, \"Taking Weir off \
         a cluster\")"
    )]
    Read {
        /// What.
        what: &'static str,
        /// Why.
        source: kube::Error,
    },
    /// What is held would be let through.
    #[error(
        "held at the valve: {}. Removing Weir would let all of it through. What holds a rollout `kubectl get \
         guardedrollouts -A` shows, and why `kubectl weir explain ROLLOUT -n NAMESPACE`.\n{}",
        held.join("; "),
        advice.as_deref().unwrap_or(ADVICE)
    )]
    Held {
        /// What, each with what holds it.
        held: Vec<String>,
        /// What can be done about it, where that is not [`ADVICE`].
        advice: Option<String>,
    },
    /// The operator would make again what is removed.
    #[error(
        "Weir is at work ({who}): it would make again what is removed.\nEnd it first, or name its Deployment: \
         --deployment NAME, with --namespace NAMESPACE"
    )]
    AtWork {
        /// By what it is known.
        who: String,
    },
    /// The operator did not end.
    #[error(
        "the operator did not end within {} s ({what}): look at `kubectl get pods -n {namespace}`",
        ENDS_WITHIN.as_secs()
    )]
    Lingers {
        /// What of it is still there.
        what: String,
        /// Where it runs.
        namespace: String,
    },
    /// The operator was being ended, or had, when it turned out that nothing may be removed.
    #[error("{why}\n{operator}")]
    Undone {
        /// Why.
        why: String,
        /// What became of the operator.
        operator: String,
        /// The exit code.
        code: u8,
    },
}

impl UninstallError {
    /// The exit code, as for the plugin: 3 where the cluster does not answer, 4 where it is refused for
    /// safety.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Client(_) | Self::Read { .. } => 3,
            Self::Held { .. } | Self::AtWork { .. } | Self::Lingers { .. } => 4,
            Self::Undone { code, .. } => *code,
        }
    }

    /// All of it for standard error.
    #[must_use]
    pub fn report(&self) -> String {
        format!("error: {}", chain(self))
    }
}

/// Ends an installation.
pub async fn run(args: &UninstallArgs) -> Result<Removal, UninstallError> {
    let clock = Clock::start();
    // It runs alone, once: the operator's budgets of writes are for many years.
    let standard = Budget::standard();
    let budget = Budget {
        writes: standard.releases,
        ..standard
    };
    let clients = Clients::infer(clock, budget).await?;
    let steps = Steps {
        client: clients.api(),
        releases: clients.releases(),
        clock,
        begun: clock.elapsed(),
        args,
    };
    steps.take().await
}
