//! Where a world cannot be, it says so and what to do; and an ordinary user needs no more than root.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use weir_e2e::inside;
use weir_e2e::tools::cache_directory;
use weir_e2e::world::{World, WorldSpec};

/// The test that the others start, as the harness names it.
const INNER: &str = "world_refuses::a_world";

/// Nobody's user id on every Linux.
const NOBODY: &str = "65534";

#[test]
#[ignore = "not a test of its own: the others start it"]
fn a_world() -> Result<()> {
    inside!(async {
        World::start(&WorldSpec {
            nodes: 2,
            ..WorldSpec::bare()
        })
        .await?
        .check()
    })
}

#[test]
fn forbidden_namespaces_are_explained() -> Result<()> {
    let place = Place::new("forbidden")?;
    let refusal =
        "#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n";
    place.program("unshare", refusal)?;
    let said = refused(&mut place.command())?;
    ensure!(
        said.contains("unshare failed: Operation not permitted"),
        "{said}"
    );
    ensure!(
        said.contains("--privileged") || said.contains("sysctl -w"),
        "{said}"
    );
    Ok(())
}

#[test]
fn missing_programs_are_named() -> Result<()> {
    let place = Place::new("missing")?;
    let said = refused(&mut place.command())?;
    ensure!(
        said.contains("unshare") && said.contains("install util-linux"),
        "{said}"
    );

    place.link(&["unshare", "true"])?;
    let mut command = place.command();
    let said = refused(command.env("XDG_CACHE_HOME", place.0.join("cache")))?;
    ensure!(said.contains("install Go"), "{said}");

    let mut command = place.command();
    let said = refused(command.env_remove("XDG_CACHE_HOME").env_remove("HOME"))?;
    ensure!(said.contains("XDG_CACHE_HOME"), "{said}");
    Ok(())
}

#[test]
fn an_ordinary_user_may() -> Result<()> {
    if !rustix::process::getuid().is_root() {
        // Then every other test shows it.
        return Ok(());
    }
    let place = Place::new("ordinary")?;
    let this = place.0.join("test");
    fs::copy(std::env::current_exe()?, &this)?;
    let cache = place.0.join("cache/weir-e2e");
    fs::create_dir_all(place.0.join("cache"))?;
    let copied = Command::new("cp")
        .arg("-r")
        .arg(cache_directory()?)
        .arg(&cache)
        .status()?;
    ensure!(copied.success(), "copying the built tools");
    let owner = Command::new("chown")
        .args(["-R", NOBODY])
        .arg(&place.0)
        .status()?;
    ensure!(owner.success(), "giving the files to nobody");
    let output = Command::new("setpriv")
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"])
        .arg(this)
        .args(["--exact", INNER, "--ignored"])
        .env("XDG_CACHE_HOME", place.0.join("cache"))
        .env("HOME", &place.0)
        .output()?;
    ensure!(text(&output).contains("1 passed"), "{}", text(&output));
    Ok(())
}

/// A directory of programs that is all of a child's PATH; removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Result<Self> {
        let directory = std::env::temp_dir().join(format!("weir-{name}-{}", std::process::id()));
        fs::create_dir_all(directory.join("bin"))?;
        Ok(Self(directory))
    }

    fn program(&self, name: &str, script: &str) -> Result<()> {
        let path = self.0.join("bin").join(name);
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    fn link(&self, names: &[&str]) -> Result<()> {
        for name in names {
            let candidates = ["/usr/bin", "/bin", "/usr/sbin"].map(|at| Path::new(at).join(name));
            let found = candidates.iter().find(|path| path.exists());
            let found = found.with_context(|| format!("{name} is not installed"))?;
            symlink(found, self.0.join("bin").join(name))?;
        }
        Ok(())
    }

    fn command(&self) -> Command {
        let this = std::env::current_exe().expect("the test binary has a path");
        let mut command = Command::new(this);
        command
            .args(["--exact", INNER, "--ignored"])
            .env("PATH", self.0.join("bin"));
        command
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// What a command said that must fail.
fn refused(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(
        !output.status.success(),
        "it did not refuse: {}",
        text(&output)
    );
    Ok(text(&output))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}
