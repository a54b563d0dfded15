//! Nothing of a world is left behind, however the program that started it ends.
//!
//! Each test runs this test binary again, with [`a_world_that_stays`] as its only test, and ends it
//! from outside. What belongs to that world is known by a token in its programs' environment.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use weir_e2e::inside;
use weir_e2e::tools::cache_directory;
use weir_e2e::world::{World, WorldSpec};

/// The test that the others start, as the harness names it.
const INNER: &str = "world_ends::a_world_that_stays";

const TOKEN: &str = "WEIR_TEST_TOKEN";
const THEN_PANIC: &str = "WEIR_TEST_PANIC";

/// etcd, API server, controller-manager, scheduler, kwok, and the test inside.
const PROGRAMS: usize = 6;

/// A world is up after seconds; a machine that is busy with other worlds takes longer.
const SAYS_LIMIT: Duration = Duration::from_mins(2);

/// The kernel takes milliseconds; a machine that is busy with other things takes longer.
const GONE_LIMIT: Duration = Duration::from_secs(20);

#[test]
#[ignore = "not a test of its own: the others start it"]
fn a_world_that_stays() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: 2,
            ..WorldSpec::bare()
        })
        .await?;
        assert!(
            std::env::var_os(THEN_PANIC).is_none(),
            "as the test wants it"
        );
        println!("up");
        tokio::time::sleep(Duration::from_mins(10)).await;
        world.check()
    })
}

#[test]
fn nothing_is_left_after_a_kill_of_the_outermost_program() -> Result<()> {
    let mut world = Ending::start("killed")?;
    kill_process(world.pid()?, Signal::KILL)?;
    world.is_gone()
}

#[test]
fn nothing_is_left_after_a_kill_of_the_program_inside() -> Result<()> {
    let mut world = Ending::start("killed-inside")?;
    let inside = world
        .processes()?
        .into_iter()
        .find(|pid| is_first_of_a_namespace(*pid));
    let inside = inside
        .and_then(Pid::from_raw)
        .context("the program inside")?;
    kill_process(inside, Signal::KILL)?;
    ensure!(
        !world.child.wait()?.success(),
        "a killed test must not pass"
    );
    world.is_gone()
}

#[test]
fn nothing_is_left_after_ctrl_c() -> Result<()> {
    let mut world = Ending::start("interrupted")?;
    // A terminal sends it to the whole foreground group.
    kill_process_group(world.pid()?, Signal::INT)?;
    world.is_gone()
}

#[test]
fn nothing_is_left_after_a_panic() -> Result<()> {
    let mut command = command("panicked");
    let child = command
        .env(THEN_PANIC, "1")
        .stderr(Stdio::piped())
        .spawn()?;
    let token = token("panicked");
    let mut world = Ending { token, child };
    let output = world.child.stderr.take().context("its standard error")?;
    until_says(output, |line| line.contains("as the test wants it"))?;
    ensure!(
        !world.child.wait()?.success(),
        "a test that panics inside must fail outside"
    );
    world.is_gone()
}

#[test]
fn the_lab_ends_a_world_when_it_is_told_to() -> Result<()> {
    for (name, signal) in [
        ("lab-interrupted", Signal::INT),
        ("lab-terminated", Signal::TERM),
    ] {
        let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"));
        lab.args(["world", "--nodes=2", "--pods=0", "--churn=0"]);
        let mut world = Ending::start_command(lab, name, "\"$SHELL\"")?;
        // To the outermost program alone, as a supervisor does it.
        kill_process(world.pid()?, signal)?;
        assert_eq!(world.child.wait()?.code(), Some(128 + signal.as_raw()));
        world.is_gone()?;
    }
    Ok(())
}

/// A world in another process, on its way out.
struct Ending {
    token: String,
    child: Child,
}

impl Ending {
    /// Starts this test binary's world and waits until its programs run.
    fn start(name: &str) -> Result<Self> {
        Self::start_command(command(name), name, "up")
    }

    /// Starts a world and waits until it prints a line that ends with `up`.
    fn start_command(mut command: Command, name: &str, up: &str) -> Result<Self> {
        let quiet = command
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let child = quiet
            .env(TOKEN, token(name))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut world = Self {
            token: token(name),
            child,
        };
        let output = world.child.stdout.take().context("its standard output")?;
        until_says(output, |line| line.ends_with(up))?;
        let found = world.processes()?.len();
        ensure!(
            found >= PROGRAMS,
            "only {found} of at least {PROGRAMS} programs are found"
        );
        Ok(world)
    }

    fn pid(&self) -> Result<Pid> {
        let id = i32::try_from(self.child.id())?;
        Pid::from_raw(id).context("a process id")
    }

    /// Every process, in whichever namespace, that has the token in its environment.
    fn processes(&self) -> Result<Vec<i32>> {
        let mark = format!("{TOKEN}={}", self.token);
        let all =
            fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let of_world = all
            .filter_map(|name| name.parse::<i32>().ok())
            .filter(|pid| {
                let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environment
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == mark.as_bytes())
            });
        Ok(of_world.collect())
    }

    fn is_gone(&mut self) -> Result<()> {
        let started = Instant::now();
        self.child.wait()?;
        loop {
            let left = self.processes()?;
            if left.is_empty() {
                break;
            }
            ensure!(started.elapsed() < GONE_LIMIT, "still running: {left:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let files: Vec<_> = fs::read_dir(cache_directory()?.join("world"))?.collect();
        ensure!(files.is_empty(), "files are left: {files:?}");
        let mounts = fs::read_to_string("/proc/mounts")?;
        ensure!(!mounts.contains("weir-world"), "a mount is left:\n{mounts}");
        let addresses = Command::new("ip").args(["-4", "address"]).output()?;
        let addresses = String::from_utf8(addresses.stdout)?;
        ensure!(
            !addresses.contains("172.31.255."),
            "an address is left:\n{addresses}"
        );
        Ok(())
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // A test that failed leaves what it complains about; the next ones must not suffer from it.
        drop(self.child.kill());
        drop(self.child.wait());
        for pid in self
            .processes()
            .unwrap_or_default()
            .into_iter()
            .filter_map(Pid::from_raw)
        {
            kill_process(pid, Signal::KILL).ok();
        }
    }
}

/// Waits for a line that a world prints; read beside the test, which a world that says nothing more
/// must not hang.
fn until_says(output: impl Read + Send + 'static, is: impl Fn(&str) -> bool) -> Result<()> {
    let (said, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody listens any more once the line has come.
            if said.send(line).is_err() {
                break;
            }
        }
    });
    let started = Instant::now();
    loop {
        let left = SAYS_LIMIT.saturating_sub(started.elapsed());
        let line = lines.recv_timeout(left);
        if is(&line.context("it ended, or said nothing more, before it said what is waited for")?) {
            return Ok(());
        }
    }
}

fn command(name: &str) -> Command {
    let this = std::env::current_exe().expect("the test binary has a path");
    let mut command = Command::new(this);
    command
        .args(["--exact", INNER, "--ignored", "--nocapture"])
        .env(TOKEN, token(name))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    command
}

fn token(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

/// The last number of `NSpid` is the process' id in the innermost namespace that it is in.
fn is_first_of_a_namespace(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .unwrap_or_default();
    ids.split_whitespace().skip(1).last() == Some("1")
}
