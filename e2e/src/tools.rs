//! Turns the Go modules pinned under `e2e/tools/` into programs that a world can start.
//!
//! A tool is built on first use and kept in the user's cache under a name that contains the hash of
//! everything that decides its content, so that another pin is another directory and nothing is ever
//! rebuilt in place. It must not fetch anything by other means than the Go command.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Strip symbols, and tell Kubernetes' programs their version: without it they call themselves
/// v0.0.0-master, which clients that look at the server's version do not accept.
const KUBERNETES_FLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=36";
const PLAIN_FLAGS: &str = "-s -w";

/// A directory under `e2e/tools/`, whose `go.mod` pins what is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// kube-apiserver, kube-controller-manager, kube-scheduler and kubectl.
    Kubernetes,
    /// The store behind the API servers.
    Etcd,
    /// Plays the kubelets.
    Kwok,
    /// DNS.
    Coredns,
    /// Installs the chart.
    Helm,
    /// The oldest that the chart is for.
    OldHelm,
    /// Runs the chart's suites.
    HelmUnittest,
    /// Compares what the chart renders with what API servers of a version know.
    Kubeconform,
    /// Says what the chart could do better.
    KubeScore,
    /// Runs the tests of alerts.
    Promtool,
}

impl Tool {
    const ALL: [Self; 10] = [
        Self::Etcd,
        Self::Kwok,
        Self::Kubernetes,
        Self::Coredns,
        Self::Helm,
        Self::OldHelm,
        Self::HelmUnittest,
        Self::Kubeconform,
        Self::KubeScore,
        Self::Promtool,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Etcd => "etcd",
            Self::Kwok => "kwok",
            Self::Coredns => "coredns",
            Self::Helm => "helm",
            Self::OldHelm => "helm3",
            Self::HelmUnittest => "helm-unittest",
            Self::Kubeconform => "kubeconform",
            Self::KubeScore => "kube-score",
            Self::Promtool => "promtool",
        }
    }

    fn link_flags(self) -> &'static str {
        match self {
            Self::Kubernetes => KUBERNETES_FLAGS,
            Self::Etcd
            | Self::Kwok
            | Self::Coredns
            | Self::Helm
            | Self::OldHelm
            | Self::HelmUnittest
            | Self::Kubeconform
            | Self::KubeScore
            | Self::Promtool => PLAIN_FLAGS,
        }
    }

    /// Build tags: of all that Prometheus finds its targets with, clouds' SDKs among it, promtool needs
    /// nothing to test rules, and it takes minutes to build.
    const fn tags(self) -> &'static str {
        match self {
            Self::Promtool => "remove_all_sd",
            Self::Kubernetes
            | Self::Etcd
            | Self::Kwok
            | Self::Coredns
            | Self::Helm
            | Self::OldHelm
            | Self::HelmUnittest
            | Self::Kubeconform
            | Self::KubeScore => "",
        }
    }

    fn module(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tools")
            .join(self.name())
    }

    /// Builds the tool unless the cache has it, and says on standard error what it is doing.
    ///
    /// Safe against several builders at once: the second waits for the first and uses its work.
    ///
    /// # Errors
    /// No Go command, a failed build, or no cache directory that can be written to.
    pub fn ensure(self) -> Result<PathBuf> {
        let wanted = self.cached()?;
        if wanted.is_dir() {
            return Ok(wanted);
        }
        let cache = cache_directory()?;
        fs::create_dir_all(&cache).with_context(|| format!("creating {}", cache.display()))?;
        let lock = File::create(cache.join(format!("{}.lock", self.name())))
            .context("creating the lock that keeps two builders apart")?;
        if lock.try_lock().is_err() {
            say(&format!(
                "waiting for another build of {} to end",
                self.name()
            ));
            lock.lock().context("waiting for another builder")?;
        }
        if !wanted.is_dir() {
            self.build(&wanted)?;
        }
        Ok(wanted)
    }

    /// Where the finished programs are, whether they have been built or not.
    fn cached(self) -> Result<PathBuf> {
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        for file in ["go.mod", "go.sum"] {
            let path = self.module().join(file);
            hash.update(&fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
        }
        hash.update(self.link_flags().as_bytes());
        hash.update(self.tags().as_bytes());
        let digest = hash.finish();
        let (start, _) = digest
            .as_ref()
            .split_first_chunk()
            .context("a SHA-256 is 32 bytes")?;
        let hash = u64::from_be_bytes(*start);
        Ok(cache_directory()?.join(format!("{}-{hash:016x}", self.name())))
    }

    /// Builds into a directory of its own and renames it, so that a build that was cut off is never
    /// taken for a finished one.
    fn build(self, wanted: &Path) -> Result<()> {
        let packages = self.packages()?;
        let unfinished = wanted.with_extension("building");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)
                .context("removing an earlier build that was cut off")?;
        }
        fs::create_dir_all(&unfinished)?;
        for (at, package) in packages.iter().enumerate() {
            let name = program_name(package);
            let what = format!("building {name} ({} of {})", at + 1, packages.len());
            self.go_build(package, &unfinished.join(name), &what)?;
        }
        fs::rename(&unfinished, wanted)
            .with_context(|| format!("renaming the finished build to {}", wanted.display()))
    }

    /// The packages that the `tool` directives of `go.mod` name.
    fn packages(self) -> Result<Vec<String>> {
        let path = self.module().join("go.mod");
        let packages = tool_directives(&fs::read_to_string(&path)?);
        ensure!(!packages.is_empty(), "{} names no tool", path.display());
        Ok(packages)
    }

    fn go_build(self, package: &str, output: &Path, what: &str) -> Result<()> {
        let log = output.with_extension("log");
        let child = Command::new("go")
            .arg("-C")
            .arg(self.module())
            .args([
                "build",
                "-trimpath",
                "-mod=readonly",
                "-tags",
                self.tags(),
                "-ldflags",
                self.link_flags(),
                "-o",
            ])
            .arg(output)
            .arg(package)
            .env("CGO_ENABLED", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context(
                "the Go command cannot be started: the test world builds its Kubernetes programs \
                 from source; install Go 1.26 or later and put it on PATH",
            )?;
        let status = watch(child, what)?;
        if !status.success() {
            let said = fs::read_to_string(&log).unwrap_or_default();
            bail!("{what} failed ({status}); go said:\n{said}");
        }
        fs::remove_file(&log).context("removing a build's log")
    }
}

