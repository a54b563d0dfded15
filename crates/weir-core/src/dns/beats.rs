//! What the API has of the beacon: what any DNS server could know of it by now.
//!
//! A server is late only for what it was told. So beats are kept by when the API took them, and a beat that was
//! missed (refused with 429, or written by nobody while a Lease changed hands) makes no server late.
//!
//! ```text
//!            last beat taken less than 22 s ago    more          never
//!  API answers        Beating                      Stalled       Unknown, then Stalled
//!  API is silent      Silent: whatever DNS says now is from before
//! ```
//!
//! Of beats from before anybody looked here only the epochs tell. Those are of their writers' clocks, and where for a
//! while nobody wrote they make servers look late that were told all there was: so they say of no server that it is
//! late, but they keep one from counting as fresh ([`Beats::perhaps_behind`]).

use std::collections::VecDeque;

use super::beacon::{BEAT, Epoch};
use crate::{
    evidence::Source,
    time::{Moment, Span},
};

/// Beats that are remembered: ten minutes of them. A cache that is later than that is late all the same.
const REMEMBERED: usize = 60;

/// Answers in a row that must fail to come before the API counts as silent. One is lost to an ordinary hiccup.
const SILENT_ANSWERS: u32 = 2;

/// What a beat may take to be written and read back, beyond the time between two.
const SLACK: Span = Span::from_secs(2);

/// A beat that the API took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Taken {
    epoch: Epoch,
    at: Moment,
}

/// All that is known of beats.
#[derive(Debug, Clone)]
pub struct Beats {
    /// The time between two.
    period: Span,
    /// When somebody began to look.
    begun: Moment,
    /// The last ones, in the order of their epochs.
    taken: VecDeque<Taken>,
    /// The first one that was known here.
    first: Option<Taken>,
    /// Why the last one was refused, if it was.
    refused: Option<String>,
    /// When the API last answered.
    heard: Moment,
    /// Answers in a row that did not come since, and what was met instead of the last one.
    failed: u32,
    failure: String,
}

impl Beats {
    /// Nothing is known yet at `now`.
    #[must_use]
    pub const fn new(now: Moment) -> Self {
        Self {
            period: BEAT,
            begun: now,
            taken: VecDeque::new(),
            first: None,
            refused: None,
            heard: now,
            failed: 0,
            failure: String::new(),
        }
    }

    /// The time between two beats from now on; never less than an epoch.
    pub fn pace(&mut self, period: Span) {
        self.period = period.max(BEAT);
    }

    /// The epoch to write at `now`: its own, or the one after the newest that the API has, should a writer
    /// whose clock was ahead have been there before.
    #[must_use]
    pub fn next(&self, now: Moment) -> Epoch {
        let own = Epoch::at(now);
        match self.newest() {
            Some(newest) if newest > own => newest.next(),
            Some(_) | None => own,
        }
    }

    /// The API took a beat, by `at`.
    pub fn took(&mut self, epoch: Epoch, at: Moment) {
        self.refused = None;
        self.answered(at);
        self.take(epoch, at);
    }

    /// The API answered by `at`, and did not take a beat.
    pub fn refused(&mut self, why: String, at: Moment) {
        self.refused = Some(why);
        self.answered(at);
    }

    /// The API was read by `at`: its beacon has this epoch, or none.
    pub fn read(&mut self, epoch: Option<Epoch>, at: Moment) {
        self.answered(at);
        // Whoever wrote it did so no earlier than its epoch began, and no later than now.
        if let Some(epoch) = epoch {
            self.take(epoch, at);
        }
    }

    /// The API did not answer, to whatever it was asked.
    pub fn unanswered(&mut self, why: String) {
        self.failed = self.failed.saturating_add(1);
        self.failure = why;
    }

