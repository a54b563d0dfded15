//! Turns the current program into the first process of namespaces of its own.
//!
//! ```text
//!  this program, outside ──▶ setpriv … unshare ──▶ this program again, inside (pid 1)
//!       │ dies: SIGKILL ───────────▶│ dies: SIGKILL ─────▶│ dies: the kernel kills all others
//! ```
//! Each link kills the next one, so that nothing outlives the outermost program, however it dies.
//! Files are on a tmpfs and addresses on a loopback device that go with the namespaces. Nothing here
//! may rely on clean-up code being run.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::namespaces::{MARK, mount_point, reenter};
use crate::signals::Signals;

/// What the program inside has to itself.
#[derive(Debug)]
pub(super) struct Inside {
    /// An empty directory on a tmpfs of its own.
    pub(super) directory: PathBuf,
    /// The core that the API servers have to themselves; none on a machine with a single one.
    pub(super) server_core: Option<usize>,
}

static INSIDE: OnceLock<Inside> = OnceLock::new();

/// Where the world is, once the program is inside.
pub(super) fn inside() -> Result<&'static Inside> {
    INSIDE
        .get()
        .context("a world starts only inside its namespaces: call world::enter first")
}

/// Runs `body` in namespaces of its own and returns its exit code.
///
/// Outside, this re-executes the program with the same arguments inside and waits for it; SIGINT,
/// SIGTERM and SIGHUP are passed on, and end it there. Call it first thing in `main`, before any
/// thread is started.
///
/// # Errors
/// The system does not allow it (the message says what to do), or a tool cannot be built.
pub fn enter(body: impl FnOnce() -> ExitCode) -> Result<ExitCode> {
    if is_inside() {
        settle()?;
        return Ok(body());
    }
    let command = reenter(std::env::args_os().skip(1))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(supervise(command)).map(exit_code)
}

/// Whether this is the program inside. What wants all cores or the network comes before.
#[must_use]
pub fn is_inside() -> bool {
    std::env::var_os(MARK).is_some() && std::process::id() == 1
}

/// Makes the namespaces habitable: a tmpfs, a loopback device that is up, and an end to it all when
/// asked to, since the first process of a namespace ignores signals that it has no handler for.
pub(super) fn settle() -> Result<()> {
    if INSIDE.get().is_some() {
        return Ok(());
    }
    let directory = mount_point()?;
    run(
        "mount",
        &[
            "-t",
            "tmpfs",
            "-o",
            "mode=0700",
            "weir-world",
            &directory.to_string_lossy(),
        ],
    )?;
    run("ip", &["link", "set", "lo", "up"])?;
    let core = std::env::var(MARK).unwrap_or_default();
    let server_core = if core.is_empty() {
        None
    } else {
        Some(core.parse()?)
    };
    if server_core.is_none() {
        let warning = "this machine has one core: API servers and clients share it, so that \
                       latencies are those of both\n";
        drop(std::io::stderr().write_all(warning.as_bytes()));
    }
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(end_on_signal)?;
    INSIDE
        .set(Inside {
            directory,
            server_core,
        })
        .map_err(|_| anyhow!("entered twice"))
}

fn end_on_signal() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let code = runtime.block_on(async {
        let signal = Signals::listen()?.next().await;
        anyhow::Ok(128 + signal.as_raw())
    })?;
    std::process::exit(code)
}

/// Runs a program to its end; it must succeed.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| {
            format!("starting {program}: it must be installed (iproute2, util-linux, mount)")
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} {}: {said}",
        arguments.join(" ")
    );
    Ok(())
}

/// Waits for the program inside and passes signals on to it.
async fn supervise(command: Command) -> Result<ExitStatus> {
    let mut signals = Signals::listen()?;
    let mut child = tokio::process::Command::from(command)
        .spawn()
        .context("starting setpriv")?;
    let unshare = child.id().context("the program inside has ended already")?;
    loop {
        let caught = tokio::select! {
            status = child.wait() => return status.context("waiting for the program inside"),
            signal = signals.next() => signal,
        };
        pass_on(unshare, caught)?;
    }
}

/// `unshare` itself blocks these signals while it waits for its child, the program inside.
fn pass_on(unshare: u32, signal: Signal) -> Result<()> {
    let children = format!("/proc/{unshare}/task/{unshare}/children");
    let children = std::fs::read_to_string(children).unwrap_or_default();
    let child = children
        .split_whitespace()
        .next()
        .and_then(|pid| pid.parse().ok());
    match child.and_then(Pid::from_raw) {
        Some(pid) => kill_process(pid, signal).context("passing a signal on"),
        // It has not come that far, or this kernel does not tell: all goes with unshare.
        None => kill_process(pid_of(unshare)?, Signal::KILL).context("ending the program inside"),
    }
}

/// A process id as the kernel's interface wants it.
pub(super) fn pid_of(id: u32) -> Result<Pid> {
    i32::try_from(id)
        .ok()
        .and_then(Pid::from_raw)
        .with_context(|| format!("{id} is no process id"))
}

/// A program that was killed by a signal ends as shells report it.
fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