/// The path of one program, building its tool on first use.
///
/// `KUBEBUILDER_ASSETS` is honoured: where that directory holds the program, that one is taken.
///
/// # Errors
/// As [`Tool::ensure`].
pub fn program(tool: Tool, name: &str) -> Result<PathBuf> {
    if let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS") {
        let given = Path::new(&assets).join(name);
        if given.is_file() {
            return Ok(given);
        }
    }
    let built = tool.ensure()?.join(name);
    ensure!(built.is_file(), "{} was built without {name}", tool.name());
    Ok(built)
}

/// Builds what every world needs, unless it is there. It takes minutes the first time.
///
/// # Errors
/// As [`Tool::ensure`].
pub fn prepare() -> Result<()> {
    program(Tool::Etcd, "etcd")?;
    program(Tool::Kwok, "kwok")?;
    program(Tool::Kubernetes, "kube-controller-manager").map(drop)
}

/// Builds every pinned program that tests need, so that a pin that does not build is noticed before that.
/// (kube-score is a proof's alone: a minute that CI has no use for.)
///
/// # Errors
/// As [`Tool::ensure`].
pub fn prepare_all() -> Result<()> {
    let tested = Tool::ALL
        .into_iter()
        .filter(|tool| *tool != Tool::KubeScore);
    for tool in tested {
        tool.ensure()?;
    }
    Ok(())
}

