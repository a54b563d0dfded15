//! One program of a world: started, watched through `/proc`, paused, killed, started again.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, kill_process};

use super::enter::pid_of;

/// How a program is started, each time that it is.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    /// What people call it; also its log's name.
    pub(super) name: String,
    /// The words of the command line, the program first.
    pub(super) words: Vec<String>,
    /// Added to this process' own environment.
    pub(super) environment: Vec<(String, String)>,
}

/// A program of the world. It is killed when this is dropped.
#[derive(Debug)]
pub struct Program {
    launch: Launch,
    log: PathBuf,
    child: Mutex<Child>,
}

impl Program {
    /// Starts it; its output goes to `<name>.log` in `directory`.
    pub(super) fn start(launch: Launch, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{}.log", launch.name));
        let child = Mutex::new(spawn(&launch, &log)?);
        Ok(Self { launch, log, child })
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.launch.name
    }

    /// Its process id, inside.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// The file with everything it has printed, in all its lives.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it runs (a paused one does).
    pub fn is_running(&self) -> Result<bool> {
        Ok(self.ended()?.is_none())
    }

    /// What it ended with, if it has.
    pub fn ended(&self) -> Result<Option<ExitStatus>> {
        self.child()
            .try_wait()
            .with_context(|| self.about("looking at"))
    }

    /// An error with the end of the log, unless it runs.
    pub fn check(&self) -> Result<()> {
        if let Some(status) = self.child().try_wait()? {
            bail!(
                "{} has ended ({status}); the end of its log:\n{}",
                self.name(),
                self.log_end()
            );
        }
        Ok(())
    }

    /// Stops it dead where it is (SIGSTOP): it holds its connections and answers nothing.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a paused one go on.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&self) -> Result<()> {
        let mut child = self.child();
        child.kill().with_context(|| self.about("killing"))?;
        child.wait().with_context(|| self.about("waiting for"))?;
        Ok(())
    }

    /// Asks it to end (SIGTERM) and returns how long it took; kills it after `limit`.
    ///
    /// # Errors
    /// It did not end by itself within `limit`.
    pub async fn stop(&self, limit: Duration) -> Result<Duration> {
        let started = Instant::now();
        self.signal(Signal::TERM)?;
        while self.is_running()? {
            if started.elapsed() > limit {
                self.kill()?;
                bail!(
                    "{} did not end within {limit:?} of SIGTERM: killed",
                    self.name()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(started.elapsed())
    }

    /// Starts it again, after killing it if it still runs.
    pub fn restart(&self) -> Result<()> {
        self.kill()?;
        *self.child() = spawn(&self.launch, &self.log)?;
        Ok(())
    }

    /// Processor time it has used since it was last started, in seconds.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let path = format!("/proc/{}/stat", self.pid());
        let stat = std::fs::read_to_string(&path).with_context(|| self.about("reading"))?;
        // Fields 14 and 15, user and system time; the name in field 2 may contain spaces.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse::<u64>);
        let ticks = ticks
            .sum::<Result<u64, _>>()
            .with_context(|| self.about("reading"))?;
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// Memory that it occupies now, in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.status_bytes("VmRSS:")
    }

    /// The most memory that it has occupied since it was last started, in bytes.
    pub fn peak_resident_bytes(&self) -> Result<u64> {
        self.status_bytes("VmHWM:")
    }

    /// The last lines that it printed.
    #[must_use]
    pub fn log_end(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn status_bytes(&self, field: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(&path).with_context(|| self.about("reading"))?;
        let kibibytes = status.lines().find_map(|line| {
            line.strip_prefix(field)?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        });
        kibibytes
            .map(|value: u64| value * 1024)
            .with_context(|| self.about("no memory figure of"))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(pid_of(self.pid())?, signal).with_context(|| self.about("signalling"))
    }

    fn about(&self, doing: &str) -> String {
        format!("{doing} {}", self.launch.name)
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that is gone already is what is wanted.
        drop(self.kill());
    }
}

fn spawn(launch: &Launch, log: &Path) -> Result<Child> {
    let log: File = OpenOptions::new().create(true).append(true).open(log)?;
    let (program, arguments) = launch
        .words
        .split_first()
        .context("an empty command line")?;
    Command::new(program)
        .args(arguments)
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        // Ctrl-C in a terminal is for the world's owner, who then ends everything.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {} ({program})", launch.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(directory: &Path) -> Program {
        let words = ["sh", "-c", "echo up; exec sleep 60"]
            .map(str::to_owned)
            .to_vec();
        let launch = Launch {
            name: "sleeper".into(),
            words,
            environment: Vec::new(),
        };
        Program::start(launch, directory).expect("sh starts")
    }

    #[test]
    fn a_program_is_killed_and_started_again() -> Result<()> {
        let directory = std::env::temp_dir().join(format!("weir-process-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let program = sleeper(&directory);
        let first = program.pid();
        program.check()?;
        assert!(program.resident_bytes()? > 0 && program.cpu_seconds()? < 5.0);
        program.pause()?;
        program.resume()?;
        program.kill()?;
        let message = program.check().expect_err("it is dead").to_string();
        assert!(message.contains("sleeper has ended"), "{message}");
        program.restart()?;
        assert!(program.is_running()? && program.pid() != first);
        drop(program);
        std::fs::remove_dir_all(&directory)?;
        Ok(())
    }
}
