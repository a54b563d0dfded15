//! Turns what one watch says into rows and a reading of them.
//!
//! ```text
//!            Init          InitDone                              Init        InitDone
//!  ────────────┼──────────────┼────── bytes, bookmarks ─────────────┼───────────┼─────
//!   Absent     │    Absent    │ Fresh ········ silence: Stale, Absent  old rows, │ Fresh
//!              │ (listing)    │                                     │ ageing    │
//! ```
//!
//! A refusal that lasts is Absent: what is kept can no longer be brought up to date.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::Resource;
use tokio::sync::Notify;
use weir_core::{
    evidence::Reading,
    time::{Moment, Span},
};

use super::{
    slim::{Keep, Seen, Slim},
    trouble::{Trouble, Troubled},
};
use crate::{client::Pulse, clock::Clock};

/// A watch speaks at least every 55 s (a bookmark shortly before its end, the answer to the next).
/// This is one cycle missed, and time to resume after an error's back-off of at most 30 s.
const STALE_AFTER: Span = Span::from_secs(90);
/// Three cycles missed: whatever was known then is no picture of now.
const ABSENT_AFTER: Span = Span::from_secs(180);
/// Objects that are named in the message of a garbled reading; all are counted.
const NAMED: usize = 3;

/// What one watch keeps, shared between the watch's task and those who read it.
pub(in crate::observe) struct Kept<K: Keep> {
    keep: K,
    clock: Clock,
    pulse: Arc<Pulse>,
    changed: Notify,
    state: Mutex<State<K>>,
}

struct State<K: Keep> {
    /// As of the last whole list and all events since.
    rows: Option<Arc<BTreeMap<K::Key, K::Row>>>,
    /// Objects that could not be understood, by what is wrong with each.
    garbled: BTreeMap<K::Key, String>,
    /// A list on its way.
    coming: Option<Listed<K>>,
    trouble: Option<Troubled>,
}

/// Rows and garbled objects of a list.
type Listed<K> = (
    BTreeMap<<K as Keep>::Key, <K as Keep>::Row>,
    BTreeMap<<K as Keep>::Key, String>,
);

impl<K: Keep> Kept<K> {
    pub(in crate::observe) fn new(keep: K, clock: Clock) -> Self {
        Self {
            keep,
            clock,
            pulse: Arc::new(Pulse::new(clock)),
            changed: Notify::new(),
            state: Mutex::new(State {
                rows: None,
                garbled: BTreeMap::new(),
                coming: None,
                trouble: None,
            }),
        }
    }

    pub(in crate::observe) fn keep(&self) -> &K {
        &self.keep
    }

    /// Comes back when what is kept has changed since this last came back.
    pub(in crate::observe) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// A list begins: what is kept ages until it is whole.
    pub(super) fn begin_list(&self) {
        self.pulse.fell_behind();
        self.state().coming = Some((BTreeMap::new(), BTreeMap::new()));
    }

    /// An object of the list.
    pub(super) fn list(&self, object: Slim<K>) {
        let mut state = self.state();
        let key = K::key(&object.meta);
        let row = self.read(object, state.row(&key));
        let (rows, garbled) = state.coming.get_or_insert_default();
        match row {
            Ok(Some(row)) => drop(rows.insert(key, row)),
            Ok(None) => {}
            Err(why) => drop(garbled.insert(key, why)),
        }
    }

    /// The list is whole, and takes the place of what was kept.
    pub(super) fn end_list(&self) {
        let mut state = self.state();
        let (rows, garbled) = state.coming.take().unwrap_or_default();
        state.rows = Some(Arc::new(rows));
        state.garbled = garbled;
        state.trouble = None;
        self.changed.notify_one();
        self.pulse.caught_up();
    }

    /// An object that was added or changed.
    pub(super) fn apply(&self, object: Slim<K>) {
        let mut state = self.state();
        state.trouble = None;
        let key = K::key(&object.meta);
        let row = self.read(object, state.row(&key));
        state.garbled.remove(&key);
        match row {
            // Most changes of most objects touch nothing that is kept, and the map may be shared.
            Ok(Some(row)) if state.row(&key) == Some(&row) => return,
            Ok(Some(row)) => drop(state.rows_mut().insert(key, row)),
            Ok(None) => state.remove(&key),
            Err(why) => {
                state.remove(&key);
                state.garbled.insert(key, why);
            }
        }
        self.changed.notify_one();
    }

