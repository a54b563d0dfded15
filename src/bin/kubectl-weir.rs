//! The kubectl plugin: hands the command line over.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    Box::pin(weir::cli::run(std::env::args_os())).await
}
