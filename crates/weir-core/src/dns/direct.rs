//! What the API itself shows of the beacon: as it answers to a beat, and as Weir's own watch tells.
//!
//! A watch can fall silent without ending: no error, no event, the connection alive (etcd's and client-go's issues
//! call it a missed watch window). Whatever else Weir watches may stand still with it, and would look calm for ever.
//! So the beacon is watched like any object, and each beat that the API took has to come by, and soon: what is told of
//! late is as old by then as what is not told of.

use super::{beacon::Epoch, layer::Around};
use crate::{
    evidence::{LayerEvidence, Mask, Measured, Reading, Role, Sight, Source},
    time::{Moment, Span},
};

/// How long an event may take from the API to Weir. On a quiet cluster that is a tenth of a second. A watch whose
/// events take longer may still tell of them, or may have fallen silent: to whoever goes by it that is the same.
const LATE: Span = Span::from_secs(8);

/// An event of a beat may come before the answer to whoever wrote it.
const EARLY: Span = Span::from_secs(2);

/// Weir's own watch of the beacon.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    /// The newest epoch that an event told of, and when.
    shown: Option<(Epoch, Moment)>,
    /// When an event last told of something else than a beat: somebody else may have written over it. A beat that comes
    /// late is none of these, and excuses nothing.
    other: Option<Moment>,
}

impl Watched {
    /// Nothing was told yet.
    pub(super) const fn new() -> Self {
        Self {
            shown: None,
            other: None,
        }
    }

    /// An event told of an epoch, or of none, at `at`.
    pub(super) fn saw(&mut self, epoch: Option<Epoch>, at: Moment) {
        let Some(epoch) = epoch else {
            self.other = Some(at);
            return;
        };
        if self.shown.is_none_or(|(newest, _)| epoch > newest) {
            self.shown = Some((epoch, at));
        }
    }

    /// What is told of it; nothing before its first beat, as long as that is not late.
    pub(super) fn told(&self, around: Around<'_>) -> Option<LayerEvidence> {
        let Around { beats, now, .. } = around;
        let late = self.late(around).filter(|late| *late > LATE);
        let value = match (self.shown, late) {
            (Some((epoch, at)), _) => sight(epoch, at, now),
            (None, Some(late)) => nothing(late, now),
            (None, None) => return None,
        };
        let is_beating = beats.source(now) == Source::Beating;
        let reading = match late {
            Some(_) if is_beating => Reading::Masked {
                value,
                by: Mask::FrozenWatch,
            },
            // While the API is silent, or nobody writes, there is nothing to be told of.
            Some(late) => Reading::Stale { value, age: late },
            None => Reading::Fresh(value),
        };
        Some(layer(Role::ApiWatch, reading))
    }

    /// How long ago the API took the first beat that should have been told of. One that never told of any is late for
    /// the first that is known: it may have stood still since before this replica began to lead.
    fn late(&self, around: Around<'_>) -> Option<Span> {
        let Around { beats, now, .. } = around;
        let late = match self.shown {
            // A cache may keep what is from before anybody looked, a watch may not.
            Some((epoch, _)) => beats
                .perhaps_behind(epoch, now)
                .or_else(|| beats.behind(epoch, now)),
            None => beats.known_for(now),
        };
        // Whoever writes over the beacon at once hides it, and shows that the watch was awake then: it is late only for
        // what was written since. (A list from a cache that is behind may look the same: once, and no longer.)
        match self.other {
            Some(other) => Some(late?.min(beats.since(other + EARLY, now)?)),
            None => late,
        }
    }
}

/// What the API has, by its answers to beats; nothing before it had one.
pub(super) fn read(around: Around<'_>) -> Option<LayerEvidence> {
    let (epoch, at) = around.beats.last()?;
    let value = sight(epoch, at, around.now);
    let reading = match around.beats.source(around.now) {
        Source::Beating | Source::Unknown => Reading::Fresh(value),
        Source::Stalled { .. } => Reading::Stale {
            value,
            age: around.now.since(at),
        },
        Source::Silent { why, .. } => Reading::Absent { why },
    };
    Some(layer(Role::ApiRead, reading))
}

fn sight(epoch: Epoch, heard: Moment, now: Moment) -> Sight {
    Sight {
        epoch: Some(epoch.number()),
        lag: now.since(epoch.begins()),
        ttl: Span::ZERO,
        serial_age: None,
        expires: heard,
        heard,
    }
}

/// Of a watch that told of no beat, though the first one that is known was taken so long ago.
const fn nothing(late: Span, now: Moment) -> Sight {
    Sight {
        epoch: None,
        lag: late,
        ttl: Span::ZERO,
        serial_age: None,
        expires: now,
        heard: now,
    }
}

