//! Turns decisions into Kubernetes events, for people who describe the workload.
//!
//! Events are the first thing to be dropped: the queue is short, its pace lies far below the budget
//! that statuses need, and whatever does not fit is counted, never waited for.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tracing::debug;

use super::{permit::Permit, tally::Tally};
use crate::{
    api::{bounds::clip, marks},
    tasks::TaskError,
};

/// Events that may wait to be sent.
const QUEUE: usize = 32;
/// Between two events: a quarter of the budget for writes.
const PACE: Duration = Duration::from_secs(2);
/// Characters of a note that the API server takes.
const NOTE: usize = 1024;

/// What people are to be told, about which object.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// What it is about.
    pub about: ObjectReference,
    /// What else it concerns.
    pub related: Option<ObjectReference>,
    /// Whether somebody should look.
    pub warning: bool,
    /// Why it is told, as one word.
    pub reason: &'static str,
    /// What was done, as one word. Events that agree in all but the note are counted as one, so the
    /// action tells apart what must stay apart.
    pub action: String,
    /// What to tell.
    pub note: String,
}

/// Where notices are left.
#[derive(Debug, Clone)]
pub struct Teller {
    queue: mpsc::Sender<Notice>,
    tally: Arc<Tally>,
}

impl Teller {
    /// Leaves a notice to be sent, or drops and counts it if too many wait.
    pub fn tell(&self, notice: Notice) {
        if self.queue.try_send(notice).is_err() {
            self.tally.events_dropped.add(1);
        }
    }
}

/// The task that sends notices.
pub struct Messenger {
    queue: mpsc::Receiver<Notice>,
    recorder: Recorder,
    permit: Permit,
    tally: Arc<Tally>,
}

impl Messenger {
    /// A messenger, and where to leave what it sends. `instance` tells people which replica spoke.
    #[must_use]
    pub fn new(
        client: Client,
        instance: &str,
        permit: Permit,
        tally: Arc<Tally>,
    ) -> (Self, Teller) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let reporter = Reporter {
            controller: marks::OPERATOR.to_owned(),
            instance: Some(clip(instance, 128)),
        };
        let teller = Teller {
            queue: sender,
            tally: Arc::clone(&tally),
        };
        let messenger = Self {
            queue,
            recorder: Recorder::new(client, reporter),
            permit,
            tally,
        };
        (messenger, teller)
    }

    /// Sends notices as long as anybody leaves any.
    pub async fn run(mut self) -> Result<(), TaskError> {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while let Some(notice) = self.queue.recv().await {
            pace.tick().await;
            self.send(notice).await;
        }
        Err("nobody is left to tell anything".into())
    }

    async fn send(&self, notice: Notice) {
        let reason = notice.reason;
        let event = Event {
            type_: if notice.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: reason.to_owned(),
            note: Some(clip_bytes(notice.note)),
            action: clip(&notice.action, 128),
            secondary: notice.related,
        };
        let request = self.recorder.publish(&event, &notice.about);
        match self.permit.write(None, request).await {
            Ok(()) => self.tally.events.add(1),
            Err(error) => {
                self.tally.events_dropped.add(1);
                debug!(reason, %error, "an event was dropped");
            }
        }
    }
}

/// The API server counts bytes.
fn clip_bytes(mut note: String) -> String {
    if note.len() > NOTE {
        note.truncate(note.floor_char_boundary(NOTE - '…'.len_utf8()));
        note.push('…');
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_cut_to_what_the_api_server_takes() {
        assert_eq!(clip_bytes("short".to_owned()), "short");
        let long = clip_bytes("ü".repeat(600));
        assert!(
            long.len() <= NOTE && long.ends_with('…'),
            "{} bytes",
            long.len()
        );
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let tally = Arc::new(Tally::default());
        let (queue, _kept) = mpsc::channel(1);
        let teller = Teller {
            queue,
            tally: Arc::clone(&tally),
        };
        let notice = Notice {
            about: ObjectReference::default(),
            related: None,
            warning: false,
            reason: "RolloutStarted",
            action: "Start".to_owned(),
            note: String::new(),
        };
        for _ in 0..3 {
            teller.tell(notice.clone());
        }
        assert_eq!(tally.events_dropped.get(), 2);
    }
}
