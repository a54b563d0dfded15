//! What asks a program to end: Ctrl-C, `kill`, a terminal that goes away.

use anyhow::{Result, bail};
use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

/// SIGINT, SIGTERM and SIGHUP. From its creation on none of them ends this process by itself any more.
#[derive(Debug)]
pub struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: unix::Signal,
}

/// A signal, as the error that it made of what it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted(Signal);

impl Interrupted {
    /// The exit code of what a signal has ended, as shells report it.
    #[must_use]
    pub fn code(self) -> i32 {
        128 + self.0.as_raw()
    }
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "interrupted by signal {}", self.0.as_raw())
    }
}

impl std::error::Error for Interrupted {}

impl Signals {
    /// Listens, within a runtime.
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hang_up.recv() => Signal::HUP,
        }
    }

    /// Does some work, and lets it go where it is when a signal comes: what it holds is dropped.
    ///
    /// # Errors
    /// Those of the work, and [`Interrupted`].
    pub async fn until<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            done = work => done,
            signal = self.next() => bail!(Interrupted(signal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::process::{getpid, kill_process};

    use super::*;

    struct Undone<'a>(&'a AtomicBool);

    impl Drop for Undone<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn a_signal_drops_what_the_work_holds() -> Result<()> {
        let mut signals = Signals::listen()?;
        assert_eq!(signals.until(async { Ok(1) }).await?, 1);
        let undone = AtomicBool::new(false);
        let work = async {
            let held = Undone(&undone);
            kill_process(getpid(), Signal::HUP)?;
            std::future::pending::<()>().await;
            drop(held);
            Ok(())
        };
        let error = signals
            .until(work)
            .await
            .expect_err("it never ends by itself");
        let interrupted = error.downcast_ref::<Interrupted>();
        assert_eq!(interrupted.map(|one| one.code()), Some(129));
        assert!(undone.load(Ordering::SeqCst));
        Ok(())
    }
}
