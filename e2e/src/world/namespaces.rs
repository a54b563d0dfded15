//! Turns "run this inside" into a command line that this system allows.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::guidance;
use crate::{leash, tools};

/// Set for the program inside, to the core of the API servers (or nothing). Programs that it starts
/// inherit it, so it alone does not tell who is inside.
pub(super) const MARK: &str = "WEIR_WORLD";

/// Set for the program inside, to the process id of the one outside that waits for it.
const OUTSIDE: &str = "WEIR_WORLD_OUTSIDE";

/// The namespaces of a world. Mounts are private; when `unshare` dies, so does its child.
const NAMESPACES: &str = "--net --pid --mount --fork --mount-proc --kill-child";

/// Needs no privilege; root inside is whoever one is outside.
const AS_ANY_USER: &str = "--user --map-root-user";

/// This program with `arguments`, to be started inside. Whatever takes minutes or needs all cores
/// or the network is done before.
pub(super) fn reenter(arguments: impl Iterator<Item = OsString>) -> Result<Command> {
    let namespaces = permitted_namespaces()?;
    tools::prepare()?;
    std::fs::create_dir_all(mount_point()?).context("creating the mount point of worlds")?;
    let cores = Cores::of_this_process()?;
    let mut command = leash::command();
    if cores.server.is_some() {
        command.args(["taskset", "--cpu-list", &cores.others]);
    }
    let core = cores.server.map(|core| core.to_string());
    command
        .arg("unshare")
        .args(namespaces)
        .arg("--")
        .arg(std::env::current_exe().context("finding this program")?)
        .args(arguments)
        .env(OUTSIDE, std::process::id().to_string())
        .env(MARK, core.unwrap_or_default());
    Ok(command)
}

/// A command that runs others inside, from anywhere on this machine: for people who look around.
/// None if this program is not inside.
#[must_use]
pub fn entrance() -> Option<String> {
    // Inside, nobody knows its own process id outside; its grandparent's is known.
    let outside = std::env::var(OUTSIDE).ok()?;
    Some(format!(
        "nsenter --all --preserve-credentials --target \"$(pgrep -P \"$(pgrep -P {outside})\")\""
    ))
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

/// Where the tmpfs of a world is mounted: an empty directory that all worlds share outside.
pub(super) fn mount_point() -> Result<PathBuf> {
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
