//! `kubectl weir completion`: scripts for shells, and what kubectl asks while somebody types.
//!
//! kubectl (1.26 and later) runs a program named `kubectl_complete-weir` with the words typed so far, the
//! last of them unfinished, and reads candidates from it, one a line, with a description behind a tab;
//! the last line is a colon and a number that says how to go on. That program is a script of one line,
//! which asks [`candidates`].

use std::{collections::BTreeSet, time::Duration};

use clap::{Arg, Args, Command, ValueEnum};
use clap_complete::{Shell, generate};
use kube::{Api, api::ListParams};

use super::{
    FINE, Outcome,
    connect::{ClusterArgs, Connection},
};
use crate::{api::GuardedRollout, client::PAGE};

/// The script that kubectl runs.
const KUBECTL: &str = "#!/bin/sh\n# Save it as kubectl_complete-weir in a directory of the PATH, and make it \
                       executable.\nexec kubectl weir __complete -- \"$@\"\n";
/// Asks kubectl to offer no files.
const NO_FILES: &str = ":4\n";
/// Leaves it to the shell.
const AS_USUAL: &str = ":0\n";
/// How long a cluster may take to name its rollouts while somebody types.
const PATIENCE: Duration = Duration::from_secs(2);

/// Prints a script that completes commands in a shell
///
/// For `kubectl weir` save that of `kubectl` as `kubectl_complete-weir` in the PATH; those of shells are for
/// `kubectl-weir`, called by its own name.
#[derive(Debug, Clone, Args)]
pub(super) struct CompletionArgs {
    /// For which
    #[arg(value_enum)]
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// kubectl, for `kubectl weir` in whatever shell
    Kubectl,
    /// Bash, for `kubectl-weir`
    Bash,
    /// Elvish, for `kubectl-weir`
    Elvish,
    /// Fish, for `kubectl-weir`
    Fish,
    /// `PowerShell`, for `kubectl-weir`
    Powershell,
    /// Zsh, for `kubectl-weir`
    Zsh,
}

/// What has been typed so far.
#[derive(Debug, Clone, Args)]
pub(super) struct CompleteArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// The script for a shell.
pub(super) fn completion(mut command: Command, args: &CompletionArgs) -> Outcome {
    let shell = match args.what {
        What::Kubectl => None,
        What::Bash => Some(Shell::Bash),
        What::Elvish => Some(Shell::Elvish),
        What::Fish => Some(Shell::Fish),
        What::Powershell => Some(Shell::PowerShell),
        What::Zsh => Some(Shell::Zsh),
    };
    let text = shell.map_or_else(
        || KUBECTL.to_owned(),
        |shell| {
            let mut script = Vec::new();
            generate(shell, &mut command, "kubectl-weir", &mut script);
            String::from_utf8_lossy(&script).into_owned()
        },
    );
    Outcome { text, code: FINE }
}

/// What may come next.
pub(super) async fn complete(command: Command, args: &CompleteArgs) -> Outcome {
    let text = match candidates(command, &args.words) {
        Candidates::Known(known) => known.concat() + NO_FILES,
        Candidates::Files => AS_USUAL.to_owned(),
        Candidates::Rollouts { cluster, begun } => {
            let names = tokio::time::timeout(PATIENCE, rollouts(&cluster));
            let names = names.await.unwrap_or_default().into_iter();
            let fits = names.filter(|name| name.starts_with(&begun));
            fits.map(|name| name + "\n").collect::<String>() + NO_FILES
        }
    };
    Outcome { text, code: FINE }
}

/// Names of rollouts and of their workloads; none if the cluster does not say.
async fn rollouts(cluster: &ClusterArgs) -> Vec<String> {
    let Ok(connection) = cluster.connect().await else {
        return Vec::new();
    };
    named(&connection).await
}

async fn named(connection: &Connection) -> Vec<String> {
    let client = connection.client.clone();
    let api: Api<GuardedRollout> = Api::namespaced(client, &connection.namespace);
    // What is typed can wait for no more than a page, and needs nothing but names.
    let page = ListParams::default().limit(PAGE);
    let Ok(list) = api.list_metadata(&page).await else {
        return Vec::new();
    };
    let mut names = BTreeSet::new();
    for one in list.items {
        names.extend(one.metadata.name);
        let owners = one.metadata.owner_references.unwrap_or_default();
        // A workload names the newest of its rollouts.
        names.extend(owners.into_iter().map(|owner| owner.name));
    }
    names.into_iter().collect()
}

/// What may come next.
#[derive(Debug)]
enum Candidates {
    /// These, each a line.
    Known(Vec<String>),
    /// A file.
    Files,
    /// A rollout that begins so.
    Rollouts { cluster: ClusterArgs, begun: String },
}

