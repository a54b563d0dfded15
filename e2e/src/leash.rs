//! A program that is to die with this one, however this one dies.

use std::process::Command;

/// The beginning of a command line, to which the program and its words are appended: the kernel kills the
/// program when the thread that started it ends, which must be one that lasts.
#[must_use]
pub(crate) fn command() -> Command {
    let mut command = Command::new("setpriv");
    // A parent that died before the death signal was armed will never send it.
    let armed = r#"[ "$PPID" = "$0" ] && exec "$@""#;
    command.args(["--pdeathsig", "KILL", "--", "sh", "-c", armed]);
    command.arg(std::process::id().to_string());
    command
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::sync::mpsc;

    use anyhow::Result;

    use super::*;

    #[test]
    fn a_program_dies_with_the_thread_that_started_it() -> Result<()> {
        let (told, started) = mpsc::channel();
        let starts = std::thread::spawn(move || -> Result<()> {
            let child = command().args(["sh", "-c", "exec sleep 60"]).spawn()?;
            told.send(child)?;
            // Long enough for the signal to be armed; a test that comes too early sees the shell refuse.
            std::thread::sleep(std::time::Duration::from_millis(300));
            Ok(())
        });
        let mut child = started.recv()?;
        starts.join().expect("it does not panic")?;
        let ended = child.wait()?;
        assert_eq!(ended.signal(), Some(9), "{ended}");
        Ok(())
    }
}
