//! What DNS hides, and that Weir sees through it: real CoreDNS replicas, which answer on when the API is gone.
//!
//! Where a comment says what was predicted, a test that fails there has found the prediction wrong: the words beside
//! it say what rests on it, and has to change with it.

#![expect(
    clippy::print_stdout,
    reason = "how long each took is worth reading where it passes too"
)]

mod caches;
mod kinds;
mod odd;
mod rollouts;
mod silence;
mod unmeasured;
mod writer;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir::api::State;
use weir_e2e::stage::{Logs, all_for};
use weir_e2e::world::WorldSpec;
use weir_e2e::world::dns::{Said, ask};

/// What a mask may take to be seen beside two other worlds. With the machine to itself it is 30 s at the most, which
/// `lab dns` shows.
const SEEN_WITHIN: Duration = Duration::from_mins(1);

/// What a wave may come later than its soak's end.
const MORE_THAN_SOAK: Duration = Duration::from_secs(5);

/// A world in which nothing rolls out.
fn small() -> WorldSpec {
    WorldSpec {
        nodes: 1,
        ..WorldSpec::bare()
    }
}

/// What a server says to a name now; nothing where nobody answers.
async fn said(server: SocketAddr, name: &str) -> Option<Said> {
    ask(server, name).await.ok().flatten()
}

/// Says how long something took, which may not be longer than a mask may take.
fn seen(what: &str, took: Duration) -> Result<()> {
    println!("{what} after {:.1} s", took.as_secs_f64());
    ensure!(took <= SEEN_WITHIN, "{what} only after {took:?}");
    Ok(())
}

/// Waits until a rollout is held, and by this; returns what the finding says.
async fn held_by(logs: &Logs, revision: &str, reason: &str, subject: &str) -> Result<String> {
    let is = |finding: &weir::api::Finding| {
        finding.reason == reason && finding.subject.starts_with(subject)
    };
    let what = format!("held by {reason} of {subject}");
    let status = logs
        .until(revision, &what, |status| {
            status.state == Some(State::Held) && status.findings.iter().any(is)
        })
        .await?;
    let finding = status.findings.into_iter().find(is);
    Ok(finding.context("it was there")?.evidence)
}

/// No pod is let through of a rollout that is held, for longer than any of its waves is waited for.
async fn stays_held(logs: &Logs, revision: &str, soak: Duration) -> Result<()> {
    let before = logs.count(revision).await?;
    let mut now = before;
    all_for(soak + MORE_THAN_SOAK, "no pod is let through", async || {
        now = logs.count(revision).await?;
        let status = logs.status(revision).await?;
        Ok(now.gated == before.gated && status.state == Some(State::Held))
    })
    .await
    .with_context(|| format!("{before:?} before, {now:?} now"))
}
