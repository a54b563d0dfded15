//! Lets a `#[test]` run inside namespaces of its own.

use std::ffi::OsString;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::enter::{is_inside, settle};
use super::namespaces::reenter;

/// Three times what the longest test takes beside two others on two cores: only a hung one is still
/// running then.
const LIMIT: Duration = Duration::from_mins(10);

/// What a test that passed inside exits with. The harness exits with 0 also when it found no test of
/// that name, which would pass unnoticed.
const PASSED: i32 = 42;

/// Worlds beside each other, however many tests the harness runs at once: the API servers of all of
/// them share one core.
const MOST_BESIDE_EACH_OTHER: usize = 3;

/// How many more worlds this test binary may start now.
static ROOM: Mutex<usize> = Mutex::new(MOST_BESIDE_EACH_OTHER);
static ROOM_WAS_MADE: Condvar = Condvar::new();

/// What a test's world may have beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Worlds of other tests: nothing is judged by how long it takes.
    Others,
    /// No other: what is measured would be theirs too.
    Nobody,
}

/// Room for one world; others may have it when this is dropped.
struct Room(usize);

impl Room {
    /// Waits until there is enough.
    fn take(beside: Beside) -> Self {
        let wanted = match beside {
            Beside::Others => 1,
            Beside::Nobody => MOST_BESIDE_EACH_OTHER,
        };
        let room = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = ROOM_WAS_MADE.wait_while(room, |room| *room < wanted);
        *enough.unwrap_or_else(PoisonError::into_inner) -= wanted;
        Self(wanted)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        *ROOM.lock().unwrap_or_else(PoisonError::into_inner) += self.0;
        ROOM_WAS_MADE.notify_all();
    }
}

/// Runs a test's body inside; use it through [`inside!`](crate::inside).
///
/// # Errors
/// What the body failed with; outside, the output of the test inside.
pub fn run_test(path: &str, beside: Beside, body: impl Future<Output = Result<()>>) -> Result<()> {
    if is_inside() {
        settle()?;
        run_inside(body)?;
        std::process::exit(PASSED);
    }
    let _room = Room::take(beside);
    // The harness names tests without the crate.
    let name = path.split("::").skip(1).collect::<Vec<_>>().join("::");
    let arguments = [
        &name,
        "--exact",
        "--nocapture",
        "--include-ignored",
        "--test-threads=1",
    ];
    let mut command = reenter(arguments.into_iter().map(OsString::from))?;
    let shown = std::env::args().any(|argument| argument == "--nocapture");
    let (status, said) = if shown {
        (
            command.status().context("running the test inside")?,
            "shown above".to_owned(),
        )
    } else {
        let output = command.output().context("running the test inside")?;
        let said = [output.stdout, output.stderr].concat();
        (output.status, String::from_utf8_lossy(&said).into_owned())
    };
    ensure!(
        status.code() == Some(PASSED),
        "{name} failed inside ({status}); its output:\n{said}"
    );
    Ok(())
}

fn run_inside(body: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let ended = tokio::time::timeout(LIMIT, body).await;
        ended.unwrap_or_else(|_| bail!("the test hangs: not done after {LIMIT:?}"))
    })
}

/// Runs the body of a `#[test]` inside namespaces of its own, by running the same test again there;
/// with [`Beside::Nobody`] before the body, while no other world of the test binary runs.
///
/// ```ignore
/// #[test]
/// fn nodes_become_ready() -> anyhow::Result<()> {
///     inside!(async { World::start(&spec).await?; Ok(()) })
/// }
/// ```
#[macro_export]
macro_rules! inside {
    ($body:expr) => {
        $crate::inside!($crate::world::Beside::Others, $body)
    };
    ($beside:expr, $body:expr) => {{
        fn here() {}
        let path = std::any::type_name_of_val(&here);
        $crate::world::run_test(path.trim_end_matches("::here"), $beside, $body)
    }};
}
