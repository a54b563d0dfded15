//! Waiting for a cluster to become what was asked for, with patience as long as it comes nearer: a
//! busy machine takes many times as long as a quiet one, and neither is a failure.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// Without any progress for so long, something is broken. Longer than the controllers' grace period
/// for a node (50 s) and than one look of the endpoint reconciler (10 s).
const STANDSTILL: Duration = Duration::from_mins(2);

/// Between two looks: seldom enough not to be what keeps the API server busy.
const PAUSE: Duration = Duration::from_millis(250);

/// Waits until `count` gives `wanted` or more.
///
/// # Errors
/// `count` fails, or has not grown for two minutes; the message has `what`, such as "pods run".
pub(super) async fn reach(
    wanted: usize,
    what: &str,
    mut count: impl AsyncFnMut() -> Result<usize>,
) -> Result<()> {
    let mut best = 0;
    let mut since = Instant::now();
    loop {
        let now = count().await?;
        if now >= wanted {
            return Ok(());
        }
        if now > best {
            best = now;
            since = Instant::now();
        }
        ensure!(
            since.elapsed() < STANDSTILL,
            "{now} of {wanted} {what}, and no more for {STANDSTILL:?}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}
