//! Turns the current program into the first process of namespaces of its own.
//!
//! ```text
//!  this program, outside ──▶ setpriv … unshare ──▶ this program again, inside (pid 1)
//!       │ dies: SIGKILL ───────────▶│ dies: SIGKILL ─────▶│ dies: the kernel kills all others
//! ```
//! Each link kills the next one, so that nothing outlives the outermost program, however it dies.
//! Files are on a tmpfs and addresses on a loopback device that go with the namespaces. Nothing here
//! may rely on clean-up code being run.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use super::guidance;
use crate::tools::{self, Tool};

/// Set for the program inside, to the core of the API servers (or nothing). Programs that it starts
/// inherit it, hence the look at the process id too.
const MARK: &str = "WEIR_WORLD";

/// Longer than any test takes on two cores: only a hung one is still running then.
const TEST_LIMIT: Duration = Duration::from_mins(15);

/// The namespaces of a world. Mounts are private, and `--kill-child` is the second link of the chain
/// above.
const NAMESPACES: &str = "--net --pid --mount --fork --mount-proc --kill-child";
/// Needs no privilege; root inside is whoever one is outside.
const AS_ANY_USER: &str = "--user --map-root-user";

/// What the program inside has to itself.
#[derive(Debug)]
pub(super) struct Inside {
    /// An empty directory on a tmpfs of its own.
    pub(super) directory: PathBuf,
    /// The core that the API servers have to themselves; none on a machine with a single one.
    pub(super) server_core: Option<usize>,
}

static INSIDE: OnceLock<Inside> = OnceLock::new();

/// Worlds of one test binary would measure each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

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
    let command = reenter(std::env::args_os().skip(1).collect())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(supervise(command)).map(exit_code)
}

/// Runs a test's body inside; use it through [`inside!`](crate::inside).
///
/// # Errors
/// What the body failed with; outside, the output of the test inside.
pub fn run_test(path: &str, body: impl Future<Output = Result<()>>) -> Result<()> {
    if is_inside() {
        settle()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        return runtime.block_on(async {
            let ended = tokio::time::timeout(TEST_LIMIT, body).await;
            ended.unwrap_or_else(|_| bail!("the test hangs: not done after {TEST_LIMIT:?}"))
        });
    }
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // The harness names tests without the crate, and the macro names a function inside the test.
    let name = path.split("::").skip(1).collect::<Vec<_>>().join("::");
    let arguments = [
        &name,
        "--exact",
        "--nocapture",
        "--include-ignored",
        "--test-threads=1",
    ];
    let mut command = reenter(arguments.map(OsString::from).to_vec())?;
    if std::env::args().any(|argument| argument == "--nocapture") {
        let status = command.status().context("running the test inside")?;
        return if status.success() {
            Ok(())
        } else {
            Err(anyhow!("failed inside: {status}"))
        };
    }
    let output = command.output().context("running the test inside")?;
    if output.status.success() {
        return Ok(());
    }
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    bail!("failed inside: {}; its output:\n{said}", output.status)
}

/// Runs the body of a `#[test]` inside namespaces of its own, by running the same test again there.
///
/// ```ignore
/// #[test]
/// fn nodes_become_ready() -> anyhow::Result<()> {
///     inside!(async { World::start(&spec).await?; Ok(()) })
/// }
/// ```
#[macro_export]
macro_rules! inside {
    ($body:expr) => {{
        fn here() {}
        let path = std::any::type_name_of_val(&here);
        $crate::world::run_test(path.trim_end_matches("::here"), $body)
    }};
}

fn is_inside() -> bool {
    std::env::var_os(MARK).is_some() && std::process::id() == 1
}

/// This program with `arguments`, to be started inside. Whatever takes minutes or needs all cores
/// or the network is done before.
fn reenter(arguments: Vec<OsString>) -> Result<Command> {
    let namespaces = permitted_namespaces()?;
    for tool in Tool::WORLD {
        tool.ensure()?;
    }
    std::fs::create_dir_all(mount_point()?).context("creating the mount point of worlds")?;
    let cores = Cores::of_this_process()?;
    let mut command = Command::new("setpriv");
    // A parent that died before the death signal was armed will never send it.
    command
        .args([
            "--pdeathsig",
            "KILL",
            "--",
            "sh",
            "-c",
            r#"[ "$PPID" = "$0" ] && exec "$@""#,
        ])
        .arg(std::process::id().to_string());
    if cores.server.is_some() {
        command.args(["taskset", "--cpu-list", &cores.others]);
    }
    command
        .arg("unshare")
        .args(namespaces)
        .arg("--")
        .arg(std::env::current_exe().context("finding this program")?)
        .args(arguments)
        .env(
            MARK,
            cores
                .server
                .map(|core| core.to_string())
                .unwrap_or_default(),
        );
    Ok(command)
}

