//! Turns what should be on record into the fewest writes that keep it so.
//!
//! Level-triggered: it is given all that should be on record, again and again, and writes the one
//! thing that is most urgent and differs. Nothing is queued, so nothing old is ever written.

mod difference;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kube::{
    Api, Client,
    api::{
        ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions,
    },
};
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::{debug, warn};
use weir_core::time::{Moment, Span};

use self::difference::{Difference, difference};
use super::{
    backoff::Backoff,
    failure::Failure,
    permit::{Permit, Unwritten},
    tally::Tally,
};
use crate::{api::MANAGER, clock::Clock, tasks::TaskError};

/// How long what was written is taken to be what the API server holds, although the watch still
/// shows something else.
const WATCH_LAG: Span = Span::from_secs(10);

/// What held for longer before it was changed is no fight: it is written again at once.
const FORGIVEN: Span = Span::from_secs(1800);

/// All that should be on record.
pub type Books = Vec<Entry>;

/// One object of Weir's own, or a status of Weir's making.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its kind.
    pub resource: ApiResource,
    /// Its namespace, if its kind has any.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// What should be so.
    pub want: Want,
}

/// What should be so of an object.
#[derive(Debug, Clone)]
pub enum Want {
    /// It exists; this is how it is created. Its status follows once it is seen.
    Created(Box<DynamicObject>),
    /// It has this status.
    Status {
        /// What the status should be.
        desired: Value,
        /// What it was when last seen.
        seen: Value,
    },
    /// It exists and says this, whatever a person made of it meanwhile.
    Applied {
        /// What it should say.
        object: Value,
        /// Whether it was so when last seen.
        holds: bool,
    },
    /// It does not exist. Another of the same name, with another UID, is left alone.
    Gone {
        /// Its UID.
        uid: String,
    },
}

/// Kind, namespace, name.
pub type Key = (String, Option<String>, String);

/// What could not be written for some time, and why.
pub type Unrecorded = BTreeMap<Key, Failure>;

/// What is remembered of one object.
#[derive(Debug, Default)]
struct Memory {
    /// What was last written, and when.
    written: Option<(Written, Moment)>,
    backoff: Backoff,
    /// How often in a row what was applied was found undone.
    undone: Backoff,
}

#[derive(Debug, PartialEq)]
enum Written {
    Created,
    Applied(Value),
    Gone,
    Status(Value),
}

/// The task that keeps the books.
pub struct Recorder {
    client: Client,
    permit: Permit,
    clock: Clock,
    tally: Arc<Tally>,
    memory: BTreeMap<Key, Memory>,
    unrecorded: watch::Sender<Unrecorded>,
}

impl Recorder {
    /// A recorder that has written nothing yet, and what it will not have been able to write.
    #[must_use]
    pub fn new(
        client: Client,
        permit: Permit,
        clock: Clock,
        tally: Arc<Tally>,
    ) -> (Self, watch::Receiver<Unrecorded>) {
        let (unrecorded, view) = watch::channel(Unrecorded::new());
        let recorder = Self {
            client,
            permit,
            clock,
            tally,
            memory: BTreeMap::new(),
            unrecorded,
        };
        (recorder, view)
    }

    /// Keeps the books as long as anybody says what should be in them.
    pub async fn run(mut self, mut books: watch::Receiver<Arc<Books>>) -> Result<(), TaskError> {
        loop {
            let current = Arc::clone(&books.borrow_and_update());
            self.forget_all_but(&current);
            let due = most_urgent(&self.memory, &current, self.clock.now());
            match due.filter(|_| self.permit.leads()) {
                Some(entry) => self.write(entry).await,
                None => books.changed().await?,
            }
        }
    }

    fn forget_all_but(&mut self, books: &Books) {
        let keys: BTreeSet<_> = books.iter().map(Entry::key).collect();
        self.memory.retain(|key, _| keys.contains(key));
        self.unrecorded.send_if_modified(|all| {
            let before = all.len();
            all.retain(|key, _| keys.contains(key));
            all.len() != before
        });
    }

    async fn write(&mut self, entry: &Entry) {
        let key = entry.key();
        let (kind, name) = (key.0.clone(), key.2.clone());
        let namespace = key.1.clone().unwrap_or_default();
        let result = self.permit.write(None, request(&self.client, entry)).await;
        let now = self.clock.now();
        let memory = self.memory.entry(key.clone()).or_default();
        match result {
            Ok(()) => {
                self.tally.records.add(1);
                debug!(kind, namespace, name, "recorded");
                memory.wrote(&entry.want, &name, now);
                let fought_over = memory.undone.is_stuck().then(Failure::undone);
                if let Some(failure) = &fought_over {
                    let why = failure.sentence();
                    warn!(kind, namespace, name, why, "written once more");
                }
                self.unrecorded.send_if_modified(|all| match fought_over {
                    Some(failure) => all.insert(key, failure.clone()) != Some(failure),
                    None => all.remove(&key).is_some(),
                });
            }
            Err(Unwritten::NotLeading) => memory.backoff.failed(&name, now),
            Err(error) => {
                self.tally.record_failures.add(1);
                warn!(kind, namespace, name, %error, "not recorded; trying again");
                memory.backoff.failed(&name, now);
                let failure = Failure::of(entry.want.what_failed(), &error);
                if let Some(failure) = failure.filter(|_| memory.backoff.is_stuck()) {
                    self.unrecorded
                        .send_modify(|all| drop(all.insert(key, failure)));
                }
            }
        }
    }
}

