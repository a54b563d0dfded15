//! The lab: one command runs one experiment and writes its report.

use std::process::ExitCode;

use clap::Parser;
use weir_e2e::lab::{Lab, run};

fn main() -> ExitCode {
    run(&Lab::parse())
}
