//! `status --watch` and `--wait`: the same questions again and again.
//!
//! Nothing stays open between two looks, and a look is single requests. So --request-timeout bounds each of these,
//! and ends neither a watch nor a wait: a look that took too long is told, and the next one comes in its turn. What
//! ends a wait is --timeout, whatever is under way then.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use anstream::adapter::strip_str;

use super::{StatusArgs, ask};
use crate::{
    api::times::time,
    cli::{
        connect::Connection,
        error::CliError,
        output::{Output, show},
    },
    client::chain,
    view::{
        clean,
        status::{Status, frame, line, summarize, under_way},
    },
};

/// Rows of a terminal that does not say.
const ROWS: usize = 24;
/// How long nothing may be on its way before a wait is over: Weir needs a few seconds to see a revision that
/// was applied just now, and to make its record.
const SETTLES: Duration = Duration::from_secs(10);
/// What a look may take that begins when a wait is all but over: else the last one would never be answered.
const LAST_LOOK: Duration = Duration::from_secs(1);

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

    /// Shows what was found: in place, or as an entry if its gist has changed. A reader that has gone away
    /// ends it.
    fn show(&mut self, screen: &str, gist: &str, entry: &str) -> io::Result<()> {
        if let Some(rows) = self.rows {
            let bare = self.plain.then(|| strip_str(screen).to_string());
            let screen = bare.as_deref().unwrap_or(screen);
            self.out.write_all(frame(screen, rows()).as_bytes())?;
        } else if self.is_news(gist) {
            self.out.write_all(entry.as_bytes())?;
            self.last = Some(gist.to_owned());
        }
        self.out.flush()
    }

    fn is_news(&self, gist: &str) -> bool {
        self.last.as_deref() != Some(gist)
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
            // What ends it is told in the end, once.
            if looked.as_ref().is_err_and(is_final) || self.shown(paper, &looked).is_err() {
                return looked;
            }
            self.pause(Duration::MAX).await;
        }
    }

    /// Looks again and again, until nothing has been on its way for some seconds, or it took too long.
    pub(super) async fn wait(&self, mut paper: Option<&mut Paper>) -> Result<Status, CliError> {
        let begun = self.connection.clock.elapsed();
        let patience = Duration::from_secs_f64(self.args.timeout);
        let mut calm: Option<Duration> = None;
        loop {
            let spent = self.connection.clock.elapsed().saturating_sub(begun);
            let mut looked = self.look_within(patience.saturating_sub(spent)).await;
            let spent = self.connection.clock.elapsed().saturating_sub(begun);
            let is_over = spent >= patience;
            let ends = match &mut looked {
                Ok(status) => {
                    let left = left(status);
                    calm = left.is_none().then(|| calm.unwrap_or(spent));
                    let rests = calm.is_some_and(|since| spent.saturating_sub(since) >= SETTLES);
                    if rests || is_over {
                        status.trouble.extend(left);
                    }
                    rests || is_over
                }
                Err(error) => {
                    calm = None;
                    is_over || is_final(error)
                }
            };
            // An error that ends it is told in the end, once.
            if let Some(paper) = paper.as_mut().filter(|_| !ends || looked.is_ok()) {
                // Whoever waits goes by the exit code; the screen is an addition.
                drop(self.shown(paper, &looked));
            }
            if ends {
                return looked;
            }
            self.pause(patience.saturating_sub(spent)).await;
        }
    }

    /// Looks once, for no longer than a wait has left.
    async fn look_within(&self, left: Duration) -> Result<Status, CliError> {
        let looked = tokio::time::timeout(left.max(LAST_LOOK), self.look()).await;
        looked.unwrap_or_else(|_| {
            let server = self.connection.server.clone();
            Err(CliError::Unseen { server })
        })
    }

    fn shown(&self, paper: &mut Paper, looked: &Result<Status, CliError>) -> io::Result<()> {
        let output = self.args.output;
        match looked {
            Ok(status) => {
                let screen = show(status, output);
                let screen = screen.unwrap_or_else(|error| error.report());
                let gist = line(status);
                let entry = match output {
                    Output::Text | Output::Wide => format!("{gist}\n"),
                    Output::Yaml => format!("---\n{screen}"),
                    Output::Json | Output::Name => screen.clone(),
                };
                paper.show(&screen, &gist, &entry)
            }
            Err(error) => {
                let said = clean::screen(&chain(error));
                let at = time(self.connection.clock.now()).0;
                let screen = clean::screen(&format!("{at}\n\n{}", error.report()));
                if matches!(output, Output::Text | Output::Wide) {
                    return paper.show(&screen, &said, &format!("{said}\n"));
                }
                // Whoever reads documents could make nothing of it.
                if paper.rows.is_none() && paper.is_news(&said) {
                    drop(writeln!(anstream::stderr(), "{said}"));
                }
                paper.show(&screen, &said, "")
            }
        }
    }

    /// Until the next look, and for so long at most.
    async fn pause(&self, at_most: Duration) {
        let interval = Duration::from_secs_f64(self.args.interval);
        tokio::time::sleep(interval.min(at_most)).await;
    }
}

/// What keeps a wait from being over, in words.
fn left(status: &Status) -> Option<String> {
    if let Some(why) = &status.rollouts.unknown {
        return Some(format!("could not be seen in the end: {why}"));
    }
    let left = under_way(status);
    (!left.is_empty()).then(|| format!("still on its way in the end: {}", left.join(", ")))
}

/// Whether asking again will not help.
const fn is_final(error: &CliError) -> bool {
    matches!(
        error,
        CliError::Unauthorized { .. } | CliError::Forbidden { .. } | CliError::NotInstalled
    )
}

#[cfg(test)]
mod tests;