    /// An object that is gone.
    pub(super) fn delete(&self, object: &Slim<K>) {
        let mut state = self.state();
        state.trouble = None;
        let key = K::key(&object.meta);
        state.garbled.remove(&key);
        state.remove(&key);
        self.changed.notify_one();
    }

    /// The watch failed; what is kept stays, and ages.
    pub(super) fn fail(&self, trouble: Trouble) {
        let now = self.clock.now();
        let mut state = self.state();
        let alive = self.pulse.last();
        let before = state
            .trouble
            .take()
            .filter(|before| alive.is_none_or(|at| at <= before.last));
        state.trouble = Some(Troubled::after(before, trouble, now, &what::<K>()));
    }

    /// Lets time pass over the rows.
    pub(super) fn pass_time(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        let Some(rows) = &state.rows else { return };
        let aged: Vec<_> = rows
            .iter()
            .filter_map(|(key, row)| Some((key.clone(), self.keep.aged(row, now)?)))
            .collect();
        if !aged.is_empty() {
            state.rows_mut().extend(aged);
        }
    }

    /// What is known, and how freshly.
    pub(in crate::observe) fn reading(
        &self,
        now: Moment,
    ) -> Reading<Arc<BTreeMap<K::Key, K::Row>>> {
        let state = self.state();
        let trouble = state.trouble.as_ref();
        let (Some(rows), Some(last)) = (&state.rows, self.pulse.last()) else {
            let unread = || format!("{} have not been read yet", what::<K>());
            return Reading::Absent {
                why: trouble.map_or_else(unread, |troubled| troubled.what.why().to_owned()),
            };
        };
        match trouble.map(|troubled| &troubled.what) {
            Some(Trouble::Unreadable(why)) => return Reading::Garbled { why: why.clone() },
            Some(Trouble::Refused(why)) if trouble.is_some_and(|it| it.lasts(last, now)) => {
                return Reading::Absent { why: why.clone() };
            }
            Some(Trouble::Refused(_) | Trouble::Failed(_)) | None => {}
        }
        let age = now.since(last);
        if age > ABSENT_AFTER {
            Reading::Absent {
                why: silent::<K>(age, trouble),
            }
        } else if let Some(why) = garbled::<K>(&state.garbled) {
            Reading::Garbled { why }
        } else if age > STALE_AFTER {
            Reading::Stale {
                value: Arc::clone(rows),
                age,
            }
        } else {
            Reading::Fresh(Arc::clone(rows))
        }
    }

    /// How long ago the watch last said something; nothing if it never did.
    pub(in crate::observe) fn age(&self, now: Moment) -> Option<Span> {
        Some(now.since(self.pulse.last()?))
    }

    fn read(&self, object: Slim<K>, before: Option<&K::Row>) -> Result<Option<K::Row>, String> {
        let seen = Seen {
            now: self.clock.now(),
            before,
        };
        self.keep.row(&object.meta, object.body?, seen)
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        // A task that panicked while it held the lock ends the process; until then, read on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Keep> State<K> {
    fn row(&self, key: &K::Key) -> Option<&K::Row> {
        self.rows.as_ref()?.get(key)
    }

    fn rows_mut(&mut self) -> &mut BTreeMap<K::Key, K::Row> {
        Arc::make_mut(self.rows.get_or_insert_default())
    }

    fn remove(&mut self, key: &K::Key) {
        if self.row(key).is_some() {
            self.rows_mut().remove(key);
        }
    }
}

/// The kind's name for people: `daemonsets.apps`, `pods`.
pub(in crate::observe) fn what<K: Keep>() -> String {
    let (plural, group) = (K::Kind::plural(&()), K::Kind::group(&()));
    if group.is_empty() {
        plural.into_owned()
    } else {
        format!("{plural}.{group}")
    }
}

fn silent<K: Keep>(age: Span, trouble: Option<&Troubled>) -> String {
    let (what, age) = (what::<K>(), age.as_secs_f64());
    let because = trouble.map_or_else(String::new, |it| format!(": {}", it.what.why()));
    format!("the watch on {what} has been silent for {age:.0} s{because}")
}

fn garbled<K: Keep>(objects: &BTreeMap<K::Key, String>) -> Option<String> {
    let named: Vec<_> = objects
        .iter()
        .take(NAMED)
        .map(|(key, why)| format!("{key}: {why}"))
        .collect();
    let count = objects.len();
    (count > 0).then(|| {
        format!(
            "{count} of the {} could not be understood, among them {}",
            what::<K>(),
            named.join("; ")
        )
    })
}
