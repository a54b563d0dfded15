//! Measures what the gate policy should read approvals from, and prints it as Markdown.
//!
//! `cargo run -p weir-e2e --release --bin valve-parameters > figures.md`; about half an hour.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is its purpose"
)]

use std::process::ExitCode;

use weir_e2e::{valve_parameters, world};

fn main() -> anyhow::Result<ExitCode> {
    world::enter(|| match measure() {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    })
}

fn measure() -> anyhow::Result<String> {
    let runtime = tokio::runtime::Runtime::new()?;
    let figures = runtime.block_on(valve_parameters::measure())?;
    Ok(valve_parameters::report(&figures))
}
