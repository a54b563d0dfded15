//! The docker engine that kindlab starts where none answers: whose it is, also after a run that did not
//! come to its end.
//!
//! ```text
//!  none answers ─▶ mark: nothing ─▶ kindlab up ─▶ mark: its process ─▶ engine-stop ─▶ no mark
//!                       └── killed in between: whose it is cannot be known
//! ```

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::origin::blocking;

/// What an engine's process is called.
const PROCESS: &str = "dockerd";

/// An engine, and what is to become of it.
pub(super) struct Engine {
    /// A file of ours that says which one was started from here.
    mark: PathBuf,
    /// The file of kindlab's that says which one it has started.
    pid: PathBuf,
    ours: bool,
}

/// Whose an engine is that answers.
#[derive(Debug, PartialEq, Eq)]
enum Whose {
    /// Somebody's, who may still want it.
    Theirs,
    /// An earlier run of ours has started and left it.
    Ours,
    /// An earlier run of ours was killed while it started one, which this may be.
    Unknown,
}

impl Engine {
    /// The one that there is before kindlab is asked for a cluster, if one `answers`; else the one that
    /// kindlab is going to start.
    pub(super) fn before(directory: &Path, answers: bool) -> Result<Self> {
        let engine = Self {
            mark: directory.join("engine"),
            pid: home()?.join("dockerd.pid"),
            ours: !answers,
        };
        if answers {
            return Ok(engine.that_answers(Path::new("/proc")));
        }
        fs::write(&engine.mark, "").context("marking the docker engine as ours")?;
        Ok(engine)
    }

    fn that_answers(mut self, processes: &Path) -> Self {
        match self.whose(processes) {
            Whose::Theirs => {}
            Whose::Ours => self.ours = true,
            Whose::Unknown => {
                let warning = "kind: a docker engine runs that an earlier run may have left, which was killed \
                               while it started one; it is left alone. `kindlab engine-stop` ends it\n";
                drop(std::io::stderr().write_all(warning.as_bytes()));
            }
        }
        self
    }

    fn whose(&self, processes: &Path) -> Whose {
        let running = fs::read_to_string(&self.pid).unwrap_or_default();
        let running = running.trim();
        let command = fs::read_to_string(processes.join(running).join("comm"));
        let is_kindlabs = !running.is_empty() && command.is_ok_and(|name| name.trim() == PROCESS);
        match fs::read_to_string(&self.mark) {
            Ok(mark) if is_kindlabs && mark.trim() == running => Whose::Ours,
            Ok(mark) if is_kindlabs && mark.trim().is_empty() => Whose::Unknown,
            _ => Whose::Theirs,
        }
    }

    /// Notes which one was started, now that it was.
    pub(super) fn started(&self) -> Result<()> {
        if !self.ours {
            return Ok(());
        }
        match fs::copy(&self.pid, &self.mark) {
            // It was somebody else after all who started one meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            copied => copied
                .map(drop)
                .context("marking the docker engine as ours"),
        }
    }

    /// Stops it by way of kindlab, if it was started from here, now or earlier.
    pub(super) fn stop(&self, script: &Path) {
        if self.ours {
            blocking(script, &["engine-stop"]);
            drop(fs::remove_file(&self.mark));
        }
    }
}

/// Where kindlab keeps what it builds, and its engine's process id.
fn home() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("KINDLAB_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache/kindlab")))
        .context("HOME is not set: set it, kindlab builds below it")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An engine with these files; its process 7 is called so.
    fn whose(mark: Option<&str>, pid: Option<&str>, command: &str) -> Result<Whose> {
        let name = format!(
            "weir-engine-{}-{mark:?}-{pid:?}-{command}",
            std::process::id()
        );
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(directory.join("7"))?;
        fs::write(directory.join("7/comm"), format!("{command}\n"))?;
        let engine = Engine {
            mark: directory.join("engine"),
            pid: directory.join("dockerd.pid"),
            ours: false,
        };
        for (path, text) in [(&engine.mark, mark), (&engine.pid, pid)] {
            if let Some(text) = text {
                fs::write(path, text)?;
            }
        }
        let whose = engine.whose(&directory);
        let ours = engine.that_answers(&directory).ours;
        assert_eq!(ours, whose == Whose::Ours);
        fs::remove_dir_all(&directory)?;
        Ok(whose)
    }

    #[test]
    fn an_engine_that_a_run_left_is_known_by_its_mark_while_it_is_the_same() -> Result<()> {
        for (mark, pid, command, expected) in [
            (Some("7\n"), Some("7\n"), "dockerd", Whose::Ours),
            (Some(""), Some("7\n"), "dockerd", Whose::Unknown),
            (None, Some("7\n"), "dockerd", Whose::Theirs),
            (Some("6\n"), Some("7\n"), "dockerd", Whose::Theirs),
            // It has ended, and its number went to another; what answers is not kindlab's.
            (Some("7\n"), Some("7\n"), "sleep", Whose::Theirs),
            (Some(""), None, "dockerd", Whose::Theirs),
        ] {
            assert_eq!(
                whose(mark, pid, command)?,
                expected,
                "{mark:?} {pid:?} {command}"
            );
        }
        Ok(())
    }
}