/// Where built tools and the mount point of worlds live: `$XDG_CACHE_HOME/weir-e2e`, else
/// `~/.cache/weir-e2e`.
///
/// # Errors
/// Neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn cache_directory() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
    set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")))
        .map(|cache| cache.join("weir-e2e"))
        .context("neither XDG_CACHE_HOME nor HOME is set: set one, built programs are kept there")
}

/// The packages that a `go.mod` names as tools, in both notations of the directive.
fn tool_directives(go_mod: &str) -> Vec<String> {
    let mut packages = Vec::new();
    let mut in_block = false;
    for line in go_mod.lines().map(str::trim) {
        match line {
            "tool (" => in_block = true,
            ")" => in_block = false,
            package if in_block && !package.is_empty() => packages.push(package.to_owned()),
            other => packages.extend(other.strip_prefix("tool ").map(str::to_owned)),
        }
    }
    packages
}

/// `go build` would call etcd's main package `server`, after its directory.
fn program_name(package: &str) -> &str {
    match package {
        "go.etcd.io/etcd/server/v3" => "etcd",
        other => other.rsplit('/').next().unwrap_or(other),
    }
}

/// Waits for a build and keeps telling how long it has been going on: the first one takes minutes,
/// and a person who sees nothing takes it for hung.
fn watch(mut child: Child, what: &str) -> Result<std::process::ExitStatus> {
    let started = Instant::now();
    let redraws = std::io::stderr().is_terminal();
    let mut told: Option<Duration> = None;
    loop {
        if let Some(status) = child.try_wait().context("waiting for go build")? {
            if told.is_some() {
                say(&format!("{what}: {} s", started.elapsed().as_secs()));
            }
            return Ok(status);
        }
        let elapsed = started.elapsed();
        let due = match (told, redraws) {
            (None, _) => elapsed >= Duration::from_secs(1),
            (Some(last), true) => elapsed >= last + Duration::from_secs(1),
            (Some(last), false) => elapsed >= last + Duration::from_secs(15),
        };
        if due {
            told = Some(elapsed);
            let end = if redraws { '\r' } else { '\n' };
            tell(&format!(
                "{what}: {} s (from source, on first use only; minutes on a small machine){end}",
                elapsed.as_secs()
            ));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn say(line: &str) {
    tell(&format!("{line:<100}\n"));
}

/// Progress is for people; that standard error is closed must not fail a build.
fn tell(text: &str) {
    drop(std::io::stderr().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_notations_of_the_tool_directive() {
        let go_mod = "module m\n\ntool a.b/c\n\nrequire x v1\n\ntool (\n\td.e/f\n\tg.h/i\n)\n";
        assert_eq!(tool_directives(go_mod), ["a.b/c", "d.e/f", "g.h/i"]);
    }

    #[test]
    fn every_pinned_module_names_its_programs() {
        let names = |tool: Tool| -> Vec<String> {
            let packages = tool.packages().expect("the pinned go.mod can be read");
            packages
                .iter()
                .map(|package| program_name(package).to_owned())
                .collect()
        };
        assert_eq!(
            names(Tool::Kubernetes),
            [
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubectl"
            ]
        );
        assert_eq!(names(Tool::Etcd), ["etcd"]);
        assert_eq!(names(Tool::Kwok), ["kwok"]);
        assert_eq!(names(Tool::Coredns), ["coredns"]);
        assert_eq!(names(Tool::Helm), ["helm"]);
        assert_eq!(names(Tool::OldHelm), ["helm"]);
        assert_eq!(names(Tool::HelmUnittest), ["helm-unittest"]);
        assert_eq!(names(Tool::Kubeconform), ["kubeconform"]);
        assert_eq!(names(Tool::KubeScore), ["kube-score"]);
        assert_eq!(names(Tool::Promtool), ["promtool"]);
    }
}
