//! Counts what was written, what failed and what was dropped, for metrics.

use crate::{client::Counter, snapshot::Done};

/// Running counts since the process started; shared by all that act.
#[derive(Debug, Default)]
pub struct Tally {
    /// Pods whose gate was removed.
    pub released: Counter,
    /// Releases that failed or were not answered; each is tried again by a later judgement.
    pub release_failures: Counter,
    /// Statuses written, and objects of Weir's own created or deleted.
    pub records: Counter,
    /// Of those, attempts that failed; they are tried again.
    pub record_failures: Counter,
    /// Events sent.
    pub events: Counter,
    /// Events dropped, since there were too many or the API server did not take them.
    pub events_dropped: Counter,
}

impl Tally {
    /// The counts so far, beside the judgements made.
    #[must_use]
    pub fn done(&self, judgements: u64) -> Done {
        Done {
            judgements,
            released: self.released.get(),
            release_failures: self.release_failures.get(),
            records: self.records.get(),
            record_failures: self.record_failures.get(),
            events: self.events.get(),
            events_dropped: self.events_dropped.get(),
        }
    }
}