fn candidates(command: Command, words: &[String]) -> Candidates {
    let mut command = command;
    command.build();
    let (begun, before) = match words.split_last() {
        Some((last, before)) => (last.as_str(), before),
        None => ("", words),
    };
    let mut at = &command;
    let mut cluster = ClusterArgs::default();
    let mut awaits: Option<&Arg> = None;
    for word in before {
        if let Some(flag) = awaits.take() {
            cluster.note(flag.get_id().as_str(), word);
        } else if let Some((flag, value)) = word.split_once('=').filter(|_| word.starts_with('-')) {
            if let Some(flag) = flag_of(at, flag) {
                cluster.note(flag.get_id().as_str(), value);
            }
        } else if word.starts_with('-') {
            awaits = flag_of(at, word).filter(|flag| flag.get_action().takes_values());
        } else if let Some(below) = at.find_subcommand(word) {
            at = below;
        }
    }
    if let Some(flag) = awaits {
        return values(flag, begun);
    }
    if begun.starts_with('-') {
        let flags = at.get_arguments().filter(|flag| !flag.is_hide_set());
        let flags =
            flags.filter_map(|flag| Some((format!("--{}", flag.get_long()?), flag.get_help())));
        return Candidates::Known(lines(flags, begun));
    }
    let below: Vec<_> = at
        .get_subcommands()
        .filter(|one| !one.is_hide_set() && one.get_name() != "help")
        .collect();
    if !below.is_empty() {
        let below = below
            .into_iter()
            .map(|one| (one.get_name().to_owned(), one.get_about()));
        return Candidates::Known(lines(below, begun));
    }
    match at.get_positionals().next() {
        Some(what) if ["rollout", "names"].contains(&what.get_id().as_str()) => {
            Candidates::Rollouts {
                cluster,
                begun: begun.to_owned(),
            }
        }
        Some(what) => values(what, begun),
        None => Candidates::Known(Vec::new()),
    }
}

fn flag_of<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let mut flags = command.get_arguments();
    if let Some(long) = word.strip_prefix("--") {
        return flags.find(|flag| flag.get_long() == Some(long));
    }
    let short = word.strip_prefix('-')?.chars().next_back()?;
    flags.find(|flag| flag.get_short() == Some(short))
}

/// The values that a flag takes, if it takes certain ones.
fn values(flag: &Arg, begun: &str) -> Candidates {
    let known = flag.get_possible_values();
    if known.is_empty() {
        return Candidates::Files;
    }
    let known = known.iter().filter(|value| !value.is_hide_set());
    let known = known.map(|value| (value.get_name().to_owned(), value.get_help()));
    Candidates::Known(lines(known, begun))
}

fn lines<T: std::fmt::Display>(
    all: impl Iterator<Item = (String, Option<T>)>,
    begun: &str,
) -> Vec<String> {
    let fits = all.filter(|(name, _)| name.starts_with(begun));
    fits.map(|(name, about)| {
        let about = about.map(|about| about.to_string()).unwrap_or_default();
        let about = about.lines().next().unwrap_or_default();
        format!("{name}\t{about}\n")
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::{
        cli::find::tests::connection,
        client::fake::{Answer, Server},
    };

    fn next(words: &[&str]) -> Vec<String> {
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        match candidates(crate::cli::Args::command(), &words) {
            Candidates::Known(lines) => lines
                .iter()
                .map(|line| line.split('\t').next().unwrap().to_owned())
                .collect(),
            Candidates::Files => vec!["(files)".to_owned()],
            Candidates::Rollouts { cluster, begun } => {
                let namespace = cluster.namespace().unwrap_or_default();
                vec![format!("(rollouts of {namespace} like {begun})")]
            }
        }
    }

    #[test]
    fn commands_flags_and_their_values_are_offered() {
        assert_eq!(next(&["res"]), ["resume"]);
        assert!(next(&[""]).contains(&"status".to_owned()));
        assert!(!next(&[""]).contains(&"__complete".to_owned()));
        assert_eq!(next(&["get", ""]), ["rollouts"]);
        assert_eq!(next(&["status", "--weir"]), ["--weir-namespace"]);
        assert_eq!(next(&["pause", "--dry-run", "s"]), ["server"]);
        assert_eq!(next(&["completion", "z"]), ["zsh"]);
        assert_eq!(next(&["preflight", "-f", ""]), ["(files)"]);
    }

    #[test]
    fn rollouts_are_offered_of_the_namespace_that_was_typed() {
        assert_eq!(
            next(&["-n", "shop", "explain", "lo"]),
            ["(rollouts of shop like lo)"]
        );
        assert_eq!(
            next(&["explain", "--namespace=ads", ""]),
            ["(rollouts of ads like )"]
        );
        assert_eq!(next(&["get", "rollouts", "a"]), ["(rollouts of  like a)"]);
    }

    #[test]
    fn every_shell_has_a_script() {
        for what in What::value_variants() {
            let args = CompletionArgs { what: *what };
            let script = completion(crate::cli::Args::command(), &args).text;
            // Each names the program, a command and a flag of it.
            let expected: &[&str] = match what {
                What::Kubectl => &["#!/bin/sh", "kubectl weir __complete -- \"$@\""],
                _ => &["kubectl-weir", "preflight", "lease-name"],
            };
            for part in expected {
                assert!(script.contains(part), "{what:?} lacks {part}");
            }
        }
    }

    #[test]
    fn what_kubectl_s_script_asks_is_understood() {
        let line = [
            "kubectl-weir",
            "__complete",
            "--",
            "-n",
            "shop",
            "explain",
            "lo",
        ];
        let args = crate::cli::Args::try_parse_from(line).unwrap();
        let crate::cli::Command::Complete(complete) = args.command else {
            panic!("it is another command");
        };
        assert_eq!(complete.words, ["-n", "shop", "explain", "lo"]);
    }

    #[tokio::test]
    async fn rollouts_and_workloads_are_asked_for_by_their_names_alone() {
        let list = serde_json::json!({ "metadata": { "continue": "x" }, "items": [
            { "metadata": {
                "name": "logs-5d4f",
                "ownerReferences": [
                    { "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "logs", "uid": "u" },
                ],
            } },
            { "metadata": { "name": "agent-1" } },
        ] });
        let server = Server::that([Answer::whole(200, list.to_string())]);
        let names = named(&connection(&server)).await;
        assert_eq!(names, ["agent-1", "logs", "logs-5d4f"]);
        assert_eq!(server.asked().len(), 1);
    }
}
