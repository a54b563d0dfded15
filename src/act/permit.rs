//! What must hold before anything is written: the lease, and the judgement that asked for it.
//!
//! Nothing here is remembered from one write to the next: each write asks anew.
//!
//! ```text
//!  judged ── warrant stands ─────────────────────────▶ expires
//!              │ a newer judgement holds: revoked at once
//!  renewed ── lease: may write ──────────────────────▶ 30 s
//! ```

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};
use weir_core::time::{Moment, Span};

use crate::{client::chain, clock::Clock};

/// Writes under way at once, of all kinds. Eight releases at a time are enough for 100 a second at
/// 80 ms each; a status must not wait for all of them.
pub const WRITES_AT_ONCE: u32 = 10;
/// What a write begun at the last moment of the lease is given: less than the ten seconds until
/// another replica may take the lease.
pub const WRITE_WITHIN: Duration = Duration::from_secs(9);
/// How old a judgement may become while it is enacted.
const WARRANT: Span = Span::from_secs(10);

/// What this process knows of the lease: who holds it, and until when it may itself write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leadership {
    /// Who held the lease when it was last seen; `None` before that, and while nobody does.
    pub holder: Option<String>,
    /// Until when this process may write, by its own clock; `None` if it does not lead.
    pub until: Option<Moment>,
}

impl Leadership {
    /// Whether this process may begin a write now.
    #[must_use]
    pub fn may_write(&self, now: Moment) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// A live view of [`Leadership`], kept current by the lease's task.
pub type LeadershipView = watch::Receiver<Leadership>;

/// A judgement's authority to act: until a newer judgement revokes it, or it is too old.
#[derive(Debug, Clone)]
pub struct Warrant {
    expires: Moment,
    revoked: Arc<AtomicBool>,
}

impl Warrant {
    /// The authority of a judgement made at `judged`.
    #[must_use]
    pub fn issue(judged: Moment) -> Self {
        Self {
            expires: judged + WARRANT,
            revoked: Arc::default(),
        }
    }

    /// Takes it back, in all its copies: nothing more is begun under it.
    pub fn revoke(&self) {
        self.revoked.store(true, Relaxed);
    }

    fn stands(&self, now: Moment) -> bool {
        now < self.expires && !self.revoked.load(Relaxed)
    }
}

/// Why a write was not made, or is not known to have been.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    /// This process does not hold the lease, or is about to hand it back.
    #[error("this replica does not lead")]
    NotLeading,
    /// A newer judgement has taken the plan back, or it is too old.
    #[error("the judgement that asked for it no longer stands")]
    Revoked,
    /// No answer came in time: it may have been done.
    #[error("no answer within {} s; it may have been done", WRITE_WITHIN.as_secs())]
    Unanswered,
    /// The request failed.
    #[error("{}", chain(.0.as_ref()))]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// The one way to write: asks for the lease each time, and lets the process end between two writes.
#[derive(Debug, Clone)]
pub struct Permit {
    leadership: LeadershipView,
    clock: Clock,
    slots: Arc<Semaphore>,
}

impl Permit {
    /// Leave to write for as long as `leadership` says.
    #[must_use]
    pub fn new(leadership: LeadershipView, clock: Clock) -> Self {
        Self {
            leadership,
            clock,
            slots: Arc::new(Semaphore::new(WRITES_AT_ONCE as usize)),
        }
    }

    /// Makes a write, if this process leads and the warrant stands at this very moment.
    pub async fn write<T, E>(
        &self,
        warrant: Option<&Warrant>,
        request: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Unwritten>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let Ok(_slot) = self.slots.acquire().await else {
            return Err(Unwritten::NotLeading);
        };
        let now = self.clock.now();
        if !self.leadership.borrow().may_write(now) {
            return Err(Unwritten::NotLeading);
        }
        if warrant.is_some_and(|warrant| !warrant.stands(now)) {
            return Err(Unwritten::Revoked);
        }
        match timeout(WRITE_WITHIN, request).await {
            Ok(answer) => answer.map_err(|error| Unwritten::Failed(error.into())),
            Err(_elapsed) => Err(Unwritten::Unanswered),
        }
    }

    /// Whether this process may write now.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leadership.borrow().may_write(self.clock.now())
    }

    /// Lets no further write begin, and waits for those under way, but no longer than `patience`.
    pub async fn close(&self, patience: Duration) {
        let drained = timeout(patience, self.slots.acquire_many(WRITES_AT_ONCE)).await;
        if drained.is_err() {
            tracing::warn!("writes are still under way; leaving them to their end");
        }
        self.slots.close();
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn permit(until: Option<Moment>, clock: Clock) -> (watch::Sender<Leadership>, Permit) {
        let (view, leadership) = watch::channel(Leadership {
            holder: None,
            until,
        });
        (view, Permit::new(leadership, clock))
    }

    fn done() -> std::future::Ready<Result<(), io::Error>> {
        std::future::ready(Ok(()))
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_written_without_the_lease() {
        let clock = Clock::start();
        let (view, permit) = permit(None, clock);
        let refused = permit.write(None, done()).await;
        assert!(matches!(refused, Err(Unwritten::NotLeading)));

        view.send_modify(|view| view.until = Some(clock.now() + Span::from_secs(30)));
        assert!(permit.write(None, done()).await.is_ok());

        tokio::time::advance(Duration::from_secs(30)).await;
        let refused = permit.write(None, done()).await;
        assert!(matches!(refused, Err(Unwritten::NotLeading)));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_written_on_a_judgement_that_is_revoked_or_old() {
        let clock = Clock::start();
        let (_view, permit) = permit(Some(clock.now() + Span::from_secs(600)), clock);
        let revoked = Warrant::issue(clock.now());
        revoked.clone().revoke();
        let refused = permit.write(Some(&revoked), done()).await;
        assert!(matches!(refused, Err(Unwritten::Revoked)));

        let old = Warrant::issue(clock.now());
        assert!(permit.write(Some(&old), done()).await.is_ok());
        tokio::time::advance(Duration::from_secs(10)).await;
        let refused = permit.write(Some(&old), done()).await;
        assert!(matches!(refused, Err(Unwritten::Revoked)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_without_an_answer_is_given_up_before_another_may_lead() {
        let clock = Clock::start();
        let (_view, permit) = permit(Some(clock.now() + Span::from_secs(600)), clock);
        let begun = clock.now();
        let never = std::future::pending::<Result<(), io::Error>>();
        let refused = permit.write(None, never).await;
        assert!(matches!(refused, Err(Unwritten::Unanswered)));
        assert!(clock.now().since(begun) < Span::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn closing_waits_for_what_is_under_way_and_lets_nothing_begin() {
        let clock = Clock::start();
        let (_view, permit) = permit(Some(clock.now() + Span::from_secs(600)), clock);
        let slow = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            done().await
        };
        let begun = clock.now();
        let (written, ()) = tokio::join!(
            permit.write(None, slow),
            permit.close(Duration::from_secs(3))
        );
        assert!(written.is_ok());
        assert_eq!(clock.now().since(begun), Span::from_secs(1));
        let refused = permit.write(None, done()).await;
        assert!(matches!(refused, Err(Unwritten::NotLeading)));
    }
}
