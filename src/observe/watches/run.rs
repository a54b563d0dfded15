//! Turns one watch's events and errors into what is [`Kept`], for ever.
//!
//! A watch begins with a streamed list (`sendInitialEvents`): object by object, so that neither side
//! holds a page in memory. The list comes from the API server's cache ("any" semantic, version 0): a
//! quorum read of 5,000 pods by a guard is load, and what is stale in it is brought up to date by the
//! watch that it is the beginning of. Servers with streamed lists switched off get pages of 500.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use kube::{
    Api,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, InitialListStrategy},
    },
};

use super::{
    kept::Kept,
    slim::{Keep, Slim},
    trouble::{Trouble, is_unstreamed},
};

/// Seconds after which the server ends a watch, and a new one takes it up: the bound on how long a
/// dead connection goes unnoticed. Below a minute, and not the same for all watches.
const ENDS_AFTER: std::ops::Range<u32> = 45..51;
/// Objects in a page, where lists are not streamed: client-go's.
const PAGE: u32 = 500;
/// How long to wait after an answer that made no sense before everything is listed anew.
const ANEW_AFTER: Duration = Duration::from_secs(10);
/// How often time passes over the rows.
const AGES_EVERY: Duration = Duration::from_secs(5);

/// Which objects of a kind are watched.
#[derive(Debug, Clone, Default)]
pub(in crate::observe) struct Selection {
    pub(in crate::observe) namespace: Option<String>,
    pub(in crate::observe) labels: Option<String>,
    pub(in crate::observe) fields: Option<String>,
}

/// Keeps `kept` up to date for as long as it is polled.
pub(in crate::observe) async fn run<K: Keep>(
    client: kube::Client,
    kept: Arc<Kept<K>>,
    selection: Selection,
) {
    let mut strategy = InitialListStrategy::StreamingList;
    loop {
        let config = watcher::Config {
            label_selector: selection.labels.clone(),
            field_selector: selection.fields.clone(),
            timeout: Some(fastrand::u32(ENDS_AFTER)),
            initial_list_strategy: strategy.clone(),
            page_size: Some(PAGE),
            ..watcher::Config::default()
        };
        let api = api(
            kept.pulse().listen(client.clone()),
            selection.namespace.as_deref(),
        );
        let events = watcher::watcher(api, config).default_backoff();
        match follow(&kept, events).await {
            Again::InPages => strategy = InitialListStrategy::ListWatch,
            Again::Later => tokio::time::sleep(ANEW_AFTER).await,
        }
    }
}

/// The kind's API, in one namespace or in all.
fn api<K: Keep>(client: kube::Client, namespace: Option<&str>) -> Api<Slim<K>> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &()),
        None => Api::all_with(client, &()),
    }
}

/// Why a watch must be begun anew.
enum Again {
    /// Lists are not streamed here.
    InPages,
    /// What came made no sense.
    Later,
}

async fn follow<K: Keep>(
    kept: &Kept<K>,
    events: impl Stream<Item = watcher::Result<Event<Slim<K>>>>,
) -> Again {
    let mut events = std::pin::pin!(events);
    let mut ageing = tokio::time::interval(AGES_EVERY);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = ageing.tick() => {
                kept.pass_time();
                continue;
            }
        };
        match event {
            Some(Ok(event)) => take(kept, event),
            Some(Err(error)) if is_unstreamed(&error) => return Again::InPages,
            Some(Err(error)) => {
                let trouble = Trouble::of::<K>(&error);
                let unreadable = matches!(trouble, Trouble::Unreadable(_));
                kept.fail(trouble);
                if unreadable {
                    return Again::Later;
                }
            }
            // kube's watcher never ends by itself; if it does, begin anew.
            None => return Again::Later,
        }
    }
}

fn take<K: Keep>(kept: &Kept<K>, event: Event<Slim<K>>) {
    match event {
        Event::Init => kept.begin_list(),
        Event::InitApply(object) => kept.list(object),
        Event::InitDone => kept.end_list(),
        Event::Apply(object) => kept.apply(object),
        Event::Delete(object) => kept.delete(&object),
    }
}

#[cfg(test)]
mod tests;