const fn layer(role: Role, reading: Reading<Sight>) -> LayerEvidence {
    LayerEvidence {
        role,
        reading,
        horizon: None,
        measured: Measured::Yes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Beats;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(1_795_860_000_000) + Span::from_secs(seconds)
    }

    fn told(watched: &Watched, beats: &Beats, now: Moment) -> LayerEvidence {
        let around = Around {
            beats,
            ttl: Span::from_secs(30),
            fresh_for: Span::from_secs(18),
            now,
        };
        watched.told(around).expect("an event has come")
    }

    #[test]
    fn a_watch_that_tells_of_no_beat_stands_still() {
        let mut beats = Beats::new(at(0));
        let mut watched = Watched::new();
        for second in [0, 10, 20] {
            beats.took(Epoch::at(at(second)), at(second));
            watched.saw(Some(Epoch::at(at(second))), at(second));
        }
        assert!(told(&watched, &beats, at(29)).reading.fresh().is_some());
        beats.took(Epoch::at(at(30)), at(30));
        assert!(told(&watched, &beats, at(38)).reading.fresh().is_some());
        let late = told(&watched, &beats, at(39));
        assert_eq!(late.reading.mask(), Some(Mask::FrozenWatch));
        watched.saw(Some(Epoch::at(at(30))), at(40));
        assert!(told(&watched, &beats, at(40)).reading.fresh().is_some());
    }

    #[test]
    fn a_watch_that_tells_of_each_beat_half_a_minute_late_is_as_bad() {
        let mut beats = Beats::new(at(0));
        let mut watched = Watched::new();
        watched.saw(Some(Epoch::at(at(0))), at(0));
        for second in 0..200 {
            if second % 10 == 0 {
                beats.took(Epoch::at(at(second)), at(second));
            }
            if second >= 30 && second % 10 == 0 {
                watched.saw(Some(Epoch::at(at(second - 30))), at(second));
            }
            let mask = told(&watched, &beats, at(second)).reading.mask();
            let is_late = second > 18;
            assert_eq!(mask.is_some(), is_late, "{second}: {mask:?}");
        }
    }

    #[test]
    fn a_list_from_a_cache_that_is_behind_excuses_nothing() {
        let mut beats = Beats::new(at(0));
        let mut watched = Watched::new();
        for second in 0..200 {
            if second % 10 == 0 {
                beats.took(Epoch::at(at(second)), at(second));
            }
            match second {
                0 => watched.saw(Some(Epoch::at(at(0))), at(0)),
                // A beat that was known is nothing new, and where there was none yet that is told once.
                48 | 96 => watched.saw(Some(Epoch::at(at(0))), at(second)),
                144 => watched.saw(None, at(second)),
                _ => {}
            }
            let mask = told(&watched, &beats, at(second)).reading.mask();
            let is_late = second > 18 && !(144..=158).contains(&second);
            assert_eq!(mask.is_some(), is_late, "{second}: {mask:?}");
        }
    }

    #[test]
    fn a_watch_that_stood_still_before_anybody_looked_is_found() {
        for shown in [Some(Epoch::at(at(0))), None] {
            let mut beats = Beats::new(at(600));
            let mut watched = Watched::new();
            if shown.is_some() {
                watched.saw(shown, at(600));
            }
            beats.read(Some(Epoch::at(at(590))), at(600));
            beats.took(Epoch::at(at(600)), at(601));
            if shown.is_some() {
                let late = told(&watched, &beats, at(602));
                assert_eq!(late.reading.mask(), Some(Mask::FrozenWatch));
            }
            let late = told(&watched, &beats, at(609));
            assert_eq!(late.reading.mask(), Some(Mask::FrozenWatch), "{shown:?}");
            watched.saw(Some(Epoch::at(at(600))), at(609));
            assert!(told(&watched, &beats, at(609)).reading.fresh().is_some());
        }
    }

    #[test]
    fn a_watch_that_tells_of_what_others_write_is_awake() {
        let mut beats = Beats::new(at(0));
        let mut watched = Watched::new();
        watched.saw(Some(Epoch::at(at(0))), at(0));
        for second in 1..60 {
            if second % 10 == 0 {
                beats.took(Epoch::at(at(second)), at(second));
                watched.saw(None, at(second));
            }
            let told = told(&watched, &beats, at(second));
            assert!(told.reading.mask().is_none(), "{second}: {told:?}");
        }
    }

    #[test]
    fn where_the_api_is_silent_its_watch_is_not_to_blame() {
        let mut beats = Beats::new(at(0));
        let mut watched = Watched::new();
        watched.saw(Some(Epoch::at(at(0))), at(0));
        beats.took(Epoch::at(at(10)), at(10));
        for _ in 0..2 {
            beats.unanswered("refused".to_owned());
        }
        let told = told(&watched, &beats, at(40));
        assert!(matches!(told.reading, Reading::Stale { .. }), "{told:?}");
    }
}