/// The entry to write now, if any is due: what differs most, and of those what has waited longest.
fn most_urgent<'a>(
    memory: &BTreeMap<Key, Memory>,
    books: &'a Books,
    now: Moment,
) -> Option<&'a Entry> {
    let none = Memory::default();
    let due = books.iter().filter_map(|entry| {
        let memory = memory.get(&entry.key()).unwrap_or(&none);
        let difference = memory.due(&entry.want, now)?;
        let last = memory.written.as_ref().map(|(_, at)| *at);
        Some(((Reverse(difference), last), entry))
    });
    due.min_by_key(|(urgency, _)| *urgency)
        .map(|(_, entry)| entry)
}

impl Memory {
    /// Takes in that it was written, and whether somebody had undone it.
    fn wrote(&mut self, want: &Want, name: &str, now: Moment) {
        let written = want.written();
        let again = self.written.take().is_some_and(|(before, at)| {
            matches!(before, Written::Applied(_)) && before == written && now.since(at) < FORGIVEN
        });
        *self = Self {
            written: Some((written, now)),
            backoff: Backoff::default(),
            undone: if again {
                self.undone
            } else {
                Backoff::default()
            },
        };
        if again {
            self.undone.undone(name, now);
        }
    }

    /// How much what is wanted differs from what is on record, if it is time to write it.
    fn due(&self, want: &Want, now: Moment) -> Option<Difference> {
        if self.backoff.waits(now) || self.undone.waits(now) {
            return None;
        }
        let recent = self
            .written
            .as_ref()
            .filter(|(_, at)| now.since(*at) < WATCH_LAG);
        let difference = want.difference(recent.map(|(written, _)| written))?;
        let waited = self.written.as_ref().map(|(_, at)| now.since(*at));
        waited
            .is_none_or(|waited| waited >= difference.patience())
            .then_some(difference)
    }
}

impl Want {
    /// How much it differs from `recent`, which was written a moment ago, or else from what is seen.
    fn difference(&self, recent: Option<&Written>) -> Option<Difference> {
        match (self, recent) {
            (Self::Created(_), Some(Written::Created))
            | (Self::Gone { .. }, Some(Written::Gone))
            | (Self::Applied { holds: true, .. }, _) => None,
            (Self::Applied { object, .. }, Some(Written::Applied(written)))
                if object == written =>
            {
                None
            }
            (Self::Applied { .. }, _) => Some(Difference::Figures),
            (Self::Created(_) | Self::Gone { .. }, _) => Some(Difference::Turn),
            (Self::Status { desired, .. }, Some(Written::Status(written))) => {
                difference(written, desired)
            }
            (Self::Status { desired, seen }, _) => difference(seen, desired),
        }
    }

    /// What is on record once it is written.
    fn written(&self) -> Written {
        match self {
            Self::Created(_) => Written::Created,
            Self::Applied { object, holds: _ } => Written::Applied(object.clone()),
            Self::Gone { .. } => Written::Gone,
            Self::Status { desired, .. } => Written::Status(desired.clone()),
        }
    }
}

impl Want {
    /// What could not be done, as a clause, if it fails.
    const fn what_failed(&self) -> &'static str {
        match self {
            Self::Created(_) | Self::Status { .. } => "its record could not be written",
            Self::Applied { .. } => "it could not be written",
            Self::Gone { .. } => "it could not be removed",
        }
    }
}

impl Entry {
    fn key(&self) -> Key {
        (
            self.resource.kind.clone(),
            self.namespace.clone(),
            self.name.clone(),
        )
    }

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &self.resource),
            None => Api::all_with(client.clone(), &self.resource),
        }
    }
}

async fn request(client: &Client, entry: &Entry) -> Result<(), kube::Error> {
    let (api, name) = (entry.api(client), &entry.name);
    match &entry.want {
        Want::Created(object) => {
            let params = PostParams {
                field_manager: Some(MANAGER.to_owned()),
                ..PostParams::default()
            };
            match api.create(&params, object).await {
                Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(()),
                created => created.map(drop),
            }
        }
        Want::Status { desired, seen: _ } => {
            let patch = json!({
                "apiVersion": entry.resource.api_version,
                "kind": entry.resource.kind,
                "metadata": { "name": name },
                "status": desired,
            });
            // Applied, not merged: what is no longer said goes away.
            let params = PatchParams::apply(MANAGER).force();
            api.patch_status(name, &params, &Patch::Apply(patch))
                .await
                .map(drop)
        }
        Want::Applied { object, holds: _ } => {
            let params = PatchParams::apply(MANAGER).force();
            api.patch(name, &params, &Patch::Apply(object))
                .await
                .map(drop)
        }
        Want::Gone { uid } => {
            let params = DeleteParams::background().preconditions(Preconditions {
                uid: Some(uid.clone()),
                resource_version: None,
            });
            match api.delete(name, &params).await {
                Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(()),
                deleted => deleted.map(drop),
            }
        }
    }
}

#[cfg(test)]
mod tests;
