//! Why a drill ends before its end, and what somebody who cannot wait is told.

use std::{io::Write, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What ends a drill before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// A signal.
    Interrupted,
    /// Its time is over.
    TooLong,
}

impl Stopped {
    /// For the step that was under way.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Interrupted => "it was interrupted",
            Self::TooLong => "it took too long",
        }
    }
}

/// The signals that end programs. From now on none of them ends this one by itself.
pub(super) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    /// The terminal went away, with the window or the connection that it was in.
    hang_up: Option<Signal>,
}

impl Signals {
    /// Those that can be listened for.
    pub(super) fn listen() -> Self {
        let of = |kind| signal(kind).ok();
        Self {
            interrupt: of(SignalKind::interrupt()),
            terminate: of(SignalKind::terminate()),
            hang_up: of(SignalKind::hangup()),
        }
    }

    /// Until the next of them.
    pub(super) async fn any(&mut self) {
        tokio::select! {
            () = next(self.interrupt.as_mut()) => {}
            () = next(self.terminate.as_mut()) => {}
            () = next(self.hang_up.as_mut()) => {}
        }
    }

    /// Until the next by which somebody insists. A terminal that goes away says so twice: by the kernel, and by
    /// the shell that was in it.
    async fn insisted(&mut self) {
        tokio::select! {
            () = next(self.interrupt.as_mut()) => {}
            () = next(self.terminate.as_mut()) => {}
        }
    }
}

async fn next(signal: Option<&mut Signal>) {
    let came = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if came.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Why it ended before its end, if it did.
pub(super) async fn stopped(
    run: impl Future<Output = ()>,
    interrupted: impl Future<Output = ()>,
    patience: Duration,
) -> Option<Stopped> {
    tokio::select! {
        () = run => None,
        () = interrupted => Some(Stopped::Interrupted),
        () = tokio::time::sleep(patience) => Some(Stopped::TooLong),
    }
}

/// Until nobody waits for the removal any more: with the second signal, of which `is_told` was the first.
pub(super) async fn given_up(signals: &mut Signals, namespace: &str, is_told: bool) {
    if !is_told {
        signals.any().await;
        tell_removing(namespace);
    }
    signals.insisted().await;
}

/// Says at once what is being done, since it takes a while.
pub(super) fn tell_removing(namespace: &str) {
    let said = format!("interrupted: removing {namespace}; once more to leave it");
    // A terminal that has gone away takes nothing.
    drop(writeln!(anstream::stderr(), "{said}"));
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_signal_or_the_time_ends_it() {
        let patience = Duration::from_secs(9);
        let why = stopped(pending(), ready(()), patience).await;
        assert_eq!(why, Some(Stopped::Interrupted));
        let why = stopped(pending(), pending(), patience).await;
        assert_eq!(why, Some(Stopped::TooLong));
        let why = stopped(ready(()), pending(), patience).await;
        assert_eq!(why, None);
    }
}
