//! `status --watch` and `--wait`: the same questions again and again.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use anstream::adapter::strip_str;

use super::{StatusArgs, ask};
use crate::{
    cli::{connect::Connection, error::CliError, output::show},
    client::chain,
    view::status::{Status, frame, line, summarize, under_way},
};

/// Rows of a terminal that does not say.
const ROWS: usize = 24;

/// What is looked at again and again.
pub(super) struct Watch<'a> {
    pub(super) connection: &'a Connection,
    pub(super) namespace: Option<&'a str>,
    pub(super) args: &'a StatusArgs,
}

/// Where it is shown.
pub(super) struct Paper {
    out: Box<dyn Write>,
    /// Rows of the screen that is drawn anew; none where lines are added.
    rows: Option<fn() -> usize>,
    /// Whether colours are unwanted.
    plain: bool,
    last: Option<String>,
}

impl Paper {
    /// A terminal is drawn on in place; anything else gets lines.
    pub(super) fn standard_output() -> Self {
        let rows: fn() -> usize = rows;
        let choice = anstream::AutoStream::choice(&io::stdout());
        Self {
            rows: io::stdout().is_terminal().then_some(rows),
            // The cursor is moved whether or not there are colours.
            out: Box::new(io::stdout()),
            plain: choice == anstream::ColorChoice::Never,
            last: None,
        }
    }

    /// Shows what was found, in place or as a line if it has changed. A reader that has gone away ends it.
    fn show(&mut self, screen: &str, line: &str) -> io::Result<()> {
        if let Some(rows) = self.rows {
            let bare = self.plain.then(|| strip_str(screen).to_string());
            let screen = bare.as_deref().unwrap_or(screen);
            self.out.write_all(frame(screen, rows()).as_bytes())?;
        } else if self.last.as_deref() != Some(line) {
            writeln!(self.out, "{line}")?;
            self.last = Some(line.to_owned());
        }
        self.out.flush()
    }
}

fn rows() -> usize {
    let size = terminal_size::terminal_size_of(io::stdout());
    size.map_or(ROWS, |(_, terminal_size::Height(rows))| usize::from(rows))
}

