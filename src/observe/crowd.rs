//! Turns a changing set of keys into as many futures, polled together within one task.
//!
//! Tasks are started only at the process's start, under supervision; what comes and goes with the
//! cluster (a watch for each rollout, a prober for each API server) lives in here instead. A panic in
//! any of them is the task's, and so is seen.

use std::{collections::BTreeMap, future::Future};

use futures::{
    StreamExt,
    future::{AbortHandle, Abortable, Aborted, BoxFuture},
    stream::FuturesUnordered,
};

/// Futures by key.
pub(super) struct Crowd<K> {
    running: FuturesUnordered<Abortable<BoxFuture<'static, ()>>>,
    handles: BTreeMap<K, AbortHandle>,
}

impl<K: Ord + Clone> Crowd<K> {
    pub(super) fn new() -> Self {
        Self {
            running: FuturesUnordered::new(),
            handles: BTreeMap::new(),
        }
    }

    /// Stops the futures whose keys are not `wanted`, and starts those that are missing.
    pub(super) fn set<'k, F>(
        &mut self,
        wanted: impl IntoIterator<Item = &'k K>,
        mut start: impl FnMut(&K) -> F,
    ) where
        K: 'k,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut left = std::mem::take(&mut self.handles);
        for key in wanted {
            let handle = left.remove(key).unwrap_or_else(|| {
                let (handle, registration) = AbortHandle::new_pair();
                let future: BoxFuture<'static, ()> = Box::pin(start(key));
                self.running.push(Abortable::new(future, registration));
                handle
            });
            self.handles.insert(key.clone(), handle);
        }
        for gone in left.into_values() {
            gone.abort();
        }
    }

    /// Polls all of them. Ends with the first that ends by itself; pending for ever if none does.
    pub(super) async fn run(&mut self) {
        while let Some(end) = self.running.next().await {
            if end != Err(Aborted) {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keys_that_stay_go_on_and_keys_that_go_stop() {
        let ticks = Arc::new(Mutex::new(BTreeMap::<u8, u32>::new()));
        let counting = |key: &u8| {
            let (key, ticks) = (*key, Arc::clone(&ticks));
            async move {
                loop {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    *ticks.lock().unwrap().entry(key).or_default() += 1;
                }
            }
        };
        let mut crowd = Crowd::new();
        for wanted in [vec![1, 2], vec![2, 3], vec![2]] {
            crowd.set(&wanted, counting);
            let ended = tokio::time::timeout(Duration::from_millis(2500), crowd.run()).await;
            assert!(ended.is_err(), "none ends by itself");
        }
        let expected = BTreeMap::from([(1, 2), (2, 7), (3, 2)]);
        assert_eq!(*ticks.lock().unwrap(), expected);
    }

    #[tokio::test]
    async fn one_that_ends_by_itself_is_noticed() {
        let mut crowd = Crowd::new();
        crowd.set(&[1], |_| async {});
        crowd.run().await;
    }
}