/// The first way into namespaces that this system allows.
fn permitted_namespaces() -> Result<Vec<&'static str>> {
    if !cfg!(target_os = "linux") {
        bail!(guidance::NOT_LINUX);
    }
    let as_any_user: Vec<_> = [AS_ANY_USER, NAMESPACES]
        .into_iter()
        .flat_map(words)
        .collect();
    let as_root: Vec<_> = words(NAMESPACES).collect();
    let mut refusals = Vec::new();
    for flags in [as_any_user, as_root] {
        let tried = Command::new("unshare")
            .args(&flags)
            .args(["--", "true"])
            .output();
        match tried {
            Ok(output) if output.status.success() => return Ok(flags),
            Ok(output) => refusals.push(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => bail!(guidance::no_unshare(&error)),
        }
    }
    bail!(guidance::forbidden(&refusals))
}

fn words(flags: &'static str) -> impl Iterator<Item = &'static str> {
    flags.split_whitespace()
}

fn mount_point() -> Result<PathBuf> {
    Ok(tools::cache_directory()?.join("world"))
}

/// How this process' cores are shared between the API servers and everything else.
struct Cores {
    server: Option<usize>,
    others: String,
}

impl Cores {
    fn of_this_process() -> Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let list = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        Self::shared(
            list.context("/proc/self/status has no Cpus_allowed_list")?
                .trim(),
        )
    }

    /// The first core of a list such as `0-3,8` for the API servers, the rest for the others.
    fn shared(list: &str) -> Result<Self> {
        let number = |text: &str| text.parse::<usize>().context("reading the list of cores");
        let (first, rest) = list.split_once(',').unwrap_or((list, ""));
        let (server, rest_of_first) = match first.split_once('-') {
            Some((low, high)) => (number(low)?, format!("{}-{high}", number(low)? + 1)),
            None => (number(first)?, String::new()),
        };
        let others = [rest_of_first.as_str(), rest];
        let others: Vec<_> = others.into_iter().filter(|part| !part.is_empty()).collect();
        let server = (!others.is_empty()).then_some(server);
        Ok(Self {
            server,
            others: others.join(","),
        })
    }
}

/// Makes the namespaces habitable: a tmpfs, a loopback device that is up, and an end to it all when
/// asked to, since the first process of a namespace ignores signals that it has no handler for.
fn settle() -> Result<()> {
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
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let signal = tokio::select! {
            _ = interrupt.recv() => Signal::INT,
            _ = terminate.recv() => Signal::TERM,
            _ = hang_up.recv() => Signal::HUP,
        };
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
            format!("starting {program}: it must be installed (util-linux, iproute2)")
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "{program} {}: {said}",
        arguments.join(" ")
    );
    Ok(())
}

/// Waits for the program inside and passes signals on to it.
async fn supervise(command: Command) -> Result<ExitStatus> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut child = tokio::process::Command::from(command)
        .spawn()
        .context("starting setpriv")?;
    let unshare = child.id().context("the program inside has ended already")?;
    loop {
        let caught = tokio::select! {
            status = child.wait() => return status.context("waiting for the program inside"),
            _ = interrupt.recv() => Signal::INT,
            _ = terminate.recv() => Signal::TERM,
            _ = hang_up.recv() => Signal::HUP,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_core_is_the_servers_and_the_rest_the_others() {
        for (list, server, others) in [
            ("0", None, ""),
            ("5", None, ""),
            ("0-1", Some(0), "1-1"),
            ("0-3", Some(0), "1-3"),
            ("2,4-7", Some(2), "4-7"),
            ("2-3,8", Some(2), "3-3,8"),
        ] {
            let cores = Cores::shared(list).expect("a list as the kernel writes it");
            assert_eq!(
                (cores.server, cores.others.as_str()),
                (server, others),
                "{list}"
            );
        }
    }
}