impl Watch<'_> {
    /// Looks once.
    pub(super) async fn look(&self) -> Result<Status, CliError> {
        let answers = ask(self.connection, self.namespace, self.args).await?;
        Ok(summarize(answers, self.connection.clock.now()))
    }

    /// Looks again and again, until nobody reads it any longer. An API server that does not answer is
    /// told, and asked again.
    pub(super) async fn watch(&self, paper: &mut Paper) -> Result<Status, CliError> {
        loop {
            let looked = self.look().await;
            if self.shown(paper, &looked).is_err() {
                return looked;
            }
            self.pause().await;
        }
    }

    /// Looks again and again, until nothing is on its way or it took too long.
    pub(super) async fn wait(&self, mut paper: Option<&mut Paper>) -> Result<Status, CliError> {
        let begun = self.connection.clock.elapsed();
        let patience = Duration::from_secs_f64(self.args.timeout);
        loop {
            let looked = self.look().await;
            if let Some(paper) = &mut paper {
                // Whoever waits goes by the exit code; the screen is an addition.
                drop(self.shown(paper, &looked));
            }
            let is_over = self.connection.clock.elapsed().saturating_sub(begun) >= patience;
            match looked {
                Ok(mut status) => {
                    let left = under_way(&status);
                    if left.is_empty() && status.rollouts.unknown.is_none() {
                        return Ok(status);
                    }
                    if is_over {
                        let what = left.join(", ");
                        status
                            .trouble
                            .push(format!("still on its way in the end: {what}"));
                        return Ok(status);
                    }
                }
                Err(error) if is_over => return Err(error),
                Err(_) => {}
            }
            self.pause().await;
        }
    }

    fn shown(&self, paper: &mut Paper, looked: &Result<Status, CliError>) -> io::Result<()> {
        let now = self.connection.clock.now();
        match looked {
            Ok(status) => {
                let screen = show(status, self.args.output);
                let screen = screen.unwrap_or_else(|error| error.report());
                paper.show(&screen, &line(status))
            }
            Err(error) => {
                let said = chain(error);
                let at = crate::api::times::time(now).0;
                paper.show(&format!("{at}\n\n{}", error.report()), &said)
            }
        }
    }

    async fn pause(&self) {
        tokio::time::sleep(Duration::from_secs_f64(self.args.interval)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        cli::{
            connect::WeirArgs,
            find::tests::{connection, refusal},
            output::Output,
        },
        client::fake::{Answer, Server},
    };

    /// A page that can be read while it is written; after so many writes nobody reads it any longer.
    #[derive(Clone, Default)]
    struct Page {
        text: Arc<Mutex<String>>,
        lines: usize,
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut text = self.text.lock().unwrap();
            if text.lines().count() >= self.lines {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            text.push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn args(timeout: f64) -> StatusArgs {
        StatusArgs {
            output: Output::Text,
            weir: WeirArgs {
                weir_namespace: "weir-system".to_owned(),
                lease_name: "weir".to_owned(),
            },
            watch: false,
            wait: true,
            timeout,
            interval: 5.0,
        }
    }

    /// The three answers of one look.
    fn answers(state: &str) -> [Answer; 3] {
        let rollout = json!({
            "metadata": { "namespace": "shop", "name": "logs-5d4f" },
            "spec": {
                "workload": { "kind": "DaemonSet", "name": "logs", "uid": "u" }, "revision": "5d4f",
            },
            "status": { "state": state, "width": 4, "fullWidth": 200 },
        });
        let list: Value = json!({ "metadata": {}, "items": [rollout] });
        [
            refusal(404),
            Answer::whole(200, list.to_string()),
            refusal(404),
        ]
    }

    async fn waited(states: &[&str], timeout: f64) -> (Result<Status, CliError>, usize) {
        let server = Server::that(states.iter().flat_map(|state| answers(state)));
        let connection = connection(&server);
        let args = args(timeout);
        let watch = Watch {
            connection: &connection,
            namespace: None,
            args: &args,
        };
        let status = watch.wait(None).await;
        (status, server.asked().len())
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_until_nothing_is_on_its_way() {
        let (status, asked) = waited(&["Held", "Soaking", "Complete"], 600.0).await;
        assert_eq!(asked, 9);
        assert_eq!(under_way(&status.unwrap()), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_trouble() {
        let (status, asked) = waited(&["Held", "Held", "Held"], 10.0).await;
        assert_eq!(asked, 9);
        let trouble = status.unwrap().trouble;
        let last = trouble.last().map(String::as_str);
        assert_eq!(last, Some("still on its way in the end: shop/logs-5d4f"));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_terminal_a_line_is_added_for_whatever_changes() {
        let states = ["Soaking", "Soaking", "Held", "Held", "Complete"];
        let server = Server::that(states.iter().flat_map(|state| answers(state)));
        let connection = connection(&server);
        let args = args(600.0);
        let watch = Watch {
            connection: &connection,
            namespace: None,
            args: &args,
        };
        let page = Page {
            lines: 2,
            ..Page::default()
        };
        let mut paper = Paper {
            out: Box::new(page.clone()),
            rows: None,
            plain: false,
            last: None,
        };
        drop(watch.watch(&mut paper).await.unwrap());
        let text = page.text.lock().unwrap().clone();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with("1 in flight, 0 held"), "{text}");
        assert!(lines[1].starts_with("1 in flight, 1 held"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_terminal_is_drawn_on_in_place() {
        let server = Server::that(answers("Held"));
        let connection = connection(&server);
        let args = args(600.0);
        let watch = Watch {
            connection: &connection,
            namespace: None,
            args: &args,
        };
        let page = Page {
            lines: 1000,
            ..Page::default()
        };
        let mut paper = Paper {
            out: Box::new(page.clone()),
            rows: Some(|| 6),
            plain: true,
            last: None,
        };
        let looked = watch.look().await;
        watch.shown(&mut paper, &looked).unwrap();
        let text = page.text.lock().unwrap().clone();
        assert!(text.starts_with("\x1b[?7l\x1b[H"), "{text:?}");
        assert_eq!(text.matches("\x1b[K").count(), 5, "{text:?}");
    }
}
