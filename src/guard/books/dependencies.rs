//! What a policy depends on → what its status says of it.
//!
//! It changes with what people act on: no age is on record.

use weir_core::{
    evidence::{Health, Reading},
    time::Moment,
};

use super::conditions::Said;
use crate::{
    api::{
        DependencyState, DependencyStatus,
        bounds::{self, clip},
        marks::conditions,
        times::time,
    },
    guard::{
        dependencies::{Known, Unheard, known, silent_on_record},
        world::World,
    },
    policy::Policies,
};

/// What is known of each of a policy's dependencies.
pub(super) struct Depends {
    /// Each with its name; none where nobody asks.
    all: Option<Vec<(String, Known)>>,
}

impl Depends {
    /// Those of one policy.
    pub(super) fn of(policies: &Policies, policy: &str, unheard: &Unheard, world: &World) -> Self {
        let all = policies.dependencies_of(policy);
        let known = all.map(|(name, one)| {
            let on_record = silent_on_record(policy, name, world);
            Some((name.clone(), known(one, on_record, unheard, world)?))
        });
        Self {
            all: known.collect(),
        }
    }

    /// Whether something was not asked yet: until then what was on record holds, also over a change of the leader.
    pub(super) fn is_awaited(&self) -> bool {
        let all = self.all.as_deref();
        all.is_none_or(|all| all.iter().any(|(_, known)| !known.is_asked))
    }

    /// The list in the status, given what it says of the policy as it is now.
    pub(super) fn status(&self, before: &[DependencyStatus], now: Moment) -> Vec<DependencyStatus> {
        let Some(all) = self.all.as_ref().filter(|_| !self.is_awaited()) else {
            return before.to_vec();
        };
        let all = all.iter().take(bounds::DEPENDENCIES);
        all.map(|(name, known)| one(name, known, before, now))
            .collect()
    }

    /// Whether all of them say how they are; nothing while that is not known, or where there are none.
    pub(super) fn said(&self, now: Moment) -> Option<Said> {
        let all = self.all.as_ref().filter(|all| !all.is_empty())?;
        if self.is_awaited() {
            return None;
        }
        let silent: Vec<_> = all
            .iter()
            .filter(|(_, known)| known.reading.fresh().is_none())
            .map(|(name, known)| silence(name, known, now))
            .collect();
        let (holds, reason, message) = if silent.is_empty() {
            let all = format!("all that it depends on say how they are: {}", all.len());
            (true, "Known", all)
        } else {
            (false, "DependencySilent", silent.join("; "))
        };
        Some(Said {
            kind: conditions::DEPENDENCIES_KNOWN,
            holds,
            reason: reason.to_owned(),
            message,
        })
    }
}

fn one(name: &str, known: &Known, before: &[DependencyStatus], now: Moment) -> DependencyStatus {
    let (state, what) = match &known.reading {
        Reading::Fresh(Health::Well) => (DependencyState::Well, None),
        Reading::Fresh(Health::Incident { what }) => (DependencyState::Incident, Some(what)),
        Reading::Masked { .. }
        | Reading::Stale { .. }
        | Reading::Absent { .. }
        | Reading::Garbled { .. } => (DependencyState::Silent, known.why.as_ref()),
    };
    let is_silent = state == DependencyState::Silent;
    let holds_until = known.awaited_until.filter(|_| is_silent).map(time);
    // One that could not be asked, and now can be, begins to be silent only now.
    let is_same = |one: &&DependencyStatus| {
        let has_deadline = one.holds_until.is_some();
        one.name == name && one.state == state && has_deadline == holds_until.is_some()
    };
    let same = before.iter().find(is_same);
    let since = same.and_then(|one| one.since.clone());
    DependencyStatus {
        name: name.to_owned(),
        state,
        what: what.map(|what| clip(what, bounds::TEXT)),
        since: Some(since.unwrap_or_else(|| time(now))),
        holds_until,
    }
}

