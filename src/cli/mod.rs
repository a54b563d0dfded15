//! `kubectl weir`: from the command line to requests, a screen and an exit code.
//!
//! One file per subcommand. It asks the API server itself and needs no operator. What it writes to the
//! cluster, only when told to, goes by the caller's own rights. This and the binaries are the only
//! places that print.

mod approve;
mod change;
mod check;
mod completion;
mod connect;
mod cost;
mod drill;
mod error;
mod explain;
mod find;
mod get;
mod output;
mod pause;
mod preflight;
mod release;
mod report;
mod resume;
mod status;
mod sysdump;
mod version;

use std::{ffi::OsString, io::Write, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use crate::view::clean::screen;

pub use check::page as checks_page;
pub use error::{CliError, Kind};

/// Exit code: everything is as it should be.
const FINE: u8 = 0;
/// Exit code: the question was answered, and something is wrong.
const TROUBLE: u8 = 1;

/// Answers about Weir, which lets rollouts through only as fast as the control plane bears them.
///
/// Exit codes: 0 all is fine, 1 trouble was found, 2 usage, 3 the cluster could not be reached,
/// 4 refused for safety.
#[derive(Debug, Parser)]
#[command(name = "kubectl-weir", bin_name = "kubectl weir", version)]
struct Args {
    #[command(flatten)]
    cluster: connect::ClusterArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(status::StatusArgs),
    Get(get::GetArgs),
    Explain(explain::ExplainArgs),
    Pause(pause::PauseArgs),
    Resume(resume::ResumeArgs),
    Approve(approve::ApproveArgs),
    Release(release::ReleaseArgs),
    Cost(cost::CostArgs),
    Preflight(preflight::PreflightArgs),
    Check(check::CheckArgs),
    Drill(drill::DrillArgs),
    Report(report::ReportArgs),
    Sysdump(sysdump::SysdumpArgs),
    Version(version::VersionArgs),
    Completion(completion::CompletionArgs),
    /// What kubectl asks while somebody types
    #[command(name = "__complete", hide = true)]
    Complete(completion::CompleteArgs),
}

impl Command {
    /// Its name, and what to do instead of giving it namespaces, if these mean nothing to it.
    const fn without_namespaces(&self) -> Option<(&'static str, &'static str)> {
        const WHOLE: &str = "leave them out: it is about the whole cluster; where Weir itself is, says \
                             --weir-namespace";
        const CLUSTER: &str = "leave them out: it is about the whole cluster";
        const NONE: &str = "leave them out: it asks no cluster";
        match self {
            Self::Check(_) => Some(("check", WHOLE)),
            Self::Drill(_) => Some((
                "drill",
                "leave them out: it makes a namespace of its own; where Weir itself is, says \
                 --weir-namespace",
            )),
            Self::Sysdump(_) => Some(("sysdump", WHOLE)),
            Self::Version(_) => Some(("version", CLUSTER)),
            Self::Preflight(_) => Some(("preflight", NONE)),
            Self::Completion(_) => Some(("completion", NONE)),
            Self::Status(_)
            | Self::Get(_)
            | Self::Explain(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Approve(_)
            | Self::Release(_)
            | Self::Cost(_)
            | Self::Report(_)
            | Self::Complete(_) => None,
        }
    }
}

/// What a subcommand leaves behind.
struct Outcome {
    /// For standard output, with colours.
    text: String,
    /// The exit code.
    code: u8,
}

/// Runs the plugin with these arguments, of which the first is the program's name.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(usage) => {
            // Help and version are no errors; clap knows which stream each belongs to.
            drop(usage.print());
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(Kind::Usage.code()));
        }
    };
    let outcome = Box::pin(answer(args)).await;
    match outcome {
        Ok(Outcome { text, code }) => {
            // Colours go only to a terminal, and not against NO_COLOR. A reader that has gone away
            // (`| head`) has seen what it wanted.
            drop(anstream::stdout().write_all(text.as_bytes()));
            ExitCode::from(code)
        }
        Err(error) => {
            drop(write!(anstream::stderr(), "{}", screen(&error.report())));
            ExitCode::from(error.kind().code())
        }
    }
}

