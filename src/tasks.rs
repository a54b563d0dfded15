//! Turns a name and a future into a supervised task. The only place that spawns.
//!
//! A background task that gives up in silence is a mask inside the guard itself: the process looks
//! healthy and nobody does the work. So no task may end while the process lives: the first end of
//! any, by return, error or panic, is an error that ends the process, and the platform restarts it.

use std::{collections::BTreeMap, fmt, future::Future};

use tokio::task::{Id, JoinSet};

/// What a background task may fail with; printed once, where the process ends.
pub type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// All background tasks of the process. Dropping it stops them.
#[derive(Debug, Default)]
pub struct Tasks {
    running: JoinSet<Result<(), TaskError>>,
    names: BTreeMap<Id, &'static str>,
}

/// A background task ended although the process was to go on.
#[derive(Debug, thiserror::Error)]
#[error("the background task `{name}` ended: {how}")]
pub struct TaskEnded {
    name: &'static str,
    how: Ending,
}

#[derive(Debug)]
enum Ending {
    Returned,
    Failed(TaskError),
    Died(tokio::task::JoinError),
}

impl Tasks {
    /// Starts a task that is to run as long as the process does.
    pub fn start(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), TaskError>> + Send + 'static,
    ) {
        let handle = self.running.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Waits until any task ends. Pending for ever if there is none.
    pub async fn first_end(&mut self) -> TaskEnded {
        let Some(end) = self.running.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let (id, how) = match end {
            Ok((id, Ok(()))) => (id, Ending::Returned),
            Ok((id, Err(error))) => (id, Ending::Failed(error)),
            Err(error) => (error.id(), Ending::Died(error)),
        };
        let name = self.names.remove(&id).unwrap_or("unnamed");
        TaskEnded { name, how }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => f.write_str("it returned"),
            Self::Failed(error) => write!(f, "{error}"),
            Self::Died(error) => write!(f, "{error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_returns_fails_or_panics_is_named() {
        let mut tasks = Tasks::default();
        tasks.start("returns", async { Ok(()) });
        assert_eq!(
            tasks.first_end().await.to_string(),
            "the background task `returns` ended: it returned"
        );
        tasks.start("fails", async { Err("no more disk".into()) });
        assert!(
            tasks
                .first_end()
                .await
                .to_string()
                .contains("`fails` ended: no more disk")
        );
        tasks.start("panics", async { panic!("a bug") });
        assert!(
            tasks
                .first_end()
                .await
                .to_string()
                .contains("`panics` ended")
        );
    }
}