/// That one says nothing, why, and for how long that holds rollouts.
fn silence(name: &str, known: &Known, now: Moment) -> String {
    let why = known.why.as_deref().unwrap_or("it does not answer");
    match known.awaited_until {
        Some(until) if until > now => {
            let until = time(until).0;
            format!("{name}: {why}; that holds rollouts until {until}")
        }
        Some(_) => format!("{name}: {why}; that holds rollouts no longer (silentFor)"),
        None => format!("{name}: {why}; that holds rollouts until the policy is mended"),
    }
}

#[cfg(test)]
mod tests {
    use weir_core::time::Span;

    use super::*;

    const NOW: Moment = Moment::from_millis(1_800_000_000_000);

    fn depends(reading: Reading<Health>, awaited_until: Option<Moment>) -> Depends {
        let why = match &reading {
            Reading::Absent { why } => Some(why.clone()),
            _ => None,
        };
        let known = Known {
            reading,
            awaited_until,
            why,
            is_asked: true,
        };
        let all = Some(vec![("cloud".to_owned(), known)]);
        Depends { all }
    }

    fn absent() -> Reading<Health> {
        let why = "https://status.example.com/: it answers with 503".to_owned();
        Reading::Absent { why }
    }

    #[test]
    fn what_is_well_is_known_and_keeps_its_time() {
        let well = depends(Reading::Fresh(Health::Well), Some(NOW));
        let first = well.status(&[], NOW);
        assert_eq!(first[0].state, DependencyState::Well);
        assert_eq!(first[0].holds_until, None);
        let later = NOW + Span::from_secs(60);
        assert_eq!(well.status(&first, later), first);
        let what = "$.s is `major`, not `none`".to_owned();
        let incident = depends(Reading::Fresh(Health::Incident { what }), None);
        let turned = incident.status(&first, later);
        assert_eq!(turned[0].since, Some(time(later)));
        assert!(
            incident.said(NOW).is_some_and(|said| said.holds),
            "it says how it is"
        );
    }

    #[test]
    fn what_is_silent_says_why_and_until_when_it_holds() {
        let until = NOW + Span::from_secs(600);
        let said = |until, now| depends(absent(), until).said(now).unwrap();
        let held = said(Some(until), NOW);
        assert!(!held.holds && held.reason == "DependencySilent");
        assert_eq!(
            held.message,
            "cloud: https://status.example.com/: it answers with 503; that holds rollouts until \
             2027-01-15T08:10:00Z"
        );
        assert!(
            said(Some(until), until)
                .message
                .ends_with("no longer (silentFor)")
        );
        assert!(
            said(None, NOW)
                .message
                .ends_with("until the policy is mended")
        );
        let status = depends(absent(), Some(until)).status(&[], NOW);
        assert_eq!(status[0].state, DependencyState::Silent);
        assert_eq!(status[0].holds_until, Some(time(until)));
    }

    #[test]
    fn what_could_not_be_asked_begins_to_be_silent_once_it_can() {
        let wrong = depends(absent(), None).status(&[], NOW);
        let later = NOW + Span::from_secs(60);
        let asked = depends(absent(), Some(later)).status(&wrong, later);
        assert_eq!(asked[0].since, Some(time(later)));
        let still = depends(absent(), Some(later)).status(&asked, later + Span::from_secs(60));
        assert_eq!(still, asked);
    }

    #[test]
    fn before_it_was_asked_the_record_holds() {
        let first = depends(absent(), None).status(&[], NOW);
        for awaited in [
            Depends { all: None },
            Depends {
                all: Some(vec![(
                    "cloud".to_owned(),
                    Known {
                        reading: absent(),
                        awaited_until: None,
                        why: None,
                        is_asked: false,
                    },
                )]),
            },
        ] {
            assert!(awaited.is_awaited());
            assert_eq!(awaited.status(&first, NOW + Span::from_secs(9)), first);
            assert_eq!(awaited.said(NOW), None);
        }
        let none = Depends {
            all: Some(Vec::new()),
        };
        assert!(!none.is_awaited());
        assert_eq!(
            (none.status(&first, NOW), none.said(NOW)),
            (Vec::new(), None)
        );
    }
}