/// Does what was asked for.
async fn answer(args: Args) -> Result<Outcome, CliError> {
    if let Some((command, instead)) = args.command.without_namespaces() {
        args.cluster.without_namespaces(command, instead)?;
    }
    match args.command {
        Command::Check(command) => Box::pin(check::check(&args.cluster, &command)).await,
        Command::Drill(command) => drill::drill(&args.cluster, &command).await,
        Command::Report(command) => report::report(&args.cluster, &command).await,
        Command::Sysdump(command) => sysdump::sysdump(&args.cluster, &command).await,
        Command::Version(command) => version::version(&args.cluster, &command).await,
        Command::Completion(command) => Ok(completion::completion(Args::command(), &command)),
        Command::Complete(command) => Ok(completion::complete(Args::command(), &command).await),
        Command::Status(command) => status::status(&args.cluster, &command).await,
        Command::Get(command) => get::get(&args.cluster, &command).await,
        Command::Explain(command) => explain::explain(&args.cluster, &command).await,
        Command::Pause(command) => pause::pause(&args.cluster, &command).await,
        Command::Resume(command) => resume::resume(&args.cluster, &command).await,
        Command::Approve(command) => approve::approve(&args.cluster, &command).await,
        Command::Release(command) => release::release(&args.cluster, &command).await,
        Command::Cost(command) => cost::cost(&args.cluster, &command).await,
        Command::Preflight(command) => preflight::preflight(&command, &mut std::io::stdin()),
    }
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn refused(arguments: &[&str]) -> ErrorKind {
        let all = ["kubectl-weir"].iter().chain(arguments);
        Args::try_parse_from(all).unwrap_err().kind()
    }

    #[test]
    fn the_command_line_is_sound_and_calls_itself_kubectl_weir() {
        Args::command().debug_assert();
        let usage = Args::command().render_usage().to_string();
        assert!(usage.starts_with("Usage: kubectl weir "), "{usage}");
    }

    #[test]
    fn a_wrong_command_line_is_a_usage_error() {
        assert_eq!(refused(&["statsu"]), ErrorKind::InvalidSubcommand);
        assert_eq!(refused(&["status", "-o", "xml"]), ErrorKind::InvalidValue);
        assert_eq!(
            refused(&["status", "-A", "-n", "shop"]),
            ErrorKind::ArgumentConflict
        );
        assert_eq!(
            refused(&["status", "--request-timeout", "soon"]),
            ErrorKind::ValueValidation
        );
        let usage = Args::try_parse_from(["kubectl-weir", "status", "--wat"]).unwrap_err();
        assert_eq!(usage.exit_code(), i32::from(Kind::Usage.code()));
    }

    #[test]
    fn flags_stand_before_or_after_the_subcommand() {
        for arguments in [["-n", "shop", "status"], ["status", "-n", "shop"]] {
            let all = ["kubectl-weir"].iter().chain(&arguments);
            let args = Args::try_parse_from(all).unwrap();
            assert_eq!(args.cluster.namespace(), Some("shop"));
        }
    }

    #[tokio::test]
    async fn a_namespace_is_refused_where_it_would_be_ignored() {
        for command in [
            &["check"][..],
            &["drill"],
            &["sysdump"],
            &["version"],
            &["version", "--client"],
            &["completion", "bash"],
            &[
                "preflight",
                "-f",
                "ds.yaml",
                "--nodes",
                "9",
                "--cost",
                "c.json",
            ],
        ] {
            for namespaces in [&["-n", "shop"][..], &["-A"]] {
                let all = ["kubectl-weir"].iter().chain(command).chain(namespaces);
                let args = Args::try_parse_from(all).unwrap();
                let error = Box::pin(answer(args)).await.err().unwrap();
                assert_eq!(error.kind(), Kind::Usage, "{error}");
                let report = error.report();
                let said = format!("error: `{}` is not about", command[0]);
                assert!(report.starts_with(&said), "{report}");
                assert!(report.contains("hint: leave them out"), "{report}");
            }
        }
    }
}
