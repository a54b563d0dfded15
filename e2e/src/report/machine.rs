//! Where an experiment was run: enough to compare figures, and nothing that names the machine.

use std::{fmt, fs, path::Path, process::Command};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// The processor's model.
    pub cpu: String,
    /// Cores of it.
    pub cores: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// This machine, as far as `/proc` says.
    #[must_use]
    pub fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpus = read("/proc/cpuinfo");
        let memory_kib: u64 = field(&read("/proc/meminfo"), "MemTotal")
            .and_then(|value| value.split_whitespace().next()?.parse().ok())
            .unwrap_or_default();
        let processors = cpus
            .lines()
            .filter(|line| line.starts_with("processor"))
            .count();
        Self {
            cpu: field(&cpus, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: u32::try_from(processors).unwrap_or(u32::MAX),
            memory_mib: memory_kib / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = self.memory_mib.div_ceil(1024);
        write!(
            out,
            "{} × {}, {gib} GiB, Linux {}",
            self.cores, self.cpu, self.kernel
        )
    }
}

fn field(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The repository's commit, with `-dirty` if files were changed, other than proofs: one is written
/// after the other. None where git does not say.
#[must_use]
pub fn commit(repository: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        let output = git.args(arguments).current_dir(repository).output().ok()?;
        let said = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        output.status.success().then_some(said)
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&[
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        ":/",
        ":(top,exclude)docs/proof",
    ])?;
    let mark = if changed.is_empty() { "" } else { "-dirty" };
    Some(format!("{commit}{mark}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_beginning() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC\nMemTotal:       24 kB\n";
        assert_eq!(field(text, "model name").as_deref(), Some("AMD EPYC"));
        assert_eq!(field(text, "MemTotal").as_deref(), Some("24 kB"));
        assert_eq!(field(text, "nothing"), None);
    }

    #[test]
    fn this_machine_has_a_core() {
        assert!(Machine::here().cores > 0);
    }
}
