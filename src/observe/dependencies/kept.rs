//! What a dependency last answered, and how old that is → a reading.
//!
//! ```text
//!  age of the last value  0 ──────────── 2 × interval + time-out ──────── 5 × interval ─────▶
//!                         Fresh (one look may fail)           Stale                  Absent
//! ```
//!
//! A look that fails leaves the last value to age; where there is none it is told at once.

use weir_core::{
    evidence::{Health, Reading},
    time::{Moment, Span},
};

/// In units of the time between two looks: when a value is stale, less a time-out, and when it says nothing any
/// longer.
const STALE_AFTER: f64 = 2.0;
const ABSENT_AFTER: f64 = 5.0;
/// To which a stale value's age is rounded down: it is put on record, which is written on change.
const ROUND: u64 = 60_000;

/// Why a look told nothing, for a person to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing was answered.
    Absent(String),
    /// What was answered could not be understood.
    Garbled(String),
}

/// What is known of a dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyView {
    /// What it says.
    pub reading: Reading<Health>,
    /// Since when its reading is not fresh, if it is not; else when it will no longer be, if nothing more is heard.
    pub silent_since: Moment,
    /// Why the last look told nothing, if it did.
    pub trouble: Option<String>,
    /// Whether any look has ended yet since this process began to ask.
    pub is_asked: bool,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Kept {
    /// When this process began to ask.
    begun: Moment,
    last: Option<(Moment, Health)>,
    trouble: Option<Trouble>,
}

impl Kept {
    /// Nothing yet.
    pub(super) const fn new(now: Moment) -> Self {
        Self {
            begun: now,
            last: None,
            trouble: None,
        }
    }

    /// Takes in the end of a look; returns what is wrong, if that is new.
    pub(super) fn answered(
        &mut self,
        answer: Result<Health, Trouble>,
        now: Moment,
    ) -> Option<String> {
        match answer {
            Ok(health) => {
                self.last = Some((now, health));
                self.trouble = None;
                None
            }
            Err(trouble) => {
                let is_new = self.trouble.as_ref() != Some(&trouble);
                let why = is_new.then(|| trouble.why().to_owned());
                self.trouble = Some(trouble);
                why
            }
        }
    }

    /// What is known now of what is asked so often, with so much time for each answer.
    pub(super) fn view(&self, interval: Span, timeout: Span, now: Moment) -> DependencyView {
        let stale_after = interval.times(STALE_AFTER) + timeout;
        let absent_after = interval.times(ABSENT_AFTER).max(stale_after);
        let silent_since = self
            .last
            .as_ref()
            .map_or(self.begun, |(at, _)| *at + stale_after);
        let aged = self.last.as_ref().map(|(at, health)| {
            let limits = [stale_after, absent_after];
            Reading::aged(health.clone(), now.since(*at), limits, String::new)
        });
        let reading = match aged {
            Some(Reading::Stale { value, age }) => Reading::Stale {
                value,
                age: Span::from_millis(age.as_millis() / ROUND * ROUND),
            },
            Some(known @ Reading::Fresh(_)) => known,
            Some(Reading::Masked { .. } | Reading::Absent { .. } | Reading::Garbled { .. })
            | None => self.nothing(),
        };
        DependencyView {
            reading,
            silent_since,
            trouble: self.trouble.as_ref().map(|one| one.why().to_owned()),
            is_asked: self.last.is_some() || self.trouble.is_some(),
        }
    }

    fn nothing(&self) -> Reading<Health> {
        match &self.trouble {
            Some(Trouble::Absent(why)) => Reading::Absent { why: why.clone() },
            Some(Trouble::Garbled(why)) => Reading::Garbled { why: why.clone() },
            None => Reading::Absent {
                why: match self.last {
                    None => "it has not answered yet".to_owned(),
                    Some(_) => "it was not asked for too long".to_owned(),
                },
            },
        }
    }
}

impl Trouble {
    fn why(&self) -> &str {
        match self {
            Self::Absent(why) | Self::Garbled(why) => why,
        }
    }

    /// The same, of an address.
    pub(super) fn at(self, place: &str) -> Self {
        match self {
            Self::Absent(why) => Self::Absent(format!("{place}: {why}")),
            Self::Garbled(why) => Self::Garbled(format!("{place}: {why}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Span = Span::from_secs(60);
    const TIMEOUT: Span = Span::from_secs(5);

    fn at(seconds: u64) -> Moment {
        Moment::from_millis((1_000_000 + seconds) * 1000)
    }

    fn view(kept: &Kept, seconds: u64) -> DependencyView {
        kept.view(EVERY, TIMEOUT, at(seconds))
    }

    fn trouble() -> Trouble {
        Trouble::Absent("no answer".to_owned())
    }

    #[test]
    fn before_its_first_answer_it_is_silent_from_the_start() {
        let mut kept = Kept::new(at(0));
        let before = view(&kept, 1);
        assert!(matches!(before.reading, Reading::Absent { .. }) && !before.is_asked);
        assert_eq!(
            kept.answered(Err(trouble()), at(5)),
            Some("no answer".to_owned())
        );
        assert_eq!(
            kept.answered(Err(trouble()), at(65)),
            None,
            "it is told once"
        );
        let after = view(&kept, 70);
        let why = "no answer".to_owned();
        assert_eq!(after.reading, Reading::Absent { why });
        assert_eq!((after.silent_since, after.is_asked), (at(0), true));
    }

    #[test]
    fn one_look_may_fail_and_then_it_is_stale_and_then_absent() {
        let mut kept = Kept::new(at(0));
        kept.answered(Ok(Health::Well), at(1));
        kept.answered(Err(trouble()), at(66));
        let fresh = view(&kept, 126);
        assert_eq!(fresh.reading, Reading::Fresh(Health::Well));
        let stale = view(&kept, 127);
        let value = Health::Well;
        let age = Span::from_secs(120);
        assert_eq!(stale.reading, Reading::Stale { value, age });
        assert_eq!(stale.silent_since, at(126));
        assert_eq!(stale.trouble.as_deref(), Some("no answer"));
        let absent = view(&kept, 302);
        let why = "no answer".to_owned();
        assert_eq!(absent.reading, Reading::Absent { why });
        assert_eq!(absent.silent_since, at(126));
    }

    #[test]
    fn what_is_heard_again_is_fresh_again() {
        let mut kept = Kept::new(at(0));
        kept.answered(Err(Trouble::Garbled("no JSON".to_owned())), at(1));
        assert!(matches!(view(&kept, 2).reading, Reading::Garbled { .. }));
        let what = "major".to_owned();
        kept.answered(Ok(Health::Incident { what }), at(61));
        let heard = view(&kept, 62);
        assert!(matches!(
            heard.reading,
            Reading::Fresh(Health::Incident { .. })
        ));
        assert_eq!((heard.silent_since, heard.trouble), (at(61 + 125), None));
    }
}