    /// Whether the last answer that was waited for did not come.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        self.failed > 0
    }

    fn answered(&mut self, at: Moment) {
        self.heard = self.heard.max(at);
        self.failed = 0;
    }

    fn take(&mut self, epoch: Epoch, at: Moment) {
        if self.taken.back().is_none_or(|last| epoch > last.epoch) {
            self.taken.push_back(Taken { epoch, at });
            self.first.get_or_insert(Taken { epoch, at });
        }
        if self.taken.len() > REMEMBERED {
            self.taken.pop_front();
        }
    }

    /// The newest epoch that the API is known to have.
    #[must_use]
    pub fn newest(&self) -> Option<Epoch> {
        self.taken.back().map(|last| last.epoch)
    }

    /// The newest epoch that the API is known to have, and by when it had it.
    pub(super) fn last(&self) -> Option<(Epoch, Moment)> {
        self.taken.back().map(|last| (last.epoch, last.at))
    }

    /// Whether there is anything that DNS servers could be late for.
    #[must_use]
    pub fn source(&self, now: Moment) -> Source {
        if self.failed >= SILENT_ANSWERS {
            return Source::Silent {
                since: self.heard,
                why: self.failure.clone(),
            };
        }
        let last = self.taken.back().map_or(self.begun, |last| last.at);
        if now.since(last) > self.at_most_between() {
            Source::Stalled {
                since: last,
                why: self.refused.clone(),
            }
        } else if self.taken.is_empty() {
            Source::Unknown
        } else {
            Source::Beating
        }
    }

    /// The longest time between two beats of a writer that works: one of them may be missed.
    #[must_use]
    pub fn at_most_between(&self) -> Span {
        self.period + self.period + SLACK
    }

    /// How long ago, at the least, the API took the first beat that is newer than `epoch`.
    pub(super) fn behind(&self, epoch: Epoch, now: Moment) -> Option<Span> {
        let mut known = self.first.iter().chain(&self.taken);
        let newer = known.find(|beat| beat.epoch > epoch);
        newer.map(|beat| now.since(beat.at))
    }

    /// How long ago that may have been, where it was before anybody looked here; nothing where it was not.
    ///
    /// The beat after `epoch` was due a period later. How long ago that is tells this process's clock; that it was so
    /// long before the first beat that is known here tell the epochs, by the clock of whoever wrote these. Writers'
    /// clocks may differ, and each of the two alone is too short where this one is behind, or where the last beat
    /// before this process was long ago: so it is the longer one.
    pub(super) fn perhaps_behind(&self, epoch: Epoch, now: Moment) -> Option<Span> {
        let first = self.first.filter(|first| first.epoch > epoch)?;
        let due = epoch.begins() + self.period;
        let by_epochs = first.epoch.begins().since(due) + now.since(first.at);
        Some(by_epochs.max(now.since(due)))
    }

    /// How long ago the first beat came to be known here.
    pub(super) fn known_for(&self, now: Moment) -> Option<Span> {
        self.first.map(|first| now.since(first.at))
    }

    /// How long ago the API took the first beat after `moment`.
    pub(super) fn since(&self, moment: Moment, now: Moment) -> Option<Span> {
        let later = self.taken.iter().find(|beat| beat.at > moment);
        later.map(|beat| now.since(beat.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(1_795_860_000_000) + Span::from_secs(seconds)
    }

    fn beating(until: u64) -> Beats {
        let mut beats = Beats::new(at(0));
        for seconds in (0..=until).step_by(10) {
            beats.took(Epoch::at(at(seconds)), at(seconds));
        }
        beats
    }

    #[test]
    fn one_missed_beat_is_no_stall_and_two_are() {
        let mut beats = beating(60);
        beats.refused("429: too many requests".to_owned(), at(70));
        assert_eq!(beats.source(at(82)), Source::Beating);
        let stalled = Source::Stalled {
            since: at(60),
            why: Some("429: too many requests".to_owned()),
        };
        assert_eq!(beats.source(at(83)), stalled);
        beats.took(Epoch::at(at(90)), at(90));
        assert_eq!(beats.source(at(91)), Source::Beating);
    }

    #[test]
    fn beats_of_another_writer_count_as_they_are_read() {
        let mut beats = Beats::new(at(0));
        assert_eq!(beats.source(at(1)), Source::Unknown);
        beats.read(None, at(2));
        assert_eq!(beats.source(at(2)), Source::Unknown);
        beats.read(Some(Epoch::at(at(10))), at(12));
        assert_eq!(beats.source(at(12)), Source::Beating);
        assert_eq!(beats.newest(), Some(Epoch::at(at(10))));
    }

    #[test]
    fn the_api_is_silent_once_two_answers_in_a_row_have_not_come() {
        let mut beats = beating(60);
        beats.unanswered("connection refused".to_owned());
        assert_eq!(beats.source(at(71)), Source::Beating);
        beats.unanswered("connection refused".to_owned());
        let silent = Source::Silent {
            since: at(60),
            why: "connection refused".to_owned(),
        };
        assert_eq!(beats.source(at(72)), silent);
        beats.read(None, at(74));
        assert_eq!(beats.source(at(74)), Source::Beating);
    }

    #[test]
    fn a_server_is_late_since_the_first_beat_that_it_has_not() {
        let beats = beating(60);
        assert_eq!(beats.behind(Epoch::at(at(60)), at(69)), None);
        assert_eq!(
            beats.behind(Epoch::at(at(40)), at(69)),
            Some(Span::from_secs(19))
        );
        assert_eq!(beats.since(at(45), at(69)), Some(Span::from_secs(19)));
        assert_eq!(beats.since(at(61), at(69)), None);
    }

    #[test]
    fn who_shows_what_was_before_anybody_looked_may_be_later_than_is_known() {
        let mut beats = Beats::new(at(600));
        beats.read(Some(Epoch::at(at(600))), at(603));
        let [old, new] = [at(0), at(600)].map(Epoch::at);
        assert_eq!(beats.behind(old, at(605)), Some(Span::from_secs(2)));
        let perhaps = beats.perhaps_behind(old, at(605));
        assert_eq!(perhaps, Some(Span::from_secs(595)));
        assert_eq!(beats.perhaps_behind(new, at(605)), None);
        // Whoever wrote until now had a clock that is two minutes ahead, or behind.
        for (written, shown, perhaps) in [(720, 240, 472), (480, 0, 595)] {
            let mut beats = Beats::new(at(600));
            beats.read(Some(Epoch::at(at(written))), at(603));
            let perhaps = Some(Span::from_secs(perhaps));
            let shown = Epoch::at(at(shown));
            assert_eq!(beats.perhaps_behind(shown, at(605)), perhaps, "{written}");
        }
    }

    #[test]
    fn epochs_go_on_where_a_writer_with_another_clock_left_them() {
        let mut beats = beating(60);
        assert_eq!(beats.next(at(75)), Epoch::at(at(70)));
        beats.read(Some(Epoch::at(at(130))), at(75));
        assert_eq!(beats.next(at(80)), Epoch::at(at(140)));
        assert_eq!(beats.next(at(150)), Epoch::at(at(150)));
    }

    #[test]
    fn a_slower_pace_allows_for_longer_gaps() {
        let mut beats = beating(60);
        beats.pace(Span::from_secs(40));
        assert_eq!(beats.source(at(140)), Source::Beating);
        beats.pace(Span::from_secs(1));
        assert_eq!(beats.at_most_between(), Span::from_secs(22));
    }
}
